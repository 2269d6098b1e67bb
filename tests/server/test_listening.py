"""A player that only listens: it gets the sound and no picture, and counts as one who watches."""

from __future__ import annotations

import json
from unittest import mock

from drawercam.protocol import messages as control
from drawercam.server.sockets.patience import MAX_PATIENCE
from tests.harness.peers import peer
from tests.harness.relays import Relay
from tests.media.samples import RECORDINGS
from tests.server.sockets.test_sessions import Stage
from tests.server.test_media import film, frames
from tests.server.test_promises import report

AV = (RECORDINGS / "chromium-av.webm").read_bytes()

LISTEN = '{"type": "join", "video": false}'


def drops(stage: Stage) -> int:
    """As the viewer is told them."""
    with mock.patch.object(stage.socket, "tell") as tell:
        stage.session.text('{"type": "ping", "t": 1}')
    (pong,) = tell.call_args.args
    return int(pong.drops)


def test_who_listens_gets_no_picture_and_goes_on_at_a_keyframe() -> None:
    stage = Stage(keyframes=True)
    assert stage.film("Kpsp") == "Kpsp"
    stage.session.text(LISTEN)
    assert stage.film("psKsps") == "sss"
    stage.session.text(LISTEN)
    assert stage.film("Kps") == "s", "to say it again changes nothing"
    assert (stage.channel.watching, stage.channel.resting, drops(stage)) == (1, 0, 0)
    stage.socket.kinds = ""
    stage.session.text('{"type": "join"}')
    assert stage.socket.kinds == "Kps", "everything since the last keyframe"
    assert stage.film("ps") == "ps"
    stage.session.text(LISTEN)
    stage.session.text('{"type": "rest"}')
    assert (stage.channel.watching, stage.film("Kps")) == (0, "")
    stage.session.closed(None)
    assert (stage.channel.resting, stage.channel.watching) == (0, 0)


def test_sound_that_would_be_late_is_left_out_and_counted_once() -> None:
    stage = Stage(keyframes=True)
    stage.film("K")
    stage.socket.seconds = MAX_PATIENCE + 0.01
    assert stage.film("pp") == ""
    stage.session.text(LISTEN)
    assert (stage.film("sps"), drops(stage)) == ("", 4)
    stage.socket.seconds = 0.0
    stage.session.text('{"type": "join"}')
    assert (stage.film("s"), drops(stage)) == ("s", 4), "it does not begin anew"
    stage.session.closed(None)
    assert stage.channel.tally.drops == 4


def test_who_listens_has_a_vote() -> None:
    stage = Stage(keyframes=True)
    stage.film("K")
    stage.session.text(LISTEN)
    stage.session.text('{"type": "pause"}')
    assert [one["votes"] for one in stage.channel.report()["players"]] == [True]
    stage.session.text('{"type": "resume"}')
    assert [one["votes"] for one in stage.channel.report()["players"]] == [False]


async def test_sound_alone_over_a_socket(relay: Relay, name: str) -> None:
    async with (
        peer(relay, f"/camera/{name}") as camera,
        peer(relay, f"/player/{name}") as whole,
        peer(relay, f"/player/{name}?rest=1") as ear,
    ):
        await ear.send(type="join", video=False)
        await ear.settled()
        await film(camera, AV)
        heard = await whole.until(
            lambda one: len(frames(one)) > 5 and len(frames(one, 2)) > 5 and frames(one, 2),
            "for the film",
        )
        await ear.until(lambda one: len(frames(one, 2)) >= len(heard), "for the sound")
        assert frames(ear) == [], "no picture went there"
        assert [message["kind"] for message in ear.told("track")].count("video") == 1, (
            "but it knows that there is one"
        )
        assert report(relay, name)["viewers"] == 2
        await ear.send(type="join")
        await ear.until(lambda one: frames(one), "for pictures")
        await whole.send(type="rest")
        await whole.settled()
        await ear.send(type="join", video=False)
        await camera.message("viewers", count=1)
        await ear.settled()
        await camera.settled()
        assert camera.told("viewers")[-1]["count"] == 1, "who listens keeps the camera awake"
    async with peer(relay, f"/player/{name}") as wrong:
        await wrong.send(type="join", video="no")
        assert await wrong.closed() == 4000
        assert "'video'" in wrong.told("error")[0]["text"]


def test_the_word_of_the_protocol() -> None:
    assert control.parse(LISTEN, control.FROM_PLAYER) == control.Join(video=False)
    assert control.parse(json.dumps({"type": "join"}), control.FROM_PLAYER) == control.Join(
        video=True
    )
