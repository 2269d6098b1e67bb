"""A document that is cut off amid an element, and the next one behind it: it goes on with that, in WebM and in MP4."""

from __future__ import annotations

import functools
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawercam.media.beginnings import MAX_KEPT, MP4, WEBM
from drawercam.media.containers import StreamReader, writer
from drawercam.media.packets import Codec, Kind, MediaError, MediaLimitError, Packet, Track
from drawercam.media.webm import Id
from drawercam.media.work import MOST, Work
from tests.media.samples import RECORDINGS, cut

FORMS = {"webm": WEBM, "mp4": MP4}

# WebM of several browsers, and MP4 with one sample in a fragment, with many, and with a track of each kind.
NAMES = [
    "chromium-vp8.webm",
    "chromium-av.webm",
    "firefox-av.webm",
    "chromium-h264.webm",
    "chromium-mp4.mp4",
    "ffmpeg-safari-like.mp4",
    "frames.mp4",
]


@functools.cache
def recording(name: str) -> bytes:
    if name != "frames.mp4":
        return (RECORDINGS / name).read_bytes()
    events = StreamReader().feed((RECORDINGS / "chromium-h264.webm").read_bytes())
    track = next(event for event in events if isinstance(event, Track))
    out = writer(track, 1, 0)
    return out.init() + b"".join(out.fragment(event) for event in events if isinstance(event, Packet))


@functools.cache
def frames(name: str) -> list[bytes]:
    """Of a recording: the frames of one document."""
    return [event.data for event in StreamReader().feed(recording(name)) if isinstance(event, Packet)]


def read(pieces: list[bytes]) -> list[Packet]:
    reader = StreamReader()
    return [event for piece in pieces for event in reader.feed(piece) if isinstance(event, Packet)]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(data=st.data())
def test_it_goes_on_with_the_next_document(name: str, data: st.DataObject) -> None:
    """Wherever the first one was cut off behind its first bytes, and however all comes."""
    one, wanted = recording(name), frames(name)
    at = data.draw(st.integers(100, len(one) - 1))
    size = data.draw(st.sampled_from([61, 1000, 16384, 2**30]))
    begin = data.draw(st.integers(1, size))
    both = one[:at] + one
    packets = read(cut(both, range(begin, len(both), size)))
    assert [packet.data for packet in packets[-len(wanted) :]] == wanted
    before = [packet.data for packet in packets[: -len(wanted)]]
    # What is seen too late to be none is one frame at most: what follows it looked as it should by chance, or had not come.
    assert sum(known != found for known, found in zip(wanted, before, strict=False)) <= 1
    assert len({packet.document for packet in packets[-len(wanted) :]}) == 1


@pytest.mark.parametrize("name", ["chromium-vp8.webm", "frames.mp4"])
def test_a_frame_that_has_swallowed_the_next_beginning_is_not_passed_on(name: str) -> None:
    one, wanted = recording(name), frames(name)
    place = one.index(wanted[5]) + len(wanted[5]) // 2
    assert [packet.data for packet in read([one[:place] + one])] == wanted[:5] + wanted


@pytest.mark.parametrize("name", ["chromium-vp8.webm", "frames.mp4"])
def test_a_beginning_that_has_come_in_part_is_waited_for(name: str) -> None:
    one, wanted = recording(name), frames(name)
    place = one.index(wanted[5]) + len(wanted[5]) - 3
    found = [packet.data for packet in read([one[:place], *(bytes([byte]) for byte in one[:70]), one[70:]])]
    # That its last bytes are others was not known yet.
    assert found == [*wanted[:5], wanted[5][:-3] + one[:3], *wanted]


@pytest.mark.parametrize(("name", "passed"), [("chromium-vp8.webm", b"\xec\x08\0\0\0\0\0\x20\0\0"), ("frames.mp4", b"\0\x20\0\0free")])
def test_a_document_that_begins_in_what_is_only_passed_over(name: str, passed: bytes) -> None:
    """As one whose end was being written: two mebibytes are claimed, and 50 bytes of them have come."""
    one, wanted = recording(name), frames(name)
    passed = passed.replace(b"\xec\x08", b"\xec\x01")
    for size in (7, 10**6):
        both = one + passed + bytes(50) + one
        assert [packet.data for packet in read(cut(both, range(size, len(both), size)))] == wanted + wanted


def test_a_film_within_a_film_stays_there() -> None:
    """An attachment may be a whole file."""
    one, wanted = recording("chromium-vp8.webm"), frames("chromium-vp8.webm")
    attached = Id.ATTACHMENTS.to_bytes(4, "big") + b"\x08" + len(one).to_bytes(4, "big") + one
    attached = Id.ATTACHMENTS.to_bytes(4, "big") + (2**28 | len(one)).to_bytes(4, "big") + one
    both = one + attached
    for size in (1000, 10**6):
        assert [packet.data for packet in read(cut(both, range(size, len(both), size)))] == wanted


@pytest.mark.parametrize("name", ["chromium-vp8.webm", "frames.mp4"])
def test_what_is_broken_and_has_no_other_beginning_is_refused(name: str) -> None:
    one, wanted = recording(name), frames(name)
    place = one.index(wanted[5]) + len(wanted[5])
    with pytest.raises(MediaError):
        read([one[:place] + b"\0" * 200])


@pytest.mark.parametrize("name", ["chromium-vp8.webm", "frames.mp4"])
@pytest.mark.parametrize("again", [1, 300])
def test_many_beginnings_are_too_much_work(name: str, again: int) -> None:
    """A hostile camera's bytes cost no more than any others: beginnings without number in one frame, of which each is believed, or none."""
    one = recording(name)
    form = FORMS[name.rsplit(".", 1)[1]]
    head = one[: 40 if form is WEBM else 24]
    inner = (head if again == 1 else form.mark) * (2**19 // len(head))
    track = Track(Codec.VP8, "vp8", width=16, height=16)
    whole = inner + b"\xff" * 64
    element = b"\xa3" + (2**28 | len(whole) + 4).to_bytes(4, "big") + b"\x81\0\0\x80" + whole
    work = Work()
    reader = StreamReader()
    reader.feed(one if form is WEBM else one + (8 + len(whole)).to_bytes(4, "big") + b"free" + whole)
    try:
        reader.feed((element if form is WEBM else b"") + b"\x00\xff" * 50, work)
    except MediaLimitError:
        assert work.left < 0
    except MediaError:
        assert MOST - work.left > len(whole) // 2**10
    assert track.kind is Kind.VIDEO


def test_only_so_much_is_kept() -> None:
    reader = StreamReader()
    reader.feed(recording("chromium-vp8.webm"))
    frame = b"\x81\0\0\x80" + bytes(2 * MAX_KEPT)
    block = b"\xa3" + (2**28 | len(frame)).to_bytes(4, "big") + frame
    reader.feed(block)
    assert reader.held < MAX_KEPT


@given(st.binary(max_size=200), st.sampled_from([WEBM, MP4]), st.integers(-1, 200))
def test_a_beginning_is_found_once_it_is_whole(data: bytes, form: object, known: int) -> None:
    """Never before the rest of it could still be another; and never where it is known."""
    assert form in (WEBM, MP4)
    begin = {WEBM: recording("chromium-vp8.webm")[:64], MP4: recording("frames.mp4")[:24]}[form]
    found = [(WEBM if form is WEBM else MP4).find(data + begin[:count], Work(), known) for count in range(len(begin) + 1)]
    if known == len(data):
        return
    assert found[-1] is not None
    places = list(itertools.dropwhile(lambda place: place is None or place < 0, found))
    assert len(set(places)) == 1
