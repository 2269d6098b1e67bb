"""From frames to the relay's messages, with a link that only remembers."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from drawercam.film.encode.frame import Form, Frame
from drawercam.film.encode.stream_writer import Outlet
from drawercam.film.relay.connection import Link
from drawercam.film.relay.network_pace import HOLD, QUIET, Pace
from drawercam.media.containers.detect import StreamReader
from drawercam.media.geometry import Geometry
from drawercam.media.packets import Codec, MediaError, Packet, Track
from drawercam.protocol.messages import FROM_CAMERA, End, Message, Stream, encode, parse

RECORDINGS = Path(__file__).resolve().parents[2] / "samples" / "recorders"


class Clock:
    def at(self, moment: int) -> int | None:
        return moment + 5_000_000


class Memory:
    """A link that only remembers."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.messages: list[Message] = []
        self.media: list[bytes] = []

    def send(self, message: Message) -> None:
        self.messages.append(parse(encode(message), FROM_CAMERA))

    def send_media(self, data: bytes) -> None:
        self.media.append(data)

    def packets(self) -> list[Packet]:
        reader = StreamReader()
        return [
            event
            for data in self.media
            for event in reader.feed(data[1:])
            if isinstance(event, Packet)
        ]


@pytest.fixture
def link() -> Memory:
    return Memory()


def outlet(link: Memory) -> Outlet:
    return Outlet(1, cast(Link, link))


def recorded(name: str) -> list[Packet]:
    found = StreamReader().feed((RECORDINGS / name).read_bytes())
    return [event for event in found if isinstance(event, Packet)]


@pytest.mark.parametrize(
    "name", ["chromium-vp8.webm", "chromium-vp9.webm", "chromium-h264.webm", "chromium-opus.webm"]
)
def test_what_is_passed_on_is_not_changed(link: Memory, name: str) -> None:
    packets = recorded(name)[:20]
    stream = outlet(link)
    stream.interval, stream.sound = 33_333, False
    track = packets[0].track
    form = Form(track.codec, track.config, track.sample_rate, track.channels)
    assert all(
        stream.send(Frame(form, packet.data, packet.timestamp, packet.key)) for packet in packets
    )
    announced = link.messages
    assert [type(message) for message in announced] == [Stream]
    said = cast(Stream, announced[0])
    assert (said.at, said.interval, said.sound) == (0, 33_333, False)
    again = link.packets()
    assert [packet.data for packet in again] == [packet.data for packet in packets]
    assert [packet.key for packet in again] == [packet.key for packet in packets]
    # The stream's zero is the relay's; WebM counts in milliseconds.
    assert [packet.timestamp - 5_000_000 for packet in again] == pytest.approx(
        [packet.timestamp for packet in packets], abs=500
    )
    assert again[0].track == track


@pytest.mark.parametrize("name", ["chromium-vp8.webm", "chromium-h264.webm"])
def test_how_a_picture_is_shown_is_told_and_a_turn_begins_the_stream_afresh(
    link: Memory, name: str
) -> None:
    stream = outlet(link)
    packet = recorded(name)[0]
    track = packet.track
    for geometry in (Geometry(90, True, 2.0), Geometry(), Geometry(270, False, 0.5)):
        form = Form(track.codec, track.config, geometry=geometry)
        assert stream.send(Frame(form, packet.data, packet.timestamp))
    assert len(link.messages) == 3
    wide, high = track.width, track.height
    shown = [
        (one.track.rotation, one.track.flip, one.track.display_width, one.track.display_height)
        for data in zip(link.media[::2], link.media[1::2], strict=True)
        for one in StreamReader().feed(b"".join(piece[1:] for piece in data))
        if isinstance(one, Packet)
    ]
    assert shown == [(90, True, 2 * wide, high), (0, False, 0, 0), (270, False, wide, 2 * high)]


