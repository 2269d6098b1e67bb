"""Where pictures are asked for: one desk for each camera that somebody wants pictures of.

A desk is a viewer of its camera's channel as long as somebody asks, so the camera films, and no
longer. Whoever asks gets the newest picture there is; all who ask meanwhile get the same one, which
was decoded once and encoded once for each size. So nobody can be behind.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from drawercam.live.channel import Channel, State
from drawercam.live.hub import Hub
from drawercam.live.keyframes import KEYLESS, MAX_MEMORY
from drawercam.live.plays import Plays
from drawercam.live.track_output import NUMBERS
from drawercam.live.viewers import Follower, Fragment, Run
from drawercam.media.color import ColorSpace
from drawercam.media.frame_layout import unwrap
from drawercam.media.packets import Kind
from drawercam.protocol import messages
from groundwork.connections.limits import MAX_DECODERS, Room, counted_once, room_among

from .track_form import TrackForm
from .worker import Decoder, DecoderError, Picture

# Seconds after the last question until the camera's frames are decoded no more and its worker is
# ended. Starting one takes 60 ms of computing, as much as 60 frames of 640x480: so who wants a
# picture every ten seconds pays for one start each, and who wants one every second pays for all
# frames.
LINGER = 3.0

# Seconds without a question after which a desk makes room for another camera's. Who asks for one
# picture after the other is silent for less than that: or a wall of more cameras than there may be
# workers would end them all, again and again.
MAKES_ROOM_AFTER = 0.3

# Who may be waiting for pictures, or taking one, at once: each may hold as much as one picture.
MAX_ASKERS = 200

# Sizes of which a desk keeps the last picture, beyond those for which somebody waits: a wall, a
# large tile and some programs.
MAX_SIZES = 8

# Widths of one camera's pictures that may be waited for at once. Each takes the worker's time in
# turn, 40 ms of it for the largest: so who asks for every width there is makes the others wait for
# a second, and no longer. Pages ask for 13 different ones at most (jpeg-engine.js). Of widths,
# askers and workers one address has its share (limits.share_of).
MAX_WIDTHS = 24

# Bytes that may wait for a worker; what a channel remembers may come in addition, when it begins.
# With more, frames are left out.
MAX_WAITING = MAX_MEMORY

# Seconds by which a worker may be behind: its answer comes after all frames before the question. It
# then goes on at the next keyframe.
MAX_LAG = 2.0

# Seconds before a worker is started again that has failed twice in a row, doubled each time up to
# the longest; and after so many seconds without failing it counts as the first time.
_FIRST_PAUSE, _LONGEST_PAUSE = 1, 32
_STEADY = 10.0

# Seconds after which it may be tried again to get a picture of a camera that gives none now.
_RETRY = 5

_VIDEO = NUMBERS[Kind.VIDEO]

# The worker's names of the codecs, by the beginning of the codec string.
_CODECS = {"vp8": b"vp8 ", "vp09": b"vp9 ", "av01": b"av1 ", "avc1": b"h264", "avc3": b"h264"}

# What they decode: all pictures there are, and no sound.
_PLAYS = Plays.of(("vp8", "vp9", "av1", "h264"))

log = logging.getLogger(__name__)


class NoPicture(Exception):
    """There is no picture now.

    Attributes:
        id: A stable word. The message is a sentence.
        retry_after: Seconds after which it may be tried again.
    """

    def __init__(self, id: str, sentence: str, retry_after: int = _RETRY) -> None:  # noqa: A002 - the wire's word
        self.id = id
        self.retry_after = retry_after
        super().__init__(sentence)


UNKNOWN, NOT_YET, NO_KEYFRAME, RESTARTING = (
    "unknown-camera",
    "no-picture",
    "no-keyframe",
    "restarting",
)
"""Ids of `NoPicture`: there is no such camera; there was none within the time; the relay stops."""

_NONE_NOW = {
    (State.PAUSED, "camera"): ("paused", "The camera was paused by the person who has it."),
    (State.PAUSED, "background"): (
        "paused",
        "The camera is paused: its page is in the background.",
    ),
    (State.PAUSED, "interrupted"): (
        "paused",
        "The camera is paused: another app or a call has taken the lens, or it is not there.",
    ),
    (State.GONE, "left"): ("gone", "The camera is switched off."),
    (State.GONE, "closed"): ("gone", "The camera's page was closed."),
    (State.GONE, "lost"): ("gone", "The camera's connection is lost."),
    (State.GONE, "media"): ("gone", "The camera sent no video."),
}
"""States in which nobody can wake a camera up.

