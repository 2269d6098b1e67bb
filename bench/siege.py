"""Can a stranger, or a guest with one small key, stop the wall? `python -m bench.siege`

Each attack has a relay of its own, over TLS, beside a good camera with its viewer and newcomers who
show a good key; told in `README.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

if not __package__:
    # Started as a file: the repository, and not this folder, is where modules are looked for.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "bench"

from bench.actors.remote import Remote, RemoteError
from bench.attacks.attack import BYTES, Attack, Wish
from bench.attacks.attacker import Attacker
from bench.attacks.catalogue import ATTACKS
from bench.attacks.force import SOURCE, Assault
from bench.gauges.cpu import RELAY, CpuMeter
from bench.gauges.machine import Machine
from bench.gauges.samples import percentile
from bench.report.memory import MEGABYTE
from bench.report.table import aligned, number
from bench.report.targets import Target, listed
from tests.harness.relays import ROOT

from . import command
from .beside import IN_TIME, NEWCOMER, Newcomers, Pair, Try, Watched
from .besieged import Besieged, Ground

P99_LIMIT, MAX_LIMIT = 20.0, 200.0
"""Milliseconds from capture to the good viewer: what nobody sees, and what is not yet a freeze."""

LET_IN = 0.95
"""The share of newcomers that must get what they want in time."""

LOG_LIMIT = 10.0
"""MB of log a day, of all that strangers cause."""

CHANGE_INTERVAL = 30.0
"""Seconds in which viewers may change at most once what a camera films."""

FULL = 0.95
"""The share of the wanted rate below which an attack counts as not measured."""

SETTLING = 2.0
"""Seconds of peace before each attacker comes."""

LOOK = 0.25
"""Seconds between two looks at the relay's memory."""

MINUTE = 60.0
"""Seconds after which a relay may write the same kind of line only once a minute. The log of a day
is the first minute, and the second one again and again.
"""

NOISY = 150.0
"""MB of log a day, as the first seconds have it, beyond which no second minute is waited for: five
kinds of lines of 300 characters, once a second each, are 130.
"""

QUIET = "quiet"
"""The row without an attack."""

QUIET_EVERY = 12
"""Attacks between two of them."""

SAID = 2
"""Answers of the relay that are shown, the commonest."""


@dataclass(frozen=True)
class Row:
    """One attack on one relay.

    Attributes:
        root: The checkout.
        name: The attack's; `QUIET` for none.
        assault: What the attacker did; None for none.
        p50, p99, longest: ms from capture to the good viewer; None where it saw nothing, and the
            relay was gone.
        missed: Pictures that never came.
        told: Messages to the good camera, by type.
        cut: How one of the good pair was cut off, or the relay ended; "" if nothing was.
        newcomers, let_in: How many came, and how many of them got in.
        cpu: The relay's seconds of CPU a second.
        others: Those of all other processes.
        memory: MB that it has grown by at most.
        log: Bytes of its log a second.
        log_day: MB a day.
        seconds: How long the attack lasted that this is about.
        fault: What kept the row from being measured.
    """

    root: str
    name: str
    assault: Assault | None = None
    p50: float | None = None
    p99: float | None = None
    longest: float | None = None
    missed: int = 0
    told: dict[str, int] = field(default_factory=dict)
    cut: str = ""
    newcomers: int = 0
    let_in: int = 0
    cpu: float = 0.0
    others: float = 0.0
    memory: float = 0.0
    log: float = 0.0
    log_day: float = 0.0
    seconds: float = 0.0
    fault: str = ""

    @property
    def attack(self) -> Attack | None:
        return ATTACKS.get(self.name)

    @property
    def share(self) -> float | None:
        """Of the newcomers, those who got in."""
        return self.let_in / self.newcomers if self.newcomers else None

    def shortfalls(self) -> list[str]:
        """Why this row tells nothing of the relay."""
        if self.fault:
            return [self.fault]
        found = []
        if (assault := self.assault) is not None:
            if assault.offered < FULL * assault.due:
                found.append(
                    f"the attacker reached {assault.offered / assault.due:.0%} of its rate"
                )
            if not assault.landed:
                found.append("the attack never landed")
        if self.p99 is None or self.share is None:
            found.append("too short")
        return found

    def exceeded(self) -> list[str]:
        """Which limits it exceeds, in a few words each."""
        found = []
        if self.cut:
            found.append(f"cut off: {self.cut}")
        if self.p99 is not None and self.p99 > P99_LIMIT:
            found.append(f"p99 {self.p99:.0f} > {P99_LIMIT:.0f} ms")
        if self.longest is not None and self.longest > MAX_LIMIT:
            found.append(f"max {self.longest:.0f} > {MAX_LIMIT:.0f} ms")
        if self.share is not None and self.share < LET_IN:
            found.append(f"newcomers {self.share:.0%} < {LET_IN:.0%}")
        if (attack := self.attack) is not None:
            if self.memory > attack.growth:
                found.append(f"memory +{self.memory:.0f} > +{attack.growth:.0f} MB")
            changes = self.told.get("unplayable", 0)
            if attack.changes and changes > 1 + self.seconds / CHANGE_INTERVAL:
                found.append(f"{changes} changes of the camera")
        if self.log_day > LOG_LIMIT:
            found.append(f"log {self.log_day:.0f} > {LOG_LIMIT:.0f} MB a day")
        return found

    @property
    def held(self) -> bool | None:
        """Whether the relay held.

        An attacker that fell short shows nothing (None), unless it has done harm all the same.
        """
        landed = self.assault is None or self.assault.landed > 0
        if self.exceeded() and landed and not self.fault:
            return False
        return None if self.shortfalls() else True

    @property
    def why(self) -> str:
        """The explanation: what is exceeded, and what was not measured."""
        return "; ".join([*self.exceeded(), *self.shortfalls()])

    def target(self) -> Target:
        what = (
            f"{self.name} ({self.attack.does})" if self.attack is not None else "without an attack"
        )
        return Target(f"{self.root}: {what}", self.why or "all limits kept", self.held)


