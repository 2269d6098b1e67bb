"""How much of one turn of the event loop goes to the sockets of one address: what a peer sends
beyond that waits for the next turn.

So one address that sends as much as it may, over as many sockets as it may have, delays the others
by a few milliseconds, however much work it makes. Nobody is sent away for it, and where nobody else
wants the time, nothing is lost. No sockets, no asyncio, no clock of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol
from weakref import WeakValueDictionary

from .limits import counted_as

# Seconds of one turn for all addresses that want more than they get, and at least for each of them.
# A picture waits for no longer before it is passed on.
TURN = 0.004
LEAST = 0.0005

# Seconds that an HTTP request counts for: its own work is done in many small parts, of which nobody
# keeps account.
_REQUEST = 0.001

# Seconds of work after which the end of the turn is waited for; less is not counted turn by turn,
# because that would cost as much itself.
_NOTICED = 0.001


class Worker(Protocol):
    """A socket."""

    def go_on(self) -> None:
        """Do a piece of the work, and say what was spent.

        If some is left, `Share.wait` again, or go on while the share is free.
        """


class Share:
    """What one address has of each turn.

    Attributes:
        spent: Seconds of this turn.
    """

    __slots__ = ("__weakref__", "_scheduler", "_waiting", "spent")

    def __init__(self, scheduler: Scheduler) -> None:
        self.spent = 0.0
        self._scheduler = scheduler
        self._waiting: deque[Worker] = deque()

    @property
    def is_free(self) -> bool:
        """Whether something is left of it in this turn, and no other waits for that."""
        return self.spent < self._scheduler.allowed and not self._waiting

    def spend(self, seconds: float) -> None:
        """So much work was done."""
        self.spent += seconds
        if self.spent >= _NOTICED:
            self._scheduler.notice(self)

    def wait(self, worker: Worker) -> None:
        """`go_on` is called when it is this one's turn. To be called once until then."""
        self._waiting.append(worker)
        self._scheduler.notice(self)

    async def turn(self) -> None:
        """Return when an HTTP request of this address has its turn."""
        if self.is_free:
            self.spend(_REQUEST)
        else:
            request = _Request(self)
            self.wait(request)
            await request.turn

    @property
    def has_work(self) -> bool:
        """Whether some wait."""
        return bool(self._waiting)

    def serve(self) -> None:
        """Let those go on that wait, one after the other."""
        while self._waiting and self.spent < self._scheduler.allowed:
            self._waiting.popleft().go_on()


class _Request:
    """Waits for its turn."""

    __slots__ = ("_share", "turn")

    def __init__(self, share: Share) -> None:
        self.turn = asyncio.get_running_loop().create_future()
        self._share = share

    def go_on(self) -> None:
        if not self.turn.done():  # if it is, its connection has gone
            self._share.spend(_REQUEST)
            self.turn.set_result(None)


class Scheduler:
    """Shares the turns of one event loop.

    Attributes:
        allowed: Seconds of this turn for each address.
    """

    def __init__(self, soon: Callable[[Callable[[], None]], object]) -> None:
        """
        Args:
            soon: Has something called in the loop's next turn, as ``call_soon`` does.
        """
        self.allowed = TURN
        self._soon = soon
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()
        self._busy: dict[Share, None] = {}  # those that are looked at when the turn is over
        self._is_due = False

    def share(self, address: str) -> Share:
        """That of an address, or of its network: see `limits.counted_as`.

        It is the caller's to keep.
        """
        name = counted_as(address)[-1]
        share = self._shares.get(name)
        if share is None:
            share = self._shares[name] = Share(self)
        return share

    def notice(self, share: Share) -> None:
        """It has spent something worth counting, or somebody waits."""
        self._busy[share] = None
        if not self._is_due:
            self._is_due = True
            self._soon(self._next_turn)

    def _next_turn(self) -> None:
        self._is_due = False
        busy, self._busy = self._busy, {}
        for share in busy:
            share.spent = 0.0
        wanting = [share for share in busy if share.has_work]
        self.allowed = max(LEAST, TURN / max(1, len(wanting)))
        for share in wanting:
            share.serve()
            if share.has_work:
                self.notice(share)
