"""Pages, API and headers, on the same port as the sockets."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from websockets.exceptions import InvalidStatus
from yarl import URL

from drawercam.server.http.api import _code
from drawercam.server.http.headers import HEADERS
from drawercam.server.http.static_files import LOOK_INTERVAL, Modules, version_of
from groundwork.denied import Denied
from tests.harness.peers import PATIENCE, peer
from tests.harness.relays import ROOT, Relay


@pytest_asyncio.fixture
async def client(relay: Relay) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(relay.origin) as session:
        yield session


@pytest_asyncio.fixture
async def tls_client(tls_relay: Relay) -> AsyncIterator[aiohttp.ClientSession]:
    """A browser that has installed the relay's authority, with cookies for localhost."""
    connector = aiohttp.TCPConnector(ssl=tls_relay.context or True)
    async with aiohttp.ClientSession(tls_relay.origin, connector=connector) as session:
        yield session


def key(relay: Relay, page: str) -> str:
    """The key that the relay printed in its link to this page."""
    return relay.output.split(f"/{page}.html#key=", 1)[1].split()[0]


async def test_the_root_leads_to_the_player(client: aiohttp.ClientSession) -> None:
    async with client.get("/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/player.html")


@pytest.mark.parametrize("page", ["camera.html", "player.html", "keys.html"])
async def test_pages_come_with_strict_headers_and_all_their_modules(
    client: aiohttp.ClientSession, page: str
) -> None:
    async with client.get(f"/{page}") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert "Server" not in answer.headers
        text = await answer.text()
    assert "http://" not in text and "https://" not in text, "it must work without the Internet"
    assert "style=" not in text and "onclick" not in text and "<script>" not in text


async def test_every_module_and_style_is_served(client: aiohttp.ClientSession) -> None:
    files = [
        path for path in (ROOT / "web").rglob("*") if path.is_file() and path.suffix != ".html"
    ]
    names = [path.relative_to(ROOT / "web").as_posix() for path in files]
    assert len(names) > 10
    for name in names:
        async with client.get(f"/web/{name}") as answer:
            assert answer.status == 200
            assert answer.content_type in (
                "text/javascript",
                "application/javascript",
                "text/css",
                "image/svg+xml",
            ), name


HIDDEN = [
    "/web/",
    "/web/../relay.py",
    "/web/%2e%2e/relay.py",
    "/web/..%2frelay.py",
    "/relay.py",
    "/state/keys.json",
    "/x",
]


