"""Turns: what strangers make the relay compute, in small portions, one address after the other.

A TLS handshake is the most that somebody without a key can make the relay compute. So each of its
steps waits here, and an address has a share of the processor for them, as have all together. That a
certificate with an RSA key costs ten times as much needs no table: what a step took is measured,
and that is what it is charged.

No sockets and no loop: who owns it calls `run` when there is something to do.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Container
from typing import Protocol

from .limits import MAX_ADDRESSES, counted_as

IN_ALL, OF_ONE = 0.5, 0.25
"""Seconds of the processor in each second, for all and for one address (see `limits.counted_as`):
half of a core stays for the pictures.
"""

AT_ONCE, AT_ONCE_OF_ONE = 1.5, 1.0
"""Seconds of the processor that may be taken at once by peers that were quiet before:
a hall that comes in together (1000 handshakes take half a second), and eight people behind one
router whose walls of thirty cameras begin anew, with an RSA key or on a small computer."""

TURN = 0.003
"""Seconds after which pictures and all else have their turn.

A step that takes longer is not interrupted: 5 ms with RSA and 4096 bits.
"""

OVERHEAD = 150e-6
"""Seconds that a step costs besides what is measured: the loop, transports and tasks around it."""


class Asker(Protocol):
    """A peer that waits for a turn."""

    def turn(self) -> bool:
        """Its turn has come. May raise nothing.

        Returns:
            Whether all of it was done. If not, the rest comes when the loop has its next turn, and
            no other one's with it.
        """


class Budget:
    """Seconds of the processor: so many at once, and then a share of every second."""

    __slots__ = ("_left", "_most", "_share", "_then")

    def __init__(self, share: float, most: float, now: float) -> None:
        self._share = share
        self._most = self._left = most
        self._then = now

    def wait(self, now: float) -> float:
        """Seconds until something may be spent; 0 for now."""
        self._left = min(self._most, self._left + (now - self._then) * self._share)
        self._then = now
        return max(0.0, -self._left / self._share)

    def spend(self, seconds: float) -> None:
        """What was spent, which may be more than there was: the next has to wait for it."""
        self._left -= seconds


class Turns:
    """Steps that wait for their turn."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        processor: Callable[[], float] = time.thread_time,
        proxies: Container[str] = (),
    ) -> None:
        """
        Args:
            clock: Monotonic seconds.
            processor: Seconds of the processor that this thread has taken.
            proxies: Addresses that may have all of it, because many come by each.
        """
        self._proxies = proxies
        self._clock = clock
        self._processor = processor
        self._all = Budget(IN_ALL, AT_ONCE, clock())
        self._budgets: OrderedDict[str, Budget] = (
            OrderedDict()
        )  # the one spent from last is the last
        self._waiting: OrderedDict[str, OrderedDict[Asker, None]] = (
            OrderedDict()
        )  # the address whose turn is next is the first
        self._address: dict[Asker, str] = {}  # of each that waits, as it is counted

    def ask(self, address: str, asker: Asker) -> None:
        """Let it have one turn, behind those who have asked from its address before."""
        counted = self._address[asker] = (
            address if address in self._proxies else counted_as(address)[-1]
        )
        self._waiting.setdefault(counted, OrderedDict())[asker] = None

    def forget(self, asker: Asker) -> None:
        """It waits no more, if it did."""
        address = self._address.pop(asker, None)
        if address is not None:
            waiting = self._waiting[address]
            del waiting[asker]
            if not waiting:
                del self._waiting[address]

    def run(self) -> float | None:
        """Let some have their turn.

        Returns:
            Seconds until it is to be called again: 0 when the others have had theirs. None when
                nobody waits.
        """
        processor, begin, steps = self._processor, self._processor(), 0
        while self._waiting:
            now = self._clock()
            address, wait = self._next(now)
            if wait:
                return wait
            asker = next(iter(self._waiting[address]))
            self.forget(asker)
            before = processor()
            whole = asker.turn()
            after = processor()
            steps += 1
            self._charge(address, after - before + OVERHEAD, now)
            if not whole or after - begin + steps * OVERHEAD >= TURN:
                return 0.0 if self._waiting else None
        return None

    def _next(self, now: float) -> tuple[str, float]:
        """The address that is next, and how many seconds that is from now."""
        wait = self._all.wait(now)
        if wait:
            return "", wait
        waits = []
        for _ in range(len(self._waiting)):
            address = next(iter(self._waiting))
            self._waiting.move_to_end(address)
            budget = self._budgets.get(address)
            waits.append(budget.wait(now) if budget is not None else 0.0)
            if not waits[-1]:
                return address, 0.0
        return "", min(waits)

    def _charge(self, address: str, seconds: float, now: float) -> None:
        self._all.spend(seconds)
        if address in self._proxies:
            return
        budget = self._budgets.get(address)
        if budget is None:
            budget = self._budgets[address] = Budget(OF_ONE, AT_ONCE_OF_ONE, now)
            if len(self._budgets) > MAX_ADDRESSES:
                self._budgets.popitem(last=False)
        self._budgets.move_to_end(address)
        budget.spend(seconds)
