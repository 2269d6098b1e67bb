"""All connections that frames are written to, and how much waits in them together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from drawercam.server.http.cameras.live_file import Reader
from drawercam.server.sockets.websocket import Socket

# Bytes that may wait in all sockets together: 30 stalled viewers that have just been given the
# longest past. Beyond it there are no bursts, and those for whom most waits are cut off.
MAX_WAITING_IN_ALL = 256 * 2**20

log = logging.getLogger(__name__)


class Held(Protocol):
    """A connection in which something may wait."""

    @property
    def held(self) -> int:
        """Bytes that the network has not taken."""


Line = TypeVar("Line", bound=Held)


class Lines:
    """The server's side of its sockets and readers; see live_file.House.

    Attributes:
        now: Gives monotonic seconds.
        served: Gives the same for deadlines; see deadlines.ServedTime.
        sockets, readers: Those that are open.
        begun: Sockets that have come so far.
        waiting: Bytes in all of them at the last look, and what bursts have added since.
        empty: Set when the last socket has ended.
    """

    def __init__(self, now: Callable[[], float], served: Callable[[], float]) -> None:
        self.now, self.served = now, served
        self.sockets: set[Socket] = set()
        self.readers: set[Reader] = set()
        self.begun = self.waiting = 0
        self.empty = asyncio.Event()
        self._written = 0  # bytes sent through those that have ended

    def socket_begins(self, socket: Socket) -> None:
        self.sockets.add(socket)
        self.begun += 1

    def socket_ends(self, socket: Socket) -> None:
        self.sockets.discard(socket)
        self._written += socket.written
        if not self.sockets:
            self.empty.set()

    def reader_begins(self, reader: Reader) -> None:
        self.readers.add(reader)

    def reader_ends(self, reader: Reader) -> None:
        self.readers.discard(reader)
        self._written += reader.written

    def all(self) -> list[Socket | Reader]:
        return [*self.sockets, *self.readers]

    @property
    def written(self) -> int:
        """Bytes sent so far."""
        return self._written + sum(line.written for line in self.all())

    def has_room(self, size: int) -> bool:
        """Whether a burst of so many bytes may wait in one of them; it then counts as waiting
        there.
        """
        if self.waiting + size > MAX_WAITING_IN_ALL:
            self.waiting = self._held()  # much of it is gone since the last look
        if self.waiting + size > MAX_WAITING_IN_ALL:
            return False
        self.waiting += size
        return True

    def look(self) -> int:
        """See how much waits, and cut off those for which most waits, if that is too much; returns
        how many lines there were.
        """
        lines = self.all()
        self.waiting = self._held()
        for line in too_full(lines, MAX_WAITING_IN_ALL):
            log.warning("x %s is cut off: too much waits for it and for others", line.peer)
            line.abort()
        return len(lines)

    def sweep(self, now: float) -> None:
        """Keep the deadlines of each (see `served`)."""
        for line in self.all():
            line.sweep(now)

    def _held(self) -> int:
        return sum(line.held for line in self.all())


def too_full(lines: Iterable[Line], limit: int) -> list[Line]:
    """The fewest connections to close so that at most ``limit`` bytes wait in all."""
    fullest = sorted(((line.held, line) for line in lines), key=lambda one: -one[0])
    beyond = sum(held for held, _ in fullest) - limit
    found = []
    for held, line in fullest:
        if beyond <= 0:
            break
        found.append(line)
        beyond -= held
    return found
