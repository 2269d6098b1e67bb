"""The camera's page when things go badly: pauses, sleep, weak networks; lenses, encoders and relays
that stop. All of it is real.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.browsers.conftest import Browsers
from tests.browsers.test_camera_codecs import film, frames
from tests.harness.browsers import Browser, Page
from tests.harness.pages import PATIENCE
from tests.harness.peers import Peer, peer, voting
from tests.harness.proxies import Proxy
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

TRACK = "document.getElementById('picture').srcObject.getVideoTracks()[0]"


@asynccontextmanager
async def filming(browser: Browser, relay: Relay, name: str, more: str = "") -> AsyncIterator[Page]:
    page = await film(browser, relay, name, more)
    try:
        yield page
        await page.refresh_console()
        assert page.errors == []
    finally:
        await page.close()


async def shows(page: Page, place: str, text: str) -> None:
    """Wait until a person can read this there."""
    await page.wait_for(
        f"document.getElementById({json.dumps(place)}).innerText.includes({json.dumps(text)})",
        PATIENCE,
    )


async def details_say(page: Page, text: str) -> None:
    """Wait until this stands behind *Details*, which need not be open."""
    await page.wait_for(
        f"document.getElementById('encoder').textContent.includes({json.dumps(text)})", PATIENCE
    )


async def in_state(page: Page, wanted: str) -> None:
    await page.wait_for(
        f"document.getElementById('status').dataset.state === {json.dumps(wanted)}", PATIENCE
    )


async def clock(player: Peer) -> float:
    """The relay's clock, ms."""
    known = sum(one["type"] == "pong" for one in player.messages)
    await player.send(type="ping", t=0)
    return (
        float(
            (
                await player.until(
                    lambda one: [m for m in one.messages if m["type"] == "pong"][known:]
                )
            )[0]["time"]
        )
        / 1000
    )


async def more_frames(player: Peer, count: int = 5, number: int = 1) -> None:
    """Wait until so many more frames of a track have come. Pictures may need a keyframe first."""
    known = len(frames(player, number))
    await player.until(
        lambda one: len(frames(one, number)) >= known + count, f"for frames of track {number}"
    )


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a watchdog waits for takes longer than what a relay answers."""
    monkeypatch.setattr("tests.harness.peers.PATIENCE", PATIENCE)


# --- pauses ---


@pytest.mark.parametrize("encoder", ["codecs", pytest.param("recorder", marks=pytest.mark.long)])
async def test_a_pause_says_who_and_is_a_gap_on_the_timeline(
    relay: Relay, chromium: Browser, encoder: str
) -> None:
    name = f"voted-{encoder}"
    async with (
        filming(chromium, relay, name, f"&encoder={encoder}") as page,
        peer(relay, f"/player/{name}") as player,
    ):
        await player.until(lambda one: len(frames(one)) > 5)
        async with voting(player):
            await shows(page, "status", "Paused by the viewers")
            await shows(page, "detail", "cannot keep up. Filming goes on as soon as it can.")
            await player.message("state", state="paused", reason="viewers")
            before = [one.when for one in frames(player)]
            began = await clock(player)
            await page.evaluate("new Promise((resolve) => setTimeout(resolve, 2000))")
            ended = await clock(player)
            known = len(frames(player))
        await player.send(type="resume")
        await in_state(page, "live")
        await player.until(lambda one: len(frames(one)) > known + 5)
        after = frames(player)[known:]
        assert after[0].key
        # A recorder's pictures are placed by their arrival, as well as that tells.
        assert after[0].when > (began + ended) / 2
        assert max(before) < began + 500
        times = [one.when for one in frames(player)]
        assert times == sorted(set(times))


async def test_a_pause_by_several_says_how_many(relay: Relay, chromium: Browser) -> None:
    async with (
        filming(chromium, relay, "crowd") as page,
        peer(relay, "/player/crowd") as one,
        peer(relay, "/player/crowd") as other,
    ):
        for player in (one, other):
            await more_frames(player)
        async with voting(one, other):
            await shows(page, "detail", "2 of 2 viewers cannot keep up.")


# --- sleep ---

# Counts what would be done again if a camera forgot what it knows, and keeps what holds the screen
# on.
COUNTS = """
  window.counts = { lens: 0, tests: 0 };
  window.locks = [];
  const ask = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = function (...values) {
    if (window.busy) return Promise.reject(new DOMException("busy", "NotReadableError"));
    window.counts.lens += 1;
    return ask.apply(this, values);
  };
  const test = VideoEncoder.isConfigSupported;
  VideoEncoder.isConfigSupported = (...values) => (window.counts.tests += 1, test.apply(VideoEncoder, values));
  const request = WakeLock.prototype.request;
  WakeLock.prototype.request = async function (...values) {
    const lock = await request.apply(this, values);
    window.locks.push(lock);
    return lock;
  };
