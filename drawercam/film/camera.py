"""One camera on the air: what it films when, and what it says to the relay.

What a phone's page does in web/camera/publish/filming.js.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
from collections import deque
from typing import Any

from drawercam.film.encode.encoders import Recipe
from drawercam.film.encode.frame import Frame
from drawercam.film.encode.stream_writer import Outlet
from drawercam.film.relay.clock import now
from drawercam.film.relay.connection import Link
from drawercam.film.relay.login import Entry
from drawercam.film.relay.network_pace import Pace
from drawercam.film.sources.source import Keyless, Source, SourceError, sentence
from drawercam.media.packets import Codec, Kind, MediaError
from drawercam.protocol.messages import (
    MAX_INTERVAL,
    STOPPED,
    CameraPing,
    CameraState,
    ControlError,
    Orient,
)
from groundwork import tasks

from .pan_tilt import Turner, TurningError
from .source_run import Gate, Take

# Numbers of the streams.
_NUMBERS = {Kind.VIDEO: 1, Kind.AUDIO: 2}

# What may wait for the network. Of pictures that are encoded: seconds of the bit rate, but at least
# bytes for one keyframe. Of those that are passed on, as much as the relay lets wait for a viewer:
# leaving one out costs all up to the next keyframe. Sound is much smaller.
_MOST_WAITING = 0.15
_ALWAYS_WAITING = 64 * 2**10
_PASSED_WAITING = 512 * 2**10
_SOUND_WAITING = 4 * _ALWAYS_WAITING

# Microseconds for which the oldest of what was sent may be under way (unacknowledged.py), which is
# more than the jitter of a good Wi-Fi; and where pictures are passed on.
_OLDEST = 200_000
_PASSED_OLDEST = 300_000

# Seconds between two tries to open a source, at first and at most.
_FIRST_RETRY = 0.5
_LONGEST_RETRY = 5.0

# Seconds without a viewer after which nobody's word counts any more about the codecs: a page that
# is reloaded is back by then.
_ALONE = 10.0

# Seconds for which a source stays open when the relay is lost: one that restarts is back by then.
_LINGER = 10.0

# The codecs, by the beginning of the names that the relay tells (RFC 6381).
_FAMILIES = {
    "vp8": Codec.VP8,
    "vp08": Codec.VP8,
    "vp09": Codec.VP9,
    "av01": Codec.AV1,
    "avc1": Codec.H264,
    "avc3": Codec.H264,
    "opus": Codec.OPUS,
    "mp4a": Codec.AAC,
}

# Microseconds of pictures without one at which players can begin, while one is needed, and what is
# done then. The first limit is shorter, because a decoder may need seconds to begin; the last one
# counts only where nothing is shown.
_KEYLESS = {Keyless.TRY: 2_000_000, Keyless.ENCODE: 5_000_000, Keyless.ANYHOW: 10_000_000}

# Pictures of which the median of the time up to the socket is said.
_TIMINGS = 64

log = logging.getLogger(__name__)


class Camera:
    """Films one source under one name.

    Long, because it alone decides what is filmed now: what the relay, viewers, the network and the
    source say meets here, and each rule reads what the others have set.

    Attributes:
        take: The run of the source while its device is open, else None.
    """

    def __init__(
        self,
        entry: Entry,
        source: Source,
        recipes: list[Recipe],
        *,
        encode: bool = False,
        turner: Turner | None = None,
        label: str | None = None,
    ) -> None:
        """
        Args:
            entry: The relay's door.
            recipes: What to encode with, the best first.
            encode: Encode also what players would take as it is.
            turner: What turns the camera.
            label: What people call it.
        """
        self.take: Take | None = None
        self._link = Link(entry, self)
        self._source = source
        self._recipes = list(recipes)
        self._gate = Gate(recipes[0] if recipes else None, encode, self._has_room, self._hears)
        self._pace = Pace()
        self._outlets = {
            kind: Outlet(number, self._link, label) for kind, number in _NUMBERS.items()
        }
        self._open = False
        self._asked = ""  # why the relay wants a pause, "" if it does not
        self._missing = False  # the source gives nothing
        # The state, reason and sound that the relay knows.
        self._said: tuple[str, str, str | None] | None = None
        self._sentence = ""
        self._timings: deque[int] = deque(maxlen=_TIMINGS)
        self._wanted = asyncio.Event()  # the source is to be open
        self._lingering: asyncio.TimerHandle | None = None
        self._alone: asyncio.TimerHandle | None = None  # nobody watches
        self._keys = 0  # of the pictures that are passed on
        self._keyless_since: int | None = None  # when the first of those came that were in vain
        self._turner = turner
        self._wish: Orient | None = None
        self._turning: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Film, for ever. To cancel it is to switch the camera off.

        Raises:
            Refused, TakenOver: The relay wants no more of it (connection.Link.run).
            SourceError: The source cannot be filmed, and will not come back by itself.
        """
        film = asyncio.create_task(self._film_on())
        link = asyncio.create_task(self._link.run())
        try:
            done, _ = await asyncio.wait([film, link], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except asyncio.CancelledError:
            self._link.farewell = STOPPED
            raise
        finally:
            for task in (link, film):
                if not task.done():
                    await tasks.end(task)
            for timer in (self._lingering, self._alone):
                if timer is not None:
                    timer.cancel()
            if self._turner is not None:
                await tasks.end(self._turning)
                await asyncio.to_thread(self._turner.rest)

    # --- connection.Handler ---

    def opened(self) -> None:
        """See connection.Handler."""
        self._open, self._asked, self._said = True, "", None
        self._pace.restart()
        self._restart()
        if self._turner is not None:
            self._link.send(self._turner.ranges())
        self._say("The relay has let this camera in.")
        self._settle()

    def lost(self) -> None:
        """See connection.Handler."""
        self._open, self._asked, self._said = False, "", None
        self._settle()

    def told(self, message: dict[str, Any]) -> None:
        """See connection.Handler."""
        match message.get("type"):
            case "pause":
                self._asked = "unwatched" if message.get("reason") == "unwatched" else "viewers"
            case "resume":
                if self._asked:
                    self._asked = ""
                    self._restart()
            case "keyframe":
                self._gate.want_key()
            case "viewers":
                self._count(message.get("count") != 0)
            case "unplayable":
                self._suit(str(message.get("codec")), message.get("plays"))
            case "orient":
                self._orient(message)
        self._settle()

    def asked(self, moment: int) -> CameraPing:
        """See connection.Handler."""
        self._pace.asked(moment)
        encode = (
            round(statistics.median(self._timings)) if self._timings and self._gate.wanted else None
        )
        return CameraPing(
            moment, encode, None if self.take is None else self.take.loudness.level(moment)
        )

    def answered(self, asked: int, way: int, moment: int) -> None:
        """See connection.Handler."""
        self._pace.answered(asked, way, moment)
        self._gate.share = self._pace.share
        self._settle()

    # --- what should be ---

    def _settle(self) -> None:
        """Makes source and relay agree with what should be."""
        self._gate.wanted = self._open and not self._asked
        if self._open:
            if self._lingering is not None:
                self._lingering.cancel()
                self._lingering = None
            if self._asked == "unwatched":
                self._run(False)
            elif (
                self._link.clock.at(0) is not None
            ):  # a source that is passed on begins with a keyframe, which must not be in vain
                self._run(True)
            self._tell()
        elif self._wanted.is_set() and self._lingering is None:
            self._lingering = asyncio.get_running_loop().call_later(_LINGER, self._run, False)

    def _run(self, wanted: bool) -> None:
        if wanted:
            self._wanted.set()
        else:
            self._wanted.clear()
            if self.take is not None:
                self.take.stop()

    def _tell(self) -> None:
        """Say what this camera does, if the relay does not know it."""
        reason = self._asked or ("interrupted" if self._missing else "")
        state = ("paused" if reason else "live", reason, self._hearing())
        if state == self._said:
            return
        before, self._said = self._said, state
        self._link.send(CameraState(state[0], reason or None, state[2]))
        if before is not None and before[:2] == state[:2]:
            return
        if reason == "unwatched":
            self._say(
                f"No viewer watches: {self._source.title} is closed until the next viewer comes."
            )
        elif reason == "viewers":
            self._say("The viewers have asked for a pause.")
        elif not reason and before is not None and before[1] == "viewers":
            self._say("The viewers want to see more.")

    def _hearing(self) -> str | None:
        """What the source's sound does (docs/protocol.md, "Sound"); None before it was open."""
        sounds = self._outlets[Kind.VIDEO].sound
        if not sounds:
            return None if sounds is None else "missing"
        return "silent" if self.take is not None and self.take.loudness.silent(now()) else "on"

    def _say(self, sentence: str) -> None:
        """To the person who runs this; not the same twice."""
        if sentence != self._sentence:
            self._sentence = sentence
            log.info("%s", sentence)

    def _restart(self) -> None:
        """Streams begin afresh, with a keyframe."""
        for outlet in self._outlets.values():
            outlet.restart()
        self._gate.want_key()
        self._keyless_since = None

    def _suit(self, codec: str, plays: object) -> None:
        """A viewer does not play this codec, and all who watch play these: one of them, if it can
        be had.
        """
        gate, family = self._gate, _FAMILIES.get(codec.split(".")[0])
        playable = frozenset(one for one in Codec if isinstance(plays, list) and one.value in plays)
        if family is None or family in playable:
            return
        gate.unplayable -= playable  # what was encoded for others, who have gone
        others = frozenset(one for one in Codec if one.kind is family.kind) - playable
        if family.kind is Kind.AUDIO:
            if Codec.OPUS in playable:
                gate.unplayable |= others
                self._say(f"A viewer cannot play {codec}. The sound is encoded as Opus now.")
        elif recipe := next((one for one in self._recipes if one.codec in playable), None):
            gate.unplayable |= others
            gate.recipe = recipe
            gate.want_key()
            self._say(
                f"A viewer cannot play {codec}. The pictures are encoded as "
                f"{recipe.codec.name} now."
            )

    def _count(self, watched: bool) -> None:
        """Viewers watch, or there are none. Then it films again as it likes best, after a while."""
        if self._alone is not None:
            self._alone.cancel()
        self._alone = (
            None if watched else asyncio.get_running_loop().call_later(_ALONE, self._prefer)
        )

    def _prefer(self) -> None:
        """The viewers for whom something had to be encoded in another way are gone."""
        self._gate.unplayable = frozenset()
        if self._recipes:
            self._gate.recipe = self._recipes[0]

    # --- the source ---

    async def _film_on(self) -> None:
        """Open the source whenever it is wanted, and again when it ends.

        Raises:
            SourceError: It will not come back by itself.
        """
        retry = _FIRST_RETRY
        while True:
            await self._wanted.wait()
            self.take = Take(self._source, self._gate, self._emit, self._opened)
            began, failed, patience = now(), False, 0.0
            try:
                await self.take.run()
            except SourceError as error:
                if error.final:
                    raise
                self._say(str(error))
                self._missing = failed = True
                patience = error.patience
            finally:
                self.take = None
            self._settle()
            if failed:  # who was put to sleep is woken at once
                retry = _FIRST_RETRY if now() - began > 2e6 * _LONGEST_RETRY else retry
                await asyncio.sleep(max(retry, patience))
                retry = min(retry * 2, _LONGEST_RETRY)

    def _opened(self, what: str, sound: bool) -> None:
        self._missing = False
        rate, pictures = self._source.rate, self._outlets[Kind.VIDEO]
        pictures.interval = (
            round(1e6 / rate) if rate * MAX_INTERVAL >= 1e6 else None
        )  # the relay believes no longer one
        pictures.sound = sound
        if not sound and self._open:
            self._outlets[Kind.AUDIO].end()
        self._restart()
        self._say(f"Filming {self._source.title}: {what}.")
        self._settle()

    def _emit(self, frame: Frame) -> None:
        """Send a frame, or leave it out."""
        kind = frame.form.codec.kind
        outlet = self._outlets[kind]
        late = not (
            self._hears() if kind is Kind.AUDIO else frame.form.keyframes or self._carries()
        )
        if not self._gate.wanted or self.take is None:
            outlet.restart()
        elif late:
            outlet.skip(frame)
        else:
            try:
                if outlet.send(frame) and kind is Kind.VIDEO:
                    self._timings.append(max(0, now() - frame.captured))
                if kind is Kind.VIDEO:
                    self._watch_keys(frame)
            except MediaError as error:
                self._say(
                    f"{sentence(self._source.title)} gives what is no "
                    f"{frame.form.codec.name}: {error}."
                )
                if kind is Kind.VIDEO:
                    self._gate.encode = True

    def _watch_keys(self, frame: Frame) -> None:
        """Have pictures encoded that are passed on in vain, as H.264 without IDR pictures: none
        comes at which players can begin.
        """
        gate, outlet = self._gate, self._outlets[Kind.VIDEO]
        if frame.form.keyframes:
            if gate.keyless:
                title = sentence(self._source.title)
                self._say(
                    f"{title} goes on without a picture at which players can begin (an IDR "
                    "picture), so its pictures are encoded."
                )
        elif outlet.keys != self._keys:
            self._keys, self._keyless_since, gate.keyless = outlet.keys, None, Keyless.NO
            gate.made_key()
        elif (
            frame.form.codec is Codec.H264
            and gate.recipe is not None
            and (outlet.needs_key or gate.wants_key())
        ):
            self._keyless_since = (
                frame.captured if self._keyless_since is None else self._keyless_since
            )
            passed = frame.captured - self._keyless_since
            reached = [
                level
                for level, limit in _KEYLESS.items()
                if passed >= limit and (outlet.needs_key or level < Keyless.ANYHOW)
            ]
            gate.keyless = max(gate.keyless, *reached, Keyless.NO)

    # --- in any thread ---

    def _has_room(self, bitrate: int) -> bool:
        """Whether a picture that is encoded now would be sent in time."""
        if self._link.clock.at(0) is None or self._pace.held or self._link.flight.age() > _OLDEST:
            return False
        return self._link.waiting <= max(_ALWAYS_WAITING, bitrate / 8 * _MOST_WAITING)

    def _carries(self) -> bool:
        """Whether the network keeps up with what is passed on."""
        return (
            not self._pace.held
            and self._link.waiting <= _PASSED_WAITING
            and self._link.flight.age() <= _PASSED_OLDEST
        )

    def _hears(self) -> bool:
        return not self._pace.held and self._link.waiting <= _SOUND_WAITING

    # --- turning ---

    def _orient(self, message: dict[str, Any]) -> None:
        """Turn, in a thread, because a bus is slow; wishes that come meanwhile become one."""
        if self._turner is None:
            return
        try:
            wish = Orient(
                **{
                    name: float(message[name])
                    for name in ("pan", "tilt", "zoom")
                    if message.get(name) is not None
                }
            )
        except (ControlError, TypeError, ValueError, OverflowError):
            return
        self._wish = self._wish.then(wish) if self._wish else wish
        if self._turning is None or self._turning.done():
            self._turning = asyncio.create_task(self._turn_on(self._turner))

    async def _turn_on(self, turner: Turner) -> None:
        while (wish := self._wish) is not None:
            self._wish = None
            try:
                self._link.send(await asyncio.to_thread(turner.turn, wish))
            except TurningError as error:
                self._say(str(error))


__all__ = ["Camera"]
