"""The door, and the rooms behind it: what a peer's bytes may do, whatever they are; transport and
clock only pretend.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from drawercam.access.grants import Access
from drawercam.server.admission.routes import REQUESTS, SOCKETS
from drawercam.server.connections.first_request import HEAD_DEADLINE, MAX_HEAD, Door
from drawercam.server.server import Server
from ip_registry.registry import Registry
from tests.harness.peers import handshake
from tests.server.sockets.test_websocket import FakeTransport
from tests.server.test_security import filled, site


class Transport(FakeTransport):
    """One whose protocol may change, as a loop's."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None

    def set_protocol(self, protocol: object) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 5) if name in ("peername", "sockname") else default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class FakeRooms:
    """Attributes:
    time: Seconds.
    entered: Which room, with which head and what came behind it.
    """

    def __init__(self) -> None:
        self.time = 1000.0
        self.entered: list[tuple[str, bytes, bytes]] = []

    def served(self) -> float:
        return self.time

    def enter_http(self, transport: object, head: bytes) -> None:
        self.entered.append(("http", head, b""))

    def enter_websocket(self, transport: object, head: bytes, rest: bytes) -> None:
        self.entered.append(("websocket", head, rest))

    def door_opens(self, door: Door) -> bool:
        return True

    def door_closes(self, door: Door) -> None:
        pass


class Stage:
    """A door that somebody stands at."""

    def __init__(self) -> None:
        self.rooms, self.transport = FakeRooms(), Transport()
        self.door = Door(self.rooms)
        self.door.connection_made(cast(asyncio.BaseTransport, self.transport))

    def sweep(self, seconds: float) -> None:
        self.rooms.time += seconds
        self.door.sweep(self.rooms.time)


# --- empty lines ---

BEGINNINGS = [
    b"",
    b"G",
    b"\r\n",
    b"\r\n\r\n",
    b"\n\n",
    b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nA: b",
    b"GET / HTTP/1.1\nHost: x\n\n",
]


@pytest.mark.parametrize("beginning", BEGINNINGS)
@pytest.mark.parametrize("step", [1, 1000])
def test_a_request_that_does_not_end_ends_in_time_however_it_begins(
    beginning: bytes, step: int
) -> None:
    stage = Stage()
    for position in range(0, len(beginning), step):
        stage.door.data_received(beginning[position : position + step])
    stage.sweep(HEAD_DEADLINE)
    assert not stage.transport.aborted
    stage.door.data_received(b"\r\n")  # who goes on like that gains nothing
    stage.sweep(0.1)
    assert stage.transport.aborted and not stage.rooms.entered


@pytest.mark.parametrize("lines", [b"\r\n", b"\n", b"\r\n\r\n", b"\r\n" * 40000])
def test_empty_lines_before_a_request_are_ignored(lines: bytes) -> None:
    for request, room in (
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http"),
        (handshake("/wall", "x"), "websocket"),
    ):
        for pieces in (
            [lines + request],
            [lines, request],
            [lines[:1], lines[1:] + request[:1], request[1:]],
        ):
            stage = Stage()
            for piece in pieces:
                stage.door.data_received(piece)
            assert stage.rooms.entered == [(room, request, b"")]


@pytest.mark.parametrize("size", [MAX_HEAD + 1, 100 * MAX_HEAD])
@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_a_head_that_is_too_large_is_refused_though_it_comes_at_once(size: int, end: bytes) -> None:
    stage = Stage()
    stage.door.data_received(b"GET / HTTP/1.1\r\nX: " + b"x" * size + end)
    assert (
        stage.transport.written.startswith(b"HTTP/1.1 431 ")
        and stage.transport.closed
        and not stage.rooms.entered
    )
    written = stage.transport.written
    stage.door.data_received(b"\r\n\r\n")
    assert stage.transport.written == written and not stage.rooms.entered


@given(st.binary(max_size=200))
def test_what_comes_behind_a_handshake_is_kept_apart(rest: bytes) -> None:
    stage, request = Stage(), handshake("/wall", "x")
    stage.door.data_received(request + rest)
    assert stage.rooms.entered == [("websocket", request, rest)]


# --- a whole server ---


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """One that listens nowhere; everybody may do everything."""
    one = Server(site(Access(None, ["localhost"]), Registry(tmp_path, "s" * 32)))
    await one._runner.setup()
    yield one
    await one.stop()


PATHS = [
    *map(filled, (*REQUESTS, *SOCKETS * 5)),
    *["/healthz"] * 5,
    "//[",
    "http://[",
    "http://x:99999/",
    "/player/%ff",
    "/" + "a" * 9000,
]
QUERIES = ["", "", "?a=b", "?width=x", "?at=5", "?rest=1", "?\xff", "#x", "?%", "?after=1&fps=3"]
METHODS = [
    "GET",
    "GET",
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "HEAD",
    "CONNECT",
    "TRACE",
    "PRI",
    "get",
    "G\xe9T",
]
VERSIONS = [*["HTTP/1.1"] * 8, "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", ""]
UPGRADE = [
    *(
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: drawercam.1",
    ),
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
]
LINES = [
    *UPGRADE,
    *(
        "Host: 127.0.0.1:99999",
        "Host: [::1",
        "Host: localhost:x",
        "Upgrade: h2c",
        "Connection: close",
        "Origin: http://[",
    ),
    *(
        "Content-Length: 5",
        "Content-Length: 0",
        "Transfer-Encoding: chunked",
        "Expect: 100-continue",
        "Content-Encoding: gzip",
    ),
    *(
        'Cookie: drawercam-x=\xff; a="b',
        "Authorization: Basic \xff",
        "Authorization: Bearer",
        'If-None-Match: W/"x, *',
    ),
    *(
        "Drawercam-Protocol: drawercam.1",
        "Drawercam-Ticket: \xff.",
        "X: " + "a" * 9000,
        "Content-Type: \xff",
    ),
]
MASK = b"\x80\0\0\0\0"
TAILS = [
    b"",
    b"hello",
    b"\x81" + MASK,
    b"GET ",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"\x88" + MASK + b"\x81",
    b"\x89" + MASK * 9,
    b"\r\n\r\n",
]


