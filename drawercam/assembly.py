"""One relay: its parts put together, started, told of each other's news, and stopped."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from certs import Authority, OwnCertificate
from certs.renewal import Renewal
from drawercam.access.grants import Access
from drawercam.access.keys import Keyring
from drawercam.discovery.mdns import Beacon
from drawercam.discovery.registry_client import Announcer
from drawercam.live.gone import Departures
from drawercam.live.gone_file import GoneFile
from drawercam.live.hub import Hub
from drawercam.live.pausing import PausePolicy, Policy
from drawercam.live.relay_clock import RelayClock
from drawercam.server import free_memory
from drawercam.server.admission.entrance import Entrance
from drawercam.server.admission.reverse_proxies import Proxies
from drawercam.server.http.site import Site
from drawercam.server.http.static_files import version_of
from drawercam.server.http.trust_page import TrustPage
from drawercam.server.server import Server
from groundwork import addresses, command_lines, console, loop_errors, state_files
from groundwork.bootstrap import state_folder
from groundwork.running_relay import Notice, Running
from ip_registry import secret
from ip_registry.messages import Announcement
from ip_registry.registry import Registry

from . import banner
from .outer_address import Outside, short
from .printed_links import PrintedLinks
from .whereabouts import Whereabouts

log = logging.getLogger(__name__)

_NOTE_LIMIT = 0.5
"""Seconds that a relay which stops waits for word of its last move to be written.

