"""How pictures are turned and stretched: what containers say, written and read back, by the relay and by FFmpeg's libraries."""

from __future__ import annotations

import io
import itertools
import math
import struct
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from drawercam.media import geometry
from drawercam.media.containers import StreamReader, writer
from drawercam.media.geometry import Geometry, stretched
from drawercam.media.mp4 import Mp4Reader
from drawercam.media.muxed import VIDEO, Muxed
from drawercam.media.packets import Codec, MediaError, Packet, Track
from drawercam.media.upright import Upright, turn_of
from drawercam.media.webm import WebmReader

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
    near = [[gray[high * (1 + 2 * row) // 4, wide * (1 + 2 * column) // 4] for column in (0, 1)] for row in (0, 1)]
    return [[int(min(FIELDS.flat, key=lambda one: abs(int(one) - int(value)))) for value in row] for row in near]


def moved(data: bytes) -> list[list[int]]:
    """Where a display matrix puts the fields: computed for itself, by the formula of ISO/IEC 14496-12 6.2.2."""
    a, b, _, c, d, *_ = struct.unpack("=9i", data)
    found = [[0, 0], [0, 0]]
    for (row, column), value in np.ndenumerate(FIELDS):
        x, y = 2 * column - 1, 2 * row - 1
        found[a * x * 0 + b * x + d * y > 0][a * x + c * y > 0] = int(value)
    return found


def recorded(
    codec: Codec, form: str, count: int = 2, matrix: tuple[int, int, int, int] | None = None, aspect: Fraction | None = None
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
    assert geometry.of_angles(yaw + 180, 180, roll + 180) == said, "from behind and head down is half a turn"
    seen = Upright().turned(picture(), rotation, flip)
    assert fields_of(seen) == shown(FIELDS, rotation, flip)
    assert (seen.width, seen.height) == geometry.turned(WIDTH, HEIGHT, rotation)


@pytest.mark.parametrize(("rotation", "flip"), EIGHT)
@pytest.mark.parametrize(("codec", "form"), [(Codec.H264, "mp4"), (Codec.VP8, "matroska")])
def test_ffmpegs_files_and_ours_are_turned_alike(codec: Codec, form: str, rotation: int, flip: bool) -> None:
    """Read from a file of libavformat's, written for the relay (film), and as a file for programs: which are asked where they put the
    picture. What a player gets says nothing of it."""
    data = recorded(codec, form, matrix=geometry.matrix(rotation, flip))
    track, packets = read(data)
    assert (track.rotation, track.flip) == (rotation, flip)
    out = writer(track, VIDEO, 0)
    frames = [out.fragment(packet) for packet in packets]
    file = Muxed(out.init(), rotation=rotation, flip=flip)
    for ours in (out.init(oriented=True) + b"".join(frames), b"".join(file.add(VIDEO, frame) for frame in frames)):
        again, _ = read(ours)
        assert again == track
        matrix = side_data(decoded(ours)[0])
        assert (matrix is None) == ((rotation, flip) == (0, False))
        if matrix is not None:
            assert moved(matrix) == shown(FIELDS, rotation, flip)
    assert side_data(decoded(out.init() + b"".join(frames))[0]) is None


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photograph_says_it_too(orientation: int) -> None:
    """Exif's orientations, which FFmpeg's libraries make a matrix of; compared with another library that turns pictures. PyAV does not
    let us see those that are mirrored."""
    lying = Image.fromarray(picture().to_ndarray(format="rgb24"))
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg = io.BytesIO()
    lying.save(jpeg, "JPEG", exif=exif)
    (frame,) = av.CodecContext.create("mjpeg", "r").decode(av.Packet(jpeg.getvalue()))
    seen = Upright().seen(frame, turn_of(frame))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(jpeg)).convert("L"))
    assert (seen.height, seen.width) == expected.shape
    assert fields_of(seen) == fields_of(VideoFrame.from_ndarray(np.ascontiguousarray(expected), "gray"))


@pytest.mark.parametrize("aspect", [Fraction(2, 1), Fraction(16, 11), Fraction(8, 9), Fraction(17, 21)], ids=str)
def test_pixels_that_are_not_square(aspect: Fraction) -> None:
    """In the stream (H.264), in a matroska's display size, and in a pasp: whatever says it, the other two say it then."""
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
        assert said is not None and abs(said / aspect - 1) < Fraction(1, 40), "sizes are whole numbers"
        again, _ = read(data)
        assert (again.display_width, again.display_height) == size


def boxed(
    entry: tuple[int, int], tkhd: tuple[int, int], pasp: tuple[int, int] | None, matrix: tuple[int, int, int, int], movie: int
) -> bytes:
    """An MP4 of libavformat's with other sizes and matrices in its header."""
    data = bytearray(recorded(Codec.H264, "mp4", aspect=Fraction(1)))
    a, b, c, d = (value << 16 for value in matrix)
    at = data.find(b"tkhd") + 4 + 40
    struct.pack_into(">9i2I", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30, tkhd[0] << 16, tkhd[1] << 16)
    a, b, c, d = (value << 16 for value in geometry.matrix(movie, False))
    struct.pack_into(">9i", data, data.find(b"mvhd") + 4 + 36, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    struct.pack_into(">HH", data, data.find(b"avc1", data.find(b"stsd")) + 4 + 24, *entry)
    box = data.find(b"pasp")
    if pasp is None:
        data[box : box + 4] = b"free"
    else:
        struct.pack_into(">II", data, box + 4, *pasp)
    return bytes(data)


@pytest.mark.parametrize(
    ("entry", "tkhd", "pasp", "matrix", "movie", "expected"),
    [
        ((64, 48), (64, 48), (4, 3), (1, 0, 0, 1), 0, (0, 85, 48)),  # the box that is for it
        ((64, 48), (96, 48), None, (1, 0, 0, 1), 0, (0, 96, 48)),  # the size to which pictures are scaled
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
    assert size == (0, 0) or (width <= size[0] <= width * geometry.MAX_STRETCH and height <= size[1] <= height * geometry.MAX_STRETCH)


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


HEADS = {form: recorded(codec, form, 1, matrix=(0, 1, 1, 0)) for form, codec in (("mp4", Codec.H264), ("matroska", Codec.VP8))}
