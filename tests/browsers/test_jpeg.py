"""The engine of single pictures: asked for, and where a browser plays no video at all."""

from __future__ import annotations

import pytest

from tests.browsers import films
from tests.browsers.drivers import Chromium
from tests.browsers.pages import PATIENCE, facts, moving, state
from tests.relays import Relay
from tests.server.test_promises import eventually, report

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

# Neither workers nor MediaSource are there, and either no VideoDecoder or one that is broken until the test says that it is well.
WITHOUT_VIDEO = """
  for (const name of ["Worker", "MediaSource", "ManagedMediaSource"]) delete window[name];
  if (location.hash === "#never") delete window.VideoDecoder;
  else {
    const decode = VideoDecoder.prototype.decode;
    VideoDecoder.prototype.decode = function (chunk) {
      if (!window.well) throw new DOMException("broken", "EncodingError");
      return decode.call(this, chunk);
    };
  }"""

# It is known how long pictures take, and where.
KNOWN = "(({ delay, parts }) => delay && parts.downlink !== null)(document.querySelector('[data-camera]').tile.stats())"


async def test_pictures_one_by_one(relay: Relay, chromium: Chromium) -> None:
    async with films.film(relay, "singly") as camera:
        page = await chromium.page(f"{relay.origin}/player.html?camera=singly&engine=jpeg")
        await moving(page)
        await state(page, "live")
        await page.wait_for(KNOWN, PATIENCE)
        told = await facts(page)
        assert told["engine"] == "jpeg"
        assert told["received"] >= told["fed"] >= told["shown"] > 2
        assert told["size"] == {"width": films.WIDTH, "height": films.HEIGHT}
        assert told["delay"] > 0
        await eventually(lambda: report(relay, "singly")["viewers"] == 1, "its socket rests, and takes no video that nobody decodes")

        await page.evaluate("void (document.querySelector('[data-camera]').style.display = 'none')")
        await eventually(lambda: report(relay, "singly")["viewers"] == 0, "nobody sees it, and nobody asks")
        await page.evaluate("void (document.querySelector('[data-camera]').style.display = '')")
        await moving(page)
        camera.sends = False
        await page.wait_for("document.querySelector('[data-camera]').dataset.why === 'camera'", PATIENCE)
        camera.sends = True
        await moving(page)
        assert page.errors == []


async def test_a_browser_that_plays_no_video_shows_pictures(relay: Relay) -> None:
    if missing := Chromium.missing():
        pytest.skip(missing)
    async with films.film(relay, "plain") as camera, Chromium(camera=False, init_scripts=[WITHOUT_VIDEO]) as old:
        never = await old.page(f"{relay.origin}/player.html?camera=plain#never")
        await moving(never)
        await state(never, "live")
        assert (await facts(never))["engine"] == "jpeg"
        await camera.phone.message("unplayable", codec="vp8")  # another codec might be better still

        sometimes = await old.page(f"{relay.origin}/player.html?camera=plain")
        await moving(sometimes)
        assert (await facts(sometimes))["engine"] == "jpeg"
        await sometimes.evaluate("void (window.well = true)")
        await sometimes.wait_for("document.querySelector('[data-camera]').dataset.engine === 'frames'", PATIENCE)
        await moving(sometimes)
        assert (await facts(sometimes))["engine"] == "frames", "what could not for a moment is tried again"
        assert never.errors == sometimes.errors == []
