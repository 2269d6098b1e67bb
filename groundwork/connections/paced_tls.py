"""TLS whose handshake waits for its turn at each step, over the transports of aiofastnet where
there are some, and else over the loop's.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any, Protocol, cast

from .limits import TLS_DEADLINE
from .turns import Asker

try:
    import aiofastnet
except ImportError:
    aiofastnet = None  # type: ignore[assignment]

# Its transports cost less than the loop's, above all with TLS (docs/performance.md). On Windows it
# has none.
_FAST = aiofastnet is not None and sys.platform != "win32"

# Bytes of each connection's own memory for ciphertext: one record of TLS on its way in, and what
# one call sends. With less, large pictures need more calls; without being told, aiofastnet takes
# 257 KiB for each of the two, and what a connection has once filled stays filled.
_RECORD = 16 * 1024 + 64
_TLS_BUFFERS = {"ssl_incoming_bio_size": _RECORD, "ssl_outgoing_bio_size": 2 * _RECORD}

# Bytes of a handshake that wait for their turn: more than any step has.
STEP = 16 * 1024

# Seconds that a peer has for its half of the end of TLS.
_TLS_GOODBYE = 5.0


class PacedAsker(Asker, Protocol):
    """What waits for a turn of its address.

    Attributes:
        address: That.
    """

    address: str


class Queue(Protocol):
    """Where askers wait."""

    def ask(self, asker: PacedAsker) -> None:
        """Let it have its turn, soon."""

    def forget(self, asker: PacedAsker) -> None:
        """It waits for no turn any more."""


async def without_tls(
    connection: socket.socket, door: Callable[[], asyncio.Protocol]
) -> asyncio.Transport:
    """A transport for a connection that was accepted.

    Raises:
        OSError: It has gone.
    """
    loop = asyncio.get_running_loop()
    if _FAST:
        return (await aiofastnet.connect_accepted_socket(loop, door, connection))[0]
    return (await loop.connect_accepted_socket(door, connection))[0]


async def start_tls(
    queue: Queue,
    address: str,
    connection: socket.socket,
    door: Callable[[], asyncio.Protocol],
    context: ssl.SSLContext,
) -> asyncio.Transport:
    """A transport with TLS.

    Args:
        queue: Where each step of the handshake waits.
        address: From which the connection comes.
        connection: It was accepted.
        door: Makes the protocol for what comes through TLS.
        context: For TLS.

    Raises:
        OSError, ssl.SSLError: The handshake did not end well, or in time.
    """
    way = _PacedLoop if _FAST else _Between
    return await way.start_tls(queue, address, connection, door, context)


class _PacedLoop:
    """The loop, as one transport of aiofastnet sees it: during its handshake, the transport waits
    for its turn each time that it could read. All else is the loop's own. See turns.Asker.
    """

    __slots__ = ("_loop", "_number", "_over", "_queue", "_read", "_timers", "address")

    def __init__(self, queue: Queue, address: str, number: int) -> None:
        """
        Args:
            number: Of the connection, as a file.
        """
        self.address = address
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._number = number
        self._read: Callable[[], None] | None = None  # None while the transport does not want to
        self._timers: list[asyncio.TimerHandle] = []
        self._over = False

    @classmethod
    async def start_tls(
        cls,
        queue: Queue,
        address: str,
        connection: socket.socket,
        door: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
    ) -> asyncio.Transport:
        """See `start_tls` below."""
        loop = cls(queue, address, connection.fileno())
        try:
            transport, _ = await aiofastnet.connect_accepted_socket(
                cast(asyncio.AbstractEventLoop, loop),
                door,
                connection,
                ssl=context,
                ssl_handshake_timeout=TLS_DEADLINE,
                ssl_shutdown_timeout=_TLS_GOODBYE,
                **_TLS_BUFFERS,
            )
        finally:
            loop._end()
        return transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def add_reader(self, number: int, read: Callable[[], None]) -> None:
        """See asyncio."""
        self._read = read
        self._loop.add_reader(number, read if self._over else self._readable)

    def remove_reader(self, number: int) -> bool:
        """See asyncio."""
        self._read = None
        self._queue.forget(self)
        return self._loop.remove_reader(number)

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any
    ) -> asyncio.TimerHandle:
        """See asyncio.

        A handshake that is given up leaves its deadline behind, and that would hold its memory.
        """
        timer = self._loop.call_later(delay, callback, *args)
        if not self._over:
            self._timers.append(timer)
        return timer

    def _readable(self) -> None:
        self._loop.remove_reader(self._number)
        self._queue.ask(self)

    def turn(self) -> bool:
        """See turns.Asker."""
        if self._read is not None:
            self._read()
        if self._read is not None and not self._over:
            self._loop.add_reader(self._number, self._readable)
        return True

    def _end(self) -> None:
        """The handshake is over, or was given up."""
        self._over = True
        self._queue.forget(self)
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._read is not None:
            self._loop.add_reader(self._number, self._read)


class _Between(asyncio.BufferedProtocol):
    """A handshake over the loop's own transports: stands between them and TLS, and hands bytes on
    when it is its turn. See turns.Asker.
    """

    def __init__(self, queue: Queue, address: str) -> None:
        self.address = address
        self._queue = queue
        self._space = bytearray(STEP)
        self._bytes = bytearray()
        self._transport: asyncio.Transport | None = None
        self._tls: Any = None  # a protocol of either kind

    @classmethod
    async def start_tls(
        cls,
        queue: Queue,
        address: str,
        connection: socket.socket,
        door: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
    ) -> asyncio.Transport:
        """See `start_tls` below."""
        loop = asyncio.get_running_loop()
        below, between = await loop.connect_accepted_socket(lambda: cls(queue, address), connection)
        early = _Early()
        loop.call_soon(
            between._step_in
        )  # when TLS has taken its place, and before it is told of its transport
        above = await loop.start_tls(
            below,
            early,
            context,
            server_side=True,
            ssl_handshake_timeout=TLS_DEADLINE,
            ssl_shutdown_timeout=_TLS_GOODBYE,
        )
        if above is None:
            raise ConnectionResetError
        between._step_out()
        protocol = door()
        above.set_protocol(protocol)
        protocol.connection_made(above)
        if early.bytes:
            protocol.data_received(bytes(early.bytes))
        return above

    def _step_in(self) -> None:
        assert self._transport is not None
        self._tls = self._transport.get_protocol()
        self._transport.set_protocol(self)
        if self._bytes:
            self._queue.ask(self)

    def _step_out(self) -> None:
        assert self._transport is not None and self._tls is not None
        self._queue.forget(self)
        self.turn()
        self._transport.set_protocol(self._tls)

    def turn(self) -> bool:
        """See turns.Asker."""
        data = bytes(self._bytes)
        self._bytes.clear()
        if self._tls is not None and data:
            _feed(self._tls, data)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
        return True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no common class

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._space

    def buffer_updated(self, nbytes: int) -> None:
        self._bytes += self._space[:nbytes]
        assert self._transport is not None
        self._transport.pause_reading()
        if self._tls is not None:
            self._queue.ask(self)

    def eof_received(self) -> bool:
        return self._tls is not None and bool(self._tls.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self._queue.forget(self)
        if self._tls is not None:
            self._tls.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._tls is not None:
            self._tls.pause_writing()

    def resume_writing(self) -> None:
        if self._tls is not None:
            self._tls.resume_writing()


class _Early(asyncio.Protocol):
    """What comes through TLS before there is anybody to take it: at most what came with the last
    step of the handshake.
    """

    def __init__(self) -> None:
        self.bytes = bytearray()

    def data_received(self, data: bytes) -> None:
        self.bytes += data


def _feed(protocol: Any, data: bytes) -> None:
    """As a transport hands bytes on. uvloop's TLS is a BufferedProtocol by its methods only."""
    if not hasattr(protocol, "get_buffer"):
        protocol.data_received(data)
        return
    while data:
        space = memoryview(protocol.get_buffer(len(data)))
        size = min(len(space), len(data))
        space[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]
