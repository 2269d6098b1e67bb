"""drawercam.media.containers.webm_tracks: which tracks are read, without a reader around it."""

from __future__ import annotations

import pytest

from drawercam.media.containers import ebml
from drawercam.media.containers.header import Header
from drawercam.media.containers.matroska import Id
from drawercam.media.containers.webm_tracks import MAX_TRACKS, Tracks
from drawercam.media.packets import Kind, MediaError, MediaLimitError
from drawercam.media.work import Work


def entry(number: int, codec: bytes, *more: bytes) -> bytes:
    number_and_codec = ebml.element(Id.TRACK_NUMBER, bytes((number,))) + ebml.element(
        Id.CODEC_ID, codec
    )
    return ebml.element(Id.TRACK_ENTRY, number_and_codec + b"".join(more))


def test_the_first_of_each_kind_is_read_and_all_are_known() -> None:
    header, tracks = Header(), Tracks()
    duration = ebml.element(Id.DEFAULT_DURATION, ebml.uint(40_000_000))
    subtitles = entry(9, b"S_TEXT/UTF8", ebml.element(Id.TRACK_TYPE, b"\x11"))
    tracks.read(
        subtitles + entry(4, b"V_VP8", duration) + entry(5, b"V_VP9") + entry(2, b"A_OPUS"),
        header,
        Work(),
    )
    assert tracks.numbers == {9, 4, 5, 2}
    assert {
        number: (one.frames.kind, one.default_duration) for number, one in tracks.entries.items()
    } == {
        4: (Kind.VIDEO, 40_000_000),
        2: (Kind.AUDIO, 0),
    }
    assert header.kinds == {Kind.VIDEO, Kind.AUDIO}


def test_a_track_that_cannot_be_read_is_left_out_and_said() -> None:
    header, tracks = Header(), Tracks()
    encoded = ebml.element(Id.CONTENT_ENCODINGS, b"")
    tracks.read(entry(1, b"V_VP8", encoded) + entry(2, b"A_OPUS"), header, Work())
    assert set(tracks.entries) == {2}
    [left_out] = header.left_out
    assert left_out.kind is Kind.VIDEO and "track 1 (pictures)" in left_out.sentence


def test_without_a_track_that_can_be_read_it_refuses() -> None:
    with pytest.raises(MediaError, match="V_THEORA"):
        Tracks().read(entry(1, b"V_THEORA", ebml.element(Id.TRACK_TYPE, b"\x01")), Header(), Work())
    with pytest.raises(MediaLimitError, match=f"more than {MAX_TRACKS} tracks"):
        Tracks().read(entry(1, b"V_VP8") * (MAX_TRACKS + 1), Header(), Work())
    with pytest.raises(MediaLimitError):
        Tracks().read(entry(1, b"V_VP8"), Header(), Work(8))
