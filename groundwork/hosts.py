"""A host as people write it, in an option or as it stands in the browser: `--allow-host`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from yarl import URL

from .addresses import DEFAULT_PORTS, IPAddress

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
"""A label as browsers take it.

Unlike one in DNS_LABEL it may have `_`, as names of containers do; no certificate of ours holds
those.
"""

_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label with which browsers take the whole for an IPv4 address (WHATWG URL section 3.5)."""

_PAGES = ("/camera.html", "/player.html")
"""Paths that stand in the browser behind the host, and say nothing more of it."""

_FORMS = (
    "it must be a name or an address, with or without its port, or all of what stands in the "
    "browser, such as https://cam.example.org:8443"
)


@dataclass(frozen=True, slots=True)
class Host:
    """One `--allow-host`.

    Attributes:
        host: A name in ASCII and lower case, or an address without brackets.
        ip: The same where it is an address.
        scheme: ``https`` or ``http``; None where that was not said.
        port: None where that was not said, and where it is the scheme's own.
    """

    host: str
    ip: IPAddress | None = None
    scheme: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Host:
        """
        Raises:
            ValueError: It is none; the message is a sentence about it.
        """
        given = text.strip()
        wrong = ValueError(f"{text!r} is no host: {_FORMS}")
        if not given or any(one.isspace() or not one.isprintable() for one in given):
            raise wrong
        if "," in given or ";" in given:
            raise ValueError(
                f"{text!r} is more than one host: give each an --allow-host of its own"
            )
        if "*" in given:
            raise ValueError(
                f"{text!r} stands for many hosts: give each under which the relay is "
                "reached an --allow-host of its own"
            )
        if (bare := address(given)) is not None:
            return cls(*_checked(bare, wrong))
        try:
            parts = urlsplit(given if "://" in given else f"//{given}")
            port = parts.port
        except ValueError:
            raise wrong from None
        if parts.scheme not in ("", "http", "https"):
            raise ValueError(
                f"{text!r} is no address of a page: it must begin with https:// or "
                "http://, or be a host alone"
            )
        if not parts.hostname:
            raise wrong
        if parts.path.strip("/") and parts.path not in _PAGES:
            raise ValueError(
                f"{text!r} has a path, and drawercam does not work below one: give it a "
                "host of its own (docs/proxy.md)"
            )
        if (
            parts.username is not None
            or parts.query
            or parts.fragment
            or parts.netloc.endswith(":")
            or port == 0
        ):
            raise wrong
        name = parts.hostname
        ip = address(name)
        if "[" in parts.netloc and (ip is None or ip.version == 4):
            raise wrong
        host, ip = _checked(ip, wrong) if ip is not None else (_name(name, wrong), None)
        return cls(
            host,
            ip,
            parts.scheme or None,
            None if port == DEFAULT_PORTS.get(parts.scheme) else port,
        )


def line_for(host: str | None) -> str:
    """The option that lets pages be opened under this Host; where that can be no host, with a word
    in its place.
    """
    try:
        found = Host.parse(host or "")
    except ValueError:
        return "--allow-host HOST"
    return "--allow-host " + (f"[{found.host}]" if ":" in found.host else found.host)


def address(text: str) -> IPAddress | None:
    """The address that a text is; None for all else."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _checked(ip: IPAddress, wrong: ValueError) -> tuple[str, IPAddress]:
    """An address that can stand in a URL."""
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_unspecified or ip.is_multicast or getattr(ip, "scope_id", None):
        raise wrong
    return str(ip), ip


def _name(text: str, wrong: ValueError) -> str:
    """A name as browsers send it."""
    try:
        name = (URL.build(scheme="https", host=text.removesuffix(".")).raw_host or "").lower()
    except ValueError:
        raise wrong from None
    labels = name.split(".")
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)) or _NUMBER.fullmatch(labels[-1]):
        raise wrong
    return name


def host_name(host: str | None) -> str | None:
    """The name or address in a Host header, without port and brackets."""
    if not host:
        return None
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    return name.removesuffix(".") if name else None
