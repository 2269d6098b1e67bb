"""The relay itself: its options, its parts, and how long it runs."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import logging
import re
import socket
from pathlib import Path

from certs import AuthorityError
from drawercam import outer_address
from drawercam.assembly import Relay
from drawercam.discovery.registry_client import Address
from groundwork import console, log_limit
from groundwork.addresses import PLAIN_PORT, TLS_PORT
from groundwork.bootstrap import IS_INSTALLED, ROOT, state_folder
from groundwork.command_lines import Parser, called, port
from groundwork.names import NAME, NAME_RULE
from ip_registry.secret import SecretError

TRUST_PORT = 8088


def main(arguments: list[str]) -> int:
    """The command without a name of its own; returns its exit status."""
    chosen = options(arguments)
    with console.unhurried():
        return _serve(chosen)


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; exits with a sentence when it is wrong."""
    more = (
        f"Other commands: {called('keys')} (who may film and watch), {called('find')} "
        "(relays in this "
        f"network), {called('film')} (a camera without a browser); each has --help."
    )
    what = "Phones film, every browser in the network watches."
    parser = Parser(
        prog=called(),
        description=what,
        epilog=more,
        commands=("keys", "find", "film"),
        example="--tls",
    )
    parser.add_argument(
        "--tls", action="store_true", help="serve https to the whole network; phones need it"
    )
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        help="address to listen on (default: all with --tls, this computer only without)",
    )
    ports = f"port to listen on (default: {TLS_PORT} with --tls, {PLAIN_PORT} without)"
    parser.add_argument("--port", type=port(), metavar="PORT", help=ports)
    where = state_folder()
    state = (
        "where keys and certificates are kept (default: "
        f"{where if IS_INSTALLED else 'state/ beside the program'})"
    )
    parser.add_argument("--state", type=Path, default=where, metavar="DIR", help=state)
    outer_address.add_options(parser)
    parser.add_argument(
        "--cert",
        type=Path,
        metavar="FILE",
        help="a certificate of your own (PEM, with --key); none is made then",
    )
    parser.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="the private key of --cert (PEM, without passphrase)",
    )
    parser.add_argument(
        "--no-trust-page",
        action="store_true",
        help="do not serve the page on which phones learn to trust this computer",
    )
    trust = f"port of that page, by plain http (default: {TRUST_PORT}; 0 lets the system choose)"
    parser.add_argument("--trust-port", type=port(), default=TRUST_PORT, metavar="PORT", help=trust)
    parser.add_argument(
        "--no-mdns",
        action="store_true",
        help="do not tell the network by multicast DNS where this relay is",
    )
    parser.add_argument(
        "--registry", metavar="URL", help="a registry to which this relay tells where it is"
    )
    secret = (
        "the secret that registry and relays share (default: registry-secret in the state folder)"
    )
    parser.add_argument("--registry-secret-file", type=Path, metavar="FILE", help=secret)
    parser.add_argument(
        "--relay-name",
        metavar="NAME",
        help="what this relay is called there (default: this computer's name)",
    )
    parser.add_argument(
        "--serve-registry", action="store_true", help="be a registry for other relays, too"
    )
    parser.add_argument(
        "--no-key", action="store_true", help="let everybody in the network film and watch"
    )
    whose = "whose votes pause a camera: of all who watch it (default), of any, or never"
    parser.add_argument(
        "--pause-policy", choices=["all", "any", "never"], default="all", help=whose
    )
    awake = "cameras that film also while nobody watches"
    parser.add_argument(
        "--always-on", nargs="+", action="extend", default=[], metavar="NAME", help=awake
    )
    parser.add_argument("--no-qr", action="store_true", help="print no QR codes")
    parser.add_argument(
        "--no-install", action="store_true", help="do not install missing libraries"
    )
    levels = ["debug", "info", "warning", "error"]
    parser.add_argument(
        "--log-level", choices=levels, default="info", help="how much to say (default: info)"
    )
    chosen = parser.parse_args(arguments)
    chosen.typed = list(arguments)
    outer_address.settle(parser, chosen)
    if chosen.host is None:
        chosen.hosts = None if chosen.tls else ["127.0.0.1", "::1"]
    else:
        chosen.hosts = [chosen.host]
        if (
            not chosen.tls
            and not chosen.outside.proxies
            and chosen.host not in ("127.0.0.1", "::1", "localhost")
        ):
            parser.error(
                "without --tls the relay listens on this computer only; add --tls to be "
                f"reached at {chosen.host}, or --proxy with the "
                "address of the proxy that hands requests on to it"
            )
    if chosen.port is None:
        chosen.port = TLS_PORT if chosen.tls else PLAIN_PORT
    wrong = [name for name in chosen.always_on if not NAME.fullmatch(name)]
    if wrong:
        parser.error(f"--always-on: {wrong[0]!r} is no name: {NAME_RULE}")
    if (chosen.cert is None) != (chosen.key is None):
        parser.error(
            "--cert and --key belong together: a certificate, and the private key that it "
            "was made for"
        )
    if chosen.cert is not None and not chosen.tls:
        parser.error("--cert is for https: add --tls")
    missing = [
        file for file in (chosen.cert, chosen.key) if file is not None and not file.is_file()
    ]
    if missing:
        parser.error(f"there is no file {missing[0]}")
    if chosen.registry is not None:
        try:
            chosen.registry = Address.parse(chosen.registry)
        except ValueError as error:
            parser.error(f"--registry: {error}")
    if (chosen.registry or chosen.serve_registry) and not chosen.tls:
        parser.error(
            "--registry and --serve-registry are for a relay that others can reach: add --tls"
        )
    if chosen.relay_name is None:
        chosen.relay_name = _default_name()
    elif not NAME.fullmatch(chosen.relay_name):
        parser.error(f"--relay-name: {chosen.relay_name!r} is no name: {NAME_RULE}")
    if chosen.registry_secret_file is None:
        chosen.registry_secret_file = chosen.state / "registry-secret"
    return chosen


def _default_name() -> str:
    """This computer's short name, in the characters that a name may have."""
    short = socket.gethostname().partition(".")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", short).strip("-")[:32] or "drawercam"


async def run(chosen: argparse.Namespace) -> None:
    """Put the parts together and serve until Ctrl-C."""
    relay = Relay(chosen, ROOT)
    try:
        stop = asyncio.Event()
        for number in console.ends():
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C is a KeyboardInterrupt
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await relay.start()
        console.forget(chosen.state)
        await stop.wait()
    finally:
        await relay.stop()


def _serve(chosen: argparse.Namespace) -> int:
    log_limit.install(chosen.log_level.upper())
    logging.getLogger("websockets").setLevel(logging.WARNING)
    loop_factory = None
    with contextlib.suppress(ImportError):  # uvloop is a help, not a need
        import uvloop

        loop_factory = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(run(chosen))
    except KeyboardInterrupt:
        pass
    except (AuthorityError, SecretError) as error:
        console.complain(error, chosen.state)
        return 1
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        hint = (
            "Is another one running? --port chooses another port."
            if taken
            else f"({error.filename or chosen.host or 'the network'})"
        )
        console.complain(f"The relay cannot start: {error.strerror or error}. {hint}", chosen.state)
        return 1
    return 0
