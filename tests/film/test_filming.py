"""A camera that is a program, with a real relay and real viewers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import av
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from av.audio.frame import AudioFrame

from drawercam.access.key import NOTHING, Scope
from drawercam.access.keys import Keyring
from drawercam.commands import film as command
from drawercam.commands import keys as keycommand
from drawercam.film import camera as filmcamera
from drawercam.film import source_run as filmtake
from drawercam.film.camera import Camera
from drawercam.film.encode import loudness
from drawercam.film.encode.encoders import recipes
from drawercam.film.encode.frame import Frame
from drawercam.film.pan_tilt import Simulator
from drawercam.film.relay import address
from drawercam.film.relay.address import Address
from drawercam.film.relay.connection import TakenOver
from drawercam.film.relay.login import Entry, Unreachable
from drawercam.film.relay.unacknowledged import Flight
from drawercam.film.source_run import Gate, Take
from drawercam.film.sources import ffmpeg as libav
from drawercam.film.sources import network
from drawercam.film.sources import source as sources
from drawercam.media.codecs.h264 import join_lengths, split_annexb
from drawercam.media.containers.detect import StreamReader
from drawercam.media.packets import Codec, Packet
from drawercam.protocol.messages import Orient, Turns
from groundwork import running_relay as running
from tests.harness import rtsp
from tests.harness.makers import (
    HEIGHT,
    RATE,
    WIDTH,
    access_units,
    eventually,
    file,
    jpegs,
    painted,
    pictures,
    refreshed,
)
from tests.harness.peers import PATIENCE, Peer, peer, voting
from tests.harness.proxies import Proxy
from tests.harness.relays import ROOT, START_LIMIT, Relay


@contextlib.asynccontextmanager
async def filming(
    relay: Relay | Proxy, name: str, source: sources.Source, **options: Any
) -> AsyncIterator[Camera]:
    camera = Camera(Entry(Address(relay.origin), name, "", None), source, recipes(), **options)
    task = asyncio.create_task(camera.run())
    try:
        yield camera
    finally:
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, TakenOver):
            await task


def picture() -> sources.TestPicture:
    return sources.TestPicture(WIDTH, HEIGHT, RATE)


def packets(viewer: Peer) -> list[Packet]:
    """All pictures in H.264 that a viewer has got, however often their track has begun afresh."""
    found: list[Packet] = []
    reader = StreamReader()
    for message in viewer.media:
        if message[4:8] == b"ftyp":
            reader = StreamReader()
        elif message[4:8] != b"moof":
            continue  # sound
        found += [event for event in reader.feed(message) if isinstance(event, Packet)]
    return found


async def test_the_test_picture_is_filmed_turned_and_comes_back(relay: Relay) -> None:
    turner = Simulator()
    async with peer(relay, "/player/test-a") as viewer:
        source = sources.TestPicture(WIDTH, HEIGHT, RATE, turner.view)
        async with filming(relay, "test-a", source, turner=turner) as camera:
            assert (await viewer.message("track", number=1))["codec"].startswith(
                "avc1.42"
            )  # Baseline: nothing is reordered
            await viewer.message("track", number=2, codec="opus")
            await viewer.message("state", state="live")
            await viewer.message("turns")
            got = await viewer.until(lambda one: len(one.media) > 30, "for pictures")
            assert got
            shown = packets(viewer)
            assert shown[0].key
            decoder = av.CodecContext.create("h264", "r")
            decoder.extradata = shown[0].track.config
            times = [
                painted(picture)
                for packet in shown
                for picture in decoder.decode(av.Packet(packet.data))
            ]
            assert times == sorted(times) and len(set(times)) == len(times) > 5

            keys = sum(packet.key for packet in shown)
            for _ in range(3):  # more than come by themselves
                await asyncio.sleep(0.3)
                await viewer.send(type="keyframe")
            await eventually(lambda: sum(packet.key for packet in packets(viewer)) >= keys + 2)

            await viewer.send(type="orient", pan=30.0)
            await eventually(lambda: turner.ranges().pan and turner.ranges().pan.now == 30.0)  # type: ignore[union-attr]
            assert camera.take is not None
        await viewer.message("state", state="gone", reason="left")
        viewer.messages.clear()
        async with filming(relay, "test-a", source):
            await viewer.message("state", state="live")


async def test_wishes_that_come_while_it_turns_become_one_and_in_the_end_it_rests(
    relay: Relay,
) -> None:
    class Slow(Simulator):
        def turn(self, wish: Orient) -> Turns:
            time.sleep(0.1)
            done.append("turned")
            return super().turn(wish)

        def rest(self) -> None:
            done.append("rested")

    done: list[str] = []
    slow = Slow()
    async with filming(relay, "test-l", picture(), turner=slow) as camera:
        for degrees in range(50):
            camera.told({"type": "orient", "pan": float(degrees)})
        camera.told({"type": "orient", "tilt": -5})
        for nothing in ({"pan": "left"}, {"pan": 10**400}, {}):
            camera.told({"type": "orient", **nothing})
        await eventually(
            lambda: (
                {name: axis.now for name, axis in slow.ranges().axes().items()}
                == {"pan": 49, "tilt": -5, "zoom": 1}
            )
        )
        assert done in (["turned"], ["turned"] * 2)
    assert done[-1] == "rested"


async def test_a_codec_that_a_viewer_cannot_play_is_replaced(relay: Relay) -> None:
    async with peer(relay, "/player/test-b") as viewer, filming(relay, "test-b", picture()):
        track = await viewer.message("track", number=1)
        assert track["codec"].startswith("avc1")
        await viewer.send(type="join", plays=["vp8", "opus"])
        await viewer.message("track", number=1, codec="vp8")


async def test_a_camera_takes_what_all_can_play_or_stays_and_forgets_it_when_nobody_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filmcamera, "_ALONE", 0.0)
    camera = Camera(Entry(Address("http://127.0.0.1:1"), "test-m", "", None), picture(), recipes())
    gate = camera._gate
    h264, vp8 = recipes()
    assert (h264.codec, vp8.codec) == (Codec.H264, Codec.VP8)
    for codec, plays in (
        ("avc1.42E01F", ["vp9", "opus"]),
        ("avc1.42E01F", None),
        ("avc1.42E01F", ["h264", 8]),
        ("x", ["vp8"]),
        ("opus", ["aac"]),
    ):
        camera.told({"type": "unplayable", "codec": codec, "plays": plays})
        assert (gate.recipe, gate.unplayable) == (h264, frozenset())
    camera.told({"type": "unplayable", "codec": "mp4a.40.2", "plays": ["vp9", "opus"]})
    assert (gate.recipe, set(gate.unplayable)) == (h264, {Codec.AAC}), "the picture stays"
    camera.told({"type": "unplayable", "codec": "avc1.42E01F", "plays": ["vp8", "vp9", "opus"]})
    assert (gate.recipe, set(gate.unplayable)) == (vp8, {Codec.AAC, Codec.H264, Codec.AV1})
    camera.told({"type": "unplayable", "codec": "vp8", "plays": ["h264", "aac"]})
    assert (gate.recipe, set(gate.unplayable)) == (h264, {Codec.VP8, Codec.VP9, Codec.AV1})
    camera.told({"type": "unplayable", "codec": "avc1.42E01F", "plays": ["vp8"]})
    camera.told({"type": "viewers", "count": 0})
    camera.told({"type": "viewers", "count": 1})
    await asyncio.sleep(0.01)
    assert gate.recipe is vp8
    camera.told({"type": "viewers", "count": 0})
    await asyncio.sleep(0.01)
    assert (gate.recipe, gate.unplayable) == (h264, frozenset())


async def test_sound_that_a_viewer_cannot_play_is_encoded_and_the_picture_goes_as_it_is(
    relay: Relay, tmp_path: Path
) -> None:
    path = file(tmp_path / "aac.mp4", "libx264", 60, sound=True, g="10", bf="0")
    async with (
        peer(relay, "/player/test-n?plays=h264,aac,opus") as viewer,
        filming(relay, "test-n", libav.file(path)) as camera,
    ):
        await viewer.message("track", number=2, codec="mp4a.40.2")
        await viewer.send(type="join", plays=["h264", "opus"])
        await viewer.message("track", number=2, codec="opus")
        take = camera.take
        assert take is not None and take.decoded == 0


class JpegCamera:
    """A camera of the network that gives JPEGs without an end, as long as somebody takes them.

    Attributes:
        url: Where.
        visits: How often somebody has come.
        open: How many take them now.
    """

    def __init__(self) -> None:
        self.url = ""
        self.visits = self.open = 0
        self._images = jpegs(10)
        self._cut = asyncio.Event()

    def cut(self) -> None:
        """End what goes out now."""
        self._cut.set()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "multipart/x-mixed-replace; boundary=cut"}
        )
        await response.prepare(request)
        self.visits += 1
        self.open += 1
        self._cut.clear()
        try:
            for image in itertools.cycle(self._images):
                if self._cut.is_set():
                    break
                head = f"--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n".encode()
                await response.write(head + image + b"\r\n")
                await asyncio.sleep(1 / RATE)
        except ConnectionError:
            pass
        finally:
            self.open -= 1
        return response


@contextlib.asynccontextmanager
async def jpeg_camera() -> AsyncIterator[JpegCamera]:
    site = JpegCamera()
    app = web.Application()
    app.router.add_get("/live", site.stream)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.url = f"http://127.0.0.1:{runner.addresses[0][1]}/live"
        yield site
    finally:
        await runner.cleanup()


@pytest.fixture
def sleepy() -> Iterator[Relay]:
    """A relay that lets a camera sleep when nobody has watched it for two seconds."""
    with Relay(given={"drawercam.live.pausing.SLEEP_AFTER": 2_000_000}) as one:
        yield one


async def test_with_nobody_watching_the_device_is_closed_and_nothing_is_decoded_or_encoded(
    sleepy: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "drawercam.film")
    async with jpeg_camera() as site, filming(sleepy, "test-c", network.camera(site.url)) as camera:
        async with peer(sleepy, "/player/test-c") as viewer:
            await viewer.message("state", state="live")
            async with voting(viewer):
                await viewer.message("state", state="paused", reason="viewers")
                take = camera.take
                assert (
                    take is not None and site.open == 1
                )  # a pause that its viewers ask for is short: the device stays open
                counts = take.decoded, take.encoded
                await asyncio.sleep(0.5)
                assert take.decoded <= counts[0] + 1 and take.encoded <= counts[1] + 1
            viewer.messages.clear()
            await viewer.send(type="resume")
            await viewer.message("state", state="live")
        sentence = re.compile(
            r"Pictures: 0 passed on, (\d+) decoded, (\d+) encoded, (\d+) left out\."
        )
        # The relay waits for the next viewer.
        said = await eventually(
            lambda: camera.take is None and not site.open and sentence.search(caplog.text)
        )
        decoded, encoded, dropped = map(int, said.groups())
        await asyncio.sleep(0.5)
        assert (camera.take, site.open, site.visits) == (None, 0, 1)
        assert (take.decoded, take.dropped) == (decoded, dropped)
        assert encoded <= take.encoded <= encoded + 1, "the last one may have been on its way"
        async with peer(sleepy, "/player/test-c") as viewer:
            await viewer.message("state", state="live")
            await eventually(lambda: site.open)
            assert camera.take not in (None, take)


async def test_a_source_of_one_picture_in_a_minute_is_filmed(relay: Relay) -> None:
    """Its interval is longer than the relay believes, so nothing is said of it."""
    async with (
        peer(relay, "/player/test-l") as viewer,
        filming(relay, "test-l", sources.TestPicture(WIDTH, HEIGHT, 1 / 60)),
    ):
        await viewer.message("track", number=1)
        await viewer.until(packets, "for a picture")


async def test_a_source_that_ends_for_good_was_not_switched_off(relay: Relay) -> None:
    class Ends(sources.TestPicture):
        def run(self, sink: sources.Sink) -> None:
            super().run(sink)  # until it is to let go
            raise sources.SourceError("It is broken.", final=True)

    async with peer(relay, "/player/test-m") as viewer:
        with pytest.raises(sources.SourceError, match="broken"):
            async with filming(relay, "test-m", Ends(WIDTH, HEIGHT, RATE)) as camera:
                await viewer.message("state", state="live")
                assert camera.take is not None
                camera.take.stop()
                await viewer.message("state", state="gone", reason="lost")


async def test_who_was_put_to_sleep_is_woken_at_once(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after the time that a source that fails is left alone."""
    for name in ("_FIRST_RETRY", "_LONGEST_RETRY"):
        monkeypatch.setattr(filmcamera, name, 3600.0)
    async with (
        peer(relay, "/player/test-j") as viewer,
        filming(relay, "test-j", picture()) as camera,
    ):
        await viewer.message("state", state="live")
        for _ in range(3):
            take = camera.take
            camera.told({"type": "pause", "reason": "unwatched"})
            camera.told({"type": "resume"})
            await eventually(lambda before=take: camera.take not in (None, before))


