"""The engine of single pictures: asked for, and where a browser plays no video at all."""

from __future__ import annotations

import pytest

from tests.browsers.conftest import Browsers
from tests.film.test_filming import filming, picture
from tests.harness import films
from tests.harness.browsers import Chromium, Page
from tests.harness.pages import PATIENCE, facts, listening, moving, state
from tests.harness.peers import peer
from tests.harness.relays import Relay
from tests.server.test_promises import eventually, report

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

# Neither workers nor MediaSource are there, and either no VideoDecoder or one that is broken until
# the test says that it is well.
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
KNOWN = (
    "(({ delay, parts }) => delay && parts.downlink !== "
    "null)(document.querySelector('[data-camera]').tile.stats())"
)


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
        await eventually(
            lambda: report(relay, "singly")["viewers"] == 1,
            "its socket rests, and takes no video that nobody decodes",
        )

        await page.evaluate("void (document.querySelector('[data-camera]').style.display = 'none')")
        await eventually(
            lambda: report(relay, "singly")["viewers"] == 0, "nobody sees it, and nobody asks"
        )
        await page.evaluate("void (document.querySelector('[data-camera]').style.display = '')")
        await moving(page)
        camera.sends = False
        await page.wait_for(
            "document.querySelector('[data-camera]').dataset.why === 'camera'", PATIENCE
        )
        camera.sends = True
        await moving(page)
        busy = "new Response(JSON.stringify({ text: 'There are too many.' }), { status: 503 })"
        await page.evaluate(f"void (window.fetch = async () => {busy})")
        await page.wait_for(
            "document.querySelector('[data-camera]').dataset.why === 'relay'", PATIENCE
        )
        assert (
            await page.evaluate("document.querySelector('[data-camera] .notice').textContent")
            == "There are too many."
        )
        assert page.errors == []


async def test_a_browser_that_plays_no_video_shows_pictures(
    relay: Relay, browsers: Browsers
) -> None:
    async with (
        films.film(relay, "plain") as camera,
        browsers.chromium(WITHOUT_VIDEO, camera=False) as old,
    ):
        never = await old.page(f"{relay.origin}/player.html?camera=plain#never")
        await moving(never)
        await state(never, "live")
        assert (await facts(never))["engine"] == "jpeg"
        assert camera.told("unplayable") == [], "no codec would help it"

        sometimes = await old.page(f"{relay.origin}/player.html?camera=plain")
        await moving(sometimes)
        assert (await facts(sometimes))["engine"] == "jpeg"
        wish = await camera.phone.message("unplayable", codec="vp8")
        assert "vp9" in wish["plays"], "another codec might be better still"
        await sometimes.evaluate("void (window.well = true)")
        await sometimes.wait_for(
            "document.querySelector('[data-camera]').dataset.engine === 'frames'", PATIENCE
        )
        await moving(sometimes)
        assert (await facts(sometimes))["engine"] == "frames", (
            "what could not for a moment is tried again"
        )
        assert never.errors == sometimes.errors == []


# A browser that plays no H.264, and has no worker in which it does.
WITHOUT_H264 = """
  delete window.Worker;
  const isTypeSupported = MediaSource.isTypeSupported.bind(MediaSource);
  MediaSource.isTypeSupported = (type) => !type.includes("avc") && isTypeSupported(type);
  const isConfigSupported = VideoDecoder.isConfigSupported.bind(VideoDecoder);
  VideoDecoder.isConfigSupported = async (config) =>
    config.codec.startsWith("avc") ? { supported: false, config } : isConfigSupported(config);
"""


async def test_a_camera_changes_its_codec_for_a_browser_once_all_play_the_other_one(
    relay: Relay, browsers: Browsers
) -> None:
    async with (
        browsers.chromium(WITHOUT_H264, camera=False) as old,
        filming(relay, "other", picture()),
    ):
        async with peer(
            relay, "/player/other"
        ) as blocker:  # of which it is not known what it plays
            assert (await blocker.message("track", number=1))["codec"].startswith("avc1")
            page = await old.page(f"{relay.origin}/player.html?camera=other")
            await moving(page)
            assert (await facts(page))["engine"] == "jpeg"
        await page.evaluate(
            "void (document.querySelector('[data-camera]').tile.runner.engines.hopeAfter = 0)"
        )
        await page.wait_for(
            "document.querySelector('[data-camera]').dataset.engine === 'frames'", PATIENCE
        )
        await moving(page)
        await page.evaluate("location.reload()")
        await page.wait_for(
            "document.querySelector('[data-camera]')?.dataset.engine === 'frames'", PATIENCE
        )
        await moving(page)
        assert page.errors == []
        await page.close()
        async with peer(relay, "/player/other?rest=1") as viewer:
            await viewer.message("track", codec="vp8")


