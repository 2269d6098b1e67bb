"""drawercam.media.frame_layout, against the writers whose messages it reads and moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.media.containers.detect import StreamReader, writer
from drawercam.media.frame_layout import (
    is_webm,
    move_mp4,
    move_webm,
    set_mp4_duration,
    time_of,
    unwrap,
)
from drawercam.media.packets import Codec, Packet, Track

WEBM = Track(Codec.VP8, "vp8", width=64, height=48)
MP4 = Track(Codec.AAC, "mp4a.40.2", bytes.fromhex("1190"), sample_rate=48000, channels=2)
TRACKS = [WEBM, MP4]


@pytest.mark.parametrize("track", TRACKS, ids=lambda track: track.codec.value)
@given(
    milliseconds=st.integers(1, 2**40), offset=st.integers(0, 1000), frame=st.binary(max_size=50)
)
def test_a_frame_is_found_with_its_times(
    track: Track, milliseconds: int, offset: int, frame: bytes
) -> None:
    time, offset = milliseconds * 1000, 0 if track is WEBM else min(offset, milliseconds)
    message = writer(track, 1, 0).fragment(Packet(track, time, True, frame, 1, offset))
    assert is_webm(message) == (track is WEBM)
    assert time_of(message) == time - offset
    shown, found = unwrap(message)
    assert (shown, bytes(found)) == (time, frame)


def test_a_message_that_was_moved_is_read_at_its_new_time() -> None:
    for track in TRACKS:
        written = writer(track, 1, 0)
        message = bytearray(written.fragment(Packet(track, 40_000, True, KEY, 20_000)))
        if track is WEBM:
            move_webm(message, 7_000_000)
        else:
            move_mp4(message, 7_000_000, 9)
            set_mp4_duration(message, 25_000)
        events = StreamReader().feed(written.init() + bytes(message))
        [packet] = [event for event in events if isinstance(event, Packet)]
        assert (packet.timestamp, packet.data) == (7_000_000, KEY)
        assert track is WEBM or packet.duration == 25_000


KEY = b"\x10\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00"
