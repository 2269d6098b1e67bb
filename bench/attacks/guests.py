"""Attacks by peers that hold a key to watch, or one to film."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from websockets.frames import Opcode

from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Codec, Packet, Track

from .attack import BYTES, HELD, PER_SECOND, Attack, Wish
from .force import SOURCE, Force, Lane
from .peers import Asker, Peer, WebSocketPeer, frame, request, text
from .strangers import asks

ALLOWED = 48
"""Control messages a second of each socket: a little less than what a relay takes before it sends a
peer away.
"""

STAY_BESIDE = "127.0.0.77"
"""The address of honest ones that an attack needs."""

PIECE = 60_000
"""Bytes that are poured at once."""

JUNK = 110
"""Cookies in a request: as many as fit into the 8 KB that a header may have."""


async def enter(
    force: Force, path: str, *, deaf: bool = False, source: str = SOURCE
) -> WebSocketPeer:
    """A guest's WebSocket, with the cookie for this path."""
    cookie = force.filming if path.startswith("/camera/") else force.watching
    return await WebSocketPeer().enter(force.site, source, path, cookie, deaf=deaf)


def lanes(
    force: Force, paths: Sequence[str], first: bytes = b"", *, source: str = SOURCE
) -> list[Lane[WebSocketPeer]]:
    """WebSockets that are there all the time.

    Args:
        first: What each says at first, whenever it comes.
    """

    def lane(path: str) -> Lane[WebSocketPeer]:
        async def connect() -> WebSocketPeer:
            peer = await enter(force, path, source=source)
            peer.send(first)
            return peer

        return Lane(force, connect)

    return [lane(path) for path in paths]


async def pours(force: Force, path: str, one: bytes, first: bytes = b"") -> None:
    """The same frame again and again, on one socket.

    Args:
        one: The frame; the rate is in bytes.
        first: What is said before.
    """
    data = one * (PIECE // len(one))
    lane = lanes(force, [path], first)[0]
    await lane.opened()
    await force.begin()
    await force.pace(lambda: lane.send(data))


async def says(
    force: Force, messages: Sequence[Mapping[str, object]], path: str = "/player/film"
) -> None:
    """Control messages by turns, as many on each socket as are allowed."""
    said = [text(message) for message in messages]
    await speak(force, lanes(force, [path] * sockets(force.rate)), said)


def sockets(rate: float) -> int:
    """How many speak so many messages a second."""
    return max(1, round(rate / ALLOWED))


async def speak(force: Force, speakers: list[Lane[WebSocketPeer]], said: Sequence[bytes]) -> None:
    """Each says one message after the other, by turns."""
    await asyncio.gather(*(speaker.opened() for speaker in speakers))
    await force.begin()
    count = 0

    def offer() -> bool:
        nonlocal count
        count += 1
        turn, who = divmod(count, len(speakers))
        return speakers[who].send(said[turn % len(said)])

    await force.pace(offer)


def film_of_one_picture() -> bytes:
    """What a camera sends at first: a stream, and one keyframe of it."""
    track = Track(Codec.VP8, "vp8", width=64, height=64)
    writer = WebmWriter(track, 1, 0)
    picture = b"\x10\x02\x00\x9d\x01\x2a\x40\x00\x40\x00\x00\x00"
    stream = text({"type": "stream", "stream": 1, "mime": "", "keyframes": True})
    return stream + frame(
        Opcode.BINARY, b"\1" + writer.init() + writer.fragment(Packet(track, 0, True, picture))
    )


async def cameras_say(
    force: Force, messages: Sequence[Mapping[str, object]] | None, walls: int = 0, players: int = 0
) -> None:
    """Cameras that tell something new as often as they may, to honest ones that listen.

    Args:
        messages: What they say by turns; None: they begin their streams anew, with a keyframe.
        walls, players: So many walls, and so many players of the first camera, listen.
    """
    first = film_of_one_picture()
    said = [first] if messages is None else [text(message) for message in messages]
    cameras = lanes(force, [f"/camera/h{number}" for number in range(sockets(force.rate))], first)
    honest = lanes(force, ["/wall"] * walls + ["/player/h0"] * players, source=STAY_BESIDE)
    await asyncio.gather(*(one.opened() for one in honest))
    await speak(force, cameras, said)


async def waits(force: Force, path: Callable[[int], str], *, deaf: bool = False) -> None:
    """Sockets that come and stay."""

    async def connect(number: int) -> Peer:
        return await enter(force, path(number), deaf=deaf)

    await force.hold(connect)


class Downward(Asker):
    """The relay's half of a connection over HTTP: the first request's answer, which does not end.

    Attributes:
        stream: The id under which the other half is sent; "" until it is known.
    """

    def __init__(self, force: Force) -> None:
        super().__init__(force.answers)
        self.stream: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._head = bytearray()

    def received(self, data: memoryview) -> None:
        super().received(data)
        if not self.stream.done():
            self._head += data
            head, end, _ = bytes(self._head).partition(b"\r\n\r\n")
            if end:
                found = [
                    line.split()[1].decode()
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"drawercam-stream:")
                ]
                self.stream.set_result(found[0] if found else "")


