"""Which relays there are and where. No sockets: requests' parts in, a list out."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from groundwork import tasks
from groundwork.brief import cut
from groundwork.connections import limits
from groundwork.names import NAME, NAME_RULE

from . import messages, store
from .messages import Announcement

log = logging.getLogger(__name__)

# Relays that are known at once, those that have vanished included: more than a house has, and still
# one page to read.
MAX_RELAYS = 100

# Seconds for which the list tells that a relay has vanished: a weekend and a few days to wonder.
REMEMBERED = 7 * 24 * 3600

# Seconds between two looks at who has vanished and what is to be written.
SWEEP_INTERVAL = 1.0

# Seconds between two writings when nothing has changed but when relays were last heard: flash cards
# wear out.
IDLE_WRITE = 60.0

# Requests of one address: so many at once, and so many a second for ever. Fifty phones behind one
# router stay far below it.
BURST = 100
RATE = 20.0

# Addresses whose requests are counted (see `groundwork.connections.limits.Buckets`).
MAX_COUNTED = 1000

# Relays of one address that are there at once: more than a proxy leads to, and others always find
# room.
MAX_RELAYS_OF_ONE = MAX_RELAYS * 3 // 4

# Leading bits that two addresses of one network have in common: what homes and offices use, since
# nobody tells us their masks.
_NETWORK_BITS = {4: 24, 6: 64}


class Refused(Exception):
    """A request that is refused.

    Attributes:
        status: Of HTTP.
        id: A stable word; the message is a sentence.
        nonce: What the next request is to be signed with, or "".
    """

    def __init__(self, status: int, id: str, sentence: str, nonce: str = "") -> None:  # noqa: A002 - the wire's word
        self.status = status
        self.id = id
        self.nonce = nonce
        super().__init__(cut(sentence))


@dataclass(slots=True)
class Entry:
    """One relay.

    Attributes:
        announcement: What it said last.
        alive: It is there.
        heard: When that was, on the monotonic clock, which no change of the date moves.
        since: When it came; seen: when it was last heard. Seconds since 1970, for people.
        nonce: What its next request must be signed with.
        address: By which its address is counted; None where that is not known.
    """

    announcement: Announcement
    alive: bool
    heard: float
    since: float
    seen: float
    nonce: str
    address: str | None = None

    @property
    def name(self) -> str:
        return self.announcement.name


class Registry:
    """The list, and what is written into it."""

    def __init__(
        self,
        folder: Path,
        secret: str,
        own: Callable[[], Announcement | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            folder: Where the list is kept.
            secret: What relays sign with.
            own: Where the relay is that this registry runs in, if it does: it is always on the
                list, and nobody may announce its name.
            clock: Monotonic seconds.
            now: Seconds since 1970.
        """
        self._store = store.Store(folder / store.FILE)
        self._secret = secret
        self._own = own
        self._clock = clock
        self._now = now
        self._began = now()
        self._entries: dict[str, Entry] = {}
        # What the first request of an unknown relay must be signed with. It changes whenever one
        # has been let in, so that its announcement cannot be repeated after it was forgotten.
        self._newcomers = _nonce()
        self._requests = limits.Buckets(BURST, 1 / RATE, clock, MAX_COUNTED)
        self._changed = False
        self._written = 0.0
        self._failed = False
        self._sweeper: asyncio.Task[None] | None = None

    # --- start and stop ---

    async def start(self) -> None:
        """Read the list. Relays that were there count as there until their time is over: they have
        not noticed that we were away.

        Raises:
            OSError: The folder cannot be used.
        """
        for row in await asyncio.to_thread(self._store.load):
            self._entries[row.announcement.name] = Entry(
                row.announcement,
                row.alive,
                self._clock(),
                row.since,
                min(row.seen, self._now()),
                _nonce(),
            )
        self._written = self._clock()
        self._sweeper = asyncio.create_task(self._keep(), name="registry")

    async def stop(self) -> None:
        """Write the list for the last time."""
        if self._sweeper is None:
            return
        await tasks.end(self._sweeper)
        self._sweeper = None
        await self._write()

    # --- what relays say ---

    def announce(
        self, name: str, body: bytes, header: str | None, address: str | None = None
    ) -> str:
        """A relay says where it is.

        Args:
            name: From the path.
            body: The request's.
            header: Its `Authorization`.
            address: From where, if that is known.

        Returns:
            What its next request is to be signed with.

        Raises:
            Refused: It is not believed, not understood, or there is no room.
        """
        self._check(name, "POST", body, header)
        try:
            announcement = Announcement.parse(name, body)
        except ValueError as error:
            raise Refused(400, "bad-announcement", str(error), self._next(name)) from None
        known = self._entries.get(name)
        own = self._own()
        if (own and own.name == name) or (
            known and known.alive and _differs(known.announcement, announcement)
        ):
            sentence = (
                f"Another relay called {name} is there already; start this one with another "
                "--relay-name."
            )
            raise Refused(409, "name-taken", sentence, self._next(name))
        counted = limits.counted_once(address) if address else None
        if known is None or not known.alive:
            self._check_share(counted, self._next(name))
        if known is None:
            self._make_room(self._next(name))
            self._newcomers = _nonce()
        now = self._now()
        since = known.since if known and known.alive else now
        if known is None or not known.alive or known.announcement != announcement:
            log.info("+ %s is at %s", name, ", ".join(announcement.urls))
            self._changed = True
        nonce = _nonce()
        self._entries[name] = Entry(announcement, True, self._clock(), since, now, nonce, counted)
        return nonce

    def leave(self, name: str, header: str | None) -> str:
        """A relay says good-bye.

        Returns:
            As `announce`.

        Raises:
            Refused: It is not believed, or there is none of that name.
        """
        self._check(name, "DELETE", b"", header)
        entry = self._entries.get(name)
        if entry is None:
            self._newcomers = _nonce()
            raise Refused(
                404, "unknown-relay", f"There is no relay called {name}.", self._newcomers
            )
        entry.nonce = _nonce()
        if entry.alive:
            self._vanish(entry, "has stopped")
        return entry.nonce

    def _check(self, name: str, method: str, body: bytes, header: str | None) -> None:
        if not NAME.fullmatch(name):
            raise Refused(400, "bad-name", f"This is no name for a relay: {NAME_RULE}.")
        wanted = self._next(name)
        given = messages.nonce_and_signature(header)
        if given is None:
            raise Refused(
                401,
                "not-signed",
                "Only relays that know the registry's secret may announce themselves.",
                wanted,
            )
        nonce, signature = given
        # The signature first: who does not know the secret learns nothing from the order of things.
        if not hmac.compare_digest(
            signature, messages.sign(self._secret, method, messages.path_of(name), nonce, body)
        ):
            raise Refused(
                403,
                "wrong-secret",
                (
                    "The relay has another secret than the registry: copy the file "
                    "registry-secret again."
                ),
                wanted,
            )
        if not hmac.compare_digest(nonce, wanted):
            raise Refused(
                401,
                "stale-nonce",
                "This request was signed for another moment; sign it again.",
                wanted,
            )

    def _next(self, name: str) -> str:
        entry = self._entries.get(name)
        return entry.nonce if entry else self._newcomers

    def _check_share(self, address: str | None, nonce: str) -> None:
        held = sum(entry.alive and entry.address == address for entry in self._entries.values())
        if address is not None and held >= MAX_RELAYS_OF_ONE:
            raise Refused(
                503,
                "too-many",
                f"There are {MAX_RELAYS_OF_ONE} relays at this address already.",
                nonce,
            )

    def _make_room(self, nonce: str) -> None:
        if len(self._entries) < MAX_RELAYS:
            return
        vanished = [entry for entry in self._entries.values() if not entry.alive]
        if not vanished:
            raise Refused(503, "too-many", f"There are {MAX_RELAYS} relays already.", nonce)
        del self._entries[min(vanished, key=lambda entry: entry.seen).name]

    # --- what others ask ---

    def relays(self) -> list[Entry]:
        """All that are known, by name."""
        own = self._own_entry()
        names = {
            entry.name for entry in own
        }  # one of them may have been announced before this relay took the name
        return sorted(
            [*own, *(entry for entry in self._entries.values() if entry.name not in names)],
            key=lambda entry: entry.name,
        )

    def relay(self, name: str) -> Entry | None:
        """The relay of this name, there or vanished; None when it is unknown."""
        return next(
            (
                entry
                for entry in (*self._own_entry(), *self._entries.values())
                if entry.name == name
            ),
            None,
        )

    def _own_entry(self) -> list[Entry]:
        own = self._own()
        return [Entry(own, True, self._clock(), self._began, self._now(), "")] if own else []

    def admit(self, address: str) -> None:
        """Count a request of this address that is going to be answered. One that is not costs the
        address nothing.

        Raises:
            Refused: There were too many.
        """
        if not self._requests.take(address):
            raise Refused(
                429,
                "too-fast",
                "There were too many requests from this address; try again in a few seconds.",
            )

    # --- time ---

    def sweep(self) -> None:
        """See who has vanished. To be called about once a second."""
        for entry in list(self._entries.values()):
            if entry.alive and self._clock() - entry.heard > entry.announcement.ttl:
                self._vanish(entry, "has vanished")
            elif not entry.alive and self._clock() - entry.heard > REMEMBERED:
                del self._entries[entry.name]
                self._changed = True

    def _vanish(self, entry: Entry, how: str) -> None:
        log.info("- %s %s", entry.name, how)
        entry.alive = False
        self._changed = True

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            self.sweep()
            if self._changed or (self._entries and self._clock() - self._written > IDLE_WRITE):
                await self._write()

    async def _write(self) -> None:
        self._changed = False
        self._written = self._clock()
        rows = [
            store.Row(entry.announcement, entry.alive, entry.since, entry.seen)
            for entry in self._entries.values()
        ]
        try:
            await asyncio.to_thread(self._store.save, rows)
        except OSError as error:
            if not self._failed:
                log.warning(
                    (
                        "A restart will forget the relays until they announce themselves "
                        "again: %s (%s)."
                    ),
                    error.strerror,
                    error.filename,
                )
            self._failed = True
        else:
            self._failed = False


