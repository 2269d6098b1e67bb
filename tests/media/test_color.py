"""What streams and containers say of colours: read, merged, written, and read again by FFmpeg's
libraries.
"""

from __future__ import annotations

import contextlib
import io
import struct
from fractions import Fraction

import av
import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from drawercam.media.codecs import h264, h264_sets
from drawercam.media.codecs.unpack import unpacker
from drawercam.media.color import UNSPECIFIED, ColorSpace, completed, from_codes, merged
from drawercam.media.containers import boxes, ebml
from drawercam.media.containers.detect import writer
from drawercam.media.containers.live_file import Muxed
from drawercam.media.containers.matroska import Id
from drawercam.media.containers.mp4 import Mp4Reader
from drawercam.media.containers.mp4_writer import Mp4Writer
from drawercam.media.containers.webm import WebmReader
from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Codec, MediaError, Packet, Track
from tests.media.codecs.test_h264 import pack, without_vui
from tests.media.samples import read

WIDTH, HEIGHT, RATE = 320, 240, 30

# What pictures may say: primaries, transfer and matrix (ISO/IEC 23091-2), and AVColorRange.
SAID = {
    "webcam": (1, 1, 6, 2),
    "studio of HD": (1, 1, 1, 1),
    "studio of SD": (6, 6, 6, 1),
    "HD in full range": (1, 13, 1, 2),
    "HDR": (9, 16, 9, 1),
}
COLORS = st.builds(
    ColorSpace,
    st.sampled_from([None, "bt709", "bt470bg", "smpte170m", "bt2020", "smpte432"]),
    st.sampled_from([None, "bt709", "smpte170m", "linear", "iec61966-2-1", "pq", "hlg"]),
    st.sampled_from([None, "rgb", "bt709", "bt470bg", "smpte170m", "bt2020-ncl"]),
    st.sampled_from([None, False, True]),
)


def color(said: tuple[int, int, int, int]) -> ColorSpace:
    found = from_codes(*said[:3], {1: False, 2: True}[said[3]])
    assert found is not None
    return found


def encoded(
    encoder: str, said: tuple[int, int, int, int] | None = None, **options: str
) -> tuple[bytes, bytes]:
    """A keyframe whose encoder was told of its colours, and the configuration."""
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.time_base, context.options = Fraction(1, RATE), options
    if said is not None:
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = said
    picture = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    for plane in picture.planes:
        plane.update(bytes([128]) * plane.buffer_size)
    if said is not None:
        picture.color_primaries, picture.color_trc, picture.colorspace, picture.color_range = said
    picture.pts = 0
    return bytes([*context.encode(picture), *context.encode(None)][0]), bytes(
        context.extradata or b""
    )


def unpacked(
    codec: Codec, frame: bytes, said: ColorSpace | None = None, config: bytes = b""
) -> tuple[Track, bytes]:
    """The track that a frame begins, in a container that says this."""
    found = unpacker(codec, config, color=said).unpack(frame, True)
    assert found is not None and found[0] is not None
    return found[0], found[1]


H264 = {"preset": "ultrafast", "tune": "zerolatency"}
VP9 = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}


# --- words and numbers ---


@given(COLORS)
def test_words_become_numbers_and_words_again(one: ColorSpace) -> None:
    again = from_codes(*one.codes(), one.full_range)
    assert (again or ColorSpace()) == one
    assert ColorSpace.of(one.as_json()) == one


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_any_numbers_are_read(primaries: int, transfer: int, matrix: int) -> None:
    """What has no word is not said; BT.2020's curve is another name for that of BT.709."""
    found = from_codes(primaries, transfer, matrix) or ColorSpace()
    allowed: list[tuple[int, ...]] = [(code, UNSPECIFIED) for code in (primaries, transfer, matrix)]
    allowed[0] += (6,) if primaries == 7 else ()
    allowed[1] += (1,) if transfer in (14, 15) else ()
    assert all(code in codes for code, codes in zip(found.codes(), allowed, strict=True))


