"""The server: listens, routes connections to rooms, keeps deadlines, stops in time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from functools import partial

from aiohttp import web
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from drawercam.live.counters import Histogram, Traffic
from drawercam.protocol.close_reasons import Closing, Reason
from drawercam.server.admission import routes
from drawercam.server.admission.key_watch import KeyWatch
from drawercam.server.connections.first_request import Door
from drawercam.server.http import metrics, socket_over_http
from drawercam.server.http.application import application
from drawercam.server.http.bodies import READ_AHEAD
from drawercam.server.http.cameras import live_file, publish, snapshots
from drawercam.server.http.cameras.publish import Publisher
from drawercam.server.http.headers import answer_headers
from drawercam.server.http.refusals import Refusals
from drawercam.server.http.site import Site
from drawercam.server.http.socket_over_http import Stream
from drawercam.server.http.to_https import ToHttps
from drawercam.server.sockets.camera import MAX_CAMERA_MESSAGE
from drawercam.server.sockets.control_text import MAX_OTHER_MESSAGE
from drawercam.server.sockets.guard import SocketGuard
from drawercam.server.sockets.websocket import SUBPROTOCOL, Session, Socket
from drawercam.snapshots.requests import Desks
from groundwork.connections import aiohttp_insides, limits
from groundwork.connections.limits import Capacity, Lobby, Places
from groundwork.connections.listener import Gate, Seat
from groundwork.connections.scheduler import Scheduler
from groundwork.deadlines import STEP, ServedTime
from groundwork.denied import Denied

from . import free_memory
from .lines import MAX_WAITING_IN_ALL, Lines

# Seconds between two looks at the deadlines. One sweep serves all connections.
SWEEP_INTERVAL = STEP

# Connections that have come or gone, after which memory is given back to the system, as soon as
# nobody comes for a second.
TRIM_AFTER = 16

# Seconds between two looks for old memory that nobody needs; that which is young is found at once.
COLLECT_INTERVAL = 60.0

# Seconds of the whole stop: good-byes, and the ends of requests; then the rest is cut off.
GOODBYE_BUDGET = 1.0

# Seconds that an idle HTTP connection is kept.
_KEEPALIVE = 30.0

# Seconds for which what is still sent in a request that was answered is thrown away, so that its
# sender can read the answer: a camera that was taken over, for instance.
_LINGERING = 3.0

log = logging.getLogger(__name__)


class Server:
    """One relay on one port.

    Attributes:
        hall: Who has come in, by which connection.
        lines: Those of them that frames are written to.
        capacity: How much of everything there may be; known when it has started.
    """

    def __init__(self, site: Site) -> None:
        self._hub, self._entrance = site.hub, site.entrance
        self.refusals = Refusals(partial(answer_headers, site.registry))
        self.guard = SocketGuard(
            self._entrance, self._hub, self.refusals.of_handshake, self.now, site.version or None
        )
        self._to_https = ToHttps(self._entrance, self.refusals)
        self.scheduler = Scheduler(lambda work: asyncio.get_running_loop().call_soon(work))
        app = application(site, self.refusals, self.scheduler.share)
        self._bodies = site.bodies
        socket_over_http.add_routes(
            app, lambda transport: _SocketOwner(self, transport), self._bodies
        )
        self._desks = Desks(self._hub)
        snapshots.add_routes(app, self._desks)
        self.served = ServedTime(self.now)
        self.lines = Lines(self.now, self.served)
        live_file.add_routes(app, self._hub, self.lines)
        publish.add_routes(app, self._hub, self._bodies, self.scheduler.share)
        metrics.add_routes(app, self._hub, self._traffic, MAX_WAITING_IN_ALL)
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            access_log=None,
            logger=aiohttp_insides.LOG,
            keepalive_timeout=_KEEPALIVE,
            lingering_time=_LINGERING,
            read_bufsize=READ_AHEAD,
            # Nobody packs what is sent here, and a few bytes could become much.
            auto_decompress=False,
        )
        self.hall = self._entrance.hall
        self.connected = self._entrance.connected
        self.capacity = Capacity()
        self._gate: Gate | None = None
        self._doors: set[Door] = set()
        self._keys = KeyWatch(site.entrance.access, self._entrance.book)
        self._lag = Histogram()
        self._seen = self._trimmed = (
            0,
            0,
            # Connections that have come, and lines that are open: at the last sweep, at the last
            # trim.
        )
        self._sweep_due = 0.0
        self._collected = self.now()
        self._sweeper: asyncio.TimerHandle | None = None
        self._stopping = False

    # --- start and stop ---

    async def start(
        self, hosts: Sequence[str] | None, port: int, context: Callable[[], ssl.SSLContext] | None
    ) -> int:
        """Listen.

        Args:
            hosts: Addresses to listen on; None for all.
            port: 0 to let the system choose.
            context: Gives that for TLS, as it is now; None without TLS.

        Returns:
            The port.

        Raises:
            OSError: An address cannot be had.
        """
        await self._runner.setup()
        capacity = self.capacity = Capacity.within(limits.make_room(Capacity().files))
        self._entrance.book.sockets = Places(capacity.sockets, capacity.sockets_of_one)
        self._desks.most = capacity.decoders
        proxies = self._entrance.proxies
        self.hall.lobby = Lobby(capacity.connections, capacity.pages_of_one, proxies)
        spare = Lobby(capacity.turned_away, proxies=proxies)
        self._gate = Gate(
            self.hall.lobby,
            context,
            lambda seat: Door(_Rooms(self, seat)),
            spare,
            proxies,
            self._to_https.answer,
        )
        port = await self._gate.open(hosts, port)
        self._sweep_later()
        self._keys.start()
        return port

    async def stop(self) -> None:
        """Say good-bye to everybody and stop, within GOODBYE_BUDGET seconds."""
        self._stopping = self._entrance.book.closed = True
        if self._gate is not None:
            self._gate.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._keys.stop()
        for door in list(self._doors):
            door.abort()
        for reader in list(self.lines.readers):
            reader.end()
        for channel in self._hub.channels:
            if isinstance(channel.camera, Publisher):
                channel.camera.end(Closing(Reason.RESTARTING))
        for socket in list(self.lines.sockets):
            if socket.wait() > GOODBYE_BUDGET:
                socket.abort()  # it would not hear of it in time
            else:
                socket.end(Closing(Reason.RESTARTING))
        http = self._runner.server
        transports = [one.transport for one in http.connections] if http is not None else []
        if not self.lines.sockets:
            self.lines.empty.set()
        # Side by side: sockets wait for their peers' good-byes, requests for their ends.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_BUDGET):
                await asyncio.gather(self.lines.empty.wait(), self._runner.cleanup())
        for line in self.lines.all():
            line.abort()
        for transport in transports:
            if transport is not None:
                # Who waits for the end of a body, or for TLS's good-bye, would outlive the loop.
                transport.abort()
        await asyncio.sleep(0)

    # --- connections ---

    now = staticmethod(time.monotonic)

    def door_opens(self, door: Door) -> bool:
        if self._stopping:
            return False
        self._doors.add(door)
        return True

    def door_closes(self, door: Door) -> None:
        self._doors.discard(door)

    def turn_away(self, transport: asyncio.Transport) -> None:
        """Tell a connection that there is no room for it."""
        denied = Denied(503, "too-many", "There are too many connections.")
        transport.write(
            self.refusals.of_handshake(denied, self._entrance.connected(transport)).serialize()
        )
        transport.close()

    def enter_http(self, transport: asyncio.Transport, head: bytes) -> None:
        """See first_request.Rooms."""
        assert self._runner.server is not None
        share = self.scheduler.share(self._entrance.connected(transport).address)
        aiohttp_insides.enter(self._runner.server, transport, share, head)

    def enter_websocket(self, transport: asyncio.Transport, head: bytes, rest: bytes) -> None:
        """Begin a WebSocket. How much it may send is known from its path."""
        camera = head.startswith(b"GET " + routes.CAMERA.path.partition("{")[0].encode())
        protocol = ServerProtocol(
            subprotocols=[SUBPROTOCOL],
            extensions=None,
            max_size=MAX_CAMERA_MESSAGE if camera else MAX_OTHER_MESSAGE,
        )
        Socket(transport, protocol, _SocketOwner(self, transport)).begin(head, rest)

    # --- what others may know ---

    def _traffic(self) -> Traffic:
        http, over_http = (
            self._runner.server,
            sum(isinstance(socket, Stream) for socket in self.lines.sockets),
        )
        return Traffic(
            loop=type(asyncio.get_running_loop()).__module__.partition(".")[0],
            doors=len(self._doors),
            http=len(http.connections) if http is not None else 0,
            websockets=len(self.lines.sockets) - over_http,
            streams=over_http,
            readers=len(self.lines.readers),
            decoders=self._desks.decoders,
            decoded=self._desks.decoded,
            connections=self._arrived,
            sockets=self.lines.begun,
            requests=http.requests_count if http is not None else 0,
            messages=self._entrance.book.messages,
            written=self.lines.written,
            waiting=self.lines.waiting,
            refusals=dict(self.refusals.counted),
            wrong_keys=self._entrance.wrong_keys.count,
            room=self.capacity.connections,
            loop_lag=self._lag.copy(),
        )

    @property
    def _arrived(self) -> int:
        """Connections that have come so far."""
        return self._gate.arrived if self._gate is not None else 0

    # --- time ---

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep_due = loop.time() + SWEEP_INTERVAL
        self._sweeper = loop.call_later(SWEEP_INTERVAL, self._sweep)

    def _sweep(self) -> None:
        now = self.now()
        self._lag.add(round((now - self._sweep_due) * 1e6))
        if self.served.look():
            self._keep_deadlines(self.served())
        lines = self.lines.look()
        self._hub.sweep()
        self._give_back(lines)
        if now - self._collected >= COLLECT_INTERVAL:
            self._collected = now
            free_memory.collect()
        self._sweep_later()

    def _keep_deadlines(self, now: float) -> None:
        for door in list(self._doors):
            door.sweep(now)
        self.lines.sweep(now)

    def _give_back(self, lines: int) -> None:
        """Where many have come or gone, and it is calm now, what their handshakes needed goes back
        to the system.
        """
        calm, self._seen = self._arrived == self._seen[0], (self._arrived, lines)
        if (
            calm
            and max(abs(now - then) for now, then in zip(self._seen, self._trimmed, strict=True))
            >= TRIM_AFTER
        ):
            self._trimmed = self._seen
            free_memory.trim()


class _Rooms:
    """The server as one door sees it: it knows whose connection it is. See first_request.Rooms."""

    def __init__(self, server: Server, seat: Seat) -> None:
        self._server = server
        self._seat = seat
        self.served = server.served
        self.door_opens = server.door_opens
        self.door_closes = server.door_closes

    def enter_http(self, transport: asyncio.Transport, head: bytes) -> None:
        self._enter(transport, lambda: self._server.enter_http(transport, head))

    def enter_websocket(self, transport: asyncio.Transport, head: bytes, rest: bytes) -> None:
        self._enter(transport, lambda: self._server.enter_websocket(transport, head, rest))

    def _enter(self, transport: asyncio.Transport, go: Callable[[], None]) -> None:
        if self._seat.turned_away:
            self._server.turn_away(transport)
        else:
            self._server.hall.sit(transport, self._seat)
            go()


class _SocketOwner:
    """The server as one socket sees it that came by TCP. See websocket.Owner."""

    def __init__(self, server: Server, transport: asyncio.Transport) -> None:
        self._server = server
        self._transport = transport
        self.client = server.connected(transport)
        self.now = server.now
        self.has_room = server.lines.has_room
        self.share = server.scheduler.share
        self.served = server.served
        self.socket_begins = server.lines.socket_begins
        self.socket_ends = server.lines.socket_ends

    def route(self, request: Request) -> Session | Response:
        self.client, answer = self._server.guard.route(request, self._transport)
        if not isinstance(answer, Response):
            self._server.hall.let_in(self._transport)
        return answer

    def unfit(self, status: int) -> Response:
        return self._server.guard.unfit(status, self.client)
