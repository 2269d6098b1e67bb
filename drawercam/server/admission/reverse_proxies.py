"""The client, its scheme and its host: what a request's connection says, and what a reverse proxy
says that is believed.

The only place that reads `X-Forwarded-For`, `-Proto` and `-Host`, for HTTP and for WebSockets. They
are believed from the proxies that the relay was told of (`--proxy`) and from nobody else, because
anybody can write them. No sockets: addresses and headers in, a `Client` out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from groundwork.addresses import IPAddress
from groundwork.denied import Denied

IPNetwork = IPv4Network | IPv6Network

MAX_HOPS = 100
"""Entries of X-Forwarded-For that are looked at, from the end.

A chain of proxies has three; more would only be work.
"""

WIDEST = {4: 8, 6: 7}
"""The shortest prefixes of networks of proxies: 10.0.0.0/8 and fc00::/7, the largest private ones.
With 0.0.0.0/0 anybody could say who he is.
"""

_FOR, _PROTO, _HOST = "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"

_TELLTALES = ("forwarded", "x-real-ip")
"""What proxies add besides X-Forwarded-* (RFC 7239, nginx); nothing in them is believed."""

_SCHEMES = {"https": True, "wss": True, "http": False, "ws": False}
"""Values of X-Forwarded-Proto, and whether they are TLS. Traefik says ws and wss of WebSockets."""

_V4_MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 within IPv6 (RFC 4291 section 2.5.5.2)."""

log = logging.getLogger(__name__)

_NO_PROXY = (
    "names no address of a proxy: it must be one, such as 127.0.0.1 or 172.18.0.2, or a "
    "network, such as 172.16.0.0/12"
)


@dataclass(frozen=True, slots=True)
class Client:
    """A client, and what it asks for.

    Attributes:
        address: By which every limit counts; "" where it is not known.
        peer: The same for people: with the port of its connection, or with the proxy that asks for
            it.
        host: For which host it asks, as browsers write it in `Host`; None where it says nothing.
        https: It speaks https, with the relay or with the proxy.
        handed_on: A proxy has handed the request on, whether it is believed or not.
    """

    address: str
    peer: str
    host: str | None = None
    https: bool = False
    handed_on: bool = False

    @classmethod
    def connected(cls, name: object, https: bool = False) -> Client:
        """The other end of a connection.

        Args:
            name: As the transport's ``peername``.
            https: It has come through TLS.
        """
        if isinstance(name, tuple) and len(name) >= 2:
            return cls(str(name[0]), f"{name[0]}:{name[1]}", https=https)
        return cls("", "a peer", https=https)


