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
import sys
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Protocol

from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Event, State
from websockets.protocol import Protocol as Framing
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from drawercam.protocol import messages as control
from drawercam.protocol.close_reasons import Closing, Reason, Refused
from drawercam.server.admission.reverse_proxies import Client
from groundwork.connections.limits import Pace
from groundwork.connections.scheduler import Share

from .frame_heads import Heads
from .in_flight import DOUBT, Window

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

# Bytes of a message that may wait for its rest while the socket closes: only its last frame matters, and is short.
LAST_WORDS = 64 * 2**10

# Frames that are taken apart together; a read may hold 40,000. What they make the relay do is done before the next ones are looked at.
FRAMES_TOGETHER = 32

# Bytes of the answers to a Ping without and with a number (see window).
_EMPTY_PONG, _NUMBERED_PONG = 6, 14

_DONE = object()

log = logging.getLogger(__name__)


class Session(Protocol):
    """What a socket is for: a camera, a player, a wall. Called from the socket; none of these may raise but with Refused.

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
            Where it is a long one, its pieces: to take each is a part of the work, and raises as this does. What came behind it waits.
        """

    def drained(self) -> None:
        """The socket is no longer behind, or something that was sent has arrived."""

    def settled(self) -> None:
        """All that came together was handed on. Raises Refused to end the socket."""

    def closed(self, goodbye: Close | None) -> None:
        """The socket is gone. Called once, if ``opened`` was.

        Args:
            goodbye: Code and reason with which the peer closed it; None where the connection broke, or the relay has ended it.
        """


def frame(message: bytes) -> bytes:
    """A binary message as one unmasked frame (RFC 6455 section 5.2), the same for every peer: no extension is negotiated."""
    return Frame(Opcode.BINARY, message).serialize(mask=False, extensions=[])


def text_frame(message: control.Message) -> bytes:
    """The same for a control message."""
    return Frame(Opcode.TEXT, control.encode(message).encode()).serialize(mask=False, extensions=[])


