"""What does one message to one viewer cost? `python -m bench.fanout`

The real relay, Node's `ws` and the least that any server must do (`floor.py`) pass the same
messages on to the same viewers, each on one processor; camera and viewers are on another. They take
turns; told in `README.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

if not __package__:
    # Started as a file: the repository, and not this folder, is where modules are looked for.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "bench"

from bench.actors.contestants import (
    Case,
    FloorServer,
    NodeServer,
    RelayServer,
    Server,
    missing_node,
)
from bench.gauges.machine import Machine
from bench.report.table import aligned, number
from bench.report.targets import Target, listed
from bench.runs.turns import FEW, Cores, Rush, Turn, half_load, ratio, rush, turn

from . import command

VIEWERS, SIZES = (50, 200, 1000), (2, 12, 60)
"""Viewers, and KB of a message."""

CLAIMED_VIEWERS, CLAIMED_SIZE = 200, 12_000
"""What the claims are about."""

TO_NODE, TO_FLOOR = 0.75, 1.25
"""CPU per message and viewer: the most, compared with Node's and with the floor's."""

P99_LIMIT = 10.0
"""Milliseconds from the camera's send to a viewer, at half load, over TLS."""

MEMORY_LIMIT = 100.0
"""KB for each viewer, over TLS."""

RUSH, RUSH_LIMIT, GAP_LIMIT = 1000, 5.0, 200.0
"""Viewers that join at once; seconds in which they all have a picture; milliseconds that those who
are there may be without one.
"""


@dataclass
class Comparison:
    """All turns of one case, round by round."""

    case: Case
    turns: dict[str, list[Turn]] = field(default_factory=dict)

    def add(self, one: Turn) -> None:
        self.turns.setdefault(one.server, []).append(one)

    def ratio(self, other: str) -> float | None:
        """The relay's cost compared with that of this server."""
        return ratio(self._of("relay"), self._of(other))

    def middle(self, server: str, value: Callable[[Turn], float]) -> float | None:
        """The median of this server's rounds."""
        turns = self._of(server)
        return median(map(value, turns)) if turns else None

    def _of(self, server: str) -> list[Turn]:
        return self.turns.get(server, [])

    def table(self) -> str:
        any_turn = next(iter(self.turns.values()))[0]
        head = [
            f"{self.case}, {any_turn.rate:.0f} a second",
            "us",
            "min",
            "max",
            "to floor",
            "to node",
            "load",
            "p50 ms",
            "p99 ms",
        ]
        head += ["worst p99", "missed %", "KB/viewer", "joins/s", "viewers' load"]
        return aligned(
            head,
            [
                self._line(server, turns)
                for server, turns in sorted(self.turns.items(), key=lambda one: one[0] != "relay")
            ],
        )

    def _line(self, server: str, turns: Sequence[Turn]) -> list[str]:
        costs = [one.cost * 1e6 for one in turns]
        return [
            server,
            *(number(value, 1) for value in (median(costs), min(costs), max(costs))),
            *(number(ratio(turns, self._of(other)), 2) for other in ("floor", "node")),
            number(self.middle(server, lambda one: one.load), 2),
            *(
                number(value, 1)
                for value in (
                    self.middle(server, lambda one: one.p50),
                    self.middle(server, lambda one: one.p99),
                )
            ),
            number(max(one.p99 for one in turns), 1),
            number(median(one.missed for one in turns) * 100, 1),
            number(median(one.memory for one in turns) / 1000),
            number(median(one.joins for one in turns)),
            number(median(one.others for one in turns), 2),
        ]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "case": asdict(self.case),
            "turns": {
                server: [asdict(one) for one in turns] for server, turns in self.turns.items()
            },
        }

    def targets(self) -> list[Target]:
        """What is claimed of this case, if it is one of which something is."""
        if (self.case.viewers, self.case.size) != (CLAIMED_VIEWERS, CLAIMED_SIZE):
            return []
        found = []
        for other, limit in (("node", TO_NODE), ("floor", TO_FLOOR)):
            value = self.ratio(other)
            claim = f"{self.case}: CPU per message and viewer at most {limit:g} of {other}'s"
            found.append(Target(claim, number(value, 2), None if value is None else value <= limit))
        if self.case.tls:
            delay = self.middle("relay", lambda one: one.p99)
            claim = f"{self.case}: p99 from send to viewer below {P99_LIMIT:g} ms at half load"
            found.append(
                Target(
                    claim, f"{number(delay, 1)} ms", None if delay is None else delay < P99_LIMIT
                )
            )
            memory, nodes = (
                self.middle(server, lambda one: one.memory / 1000) for server in ("relay", "node")
            )
            claim = f"{self.case}: less than {MEMORY_LIMIT:g} KB of memory for each viewer"
            found.append(
                Target(
                    claim,
                    f"{number(memory)} KB (node: {number(nodes)} KB)",
                    None if memory is None else memory < MEMORY_LIMIT,
                )
            )
        return found


def rushes_table(rushes: Sequence[Rush]) -> str:
    head = [
        "all at once",
        "come",
        "open s",
        "picture s",
        "refusals",
        "without",
        "gap before ms",
        "gap ms",
    ]
    lines = []
    for one in rushes:
        joined = one.joined
        times = [
            number(joined.opened, 2),
            number(joined.pictured, 2),
            str(joined.refused),
            str(joined.without),
        ]
        name = f"{one.server} {'TLS' if one.tls else 'plain'}"
        lines.append([name, str(one.count), *times, number(one.quiet), number(one.gap)])
    return aligned(head, lines)


