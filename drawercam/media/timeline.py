"""Where a recorder's timestamps lie on the relay's clock.

A recorder counts from its own zero, and its zero moves with every restart. The relay knows when
each packet arrived. A packet cannot arrive before it was captured, so `arrival - end of the packet`
is never less than the true distance between the two clocks, and the smallest such difference is the
best estimate of it (the same thought as in NTP's clock filter, RFC 5905 section 10).

That estimate is too late by the time that the fastest packets take. A camera that knows this time,
or better the distance itself, says so.
"""

from __future__ import annotations

# Microseconds over which the smallest difference is taken before it may raise the estimate.
_WINDOW = 5_000_000

# The estimate rises by at most this much of the time that passes: twenty times the drift of a poor
# quartz, too slow to be seen.
_SLEW = 1 / 500

# Above this difference (µs) the recorder's clock has stood still (a pause, a sleeping phone) and
# the estimate is set anew.
_STEP = 250_000

# A distance that the camera claims is believed if it lies at most this far (µs) before the
# estimate: no live picture is older.
_BELIEVABLE = 10_000_000

# And at most this far (µs) behind it: a packet that was captured after its arrival shows by how
# much the camera's clock is wrong.
_CLOCK_ERROR = 5_000


class Timeline:
    """The distance between one stream's clock and the relay's. All times in microseconds."""

    def __init__(self, claimed: int | None = None, delay: int = 0) -> None:
        """
        Args:
            claimed: The relay's time at which the stream's time 0 was captured, if the camera said
                so.
            delay: The shortest time from capture to arrival, as well as the camera knows.
        """
        self._claimed = claimed
        self._delay = delay
        self._offset: int | None = None
        self._window_began = 0
        self._window_least = 0

    def place(self, end: int, now: int) -> int:
        """Learn from a packet that ended at ``end`` on the stream's clock and arrived at ``now`` on
        the relay's.

        Returns:
            What to add to the stream's timestamps to get the relay's time.
        """
        estimate = self._learn(end, now)
        # The claim is held against the estimate and not against this packet, whose network may have
        # stood still for any time.
        if self._claimed is not None and -_CLOCK_ERROR <= estimate - self._claimed <= _BELIEVABLE:
            return self._claimed
        return estimate - self._delay

    def _learn(self, end: int, now: int) -> int:
        """The estimate by the arrivals alone, this one included."""
        difference = now - end
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
