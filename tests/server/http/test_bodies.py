"""Bodies that never come to an end, and answers that nobody takes."""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
from pathlib import Path

import aiohttp
import pytest

from drawercam.access.grants import Access
from drawercam.access.keys import Keyring
from drawercam.server.http import bodies
from groundwork.connections.limits import Places
from tests.harness.peers import PATIENCE
from tests.server.http.cameras.test_live_file import House
from tests.server.test_promises import eventually

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")


def post(
    path: str,
    house: House,
    body: bytes = b"",
    length: int | None = None,
    kind: str = "application/json",
) -> bytes:
    """A request whose body may be shorter than it says."""
    size = len(body) if length is None else length
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nContent-Type: "
        f"{kind}\r\nContent-Length: {size}\r\n\r\n"
    )
    return head.encode() + body


async def test_a_body_that_does_not_go_on_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_DEADLINE", 0.2)
    async with House() as house, asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(post("/api/session", house, b"{", length=10))
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 408 " in answer.partition(b"\r\n")[0] and b"too-slow" in await reader.readuntil(
            b"}"
        )
        writer.close()


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/api/session", "_strange"),
        ("/cameras/porch/publish", "_places"),
        ("/over-http/{id}?at=0", "_places"),
    ],
)
async def test_one_address_leaves_room_for_the_bodies_of_others(
    path: str, most: str, tmp_path: Path
) -> None:
    access = Access(Keyring.open(tmp_path)) if most == "_strange" else Access(None)
    async with House(access) as house, asyncio.timeout(PATIENCE):
        places = Places(4, 2)
        setattr(house.server._bodies, most, places)
        opened = []
        if "{id}" in path:
            asks = post("/over-http/wall", house).replace(
                b"Host:", b"Drawercam-Protocol: drawercam.1\r\nHost:", 1
            )
            opened.append(await connected(house, asks))
            head = (await opened[0][0].readuntil(b"\r\n\r\n")).decode()
            path = path.format(id=head.partition("Drawercam-Stream: ")[2].partition("\r\n")[0])
        slow = [await connected(house, post(path, house, length=10)) for _ in range(2)]
        await eventually(lambda: places.total == 2, "they are on their way")
        reader, writer = await connected(house, post(path, house, length=10))
        answer = await reader.readuntil(b"\r\n\r\n")
        assert (
            b" 503 " in answer.partition(b"\r\n")[0]
            and b"Retry-After: 1" in answer
            and b"too-many" in await reader.readuntil(b"}")
        )
        writer.close()
        if path == "/api/session":
            reader, writer = await connected(house, post(path, house, b'{"key": "x"}'))
            assert b" 401 " in (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0], (
                "what has come as a whole takes no place"
            )
            writer.close()
        assert places.total == 2, "who is in stays"
        for _, writer in (*slow, *opened):
            writer.transport.abort()
        await eventually(lambda: places.total == 0, "there is room again")


async def connected(
    house: House, request: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(request)
    return reader, writer


@pytest.mark.parametrize(
    "kind", ["application/json; charset=nope", "application/json; charset=utf-16", "text/plain"]
)
async def test_no_body_makes_the_relay_say_that_it_has_a_fault(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with House() as house, aiohttp.ClientSession(house.origin) as client:
        for body, status in (
            (b"\xff\xfe", 400),
            (b'"no object"', 400),
            (b"[" * 3000, 400),
            (b'{"key": 1}', 200),
            (b" " * 5000, 413),
        ):
            async with client.post(
                "/api/session", data=body, headers={"Content-Type": kind}
            ) as answer:
                assert answer.status == status
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    "path", ["/api/session", "/over-http/nothing?at=0", "/cameras/porch/publish"]
)
async def test_who_goes_away_before_its_body_was_read_is_no_news(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with House() as house:
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(post(path, house, length=10))
            writer.close()
        await eventually(
            lambda: house.server._arrived == 20 and not house.server._doors, "all were there"
        )
        http = house.server._runner.server
        assert http is not None
        await eventually(lambda: not http.connections, "all have gone")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_who_does_not_take_its_answers_is_cut_off_and_holds_no_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bodies, "WRITE_DEADLINE", 0.5)
    async with House() as house:
        loop = asyncio.get_running_loop()
        http = house.server._runner.server
        assert http is not None
        with sockets.socket() as slow:
            slow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
            slow.setblocking(False)
            await loop.sock_connect(slow, ("127.0.0.1", house.port))
            await loop.sock_sendall(
                slow,
                (
                    f"GET /web/player/tile/tile.js HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\n\r\n"
                ).encode()
                * 400,
            )
            await eventually(lambda: http.connections, "it has come")
            await eventually(lambda: not http.connections, "it was cut off")


async def test_a_file_that_a_browser_has_is_not_sent_again() -> None:
    async with House() as house, aiohttp.ClientSession(house.origin) as client:
        for path, kind in (
            ("/camera.html", "text/html"),
            ("/web/player/tile/tile.js", "text/javascript"),
            ("/web/shared/style.css", "text/css"),
            ("/web/icon.svg", "image/svg+xml"),
        ):
            async with client.get(path) as answer:
                assert (answer.status, answer.content_type, answer.charset) == (200, kind, "utf-8")
                tag, body = answer.headers["ETag"], await answer.read()
                assert body
            for known, status in (
                (tag, 304),
                (f'"other", W/{tag}', 304),
                ("*", 304),
                ('"other"', 200),
            ):
                async with client.get(path, headers={"If-None-Match": known}) as answer:
                    assert (answer.status, answer.headers["ETag"]) == (status, tag)
                    assert await answer.read() == (body if status == 200 else b"")
