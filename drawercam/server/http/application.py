"""Everything that is not a WebSocket: pages, the small API, the certificate authority's download."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import segno
from aiohttp import web

from drawercam.access import keys
from drawercam.access.grants import COOKIE_AGE, Access, Grant, Right, keys_unread
from drawercam.access.keys import NOTHING, Key, Keyring, KeysError, Scope
from drawercam.live.channel import NotTurned
from drawercam.live.hub import Hub
from drawercam.protocol import messages as control
from drawercam.server.admission import routes
from drawercam.server.admission.reverse_proxies import Client, Proxies
from drawercam.server.connections.hall import Hall
from drawercam.server.sockets.visits import Admission, Book, RequestVisit
from groundwork.connections.limits import WrongKeys
from groundwork.connections.scheduler import Share
from groundwork.denied import Denied
from ip_registry.registry import Registry
from ip_registry.routes import add_routes as add_registry

from . import error_page
from .bodies import Bodies, sent, whole

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Bytes of a POST body: a key with MAX_NAMES names has 2 KiB.
_MAX_BODY = 4096

# Seconds for which a browser need not ask again whether it may show its ticket at an address: Chromium remembers it no longer.
_WELCOME_AGE = 7200

# Seconds between two looks into the folder of modules for one that is missing: files are replaced while the relay runs.
LOOK_INTERVAL = 1.0

# QR codes that are kept, of 20 kB: one for each key that is in use.
_MOST_CODES = 64

# Hexadecimal digits of a file's contents by which a browser knows whether it has them.
_TAG = 32

# What a browser is told of a file. The system's own table may know other types, and a module of another type does not run.
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

# Characters of a key in a request; the relay's have 19.
_LONGEST_KEY = 200

HEADERS = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would collect a stream before it hands it on
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with "no-referrer" Chrome 64 (79 does not) says `Origin: null` in POSTs of our own pages
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(self), microphone=(self), fullscreen=(self), screen-wake-lock=(self), autoplay=(self), "
        "display-capture=(), geolocation=(), payment=(), usb=(), serial=(), bluetooth=(), hid=(), midi=()"
    ),
}
"""Of every answer, also those that refuse. Not among them is Strict-Transport-Security: see docs/security.md."""

TICKET_HEADER = "Drawercam-Ticket"
"""In a request of a page that came from the relay's former address: its ticket, which a socket has among its subprotocols."""

TIME_HEADER = "Drawercam-Time"
"""In a response with a picture, and in the head of each part: when it was captured, in µs of the relay's clock."""

