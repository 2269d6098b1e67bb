"""The parts of the lens, each without the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modules(tmp_path_factory.mktemp("scripts"))


def sizes(scripts: Path, able: bool, fixed: dict[str, int], *steps: list[Any]) -> list[Any]:
    """What is asked of the camera, and what each step answers."""
    found: list[Any] = run(
        scripts,
        """const [able, fixed, steps] = values;
        const info = { supported: able, smooth: able, powerEfficient: able };
        const value = { mediaCapabilities: { encodingInfo: async () => info } };
        Object.defineProperty(globalThis, "navigator", { value });
        const { PictureSize } = await load("camera/lens/picture-size.js");
        const size = new PictureSize(fixed);
        await size.begin();
        const sides = ["width", "height", "frameRate"];
        const asked = (wish) => sides.map((side) => wish[side].ideal);
        const told = [asked(size.constraints)];
        for (const [what, ...more] of steps) {
          const answer = size[what](...more) || false;
          const wish = what === "failed" ? size.constraints : size.present;
          told.push(answer, size.any ? "any" : asked(wish));
        }
        return told;""",
        able,
        fixed,
        steps,
    )
    return found


def test_a_camera_is_asked_for_less_where_it_does_not_start(scripts: Path) -> None:
    too_large, in_use = ["failed", "OverconstrainedError"], ["failed", "NotReadableError"]
    strong, weak = [1280, 720, 30], [640, 480, 30]
    told = sizes(scripts, True, {}, too_large, too_large, in_use)
    assert told == [strong, True, [960, 540, 30], True, weak, True, "any"]
    # After any size at all the next try starts from the top; a refusal tries nothing.
    told = sizes(scripts, False, {}, in_use, in_use, ["failed", "NotAllowedError"])
    assert told == [weak, True, "any", False, strong, False, strong]


def test_a_picture_fits_the_network_and_the_phone(scripts: Path) -> None:
    taken = ["taken", {"width": 720, "height": 1280}]
    fit, wide = ["fit", 0.5, 10], ["fit", 1, 60]
    told = sizes(scripts, True, {}, taken, fit, fit, ["lower"], wide)
    half = [640, 360, 10]
    assert told[3:] == [True, half, False, half, True, [480, 270, 10], True, [960, 540, 30]]
    # A size that was wished for is not left.
    assert sizes(scripts, True, {"width": 320}, ["lower"])[1] is False


def test_a_microphone_says_what_it_does_and_is_taken_anew(scripts: Path) -> None:
    told = run(
        scripts,
        """const answers = [], timers = [], told = [];
        const set = (name, value) => Object.defineProperty(globalThis, name, { value });
        const getUserMedia = async () => {
          const answer = answers.shift();
          if (typeof answer === "string") throw Object.assign(new Error(answer), { name: answer });
          return { getAudioTracks: () => [answer] };
        };
        set("window", { top: 1 });
        set("navigator", { userAgent: "", mediaDevices: { getUserMedia } });
        set("setTimeout", (action) => timers.push(action));
        set("clearTimeout", () => undefined);
        console.warn = () => undefined;
        const { Microphone } = await load("camera/lens/microphone.js");
        const track = (muted = false) => ({ muted, stop: () => told.push("stopped") });
        const onaudio = (now) => told.push(now ? "track" : "none");
        const handlers = { onaudio, onsound: (state) => told.push(state) };
        const microphone = new Microphone(handlers, true);
        const step = async (action, answer) => {
          told.length = 0;
          if (answer) answers.push(answer);
          await action();
          await new Promise(setImmediate);
          return [...told];
        };
        const found = { unasked: await step(() => microphone.set(true)) };
        microphone.allow();
        found.refused = await step(() => microphone.set(true), "NotAllowedError");
        found.waits = timers.length;
        found.missing = await step(() => microphone.set(true), "NotFoundError");
        found.again = await step(() => timers.pop()(), track());
        const { track: first } = microphone;
        found.muted = await step(() => {
          first.muted = true;
          first.onmute();
          timers.pop()();
          first.onunmute();
        });
        found.ended = await step(() => first.onended());
        found.rests = await step(() => microphone.rest());
        found.restingOn = await step(() => microphone.set(true));
        microphone.wake();
        found.late = await step(async () => {
          const asked = microphone.set(true);
          microphone.rest();
          await asked;
        }, track());
        return found;""",
    )
    assert told == {
        "unasked": [],
        "refused": ["asking", "refused"],
        "waits": 0,
        "missing": ["asking", "missing"],
        "again": ["asking", "on", "track"],
        "muted": ["muted", "on"],
        "ended": ["stopped", "none", "busy"],
        "rests": [],
        "restingOn": ["on"],
        "late": ["asking", "stopped"],
    }


def test_a_place_stays_with_the_size_however_the_browser_takes_them(scripts: Path) -> None:
    told = run(
        scripts,
        """const { Constraints } = await load("camera/lens/constraints.js"), found = [];
        for (const mixes of [true, false]) {
          const asked = [], constraints = new Constraints();
          const track = { applyConstraints: async (wish) => {
            asked.push(Object.keys(wish));
            if (!mixes && wish.advanced && wish.width) throw new TypeError("one after the other");
            if (wish.advanced && wish.advanced[0].pan > 9) throw new RangeError("too far");
          } };
          const answers = [await constraints.apply(track, { width: 640 })];
          constraints.place = { pan: 2 };
          answers.push(await constraints.apply(track, { width: 320 }));
          answers.push(await constraints.apply(track, { width: 640 }));
          constraints.place = { pan: 10 };
          answers.push(await constraints.turn(track));
          found.push([asked, answers, constraints.mixes]);
        }
        return found;""",
    )
    size, place, both = ["width"], ["advanced"], ["advanced", "width"]
    answers = [True, True, True, False]
    assert told[0] == [[size, both, both, place], answers, True]
    assert told[1] == [[size, both, size, place, size, place, place], answers, False]
