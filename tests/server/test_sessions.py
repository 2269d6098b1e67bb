"""What a player's session takes and leaves, with a socket that only pretends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import pytest

from drawercam import control
from drawercam.channel import KEYFRAME_INTERVAL
from drawercam.hub import Hub
from drawercam.media.packets import Packet
from drawercam.server.sessions import MAX_PATIENCE, MAX_WAIT, SETTLED, PlayerSession
from drawercam.server.socket import Socket
from tests.test_channel import KEY_FRAME, PICTURE, SOUND, Clock, FakeCamera


class FakeSocket:
    """Attributes:
    behind: As Socket.behind.
    bursting: As Socket.bursting.
    room: What `burst` says.
    seconds: What `wait` says.
    strains: How often it was told that something was left out.
    writes: How often something was written.
    kinds: What was written: one letter for each frame, K(eyframe), p(icture), s(ound).
    """

    peer = "nobody"

    def __init__(self) -> None:
        self.behind = self.bursting = False
        self.room = True
        self.strains = self.writes = 0
        self.seconds = 0.0
        self.kinds = ""

    def wait(self) -> float:
        return self.seconds

    def probe(self) -> None:
        pass

    def left_out(self) -> None:
        self.strains += 1

    def tell(self, message: control.Message) -> None:
        pass

    def write(self, framed: bytes) -> None:
        self.writes += 1
        self.kinds += "K" if KEY_FRAME in framed else "p" if b"picture" in framed else "s" if b"sound" in framed else ""

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

    def __init__(self, keyframes: bool) -> None:
        self.clock = Clock()
        self.camera = FakeCamera()
        hub = Hub(self.clock)
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
            self.channel.publish(Packet(SOUND if kind == "s" else PICTURE, self.clock.time, kind != "p", data), self.clock.time)
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
            stage.channel.publish(Packet(PICTURE, stage.clock.time, False, b"\x11picture"), stage.clock.time, hold=True)
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
