"""The parts of what plays through MediaSource, each without the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")

# Frame messages of which only the beginning is that of an MP4 one, and ranges of time.
TOOLS = """
  const message = () => {
    const bytes = new Uint8Array(113);
    bytes.set(Array.from("moof", (one) => one.charCodeAt(0)), 4);
    return bytes.buffer;
  };
  const ranges = (...list) => ({
    length: list.length,
    start: (index) => list[index][0],
    end: (index) => list[index][1],
  });
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modules(tmp_path_factory.mktemp("scripts"))


def test_what_waits_is_appended_together_until_another_track_begins(scripts: Path) -> None:
    told = run(
        scripts,
        TOOLS
        + """const { AppendQueue } = await load("player/engines/append-queue.js");
        const queue = new AppendQueue(true), found = [];
        const size = () => queue.next("video/mp4").byteLength;
        queue.init("video/mp4", new ArrayBuffer(7));
        for (const time of [1, 1.1, 1.2]) queue.frame(time, message());
        queue.init("video/webm", new ArrayBuffer(5));
        queue.frame(9, message());
        found.push([queue.bytes, queue.frames.length, queue.seconds, queue.mime]);
        found.push([size(), size(), queue.taken(), queue.bytes, queue.mime]);
        queue.frame(9.1, message());
        found.push([queue.drop(), queue.bytes, queue.isEmpty]);
        found.push([queue.next("video/webm").byteLength, queue.taken(), queue.isEmpty]);
        found.push([queue.hasRoom(16 * 2 ** 20), queue.hasRoom(16 * 2 ** 20 + 1)]);
        return found;""",
    )
    size = 113
    assert told == [
        [7 + 5 + 4 * size, 4, 8, "video/mp4"],
        [7 + 3 * size, 7 + 3 * size, [1, 1.1, 1.2], 5 + size, "video/webm"],
        [2, 5, False],
        [5, [], True],
        [True, False],
    ]


def test_a_picture_that_overlaps_the_one_before_is_appended_alone(scripts: Path) -> None:
    told = run(
        scripts,
        TOOLS
        + """const { AppendQueue } = await load("player/engines/append-queue.js"), found = [];
        for (const isVideo of [true, false]) {
          const queue = new AppendQueue(isVideo), steps = [];
          for (const times of [[1], [1.05, 1.1]]) {
            for (const time of times) queue.frame(time, message());
            while (!queue.isEmpty) steps.push((queue.next("video/mp4"), queue.taken()));
          }
          found.push(steps);
        }
        return found;""",
    )
    assert told == [[[1], [1.05], [1.1]], [[1], [1.05, 1.1]]]


def test_a_buffer_is_cut_at_keyframes_only_and_its_holes_are_known(scripts: Path) -> None:
    told = run(
        scripts,
        TOOLS
        + """const { Keyframes, isBuffered, isInHole } = await load("player/engines/buffered.js");
        const keys = new Keyframes(), there = ranges([0, 9]);
        const none = [keys.last === -Infinity, keys.spacing === Infinity, keys.cut(there, 5)];
        for (const time of [0, 2, 4, 6, 8, 7]) keys.add(time);
        const cuts = [keys.cut(there, 5), keys.cut(there, 5.5), keys.cut(ranges([4, 9]), 5)];
        cuts.push(keys.cut(ranges(), 7), keys.cut(there, 3));
        const holed = ranges([1, 2], [4, 5]), clocks = [0.5, 0.95, 1.5, 1.95, 3, 4, 5.5];
        const holes = clocks.map((at) => isInHole(holed, at));
        const present = clocks.map((at) => isBuffered(holed, at));
        return [none, keys.times, keys.last, keys.spacing, cuts, present, holes];""",
    )
    assert told == [
        [True, True, None],
        [4, 6, 7],
        7,
        1,
        [4, 4, None, None, None],
        [False, False, True, True, False, True, False],
        [True, False, False, True, True, False, False],
    ]


def test_pictures_are_counted_only_while_nothing_disturbs(scripts: Path) -> None:
    told = run(
        scripts,
        """const { Smoothness } = await load("player/engines/smoothness.js"), found = [];
        const calm = { jumps: 0, upset: -Infinity, unseen: null, at: 3000 };
        const count = (fed, shown, other = {}) => {
          const { jumps, upset, unseen, at } = { ...calm, ...other };
          const smoothness = new Smoothness();
          smoothness.count({ fed: 100, shown: 50, jumps: 0 }, -Infinity, 1500);
          if (unseen) smoothness.unseen(unseen);
          const counts = { fed: 100 + fed, shown: 50 + shown, jumps };
          return [smoothness.due(at), smoothness.count(counts, upset, at)];
        };
        const others = [{ jumps: 1 }, { upset: 10 }, { unseen: 2000 }, { at: 4500 }, { at: 2999 }];
        const disturbed = others.map((other) => count(10, 9, other));
        return [count(10, 5), count(7, 7), ...disturbed, count(10, 10, { unseen: 1400 })];""",
    )
    assert told == [
        [True, 0.5],
        [True, None],
        [True, None],
        [True, None],
        [True, None],
        [True, None],
        [False, 0.9],
        [True, 1],
    ]


def test_a_browser_that_wants_a_tap_first_gets_one(scripts: Path) -> None:
    told = run(
        scripts,
        """const taps = new Set(), told = [];
        const answers = ["NotAllowedError", "AbortError", "NotAllowedError", ""];
        const addEventListener = (_, tap) => taps.add(tap);
        const removeEventListener = (_, tap) => taps.delete(tap);
        globalThis.document = { addEventListener, removeEventListener };
        const { Autoplay } = await load("player/engines/autoplay.js");
        const play = async () => { const name = answers.shift(); if (name) throw { name }; };
        const autoplay = new Autoplay({ play }, (blocked) => told.push([blocked, taps.size]));
        const later = () => new Promise(setImmediate);
        autoplay.play();
        await later();
        for (let tap = 0; tap < 3; tap += 1) {
          for (const one of taps) one();
          await later();
        }
        return [told, taps.size, answers.length];""",
    )
    assert told == [[[True, 1], [False, 0]], 0, 0]
