"""A document that is cut off amid an element or a box, and the next one behind it: it goes on with
that, however the bytes come.
"""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drawercam.media.containers import ebml
from drawercam.media.containers.beginnings import CUT_OFF, MAX_KEPT, MP4, WEBM, Beginning
from drawercam.media.containers.detect import StreamReader, writer
from drawercam.media.containers.matroska import Id
from drawercam.media.packets import MediaError, MediaLimitError, Packet, Track
from drawercam.media.work import MOST, Work
from tests.media.containers.test_mp4 import box
from tests.media.samples import RECORDINGS, cut

# WebM of several browsers, and MP4 with one sample in a fragment, with many, and with tracks of
# both kinds.
NAMES = [
    "chromium-vp8.webm",
    "firefox-av.webm",
    "chromium-h264.webm",
    "chromium-mp4.mp4",
    "ffmpeg-safari-like.mp4",
    "webkit-av.mp4",
    "frames.mp4",
]

# Sizes of the pieces in which a stream comes: of bytes, of packets of a network, of the relay, and
# all at once.
SIZES = [61, 1448, 16384, 2**30]


@functools.cache
def recording(name: str) -> bytes:
    """Some of it: several frames, and the next ones."""
    if name != "frames.mp4":
        return (RECORDINGS / name).read_bytes()[:40_000]
    events = StreamReader().feed((RECORDINGS / "chromium-h264.webm").read_bytes())
    track = next(event for event in events if isinstance(event, Track))
    out = writer(track, 1, 0)
    return out.init() + b"".join(
        out.fragment(event) for event in events[:40] if isinstance(event, Packet)
    )


@functools.cache
def frames(name: str) -> list[tuple[int, bytes]]:
    """Of one document: when each frame is shown, and what it is."""
    return outcome([recording(name)])[0]


def outcome(pieces: list[bytes]) -> tuple[list[tuple[int, bytes]], list[int], str, list[str]]:
    """What comes of a stream: its frames, their documents, the complaint that ended it, and what
    was left out.
    """
    reader = StreamReader()
    packets: list[Packet] = []
    complaint = ""
    left: list[str] = []
    for piece in pieces:
        try:
            packets += [event for event in reader.feed(piece) if isinstance(event, Packet)]
        except MediaError as error:
            complaint = f"{type(error).__name__}: {error}"
        left += [one.sentence for one in reader.left_out()]
        if complaint:
            break
    return (
        [(packet.timestamp, packet.data) for packet in packets],
        [packet.document for packet in packets],
        complaint,
        left,
    )


def in_pieces(stream: bytes, size: int, first: int = 0) -> list[bytes]:
    return cut(stream, range(first or size, len(stream), size))


# The same examples each time: once in some hundred, the end that an element claims falls by chance
# on a border of the next document, which then goes on as a part of the first one (docs/design.md).
ALWAYS_THE_SAME = True


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, derandomize=ALWAYS_THE_SAME)
@given(data=st.data())
def test_it_goes_on_with_the_next_document(name: str, data: st.DataObject) -> None:
    """Wherever the first one was cut off behind its first bytes."""
    one, wanted = recording(name), frames(name)
    at = data.draw(st.integers(50, len(one) - 1))
    size = data.draw(st.sampled_from(SIZES))
    found, documents, complaint, left = outcome(in_pieces(one[:at] + one, size))
    assert (found[-len(wanted) :], complaint) == (wanted, "")
    assert left.count(CUT_OFF) <= 1
    before = found[: -len(wanted)]
    assert len({*documents[len(before) :]}) == 1
    # That a frame was cut off shows only behind it. Where many share an mdat, some more may lie in
    # the beginning of the next document.
    wrong = [
        other for known, (_, other) in zip(wanted, before, strict=False) if known[1] != other
    ] + [other for _, other in before[len(wanted) :]]
    assert sum(map(len, wrong[1:])) < 256


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(data=st.data())
def test_cuts_do_not_matter(name: str, data: st.DataObject) -> None:
    """Several documents, of which each is cut off, bytes that are broken, and none of it depends on
    how they come.
    """
    stream = b""
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(20, 6_000))
        stream += recording(name)[:at]
    flips = data.draw(
        st.lists(st.tuples(st.integers(0, len(stream) - 1), st.integers(0, 255)), max_size=2)
    )
    broken = bytearray(stream)
    for place, value in flips:
        broken[place] = value
    stream = bytes(broken)
    size, first = data.draw(st.integers(1, 99)), data.draw(st.integers(1, 3_000))
    whole, cuts, large = (
        outcome([stream]),
        outcome(in_pieces(stream, size)),
        outcome(in_pieces(stream, 10_000, first)),
    )
    assert whole[2] == cuts[2] == large[2]
    if whole[2]:
        assert cuts[0][: len(whole[0])] == whole[0]
        assert cuts[0][: len(large[0])] == large[0]
    else:
        assert whole == cuts == large


