"""The trust page: how a phone learns to trust this computer, over plain HTTP on a port of its own.

It has to be plain: a phone that does not trust the authority yet is warned off every https page. So
nothing is here that must be kept secret or that changes anything: the steps, the authority's
certificate in the forms that systems take, and a way to the https pages. What somebody in between
could have altered is found by comparing the fingerprint that the phone shows with the one in the
terminal, and the page says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import logging
import plistlib
import string
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler
from cryptography import x509

from certs import Served
from groundwork import addresses
from groundwork.connections import aiohttp_insides
from groundwork.connections.answer_headers import NOT_KEPT, content_policy
from groundwork.connections.limits import MAX_TRUST, Lobby
from groundwork.connections.listener import Gate, Seat
from groundwork.connections.own_address import own_address
from groundwork.connections.scheduler import Scheduler
from groundwork.denied import SENTENCES, Denied
from groundwork.hosts import host_name

PAGE_PATH = "/trust"

WAYS = ("/", "/camera.html", "/player.html")
"""What leads to the same path by https; a key behind a # goes along without ever being sent
here.
"""

PARTS = {
    "shared/style.css": "text/css",
    "trust/trust.css": "text/css",
    "trust/trust.js": "text/javascript",
    "guard.js": "text/javascript",
    "shared/relay/deadline.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""The files of `web/` that the page is made of, and nothing else of it; with their types."""

MAX_BODY = 1024
"""Bytes; nothing here takes any."""

CONNECTION_LIFE = 30.0
"""Seconds from the beginning of a connection to its end, whatever it does: a slow reader or writer
holds nothing for longer.
"""

STOP_BUDGET = 0.5
"""Seconds."""

PROFILE_SPACE = uuid.UUID("5d6f2f5c-6a0e-4a67-9f51-0d0c1b8e7a36")
"""A random namespace (RFC 9562 5.5), so that the profile of one authority has the same UUIDs at
every download and replaces itself.
"""

BYTES_IN_A_ROW = 8
"""Of a fingerprint: as many as fit the narrowest phone, and as the terminal prints."""

_HEADERS = NOT_KEPT | {"Referrer-Policy": "no-referrer"}

_UNLIMITED = string.Template("""
    <section class="panel unlimited" aria-labelledby="unlimited">
      <h2 id="unlimited">This certificate may vouch for too much</h2>
      <p>It was made by an earlier version of drawercam, and may vouch for $what, other people’s
        sites among them. Somebody who steals its key from that computer could pose as those to a
        device that trusts it. Better have a new one made first: on that computer, delete the folder
        <i>certs</i> in the state folder and start drawercam again. Then install the new one here,
        and take this one off the devices that have it.</p>
    </section>
""")

log = logging.getLogger(__name__)

CheckHost = Callable[[str | None, str | None], None]
"""A Host header, and the address of this computer to which the connection was made."""


def rows(fingerprint: str) -> list[str]:
    """A fingerprint in rows of `BYTES_IN_A_ROW` bytes, so that people can compare it row by row."""
    octets = fingerprint.split(":")
    return [
        ":".join(octets[start : start + BYTES_IN_A_ROW])
        for start in range(0, len(octets), BYTES_IN_A_ROW)
    ]


def profile(served: Served) -> bytes:
    """The authority as a configuration profile for iOS, iPadOS and macOS.

    Its keys are those of developer.apple.com/documentation/devicemanagement: TopLevel and
    CertificateRoot.
    """
    authority = x509.load_der_x509_certificate(served.ca_der)
    name = str(authority.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    inner, outer = (
        str(uuid.uuid5(PROFILE_SPACE, f"{part} {served.fingerprint}")).upper()
        for part in ("certificate", "profile")
    )
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"drawercam.{outer}",
            "PayloadUUID": outer,
            "PayloadDisplayName": name,
            "PayloadDescription": (
                "Lets this device open the pages of a drawercam relay in your own network "
                "without a warning."
            ),
            "PayloadRemovalDisallowed": False,
            "PayloadContent": [
                {
                    "PayloadType": "com.apple.security.root",
                    "PayloadVersion": 1,
                    "PayloadIdentifier": f"drawercam.{outer}.{inner}",
                    "PayloadUUID": inner,
                    "PayloadDisplayName": name,
                    "PayloadCertificateFileName": "drawercam-ca.cer",
                    "PayloadContent": served.ca_der,
                }
            ],
        }
    )


