"""Viewers without a browser, so light that twenty of them leave the computer to the relay: they
read the heads of messages only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from typing import NamedTuple, Self, cast

from websockets.frames import Opcode

from tests.harness.peers import handshake

from .remote import HOST, Address
from .scripted_camera import Mark

KEPT = 64
"""Bytes that are kept of each message: the head of a frame message, and the mark in the picture
behind it.
"""

READ_SIZE = 64 * 1024
"""Bytes that are read at once."""

SMALL_BUFFER = 4096
"""Bytes that the kernel takes for a viewer that does not read."""

CONNECT_DEADLINE = 20.0
"""Seconds for the handshakes, on a machine that is busy."""

STALLED_FOR = 9.0
"""Seconds after which a viewer that does not read comes anew: a moment before the relay cuts it
off, so that there always is one.
"""

HASTY_FOR = 1.0
"""Seconds after which a viewer that cannot stay comes anew."""

_WEBM = b"\x1f\x43\xb6\x75"
_WEBM_VIDEO, _WEBM_FRAME = 0x81, 27
_MOOF, _MP4_VIDEO = b"moof", (1).to_bytes(4, "big")


class Arrival(NamedTuple):
    """One picture of `scripted_camera.Film` at a viewer; moments as time.monotonic() tells them."""

    number: int
    captured: float
    arrived: float


class Reader:
    """A server's half of a WebSocket, of which only the beginning of each message is kept (RFC 6455
    section 5.2).

    Args:
        onmessage: Is given the opcode and up to `KEPT` bytes, once the whole message is here.
    """

    def __init__(self, onmessage: Callable[[int, bytes], None]) -> None:
        self._onmessage = onmessage
        self._head = bytearray()
        self._body = bytearray()
        # Bytes of the body that are still to come; None while the head is.
        self._left: int | None = None

    def feed(self, data: memoryview) -> None:
        """Takes what was received, cut anywhere.

        Raises:
            ValueError: It is no unmasked and unfragmented frame, which is all that the relay sends.
        """
        position = 0
        while position < len(data):
            if self._left is None:
                self._head.append(data[position])
                position += 1
                self._left = self._length()
            else:
                step = min(self._left, len(data) - position)
                if len(self._body) < KEPT:
                    self._body += data[position : position + min(step, KEPT - len(self._body))]
                position += step
                self._left -= step
            if self._left == 0:
                opcode, body = self._head[0] & 15, bytes(self._body)
                self._head.clear()
                self._body.clear()
                self._left = None
                self._onmessage(opcode, body)

    def _length(self) -> int | None:
        """Bytes of the body; None while the head is not complete."""
        head = self._head
        if len(head) < 2:
            return None
        short = head[1]
        if not head[0] & 0x80 or short & 0x80:
            raise ValueError(f"no frame of a relay begins with {head.hex()}")
        extended = {126: 2, 127: 8}.get(short, 0)
        if len(head) < 2 + extended:
            return None
        return int.from_bytes(head[2:], "big") if extended else short


def picture(message: bytes) -> bool:
    """Whether this binary message to a player (docs/protocol.md, "Tracks to a player") is a
    picture.
    """
    if message.startswith(_WEBM):
        return message[23] == _WEBM_VIDEO
    return message[4:8] == _MOOF and message[44:48] == _MP4_VIDEO


class Viewer(asyncio.BufferedProtocol):
    """One WebSocket to `/player/<name>`.

    Args:
        marked: Whether the camera is a `scripted_camera.Film`, whose pictures tell when they were
            captured.
        stalls: Whether it reads nothing after the first bytes.

    Attributes:
        arrivals: What has come; of pictures without a mark, the number is -1 and the moment of
            capture that of the arrival.
        gone: Set when the connection has ended.
    """

    _room = memoryview(
        bytearray(READ_SIZE)
    )  # one for all: what is read is looked at before the next read

    def __init__(self, *, marked: bool = True, stalls: bool = False) -> None:
        self.arrivals: list[Arrival] = []
        self.gone = asyncio.Event()
        self._marked = marked
        self._stalls = stalls
        self._transport: asyncio.Transport | None = None
        self._answer = bytearray()  # to the handshake
        self._upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader = Reader(self._on_message)

    async def watch(
        self,
        address: Address,
        path: str,
        *headers: str,
        source: str = "",
        context: ssl.SSLContext | None = None,
    ) -> Self:
        """Opens it.

        Args:
            headers: For its handshake, besides those of all.
            source: The address from which it comes; "" for any.
            context: For TLS, if not the one that trusts the relay's authority.

        Raises:
            OSError: The relay is not there, refused, or did not answer in time.
        """
        raw = socket.socket()
        if self._stalls:
            raw.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER
            )  # before it is connected: the window is agreed on then
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        context = context or address.context()
        try:
            if source:
                raw.bind((source, 0))
            async with asyncio.timeout(CONNECT_DEADLINE):
                await loop.sock_connect(raw, ("127.0.0.1", address.port))
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                transport, _ = await loop.create_connection(
                    lambda: self, sock=raw, ssl=context, server_hostname=HOST if context else None
                )
                transport.write(
                    handshake(path, address.host, f"Origin: {address.origin}", *headers)
                )
                await self._upgraded
        except BaseException:
            raw.close()
            self.leave()
            raise
        return self

    def leave(self) -> None:
        """Vanishes."""
        if self._transport is not None:
            self._transport.abort()

    def take(self) -> list[Arrival]:
        """What has come since the last call."""
        taken, self.arrivals = self.arrivals, []
        return taken

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        data = self._room[:nbytes]
        if not self._upgraded.done():
            self._answer += data
            head, end, rest = bytes(self._answer).partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self._upgraded.set_exception(ConnectionRefusedError(head.decode(errors="replace")))
                return
            self._upgraded.set_result(None)
            data = memoryview(rest)
            if self._stalls and self._transport is not None:
                self._transport.pause_reading()
        self._reader.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set()
        if not self._upgraded.done():
            self._upgraded.set_exception(
                error or ConnectionResetError("closed during the handshake")
            )

    def _on_message(self, opcode: int, body: bytes) -> None:
        if opcode == Opcode.BINARY and picture(body):
            now = time.monotonic()
            mark = Mark.read(memoryview(body)[_WEBM_FRAME:]) if self._marked else Mark(-1, now)
            self.arrivals.append(Arrival(*mark, now))
        elif opcode == Opcode.PING and self._transport is not None:
            # At once and in order: by this answer the relay knows what has arrived. A mask of zeros
            # is one (RFC 6455 section 5.3).
            self._transport.write(bytes([0x80 | Opcode.PONG, 0x80 | len(body), 0, 0, 0, 0]) + body)


class Crowd:
    """Good viewers of one camera; in one process, usually."""

    def __init__(self, address: Address, name: str, count: int) -> None:
        self._address = address
        self._path = f"/player/{name}"
        self._count = count
        self._viewers: list[Viewer] = []

    async def __aenter__(self) -> Self:
        self._viewers = [
            await Viewer().watch(self._address, self._path) for _ in range(self._count)
        ]
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for viewer in self._viewers:
            viewer.leave()

    def take(self) -> list[list[Arrival]]:
        """Of each viewer, what has come since the last call."""
        return [viewer.take() for viewer in self._viewers]


class Guests:
    """Three viewers that are good at one time and bad at another.

    Args:
        narrow: Where the relay is reached through a narrow network.
    """

    def __init__(self, address: Address, narrow: Address, name: str) -> None:
        self._address = address
        self._narrow = narrow
        self._path = f"/player/{name}"
        self._slow = Viewer()
        self._all: list[Viewer] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.behave()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._leave()

    async def behave(self) -> None:
        """From now on they are three good ones."""
        await self._leave()
        self._all = [await Viewer().watch(self._address, self._path) for _ in range(3)]

    async def misbehave(self) -> None:
        """From now on the first reads nothing, the second has a narrow network, and the third comes
        anew every second.
        """
        await self._leave()
        self._slow = await Viewer().watch(self._narrow, self._path)
        self._all = [self._slow]
        self._tasks = [
            asyncio.create_task(self._again(lambda: Viewer(stalls=True), STALLED_FOR)),
            asyncio.create_task(self._again(Viewer, HASTY_FOR)),
        ]

    def slow(self) -> tuple[list[Arrival], bool]:
        """What has come to the one with the narrow network since it came, and whether it is still
        there.
        """
        return self._slow.take(), not self._slow.gone.is_set()

    async def _again(self, make: Callable[[], Viewer], seconds: float) -> None:
        while True:
            viewer = make()
            try:
                await viewer.watch(self._address, self._path)
                await asyncio.sleep(seconds)
            finally:
                viewer.leave()

    async def _leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for viewer in self._all:
            viewer.leave()
        self._tasks, self._all = [], []
