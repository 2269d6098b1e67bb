"""What a player's session takes and leaves, with a socket that only pretends."""

from __future__ import annotations

from typing import cast

import pytest

from drawercam import control
from drawercam.hub import Hub
from drawercam.media.packets import Packet
from drawercam.server.sessions import MAX_WAIT, PlayerSession
from drawercam.server.socket import Socket
from tests.test_channel import KEY_FRAME, PICTURE, SOUND, Clock, FakeCamera


class FakeSocket:
    """Attributes:
    behind: As Socket.behind.
    seconds: What `waiting` says.
    kinds: What was written: one letter for each frame, K(eyframe), p(icture), s(ound).
    """

    peer = "nobody"

    def __init__(self) -> None:
        self.behind = False
        self.seconds = 0.0
        self.kinds = ""

    def waiting(self) -> float:
        return self.seconds

    def tell(self, message: control.Message) -> None:
        pass

    def write(self, framed: bytes) -> None:
        self.kinds += "K" if KEY_FRAME in framed else "p" if b"picture" in framed else "s" if b"sound" in framed else ""

    def burst(self, framed: bytes) -> None:
        self.write(framed)


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
    assert stage.film("Kpsp") == "Kpsp"
    stage.socket.seconds = MAX_WAIT
    assert stage.film("pp") == "pp"
    stage.socket.seconds = MAX_WAIT + 0.01
    if not stage.channel.keyframes:
        assert stage.film("psKp") == "psKp", "its next keyframe may be seconds away"
        return
    assert stage.film("pspKp") == "s", "sound is small and goes on"
    assert (stage.session.drops, stage.camera.wishes) == (4, 0)
    stage.socket.seconds = 0.0
    assert stage.film("psp") == "s"
    assert stage.camera.wishes == 1
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
