"""WebM: real recordings in any cuts, made-up streams with everything RFC 9559 allows, and broken
ones.
"""

from __future__ import annotations

import io
import itertools
import struct
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawercam.media.color import ColorSpace
from drawercam.media.containers import ebml
from drawercam.media.containers.matroska import Id
from drawercam.media.containers.webm import MAX_ELEMENT, WebmReader
from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Codec, Kind, MediaError, MediaLimitError, Packet, Track
from tests.media.samples import Recording, cut, read, recordings

RECORDINGS = [one for one in recordings() if one.name.endswith(".webm")]
VP8_KEY = b"\x10\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00" + b"k" * 20  # 320x240
VP8_DELTA = b"\x11\x00\x00" + b"d" * 20
UNKNOWN_8 = b"\x01" + b"\xff" * 7


# --- building streams ---


def header(doc_type: bytes = b"webm") -> bytes:
    return ebml.element(Id.EBML, ebml.element(Id.DOC_TYPE, doc_type))


def open_master(identifier: int) -> bytes:
    return identifier.to_bytes(4, "big") + UNKNOWN_8


def entry(number: int, kind: int, codec: bytes, extra: bytes = b"") -> bytes:
    parts = (
        ebml.element(Id.TRACK_NUMBER, bytes([number]))
        + ebml.element(Id.TRACK_TYPE, bytes([kind]))
        + ebml.element(Id.CODEC_ID, codec)
    )
    return ebml.element(Id.TRACK_ENTRY, parts + extra)


VIDEO = entry(1, 1, b"V_VP8")
SOUND = entry(2, 2, b"A_OPUS", ebml.element(Id.AUDIO, ebml.element(Id.CHANNELS, b"\x01")))


def head(*entries: bytes, info: bytes = b"") -> bytes:
    return header() + open_master(Id.SEGMENT) + info + ebml.element(Id.TRACKS, b"".join(entries))


def block(frame: bytes, *, track: int = 1, relative: int = 0, flags: int = 0x80) -> bytes:
    return bytes([0x80 | track]) + struct.pack(">hB", relative, flags) + frame


def simple(frame: bytes, *, track: int = 1, relative: int = 0, flags: int = 0x80) -> bytes:
    return ebml.element(Id.SIMPLE_BLOCK, block(frame, track=track, relative=relative, flags=flags))


def cluster(timestamp: int, *blocks: bytes) -> bytes:
    return (
        open_master(Id.CLUSTER)
        + ebml.element(Id.TIMESTAMP, ebml.uint(timestamp))
        + b"".join(blocks)
    )


def packets(events: list[Track | Packet]) -> list[Packet]:
    return [event for event in events if isinstance(event, Packet)]


# --- real recordings ---


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_a_recording_has_the_packets_that_ffmpeg_sees(recording: Recording) -> None:
    mine = packets(read([recording.data]))
    with av.open(io.BytesIO(recording.data), "r") as container:
        theirs: dict[str, list[av.Packet[Any]]] = {"video": [], "audio": []}
        for other in container.demux():
            if other.size and other.stream.type in theirs:
                theirs[other.stream.type].append(other)
    for kind in Kind:
        own = [packet for packet in mine if packet.track.kind is kind]
        assert len(own) == len(theirs[kind])
        times = [float((other.pts or 0) * (other.time_base or 0)) * 1e6 for other in theirs[kind]]
        for packet, other, moment in zip(own, theirs[kind], times, strict=True):
            # From the first one on: FFmpeg moves sound back by the Opus pre-skip (CodecDelay), the
            # relay leaves it.
            assert abs((packet.timestamp - own[0].timestamp) - (moment - times[0])) <= 2000
            if (
                packet.track.codec is not Codec.H264
            ):  # whose parameter sets move into the configuration
                assert packet.data == bytes(other)
                assert packet.key == other.is_keyframe
    assert mine


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_cut_at_every_position(recording: Recording) -> None:
    """Twice: the whole recording byte by byte, and its first kilobytes cut in two at each
    position.
    """
    whole = read([recording.data])
    assert read(recording.data[i : i + 1] for i in range(len(recording.data))) == whole
    start = recording.data[:2500]
    expected = read([start])
    for position in range(len(start)):
        assert read([start[:position], start[position:]]) == expected


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
@given(data=st.data())
@settings(max_examples=25)
def test_cut_at_random_positions(recording: Recording, data: st.DataObject) -> None:
    positions = data.draw(st.lists(st.integers(0, len(recording.data)), max_size=40))
    assert read(cut(recording.data, positions)) == read([recording.data])


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_every_truncation_gives_a_beginning_of_the_packets(recording: Recording) -> None:
    whole = read([recording.data])
    for length in itertools.chain(range(2500), range(2500, len(recording.data), 997)):
        events = read([recording.data[:length]])
        assert events == whole[: len(events)]


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
@given(data=st.data())
@settings(max_examples=150)
def test_mutations_give_packets_or_the_typed_error(
    recording: Recording, data: st.DataObject
) -> None:
    damaged = bytearray(recording.data[:20_000])
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(
            st.integers(0, len(damaged) - 1) | st.integers(0, min(len(damaged) - 1, 600))
        )
        match data.draw(st.sampled_from(["flip", "delete", "insert", "ones"])):
            case "flip":
                damaged[position] ^= 1 << data.draw(st.integers(0, 7))
            case "delete":
                del damaged[position : position + data.draw(st.integers(1, 20))]
            case "insert":
                damaged[position:position] = data.draw(st.binary(min_size=1, max_size=20))
            case "ones":
                damaged[position] = 0xFF
        if not damaged:
            return
    reader = WebmReader()
    size = data.draw(st.integers(1, 5000))
    try:
        for begin in range(0, len(damaged), size):
            reader.feed(bytes(damaged[begin : begin + size]))
            assert len(reader._buffer) <= MAX_ELEMENT + size
    except MediaError:
        with pytest.raises(MediaError):
            reader.feed(b"")


