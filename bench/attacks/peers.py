"""Connections of an attacker: as cheap as Python has them, so that the relay is what is measured.

What comes is counted and thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import socket
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast

from websockets.frames import Opcode

from bench.actors.viewers import READ_SIZE, SMALL_BUFFER, Reader
from tests.harness.peers import handshake

HOST = "127.0.0.1"
"""Where the relay listens.

The addresses of its peers are others of 127.0.0.0/8, which all are this computer.
"""

CONNECT_DEADLINE = 10.0
"""Seconds in which a connection must be there, TLS included, before an attacker tries another
one.
"""

WAITING = 256 * 1024
"""Bytes that wait here because the relay does not take them, beyond which an attacker sends nothing
more on this connection.
"""

OUTSTANDING = 64
"""Requests of one connection that are not answered yet, beyond which an attacker sends no more."""

_STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d)")
_LONGEST_STATUS = 12


@dataclass(frozen=True)
class Site:
    """The relay that is attacked.

    Attributes:
        port, trust_port: Where it listens on `HOST`, and where its trust page is.
        watching, filming: An attacker's own keys: to watch everything, and to film under every
            name.
    """

    port: int
    trust_port: int
    watching: str = ""
    filming: str = ""

    @property
    def authority(self) -> str:
        """For the Host header of a handshake."""
        return f"{HOST}:{self.port}"


class TurnedAway(OSError):
    """The relay refused; the text is the status of its answer."""


def tls_context() -> ssl.SSLContext:
    """Of a client that checks no certificate: on loopback there is nobody else, and checking is not
    what is measured.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def request(
    site: Site, method: str, path: str, *headers: str, body: bytes = b"", port: int = 0
) -> bytes:
    """A request of HTTP/1.1 that leaves its connection open.

    Args:
        port: Where it goes to, if not to the relay itself.
    """
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {HOST}:{port or site.port}",
        *headers,
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def session_request(site: Site, key: str) -> bytes:
    """By which a page exchanges a key for a cookie."""
    return request(
        site,
        "POST",
        "/api/session",
        "Content-Type: application/json",
        body=json.dumps({"key": key}).encode(),
    )


