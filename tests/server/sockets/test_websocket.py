"""How long something waits in a socket and on its way, and when the peer is cut off; transport and
clock only pretend.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from drawercam.protocol import messages as control
from drawercam.protocol.close_reasons import Closing, Reason
from drawercam.server.admission.reverse_proxies import Client
from drawercam.server.lines import too_full
from drawercam.server.sockets.in_flight import MAX_PROBES, NEWCOMER, PROBE_OFTEN, PROBE_SELDOM
from drawercam.server.sockets.liveness import CLOSE_DEADLINE, SILENCE_DEADLINE, WRITE_DEADLINE
from drawercam.server.sockets.websocket import PING_INTERVAL, SUBPROTOCOL, Session, Socket
from groundwork.connections.limits import (
    BYTES_AT_ONCE,
    CAMERA_FRAMES_AT_ONCE,
    CAMERA_FRAMES_PER_SECOND,
    FRAMES_AT_ONCE,
    FRAMES_PER_SECOND,
)
from groundwork.connections.scheduler import Scheduler
from groundwork.deadlines import ServedTime
from tests.harness.peers import handshake


class FakeTransport:
    """Attributes:
    waiting: Bytes that the network has not taken; 0 lets it take everything again.
    written: All that was ever written.
    closed, aborted: The connection was ended in order, or cut.
    reads: What the peer sends is taken from the network.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self.written = b""
        self.closed = self.aborted = False
        self.reads = True

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def write(self, data: bytes) -> None:
        self.waiting += len(data)
        self.written += data

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def get_extra_info(self, name: str) -> Any:
        return None

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        pass

    def set_protocol(self, protocol: object) -> None:
        pass


SOMEBODY = Client.connected(None)


class FakeOwner:
    """Takes everybody in, and has the clock.

    Attributes:
        time: Seconds.
        room: Bytes that bursts may have.
        session: Whom all sockets are for.
        later: What is to be done in the next turn of the event loop.
    """

    def __init__(self, session: Session | None = None) -> None:
        self.time = 1000.0
        self.room = 10**9
        self.session = session or FakeSession()
        self.later: list[Callable[[], None]] = []
        self.share = Scheduler(self.later.append).share
        self.client = SOMEBODY

    def now(self) -> float:
        return self.time

    served = now

    def route(self, request: Request) -> Session | Response:
        return self.session

    def has_room(self, size: int) -> bool:
        return size <= self.room

    def unfit(self, status: int) -> Response:
        return Response(status, "unfit", Headers())

    def socket_begins(self, socket: Socket) -> None:
        pass

    def socket_ends(self, socket: Socket) -> None:
        pass


class FakeSession:
    def __init__(self, films: bool = False) -> None:
        self.films = films
        self.drains = self.messages = 0
        self.goodbye: Close | None = None

    def opened(self, socket: Socket) -> None:
        pass

    def text(self, message: str) -> None:
        self.messages += 1

    def binary(self, message: bytes) -> None:
        self.messages += 1

    def drained(self) -> None:
        self.drains += 1

    def settled(self) -> None:
        pass

    def closed(self, goodbye: Close | None) -> None:
        self.goodbye = goodbye


def masked(opcode: Opcode, payload: bytes = b"", fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True, extensions=[])


class Stage:
    """One socket, just opened."""

    def __init__(self, films: bool = False) -> None:
        self.transport, self.session = FakeTransport(), FakeSession(films)
        self.owner = FakeOwner(self.session)
        self.socket = Socket(
            cast(asyncio.Transport, self.transport),
            ServerProtocol(subprotocols=[SUBPROTOCOL]),
            self.owner,
        )
        self.socket.begin(handshake("/player/porch", "localhost"), b"")
        self.transport.waiting = 0
        self.transport.written = b""

    @property
    def pings(self) -> list[bytes]:
        """Payloads of those that were sent; tests write nothing else that looks like one."""
        return [one[1 : 1 + one[0]] for one in self.transport.written.split(b"\x89")[1:]]

    @property
    def code(self) -> int | None:
        """The code with which the relay closes, if it does."""
        sent = self.socket._protocol.close_sent
        return sent.code if sent is not None else None

    def pong(self, payload: bytes) -> None:
        self.socket.data_received(masked(Opcode.PONG, payload))

    def turns(self) -> None:
        """Let the event loop turn until all is done."""
        while self.owner.later:
            self.owner.later.pop()()

    def sweep(self, seconds: int) -> None:
        """Let so much time pass, with the owner's sweeps; the peer says something, but not what it
        was asked. The transport is empty.
        """
        for _ in range(seconds):
            self.owner.time += 1
            self.transport.waiting = 0
            self.pong(b"unsolicited")
            self.socket.sweep(self.owner.time)


