"""What a camera's socket holds of messages and media that are not complete: it is counted, bounded
and given back.
"""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.server import ServerProtocol

from drawercam.live import ledger
from drawercam.live.hub import Hub
from drawercam.server.sockets.camera import MAX_CAMERA_MESSAGE, CameraSession
from drawercam.server.sockets.websocket import LAST_WORDS, SUBPROTOCOL, Socket
from tests.harness.peers import handshake
from tests.live.test_channel import Clock
from tests.media.containers.test_webm import cluster, simple
from tests.media.small_parts import VP8 as HEAD
from tests.server.sockets.test_websocket import FakeOwner, FakeTransport, masked

KIB = 2**10
STREAM = masked(Opcode.TEXT, b'{"type": "stream", "stream": 1, "mime": ""}')
PICTURE = HEAD + cluster(0) + simple(bytes(900 * KIB))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of a MiB for each camera, and half a MiB for an address."""
    monkeypatch.setattr(ledger, "MAX_OF_CAMERA", 256 * KIB)
    monkeypatch.setattr(ledger, "MAX_OF_ADDRESS", 512 * KIB)


class Camera:
    """One that films with a socket that only pretends."""

    def __init__(self, hub: Hub, name: str = "porch") -> None:
        self.hub = hub
        self.transport = FakeTransport()
        owner = FakeOwner(CameraSession(hub, name))
        protocol = ServerProtocol(subprotocols=[SUBPROTOCOL], max_size=MAX_CAMERA_MESSAGE)
        self.socket = Socket(cast(asyncio.Transport, self.transport), protocol, owner)
        self.socket.begin(handshake(f"/camera/{name}", "localhost"), b"")
        self.socket.data_received(STREAM)
        self.address = self.socket.peer.rpartition(":")[0]

    def send(self, data: bytes) -> None:
        self.socket.data_received(data)

    def begins(self, size: int) -> None:
        """A picture, of which so much comes."""
        self.send(masked(Opcode.BINARY, b"\x01" + PICTURE[:size]))

    @property
    def held(self) -> int:
        return self.hub.ledger.held(self.address)

    @property
    def code(self) -> int | None:
        sent = self.socket._protocol.close_sent
        return sent.code if sent is not None else None

    def lost(self) -> None:
        self.socket.connection_lost(None)


def media(size: int) -> bytes:
    return masked(Opcode.BINARY, b"\x01" + PICTURE[:size])


BEGUN = {
    "of an element": lambda size: media(size),
    "of a frame": lambda size: media(2 * size)[:size],
    "of a message in fragments": lambda size: masked(
        Opcode.BINARY, b"\x01" + bytes(size), fin=False
    ),
}


@pytest.mark.parametrize("kind", BEGUN)
def test_bytes_that_have_begun_are_counted_bounded_and_freed(kind: str) -> None:
    camera = Camera(Hub(Clock()))
    camera.send(BEGUN[kind](200 * KIB))
    assert 200 * KIB <= camera.held <= 240 * KIB and camera.code is None
    camera.lost()
    assert camera.held == 0
    camera = Camera(camera.hub)
    camera.send(BEGUN[kind](300 * KIB))
    assert camera.code == 4002 and b"The camera has begun more than" in camera.transport.written
    assert camera.held == 0
    porch = camera.hub.find("porch")
    assert porch is not None and porch.reason == "media"


def test_the_ways_are_counted_together() -> None:
    camera = Camera(Hub(Clock()))
    camera.begins(100 * KIB)
    camera.send(masked(Opcode.BINARY, b"\x01" + bytes(60 * KIB), fin=False))
    camera.send(masked(Opcode.PING, b"in between"))
    assert camera.code is None
    camera.send(masked(Opcode.CONT, bytes(120 * KIB), fin=False)[:-1])
    assert camera.code == 4002


def test_what_is_complete_counts_no_more() -> None:
    camera = Camera(Hub(Clock()))
    for _ in range(8):
        camera.send(masked(Opcode.BINARY, b"\x01" + HEAD + cluster(0) + simple(bytes(200 * KIB))))
    assert camera.code is None and camera.held < 16 * KIB
    camera.send(media(200 * KIB))
    camera.send(masked(Opcode.TEXT, b'{"type": "end", "stream": 1}'))
    assert camera.code is None and camera.held < 16 * KIB


def test_a_camera_is_refused_for_the_others_of_its_address_and_they_are_not() -> None:
    hub = Hub(Clock())
    cameras = [Camera(hub, f"porch-{number}") for number in range(3)]
    for camera in cameras[:2]:
        camera.begins(220 * KIB)
    cameras[2].begins(100 * KIB)
    assert [camera.code for camera in cameras] == [None, None, 4002]
    cameras[0].lost()
    again = Camera(hub, "porch-2")
    again.begins(100 * KIB)
    assert again.code is cameras[1].code is None


def test_who_is_taken_over_holds_nothing() -> None:
    hub = Hub(Clock())
    older = Camera(hub)
    older.begins(200 * KIB)
    newer = Camera(hub)
    assert older.code == 4003 and newer.held < 16 * KIB


def test_who_is_sent_away_in_the_middle_of_a_message_is_not_read_to_its_end() -> None:
    camera = Camera(Hub(Clock()))
    camera.send(masked(Opcode.BINARY, bytes(2**20))[: 300 * KIB])
    assert camera.code == 4002 and not camera.transport.reads and not camera.transport.aborted
    assert camera.socket.unfinished < KIB
    other = Camera(camera.hub)
    other.send(masked(Opcode.TEXT, b"no message"))
    assert other.code == 4000 and other.transport.reads
    rest = masked(Opcode.BINARY, bytes(2**20))
    other.send(rest[:LAST_WORDS])
    other.send(rest[LAST_WORDS : 2 * LAST_WORDS])
    assert not other.transport.reads and other.socket.unfinished < KIB


STEP = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["element", "piece", "fragment", "end", "goes", "comes"]),
    st.integers(1, 150 * KIB),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_whatever_cameras_do_all_is_given_back(steps: list[tuple[int, str, int]]) -> None:
    hub = Hub(Clock())
    cameras = [Camera(hub, f"porch-{number}") for number in range(4)]
    for number, act, size in steps:
        camera = cameras[number]
        match act:
            case "element":
                camera.begins(size)
            case "piece":
                camera.send(bytes(size))
            case "fragment":
                camera.send(masked(Opcode.BINARY, b"\x01" + bytes(size), fin=False))
            case "end":
                camera.send(masked(Opcode.TEXT, b'{"type": "end", "stream": 1}'))
            case "goes":
                camera.lost()
                cameras[number] = Camera(hub, f"porch-{number}")
            case "comes":
                cameras[number] = Camera(hub, f"porch-{number}")
                camera.lost()
        assert hub.ledger.held(camera.address) <= 512 * KIB
    for camera in cameras:
        camera.lost()
    assert hub.ledger.held(cameras[0].address) == hub.ledger.shared == 0
    assert not hub.ledger._held
