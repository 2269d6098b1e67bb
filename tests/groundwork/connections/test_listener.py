"""The gate by itself: a crowd at once, shares, turns, and that nothing is left of a connection,
however it ends. Real sockets and TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket as sockets
import ssl
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from certs import Authority, Served
from groundwork import loop_errors as faults
from groundwork.connections import listener, paced_tls, plain_http, turns
from groundwork.connections.limits import Lobby
from groundwork.connections.listener import Gate, Plain, Seat
from tests.harness import hellos
from tests.harness.peers import PATIENCE

HERE, THERE = "127.0.0.2", "127.0.0.3"

HELLO = hellos.client_hello(
    [hellos.X25519, hellos.P256], [(hellos.X25519, bytes(31) + b"\x09")], hellos.ECDHE
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return Authority(tmp_path_factory.mktemp("certs")).ensure([], [])


@pytest.fixture(scope="module")
def phone(served: Served) -> ssl.SSLContext:
    """How phones begin: with a key of X25519, so they are asked for another one."""
    return ssl.create_default_context(cafile=str(served.ca_file))


@pytest.fixture(params=["aiofastnet", "the loop's own"])
def transports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "aiofastnet":
        if not paced_tls._FAST:
            pytest.skip("it is not there")
    else:
        monkeypatch.setattr(paced_tls, "_FAST", False)


class Echo(asyncio.Protocol):
    """Somebody behind the gate."""

    def __init__(self, house: House, seat: Seat) -> None:
        self._house = house
        self._seat = seat
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._house.inside.append(self._seat)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._house.inside.remove(self._seat)


class House:
    """A gate, and who is behind it.

    Attributes:
        inside: Whose connections are through.
    """

    def __init__(
        self,
        context: ssl.SSLContext | None,
        lobby: Lobby,
        spare: Lobby | None = None,
        plain: Plain | None = None,
    ) -> None:
        self.inside: list[Seat] = []
        self.lobby = lobby
        self.gate = Gate(
            lobby,
            (lambda: context) if context else None,
            lambda seat: Echo(self, seat),
            spare,
            plain=plain,
        )
        self.port = 0

    async def empty(self) -> None:
        """Wait until nothing is left."""
        await until(
            lambda: (
                not (
                    self.lobby.total
                    or self.inside
                    or self.gate._tasks.difference(self.listening)
                    or self.gate._seats
                )
            )
        )
        assert not self.gate._turns._address

    @property
    def listening(self) -> set[asyncio.Task[None]]:
        return {task for task in self.gate._tasks if "_accept" in repr(task)}


@asynccontextmanager
async def house(
    served: Served | None,
    lobby: Lobby | None = None,
    spare: Lobby | None = None,
    plain: Plain | None = None,
) -> AsyncIterator[House]:
    asyncio.get_running_loop().set_exception_handler(faults.unhandled)
    one = House(served.server_context() if served else None, lobby or Lobby(1000), spare, plain)
    one.port = await one.gate.open(["127.0.0.1"], 0)
    try:
        yield one
    finally:
        one.gate.close()
        await until(lambda: not one.gate._tasks)


async def until(look: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE):
        while not look():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


def knock(port: int, data: bytes = b"", source: str = HERE) -> sockets.socket:
    """Connect, and say this."""
    one = sockets.create_connection(("127.0.0.1", port), PATIENCE, source_address=(source, 0))
    if data:
        one.sendall(data)
    return one


async def comes_in(
    port: int, phone: ssl.SSLContext, source: str = HERE, says: bytes = b"hello"
) -> bytes:
    """Through TLS, for one word and its echo."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=phone, server_hostname="localhost", local_addr=(source, 0)
        )
        try:
            writer.write(says)
            return await reader.readexactly(len(says))
        finally:
            writer.close()


@contextlib.contextmanager
def closing(*connections: sockets.socket) -> Iterator[None]:
    try:
        yield
    finally:
        for one in connections:
            one.close()


