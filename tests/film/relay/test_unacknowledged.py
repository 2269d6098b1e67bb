"""How old what is on its way is, with a real connection whose other end does not read."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import pytest

from drawercam.film.relay.clock import now
from drawercam.film.relay.unacknowledged import Flight
from tests.harness.peers import PATIENCE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
async def test_what_nobody_takes_grows_old_until_somebody_does() -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        listener.setblocking(False)
        _, writer = await asyncio.open_connection(*listener.getsockname())
        peer, _ = await loop.sock_accept(listener)
        flight = Flight(writer.transport)
        with peer:
            assert flight.age() == 0
            writer.write(bytes(2**20))
            flight.sent(now())
            async with asyncio.timeout(PATIENCE):
                while flight.age() < 200_000:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.02)
                while flight.age():
                    await loop.sock_recv(peer, 2**16)
        writer.transport.abort()
        await asyncio.sleep(0)
        assert flight.age() == 0, "it is closed"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_a_connection_that_is_closed_just_now_has_nothing_on_its_way() -> None:
    """By the event loop, while the encoder's thread asks."""

    class Closing(socket.socket):
        def getsockopt(self, *values: Any) -> Any:
            answer = super().getsockopt(*values)
            self.close()
            return answer

    with Closing() as closing:
        flight = Flight()
        flight._socket = closing
        assert flight.age() == 0


def test_without_a_connection_nothing_is_on_its_way() -> None:
    flight = Flight()
    flight.sent(now() - 10**9)
    assert flight.age() == 0
