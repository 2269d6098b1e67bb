"""Bodies of requests and answers: in time, or not at all. Whoever makes the relay wait holds a connection and its memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import aiohttp
from aiohttp import web

from ..access import Denied
from ..deadlines import Deadline
from .socket import WRITE_DEADLINE

# Seconds for the whole of a small body.
_DEADLINE = 10.0

# Seconds between two looks whether everything is written.
_LOOK = 0.01


async def more(content: aiohttp.StreamReader) -> bytes:
    """What has come of a body, at least a byte, or nothing at its end.

    Raises:
        ConnectionError: It has ended in the middle.
    """
    try:
        return await content.readany()
    except (RuntimeError, web.RequestPayloadError):
        raise ConnectionResetError from None  # so aiohttp puts it where the connection had ended before anybody read


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