@pytest.mark.parametrize("name", ["chromium-vp8.webm", "frames.mp4", "ffmpeg-safari-like.mp4"])
@settings(max_examples=10)
@given(data=st.data())
def test_what_a_frame_holds_is_its_own(name: str, data: st.DataObject) -> None:
    """Frames may have a whole document in them, or a part of one: as long as the next element is
    right, it is a frame.
    """
    events = StreamReader().feed(recording(name))
    track = next(event for event in events if isinstance(event, Track))
    first = next(
        event for event in events if isinstance(event, Packet) and event.track.kind is track.kind
    )
    webm = track.codec in (track.codec.VP8, track.codec.VP9)
    out = writer(track, 1, 0)
    begin = out.init() + out.fragment(first)
    stream, wanted = begin, []
    for number in range(data.draw(st.integers(1, 5))):
        part = recording(name)[: data.draw(st.integers(4, 3_000))]
        frame = b"\x11" + part if webm else (len(part) + 1).to_bytes(4, "big") + b"\x41" + part
        wanted.append(frame)
        stream += out.fragment(Packet(track, first.timestamp + 40_000 * (number + 1), False, frame))
    for size in (1, *SIZES):
        if size > 1 or len(stream) < 2_000:
            found, _, complaint, left = outcome(in_pieces(stream, size))
            assert ([frame for _, frame in found[1:]], complaint, left) == (wanted, "", [])


def three(frame: bytes) -> bytes:
    """A fragment of three frames."""
    each = (40_000).to_bytes(4, "big") + len(frame).to_bytes(4, "big")
    tfhd = box(b"tfhd", (0x020000).to_bytes(4, "big") + (1).to_bytes(4, "big"))
    tfdt = box(b"tfdt", bytes(4) + (500_000).to_bytes(4, "big"))
    trun = box(
        b"trun",
        (0x301).to_bytes(4, "big") + (3).to_bytes(4, "big") + (116).to_bytes(4, "big") + each * 3,
    )
    moof = box(b"moof", box(b"mfhd", bytes(8)) + box(b"traf", tfhd + tfdt + trun))
    assert len(moof) == 108
    return moof + box(b"mdat", frame * 3)


def test_what_a_frame_holds_is_its_own_where_many_share_an_mdat() -> None:
    """Each of three frames has a whole document in it; behind them comes what may do so."""
    one = recording("frames.mp4")
    begin = one[: one.index(b"moof", one.index(b"moof") + 4) - 4]
    frame = (1_000).to_bytes(4, "big") + b"\x41" + one[:999]
    stream = begin + three(frame) + box(b"free", bytes(8))
    for size in SIZES:
        found, _, complaint, left = outcome(in_pieces(stream, size))
        assert ([data for _, data in found[1:]], complaint, left) == ([frame] * 3, "", [])


def test_frames_behind_the_next_document_in_an_mdat_are_none() -> None:
    one, wanted = recording("frames.mp4"), frames("frames.mp4")
    begin = one[: one.index(b"moof", one.index(b"moof") + 4) - 4]
    frame = (1_000).to_bytes(4, "big") + b"\x41" + bytes(999)
    torn = (begin + three(frame))[:-1500]
    for size in SIZES:
        found, _, complaint, left = outcome(in_pieces(torn + one, size))
        # The first of the three was whole; the second has the other document in it.
        assert ([data for _, data in found[1:2]], found[2:], complaint, left) == (
            [frame],
            wanted,
            "",
            [CUT_OFF],
        )


@pytest.mark.parametrize(
    "first", ["chromium-vp8.webm", "firefox-av.webm", "frames.mp4", "webkit-av.mp4"]
)
@settings(max_examples=10, derandomize=ALWAYS_THE_SAME)
@given(data=st.data())
def test_another_recorder_may_begin(first: str, data: st.DataObject) -> None:
    second = data.draw(st.sampled_from([name for name in NAMES if name[-4:] == first[-4:]]))
    at = data.draw(st.integers(2_000, len(recording(first)) - 1))
    found, _, complaint, _ = outcome(
        in_pieces(recording(first)[:at] + recording(second), data.draw(st.sampled_from(SIZES)))
    )
    wanted = frames(second)
    assert (found[-len(wanted) :], complaint) == (wanted, "")


@pytest.mark.parametrize(
    ("name", "passed"),
    [("chromium-vp8.webm", b"\xec\x43\xe8"), ("frames.mp4", b"\0\0\x03\xe8free")],
)
def test_a_document_that_begins_in_what_is_only_passed_over(name: str, passed: bytes) -> None:
    """As one whose end was being written: a thousand bytes are claimed, and 50 of them have
    come.
    """
    one, wanted = recording(name), frames(name)
    whole = one[: one.index(wanted[-1][1]) + len(wanted[-1][1])]
    for size in SIZES:
        assert outcome(in_pieces(whole + passed + bytes(50) + one, size))[0] == wanted + wanted


