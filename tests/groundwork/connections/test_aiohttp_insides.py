"""Requests that wait for their turn, taken apart by aiohttp itself; and that aiohttp is inside what
the relay takes it for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import cycle

import pytest
from aiohttp import web, web_protocol
from aiohttp.base_protocol import BaseProtocol
from aiohttp.web_protocol import RequestHandler
from hypothesis import given
from hypothesis import strategies as st

from groundwork.connections import aiohttp_insides
from groundwork.connections.aiohttp_insides import Endless, enter, send_continue, tell_end
from groundwork.connections.scheduler import Scheduler

BODY = b"1\r\na\r\n" * 40_000 + b"0\r\n\r\n"
"""In chunks of a byte."""

HEAD = b"POST / HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\r\n"


class Transport(asyncio.Transport):
    """Keeps what is written, and whether it is read from."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reads = True
        self.protocol: asyncio.BaseProtocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass


class Turns:
    """The turns of a loop, taken one by one."""

    def __init__(self) -> None:
        self.due: deque[Callable[[], None]] = deque()
        self.scheduler = Scheduler(self.due.append)

    async def all(self, most: int = 10_000) -> int:
        """Take turns until none is due; returns how many there were."""
        for count in range(most):
            for _ in range(3):
                await asyncio.sleep(0)
            if not self.due:
                return count
            self.due.popleft()()
        raise AssertionError("there is no end of turns")


