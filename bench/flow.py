"""Do three bad viewers disturb seventeen good ones? `python -m bench.flow`

One camera of 4 Mbit/s (`scripted_camera.py`) and twenty viewers (`viewers.py`), without a browser.
In phase A all of them are good. In phase B one reads nothing, one has a tenth of the bandwidth that
the pictures need, and one comes anew every second. The phases take turns; told in `README.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

if not __package__:
    # Started as a file: the repository, and not this folder, is where modules are looked for.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "bench"

from bench.actors.remote import Address, Remote
from bench.actors.scripted_camera import PICTURE, RATE, Film
from bench.actors.viewers import Arrival, Crowd, Guests
from bench.gauges.cpu import OTHERS, RELAY, CpuMeter
from bench.gauges.machine import Machine
from bench.gauges.samples import percentile
from bench.report.memory import MEGABYTE
from bench.report.table import aligned, number
from bench.report.targets import Target, listed
from tests.harness.proxies import Proxy
from tests.harness.relays import Relay

from . import command

NAME = "film"
"""The camera's."""

STEADY = (9, 8)
"""The viewers that are good all the time, by process: each reads a few megabytes a second."""

BAD = 3
"""Viewers that are bad in phase B."""

NARROW = PICTURE * RATE / 10
"""Bytes a second that pass to the slow viewer: a tenth of what is filmed."""

SETTLING = 2.0
"""Seconds after a change that do not count for the good viewers."""

ON_THE_WAY = 1.0
"""Seconds after a phase in which pictures that were captured in it may still arrive."""

MEMORY_INTERVAL = 0.25
"""Seconds between two looks at the relay's memory."""

AGE_INTERVAL = 0.01
"""Seconds between two looks at the age of the picture that a viewer has."""

APART_LIMIT = 5.0
"""Milliseconds: the most by which the good viewers' p99 may differ between the phases."""

MEMORY_LIMIT = 1.0
"""MB: the most by which the relay may grow for each bad viewer."""

AGE_LIMIT = 1.5
"""Seconds: the most that the slow viewer's picture may be old."""


@dataclass(frozen=True)
class Phase:
    """What the seventeen saw, and what the relay spent.

    Attributes:
        bad: Whether there were bad viewers.
        delays: ms from capture to the last byte at the viewer, of all pictures of all viewers that
            were captured in the phase.
        longest_gap: ms between two pictures at one viewer.
        missed: Pictures that were captured in the phase and did not come, of all viewers together.
        memory: Bytes that the relay held at most.
        cpu: Its seconds of CPU per second.
        others: Those of all other processes of this computer, the camera and the viewers among
            them.
    """

    bad: bool
    delays: list[float]
    longest_gap: float
    missed: int
    memory: int
    cpu: float
    others: float


@dataclass(frozen=True)
class Slow:
    """One stay of the viewer with the narrow network.

    Attributes:
        ages: s, how old the newest picture was that it had, every `AGE_INTERVAL` from its first
            picture on.
        oldest: s, the most of that, taken at the moments just before a picture came.
        pictures: How many came.
        seconds: How long it stayed.
        drops: Frames that the relay left out for each of its viewers, the most first.
        stayed: Whether it was still connected at the end.
    """

    ages: list[float]
    oldest: float
    pictures: int
    seconds: float
    drops: list[int]
    stayed: bool


def seen(
    viewers: Sequence[Sequence[Arrival]], begin: float, end: float
) -> tuple[list[float], float, int]:
    """What came of the pictures that were captured in [begin, end).

    Returns:
        Delays in ms, the longest gap in ms, and how many did not come, although another viewer has
        that picture or a later one.
    """
    lists = [[one for one in arrivals if begin <= one.captured < end] for arrivals in viewers]
    numbers = [one.number for arrivals in lists for one in arrivals]
    filmed = max(numbers) - min(numbers) + 1 if numbers else 0
    moments = [[begin, *(one.arrived for one in arrivals)] for arrivals in lists]
    return (
        [(one.arrived - one.captured) * 1000 for arrivals in lists for one in arrivals],
        max(
            later - earlier
            for viewer in moments
            for earlier, later in pairwise([*viewer, max(viewer[-1], end)])
        )
        * 1000,
        sum(filmed - len({one.number for one in arrivals}) for arrivals in lists),
    )


def ages(arrivals: Sequence[Arrival], end: float) -> tuple[list[float], float]:
    """How old the newest picture is that a viewer has.

    Returns:
        Seconds, every `AGE_INTERVAL` from the first arrival to the end; and the most just before an
        arrival or at the end.
    """
    found: list[float] = []
    oldest = 0.0
    newest = 0.0  # when the newest picture so far was captured
    for one, until in zip(
        arrivals, [*(later.arrived for later in arrivals[1:]), end], strict=False
    ):
        newest = max(newest, one.captured)
        oldest = max(oldest, until - newest)
        steps = max(0, int((until - one.arrived) / AGE_INTERVAL))
        found += [one.arrived + step * AGE_INTERVAL - newest for step in range(steps + 1)]
    return found, oldest


