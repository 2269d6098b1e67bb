"""A camera's streams, up to the channel."""

from __future__ import annotations

import pytest

from drawercam.channel import Channel
from drawercam.closing import Reason, Refused
from drawercam.media.packets import Kind
from drawercam.source import Source
from tests.media.samples import RECORDINGS
from tests.test_channel import Clock, FakeCamera, FakeViewer

VP8 = (RECORDINGS / "chromium-vp8.webm").read_bytes()
OPUS = (RECORDINGS / "chromium-opus.webm").read_bytes()
BOTH = (RECORDINGS / "chromium-av.webm").read_bytes()


class Stage:
    def __init__(self) -> None:
        self.clock = Clock()
        self.channel = Channel("porch", self.clock, 0, lambda: None)
        self.channel.take(FakeCamera())
        self.viewer = FakeViewer()
        self.channel.join(self.viewer)
        self.source = Source(self.channel, self.clock)

    def send(self, number: int, data: bytes) -> None:
        for begin in range(0, len(data), 500):
            self.clock.time += 5_000
            self.source.feed(bytes([number]) + data[begin : begin + 500])

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


def test_one_byte_at_a_time(stage: Stage) -> None:
    stage.source.begin(1)
    for byte in VP8[:9000]:
        stage.source.feed(bytes([1, byte]))
    assert stage.numbers.count(1) > 3
    assert stage.channel.kinds == [Kind.VIDEO]