class Socket(asyncio.Protocol):
    """A WebSocket from its handshake to its end.

    Attributes:
        behind: The peer has not yet taken what was sent; send only what it cannot do without.
        peer, address: Who it is, see Client.
    """

    # What a frame touches for each viewer should be small and near together: a thousand viewers are more than a processor's cache holds.
    __slots__ = (
        "_answered",
        "_asked",
        "_begun",
        "_bursting",
        "_closing",
        "_deaf",
        "_filled",
        "_goodbye",
        "_heads",
        "_heard",
        "_held",
        "_is_text",
        "_later",
        "_long",
        "_now",
        "_owner",
        "_pace",
        "_pinged",
        "_progress",
        "_protocol",
        "_rest",
        "_session",
        "_share",
        "_spoke",
        "_transport",
        "_waiting",
        "_waits",
        "_window",
        "_write",
        "address",
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
        self._pinged = self._filled = self._now()  # _filled: when something was written that found nothing waiting in the transport
        self._heard = self._progress = owner.served()  # see deadlines
        self._spoke = False  # since the last sweep
        self._window = Window(self._pinged)
        self._answered = self._window.answered  # at the last sweep
        self._waiting = 0  # bytes in the transport at the last sweep
        self._closing: float | None = None  # since when; see deadlines
        self._goodbye: Close | None = None
        self._bursting = False  # the limit is raised for a burst
        self._is_of(owner.client)
        self._heads = Heads()
        self._pace: Pace | None = None  # from when it is open
        self._rest = b""  # what came and was not looked at, because its address had its share of the turn
        self._waits = False  # for the next turn
        self._long: Iterator[None] | None = None  # what is left of a long message
        self._later: list[Event] = []  # what came behind it
        self._deaf = False  # it has sent too much: nothing more is taken
        self._asked = False  # the last Ping without a number is not answered
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
            self._closing = self._owner.served()
        elif rest:
            self.data_received(rest)

    def data_received(self, data: bytes) -> None:
        self._spoke = True
        if self._waits:
            self._rest += data
        elif self._share.is_free:
            self._take_apart(data)
        else:
            self._wait(data)

    def go_on(self) -> None:
        """See scheduler.Worker."""
        data, self._rest, self._waits = self._rest, b"", False
        self._take_apart(data)
        if not self._waits and not self._deaf:
            self._read_on(True)

    def _take_apart(self, data: bytes) -> None:
        """Take frames, a few at a time: as many as this peer may send, and as its address has a share of this turn."""
        share, pace, protocol, at, size = self._share, self._pace, self._protocol, 0, len(data)
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
                self._wait(data[at:])
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

    def _wait(self, data: bytes) -> None:
        """This is taken apart when it is this socket's turn again; nothing more is read until then."""
        self._rest, self._waits = data, True
        self._read_on(False)
        self._share.wait(self)

    def _flooded(self) -> None:
        """It sent more than any honest peer. One that is closing already may still read why: to cut it off would throw that away."""
        self._ignore()
        if self._protocol.state is State.OPEN:
            log.warning(f"x %s ({Reason.TOO_MANY_MESSAGES.id}): %s", self.peer, Reason.TOO_MANY_MESSAGES.sentence)
            self.end(Closing(Reason.TOO_MANY_MESSAGES))

    def _ignore(self) -> None:
        """What still comes is not even read, and what has begun to come is forgotten."""
        self._deaf = True
        self._read_on(False)
        self._protocol.reader.buffer.clear()
        self._begun.clear()

    def _read_on(self, on: bool) -> None:
        """Read what comes, or leave it to the network to hold it back."""
        with contextlib.suppress(RuntimeError):  # some transports say so where they are closing
            if on:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._rest, self._deaf = b"", True
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
        self._rest, self._long, self._deaf = b"", None, True
        self._protocol.parser.close()  # it and the protocol know each other, so they would stay until somebody looks for circles
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

    def _handshake(self, protocol: ServerProtocol, request: Request) -> None:
        answer = self._owner.route(request)
        self._is_of(self._owner.client)
        response = answer if isinstance(answer, Response) else protocol.accept(request)
        if response is not answer and response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            response = self._owner.unfit(response.status_code)
        protocol.send_response(response)
        self._flush()
        if protocol.state is State.OPEN and not isinstance(answer, Response):
            self._open(answer)
            self._flush()

    def _is_of(self, client: Client) -> None:
        self.peer, self.address = client.peer, client.address
        self._share = self._owner.share(client.address)

    def _open(self, session: Session) -> None:
        self._session = session
        self._pace = Pace(session.films, self._now())
        session.opened(self)

    def _frame(self, event: Frame) -> None:
        opcode = event.opcode
        if opcode is Opcode.CLOSE:
            # The code of a received close: 1000 or 1001 (a tab was closed) mean that the peer meant to go.
            said = self._protocol.close_rcvd
            self._goodbye = said if said is not None and said.code in (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY) else None
            return
        if opcode is Opcode.PONG:
            self._pong(bytes(event.data))
            return
        if opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT) or self._session is None:
            return
        if opcode is not Opcode.CONT:
            self._is_text = opcode is Opcode.TEXT
        message, event.data = bytes(event.data), b""  # the parser keeps its last frame until the next one comes
        if not event.fin or self._begun:
            self._begun += message
            if not event.fin:
                return
            message = bytes(self._begun)
            self._begun.clear()
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
            if not self._is_text:
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
        return sys.getsizeof(self._protocol.reader.buffer) + sys.getsizeof(self._begun)

    # --- sending ---

    def tell(self, message: control.Message) -> None:
        """Send a control message."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(control.encode(message).encode())
            self._flush()

    def tell_framed(self, framed: bytes) -> None:
        """Send a control message that `text_frame` has framed."""
        if self._protocol.state is State.OPEN:
            self._window.wrote(len(framed), self._now())
            self._send(framed)
            self._bound()

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
        pieces = self._protocol.data_to_send()
        if data := b"".join(pieces):
            self._window.wrote(len(data), self._now())
            self._send(data)
        if b"" in pieces:
            # SEND_EOF of the Sans-I/O protocol: TLS cannot be closed one way, so the whole transport closes once flushed.
            self._transport.close()
        if self._closing is None and self._protocol.state > State.OPEN:
            self._closing = self._owner.served()
        self._bound()

    def _bound(self) -> None:
        if self.held > FLOOD:
            log.info("x %s does not read; cut off", self.peer)
            self.abort()

    # --- time ---

    def sweep(self, now: float) -> None:
        """Keep the deadlines. Called by the owner about once a second for every socket.

        Args:
            now: As `Owner.served` has it.
        """
        waiting, window = self.held, self._window
        if waiting < self._waiting or (waiting == 0 and not window.answerless) or window.answered > self._answered:
            self._progress = now
        if self._spoke:
            self._heard, self._spoke = now, False
        self._waiting, self._answered = waiting, window.answered
        if self._bursting and waiting <= LOW_WATER:
            self._end_burst()
        if self._closing is not None:
            overdue = now - self._closing > CLOSE_DEADLINE
        else:
            overdue = now - self._progress > WRITE_DEADLINE or now - self._heard > SILENCE_DEADLINE
        if overdue:
            log.info("x %s does not %s; cut off", self.peer, "take what is sent" if waiting or window.answerless else "answer")
            self.abort()
        elif self._protocol.state is State.OPEN and not self.behind and self._now() - self._pinged >= PING_INTERVAL:
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


def keep_unsent(transport: asyncio.Transport) -> None:
    """Have the system take only NOT_SENT bytes more than it can send now, where it knows how. The rest waits here, and may be left out."""
    raw = transport.get_extra_info("socket")
    if raw is not None and hasattr(sockets, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError):  # on some systems, a peer that has gone cannot be set anything
            raw.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NOTSENT_LOWAT, NOT_SENT)
