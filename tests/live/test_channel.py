"""A camera's channel: late viewers, slow viewers, votes, states, takeovers; no sockets anywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.live.channel import TRACK_PAUSE, TRACKS_AT_ONCE, Channel, State
from drawercam.live.gone import REASONS
from drawercam.live.keyframes import (
    FEW_PICTURES,
    KEYFRAME_INTERVAL,
    KEYFRAME_PAUSE,
    KEYFRAMES_AT_ONCE,
    KEYFRAMES_OF_ALL_AT_ONCE,
    KEYLESS,
    KEYLESS_AFTER,
    MAX_MEMORY,
    MAX_REPLAY,
)
from drawercam.live.ledger import Budget
from drawercam.live.pausing import MAX_NAMED, SLEEP_AFTER, PausePolicy, Policy
from drawercam.live.plays import CODEC_INTERVAL, Plays
from drawercam.live.timing import Parts
from drawercam.live.viewers import VOTE_LIFETIME, Fragment, Run
from drawercam.media.color import completed
from drawercam.media.containers.webm import WebmReader
from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Codec, Kind, Packet, Track
from drawercam.protocol import messages as control
from drawercam.protocol.close_reasons import Closing, Reason, Refused
from tests.live.test_gathering import Timer

PICTURE = Track(Codec.VP8, "vp8", width=320, height=240)
SOUND = Track(Codec.OPUS, "opus", b"OpusHead" + bytes(11), sample_rate=48000, channels=1)
KEY_FRAME = b"\x10\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00"


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.time = 0

    def __call__(self) -> int:
        return self.time


class FakeCamera:
    def __init__(self) -> None:
        self.told: list[control.Message] = []
        self.ended: Closing | None = None

    def tell(self, message: control.Message) -> None:
        self.told.append(message)

    def end(self, closing: Closing) -> None:
        self.ended = closing

    @property
    def wishes(self) -> int:
        return self.told.count(control.Keyframe())


class FakeViewer:
    """Takes everything, unless it is `behind`."""

    def __init__(self, who: str = "192.0.2.1") -> None:
        self.who = who
        self.drops = 0
        self.behind = False
        self.told: list[control.Message] = []
        self.fragments: list[Fragment] = []
        self.runs: list[int] = []  # how many frames came together
        self.bytes = {1: b"", 2: b""}
        self.on_offer: Callable[[], None] = lambda: None

    def tell(self, message: control.Message) -> None:
        self.told.append(message)

    def begin(self, number: int, init: bytes) -> None:
        self.bytes[number] += init

    def catch_up(self, fragments: Sequence[Fragment]) -> None:
        for fragment in fragments:
            self.offer(fragment)

    def offer(self, fragment: Fragment) -> bool:
        self.on_offer()
        if self.behind:
            self.drops += 1
            return True
        self.fragments.append(fragment)
        self.bytes[fragment.number] += fragment.data
        return False

    def offer_all(self, run: Run) -> bool:
        self.runs.append(len(run.fragments))
        return run.one_by_one(self)

    @property
    def states(self) -> list[tuple[str, str | None]]:
        return [
            (message.state, message.reason)
            for message in self.told
            if isinstance(message, control.ChannelState)
        ]

    @property
    def keys(self) -> list[bool]:
        return [fragment.key for fragment in self.fragments]


class Stage:
    """A channel with a clock, a camera, and ways to film."""

    def __init__(
        self, policy: Policy | None = None, budget: Budget | None = None, timer: Timer | None = None
    ) -> None:
        self.clock = Clock()
        self.changes = 0
        self.channel = Channel(
            "porch", self.clock, 0, self._changed, policy, budget, timer.later if timer else None
        )
        self.camera = FakeCamera()

    def _changed(self) -> None:
        self.changes += 1

    def start(self, *tracks: Track, keyframes: bool = False) -> None:
        self.channel.take(self.camera)
        for track in tracks or (PICTURE,):
            self.channel.set_track(track, keyframes)

    def film(self, key: bool = False, track: Track = PICTURE, size: int = 0) -> None:
        self.clock.time += 33_000
        data = (KEY_FRAME if key else b"\x11\0\0") + bytes(size)
        self.channel.publish(Packet(track, self.clock.time, key, data), self.clock.time)

    def watch(self, who: str = "192.0.2.1") -> FakeViewer:
        viewer = FakeViewer(who)
        self.channel.join(viewer)
        return viewer


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_viewer_before_the_camera_sees_everything(stage: Stage) -> None:
    viewer = stage.watch()
    stage.start()
    stage.film(key=True)
    stage.film()
    assert viewer.keys == [True, False]
    assert viewer.states == [("waiting", None), ("live", None)]
    begins = [message for message in viewer.told if isinstance(message, control.TrackBegins)]
    assert [(one.number, one.kind, one.codec, one.width, one.height) for one in begins] == [
        (1, "video", "vp8", 320, 240)
    ]


def test_a_late_viewer_gets_everything_since_the_last_keyframe_and_nobody_notices(
    stage: Stage,
) -> None:
    stage.start(PICTURE, SOUND)
    early = stage.watch()
    for key in (True, False, False, True, False):
        stage.film(key)
    stage.film(key=True, track=SOUND)
    told = len(stage.camera.told)
    late = stage.watch()
    assert [(one.number, one.key) for one in late.fragments] == [(1, True), (1, False), (2, True)]
    assert len(early.fragments) == 6
    assert [type(message) for message in stage.camera.told[told:]] == [control.Viewers]


def test_what_a_viewer_gets_is_a_playable_file(stage: Stage) -> None:
    stage.start()
    for key in (True, False, True, False):
        stage.film(key)
    late = stage.watch()
    stage.film()
    read = WebmReader().feed(late.bytes[1])
    assert [event.key for event in read if isinstance(event, Packet)] == [True, False, False]


def test_frames_before_the_first_keyframe_are_not_passed_on(stage: Stage) -> None:
    viewer = stage.watch()
    stage.start()
    stage.film()
    assert viewer.fragments == [] and stage.channel.state is State.WAITING
    stage.film(key=True)
    assert viewer.keys == [True]


def test_what_a_camera_says_of_its_sound_is_passed_on_once_and_forgotten_with_it(
    stage: Stage,
) -> None:
    def sounds(viewer: FakeViewer) -> list[tuple[str, str | None]]:
        return [
            (one.state, one.sound) for one in viewer.told if isinstance(one, control.ChannelState)
        ]

    stage.start()
    stage.channel.camera_says(
        State.LIVE, None, "on"
    )  # before its first frame: the sound is known, the picture is not there
    viewer = stage.watch()
    stage.film(key=True)
    for sound in ("on", "muted", "muted", "silent"):
        stage.channel.camera_says(State.LIVE, None, sound)
    assert sounds(viewer) == [
        ("waiting", "on"),
        ("live", "on"),
        ("live", "muted"),
        ("live", "silent"),
    ]
    assert sounds(stage.watch()) == [("live", "silent")], "a newcomer is told, too"
    assert stage.channel.report()["sound"] == "silent"
    stage.channel.camera_hears(0.25)
    stage.channel.camera_says(State.PAUSED, "camera", "silent")
    assert stage.channel.level == 0.25 and sounds(viewer)[-1] == ("paused", "silent")
    stage.channel.leave(stage.camera, "lost")
    assert sounds(viewer)[-1] == ("gone", None) and stage.channel.level is None
    stage.start()
    stage.film(key=True)
    assert sounds(viewer)[-1] == ("live", None), "the next camera has not said anything yet"


def keyless(viewer: FakeViewer) -> list[tuple[str, bool]]:
    return [
        (one.state, one.keyless is True)
        for one in viewer.told
        if isinstance(one, control.ChannelState)
    ]


def film_for(stage: Stage, microseconds: int, size: int = 0) -> None:
    end = stage.clock.time + microseconds
    while stage.clock.time < end:
        stage.film(size=size)


def test_pictures_without_a_keyframe_to_begin_with_are_said(stage: Stage) -> None:
    viewer = stage.watch()
    stage.start()
    film_for(stage, KEYLESS_AFTER - 100_000)
    assert (
        keyless(viewer) == [("waiting", False)]
        and stage.channel.report()["remarks"] == []
        and stage.channel.lacks_keyframe
    )
    film_for(stage, 200_000)
    assert keyless(viewer)[1:] == [("waiting", True)] and stage.channel.report()["remarks"] == [
        KEYLESS
    ]
    assert keyless(stage.watch()) == [("waiting", True)], "a newcomer is told, too"
    stage.film(key=True)
    assert (
        keyless(viewer)[-1] == ("live", False)
        and stage.channel.report()["remarks"] == []
        and not stage.channel.lacks_keyframe
    )


def test_where_the_last_keyframe_is_remembered_none_is_missed(stage: Stage) -> None:
    viewer = stage.watch()
    stage.start()
    stage.film(key=True)
    film_for(stage, 4 * KEYLESS_AFTER)
    assert not any(missed for _, missed in keyless(viewer)) and not stage.channel.lacks_keyframe


def test_a_keyframe_is_missed_when_the_last_one_is_forgotten(stage: Stage) -> None:
    viewer = stage.watch()
    stage.start()
    stage.film(key=True)
    stage.film(size=MAX_MEMORY)
    film_for(stage, KEYLESS_AFTER + 100_000)
    assert keyless(viewer)[-1] == ("live", True) and viewer.keys[0] and len(viewer.keys) > 100, (
        "who has it already goes on"
    )
    stage.film(key=True)
    assert keyless(viewer)[-1] == ("live", False)
    stage.film(size=MAX_MEMORY)
    film_for(stage, KEYLESS_AFTER + 100_000)
    stage.channel.camera_says(State.PAUSED, "camera")
    assert keyless(viewer)[-1] == ("paused", False) and not stage.channel.lacks_keyframe, (
        "it goes on with one"
    )
    stage.channel.camera_says(State.LIVE, None)
    film_for(stage, KEYLESS_AFTER + 100_000)
    stage.channel.leave(stage.camera, "lost")
    assert keyless(viewer)[-1] == ("gone", False)


def test_one_message_serves_all_viewers(stage: Stage) -> None:
    stage.start()
    one, two = stage.watch(), stage.watch()
    stage.film(key=True)
    assert one.fragments[0] is two.fragments[0]


def test_a_viewer_that_is_behind_loses_frames_alone(stage: Stage) -> None:
    stage.start()
    good, bad = stage.watch(), stage.watch()
    stage.film(key=True)
    bad.behind = True
    for _ in range(5):
        stage.film()
    assert len(good.fragments) == 6
    assert bad.drops == 5
    assert stage.channel.report()["drops"] == 5
    assert control.Keyframe() in stage.camera.told, "a stuck viewer asks for a keyframe"


def test_a_restarted_recorder_goes_on_without_a_new_init_segment(stage: Stage) -> None:
    stage.start()
    viewer = stage.watch()
    stage.film(key=True)
    stage.channel.stream_restarts(Kind.VIDEO)
    stage.channel.set_track(Track(Codec.VP8, "vp8", width=240, height=320))
    stage.film()  # the tail of the old recorder has no keyframe before it any more
    stage.film(key=True)
    assert viewer.keys == [True, True]
    assert sum(isinstance(message, control.TrackBegins) for message in viewer.told) == 1
    assert stage.channel.report()["tracks"][0]["width"] == 240


def test_a_phone_that_is_turned_goes_on_and_newcomers_read_the_new_size(stage: Stage) -> None:
    stage.start()
    early = stage.watch()
    stage.film(key=True)
    turned = Track(Codec.VP8, "vp8", width=240, height=320)
    stage.channel.set_track(turned)
    stage.film(key=True, track=turned)
    stage.film(track=turned)
    assert early.keys == [True, True, False]
    assert sum(isinstance(message, control.TrackBegins) for message in early.told) == 1, (
        "the frames tell it"
    )
    late = stage.watch()
    begins = [message for message in late.told if isinstance(message, control.TrackBegins)]
    assert [(one.width, one.height) for one in begins] == [(240, 320)]
    said = completed(None, 320, 240)
    assert late.bytes[1].startswith(WebmWriter(replace(turned, color=said), 1, 0).init())
    assert early.bytes[1].startswith(WebmWriter(replace(PICTURE, color=said), 1, 0).init())
    assert [one.colorSpace for one in begins] == [said.as_json()], (
        "as it is usual for this size, where the camera does not say it"
    )


def test_another_codec_means_a_new_init_segment_and_a_keyframe(stage: Stage) -> None:
    stage.start()
    viewer = stage.watch()
    stage.film(key=True)
    other = Track(Codec.VP9, "vp09.00.21.08", width=320, height=240)
    stage.channel.set_track(other)
    stage.film(track=other)
    stage.film(key=True, track=other)
    assert viewer.keys == [True, True]
    assert [
        message.codec for message in viewer.told if isinstance(message, control.TrackBegins)
    ] == ["vp8", "vp09.00.21.08"]


def test_sound_that_is_switched_off_ends_alone(stage: Stage) -> None:
    stage.start(PICTURE, SOUND)
    viewer = stage.watch()
    stage.film(key=True)
    stage.film(key=True, track=SOUND)
    stage.channel.end_track(Kind.AUDIO)
    stage.film()
    assert viewer.told[-1] == control.TrackEnds(2)
    late = stage.watch()
    assert [one.number for one in late.fragments] == [1, 1]
    stage.channel.end_track(Kind.AUDIO)  # twice does no harm
    assert stage.channel.kinds == ["video"]


def test_timestamps_never_go_back(stage: Stage) -> None:
    stage.start()
    viewer = stage.watch()
    for moment in (5_000_000, 4_000_000, 4_000_000, 6_000_000, -7):
        stage.channel.publish(Packet(PICTURE, moment, True, KEY_FRAME), stage.clock.time)
    read = [
        event.timestamp for event in WebmReader().feed(viewer.bytes[1]) if isinstance(event, Packet)
    ]
    assert read == [5_000_000, 5_001_000, 5_002_000, 6_000_000, 6_001_000]


@given(st.lists(st.integers(-(10**7), 10**12), min_size=1, max_size=50))
def test_any_timestamps_leave_in_order(moments: list[int]) -> None:
    stage = Stage()
    stage.start()
    viewer = stage.watch()
    for moment in moments:
        stage.channel.publish(Packet(PICTURE, moment, True, KEY_FRAME), stage.clock.time)
    read = [
        event.timestamp for event in WebmReader().feed(viewer.bytes[1]) if isinstance(event, Packet)
    ]
    assert len(read) == len(moments)
    assert all(after > before for before, after in itertools.pairwise(read))


def test_memory_is_bounded_and_a_keyframe_is_asked_for(stage: Stage) -> None:
    stage.start()
    stage.film(key=True)
    for _ in range(20):
        stage.film(size=MAX_MEMORY // 16)
    assert stage.channel._replay.size <= MAX_MEMORY
    assert control.Keyframe() in stage.camera.told
    assert stage.watch().fragments == []
    stage.film(key=True)
    assert stage.watch().keys == [True]


# --- keyframes on demand ---


@pytest.mark.parametrize(
    ("behind", "asks"), [(0, 0), (FEW_PICTURES, 0), (FEW_PICTURES + 1, 1), (100, 1)]
)
def test_a_newcomer_need_not_decode_a_long_past(stage: Stage, behind: int, asks: int) -> None:
    stage.start(PICTURE, SOUND, keyframes=True)
    stage.film(key=True)
    for _ in range(behind):
        stage.film()
        stage.film(key=True, track=SOUND)
    late = stage.watch()
    assert len(late.fragments) == 1 + 2 * behind, "what there is comes at once, because it is small"
    assert stage.camera.wishes == asks
    stage.clock.time += KEYFRAME_INTERVAL
    stage.channel.join(late)  # it asks for it again
    assert stage.camera.wishes == 2 * asks


@pytest.mark.parametrize(
    ("keyframes", "paused", "replayed"), [(True, False, 0), (False, False, 9), (True, True, 9)]
)
def test_a_long_past_does_not_stand_in_the_way_of_a_fresh_keyframe(
    stage: Stage, keyframes: bool, paused: bool, replayed: int
) -> None:
    stage.start(keyframes=keyframes)
    stage.film(key=True)
    for _ in range(8):
        stage.film(size=MAX_REPLAY // 8)
    if paused:
        stage.channel.camera_says(State.PAUSED, "camera")
    late = stage.watch()
    assert len(late.fragments) == replayed
    assert stage.camera.wishes == (0 if replayed else 1)


def test_a_camera_that_cannot_make_keyframes_is_not_asked_for_newcomers(stage: Stage) -> None:
    stage.start()
    stage.film(key=True)
    for _ in range(100):
        stage.film()
    stage.watch()
    assert stage.camera.wishes == 0


def test_what_a_stream_can_do_is_forgotten_with_it(stage: Stage) -> None:
    def newcomers_wishes() -> int:
        before = stage.camera.wishes
        stage.film(key=True)
        for _ in range(30):
            stage.film()
        stage.watch()
        return stage.camera.wishes - before

    stage.start(PICTURE, SOUND, keyframes=True)
    assert newcomers_wishes() == 1
    stage.channel.set_track(SOUND, False)
    stage.channel.stream_restarts(Kind.AUDIO)
    assert newcomers_wishes() == 1, "the sound has nothing to do with it"
    stage.channel.stream_restarts(Kind.VIDEO)
    assert newcomers_wishes() == 0
    stage.channel.set_track(PICTURE, True)
    assert newcomers_wishes() == 1
    stage.channel.take(second := FakeCamera())
    stage.camera = second
    stage.channel.set_track(PICTURE)
    assert newcomers_wishes() == 0


def test_a_crowd_asks_for_one_keyframe(stage: Stage) -> None:
    stage.start(keyframes=True)
    stage.film(key=True)
    for _ in range(30):
        stage.film()
    for _ in range(20):
        stage.watch()
    assert stage.camera.wishes == 1
    stage.film(key=True)
    for _ in range(30):
        stage.film()
    assert stage.camera.wishes == 1, "the keyframe that came was for all of them"


def test_a_wish_that_came_too_soon_is_passed_on_later(stage: Stage) -> None:
    stage.start()
    stage.film(key=True)
    stage.channel.want_keyframe()
    begin = stage.clock.time
    stage.channel.want_keyframe()
    while stage.clock.time + 33_000 < begin + KEYFRAME_INTERVAL:
        stage.film()
    assert stage.camera.wishes == 1
    stage.film()
    assert stage.camera.wishes == 2
    for _ in range(100):
        stage.film()
    assert stage.camera.wishes == 2, "a wish is passed on once"


def test_a_wish_that_a_keyframe_has_met_is_forgotten(stage: Stage) -> None:
    stage.start()
    stage.film(key=True)
    stage.channel.want_keyframe()
    stage.channel.want_keyframe()
    stage.film(key=True)
    for _ in range(30):
        stage.film()
    assert stage.camera.wishes == 1


@given(st.lists(st.sampled_from(["wish", "picture", "key", "join"]), max_size=200))
def test_the_camera_is_asked_neither_too_often_nor_too_seldom(events: list[str]) -> None:
    stage = Stage()
    stage.start(keyframes=True)
    stage.film(key=True)
    asked: list[int] = []
    wished: int | None = None  # since when, without a keyframe or a question to the camera
    for event in events:
        before = stage.camera.wishes
        match event:
            case "wish":
                stage.channel.want_keyframe()
                wished = stage.clock.time if wished is None else wished
            case "join":
                stage.watch()
            case _:
                stage.film(key=event == "key")
        if stage.camera.wishes > before:
            asked.append(stage.clock.time)
        if event == "key" or stage.camera.wishes > before:
            wished = None
        assert wished is None or stage.clock.time - wished < KEYFRAME_INTERVAL
    assert all(after - before >= KEYFRAME_INTERVAL for before, after in itertools.pairwise(asked))


def test_one_viewers_wishes_without_end_cost_the_others_two_keyframes_a_second(
    stage: Stage,
) -> None:
    stage.start(keyframes=True)
    stage.film(key=True)
    greedy, other = stage.watch(), stage.watch()
    answered, waits, begin = stage.camera.wishes, [], stage.clock.time

    def film() -> None:
        nonlocal answered
        key, answered = stage.camera.wishes > answered, stage.camera.wishes
        stage.film(key)

    for number in range(900):
        stage.channel.want_keyframe(greedy)
        if number % 100 == 99:
            before, since = stage.camera.wishes, stage.clock.time
            stage.channel.want_keyframe(other)
            while stage.camera.wishes == before:
                film()
            waits.append(stage.clock.time - since)
        film()
    seconds = (stage.clock.time - begin) / 1e6
    assert stage.camera.wishes <= KEYFRAMES_AT_ONCE + seconds / KEYFRAME_PAUSE + len(waits) + 1
    assert max(waits) <= KEYFRAME_INTERVAL + 33_000, "who asks seldom is heard as before"


def test_the_wishes_of_many_viewers_have_a_bound_too(stage: Stage) -> None:
    stage.start(keyframes=True)
    stage.film(key=True)
    viewers, answered, begin = (
        [stage.watch() for _ in range(50)],
        stage.camera.wishes,
        stage.clock.time,
    )
    for _ in range(900):
        for viewer in viewers:
            stage.channel.want_keyframe(viewer)
        key, answered = stage.camera.wishes > answered, stage.camera.wishes
        stage.film(key)
    assert (
        stage.camera.wishes
        <= KEYFRAMES_OF_ALL_AT_ONCE + (stage.clock.time - begin) / 1e6 / KEYFRAME_PAUSE + 1
    )


def test_a_wish_beyond_a_viewers_bound_is_passed_on_later(stage: Stage) -> None:
    stage.start(keyframes=True)
    stage.film(key=True)
    viewer = stage.watch()
    before = -1
    while stage.camera.wishes > before:
        for _ in range(5):
            stage.film(key=True)
        before = stage.camera.wishes
        stage.channel.want_keyframe(viewer)
    assert before >= KEYFRAMES_AT_ONCE
    for _ in range(round(KEYFRAME_PAUSE / 0.033) + 1):
        stage.film()
    assert stage.camera.wishes == before + 1
    stage.channel.want_keyframe(viewer)
    stage.channel.part(viewer)
    for _ in range(60):
        stage.film()
    assert stage.camera.wishes == before + 1, "it has gone"


def test_nobody_asks_a_camera_without_a_picture(stage: Stage) -> None:
    stage.start(SOUND)
    stage.film(key=True, track=SOUND)
    stage.watch()
    stage.channel.want_keyframe()
    stage.film(key=True, track=SOUND)
    assert stage.camera.wishes == 0


# --- what many are told ---


def test_however_often_viewers_come_and_go_the_camera_hears_of_it_ten_times_a_second() -> None:
    timer = Timer()
    stage = Stage(timer=timer)
    stage.start()
    begin = len(stage.camera.told)
    for _ in range(1000):
        viewer = stage.watch()
        timer.run(0.0005)
        stage.channel.rest(viewer)
        timer.run(0.0005)
    last = stage.watch()
    timer.run(0.2)
    told = stage.camera.told[begin:]
    assert len(told) <= 13 and told[-1] == control.Viewers(1)
    stage.channel.part(last)
    timer.run(1)
    assert stage.camera.told[-1] == control.Viewers(0)


def test_however_often_a_camera_changes_its_viewers_hear_of_it_ten_times_a_second() -> None:
    timer = Timer()
    stage = Stage(timer=timer)
    stage.start()
    viewer = stage.watch()
    stage.film(key=True)
    timer.run(1)
    begin = len(viewer.told)
    for number in range(1000):
        stage.channel.camera_says(State.PAUSED, f"reason {number}")
        stage.channel.camera_turns(control.Turns(pan=control.Axis(0, 1 + number)))
        timer.run(0.001)
    stage.channel.camera_says(State.LIVE, None)
    timer.run(0.2)
    told = viewer.told[begin:]
    assert len(told) <= 2 * 13
    assert viewer.states[-1] == ("live", None) and control.Turns(pan=control.Axis(0, 1000)) in told


def test_that_a_camera_films_is_said_before_its_first_frame_and_its_state_before_its_tracks() -> (
    None
):
    timer = Timer()
    stage = Stage(timer=timer)
    viewer = stage.watch()
    for _ in range(3):  # cameras take the name over, one after the other
        stage.start()
        stage.film(key=True)
        assert viewer.states[-2:] == [("waiting", None), ("live", None)], (
            "though it was told something else a moment ago"
        )
        stage.camera = FakeCamera()
    kinds = [type(message) for message in viewer.told]
    assert kinds == [control.ChannelState, control.TrackBegins, control.ChannelState] + 2 * [
        control.TrackEnds,
        control.ChannelState,
        control.TrackBegins,
        control.ChannelState,
    ]
    timer.run(1)
    assert len(viewer.told) == len(kinds)


def test_waking_pausing_and_keyframes_are_never_held_back() -> None:
    timer = Timer()
    stage = Stage(timer=timer)
    stage.start(keyframes=True)
    stage.film(key=True)
    one = stage.watch()
    told = len(stage.camera.told)
    stage.channel.vote(one, True)
    two = stage.watch()
    stage.channel.vote(two, True)
    stage.channel.vote(two, False)
    stage.clock.time += KEYFRAME_INTERVAL
    stage.channel.want_keyframe(two)
    assert [type(message) for message in stage.camera.told[told:]] == [
        control.CameraPause,
        control.Resume,
        control.CameraPause,
        control.Resume,
        control.Keyframe,
    ]


def test_a_camera_whose_tracks_change_without_end_is_sent_away(stage: Stage) -> None:
    stage.start()
    viewer = stage.watch()
    for number in range(TRACKS_AT_ONCE):
        stage.channel.set_track(replace(PICTURE, config=bytes([number])))
        if number == TRACKS_AT_ONCE - 2:
            stage.clock.time += round(TRACK_PAUSE * 1e6)
    told = len(viewer.told)
    with pytest.raises(Refused, match="too often"):
        stage.channel.set_track(replace(PICTURE, config=b"another"))
    assert len(viewer.told) == told
    stage.clock.time += round(TRACK_PAUSE * 1e6)
    stage.channel.set_track(replace(PICTURE, config=b"another"))


# --- the camera comes and goes ---


def test_a_second_camera_takes_the_name_over(stage: Stage) -> None:
    viewer = stage.watch()
    stage.start()
    stage.film(key=True)
    second = FakeCamera()
    stage.channel.take(second)
    assert stage.camera.ended == Closing(Reason.TAKEN_OVER)
    stage.channel.leave(stage.camera, "lost")  # its socket closes a little later
    assert stage.channel.camera is second
    assert stage.channel.state is State.WAITING
    stage.channel.set_track(PICTURE)
    stage.film(key=True)
    assert viewer.states == [("waiting", None), ("live", None), ("waiting", None), ("live", None)]
    assert viewer.keys == [True, True]


def test_the_log_says_from_where_both_cameras_of_a_name_come(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="drawercam")
    for address in ("192.0.2.7", "192.0.2.7", "192.0.2.8", ""):
        stage.channel.take(FakeCamera(), address)
    said = [line for line in caplog.messages if "newer connection" in line]
    assert [line.partition(" films ")[2] for line in said] == [
        "by a newer connection (192.0.2.7); its older one (192.0.2.7) ends",
        "by a newer connection (192.0.2.8); its older one (192.0.2.7) ends",
        "by a newer connection (unknown); its older one (192.0.2.8) ends",
    ]


@pytest.mark.parametrize("reason", REASONS)
def test_a_camera_that_goes_is_gone_and_may_come_back(stage: Stage, reason: str) -> None:
    viewer = stage.watch()
    stage.start()
    stage.film(key=True)
    stage.channel.leave(stage.camera, reason)
    assert viewer.states[1:] == [("live", None), ("gone", reason)]
    assert control.TrackEnds(1) in viewer.told
    assert stage.watch().fragments == [], "what is gone is not shown to newcomers"
    stage.start()
    stage.film(key=True)
    assert viewer.states[3:] == [("waiting", None), ("live", None)]


def test_states_come_from_the_camera(stage: Stage) -> None:
    stage.start()
    viewer = stage.watch()
    stage.channel.camera_says(State.LIVE, None)
    assert stage.channel.state is State.WAITING, "live without a frame would be a lie"
    stage.film(key=True)
    stage.channel.camera_says(State.PAUSED, "background")
    stage.channel.camera_says(State.LIVE, None)
    assert viewer.states == [
        ("waiting", None),
        ("live", None),
        ("paused", "background"),
        ("live", None),
    ]


def test_a_bad_transition_raises(stage: Stage) -> None:
    stage.start()
    stage.channel.leave(stage.camera, "left")
    with pytest.raises(ValueError, match="gone to paused"):
        stage.channel.camera_says(State.PAUSED, None)


# --- votes ---


def pauses(camera: FakeCamera) -> list[str]:
    """What the camera was told, one word each: why it has to pause, or `resume`."""
    told = [one for one in camera.told if isinstance(one, (control.CameraPause, control.Resume))]
    return [one.reason if isinstance(one, control.CameraPause) else "resume" for one in told]


def test_the_camera_pauses_only_when_every_viewer_votes_for_it(stage: Stage) -> None:
    stage.start()
    one, two = stage.watch(), stage.watch()
    stage.channel.vote(one, True)
    assert pauses(stage.camera) == []
    stage.channel.vote(two, True)
    assert pauses(stage.camera) == ["viewers"]
    stage.channel.vote(two, True)
    stage.channel.vote(one, False)
    assert pauses(stage.camera) == ["viewers", "resume"]


def test_a_stuck_viewer_that_leaves_takes_its_vote_along(stage: Stage) -> None:
    stage.start()
    good, stuck = stage.watch(), stage.watch()
    stage.channel.vote(good, True)
    stage.channel.part(stuck)
    assert pauses(stage.camera) == ["viewers"]
    stage.watch()  # a newcomer wants to see something
    assert pauses(stage.camera) == ["viewers", "resume"]
    stage.channel.part(good)
    stage.channel.part(good)
    assert pauses(stage.camera) == ["viewers", "resume"]


def test_a_new_camera_learns_of_the_votes(stage: Stage) -> None:
    viewer = stage.watch()
    stage.channel.vote(viewer, True)
    stage.start()
    assert stage.camera.told == [
        control.Viewers(1),
        control.CameraPause("viewers", ("192.0.2.1",), 1, 1),
    ]


def test_a_vote_of_somebody_who_left_does_not_count(stage: Stage) -> None:
    stage.start()
    viewer = stage.watch()
    stage.channel.part(viewer)
    stage.channel.vote(viewer, True)
    assert pauses(stage.camera) == []


def test_the_camera_is_told_who_pauses_it(stage: Stage) -> None:
    stage.start()
    viewers = [stage.watch(f"192.0.2.{n}") for n in range(9)]
    for viewer in reversed(viewers):
        stage.channel.vote(viewer, True)
    assert stage.camera.told[-1] == control.CameraPause(
        "viewers", tuple(f"192.0.2.{n}" for n in range(MAX_NAMED)), 9, 9
    )


def test_a_vote_lapses_unless_it_is_cast_again(stage: Stage) -> None:
    stage.start()
    viewer = stage.watch()
    for _ in range(10):
        stage.channel.vote(viewer, True)
        stage.clock.time += VOTE_LIFETIME - 1
        stage.channel.sweep()
    assert pauses(stage.camera) == ["viewers"]
    stage.clock.time += 1
    stage.channel.sweep()
    assert pauses(stage.camera) == ["viewers", "resume"]


@pytest.mark.parametrize(
    ("policy", "paused_by"), [(PausePolicy.ALL, 3), (PausePolicy.ANY, 1), (PausePolicy.NEVER, None)]
)
def test_the_policy_decides_how_many_votes_it_takes(
    policy: PausePolicy, paused_by: int | None
) -> None:
    stage = Stage(Policy(policy))
    stage.start()
    for votes, viewer in enumerate([stage.watch() for _ in range(3)], 1):
        stage.channel.vote(viewer, True)
        assert (pauses(stage.camera)[-1:] == ["viewers"]) == (
            paused_by is not None and votes >= paused_by
        )


def test_what_came_together_goes_on_together(stage: Stage) -> None:
    stage.start()
    viewer = stage.watch()
    stage.film(key=True)
    times = [stage.clock.time + 33_000 * n for n in range(3)]
    for time in times:
        stage.channel.publish(Packet(PICTURE, time, False, b"\x11"), stage.clock.time, hold=True)
    assert viewer.keys == [True]
    stage.channel.flush()
    stage.channel.flush()
    assert (viewer.keys, viewer.runs) == ([True, False, False, False], [3])
    viewer.behind = True
    asked = [type(message) for message in stage.camera.told].count(control.Keyframe)
    stage.clock.time += 1_000_000
    for time in times:
        stage.channel.publish(
            Packet(PICTURE, time + 1_000_000, False, b"\x11"), stage.clock.time, hold=True
        )
    stage.channel.flush()
    assert (viewer.drops, viewer.runs) == (3, [3, 3])
    assert [type(message) for message in stage.camera.told].count(control.Keyframe) == asked + 1


@pytest.mark.parametrize("event", ["another track", "no track", "a pause", "the camera goes"])
def test_what_waits_to_go_on_goes_before_whatever_happens_next(stage: Stage, event: str) -> None:
    stage.start()
    viewer = stage.watch()
    stage.film(key=True)
    stage.channel.publish(
        Packet(PICTURE, stage.clock.time + 33_000, False, b"\x11"), stage.clock.time, hold=True
    )
    told = len(viewer.told)
    viewer.on_offer = lambda: viewer.told.append(control.Resume())
    match event:
        case "another track":
            stage.channel.set_track(replace(PICTURE, codec=Codec.VP9, codec_string="vp09.00.10.08"))
        case "no track":
            stage.channel.end_track(Kind.VIDEO)
        case "a pause":
            stage.channel.camera_says(State.PAUSED, "camera")
        case _:
            stage.channel.leave(stage.camera, "left")
    assert isinstance(viewer.told[told], control.Resume)
    assert len(viewer.told) > told + 1


def test_who_comes_without_looking_is_told_what_there_is_and_counts_for_nobody(
    stage: Stage,
) -> None:
    stage.start()
    stage.film(key=True)
    told = list(stage.camera.told)
    viewer = FakeViewer()
    stage.channel.rest(viewer)
    assert viewer.told[0] == control.ChannelState(State.LIVE, None)
    assert [type(message) for message in viewer.told[1:]] == [control.TrackBegins]
    stage.film()
    assert (viewer.fragments, stage.camera.told) == ([], told)
    stage.channel.join(viewer)
    assert viewer.keys == [True, False]


def test_who_does_not_look_has_no_vote_and_gets_no_frames(stage: Stage) -> None:
    stage.start()
    looks, rests = stage.watch(), stage.watch()
    stage.channel.rest(rests)
    assert stage.camera.told[-1] == control.Viewers(1)
    stage.channel.vote(rests, True)
    stage.film(key=True)
    assert (len(looks.fragments), len(rests.fragments)) == (1, 0)
    assert pauses(stage.camera) == []
    stage.channel.vote(looks, True)
    assert pauses(stage.camera) == ["viewers"]
    stage.channel.join(rests)
    assert pauses(stage.camera) == ["viewers", "resume"]
    assert rests.keys == [True]
    assert [one["watching"] for one in stage.channel.report()["players"]] == [True, True]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sampled_from(["join", "rest", "part", "vote", "unvote", "later"])
        ),
        max_size=60,
    )
)
def test_a_camera_films_exactly_while_somebody_wants_it(events: list[tuple[int, str]]) -> None:
    stage = Stage()
    stage.start()
    viewers = [FakeViewer(str(n)) for n in range(4)]
    watching: dict[FakeViewer, int | None] = {}
    watched = 0
    for number, event in events:
        viewer, now = viewers[number], stage.clock.time
        if event == "join":
            stage.channel.join(viewer)
            watching.setdefault(viewer, None)
        elif event in ("rest", "part"):
            stage.channel.rest(viewer) if event == "rest" else stage.channel.part(viewer)
            if viewer in watching:
                del watching[viewer]
                watched = now
        elif event in ("vote", "unvote"):
            stage.channel.vote(viewer, event == "vote")
            if viewer in watching:
                watching[viewer] = now if event == "vote" else None
        else:
            stage.clock.time += 1_700_000
            stage.channel.sweep()
        now = stage.clock.time
        fresh = [since is not None and now - since < VOTE_LIFETIME for since in watching.values()]
        paused = all(fresh) if fresh else now - watched >= SLEEP_AFTER
        assert (pauses(stage.camera)[-1:] not in ([], ["resume"])) == paused


# --- sleep ---


def test_a_camera_that_nobody_watches_falls_asleep_and_the_first_viewer_wakes_it(
    stage: Stage,
) -> None:
    stage.start()
    stage.film(key=True)
    viewer = stage.watch()
    stage.clock.time += 10 * SLEEP_AFTER
    stage.channel.sweep()
    stage.channel.part(viewer)
    stage.clock.time += SLEEP_AFTER - 1
    stage.channel.sweep()
    assert pauses(stage.camera) == []
    stage.clock.time += 1
    stage.channel.sweep()
    stage.channel.sweep()
    assert pauses(stage.camera) == ["unwatched"]
    stage.channel.camera_says(State.PAUSED, "unwatched")
    late = stage.watch()
    assert pauses(stage.camera) == ["unwatched", "resume"]
    assert late.fragments == [], "what was when it fell asleep is no picture of now"
    stage.channel.stream_restarts(Kind.VIDEO)
    stage.channel.camera_says(State.LIVE, None)
    stage.film(key=True)
    assert late.keys == [True]


def test_a_camera_that_comes_films_for_a_while_whoever_watches(stage: Stage) -> None:
    stage.clock.time = 10 * SLEEP_AFTER
    stage.start()
    stage.clock.time += SLEEP_AFTER - 1
    stage.channel.sweep()
    assert pauses(stage.camera) == []
    stage.clock.time += 1
    stage.channel.sweep()
    assert pauses(stage.camera) == ["unwatched"]


def test_a_camera_that_must_not_sleep_does_not() -> None:
    stage = Stage(Policy(always_on=frozenset({"porch"})))
    stage.start()
    stage.clock.time += 10 * SLEEP_AFTER
    stage.channel.sweep()
    assert pauses(stage.camera) == []


def test_what_all_channels_remember_is_bounded() -> None:
    budget = Budget(10_000)
    one, two = Stage(budget=budget), Stage(budget=budget)
    for stage in (one, two):
        stage.start()
        stage.film(key=True, size=4000)
    one.film(size=2500)
    assert one.watch().fragments == [], "it has no room, so its late viewers wait for a keyframe"
    assert len(two.watch().fragments) == 1
    assert control.Keyframe() in one.camera.told
    two.channel.leave(two.camera, "left")
    one.channel.leave(one.camera, "left")
    assert budget.used == 0


# --- reports ---


def test_the_report(stage: Stage) -> None:
    stage.start(PICTURE, SOUND)
    stage.watch()
    for n in range(90):
        stage.film(key=n % 30 == 0, size=1000)
    stage.clock.time += 250_000
    report = stage.channel.report()
    assert (report["name"], report["state"], report["viewers"], report["age"]) == (
        "porch",
        "live",
        1,
        0.25,
    )
    assert 25 < report["framesPerSecond"] < 32
    assert 25_000 < report["bytesPerSecond"] < 33_000
    assert report["tracks"][1] == {
        "number": 2,
        "kind": "audio",
        "codec": "opus",
        "sampleRate": 48000,
        "channels": 1,
    }
    assert report["timing"] == {"encode": None, "uplink": 0, "relay": 0}
    assert stage.changes > 0


def test_the_way_of_a_picture(stage: Stage) -> None:
    stage.start(PICTURE, SOUND)
    assert stage.channel.timing() == Parts(None, None, None)
    viewer = stage.watch()
    viewer.on_offer = lambda: setattr(stage.clock, "time", stage.clock.time + 300)
    for n in range(100):
        captured = n * 33_000
        stage.clock.time = captured + 20_000
        stage.channel.publish(Packet(PICTURE, captured, n == 0, KEY_FRAME), captured + 19_000)
        stage.channel.publish(Packet(SOUND, captured, True, b"sound"), captured + 500_000)
    assert stage.channel.timing() == Parts(None, 19_000, 1_300), (
        "from its arrival until it was offered; sound does not count"
    )
    stage.channel.camera_encodes(8_000)
    assert stage.channel.timing() == Parts(8_000, 11_000, 1_300)
    stage.channel.camera_encodes(30_000)
    assert stage.channel.timing() == Parts(30_000, 0, 1_300)
    stage.channel.take(FakeCamera())
    assert stage.channel.timing() == Parts(None, None, None), "another camera has another way"


# --- what viewers can play ---

H264 = Track(Codec.H264, "avc1.42E01E", b"avcC", width=320, height=240)


def asked(camera: FakeCamera) -> list[tuple[str, tuple[str, ...]]]:
    """For what the camera was asked: instead of which codec, and which ones will do."""
    return [
        (message.codec, message.plays)
        for message in camera.told
        if isinstance(message, control.CameraUnplayable)
    ]


def playing(channel: Channel, *names: str) -> FakeViewer:
    """A viewer that plays these."""
    viewer = FakeViewer()
    channel.join(viewer, Plays.of(names))
    return viewer


def test_the_camera_is_asked_for_what_all_can_play_once(stage: Stage) -> None:
    stage.start(PICTURE, SOUND)
    playing(stage.channel, "vp8", "vp9", "av1", "h264", "opus", "aac")
    assert asked(stage.camera) == []
    viewer = playing(stage.channel, "aac", "opus", "h264", "vp9")
    assert asked(stage.camera) == [("vp8", ("vp9", "h264", "opus", "aac"))]
    for _ in range(3):
        stage.clock.time += CODEC_INTERVAL
        stage.channel.sweep()
        stage.channel.join(viewer, Plays.of(("h264", "vp9")))
        stage.channel.set_track(replace(PICTURE, width=240, height=320))  # the phone was turned
    assert len(asked(stage.camera)) == 1, "it stays: it cannot, and is left alone"
    stage.channel.set_track(H264)
    assert len(asked(stage.camera)) == 1


def test_a_new_camera_is_another_one(stage: Stage) -> None:
    playing(stage.channel, "vp8", "opus")
    stage.start(H264)
    assert asked(stage.camera) == [("avc1.42E01E", ("vp8", "opus"))]
    stage.camera = FakeCamera()
    stage.start(H264)
    assert asked(stage.camera) == [("avc1.42E01E", ("vp8", "opus"))]


def test_sound_and_picture_are_asked_for_together(stage: Stage) -> None:
    stage.start(H264, SOUND)
    playing(stage.channel, "vp8", "aac")
    assert asked(stage.camera) == [("avc1.42E01E", ("vp8", "aac")), ("opus", ("vp8", "aac"))]


@pytest.mark.parametrize("names", [(), ("aac",), ("av1",), ("vp10", "", "VP8"), ("vp8",)])
def test_what_a_stranger_says_changes_nothing_for_those_who_play_other_things(
    stage: Stage, names: tuple[str, ...]
) -> None:
    stage.start(PICTURE, SOUND)
    playing(stage.channel, "vp8", "h264", "opus")
    stranger = playing(stage.channel, *names)
    for codec in (Codec.VP8, Codec.H264, Codec.OPUS, Codec.AAC):
        stage.channel.plays(stranger, Plays.of(names).without(codec))
        stage.clock.time += CODEC_INTERVAL
        stage.channel.sweep()
    assert asked(stage.camera) == []


def test_who_has_said_nothing_plays_what_comes_and_nothing_else(stage: Stage) -> None:
    """Such as a program that reads a file: it would end."""
    stage.start(PICTURE)
    reader = stage.watch()
    playing(stage.channel, "h264", "vp9")
    stage.channel.set_track(H264)  # of its own accord
    assert asked(stage.camera) == []
    stage.channel.part(reader)
    stage.channel.set_track(PICTURE)
    assert asked(stage.camera) == [("vp8", ("vp9", "h264"))]


def test_who_can_play_no_picture_at_all_has_no_say_about_it(stage: Stage) -> None:
    stage.start(PICTURE, SOUND)
    stage.channel.join(FakeViewer(), Plays().without(Codec.VP8))
    playing(stage.channel)
    stage.channel.join(FakeViewer(), Plays.of(("vp8", "opus")).sound_only())
    assert asked(stage.camera) == []
    playing(stage.channel, "h264", "opus")
    assert asked(stage.camera) == [("vp8", ("h264", "opus"))]


def test_a_camera_is_asked_again_after_a_while_for_those_who_watch_then(stage: Stage) -> None:
    stage.start(PICTURE)
    everything = playing(stage.channel, "vp8", "vp9", "h264")
    first = playing(stage.channel, "h264")
    stage.channel.set_track(H264)
    stage.channel.part(first)
    second, third = playing(stage.channel, "vp8"), playing(stage.channel, "vp8", "vp9")
    stage.clock.time += CODEC_INTERVAL - 1
    stage.channel.sweep()
    assert asked(stage.camera) == [("vp8", ("h264",))]
    stage.channel.rest(second)
    stage.clock.time += 1
    stage.channel.sweep()
    assert asked(stage.camera)[1:] == [("avc1.42E01E", ("vp8", "vp9"))]
    stage.channel.set_track(PICTURE)
    for viewer in (everything, third):
        stage.channel.plays(viewer, Plays.of(("h264",)))
        stage.channel.rest(viewer)
        stage.channel.plays(viewer, Plays.of(("h264",)))
    stage.clock.time += CODEC_INTERVAL
    stage.channel.sweep()
    assert len(asked(stage.camera)) == 2, "nobody watches any more"


def test_a_camera_that_sleeps_is_asked_before_it_is_woken_up(stage: Stage) -> None:
    stage.start(PICTURE)
    stage.clock.time += SLEEP_AFTER
    stage.channel.sweep()
    stage.camera.told.clear()
    playing(stage.channel, "h264")
    assert [message.type for message in stage.camera.told] == ["unplayable", "viewers", "resume"]


FAMILIES = st.sets(st.sampled_from([codec.value for codec in Codec]))


@given(st.lists(st.tuples(st.integers(0, 5), FAMILIES, st.integers(0, CODEC_INTERVAL // 3))))
def test_a_camera_changes_seldom_and_to_what_all_can_play(
    turns: list[tuple[int, set[str], int]],
) -> None:
    stage, viewers = Stage(), [FakeViewer() for _ in range(6)]
    stage.start(PICTURE)
    watching: dict[int, set[str]] = {}
    changes: list[int] = []
    for who, names, wait in turns:
        stage.clock.time += wait
        if watching.get(who) == names:
            stage.channel.rest(viewers[who])
            del watching[who]
        else:
            stage.channel.join(viewers[who], Plays.of(names))
            watching[who] = names
        stage.channel.sweep()
        if len(asked(stage.camera)) > len(changes):
            changes.append(stage.clock.time)
            codec = [
                one for one in map(Codec, asked(stage.camera)[-1][1]) if one.kind is Kind.VIDEO
            ][-1]
            stage.channel.set_track(
                replace(PICTURE, codec=codec, codec_string=codec.value)
                if codec is not Codec.H264
                else H264
            )
            with_a_say = [names for names in watching.values() if names - {"opus", "aac"}]
            assert with_a_say and all(codec.value in names for names in with_a_say)
    assert all(later - earlier >= CODEC_INTERVAL for earlier, later in itertools.pairwise(changes))