def request(chance: random.Random) -> bytes:
    """Something like a request."""
    lines = chance.sample(LINES, chance.choice([0, 0, 1, 2, 5])) + (
        UPGRADE if chance.random() < 0.5 else UPGRADE[:1]
    )
    first = (
        f"{chance.choice(METHODS)} {chance.choice(PATHS)}{chance.choice(QUERIES)} "
        f"{chance.choice(VERSIONS)}"
    )
    head = bytearray("\r\n".join([first, *lines, "", ""]).encode("latin-1"))
    for _ in range(chance.choice([0, 0, 0, 1, 3])):
        head[chance.randrange(len(head) - 4)] = chance.randrange(256)
    return (
        bytes(head)
        + chance.choice(TAILS)
        + (chance.randbytes(20) if chance.random() < 0.2 else b"")
    )


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
async def test_no_bytes_of_a_peer_raise_into_the_loop(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    chance, told = random.Random(1), []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    statuses = set()
    for _ in range(1500):
        transport = Transport()
        transport.protocol = door = Door(server)
        door.connection_made(cast(asyncio.BaseTransport, transport))
        data = request(chance)
        cut = chance.randrange(len(data))
        for piece in (data[:cut], data[cut:], chance.choice(TAILS)):
            if piece and not transport.is_closing():
                transport.protocol.data_received(piece)
        if chance.random() < 0.5:
            transport.protocol.eof_received()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        transport.protocol.connection_lost(None)
        statuses.add(transport.written[9:12])
    assert not told and {b"101", b"200", b"400", b"404", b"405"} <= statuses
    assert not [record for record in caplog.records if record.exc_info]


REFUSED = [
    ("Content-Length: 5", "/wall", 400),
    ("Transfer-Encoding: chunked", "/wall", 400),
    ("Sec-WebSocket-Version: 8", "/wall", 400),
    ("Sec-WebSocket-Key: " + "x" * 5000, "/wall", 400),
    ("X: " + "a" * 9000, "/wall", 431),
    ("Host: evil.example", "/wall", 400),
    ("Origin: https://evil.example", "/wall", 403),
    ("X: y", "/nowhere", 404),
    ("X: y", "//[", 400),
]


@pytest.mark.parametrize(("line", "path", "status"), REFUSED)
@pytest.mark.parametrize("rest", [b"", b"GET ", b"hello", b"\x89\x80\0\0\0\0", b"\xff" * 70000])
async def test_a_refused_handshake_gets_its_answer_whatever_follows_it(
    server: Server, line: str, path: str, status: int, rest: bytes
) -> None:
    transport = Transport()
    door = Door(server)
    door.connection_made(cast(asyncio.BaseTransport, transport))
    door.data_received(handshake(path, "localhost", line) + rest)
    head, _, body = transport.written.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()) and b"\r\nX-Frame-Options: DENY" in head
    assert f"Content-Length: {len(body)}".encode() in head, "nothing follows the answer"
    assert b'"text": "' in body and len(body) < 300, "it quotes nothing at length"
    assert transport.closed
    transport.protocol.data_received(rest)
    transport.protocol.eof_received()
    transport.protocol.connection_lost(None)
    assert transport.written.endswith(body)


@pytest.mark.parametrize(
    "head",
    [
        b"GE\xffT /" + b"<b>" * 2000,
        b"GET / HTTP/1.1\r\nX: " + b"x" * 7000 + b"\0",
        b"GET http://[ HTTP/1.1",
    ],
)
async def test_a_request_that_cannot_be_read_is_answered_in_a_sentence(
    server: Server, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    transport = Transport()
    door = Door(server)
    door.connection_made(cast(asyncio.BaseTransport, transport))
    door.data_received(head + b"\r\n\r\n")
    for _ in range(5):
        await asyncio.sleep(0)
    assert transport.written.startswith(b"HTTP/1.0 400 ") and transport.closed
    assert transport.written.endswith(
        b'\r\n\r\n{"error": "bad-request", "text": "The request is not understood."}'
    )
    assert (
        b"X-Frame-Options: DENY" in transport.written
        and b"aiohttp" not in transport.written
        and not caplog.records
    )
    transport.protocol.connection_lost(None)


async def test_requests_that_come_together_are_taken_apart_one_by_one(server: Server) -> None:
    transport = Transport()
    door = Door(server)
    door.connection_made(cast(asyncio.BaseTransport, transport))
    door.data_received(
        b"".join(
            b"GET /nothing-%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number for number in range(64)
        )
    )
    waiting = transport.protocol._messages
    most = 0
    while transport.written.count(b"HTTP/1.1 404 ") < 64:
        most = max(most, len(waiting))
        await asyncio.sleep(0)
    assert most == 1, "what waits for its answer is kept as it came"
    transport.protocol.connection_lost(None)


async def test_a_fault_in_the_relay_ends_one_handshake_with_an_answer(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr(server.guard, "_session", broken)
    transport = Transport()
    door = Door(server)
    door.connection_made(cast(asyncio.BaseTransport, transport))
    door.data_received(handshake("/wall", "localhost"))
    transport.protocol.connection_lost(None)
    assert transport.written.startswith(b"HTTP/1.1 500 ") and transport.closed
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