@given(COLORS, COLORS)
def test_the_first_word_counts_and_the_second_where_there_is_none(
    one: ColorSpace, other: ColorSpace
) -> None:
    both = merged(one, other)
    assert both is not None
    for name in ("primaries", "transfer", "matrix", "full_range"):
        first = getattr(one, name)
        assert getattr(both, name) == (getattr(other, name) if first is None else first)
    assert merged(None, one) == merged(one, None) == one


@given(COLORS, st.integers(0, 4096), st.integers(0, 4096))
def test_what_is_completed_says_all_and_keeps_what_was_said(
    one: ColorSpace, width: int, height: int
) -> None:
    whole = completed(one, width, height)
    assert None not in (whole.primaries, whole.transfer, whole.matrix, whole.full_range)
    assert merged(one, whole) == whole == completed(one, height, width)


def test_what_says_nothing_is_as_usual_for_its_size() -> None:
    assert completed(None, 640, 480) == ColorSpace("bt709", "bt709", "smpte170m", False)
    assert completed(None, 720, 1280) == ColorSpace("bt709", "bt709", "bt709", False)


# --- streams ---


@pytest.mark.parametrize("said", SAID.values(), ids=list(SAID))
def test_h264_says_it_in_its_parameter_sets(said: tuple[int, int, int, int]) -> None:
    track, _ = unpacked(Codec.H264, encoded("libx264", said, **H264)[0])
    assert track.color == color(said)


def test_h264_may_say_its_range_alone_or_nothing() -> None:
    assert unpacked(Codec.H264, encoded("libx264", (2, 2, 2, 2), **H264)[0])[0].color == ColorSpace(
        full_range=True
    )
    assert unpacked(Codec.H264, encoded("libx264", None, **H264)[0])[0].color is None


def test_zeros_that_would_be_rgb_are_no_knowledge() -> None:
    """Some cameras write them; 4:2:0 cannot be RGB."""
    frame, _ = encoded("libx264", None, **H264)
    sps = next(unit for unit in h264.split_annexb(frame) if unit[0] & 31 == 7)
    signal = "1" + "101" + "0" + "1" + "0" * 24  # video_format, limited range, a description
    zeros = pack(without_vui(sps) + "1" + "00" + signal + "000000" + "1")
    track, _ = unpacked(Codec.H264, frame.replace(sps, zeros))
    assert track.color == ColorSpace(full_range=False)


@pytest.mark.parametrize(
    ("matrix", "word"), [(1, "bt709"), (5, "bt470bg"), (6, "smpte170m"), (9, "bt2020-ncl")]
)
@pytest.mark.parametrize("spread", [1, 2])
def test_vp9_says_it_in_its_keyframes(matrix: int, word: str, spread: int) -> None:
    track, _ = unpacked(Codec.VP9, encoded("libvpx-vp9", (1, 1, matrix, spread), **VP9)[0])
    assert track.color == ColorSpace(matrix=word, full_range=spread == 2)


@pytest.mark.parametrize("said", SAID.values(), ids=list(SAID))
def test_av1_says_it_in_its_sequence_header(said: tuple[int, int, int, int]) -> None:
    options = {"preset": "12", "svtav1-params": "pred-struct=1"}
    track, _ = unpacked(Codec.AV1, encoded("libsvtav1", said, **options)[0])
    assert track.color == color(said)


def test_vp8_has_one_way_and_its_container_may_know_better() -> None:
    frame, _ = encoded("libvpx", deadline="realtime")
    assert unpacked(Codec.VP8, frame)[0].color == ColorSpace(matrix="smpte170m", full_range=False)
    said = ColorSpace("bt709", "iec61966-2-1", "bt709", True)
    assert unpacked(Codec.VP8, frame, said)[0].color == said
    assert unpacked(Codec.VP8, frame, ColorSpace(full_range=True))[0].color == ColorSpace(
        matrix="smpte170m", full_range=True
    )