WRITES: list[Callable[[Socket], object]] = [
    lambda socket: socket.write(b"frame"),
    lambda socket: socket.burst([b"frame", b"frame"]),
    lambda socket: socket.tell(control.Resume()),
    lambda socket: socket.probe(),
]


@pytest.mark.parametrize("write", WRITES)
def test_waiting_counts_from_the_first_thing_that_waits(write: Callable[[Socket], object]) -> None:
    stage = Stage()
    transport, owner, socket = stage.transport, stage.owner, stage.socket
    owner.time += 60
    assert socket.wait() == 0.0, "nothing waits"
    write(socket)
    assert socket.wait() == 0.0, "it has only just been written"
    owner.time += 0.25
    socket.wait()
    owner.time += 0.25
    socket.write(b"another")
    assert 0.25 <= socket.wait() <= 0.5, "the first one still waits"
    transport.waiting = 1
    owner.time += 0.5
    assert 0.5 <= socket.wait() <= 1.0
    transport.waiting = 0
    for ping in stage.pings:
        stage.pong(ping)
    owner.time += 60
    assert socket.wait() == 0.0


def test_what_has_left_the_transport_waits_until_its_ping_is_answered() -> None:
    stage = Stage()
    for _ in range(10):
        stage.socket.write(b"frame")
        stage.transport.waiting = 0
        stage.owner.time += 0.1
        stage.socket.wait()
    assert stage.socket.wait() > 0.5
    assert len(stage.pings) > 5
    drains = stage.session.drains
    stage.pong(stage.pings[-1])
    assert stage.session.drains == drains + 1
    assert stage.socket.wait() == 0.0


def calm(stage: Stage) -> None:
    """Let the peer answer until nothing is in doubt: it is a newcomer no more, and has answered the
    Ping after that.
    """
    for _ in range(round((NEWCOMER + 1.25 * PROBE_SELDOM) / PROBE_OFTEN)):
        stage.socket.write(bytes(8 * 2**10))
        stage.transport.waiting = 0
        for ping in stage.pings:
            stage.pong(ping)
        stage.transport.written = b""
        stage.owner.time += PROBE_OFTEN


def test_the_short_way_is_for_peers_that_keep_up() -> None:
    stage = Stage()
    assert not stage.socket.pass_on(b"frame"), "a newcomer is watched"
    calm(stage)
    assert stage.socket.pass_on(b"frame")
    assert stage.transport.written == b"frame"
    assert not stage.socket.pass_on(b"another"), "something waits in the transport"
    stage.transport.waiting = 0
    stage.owner.time += PROBE_SELDOM
    assert not stage.socket.pass_on(b"another"), "a Ping is due"
    assert stage.transport.written == b"frame"
    stage.socket.write(b"another")
    assert len(stage.pings) == 1
    calm(stage)
    stage.socket.left_out()
    assert not stage.socket.pass_on(b"frame"), "it is watched closely again"
    assert stage.transport.written == b""


def test_nothing_follows_a_good_bye_on_the_short_way() -> None:
    stage = Stage()
    calm(stage)
    stage.socket.end(Closing(Reason.RESTARTING))
    stage.transport.waiting = 0
    stage.transport.written = b""
    assert not stage.socket.pass_on(b"frame")
    stage.socket.write(b"frame")
    assert stage.transport.written == b""


def test_what_went_the_short_way_is_what_the_next_ping_answers_for() -> None:
    long, short = Stage(), Stage()
    for stage, send in ((long, long.socket.write), (short, short.socket.pass_on)):
        calm(stage)
        for _ in range(4):
            send(bytes(8 * 2**10))
            stage.transport.waiting = 0
            stage.owner.time += PROBE_OFTEN
        stage.socket.left_out()
        stage.socket.probe()
        stage.transport.waiting = 0
        stage.owner.time += 1
        stage.pong(stage.pings[-1])
        stage.socket.write(bytes(2**20))
        stage.owner.time += PROBE_OFTEN
    assert long.transport.written == short.transport.written
    assert long.socket.wait() == short.socket.wait() > 1


