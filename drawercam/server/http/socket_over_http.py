"""Sockets over plain HTTP, for browsers that refuse a WebSocket: the same frames, in the body of a
response one way, in POSTs the other.

    POST /over-http/player/porch     asks for what a WebSocket to /player/porch would be. The
                                     response's body is the relay's half of that WebSocket, from
                                     behind the handshake on; it ends where the connection does.
    POST /over-http/<id>?at=<n>      the other half from its n-th byte on, in pieces of any size.
                                     `id` is a header of the first response.

So a Stream is a Socket whose bytes come by another way; sessions, limits and deadlines are the
same. The place of each piece makes a POST that is sent again, because nobody knows whether it
arrived, harmless. All of it is by POST, because a browser then says by itself which site asks
(Origin).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import cast

from aiohttp import web
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Protocol, Side

from drawercam.server.sockets.camera import MAX_CAMERA_MESSAGE
from drawercam.server.sockets.control_text import MAX_OTHER_MESSAGE
from drawercam.server.sockets.liveness import SILENCE_DEADLINE
from drawercam.server.sockets.websocket import SUBPROTOCOL, Owner, Session, Socket
from groundwork.connections.aiohttp_insides import Endless, tell_end
from groundwork.deadlines import Deadline
from groundwork.denied import Denied

from .bodies import Bodies, more

PREFIX = "/over-http/"
"""Below it, every path is one of these; `Owner.route` says who may."""

STREAM_HEADER = "Drawercam-Stream"
"""In the response: the id under which the other half is sent."""

PROTOCOL_HEADER = "Drawercam-Protocol"
"""In the request: what would be Sec-WebSocket-Protocol, which scripts may not set."""

# Bytes of one POST's body. A piece ends anywhere, so larger messages come in several.
MAX_POST = 2**20

# POSTs of one stream at once: one under way, and those that it is sent again by.
MAX_POSTS = 4

# Random bytes of an id: beyond guessing.
_ID_BYTES = 16

# Bytes at the beginning for browsers that pass on nothing before they have 512 (Apple's
# URLSession): Pongs that nobody asked for, which mean nothing (RFC 6455 section 5.5.3).
_PADDING = Frame(Opcode.PONG, bytes(125)).serialize(mask=False, extensions=[]) * 5


class Stream(Socket):
    """A socket that writes into the body of an HTTP response, and is fed by POSTs.

    Attributes:
        gone: Set when the connection has ended, or its peer has.
        free: Set while what came is taken at once, and when it is gone.
        posts: How many are under way.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        http: asyncio.BaseProtocol,
        owner: Owner,
        session: Session,
    ) -> None:
        """
        Args:
            transport: The head of the response has been written to it.
            http: Its protocol so far; it is told when the connection ends.
            owner: Told when the socket begins and ends.
            session: What it is for.
        """
        self.gone, self.free = asyncio.Event(), asyncio.Event()
        self.free.set()
        self.posts = 0
        self._http = http
        self._taken = 0  # bytes of the peer's half so far
        limit = MAX_CAMERA_MESSAGE if session.films else MAX_OTHER_MESSAGE
        super().__init__(transport, Protocol(Side.SERVER, max_size=limit), owner)
        self._send(_PADDING)
        self._open(session)

    def data_received(self, data: bytes) -> None:
        """On this connection nothing is expected after the request."""

    def eof_received(self) -> bool:
        """The response is not read any more: what still comes by POSTs is thrown away."""
        self.gone.set()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        tell_end(self._http, exc)
        self.gone.set()
        self.free.set()

    def take(self, at: int, data: bytes) -> bool:
        """A piece of the peer's half. What has been there before is passed over.

        Args:
            at: The place of its first byte.
            data: The piece.

        Returns:
            False, and nothing was taken, if something is missing before it.
        """
        if at > self._taken:
            return False
        if fresh := data[self._taken - at :]:
            self._taken += len(fresh)
            super().data_received(fresh)
        return True

    def _read_on(self, on: bool) -> None:
        if on:
            self.free.set()
        else:
            self.free.clear()


