"""The pages' modules that need no camera and no decoder, run in Chromium against bytes that the relay's own writers made."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from drawercam.media.mp4 import Mp4Writer
from drawercam.media.packets import Packet, Track
from drawercam.media.webm import WebmWriter
from tests.browsers.drivers import Page, PageError
from tests.media.samples import RECORDINGS, read

pytestmark = pytest.mark.asyncio(loop_scope="session")


def recorded(name: str) -> list[Packet]:
    return [event for event in read([(RECORDINGS / name).read_bytes()]) if isinstance(event, Packet)]


PICTURES = {"webm": recorded("chromium-vp8.webm"), "mp4": recorded("chromium-h264.webm")}


def writer(track: Track) -> WebmWriter | Mp4Writer:
    return WebmWriter(track, 1, 0) if track.codec in WebmWriter.CODECS else Mp4Writer(track, 1)


def sent(data: bytes) -> str:
    return base64.b64encode(data).decode()


BYTES = "const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;"


@pytest.mark.parametrize("container", PICTURES)
async def test_frame_messages_are_read_as_they_were_written(page: Page, container: str) -> None:
    packets = PICTURES[container]
    written = writer(packets[0].track)
    messages = [sent(written.fragment(packet)) for packet in packets]
    got: list[Any] = await page.evaluate(
        f"""async (messages) => {{
          {BYTES}
          const {{ readFrame }} = await import("/web/message.js");
          return messages.map((text) => {{
            const {{ number, timestamp, key, data }} = readFrame(bytes(text));
            return [number, timestamp, key, btoa(String.fromCharCode(...data))];
          }});
        }}""",
        messages,
    )
    resolution = 1000 if container == "webm" else 1
    assert [(number, key) for number, _, key, _ in got] == [(1, packet.key) for packet in packets]
    assert all(abs(one[1] - packet.timestamp) < resolution for one, packet in zip(got, packets, strict=True))
    assert [base64.b64decode(data) for *_, data in got] == [packet.data for packet in packets]


@pytest.mark.parametrize("container", PICTURES)
async def test_cut_or_foreign_messages_are_errors(page: Page, container: str) -> None:
    packets = PICTURES[container]
    message = writer(packets[0].track).fragment(packets[0])[:200]
    errors = await page.evaluate(
        f"""async (text) => {{
          {BYTES}
          const {{ readFrame }} = await import("/web/message.js");
          const whole = bytes(text);
          let errors = 0;
          for (let length = 0; length < whole.byteLength; length += 1) {{
            try {{ readFrame(whole.slice(0, length)); }} catch (error) {{ if (error.constructor === Error) errors += 1; }}
          }}
          return errors;
        }}""",
        sent(message),
    )
    assert errors == len(message)
    with pytest.raises(PageError, match="neither WebM nor MP4"):
        await page.evaluate('async () => (await import("/web/message.js")).readFrame(new ArrayBuffer(300))')


DECODER = """async (script) => {
  // A decoder that gives a picture back only when it is told to, and a surface that writes down what it is given.
  const { FramesDecoder } = await import("/web/frames.js");
  const Native = globalThis.VideoDecoder;
  const log = { shown: [], closed: 0, open: 0, resets: 0, asked: 0, failed: "" };
  let current = null;
  globalThis.VideoDecoder = class {
    constructor({ output, error }) { Object.assign(this, { output, error, state: "unconfigured", queue: [] }); current = this; }
    configure() { this.state = "configured"; }
    decode(chunk) { this.queue.push(chunk); }
    reset() { this.queue = []; this.state = "unconfigured"; log.resets += 1; }
    close() { this.queue = []; this.state = "closed"; }
    get decodeQueueSize() { return this.queue.length; }
    give(count = 1) {
      for (; count > 0; count -= 1) {
        const { timestamp } = this.queue.shift();
        log.open += 1;
        this.output({ timestamp, displayWidth: 4, displayHeight: 3, close: () => { log.open -= 1; log.closed += 1; } });
      }
    }
  };
  const surface = { give(picture) { log.shown.push(picture.timestamp); picture.close(); return true; } };
  const decoder = new FramesDecoder(surface, {
    onfail: (reason) => { log.failed = reason; }, onpicture: () => {}, send: ({ type }) => { if (type === "keyframe") log.asked += 1; },
  });
  const track = () => decoder.track({ type: "track", number: 1, kind: "video", codec: "vp8", mime: "" });
  let at = performance.now();
  const frame = (timestamp, key = false, wait = 0) => {
    at += wait;
    decoder.frame({ number: 1, timestamp, duration: 0, key, data: new Uint8Array([0]) }, at);
  };
  try {
    for (const [what, ...more] of script) ({ track, frame, give: (count) => current.give(count), rest: () => decoder.rest(),
      error: () => { current.state = "closed"; current.error(new DOMException("broken")); } })[what](...more);
    return { ...log, waiting: current.queue.length, arrivals: decoder.arrivals.size, stats: decoder.stats };
  } finally {
    globalThis.VideoDecoder = Native;
  }
}"""


def frames(first: int, count: int, key: bool = False) -> list[list[Any]]:
    return [["frame", first + number, key and number == 0] for number in range(count)]


async def test_a_replay_shows_its_first_picture_at_once_and_then_the_newest(page: Page) -> None:
    told = await page.evaluate(DECODER, [["track"], *frames(1, 20, key=True), ["give", 20]])
    assert told["shown"][0] == 1
    assert told["shown"][-3:] == [18, 19, 20]
    assert len(told["shown"]) == 4
    assert told["stats"] == {"fed": 20, "shown": 4, "dropped": 16}
    assert told["open"] == told["arrivals"] == 0


async def test_a_fresh_keyframe_makes_what_waits_before_it_worthless(page: Page) -> None:
    told = await page.evaluate(DECODER, [["track"], *frames(1, 20, key=True), ["give", 1], *frames(21, 2, key=True), ["give", 2]])
    assert told["shown"] == [1, 21, 22]
    assert told["resets"] == 1
    assert told["stats"] == {"fed": 22, "shown": 3, "dropped": 19}
    # One that comes in time resets nothing.
    told = await page.evaluate(DECODER, [["track"], *frames(1, 2, key=True), *frames(3, 2, key=True), ["give", 4]])
    assert (told["resets"], told["shown"]) == (0, [1, 2, 3, 4])


async def test_after_a_hole_in_the_network_only_the_newest_pictures_of_the_burst_are_shown(page: Page) -> None:
    steady: list[list[Any]] = [["track"], *frames(1, 1, key=True), ["give", 1], ["frame", 2, False, 3000], ["give", 1]]
    told = await page.evaluate(DECODER, [*steady, ["frame", 3, False, 2000], *frames(4, 59), ["give", 60]])
    assert told["shown"] == [1, 2, 60, 61, 62]
    assert told["asked"] == 0, "nothing was lost, so no keyframe is needed"


async def test_a_decoder_that_stays_behind_waits_for_a_keyframe_that_it_asks_for_once(page: Page) -> None:
    steady: list[list[Any]] = [["track"], *frames(1, 1, key=True), ["give", 1], ["frame", 2, False, 3000], ["give", 1]]
    slow = [["frame", number, False, 100] for number in range(3, 40)]
    told = await page.evaluate(DECODER, [*steady, *slow, ["frame", 40, True, 100], ["give", 1]])
    assert told["asked"] == 1
    assert told["shown"] == [1, 2, 40]
    assert told["waiting"] == told["open"] == 0
    assert told["stats"]["fed"] < 30


async def test_a_broken_frame_ends_no_picture_but_three_do(page: Page) -> None:
    broken: list[list[Any]] = [
        ["track"],
        *frames(1, 1, key=True),
        ["give", 1],
        ["frame", 2],
        ["error"],
        ["frame", 3],
        ["frame", 4, True],
        ["give", 1],
    ]
    told = await page.evaluate(DECODER, broken)
    assert (told["shown"], told["failed"], told["asked"]) == ([1, 4], "", 1)
    told = await page.evaluate(DECODER, [*broken, ["error"], ["error"]])
    assert told["failed"] == "broken"
    told = await page.evaluate(DECODER, [["track"], *frames(1, 1, key=True), ["error"]])
    assert told["failed"] == "broken", "where nothing was ever shown, the other engine is tried at once"


async def test_nobody_looks_so_nothing_is_decoded(page: Page) -> None:
    told = await page.evaluate(DECODER, [["track"], *frames(1, 5, key=True), ["rest"], *frames(6, 5, key=True)])
    assert (told["waiting"], told["arrivals"], told["stats"]["fed"]) == (0, 0, 5)


async def test_a_browser_is_asked_once_what_it_plays_and_no_answer_is_no_no(page: Page) -> None:
    """With WebCodecs that refuses VP9, never answers for AV1 and fails for the rest; MediaSource that plays H.264 and AAC."""
    found = await page.evaluate(
        """async () => {
          const { VideoDecoder, MediaSource, AudioWorkletNode } = window;
          const asked = [];
          const answers = { vp09: Promise.resolve({ supported: false }), av01: new Promise(() => {}) };
          window.VideoDecoder = { isConfigSupported({ codec }) {
            asked.push(codec);
            return answers[codec.split(".")[0]] || Promise.reject(new TypeError(codec));
          } };
          window.MediaSource = { isTypeSupported: (type) => (asked.push(type), /avc1|mp4a/.test(type)) };
          delete window.AudioWorkletNode;
          const { playable, playsOthers } = await import("/web/plays.js?afresh");
          const found = {};
          for (const engine of [null, "frames", "mse", "jpeg"]) found[engine] = await playable(engine);
          found.asked = asked.length;
          const film = "avc1.64001F";
          found.others = [playsOthers(["h264", "opus"], film), playsOthers(["h264", "av1"], film), playsOthers([], film)];
          Object.assign(window, { VideoDecoder, MediaSource, AudioWorkletNode });
          return found;
        }"""
    )
    assert found == {
        "null": ["av1", "h264", "aac"],
        "frames": ["av1", "aac"],
        "mse": ["h264", "aac"],
        "jpeg": ["aac"],
        "asked": 10,
        "others": [False, True, False],
    }


async def test_a_codecs_family_is_told_from_every_name_that_it_has(page: Page) -> None:
    names = {
        "vp8": ["vp8", "vp08.00.10.08", "video/webm;codecs=vp8", 'video/mp4; codecs="vp08.00.10.08"'],
        "vp9": ["vp9", "vp09.00.10.08", "video/webm;codecs=vp9"],
        "av1": ["av01.0.04M.08", "video/mp4;codecs=av1"],
        "h264": ["avc1.42E01E", "avc3.64001F", "video/webm;codecs=h264", "video/x-matroska;codecs=avc1"],
        "opus": ["opus", 'audio/webm; codecs="opus"'],
        "aac": ["mp4a.40.2"],
        "": ["", "hvc1.1.6", "video/mp4", "avenue/av1"],
    }
    told = await page.evaluate(
        """async (names) => {
          const { familyOf } = await import("/web/codec-families.js");
          return Object.entries(names).flatMap(([family, those]) => those.filter((name) => familyOf(name) !== family));
        }""",
        names,
    )
    assert told == []


@pytest.mark.parametrize(("shows", "told"), [(True, []), (False, ["no picture came out of the frames that went in"])])
async def test_an_engine_whose_pictures_are_counted_now_and_then_is_not_mute(page: Page, shows: bool, told: list[str]) -> None:
    """As in Chrome before 84, which does not tell of each picture: whenever the tile looks, more has gone in since the last count."""
    found = await page.evaluate(
        """async (shows) => {
          const { Tile } = await import("/web/tile.js");
          const told = [], stats = { fed: 0, shown: 0 };
          const tile = Object.assign(Object.create(Tile.prototype), { engine: { name: "mse", stats }, watched: true, blocked: false });
          Object.assign(tile, { state: "live", dropRetired() {}, onfail: (reason) => void told.push(reason) });
          const { now } = performance;
          let clock = 1000;
          performance.now = () => clock;
          try {
            tile.expectPicture();
            while (clock < 20000 && told.length === 0) {
              stats.fed += 4;
              if (shows) {
                stats.shown += 4;
                tile.onpicture();
              }
              clock += 125;
              stats.fed += 4;
              tile.checkEngine();
              clock += 125;
            }
          } finally {
            performance.now = now;
          }
          return told;
        }""",
        shows,
    )
    assert found == told
