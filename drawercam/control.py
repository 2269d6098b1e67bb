"""The control channel: JSON messages as dataclasses, both ways (docs/protocol.md, "Messages").

A message class names its ``type``; its fields are the JSON fields. ``parse`` turns text into the message of a peer's vocabulary or
raises; ``encode`` turns a message into text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar

# Text messages are small; the longest honest one is below 1 KiB.
MAX_TEXT = 16 * 2**10

MAX_STREAM = 8

# Longest strings that a peer may send, in characters.
_MAX_MIME = 256
_MAX_REASON = 64

# Microseconds: the longest way from capture to the relay that a camera may claim. Longer ones are no live picture.
MAX_DELAY = 10_000_000

# 2**53: integers up to here survive JavaScript's numbers.
_MAX_INTEGER = 9_007_199_254_740_992


class ControlError(Exception):
    """Text that is not a message the peer may send. The message is a sentence for the peer."""


def _is_stream(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MAX_STREAM


def _is_time(value: Any) -> bool:
    return type(value) is int and abs(value) <= _MAX_INTEGER


def _is_span(longest: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and 0 <= value <= longest


def _is_flag(value: Any) -> bool:
    return type(value) is bool


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= _MAX_INTEGER


def _is_text(longest: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and len(value) <= longest


def _one_of(*allowed: str) -> Callable[[Any], bool]:
    return lambda value: value in allowed


def _checked(check: Callable[[Any], bool], default: Any = MISSING) -> Any:
    metadata = {"check": check}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


class Message:
    """Base of all messages. Fields that are None are left out of the JSON."""

    type: ClassVar[str]


# --- camera to relay ---


@dataclass(frozen=True, slots=True)
class Stream(Message):
    """A stream begins, or begins afresh.

    Attributes:
        at: The relay's time (µs) at which the stream's time 0 was captured, if the camera knows it.
        delay: Microseconds from capture to the arrival at the relay at best, if it knows only that.
        keyframes: The camera can make a keyframe of this stream at any time, cheaply.
    """

    type: ClassVar[str] = "stream"
    stream: int = _checked(_is_stream)
    mime: str = _checked(_is_text(_MAX_MIME))
    at: int | None = _checked(_is_time, None)
    delay: int | None = _checked(_is_span(MAX_DELAY), None)
    keyframes: bool = _checked(_is_flag, False)


@dataclass(frozen=True, slots=True)
class End(Message):
    """A stream has ended."""

    type: ClassVar[str] = "end"
    stream: int = _checked(_is_stream)


@dataclass(frozen=True, slots=True)
class CameraState(Message):
    """What the camera does, said by itself."""

    type: ClassVar[str] = "state"
    state: str = _checked(_one_of("live", "paused"))
    reason: str | None = _checked(_one_of("viewers", "unwatched", "camera", "background", "interrupted"), None)


@dataclass(frozen=True, slots=True)
class CameraPing(Message):
    """As Ping, and how long (µs) a picture takes from capture to the camera's socket, lately."""

    type: ClassVar[str] = "ping"
    t: float = _checked(_is_number)
    encode: int | None = _checked(_is_span(_MAX_INTEGER), None)


# --- player to relay ---


@dataclass(frozen=True, slots=True)
class Join(Message):
    """Send the init segments and everything since the last keyframe again."""

    type: ClassVar[str] = "join"


@dataclass(frozen=True, slots=True)
class Rest(Message):
    """Nobody looks or listens there now: send no frames until Join. The player counts as not watching."""

    type: ClassVar[str] = "rest"


@dataclass(frozen=True, slots=True)
class Pause(Message):
    """A vote for a pause. It lapses unless it is cast again."""

    type: ClassVar[str] = "pause"
    reason: str | None = _checked(_is_text(_MAX_REASON), None)


# --- both ways ---


@dataclass(frozen=True, slots=True)
class Unplayable(Message):
    """From a player: its browser does not decode this codec. To a camera: a viewer's browser does not; film with another one if you can."""

    type: ClassVar[str] = "unplayable"
    codec: str = _checked(_is_text(_MAX_MIME))


@dataclass(frozen=True, slots=True)
class Resume(Message):
    """From a player: the vote taken back. To a camera: film again, from a keyframe."""

    type: ClassVar[str] = "resume"