@dataclass
class Flow:
    """All phases of one run."""

    phases: list[Phase] = field(default_factory=list)
    stays: list[Slow] = field(default_factory=list)

    def p99(self, bad: bool) -> float | None:
        """ms, of the phases of one kind."""
        delays = self._delays(bad)
        return percentile(delays, 0.99) if delays else None

    def _delays(self, bad: bool) -> list[float]:
        return [delay for phase in self.phases if phase.bad is bad for delay in phase.delays]

    @property
    def growth(self) -> float | None:
        """MB for each bad viewer: the most that the relay held in a phase with them, minus the
        least that it held in the one before.
        """
        grown = [
            (later.memory - earlier.memory) / BAD / MEGABYTE
            for earlier, later in pairwise(self.phases)
            if later.bad
        ]
        return max(grown, default=None)

    def table(self) -> str:
        head = [
            "the seventeen",
            "pictures",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "max ms",
            "gap ms",
            "missed",
            "relay CPU",
            "others",
            "relay MB",
        ]
        lines = [
            self._line(("A" if not phase.bad else "B") + f" {index // 2 + 1}", [phase])
            for index, phase in enumerate(self.phases)
        ]
        for bad, name in ((False, "A: all 20 good"), (True, f"B: {BAD} bad ones")):
            if chosen := [phase for phase in self.phases if phase.bad is bad]:
                lines.append(self._line(name, chosen))
        return aligned(head, lines)

    def _line(self, name: str, phases: Sequence[Phase]) -> list[str]:
        delays = [delay for phase in phases for delay in phase.delays]
        shares = [
            number(percentile(delays, share) if delays else None, 1)
            for share in (0.5, 0.95, 0.99, 1)
        ]
        return [
            name,
            str(len(delays)),
            *shares,
            number(max(phase.longest_gap for phase in phases)),
            str(sum(phase.missed for phase in phases)),
            number(sum(phase.cpu for phase in phases) / len(phases), 2),
            number(sum(phase.others for phase in phases) / len(phases), 2),
            number(max(phase.memory for phase in phases) / MEGABYTE, 1),
        ]

    def slow(self) -> str:
        """The table of the slow viewer's stays."""
        head = [
            "the slow one's picture",
            "pictures",
            "a second",
            "age p50 s",
            "p99 s",
            "oldest s",
            "drops of all, the most first",
        ]
        lines = []
        for index, stay in enumerate(self.stays):
            shares = [
                number(percentile(stay.ages, share) if stay.ages else None, 2)
                for share in (0.5, 0.99)
            ]
            rate = number(stay.pictures / stay.seconds, 1)
            drops = " ".join(map(str, stay.drops[: BAD + 1])) + (
                " ..." if len(stay.drops) > BAD + 1 else ""
            )
            name = f"B {index + 1}" + ("" if stay.stayed else " (it was cut off)")
            lines.append(
                [
                    name,
                    str(stay.pictures),
                    rate,
                    *shares,
                    number(stay.oldest if stay.pictures else None, 2),
                    drops,
                ]
            )
        return aligned(head, lines)

    def targets(self) -> list[Target]:
        good, bad = self.p99(False), self.p99(True)
        apart = None if good is None or bad is None else bad - good
        claim = f"p99 of the {sum(STEADY)} within {APART_LIMIT:g} ms of that without bad viewers"
        found = [
            Target(claim, f"{number(apart, 1)} ms", None if apart is None else apart <= APART_LIMIT)
        ]
        growth = self.growth
        claim = f"the relay grows by less than {MEMORY_LIMIT:g} MB for each bad viewer"
        found.append(
            Target(
                claim, f"{number(growth, 2)} MB", None if growth is None else growth < MEMORY_LIMIT
            )
        )
        claim = (
            "a viewer with a tenth of the bandwidth has a picture that is never older than "
            f"{AGE_LIMIT:g} s"
        )
        seen_any = bool(self.stays) and all(stay.pictures for stay in self.stays)
        oldest = max((stay.oldest for stay in self.stays), default=0.0)
        reached = (
            None
            if not self.stays
            else seen_any and oldest <= AGE_LIMIT and all(stay.stayed for stay in self.stays)
        )
        found.append(Target(claim, f"{oldest:.2f} s" if seen_any else "it saw no picture", reached))
        return found

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "phases": [asdict(phase) for phase in self.phases],
            "slow": [asdict(stay) for stay in self.stays],
            "targets": [asdict(target) for target in self.targets()],
        }


