"""The server: listens, routes connections to rooms, keeps deadlines, stops in time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import time
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from aiohttp import web
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from ..access import Access, Denied, Role
from ..closing import Closing, Reason
from ..hub import NAME, NAME_RULE, Hub, HubFull
from .door import Door
from .http import Site, application
from .sessions import MAX_CAMERA_MESSAGE, MAX_OTHER_MESSAGE, CameraSession, PlayerSession, WallSession
from .socket import SUBPROTOCOL, Session, Socket

# Connections at once, HTTP ones not counted: file descriptors are 1024 on many systems.
MAX_SOCKETS = 900

# Connections whose first request is not complete yet.
MAX_DOORS = 200

# Bytes that may wait in all sockets together: 30 stalled viewers that have just been given the longest past. Beyond it there are no bursts,
# and those for whom most waits are cut off.
MAX_WAITING_IN_ALL = 256 * 2**20

# Seconds between two looks at the deadlines. One sweep serves all connections.
SWEEP_INTERVAL = 1.0

# Seconds of the whole stop: good-byes, then the rest is cut off.
GOODBYE_BUDGET = 1.0
HTTP_BUDGET = 0.5

# Seconds for a TLS handshake.
TLS_DEADLINE = 10.0

# Seconds that an idle HTTP connection is kept.
_KEEPALIVE = 30.0

_CAMERA_PATH = "/camera/"
_PLAYER_PATH = "/player/"
_WALL_PATH = "/wall"

log = logging.getLogger(__name__)


class Server:
    """One relay on one port."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._hub: Hub = site.hub
        self._access: Access = site.access
        self._runner = web.AppRunner(application(site), handle_signals=False, access_log=None, keepalive_timeout=_KEEPALIVE)
        self._listeners: list[asyncio.Server] = []
        self._doors: set[Door] = set()
        self._sockets: set[Socket] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()  # no sockets left, when stopping
        self._stopping = False

    # --- start and stop ---

    async def start(self, hosts: Sequence[str] | None, port: int, context: ssl.SSLContext | None) -> int:
        """Listen.

        Args:
            hosts: Addresses to listen on; None for all.
            port: 0 to let the system choose.
            context: For TLS, or None.

        Returns:
            The port.

        Raises:
            OSError: An address cannot be had.
        """
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        deadline = TLS_DEADLINE if context else None
        wanted: Sequence[str | None] = hosts or [None]
        for host in wanted:
            try:
                listener = await loop.create_server(
                    lambda: Door(self), host, port, ssl=context, ssl_handshake_timeout=deadline, backlog=512, reuse_address=True
                )
            except OSError:
                if not self._listeners or host != "::1":
                    raise
                continue  # a computer without IPv6 still has 127.0.0.1
            self._listeners.append(listener)
            port = port or listener.sockets[0].getsockname()[1]
        self._sweep()
        return port

    async def stop(self) -> None:
        """Say good-bye to everybody and stop, within GOODBYE_BUDGET and HTTP_BUDGET seconds."""
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for door in list(self._doors):
            door.abort()
        for socket in list(self._sockets):
            if socket.wait() > GOODBYE_BUDGET:
                socket.abort()  # it would not hear of it in time
            else:
                socket.end(Closing(Reason.RESTARTING))
        if self._sockets:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), GOODBYE_BUDGET)
        for socket in list(self._sockets):
            socket.abort()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._runner.cleanup(), HTTP_BUDGET)

    # --- connections ---

    now = staticmethod(time.monotonic)

    def door_opens(self, door: Door) -> bool:
        if self._stopping or len(self._doors) >= MAX_DOORS:
            return False
        self._doors.add(door)
        return True

    def door_closes(self, door: Door) -> None:
        self._doors.discard(door)

    def enter_http(self, transport: asyncio.Transport, head: bytes) -> None:
        """Hand a connection to aiohttp, as if it had accepted it."""
        assert self._runner.server is not None
        handler = self._runner.server()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(head)

    def enter_websocket(self, transport: asyncio.Transport, head: bytes) -> None:
        """Begin a WebSocket. How much it may send is known from its path."""
        camera = head.startswith(b"GET " + _CAMERA_PATH.encode())
        protocol = ServerProtocol(
            subprotocols=[SUBPROTOCOL],
            extensions=None,
            max_size=MAX_CAMERA_MESSAGE if camera else MAX_OTHER_MESSAGE,
        )
        Socket(transport, protocol, self).data_received(head)

    def socket_begins(self, socket: Socket) -> None:
        self._sockets.add(socket)

    def socket_ends(self, socket: Socket) -> None:
        self._sockets.discard(socket)
        if not self._sockets:
            self._empty.set()

    def has_room(self, size: int) -> bool:
        """Whether a burst of so many bytes may wait in one of the sockets."""
        return sum(socket.held for socket in self._sockets) + size <= MAX_WAITING_IN_ALL

    # --- routes ---

    def route(self, request: Request, peer: str) -> Session | Response:
        """Host, Origin, path, name, role; then a session. Closed by default."""
        try:
            return self._session(request)
        except Denied as denied:
            log.info("x %s is refused: %s", peer, denied)
            return _refusal(denied)

    def _session(self, request: Request) -> Session:
        host = _only(request.headers, "Host")
        self._access.check_host(host)
        self._access.check_origin(_only(request.headers, "Origin"), host)
        cookie = "; ".join(request.headers.get_all("Cookie"))
        address = urlsplit(request.path)
        path = unquote(address.path)
        if len(self._sockets) > MAX_SOCKETS:
            raise Denied(503, "too-many", "There are too many connections.")
        try:
            if path.startswith(_CAMERA_PATH):
                name = _name(path.removeprefix(_CAMERA_PATH))
                self._access.require(Role.CAMERA, cookie)
                return CameraSession(self._hub, name)
            if path.startswith(_PLAYER_PATH):
                name = _name(path.removeprefix(_PLAYER_PATH))
                self._access.require(Role.VIEWER, cookie)
                return PlayerSession(self._hub, name, rests="rest=1" in address.query.split("&"))
        except HubFull as full:
            raise Denied(503, "too-many", f"{str(full).capitalize()}.") from None
        if path == _WALL_PATH:
            self._access.require(Role.VIEWER, cookie)
            return WallSession(self._hub)
        raise Denied(404, "unknown-path", "There is nothing at this address.")

    # --- time ---

    def _sweep(self) -> None:
        now = self.now()
        for door in list(self._doors):
            door.sweep(now)
        for socket in list(self._sockets):
            socket.sweep(now)
        for socket in too_full(self._sockets, MAX_WAITING_IN_ALL):
            log.warning("x %s is cut off: too much waits for it and for others", socket.peer)
            socket.abort()
        self._hub.sweep()
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_INTERVAL, self._sweep)


def too_full(sockets: Iterable[Socket], limit: int) -> list[Socket]:
    """The sockets, as few as possible, without which no more than ``limit`` bytes wait in all."""
    fullest = sorted(((socket.held, socket) for socket in sockets), key=lambda one: -one[0])
    beyond = sum(held for held, _ in fullest) - limit
    found = []
    for held, socket in fullest:
        if beyond <= 0:
            break
        found.append(socket)
        beyond -= held
    return found


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise Denied(400, "bad-name", f"This is no name for a camera: {NAME_RULE}.")
    return text


def _only(headers: Headers, name: str) -> str | None:
    """A header that may stand once at most."""
    values = headers.get_all(name)
    if len(values) > 1:
        raise Denied(400, "bad-request", f"The request has more than one {name}.")
    return values[0] if values else None


def _refusal(denied: Denied) -> Response:
    body = json.dumps({"error": denied.id, "text": str(denied)}).encode()
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
    try:
        phrase = HTTPStatus(denied.status).phrase
    except ValueError:
        phrase = "Refused"
    return Response(denied.status, phrase, headers, body)