def test_a_void_behind_a_frame_is_right() -> None:
    one = recording("chromium-vp8.webm")
    cluster = Id.CLUSTER.to_bytes(4, "big") + b"\xff" + ebml.element(Id.TIMESTAMP, b"\7")
    frame = b"\x81\0\0\0" + b"\x11" + one[:500]
    stream = (
        one[: one.index(Id.CLUSTER.to_bytes(4, "big"))]
        + cluster
        + ebml.element(Id.SIMPLE_BLOCK, b"\x81\0\0\x80" + frames("chromium-vp8.webm")[0][1])
    )
    stream += (ebml.element(Id.SIMPLE_BLOCK, frame) + ebml.element(Id.VOID, bytes(9))) * 3
    for size in SIZES:
        found, _, complaint, left = outcome(in_pieces(stream, size))
        assert ([data for _, data in found[1:]], complaint, left) == ([frame[4:]] * 3, "", [])


@pytest.mark.parametrize("name", ["chromium-vp8.webm", "frames.mp4"])
def test_what_is_broken_and_has_no_other_beginning_is_refused(name: str) -> None:
    one, wanted = recording(name), frames(name)
    place = one.index(wanted[5][1]) + len(wanted[5][1])
    for size in SIZES:
        assert "Error" in outcome(in_pieces(one[:place] + b"\0" * 200, size))[2]


@pytest.mark.parametrize("name", ["chromium-vp8.webm", "frames.mp4"])
def test_many_beginnings_are_too_much_work(name: str) -> None:
    """A hostile camera's bytes cost no more than any others: beginnings without number in one
    frame, each of which is believed.
    """
    one = recording(name)
    if name.endswith("webm"):
        part = one[:40] + b"\xec\x10\x00\x00\x00"
        inner = b"".join(
            one[:36] + b"\xec\x10" + (0x300000 - 45 * number).to_bytes(3, "big")
            for number in range(20_000)
        )
        element = b"\xa3\x10\x30\0\0" + b"\x81\0\0\x80" + inner + part
    else:
        inner = (one[:24] + b"\0\x03\0\0free") * 20_000
        track = next(event for event in StreamReader().feed(one) if isinstance(event, Track))
        frame = (len(inner) + 1).to_bytes(4, "big") + b"\x41" + inner
        element = writer(track, 1, 0).fragment(Packet(track, 10**7, False, frame))
    reader, work = StreamReader(), Work()
    reader.feed(one if name.endswith("mp4") else one[: one.rindex(b"\xa3")])
    try:
        reader.feed(element + b"\x00\xff" * 2**19, work)
    except MediaLimitError:
        assert work.left < 0
    except MediaError:
        assert MOST - work.left > len(element) // 2**10


class Searched:
    """A pattern that counts the bytes that were searched for it."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self.bytes = 0

    def search(self, data: bytes, begin: int, end: int) -> re.Match[bytes] | None:
        found = self._pattern.search(data, begin, end)
        self.bytes += max(0, (found.end() if found else min(end, len(data))) - begin)
        return found


@pytest.mark.parametrize(
    ("form", "mark"),
    [(MP4, b"moov"), (MP4, b"ftyp"), (WEBM, b"\x1a\x45\xdf\xa3")],
    ids=["moov", "ftyp", "ebml"],
)
def test_what_was_searched_once_is_not_searched_again(form: Beginning, mark: bytes) -> None:
    """However many marks there are that begin nothing, and wherever the other one is missing."""
    counter = Searched(form.mark)
    kept = b"A" + (b"xxxx" + mark) * 500 + b"A" * 100_000
    assert (
        replace(form, mark=cast("re.Pattern[bytes]", counter))
        .find(kept, bytes(100), 8, Work())
        .place
        is None
    )
    assert len(kept) - 4 <= counter.bytes < len(kept) + 5 * 500


def test_only_so_much_of_what_is_passed_over_is_kept() -> None:
    reader = StreamReader()
    reader.feed(recording("chromium-vp8.webm"))
    reader.feed(ebml.element(Id.VOID, bytes(4 * MAX_KEPT))[: 2 * MAX_KEPT])
    assert reader.held < 2 * MAX_KEPT


@given(
    kept=st.binary(max_size=90),
    came=st.binary(max_size=90),
    form=st.sampled_from([WEBM, MP4]),
    reach=st.integers(0, 60),
)
@example(kept=b"", came=b"", form=MP4, reach=0)
def test_a_beginning_is_known_once_and_for_all(
    kept: bytes, came: bytes, form: object, reach: int
) -> None:
    """More bytes change nothing, once it is known whether one begins."""
    beginning = WEBM if form is WEBM else MP4
    head = recording("chromium-vp8.webm" if form is WEBM else "frames.mp4")[:79]
    for whole in (came, came[:20] + head, came[:20] + head[:6] + came[20:]):
        answers = [
            beginning.find(kept, whole[:count], min(reach, count), Work())
            for count in range(min(reach, len(whole)), len(whole) + 1)
        ]
        known = [*itertools.dropwhile(lambda answer: answer.needed > 0, answers)]
        assert len({*known}) <= 1
        for count, answer in enumerate(answers, min(reach, len(whole))):
            assert answer.needed == 0 or answer.needed > count