def test_pongs_to_nothing_change_nothing() -> None:
    stage = Stage()
    stage.socket.write(b"frame")
    for payload in (b"", b"\0" * 8, b"\xff" * 8, b"\0" * 125):
        stage.pong(payload)
    assert stage.session.drains == 0
    stage.pong(stage.pings[0])
    stage.pong(stage.pings[0])
    assert stage.session.drains == 1, "each is answered once"


def test_a_peer_that_talks_but_takes_nothing_is_cut_off() -> None:
    stage = Stage()
    stage.sweep(60)
    assert not stage.transport.aborted, "nothing waits for it"
    stage.socket.write(b"frame")
    stage.sweep(round(WRITE_DEADLINE) - 2)
    for ping in stage.pings:
        stage.pong(ping)
    stage.socket.write(b"frame")
    stage.sweep(round(WRITE_DEADLINE) - 2)
    assert not stage.transport.aborted, "it has answered in the meantime"
    stage.sweep(4)
    assert stage.transport.aborted


def test_a_long_burst_is_answered_in_between() -> None:
    stage = Stage()
    assert stage.socket.burst([bytes(2**16)] * 128)
    pings = stage.pings
    assert MAX_PROBES > len(pings) > 8, "8 MiB"
    for ping in pings:
        assert stage.socket.bursting
        assert not stage.socket.burst([b"frame"]), "one at a time"
        stage.sweep(round(WRITE_DEADLINE) - 2)
        stage.pong(ping)
    assert not stage.socket.bursting and not stage.transport.aborted


def test_no_burst_where_there_is_no_room() -> None:
    stage = Stage()
    stage.owner.room = 99
    assert not stage.socket.burst([bytes(50)] * 2)
    assert stage.transport.written == b""
    assert stage.socket.burst([bytes(50), bytes(49)])


def test_a_peer_that_was_pinged_lately_is_not_pinged_again() -> None:
    stage = Stage()
    for _ in range(20):
        stage.socket.write(b"frame")
        stage.pong(stage.pings[-1])
        stage.sweep(1)
    assert b"" not in stage.pings
    stage.sweep(round(PING_INTERVAL) + 1)
    assert stage.pings[-1] == b""


# --- too much ---

FLOODS = {
    "pings": (b"", masked(Opcode.PING)),
    "pongs": (b"", masked(Opcode.PONG)),
    "numbered pongs": (b"", masked(Opcode.PONG, (1).to_bytes(8, "big"))),
    "texts": (b"", masked(Opcode.TEXT, b"{}")),
    "binaries": (b"", masked(Opcode.BINARY, b"\1")),
    "fragments": (masked(Opcode.TEXT, b"", fin=False), masked(Opcode.CONT, b"", fin=False)),
    "pings between fragments": (
        masked(Opcode.TEXT, b"{", fin=False),
        masked(Opcode.PING) + masked(Opcode.CONT, b"", fin=False),
    ),
}


