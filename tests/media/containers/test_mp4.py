"""drawercam.media.containers.mp4: recordings of browsers, libavformat's fragmented MP4 in all its
variants, hand-made boxes, bad bytes.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import math
import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drawercam.media.codecs.h264 import split_lengths
from drawercam.media.color import completed
from drawercam.media.containers import boxes
from drawercam.media.containers.boxes import MAX_ENDLESS
from drawercam.media.containers.detect import StreamReader
from drawercam.media.containers.mp4 import MAX_HEADER, Mp4Reader
from drawercam.media.containers.mp4_fragments import MAX_BOX, MAX_SAMPLES
from drawercam.media.containers.mp4_writer import DEFAULT_DURATION, Mp4Writer
from drawercam.media.packets import (
    MAX_PASSED_OVER,
    Codec,
    Kind,
    MediaError,
    MediaLimitError,
    Packet,
    Track,
)
from tests.media.samples import Recording, cut, recordings

RECORDINGS = [one for one in recordings() if one.name.endswith(".mp4")]
assert RECORDINGS

LIVE = "frag_keyframe+empty_moov+default_base_moof"
ENCODERS = {
    "h264": "libx264",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "aac": "aac",
    "opus": "libopus",
}


@functools.cache
def record(
    video: str = "h264",
    audio: str = "",
    movflags: str = LIVE,
    b_frames: int = 0,
    seconds: float = 1.0,
    more: str = "",
) -> bytes:
    """A recording by libavformat: 160x96 at 20 pictures a second, a keyframe every 5, with or
    without sound.
    """
    target = io.BytesIO()
    options = dict(
        pair.split("=")
        for pair in (f"movflags={movflags}" if movflags else "", *more.split())
        if pair
    )
    with av.open(target, "w", format="mp4", options=options) as container:
        streams: list[Any] = []
        if video:
            stream: Any = container.add_stream(ENCODERS[video], rate=20)
            stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
            stream.codec_context.gop_size = 5
            stream.codec_context.options = {
                "h264": {
                    "preset": "veryfast",
                    "x264-params": f"scenecut=0:threads=1:bframes={b_frames}:b-adapt=0",
                },
                "vp9": {"deadline": "realtime", "lag-in-frames": "0"},
                "av1": {"preset": "12", "svtav1-params": "pred-struct=1:lp=1"},
            }[video]
            streams.append(stream)
        if audio:
            stream = container.add_stream(ENCODERS[audio], rate=48000)
            stream.layout = "stereo"
            streams.append(stream)
        for tick in range(int(seconds * 20)):
            for stream in streams:
                if stream.type == "video":
                    picture = np.full((96, 160, 3), tick * 9 % 256, np.uint8)
                    frame: Any = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                        format="yuv420p"
                    )
                    frame.pts, frame.time_base = tick, Fraction(1, 20)
                else:
                    form = stream.codec_context.format
                    tone = np.sin(np.arange(tick * 2400, (tick + 1) * 2400) * 0.05) * 0.3
                    sound = np.stack([tone, tone])
                    data = (
                        sound.astype(np.float32)
                        if form.is_planar
                        else (sound.T.reshape(1, -1) * 32767).astype(np.int16)
                    )
                    if not form.is_planar and form.name == "flt":
                        data = sound.T.reshape(1, -1).astype(np.float32)
                    frame = av.AudioFrame.from_ndarray(data, format=form.name, layout="stereo")
                    frame.pts, frame.sample_rate, frame.time_base = (
                        tick * 2400,
                        48000,
                        Fraction(1, 48000),
                    )
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return target.getvalue()


def read(*pieces: bytes) -> list[Track | Packet]:
    reader = Mp4Reader()
    return [event for piece in pieces for event in reader.feed(piece)]


def packets(events: list[Track | Packet], kind: Kind | None = None) -> list[Packet]:
    return [
        event for event in events if isinstance(event, Packet) and kind in (None, event.track.kind)
    ]


def tracks(events: list[Track | Packet]) -> list[Track]:
    return [event for event in events if isinstance(event, Track)]


def demux(data: bytes, kind: str) -> list[Any]:
    """Packets of the first stream of a kind, as libavformat sees them."""
    container: Any
    with av.open(io.BytesIO(data)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        return [packet for packet in container.demux(stream) if packet.size]


def microseconds(packet: Any, ticks: int) -> int:
    return math.floor(Fraction(ticks * packet.time_base * 1_000_000) + Fraction(1, 2))


def later(packet: Packet, by: int) -> Packet:
    return dataclasses.replace(packet, timestamp=packet.timestamp + by)


def decode(data: bytes, kind: str = "video") -> list[bytes]:
    container: Any
    with av.open(io.BytesIO(data)) as container:
        stream = next(stream for stream in container.streams if stream.type == kind)
        stream.thread_count = 1
        return [frame.to_ndarray().tobytes() for frame in container.decode(stream)]


def agrees(data: bytes, kind: Kind) -> None:
    """Our packets of a kind are libavformat's."""
    ours, theirs = packets(read(data), kind), demux(data, str(kind))
    assert ours
    assert [packet.timestamp for packet in ours] == [
        microseconds(packet, packet.pts) for packet in theirs
    ]
    assert [packet.timestamp - packet.decode_offset for packet in ours] == [
        microseconds(packet, packet.dts) for packet in theirs
    ]
    assert [packet.key for packet in ours] == [packet.is_keyframe for packet in theirs]
    if ours[0].track.codec is not Codec.H264:
        assert [packet.data for packet in ours] == [bytes(packet) for packet in theirs]


