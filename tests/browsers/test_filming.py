"""Firefox and WebKit film with their own recorders; Chromium watches."""

from __future__ import annotations

import pytest

from tests.browsers.drivers import Browser, Chromium, Firefox, WebKit
from tests.browsers.pages import PATIENCE, listening, moving, state
from tests.relays import Relay

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("filming", ["firefox", "webkit"])
@pytest.mark.parametrize("engine", ["frames", "mse"])
async def test_another_browser_films_and_chromium_watches(relay: Relay, filming: str, engine: str) -> None:
    # WebKitGTK's recorder needs an element that older GStreamers lack (tests/recordings/README.md); `recorder` brings it.
    phone: Browser = Firefox() if filming == "firefox" else WebKit(recorder=True)
    for browser in (phone, Chromium):
        if missing := browser.missing():
            pytest.skip(missing)
    name = f"{filming}-{engine}"
    async with phone, Chromium(camera=False) as desk:
        film = await phone.page(f"{relay.origin}/camera.html?name={name}&start=1&encoder=recorder&sound=recorder&width=320&height=240")
        await film.wait_for("document.body.innerText.includes('Stop')", PATIENCE)
        watch = await desk.page(f"{relay.origin}/player.html?camera={name}&engine={engine}")
        await moving(watch)
        await state(watch, "live")
        await listening(watch)
        assert watch.errors == []