def log_of_a_day(sizes: Sequence[tuple[float, int]]) -> float:
    """MB that a relay writes a day, by what it has written so far.

    Args:
        sizes: Moments in s since the attack's begin, and the bytes written by then, in order; the
            first is (0, 0). If they go beyond two minutes, the second one stands for all after the
            first; else it goes on as it began.
    """
    last, size = sizes[-1]
    if last < 2 * MINUTE:
        return size / max(last, 1e-9) * 86_400 / MEGABYTE
    first = next(size for moment, size in sizes if moment >= MINUTE)
    second = next(size for moment, size in sizes if moment >= 2 * MINUTE) - first
    return (first + second * (86_400 / MINUTE - 1)) / MEGABYTE


def table(rows: Sequence[Row]) -> str:
    """All rows, with what is not reached at the end of each."""
    several = len({row.root for row in rows}) > 1
    head = [
        "attack",
        "wanted",
        "reached",
        "taken",
        "the relay said",
        "p50 ms",
        "p99 ms",
        "max ms",
        "missed",
        "newcomers",
        "CPU",
        "others",
    ]
    head += ["MB", "log B/s", "MB a day", "told/s", "held", "why not"]
    return aligned(head, [_line(row, several) for row in rows])


def _line(row: Row, several: bool) -> list[str]:
    assault, attack = row.assault, row.attack
    amounts = (
        ["-"] * 3
        if assault is None or attack is None
        else [_amount(x, attack) for x in (attack.rate, assault.offered, assault.taken)]
    )
    return [
        f"{row.name} @{row.root}" if several else row.name,
        *amounts,
        said(assault.answers if assault is not None else {}),
        *(number(value, 1) for value in (row.p50, row.p99, row.longest)),
        str(row.missed),
        "-" if row.share is None else f"{row.let_in}/{row.newcomers}",
        number(row.cpu, 2),
        number(row.others, 2),
        number(row.memory, 1),
        number(row.log),
        number(row.log_day, 1),
        number(sum(row.told.values()) / row.seconds if row.seconds else None, 1),
        {True: "yes", False: "NO", None: "not measured"}[row.held],
        row.why,
    ]


def _amount(value: float, attack: Attack) -> str:
    return (
        f"{value / 1e6:.2f} MB/s"
        if attack.unit == BYTES
        else f"{value:.3g} {attack.unit}"
        if value < 10
        else f"{value:.0f} {attack.unit}"
    )


def said(answers: dict[str, int]) -> str:
    """The commonest answers."""
    return (
        ", ".join(
            f"{count} x {what}"
            for what, count in sorted(answers.items(), key=lambda one: -one[1])[:SAID]
        )
        or "-"
    )


async def measured(ground: Ground, name: str, seconds: float) -> Row:
    """One row."""
    attack = ATTACKS.get(name)
    besieged = ground.relay(attack)
    try:
        async with AsyncExitStack() as stack:
            await asyncio.to_thread(besieged.__enter__)
            stack.push_async_callback(asyncio.to_thread, besieged.__exit__)
            return await _besiege(stack, ground, besieged, attack, seconds)
    except (RuntimeError, OSError) as error:
        return Row(ground.name, name, fault=str(error).strip().splitlines()[-1])