# Real recordings


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_recordings_of_browsers(recording: Recording) -> None:
    events = read(recording.data)
    for kind in {track.kind for track in tracks(events)}:
        agrees(recording.data, kind)


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_recordings_byte_by_byte(recording: Recording) -> None:
    whole = read(recording.data)
    assert (
        read(*(recording.data[index : index + 1] for index in range(len(recording.data)))) == whole
    )


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_recordings_play_when_written_again(recording: Recording) -> None:
    events = read(recording.data)
    for track in tracks(events):
        # A minute later: a recorder may begin with a decode time before 0, which MP4 cannot say.
        kept = [later(packet, 60_000_000) for packet in packets(events) if packet.track is track]
        writer = Mp4Writer(track, 1)
        written = writer.init() + b"".join(map(writer.fragment, kept))
        assert packets(read(written)) == kept
        original = decode(recording.data, str(track.kind))
        # An edit list may have cut off what the encoder needed to warm up.
        assert decode(written, str(track.kind))[-len(original) :] == original


# libavformat's variants


@pytest.mark.parametrize("video", ["h264", "vp9", "av1"])
def test_video(video: str) -> None:
    data = record(video)
    agrees(data, Kind.VIDEO)
    (track,) = tracks(read(data))
    assert (track.codec, track.width, track.height) == (Codec(video), 160, 96)


@pytest.mark.parametrize("audio", ["aac", "opus"])
def test_audio(audio: str) -> None:
    data = record("", audio)
    agrees(data, Kind.AUDIO)
    (track,) = tracks(read(data))
    assert (track.codec, track.sample_rate, track.channels) == (Codec(audio), 48000, 2)
    durations = {packet.duration for packet in packets(read(data))[:-1]}
    assert durations <= ({21333, 21334} if audio == "aac" else {20000})


def test_opus_head() -> None:
    (track,) = tracks(read(record("", "opus")))
    with av.open(io.BytesIO(record("", "opus"))) as container:
        assert track.config == container.streams.audio[0].codec_context.extradata


@pytest.mark.parametrize(
    "movflags",
    [
        LIVE,
        "frag_keyframe+empty_moov",  # base_data_offset
        # Neither: the second traf's base is the end of the first one's data.
        "frag_keyframe+empty_moov+omit_tfhd_offset",
        "frag_keyframe+empty_moov+separate_moof",
        "frag_every_frame+empty_moov+default_base_moof",
        "frag_keyframe+delay_moov+default_base_moof",  # with edit lists
        "dash+frag_keyframe+empty_moov+default_base_moof",  # with styp and sidx
    ],
)
@pytest.mark.parametrize("b_frames", [0, 2])
def test_movflags(movflags: str, b_frames: int) -> None:
    data = record("h264", "aac", movflags, b_frames)
    agrees(data, Kind.VIDEO)
    agrees(data, Kind.AUDIO)
    assert any(packet.decode_offset for packet in packets(read(data), Kind.VIDEO)) == bool(b_frames)


@pytest.mark.parametrize(
    "movflags",
    ["frag_keyframe+empty_moov+default_base_moof+negative_cts_offsets", "cmaf+frag_keyframe"],
)
def test_negative_composition_offsets(movflags: str) -> None:
    """Where libavformat shifts all presentation times so that none comes before its decode time,
    and the standard does not.
    """
    data = record("h264", "", movflags, b_frames=2)
    ours, theirs = packets(read(data)), demux(data, "video")
    assert min(packet.decode_offset for packet in ours) < 0
    assert sorted(packet.timestamp for packet in ours) == [index * 50_000 for index in range(20)]
    assert [packet.timestamp - packet.decode_offset for packet in ours] == [
        microseconds(packet, packet.dts) for packet in theirs
    ]
    assert {
        microseconds(packet, packet.pts) - mine.timestamp
        for mine, packet in zip(ours, theirs, strict=True)
    } == {50_000}


def test_producer_reference_times_are_passed_over() -> None:
    data = record("h264", more="write_prft=wallclock")
    assert b"prft" in data
    agrees(data, Kind.VIDEO)


def test_parameter_sets_move_into_the_configuration() -> None:
    events = read(record("h264"))
    assert [type(event) for event in events[:2]] == [Track, Packet]
    for packet in packets(events):
        assert not {unit[0] & 31 for unit in split_lengths(packet.data, 4)} & {7, 8}
        assert packet.track is events[0]


# Any cut


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(positions=st.lists(st.integers(0, 2**20), max_size=60))
def test_any_cut_gives_the_same(positions: list[int]) -> None:
    data = record("h264", "aac")
    assert read(*cut(data, positions)) == read(data)


def test_a_sample_leaves_with_its_last_byte() -> None:
    data = record("h264", "aac")
    reader = Mp4Reader()
    for index in range(len(data)):
        for event in reader.feed(data[index : index + 1]):
            if isinstance(event, Packet):
                assert data[: index + 1].endswith(event.data)


def test_small_pieces_of_a_large_sample_cost_no_copies() -> None:
    data = handmade_init() + fragment_of([(4 * 2**20, 0)], bytes(4 * 2**20))
    events = read(*(data[index : index + 16] for index in range(0, len(data), 16)))
    assert [len(packet.data) for packet in packets(events)] == [4 * 2**20]


# Hand-made boxes


def box(kind: bytes, *payload: bytes, large: bool = False) -> bytes:
    body = b"".join(payload)
    if large:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, *payload: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *payload)


