"""Requests that aiohttp cannot read: they are answered in a sentence, and stand in no log.

By itself it answers with all that it could not read, and writes a traceback with what was in it: cookies, for instance.
"""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

LOG = logging.getLogger("drawercam.unread")
"""For `aiohttp.web.AppRunner`. What goes wrong in a handler is said by the application."""
LOG.setLevel(logging.CRITICAL)

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Server": "drawercam"}


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
