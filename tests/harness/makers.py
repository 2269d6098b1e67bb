"""What the tests of this folder film: small files made by PyAV, and readers of the test picture."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from drawercam.film.encode.encoders import PictureEncoder, recipes
from drawercam.film.encode.frame import Frame
from drawercam.film.sources import synthetic_picture as pattern
from drawercam.film.sources.source import Keyless, SourceError
from drawercam.media.codecs.h264 import split_annexb
from drawercam.media.packets import Codec
from tests.harness.peers import PATIENCE

WIDTH, HEIGHT, RATE = 320, 240, 30

Luma = list[bytes]


def luma(picture: VideoFrame) -> Luma:
    """The rows of brightness."""
    plane = picture.reformat(format="yuv420p").planes[0]
    data = bytes(plane)
    return [
        data[y * plane.line_size : y * plane.line_size + picture.width]
        for y in range(picture.height)
    ]


def painted(picture: VideoFrame) -> float:
    """The time that the painted clock shows, in seconds since 1970 modulo 2**24 tenths of a
    millisecond.
    """
    rows = luma(picture)
    bits = ""
    for row in range(2):
        line = rows[round((row + 0.5) * picture.height / 12)]
        bits += "".join(
            "1" if line[round((column + 0.5) * picture.width / 16)] > 128 else "0"
            for column in range(16)
        )
    value, check = int(bits[:24], 2), int(bits[24:], 2)
    assert pattern.check(value) == check, "the painted clock cannot be read"
    return value / 10_000


def pictures(count: int, begin: float = 1e9) -> list[VideoFrame]:
    """Test pictures, 30 a second."""
    maker = pattern.Pattern(WIDTH, HEIGHT)
    return [maker.picture(begin + number / RATE) for number in range(count)]


def file(
    path: Path, encoder: str, count: int = 15, sound: bool = False, begin: int = 0, **options: str
) -> Path:
    """Make a film of test pictures; the first one is shown after ``begin`` seconds."""
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(encoder, rate=RATE, options=options))
        stream.width, stream.height, stream.pix_fmt = (
            WIDTH,
            HEIGHT,
            "yuvj420p" if encoder == "mjpeg" else "yuv420p",
        )
        voice = container.add_stream("aac", rate=48_000, layout="mono") if sound else None
        for number, picture in enumerate(pictures(count)):
            picture.pts, picture.time_base = begin * RATE + number, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if voice is not None:
            for number in range(count * pattern.PACKETS_PER_SECOND // RATE):
                container.mux(voice.encode(pattern.sound(number)))
            container.mux(voice.encode(None))
    return path


def jpegs(count: int) -> list[bytes]:
    """Test pictures as JPEG."""
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt, context.time_base = (
        WIDTH,
        HEIGHT,
        "yuvj420p",
        Fraction(1, RATE),
    )
    return [
        bytes(packet)
        for picture in pictures(count)
        for packet in context.encode(picture.reformat(format="yuvj420p"))
    ]


def access_units(count: int) -> list[bytes]:
    """Test pictures as H.264 (Annex B)."""
    encoder = PictureEncoder(recipes()[0], RATE)
    frames = [
        encoder.encode(picture, number * 1_000_000 // RATE)
        for number, picture in enumerate(pictures(count))
    ]
    return [frame.data for frame in frames if frame is not None]


def hevc_units(count: int) -> list[bytes]:
    """Test pictures as H.265 (Annex B)."""
    context = av.CodecContext.create("libx265", "w")
    context.width, context.height, context.pix_fmt, context.time_base = (
        WIDTH,
        HEIGHT,
        "yuv420p",
        Fraction(1, RATE),
    )
    context.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "x265-params": "log-level=none",
    }
    shown = pictures(count)
    for number, picture in enumerate(shown):
        picture.pts, picture.time_base = number, Fraction(1, RATE)
    return [bytes(packet) for picture in (*shown, None) for packet in context.encode(picture)]


def refreshed(count: int, period: int, idr: int | None = None) -> list[bytes]:
    """Test pictures as H.264 (Annex B) whose only IDR picture, the first, is missing: they are
    refreshed bit by bit, each time within ``period`` pictures, with a recovery point at the
    beginning (ITU-T H.264 D.2.8). The parameter sets are there.

    Args:
        idr: The number of one that is an IDR picture all the same.
    """
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt, context.time_base = (
        WIDTH,
        HEIGHT,
        "yuv420p",
        Fraction(1, RATE),
    )
    options = f"intra-refresh=1:keyint={period}:bframes=0:scenecut=0"
    context.options = {
        "preset": "ultrafast",
        "tune": "zerolatency",
        "forced-idr": "1",
        "x264-params": options,
    }
    context.framerate = Fraction(RATE)
    found = []
    for number, picture in enumerate(pictures(count + 5)):
        picture.pts, picture.time_base = number, Fraction(1, RATE)
        picture.pict_type = (
            PictureType.I if idr is not None and number == idr + 5 else PictureType.NONE
        )
        found += [bytes(packet) for packet in context.encode(picture)]
    sets = [unit for unit in split_annexb(found[0]) if unit[0] & 0x1F in (7, 8)]
    return [b"".join(b"\0\0\0\1" + unit for unit in sets) + found[5], *found[6:]]


async def eventually(condition: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (found := condition()):  # noqa: ASYNC110 - what it looks at has no event
            await asyncio.sleep(0.02)
    return found


class Collector:
    """A sink that keeps what comes, until it has enough."""

    wanted = True

    def __init__(self, enough: int) -> None:
        self.encode = False
        self.keyless = Keyless.NO
        self.pictures: list[tuple[VideoFrame, int]] = []
        self.sounds: list[int] = []
        self.frames: list[Frame] = []
        self.what: list[str] = []
        self.heard: list[bool] = []  # whether it has sound, as often as it was opened
        self.enough = enough

    def passes(self, codec: Codec) -> bool:
        return not self.encode

    def opened(self, what: str, sound: bool) -> None:
        self.what.append(what)
        self.heard.append(sound)

    def picture(self, picture: VideoFrame, captured: int) -> None:
        self.pictures.append((picture, captured))

    def sound(self, sound: object, captured: int) -> None:
        self.sounds.append(captured)

    def passed(self, frame: Frame) -> None:
        self.frames.append(frame)

    def key_found(self) -> None:
        self.keyless = Keyless.NO

    def stands(self) -> None:
        pass

    def pause(self, seconds: float) -> bool:
        if seconds > 0:
            time.sleep(seconds)
        return len(self.pictures) + len(self.frames) < self.enough


__all__ = ["Collector", "SourceError", "file", "jpegs", "luma", "painted", "pictures"]
