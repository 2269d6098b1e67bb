"""This computer's clock, and where the relay's lies on it. All times in integer microseconds."""

from __future__ import annotations

import time
from collections import deque

# Round trips remembered: the shortest one tells the time best (as in NTP). With two pings a second,
# half a minute, in which the clocks of two computers drift apart by a millisecond at most.
_SAMPLES = 60


def now() -> int:
    """This computer's clock: monotonic, from any zero."""
    return time.monotonic_ns() // 1000


class RelayTime:
    """The relay's clock, learnt from pings and pongs."""

    def __init__(self) -> None:
        self._samples: deque[tuple[int, int]] = deque(
            maxlen=_SAMPLES
        )  # round trip, distance between the clocks
        self._offset: int | None = None

    def forget(self) -> None:
        """A relay that was restarted has another clock."""
        self._samples.clear()
        self._offset = None

    def learn(self, asked: int, answered: int, relay: int) -> None:
        """
        Args:
            asked, answered: When the ping was sent and the pong came, by `now`.
            relay: The relay's time in between.
        """
        self._samples.append((answered - asked, relay - (asked + answered) // 2))
        self._offset = min(self._samples)[1]

    def at(self, moment: int) -> int | None:
        """The relay's time at a time of `now`; None before the first pong."""
        offset = self._offset
        return None if offset is None else moment + offset
