"""The trust page's server: what it hands out, to whom, and that it does nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import plistlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from certs import Authority, Served
from drawercam.access.grants import Access
from drawercam.server.http import trust_page as trust
from drawercam.server.http.trust_page import TrustPage, profile, rows
from groundwork.connections.limits import MAX_TRUST
from tests.harness.relays import ROOT

PATIENCE = 20.0


class Desk:
    """A trust page that runs, and a client for it."""

    def __init__(self, served: Served, client: ClientSession, most: int = MAX_TRUST) -> None:
        self.served = served
        self.client = client
        self.page = TrustPage(
            lambda: self.served, 8443, Access(None, ["drawer.local"]).check_host, ROOT / "web", most
        )
        self.port = 0

    async def get(
        self, path: str, method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.client.request(
            method, url, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, dict(answer.headers), await answer.read()


@contextlib.asynccontextmanager
async def desk_of(folder: Path, most: int = MAX_TRUST) -> AsyncIterator[Desk]:
    async with ClientSession() as client:
        one = Desk(
            Authority(folder / "certs").ensure([ip_address("192.168.1.20")], ["drawer.local"]),
            client,
            most,
        )
        one.port = await one.page.start(["127.0.0.1"], 0)
        yield one
        await one.page.stop()


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(tmp_path) as one:
        yield one


async def test_the_page_has_steps_with_pictures_for_every_system(desk: Desk) -> None:
    status, headers, body = await desk.get("/trust")
    text = body.decode()
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    systems = re.split(r'<details class="panel" data-system="', text)[1:]
    assert [one.partition('"')[0] for one in systems] == [
        "android",
        "ios",
        "firefox-android",
        "firefox",
        "windows",
        "macos",
        "linux",
    ]
    for one in systems:
        steps = re.findall(r"<li>.*?</li>", one, re.DOTALL)
        assert steps and all("<svg" in step and "<p>" in step for step in steps)
    assert "$" not in text.replace("$HOME", "").replace("$ certutil", "")


async def test_its_fingerprint_is_the_authority_s_in_rows(desk: Desk) -> None:
    _, _, body = await desk.get("/trust")
    shown = re.findall(r"<li>((?:[0-9A-F]{2}:){7}[0-9A-F]{2})</li>", body.decode())
    assert shown == rows(desk.served.fingerprint)
    assert bytes.fromhex("".join(shown).replace(":", "")) == x509.load_der_x509_certificate(
        desk.served.ca_der
    ).fingerprint(SHA256())


async def test_it_says_what_an_older_authority_may_vouch_for_and_what_to_do(desk: Desk) -> None:
    assert "may vouch" not in (await desk.get("/trust"))[2].decode()
    desk.served = replace(desk.served, unlimited="every name that ends in .<garden>")
    text = " ".join((await desk.get("/trust"))[2].decode().split())
    assert (
        "may vouch for every name that ends in .&lt;garden&gt;, other people" in text
        and "delete the folder <i>certs</i>" in text
    )


@pytest.mark.parametrize(
    ("path", "disposition"), [("/ca.crt", "attachment"), ("/ca.crt?open", "inline")]
)
async def test_the_certificate_comes_in_der(desk: Desk, path: str, disposition: str) -> None:
    status, headers, body = await desk.get(path)
    assert (status, headers["Content-Type"], body) == (
        200,
        "application/x-x509-ca-cert",
        desk.served.ca_der,
    )
    assert headers["Content-Disposition"] == f'{disposition}; filename="drawercam-ca.crt"'


async def test_the_profile_is_one_that_apple_s_systems_take(desk: Desk) -> None:
    status, headers, body = await desk.get("/ca.mobileconfig")
    assert (status, headers["Content-Type"]) == (200, "application/x-apple-aspen-config")
    outer = plistlib.loads(body, fmt=plistlib.FMT_XML)
    (inner,) = outer["PayloadContent"]
    assert (outer["PayloadType"], inner["PayloadType"]) == (
        "Configuration",
        "com.apple.security.root",
    )
    assert inner["PayloadContent"] == desk.served.ca_der
    for payload in (outer, inner):
        assert payload["PayloadVersion"] == 1
        assert payload["PayloadDisplayName"].startswith("drawercam, ")
        assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", payload["PayloadUUID"])
    assert outer["PayloadUUID"] != inner["PayloadUUID"]
    assert outer["PayloadRemovalDisallowed"] is False


async def test_a_profile_replaces_its_like_and_no_other(desk: Desk, tmp_path: Path) -> None:
    assert profile(desk.served) == (await desk.get("/ca.mobileconfig"))[2]
    other = Authority(tmp_path / "other").ensure([], [])
    one, two = (plistlib.loads(profile(served)) for served in (desk.served, other))
    assert (
        one["PayloadUUID"] != two["PayloadUUID"]
        and one["PayloadIdentifier"] != two["PayloadIdentifier"]
    )


async def test_a_new_authority_is_handed_out_at_once(desk: Desk, tmp_path: Path) -> None:
    desk.served = Authority(tmp_path / "other").ensure([], [])
    assert (await desk.get("/ca.crt"))[2] == desk.served.ca_der
    assert rows(desk.served.fingerprint)[0] in (await desk.get("/trust"))[2].decode()


@pytest.mark.parametrize(
    "path", ["/", "/camera.html", "/camera.html?name=porch&start=1", "/player.html"]
)
async def test_the_pages_are_elsewhere_by_https(desk: Desk, path: str) -> None:
    for host, there in (
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("drawer.local", "drawer.local"),
    ):
        status, headers, body = await desk.get(path, Host=f"{host}:{desk.port}")
        assert (status, headers["Location"], body) == (302, f"https://{there}:8443{path}", b"")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/api/session",
            "/api/keys",
            "/healthz",
            "/wall",
            "/camera/porch",
            "/web/",
            "/camera.html/",
        ),
        *("/web/camera/page/camera-page.js", "/web/trust/trust.html"),
        *(
            "/web/../relay.py",
            "/web/%2e%2e/relay.py",
            "/../state/certs/authority.pem",
            "//evil.example/",
            "/trust/",
        ),
    ],
)
async def test_nothing_else_is_there(desk: Desk, path: str) -> None:
    _, answer = await asyncio.wait_for(
        raw(desk.port, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()), PATIENCE
    )
    assert answer.startswith(b"HTTP/1.1 404"), answer[:200]
    assert b"Location" not in answer


@pytest.mark.parametrize("path", ["/trust", "/camera.html"])
async def test_only_the_host_that_was_checked_says_where_the_relay_is(
    desk: Desk, path: str
) -> None:
    for target in (path, f"http://evil.example{path}", f"https://evil.example:1{path}"):
        for host in ("127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", "evil.example@127.0.0.1"):
            request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
            _, answer = await asyncio.wait_for(raw(desk.port, request), PATIENCE)
            assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 302")) and b"evil" not in answer
            assert b"https://127.0.0.1:8443" in answer


async def test_what_cannot_be_read_is_in_no_log_and_a_fault_is(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for request in (
        b"\x16\x03\x01\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
    ):
        _, answer = await asyncio.wait_for(raw(desk.port, request), PATIENCE)
        assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert not caplog.records
    monkeypatch.setattr(desk.page, "_served", list)
    assert (await desk.get("/trust"))[0] == 500
    assert [record.name for record in caplog.records] == ["drawercam.server.http.trust_page"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_nothing_can_be_changed(desk: Desk, method: str) -> None:
    for path in ("/trust", "/ca.crt", "/camera.html"):
        assert (await desk.get(path, method))[0] == 405


@pytest.mark.parametrize(
    "path", ["/", "/trust", "/ca.crt", "/ca.mobileconfig", "/camera.html", "/web/trust/trust.js"]
)
async def test_a_rebound_name_gets_nothing(desk: Desk, path: str) -> None:
    for host in (
        "evil.example",
        "drawer.local.evil.example",
        f"203.0.113.9:{desk.port}",
        "127.0.0.1.evil.example",
        "a b",
        "",
    ):
        status, headers, body = await desk.get(path, Host=host)
        assert status in (400, 421), host
        assert "Location" not in headers
        assert desk.served.ca_der not in body and b"<html" not in body


async def test_its_answers_are_strict_and_tell_nothing_of_the_program(desk: Desk) -> None:
    for path in ("/trust", "/ca.crt", "/ca.mobileconfig", "/", "/web/trust/trust.js", "/nothing"):
        _, headers, _ = await desk.get(path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert policy.endswith("connect-src https://127.0.0.1:8443")
        assert (
            headers["X-Content-Type-Options"] == "nosniff"
            and headers["Cache-Control"] == "no-store"
        )
        assert headers["Server"] == "drawercam" and "Set-Cookie" not in headers


async def test_neither_key_nor_secret_is_on_it(desk: Desk) -> None:
    """The folder of the certificates holds keys; nothing of them may come by plain http."""
    folder = desk.served.cert_file.parent
    secrets = [
        line
        for file in folder.glob("*.pem")
        for line in re.findall(r"BEGIN PRIVATE KEY-----\n(.*)\n", file.read_text())
    ]
    assert len(secrets) == 2
    for path in ("/trust", "/ca.crt", "/ca.mobileconfig", "/"):
        body = (await desk.get(path))[2].decode(errors="replace")
        assert (
            not any(secret in body for secret in secrets)
            and "PRIVATE" not in body
            and "#key=" not in body
        )


async def test_the_page_and_its_parts_have_nothing_inline(desk: Desk) -> None:
    body = (await desk.get("/trust"))[2].decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*src=)", body)
    for part in set(re.findall(r'(?:href|src)="(/web/[^"]+)"', body)):
        assert (await desk.get(part))[0] == 200, part


async def raw(port: int, request: bytes) -> tuple[asyncio.StreamWriter, bytes]:
    """Send bytes as they are, and read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return writer, answer