def u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def trak(
    number: int,
    handler: bytes = b"soun",
    entry: bytes = b"",
    edits: bytes = b"",
    scale: int = 1000,
    version: int = 0,
) -> bytes:
    times = bytes(16 if version else 8)
    return box(
        b"trak",
        full(b"tkhd", times, u32(number), bytes(68), version=version),
        edits,
        box(
            b"mdia",
            full(b"mdhd", times, u32(scale), bytes(12), version=version),
            full(b"hdlr", bytes(4), handler, bytes(13)),
            box(b"minf", box(b"stbl", full(b"stsd", u32(1 if entry else 0), entry))),
        ),
    )


# A mono Opus track: its packets may be any bytes.
DOPS = box(b"dOps", b"\0\1\1\x38", u32(48000), bytes(3))
OPUS_ENTRY = box(
    b"Opus", bytes(6), b"\0\1", bytes(8), b"\0\1\0\x10", bytes(4), u32(48000 << 16), DOPS
)


def movie(*traks: bytes, trex: tuple[int, ...] = (1, 1, 20, 3, 0), version: int = 0) -> bytes:
    mvhd = full(b"mvhd", bytes(16 if version else 8), u32(500), bytes(84), version=version)
    return box(b"ftyp", b"isom", bytes(4)) + box(
        b"moov", mvhd, *traks, box(b"mvex", full(b"trex", u32(*trex)))
    )


def handmade_init(**options: Any) -> bytes:
    return movie(trak(1, entry=OPUS_ENTRY, **options))


def fragment_of(
    samples: list[tuple[int, int]], media: bytes, decode_time: int | None = None, **options: Any
) -> bytes:
    """A moof with one run of (size, composition offset) samples, and its mdat."""
    tfdt = b"" if decode_time is None else full(b"tfdt", struct.pack(">Q", decode_time), version=1)
    run = b"".join(struct.pack(">Ii", *sample) for sample in samples)
    length = 8 + 8 + 16 + len(tfdt) + 12 + 8 + len(run)
    offset = length + (16 if options.get("large") else 8)
    trun = full(b"trun", struct.pack(">Ii", len(samples), offset), run, version=1, flags=0x000A01)
    moof = box(b"moof", box(b"traf", full(b"tfhd", u32(1), flags=0x020000), tfdt, trun))
    assert len(moof) == length
    return moof + box(b"mdat", media, **options)


def elst(*edits: tuple[int, int], version: int = 0) -> bytes:
    body = b"".join(struct.pack(">qqI" if version else ">iiI", *edit, 0x10000) for edit in edits)
    return box(b"edts", full(b"elst", u32(len(edits)), body, version=version))


def times(events: list[Track | Packet]) -> list[tuple[int, bytes, int, int]]:
    return [
        (packet.timestamp, packet.data, packet.duration, packet.decode_offset)
        for packet in packets(events)
    ]


def test_defaults_of_trex_and_time_that_goes_on() -> None:
    run = full(b"trun", struct.pack(">Ii", 2, 72), flags=1)
    moof = box(
        b"moof", box(b"traf", full(b"tfhd", u32(1), flags=0x020000), run), box(b"free", bytes(4))
    )
    data = handmade_init() + moof + box(b"mdat", b"abcdef")
    assert times(read(data)) == [(0, b"abc", 20000, 0), (20000, b"def", 20000, 0)]
    assert times(read(data + moof + box(b"mdat", b"ghijkl")))[2:] == [
        (40000, b"ghi", 20000, 0),
        (60000, b"jkl", 20000, 0),
    ]


def test_every_default_of_a_track_fragment() -> None:
    """tfhd with base-data-offset, description, duration, size and flags, and per-sample fields that
    override them.
    """
    init = handmade_init()
    tfhd = full(b"tfhd", struct.pack(">IQIIII", 1, len(init) + 256, 1, 30, 2, 0), flags=0x00003B)
    by_default = full(b"trun", u32(2))
    by_sample = full(b"trun", u32(2, *(40, 3, 0, 5), *(50, 1, 0, 0)), flags=0x000F00)
    moof = box(b"moof", box(b"traf", tfhd, by_default, by_sample))
    data = init + moof + box(b"free", bytes(256 - 16 - len(moof))) + box(b"mdat", b"aabbcccd")
    assert len(data) == len(init) + 256 + 8
    assert times(read(data)) == [
        (0, b"aa", 30000, 0),
        (30000, b"bb", 30000, 0),
        (65000, b"ccc", 40000, 5000),
        (100000, b"d", 50000, 0),
    ]


def test_interleaved_runs_come_in_file_order() -> None:
    (video,) = tracks(read(record("h264")))
    frames = [packet.data for packet in packets(read(record("h264")))[:4]]
    entry = box(
        b"avc1", bytes(24), struct.pack(">HH", 160, 96), bytes(50), box(b"avcC", video.config)
    )
    init = movie(trak(1, entry=OPUS_ENTRY), trak(2, b"vide", entry))
    media = [b"\x0ba", frames[0], b"\x0bbb", frames[1], b"\x0bccc", frames[2], b"\x0bd", frames[3]]

    def run(index: int, start: int) -> bytes:
        offset = start + sum(map(len, media[:index]))
        return full(b"trun", struct.pack(">IiII", 1, offset, 20, len(media[index])), flags=0x000301)

    def moof(start: int) -> bytes:
        sound = [run(index, start) for index in (0, 2, 4, 6)]
        pictures = [run(index, start) for index in (1, 3, 5, 7)]
        heads = (full(b"tfhd", u32(number), flags=0x020000) for number in (1, 2))
        return box(
            b"moof",
            *(
                box(b"traf", head, *runs)
                for head, runs in zip(heads, (sound, pictures), strict=True)
            ),
        )

    events = packets(read(init + moof(len(moof(0)) + 8) + box(b"mdat", *media)))
    assert [packet.data for packet in events] == media
    assert [packet.timestamp for packet in events] == [
        0,
        0,
        20_000,
        20_000,
        40_000,
        40_000,
        60_000,
        60_000,
    ]
    assert [packet.key for packet in events] == [True, True, True, False, True, False, True, False]


