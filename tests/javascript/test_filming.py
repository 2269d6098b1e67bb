"""The parts of what films, each without the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modules(tmp_path_factory.mktemp("scripts"))


def test_what_films_gives_way_to_what_viewers_play_and_to_what_works(scripts: Path) -> None:
    told = run(
        scripts,
        """globalThis.MediaRecorder = class {
          static isTypeSupported(type) { return type.includes("webm"); }
        };
        const { Ways } = await load("camera/publish/ways.js"), found = [];
        const films = (ways) => ways.choose().codec || ways.way.types[0];
        const phones = [["", ["vp8"], []], ["", [], ["vp8"]], ["video/mp4", [], []]];
        for (const [mime, codecs, spare] of phones) {
          const ways = new Ways(mime), steps = [];
          ways.equip({ codecs, spare, remark: "slow" });
          steps.push(films(ways), ways.suit(["vp9", "opus"]), films(ways), ways.replaceable);
          steps.push(ways.failed(), films(ways), ways.suit(["vp9"]), ways.remark);
          steps.push(ways.failed(), films(ways), ways.failed(), ways.remark);
          found.push(steps);
        }
        return found;""",
    )
    vp8, vp9, mp4 = "video/webm;codecs=vp8", "video/webm;codecs=vp9", "video/mp4"
    codecs = "WebCodecs has failed on this phone."
    assert told == [
        ["vp8", True, vp9, True, True, "vp8", False, "slow", True, vp8, False, codecs],
        [vp8, True, vp9, True, True, vp8, False, "slow", True, "vp8", True, codecs],
        [mp4, False, mp4, False, False, mp4, False, "slow", False, mp4, False, "slow"],
    ]


def test_a_camera_that_films_nothing_says_why(scripts: Path) -> None:
    told = run(
        scripts,
        """const { Pauses } = await load("camera/publish/pauses.js");
        const pauses = new Pauses(), found = [];
        const video = {}, filmed = { video, muted: false }, muted = { video, muted: true };
        const none = { video: null, muted: false };
        const why = (tracks, hidden = false, now = 9000) => {
          found.push(pauses.reason(tracks, hidden, now));
        };
        const all = [filmed, muted, none];
        for (const hidden of [false, true]) all.map((tracks) => why(tracks, hidden));
        pauses.lost(9000);
        why(none, false, 10499), why(none, false, 10500);
        pauses.look(true, 1501), why(filmed, true);
        found.push(pauses.wake(), pauses.wake());
        pauses.look(true, 1500), why(filmed, true);
        pauses.look(true, 1501), pauses.look(true, null), why(filmed);
        pauses.look(false, 9999), why(filmed);
        pauses.ask({ reason: "unwatched" }), why(muted);
        pauses.ask({ reason: "other", by: ["load"], votes: 1, watching: 2 }), why(filmed);
        found.push(pauses.asked);
        pauses.end(), why(filmed);
        return found;""",
    )
    assert told[:6] == ["", "interrupted", "interrupted", "", "background", "background"]
    assert told[6:8] == ["", "interrupted"]
    assert told[8:14] == ["background", True, False, "", "background", ""]
    asked = {"reason": "viewers", "by": ["load"], "votes": 1, "watching": 2}
    assert told[14:] == ["unwatched", "viewers", asked, ""]


def test_the_relay_is_told_what_is_new_to_it(scripts: Path) -> None:
    told = run(
        scripts,
        """const { CameraReport } = await load("camera/publish/camera-report.js"), sent = [];
        const report = new CameraReport((message) => sent.push(message));
        const well = { failed: false, silenced: false };
        report.begin(), report.turns({}, true);
        report.say("", well), report.say("", well);
        report.hears("asking"), report.say("", well);
        report.hears("on"), report.say("", well), report.say("viewers", well);
        report.say("", { failed: true, silenced: true });
        report.say("", { failed: false, silenced: true });
        report.forget(), report.say("", { failed: false, silenced: true });
        report.hears("muted"), report.say("", { failed: true, silenced: true });
        report.turns({ pan: 1 }, false), report.begin();
        report.turns({}, true), report.turns({}, true);
        const pings = [report.pingFields(null)];
        report.level = 0.12345, pings.push(report.pingFields(12.3456));
        return [sent, pings];""",
    )
    live = {"type": "state", "state": "live"}
    assert told[0] == [
        live,
        live | {"sound": "on"},
        {"type": "state", "state": "paused", "reason": "viewers", "sound": "on"},
        live | {"sound": "failed"},
        live | {"sound": "slow"},
        live | {"sound": "slow"},
        live | {"sound": "muted"},
        {"type": "turns", "pan": 1},
        {"type": "turns"},
    ]
    assert told[1] == [{}, {"encode": 12346, "level": 0.123}]


def test_a_stream_starts_its_engine_when_something_else_is_wanted(scripts: Path) -> None:
    told = run(
        scripts,
        """const { Stream } = await load("camera/publish/stream.js");
        const stream = new Stream(1), log = [];
        let now = 1000;
        globalThis.performance = { now: () => now };
        const engine = (restarts) => ({
          able: true, track: null, stats: { restarts },
          get running() { return this.track !== null; },
          start(track) { this.track = track; log.push(track.id); },
          stop() { this.track = null; log.push("stop"); },
        });
        const first = { id: "first" }, second = { id: "second" };
        stream.run(first);
        const before = [stream.running, stream.silence, stream.restarts, stream.stats.fps];
        stream.engine = engine(2);
        stream.run(first), stream.run(first), stream.run(second);
        now += 700;
        const silences = [stream.silence];
        stream.sent(), now += 5, silences.push(stream.silence);
        stream.failure = "broken";
        stream.run(second), stream.run(second);
        stream.retire();
        const between = [stream.running, stream.restarts];
        stream.engine = engine(1), stream.failure = "";
        stream.run(second), stream.run(null), silences.push(stream.silence);
        return [before, log, silences, between, stream.restarts];""",
    )
    assert told == [
        [False, 0, 0, 0],
        ["first", "second", "stop", "stop", "second", "stop"],
        [700, 5, 0],
        [False, 2],
        3,
    ]
