"""Sound and picture in one file: what was written is read back, by the relay's readers and by
FFmpeg's.
"""

from __future__ import annotations

import io
import itertools
from dataclasses import replace

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.live.track_output import NUMBERS
from drawercam.media.codecs import opus
from drawercam.media.containers import live_file as muxed
from drawercam.media.containers.detect import StreamReader, writer
from drawercam.media.containers.live_file import (
    AUDIO,
    LONGEST_GAP,
    STEP,
    VIDEO,
    Container,
    Muxed,
    container_for,
    container_of,
)
from drawercam.media.frame_layout import time_of
from drawercam.media.packets import Codec, Kind, Packet, Track
from tests.media.samples import RECORDINGS, read

# When the canonical messages begin, in microseconds, and what date that is: the relay has been
# running for a while.
BEGIN = 3_600_000_000
DATE = 757_382_400 * 10**9  # 2025-01-01, in nanoseconds since 2001

VP8 = Track(Codec.VP8, "vp8", width=320, height=240)
OPUS = Track(Codec.OPUS, "opus", opus.head(1, 48000), sample_rate=48000, channels=1)
VP8_KEY = b"\x10\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00"
OPUS_20_MS = b"\x98"  # its first byte (RFC 6716 section 3.1)


def filmed(name: str, kind: Kind) -> list[Packet]:
    """A recording's packets of one kind, one after the other, as a channel sees to it."""
    found: list[Packet] = []
    for one in read([(RECORDINGS / name).read_bytes()]):
        if isinstance(one, Packet) and one.track.kind is kind:
            earliest = found[-1].timestamp - found[-1].decode_offset + 1000 if found else 0
            found.append(replace(one, timestamp=max(one.timestamp, earliest + one.decode_offset)))
    return found


def together(video: list[Packet], audio: list[Packet]) -> tuple[Muxed, bytes, list[Packet]]:
    """One file of these packets in the order of their times; and those of them that belong into
    it.
    """
    tracks = [packets[0].track for packets in (video, audio) if packets]
    writers = {track.kind: writer(track, NUMBERS[track.kind], DATE) for track in tracks}
    file = Muxed(writers[Kind.VIDEO].init(), writers[Kind.AUDIO].init() if audio else None)
    packets = sorted(
        (*video, *audio),
        key=lambda one: (one.timestamp - one.decode_offset, one.track.kind != Kind.VIDEO),
    )
    packets = packets[
        next(
            index for index, one in enumerate(packets) if one.key and one.track.kind is Kind.VIDEO
        ) :
    ]
    packets = [one for one in packets if NUMBERS[one.track.kind] in file.numbers]
    written = b""
    for one in packets:
        written += file.add(
            NUMBERS[one.track.kind],
            writers[one.track.kind].fragment(replace(one, timestamp=one.timestamp + BEGIN)),
        )
    return file, written, packets


FILES = [
    ("chromium-vp8.webm", "chromium-opus.webm", Container.WEBM, {"vp8", "opus"}),
    ("chromium-vp9.webm", "firefox-opus.webm", Container.WEBM, {"vp9", "opus"}),
    ("chromium-av1.webm", "chromium-opus.webm", Container.WEBM, {"av1", "opus"}),
    ("webkit-video.mp4", "webkit-audio.mp4", Container.MP4, {"h264", "aac"}),
    ("chromium-h264.webm", "chromium-opus.webm", Container.MP4, {"h264", "opus"}),
    ("chromium-vp8.webm", None, Container.WEBM, {"vp8"}),
    ("chromium-h264.webm", None, Container.MP4, {"h264"}),
    ("chromium-vp8.webm", "webkit-audio.mp4", Container.WEBM, {"vp8"}),  # WebM has no AAC
]


@pytest.mark.parametrize(("picture", "sound", "container", "codecs"), FILES)
def test_real_tracks_in_one_file_are_read_back(
    picture: str, sound: str | None, container: Container, codecs: set[str]
) -> None:
    video, audio = filmed(picture, Kind.VIDEO), filmed(sound, Kind.AUDIO) if sound else []
    file, written, packets = together(video, audio)
    assert file.container is container and file.numbers == (
        {VIDEO, AUDIO} if len(codecs) > 1 else {VIDEO}
    )
    got = [event for event in read([written]) if isinstance(event, Packet)]
    assert [(one.track.codec, one.key, one.data) for one in got] == [
        (one.track.codec, one.key, one.data) for one in packets
    ]
    zero = packets[0].timestamp - packets[0].decode_offset
    for there, here in zip(got, packets, strict=True):
        assert abs(there.timestamp + zero - here.timestamp) <= 1000, "WebM counts in milliseconds"
    with av.open(io.BytesIO(written), "r") as opened:
        names = {"libdav1d": "av1", "libopus": "opus"}
        assert {
            names.get(one.codec_context.name, one.codec_context.name) for one in opened.streams
        } == codecs
        if container is Container.WEBM:
            assert opened.metadata["creation_time"].startswith("2025-01-01T01:00:00"), (
                "the date of its own zero"
            )
        times: dict[str, list[float]] = {"video": [], "audio": []}
        shown = 0
        for packet in opened.demux():
            if packet.dts is not None and packet.time_base is not None:
                times[packet.stream.type].append(float(packet.dts * packet.time_base))
            shown += len(packet.decode()) if packet.stream.type == "video" else 0
    assert shown == len([one for one in packets if one.track.kind is Kind.VIDEO])
    assert (
        len(times["video"]) + len(times["audio"]) == len(packets) and min(times["video"]) <= 0.001
    )
    for rising in times.values():
        assert all(before < after for before, after in itertools.pairwise(rising))


