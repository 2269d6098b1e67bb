"""The entrance: what is let in is decided here for requests over HTTP and for handshakes of
WebSockets alike, and nowhere else.

No sockets: headers in, an `Admission` out. Closed by default: what has no row in routes.py is
refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from drawercam.access.grants import Access, Grant, Right
from drawercam.server.connections.hall import Hall
from groundwork.connections.limits import WrongKeys
from groundwork.connections.own_address import own_address
from groundwork.denied import SENTENCES, Denied

from . import routes
from .key_check import KeyCheck
from .reverse_proxies import Client, Proxies
from .routes import Route
from .visitors import Admission, Book, RequestVisit

CHALLENGE = 'Basic realm="drawercam"'
"""How a program is asked for its key (RFC 9110 section 11.6.1).

Many show the one they have only then, ffmpeg for instance.
"""

TICKET_HEADER = "Drawercam-Ticket"
"""In a request of a page that came from the relay's former address: its ticket, which a socket has
among its subprotocols.
"""

# A socket's subprotocol besides its own, in which a page from the relay's earlier address brings
# its ticket. Scripts cannot send headers.
_TICKET_PROTOCOL = "drawercam-ticket."

# Methods that change nothing (RFC 9110 section 9.2.1).
_SAFE = ("GET", "HEAD", "OPTIONS")

Find = Callable[[], tuple[Route, Mapping[str, str]]]
"""Gives a row of the table, and the parts of the path by their names.

