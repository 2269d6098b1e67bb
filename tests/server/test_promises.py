"""What docs/promises.md promises, under the faults that real phones, networks and computers have.

One test for each promise that no other file checks already; its list names them all. Real relays,
real sockets.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import itertools
import json
import random
import re
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.frames import Opcode

from drawercam.live.hub import Hub
from drawercam.live.ingest import Source
from drawercam.live.relay_clock import RelayClock
from drawercam.media.containers.matroska import Id
from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Codec, Packet, Track
from groundwork.connections.limits import MAX_PAGES_OF_ONE, MAX_SOCKETS_OF_ONE
from tests.harness.peers import PATIENCE, Peer, Raw, handshake, peer
from tests.harness.proxies import HOST, Proxy
from tests.harness.relays import ROOT, Relay
from tests.live.test_channel import FakeCamera, FakeViewer
from tests.media.samples import RECORDINGS
from tests.server.test_freeze import PICTURE_SIZE, costs_nobody, filming, missing, timestamps
from tests.server.test_media import VP8, VP9, api, decoded, film, frames, has_frames, packets

SMALL = (RECORDINGS / "chromium-turn-vp8.webm").read_bytes()
TRACK = Track(Codec.VP8, "vp8", width=320, height=240)
KEY_FRAME = b"\x10\x00\x00\x9d\x01\x2a\x40\x01\xf0\x00"


async def eventually(look: Callable[[], Any], what: str) -> None:
    """Wait until something holds that no message tells.

    ``look`` may block, or be a coroutine function.
    """
    found = None
    try:
        async with asyncio.timeout(PATIENCE):
            while not found:
                found = (
                    await look()
                    if inspect.iscoroutinefunction(look)
                    else await asyncio.to_thread(look)
                )
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it never came true: {what}") from None


def report(relay: Relay, name: str) -> dict[str, Any]:
    """What the API says of a camera."""
    found: dict[str, Any] = next(one for one in api(relay, "/api/cameras") if one["name"] == name)
    return found


def written(moments: list[int]) -> list[bytes]:
    """A WebM stream with a keyframe at each of these moments (ms), in pieces: the header, then one
    for each picture.
    """
    out = WebmWriter(TRACK, 1, 0)
    pictures = (
        Packet(TRACK, moment * 1000, True, KEY_FRAME + bytes([number]))
        for number, moment in enumerate(moments)
    )
    return [out.init(), *map(out.fragment, pictures)]


@asynccontextmanager
async def bystanders(relay: Relay, name: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A camera and a viewer whose pictures must arrive, all of them, whatever happens beside them.
    Gives a check for in between.

    The viewer shares this process with the crowds of the tests. When that keeps it busy, pictures
    are rightly left out for it; then the recording is sent again.
    """
    async with (
        peer(relay, f"/player/{name}-by") as viewer,
        peer(relay, f"/camera/{name}-by") as camera,
    ):

        async def all_arrives() -> bool:
            viewer.media.clear()
            await film(camera, SMALL)
            await camera.settled()
            await viewer.settled()
            return len(frames(viewer)) == len(packets(SMALL))

        async def served() -> None:
            await eventually(all_arrives, "all pictures of a bystander arrive")
            assert not camera.told("pause")

        await served()
        yield served
        await served()


# --- slow and silent viewers ---


async def test_a_slow_viewer_sees_what_is_and_costs_nobody_else_anything(
    relay: Relay, name: str
) -> None:
    """Its network passes a tenth of what the camera sends."""
    await costs_nobody(_beside_a_slow_viewer, relay, name)


