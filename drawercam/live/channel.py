"""One camera: its tracks, the frames since the last keyframe, its viewers and their pause votes. No sockets, no asyncio."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Any, Protocol

from drawercam.media.color import completed
from drawercam.media.containers.detect import writer
from drawercam.media.packets import Codec, Kind, Packet, Track
from drawercam.protocol import messages as control
from drawercam.protocol.close_reasons import Closing, Reason, Refused
from groundwork.connections.limits import Bucket

from .budget import Budget
from .counters import Tally
from .gathering import Gathered, Later
from .pausing import SLEEP_AFTER, VOTE_LIFETIME, Policy
from .plays import Audience, Plays
from .rate import Meter
from .relay_clock import utc_ms
from .timing import Parts, Timing

# Bytes of frames since the last keyframe that are kept for late viewers: 10 s at 6 Mbit/s. A camera that makes no keyframe for
# longer than this makes late viewers wait for one.
MAX_MEMORY = 8 * 2**20

# Frames kept, whatever their size: 5 minutes of 20 ms sound, so that a stream of tiny packets cannot hold many small objects.
MAX_MEMORY_FRAMES = 15_000

# Pictures after a keyframe that a newcomer decodes faster than a fresh keyframe could come; for more of them one is asked for.
FEW_PICTURES = 6

# Bytes since the last keyframe that still come before the fresh one: 40 ms at 50 Mbit/s. More of them would only be in its way.
MAX_REPLAY = 256 * 2**10

# Microseconds between two wishes for a keyframe that are passed on to the camera: each costs every viewer a large frame.
KEYFRAME_INTERVAL = 150_000

# Microseconds between two wishes for another codec that are passed on to the camera: each one begins everybody's picture afresh.
CODEC_INTERVAL = 30_000_000

# Wishes for a keyframe that are passed on at once, and seconds between two after that: of one viewer, and of all viewers of a camera, whom
# one keyframe serves. A viewer behind 50 KB/s lives on keyframes, as many as it can take; whoever wants more must not cost the others that.
KEYFRAMES_AT_ONCE, KEYFRAMES_OF_ALL_AT_ONCE = 6, 20
KEYFRAME_PAUSE = 0.5

# Tracks that may begin or change at once, and seconds between two after that. All viewers are told each time. A recorder is restarted, and
# a phone is turned, once a second at most.
TRACKS_AT_ONCE, TRACK_PAUSE = 40, 0.25

# Microseconds of pictures without a keyframe, where a newcomer needs one, after which that is said.
KEYLESS_AFTER = 5_000_000

KEYLESS = (
    "The camera sends pictures, but no keyframe with which they could begin to be shown (in H.264 an IDR picture). "
    "Let it send one every 2 s, or encode its pictures anew."
)
"""What is said of such a camera to people."""

# Viewers whose addresses a camera is told when they pause it.
MAX_NAMED = 3

# Track numbers on the wire.
NUMBERS = {Kind.VIDEO: 1, Kind.AUDIO: 2}
_VIDEO = NUMBERS[Kind.VIDEO]

# Microseconds: timestamps of one track differ at least by the wire's resolution, so that no frame replaces another.
_LEAST_STEP = 1000

# How far each way of turning goes, said in a sentence.
_REACHES = {"pan": "pans from {} to {} degrees", "tilt": "tilts from {} to {} degrees", "zoom": "zooms from {} to {} times"}

log = logging.getLogger(__name__)


class NotTurned(Exception):
    """A wish where a camera should look that moves nothing. The message is a sentence.

    Attributes:
        id: ``unknown-camera``, ``cannot-turn`` or ``out-of-range``.
    """

    def __init__(self, id: str, sentence: str) -> None:  # noqa: A002 - the wire's word
        self.id = id
        super().__init__(sentence)


class State(StrEnum):
    """What viewers are told; see docs/protocol.md, "States"."""

    WAITING = "waiting"
    LIVE = "live"
    PAUSED = "paused"
    GONE = "gone"


# From each state, the states that may follow. A camera may leave at any time, and a newcomer starts by waiting.
_TRANSITIONS = {
    State.WAITING: {State.LIVE, State.PAUSED, State.GONE},
    State.LIVE: {State.PAUSED, State.GONE, State.WAITING},
    State.PAUSED: {State.LIVE, State.GONE, State.WAITING},
    State.GONE: {State.WAITING},
}


class Fragment:
    """One frame in its canonical form.

    Attributes:
        number: Track number on the wire.
        key: Decoding can start here.
        data: The media message (docs/protocol.md).
        framed: Room for ``data`` as one WebSocket message, filled in by whoever sends it first and used by all others.
    """

    __slots__ = ("data", "framed", "key", "number")

    def __init__(self, number: int, key: bool, data: bytes) -> None:
        self.number = number
        self.key = key
        self.data = data
        self.framed: bytes | None = None


class Run:
    """Frames that came together, and go on together.

    Attributes:
        fragments: At least two, in order.
        framed: Room for all of them as WebSocket messages, filled in by whoever sends them first and used by all others.
    """

    __slots__ = ("fragments", "framed")

    def __init__(self, fragments: Sequence[Fragment]) -> None:
        self.fragments = fragments
        self.framed: bytes | None = None

    def one_by_one(self, viewer: Viewer) -> bool:
        """Offer each of them; see Viewer.offer."""
        answers = [viewer.offer(fragment) for fragment in self.fragments]
        return any(answers)


class Camera(Protocol):
    """The channel's side of whoever films."""

    def tell(self, message: control.Message) -> None:
        """Send a control message. Never waits, never raises."""

    def end(self, closing: Closing) -> None:
        """Say why and hang up. Never waits, never raises."""


