"""Firefox and WebKit film with their own recorders; Chromium watches."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.browsers.conftest import Browsers
from tests.harness.browsers import Browser, WebKit
from tests.harness.pages import PATIENCE, listening, moving, state
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["firefox", "webkit"])
async def phone(request: pytest.FixtureRequest, browsers: Browsers) -> AsyncIterator[Browser]:
    if request.param == "firefox":
        yield await browsers.get("firefox", camera=True)
        return
    if missing := WebKit.missing():
        pytest.skip(missing)
    # WebKitGTK's recorder needs an element that older GStreamers lack
    # (tests/samples/recorders/README.md); `recorder` brings it.
    async with WebKit(recorder=True) as browser:
        yield browser


@pytest.mark.parametrize("engine", ["frames", pytest.param("mse", marks=pytest.mark.long)])
async def test_another_browser_films_and_chromium_watches(
    relay: Relay, browsers: Browsers, phone: Browser, engine: str
) -> None:
    desk = await browsers.get("chromium", camera=False)
    name = f"{phone.name.lower()}-{engine}"
    film = await phone.page(
        f"{relay.origin}/camera.html?name={name}&start=1&encoder=recorder&sound=recorder&width=320&height=240"
    )
    await film.wait_for("document.body.innerText.includes('Stop')", PATIENCE)
    watch = await desk.page(f"{relay.origin}/player.html?camera={name}&engine={engine}")
    await moving(watch)
    await state(watch, "live")
    await listening(watch)
    assert watch.errors == []
    await watch.close()
    await film.close()
