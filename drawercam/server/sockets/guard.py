"""Answers handshakes: with the session that a path is for, or with a refusal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from websockets.http11 import Request, Response

from drawercam.live.hub import Hub, HubFull
from drawercam.live.plays import Plays
from drawercam.protocol.close_reasons import Reason
from drawercam.server.admission import routes
from drawercam.server.admission.entrance import Entrance
from drawercam.server.admission.reverse_proxies import Client
from drawercam.server.admission.routes import Route
from drawercam.server.admission.visitors import Admission
from groundwork.denied import SENTENCES, Denied

from .visits import CameraVisit, Lists, PlayerVisit, WallVisit
from .websocket import SUBPROTOCOL, Session

# What is said to a request that asks for a WebSocket but is no handshake (RFC 6455 section 4.2).
_UNFIT = {
    400: f"This is no handshake for a WebSocket of version 13 with the subprotocol {SUBPROTOCOL}.",
    405: "A WebSocket begins with GET.",
    426: "This address is for WebSockets only.",
}

log = logging.getLogger(__name__)

Refuse = Callable[[Denied, Client], Response]
"""Makes the answer to a handshake that is refused."""


class SocketGuard:
    """Where every handshake passes."""

    def __init__(
        self,
        entrance: Entrance,
        hub: Hub,
        refuse: Refuse,
        clock: Callable[[], float],
        version: str | None = None,
    ) -> None:
        """
        Args:
            entrance: Says who is let in.
            hub: The cameras.
            refuse: See `Refuse`.
            clock: Monotonic seconds, for the pace of messages.
            version: That of the relay's pages, which each session is told.
        """
        self._entrance = entrance
        self._hub = hub
        self._refuse = refuse
        self._clock = clock
        self._version = version
        self._lists = Lists()

    def route(
        self, request: Request, transport: asyncio.BaseTransport | None = None
    ) -> tuple[Client, Session | Response]:
        """Find out which client asks, and answer it with a session or a refusal.

        Args:
            request: A handshake, or a request for what a handshake would be.
            transport: By which it came.
        """
        client = self._entrance.connected(transport)
        try:
            asked = self._entrance.ask(
                transport, request.headers.raw_items(), request.headers.get_all
            )
            client = asked.client
            route, admission = self._entrance.handshake(asked, request.path)
            return client, self._session(route, urlsplit(request.path).query, admission)
        except Denied as denied:
            log.info(f"x %s is refused ({denied.id}): %s", client.peer, denied)
            return client, self._refuse(denied, client)
        except Exception:
            log.exception("x %s: a fault in the relay", client.peer)
            return client, self._refuse(
                Denied(500, Reason.INTERNAL.id, Reason.INTERNAL.sentence), client
            )

    def unfit(self, status: int, client: Client) -> Response:
        """See websocket.Owner."""
        phrase = HTTPStatus(status).phrase
        sentence = _UNFIT.get(status, SENTENCES.get(status, f"{phrase}."))
        return self._refuse(Denied(status, phrase.lower().replace(" ", "-"), sentence), client)

    def _session(self, route: Route, query: str, admission: Admission) -> Session:
        """
        Raises:
            Denied: 503, there are too many cameras.
        """
        visit: CameraVisit | PlayerVisit | WallVisit
        try:
            if route is routes.CAMERA:
                visit = CameraVisit(self._hub, admission.name, self._version)
            elif route is routes.PLAYER:
                asked = dict(parse_qsl(query, keep_blank_values=True))
                plays = Plays.of(asked["plays"].split(",")) if "plays" in asked else None
                rests = asked.get("rest") == "1"
                visit = PlayerVisit(
                    self._hub, admission.name, admission.address, rests, plays, self._version
                )
            elif route is routes.WALL:
                visit = WallVisit(self._hub, self._lists, self._version)
            else:
                raise Denied(404, "unknown-path", SENTENCES[404])
        except HubFull as full:
            raise Denied(503, "too-many", str(full)) from None
        visit.admit(admission, self._entrance.book, self._clock)
        return visit
