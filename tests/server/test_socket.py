"""How long something waits in a socket, with a transport and a clock that only pretend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from drawercam import control
from drawercam.server.socket import SUBPROTOCOL, Session, Socket
from tests.peers import handshake


class FakeTransport:
    """Attributes:
    waiting: Bytes that the network has not taken; 0 lets it take everything again.
    """

    def __init__(self) -> None:
        self.waiting = 0

    def write(self, data: bytes) -> None:
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def get_extra_info(self, name: str) -> Any:
        return None

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        pass

    def set_protocol(self, protocol: object) -> None:
        pass


class FakeOwner:
    """Takes everybody in, and has the clock."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def route(self, request: Request, peer: str) -> Session | Response:
        return FakeSession()

    def socket_begins(self, socket: Socket) -> None:
        pass

    def socket_ends(self, socket: Socket) -> None:
        pass


class FakeSession:
    def opened(self, socket: Socket) -> None:
        pass

    def text(self, message: str) -> None:
        pass

    def binary(self, message: bytes) -> None:
        pass

    def drained(self) -> None:
        pass

    def closed(self, said_goodbye: bool) -> None:
        pass


def test_waiting_counts_from_the_first_thing_that_waits() -> None:
    transport, owner = FakeTransport(), FakeOwner()
    socket = Socket(cast(asyncio.Transport, transport), ServerProtocol(subprotocols=[SUBPROTOCOL]), owner)
    socket.data_received(handshake("/player/porch", "localhost"))
    transport.waiting = 0
    owner.time += 60
    assert socket.waiting() == 0.0, "nothing waits"
    writes: list[Callable[[], None]] = [
        lambda: socket.write(b"frame"),
        lambda: socket.burst(b"frames"),
        lambda: socket.tell(control.Resume()),
    ]
    for write in writes:
        write()
        assert socket.waiting() == 0.0, "it has only just been written"
        owner.time += 0.25
        socket.write(b"another")
        assert socket.waiting() == 0.25, "the first one still waits"
        transport.waiting = 1
        owner.time += 0.5
        assert socket.waiting() == 0.75
        transport.waiting = 0
        owner.time += 60
        assert socket.waiting() == 0.0
