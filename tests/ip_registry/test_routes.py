"""The registry over HTTP: what relays send, what phones ask, what people see.

Real sockets, and the program itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from ip_registry import service as program
from ip_registry.messages import MAX_BODY, Announcement, authorization, path_of
from ip_registry.page import listing, not_there
from ip_registry.registry import BURST, Entry, Registry
from ip_registry.routes import ROUTES, add_routes
from ip_registry.service import MAX_CONNECTIONS, application
from tests.harness.registries import RegistryProcess
from tests.harness.relays import ROOT

SECRET = "a secret that only relays and the registry know"
URLS = ("https://10.9.8.7:8443", "https://127.0.0.9:8443")


class Service:
    """A registry that listens, and what relays and browsers do with it."""

    def __init__(self, registry: Registry, client: aiohttp.ClientSession) -> None:
        self.registry = registry
        self.client = client

    async def send(
        self, method: str, name: str, body: bytes = b"", secret: str = SECRET
    ) -> tuple[int, dict[str, Any]]:
        async with self.client.request(method, path_of(name), data=body) as answer:
            nonce = (await answer.json())["nonce"]
        headers = {"Authorization": authorization(secret, method, path_of(name), nonce, body)}
        async with self.client.request(method, path_of(name), data=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def announce(self, name: str, *urls: str, fingerprint: str = "") -> None:
        status, answer = await self.send(
            "POST", name, Announcement(name, urls or URLS, fingerprint).body()
        )
        assert status == 200, answer


@pytest_asyncio.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    registry = Registry(tmp_path, SECRET)
    runner = web.AppRunner(application(registry, b"the authority"), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
        yield Service(registry, client)
    await runner.cleanup()


async def test_a_relay_comes_and_goes_and_everybody_may_ask_where_it_is(service: Service) -> None:
    await service.announce("porch")
    for path in ("/api/relays", "/api/relays/porch"):
        async with service.client.get(path, headers={"Origin": "https://10.9.8.6:8443"}) as answer:
            assert answer.status == 200 and answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Cache-Control"] == "no-store"
            text = await answer.text()
        found = json.loads(text)
        relay = found["relays"][0] if "relays" in found else found
        assert (relay["name"], relay["alive"]) == ("porch", True)
        assert relay["urls"] == [URLS[1], URLS[0]], "the visitor comes from 127.0.0.1"
        assert SECRET not in text and "nonce" not in text
    status, _ = await service.send("DELETE", "porch")
    assert status == 200
    async with service.client.get("/api/relays/porch") as answer:
        assert (await answer.json())["alive"] is False
    async with service.client.get("/api/relays/garden", headers={"Origin": "https://x"}) as answer:
        assert answer.status == 404 and answer.headers["Access-Control-Allow-Origin"] == "*"
        assert (await answer.json())["text"].endswith(".")


async def test_with_a_wrong_secret_nothing_changes(service: Service) -> None:
    await service.announce("porch")
    status, answer = await service.send(
        "POST", "porch", Announcement("porch", ("https://6.6.6.6",)).body(), secret="x" * 40
    )
    assert status == 403 and "copy the file" in answer["text"]
    status, answer = await service.send("DELETE", "porch", secret="x" * 40)
    assert status == 403
    async with service.client.get("/api/relays/porch") as response:
        assert (await response.json())["alive"] is True


async def test_bodies_are_bounded_in_size_and_time(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with service.client.post("/api/relays/porch", data=b" " * (MAX_BODY + 1)) as answer:
        assert answer.status == 413 and str(MAX_BODY) in (await answer.json())["text"]

    monkeypatch.setattr("ip_registry.routes.BODY_DEADLINE", 0.1)
    never = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await never.wait()

    async with service.client.post("/api/relays/porch", data=slow()) as answer:
        assert answer.status == 408 and (await answer.json())["error"] == "too-slow"


async def test_a_fault_is_told_in_words_and_the_log_has_it(
    service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.registry, "relays", dict.popitem)
    async with service.client.get("/api/relays") as answer:
        assert (answer.status, (await answer.json())["error"]) == (500, "internal")
    assert [record.name for record in caplog.records] == ["ip_registry"]


async def test_too_many_requests_of_one_address_are_refused_in_words(service: Service) -> None:
    for _ in range(20 * BURST):  # a slow computer asks hardly faster than the limit allows
        async with service.client.get("/api/relays") as answer:
            if answer.status == 429:
                assert "seconds" in (await answer.json())["text"]
                return
    pytest.fail("none was refused")


@pytest.mark.parametrize("page", ["camera.html", "player.html"])
async def test_go_leads_to_where_the_relay_is_now_and_keeps_the_query(
    service: Service, page: str
) -> None:
    await service.announce("porch", "https://10.9.8.7:8443", "https://[fd00::7]:8443")
    query = "name=a%20b&start=1&x=%22%0d%0aSet-Cookie:%20y"
    async with service.client.get(f"/go/porch/{page}?{query}", allow_redirects=False) as answer:
        assert answer.status == 302 and answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Location"].startswith(
            f"https://10.9.8.7:8443/{page}?name=a%20b&start=1"
        )
        assert "Set-Cookie" not in answer.headers
    await service.announce("porch", "https://10.1.1.1:8443")
    async with service.client.get(f"/go/porch/{page}", allow_redirects=False) as answer:
        assert answer.headers["Location"] == f"https://10.1.1.1:8443/{page}"


async def test_go_says_plainly_when_a_relay_is_not_there(service: Service) -> None:
    await service.announce("porch")
    await service.send("DELETE", "porch")
    async with service.client.get("/go/porch/camera.html", allow_redirects=False) as answer:
        text = await answer.text()
        assert (
            answer.status == 503
            and "last seen" in text
            and URLS[0] in text
            and "leads there again" in text
        )
    async with service.client.get("/go/garden/camera.html", allow_redirects=False) as answer:
        assert answer.status == 404 and "no relay of this name" in await answer.text()


@pytest.mark.parametrize(
    "path",
    [
        "/go/porch/x.html",
        "/go/porch/",
        "/go/porch/camera.html/x",
        "/x",
        "/relays/x",
        "/page.py",
        "/go//evil.example/",
    ],
)
async def test_there_is_nothing_else(service: Service, path: str) -> None:
    await service.announce("porch")
    async with service.client.get(path, allow_redirects=False) as answer:
        assert answer.status == 404 and (await answer.json())["text"].endswith(".")
        assert "Location" not in answer.headers


async def test_other_methods_are_refused_in_words(service: Service) -> None:
    async with service.client.put("/api/relays/porch") as answer:
        assert answer.status == 405 and (await answer.json())["text"].endswith(".")


async def test_the_page_lists_the_relays_strictly_and_escapes_what_comes_from_outside(
    service: Service,
) -> None:
    async with service.client.get("/") as answer:
        assert answer.status == 200 and "No relay is known here" in await answer.text()
    await service.announce("porch", fingerprint="AB:" * 31 + "AB")
    await service.announce("garden")
    await service.send("DELETE", "garden")
    async with service.client.get("/") as answer:
        text = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (
        "/go/porch/camera.html" in text
        and "/go/porch/player.html" in text
        and URLS[0] in text
        and "AB:AB" in text
    )
    assert "/go/garden" not in text and "last seen" in text
    assert "style=" not in text and "onclick" not in text and "<script>" not in text
    for path, kind in (("/relays.css", "text/css"), ("/relays.js", "text/javascript")):
        async with service.client.get(path) as answer:
            assert (answer.status, answer.content_type) == (200, kind)


def test_whatever_a_relay_could_say_becomes_text() -> None:
    # An announcement cannot hold this; the page does not rely on it.
    said = Announcement("porch", ("https://10.0.0.1",))
    object.__setattr__(said, "name", "<script>\"'&")
    object.__setattr__(said, "urls", ("https://\"'><script>alert(1)</script>",))
    object.__setattr__(said, "fingerprint", "</p><script>")
    for alive in (True, False):
        entry = Entry(said, alive, 0, 0, 0, "")
        for text in (listing([entry], None), not_there(entry)):
            tags = Tags()
            tags.feed(text)
            assert tags.scripts == [{"type": "module", "src": "/relays.js"}]


class Tags(HTMLParser):
    """The scripts of a page, as a browser finds them."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.scripts.append(dict(attrs))


