"""Bodies of requests and answers: in time, or not at all.

A client that makes the relay wait holds a connection and its memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterator

import aiohttp
from aiohttp import web

from drawercam.server.sockets.liveness import WRITE_DEADLINE
from groundwork.connections.limits import Places, Room
from groundwork.deadlines import Deadline
from groundwork.denied import Denied

# Seconds for the whole of a small body.
_DEADLINE = 10.0

# Seconds after which a request may be tried again for whose body there was no room.
_RETRY = 1

# Bodies that are on their way at once: of requests that have shown a right, such as cameras over
# HTTP, and of others, which can only be small, and have _DEADLINE. One address has its share of
# each (limits.Places). Each of others takes up to 0.3 MB.
MAX_BODIES = 600
MAX_STRANGE = 64

# Bytes of a connection that aiohttp takes before a handler wants them; twice as many, and what
# comes at once, may be held.
READ_AHEAD = 16 * 2**10

# Seconds between two looks whether everything is written.
_LOOK = 0.01


class Bodies:
    """Places for bodies that are on their way."""

    def __init__(self) -> None:
        self._places, self._strange = Places(MAX_BODIES), Places(MAX_STRANGE)

    @contextlib.contextmanager
    def place(self, request: web.Request, shown: bool = True) -> Iterator[None]:
        """For as long as a body is on its way. One that is here as a whole already needs none.

        Args:
            shown: The request has shown a right.

        Raises:
            Denied: 503, there are too many.
        """
        if request.content.is_eof():
            yield
            return
        places, address = self._places if shown else self._strange, request.remote or ""
        room = places.room(address)
        if room is not Room.FREE:
            whose = " from this address" if room is Room.NONE_FOR_THIS_ADDRESS else ""
            raise Denied(
                503,
                "too-many",
                f"There are too many requests{whose} whose bodies are on their way.",
                _RETRY,
            )
        places.enter(address)
        try:
            yield
        finally:
            places.leave(address)


async def more(content: aiohttp.StreamReader) -> bytes:
    """What has come of a body, at least a byte, or nothing at its end.

    Raises:
        ConnectionError: It has ended in the middle.
    """
    try:
        return await content.readany()
    except (RuntimeError, web.RequestPayloadError):
        # So aiohttp puts it where the connection had ended before anybody read.
        raise ConnectionResetError from None


async def whole(request: web.Request) -> bytes:
    """A small body; its size is the application's matter.

    Raises:
        Denied: 408, it did not come in time.
        ConnectionError: It has ended in the middle.
        web.HTTPException: It is too large.
    """
    try:
        async with Deadline(_DEADLINE):
            return await request.read()
    except TimeoutError:
        raise Denied(408, "too-slow", "The request does not go on.") from None
    except (RuntimeError, web.RequestPayloadError):
        raise ConnectionResetError from None


async def sent(request: web.Request, response: web.StreamResponse) -> None:
    """Send an answer that is whole. A peer that does not take it is cut off.

    Raises:
        ConnectionError: It has gone, or was cut off.
    """
    try:
        async with Deadline(WRITE_DEADLINE):
            await response.prepare(request)
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError from None


async def taken(transport: asyncio.Transport, writing: Awaitable[None]) -> None:
    """Write, and wait until nothing of it is left here. A peer that takes too long is cut off.

    Raises:
        ConnectionError: It has gone, or was cut off.
    """
    try:
        async with Deadline(WRITE_DEADLINE):
            await writing
            while transport.get_write_buffer_size() and not transport.is_closing():  # noqa: ASYNC110 - it tells nobody when it is empty
                await asyncio.sleep(_LOOK)
    except TimeoutError:
        transport.abort()
    if transport.is_closing():
        raise ConnectionResetError
