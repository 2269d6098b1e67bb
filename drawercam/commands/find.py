"""`relay.py find`: the relays in this network, as they say themselves and as a registry knows
them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from drawercam.discovery.mdns import SERVICE, interfaces
from drawercam.discovery.registry_client import Address, RegistryClient, Unanswered
from groundwork import running_relay
from groundwork.addresses import IPAddress, lan_addresses, url
from groundwork.bootstrap import state_folder
from groundwork.command_lines import Parser, called, quoted
from groundwork.names import NAME
from ip_registry.messages import is_origin

# Seconds to listen: an answer that got lost is asked for again after one, and after two more.
PATIENCE = 3.0

# Milliseconds that one relay's details may take after its name was heard.
_DETAILS = 1500

# Relays to show: whoever floods the network with names must not fill our memory.
MAX_FOUND = 200

_IDENTITY = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Found:
    """A relay: its name, its origins such as ``https://192.168.1.20:8443``, its authority's
    fingerprint or "" when it has none.
    """

    name: str
    urls: tuple[str, ...]
    fingerprint: str


class NoMulticast(Exception):
    """The network cannot be asked. The text is a sentence."""


async def look_around(
    seconds: float = PATIENCE, addresses: Sequence[IPAddress] | None = None
) -> list[Found]:
    """Relays that answer in the local network, by name.

    Args:
        seconds: How long to listen.
        addresses: Of the interfaces to ask on; all that lead to the network by default.

    Raises:
        NoMulticast: The library is missing, or multicast does not work here.
    """
    try:
        from zeroconf import ServiceStateChange, Zeroconf
        from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf
    except ImportError:
        command = quoted([sys.executable, "-m", "pip", "install", "zeroconf"])
        raise NoMulticast(
            "The library zeroconf is missing, so the network cannot be asked. To install "
            f"it, type: {command}"
        ) from None
    if addresses is None:
        addresses = [address.ip for address in lan_addresses()]
    if not addresses:
        raise NoMulticast("This computer is in no network.")
    heard: dict[str, asyncio.Task[Found | None]] = {}

    async def ask(zeroconf: Zeroconf, full_name: str) -> Found | None:
        info = AsyncServiceInfo(SERVICE, full_name)
        if not await info.async_request(zeroconf, _DETAILS):
            return None
        return described(full_name, info.parsed_addresses(), info.port, info.decoded_properties)

    def on_change(
        zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if state_change is ServiceStateChange.Removed:
            if name in heard:
                heard.pop(name).cancel()
        elif name in heard or len(heard) < MAX_FOUND:
            if name in heard:
                heard[name].cancel()  # it has moved just now
            heard[name] = asyncio.create_task(ask(zeroconf, name))

    try:
        listener = AsyncZeroconf(interfaces=interfaces(addresses))
    except OSError as error:
        raise NoMulticast(f"Multicast does not work here: {error.strerror or error}.") from None
    try:
        browser = AsyncServiceBrowser(listener.zeroconf, SERVICE, handlers=[on_change])
        await asyncio.sleep(seconds)
        found = await asyncio.gather(*heard.values(), return_exceptions=True)
        await browser.async_cancel()
    finally:
        with contextlib.suppress(Exception):
            await listener.async_close()
    return sorted((one for one in found if isinstance(one, Found)), key=lambda one: one.name)


def described(
    full_name: str, addresses: Iterable[str], port: int | None, properties: dict[str, str | None]
) -> Found | None:
    """What a relay says of itself, if it makes sense: anybody in the network may say anything."""
    name = properties.get("name") or full_name.removesuffix(f".{SERVICE}")
    plain = "".join(character for character in name if character.isprintable())[:63]
    scheme = "https" if properties.get("tls") == "1" else "http"
    urls = (
        [url(scheme, ip, port, "").removesuffix("/") for ip in _usable(addresses)] if port else []
    )
    identity = properties.get("id") or ""
    fingerprint = bytes.fromhex(identity).hex(":").upper() if _IDENTITY.fullmatch(identity) else ""
    return Found(plain, tuple(urls), fingerprint) if plain and urls else None


def _usable(addresses: Iterable[str]) -> list[IPAddress]:
    """Those that can stand in a URL: a link-local IPv6 address would need its scope."""
    parsed = [ip_address(text) for text in addresses if "%" not in text]
    return [ip for ip in parsed if not (ip.version == 6 and ip.is_link_local)]


async def ask_registry(address: Address) -> list[Found]:
    """Relays that a registry knows and that are there.

    Raises:
        Unanswered: It does not answer, or is none.
    """
    async with RegistryClient(address) as registry:
        found = [_checked(one) for one in await registry.relays()]
    return [one for one in found if one is not None]


def _checked(entry: dict[str, Any]) -> Found | None:
    name, urls, fingerprint = entry.get("name"), entry.get("urls"), entry.get("fingerprint", "")
    if not isinstance(name, str) or not NAME.fullmatch(name) or not isinstance(urls, list):
        return None
    good = tuple(one for one in urls if isinstance(one, str) and is_origin(one))
    usable = isinstance(fingerprint, str) and fingerprint.isascii() and fingerprint.isprintable()
    return Found(name, good, fingerprint if usable else "") if good else None


def merged(found: Iterable[Found]) -> list[Found]:
    """One entry per relay, though it was found in two ways."""
    relays: dict[tuple[str, str], Found] = {}
    for one in found:
        key = (one.name, one.fingerprint)
        known = relays.get(key)
        relays[key] = (
            Found(one.name, tuple(dict.fromkeys((*known.urls, *one.urls))), one.fingerprint)
            if known
            else one
        )
    return sorted(relays.values(), key=lambda one: one.name)


def of_this_computer(state: Path) -> list[Found]:
    """The relays that run with this state folder, also where the network carries no multicast."""
    return [
        Found(one.name, tuple(each.removesuffix("/") for each in one.urls()), one.fingerprint)
        for one in running_relay.relays(state)
    ]


async def _find(
    registry: Address | None, state: Path, seconds: float
) -> tuple[list[Found], list[str]]:
    """The relays, and sentences about where nobody could be asked."""
    asked = [look_around(seconds), *([ask_registry(registry)] if registry else [])]
    found = of_this_computer(state)
    problems: list[str] = []
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(answer, NoMulticast | Unanswered):
            problems.append(str(answer))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found += answer
    return merged(found), problems


def main(arguments: list[str], state: Path | None = None) -> int:
    """`relay.py find`; the exit status is 0 when there is a relay, 1 when there is none.

    Args:
        arguments: What follows `find`.
        state: The default state folder of a relay on this computer; None for the program's own.
    """
    parser = Parser(prog=called("find"), description="Lists the relays in this network.")
    parser.add_argument("--registry", metavar="URL", help="ask this registry as well")
    where = state or state_folder()
    parser.add_argument(
        "--state",
        type=Path,
        default=where,
        metavar="DIR",
        help="state folder of a relay on this computer",
    )
    chosen = parser.parse_args(arguments)
    registry = None
    if chosen.registry:
        try:
            registry = Address.parse(chosen.registry)
        except ValueError as error:
            parser.error(str(error))
    found, problems = asyncio.run(_find(registry, chosen.state, PATIENCE))
    for problem in problems:
        print(problem)
    for relay in found:
        print(relay.name)
        for one in relay.urls:
            print(f"  {one}")
        if relay.fingerprint:
            print(f"  SHA-256 {relay.fingerprint}")
    if not found:
        print(
            "No relay was found. Is one running with --tls, and in the same network? Many "
            "routers keep guests and multicast apart."
        )
    return 0 if found else 1
