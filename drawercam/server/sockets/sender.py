"""The sending half of a WebSocket: messages onto a transport, with what is on its way to the
peer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol as Framing
from websockets.protocol import State

from drawercam.protocol import messages
from drawercam.protocol.close_reasons import Closing

from .in_flight import DOUBT, Window
from .write_limit import WriteLimit

# Bytes in the transport above which even control messages are too much: the peer does not read. The
# largest burst (channel.MAX_MEMORY) and the largest frame that a camera may send after it are 8 MiB
# each.
FLOOD = 16 * 2**20

log = logging.getLogger(__name__)


def frame(message: bytes) -> bytes:
    """A binary message as one unmasked frame (RFC 6455 section 5.2), the same for every peer: no
    extension is negotiated.
    """
    return Frame(Opcode.BINARY, message).serialize(mask=False, extensions=[])


def text_frame(message: messages.Message) -> bytes:
    """The same for a control message."""
    return Frame(Opcode.TEXT, messages.encode(message).encode()).serialize(
        mask=False, extensions=[]
    )


class Sender:
    """Sends at once, without a queue; its user sends less while it is `behind`, or where `wait`
    says that it would be late.

    Attributes:
        behind: The peer has not yet taken what was sent; send only what it cannot do without.
        peer: Its address and port, for people.
    """

    # What a frame touches for each viewer should be small and near together: a thousand viewers are
    # more than a processor's cache holds.
    __slots__ = (
        "_closing",
        "_filled",
        "_has_room",
        "_held",
        "_limit",
        "_now",
        "_pinged",
        "_protocol",
        "_served",
        "_transport",
        "_window",
        "_write",
        "behind",
        "peer",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        protocol: Framing,
        now: Callable[[], float],
        served: Callable[[], float],
        has_room: Callable[[int], bool],
    ) -> None:
        """
        Args:
            transport: Already connected.
            protocol: Frames what is said besides media; in whatever state.
            now: Gives monotonic seconds.
            served: Gives the same for deadlines; see deadlines.ServedTime.
            has_room: Says whether a burst of so many bytes may wait in one of all connections.
        """
        self.behind = False
        self.peer = ""
        self._transport = transport
        self._write, self._held = transport.write, transport.get_write_buffer_size
        self._protocol = protocol
        self._now, self._served, self._has_room = now, served, has_room
        self._pinged = self._filled = (
            now()
        )  # _filled: when something was written that found nothing waiting in the transport
        self._window = Window(self._pinged)
        self._closing: float | None = None  # since when; see deadlines
        self._limit = WriteLimit(transport)
        self._limit.begin()

    def tell(self, message: messages.Message) -> None:
        """Send a control message."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(messages.encode(message).encode())
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
        """The short way for a message that `frame` has framed, if the peer keeps up. It is what
        each frame costs for each viewer.

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
        """Send many framed messages at once without counting as behind for it; for a viewer that
        catches up.

        Returns:
            False, and nothing was sent, when too much waits already, in this socket or in all.
        """
        if self._protocol.state is not State.OPEN or self.behind or self._window.bursting:
            return False
        now, window, pieces = self._now(), self._window, list(framed)
        size = sum(map(len, pieces))
        if not self._has_room(size):
            return False
        window.newcomer(now)
        for position, piece in enumerate(pieces):
            window.wrote(len(piece), now)
            if position == len(pieces) - 1 or window.burst_piece():
                pieces[position] = piece + self._ping(now, burst=True)
        self._limit.burst(size)
        self._send(b"".join(pieces))
        return True

    def probe(self) -> None:
        """Send a Ping by itself: its round trip is the shortest."""
        if self._protocol.state is State.OPEN:
            self._send(self._ping(self._now()))

    def wait(self) -> float:
        """For how many seconds, beyond its shortest round trip, something would wait on its way to
        the peer.
        """
        return self._window.wait(self._now(), self._filled if self._held() else None)

    @property
    def bursting(self) -> bool:
        """The peer has not received all of its last burst."""
        return self._window.bursting

    def left_out(self) -> None:
        """Something was not sent because of `wait` or `behind`: from now on it is watched closely
        what the peer's network can carry.
        """
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
        """Say why and begin the closing handshake."""
        if self._protocol.state is not State.OPEN:
            return
        self.tell(messages.Error(closing.reason.id, closing.sentence))
        self._protocol.send_close(closing.reason.code, closing.reason.id)
        self._flush()

    def abort(self) -> None:
        """Cut the connection at once."""
        self._transport.abort()

    def pause_writing(self) -> None:
        self.behind = True

    def resume_writing(self) -> None:
        self.behind = False
        self._limit.drained()

    def _ping(self, now: float, burst: bool = False) -> bytes:
        self._pinged = now
        return Frame(Opcode.PING, self._window.probe(now, burst)).serialize(
            mask=False, extensions=[]
        )

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
            # SEND_EOF of the Sans-I/O protocol: TLS cannot be closed one way, so the whole
            # transport closes once flushed.
            self._transport.close()
        if self._closing is None and self._protocol.state > State.OPEN:
            self._closing = self._served()
        self._bound()

    def _bound(self) -> None:
        if self.held > FLOOD:
            log.info("x %s does not read; cut off", self.peer)
            self.abort()
