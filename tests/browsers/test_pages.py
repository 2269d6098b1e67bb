"""What happens to the two pages in a long life: restarts, takeovers, keys, pauses, refusals.

Real Chromium, real relay.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.browsers.conftest import Browsers
from tests.harness.browsers import Browser, Page
from tests.harness.pages import PATIENCE, PREVIEW, facts, listening, moving, state
from tests.harness.peers import peer, voting
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(loop_scope="session")
async def pages(chromium: Browser, relay: Relay) -> AsyncIterator[Pages]:
    opened = Pages(chromium, relay)
    yield opened
    for page in opened.all:
        await page.close()


class Pages:
    """Opens pages of one relay, and closes them after the test."""

    def __init__(self, browser: Browser, relay: Relay) -> None:
        self.browser = browser
        self.relay = relay
        self.all: list[Page] = []

    async def open(self, path: str) -> Page:
        page = await self.browser.page(self.relay.origin + path)
        self.all.append(page)
        return page

    async def film(self, name: str, sound: int = 0) -> Page:
        page = await self.open(
            f"/camera.html?name={name}&start=1&width=320&height=240&sound={sound}"
        )
        await page.resize(*PREVIEW)
        await says(page, "Live")
        return page

    async def watch(self, name: str, more: str = "") -> Page:
        return await self.open(f"/player.html?camera={name}{more}")


async def says(page: Page, text: str) -> None:
    """Wait until a person can read this on the page."""
    await page.wait_for(f"document.body.innerText.includes({json.dumps(text)})", PATIENCE)


async def tiles(page: Page) -> dict[str, str]:
    """Name and state of every tile."""
    found: dict[str, str] = await page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('[data-camera]')].map((e) => "
        "[e.dataset.camera, e.dataset.state]))"
    )
    return found


async def test_one_tap_films_and_the_wall_shows_it_and_when_it_was_stopped(pages: Pages) -> None:
    wall = await pages.open("/")
    await says(wall, "No camera yet")
    await says(wall, "stop it and start it with --tls")  # a code would lead a phone nowhere
    camera = await pages.open("/camera.html")
    await camera.fill("#name", "Front Porch")
    await says(camera, "In links and files: front-porch")
    await camera.click("#start")
    await says(camera, "Live")
    await moving(wall)
    assert await tiles(wall) == {"front-porch": "live"}
    await says(camera, "1 viewer")
    assert await camera.evaluate("document.querySelector('#picture').videoWidth > 0")
    await wall.click("[data-camera] canvas, [data-camera] video")
    await wall.wait_for("document.querySelector('[data-camera].large') !== null", PATIENCE)
    await wall.evaluate("history.back()")
    await wall.wait_for("document.querySelector('[data-camera].large') === null", PATIENCE)
    await camera.click("#stop")
    await says(camera, "Start filming")
    await says(wall, "Switched off at")
    again = await pages.open("/camera.html")
    assert await again.evaluate("document.querySelector('#name').value") == "Front Porch", (
        "it is remembered"
    )
    assert wall.errors == camera.errors == []


async def test_both_pages_come_back_by_themselves_when_the_relay_was_restarted(
    chromium: Browser,
) -> None:
    with Relay() as relay:
        pages = Pages(chromium, relay)
        camera = await pages.film("porch")
        player = await pages.watch("porch")
        await moving(player)
        relay.stop()
        await state(player, "connecting")
        await camera.wait_for(
            "document.querySelector('#status').dataset.state !== 'live'", PATIENCE
        )
        relay.start()
        await says(camera, "Live")
        await state(player, "live")
        await moving(player)
        for page in pages.all:
            await page.close()


async def test_a_reloaded_camera_films_on(pages: Pages) -> None:
    camera = await pages.film("reloaded")
    player = await pages.watch("reloaded")
    await moving(player)
    await camera.evaluate("void setTimeout(() => location.reload(), 50)")
    await asyncio.sleep(1)
    await says(camera, "Live")
    await state(player, "live")
    await moving(player)


async def test_a_second_phone_takes_over_and_the_first_says_so_and_stops(pages: Pages) -> None:
    first = await pages.film("shared")
    player = await pages.watch("shared")
    await moving(player)
    second = await pages.film("shared")
    await says(first, "Take it back")
    await moving(player)
    assert await second.evaluate("document.querySelector('#status').dataset.state") == "live"
    await asyncio.sleep(2)
    await says(second, "Live")  # the first one does not try again by itself


async def test_a_late_player_shows_the_last_keyframe_without_touching_the_camera(
    pages: Pages,
) -> None:
    await pages.film("late")
    await moving(await pages.watch("late"))
    await moving(await pages.watch("late", "&engine=mse"))
    async with peer(pages.relay, "/player/late") as raw:
        first = await raw.until(
            lambda one: [
                is_key for message in one.media if (is_key := keyframe(message)) is not None
            ]
        )
        assert first[0], "what a late viewer gets begins with a keyframe"


def keyframe(message: bytes) -> bool | None:
    """Whether a frame message of the video (docs/protocol.md) has a keyframe; None for any other
    message.
    """
    if message.startswith(b"\x1f\x43\xb6\x75"):
        return message[26] == 0x80 if message[23] == 0x81 else None
    if message[4:8] == b"moof":
        return (
            message[48:52] == b"\x02\x00\x00\x00" if message[44:48] == b"\x00\x00\x00\x01" else None
        )
    return None


@pytest.mark.long
@pytest.mark.parametrize(
    "breakage",
    [
        (
            "VideoDecoder.prototype.decode = function () { throw new DOMException('broken', "
            "'EncodingError'); }"
        ),
        "VideoDecoder.prototype.decode = function () {}",
        "delete globalThis.VideoDecoder",
    ],
    ids=["throws", "stays silent", "is not there"],
)
async def test_mediasource_takes_over_when_webcodecs(
    pages: Pages, breakage: str, browsers: Browsers
) -> None:
    """Without workers, because only what is in the page can be broken from outside; what decodes is
    the same there.
    """
    await pages.film("broken")
    async with browsers.chromium("delete globalThis.Worker", breakage, camera=False) as crippled:
        player = await crippled.page(f"{pages.relay.origin}/player.html?camera=broken")
        await moving(player)
        assert (await facts(player))["engine"] == "mse"


@pytest.mark.long
async def test_a_browser_that_could_not_show_it_for_a_moment_is_tried_again(
    pages: Pages, browsers: Browsers
) -> None:
    await pages.film("moment")
    breakage = """
      const decode = VideoDecoder.prototype.decode;
      VideoDecoder.prototype.decode = function (chunk) {
        if (!window.well) throw new DOMException("broken", "EncodingError");
        return decode.call(this, chunk);
      };"""
    async with browsers.chromium("delete globalThis.Worker", breakage, camera=False) as crippled:
        player = await crippled.page(
            f"{pages.relay.origin}/player.html?camera=moment&engine=frames"
        )
        await state(player, "failed")
        await says(player, "This browser cannot show this camera")
        await player.evaluate("void (window.well = true)")
        await moving(player)
        await state(player, "live")


async def test_sound_is_off_until_it_is_tapped(pages: Pages) -> None:
    await pages.film("loud", sound=1)
    player = await pages.watch("loud")
    await moving(player)
    assert (await facts(player))["sound"] == "off"
    await listening(player)
    await player.click("[data-camera] button[aria-pressed]")
    await player.wait_for(
        "document.querySelector('[data-camera]').dataset.sound === 'off'", PATIENCE
    )


async def test_a_player_vote_pauses_the_camera_and_both_say_so(pages: Pages) -> None:
    camera = await pages.film("voted")
    async with peer(pages.relay, "/player/voted") as raw:
        await raw.until(lambda one: len(one.media) > 5)
        async with voting(raw):
            await raw.message("state", state="paused", reason="viewers")
            await camera.wait_for(
                "document.querySelector('#status').dataset.state === 'paused'", PATIENCE
            )
        await raw.send(type="resume")
        await camera.wait_for(
            "document.querySelector('#status').dataset.state === 'live'", PATIENCE
        )
        before = len(raw.media)
        await raw.until(lambda one: len(one.media) > before + 10)


async def test_the_player_says_why_a_camera_is_paused_or_gone(pages: Pages) -> None:
    async with peer(pages.relay, "/camera/spoken") as raw:
        player = await pages.watch("spoken")
        await raw.send(type="state", state="paused", reason="background")
        await state(player, "paused")
        await says(player, "background")
        raw.connection.transport.abort()
        await state(player, "gone")
        await says(player, "Connection lost")


@pytest.mark.long
async def test_keys_let_in_who_has_them(browser: Browser, browsers: Browsers) -> None:
    """The links as they are printed: the key leaves the address bar, and the cookie stays."""
    with Relay("--tls") as relay:
        links: dict[str, Any] = {
            word: next(
                line.split()[-1] for line in relay.output.splitlines() if f"/{word}.html#" in line
            )
            for word in ("camera", "player")
        }
        async with browsers.chromium() as phone, browsers.chromium(camera=False) as desk:
            bare = await phone.page(links["camera"].split("#")[0] + "?name=porch")
            await says(bare, "“Film” key")
            camera = await phone.page(
                links["camera"].replace(
                    "camera.html#", "camera.html?name=porch&start=1&width=320&height=240#"
                )
            )
            await says(camera, "Live")
            assert "key" not in await camera.evaluate("location.href")
            stranger = await desk.page(links["player"].split("#")[0])
            await says(stranger, "key")
            assert await tiles(stranger) == {}
            key = links["player"].split("#key=")[1]
            await stranger.fill("#key-field", "wrong-key")
            await stranger.evaluate("document.querySelector('#key-form').requestSubmit()")
            await stranger.wait_for("!document.querySelector('#key-wrong').hidden", PATIENCE)
            await stranger.fill("#key-field", f" {key.upper()} ")
            await stranger.evaluate("document.querySelector('#key-form').requestSubmit()")
            await moving(stranger)
            await stranger.click("#add")
            await stranger.wait_for(
                "document.querySelector('#invite-code').naturalWidth > 0", PATIENCE
            )
            await says(stranger, "The phone will ask for a Film key")
            again = await desk.page(links["player"].split("#")[0] + "?camera=porch")
            await moving(again)


async def test_a_refused_camera_is_explained(relay: Relay, browsers: Browsers) -> None:
    async with browsers.chromium(camera=False) as browser:
        page = await browser.page(f"{relay.origin}/camera.html")
        await page.wait_for("!document.querySelector('#panel').hidden", PATIENCE)
        text = await page.evaluate("document.querySelector('#panel').innerText")
        assert "camera" in text.lower() and "allow" in text.lower()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def troubled(browsers: Browsers) -> AsyncIterator[Browser]:
    """A browser whose camera fails as the page's address says behind `#`."""
    script = """
      const error = location.hash.slice(1);
      navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", error); };
    """
    async with browsers.chromium(script) as browser:
        yield browser


