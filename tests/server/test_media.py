"""The main path over real sockets: a camera's bytes in, canonical messages out, to everybody who
should have them.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from drawercam.live.gone_file import STOP_BUDGET
from drawercam.media.containers.detect import StreamReader
from drawercam.media.packets import Packet, Track
from drawercam.server.server import GOODBYE_BUDGET
from tests.harness.peers import Peer, Raw, peer
from tests.harness.relays import Relay
from tests.media.samples import RECORDINGS, cut, read, recordings

VP8 = (RECORDINGS / "chromium-vp8.webm").read_bytes()
OPUS = (RECORDINGS / "chromium-opus.webm").read_bytes()
VP9 = (RECORDINGS / "chromium-vp9.webm").read_bytes()


async def film(camera: Peer, data: bytes, stream: int = 1, size: int = 1000) -> None:
    """Send a recording as a camera does."""
    await camera.send(type="stream", stream=stream, mime="video/webm")
    await camera.send_media(stream, cut(data, range(0, len(data), size)))


def frames(viewer: Peer, number: int = 1) -> list[bytes]:
    """The frame messages of a track (docs/protocol.md), without init segments."""
    return [one for one in viewer.media if track_of(one) == number]


def has_frames(count: int) -> Callable[[Peer], bool]:
    """For `Peer.until`: so many frames of the picture have come."""
    return lambda viewer: len(frames(viewer)) >= count


def track_of(message: bytes) -> int | None:
    if message.startswith(b"\x1f\x43\xb6\x75"):
        return message[23] & 0x7F
    if message[4:8] == b"moof":
        return int.from_bytes(message[44:48], "big")
    return None


def decoded(viewer: Peer) -> list[Packet]:
    """All frames of a viewer that has one track, read back from what it received."""
    reader = StreamReader()
    return [
        event
        for message in viewer.media
        for event in reader.feed(message)
        if isinstance(event, Packet)
    ]


def packets(data: bytes) -> list[Packet]:
    return [event for event in read([data]) if isinstance(event, Packet)]


def api(relay: Relay, path: str) -> Any:
    with urllib.request.urlopen(relay.origin + path, timeout=20) as answer:
        return json.load(answer)


@pytest.mark.parametrize("recording", recordings(), ids=str)
async def test_every_recording_reaches_the_player_whole(
    relay: Relay, name: str, recording: Any
) -> None:
    expected = packets(recording.data)
    first_key = next(index for index, packet in enumerate(expected) if packet.key)
    kinds = {packet.track.kind for packet in expected}
    async with peer(relay, f"/player/{name}") as viewer, peer(relay, f"/camera/{name}") as camera:
        await viewer.message("state", state="waiting")
        await film(camera, recording.data, size=777)
        wanted = len(expected) if len(kinds) > 1 else len(expected) - first_key
        await viewer.until(
            lambda one: len(frames(one, 1)) + len(frames(one, 2)) >= wanted, f"for {wanted} frames"
        )
        tracks = [message for message in viewer.messages if message["type"] == "track"]
        assert {message["kind"] for message in tracks} == set(kinds)
        if len(kinds) == 1 and len(tracks) == 1:
            got = decoded(viewer)
            assert [one.data for one in got] == [one.data for one in expected[first_key:]]
            moments = [one.timestamp for one in got]
            assert moments == sorted(moments)


async def test_a_late_viewer_begins_at_the_last_keyframe_and_disturbs_nobody(
    relay: Relay, name: str
) -> None:
    expected = packets(VP8)
    last_key = max(index for index, packet in enumerate(expected) if packet.key)
    async with peer(relay, f"/camera/{name}") as camera, peer(relay, f"/player/{name}") as early:
        await film(camera, VP8)
        await early.until(lambda one: len(frames(one)) == len(expected))
        said = len(camera.messages)
        async with peer(relay, f"/player/{name}") as late:
            await late.until(lambda one: len(frames(one)) == len(expected) - last_key)
            await late.message("state", state="live")
            assert decoded(late)[0].key
            assert decoded(late)[0].data == expected[last_key].data
            await camera.message("viewers", count=2)
        assert len(frames(early)) == len(expected)
        assert {message["type"] for message in camera.messages[said:]} == {"viewers"}


async def test_join_starts_over(relay: Relay, name: str) -> None:
    async with peer(relay, f"/camera/{name}") as camera, peer(relay, f"/player/{name}") as viewer:
        await film(camera, VP8)
        await viewer.until(lambda one: len(frames(one)) == len(packets(VP8)))
        before = len(viewer.media)
        await viewer.send(type="join")
        await viewer.until(lambda one: len(one.media) > before + 1)
        assert viewer.media[before].startswith(b"\x1a\x45\xdf\xa3")
        assert track_of(viewer.media[before + 1]) == 1 and viewer.media[before + 1][26] == 0x80


async def test_two_recorders_of_one_phone_lie_on_one_timeline(relay: Relay, name: str) -> None:
    async with peer(relay, f"/player/{name}") as viewer, peer(relay, f"/camera/{name}") as camera:
        for stream, data in ((1, VP8), (2, OPUS)):
            await camera.send(type="stream", stream=stream, mime="")
            await camera.send_media(stream, [data[:4000]])
        await viewer.until(lambda one: frames(one, 1) and frames(one, 2))
        times = [int.from_bytes(frames(viewer, number)[0][10:18], "big") for number in (1, 2)]
        assert abs(times[0] - times[1]) < 5000, "both are the relay's time, a moment apart"


async def test_a_restarted_recorder_goes_on_on_the_same_timeline(relay: Relay, name: str) -> None:
    async with peer(relay, f"/player/{name}") as viewer, peer(relay, f"/camera/{name}") as camera:
        await film(camera, VP8[: len(VP8) // 2])
        await viewer.until(lambda one: len(frames(one)) > 5)
        await film(camera, VP8)
        await film(camera, VP8)
        count = 2 * len(packets(VP8))
        await viewer.until(lambda one: len(frames(one)) >= count)
        moments = [int.from_bytes(message[10:18], "big") for message in frames(viewer)]
        assert all(after > before for before, after in itertools.pairwise(moments))
        assert sum(message["type"] == "track" for message in viewer.messages) == 1, (
            "the same codec needs no new init segment"
        )


async def test_another_codec_brings_its_own_init_segment(relay: Relay, name: str) -> None:
    async with peer(relay, f"/player/{name}") as viewer, peer(relay, f"/camera/{name}") as camera:
        await film(camera, VP8)
        await film(camera, VP9)
        await viewer.message("track", codec="vp8")
        codec = packets(VP9)[0].track.codec_string
        changed = await viewer.message(
            "track", number=1, codec=codec, mime=f'video/webm; codecs="{codec}"'
        )
        assert (changed["width"], changed["height"]) == (
            packets(VP9)[0].track.width,
            packets(VP9)[0].track.height,
        )
        await viewer.until(lambda one: len(frames(one)) == len(packets(VP8)) + len(packets(VP9)))


async def test_a_camera_that_dies_in_mid_frame_leaves_no_broken_byte(
    relay: Relay, name: str
) -> None:
    async with peer(relay, f"/player/{name}") as viewer:
        for _ in range(3):
            async with peer(relay, f"/camera/{name}") as camera:
                viewer.media.clear()
                await film(camera, VP8[: len(VP8) * 2 // 3 + 11])
                wanted = len(packets(VP8[: len(VP8) * 2 // 3 + 11]))
                await viewer.until(has_frames(wanted))
                camera.connection.transport.abort()
                await viewer.message("state", state="gone", reason="lost")
                assert len(decoded(viewer)) == wanted
                viewer.messages.clear()


async def test_a_camera_that_comes_back_is_live_again_for_those_who_waited(
    relay: Relay, name: str
) -> None:
    async with peer(relay, f"/player/{name}") as viewer:
        for _ in range(2):
            async with peer(relay, f"/camera/{name}") as camera:
                await film(camera, VP8)
                await viewer.message("state", state="live")
                await viewer.until(lambda one: len(frames(one)) == len(packets(VP8)))
            await viewer.message("state", state="gone", reason="closed")
            viewer.messages.clear()
            viewer.media.clear()


async def test_a_second_phone_takes_the_name_and_the_first_is_told_in_words(
    relay: Relay, name: str
) -> None:
    async with peer(relay, f"/player/{name}") as viewer, peer(relay, f"/camera/{name}") as first:
        await film(first, VP8)
        await viewer.message("state", state="live")
        async with peer(relay, f"/camera/{name}") as second:
            error = await first.message("error", id="taken-over")
            assert "taken" in error["text"]
            assert await first.closed() == 4003
            viewer.media.clear()
            await film(second, VP9)
            await viewer.until(lambda one: len(frames(one)) == len(packets(VP9)))
        assert [message["state"] for message in viewer.messages if message["type"] == "state"][
            :4
        ] == ["waiting", "live", "waiting", "live"]


async def test_votes_reach_the_camera_and_its_state_reaches_the_players(
    relay: Relay, name: str
) -> None:
    async with (
        peer(relay, f"/camera/{name}") as camera,
        peer(relay, f"/player/{name}") as one,
        peer(relay, f"/player/{name}") as two,
    ):
        await film(camera, VP8)
        await one.message("state", state="live")
        await one.send(type="pause", reason="overflow")
        await two.send(type="pause")
        await camera.message("pause", reason="viewers")
        await camera.send(type="state", state="paused", reason="viewers")
        await two.message("state", state="paused", reason="viewers")
        await one.send(type="resume")
        await camera.message("resume")
        await camera.send(type="state", state="live")
        await film(camera, VP8)
        await one.until(
            lambda each: (
                [m["state"] for m in each.messages if m["type"] == "state"][-2:]
                == ["paused", "live"]
            )
        )
        await one.send(type="keyframe")
        await camera.message("keyframe")


async def test_the_wall_shows_cameras_as_they_come_and_go(relay: Relay, name: str) -> None:
    def shown(wall: Peer) -> dict[str, Any] | None:
        listing = (
            wall.messages[-1]["cameras"]
            if wall.messages and wall.messages[-1]["type"] == "cameras"
            else []
        )
        return next((camera for camera in listing if camera["name"] == name), None)

    async with peer(relay, "/wall") as wall:
        await wall.message("cameras")
        assert shown(wall) is None
        async with peer(relay, f"/camera/{name}") as camera:
            await film(camera, VP8)
            await wall.until(
                lambda one: shown(one) == {"name": name, "state": "live", "kinds": ["video"]}
            )
        await wall.until(lambda one: (shown(one) or {}).get("reason") == "closed")
        async with peer(relay, f"/camera/{name}") as camera:
            await wall.until(
                lambda one: shown(one) == {"name": name, "state": "waiting", "kinds": []}
            )
            camera.connection.transport.abort()
            await wall.until(
                lambda one: (shown(one) or {}).get("reason") == "lost",
                "though it showed nothing this time",
            )


async def test_a_player_and_the_api_tell_how_long_a_picture_takes(relay: Relay, name: str) -> None:
    begin = time.monotonic()
    async with peer(relay, f"/camera/{name}") as camera, peer(relay, f"/player/{name}") as viewer:
        await viewer.send(type="ping", t=0)
        assert (await viewer.message("pong", t=0)).keys() == {"type", "t", "time", "drops"}, (
            "nothing is known of no pictures"
        )
        await camera.send(type="ping", t=1, encode=7_000)
        assert (await camera.message("pong", t=1)).keys() == {"type", "t", "time"}
        welcome = await camera.message("welcome")
        age = 5_000_000  # filmed so long ago, says the camera
        last = packets(VP8)[-1].timestamp
        await camera.send(
            type="stream", stream=1, mime="video/webm", at=welcome["time"] - age - last
        )
        await camera.send_media(1, [VP8])
        await viewer.until(has_frames(len(packets(VP8))))
        await viewer.send(type="ping", t=2)
        pong = await viewer.message("pong", t=2)
        assert (pong["encode"], pong["drops"]) == (7_000, 0)
        assert age - 7_000 < pong["uplink"] < age + last + (time.monotonic() - begin) * 1e6
        assert 0 <= pong["relay"] < 10_000_000
        assert 0 < pong["pace"] < 1_000_000
        report = next(
            one
            for one in await asyncio.to_thread(api, relay, "/api/cameras")
            if one["name"] == name
        )
        assert report["timing"] == {part: pong[part] for part in ("encode", "uplink", "relay")}


async def test_a_player_is_told_what_the_microphone_does_and_how_loud_it_is(
    relay: Relay, name: str
) -> None:
    """Also one that only rests, and from the first message on; not by a camera whose name was taken
    over.
    """
    async with (
        peer(relay, f"/camera/{name}") as camera,
        peer(relay, f"/player/{name}?rest=1") as viewer,
    ):
        await film(camera, VP8)
        await camera.send(type="state", state="live", sound="muted")
        await camera.send(type="ping", t=1, level=0.0004)
        await camera.message("pong", t=1)
        await viewer.message("state", state="live", sound="muted")
        await viewer.send(type="ping", t=1)
        assert (await viewer.message("pong", t=1))["level"] == 0.0004
        async with peer(relay, f"/player/{name}") as late:
            assert (await late.message("state"))["sound"] == "muted"
        await camera.send(type="ping", t=2)
        await camera.message("pong", t=2)
        await viewer.send(type="ping", t=2)
        assert "level" not in await viewer.message("pong", t=2), (
            "the camera does not know it any more"
        )
        async with peer(relay, f"/camera/{name}") as other:
            await other.message("welcome")
            await viewer.until(
                lambda one: "sound" not in one.told("state")[-1],
                "for the state of the other camera",
            )
            assert await camera.closed() == 4003


async def test_a_newcomer_gets_a_fresh_keyframe_from_a_camera_that_can_make_one(
    relay: Relay, name: str
) -> None:
    async with peer(relay, f"/camera/{name}") as camera:
        await camera.send(type="stream", stream=1, mime="video/webm", keyframes=True)
        await camera.send_media(1, [VP8])
        await camera.send(type="ping", t=1)
        await camera.message("pong")
        assert all(message["type"] != "keyframe" for message in camera.messages)
        async with peer(relay, f"/player/{name}") as late:
            await late.until(frames)
            await camera.message("keyframe")


async def test_a_phone_that_is_turned_goes_on_and_newcomers_learn_the_new_size(
    relay: Relay, name: str
) -> None:
    for recording, tracks in (("chromium-turn-vp8.webm", 1), ("chromium-turn-h264.webm", 2)):
        data = (RECORDINGS / recording).read_bytes()
        expected = packets(data)
        size = expected[-1].track.width, expected[-1].track.height
        assert size != (expected[0].track.width, expected[0].track.height)
        async with (
            peer(relay, f"/player/{name}-{tracks}") as viewer,
            peer(relay, f"/camera/{name}-{tracks}") as camera,
        ):
            await film(camera, data)
            await viewer.until(has_frames(len(expected)))
            assert sum(message["type"] == "track" for message in viewer.messages) == tracks
            read_back = decoded(viewer)
            assert [one.data for one in read_back] == [one.data for one in expected]
            assert (read_back[-1].track.width, read_back[-1].track.height) == size
            async with peer(relay, f"/player/{name}-{tracks}") as late:
                track = await late.message("track")
                assert (track["width"], track["height"]) == size
                await late.until(frames)
                assert (decoded(late)[0].track.width, decoded(late)[0].track.height) == size


async def test_the_api_tells_what_each_camera_does(relay: Relay, name: str) -> None:
    async with peer(relay, f"/camera/{name}") as camera, peer(relay, f"/player/{name}") as viewer:
        await film(camera, VP8)
        await viewer.until(lambda one: len(frames(one)) == len(packets(VP8)))
        listing = await asyncio.to_thread(api, relay, "/api/cameras")
        report = next(one for one in listing if one["name"] == name)
        track = packets(VP8)[0].track
        assert report["state"] == "live" and report["viewers"] == 1 and report["drops"] == 0
        assert report["tracks"] == [
            {
                "number": 1,
                "kind": "video",
                "codec": "vp8",
                "width": track.width,
                "height": track.height,
            }
        ]
        assert (
            0 <= report["age"] < 60
            and report["framesPerSecond"] > 0
            and report["bytesPerSecond"] > 0
        )


async def test_a_player_that_does_not_read_is_left_out_alone(relay: Relay, name: str) -> None:
    frame = packets(VP8)[0].data
    head = VP8[: VP8.index(b"\x1f\x43\xb6\x75")]
    big = frame + bytes(60_000)
    block = b"\xa3" + (len(big) + 4 | 0x10000000).to_bytes(4, "big") + b"\x81\0\0\x80" + big
    clusters = [
        b"\x1f\x43\xb6\x75\xff\xe7\x84" + (n * 33).to_bytes(4, "big") + block for n in range(200)
    ]
    async with (
        peer(relay, f"/camera/{name}") as camera,
        peer(relay, f"/player/{name}") as good,
        await Raw.open(relay, 4096) as stalled,
    ):
        assert await stalled.request(relay, f"/player/{name}") == 101
        await camera.message("viewers", count=2)
        before = relay.resident
        await camera.send(type="stream", stream=1, mime="")
        await camera.send_media(1, [head])
        for count, cluster in enumerate(clusters, 1):  # no faster than a good viewer reads
            await camera.send_media(1, [cluster])
            await good.until(has_frames(count))
        listing = await asyncio.to_thread(api, relay, "/api/cameras")
        report = next(one for one in listing if one["name"] == name)
        assert report["drops"] > 100
        assert relay.resident - before < 6 * 2**20, (
            "12 MB were sent past a viewer that took none of it"
        )


async def test_both_sides_come_back_after_the_relay_was_restarted(name: str) -> None:
    with Relay() as relay:
        async with (
            peer(relay, f"/camera/{name}") as camera,
            peer(relay, f"/player/{name}") as viewer,
        ):
            await film(camera, VP8)
            await viewer.message("state", state="live")
            status, _ = await asyncio.to_thread(relay.stop)
            assert status == 0
            for one in (camera, viewer):
                assert await one.closed() == 1001
                assert one.messages[-1]["id"] == "restarting"
        relay.start()
        async with (
            peer(relay, f"/camera/{name}") as camera,
            peer(relay, f"/player/{name}") as viewer,
        ):
            await film(camera, VP8)
            await viewer.message("state", state="live")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_stops_within_two_seconds_with_stalled_peers(
    name: str, number: signal.Signals
) -> None:
    """It ends by itself, and all that it waits for has a deadline: together they are below two
    seconds.
    """
    assert GOODBYE_BUDGET + STOP_BUDGET < 2
    with Relay("--tls", "--no-key", "--host", "127.0.0.1") as relay:
        stalled = [await Raw.open(relay, 4096) for _ in range(3)]
        for one in stalled:
            assert await one.request(relay, f"/player/{name}") == 101
        silent = await Raw.open(relay)
        await silent.write(b"GET / HT")
        async with peer(relay, f"/camera/{name}") as camera:
            for _ in range(40):
                await film(camera, VP8, size=100_000)
            status, _ = await asyncio.to_thread(relay.stop, number)
        assert status == 0
        for one in (*stalled, silent):
            one.cut()
        assert "Traceback" not in relay.output


async def test_a_track_event_is_never_sent_without_its_init_segment(
    relay: Relay, name: str
) -> None:
    async with peer(relay, f"/player/{name}") as viewer, peer(relay, f"/camera/{name}") as camera:
        await film(camera, (RECORDINGS / "chromium-av.webm").read_bytes())
        await viewer.until(lambda one: frames(one, 1) and frames(one, 2))
        inits = [message for message in viewer.media if track_of(message) is None]
        numbers = [message["number"] for message in viewer.messages if message["type"] == "track"]
        assert sorted(numbers) == [1, 2]
        for number, init in zip(numbers, inits, strict=True):
            assert any(isinstance(event, Track) for event in read([init, *frames(viewer, number)]))
