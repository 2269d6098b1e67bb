"""Plain HTTP at the port for https: where a request is sent to, and that hostile bytes make nothing
else of it.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.access.grants import Access
from groundwork.addresses import parsed
from groundwork.connections import plain_http
from groundwork.connections.plain_http import MAX_HEAD, location
from groundwork.denied import Denied

KNOWN = [ip for ip in map(parsed, ("192.168.7.7", "fd00::7")) if ip is not None]
ACCESS = Access(None, ["attic.local", "localhost"], KNOWN, tls=True)


def sent_to(head: bytes) -> str:
    return location(head, ACCESS.check_host)


@pytest.mark.parametrize(
    ("request_line", "host", "where"),
    [
        ("GET / HTTP/1.1", "192.168.7.7:8443", "https://192.168.7.7:8443/"),
        (
            "HEAD /player.html?camera=porch&x=%2F HTTP/1.1",
            "attic.local:8443",
            "https://attic.local:8443/player.html?camera=porch&x=%2F",
        ),
        ("GET /a?b=//c HTTP/1.0", "[fd00::7]:8443", "https://[fd00::7]:8443/a?b=//c"),
        ("GET /a HTTP/1.1", "localhost", "https://localhost:80/a"),
        ("GET /a HTTP/1.1", "localhost:443", "https://localhost/a"),
        ("GET /a HTTP/1.1", "ATTIC.local.:9000", "https://attic.local:9000/a"),
        ("GET //evil.example/ HTTP/1.1", "localhost:8443", "https://localhost:8443//evil.example/"),
        (
            "GET http://attic.local:9000/a?b HTTP/1.1",
            "evil.example",
            "https://attic.local:9000/a?b",
        ),
        (
            "GET http://attic.local:9000?b HTTP/1.1",
            "attic.local:9000",
            "https://attic.local:9000/?b",
        ),
        ("GET / HTTP/1.1", "evil.example@192.168.7.7:8443", "https://192.168.7.7:8443/"),
    ],
)
def test_it_is_sent_to_the_same_address_by_https(request_line: str, host: str, where: str) -> None:
    assert sent_to(f"{request_line}\r\nAccept: */*\r\nHOST: {host} \r\n\r\n".encode()) == where


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: 192.168.7.8\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: \r\n\r\n", 421),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody", 400),
        (b"PUT /cameras/a/publish HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost:99999\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost:x\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /\r HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET /" + b"a" * MAX_HEAD, 431),
    ],
)
def test_everything_else_is_refused(head: bytes, status: int) -> None:
    with pytest.raises(Denied) as denied:
        sent_to(head)
    assert denied.value.status == status


_TEXT = st.text(st.characters(max_codepoint=255), max_size=30) | st.sampled_from(
    ["localhost", "192.168.7.7:1", "a\nb", "\r\n"]
)


@given(_TEXT, _TEXT, _TEXT)
def test_whatever_is_asked_leads_to_this_relay_or_nowhere(
    target: str, host: str, more: str
) -> None:
    head = f"GET /{target} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n\r\n".encode("latin-1")
    try:
        where = sent_to(head)
    except Denied:
        return
    assert where.isprintable() and " " not in where and where.isascii()
    parts = urlsplit(where)
    assert parts.scheme == "https"
    ACCESS.check_host(parts.netloc)
    assert plain_http.redirect(where, {}).count(b"\r\n\r\n") == 1


@given(st.binary(max_size=40))
def test_a_beginning_is_told_from_other_bytes_at_once(data: bytes) -> None:
    begun = plain_http.is_begun(data)
    if begun:
        assert all(plain_http.is_begun(data[: size + 1]) for size in range(len(data)))
        assert data[:1].isupper()