class Viewer(Protocol):
    """The channel's side of whoever takes frames: a socket, later a recorder or another relay.

    Attributes:
        who: Its address, for people.
        drops: Frames left out for it so far.
    """

    who: str
    drops: int

    def tell(self, message: control.Message) -> None:
        """Take a control message. Never waits, never raises."""

    def begin(self, number: int, init: bytes) -> None:
        """Take the init segment of a track; follows its TrackBegins message."""

    def catch_up(self, fragments: Sequence[Fragment]) -> None:
        """Take everything since the last keyframe, which comes first. Never waits, never raises."""

    def offer(self, fragment: Fragment) -> bool:
        """Take a frame or leave it. Never waits, never raises.

        Returns:
            True when only a keyframe will help this viewer on and none is in sight.
        """

    def offer_all(self, run: Run) -> bool:
        """Take or leave frames that came together, as `offer` does for each."""


class Follower:
    """What a viewer knows of itself that leaves pictures out: after one that was, it goes on with a keyframe.

    Attributes:
        drops: See Viewer.
        needs_key: The next picture must be a keyframe.
        asked: Somebody was asked for that keyframe; the channel does it for who joins.
    """

    __slots__ = ("asked", "drops", "needs_key")

    def __init__(self) -> None:
        self.drops = 0
        self.needs_key = self.asked = True

    def begin_anew(self) -> None:
        """It joins, or what it had is over."""
        self.needs_key = self.asked = True

    def leave_out(self, video: bool, key: bool) -> None:
        """A frame would have been late."""
        self.drops += 1
        if video and (key or not self.needs_key):
            self.needs_key, self.asked = True, False  # also when it is the keyframe that was asked for

    def wait_for_key(self) -> bool:
        """A picture that is no keyframe came while one is needed; see Viewer.offer for the answer."""
        self.drops += 1
        asked, self.asked = self.asked, True
        return not asked


class _Output:
    """One track on its way out."""

    def __init__(self, number: int, track: Track, date_utc: int) -> None:
        self.number = number
        self.track = track
        self.writer = writer(track, number, date_utc)
        self.init = self.writer.init()
        self.wished: frozenset[Codec] | None = None  # the camera was asked for one of these instead

    def begins(self) -> control.TrackBegins:
        track = self.track
        # WebCodecs takes a description only where the stream itself does not carry the configuration (its codec registry).
        described = track.codec in (Codec.H264, Codec.AAC, Codec.OPUS)
        return control.TrackBegins(
            number=self.number,
            kind=track.kind,
            codec=track.codec_string,
            mime=self.writer.mime,
            config=base64.b64encode(track.config).decode() if described and track.config else None,
            width=track.width or None,
            height=track.height or None,
            rotation=track.rotation or None,
            flip=track.flip or None,
            displayWidth=track.display_width or None,
            displayHeight=track.display_height or None,
            colorSpace=track.color.as_json() if track.color is not None else None,
            sampleRate=track.sample_rate or None,
            channels=track.channels or None,
        )


