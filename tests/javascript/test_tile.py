"""The parts of a tile, each without the page: what it says, how old its pictures are, which
engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")

PAGE = """
  globalThis.addEventListener = globalThis.setInterval = () => undefined;
  const stored = { getItem: () => null, setItem() {}, removeItem() {} };
  const page = { location: new URL("https://relay.invalid/player.html"), localStorage: stored };
  const document = { visibilityState: "visible", addEventListener() {} };
  const history = { replaceState() {} };
  Object.assign(globalThis, page, { sessionStorage: stored, history, document });
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modules(tmp_path_factory.mktemp("scripts"))


LIVE = {"state": "live", "reason": "", "keyless": False, "microphone": ""}
PAUSED = {"state": "paused", "reason": "unwatched", "keyless": False, "microphone": ""}

# What is otherwise than of a tile that shows its camera; and what it says then.
VERDICTS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["live", ""]),
    ({"shows": False}, ["connecting", ""]),
    ({"shows": False, "hadPicture": False}, ["connecting", "Waiting for the first picture…"]),
    ({"departure": "Switched off at 01:39"}, ["gone", "Switched off at 01:39"]),
    (
        {"departure": "Switched off at 01:39", "link": "waiting", "listed": True},
        ["gone", "Switched off at 01:39"],
    ),
    (
        {"departure": "Switched off", "link": "waiting"},
        ["connecting", "No connection. Trying again…"],
    ),
    ({"link": "connecting", "wasOpen": False}, ["connecting", "Connecting…"]),
    (
        {"link": "closed", "refusal": {"id": "no-key", "text": "Another key."}},
        ["failed", "Another key."],
    ),
    ({"camera": None}, ["connecting", "Connecting…"]),
    ({"camera": LIVE | {"state": "waiting"}}, ["waiting", "Waiting for the camera…"]),
    ({"camera": LIVE | {"state": "waiting"}, "hadPicture": False}, ["waiting", "Not there yet."]),
    ({"camera": PAUSED}, ["paused", "Waking up…"]),
    ({"camera": PAUSED | {"reason": "rain"}}, ["paused", "Paused."]),
    ({"failure": "No engine."}, ["failed", "No engine."]),
    ({"failure": "No engine.", "hasTrack": False}, ["live", ""]),
    ({"blocked": True}, ["connecting", "Tap the picture to start it."]),
]

# When something happened last, seconds ago; and who holds the picture back.
SILENCES: list[tuple[dict[str, float], str]] = [
    ({"heardAt": 9}, "network"),
    ({"filmedAt": 9}, "camera"),
    ({"slowFrom": 2}, "slow"),
    ({"receivedAt": 1}, "browser"),
    ({"pictureAt": 30, "receivedAt": 40}, "camera"),
    ({"pictureAt": 3.5}, "unknown"),
]


def test_a_tile_says_what_is_and_blames_nobody_without_proof(scripts: Path) -> None:
    told = run(
        scripts,
        PAGE
        + """const { judge } = await load("player/tile/verdict.js");
        const [verdicts, silences, camera] = values, now = 100000;
        const times = (other) => {
          const ago = { heardAt: 0, pongAt: 0, filmedAt: 0, receivedAt: 9, pictureAt: 5, slowFrom: 99 };
          const all = Object.entries({ ...ago, ...other });
          return Object.assign({}, ...all.map(([name, seconds]) => ({ [name]: now - seconds * 1000 })));
        };
        const well = {
          link: "open", refusal: null, wasOpen: true, departure: "", listed: false, camera,
          hasTrack: true, failure: "", blocked: false, engineRefusal: "", shows: true, hadPicture: true,
          watched: true, pace: 33, filmed: 0, small: false, short: false,
          deviceBusy: false, busy: false, times: times({ pictureAt: 0 }),
        };
        return [
          verdicts.map((other) => judge({ ...well, ...other }, now)),
          silences.map((ago) => judge({ ...well, times: times(ago) }, now)),
          judge({ ...well, times: times({}), watched: false }, now),
          judge({ ...well, times: times({}), engineRefusal: "Later." }, now),
          judge({ ...well, times: times({ slowFrom: 2 }), busy: true }, now),
          judge({ ...well, times: times({ heardAt: 9 }), deviceBusy: true, busy: true }, now),
        ];""",
        [other for other, _ in VERDICTS],
        [ago for ago, _ in SILENCES],
        LIVE,
    )
    assert [(other, one) for (other, _), one in zip(VERDICTS, told[0], strict=True)] == VERDICTS
    assert [(ago, one[2]) for (ago, _), one in zip(SILENCES, told[1], strict=True)] == SILENCES
    assert all(one[0] == "frozen" for one in told[1])
    assert told[2] == ["live", ""]
    assert told[3] == ["frozen", "Later.", "relay"]
    busy = ["frozen", "This device is too busy: no picture for 5 s.", "browser"]
    assert told[4:] == [busy, busy]