class Upward(Asker):
    """The other half, once it is known where."""

    def __init__(self, force: Force) -> None:
        super().__init__(force.answers)
        self.down = Downward(force)
        self.at = 0

    def leave(self) -> None:
        super().leave()
        self.down.leave()


async def over_http(force: Force, one: bytes) -> None:
    """The same frame again and again, in the bodies of POSTs."""
    data = one * (PIECE // len(one))

    async def connect() -> Upward:
        up = Upward(force)
        cookie = f"Cookie: {force.watching}"
        await up.down.open(force.site.port, SOURCE)
        up.down.ask(
            request(
                force.site,
                "POST",
                "/over-http/player/film?rest=1",
                cookie,
                "Drawercam-Protocol: drawercam.1",
            )
        )
        async with asyncio.timeout(5):
            await up.down.stream
        return await up.open(force.site.port, SOURCE)

    lane = Lane(force, connect)
    await lane.opened()
    await force.begin()

    def offer() -> bool:
        line = lane.line
        if line is None:
            return False
        path = f"/over-http/{line.down.stream.result()}?at={line.at}"
        if not line.ask(request(force.site, "POST", path, f"Cookie: {force.watching}", body=data)):
            return False
        line.at += len(data)
        return True

    await force.pace(offer)


async def slow_files(force: Force, path: str) -> None:
    """Readers of a file that does not end who take nothing of it."""
    asked = request(force.site, "GET", path, f"Cookie: {force.watching}")

    async def connect(number: int) -> Peer:
        peer = await DeafReader().open(force.site.port, SOURCE, small=True)
        peer.send(asked)
        return peer

    await force.hold(connect)


class DeafReader(Peer):
    """Takes the beginning of the answer, and nothing more."""

    def received(self, data: memoryview) -> None:
        if self._transport is not None:
            self._transport.pause_reading()


def names(before: str) -> Callable[[int], str]:
    """Paths with a number at the end."""
    return lambda number: f"{before}{number}"


def junk_cookies(force: Force) -> Callable[[], bytes]:
    """A request with as many cookies as fit, none of which is good."""
    prefix = force.watching.partition("=")[0]
    junk = "; ".join(f"{prefix}={number:08x}{'0' * 35}" for number in range(JUNK))
    data = request(force.site, "GET", "/api/cameras", f"Cookie: {junk}")
    return lambda: data


_JOIN, _REST, _STATE = {"type": "join"}, {"type": "rest"}, {"type": "state", "state": "paused"}
_LISTEN = _JOIN | {
    "video": False
}  # it counts as watching, and spares the attacker 90 times the pictures
_STATES = [_STATE | {"reason": reason} for reason in ("camera", "background")]
_PLAYS = [{"type": "join", "plays": plays} for plays in (["vp8"], ["h264"])]
_TURNS: list[Mapping[str, object]] = [
    {"type": "turns", "pan": {"min": -90, "max": 90, "now": now}} for now in (1, 2)
]
_RESTING = "/player/film?rest=1"
_FLOOD, _FLOOD_WHY = 1_500_000, "250,000 frames a second took the core"
_TEN = "ten sockets, as often as each may"


def _flood(name: str, does: str, run: Callable[..., Coroutine[Any, Any, None]]) -> Attack:
    return Attack(name, does, run, _FLOOD, BYTES, _FLOOD_WHY, step=PIECE, guest=True)


def _pour(name: str, does: str, one: bytes, first: bytes = b"", path: str = _RESTING) -> Attack:
    return _flood(name, does, partial(pours, path=path, one=one, first=first))


def _say(
    name: str,
    does: str,
    messages: Sequence[Mapping[str, object]],
    rate: float,
    why: str,
    **more: Any,
) -> Attack:
    return Attack(
        name, does, partial(says, messages=messages), rate, PER_SECOND, why, guest=True, **more
    )


def _tell(
    name: str,
    does: str,
    messages: Sequence[Mapping[str, object]] | None,
    rate: float,
    why: str,
    **listeners: Any,
) -> Attack:
    return Attack(
        name,
        does,
        partial(cameras_say, messages=messages, **listeners),
        rate,
        PER_SECOND,
        why,
        guest=True,
    )


def _stay(
    name: str,
    does: str,
    run: Callable[..., Coroutine[Any, Any, None]],
    count: int,
    why: str,
    wish: Wish = Wish.LOGIN,
) -> Attack:
    return Attack(name, does, run, count, HELD, why, guest=True, wish=wish)


ATTACKS = [
    _pour("pings", "Pings", frame(Opcode.PING)),
    _pour("pongs", "Pongs that answer nothing", frame(Opcode.PONG)),
    _pour(
        "continuations",
        "empty fragments",
        frame(Opcode.CONT, final=False),
        frame(Opcode.TEXT, final=False),
    ),
    _pour(
        "tiny-binaries",
        "media messages of a byte",
        frame(Opcode.BINARY, b"\1"),
        text({"type": "stream", "stream": 1, "mime": ""}),
        "/camera/evil",
    ),
    _flood("over-http", "Pongs in the bodies of POSTs", partial(over_http, one=frame(Opcode.PONG))),
    _say("join", "players join again and again", [_JOIN], 480, _TEN),
    _say(
        "join-rest",
        "players come and go without leaving",
        [_REST, _LISTEN],
        4320,
        "90 sockets: 43,000 messages to the camera in 10 s",
    ),
    _say("keyframes", "players want keyframes", [{"type": "keyframe"}], 480, _TEN),
    _say(
        "pauses",
        "players vote and take it back",
        [{"type": "pause"}, {"type": "resume"}],
        480,
        _TEN,
    ),
    _say("orients", "players turn what does not turn", [{"type": "orient", "pan": 1}], 480, _TEN),
    _say(
        "unplayable",
        "a player cannot play this",
        [{"type": "unplayable", "codec": "vp8"}],
        48,
        "as often as it may",
        changes=True,
    ),
    _say(
        "plays",
        "players change what they can play",
        _PLAYS,
        192,
        "four sockets, as often as each may",
        changes=True,
    ),
    _tell(
        "states",
        "a camera changes state before 100 players",
        _STATES,
        48,
        "as often as it may: 4800 messages a second",
        players=100,
    ),
    _tell(
        "turns",
        "a camera turns before 100 players",
        _TURNS,
        48,
        "as often as it may: 4800 messages a second",
        players=100,
    ),
    _tell(
        "restarts",
        "a camera begins anew before 100 players",
        None,
        48,
        "as often as it may",
        players=100,
    ),
    _tell(
        "walls",
        "20 cameras change before 20 walls",
        _STATES,
        960,
        "as often as each may: 19,200 lists a second",
        walls=20,
    ),
    _stay(
        "waiting",
        "players of no camera",
        partial(waits, path=names("/player/x")),
        500,
        "twice the places for them",
        Wish.CAMERA,
    ),
    _stay(
        "cameras",
        "cameras that send nothing",
        partial(waits, path=names("/camera/h")),
        250,
        "as many as there may be in all",
        Wish.CAMERA,
    ),
    _stay(
        "sockets",
        "players that rest",
        partial(waits, path=lambda number: _RESTING),
        650,
        "one address may have 600",
        Wish.PLAYER,
    ),
    _stay(
        "deaf",
        "players that take nothing",
        partial(waits, path=lambda number: "/player/film", deaf=True),
        100,
        "512 KiB for each",
    ),
    _stay(
        "slow-files",
        "readers of files that take nothing",
        partial(slow_files, path="/cameras/film/live"),
        100,
        "512 KiB for each",
    ),
    Attack(
        "cookies",
        "110 cookies that are not good",
        partial(asks, make=junk_cookies),
        300,
        PER_SECOND,
        "half a core",
        guest=True,
    ),
]
