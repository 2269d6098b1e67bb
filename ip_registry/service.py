"""The registry by itself: `python3 -m ip_registry` on any computer with a steady address."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from certs.authority import Authority, AuthorityError
from certs.renewal import Renewal
from groundwork import addresses, console, log_limit, loop_errors, state_files
from groundwork.bootstrap import IS_INSTALLED, PYTHON, state_folder
from groundwork.command_lines import Parser, called, port, quoted
from groundwork.connections import aiohttp_insides, limits, plain_http
from groundwork.connections.listener import Gate
from groundwork.connections.scheduler import Scheduler
from groundwork.denied import SENTENCES, Denied

from . import secret
from .messages import MAX_BODY
from .registry import Refused, Registry
from .routes import PAGE, add_routes, refusal

PORT = 8099

# Connections at once. A relay keeps one, a phone one or two for a moment.
MAX_CONNECTIONS = 500

# File descriptors for all else: listeners, the loop, the list, certificates.
_OTHER_FILES = 30

# Seconds that an idle connection is kept, and for requests that run when the registry stops.
_KEEPALIVE = 30.0
_STOP_BUDGET = 1.0

log = logging.getLogger("ip_registry")


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; exits with a sentence when it is wrong."""
    name = called() if IS_INSTALLED else f"{PYTHON} -m ip_registry"
    parser = Parser(prog=name, description="Tells phones where the relays are today.")
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen on (default: all)")
    parser.add_argument(
        "--port",
        type=port(),
        default=PORT,
        metavar="PORT",
        help=f"port to listen on (default: {PORT})",
    )
    where = (
        "where list, secret and certificates are kept (default: the state folder of a relay on "
        "this computer)"
    )
    parser.add_argument("--state", type=Path, default=state_folder(), metavar="DIR", help=where)
    shared = (
        f"the secret that relays must know; made at the first start (default: {secret.FILE} in "
        "the state folder)"
    )
    parser.add_argument("--secret-file", type=Path, metavar="FILE", help=shared)
    parser.add_argument(
        "--tls",
        action="store_true",
        help="serve https; pages can ask for a relay that has moved only then",
    )
    parser.add_argument(
        "--no-install", action="store_true", help="do not install missing libraries"
    )
    chosen = parser.parse_args(arguments)
    chosen.secret_file = chosen.secret_file or chosen.state / secret.FILE
    return chosen