"""
SCREEN_STAYS_ON = (
    "window.locks.some((lock) => !lock.released) || document.querySelector('.wake-video') !== null"
)


@pytest.fixture(scope="module")
def sleepy() -> Iterator[Relay]:
    """A relay that lets a camera sleep when nobody has watched it for four seconds: a page is live
    before.
    """
    with Relay(given={"drawercam.live.pausing.SLEEP_AFTER": 4_000_000}) as one:
        yield one


@pytest.mark.parametrize("rest", [pytest.param("encoder", marks=pytest.mark.long), "lens"])
async def test_it_sleeps_while_nobody_watches_and_wakes_up(
    sleepy: Relay, rest: str, browsers: Browsers
) -> None:
    relay, name = sleepy, f"sleeper-{rest}"
    async with (
        browsers.chromium(COUNTS) as phone,
        filming(phone, relay, name, f"&rest={rest}") as page,
    ):
        before = await page.evaluate("window.counts")
        await shows(page, "status", "Asleep, nobody is watching")
        await shows(page, "detail", "It wakes up as soon as somebody watches.")
        assert await page.evaluate("document.getElementById('picture').srcObject === null") == (
            rest == "lens"
        )
        if rest == "lens":
            await shows(page, "note", "The lens is off.")
        assert await page.evaluate(SCREEN_STAYS_ON)
        async with peer(relay, f"/player/{name}") as player:
            assert (await player.message("state"))["reason"] == "unwatched"
            await more_frames(player)
            assert frames(player)[0].key
            await player.message("track", number=2)
            await in_state(page, "live")
        after = await page.evaluate("window.counts")
        assert after["lens"] - before["lens"] == (1 if rest == "lens" else 0)
        assert after["tests"] == before["tests"], "the encoders are not tried again"
        assert await page.evaluate("document.getElementById('note').hidden")


@pytest.mark.long
async def test_a_lens_that_is_busy_when_it_wakes_up_is_tried_again(
    sleepy: Relay, browsers: Browsers
) -> None:
    async with (
        browsers.chromium(COUNTS) as phone,
        filming(phone, sleepy, "late-riser", "&rest=lens") as page,
    ):
        await shows(page, "status", "Asleep")
        await page.evaluate("void (window.busy = true)")
        async with peer(sleepy, "/player/late-riser") as player:
            await shows(page, "panel", "The camera is in use")
            await player.message("state", state="paused", reason="interrupted")
            await page.evaluate("void (window.busy = false)")
            await more_frames(player)
            await page.wait_for("document.getElementById('panel').hidden", PATIENCE)


@pytest.mark.long
async def test_a_person_can_stop_it_while_it_sleeps(sleepy: Relay, chromium: Browser) -> None:
    async with filming(chromium, sleepy, "stopped", "&rest=lens") as page:
        await shows(page, "note", "The lens is off.")
        await page.click("#stop")
        await page.wait_for(
            (
                "document.getElementById('picture').videoWidth > 0 && "
                "!document.getElementById('start').disabled"
            ),
            PATIENCE,
        )
        assert await page.evaluate(
            "document.getElementById('note').hidden && document.getElementById('rest').checked"
        )


async def test_the_box_is_remembered(relay: Relay, chromium: Browser) -> None:
    for wanted in (True, False):
        page = await chromium.page(f"{relay.origin}/camera.html?name=boxed")
        await page.wait_for("document.getElementById('boot') === null", PATIENCE)
        assert await page.evaluate("document.getElementById('rest').checked") != wanted
        await page.click("#rest")
        await page.close()


# --- weak networks ---


@pytest.mark.parametrize("encoder", ["vp8", "recorder"])
@pytest.mark.long
async def test_a_weak_uplink_gets_less_and_the_pictures_stay_young(
    relay: Relay, chromium: Browser, encoder: str
) -> None:
    name = f"weak-{encoder}"
    async with Proxy(relay.port) as proxy:
        page = await chromium.page(
            f"{proxy.origin}/camera.html?name={name}&start=1&encoder={encoder}&width=640&height=480"
        )
        await in_state(page, "live")
        async with peer(relay, f"/player/{name}") as player:
            await more_frames(player, 20)
            proxy.throttle(30_000)
            await shows(page, "detail", "Slow network: ")
            await page.wait_for("document.getElementById('picture').videoWidth < 640", PATIENCE)
            await more_frames(player, 20)
            shown = await page.wait_for(
                "document.getElementById('detail').innerText.match(/ ([0-9]+) kbit/)?.[1]", PATIENCE
            )
            assert int(shown) < 500
            await page.evaluate("new Promise((resolve) => setTimeout(resolve, 5000))")
            await more_frames(player, 5)
            # A queue that grows would hold several times as much as the network carries, and be
            # half a minute long by now.
            assert await clock(player) - frames(player)[-1].when < 10_000
            small = await page.evaluate("document.getElementById('picture').videoWidth")
            proxy.throttle(None)
            await page.wait_for(
                f"document.getElementById('picture').videoWidth > {small}", 2 * PATIENCE
            )
        assert page.errors == []
        await page.close()


# --- the watchdog ---


@pytest.mark.parametrize(
    ("facts", "trouble"),
    [
        ({}, ""),
        ({"still": True}, "still"),
        ({"silence": 2000}, ""),
        ({"silence": 4000}, "silent"),
        ({"silence": 4000, "still": True}, "still"),
        ({"muted": True, "silence": 4000}, "muted"),
        ({"ended": True, "muted": True}, "ended"),
    ],
)
async def test_what_counts_as_trouble(page: Page, facts: dict[str, Any], trouble: str) -> None:
    well = {"ended": False, "muted": False, "silence": 0, "still": False}
    assert (
        await page.evaluate(
            "async (facts) => (await import('/web/camera/lens/watchdog.js')).troubleOf(facts)",
            well | facts,
        )
        == trouble
    )


WATCH = """async ({ trouble, from, to, seconds }) => {
  const { Watchdog } = await import("/web/camera/lens/watchdog.js");
  const watchdog = new Watchdog();
  const acts = [];
  for (let now = 0; now < seconds * 1000; now += 250) {
    const word = now >= from * 1000 && now < to * 1000 ? trouble : "";
    if (watchdog.look(word, now)) acts.push(now / 1000);
  }
  return acts;
}"""


@pytest.mark.parametrize(
    ("trouble", "first"), [("ended", 101), ("muted", 110), ("still", 102.5), ("silent", 112)]
)
async def test_trouble_is_met_soon_and_then_ever_more_rarely(
    page: Page, trouble: str, first: float
) -> None:
    acts = await page.evaluate(
        WATCH, {"trouble": trouble, "from": 100, "to": 2000, "seconds": 2000}
    )
    assert acts[0] == first
    pauses = [later - earlier for earlier, later in itertools.pairwise(acts)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 30
    assert pauses[-1] == 120


async def test_what_passes_by_itself_is_left_alone(page: Page) -> None:
    assert (
        await page.evaluate(WATCH, {"trouble": "muted", "from": 100, "to": 109, "seconds": 200})
        == []
    )
    assert await page.evaluate(WATCH, {"trouble": None, "from": 0, "to": 200, "seconds": 200}) == []


# A lens that gives a picture each `gap` ms until `stops` (s), of which the browser says that it
# gives `rate` a second; an engine that begins afresh each `renewed` ms (0: never) gets its last
# picture once more.
STILL = """async (lenses) => {
  const { Stillness } = await import("/web/camera/lens/watchdog.js");
  return lenses.map(({ gap, rate = null, stops = Infinity, renewed = 0 }) => {
    const stillness = new Stillness();
    const track = { getSettings: () => (rate === null ? {} : { frameRate: rate }) };
    const changes = [];
    let count = 1, again = 0, was = false;
    for (let now = 0; now < 90000; now += 250) {
      if (now <= stops * 1000) count = 1 + Math.floor(now / gap);
      else if (renewed && (now - stops * 1000) % renewed === 0) {
        stillness.pace.renewed(now);
        again += 1;
      }
      const still = stillness.look(count + again, now, track);
      if (still !== was) changes.push([still, now / 1000]);
      was = still;
    }
    return changes;
  });
}"""


async def test_a_picture_stands_still_when_its_count_does(page: Page) -> None:
    lenses = [
        {"gap": 333, "rate": 30},
        {"gap": 33, "rate": 30, "stops": 20},
        {"gap": 33, "rate": 30, "stops": 20, "renewed": 3000},
    ]
    dark, stopped, repeated = await page.evaluate(STILL, lenses)
    assert dark == []
    assert stopped == repeated == [[True, 23]], (
        "what an engine that begins afresh repeats is no new picture"
    )
    count = """async () => {
      const { Stillness } = await import("/web/camera/lens/watchdog.js");
      return new Stillness().look(null, 9e9, null);
    }"""
    assert await page.evaluate(count) is False, "the page has an excuse"


async def test_a_slow_lens_does_not_stand_still_and_one_that_stops_does(page: Page) -> None:
    slow = [
        {"gap": 2000, "rate": 30},  # the browser may say what it likes
        {"gap": 2000, "rate": 0.5},
        {"gap": 5000, "rate": 0.2},
        {"gap": 5000},
        {"gap": 10000},
        {"gap": 20000, "rate": 0.05},
    ]
    assert await page.evaluate(STILL, slow) == [[]] * len(slow)
    late, stopped = await page.evaluate(
        STILL, [{"gap": 5000, "rate": 30}, {"gap": 2000, "stops": 30, "renewed": 6000}]
    )
    assert late[-1] == [False, 10], "its pace is known by then"
    assert stopped == [[True, 36]]


SLOW_LENS = """
  navigator.mediaDevices.getUserMedia = async () => {
    window.asked = (window.asked || 0) + 1;
    const canvas = document.createElement("canvas");
    canvas.width = 320; canvas.height = 240;
    const pen = canvas.getContext("2d", { alpha: false });
    const stream = canvas.captureStream(0);
    let turn = 0;
    const draw = () => {
      pen.fillStyle = `hsl(${(turn += 40)} 80% 60%)`;
      pen.fillRect(0, 0, 320, 240);
      stream.getVideoTracks()[0].requestFrame();
    };
    setInterval(draw, 2500);
    setTimeout(draw, 100);
    return stream;
  };