class Streams:
    """The handlers of everything below PREFIX."""

    def __init__(self, owner: Callable[[asyncio.Transport], Owner], bodies: Bodies) -> None:
        self._owner = owner
        self._bodies = bodies
        self._streams: dict[str, Stream] = {}

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """Like a handshake; returns when the socket has ended."""
        transport = cast(asyncio.Transport, request.transport)
        if transport is None:
            raise ConnectionResetError
        if request.headers.get(PROTOCOL_HEADER) != SUBPROTOCOL:
            raise Denied(400, "bad-request", f"{PROTOCOL_HEADER} must be {SUBPROTOCOL}.")
        headers, owner = Headers(request.headers.items()), self._owner(transport)
        answer = owner.route(Request(request.raw_path.removeprefix(PREFIX[:-1]), headers))
        if isinstance(answer, Response):
            return web.Response(
                status=answer.status_code, body=answer.body, content_type="application/json"
            )
        name = secrets.token_urlsafe(_ID_BYTES)
        response = Endless(
            headers={"Content-Type": "application/octet-stream", STREAM_HEADER: name}
        )
        response.force_close()
        await response.prepare(request)
        if transport.is_closing():
            raise ConnectionResetError
        stream = Stream(transport, request.protocol, owner, answer)
        self._streams[name] = stream
        try:
            await stream.gone.wait()
        finally:
            del self._streams[name]
            stream.abort()
        return response

    async def send(self, request: web.Request) -> web.StreamResponse:
        """A piece of the other half, handed on as it comes in."""
        stream, at = (
            self._streams.get(request.match_info["id"]),
            _place(request.query.get("at", "")),
        )
        if stream is None:
            raise _ended()
        if at is None:
            raise Denied(400, "bad-request", "at must be a place in the stream.")
        if stream.posts >= MAX_POSTS:
            raise Denied(429, "too-many", "There are too many requests for this connection.")
        stream.posts += 1
        try:
            with self._bodies.place(request):
                return await _feed(stream, at, request)
        finally:
            stream.posts -= 1


async def _feed(stream: Stream, at: int, request: web.Request) -> web.StreamResponse:
    size = 0
    while not request.content.at_eof():
        try:
            async with Deadline(SILENCE_DEADLINE):
                data = await more(request.content)
        except TimeoutError:
            raise Denied(408, "too-slow", "The request does not go on.") from None
        except ConnectionError:
            raise Denied(400, "broken-off", "The request ended before its end.") from None
        size += len(data)
        if size > MAX_POST:
            raise Denied(413, "too-large", f"A request may have {MAX_POST} bytes.")
        if stream.gone.is_set():
            raise _ended()
        if not stream.take(at, data):
            raise Denied(409, "gap", "Something is missing before this.")
        at += len(data)
        if not stream.free.is_set():
            await stream.free.wait()
            if stream.gone.is_set():
                raise _ended()
    return web.Response(status=204)


def _ended() -> Denied:
    return Denied(404, "unknown-stream", "This connection has ended.")


def _place(text: str) -> int | None:
    # 15 digits are exact in JavaScript's numbers.
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None


def add_routes(
    app: web.Application, owner: Callable[[asyncio.Transport], Owner], bodies: Bodies | None = None
) -> None:
    """Let sockets over HTTP begin at the same paths as WebSockets do, below PREFIX.

    Args:
        app: The HTTP side.
        owner: Gives the owner of the socket that comes by a connection.
        bodies: Those that are on their way; its own if None.
    """
    streams = Streams(owner, bodies or Bodies())
    app.router.add_post(f"{PREFIX}{{path:.*/.*|wall}}", streams.begin)
    app.router.add_post(f"{PREFIX}{{id}}", streams.send)