@pytest.mark.parametrize(
    ("error", "word"),
    [
        ("NotAllowedError", "allow"),
        ("NotReadableError", "another"),
        ("NotFoundError", "no camera"),
        ("SecurityError", "camera"),
    ],
)
async def test_every_trouble_with_the_camera_has_its_words(
    relay: Relay, troubled: Browser, error: str, word: str
) -> None:
    page = await troubled.page(f"{relay.origin}/camera.html#{error}")
    await page.wait_for("!document.querySelector('#panel').hidden", PATIENCE)
    text = await page.evaluate("document.querySelector('#panel').innerText")
    assert word in text.lower(), text
    await page.close()


async def test_an_insecure_page_says_which_address_to_use(relay: Relay, browsers: Browsers) -> None:
    async with browsers.chromium(
        "Object.defineProperty(window, 'isSecureContext', {value: false})"
    ) as browser:
        page = await browser.page(f"{relay.origin}/camera.html")
        await page.wait_for("!document.querySelector('#panel').hidden", PATIENCE)
        assert "https" in await page.evaluate("document.querySelector('#panel').innerText")


async def test_the_screen_stays_awake_while_it_films_and_while_somebody_watches(
    relay: Relay, browsers: Browsers
) -> None:
    """Headless Chromium grants no wake lock, so the browser's answer is written down by a stand-in
    for it.
    """
    script = """
      window.locks = [];
      navigator.wakeLock.request = async (type) => {
        const lock = new EventTarget();
        lock.released = false;
        lock.release = async () => { lock.released = true; lock.dispatchEvent(new Event("release")); };
        window.locks.push(lock);
        return lock;
      };"""
    async with browsers.chromium(script) as browser:
        page = await browser.page(
            f"{relay.origin}/camera.html?name=awake&start=1&width=320&height=240"
        )
        await says(page, "Live")
        await page.wait_for("window.locks.length === 1 && !window.locks[0].released", PATIENCE)
        # The system takes the lock whenever the page is hidden; it must be taken again when the
        # page is back.
        await page.evaluate("window.locks[0].release()")
        await page.evaluate("void document.dispatchEvent(new Event('visibilitychange'))")
        await page.wait_for("window.locks.length === 2", PATIENCE)
        watcher = await browser.page(f"{relay.origin}/player.html?camera=awake")
        await watcher.wait_for("window.locks.length === 1 && !window.locks[0].released", PATIENCE)
        await page.click("#stop")
        await page.wait_for("window.locks[1].released", PATIENCE)
        await watcher.wait_for("window.locks[0].released", PATIENCE)
        assert await watcher.evaluate("document.querySelector('.wake-video') === null")
