"""What players say that they decode: a camera is asked for another codec where all who watch can
play it, and only then.
"""

from __future__ import annotations

import json

import aiohttp
import pytest

from tests.harness.peers import peer
from tests.harness.relays import Relay
from tests.live.test_channel import asked, playing
from tests.media.samples import RECORDINGS
from tests.server.sockets.test_sessions import Stage
from tests.server.test_media import OPUS, VP8, film, frames, has_frames

H264 = (RECORDINGS / "chromium-h264.webm").read_bytes()


def join(*names: str, video: bool = True) -> str:
    return json.dumps({"type": "join", "video": video, "plays": names})


def unplayable(codec: str) -> str:
    return json.dumps({"type": "unplayable", "codec": codec})


@pytest.fixture
def stage() -> Stage:
    """VP8 and Opus, and one viewer."""
    return Stage(keyframes=True)


def test_a_list_counts_until_there_is_another_one(stage: Stage) -> None:
    stage.session.text(join("vp8", "h264", "opus", "a codec of the future"))
    stage.session.text(unplayable("avc1.42E01E"))
    stage.session.text('{"type": "join"}')
    assert asked(stage.camera) == [], "there is no such track"
    stage.session.text('{"type": "rest"}')
    stage.session.text(unplayable("vp8"))
    assert asked(stage.camera) == [], "who rests has no say"
    stage.session.text('{"type": "join"}')
    assert asked(stage.camera) == [("vp8", ("h264", "opus"))]


def test_what_a_player_cannot_play_after_all_is_taken_out_of_its_own_list(stage: Stage) -> None:
    stage.session.text(join("vp8", "vp9", "h264", "opus"))
    playing(stage.channel, "vp8", "vp9", "opus", "aac")
    stage.session.text(unplayable("vp8"))
    assert asked(stage.camera) == [("vp8", ("vp9", "opus"))]


def test_a_player_that_has_no_list_changes_nothing(stage: Stage) -> None:
    """Such as a page from before there were lists. It takes single pictures."""
    playing(stage.channel, "vp8", "h264", "opus", "aac")
    for codec in ("vp8", "opus"):
        stage.session.text(unplayable(codec))
        stage.session.text('{"type": "join"}')
    assert asked(stage.camera) == []


def test_who_only_listens_has_no_say_about_pictures(stage: Stage) -> None:
    stage.session.text(join("h264", "opus", video=False))
    assert asked(stage.camera) == []
    stage.session.text('{"type": "join"}')
    assert asked(stage.camera) == [("vp8", ("h264", "opus"))]


async def test_a_camera_changes_its_codec_for_a_player_that_comes_with_its_list(
    relay: Relay, name: str
) -> None:
    async with (
        peer(relay, f"/camera/{name}") as camera,
        peer(relay, f"/player/{name}?plays=vp8,vp9,av1,h264,opus,aac") as everything,
    ):
        await film(camera, H264)
        await film(camera, OPUS, stream=2)
        await everything.until(has_frames(5))
        await everything.message("track", number=2)
        before = len(everything.told("track"))
        async with peer(relay, f"/player/{name}?plays=vp8%2Cvp9,opus") as viewer:
            wish = await camera.message("unplayable")
            assert wish["codec"].startswith("avc1.") and wish["plays"] == ["vp8", "vp9", "opus"]
            await viewer.settled()
            assert len(viewer.told("track")) == 2 and len(frames(viewer)) == len(
                {*frames(viewer)}
            ), "it got all of that once"
            await film(camera, VP8)
            await viewer.message("track", number=1, codec="vp8")
        async with peer(relay, f"/player/{name}?rest=1") as stranger:
            for names in ([], ["aac"], ["av1"], ["h264"], ["vp10", ""]):
                await stranger.send(type="join", plays=names)
                for codec in ("vp8", "opus", wish["codec"]):
                    await stranger.send(type="unplayable", codec=codec)
                await stranger.send(type="rest")
            await stranger.settled()
        await camera.settled()
        assert camera.told("unplayable") == [wish], "not so soon again"
        await everything.settled()
        assert [one["codec"] for one in everything.told("track")[before:]] == ["vp8"]


async def test_a_program_that_reads_a_file_is_not_disturbed_by_what_others_play(
    relay: Relay, name: str
) -> None:
    async with (
        peer(relay, f"/camera/{name}") as camera,
        aiohttp.ClientSession(relay.origin) as client,
    ):
        await film(camera, VP8)
        await camera.settled()
        async with (
            client.get(f"/cameras/{name}/live?sound=0") as answer,
            peer(relay, f"/player/{name}") as stranger,
        ):
            await stranger.send(type="join", plays=["h264", "vp9"])
            await stranger.send(type="unplayable", codec="vp8")
            await stranger.settled()
            await camera.settled()
            assert camera.told("unplayable") == [] and not answer.content.at_eof()


@pytest.mark.parametrize("plays", ["vp8", {"vp8": True}, [8], [["vp8"]], ["vp8", None], 1, False])
async def test_4000_a_list_that_is_none(relay: Relay, name: str, plays: object) -> None:
    async with peer(relay, f"/player/{name}") as viewer:
        await viewer.send(type="join", plays=plays)
        assert await viewer.closed() == 4000
        assert "'plays'" in viewer.told("error")[0]["text"]