From the others it comes back by itself, or because somebody asks.
"""


@dataclass(eq=False, slots=True)
class _Wish:
    """Somebody waits for a picture after this time (µs)."""

    after: int
    answer: asyncio.Future[Picture]


@dataclass(slots=True)
class _Size:
    """What is asked for in one width.

    Attributes:
        address: Who waits for it, the first of them, if that is known.
        wishes: Of those who wait.
        kept: The last picture of this width.
        current: How many frames had been fed when that was asked for: while there are no more, it
            is the newest.
        missed: The same of the last question to which there was no picture, and after which time
            that should have been.
    """

    address: str | None = None
    wishes: list[_Wish] = field(default_factory=list)
    kept: Picture | None = None
    current: int = -1
    missed: tuple[int, int] = (-1, 0)

    def due(self, fed: int) -> bool:
        """Whether the worker might have an answer, when so many frames have been fed."""
        if not self.wishes or self.current == fed:
            return False
        return self.missed[0] != fed or min(wish.after for wish in self.wishes) < self.missed[1]


class Desk(Follower):
    """One camera's pictures. See viewers.Viewer.

    Attributes:
        address: Who has asked first, if that is known.
        asked_at: When somebody asked last, or had an answer (seconds of the event loop).
        decoder: The worker, while there is one.
        questions: How many the workers were asked.
        decoded: Frames that they had decoded at their last answers.
    """

    def __init__(
        self,
        channel: Channel,
        decoder: Callable[[], Decoder],
        over: Callable[[Desk], None],
        address: str | None = None,
    ) -> None:
        """
        Args:
            channel: The camera's.
            decoder: Makes a worker, to be started.
            over: Told when nobody has asked for a while, and all is ended.
            address: Who asks, if that is known.
        """
        super().__init__()
        self.address = address
        self.channel = channel
        self.who = "pictures"
        self.asked_at = asyncio.get_running_loop().time()
        self.decoder: Decoder | None = None
        self.questions = self.decoded = 0
        self._make = decoder
        self._over = over
        self._sizes: dict[int, _Size] = {}
        self._fed = 0  # frames given to workers
        self._in_vain = False  # pictures come, but not the keyframe that is needed
        self._begun = 0  # how many of them before the present track
        self._last_key = 0  # how many up to the last keyframe, that included
        self._refused_until: float | None = None  # a worker that has failed is left alone
        self._news = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    # --- who asks ---

    @property
    def busy(self) -> bool:
        """Somebody waits."""
        return any(size.wishes for size in self._sizes.values())

    async def picture(
        self, width: int, after: int, patience: float, address: str | None = None
    ) -> Picture:
        """The newest picture.

        Args:
            width: In pixels; 0 for its own.
            after: It must be of a later time, in µs.
            patience: Seconds to wait for it.
            address: Who asks, if that is known.

        Raises:
            NoPicture: There is none, or none within this time, or too many others are asked for.
        """
        loop = asyncio.get_running_loop()
        if self._refused_until is not None:
            raise _undecodable(self._refused_until - loop.time())
        size = self._size(width, address)
        self.asked_at = loop.time()
        if size.kept is not None and size.current == self._fed and size.kept.time > after:
            return size.kept
        if not size.wishes:
            size.address = address
        wish = _Wish(after, loop.create_future())
        size.wishes.append(wish)
        self._news.set()
        try:
            async with asyncio.timeout(patience):
                return await wish.answer
        except TimeoutError:
            if self.needs_key and (self.channel.lacks_keyframe or self._in_vain):
                raise NoPicture(NO_KEYFRAME, KEYLESS) from None
            raise NoPicture(NOT_YET, "The camera has sent no picture in time.", 1) from None
        finally:
            if wish in size.wishes:
                size.wishes.remove(wish)
            self.asked_at = loop.time()
            self._news.set()

    def _size(self, width: int, address: str | None) -> _Size:
        if width not in self._sizes and len(self._sizes) >= MAX_SIZES:
            for other in [one for one, size in self._sizes.items() if not size.wishes]:
                del self._sizes[other]
        if width not in self._sizes:
            waited_for = (size.address for size in self._sizes.values() if size.wishes)
            if (room := room_among(waited_for, address, MAX_WIDTHS)) is not Room.FREE:
                raise _too_many(
                    "Pictures of this camera are being asked for in too many widths", room
                )
        return self._sizes.setdefault(width, _Size(address))

    async def end(self, why: NoPicture) -> None:
        """All that wait are told, and the worker is ended."""
        self._refuse(why)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    # --- the channel ---

    def tell(self, message: messages.Message) -> None:
        """See viewers.Viewer."""
        match message:
            case messages.TrackBegins(number=number) if number == _VIDEO:
                self._forget()
                if self.decoder is not None and (
                    codec := _CODECS.get(message.codec.partition(".")[0])
                ):
                    config = base64.b64decode(message.config or "") if codec == b"h264" else b""
                    color = ColorSpace.of(message.colorSpace or {})
                    shape = message.rotation or 0, message.flip or False, _pixel_aspect(message)
                    form = TrackForm(
                        codec, config, *shape, color.codes()[2], color.full_range or False
                    )
                    self.decoder.track(form)
            case messages.TrackEnds(number=number) if number == _VIDEO:
                self._forget()
            case messages.ChannelState():
                if why := none_now(self.channel):
                    self._refuse(why)

    def begin(self, number: int, init: bytes) -> None:
        """See viewers.Viewer. What it says stood in the message before."""

    def catch_up(self, fragments: Sequence[Fragment]) -> None:
        """See viewers.Viewer."""
        for fragment in fragments:
            if fragment.number == _VIDEO:
                self._feed(fragment)
        self.needs_key = False

    def offer(self, fragment: Fragment) -> bool:
        """See viewers.Viewer.

        A worker that is behind gets nothing more until it has answered, and then the next keyframe.
        """
        decoder = self.decoder
        if decoder is None or fragment.number != _VIDEO:
            return False
        if self._late(decoder):
            self.leave_out(True, fragment.key)
            return False
        if self.needs_key and not fragment.key:
            self._in_vain = True
            return self.wait_for_key()
        self.needs_key = self._in_vain = False
        self._feed(fragment)
        return False

    def offer_all(self, run: Run) -> bool:
        """See viewers.Viewer."""
        return run.one_by_one(self)

    def _late(self, decoder: Decoder) -> bool:
        if decoder.waiting > MAX_WAITING:
            return True
        if decoder.asked_at is None or not decoder.ready:
            return False  # while it starts, it is not behind
        return asyncio.get_running_loop().time() - decoder.asked_at > MAX_LAG

    def _feed(self, fragment: Fragment) -> None:
        if self.decoder is not None:
            timestamp, data = unwrap(fragment.data)
            self.decoder.frame(timestamp, fragment.key, data)
            self._fed += 1
            if fragment.key:
                self._last_key = self._fed
            self._news.set()

    def _forget(self) -> None:
        """What was decoded belongs to a track that is over."""
        self._begun = self._fed
        self.begin_anew()
        for size in self._sizes.values():
            size.kept, size.current = None, -1

    # --- the worker ---

    async def _run(self) -> None:
        failures = 0
        loop = asyncio.get_running_loop()
        try:
            while not self._deserted():
                begun = loop.time()
                try:
                    await self._work()
                except DecoderError as error:
                    failures = 1 if loop.time() - begun > _STEADY else failures + 1
                    log.warning(
                        "x the worker that decodes pictures of %s failed (%d.): %s",
                        self.channel.name,
                        failures,
                        error,
                    )
                    if failures > 1:
                        await self._rest(min(_FIRST_PAUSE * 2 ** (failures - 2), _LONGEST_PAUSE))
        finally:
            self._over(self)

    async def _rest(self, pause: int) -> None:
        loop = asyncio.get_running_loop()
        self._refuse(_undecodable(pause))
        self._refused_until = loop.time() + pause
        await asyncio.sleep(pause)
        self._refused_until = None
        self.asked_at = (
            loop.time()
        )  # who asks again is to find the same desk, which knows of the failures
        while not self.busy and not self._deserted():
            await self._hear()

    def _deserted(self) -> bool:
        return not self.busy and asyncio.get_running_loop().time() - self.asked_at >= LINGER

    async def _hear(self) -> None:
        """Wait for news, or until nobody has asked for long enough."""
        left = None if self.busy else self.asked_at + LINGER - asyncio.get_running_loop().time()
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left):
                await self._news.wait()

    async def _work(self) -> None:
        """Watch, and answer with one worker until nobody asks.

        Raises:
            DecoderError: It has failed.
        """
        decoder = self._make()
        try:
            await decoder.start()
            self.decoder = decoder
            self.channel.join(self, _PLAYS)
            while not self._deserted():
                width = self._due()
                if width is None:
                    await self._hear()
                else:
                    await self._ask(decoder, width)
        finally:
            self.channel.part(self)
            self.decoder = None
            self._forget()
            await decoder.end()

    def _due(self) -> int | None:
        """The width that is to be asked for, each in its turn."""
        if self._fed == self._begun:
            return None
        for width, size in self._sizes.items():
            if size.due(self._fed):
                self._sizes[width] = self._sizes.pop(width)
                return width
        return None

    async def _ask(self, decoder: Decoder, width: int) -> None:
        size, fed, begun = self._sizes[width], self._fed, self._begun
        after = min(wish.after for wish in size.wishes)
        self.questions += 1
        before = decoder.decoded
        picture = await decoder.ask(width, after)
        self.decoded += decoder.decoded - before
        if (
            decoder.lost and self._last_key <= fed
        ):  # else the one with which it goes on is on its way
            self.begin_anew()
            self.channel.want_keyframe(self)
        if self._begun != begun:
            return  # it is of a track that is over
        if picture is None:
            size.missed = fed, after
            return
        size.kept, size.current = picture, fed
        for wish in [wish for wish in size.wishes if wish.after < picture.time]:
            size.wishes.remove(wish)
            if not wish.answer.done():
                wish.answer.set_result(picture)

    def _refuse(self, why: NoPicture) -> None:
        for size in self._sizes.values():
            for wish in size.wishes:
                if not wish.answer.done():
                    wish.answer.set_exception(why)
            size.wishes.clear()


def _too_many(what: str, room: Room) -> NoPicture:
    return NoPicture(
        "too-many",
        f"{what} from this address." if room is Room.NONE_FOR_THIS_ADDRESS else f"{what}.",
    )


def _undecodable(pause: float) -> NoPicture:
    return NoPicture(
        "undecodable", "The pictures of this camera cannot be decoded.", max(1, math.ceil(pause))
    )


def none_now(channel: Channel) -> NoPicture | None:
    """Why there is no picture of this camera now, or None."""
    found = _NONE_NOW.get((channel.state, channel.reason or ""))
    return NoPicture(*found) if found else None


class Desks:
    """All desks of a relay.

    Attributes:
        most: How many there may be at once. Each has a worker.
    """

    def __init__(self, hub: Hub, decoder: Callable[[], Decoder] = Decoder) -> None:
        """
        Args:
            hub: The cameras.
            decoder: Makes a worker, to be started.
        """
        self.most = MAX_DECODERS
        self._hub = hub
        self._decoder = decoder
        self._desks: dict[str, Desk] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._askers: list[str | None] = []  # their addresses
        self._decoded = 0  # at desks that are no more
        self._closed = False

    @contextlib.contextmanager
    def asking(self, address: str | None = None) -> Iterator[None]:
        """For as long as somebody waits for pictures, or takes them.

        Args:
            address: Who, if that is known.

        Raises:
            NoPicture: There are too many, or the relay stops.
        """
        if self._closed:
            raise NoPicture(RESTARTING, "The relay is stopping or restarting.")
        if (room := room_among(self._askers, address, MAX_ASKERS)) is not Room.FREE:
            raise _too_many("Too many pictures are being waited for", room)
        self._askers.append(address)
        try:
            yield
        finally:
            self._askers.remove(address)

    async def picture(
        self, name: str, width: int, after: int, patience: float, address: str | None = None
    ) -> Picture:
        """The newest picture of a camera, see `Desk.picture`. It wakes a camera up.

        Raises:
            NoPicture: There is none.
        """
        channel = self._channel(name)
        if why := none_now(channel):
            raise why
        return await self._desk(channel, address).picture(width, after, patience, address)

    async def stop(self) -> None:
        """End all, and take no more questions."""
        self._closed = True
        for desk in list(self._desks.values()):
            self._end(desk, NoPicture(RESTARTING, "The relay is stopping or restarting."))
        await asyncio.gather(*self._ending)

    @property
    def desks(self) -> Collection[Desk]:
        """Those at which somebody asks, or did a moment ago."""
        return self._desks.values()

    @property
    def decoded(self) -> int:
        """Frames that were decoded so far."""
        return self._decoded + sum(desk.decoded for desk in self._desks.values())

    @property
    def decoders(self) -> int:
        """Workers that are running."""
        return sum(desk.decoder is not None for desk in self._desks.values())

    def _channel(self, name: str) -> Channel:
        channel = self._hub.find(name)
        if channel is None or channel.camera is None:
            raise NoPicture(UNKNOWN, f"There is no camera {name} now.")
        return channel

    def _desk(self, channel: Channel, address: str | None) -> Desk:
        desk = self._desks.get(channel.name)
        if desk is not None and desk.channel is channel:
            return desk
        if desk is not None:
            self._end(desk, NoPicture(*_NONE_NOW[State.GONE, "left"]))
        if (
            room := room_among((one.address for one in self._desks.values()), address, self.most)
        ) is not Room.FREE:
            now = asyncio.get_running_loop().time()
            idle = [
                one
                for one in self._desks.values()
                if not one.busy and now - one.asked_at >= MAKES_ROOM_AFTER
            ]
            if room is Room.NONE_FOR_THIS_ADDRESS:
                idle = [
                    one
                    for one in idle
                    if one.address is not None
                    and counted_once(one.address) == counted_once(address or "")
                ]
            if not idle:
                raise _too_many(f"Pictures of {self.most} cameras are being decoded already", room)
            self._end(
                min(idle, key=lambda one: one.asked_at),
                NoPicture(NOT_YET, "Another camera came first."),
            )
        desk = self._desks[channel.name] = Desk(channel, self._decoder, self._over, address)
        return desk

    def _over(self, desk: Desk) -> None:
        if self._desks.get(desk.channel.name) is desk:
            del self._desks[desk.channel.name]
            self._decoded += desk.decoded

    def _end(self, desk: Desk, why: NoPicture) -> None:
        self._over(desk)
        task = asyncio.get_running_loop().create_task(desk.end(why))
        self._ending.add(task)  # the loop holds tasks only weakly
        task.add_done_callback(self._ending.discard)


def _pixel_aspect(track: messages.TrackBegins) -> float:
    """Width of a pixel by its height."""
    if track.width and track.height and track.displayWidth and track.displayHeight:
        return (track.displayWidth / track.width) / (track.displayHeight / track.height)
    return 1.0
