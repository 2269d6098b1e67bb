"""The pages' modules that need no camera and no decoder, run in Chromium against bytes that the relay's own writers made."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from drawercam.media import boxes, ebml
from drawercam.media.containers import StreamReader
from drawercam.media.mp4 import Mp4Writer
from drawercam.media.packets import Packet, Track
from drawercam.media.webm import Id, WebmWriter
from tests.browsers.drivers import Chromium, Page, PageError
from tests.media.samples import RECORDINGS, read
from tests.relays import Relay

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(relay: Relay) -> AsyncIterator[Page]:
    """Any page of the relay: modules are imported from where it serves them."""
    if missing := Chromium.missing():
        pytest.skip(missing)
    async with Chromium() as browser:
        yield await browser.page(f"{relay.origin}/player.html")


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


@pytest.mark.parametrize("container", PICTURES)
async def test_pictures_that_last_long_are_the_same_pictures(page: Page, container: str) -> None:
    packets = PICTURES[container]
    written = writer(packets[0].track)
    changed: list[str] = await page.evaluate(
        f"""async (init, messages) => {{
          {BYTES}
          const {{ lastLong, lastsLong }} = await import("/web/durations.js");
          const parts = [lastLong(bytes(init)), ...messages.map((text) => lastsLong(bytes(text)))];
          return parts.map((part) => btoa(String.fromCharCode(...part)));
        }}""",
        sent(written.init()),
        [sent(written.fragment(packet)) for packet in packets],
    )
    init, *frames = map(base64.b64decode, changed)
    reader = StreamReader()
    again = [event for part in (init, *frames) for event in reader.feed(part) if isinstance(event, Packet)]
    assert [(one.data, one.key) for one in again] == [(packet.data, packet.key) for packet in packets]
    assert {one.duration for one in again} == {1_000_000}
    if container == "webm":
        # Nothing else in the init segment has changed.
        tail = init[init.index(Id.TRACKS.to_bytes(4, "big")) :]
        [(_, tracks)] = ebml.children(tail)
        [(_, entry)] = ebml.children(tracks)
        before = written.init()
        [(_, tracks_before)] = ebml.children(before[before.index(Id.TRACKS.to_bytes(4, "big")) :])
        [(_, entry_before)] = ebml.children(tracks_before)
        assert bytes(entry).startswith(bytes(entry_before))
    else:
        assert init == written.init()
        assert all(boxes.find(memoryview(frame), b"mdat") is not None for frame in frames)


SIMULATION = """async (jitter, drift, obeys) => {
  // A camera of 30 pictures a second, a network, and a clock that starts half a second too early; a minute of it.
  const { LiveEdge, VIDEO_RESERVE } = await import("/web/live-edge.js");
  const edge = new LiveEdge(VIDEO_RESERVE);
  let clock = 99.5, rate = 1, jumps = 0, seed = 1, last = 0, late = 0, count = 0;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const behind = [];
  edge.begin(0);
  const arrivals = [];
  for (let n = 0; n < 1800; n += 1) {
    last = Math.max(last + 0.01, n * 33.33 + random() * jitter);
    arrivals.push([last, 100 + (n * 33.33 * (1 + drift)) / 1000]);
  }
  for (let now = 0; now < 60000; now += 10) {
    clock += (rate / 100);
    while (arrivals.length && arrivals[0][0] <= now) {
      const [, timestamp] = arrivals.shift();
      if (now > 20000) { count += 1; if (timestamp < clock) late += 1; behind.push(timestamp - clock); }
      edge.arrive(timestamp, now);
    }
    if (now % 30 === 0 && edge.newest > 0) {
      const wish = edge.steer(clock, now);
      if ("jump" in wish) { clock = wish.jump; jumps += 1; } else if (obeys) rate = wish.rate;
    }
  }
  behind.sort((a, b) => a - b);
  return { late: late / count, median: behind[behind.length >> 1], jumps };
}"""


@pytest.mark.parametrize(("jitter", "most"), [(0, 0.035), (20, 0.06), (80, 0.13)])
async def test_the_live_edge_keeps_just_behind_the_arrivals(page: Page, jitter: int, most: float) -> None:
    """Simulated time, so these are facts about the controller and not about the machine."""
    told = await page.evaluate(SIMULATION, jitter, 0.0, True)
    assert 0 <= told["median"] < most
    assert told["late"] < 0.15
    assert told["jumps"] <= 1


@pytest.mark.parametrize("drift", [-0.001, 0.001])
async def test_the_live_edge_follows_a_clock_that_drifts(page: Page, drift: float) -> None:
    told = await page.evaluate(SIMULATION, 10, drift, True)
    assert -0.02 < told["median"] < 0.06
    assert told["jumps"] <= 1


async def test_a_clock_that_does_not_obey_is_moved_by_jumps(page: Page) -> None:
    told = await page.evaluate(SIMULATION, 10, 0.01, False)
    assert 0 < told["jumps"] < 10
    assert abs(told["median"]) < 0.3
