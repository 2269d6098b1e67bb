"""`/cameras/<name>/live.webm` and `live.mp4`: a camera as a file that does not end, for programs
that play or record one.

A reader is a viewer of the channel and writes straight into its connection, as a player's socket
does: what would be late is left out up to the next keyframe, and nothing is kept for it. It says
nothing, so how far it is behind is seen in its transport alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from operator import attrgetter
from typing import Protocol

from aiohttp import web

from drawercam.live.channel import Channel, State
from drawercam.live.hub import Hub
from drawercam.live.keyframes import FEW_PICTURES, KEYLESS
from drawercam.live.viewers import Follower, Fragment, Run
from drawercam.media.containers.live_file import AUDIO, VIDEO, Container, Muxed, container_for
from drawercam.protocol import messages
from drawercam.server.admission import routes
from drawercam.server.admission.reverse_proxies import Client
from drawercam.server.http.guard import client_of
from drawercam.server.sockets.in_flight import TURN
from drawercam.server.sockets.liveness import WRITE_DEADLINE
from drawercam.server.sockets.patience import patience
from drawercam.server.sockets.write_limit import WriteLimit
from groundwork.connections.aiohttp_insides import Endless, tell_end
from groundwork.deadlines import Deadline
from groundwork.denied import Denied

# Seconds in which a camera has to show a picture before the answer begins: a phone that sleeps
# needs some for its lens, and programs that hear nothing give up after ten or more.
OPENING = 10.0

# Seconds after a camera has begun to film in which its sound may still begin; without it, the file
# has none.
SOUND_WAIT = 1.5

# Seconds after which who was told that there is no picture may try again: phones come back within
# so many.
RETRY_AFTER = 5

# Seconds for which an answer stays open while its camera pauses or is gone: a phone whose
# connection broke is back by then.
ABSENCE = 60.0

log = logging.getLogger(__name__)


class House(Protocol):
    """The server's side of its readers."""

    def now(self) -> float:
        """Monotonic seconds."""

    def served(self) -> float:
        """The same for deadlines; see deadlines.ServedTime."""

    def has_room(self, size: int) -> bool:
        """Whether a burst of so many bytes may wait in one of its connections."""

    def reader_begins(self, reader: Reader) -> None: ...

    def reader_ends(self, reader: Reader) -> None: ...


