"""The misbehaving proxy keeps every byte and every order, and withholds what it is told to."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.typing import Origin, Subprotocol

from tests.harness.proxies import HELD_LIMIT, Proxy
from tests.harness.relays import SUBPROTOCOL, Relay

PATIENCE = 20.0
"""Seconds after which something that must happen counts as not happening."""


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Line:
    """A server with one connection to it: `near` is the client's side of it, `far` the server's;
    `more` has further ones' far sides.
    """

    def __init__(self, near: Stream, far: Stream, more: asyncio.Queue[Stream]) -> None:
        self.more = more
        self.near_reader, self.near = near
        self.far_reader, self.far = far


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Proxy, Line]]:
    """A proxy, and a connection that leads through it."""
    arrived: asyncio.Queue[Stream] = asyncio.Queue()
    server = await asyncio.start_server(
        lambda reader, writer: arrived.put_nowait((reader, writer)), "127.0.0.1", 0
    )
    try:
        async with Proxy(server.sockets[0].getsockname()[1]) as proxy:
            near = await asyncio.open_connection("127.0.0.1", proxy.port)
            line = Line(near, await asyncio.wait_for(arrived.get(), PATIENCE), arrived)
            try:
                yield proxy, line
            finally:
                line.near.close()
                line.far.close()
                while not arrived.empty():
                    arrived.get_nowait()[1].close()
    finally:
        server.close()


async def exactly(reader: asyncio.StreamReader, count: int) -> bytes:
    return await asyncio.wait_for(reader.readexactly(count), PATIENCE)


async def test_bytes_pass_both_ways_and_each_way_ends_by_itself() -> None:
    sent = bytes(range(256)) * 8192  # 2 MiB, far more than is held at once
    async with proxied() as (_, line):
        line.near.write(sent)
        assert await exactly(line.far_reader, len(sent)) == sent
        line.near.write_eof()
        assert await asyncio.wait_for(line.far_reader.read(), PATIENCE) == b""
        line.far.write(b"still there")
        line.far.close()
        assert await asyncio.wait_for(line.near_reader.read(), PATIENCE) == b"still there"


async def test_jitter_holds_back_and_keeps_the_order() -> None:
    async with proxied() as (proxy, line):
        proxy.jitter(0, 30)
        for number in range(40):
            line.near.write(bytes([number]))
            await asyncio.sleep(0.003)
        assert await exactly(line.far_reader, 40) == bytes(range(40))


@pytest.mark.parametrize("towards", ["far", "near"])
async def test_a_constant_delay_is_at_least_that_in_both_directions(towards: str) -> None:
    async with proxied() as (proxy, line):
        proxy.jitter(80, 80)
        begin = time.monotonic()
        writer, reader = (
            (line.near, line.far_reader) if towards == "far" else (line.far, line.near_reader)
        )
        writer.write(b"late")
        assert await exactly(reader, 4) == b"late"
        assert (
            time.monotonic() - begin >= 0.079
        )  # the clocks of the loop and of the test differ by less than a millisecond


async def test_the_times_depend_on_the_seed_alone() -> None:
    def times(seed: int) -> list[float]:
        proxy = Proxy(1, seed=seed)
        proxy.jitter(5, 40)
        return [proxy.delay() for _ in range(20)]

    assert times(7) == times(7) != times(8)
    assert all(0.005 <= seconds <= 0.04 for seconds in times(7))


async def test_a_freeze_lets_nothing_pass_and_loses_nothing() -> None:
    async with proxied() as (proxy, line):
        line.near.write(b"before")
        assert await exactly(line.far_reader, 6) == b"before"
        freeze = asyncio.create_task(proxy.freeze(0.5))
        await asyncio.sleep(0)
        begin = time.monotonic()
        line.near.write(b"to the far side")
        line.far.write(b"to the near side")
        assert await exactly(line.far_reader, 15) == b"to the far side"
        assert time.monotonic() - begin >= 0.49
        assert await exactly(line.near_reader, 16) == b"to the near side"
        await freeze
        assert not proxy.frozen


async def test_a_sender_feels_a_freeze() -> None:
    much = 64 * 1024 * 1024
    async with proxied() as (proxy, line):
        freeze = asyncio.create_task(proxy.freeze(3600))
        await asyncio.sleep(0)
        line.near.write(bytes(much))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(line.near.drain(), 0.3)
        assert (
            line.near.transport.get_write_buffer_size() > much // 2
        )  # the rest is in the kernel, and none in the proxy
        freeze.cancel()
        assert await exactly(line.far_reader, much) == bytes(much)


async def test_a_reader_that_does_not_read_is_felt_through_the_proxy() -> None:
    much = 64 * 1024 * 1024
    async with proxied() as (proxy, line):
        line.near.write(bytes(much))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(line.near.drain(), 0.3)
        held = sum(way.held for connection in proxy.connections for way in connection.ways)
        assert held <= 2 * HELD_LIMIT
        assert await exactly(line.far_reader, much) == bytes(much)


async def test_a_connection_made_in_a_freeze_waits() -> None:
    async with proxied() as (proxy, line):
        freeze = asyncio.create_task(proxy.freeze(0.3))
        await asyncio.sleep(0)
        begin = time.monotonic()
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"patience")
        far_reader, far = await asyncio.wait_for(line.more.get(), PATIENCE)
        assert await exactly(far_reader, 8) == b"patience"
        assert time.monotonic() - begin >= 0.29
        await freeze
        writer.close()
        far.close()


async def test_a_cut_ends_all_connections_and_new_ones_may_come() -> None:
    async with proxied() as (proxy, line):
        line.near.write(b"x")
        assert await exactly(line.far_reader, 1) == b"x"
        proxy.cut()
        for reader in (line.near_reader, line.far_reader):
            with pytest.raises(ConnectionError):
                await asyncio.wait_for(reader.readexactly(1), PATIENCE)
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        _, far = await asyncio.wait_for(line.more.get(), PATIENCE)
        writer.close()
        far.close()


async def test_a_throttle_lets_no_more_pass_than_it_says() -> None:
    async with proxied() as (proxy, line):
        proxy.throttle(100_000)
        begin = time.monotonic()
        line.near.write(bytes(40_000))
        await exactly(line.far_reader, 40_000)
        assert time.monotonic() - begin >= 0.35  # all but the last piece has waited for its turn
        proxy.throttle(None)
        line.far.write(bytes(1_000_000))  # 10 s at the rate before
        await exactly(line.near_reader, 1_000_000)


async def test_no_target_means_no_connection() -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    async with Proxy(port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(reader.readexactly(1), PATIENCE)
        writer.close()


@pytest.mark.parametrize("least, most", [(-1, 5), (10, 5)])
async def test_jitter_needs_times(least: float, most: float) -> None:
    with pytest.raises(ValueError, match="no times"):
        Proxy(1).jitter(least, most)


async def test_a_throttle_needs_a_rate() -> None:
    with pytest.raises(ValueError, match="no rate"):
        Proxy(1).throttle(0)


async def test_a_browser_may_use_the_relay_through_it(relay: Relay) -> None:
    async with Proxy(relay.port) as proxy:
        url = f"ws://localhost:{proxy.port}/player/porch"
        async with connect(
            url, subprotocols=[Subprotocol(SUBPROTOCOL)], origin=Origin(proxy.origin)
        ) as player:
            welcome = json.loads(await asyncio.wait_for(player.recv(), PATIENCE))
            assert welcome["type"] == "welcome"


async def test_websockets_are_refused_and_the_rest_passes(relay: Relay) -> None:
    async with Proxy(relay.port) as proxy, aiohttp.ClientSession() as browser:
        proxy.refuse_websockets()
        with pytest.raises(InvalidStatus) as refused:
            await connect(
                f"ws://localhost:{proxy.port}/wall",
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                origin=Origin(proxy.origin),
            )
        assert refused.value.response.status_code == 403
        async with browser.get(f"{proxy.origin}/healthz") as answer:
            assert await answer.text() == "ok\n"
        proxy.refuse_websockets(b"")
        with pytest.raises(InvalidMessage):
            await connect(
                f"ws://localhost:{proxy.port}/wall",
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                origin=Origin(proxy.origin),
            )
        proxy.refuse_websockets(None)
        async with connect(
            f"ws://localhost:{proxy.port}/wall",
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            origin=Origin(proxy.origin),
        ):
            pass