def log_in(site: Site, key: str, source: str) -> str:
    """A cookie for a key, as this address gets it.

    Raises:
        OSError: There was no connection.
        TurnedAway: There was another answer than 200.
    """
    connection = http.client.HTTPSConnection(
        HOST, site.port, context=tls_context(), timeout=CONNECT_DEADLINE, source_address=(source, 0)
    )
    with contextlib.closing(connection):
        connection.request(
            "POST", "/api/session", json.dumps({"key": key}), {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        if answer.status != 200:
            raise TurnedAway(str(answer.status))
        return (answer.headers["Set-Cookie"] or "").partition(";")[0]


class Peer(asyncio.BufferedProtocol):
    """One connection.

    Attributes:
        ended: Why it is over, in a word, once it is.
    """

    _room = memoryview(
        bytearray(READ_SIZE)
    )  # one for all: what is read is looked at before the next read
    _context: ssl.SSLContext | None = None

    def __init__(self) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._why = "cut off"

    async def open(self, port: int, source: str, *, tls: bool = True, small: bool = False) -> Self:
        """Connects.

        Args:
            source: The address from which it comes.
            small: The kernel takes next to nothing that is not read.

        Raises:
            OSError: The relay does not let it in, or not in time.
        """
        raw = socket.socket()
        try:
            if small:
                raw.setsockopt(
                    socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER
                )  # before it is connected: the window is agreed on then
            raw.setblocking(False)
            raw.bind((source, 0))
            loop = asyncio.get_running_loop()
            if Peer._context is None:
                Peer._context = tls_context()
            async with asyncio.timeout(CONNECT_DEADLINE):
                await loop.sock_connect(raw, (HOST, port))
                name = "localhost" if tls else None
                await loop.create_connection(
                    lambda: self, sock=raw, ssl=Peer._context if tls else None, server_hostname=name
                )
        except BaseException:
            raw.close()
            raise
        return self

    def send(self, data: bytes) -> bool:
        """Whether it went out; False where the connection is over or the relay takes nothing at the
        moment.
        """
        transport = self._transport
        if (
            transport is None
            or transport.is_closing()
            or transport.get_write_buffer_size() > WAITING
        ):
            return False
        transport.write(data)
        return True

    def leave(self) -> None:
        """Vanishes."""
        if self._transport is not None:
            self._transport.abort()

    def received(self, data: memoryview) -> None:
        """Something came."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        self.received(self._room[:nbytes])

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(self._why)


class Asker(Peer):
    """One connection for requests; of the answers only the statuses are looked at.

    Args:
        answers: Counts them.
    """

    def __init__(self, answers: Counter[str]) -> None:
        super().__init__()
        self._answers = answers
        self._tail = b""
        self._open = 0  # requests without an answer

    def ask(self, data: bytes, count: int = 1) -> bool:
        """Sends requests; whether it did."""
        if self._open > OUTSTANDING or not self.send(data):
            return False
        self._open += count
        return True

    def received(self, data: memoryview) -> None:
        text = self._tail + bytes(data)
        end = 0
        for found in _STATUS.finditer(text):
            self._answers[found[1].decode()] += 1
            self._open -= 1
            end = found.end()
        self._tail = text[max(end, len(text) - _LONGEST_STATUS + 1) :]


class WebSocketPeer(Peer):
    """One WebSocket. It answers Pings, as every browser does, unless it is deaf."""

    def __init__(self) -> None:
        super().__init__()
        self._upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._answer = bytearray()  # to the handshake
        self._reader = Reader(self._on_message)
        self._deaf = False
        self._came: set[int] = set()
        self._news = asyncio.Event()

    async def enter(
        self, site: Site, source: str, path: str, cookie: str, *, deaf: bool = False
    ) -> Self:
        """Opens it.

        Args:
            deaf: It reads nothing after the answer to its handshake.

        Raises:
            TurnedAway: The relay refused.
            OSError: The relay does not let it in, or not in time.
        """
        self._deaf = deaf
        try:
            await self.open(site.port, source, small=deaf)
            self.send(handshake(path, site.authority, *([f"Cookie: {cookie}"] if cookie else [])))
            async with asyncio.timeout(CONNECT_DEADLINE):
                await self._upgraded
        except BaseException:
            self.leave()
            raise
        return self

    async def first(self, opcode: Opcode) -> None:
        """Returns once a message of this kind has come.

        Raises:
            OSError: The connection ended before.
        """
        while opcode not in self._came:
            if self.ended.done():
                raise TurnedAway(self.ended.result())
            self._news.clear()
            await self._news.wait()

    def received(self, data: memoryview) -> None:
        if not self._upgraded.done():
            self._answer += data
            head, end, rest = bytes(self._answer).partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self._upgraded.set_exception(TurnedAway(head[9:12].decode(errors="replace")))
                return
            self._upgraded.set_result(None)
            data = memoryview(rest)
            if self._deaf and self._transport is not None:
                self._transport.pause_reading()
        self._reader.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._news.set()
        if not self._upgraded.done():
            self._upgraded.set_exception(
                error or ConnectionResetError("closed during the handshake")
            )

    def _on_message(self, opcode: int, body: bytes) -> None:
        self._came.add(opcode)
        self._news.set()
        if opcode == Opcode.PING:
            self.send(frame(Opcode.PONG, body))
        elif opcode == Opcode.CLOSE:
            self._why = str(int.from_bytes(body[:2], "big")) if len(body) >= 2 else "closed"


def frame(opcode: int, payload: bytes = b"", final: bool = True) -> bytes:
    """A client's frame (RFC 6455 section 5.2).

    Its mask is zeros, which is a mask, and spares work on both sides.
    """
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 2**16:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return bytes([(0x80 if final else 0) | opcode]) + length + bytes(4) + payload


def text(message: Mapping[str, object]) -> bytes:
    """A control message in its frame."""
    return frame(Opcode.TEXT, json.dumps(message).encode())
