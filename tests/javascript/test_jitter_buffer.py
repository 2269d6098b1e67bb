"""The parts of the jitter buffer, each without the audio thread."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")

LOAD = """
  globalThis.AudioWorkletProcessor = class {};
  globalThis.registerProcessor = () => undefined;
  const { Arrivals, Reserve, SampleRing } = await load("player/sound/jitter-buffer-worklet.js");
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modules(tmp_path_factory.mktemp("scripts"))


def test_the_latest_packets_say_how_long_all_wait(scripts: Path) -> None:
    told = run(
        scripts,
        LOAD
        + """const found = [], round = (value) => Math.round(value * 1000);
        // A packet each 20 ms, some of them late by so many ms; those in a row come in one go.
        const wait = (late, count = 100) => {
          const arrivals = new Arrivals();
          arrivals.begin(0);
          for (let index = 0; index < count; index += 1) {
            const at = 10 + index / 50, by = (late[index] || 0) / 1000;
            arrivals.add(-by, 0.02, at + by);
          }
          arrivals.judge(10 + count / 50);
          return [round(arrivals.usual), round(arrivals.late)];
        };
        found.push(wait({}), wait({ 50: 8, 60: 8 }), wait({ 50: 7, 60: 8, 70: 9 }));
        found.push(wait({ 50: 80, 51: 60, 52: 40, 53: 20 }), wait({ 99: 5000 }, 100));
        const one = new Arrivals();
        one.begin(0), one.add(0, 0.02, 1), one.correct(-0.25);
        found.push([round(one.usual), round(one.late)]);
        return found;""",
    )
    # One packet in fifty may be too late; a burst counts once.
    assert told[0] == [0, 0]
    assert told[1] == [0, 0]
    assert told[2] == [0, -7]
    assert told[3] == [0, 0]
    assert told[4] == [0, 0]
    assert told[5] == [-250, -250]


def test_the_reserve_grows_at_once_and_shrinks_slowly(scripts: Path) -> None:
    told = run(
        scripts,
        LOAD
        + """const reserve = new Reserve(), found = [];
        const look = () => found.push([Math.round(reserve.seconds * 1e4), reserve.patience]);
        look(), reserve.grow(10), look();
        reserve.ease(1, 14.9), look(), reserve.ease(1, 15), look();
        reserve.grow(16), look(), reserve.ease(1, 25), look();
        for (let count = 0; count < 50; count += 1) reserve.grow(30);
        look(), reserve.ease(1000, 99), look();
        found.push(reserve.underflows);
        return found;""",
    )
    assert told == [
        [200, 5],
        [400, 5],
        [400, 5],
        [370, 5],
        [570, 10],
        [570, 10],
        [4000, 10],
        [150, 10],
        52,
    ]


def test_samples_are_read_between_where_they_were_written(scripts: Path) -> None:
    told = run(
        scripts,
        LOAD
        + """const ring = new SampleRing(8000, 2), { size } = ring, start = size - 40;
        const slope = (factor) => Float32Array.from({ length: 100 }, (_, index) => factor * index);
        ring.write([slope(1), slope(-2)], 100, start);
        const at = [0, 1.5, 39.25, 41, 96.75];
        return [size, [0, 1].map((channel) => at.map((one) => ring.sample(channel, start + one)))];""",
    )
    assert told[0] == 32768
    # At the very first one a cubic would need what is before it; a whole number is the sample
    # itself.
    assert told[1] == [[0, 1.5, 39.25, 41, 96.75], [0, -3, -78.5, -82, -193.5]]
