"""What the benches of bad viewers and of long runs compute, and that their camera and viewers speak
the protocol.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from bench.actors.remote import Address, Remote, RemoteError
from bench.actors.scripted_camera import Film, Mark
from bench.actors.viewers import KEPT, Arrival, Reader, Viewer
from bench.flow import AGE_INTERVAL, ages, seen
from bench.gauges.waits import OUTAGE, Presence, length, longest
from bench.report.memory import LEAST_SLOPE_MINUTES, SETTLING, growth
from tests.harness.peers import PATIENCE
from tests.harness.proxies import Proxy
from tests.harness.relays import Relay

messages = st.lists(
    st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING]), st.integers(0, 70_000)),
    max_size=5,
)


@given(messages, st.integers(1, 70_000))
def test_the_reader_finds_every_message_wherever_it_is_cut(
    sizes: list[tuple[Opcode, int]], step: int
) -> None:
    sent = [
        (
            opcode,
            bytes(index % 251 for index in range(size % 126 if opcode is Opcode.PING else size)),
        )
        for opcode, size in sizes
    ]
    data = b"".join(
        Frame(opcode, body).serialize(mask=False, extensions=[]) for opcode, body in sent
    )
    found: list[tuple[int, bytes]] = []
    reader = Reader(lambda opcode, body: found.append((opcode, body)))
    for position in range(0, len(data), step):
        reader.feed(memoryview(data)[position : position + step])
    assert [(opcode, body[:KEPT]) for opcode, body in sent] == [
        (opcode, body[:KEPT]) for opcode, body in found
    ]


@pytest.mark.parametrize("head", [b"\x02\x01", b"\x82\x81"], ids=["fragmented", "masked"])
def test_the_reader_refuses_what_no_relay_sends(head: bytes) -> None:
    with pytest.raises(ValueError, match=head.hex()):
        Reader(lambda *_: None).feed(memoryview(head))


def test_a_mark_survives_in_keyframes_and_others() -> None:
    mark = Mark(7, 12.5)
    assert Mark.read(mark.frame(True)) == Mark.read(mark.frame(False)) == mark


def test_pictures_that_did_not_come_are_counted_among_those_of_the_phase() -> None:
    complete = [Arrival(number, number, number + 0.25) for number in range(10)]
    delays, gap, missed = seen(
        [complete, [one for one in complete if one.number not in (4, 5)]], 2, 8
    )
    assert delays == [250.0] * 10
    assert gap == 3000
    assert missed == 2


def test_a_viewer_to_whom_nothing_came_has_missed_everything() -> None:
    delays, gap, missed = seen([[Arrival(number, number, number) for number in range(4)], []], 0, 4)
    assert (len(delays), gap, missed) == (4, 4000, 4)


def test_a_picture_grows_old_until_the_next_one_is_here() -> None:
    found, oldest = ages([Arrival(0, 10.0, 10.5), Arrival(1, 11.0, 12.0)], 12.25)
    assert oldest == 2.0
    assert min(found) == 0.5
    assert max(found) == pytest.approx(2.0, abs=AGE_INTERVAL)
    assert len(found) == pytest.approx(1.75 / AGE_INTERVAL, abs=3)


def test_an_old_picture_that_comes_late_makes_nothing_younger_and_nothing_older() -> None:
    assert ages([Arrival(1, 10.0, 10.0), Arrival(0, 5.0, 10.5)], 11.0)[1] == 1.0


def test_the_longest_wait_is_between_two_pictures() -> None:
    assert longest([1, 2, 5, 6], [], 0, 7) == ((2, 5), 6)


def test_an_excuse_begins_the_wait_anew() -> None:
    assert longest([1, 2, 9], [(3, 8), (4, 5)], 0, 9.5) == ((0, 1), 9)


def test_a_wait_that_is_not_over_counts_and_goes_on() -> None:
    wait, since = longest([1], [], 0, 5)
    assert (wait, since) == ((1, 5), 1)
    assert longest([8], [], since, 9)[0] == (1, 8)


def test_nothing_is_waited_for_while_the_excuse_lasts() -> None:
    wait, since = longest([1], [(1.5, 20)], 0, 10)
    assert length(wait) == 1
    assert since == 10


def test_a_camera_is_away_from_its_last_frame_on() -> None:
    presence = Presence(100.0)
    for frame in (100.5, 101.0, None, 101.0 + OUTAGE / 2):
        presence.look(frame)
    last = 101.0 + OUTAGE / 2
    assert presence.outages(last + OUTAGE / 2) == []
    assert presence.outages(last + 2 * OUTAGE) == [(last, last + 2 * OUTAGE)]
    presence.look(last + 3 * OUTAGE)
    assert presence.outages(last + 3 * OUTAGE) == [(last, last + 3 * OUTAGE)]
    presence.forget(last + 4 * OUTAGE)
    assert presence.outages(last + 3 * OUTAGE) == []


def test_growth_leaves_the_settling_out_and_bears_holes() -> None:
    minutes = LEAST_SLOPE_MINUTES + 1
    sizes = [1000.0] * SETTLING + [None, *(3.0 + minute / 60 for minute in range(1, minutes))]
    assert growth(sizes) == pytest.approx(1.0)
    assert growth(sizes[:-1]) is None


@pytest.fixture(
    scope="module", params=[(), ("--tls", "--no-key", "--host", "127.0.0.1")], ids=["plain", "tls"]
)
def relay(request: pytest.FixtureRequest) -> Iterator[Relay]:
    with Relay("--no-qr", *request.param) as one:
        yield one


async def test_the_film_reaches_the_viewers(relay: Relay) -> None:
    address = Address.of(relay)
    async with Film(address, "film") as film, asyncio.timeout(PATIENCE):
        good = await Viewer().watch(address, "/player/film")
        stalled = await Viewer(stalls=True).watch(address, "/player/film")
        while len(good.arrivals) < 20:  # noqa: ASYNC110 - arrivals have no events
            await asyncio.sleep(0.05)
        numbers = [one.number for one in good.take()]
        assert numbers == sorted(set(numbers))
        # Before it has answered for the first time, a newcomer may miss some.
        known = numbers[5:]
        assert known == list(range(known[0], known[0] + len(known)))
        assert film.fault() == ""
        assert len(stalled.arrivals) < 3
        for viewer in (good, stalled):
            viewer.leave()
            await viewer.gone.wait()


async def test_a_viewer_tells_that_it_was_refused(relay: Relay) -> None:
    with pytest.raises(OSError, match="404"):
        await Viewer().watch(Address.of(relay), "/nothing")


async def test_a_part_of_a_bench_lives_in_another_process() -> None:
    async with Remote(Proxy, 9) as proxy:
        assert await proxy.ask("port") > 0
        await proxy.ask("throttle", 1000)
        assert await proxy.ask("rate") == 1000
        with pytest.raises(RemoteError, match="no rate: -1"):
            await proxy.ask("throttle", -1)
        assert await proxy.ask("frozen") is False


async def test_what_cannot_begin_in_another_process_says_why() -> None:
    with pytest.raises(RemoteError, match=r"struct\.error"):
        async with Remote(struct.unpack, "B", b""):  # type: ignore[arg-type] # it is to fail
            pass
