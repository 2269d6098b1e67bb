"""Pictures stand upright and in their true shape in every player: the screen is looked at, not what
an element says of itself.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import io
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from fractions import Fraction

import aiohttp
import av
import numpy
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from PIL import Image, ImageOps

from drawercam.media.codecs.unpack import unpacker
from drawercam.media.containers.detect import writer
from drawercam.media.geometry import Geometry
from drawercam.media.packets import Codec, Packet
from tests.harness.browsers import Browser, Chromium, Page
from tests.harness.browsers.chromium import ChromiumPage
from tests.harness.pages import PATIENCE, facts, kept, state
from tests.harness.peers import Peer, peer
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

RATE = 15
WIDTH, HEIGHT = 160, 120

# Twice as wide as high when it is stretched.
ASPECT = 1.5

# Red, green; blue, white: red above blue, green to the right.
FIELDS = Image.fromarray(
    numpy.array([[(230, 0, 0), (0, 200, 0)], [(0, 0, 230), (230, 230, 230)]], numpy.uint8)
)

EIGHT = list(itertools.product((0, 90, 180, 270), (False, True)))
SOME = [(90, False), (270, True), (0, True)]

ENCODERS = {Codec.VP8: "libvpx", Codec.H264: "libx264"}


@functools.cache
def keyframe(codec: Codec) -> Packet:
    """The fields, as a camera films them that lies on its side."""
    encoder = av.CodecContext.create(ENCODERS[codec], "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.options = (
        Fraction(1, RATE),
        {"profile": "baseline"} if codec is Codec.H264 else {},
    )
    picture = VideoFrame.from_ndarray(
        numpy.asarray(FIELDS.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)), "rgb24"
    )
    picture.pts = 0
    data = b"".join(
        map(bytes, [*encoder.encode(picture.reformat(format="yuv420p")), *encoder.encode(None)])
    )
    unpacked = unpacker(codec, b"").unpack(data, True)
    assert unpacked is not None and unpacked[0] is not None
    return Packet(unpacked[0], 0, True, unpacked[1])


class Turner:
    """A camera that is turned while it films.

    Attributes:
        geometry: How its pictures are to be shown; its stream begins afresh when that has changed.
    """

    def __init__(self, phone: Peer, codec: Codec) -> None:
        self.geometry = Geometry()
        self._phone = phone
        self._packet = keyframe(codec)

    async def run(self) -> None:
        welcome = await self._phone.message("welcome")
        zero, told = time.monotonic() - welcome["time"] / 1e6, None
        while True:
            if self.geometry != told:
                told = self.geometry
                out = writer(told.applied(self._packet.track), 1, 0)
                await self._phone.send(type="stream", stream=1, mime=out.mime, at=0, keyframes=True)
                await self._phone.send_media(1, [out.init(oriented=True)])
            moment = round((time.monotonic() - zero) * 1e6)
            await self._phone.send_media(1, [out.fragment(replace(self._packet, timestamp=moment))])
            await asyncio.sleep(1 / RATE)


@asynccontextmanager
async def turner(relay: Relay, name: str, codec: Codec) -> AsyncIterator[Turner]:
    async with peer(relay, f"/camera/{name}") as phone:
        one = Turner(phone, codec)
        task = asyncio.create_task(one.run())
        try:
            yield one
        finally:
            task.cancel()


def seen(geometry: Geometry) -> tuple[Image.Image, float]:
    """The fields as they must be seen, and width by height of the picture."""
    fields = FIELDS.rotate(-geometry.rotation, expand=True)
    aspect = WIDTH / HEIGHT * geometry.pixel_aspect
    return (
        ImageOps.mirror(fields) if geometry.flip else fields
    ), 1 / aspect if geometry.rotation % 180 else aspect


async def tile(page: Page) -> Image.Image:
    """What is seen of the camera, in the middle of its tile."""
    box = await page.evaluate(
        "(({ left, top, right, bottom }) => [left, top, right, "
        "bottom])(document.querySelector('[data-camera]').getBoundingClientRect())"
    )
    return Image.open(io.BytesIO(await page.screenshot())).convert("RGB").crop(tuple(box))


def problem(screen: Image.Image, geometry: Geometry) -> str:
    """What is wrong with the picture in the middle of the screen; empty for nothing."""
    fields, aspect = seen(geometry)
    middle, centre = screen.width // 2, screen.height // 2
    step = min(screen.size) // 10
    for row, column in itertools.product((0, 1), (0, 1)):
        found = screen.getpixel((middle + (2 * column - 1) * step, centre + (2 * row - 1) * step))
        wanted = fields.getpixel((column, row))
        assert isinstance(found, tuple) and isinstance(wanted, tuple)
        if max(abs(a - b) for a, b in zip(found, wanted, strict=True)) > 70:
            return f"{found} instead of {wanted} at {row}, {column}"
    left = edge([max_of(screen, middle - far, centre - step) for far in range(middle)])
    top = edge([max_of(screen, middle - step, centre - far) for far in range(centre)])
    return (
        ""
        if abs(left / top / aspect - 1) < 0.05
        else f"it is {left / top:.2f} times as wide as high instead of {aspect:.2f}"
    )


def max_of(screen: Image.Image, x: int, y: int) -> int:
    pixel = screen.getpixel((x, y))
    assert isinstance(pixel, tuple)
    return max(pixel)


def edge(brightness: list[int]) -> int:
    """Where the picture ends, and the black begins."""
    return next((far for far, value in enumerate(brightness) if value < 60), len(brightness))


# The file that a tile saves, instead of the download.
SAVED = """async () => {
  const { createObjectURL } = URL, { click } = HTMLAnchorElement.prototype;
  try {
    const file = await new Promise((resolve, reject) => {
      URL.createObjectURL = (blob) => (resolve(blob), createObjectURL.call(URL, blob));
      HTMLAnchorElement.prototype.click = () => {};
      document.querySelector("[data-camera]").tile.save().then(() => reject(new Error("nothing was saved")));
    });
    return btoa(String.fromCharCode(...new Uint8Array(await new Response(file).arrayBuffer())));
  } finally {
    URL.createObjectURL = createObjectURL;
    HTMLAnchorElement.prototype.click = click;
  }
}"""


async def stands(page: Page, geometry: Geometry) -> None:
    """Wait until the picture is seen as it must be."""
    deadline = time.monotonic() + PATIENCE
    while wrong := problem(await tile(page), geometry):
        if time.monotonic() > deadline:
            raise AssertionError(f"{geometry}: {wrong}; {await kept(page)}; {await facts(page)}")
        await asyncio.sleep(0.1)
    still = Image.open(io.BytesIO(base64.b64decode(await page.evaluate(SAVED)))).convert("RGB")
    assert problem(still, geometry) == "", "what is saved is what is seen"
    _, aspect = seen(geometry)
    size = (await facts(page))["size"]
    assert size["width"] / size["height"] == pytest.approx(aspect, rel=0.02)


async def watched(
    relay: Relay,
    browser: Browser,
    query: str,
    turns: list[tuple[int, bool]],
    codec: Codec = Codec.VP8,
) -> None:
    async with turner(relay, "turner", codec) as camera:
        rotation, flip = turns[0]
        camera.geometry = Geometry(rotation, flip, ASPECT)
        page = await browser.page(f"{relay.origin}/player.html?camera=turner&{query}")
        await page.resize(640, 600)
        await state(page, "live")
        for rotation, flip in turns:
            camera.geometry = Geometry(rotation, flip, ASPECT)
            await stands(page, camera.geometry)
        camera.geometry = Geometry()
        await stands(page, camera.geometry)
        assert page.errors == []
        await page.close()


@pytest.mark.parametrize(
    ("engine", "codec"), [("frames", Codec.VP8), ("mse", Codec.H264), ("jpeg", Codec.VP8)]
)
async def test_a_camera_that_is_turned_while_it_films(
    relay: Relay, chromium: Chromium, engine: str, codec: Codec
) -> None:
    await watched(relay, chromium, f"engine={engine}", SOME, codec)


@pytest.mark.long
@pytest.mark.parametrize(
    "way", ["engine=frames", "surface=offscreen", "surface=canvas", "engine=mse", "engine=jpeg"]
)
async def test_all_eight_in_every_browser(relay: Relay, viewer: Browser, way: str) -> None:
    await watched(relay, viewer, way, EIGHT)


# A lens of a phone that is held upright, as Chrome 138 and later have it: its pictures lie on their
# side, and say by how much. `turn` is what they say, and may be changed.
TURNED = """() => {
  window.turn = { rotation: 90, flip: false };
  const canvas = new OffscreenCanvas(320, 240), pen = canvas.getContext("2d");
  ["rgb(230,0,0)", "rgb(0,200,0)", "rgb(0,0,230)", "rgb(230,230,230)"].forEach((colour, at) => {
    pen.fillStyle = colour;
    pen.fillRect((at % 2) * 160, Math.floor(at / 2) * 120, 160, 120);
  });
  const open = navigator.mediaDevices.getUserMedia;
  navigator.mediaDevices.getUserMedia = async (constraints) => {
    const stream = await open.call(navigator.mediaDevices, constraints);
    for (const lens of stream.getVideoTracks()) {
      const track = new MediaStreamTrackGenerator({ kind: "video" });
      new MediaStreamTrackProcessor({ track: lens }).readable.pipeThrough(new TransformStream({
        transform(frame, out) {
          out.enqueue(new VideoFrame(canvas, { timestamp: frame.timestamp, ...window.turn }));
          frame.close();
        },
      })).pipeTo(track.writable);
      stream.removeTrack(lens);
      stream.addTrack(track);
    }
    return stream;
  };
}"""


async def with_turned_lens(chromium: Chromium, url: str) -> ChromiumPage:
    page = await chromium.page()
    await page.raw.add_init_script(f"({TURNED})()")
    await page.raw.goto(url)
    if not await page.evaluate("'rotation' in VideoFrame.prototype"):
        pytest.skip("this Chromium is older than 138")
    return page


@pytest.mark.parametrize(
    "encoder",
    [
        "vp8",
        "recorder",
        pytest.param("avc1", marks=pytest.mark.long),
        pytest.param("vp09", marks=pytest.mark.long),
    ],
)
async def test_a_page_films_pictures_that_say_how_they_are_turned(
    relay: Relay, chromium: Chromium, encoder: str
) -> None:
    """A recorder loses it, so the page finds that out and says it beside the stream, also amid
    filming.
    """
    page = await with_turned_lens(
        chromium, f"{relay.origin}/camera.html?name=held&sound=0&start=1&encoder={encoder}"
    )
    async with aiohttp.ClientSession() as session, peer(relay, "/player/held") as player:
        for rotation, flip in [(90, False), (270, True), (0, False)]:
            await page.evaluate(
                "(rotation, flip) => void (window.turn = { rotation, flip })", rotation, flip
            )
            await player.until(
                lambda one, turn=(rotation, flip): turn_told(one) == turn,  # type: ignore[misc]
                f"for {rotation}, {flip}",
            )
            expected, aspect = seen(Geometry(rotation, flip))
            deadline = time.monotonic() + PATIENCE
            while True:
                async with session.get(f"{relay.origin}/cameras/held/latest.jpg") as answer:
                    assert answer.status == 200
                    image = Image.open(io.BytesIO(await answer.read())).convert("RGB")
                small = image.resize((2, 2), Image.Resampling.BOX)
                if numpy.abs(numpy.asarray(small, int) - numpy.asarray(expected, int)).max() < 60:
                    break
                assert time.monotonic() < deadline, (rotation, flip)
            assert image.width / image.height == pytest.approx(aspect, rel=0.01)
    assert page.errors == []
    await page.close()


def turn_told(player: Peer) -> tuple[int, bool] | None:
    """What the player was told last of pictures that lie on their side."""
    last = [message for message in player.messages if message["type"] == "track"][-1:]
    assert [(one["width"], one["height"]) for one in last] in ([], [(320, 240)])
    return (last[0].get("rotation", 0), last[0].get("flip", False)) if last else None


async def test_webcodecs_films_what_is_turned(relay: Relay, chromium: Chromium) -> None:
    """A recorder would begin afresh at each turn."""
    page = await with_turned_lens(chromium, f"{relay.origin}/camera.html?name=held")
    choice = await page.evaluate(CHOICE)
    assert (choice["encoder"], choice["delays"]["recorder"]) == ("codecs", None)
    await page.close()


CHOICE = """async () => {
  const { chooseEncoder } = await import("/web/camera/encode/encoder-trial.js");
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } });
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = stream;
  await video.play();
  const choice = await chooseEncoder(stream.getVideoTracks()[0], video, "");
  for (const track of stream.getTracks()) track.stop();
  return choice;
}"""