@pytest.mark.parametrize("path", HIDDEN)
async def test_nothing_else_is_served(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(URL(path, encoded=True)) as answer:
        assert answer.status in (403, 404)
        body = await answer.json()
        assert body["error"] and body["text"].endswith(".")


class FakeRequest:
    """As much of one as a module needs."""

    if_none_match = None

    def __init__(self, file: str) -> None:
        self.match_info = {"file": file}


def test_pages_have_another_version_where_a_file_has_another_name_or_content(
    tmp_path: Path,
) -> None:
    def version(**files: str) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, content in files.items():
            path = folder / "web" / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        (folder / "player.html").write_text("a page")
        return version_of(folder)

    files = {"wall__tile_js": "let a;", "sound_js": "let b;"}
    assert re.fullmatch("[0-9a-f]{16}", version(**files))
    assert version(**files) == version(**dict(reversed(files.items()))), (
        "in whatever order they are found"
    )
    assert version(**files) == version(**files, tile_js_swp="an editor's", keys="no file of a page")
    others = [
        {"tile_js": "let a;", "sound_js": "let b;"},
        {"wall__tile_js": "let b;", "sound_js": "let a;"},
        {"wall__tile_js": "let a;"},
        {"wall__tile_js": "let a;", "sound_js": ""},
        files | {"style_css": ""},
        files | {"sound_js": "let b;\n"},
    ]
    assert len({version(**files), *(version(**one) for one in others)}) == 1 + len(others)
    assert version_of(ROOT) == version_of(ROOT)


async def test_what_is_missing_costs_one_look_a_second_whoever_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there.js").write_text("here")
    now, looks, looking = [1000.0], list[str](), threading.Event()
    looking.set()
    modules = Modules(tmp_path, lambda: now[0])
    look = modules._look

    def counted() -> dict[str, Path]:
        looks.append(threading.current_thread().name)
        looking.wait(PATIENCE)
        return look()

    monkeypatch.setattr(modules, "_look", counted)

    async def status(name: str) -> int:
        try:
            return (await modules.get(cast(web.Request, FakeRequest(name)))).status
        except Denied as denied:
            return denied.status

    assert [await status(name) for name in ("there.js", "missing", "../there.js")] == [
        200,
        404,
        404,
    ] and not looks
    now[0] += LOOK_INTERVAL
    (tmp_path / "new.js").write_text("here")
    (tmp_path / "newer.js").write_text("here")
    looking.clear()
    asking = [
        asyncio.create_task(status(name)) for name in ("new.js", "newer.js", "missing", "there.js")
    ]
    await asyncio.sleep(0.01)
    gone = asyncio.create_task(status("newer.js"))
    await asyncio.sleep(0)
    gone.cancel()
    looking.set()
    assert await asyncio.gather(*asking) == [200, 200, 404, 200], "a page asks for many at once"
    assert {await status(f"missing {number}") for number in range(100)} == {404} and len(looks) == 1
    now[0] += LOOK_INTERVAL
    (tmp_path / "new.js").unlink()
    assert [await status(name) for name in ("new.js", "missing", "new.js")] == [
        404,
        404,
        404,
    ] and len(looks) == 2
    assert threading.main_thread().name not in looks


async def test_healthz_and_a_connection_that_is_kept(client: aiohttp.ClientSession) -> None:
    for _ in range(3):
        async with client.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")


async def test_without_tls_there_is_no_authority_and_no_key(client: aiohttp.ClientSession) -> None:
    async with client.get("/ca.crt") as answer:
        assert answer.status == 404 and (await answer.json())["error"] == "no-certificate"
    async with client.get("/api/session") as answer:
        session = await answer.json()
    assert session == {
        "keys": False,
        "camera": True,
        "viewer": True,
        "publish": "all",
        "watch": "all",
        "manage": False,
    }
    async with client.get("/api/invite") as answer:
        invitation = await answer.json()
        assert invitation["url"].startswith("http://localhost:") and invitation["url"].endswith(
            "/camera.html"
        )
        assert invitation["withKey"] is False


async def test_the_authority_can_be_downloaded_without_a_key(
    tls_client: aiohttp.ClientSession, tls_relay: Relay
) -> None:
    async with tls_client.get("/ca.crt") as answer:
        assert answer.content_type == "application/x-x509-ca-cert"
        certificate = x509.load_pem_x509_certificate(await answer.read())
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert "PRIVATE" not in tls_relay.output


async def test_a_key_becomes_a_cookie_that_opens_its_role_only(
    tls_client: aiohttp.ClientSession, tls_relay: Relay
) -> None:
    headers = {"Origin": tls_relay.origin}
    async with tls_client.post(
        "/api/session", json={"key": key(tls_relay, "player")}, headers=headers
    ) as answer:
        session = await answer.json()
        assert (session["keys"], session["camera"], session["viewer"], session["manage"]) == (
            True,
            False,
            True,
            False,
        )
        (cookie,) = answer.cookies.values()
        assert cookie.key.endswith("-viewer") and cookie.value not in tls_relay.output, (
            "it is a token, not the key"
        )
        assert cookie["httponly"] and cookie["secure"] and cookie["samesite"] == "Strict"
    async with tls_client.get("/api/cameras") as answer:
        assert await answer.json() == []
    async with tls_client.get("/api/invite") as answer:
        assert (await answer.json())["withKey"] is False
    header = {"additional_headers": {"Cookie": f"{cookie.key}={cookie.value}"}}
    async with peer(tls_relay, "/wall", **header) as wall:
        await wall.message("cameras")
    with pytest.raises(InvalidStatus) as refused:
        async with peer(tls_relay, "/camera/porch", **header):
            pass
    assert refused.value.response.status_code == 401
    async with tls_client.post(
        "/api/session", json={"key": key(tls_relay, "camera")}, headers=headers
    ) as answer:
        session = await answer.json()
        assert session["camera"] and session["viewer"] and session["manage"], (
            "a browser may hold both keys"
        )
    async with tls_client.get("/api/invite") as answer:
        invitation = await answer.json()
        assert invitation["withKey"] is True and invitation["url"].endswith(
            "#key=" + key(tls_relay, "camera")
        )


BODIES: list[tuple[Any, int]] = [
    ({"key": "aaaa-bbbb-cccc-dddd"}, 401),
    ({"key": "a" * 300}, 401),
    ({"key": 5}, 401),
    ({}, 400),
    ([], 400),
    ("x", 400),
    ({"key": "a" * 9000}, 413),
]


@pytest.mark.parametrize(("body", "status"), BODIES)
async def test_what_is_no_key_opens_nothing(
    tls_client: aiohttp.ClientSession, tls_relay: Relay, body: Any, status: int
) -> None:
    async with tls_client.post(
        "/api/session", json=body, headers={"Origin": tls_relay.origin}
    ) as answer:
        assert answer.status == status
        assert not answer.cookies
        assert (await answer.json())["text"]
    async with tls_client.get("/api/cameras") as answer:
        assert answer.status == 401


async def test_another_site_may_not_send_a_key(
    tls_client: aiohttp.ClientSession, tls_relay: Relay
) -> None:
    body = {"key": key(tls_relay, "player")}
    async with tls_client.post(
        "/api/session", json=body, headers={"Origin": "https://evil.example"}
    ) as answer:
        assert answer.status == 403 and not answer.cookies


async def test_a_rebound_name_gets_nothing(client: aiohttp.ClientSession) -> None:
    for path in ("/player.html", "/api/cameras", "/web/shared/relay/relay-link.js"):
        async with client.get(path, headers={"Host": "evil.example"}) as answer:
            assert answer.status == 421


async def test_the_code_on_the_wall_is_a_picture(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/invite.svg") as answer:
        assert answer.content_type == "image/svg+xml"
        root = ElementTree.fromstring(await answer.text())
    assert root.tag.endswith("svg")


def test_a_code_is_made_once() -> None:
    assert _code("https://relay.example/#key=a") is _code("https://relay.example/#key=a")
    assert _code("https://relay.example/#key=b") != _code("https://relay.example/#key=a")


async def test_a_relay_that_stops_answers_nobody_any_more_also_where_the_connection_is_kept() -> (
    None
):
    with Relay() as relay:
        async with (
            aiohttp.ClientSession(relay.origin) as client,
            peer(relay, "/player/porch") as viewer,
        ):
            async with client.get("/healthz") as answer:
                assert answer.status == 200
            stopping = asyncio.create_task(asyncio.to_thread(relay.stop))
            await viewer.message("error", id="restarting")
            with contextlib.suppress(aiohttp.ClientError):  # or it is closed already
                async with client.get("/healthz") as answer:
                    assert (answer.status, (await answer.json())["error"]) == (503, "restarting")
            await stopping


# --- what a person sees who opens an address that leads nowhere, and who comes by http ---

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_an_address_that_leads_nowhere_is_a_page_for_a_browser_and_json_for_a_program(
    client: aiohttp.ClientSession, relay: Relay
) -> None:
    for path in (
        "/nothing",
        "/web/nothing.js",
        "/<script>alert(1)</script>",
        "/cameras/porch/latest.jpg",
    ):
        async with client.get(path, headers=BROWSER) as answer:
            text = await answer.text()
            assert (answer.status, answer.content_type, answer.headers["Vary"]) == (
                404,
                "text/html",
                "Accept",
            )
            assert (
                set(HEADERS) <= set(answer.headers)
                and "script-src 'self'" in answer.headers["Content-Security-Policy"]
            )
        assert re.findall('href="(.*?html)"', text) == ["/player.html", "/camera.html"]
        assert "<script" not in text and "style=" not in text and "<style" not in text
        for accept in ("*/*", "application/json", "image/*", "text/html;q=0", "text/htmlx"):
            async with client.get(path, headers={"Accept": accept}) as answer:
                assert (answer.status, answer.content_type, answer.headers["Vary"]) == (
                    404,
                    "application/json",
                    "Accept",
                )
                assert (await answer.json())["error"]
    async with client.head("/nothing", headers=BROWSER) as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (404, "text/html", b"")


async def test_a_host_that_is_not_known_is_told_the_line_to_add_and_nothing_of_the_relay(
    client: aiohttp.ClientSession, relay: Relay
) -> None:
    for host, shown in (
        ("cams.home.example:8443", "--allow-host cams.home.example"),
        ("evil'<b>.example", "--allow-host HOST"),
        ("x" * 400, "--allow-host HOST"),
    ):
        async with client.get("/player.html", headers=BROWSER | {"Host": host}) as answer:
            text = await answer.text()
            assert (answer.status, answer.content_type, answer.headers["Vary"]) == (
                421,
                "text/html",
                "Accept",
            )
        assert f"<code>{shown}</code>" in text
        assert "href" not in text and "<b>" not in text and "src=" not in text
        for own in (socket.gethostname(), "127.0.0.1", str(relay.port)):
            assert own not in text.replace(shown, "")
        async with client.get("/player.html", headers={"Host": host}) as answer:
            assert (answer.status, (await answer.json())["error"]) == (421, "unknown-host")


async def test_http_at_the_port_for_https_leads_to_https(tls_relay: Relay) -> None:
    """A browser is sent to the same address; a host that is not known gets the page, and a body is
    not read.
    """
    here = f"http://localhost:{tls_relay.port}"
    async with aiohttp.ClientSession() as plain:
        for method in ("GET", "HEAD"):
            async with plain.request(
                method, f"{here}/player.html?camera=porch", allow_redirects=False
            ) as answer:
                where = f"https://localhost:{tls_relay.port}/player.html?camera=porch"
                assert (
                    answer.status,
                    answer.headers["Location"],
                    answer.headers["Cache-Control"],
                ) == (307, where, "no-store")
                assert set(HEADERS) <= set(answer.headers) and await answer.read() == b""
        async with plain.post(
            f"{here}/api/session", data=bytes(30_000), allow_redirects=False
        ) as answer:
            assert (answer.status, (await answer.json())["error"]) == (400, "needs-https")
        for headers, kind in ((BROWSER, "text/html"), ({}, "application/json")):
            async with plain.get(
                here, headers=headers | {"Host": "evil.example"}, allow_redirects=False
            ) as answer:
                assert (answer.status, answer.content_type, answer.headers["Vary"]) == (
                    421,
                    kind,
                    "Accept",
                )
                assert "Location" not in answer.headers
        async with plain.get(f"{here}/healthz", ssl=tls_relay.context or True) as answer:
            assert (answer.status, answer.url.scheme) == (200, "https")
