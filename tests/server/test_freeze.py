"""A viewer's network stands still for a while: afterwards it sees what is, not what was."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Codec, Packet, Track
from drawercam.server.sockets.write_limit import HIGH_WATER
from tests.harness.peers import ATTEMPTS, PATIENCE, Peer, Raw, peer
from tests.harness.proxies import HELD_LIMIT, HOST, Proxy
from tests.harness.relays import Relay
from tests.server.test_media import api

TRACK = Track(Codec.VP8, "vp8", width=320, height=240)
KEY_FRAME = b"\x10\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00"
INTERVAL = 1 / 30

# Bytes of a picture: 8 Mbit/s at 30 pictures a second.
PICTURE_SIZE = 33_000


# Seconds for which the network stands still.
FREEZE = 2.0

# Bytes that may wait outside the relay: in the proxy, and twice as much in the kernel's buffers on
# both sides of it.
ON_THE_WAY = 3 * HELD_LIMIT


class Film:
    """A camera that makes a picture every INTERVAL, and a keyframe at the beginning and when it is
    asked for one.

    Attributes:
        camera: Its socket.
        keys: Timestamps (ms on the wire) of its keyframes.
        sent: When (monotonic seconds) each picture was sent, by its timestamp.
    """

    def __init__(self, camera: Peer, size: int, pictures: int) -> None:
        self.camera = camera
        self.keys: list[int] = []
        self.sent: dict[int, float] = {}
        self._size = size
        self._pictures = pictures
        self._writer = WebmWriter(TRACK, 1, 0)

    async def run(self) -> None:
        welcome = await self.camera.message("welcome")
        zero, begin = welcome["time"] // 1000, time.monotonic()
        announce = {
            "type": "stream",
            "stream": 1,
            "mime": "video/webm",
            "at": zero * 1000,
            "keyframes": True,
        }
        await self.camera.connection.send(json.dumps(announce))
        await self.camera.send_media(1, [self._writer.init()])
        answered = -1
        for _ in range(self._pictures):
            wishes = sum(message["type"] == "keyframe" for message in self.camera.messages)
            key, answered = wishes != answered, wishes
            moment = round((time.monotonic() - begin) * 1000)
            self.sent[zero + moment] = time.monotonic()
            if key:
                self.keys.append(zero + moment)
            head = KEY_FRAME if key else b"\x11"
            await self.camera.send_media(
                1,
                [
                    self._writer.fragment(
                        Packet(TRACK, moment * 1000, key, head.ljust(self._size, b"\0"))
                    )
                ],
            )
            await asyncio.sleep(INTERVAL)


@asynccontextmanager
async def filming(
    relay: Relay, name: str, size: int = PICTURE_SIZE, pictures: int = 10**6
) -> AsyncIterator[Film]:
    async with peer(relay, f"/camera/{name}") as camera:
        film = Film(camera, size, pictures)
        task = asyncio.create_task(film.run())
        try:
            yield film
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def timestamps(viewer: Peer, begin: int = 0) -> list[int]:
    """Of the frame messages, in milliseconds (docs/protocol.md)."""
    return [
        int.from_bytes(one[10:18], "big")
        for one in viewer.media[begin:]
        if one.startswith(b"\x1f\x43\xb6\x75")
    ]


def missing(film: Film, viewer: Peer, last: int) -> int:
    """How many pictures up to this one did not come to a viewer.

    Those that did came once, and in their order.
    """
    moments = [moment for moment in timestamps(viewer) if moment <= last]
    filmed = [moment for moment in film.sent if moments[0] <= moment <= last]
    assert moments == [moment for moment in filmed if moment in moments]
    return len(filmed) - len(moments)


async def costs_nobody(
    scene: Callable[[Relay, str], Awaitable[int]], relay: Relay, name: str
) -> None:
    """Play a scene that tells how many pictures a viewer missed whose network is fine. When this
    computer is too busy even for that viewer, it is played again.
    """
    missed = [await scene(relay, f"{name}-1")]
    while missed[-1] and len(missed) < ATTEMPTS:
        missed.append(await scene(relay, f"{name}-{len(missed) + 1}"))
    assert not missed[-1], f"the other viewer misses pictures, each time: {missed}"


async def test_after_a_freeze_fresh_pictures_come_at_once(relay: Relay, name: str) -> None:
    await costs_nobody(_freeze, relay, name)


async def _freeze(relay: Relay, name: str) -> int:
    async with (
        filming(relay, name) as film,
        Proxy(relay.port) as network,
        peer(relay, f"/player/{name}", host=HOST, port=network.port) as viewer,
        peer(relay, f"/player/{name}") as other,
    ):
        await viewer.until(lambda one: len(timestamps(one)) > 20)
        await network.freeze(FREEZE)
        before, again = len(viewer.media), max(film.sent)
        fresh = await viewer.until(
            lambda one: next((moment for moment in timestamps(one, before) if moment > again), None)
        )
        assert fresh in film.keys, "the viewer goes on at a keyframe that was made for it"
        old = [moment for moment in timestamps(viewer, before) if moment < fresh]
        assert len(old) * PICTURE_SIZE < HIGH_WATER + ON_THE_WAY, (
            "much of what it missed was never sent"
        )
        await viewer.send(type="ping", t=1)
        pong = await viewer.message("pong", t=1)
        assert pong["drops"] > 0
        await other.until(lambda one: max(timestamps(one), default=0) >= fresh)
        return missing(film, other, fresh)


async def test_a_slow_network_carries_keyframes_and_what_follows_them(
    relay: Relay, name: str
) -> None:
    await costs_nobody(_slow_network, relay, name)


async def _slow_network(relay: Relay, name: str) -> int:
    async with filming(relay, name, 16_700) as film, Proxy(relay.port) as network:
        network.throttle(50_000)
        async with (
            peer(relay, f"/player/{name}", host=HOST, port=network.port) as viewer,
            peer(relay, f"/player/{name}") as other,
        ):
            await other.until(timestamps)
            await viewer.until(lambda one: len(timestamps(one)) >= 12)
            filmed, got = list(film.sent), timestamps(viewer)
            places = [filmed.index(moment) for moment in got]
            for before, after in itertools.pairwise(places):
                assert after == before + 1 or filmed[after] in film.keys, (
                    "each picture can be decoded"
                )
            assert places[-1] - places[0] >= 2 * len(got), (
                "most were left out: what it gets is of now"
            )
            await other.until(lambda one: max(timestamps(one), default=0) >= got[-1])
            return missing(film, other, got[-1])


async def test_a_network_that_is_too_slow_is_given_no_more_than_it_can_pass_on_soon(
    relay: Relay, name: str
) -> None:
    size = 2000
    pictures = HIGH_WATER * 9 // 10 // size  # so few that their bytes alone are not too many
    async with (
        filming(relay, name, size, pictures),
        await Raw.open(relay, 4096) as stalled,
        asyncio.timeout(PATIENCE),
    ):
        assert await stalled.request(relay, f"/player/{name}") == 101
        drops = 0
        while not drops:
            await asyncio.sleep(INTERVAL)
            drops = next(
                one["drops"]
                for one in await asyncio.to_thread(api, relay, "/api/cameras")
                if one["name"] == name
            )
