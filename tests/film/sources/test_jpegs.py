"""JPEGs out of byte streams, as cameras write them and as nobody should."""

from __future__ import annotations

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drawercam.film.sources import jpegs
from drawercam.film.sources.jpegs import JpegSplitter
from tests.harness import makers

PICTURES = makers.jpegs(3)


def kinds() -> list[bytes]:
    """A progressive one with a thumbnail in its APP1, one with restart markers, a grey one."""
    image = Image.open(io.BytesIO(PICTURES[0]))
    found = []
    for grey, options in (
        (False, {"progressive": True}),
        (False, {"restart_marker_rows": 1}),
        (True, {}),
    ):
        out = io.BytesIO()
        (image.convert("L") if grey else image).save(out, "JPEG", **options)
        found.append(out.getvalue())
    thumbnail = b"Exif\0\0" + PICTURES[1]
    found[0] = (
        found[0][:2]
        + b"\xff\xe1"
        + (len(thumbnail) + 2).to_bytes(2, "big")
        + thumbnail
        + found[0][2:]
    )
    return found


ALL = [*PICTURES, *kinds()]


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    splitter, found, begin = JpegSplitter(), [], 0
    for end in [*sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]:
        found += splitter.feed(stream[begin:end])
        begin = end
    return found


between = st.binary(max_size=60).map(lambda junk: junk.replace(b"\xff", b"-"))
cuts = st.lists(st.integers(0, 2**20), max_size=20)


@given(st.lists(st.tuples(between, st.sampled_from(ALL)), max_size=4), between, cuts)
def test_whole_pictures_come_out_whatever_stands_between_them_and_wherever_they_are_cut(
    parts: list[tuple[bytes, bytes]], end: bytes, cuts: list[int]
) -> None:
    stream = b"".join(junk + picture for junk, picture in parts) + end
    assert split(stream, cuts) == [picture for _, picture in parts]


def test_a_picture_is_whole_with_its_last_byte() -> None:
    splitter = JpegSplitter()
    for picture in ALL:
        assert splitter.feed(picture[:-1]) == []
        assert splitter.begun
        assert splitter.feed(picture[-1:]) == [picture]
        assert not splitter.begun


@given(st.integers(0, len(PICTURES[1]) - 1), cuts)
def test_a_picture_that_breaks_off_costs_no_other(length: int, cuts: list[int]) -> None:
    found = split(
        b"--f\r\n\r\n"
        + PICTURES[0]
        + b"\r\n--f\r\n\r\n"
        + PICTURES[1][:length]
        + b"\r\n--f\r\n\r\n"
        + PICTURES[2],
        cuts,
    )
    assert (found[0], found[-1]) == (PICTURES[0], PICTURES[2])
    assert len(found) <= 3


def test_a_picture_may_break_off_anywhere_in_its_head() -> None:
    """Also where its last segment would end at the end of one of the next picture's."""
    for length in range(PICTURES[1].index(b"\xff\xda") + 20):
        assert (
            split(PICTURES[0] + PICTURES[1][:length] + b"\r\n--f\r\n\r\n" + PICTURES[2], [])[-1]
            == PICTURES[2]
        ), length


def test_what_has_come_of_the_last_picture_can_be_shown() -> None:
    splitter = JpegSplitter()
    splitter.feed(PICTURES[0] + PICTURES[1][: len(PICTURES[1]) * 2 // 3])
    rest = splitter.rest()
    assert rest is not None and Image.open(io.BytesIO(rest)).size == (makers.WIDTH, makers.HEIGHT)
    splitter = JpegSplitter()
    splitter.feed(PICTURES[0] + PICTURES[1][:30])
    assert splitter.rest() is None


@given(
    st.binary(max_size=400),
    st.lists(
        st.sampled_from([b"\xff\xd8\xff", b"\xff\xda\0\2", b"\xff\xc0\0\3x", b"\xff\xd9"]),
        max_size=9,
    ),
    cuts,
)
def test_any_bytes_do_no_harm(junk: bytes, pieces: list[bytes], cuts: list[int]) -> None:
    for picture in split(b"".join(pieces) + junk + b"".join(pieces), cuts):
        assert picture.startswith(b"\xff\xd8\xff") and picture.endswith(b"\xff\xd9")


def test_a_picture_without_an_end_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpegs, "MAX_PICTURE", 2**16)
    splitter = JpegSplitter()
    splitter.feed(PICTURES[0][:-2])
    with pytest.raises(ValueError, match="more than 65536 bytes"):
        for _ in range(100):
            splitter.feed(bytes(1000))
    splitter = JpegSplitter()
    for _ in range(100):
        assert splitter.feed(b"\xff" * 1000) == []


@pytest.mark.parametrize(
    ("many", "end"),
    [
        (
            b"\xff\xd8\xff\xe0\xff\xfa",
            bytes(2**16),
        ),  # each begins in the segments of those before it, and all end in what is no marker
        (b"\xff\xd8\xff\xe0\x00\x06ab", b"x"),
        (b"\xff", b"x"),  # a filler
    ],
)
def test_what_only_begins_like_pictures_costs_no_more_than_its_bytes(
    many: bytes, end: bytes
) -> None:
    splitter = JpegSplitter()
    begun = time.thread_time()
    for _ in range(64):
        splitter.feed(b"\xff\xd8\xff" + many * (2**13 // len(many)))
    splitter.feed(end)
    assert time.thread_time() - begun < 0.6
