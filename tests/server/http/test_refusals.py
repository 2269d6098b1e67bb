"""What is said to those that are refused, and the headers of all answers, without a server."""

from __future__ import annotations

import json
from functools import partial

import pytest

from drawercam.access.grants import Access
from drawercam.server.admission.entrance import Entrance
from drawercam.server.admission.reverse_proxies import Client, Proxies, network
from drawercam.server.http.headers import answer_headers
from drawercam.server.http.refusals import Refusals
from drawercam.server.http.to_https import ToHttps
from groundwork.denied import Denied

PHONE = Client("192.0.2.7", "192.0.2.7:50000", host="drawer.local:8443", https=True)


@pytest.fixture
def refusals() -> Refusals:
    return Refusals(partial(answer_headers, ""))


def test_requests_and_handshakes_are_told_the_same(refusals: Refusals) -> None:
    denied = Denied(503, "too-many", "There are too many connections.", retry_after=7)
    request, handshake = refusals.of_request(denied, ()), refusals.of_handshake(denied, PHONE)
    assert request.status == handshake.status_code == 503
    assert isinstance(request.body, bytes)
    assert json.loads(request.body) == json.loads(handshake.body or b"") == denied.as_json()
    assert request.headers["Retry-After"] == "7"
    assert handshake.headers["Content-Length"] == str(len(handshake.body or b""))
    assert refusals.counted == {"too-many": 2}


def test_a_person_at_a_browser_gets_a_page(refusals: Refusals) -> None:
    denied, accept = Denied(404, "unknown-path", "There is nothing at this address."), ["text/html"]
    request, handshake = (
        refusals.of_request(denied, accept),
        refusals.of_handshake(denied, PHONE, accept),
    )
    assert request.body == handshake.body and b"<h1>Not found</h1>" in (handshake.body or b"")
    assert request.content_type == "text/html"
    assert handshake.headers["Content-Type"] == "text/html; charset=utf-8"
    assert request.headers["Vary"] == handshake.headers["Vary"] == "Accept"


def test_a_handshake_is_told_what_would_do(refusals: Refusals) -> None:
    assert refusals.of_handshake(Denied(405, "a", "A."), PHONE).headers["Allow"] == "GET"
    assert refusals.of_handshake(Denied(426, "b", "B."), PHONE).headers["Upgrade"] == "websocket"


def test_a_page_may_connect_to_the_host_at_which_it_was_opened() -> None:
    def connects(registry: str, client: Client) -> str:
        policy = answer_headers(registry, client)["Content-Security-Policy"]
        return next(part for part in policy.split("; ") if part.startswith("connect-src "))

    assert connects("", PHONE) == "connect-src 'self' wss://drawer.local:8443"
    plain = Client("", "", host="192.0.2.1:8080")
    assert connects("", plain) == "connect-src 'self' ws://192.0.2.1:8080"
    for host in ("a; script-src *", "a,b", "a b", "é", "", None):
        assert connects("", Client("", "", host=host)) == "connect-src 'self'", host
    assert connects("https://registry.local", PHONE) == "connect-src 'self' https: wss:"


def test_plain_http_leads_to_https_for_this_relay_and_not_for_its_proxy(refusals: Refusals) -> None:
    proxies = Proxies([network("192.0.2.9")])
    answers = ToHttps(Entrance(Access(None, ["drawer.local"]), True, proxies), refusals)

    def first_line(host: str, source: str = "192.0.2.7", method: str = "GET") -> str:
        head = f"{method} /player.html HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        answer = answers.answer(head, source, "192.0.2.1")
        if method == "HEAD":
            assert answer.endswith(b"\r\n\r\n")
        return answer.split(b"\r\n")[0].decode()

    assert first_line("drawer.local:8443") == "HTTP/1.1 307 Temporary Redirect"
    assert first_line("attacker.example", method="HEAD").startswith("HTTP/1.1 421 ")
    assert first_line("drawer.local:8443", "192.0.2.9").startswith("HTTP/1.1 400 ")
    assert refusals.counted == {"unknown-host": 1, "needs-https": 1}