@pytest.mark.parametrize(
    ("trex_flags", "tfhd_flags", "first", "each", "keys"),
    [
        (0, None, None, None, [True, True]),
        (0x10000, None, None, None, [False, False]),
        (0x10000, 0, None, None, [True, True]),
        (0, 0x1010000, 0x2000000, None, [True, False]),
        (0, 0x10000, None, [0, 0x10000], [True, False]),
    ],
)
def test_sample_flags(
    trex_flags: int,
    tfhd_flags: int | None,
    first: int | None,
    each: list[int] | None,
    keys: list[bool],
) -> None:
    """Which AV1 believes: the frames here all have a sequence header."""
    frame = packets(read(record("av1")))[0].data
    entry = box(b"av01", bytes(24), struct.pack(">HH", 160, 96), bytes(50))
    init = movie(trak(1, b"vide", entry), trex=(1, 1, 20, len(frame), trex_flags))
    start = fragment_for_flags(frame, 0, 0x2000000, None, None)
    tfhd_and_run = fragment_for_flags(frame, tfhd_flags, first, each, keys)
    assert [packet.key for packet in packets(read(init + start + tfhd_and_run))[1:]] == keys


def fragment_for_flags(
    frame: bytes,
    default: int | None,
    first: int | None,
    each: list[int] | None,
    keys: list[bool] | None,
) -> bytes:
    count = len(keys) if keys else 1
    tfhd = full(
        b"tfhd",
        u32(1, *([] if default is None else [default])),
        flags=0x020000 | (0 if default is None else 0x20),
    )
    flags = 1 | (0 if first is None else 4) | (0x400 if each else 0)
    fields = [*([] if first is None else [first]), *(each or [])]
    offset = 8 + 8 + len(tfhd) + 12 + 8 + 4 * len(fields) + 8
    return box(
        b"moof", box(b"traf", tfhd, full(b"trun", u32(count, offset, *fields), flags=flags))
    ) + box(b"mdat", frame * count)


def test_large_sizes_and_other_boxes() -> None:
    between = (
        box(b"styp", b"msdh")
        + box(b"sidx", bytes(40))
        + box(b"emsg", bytes(9))
        + box(b"uuid", bytes(16), large=True)
        + box(b"what")
    )
    data = (
        box(b"free")
        + handmade_init()
        + between
        + fragment_of([(3, 0)], b"abc", 50, large=True)
        + between
        + fragment_of([(1, 0)], b"d")
    )
    assert times(read(data)) == [(50000, b"abc", 20000, 0), (70000, b"d", 20000, 0)]
    assert read(*(data[index : index + 1] for index in range(len(data)))) == read(data)


def test_version_1_headers() -> None:
    data = movie(trak(1, entry=OPUS_ENTRY, version=1), version=1) + fragment_of(
        [(3, 0)], b"abc", 50
    )
    assert times(read(data)) == [(50000, b"abc", 20000, 0)]


def test_bytes_around_samples_are_passed_over() -> None:
    run = full(b"trun", struct.pack(">IiIIii", 2, 90, 2, 0, 3, 0)[:24], version=1, flags=0x000A01)
    moof = box(b"moof", box(b"traf", full(b"tfhd", u32(1), flags=0x020000), run))
    data = (
        handmade_init()
        + moof
        + box(b"mdat", b"?" * (90 - len(moof) - 8), b"abcde", b"????")
        + fragment_of([(1, 0)], b"f")
    )
    assert [packet.data for packet in packets(read(data))] == [b"ab", b"cde", b"f"]
    assert read(*(data[index : index + 1] for index in range(len(data)))) == read(data)