async def test_each_connection_serves_one_request(desk: Desk) -> None:
    two = b"GET /trust HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 2
    _, answer = await asyncio.wait_for(raw(desk.port, two), PATIENCE)
    assert answer.count(b"HTTP/1.1 200 OK") == 1


async def test_who_never_asks_is_cut_off(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "CONNECTION_LIFE", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    writer.write(b"GET /trust HTTP/1.1\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), PATIENCE)
    writer.close()


async def test_a_crowd_that_never_asks_keeps_nobody_out_and_harms_no_other(tmp_path: Path) -> None:
    """It takes the share of its own address, and its oldest go for its newest."""
    async with desk_of(tmp_path, most=8) as desk:
        other, (waiting, writer) = (
            b"GET /trust HTTP/1.1\r\n",
            await asyncio.open_connection("127.0.0.1", desk.port),
        )
        writer.write(other)
        crowd = [
            await asyncio.open_connection("127.0.0.1", desk.port, local_addr=("127.0.0.2", 0))
            for _ in range(20)
        ]
        for _, begun in crowd[::2]:
            begun.write(other)
        assert (await desk.get("/trust"))[0] == 200
        for reader, _ in crowd[:14]:
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        assert not any(reader.at_eof() for reader, _ in crowd[14:])
        writer.write(b"Host: 127.0.0.1\r\n\r\n")
        assert (await asyncio.wait_for(waiting.read(), PATIENCE)).startswith(b"HTTP/1.1 200 OK")
        for _, begun in (*crowd, (waiting, writer)):
            begun.close()


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing(desk: Desk) -> None:
    other = TrustPage(lambda: desk.served, 8443, Access(None).check_host, ROOT / "web")
    with pytest.raises(OSError, match="in use"):
        await other.start(["127.0.0.1"], desk.port)
    await other.stop()
    assert (await desk.get("/trust"))[0] == 200
