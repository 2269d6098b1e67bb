"""Where the relay is now: the addresses of its pages, what registries are told of it, and from
where it can be reached.
"""

from __future__ import annotations

from collections.abc import Sequence

from certs import Served
from certs.renewal import Renewal
from drawercam.access.key import Key
from drawercam.server.http.trust_page import PAGE_PATH
from groundwork import addresses
from groundwork.addresses import IPAddress
from ip_registry.messages import MAX_URLS, Announcement

from .banner import Reach
from .outer_address import Outside


class Whereabouts:
    """Where one relay is. It may move: its computer is in another network, its certificate is for
    other names.

    Args:
        tls: It speaks https.
        listens: What it listens on; None for everything.
        outside: What was said about the outside.
        renewal: What keeps its certificate; None without TLS.

    Attributes:
        scheme: "https" or "http".
        port: On which it listens; 0 before it does.
        trust_port: That of the page that tells how to trust it; 0 where there is none.
    """

    def __init__(
        self, tls: bool, listens: Sequence[str] | None, outside: Outside, renewal: Renewal | None
    ) -> None:
        self.scheme = "https" if tls else "http"
        self.port = self.trust_port = 0
        self._tls = tls
        self._listens = listens
        self._outside = outside
        self._renewal = renewal

    @property
    def served(self) -> Served | None:
        """The certificate that is served now; None without TLS."""
        return self._renewal.served if self._renewal else None

    @property
    def present(self) -> Sequence[IPAddress]:
        """Its addresses."""
        return self._renewal.addresses if self._renewal else self._outside.listening(self._listens)

    @property
    def outward(self) -> list[IPAddress]:
        """The addresses that others can reach."""
        return [ip for ip in self.present if not ip.is_loopback]

    def hosts(self) -> list[str]:
        """The names and addresses for which its certificate is good, likeliest first."""
        return self._renewal.hosts() if self._renewal else ["localhost"]

    def urls(self, path: str, key: Key | None = None) -> list[str]:
        """Where this page can be opened, likeliest first, with the key in the link if there is
        one.
        """
        fragment = f"#key={key.secret}" if key else ""
        return [origin + path + fragment for origin in self.origins()]

    def origins(self) -> list[str]:
        """Where pages can be opened, likeliest first."""
        outer = self._outside.origins(self.scheme, self.port)
        own = [
            addresses.url(self.scheme, host, self.port).rstrip("/")
            for host in self.hosts()
            if host not in outer.values()
        ]
        if self._outside.proxies and not self._tls:
            return [*outer] or own  # all others are turned away
        return [*outer, *own] if self._tls else [*own, *outer]

    def trust_url(self) -> str:
        """The page that tells how to trust it; "" where there is none."""
        return (
            addresses.url("http", self.hosts()[0], self.trust_port, PAGE_PATH)
            if self.trust_port
            else ""
        )

    def announcement(self, name: str) -> Announcement | None:
        """What registries are told of a relay of this name; loopback only where the relay is
        nowhere else.
        """
        origins = [
            addresses.url(self.scheme, ip, self.port).rstrip("/")
            for ip in self.outward or self.present
        ]
        fingerprint = self.served.fingerprint if self.served else ""
        return Announcement(name, tuple(origins[:MAX_URLS]), fingerprint) if origins else None

    def reach(self) -> Reach:
        """From where it can be reached."""
        if self._outside.origins(self.scheme, self.port) and (self._tls or self._outside.proxies):
            return Reach.NETWORK
        if not self._tls:
            return Reach.BEHIND if self._outside.proxies else Reach.PLAIN
        if not addresses.is_loopback(self.hosts()[0]):
            return Reach.NETWORK
        return Reach.HOST if self._listens else Reach.OFFLINE
