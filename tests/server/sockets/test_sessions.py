"""What a player's session takes and leaves, with a socket that only pretends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import pytest

from drawercam.live.hub import Hub
from drawercam.live.keyframes import KEYFRAME_INTERVAL
from drawercam.media.packets import Packet
from drawercam.protocol import messages as control
from drawercam.server.sockets.patience import MAX_PATIENCE, MAX_WAIT, SETTLED
from drawercam.server.sockets.player import (
    JOIN_PAUSE,
    JOINS_AT_ONCE,
    VOTE_PAUSE,
    VOTES_AT_ONCE,
    PlayerSession,
)
from drawercam.server.sockets.wall import WallSession
from drawercam.server.sockets.websocket import Socket
from tests.live.test_channel import KEY_FRAME, PICTURE, SOUND, Clock, FakeCamera
from tests.live.test_gathering import Timer


class FakeSocket:
    """Attributes:
    behind: As Socket.behind.
    bursting: As Socket.bursting.
    room: What `burst` says.
    seconds: What `wait` says.
    strains: How often it was told that something was left out.
    told: Control messages.
    writes: How often something was written.
    kinds: What was written: one letter for each frame, K(eyframe), p(icture), s(ound).
    """

    peer = address = "nobody"

    def __init__(self) -> None:
        self.behind = self.bursting = False
        self.room = True
        self.strains = self.writes = 0
        self.seconds = 0.0
        self.kinds = ""
        self.told: list[control.Message] = []

    def wait(self) -> float:
        return self.seconds

    def probe(self) -> None:
        pass

    def left_out(self) -> None:
        self.strains += 1

    def tell(self, message: control.Message) -> None:
        self.told.append(message)

    def write(self, framed: bytes) -> None:
        self.writes += 1
        self.kinds += (
            "K"
            if KEY_FRAME in framed
            else "p"
            if b"picture" in framed
            else "s"
            if b"sound" in framed
            else ""
        )

    def pass_on(self, framed: bytes) -> bool:
        if self.behind or self.seconds:
            return False
        self.write(framed)
        return True

    def burst(self, framed: Iterable[bytes]) -> bool:
        for one in framed if self.room else ():
            self.write(one)
        return self.room


class Stage:
    """A camera that can make keyframes, and one viewer."""

    def __init__(self, keyframes: bool, timer: Timer | None = None) -> None:
        self.clock = Clock()
        self.camera = FakeCamera()
        hub = Hub(self.clock, later=timer.later if timer else None)
        self.channel = hub.channel("porch")
        self.channel.take(self.camera)
        for track in (PICTURE, SOUND):
            self.channel.set_track(track, keyframes)
        self.socket = FakeSocket()
        self.session = PlayerSession(hub, "porch")
        self.session.opened(cast(Socket, self.socket))

    def film(self, kinds: str) -> str:
        """Film this, one letter a frame; returns what of it was written."""
        self.socket.kinds = ""
        for kind in kinds:
            self.clock.time += 33_000
            data = {"K": KEY_FRAME, "p": b"\x11picture", "s": b"sound"}[kind]
            self.channel.publish(
                Packet(SOUND if kind == "s" else PICTURE, self.clock.time, kind != "p", data),
                self.clock.time,
            )
        return self.socket.kinds


@pytest.fixture(params=[True, False], ids=["keyframes", "none"])
def stage(request: pytest.FixtureRequest) -> Stage:
    return Stage(request.param)


def test_where_a_keyframe_is_cheap_no_picture_waits_for_long(stage: Stage) -> None:
    if not stage.channel.keyframes:
        stage.film("K")
        stage.socket.seconds = MAX_PATIENCE
        assert stage.film("psKp") == "psKp", "its next keyframe may be seconds away"
        return
    assert stage.film("Kpsp") == "Kpsp"
    stage.socket.seconds = MAX_WAIT
    assert stage.film("pp") == "pp"
    stage.socket.seconds = MAX_WAIT + 0.01
    assert stage.film("pspKp") == "s", "sound is small and goes on"
    assert (stage.session.drops, stage.socket.strains, stage.camera.wishes) == (4, 4, 0)
    stage.socket.seconds = SETTLED + 0.01
    assert stage.film("psKp") == "s", "a keyframe would wait, too"
    assert stage.camera.wishes == 0
    stage.socket.seconds = SETTLED
    assert stage.film("psp") == "s"
    assert stage.camera.wishes == 1
    assert stage.film("pKp") == "Kp"


def test_what_came_together_is_written_at_once(stage: Stage) -> None:
    def film_together() -> None:
        for _ in range(3):
            stage.clock.time += 33_000
            stage.channel.publish(
                Packet(PICTURE, stage.clock.time, False, b"\x11picture"),
                stage.clock.time,
                hold=True,
            )
        stage.channel.flush()

    stage.film("K")
    written = stage.socket.writes
    film_together()
    assert stage.socket.writes == written + 1
    stage.socket.seconds = MAX_PATIENCE + 0.01
    film_together()
    assert (stage.socket.writes, stage.session.drops) == (written + 1, 3)


def test_nothing_waits_without_end(stage: Stage) -> None:
    assert stage.film("Kps") == "Kps"
    stage.socket.seconds = MAX_PATIENCE + 0.01
    assert stage.film("pspKps") == "", "sound that is so late is of no use either"
    assert stage.session.drops == 6
    stage.socket.seconds = 0.0
    assert stage.film("spKp") == "sKp"


def test_where_no_keyframe_is_in_sight_the_whole_past_may_take_its_time() -> None:
    stage = Stage(keyframes=False)
    stage.film("Kp")
    stage.socket.bursting = True
    stage.socket.seconds = MAX_PATIENCE + 0.01
    assert stage.film("pps") == "pps"
    stage.socket.behind = True
    assert stage.film("pps") == "", "but not for ever"


def test_who_comes_back_gets_the_past_only_if_there_is_room(stage: Stage) -> None:
    stage.film("Kp")
    stage.socket.kinds = ""
    stage.session.text('{"type": "join"}')
    assert stage.socket.kinds == "Kp"
    for attribute, value in (("room", False), ("seconds", 1.01), ("behind", True)):
        good = getattr(stage.socket, attribute)
        setattr(stage.socket, attribute, value)
        stage.socket.kinds = ""
        stage.session.text('{"type": "join"}')
        assert stage.socket.kinds == ""
        stage.clock.time += KEYFRAME_INTERVAL
        wishes = stage.camera.wishes
        assert stage.film("ps").strip("s") == "", "it cannot decode what follows"
        setattr(stage.socket, attribute, good)
        stage.session.drained()
        stage.clock.time += KEYFRAME_INTERVAL
        stage.session.drained()
        assert stage.camera.wishes == wishes + 1, "it asks once"
        assert stage.film("pKp") == "Kp"


def test_a_viewer_that_has_drained_asks_for_a_keyframe_at_once(stage: Stage) -> None:
    stage.film("Kp")
    stage.socket.behind = True
    assert stage.film("psp") == ""
    stage.socket.behind = False
    stage.session.drained()
    assert stage.camera.wishes == 1
    assert stage.film("ppspKps") == "sKps"
    assert stage.camera.wishes == 1


def test_a_viewer_that_has_lost_nothing_asks_for_nothing(stage: Stage) -> None:
    stage.film("Kp")
    stage.socket.behind = True
    stage.socket.behind = False
    stage.session.drained()
    assert stage.film("pp") == "pp"
    assert stage.camera.wishes == 0


def test_a_keyframe_that_was_lost_again_is_asked_for_again(stage: Stage) -> None:
    stage.film("Kp")
    for count in (1, 2, 3):
        stage.socket.behind = True
        assert stage.film("pKpppppp") == ""
        stage.socket.behind = False
        stage.film("ppp")
        assert stage.camera.wishes == count


def test_joins_without_end_bring_the_past_a_few_times_and_then_once_a_second() -> None:
    timer = Timer()
    stage = Stage(True, timer)
    stage.film("K")
    stage.socket.kinds = ""
    for number in range(500):
        stage.session.text('{"type": "rest"}')
        stage.session.text('{"type": "join", "video": %s}' % ("false" if number % 2 else "true"))
        timer.run(0.01)
        stage.clock.time += 10_000
    bursts = stage.socket.kinds.count("K")
    assert JOINS_AT_ONCE / 2 <= bursts <= JOINS_AT_ONCE + 5 / JOIN_PAUSE
    stage.session.text('{"type": "join"}')
    stage.clock.time += round(JOIN_PAUSE * 1e6)
    timer.run(JOIN_PAUSE)
    assert stage.socket.kinds.count("K") > bursts, "the last one is fulfilled"
    stage.clock.time += round(JOIN_PAUSE * 1e6)
    timer.run(JOIN_PAUSE)
    assert stage.channel.watching == 1 and stage.film("p") == "p"


def test_who_rests_in_time_is_not_made_to_watch() -> None:
    timer = Timer()
    stage = Stage(True, timer)
    stage.film("K")
    for _ in range(JOINS_AT_ONCE + 1):
        stage.session.text('{"type": "rest"}')
        stage.session.text('{"type": "join"}')
    assert stage.channel.watching == 0, "it has to wait"
    stage.session.text('{"type": "rest"}')
    stage.clock.time += 60_000_000
    timer.run(60)
    assert stage.channel.watching == 0
    stage.session.text('{"type": "join"}')
    assert stage.channel.watching == 1
    stage.session.text('{"type": "rest"}')
    stage.session.closed(None)
    timer.run(60)
    assert stage.channel.watching == stage.channel.resting == 0


def test_votes_without_end_stop_a_camera_once_a_second_and_are_taken_back_always() -> None:
    stage = Stage(True)
    stage.film("K")
    for _ in range(500):
        stage.session.text('{"type": "pause"}')
        stage.session.text('{"type": "resume"}')
        stage.clock.time += 10_000
    pauses = [one for one in stage.camera.told if isinstance(one, control.CameraPause)]
    assert VOTES_AT_ONCE <= len(pauses) <= VOTES_AT_ONCE + 5 / VOTE_PAUSE
    assert stage.camera.told[-1] == control.Resume()


def test_a_wall_that_does_not_keep_up_gets_the_newest_list_when_it_has_caught_up() -> None:
    hub = Hub(Clock())
    socket = FakeSocket()
    wall = WallSession(hub)
    wall.opened(cast(Socket, socket))
    told = len(socket.told)
    socket.behind = True
    for name in ("porch", "attic"):
        hub.channel(name).take(FakeCamera())
    assert len(socket.told) == told
    socket.behind = False
    wall.drained()
    wall.drained()
    [last] = socket.told[told:]
    assert isinstance(last, control.Cameras) and [camera["name"] for camera in last.cameras] == [
        "attic",
        "porch",
    ]
    wall.closed(None)