CHALLENGE = 'Basic realm="drawercam"'
"""How a program is asked for its key (RFC 9110 section 11.6.1). Many show the one they have only then, ffmpeg for instance."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Site:
    """What the HTTP side needs to know.

    Attributes:
        hub: The cameras.
        access: Who may do what.
        root: The folder with the pages and ``web/``.
        tls: The relay speaks https.
        authority: Gives the certificate authority in PEM; empty where there is none to trust.
        camera_urls, player_urls: Give the addresses of the pages that a phone on the LAN can reach, the likeliest first; without key.
        trust_url: Gives the address of the page on which phones learn to trust the authority, or "".
        reach: Says from where it can be reached (`banner.Reach`), so that a page does not advise what would not help.
        registry: Where pages ask for this relay when they have lost it; "" for nowhere.
        served_registry: The registry that this relay is itself, if it is one.
        relay: What this relay is called there.
        book: Who is in.
        bodies: What is on its way to it.
        hall: By which connection.
        wrong_keys: Slows down who guesses.
        refusals: How often something was refused, by the id in the answer.
        proxies: Those that hand requests on.
    """

    hub: Hub
    access: Access
    root: Path
    tls: bool
    authority: Callable[[], bytes]
    camera_urls: Callable[[], Sequence[str]]
    player_urls: Callable[[], Sequence[str]]
    trust_url: Callable[[], str] = lambda: ""
    reach: Callable[[], str] = lambda: "network"
    registry: str = ""
    served_registry: Registry | None = None
    relay: str = ""
    book: Book = field(default_factory=Book)
    bodies: Bodies = field(default_factory=Bodies)
    hall: Hall = field(default_factory=Hall)
    wrong_keys: WrongKeys = field(default_factory=lambda: WrongKeys(time.monotonic))
    refusals: Counter[str] = field(default_factory=Counter)
    proxies: Proxies = field(default_factory=Proxies)

    def connected(self, transport: asyncio.BaseTransport | None) -> Client:
        """Who is at the other end of a connection."""
        return Client.connected(transport.get_extra_info("peername") if transport is not None else None, self.tls)

    def client(self, transport: asyncio.BaseTransport | None, headers: Iterable[tuple[str, str]]) -> Client:
        """Who asks, by a request with these headers. The connection counts for that address from now on.

        Raises:
            Denied: See `Proxies.client`; 503, there is no room for one more connection of this address.
        """
        client = self.proxies.client(self.connected(transport), own_address(transport), headers)
        if not self.hall.belongs(transport, client.address):
            raise Denied(503, "too-many", "There are too many connections from this address.")
        return client


class Endless(web.StreamResponse):
    """An answer whose body ends with the connection (RFC 9112 section 6.3), so that nothing stands between its parts."""

    _length_check = False  # as in aiohttp's own WebSocketResponse: neither Content-Length nor chunks


def application(site: Site, share: Callable[[str], Share]) -> web.Application:
    """The HTTP side of a relay. Whatever is added to it needs a row in admission/routes.py, or it answers 404.

    Args:
        site: What it serves.
        share: What an address has of each turn of the event loop.
    """
    app = web.Application(middlewares=[_guard(site, share)], client_max_size=_MAX_BODY)
    app.on_response_prepare.append(_header_writer(site))
    api = _Api(site)
    handlers: Mapping[routes.Route, Handler] = {
        routes.HOME: api.home,
        routes.CAMERA_PAGE: _page(site.root / "camera.html"),
        routes.PLAYER_PAGE: _page(site.root / "player.html"),
        routes.KEYS_PAGE: _page(site.root / "web" / "keys" / "keys.html"),
        routes.MODULES: _Modules(site.root / "web").get,
        routes.HEALTH: api.healthz,
        routes.AUTHORITY: api.certificate,
        routes.SESSION: api.session,
        routes.USE_KEY: api.use_key,
        routes.CAMERAS: api.cameras,
        routes.ORIENT: api.orient,
        routes.ON_AIR: api.on_air,
        routes.INVITE: api.invite,
        routes.INVITE_CODE: api.invite_code,
        routes.KEYS: api.keys,
        routes.ADD_KEY: api.add_key,
        routes.REVOKE_KEY: api.revoke_key,
        routes.TICKET_WELCOME: api.welcome_ticket,
    }
    for route, handler in handlers.items():
        if route.method == "GET":
            app.router.add_get(route.path, handler)  # and HEAD
        else:
            app.router.add_route(route.method, route.path, handler)
    if site.served_registry is not None:
        add_registry(app, site.served_registry)
    return app


_ROWS = {(route.method, route.canonical): route for route in routes.REQUESTS}


def _guard(site: Site, share: Callable[[str], Share]) -> Any:
    access = site.access

    def refuse(request: web.Request, denied: Denied) -> web.Response:
        site.refusals[denied.id] += 1
        return refusal(denied, request)

    def refuse_logged(request: web.Request, denied: Denied) -> web.Response:
        log.debug(f"x %s is refused ({denied.id}): %s", request[_CLIENT].peer, denied)
        return refuse(request, denied)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request passes here."""
        request, denied = _identified(site, request)
        await share(request.remote or "").turn()
        response = await answer(request, handler) if denied is None else refuse_logged(request, denied)
        # A proxy would ask for the next socket on a connection that it has kept, and a socket needs one of its own.
        if denied is not None or client_of(request).handed_on or not site.hall.come_back(request.transport):
            response.force_close()
        if not response.prepared:
            await sent(request, response)
        return response

    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Host, Origin where something may change, route, right, handler; errors become JSON."""
        try:
            site.book.check_open()
            client = request[_CLIENT]
            access.check_host(client.host, own_address(request.transport))
            if request.method not in ("GET", "HEAD", "OPTIONS"):  # these change nothing (RFC 9110 section 9.2.1)
                access.check_origin(request.headers.get("Origin"), client.host, client.https)
            admission = _admission(site, request)
            if request.headers.get("Upgrade", "").lower() == "websocket":
                raise Denied(426, "new-connection", "A WebSocket needs a connection of its own.")
            request["grant"] = admission.grant
            if admission.grant.keys:
                site.hall.show(request.transport)
            if admission.right is Right.AS_SOCKET:
                return await handler(request)  # its socket stands in the book by itself
            visit = RequestVisit(admission, request.transport)
            if visit.counts:
                site.book.check_room(admission)
                site.hall.let_in(request.transport)
            site.book.enter(visit)
            try:
                return await handler(request)
            finally:
                site.book.leave(visit)
        except Denied as denied:
            return refuse_logged(request, denied)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            sentence = SENTENCES.get(error.status, f"{error.reason}.")
            return refuse(request, Denied(error.status, error.reason.lower().replace(" ", "-"), sentence))
        except ConnectionError:
            raise  # the peer has gone
        except Exception:
            log.exception("x %s: a fault in the relay", request.remote)
            return refuse(request, Denied(500, "internal", "The relay has a fault; its log says more."))

    return guard


def _identified(site: Site, request: web.Request) -> tuple[web.Request, Denied | None]:
    """The request with who asks, also as its `remote`; and why it may not be answered."""
    denied = None
    try:
        client = site.client(request.transport, request.headers.items())
    except Denied as error:
        client, denied = site.connected(request.transport), error
    request[_CLIENT] = client
    return (request if client.address == request.remote else request.clone(remote=client.address)), denied


def _admission(site: Site, request: web.Request) -> Admission:
    """The one place where requests over HTTP get their right.

    Raises:
        Denied: There is no such route, or no such right.
        web.HTTPException: As aiohttp's router says, for a path or a method that it does not know.
    """
    found = request.match_info
    if found.http_exception is not None:
        raise found.http_exception
    resource = found.route.resource
    row = _ROWS.get(("GET" if request.method == "HEAD" else request.method, resource.canonical if resource else ""))
    if row is None:
        raise Denied(404, "unknown-path", SENTENCES[404])
    grant = site.access.grant(_cookies(request))
    if row.tickets and (by_ticket := site.access.grant_of_ticket(request.headers.get(TICKET_HEADER, ""))):
        request[_BY_TICKET] = True
        return _admitted(row, by_ticket, request)  # and no more than that: its page is of another origin
    if not row.programs:
        return _admitted(row, grant, request)
    site.access.check_site(request.headers.getall("Sec-Fetch-Site", ()))
    try:
        return _admitted(row, _with_key(site, request, grant), request)
    except Denied as denied:
        if denied.status == 401:
            denied.headers["WWW-Authenticate"] = CHALLENGE
        raise


def _cookies(request: web.Request) -> str:
    return "; ".join(request.headers.getall("Cookie", ()))


def _admitted(row: routes.Route, grant: Grant, request: web.Request) -> Admission:
    """
    Raises:
        Denied: 400, the path names no camera; 401 or 403, the grant does not allow this.
    """
    if row.right is Right.AS_SOCKET:
        behind, name = routes.socket_route("/" + request.match_info["path"])
        grant.require(behind.right, name)
        return Admission(grant, row.right, address=request.remote or "")
    name = routes.camera_name(request.match_info["name"]) if row.names_camera else ""
    grant.require(row.right, name)
    return Admission(grant, row.right, name, request.remote or "")


def _with_key(site: Site, request: web.Request, held: Grant) -> Grant:
    """What a program may do that shows its key with the request, besides what its cookies allow.

    Raises:
        Denied: See `_key`.
    """
    ring, given = site.access.ring, shown_key(request.headers.get("Authorization", ""))
    if ring is None or given is None:
        return held
    return Grant.of(dict.fromkeys((*held.keys, _key(site, ring, given, request.remote or ""))))


def shown_key(authorization: str) -> str | None:
    """The key in an Authorization header: a Bearer token (RFC 6750 section 2.1), or the password of whatever user (RFC 7617 section 2).

    Returns:
        None where no key is shown in one of these ways; "" where one of them holds none.
    """
    scheme, _, given = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return given.strip()
        case "basic":
            try:
                return base64.b64decode(given, validate=True).decode().partition(":")[2]
            except ValueError:
                return ""
    return None


def _key(site: Site, ring: Keyring, given: object, address: str) -> Key:
    """The key that was given; not looked at while its address has to wait, but for one that was right there before.

    Raises:
        Denied: 401, there is no such key; 429, there were too many wrong ones; 503, the keys cannot be read now.
    """
    if ring.closed:
        raise keys_unread()
    wrong_keys, spelt = site.wrong_keys, keys.letters(str(given))
    if wait := wrong_keys.wait(address, spelt):
        raise Denied(429, "too-many-keys", f"Too many wrong keys came from this address. Try again in {wait} s.", wait)
    key = ring.with_secret(given) if isinstance(given, str) and len(given) < _LONGEST_KEY else None
    if key is None:
        if wrong_keys.add(address, spelt):
            log.warning("x %s gave a wrong key (the %d. in all)", address, wrong_keys.count)
        if isinstance(given, str) and ring.has_ended(given):
            raise Denied(401, "ended-key", "The time of this key is over.")
        raise Denied(401, "wrong-key", "The relay does not know this key.")
    wrong_keys.right(address, spelt)
    return key


def client_of(request: web.Request) -> Client:
    """Who asks."""
    return request[_CLIENT]


def own_address(transport: asyncio.BaseTransport | None) -> str | None:
    """The IP address of this end of a connection."""
    name = transport.get_extra_info("sockname") if transport is not None else None
    return str(name[0]) if isinstance(name, tuple) else None


SENTENCES = {
    400: "The request is not understood.",
    403: "There is nothing to see here.",
    404: "There is nothing at this address.",
    405: "This address does not take such a request.",
    413: "The request is too large.",
}


# The status for each reason why a camera does not turn.
_NOT_TURNED = {"unknown-camera": 404, "cannot-turn": 409, "out-of-range": 400}


# In every request.
_CLIENT = web.RequestKey("client", Client)

# Set in a request that came with a good ticket.
_BY_TICKET = "by-ticket"

# What lets the page of another origin read the answer to its ticket, also a refusal (WHATWG Fetch section 3.2). Of whatever origin, as with
# sockets: who shows a good ticket was given it by this relay. Where cookies go with a request, a browser does not take "*" for an answer.
_FOR_ITS_PAGE = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": TIME_HEADER}


def refusal(denied: Denied, request: web.Request) -> web.Response:
    """The answer to a request that is refused: JSON, or a page where somebody has opened the address in a browser."""
    headers = {"Retry-After": str(denied.retry_after)} if denied.retry_after is not None else {}
    if error_page.exists(denied):
        headers["Vary"] = "Accept"
    if error_page.is_wanted(denied, request.headers.getall("Accept", ())):
        page = error_page.page(denied)
        return web.Response(body=page, status=denied.status, content_type="text/html", charset="utf-8", headers=headers | denied.headers)
    return web.json_response(denied.as_json(), status=denied.status, headers=headers | denied.headers)


def _header_writer(site: Site) -> Any:
    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        kept = response.headers.get("Cache-Control")  # a handler may forbid more than the others do
        response.headers.update(HEADERS if kept is None else HEADERS | {"Cache-Control": kept})
        client = request.get(_CLIENT)
        response.headers["Content-Security-Policy"] = content_policy(site, client or site.connected(request.transport))
        response.headers.pop("Server", None)
        if _BY_TICKET in request:
            response.headers.update(_FOR_ITS_PAGE)

    return add_headers


def content_policy(site: Site, client: Client) -> str:
    """The Content-Security-Policy (W3C CSP 3) for a page, from the host for which this client asks."""
    if site.registry:
        # A relay that has moved may be anywhere in the network.
        sources = "'self' https: wss:"
    else:
        # 'self' does not cover WebSockets in Safari before 15.4, so they are named. A foreign Host is refused, and its page is an error.
        host = client.host or ""
        named = host if host.isascii() and not set(host) & set(" ;,'\"") else ""
        sources = f"'self' {'wss' if client.https else 'ws'}://{named}" if named else "'self'"
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
        f"connect-src {sources}; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _page(path: Path) -> Handler:
    async def page(request: web.Request) -> web.StreamResponse:
        return await _file(request, path)

    return page


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file as it was read.

    Attributes:
        state: By which a file that was replaced is known.
        tag: For a browser that has it.
    """

    state: tuple[int, int, int]
    body: bytes
    tag: str


