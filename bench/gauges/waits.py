"""How long a viewer was without a new picture although it could have had one.

A viewer can have a picture while its camera's frames reach the relay, both networks let them
through, and its page is open. Times in which one of these is missing are excused; when the last of
them is over, the wait begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

Span = tuple[float, float]
"""Begin and end, in seconds of one clock."""

OUTAGE = 1.0
"""Seconds without a frame at the relay after which its camera counts as away, from the last frame
on.
"""


def longest(
    pictures: Iterable[float], excused: Iterable[Span], begin: float, end: float
) -> tuple[Span, float]:
    """The longest wait between `begin` and `end`, the unfinished one at the end included.

    Args:
        pictures: When the new ones came.
        excused: When none could come; they may overlap, and reach beyond the end.

    Returns:
        From when to when; and where the unfinished wait has begun, from which the next call goes
        on.
    """
    waits, since = [], begin
    for start, stop in sorted(chain(((moment, moment) for moment in pictures), excused)):
        if start >= end:
            break
        waits.append((since, max(since, start)))
        since = max(since, min(stop, end))
    return max([*waits, (since, end)], key=length), since


def length(span: Span) -> float:
    """Its seconds."""
    return span[1] - span[0]


class Presence:
    """When one camera's frames reach the relay, as looking at it again and again tells.

    Args:
        now: From here on it is looked at.
    """

    def __init__(self, now: float) -> None:
        self._last = now
        self._outages: list[Span] = []

    def look(self, frame: float | None) -> None:
        """
        Args:
            frame: When its last frame came to the relay; None if the relay does not say.
        """
        if frame is None or frame <= self._last:
            return
        if frame - self._last > OUTAGE:
            self._outages.append((self._last, frame))
        self._last = frame

    def outages(self, now: float) -> list[Span]:
        """Those so far, and the present one if there is one, which ends now."""
        present = [(self._last, now)] if now - self._last > OUTAGE else []
        return self._outages + present

    def forget(self, before: float) -> None:
        """Drops the outages that were over then."""
        self._outages = [span for span in self._outages if span[1] >= before]
