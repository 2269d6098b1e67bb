"""When a camera need not film: its viewers' votes for a pause, and nobody watching."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# Microseconds after which a vote for a pause has lapsed, unless it is cast again: a player that hangs cannot stop a camera for long.
VOTE_LIFETIME = 5_000_000

# Microseconds for which nobody must have watched before a camera is put to sleep: a page that is reloaded wakes nobody up.
SLEEP_AFTER = 10_000_000


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
