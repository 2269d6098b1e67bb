"""Deadlines for peers: how long somebody may take, not counting the time in which this program
itself stood still.

A computer that was suspended, or one call that took long, leaves everybody overdue at once, though
their answers lie there unread. So time is counted in steps, and of a step that ends late the delay
does not count, nor is anybody judged before what has come is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

# Seconds of a step.
STEP = 1.0

# Seconds by which the end of a step may be late: a busy relay is, by less.
MOST_LATE = 0.5


class ServedTime:
    """Monotonic seconds in which peers were served.

    For deadlines alone: what is measured goes by the true clock.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """
        Args:
            clock: Monotonic seconds.
        """
        self._clock = clock
        self._lost = 0.0  # seconds that do not count
        self._looked = clock()
        self._was_late = False

    def __call__(self) -> float:
        return min(self._clock() - self._lost, self._looked + STEP + MOST_LATE)

    def look(self) -> bool:
        """To be called every STEP seconds.

        Returns:
            Whether deadlines may be judged now. Not at a look that is late: what has come since may
            not be read yet. At the next one in any case, or a relay that is always late would never
            judge.
        """
        most = self._looked + STEP + MOST_LATE
        now = self._clock() - self._lost
        late = now > most
        if late:
            self._lost += now - most
        self._looked = min(now, most)
        judges = self._was_late or not late
        self._was_late = late
        return judges


class Deadline:
    """Like ``asyncio.timeout``, in the same kind of time.

    async with Deadline(10.0):
        await something()  # TimeoutError after 10 s
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = self._left = seconds
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._was_late = False

    async def __aenter__(self) -> Deadline:
        await self._timeout.__aenter__()
        self._wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def restart(self) -> None:
        """It is so many seconds again, give or take a step."""
        self._left = self._seconds

    def end(self) -> None:
        """It is over now."""
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time())

    def _wait(self) -> None:
        loop, step = asyncio.get_running_loop(), min(STEP, self._left)
        self._timer = loop.call_later(step, self._look, step, loop.time() + step)

    def _look(self, step: float, due: float) -> None:
        late = asyncio.get_running_loop().time() - due > MOST_LATE
        if self._was_late or not late:
            self._left -= step
        self._was_late = late
        if self._left > 0:
            self._wait()
        else:
            self.end()