def test_an_mdat_to_the_end_of_the_file() -> None:
    whole = handmade_init() + fragment_of([(3, 0), (2, 0)], b"abcde")
    data = whole[:-13] + u32(0) + whole[-9:]
    assert [packet.data for packet in packets(read(data))] == [b"abc", b"de"]
    reader = Mp4Reader()
    reader.feed(data)
    with pytest.raises(MediaLimitError):
        for _ in range(MAX_ENDLESS // 2**20 + 1):
            reader.feed(bytes(2**20))


def test_signed_composition_offsets() -> None:
    data = handmade_init() + fragment_of([(1, 40), (1, -20), (1, 0)], b"abc", 100)
    assert times(read(data)) == [
        (140000, b"a", 20000, 40000),
        (100000, b"b", 20000, -20000),
        (140000, b"c", 20000, 0),
    ]


@pytest.mark.parametrize(
    ("edits", "first"),
    [
        (elst((0, 0)), 100_000),
        (elst((0, 30)), 70_000),
        (elst((0, 130), version=1), -30_000),
        (elst((50, -1), (0, 30)), 170_000),  # empty edit: 50 ticks of 2 ms
        (elst((50, 0), (50, 30)), 100_000),  # not simple
        (elst((50, -1), (0, 30), (0, 90)), 100_000),
        (elst(), 100_000),
    ],
)
def test_edit_lists(edits: bytes, first: int) -> None:
    data = handmade_init(edits=edits) + fragment_of([(1, 0)], b"a", 100)
    assert times(read(data))[0][0] == first


def test_unknown_tracks_and_second_tracks_are_left_out() -> None:
    text = trak(7, b"text", box(b"wvtt", bytes(8)))
    other_video = trak(8, b"vide", box(b"hvc1", bytes(78)))
    second = trak(9, entry=OPUS_ENTRY)
    init = movie(text, other_video, trak(1, entry=OPUS_ENTRY), second)
    run = full(b"trun", struct.pack(">IiII", 2, 0, 5, 7), flags=0x000201)[:-12] + struct.pack(
        ">iII", 0, 5, 7
    )
    skipped = box(b"traf", full(b"tfhd", u32(9)), run)
    wanted = box(b"traf", full(b"tfhd", u32(1)), full(b"trun", u32(1, 4), flags=0x000200))
    length = len(box(b"moof", skipped, wanted))
    skipped = skipped.replace(struct.pack(">Ii", 2, 0), struct.pack(">Ii", 2, length + 8))
    data = init + box(b"moof", skipped, wanted) + box(b"mdat", b"?" * 12, b"data")
    assert [packet.data for packet in packets(read(data))] == [b"data"]


def test_a_restarted_recorder() -> None:
    first, second = record("h264"), record("vp9", "opus")
    events = read(first + second)
    assert {track.codec for track in tracks(events)} == {Codec.H264, Codec.VP9, Codec.OPUS}
    again = [
        dataclasses.replace(event, document=1) if isinstance(event, Packet) else event
        for event in read(second)
    ]
    assert events == read(first) + again


def test_a_duration_that_is_none() -> None:
    init = movie(trak(1, entry=OPUS_ENTRY), trex=(1, 1, 0, 0, 0))
    silk_60_ms = b"\x18abc"
    assert times(read(init + fragment_of([(4, 0)], silk_60_ms))) == [(0, silk_60_ms, 60000, 0)]
    hour = movie(trak(1, entry=OPUS_ENTRY), trex=(1, 1, 3_600_000, 0, 0))
    assert times(read(hour + fragment_of([(4, 0)], silk_60_ms))) == [(0, silk_60_ms, 60000, 0)]


# Broken and too large


def dies(data: bytes, error: type[MediaError] = MediaError, match: str | None = None) -> None:
    """Raises, in one piece and byte by byte, and again at the next bytes."""
    reader = Mp4Reader()
    with pytest.raises(error, match=match):
        reader.feed(data)
    with pytest.raises(error, match=match):
        reader.feed(b"")
    with pytest.raises(error, match=match):
        read(*(data[index : index + 1] for index in range(len(data))))


GOOD = fragment_of([(3, 0)], b"abc", 50)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"\x1a\x45\xdf\xa3" + bytes(12), "does not begin"),
        (b"GET / HTTP/1.1\r\n\r\n", "does not begin"),
        (bytes(16), "does not begin"),
        (handmade_init() + bytes(16), "impossible|without an end|size"),
        (handmade_init() + u32(7) + b"free", "impossible"),
        (handmade_init() + u32(0) + b"moof", "impossible"),
        (box(b"ftyp", bytes(8)) + GOOD, "before its moov"),
        (box(b"ftyp", bytes(8)) + box(b"mdat", bytes(8)), "not fragmented"),
        (movie(), "no track"),
        (movie(trak(1, b"vide", box(b"hvc1", bytes(78)))), "no track"),
        (handmade_init(scale=0), "timescale"),
        (handmade_init() + GOOD[: -len(b"abc") - 8] + GOOD[: -len(b"abc") - 8], "lie in no mdat"),
        (handmade_init() + fragment_of([(4, 0)], b"abc"), "does not lie"),
        (handmade_init() + fragment_of([(1, 2**31 - 1)], b"a"), "impossible time"),
        (handmade_init() + fragment_of([(1, 0)], b"a", 2**63), "impossible time"),
        (handmade_init(edits=elst((0, 20_000))) + GOOD, "impossible time"),
        (
            handmade_init() + GOOD.replace(b"tfhd\0\2\0\0" + u32(1), b"tfhd\0\2\0\0" + u32(2)),
            "track 2",
        ),
        (handmade_init() + GOOD.replace(b"tfhd", b"tfhx"), "no tfhd"),
        (movie(trak(1, entry=OPUS_ENTRY), trex=(1, 2, 0, 0, 0)) + GOOD, "sample description"),
    ],
)
def test_broken_streams(data: bytes, match: str) -> None:
    dies(data, MediaError, match)


def test_progressive_files() -> None:
    dies(record(movflags=""), MediaError, "not fragmented")
    complete = movie(trak(1, entry=OPUS_ENTRY)).replace(b"mvex", b"free")
    dies(complete + GOOD, MediaError, "not fragmented")


@pytest.mark.parametrize("name", [b"free", b"mdat", b"wide"])
def test_what_to_do_is_said_of_an_ordinary_file(name: bytes) -> None:
    before = box(name) if name != b"mdat" else b""
    data = box(b"ftyp", b"isom", bytes(4)) + before + u32(100_000_000) + b"mdat" + bytes(100)
    dies(data, MediaError, "not fragmented.*frag_keyframe")
    assert StreamReader().feed(data[:20]) == []
    with pytest.raises(MediaError, match="not fragmented"):
        StreamReader().feed(u32(100_000_000) + b"mdat" + bytes(100))
    # One whose header comes first, with so many samples that it is never held.
    header = full(b"mvhd", bytes(8), u32(500), bytes(84)) + u32(MAX_HEADER + 9) + b"trak"
    dies(
        box(b"ftyp", b"isom", bytes(4)) + u32(2 * MAX_HEADER) + b"moov" + header,
        MediaLimitError,
        "not fragmented.*frag_keyframe",
    )


