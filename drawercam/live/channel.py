"""One camera: its states, and what comes of it for its viewers. No sockets, no asyncio.

Long, because `Channel` is; its parts stand in modules of their own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Any, Protocol

from drawercam.media.color import completed
from drawercam.media.packets import Codec, Kind, Packet, Track
from drawercam.protocol import messages
from drawercam.protocol.close_reasons import Closing, Reason, Refused
from groundwork.connections.limits import Bucket

from .counters import Tally
from .gathering import Gathered, Later
from .keyframes import (
    FEW_PICTURES,
    KEYLESS,
    MAX_MEMORY,
    MAX_REPLAY,
    KeyframeWishes,
    Keyless,
    Replay,
)
from .ledger import Budget
from .pausing import Pausing, Policy
from .plays import Audience, Plays
from .relay_clock import utc_ms
from .timing import Meter, Parts, Timing
from .track_output import NUMBERS, VIDEO, DecodingOrder, TrackOutput
from .viewers import Fragment, Run, Viewer, Viewers

# Tracks that may begin or change at once, and seconds between two after that. All viewers are told
# each time. A recorder is restarted, and a phone is turned, once a second at most.
TRACKS_AT_ONCE, TRACK_PAUSE = 40, 0.25

# How far each way of turning goes, said in a sentence.
_REACHES = {
    "pan": "pans from {} to {} degrees",
    "tilt": "tilts from {} to {} degrees",
    "zoom": "zooms from {} to {} times",
}

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


# From each state, the states that may follow. A camera may leave at any time, and a newcomer starts
# by waiting.
_TRANSITIONS = {
    State.WAITING: {State.LIVE, State.PAUSED, State.GONE},
    State.LIVE: {State.PAUSED, State.GONE, State.WAITING},
    State.PAUSED: {State.LIVE, State.GONE, State.WAITING},
    State.GONE: {State.WAITING},
}


class Camera(Protocol):
    """The channel's side of a camera."""

    def tell(self, message: messages.Message) -> None:
        """Send a control message. Never waits, never raises."""

    def end(self, closing: Closing) -> None:
        """Say why and hang up. Never waits, never raises."""


