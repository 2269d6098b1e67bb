"""Where a recorder's timestamps lie on the relay's clock.

A recorder counts from its own zero, and its zero moves with every restart. The relay knows when each packet arrived. A packet cannot
arrive before it was captured, so `arrival - end of the packet` is never less than the true distance between the two clocks, and the
smallest such difference is the best estimate of it (the same thought as in NTP's clock filter, RFC 5905 section 10).
"""

from __future__ import annotations

# Microseconds over which the smallest difference is taken before it may raise the estimate.
_WINDOW = 5_000_000

# The estimate rises by at most this much of the time that passes: twenty times the drift of a poor quartz, too slow to be seen.
_SLEW = 1 / 500

# Above this difference (µs) the recorder's clock has stood still (a pause, a sleeping phone) and the estimate is set anew.
_STEP = 250_000

# A distance that the camera claims is believed if it puts a packet at most this far (µs) from its arrival.
_BELIEVABLE = 10_000_000


class Timeline:
    """The distance between one stream's clock and the relay's. All times in microseconds."""

    def __init__(self, claimed: int | None = None) -> None:
        """
        Args:
            claimed: The relay's time at which the stream's time 0 was captured, if the camera said so.
        """
        self._claimed = claimed
        self._offset: int | None = None
        self._window_began = 0
        self._window_least = 0

    def place(self, end: int, now: int) -> int:
        """Learn from a packet that ended at ``end`` on the stream's clock and arrived at ``now`` on the relay's.

        Returns:
            What to add to the stream's timestamps to get the relay's time.
        """
        difference = now - end
        if self._claimed is not None and abs(difference - self._claimed) <= _BELIEVABLE:
            return self._claimed
        if self._offset is None or difference < self._offset:
            self._offset = difference
            self._window_began, self._window_least = now, difference
            return difference
        self._window_least = min(self._window_least, difference)
        passed = now - self._window_began
        if passed >= _WINDOW:
            excess = self._window_least - self._offset
            self._offset += excess if excess > _STEP else min(excess, int(passed * _SLEW))
            self._window_began, self._window_least = now, difference
        return self._offset
