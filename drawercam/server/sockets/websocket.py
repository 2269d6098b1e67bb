"""One WebSocket: websockets' Sans-I/O protocol on an asyncio transport, with bounds and deadlines.

There is no task and no queue per socket. What is sent goes to the transport at once (sender.py);
while the transport is over its limit the socket is `behind`, and its owner sends less. `wait` says
how late something would be that is sent now, wherever on its way the rest lies: Pings between the
frames tell (in_flight.py). What is received is handed on in the same call.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Protocol

from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Event, State
from websockets.protocol import Protocol as Framing
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from drawercam.protocol import messages
from drawercam.protocol.close_reasons import Closing, Reason, Refused
from drawercam.server.admission.reverse_proxies import Client
from groundwork.connections.backlog import Backlog
from groundwork.connections.limits import Pace
from groundwork.connections.scheduler import Share

from . import handshake
from .frame_heads import Heads
from .liveness import Liveness
from .message_parts import MessageParts
from .sender import Sender

SUBPROTOCOL = Subprotocol(messages.SUBPROTOCOL)

# Seconds between Pings. Browsers answer them even where a page's timers sleep.
PING_INTERVAL = 5.0

# Bytes of a message that may wait for its rest while the socket closes: only its last frame
# matters, and is short.
LAST_WORDS = 64 * 2**10

# Frames that are taken apart together; a read may hold 40,000. What they make the relay do is done
# before the next ones are looked at.
FRAMES_TOGETHER = 32

# Bytes of the answers to a Ping without and with a number (see window).
_EMPTY_PONG, _NUMBERED_PONG = 6, 14

_DONE = object()

log = logging.getLogger(__name__)


class Session(Protocol):
    """What a socket is for: a camera, a player, a wall. Called from the socket; none of these may
    raise but with Refused.

    Attributes:
        films: It is a camera's, which sends media.
    """

    films: bool

    def opened(self, socket: Socket) -> None:
        """The handshake is done."""

    def text(self, message: str) -> None:
        """A text message. Raises Refused to end the socket."""

    def binary(self, message: bytes) -> Iterator[None] | None:
        """A binary message. Raises Refused to end the socket.

        Returns:
            Where it is a long one, its pieces: to take each is a part of the work, and raises as
                this does. What came behind it waits.
        """

    def drained(self) -> None:
        """The socket is no longer behind, or something that was sent has arrived."""

    def settled(self) -> None:
        """All that came together was handed on. Raises Refused to end the socket."""

    def closed(self, goodbye: Close | None) -> None:
        """The socket is gone. Called once, if ``opened`` was.

        Args:
            goodbye: Code and reason with which the peer closed it; None where the connection broke,
                or the relay has ended it.
        """


class Socket(Sender, asyncio.Protocol):
    """A WebSocket from its handshake to its end.

    Attributes:
        address: That of the peer, see Client.
    """

    # See Sender.
    __slots__ = (
        "_asked",
        "_backlog",
        "_deaf",
        "_goodbye",
        "_heads",
        "_later",
        "_liveness",
        "_long",
        "_owner",
        "_pace",
        "_parts",
        "_session",
        "address",
    )

    def __init__(self, transport: asyncio.Transport, protocol: Framing, owner: Owner) -> None:
        """
        Args:
            transport: Already connected; this becomes its protocol.
            protocol: In its initial state: a ServerProtocol waits for a handshake, its base class
                is past it.
            owner: Told when the socket begins and ends.
        """
        super().__init__(transport, protocol, owner.now, owner.served, owner.has_room)
        self._owner = owner
        self._session: Session | None = None
        self._parts = MessageParts()
        self._liveness = Liveness(owner.served(), self._window.answered)
        self._goodbye: Close | None = None
        self._heads = Heads()
        self._pace: Pace | None = None  # from when it is open
        self._backlog = Backlog(owner.share(owner.client.address))
        self._is_of(owner.client)
        self._long: Iterator[None] | None = None  # what is left of a long message
        self._later: list[Event] = []  # what came behind it
        self._deaf = False  # it has sent too much: nothing more is taken
        self._asked = False  # the last Ping without a number is not answered
        transport.set_protocol(self)
        owner.socket_begins(self)

    # --- receiving ---

    def begin(self, head: bytes, rest: bytes) -> None:
        """Answer a handshake.

        Args:
            head: The whole head of its request, and nothing else.
            rest: What came behind it already: nothing of that is looked at before the handshake is
                accepted.
        """
        protocol, owner = self._protocol, self._owner
        assert isinstance(protocol, ServerProtocol)  # its base class knows no requests
        session, last = handshake.answer(protocol, head, owner.route, owner.unfit)
        self._is_of(owner.client)
        self._flush()
        if last:
            self._transport.write(last)
            self._transport.close()
        if session is None:
            self._closing = owner.served()
            return
        self._open(session)
        self._flush()
        if rest:
            self.data_received(rest)

    def data_received(self, data: bytes) -> None:
        self._liveness.spoke = True
        if self._backlog.may_take(data, self):
            self._take_apart(data)
        else:
            self._read_on(False)

    def go_on(self) -> None:
        """See scheduler.Worker."""
        self._take_apart(self._backlog.take())
        if not self._backlog.waits and not self._deaf:
            self._read_on(True)

    def _take_apart(self, data: bytes) -> None:
        """Take frames, a few at a time: as many as this peer may send, and as its address has a
        share of this turn.
        """
        share, pace, protocol, at, size = (
            self._backlog.share,
            self._pace,
            self._protocol,
            0,
            len(data),
        )
        if pace is None:
            return  # it was refused
        now = self._now()
        while self._long is not None or (at < size and not protocol.eof_sent and not self._deaf):
            if self._long is not None:
                self._go_on_with_long(self._long)
            else:
                end, frames = self._heads.pass_over(data, at, FRAMES_TOGETHER)
                if pace.spend(frames, end - at, now):
                    try:
                        protocol.receive_data(data if end - at == size else data[at:end])
                        self._handle(protocol.events_received())
                    except Exception:
                        self._fail()
                else:
                    self._flooded()
                at = end
            before, now = now, self._now()
            share.spend(now - before)
            if (at < size or self._long is not None) and not share.is_free:
                self._backlog.wait(data[at:], self)  # and nothing more is read until then
                self._read_on(False)
                return

    def _go_on_with_long(self, pieces: Iterator[None]) -> None:
        """Do the next part of a long message; after the last one, take what came behind it."""
        try:
            if self._closing is None and next(pieces, _DONE) is not _DONE:
                return
        except Refused as refusal:
            self._refuse(refusal)
        except Exception:
            self._fail()
        self._long = None
        later, self._later = self._later, []
        self._handle(later)

    def _flooded(self) -> None:
        """It sent more than any honest peer.

        One that is closing already may still read why: to cut it off would throw that away.
        """
        self._ignore()
        if self._protocol.state is State.OPEN:
            log.warning(
                f"x %s ({Reason.TOO_MANY_MESSAGES.id}): %s",
                self.peer,
                Reason.TOO_MANY_MESSAGES.sentence,
            )
            self.end(Closing(Reason.TOO_MANY_MESSAGES))

    def _ignore(self) -> None:
        """What still comes is not even read, and what has begun to come is forgotten."""
        self._deaf = True
        self._read_on(False)
        self._protocol.reader.buffer.clear()
        self._parts.forget()

    def _read_on(self, on: bool) -> None:
        """Read what comes, or leave it to the network to hold it back."""
        with contextlib.suppress(RuntimeError):  # some transports say so where they are closing
            if on:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._backlog.rest, self._deaf = b"", True
        try:
            self._protocol.receive_eof()
            self._handle(self._protocol.events_received())
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
        self._backlog.rest, self._long, self._deaf = b"", None, True
        # It and the protocol know each other, so they would stay until somebody looks for circles.
        self._protocol.parser.close()
        self._owner.socket_ends(self)
        if session is not None:
            log.debug("x %s %s", self.peer, "good-bye" if self._goodbye else exc or "gone")
            session.closed(self._goodbye)

    def _handle(self, events: list[Event]) -> None:
        for place, event in enumerate(events):
            if self._closing is not None:
                break
            if isinstance(event, Frame):
                self._frame(event)
                if self._long is not None:
                    self._later = events[place + 1 :]
                    return
        if self._session is not None:
            try:
                self._session.settled()
            except Refused as refusal:
                self._refuse(refusal)
        self._flush()
        if self._closing is not None and self.unfinished > LAST_WORDS:
            self._ignore()

    def _is_of(self, client: Client) -> None:
        self.peer, self.address = client.peer, client.address
        self._backlog.share = self._owner.share(client.address)

    def _open(self, session: Session) -> None:
        self._session = session
        self._pace = Pace(session.films, self._now())
        session.opened(self)

    def _frame(self, event: Frame) -> None:
        opcode = event.opcode
        if opcode is Opcode.CLOSE:
            # The code of a received close: 1000 or 1001 (a tab was closed) mean that the peer meant
            # to go.
            said = self._protocol.close_rcvd
            self._goodbye = (
                said
                if said is not None
                and said.code in (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY)
                else None
            )
            return
        if opcode is Opcode.PONG:
            self._pong(bytes(event.data))
            return
        if opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) or self._session is None:
            return
        message = self._parts.add(event)
        if message is not None:
            self._deliver(self._session, message)

    def _pong(self, payload: bytes) -> None:
        """What was asked for is free, once. Pongs that answer nothing count like all frames."""
        if self._window.answer(payload, self._now()):
            if self._pace is not None:
                self._pace.give_back(1, _NUMBERED_PONG)
            if self._session is not None:
                self._session.drained()
        elif self._asked and not payload:
            self._asked = False
            if self._pace is not None:
                self._pace.give_back(1, _EMPTY_PONG)

    def _deliver(self, session: Session, message: bytes) -> None:
        try:
            if not self._parts.is_text:
                self._long = session.binary(message)
                return
            try:
                text = message.decode()
            except UnicodeDecodeError:
                raise Refused(Reason.NOT_TEXT) from None
            session.text(text)
        except Refused as refusal:
            self._refuse(refusal)
        except Exception:
            self._fail()

    def _refuse(self, refusal: Refused) -> None:
        log.warning(f"x %s ({refusal.closing.reason.id}): %s", self.peer, refusal)
        self.end(refusal.closing)

    @property
    def unfinished(self) -> int:
        """Bytes of memory for what has come of messages that are not complete."""
        return sys.getsizeof(self._protocol.reader.buffer) + self._parts.size

    # --- sending ---

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._session is not None:
            self._session.drained()

    # --- time ---

    def sweep(self, now: float) -> None:
        """Keep the deadlines. Called by the owner about once a second for every socket.

        Args:
            now: As `Owner.served` has it.
        """
        waiting, window = self.held, self._window
        self._liveness.look(now, waiting, window.answerless, window.answered)
        self._limit.look(waiting)
        if self._liveness.is_overdue(now, self._closing):
            does_not = "take what is sent" if waiting or window.answerless else "answer"
            log.info("x %s does not %s; cut off", self.peer, does_not)
            self.abort()
        elif (
            self._protocol.state is State.OPEN
            and not self.behind
            and self._now() - self._pinged >= PING_INTERVAL
        ):
            self._pinged, self._asked = self._now(), True
            self._protocol.send_ping(b"")
            self._flush()


class Owner(Protocol):
    """The server's side of its sockets.

    Attributes:
        client: Who is at the other end; from `route` on, the one for whom a proxy asks.
    """

    client: Client

    def now(self) -> float:
        """Monotonic seconds."""

    def served(self) -> float:
        """The same for deadlines; see deadlines.ServedTime."""

    def route(self, request: Request) -> Session | Response:
        """Decide what a handshake is for, or refuse it."""

    def unfit(self, status: int) -> Response:
        """The answer to a request that is no handshake, and for which this is the status."""

    def has_room(self, size: int) -> bool:
        """Whether a burst of so many bytes may wait in one of its sockets."""

    def share(self, address: str) -> Share:
        """What an address has of each turn of the event loop."""

    def socket_begins(self, socket: Socket) -> None: ...

    def socket_ends(self, socket: Socket) -> None: ...