class Reader(Follower, asyncio.Protocol):
    """One program that reads one camera; see viewers.Viewer.

    It waits first, until there is a picture and it is known whether there is sound; then
    `begin_file` takes over its connection.

    Attributes:
        peer: Its address and port, for people.
        pictures, sound: Set as soon as there is a keyframe, and a track of sound.
        gone: Set when the connection has ended, or its peer has.
        written: Bytes of the file so far.
    """

    def __init__(
        self,
        channel: Channel,
        house: House,
        transport: asyncio.Transport,
        http: asyncio.BaseProtocol,
        client: Client,
    ) -> None:
        """
        Args:
            channel: The camera.
            house: Told when the file begins and ends.
            transport: Where the file goes.
            http: Its protocol until then; it is told when the connection ends.
            client: Who reads.
        """
        super().__init__()
        self.peer, self.who = client.peer, client.address
        self.pictures, self.sound, self.gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.written = 0
        self._channel = channel
        self._house = house
        self._transport = transport
        self._http = http
        self._tracks: dict[int, tuple[messages.TrackBegins, bytes]] = {}  # with their init segments
        self._coming: messages.TrackBegins | None = None  # the next init segment is this one's
        self._file: Muxed | None = None
        self._ending = False
        self._behind = False
        self._limit = WriteLimit(transport)
        self._filled = self._seen = self._looked = house.now()  # see in_flight.Window
        self._progress = house.served()
        self._waiting = 0  # bytes in the transport at the last sweep
        self._away_since: float | None = None  # the camera does not film

    # --- before the file ---

    @property
    def begun(self) -> bool:
        """The connection is taken over."""
        return self._file is not None

    @property
    def container(self) -> Container | None:
        """What the camera's pictures come in; None before they are known."""
        track = self._tracks.get(VIDEO)
        return None if track is None else container_for(track[0].codec)

    def begin_file(self, sound: bool) -> None:
        """Take over the connection, on which the head of the response has been written; the file
        begins with the latest keyframe.
        """
        audio = self._tracks[AUDIO][1] if sound and AUDIO in self._tracks else None
        track, video = self._tracks[VIDEO]
        self._file = Muxed(
            video, audio, self._channel.interval(), track.rotation or 0, track.flip or False
        )
        self._progress = self._house.served()
        transport = self._transport
        self._limit.begin()
        transport.set_protocol(self)
        self._house.reader_begins(self)
        self._channel.join(self)  # once more: now it takes what there is since the last keyframe

    # --- the channel's viewer ---

    def tell(self, message: messages.Message) -> None:
        """See viewers.Viewer."""
        match message:
            case messages.ChannelState(state):
                if state == State.LIVE:
                    self._away_since = None
                elif self._away_since is None:
                    self._away_since = self._house.served()
            case messages.TrackBegins():
                self._coming = message
            case messages.TrackEnds(number) if self._file is None:
                self._tracks.pop(number, None)
                (self.pictures if number == VIDEO else self.sound).clear()

    def begin(self, number: int, init: bytes) -> None:
        """See viewers.Viewer.

        A file that has begun cannot take another track; a program that wants to go on asks again.
        """
        track = self._coming
        assert track is not None
        if number == VIDEO:
            self.needs_key = True
        if self._file is None:
            self._tracks[number] = track, init
            if number == AUDIO:
                self.sound.set()
        elif number in self._file.numbers and not _same(self._tracks[number][0], track):
            log.debug("= %s has another track; the file of %s ends", self._channel.name, self.peer)
            self.end()

    def catch_up(self, fragments: Sequence[Fragment]) -> None:
        """See viewers.Viewer. Programs show what they get at its pace, so they would stay behind by
        a long past: if the camera can make a fresh keyframe, they wait for that.
        """
        self.pictures.set()
        if self._file is None or self._ending:
            return
        pictures = sum(fragment.number == VIDEO for fragment in fragments)
        size = sum(len(fragment.data) for fragment in fragments)
        wait = (self._channel.keyframes and pictures - 1 > FEW_PICTURES) or self._late(True)
        self.needs_key, self.asked = wait or not self._house.has_room(size), False
        if not self.needs_key:
            self._limit.burst(size)
            self._write(
                b"".join(
                    self._file.add(one.number, one.data)
                    for one in fragments
                    if one.number in self._file.numbers
                )
            )

    def offer(self, fragment: Fragment) -> bool:
        """See viewers.Viewer. The same rule as for players: player.PlayerSession."""
        number, video = fragment.number, fragment.number == VIDEO
        if self._file is None:
            if video and fragment.key:
                self.pictures.set()
            return False
        if self._ending or number not in self._file.numbers:
            return False
        if self._late(video):
            self.leave_out(video, fragment.key)
            return False
        if video and self.needs_key:
            if not fragment.key:
                return self.wait_for_key()
            self.needs_key = False
        if video or self.written:  # the file begins with a picture
            self._write(self._file.add(number, fragment.data))
        return False

    def offer_all(self, run: Run) -> bool:
        """See viewers.Viewer."""
        return run.one_by_one(self)

    def _late(self, video: bool) -> bool:
        """Whether a frame would reach this reader too late to be worth sending now."""
        held = self.held
        self._limit.look(held)
        if not held or self._behind:
            return self._behind
        now = self._house.now()
        if now - self._looked >= TURN:
            self._seen, self._looked = self._looked, now
        bound = patience(self._channel, video, self.needs_key, self._limit.bursting)
        return bound is not None and self._seen - self._filled > bound

    def _write(self, data: bytes | bytearray) -> None:
        if not self.held:
            self._filled = self._house.now()
        self.written += len(data)
        self._transport.write(data)

    # --- the connection ---

    @property
    def held(self) -> int:
        """Bytes that the network has not taken."""
        return self._transport.get_write_buffer_size()

    def end(self) -> None:
        """End the file where it is. What waits is still sent; `sweep` sees to the end of that."""
        self._ending = True
        self._transport.close()

    def abort(self) -> None:
        """Cut the connection at once."""
        self._transport.abort()

    def sweep(self, now: float) -> None:
        """Keep the deadlines. Called by the house about once a second for every reader."""
        waiting = self.held
        if waiting < self._waiting or not waiting:
            self._progress = now
        self._waiting = waiting
        if now - self._progress > WRITE_DEADLINE:
            log.info("x %s does not take what is sent; cut off", self.peer)
            self.abort()
        elif self._away_since is not None and now - self._away_since > ABSENCE and not self._ending:
            log.debug("= %s stays away; the file of %s ends", self._channel.name, self.peer)
            self.end()

    def data_received(self, data: bytes) -> None:
        """On this connection nothing is expected after the request."""

    def eof_received(self) -> bool:
        """The file is not read any more."""
        self.gone.set()
        return False

    def pause_writing(self) -> None:
        self._behind = True

    def resume_writing(self) -> None:
        self._behind = False
        self._limit.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        self._house.reader_ends(self)
        self._channel.part(self)
        tell_end(self._http, exc)
        self.gone.set()


