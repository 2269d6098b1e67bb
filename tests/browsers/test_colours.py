"""What is seen has the colours that were filmed: cameras of known colours, watched by browsers and
asked for single pictures.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import io
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from PIL import Image

from drawercam.film.encode.encoders import PictureEncoder, recipes
from drawercam.media.codecs.unpack import unpacker
from drawercam.media.containers.detect import writer
from drawercam.media.packets import Codec, Packet, Track
from tests.browsers.conftest import Browsers
from tests.harness.browsers.base import Page
from tests.harness.pages import kept
from tests.harness.peers import PATIENCE, peer
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

# Six fields beside one another, whose colours no mistake with matrices or ranges leaves as they
# are; and by how much two codings and a screen may change them, of 255. With the other matrix, red
# is off by 31 or 19; with the other range, grey by 16.
FIELDS = [(200, 0, 0), (0, 200, 0), (30, 40, 200), (240, 240, 240), (24, 24, 24), (120, 120, 120)]
NOISE = 12
WIDTH, HEIGHT = 384, 240

# Cameras: the codec of the source, and its matrix and range as FFmpeg counts them. H.264 is passed
# on; the others are encoded by `film`.
CAMERAS = {
    "jpeg": ("mjpeg", 5, 2),
    "hevc-full": ("libx265", 1, 2),
    "hevc-studio": ("libx265", 6, 1),
    "h264-full": ("libx264", 6, 2),
    "h264-studio": ("libx264", 1, 1),
}

# The colours in the middle of the fields of each tile's picture, by camera; null before there are
# some. A canvas that a worker draws on is transparent in the page until its first picture is there.
_SEEN = f"""() => Object.fromEntries([...document.querySelectorAll("[data-camera]")].map((tile) => {{
  const picture = tile.querySelector("canvas, video"), canvas = document.createElement("canvas");
  const width = picture && (picture.videoWidth || picture.width), height = picture && (picture.videoHeight || picture.height);
  if (!width || width < 100) return [tile.dataset.camera, null];
  canvas.width = width; canvas.height = height;
  const pen = canvas.getContext("2d", {{ willReadFrequently: true }});
  pen.drawImage(picture, 0, 0);
  const pixels = Array.from({{ length: {len(FIELDS)} }}, (_, i) =>
    Array.from(pen.getImageData(Math.floor((i + 0.5) * width / {len(FIELDS)}), height / 2, 1, 1).data));
  return [tile.dataset.camera, pixels.every((pixel) => pixel[3] === 255) ? pixels.map((pixel) => pixel.slice(0, 3)) : null];
}}))"""


def picture() -> VideoFrame:
    return VideoFrame.from_ndarray(
        np.repeat(np.array([FIELDS], np.uint8), HEIGHT, 0).repeat(WIDTH // len(FIELDS), 1),
        format="rgb24",
    )


def source(encoder: str, matrix: int, spread: int) -> bytes:
    """The fields as one frame of a camera."""
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = (
        WIDTH,
        HEIGHT,
        "yuvj420p" if encoder == "mjpeg" else "yuv420p",
    )
    context.time_base, context.bit_rate = Fraction(1, 30), 8_000_000
    context.color_primaries, context.color_trc, context.colorspace, context.color_range = (
        1,
        1,
        matrix,
        spread,
    )
    if encoder != "mjpeg":
        context.options = {"preset": "ultrafast", "tune": "zerolatency"}
    frame = picture().reformat(
        format=context.pix_fmt, dst_colorspace=matrix, dst_color_range=spread
    )
    frame.pts = 0
    return b"".join(map(bytes, [*context.encode(frame), *context.encode(None)]))


@functools.cache
def filmed(encoder: str, matrix: int, spread: int) -> tuple[Track, bytes]:
    """The same as a camera sends it to the relay."""
    data, said = source(encoder, matrix, spread), None
    if encoder != "libx264":
        decoder = av.CodecContext.create("mjpeg" if encoder == "mjpeg" else "hevc", "r")
        assert isinstance(decoder, VideoCodecContext)
        decoded = (decoder.decode(av.Packet(data)) + decoder.decode(None))[0]
        frame = PictureEncoder(recipes()[0], 30).encode(decoded, 0)
        assert frame is not None
        data, said = frame.data, frame.form.color
    unpacked = unpacker(Codec.H264, b"", color=said).unpack(data, True)
    assert unpacked is not None and unpacked[0] is not None
    return unpacked[0], unpacked[1]


@asynccontextmanager
async def camera(relay: Relay, name: str) -> AsyncIterator[None]:
    """A camera that sends its picture again and again, each time as a keyframe."""
    track, data = filmed(*CAMERAS[name])
    out = writer(track, 1, 0)

    async def run() -> None:
        began, at = time.monotonic(), (await phone.message("welcome"))["time"]
        await phone.send(type="stream", stream=1, mime=out.mime, at=at)
        await phone.send_media(1, [out.init()])
        while True:
            timestamp = int((time.monotonic() - began) * 1e6)
            await phone.send_media(1, [out.fragment(Packet(track, timestamp, True, data))])
            await asyncio.sleep(0.1)

    async with peer(relay, f"/camera/{name}") as phone:
        task = asyncio.create_task(run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def right(colours: list[list[int]], wanted: list[tuple[int, int, int]] = FIELDS) -> bool:
    return all(
        abs(a - b) <= NOISE
        for one, other in zip(colours, wanted, strict=True)
        for a, b in zip(one, other, strict=True)
    )


async def look(page: Page) -> dict[str, list[list[int]]]:
    """What all tiles show, as soon as all show something."""
    end = time.monotonic() + WALL_PATIENCE
    while True:
        seen: dict[str, list[list[int]] | None] = await page.evaluate(_SEEN)
        shown = {
            name: colours
            for name, colours in seen.items()
            if colours is not None and max(map(max, colours)) > 100
        }
        if shown.keys() == CAMERAS.keys():
            return shown
        assert time.monotonic() < end, (
            f"there is no picture of {CAMERAS.keys() - shown.keys()}; {await kept(page)}"
        )
        await asyncio.sleep(0.1)


# Seconds for five pictures at once: on a busy computer Firefox takes 20 s for five decoders.
WALL_PATIENCE = 3 * PATIENCE

# What Firefox 153 shows of H.264 in full range: it takes it for the limited one, by MediaSource and
# WebCodecs, on the screen and on a canvas, whatever says otherwise (the VUI, colr,
# VideoDecoderConfig.colorSpace; VP9's header neither). If this fails, Firefox has been mended: then
# docs/browsers.md and docs/film.md need not speak of it any more.
MISREAD = {
    "firefox": {
        "h264-full": [
            (209, 0, 0),
            (0, 212, 0),
            (15, 29, 207),
            (255, 255, 255),
            (8, 11, 7),
            (119, 122, 119),
        ]
    }
}


@pytest.mark.parametrize(
    ("browser_name", "engine"),
    [
        ("chromium", "frames"),
        pytest.param("chromium", "mse", marks=pytest.mark.long),
        pytest.param("firefox", "frames", marks=pytest.mark.long),
        pytest.param("firefox", "mse", marks=pytest.mark.long),
        pytest.param("webkit", "frames", marks=pytest.mark.long),
        pytest.param("webkit", "mse", marks=pytest.mark.long),
    ],
)
async def test_colours_are_those_that_were_filmed(
    relay: Relay, browsers: Browsers, browser_name: str, engine: str
) -> None:
    """Of all cameras, on one wall, and in single pictures."""
    viewer = await browsers.get(browser_name, False)
    async with AsyncExitStack() as stack:
        for name in CAMERAS:
            await stack.enter_async_context(camera(relay, name))
        page = await viewer.page(f"{relay.origin}/player.html?engine={engine}")
        seen = await look(page)
        wanted = dict.fromkeys(CAMERAS, FIELDS) | MISREAD.get(browser_name, {})
        wrong = {name: seen[name] for name in CAMERAS if not right(seen[name], wanted[name])}
        assert not wrong
        for name in CAMERAS:
            jpeg = await page.evaluate(
                f"""async () => {{
                  const data = new Uint8Array(await (await fetch("/cameras/{name}/latest.jpg")).arrayBuffer());
                  return btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
                }}"""
            )
            image = Image.open(io.BytesIO(base64.b64decode(jpeg))).convert("RGB")
            step = WIDTH // len(FIELDS)
            colours = [
                list(image.getpixel((number * step + step // 2, HEIGHT // 2)))  # type: ignore[arg-type]
                for number in range(len(FIELDS))
            ]
            assert right(colours), (name, colours)
        assert page.errors == []
        await page.close()
