"""A handshake that waits for its turn at each step, without a gate."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from certs import Authority
from groundwork.connections import paced_tls
from groundwork.connections.paced_tls import PacedAsker


class Queue:
    """Gives a turn when the loop has its next one; counts them."""

    def __init__(self) -> None:
        self.turns = 0
        self.waiting: set[PacedAsker] = set()

    def ask(self, asker: PacedAsker) -> None:
        self.waiting.add(asker)
        asyncio.get_running_loop().call_soon(self._turn, asker)

    def forget(self, asker: PacedAsker) -> None:
        self.waiting.discard(asker)

    def _turn(self, asker: PacedAsker) -> None:
        if asker in self.waiting:
            self.waiting.remove(asker)
            self.turns += 1
            asker.turn()


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())  # type: ignore[attr-defined]


@pytest.mark.parametrize("fast", [True, False])
async def test_every_step_has_its_turn_and_what_comes_goes_to_the_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    if fast and not paced_tls._FAST:
        pytest.skip("aiofastnet is not there")
    monkeypatch.setattr(paced_tls, "_FAST", fast)
    served, queue = Authority(tmp_path).ensure([], []), Queue()
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    trusting = ssl.create_default_context(cafile=str(served.ca_file))
    context = served.server_context()
    async with asyncio.timeout(20):
        through = asyncio.create_task(paced_tls.start_tls(queue, "192.0.2.1", ours, Echo, context))
        reader, writer = await asyncio.open_connection(
            sock=theirs, ssl=trusting, server_hostname="localhost"
        )
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        transport = await through
        assert queue.turns > 1 and not queue.waiting
        transport.abort()
        writer.transport.abort()
        await asyncio.sleep(0)
