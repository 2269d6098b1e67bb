"""Requests that aiohttp has not read: those that it cannot, and those that wait for their turn.

By itself it answers with all that it could not read, and writes a traceback with what was in it: cookies, for instance.
"""

from __future__ import annotations

import logging

from aiohttp import web, web_protocol
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

LOG = logging.getLogger("drawercam.unread")
"""For `aiohttp.web.AppRunner`. What goes wrong in a handler is said by the application."""
LOG.setLevel(logging.CRITICAL)

# Requests of one connection that are taken apart before they are answered. With aiohttp's 32, five hundred connections that ask for one
# thing again and again cost 70 MB and 700 ms, in no turn of the address they come from (server/scheduler.py).
web_protocol.MAX_MSG_QUEUE_SIZE = 1

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Server": "drawercam",
}


class _Handler(RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self, request: BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """See RequestHandler. Its message quotes what was sent."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        name, sentence = ("bad-request", "The request is not understood.") if status < 500 else ("internal", "There is a fault here.")
        response = web.json_response({"error": name, "text": sentence}, status=status, headers=_HEADERS)
        response.force_close()
        return response


def protocol(server: web.Server) -> RequestHandler:
    """What a connection is handed to, as if aiohttp had accepted it."""
    handler = server()
    handler.__class__ = _Handler  # the server makes its own kind only
    return handler
