"""Where pictures are asked for: who gets which one, who decodes how often, and what happens when
that fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from drawercam.live.channel import Channel, State
from drawercam.live.hub import Hub
from drawercam.live.pausing import SLEEP_AFTER
from drawercam.media.frame_layout import unwrap
from drawercam.media.packets import Codec, Packet, Track
from drawercam.protocol import messages as control
from drawercam.protocol.close_reasons import Closing
from drawercam.snapshots import requests as desk
from drawercam.snapshots import worker as decoder
from drawercam.snapshots.requests import Desks, NoPicture
from drawercam.snapshots.worker import Decoder, Picture
from tests.harness.peers import PATIENCE
from tests.live.test_channel import Clock
from tests.media.samples import RECORDINGS, read
from tests.server.test_promises import eventually

PICTURES = [
    event
    for event in read([(RECORDINGS / "chromium-vp8.webm").read_bytes()])
    if isinstance(event, Packet)
]


class Phone:
    """A camera, and what it was told."""

    def __init__(self) -> None:
        self.told: list[control.Message] = []

    def tell(self, message: control.Message) -> None:
        self.told.append(message)

    def end(self, closing: Closing) -> None:
        pass


class Scene:
    """A camera that films when it is told to, and the desks of its relay."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.hub = Hub(self.clock)
        self.phone = Phone()
        self.decoders: list[Decoder] = []
        self.command: Sequence[str] = decoder.COMMAND
        self.desks = Desks(self.hub, self._make)
        self.filmed = 0
        self.channel = self.begin("porch")

    def _make(self) -> Decoder:
        self.decoders.append(Decoder(self.command))
        return self.decoders[-1]

    def begin(self, name: str) -> Channel:
        channel = self.hub.channel(name)
        channel.take(self.phone)
        channel.set_track(PICTURES[0].track)
        return channel

    def film(self, count: int = 1, channel: Channel | None = None) -> int:
        """So many frames more; returns the time of the last one as pictures have it."""
        for _ in range(count):
            frame = PICTURES[self.filmed % len(PICTURES)]
            self.filmed += 1
            self.clock.time = self.filmed * 33_000
            packet = Packet(frame.track, self.clock.time, frame.key, frame.data)
            (channel or self.channel).publish(packet, self.clock.time)
        return self.clock.time

    async def picture(
        self,
        after: int = -1,
        width: int = 0,
        name: str = "porch",
        patience: float = PATIENCE,
        address: str | None = None,
    ) -> Picture:
        return await self.desks.picture(name, width, after, patience, address)

    def wishes(self) -> int:
        """How often the camera was asked for a keyframe."""
        return self.phone.told.count(control.Keyframe())

    async def over(self) -> None:
        """Wait until no desk is left, and with it no worker."""
        await eventually(
            lambda: not self.desks.desks and not any(map(running, self.decoders)),
            "no desk, and no worker",
        )


def running(one: Decoder) -> bool:
    return one._process is not None and one._process.returncode is None


