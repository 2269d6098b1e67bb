"""The registry's addresses: for relays, for phones, for people.

They stand by themselves, so that a relay can have them among its own.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from groundwork.connections.answer_headers import NOT_KEPT, content_policy
from groundwork.connections.limits import Places

from . import page
from .messages import MAX_BODY
from .registry import Refused, Registry, described, nearest

# Seconds for an announcement's body to arrive: it fits into one packet.
BODY_DEADLINE = 5.0

# Announcements that are on their way at once, of which one address has its share
# (groundwork.connections.limits.Places).
MAX_BODIES = 100

# Where the list for people is. By itself a registry has it at / as well; inside a relay that is the
# relay's own.
PAGE = "/relays"

_PAGES = ("camera.html", "player.html")

ROUTES = (
    ("GET", PAGE),
    ("GET", f"{PAGE}.css"),
    ("GET", f"{PAGE}.js"),
    ("GET", "/api/relays"),
    ("GET", "/api/relays/{name}"),
    ("POST", "/api/relays/{name}"),
    ("DELETE", "/api/relays/{name}"),
    ("GET", "/go/{name}/{page}"),
)
"""Methods and paths of a registry.

They ask for no key, because relays sign, and the rest is for everybody.
"""

_STYLE, _SCRIPT = (
    Path(__file__).with_name(name).read_text("utf-8") for name in ("page.css", "page.js")
)

_HEADERS = NOT_KEPT | {
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": content_policy(script="'self'", style="'self'", connect="'self'"),
}

# Pages that have lost their relay ask from that relay's origin. There is nothing in it that a
# visitor of the page here does not see.
_FOR_ALL = {"Access-Control-Allow-Origin": "*"}

Handler = Callable[["_Routes", web.Request], Awaitable[web.Response]]


def add_routes(app: web.Application, registry: Registry) -> None:
    """Serve a registry.

    The application starts and stops it, and must let bodies of MAX_BODY bytes in.
    """
    there = _Routes(registry)
    handlers = (
        there.people,
        there.style,
        there.script,
        there.relays,
        there.relay,
        there.announce,
        there.leave,
        there.go,
    )
    for (method, path), handler in zip(ROUTES, handlers, strict=True):
        if method == "GET":
            app.router.add_get(path, handler)  # and HEAD
        else:
            app.router.add_route(method, path, handler)

    async def running(app: web.Application) -> AsyncIterator[None]:
        await registry.start()
        yield
        await registry.stop()

    app.cleanup_ctx.append(running)


def refusal(refused: Refused) -> web.Response:
    """What is said when a request is refused, as JSON."""
    answer = {"error": refused.id, "text": str(refused)} | (
        {"nonce": refused.nonce} if refused.nonce else {}
    )
    headers = {"WWW-Authenticate": "drawercam"} if refused.status == 401 else {}
    return web.json_response(
        answer, status=refused.status, headers={**_HEADERS, **_FOR_ALL, **headers}
    )


def _counted(handler: Handler) -> Callable[[_Routes, web.Request], Awaitable[web.Response]]:
    @functools.wraps(handler)
    async def counted(self: _Routes, request: web.Request) -> web.Response:
        try:
            self.registry.admit(request.remote or "")
            return await handler(self, request)
        except Refused as refused:
            return refusal(refused)

    return counted


class _Routes:
    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._bodies = Places(MAX_BODIES)

    @_counted
    async def people(self, request: web.Request) -> web.Response:
        return _html(page.listing(self.registry.relays(), request.remote), 200)

    async def style(self, request: web.Request) -> web.Response:
        return web.Response(text=_STYLE, content_type="text/css", charset="utf-8", headers=_HEADERS)

    async def script(self, request: web.Request) -> web.Response:
        return web.Response(
            text=_SCRIPT, content_type="text/javascript", charset="utf-8", headers=_HEADERS
        )

    @_counted
    async def relays(self, request: web.Request) -> web.Response:
        found = [described(entry, request.remote) for entry in self.registry.relays()]
        return web.json_response({"relays": found}, headers=_HEADERS | _FOR_ALL)

    @_counted
    async def relay(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        entry = self.registry.relay(name)
        if entry is None:
            raise Refused(404, "unknown-relay", "There is no relay of this name.")
        return web.json_response(described(entry, request.remote), headers=_HEADERS | _FOR_ALL)

    @_counted
    async def announce(self, request: web.Request) -> web.Response:
        address = request.remote or ""
        if not self._bodies.take(address):
            raise Refused(
                503,
                "too-many",
                "There are too many announcements on their way; try again in a few seconds.",
            )
        try:
            body = await _body(request)
        finally:
            self._bodies.leave(address)
        nonce = self.registry.announce(
            request.match_info["name"], body, request.headers.get("Authorization"), address
        )
        return web.json_response({"nonce": nonce}, headers=_HEADERS)

    @_counted
    async def leave(self, request: web.Request) -> web.Response:
        nonce = self.registry.leave(
            request.match_info["name"], request.headers.get("Authorization")
        )
        return web.json_response({"nonce": nonce}, headers=_HEADERS)

    @_counted
    async def go(self, request: web.Request) -> web.Response:
        """To where a relay is now.

        The browser itself takes the fragment along, in which the key is (RFC 9110 10.2.2).
        """
        name, wanted = request.match_info["name"], request.match_info["page"]
        if wanted not in _PAGES:
            raise Refused(404, "unknown-path", f"A relay has {_PAGES[0]} and {_PAGES[1]}.")
        entry = self.registry.relay(name)
        if entry is None or not entry.alive:
            return _html(page.not_there(entry), 404 if entry is None else 503)
        query = request.rel_url.raw_query_string
        url = f"{nearest(entry.announcement.urls, request.remote)[0]}/{wanted}" + (
            f"?{query}" if query else ""
        )
        return web.Response(status=302, headers=_HEADERS | {"Location": url})


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_DEADLINE):
            # Not request.read(), whose limit is the application's, and whose answer is no sentence.
            body = await request.content.read(MAX_BODY + 1)
            while not request.content.at_eof() and len(body) <= MAX_BODY:
                body += await request.content.read(MAX_BODY + 1 - len(body))
    except (RuntimeError, web.RequestPayloadError):
        # It has gone; aiohttp calls that a fault where nobody had read yet.
        raise ConnectionResetError from None
    except TimeoutError:
        raise Refused(
            408, "too-slow", f"The announcement did not arrive within {BODY_DEADLINE:g} seconds."
        ) from None
    if len(body) > MAX_BODY:
        raise Refused(413, "too-large", f"An announcement has {MAX_BODY} bytes at most.")
    return body


def _html(text: str, status: int) -> web.Response:
    return web.Response(
        text=text, status=status, content_type="text/html", charset="utf-8", headers=_HEADERS
    )
