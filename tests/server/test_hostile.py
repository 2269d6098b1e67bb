"""Peers that misbehave: each is dealt with alone, and an honest camera and viewer beside it notice
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from drawercam.media.containers.ebml import element
from drawercam.media.containers.matroska import Id
from drawercam.media.containers.webm import MAX_ELEMENT
from drawercam.server.sockets.liveness import SILENCE_DEADLINE
from groundwork.brief import MAX_SENTENCE
from groundwork.log_limit import MAX_LINE
from tests.harness.peers import PATIENCE, Peer, Raw, handshake, peer
from tests.harness.relays import Relay
from tests.media.containers.test_webm import cluster, simple
from tests.media.samples import RECORDINGS
from tests.media.small_parts import SMALL_PARTS
from tests.media.small_parts import VP8 as HEAD
from tests.server.test_media import film, frames, packets
from tests.server.test_promises import eventually

VP8 = (RECORDINGS / "chromium-vp8.webm").read_bytes()


@pytest_asyncio.fixture
async def bystanders(relay: Relay, name: str) -> AsyncIterator[None]:
    """A camera and a viewer whose pictures must arrive, all of them, whatever happens beside
    them.
    """
    async with (
        peer(relay, f"/player/{name}-good") as viewer,
        peer(relay, f"/camera/{name}-good") as camera,
    ):
        await film(camera, VP8)
        await viewer.until(lambda one: len(frames(one)) == len(packets(VP8)))
        yield
        viewer.media.clear()
        await film(camera, VP8)
        await viewer.until(lambda one: len(frames(one)) == len(packets(VP8)))
        assert viewer.code is None and camera.code is None


pytestmark = pytest.mark.usefixtures("bystanders")


async def test_garbage_instead_of_a_request(relay: Relay) -> None:
    source = random.Random(1)
    for _ in range(20):
        async with await Raw.open(relay) as raw:
            with contextlib.suppress(ConnectionError):
                await raw.write(source.randbytes(source.randrange(1, 3000)) + b"\r\n\r\n")
                await raw.ended()


async def test_a_request_byte_by_byte_is_still_a_request(relay: Relay, name: str) -> None:
    async with await Raw.open(relay) as raw:
        await raw.trickle(handshake(f"/player/{name}", relay.authority))
        assert await raw.status() == 101


@pytest.fixture(scope="module")
def other() -> Iterator[Relay]:
    """A relay that waits less long for a head; and that has written little, for what goes on for a
    minute is written seldom.
    """
    with Relay(given={"drawercam.server.connections.first_request.HEAD_DEADLINE": 0.5}) as one:
        yield one


async def test_a_request_that_never_ends_is_cut_off(other: Relay) -> None:
    async with await Raw.open(other) as raw:
        await raw.write(b"GET / HTTP/1.1\r\n")
        await asyncio.wait_for(raw.reader.read(), PATIENCE)


@pytest.mark.long
async def test_a_peer_that_never_answers_a_ping_is_cut_off(relay: Relay, name: str) -> None:
    async with await Raw.open(relay) as raw:
        assert await raw.request(relay, f"/player/{name}") == 101
        data = b""
        async with asyncio.timeout(SILENCE_DEADLINE + 15):
            with contextlib.suppress(ConnectionError):
                while piece := await raw.reader.read(1000):
                    data += piece
        assert b"\x89\x00" in data, "it was asked first"


async def test_garbage_as_frames(relay: Relay, name: str) -> None:
    source = random.Random(2)
    for role in ("camera", "player"):
        for _ in range(20):
            async with await Raw.open(relay) as raw:
                assert await raw.request(relay, f"/{role}/{name}") == 101
                with contextlib.suppress(ConnectionError):
                    await raw.write(source.randbytes(2000))
                    raw.writer.write_eof()
                    await raw.ended()


async def test_a_camera_that_sends_noise_as_media(relay: Relay, name: str) -> None:
    source = random.Random(3)
    for _ in range(10):
        damaged = bytearray(VP8)
        for _ in range(30):
            damaged[source.randrange(300, len(damaged))] = source.randrange(256)
        async with peer(relay, f"/camera/{name}") as camera:
            with contextlib.suppress(ConnectionClosed):
                await film(camera, bytes(damaged))
                await camera.send(type="ping", t=1)
                await camera.until(
                    lambda one: {"pong", "error"} & {message["type"] for message in one.messages}
                )


async def test_what_a_peer_sent_is_quoted_at_length_neither_to_it_nor_in_the_log(
    other: Relay, name: str
) -> None:
    header = element(Id.EBML, element(Id.DOC_TYPE, b"\xff" * (2**20 - 100)))
    before = len(other.output)
    for _ in range(20):
        async with peer(other, f"/camera/{name}") as camera:
            with contextlib.suppress(ConnectionClosed):
                await film(camera, header)
            assert len((await camera.message("error", id="bad-media"))["text"]) <= MAX_SENTENCE
    async with peer(other, f"/player/{name}") as viewer:
        with contextlib.suppress(ConnectionClosed):
            await viewer.connection.send("x" * 16000)
        assert len((await viewer.message("error", id="bad-message"))["text"]) <= MAX_SENTENCE
    await eventually(lambda: "(bad-message)" in other.output[before:], "it says what has happened")
    said = other.output[before:].splitlines()
    assert 2 <= len([line for line in said if "(bad-m" in line]) < 20 and all(
        len(line) <= MAX_LINE for line in said
    )


@pytest.mark.parametrize("name_of", ["elements of nothing", "PPS that change", "boxes of nothing"])
async def test_a_message_of_small_parts_is_refused_each_time(
    relay: Relay, name: str, name_of: str
) -> None:
    small = next(one for one in SMALL_PARTS if one.name == name_of)
    parts = small.begin + small.parts(2**20)
    for _ in range(3):
        async with peer(relay, f"/camera/{name}") as camera:
            with contextlib.suppress(ConnectionClosed):
                await camera.send(type="stream", stream=1, mime="")
                await camera.send_media(1, [parts])
            assert "small parts" in (await camera.message("error", id="media-limit"))["text"]
            assert await camera.closed() == 4002


@pytest.mark.long
async def test_what_is_begun_and_not_ended_is_bounded(relay: Relay, name: str) -> None:
    """For each camera, and for each address; and there is room again when a camera goes."""
    picture = HEAD + cluster(0) + simple(bytes(MAX_ELEMENT - 100))

    async def begin(camera: Peer, *streams: int) -> None:
        """Of a picture of 8 MiB, 6 in each of these streams."""
        for stream in streams:
            await camera.send(type="stream", stream=stream, mime="")
            await camera.send_media(
                stream, (picture[at : at + 2**20] for at in range(0, 6 * 2**20, 2**20))
            )
        await camera.settled()

    async with contextlib.AsyncExitStack() as stack:
        cameras = [
            await stack.enter_async_context(peer(relay, f"/camera/{name}-{number}"))
            for number in range(5)
        ]
        with contextlib.suppress(ConnectionClosed, AssertionError):
            await begin(cameras[0], 1, 2, 3)
        assert (
            "The camera has begun more than 16 MiB"
            in (await cameras[0].message("error", id="media-limit"))["text"]
        )
        assert await cameras[0].closed() == 4002
        await begin(cameras[1], 1, 2)
        await begin(cameras[2], 1, 2)
        with contextlib.suppress(ConnectionClosed, AssertionError):
            await begin(cameras[3], 1, 2)
        assert (
            "Cameras of this address have begun more than 32 MiB"
            in (await cameras[3].message("error", id="media-limit"))["text"]
        )
        await cameras[1].close()
        await begin(cameras[4], 1, 2)
        assert cameras[2].code is None


async def test_a_message_in_very_many_fragments(relay: Relay, name: str) -> None:
    async with await Raw.open(relay) as raw, peer(relay, f"/player/{name}") as viewer:
        assert await raw.request(relay, f"/camera/{name}") == 101
        await raw.frame(Opcode.TEXT, b'{"type": "stream", ', fin=False)
        await raw.frame(Opcode.PING, b"in between")
        await raw.frame(Opcode.CONT, b'"stream": 1, "mime": ""}')
        await raw.frame(Opcode.BINARY, b"\x01", fin=False)
        for position in range(0, len(VP8), 50):
            await raw.frame(Opcode.CONT, VP8[position : position + 50], fin=False)
        await raw.frame(Opcode.CONT, b"", fin=True)
        await viewer.until(lambda one: len(frames(one)) == len(packets(VP8)))


FLOODS = {
    "pings": (Opcode.PING, b"", True),
    "pongs": (Opcode.PONG, b"1", True),
    "fragments": (Opcode.CONT, b"", False),
    "binaries": (Opcode.BINARY, b"\1", True),
}


async def test_a_flood_of_frames_of_any_kind_ends_itself_alone(relay: Relay, name: str) -> None:
    """With 4007. Nothing is read then, so the connection ends with the deadline of a good-bye."""

    async def flood(path: str, kind: str) -> bytes:
        opcode, data, fin = FLOODS[kind]
        async with await Raw.open(relay) as raw:
            assert await raw.request(relay, path) == 101
            if kind == "fragments":
                await raw.frame(Opcode.TEXT, b"", fin=False)
            if kind == "binaries":
                await raw.frame(Opcode.TEXT, b'{"type": "stream", "stream": 1, "mime": ""}')
            frames = Frame(opcode, data, fin).serialize(mask=True, extensions=[]) * 10_000
            sending = asyncio.create_task(asyncio.wait_for(raw.write(frames * 20), PATIENCE))
            said = b""
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):
                    while piece := await raw.reader.read(2**16):
                        said += piece
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return said

    paths = [
        ("/wall", "pings"),
        (f"/camera/{name}", "binaries"),
        *((f"/player/{name}", kind) for kind in ("pings", "pongs", "fragments")),
    ]
    for said in await asyncio.gather(*(flood(path, kind) for path, kind in paths)):
        assert said.count(b"\x88\x13" + (4007).to_bytes(2, "big") + b"too-many-messages") == 1


async def test_a_camera_that_vanishes(relay: Relay, name: str) -> None:
    async with peer(relay, f"/player/{name}") as viewer:
        raw = await Raw.open(relay)
        assert await raw.request(relay, f"/camera/{name}") == 101
        await raw.frame(Opcode.TEXT, b'{"type": "stream", "stream": 1, "mime": ""}')
        await raw.frame(Opcode.BINARY, b"\x01" + VP8[:5000])
        await viewer.message("state", state="live")
        raw.cut()
        await viewer.message("state", state="gone", reason="lost")


async def test_many_viewers_that_come_and_go(relay: Relay, name: str) -> None:
    async def visit() -> None:
        async with peer(relay, f"/player/{name}") as viewer:
            await viewer.until(frames)

    async with peer(relay, f"/camera/{name}") as camera:
        await film(camera, VP8)
        for _ in range(5):
            await asyncio.gather(*(visit() for _ in range(20)))

        def alone(one: Peer) -> bool:
            return [message["count"] for message in one.messages if message["type"] == "viewers"][
                -1:
            ] == [0]

        await camera.until(alone)


async def test_a_flood_of_join_messages_from_a_peer_that_does_not_read(
    relay: Relay, name: str
) -> None:
    async with peer(relay, f"/camera/{name}") as camera, await Raw.open(relay, 4096) as raw:
        await film(camera, VP8)
        assert await raw.request(relay, f"/player/{name}") == 101
        before = relay.resident
        with contextlib.suppress(ConnectionError):
            for _ in range(3000):
                await raw.frame(Opcode.TEXT, b'{"type": "join"}')
        await camera.send(type="ping", t=7)
        await camera.message("pong", t=7)
        assert relay.resident - before < 24 * 2**20
