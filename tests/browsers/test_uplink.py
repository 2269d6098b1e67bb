"""How much a camera sends through a network that may not carry it:
web/camera/publish/network-pace.js against simulated networks.

The simulations run in simulated time, so they are facts about the rules and not about the machine.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.harness.browsers import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A camera of 1.2 Mbit/s with sound, and a network with one queue: a byte is through when all before
# it are.
SIMULATION = """async (world) => {
  const { Uplink, STEPS } = await import("/web/camera/publish/network-pace.js");
  const { seconds = 120, full = 150000, sound = 5000, rate = [], way = 20, back = 20, jitter = 0, freezes = [], pauses = [] } = world;
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const rateAt = (now) => rate.reduce((value, [from, next]) => (now >= from * 1000 ? next : value), Infinity);
  const within = (spans, now) => spans.some(([from, to]) => now >= from * 1000 && now < to * 1000);

  const uplink = new Uplink();
  const queue = [], events = [], ages = [], changes = [];
  let held = 0, drops = 0, frame = 0, due = 0, sent = 0, silences = 0, credit = 0;
  const put = (bytes, then) => queue.push({ bytes, then });
  for (let now = 0; now < seconds * 1000; now += 5) {
    const paused = within(pauses, now);
    const { quality, scale, fps } = uplink.step;
    // Pictures, 30 a second, every 60th a keyframe of ten times the size; what is left out was left out before the encoder.
    if (now >= frame * (1000 / 30)) {
      frame += 1;
      if (!paused && uplink.held) drops += 1;
      else if (!paused && now >= due - 10) {
        due = Math.max(due + 1000 / fps, now);
        const mean = (full * quality * scale ** (4 / 3)) / Math.min(30, fps);
        const key = sent % 60 === 0;
        sent += 1;
        put(key ? mean * 6 : mean * (54 / 59), (there) => ages.push({ now, age: there - now }));
      }
      if (!paused && !uplink.silenced) put(sound / 30, () => undefined);
    }
    if (now % 500 === 0) {
      uplink.asked(now);
      put(60, (there) => {
        events.push({ at: there + back + random() * jitter, run: (heard) => uplink.answered(now, there - now + 123456, heard) });
      });
    }
    // The network
    if (!within(freezes, now)) {
      credit += (rateAt(now) * 5) / 1000;
      while (queue.length > 0 && credit >= queue[0].bytes) {
        const { bytes, then } = queue.shift();
        credit -= bytes;
        const there = now + way + random() * jitter;
        events.push({ at: there, run: () => then(there) });
      }
      if (queue.length === 0) credit = 0;
    }
    events.sort((one, other) => one.at - other.at);
    while (events.length > 0 && events[0].at <= now) { const { at: when, run } = events.shift(); run(when); }
    if (now % 250 === 0) {
      if (uplink.look(paused ? null : { waiting: 0, drops: 0 }, now)) changes.push([now / 1000, uplink.index, uplink.held]);
      if (uplink.silenced) silences += 1;
    }
  }
  const worst = (from, to) => Math.max(0, ...ages.filter(({ now }) => now >= from * 1000 && now < to * 1000).map(({ age }) => age));
  const count = (from, to) => ages.filter(({ now }) => now >= from * 1000 && now < to * 1000).length;
  // Of each ten seconds: the age of the oldest picture at its arrival, ms, and how many came.
  const spans = [];
  for (let from = 0; from < seconds; from += 10) spans.push([worst(from, from + 10), count(from, from + 10)]);
  return { index: uplink.index, last: STEPS.length - 1, changes, spans, silences };
}"""


async def simulate(page: Page, **world: Any) -> dict[str, Any]:
    found: dict[str, Any] = await page.evaluate(SIMULATION, world)
    return found


def tried(found: dict[str, Any], since: float) -> int:
    """How many steps up were taken from then on (s)."""
    indexes = [index for at, index, _ in found["changes"] if at >= since]
    return sum(later < earlier for earlier, later in itertools.pairwise(indexes))


@pytest.mark.parametrize(
    "world",
    [
        {},
        {"jitter": 120},
        {"way": 600, "back": 600},  # a satellite
        {"back": 900, "jitter": 60},  # the way back is slow
        {"rate": [[0, 200_000]]},  # enough, but a keyframe takes a while
    ],
)
async def test_a_network_that_carries_it_is_left_alone(page: Page, world: dict[str, Any]) -> None:
    found = await simulate(page, **world)
    assert found["changes"] == []
    assert all(count >= 280 for _, count in found["spans"])


@pytest.mark.parametrize("carries", [100_000, 40_000, 15_000])
async def test_it_settles_below_what_the_network_carries(page: Page, carries: int) -> None:
    found = await simulate(page, rate=[[0, 1e9], [20, carries]], seconds=600)
    assert 0 < found["index"] <= found["last"]
    steady = found["spans"][10:]
    assert max(age for age, _ in steady) < 1000, "the pictures stay young"
    assert min(count for _, count in steady) >= 30
    assert tried(found, 100) <= 7, "it tries more ever more rarely"


async def test_a_network_that_carries_next_to_nothing_has_no_growing_queue(page: Page) -> None:
    found = await simulate(page, rate=[[0, 1e9], [20, 4000]], seconds=600)
    assert found["index"] == found["last"]
    steady = found["spans"][30:]
    assert max(age for age, _ in steady) < 5000
    assert min(count for _, count in steady) > 0
    assert found["silences"] > 0, "sound is left out too"


async def test_it_comes_back_up(page: Page) -> None:
    found = await simulate(page, rate=[[0, 1e9], [20, 40_000], [200, 1e9]], seconds=420)
    assert max(index for _, index, _ in found["changes"]) >= 4
    assert found["index"] == 0
    assert found["spans"][-1] == [20, 300]


async def test_a_short_freeze_costs_half_a_minute_of_quality(page: Page) -> None:
    found = await simulate(page, freezes=[[30, 32]], seconds=90)
    assert found["index"] == 0
    assert [held for _, _, held in found["changes"]].count(True) <= 2
    assert all(age < 100 for age, _ in found["spans"][4:])


async def test_a_pause_proves_nothing(page: Page) -> None:
    found = await simulate(page, rate=[[0, 40_000]], pauses=[[30, 100]], seconds=105)
    assert found["index"] >= 3
    assert not [at for at, *_ in found["changes"] if 30.5 < at < 100]


async def test_a_page_that_stood_still_accuses_nobody(page: Page) -> None:
    """Answers that came meanwhile are not read yet."""
    changed = await page.evaluate(
        """async () => {
          const { Uplink } = await import("/web/camera/publish/network-pace.js");
          const uplink = new Uplink();
          let changed = 0;
          const look = (now) => uplink.look({ waiting: 0, drops: 0 }, now) && (changed += 1);
          for (let now = 0; now < 5000; now += 250) {
            uplink.asked(now);
            uplink.answered(now, 1, now + 2);
            look(now + 3);
          }
          uplink.asked(5000);
          look(9000);
          uplink.answered(5000, 1, 9001);
          for (let now = 9250; now < 12000; now += 250) look(now);
          return changed;
        }"""
    )
    assert changed == 0


async def test_what_it_remembers_is_bounded(page: Page) -> None:
    kept = await page.evaluate(
        """async () => {
          const { Uplink } = await import("/web/camera/publish/network-pace.js");
          const uplink = new Uplink();
          for (let now = 0; now < 100000; now += 1) uplink.asked(now);
          return [uplink.asks.length, uplink.asks[0], uplink.behind(100000) > 90000];
        }"""
    )
    assert kept == [32, 0, True]
