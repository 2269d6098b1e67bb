"""drawercam's relay: `python3 relay.py --tls`, then open the printed addresses on a phone and on anything else.

Options, parts, run; nothing else. The libraries may be missing at the first start, so they are imported only after `ensure_libraries`.
"""

import argparse
import asyncio
import contextlib
import errno
import logging
import signal
import sys
from pathlib import Path

from drawercam.bootstrap import ensure_libraries

ROOT = Path(__file__).resolve().parent
TLS_PORT = 8443
PLAIN_PORT = 8080


def options(arguments: "list[str]") -> argparse.Namespace:
    """Read the command line; exits with a sentence when it is wrong."""
    parser = argparse.ArgumentParser(prog="relay.py", description="Phones film, every browser in the network watches.")
    parser.add_argument("--tls", action="store_true", help="serve https to the whole network; phones need it")
    parser.add_argument("--host", help="address to listen on (default: all with --tls, this computer only without)")
    parser.add_argument("--port", type=int, help=f"port to listen on (default: {TLS_PORT} with --tls, {PLAIN_PORT} without)")
    parser.add_argument("--state", type=Path, default=ROOT / "state", metavar="DIR", help="where keys and certificates are kept")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="another name under which the relay is reached")
    parser.add_argument("--no-key", action="store_true", help="let everybody in the network film and watch")
    whose = "whose votes pause a camera: of all who watch it (default), of any, or never"
    parser.add_argument("--pause-policy", choices=["all", "any", "never"], default="all", help=whose)
    awake = "cameras that film also while nobody watches"
    parser.add_argument("--always-on", nargs="+", action="extend", default=[], metavar="NAME", help=awake)
    parser.add_argument("--no-qr", action="store_true", help="print no QR codes")
    parser.add_argument("--no-install", action="store_true", help="do not install missing libraries")
    levels = ["debug", "info", "warning", "error"]
    parser.add_argument("--log-level", choices=levels, default="info", help="how much to say (default: info)")
    chosen = parser.parse_args(arguments)
    from drawercam.hub import NAME, NAME_RULE

    if chosen.host is None:
        chosen.hosts = None if chosen.tls else ["127.0.0.1", "::1"]
    else:
        chosen.hosts = [chosen.host]
        if not chosen.tls and chosen.host not in ("127.0.0.1", "::1", "localhost"):
            parser.error("without --tls the relay listens on this computer only; add --tls to be reached at " + chosen.host)
    if chosen.port is None:
        chosen.port = TLS_PORT if chosen.tls else PLAIN_PORT
    if not 0 <= chosen.port < 65536:
        parser.error("a port is a number from 0 to 65535")
    wrong = [name for name in chosen.always_on if not NAME.fullmatch(name)]
    if wrong:
        parser.error(f"--always-on: {wrong[0]!r} is no name: {NAME_RULE}")
    return chosen


async def run(chosen: argparse.Namespace) -> None:
    """Put the parts together and serve until Ctrl-C."""
    from certs.authority import Authority
    from drawercam import addresses, banner
    from drawercam.access import Access, Keys, Role
    from drawercam.clock import RelayClock
    from drawercam.hub import Hub
    from drawercam.policy import PausePolicy, Policy
    from drawercam.server.http import Site
    from drawercam.server.server import Server

    lan = addresses.listening(chosen.hosts)
    named = [chosen.host] if chosen.host and not lan else []
    names = [*addresses.host_names(), *named, *chosen.allow_host]
    served = Authority(chosen.state / "certs").ensure(lan, names) if chosen.tls else None
    keys = Keys.load_or_create(chosen.state) if chosen.tls and not chosen.no_key else None
    scheme = "https" if chosen.tls else "http"
    reachable = [str(ip) for ip in lan if not ip.is_loopback] or named or ["localhost"]

    def urls(path: str, role: "Role | None" = None) -> "list[str]":
        fragment = f"#key={keys.key(role)}" if keys and role else ""
        return [addresses.url(scheme, host, site_port, path) + fragment for host in reachable]

    site = Site(
        hub=Hub(RelayClock(), Policy(PausePolicy(chosen.pause_policy), frozenset(chosen.always_on))),
        access=Access(keys, {name.lower() for name in names}),
        root=ROOT,
        tls=chosen.tls,
        ca=served.ca_pem if served else None,
        camera_urls=lambda: urls("/camera.html"),
    )
    server = Server(site)
    site_port = await server.start(chosen.hosts, chosen.port, served.server_context() if served else None)
    try:
        film, watch = urls("/camera.html", Role.CAMERA), urls("/player.html", Role.VIEWER)
        facts = banner.Facts(
            tls=chosen.tls,
            port=site_port,
            camera_url=film[0],
            player_url=watch[0],
            other_camera_urls=tuple(film[1:]),
            other_player_urls=tuple(watch[1:]),
            ca_url=urls("/ca.crt")[0] if served else "",
            fingerprint=served.fingerprint if served else "",
            keys=keys is not None,
        )
        print(banner.banner_for(facts, sys.stdout, codes=not chosen.no_qr), flush=True)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
    finally:
        await server.stop()


def main(arguments: "list[str]") -> int:
    """The program; returns its exit status."""
    ensure_libraries(arguments)
    from certs.authority import AuthorityError

    chosen = options(arguments)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=chosen.log_level.upper())
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
    except AuthorityError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        hint = "Is another one running? --port chooses another port." if taken else f"({error.filename or chosen.host or 'the network'})"
        print(f"The relay cannot start: {error.strerror or error}. {hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