def application(registry: Registry, ca_pem: bytes | None) -> web.Application:
    """A registry that has a port to itself.

    It looks at no Host header: a page whose name is made to point here (DNS rebinding) could only
    read what is for everybody.

    Args:
        registry: It is started and stopped by the application.
        ca_pem: The certificate authority, for who pins its fingerprint; None without TLS.
    """
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_in_words])

    async def home(request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(PAGE)

    async def certificate(request: web.Request) -> web.StreamResponse:
        if ca_pem is None:
            raise Refused(
                404,
                "no-certificate",
                "This registry runs without --tls, so it has no certificate authority.",
            )
        # The type that makes iOS and Android offer to install it.
        return web.Response(
            body=ca_pem,
            content_type="application/x-x509-ca-cert",
            headers={"Cache-Control": "no-store"},
        )

    app.router.add_get("/", home)
    app.router.add_get("/ca.crt", certificate)
    add_routes(app, registry)
    return app


@web.middleware
async def _in_words(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return refusal(refused)
    except web.HTTPException as error:
        if error.status == 404:
            return refusal(Refused(404, "unknown-path", SENTENCES[404]))
        if error.status == 405:
            return refusal(Refused(405, "unknown-method", SENTENCES[405]))
        raise
    except ConnectionError:
        raise  # the peer has gone
    except Exception:
        log.exception("x %s: a fault in the registry", request.remote)
        return refusal(Refused(500, "internal", "The registry has a fault; its log says more."))


async def run(chosen: argparse.Namespace) -> None:
    """Put the parts together and serve until Ctrl-C."""
    if (hindrance := state_files.take_over(chosen.state)) is not None:
        log.warning("%s", state_files.unwritable(hindrance, chosen.state))
    shared, is_new = secret.load_or_create(chosen.secret_file)
    hosts = [chosen.host] if chosen.host else None
    renewal: Renewal | None = None
    if chosen.tls:
        lan = addresses.listening(hosts)
        named = [chosen.host] if chosen.host and not lan else []
        renewal = Renewal(
            Authority(chosen.state / "certs"), hosts, [*addresses.host_names(), *named]
        )
    served = renewal.served if renewal else None
    runner = web.AppRunner(
        application(Registry(chosen.state, shared), served.ca_pem if served else None),
        handle_signals=False,
        access_log=None,
        logger=aiohttp_insides.LOG,
        keepalive_timeout=_KEEPALIVE,
        shutdown_timeout=_STOP_BUDGET,
    )
    await runner.setup()
    asyncio.get_running_loop().set_exception_handler(loop_errors.unhandled)
    try:
        server = runner.server
        assert server is not None
        room = limits.make_room(MAX_CONNECTIONS + _OTHER_FILES)
        lobby = limits.Lobby(max(1, room - _OTHER_FILES))
        scheduler = Scheduler(asyncio.get_running_loop().call_soon)
        context = (lambda: renewal.context) if renewal else None
        gate = Gate(
            lobby,
            context,
            lambda seat: aiohttp_insides.protocol(server, scheduler.share(seat.address)),
            plain=_plain,
        )
        port = await gate.open(hosts, chosen.port)
        if renewal:
            renewal.start(lambda: None)
        for sentence in served.warnings if served else ():
            log.warning("%s", sentence)
        print(
            _greeting(
                _urls(chosen, port),
                served.fingerprint if served else "",
                chosen.secret_file,
                is_new,
            ),
            flush=True,
        )
        stop = asyncio.Event()
        for number in console.ends():
            with contextlib.suppress(
                NotImplementedError
            ):  # Windows: Ctrl-C arrives as KeyboardInterrupt
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
        gate.close()
    finally:
        if renewal:
            await renewal.stop()
        await runner.cleanup()


def _plain(head: bytes, *_: str) -> bytes:
    """Send to https who comes by http. No host is checked here, either: see `application`."""
    try:
        return plain_http.redirect(plain_http.location(head, lambda host: None), {})
    except Denied as denied:
        body = json.dumps({"error": denied.id, "text": str(denied)}).encode()
        return plain_http.response(denied.status, {"Content-Type": "application/json"}, body)


def _urls(chosen: argparse.Namespace, port: int) -> list[str]:
    """Where this registry can be reached, likeliest first."""
    lan = addresses.listening([chosen.host] if chosen.host else None)
    hosts = [str(ip) for ip in lan] or [chosen.host or "localhost"]
    return [
        addresses.url("https" if chosen.tls else "http", host, port).rstrip("/") for host in hosts
    ]


def _greeting(urls: list[str], fingerprint: str, secret_file: Path, is_new: bool) -> str:
    mark = (
        '"' if os.name == "nt" else "'"
    )  # cmd knows no other, and a shell must not take # for a comment
    pin = f"#sha256={fingerprint}" if fingerprint else ""
    others = [f"  or at       {url}" for url in urls[1:]]
    lines = [
        f"The registry is at {urls[0]}",
        *others,
        "",
        f"{'A secret was made' if is_new else 'The secret is'} in {secret_file.absolute()}.",
        (
            "Copy this file into the state folder of every relay, and only there: its holder "
            "can send the phones elsewhere. For example:"
        ),
        f"  {quoted(['scp', str(secret_file.absolute()), f'relay:drawercam/state/{secret.FILE}'])}",
        "Then start the relays with:",
        (
            f"  {'drawercam' if IS_INSTALLED else f'{PYTHON} relay.py'} --tls --registry "
            f"{mark}{urls[0]}{pin}{mark}"
        ),
        "",
        "Press Ctrl-C to stop.",
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """The program; returns its exit status."""
    chosen = options(arguments)
    with console.unhurried():
        return _serve(chosen)


def _serve(chosen: argparse.Namespace) -> int:
    log_limit.install("INFO")
    try:
        asyncio.run(run(chosen))
    except KeyboardInterrupt:
        pass
    except (secret.SecretError, AuthorityError) as error:
        console.complain(error, chosen.state)
        return 1
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        hint = (
            "Is another one running? --port chooses another port."
            if taken
            else f"({error.filename or chosen.host or 'the network'})"
        )
        console.complain(
            f"The registry cannot start: {error.strerror or error}. {hint}", chosen.state
        )
        return 1
    return 0