async def _beside_a_slow_viewer(relay: Relay, name: str) -> int:
    async with (
        filming(relay, name) as camera,
        peer(relay, f"/player/{name}") as other,
        Proxy(relay.port) as network,
        peer(relay, f"/player/{name}", host=HOST, port=network.port) as slow,
    ):
        await slow.until(lambda one: len(timestamps(one)) > 3)
        network.throttle(PICTURE_SIZE * 3)

        def after_gaps(one: Peer) -> list[int]:
            """The pictures before which others are missing."""
            shown = timestamps(one)
            filmed = {moment: number for number, moment in enumerate(camera.sent)}
            return [
                after
                for before, after in itertools.pairwise(shown)
                if filmed[after] > filmed[before] + 1
            ]

        gaps = await slow.until(after_gaps, "for pictures to be left out")
        assert set(gaps) <= set(camera.keys), (
            "it goes on with a picture that can be decoded, made for it"
        )
        await slow.settled()
        assert slow.told("pong")[-1]["drops"] > 0
        await other.until(lambda one: max(timestamps(one), default=0) >= gaps[-1])
        assert not camera.camera.told("pause"), "the camera has not noticed"
        return missing(camera, other, gaps[-1])


async def test_a_viewer_that_hangs_cannot_stop_a_camera_for_long(relay: Relay, name: str) -> None:
    async with peer(relay, f"/camera/{name}") as camera, await Raw.open(relay, 4096) as hung:
        assert await hung.request(relay, f"/player/{name}") == 101
        await film(camera, SMALL)
        await hung.frame(Opcode.TEXT, b'{"type": "pause"}')
        pause = await camera.message("pause", reason="viewers")
        assert (pause["votes"], pause["watching"], len(pause["by"])) == (1, 1, 1)
        await camera.message("resume")  # and nobody has said anything meanwhile
        assert report(relay, name)["players"][0]["votes"] is False


# --- who decides when a camera films ---


@pytest.mark.parametrize(("policy", "enough"), [("all", 2), ("any", 1), ("never", None)])
async def test_the_pause_policy_decides_whose_votes_stop_a_camera(
    name: str, policy: str, enough: int | None
) -> None:
    with Relay("--pause-policy", policy) as relay:
        async with (
            peer(relay, f"/camera/{name}") as camera,
            peer(relay, f"/player/{name}") as one,
            peer(relay, f"/player/{name}") as two,
        ):
            await film(camera, SMALL)
            await camera.message("viewers", count=2)
            for votes in (1, 2):
                for voter in (one, two)[:votes]:
                    await voter.send(type="pause")
                    await voter.settled()
                await camera.settled()
                assert bool(camera.told("pause")) is (enough is not None and votes >= enough)


async def test_a_camera_that_nobody_watches_sleeps_until_somebody_does_unless_it_must_not(
    name: str,
) -> None:
    with Relay(
        "--always-on",
        f"{name}-on",
        "other",
        given={"drawercam.live.pausing.SLEEP_AFTER": 1_000_000},
    ) as relay:
        async with (
            peer(relay, f"/camera/{name}-on") as awake,
            peer(relay, f"/camera/{name}") as camera,
        ):
            await film(awake, SMALL)
            await film(camera, SMALL)
            await camera.message("pause", reason="unwatched")
            await camera.send(type="state", state="paused", reason="unwatched")
            await camera.settled()
            async with peer(relay, f"/player/{name}?rest=1") as viewer:
                await viewer.message("state", state="paused", reason="unwatched")
                await camera.settled()
                assert not camera.told("resume"), "nobody looks at this player"
                await viewer.send(type="join")
                await camera.message("resume")
                await camera.send(type="state", state="live")
                await film(camera, SMALL)
                await viewer.until(has_frames(len(packets(SMALL))))
            await awake.settled()
            assert not awake.told("pause"), "it has been there for longer, and films"


# --- cameras ---


async def test_a_camera_may_come_back_with_another_codec(relay: Relay, name: str) -> None:
    h264 = (RECORDINGS / "chromium-h264.webm").read_bytes()
    async with peer(relay, f"/player/{name}") as viewer:
        for data in (VP8, VP9, h264, VP8):
            viewer.media.clear()
            viewer.messages.clear()
            async with peer(relay, f"/camera/{name}") as camera:
                await film(camera, data)
                await viewer.message("track", codec=packets(data)[0].track.codec_string)
                await viewer.until(has_frames(len(packets(data))))
                assert [one.data for one in decoded(viewer)] == [one.data for one in packets(data)]
                camera.connection.transport.abort()  # no good-bye
                await viewer.message("state", state="gone", reason="lost")


