"""drawercam.live.keyframes and track_output: what late viewers get, and who is asked when."""

from __future__ import annotations

from drawercam.live.keyframes import (
    KEYFRAME_INTERVAL,
    KEYFRAMES_AT_ONCE,
    KEYLESS_AFTER,
    MAX_MEMORY_FRAMES,
    KeyframeWishes,
    Keyless,
    Replay,
)
from drawercam.live.ledger import Budget
from drawercam.live.track_output import NUMBERS, DecodingOrder, TrackOutput
from drawercam.live.viewers import Fragment
from drawercam.media.packets import Codec, Kind, Packet, Track
from tests.live.test_viewers import Person

VIDEO, AUDIO = NUMBERS[Kind.VIDEO], NUMBERS[Kind.AUDIO]
TRACK = Track(Codec.VP8, "vp8", width=320, height=240)


def test_frames_are_kept_from_a_keyframe_on() -> None:
    budget = Budget(100)
    replay = Replay(budget)
    key, sound, picture = (
        Fragment(VIDEO, True, b"k" * 40),
        Fragment(AUDIO, True, b"s"),
        Fragment(VIDEO, False, b"p"),
    )
    assert replay.remember(sound) and replay.remember(picture) and not replay.frames
    assert all(map(replay.remember, (key, sound, picture)))
    assert (replay.frames, replay.size, replay.pictures) == ([key, sound, picture], 42, 2)
    replay.forget_track(AUDIO)
    assert (replay.frames, budget.used) == ([key, picture], 41)
    assert replay.remember(key) and replay.frames == [key] and budget.used == 40
    assert not replay.remember(Fragment(VIDEO, False, b"p" * 61)), "the budget has no room"
    assert not replay.frames and budget.used == 0
    assert replay.remember(key)
    replay.forget_track(VIDEO)
    assert not replay.frames and budget.used == 0


def test_frames_without_a_keyframe_have_a_bound() -> None:
    replay = Replay(Budget(2**30))
    assert replay.remember(Fragment(VIDEO, True, b"k"))
    frame = Fragment(AUDIO, True, b"s")
    assert all(replay.remember(frame) for _ in range(MAX_MEMORY_FRAMES - 1))
    assert not replay.remember(frame) and not replay.frames


def test_a_camera_is_asked_once_for_all_and_not_too_often() -> None:
    ann, wishes = Person("10.0.0.1"), KeyframeWishes(0)
    assert not wishes.due(0)
    wishes.waiting |= {ann, None}
    assert wishes.due(0) and not wishes.waiting
    wishes.waiting.add(ann)
    assert not wishes.due(KEYFRAME_INTERVAL - 1) and wishes.waiting == {ann}
    assert wishes.due(KEYFRAME_INTERVAL)
    wishes.waiting.add(ann)
    wishes.begin_anew()
    assert not wishes.waiting
    wishes.waiting.add(None)
    assert wishes.due(KEYFRAME_INTERVAL), "another camera may be asked at once"


def test_one_viewer_wishes_a_few_at_once() -> None:
    ann, wishes = Person("10.0.0.1"), KeyframeWishes(0)
    passed_on = 0
    for step in range(2 * KEYFRAMES_AT_ONCE):
        wishes.waiting.add(ann)
        passed_on += wishes.due(step)
        wishes._asked = None  # the camera's own pace is another matter
    assert passed_on == KEYFRAMES_AT_ONCE
    wishes.part(ann)
    wishes.waiting.add(ann)
    assert wishes.due(2 * KEYFRAMES_AT_ONCE), "who comes back is another viewer"


def test_pictures_without_a_keyframe_are_said_once() -> None:
    keyless = Keyless()
    assert not keyless.lacks(10) and keyless.since == 10
    assert not keyless.lacks(KEYLESS_AFTER + 9)
    assert keyless.lacks(KEYLESS_AFTER + 10) and keyless.said
    assert not keyless.lacks(2 * KEYLESS_AFTER)
    assert keyless.over() and keyless.since is None
    assert not keyless.over()


def test_frames_of_a_track_follow_one_another() -> None:
    order = DecodingOrder()
    times = [
        order.placed(VIDEO, Packet(TRACK, time, True, b"")).timestamp
        for time in (-5, 0, 9_000, 9_500, 4_000)
    ]
    assert times == [0, 1_000, 9_000, 10_000, 11_000]
    assert order.placed(AUDIO, Packet(TRACK, 3, True, b"")).timestamp == 3
    reordered = order.placed(VIDEO, Packet(TRACK, 90_000, False, b"", decode_offset=80_000))
    assert reordered.timestamp == 92_000, "its decode time was moved behind the last one"


def test_a_track_is_described_for_players_and_for_people() -> None:
    output = TrackOutput(VIDEO, Track(Codec.VP8, "vp8", width=320, height=240, rotation=90), 0)
    begins = output.begins()
    assert (begins.codec, begins.width, begins.rotation, begins.config) == ("vp8", 320, 90, None)
    assert begins.mime == 'video/webm; codecs="vp8"' and output.init
    described = {"number": 1, "kind": "video", "codec": "vp8", "width": 320, "height": 240}
    assert output.describe() == described | {"rotation": 90}