# The files that were asked for: those of the pages, a megabyte in all.
_kept: dict[Path, _Kept] = {}


async def _read(path: Path) -> _Kept:
    """A file as it is now. It is read once, so connections that do not take it hold the same bytes.

    Raises:
        FileNotFoundError: It has gone since the folder was read.
    """
    state, kept = _state(path), _kept.get(path)
    if kept is None or kept.state != state:
        body = await asyncio.to_thread(path.read_bytes)
        kept = _kept[path] = _Kept(state, body, hashlib.sha256(body).hexdigest()[:_TAG])
    return kept


def _state(path: Path) -> tuple[int, int, int]:
    """It takes microseconds, because these files lie beside the program."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


async def _file(request: web.Request, path: Path) -> web.Response:
    """A file; a browser that has it is told so (RFC 9110 section 13.1.2)."""
    try:
        file = await _read(path)
    except FileNotFoundError:
        raise Denied(404, "unknown-path", SENTENCES[404]) from None
    if any(one.value in (file.tag, "*") for one in request.if_none_match or ()):
        response = web.Response(status=304)
    else:
        response = web.Response(body=file.body, content_type=_TYPES.get(path.suffix, "application/octet-stream"), charset="utf-8")
    response.etag = file.tag
    return response


@lru_cache(_MOST_CODES)
def _code(url: str) -> bytes:
    """A QR code. It takes 10 ms to make, for which all others wait, so it is made once."""
    out = io.BytesIO()
    segno.make(url, error="m", micro=False).save(out, kind="svg", scale=8, border=4, dark="#000", light="#fff")
    return out.getvalue()


class _Modules:
    """What lies in ``web/``. A request chooses among the files that are there; it never becomes a path."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._files = self._look()
        self._looked = clock()
        self._looking: asyncio.Task[dict[str, Path]] | None = None

    async def get(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        if name not in self._files:
            await self._look_again()
        if name not in self._files:
            raise Denied(404, "unknown-path", SENTENCES[404])
        return await _file(request, self._files[name])

    def _look(self) -> dict[str, Path]:
        return {path.relative_to(self._folder).as_posix(): path for path in self._folder.rglob("*") if path.is_file()}

    async def _look_again(self) -> None:
        """See what is there now, once for all that is missed meanwhile, and not more often than every LOOK_INTERVAL."""
        if self._looking is None:
            if self._clock() - self._looked < LOOK_INTERVAL:
                return
            self._looking = asyncio.create_task(asyncio.to_thread(self._look))
        looking = self._looking
        try:
            self._files = await asyncio.shield(looking)
        finally:
            if looking.done() and self._looking is looking:
                self._looked, self._looking = self._clock(), None


class _Api:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._access = site.access

    async def home(self, request: web.Request) -> web.StreamResponse:
        return web.HTTPFound("/player.html")

    async def healthz(self, request: web.Request) -> web.StreamResponse:
        # The trust page asks from its own origin whether this phone can come here.
        return web.Response(text="ok\n", headers={"Access-Control-Allow-Origin": "*"})

    async def welcome_ticket(self, request: web.Request) -> web.StreamResponse:
        """The question before a request with a ticket, and with nothing else (WHATWG Fetch section 4.8, CORS-preflight)."""
        asked = request.headers.get("Access-Control-Request-Headers", "").lower()
        if not self._site.registry or self._access.ring is None or asked != TICKET_HEADER.lower():
            raise Denied(403, "foreign-origin", "Pages of other sites may not use this relay.")
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Origin": "*",
                "Access-Control-Allow-Headers": TICKET_HEADER,
                "Access-Control-Max-Age": str(_WELCOME_AGE),
            },
        )

    async def certificate(self, request: web.Request) -> web.StreamResponse:
        authority = self._site.authority()
        if not authority:
            raise Denied(404, "no-certificate", "This relay has no certificate authority of its own.")
        # The type that makes iOS and Android offer to install it.
        return web.Response(
            body=authority,
            content_type="application/x-x509-ca-cert",
            headers={"Content-Disposition": 'attachment; filename="drawercam-ca.crt"'},
        )

    # --- what this browser may do ---

    async def session(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._session(request["grant"]))

    async def use_key(self, request: web.Request) -> web.StreamResponse:
        """A key for a cookie. SameSite=Strict keeps other sites from using it, HttpOnly keeps it from scripts."""
        given = (await self._body(request)).get("key")
        if given is None:
            raise Denied(400, "bad-request", 'The body must be {"key": "..."}.')
        ring = self._access.ring
        if ring is None:
            return web.json_response(self._session(request["grant"]))
        key = _key(self._site, ring, given, request.remote or "")
        self._site.hall.show(request.transport)
        held, secure = request["grant"], client_of(request).https
        response = web.json_response(self._session(Grant.of(dict.fromkeys((*held.keys, key)))))
        for name in self._access.stale_cookies(_cookies(request)):
            response.del_cookie(name, path="/", secure=secure, httponly=True, samesite="Strict")
        age = COOKIE_AGE if key.expires is None else min(COOKIE_AGE, max(1, key.expires - int(time.time())))
        name, token = self._access.cookie_name(key), ring.token(key, keys.COOKIE)
        response.set_cookie(name, token, max_age=age, httponly=True, secure=secure, samesite="Strict", path="/")
        return response

    def _session(self, grant: Grant) -> dict[str, Any]:
        if grant.unread:
            raise keys_unread()
        site, access = self._site, self._access
        answer: dict[str, Any] = {
            "keys": access.ring is not None,
            "camera": bool(grant.publish),
            "viewer": bool(grant.watch),
            "publish": grant.publish.as_json(),
            "watch": grant.watch.as_json(),
            "manage": access.ring is not None and grant.may_manage,
        }
        if trust := site.trust_url():
            answer["trust"] = trust
        if site.registry:
            answer |= {"registry": site.registry, "relay": site.relay, "ticket": access.ticket(grant)}
        return answer

    # --- cameras ---

    async def cameras(self, request: web.Request) -> web.StreamResponse:
        seen: Scope = request["grant"].watch
        return web.json_response([channel.report() for channel in self._site.hub.cameras() if channel.name in seen])

    async def on_air(self, request: web.Request) -> web.StreamResponse:
        channel = self._site.hub.find(request.match_info["name"])
        return web.json_response({"onAir": channel is not None and channel.camera is not None})

    async def orient(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        body = await self._body(request)
        channel = self._site.hub.find(name)
        try:
            wish = control.read(body, control.Orient)
            if channel is None:
                raise NotTurned("unknown-camera", f"There is no camera {name} now.")
            return web.json_response(channel.orient(wish))
        except control.ControlError as error:
            raise Denied(400, "bad-request", f"{str(error).capitalize()}.") from None
        except NotTurned as error:
            raise Denied(_NOT_TURNED[error.id], error.id, str(error)) from None

    async def invite(self, request: web.Request) -> web.StreamResponse:
        urls, with_key = self._invitation(request["grant"])
        return web.json_response({"url": urls[0], "others": urls[1:], "withKey": with_key, "reach": self._site.reach()})

    async def invite_code(self, request: web.Request) -> web.StreamResponse:
        urls, _ = self._invitation(request["grant"])
        return web.Response(body=_code(urls[0]), content_type="image/svg+xml")

    def _invitation(self, grant: Grant) -> tuple[list[str], bool]:
        """The camera page for a phone, with a key that allows to film and nothing else, if there is one that this browser may hand on.

        Those are the keys that it holds; who may manage could make any, and so has that of the relay's own link.
        """
        fitting = [key for key in grant.keys if key.publish and not key.watch]
        best = max(fitting, key=lambda key: (key.publish.everything, key.expires is None, len(key.publish.names)), default=None)
        ring = self._access.ring
        if ring is not None and grant.may_manage and not (best is not None and best.publish.everything):
            best = ring.for_links()[0] or best
        fragment = f"#key={best.secret}" if best is not None else ""
        return [url + fragment for url in self._site.camera_urls()], best is not None

    # --- keys ---

    async def keys(self, request: web.Request) -> web.StreamResponse:
        ring, now, grant = self._ring(), time.time(), request["grant"]
        listed = [key.as_json() | {"over": key.is_over(now), "held": key in grant.keys} for key in ring.keys]
        return web.json_response({"keys": listed, "wrongKeys": self._site.wrong_keys.count})

    async def add_key(self, request: web.Request) -> web.StreamResponse:
        ring, body = self._ring(), await self._body(request)
        try:
            publish, watch = (Scope.from_json(body[what]) if what in body else NOTHING for what in ("publish", "watch"))
            lasts = keys.seconds(str(body["expires"])) if body.get("expires") is not None else None
            key = await asyncio.to_thread(ring.add, publish, watch, lasts, str(body.get("label", "")))
        except KeysError as error:
            raise Denied(400, "bad-request", str(error)) from None
        except OSError as error:
            log.warning("x %s: no key is made, because it cannot be written down: %s", request.remote, error.strerror or error)
            raise Denied(507, "not-written", "No key is made, because the relay cannot write it down. Is its disk full?") from None
        ring.refresh()
        keys.log.info("+ %s made the key %s", request.remote, key.id)
        links = {}
        if key.manages:
            links["own"] = keys.link(self._site.player_urls()[0], key, "camera", key.watch)
        else:
            if key.publish:
                links["camera"] = keys.link(self._site.camera_urls()[0], key, "name", key.publish)
            if key.watch:
                links["player"] = keys.link(self._site.player_urls()[0], key, "camera", key.watch)
        answer = key.as_json() | {"key": key.secret, "links": links}
        if body.get("codes") is True and not key.manages:
            answer["codes"] = {page: _code(link).decode() for page, link in links.items()}
        return web.json_response(answer, status=201)

    async def revoke_key(self, request: web.Request) -> web.StreamResponse:
        ring = self._ring()
        try:
            key = ring.forget(request.match_info["id"])  # at once, however long the disk takes
        except KeysError as error:
            raise Denied(404, "unknown-key", str(error)) from None
        keys.log.info("- %s revoked the key %s", request.remote, key.id)
        try:
            await asyncio.to_thread(ring.settle)
        except OSError as error:
            keys.log.warning("That %s is revoked cannot be written down, so it returns at a restart: %s", key.id, error.strerror or error)
            sentence = "The key is revoked, but the relay cannot write that down: the key returns when it is restarted. Is its disk full?"
            raise Denied(507, "not-written", sentence) from None
        ring.refresh()
        return web.json_response({"id": key.id})

    def _ring(self) -> Keyring:
        if self._access.ring is None:
            raise Denied(404, "no-keys", "This relay runs without keys.")
        return self._access.ring

    async def _body(self, request: web.Request) -> dict[str, Any]:
        grant: Grant = request["grant"]
        with self._site.bodies.place(request, shown=self._access.ring is None or bool(grant.keys)):
            given = await whole(request)
        try:
            body = json.loads(given)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise Denied(400, "bad-request", "The body must be a JSON object.")
        return body