@pytest.mark.parametrize(
    "movflags", ["frag_keyframe", "frag_keyframe+default_base_moof", "frag_every_frame"]
)
@pytest.mark.parametrize("b_frames", [0, 2])
def test_samples_in_the_moov_beside_fragments(movflags: str, b_frames: int) -> None:
    data = record("h264", "aac", movflags, b_frames)
    assert data.index(b"mdat") < data.index(b"moof")
    agrees(data, Kind.VIDEO)
    agrees(data, Kind.AUDIO)


def tables(
    sizes: bytes, chunks: bytes, times: bytes, runs: bytes = u32(1, 1, 2, 1), more: bytes = b""
) -> bytes:
    """A stream with samples in its moov: of two bytes each, the first at 400."""
    boxed = full(b"stts", times) + full(b"stsc", runs) + sizes + chunks + more
    init = handmade_init()
    for kind in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        place = init.index(kind) - 4
        init = (
            init[:place]
            + u32(int.from_bytes(init[place : place + 4], "big") + len(boxed))
            + init[place + 4 :]
        )
    place = init.index(b"stbl") - 4
    end = place + int.from_bytes(init[place : place + 4], "big") - len(boxed)
    return init[:end] + boxed + init[end:]


TIMES = u32(1, 4, 20)
SIZES = full(b"stsz", u32(2, 4))
CHUNKS = full(b"stco", u32(2, 700, 710))
FORMS = {
    "one size": (SIZES, CHUNKS),
    "sizes of their own": (full(b"stsz", u32(0, 4, 2, 2, 2, 2)), CHUNKS),
    "sizes of 4 bits": (full(b"stz2", u32(4, 4), b"\x22\x22"), CHUNKS),
    "sizes of 8 bits": (full(b"stz2", u32(8, 4), b"\2\2\2\2"), CHUNKS),
    "sizes of 16 bits": (full(b"stz2", u32(16, 4), b"\0\2\0\2\0\2\0\2"), CHUNKS),
    "large offsets": (SIZES, full(b"co64", struct.pack(">IQQ", 2, 700, 710))),
}


@pytest.mark.parametrize(("sizes", "chunks"), FORMS.values(), ids=FORMS.keys())
def test_every_form_of_sample_tables(sizes: bytes, chunks: bytes) -> None:
    shifts = full(b"ctts", u32(2, 1, 5, 3, 2**32 - 5), version=1)
    init = tables(sizes, chunks, TIMES, u32(1, 1, 2, 1), shifts + full(b"stss", u32(1, 2)))
    data = (
        init
        + box(b"free", bytes(692 - 8 - len(init)))
        + box(b"mdat", b"aabb", bytes(6), b"ccdd", bytes(3))
    )
    data += fragment_of([(1, 0)], b"e")
    found = times(read(data))
    assert [(at, frame) for at, frame, _, _ in found] == [
        (5_000, b"aa"),
        (15_000, b"bb"),
        (35_000, b"cc"),
        (55_000, b"dd"),
        (80_000, b"e"),  # goes on behind them
    ]
    assert read(*(data[index : index + 1] for index in range(len(data)))) == read(data)


@pytest.mark.parametrize(
    ("init", "why"),
    [
        (tables(SIZES, full(b"stco", u32(2, 10, 20)), TIMES), "before its moov"),
        (tables(SIZES, CHUNKS, u32(1, 3, 20)), "fewer samples"),
        (tables(SIZES, full(b"stco", u32(1, 700)), TIMES), "fewer samples"),
        (tables(SIZES, CHUNKS, TIMES, u32(1, 1, 0, 1)), "no samples"),
        (tables(SIZES, CHUNKS, TIMES, u32(1, 2, 2, 1)), "no samples"),
        (tables(full(b"stsz", u32(2, MAX_SAMPLES + 1)), CHUNKS, TIMES), "limit"),
        (tables(full(b"stsz", u32(2, 2**32 - 1)), CHUNKS, TIMES), "limit"),
        (tables(SIZES, b"", TIMES), "stco"),
    ],
)
def test_samples_in_the_moov_that_cannot_be_read_are_said(init: bytes, why: str) -> None:
    reader = Mp4Reader()
    assert [packet.data for packet in packets(reader.feed(init + GOOD))] == [b"abc"]
    assert [why in left.sentence and left.kind is None for left in reader.left_out()] == [True]


def test_what_is_passed_over_in_a_moov_is_never_held() -> None:
    """The picture on the cover of a film, for instance."""
    init = handmade_init()
    place, cover = init.index(b"moov"), 12 * 2**20
    size = int.from_bytes(init[place - 4 : place], "big") + 8 + cover
    reader = Mp4Reader()
    reader.feed(init[: place - 4] + u32(size) + b"moov" + u32(8 + cover) + b"udta")
    for _ in range(12):
        reader.feed(bytes(2**20))
        assert reader.held < 2**12
    assert [packet.data for packet in packets(reader.feed(init[place + 4 :] + GOOD))] == [b"abc"]


