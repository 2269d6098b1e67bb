"""The worker as a program: bytes in, bytes out. Its pictures are compared with what was filmed."""

from __future__ import annotations

import contextlib
import io
import itertools
import random
import resource
import struct
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from PIL import Image, ImageOps

from drawercam.media.packets import Codec, Kind, Packet
from drawercam.snapshots import worker as decoder
from drawercam.snapshots import worker_process as worker
from drawercam.snapshots.track_form import TrackForm
from drawercam.snapshots.worker import COMMAND
from tests.harness.peers import PATIENCE
from tests.harness.relays import ROOT
from tests.media.samples import Recording, read, recordings

NAMES = {Codec.VP8: b"vp8 ", Codec.VP9: b"vp9 ", Codec.AV1: b"av1 ", Codec.H264: b"h264"}

# By how much a colour may differ after two lossy codings, of 255.
NOISE = 14

# Six fields, whose colours no mistake with matrices or ranges leaves as they are.
FIELDS = [(220, 30, 30), (30, 200, 40), (30, 40, 210), (250, 250, 250), (5, 5, 5), (128, 90, 200)]


class Program:
    """A worker of a test's own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def send(self, kind: bytes, *parts: bytes) -> None:
        message = kind + b"".join(parts)
        self.stdin.write(struct.pack(">I", len(message)) + message)
        self.stdin.flush()

    def begin(
        self,
        codec: bytes,
        config: bytes = b"",
        rotation: int = 0,
        flip: bool = False,
        pixel_aspect: float = 1.0,
        matrix: int = 6,
        full_range: bool = False,
    ) -> None:
        self.send(
            b"T",
            codec,
            struct.pack(">HBdBB", rotation, flip, pixel_aspect, matrix, full_range),
            config,
        )

    def film(self, packets: list[Packet]) -> None:
        """Tracks and frames, as they are told a player."""
        track = None
        for packet in packets:
            if packet.track != track:
                track = packet.track
                self.begin(NAMES[track.codec], track.config if track.codec is Codec.H264 else b"")
            self.send(b"F", struct.pack(">qB", packet.timestamp, packet.key), packet.data)

    def ask(self, width: int = 0, after: int = -1) -> bytes:
        self.send(b"P", struct.pack(">Hq", width, after))
        size = struct.unpack(">I", self.stdout.read(4) or bytes(4))[0]
        return self.stdout.read(size)

    def picture(self, width: int = 0, after: int = -1) -> tuple[int, Image.Image]:
        """Its timestamp, and the picture as another library reads it."""
        answer = self.ask(width, after)
        assert answer[:1] == b"J", answer[:9]
        _, timestamp, wide, high = struct.unpack_from(">IqHH", answer, 1)
        image = Image.open(io.BytesIO(answer[17:]))
        assert (image.format, image.size) == ("JPEG", (wide, high))
        return timestamp, image.convert("RGB")

    def none(self) -> tuple[int, bool]:
        """How many frames are decoded, and whether only a keyframe helps."""
        answer = self.ask()
        assert answer[:1] == b"N", answer[:9]
        decoded, lost = struct.unpack(">IB", answer[1:])
        return decoded, bool(lost)


@pytest.fixture
def program() -> Iterator[Program]:
    one = Program()
    yield one
    one.process.kill()
    one.process.wait()
    one.stdout.close()
    with contextlib.suppress(BrokenPipeError):  # it has ended before it read all
        one.stdin.close()


def video(recording: Recording) -> list[Packet]:
    return [
        event
        for event in read([recording.data])
        if isinstance(event, Packet) and event.track.kind is Kind.VIDEO
    ]


def coarse(image: Image.Image) -> list[int]:
    return list(image.resize((8, 6), Image.Resampling.BOX).tobytes())


def apart(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of a colour in a coarse grid."""
    return max(abs(a - b) for a, b in zip(coarse(one), coarse(other), strict=True))