@pytest.mark.parametrize(
    ("codec", "encoder", "options"), [(Codec.H264, "libx264", H264), (Codec.VP9, "libvpx-vp9", VP9)]
)
def test_the_container_counts_more_than_the_stream(
    codec: Codec, encoder: str, options: dict[str, str]
) -> None:
    frame, _ = encoded(encoder, (1, 1, 1, 1), **options)
    track, _ = unpacked(codec, frame, ColorSpace(matrix="smpte170m", full_range=True))
    assert track.color is not None and (track.color.matrix, track.color.full_range) == (
        "smpte170m",
        True,
    )


# --- containers ---


def by_ffmpeg(data: bytes) -> tuple[int, int, int, int]:
    """What FFmpeg's libraries read in a file's header."""
    with av.open(io.BytesIO(data), "r") as container:
        context = container.streams.video[0].codec_context
        return context.color_primaries, context.color_trc, context.colorspace, context.color_range


@pytest.mark.parametrize("said", SAID.values(), ids=list(SAID))
@pytest.mark.parametrize(
    ("codec", "encoder", "options"),
    [(Codec.H264, "libx264", H264), (Codec.VP8, "libvpx", {"deadline": "realtime"})],
)
def test_what_is_written_is_read_again_and_by_ffmpeg(
    codec: Codec, encoder: str, options: dict[str, str], said: tuple[int, int, int, int]
) -> None:
    """The frame does not say it, so that it is the container's word."""
    track, frame = unpacked(codec, encoded(encoder, None, **options)[0], color(said))
    assert track.color == color(said)
    out = writer(track, 1, 0)
    packet = Packet(track, 1_000_000, True, frame, 33_000)
    written = out.init() + out.fragment(packet)
    assert [event for event in read([written]) if isinstance(event, Track)] == [track]
    assert by_ffmpeg(written) == said
    file = Muxed(out.init())
    assert by_ffmpeg(bytes(file.add(1, out.fragment(packet)))) == said, "files for programs, too"


def test_vp9_in_mp4_says_it_in_its_own_box_too() -> None:
    said = color((9, 16, 9, 2))
    init = Mp4Writer(
        Track(Codec.VP9, "vp09.00.10.08", width=WIDTH, height=HEIGHT, color=said), 1
    ).init()
    entry = init[init.index(b"vpcC") + 4 :]
    assert (entry[6], *entry[7:10]) == (8 << 4 | 1 << 1 | 1, 9, 16, 9)
    assert init[init.index(b"colr") + 4 :][:11] == b"nclx" + struct.pack(">3HB", 9, 16, 9, 0x80)


@pytest.mark.parametrize(
    ("format_", "options"),
    [("mp4", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}), ("matroska", {})],
)
@pytest.mark.parametrize("said", SAID.values(), ids=list(SAID))
def test_what_ffmpeg_writes_is_read(
    format_: str, options: dict[str, str], said: tuple[int, int, int, int]
) -> None:
    """Its header says it, and the H.264 in it does not."""
    target = io.BytesIO()
    with av.open(target, "w", format=format_, options=options) as container:
        stream = container.add_stream("libx264", rate=RATE, options=H264)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.mux(stream.encode(VideoFrame(WIDTH, HEIGHT, "yuv420p")))
        container.mux(stream.encode(None))
    data = target.getvalue()
    known = next(event for event in read([data]) if isinstance(event, Track))
    assert known.color is None
    told = with_colours(data, format_, said)
    assert [event.color for event in read([told]) if isinstance(event, Track)] == [color(said)]


