"""Cameras as files: `/cameras/<name>/live.webm` and `live.mp4`, read by FFmpeg, by hand, and by a
program that does not read.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket as sockets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from drawercam.access.grants import Access
from drawercam.access.keys import Keyring
from drawercam.live.channel import Channel, State
from drawercam.media.codecs import opus
from drawercam.media.containers.detect import StreamReader
from drawercam.media.packets import Codec, Kind, Packet, Track
from drawercam.protocol import messages as control
from drawercam.server.http.cameras import live_file as live
from drawercam.server.http.cameras import snapshots as singly
from drawercam.server.http.cameras.live_file import Reader
from drawercam.server.server import Server
from drawercam.server.sockets.liveness import WRITE_DEADLINE
from drawercam.server.sockets.write_limit import HIGH_WATER
from tests.harness.peers import PATIENCE, peer
from tests.harness.programs import finished, running
from tests.harness.relays import Relay
from tests.live.test_channel import KEY_FRAME, PICTURE, Clock, FakeCamera, FakeViewer
from tests.media.samples import RECORDINGS
from tests.server.http.cameras.test_publish import MP4, SCENE, WEBM, address, bearer
from tests.server.sockets.test_websocket import SOMEBODY, FakeOwner, FakeTransport
from tests.server.test_media import OPUS, VP8, film, packets
from tests.server.test_promises import eventually
from tests.server.test_security import PORCH, browser, cookie, known, made, site

H264 = (RECORDINGS / "chromium-h264.webm").read_bytes()
SOUND = Track(Codec.OPUS, "opus", opus.head(1, 48000), sample_rate=48000, channels=1)
AV = (RECORDINGS / "chromium-av.webm").read_bytes()


class File:
    """An answer, read as it comes.

    Attributes:
        packets: What was read of it so far.
        ended: It has ended as it should.
    """

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.packets: list[Packet] = []
        self.ended = False
        self._answer = answer
        self._reader = StreamReader()

    async def until(self, condition: Callable[[File], Any]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                data = await self._answer.content.readany()
                if not data:
                    self.ended = True
                    assert condition(self), f"the file ended after {len(self.packets)} packets"
                self.packets += [
                    event for event in self._reader.feed(data) if isinstance(event, Packet)
                ]

    def of(self, kind: Kind) -> list[Packet]:
        return [packet for packet in self.packets if packet.track.kind is kind]

    def check(self) -> None:
        """It begins at 0, with a keyframe, and its times rise."""
        first = self.packets[0]
        assert (
            first.track.kind is Kind.VIDEO
            and first.key
            and first.timestamp - first.decode_offset == 0
        )
        for kind in Kind:
            times = [packet.timestamp - packet.decode_offset for packet in self.of(kind)]
            assert all(before < after for before, after in itertools.pairwise(times))


@pytest.fixture
async def client(relay: Relay) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(relay.origin) as session:
        yield session


async def refused(client: aiohttp.ClientSession, path: str, method: str = "GET") -> tuple[int, str]:
    async with client.request(method, path, allow_redirects=False) as answer:
        return answer.status, "" if method == "HEAD" else str((await answer.json())["error"])


# --- what is read ---


@pytest.mark.parametrize(
    ("recordings", "ending", "codecs"),
    [
        ([VP8, OPUS], "webm", {Codec.VP8, Codec.OPUS}),
        ([AV], "webm", None),
        ([H264, OPUS], "mp4", {Codec.H264, Codec.OPUS}),
        ([(RECORDINGS / "webkit-av.mp4").read_bytes()], "mp4", {Codec.H264, Codec.AAC}),
    ],
    ids=["two streams", "one stream", "opus in mp4", "webkit"],
)
async def test_sound_and_picture_come_in_one_file(
    relay: Relay,
    client: aiohttp.ClientSession,
    name: str,
    recordings: list[bytes],
    ending: str,
    codecs: set[Codec] | None,
) -> None:
    sent = [packet for data in recordings for packet in packets(data)]
    async with peer(relay, f"/camera/{name}") as camera:
        for stream, data in enumerate(recordings, start=1):
            await film(camera, data, stream)
        await camera.settled()
        async with client.get(f"/cameras/{name}/live") as answer:
            assert answer.content_type == f"video/{ending}" and not answer.history, (
                "who is sent elsewhere may not show its key there"
            )
            file = File(answer)
            # The same once more, as recorders send it that were restarted. Sound that comes all at
            # once seems older than it is.
            await asyncio.sleep(0.3)
            for stream, data in enumerate(recordings, start=1):
                await film(camera, data, stream)
            await file.until(
                lambda one: len(one.of(Kind.VIDEO)) > 5 and len(one.of(Kind.AUDIO)) > 5
            )
            file.check()
            assert {packet.data for packet in file.packets} <= {packet.data for packet in sent}
            assert codecs is None or {packet.track.codec for packet in file.packets} == codecs
        async with client.get(f"/cameras/{name}/live?sound=0") as answer:
            file = File(answer)
            await film(camera, recordings[0])
            await file.until(lambda one: len(one.packets) > 5)
            file.check()
            assert not file.of(Kind.AUDIO)


async def test_the_file_goes_on_when_its_camera_comes_back_and_ends_with_another_codec(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    count = len(packets(VP8))
    async with peer(relay, f"/camera/{name}") as camera:
        await film(camera, VP8)
        await camera.settled()
        async with client.get(f"/cameras/{name}/live.webm") as answer:
            file = File(answer)
            await file.until(lambda one: one.packets)
            await camera.close()
            before = len(file.packets)
            async with peer(relay, f"/camera/{name}") as again:
                await film(again, VP8)
                await film(again, VP8)
                await file.until(lambda one: len(one.packets) >= before + 2 * count - 2)
                file.check()
                await film(again, H264)
                await file.until(lambda one: one.ended)
                assert await refused(client, f"/cameras/{name}/live.webm") == (406, "other-format")
                async with client.get(f"/cameras/{name}/live.webm") as answer:
                    assert f"/cameras/{name}/live.mp4" in (await answer.json())["text"]


async def test_a_camera_that_sleeps_is_woken_up(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    async with peer(relay, f"/camera/{name}") as camera:
        await film(camera, VP8)
        await camera.send(type="state", state="paused", reason="unwatched")
        await camera.settled()
        async with client.head(f"/cameras/{name}/live.webm") as answer:
            assert answer.status == 200 and answer.content_type == "video/webm"
        assert await refused(client, f"/cameras/{name}/live.mp4") == (406, "other-format")
        await camera.settled()
        assert all(one["count"] == 0 for one in camera.told("viewers")), (
            "neither of these has woken it up"
        )
        asking = asyncio.create_task(client.get(f"/cameras/{name}/live.webm"))
        await camera.message("viewers", count=1)
        await camera.send(type="state", state="live")
        await film(camera, VP8)
        async with await asyncio.wait_for(asking, PATIENCE) as answer:
            file = File(answer)
            await file.until(lambda one: len(one.packets) > 5)
            file.check()
        await camera.message("viewers", count=0)


async def test_programs_are_viewers_like_others(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    async with peer(relay, f"/camera/{name}") as camera:
        await film(camera, VP8)
        await camera.settled()
        async with client.get(f"/cameras/{name}/live.webm"):
            async with client.get("/api/cameras") as answer:
                (mine,) = [one for one in await answer.json() if one["name"] == name]
            assert mine["viewers"] == 1 and mine["players"] == [
                {"watching": True, "votes": False, "drops": 0}
            ]
        await camera.message("viewers", count=0)


# --- in this process: the clock, the network and the camera are the test's ---


class House:
    """A server in this process, with a camera `porch` whose frames the test makes."""

    def __init__(self, access: Access | None = None) -> None:
        """
        Args:
            access: Everybody may do everything if None.
        """
        self.server = Server(site(access or Access(None)))
        self.clock = self.server._hub.clock
        self.camera = FakeCamera()
        self.channel: Channel = self.server._hub.channel("porch")
        self.port = 0
        self.moment = 0
        self.hears: bool | None = None  # what the camera says of its sound

    async def __aenter__(self) -> House:
        self.port = await self.server.start(["127.0.0.1"], 0, None)
        self.channel.take(self.camera)
        return self

    async def __aexit__(self, *details: object) -> None:
        await self.server.stop()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def picture(self, key: bool = False, size: int = 100, track: Track = PICTURE) -> None:
        self.moment += 40_000
        assert isinstance(self.clock, Clock)
        self.clock.time = self.moment
        self.channel.set_track(track, keyframes=True, sound=self.hears)
        self.channel.publish(
            Packet(track, self.moment, key, (KEY_FRAME if key else b"\x11").ljust(size, b"\0")),
            self.moment,
        )

    def sound(self) -> None:
        self.channel.set_track(SOUND)
        self.channel.publish(Packet(SOUND, self.moment, True, b"\x98" + bytes(50)), self.moment)


pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")


async def test_who_cannot_be_served_is_told_before_the_answer_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "OPENING", 0.1)
    async with House() as house, aiohttp.ClientSession(house.origin) as client:
        for path in ("/cameras/porch/live.webm", "/cameras/porch/live.mp4", "/cameras/porch/live"):
            assert await refused(client, path) == (503, "no-picture")
            assert await refused(client, path.replace("porch", "attic")) == (404, "unknown-camera")
            assert await refused(client, path.replace("porch", "No")) == (400, "bad-name")
            async with client.get(path) as answer:
                assert int(answer.headers["Retry-After"]) == live.RETRY_AFTER
        house.picture(key=True)
        assert await refused(client, "/cameras/porch/live.mp4") == (406, "other-format")
        house.channel.camera_says(State.PAUSED, "unwatched")
        assert await refused(client, "/cameras/porch/live.webm") == (503, "no-picture"), (
            "it does not wake up"
        )
        house.channel.leave(house.camera, "lost")
        monkeypatch.setattr(live, "OPENING", PATIENCE)
        assert await refused(client, "/cameras/porch/live") == (404, "unknown-camera"), (
            "nobody is there to be woken up"
        )
        assert not house.channel.watching and "attic" not in house.server._hub._channels


async def test_a_camera_without_keyframes_is_said_to_have_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "OPENING", 0.1)
    monkeypatch.setattr(singly, "PATIENCE", 0.1)
    async with House() as house, aiohttp.ClientSession(house.origin) as client:
        house.picture()
        house.picture()
        for path in (
            "/cameras/porch/live",
            "/cameras/porch/live.mjpg",
            "/cameras/porch/latest.jpg",
        ):
            assert await refused(client, path) == (503, "no-keyframe")
            async with client.get(path) as answer:
                assert (
                    int(answer.headers["Retry-After"]) > 0
                    and "IDR" in (await answer.json())["text"]
                )


async def test_sound_that_is_there_in_time_is_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SOUND_WAIT", PATIENCE)
    async with House() as house, aiohttp.ClientSession(house.origin) as client:
        house.picture(key=True)
        asking = asyncio.create_task(client.get("/cameras/porch/live.webm"))
        await eventually(lambda: house.channel.watching, "somebody waits")
        house.picture()
        await asyncio.sleep(0.1)
        assert not asking.done(), "a camera that began a moment ago may have sound yet"
        house.sound()
        async with await asking as answer:
            file = File(answer)
            house.picture()
            house.sound()
            await file.until(lambda one: len(one.of(Kind.VIDEO)) == 3 and one.of(Kind.AUDIO))
        house.channel.end_track(Kind.AUDIO)
        house.moment += round(live.SOUND_WAIT * 1e6)
        house.picture(key=True)
        async with client.get("/cameras/porch/live.webm") as answer:
            file = File(answer)
            house.sound()
            house.picture()
            house.picture()
            await file.until(lambda one: len(one.packets) == 3)
            assert not file.of(Kind.AUDIO), "one that has been without sound is not waited for"


async def test_a_camera_that_has_no_sound_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "SOUND_WAIT", 600.0)
    async with House() as house, aiohttp.ClientSession(house.origin) as client:
        house.hears = False
        house.picture(key=True)
        async with client.get("/cameras/porch/live.webm") as answer:
            await File(answer).until(lambda one: one.packets)


async def test_who_does_not_read_misses_pictures_alone_and_goes_on_at_a_keyframe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "WRITE_DEADLINE", 600.0)  # a busy computer may take its time
    size = 50_000
    async with House() as house:
        other = FakeViewer()
        house.picture(key=True, size=size)
        house.channel.join(other)
        with sockets.socket() as slow:
            slow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
            slow.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(slow, ("127.0.0.1", house.port))
            await loop.sock_sendall(
                slow,
                (
                    "GET /cameras/porch/live.webm?sound=0 HTTP/1.1\r\nHost: "
                    f"127.0.0.1:{house.port}\r\n\r\n"
                ).encode(),
            )
            await eventually(lambda: house.server.lines.readers, "it reads")
            (reader,) = house.server.lines.readers
            most = 0
            for _ in range(400):  # 20 MB
                house.picture(size=size)
                most = max(most, reader.held)
                await asyncio.sleep(0)
            assert reader.drops > 300 and most < HIGH_WATER + 2 * size, (
                "what it does not take is not kept for it"
            )
            assert len(other.fragments) == 401 and not other.drops
            assert house.channel.report()["drops"] == reader.drops
            received = b""
            while reader.held:
                received += await loop.sock_recv(slow, 2**20)
            for _ in range(3):
                house.picture(size=size)
            wishes = house.camera.wishes
            house.picture(key=True, size=size)
            for _ in range(3):
                house.picture(size=size)
            wanted = (reader.written - 1, len(received))
            assert wishes, "a keyframe is asked for as soon as it reads again"
            async with asyncio.timeout(PATIENCE):
                while len(received.partition(b"\r\n\r\n")[2]) <= wanted[0]:
                    received += await loop.sock_recv(slow, 2**20)
            file = File.__new__(File)
            file.packets = [
                one
                for one in StreamReader().feed(received.partition(b"\r\n\r\n")[2])
                if isinstance(one, Packet)
            ]
            file.check()
            keys = [position for position, one in enumerate(file.packets) if one.key]
            # On a busy computer the last pictures may be late again.
            assert len(keys) == 2 and len(file.packets) - 4 <= keys[1] and len(file.packets) < 100


async def test_a_file_ends_when_its_camera_stays_away() -> None:
    async with House() as house, aiohttp.ClientSession(house.origin) as client:
        house.picture(key=True)
        async with client.get("/cameras/porch/live.webm?sound=0") as answer:
            file = File(answer)
            await file.until(lambda one: one.packets)
            (reader,) = house.server.lines.readers
            house.channel.leave(house.camera, "lost")
            now = house.server.now()
            reader.sweep(now + live.ABSENCE - 1)
            assert not answer.content.at_eof()
            house.channel.take(house.camera)
            house.picture(key=True)
            reader.sweep(now + 2 * live.ABSENCE)
            await file.until(lambda one: len(one.packets) == 2)
            house.channel.camera_says(State.PAUSED, "camera")
            reader.sweep(house.server.now() + live.ABSENCE + 1)
            await file.until(lambda one: one.ended)
            await eventually(
                lambda: not house.server.lines.readers and not house.channel.watching,
                "nothing is left of it",
            )


async def test_a_stopping_relay_ends_files() -> None:
    async with House() as house, aiohttp.ClientSession(house.origin) as client:
        house.picture(key=True)
        async with client.get("/cameras/porch/live.webm?sound=0") as answer:
            file = File(answer)
            await file.until(lambda one: one.packets)
            await house.server.stop()
            await file.until(lambda one: one.ended)


class Stage:
    """A reader of a channel, whose transport and clock only pretend."""

    def __init__(self, keyframes: bool = True) -> None:
        self.clock, self.house, self.transport = Clock(), Owner(), FakeTransport()
        self.channel = Channel("porch", self.clock, 0, lambda: None)
        self.camera = FakeCamera()
        self.channel.take(self.camera)
        self.keyframes = keyframes
        self.interval: int | None = None
        self.picture(key=True)
        self.reader = Reader(self.channel, self.house, self.transport, asyncio.Protocol(), SOMEBODY)  # type: ignore[arg-type]
        self.channel.join(self.reader)
        self.reader.begin_file(sound=False)
        self.transport.waiting = 0

    def picture(self, key: bool = False, later: float = 0.04) -> None:
        self.clock.time += round(later * 1e6)
        self.house.time += later
        self.channel.set_track(PICTURE, self.keyframes, self.interval)
        self.channel.publish(
            Packet(PICTURE, self.clock.time, key, KEY_FRAME if key else b"\x11"), self.clock.time
        )


class Owner(FakeOwner):
    def reader_begins(self, reader: Reader) -> None:
        pass

    def reader_ends(self, reader: Reader) -> None:
        pass


@pytest.mark.parametrize("keyframes", [True, False])
def test_what_waits_too_long_is_left_out(keyframes: bool) -> None:
    """As for players: 0.3 s where the camera can make a keyframe, 1 s where it cannot."""
    stage = Stage(keyframes)
    before = stage.transport.written
    patience = 0.3 if keyframes else 1.0
    stage.picture()
    passed = 0.0
    while not stage.reader.drops:
        stage.picture()
        passed += 0.04
    assert patience - 0.05 < passed < patience + 0.1 and len(stage.transport.written) > len(before)
    written = len(stage.transport.written)
    stage.picture()
    stage.transport.waiting = 0
    stage.picture()
    assert len(stage.transport.written) == written and stage.camera.wishes == 1, (
        "it takes no more without a keyframe"
    )
    stage.picture(key=True)
    assert len(stage.transport.written) > written


def test_who_takes_nothing_is_cut_off() -> None:
    stage = Stage()
    stage.picture()
    begin = stage.house.time
    stage.reader.sweep(begin)
    stage.reader.sweep(begin + WRITE_DEADLINE - 1)
    assert not stage.transport.aborted
    stage.reader.sweep(begin + WRITE_DEADLINE + 1)
    assert stage.transport.aborted


def test_there_is_no_burst_where_too_much_waits_in_all() -> None:
    stage = Stage()
    stage.house.room = 0
    written = stage.transport.written
    stage.channel.join(stage.reader)
    assert stage.transport.written == written
    stage.picture(key=True)
    assert stage.transport.written != written


def test_a_long_past_is_left_out_where_a_keyframe_is_cheap() -> None:
    stage = Stage()
    for _ in range(20):
        stage.picture()
        stage.transport.waiting = 0
    for keyframes in (True, False):
        stage.channel.keyframes = keyframes
        late = Reader(stage.channel, stage.house, FakeTransport(), asyncio.Protocol(), SOMEBODY)  # type: ignore[arg-type]
        stage.channel.join(late)
        late.begin_file(sound=False)
        assert (late.written == 0) is keyframes
    assert control.Keyframe() in stage.camera.told


def test_webm_tells_the_rate_of_the_pictures() -> None:
    """Programs with FFmpeg inside show the first one at once then."""
    stage = Stage()
    heads = [stage.transport.written]
    stage.interval = 40_000
    for pictures in (0, 20):
        for _ in range(pictures):
            stage.picture(later=0.05)
        stage.picture(key=True)
        reader = Reader(
            stage.channel,
            stage.house,
            transport := FakeTransport(),  # type: ignore[arg-type]
            asyncio.Protocol(),
            SOMEBODY,
        )
        stage.channel.join(reader)
        reader.begin_file(sound=False)
        heads.append(transport.written)
    for head, told in zip(heads, (None, 40, 50), strict=True):
        found = head.partition(b"\x23\xe3\x83\x84")[2][:4]
        assert int.from_bytes(found, "big") == (told or 0) * 1_000_000, (
            "DefaultDuration, in nanoseconds: as the camera says, then as it is"
        )


# --- who may ---


async def test_a_revoked_key_ends_the_file(tls_relay: Relay) -> None:
    ring = Keyring.open(tls_relay.state)
    key = made(ring, watch=PORCH)
    await known(tls_relay, cookie(ring, key))
    head = {"additional_headers": {"Cookie": cookie(ring, ring.keys[0])}}
    async with peer(tls_relay, "/camera/porch", **head) as camera, browser(tls_relay) as program:
        await film(camera, VP8)
        await camera.settled()
        for path, answers in (
            ("/cameras/porch/live.webm", (200, 401)),
            ("/cameras/attic/live.webm", (403, 401)),
        ):
            for auth, status in zip(
                ({"Authorization": bearer(key.secret)}, {}), answers, strict=True
            ):
                async with program.get(path, headers=auth) as answer:
                    assert answer.status == status
                    assert ("WWW-Authenticate" in answer.headers) is (status == 401)
        async with program.get(
            "/cameras/porch/live.webm", headers={"Authorization": bearer(key.secret)}
        ) as answer:
            file = File(answer)
            await file.until(lambda one: one.packets)
            ring.revoke(key.id)
            await camera.message("viewers", count=0)
            await asyncio.wait_for(answer.content.read(), PATIENCE)


# --- real programs ---


@pytest.mark.parametrize(
    ("form", "ending", "codecs"),
    [(WEBM, "webm", ["vp8", "opus"]), (MP4, "mp4", ["h264", "aac"])],
    ids=["webm", "mp4"],
)
async def test_ffmpeg_reads(
    tls_relay: Relay, name: str, form: list[str], ending: str, codecs: list[str], tmp_path: Path
) -> None:
    camera, viewer = Keyring.open(tls_relay.state).keys[:2]
    source = address(tls_relay, f"/cameras/{name}/live.{ending}", viewer.secret)
    async with running(
        "ffmpeg",
        *SCENE,
        *form,
        "-method",
        "PUT",
        address(tls_relay, f"/cameras/{name}/publish", camera.secret),
    ):
        async with browser(tls_relay, Authorization=bearer(viewer.secret)) as client:

            async def live() -> bool:
                async with client.head(f"/cameras/{name}/live.{ending}") as answer:
                    return answer.status == 200

            await eventually(live, "it films")
        shown = json.loads(
            (await finished(0, "ffprobe", "-v", "error", "-of", "json", "-show_streams", source))[0]
        )
        assert [stream["codec_name"] for stream in shown["streams"]] == codecs
        assert (shown["streams"][0]["width"], shown["streams"][0]["height"]) == (160, 120)
        copy = tmp_path / f"copy.{ending}"
        await finished(
            0, "ffmpeg", "-v", "error", "-nostdin", "-t", "2", "-i", source, "-c", "copy", str(copy)
        )
        # Decoded, so that nothing in it is broken: `-xerror` ends it at the first fault.
        await finished(
            0, "ffmpeg", "-v", "error", "-xerror", "-nostdin", "-i", str(copy), "-f", "null", "-"
        )
        entries = ("-of", "json", "-show_entries", "packet=codec_type,dts_time")
        listed = json.loads((await finished(0, "ffprobe", "-v", "error", *entries, str(copy)))[0])
        for kind, least in (("video", 25), ("audio", 80)):
            times = [
                float(packet["dts_time"])
                for packet in listed["packets"]
                if packet["codec_type"] == kind
            ]
            assert len(times) >= least and all(
                before < after for before, after in itertools.pairwise(times)
            )
