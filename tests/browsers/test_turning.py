"""Turning a camera from the player's page: Chromium films with a camera that turns, a person
presses the pad, the lens obeys. All is real.

Chromium's fake camera pans, tilts and zooms for pages that are allowed to; for the others it does
not, as a phone that cannot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from drawercam.protocol import messages as control
from tests.browsers.test_camera_codecs import film
from tests.harness.browsers import Chromium
from tests.harness.browsers.chromium import ChromiumPage as Page
from tests.harness.pages import PATIENCE, fresh_page, go
from tests.harness.peers import peer
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

TRACK = "document.getElementById('picture').srcObject.getVideoTracks()[0]"
PAD = "document.querySelector('.pad')"

page = pytest_asyncio.fixture(loop_scope="session")(fresh_page)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def may_turn(chromium: Chromium, relay: Relay) -> AsyncIterator[None]:
    """What a person allows who is asked whether the page may use and move the camera."""
    any_page = await chromium.page()
    browser = await chromium.context.new_cdp_session(any_page.raw)
    permissions = ["cameraPanTiltZoom", "videoCapture", "audioCapture"]
    await browser.send(
        "Browser.grantPermissions", {"origin": relay.origin, "permissions": permissions}
    )
    yield
    await browser.send("Browser.resetPermissions")
    await any_page.close()


async def shown(page: Page, *buttons: str) -> None:
    """Wait until these buttons of the pad are what a person sees of it, in this order."""
    found = (
        f"[...{PAD}.querySelectorAll('button')].filter((one) => one.getClientRects().length > "
        "0).map((one) => one.ariaLabel).join()"
    )
    await page.wait_for(f"{found} === {','.join(buttons)!r}", PATIENCE)


@pytest.mark.usefixtures("may_turn")
async def test_a_phone_whose_lens_turns_is_turned_from_the_pad(
    chromium: Chromium, page: Page, relay: Relay
) -> None:
    phone = await film(chromium, relay, "turning")
    begins = await phone.evaluate(
        f"(({{ pan, tilt, zoom }}) => [pan, tilt, zoom])({TRACK}.getSettings())"
    )
    await go(page, f"{relay.origin}/player.html?camera=turning")
    await shown(
        page,
        "Turn up",
        "Turn left",
        "Straight ahead",
        "Turn right",
        "Turn down",
        "Zoom in",
        "Zoom out",
    )

    async def at(setting: str, begin: float) -> float:
        place: float = await phone.wait_for(
            f"{TRACK}.getSettings().{setting} > {begin} && {TRACK}.getSettings().{setting}",
            PATIENCE,
        )
        return place

    await page.click(".pad-right")
    pan = await at("pan", begins[0])
    await page.click(".pad-nearer")
    await at("zoom", begins[2])
    await page.evaluate(f"{PAD}.closest('.tile').querySelector('.view').focus()")
    await page.raw.keyboard.press("ArrowUp")
    await at("tilt", begins[1])
    # The player hears where it stands, in degrees, and a wish that goes too far is answered in
    # words.
    tile = f"{PAD}.closest('.tile').tile"
    await page.wait_for(f"Math.abs({tile}.pad.axes.pan.now - {pan} / 3600) < 1e-6", PATIENCE)
    await page.evaluate(f"{tile}.feed.send({{ type: 'orient', pan: 90 }})")
    await page.wait_for(
        f"/pans from .* to .* degrees; 90 is beyond that/.test({PAD}.innerText)", PATIENCE
    )
    # A lens that is taken anew comes back turned as it was.
    await phone.evaluate(
        f"(() => {{ window.before = {TRACK}; window.before.stop(); window.before.onended(); }})()"
    )
    await phone.wait_for(
        f"{TRACK} !== window.before && Math.abs({TRACK}.getSettings().pan - {pan}) < 0.01", PATIENCE
    )
    assert phone.errors == page.errors == []
    await phone.close()


async def test_the_pad_is_there_only_as_far_as_the_camera_turns(page: Page, relay: Relay) -> None:
    async with peer(relay, "/camera/mount") as camera:
        await go(page, f"{relay.origin}/player.html")
        await page.wait_for(f"{PAD}.closest('.tile').tile.camera !== null", PATIENCE)
        await shown(page)
        assert await page.evaluate("document.querySelector('.turn').hidden")
        await camera.send(type="turns", zoom={"min": 1, "max": 4, "now": 1})
        await page.click(".turn")
        await shown(page, "Zoom in", "Zoom out")
        await camera.send(type="turns", pan={"min": -90, "max": 90, "step": 1, "now": 0})
        await shown(page, "Turn left", "Straight ahead", "Turn right")
        await page.click(".pad-left")
        await page.click(".pad-left")
        await camera.message("orient", pan=-10)  # the second step begins where the first one ends
        await page.click(".pad-home")
        await camera.message("orient", pan=0)
        await page.raw.mouse.down()  # still on the same button
        await page.raw.mouse.up()
        await page.raw.keyboard.press("ArrowRight")  # the button has the focus
        await camera.message("orient", pan=5)
        await camera.send(type="turns")
        await shown(page)
    assert page.errors == []


async def test_what_a_driver_tells_is_kept_within_what_the_relay_believes(
    relay: Relay, page: Page
) -> None:
    """A camera whose `turns` is refused is cut off, comes back, says the same again, and never
    films.
    """
    await go(page, f"{relay.origin}/player.html?camera=nobody")
    told = await page.evaluate("""
      async () => {
        const { Turning } = await import("/web/camera/lens/pan-tilt-zoom.js");
        const told = [];
        const turning = new Turning({ aim: async () => true, ontell: (axes) => told.push(axes) });
        const range = (min, max, step) => ({ min, max, step });
        const ranges = { zoom: range(1, 16384, 1), tilt: range(-2e6, 36000, 3600), pan: range(0, 0, 0) };
        turning.take({ kind: "video", getCapabilities: () => ranges, getSettings: () => ({ zoom: 0, tilt: 3600 }) });
        turning.take(null);
        return told[0];
      }""")
    assert told == {
        "zoom": {"min": 1, "max": 1000, "step": 1},
        "tilt": {"min": -360, "max": 10, "step": 1, "now": 1},
    }
    control.read(told, control.Turns)
