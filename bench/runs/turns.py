"""What one server does in one turn of the fan-out bench, measured from outside."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.actors.contestants import NAME, Case, Server, resident
from bench.actors.remote import Remote
from bench.actors.sinks import Joined, Seen, Sinks
from bench.gauges.cpu import RELAY, CpuMeter
from bench.gauges.samples import percentile

FEW = 4
"""Viewers that come first: what a server's memory grows by once is not the other viewers'."""

FEW_STAY = 0.7
"""Seconds that these are alone."""

JOIN_RATE = 10.0
"""Messages a second while viewers come, before the span that counts."""

ON_THE_WAY = 0.5
"""Seconds after it in which messages of it may still arrive."""

LOAD = 0.5
"""Half load: the share of its processor that the relay shall use."""

FASTEST = 400.0
"""Messages a second, at most: with more, Python's camera and viewers would be what is measured."""

FIRST_GUESS = 12e-6, 1e-9
"""Seconds of CPU per message and viewer, and per byte of it, with which the search for half load
begins.
"""

WATCHING = 50
"""Viewers that are there when the rush comes."""

RUSH_SIZE, RUSH_RATE = 12_000, 30.0
"""What is filmed meanwhile: 2.9 Mbit/s."""

RUSH_NICE = 5
"""By how much those that come are nicer (see nice(2)) than those that watch: they share a
processor, which no viewers do in real life.
"""

QUIET = 3.0
"""Seconds for which the longest gap is taken before the rush."""


class Cores(NamedTuple):
    """Processors: one for the server, one for the camera and the viewers."""

    server: int
    others: int


@dataclass(frozen=True)
class Turn:
    """One server, for some seconds.

    Attributes:
        server: Its name.
        rate: Messages a second that it was given.
        cost: Its seconds of CPU (user and system) per message and viewer.
        load: The share of its processor that it used.
        p50, p99: Milliseconds from the camera's send to the whole message at a viewer, over all
            messages and viewers.
        missed: The share of all messages that did not come.
        memory: Bytes that it grew by for each viewer.
        joins: Handshakes a second, when all but a few came at once.
        others: The share of their processor that camera and viewers used.
        cipher: That of TLS, or "".
    """

    server: str
    rate: float
    cost: float
    load: float
    p50: float
    p99: float
    missed: float
    memory: float
    joins: float
    others: float
    cipher: str


@dataclass(frozen=True)
class Rush:
    """Many that join at once.

    Attributes:
        server: Its name.
        tls: Whether it is over TLS.
        count: How many came.
        joined: How.
        quiet: Milliseconds: the longest gap of those that were there, before.
        gap: The same, from the first that came until all had a picture.
    """

    server: str
    tls: bool
    count: int
    joined: Joined
    quiet: float
    gap: float


def counted(seen: Seen, begin: float, end: float, viewers: int) -> tuple[int, list[float], float]:
    """What came in [begin, end).

    Returns:
        How many messages arrived in it; the delays in ms of all that were captured in it; and the
        share of those that did not come to all of the viewers, although another one has that
        message or a later one.
    """
    arrived = sum(begin <= moment < end for moment in seen.arrived)
    inside = [index for index, moment in enumerate(seen.captured) if begin <= moment < end]
    delays = [(seen.arrived[index] - seen.captured[index]) * 1000 for index in inside]
    numbers = Counter(seen.numbers[index] for index in inside)
    expected = (max(numbers) - min(numbers) + 1) * viewers if numbers else 0
    return arrived, delays, 1 - sum(numbers.values()) / expected if expected else 1.0


def rate_for(cost: float, viewers: int) -> float:
    """Messages a second at which a server with this cost is at half load."""
    return min(FASTEST, LOAD / (cost * viewers))


def ratio(turns: Sequence[Turn], others: Sequence[Turn]) -> float | None:
    """The median of the ratios of cost, round by round; None if one of the two was not there."""
    return (
        median(one.cost / other.cost for one, other in zip(turns, others, strict=True))
        if turns and others
        else None
    )


