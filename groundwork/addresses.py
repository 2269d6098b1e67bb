"""Where this computer can be reached: its addresses in the local network, likeliest first, and its
names.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import ifaddr

IPAddress = IPv4Address | IPv6Address

FAR_ADDRESS = ("203.0.113.1", 9)
"""An address that belongs to nobody (TEST-NET-3, RFC 5737), so that the way to it is the default
route; and the discard port.
"""

PRIVATE_IPV4 = tuple(ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""RFC 1918.

`IPv4Address.is_private` would also accept the documentation networks and others that no phone is
in.
"""

UNIQUE_LOCAL = ip_network("fc00::/7")
"""RFC 4193: the private addresses of IPv6."""

VIRTUAL_INTERFACE = re.compile(
    r"""
    # Containers (br-lan is a router's real one).
    docker | br-[0-9a-f]{12} | veth | cni | flannel | cali | podman | lxc | lxd
    # Virtual machines on Linux and macOS.
    | virbr | vnet | vmnet | vboxnet | bridge10
    # And on Windows.
    | vEthernet\ \((WSL|Default\ Switch|nat) | Hyper-V\ Virtual | VirtualBox | VMware
    # Traffic shaping, nothing at all.
    | ifb | dummy
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""How names of interfaces begin that lead to containers and virtual machines inside this computer,
where no phone is.
"""

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""A host name's label in lower case (RFC 1123 2.1, RFC 1035 2.3.4)."""

OWN_NETWORKS_AGE = 60.0
"""Seconds for which `own_networks` is believed: a computer that is carried to another network knows
it a minute later.
"""

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}

TLS_PORT, PLAIN_PORT = 8443, 8080
"""Where a relay listens with https and without, unless it was told otherwise: the usual other ports
for them, which need no rights.
"""


@dataclass(frozen=True, slots=True)
class Address:
    """One address of this computer, and the interface that has it, by the name that its system
    shows to people.
    """

    ip: IPAddress
    interface: str

    def __str__(self) -> str:
        return str(self.ip)


def lan_addresses() -> list[Address]:
    """Addresses at which other devices may reach this computer, likeliest first; empty when it is
    in no network at all.
    """
    return arrange(ifaddr.get_adapters(), default_address())


def listening(hosts: Sequence[str] | None) -> list[IPAddress]:
    """Addresses at which a program can be reached that listens on these hosts; None or a wildcard
    stand for all of them, ``::`` for IPv6.

    A host that is a name is left out, because it can be used as it is.
    """
    found: list[IPAddress] = []
    for ip in map(parsed, hosts or ["0.0.0.0"]):
        if ip is None:
            continue
        # A socket on :: takes no IPv4 (listener.py), so no link leads there by such an address.
        found += (
            [one.ip for one in lan_addresses() if ip.version in (4, one.ip.version)]
            if ip.is_unspecified
            else [ip]
        )
    return list(dict.fromkeys(found))


def parsed(host: str) -> IPAddress | None:
    """An address from its text; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether nothing but this computer reaches a program that listens on this address or name."""
    ip = parsed(host)
    return host == "localhost" if ip is None else ip.is_loopback


def from_here(hosts: Sequence[str] | None) -> str:
    """At which address or name a program on this computer reaches one that listens on these hosts;
    None stands for all of them.
    """
    if not hosts:
        return "127.0.0.1"
    ip = parsed(hosts[0])
    if ip is None or not ip.is_unspecified:
        return hosts[0]
    return "127.0.0.1" if ip.version == 4 else "::1"


def arrange(adapters: Iterable[ifaddr.Adapter], default: IPAddress | None) -> list[Address]:
    """Sort out and sort what `ifaddr` has found.

    First `default`, then private IPv4, then other IPv4, then unique local and other IPv6; among
    equals the system's order stays. Loopback and link-local IPv6 never appear (a URL cannot hold
    the scope that the latter needs). Virtual interfaces appear only when there is nothing else; the
    one with the default route is never taken for virtual, however it is called.

    Args:
        adapters: What `ifaddr.get_adapters` returns.
        default: The address from which packets leave for the rest of the world, if there is one.
    """
    real: dict[IPAddress, Address] = {}
    virtual: dict[IPAddress, Address] = {}
    for adapter in adapters:
        found = [(_of(details), details.nice_name) for details in adapter.ips]
        # On Windows the adapter has its description ("Hyper-V Virtual ...") and each address the
        # name of the connection ("vEthernet ...").
        names = {adapter.name, adapter.nice_name, *(interface for _, interface in found)}
        is_virtual = any(map(VIRTUAL_INTERFACE.match, names)) and default not in {
            ip for ip, _ in found
        }
        for ip, interface in found:
            if _reachable(ip):
                (virtual if is_virtual else real).setdefault(ip, Address(ip, interface))
    return sorted((real or virtual).values(), key=lambda address: _rank(address.ip, default))


