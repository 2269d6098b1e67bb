"""What every attack works with: its pace, its connections, its counters."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Generic, TypeVar

from .peers import Peer, Site

SOURCE = "127.0.0.66"
"""The attacker's address."""

TICK = 0.01
"""Seconds between two looks at what is due."""

AT_A_STRETCH = 0.05
"""Seconds after which an attacker that is behind its pace looks at what has come, before it goes
on.
"""

RETRY = 0.1
"""Seconds after which a connection that was cut off or refused comes anew."""

COMING = 250
"""Connections a second by which held ones are built up, and by which they are renewed.

Deadlines of 10 s end 56 a second of 560.
"""

LOOK = 0.1
"""Seconds between two looks at how many connections are held."""

IN_FLIGHT = 300
"""Connections under way at a time, for attacks that wait for an answer; what is beyond is offered
and not taken.
"""

_Line = TypeVar("_Line", bound=Peer)


@dataclass(frozen=True)
class Assault:
    """What an attacker did. Amounts are in the attack's unit: so many a second, or connections that
    are held.

    Attributes:
        seconds: How long.
        due: What should have been offered.
        offered: What was offered. What the relay did not take counts, too: it was there.
        taken: What the relay has let in.
        landed: How often the attack got to where it does its work: at 0 it was none.
        answers: What the relay said: statuses, close codes, or how a connection ended, and how
            often.
    """

    seconds: float
    due: float
    offered: float
    taken: float
    landed: int
    answers: dict[str, int] = field(default_factory=dict)


class Force:
    """One attacker. An attack is a coroutine that is given one; it prepares itself, awaits `begin`,
    and then goes on until it is cancelled.

    Args:
        site: What it attacks.
        rate: What is wanted, in the attack's unit.
        step: How much of it is offered at once.
        clock: Monotonic seconds.

    Attributes:
        watching, filming: Its cookies, if it is a guest.
        landed, answers: See Assault.
        ready: Set when it has prepared itself.
    """

    def __init__(
        self, site: Site, rate: float, step: float = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.site = site
        self.rate = rate
        self.watching = self.filming = ""
        self.landed = 0
        self.answers: Counter[str] = Counter()
        self.ready = asyncio.Event()
        self._step = step
        self._clock = clock
        self._go = asyncio.Event()
        self._begun = 0.0
        self._offered = self._taken = 0.0
        self._held: set[Peer] = set()
        # Of held connections, now and then; None for an attack that holds none.
        self._counts: list[int] | None = None
        self._next = 0.0  # when the next connection may come anew
        self._came = 0  # how many connections were to be held so far
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """The attack is prepared; returns when it is to begin."""
        self.ready.set()
        await self._go.wait()

    def go(self) -> None:
        """From now on it counts."""
        self._begun = self._clock()
        self._go.set()

    def report(self) -> Assault:
        """What has happened since `go`."""
        seconds = self._clock() - self._begun
        answers = dict(self.answers)
        if self._counts is not None:
            return Assault(
                seconds, self.rate, self._came, fmean(self._counts or [0]), self.landed, answers
            )
        due = max(
            self._step, self._due(seconds) - self._step
        )  # the last step may be about to be offered
        return Assault(
            seconds,
            due / seconds,
            self._offered / seconds,
            self._taken / seconds,
            self.landed,
            answers,
        )

    def _due(self, seconds: float) -> float:
        """How much is to be offered so many seconds after the begin: the first step at once."""
        return (1 + int(seconds * self.rate / self._step)) * self._step

    # --- the pace ---

    async def pace(self, offer: Callable[[], bool]) -> None:
        """Offers at the wanted rate, whatever the relay does: an attacker waits for nothing.

        Args:
            offer: Offers one step; whether the relay took it.
        """
        while True:
            done = self.catch_up(offer)
            await asyncio.sleep(TICK if done else 0)

    def catch_up(self, offer: Callable[[], bool]) -> bool:
        """Offers what is due, for `AT_A_STRETCH` at most; whether that was all."""
        now = self._clock()
        due = self._due(now - self._begun) - self._step / 2
        until = now + AT_A_STRETCH
        while self._offered < due and self._clock() < until:
            self._offered += self._step
            if offer():
                self._taken += self._step
        return self._offered >= due

    async def each(self, once: Callable[[], Awaitable[None]]) -> None:
        """Begins something at the wanted rate, and lets it go on beside all that was begun before.

        Args:
            once: Raises OSError or EOFError where the relay has none of it.
        """

        async def one() -> None:
            try:
                await once()
            except (OSError, EOFError) as error:
                self.answers[word(error)] += 1
            finally:
                self._under_way -= 1

        def offer() -> bool:
            if self._under_way >= IN_FLIGHT:
                return False
            self._under_way += 1
            self.spawn(one())
            return True

        await self.pace(offer)

    # --- connections ---

    async def hold(self, connect: Callable[[int], Awaitable[Peer]]) -> None:
        """Tries to have as many connections as wanted, and then, from the attack's begin, holds
        them; those that are cut off or refused come anew.

        Args:
            connect: Opens the one with this number.
        """
        counts: list[int] = []
        self._counts = counts

        async def keep(number: int) -> None:
            while True:
                await self.stay(lambda: connect(number))
                now = self._clock()
                self._next = max(now, self._next + 1 / COMING)
                await asyncio.sleep(self._next - now)

        for number in range(int(self.rate)):
            self._came += 1
            self.spawn(keep(number))
            await asyncio.sleep(1 / COMING)
        await self.begin()
        while True:
            await asyncio.sleep(LOOK)
            counts.append(len(self._held))

    async def stay(self, connect: Callable[[], Awaitable[Peer]]) -> None:
        """One connection, until it is over; how it ended is counted."""
        try:
            peer = await connect()
        except (OSError, EOFError) as error:
            self.answers[word(error)] += 1
            await asyncio.sleep(RETRY)
            return
        self.landed += 1
        self._held.add(peer)
        try:
            ended = await peer.ended
            self.answers[ended] += 1
        finally:
            self._held.discard(peer)
            peer.leave()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Lets something go on until the attack ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Leaves everything."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Lane(Generic[_Line]):
    """A connection that is there all the time: when it is cut off or refused, it comes anew.

    Attributes:
        line: None while it is not there.
    """

    def __init__(self, force: Force, connect: Callable[[], Awaitable[_Line]]) -> None:
        self.line: _Line | None = None
        self._connect = connect
        self._opened = asyncio.Event()
        force.spawn(self._again(force))

    async def _again(self, force: Force) -> None:
        async def connect() -> _Line:
            self.line = await self._connect()
            self._opened.set()
            return self.line

        while True:
            await force.stay(connect)
            self.line = None
            await asyncio.sleep(RETRY)

    async def opened(self) -> None:
        """Returns once it has been there."""
        await self._opened.wait()

    def send(self, data: bytes) -> bool:
        """Whether it went out."""
        return self.line is not None and self.line.send(data)


def in_turn(lanes: list[Lane[_Line]]) -> Callable[[], Lane[_Line]]:
    """One after the other, for ever."""
    return itertools.cycle(lanes).__next__


def word(error: BaseException) -> str:
    """Why there was no connection, in a word or two."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, ConnectionError):
        return "cut off"
    return str(error)[:40] or type(error).__name__
