"""A stream over HTTP in which a second document begins."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import pytest

from drawercam.film.sources import ffmpeg as libav
from drawercam.film.sources.documents import Documents
from drawercam.film.sources.source import SourceError
from drawercam.media.packets import Codec, Kind
from tests.harness.makers import Collector
from tests.media.containers.test_mp4 import record
from tests.media.samples import RECORDINGS

WEBM = (RECORDINGS / "chromium-vp8.webm").read_bytes()
OTHER_WEBM = (RECORDINGS / "chromium-vp9.webm").read_bytes()


class Pieces:
    """Bytes that come in pieces of one size."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = io.BytesIO(data)
        self._size = size

    def read(self, size: int) -> bytes:
        return self._data.read(min(size, self._size))


@functools.cache
def mp4(sound: str = "") -> bytes:
    return record("h264", sound)


def split(data: bytes, size: int) -> list[bytes]:
    """The documents of a stream."""
    body = Documents(Pieces(data, size))
    found = []
    while True:
        parts = []
        while part := body.read(300):
            parts.append(part)
        found.append(b"".join(parts))
        if not body.next():
            assert body.read(10) == b""
            return found


@pytest.mark.parametrize("size", [64, 65, 1000, 10**9])
def test_a_document_ends_where_another_one_begins(size: int) -> None:
    assert split(WEBM + OTHER_WEBM + WEBM, size) == [WEBM, OTHER_WEBM, WEBM]
    assert split(mp4() + mp4("aac"), size) == [mp4(), mp4("aac")]
    cut = WEBM[: len(WEBM) // 2]
    assert split(cut + OTHER_WEBM, size) == [cut, OTHER_WEBM], "whose recorder was killed"


@pytest.mark.parametrize("size", [64, 1000])
def test_a_header_that_is_repeated_begins_no_other_document(size: int) -> None:
    assert split(WEBM + WEBM, size) == [WEBM + WEBM]
    assert split(mp4() * 3, size) == [mp4() * 3]


def test_what_is_neither_is_passed_through() -> None:
    data = b"\x47" * 500 + OTHER_WEBM
    assert split(data, 100) == [data]
    assert split(b"", 100) == [b""]


def test_nothing_waits_that_cannot_be_a_beginning() -> None:
    body = Documents(Pieces(WEBM, 10**9))
    given = 0
    while part := body.read(10**9):
        given += len(part)
        break
    assert len(WEBM) - given < 4


@pytest.mark.parametrize(
    ("first", "second", "codecs", "sound"),
    [
        (WEBM, OTHER_WEBM, [Codec.VP8, Codec.VP9], [False, False]),
        (mp4(), mp4("aac"), [Codec.H264, Codec.H264], [False, True]),
    ],
    ids=["webm", "mp4"],
)
def test_both_are_filmed(
    first: bytes, second: bytes, codecs: list[Codec], sound: list[bool]
) -> None:
    sink = Collector(10**6)
    source = libav.Stream("http://camera.invalid/", "The camera")
    with pytest.raises(SourceError, match="has ended"):
        source.run(sink, Documents(Pieces(first + second, 1000)))
    assert sink.heard == sound
    seen = [frame.form.codec for frame in sink.frames if frame.form.codec.kind is Kind.VIDEO]
    assert list(dict.fromkeys(seen)) == list(dict.fromkeys(codecs)) and len(seen) > 30
    times = [frame.captured for frame in sink.frames if frame.form.codec.kind is Kind.VIDEO]
    assert times == sorted(times)


def test_no_file_of_this_computer_is_filmed_because_a_camera_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "private.webm").write_bytes(WEBM)
    monkeypatch.chdir(tmp_path)
    sink, listed = Collector(1), b"ffconcat version 1.0\nfile private.webm\n"
    with pytest.raises(SourceError):
        libav.Stream("http://camera.invalid/", "The camera").run(
            sink, Documents(Pieces(listed, 1000))
        )
    assert not sink.what and not sink.frames


def test_documents_that_follow_each_other_at_once_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    sink = Collector(10**6)

    def pause(seconds: float) -> bool:
        if seconds > 0.15:  # more than a round lasts at least
            waits.append(seconds)
        return len(waits) < 3

    monkeypatch.setattr(sink, "pause", pause)
    libav.Stream("http://camera.invalid/", "The camera").run(
        sink, Documents(Pieces((WEBM + OTHER_WEBM) * 9, 1000))
    )
    assert len(sink.what) == 3, "and it can be told to end meanwhile"
