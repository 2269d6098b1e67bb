"""A player whose engine cannot do what it tried takes the next one, whatever broke: real Chromium,
with its own parts made to fail.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.harness import films
from tests.harness.browsers import Chromium
from tests.harness.browsers.chromium import ChromiumPage
from tests.harness.pages import PATIENCE, moving, state
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

# What is in the page can be broken from outside, and without workers all of it is there. `after` is
# how many pictures go well.
TOOLS = """
  delete window.Worker;
  window.breakAfter = (object, name, after, concerns = () => true) => {
    const whole = object[name];
    let done = 0;
    object[name] = function (...given) {
      if (concerns(given) && ++done > after) throw new RangeError("broken on purpose");
      return whole.apply(this, given);
    };
  };
  const isShown = ([picture]) => picture instanceof VideoFrame;
  window.breakPictures = (after) => {
    breakAfter(WritableStreamDefaultWriter.prototype, "write", after, isShown);
    for (const Pen of [CanvasRenderingContext2D, OffscreenCanvasRenderingContext2D]) breakAfter(Pen.prototype, "drawImage", after, isShown);
  };"""

FRAMES = {
    "when made": """
      window.MediaStreamTrackGenerator = class { constructor() { throw new RangeError("broken on purpose"); } };
      breakAfter(HTMLCanvasElement.prototype, "transferControlToOffscreen", 0);
      breakAfter(HTMLCanvasElement.prototype, "getContext", 0, ([, options]) => options && options.desynchronized);""",
    "at its first picture": "breakPictures(0);",
    "after 100 pictures": "breakPictures(100);",
    "shows nothing": "VideoDecoder.prototype.decode = function () {};",
}

MSE = {
    "when made": """
      delete window.ManagedMediaSource;
      const { isTypeSupported } = MediaSource;
      window.MediaSource = class { constructor() { throw new RangeError("broken on purpose"); } };
      window.MediaSource.isTypeSupported = (type) => isTypeSupported.call(MediaSource, type) || true;""",
    "at its first picture": "breakAfter(HTMLVideoElement.prototype, 'requestVideoFrameCallback', 1);",
    "after 100 pictures": "breakAfter(HTMLVideoElement.prototype, 'requestVideoFrameCallback', 100);",
    "shows nothing": "SourceBuffer.prototype.appendBuffer = function () {};",
}


# What breaks at its first picture breaks as after a hundred.
WHEN = pytest.mark.parametrize(
    "when",
    [
        ("when made", "after 100 pictures", "shows nothing"),
        pytest.param(("at its first picture",), marks=pytest.mark.long),
    ],
    ids=len,
)


async def takes(chromium: Chromium, address: str, breakage: str, engine: str) -> None:
    page = await chromium.page()
    assert isinstance(page, ChromiumPage)
    await page.raw.add_init_script(f"(() => {{ {TOOLS} {breakage} }})()")
    await page.raw.goto(address)
    await page.wait_for(
        f"document.querySelector('[data-camera]')?.dataset.engine === '{engine}'", PATIENCE
    )
    await moving(page)
    await state(page, "live")
    # Nothing is left of what could not be made, and nothing of it was a fault of the page.
    await page.wait_for(
        "document.querySelectorAll('[data-camera] .picture > *').length === 1", PATIENCE
    )
    assert page.errors == []
    assert await page.evaluate("document.getElementById('failure') === null")
    await page.close()


@WHEN
async def test_mediasource_follows_webcodecs(
    relay: Relay, chromium: Chromium, when: tuple[str, ...]
) -> None:
    async with films.film(relay, "frames"):
        address = f"{relay.origin}/player.html?camera=frames"
        await asyncio.gather(*(takes(chromium, address, FRAMES[one], "mse") for one in when))


@WHEN
async def test_single_pictures_follow_mediasource(
    relay: Relay, chromium: Chromium, when: tuple[str, ...]
) -> None:
    async with films.film(relay, "mse"):
        address = f"{relay.origin}/player.html?camera=mse"
        without = "delete window.VideoDecoder;"
        await asyncio.gather(
            *(takes(chromium, address, without + MSE[one], "jpeg") for one in when)
        )


async def test_a_player_that_can_do_nothing_says_so(relay: Relay, chromium: Chromium) -> None:
    async with films.film(relay, "nothing"):
        page = await chromium.page()
        assert isinstance(page, ChromiumPage)
        breakage = "breakAfter(CanvasRenderingContext2D.prototype, 'drawImage', 0);"
        await page.raw.add_init_script(f"(() => {{ {TOOLS} {breakage} }})()")
        await page.raw.goto(f"{relay.origin}/player.html?camera=nothing&engine=jpeg")
        await state(page, "failed")
        said = await page.evaluate("document.querySelector('[data-camera] .notice').textContent")
        assert said == (
            "This browser cannot show this camera (RangeError: broken on purpose). Try "
            "another browser or another camera."
        )
        assert page.errors == []
        await page.close()