class Channel:
    """What one name stands for. Outlives its camera and its viewers, until the hub forgets it.

    All times are microseconds of the relay's clock.
    """

    def __init__(
        self,
        name: str,
        clock: Callable[[], int],
        date_utc: int,
        changed: Callable[[], None],
        policy: Policy | None = None,
        budget: Budget | None = None,
        later: Later | None = None,
        utc: Callable[[], int] = utc_ms,
    ) -> None:
        """
        Args:
            name: The camera's name.
            clock: The relay's clock.
            date_utc: When that clock was 0, in nanoseconds since 2001-01-01T00:00 UTC.
            changed: Called when what the wall shows of this channel has changed.
            policy: When the camera need not film.
            budget: Of what all channels remember for late viewers; its own if None.
            later: A timer, for what many are told; see gathering.
            utc: Milliseconds since 1970, for people who are told since when a camera is gone.
        """
        self.name = name
        self.state = State.WAITING
        self.reason: str | None = None
        self.since = clock()  # when the state began
        self.gone_since: int | None = None  # the same in milliseconds of UTC, while the camera is gone
        self.camera: Camera | None = None
        self.address = ""  # from where the last camera films, or filmed
        self.label = ""  # what people call it, as the last camera said
        self._called = False  # this camera has said so, or that it has no such name
        self.keyless = False  # pictures come, and have come for KEYLESS_AFTER, but none with which a newcomer can begin
        self.keyframes = False  # the camera can make a keyframe of its picture at any time
        self.sound: bool | None = None  # there is sound with the picture, as the camera says
        self.sound_state: str | None = None  # what the camera says of its microphone (messages.SOUND_STATES)
        self.level: float | None = None  # how loud that is, as the camera says
        self.remarks: list[str] = []  # what is left out of what this camera sends, in sentences
        self.turns = control.Turns()  # what the camera says that it can turn
        self.tally = Tally()  # what has passed through, whichever camera it was
        self._clock = clock
        self._utc = utc
        self._date_utc = date_utc
        self._changed = changed
        self._outputs: dict[int, _Output] = {}
        self._last_timestamps: dict[int, int] = {}
        self._needs_key: set[int] = set()  # tracks whose next frame must be a keyframe
        self._held: list[tuple[Fragment, int, int]] = []  # not offered yet; with the times of capture and arrival
        self._memory: list[Fragment] = []
        self._memory_size = 0
        self._policy = policy or Policy()
        self._budget = budget or Budget(MAX_MEMORY)
        self._viewers: set[Viewer] = set()
        self._watching: dict[Viewer, int | None] = {}  # those that take frames, and when they voted for a pause, if they did
        self._pause: control.CameraPause | None = None  # what the camera was told last
        self._watched = clock()  # when somebody watched last, or a camera came
        self._last_frame: int | None = None  # kept when the camera has gone: since when is worth knowing
        self._filmed = False  # this camera has sent a frame
        self._keyless_since: int | None = None  # when the first picture came of those that are of no use to a newcomer
        self._meter = Meter()
        self._timing = Timing()
        self._key_wishes: set[Viewer | None] = set()  # those that wait until the camera may be asked again; None is this channel's own
        self._key_asked: int | None = None  # when the camera was asked last
        self._audience = Audience()
        self._codec_asked: int | None = None  # when the camera was asked for another codec last
        self._key_paces: dict[Viewer, Bucket] = {}
        self._key_pace = Bucket(KEYFRAMES_OF_ALL_AT_ONCE, KEYFRAME_PAUSE, clock() / 1e6)
        self._track_pace = Bucket(TRACKS_AT_ONCE, TRACK_PAUSE, clock() / 1e6)
        self._say_state = Gathered(later, self._tell_state)
        self._say_turns = Gathered(later, self._tell_turns)
        self._say_viewers = Gathered(later, self._tell_viewers)
        self._counted: int | None = None  # the viewers of which the camera was told last

    # --- the camera's side ---

    def take(self, camera: Camera, address: str = "") -> None:
        """A camera comes; one that was here is told and sent away.

        Args:
            address: From where it comes, "" if that is not known.
        """
        older, self.camera = self.camera, camera
        before, self.address = self.address, address
        self._called = False
        if older is not None:
            # Mostly that is the same phone, whose network broke; only the addresses tell.
            addresses = address or "unknown", before or "unknown"
            log.info("= %s films by a newer connection (%s); its older one (%s) ends", self.name, *addresses)
            self._clear()
            older.end(Closing(Reason.TAKEN_OVER))
        self._enter(State.WAITING)
        self._changed()
        self._watched, self._pause = self._clock(), None
        self._counted = None
        self._say_viewers.at_once()
        self._decide()

    def leave(self, camera: Camera, reason: str) -> None:
        """A camera goes; `reason` is one of gone.REASONS. Nothing happens when it was taken over before."""
        if camera is not self.camera:
            return
        self.camera = None
        self._clear()
        self._enter(State.GONE, reason)

    def recall(self, reason: str, since: int, label: str = "") -> None:
        """No camera is here, and the last one went for this reason and then (ms of UTC), as is known from elsewhere."""
        if self.camera is None and (self.state, self.reason, self.gone_since, self.label) != (State.GONE, reason, since, label):
            self.state, self.reason, self.gone_since, self.label = State.GONE, reason, since, label
            self._say_state()

    def camera_is_called(self, label: str | None) -> None:
        """A stream begins with this label, or without one. The camera before this one may have had another."""
        if (label is not None or not self._called) and (label or "") != self.label:
            self.label = label or ""
            self._say_state()
            self._changed()
        self._called = True

    def camera_says(self, state: State, reason: str | None, sound: str | None = None) -> None:
        """The camera tells that it films or pauses, and what its microphone does."""
        if sound != self.sound_state:
            self.sound_state = sound
            self._say_state()
        if state is State.LIVE and not self._filmed:
            return  # it is live when its first frame is here
        if reason == "unwatched":
            self._forget_frames()  # who comes later wants to see what is, and not what was when it fell asleep
        self._enter(state, reason)

    def camera_encodes(self, duration: int | None) -> None:
        """The camera tells how long (µs) its pictures take up to its socket, or that it does not know."""
        self._timing.encode = duration

    def camera_hears(self, level: float | None) -> None:
        """The camera tells how loud its microphone is (0 to 1), or that it does not know."""
        self.level = level

    def camera_turns(self, turns: control.Turns) -> None:
        """The camera tells what it can turn and where it stands."""
        if turns != self.turns:
            self.turns = turns
            self._say_turns()

    def set_track(self, track: Track, keyframes: bool = False, interval: int | None = None, sound: bool | None = None) -> None:
        """A track begins or changes; frames follow from its next keyframe.

        Args:
            track: The track.
            keyframes: Its stream can make a keyframe at any time.
            interval: Microseconds from one picture to the next, as the camera says.
            sound: Whether there is sound with it, as the camera says.

        Raises:
            Refused: Its tracks change too often.
        """
        number = NUMBERS[track.kind]
        if number == _VIDEO:
            self.keyframes = keyframes
            self.sound = sound
            self._timing.told = interval
            # From here on all see the same colours: players, programs and the relay's own pictures.
            track = replace(track, color=completed(track.color, track.width, track.height))
        output = self._outputs.get(number)
        if output is not None and output.track == track:
            if (output.track.width, output.track.height) != (track.width, track.height):
                # The phone was turned. Who watches reads the new size in the frames, who comes later in the track's beginning.
                turned = self._outputs[number] = _Output(number, track, self._date_utc)
                turned.wished = output.wished
            return
        self.flush()
        if not self._track_pace.take(self._clock() / 1e6):
            raise Refused(Reason.MEDIA_LIMIT, "The tracks of this camera change too often.")
        output = self._outputs[number] = _Output(number, track, self._date_utc)
        self._needs_key.add(number)
        self._forget(number)
        self._say_state.flush()
        for viewer in self._viewers:
            self._introduce(viewer, output)
        self._ask_for_codecs()
        self._changed()

    def end_track(self, kind: Kind) -> None:
        """A track is over (the microphone was switched off)."""
        number = NUMBERS[kind]
        self.flush()
        if self._outputs.pop(number, None) is None:
            return
        self._forget(number)
        self._tell_all(control.TrackEnds(number))
        self._changed()

    def publish(self, packet: Packet, arrived: int, hold: bool = False) -> None:
        """A frame, with its timestamp on the relay's clock, after its track was set.

        Args:
            packet: The frame.
            arrived: When it came to the relay.
            hold: More may have come together with it; `flush` follows in any case.
        """
        number = NUMBERS[packet.track.kind]
        output = self._outputs[number]
        if number in self._needs_key:
            if not packet.key:
                self.tally.unusable += 1
                if number == _VIDEO:
                    self._lacks_key(arrived)
                return
            self._needs_key.discard(number)
        self._last_frame, self._filmed = arrived, True
        self._meter.add(arrived, len(packet.data))
        if self.state is State.WAITING:
            self._enter(State.LIVE)
        fragment = Fragment(number, packet.key, output.writer.fragment(self._in_order(number, packet)))
        self._remember(fragment)
        self._held.append((fragment, packet.timestamp, arrived))
        tally, size, viewers = self.tally, len(packet.data), len(self._watching)
        if number == _VIDEO:
            tally.picture(packet.key, size, viewers)
            tally.uplink.add(arrived - packet.timestamp)
            if packet.key:
                self._key_wishes.clear()
                self._has_key()
            elif not self._memory:
                self._lacks_key(arrived)
        else:
            tally.sound(size, viewers)
        if not hold:
            self.flush()

    def flush(self) -> None:
        """Offer what came together to everybody: each viewer is written to once."""
        held = self._held
        if not held:
            return
        self._held = []
        stuck: list[Viewer] = []
        if len(held) == 1:
            fragment = held[0][0]
            for viewer in self._watching:
                if viewer.offer(fragment):
                    stuck.append(viewer)
        else:
            run = Run([fragment for fragment, _, _ in held])
            for viewer in self._watching:
                if viewer.offer_all(run):
                    stuck.append(viewer)
        now = self._clock()
        for fragment, captured, arrived in held:
            if fragment.number == _VIDEO:
                self._timing.picture(captured, arrived, now)
                self.tally.stay.add(now - arrived)
        if stuck and _VIDEO in self._outputs:
            self._key_wishes.update(stuck)
        if self._key_wishes:
            self._ask_for_keyframe()

    def begins_anew(self, kind: Kind) -> None:
        """What comes next of a track starts from a keyframe."""
        self._needs_key.add(NUMBERS[kind])

    def stream_restarts(self, kind: Kind) -> None:
        """A recorder was restarted, and is going to say again what it can."""
        self.begins_anew(kind)
        if kind is Kind.VIDEO:
            self.keyframes = False

    # --- the viewers' side ---

    def join(self, viewer: Viewer, plays: Plays | None = None) -> None:
        """A viewer comes, or wants to start over: it gets state, tracks and everything since the last keyframe.

        Where that is long and the camera can make a fresh keyframe at once, the viewer gets that one too, or instead.

        Args:
            viewer: It watches from now on.
            plays: What it can play, if it has said that.
        """
        new = viewer not in self._watching
        self._watching.setdefault(viewer)
        self._audience.says(viewer, plays or Plays())
        self._greet(viewer)
        pictures = sum(fragment.number == _VIDEO for fragment in self._memory)
        fresh = self.keyframes and self.state is State.LIVE and pictures - 1 > FEW_PICTURES
        if pictures and not (fresh and self._memory_size > MAX_REPLAY):
            viewer.catch_up(self._memory)
        if fresh or not pictures:
            self.want_keyframe(viewer)
        self._ask_for_codecs()  # before a camera that sleeps is woken up
        if new:
            self.tally.joins += 1
            self._viewers_changed()

    def part(self, viewer: Viewer) -> None:
        """A viewer goes."""
        self._look_away(viewer)
        self._key_wishes.discard(viewer)
        self._key_paces.pop(viewer, None)
        if viewer in self._viewers:
            self._viewers.remove(viewer)
            self.tally.drops += viewer.drops

    def rest(self, viewer: Viewer) -> None:
        """A viewer comes or stays, but nobody looks: it gets no frames until it joins."""
        if viewer not in self._viewers:
            self._greet(viewer)
        self._look_away(viewer)

    def vote(self, viewer: Viewer, pause: bool) -> None:
        """A viewer asks for a pause, or takes that back. One that does not watch has no vote."""
        if viewer in self._watching:
            self._watching[viewer] = self._clock() if pause else None
            self._decide()

    def want_keyframe(self, viewer: Viewer | None = None) -> None:
        """Somebody cannot go on without a keyframe. A wish too soon after the last one waits, and is forgotten if a keyframe comes.

        Args:
            viewer: Whose wish it is; None for the channel's own.
        """
        if _VIDEO in self._outputs:
            self._key_wishes.add(viewer)
        self._ask_for_keyframe()

    def plays(self, viewer: Viewer, plays: Plays) -> None:
        """A viewer can play something else than it said when it joined. One that does not watch has no say."""
        if viewer in self._watching:
            self._audience.says(viewer, plays)
            self._ask_for_codecs()

    def codec(self, codec_string: str) -> Codec | None:
        """The codec of the track that has this codec string (RFC 6381) now, None if there is no such track."""
        return next((output.track.codec for output in self._outputs.values() if output.track.codec_string == codec_string), None)

    def orient(self, wish: control.Orient) -> dict[str, float]:
        """Somebody who may watch wishes that the camera looks elsewhere. The camera is told, and tells where it stands then.

        Returns:
            Where each axis will stand, as far as that is known: in degrees, and the zoom as a factor.

        Raises:
            NotTurned: Nothing moves, also not the axes that could.
        """
        if self.camera is None:
            raise NotTurned("unknown-camera", f"There is no camera {self.name} now.")
        axes = self.turns.axes()
        for name, value in wish.wishes().items():
            axis = axes.get(name)
            if axis is None:
                raise NotTurned("cannot-turn", f"The camera {self.name} does not {name}.")
            if not axis.min <= value <= axis.max:
                # Ten digits: a wish just beyond the end must not look like the end.
                reach = _REACHES[name].format(f"{axis.min:.10g}", f"{axis.max:.10g}")
                raise NotTurned("out-of-range", f"The camera {self.name} {reach}; {value:.10g} is beyond that.")
        self.camera.tell(wish)
        return {name: axis.now for name, axis in axes.items() if axis.now is not None} | wish.wishes()

    def sweep(self) -> None:
        """What time changes: votes lapse, a camera that nobody watches falls asleep, and one may be asked for another codec again. To be
        called about once a second."""
        self._decide()
        self._ask_for_codecs()

    # --- what others may know ---

    @property
    def deserted(self) -> bool:
        """Neither a camera nor a viewer."""
        return self.camera is None and not self._viewers

    @property
    def lacks_keyframe(self) -> bool:
        """The last picture came when a newcomer could do nothing with it, because no keyframe is remembered."""
        return self._keyless_since is not None

    @property
    def watching(self) -> int:
        """How many viewers take frames."""
        return len(self._watching)

    @property
    def resting(self) -> int:
        """How many viewers are there without taking frames."""
        return len(self._viewers) - len(self._watching)

    @property
    def drops(self) -> int:
        """Frames left out for the viewers who are there."""
        return sum(viewer.drops for viewer in self._viewers)

    @property
    def kinds(self) -> list[str]:
        return [output.track.kind for _, output in sorted(self._outputs.items())]

    def timing(self) -> Parts:
        """How long pictures take up to the players' sockets."""
        return self._timing.parts()

    def interval(self) -> int | None:
        """Microseconds from one picture to the next, lately, or as the camera says; None while that is not known. Also of a camera that
        sleeps."""
        return self._timing.interval()

    def pace(self) -> int | None:
        """Microseconds from one picture to the next in the last few; None before the second one."""
        return self._timing.pace()

    def idle(self) -> int | None:
        """Microseconds since the last frame came, None before the first one."""
        return None if self._last_frame is None else self._clock() - self._last_frame

    def report(self) -> dict[str, Any]:
        """The channel as `/api/cameras` shows it."""
        now = self._clock()
        frames, size = self._meter.rates(now)
        return {
            "name": self.name,
            **({"label": self.label} if self.label else {}),
            "state": self.state,
            "reason": self.reason,
            **({} if self.gone_since is None else {"since": self.gone_since}),
            "tracks": [_describe(output) for _, output in sorted(self._outputs.items())],
            "viewers": len(self._watching),
            "players": [
                {"watching": one in self._watching, "votes": self._votes(one, now), "drops": one.drops}
                for one in sorted(self._viewers, key=lambda viewer: viewer.who)
            ],
            "age": None if self._last_frame is None else round((now - self._last_frame) / 1e6, 3),
            "framesPerSecond": round(frames, 1),
            "bytesPerSecond": round(size),
            "drops": self.drops,
            "remarks": [*self.remarks, *([KEYLESS] if self.keyless else [])],
            "timing": asdict(self.timing()),
            "sound": self.sound_state,
            "turns": {name: axis.as_json() for name, axis in self.turns.axes().items()},
        }

    # --- inside ---

    def _enter(self, state: State, reason: str | None = None) -> None:
        """The one place where the state changes."""
        self.flush()
        if (state, reason) == (self.state, self.reason):
            return
        first_frame = self.state is State.WAITING and state is State.LIVE
        if state is not State.LIVE:
            self.keyless, self._keyless_since = False, None  # it begins with a keyframe when it goes on
        if state is not self.state and state not in _TRANSITIONS[self.state]:
            raise ValueError(f"channel {self.name} cannot go from {self.state} to {state}")
        self.state, self.reason, self.since = state, reason, self._clock()
        self.gone_since = self._utc() if state is State.GONE else None
        log.info(f"= %s is {state}%s", self.name, f" ({reason})" if reason else "")  # each state is news (see log_limit)
        if first_frame:
            self._say_state.at_once()  # it comes before that frame, and once for each camera
        else:
            self._say_state()
        self._changed()

    def _clear(self) -> None:
        """Forget what belonged to a camera that has gone."""
        self.flush()
        for number in list(self._outputs):
            del self._outputs[number]
            self._tell_all(control.TrackEnds(number))
        self._needs_key.clear()
        self._forget_frames()
        self._filmed = self.keyframes = False
        self._key_wishes.clear()
        self._key_asked = self._codec_asked = None
        self._timing = Timing()
        self.sound = self.sound_state = self.level = None
        self.remarks = []
        self.camera_turns(control.Turns())

    def _tell_all(self, message: control.Message) -> None:
        """Tell the viewers something that follows the state in which the channel is."""
        self._say_state.flush()
        for viewer in self._viewers:
            viewer.tell(message)

    def _lacks_key(self, arrived: int) -> None:
        """A picture has come that is of no use to a newcomer."""
        if self._keyless_since is None:
            self._keyless_since = arrived
        elif not self.keyless and arrived - self._keyless_since >= KEYLESS_AFTER:
            self.keyless = True
            log.warning("= %s: %s", self.name, KEYLESS)
            self._say_state()

    def _has_key(self) -> None:
        self._keyless_since = None
        if self.keyless:
            self.keyless = False
            self._say_state()

    def _state_message(self) -> control.ChannelState:
        return control.ChannelState(self.state, self.reason, self.keyless or None, self.gone_since, self.sound_state, self.label or None)

    def _tell_state(self) -> None:
        message = self._state_message()
        for viewer in self._viewers:
            viewer.tell(message)

    def _tell_turns(self) -> None:
        for viewer in self._viewers:
            viewer.tell(self.turns)

    def _tell_viewers(self) -> None:
        if self.camera is not None and self._counted != len(self._watching):
            self._counted = len(self._watching)
            self.camera.tell(control.Viewers(self._counted))

    def _greet(self, viewer: Viewer) -> None:
        """Tells a viewer what there is. It hears of every change from now on."""
        self._viewers.add(viewer)
        viewer.tell(self._state_message())
        for output in self._outputs.values():
            self._introduce(viewer, output)
        if self.turns.axes():
            viewer.tell(self.turns)

    def _introduce(self, viewer: Viewer, output: _Output) -> None:
        viewer.tell(output.begins())
        viewer.begin(output.number, output.init)

    def _in_order(self, number: int, packet: Packet) -> Packet:
        """The packet, moved later if it would not follow the last one of its track in decoding order."""
        decode_time = packet.timestamp - packet.decode_offset
        last = self._last_timestamps.get(number)
        if decode_time < 0 or (last is not None and decode_time < last + _LEAST_STEP):
            decode_time = 0 if last is None else last + _LEAST_STEP
            time = decode_time + packet.decode_offset
            packet = Packet(packet.track, time, packet.key, packet.data, packet.duration, packet.decode_offset)
        self._last_timestamps[number] = decode_time
        return packet

    def _remember(self, fragment: Fragment) -> None:
        size = len(fragment.data)
        if fragment.number == _VIDEO and fragment.key:
            self._forget_frames()
        elif not self._memory:
            return  # nothing can be decoded before a keyframe, and sound alone needs no past
        if self._memory_size + size > MAX_MEMORY or len(self._memory) == MAX_MEMORY_FRAMES or not self._budget.take(size):
            log.warning("= %s sends no keyframe; late viewers must wait for one", self.name)
            self._forget_frames()
            self.want_keyframe()
            return
        self._memory.append(fragment)
        self._memory_size += size

    def _forget_frames(self) -> None:
        self._budget.give_back(self._memory_size)
        self._memory, self._memory_size = [], 0

    def _forget(self, number: int) -> None:
        """Frames of a track that has ended or changed are no use to a late viewer."""
        kept = [] if number == _VIDEO else [one for one in self._memory if one.number != number]
        size = sum(len(one.data) for one in kept)
        self._budget.give_back(self._memory_size - size)
        self._memory, self._memory_size = kept, size

    def _ask_for_keyframe(self) -> None:
        """Pass wishes on, unless the camera was asked a moment ago. One that pauses begins with a keyframe anyway."""
        if self.camera is None or self.state is not State.LIVE or not self._key_wishes:
            return
        now = self._clock()
        if self._key_asked is not None and now - self._key_asked < KEYFRAME_INTERVAL:
            return
        seconds, viewers = now / 1e6, [one for one in self._key_wishes if one is not None]
        paces = [self._key_paces.setdefault(one, Bucket(KEYFRAMES_AT_ONCE, KEYFRAME_PAUSE, seconds)) for one in viewers]
        due = [pace for pace in paces if not pace.wait(seconds)]
        if len(viewers) == len(self._key_wishes) and not (due and self._key_pace.take(seconds)):
            return
        for pace in due:
            pace.take(seconds)
        self._key_wishes.clear()
        self._key_asked = now
        self.tally.keyframe_requests += 1
        self.camera.tell(control.Keyframe())

    def _ask_for_codecs(self) -> None:
        """Where a viewer cannot play a track, and all can play another codec, ask the camera for that, unless it was asked lately."""
        now = self._clock()
        if self.camera is None or (self._codec_asked is not None and now - self._codec_asked < CODEC_INTERVAL):
            return
        tracks = {output.track.kind: output.track.codec for output in self._outputs.values()}
        common = {kind: self._audience.common(kind, tracks.get(kind)) for kind in Kind}
        plays = tuple(codec.value for codec in Codec if codec in common[codec.kind])
        for output in self._outputs.values():
            codecs = common[output.track.kind]
            if codecs and output.track.codec not in codecs and codecs != output.wished:
                output.wished, self._codec_asked = codecs, now
                self.camera.tell(control.CameraUnplayable(output.track.codec_string, plays))

    def _look_away(self, viewer: Viewer) -> None:
        if viewer in self._watching:
            self._watched = self._clock()
            del self._watching[viewer]
            self._audience.goes(viewer)
            self._viewers_changed()

    def _viewers_changed(self) -> None:
        self._say_viewers()
        self._decide()

    def _votes(self, viewer: Viewer, now: int) -> bool:
        voted = self._watching.get(viewer)
        return voted is not None and now - voted < VOTE_LIFETIME

    def _decide(self) -> None:
        """Tell the camera to pause or to go on, if that is news."""
        pause = self._wish()
        if self.camera is None or pause == self._pause:
            return
        self._pause = pause
        self.camera.tell(pause or control.Resume())

    def _wish(self) -> control.CameraPause | None:
        """Why the camera should not film now, or None."""
        now = self._clock()
        if not self._watching:
            asleep = self.name not in self._policy.always_on and now - self._watched >= SLEEP_AFTER
            return control.CameraPause("unwatched") if asleep else None
        # At each join and part over all viewers: where thousands come at once, a call for each would be felt.
        voters = sorted(viewer.who for viewer, voted in self._watching.items() if voted is not None and now - voted < VOTE_LIFETIME)
        if not self._policy.pause.pauses(len(voters), len(self._watching)):
            return None
        return control.CameraPause("viewers", tuple(voters[:MAX_NAMED]), len(voters), len(self._watching))


def _describe(output: _Output) -> dict[str, Any]:
    track = output.track
    described: dict[str, Any] = {"number": output.number, "kind": track.kind, "codec": track.codec_string}
    if track.kind is Kind.VIDEO:
        shown = {"rotation": track.rotation, "flip": track.flip, "displayWidth": track.display_width, "displayHeight": track.display_height}
        return described | {"width": track.width, "height": track.height} | {name: value for name, value in shown.items() if value}
    return described | {"sampleRate": track.sample_rate, "channels": track.channels}
