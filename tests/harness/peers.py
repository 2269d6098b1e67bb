"""Peers of a relay: honest ones that speak the protocol, and hostile ones that do not."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.typing import Origin, Subprotocol

from tests.harness.relays import SUBPROTOCOL, Relay

# Seconds after which something that must happen counts as not happening; generous, because it is no
# measurement.
PATIENCE = 20.0

# How often something is tried that a busy computer may spoil once.
ATTEMPTS = 3

# Seconds after which a player asks for a pause again, as web/player/engines/overflow.js does: its
# vote lapses.
RENEWAL = 2.0


class Peer:
    """One WebSocket to a relay, with what it has received so far.

    Attributes:
        messages: Control messages as dicts, in order.
        media: Binary messages, in order.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.messages: list[dict[str, Any]] = []
        self.media: list[bytes] = []
        self._pings = 0
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._receive())

    async def _receive(self) -> None:
        try:
            async for message in self.connection:
                if isinstance(message, str):
                    self.messages.append(json.loads(message))
                else:
                    self.media.append(message)
                self._news.set()
        except ConnectionClosed:
            pass
        finally:
            self._news.set()

    async def send(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def send_media(self, stream: int, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            await self.connection.send(bytes([stream]) + piece)
            await asyncio.sleep(
                0
            )  # what has a buffer to go into waits for nobody, and pings want an answer

    async def until(self, condition: Callable[[Peer], Any], what: str = "") -> Any:
        """Wait until something holds of this peer, and return it."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not (found := condition(self)):
                    if self._task.done():
                        raise AssertionError(
                            f"the socket closed ({self.code}) while waiting {what}: {self.messages}"
                        )
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(
                f"nothing came while waiting {what}: {len(self.media)} media messages, "
                f"{self.messages}"
            ) from None
        return found

    async def message(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Wait for a control message of this type with these fields, and return it."""
        wanted = {"type": kind, **fields}

        def match(peer: Peer) -> dict[str, Any] | None:
            return next((one for one in peer.messages if wanted.items() <= one.items()), None)

        found: dict[str, Any] = await self.until(match, f"for {wanted}")
        return found

    async def settled(self) -> None:
        """Wait until the relay has seen to all that this peer has sent, and this peer has all that
        it was told until then.
        """
        self._pings += 1
        await self.send(
            type="ping", t=self._pings / 1024
        )  # no whole number: those are the tests' own
        await self.message("pong", t=self._pings / 1024)

    def told(self, kind: str) -> list[dict[str, Any]]:
        """All control messages of this type so far."""
        return [message for message in self.messages if message["type"] == kind]

    async def closed(self) -> int | None:
        """Wait until the socket is closed; return the close code."""
        async with asyncio.timeout(PATIENCE):
            await self._task
        return self.code

    @property
    def code(self) -> int | None:
        return self.connection.close_code

    async def close(self) -> None:
        await self.connection.close()
        await self._task


@asynccontextmanager
async def peer(relay: Relay, path: str, **options: Any) -> AsyncIterator[Peer]:
    """A peer at `/camera/<name>`, `/player/<name>` or `/wall`."""
    options.setdefault("subprotocols", [Subprotocol(SUBPROTOCOL)])
    options.setdefault("origin", Origin(relay.origin))
    if relay.tls:
        options.setdefault("ssl", relay.context)
    async with connect(
        relay.socket_url(path), compression=None, max_size=None, proxy=None, **options
    ) as connection:
        one = Peer(connection)
        try:
            yield one
        finally:
            await one.close()


@asynccontextmanager
async def voting(*players: Peer) -> AsyncIterator[None]:
    """These players ask for a pause, again and again as real ones do.

    They do not say when they are content.
    """

    async def vote() -> None:
        while True:
            for player in players:
                await player.send(type="pause", reason="overflow")
            await asyncio.sleep(RENEWAL)

    task = asyncio.create_task(vote())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Raw:
    """A TCP connection that says what no honest client would."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, relay: Relay, receive_buffer: int | None = None) -> Raw:
        """
        Args:
            receive_buffer: Bytes that the kernel may take for a peer that does not read.
        """
        import socket

        plain = socket.create_connection(("localhost", relay.port))
        if receive_buffer is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.setblocking(False)
        name = "localhost" if relay.tls else None
        reader, writer = await asyncio.open_connection(
            sock=plain, ssl=relay.context, server_hostname=name, limit=2**16
        )
        return cls(reader, writer)

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def trickle(self, data: bytes, pause: float = 0.0) -> None:
        """Byte by byte."""
        for position in range(len(data)):
            await self.write(data[position : position + 1])
            await asyncio.sleep(pause)

    async def request(
        self,
        relay: Relay,
        path: str,
        *extra: str,
        subprotocol: str | None = SUBPROTOCOL,
        host: str = "",
    ) -> int:
        """Send a WebSocket handshake; return the status of the answer."""
        await self.write(handshake(path, host or relay.authority, *extra, subprotocol=subprotocol))
        return await self.status()

    async def status(self) -> int:
        async with asyncio.timeout(PATIENCE):
            head = await self.reader.readuntil(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1])

    async def body(self) -> dict[str, Any]:
        """The JSON that follows a refusal."""
        async with asyncio.timeout(PATIENCE):
            answer: dict[str, Any] = json.loads(await self.reader.read())
        return answer

    async def frame(self, opcode: Opcode, data: bytes, fin: bool = True) -> None:
        await self.write(Frame(opcode, data, fin).serialize(mask=True, extensions=[]))

    async def ended(self) -> None:
        """Wait until the relay has cut the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                while await self.reader.read(2**16):
                    pass
            except (ConnectionError, OSError):
                pass

    def cut(self) -> None:
        """Vanish as a phone does whose battery is empty: no good-bye."""
        self.writer.transport.abort()

    async def __aenter__(self) -> Raw:
        return self

    async def __aexit__(self, *details: object) -> None:
        self.cut()
        await asyncio.sleep(0)


def handshake(path: str, host: str, *extra: str, subprotocol: str | None = SUBPROTOCOL) -> bytes:
    """A WebSocket handshake request (RFC 6455 section 4.1)."""
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []),
        *extra,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
