"""The front door: reads the first request of a connection and hands the transport to HTTP or to a
WebSocket.

One port and one certificate for both, because Firefox and Safari accept a certificate exception
only for the same port.
"""

from __future__ import annotations

import asyncio
import re
from typing import Protocol, cast

# Bytes of a request head. A browser's is below 4 KiB.
MAX_HEAD = 16 * 2**10

# Seconds from connection to the end of the first request head.
HEAD_DEADLINE = 10.0

_END = b"\r\n\r\n"
_EMPTY_LINES = b"\r\n"
_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: "
    b"0\r\n\r\n"
)


class Rooms(Protocol):
    """Where the door leads."""

    def served(self) -> float:
        """Monotonic seconds for deadlines; see deadlines.ServedTime."""

    def enter_http(self, transport: asyncio.Transport, head: bytes) -> None:
        """Take over a connection whose first request is plain HTTP; ``head`` is what was read so
        far.
        """

    def enter_websocket(self, transport: asyncio.Transport, head: bytes, rest: bytes) -> None:
        """Take over a connection that asks to be upgraded; ``rest`` is what came behind its head
        already.
        """

    def door_opens(self, door: Door) -> bool:
        """A connection has come whose first request is to be read; False when there are too
        many.
        """

    def door_closes(self, door: Door) -> None:
        """The connection went on to a room, or went away."""


class Door(asyncio.Protocol):
    """A connection until its first request head is complete."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._head = bytearray()
        self._seen = 0  # bytes of it in which the end of a head does not begin
        self._transport: asyncio.Transport | None = None
        self._since = rooms.served()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no common class
        if not self._rooms.door_opens(self):
            # Not at once: a transport of aiofastnet 1.2 that is aborted while it is being made
            # takes the next connection with it.
            asyncio.get_running_loop().call_soon(self.abort)

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._head += data
        if not self._seen:
            # Empty lines before a request are ignored (RFC 9112 section 2.2). They are no head,
            # which would end the deadline for one.
            del self._head[: len(self._head) - len(self._head.lstrip(_EMPTY_LINES))]
        end = self._head.find(_END, self._seen)
        if end > MAX_HEAD or (end < 0 and len(self._head) > MAX_HEAD):
            transport.write(_TOO_LARGE)
            transport.close()
            return
        if end < 0:
            self._seen = max(0, len(self._head) - len(_END) + 1)
            return
        self._transport = None
        self._rooms.door_closes(self)
        behind = end + len(_END)
        if _UPGRADE.search(self._head, 0, end + 2):
            self._rooms.enter_websocket(
                transport, bytes(self._head[:behind]), bytes(self._head[behind:])
            )
        else:
            self._rooms.enter_http(transport, bytes(self._head))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._rooms.door_closes(self)

    def sweep(self, now: float) -> None:
        """Cut off a peer that does not finish its request."""
        if now - self._since > HEAD_DEADLINE:
            self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