async def test_it_can_be_a_part_of_another_application(tmp_path: Path) -> None:
    """As inside a relay, which has its own front page and guards every path that is not the
    registry's.
    """
    app = web.Application()
    add_routes(
        app,
        Registry(tmp_path, SECRET, own=lambda: Announcement("hall", ("https://10.0.0.1:8443",))),
    )
    served = {
        (route.method, resource.canonical)
        for resource in app.router.resources()
        for route in resource
    }
    assert served == set(ROUTES) | {("HEAD", path) for method, path in ROUTES if method == "GET"}
    assert ("GET", "/") not in served
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client,
        client.get("/go/hall/player.html?x=1", allow_redirects=False) as answer,
    ):
        assert answer.headers["Location"] == "https://10.0.0.1:8443/player.html?x=1"
    await runner.cleanup()


# --- the program ---


async def test_the_program_tells_how_to_go_on_and_remembers_across_a_restart(
    tmp_path: Path,
) -> None:
    with RegistryProcess(tmp_path) as registry:
        assert "A secret was made" in registry.output and "scp" in registry.output
        assert f"--registry '{registry.origin}'" in registry.output
        assert registry.secret not in registry.output
        async with aiohttp.ClientSession(registry.origin) as client:
            service = Service(None, client)  # type: ignore[arg-type]
            status, _ = await service.send(
                "POST", "porch", Announcement("porch", URLS).body(), registry.secret
            )
            assert status == 200
        await asyncio.to_thread(registry.stop)
        await asyncio.to_thread(registry.start)
        assert "The secret is in" in registry.output
        async with (
            aiohttp.ClientSession(registry.origin) as client,
            client.get("/api/relays/porch") as answer,
        ):
            assert (await answer.json())["alive"] is True
        assert "Traceback" not in registry.output