"""


@pytest.mark.long
async def test_a_slow_lens_is_filmed_and_never_started_anew(
    relay: Relay, browsers: Browsers
) -> None:
    more = "&sound=0&encoder=codecs"
    async with (
        browsers.chromium(SLOW_LENS) as phone,
        peer(relay, "/player/slow") as player,
        filming(phone, relay, "slow", more) as page,
    ):
        await shows(page, "detail", "1 picture in 3 s")
        await more_frames(player, 5)
        assert await page.evaluate("window.asked") == 1
        assert "begun afresh" not in await page.evaluate(
            "document.getElementById('encoder').textContent"
        )
        assert await page.evaluate("document.getElementById('camera').dataset.encoder") == "codecs"


async def test_an_encoder_that_gives_nothing_gives_way(relay: Relay, chromium: Browser) -> None:
    async with (
        filming(chromium, relay, "mute-encoder", "&encoder=vp8") as page,
        peer(relay, "/player/mute-encoder") as player,
    ):
        await more_frames(player)
        await page.evaluate("void (VideoEncoder.prototype.encode = () => undefined)")
        await shows(page, "detail", "The encoder stood still and was started anew.")
        await details_say(page, "begun afresh")
        await page.wait_for(
            "document.getElementById('camera').dataset.encoder === 'recorder'", PATIENCE
        )
        await more_frames(player)


@pytest.mark.parametrize(
    "recorder", [pytest.param("was not tried", marks=pytest.mark.long), "failed when it was tried"]
)
async def test_a_recorder_that_gives_nothing_gives_way(
    relay: Relay, recorder: str, browsers: Browsers
) -> None:
    """A computer was too busy for a measurement, so a recorder was chosen; it does not work,
    whatever the browser says.
    """
    script = """
      const encode = VideoEncoder.prototype.encode, supported = VideoEncoder.isConfigSupported;
      let tests = 0;
      VideoEncoder.isConfigSupported = (config) =>
        tests++ >= MOST ? Promise.resolve({ supported: false }) : supported.call(VideoEncoder, config);
      window.busyUntil = performance.now() + 4000;
      VideoEncoder.prototype.encode = function (...values) {
        if (performance.now() > window.busyUntil) return encode.apply(this, values);
      };
      MediaRecorder.prototype.start = function () {};
    """.replace("MOST", "3" if recorder == "was not tried" else "1")
    name = "mute-recorder-" + recorder.split()[0]
    async with (
        browsers.chromium(script) as phone,
        peer(relay, f"/player/{name}") as player,
        filming(phone, relay, name) as page,
    ):
        await more_frames(player, 20)
        assert await page.evaluate("document.getElementById('camera').dataset.encoder") == "codecs"


@pytest.mark.long
async def test_a_sound_encoder_that_gives_nothing_gives_way(
    relay: Relay, chromium: Browser
) -> None:
    async with (
        filming(chromium, relay, "mute-sound") as page,
        peer(relay, "/player/mute-sound") as player,
    ):
        await more_frames(player, number=2)
        await page.evaluate("void (AudioEncoder.prototype.encode = () => undefined)")
        await shows(page, "detail", "The sound stood still and was started anew.")
        await more_frames(player, 20, number=2)


FOUR_CHANNELS = """
  const ask = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (wishes) {
    const stream = await ask.call(this, wishes);
    for (const track of stream.getAudioTracks()) {
      const context = new AudioContext(), merger = context.createChannelMerger(4), out = context.createMediaStreamDestination();
      out.channelCount = 4;
      for (let channel = 0; channel < 4; channel += 1) {
        const tone = context.createOscillator();
        tone.connect(merger, 0, channel);
        tone.start();
      }
      merger.connect(out);
      stream.removeTrack(track);
      stream.addTrack(out.stream.getAudioTracks()[0]);
    }
    return stream;
  };
  const { warn } = console;
  console.warn = (...words) => {
    (window.warned = window.warned || []).push(words.join(" "));
    warn.apply(console, words);
  };
  const encode = AudioEncoder.prototype.encode;
  AudioEncoder.prototype.encode = function (data) {
    window.encoded = data.numberOfChannels;
    return encode.call(this, data);
  };