def frame(number: int, time: int, size: int = 1) -> bytes:
    track = VP8 if number == VIDEO else OPUS
    data = VP8_KEY.ljust(size + 10, b"\0") if number == VIDEO else OPUS_20_MS.ljust(size, b"\0")
    return writer(track, number, 0).fragment(Packet(track, time, True, data))


FRAMES = st.tuples(st.sampled_from((VIDEO, AUDIO)), st.integers(-60, 5000), st.integers(1, 300))


@given(st.integers(0, 10**12), st.lists(FRAMES, max_size=40))
def test_times_begin_at_zero_rise_and_have_no_long_gap(
    begin: int, frames: list[tuple[int, int, int]]
) -> None:
    """Frames of both tracks come in the order in which they come, each track's in the order of its
    times (milliseconds).
    """
    file = Muxed(writer(VP8, VIDEO, 0).init(), writer(OPUS, AUDIO, 0).init())
    begin -= begin % 1000
    written = bytes(file.add(VIDEO, frame(VIDEO, begin)))
    kept = [VP8_KEY.ljust(11, b"\0")]
    now = begin
    for number, later, size in frames:
        now = max(0, now + later * 1000)
        message = frame(number, now, size)
        if added := file.add(number, message):
            kept.append(message[27:])
            assert time_of(bytes(added)) <= now - begin or later < 0 or now < begin
            written += added
    reader = StreamReader()
    got = [event for event in reader.feed(written) if isinstance(event, Packet)]
    assert [one.data for one in got] == kept, (
        "what came late for its track was left out, and nothing else was changed"
    )
    assert got[0].timestamp == 0
    for kind in Kind:
        times = [one.timestamp for one in got if one.track.kind is kind]
        assert all(before < after for before, after in itertools.pairwise(times))
    latest = 0
    for one in got:
        assert one.timestamp - latest <= LONGEST_GAP
        latest = max(latest, one.timestamp)


def test_who_was_away_is_not_missed() -> None:
    """A pause of a minute is none in the file, and sound and picture stay together."""
    file = Muxed(writer(VP8, VIDEO, 0).init(), writer(OPUS, AUDIO, 0).init())
    times = []
    for number, time in (
        (VIDEO, 0),
        (AUDIO, 20),
        (VIDEO, 40),
        (AUDIO, 60_060),
        (VIDEO, 60_050),
        (AUDIO, 60_080),
        (VIDEO, 60_100),
    ):
        times.append(
            time_of(
                bytes(file.add(number, frame(number, BEGIN + time * 1000)))[
                    -len(frame(number, 0)) :
                ]
            )
            // 1000
        )
    back = 40 + STEP // 1000
    assert times == [0, 20, 40, back, back - 10, back + 20, back + 40]


def test_a_picture_that_stood_while_sound_went_on_for_long_has_the_longest_duration() -> None:
    """A duration has 32 bits: 71 minutes of microseconds.

    So long may somebody wait for a keyframe.
    """
    picture, sound = (
        filmed("chromium-h264.webm", Kind.VIDEO)[0],
        filmed("chromium-opus.webm", Kind.AUDIO)[0],
    )
    apart = LONGEST_GAP - 1000
    until = 2**32 // apart + 2
    pictures = [replace(picture, timestamp=number * apart) for number in (0, until)]
    sounds = [replace(sound, timestamp=number * apart) for number in range(until)]
    _, written, kept = together(pictures, sounds)
    pieces = [
        written[at : at + 2**16] for at in range(0, len(written), 2**16)
    ]  # as they would come; at once, they would be too much work
    shown = [
        one for one in read(pieces) if isinstance(one, Packet) and one.track.kind is Kind.VIDEO
    ]
    assert len(kept) == until + 2 and [one.timestamp for one in shown] == [0, until * apart]


@pytest.mark.parametrize(("interval", "rate"), [(33_333, 30), (None, None)])
def test_the_header_tells_the_rate_of_the_pictures(interval: int | None, rate: int | None) -> None:
    """One picture is enough for FFmpeg to begin."""
    file = Muxed(writer(VP8, VIDEO, 0).init(), writer(OPUS, AUDIO, 0).init(), interval)
    written = bytes(file.add(VIDEO, frame(VIDEO, BEGIN)))
    with av.open(io.BytesIO(written), "r") as opened:
        told = opened.streams.video[0].average_rate
        assert told is None if rate is None else told is not None and round(told, 2) == rate
        assert len(opened.streams.audio) == 1
    assert [one.data for one in read([written]) if isinstance(one, Packet)] == [
        VP8_KEY.ljust(11, b"\0")
    ]


def test_what_is_of_before_the_first_picture_is_left_out() -> None:
    file = Muxed(writer(VP8, VIDEO, 0).init(), writer(OPUS, AUDIO, 0).init())
    assert file.add(VIDEO, frame(VIDEO, BEGIN))
    assert not file.add(AUDIO, frame(AUDIO, BEGIN - 20_000))
    assert file.add(AUDIO, frame(AUDIO, BEGIN))
    assert not file.add(AUDIO, frame(AUDIO, BEGIN))


def test_the_form_is_told_from_the_codec_as_the_writers_choose_it() -> None:
    for name in (
        "chromium-vp8.webm",
        "chromium-vp9.webm",
        "chromium-av1.webm",
        "chromium-h264.webm",
        "webkit-video.mp4",
    ):
        track = filmed(name, Kind.VIDEO)[0].track
        assert container_for(track.codec_string) is container_of(writer(track, VIDEO, 0).init())
    assert muxed.Container.MP4.content_type == "video/mp4"
