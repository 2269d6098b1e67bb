"""A few bytes cannot become much work or much memory: inputs that are too long for a fuzzer.

Nothing is timed here. What these inputs would cost without a limit is minutes to hours, or gigabytes.
"""

from __future__ import annotations

import struct

import pytest

from drawercam.media import ebml
from drawercam.media.av1 import sequence_header
from drawercam.media.boxes import children
from drawercam.media.containers import StreamReader
from drawercam.media.h264 import MAX_PARAMETER_SETS, AccessUnits
from drawercam.media.mp4 import MAX_SAMPLES, Mp4Reader
from drawercam.media.packets import MAX_CHILDREN, MAX_EVENTS, MAX_PARTS, Codec, MediaError, MediaLimitError, Packet, Track
from drawercam.media.webm import WebmReader, WebmWriter
from tests.media.test_mp4 import OPUS_ENTRY, box, full, handmade_init, movie, trak, u32
from tests.media.test_webm import SOUND, VIDEO, VP8_KEY, cluster, head, simple

VOID = b"\xec\x80"


def promise(count: int, *, track: int = 1, size: int = 0) -> bytes:
    """A moof of 56 bytes that announces so many samples in the mdat after it."""
    tfhd = full(b"tfhd", u32(track, size), flags=0x020010)
    return box(b"moof", box(b"traf", tfhd, full(b"trun", u32(count, 64), flags=1)))


def test_tiny_elements_of_one_message() -> None:
    reader = WebmReader()
    reader.feed(head(VIDEO) + VOID * (MAX_PARTS - 100))
    with pytest.raises(MediaLimitError):
        reader.feed(VOID * MAX_PARTS)


def test_tiny_boxes_of_one_message() -> None:
    reader = Mp4Reader()
    reader.feed(handmade_init() + box(b"free") * (MAX_PARTS - 100))
    with pytest.raises(MediaLimitError):
        reader.feed(box(b"free") * (MAX_PARTS + 1))


def test_tiny_frames_of_one_message() -> None:
    many = simple(b"\xff" + bytes(255), track=2, flags=0x82)  # Xiph lacing: 256 empty frames
    with pytest.raises(MediaLimitError):
        WebmReader().feed(head(SOUND) + cluster(0, *[many] * 2000))
    assert len(WebmReader().feed(head(SOUND) + cluster(0, *[many] * 50))) == 50 * 256 + 1
    with pytest.raises(MediaLimitError, match="samples"):
        Mp4Reader().feed(handmade_init() + (promise(MAX_SAMPLES, size=1) + box(b"mdat", bytes(MAX_SAMPLES))) * 3)


def test_laced_frames_of_nothing() -> None:
    with pytest.raises(MediaError, match="laced"):
        WebmReader().feed(head(SOUND) + cluster(0, simple(b"\xff", track=2, flags=0x84)))


def test_very_many_elements_in_one() -> None:
    with pytest.raises(MediaLimitError):
        list(ebml.children(VOID * (MAX_CHILDREN + 1)))
    with pytest.raises(MediaLimitError):
        list(children(memoryview(box(b"free") * (MAX_CHILDREN + 1))))


@pytest.mark.parametrize("track", [1, 2], ids=["a track that is passed on", "another one"])
def test_promises_of_very_many_samples_that_are_nothing(track: int) -> None:
    traks = trak(1, entry=OPUS_ENTRY), trak(2)
    reader = Mp4Reader()
    reader.feed(movie(*traks))
    for _ in range(6):
        assert reader.feed(promise(MAX_SAMPLES, track=track, size=track - 1) * 10_000) == []


def test_promises_that_are_taken_back() -> None:
    reader = Mp4Reader()
    with pytest.raises(MediaLimitError):
        for _ in range(10_000):
            reader.feed(handmade_init() + promise(MAX_SAMPLES, size=1))


def test_a_recorder_that_dies_before_its_samples_may_begin_again() -> None:
    reader = Mp4Reader()
    for _ in range(20):
        reader.feed(handmade_init() + promise(10, size=1))


def test_an_av1_header_of_zeros() -> None:
    payload = bytes((0b00000100, 0)) + bytes(2**20)  # timing_info with a number that does not end
    obu = bytes((0x0A,)) + bytes((0x80 | len(payload) & 0x7F, 0x80 | len(payload) >> 7 & 0x7F, len(payload) >> 14)) + payload
    with pytest.raises(MediaLimitError):
        sequence_header(obu)
    with pytest.raises(MediaLimitError):
        sequence_header(b"\x12\0" * 2**20)


def test_an_h264_parameter_set_of_a_megabyte() -> None:
    with pytest.raises(MediaLimitError):
        AccessUnits(b"").unpack(b"\0\0\1\x67" + b"\x42" * (MAX_PARAMETER_SETS + 1))


def test_a_time_before_zero_can_be_written() -> None:
    track = Track(Codec.VP8, "vp8", width=320, height=240)
    out = WebmWriter(track, 1, 0)
    again = StreamReader().feed(out.init() + out.fragment(Packet(track, -5_000_000, True, VP8_KEY)))
    assert [event.timestamp for event in again if isinstance(event, Packet)] == [0]


def test_an_honest_message_is_far_from_the_limits() -> None:
    pictures = cluster(0, *[simple(VP8_KEY, relative=number) for number in range(MAX_EVENTS - 1)])
    assert len(WebmReader().feed(head(VIDEO) + pictures)) == MAX_EVENTS
    assert struct.calcsize(">I4s") * MAX_PARTS < 8 * 2**20