"""


async def test_sound_of_four_channels_is_mixed_down(relay: Relay, browsers: Browsers) -> None:
    async with (
        browsers.chromium(FOUR_CHANNELS) as phone,
        peer(relay, "/player/quad") as player,
        filming(phone, relay, "quad") as page,
    ):
        await more_frames(player, 20, number=2)
        assert await page.evaluate("window.encoded") == 2
        assert await page.evaluate("window.warned || []") == []


async def test_every_channel_is_in_the_mix_and_nothing_clips(page: Page) -> None:
    mixed = await page.evaluate(
        """async (loud) => {
          const { mixDown } = await import("/web/camera/encode/mixing.js");
          return loud.map((levels) => {
            const data = new Float32Array(levels.flatMap((level) => [level, -level]));
            const of = { format: "f32-planar", sampleRate: 48000, numberOfFrames: 2, numberOfChannels: levels.length, timestamp: 7, data };
            const before = new AudioData(of), after = mixDown(before);
            const planes = [...Array(after.numberOfChannels).keys()].map((planeIndex) => {
              const plane = new Float32Array(2);
              after.copyTo(plane, { planeIndex, format: "f32-planar" });
              return [...plane];
            });
            return [after === before, after.timestamp, planes];
          });
        }""",
        [[1], [1, 0.5], [1, 1, 1, 1], [1, 0, 0, 0.5], [0.5, 0, 1], [1, 1, 1, 1, 1, 1]],
    )
    assert [(same, when) for same, when, _ in mixed] == [(True, 7), (True, 7), *[(False, 7)] * 4]
    expected: list[list[float]] = [[1], [1, 0.5], [1, 1], [0.5, 0.25], [0.5], [1]]
    for (_, _, planes), levels in zip(mixed, expected, strict=True):
        assert planes == [pytest.approx([level, -level]) for level in levels]


@pytest.mark.long
async def test_a_source_of_pictures_that_gives_none_gives_way(
    relay: Relay, chromium: Browser
) -> None:
    """The preview goes on moving, so it is not the lens."""
    async with (
        filming(chromium, relay, "mute-source", "&encoder=vp8") as page,
        peer(relay, "/player/mute-source") as player,
    ):
        await more_frames(player)
        await page.evaluate(
            f"""() => {{
              window.MediaStreamTrackProcessor = class {{ readable = new ReadableStream(); }};
              {TRACK}.stop();
              {TRACK}.dispatchEvent(new Event("ended"));
            }}"""
        )
        await page.wait_for(
            "document.getElementById('camera').dataset.encoder === 'recorder'", PATIENCE
        )
        await more_frames(player)


@pytest.mark.long
async def test_a_recorder_that_stops_is_started_anew(relay: Relay, browsers: Browsers) -> None:
    script = """
      window.recorders = [];
      const start = MediaRecorder.prototype.start;
      MediaRecorder.prototype.start = function (...values) { window.recorders.push(this); start.apply(this, values); };
    """
    async with (
        browsers.chromium(script) as phone,
        filming(phone, relay, "halted", "&encoder=recorder&sound=recorder") as page,
        peer(relay, "/player/halted") as player,
    ):
        await more_frames(player)
        await more_frames(player, number=2)
        await page.evaluate(
            "window.recorders.filter((one) => one.state !== 'inactive').forEach((one) => "
            "one.stop())"
        )
        await details_say(page, "begun afresh")
        await more_frames(player)
        await more_frames(player, number=2)


@pytest.mark.parametrize("told", [pytest.param(True, marks=pytest.mark.long), False])
async def test_a_track_that_ends_is_taken_again(
    relay: Relay, chromium: Browser, told: bool
) -> None:
    """Also where the browser does not tell."""
    name = f"ended-{told}".lower()
    async with filming(chromium, relay, name) as page, peer(relay, f"/player/{name}") as player:
        await more_frames(player)
        tell = "track.dispatchEvent(new Event('ended'))" if told else ""
        await page.evaluate(f"() => {{ const track = {TRACK}; track.stop(); {tell} }}")
        if not told:
            await shows(page, "detail", "The camera was lost and taken again.")
        await more_frames(player, 20)


@pytest.mark.long
async def test_a_track_that_stays_muted_is_taken_anew(relay: Relay, chromium: Browser) -> None:
    async with filming(chromium, relay, "muted") as page, peer(relay, "/player/muted") as player:
        await more_frames(player)
        await page.evaluate(
            f"""() => {{
              const track = {TRACK};
              Object.defineProperty(track, "muted", {{ value: true }});
              track.dispatchEvent(new Event("mute"));
            }}"""
        )
        await shows(page, "detail", "A call or another app has the camera.")
        await player.message("state", state="paused", reason="interrupted")
        known = len(frames(player))
        await shows(page, "detail", "The camera gave no picture and was started anew.")
        await player.until(lambda one: len(frames(one)) > known + 5)


# A lens whose tracks can be frozen: they stay live and unmuted, and no picture comes. The next one
# that is asked for is well.
FREEZABLE = """() => {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  window.lenses = [];
  navigator.mediaDevices.getUserMedia = async (wishes) => {
    const canvas = document.createElement("canvas");
    canvas.width = 320; canvas.height = 240;
    const pen = canvas.getContext("2d", { alpha: false });
    let turn = 0;
    const lens = setInterval(() => {
      pen.fillStyle = `hsl(${(turn += 20)} 80% 60%)`;
      pen.fillRect(0, 0, 320, 240);
    }, 66);
    window.lenses.push(lens);
    const stream = canvas.captureStream(15);
    if (wishes.audio) for (const track of (await real({ audio: true })).getTracks()) stream.addTrack(track);
    return stream;
  };
}"""


@pytest.mark.parametrize("encoder", ["vp8", pytest.param("recorder", marks=pytest.mark.long)])
async def test_a_lens_that_stands_still_is_taken_anew(
    relay: Relay, chromium: Browser, encoder: str
) -> None:
    name = f"frozen-{encoder}"
    async with (
        filming(chromium, relay, name, f"&encoder={encoder}") as page,
        peer(relay, f"/player/{name}") as player,
    ):
        await page.evaluate(FREEZABLE)
        await page.evaluate(
            f"() => {{ {TRACK}.stop(); {TRACK}.dispatchEvent(new Event('ended')); }}"
        )
        await page.wait_for("window.lenses.length === 1", PATIENCE)
        await more_frames(player, 10)
        await page.evaluate("clearInterval(window.lenses[0])")
        await shows(page, "detail", "The camera stood still and was started anew.")
        await more_frames(player, 10)
        assert await page.evaluate("window.lenses.length") == 2
        films = await page.evaluate("document.getElementById('camera').dataset.encoder")
        assert films == ("recorder" if encoder == "recorder" else "codecs"), (
            "no engine was given up for it"
        )


# A browser that, once it is told to, does not answer the next question for a camera, and keeps what
# it would have given.
SILENT = """
  window.silent = %s;
  window.unanswered = [];
  window.questions = 0;
  const ask = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = function (...values) {
    window.questions += 1;
    const answer = ask.apply(this, values);
    if (!window.silent) return answer;
    window.silent = false;
    return new Promise((resolve) => window.unanswered.push(async () => resolve(await answer)));
  };
