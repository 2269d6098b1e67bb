"""How pictures are turned and stretched: what containers say, written and read back, by the relay
and by FFmpeg's libraries.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import math
import re
import struct
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import pytest
from av import logging
from av.bitstream import BitStreamFilterContext
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from drawercam.media import geometry
from drawercam.media.codecs.av1 import FrameFields, pixel_aspect
from drawercam.media.codecs.h264 import AccessUnits
from drawercam.media.codecs.unpack import unpacker
from drawercam.media.containers.detect import StreamReader, writer
from drawercam.media.containers.live_file import VIDEO, Muxed
from drawercam.media.containers.mp4 import Mp4Reader
from drawercam.media.containers.webm import WebmReader
from drawercam.media.geometry import Geometry, stretched
from drawercam.media.packets import Codec, MediaError, Packet, Track
from drawercam.media.upright import Upright, turn_of
from drawercam.media.work import MOST, Work
from tests.media.samples import RECORDINGS

# Exif's orientations from 1 on: "Exif Version 2.32" 4.6.4, where its first row and column lie.
EXIF = [
    (0, False),
    (0, True),
    (180, False),
    (180, True),
    (90, True),
    (90, False),
    (270, True),
    (270, False),
]

EIGHT = list(itertools.product((0, 90, 180, 270), (False, True)))
ENCODERS = {Codec.H264: "libx264", Codec.VP8: "libvpx"}
WIDTH, HEIGHT = 64, 48

# A picture whose four fields are told apart when it is turned and mirrored.
FIELDS = np.array([[30, 90], [150, 220]], np.uint8)

Fields = np.ndarray[Any, np.dtype[np.uint8]]


def shown(fields: Fields, rotation: int, flip: bool) -> list[list[int]]:
    """As WebCodecs has it: rotated clockwise, then mirrored, left for right."""
    turned = np.rot90(fields, -rotation // 90)
    return cast(list[list[int]], (np.fliplr(turned) if flip else turned).tolist())


def picture(width: int = WIDTH, height: int = HEIGHT) -> VideoFrame:
    gray = np.kron(FIELDS, np.ones((height // 2, width // 2), np.uint8))
    return VideoFrame.from_ndarray(np.stack([gray] * 3, axis=2), "rgb24").reformat(format="yuv420p")


def fields_of(seen: VideoFrame) -> list[list[int]]:
    gray = seen.to_ndarray(format="gray")
    high, wide = gray.shape
    near = [
        [gray[high * (1 + 2 * row) // 4, wide * (1 + 2 * column) // 4] for column in (0, 1)]
        for row in (0, 1)
    ]
    return [
        [int(min(FIELDS.flat, key=lambda one: abs(int(one) - int(value)))) for value in row]
        for row in near
    ]


def moved(data: bytes) -> list[list[int]]:
    """Where a display matrix puts the fields: computed for itself, by the formula of ISO/IEC
    14496-12 6.2.2.
    """
    a, b, _, c, d, *_ = struct.unpack("=9i", data)
    found = [[0, 0], [0, 0]]
    for (row, column), value in np.ndenumerate(FIELDS):
        x, y = 2 * column - 1, 2 * row - 1
        found[a * x * 0 + b * x + d * y > 0][a * x + c * y > 0] = int(value)
    return found


def recorded(
    codec: Codec,
    form: str,
    count: int = 2,
    matrix: tuple[int, int, int, int] | None = None,
    aspect: Fraction | None = None,
) -> bytes:
    """A file of libavformat's."""
    target = io.BytesIO()
    options = {"movflags": "frag_every_frame+empty_moov+default_base_moof"} if form == "mp4" else {}
    with av.open(target, "w", format=form, options=options) as container:
        stream = cast(VideoStream, container.add_stream(ENCODERS[codec], rate=25))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if matrix is not None:
            a, b, c, d = (value << 16 for value in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for number in range(count):
            frame = picture()
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def read(data: bytes) -> tuple[Track, list[Packet]]:
    events = StreamReader().feed(data)
    (track,) = (event for event in events if isinstance(event, Track))
    return track, [event for event in events if isinstance(event, Packet)]


def decoded(data: bytes) -> tuple[VideoFrame, Fraction | None]:
    """FFmpeg's first picture of a file, and the shape of its pixels."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        return next(cast(Any, container).decode(stream)), stream.sample_aspect_ratio


def side_data(frame: VideoFrame) -> bytes | None:
    found = cast(Any, frame.side_data).get(Type.DISPLAYMATRIX)
    return None if found is None else bytes(found)


@pytest.mark.parametrize(("rotation", "flip"), EIGHT)
def test_matrix_angles_and_filters_say_the_same(rotation: int, flip: bool) -> None:
    said = Geometry(rotation, flip)
    assert geometry.of_matrix(*geometry.matrix(rotation, flip)) == said
    yaw, roll = geometry.angles(rotation, flip)
    assert geometry.of_angles(yaw, 0, roll) == said
    assert geometry.of_angles(yaw + 180, 180, roll + 180) == said, (
        "from behind and head down is half a turn"
    )
    seen = Upright().turned(picture(), rotation, flip)
    assert fields_of(seen) == shown(FIELDS, rotation, flip)
    assert (seen.width, seen.height) == geometry.turned(WIDTH, HEIGHT, rotation)


@pytest.mark.parametrize(("rotation", "flip"), EIGHT)
@pytest.mark.parametrize(("codec", "form"), [(Codec.H264, "mp4"), (Codec.VP8, "matroska")])
def test_ffmpegs_files_and_ours_are_turned_alike(
    codec: Codec, form: str, rotation: int, flip: bool
) -> None:
    """Read from a file of libavformat's, written for the relay (film), and as a file for programs:
    which are asked where they put the picture. What a player gets says nothing of it.
    """
    data = recorded(codec, form, matrix=geometry.matrix(rotation, flip))
    track, packets = read(data)
    assert (track.rotation, track.flip) == (rotation, flip)
    out = writer(track, VIDEO, 0)
    frames = [out.fragment(packet) for packet in packets]
    file = Muxed(out.init(), rotation=rotation, flip=flip)
    for ours in (
        out.init(oriented=True) + b"".join(frames),
        b"".join(file.add(VIDEO, frame) for frame in frames),
    ):
        again, _ = read(ours)
        assert again == track
        matrix = side_data(decoded(ours)[0])
        assert (matrix is None) == ((rotation, flip) == (0, False))
        if matrix is not None:
            assert moved(matrix) == shown(FIELDS, rotation, flip)
    assert side_data(decoded(out.init() + b"".join(frames))[0]) is None


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_says_it_too(orientation: int, form: str) -> None:
    """Exif's orientations, which FFmpeg's libraries make a matrix of; compared with another library
    that turns pictures.
    """
    lying = Image.fromarray(picture().to_ndarray(format="rgb24"))
    exif = Image.Exif()
    exif[0x0112] = orientation
    photograph = io.BytesIO()
    lying.save(photograph, form, exif=exif)
    with av.open(io.BytesIO(photograph.getvalue()), "r") as container:
        frame = next(container.decode(video=0))
    assert (turn_of(frame).rotation, turn_of(frame).flip) == EXIF[orientation - 1]
    seen = Upright().seen(frame, turn_of(frame))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(photograph)).convert("L"))
    assert (seen.height, seen.width) == expected.shape
    assert fields_of(seen) == fields_of(
        VideoFrame.from_ndarray(np.ascontiguousarray(expected), "gray")
    )


def with_orientation(said: str) -> tuple[bytes, bytes, bytes]:
    """Two keyframes of H.264 and their configuration; FFmpeg has written into the first how it is
    turned (ITU-T H.264 D.1.27).
    """
    with av.open(io.BytesIO(recorded(Codec.H264, "mp4", 1)), "r") as container:
        stream = container.streams.video[0]
        (packet,) = (packet for packet in container.demux(stream) if packet.size)
        plain, config = bytes(packet), bytes(stream.codec_context.extradata or b"")
        (turned,) = BitStreamFilterContext(
            f"h264_metadata=display_orientation=insert:{said}", stream
        ).filter(packet)
    return bytes(turned), plain, config


@pytest.mark.parametrize(
    "flip", ["", ":flip=horizontal", ":flip=vertical", ":flip=horizontal+vertical"]
)
@pytest.mark.parametrize("degrees", [0, 90, 180, -90, 88])
def test_h264_says_by_itself_how_it_is_turned(degrees: int, flip: str) -> None:
    """As FFmpeg's decoder understands it, and as FFmpeg reads it in the file that is made of it."""
    turned, plain, config = with_orientation(f"rotate={degrees}{flip}")
    decoder = cast(Any, av.CodecContext.create("h264", "r"))
    decoder.extradata = config
    (seen,) = decoder.decode(av.Packet(turned)) + decoder.decode(None)
    matrix = side_data(seen)
    units = AccessUnits(config)
    (track, frame, key), second = cast(Any, units.unpack(turned)), units.unpack(plain)
    expected = (
        FIELDS.tolist()
        if matrix is None
        else shown(FIELDS, turn_of(seen).rotation, turn_of(seen).flip)
    )
    assert key and shown(FIELDS, track.rotation, track.flip) == expected
    if degrees != 88 and matrix is not None:
        assert moved(matrix) == expected
    # The next one says nothing, so it stands upright.
    assert second is not None and (second[0] is None) == (not track.rotation and not track.flip)
    assert units.track is not None and not units.track.rotation and not units.track.flip
    # A container's word counts less.
    assert Geometry(90, True).applied(track) == (
        track if track.rotation or track.flip else Geometry(90, True).applied(units.track)
    )
    out = writer(track, VIDEO, 0)
    again, _ = read(out.init(oriented=True) + out.fragment(Packet(track, 0, key, frame)))
    assert again == track


@given(st.binary(max_size=40), st.integers(0, 3))
def test_any_sei_is_a_turn_or_none(data: bytes, place: int) -> None:
    """Also one that is cut off, that is only sizes, or that says that it says nothing."""
    _, plain, config = with_orientation_once()
    sei = b"\x06" + bytes((47, 3))[:place] + data
    unpacked = AccessUnits(config).unpack(len(sei).to_bytes(4, "big") + sei + plain)
    assert unpacked is not None and unpacked[0] is not None
    assert (unpacked[0].rotation, unpacked[0].flip) in EIGHT


def test_what_says_how_h264_is_turned_is_paid_for() -> None:
    """However many units and messages there are."""
    _, plain, config = with_orientation_once()
    messages = b"\x06" + b"\x01\x00" * 2000
    for count, unit in ((4000, b"\x06\x2f\x00"), (20, messages), (40, b"\x06" + b"\xff" * 5000)):
        work = Work()
        AccessUnits(config).unpack((len(unit).to_bytes(4, "big") + unit) * count + plain, work)
        assert MOST - work.left > 9 * count


def traced(codec: str, frame: bytes) -> dict[str, tuple[int, int]]:
    """The fields of a frame's headers, as FFmpeg reads them: where the last one of each name
    begins, in bits from its OBU, and its value.
    """
    logging.set_level(logging.INFO)
    try:
        with logging.Capture(local=True) as lines:
            BitStreamFilterContext("trace_headers", codec).filter(av.Packet(frame))
    finally:
        logging.set_level(None)
    found = (re.match(r"(\d+) +(\w+) .*= (\d+)$", line.strip()) for _, _, line in lines)
    return {match[2]: (int(match[1]), int(match[3])) for match in found if match}


def with_render_size(frame: bytes, at: int, width: int, height: int) -> bytes:
    """The same where render_and_frame_size_different is at this bit: set, and followed by the
    sizes.
    """
    bits = f"{int.from_bytes(frame, 'big'):0{8 * len(frame)}b}"
    assert bits[at] == "0"
    bits = f"{bits[:at]}1{width - 1:016b}{height - 1:016b}{bits[at + 1 :]}"
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def keyframe(codec: Codec) -> bytes:
    if codec is Codec.AV1:
        with av.open(str(RECORDINGS / "chromium-av1.webm"), "r") as container:
            return next(bytes(packet) for packet in container.demux(video=0))
    context = cast(Any, av.CodecContext.create("libvpx-vp9", "w"))
    context.width, context.height, context.pix_fmt, context.time_base = (
        WIDTH,
        HEIGHT,
        "yuv420p",
        Fraction(1, 25),
    )
    context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    first = picture()
    first.pts = 0
    return bytes(context.encode(first)[0])


@pytest.mark.parametrize(
    "aspect", [Fraction(1), Fraction(2), Fraction(4, 3), Fraction(11, 16)], ids=str
)
@pytest.mark.parametrize("codec", [Codec.VP9, Codec.AV1], ids=lambda codec: codec.value)
def test_a_render_size_is_a_shape(codec: Codec, aspect: Fraction) -> None:
    """Where FFmpeg finds it, and with the pixels for which its decoder of AV1 takes them."""
    frame = keyframe(codec)
    at, said = traced(codec.value, frame)["render_and_frame_size_different"]
    assert not said
    unit = 0
    if codec is Codec.AV1:
        # The last OBU; its size, of one or two bytes, grows by four.
        unit = next(
            place
            for place in range(len(frame))
            if frame[place] in (0x32, 0x1A) and sized(frame, place)
        )
    (plain, _, _) = cast(Any, unpacker(codec, b"").unpack(frame, True))
    width, height = round(plain.width * aspect), plain.height
    stretched_frame = with_render_size(frame, 8 * unit + at, width, height)
    if unit:
        stretched_frame = grown(stretched_frame, unit)
    seen = traced(codec.value, stretched_frame)
    assert (seen["render_width_minus_1"][1], seen["render_height_minus_1"][1]) == (
        width - 1,
        height - 1,
    )
    (track, _, key) = cast(Any, unpacker(codec, b"").unpack(stretched_frame, True))
    assert key and (track.width, track.height) == (plain.width, plain.height)
    assert (track.display_width, track.display_height) == stretched(
        plain.width, plain.height, float(aspect)
    )
    # A container's word counts less.
    again = Geometry(pixel_aspect=3.0).applied(track)
    assert (again.display_width == track.display_width) == (aspect != 1)
    decoder = cast(Any, av.CodecContext.create("libdav1d" if unit else "vp9", "r"))
    assert decoder.decode(av.Packet(stretched_frame)) + decoder.decode(None)
    if unit:
        assert abs((decoder.sample_aspect_ratio or 1) / aspect - 1) < Fraction(1, 100)


def sized(frame: bytes, place: int) -> bool:
    """Whether an OBU begins here whose size reaches to the end of the frame."""
    size = frame[place + 1] & 0x7F
    long = frame[place + 1] & 0x80
    if long:
        size |= frame[place + 2] << 7
    return place + (3 if long else 2) + size == len(frame)


def grown(frame: bytes, place: int) -> bytes:
    size = frame[place + 1] & 0x7F | (frame[place + 2] << 7 if frame[place + 1] & 0x80 else 0)
    size += 4
    if frame[place + 1] & 0x80:
        return frame[: place + 1] + bytes((size & 0x7F | 0x80, size >> 7)) + frame[place + 3 :]
    assert size < 0x80
    return frame[: place + 1] + bytes((size,)) + frame[place + 2 :]


def test_another_shape_of_av1_is_another_track() -> None:
    frame = keyframe(Codec.AV1)
    unit = next(
        place for place in range(len(frame)) if frame[place] in (0x32, 0x1A) and sized(frame, place)
    )
    at, _ = traced("av1", frame)["render_and_frame_size_different"]
    wide = grown(with_render_size(frame, 8 * unit + at, 1000, 100), unit)
    units = unpacker(Codec.AV1, b"")
    tracks = [cast(Any, units.unpack(one, True))[0] for one in (frame, frame, wide, wide, frame)]
    assert [track is None for track in tracks] == [False, True, False, True, False]
    assert tracks[0] == tracks[4] != tracks[2]


@given(st.binary(max_size=120), st.integers(0, 2**16))
def test_any_frame_of_av1_has_a_shape_or_the_one_error(data: bytes, flags: int) -> None:
    """With any sequence header."""
    fields = FrameFields(
        bool(flags & 1),
        flags >> 1 & 7,
        flags >> 4 & 7,
        (flags & 0xFFF, 0),
        flags >> 7 & 1,
        2,
        flags >> 8 & 7,
        flags >> 9 & 7,
        (8, 8),
        (64, 48),
        True,
    )
    for header in (b"", b"\x32" + bytes((len(data),)), b"\x34\x28"):
        with contextlib.suppress(MediaError):
            assert 0 < pixel_aspect(header + data, fields) < math.inf


@pytest.mark.parametrize(
    ("across", "down", "aspect"),
    [(0, 0, 1), (2, 0, 5 / 3), (0, 3, 1 / 2), (1, 1, 1), (3, 1, 8 / 5)],
)
def test_vp8_says_how_it_is_to_be_stretched(across: int, down: int, aspect: float) -> None:
    """RFC 6386 section 9.1: by 5/4, 5/3 or 2."""
    frame = bytearray(next(packet.data for packet in read(recorded(Codec.VP8, "matroska"))[1]))
    frame[7] |= across << 6
    frame[9] |= down << 6
    (track, _, _) = cast(Any, unpacker(Codec.VP8, b"").unpack(bytes(frame), True))
    assert (track.width, track.height) == (WIDTH, HEIGHT)
    assert (track.display_width, track.display_height) == stretched(WIDTH, HEIGHT, aspect)


@pytest.mark.parametrize(
    "aspect", [Fraction(2, 1), Fraction(16, 11), Fraction(8, 9), Fraction(17, 21)], ids=str
)
def test_pixels_that_are_not_square(aspect: Fraction) -> None:
    """In the stream (H.264), in a matroska's display size, and in a pasp: whatever says it, the
    other two say it then.
    """
    size = stretched(WIDTH, HEIGHT, float(aspect))
    assert size in ((round(WIDTH * aspect), HEIGHT), (WIDTH, round(HEIGHT / aspect)))
    assert size[0] >= WIDTH and size[1] >= HEIGHT, "nothing is lost"
    in_stream, packets = read(recorded(Codec.H264, "mp4", aspect=aspect))
    assert (in_stream.display_width, in_stream.display_height) == size
    vp8, others = read(recorded(Codec.VP8, "matroska"))
    assert vp8.display_width == 0
    stretched_vp8 = Geometry(90, False, float(aspect)).applied(vp8)
    for track, frames in ((in_stream, packets), (stretched_vp8, others)):
        out = writer(track, VIDEO, 0)
        data = out.init() + b"".join(map(out.fragment, frames))
        _, said = decoded(data)
        assert said is not None and abs(said / aspect - 1) < Fraction(1, 40), (
            "sizes are whole numbers"
        )
        again, _ = read(data)
        assert (again.display_width, again.display_height) == size


def boxed(
    entry: tuple[int, int],
    tkhd: tuple[int, int],
    pasp: tuple[int, int] | None,
    matrix: tuple[int, int, int, int],
    movie: int,
) -> bytes:
    """An MP4 of libavformat's with other sizes and matrices in its header."""
    data = bytearray(recorded(Codec.H264, "mp4", aspect=Fraction(1)))
    a, b, c, d = (value << 16 for value in matrix)
    at = data.find(b"tkhd") + 4 + 40
    struct.pack_into(
        ">9i2I", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30, tkhd[0] << 16, tkhd[1] << 16
    )
    a, b, c, d = (value << 16 for value in geometry.matrix(movie, False))
    struct.pack_into(">9i", data, data.find(b"mvhd") + 4 + 36, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    struct.pack_into(">HH", data, data.find(b"avc1", data.find(b"stsd")) + 4 + 24, *entry)
    box = data.find(b"pasp")
    if pasp is None:
        data[box : box + 4] = b"free"
    else:
        struct.pack_into(">II", data, box + 4, *pasp)
    return bytes(data)


def cropped(data: bytes, clap: bytes) -> bytes:
    """An MP4 with a clap (ISO/IEC 14496-12 12.1.4.1) at the end of its first sample entry."""
    box = struct.pack(">I4s", 8 + len(clap), b"clap") + clap
    entry = data.find(b"avc1", data.find(b"stsd")) - 4
    end = entry + int.from_bytes(data[entry : entry + 4], "big")
    found = bytearray(data)
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        at = entry if kind == b"avc1" else data.find(kind) - 4
        struct.pack_into(">I", found, at, int.from_bytes(data[at : at + 4], "big") + len(box))
    return bytes(found[:end] + box + found[end:])


@pytest.mark.parametrize(
    ("tkhd", "pasp", "matrix", "clap", "expected"),
    [
        ((48, 48), None, (1, 0, 0, 1), (48, 1, 48, 1), (0, 0)),  # cropped, not squeezed
        ((48, 48), None, (1, 0, 0, 1), (96, 2, 480, 10), (0, 0)),
        ((96, 48), None, (1, 0, 0, 1), (48, 1, 48, 1), (128, 48)),  # both
        ((48, 40), None, (0, 1, -1, 0), (48, 1, 40, 1), (0, 0)),
        ((40, 48), None, (0, 1, -1, 0), (48, 1, 40, 1), (0, 0)),  # the size after the turn
        (
            (48, 48),
            (4, 3),
            (1, 0, 0, 1),
            (48, 1, 48, 1),
            (85, 48),
        ),  # the box that is for it counts more
        ((32, 48), None, (1, 0, 0, 1), (0, 1, 48, 1), (64, 96)),  # these say nothing
        ((32, 48), None, (1, 0, 0, 1), (48, 0, 48, 1), (64, 96)),
        ((32, 48), None, (1, 0, 0, 1), (48, 1, 49, 1), (64, 96)),
        ((32, 48), None, (1, 0, 0, 1), (), (64, 96)),
    ],
)
def test_what_is_cropped_is_not_squeezed(
    tkhd: tuple[int, int],
    pasp: tuple[int, int] | None,
    matrix: tuple[int, int, int, int],
    clap: tuple[int, ...],
    expected: tuple[int, int],
) -> None:
    data = cropped(
        boxed((64, 48), tkhd, pasp, matrix, 0),
        struct.pack(f">{len(clap)}I", *clap) + (bytes(16) if clap else b""),
    )
    track, packets = read(data)
    assert packets
    assert (track.display_width, track.display_height) == expected


@pytest.mark.parametrize(
    ("entry", "tkhd", "pasp", "matrix", "movie", "expected"),
    [
        ((64, 48), (64, 48), (4, 3), (1, 0, 0, 1), 0, (0, 85, 48)),  # the box that is for it
        (
            (64, 48),
            (96, 48),
            None,
            (1, 0, 0, 1),
            0,
            (0, 96, 48),
        ),  # the size to which pictures are scaled
        ((64, 48), (96, 48), (1, 1), (1, 0, 0, 1), 0, (0, 0, 0)),  # the box counts more
        ((64, 48), (48, 64), None, (0, 1, -1, 0), 0, (90, 0, 0)),  # it is the size after the turn
        ((64, 48), (0, 0), None, (0, 1, -1, 0), 0, (90, 0, 0)),  # and here it is not known
        ((64, 98), (64, 97), None, (1, 0, 0, 1), 0, (0, 0, 0)),  # cropped
        ((64, 48), (64, 48), None, (2, 0, 0, 1), 0, (0, 128, 48)),  # the matrix stretches
        ((64, 48), (64, 48), None, (0, 1, -1, 0), 90, (180, 0, 0)),  # the movie turns, too
        ((64, 48), (64, 48), None, (0, 0, 0, 0), 0, (0, 0, 0)),  # a matrix that shows nothing
        ((64, 48), (64, 48), (1, 60), (1, 0, 0, 1), 0, (0, 0, 0)),  # pixels that cannot be
        ((64, 48), (64, 48), (0, 0), (1, 0, 0, 1), 0, (0, 0, 0)),
    ],
)
def test_what_counts_in_an_mp4(
    entry: tuple[int, int],
    tkhd: tuple[int, int],
    pasp: tuple[int, int] | None,
    matrix: tuple[int, int, int, int],
    movie: int,
    expected: tuple[int, int, int],
) -> None:
    track, _ = read(boxed(entry, tkhd, pasp, matrix, movie))
    assert (track.rotation, track.display_width, track.display_height) == expected


def test_a_track_that_is_shown_otherwise_is_another_track() -> None:
    """A phone that was turned is announced; sizes that pictures tell themselves are not."""
    track = Track(Codec.VP8, "vp8", width=320, height=240)
    assert Geometry().applied(track) is track
    assert Geometry(90).applied(track) != track
    assert Geometry(0, True).applied(track) != track
    wide = Geometry(pixel_aspect=2.0)
    assert wide.applied(track) != wide.applied(Track(Codec.VP8, "vp8", width=640, height=480))


@given(st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 4))
def test_any_matrix_is_one_of_eight_turns(matrix: tuple[int, int, int, int]) -> None:
    found = geometry.of_matrix(*matrix)
    assert (found.rotation, found.flip) in EIGHT
    assert 0 < found.pixel_aspect < math.inf


@given(st.tuples(*[st.floats()] * 3))
def test_any_angles_are_one_of_eight_turns(angles: tuple[float, float, float]) -> None:
    found = geometry.of_angles(*angles)
    assert (found.rotation, found.flip) in EIGHT


@given(st.integers(0, 2**15), st.integers(0, 2**15), st.floats(allow_nan=False))
def test_any_stretch_is_a_size(width: int, height: int, aspect: float) -> None:
    size = stretched(width, height, aspect)
    assert size == (0, 0) or (
        width <= size[0] <= width * geometry.MAX_STRETCH
        and height <= size[1] <= height * geometry.MAX_STRETCH
    )


@given(st.data())
def test_broken_geometry_is_media_or_the_one_error(data: st.DataObject) -> None:
    """A byte of the header is another one."""
    form, reader = data.draw(st.sampled_from([("mp4", Mp4Reader), ("matroska", WebmReader)]))
    whole = bytearray(HEADS[form])
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        events = cast(Any, reader)().feed(bytes(whole))
    except MediaError:
        return
    for event in events:
        if isinstance(event, Track):
            assert (event.rotation, event.flip) in EIGHT


@functools.cache
def with_orientation_once() -> tuple[bytes, bytes, bytes]:
    return with_orientation("rotate=90")


HEADS = {
    form: recorded(codec, form, 1, matrix=(0, 1, 1, 0))
    for form, codec in (("mp4", Codec.H264), ("matroska", Codec.VP8))
}
