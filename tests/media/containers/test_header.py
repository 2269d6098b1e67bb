"""drawercam.media.containers.header, in both containers: one bad track is no reason to refuse the
others.
"""

from __future__ import annotations

import io
import itertools
import re
from typing import Any

import av
import pytest

from drawercam.media.containers import ebml
from drawercam.media.containers.detect import StreamReader
from drawercam.media.containers.matroska import Id
from drawercam.media.containers.mp4 import Mp4Reader
from drawercam.media.containers.webm import WebmReader
from drawercam.media.packets import Codec, Kind, LeftOut, MediaError, Packet, Track
from tests.media.containers.test_mp4 import (
    OPUS_ENTRY,
    agrees,
    box,
    fragment_of,
    handmade_init,
    movie,
    record,
    trak,
    u32,
)
from tests.media.containers.test_webm import (
    OPUS,
    SOUND,
    VIDEO,
    VP8_KEY,
    cluster,
    entry,
    head,
    laced,
    simple,
)


def take(data: bytes) -> tuple[list[Packet], list[LeftOut]]:
    """The packets of a stream, the same in one piece and in many, and what is left out."""
    reader = StreamReader()
    found = [event for event in reader.feed(data) if isinstance(event, Packet)]
    left = reader.left_out()
    again = StreamReader()
    events = [
        event for begin in range(0, len(data), 7) for event in again.feed(data[begin : begin + 7])
    ]
    assert [event for event in events if isinstance(event, Packet)] == found
    assert again.left_out() == left
    return found, left


def kinds(packets: list[Packet]) -> list[Kind]:
    return [packet.track.kind for packet in packets]


COMPRESSED = ebml.element(Id.CONTENT_ENCODINGS, b"")
BAD_SOUNDS = {
    "AAC without a configuration": (entry(2, 2, b"A_AAC"), "AAC configuration"),
    "another codec": (entry(2, 2, b"A_VORBIS"), "A_VORBIS"),
    "compressed": (entry(2, 2, b"A_OPUS", COMPRESSED), "compressed"),
    "an impossible rate": (
        entry(2, 2, b"A_OPUS", ebml.element(Id.AUDIO, ebml.element(Id.CHANNELS, b"\0"))),
        "channel count",
    ),
    "not even an entry": (ebml.element(Id.TRACK_ENTRY, b"\xd7\x88"), "EBML"),
}


@pytest.mark.parametrize(("sound", "why"), BAD_SOUNDS.values(), ids=BAD_SOUNDS.keys())
@pytest.mark.parametrize("first", [False, True])
def test_a_track_that_cannot_be_read_is_left_out_with_a_sentence(
    sound: bytes, why: str, first: bool
) -> None:
    media = cluster(0, simple(VP8_KEY), simple(b"sound", track=2))
    found, left = take(head(*((sound, VIDEO) if first else (VIDEO, sound))) + media)
    assert kinds(found) == [Kind.VIDEO]
    assert len(left) == 1 and why in left[0].sentence and "left out" in left[0].sentence


def test_tracks_of_other_kinds_need_no_words() -> None:
    subtitles = entry(3, 17, b"S_TEXT/UTF8", COMPRESSED)
    found, left = take(head(subtitles, VIDEO) + cluster(0, simple(b"hi", track=3), simple(VP8_KEY)))
    assert kinds(found) == [Kind.VIDEO] and not left


def test_of_several_readable_tracks_the_first_of_each_kind_counts() -> None:
    bad, good, third = (
        entry(4, 1, b"V_MPEGH/ISO/HEVC"),
        entry(5, 1, b"V_VP8"),
        entry(6, 1, b"V_VP8"),
    )
    blocks = (simple(b"bad", track=4), simple(VP8_KEY, track=5), simple(VP8_KEY + b"!", track=6))
    found, left = take(head(bad, good, third) + cluster(0, *blocks))
    assert [packet.data for packet in found] == [VP8_KEY]
    assert [one.kind for one in left] == [None], "there are pictures after all"
    assert "V_MPEGH/ISO/HEVC" in left[0].sentence


def test_where_none_can_be_read_all_sentences_are_said() -> None:
    with pytest.raises(
        MediaError,
        match=r"no track .*track 1 \(pictures\).*V_THEORA.*track 2 \(sound\).*AAC configuration",
    ):
        StreamReader().feed(head(entry(1, 1, b"V_THEORA"), entry(2, 2, b"A_AAC")))
    hevc = trak(1, b"vide", box(b"hvc1", bytes(78)))
    with pytest.raises(
        MediaError, match=r"no track .*track 1 \(pictures\).*'hvc1'.*track 2 \(sound\).*'ac-3'"
    ):
        StreamReader().feed(movie(hevc, trak(2, entry=box(b"ac-3", bytes(28)))))


