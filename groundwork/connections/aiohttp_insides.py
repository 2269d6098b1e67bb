"""aiohttp from inside: the four ways in which the relay goes beyond its interface, and why.

Seen in aiohttp 3.14.5. No other file touches what begins with an underscore there, or leans on how
it works inside; each way names the test that fails when it has changed.

1. `enter`: a connection that aiohttp has not accepted. The listener takes all connections itself,
   for HTTP and for sockets, on one port and through TLS that waits for its turn; aiohttp cannot be
   given one. It takes `_loop` and `_kwargs` of `web.Server`, as `web.Server.__call__` does, and
   begins as an event loop would: `test_a_connection_is_entered_as_if_aiohttp_had_accepted_it`.
2. `_Handler`: what comes is taken apart in the turn of its address, a piece at a time, and no
   further than is wanted. By itself aiohttp takes apart at once all that it is given, and writes a
   traceback with what it could not read: cookies, for instance. It stands on `_messages`,
   `_upgraded`, `_parser`, `_reading_paused`, `_buffer_paused`, `_pause_transport_reading` and
   `_resume_transport_reading` of `RequestHandler`, and on `web_protocol.MAX_MSG_QUEUE_SIZE`:
   `test_what_the_handler_stands_on_is_there`, and the tests of requests that wait.
3. `Endless` and `tell_end`: an answer that ends with its connection, and is written by others. A
   viewer writes straight into its transport, because a task and chunks would cost for each frame
   and viewer. It takes `_length_check` of `StreamResponse`, and the handler's `connection_lost`:
   `test_an_answer_without_end_has_neither_length_nor_chunks`.
4. `send_continue`: `100 Continue` from within a handler. aiohttp says it before any middleware, and
   so before a key was seen. It takes `output_size` of the writer, as aiohttp's own does:
   `test_continue_is_no_beginning_of_an_answer`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import cast

from aiohttp import web, web_protocol
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest

from .answer_headers import NOT_KEPT
from .backlog import Backlog
from .scheduler import Share

LOG = logging.getLogger("groundwork.connections.aiohttp_insides")
"""For `aiohttp.web.AppRunner`: it says nothing.

What goes wrong in a handler is said by the application.
"""
LOG.setLevel(logging.CRITICAL)

# Requests of one connection that are taken apart before they are answered. With aiohttp's 32, five
# hundred connections that ask for one thing again and again cost 70 MB and 700 ms, in no turn of
# the address they come from (groundwork/connections/scheduler.py).
web_protocol.MAX_MSG_QUEUE_SIZE = 1

# Bytes that are taken apart at once: of a body in chunks of a byte (RFC 9112 section 7.1), each of
# which costs as much as a large one, they take 2 ms.
_PIECE = 8 * 2**10

_now = time.monotonic

_HEADERS = NOT_KEPT | {"X-Accel-Buffering": "no", "Server": "drawercam"}


class _Handler(RequestHandler):
    """One connection.

    What it brings is taken apart when it is the turn of its address, and no more of it than is
    wanted.
    """

    __slots__ = ("_backlog",)

    def __init__(self, server: web.Server, share: Share) -> None:
        super().__init__(server, loop=server._loop, **server._kwargs)
        self._backlog = Backlog(share)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol; without data, as aiohttp calls it, go on with what its parser has
        kept.
        """
        if not data:
            self._parse(data)
        elif self._backlog.may_take(data, self):
            self._take_apart(data)
        else:
            self._pause_transport_reading()

    def go_on(self) -> None:
        """See scheduler.Worker."""
        self._take_apart(self._backlog.take())
        if not self._backlog.rest and not self._is_full:
            self._resume_transport_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._backlog.rest = b""
        super().connection_lost(exc)

    def _take_apart(self, data: bytes) -> None:
        for end in range(_PIECE, len(data) + _PIECE, _PIECE):
            self._parse(data[end - _PIECE : end])
            if end < len(data) and self._is_full:
                self._backlog.rest = data[end:]  # until it is wanted, see _resume_transport_reading
                return
            if end < len(data) and not self._backlog.share.is_free:
                self._wait(data[end:])
                return

    def _parse(self, data: bytes) -> None:
        began = _now()
        super().data_received(data)
        if not (self._messages or self._is_full or self._upgraded or self._parser is None):
            # aiohttp counts a message when its body is complete, also if it has been taken from the
            # queue since; with its own limit of 32, too, what follows then stays in its parser
            # until more comes.
            self._parser.message_consumed()
            super().data_received(b"")
        self._backlog.share.spend(_now() - began)

    @property
    def _is_full(self) -> bool:
        """Nothing more is wanted for now."""
        return self._reading_paused or self._buffer_paused

    def _wait(self, data: bytes) -> None:
        self._backlog.wait(data, self)
        self._pause_transport_reading()

    def _resume_transport_reading(self) -> None:
        """See BaseProtocol: more is wanted."""
        backlog = self._backlog
        if backlog.rest and not backlog.waits:
            self._wait(backlog.rest)
        elif not backlog.waits:
            super()._resume_transport_reading()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """See RequestHandler. Its message quotes what was sent."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        name, sentence = (
            ("bad-request", "The request is not understood.")
            if status < 500
            else ("internal", "There is a fault here.")
        )
        response = web.json_response(
            {"error": name, "text": sentence}, status=status, headers=_HEADERS
        )
        response.force_close()
        return response


def protocol(server: web.Server, share: Share) -> RequestHandler:
    """What a connection is handed to, as if aiohttp had accepted it.

    Args:
        server: aiohttp's.
        share: What the address has of each turn of the event loop.
    """
    return _Handler(server, share)


def enter(
    server: web.Server, transport: asyncio.Transport, share: Share, head: bytes = b""
) -> None:
    """Hand a connection to aiohttp, as if it had accepted it.

    Args:
        server, share: See `protocol`.
        transport: Already connected.
        head: What has come by it.
    """
    handler = protocol(server, share)
    transport.set_protocol(handler)
    handler.connection_made(transport)
    if head:
        handler.data_received(head)


class Endless(web.StreamResponse):
    """An answer whose body ends with the connection (RFC 9112 section 6.3), so that nothing stands
    between its parts.
    """

    # As in aiohttp's own WebSocketResponse: neither Content-Length nor chunks.
    _length_check = False


def tell_end(http: asyncio.BaseProtocol, error: Exception | None) -> None:
    """Tell aiohttp that a connection has ended that was taken over from it.

    Args:
        http: What aiohttp had there: `request.protocol`.
        error: See asyncio.
    """
    cast(asyncio.Protocol, http).connection_lost(error)


async def send_continue(request: web.Request) -> None:
    """Have the client send its body, if it waits for that (RFC 9110 section 10.1.1)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer has not begun
