"""The parts of what receives one camera, each without the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modules(tmp_path_factory.mktemp("scripts"))


def test_the_relay_is_asked_once_for_what_is_taken(scripts: Path) -> None:
    told = run(
        scripts,
        """const { Subscription } = await load("player/receive/subscription.js"), sent = [];
        const one = new Subscription("porch", ["vp8", "opus"], (message) => sent.push(message));
        const joined = [];
        one.settle("all"), one.settle("sound"), one.settle("sound"), joined.push(one.joined);
        one.settle("all"), joined.push(one.joined), one.begin(), joined.push(one.joined);
        one.interrupt(), joined.push(one.joined), one.settle("nothing"), one.settle("nothing");
        one.welcome(one.path("nothing")), joined.push(one.joined), one.settle("nothing");
        one.settle("all"), one.welcome(one.path("all")), one.settle("all");
        return [sent, joined, one.path("all"), one.path("sound")];""",
    )
    plays = {"plays": ["vp8", "opus"]}
    join = {"type": "join"} | plays
    sound = {"type": "join", "video": False} | plays
    assert told[0] == [sound, join, {"type": "rest"}, join]
    assert told[1] == [True, False, True, False, True]
    assert told[2:] == ["/player/porch?plays=vp8,opus", "/player/porch?rest=1"]


def test_a_busy_page_is_left_out_until_it_has_taken_half(scripts: Path) -> None:
    told = run(
        scripts,
        """const { PageFlow } = await load("player/receive/page-flow.js"), flow = new PageFlow();
        const found = [], MIB = 2 ** 20;
        const look = (what) => found.push(what);
        flow.post(16 * MIB), look(flow.isFull), flow.post(1), look(flow.isFull);
        look(flow.take(16 * MIB)), look(flow.isFull);
        flow.post(16 * MIB), flow.starve();
        look(flow.take(24 * MIB)), look(flow.take(24 * MIB + 1)), look(flow.take(32 * MIB));
        return found;""",
    )
    assert told == [False, True, False, False, False, True, False]


def test_frames_wait_until_too_many_do(scripts: Path) -> None:
    told = run(
        scripts,
        """const { PendingFrames } = await load("player/receive/pending-frames.js"), found = [];
        const count = (pending) => pending.messages && pending.messages.length;
        for (const [size, most] of [[1, 1000], [4 * 2 ** 20, 4]]) {
          const pending = new PendingFrames(), message = new ArrayBuffer(size);
          pending.add(message), found.push(count(pending)), pending.begin();
          for (let index = 0; index < most; index += 1) pending.add(message);
          found.push(count(pending)), pending.add(message), found.push(count(pending));
          pending.begin(), pending.add(message), found.push(count(pending));
        }
        return found;""",
    )
    assert told == [None, 1000, None, 1, None, 4, None, 1]


def test_a_look_has_the_medians_since_the_last_one_and_nothing_twice(scripts: Path) -> None:
    told = run(
        scripts,
        """const { Looks } = await load("player/receive/looks.js"), looks = new Looks(), found = [];
        const counts = { fed: 2, shown: 1, dropped: 0 };
        for (const ms of [1, 900, 7]) looks.receive(), looks.arrive(ms);
        looks.decode(4), found.push(looks.take(counts), looks.take(counts));
        for (let ms = 0; ms < 200; ms += 1) looks.receive(), looks.decode(ms);
        found.push(looks.take(counts));
        return found;""",
    )
    first = {"received": 3, "fed": 2, "shown": 1, "dropped": 0, "arrival": 7, "decode": 4}
    assert told[:2] == [first, None]
    assert told[2]["arrival"] is None and 136 <= told[2]["decode"] <= 200, "of the last 64"


def test_what_nobody_takes_rests_after_a_while(scripts: Path) -> None:
    told = run(
        scripts,
        """const timers = new Map(), found = [];
        globalThis.setTimeout = (action, ms) => (timers.set(ms, action), ms);
        globalThis.clearTimeout = (ms) => timers.delete(ms);
        const { Attention } = await load("player/receive/attention.js");
        const attention = new Attention(() => found.push("rests"));
        found.push(attention.begin()), attention.end(), found.push(attention.watched);
        found.push(attention.begin(), timers.size), attention.end();
        timers.get(2000)(), found.push(attention.watched, attention.begin(), attention.watched);
        attention.end(), attention.close(), found.push(timers.size);
        return found;""",
    )
    assert told == [False, True, False, 0, "rests", False, True, True, 0]


def test_sound_is_decoded_until_that_fails_or_another_way_is_taken(scripts: Path) -> None:
    told = run(
        scripts,
        """const made = [], found = [];
        globalThis.AudioDecoder = class {
          constructor(handlers) { made.push(handlers), this.state = "unconfigured"; }
          configure() { this.state = "configured"; }
          close() { this.state = "closed"; }
        };
        const { SoundWay } = await load("player/receive/sound-way.js");
        const way = new SoundWay({
          onchange: () => found.push(way.listens), onfail: (reason) => found.push(typeof reason),
        });
        const { port1 } = new MessageChannel();
        const track = { number: 2, kind: "audio", codec: "opus", sampleRate: 48000, channels: 1 };
        way.hear(true), way.hear(false), way.decode(track, port1);
        const first = way.decoder;
        way.decode(null);
        port1.close();
        return [found, first !== null, way.decoder];""",
    )
    assert told == [[True, False, True, False], True, None]
