"""The front door: reads the first request of a connection and hands the transport to HTTP or to a WebSocket.

One port and one certificate for both, because Firefox and Safari accept a certificate exception only for the same port.
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
_UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Rooms(Protocol):
    """Where the door leads."""

    def now(self) -> float:
        """Monotonic seconds."""

    def enter_http(self, transport: asyncio.Transport, head: bytes) -> None:
        """Take over a connection whose first request is plain HTTP; ``head`` is what was read so far."""

    def enter_websocket(self, transport: asyncio.Transport, head: bytes) -> None:
        """Take over a connection that asks to be upgraded."""

    def door_opens(self, door: Door) -> bool:
        """A connection has come whose first request is to be read; False when there are too many."""

    def door_closes(self, door: Door) -> None:
        """The connection went on to a room, or went away."""


class Door(asyncio.Protocol):
    """A connection until its first request head is complete."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._head = bytearray()
        self._transport: asyncio.Transport | None = None
        self._since = rooms.now()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no common class
        if not self._rooms.door_opens(self):
            # Not at once: a transport of aiofastnet 1.2 that is aborted while it is being made takes the next connection with it.
            asyncio.get_running_loop().call_soon(self.abort)

    def data_received(self, data: bytes) -> None:
        self._head += data
        end = self._head.find(_END)
        transport = self._transport
        if transport is None:
            return
        if end < 0:
            if len(self._head) > MAX_HEAD:
                transport.write(_TOO_LARGE)
                transport.close()
            return
        head = bytes(self._head)
        self._transport = None
        self._rooms.door_closes(self)
        if _UPGRADE.search(head, 0, end + 2):
            self._rooms.enter_websocket(transport, head)
        else:
            self._rooms.enter_http(transport, head)

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