@pytest_asyncio.fixture
async def scene(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr(decoder, "ANSWER_DEADLINE", 3 * PATIENCE)
    one = Scene()
    yield one
    await one.desks.stop()
    # Not at once: a busy system may need longer than END_DEADLINE.
    await eventually(lambda: not any(map(running, one.decoders)), "all workers have ended")


async def test_many_who_ask_share_one_worker_one_decoding_and_one_picture(scene: Scene) -> None:
    newest = scene.film(10)
    answers = await asyncio.gather(*(scene.picture() for _ in range(10)))
    assert {id(answer) for answer in answers} == {id(answers[0])}, "it is the very same picture"
    assert (answers[0].time, answers[0].width, answers[0].height) == (newest, 320, 240)
    assert await scene.picture() is answers[0], "as long as there is no newer one"
    (one,) = scene.desks.desks
    assert (len(scene.decoders), one.questions, scene.decoders[0].decoded) == (1, 1, 10)
    small = await scene.picture(width=100)
    assert (small.width, small.height, small.time) == (100, 75, newest)
    assert scene.decoders[0].decoded == 10, "another size takes no other decoding"
    assert scene.channel.watching == 1, "all who ask together are one viewer"


async def test_who_asks_for_a_later_picture_waits_for_it_and_gets_the_newest(scene: Scene) -> None:
    first = scene.film(2)
    assert (await scene.picture()).time == first
    waiting = asyncio.create_task(scene.picture(after=first))
    other = asyncio.create_task(scene.picture(after=10**15, patience=0.3))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    newest = scene.film(3)
    assert (await waiting).time == newest
    with pytest.raises(NoPicture) as none:
        await other
    assert none.value.id == desk.NOT_YET


async def test_when_nobody_asks_nothing_is_decoded_and_nobody_watches(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "LINGER", 0.3)
    scene.film(3)
    assert not scene.decoders
    await scene.picture()
    await scene.over()
    assert scene.channel.watching == scene.channel.resting == 0
    assert scene.phone.told[-1] == control.Viewers(0)
    scene.film(3)
    assert scene.decoders[0].decoded == scene.desks.decoded == 3, (
        "those that were filmed since are nobody's"
    )
    newest = scene.film(2)
    assert (await scene.picture()).time == newest, "who comes back sees what is"
    assert len(scene.decoders) >= 2, "another one; a busy computer may have needed a third"


async def test_nobody_gets_a_picture_of_a_camera_that_gives_none(scene: Scene) -> None:
    scene.film(3)
    for state, reason, kind in (
        (State.PAUSED, "background", "paused"),
        (State.PAUSED, "camera", "paused"),
    ):
        scene.channel.camera_says(state, reason)
        with pytest.raises(NoPicture) as none:
            await scene.picture()
        assert none.value.id == kind
    with pytest.raises(NoPicture) as none:
        await scene.picture(name="nobody")
    assert none.value.id == desk.UNKNOWN
    assert not scene.decoders, "no worker is started for that"
    scene.channel.camera_says(State.LIVE, None)
    newest = (await scene.picture()).time
    waiting = asyncio.create_task(scene.picture(after=newest))
    await asyncio.sleep(0.05)
    scene.channel.leave(scene.phone, "lost")
    with pytest.raises(NoPicture) as none:
        await waiting
    assert none.value.id == "gone", "who waits is told at once"


async def test_pictures_without_a_keyframe_are_no_reason_to_say_that_there_are_none(
    scene: Scene,
) -> None:
    delta = PICTURES[1]
    waiting = asyncio.create_task(scene.picture(patience=0.3))
    for number in range(3):
        scene.clock.time += 33_000
        scene.channel.publish(
            Packet(delta.track, scene.clock.time, False, delta.data), scene.clock.time
        )
        await asyncio.sleep(0.01 * number)
    with pytest.raises(NoPicture, match="no keyframe") as none:
        await waiting
    assert none.value.id == desk.NO_KEYFRAME
    newest = scene.film(1)
    assert (await scene.picture()).time == newest


async def test_a_new_track_is_another_picture(scene: Scene) -> None:
    scene.film(3)
    await scene.picture()
    turned = [
        event
        for event in read([(RECORDINGS / "chromium-h264.webm").read_bytes()])
        if isinstance(event, Packet)
    ]
    scene.channel.set_track(turned[0].track)
    waiting = asyncio.create_task(scene.picture())
    await asyncio.sleep(0.1)
    assert not waiting.done(), "the last one of the track before is over"
    scene.clock.time += 33_000
    scene.channel.publish(
        Packet(turned[0].track, scene.clock.time, True, turned[0].data), scene.clock.time
    )
    assert (await waiting).time == scene.clock.time
    assert len(scene.decoders) == 1


@pytest.mark.parametrize(
    "program",
    [
        "import time; time.sleep(60)",
        "import sys; sys.stdout.write('x' * 100000); sys.stdin.read()",
        (
            "import sys; sys.stdout.write(chr(0) * 3 + chr(6) + 'X' + chr(0) * 5); "
            "sys.stdout.flush(); sys.stdin.read()"
        ),
        "pass",
        "while True: pass",
    ],
    ids=[
        "never answers",
        "answers nonsense",
        "answers with another letter",
        "ends at once",
        "computes for ever",
    ],
)
async def test_a_worker_that_fails_is_ended_and_left_alone_for_a_while(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(decoder, "ANSWER_DEADLINE", 0.5)
    scene.command = (sys.executable, "-S", "-c", program)
    scene.film(3)
    with pytest.raises(NoPicture) as none:
        await scene.picture()
    assert (none.value.id, none.value.retry_after) == ("undecodable", 1)
    assert len(scene.decoders) == 2, "once may be an accident"
    with pytest.raises(NoPicture) as none:
        await scene.picture()
    assert (none.value.id, len(scene.decoders)) == ("undecodable", 2), "and then nobody waits"
    monkeypatch.setattr(decoder, "ANSWER_DEADLINE", PATIENCE)
    scene.command = decoder.COMMAND
    newest = scene.film(1)
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                picture = await scene.picture()
                break
            except NoPicture:
                await asyncio.sleep(0.1)
    assert picture.time == newest
    assert not any(running(one) for one in scene.decoders[:2])


async def test_a_worker_that_is_killed_is_replaced_without_a_word(scene: Scene) -> None:
    scene.film(3)
    await scene.picture()
    process = scene.decoders[0]._process
    assert process is not None
    process.kill()
    newest = scene.film(1)
    assert (await scene.picture()).time == newest
    assert len(scene.decoders) == 2


async def test_workers_are_few_and_those_make_room_at_which_nobody_asks(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.desks.most = 2
    for name in ("one", "two", "three"):
        scene.film(2, scene.begin(name))
        scene.filmed = 0
    waiting = [
        asyncio.create_task(scene.picture(name=name, after=10**15)) for name in ("one", "two")
    ]
    await asyncio.sleep(0.05)
    with pytest.raises(NoPicture) as none:
        await scene.picture(name="three")
    assert none.value.id == "too-many"
    waiting[0].cancel()
    await asyncio.gather(waiting[0], return_exceptions=True)
    monkeypatch.setattr(desk, "MAKES_ROOM_AFTER", PATIENCE)
    with pytest.raises(NoPicture):
        await scene.picture(name="three")  # who asked there a moment ago will ask again
    monkeypatch.setattr(desk, "MAKES_ROOM_AFTER", 0.0)
    assert (await scene.picture(name="three")).width == 320
    assert [one.channel.name for one in scene.desks.desks] == ["two", "three"]
    waiting[1].cancel()


async def test_a_camera_that_sleeps_is_woken_up(scene: Scene) -> None:
    scene.film(3)
    scene.clock.time += SLEEP_AFTER
    scene.channel.sweep()
    assert scene.phone.told[-1] == control.CameraPause("unwatched")
    scene.channel.camera_says(State.PAUSED, "unwatched")
    waiting = asyncio.create_task(scene.picture())
    await eventually(lambda: scene.phone.told[-1] == control.Resume(), "it is told to film again")
    scene.channel.camera_says(State.LIVE, None)
    scene.filmed = 10 * len(PICTURES) * 100  # later, and it begins with a keyframe
    newest = scene.film(1)
    assert (await waiting).time == newest


@pytest.mark.parametrize("behind", ["too many bytes wait", "it has not answered for long"])
async def test_a_worker_that_is_behind_goes_on_at_a_keyframe(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, behind: str
) -> None:
    scene.film(1)
    await scene.picture()
    (one,) = scene.desks.desks
    (worker,) = scene.decoders
    if behind == "too many bytes wait":
        monkeypatch.setattr(Decoder, "waiting", desk.MAX_WAITING + 1)
    else:
        worker.asked_at = asyncio.get_running_loop().time() - desk.MAX_LAG - 1
    scene.film(4)
    assert one.drops == 4
    monkeypatch.setattr(Decoder, "waiting", 0)
    worker.asked_at = None
    wishes = scene.wishes()
    scene.clock.time += 1_000_000
    scene.film(1)
    scene.film(1)
    assert (one.drops, scene.wishes()) == (6, wishes + 1), "it is asked for once"
    scene.filmed += (-scene.filmed) % len(PICTURES)  # round to the first frame, which is a keyframe
    newest = scene.film(1)
    assert (await scene.picture()).time == newest
    assert scene.decoders[0].decoded == 2


async def test_what_cannot_be_decoded_waits_for_a_keyframe_that_is_asked_for(scene: Scene) -> None:
    newest = scene.film(3)
    assert (await scene.picture()).time == newest
    wishes = scene.wishes()
    scene.clock.time += 1_000_000
    broken = Packet(PICTURES[0].track, scene.clock.time, True, PICTURES[0].data[:10])
    scene.channel.publish(broken, scene.clock.time)
    waiting = asyncio.create_task(scene.picture(after=newest))
    await eventually(lambda: scene.wishes() > wishes, "the camera is asked for a keyframe")
    scene.clock.time += 33_000
    scene.channel.publish(
        Packet(PICTURES[0].track, scene.clock.time, True, PICTURES[0].data), scene.clock.time
    )
    assert (await waiting).time == scene.clock.time
    assert len(scene.decoders) == 1


async def test_many_sizes_are_not_kept(scene: Scene) -> None:
    scene.film(1)
    for width in range(20, 40):
        assert (await scene.picture(width=width)).width == width
    (one,) = scene.desks.desks
    assert len(one._sizes) <= desk.MAX_SIZES


async def test_widths_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "MAX_SIZES", 1)
    monkeypatch.setattr(desk, "MAX_WIDTHS", 2)
    newest = scene.film(2)
    waiting = [
        asyncio.create_task(scene.picture(after=newest, width=width)) for width in (100, 101)
    ]
    await asyncio.sleep(0)
    with pytest.raises(NoPicture) as none:
        await scene.picture(width=102)
    assert none.value.id == "too-many"
    also = asyncio.create_task(scene.picture(after=newest, width=101))
    await asyncio.sleep(0)
    newest = scene.film(1)
    assert [(one.width, one.time) for one in await asyncio.gather(*waiting, also)] == [
        (width, newest) for width in (100, 101, 101)
    ]
    assert (await scene.picture(width=102)).width == 102


async def test_askers_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "MAX_ASKERS", 1)
    with scene.desks.asking(), pytest.raises(NoPicture) as none, scene.desks.asking():
        pass
    assert none.value.id == "too-many"
    with scene.desks.asking():
        pass


async def test_one_address_has_a_share_of_askers_widths_and_workers(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("MAX_ASKERS", "MAX_WIDTHS"):
        monkeypatch.setattr(desk, limit, 4)
    scene.desks.most = 4

    async def refused(**question: Any) -> bool:
        with pytest.raises(NoPicture) as none:
            await scene.picture(**question)
        return none.value.id == "too-many" and "this address" in str(none.value)

    with contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(scene.desks.asking("a"))
        with pytest.raises(NoPicture), scene.desks.asking("a"):
            pass
        held.enter_context(scene.desks.asking("b"))

    newest = scene.film(2)
    waiting = [
        asyncio.create_task(scene.picture(newest, width, address="a")) for width in (100, 101, 102)
    ]
    await asyncio.sleep(0)
    assert await refused(width=103, address="a")
    waiting += [
        asyncio.create_task(scene.picture(newest, width, address=who))
        for width, who in ((103, "b"), (100, "a"))
    ]
    await asyncio.sleep(0)
    scene.film(1)
    assert [one.width for one in await asyncio.gather(*waiting)] == [100, 101, 102, 103, 100]

    for name in ("one", "two", "three", "four"):
        scene.filmed = 0
        scene.film(2, scene.begin(name))
    waiting = [
        asyncio.create_task(scene.picture(10**15, name=name, address="a"))
        for name in ("one", "two")
    ]
    await asyncio.sleep(0.05)
    assert await refused(name="three", address="a"), (
        "it has that of porch, too, where it has asked a moment ago"
    )
    waiting.append(asyncio.create_task(scene.picture(10**15, name="three", address="b")))
    await asyncio.sleep(0.05)
    assert not waiting[-1].done() and len(scene.desks.desks) == 4
    monkeypatch.setattr(desk, "MAKES_ROOM_AFTER", 0.0)
    assert (await scene.picture(name="four", address="a")).width == 320, "its own makes room for it"
    assert [one.channel.name for one in scene.desks.desks] == ["one", "two", "three", "four"]
    for task in waiting:
        task.cancel()


def test_the_frame_in_a_message_is_found_at_its_place() -> None:
    from drawercam.media.containers.detect import writer

    for codec, config in ((Codec.VP9, b""), (Codec.H264, b"\x01\x42\xc0\x15\xff\xe0\x00")):
        track = Track(codec, codec.value, config, 320, 240)
        packet = Packet(track, 123_456_000, True, b"a frame", decode_offset=-40_000)
        time, data = unwrap(writer(track, 1, 0).fragment(packet))
        assert (time, bytes(data)) == (123_456_000, b"a frame")