def test_what_was_left_out_is_missing_up_to_the_next_keyframe(link: Memory) -> None:
    packets = recorded("chromium-vp8.webm")
    later = next(number for number, packet in enumerate(packets) if packet.key and number > 3)
    stream, form = outlet(link), Form(Codec.VP8)
    sent = []
    for number, packet in enumerate(packets[: later + 3]):
        if number == 2:
            stream.skip(Frame(form, packet.data, packet.timestamp))
        elif stream.send(Frame(form, packet.data, packet.timestamp)):
            sent.append(number)
    assert sent == [0, 1, later, later + 1, later + 2]
    assert len(link.messages) == 1


def test_another_codec_begins_the_stream_afresh(link: Memory) -> None:
    stream = outlet(link)
    for name in ("chromium-vp8.webm", "chromium-vp9.webm"):
        packet = recorded(name)[0]
        assert stream.send(
            Frame(Form(packet.track.codec, packet.track.config), packet.data, packet.timestamp)
        )
    assert [cast(Stream, message).mime.split("codecs=")[1][:5] for message in link.messages] == [
        '"vp8"',
        '"vp09',
    ]


def test_a_damaged_frame_is_passed_over_and_nothing_but_damage_is_an_error(link: Memory) -> None:
    stream = outlet(link)
    broken = Frame(Form(Codec.H264), b"\0\0\0\1\xe7broken", 0)
    assert not stream.send(broken)
    with pytest.raises(MediaError):
        for _ in range(1000):
            stream.send(broken)
    assert not link.media


def test_a_network_that_is_behind_holds_and_gets_less() -> None:
    pace = Pace()
    moment = 0
    for _ in range(10):
        moment += 500_000
        pace.asked(moment)
        pace.answered(moment, 20_000, moment + 20_000)
    assert (pace.held, pace.share) == (False, 1.0)
    pace.asked(moment + 500_000)
    pace.look(moment + 500_000 + 2 * HOLD)  # no answer
    assert pace.held and pace.share < 1
    pace.answered(moment + 500_000, 20_000 + 2 * HOLD, moment + 500_000 + 2 * HOLD)
    assert pace.held
    moment += 3_000_000
    pace.answered(moment, 20_000, moment + 20_000)
    assert not pace.held
    low = pace.share
    pace.look(moment + QUIET + 1_000_000)
    assert low < pace.share <= 1


def test_tracks_are_not_mixed_up(link: Memory) -> None:
    """A new picture size of VP8 goes on in the stream, another H.264 configuration does not."""
    packet = recorded("chromium-turn-h264.webm")
    stream = outlet(link)
    tracks: list[Track] = []
    for one in packet:
        if one.track not in tracks:
            tracks.append(one.track)
        stream.send(Frame(Form(Codec.H264, one.track.config), one.data, one.timestamp, one.key))
    assert len(link.messages) == len(tracks) > 1


def test_a_track_that_the_source_has_no_more_ends_if_it_had_begun(link: Memory) -> None:
    packet = recorded("chromium-opus.webm")[0]
    track = packet.track
    stream = outlet(link)
    stream.end()
    assert link.messages == []
    form = Form(track.codec, track.config, track.sample_rate, track.channels)
    assert stream.send(Frame(form, packet.data, packet.timestamp))
    stream.end()
    stream.end()
    assert [type(message) for message in link.messages] == [Stream, End]
    assert stream.send(Frame(form, packet.data, packet.timestamp))
    assert [type(message) for message in link.messages] == [Stream, End, Stream]


def test_a_stream_says_what_its_camera_is_called(link: Memory) -> None:
    stream = Outlet(1, cast(Link, link), "Дверь")
    packet = recorded("chromium-opus.webm")[0]
    track = packet.track
    stream.send(
        Frame(Form(track.codec, track.config, track.sample_rate, track.channels), packet.data, 0)
    )
    assert [one.label for one in link.messages if isinstance(one, Stream)] == ["Дверь"]