@pytest.mark.parametrize("recording", [one for one in recordings() if video(one)], ids=str)
def test_every_recording_becomes_a_picture(program: Program, recording: Recording) -> None:
    """Also where the phone was turned in the middle.

    The last picture is compared with that of a decoder with nothing around it.
    """
    packets = video(recording)
    program.film(packets)
    timestamp, image = program.picture()
    assert timestamp == max(packet.timestamp for packet in packets)
    track = packets[-1].track
    begin = max(index for index, packet in enumerate(packets) if packet.key)
    plain = av.CodecContext.create({Codec.AV1: "libdav1d"}.get(track.codec, track.codec.value), "r")
    assert isinstance(plain, VideoCodecContext)
    if track.config and track.codec is Codec.H264:
        plain.extradata = track.config
    shown = [
        frame for packet in packets[begin:] for frame in plain.decode(av.Packet(packet.data))
    ] + plain.decode(None)
    reference = Image.fromarray(shown[-1].to_ndarray(format="rgb24"))
    assert image.size == reference.size
    assert apart(image, reference) <= NOISE
    assert max(coarse(image)) > 40, "it is no black picture"


def fields() -> Image.Image:
    image = Image.new("RGB", (321, 240))  # an odd width
    for number, colour in enumerate(FIELDS):
        left, top = number % 3 * 107, number // 3 * 120
        image.paste(colour, (left, top, left + 107, top + 120))
    return image


def filmed(encoder: str, options: dict[str, str], matrix: int, spread: int) -> tuple[bytes, bytes]:
    """The fields as one keyframe, and the configuration.

    Matrix and range (spread) as FFmpeg counts them.
    """
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = 320, 240, "yuv420p"
    context.time_base, context.options, context.bit_rate = Fraction(1, 30), options, 4_000_000
    context.colorspace, context.color_range = matrix, spread
    frame = VideoFrame.from_ndarray(numpy.asarray(fields()), format="rgb24")
    frame = frame.reformat(320, 240, "yuv420p", dst_colorspace=matrix, dst_color_range=spread)
    frame.pts, frame.colorspace, frame.color_range = 0, matrix, spread
    packets = [*context.encode(frame), *context.encode(None)]
    return bytes(packets[0]), bytes(context.extradata or b"")


