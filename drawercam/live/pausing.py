"""When a camera need not film: its viewers' votes for a pause, and that it has no viewers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from drawercam.protocol import messages

from .viewers import Viewers

# Microseconds for which nobody must have watched before a camera is put to sleep: a page that is
# reloaded wakes nobody up.
SLEEP_AFTER = 10_000_000

# Viewers whose addresses a camera is told when they pause it.
MAX_NAMED = 3


class PausePolicy(StrEnum):
    """Whose votes make a camera pause."""

    ALL = "all"
    ANY = "any"
    NEVER = "never"

    def pauses(self, votes: int, watching: int) -> bool:
        """Whether so many votes of so many watching viewers are enough."""
        if self is PausePolicy.NEVER or votes == 0:
            return False
        return self is PausePolicy.ANY or votes == watching


@dataclass(frozen=True, slots=True)
class Policy:
    """What the person who runs the relay has decided.

    Attributes:
        pause: Whose votes count.
        always_on: Names of the cameras that film also while nobody watches.
    """

    pause: PausePolicy = PausePolicy.ALL
    always_on: frozenset[str] = frozenset()


class Pausing:
    """What one camera is told: to pause, or to go on. All times are microseconds."""

    def __init__(self, name: str, policy: Policy, now: int) -> None:
        """
        Args:
            name: The camera's.
            policy: See there.
            now: It is as if somebody had watched up to this time.
        """
        self._pause = policy.pause
        self._sleeps = name not in policy.always_on
        self._watched = now
        self._told: messages.CameraPause | None = None

    def begin(self, now: int) -> None:
        """A camera comes, which films."""
        self._watched, self._told = now, None

    def watched(self, now: int) -> None:
        """Somebody watched up to this time."""
        self._watched = now

    def news(self, viewers: Viewers, now: int) -> messages.CameraPause | messages.Resume | None:
        """What the camera is to be told now; None if it knows."""
        pause = self._wish(viewers, now)
        if pause == self._told:
            return None
        self._told = pause
        return pause or messages.Resume()

    def _wish(self, viewers: Viewers, now: int) -> messages.CameraPause | None:
        """Why the camera should not film now, or None."""
        watching = len(viewers.watching)
        if not watching:
            asleep = self._sleeps and now - self._watched >= SLEEP_AFTER
            return messages.CameraPause("unwatched") if asleep else None
        voters = viewers.voters(now)
        if not self._pause.pauses(len(voters), watching):
            return None
        return messages.CameraPause("viewers", tuple(voters[:MAX_NAMED]), len(voters), watching)
