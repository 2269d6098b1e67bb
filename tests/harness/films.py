"""A phone without a browser, whose pictures every browser shows: it films the same second over and
over, and does what the relay asks.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Codec, Packet, Track
from tests.harness.peers import Peer, peer
from tests.harness.relays import Relay

RATE = 30
"""Pictures a second."""

WIDTH, HEIGHT = 320, 240

_TRACK = Track(Codec.VP8, "vp8", width=WIDTH, height=HEIGHT)


@functools.cache
def second() -> list[bytes]:
    """VP8 frames of a second: grey that becomes brighter, and noise, which makes them 4 to 30 kB
    long. The first is the keyframe.
    """
    encoder = av.CodecContext.create("libvpx", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.bit_rate, encoder.gop_size = Fraction(1, RATE), 2_000_000, 1000
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    noise = random.Random(1)
    frames: list[bytes] = []
    for number in range(RATE):
        picture = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        luma, *colours = picture.planes
        line = luma.line_size
        grey, rest = bytes([40 + number * 6]) * (line * 3 // 4), line - line * 3 // 4
        luma.update(b"".join(grey + noise.randbytes(rest) for _ in range(HEIGHT)))
        for plane in colours:
            plane.update(bytes([128]) * plane.buffer_size)
        picture.pts = number
        frames += [bytes(packet) for packet in encoder.encode(picture)]
    assert len(frames) == RATE
    return frames


class Film:
    """A camera at a relay.

    Attributes:
        phone: Its socket, with what the relay has told it.
        sends: Set it to False, and it is connected, live, and sends nothing.
    """

    def __init__(self, phone: Peer) -> None:
        self.phone = phone
        self.sends = True
        self._read = 0
        self._writer = WebmWriter(_TRACK, 1, 0)
        self._position = 0
        self._paused = False

    def told(self, kind: str) -> list[dict[str, object]]:
        """What the relay has told it of this kind, in order."""
        return [message for message in self.phone.messages if message["type"] == kind]

    async def run(self) -> None:
        """Films until it is cancelled."""
        welcome = await self.phone.message("welcome")
        self._zero, self._at = time.monotonic(), welcome["time"]
        await self._begin()
        while True:
            await asyncio.sleep(1 / RATE)
            await self._obey()
            if self.sends and not self._paused:
                await self._send()

    async def _begin(self) -> None:
        """A stream, from a keyframe."""
        self._position = 0
        await self.phone.send(
            type="stream", stream=1, mime="video/webm;codecs=vp8", at=self._at, keyframes=True
        )
        await self.phone.send_media(1, [self._writer.init()])

    async def _obey(self) -> None:
        news, self._read = self.phone.messages[self._read :], len(self.phone.messages)
        for message in news:
            if message["type"] == "keyframe":
                self._position = 0
            elif message["type"] == "pause":
                self._paused = True
                await self.phone.send(type="state", state="paused", reason=message["reason"])
            elif message["type"] == "resume" and self._paused:
                self._paused = False
                await self.phone.send(type="state", state="live")
                await self._begin()

    async def _send(self) -> None:
        key = self._position == 0
        timestamp = int((time.monotonic() - self._zero) * 1e6)
        packet = Packet(_TRACK, timestamp, key, second()[self._position])
        self._position = (self._position + 1) % RATE
        await self.phone.send_media(1, [self._writer.fragment(packet)])


@asynccontextmanager
async def film(relay: Relay, name: str, **options: Any) -> AsyncIterator[Film]:
    """A camera that films as `name`; the options are those of `peer`."""
    second()
    async with peer(relay, f"/camera/{name}", **options) as phone:
        camera = Film(phone)
        task = asyncio.create_task(camera.run())
        try:
            yield camera
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
