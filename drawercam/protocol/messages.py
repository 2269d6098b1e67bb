"""The control channel: JSON messages as dataclasses, both ways (docs/protocol.md, "Messages").

A message class names its ``type``; its fields are the JSON fields. ``parse`` turns text into the
message of a peer's vocabulary or raises; ``encode`` turns a message into text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any, ClassVar, TypeVar

from groundwork.names import told_label

SUBPROTOCOL = "drawercam.1"
"""What both sides of a socket say that they speak (RFC 6455 section 1.9)."""

STOPPED = "stop"
"""The reason with which a camera closes its socket (code 1000) because its person has switched it
off.
"""

# Text messages are small; the longest honest one is below 1 KiB.
MAX_TEXT = 16 * 2**10

MAX_STREAM = 8

# Longest strings that a peer may send, in characters.
_MAX_MIME = 256
_MAX_REASON = 64

# Microseconds: the longest way from capture to the relay that a camera may claim. Longer ones are
# no live picture.
MAX_DELAY = 10_000_000

# Microseconds: the longest from one picture to the next that a camera may claim.
MAX_INTERVAL = 10_000_000

# Degrees to either side that a camera may claim to turn, and the factors between which it may claim
# to zoom: beyond that is no camera.
MAX_ANGLE = 360
MIN_ZOOM, MAX_ZOOM = 0.01, 1000

# What a camera may say of its sound (docs/protocol.md, "Sound").
SOUND_STATES = ("on", "off", "muted", "silent", "refused", "missing", "busy", "failed", "slow")

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


def _is_quarter(value: Any) -> bool:
    return type(value) is int and value in (0, 90, 180, 270)


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _is_text(longest: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and len(value) <= longest


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _one_of(*allowed: str) -> Callable[[Any], bool]:
    return lambda value: value in allowed


def _is_axis(lowest: float, highest: float) -> Callable[[Any], bool]:
    """How far something turns (see Axis), all of it between two bounds."""

    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        least, most, step, now = (value.get(name) for name in ("min", "max", "step", "now"))
        numbers = [one for one in (least, most, now) if one is not None]
        if (
            least is None
            or most is None
            or not all(_is_number(one) and lowest <= one <= highest for one in numbers)
        ):
            return False
        return bool(least < most) and (
            step is None or (_is_number(step) and 0 < step <= most - least)
        )

    return check


def _checked(
    check: Callable[[Any], bool], default: Any = MISSING, read: Callable[[Any], Any] | None = None
) -> Any:
    """A field that a peer may send: whether a value can be, and what is made of it."""
    metadata = {"check": check, "read": read}
    return (
        field(metadata=metadata)
        if default is MISSING
        else field(default=default, metadata=metadata)
    )


class Message:
    """Base of all messages. Fields that are None are left out of the JSON."""

    type: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Axis:
    """How far a camera turns in one way. Degrees, or for the zoom a factor.

    Attributes:
        min, max: From where to where; ``min`` is less than ``max``.
        step: The least turn that makes a difference, None where it is not known.
        now: Where it stands or turns to, None where it is not known.
    """

    min: float
    max: float
    step: float | None = None
    now: float | None = None

    @classmethod
    def of(cls, value: dict[str, Any]) -> Axis:
        """From JSON, checked before."""
        return cls(*(value.get(name) for name in ("min", "max", "step", "now")))  # type: ignore[arg-type] # the check has seen to it

    def as_json(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if value is not None}


# --- camera to relay ---


@dataclass(frozen=True, slots=True)
class Stream(Message):
    """A stream begins, or begins afresh.

    Attributes:
        at: The relay's time (µs) at which the stream's time 0 was captured, if the camera knows it.
        delay: Microseconds from capture to the arrival at the relay at best, if it knows only that.
        keyframes: The camera can make a keyframe of this stream at any time, cheaply.
        interval: Microseconds from one picture to the next, usually, if the camera knows.
        sound: Whether there is sound with these pictures, in this stream or another, if it knows.
        label: What people call the camera, as it can be shown (names.label_of).
        rotation, flip: How its pictures are to be turned, as in media.packets.Track, where nothing
            in the stream itself says it.
    """

    type: ClassVar[str] = "stream"
    stream: int = _checked(_is_stream)
    mime: str = _checked(_is_text(_MAX_MIME))
    at: int | None = _checked(_is_time, None)
    delay: int | None = _checked(_is_span(MAX_DELAY), None)
    keyframes: bool = _checked(_is_flag, False)
    interval: int | None = _checked(_is_span(MAX_INTERVAL), None)
    sound: bool | None = _checked(_is_flag, None)
    label: str | None = _checked(_is_text(MAX_TEXT), None, told_label)
    rotation: int = _checked(_is_quarter, 0)
    flip: bool = _checked(_is_flag, False)


@dataclass(frozen=True, slots=True)
class End(Message):
    """A stream has ended."""

    type: ClassVar[str] = "end"
    stream: int = _checked(_is_stream)


@dataclass(frozen=True, slots=True)
class CameraState(Message):
    """What the camera does, said by itself.

    Attributes:
        sound: One of SOUND_STATES, None where the camera says nothing of its sound.
    """

    type: ClassVar[str] = "state"
    state: str = _checked(_one_of("live", "paused"))
    reason: str | None = _checked(
        _one_of("viewers", "unwatched", "camera", "background", "interrupted"), None
    )
    sound: str | None = _checked(_one_of(*SOUND_STATES), None)


@dataclass(frozen=True, slots=True)
class CameraPing(Message):
    """As Ping, and what the camera has measured lately.

    Attributes:
        encode: Microseconds that a picture takes from capture to the camera's socket.
        level: How loud its microphone was at the loudest moment of the last 2 s: root mean square,
            0 to 1.
    """

    type: ClassVar[str] = "ping"
    t: float = _checked(_is_number)
    encode: int | None = _checked(_is_span(_MAX_INTEGER), None)
    level: float | None = _checked(_is_share, None)


@dataclass(frozen=True, slots=True)
class Turns(Message):
    """What a camera can turn, and where it stands. From a camera, and passed on to its players;
    empty when it cannot turn any more.

    Attributes:
        pan: Degrees from straight ahead, positive to the right as the camera sees it.
        tilt: Degrees from straight ahead, positive up.
        zoom: A factor; 1 is the widest.
    """

    type: ClassVar[str] = "turns"
    pan: Axis | None = _checked(_is_axis(-MAX_ANGLE, MAX_ANGLE), None, Axis.of)  # noqa: RUF009 - it makes a field
    tilt: Axis | None = _checked(_is_axis(-MAX_ANGLE, MAX_ANGLE), None, Axis.of)  # noqa: RUF009 - it makes a field
    zoom: Axis | None = _checked(_is_axis(MIN_ZOOM, MAX_ZOOM), None, Axis.of)  # noqa: RUF009

    def axes(self) -> dict[str, Axis]:
        """Those there are, by name: ``pan``, ``tilt``, ``zoom``."""
        known = {"pan": self.pan, "tilt": self.tilt, "zoom": self.zoom}
        return {name: axis for name, axis in known.items() if axis is not None}


# --- player to relay ---


@dataclass(frozen=True, slots=True)
class Join(Message):
    """Send the init segments and everything since the last keyframe again.

    Attributes:
        video: False where somebody listens only: no pictures, and the sound from now on.
        plays: Families of codecs that the player decodes, also such as are not known here; None
            where it says nothing of them.
    """

    type: ClassVar[str] = "join"
    video: bool = _checked(_is_flag, True)
    plays: tuple[str, ...] | None = _checked(_is_texts, None, tuple)


@dataclass(frozen=True, slots=True)
class Rest(Message):
    """The player is neither looked at nor heard now: send no frames until Join.

    The player counts as not watching.
    """

    type: ClassVar[str] = "rest"


@dataclass(frozen=True, slots=True)
class Pause(Message):
    """A vote for a pause. It lapses unless it is cast again."""

    type: ClassVar[str] = "pause"
    reason: str | None = _checked(_is_text(_MAX_REASON), None)


@dataclass(frozen=True, slots=True)
class Unplayable(Message):
    """The player's browser does not decode this codec after all."""

    type: ClassVar[str] = "unplayable"
    codec: str = _checked(_is_text(_MAX_MIME))


