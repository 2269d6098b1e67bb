"""Rights: what a request's keys allow, Host and Origin. No sockets: headers in, a decision out."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from drawercam.protocol.close_reasons import Reason
from groundwork.addresses import IPAddress
from groundwork.brief import cut
from groundwork.denied import Denied
from groundwork.hosts import host_name, line_for

from .key import ALL, NOTHING, Key, Scope
from .keys import COOKIE, TICKET, Keyring

# Seconds that a browser keeps its token: a phone on a wall should not have to scan again.
COOKIE_AGE = 400 * 24 * 3600  # browsers cap it at 400 days (RFC 6265bis 5.5)

# Characters of cookies and tickets that are looked at: as much as a request's head may have
# (server/connections/first_request.py), which is some hundred short ones. All of them, because a
# page at another port of this computer can set cookies, too, and could hide the good one.
MAX_HELD = 16 * 2**10

# Cookies that one answer takes back; the next one takes more. Proxies read heads of 4 KiB, of which
# each takes 140 bytes.
MAX_STALE = 16

# What a cookie's name is made of (RFC 6265 section 4.1.1). No other can be taken back.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

# What a browser says of a request that no page of another site has caused (W3C Fetch Metadata
# section 2.3): one of the relay's own pages has, or a person. Another port of the same computer is
# "same-site".
_OWN_SITE = {"same-origin", "none"}

_FOREIGN = "Pages of other sites may not use this relay."

# As nginx is told to pass the Host on as it is; others do so by themselves (docs/proxy.md).
_KEEP_HOST = "proxy_set_header Host $http_host;"

# Characters of an Origin and of a Host in a sentence.
_QUOTED = 60


# Seconds after which it makes sense to ask again while the keys cannot be read.
_ASK_AGAIN = 5

# Cameras of a key that a refusal names; how many more there are is said.
_NAMED = 3


class Right(StrEnum):
    """What a route asks for."""

    ANYBODY = "anybody"
    """Nothing: it answers also those who hold no key."""
    PUBLISH = "publish"
    """To be the camera that the path names."""
    WATCH = "watch"
    """To see the camera that the path names."""
    WATCH_SOME = "watch-some"
    """To see at least one camera; what is shown is only what the grant allows to see."""
    MANAGE = "manage"
    """To do everything, and so to give keys to others."""
    AS_SOCKET = "as-socket"
    """What the socket asks for at the path that follows (a socket over HTTP)."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What one request may do.

    Attributes:
        keys: The keys that it has proved to hold.
        publish, watch: What they allow together.
        unread: The relay cannot read its keys now, so that this is not known.
    """

    keys: tuple[Key, ...]
    publish: Scope
    watch: Scope
    unread: bool = False

    @classmethod
    def of(cls, keys: Iterable[Key]) -> Grant:
        held = tuple(keys)
        publish, watch = NOTHING, NOTHING
        for key in held:
            publish |= key.publish
            watch |= key.watch
        return cls(held, publish, watch)

    def may_publish(self, name: str) -> bool:
        return name in self.publish

    def may_watch(self, name: str) -> bool:
        return name in self.watch

    @property
    def may_manage(self) -> bool:
        """Managing makes keys for anything, so it takes both in full."""
        return self.publish.everything and self.watch.everything

    def allows(self, right: Right, name: str = "") -> bool:
        match right:
            case Right.ANYBODY:
                return True
            case Right.PUBLISH:
                return self.may_publish(name)
            case Right.WATCH:
                return self.may_watch(name)
            case Right.WATCH_SOME:
                return bool(self.watch)
            case Right.MANAGE:
                return self.may_manage
        return False  # AS_SOCKET stands for another right, which has to be asked for

    def require(self, right: Right, name: str = "") -> None:
        """
        Raises:
            Denied: 401 without a key of the kind, 403 with one that does not go so far; 503 while
                it is not known. None tells whether such a camera exists.
        """
        if self.allows(right, name):
            return
        if self.unread:
            raise keys_unread()
        if right is Right.MANAGE and self.keys:
            raise Denied(
                403,
                "not-allowed",
                "Managing keys takes a key for filming everywhere and one for watching everything.",
            )
        if right is Right.PUBLISH and self.publish:
            raise Denied(
                403, "not-allowed", f"Your key is for filming as {_some(self.publish, 'or')} only."
            )
        if right is Right.WATCH and self.watch:
            raise Denied(403, "not-allowed", f"Your key is for {_some(self.watch, 'and')} only.")
        kind = "film" if right is Right.PUBLISH else "watch"
        raise Denied(
            401,
            "no-key",
            (
                f"The relay asks for a key to {kind}: open the link, or scan the code, that "
                "you were given."
            ),
        )


def _some(scope: Scope, between: str) -> str:
    """Cameras that a key names."""
    names = sorted(scope.names)
    if len(names) > _NAMED:
        names = [*names[:_NAMED], f"{len(names) - _NAMED} more"]
    *most, last = names
    return f"{', '.join(most)} {between} {last}" if most else last


def keys_unread() -> Denied:
    """The relay cannot read its keys now.

    They may all be good, so no page and no program should ask a person for another one.
    """
    return Denied(503, Reason.KEYS_UNREAD.id, Reason.KEYS_UNREAD.sentence, retry_after=_ASK_AGAIN)


EVERYTHING = Grant((), ALL, ALL)
"""What everybody may do where keys are off."""

NO_GRANT = Grant((), NOTHING, NOTHING)

UNREAD = Grant((), NOTHING, NOTHING, unread=True)
"""What everybody may do while the keys cannot be read."""


class Access:
    """The decisions, from a request's headers alone.

    Closed by default: what is not known to be allowed is denied.
    """

    def __init__(
        self,
        ring: Keyring | None,
        names: Iterable[str] = (),
        addresses: Iterable[IPAddress] = (),
        *,
        sites: Iterable[str] = (),
        tls: bool = False,
        tickets: bool = False,
    ) -> None:
        """
        Args:
            ring: None when keys are off: then everybody may do everything.
            names, addresses: As for `set_hosts`.
            sites: Origins of the relay's own pages as its owner has named them, whatever Host a
                proxy makes of them.
            tls: The relay speaks https; a page that came by http is then another site.
            tickets: Pages of this relay's earlier addresses may come with a ticket. Only where they
                can learn of its new address.
        """
        self.ring = ring
        self._sites = frozenset(sites)
        self._tls = tls
        self._tickets = tickets and ring is not None
        self._names: frozenset[str] = frozenset()
        self._addresses: frozenset[IPAddress] = frozenset()
        self.set_hosts(names, addresses)

    # --- Host and Origin ---

    def set_hosts(self, names: Iterable[str], addresses: Iterable[IPAddress]) -> None:
        """Where this relay may be reached from now on, besides loopback.

        A name without port; what is an address in truth counts as one.
        """
        self._names = frozenset(name.lower().removesuffix(".") for name in names)
        spelt = (_address(name.strip("[]")) for name in self._names)
        self._addresses = frozenset(addresses) | {
            address for address in spelt if address is not None
        }

    def check_host(self, host: str | None, arrived_at: str | None = None) -> None:
        """A page of another site whose name is made to point here (DNS rebinding) sends its own
        name as Host.

        Args:
            host: The header.
            arrived_at: The address to which the connection was made, as its socket says; it is this
                relay's, however new.

        Raises:
            Denied: 421, the Host is none of the relay's names and addresses.
        """
        name = host_name(host)
        if name is not None and name in self._names:
            return
        address = _address(name)
        if address is None or not (
            address.is_loopback or address in self._addresses or address == _address(arrived_at)
        ):
            sentence = (
                "The relay is not known by this name; use one of the addresses it prints, or "
                "start it with --allow-host."
            )
            raise Denied(421, "unknown-host", sentence, add=line_for(host))

    def check_origin(self, origin: str | None, host: str | None, https: bool | None = None) -> None:
        """A browser says from which site a socket or a change comes; other programs send nothing
        and cannot be tricked.

        Args:
            origin: The header.
            host: For which host the browser asks.
            https: It does so by https; None for what the relay speaks.

        Raises:
            Denied: 403, the origin is another site.
        """
        if origin is None or origin in self._sites:
            return
        try:
            site = urlsplit(origin)
        except ValueError:
            site = urlsplit("")
        # http://relay:443 is not https://relay:443: anybody on the way can put words into its
        # mouth. A proxy may add the https.
        schemes = ("https",) if (self._tls if https is None else https) else ("https", "http")
        if not host or site.netloc.lower() != host.lower() or site.scheme not in schemes:
            # Only a page of this very site can read that: one of the relay's own, whose Host a
            # proxy has changed on the way.
            raise Denied(
                403,
                "foreign-origin",
                f"{_FOREIGN} This one is of {cut(origin, _QUOTED)}, and its request is for "
                f"{cut(host or 'no host', _QUOTED)}. If it is the "
                "relay's own page, a proxy changes the host on the way, and has to pass it "
                "on as it is.",
                add=_KEEP_HOST,
            )

    @staticmethod
    def check_site(sites: Iterable[str]) -> None:
        """A browser says of a request which site has caused it (old ones do not); programs say
        nothing, and cannot be tricked.

        Looked at where a request without Origin wakes a camera: for an ``<img>``, browsers send
        cookies, and passwords that they remember.

        Args:
            sites: The headers Sec-Fetch-Site, of which there is one at most. What is not known is
                another site.

        Raises:
            Denied: 403, it was another site.
        """
        if not _OWN_SITE.issuperset(sites):
            raise Denied(403, "foreign-origin", _FOREIGN)

    # --- keys ---

    def grant(self, cookie: str | None) -> Grant:
        """What a Cookie header allows."""
        if self.ring is None:
            return EVERYTHING
        if self.ring.closed:
            return UNREAD
        return self._grant_of([value for _, value in self._held(cookie)], COOKIE)

    def ticket(self, grant: Grant) -> str | None:
        """What a page of this relay shows to the relay at another address, where its cookie does
        not go: the keys of this grant.

        Letters, digits, `-`, `_` and `.`: it goes as a WebSocket subprotocol.
        """
        if not self._tickets or self.ring is None or not grant.keys:
            return None
        return ".".join(self.ring.token(key, TICKET) for key in grant.keys)

    def grant_of_ticket(self, ticket: str) -> Grant | None:
        """What a ticket allows; None when it is no good one."""
        if not self._tickets:
            return None
        grant = self._grant_of(ticket[:MAX_HELD].split("."), TICKET)
        return grant if grant.keys else None

    def still(self, grant: Grant) -> Grant:
        """What of a grant is left now: keys are revoked, and end."""
        ring = self.ring
        return (
            EVERYTHING if ring is None else Grant.of(key for key in grant.keys if ring.is_good(key))
        )

    def cookie_name(self, key: Key) -> str:
        """The cookie for a key: one for each, so that a browser can hold several."""
        return self._prefix + key.id

    def stale_cookies(self, cookie: str | None) -> list[str]:
        """Names of this relay's cookies that are no longer good for anything; at most
        `MAX_STALE`.
        """
        ring = self.ring
        if ring is None:
            return []
        held = self._held(cookie)
        good = {name for name, value in held if ring.with_token(value, COOKIE) is not None}
        stale = dict.fromkeys(
            name for name, _ in held if name not in good and _TOKEN.fullmatch(name)
        )
        return list(stale)[:MAX_STALE]

    @property
    def _prefix(self) -> str:
        return f"drawercam-{self.ring.tag}-" if self.ring is not None else ""

    def _held(self, cookie: str | None) -> list[tuple[str, str]]:
        """Names and values of this relay's cookies.

        By hand, because the library gives up on all of them when one is odd.
        """
        pairs = (part.strip().partition("=") for part in (cookie or "")[:MAX_HELD].split(";"))
        return [(name, value) for name, _, value in pairs if name.startswith(self._prefix)]

    def _grant_of(self, tokens: Iterable[str], purpose: str) -> Grant:
        assert self.ring is not None
        found = [self.ring.with_token(token, purpose) for token in tokens]
        return Grant.of(dict.fromkeys(key for key in found if key is not None))


def _address(text: str | None) -> IPAddress | None:
    """An address as sockets and URLs write it; IPv4 within IPv6 is IPv4, and a scope (`%eth0`) is
    left out.
    """
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
