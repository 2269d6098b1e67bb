"""Live sound. The jitter buffer is driven by hand, quantum by quantum, so that it is the same on
every machine; the whole way, from a camera's microphone to the loudspeaker, is walked in real
browsers.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Packet
from tests.browsers.conftest import Browsers
from tests.harness.browsers import Browser, Firefox, Page
from tests.harness.pages import IN_CHROMIUM, PATIENCE, listening
from tests.harness.relays import Relay
from tests.media.samples import RECORDINGS, read

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

# Samples a second and amplitude of the sine that is sent, and its largest step from one sample to
# the next at 48 and at 12 kHz.
FREQUENCY = 440
STEP = {48000: 0.0288, 12000: 0.1146}

# A click is a step that a sine does not have. A cross-fade of 5 ms adds up to a quarter of the step
# at 48 kHz.
CLICK = 1.3

# Seconds until the buffer knows the network.
WARM = 5

# Runs the processor with the audio thread's globals put in place. Time is the loudspeaker's; the
# camera's clock runs `drift` ppm faster, and its microphone another `microphone` ppm slower than
# its clock. A packet is complete with its last sample, takes `path` s and up to `jitter` s more, in
# order; what would arrive within one of `freezes` arrives at its end. `lost`: captured and never
# sent. `holds`: when to wait how much longer. `jumps`: from when on timestamps are wrong by how
# much. `replay`: seconds captured before the start that come at once. `quanta`: how many the
# loudspeaker takes at once. `foldAt`: seconds that positions are before their limit, from 2 s on.
# Timestamps are whole milliseconds, as in WebM.
#
# The first channel is the sine, the second one says the time of its capture, so the delay is read
# from what comes out. Returns a list with an object for each second: step (the largest), crossings
# (of zero, upwards), silent (samples that are 0), gap (the longest run of these), least and most
# delay (s, null: nothing heard), delay (the last), and what the processor reported last.
SIMULATE = """async (options) => {
  const { seconds, rate = 48000, packet = 0.02, path = 0.005, drift = 0, microphone = 0, jitter = 0, seed = 1, quanta = 4 } = options;
  const { freezes = [], lost = [], holds = [], jumps = [], replay = 0, foldAt = null, channels = 2 } = options;
  const QUANTUM = 128, DAYS = 3 * 86400, RAMP = 8;
  if (!globalThis.Sounding) {
    globalThis.AudioWorkletProcessor = class { port = {}; };
    globalThis.registerProcessor = (_name, found) => { globalThis.Sounding = found; };
  }
  globalThis.sampleRate = rate;
  globalThis.currentTime = 0;
  await import("/web/player/sound/jitter-buffer-worklet.js");
  const processor = new Sounding();
  let report = {};
  processor.port.postMessage = (message) => { report = { ...message }; };
  const source = { close() {} };
  processor.port.onmessage({ data: { source } });

  let random = seed;
  const chance = () => (random = (random * 48271) % 2147483647) / 2147483647;
  const within = (ranges, moment) => ranges.find(([from, to]) => moment >= from && moment < to);
  const clock = 1 + drift * 1e-6, stretch = 1 + microphone * 1e-6, size = Math.round(packet * rate);
  let number = -Math.round(replay / packet), latest = 0, next = null;
  const prepare = () => {
    do {
      const captured = number * packet * stretch;
      const frozen = within(freezes, (latest = Math.max(latest, Math.max(0, (captured + packet) / clock) + path + chance() * jitter)));
      const wrong = jumps.reduce((sum, [at, by]) => (captured >= at ? sum + by : sum), 0);
      const timestamp = Math.round((DAYS + captured + wrong) * 1000) * 1000;
      next = { first: number * size, captured, timestamp, arrival: frozen ? frozen[1] : latest };
      number += 1;
    } while (within(lost, next.captured));
  };
  const send = () => {
    const planes = Array.from({ length: channels }, () => new Float32Array(size));
    for (let index = 0; index < size; index += 1) {
      const position = next.first + index;
      planes[0][index] = 0.5 * Math.sin((2 * Math.PI * FREQUENCY * position) / rate);
      if (channels > 1) planes[1][index] = (((((position / rate) * stretch) % RAMP) + RAMP) % RAMP) / RAMP;
    }
    source.onmessage({ data: { planes, sampleRate: rate, timestamp: next.timestamp } });
    prepare();
  };

  const fresh = () => ({ step: 0, crossings: 0, silent: 0, gap: 0, least: null, most: null, delay: null });
  const output = [new Float32Array(QUANTUM), new Float32Array(QUANTUM)];
  const windows = [], wishes = [...holds];
  let before = 0, run = 0, now = fresh();
  prepare();
  for (let quantum = 0; quantum * QUANTUM < seconds * rate; quantum += 1) {
    currentTime = (quantum * QUANTUM) / rate;
    if (quantum % quanta === 0) {
      while (next.arrival <= currentTime) send();
      while (wishes.length && wishes[0][0] <= currentTime) processor.port.onmessage({ data: { hold: wishes.shift()[1] } });
      if (foldAt !== null && windows.length === 2 && processor.read < 2 ** 29) {
        processor.fold(-Math.floor((2 ** 30 - foldAt * rate) / processor.ring.size) * processor.ring.size);
      }
    }
    processor.process([], [output]);
    for (const value of output[0]) {
      now.step = Math.max(now.step, Math.abs(value - before));
      if (before < 0 && value >= 0) now.crossings += 1;
      run = value === 0 ? run + 1 : 0;
      now.silent += value === 0 ? 1 : 0;
      now.gap = Math.max(now.gap, run);
      before = value;
    }
    const [start, end] = [output[1][0] * RAMP, output[1][QUANTUM - 1] * RAMP];
    const steady = Math.abs(end - start - (QUANTUM - 1) / rate) < 0.05 * (QUANTUM / rate) && run === 0;
    if (steady) {
      now.delay = ((((currentTime + (QUANTUM - 1) / rate) * clock - end) % RAMP) + RAMP) % RAMP;
      now.least = now.least === null ? now.delay : Math.min(now.least, now.delay);
      now.most = now.most === null ? now.delay : Math.max(now.most, now.delay);
    }
    if ((quantum + 1) * QUANTUM >= (windows.length + 1) * rate) {
      windows.push({ ...now, ...report, holes: processor.holes.length, read: processor.read });
      now = fresh();
    }
  }
  return windows;
}""".replace("FREQUENCY", str(FREQUENCY))


async def simulated(page: Page, **options: Any) -> list[dict[str, Any]]:
    """What was heard, second by second, see SIMULATE; that there is no click is asserted."""
    seconds: list[dict[str, Any]] = await page.evaluate(SIMULATE, options)
    loudest = max(second["step"] for second in seconds)
    assert loudest < STEP[options.get("rate", 48000)] * CLICK, f"it clicks: {loudest}"
    return seconds


def assert_even(seconds: list[dict[str, Any]], underflows: int = 0) -> None:
    """Sound without a break, at its own pitch."""
    assert all(second["silent"] < 100 for second in seconds), [
        second["silent"] for second in seconds
    ]
    assert all(abs(second["crossings"] - FREQUENCY) <= FREQUENCY / 100 for second in seconds), [
        second["crossings"] for second in seconds
    ]
    assert seconds[-1]["underflows"] - seconds[0]["underflows"] == underflows


@pytest.mark.parametrize(("packet", "least", "most"), [(0.02, 0.04, 0.06), (0.06, 0.06, 0.1)])
async def test_a_quiet_network_needs_one_packet_and_a_little_more(
    page: Page, packet: float, least: float, most: float
) -> None:
    seconds = await simulated(page, seconds=30, packet=packet)
    assert_even(seconds[1:])
    assert seconds[-1]["underflows"] == 0
    assert all(least - 0.001 <= second["target"] <= most for second in seconds)
    # The way itself, 5 ms; and a loudspeaker that takes 11 ms at a time.
    assert all(
        second["least"] >= packet + 0.005 and second["most"] <= most + 0.016 for second in seconds
    )


@pytest.mark.parametrize("packet", [0.02, 0.06])
@pytest.mark.parametrize("seed", [1, 7919, 104729])
async def test_jitter_is_learned_and_never_heard_afterwards(
    page: Page, packet: float, seed: int
) -> None:
    seconds = await simulated(page, seconds=40, packet=packet, jitter=0.04, seed=seed)
    assert_even(seconds[WARM:])
    assert seconds[-1]["most"] <= packet + 0.04 + 0.04, "the way, the jitter, the packet, a reserve"


@pytest.mark.parametrize(
    ("drift", "packet", "microphone"),
    [
        (300, 0.02, 0),
        (-300, 0.06, 100),
        pytest.param(-300, 0.02, 0, marks=pytest.mark.long),
        pytest.param(300, 0.06, 100, marks=pytest.mark.long),
    ],
)
async def test_clocks_that_drift_for_long(
    page: Page, drift: int, packet: float, microphone: int
) -> None:
    seconds = await simulated(
        page, seconds=1200, rate=12000, quanta=1, packet=packet, drift=drift, microphone=microphone
    )
    settled = seconds[20:]
    assert seconds[-1]["underflows"] == 0
    assert sum(second["silent"] for second in settled) < len(settled), "no break"
    assert (
        max(second["most"] for second in settled) - min(second["least"] for second in settled)
        < 0.012
    )
    assert max(second["step"] for second in settled) < STEP[12000] * 1.01, "no skip either"


async def test_a_freeze_leaves_no_queue(page: Page) -> None:
    seconds = await simulated(page, seconds=60, freezes=[[20, 22]])
    usual = seconds[19]["delay"]
    assert seconds[21]["silent"] == 48000
    assert seconds[22]["silent"] < 0.03 * 48000
    assert_even(seconds[23:])
    assert seconds[22]["underflows"] == 1
    assert usual < seconds[22]["least"] and seconds[22]["most"] < usual + 0.03, (
        "back at once, with a little more reserve"
    )
    assert seconds[-1]["most"] < usual + 0.01, "which goes away again"


async def test_a_short_freeze_is_not_taken_for_jitter(page: Page) -> None:
    seconds = await simulated(page, seconds=20, freezes=[[10, 10.2]])
    assert seconds[10]["underflows"] == 1
    assert seconds[11]["most"] < seconds[9]["most"] + 0.03
    assert_even(seconds[11:])


async def test_a_recorder_that_gives_a_piece_each_second(page: Page) -> None:
    seconds = await simulated(
        page, seconds=40, freezes=[[second, second + 0.999] for second in range(40)]
    )
    assert_even(seconds[WARM:])
    assert 1.0 < seconds[-1]["delay"] < 1.15


async def test_what_was_before_the_start_is_not_played_late(page: Page) -> None:
    seconds = await simulated(page, seconds=3, replay=3)
    assert seconds[0]["most"] < 0.07
    assert_even(seconds[1:])


async def test_a_late_picture_is_waited_for_and_an_early_one_not(page: Page) -> None:
    seconds = await simulated(page, seconds=40, holds=[[5, 0.3], [12, 0.35], [20, 0.05], [26, 0]])
    usual = seconds[4]["delay"]
    assert seconds[5]["gap"] > 0.28 * 48000, "a silence, nothing is heard twice"
    assert seconds[7]["delay"] == pytest.approx(usual + 0.3, abs=0.005)
    assert seconds[19]["delay"] == pytest.approx(usual + 0.35, abs=0.015)
    assert seconds[19]["target"] == pytest.approx(seconds[4]["target"] + 0.35, abs=0.01)
    assert seconds[21]["delay"] == pytest.approx(usual + 0.05, abs=0.01), "skipped"
    assert sum(second["silent"] for second in seconds[6:]) < 100, (
        "small changes are made by the speed, large ones back by a skip"
    )
    assert seconds[-1]["delay"] == pytest.approx(usual, abs=0.01)
    assert seconds[-1]["underflows"] == 0


async def test_lost_packets_leave_as_much_silence_and_sound_stays_in_time(page: Page) -> None:
    seconds = await simulated(page, seconds=16, lost=[[6, 6.02], [8, 8.3], [8.4, 8.44], [11, 14]])
    assert 0.01 * 48000 < seconds[6]["silent"] < 0.03 * 48000
    assert 0.3 * 48000 < seconds[8]["silent"] < 0.38 * 48000
    assert all(
        abs(seconds[9]["delay"] - seconds[at]["delay"]) < 0.01 for at in (5, 6, 7, 10, 14, 15)
    )
    assert seconds[-1]["underflows"] == 0, "the network is not to blame"


async def test_timestamps_that_jump_are_followed(page: Page) -> None:
    seconds = await simulated(
        page, seconds=30, jumps=[[5, 0.2], [12, -0.2], [18, 100], [24, -3000]]
    )
    usual = seconds[4]["delay"]
    assert all(abs(seconds[at]["delay"] - usual) < 0.03 for at in (17, 19, 23, 25, 29)), [
        second["delay"] for second in seconds
    ]
    assert_even([seconds[at] for at in (10, 11, 12, 13, 20, 21, 22, 23)])
    assert seconds[-1]["underflows"] == 0


async def test_a_recorder_that_begins_afresh_and_is_placed_step_by_step(page: Page) -> None:
    """The relay places a new recorder by its first packet, which is too late for it, and then,
    packet by packet, where it belongs.
    """
    steps = [[8 + 0.02 * packet, -0.02] for packet in range(1, 26)]
    seconds = await simulated(page, seconds=20, jumps=[[8, 0.5], *steps], freezes=[[8, 8.5]])
    assert seconds[-1]["delay"] == pytest.approx(seconds[7]["delay"], abs=0.03)
    assert_even(seconds[10:])


async def test_positions_are_folded_before_they_overflow(page: Page) -> None:
    seconds = await simulated(page, seconds=24, foldAt=10)
    reads = [second["read"] for second in seconds]
    assert max(reads) > 2**30 - 48000 * 20 and reads[-1] < 48000 * 60, (
        "it went over the limit and was folded"
    )
    assert_even(seconds[1:])
    assert seconds[-1]["delay"] == pytest.approx(seconds[1]["delay"], abs=0.01)


async def test_one_channel_is_heard_on_both_sides_and_another_shape_is_taken(page: Page) -> None:
    seconds = await simulated(page, seconds=3, channels=1)
    assert_even(seconds[1:])
    both = await page.evaluate(
        """() => {
          globalThis.sampleRate = 48000;
          globalThis.currentTime = 0;
          const processor = new Sounding();
          processor.port.postMessage = () => undefined;
          const heard = [];
          const loudest = (samples) => samples.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          for (const [channels, rate] of [[1, 44100], [2, 48000], [1, 16000]]) {
            let sides = [0, 0];
            for (let packet = 0; packet < 20; packet += 1) {
              const planes = Array.from({ length: channels }, (_, channel) => new Float32Array(rate / 50).fill(0.25 * (channel + 1)));
              processor.push({ planes, sampleRate: rate, timestamp: currentTime * 1e6 });
              for (let quantum = 0; quantum < 8; quantum += 1) {
                currentTime += 128 / 48000;
                const output = [new Float32Array(128), new Float32Array(128)];
                processor.process([], [output]);
                sides = sides.map((side, channel) => Math.max(side, loudest(output[channel])));
              }
            }
            heard.push(sides.map((side) => Math.round(side * 100) / 100));
          }
          return heard;
        }"""
    )
    assert both == [[0.25, 0.25], [0.25, 0.5], [0.25, 0.25]]


async def test_memory_is_bounded_whatever_comes(page: Page) -> None:
    kept = await page.evaluate(
        """() => {
          globalThis.sampleRate = 48000;
          globalThis.currentTime = 0;
          const processor = new Sounding();
          processor.port.postMessage = () => undefined;
          const size = () => processor.ring.planes[0].length;
          const first = size();
          // Nobody listens for ten minutes of packets with gaps between them; then one that is far too long.
          for (let packet = 0; packet < 20000; packet += 1) {
            processor.push({ planes: [new Float32Array(960)], sampleRate: 48000, timestamp: packet * 50000 });
          }
          processor.push({ planes: [new Float32Array(480000)], sampleRate: 48000, timestamp: 20000 * 50000 });
          return { grown: size() - first, holes: processor.holes.length, queued: processor.written - processor.read, size: size() };
        }"""
    )
    assert kept["grown"] == 0
    assert kept["holes"] <= 64
    assert kept["queued"] < kept["size"]


# --- real browsers ---


TILE = "document.querySelector('[data-camera]').tile"


async def heard(page: Page) -> dict[str, Any]:
    """Switch the sound on, wait until it is heard and its delay is known; what the tile then says
    of it.
    """
    await listening(page)
    await page.wait_for(
        f"{TILE}.stats().sound.delayMs !== null && {TILE}.stats().sound.targetMs > 0", PATIENCE
    )
    sound: dict[str, Any] = await page.evaluate(f"{TILE}.stats().sound")
    return sound


@IN_CHROMIUM
async def test_sound_is_decoded_in_the_worker_and_its_delay_known(
    relay: Relay, viewer: Browser, porch: None
) -> None:
    page = await viewer.page(f"{relay.origin}/player.html?camera=porch")
    sound = await heard(page)
    assert sound["state"] == "on"
    assert sound["targetMs"] >= 40
    assert await page.evaluate(f"{TILE}.sound.current.ways[0]") == "worker"
    if not isinstance(
        viewer, Firefox
    ):  # whose loudspeaker is a mock with a clock that runs too slowly
        delay = f"{TILE}.stats().sound.delayMs"
        await page.wait_for(
            f"{delay} > 0 && {delay} < 2000", PATIENCE
        )  # a busy computer may begin late, and catches up
    assert page.errors == []
    await page.close()


@pytest.mark.long
async def test_sound_meets_a_late_picture(relay: Relay, porch: None, browsers: Browsers) -> None:
    async with browsers.chromium(camera=False) as browser:
        page = await browser.page(f"{relay.origin}/player.html?camera=porch")
        sound = await heard(page)
        late = sound["delayMs"] + 200
        await page.evaluate(
            f"() => {{ const {{ sound }} = {TILE}; sound.picture = () => undefined; "
            f"sound.pictureDelay = {late}; }}"
        )
        # The means settle within seconds; what the sound is aimed at is 0 to 40 ms after the
        # picture.
        await page.wait_for(
            (
                f"Math.abs({TILE}.stats().sound.delayMs - {late} - 20) < 40 && "
                f"{TILE}.sound.player.hold > 0"
            ),
            PATIENCE,
        )
        await page.evaluate(f"() => void ({TILE}.sound.pictureDelay = null)")
        await page.wait_for(
            f"{TILE}.sound.player.hold === 0 && {TILE}.stats().sound.delayMs < {late} - 100",
            PATIENCE,
        )
        assert page.errors == []


async def test_every_way_to_play_leads_to_sound(
    relay: Relay, porch: None, browsers: Browsers
) -> None:
    """What a browser cannot do is done in the next best way: first in the page, then by an
    element.
    """
    async with browsers.chromium(camera=False) as browser:
        page = await browser.page(f"{relay.origin}/player.html?camera=porch")
        await heard(page)
        await page.evaluate(f"{TILE}.sound.decodeFailed('a test')")
        await page.wait_for(f"{TILE}.sound.player.decoder?.given > 10", PATIENCE)
        await page.wait_for(f"{TILE}.stats().sound.level > 0.005", PATIENCE)
        await page.evaluate(f"{TILE}.sound.player.fail('a test')")
        await page.wait_for(f"{TILE}.sound.player.audio?.currentTime > 0", PATIENCE)
        before = await page.evaluate(f"{TILE}.sound.player.audio.currentTime")
        await page.wait_for(f"{TILE}.sound.player.audio.currentTime > {before} + 1", PATIENCE)
        assert await page.evaluate(f"{TILE}.sound.state") == "on"
        await page.click("[data-camera] button[aria-pressed]")
        assert await page.evaluate(f"{TILE}.sound.state") == "off"
        assert page.errors == []


@IN_CHROMIUM
async def test_samples_carry_the_timestamps_of_their_packets(
    relay: Relay, viewer: Browser, porch: None
) -> None:
    """Also behind a gap, of which Chromium's decoder knows nothing; and what is sent again is not
    heard again.
    """
    packets = [
        event
        for event in read([(RECORDINGS / "firefox-opus.webm").read_bytes()])
        if isinstance(event, Packet)
    ][:12]
    track = packets[0].track
    times = [
        1_000_000 + 20_000 * index + (500_000 if index > 5 else 0) for index in range(len(packets))
    ]
    writer = WebmWriter(track, 2, 0)
    messages = [
        writer.fragment(replace(packet, timestamp=time))
        for packet, time in zip(packets, times, strict=True)
    ]
    page = await viewer.page(f"{relay.origin}/camera.html")
    given: list[list[int]] = await page.evaluate(
        """async (track, messages) => {
          const { SoundDecoder } = await import("/web/player/sound/sound-decoder.js");
          const { port1, port2 } = new MessageChannel();
          const given = [];
          const decoder = new SoundDecoder(track, port2, (reason) => given.push(reason));
          const all = new Promise((resolve) => {
            port1.onmessage = ({ data: { planes, sampleRate, timestamp } }) => {
              given.push([timestamp, planes.length, planes[0].length, sampleRate]);
              if (given.length === messages.length) resolve();
            };
          });
          for (const text of [...messages, ...messages]) decoder.frame(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
          await all;
          decoder.close();
          return given;
        }""",
        {"codec": track.codec_string, "sampleRate": track.sample_rate, "channels": track.channels},
        [base64.b64encode(message).decode() for message in messages],
    )
    assert [timestamp for timestamp, *_ in given] == times
    shapes = [
        shape for _, *shape in given[1:]
    ]  # the first may be shorter: what the encoder put before the beginning is left out
    assert all(shape == shapes[0] for shape in shapes) and shapes[0][1:] == [960, 48000], shapes
    await page.close()


async def test_a_decoder_that_gives_nothing_or_refuses_says_so(page: Page) -> None:
    reasons = await page.evaluate(
        """async () => {
          const { SoundDecoder } = await import("/web/player/sound/sound-decoder.js");
          const failing = (track, message) => new Promise((resolve) => {
            const decoder = new SoundDecoder(track, new MessageChannel().port1, resolve);
            if (message) decoder.frame(message);
          });
          const opus = { type: "track", number: 2, kind: "audio", codec: "opus", mime: "", sampleRate: 48000, channels: 1 };
          const refused = await failing({ ...opus, codec: "nonsense" });
          const foreign = await failing(opus, new ArrayBuffer(40));
          const supported = [await SoundDecoder.supports(opus), await SoundDecoder.supports({ ...opus, codec: "nonsense" })];
          // A decoder that takes everything and gives nothing, as WebKit's for AAC.
          const Real = AudioDecoder;
          globalThis.AudioDecoder = class { configure() {} decode() {} close() {} decodeQueueSize = 0; state = "configured"; };
          const now = performance.now.bind(performance);
          let mute;
          try {
            let later = 0;
            performance.now = () => now() + later;
            mute = await new Promise((resolve) => {
              const decoder = new SoundDecoder(opus, new MessageChannel().port1, resolve);
              for (let packet = 1; packet < 60; packet += 1) {
                const cluster = [0x1f, 0x43, 0xb6, 0x75, 0x10, 0, 0, 20], time = [0xe7, 0x88, 0, 0, 0, 0, 0, 0, packet, 0];
                decoder.frame(new Uint8Array([...cluster, ...time, 0xa3, 0x10, 0, 0, 5, 0x82, 0, 0, 0x80, 1]).buffer);
                later += 100;
              }
            });
          } finally {
            globalThis.AudioDecoder = Real;
            delete performance.now;
          }
          return { refused, foreign, mute, supported };
        }"""
    )
    assert "nonsense" in reasons["refused"] or "codec" in reasons["refused"].lower()
    assert "neither WebM nor MP4" in reasons["foreign"]
    assert reasons["mute"] == "the decoder gives no samples"
    assert reasons["supported"] == [True, False]
