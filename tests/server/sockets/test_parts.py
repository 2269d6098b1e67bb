"""The parts of a WebSocket, each made without the others."""

from __future__ import annotations

import asyncio
from typing import cast

from websockets.datastructures import Headers
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Protocol, Side, State
from websockets.server import ServerProtocol

from drawercam.protocol import messages
from drawercam.protocol.close_reasons import Closing, Reason
from drawercam.server.sockets import handshake
from drawercam.server.sockets.liveness import (
    CLOSE_DEADLINE,
    SILENCE_DEADLINE,
    WRITE_DEADLINE,
    Liveness,
)
from drawercam.server.sockets.message_parts import MessageParts
from drawercam.server.sockets.sender import FLOOD, Sender, frame, text_frame
from drawercam.server.sockets.websocket import SUBPROTOCOL
from drawercam.server.sockets.write_limit import HIGH_WATER, LOW_WATER, WriteLimit
from tests.harness.peers import handshake as request_of


class Transport:
    """Keeps what is written, as if the network took nothing."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.limits: tuple[int, int] | None = None
        self.ended = ""

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return len(self.written)

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        self.limits = high, low

    def get_extra_info(self, name: str) -> None:
        return None

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


def as_transport(fake: Transport) -> asyncio.Transport:
    return cast(asyncio.Transport, fake)


class Sending:
    """A sender whose peer reads nothing, at a time of its own."""

    def __init__(self, room: bool = True) -> None:
        self.now = 50.0
        self.transport = Transport()
        self.peer = Protocol(Side.CLIENT)
        served = lambda: self.now  # noqa: E731 - a clock
        self.sender = Sender(
            as_transport(self.transport), Protocol(Side.SERVER), served, served, lambda size: room
        )

    def heard(self) -> list[Frame]:
        self.peer.receive_data(bytes(self.transport.written))
        self.transport.written.clear()
        return [event for event in self.peer.events_received() if isinstance(event, Frame)]

    def media(self) -> list[bytes]:
        return [bytes(one.data) for one in self.heard() if one.opcode is Opcode.BINARY]


def test_what_is_sent_is_written_at_once_and_in_order() -> None:
    one = Sending()
    for number in range(3):
        one.sender.write(frame(b"%d" % number))
    assert one.media() == [b"0", b"1", b"2"]
    pong = messages.Pong(7, 8)
    one.sender.tell(pong)
    one.sender.tell_framed(text_frame(pong))
    first, second = (bytes(one.data) for one in one.heard())
    assert first == second


def test_what_waits_is_looked_at_before_more_is_passed_on() -> None:
    one = Sending()
    one.sender.write(frame(bytes(100)))
    assert not one.sender.pass_on(frame(b"later")) and one.sender.held == len(one.transport.written)
    assert one.media() == [bytes(100)]


def test_a_burst_is_one_and_only_where_there_is_room() -> None:
    one = Sending()
    assert one.sender.burst([frame(b"a"), frame(b"b")]) and one.sender.bursting
    assert not one.sender.burst([frame(b"c")])
    assert one.media() == [b"a", b"b"]
    full = Sending(room=False)
    assert not full.sender.burst([frame(b"a")]) and full.media() == []


def test_a_sender_says_why_it_ends_and_then_nothing_more() -> None:
    one = Sending()
    one.sender.end(Closing(Reason.RESTARTING))
    one.sender.write(frame(b"late"))
    one.sender.tell(messages.Pong(1, 2))
    assert not one.sender.pass_on(frame(b"late"))
    assert [heard.opcode for heard in one.heard()] == [Opcode.TEXT, Opcode.CLOSE]
    assert one.peer.close_rcvd == Close(Reason.RESTARTING.code, Reason.RESTARTING.id)


def test_a_peer_that_reads_nothing_at_all_is_cut_off() -> None:
    one = Sending()
    one.sender.write(frame(bytes(FLOOD)))
    assert one.transport.ended == ""
    one.sender.tell(messages.Pong(1, 2))
    assert one.transport.ended == "aborted"


def test_a_limit_is_raised_by_a_burst_until_it_has_drained() -> None:
    fake = Transport()
    limit = WriteLimit(as_transport(fake))
    assert fake.limits is None
    limit.begin()
    assert fake.limits == (HIGH_WATER, LOW_WATER) and not limit.bursting
    fake.write(bytes(10))
    limit.burst(5000)
    assert fake.limits == (HIGH_WATER + 5010, LOW_WATER) and limit.bursting
    limit.look(LOW_WATER + 1)
    assert limit.bursting
    limit.look(LOW_WATER)
    assert fake.limits == (HIGH_WATER, LOW_WATER) and not limit.bursting


def test_messages_are_put_together_from_their_frames() -> None:
    parts = MessageParts()
    pieces = [
        Frame(Opcode.TEXT, b"a", fin=False),
        Frame(Opcode.CONT, b"b", fin=False),
        Frame(Opcode.CONT, b"c"),
        Frame(Opcode.BINARY, b"whole"),
        Frame(Opcode.TEXT, b""),
    ]
    found = []
    for piece in pieces:
        message = parts.add(piece)
        assert piece.data == b"", "it is kept once"
        if message is not None:
            found.append((message, parts.is_text))
    assert found == [(b"abc", True), (b"whole", False), (b"", True)]


def test_a_message_that_has_begun_can_be_forgotten() -> None:
    parts = MessageParts()
    empty = parts.size
    assert parts.add(Frame(Opcode.BINARY, bytes(5000), fin=False)) is None
    assert parts.size > empty + 5000
    parts.forget()
    assert parts.add(Frame(Opcode.CONT, b"end")) == b"end"


def test_a_peer_is_overdue_that_takes_nothing_or_says_nothing() -> None:
    def overdue(silent: bool, waiting: int, seconds: float, closing: float | None = None) -> bool:
        alive, end = Liveness(0.0, 0.0), seconds
        for now in (0.5, end):
            alive.spoke = not silent
            alive.look(now, waiting, False, 0.0)
        return alive.is_overdue(end, closing)

    assert not overdue(False, 0, 1e6)
    assert overdue(True, 0, SILENCE_DEADLINE + 0.1) and not overdue(True, 0, SILENCE_DEADLINE)
    assert overdue(False, 1000, WRITE_DEADLINE + 0.1) and not overdue(False, 1000, WRITE_DEADLINE)
    assert overdue(False, 0, CLOSE_DEADLINE + 1.1, closing=1.0)
    assert not overdue(False, 0, CLOSE_DEADLINE + 0.9, closing=1.0)


def test_what_is_answered_is_progress() -> None:
    alive = Liveness(0.0, 0.0)
    for now in range(1, 30):
        alive.spoke = True
        alive.look(now, 1000, True, float(now))
    assert not alive.is_overdue(30.0, None)


class Handshaking:
    """One handshake that leads to the word "session"."""

    def __init__(self, refused: bool = False) -> None:
        self.protocol = ServerProtocol(subprotocols=[SUBPROTOCOL])
        self.refused = refused
        self.unfit: list[int] = []

    def route(self, request: Request) -> str | Response:
        return Response(403, "Forbidden", Headers(), b"no") if self.refused else "session"

    def say(self, status: int) -> Response:
        self.unfit.append(status)
        return Response(status, "Unfit", Headers(), b"")

    def answer(self, head: bytes) -> tuple[str | None, bytes]:
        return handshake.answer(self.protocol, head, self.route, self.say)


def test_a_handshake_leads_to_its_session() -> None:
    one = Handshaking()
    assert one.answer(request_of("/wall", "localhost")) == ("session", b"")
    assert one.protocol.state is State.OPEN
    assert b"".join(one.protocol.data_to_send()).startswith(b"HTTP/1.1 101 ")


def test_a_handshake_that_is_refused_or_none_is_answered() -> None:
    one = Handshaking(refused=True)
    assert one.answer(request_of("/wall", "localhost")) == (None, b"")
    assert b"".join(one.protocol.data_to_send()).startswith(b"HTTP/1.1 403 ")
    other = Handshaking()
    head = request_of("/wall", "localhost").replace(
        b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8"
    )
    assert other.answer(head) == (None, b"") and len(other.unfit) == 1
    rubbish = Handshaking()
    session, last = rubbish.answer(b"\x00\x01\r\n\r\n")
    assert session is None and last.startswith(b"HTTP/1.1 400 ") and rubbish.unfit == [400]
