"""Faults of the libraries below that do no harm, and would only frighten who reads the terminal."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

UNREAD = logging.getLogger("drawercam.unread")
"""For `aiohttp.web.AppRunner`. aiohttp writes a traceback for each request that it cannot read, with what was in it: cookies, for instance.
Anybody could fill a disk so. What goes wrong in a handler is said by the application."""
UNREAD.setLevel(logging.CRITICAL)


def unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """For `loop.set_exception_handler`: as the loop would do itself, but silent about two things.

    aiofastnet 1.2 tells of who goes away amid a TLS handshake with a class in place of an exception, which logging cannot print;
    `server.gate.Gate` says so itself. And uvloop 0.23 goes on with a handshake whose connection was given up a moment ago, and then
    finds it closed.
    """
    exception = context.get("exception")
    given_up = isinstance(exception, RuntimeError) and "handler is closed" in str(exception)
    if not isinstance(exception, type) and not given_up:
        loop.default_exception_handler(context)