# --- both ways ---


@dataclass(frozen=True, slots=True)
class Resume(Message):
    """From a player: the vote taken back. To a camera: film again, from a keyframe."""

    type: ClassVar[str] = "resume"


@dataclass(frozen=True, slots=True)
class Keyframe(Message):
    """From a player: it cannot go on without one.

    To a camera: make the next frame one if you can.
    """

    type: ClassVar[str] = "keyframe"


@dataclass(frozen=True, slots=True)
class Orient(Message):
    """From a player: the camera should look there.

    To a camera: look there. What is None stays as it is; units as in Turns.
    """

    type: ClassVar[str] = "orient"
    pan: float | None = _checked(_is_number, None)
    tilt: float | None = _checked(_is_number, None)
    zoom: float | None = _checked(_is_number, None)

    def __post_init__(self) -> None:
        if not self.wishes():
            raise ControlError(
                "the message 'orient' needs at least one of the fields 'pan', 'tilt' and 'zoom'"
            )

    def wishes(self) -> dict[str, float]:
        """What is wished for, by the name of its axis."""
        known = {"pan": self.pan, "tilt": self.tilt, "zoom": self.zoom}
        return {name: value for name, value in known.items() if value is not None}

    def then(self, newer: Orient) -> Orient:
        """Both wishes as one: where they contradict each other, the newer one counts."""
        return replace(self, **newer.wishes())


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """From a player or a wall: answer with a pong."""

    type: ClassVar[str] = "ping"
    t: float = _checked(_is_number)