"""


@pytest.mark.long
async def test_a_browser_that_does_not_answer_is_asked_again_while_it_films(
    relay: Relay, browsers: Browsers
) -> None:
    async with (
        browsers.chromium(SILENT % "false") as phone,
        filming(phone, relay, "silent") as page,
        peer(relay, "/player/silent") as player,
    ):
        await more_frames(player)
        await page.evaluate(
            f"() => {{ window.silent = true; {TRACK}.stop(); {TRACK}.dispatchEvent(new "
            f"Event('ended')); }}"
        )
        await player.message("state", state="paused", reason="interrupted")
        await shows(page, "panel", "The browser does not give the camera")
        await more_frames(player)
        await page.wait_for("document.getElementById('panel').hidden", PATIENCE)
        # What the first question would have given comes too late: it is let go, or the phone's
        # camera would stay on for nothing.
        late = await page.evaluate(
            """async () => {
              const stop = MediaStreamTrack.prototype.stop;
              let stopped = 0;
              MediaStreamTrack.prototype.stop = function () { stopped += 1; return stop.call(this); };
              await window.unanswered[0]();
              await new Promise((resolve) => setTimeout(resolve, 500));
              MediaStreamTrack.prototype.stop = stop;
              return [stopped > 0, window.questions];
            }"""
        )
        assert late == [True, 3]
        await more_frames(player)


@pytest.mark.parametrize("way", ["by itself", "by its button", "by an answer after all"])
@pytest.mark.long
async def test_a_browser_that_does_not_answer_at_first_is_told_of(
    relay: Relay, way: str, browsers: Browsers
) -> None:
    state = "granted" if way == "by itself" else "prompt"
    decided = f"navigator.permissions.query = async () => ({{ state: '{state}' }});"
    async with browsers.chromium(SILENT % "true", decided) as phone:
        page = await phone.page(f"{relay.origin}/camera.html?name=silent-{state}")
        await shows(page, "note", "If the browser asks, allow it.")
        await shows(page, "panel", "The browser does not give the camera")
        if way == "by its button":
            await page.click("#panel-actions .primary")
        elif way == "by an answer after all":
            await page.evaluate("void window.unanswered[0]()")
        await page.wait_for(
            (
                "document.getElementById('picture').videoWidth > 0 && "
                "!document.getElementById('start').disabled"
            ),
            PATIENCE,
        )
        assert await page.evaluate("document.getElementById('panel').hidden")
        assert await page.evaluate("window.questions") == (
            1 if way == "by an answer after all" else 2
        )
        assert page.errors == []


@pytest.mark.long
async def test_a_camera_that_stays_busy_is_asked_for_ever_more_rarely(
    relay: Relay, browsers: Browsers
) -> None:
    script = """
      MediaDevices.prototype.getUserMedia = () => Promise.reject(new DOMException("busy", "NotReadableError"));
      window.pauses = [];
      const wait = window.setTimeout;
      window.setTimeout = (action, ms, ...values) => {
        if ([500, 1000, 2000, 4000].includes(ms)) window.pauses.push(ms);
        return wait(action, ms, ...values);
      };
    """
    async with browsers.chromium(script) as phone:
        page = await phone.page(f"{relay.origin}/camera.html?name=busy&sound=0")
        await shows(page, "panel", "The camera is in use")
        assert await page.wait_for("window.pauses.length >= 4 && window.pauses", PATIENCE) == [
            500,
            1000,
            2000,
            4000,
        ]


@pytest.mark.long
async def test_a_microphone_that_ends_is_taken_again(relay: Relay, browsers: Browsers) -> None:
    script = """
      window.tracks = [];
      const ask = MediaDevices.prototype.getUserMedia;
      MediaDevices.prototype.getUserMedia = async function (...values) {
        const stream = await ask.apply(this, values);
        window.tracks.push(...stream.getAudioTracks());
        return stream;
      };
    """
    async with (
        browsers.chromium(script) as phone,
        filming(phone, relay, "deaf") as page,
        peer(relay, "/player/deaf") as player,
    ):
        await more_frames(player, number=2)
        await page.evaluate("window.tracks.forEach((track) => track.stop())")
        await shows(page, "detail", "The microphone gave nothing and was started anew.")
        await more_frames(player, 20, number=2)
        await more_frames(player)


async def test_a_page_that_comes_back_repairs_what_broke_meanwhile(
    relay: Relay, chromium: Browser
) -> None:
    async with filming(chromium, relay, "away") as page, peer(relay, "/player/away") as player:
        await more_frames(player)
        hide = """(hidden) => {
          Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
        await page.evaluate(hide, True)
        await page.evaluate(f"() => {TRACK}.stop()")
        await shows(page, "status", "Paused, page is hidden")
        await page.evaluate(hide, False)
        await more_frames(player, 20)
        await in_state(page, "live")


# --- the relay ---


async def test_a_relay_that_restarts_is_no_error(chromium: Browser) -> None:
    with Relay() as relay:
        page = await film(chromium, relay, "patient")
        relay.stop()
        await shows(page, "status", "The relay is restarting")
        assert (
            await page.evaluate("document.getElementById('status').dataset.state") == "connecting"
        )
        relay.start()
        await in_state(page, "live")
        await shows(page, "status", "Live")
        await page.close()