@pytest.mark.usefixtures("transports")
async def test_three_hundred_handshakes_of_one_address_at_once_all_succeed(
    served: Served, phone: ssl.SSLContext
) -> None:
    """Eight people behind one router, whose walls of thirty cameras begin anew."""
    async with house(served, Lobby(700)) as one:
        echoes = await asyncio.gather(*(comes_in(one.port, phone) for _ in range(300)))
        assert echoes == [b"hello"] * 300
        await one.empty()


@pytest.mark.usefixtures("transports")
@pytest.mark.parametrize("size", [1, 70_000])
async def test_what_comes_with_the_end_of_a_handshake_is_not_lost(
    served: Served, phone: ssl.SSLContext, size: int
) -> None:
    async with house(served) as one:
        assert await comes_in(one.port, phone, says=bytes(size)) == bytes(size)
        older = ssl.create_default_context(cafile=str(served.ca_file))
        older.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await comes_in(one.port, older, says=bytes(size)) == bytes(size)


@pytest.mark.usefixtures("transports")
async def test_nothing_is_left_of_a_handshake_however_it_ends(served: Served) -> None:
    """Without waiting for the collector: it would have much to look through."""
    seats: list[weakref.ref[Seat]] = []
    loop = asyncio.get_running_loop()
    async with house(served) as one:
        enter = one.lobby.enter

        def entering(seat: Seat) -> bool:
            seats.append(weakref.ref(seat))
            return enter(seat)

        one.lobby.enter = entering  # type: ignore[method-assign, assignment]
        gc.collect()
        gc.disable()
        try:
            for said in (
                b"",
                b"\x16",
                HELLO[:100],
                HELLO,
                b"\x16\x03\x01\x02\x00" + bytes(512),
                b"GET / HTTP/1.0\r\n\r\n",
            ):
                raw = await loop.run_in_executor(None, knock, one.port, said)
                raw.setblocking(False)
                with contextlib.suppress(OSError):  # it may have been cut off already
                    raw.shutdown(sockets.SHUT_WR)
                    async with asyncio.timeout(PATIENCE):
                        while await loop.sock_recv(raw, 4096):
                            pass
                raw.close()
            held = [
                await loop.run_in_executor(None, knock, one.port, said)
                for said in (b"", b"\x16", HELLO)
            ]
            await until(lambda: one.lobby.total == 3)
            await asyncio.sleep(0.05)  # some have begun
            for seat in list(one.gate._seats):
                seat.displace()
            del seat
            await one.empty()
            await asyncio.sleep(0.05)
            assert len(seats) == 9 and not [ref for ref in seats if ref() is not None]
            for raw in held:
                raw.close()
        finally:
            gc.enable()


@pytest.mark.usefixtures("transports")
async def test_a_gate_that_closes_gives_up_who_is_not_through(served: Served) -> None:
    async with house(served) as one:
        held = [knock(one.port, (b"", b"\x16", HELLO)[number % 3]) for number in range(9)]
        with closing(*held):
            await until(lambda: one.lobby.total == 9)
            await asyncio.sleep(0.05)
            one.gate.close()
            await one.empty()


@pytest.mark.usefixtures("transports")
async def test_those_of_one_address_that_have_shown_nothing_displace_one_another(
    served: Served, phone: ssl.SSLContext
) -> None:
    async with house(served, Lobby(8, 6)) as one:
        held = [knock(one.port, (b"", b"\x16", HELLO)[number % 3]) for number in range(20)]
        with closing(*held):
            await until(lambda: len(one.gate._seats) == 6 == one.lobby.total)
            assert (
                await comes_in(one.port, phone, THERE)
                == b"hello"
                == await comes_in(one.port, phone, HERE)
            )


class Held:
    """Somebody who is through TLS, or is not let through."""

    def __init__(self, port: int, phone: ssl.SSLContext, source: str) -> None:
        self.task = asyncio.create_task(
            asyncio.open_connection(
                "127.0.0.1", port, ssl=phone, server_hostname="localhost", local_addr=(source, 0)
            )
        )

    async def leave(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError, ssl.SSLError):
            (await self.task)[1].transport.abort()