May raise what is to be answered where there is no row.
"""


@dataclass(slots=True)
class Asked:
    """A request or a handshake, as far as it decides whether it is answered.

    Attributes:
        client: The peer, and the host for which it asks.
        arrived_at: The relay's own address at which its connection was made; None where that is not
            known.
        values: Gives all values of a header, in their order; names are the same in capitals.
        denied: It may not be answered, whatever it is about.
        by_ticket: It has shown a good ticket, so its page is of another origin. Known when it was
            let in, or refused.
    """

    client: Client
    arrived_at: str | None
    values: Callable[[str], Sequence[str]]
    denied: Denied | None = None
    by_ticket: bool = False

    def first(self, name: str) -> str | None:
        """The first value of a header."""
        return next(iter(self.values(name)), None)

    def only(self, name: str) -> str | None:
        """The value of a header that may stand once at most.

        Raises:
            Denied: 400, there are several.
        """
        if len(self.values(name)) > 1:
            raise Denied(400, "bad-request", f"The request has more than one {name}.")
        return self.first(name)

    @property
    def cookies(self) -> str:
        return "; ".join(self.values("Cookie"))


class Entrance:
    """The way in for everybody: Host, Origin, route, right, room.

    Attributes:
        access: What keys allow, which hosts and origins are the relay's own.
        tls: The relay speaks https.
        proxies: Those that hand requests on.
        book: The visits that are in.
        hall: Their connections.
        wrong_keys: Slows down addresses that guess.
        keys: Looks keys up; None where the relay runs without them.
    """

    def __init__(self, access: Access, tls: bool = False, proxies: Proxies | None = None) -> None:
        self.access = access
        self.tls = tls
        self.proxies = Proxies() if proxies is None else proxies
        self.book = Book()
        self.hall = Hall()
        self.wrong_keys = WrongKeys(time.monotonic)
        self.keys = None if access.ring is None else KeyCheck(access.ring, self.wrong_keys)

    def connected(self, transport: asyncio.BaseTransport | None) -> Client:
        """The peer at the other end of a connection, which may ask for another one."""
        name = transport.get_extra_info("peername") if transport is not None else None
        return Client.connected(name, self.tls)

    def ask(
        self,
        transport: asyncio.BaseTransport | None,
        headers: Iterable[tuple[str, str]],
        values: Callable[[str], Sequence[str]],
    ) -> Asked:
        """Find out which client asks. The connection counts for its address from now on.

        Args:
            transport: By which connection.
            headers: Of the request: all names and values, in their order.
            values: See `Asked`.
        """
        asked = Asked(self.connected(transport), own_address(transport), values)
        try:
            asked.client = self.proxies.client(asked.client, asked.arrived_at, headers)
            if not self.hall.belongs(transport, asked.client.address):
                raise Denied(503, "too-many", "There are too many connections from this address.")
        except Denied as denied:
            asked.client, asked.denied = self.connected(transport), denied
        return asked

    def request(self, asked: Asked, method: str, find: Find) -> Admission:
        """Let a request over HTTP in.

        Args:
            method: Its method.
            find: See `Find`. It is not asked before Host and Origin are right.

        Raises:
            Denied: It is refused.
        """
        if asked.denied is not None:
            raise asked.denied
        self.book.check_open()
        client, access = asked.client, self.access
        access.check_host(client.host, asked.arrived_at)
        if method not in _SAFE:
            access.check_origin(asked.first("Origin"), client.host, client.https)
        route, parts = find()
        grant = access.grant(asked.cookies)
        if route.tickets and (
            by_ticket := access.grant_of_ticket(asked.first(TICKET_HEADER) or "")
        ):
            asked.by_ticket = True
            return _admission(
                route, parts, by_ticket, client
            )  # and no more than that: its page is of another origin
        if not route.programs:
            return _admission(route, parts, grant, client)
        access.check_site(asked.values("Sec-Fetch-Site"))
        try:
            if self.keys is not None:
                grant = self.keys.with_shown(
                    grant, asked.first("Authorization") or "", client.address
                )
            return _admission(route, parts, grant, client)
        except Denied as denied:
            if denied.status == 401:
                denied.headers["WWW-Authenticate"] = CHALLENGE
            raise

    def handshake(self, asked: Asked, target: str) -> tuple[Route, Admission]:
        """Let a socket in, if there is room for it.

        Args:
            target: The path, perhaps with a query.

        Returns:
            What it is for.

        Raises:
            Denied: It is refused.
        """
        if asked.denied is not None:
            raise asked.denied
        grant = self._grant_of_socket(asked)
        try:
            path = urlsplit(target).path
        except ValueError:
            raise Denied(400, "bad-request", SENTENCES[400]) from None
        route, name = routes.socket_route(path)
        admission = _admission(route, {"name": name}, grant, asked.client)
        self.book.check_room(admission)
        return route, admission

    def _grant_of_socket(self, asked: Asked) -> Grant:
        """What its cookie allows, if a page of this very address asks, and what its ticket
        allows.
        """
        origin, client, access = asked.only("Origin"), asked.client, self.access
        access.check_host(client.host, asked.arrived_at)
        by_ticket = access.grant_of_ticket(_ticket(asked.values("Sec-WebSocket-Protocol")))
        try:
            access.check_origin(origin, client.host, client.https)
        except Denied:
            if by_ticket is None:
                raise
            return by_ticket
        by_cookie = access.grant(asked.cookies)
        return (
            by_cookie
            if by_ticket is None
            else Grant.of(dict.fromkeys((*by_cookie.keys, *by_ticket.keys)))
        )

    @contextlib.contextmanager
    def answering(
        self, admission: Admission, transport: asyncio.BaseTransport | None
    ) -> Iterator[None]:
        """For as long as a request is answered, it stands in the book.

        Raises:
            Denied: 503, there is no room for one more.
        """
        visit = RequestVisit(admission, transport)
        if visit.counts:
            self.book.check_room(admission)
            self.hall.let_in(transport)
        self.book.enter(visit)
        try:
            yield
        finally:
            self.book.leave(visit)


def _admission(route: Route, parts: Mapping[str, str], grant: Grant, client: Client) -> Admission:
    """
    Raises:
        Denied: 400, the path names no camera; 401 or 403, the grant does not allow this.
    """
    if route.right is Right.AS_SOCKET:
        behind, name = routes.socket_route("/" + parts["path"])
        grant.require(behind.right, name)
        return Admission(grant, route.right, address=client.address)
    name = routes.camera_name(parts["name"]) if route.names_camera else ""
    grant.require(route.right, name)
    return Admission(grant, route.right, name, client.address)


def _ticket(offered: Sequence[str]) -> str:
    """The ticket among the subprotocols that are offered, or ""."""
    tokens = (token.strip() for token in ",".join(offered).split(","))
    return next(
        (
            token.removeprefix(_TICKET_PROTOCOL)
            for token in tokens
            if token.startswith(_TICKET_PROTOCOL)
        ),
        "",
    )
