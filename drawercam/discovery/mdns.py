"""Says in the local network that here is a relay: mDNS (RFC 6762) and DNS-SD (RFC 6763), through
`zeroconf`, which may be missing.

The service is `<name>-<8 hex digits>._drawercam._tcp.local.`, with these TXT entries:

    v=1                 the version of this list
    name=porch          the relay's name
    tls=1               https; 0 is http
    path=/player.html   the page to open
    id=<64 hex digits>  SHA-256 of the relay's certificate authority, which tells two relays of one
                        name apart; missing when it has none

The digits are the beginning of `id`, or drawn by lot. So no two services are called the same, and
nobody has to be renamed: responders of one computer do not hear each other's protests, because they
share a port.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundwork import tasks
from groundwork.addresses import IPAddress

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

log = logging.getLogger(__name__)

SERVICE = "_drawercam._tcp.local."

PATH = "/player.html"

# Seconds for the good-byes, which are three packets in a third of a second: the whole relay stops
# within two.
GOODBYE_BUDGET = 1.0

# Seconds before the next try where multicast did not work: an interface may only just be coming up.
RETRY_AFTER = 30.0


class Beacon:
    """One relay's entry.

    It works in a task of its own, because what it says is said three times, a quarter of a second
    apart.
    """

    def __init__(self, name: str, port: int, tls: bool, fingerprint: str = "") -> None:
        """
        Args:
            name: The relay's, as in `drawercam.live.hub.NAME`.
            port: TCP port.
            tls: It is https.
            fingerprint: Of its certificate authority: SHA-256, hexadecimal bytes, with colons or
                without.
        """
        identity = fingerprint.replace(":", "").lower()
        digits = (identity or secrets.token_hex(4))[:8]
        self._port = port
        self._properties = {"v": "1", "name": name, "tls": "1" if tls else "0", "path": PATH} | (
            {"id": identity} if identity else {}
        )
        self._full_name = f"{name}-{digits}.{SERVICE}"
        # A host name of our own: the system's responder has <host>.local, and would take ours for a
        # conflict if it had other addresses.
        self._host = f"drawercam-{digits}.local."
        self._wanted: tuple[IPAddress, ...] = ()
        self._served: tuple[IPAddress, ...] = ()
        self._zeroconf: AsyncZeroconf | None = None
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._complained = False

    def start(self, addresses: Sequence[IPAddress]) -> None:
        """Begin; returns at once.

        Without zeroconf there is one sentence in the log, and nothing else happens.
        """
        try:
            import zeroconf.asyncio  # noqa: F401 - optional, and slow to import
        except ImportError:
            log.info(
                "The relay cannot be found by name in the network, because the library "
                "zeroconf is missing."
            )
            return
        self._task = asyncio.create_task(self._run(), name="mdns")
        self.update(addresses)

    def update(self, addresses: Sequence[IPAddress]) -> None:
        """The relay's addresses are these now; it says so on their interfaces. Returns at once."""
        self._wanted = tuple(addresses)
        self._news.set()

    async def stop(self) -> None:
        """Say good-bye, within GOODBYE_BUDGET seconds."""
        await tasks.end(self._task)
        self._task = None

    async def _run(self) -> None:
        try:
            while True:
                # Without news there is nothing to do, unless what was to be done could not be.
                late = RETRY_AFTER if self._served != self._wanted else None
                await tasks.happens(self._news, late)
                self._news.clear()
                await self._serve(self._wanted)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_BUDGET):
                    await self._close()

    async def _serve(self, addresses: tuple[IPAddress, ...]) -> None:
        if addresses == self._served:
            return
        try:
            if not addresses:
                await self._close()
            elif self._zeroconf is None:
                await self._register(addresses)
            else:
                await self._zeroconf.async_update_interfaces(interfaces=interfaces(addresses))
                await (await self._zeroconf.async_update_service(self._described(addresses)))
        except Exception as error:
            # Whatever it is (no multicast, no permission, a fault in there), the relay works
            # without.
            await self._close()
            if not self._complained:
                log.info(
                    (
                        "The relay cannot be found by name in the network: multicast does not "
                        "work here (%s)."
                    ),
                    error or type(error).__name__,
                )
            self._complained = True
            return
        self._served = addresses
        self._complained = False

    async def _register(self, addresses: tuple[IPAddress, ...]) -> None:
        from zeroconf.asyncio import AsyncZeroconf

        self._zeroconf = AsyncZeroconf(interfaces=interfaces(addresses))
        # A start that is cancelled could not be closed any more.
        await asyncio.shield(self._zeroconf.zeroconf.async_wait_for_start())
        # Without asking whether the name is free: it is.
        await (
            await self._zeroconf.async_register_service(
                self._described(addresses), cooperating_responders=True
            )
        )

    def _described(self, addresses: tuple[IPAddress, ...]) -> AsyncServiceInfo:
        from zeroconf.asyncio import AsyncServiceInfo

        return AsyncServiceInfo(
            SERVICE,
            self._full_name,
            port=self._port,
            properties=self._properties,
            server=self._host,
            parsed_addresses=[str(ip) for ip in addresses],
        )

    async def _close(self) -> None:
        zeroconf, self._zeroconf, self._served = self._zeroconf, None, ()
        if zeroconf is not None:
            with contextlib.suppress(Exception):  # an interface that has gone takes no good-byes
                await zeroconf.async_close()


def interfaces(addresses: Sequence[IPAddress]) -> list[str]:
    """The addresses whose interfaces are used: IPv4 where there is any, because every phone and
    computer has that one.
    """
    by_ipv4 = [str(ip) for ip in addresses if ip.version == 4]
    return by_ipv4 or [str(ip) for ip in addresses]