@pytest.mark.usefixtures("transports")
async def test_an_address_whose_handshakes_have_cost_its_share_makes_no_other_wait(
    served: Served, phone: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time comes again so slowly that in this test it does not."""
    monkeypatch.setattr(turns, "OF_ONE", 1e-9)
    monkeypatch.setattr(turns, "AT_ONCE_OF_ONE", 0.05)
    async with house(served) as one:
        crowd = [Held(one.port, phone, THERE) for _ in range(200)]
        await until(lambda: one.gate._pump is not None and not one.gate._pumping)
        waiting = len(one.gate._turns._address)
        assert await comes_in(one.port, phone, HERE) == b"hello"
        assert waiting > 0 and len(one.gate._turns._address) >= waiting, "they wait still"
        await asyncio.gather(*(held.leave() for held in crowd))
        # Their time comes now, or this test would wait until the time for handshakes is over.
        monkeypatch.setattr(turns, "OF_ONE", 1.0)
        one.gate._turns._budgets.clear()
        one.gate._run()
        await one.empty()


@pytest.mark.usefixtures("transports")
async def test_every_step_of_a_handshake_waits_for_its_turn(
    served: Served, phone: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the second one, with the key that a phone was asked for: it is the one that costs."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = phone.wrap_bio(incoming, outgoing, server_hostname="localhost")
    loop = asyncio.get_running_loop()

    async def say() -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            asking.do_handshake()
        await loop.sock_sendall(raw, outgoing.read())

    async with house(served) as one:
        raw = knock(one.port)
        raw.setblocking(False)
        with closing(raw):
            await say()
            incoming.write(await asyncio.wait_for(loop.sock_recv(raw, 4096), PATIENCE))
            run, one.gate._turns.run = one.gate._turns.run, lambda: None  # type: ignore[method-assign]
            await say()
            await until(lambda: one.gate._turns._address)
            with pytest.raises(BlockingIOError):
                raw.recv(1)
            one.gate._turns.run = run  # type: ignore[method-assign]
            one.gate._run()
            incoming.write(await asyncio.wait_for(loop.sock_recv(raw, 4096), PATIENCE))
            await say()
            await until(lambda: one.inside)


async def test_who_says_nothing_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "TLS_DEADLINE", 0.05)
    for certificate in (served, None):
        async with house(certificate) as one:
            with closing(knock(one.port)) as _:
                await until(lambda: one.gate.arrived)
                await one.empty()


async def test_who_is_turned_away_is_let_through_to_be_told(
    served: Served, phone: ssl.SSLContext
) -> None:
    async with house(served, Lobby(4, 3), Lobby(2)) as one:
        crowd = [Held(one.port, phone, HERE) for _ in range(3)]
        await until(lambda: len(one.inside) == 3)
        for seat in list(one.inside):
            one.lobby.show(seat)
        more = [Held(one.port, phone, HERE) for _ in range(5)]
        await until(
            lambda: (
                sum(seat.turned_away for seat in one.inside) == 1
                and all(held.task.done() for held in more)
            )
        )
        assert [seat.turned_away for seat in one.inside] == [False] * 3 + [True], (
            "those displace one another"
        )
        assert await comes_in(one.port, phone, THERE) == b"hello"
        await asyncio.gather(*(held.leave() for held in (*crowd, *more)))
        await one.empty()


async def test_without_tls_a_connection_waits_for_its_turn_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def says(port: int, word: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(HERE, 0))
        writer.write(word)
        try:
            return await reader.readexactly(len(word))
        finally:
            writer.close()

    async with house(None) as one, asyncio.timeout(PATIENCE):
        words = [b"%d" % number for number in range(100)]
        assert await asyncio.gather(*(says(one.port, word) for word in words)) == words
        await one.empty()


@pytest.mark.long
def test_the_same_on_another_loop(tmp_path: Path) -> None:
    """uvloop is what relays run on; the tests' own loop is asyncio's."""
    uvloop = pytest.importorskip("uvloop")
    certificate = Authority(tmp_path).ensure([], [])
    trusting = ssl.create_default_context(cafile=str(certificate.ca_file))

    async def main() -> None:
        await test_three_hundred_handshakes_of_one_address_at_once_all_succeed(
            certificate, trusting
        )
        await test_those_of_one_address_that_have_shown_nothing_displace_one_another(
            certificate, trusting
        )
        await test_a_gate_that_closes_gives_up_who_is_not_through(certificate)
        await test_nothing_is_left_of_a_handshake_however_it_ends(certificate)

    with pytest.MonkeyPatch.context() as patched:
        for fast in {paced_tls._FAST, False}:
            patched.setattr(paced_tls, "_FAST", fast)
            uvloop.run(main())


# --- plain HTTP where TLS is expected ---

REQUEST = b"GET /player.html HTTP/1.1\r\nHost: localhost\r\n\r\n"


def told(head: bytes, address: str, at: str) -> bytes:
    """See gate.Plain."""
    return (
        b"HTTP/1.1 307 Temporary Redirect\r\n\r\n"
        + f"{address} {at}".encode()
        + b" "
        + head.partition(b"\r\n\r\n")[0]
    )


@pytest.fixture(params=["told by the loop", "looked for"])
def noticing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How bytes are noticed: on Windows the loop tells of none."""
    if request.param == "looked for":

        def refuse(*_: object) -> None:
            raise NotImplementedError

        monkeypatch.setattr(paced_tls, "_FAST", False)
        monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", refuse)


async def answer_to(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """What is answered to these bytes, until the end."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(HERE, 0))
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
            return await reader.read()
        finally:
            writer.close()


@pytest.mark.usefixtures("noticing")
async def test_plain_http_is_answered_and_tls_goes_on(
    served: Served, phone: ssl.SSLContext
) -> None:
    async with house(served, plain=told) as one:
        assert await answer_to(one.port, REQUEST) == told(REQUEST, HERE, "127.0.0.1")
        assert await answer_to(
            one.port, *(REQUEST[i : i + 1] for i in range(len(REQUEST))), pause=0.001
        ) == told(REQUEST, HERE, "127.0.0.1")
        assert await answer_to(one.port, REQUEST + b"behind", bytes(20_000)) == told(
            REQUEST + b"behind", HERE, "127.0.0.1"
        ), "it can be read"
        assert await comes_in(one.port, phone) == b"hello"
        await one.empty()


@pytest.mark.parametrize(
    "said",
    [
        b"\x15",
        b"get /\r\n\r\n",
        b"A" * 21,
        b"SSH-2.0-x\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\n\r\n",
        b"GEt / HTTP/1.1\r\n",
    ],
)
async def test_what_is_no_request_either_is_closed_at_once(served: Served, said: bytes) -> None:
    async with house(served, plain=told) as one:
        assert await answer_to(one.port, said) == b""
        await one.empty()


async def test_a_head_that_is_too_large_is_answered_when_that_is_known(served: Served) -> None:
    async with house(served, plain=told) as one:
        head = b"GET /" + bytes(plain_http.MAX_HEAD)
        assert await answer_to(one.port, head) == told(
            head[: plain_http.MAX_HEAD], HERE, "127.0.0.1"
        )
        await one.empty()


async def test_a_request_that_is_held_has_the_time_of_a_handshake_and_its_place(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that stays behind its answer has less, and none of them more than there are places for
    one address.
    """
    monkeypatch.setattr(listener, "TLS_DEADLINE", 0.3)
    monkeypatch.setattr(listener, "_LINGERING", 0.1)
    async with house(served, Lobby(8, 6), plain=told) as one:
        held = [knock(one.port, said) for said in (REQUEST[:-1], REQUEST) * 10]
        with closing(*held):
            await until(lambda: one.lobby.total == 6)
            await one.empty()


async def test_answers_wait_for_their_turn_as_steps_of_handshakes_do(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address whose share is used up waits, and no other with it."""
    monkeypatch.setattr(turns, "OF_ONE", 1e-9)
    monkeypatch.setattr(turns, "AT_ONCE_OF_ONE", 0.005)
    async with house(served, plain=told) as one:
        crowd = [knock(one.port, REQUEST, THERE) for _ in range(50)]
        with closing(*crowd):
            await until(lambda: one.gate._pump is not None and not one.gate._pumping)
            assert len(one.gate._turns._address) > 0
            assert await answer_to(one.port, REQUEST) == told(REQUEST, HERE, "127.0.0.1")
            one.gate.close()
        await one.empty()