async def test_the_program_serves_https_with_an_authority_of_its_own(tmp_path: Path) -> None:
    with RegistryProcess(tmp_path, "--tls") as registry:
        assert registry.origin.startswith("https://127.0.0.1:") and "#sha256=" in registry.output
        context = ssl.create_default_context(cafile=str(tmp_path / "certs" / "ca.crt"))
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(registry.origin, connector=connector) as client:
            async with client.get("/ca.crt") as answer:
                assert answer.content_type == "application/x-x509-ca-cert"
                assert await answer.read() == (tmp_path / "certs" / "ca.crt").read_bytes()
            async with client.get("/") as answer:
                assert "No relay is known here" in await answer.text()


async def test_a_crowd_at_the_program_makes_room_within_its_own_address(tmp_path: Path) -> None:
    """More connections than one address may have, half of them with half of a handshake."""
    share = MAX_CONNECTIONS * 3 // 4
    with RegistryProcess(tmp_path, "--tls") as registry, contextlib.ExitStack() as held:
        crowd = []
        for number in range(share + 40):
            one = socket.create_connection(
                ("127.0.0.1", registry.port), 20, source_address=("127.0.0.2", 0)
            )
            crowd.append(held.enter_context(one))
            if number % 2:
                one.sendall(b"\x16\x03\x01")
        context = ssl.create_default_context(cafile=str(tmp_path / "certs" / "ca.crt"))
        for source in ("127.0.0.1", "127.0.0.2"):
            connector = aiohttp.TCPConnector(ssl=context, local_addr=(source, 0))
            async with (
                aiohttp.ClientSession(registry.origin, connector=connector) as client,
                client.get("/") as answer,
            ):
                assert "No relay is known here" in await answer.text()
        for one in crowd[:40]:
            with contextlib.suppress(ConnectionError):
                assert one.recv(1) == b""
        crowd[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            crowd[-1].recv(1)
        assert registry.stop() == 0 and "Traceback" not in registry.output


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("--port", "99999"), 2, "a port is a number"),
        (("--nonsense",), 2, "there is no option --nonsense"),
        (("--state", "/dev/null/state"), 1, "cannot be kept"),
        (("--secret-file", "/dev/null"), 1, "holds no secret"),
    ],
)
def test_a_wrong_command_line_is_explained(
    tmp_path: Path, arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    command = [
        sys.executable,
        "-m",
        "ip_registry",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--state",
        str(tmp_path),
        *arguments,
    ]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == status
    assert sentence in done.stderr and "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_explained(tmp_path: Path) -> None:
    with RegistryProcess(tmp_path) as registry:
        command = [
            sys.executable,
            "-m",
            "ip_registry",
            "--host",
            "127.0.0.1",
            "--port",
            str(registry.port),
            "--state",
            str(tmp_path),
        ]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1 and "--port" in done.stderr and "Traceback" not in done.stderr


def test_http_at_its_port_for_https_leads_to_https() -> None:
    sent = program._plain(
        b"GET /go/attic HTTP/1.1\r\nHost: registry.local:8099\r\n\r\n", "192.168.1.7", "192.168.1.2"
    )
    assert (
        sent.startswith(b"HTTP/1.1 307 ")
        and b"\r\nLocation: https://registry.local:8099/go/attic\r\n" in sent
    )
    assert program._plain(
        b"POST / HTTP/1.1\r\nHost: registry.local\r\n\r\n", "192.168.1.7", ""
    ).startswith(b"HTTP/1.1 400 ")
