"""How the relay is reached from outside: the options `--allow-host` and `--proxy`, and what follows
from them for keys, names and links.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from drawercam.server.admission.reverse_proxies import IPNetwork, network
from groundwork.addresses import DEFAULT_PORTS, IPAddress, listening, url
from groundwork.command_lines import again
from groundwork.hosts import Host, address


@dataclass(frozen=True, slots=True)
class Outside:
    """All that was said about the outside.

    Attributes:
        hosts: The names and addresses under which the relay is reached, as they were given.
        proxies: Where the proxies are that hand requests on to it.
    """

    hosts: tuple[Host, ...] = ()
    proxies: tuple[IPNetwork, ...] = ()

    @property
    def names(self) -> list[str]:
        """The hosts that are names."""
        return [one.host for one in self.hosts if one.ip is None]

    @property
    def addresses(self) -> list[IPAddress]:
        """The hosts that are addresses."""
        return [one.ip for one in self.hosts if one.ip is not None]

    def listening(self, hosts: Sequence[str] | None) -> list[IPAddress]:
        """The relay's addresses now; those that were named as its own come first, because others
        may lead nowhere, as in a container.

        Args:
            hosts: What it listens on; None for everything.
        """
        return [*dict.fromkeys([*self.addresses, *listening(hosts)])]

    def sites(self) -> list[str]:
        """The origins that are known whatever the relay's own scheme and port are.

        Behind a proxy it is https where that was not said.
        """
        return [site for site in map(self._site, self.hosts) if site]

    def origins(self, scheme: str, port: int) -> dict[str, str]:
        """Where pages are opened from outside, in the order in which that was said: origins, and
        the host of each.

        Args:
            scheme, port: The relay's own, for what was given without. A name alone tells of no way
                to the relay, and is left out.
        """
        found = {}
        for one in self.hosts:
            site = self._site(one)
            if not site and (one.port or one.ip):
                site = _origin(scheme, one.host, one.port or port)
            if site:
                found[site] = one.host
        return found

    def _site(self, one: Host) -> str:
        scheme = one.scheme or ("https" if self.proxies else "")
        return _origin(scheme, one.host, one.port or DEFAULT_PORTS[scheme]) if scheme else ""

    def missing(
        self, tls: bool, hosts: Sequence[str] | None, typed: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        """Sentences about what is missing at the start, each with the command that mends it.

        Args:
            tls: The relay speaks https.
            hosts: What it listens on; None for everything.
            typed: The arguments with which it was started.
        """
        if self.proxies and not self.hosts:
            yield (
                "Warning: The relay does not know the address under which its proxy is "
                "reached, so the links lead past it. "
                "Stop it and type, with that address:",
                again(typed, "--allow-host", "https://cam.example.org"),
            )
        here = hosts is not None and all(
            host == "localhost" or bool((ip := address(host)) and ip.is_loopback) for host in hosts
        )
        if (
            self.proxies
            and here
            and not any(one.network_address.is_loopback for one in self.proxies)
        ):
            yield (
                f"Warning: The proxy {short(self.proxies[0])} cannot reach the relay, "
                "which listens on its own computer only. "
                "Stop it and type:",
                again(typed, "--host", "0.0.0.0"),
            )
        if self.hosts and not self.proxies and not tls:
            yield (
                "Does a proxy hand requests on to this relay? It has to be named, because "
                "otherwise all who come through it count as one, "
                "and the links lead past it. If it runs on this computer, stop the relay and type:",
                again(typed, "--proxy", "127.0.0.1"),
            )


def short(network: IPNetwork) -> str:
    """As it was given: an address alone, or a network."""
    return str(network.network_address if network.num_addresses == 1 else network)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the command line say it."""
    reached = (
        "another host under which the relay is reached: a name, an address, or all of what "
        "stands in the browser, such as "
        "https://cam.example.org:8443; may be repeated"
    )
    parser.add_argument("--allow-host", action="append", default=[], metavar="HOST", help=reached)
    proxy = (
        "a reverse proxy that hands requests on, or a network of such (172.16.0.0/12); "
        "what it says of its clients is believed, and keys "
        "are on; may be repeated"
    )
    parser.add_argument("--proxy", action="append", default=[], metavar="ADDRESS", help=proxy)


def settle(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> None:
    """Understand what was said: sets `outside` and `keys` (whether keys are asked for).

    Exits with a sentence where something is wrong.
    """
    hosts, proxies = list[Host](), list[IPNetwork]()
    for text in chosen.allow_host:
        try:
            hosts.append(Host.parse(text))
        except ValueError as error:
            parser.error(f"--allow-host: {error}")
    for text in chosen.proxy:
        try:
            proxies += map(network, ("127.0.0.1", "::1") if text == "localhost" else (text,))
        except ValueError as error:
            parser.error(f"--proxy: {error}")
    chosen.outside = Outside(tuple(hosts), tuple(dict.fromkeys(proxies)))
    # Who names a host expects others than this computer's user, whom a proxy lets through, for
    # instance.
    chosen.keys = not chosen.no_key and bool(chosen.tls or hosts or proxies)


def _origin(scheme: str, host: str, port: int) -> str:
    return url(scheme, host, port).rstrip("/")