class Proxies:
    """The proxies that the relay was told of, and what it makes of what they and others say."""

    def __init__(
        self, networks: Iterable[IPNetwork] = (), *, alone: bool = False, no_proxy: bool = False
    ) -> None:
        """
        Args:
            networks: Where they are.
            alone: Besides this computer, nobody else is served: what others send is read on its way
                by anybody.
            no_proxy: No request may have come through a proxy: the relay asks for no keys because
                it can be reached from this computer only, and a proxy would let others in.
        """
        self._networks = tuple(networks)
        self._alone = alone
        self._no_proxy = no_proxy
        self._hinted = False  # it was said that there is a proxy of which the relay was not told

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: object) -> bool:
        """Whether a proxy has this address, in text or parsed."""
        if not self._networks:
            return False
        ip = _parsed(address) if isinstance(address, str) else address
        return ip is not None and any(ip in network for network in self._networks)

    def client(
        self, connected: Client, arrived_at: str | None, headers: Iterable[tuple[str, str]]
    ) -> Client:
        """Say who asks.

        Args:
            connected: Who is at the other end of the connection.
            arrived_at: The relay's own address at which that was made.
            headers: All names and values, in their order.

        Raises:
            Denied: 400, the request has several hosts, or what a proxy says is broken; 403, it may
                not ask at all.
        """
        hosts, said, handed_on = (
            list[str](),
            {_FOR: list[str](), _PROTO: list[str](), _HOST: list[str]()},
            False,
        )
        for name, value in headers:
            name = name.lower()
            if name == "host":
                hosts.append(value)
            elif name.startswith("x-forwarded-") or name in _TELLTALES:
                handed_on = True
                if name in said:
                    said[name].append(value)
        if len(hosts) > 1:
            raise Denied(400, "bad-request", "The request has more than one Host.")
        client = replace(connected, host=hosts[0] if hosts else None, handed_on=handed_on)
        if connected.address not in self:
            self._check_unknown(client, arrived_at)
            return client
        address = self._asker(said[_FOR])
        if address is not None:
            client = replace(client, address=str(address), peer=f"{address} by {connected.peer}")
        if said[_HOST]:
            client = replace(client, host=_last(said[_HOST], "X-Forwarded-Host"))
        if said[_PROTO]:
            scheme = _last(said[_PROTO], "X-Forwarded-Proto").lower()
            if scheme not in _SCHEMES:
                raise _broken("X-Forwarded-Proto", "https or http")
            client = replace(client, https=_SCHEMES[scheme])
        return client

    def _check_unknown(self, client: Client, arrived_at: str | None) -> None:
        """
        Raises:
            Denied: 403, this is none of the proxies, and may not ask.
        """
        ip = _parsed(client.address)
        here = ip is not None and (ip.is_loopback or ip == _parsed(arrived_at or ""))
        line = f"--proxy {ip or 'ADDRESS'}"
        if self._alone and not here:
            raise Denied(
                403,
                "not-the-proxy",
                "This relay serves its proxy and its own computer only, because nothing is "
                "encrypted on the way to it. "
                "If this request came through your proxy, tell the relay its address.",
                add=line,
            )
        if self._no_proxy and client.handed_on:
            raise Denied(
                403,
                "behind-proxy",
                "This request came through a proxy of which the relay was not told. "
                "Everybody behind it could film and watch, because the "
                "relay asks for no keys. Start it with the proxy's address; it then asks for keys.",
                add=line,
            )
        # Of this computer only: nobody elsewhere is to have himself named as a proxy.
        if here and client.handed_on and not self._hinted:
            self._hinted = True
            log.warning(
                (
                    "Requests come through a proxy at %s, and all count for that address. To "
                    "tell its clients apart, add %s"
                ),
                ip,
                line,
            )

    def _asker(self, lines: Sequence[str]) -> IPAddress | None:
        """The last entry that is not itself a proxy, for the proxies have added what is behind it.
        Where all are proxies, the first one.

        What stands before it was said by whoever asks, and is not looked at.

        Returns:
            None where there is no such header.

        Raises:
            Denied: 400, an entry that counts is no address.
        """
        if not lines:
            return None
        ip: IPAddress | None = None
        entries = ",".join(lines).rsplit(",", MAX_HOPS)
        for hops, entry in enumerate(reversed(entries)):
            ip = _entry(entry.strip(" \t")) if hops < MAX_HOPS else None
            if ip is None:
                raise _broken("X-Forwarded-For", "the address of the client")
            if ip not in self:
                break
        return ip


def network(text: str) -> IPNetwork:
    """One `--proxy`.

    Raises:
        ValueError: It is none; the message is a sentence about it.
    """
    given = text.strip()
    bare = given[1:-1] if given.startswith("[") and given.endswith("]") else given
    try:
        found = ip_network(bare, strict=False)
    except ValueError:
        raise ValueError(
            f"{text!r} {_NO_PROXY}. It has neither a name nor a port: proxies connect from "
            "any port."
        ) from None
    if isinstance(found, IPv6Network) and found.subnet_of(_V4_MAPPED):
        mapped = found.network_address.ipv4_mapped
        assert mapped is not None
        found = ip_network((mapped, found.prefixlen - 96))
    if found.network_address.is_unspecified or found.prefixlen < WIDEST[found.version]:
        raise ValueError(
            f"{text!r} would let anybody say who he is: name the address of your proxy, or "
            "the network that it is in."
        )
    return found


def _parsed(text: str) -> IPAddress | None:
    """An address without a scope (`%eth0`); IPv4 within IPv6 is IPv4."""
    try:
        ip = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def _entry(text: str) -> IPAddress | None:
    """An address as proxies write it: bare, with a port (`192.0.2.1:5000`), in brackets, in
    brackets with a port. None for all else.
    """
    if text.startswith("["):
        text, closed, port = text[1:].partition("]")
        if (
            not closed
            or ":" not in text
            or (port and not (port.startswith(":") and _is_port(port[1:])))
        ):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(port):
            return None
    return _parsed(text) if "%" not in text or ":" in text else None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 65536


def _last(lines: Sequence[str], name: str) -> str:
    """What the nearest proxy has said: some add theirs behind what came.

    Raises:
        Denied: 400, nothing.
    """
    value = lines[-1].rpartition(",")[2].strip(" \t")
    if not value:
        raise _broken(name, "something")
    return value


def _broken(name: str, wanted: str) -> Denied:
    return Denied(
        400,
        "bad-forwarding",
        f"The proxy does not say for whom it asks: its {name} does not end with {wanted}.",
    )
