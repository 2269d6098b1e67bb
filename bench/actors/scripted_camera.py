"""A camera without a browser: it speaks the whole protocol, sends 4 Mbit/s or what it is told, and
writes into each picture when it was captured.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from typing import NamedTuple, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Codec, Packet, Track
from tests.harness.relays import SUBPROTOCOL

from .remote import Address

RATE = 30
"""Pictures a second."""

PICTURE = 16_700
"""Bytes of a picture; with `RATE` they are 4 Mbit/s."""

KEYFRAME = 33_000
"""Bytes of a keyframe, about twice as many as of the others."""

GROUP = 2 * RATE
"""Pictures from one keyframe to the next, unless one is asked for."""

_STREAM = 1
_TRACK = Track(Codec.VP8, "vp8", width=640, height=480)

_KEY_HEAD = bytes.fromhex("10 00 00 9d 01 2a 80 02 e0 01")
"""Of a VP8 keyframe of 640x480 (RFC 6386 section 9.1); all that the relay reads of it."""

_OTHER_HEAD = b"\x11".ljust(len(_KEY_HEAD), b"\0")

_MARK = struct.Struct(">Qd")


class Mark(NamedTuple):
    """What is written into a picture.

    Attributes:
        number: Of the picture; each is one more than the one before.
        captured: When it was captured (time.monotonic(), the same for all processes).
    """

    number: int
    captured: float

    @classmethod
    def read(cls, frame: bytes | memoryview) -> Mark:
        """From the beginning of a frame of this camera."""
        return cls(*_MARK.unpack_from(frame, len(_KEY_HEAD)))

    def frame(self, key: bool, sizes: tuple[int, int] = (PICTURE, KEYFRAME)) -> bytes:
        """A picture with this mark.

        Args:
            key: It is a keyframe.
            sizes: Bytes of a picture, and of a keyframe.
        """
        head = (_KEY_HEAD if key else _OTHER_HEAD) + _MARK.pack(*self)
        return head.ljust(sizes[key], b"\0")


class Film:
    """The camera `name`: films from `async with` on. It takes no pause; the relay must keep it
    awake (`--always-on`).

    Args:
        sizes: Bytes of a picture, and of a keyframe.
    """

    def __init__(
        self, address: Address, name: str, sizes: tuple[int, int] = (PICTURE, KEYFRAME)
    ) -> None:
        self._address = address
        self._path = f"/camera/{name}"
        self._sizes = sizes
        self._rate: float = RATE
        self._writer = WebmWriter(_TRACK, 1, 0)
        self._key_wished = True
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        begin = await self._open()
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._film(begin))]
        return self

    async def _open(self) -> float:
        """Connects; returns when (time.monotonic()) the stream's media time was 0."""
        self._socket = await self._connect()
        begin = time.monotonic()
        welcome = json.loads(await self._socket.recv())
        announcement = {
            "type": "stream",
            "stream": _STREAM,
            "mime": "video/webm;codecs=vp8",
            "at": welcome["time"],
            "keyframes": True,
        }
        await self._socket.send(json.dumps(announcement))
        await self._socket.send(bytes([_STREAM]) + self._writer.init())
        return begin

    async def _connect(self) -> ClientConnection:
        return await connect(
            self._address.url(self._path),
            origin=Origin(self._address.origin),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            ssl=self._address.context(),
            compression=None,
            proxy=None,
        )

    async def _send(self, message: bytes) -> None:
        """Sends a picture's media message."""
        assert self._socket is not None
        await self._socket.send(bytes([_STREAM]) + message)

    def pace(self, rate: float) -> None:
        """From the next picture on, so many a second."""
        self._rate = rate

    async def __aexit__(self, *_exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    def cpu(self) -> float:
        """Seconds that this process has worked."""
        return time.process_time()

    def fault(self) -> str:
        """Why it films no more; "" while it does."""
        ended = [task for task in self._tasks if task.done()]
        return repr(ended[0].exception() or "the socket was closed") if ended else ""

    async def _listen(self) -> None:
        assert self._socket is not None
        try:
            async for message in self._socket:
                if json.loads(message)["type"] == "keyframe":
                    self._key_wished = True
        except ConnectionClosed:
            return

    async def _film(self, begin: float) -> None:
        due, number, last_key = begin, 0, 0
        while True:
            await asyncio.sleep(due - time.monotonic())
            key = self._key_wished or number - last_key >= GROUP
            if key:
                self._key_wished, last_key = False, number
            captured = time.monotonic()
            packet = Packet(
                _TRACK,
                round((captured - begin) * 1e6),
                key,
                Mark(number, captured).frame(key, self._sizes),
            )
            await self._send(self._writer.fragment(packet))
            number += 1
            due = max(
                due + 1 / self._rate, captured
            )  # a late picture does not make the next ones hurry
