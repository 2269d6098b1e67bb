"""The pages' modules that need no camera and no decoder, run in Chromium against bytes that the
relay's own writers made.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from drawercam.media.color import ColorSpace
from drawercam.media.containers.mp4_writer import Mp4Writer
from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Packet, Track
from tests.harness.browsers import Page, PageError
from tests.media.samples import RECORDINGS, read

pytestmark = pytest.mark.asyncio(loop_scope="session")


def recorded(name: str) -> list[Packet]:
    return [
        event for event in read([(RECORDINGS / name).read_bytes()]) if isinstance(event, Packet)
    ]


PICTURES = {"webm": recorded("chromium-vp8.webm"), "mp4": recorded("chromium-h264.webm")}


def writer(track: Track) -> WebmWriter | Mp4Writer:
    return WebmWriter(track, 1, 0) if track.codec in WebmWriter.CODECS else Mp4Writer(track, 1)


def sent(data: bytes) -> str:
    return base64.b64encode(data).decode()


BYTES = "const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;"


async def test_what_an_init_segment_says_of_colours_can_be_passed_over(page: Page) -> None:
    """For a browser that misreads it: the box has another type, and everything else is as it
    was.
    """
    track = PICTURES["mp4"][0].track
    for color in (None, ColorSpace("bt709", "bt709", "smpte170m", True)):
        init = Mp4Writer(replace(track, color=color), 1).init()
        assert init.count(b"colr") == (color is not None)
        got: str = await page.evaluate(
            f"""async (init) => {{
              {BYTES}
              const {{ withoutColors }} = await import("/web/shared/frames/mp4-frame.js");
              return btoa(String.fromCharCode(...new Uint8Array(withoutColors(bytes(init)))));
            }}""",
            sent(init),
        )
        assert base64.b64decode(got) == init.replace(b"colr", b"free")


@pytest.mark.parametrize("container", PICTURES)
async def test_frame_messages_are_read_as_they_were_written(page: Page, container: str) -> None:
    packets = PICTURES[container]
    written = writer(packets[0].track)
    messages = [sent(written.fragment(packet)) for packet in packets]
    got: list[Any] = await page.evaluate(
        f"""async (messages) => {{
          {BYTES}
          const {{ readFrame }} = await import("/web/shared/frames/frame-message.js");
          return messages.map((text) => {{
            const {{ number, timestamp, key, data }} = readFrame(bytes(text));
            return [number, timestamp, key, btoa(String.fromCharCode(...data))];
          }});
        }}""",
        messages,
    )
    resolution = 1000 if container == "webm" else 1
    assert [(number, key) for number, _, key, _ in got] == [(1, packet.key) for packet in packets]
    assert all(
        abs(one[1] - packet.timestamp) < resolution
        for one, packet in zip(got, packets, strict=True)
    )
    assert [base64.b64decode(data) for *_, data in got] == [packet.data for packet in packets]


@pytest.mark.parametrize("container", PICTURES)
async def test_cut_or_foreign_messages_are_errors(page: Page, container: str) -> None:
    packets = PICTURES[container]
    message = writer(packets[0].track).fragment(packets[0])[:200]
    errors = await page.evaluate(
        f"""async (text) => {{
          {BYTES}
          const {{ readFrame }} = await import("/web/shared/frames/frame-message.js");
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
        await page.evaluate(
            "async () => (await "
            'import("/web/shared/frames/frame-message.js")).readFrame(new ArrayBuffer(300))'
        )


DECODER = """async (script) => {
  // A decoder that gives a picture back only when it is told to, and a surface that writes down what it is given.
  const { FramesDecoder } = await import("/web/player/engines/frames-decoder.js");
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
    told = await page.evaluate(
        DECODER,
        [["track"], *frames(1, 20, key=True), ["give", 1], *frames(21, 2, key=True), ["give", 2]],
    )
    assert told["shown"] == [1, 21, 22]
    assert told["resets"] == 1
    assert told["stats"] == {"fed": 22, "shown": 3, "dropped": 19}
    # One that comes in time resets nothing.
    told = await page.evaluate(
        DECODER, [["track"], *frames(1, 2, key=True), *frames(3, 2, key=True), ["give", 4]]
    )
    assert (told["resets"], told["shown"]) == (0, [1, 2, 3, 4])


async def test_after_a_hole_in_the_network_only_the_newest_pictures_of_the_burst_are_shown(
    page: Page,
) -> None:
    steady: list[list[Any]] = [
        ["track"],
        *frames(1, 1, key=True),
        ["give", 1],
        ["frame", 2, False, 3000],
        ["give", 1],
    ]
    told = await page.evaluate(
        DECODER, [*steady, ["frame", 3, False, 2000], *frames(4, 59), ["give", 60]]
    )
    assert told["shown"] == [1, 2, 60, 61, 62]
    assert told["asked"] == 0, "nothing was lost, so no keyframe is needed"


async def test_a_decoder_that_stays_behind_waits_for_a_keyframe_that_it_asks_for_once(
    page: Page,
) -> None:
    steady: list[list[Any]] = [
        ["track"],
        *frames(1, 1, key=True),
        ["give", 1],
        ["frame", 2, False, 3000],
        ["give", 1],
    ]
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
    assert told["failed"] == "broken", (
        "where nothing was ever shown, the other engine is tried at once"
    )


async def test_nobody_looks_so_nothing_is_decoded(page: Page) -> None:
    told = await page.evaluate(
        DECODER, [["track"], *frames(1, 5, key=True), ["rest"], *frames(6, 5, key=True)]
    )
    assert (told["waiting"], told["arrivals"], told["stats"]["fed"]) == (0, 0, 5)


async def test_a_browser_is_asked_once_what_it_plays_and_no_answer_is_no_no(page: Page) -> None:
    """With WebCodecs that refuses VP9, never answers for AV1 and fails for the rest; MediaSource
    that plays H.264 and AAC.
    """
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
          const { playable, playsOthers } = await import("/web/player/pictures/plays.js?afresh");
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
        "vp8": [
            "vp8",
            "vp08.00.10.08",
            "video/webm;codecs=vp8",
            'video/mp4; codecs="vp08.00.10.08"',
        ],
        "vp9": ["vp9", "vp09.00.10.08", "video/webm;codecs=vp9"],
        "av1": ["av01.0.04M.08", "video/mp4;codecs=av1"],
        "h264": [
            "avc1.42E01E",
            "avc3.64001F",
            "video/webm;codecs=h264",
            "video/x-matroska;codecs=avc1",
        ],
        "opus": ["opus", 'audio/webm; codecs="opus"'],
        "aac": ["mp4a.40.2"],
        "": ["", "hvc1.1.6", "video/mp4", "avenue/av1"],
    }
    told = await page.evaluate(
        """async (names) => {
          const { familyOf } = await import("/web/shared/relay/codec-families.js");
          return Object.entries(names).flatMap(([family, those]) => those.filter((name) => familyOf(name) !== family));
        }""",
        names,
    )
    assert told == []


@pytest.mark.parametrize(
    ("shows", "told"), [(True, []), (False, ["no picture came out of the frames that went in"])]
)
async def test_an_engine_whose_pictures_are_counted_now_and_then_is_not_mute(
    page: Page, shows: bool, told: list[str]
) -> None:
    """As in Chrome before 84, which does not tell of each picture: whenever the tile looks, more
    has gone in since the last count.
    """
    found = await page.evaluate(
        """async (shows) => {
          const { EngineRunner } = await import("/web/player/pictures/engine-runner.js");
          const told = [], stats = { fed: 0, shown: 0 }, forced = { engine: null, surface: null };
          const handlers = { onexpect() {}, holds: () => false };
          const runner = new EngineRunner("porch", document.createElement("span"), forced, handlers);
          Object.assign(runner, { engine: { name: "mse", stats }, fail: (reason) => void told.push(reason) });
          const { now } = performance;
          let clock = 1000;
          performance.now = () => clock;
          try {
            runner.expect();
            while (clock < 20000 && told.length === 0) {
              stats.fed += 4;
              if (shows) {
                stats.shown += 4;
                runner.saw(clock);
              }
              clock += 125;
              stats.fed += 4;
              runner.check(clock);
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


# --- cameras that are gone ---

_ALARMS = """async (steps) => {
  const { Alarms } = await import("/web/player/wall/alarms.js");
  const [set, clear] = [window.setTimeout, window.clearTimeout], timers = new Map(), titles = [], spoken = [];
  let now = 0;
  window.setTimeout = (action, after) => (timers.set(timers.size + 1, [now + after, action]), timers.size);
  window.clearTimeout = (timer) => timers.has(timer) && timers.set(timer, [Infinity, null]);
  try {
    const onchange = () => titles.push([now / 1000, alarms.words()]), ontell = (name) => spoken.push([now / 1000, name]);
    const alarms = new Alarms({ onchange, ontell });
    for (const [at, name, reason] of steps) {
      for (const [timer, [due, action]] of timers) {
        if (due > at * 1000) continue;
        now = due;
        timers.set(timer, [Infinity, null]);
        action();
      }
      now = at * 1000;
      if (reason) alarms.hear(name, reason);
      else if (name) alarms.forget(name);
    }
  } finally {
    [window.setTimeout, window.clearTimeout] = [set, clear];
  }
  return { titles: titles.filter(([, text], i) => text !== (i ? titles[i - 1][1] : "")), spoken };
}"""


@pytest.mark.parametrize(
    ("steps", "titles", "spoken"),
    [
        ([[0, "porch", "closed"], [9, "porch", ""], [60, "", ""]], [], []),
        (
            [[0, "porch", "lost"], [60, "porch", ""]],
            [[10, "porch: connection lost"], [60, ""]],
            [[10, "porch"]],
        ),
        ([[0, "porch", "left"], [60, "", ""]], [], [[10, "porch"]]),
        (
            [
                [0, "porch", "media"],
                [4, "porch", "media"],
                [8, "porch", "lost"],
                [12, "porch", "media"],
                [60, "", ""],
            ],
            [[10, "porch: connection lost"], [12, "porch: video broken"]],
            [[10, "porch"]],
        ),
        (
            [[0, "porch", "left"], [30, "porch", "lost"], [60, "", ""]],
            [[40, "porch: connection lost"]],
            [[10, "porch"], [40, "porch"]],
        ),
        (
            [[0, "porch", "lost"], [30, "porch", "left"], [60, "", ""]],
            [[10, "porch: connection lost"], [30, ""]],
            [[10, "porch"]],
        ),
        (
            [
                [0, "a", "lost"],
                [5, "b", "lost"],
                [20, "c", "closed"],
                [40, "a", ""],
                [41, "b", ""],
                [60, "", ""],
            ],
            [
                [10, "a: connection lost"],
                [15, "2 cameras: connection lost"],
                [30, "3 cameras: connection lost, page closed"],
                [40, "2 cameras: connection lost, page closed"],
                [41, "c: page closed"],
            ],
            [[10, "a"], [15, "b"], [30, "c"]],
        ),
    ],
    ids=[
        "reloaded",
        "lost",
        "switched off",
        "again and again",
        "switched off, then lost",
        "lost, then switched off",
        "three",
    ],
)
async def test_a_camera_that_is_missed_is_told_once_and_not_at_once(
    page: Page, steps: list[Any], titles: Any, spoken: Any
) -> None:
    assert await page.evaluate(_ALARMS, steps) == {"titles": titles, "spoken": spoken}


async def test_who_has_filmed_leaves_the_wall_only_with_a_word(page: Page) -> None:
    rolls = await page.evaluate(
        """async () => {
          const { Roll } = await import("/web/player/wall/roll.js");
          const roll = new Roll(), seen = [];
          const take = (now, ...listed) => {
            roll.take(listed.map(([name, state, since]) => ({ name, state, ...(since ? { reason: "closed", since } : {}) })), now);
            seen.push(roll.all.map(({ name, state, reason = "", since = 0 }) => [name, state, reason, since]));
          };
          take(1, ["b", "live"], ["c", "waiting"], ["d", "paused"]);
          take(2, ["a", "waiting"], ["b", "live"]);
          take(3, ["a", "live"], ["b", "gone", 7]);
          take(4);
          take(5, ["b", "waiting"]);
          take(6, ...[...Array(250).keys()].map((i) => [`n${i}`, "live"]));
          take(7);
          return [...seen.slice(0, 5), roll.all.length];
        }"""
    )
    assert rolls == [
        [["b", "live", "", 0], ["c", "waiting", "", 0], ["d", "paused", "", 0]],
        [["a", "waiting", "", 0], ["b", "live", "", 0], ["d", "gone", "lost", 2]],
        [["a", "live", "", 0], ["b", "gone", "closed", 7], ["d", "gone", "lost", 2]],
        [["a", "gone", "lost", 4], ["b", "gone", "closed", 7], ["d", "gone", "lost", 2]],
        [["a", "gone", "lost", 4], ["b", "waiting", "", 0], ["d", "gone", "lost", 2]],
        100,
    ]


async def test_what_is_put_away_is_remembered_also_where_nothing_can_be_stored(page: Page) -> None:
    assert await page.evaluate(
        """async () => {
          const { PutAway } = await import("/web/player/wall/put-away.js");
          const key = "drawercam-put-away", { setItem, getItem } = Storage.prototype;
          localStorage.setItem(key, '{"old": 5, "odd": "x", "":');
          const one = new PutAway(() => {}), broken = one.since.size;
          one.put([["porch", 7], ["attic", 9]]);
          const other = new PutAway(() => {});
          const found = [["porch", 7], ["attic", 9]].map(([name, at]) => [0, 1, -1].map((step) => other.has(name, at + step)));
          other.forget(["porch", "nobody"]);
          const left = Object.keys(JSON.parse(localStorage.getItem(key)));
          other.put([...Array(300).keys()].map((i) => [`n${i}`, i + 1]));
          const most = Object.keys(JSON.parse(localStorage.getItem(key))).length;
          localStorage.removeItem(key);
          Storage.prototype.setItem = Storage.prototype.getItem = () => { throw new DOMException("no", "SecurityError"); };
          const blocked = new PutAway(() => {});
          blocked.put([["porch", 7]]);
          Object.assign(Storage.prototype, { setItem, getItem });
          return [broken, found, left, most, blocked.has("porch", 7)];
        }"""
    ) == [0, [[True, False, False], [True, False, False]], ["attic"], 200, True]


async def test_the_day_is_told_where_it_was_not_today(page: Page) -> None:
    today, night, week = await page.evaluate(
        """async () => {
          const { clockTime } = await import("/web/shared/page/clock-time.js");
          const at = (days) => {
            const day = new Date();
            day.setDate(day.getDate() - days);
            return clockTime(day.setHours(1, 39));
          };
          return [at(0), at(1), at(7)];
        }"""
    )
    assert today.startswith("at 01:39") and "yesterday" not in today
    assert night == f"{today} yesterday"
    assert week.startswith(f"{today} on ")


async def test_what_is_true_no_more_is_taken_back_from_the_screen_reader(page: Page) -> None:
    said = await page.evaluate(
        """async () => {
          const { Announcer } = await import("/web/shared/page/announcer.js");
          const element = document.createElement("div"), announcer = new Announcer(element), seen = [];
          const wait = () => new Promise((resolve) => setTimeout(resolve, 900));
          announcer.say("porch", "porch: Live.");
          announcer.say("attic", "attic: Frozen.");
          announcer.takeBack("attic");
          announcer.say("attic", "attic: Live.");
          await wait();
          seen.push(element.textContent.trim());
          announcer.takeBack("porch");
          seen.push(element.textContent.trim());
          announcer.say("porch", "porch: Paused.");
          announcer.takeBack("porch");
          await wait();
          return [...seen, element.textContent.trim()];
        }"""
    )
    assert said == ["porch: Live. attic: Live.", "attic: Live.", "attic: Live."]


async def test_a_wall_of_very_many_has_a_place_for_each(page: Page) -> None:
    """As many as the relay remembers, and as many that film: to try all ways of putting them into
    rows would take minutes.
    """
    places = await page.evaluate(
        """async () => {
          const { placeTiles } = await import("/web/player/wall/layout.js");
          return placeTiles([...Array(200).keys()].map((i) => [4 / 3, 9 / 16, 16 / 9][i % 3]), 800, 600);
        }"""
    )
    assert len(places) == 200
    tops = sorted({one["top"] for one in places})
    rows = [[one for one in places if one["top"] == top] for top in tops]
    for row in rows:
        assert row[0]["left"] >= -1 and row[-1]["left"] + row[-1]["width"] <= 801
        assert all(one["left"] + one["width"] < other["left"] for one, other in pairwise(row))
    assert all(row[0]["top"] + row[0]["height"] < below[0]["top"] for row, below in pairwise(rows))