def test_a_document_has_offsets_of_its_own() -> None:
    """Those of tfhd count from the beginning of the file in which they stand."""
    run = full(b"trun", u32(1, 3), flags=0x000200)

    def file(base: int, media: bytes) -> bytes:
        moof = box(
            b"moof", box(b"traf", full(b"tfhd", struct.pack(">IQ", 1, base), flags=0x000001), run)
        )
        return handmade_init() + moof + box(b"mdat", media)

    base = len(file(0, b"")) + 0
    one, two = file(base, b"abc"), file(base, b"def")
    found = packets(read(one + box(b"free") + two))
    assert [(packet.data, packet.timestamp, packet.document) for packet in found] == [
        (b"abc", 0, 0),
        (b"def", 0, 1),
    ]


def test_samples_may_not_overlap() -> None:
    """Else one megabyte of media could be asked for ten thousand times."""
    run = full(b"trun", struct.pack(">IiI", 1, 128, 8), flags=0x000201)
    moof = box(b"moof", box(b"traf", full(b"tfhd", u32(1), flags=0x020000), run, run))
    dies(handmade_init() + moof + box(b"mdat", bytes(64)), MediaError, "overlap")
    inside = full(b"trun", struct.pack(">IiI", 1, 8, 8), flags=0x000201)
    moof = box(b"moof", box(b"traf", full(b"tfhd", u32(1), flags=0x020000), inside))
    dies(handmade_init() + moof + box(b"mdat", bytes(64)), MediaError, "overlap")


@pytest.mark.parametrize(
    "data",
    [
        u32(MAX_HEADER + 99) + b"moov" + u32(MAX_HEADER + 9) + b"trak",
        handmade_init() + u32(MAX_HEADER + 9) + b"moof",
        handmade_init() + u32(1) + b"mdat" + struct.pack(">Q", 2**63),
        u32(MAX_PASSED_OVER + 9) + b"free",
        handmade_init() + fragment_of([(MAX_BOX + 1, 0)], b""),
        handmade_init() + fragment_of([(0, 0)] * (MAX_SAMPLES + 1), b""),
        handmade_init()
        + box(b"moof", box(b"traf", full(b"tfhd", u32(1)), full(b"trun", u32(2**32 - 1)))),
    ],
)
def test_limits(data: bytes) -> None:
    dies(data, MediaLimitError)


def test_a_large_mdat_of_small_samples_is_never_held() -> None:
    size = 2**20
    head = handmade_init() + fragment_of([(size, 0)] * 20, bytes(20 * size))
    reader = Mp4Reader()
    seen = 0
    for index in range(0, len(head), 100_000):
        seen += len(packets(reader.feed(head[index : index + 100_000])))
        assert len(reader._buffer) <= size + 100_000
    assert seen == 20