def rush_targets(rushes: Sequence[Rush]) -> list[Target]:
    """What is claimed of the relay, of the worst of its rushes of each kind."""
    found = []
    for tls in (False, True):
        chosen = [one for one in rushes if one.server == "relay" and one.tls is tls]
        if not chosen:
            continue
        way, count = "TLS" if tls else "plain", chosen[0].count
        without = max(one.joined.without for one in chosen)
        slowest = max(
            (one.joined.pictured for one in chosen if one.joined.pictured is not None), default=None
        )
        claim = f"{count} at once, {way}: all have a picture within {RUSH_LIMIT:g} s"
        told = f"{number(slowest, 2)} s" if not without else f"{without} had none"
        whole = count >= RUSH  # with fewer, this run cannot tell
        found.append(
            Target(
                claim,
                told,
                (not without and slowest is not None and slowest <= RUSH_LIMIT) if whole else None,
            )
        )
        gap = max(one.gap for one in chosen)
        claim = f"{count} at once, {way}: those who watch see no gap above {GAP_LIMIT:g} ms"
        found.append(Target(claim, f"{gap:.0f} ms", gap <= GAP_LIMIT if whole else None))
    return found


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; exits with a sentence when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="bench/fanout.py", description="Measure what one message to one viewer costs."
    )
    parser.add_argument(
        "--viewers",
        type=_numbers,
        default=list(VIEWERS),
        metavar="N,N",
        help="how many (default: 50,200,1000)",
    )
    parser.add_argument(
        "--sizes",
        type=_numbers,
        default=list(SIZES),
        metavar="KB,KB",
        help="of a message (default: 2,12,60)",
    )
    parser.add_argument("--tls", action="store_true", help="only over TLS")
    parser.add_argument("--plain", action="store_true", help="only without TLS")
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        metavar="N",
        help="how often each server has its turn (default: 5)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=5.0,
        metavar="S",
        help="seconds of a turn that count (default: 5)",
    )
    parser.add_argument(
        "--rush",
        type=int,
        default=RUSH,
        metavar="N",
        help=f"viewers that join at once (default: {RUSH}; 0 for no rush)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="200 viewers, 12 KB, three rounds of 3 s, no rush"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every measurement to this file"
    )
    chosen = parser.parse_args(arguments)
    if chosen.quick:
        chosen.viewers, chosen.sizes = [CLAIMED_VIEWERS], [CLAIMED_SIZE // 1000]
        chosen.rounds, chosen.seconds, chosen.rush = 3, 3.0, 0
    if chosen.rounds < 1 or chosen.seconds < 1:
        parser.error("at least one round, of at least one second")
    if min(chosen.viewers) <= FEW or not 1 <= min(chosen.sizes) <= max(chosen.sizes) <= 1000:
        parser.error(f"more than {FEW} viewers, and messages of 1 to 1000 KB")
    chosen.ways = [
        tls
        for tls, other in ((False, chosen.tls), (True, chosen.plain))
        if not other or (chosen.tls and chosen.plain)
    ]
    return chosen


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


def cores() -> Cores:
    """
    Raises:
        RuntimeError: There is only one.
    """
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        raise RuntimeError(
            "This bench needs two processors: one for the server, one for all others."
        )
    return Cores(others[-1], first)


async def compare(
    case: Case, kinds: Sequence[type[Server]], chosen: argparse.Namespace, on: Cores, state: Path
) -> Comparison:
    """All rounds of one case. The servers take turns, in another order each round."""
    comparison = Comparison(case)
    rate = await half_load(RelayServer, case, on, state)
    for index in range(chosen.rounds):
        first = index % len(kinds)
        for kind in [*kinds[first:], *kinds[:first]]:
            one = await turn(kind, case, rate, chosen.seconds, on, state)
            comparison.add(one)
            print(
                (
                    f"{case}, round {index + 1} of {chosen.rounds}: {one.server} "
                    f"{one.cost * 1e6:.1f} us"
                ),
                file=sys.stderr,
                flush=True,
            )
    return comparison


async def run(chosen: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    machine = Machine.look("no browser")
    print(f"{machine}\n", flush=True)
    on = cores()
    kinds: list[type[Server]] = [RelayServer, FloorServer]
    if sentence := await asyncio.to_thread(missing_node):
        print(f"{sentence}\n")
    else:
        kinds.append(NodeServer)
    comparisons, rushes = [], []
    with tempfile.TemporaryDirectory(prefix="drawercam-") as folder:
        for tls in chosen.ways:
            for viewers in chosen.viewers:
                for size in chosen.sizes:
                    comparisons.append(
                        await compare(
                            Case(viewers, size * 1000, tls), kinds, chosen, on, Path(folder)
                        )
                    )
                    print(f"{comparisons[-1].table()}\n", flush=True)
            for index in range(chosen.rounds if chosen.rush else 0):
                for kind in (RelayServer, NodeServer) if NodeServer in kinds else (RelayServer,):
                    rushes.append(await rush(kind, chosen.rush, tls, on, Path(folder)))
                    print(
                        f"rush {index + 1} of {chosen.rounds}: {rushes[-1].server}",
                        file=sys.stderr,
                        flush=True,
                    )
    if rushes:
        print(f"{rushes_table(rushes)}\n")
    print(
        listed([target for one in comparisons for target in one.targets()] + rush_targets(rushes))
    )
    if ciphers := {
        turn.cipher
        for one in comparisons
        for turns in one.turns.values()
        for turn in turns
        if turn.cipher
    }:
        print(f"\nTLS 1.3 with {' and '.join(sorted(ciphers))}.")
    command.write(
        chosen, machine, [*(one.plain() for one in comparisons), *(asdict(one) for one in rushes)]
    )
    return 0


def main(arguments: list[str]) -> int:
    """The program; returns its exit status: 0 when everything was measured, whatever the numbers
    are.
    """
    return command.status(run(options(arguments)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
