"""Plain HTTP at a port for https: a browser is sent to the same address by https, before anything
was computed for it. No sockets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from groundwork import addresses
from groundwork.denied import Denied
from groundwork.hosts import host_name

MAX_HEAD = 8 * 2**10
"""Bytes of a request head that are looked at: a browser's is below 4 KiB, as our cookies do not
come by http.
"""

_LONGEST_METHOD = 20  # letters; the longest in use have half of that
_METHOD = re.compile(rb"[A-Z]{1,20}(?: .*)?", re.DOTALL)
_REQUEST = re.compile(r"([A-Z]{1,20}) ([!-~]+) HTTP/1\.[01]")
_VALUE = r"[\t -~\x80-\xff]"  # RFC 9110 section 5.5
_ABSOLUTE = re.compile(r"http://([^/?#]+)(.*)", re.IGNORECASE)

_END = b"\r\n\r\n"


def is_begun(head: bytes | bytearray) -> bool:
    """Whether these bytes may be the beginning of a request."""
    return _METHOD.fullmatch(head[: _LONGEST_METHOD + 1]) is not None


def is_whole(head: bytes | bytearray, seen: int = 0) -> bool:
    """Whether enough has come to be answered: a request head, or more than one may have.

    Args:
        seen: Bytes of it that were looked at before.
    """
    return len(head) >= MAX_HEAD or head.find(_END, max(0, seen - len(_END))) >= 0


def header(head: bytes, name: str) -> list[str]:
    """The values of a header in a request head; what has control characters in it is none.

    One search, however many lines there are.
    """
    found = re.findall(rf"\r\n{name}:({_VALUE}*)(?=\r\n)", _lines(head), re.IGNORECASE)
    return [str(value).strip(" \t") for value in found]


def _lines(head: bytes) -> str:
    return head.partition(_END)[0].decode("latin-1") + "\r\n"


def location(head: bytes, check_host: Callable[[str], None]) -> str:
    """Where a request is sent to: the same host, port, path and query by https.

    Args:
        head: What `is_whole` has found enough.
        check_host: Raises `Denied` for a host that is none of ours.

    Raises:
        Denied: 421 by `check_host`; 431, it is too large; 400, it is something else than GET or
            HEAD, or makes no sense.
    """
    if _END not in head:
        raise Denied(
            431, "request-header-fields-too-large", "The head of the request is too large."
        )
    found = _REQUEST.fullmatch(head.partition(b"\r\n")[0].decode("latin-1"))
    hosts = header(head, "host")
    if found is None or len(hosts) != 1:
        raise Denied(400, "bad-request", "The request is not understood.")
    (method, target), host = found.groups(), hosts[0]
    if absolute := _ABSOLUTE.fullmatch(target):
        host, target = (
            absolute[1],
            absolute[2] if absolute[2].startswith("/") else f"/{absolute[2]}",
        )  # RFC 9112 section 3.2.2
    check_host(host)
    if method not in ("GET", "HEAD"):
        raise Denied(
            400, "needs-https", "This port is for https only: ask for the same address by https."
        )
    name = host_name(host)
    try:
        port = urlsplit(f"//{host}").port
    except ValueError:
        port = -1
    if name is None or port == -1 or not target.startswith("/"):
        raise Denied(400, "bad-request", "The request is not understood.")
    return addresses.url(
        "https", name, 80 if port is None else port, target
    )  # RFC 9110 section 4.2.1


def redirect(where: str, headers: Mapping[str, str]) -> bytes:
    """The answer that sends to there.

    No browser keeps it: the port may be one for http the next time.
    """
    return response(307, {"Location": where, **headers, "Cache-Control": "no-store"})


def response(status: int, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """An answer after which the connection ends."""
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + body
