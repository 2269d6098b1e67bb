"""One stream of an open container: what it is to players, and its line of time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from drawercam.film.sources.track import Track, form_of, microseconds
from drawercam.media.packets import Codec
from tests.harness.makers import Collector, file

MS = Fraction(1, 1000)


@pytest.mark.parametrize(("b_frames", "codec"), [("0", Codec.H264), ("2", None)])
def test_what_is_reordered_is_not_passed_on(
    tmp_path: Path, b_frames: str, codec: Codec | None
) -> None:
    with av.open(str(file(tmp_path / "film.mp4", "libx264", 12, bf=b_frames, g="6"))) as container:
        form = form_of(container.streams.video[0])
        assert (form.codec if form else None) is codec
        track = Track(container.streams.video[0], form)
        passed = [
            track.is_passed(packet, Collector(1))
            for packet in container.demux(video=0)
            if packet.size
        ]
        assert passed == [codec is not None] * 12


def test_its_line_goes_on_over_cuts_and_counts_where_no_time_is_said(tmp_path: Path) -> None:
    with av.open(str(file(tmp_path / "film.mp4", "libx264", 6, bf="0"))) as container:
        track = Track(container.streams.video[0], None)
        track.step = 40_000
        at = [
            track.place(value, MS, None)
            for value in (1000, 1040, None, 1120, 90_000, 90_040, 5, 45)
        ]
        assert at == [
            1_000_000,
            1_040_000,
            1_080_000,
            1_120_000,
            1_160_000,
            1_200_000,
            1_240_000,
            1_280_000,
        ]


def test_times_are_microseconds() -> None:
    assert microseconds(90_000, Fraction(1, 90_000)) == 1_000_000
    assert microseconds(None, MS) is None and microseconds(1, None) is None
