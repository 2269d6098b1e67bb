"""What cameras have begun to send and not ended, by address: a bound for each camera, for each
address, and in the budget of all channels.

It also remembers for a while which address had a camera that made too much work: one that comes
back at once may not do that again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from drawercam.media.work import MOST
from drawercam.protocol.close_reasons import Reason, Refused
from groundwork.connections.limits import counted_as

MAX_OF_CAMERA = 16 * 2**20
"""Bytes of one camera that wait for the rest of their message, element or box: twice the longest of
those.
"""

MAX_OF_ADDRESS = 32 * 2**20
"""The same of all cameras of one address.

A hundred that each wait for the rest of a picture hold 10 MiB.
"""

OWN = 256 * 2**10
"""Bytes that each camera may hold although all channels together hold what they may: a picture of a
good camera has less.
"""

WORK_PER_SECOND = MOST // 2
"""Units of work (media/work.py) that a camera may cost beyond what one message may: about 2 % of a
desktop's processor.
"""

LEAST_WORK = MOST // 8
"""Units with which a camera begins in any case: those of two seconds of the busiest honest one."""

MAX_ADDRESSES = 4096
"""Addresses remembered for their work: less than 1 MB.

Beyond it, those are forgotten that have waited the longest.
"""

# Bytes in which is counted: what changes by less with each message costs nothing.
_STEP = 4 * 2**10


class Budget:
    """Bytes that may be held in all.

    Attributes:
        used: How many are.
    """

    def __init__(self, limit: int) -> None:
        self.used = 0
        self._limit = limit

    def take(self, size: int) -> bool:
        """Whether there was room for so many more; then they are held from now on."""
        if self.used + size > self._limit:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """So many are held no more."""
        self.used -= size


class Ledger:
    """The accounts of all cameras.

    Attributes:
        shared: Bytes of them in the budget.
    """

    def __init__(self, budget: Budget, clock: Callable[[], int]) -> None:
        """
        Args:
            budget: What all channels remember counts there, too.
            clock: The relay's clock, microseconds.
        """
        self.shared = 0
        self._budget = budget
        self._clock = clock
        self._held: Counter[str] = Counter()  # bytes, by the names of `counted_as`
        self._refused: dict[
            str, int
        ] = {}  # the time at which an address was refused for its work, in the order of these times

    def account(self, address: str) -> Account:
        """One for a camera that comes from there."""
        return Account(self, counted_as(address))

    def held(self, address: str) -> int:
        """Bytes that the cameras of this address have begun."""
        return max(self._held[name] for name in counted_as(address))

    # --- for accounts ---

    def work(self, names: tuple[str, ...]) -> float:
        now = self._clock()
        passed = min(
            (now - self._refused[name] for name in names if name in self._refused), default=None
        )
        return MOST if passed is None else min(MOST, LEAST_WORK + passed * WORK_PER_SECOND / 1e6)

    def overworked(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._refused.pop(name, None)
            self._refused[name] = self._clock()
        while len(self._refused) > MAX_ADDRESSES:
            del self._refused[next(iter(self._refused))]

    def change(self, names: tuple[str, ...], before: int, after: int) -> None:
        grown = after - before
        if grown > 0 and any(self._held[name] + grown > MAX_OF_ADDRESS for name in names):
            raise _refused(
                f"Cameras of this address have begun more than {MAX_OF_ADDRESS >> 20} MiB "
                "that they do not end."
            )
        shared = max(0, after - OWN) - max(0, before - OWN)
        if shared > 0 and not self._budget.take(shared):
            raise _refused("All cameras together have begun more than the relay can hold.")
        if shared < 0:
            self._budget.give_back(-shared)
        self.shared += shared
        for name in names:
            self._held[name] += grown
            if not self._held[name]:
                del self._held[name]


def _refused(sentence: str) -> Refused:
    return Refused(Reason.MEDIA_LIMIT, sentence)


class Account:
    """What one camera has begun."""

    __slots__ = ("_held", "_ledger", "_names")

    def __init__(self, ledger: Ledger, names: tuple[str, ...]) -> None:
        self._ledger = ledger
        self._names = names
        self._held = 0

    @property
    def work(self) -> float:
        """Units of work that it may cost with its first message."""
        return self._ledger.work(self._names)

    def overworked(self) -> None:
        """It was refused for its work."""
        self._ledger.overworked(self._names)

    def hold(self, size: int) -> None:
        """So many bytes are begun now.

        Raises:
            Refused: It is too much; nothing has changed.
        """
        size = -(-size // _STEP) * _STEP
        if size != self._held:
            if size > MAX_OF_CAMERA:
                raise _refused(
                    f"The camera has begun more than {MAX_OF_CAMERA >> 20} MiB that it "
                    "does not end."
                )
            self._ledger.change(self._names, self._held, size)
            self._held = size

    def close(self) -> None:
        """All is given back. It may be held again."""
        self.hold(0)