# --- what the format allows ---


def test_a_track_comes_before_its_first_packet_with_the_size_from_the_frame() -> None:
    events = read(
        [head(VIDEO) + cluster(1000, simple(VP8_KEY), simple(VP8_DELTA, relative=33, flags=0))]
    )
    track = Track(Codec.VP8, "vp8", color=ColorSpace(matrix="smpte170m", full_range=False))
    assert events == [
        track,
        Packet(track, 1_000_000, True, VP8_KEY),
        Packet(track, 1_033_000, False, VP8_DELTA),
    ]
    assert isinstance(events[0], Track)
    assert (events[0].width, events[0].height) == (320, 240)


def test_frames_before_the_first_keyframe_are_left_out() -> None:
    events = read([head(VIDEO) + cluster(0, simple(VP8_DELTA), simple(VP8_KEY, relative=10))])
    assert [event.timestamp for event in packets(events)] == [10_000]


def test_a_turned_phone_gives_a_track_with_the_new_size() -> None:
    turned = VP8_KEY[:6] + b"\xf0\x00\x40\x01" + VP8_KEY[10:]
    events = read([head(VIDEO) + cluster(0, simple(VP8_KEY), simple(turned, relative=1))])
    sizes = [(event.width, event.height) for event in events if isinstance(event, Track)]
    assert sizes == [(320, 240), (240, 320)]


def test_known_sizes_and_unknown_sizes_read_alike() -> None:
    body = ebml.element(Id.TIMESTAMP, b"\x05") + simple(VP8_KEY)
    known = header() + ebml.element(
        Id.SEGMENT, ebml.element(Id.TRACKS, VIDEO) + ebml.element(Id.CLUSTER, body)
    )
    assert read([known]) == read([head(VIDEO) + cluster(5, simple(VP8_KEY))])


def test_a_size_of_one_byte_can_be_unknown_too() -> None:
    short = header() + Id.SEGMENT.to_bytes(4, "big") + b"\xff" + ebml.element(Id.TRACKS, VIDEO)
    short += (
        Id.CLUSTER.to_bytes(4, "big")
        + b"\xff"
        + ebml.element(Id.TIMESTAMP, b"\0")
        + simple(VP8_KEY)
    )
    assert len(packets(read([short]))) == 1


@pytest.mark.parametrize(
    "identifier", [0xEC, 0xBF, 0x1254C367, 0x1C53BB6B, 0x114D9B74, 0x4DBB, 0x81]
)
def test_void_crc_and_unknown_elements_are_passed_over(identifier: int) -> None:
    extra = ebml.element(identifier, b"\xa3" * 300)
    stream = (
        header()
        + open_master(Id.SEGMENT)
        + extra
        + ebml.element(Id.TRACKS, extra[:0] + VIDEO)
        + extra
    )
    stream += cluster(0, extra, simple(VP8_KEY), extra, simple(VP8_DELTA, relative=1, flags=0))
    assert len(packets(read([stream]))) == 2
    assert len(packets(read(cut(stream, range(0, len(stream), 7))))) == 2


def test_a_timestamp_scale_other_than_a_millisecond() -> None:
    info = ebml.element(Id.INFO, ebml.element(Id.TIMESTAMP_SCALE, ebml.uint(100_000)))
    events = read([head(VIDEO, info=info) + cluster(20_000, simple(VP8_KEY, relative=-10))])
    assert packets(events)[0].timestamp == 1_999_000


