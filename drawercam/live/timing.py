"""Lately: how long pictures take, up to players' sockets and from one to the next; how many
come.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

# Pictures over which the medians are taken: 2 s at 30 a second.
_PICTURES = 64

# With fewer, a single late one would be half of what is known.
_FEWEST_PICTURES = 8

# Times between pictures of which the middle one is usual: enough that a pause does not count, and
# so few that a lens whose pace has changed is known after five pictures, however slow it is now.
_LATEST_INTERVALS = 9

# Microseconds. What seems to come faster than at 240 a second was not filmed just now: a file that
# is sent as fast as the network takes it.
_SHORTEST_INTERVAL = 4_000

# Microseconds: long enough for a steady figure at 5 frames a second, short enough to follow a
# change.
_SPAN = 3_000_000
_SLOT = 250_000


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the way in microseconds, each None while it is unknown.

    Attributes:
        encode: From capture to the camera's socket, as the camera says.
        uplink: From there to the relay; from the capture on while ``encode`` is unknown. As far as
            the relay knows when that was.
        relay: From the arrival until the picture was offered to all viewers.
    """

    encode: int | None
    uplink: int | None
    relay: int | None


class Timing:
    """The pictures of one camera. Three numbers are kept per picture; medians are made when they
    are asked for.

    Attributes:
        encode: Microseconds from capture to the camera's socket, as the camera says; None while it
            does not.
        told: Microseconds from one picture to the next, as the camera says.
    """

    def __init__(self) -> None:
        self.encode: int | None = None
        self.told: int | None = None
        self._ages: deque[int] = deque(maxlen=_PICTURES)
        self._stays: deque[int] = deque(maxlen=_PICTURES)
        self._captured: deque[int] = deque(maxlen=_PICTURES)

    def picture(self, captured: int, arrived: int, offered: int) -> None:
        """Count a picture, by three moments on the relay's clock in microseconds."""
        self._ages.append(arrived - captured)
        self._stays.append(offered - arrived)
        self._captured.append(captured)

    def parts(self) -> Parts:
        """Medians over the last pictures."""
        age = _median(self._ages)
        uplink = None if age is None else max(0, age - (self.encode or 0))
        return Parts(self.encode, uplink, _median(self._stays))

    def interval(self) -> int | None:
        """Microseconds from one picture to the next, the median, where a pause does not count; of
        too few pictures, what the camera says. None while that cannot be told.
        """
        if len(self._captured) < _FEWEST_PICTURES:
            interval = self.told
        else:
            interval = _median(
                after - before for before, after in pairwise(sorted(self._captured))
            )  # B frames come out of order
        return interval if interval is not None and interval >= _SHORTEST_INTERVAL else None

    def pace(self) -> int | None:
        """Microseconds from one picture to the next, lately: the median of the last few, and of two
        the shorter one. None before the second picture, whatever the camera says: in the dark, a
        lens is slower than it knows.
        """
        latest = sorted(list(self._captured)[-_LATEST_INTERVALS - 1 :])
        intervals = sorted(after - before for before, after in pairwise(latest))
        return intervals[(len(intervals) - 1) // 2] if intervals else None


class Meter:
    """Frames and bytes per second over the last few seconds, in slots of a quarter second."""

    def __init__(self) -> None:
        self._slots: deque[tuple[int, int, int]] = deque()

    def add(self, now: int, size: int) -> None:
        """Count one frame of ``size`` bytes at ``now`` microseconds."""
        slot = now // _SLOT
        if self._slots and self._slots[-1][0] == slot:
            _, frames, total = self._slots.pop()
            self._slots.append((slot, frames + 1, total + size))
        else:
            self._slots.append((slot, 1, size))
            self._forget(now)

    def rates(self, now: int) -> tuple[float, float]:
        """Frames per second and bytes per second up to ``now``."""
        self._forget(now)
        if not self._slots:
            return 0.0, 0.0
        seconds = max(now - self._slots[0][0] * _SLOT, _SLOT) / 1e6
        return sum(slot[1] for slot in self._slots) / seconds, sum(
            slot[2] for slot in self._slots
        ) / seconds

    def _forget(self, now: int) -> None:
        oldest = (now - _SPAN) // _SLOT
        while self._slots and self._slots[0][0] < oldest:
            self._slots.popleft()


def _median(values: Iterable[int]) -> int | None:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else None