# --- relay to the others ---


@dataclass(frozen=True, slots=True)
class Welcome(Message):
    """The socket is accepted; ``time`` is the relay's clock, ``version`` that of its pages."""

    type: ClassVar[str] = "welcome"
    name: str
    time: int
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Pong(Message):
    type: ClassVar[str] = "pong"
    t: float
    time: int


@dataclass(frozen=True, slots=True)
class PlayerPong(Message):
    """As Pong, and how long (µs) the camera's pictures take up to the player's socket, lately; None
    while unknown.

    Attributes:
        encode: In the camera.
        uplink: From there to the relay; from the capture on while ``encode`` is unknown.
        relay: In the relay.
        drops: Frames left out for this viewer so far.
        idle: Microseconds since the camera's last frame came to the relay, None before the first
            one.
        pace: Microseconds from one picture to the next, lately; None before the second one.
        level: As in CameraPing, None where the camera does not say it.
    """

    type: ClassVar[str] = "pong"
    t: float
    time: int
    encode: int | None
    uplink: int | None
    relay: int | None
    drops: int
    idle: int | None
    pace: int | None = None
    level: float | None = None


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
class CameraUnplayable(Message):
    """A viewer does not play the codec of this track; film with another one if you can.

    Attributes:
        codec: As in TrackBegins.
        plays: Families of codecs that all who watch can play, some of them of this track's kind.
    """

    type: ClassVar[str] = "unplayable"
    codec: str
    plays: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChannelState(Message):
    """What the camera does.

    Attributes:
        keyless: True where pictures come, but no keyframe with which a newcomer could begin.
        since: When a camera that is gone went, in milliseconds of UTC since 1970.
        sound: As in CameraState.
        label: What people call the camera, None if it has not said.
    """

    type: ClassVar[str] = "state"
    state: str
    reason: str | None = None
    keyless: bool | None = None
    since: int | None = None
    sound: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class TrackBegins(Message):
    """The next binary message is this track's init segment.

    Attributes:
        rotation: Degrees clockwise by which the player turns a picture; 90, 180 or 270.
        flip: The player mirrors it, left for right, after that.
        displayWidth, displayHeight: Its size in square pixels, before it is turned.
        colorSpace: ``primaries``, ``transfer``, ``matrix`` and ``fullRange`` in WebCodecs' words,
            those that are known.
    """

    type: ClassVar[str] = "track"
    number: int
    kind: str
    codec: str
    mime: str
    config: str | None = None
    width: int | None = None
    height: int | None = None
    rotation: int | None = None
    flip: bool | None = None
    displayWidth: int | None = None  # the wire's spelling
    displayHeight: int | None = None
    colorSpace: dict[str, str | bool] | None = None
    sampleRate: int | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class TrackEnds(Message):
    type: ClassVar[str] = "track-end"
    number: int


@dataclass(frozen=True, slots=True)
class Declined(Message):
    """A player's wish is not fulfilled: a stable id for programs and a sentence for people.

    The socket stays.
    """

    type: ClassVar[str] = "refused"
    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Cameras(Message):
    """All cameras: dicts of ``name``, ``state``, ``kinds``, and ``label`` if there is one; of those
    that are gone also ``reason`` and ``since`` (as in ChannelState).
    """

    type: ClassVar[str] = "cameras"
    cameras: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Error(Message):
    """A stable id for programs and a sentence for people; the socket closes after it."""

    type: ClassVar[str] = "error"
    id: str
    text: str


Kind = TypeVar("Kind", bound=Message)
Vocabulary = dict[str, type[Message]]


def _vocabulary(kinds: Iterable[type[Message]]) -> Vocabulary:
    return {kind.type: kind for kind in kinds}


FROM_CAMERA = _vocabulary((Stream, End, CameraState, CameraPing, Turns))
FROM_PLAYER = _vocabulary((Pause, Resume, Keyframe, Unplayable, Join, Rest, Orient, Ping))
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
    return read(value, kind)


def read(value: dict[str, Any], kind: type[Kind]) -> Kind:
    """The message of this kind with these fields. Others are ignored.

    Raises:
        ControlError: A field is missing or ill-typed.
    """
    known: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type] # every Message is a dataclass
        given = value.get(item.name)
        if given is None:
            if item.default is MISSING:
                raise ControlError(f"the message {kind.type!r} needs the field {item.name!r}")
        elif not item.metadata["check"](given):
            raise ControlError(
                f"the field {item.name!r} of the message {kind.type!r} has an impossible value"
            )
        else:
            convert = item.metadata["read"]
            known[item.name] = given if convert is None else convert(given)
    return kind(**known)


def encode(message: Message) -> str:
    """The message as JSON."""
    value: dict[str, Any] = {"type": message.type}
    for item in fields(message):  # type: ignore[arg-type] # every Message is a dataclass
        content = getattr(message, item.name)
        if content is not None:
            value[item.name] = content.as_json() if isinstance(content, Axis) else content
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
