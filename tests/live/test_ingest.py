"""A camera's streams, up to the channel."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.live.channel import TRACK_PAUSE, TRACKS_AT_ONCE, Channel
from drawercam.live.ingest import MAX_UNCOUNTED, Source
from drawercam.live.keyframes import FEW_PICTURES, KEYFRAME_INTERVAL
from drawercam.live.ledger import LEAST_WORK, Budget, Ledger
from drawercam.media import geometry
from drawercam.media.containers import ebml
from drawercam.media.containers.detect import StreamReader, writer
from drawercam.media.containers.matroska import Id
from drawercam.media.frame_layout import unwrap
from drawercam.media.packets import Codec, Kind, Packet, Track
from drawercam.media.work import MOST, MOST_AT_ONCE
from drawercam.protocol import messages as control
from drawercam.protocol.close_reasons import Reason, Refused
from tests.live.test_channel import Clock, FakeCamera, FakeViewer
from tests.media.containers.test_mp4 import box, record
from tests.media.containers.test_webm import VP8_KEY, cluster, entry, head, simple
from tests.media.samples import RECORDINGS, Recording, read, recordings
from tests.media.small_parts import VOID
from tests.media.small_parts import VP8 as HEAD
from tests.media.small_parts import VP9 as OTHER_HEAD
from tests.media.test_geometry import EIGHT, recorded

VP8 = (RECORDINGS / "chromium-vp8.webm").read_bytes()
OPUS = (RECORDINGS / "chromium-opus.webm").read_bytes()
BOTH = (RECORDINGS / "chromium-av.webm").read_bytes()
TURN_VP8 = (RECORDINGS / "chromium-turn-vp8.webm").read_bytes()
TURN_H264 = (RECORDINGS / "chromium-turn-h264.webm").read_bytes()


class Stage:
    def __init__(self) -> None:
        self.clock = Clock()
        self.channel = Channel("porch", self.clock, 0, lambda: None)
        self.camera = FakeCamera()
        self.channel.take(self.camera)
        self.viewer = FakeViewer()
        self.channel.join(self.viewer)
        self.source = Source(self.channel, self.clock)

    def send(self, number: int, data: bytes) -> None:
        for begin in range(0, len(data), 500):
            self.clock.time += 5_000
            self.source.feed(bytes([number]) + data[begin : begin + 500])

    @property
    def moments(self) -> list[int]:
        """Timestamps (ms) of the pictures on the wire."""
        return [
            unwrap(fragment.data)[0] // 1000
            for fragment in self.viewer.fragments
            if fragment.number == 1
        ]

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


@pytest.mark.parametrize(
    "data",
    [VP8, record("h264", movflags="frag_every_frame+empty_moov+default_base_moof")],
    ids=["webm", "mp4"],
)
@pytest.mark.parametrize("claimed", [False, True])
def test_a_document_that_begins_anew_goes_on_at_once(
    stage: Stage, data: bytes, claimed: bool
) -> None:
    """A recorder that was restarted counts from 0 again.

    Its pictures stay as far apart as they were, and follow what came before.
    """
    captured = [
        packet.timestamp
        for packet in read([data])
        if isinstance(packet, Packet) and packet.track.kind is Kind.VIDEO
    ]
    length = captured[-1] - captured[0]
    stage.clock.time = 10_000_000
    stage.source.begin(1, at=10_000_000 if claimed else None)
    for document in range(3):
        began = stage.clock.time
        for packet, piece in by_picture(data):
            stage.clock.time = began + packet
            stage.source.feed(b"\x01" + piece)
        pictures = stage.moments[len(captured) * document :]
        assert len(pictures) == len(captured)
        assert abs(pictures[-1] - pictures[0] - length // 1000) <= 2
        assert abs(pictures[-1] - stage.clock.time // 1000) <= 2, "nothing is late"
        stage.clock.time += 40_000
    begun = [
        message.kind for message in stage.viewer.told if isinstance(message, control.TrackBegins)
    ]
    assert len(begun) == len(set(begun)), "the tracks are the same ones"


@pytest.mark.parametrize(
    "data",
    [VP8, record("h264", movflags="frag_every_frame+empty_moov+default_base_moof")],
    ids=["webm", "mp4"],
)
def test_a_document_that_is_cut_off_amid_a_picture_goes_on_too(
    stage: Stage, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the next document's first pictures some come with what they were taken for.

    From then on, nothing is late.
    """
    pieces = [*by_picture(data)]
    stage.clock.time = 10_000_000
    stage.source.begin(1)
    with caplog.at_level("WARNING", "drawercam.live.ingest"):
        for _ in range(3):
            began = stage.clock.time
            for packet, piece in pieces[:-1]:
                stage.clock.time = began + packet
                stage.source.feed(b"\x01" + piece)
            stage.source.feed(b"\x01" + pieces[-1][1][: -min(200, len(pieces[-1][1]) // 2)])
            assert abs(stage.moments[-1] - stage.clock.time // 1000) <= 2, "nothing is late"
            stage.clock.time += 40_000
    assert stage.moments == sorted(stage.moments)
    assert len(stage.moments) >= 3 * len(pieces) - 8
    assert [record.getMessage().count("was cut off") for record in caplog.records] == [1, 1]
    assert stage.channel.report()["remarks"] == [], "it is over"


def by_picture(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Pieces of a stream that end with a picture, and when each was captured (µs)."""
    reader, begin = StreamReader(), 0
    for end in range(1, len(data) + 1):
        for event in reader.feed(data[end - 1 : end]):
            if isinstance(event, Packet) and event.track.kind is Kind.VIDEO:
                yield event.timestamp, data[begin:end]
                begin = end


def test_a_document_that_only_repeats_its_header_stays_where_it_is(stage: Stage) -> None:
    stage.source.begin(1, at=0)
    stage.clock.time = 1_000_000
    for number in range(4):
        stage.source.feed(b"\x01" + HEAD + cluster(1000 + 100 * number) + simple(VP8_KEY))
        stage.clock.time += 100_000 + 30_000 * number  # later and later
    assert stage.moments == [1000, 1100, 1200, 1300]


def test_a_document_with_other_tracks(stage: Stage) -> None:
    stage.source.begin(1)
    stage.send(1, BOTH)
    assert stage.channel.kinds == ["video", "audio"]
    stage.send(1, TURN_H264)  # another codec, another size in it, and no sound
    assert stage.channel.kinds == ["video"]
    assert [track["codec"][:4] for track in stage.channel.report()["tracks"]] == ["avc1"]
    stage.send(1, OPUS)
    assert stage.channel.kinds == ["audio"]
    stage.send(1, BOTH)
    assert stage.channel.kinds == ["video", "audio"]
    moments = stage.moments
    assert moments == sorted(moments)


def test_a_document_begins_from_a_keyframe(stage: Stage) -> None:
    data = record("h264")
    found = [event for event in read([data]) if isinstance(event, Packet)]
    out = writer(found[0].track, 1, 0)
    first = out.init() + b"".join(map(out.fragment, found[:3]))
    second = out.init() + b"".join(
        map(out.fragment, found[3:8])
    )  # the third of these is a keyframe
    stage.source.begin(1)
    stage.send(1, first + second)
    assert [fragment.key for fragment in stage.viewer.fragments] == [
        True,
        False,
        False,
        True,
        False,
        False,
    ]


def test_a_track_that_is_left_out_is_said_and_forgotten_with_its_document(stage: Stage) -> None:
    bad = head(entry(1, 1, b"V_VP8"), entry(2, 2, b"A_AAC"))
    stage.source.begin(1)
    stage.source.feed(b"\x01" + bad + cluster(0) + simple(VP8_KEY))
    assert stage.channel.kinds == ["video"]
    assert [remark[:35] for remark in stage.channel.report()["remarks"]] == [
        "One track is left out, track 2 (sou"
    ]
    stage.source.feed(b"\x01" + HEAD + cluster(0) + simple(VP8_KEY))
    assert stage.channel.report()["remarks"] == []
    stage.source.feed(b"\x01" + bad)
    stage.source.begin(1)
    assert stage.channel.report()["remarks"] == []


def test_many_streams_with_tracks_that_are_left_out_say_no_more_than_people_read(
    stage: Stage,
) -> None:
    bad = head(entry(1, 1, b"V_VP8"), entry(2, 2, b"A_AAC"))
    for number in range(1, 21):
        stage.source.begin(number)
        stage.source.feed(bytes((number,)) + bad)
    assert len(stage.channel.report()["remarks"]) == 8


def test_a_track_that_breaks_ends_alone_and_begins_again(stage: Stage) -> None:
    data = record("h264", "aac")
    pictures = [
        event
        for event in read([data])
        if isinstance(event, Packet) and event.track.kind is Kind.VIDEO
    ]
    place = data.index(pictures[6].data)
    stage.source.begin(1)
    stage.send(1, data[:place] + b"\xff" * 4)
    stage.send(1, data[place + 4 : place + len(pictures[6].data)])
    assert stage.channel.kinds == ["audio"]
    assert control.TrackEnds(1) in stage.viewer.told
    stage.send(1, data[place + len(pictures[6].data) :])
    assert stage.channel.kinds == ["video", "audio"]
    assert stage.numbers.count(1) == 6 + 10


def test_where_a_stream_is_the_whole_camera_its_pictures_must_be_readable(stage: Stage) -> None:
    sound_of_a_film = head(entry(1, 1, b"V_THEORA"), entry(2, 2, b"A_OPUS"))
    stage.source.begin(1)
    stage.source.feed(
        b"\x01" + sound_of_a_film
    )  # a page's recorder of sound may be beside one of pictures
    whole = Source(stage.channel, stage.clock, whole=True)
    whole.begin(1)
    whole.feed(b"\x01" + OPUS)
    whole.begin(1)
    with pytest.raises(Refused, match=r"pictures cannot be read.*V_THEORA") as refused:
        whole.feed(b"\x01" + sound_of_a_film)
    assert refused.value.closing.reason is Reason.BAD_MEDIA


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


def test_what_the_camera_knows_of_the_time_of_capture_counts() -> None:
    """The same bytes at the same times: by their arrival, by a known delay, by a known zero."""
    moments = []
    for at, delay in ((None, None), (None, 40_000), (53_000_000, 40_000), (-(10**9), 40_000)):
        stage = Stage()
        stage.clock.time = 60_000_000
        stage.source.begin(1, at=at, delay=delay)
        stage.send(1, VP8)
        moments.append(stage.moments)
    captured = [packet.timestamp // 1000 for packet in read([VP8]) if isinstance(packet, Packet)]
    captured[1] += 1  # the recorder says 0 twice; on the wire no picture replaces another
    assert moments[1] == [moment - 40 for moment in moments[0]]
    assert moments[2] == [moment + 53_000 for moment in captured]
    assert moments[3] == moments[1], "a zero that cannot be is not believed"


def test_what_the_streams_recorder_can_do_reaches_the_channel(stage: Stage) -> None:
    for number, keyframes in ((1, True), (2, False)):
        stage.source.begin(number, keyframes=keyframes)
    stage.send(2, OPUS)  # its recorder makes no picture, so it does not matter what it can do
    stage.send(1, VP8)
    pictures = len(stage.numbers) - stage.numbers.count(2)
    last_key = max(
        index
        for index, one in enumerate(one for one in stage.viewer.fragments if one.number == 1)
        if one.key
    )
    assert pictures - 1 - last_key > FEW_PICTURES, "the recording is long enough"
    stage.channel.join(FakeViewer())
    assert stage.camera.wishes == 1
    stage.source.begin(1)  # another recorder
    stage.send(1, VP8)
    stage.clock.time += KEYFRAME_INTERVAL
    stage.channel.join(FakeViewer())
    assert stage.camera.wishes == 1


@functools.cache
def turned_file(codec: Codec, rotation: int, flip: bool) -> bytes:
    """FFmpeg's file, which says so itself."""
    return recorded(
        codec, "mp4" if codec is Codec.H264 else "matroska", matrix=geometry.matrix(rotation, flip)
    )


@given(
    st.sampled_from([Codec.VP8, Codec.H264]),
    st.sampled_from(EIGHT),
    st.sampled_from(EIGHT),
    st.booleans(),
)
def test_a_turn_that_a_camera_states_counts_where_its_stream_states_none(
    codec: Codec, told: tuple[int, bool], contained: tuple[int, bool], anew: bool
) -> None:
    """Also for a document that begins anew, and not for a stream of which nothing was said."""
    stage = Stage()
    stage.source.begin(1, rotation=told[0], flip=told[1])
    for _ in range(1 + anew):
        stage.send(1, turned_file(codec, *contained))
    begins = [message for message in stage.viewer.told if isinstance(message, control.TrackBegins)]
    expected = told if contained == (0, False) else contained
    assert {(one.rotation or 0, one.flip or False) for one in begins} == {expected}
    assert stage.numbers, "pictures have come"
    stage.source.begin(1)  # an older camera
    stage.send(1, turned_file(codec, *contained))
    last = [message for message in stage.viewer.told if isinstance(message, control.TrackBegins)][
        -1
    ]
    assert (last.rotation or 0, last.flip or False) == contained


def test_sound_is_not_turned(stage: Stage) -> None:
    stage.source.begin(1, rotation=90, flip=True)
    stage.send(1, OPUS)
    (begins,) = (
        message for message in stage.viewer.told if isinstance(message, control.TrackBegins)
    )
    assert (begins.kind, begins.rotation, begins.flip) == ("audio", None, None)


@pytest.mark.parametrize(("data", "tracks"), [(TURN_VP8, 1), (TURN_H264, 2)], ids=["vp8", "h264"])
def test_a_recording_of_a_phone_that_is_turned(stage: Stage, data: bytes, tracks: int) -> None:
    stage.source.begin(1)
    stage.send(1, data)
    packets = [event for event in read([data]) if isinstance(event, Packet)]
    assert len(stage.numbers) == len(packets)
    begins = [message for message in stage.viewer.told if isinstance(message, control.TrackBegins)]
    assert len(begins) == tracks
    sizes = list(dict.fromkeys((packet.track.width, packet.track.height) for packet in packets))
    assert len(sizes) == 2 and sizes[0] == sizes[1][::-1]
    late = FakeViewer()
    stage.channel.join(late)
    begun = next(message for message in late.told if isinstance(message, control.TrackBegins))
    assert (begun.width, begun.height) == sizes[1]
    assert late.fragments[0].key


def test_one_byte_at_a_time(stage: Stage) -> None:
    stage.source.begin(1)
    for byte in VP8[:9000]:
        stage.source.feed(bytes([1, byte]))
    assert stage.numbers.count(1) > 3
    assert stage.channel.kinds == [Kind.VIDEO]


# --- how much work a camera may make ---


def frames(recording: bytes, kind: Kind, interval: int) -> Iterator[bytes]:
    """The frames of a recording again and again, in their canonical form, so many microseconds
    apart; before them, their header.
    """
    packets = [
        event
        for event in read([recording])
        if isinstance(event, Packet) and event.track.kind is kind
    ]
    track = packets[0].track
    written = writer(track, 1, 0)
    yield written.init()
    for number, packet in enumerate(cycle(one for one in packets if one.track == track)):
        yield written.fragment(replace(packet, timestamp=number * interval, decode_offset=0))


def of(recording: Recording) -> list[Kind]:
    return [event.kind for event in read([recording.data]) if isinstance(event, Track)]


@pytest.mark.parametrize(
    "recording", [one for one in recordings() if Kind.VIDEO in of(one)], ids=str
)
def test_ten_seconds_of_two_recorders_at_once(stage: Stage, recording: Recording) -> None:
    """60 pictures and 50 packets of sound a second, which come after a stall.

    Pictures of H.264 come in a fragment each.
    """
    for number, (data, kind, interval) in enumerate(
        ((recording.data, Kind.VIDEO, 16_667), (OPUS, Kind.AUDIO, 20_000)), 1
    ):
        stage.source.begin(number)
        count = 10_000_000 // interval
        stage.source.feed(
            bytes([number]) + b"".join(islice(frames(data, kind, interval), count + 1))
        )
        assert stage.numbers.count(number) == count
    assert stage.source._work.left > MOST / 3
    stage.clock.time += 1_000_000
    stage.source.feed(b"\x01")
    assert stage.source._work.left > MOST * 0.8, "a second later, nearly as much may come again"


def test_many_small_fragments_behind_a_large_header(stage: Stage) -> None:
    """As FFmpeg writes them with frag_every_frame; the moov has 900 KB of what the relay does not
    read.
    """
    film = record(movflags="frag_every_frame+empty_moov+default_base_moof", seconds=10)
    at = film.index(b"moov") - 4
    size = int.from_bytes(film[at : at + 4], "big")
    moov = box(b"moov", film[at + 8 : at + size], box(b"udta", bytes(900_000)))
    stage.source.begin(1)
    stage.source.feed(b"\x01" + film[:at] + moov + film[at + size :])
    assert stage.numbers.count(1) == 200
    assert stage.source._work.left > MOST * 0.8


def test_work_is_bounded_in_a_message_and_over_time(stage: Stage) -> None:
    stage.source.begin(1)
    stage.source.feed(b"\x01" + HEAD)
    for _ in range(20):
        stage.source.feed(b"\x01" + VOID * (MOST // 3))  # as much as there may be for long
        assert stage.source.rest == 0
        stage.clock.time += 1_000_000
    for _ in range(2):
        stage.source.feed(b"\x01" + VOID * (MOST // 3))
    assert stage.source.rest == pytest.approx(1 / 3, abs=0.02), (
        "who can wait for so long may send as much again"
    )
    with pytest.raises(Refused, match="small parts") as refused:
        stage.source.feed(b"\x01" + VOID * (MOST // 3 + 10))
    assert refused.value.closing.reason is Reason.MEDIA_LIMIT


def test_a_part_that_has_to_be_read_at_once_may_cost_less(stage: Stage) -> None:
    """A header or a picture cannot be read in pieces: all others wait for it."""
    stage.source.begin(1)
    stage.source.feed(b"\x01" + HEAD + VOID * (MOST_AT_ONCE + 10))  # in pieces
    with pytest.raises(Refused, match="small parts"):
        stage.source.feed(b"\x01" + ebml.element(Id.TRACKS, entry(1, 1, b"V_VP8", VOID * 2000) * 9))


def test_streams_share_what_a_camera_may_cost(stage: Stage) -> None:
    with pytest.raises(Refused, match="small parts"):
        for number in range(1, 9):
            stage.source.begin(number)
            stage.source.feed(bytes([number]) + HEAD + VOID * (MOST // 8))


def test_a_camera_that_comes_back_at_once_has_little_to_spend(stage: Stage) -> None:
    ledger = Ledger(Budget(0), stage.clock)
    for most in (MOST, LEAST_WORK, LEAST_WORK):
        source = Source(stage.channel, stage.clock, ledger.account("192.0.2.1"))
        source.begin(1)
        source.feed(b"\x01" + HEAD + VOID * (most - 200))
        with pytest.raises(Refused):
            source.feed(b"\x01" + VOID * 200)
        source.close()
    source = Source(stage.channel, stage.clock, ledger.account("192.0.2.1"))
    source.begin(1)
    source.feed(b"\x01" + VP8[:4000])  # an honest one beside it is not disturbed
    assert stage.numbers


def test_tracks_may_not_change_all_the_time(stage: Stage) -> None:
    documents = [head + cluster(0, simple(VP8_KEY)) for head in (HEAD, OTHER_HEAD)]
    documents[1] = OTHER_HEAD + cluster(0, simple(b"\x82\x49\x83\x42\0\0\xf0\0\xf0\0\0\0"))
    stage.source.begin(1)
    for number in range(TRACKS_AT_ONCE):
        stage.source.feed(b"\x01" + documents[number % 2] * 3)  # the same again is no change
    for number in range(10):
        stage.clock.time += round(TRACK_PAUSE * 1e6)
        stage.source.feed(b"\x01" + documents[number % 2])
    begins = [message for message in stage.viewer.told if isinstance(message, control.TrackBegins)]
    assert len(begins) == TRACKS_AT_ONCE + 10
    with pytest.raises(Refused, match="change too often") as refused:
        stage.source.feed(b"\x01" + documents[0])
    assert refused.value.closing.reason is Reason.MEDIA_LIMIT


def test_to_end_and_begin_again_is_a_change_too(stage: Stage) -> None:
    with pytest.raises(Refused, match="change too often"):
        for _ in range(TRACKS_AT_ONCE + 1):
            stage.source.begin(1)
            stage.source.feed(b"\x01" + HEAD + cluster(0, simple(VP8_KEY)))
            stage.source.end(1)
    assert stage.viewer.told.count(control.TrackEnds(1)) == TRACKS_AT_ONCE


def test_what_was_read_last_counts_beyond_what_one_picture_has(stage: Stage) -> None:
    """Of all streams together, also of those that the channel ignores."""
    source = Source(stage.channel, stage.clock)
    size = 2 * MAX_UNCOUNTED // 3
    for number in range(1, 9):
        source.begin(number)
        source.feed(bytes([number]) + HEAD + cluster(0) + simple(bytes(size)))
    assert 8 * size - MAX_UNCOUNTED <= source.held < 8 * size


def test_what_has_begun_is_counted_and_forgotten_with_its_stream(stage: Stage) -> None:
    ledger = Ledger(Budget(2**30), stage.clock)
    source = Source(stage.channel, stage.clock, ledger.account("192.0.2.1"))
    size, picture = 300_000, simple(bytes(400_000))
    for number in (1, 2, 3):
        source.begin(number)
        source.feed(bytes([number]) + HEAD + cluster(0) + picture[:size])
        source.settle()
        assert number * size <= source.held <= number * size * 1.2
        assert ledger.held("192.0.2.1") >= number * size
    source.settle(100_000)
    assert ledger.held("192.0.2.1") >= 3 * size + 100_000
    source.begin(1)
    source.end(2)
    source.feed(b"\x03" + picture[size:])
    source.settle()
    assert source.held < 1000 and ledger.held("192.0.2.1") < 10_000
    source.close()
    assert ledger.held("192.0.2.1") == 0