def test_sound_whose_pictures_cannot_be_read_says_that_these_are_missing() -> None:
    found, left = take(head(entry(1, 1, b"V_THEORA"), SOUND) + cluster(0, simple(OPUS[0], track=2)))
    assert kinds(found) == [Kind.AUDIO] and [one.kind for one in left] == [Kind.VIDEO]


def test_a_track_that_breaks_ends_alone_and_goes_on_at_its_next_good_keyframe() -> None:
    data = record("h264", "aac")
    with av.open(io.BytesIO(data)) as file:
        container: Any = file
        sizes = [packet.size for packet in container.demux(video=0) if packet.size]
    reader = StreamReader()
    pictures = [
        event
        for event in reader.feed(data)
        if isinstance(event, Packet) and event.track.kind is Kind.VIDEO
    ]
    assert [packet.key for packet in pictures[:11]] == [True, *[False] * 4] * 2 + [True]
    place = data.index(pictures[6].data)  # the second of the second group
    assert sizes[6] == len(pictures[6].data)
    broken = data[:place] + b"\xff" * 4 + data[place + 4 :]
    found, left = take(broken)
    whole, _ = take(data)
    assert [packet.data for packet in found if packet.track.kind is Kind.AUDIO] == [
        packet.data for packet in whole if packet.track.kind is Kind.AUDIO
    ]
    assert [packet.data for packet in found if packet.track.kind is Kind.VIDEO] == [
        one.data for one in (*pictures[:6], *pictures[10:])
    ]
    assert [one.kind for one in left] == [Kind.VIDEO] and "broke" in left[0].sentence
    events = StreamReader().feed(broken)
    tracks = [event for event in events if isinstance(event, Track) and event.kind is Kind.VIDEO]
    assert len(tracks) == 2 and tracks[0] == tracks[1], "it is said anew when it goes on"


def test_a_laced_block_that_is_broken_is_its_tracks_affair() -> None:
    good = simple(laced(0x02), track=2, flags=0x82)
    media = cluster(0, simple(VP8_KEY), simple(b"\x03", track=2, flags=0x82), simple(VP8_KEY), good)
    found, left = take(head(VIDEO, SOUND) + media)
    assert kinds(found) == [Kind.VIDEO] * 2 + [Kind.AUDIO] * 4 and len(left) == 1


def test_when_the_last_track_breaks_too_all_sentences_are_said() -> None:
    h264 = entry(1, 1, b"V_MPEG4/ISO/AVC")
    media = cluster(0, simple(b"\x03", track=2, flags=0x82), simple(b"\xff" * 9))
    with pytest.raises(
        MediaError, match=r"no track .*track 2 \(sound\).*laced.*track 1 \(pictures\).*H\.264"
    ):
        take(head(h264, SOUND) + media)


def test_an_mp4_track_with_an_impossible_time_or_another_description_breaks_alone() -> None:
    init = movie(
        trak(1, entry=OPUS_ENTRY), trak(2, b"vide", box(b"vp08", bytes(78))), trex=(1, 1, 20, 3, 0)
    )
    later = fragment_of([(3, 2**31 - 1)], b"abc", 50)
    pictures = fragment_of([(len(VP8_KEY), 0)], VP8_KEY, 50).replace(
        b"tfhd\0\2\0\0" + u32(1), b"tfhd\0\2\0\0" + u32(2)
    )
    found, left = take(init + later + pictures)
    assert (
        kinds(found) == [Kind.VIDEO]
        and [one.kind for one in left] == [Kind.AUDIO]
        and "impossible time" in left[0].sentence
    )
    other = movie(
        trak(1, entry=OPUS_ENTRY), trak(2, b"vide", box(b"vp08", bytes(78))), trex=(1, 2, 20, 3, 0)
    )
    found, left = take(other + fragment_of([(3, 0)], b"abc", 50) + pictures)
    assert kinds(found) == [Kind.VIDEO] and "sample description" in left[0].sentence


def test_a_trak_of_which_nothing_can_be_told_is_left_out() -> None:
    found, left = take(
        movie(box(b"trak", b"\0\0\0\x09tkhd\0"), trak(1, entry=OPUS_ENTRY))
        + fragment_of([(3, 0)], b"abc", 50)
    )
    assert kinds(found) == [Kind.AUDIO] and "too short" in left[0].sentence


@pytest.mark.parametrize("without", [b"\x05\x80\x80\x80", b"esds"])
def test_mp4_sound_without_a_configuration(without: bytes) -> None:
    data = record("h264", "aac")
    found, left = take(data.replace(without, b"\x7f" + without[1:], 1))
    assert kinds(found) == [Kind.VIDEO] * 20 and [one.kind for one in left] == [Kind.AUDIO]


