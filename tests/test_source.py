"""A camera's streams, up to the channel."""

from __future__ import annotations

import pytest

from drawercam import control
from drawercam.channel import FEW_PICTURES, KEYFRAME_INTERVAL, Channel
from drawercam.closing import Reason, Refused
from drawercam.media.packets import Kind, Packet
from drawercam.source import Source
from tests.media.samples import RECORDINGS, read
from tests.test_channel import Clock, FakeCamera, FakeViewer

VP8 = (RECORDINGS / "chromium-vp8.webm").read_bytes()
OPUS = (RECORDINGS / "chromium-opus.webm").read_bytes()
BOTH = (RECORDINGS / "chromium-av.webm").read_bytes()
TURN_VP8 = (RECORDINGS / "chromium-turn-vp8.webm").read_bytes()
TURN_H264 = (RECORDINGS / "chromium-turn-h264.webm").read_bytes()


class Stage:
    def __init__(self) -> None:
        self.clock = Clock()
        self.channel = Channel("porch", self.clock, 0, lambda: None)
        self.camera = FakeCamera()
        self.channel.take(self.camera)
        self.viewer = FakeViewer()
        self.channel.join(self.viewer)
        self.source = Source(self.channel, self.clock)

    def send(self, number: int, data: bytes) -> None:
        for begin in range(0, len(data), 500):
            self.clock.time += 5_000
            self.source.feed(bytes([number]) + data[begin : begin + 500])

    @property
    def moments(self) -> list[int]:
        """Timestamps (ms) of the pictures on the wire."""
        return [int.from_bytes(fragment.data[10:18], "big") for fragment in self.viewer.fragments if fragment.number == 1]

    @property
    def numbers(self) -> list[int]:
        return [fragment.number for fragment in self.viewer.fragments]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_the_first_track_of_a_kind_is_the_cameras(stage: Stage) -> None:
    stage.source.begin(1)
    stage.source.begin(2)
    stage.send(1, VP8)
    stage.send(2, BOTH)  # its picture is one too many, its sound is welcome
    count = stage.numbers.count(1)
    assert stage.numbers.count(2) > 5
    stage.send(2, b"")
    assert stage.numbers.count(1) == count
    assert stage.channel.kinds == ["video", "audio"]


def test_a_stream_that_ends_takes_its_track_along_and_makes_room(stage: Stage) -> None:
    stage.source.begin(1)
    stage.send(1, VP8)
    stage.source.end(1)
    assert stage.channel.kinds == []
    stage.source.begin(3)
    stage.send(3, BOTH)
    assert stage.channel.kinds == ["video", "audio"]


def test_a_stream_begun_afresh_reads_a_new_container(stage: Stage) -> None:
    stage.source.begin(1)
    stage.send(1, VP8[: len(VP8) // 2])
    count = len(stage.numbers)
    stage.source.begin(1)
    stage.send(1, VP8)
    assert len(stage.numbers) > count
    assert stage.viewer.fragments[count].key, "it goes on at a keyframe"


def test_what_is_not_media_is_refused_with_a_sentence(stage: Stage) -> None:
    stage.source.begin(1)
    with pytest.raises(Refused, match="Stream 1: the bytes are neither WebM nor MP4") as refused:
        stage.source.feed(b"\x01<html><body>")
    assert refused.value.closing.reason is Reason.BAD_MEDIA


@pytest.mark.parametrize("message", [b"", b"\x00", b"\x02abc", b"\xff"])
def test_bytes_of_an_unknown_stream_are_refused(stage: Stage, message: bytes) -> None:
    stage.source.begin(1)
    with pytest.raises(Refused) as refused:
        stage.source.feed(message)
    assert refused.value.closing.reason is Reason.UNKNOWN_STREAM


def test_what_the_camera_knows_of_the_time_of_capture_counts() -> None:
    """The same bytes at the same times: by their arrival, by a known delay, by a known zero."""
    moments = []
    for at, delay in ((None, None), (None, 40_000), (53_000_000, 40_000), (-(10**9), 40_000)):
        stage = Stage()
        stage.clock.time = 60_000_000
        stage.source.begin(1, at=at, delay=delay)
        stage.send(1, VP8)
        moments.append(stage.moments)
    captured = [packet.timestamp // 1000 for packet in read([VP8]) if isinstance(packet, Packet)]
    captured[1] += 1  # the recorder says 0 twice; on the wire no picture replaces another
    assert moments[1] == [moment - 40 for moment in moments[0]]
    assert moments[2] == [moment + 53_000 for moment in captured]
    assert moments[3] == moments[1], "a zero that cannot be is not believed"


def test_what_the_streams_recorder_can_do_reaches_the_channel(stage: Stage) -> None:
    for number, keyframes in ((1, True), (2, False)):
        stage.source.begin(number, keyframes=keyframes)
    stage.send(2, OPUS)  # its recorder makes no picture, so it does not matter what it can do
    stage.send(1, VP8)
    pictures = len(stage.numbers) - stage.numbers.count(2)
    last_key = max(index for index, one in enumerate(one for one in stage.viewer.fragments if one.number == 1) if one.key)
    assert pictures - 1 - last_key > FEW_PICTURES, "the recording is long enough"
    stage.channel.join(FakeViewer())
    assert stage.camera.wishes == 1
    stage.source.begin(1)  # another recorder
    stage.send(1, VP8)
    stage.clock.time += KEYFRAME_INTERVAL
    stage.channel.join(FakeViewer())
    assert stage.camera.wishes == 1


@pytest.mark.parametrize(("data", "tracks"), [(TURN_VP8, 1), (TURN_H264, 2)], ids=["vp8", "h264"])
def test_a_recording_of_a_phone_that_is_turned(stage: Stage, data: bytes, tracks: int) -> None:
    stage.source.begin(1)
    stage.send(1, data)
    packets = [event for event in read([data]) if isinstance(event, Packet)]
    assert len(stage.numbers) == len(packets)
    begins = [message for message in stage.viewer.told if isinstance(message, control.TrackBegins)]
    assert len(begins) == tracks
    sizes = list(dict.fromkeys((packet.track.width, packet.track.height) for packet in packets))
    assert len(sizes) == 2 and sizes[0] == sizes[1][::-1]
    late = FakeViewer()
    stage.channel.join(late)
    begun = next(message for message in late.told if isinstance(message, control.TrackBegins))
    assert (begun.width, begun.height) == sizes[1]
    assert late.fragments[0].key


def test_one_byte_at_a_time(stage: Stage) -> None:
    stage.source.begin(1)
    for byte in VP8[:9000]:
        stage.source.feed(bytes([1, byte]))
    assert stage.numbers.count(1) > 3
    assert stage.channel.kinds == [Kind.VIDEO]
