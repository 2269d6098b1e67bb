"""Keyframes of one camera: the frames since the last one, wishes for the next, and whether any
come.

All times are microseconds of the relay's clock.
"""

from __future__ import annotations

from groundwork.connections.limits import Bucket

from .ledger import Budget
from .track_output import VIDEO
from .viewers import Fragment, Viewer

# Bytes of frames since the last keyframe that are kept for late viewers: 10 s at 6 Mbit/s. A camera
# that makes no keyframe for longer than this makes late viewers wait for one.
MAX_MEMORY = 8 * 2**20

# Frames kept, whatever their size: 5 minutes of 20 ms sound, so that a stream of tiny packets
# cannot hold many small objects.
MAX_MEMORY_FRAMES = 15_000

# Pictures after a keyframe that a newcomer decodes faster than a fresh keyframe could come; for
# more of them one is asked for.
FEW_PICTURES = 6

# Bytes since the last keyframe that still come before the fresh one: 40 ms at 50 Mbit/s. More of
# them would only be in its way.
MAX_REPLAY = 256 * 2**10

# Microseconds between two wishes for a keyframe that are passed on to the camera: each costs every
# viewer a large frame.
KEYFRAME_INTERVAL = 150_000

# Wishes for a keyframe that are passed on at once, and seconds between two after that: of one
# viewer, and of all viewers of a camera, whom one keyframe serves. A viewer behind 50 KB/s lives on
# keyframes, as many as it can take; whoever wants more must not cost the others that.
KEYFRAMES_AT_ONCE, KEYFRAMES_OF_ALL_AT_ONCE = 6, 20
KEYFRAME_PAUSE = 0.5

# Microseconds of pictures without a keyframe, where a newcomer needs one, after which that is said.
KEYLESS_AFTER = 5_000_000

KEYLESS = (
    "The camera sends pictures, but no keyframe with which they could begin to be shown "
    "(in H.264 an IDR picture). "
    "Let it send one every 2 s, or encode its pictures anew."
)
"""What is said of such a camera to people."""


class Replay:
    """The frames since the last keyframe, for late viewers.

    Attributes:
        frames: In order. The first one is a keyframe.
        size: Their bytes.
    """

    def __init__(self, budget: Budget) -> None:
        """
        Args:
            budget: Of what all cameras remember.
        """
        self.frames: list[Fragment] = []
        self.size = 0
        self._budget = budget

    @property
    def pictures(self) -> int:
        """How many of them are pictures."""
        return sum(fragment.number == VIDEO for fragment in self.frames)

    def remember(self, fragment: Fragment) -> bool:
        """Take a frame.

        Returns:
            Whether there was room; if not, late viewers must wait for the next keyframe.
        """
        size = len(fragment.data)
        if fragment.number == VIDEO and fragment.key:
            self.forget()
        elif not self.frames:
            return True  # nothing can be decoded before a keyframe, and sound alone needs no past
        full = self.size + size > MAX_MEMORY or len(self.frames) == MAX_MEMORY_FRAMES
        if full or not self._budget.take(size):
            self.forget()
            return False
        self.frames.append(fragment)
        self.size += size
        return True

    def forget(self) -> None:
        """Forget all."""
        self._budget.give_back(self.size)
        self.frames, self.size = [], 0

    def forget_track(self, number: int) -> None:
        """Forget what is of no use any more when a track has ended or changed."""
        kept = [] if number == VIDEO else [one for one in self.frames if one.number != number]
        size = sum(len(one.data) for one in kept)
        self._budget.give_back(self.size - size)
        self.frames, self.size = kept, size


class KeyframeWishes:
    """When a camera is asked for a keyframe.

    Attributes:
        waiting: Those whose wishes wait; None is the relay itself.
    """

    def __init__(self, now: int) -> None:
        self.waiting: set[Viewer | None] = set()
        self._asked: int | None = None  # when the camera was asked last
        self._paces: dict[Viewer, Bucket] = {}
        self._pace = Bucket(KEYFRAMES_OF_ALL_AT_ONCE, KEYFRAME_PAUSE, now / 1e6)

    def due(self, now: int) -> bool:
        """Whether the camera is to be asked now; then all wishes are passed on with that."""
        if not self.waiting or (self._asked is not None and now - self._asked < KEYFRAME_INTERVAL):
            return False
        seconds, viewers = now / 1e6, [one for one in self.waiting if one is not None]
        fresh = KEYFRAMES_AT_ONCE, KEYFRAME_PAUSE, seconds
        paces = [self._paces.setdefault(one, Bucket(*fresh)) for one in viewers]
        due = [pace for pace in paces if not pace.wait(seconds)]
        if len(viewers) == len(self.waiting) and not (due and self._pace.take(seconds)):
            return False
        for pace in due:
            pace.take(seconds)
        self.waiting.clear()
        self._asked = now
        return True

    def part(self, viewer: Viewer) -> None:
        """A viewer has gone."""
        self.waiting.discard(viewer)
        self._paces.pop(viewer, None)

    def begin_anew(self) -> None:
        """Another camera comes."""
        self.waiting.clear()
        self._asked = None


class Keyless:
    """Whether pictures come, but none with which a newcomer can begin.

    Attributes:
        since: When the first of them came; None while the last picture is of use.
        said: For KEYLESS_AFTER, so people are told.
    """

    def __init__(self) -> None:
        self.since: int | None = None
        self.said = False

    def lacks(self, arrived: int) -> bool:
        """Note a picture that is of no use to a newcomer; returns whether people are to be told."""
        if self.since is None:
            self.since = arrived
        elif not self.said and arrived - self.since >= KEYLESS_AFTER:
            self.said = True
            return True
        return False

    def over(self) -> bool:
        """A keyframe came, or nothing comes; returns whether people had been told."""
        said, self.since, self.said = self.said, None, False
        return said
