"""The player's worker: what it does for a busy page, what it does not do for a hidden one, and what
the tile says of its pictures.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from tests.browsers.conftest import Browsers
from tests.harness.browsers import Browser, Chromium, Page
from tests.harness.films import film
from tests.harness.pages import PATIENCE, PREVIEW, facts, fresh_page, go, moving, state, watching
from tests.harness.peers import peer
from tests.harness.relays import Relay
from tests.media.samples import RECORDINGS

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

TILE = "document.querySelector('[data-camera]').tile"

page = pytest_asyncio.fixture(loop_scope="session")(fresh_page)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def camera(relay: Relay, chromium: Browser) -> AsyncIterator[None]:
    """A phone that films as `one`, and a camera that is `two`, as long as this module runs."""
    page = await chromium.page(
        f"{relay.origin}/camera.html?name=one&start=1&width=320&height=240&sound=0"
    )
    await page.resize(*PREVIEW)
    await page.wait_for("document.body.innerText.includes('Stop')", PATIENCE)
    async with film(relay, "two"):
        yield


@pytest.mark.long
async def test_a_busy_page_does_not_stop_the_pictures(
    relay: Relay, camera: None, viewer: Browser
) -> None:
    page = await viewer.page(f"{relay.origin}/player.html?camera=one")
    await moving(page)
    assert (await facts(page))["surface"] == (
        "generator" if isinstance(viewer, Chromium) else "offscreen"
    )
    before, after = await page.evaluate(
        f"""async () => {{
          const told = () => {TILE}.stats(), before = told();
          for (let round = 0; round < 10; round += 1) {{
            const until = performance.now() + 400;
            while (performance.now() < until);
            await new Promise((resolve) => setTimeout(resolve));
          }}
          return [before, told()];
        }}"""
    )
    await page.close()
    # In the page, ten naps would have let it draw ten pictures.
    assert after["shown"] - before["shown"] > 12


HIDE = "(id) => document.querySelector(`[data-camera='${id}']`).tile"


async def quiet(page: Page, name: str) -> dict[str, Any]:
    """Wait until a tile's decoder is given nothing more, look on for a while, and return what was
    said before and after.
    """
    await page.wait_for(
        f"""(async () => {{
          const told = () => ({HIDE})({json.dumps(name)}).stats(), before = told();
          await new Promise((resolve) => setTimeout(resolve, 600));
          return told().fed === before.fed;
        }})()""",
        PATIENCE,
    )
    return dict(await page.evaluate(f"({HIDE})({json.dumps(name)}).stats()"))


async def test_a_tile_behind_a_large_one_decodes_nothing_and_comes_back_live(
    relay: Relay, camera: None, page: Page
) -> None:
    await go(page, f"{relay.origin}/player.html")
    for name in ("one", "two"):
        await page.wait_for(
            f"document.querySelector('[data-camera={name}]')?.dataset.state === 'live'", PATIENCE
        )
    await page.click("[data-camera=one] .view")
    await watching(relay, "two", [False])  # it rests after a moment only
    hidden = await quiet(page, "two")
    await asyncio.sleep(1)
    still = await page.evaluate(f"({HIDE})('two').stats()")
    assert (still["fed"], still["shown"]) == (hidden["fed"], hidden["shown"])
    await page.evaluate("history.back()")
    await page.wait_for(f"({HIDE})('two').stats().shown > {still['shown']} + 5", PATIENCE)
    await page.wait_for(
        "document.querySelector('[data-camera=two]').dataset.state === 'live'", PATIENCE
    )
    assert page.errors == []


@pytest.mark.parametrize("engine", ["frames", "mse"])
async def test_a_hidden_tab_is_given_no_pictures(
    relay: Relay, camera: None, page: Page, engine: str
) -> None:
    await go(page, f"{relay.origin}/player.html?camera=one&engine={engine}")
    await moving(page)
    # Headless Chromium has no tabs that cover one another, so the page is told what it would be
    # told then.
    await page.evaluate(
        """() => {
          globalThis.veil = (state) => {
            Object.defineProperty(document, "visibilityState", { get: () => state, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
          };
          veil("hidden");
        }"""
    )
    await watching(relay, "one", [False])
    hidden = await quiet(page, "one")
    await asyncio.sleep(1)
    assert (await facts(page))["fed"] == hidden["fed"]
    await page.evaluate("() => veil('visible')")
    await moving(page)
    await state(page, "live")


@pytest.mark.parametrize("engine", ["frames", pytest.param("mse", marks=pytest.mark.long)])
async def test_the_delay_and_its_parts_are_told_and_add_up(
    relay: Relay, camera: None, page: Page, engine: str
) -> None:
    await go(page, f"{relay.origin}/player.html?camera=one&engine={engine}")
    await moving(page)
    told = await page.wait_for(
        f"""(() => {{
          const {{ delay, parts }} = {TILE}.stats(), known = Object.values(parts).filter((part) => part !== null);
          const sum = known.reduce((total, part) => total + part, 0);
          const enough = parts.uplink !== null && parts.relay !== null && parts.downlink !== null && parts.decode !== null;
          return delay !== null && enough && Math.abs(sum - delay) < 10 + delay / 4 && {{ delay, parts }};
        }})()""",
        PATIENCE,
    )
    assert 0 < told["delay"] < 5000
    assert all(part is None or part >= 0 for part in told["parts"].values())


async def test_a_tap_on_the_delay_says_what_it_is_made_of(
    relay: Relay, camera: None, page: Page
) -> None:
    await go(page, f"{relay.origin}/player.html")
    await page.wait_for(
        "document.querySelector('[data-camera=one]')?.dataset.state === 'live'", PATIENCE
    )
    button, panel = (
        "[data-camera=one] .delay",
        "document.querySelector('[data-camera=one] .details')",
    )
    await page.wait_for(
        f"/\\d (ms|s)/.test(document.querySelector('{button}').innerText)", PATIENCE
    )
    await page.click(button)
    await page.wait_for(
        (
            "['In the relay', 'Decoding', 'Lens to screen'].every((word) => "
            f"{panel}.innerText.includes(word))"
        ),
        PATIENCE,
    )
    assert (
        await page.evaluate(f"document.querySelector('{button}').getAttribute('aria-expanded')")
        == "true"
    )
    assert await page.evaluate("document.querySelector('.large')") is None, (
        "the tap was for the number, not for the picture"
    )
    # Somebody reads it: it stays although no picture comes for a while.
    told = await page.evaluate(
        """(() => {
          const { tile } = document.querySelector("[data-camera=one]"), { details } = tile;
          for (let look = 0; look < 8; look += 1) {
            details.changedAt = -Infinity;
            details.update(tile.stats(), false);
          }
          return [details.button.hidden, details.panel.innerText];
        })()"""
    )
    assert not told[0]
    assert "not known now" in told[1]
    await page.evaluate(
        "() => void document.body.dispatchEvent(new KeyboardEvent('keydown', { key: "
        "'Escape', bubbles: true, cancelable: true }))"
    )
    await page.wait_for(f"{panel}.hidden", PATIENCE)
    assert (
        await page.evaluate(f"document.querySelector('{button}').getAttribute('aria-expanded')")
        == "false"
    )


# Notes every size of the picture that a refresh has met, and whether one after the first was black.
_WATCH = """() => {
  globalThis.seen = { sizes: [], black: 0 };
  const small = document.createElement("canvas"), pen = small.getContext("2d", { willReadFrequently: true });
  small.width = small.height = 8;
  (function look() {
    requestAnimationFrame(look);
    const picture = document.querySelector("[data-camera] canvas, [data-camera] video");
    const width = picture && (picture.videoWidth ?? picture.width), height = picture && (picture.videoHeight ?? picture.height);
    if (!width || (picture.readyState ?? 4) < 2) return;
    pen.drawImage(picture, 0, 0, 8, 8);
    const black = pen.getImageData(0, 0, 8, 8).data.every((value, index) => index % 4 === 3 || value < 40);
    if (black && seen.sizes.length === 0) return; // nothing has come yet
    if (black) seen.black += 1;
    const size = `${width}x${height}`;
    if (seen.sizes[seen.sizes.length - 1] !== size) seen.sizes.push(size);
  })();
}"""


# Milliseconds after which the phones of the recordings are still held as at first.
TURNED = 700


async def film_turning(
    stack: AsyncExitStack, relay: Relay, name: str, recording: str, page: Page
) -> None:
    """A phone that is turned when this page shows its picture: a recording, blob by blob at the
    pace at which it was made.

    It stays until the stack is closed.
    """
    told = json.loads((RECORDINGS / "index.json").read_text())[recording]
    data = (RECORDINGS / recording).read_bytes()
    phone = await stack.enter_async_context(peer(relay, f"/camera/{name}"))
    await phone.send(type="stream", stream=1, mime=told["mime"])
    position = 0
    for size, last, now in zip(
        told["blobs"], [0, *told["arrivals"]], told["arrivals"], strict=False
    ):
        await asyncio.sleep((now - last) / 1000)
        if last <= TURNED < now:
            await page.wait_for("seen.sizes[0] === '160x120'", PATIENCE)
        await phone.send_media(1, [data[position : position + size]])
        position += size
    assert position == len(data)


@pytest.mark.parametrize(
    ("way", "recording"),
    [
        *(
            (way, "chromium-turn-vp8.webm")
            for way in ("surface=generator", "surface=offscreen", "surface=canvas", "engine=mse")
        ),
        *((way, "chromium-turn-h264.webm") for way in ("surface=generator", "engine=mse")),
        *(
            pytest.param(way, "chromium-turn-h264.webm", marks=pytest.mark.long)
            for way in ("surface=offscreen", "surface=canvas")
        ),
    ],
)
async def test_the_picture_follows_a_phone_that_is_turned(
    relay: Relay, page: Page, recording: str, way: str
) -> None:
    name = f"{recording[9:-5]}-{way.split('=')[1]}"
    await go(page, f"{relay.origin}/player.html?camera={name}&{way}")
    await state(page, "waiting")
    await page.evaluate(_WATCH)
    async with AsyncExitStack() as stack:
        await film_turning(stack, relay, name, recording, page)
        await page.wait_for("seen.sizes.at(-1) === '120x160'", PATIENCE)
        seen = await page.evaluate("seen")
        assert seen["sizes"][0] == "160x120", seen
        if not way.endswith("mse"):
            assert seen == {"sizes": ["160x120", "120x160"], "black": 0}
        await page.wait_for(f"{TILE}.aspect === 120 / 160", PATIENCE)
        assert page.errors == []


async def test_a_browser_without_workers_watches_all_the_same(
    relay: Relay, camera: None, browsers: Browsers
) -> None:
    async with browsers.chromium("delete globalThis.Worker", camera=False) as old:
        player = await old.page(f"{relay.origin}/player.html?camera=one")
        await moving(player)
        assert (await facts(player))["engine"] == "frames"
        assert player.errors == []


async def test_a_worker_that_does_not_start_is_done_without(
    relay: Relay, camera: None, browsers: Browsers
) -> None:
    async with browsers.chromium(camera=False) as broken:
        await broken.context.route(
            "**/web/player/receive/receiver-worker.js",
            lambda route: route.fulfill(status=500, body="no"),
        )
        player = await broken.page(f"{relay.origin}/player.html?camera=one")
        await moving(player)
        assert (await facts(player))["engine"] == "frames"


async def test_a_closed_tile_leaves_nothing_behind(relay: Relay, page: Page) -> None:
    async with peer(relay, "/camera/left") as phone:
        await go(page, f"{relay.origin}/player.html?camera=left")
        await phone.message("viewers", count=1)
        before = len(phone.messages)
        await page.evaluate(f"() => {TILE}.close()")
        await phone.until(
            lambda one: {"type": "viewers", "count": 0} in one.messages[before:],
            "for the tile's socket to close",
        )
        assert (
            await page.evaluate(
                "document.querySelectorAll('.tile, .tile video, .tile canvas').length"
            )
            == 0
        )
        assert page.errors == []


@pytest.mark.long
async def test_a_viewer_that_cannot_play_the_codec_gets_another_one(
    relay: Relay, browsers: Browsers
) -> None:
    """Without a worker the page's own interfaces count, and those are easily taken away."""
    script = """
      delete window.Worker;
      const supports = VideoDecoder.isConfigSupported;
      VideoDecoder.isConfigSupported = async (config) =>
        /^avc1/.test(config.codec) ? { supported: false } : supports.call(VideoDecoder, config);
      const plays = MediaSource.isTypeSupported;
      MediaSource.isTypeSupported = (type) => !/avc1/.test(type) && plays.call(MediaSource, type);
    """
    async with browsers.chromium() as phone, browsers.chromium(script, camera=False) as desk:
        filming = await phone.page(
            f"{relay.origin}/camera.html?name=other&start=1&encoder=avc1&width=320&height=240"
        )
        await filming.wait_for(
            "document.getElementById('camera').dataset.codec.startsWith('avc1')", PATIENCE
        )
        watch = await desk.page(f"{relay.origin}/player.html?camera=other")
        await moving(watch)
        assert not (
            await filming.evaluate("document.getElementById('camera').dataset.codec")
        ).startswith("avc1")
        assert watch.errors == []
