"""The camera of `scripted_camera.py` for servers that are no relay: the same pictures at the same
moments, in less protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

from websockets.frames import Frame, Opcode

from tests.harness.peers import handshake

from .remote import HOST
from .scripted_camera import Film


class NodeFilm(Film):
    """To a server that passes each message on as it is."""

    async def _open(self) -> float:
        self._socket = await self._connect()
        return time.monotonic()

    async def _send(self, message: bytes) -> None:
        assert self._socket is not None
        await self._socket.send(message)


class FloorFilm(Film):
    """To `floor.Floor`: what it sends are already the frames for the viewers."""

    _writer_end: asyncio.StreamWriter | None = None

    async def _open(self) -> float:
        context = self._address.context()
        raw = socket.create_connection(("127.0.0.1", self._address.port))
        raw.setblocking(False)
        reader, writer = await asyncio.open_connection(
            sock=raw, ssl=context, server_hostname=HOST if context else None
        )
        self._reader_end, self._writer_end = reader, writer
        writer.write(handshake(self._path, self._address.host))
        await reader.readuntil(b"\r\n\r\n")
        return time.monotonic()

    async def _send(self, message: bytes) -> None:
        assert self._writer_end is not None
        self._writer_end.write(Frame(Opcode.BINARY, message).serialize(mask=False, extensions=[]))
        await self._writer_end.drain()

    async def _listen(self) -> None:
        with contextlib.suppress(OSError):
            await self._reader_end.read()

    async def __aexit__(self, *exception: object) -> None:
        await super().__aexit__(*exception)
        if self._writer_end is not None:
            self._writer_end.transport.abort()
