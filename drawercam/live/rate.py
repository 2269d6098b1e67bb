"""How much per second, lately."""

from __future__ import annotations

from collections import deque

# Microseconds: long enough for a steady figure at 5 frames a second, short enough to follow a change.
_SPAN = 3_000_000
_SLOT = 250_000


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
        return sum(slot[1] for slot in self._slots) / seconds, sum(slot[2] for slot in self._slots) / seconds

    def _forget(self, now: int) -> None:
        oldest = (now - _SPAN) // _SLOT
        while self._slots and self._slots[0][0] < oldest:
            self._slots.popleft()
