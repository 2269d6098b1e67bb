"""Faults of the libraries below that do no harm, and would only frighten who reads the terminal."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

log = logging.getLogger(__name__)


def unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """For `loop.set_exception_handler`: as the loop would do itself, but on one line above the
    traceback, and silent about two things.

    aiofastnet 1.2 tells of who goes away amid a TLS handshake with a class in place of an
    exception, which logging cannot print; `server.gate.Gate` says so itself. And uvloop 0.23 goes
    on with a handshake whose connection was given up a moment ago, and then finds it closed.
    """
    exception = context.get("exception")
    given_up = isinstance(exception, RuntimeError) and "handler is closed" in str(exception)
    if not isinstance(exception, type) and not given_up:
        more = "".join(
            f"; {name} {value!r}"
            for name, value in sorted(context.items())
            if name not in ("message", "exception")
        )
        log.error(
            "%s%s",
            context.get("message", "A fault that no handler has caught"),
            more,
            exc_info=exception,
        )