@asynccontextmanager
async def serving() -> AsyncIterator[web.Server]:
    """Answers how long the body of a POST is, and anything else before its body has come."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        size = (
            sum([len(piece) async for piece in request.content.iter_any()])
            if request.method == "POST"
            else 0
        )
        return web.Response(text=f"{size} bytes")

    one = web.Server(handler, read_bufsize=4096)
    yield one
    for connection in one.connections:
        connection.connection_lost(None)
    await asyncio.sleep(0)


@pytest.fixture
async def server() -> AsyncIterator[web.Server]:
    async with serving() as one:
        yield one


def asked(method: str, size: int, chunk: int) -> bytes:
    """A request with a body of so many bytes; ``chunk``: bytes of a chunk, 0 for a body with its
    length before it.
    """
    head, body = f"{method} / HTTP/1.1\r\nHost: relay\r\n", b"a" * size
    if method == "GET":
        return f"{head}\r\n".encode()
    if not chunk:
        return f"{head}Content-Length: {size}\r\n\r\n".encode() + body
    chunks = [body[begin : begin + chunk] for begin in range(0, size, chunk)]
    return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + b"".join(
        b"%x\r\n%b\r\n" % (len(one), one) for one in (*chunks, b"")
    )


def begin(server: web.Server, turns: Turns) -> tuple[RequestHandler, Transport]:
    handler, transport = (
        aiohttp_insides.protocol(server, turns.scheduler.share("192.0.2.1")),
        Transport(),
    )
    handler.connection_made(transport)
    return handler, transport


async def test_a_body_in_tiny_chunks_is_no_more_at_once_than_a_share_of_the_turn(
    server: web.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, parsed = Turns(), [0]
    handler, transport = begin(server, turns)
    parse = RequestHandler.data_received

    def counted(self: RequestHandler, data: bytes) -> None:
        parsed[-1] += len(data)
        parse(self, data)

    monkeypatch.setattr(RequestHandler, "data_received", counted)
    monkeypatch.setattr(
        aiohttp_insides, "_now", lambda: sum(parsed) / 4096 / 1000
    )  # each 4 KiB take a millisecond
    handler.data_received(HEAD + BODY)
    assert parsed[0] <= 3 * 8192 and not transport.reads
    assert await turns.all() > 5
    assert b"\r\n\r\n40000 bytes" in transport.written and sum(parsed) == len(HEAD + BODY)
    assert transport.reads


async def test_what_is_not_wanted_is_not_taken_apart(server: web.Server) -> None:
    turns = Turns()
    handler, transport = begin(server, turns)
    handler.data_received(HEAD)
    for _ in range(30):
        handler.data_received(BODY[: 6 * 5000])
    assert not transport.reads
    handler.connection_lost(None)
    await turns.all()
    assert b"200 OK" not in transport.written


async def test_requests_behind_one_another_are_all_answered(server: web.Server) -> None:
    turns = Turns()
    handler, transport = begin(server, turns)
    for count in (400, 800):
        handler.data_received(asked("GET", 0, 0) * 400)
        for _ in range(count * 10):
            await turns.all()
            if transport.written.count(b"200 OK") == count and transport.reads:
                break
        assert transport.written.count(b"200 OK") == count and transport.reads


REQUESTS = st.tuples(
    st.sampled_from(["GET", "POST", "PUT"]), st.integers(0, 20_000), st.sampled_from([0, 700, 9000])
)
CUTS = st.lists(st.tuples(st.integers(1, 20_000), st.booleans()), min_size=1, max_size=8)


@given(st.lists(REQUESTS, min_size=1, max_size=6), CUTS)
def test_every_request_of_a_connection_is_answered_wherever_it_is_cut(
    requests: list[tuple[str, int, int]], cuts: list[tuple[int, bool]]
) -> None:
    """Also one whose first bytes come with the last ones of a body that was answered before."""
    data, sizes = (
        b"".join(asked(*one) for one in requests),
        [size if method == "POST" else 0 for method, size, _ in requests],
    )

    async def answers() -> bytes:
        async with serving() as server:
            rest, turns = data, Turns()
            handler, transport = begin(server, turns)
            for length, waits in cycle(cuts):
                if transport.reads and rest:
                    handler.data_received(rest[:length])
                    rest = rest[length:]
                if waits or not (transport.reads and rest):
                    await turns.all()
                if not rest and transport.reads:
                    break
            await turns.all()
            for _ in range(100):
                await asyncio.sleep(0)
            return transport.written

    written = asyncio.run(answers())
    assert [int(one.split(b" bytes")[0]) for one in written.split(b"\r\n\r\n")[1:]] == sizes


async def test_an_address_that_has_had_its_share_waits(server: web.Server) -> None:
    turns = Turns()
    handler, transport = begin(server, turns)
    turns.scheduler.share("192.0.2.1").spend(1.0)
    handler.data_received(b"GET / HTTP/1.1\r\nHo")
    assert not transport.reads
    handler.data_received(b"st: relay\r\n\r\n")
    await turns.all()
    assert transport.written.count(b"200 OK") == 1 and transport.reads


# --- what aiohttp is taken for ---


def test_what_the_handler_stands_on_is_there() -> None:
    slots = {name for kind in (RequestHandler, BaseProtocol) for name in kind.__slots__}
    assert {"_messages", "_parser", "_upgraded", "_reading_paused", "_buffer_paused"} <= slots
    for name in ("_pause_transport_reading", "_resume_transport_reading", "handle_error"):
        assert callable(getattr(RequestHandler, name))
    assert web_protocol.MAX_MSG_QUEUE_SIZE == 1, "as it was set"


async def test_the_handler_says_when_it_wants_no_more(server: web.Server) -> None:
    """With a queue of one, a second request waits in the parser until the first was taken."""
    turns = Turns()
    handler, transport = begin(server, turns)
    handler.data_received(asked("GET", 0, 0) * 3)
    assert handler._buffer_paused and not transport.reads
    for _ in range(30):
        await turns.all()
    assert transport.written.count(b"200 OK") == 3 and not handler._buffer_paused


async def test_a_connection_is_entered_as_if_aiohttp_had_accepted_it(server: web.Server) -> None:
    turns, transport = Turns(), Transport()
    share = turns.scheduler.share("192.0.2.1")
    enter(server, transport, share, asked("GET", 0, 0))
    assert len(server.connections) == 1 and transport.protocol is server.connections[0]
    await turns.all()
    assert transport.written.count(b"200 OK") == 1


@asynccontextmanager
async def answering(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[web.Server]:
    app = web.Application()
    app.router.add_get("/", answer)
    app.router.add_post("/", answer, expect_handler=said_later)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    yield runner.server
    await runner.cleanup()


async def said_later(request: web.Request) -> None:
    pass


async def test_an_answer_without_end_has_neither_length_nor_chunks() -> None:
    ended = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = Endless()
        response.force_close()
        await response.prepare(request)
        tell_end(request.protocol, None)
        ended.set()
        return response

    async with answering(answer) as server:
        turns, transport = Turns(), Transport()
        enter(server, transport, turns.scheduler.share("192.0.2.1"), asked("GET", 0, 0))
        await turns.all()
        await ended.wait()
        assert not any(one.transport for one in server.connections), (
            "aiohttp knows that it has ended"
        )
    head = transport.written.lower()
    assert head.startswith(b"http/1.1 200 ok") and head.endswith(b"\r\n\r\n")
    assert b"content-length" not in head and b"transfer-encoding" not in head


async def test_continue_is_no_beginning_of_an_answer() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        await send_continue(request)
        raise web.HTTPForbidden

    async with answering(answer) as server:
        turns, transport = Turns(), Transport()
        request = asked("POST", 5, 0).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
        enter(server, transport, turns.scheduler.share("192.0.2.1"), request)
        await turns.all()
    said = [line for line in transport.written.split(b"\r\n") if line.startswith(b"HTTP/1.1")]
    assert said == [b"HTTP/1.1 100 Continue", b"HTTP/1.1 403 Forbidden"]