def with_colours(data: bytes, format_: str, said: tuple[int, int, int, int]) -> bytes:
    """The same file, whose header FFmpeg has written anew with colours."""
    target = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source:
        options = (
            {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if format_ == "mp4" else {}
        )
        with av.open(target, "w", format=format_, options=options) as container:
            stream = container.add_stream_from_template(source.streams.video[0])
            context = stream.codec_context
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = (
                said
            )
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    container.mux(packet)
    return target.getvalue()


def sample_entry(*more: bytes) -> bytes:
    """An init segment of VP8 with boxes in its sample entry."""
    init = Mp4Writer(Track(Codec.VP8, "vp8", width=WIDTH, height=HEIGHT), 1).init()
    moov = boxes.need(memoryview(init), b"moov")
    trak = boxes.need(moov, b"trak")
    stsd = bytes(boxes.need(trak, b"mdia", b"minf", b"stbl", b"stsd"))
    entry = stsd[16:] + b"".join(more)

    def rebuilt(data: memoryview, *path: bytes) -> bytes:
        parts = []
        for kind, payload in boxes.children(data):
            if not path or kind != path[0]:
                parts.append(boxes.box(kind, bytes(payload)))
            elif len(path) > 1:
                parts.append(boxes.box(kind, rebuilt(payload, *path[1:])))
            else:
                parts.append(boxes.box(kind, stsd[:8] + boxes.box(b"vp08", entry)))
        return b"".join(parts)

    return rebuilt(memoryview(init), b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def read_entry(*more: bytes) -> ColorSpace | None:
    """What is read of the colours of such a track."""
    frame, _ = encoded("libvpx", deadline="realtime")
    track = Track(Codec.VP8, "vp8")
    events = Mp4Reader().feed(
        sample_entry(*more) + Mp4Writer(track, 1).fragment(Packet(track, 0, True, frame))
    )
    return next(event.color for event in events if isinstance(event, Track))


def test_of_several_colr_boxes_profiles_are_passed_over() -> None:
    profile = boxes.box(b"colr", b"prof" + bytes(40))
    assert read_entry(
        profile, boxes.box(b"colr", b"nclx" + struct.pack(">3HB", 1, 13, 1, 0x80))
    ) == color((1, 13, 1, 2))
    old = boxes.box(b"colr", b"nclc" + struct.pack(">3H", 1, 1, 1))
    assert read_entry(old) == ColorSpace("bt709", "bt709", "bt709", False), (
        "QuickTime's form leaves the range to the stream"
    )
    assert read_entry(old, bytes(4)) == read_entry(old), "zeros at the end of QuickTime's entries"
    assert (
        read_entry(boxes.box(b"colr", b"nclx\0"))
        == read_entry()
        == ColorSpace(matrix="smpte170m", full_range=False)
    )


@given(st.binary(max_size=40))
def test_any_bytes_in_a_sample_entry_are_read_or_passed_over(data: bytes) -> None:
    for more in (data, boxes.box(b"colr", data), boxes.box(b"colr", b"nclx" + data)):
        with contextlib.suppress(MediaError):
            Mp4Reader().feed(sample_entry(more))


@given(st.binary(max_size=40), COLORS)
def test_any_bytes_in_a_colour_element_are_read_or_refused(data: bytes, one: ColorSpace) -> None:
    init = WebmWriter(Track(Codec.VP8, "vp8", width=WIDTH, height=HEIGHT, color=one), 1, 0).init()
    head = init[: init.index(Id.TRACKS.to_bytes(4, "big"))]
    for inner in (data, ebml.element(Id.MATRIX_COEFFICIENTS, data), ebml.element(Id.RANGE, data)):
        video = ebml.element(Id.VIDEO, ebml.element(Id.COLOUR, inner))
        entry = ebml.element(Id.TRACK_NUMBER, b"\1") + ebml.element(Id.CODEC_ID, b"V_VP8") + video
        with contextlib.suppress(MediaError):
            WebmReader().feed(head + ebml.element(Id.TRACKS, ebml.element(Id.TRACK_ENTRY, entry)))


@given(st.binary(max_size=30))
def test_any_vui_is_read_or_passed_over(data: bytes) -> None:
    frame, _ = encoded_once()
    sps = next(unit for unit in h264.split_annexb(frame) if unit[0] & 31 == 7)
    with contextlib.suppress(MediaError):
        assert h264_sets.picture_size(sps[:-4] + data)


def encoded_once(found: list[tuple[bytes, bytes]] = []) -> tuple[bytes, bytes]:  # noqa: B006 - made once for all examples
    if not found:
        found.append(encoded("libx264", (1, 1, 1, 1), **H264))
    return found[0]