@dataclass(frozen=True, slots=True)
class Keyframe(Message):
    """From a player: it cannot go on without one. To a camera: make the next frame one if you can."""

    type: ClassVar[str] = "keyframe"


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """From a player or a wall: answer with a pong."""

    type: ClassVar[str] = "ping"
    t: float = _checked(_is_number)


# --- relay to the others ---


@dataclass(frozen=True, slots=True)
class Welcome(Message):
    """The socket is accepted; ``time`` is the relay's clock."""

    type: ClassVar[str] = "welcome"
    name: str
    time: int


@dataclass(frozen=True, slots=True)
class Pong(Message):
    type: ClassVar[str] = "pong"
    t: float
    time: int


@dataclass(frozen=True, slots=True)
class PlayerPong(Message):
    """As Pong, and how long (µs) the camera's pictures take up to the player's socket, lately; None while unknown.

    Attributes:
        encode: In the camera.
        uplink: From there to the relay; from the capture on while ``encode`` is unknown.
        relay: In the relay.
        drops: Frames left out for this viewer so far.
        idle: Microseconds since the camera's last frame came to the relay, None before the first one.
    """

    type: ClassVar[str] = "pong"
    t: float
    time: int
    encode: int | None
    uplink: int | None
    relay: int | None
    drops: int
    idle: int | None


@dataclass(frozen=True, slots=True)
class Viewers(Message):
    type: ClassVar[str] = "viewers"
    count: int


@dataclass(frozen=True, slots=True)
class CameraPause(Message):
    """Stop filming until Resume.

    Attributes:
        reason: ``viewers`` (they asked for it) or ``unwatched`` (nobody watches).
        by: Addresses of the viewers who asked, some of them if they are many.
        votes, watching: How many asked, of how many that watch.
    """

    type: ClassVar[str] = "pause"
    reason: str
    by: tuple[str, ...] = ()
    votes: int = 0
    watching: int = 0


@dataclass(frozen=True, slots=True)
class ChannelState(Message):
    type: ClassVar[str] = "state"
    state: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TrackBegins(Message):
    """The next binary message is this track's init segment."""

    type: ClassVar[str] = "track"
    number: int
    kind: str
    codec: str
    mime: str
    config: str | None = None
    width: int | None = None
    height: int | None = None
    sampleRate: int | None = None  # the wire's spelling
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class TrackEnds(Message):
    type: ClassVar[str] = "track-end"
    number: int


@dataclass(frozen=True, slots=True)
class Cameras(Message):
    """All cameras: dicts of ``name``, ``state``, ``kinds``."""

    type: ClassVar[str] = "cameras"
    cameras: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Error(Message):
    """A stable id for programs and a sentence for people; the socket closes after it."""

    type: ClassVar[str] = "error"
    id: str
    text: str


Vocabulary = dict[str, type[Message]]


def _vocabulary(kinds: Iterable[type[Message]]) -> Vocabulary:
    return {kind.type: kind for kind in kinds}


FROM_CAMERA = _vocabulary((Stream, End, CameraState, CameraPing))
FROM_PLAYER = _vocabulary((Pause, Resume, Keyframe, Unplayable, Join, Rest, Ping))
FROM_WALL = _vocabulary((Ping,))


def parse(text: str, vocabulary: Vocabulary) -> Message:
    """Read a message that a peer with this vocabulary may send. Unknown fields are ignored.

    Raises:
        ControlError: It is no JSON object, of an unknown type, or a field is missing or ill-typed.
    """
    try:
        # RecursionError: thousands of nested brackets.
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ControlError("a text message must be a JSON object") from None
    if not isinstance(value, dict):
        raise ControlError("a text message must be a JSON object")
    name = value.get("type")
    kind = vocabulary.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ControlError(f"the message type must be one of {', '.join(vocabulary)}")
    known: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type] # every Message is a dataclass
        given = value.get(item.name)
        if given is None:
            if item.default is MISSING:
                raise ControlError(f"a {kind.type} message needs the field {item.name!r}")
        elif not item.metadata["check"](given):
            raise ControlError(f"the field {item.name!r} of a {kind.type} message has an impossible value")
        else:
            known[item.name] = given
    return kind(**known)


def encode(message: Message) -> str:
    """The message as JSON."""
    value = {"type": message.type}
    for item in fields(message):  # type: ignore[arg-type] # every Message is a dataclass
        content = getattr(message, item.name)
        if content is not None:
            value[item.name] = content
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