async def half_load(kind: type[Server], case: Case, cores: Cores, state: Path) -> float:
    """The rate at which this server is at half load with this case, found in two short turns."""
    each, byte = FIRST_GUESS
    rate = rate_for(each + byte * case.size, case.viewers) / 2
    for _ in range(2):
        rate = rate_for((await turn(kind, case, rate, 1.0, cores, state)).cost, case.viewers)
    return rate


async def turn(
    kind: type[Server], case: Case, rate: float, seconds: float, cores: Cores, state: Path
) -> Turn:
    """One turn: the server starts, viewers come, the camera films at this rate, and everything
    ends.

    Raises:
        RuntimeError: A viewer got no picture, or the camera failed.
    """
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(kind(case, cores.server, state))
        film = await stack.enter_async_context(
            Remote(server.film, server.address, NAME, case.picture, core=cores.others)
        )
        await film.ask("pace", JOIN_RATE)
        sinks = await stack.enter_async_context(
            Remote(Sinks, server.address, f"/player/{NAME}", core=cores.others)
        )
        await sinks.ask("join", FEW)
        await asyncio.sleep(FEW_STAY)
        before = resident(server.pid)
        joined: Joined = await sinks.ask("join", case.viewers - FEW)
        if joined.opened is None or joined.without:
            raise RuntimeError(
                f"{server.name}, {case}: {joined.without} viewers got no picture, "
                f"{joined.refused} times one was refused"
            )
        await film.ask("pace", rate)
        await asyncio.sleep(server.settling)
        await sinks.ask("take")
        busy = await sinks.ask("cpu") + await film.ask("cpu")
        meter, begin = CpuMeter(server.pid, None), time.monotonic()
        await asyncio.sleep(seconds)
        spent, end = meter.seconds()[RELAY], time.monotonic()
        busy = await sinks.ask("cpu") + await film.ask("cpu") - busy
        memory = resident(server.pid)
        await asyncio.sleep(ON_THE_WAY)
        seen: Seen = await sinks.ask("take")
        if fault := await film.ask("fault"):
            raise RuntimeError(f"{server.name}, {case}: the camera films no more: {fault}")
        arrived, delays, missed = counted(seen, begin, end, case.viewers)
        if not arrived or not delays:
            raise RuntimeError(f"{server.name}, {case}: nothing came")
        return Turn(
            server=server.name,
            rate=rate,
            cost=spent / arrived,
            load=spent / (end - begin),
            p50=percentile(delays, 0.5),
            p99=percentile(delays, 0.99),
            missed=missed,
            memory=(memory - before) / (case.viewers - FEW),
            joins=(case.viewers - FEW) / joined.opened,
            others=busy / (end - begin),
            cipher=seen.cipher,
        )


async def rush(kind: type[Server], count: int, tls: bool, cores: Cores, state: Path) -> Rush:
    """So many join at once, and some are there already."""
    case = Case(WATCHING + count, RUSH_SIZE, tls)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(kind(case, cores.server, state))
        film = await stack.enter_async_context(
            Remote(server.film, server.address, NAME, case.picture, core=cores.others)
        )
        await film.ask("pace", RUSH_RATE)
        there = await stack.enter_async_context(
            Remote(Sinks, server.address, f"/player/{NAME}", core=cores.others)
        )
        await there.ask("join", WATCHING)
        crowd = await stack.enter_async_context(
            Remote(Sinks, server.address, f"/player/{NAME}", RUSH_NICE, core=cores.others)
        )
        await there.ask("take")
        await asyncio.sleep(QUIET)
        quiet: Seen = await there.ask("take")
        joined: Joined = await crowd.ask("join", count)
        seen: Seen = await there.ask("take")
        return Rush(server.name, tls, count, joined, quiet.gap * 1000, seen.gap * 1000)
