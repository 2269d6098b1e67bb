"""Addresses of sources: how they may be shown, and what is wrong with them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

HINT = "If a / ? # @ : or % belongs to the password, write %2F %3F %23 %40 %3A or %25 for it."
"""What helps where an address was taken apart at a character of its password (RFC 3986 section
2.1).
"""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")

# A host, or an IPv6 address, and a port.
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\])(?::\d*)?", re.ASCII)


def shown(url: str) -> str:
    """A URL as it may stand in a log: scheme, host and port.

    Cameras take passwords before the host, in the query and in the path, so nothing of these is
    shown. Where an ``@`` stands behind what looks like the host, that may be a part of a password,
    too.
    """
    scheme, _, rest = url.partition("://")
    if not _SCHEME.fullmatch(scheme):
        return "the address"
    authority = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    _, at, host = authority.rpartition("@")
    behind = rest[len(authority) :]
    if "@" in behind or not _HOST.fullmatch(host):
        return f"{scheme}://..."
    return f"{scheme}://{'...@' if at else ''}{host}{'/...' if len(behind) > 1 else behind}"


def is_doubtful(url: str) -> bool:
    """Whether a character of a password may have been taken for the end of the host."""
    return "@" in re.split(r"[/?#\\]", url.partition("://")[2], maxsplit=1)[-1]


def check(url: str) -> None:
    """
    Raises:
        ValueError: It has no host, or a port that is none. The text is a sentence without anything
            of the URL.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError(
            f"this is no URL, such as rtsp://user:password@192.168.1.7/stream2. {HINT}"
        ) from None


def refused(url: str) -> str:
    """What to say of an address whose user or password is wrong or missing, after its name."""
    scheme = url.partition("://")[0]
    return (
        "does not let this program in without the right user and password: "
        f"{scheme}://user:password@... {HINT}"
    )