def test_a_delay_is_by_the_relays_clock_and_grows_old(scripts: Path) -> None:
    told = run(
        scripts,
        """let now = 5000;
        Object.defineProperty(performance, "timeOrigin", { value: 1e12 });
        performance.now = () => now;
        Date.now = () => 1e12 + now;
        const { PictureDelay } = await load("player/tile/picture-delay.js"), found = [];
        const delay = new PictureDelay(), stamp = (ms) => (1e12 + ms) * 1000 + 7e6;
        delay.glass(stamp(4900), 4990), found.push(delay.delayAt(now), delay.filmed, delay.shownTime - 1e12);
        delay.clock(7e6, { encode: 10000, uplink: 20000, relay: 5000, pace: 40000 });
        found.push(delay.filmed - 1e12, delay.pace);
        for (const late of [80, 100, 300]) delay.glass(stamp(5000 - late), 5000);
        delay.arrive(60, 15, now), found.push(delay.look(now), delay.look(now));
        found.push(delay.partsAt(false, now), delay.partsAt(true, now));
        now = 6501, found.push(delay.look(now), delay.look(now), delay.delayAt(now));
        return found.map((one) => (one === undefined ? "nothing new" : one));""",
    )
    assert told[:3] == [None, 0, 4990]
    assert told[3:5] == [4900, 40]
    assert told[5:7] == [100, "nothing new"]
    way = {"encode": 10, "uplink": 20, "relay": 5, "downlink": 25}
    assert told[7:9] == [way | {"decode": 15, "screen": 25}, way | {"decode": 40, "screen": None}]
    assert told[9:] == [None, "nothing new", None]


def test_engines_that_have_failed_get_another_chance_ever_later(scripts: Path) -> None:
    told = run(
        scripts,
        PAGE
        + """const { EngineChoice } = await load("player/pictures/engine-choice.js"), found = [];
        const say = (...what) => found.push(...what), choice = new EngineChoice(null);
        say(choice.best, new EngineChoice("mse").best, choice.sentence);
        choice.fail("frames", "dark", 100), say(choice.best, choice.forgive(false, 4100));
        say(choice.forgive(false, 4101), choice.best);
        choice.fail("frames", "dark", 5000), say(choice.forgive(false, 13000), choice.forgive(false, 13001));
        for (const name of ["frames", "mse"]) choice.cannot(name), choice.fail(name, "no vp9", 20000);
        choice.plays = ["vp8"], say(choice.best, choice.isUnlucky);
        say(choice.hope("vp8", 99999), choice.hope("vp9", 60000), choice.hope("vp9", 60001), choice.best);
        for (const name of ["frames", "mse", "jpeg"]) choice.fail(name, "no vp9", 70000);
        say(choice.sentence), choice.begin(), say(choice.best, choice.sentence);
        return found;""",
    )
    sentence = (
        "This browser cannot show this camera (no vp9). Try another browser or another camera."
    )
    assert told == [
        *["frames", "mse", "", "mse", False, True, "frames", False, True, "jpeg", False],
        *[False, False, True, "frames", sentence, "frames", ""],
    ]


def test_an_engine_that_eats_and_gives_nothing_is_mute(scripts: Path) -> None:
    told = run(
        scripts,
        """const { EngineWatch } = await load("player/pictures/engine-watch.js"), found = [];
        const after = (feeds, pictures, excused = false) => {
          const watch = new EngineWatch();
          let mute = 0, fed = 0;
          watch.expect(0, 0);
          for (let now = 250; now <= 20000 && mute === 0; now += 250) {
            if (feeds(now)) fed += 3;
            if (watch.isMute(fed, excused, now)) mute = now;
            if (pictures(now)) watch.picture(fed, now);
          }
          return mute;
        };
        const always = () => true, never = () => false;
        found.push(after(always, never), after(always, always), after(always, never, true));
        found.push(after(never, never), after((now) => now % 2000 === 0, never));
        found.push(after(always, (now) => now % 4000 === 0));
        const watch = new EngineWatch();
        found.push(watch.isDark(true, 1000), watch.isDark(false, 5000), watch.isDark(false, 5001));
        return found;""",
    )
    assert told[0] in (5250, 5500) and told[1:6] == [0, 0, 0, 0, 0]
    assert told[6:] == [False, False, True]