def nearest(urls: Iterable[str], visitor: str | None) -> list[str]:
    """The URLs, with those in front whose address is in the visitor's own network, nearest first;
    the others stay in their order.

    Args:
        urls: Of a relay.
        visitor: An IP address; anything else changes nothing.
    """
    return sorted(urls, key=lambda url: -_common_bits(urlsplit(url).hostname, visitor))


def described(entry: Entry, visitor: str | None) -> dict[str, Any]:
    """What everybody may know of a relay, as JSON; the dates in UTC (RFC 3339)."""
    return {
        "name": entry.name,
        "alive": entry.alive,
        "urls": nearest(entry.announcement.urls, visitor),
        "fingerprint": entry.announcement.fingerprint,
        "since": _date(entry.since),
        "seen": _date(entry.seen),
    }


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _common_bits(one: str | None, other: str | None) -> int:
    """Leading bits that two addresses have in common; 0 when they are not in one network."""
    first, second = _address(one), _address(other)
    if first is None or second is None or first.version != second.version:
        return 0
    if first == second:
        return first.max_prefixlen
    bits = first.max_prefixlen - (int(first) ^ int(second)).bit_length()
    return bits if bits >= _NETWORK_BITS[first.version] else 0


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    # What listens on :: sees visitors by IPv4 so (RFC 4291 2.5.5.2).
    return (address.ipv4_mapped or address) if address.version == 6 else address


def _differs(there: Announcement, now: Announcement) -> bool:
    """Whether what is said now cannot be by the relay that is there: its authority is another one,
    or none. Another one may come later.
    """
    return bool(there.fingerprint and there.fingerprint != now.fingerprint)


def _nonce() -> str:
    return secrets.token_hex(16)