class Set:
    """Relay, camera, network and viewers, each in processes of their own: `async with Set(tls) as
    up`.
    """

    def __init__(self, tls: bool) -> None:
        self.relay = Relay(
            "--no-qr",
            "--always-on",
            NAME,
            *(["--tls", "--no-key", "--host", "127.0.0.1"] if tls else []),
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Set:
        async with AsyncExitStack() as stack:
            await asyncio.to_thread(self.relay.__enter__)
            stack.push(self.relay.__exit__)
            address = Address.of(self.relay)
            proxy = await stack.enter_async_context(Remote(Proxy, self.relay.port))
            await proxy.ask("throttle", NARROW)
            narrow = Address(await proxy.ask("port"), address.authority)
            self._film = await stack.enter_async_context(Remote(Film, address, NAME))
            self._steady = [
                await stack.enter_async_context(Remote(Crowd, address, NAME, count))
                for count in STEADY
            ]
            self._guests = await stack.enter_async_context(Remote(Guests, address, narrow, NAME))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._stack.aclose()

    async def phase(self, flow: Flow, bad: bool, seconds: float) -> None:
        """Adds one phase.

        Raises:
            RuntimeError: The camera or all pictures failed.
        """
        await self._guests.ask("misbehave" if bad else "behave")
        came = time.monotonic()
        await asyncio.sleep(SETTLING)
        await self._take()
        meter = CpuMeter(self.relay.pid, None)
        begin = time.monotonic()
        memory = 0
        while (left := begin + seconds - time.monotonic()) > 0:
            memory = max(memory, self.relay.resident)
            await asyncio.sleep(min(left, MEMORY_INTERVAL))
        end = time.monotonic()
        spent = meter.seconds()
        if bad:
            drops = await asyncio.to_thread(self._drops)
            arrivals, stayed = await self._guests.ask("slow")
            asked = time.monotonic()
            flow.stays.append(
                Slow(*ages(arrivals, asked), len(arrivals), asked - came, drops, stayed)
            )
        await asyncio.sleep(ON_THE_WAY)
        delays, gap, missed = seen(await self._take(), begin, end)
        flow.phases.append(
            Phase(
                bad,
                delays,
                gap,
                missed,
                memory,
                spent[RELAY] / (end - begin),
                spent[OTHERS] / (end - begin),
            )
        )
        if fault := await self._film.ask("fault"):
            raise RuntimeError(f"the camera films no more: {fault}")
        if not delays:
            raise RuntimeError("no picture came to any of the good viewers")

    async def _take(self) -> list[list[Arrival]]:
        return [arrivals for process in self._steady for arrivals in await process.ask("take")]

    def _drops(self) -> list[int]:
        address = Address.of(self.relay)
        with urllib.request.urlopen(
            f"{address.origin}/api/cameras", context=address.context(), timeout=10
        ) as answer:
            cameras = json.loads(answer.read())
        return sorted(
            (player["drops"] for camera in cameras for player in camera["players"]), reverse=True
        )


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; exits with a sentence when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="bench/flow.py", description="Measure whether bad viewers disturb good ones."
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        metavar="N",
        help="how often each phase has its turn (default: 5)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=10.0,
        metavar="S",
        help="seconds of each phase that count (default: 10)",
    )
    parser.add_argument("--tls", action="store_true", help="everything over TLS")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every measurement to this file"
    )
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 1 or chosen.seconds < 1:
        parser.error("at least one round, of at least one second")
    return chosen


async def run(chosen: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    machine = Machine.look("viewers without a browser")
    print(f"{machine}\n", flush=True)
    flow = Flow()
    async with Set(chosen.tls) as up:
        for turn in range(chosen.rounds):
            for bad in (False, True):
                print(
                    f"round {turn + 1} of {chosen.rounds}: {'B' if bad else 'A'}",
                    file=sys.stderr,
                    flush=True,
                )
                await up.phase(flow, bad, chosen.seconds)
    way = "TLS" if chosen.tls else "no TLS"
    print(
        f"{sum(STEADY) + BAD} viewers of {PICTURE * RATE * 8 / 1e6:.1f} Mbit/s, {way}, "
        f"{chosen.rounds} rounds of {chosen.seconds:g} s\n"
    )
    print(f"{flow.table()}\n\n{flow.slow()}\n\n{listed(flow.targets())}")
    command.write(chosen, machine, [flow.plain()])
    return 0


def main(arguments: list[str]) -> int:
    """The program; returns its exit status: 0 when everything was measured, whatever the numbers
    are.
    """
    return command.status(run(options(arguments)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