class TrustPage:
    """A small server of its own beside the relay."""

    def __init__(
        self,
        served: Callable[[], Served],
        https_port: int,
        check_host: CheckHost,
        web_folder: Path,
        most: int = MAX_TRUST,
    ) -> None:
        """
        Args:
            served: What the relay serves now; its authority must be the relay's own.
            https_port: Where the relay's pages are.
            check_host: `Access.check_host`: raises `Denied` for a Host header that is not the
                relay's, so that a page of another site whose name is made to point here (DNS
                rebinding) gets nothing.
            web_folder: The folder ``web/``.
            most: Connections at once. One more takes the place of another, see `limits.Lobby`.
        """
        self._served = served
        self._https_port = https_port
        self._check_host = check_host
        self._web = web_folder
        self._page = string.Template(
            (web_folder / "trust" / "trust.html").read_text(encoding="utf-8")
        )
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        app.router.add_get(PAGE_PATH, self._steps)
        app.router.add_get("/ca.crt", self._certificate)
        app.router.add_get("/ca.mobileconfig", self._profile)
        for way in WAYS:
            app.router.add_get(way, self._way)
        for part in PARTS:
            app.router.add_get(f"/web/{part}", self._part)
        self._scheduler = Scheduler(lambda work: asyncio.get_running_loop().call_soon(work))
        self._runner = web.AppRunner(
            app, handle_signals=False, access_log=None, logger=aiohttp_insides.LOG
        )
        self._gate = Gate(Lobby(most), None, lambda seat: _Door(self, seat))
        self._ends: dict[
            asyncio.Transport, asyncio.TimerHandle
        ] = {}  # of the connections that are open

    async def start(self, hosts: Sequence[str] | None, port: int) -> int:
        """Listen.

        Args:
            hosts: Addresses to listen on; None for all.
            port: 0 to let the system choose.

        Returns:
            The port.

        Raises:
            OSError: It cannot be had.
        """
        await self._runner.setup()
        try:
            return await self._gate.open(hosts, port)
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop at once, whatever is connected."""
        self._gate.close()
        for transport in list(self._ends):
            self._end(transport)
            transport.abort()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._runner.cleanup(), STOP_BUDGET)

    def admit(self, transport: asyncio.Transport, seat: Seat) -> None:
        """Hand a new connection to aiohttp, as if it had accepted it, and see to its end."""
        server = self._runner.server
        if server is None:  # it has stopped
            transport.abort()
            return
        self._ends[transport] = asyncio.get_running_loop().call_later(
            CONNECTION_LIFE, transport.abort
        )
        seat.ended = partial(self._end, transport)
        aiohttp_insides.enter(server, transport, self._scheduler.share(seat.address))

    def _end(self, transport: asyncio.Transport) -> None:
        if (end := self._ends.pop(transport, None)) is not None:
            end.cancel()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request passes here: method, Host; then the headers. Each connection serves one."""
        relay = ""
        try:
            if request.method not in ("GET", "HEAD"):
                raise Denied(405, "only-get", "Nothing can be changed here.")
            self._check_host(request.headers.get("Host"), own_address(request.transport))
            relay = self._relay(request)
            response = await handler(request)
        except Denied as denied:
            response = web.Response(status=denied.status, text=f"{denied}\n")
        except web.HTTPNotFound:
            response = web.Response(status=404, text=f"{SENTENCES[404]}\n")
        except ConnectionError:
            raise  # the peer has gone
        except Exception:
            log.exception("x %s: a fault in the trust page", request.remote)
            response = web.Response(
                status=500, text="The page has a fault; the relay's log says more.\n"
            )
        response.headers.update(_HEADERS)
        response.headers["Content-Security-Policy"] = content_policy(
            script="'self'", style="'self'", img="'self'", connect=relay or "'none'"
        )
        response.headers["Server"] = "drawercam"  # aiohttp would tell its version
        response.force_close()
        return response

    def _relay(self, request: web.Request) -> str:
        """The https origin at the same name or address at which this page was reached. The Host was
        checked before; what a request line may name besides was not.
        """
        return addresses.url(
            "https", host_name(request.headers.get("Host")) or "localhost", self._https_port
        ).removesuffix("/")

    async def _steps(self, request: web.Request) -> web.StreamResponse:
        served = self._served()
        text = self._page.substitute(
            relay=html.escape(self._relay(request)),
            rows="".join(f"<li>{html.escape(row)}</li>" for row in rows(served.fingerprint)),
            unlimited=_UNLIMITED.substitute(what=html.escape(served.unlimited))
            if served.unlimited
            else "",
        )
        return web.Response(text=text, content_type="text/html")

    async def _certificate(self, request: web.Request) -> web.StreamResponse:
        """In DER, which all systems take; PEM is asked for by none.

        As a download, because Android's own installer refuses authorities that a browser hands to
        it; with ``?open`` to be opened, because Firefox on a computer then asks by itself whether
        to trust it.
        """
        disposition = "inline" if "open" in request.query else "attachment"
        return web.Response(
            body=self._served().ca_der,
            content_type="application/x-x509-ca-cert",
            headers={"Content-Disposition": f'{disposition}; filename="drawercam-ca.crt"'},
        )

    async def _profile(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=profile(self._served()), content_type="application/x-apple-aspen-config"
        )

    async def _way(self, request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=302, headers={"Location": self._relay(request) + request.path_qs}
        )

    async def _part(self, request: web.Request) -> web.StreamResponse:
        # As a whole, because whoever reads slowly is to hold no file open.
        name = request.path.removeprefix("/web/")  # as one of the routes has it
        return web.Response(
            body=await asyncio.to_thread((self._web / name).read_bytes),
            content_type=PARTS[name],
            charset="utf-8",
        )


class _Door(asyncio.Protocol):
    """A connection before it is anybody's."""

    def __init__(self, page: TrustPage, seat: Seat) -> None:
        self._page = page
        self._seat = seat

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._page.admit(
            cast(asyncio.Transport, transport), self._seat
        )  # uvloop's are of no common class