@pytest.mark.parametrize("films", [True, False])
@pytest.mark.parametrize("kind", FLOODS)
def test_frames_of_all_kinds_count(kind: str, films: bool) -> None:
    stage, (first, flood) = Stage(films), FLOODS[kind]
    most = CAMERA_FRAMES_AT_ONCE if films else FRAMES_AT_ONCE
    stage.socket.data_received(first)
    stage.socket.data_received(flood * (most // 2 - 10))
    stage.turns()
    assert stage.code is None and stage.transport.reads
    stage.socket.data_received(flood * most)
    stage.turns()
    assert stage.code == 4007
    assert stage.session.messages <= most and stage.transport.written.count(b"\x8a\0") <= most, (
        "it is cut off after its limit"
    )
    assert not stage.transport.reads
    written = stage.transport.written
    stage.socket.data_received(flood * most)
    stage.turns()
    assert stage.transport.written == written, "and nothing more is looked at"
    stage.transport.waiting = 0
    stage.owner.time += CLOSE_DEADLINE + 0.1
    stage.socket.sweep(stage.owner.time)
    assert stage.transport.aborted


@pytest.mark.parametrize("films", [True, False])
def test_bytes_count(films: bool) -> None:
    stage = Stage(films)
    frame = masked(Opcode.TEXT, b"{}".ljust(BYTES_AT_ONCE // 10))
    for _ in range(9):
        stage.socket.data_received(frame)
    assert stage.code is None and stage.session.messages == 9
    for _ in range(9):
        stage.socket.data_received(frame)
    assert stage.code == (None if films else 4007)


@pytest.mark.parametrize(
    ("films", "rate"), [(True, CAMERA_FRAMES_PER_SECOND), (False, FRAMES_PER_SECOND)]
)
def test_at_the_pace_that_is_allowed_it_goes_on_for_ever(films: bool, rate: int) -> None:
    stage = Stage(films)
    for _ in range(30):
        stage.socket.data_received(masked(Opcode.PONG, b"unasked") * (rate // 10))
        stage.turns()
        stage.owner.time += 0.1
    assert stage.code is None


def test_a_short_stream_may_come_in_single_bytes() -> None:
    stage = Stage(films=True)
    stage.socket.data_received(masked(Opcode.BINARY, b"\1") * 10_000)
    stage.turns()
    assert stage.code is None and stage.session.messages == 10_000


def test_answers_to_the_relays_own_pings_are_free_once() -> None:
    stage = Stage()
    for number in range(1, 2 * FRAMES_AT_ONCE):
        stage.socket.probe()
        stage.pong(number.to_bytes(8, "big"))
    assert stage.code is None
    stage.transport.written, stage.transport.waiting = b"", 0
    stage.owner.time += PING_INTERVAL
    stage.socket.sweep(stage.owner.time)
    assert stage.pings == [b""]
    stage.socket.data_received(masked(Opcode.PING) * (FRAMES_AT_ONCE - 1))
    stage.pong(b"")
    assert stage.code is None, "this one was asked for"
    stage.pong(b"")
    assert stage.code is None
    stage.pong(b"")
    assert stage.code == 4007, "and these were not"


def test_frames_after_a_good_bye_count_too() -> None:
    stage = Stage()
    stage.socket.end(Closing(Reason.REVOKED))
    stage.socket.data_received(masked(Opcode.PING) * (FRAMES_AT_ONCE // 2))
    assert stage.transport.reads
    stage.socket.data_received(masked(Opcode.PING) * FRAMES_AT_ONCE)
    assert not stage.transport.reads and stage.code == 4006
    assert not stage.transport.aborted, "it may still read why"
    stage.owner.time += CLOSE_DEADLINE + 0.1
    stage.socket.sweep(stage.owner.time)
    assert stage.transport.aborted


def test_what_its_address_has_no_time_for_waits_for_the_next_turn() -> None:
    stage, other = Stage(films=True), Stage(films=True)
    share = stage.owner.share("")
    share.spend(1.0)
    pieces = masked(Opcode.BINARY, b"\1" * 50) * 100
    stage.socket.data_received(pieces[:1000])
    assert (stage.session.messages, stage.transport.reads) == (0, False)
    stage.socket.data_received(pieces[1000:])  # some transports have read it already
    other.socket.data_received(pieces)
    assert other.session.messages == 100
    stage.turns()
    assert (stage.session.messages, stage.transport.reads) == (100, True)
    share.spend(1.0)
    stage.socket.data_received(pieces)
    stage.socket.eof_received()
    stage.turns()
    assert stage.session.messages == 100, "it has gone"


# --- the relay itself stands still ---


def test_nobody_is_cut_off_because_the_relay_stood_still() -> None:
    stage = Stage()
    served = ServedTime(stage.owner.now)
    stage.owner.served = served  # type: ignore[method-assign]
    stage.socket.write(b"frame")
    for stall in (SILENCE_DEADLINE, WRITE_DEADLINE, 3600.0):
        stage.owner.time += stall
        if served.look():
            stage.socket.sweep(served())
        assert not stage.transport.aborted
        for ping in stage.pings:  # it had answered in time
            stage.pong(ping)
        stage.owner.time += 1
        if served.look():
            stage.socket.sweep(served())
        assert not stage.transport.aborted
    for _ in range(round(SILENCE_DEADLINE) + 2):
        stage.owner.time += 1
        assert served.look()
        stage.socket.sweep(served())
    assert stage.transport.aborted, "a peer that is silent is"


@given(st.lists(st.integers(0, 100)), st.integers(0, 500))
def test_when_too_much_waits_in_all_the_fullest_go(held: list[int], limit: int) -> None:
    stages = [Stage() for _ in held]
    for stage, size in zip(stages, held, strict=True):
        stage.transport.waiting = size
    sockets = [stage.socket for stage in stages]
    found = too_full(sockets, limit)
    rest = [one.held for one in sockets if one not in found]
    assert sum(rest) <= limit
    if found:
        least = min(one.held for one in found)
        assert sum(rest) + least > limit, "no more than need be"
        assert all(one <= least for one in rest)
