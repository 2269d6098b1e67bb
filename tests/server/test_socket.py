"""How long something waits in a socket and on its way, and when the peer is cut off; transport and clock only pretend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from drawercam import control
from drawercam.closing import Closing, Reason
from drawercam.server.server import too_full
from drawercam.server.socket import PING_INTERVAL, SUBPROTOCOL, WRITE_DEADLINE, Session, Socket
from drawercam.server.window import MAX_PROBES, NEWCOMER, PROBE_OFTEN, PROBE_SELDOM
from tests.peers import handshake


class FakeTransport:
    """Attributes:
    waiting: Bytes that the network has not taken; 0 lets it take everything again.
    written: All that was ever written.
    closed, aborted: The connection was ended in order, or cut.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self.written = b""
        self.closed = self.aborted = False

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


class FakeOwner:
    """Takes everybody in, and has the clock.

    Attributes:
        time: Seconds.
        room: Bytes that bursts may have.
        session: Whom all sockets are for.
    """

    def __init__(self, session: Session | None = None) -> None:
        self.time = 1000.0
        self.room = 10**9
        self.session = session or FakeSession()

    def now(self) -> float:
        return self.time

    def route(self, request: Request, peer: str) -> Session | Response:
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
    def __init__(self) -> None:
        self.drains = 0

    def opened(self, socket: Socket) -> None:
        pass

    def text(self, message: str) -> None:
        pass

    def binary(self, message: bytes) -> None:
        pass

    def drained(self) -> None:
        self.drains += 1

    def settled(self) -> None:
        pass

    def closed(self, said_goodbye: bool) -> None:
        pass


class Stage:
    """One socket, just opened."""

    def __init__(self) -> None:
        self.transport, self.session = FakeTransport(), FakeSession()
        self.owner = FakeOwner(self.session)
        self.socket = Socket(cast(asyncio.Transport, self.transport), ServerProtocol(subprotocols=[SUBPROTOCOL]), self.owner)
        self.socket.begin(handshake("/player/porch", "localhost"), b"")
        self.transport.waiting = 0
        self.transport.written = b""

    @property
    def pings(self) -> list[bytes]:
        """Payloads of those that were sent; tests write nothing else that looks like one."""
        return [one[1 : 1 + one[0]] for one in self.transport.written.split(b"\x89")[1:]]

    def pong(self, payload: bytes) -> None:
        self.socket.data_received(Frame(Opcode.PONG, payload).serialize(mask=True, extensions=[]))

    def sweep(self, seconds: int) -> None:
        """Let so much time pass, with the owner's sweeps; the peer says something, but not what it was asked. The transport is empty."""
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
    """Let the peer answer until nothing is in doubt: it is a newcomer no more, and has answered the Ping after that."""
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
