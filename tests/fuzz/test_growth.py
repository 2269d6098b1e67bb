"""A few bytes cannot become much work or much memory: inputs that are too long for a fuzzer.

Nothing is timed here. Where work is counted, it is in lines of this program that run; elsewhere,
what these inputs would cost without a limit is minutes to hours, or gigabytes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from drawercam.live.channel import Channel
from drawercam.live.ingest import Source
from drawercam.live.ledger import LEAST_WORK, MAX_OF_CAMERA, Budget, Ledger
from drawercam.media.codecs.av1 import sequence_header
from drawercam.media.codecs.h264 import MAX_PARAMETER_SETS, AccessUnits
from drawercam.media.containers import ebml
from drawercam.media.containers.boxes import children
from drawercam.media.containers.detect import StreamReader
from drawercam.media.containers.mp4 import Mp4Reader
from drawercam.media.containers.mp4_fragments import MAX_SAMPLES
from drawercam.media.containers.mp4_tracks import MAX_TRACKS
from drawercam.media.containers.webm import WebmReader
from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import MAX_CHILDREN, Codec, MediaError, MediaLimitError, Packet, Track
from drawercam.media.work import FRAME, MOST
from drawercam.protocol.close_reasons import Refused
from tests.live.test_channel import FakeCamera, FakeViewer
from tests.media.containers.test_mp4 import OPUS_ENTRY, box, handmade_init, movie, trak
from tests.media.containers.test_webm import SOUND, VIDEO, VP8_KEY, cluster, head, simple
from tests.media.small_parts import SMALL_PARTS, VOID, SmallParts, moof

# Lines that run for a unit of work at most; most units are a third of it.
LINES = 40


@contextmanager
def counted(lines: list[int]) -> Iterator[None]:
    """Adds to the list how many lines have run."""
    count = 0

    def count_line(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return count_line

    before = sys.gettrace()
    sys.settrace(count_line)
    try:
        yield
    finally:
        sys.settrace(before)
        lines.append(count)


@pytest.mark.parametrize("small", SMALL_PARTS, ids=str)
def test_small_parts_cost_no_more_than_is_counted(small: SmallParts) -> None:
    """From a camera up to a viewer.

    One that came back after it was refused for its work may cost the least.
    """
    channel = Channel("porch", lambda: 0, 0, lambda: None)
    channel.take(FakeCamera())
    channel.join(FakeViewer())
    account = Ledger(Budget(MAX_OF_CAMERA), lambda: 0).account("192.0.2.1")
    account.overworked()
    source = Source(channel, lambda: 0, account)
    source.begin(1)
    source.feed(b"\x01" + small.begin)
    data = small.parts(2**18)
    lines: list[int] = []
    with counted(lines):
        try:
            source.feed(b"\x01" + data)
        except Refused as refused:
            assert len(str(refused)) < 200
    assert lines[0] < LINES * LEAST_WORK + len(data) / LINES


def test_tiny_elements_of_one_message() -> None:
    reader = WebmReader()
    reader.feed(head(VIDEO) + VOID * (MOST - 200))
    with pytest.raises(MediaLimitError):
        reader.feed(VOID * (MOST + 1))


def test_tiny_boxes_of_one_message() -> None:
    reader = Mp4Reader()
    reader.feed(handmade_init() + box(b"free") * (MOST // 2 - 200))
    with pytest.raises(MediaLimitError):
        reader.feed(box(b"free") * (MOST // 2 + 1))


def test_tiny_frames_of_one_message() -> None:
    many = simple(b"\xff" + bytes(255), track=2, flags=0x82)  # Xiph lacing: 256 empty frames
    with pytest.raises(MediaLimitError):
        WebmReader().feed(head(SOUND) + cluster(0, *[many] * (MOST // 256 // FRAME + 1)))
    assert len(WebmReader().feed(head(SOUND) + cluster(0, *[many] * 50))) == 50 * 256 + 1
    with pytest.raises(MediaLimitError):
        Mp4Reader().feed(
            handmade_init() + (moof(MAX_SAMPLES) + box(b"mdat", bytes(MAX_SAMPLES))) * 4
        )


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
        assert reader.feed(moof(MAX_SAMPLES, track=track, size=track - 1) * 2000) == []


def test_promises_that_are_taken_back() -> None:
    reader = Mp4Reader()
    with pytest.raises(MediaLimitError):
        for _ in range(10_000):
            reader.feed(handmade_init() + moof(MAX_SAMPLES))


def test_what_is_promised_is_held() -> None:
    reader = Mp4Reader()
    reader.feed(handmade_init())
    before = reader.held
    reader.feed(moof(MAX_SAMPLES))
    assert reader.held > before + 100 * MAX_SAMPLES


def test_a_recorder_that_dies_before_its_samples_may_begin_again() -> None:
    reader = Mp4Reader()
    for _ in range(20):
        reader.feed(handmade_init() + moof(10))


def test_very_many_tracks() -> None:
    others = [trak(number) for number in range(2, MAX_TRACKS + 2)]
    Mp4Reader().feed(movie(trak(1, entry=OPUS_ENTRY), *others[1:]))
    with pytest.raises(MediaLimitError, match="tracks"):
        Mp4Reader().feed(movie(trak(1, entry=OPUS_ENTRY), *others))


def test_an_av1_header_of_zeros() -> None:
    payload = bytes((0b00000100, 0)) + bytes(2**20)  # timing_info with a number that does not end
    obu = (
        bytes((0x0A,))
        + bytes((0x80 | len(payload) & 0x7F, 0x80 | len(payload) >> 7 & 0x7F, len(payload) >> 14))
        + payload
    )
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