# Counts the frames of each track that come by the socket, in a page that has no worker: [unused,
# pictures, sound].
COUNTS = """
  delete window.Worker;
  window.frames_ = [0, 0, 0];
  const Plain = WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...all) {
      super(...all);
      this.addEventListener("message", ({ data }) => {
        if (typeof data === "string") return;
        const bytes = new Uint8Array(data);
        if (bytes[0] === 0x1f && bytes[1] === 0x43) window.frames_[bytes[23] & 0x7f] += 1;
        else if (bytes[4] === 0x6d && bytes[7] === 0x66) window.frames_[bytes[47]] += 1;
      });
    }
  };"""


@pytest.mark.long
async def test_who_only_listens_is_sent_no_video(
    relay: Relay, porch: None, browsers: Browsers
) -> None:
    """With single pictures, and where nobody looks at the tile whose sound is on."""
    async with browsers.chromium(COUNTS, camera=False) as browser:
        for engine in ("jpeg", "frames"):
            page = await browser.page(f"{relay.origin}/player.html?camera=porch&engine={engine}")
            await moving(page)
            await listening(page)
            if engine == "frames":
                await page.evaluate(
                    "void (document.querySelector('[data-camera]').style.display = 'none')"
                )
            quiet = (
                "((before) => frames_[1] === before[1] ? frames_[2] > before[2] + 50 : "
                "(before.splice(0, 3, ...frames_), false))"
            )
            await page.evaluate("void (window.before = [...frames_])")
            await page.wait_for(
                f"{quiet}(before)", PATIENCE
            )  # a second of sound without one picture
            await page.evaluate("void (document.querySelector('[data-camera]').style.display = '')")
            await moving(page)
            told = await facts(page)
            assert (told["engine"], told["sound"]) == (engine, "on")
            assert page.errors == []
            await page.close()


# An engine whose questions are answered here, one by one: its pictures are plain, and wait for
# `decoded` when they are decoded.
ENGINE = """
  const { JpegEngine } = await import("/web/player/engines/jpeg-engine.js");
  const plain = (colour) => new Promise((resolve) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 16;
    const pen = canvas.getContext("2d");
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 16, 16);
    canvas.toBlob(resolve, "image/jpeg");
  });
  const questions = [], decoding = [], { fetch, createImageBitmap } = window;
  const news = async (list, count) => { while (list.length < count) await new Promise((resolve) => setTimeout(resolve, 5)); };
  window.fetch = (address, options) => new Promise((resolve, reject) => {
    if (!String(address).includes("latest.jpg")) return resolve(fetch(address, options)); // the page around it asks for other things
    questions.push({ address: String(address), options, resolve });
    options.signal.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
  });
  window.createImageBitmap = (blob) => new Promise((resolve, reject) => {
    decoding.push(() => createImageBitmap(blob).then(resolve, reject));
  });
  const answer = (blob, time) => new Response(blob, { headers: { "Drawercam-Time": String(time) } });
  const engine = new JpegEngine(document.body, "porch", true, null, { onarrival() {}, onpicture() {}, onfail() {} });
"""


async def test_an_engine_of_pictures_shows_nothing_of_what_is_over(page: Page) -> None:
    told = await page.evaluate(
        """async () => {"""
        + ENGINE
        + """
          const told = {};
          await news(questions, 1);
          questions[0].resolve(answer(await plain("red"), 1000));
          await news(decoding, 1);
          engine.track(); // while the picture is decoded
          decoding[0]();
          await news(questions, 2);
          told.shown = engine.stats.shown;
          told.address = questions[1].address;
          questions[1].resolve(new Response(JSON.stringify({ error: "too-many", text: "There are too many." }), { status: 503 }));
          await news(questions, 3);
          told.refusal = engine.refusal;
          questions[2].resolve(answer(await plain("lime"), 2000));
          await news(decoding, 2);
          decoding[1]();
          await news(questions, 4);
          told.later = [engine.stats.shown, engine.refusal, questions[3].address];
          engine.setPlace({ base: "https://127.0.0.9:1", ticket: "a.b" });
          await news(questions, 5);
          told.aborted = questions[3].options.signal.aborted;
          told.moved = [questions[4].address, questions[4].options.headers, questions[4].options.credentials];
          engine.setWatched(false);
          engine.close();
          await new Promise((resolve) => setTimeout(resolve, 100));
          told.asked = questions.length;
          told.canvases = document.querySelectorAll("body > canvas").length;
          Object.assign(window, { fetch, createImageBitmap });
          return told;
        }"""
    )
    assert told["shown"] == 0, "it is of a track that is over"
    assert "after" not in told["address"], "and another clock"
    assert told["refusal"] == "There are too many."
    assert (told["later"][0], told["later"][1], told["later"][2].endswith("&after=2000")) == (
        1,
        "",
        True,
    )
    assert told["aborted"] is True
    address, headers, credentials = told["moved"]
    assert (
        address.startswith("https://127.0.0.9:1/cameras/porch/latest.jpg?width=")
        and "after" not in address
    )
    assert (headers, credentials) == ({"Drawercam-Ticket": "a.b"}, "omit")
    assert (told["asked"], told["canvases"]) == (5, 0)