What is written later is not believed.
"""


class Relay:
    """What `relay.py` runs.

    Args:
        chosen: What `drawercam.commands.serve.options` gives.
        root: The folder with the pages.

    Raises:
        AuthorityError: There is no certificate to serve.
        SecretError: The registry's secret cannot be had.
        OSError: The state folder cannot be used.
    """

    def __init__(self, chosen: argparse.Namespace, root: Path) -> None:
        self._hindrance: OSError | None = None
        if chosen.keys or (
            chosen.tls and not (chosen.cert and not chosen.serve_registry)
        ):  # else there is nothing to keep
            self._hindrance = state_files.take_over(chosen.state)
        state_files.spares.keep()
        departures = Departures()
        self._gone = GoneFile(chosen.state, departures)
        self._chosen = chosen
        self._root = root
        named = [chosen.host] if chosen.host and not addresses.listening(chosen.hosts) else []
        self._outside: Outside = chosen.outside
        self._names = [*addresses.host_names(), *named, *self._outside.names]
        source = (
            OwnCertificate(chosen.cert, chosen.key)
            if chosen.cert
            else Authority(chosen.state / "certs")
        )
        self._renewal = (
            Renewal(source, chosen.hosts, self._names, present=self._outside.listening)
            if chosen.tls
            else None
        )
        self._where = Whereabouts(chosen.tls, chosen.hosts, self._outside, self._renewal)
        self._ring = self._keys() if chosen.keys else None
        to_type = None if chosen.state.resolve() == state_folder().resolve() else chosen.state
        self._links = PrintedLinks(self._ring, self._where, to_type)
        self._access = Access(
            self._ring,
            sites=self._outside.sites(),
            tls=chosen.tls,
            tickets=chosen.registry is not None,
        )
        self._learn_hosts()
        self._announcer: Announcer | None = None
        if chosen.registry:
            self._announcer = Announcer(
                chosen.registry, secret.load(chosen.registry_secret_file), self._announced
            )
        registry = None
        if chosen.serve_registry:
            registry = Registry(
                chosen.state,
                secret.load_or_create(chosen.registry_secret_file)[0],
                own=self._announced,
            )
        proxies = Proxies(
            self._outside.proxies,
            alone=bool(self._outside.proxies) and not chosen.tls,
            no_proxy=not chosen.keys and not chosen.no_key,
        )
        site = Site(
            hub=Hub(
                RelayClock(),
                Policy(PausePolicy(chosen.pause_policy), frozenset(chosen.always_on)),
                _later,
                departures,
            ),
            entrance=Entrance(self._access, chosen.tls, proxies),
            root=root,
            authority=lambda: self._where.served.ca_pem if self._where.served else b"",
            camera_urls=lambda: self._where.urls("/camera.html"),
            player_urls=lambda: self._where.urls("/player.html"),
            trust_url=self._where.trust_url,
            reach=self._where.reach,
            registry=chosen.registry.origin if chosen.registry else "",
            served_registry=registry,
            relay=chosen.relay_name,
            version=version_of(root),
        )
        self._server = Server(site)
        self._trust: TrustPage | None = None
        self._beacon: Beacon | None = None
        self._shown = ""
        self._notice = Notice(chosen.state)
        self._telling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and print where.

        Raises:
            OSError: An address cannot be had.
        """
        chosen, renewal = self._chosen, self._renewal
        asyncio.get_running_loop().set_exception_handler(loop_errors.unhandled)
        self._where.port = await self._server.start(
            chosen.hosts, chosen.port, (lambda: renewal.context) if renewal else None
        )
        await (
            self._gone.start()
        )  # not before: where another relay has this port, the folder is that one's, too
        if renewal:
            await self._start_trust_page(renewal)
            if not chosen.no_mdns:
                self._beacon = Beacon(
                    chosen.relay_name, self._where.port, True, renewal.served.fingerprint
                )
                self._beacon.start(self._where.outward)
            renewal.start(self._moved)
        if self._announcer:
            self._announcer.start()
        free_memory.settle()
        await self._note()
        if self._hindrance is not None:
            log.warning(
                "%s The relay goes on with the keys and certificates that are there, and "
                "forgets at its end what changes: keys that are "
                "revoked, cameras that are gone. Other commands do not know where it listens.",
                state_files.unwritable(self._hindrance, chosen.state),
            )
        await self._show()

    async def stop(self) -> None:
        """Say good-bye to everybody at once, each within its own budget."""
        parts = (self._renewal, self._trust, self._beacon, self._announcer)
        await asyncio.gather(
            self._take_notice_down(),
            self._say_good_bye(),
            *(part.stop() for part in parts if part is not None),
        )

    async def _take_notice_down(self) -> None:
        if self._telling is not None:
            await asyncio.wait([self._telling], timeout=_NOTE_LIMIT)
        self._notice.take_down()

    async def _say_good_bye(self) -> None:
        try:
            await self._server.stop()
        finally:
            await self._gone.stop()  # when all cameras are gone

    # --- parts ---

    def _keys(self) -> Keyring:
        try:
            return Keyring.open(self._chosen.state)
        except OSError as error:
            raise state_files.unusable(error, self._chosen.state, "keys") from None

    async def _start_trust_page(self, renewal: Renewal) -> None:
        """A relay without it is better than none: another program may have its port."""
        if self._chosen.no_trust_page or not renewal.served.ca_pem:
            return
        most = self._server.capacity.trust
        trust = TrustPage(
            lambda: renewal.served,
            self._where.port,
            self._access.check_host,
            self._root / "web",
            most,
        )
        try:
            self._where.trust_port = await trust.start(self._chosen.hosts, self._chosen.trust_port)
        except OSError as error:
            log.warning(
                (
                    "There is no page that tells phones how to trust this relay: port %d "
                    "cannot be had (%s). --trust-port chooses another one."
                ),
                self._chosen.trust_port,
                error.strerror or error,
            )
            return
        self._trust = trust

    # --- where it is ---

    def _announced(self) -> Announcement | None:
        """See Whereabouts.announcement."""
        return self._where.announcement(self._chosen.relay_name)

    def _learn_hosts(self) -> None:
        certified = self._where.served.names if self._where.served else ()
        self._access.set_hosts(
            [*self._names, addresses.short_name(), *certified], self._where.present
        )

    def _moved(self) -> None:
        """Addresses or certificate have changed."""
        self._learn_hosts()
        if self._beacon:
            self._beacon.update(self._where.outward)
        if self._announcer:
            self._announcer.changed()
        self._telling = asyncio.create_task(self._tell(self._telling), name="notice")

    # --- what it says ---

    async def _tell(self, before: asyncio.Task[None] | None) -> None:
        """Tell where it is now."""
        if before is not None:
            await before
        await self._note()
        if self._where.origins()[0] != self._shown:  # the codes on the screen lead nowhere now
            await self._show()

    async def _note(self) -> None:
        """Leave word for the commands on this computer; without it they go by their defaults, and
        say so.
        """
        served, local = self._where.served, addresses.from_here(self._chosen.hosts)
        covered = (
            served is None or bool(served.ca_pem) or served.covers(addresses.parsed(local) or local)
        )
        running = Running(
            scheme=self._where.scheme,
            port=self._where.port,
            hosts=tuple(self._where.hosts()),
            origins=tuple(self._where.origins()),
            # Somebody's own certificate is mostly for names.
            here=local if covered else self._where.hosts()[0],
            name=self._chosen.relay_name,
            keys=self._ring is not None,
            authority=bool(served and served.ca_pem),
            fingerprint=served.fingerprint if served else "",
            trust=self._where.trust_url(),
        )
        try:
            await asyncio.to_thread(self._notice.put_up, running)
        except OSError as error:
            if self._hindrance is None:  # which is said at the start
                log.warning(
                    (
                        "Nothing can be written into %s (%s), so other commands on this "
                        "computer do not know where this relay listens."
                    ),
                    self._chosen.state,
                    error.strerror or error,
                )

    async def _show(self) -> None:
        own_url, own_command = (
            self._links.own(sys.stdout.isatty()) if not self._shown else ("", "")
        )  # once
        self._shown = self._where.origins()[0]
        chosen = self._chosen
        films, watches = self._links.film(), self._links.watch()
        served = self._where.served
        facts = banner.Facts(
            tls=chosen.tls,
            port=self._where.port,
            camera_url=films[0],
            player_url=watches[0],
            other_camera_urls=tuple(films[1:]),
            other_player_urls=tuple(watches[1:]),
            trust_url=self._where.trust_url(),
            ca_url=self._where.urls("/ca.crt")[0] if served and served.ca_pem else "",
            fingerprint=served.fingerprint if served else "",
            keys=self._ring is not None,
            own_url=own_url,
            own_command=own_command,
            proxies=tuple(map(short, self._outside.proxies)),
            warnings=served.warnings if served else (),
            reach=self._where.reach(),
            command=command_lines.with_tls(chosen.typed),
            advice=(
                *self._outside.missing(chosen.tls, chosen.hosts, chosen.typed),
                *self._links.missing(),
            ),
        )
        print(banner.banner_for(facts, sys.stdout, codes=not chosen.no_qr), end="")
        if why := await asyncio.to_thread(console.unseen, sys.stdout):  # which waits for a reader
            log.warning("The links cannot be printed here (%s). %s", why, self._links.elsewhere())


def _later(seconds: float, work: Callable[[], None]) -> None:
    """See gathering.Later."""
    asyncio.get_running_loop().call_later(seconds, work)