@pytest.mark.parametrize("how", ["messages", "fragments"])
async def test_media_may_be_cut_into_single_bytes(relay: Relay, name: str, how: str) -> None:
    async with await Raw.open(relay) as camera, peer(relay, f"/player/{name}") as viewer:
        assert await camera.request(relay, f"/camera/{name}") == 101
        await camera.frame(Opcode.TEXT, b'{"type": "stream", "stream": 1, "mime": ""}')
        if how == "fragments":
            await camera.frame(Opcode.BINARY, b"\x01", fin=False)
        for position in range(len(SMALL)):
            byte = SMALL[position : position + 1]
            if how == "messages":
                await camera.frame(Opcode.BINARY, b"\x01" + byte)
            else:
                await camera.frame(Opcode.CONT, byte, fin=position == len(SMALL) - 1)
        await viewer.until(has_frames(len(packets(SMALL))))
        assert [one.data for one in decoded(viewer)] == [one.data for one in packets(SMALL)]


async def test_a_picture_of_five_megabytes_arrives_whole_and_alone(relay: Relay, name: str) -> None:
    picture = KEY_FRAME + random.Random(5).randbytes(5 * 2**20)
    out = WebmWriter(TRACK, 1, 0)
    async with (
        bystanders(relay, name),
        peer(relay, f"/camera/{name}") as camera,
        peer(relay, f"/player/{name}") as viewer,
    ):
        await camera.send(type="stream", stream=1, mime="video/webm")
        await camera.send_media(1, [out.init() + out.fragment(Packet(TRACK, 0, True, picture))])
        await viewer.until(has_frames(1))
        assert frames(viewer)[0][27:] == picture
        async with peer(relay, f"/player/{name}") as late:
            await late.until(has_frames(1))
            assert frames(late)[0][27:] == picture
        await camera.send_media(1, [out.fragment(Packet(TRACK, 40_000, True, KEY_FRAME))])
        await viewer.until(has_frames(2))
        assert frames(viewer)[1][27:] == KEY_FRAME


@pytest.mark.parametrize("claims", [False, True], ids=["estimated", "claimed"])
async def test_a_camera_whose_clock_jumps_loses_no_picture_and_no_order(
    relay: Relay, name: str, claims: bool
) -> None:
    hour = 3_600_000
    jumps = [0, 40, 80, hour, hour + 40, 120, 160, 24 * hour, 0, 200, 2**40, 240, 280]
    async with peer(relay, f"/player/{name}") as viewer, peer(relay, f"/camera/{name}") as camera:
        now = (await camera.message("welcome"))["time"]
        more = {"at": now} if claims else {}
        await camera.connection.send(
            json.dumps({"type": "stream", "stream": 1, "mime": "", **more})
        )
        await camera.send_media(1, written(jumps))
        await viewer.until(has_frames(len(jumps)))
        assert [message[-1] for message in frames(viewer)] == [*range(len(jumps))]
        moments = timestamps(viewer)
        assert all(before < after for before, after in itertools.pairwise(moments))
        await viewer.settled()
        # Two pictures of one moment are a millisecond apart on the wire.
        assert moments[-1] <= viewer.told("pong")[-1]["time"] / 1000 + len(jumps), (
            "none is of the future"
        )


def test_a_wall_clock_that_jumps_moves_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Summer time, NTP, a person: the computer's date changes while a camera films."""
    truth, day = time.time_ns, 24 * 3600
    jumped = 0  # seconds
    monkeypatch.setattr(time, "time_ns", lambda: truth() + jumped * 10**9)
    monkeypatch.setattr(time, "time", lambda: truth() / 1e9 + jumped)
    hub = Hub(RelayClock())
    channel, viewer = hub.channel("porch"), FakeViewer()
    channel.take(FakeCamera())
    channel.join(viewer)
    source = Source(channel, hub.clock)
    dates: list[bytes] = []
    for jump in (0, day, -2 * day, 400 * day, -399 * day):
        jumped += jump
        source.begin(1)
        source.feed(b"\x01" + b"".join(written([0, 40])))
        hub.sweep()
        newcomer = FakeViewer()
        channel.join(newcomer)
        init = newcomer.bytes[1]
        dates.append(init[init.index(Id.DATE_UTC.to_bytes(2, "big")) :][:11])
        channel.part(newcomer)
    moments = [int.from_bytes(fragment.data[10:18], "big") for fragment in viewer.fragments]
    assert len(moments) == 10
    assert all(before < after for before, after in itertools.pairwise(moments))
    assert moments[-1] - moments[0] < day * 1000
    assert len(set(dates)) == 1, "the zero of the relay's clock stays where it was"


