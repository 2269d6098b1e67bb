"""One WebSocket: websockets' Sans-I/O protocol on an asyncio transport, with bounds and deadlines.

There is no task and no queue per socket. What is sent goes to the transport at once; while the transport is over its limit the socket
is `behind`, and its owner sends less. `wait` says how late something would be that is sent now, wherever on its way the rest lies: Pings
between the frames tell (see window). What is received is handed on in the same call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket as sockets
from collections.abc import Iterable
from http import HTTPStatus
from typing import Protocol

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Protocol as Framing
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from .. import control
from ..closing import Closing, Reason, Refused
from .window import DOUBT, Window

SUBPROTOCOL = Subprotocol(control.SUBPROTOCOL)

# Bytes in the transport above which a socket counts as behind, and below which it no longer does. Above: 1 s at 4 Mbit/s.
HIGH_WATER = 512 * 2**10
LOW_WATER = 64 * 2**10

# Bytes in the transport above which even control messages are too much: the peer does not read. The largest burst (channel.MAX_MEMORY)
# and the largest frame that a camera may send after it are 8 MiB each.
FLOOD = 16 * 2**20

# Bytes that the kernel may hold unsent (TCP_NOTSENT_LOWAT). Without it Linux hides 4 MB for a stalled viewer: 16 s of stale video. With
# less the network would run dry while the kernel asks for more.
NOT_SENT = 32 * 2**10

# Seconds: a peer that takes nothing for so long while something waits for it, here or on its way, is cut off.
WRITE_DEADLINE = 10.0

# Seconds between Pings, and of silence after which a peer is cut off. Browsers answer Pings even where a page's timers sleep.
PING_INTERVAL = 5.0
SILENCE_DEADLINE = 15.0

# Seconds that a peer has for its half of the closing handshake.
CLOSE_DEADLINE = 2.0

log = logging.getLogger(__name__)


class Session(Protocol):
    """What a socket is for: a camera, a player, a wall. Called from the socket; none of these may raise but with Refused."""

    def opened(self, socket: Socket) -> None:
        """The handshake is done."""

    def text(self, message: str) -> None:
        """A text message. Raises Refused to end the socket."""

    def binary(self, message: bytes) -> None:
        """A binary message. Raises Refused to end the socket."""

    def drained(self) -> None:
        """The socket is no longer behind, or something that was sent has arrived."""

    def settled(self) -> None:
        """All that came together was handed on."""

    def closed(self, said_goodbye: bool) -> None:
        """The socket is gone. Called once, if ``opened`` was."""


def frame(message: bytes) -> bytes:
    """A binary message as one unmasked frame (RFC 6455 section 5.2), the same for every peer: no extension is negotiated."""
    return Frame(Opcode.BINARY, message).serialize(mask=False, extensions=[])


class Socket(asyncio.Protocol):
    """A WebSocket from its handshake to its end.

    Attributes:
        behind: The peer has not yet taken what was sent; send only what it cannot do without.
    """

    # What a frame touches for each viewer should be small and near together: a thousand viewers are more than a processor's cache holds.
    __slots__ = (
        "_begun",
        "_bursting",
        "_closing",
        "_filled",
        "_heard",
        "_held",
        "_is_text",
        "_now",
        "_owner",
        "_pinged",
        "_progress",
        "_protocol",
        "_said_goodbye",
        "_session",
        "_transport",
        "_waiting",
        "_window",
        "_write",
        "behind",
        "peer",
    )

    def __init__(self, transport: asyncio.Transport, protocol: Framing, owner: Owner) -> None:
        """
        Args:
            transport: Already connected; this becomes its protocol.
            protocol: In its initial state: a ServerProtocol waits for a handshake, its base class is past it.
            owner: Told when the socket begins and ends.
        """
        self.behind = False
        self._transport = transport
        self._write, self._held = transport.write, transport.get_write_buffer_size
        self._protocol = protocol
        self._owner = owner
        self._session: Session | None = None
        self._begun = bytearray()  # a fragmented message so far; the protocol bounds its size
        self._is_text = False
        self._now = owner.now
        self._heard = self._pinged = self._progress = self._now()
        self._window = Window(self._heard)
        self._waiting = 0  # bytes in the transport at the last sweep
        self._closing: float | None = None  # since when
        self._said_goodbye = False
        self._bursting = False  # the limit is raised for a burst
        self._filled = self._heard  # when something was written that found nothing waiting in the transport
        self.peer = peer_of(transport)
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        keep_unsent(transport)
        transport.set_protocol(self)
        owner.socket_begins(self)

    # --- receiving ---

    def begin(self, head: bytes, rest: bytes) -> None:
        """Answer a handshake.

        Args:
            head: The whole head of its request, and nothing else.
            rest: What came behind it already: nothing of that is looked at before the handshake is accepted.
        """
        protocol = self._protocol
        assert isinstance(protocol, ServerProtocol)  # its base class knows no requests
        protocol.receive_data(head)
        requests = [event for event in protocol.events_received() if isinstance(event, Request)]
        if requests:
            self._handshake(protocol, requests[0])
        else:  # and the protocol has given up
            said = b"".join(protocol.data_to_send())  # what is too large, or nothing where it is no HTTP
            self._transport.write(self._owner.unfit(int(said.split(b" ", 2)[1]) if said else HTTPStatus.BAD_REQUEST).serialize())
            self._transport.close()
        if self._session is None:
            self._closing = self._now()
        elif rest:
            self.data_received(rest)

    def data_received(self, data: bytes) -> None:
        self._heard = self._now()
        try:
            self._protocol.receive_data(data)
            self._handle_events()
        except Exception:
            self._fail()

    def eof_received(self) -> bool:
        try:
            self._protocol.receive_eof()
            self._handle_events()
        except Exception:
            self._fail()
        return False

    def _fail(self) -> None:
        """A fault in the relay, which is to end this socket alone."""
        log.exception("x %s: a fault in the relay", self.peer)
        try:
            self.end(Closing(Reason.INTERNAL))
        except Exception:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        session, self._session = self._session, None
        self._owner.socket_ends(self)
        if session is not None:
            log.debug("x %s %s", self.peer, "good-bye" if self._said_goodbye else exc or "gone")
            session.closed(self._said_goodbye)

    def _handle_events(self) -> None:
        for event in self._protocol.events_received():
            if self._closing is not None:
                break
            if isinstance(event, Frame):
                self._frame(event)
        if self._session is not None:
            self._session.settled()
        self._flush()

    def _handshake(self, protocol: ServerProtocol, request: Request) -> None:
        answer = self._owner.route(request, self.peer)
        response = answer if isinstance(answer, Response) else protocol.accept(request)
        if response is not answer and response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            response = self._owner.unfit(response.status_code)
        protocol.send_response(response)
        self._flush()
        if protocol.state is State.OPEN and not isinstance(answer, Response):
            self._open(answer)
            self._flush()

    def _open(self, session: Session) -> None:
        self._session = session
        session.opened(self)

    def _frame(self, event: Frame) -> None:
        opcode = event.opcode
        if opcode is Opcode.CLOSE:
            # The code of a received close: 1000 or 1001 (a tab was closed) mean that the peer meant to go.
            self._said_goodbye = self._protocol.close_rcvd is not None and self._protocol.close_rcvd.code in (
                CloseCode.NORMAL_CLOSURE,
                CloseCode.GOING_AWAY,
            )
            return
        if opcode is Opcode.PONG:
            if self._window.answer(bytes(event.data), self._heard) and self._session is not None:
                self._session.drained()
            return
        if opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) or self._session is None:
            return
        if opcode is not Opcode.CONT:
            self._is_text = opcode is Opcode.TEXT
        message = bytes(event.data)
        if not event.fin or self._begun:
            self._begun += message
            if not event.fin:
                return
            message = bytes(self._begun)
            self._begun.clear()
        self._deliver(self._session, message)

    def _deliver(self, session: Session, message: bytes) -> None:
        try:
            if not self._is_text:
                session.binary(message)
                return
            try:
                text = message.decode()
            except UnicodeDecodeError:
                raise Refused(Reason.NOT_TEXT) from None
            session.text(text)
        except Refused as refusal:
            log.warning(f"x %s ({refusal.closing.reason.id}): %s", self.peer, refusal)
            self.end(refusal.closing)
        except Exception:
            self._fail()

    # --- sending ---

    def tell(self, message: control.Message) -> None:
        """Send a control message."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(control.encode(message).encode())
            self._flush()

    def write(self, framed: bytes) -> None:
        """Send a message that `frame` has framed."""
        if self._protocol.state is State.OPEN:
            now, window = self._now(), self._window
            if not self._held():
                self._filled = now
            window.wrote(len(framed), now)
            if window.due(now, now - self._filled > DOUBT):
                framed += self._ping(now)
            self._transport.write(framed)

    def pass_on(self, framed: bytes) -> bool:
        """The short way for a message that `frame` has framed, if the peer keeps up. It is what each frame costs for each viewer.

        Returns:
            False, and nothing was sent, where `wait` and `write` have to look closer.
        """
        now = self._now()
        if self._held() or self._closing is not None or not self._window.calm(len(framed), now):
            return False
        self._filled = now
        self._write(framed)
        return True

    def burst(self, framed: Iterable[bytes]) -> bool:
        """Send many framed messages at once without counting as behind for it; for a viewer that catches up.

        Returns:
            False, and nothing was sent, when too much waits already, in this socket or in all.
        """
        if self._protocol.state is not State.OPEN or self.behind or self._window.bursting:
            return False
        now, window, pieces = self._now(), self._window, list(framed)
        size = sum(map(len, pieces))
        if not self._owner.has_room(size):
            return False
        window.newcomer(now)
        for position, piece in enumerate(pieces):
            window.wrote(len(piece), now)
            if position == len(pieces) - 1 or window.burst_piece():
                pieces[position] = piece + self._ping(now, burst=True)
        self._transport.set_write_buffer_limits(HIGH_WATER + self.held + size, LOW_WATER)
        self._bursting = True
        self._send(b"".join(pieces))
        return True

    def probe(self) -> None:
        """Send a Ping by itself: its round trip is the shortest."""
        if self._protocol.state is State.OPEN:
            self._send(self._ping(self._now()))

    def wait(self) -> float:
        """For how many seconds, beyond its shortest round trip, something would wait on its way to the peer."""
        return self._window.wait(self._now(), self._filled if self._held() else None)

    @property
    def bursting(self) -> bool:
        """The peer has not received all of its last burst."""
        return self._window.bursting

    def left_out(self) -> None:
        """Something was not sent because of `wait` or `behind`: from now on it is watched closely what the peer's network can carry."""
        self._window.left_out(self._now())

    @property
    def held(self) -> int:
        """Bytes that the network has not taken."""
        return self._held()

    @property
    def written(self) -> int:
        """Bytes sent so far, as WebSocket frames, without Pings."""
        return self._window.written

    def end(self, closing: Closing) -> None:
        """Say why and begin the closing handshake; `sweep` sees to its end."""
        if self._protocol.state is not State.OPEN:
            return
        self.tell(control.Error(closing.reason.id, closing.sentence))
        self._protocol.send_close(closing.reason.code, closing.reason.id)
        self._flush()

    def abort(self) -> None:
        """Cut the connection at once."""
        self._transport.abort()

    def pause_writing(self) -> None:
        self.behind = True

    def resume_writing(self) -> None:
        self.behind = False
        if self._bursting:
            self._end_burst()
        if self._session is not None:
            self._session.drained()

    def _end_burst(self) -> None:
        self._bursting = False
        self._transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)

    def _ping(self, now: float, burst: bool = False) -> bytes:
        self._pinged = now
        return Frame(Opcode.PING, self._window.probe(now, burst)).serialize(mask=False, extensions=[])

    def _send(self, data: bytes) -> None:
        if not self.held:
            self._filled = self._now()
        self._transport.write(data)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._window.wrote(len(data), self._now())
                self._send(data)
            else:
                # SEND_EOF of the Sans-I/O protocol: TLS cannot be closed one way, so the whole transport closes once flushed.
                self._transport.close()
        if self._closing is None and self._protocol.state > State.OPEN:
            self._closing = self._now()
        if self.held > FLOOD:
            log.info("x %s does not read; cut off", self.peer)
            self.abort()

    # --- time ---

    def sweep(self, now: float) -> None:
        """Keep the deadlines. Called by the owner about once a second for every socket."""
        waiting, window = self.held, self._window
        if waiting < self._waiting or (waiting == 0 and not window.answerless):
            self._progress = now
        self._progress = max(self._progress, window.answered)
        self._waiting = waiting
        if self._bursting and waiting <= LOW_WATER:
            self._end_burst()
        if self._closing is not None:
            overdue = now - self._closing > CLOSE_DEADLINE
        else:
            overdue = now - self._progress > WRITE_DEADLINE or now - self._heard > SILENCE_DEADLINE
        if overdue:
            log.info("x %s does not %s; cut off", self.peer, "take what is sent" if waiting or window.answerless else "answer")
            self.abort()
        elif self._protocol.state is State.OPEN and not self.behind and now - self._pinged >= PING_INTERVAL:
            self._pinged = now
            self._protocol.send_ping(b"")
            self._flush()


class Owner(Protocol):
    """The server's side of its sockets."""

    def now(self) -> float:
        """Monotonic seconds."""

    def route(self, request: Request, peer: str) -> Session | Response:
        """Decide what a handshake is for, or refuse it."""

    def unfit(self, status: int) -> Response:
        """The answer to a request that is no handshake, and for which this is the status."""

    def has_room(self, size: int) -> bool:
        """Whether a burst of so many bytes may wait in one of its sockets."""

    def socket_begins(self, socket: Socket) -> None: ...

    def socket_ends(self, socket: Socket) -> None: ...


def keep_unsent(transport: asyncio.Transport) -> None:
    """Have the system take only NOT_SENT bytes more than it can send now, where it knows how. The rest waits here, and may be left out."""
    raw = transport.get_extra_info("socket")
    if raw is not None and hasattr(sockets, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError):  # on some systems, a peer that has gone cannot be set anything
            raw.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NOTSENT_LOWAT, NOT_SENT)


def peer_of(transport: asyncio.Transport) -> str:
    """Address and port of who is at the other end, for people."""
    name = transport.get_extra_info("peername")
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) and len(name) >= 2 else "a peer"
