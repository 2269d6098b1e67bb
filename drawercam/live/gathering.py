"""What many are told at every change: the first time at once, and what follows soon after together.

No asyncio: the timer is given.
"""

from __future__ import annotations

from collections.abc import Callable

Later = Callable[[float, Callable[[], None]], object]
"""Has something called after so many seconds, as an event loop's ``call_later`` does."""

GATHERED = 0.1
"""Seconds for which news are gathered: a person sees no difference, and somebody who causes them
without end causes ten a second.
"""


class Gathered:
    """Says something at once, and from then on at most every GATHERED seconds; the newest is said
    in any case.
    """

    __slots__ = ("_is_news", "_later", "_rests", "_say")

    def __init__(self, later: Later | None, say: Callable[[], None]) -> None:
        """
        Args:
            later: The timer; without one all is said at once.
            say: Says how things are when it is called.
        """
        self._later = later
        self._say = say
        self._rests = False
        self._is_news = False  # there is something to be said after the rest

    def __call__(self) -> None:
        """Things have changed."""
        if self._rests:
            self._is_news = True
        else:
            self.at_once()

    def at_once(self) -> None:
        """Say it now, whatever was said a moment ago."""
        self._is_news = False
        self._say()
        if not self._rests and self._later is not None:
            self._rests = True
            self._later(GATHERED, self._go_on)

    def flush(self) -> None:
        """Something else is about to be said, which must not come before this."""
        if self._is_news:
            self.at_once()

    def _go_on(self) -> None:
        self._rests = False
        if self._is_news:
            self.at_once()