class _Live:
    """The handlers."""

    def __init__(self, hub: Hub, house: House) -> None:
        self._hub = hub
        self._house = house

    async def webm(self, request: web.Request) -> web.StreamResponse:
        return await self._file(request, Container.WEBM)

    async def mp4(self, request: web.Request) -> web.StreamResponse:
        return await self._file(request, Container.MP4)

    async def fitting(self, request: web.Request) -> web.StreamResponse:
        """Whichever of them the camera films now.

        No redirect: VLC does not show its key at another address.
        """
        return await self._file(request, None)

    async def _file(self, request: web.Request, asked: Container | None) -> web.StreamResponse:
        channel, sound = self._channel(request), request.query.get("sound") != "0"
        filmed = _filmed(channel)
        _check(channel.name, asked, filmed)
        if request.method == "HEAD":
            container = asked or filmed
            if container is None:
                raise _no_picture(channel.name)
            return web.Response(content_type=container.content_type)
        async with self._reader(request, channel) as reader:
            if sound:
                await _hear(reader, channel, self._hub.clock())
            container = reader.container
            if container is None:
                raise _no_picture(channel.name)
            _check(channel.name, asked, container)
            response = Endless(
                headers={
                    "Content-Type": container.content_type,
                    "Accept-Ranges": "none",
                    "Cache-Control": "no-store",
                }
            )
            response.force_close()
            await response.prepare(request)
            if (
                reader.container is not container
                or request.transport is None
                or request.transport.is_closing()
            ):
                raise ConnectionResetError  # all of that in this moment: it asks again
            log.debug("> %s reads %s", reader.peer, channel.name)
            reader.begin_file(sound)
            await reader.gone.wait()
        return response

    @contextlib.asynccontextmanager
    async def _reader(self, request: web.Request, channel: Channel) -> AsyncIterator[Reader]:
        """A reader of a camera that films; it is woken up for that.

        Raises:
            Denied: 503, it shows no picture.
        """
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        reader = Reader(channel, self._house, transport, request.protocol, client_of(request))
        channel.join(reader)
        try:
            try:
                async with Deadline(OPENING):
                    await reader.pictures.wait()
            except TimeoutError:
                raise (
                    _no_keyframe() if channel.lacks_keyframe else _no_picture(channel.name)
                ) from None
            yield reader
        finally:
            channel.part(reader)
            if reader.begun:
                reader.abort()

    def _channel(self, request: web.Request) -> Channel:
        """
        Raises:
            Denied: 404, there is no camera of that name now.
        """
        name = request.match_info["name"]
        channel = self._hub.find(name)
        if channel is None or channel.camera is None:
            raise Denied(404, "unknown-camera", f"There is no camera {name} now.", RETRY_AFTER)
        return channel


async def _hear(reader: Reader, channel: Channel, now: int) -> None:
    """Wait until there is sound, or a camera that began to film a moment ago has none; it may have
    said so.
    """
    wait = SOUND_WAIT - (now - channel.since) / 1e6
    if wait > 0 and channel.sound is not False and not reader.sound.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await reader.sound.wait()


def _filmed(channel: Channel) -> Container | None:
    """What the pictures of a camera come in now, or came in before it paused; None where that is
    not known.
    """
    codecs = [track["codec"] for track in channel.report()["tracks"] if track["number"] == VIDEO]
    return container_for(codecs[0]) if codecs else None


def _check(name: str, asked: Container | None, filmed: Container | None) -> None:
    """
    Raises:
        Denied: 406, the camera films something else.
    """
    if asked is not None and filmed is not None and filmed is not asked:
        codecs = "H.264" if filmed is Container.MP4 else "VP8, VP9 or AV1"
        raise Denied(
            406,
            "other-format",
            f"The camera {name} films in {codecs} now: its address is {_path(name, filmed)}.",
        )


def _no_picture(name: str) -> Denied:
    return Denied(503, "no-picture", f"The camera {name} shows no picture now.", RETRY_AFTER)


def _no_keyframe() -> Denied:
    return Denied(503, "no-keyframe", KEYLESS, RETRY_AFTER)


def _path(name: str, container: Container) -> str:
    route = routes.LIVE_WEBM if container is Container.WEBM else routes.LIVE_MP4
    return route.path.format(name=name)


def _same(one: messages.TrackBegins, other: messages.TrackBegins) -> bool:
    """Whether the frames of one track can follow those of the other in a file. A picture's size is
    in the frames, or in `config`; how it is shown is in the file's header.
    """
    names = (
        "codec",
        "config",
        "sampleRate",
        "channels",
        "rotation",
        "flip",
        "displayWidth",
        "displayHeight",
        "colorSpace",
    )
    header = attrgetter(*names)
    return bool(header(one) == header(other))


def add_routes(app: web.Application, hub: Hub, house: House) -> None:
    """Let cameras be read as files; the rights for it stand in admission/routes.py.

    Args:
        app: The HTTP side.
        hub: The cameras.
        house: The server.
    """
    live = _Live(hub, house)
    app.router.add_get(routes.LIVE.path, live.fitting)
    app.router.add_get(routes.LIVE_WEBM.path, live.webm)
    app.router.add_get(routes.LIVE_MP4.path, live.mp4)