def test_quicktimes_sound_descriptions() -> None:
    """Version 1, with esds in a box "wave", as libavformat writes it; and version 2, made of
    that.
    """
    target = io.BytesIO()
    with av.open(
        target,
        "w",
        format="mov",
        options={"movflags": "frag_keyframe+empty_moov+default_base_moof"},
    ) as container:
        stream: Any = container.add_stream("aac", rate=44100)
        stream.layout = "stereo"
        for _ in range(20):
            frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
            frame.planes[0].update(bytes(4096))
            frame.planes[1].update(bytes(4096))
            frame.sample_rate = 44100
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = target.getvalue()
    assert b"wave" in data
    agrees(data, Kind.AUDIO)
    assert take(data)[0][0].track.codec is Codec.AAC
    # 20 more bytes in version 2: in the description itself, and in all boxes around it.
    at = data.index(b"mp4a")
    longer = bytearray(data[: at + 48] + bytes(20) + data[at + 48 :])
    longer[at + 13] = 2
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"mp4a"):
        place = longer.index(kind) - 4
        longer[place : place + 4] = u32(int.from_bytes(longer[place : place + 4], "big") + 20)
    assert [packet.data for packet in take(bytes(longer))[0]] == [
        packet.data for packet in take(data)[0]
    ]


def test_a_second_document_leaves_out_its_own_tracks() -> None:
    first = head(VIDEO, SOUND) + cluster(0, simple(VP8_KEY), simple(OPUS[0], track=2))
    second = head(VIDEO, entry(2, 2, b"A_AAC")) + cluster(
        0, simple(VP8_KEY), simple(OPUS[0], track=2)
    )
    reader = StreamReader()
    assert reader.kinds is None
    events = reader.feed(first)
    assert reader.kinds == {Kind.VIDEO, Kind.AUDIO}
    events += reader.feed(second)
    assert reader.kinds == {Kind.VIDEO}
    found = [event for event in events if isinstance(event, Packet)]
    assert kinds(found) == [Kind.VIDEO, Kind.AUDIO, Kind.VIDEO]
    assert [packet.document for packet in found] == [0, 0, 1]
    assert [one.kind for one in reader.left_out()] == [Kind.AUDIO] and not reader.left_out()


def test_what_nobody_asks_for_is_kept_in_bounds() -> None:
    reader = StreamReader()
    header = head(VIDEO, entry(2, 2, b"A_AAC"))
    for _ in range(200):
        reader.feed(header)
    assert 0 < len(reader.left_out()) < 100


def test_steps_of_laced_frames_are_those_of_the_track() -> None:
    """HE-AAC with SBR that is signalled: 2048 samples at 48 kHz a frame, whether DefaultDuration
    says so or not.
    """
    config = ebml.element(Id.CODEC_PRIVATE, bytes.fromhex("2b098800"))
    told = ebml.element(Id.DEFAULT_DURATION, ebml.uint(42_666_667))
    fixed = b"\x07" + bytes(80)
    for extra in (config, config + told):
        events, _ = take(
            head(entry(2, 2, b"A_AAC", extra)) + cluster(1000, simple(fixed, track=2, flags=0x84))
        )
        assert [packet.duration for packet in events] == [42_667] * 8
        steps = [after.timestamp - before.timestamp for before, after in itertools.pairwise(events)]
        assert set(steps) <= {42_666, 42_667} and sum(steps) == 298_666


def test_a_default_duration_counts_more_than_a_guess_and_less_than_what_opus_says() -> None:
    plain = ebml.element(Id.CODEC_PRIVATE, b"\x12\x10") + ebml.element(
        Id.DEFAULT_DURATION, ebml.uint(46_439_909)
    )
    events, _ = take(head(entry(2, 2, b"A_AAC", plain)) + cluster(0, simple(b"frame", track=2)))
    assert [packet.duration for packet in events] == [46_440], (
        "SBR that is not signalled, as its recorder knows"
    )
    wrong = entry(2, 2, b"A_OPUS", ebml.element(Id.DEFAULT_DURATION, ebml.uint(60_000_000)))
    events, _ = take(head(wrong) + cluster(0, simple(laced(0x06), track=2, flags=0x86)))
    assert [packet.timestamp for packet in events] == [0, 20_000, 40_000, 60_000]


def test_a_beginning_of_any_kind() -> None:
    for kind in (b"prft", b"emsg", b"uuid", b"free", b"skip", b"wide", b"sidx", b"styp", b"pdin"):
        found, _ = take(box(kind, bytes(24)) + handmade_init() + fragment_of([(3, 0)], b"abc", 50))
        assert [packet.data for packet in found] == [b"abc"]


@pytest.mark.parametrize("reader", [Mp4Reader(), WebmReader()], ids=["mp4", "webm"])
def test_a_reader_that_is_broken_keeps_nothing_of_what_broke_it(
    reader: Mp4Reader | WebmReader,
) -> None:
    """It raises the same again; frames that an error remembers would hold their bytes until the
    collector looks for circles.
    """
    with pytest.raises(MediaError) as first:
        reader.feed(bytes(2**20))
    assert reader._error is not None and reader._error.__traceback__ is None
    with pytest.raises(MediaError, match=re.escape(str(first.value))):
        reader.feed(b"")
    assert reader.held < 1000