def test_block_groups_tell_duration_and_keyframes() -> None:
    additions = ebml.element(0x75A1, ebml.element(0xA6, b"alpha"))
    duration = ebml.element(Id.BLOCK_DURATION, b"\x28")
    key = ebml.element(
        Id.BLOCK_GROUP, ebml.element(Id.BLOCK, block(VP8_KEY, flags=0)) + additions + duration
    )
    delta = ebml.element(Id.BLOCK, block(VP8_DELTA, relative=40, flags=0)) + ebml.element(
        Id.REFERENCE_BLOCK, b"\xd8"
    )
    first, second = packets(
        read([head(VIDEO) + cluster(0, key, ebml.element(Id.BLOCK_GROUP, delta))])
    )
    assert (first.key, first.duration, first.data) == (True, 40_000, VP8_KEY)
    assert (second.key, second.timestamp) == (False, 40_000)


OPUS = [
    bytes([15 << 3]) + bytes([n]) * size for n, size in enumerate((3, 300, 510, 7))
]  # hybrid, 20 ms each


def laced(lacing: int) -> bytes:
    sizes = [len(frame) for frame in OPUS]
    count = bytes([len(OPUS) - 1])
    if lacing == 0x02:
        coded = b"".join(b"\xff" * (size // 255) + bytes([size % 255]) for size in sizes[:-1])
    else:
        differences = [after - before for before, after in itertools.pairwise(sizes[:-1])]
        coded = ebml.size_vint(sizes[0]) + b"".join(
            ebml.size_vint(one + (1 << 13) - 1, 2) for one in differences
        )
    return count + coded + b"".join(OPUS)


@pytest.mark.parametrize("lacing", [0x02, 0x06])
def test_laced_frames_are_taken_apart(lacing: int) -> None:
    events = packets(
        read([head(SOUND) + cluster(7, simple(laced(lacing), track=2, flags=0x80 | lacing))])
    )
    assert [event.data for event in events] == OPUS
    assert [event.timestamp for event in events] == [7_000, 27_000, 47_000, 67_000]


def test_lacing_of_fixed_size() -> None:
    frames = [bytes([15 << 3, n, n]) for n in range(5)]
    events = packets(
        read([head(SOUND) + cluster(0, simple(b"\x04" + b"".join(frames), track=2, flags=0x84))])
    )
    assert [event.data for event in events] == frames


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\x01\xff", b"\x02\xff\xff\xff", b"\x01\x05ab"])
@pytest.mark.parametrize("lacing", [0x02, 0x06])
def test_broken_lacing_is_an_error(payload: bytes, lacing: int) -> None:
    with pytest.raises(MediaError, match="laced"):
        read([head(SOUND) + cluster(0, simple(payload, track=2, flags=lacing))])


def test_only_the_first_track_of_each_kind_and_known_codecs_count() -> None:
    subtitles = entry(3, 17, b"S_TEXT/UTF8")
    other = entry(4, 1, b"V_VP8")
    stream = head(subtitles, VIDEO, other, SOUND)
    stream += cluster(
        0,
        simple(b"hi", track=3),
        simple(VP8_KEY),
        simple(VP8_KEY, track=4),
        simple(OPUS[0], track=2),
    )
    assert [event.track.codec for event in packets(read([stream]))] == [Codec.VP8, Codec.OPUS]


def test_a_recorder_restarted_in_mid_stream_begins_a_new_document() -> None:
    one = head(VIDEO) + cluster(0, simple(VP8_KEY))
    two = head(SOUND) + cluster(500, simple(OPUS[0], track=2))
    events = packets(read([one + two]))
    assert [(event.track.codec, event.timestamp) for event in events] == [
        (Codec.VP8, 0),
        (Codec.OPUS, 500_000),
    ]


# --- bad input ---

BROKEN = {
    "no EBML": b"\x1f\x43\xb6\x75" + UNKNOWN_8,
    "another document type": header(b"exe") + open_master(Id.SEGMENT),
    "no track that can be passed on": head(entry(1, 1, b"V_MPEG1")),
    "a block before Tracks": header() + open_master(Id.SEGMENT) + cluster(0, simple(VP8_KEY)),
    "a block before the Timestamp": head(VIDEO) + open_master(Id.CLUSTER) + simple(VP8_KEY),
    "a block that is too short": head(VIDEO) + cluster(0, ebml.element(Id.SIMPLE_BLOCK, b"\x81\0")),
    "an element of unknown size": head(VIDEO) + cluster(0, b"\xa3" + UNKNOWN_8),
    "a scale of zero": head(
        VIDEO, info=ebml.element(Id.INFO, ebml.element(Id.TIMESTAMP_SCALE, b"\0"))
    ),
    "an encrypted track": head(entry(1, 1, b"V_VP8", ebml.element(Id.CONTENT_ENCODINGS, b""))),
    "sound without a rate": head(
        entry(1, 2, b"A_OPUS", ebml.element(Id.AUDIO, ebml.element(Id.CHANNELS, b"\0")))
    ),
}


@pytest.mark.parametrize("stream", BROKEN.values(), ids=BROKEN.keys())
def test_broken_streams_are_the_typed_error_and_the_reader_stays_dead(stream: bytes) -> None:
    reader = WebmReader()
    with pytest.raises(MediaError) as caught:
        reader.feed(stream)
    assert not isinstance(caught.value, MediaLimitError)
    with pytest.raises(MediaError):
        reader.feed(head(VIDEO))


@pytest.mark.parametrize("identifier", [Id.SIMPLE_BLOCK, Id.BLOCK_GROUP, 0xEC, 0x1654AE6B])
def test_an_element_that_claims_too_much_is_refused_before_it_is_collected(identifier: int) -> None:
    claim = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big") + ebml.size_vint(2**40)
    with pytest.raises(MediaLimitError, match="claims"):
        read([head(VIDEO) + cluster(0) + claim])


# --- writing ---

VP8 = Track(Codec.VP8, "vp8", width=320, height=240)


def test_the_frame_message_has_the_documented_bytes() -> None:
    message = WebmWriter(VP8, 1, 0).fragment(Packet(VP8, 1_234_567, True, b"frame"))
    assert message.hex(" ") == (
        "1f 43 b6 75 10 00 00 18 e7 88 00 00 00 00 00 00 04 d3 a3 10 00 00 09 81 00 00 80 "
        "66 72 61 6d 65"
    )


@given(st.lists(st.tuples(st.integers(1000, 40_000), st.binary(max_size=50)), max_size=30))
def test_what_is_written_is_read_again(frames: list[tuple[int, bytes]]) -> None:
    writer = WebmWriter(VP8, 1, 0)
    moment, expected = 10**15, []
    for step, tail in frames:
        moment += step
        expected.append(Packet(VP8, moment, True, VP8_KEY + tail))
    events = packets(read([writer.init(), *map(writer.fragment, expected)]))
    assert [(event.data, event.key) for event in events] == [
        (event.data, event.key) for event in expected
    ]
    assert all(
        abs(event.timestamp - wanted.timestamp) <= 500
        for event, wanted in zip(events, expected, strict=True)
    )


@pytest.mark.parametrize("recording", RECORDINGS, ids=str)
def test_a_written_track_plays_in_ffmpeg(recording: Recording) -> None:
    for kind in Kind:
        source = [event for event in packets(read([recording.data])) if event.track.kind is kind]
        if not source or source[0].track.codec not in WebmWriter.CODECS:
            continue
        writer = WebmWriter(source[0].track, 1, 0)
        written = writer.init() + b"".join(map(writer.fragment, source))
        with av.open(io.BytesIO(written), "r") as container:
            stream = container.streams[0]
            frames = [frame for packet in container.demux(stream) for frame in packet.decode()]
        assert len(frames) >= len(source) - 1
        assert stream.duration is None


def test_a_live_init_segment_has_a_date_an_unknown_size_and_no_duration() -> None:
    init = WebmWriter(VP8, 1, 123_456_789).init()
    position = init.index(Id.SEGMENT.to_bytes(4, "big"))
    assert init[position + 4 : position + 12] == UNKNOWN_8
    info = next(
        payload
        for identifier, payload in ebml.children(init[position + 12 :])
        if identifier == Id.INFO
    )
    elements = dict(ebml.children(info))
    assert int.from_bytes(elements[Id.DATE_UTC], "big") == 123_456_789
    assert 0x4489 not in elements  # Duration


@pytest.mark.parametrize("number", [0, 127])
def test_a_track_number_that_needs_two_bytes_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="track number"):
        WebmWriter(VP8, number, 0)


@pytest.mark.parametrize("identifier", [0x1941A469, 0x1C53BB6B, 0x1254C367, 0xEC])
def test_what_is_only_passed_over_may_be_large_and_is_never_held(identifier: int) -> None:
    """Attachments, an index, tags, and emptiness."""
    reader = WebmReader()
    size = 12 * 2**20
    reader.feed(
        head(VIDEO)
        + identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
        + ebml.size_vint(size)
    )
    for _ in range(12):
        reader.feed(bytes(2**20))
        assert reader.held < 2**12
    assert [packet.data for packet in packets(reader.feed(cluster(0, simple(VP8_KEY))))] == [
        VP8_KEY
    ]
