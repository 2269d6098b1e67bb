"""What the bench of the attacks computes, that its attackers say what they are to say, and that a
relay hears it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode

from bench import siege
from bench.actors.scripted_camera import RATE
from bench.actors.viewers import Arrival
from bench.attacks import hellos
from bench.attacks.attack import BYTES, HELD, PER_SECOND, Wish
from bench.attacks.catalogue import ATTACKS
from bench.attacks.force import AT_A_STRETCH, SOURCE, Assault, Force
from bench.attacks.peers import Asker, Site, frame, log_in
from bench.attacks.streams import MESSAGE, STREAMS, long_doctype, unfinished_block
from bench.beside import Newcomers, Pair, delays
from bench.besieged import Besieged, Ground
from bench.siege import MINUTE, QUIET, Row, log_of_a_day, order, said, table
from certs import Authority
from drawercam.media.containers.detect import StreamReader
from drawercam.media.packets import MediaLimitError
from tests.harness.peers import PATIENCE
from tests.harness.relays import ROOT

ASSAULT = Assault(seconds=10, due=100, offered=100, taken=90, landed=5, answers={"101": 5})
GOOD = Row(
    "here",
    "pings",
    ASSAULT,
    p50=1,
    p99=3,
    longest=9,
    newcomers=40,
    let_in=40,
    memory=2,
    log=1,
    log_day=0.1,
    seconds=10,
)


# --- what is computed ---


def test_a_picture_that_never_came_is_as_late_as_the_next_one() -> None:
    captured = [index / RATE for index in range(6)]
    arrivals = [
        Arrival(index, moment, moment + 0.001)
        for index, moment in enumerate(captured)
        if index not in (2, 3)
    ]
    found, missed = delays(captured, arrivals, 0, 6 / RATE, 10)
    assert missed == 2
    step = 1000 / RATE
    assert sorted(found) == pytest.approx([1, 1, 1, 1, 1 + step, 1 + 2 * step])


def test_what_has_not_come_yet_is_as_late_as_the_question() -> None:
    found, missed = delays([0, 1 / RATE], [], 0, 2 / RATE, 5)
    assert (missed, max(found)) == (2, 5000)


def test_a_camera_that_is_kept_from_filming_hides_nothing() -> None:
    captured = [0.0, 0.03, 2.03, 2.06]
    arrivals = [Arrival(index, moment, moment + 0.002) for index, moment in enumerate(captured)]
    found, missed = delays(captured, arrivals, 0, 2.09, 9)
    assert missed == 0
    assert len(found) == pytest.approx(2.09 * RATE, abs=2)
    assert max(found) == pytest.approx(2002 - 1000 / RATE, abs=1)


def test_pictures_count_in_whose_span_they_were_captured() -> None:
    captured = [0.1, 0.2, 0.3]
    found, _ = delays(
        captured, [Arrival(0, 0.1, 5), Arrival(1, 0.2, 0.21), Arrival(2, 0.3, 9)], 0.15, 0.25, 10
    )
    assert found == pytest.approx([10])


@pytest.mark.parametrize(
    ("sizes", "day"),
    [
        ([(0.0, 0), (10.0, 1000)], 8.64),
        ([(0.0, 0), (MINUTE, 60_000), (2 * MINUTE, 61_000)], 1.499),
        (
            [
                (0.0, 0),
                (59.0, 1),
                (61.0, 60_000),
                (119.0, 60_500),
                (121.0, 61_000),
                (125.0, 99_000),
            ],
            1.499,
        ),
    ],
    ids=["as it began", "the second minute again and again", "between looks"],
)
def test_the_log_of_a_day(sizes: list[tuple[float, int]], day: float) -> None:
    assert log_of_a_day(sizes) == pytest.approx(day)


def test_a_row_that_keeps_all_limits_is_held() -> None:
    assert (GOOD.held, GOOD.why) == (True, "")
    assert (
        replace(GOOD, name=QUIET, assault=None, memory=1000).held is True
    )  # of peace, no growth is claimed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"p99": 20.6}, "p99 21 > 20 ms"),
        ({"longest": 201}, "max 201 > 200 ms"),
        ({"let_in": 37}, "newcomers 92% < 95%"),
        ({"memory": 65}, "memory +65 > +64 MB"),
        ({"log_day": 10.6}, "log 11 > 10 MB a day"),
        ({"cut": "viewer"}, "cut off: viewer"),
        ({"name": "plays", "told": {"unplayable": 2}}, "2 changes of the camera"),
    ],
)
def test_each_limit_is_told_by_its_own_number(change: dict[str, object], why: str) -> None:
    row = replace(GOOD, **change)  # type: ignore[arg-type]
    assert (row.held, row.why) == (False, why)
    assert str(row.target()).startswith("not reached")
    assert why in table([GOOD, row])


def test_what_a_camera_is_told_counts_only_where_it_is_the_matter() -> None:
    assert replace(GOOD, told={"unplayable": 9}).held is True


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"assault": replace(ASSAULT, offered=94)}, "the attacker reached 94% of its rate"),
        ({"assault": replace(ASSAULT, landed=0)}, "the attack never landed"),
        ({"fault": "the relay did not start"}, "the relay did not start"),
        ({"p99": None}, "too short"),
        ({"newcomers": 0, "let_in": 0}, "too short"),
    ],
)
def test_what_was_not_measured_is_never_held(change: dict[str, object], why: str) -> None:
    row = replace(GOOD, **change)  # type: ignore[arg-type]
    assert (row.held, row.why) == (None, why)
    assert str(row.target()).startswith("not measured")


def test_an_attacker_that_fell_short_and_does_harm_is_not_held() -> None:
    short = replace(GOOD, assault=replace(ASSAULT, offered=50), p99=500)
    assert (short.held, short.why) == (
        False,
        "p99 500 > 20 ms; the attacker reached 50% of its rate",
    )
    assert (
        replace(short, assault=replace(ASSAULT, landed=0)).held is None
    )  # then the harm is somebody else's


def test_peace_is_measured_first_last_and_in_between() -> None:
    names = list(order(["a"] * (siege.QUIET_EVERY + 1)))
    assert [index for index, name in enumerate(names) if name == QUIET] == [
        0,
        siege.QUIET_EVERY + 1,
        siege.QUIET_EVERY + 3,
    ]


def test_the_commonest_answers_are_shown() -> None:
    assert said({"429": 3, "401": 10, "cut off": 1}) == "10 x 401, 3 x 429"
    assert said({}) == "-"


@pytest.mark.parametrize(
    "wrong", [["--attacks", "no-such"], ["--seconds", "0"], ["--root", "/nowhere"]]
)
def test_wrong_options_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        siege.options(wrong)
    assert "error" in capsys.readouterr().err


def test_every_attack_says_what_how_much_and_why() -> None:
    for attack in ATTACKS.values():
        assert attack.does and attack.why and attack.unit in (PER_SECOND, BYTES, HELD)
        assert attack.rate > 0 and attack.step > 0
        assert attack.name in siege.catalogue()


def test_an_attacker_offers_what_is_due_whatever_is_taken() -> None:
    now = 0.0
    force = Force(Site(0, 0), rate=10, step=2, clock=lambda: now)
    force.go()
    taken = iter([True, False, True, True])
    assert force.catch_up(lambda: next(taken))
    now = 0.5
    assert force.catch_up(lambda: next(taken))
    now = 1.0
    report = force.report()
    assert (report.due, report.offered, report.taken) == (10, 6, 4)


def test_an_attacker_that_is_slow_looks_up_in_between() -> None:
    now = 0.0
    force = Force(Site(0, 0), rate=1000, clock=lambda: now)
    force.go()

    def slow() -> bool:
        nonlocal now
        now += AT_A_STRETCH / 3
        return True

    now = 1.0
    assert not force.catch_up(slow)
    assert force.report().offered < 10


# --- bytes ---


@pytest.mark.parametrize("group", [hellos.X25519, hellos.SECP256R1, hellos.SECP521R1, hellos.X448])
def test_a_server_answers_a_client_hello(group: int, tmp_path: Path) -> None:
    served = Authority(tmp_path).ensure([], ["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served.cert_file, served.key_file)

    def answer(data: bytes) -> bytes:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(into, out, server_side=True)
        into.write(data)
        with pytest.raises(ssl.SSLWantReadError):
            server.do_handshake()
        return out.read()

    assert answer(hellos.client_hello(group))[:1] == b"\x16"
    with pytest.raises(ssl.SSLError, match=r"(?i)unexpected message"):
        answer(hellos.rubbish())


def test_the_costly_hello_offers_one_group_and_a_share_of_it() -> None:
    hello = hellos.client_hello(hellos.FFDHE8192)
    assert int.from_bytes(hello[3:5], "big") == len(hello) - 5
    assert b"\x00\x0a\x00\x04\x00\x02\x01\x04" in hello  # supported_groups: only ffdhe8192
    share = hello[hello.index(b"\x00\x33") :]
    assert share[6:10] == b"\x01\x04\x04\x00" and len(share[10:]) == 1024


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_frames_are_those_of_rfc_6455_with_a_mask_of_zeros(size: int) -> None:
    payload = bytes(size)
    unmasked = bytearray(Frame(Opcode.BINARY, payload, False).serialize(mask=False, extensions=[]))
    head = len(unmasked) - size
    unmasked[1] |= 0x80
    assert frame(Opcode.BINARY, payload, False) == bytes(unmasked[:head]) + bytes(4) + payload


@pytest.mark.parametrize("name", STREAMS)
def test_hostile_streams_are_what_containers_allow(name: str) -> None:
    stream = STREAMS[name][1]()
    assert MESSAGE - 300_000 < len(stream.body) <= MESSAGE
    reader = StreamReader()
    assert reader.feed(stream.head) is not None
    with contextlib.suppress(
        MediaLimitError
    ):  # that is what limits are for; anything else would be a fault of these bytes
        reader.feed(stream.body[:20_000])


def test_what_does_not_end_is_understood_up_to_there() -> None:
    reader = StreamReader()
    reader.feed(unfinished_block()[:100_000])
    assert 2**20 - 200 < len(long_doctype()) < 2**20


async def test_statuses_are_counted_wherever_answers_are_cut() -> None:
    answers = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 429 Too Many\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    for step in (1, 2, 5, 12, 100):
        force = Force(Site(0, 0), 1)
        asker = Asker(force.answers)
        for start in range(0, len(answers), step):
            asker.received(memoryview(answers)[start : start + step])
        assert force.answers == {"200": 2, "429": 1}


# --- a real relay ---


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with Ground(ROOT) as one:
        yield one


@pytest.fixture(scope="module")
def besieged(ground: Ground) -> Iterator[Besieged]:
    with ground.relay(None) as one:
        yield one
        assert one.alive, one.log()


LANDING = (
    "half-handshakes",
    "refused",
    "missing",
    "trust-held",
    "pings",
    "over-http",
    "join-rest",
    "states",
    "waiting",
    "put-boxes",
    "doctypes",
)


# asyncio forgets the transport of a connection by TLS that is cancelled before its first turn, and
# so are attackers at their end.
@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
@pytest.mark.parametrize("name", LANDING)
async def test_attacks_arrive(name: str, besieged: Besieged) -> None:
    attack, site = ATTACKS[name], besieged.site
    force = Force(site, min(attack.rate, 20 * attack.step), attack.step)
    if attack.guest:
        force.watching = await asyncio.to_thread(log_in, site, site.watching, SOURCE)
        force.filming = await asyncio.to_thread(log_in, site, site.filming, SOURCE)
    task = asyncio.create_task(attack.run(force))
    try:
        async with asyncio.timeout(PATIENCE):
            await force.ready.wait()
            force.go()
            while not (force.landed and force.report().offered and force.report().taken):
                await asyncio.sleep(0.02)
                assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await force.end()


async def test_the_good_ones_are_good(ground: Ground, besieged: Besieged) -> None:
    keys = ground.keys()
    begin = time.monotonic()
    for wish in Wish:
        key = keys["camera" if wish is Wish.CAMERA else "viewer"]
        async with (
            Pair(besieged.site, keys["camera"], keys["viewer"]) as pair,
            Newcomers(besieged.site, wish, key) as newcomers,
        ):
            async with asyncio.timeout(PATIENCE):
                while not (pair.begin() and newcomers.tries(begin, begin + PATIENCE)):  # noqa: ASYNC110 - they tell nobody
                    await asyncio.sleep(0.02)
            assert pair.seen(begin, time.monotonic()).cut == ""


async def test_a_row_is_measured_from_the_start_of_a_relay_to_its_end(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siege, "SETTLING", 0.5)
    row = await siege.measured(ground, "pongs", 1.5)
    assert row.fault == "" and row.assault is not None and row.assault.landed
    assert row.p99 is not None and row.newcomers
    assert row.seconds >= 1.5 and row.cpu > 0
    assert siege.plain(row)["held"] is row.held