async def test_a_camera_that_wants_another_password_is_not_asked_again_and_again(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Many lock out who shows a wrong one a few times. And nothing of the password is said."""
    caplog.set_level(logging.DEBUG)
    for name in ("_FIRST_RETRY", "_LONGEST_RETRY"):
        monkeypatch.setattr(filmcamera, name, 0.01)
    visits = 0

    async def refuse(request: web.Request) -> web.Response:
        nonlocal visits
        visits += 1
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="camera"'})

    app = web.Application()
    app.router.add_get("/live", refuse)
    async with TestServer(app) as server:
        source = network.camera(
            str(server.make_url("/live").with_user("admin").with_password("a#secret/?@"))
        )
        async with peer(relay, "/player/test-k") as viewer, filming(relay, "test-k", source):
            await eventually(lambda: "once a minute" in caplog.text)
            seen = visits
            await asyncio.sleep(0.5)
            assert visits == seen, "it is left alone, though somebody waits"
            assert "right user and password" in caplog.text and "secret" not in caplog.text
            assert not viewer.media


async def test_the_only_picture_of_a_slow_camera_waits_for_room_in_the_network() -> None:
    class Slow:
        title, rate = "the slow one", 0.0

        def run(self, sink: sources.Sink) -> None:
            sink.picture(pictures(1)[0], 1000)
            sink.pause(PATIENCE)

    room = itertools.chain([False] * 3, itertools.repeat(True))
    gate = Gate(recipes()[0], True, lambda bitrate: next(room), lambda: True)
    gate.wanted = True
    shown: list[Frame] = []
    take = Take(Slow(), gate, shown.append, lambda *opened: None)
    running = asyncio.create_task(take.run())
    await eventually(lambda: shown)
    take.stop()
    await running
    assert [(frame.captured, frame.key) for frame in shown] == [(1000, True)]
    assert (take.encoded, take.dropped) == (1, 0)


async def test_without_an_encoder_there_is_nothing_to_try_again() -> None:
    class One:
        title, rate = "the only one", 0.0

        def run(self, sink: sources.Sink) -> None:
            sink.picture(pictures(1)[0], 0)
            sink.pause(PATIENCE)

    gate = Gate(None, True, lambda bitrate: True, lambda: True)
    with pytest.raises(sources.SourceError, match="PyAV has no encoder") as caught:
        await Take(One(), gate, lambda frame: None, lambda *opened: None).run()
    assert caught.value.final


@pytest.mark.parametrize("knows", [True, False])
async def test_a_source_that_knows_when_its_next_picture_comes_is_not_stuck(
    knows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filmtake, "SILENCE_LIMIT", 0.2)
    monkeypatch.setattr(filmtake, "_LOOK", 0.05)

    class Slow:
        title, rate = "the slow one", 0.0

        def run(self, sink: sources.Sink) -> None:
            if knows:
                sink.pause(3600)
            while sink.pause(0):  # it ends when it is told to
                time.sleep(0.01)

    gate = Gate(None, False, lambda bitrate: True, lambda: True)
    gate.wanted = True
    take = Take(Slow(), gate, lambda frame: None, lambda *opened: None)
    running = asyncio.create_task(take.run())
    if knows:
        await asyncio.sleep(0.6)
        assert not running.done()
        take.stop()
        await running
    else:
        with pytest.raises(sources.SourceError, match="The slow one gives no picture"):
            await running


async def test_a_source_that_does_not_let_go_is_left_to_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(filmtake, "_CLOSE_LIMIT", 0.05)
    monkeypatch.setattr(filmtake, "_LOOK", 0.05)
    free = threading.Event()
    told: list[str] = []

    class Stuck:
        title, rate = "the stuck one", 0.0

        def run(self, sink: sources.Sink) -> None:
            free.wait(PATIENCE)
            sink.opened("too late", sound=False)
            raise sources.SourceError("the lens has fallen off", final=True)

    take = Take(
        Stuck(),
        Gate(None, False, lambda bitrate: True, lambda: True),
        lambda frame: None,
        lambda what, sound: told.append(what),
    )
    take.stop()
    await take.run()
    assert "The stuck one does not let go." in caplog.text
    free.set()
    await eventually(
        lambda: not any(thread.name == "film-_film" for thread in threading.enumerate())
    )
    await asyncio.sleep(0)
    del take
    gc.collect()
    assert not told and "never retrieved" not in caplog.text


async def test_what_answers_instead_of_the_relay_is_not_followed_and_ends_nothing() -> None:
    """Such as the page of a hotel's Wi-Fi."""

    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1/welcome"})

    app = web.Application()
    app.router.add_get("/camera/nest", elsewhere)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        with pytest.raises(Unreachable, match="It is tried again"):
            await Entry(
                Address(f"http://127.0.0.1:{runner.addresses[0][1]}"), "nest", "", None
            ).open()
    finally:
        await runner.cleanup()


async def test_it_comes_back_when_the_relay_does() -> None:
    with Relay() as relay:
        async with filming(relay, "test-d", picture()):
            async with peer(relay, "/player/test-d") as viewer:
                await viewer.message("state", state="live")
            await asyncio.to_thread(relay.stop)
            await asyncio.to_thread(relay.start)
            async with peer(relay, "/player/test-d") as viewer:
                await viewer.message("state", state="live")
                await viewer.until(lambda one: len(one.media) > 5, "for pictures")


async def test_a_stream_of_jpegs_is_encoded_and_a_device_that_ends_is_opened_again(
    relay: Relay,
) -> None:
    async with (
        jpeg_camera() as site,
        peer(relay, "/player/test-e") as viewer,
        filming(relay, "test-e", network.camera(site.url)),
    ):
        track = await viewer.message("track", number=1)
        assert (track["codec"][:4], track["width"], track["height"]) == ("avc1", WIDTH, HEIGHT)
        site.cut()
        await viewer.message("state", state="paused", reason="interrupted")
        viewer.messages.clear()
        await viewer.message("state", state="live", sound="missing")
        assert site.visits == 2


async def test_only_zeros_are_said_and_how_loud_it_is(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loudness, "_SILENT_AFTER", 200_000)
    loud = False

    def sound(number: int) -> AudioFrame:
        frame = AudioFrame(format="s16", layout="mono", samples=960)
        frame.sample_rate = 48_000
        frame.planes[0].update((b"\x10\x00\xf0\xff" if loud else bytes(4)) * 480)
        return frame

    monkeypatch.setattr(sources, "sound", sound)
    async with (
        peer(relay, "/player/test-silent") as viewer,
        filming(relay, "test-silent", picture()),
    ):
        await viewer.message("state", state="live", sound="silent")
        await viewer.send(type="ping", t=1)
        assert (await viewer.message("pong", t=1))["level"] == 0
        loud = True
        viewer.messages.clear()
        await viewer.message("state", state="live", sound="on")


async def test_a_camera_of_the_network_is_passed_on_as_it_is(relay: Relay) -> None:
    units = access_units(30)
    async with (
        rtsp.camera(units, RATE) as url,
        peer(relay, "/player/test-h") as viewer,
        filming(relay, "test-h", network.camera(url)) as camera,
    ):
        track = await viewer.message("track", number=1)
        assert (track["codec"][:4], track["width"], track["height"]) == ("avc1", WIDTH, HEIGHT)
        await viewer.until(lambda one: len(one.media) > 10, "for pictures")
        sent = {slices(unit) for unit in units}
        assert all(packet.data in sent for packet in packets(viewer))
        assert camera.take is not None and camera.take.encoded == 0


async def test_pictures_at_which_nobody_can_begin_are_encoded_and_that_is_said(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "drawercam.film")
    monkeypatch.setattr(
        filmcamera, "_KEYLESS", {level: limit // 10 for level, limit in filmcamera._KEYLESS.items()}
    )
    units = refreshed(40, period=6)
    async with (
        rtsp.camera(units, RATE) as url,
        peer(relay, "/player/test-o") as viewer,
        filming(relay, "test-o", network.camera(url)) as camera,
    ):
        await viewer.until(lambda one: len(packets(one)) > 10, "for pictures")
        take = camera.take
        assert take is not None and take.passed_on and take.encoded
        assert (
            "goes on without a picture at which players can begin (an IDR picture), so its "
            "pictures are encoded."
        ) in caplog.text
        # The next time it is not tried before.
        camera.told({"type": "pause", "reason": "unwatched"})
        await eventually(lambda: camera.take is None)
        camera.told({"type": "resume"})
        await eventually(lambda: camera.take is not None and camera.take.encoded)


async def test_a_keyframe_that_is_wished_and_comes_with_the_next_group_changes_nothing(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        filmcamera, "_KEYLESS", {level: 100_000 * level for level in filmcamera._KEYLESS}
    )
    async with (
        rtsp.camera(access_units(RATE), RATE) as url,
        peer(relay, "/player/test-p") as viewer,
        filming(relay, "test-p", network.camera(url)) as camera,
    ):
        await viewer.until(packets, "for a picture")

        def wished() -> bool:
            camera.told({"type": "keyframe"})
            return bool(camera._gate.keyless)

        await eventually(wished)
        seen = len(packets(viewer))
        await viewer.until(
            lambda one: any(packet.key for packet in packets(one)[seen:]), "for a keyframe"
        )
        assert camera.take is not None and camera.take.encoded == camera.take.decoded == 0
        assert camera._gate.keyless is sources.Keyless.NO and len(viewer.told("track")) == 1


def slices(unit: bytes) -> bytes:
    """What of an access unit stands in a packet: no parameter sets."""
    return join_lengths(unit for unit in split_annexb(unit) if unit[0] & 0x1F not in (7, 8, 9))


async def test_a_file_is_looped_with_times_that_rise(relay: Relay, tmp_path: Path) -> None:
    path = file(tmp_path / "film.mp4", "libx264", 12, bf="0", g="6")
    async with peer(relay, "/player/test-f") as viewer, filming(relay, "test-f", libav.file(path)):
        await viewer.until(lambda one: len(one.media) > 40, "for three rounds")
        shown = packets(viewer)
        times = [packet.timestamp for packet in shown]
        assert times == sorted(set(times))
        assert len({packet.data for packet in shown}) <= 12  # as they are in the file
        assert len(viewer.told("track")) == 1


async def test_a_slow_network_gets_less_and_nothing_queues_up(relay: Relay) -> None:
    async with (
        Proxy(relay.port) as proxy,
        peer(relay, "/player/test-i") as viewer,
        filming(proxy, "test-i", picture()) as camera,
    ):
        await viewer.message("state", state="live")
        take = camera.take
        assert take is not None
        proxy.throttle(2000)
        before = take.dropped
        await eventually(lambda: take.dropped > before + 10)  # before the encoder
        proxy.throttle(None)
        seen = len(viewer.media)
        await viewer.until(lambda one: len(one.media) > seen + 60, "for more")
        assert camera.take is take


@pytest.mark.parametrize("passed", [True, False])
async def test_while_the_network_acknowledges_nothing_no_picture_is_added(
    relay: Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: bool
) -> None:
    source = (
        libav.file(file(tmp_path / "film.mp4", "libx264", 12, bf="0", g="6"))
        if passed
        else picture()
    )
    async with peer(relay, "/player/test-k") as viewer, filming(relay, "test-k", source) as camera:
        await viewer.until(lambda one: len(one.media) > 10, "for pictures")
        take = camera.take
        assert take is not None

        async def more(pictures: int) -> None:
            """So many more come from the source."""
            goal = take.passed_on + take.decoded + pictures
            await eventually(lambda: take.passed_on + take.decoded >= goal)

        monkeypatch.setattr(Flight, "age", lambda flight: 1_000_000)
        await more(10)
        await viewer.settled()
        seen = len(packets(viewer))
        await more(10)
        await viewer.settled()
        assert len(packets(viewer)) == seen
        monkeypatch.undo()
        await viewer.until(lambda one: len(packets(one)) > seen + 5, "for more")
        assert packets(viewer)[seen].key or not passed


async def test_another_camera_takes_the_name_over(relay: Relay) -> None:
    camera = Camera(Entry(Address(relay.origin), "test-g", "", None), picture(), recipes())
    task = asyncio.create_task(camera.run())
    await eventually(lambda: camera.take is not None)
    async with peer(relay, "/camera/test-g"):
        with pytest.raises(TakenOver):
            await asyncio.wait_for(task, PATIENCE)
    assert camera.take is None


# --- the command ---


def film(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    words = [sys.executable, "relay.py", "--no-install", "film", *arguments]
    return subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ, **variables}
    )


@pytest.fixture(scope="module")
def locked() -> Iterator[Relay]:
    """A relay with keys and a certificate of its own."""
    with Relay("--tls", "--host", "127.0.0.1") as one:
        yield one


def test_the_door_says_what_is_wrong(locked: Relay, tmp_path: Path) -> None:
    at = (
        "test",
        "--name",
        "nest",
        "--relay",
        f"wss://localhost:{locked.port}",
        "--state",
        str(tmp_path),
    )
    ca = ("--ca", str(locked.state / "certs" / "ca.crt"))
    for extra, words in (
        ((), "is not trusted"),
        (("--key", "wrong-wrong-wrong"), "is not trusted"),  # it is not shown to just anybody
        (ca, "asks for a key"),
        ((*ca, "--key", "wrong-wrong-wrong"), "does not know this key"),
        ((*ca, "--key", _key(locked, "porch")), "The key does not allow to film as nest"),
    ):
        done = film(*at, *extra)
        assert (done.returncode, words in done.stderr, done.stderr.count("\n")) == (1, True, 1), (
            extra,
            done,
        )
        assert "Traceback" not in done.stderr


def _key(relay: Relay, name: str) -> str:
    return Keyring.open(relay.state).add(Scope(names=frozenset((name,))), NOTHING).secret


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("nowhere.mp4 --name nest", "there is no file nowhere.mp4"),
        ("test", "--name is missing"),
        ("test --name Nest!", "is no name"),
        ("test --name nest --relay gopher://x", "this is no relay's address"),
        ("http://[::1 --name nest", "this is no URL"),
        ("one.mp4 two.mp4 --name nest", "only one SOURCE"),
        ("test --name nest --sise=7", "there is no option --sise\n"),
        (
            "rtsp://admin:Sesame#42@127.0.0.1:9/1 --name nest",
            "write %2F %3F %23 %40 %3A or %25 for it",
        ),
        ("rtsp:/admin:Sesame42@127.0.0.1:9/1 --name nest", "there is no such file"),
        ("rtsp://admin:42 Sesame@127.0.0.1:9/1 --name nest", "only one SOURCE can be filmed"),
        ("test --name nest --size 7x7", "even numbers"),
        ("test --name nest --fps 0", "from 1 to 240"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_a_sentence(
    arguments: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments.split(), tmp_path, 8443, 8080)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert words in said and "Sesame" not in said


async def test_the_printed_link_is_enough_and_the_state_folder_too(locked: Relay) -> None:
    """The whole command: over TLS, with a key, and ended by a signal, which is to switch the camera
    off.
    """
    link = next(
        line.split()[1] for line in locked.output.splitlines() if "/camera.html#key=" in line
    )
    link = f"https://localhost:{locked.port}/camera.html{link.partition('camera.html')[2]}"
    for name, where, number in (
        ("nest", ["--relay", link], signal.SIGTERM),
        ("eyrie", [], signal.SIGINT),
    ):
        words = [
            sys.executable,
            "relay.py",
            "--no-install",
            "film",
            "test",
            "--size",
            "320x240",
            "--name",
            name,
            *where,
        ]
        process = await asyncio.create_subprocess_exec(
            *words,
            "--state",
            str(locked.state),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(START_LIMIT):
                while f"{name} is live" not in locked.output:
                    assert process.returncode is None, locked.output
                    await asyncio.sleep(0.05)
            unseen = await asyncio.to_thread(_unseen, locked, name)
        finally:
            process.send_signal(number)
            said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 0, said
        assert unseen == ["attic"], "the relay that runs is asked which cameras there are"
        assert b"Filming the test picture" in said and b"Traceback" not in said
        await eventually(lambda name=name: f"{name} is gone (left)" in locked.output)


def _unseen(relay: Relay, name: str) -> list[str]:
    key = Keyring.open(relay.state).add(NOTHING, Scope(names=frozenset((name, "attic"))))
    return keycommand._unseen(relay.state, key, running.relays(relay.state)[0])


def test_a_certificate_of_another_name_is_told_from_one_that_is_not_trusted() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = (
        62,
        "Hostname mismatch, certificate is not valid for 'garden'.",
    )
    said = Entry(Address("https://garden:8443"), "nest", "", None)._distrust(error)
    assert (
        "not valid for 'garden'. Give an address" in said
        and ".local" in said
        and "--ca" not in said
    )


def test_the_relays_of_this_computer_and_links_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert address.own(tmp_path, 8443, 8080).socket == "ws://127.0.0.1:8080"
    assert address.own_key(tmp_path) == ""
    assert not (tmp_path / "keys.json").exists()  # looking makes nothing
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "ca.crt").write_text("")
    assert address.own(tmp_path, 8443, 8080).socket == "wss://localhost:8443"
    with monkeypatch.context() as patch:

        def refuse(_: Path) -> NoReturn:
            raise PermissionError(13, "Permission denied")

        patch.setattr(Path, "is_file", refuse)
        assert address.own(tmp_path, 8443, 8080).tls, "a state folder that is another user's"
        assert address.own_key(tmp_path) == ""
    link = Address.parse("https://[fe80::1]:8443/camera.html?name=porch#key=abcd-efgh")
    assert (link.socket, link.key, link.name, link.here) == (
        "wss://[fe80::1]:8443",
        "abcd-efgh",
        "porch",
        False,
    )
    assert Address.parse("127.0.0.2:8443") == Address("https://127.0.0.2:8443")
    assert "abcd" not in link.origin
    for wrong in (
        "",
        "https://",
        "ftp://x",
        "https://x:99999",
        "https://user:pass@x",
        "https://a..b",
        "a b",
    ):
        with pytest.raises(ValueError, match="no relay's address"):
            Address.parse(wrong)


def test_without_pyav_one_sentence_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "av.py").write_text("raise ImportError('No module named av')\n")
    done = film("test", "--name", "nest", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert (
        "needs the library PyAV" in done.stderr
        and "pip install av" in done.stderr
        and done.stderr.count("\n") == 1
    )