# --- crowds ---


async def crowd(relay: Relay, path: str, count: int, stack: AsyncExitStack) -> list[dict[str, Any]]:
    """So many viewers that stay until the stack ends; returns what was said to those who were
    refused.
    """
    room = asyncio.Semaphore(20)
    refusals: list[dict[str, Any]] = []

    async def come() -> None:
        async with room:
            try:
                await stack.enter_async_context(peer(relay, path, ping_interval=None))
            except InvalidStatus as refusal:
                refusals.append(
                    {
                        "status": refusal.response.status_code,
                        **json.loads(refusal.response.body or b""),
                    }
                )

    await asyncio.gather(*(come() for _ in range(count)))
    return refusals


async def test_a_crowd_from_one_computer_is_served_or_refused_with_a_sentence(name: str) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_SOCKETS_OF_ONE + 500
    if limits[1] != resource.RLIM_INFINITY and limits[1] < wanted:
        pytest.skip(f"this system allows {limits[1]} open files; the crowd needs {wanted}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], wanted), limits[1]))
    try:
        with Relay() as relay:
            async with bystanders(relay, name) as served:
                async with AsyncExitStack() as stack:
                    assert await crowd(relay, f"/player/{name}", 500, stack) == []
                    await served()
                    refusals = await crowd(
                        relay, f"/player/{name}", MAX_SOCKETS_OF_ONE - 500 + 20, stack
                    )
                    assert refusals and all(
                        (one["status"], one["error"]) == (503, "too-many") for one in refusals
                    )
                    await served()

                async def let_in() -> bool:
                    async with await Raw.open(relay) as one:
                        return await one.request(relay, f"/player/{name}") == 101

                await eventually(let_in, "it serves newcomers when there is room again")
            assert relay.alive and "Traceback" not in relay.output
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def test_slow_handshakes_keep_nobody_out(name: str) -> None:
    """Connections that say nothing, half of a TLS handshake, half of a request, or a request in
    drops.
    """
    with Relay("--tls", "--no-key", "--host", HOST) as relay:
        silent = [await asyncio.open_connection(HOST, relay.port) for _ in range(100)]
        for number, (_, writer) in enumerate(silent):
            writer.write(b"\x16\x03\x01\x02\x00\x01"[: number % 7])
        halves = [await Raw.open(relay) for _ in range(50)]
        for half in halves:
            await half.write(b"GET /player/porch HTTP/1.1\r\nHost: ")
        drops = [await Raw.open(relay) for _ in range(5)]
        trickles = [
            asyncio.create_task(one.trickle(handshake(f"/player/{name}", relay.authority), 0.001))
            for one in drops
        ]
        async with bystanders(relay, name):
            pass
        await asyncio.gather(*trickles)
        for one in drops:
            assert await one.status() == 101, "slow is not wrong"
        for one in (*halves, *drops):
            one.cut()
        for _, writer in silent:
            writer.transport.abort()
        await asyncio.sleep(0)
        assert relay.alive and "Traceback" not in relay.output


async def test_more_half_requests_than_there_is_room_for_disturb_nobody_who_is_in(
    relay: Relay, name: str
) -> None:
    async with bystanders(relay, name) as served:
        halves = [await Raw.open(relay) for _ in range(MAX_PAGES_OF_ONE + 50)]
        for half in halves:
            with contextlib.suppress(ConnectionError):
                await half.write(b"GET / HT")
        await served()
        assert await asyncio.to_thread(api, relay, "/api/cameras"), (
            "a newcomer of the same address takes the place of the oldest"
        )
        for half in halves:
            half.cut()
        await asyncio.sleep(0)


async def test_a_storm_of_cameras_and_viewers_leaves_nothing_behind(name: str) -> None:
    source = random.Random(6)
    room = asyncio.Semaphore(20)

    async def visit(relay: Relay) -> None:
        # Enough names that the tracks of none change more often than they may.
        role, whose = source.choice(["camera", "player"]), source.randrange(12)
        ending, size = source.randrange(3), source.randrange(len(SMALL))
        said = [
            {"type": source.choice(["join", "rest", "pause", "resume", "keyframe"])}
            for _ in range(source.randrange(4))
        ]
        with contextlib.suppress(WebSocketException):  # taken over, in mid-sentence
            async with room, peer(relay, f"/{role}/{name}-{whose}") as one:
                if role == "camera":
                    await film(one, SMALL[:size])
                else:
                    for message in said:
                        await one.send(**message)
                if ending:
                    await one.settled()
                if ending == 2:
                    one.connection.transport.abort()

    async def storm(relay: Relay, visits: int) -> None:
        outcomes = await asyncio.gather(
            *(visit(relay) for _ in range(visits)), return_exceptions=True
        )
        # A camera whose name was taken over is told so while it waits for an answer; all else is a
        # fault.
        wrong = [
            one
            for one in outcomes
            if isinstance(one, BaseException) and "taken-over" not in str(one)
        ]
        assert not wrong, wrong

    with Relay() as relay:
        async with bystanders(relay, name):
            before = relay.open_files
            await storm(relay, 300)
            await eventually(lambda: relay.open_files <= before, "every socket is closed again")
            for one in api(relay, "/api/cameras"):
                assert one["name"].endswith("-by") or (
                    one["state"] == "gone" and not one["players"]
                )
        assert relay.alive and "Traceback" not in relay.output


# --- the relay itself ---


async def test_all_come_back_by_themselves_when_the_relay_has_crashed_under_load(name: str) -> None:
    seen: set[tuple[str, int]] = set()

    async def camera(relay: Relay, whose: str) -> None:
        async with peer(relay, f"/camera/{whose}") as one:
            while True:
                await film(one, VP8)
                await one.settled()

    async def viewer(relay: Relay, whose: str, number: int) -> None:
        async with peer(relay, f"/player/{whose}") as one:
            while True:
                await one.until(has_frames(1))
                seen.add((whose, number))
                one.media.clear()

    async def again_and_again(once: Callable[[], Awaitable[None]]) -> None:
        while True:
            with contextlib.suppress(OSError, EOFError, WebSocketException, AssertionError):
                await once()
            await asyncio.sleep(0.1)

    with Relay() as relay:
        names = [f"{name}-{number}" for number in range(3)]
        everybody = {(whose, number) for whose in names for number in range(2)}
        tasks = [
            asyncio.create_task(again_and_again(partial(camera, relay, whose))) for whose in names
        ]
        tasks += [
            asyncio.create_task(again_and_again(partial(viewer, relay, *one))) for one in everybody
        ]
        try:
            await eventually(lambda: seen >= everybody, "all have pictures")
            relay.kill()
            seen.clear()
            await asyncio.to_thread(relay.start)
            await eventually(lambda: seen >= everybody, "all have pictures again")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


# --- the list ---

_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def _tests_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_every_promise_of_the_readme_has_its_test() -> None:
    promises = (ROOT / "docs" / "promises.md").read_text()
    rows = [line for line in promises.splitlines() if line.startswith("| ") and "`tests/" in line]
    named = [_NAMED.findall(row) for row in rows]
    assert all(len(found) >= 1 for found in named) and len(rows) >= 20
    for path, test in itertools.chain.from_iterable(named):
        assert test in _tests_in(path), f"{path} has no {test}"
    here = {
        test
        for path, test in itertools.chain.from_iterable(named)
        if path == "tests/server/test_promises.py"
    }
    assert _tests_in("tests/server/test_promises.py") - here == {
        "test_every_promise_of_the_readme_has_its_test"
    }