def test_what_is_passed_over_is_never_held() -> None:
    reader = Mp4Reader()
    reader.feed(handmade_init() + u32(8 + 8 * (MAX_BOX // 8 - 1)) + b"free")
    for _ in range(8):
        reader.feed(bytes(MAX_BOX // 8 - 1))
        assert not reader._buffer
    assert [packet.data for packet in packets(reader.feed(GOOD))] == [b"abc"]


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_every_truncation_gives_a_beginning(recording: Recording) -> None:
    whole = read(recording.data)
    step = max(1, len(recording.data) // 700)
    for length in (*range(2000), *range(2000, len(recording.data), step)):
        some = read(recording.data[:length])
        assert some == whole[: len(some)]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_mutations_give_packets_or_media_errors(data: st.DataObject) -> None:
    original = data.draw(
        st.sampled_from(
            [record("h264", "aac"), record("vp9", "opus"), handmade_init() + GOOD + GOOD]
        )
    )
    heads = [index for kind in (b"moov", b"moof") for index in find_all(original, kind)]
    broken = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.sampled_from(heads)) + data.draw(st.integers(-4, 700))
        broken[place % len(broken)] = data.draw(
            st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
        )
    reader = Mp4Reader()
    try:
        for piece in cut(bytes(broken), data.draw(st.lists(st.integers(0, 2**16), max_size=5))):
            for event in reader.feed(piece):
                if isinstance(event, Packet):
                    rewrite(event)
    except MediaError:
        with pytest.raises(MediaError):
            reader.feed(b"")
    assert len(reader._buffer) <= len(original)


def rewrite(packet: Packet) -> None:
    """Whatever a reader lets through, the writer can write."""
    writer = Mp4Writer(packet.track, 1)
    assert writer.init()
    assert writer.fragment(packet).endswith(packet.data)


def find_all(data: bytes, wanted: bytes) -> list[int]:
    return [index for index in range(len(data)) if data.startswith(wanted, index)]


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for start in (b"", handmade_init()):
        try:
            read(start + data)
        except MediaError:
            continue


# The writer


def one(track: Track, *frames: Packet) -> bytes:
    writer = Mp4Writer(track, 1)
    return writer.init() + b"".join(map(writer.fragment, frames))


def test_the_frame_message_is_laid_out_as_documented() -> None:
    track = tracks(read(record("h264")))[0]
    writer = Mp4Writer(track, 5)
    frame = Packet(track, 5_000_000_000, True, b"\0\0\0\1\x65", 40_000, -20_000)
    message = writer.fragment(frame)
    assert message[0:8] == b"\0\0\0\x68moof"
    assert message[8:24] == b"\0\0\0\x10mfhd\0\0\0\0\0\0\0\1"
    assert message[24:32] == b"\0\0\0\x50traf"
    assert message[32:44] == b"\0\0\0\x14tfhd\0\2\0\x20"
    assert message[44:52] == b"\0\0\0\5\2\0\0\0"
    assert message[52:64] == b"\0\0\0\x14tfdt\1\0\0\0"
    assert int.from_bytes(message[64:72], "big") == 5_000_020_000
    assert message[72:92] == b"\0\0\0\x20trun\1\0\x0b\1\0\0\0\1\0\0\0\x70"
    assert struct.unpack(">IIi", message[92:104]) == (40_000, 5, -20_000)
    assert message[104:] == b"\0\0\0\x0dmdat\0\0\0\1\x65"
    later = writer.fragment(Packet(track, 0, False, b"x"))
    assert later[20:24] == b"\0\0\0\2"
    assert later[48:52] == b"\1\1\0\0"
    assert int.from_bytes(later[92:96], "big") == DEFAULT_DURATION


@pytest.mark.parametrize(
    ("video", "audio", "b_frames"),
    [
        ("h264", "", 0),
        ("h264", "", 2),
        ("vp9", "", 0),
        ("av1", "", 0),
        ("", "aac", 0),
        ("", "opus", 0),
    ],
)
def test_a_written_track_is_the_same_to_libavformat_and_to_the_reader(
    video: str, audio: str, b_frames: int
) -> None:
    data = record(video, audio, b_frames=b_frames)
    kind = "video" if video else "audio"
    events = read(data)
    (track,) = tracks(events)
    hour = 3_600_000_000
    shifted = [later(packet, hour) for packet in packets(events)]
    written = one(track, *shifted)
    assert read(written) == [track, *shifted]
    theirs = demux(written, kind)
    assert [microseconds(packet, packet.pts) for packet in theirs] == [
        packet.timestamp for packet in shifted
    ]
    assert [microseconds(packet, packet.dts) for packet in theirs] == [
        packet.timestamp - packet.decode_offset for packet in shifted
    ]
    assert [bytes(packet) for packet in theirs] == [packet.data for packet in shifted]
    assert [packet.is_keyframe for packet in theirs] == [packet.key for packet in shifted]
    assert decode(written, kind) == decode(data, kind)
    with av.open(io.BytesIO(written)) as container:
        codec: Any = container.streams[0].codec_context
        assert codec.name in (video or audio, "libdav1d", "libopus")
        if kind == "video":
            assert (codec.width, codec.height) == (160, 96)
        else:
            assert (codec.sample_rate, codec.layout.name) == (48000, "stereo")


def test_vp8() -> None:
    """Which libavformat does not put into MP4; so only our own reader reads it back."""
    target = io.BytesIO()
    with av.open(target, "w", format="webm") as container:
        stream: Any = container.add_stream("libvpx", rate=20)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        frames = [
            bytes(packet)
            for packet in (*stream.encode(av.VideoFrame(160, 96, "yuv420p")), *stream.encode(None))
        ]
    track = Track(Codec.VP8, "vp8", width=160, height=96, color=completed(None, 160, 96))
    frame = Packet(track, 7, True, frames[0], 33_333)
    assert read(one(track, frame)) == [track, frame]
    assert Mp4Writer(track, 1).mime == 'video/mp4; codecs="vp08.00.10.08"'


def test_mime() -> None:
    (video,) = tracks(read(record("h264")))
    assert Mp4Writer(video, 1).mime == f'video/mp4; codecs="avc1.{video.config[1:4].hex().upper()}"'
    (audio,) = tracks(read(record("", "aac")))
    assert Mp4Writer(audio, 2).mime == 'audio/mp4; codecs="mp4a.40.2"'


def test_the_init_segment_is_a_live_one() -> None:
    (track,) = tracks(read(record("h264")))
    init = memoryview(Mp4Writer(track, 3).init())
    moov = boxes.need(init, b"moov")
    mdhd = boxes.need(moov, b"trak", b"mdia", b"mdhd")
    mvhd = boxes.need(moov, b"mvhd")
    for header in (mvhd, mdhd):
        assert struct.unpack_from(">II", header, 12) == (1_000_000, 0)
    tkhd = boxes.need(moov, b"trak", b"tkhd")
    assert struct.unpack_from(">I4xI", tkhd, 12) == (3, 0)
    assert boxes.find(moov, b"mvex", b"mehd") is None
    assert bytes(boxes.need(moov, b"mvex", b"trex"))[4:8] == u32(3)


def test_default_durations() -> None:
    (aac,) = tracks(read(record("", "aac")))
    assert (
        int.from_bytes(Mp4Writer(aac, 1).fragment(Packet(aac, 0, True, b"x"))[92:96], "big")
        == 21_333
    )
    (h264,) = tracks(read(record("h264")))
    assert (
        int.from_bytes(Mp4Writer(h264, 1).fragment(Packet(h264, 0, True, b"x"))[92:96], "big")
        == 33_333
    )


def test_a_decode_time_before_zero_is_zero() -> None:
    (track,) = tracks(read(record("", "aac")))
    for timestamp, decode_offset in ((-21_333, 0), (10, 40), (0, 0)):
        message = Mp4Writer(track, 1).fragment(
            Packet(track, timestamp, True, b"x", 1, decode_offset)
        )
        (decode_time,) = struct.unpack_from(">Q", message, 64)
        (composition,) = struct.unpack_from(">i", message, 100)
        assert decode_time == 0
        assert composition == timestamp


def test_impossible_tracks() -> None:
    (track,) = tracks(read(record("", "opus")))
    with pytest.raises(ValueError, match="track_ID"):
        Mp4Writer(track, 0)
    with pytest.raises(MediaError, match="OpusHead"):
        Mp4Writer(Track(Codec.OPUS, "opus", b"OpusHead", sample_rate=48000, channels=2), 1).init()
