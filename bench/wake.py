"""How soon does a camera that nobody watches wake up? `python -m bench.wake`

A camera page falls asleep, a player page is opened, and its pixels tell when the first picture is
seen: once with the lens on, where only the encoder sleeps, and once with the lens let go as well.
The two take turns. The bench's lens is there at once; a phone's takes what it takes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

if not __package__:
    # Started as a file: the repository, and not this folder, is where modules are looked for.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "bench"


from bench.actors.browser import BenchChromium
from bench.actors.stage import Size, Stage
from bench.gauges.machine import Machine
from bench.report.table import aligned, number
from bench.report.targets import Target, listed

from . import command

SIZE = Size(640, 480)

LIMITS = {"encoder": 1.0, "lens": 2.0}
"""What sleeps, and the seconds from the player's socket to its first picture that are claimed."""

ASLEEP = 40.0
"""Seconds after which a camera that nobody watches must be asleep; the relay waits for 10."""

FIRST = 15.0
"""Seconds in which a picture must come."""


@dataclass
class Wakes:
    """All wakes of one kind.

    Attributes:
        rests: What slept.
        seconds: From the player's socket to its first picture, which was filmed since: the relay
            has forgotten those of before.
    """

    rests: str
    seconds: list[float] = field(default_factory=list)

    def target(self) -> Target:
        limit = LIMITS[self.rests]
        worst = max(self.seconds)
        claim = f"with the {self.rests} asleep, the first viewer sees a picture within {limit:g} s"
        return Target(
            claim, f"p50 {median(self.seconds):.2f} s, worst {worst:.2f} s", worst <= limit
        )

    def line(self) -> list[str]:
        return [
            self.rests,
            str(len(self.seconds)),
            number(median(self.seconds), 2),
            number(max(self.seconds), 2),
        ]


async def wake(stage: Stage, wakes: Wakes) -> None:
    """One turn.

    Raises:
        PageError: The camera did not fall asleep, or no picture came.
    """
    name = stage.fresh_name()
    async with AsyncExitStack() as stack:
        camera = await stage.camera_page(
            name=name, start=1, width=SIZE.width, height=SIZE.height, fps=30, rest=wakes.rests
        )
        stack.push_async_callback(camera.close)
        await camera.wait_for(
            "document.getElementById('status').innerText.startsWith('Asleep')", ASLEEP
        )
        viewer = await stage.player_page(camera=name)
        stack.push_async_callback(viewer.close)
        await viewer.wait_for("bench.arrival().seen !== null", FIRST)
        first = await viewer.evaluate("bench.arrival()")
        wakes.seconds.append((first["seen"] - first["opened"]) / 1000)


async def run(chosen: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    kinds = [Wakes(rests) for rests in LIMITS]
    async with Stage(BenchChromium()) as stage:
        machine = Machine.look(stage.browser.version)
        print(f"{machine}\n", flush=True)
        for turn in range(chosen.rounds):
            for wakes in kinds if turn % 2 == 0 else reversed(kinds):
                await wake(stage, wakes)
                print(
                    f"round {turn + 1} of {chosen.rounds}: {wakes.rests} {wakes.seconds[-1]:.2f} s",
                    file=sys.stderr,
                    flush=True,
                )
    print(aligned(["asleep", "wakes", "p50 s", "worst s"], [wakes.line() for wakes in kinds]))
    print(f"\n{listed(wakes.target() for wakes in kinds)}")
    command.write(chosen, machine, [asdict(wakes) for wakes in kinds])
    return 0


def main(arguments: Sequence[str]) -> int:
    """The program; returns its exit status."""
    return command.status(
        run(
            command.rounds(
                "wake.py", "Measure how soon a sleeping camera shows a picture.", arguments
            )
        )
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
