"""A TCP proxy on this computer that misbehaves when it is told to: late, frozen, slow or cut, as a
network is; without WebSockets.

    async with Proxy(relay.port) as proxy:
        page = await browser.page(f"{proxy.origin}/player.html")
        proxy.jitter(0, 40)
        await proxy.freeze(2)

It changes no byte and no order. What it holds back is bounded; beyond that it stops reading, so
that the sender feels it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import deque
from typing import Self, cast

HOST = "127.0.0.1"
"""Both sides of the proxy are on this computer only."""

HELD_LIMIT = 256 * 1024
"""Bytes that one direction of a connection holds back before it stops reading: what lies on the way
in a network, and no more.
"""

RECEIVE_BUFFER = 64 * 1024
"""Bytes that the kernel takes for a socket that is not read.

Without a limit it takes megabytes, and a sender would not feel a freeze.
"""

UPGRADE = b"\r\nupgrade: websocket\r\n"
"""The line of a request's head that asks for a WebSocket; small letters."""

FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
"""What a proxy answers that knows no WebSockets."""

THROTTLED_PIECE = 4096
"""Bytes that pass at once when the rate is limited; a whole chunk at once would be a burst."""


class Proxy:
    """Passes on what comes to its own port, both ways; `async with` starts and ends it.

    Args:
        target_port: Where on this computer the connections lead.
        seed: Of the random times; the same seed gives the same times in the same order of chunks.

    Attributes:
        port: Where it listens.
        connections: Those that are open now.
        lost: How many did not reach the target.
    """

    def __init__(self, target_port: int, *, seed: int = 1) -> None:
        self.target_port = target_port
        self.port = 0
        self._random = random.Random(seed)
        self._delays = (0.0, 0.0)  # s
        self._rate: float | None = None
        self._freezes = 0
        self._refusal: bytes | None = None
        self.connections: set[_Connection] = set()
        self.lost = 0
        self._server: asyncio.Server | None = None

    @property
    def origin(self) -> str:
        """For browsers, such as `http://localhost:40001`."""
        return f"http://localhost:{self.port}"

    def jitter(self, least: float, most: float) -> None:
        """From now on each chunk is held back for a random time, in both directions; the order is
        kept. `jitter(0, 0)` ends it.

        Args:
            least, most: ms. Equal ones make a constant delay.

        Raises:
            ValueError: They are negative, or in the wrong order.
        """
        if not 0 <= least <= most:
            raise ValueError(f"no times to hold back for: {least} to {most} ms")
        self._delays = (least / 1000, most / 1000)

    def throttle(self, bytes_per_second: float | None) -> None:
        """From now on no connection passes more than this in either direction. None ends it.

        Raises:
            ValueError: Nothing would pass.
        """
        if bytes_per_second is not None and bytes_per_second <= 0:
            raise ValueError(f"no rate: {bytes_per_second} bytes per second")
        self._rate = bytes_per_second
        self._pump()

    def refuse_websockets(self, answer: bytes | None = FORBIDDEN) -> None:
        """From now on a connection whose first request is for a WebSocket gets this answer, and is
        closed. None ends it.
        """
        self._refusal = answer

    def refusal(self, head: bytes) -> bytes | None:
        """What a connection that begins like this gets instead of the target's answer."""
        return self._refusal if UPGRADE in head.lower() else None

    async def freeze(self, seconds: float) -> None:
        """Nothing passes and nothing is read for so long; connections stay, and new ones wait.

        Returns when it is over.
        """
        self._freezes += 1
        self._pump()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._freezes -= 1
            self._pump()

    def cut(self) -> None:
        """Drops all connections at once; what was on the way is lost. New ones may come."""
        for connection in list(self.connections):
            connection.abort()

    @property
    def frozen(self) -> bool:
        return self._freezes > 0

    @property
    def rate(self) -> float | None:
        """Bytes per second of one direction of one connection, None for no limit."""
        return self._rate

    def delay(self) -> float:
        """Seconds for which the next chunk is held back."""
        return self._random.uniform(*self._delays)

    def _pump(self) -> None:
        for connection in list(self.connections):
            connection.pump()

    def _accept(self) -> asyncio.Protocol:
        connection = _Connection(self, self.connections)
        self.connections.add(connection)
        return connection.client

    async def __aenter__(self) -> Self:
        listener = _socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, 0))
        self._server = await asyncio.get_running_loop().create_server(self._accept, sock=listener)
        self.port = listener.getsockname()[1]
        return self

    async def __aexit__(self, *_exception: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()
        await asyncio.sleep(0)  # the transports' own farewell


class _Connection:
    """A client's socket, the one to the target, and the two ways between them."""

    def __init__(self, proxy: Proxy, others: set[_Connection]) -> None:
        self._others = others
        self.client = _End(self)
        self.target = _End(self)
        self.client.out = self.target.back = _Way(proxy, self.client, self.target)
        self.target.out = self.client.back = _Way(proxy, self.target, self.client)
        self._proxy = proxy
        self._begun = False
        self._connecting: asyncio.Task[None] | None = None

    @property
    def ways(self) -> tuple[_Way, _Way]:
        return self.client.out, self.target.out

    def connect(self) -> None:
        """The client is there: its bytes wait in the meantime."""
        self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        upstream = _socket()
        try:
            upstream.setblocking(False)
            await loop.sock_connect(upstream, (HOST, self._proxy.target_port))
            await loop.create_connection(lambda: self.target, sock=upstream)
        except OSError:
            upstream.close()
            self._proxy.lost += 1
            self.abort()
        except asyncio.CancelledError:
            upstream.close()
            raise
        self.pump()

    def pump(self) -> None:
        for way in self.ways:
            way.pump()

    def begins(self, head: bytes) -> bool:
        """Whether a connection that begins so is passed on.

        Browsers send the head of a request in one piece.
        """
        refusal = None if self._begun else self._proxy.refusal(head)
        self._begun = True
        if refusal is None:
            return True
        assert self.client.transport is not None
        self.client.transport.write(refusal)
        self.client.transport.close()
        return False

    def abort(self) -> None:
        if self._connecting is not None and self.target.transport is None:
            self._connecting.cancel()
        for end in (self.client, self.target):
            end.out.forget()
            end.reset()
        self._others.discard(self)

    def lost(self, end: _End, error: Exception | None) -> None:
        """One socket has ended: the other gets what is still on the way to it, and ends, too."""
        end.back.forget()
        if error is not None or end.other.transport is None:
            self.abort()
        else:
            end.out.take(None)
        if self.client.gone and self.target.gone:
            self._others.discard(self)


class _End(asyncio.Protocol):
    """One socket. `out` takes what comes from it, `back` brings it what the other end sent."""

    out: _Way
    back: _Way

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.transport: asyncio.Transport | None = None
        self.gone = False
        self.writable = True

    @property
    def other(self) -> _End:
        return self.out.target

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self is self._connection.client:
            self._connection.connect()

    def data_received(self, data: bytes) -> None:
        if self is not self._connection.client or self._connection.begins(data):
            self.out.take(data)

    def eof_received(self) -> bool:
        self.out.take(b"")
        return True  # the other direction goes on

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True
        self._connection.lost(self, error)

    def pause_writing(self) -> None:
        self.writable = False
        self.back.pump()

    def resume_writing(self) -> None:
        self.writable = True
        self.back.pump()

    def reset(self) -> None:
        """Ends at once, without a good-bye: an RST (socket(7), SO_LINGER)."""
        if self.transport is not None and not self.gone:
            self.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self.transport.abort()

    def read(self, wanted: bool) -> None:
        """Goes on reading, or stops."""
        if self.transport is None or self.transport.is_closing():
            return
        if wanted and not self.transport.is_reading():
            self.transport.resume_reading()
        elif not wanted:
            self.transport.pause_reading()


class _Way:
    """One direction of one connection."""

    def __init__(self, proxy: Proxy, source: _End, target: _End) -> None:
        self._proxy = proxy
        self.source = source
        self.target = target
        self._chunks: deque[tuple[float, bytes | None]] = (
            deque()
        )  # due, chunk; b"" is the end of the stream, None of the socket
        self.held = 0  # bytes
        self._free = 0.0  # when the limited rate lets the next piece through
        self._timer: asyncio.TimerHandle | None = None

    def take(self, chunk: bytes | None) -> None:
        due = asyncio.get_running_loop().time() + self._proxy.delay()
        if self._chunks:
            due = max(due, self._chunks[-1][0])  # no chunk overtakes another
        self._chunks.append((due, chunk))
        self.held += len(chunk or b"")
        self.pump()

    def forget(self) -> None:
        self._chunks.clear()
        self.held = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pump(self) -> None:
        """Writes all that is due, and looks whether the source is to be read."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while (
            self._chunks
            and self.target.transport is not None
            and self.target.writable
            and not self._proxy.frozen
        ):
            due = max(self._chunks[0][0], self._free)
            if due > loop.time():
                self._timer = loop.call_at(due, self.pump)
                break
            self._write(self._chunks.popleft())
        self.source.read(
            self.held < HELD_LIMIT and self.target.transport is not None and not self._proxy.frozen
        )

    def _write(self, held: tuple[float, bytes | None]) -> None:
        due, chunk = held
        transport = self.target.transport
        assert transport is not None
        if transport.is_closing():
            self.forget()
        elif chunk is None:
            transport.close()
        elif not chunk:
            with contextlib.suppress(OSError):  # it was reset meanwhile
                transport.write_eof()
        else:
            rate = self._proxy.rate
            if rate is not None:
                if len(chunk) > THROTTLED_PIECE:
                    self._chunks.appendleft((due, chunk[THROTTLED_PIECE:]))
                    chunk = chunk[:THROTTLED_PIECE]
                self._free = max(self._free, asyncio.get_running_loop().time()) + len(chunk) / rate
            self.held -= len(chunk)
            transport.write(chunk)


def _socket() -> socket.socket:
    made = socket.socket()
    made.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER
    )  # before it is connected: the window is agreed on then
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
