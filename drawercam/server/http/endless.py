"""Answers that do not end before their connection."""

from __future__ import annotations

from aiohttp import web


class Endless(web.StreamResponse):
    """An answer whose body ends with the connection (RFC 9112 section 6.3), so that nothing stands between its parts."""

    _length_check = False  # as in aiohttp's own WebSocketResponse: neither Content-Length nor chunks
