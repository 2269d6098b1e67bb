"""A long message of a camera is taken piece by piece, in its address' turns: the others wait for a
piece of it at most.
"""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
import weakref
from typing import cast

import pytest
from websockets.frames import Opcode
from websockets.server import ServerProtocol

from drawercam.live.hub import Hub
from drawercam.media.containers.ebml import element
from drawercam.server.sockets import websocket as socket
from drawercam.server.sockets.camera import MAX_CAMERA_MESSAGE, CameraSession
from drawercam.server.sockets.websocket import SUBPROTOCOL, Socket
from groundwork.connections.scheduler import TURN
from tests.harness.peers import handshake
from tests.live.test_channel import Clock
from tests.media.containers.test_webm import VP8_KEY, cluster, simple
from tests.media.small_parts import VP8 as HEAD
from tests.server.sockets.test_websocket import FakeOwner, FakeTransport, masked

PICTURES = 100
KIB = 2**10
STREAM = json.dumps({"type": "stream", "stream": 1, "mime": ""}).encode()
MESSAGE = b"\x01" + HEAD + cluster(0) + simple(VP8_KEY + bytes(16 * KIB)) * PICTURES
CLOSE = masked(Opcode.CLOSE, b"\x03\xe8")


class Owner(FakeOwner):
    """Its clock goes on by half of what one address has of a turn, whenever somebody looks at
    it.
    """

    def now(self) -> float:
        self.time += TURN / 2
        return self.time

    served = now


class Camera:
    """One that films with a socket that only pretends."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.transport = FakeTransport()
        self.owner = Owner(CameraSession(hub, "porch"))
        protocol = ServerProtocol(subprotocols=[SUBPROTOCOL], max_size=MAX_CAMERA_MESSAGE)
        self.socket = Socket(cast(asyncio.Transport, self.transport), protocol, self.owner)
        self.socket.begin(handshake("/camera/porch", "localhost"), b"")
        self.socket.data_received(masked(Opcode.TEXT, STREAM))
        self.turn(10)

    @property
    def published(self) -> int:
        return self.hub.tally().video

    @property
    def held(self) -> int:
        return self.hub.ledger.held(self.socket.peer.rpartition(":")[0])

    @property
    def code(self) -> int | None:
        sent = self.socket._protocol.close_sent
        return sent.code if sent is not None else None

    def turn(self, most: int = 10_000) -> int:
        """Let the event loop turn, as often as that or until nothing is to be done; returns how
        often it did.
        """
        for count in range(most):
            if not self.owner.later:
                return count
            later = self.owner.later[:]
            self.owner.later.clear()
            for call in later:
                call()
        return most


@pytest.fixture
def camera() -> Camera:
    return Camera(Hub(Clock()))


def test_others_have_their_turns_and_nothing_is_lost(camera: Camera) -> None:
    end = masked(Opcode.TEXT, b'{"type": "end", "stream": 1}')
    camera.socket.data_received(masked(Opcode.BINARY, MESSAGE) + end + CLOSE)
    assert camera.published < PICTURES and not camera.transport.reads
    assert camera.held > 300 * KIB, "what waits is counted"
    turns = camera.turn()
    assert turns > PICTURES / 10
    assert camera.published == PICTURES and camera.code == 1000
    assert camera.held < 16 * KIB


def test_what_follows_is_taken_after_it(camera: Camera) -> None:
    camera.socket.data_received(masked(Opcode.BINARY, MESSAGE))
    camera.socket.data_received(masked(Opcode.BINARY, b"\x01" + simple(VP8_KEY) * 3))
    camera.turn()
    assert camera.published == PICTURES + 3 and camera.transport.reads and camera.code is None


def test_a_name_that_is_taken_over_amid_it(camera: Camera) -> None:
    camera.socket.data_received(masked(Opcode.BINARY, MESSAGE))
    published = camera.published
    newer = Camera(camera.hub)
    camera.turn()
    assert (camera.code, newer.code) == (4003, None)
    assert camera.published == published and camera.held < 16 * KIB


def test_a_connection_that_is_lost_amid_it(camera: Camera) -> None:
    camera.socket.data_received(masked(Opcode.BINARY, MESSAGE) + CLOSE)
    published = camera.published
    camera.socket.connection_lost(None)
    camera.turn()
    assert camera.published == published and camera.held == 0


def test_what_is_broken_amid_it_ends_the_camera(camera: Camera) -> None:
    camera.socket.data_received(
        masked(Opcode.BINARY, MESSAGE + bytes(64 * KIB)) + masked(Opcode.TEXT, b"no message")
    )
    camera.turn()
    assert camera.published >= PICTURES - 1, "what was whole before it was passed on"
    assert camera.code == 4001
    assert camera.held == 0


VOID = element(0xEC, bytes(4 * 2**20))  # RFC 9559 section 5.1: to be passed over


@pytest.mark.parametrize("parts", [1, 3], ids=["whole", "in fragments"])
def test_what_was_taken_is_not_kept(camera: Camera, parts: int) -> None:
    message = b"\x01" + HEAD + VOID
    size = -(-len(message) // parts)
    cuts = [message[begin : begin + size] for begin in range(0, len(message), size)]
    frames = [
        masked(Opcode.CONT if number else Opcode.BINARY, cut, fin=number == len(cuts) - 1)
        for number, cut in enumerate(cuts)
    ]
    tracemalloc.start()
    try:
        while frames:
            camera.socket.data_received(frames.pop(0))
            camera.turn()
        del message, cuts
        assert camera.code is None and tracemalloc.get_traced_memory()[0] < 256 * KIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "last", [b"", MESSAGE, MESSAGE + bytes(64 * KIB)], ids=["nothing", "media", "no media"]
)
def test_nothing_stays_of_a_connection_that_is_lost(
    last: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when nobody looks for circles: the relay does so once a minute."""
    monkeypatch.setattr(
        socket.log, "disabled", True
    )  # pytest keeps what is logged, with the exceptions that it tells of
    gc.collect()
    gc.disable()
    try:
        camera = Camera(Hub(Clock()))
        if last:
            camera.socket.data_received(masked(Opcode.BINARY, last))
            camera.turn()
        left = weakref.ref(camera.socket._protocol)
        camera.socket.connection_lost(None)
        del camera.owner.session, camera  # nobody else has it
        assert left() is None
    finally:
        gc.enable()