async def _besiege(
    stack: AsyncExitStack, ground: Ground, besieged: Besieged, attack: Attack | None, seconds: float
) -> Row:
    keys, site = ground.keys(), besieged.site
    wish = attack.wish if attack is not None else Wish.LOGIN
    source = SOURCE if attack is not None and attack.same_address else NEWCOMER
    key = keys["camera" if wish is Wish.CAMERA else "viewer"]
    pair = Remote(Pair, site, keys["camera"], keys["viewer"])
    newcomers = Remote(Newcomers, site, wish, key, source)
    await asyncio.gather(
        *map(stack.enter_async_context, (pair, newcomers))
    )  # at once: each has to import a lot
    await asyncio.sleep(SETTLING)
    before, attacker = besieged.resident, None
    if attack is not None:
        attacker = await stack.enter_async_context(Remote(Attacker, attack.name, site))
    if not await pair.ask("begin"):
        raise RuntimeError("the good viewer saw no picture before the attack")
    logged, meter, begin = besieged.logged, CpuMeter(besieged.pid, None), time.monotonic()
    if attacker is not None:
        await attacker.ask("begin")
    sizes, peak = [(0.0, 0)], before

    async def watch(until: float) -> None:
        nonlocal peak
        while (now := time.monotonic()) < begin + until and besieged.alive:
            await asyncio.sleep(min(LOOK, begin + until - now))
            peak = max(peak, besieged.resident)
            sizes.append((time.monotonic() - begin, besieged.logged - logged))

    await watch(seconds)
    end = time.monotonic()
    spent, lasted = meter.seconds(), end - begin
    rate = sizes[-1][1] / lasted
    if besieged.alive and LOG_LIMIT < log_of_a_day(sizes) <= NOISY:
        await watch(2 * MINUTE + LOOK)
    assault, fault = None, ""
    if attacker is not None:
        try:
            assault = await attacker.ask("end")
        except RemoteError as error:
            fault = f"the attacker failed: {str(error).strip().splitlines()[-1]}"
    await asyncio.sleep(IN_TIME)
    watched: Watched = await pair.ask("seen", begin, end)
    tries: list[Try] = await newcomers.ask("tries", begin, end)
    p50, p99, longest = (
        percentile(watched.delays, share) if watched.delays else None for share in (0.5, 0.99, 1.0)
    )
    return Row(
        ground.name,
        attack.name if attack is not None else QUIET,
        assault,
        p50,
        p99,
        longest,
        missed=watched.missed,
        told=watched.told,
        cut=watched.cut if besieged.alive else "the relay has ended",
        newcomers=len(tries),
        let_in=sum(one.took is not None for one in tries),
        cpu=spent[RELAY] / lasted,
        others=sum(value for kind, value in spent.items() if kind != RELAY) / lasted,
        memory=(peak - before) / MEGABYTE,
        log=rate,
        log_day=log_of_a_day(sizes),
        seconds=lasted,
        fault=fault,
    )


def order(names: Sequence[str]) -> Iterator[str]:
    """The attacks, with a row without one at the beginning, at the end, and now and then, so that
    the noise of the machine is seen.
    """
    for index, name in enumerate(names):
        if index % QUIET_EVERY == 0:
            yield QUIET
        yield name
    yield QUIET


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; exits with a sentence when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="bench/siege.py", description="Measure whether an attack disturbs the others."
    )
    parser.add_argument(
        "--attacks",
        nargs="+",
        default=list(ATTACKS),
        metavar="NAME",
        help="which (default: all); see --list",
    )
    parser.add_argument(
        "--seconds", type=float, default=10.0, metavar="S", help="how long each lasts (default: 10)"
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="say what each attack does, at which rate and why, and do nothing",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row to this file")
    roots = (
        "attack the relay of another checkout of the project; repeated, each attack has them "
        "in turn"
    )
    parser.add_argument("--root", type=Path, action="append", metavar="DIR", help=roots)
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.attacks if name not in ATTACKS]:
        parser.error(f"no attack is called {', '.join(unknown)}: see --list")
    chosen.root = chosen.root or [ROOT]
    if wrong := [root for root in chosen.root if not (root / "relay.py").is_file()]:
        parser.error(f"{wrong[0]} has no relay.py")
    if chosen.seconds < 1:
        parser.error("at least one second")
    return chosen


def catalogue() -> str:
    """What there is."""
    lines = [[one.name, _amount(one.rate, one), one.does, one.why] for one in ATTACKS.values()]
    return aligned(["attack", "rate", "what happens", "why at this rate"], lines)


async def run(chosen: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    if chosen.list:
        print(catalogue())
        return 0
    machine = Machine.look("no browser")
    print(f"{machine}\n", flush=True)
    rows: list[Row] = []
    with ExitStack() as stack:
        grounds = [stack.enter_context(Ground(root)) for root in chosen.root]
        for name in order(chosen.attacks):
            for ground in grounds:
                rows.append(await measured(ground, name, chosen.seconds))
                print(rows[-1].target(), file=sys.stderr, flush=True)
                command.write(
                    chosen, machine, [plain(row) for row in rows]
                )  # at once: a run takes long
    print(f"{table(rows)}\n\n{listed(row.target() for row in rows)}")
    return 0


def plain(row: Row) -> dict[str, Any]:
    """For JSON."""
    return {**asdict(row), "share": row.share, "held": row.held, "why": row.why}


def main(arguments: list[str]) -> int:
    """The program; returns its exit status: 0 when everything was measured, whatever the numbers
    are.
    """
    return command.status(run(options(arguments)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
