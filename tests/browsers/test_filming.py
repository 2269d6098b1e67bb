"""Firefox and WebKit film with their own recorders; Chromium watches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browsers.drivers import BROWSERS, Chromium
from tests.browsers.pages import PATIENCE, listening, moving, state
from tests.relays import Relay

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    with Relay() as one:
        yield one
        assert "Traceback" not in one.output, one.output


@pytest.mark.parametrize("filming", ["firefox", "webkit"])
@pytest.mark.parametrize("engine", ["frames", "mse"])
async def test_another_browser_films_and_chromium_watches(relay: Relay, filming: str, engine: str) -> None:
    for kind in (BROWSERS[filming], Chromium):
        if missing := kind.missing():
            pytest.skip(missing)
    name = f"{filming}-{engine}"
    async with BROWSERS[filming]() as phone, Chromium(camera=False) as desk:
        film = await phone.page(f"{relay.origin}/camera.html?name={name}&start=1")
        await film.wait_for("document.body.innerText.includes('Stop')", PATIENCE)
        watch = await desk.page(f"{relay.origin}/player.html?camera={name}&engine={engine}")
        await moving(watch)
        await state(watch, "live")
        await listening(watch)
        assert watch.errors == []
