"""One relay: its parts put together, started, told of each other's news, and stopped."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from certs import Authority, OwnCertificate, Served
from certs.renewal import Renewal
from drawercam.access.grants import Access
from drawercam.access.key import ALL, Key
from drawercam.access.key_file import FIRST_LABEL
from drawercam.access.keys import Keyring
from drawercam.discovery.mdns import Beacon
from drawercam.discovery.registry_client import Announcer
from drawercam.live.gone import Departures
from drawercam.live.gone_file import GoneFile
from drawercam.live.hub import Hub
from drawercam.live.pausing import PausePolicy, Policy
from drawercam.live.relay_clock import RelayClock
from drawercam.server import free_memory as heap
from drawercam.server.admission.entrance import Entrance
from drawercam.server.admission.reverse_proxies import Proxies
from drawercam.server.http.site import Site
from drawercam.server.http.trust_page import PAGE_PATH, TrustPage
from drawercam.server.server import Server
from groundwork import addresses, console
from groundwork import command_lines as commandline
from groundwork import loop_errors as faults
from groundwork import state_files as files
from groundwork.addresses import IPAddress
from groundwork.running_relay import Notice, Running
from ip_registry import secret
from ip_registry.messages import MAX_URLS, Announcement
from ip_registry.registry import Registry

from . import banner
from .banner import Reach
from .outer_address import Outside, short

log = logging.getLogger(__name__)

_NOTE_LIMIT = 0.5
"""Seconds that a relay which stops waits for word of its last move to be written. What is written later is not believed."""


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
        if chosen.keys or (chosen.tls and not (chosen.cert and not chosen.serve_registry)):  # else there is nothing to keep
            self._hindrance = files.take_over(chosen.state)
        files.spares.keep()
        departures = Departures()
        self._gone = GoneFile(chosen.state, departures)
        self._chosen = chosen
        self._root = root
        self._scheme = "https" if chosen.tls else "http"
        self._port = self._trust_port = 0
        named = [chosen.host] if chosen.host and not addresses.listening(chosen.hosts) else []
        self._outside: Outside = chosen.outside
        self._names = [*addresses.host_names(), *named, *self._outside.names]
        source = OwnCertificate(chosen.cert, chosen.key) if chosen.cert else Authority(chosen.state / "certs")
        self._renewal = Renewal(source, chosen.hosts, self._names, present=self._listening) if chosen.tls else None
        self._ring = self._keys() if chosen.keys else None
        self._film, self._watch = self._ring.for_links() if self._ring else (None, None)
        self._access = Access(self._ring, sites=self._outside.sites(), tls=chosen.tls, tickets=chosen.registry is not None)
        self._learn_hosts()
        self._announcer: Announcer | None = None
        if chosen.registry:
            self._announcer = Announcer(chosen.registry, secret.load(chosen.registry_secret_file), self._announcement)
        registry = None
        if chosen.serve_registry:
            registry = Registry(chosen.state, secret.load_or_create(chosen.registry_secret_file)[0], own=self._announcement)
        proxies = Proxies(
            self._outside.proxies,
            alone=bool(self._outside.proxies) and not chosen.tls,
            no_proxy=not chosen.keys and not chosen.no_key,
        )
        site = Site(
            hub=Hub(RelayClock(), Policy(PausePolicy(chosen.pause_policy), frozenset(chosen.always_on)), _later, departures),
            entrance=Entrance(self._access, chosen.tls, proxies),
            root=root,
            authority=lambda: self._served.ca_pem if self._served else b"",
            camera_urls=lambda: self._urls("/camera.html"),
            player_urls=lambda: self._urls("/player.html"),
            trust_url=self._trust_url,
            reach=self._reach,
            registry=chosen.registry.origin if chosen.registry else "",
            served_registry=registry,
            relay=chosen.relay_name,
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
        asyncio.get_running_loop().set_exception_handler(faults.unhandled)
        self._port = await self._server.start(chosen.hosts, chosen.port, (lambda: renewal.context) if renewal else None)
        await self._gone.start()  # not before: where another relay has this port, the folder is that one's, too
        if renewal:
            await self._start_trust_page(renewal)
            if not chosen.no_mdns:
                self._beacon = Beacon(chosen.relay_name, self._port, True, renewal.served.fingerprint)
                self._beacon.start(self._outward)
            renewal.start(self._moved)
        if self._announcer:
            self._announcer.start()
        heap.settle()
        await self._note()
        if self._hindrance is not None:
            log.warning(
                "%s The relay goes on with the keys and certificates that are there, and forgets at its end what changes: keys that are "
                "revoked, cameras that are gone. Other commands do not know where it listens.",
                files.unwritable(self._hindrance, chosen.state),
            )
        await self._show()

    async def stop(self) -> None:
        """Say good-bye to everybody at once, each within its own budget."""
        parts = (self._renewal, self._trust, self._beacon, self._announcer)
        await asyncio.gather(self._take_notice_down(), self._say_good_bye(), *(part.stop() for part in parts if part is not None))

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
            raise files.unusable(error, self._chosen.state, "keys") from None

    async def _start_trust_page(self, renewal: Renewal) -> None:
        """A relay without it is better than none: another program may have its port."""
        if self._chosen.no_trust_page or not renewal.served.ca_pem:
            return
        most = self._server.capacity.trust
        trust = TrustPage(lambda: renewal.served, self._port, self._access.check_host, self._root / "web", most)
        try:
            self._trust_port = await trust.start(self._chosen.hosts, self._chosen.trust_port)
        except OSError as error:
            log.warning(
                "There is no page that tells phones how to trust this relay: port %d cannot be had (%s). --trust-port chooses another one.",
                self._chosen.trust_port,
                error.strerror or error,
            )
            return
        self._trust = trust

    # --- where it is ---

    @property
    def _served(self) -> Served | None:
        return self._renewal.served if self._renewal else None

    @property
    def _present(self) -> Sequence[IPAddress]:
        return self._renewal.addresses if self._renewal else self._listening(self._chosen.hosts)

    def _listening(self, hosts: Sequence[str] | None) -> list[IPAddress]:
        """Its addresses now; those that were named as its own come first, because others may lead nowhere, as in a container."""
        return [*dict.fromkeys([*self._outside.addresses, *addresses.listening(hosts)])]

    @property
    def _outward(self) -> list[IPAddress]:
        """The addresses that others can reach."""
        return [ip for ip in self._present if not ip.is_loopback]

    def _hosts(self) -> list[str]:
        return self._renewal.hosts() if self._renewal else ["localhost"]

    def _urls(self, path: str, key: Key | None = None) -> list[str]:
        fragment = f"#key={key.secret}" if key else ""
        return [origin + path + fragment for origin in self._origins()]

    def _origins(self) -> list[str]:
        """Where pages can be opened, likeliest first."""
        outer = self._outside.origins(self._scheme, self._port)
        own = [addresses.url(self._scheme, host, self._port).rstrip("/") for host in self._hosts() if host not in outer.values()]
        if self._outside.proxies and not self._chosen.tls:
            return [*outer] or own  # all others are turned away
        return [*outer, *own] if self._chosen.tls else [*own, *outer]

    def _trust_url(self) -> str:
        return addresses.url("http", self._hosts()[0], self._trust_port, PAGE_PATH) if self._trust_port else ""

    def _announcement(self) -> Announcement | None:
        """What registries are told; loopback only where the relay is nowhere else."""
        origins = [addresses.url(self._scheme, ip, self._port).rstrip("/") for ip in self._outward or self._present]
        fingerprint = self._served.fingerprint if self._served else ""
        return Announcement(self._chosen.relay_name, tuple(origins[:MAX_URLS]), fingerprint) if origins else None

    def _learn_hosts(self) -> None:
        certified = self._served.names if self._served else ()
        self._access.set_hosts([*self._names, addresses.short_name(), *certified], self._present)

    def _moved(self) -> None:
        """Addresses or certificate have changed."""
        self._learn_hosts()
        if self._beacon:
            self._beacon.update(self._outward)
        if self._announcer:
            self._announcer.changed()
        self._telling = asyncio.create_task(self._tell(self._telling), name="notice")

    # --- what it says ---

    async def _tell(self, before: asyncio.Task[None] | None) -> None:
        """Tell where it is now."""
        if before is not None:
            await before
        await self._note()
        if self._origins()[0] != self._shown:  # the codes on the screen lead nowhere now
            await self._show()

    async def _note(self) -> None:
        """Leave word for the commands on this computer; without it they go by their defaults, and say so."""
        served, local = self._served, addresses.from_here(self._chosen.hosts)
        covered = served is None or bool(served.ca_pem) or served.covers(addresses.parsed(local) or local)
        running = Running(
            scheme=self._scheme,
            port=self._port,
            hosts=tuple(self._hosts()),
            origins=tuple(self._origins()),
            # Somebody's own certificate is mostly for names.
            here=local if covered else self._hosts()[0],
            name=self._chosen.relay_name,
            keys=self._ring is not None,
            authority=bool(served and served.ca_pem),
            fingerprint=served.fingerprint if served else "",
            trust=self._trust_url(),
        )
        try:
            await asyncio.to_thread(self._notice.put_up, running)
        except OSError as error:
            if self._hindrance is None:  # which is said at the start
                log.warning(
                    "Nothing can be written into %s (%s), so other commands on this computer do not know where this relay listens.",
                    self._chosen.state,
                    error.strerror or error,
                )

    async def _show(self) -> None:
        own_url, own_command = self._own() if not self._shown else ("", "")  # once
        self._shown = self._origins()[0]
        chosen = self._chosen
        films, watches = self._urls("/camera.html", self._film), self._urls("/player.html", self._watch)
        served = self._served
        facts = banner.Facts(
            tls=chosen.tls,
            port=self._port,
            camera_url=films[0],
            player_url=watches[0],
            other_camera_urls=tuple(films[1:]),
            other_player_urls=tuple(watches[1:]),
            trust_url=self._trust_url(),
            ca_url=self._urls("/ca.crt")[0] if served and served.ca_pem else "",
            fingerprint=served.fingerprint if served else "",
            keys=self._ring is not None,
            own_url=own_url,
            own_command=own_command,
            proxies=tuple(map(short, self._outside.proxies)),
            warnings=served.warnings if served else (),
            reach=self._reach(),
            command=commandline.with_tls(chosen.typed),
            advice=(*self._outside.missing(chosen.tls, chosen.hosts, chosen.typed), *self._without_key()),
        )
        print(banner.banner_for(facts, sys.stdout, codes=not chosen.no_qr), end="")
        if why := await asyncio.to_thread(console.unseen, sys.stdout):  # which waits for a reader
            log.warning("The links cannot be printed here (%s). %s", why, self._elsewhere())

    def _elsewhere(self) -> str:
        """Where else a link is to be had. The log gets no key: others may read it."""
        if self._ring is None:
            return f"Watch at {self._urls('/player.html')[0]}, film at {self._urls('/camera.html')[0]}"
        command = commandline.command("keys", "add", "--watch", "all", state=self._state_to_type())
        return f"To have one, type: {command} (or --publish)"

    def _reach(self) -> Reach:
        if self._outside.origins(self._scheme, self._port) and (self._chosen.tls or self._outside.proxies):
            return Reach.NETWORK
        if not self._chosen.tls:
            return Reach.BEHIND if self._outside.proxies else Reach.PLAIN
        if not addresses.is_loopback(self._hosts()[0]):
            return Reach.NETWORK
        return Reach.HOST if self._chosen.hosts else Reach.OFFLINE

    def _own(self) -> tuple[str, str]:
        """On a terminal, the first start makes a key for its owner: its link. Else, where there is none, the command that makes one."""
        if self._ring is None:
            return "", ""
        if self._ring.is_new and sys.stdout.isatty():
            with contextlib.suppress(OSError):  # the disk is full now
                return self._urls("/player.html", self._ring.add(ALL, ALL, label=FIRST_LABEL))[0], ""
        there = any(key.manages for key in self._ring.live)
        return "", "" if there else commandline.command("keys", "add", "--own", state=self._state_to_type())

    def _state_to_type(self) -> Path | None:
        """The state folder, where a command has to name it."""
        return None if self._chosen.state.resolve() == (self._root / "state").resolve() else self._chosen.state

    def _without_key(self) -> Iterator[tuple[str, str]]:
        """What to say when the keys that belong into the printed links have been revoked."""
        if self._ring is None:
            return
        for key, link, option in ((self._film, "Film", "--publish"), (self._watch, "Watch", "--watch")):
            if key is None:
                command = commandline.command("keys", "add", option, "all", state=self._state_to_type())
                yield f"Warning: The link to {link} has no key, because that was revoked. To make one, type:", command


def _later(seconds: float, work: Callable[[], None]) -> None:
    """See gathering.Later."""
    asyncio.get_running_loop().call_later(seconds, work)
