"""The API that pages and programs use: `/api/...`, and what else is no file: the way home, health,
the authority's certificate.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from functools import lru_cache
from typing import Any

import segno
from aiohttp import web

from drawercam.access import keys
from drawercam.access.grants import COOKIE_AGE, Grant, keys_unread
from drawercam.access.key import NOTHING, KeysError, Scope, link, seconds
from drawercam.access.keys import COOKIE, Keyring
from drawercam.live.channel import NotTurned
from drawercam.protocol import messages
from drawercam.server.admission.entrance import TICKET_HEADER
from groundwork.denied import Denied

from .bodies import whole
from .guard import asked_of
from .site import Site

# Seconds for which a browser need not ask again whether it may show its ticket at an address:
# Chromium remembers it no longer.
_WELCOME_AGE = 7200

# QR codes that are kept, of 20 kB: one for each key that is in use.
_MOST_CODES = 64

# The status for each reason why a camera does not turn.
_NOT_TURNED = {"unknown-camera": 404, "cannot-turn": 409, "out-of-range": 400}

log = logging.getLogger(__name__)


@lru_cache(_MOST_CODES)
def _code(url: str) -> bytes:
    """A QR code. It takes 10 ms to make, for which all others wait, so it is made once."""
    out = io.BytesIO()
    segno.make(url, error="m", micro=False).save(
        out, kind="svg", scale=8, border=4, dark="#000", light="#fff"
    )
    return out.getvalue()


class Api:
    """The handlers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._access = site.entrance.access

    async def home(self, request: web.Request) -> web.StreamResponse:
        return web.HTTPFound("/player.html")

    async def healthz(self, request: web.Request) -> web.StreamResponse:
        # The trust page asks from its own origin whether this phone can come here.
        return web.Response(text="ok\n", headers={"Access-Control-Allow-Origin": "*"})

    async def welcome_ticket(self, request: web.Request) -> web.StreamResponse:
        """The question before a request with a ticket, and with nothing else (WHATWG Fetch section
        4.8, CORS-preflight).
        """
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
            raise Denied(
                404, "no-certificate", "This relay has no certificate authority of its own."
            )
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
        """A key for a cookie.

        SameSite=Strict keeps other sites from using it, HttpOnly keeps it from scripts.
        """
        given = (await self._body(request)).get("key")
        if given is None:
            raise Denied(400, "bad-request", 'The body must be {"key": "..."}.')
        ring, keys_known = self._access.ring, self._site.entrance.keys
        if ring is None or keys_known is None:
            return web.json_response(self._session(request["grant"]))
        key = keys_known.key(given, request.remote or "")
        self._site.entrance.hall.show(request.transport)
        asked, held = asked_of(request), request["grant"]
        secure = asked.client.https
        response = web.json_response(self._session(Grant.of(dict.fromkeys((*held.keys, key)))))
        for name in self._access.stale_cookies(asked.cookies):
            response.del_cookie(name, path="/", secure=secure, httponly=True, samesite="Strict")
        age = (
            COOKIE_AGE
            if key.expires is None
            else min(COOKIE_AGE, max(1, key.expires - int(time.time())))
        )
        name, token = self._access.cookie_name(key), ring.token(key, COOKIE)
        response.set_cookie(
            name, token, max_age=age, httponly=True, secure=secure, samesite="Strict", path="/"
        )
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
            answer |= {
                "registry": site.registry,
                "relay": site.relay,
                "ticket": access.ticket(grant),
            }
        return answer

    # --- cameras ---

    async def cameras(self, request: web.Request) -> web.StreamResponse:
        seen: Scope = request["grant"].watch
        return web.json_response(
            [channel.report() for channel in self._site.hub.cameras() if channel.name in seen]
        )

    async def on_air(self, request: web.Request) -> web.StreamResponse:
        channel = self._site.hub.find(request.match_info["name"])
        return web.json_response({"onAir": channel is not None and channel.camera is not None})

    async def orient(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        body = await self._body(request)
        channel = self._site.hub.find(name)
        try:
            wish = messages.read(body, messages.Orient)
            if channel is None:
                raise NotTurned("unknown-camera", f"There is no camera {name} now.")
            return web.json_response(channel.orient(wish))
        except messages.ControlError as error:
            raise Denied(400, "bad-request", f"{str(error).capitalize()}.") from None
        except NotTurned as error:
            raise Denied(_NOT_TURNED[error.id], error.id, str(error)) from None

    async def invite(self, request: web.Request) -> web.StreamResponse:
        urls, with_key = self._invitation(request["grant"])
        return web.json_response(
            {"url": urls[0], "others": urls[1:], "withKey": with_key, "reach": self._site.reach()}
        )

    async def invite_code(self, request: web.Request) -> web.StreamResponse:
        urls, _ = self._invitation(request["grant"])
        return web.Response(body=_code(urls[0]), content_type="image/svg+xml")

    def _invitation(self, grant: Grant) -> tuple[list[str], bool]:
        """The camera page for a phone, with a key that allows to film and nothing else, if there is
        one that this browser may hand on.

        Those are the keys that it holds; who may manage could make any, and so has that of the
        relay's own link.
        """
        fitting = [key for key in grant.keys if key.publish and not key.watch]
        best = max(
            fitting,
            key=lambda key: (key.publish.everything, key.expires is None, len(key.publish.names)),
            default=None,
        )
        ring = self._access.ring
        if (
            ring is not None
            and grant.may_manage
            and not (best is not None and best.publish.everything)
        ):
            best = ring.for_links()[0] or best
        fragment = f"#key={best.secret}" if best is not None else ""
        return [url + fragment for url in self._site.camera_urls()], best is not None

    # --- keys ---

    async def keys(self, request: web.Request) -> web.StreamResponse:
        ring, now, grant = self._ring(), time.time(), request["grant"]
        listed = [
            key.as_json() | {"over": key.is_over(now), "held": key in grant.keys}
            for key in ring.keys
        ]
        return web.json_response(
            {"keys": listed, "wrongKeys": self._site.entrance.wrong_keys.count}
        )

    async def add_key(self, request: web.Request) -> web.StreamResponse:
        ring, body = self._ring(), await self._body(request)
        try:
            publish, watch = (
                Scope.from_json(body[what]) if what in body else NOTHING
                for what in ("publish", "watch")
            )
            lasts = seconds(str(body["expires"])) if body.get("expires") is not None else None
            key = await asyncio.to_thread(
                ring.add, publish, watch, lasts, str(body.get("label", ""))
            )
        except KeysError as error:
            raise Denied(400, "bad-request", str(error)) from None
        except OSError as error:
            log.warning(
                "x %s: no key is made, because it cannot be written down: %s",
                request.remote,
                error.strerror or error,
            )
            raise Denied(
                507,
                "not-written",
                "No key is made, because the relay cannot write it down. Is its disk full?",
            ) from None
        ring.refresh()
        keys.log.info("+ %s made the key %s", request.remote, key.id)
        links = {}
        if key.manages:
            links["own"] = link(self._site.player_urls()[0], key, "camera", key.watch)
        else:
            if key.publish:
                links["camera"] = link(self._site.camera_urls()[0], key, "name", key.publish)
            if key.watch:
                links["player"] = link(self._site.player_urls()[0], key, "camera", key.watch)
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
            keys.log.warning(
                "That %s is revoked cannot be written down, so it returns at a restart: %s",
                key.id,
                error.strerror or error,
            )
            sentence = (
                "The key is revoked, but the relay cannot write that down: the key returns "
                "when it is restarted. Is its disk full?"
            )
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
