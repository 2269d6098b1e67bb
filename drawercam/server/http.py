"""Everything that is not a WebSocket: pages, the small API, the certificate authority's download."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import segno
from aiohttp import web

from ..access import COOKIE_AGE, Access, Denied, Role, cookie_name
from ..hub import Hub

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# Bytes of a POST body; a key has 19.
_MAX_BODY = 4096

_PAGES = ("camera.html", "player.html")

_HEADERS = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), fullscreen=(self), screen-wake-lock=(self)",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Site:
    """What the HTTP side needs to know.

    Attributes:
        hub: The cameras.
        access: Who may do what.
        root: The folder with the pages and ``web/``.
        tls: The pages come by https.
        ca: The certificate authority in PEM, or None.
        camera_urls: Gives the addresses of the camera page that a phone on the LAN can reach, the likeliest first; without key.
    """

    hub: Hub
    access: Access
    root: Path
    tls: bool
    ca: bytes | None
    camera_urls: Callable[[], Sequence[str]]


def application(site: Site) -> web.Application:
    """The HTTP side of a relay."""
    app = web.Application(middlewares=[_guard(site)], client_max_size=_MAX_BODY)
    app.on_response_prepare.append(_add_headers)
    api = _Api(site)
    app.router.add_get("/", api.home)
    for page in _PAGES:
        app.router.add_get(f"/{page}", _page(site.root / page))
    app.router.add_static("/web", site.root / "web")
    app.router.add_get("/healthz", api.healthz)
    app.router.add_get("/ca.crt", api.certificate)
    app.router.add_get("/api/session", api.session)
    app.router.add_post("/api/session", api.use_key)
    app.router.add_get("/api/cameras", api.cameras)
    app.router.add_get("/api/invite", api.invite)
    app.router.add_get("/api/invite.svg", api.invite_code)
    return app


# Which role a path asks for; a path that is not here is denied (None: anybody).
_ROLES: dict[str, Role | None] = {
    "/": None,
    "/camera.html": None,
    "/player.html": None,
    "/healthz": None,
    "/ca.crt": None,
    "/api/session": None,
    "/api/cameras": Role.VIEWER,
    "/api/invite": Role.VIEWER,
    "/api/invite.svg": Role.VIEWER,
}


def _guard(site: Site) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request passes here: Host, then Origin where something changes, then the role; errors become JSON."""
        try:
            site.access.check_host(request.headers.get("Host"))
            if request.method not in ("GET", "HEAD"):
                site.access.check_origin(request.headers.get("Origin"), request.headers.get("Host"))
            if request.path not in _ROLES and not request.path.startswith("/web/"):
                raise Denied(404, "unknown-path", "There is nothing at this address.")
            role = _ROLES.get(request.path)
            if role is not None:
                site.access.require(role, request.headers.get("Cookie"))
            if request.headers.get("Upgrade", "").lower() == "websocket":
                raise Denied(426, "new-connection", "A WebSocket needs a connection of its own.")
            return await handler(request)
        except Denied as denied:
            return _error(denied.status, denied.id, str(denied))
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return _error(error.status, error.reason.lower().replace(" ", "-"), _SENTENCES.get(error.status, f"{error.reason}."))

    return guard


_SENTENCES = {
    400: "The request is not understood.",
    403: "There is nothing to see here.",
    404: "There is nothing at this address.",
    405: "This address does not take such a request.",
    413: "The request is too large.",
}


def _error(status: int, identifier: str, text: str) -> web.Response:
    return web.json_response({"error": identifier, "text": text}, status=status)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    # 'self' does not cover WebSockets in Safari before 15.4, so they are named; the Host was checked before.
    host = request.headers.get("Host", "")
    sockets = f" ws://{host} wss://{host}" if host.isascii() and not set(host) & set(" ;,'\"") else ""
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
        f"connect-src 'self'{sockets}; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    response.headers.pop("Server", None)


def _page(path: Path) -> Handler:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return page


class _Api:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def home(self, request: web.Request) -> web.StreamResponse:
        return web.HTTPFound("/player.html")

    async def healthz(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n")

    async def certificate(self, request: web.Request) -> web.StreamResponse:
        if self._site.ca is None:
            raise Denied(404, "no-certificate", "This relay runs without --tls, so it has no certificate authority.")
        # The type that makes iOS and Android offer to install it.
        return web.Response(
            body=self._site.ca,
            content_type="application/x-x509-ca-cert",
            headers={"Content-Disposition": 'attachment; filename="drawercam-ca.crt"'},
        )

    async def session(self, request: web.Request) -> web.StreamResponse:
        return self._session(request, frozenset())

    async def use_key(self, request: web.Request) -> web.StreamResponse:
        """A key for a cookie. SameSite=Strict keeps other sites from using it, HttpOnly keeps it from scripts."""
        try:
            key = json.loads(await request.text())["key"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Denied(400, "bad-request", 'The body must be {"key": "..."}.') from None
        keys = self._site.access.keys
        if keys is None:
            return self._session(request, frozenset())
        role = keys.role_of(key) if isinstance(key, str) and len(key) < 200 else None
        if role is None:
            log.warning("x %s gave a wrong key", request.remote)
            raise Denied(401, "wrong-key", "The relay does not know this key.")
        response = self._session(request, frozenset((role,)))
        response.set_cookie(
            cookie_name(role), keys.key(role), max_age=COOKIE_AGE, httponly=True, secure=self._site.tls, samesite="Strict", path="/"
        )
        return response

    def _session(self, request: web.Request, gained: frozenset[Role]) -> web.Response:
        roles = self._site.access.roles(request.headers.get("Cookie")) | gained
        return web.json_response({"keys": self._site.access.keys is not None} | {role.value: role in roles for role in Role})

    async def cameras(self, request: web.Request) -> web.StreamResponse:
        return web.json_response([channel.report() for channel in self._site.hub.cameras()])

    async def invite(self, request: web.Request) -> web.StreamResponse:
        urls, with_key = self._invitation(request)
        return web.json_response({"url": urls[0], "others": urls[1:], "withKey": with_key})

    async def invite_code(self, request: web.Request) -> web.StreamResponse:
        urls, _ = self._invitation(request)
        out = io.BytesIO()
        segno.make(urls[0], error="m", micro=False).save(out, kind="svg", scale=8, border=4, dark="#000", light="#fff")
        return web.Response(body=out.getvalue(), content_type="image/svg+xml")

    def _invitation(self, request: web.Request) -> tuple[list[str], bool]:
        """The camera page for a phone; with the camera key only for somebody who holds it."""
        keys = self._site.access.keys
        may_film = Role.CAMERA in self._site.access.roles(request.headers.get("Cookie"))
        with_key = keys is not None and may_film
        fragment = f"#key={keys.key(Role.CAMERA)}" if keys is not None and may_film else ""
        return [url + fragment for url in self._site.camera_urls()], with_key
