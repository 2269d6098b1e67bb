"""drawercam.media.containers.mp4_tracks and mp4_fragments: what a moov and a moof say, alone."""

from __future__ import annotations

import pytest

from drawercam.media.containers import boxes
from drawercam.media.containers.header import Header
from drawercam.media.containers.mp4_fragments import Fragment, Sample, in_order
from drawercam.media.containers.mp4_tracks import Movie
from drawercam.media.containers.mp4_writer import Mp4Writer
from drawercam.media.packets import Codec, Kind, MediaError, MediaLimitError, Packet, Track
from drawercam.media.work import Work

TRACK = Track(Codec.VP8, "vp8", width=64, height=48)
NUMBER = 7
BEGIN = 1000
"""Position in the stream of the moof."""


def movie(header: Header, work: Work | None = None) -> Movie:
    init = Mp4Writer(TRACK, NUMBER).init()
    moov = boxes.need(memoryview(init), b"moov")
    found = Movie(header)
    mvhd, mvex = boxes.need(moov, b"mvhd"), boxes.need(moov, b"mvex")
    assert len(found.read(mvhd, mvex, moov, work or Work())) == 1
    return found


def announced(known: Movie, key: bool, work: Work | None = None) -> list[Sample]:
    packet = Packet(TRACK, 5_000, key, b"picture", 40_000)
    fragment = Mp4Writer(TRACK, NUMBER).fragment(packet)
    moof = boxes.need(memoryview(fragment), b"moof")
    return Fragment(known, 0, BEGIN).read(moof, work or Work())


def test_a_moov_names_the_tracks() -> None:
    header = Header()
    known = movie(header)
    assert set(known.streams) == set(known.defaults) == {NUMBER}
    assert known.streams[NUMBER].timescale == 1_000_000
    assert header.kinds == {Kind.VIDEO}
    with pytest.raises(MediaLimitError):
        movie(Header(), Work(20))


def test_a_moof_announces_samples() -> None:
    known = movie(Header())
    [key], [other] = announced(known, True), announced(known, False)
    assert (key.decode, key.composition, key.duration, key.size) == (5_000, 0, 40_000, 7)
    assert key.begin == BEGIN + 112  # the moof, and the header of the mdat
    assert key.sync and not other.sync
    assert known.streams[NUMBER].next_decode == 45_000
    with pytest.raises(MediaLimitError):
        announced(known, True, Work(10))


def test_a_moof_for_another_track_is_an_error() -> None:
    known = movie(Header())
    del known.defaults[NUMBER]
    with pytest.raises(MediaError, match="for track 7, which moov does not have"):
        announced(known, True)


def test_samples_are_put_in_order_and_do_not_overlap() -> None:
    stream = movie(Header()).streams[NUMBER]
    first, second = (Sample(begin, 10, stream, 0, 0, 0, True) for begin in (100, 110))
    assert in_order([second, first], 100) == [first, second]
    with pytest.raises(MediaError, match="overlap"):
        in_order([first, second], 101)
    second.begin = 109
    with pytest.raises(MediaError, match="overlap"):
        in_order([first, second], 0)