class Channel:
    """What one name stands for. Outlives its camera and its viewers, until the hub forgets it.

    Long, because the order in which viewers hear of states, tracks and frames is decided here and
    nowhere else: each event of a camera or a viewer is a few lines that call the parts in turn
    (viewers, keyframes, pausing, plays, track_output), and a frame passes without another call.

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
        # The same in milliseconds of UTC, while the camera is gone.
        self.gone_since: int | None = None
        self.camera: Camera | None = None
        self.address = ""  # from where the last camera films, or filmed
        self.label = ""  # what people call it, as the last camera said
        self._called = False  # this camera has said so, or that it has no such name
        self.keyframes = False  # the camera can make a keyframe of its picture at any time
        self.sound: bool | None = None  # there is sound with the picture, as the camera says
        # What the camera says of its microphone (messages.SOUND_STATES).
        self.sound_state: str | None = None
        self.level: float | None = None  # how loud that is, as the camera says
        self.remarks: list[str] = []  # what is left out of what this camera sends, in sentences
        self.turns = messages.Turns()  # what the camera says that it can turn
        self.tally = Tally()  # what has passed through, whichever camera it was
        self._clock = clock
        self._utc = utc
        self._date_utc = date_utc
        self._changed = changed
        self._outputs: dict[int, TrackOutput] = {}
        self._order = DecodingOrder()
        self._needs_key: set[int] = set()  # tracks whose next frame must be a keyframe
        self._held: list[
            tuple[Fragment, int, int]
        ] = []  # not offered yet; with the times of capture and arrival
        self._replay = Replay(budget or Budget(MAX_MEMORY))
        self._viewers = Viewers()
        self._pausing = Pausing(name, policy or Policy(), clock())
        # Kept when the camera has gone: since when is worth knowing.
        self._last_frame: int | None = None
        self._filmed = False  # this camera has sent a frame
        self._keyless = Keyless()
        self._meter = Meter()
        self._timing = Timing()
        self._wishes = KeyframeWishes(clock())
        self._audience = Audience()
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
            log.info(
                "= %s films by a newer connection (%s); its older one (%s) ends",
                self.name,
                *addresses,
            )
            self._clear()
            older.end(Closing(Reason.TAKEN_OVER))
        self._enter(State.WAITING)
        self._changed()
        self._pausing.begin(self._clock())
        self._counted = None
        self._say_viewers.at_once()
        self._decide()

    def leave(self, camera: Camera, reason: str) -> None:
        """A camera goes; `reason` is one of gone.REASONS.

        Nothing happens when it was taken over before.
        """
        if camera is not self.camera:
            return
        self.camera = None
        self._clear()
        self._enter(State.GONE, reason)

    def recall(self, reason: str, since: int, label: str = "") -> None:
        """No camera is here, and the last one went for this reason and then (ms of UTC), as is
        known from elsewhere.
        """
        if self.camera is None and (self.state, self.reason, self.gone_since, self.label) != (
            State.GONE,
            reason,
            since,
            label,
        ):
            self.state, self.reason, self.gone_since, self.label = State.GONE, reason, since, label
            self._say_state()

    def camera_is_called(self, label: str | None) -> None:
        """A stream begins with this label, or without one.

        The camera before this one may have had another.
        """
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
            # Who comes later wants to see what is, and not what was when it fell asleep.
            self._replay.forget()
        self._enter(state, reason)

    def camera_encodes(self, duration: int | None) -> None:
        """The camera tells how long (µs) its pictures take up to its socket, or that it does not
        know.
        """
        self._timing.encode = duration

    def camera_hears(self, level: float | None) -> None:
        """The camera tells how loud its microphone is (0 to 1), or that it does not know."""
        self.level = level

    def camera_turns(self, turns: messages.Turns) -> None:
        """The camera tells what it can turn and where it stands."""
        if turns != self.turns:
            self.turns = turns
            self._say_turns()

    def set_track(
        self,
        track: Track,
        keyframes: bool = False,
        interval: int | None = None,
        sound: bool | None = None,
    ) -> None:
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
        if number == VIDEO:
            self.keyframes = keyframes
            self.sound = sound
            self._timing.told = interval
            # From here on all see the same colours: players, programs and the relay's own pictures.
            track = replace(track, color=completed(track.color, track.width, track.height))
        output = self._outputs.get(number)
        if output is not None and output.track == track:
            if (output.track.width, output.track.height) != (track.width, track.height):
                # The phone was turned. Who watches reads the new size in the frames, who comes
                # later in the track's beginning.
                turned = self._outputs[number] = TrackOutput(number, track, self._date_utc)
                turned.wished = output.wished
            return
        self.flush()
        if not self._track_pace.take(self._clock() / 1e6):
            raise Refused(Reason.MEDIA_LIMIT, "The tracks of this camera change too often.")
        output = self._outputs[number] = TrackOutput(number, track, self._date_utc)
        self._needs_key.add(number)
        self._replay.forget_track(number)
        self._say_state.flush()
        for viewer in self._viewers.present:
            _introduce(viewer, output)
        self._ask_for_codecs()
        self._changed()

    def end_track(self, kind: Kind) -> None:
        """A track is over (the microphone was switched off)."""
        number = NUMBERS[kind]
        self.flush()
        if self._outputs.pop(number, None) is None:
            return
        self._replay.forget_track(number)
        self._tell_all(messages.TrackEnds(number))
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
                if number == VIDEO:
                    self._lacks_key(arrived)
                return
            self._needs_key.discard(number)
        self._last_frame, self._filmed = arrived, True
        self._meter.add(arrived, len(packet.data))
        if self.state is State.WAITING:
            self._enter(State.LIVE)
        fragment = Fragment(
            number, packet.key, output.writer.fragment(self._order.placed(number, packet))
        )
        if not self._replay.remember(fragment):
            log.warning("= %s sends no keyframe; late viewers must wait for one", self.name)
            self.want_keyframe()
        self._held.append((fragment, packet.timestamp, arrived))
        tally, size, viewers = self.tally, len(packet.data), len(self._viewers.watching)
        if number == VIDEO:
            tally.picture(packet.key, size, viewers)
            tally.uplink.add(arrived - packet.timestamp)
            if packet.key:
                self._wishes.waiting.clear()
                if self._keyless.over():
                    self._say_state()
            elif not self._replay.frames:
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
        watching, stuck = self._viewers.watching, []
        if len(held) == 1:
            fragment = held[0][0]
            for viewer in watching:
                if viewer.offer(fragment):
                    stuck.append(viewer)
        else:
            run = Run([fragment for fragment, _, _ in held])
            for viewer in watching:
                if viewer.offer_all(run):
                    stuck.append(viewer)
        now = self._clock()
        for fragment, captured, arrived in held:
            if fragment.number == VIDEO:
                self._timing.picture(captured, arrived, now)
                self.tally.stay.add(now - arrived)
        if stuck and VIDEO in self._outputs:
            self._wishes.waiting.update(stuck)
        if self._wishes.waiting:
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
        """A viewer comes, or wants to start over: it gets state, tracks and everything since the
        last keyframe.

        Where that is long and the camera can make a fresh keyframe at once, the viewer gets that
        one too, or instead.

        Args:
            viewer: It watches from now on.
            plays: What it can play, if it has said that.
        """
        new = self._viewers.watch(viewer)
        self._audience.says(viewer, plays or Plays())
        self._greet(viewer)
        pictures = self._replay.pictures
        fresh = self.keyframes and self.state is State.LIVE and pictures - 1 > FEW_PICTURES
        if pictures and not (fresh and self._replay.size > MAX_REPLAY):
            viewer.catch_up(self._replay.frames)
        if fresh or not pictures:
            self.want_keyframe(viewer)
        self._ask_for_codecs()  # before a camera that sleeps is woken up
        if new:
            self.tally.joins += 1
            self._viewers_changed()

    def part(self, viewer: Viewer) -> None:
        """A viewer goes."""
        self._look_away(viewer)
        self._wishes.part(viewer)
        if viewer in self._viewers.present:
            self._viewers.present.remove(viewer)
            self.tally.drops += viewer.drops

    def rest(self, viewer: Viewer) -> None:
        """A viewer comes or stays, and rests: it gets no frames until it joins."""
        if viewer not in self._viewers.present:
            self._greet(viewer)
        self._look_away(viewer)

    def vote(self, viewer: Viewer, pause: bool) -> None:
        """A viewer asks for a pause, or takes that back. One that does not watch has no vote."""
        if viewer in self._viewers.watching:
            self._viewers.watching[viewer] = self._clock() if pause else None
            self._decide()

    def want_keyframe(self, viewer: Viewer | None = None) -> None:
        """Somebody cannot go on without a keyframe. A wish too soon after the last one waits, and
        is forgotten if a keyframe comes.

        Args:
            viewer: Whose wish it is; None for the channel's own.
        """
        if VIDEO in self._outputs:
            self._wishes.waiting.add(viewer)
        self._ask_for_keyframe()

    def plays(self, viewer: Viewer, plays: Plays) -> None:
        """A viewer can play something else than it said when it joined.

        One that does not watch has no say.
        """
        if viewer in self._viewers.watching:
            self._audience.says(viewer, plays)
            self._ask_for_codecs()

    def codec(self, codec_string: str) -> Codec | None:
        """The codec of the track that has this codec string (RFC 6381) now, None if there is no
        such track.
        """
        return next(
            (
                output.track.codec
                for output in self._outputs.values()
                if output.track.codec_string == codec_string
            ),
            None,
        )

    def orient(self, wish: messages.Orient) -> dict[str, float]:
        """Somebody who may watch wishes that the camera looks elsewhere. The camera is told, and
        tells where it stands then.

        Returns:
            Where each axis will stand, as far as that is known: in degrees, and the zoom as a
                factor.

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
                raise NotTurned(
                    "out-of-range", f"The camera {self.name} {reach}; {value:.10g} is beyond that."
                )
        self.camera.tell(wish)
        return {
            name: axis.now for name, axis in axes.items() if axis.now is not None
        } | wish.wishes()

    def sweep(self) -> None:
        """What time changes: votes lapse, a camera that nobody watches falls asleep, and one may be
        asked for another codec again. To be called about once a second.
        """
        self._decide()
        self._ask_for_codecs()

    # --- what others may know ---

    @property
    def deserted(self) -> bool:
        """Neither a camera nor a viewer."""
        return self.camera is None and not self._viewers.present

    @property
    def keyless(self) -> bool:
        """Pictures come, and have come for KEYLESS_AFTER, but none with which a newcomer can
        begin.
        """
        return self._keyless.said

    @property
    def lacks_keyframe(self) -> bool:
        """The last picture came when a newcomer could do nothing with it, because no keyframe is
        remembered.
        """
        return self._keyless.since is not None

    @property
    def watching(self) -> int:
        """How many viewers take frames."""
        return len(self._viewers.watching)

    @property
    def resting(self) -> int:
        """How many viewers are there without taking frames."""
        return len(self._viewers.present) - len(self._viewers.watching)

    @property
    def drops(self) -> int:
        """Frames left out for the viewers who are there."""
        return self._viewers.drops

    @property
    def kinds(self) -> list[str]:
        return [output.track.kind for _, output in sorted(self._outputs.items())]

    def timing(self) -> Parts:
        """How long pictures take up to the players' sockets."""
        return self._timing.parts()

    def interval(self) -> int | None:
        """Microseconds from one picture to the next, lately, or as the camera says; None while that
        is not known. Also of a camera that sleeps.
        """
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
            "tracks": [output.describe() for _, output in sorted(self._outputs.items())],
            "viewers": self.watching,
            "players": self._viewers.report(now),
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
            self._keyless.over()  # it begins with a keyframe when it goes on
        if state is not self.state and state not in _TRANSITIONS[self.state]:
            raise ValueError(f"channel {self.name} cannot go from {self.state} to {state}")
        self.state, self.reason, self.since = state, reason, self._clock()
        self.gone_since = self._utc() if state is State.GONE else None
        log.info(
            f"= %s is {state}%s", self.name, f" ({reason})" if reason else ""
        )  # each state is news (see log_limit)
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
            self._tell_all(messages.TrackEnds(number))
        self._needs_key.clear()
        self._replay.forget()
        self._filmed = self.keyframes = False
        self._wishes.begin_anew()
        self._audience.begin_anew()
        self._timing = Timing()
        self.sound = self.sound_state = self.level = None
        self.remarks = []
        self.camera_turns(messages.Turns())

    def _tell_all(self, message: messages.Message) -> None:
        """Tell the viewers something that follows the state in which the channel is."""
        self._say_state.flush()
        self._viewers.tell(message)

    def _lacks_key(self, arrived: int) -> None:
        if self._keyless.lacks(arrived):
            log.warning("= %s: %s", self.name, KEYLESS)
            self._say_state()

    def _state_message(self) -> messages.ChannelState:
        return messages.ChannelState(
            self.state,
            self.reason,
            self.keyless or None,
            self.gone_since,
            self.sound_state,
            self.label or None,
        )

    def _tell_state(self) -> None:
        self._viewers.tell(self._state_message())

    def _tell_turns(self) -> None:
        self._viewers.tell(self.turns)

    def _tell_viewers(self) -> None:
        if self.camera is not None and self._counted != self.watching:
            self._counted = self.watching
            self.camera.tell(messages.Viewers(self._counted))

    def _greet(self, viewer: Viewer) -> None:
        """Tells a viewer what there is. It hears of every change from now on."""
        self._viewers.present.add(viewer)
        viewer.tell(self._state_message())
        for output in self._outputs.values():
            _introduce(viewer, output)
        if self.turns.axes():
            viewer.tell(self.turns)

    def _ask_for_keyframe(self) -> None:
        """Pass wishes on, unless the camera was asked a moment ago.

        One that pauses begins with a keyframe anyway.
        """
        if self.camera is not None and self.state is State.LIVE and self._wishes.due(self._clock()):
            self.tally.keyframe_requests += 1
            self.camera.tell(messages.Keyframe())

    def _ask_for_codecs(self) -> None:
        if self.camera is not None:
            for wish in self._audience.wishes(self._outputs.values(), self._clock()):
                self.camera.tell(wish)

    def _look_away(self, viewer: Viewer) -> None:
        if self._viewers.look_away(viewer):
            self._pausing.watched(self._clock())
            self._audience.goes(viewer)
            self._viewers_changed()

    def _viewers_changed(self) -> None:
        self._say_viewers()
        self._decide()

    def _decide(self) -> None:
        """Tell the camera to pause or to go on, if that is news."""
        if self.camera is not None:
            news = self._pausing.news(self._viewers, self._clock())
            if news is not None:
                self.camera.tell(news)


def _introduce(viewer: Viewer, output: TrackOutput) -> None:
    viewer.tell(output.begins())
    viewer.begin(output.number, output.init)