def default_address() -> IPAddress | None:
    """The address from which packets leave for the rest of the world; None when they cannot.

    Sends nothing.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(
                FAR_ADDRESS
            )  # for UDP this chooses a route and a source address, and that is all
            address = ip_address(probe.getsockname()[0])
        except OSError:
            return None
    return address if _reachable(address) else None


def own_networks() -> frozenset[IPv6Network]:
    """The IPv6 networks that this computer is in, by its interfaces' addresses and prefixes;
    link-local ones and loopback among them.
    """
    global _own_networks
    now = time.monotonic()
    if now - _own_networks[0] > OWN_NETWORKS_AGE:
        try:
            adapters = [*ifaddr.get_adapters()]
        except OSError:  # for want of file descriptors: they are as they were
            return _own_networks[1] or frozenset(_ALWAYS_OWN)
        found = (ip for adapter in adapters for ip in adapter.ips if ip.is_IPv6)
        networks = {ip_network((_of(ip), ip.network_prefix), strict=False) for ip in found}
        _own_networks = (
            now,
            frozenset(one for one in networks | _ALWAYS_OWN if isinstance(one, IPv6Network)),
        )
    return _own_networks[1]


_ALWAYS_OWN = {IPv6Network("::1/128"), IPv6Network("fe80::/10")}
_own_networks: tuple[float, frozenset[IPv6Network]] = (float("-inf"), frozenset())


def host_names() -> list[str]:
    """Names at which this computer may be reached, in lower case; the last one is ``localhost``.

    See also `short_name`.
    """
    return names_of(socket.gethostname())


def names_of(host: str) -> list[str]:
    """What a host of this name is called: the full name if it has a domain, ``<host>.local`` (RFC
    6762), ``localhost``.

    What is not a valid DNS name is left out, because no certificate can hold it.
    """
    full = host.lower().rstrip(".")
    short = full.partition(".")[0]
    candidates = [full if "." in full else "", f"{short}.local"] if short != "localhost" else []
    return [*dict.fromkeys(name for name in candidates if is_dns_name(name)), "localhost"]


def short_name(host: str | None = None) -> str:
    """This computer's name of one label, or ""; a name of digits is none, because browsers take it
    for an IPv4 address.

    Some networks know a computer by it. It is never in a certificate of the relay's own, and so in
    no link: an authority that may vouch for `garden` may also do so for bank.garden (see
    `certs.root.may_permit`).
    """
    short = (socket.gethostname() if host is None else host).lower().partition(".")[0]
    return short if is_dns_name(short) else ""


def url(scheme: str, host: IPAddress | str, port: int, path: str = "/") -> str:
    """A URL: IPv6 addresses get their brackets (RFC 3986 3.2.2), the scheme's own port is left out.

    Args:
        scheme: One of `DEFAULT_PORTS`.
        host: An address or a name, without brackets.
        port: 1 to 65535.
        path: Path, query and fragment; a missing first slash is added.
    """
    name = str(host)
    if ":" in name:
        name = f"[{name}]"
    colon_port = "" if DEFAULT_PORTS.get(scheme) == port else f":{port}"
    return f"{scheme}://{name}{colon_port}/{path.removeprefix('/')}"


def _of(ip: ifaddr.IP) -> IPAddress:
    # IPv6 comes as (address, flow, scope); some systems also write the scope into the address.
    text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
    return ip_address(text.partition("%")[0])


def _reachable(ip: IPAddress) -> bool:
    return not (
        ip.is_loopback
        or ip.is_unspecified
        or ip.is_multicast
        or (ip.version == 6 and ip.is_link_local)
    )


def _rank(ip: IPAddress, default: IPAddress | None) -> int:
    """How unlikely it is that a phone gets here: 0 is the likeliest."""
    if ip == default:
        return 0
    if ip.version == 4:
        if any(ip in network for network in PRIVATE_IPV4):
            return 1
        # Link-local IPv4 (RFC 3927) is what an interface gives itself that nobody answered.
        return 3 if ip.is_link_local else 2
    return 4 if ip in UNIQUE_LOCAL else 5


def is_dns_name(name: str) -> bool:
    """Whether a certificate can hold this name, which is in lower case and has no dot at its end,
    and a browser asks DNS for it.
    """
    labels = name.split(".")
    return len(name) <= 253 and all(map(DNS_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
