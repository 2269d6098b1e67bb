"""Bytes of cameras that give a picture in some seconds: each is shown before the next one comes,
and none twice.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from fractions import Fraction

import av
import pytest

from drawercam.film.sources import ffmpeg as libav
from drawercam.film.sources import opening
from drawercam.film.sources.documents import Documents
from drawercam.film.sources.opening import Opening, Repeated, Silent
from drawercam.film.sources.source import SourceError
from drawercam.media.codecs.h264 import split_annexb
from tests.harness.makers import HEIGHT, WIDTH, Collector, access_units, painted, pictures

INTERVAL = 8
"""Seconds between two pictures as their times say."""

# Where a picture begins in containers whose muxers write it late.
_MARKS = {"matroska": (b"\x1f\x43\xb6\x75", 0), "mp4": (b"moof", 4)}

_OPTIONS = {
    "matroska": {"cluster_time_limit": "1", "live": "1"},
    "mp4": {"movflags": "frag_every_frame+empty_moov+default_base_moof"},
    "mpegts": {"flush_packets": "1"},
    "flv": {"flush_packets": "1"},
}

SLOW = pytest.mark.parametrize(
    ("form", "codec"),
    [
        ("mpegts", "libx264"),
        ("mpegts", "libx265"),
        ("flv", "libx264"),
        ("h264", "libx264"),
        ("hevc", "libx265"),
        ("matroska", "libx264"),
        ("mp4", "libx264"),
    ],
)


def made(form: str, codec: str, count: int, sound: bool = False) -> list[bytes]:
    """The bytes of a camera, cut where it has given one more picture."""
    written: list[bytes] = []

    class Written(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object, /) -> int:
            assert isinstance(data, bytes | bytearray | memoryview)
            written.append(bytes(data))
            return len(data)

    at = []
    with av.open(Written(), "w", format=form, options=_OPTIONS.get(form, {})) as container:
        stream = container.add_stream(codec, rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = (
            WIDTH,
            HEIGHT,
            "yuv420p",
            Fraction(1, 1000),
        )
        stream.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            f"{codec[3:]}-params": "keyint=3:bframes=0:log-level=0",
        }
        voice = container.add_stream("aac", rate=48000, layout="mono") if sound else None
        for number, picture in enumerate(pictures(count)):
            picture.pts, picture.time_base = number * INTERVAL * 1000, Fraction(1, 1000)
            container.mux(stream.encode(picture))
            if voice is not None:
                assert isinstance(voice, av.AudioStream)
                silence = av.AudioFrame("fltp", "mono", 4096)
                for plane in silence.planes:
                    plane.update(bytes(plane.buffer_size))
                silence.pts, silence.sample_rate, silence.time_base = (
                    number * INTERVAL * 48000,
                    48000,
                    Fraction(1, 48000),
                )
                container.mux(voice.encode(silence))
            at.append(sum(map(len, written)))
    data = b"".join(written)
    if form in _MARKS:
        mark, before = _MARKS[form]
        at = [
            *[found.start() - before for found in re.finditer(re.escape(mark), data)][1:],
            len(data),
        ]
    return [data[begin:end] for begin, end in zip([0, *at[:-1]], at, strict=True)]


class Slow:
    """Gives parts with a silence behind each."""

    def __init__(self, parts: Iterable[bytes], sink: Collector | None = None) -> None:
        self._steps = [step for part in parts for step in (part, None)]
        self._left = b""
        self._sink = sink
        self.shown: list[int] = []  # what the sink had when it came to each part

    def read(self, size: int) -> bytes:
        if not self._left:
            if not self._steps:
                return b""
            step = self._steps.pop(0)
            if step is None:
                raise Silent
            if self._sink is not None:
                self.shown.append(len(self._sink.frames) + len(self._sink.pictures))
            self._left = step
        given, self._left = self._left[:size], self._left[size:]
        return given


def filmed(parts: list[bytes], enough: int = 10**6) -> tuple[Collector, list[int]]:
    """What a film of these parts gives, and how many pictures it had before each of them."""
    sink = Collector(enough)
    body = Slow(parts, sink)
    with pytest.raises(SourceError, match="has ended"):
        libav.Stream("http://camera.invalid/", "The camera").run(sink, Documents(body))
    return sink, body.shown


@SLOW
def test_each_picture_is_shown_before_the_next_one_comes(form: str, codec: str) -> None:
    count = 7
    sink, shown = filmed(made(form, codec, count))
    assert shown == [*range(count)]
    assert sink.what == [
        f"{WIDTH}x{HEIGHT} {codec[3:].replace('x26', 'h26') if codec == 'libx264' else 'hevc'}"
    ]
    if codec == "libx264":
        assert [frame.key for frame in sink.frames] == [number % 3 == 0 for number in range(count)]
        times = [frame.captured for frame in sink.frames]
        assert times == sorted(times)
    else:
        assert [painted(picture) for picture, _ in sink.pictures] == [
            painted(picture) for picture in pictures(count)
        ]


def test_sound_is_given_once_too() -> None:
    sink, _ = filmed(made("mpegts", "libx264", 5, sound=True))
    assert sum(frame.form.codec.name == "H264" for frame in sink.frames) == 5 and sink.heard[-1]
    sounds = [frame.data for frame in sink.frames if frame.form.codec.name == "AAC"]
    assert (
        len(sounds) + len(sink.sounds) >= 15
    )  # four packets of AAC each, the encoder's delay apart
    assert len(sounds) + len(sink.sounds) <= 22


def test_a_silence_amid_the_first_picture_costs_nothing_in_the_end() -> None:
    """The network has lost something: the picture comes again when it is whole, and all behind
    it.
    """
    units = access_units(3)
    middle = len(units[0]) // 2
    sink, _ = filmed([units[0][:middle], units[0][middle:], units[1], units[2]])
    whole = [split_annexb(unit) for unit in units]
    given = [split_annexb(frame.data) for frame in sink.frames]
    assert given[-3:] == whole and sink.frames[-3].key


def test_a_silence_before_anything_can_be_made_of_it_is_waited_out() -> None:
    first, *rest = made("mpegts", "libx264", 3)
    sink, _ = filmed([first[:188], first[188:376], first[376:], *rest])
    assert [frame.key for frame in sink.frames] == [True, False, False]


def test_a_stream_without_silence_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(made("mpegts", "libx264", 40))
    sink, begun = Collector(10**6), list[object]()
    monkeypatch.setattr(Opening, "again", lambda self: begun.append(self))

    class Fast:
        left = io.BytesIO(data)

        def read(self, size: int) -> bytes:
            return self.left.read(size)

    with pytest.raises(SourceError, match="has ended"):
        libav.Stream("http://camera.invalid/", "The camera").run(sink, Documents(Fast()))
    assert len(begun) == 1 and len(sink.frames) >= 38


def test_bytes_of_which_nothing_can_be_made_are_not_read_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "_LIMIT", -1.0)
    with pytest.raises(SourceError, match="does not answer in time"):
        libav.Stream("http://camera.invalid/", "The camera").run(
            Collector(9), Documents(Slow([bytes(100)] * 9))
        )


def test_an_early_end_is_one_until_the_bytes_are_read_anew() -> None:
    bytes_ = Opening(Slow([b"abc", b"de"]))
    assert [bytes_.read(2), bytes_.read(2), bytes_.read(2), bytes_.read(2)] == [
        b"ab",
        b"c",
        b"",
        b"",
    ]
    assert bytes_.is_early and bytes_.again() and not bytes_.is_early
    assert [bytes_.read(9), bytes_.read(9), bytes_.read(9)] == [b"abc", b"de", b""]
    assert bytes_.again()
    assert [bytes_.read(9), bytes_.read(9)] == [b"abcde", b""]
    assert not bytes_.again(), "the end is one"


def test_what_holds_no_picture_back_ends_where_it_ends_once_it_is_open() -> None:
    for is_held, expected in ((True, [b"b", b"", b""]), (False, [b"b", b"c", b""])):
        bytes_ = Opening(Slow([b"a", b"b", b"c"]))
        assert bytes_.read(9) + bytes_.read(9) == b"a" and bytes_.again()
        bytes_.opened(is_held)
        assert bytes_.read(9) == b"a"
        assert [bytes_.read(9) for _ in range(3)] == expected
        assert bytes_.go_on() is is_held


def test_bytes_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_MOST", 5)
    bytes_ = Opening(Slow([b"abc", b"def", b"ghi"]))
    assert bytes_.read(9) + bytes_.read(9) == b"abc" and bytes_.again()
    assert [bytes_.read(9) for _ in range(4)] == [b"abc", b"def", b"ghi", b""], (
        "no early end any more"
    )
    assert not bytes_.again()


def test_what_differs_is_given_with_all_behind_it() -> None:
    given = Repeated()
    assert not any(given.is_repeated(data, True) for data in (b"1", b"2", b"3 cut"))
    given.again()
    assert [given.is_repeated(data, True) for data in (b"1", b"2", b"3", b"4")] == [
        True,
        True,
        False,
        False,
    ]
    given.again()
    assert [given.is_repeated(data, False) for data in (b"1", b"2", b"3", b"4", b"5", b"5")] == [
        True
    ] * 4 + [False] * 2