@pytest.mark.parametrize(
    ("codec", "encoder", "options", "matrix", "spread"),
    [
        (b"vp8 ", "libvpx", {"deadline": "realtime"}, 5, 1),
        (b"vp9 ", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, 5, 1),
        (b"av1 ", "libsvtav1", {"preset": "12"}, 1, 1),
        (b"h264", "libx264", {"preset": "ultrafast", "tune": "zerolatency"}, 1, 1),
        (b"h264", "libx264", {"preset": "ultrafast", "tune": "zerolatency"}, 6, 2),
    ],
    ids=["vp8", "vp9", "av1 of HD", "h264 of HD", "h264 in full range"],
)
def test_colours_are_those_that_were_filmed(
    program: Program, codec: bytes, encoder: str, options: dict[str, str], matrix: int, spread: int
) -> None:
    frame, config = filmed(encoder, options, matrix, spread)
    # Where no configuration is told, H.264 has it in the stream (Annex B), as encoders give it.
    program.begin(codec, matrix=matrix, full_range=spread == 2)
    program.send(b"F", struct.pack(">qB", 7, 1), config, frame)
    timestamp, image = program.picture()
    assert timestamp == 7
    for number, colour in enumerate(FIELDS):
        seen = image.getpixel((number % 3 * 107 + 53, number // 3 * 120 + 60))
        assert isinstance(seen, tuple)
        assert all(abs(a - b) <= NOISE for a, b in zip(seen, colour, strict=True)), (
            number,
            seen,
            colour,
        )


def test_pictures_are_upright_and_their_pixels_square(program: Program) -> None:
    frame, _ = filmed("libvpx", {"deadline": "realtime"}, 5, 1)
    program.begin(b"vp8 ")
    program.send(b"F", struct.pack(">qB", 1, 1), frame)
    _, lying = program.picture()
    for rotation, flip in itertools.product((0, 90, 180, 270), (False, True)):
        program.begin(b"vp8 ", b"", rotation, flip, 1.5)
        program.send(b"F", struct.pack(">qB", 2, 1), frame)
        _, image = program.picture()
        expected = lying.resize((480, 240)).rotate(-rotation, expand=True)
        expected = ImageOps.mirror(expected) if flip else expected
        assert image.size == expected.size
        assert apart(image, expected) <= NOISE
        _, small = program.picture(width=120)
        assert (
            small.size == (120, round(120 * image.height / image.width))
            and apart(small, expected) <= NOISE
        )


def test_a_picture_is_not_stretched_beyond_what_a_jpeg_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "MAX_SIDE", 400)
    frame, _ = filmed("libvpx", {"deadline": "realtime"}, 5, 1)
    pictures = worker.Pictures()
    pictures.track(TrackForm(b"vp8 ", b"", 90, False, 2.0))
    pictures.frame(1, True, frame)
    found = pictures.jpeg(0, -1)
    assert found is not None and found[1:3] == (150, 400)


def test_sizes_and_times(program: Program) -> None:
    packets = video(next(one for one in recordings() if one.name == "chromium-vp8.webm"))
    assert program.ask()[:1] == b"N", "before there is a track"
    program.film(packets[:1])
    first, image = program.picture()
    assert image.size == (320, 240)
    assert program.picture(101)[1].size == (101, 76)
    assert program.picture(1)[1].size == (1, 1)
    assert program.picture(5000)[1].size == (320, 240), "it is never made larger"
    assert program.ask(after=first)[:1] == b"N", "there is no later one"
    program.film(packets[:3])
    assert program.ask(after=first)[:1] == b"J"
    program.begin(b"vp9 ")
    assert program.none()[1], "what was before a new track is forgotten"


def test_what_is_broken_is_left_out_up_to_the_next_keyframe(program: Program) -> None:
    packets = video(next(one for one in recordings() if one.name == "chromium-h264.webm"))
    keys = [index for index, packet in enumerate(packets) if packet.key]
    program.film(packets[: keys[1]])
    before, _ = program.picture()
    program.send(b"F", struct.pack(">qB", before + 1, 1), b"\xff\xff\xff\xf0 garbage")
    program.send(b"F", struct.pack(">qB", before + 2, 0), packets[1].data)
    answer = program.ask(after=before)
    assert (answer[:1], answer[5]) == (b"N", 1), "and it says so"
    assert program.picture()[0] == before, "the last good one is still there"
    program.send(b"F", struct.pack(">qB", before + 3, 1), packets[keys[1]].data)
    assert program.picture(after=before)[0] == before + 3


def test_a_frame_that_is_empty_ends_nothing(program: Program) -> None:
    """An encoder that leaves a picture out may send one, and a decoder takes it for the end of the
    stream.
    """
    packets = video(next(one for one in recordings() if one.name == "chromium-vp8.webm"))
    program.film(packets[:1])
    program.send(b"F", struct.pack(">qB", packets[0].timestamp + 1, 0))
    assert program.picture()[0] == packets[0].timestamp
    program.send(b"F", struct.pack(">qB", packets[1].timestamp, packets[1].key), packets[1].data)
    assert program.picture()[0] == packets[1].timestamp


@pytest.mark.parametrize(
    "codec", NAMES.values(), ids=[name.decode().strip() for name in NAMES.values()]
)
def test_garbage_does_no_harm(program: Program, codec: bytes) -> None:
    noise = random.Random(1)
    named = {
        b"vp8 ": "chromium-vp8.webm",
        b"vp9 ": "chromium-vp9.webm",
        b"av1 ": "chromium-av1.webm",
        b"h264": "chromium-h264.webm",
    }
    packets = video(next(one for one in recordings() if one.name == named[codec]))
    program.begin(codec, noise.randbytes(40) if codec == b"h264" else b"")
    for number in range(60):
        program.send(b"F", struct.pack(">qB", number, 1), noise.randbytes(noise.randrange(2000)))
    assert program.ask()[:1] in (b"N", b"J")
    track = packets[0].track
    program.begin(codec, track.config if codec == b"h264" else b"")
    for number, packet in enumerate(packets):
        torn = bytearray(packet.data)
        for _ in range(3):
            torn[noise.randrange(len(torn))] = noise.randrange(256)
        program.send(b"F", struct.pack(">qB", number, packet.key), bytes(torn))
    assert program.ask()[:1] in (b"N", b"J")
    program.film(packets)
    assert program.picture()[1].size == (320, 240), "and it goes on"


def huge(width: int, height: int) -> bytes:
    """A VP8 keyframe's head (RFC 6386 section 9.1) that promises a picture of this size, and some
    bytes for it.
    """
    first = 1000 << 5 | 1 << 4  # a first partition of 1000 bytes, to be shown
    return (
        first.to_bytes(3, "little")
        + b"\x9d\x01\x2a"
        + struct.pack("<HH", width, height)
        + bytes(4000)
    )


def test_pictures_that_are_too_large_are_not_decoded(program: Program) -> None:
    program.begin(b"vp8 ")
    for number in range(20):
        program.send(b"F", struct.pack(">qB", number, 1), huge(16383, 16383 - number))
    assert program.none() == (20, True)
    assert peak(program.process.pid) < 200 * 2**20
    program.film(video(next(one for one in recordings() if one.name == "chromium-vp8.webm")))
    assert program.picture()[1].size == (320, 240)


def peak(pid: int) -> int:
    """Bytes of memory that a process held at most (Linux)."""
    return next(
        int(line.split()[1]) * 1024
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )


def test_limits_are_kept_by_the_system(program: Program) -> None:
    program.begin(b"vp8 ")
    program.none()
    limits = resource.prlimit
    pid = program.process.pid
    assert limits(pid, resource.RLIMIT_AS) == (worker.MAX_MEMORY, worker.MAX_MEMORY)
    assert limits(pid, resource.RLIMIT_NOFILE) == (0, 0), "it opens no file and no connection"
    assert limits(pid, resource.RLIMIT_FSIZE) == (0, 0)
    assert 0 < limits(pid, resource.RLIMIT_CPU)[0] <= worker.MAX_COMPUTING + 2
    limits(pid, resource.RLIMIT_CPU, (1, resource.RLIM_INFINITY))
    program.film(video(next(one for one in recordings() if one.name == "chromium-vp8.webm")))
    program.picture()  # so it has come to the messages
    assert limits(pid, resource.RLIMIT_CPU)[0] > 1, "each message has its own"


@pytest.mark.parametrize("what", ["nothing", "half a length", "half a message", "an empty message"])
def test_it_ends_with_its_input(program: Program, what: str) -> None:
    given = {
        "nothing": b"",
        "half a length": b"\0\0",
        "half a message": b"\0\0\0\x09Phalf",
        "an empty message": bytes(4),
    }
    program.stdin.write(given[what])
    program.stdin.close()
    assert program.process.wait(PATIENCE) == 0
    assert program.stdout.read() == b""


def test_the_two_ends_have_the_same_formats() -> None:
    """They do not know of one another, because the relay is not to have the decoders with it."""
    for here, there in ((decoder._FRAME, worker.FRAME), (decoder._WISH, worker.WISH)):
        assert here.format == ">Ic" + there.format[1:]
    assert (decoder._JPEG.format, decoder._NONE.format) == (worker.JPEG.format, worker.NONE.format)
