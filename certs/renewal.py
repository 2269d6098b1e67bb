"""Keeps the certificate true while the relay runs: addresses come and go, certificates end, files
are replaced.

Live connections stay: a TLS connection keeps the certificate that it began with, and another
context is only for the handshakes that begin from then on. Phones notice nothing, because the
authority that they trust is the same.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Protocol

from groundwork import addresses, tasks
from groundwork.addresses import IPAddress
from groundwork.state_files import spares

from . import AuthorityError, Served

LOOK_INTERVAL = 5.0
"""Seconds between two looks: a phone that follows the computer into another network must not wait
long, and a look costs a millisecond.
"""

FAILURES_TO_SAY = 2
"""Looks that must fail before it is said: a person who replaces a certificate and its key replaces
one of them first.
"""

FILES = 3
"""Descriptors that a certificate takes at once: its lock, a file, the folder.

When the system gives none, spare ones are for it, too.
"""

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where certificates come from: `certs.Authority`, `certs.OwnCertificate`."""

    def ensure(
        self, addresses: Sequence[IPAddress], names: Sequence[str], now: datetime | None = None
    ) -> Served:
        """One that is good for these; raises AuthorityError."""

    def stale(self, served: Served, now: datetime) -> bool:
        """Whether `ensure` is worth calling although no address has changed."""


def _now() -> datetime:
    return datetime.now(UTC)


class Renewal:
    """What the relay serves now, and a task that keeps it so.

    Attributes:
        addresses: Where the relay can be reached now, likeliest first.
        served: The certificate.
        context: With what a handshake is to begin now.
    """

    def __init__(
        self,
        source: Source,
        hosts: Sequence[str] | None,
        names: Sequence[str],
        *,
        present: Callable[[Sequence[str] | None], Sequence[IPAddress]] = addresses.listening,
        now: Callable[[], datetime] = _now,
        interval: float = LOOK_INTERVAL,
    ) -> None:
        """Get a certificate. Blocks for some milliseconds of file work.

        Args:
            source: Makes or reads it.
            hosts: What the relay listens on; None for everything.
            names: Under which it is reached, besides its addresses.
            present: The addresses that there are now.
            now: The date; the looks themselves go by the loop's monotonic clock.
            interval: Seconds between two looks.

        Raises:
            AuthorityError: There is none.
        """
        self._source = source
        self._hosts = hosts
        self._names = [
            name for name in names if not _is_address(name.strip("[]"))
        ]  # which is not looked for among names
        self._present = present
        self._now = now
        self._interval = interval
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self.addresses = [*present(hosts)]
        self.served = source.ensure(self.addresses, self._names, now())
        self.context = self.served.server_context()

    def hosts(self) -> list[str]:
        """Where pages can be opened from elsewhere, likeliest first; ``localhost`` when that is
        nowhere.

        With the relay's own authority those are its addresses. Somebody's own certificate is mostly
        for names, and only what it is good for is told (if there is any such).
        """
        there: list[IPAddress | str] = [ip for ip in self.addresses if not ip.is_loopback]
        there = there or [
            self._certain(name) for name in self._hosts or () if not _is_address(name)
        ]
        if not self.served.ca_pem:
            certain = [
                name
                for name in (*self._names, *self.served.names)
                if "*" not in name and name != "localhost"
            ]
            there = [
                host for host in [*dict.fromkeys(certain), *there] if self.served.covers(host)
            ] or there
        # What is outside the authority's limits can be opened after a warning, so it comes last.
        return [
            str(host) for host in sorted(there, key=lambda host: not self.served.covers(host))
        ] or ["localhost"]

    def _certain(self, name: str) -> str:
        """This name, or where the certificate is only good for the one that ends in .local,
        that.
        """
        local = f"{name}.local"
        return local if self.served.covers(local) and not self.served.covers(name) else name

    def start(self, on_change: Callable[[], None]) -> None:
        """Begin to look.

        ``on_change`` is called in the loop when `addresses` or `served` have changed.
        """
        self._task = asyncio.create_task(self._run(on_change), name="renewal")

    async def stop(self) -> None:
        """Look no more."""
        await tasks.end(self._task)
        self._task = None

    async def _run(self, on_change: Callable[[], None]) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                if await self.look():
                    on_change()
            except Exception:
                # Whatever it is, a relay that runs for a year must look again.
                log.exception("The addresses and the certificate could not be looked after")

    async def look(self) -> bool:
        """Look once.

        Returns:
            Whether `addresses` or `served` have changed.
        """
        try:
            present = [*await asyncio.to_thread(self._present, self._hosts)]
        except (
            OSError
        ) as error:  # for want of file descriptors, for instance: the next look will tell
            log.debug("The addresses cannot be looked at: %s", error)
            present = self.addresses
        moved = present != self.addresses
        self.addresses = present
        now = self._now()
        if not (
            moved or self._failures or await asyncio.to_thread(self._source.stale, self.served, now)
        ):
            return False
        try:
            with spares.lent(FILES):
                served = await asyncio.to_thread(self._source.ensure, present, self._names, now)
                if served != self.served:
                    self.context = served.server_context()
        except (AuthorityError, OSError, ssl.SSLError) as error:
            self._failures += 1
            if self._failures == FAILURES_TO_SAY:
                log.warning(
                    "The certificate is served on as it is, and tried again every %g s. %s",
                    self._interval,
                    error,
                )
            return moved
        self._failures = 0
        for sentence in served.warnings:
            if sentence not in self.served.warnings:
                log.warning("%s", sentence)
        renewed = served.chain != self.served.chain
        changed = moved or served != self.served
        self.served = served
        if renewed:
            log.info(
                "New connections get a new certificate, which ends on %s; live ones stay.",
                f"{served.expires:%Y-%m-%d}",
            )
        return changed


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
