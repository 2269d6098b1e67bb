"""How well do old browsers watch? `python -m bench.old`

Chrome of 2018 to 2022 and, to compare, the Chromium of today each open player.html for `relay.py
film test`, which films in VP8 for them. The painted clock is read from their pixels: how soon the
first picture is there, how many there are, and how late they are.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

if not __package__:
    # Started as a file: the repository, and not this folder, is where modules are looked for.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "bench"

from bench.actors.browser import BenchChromium, together
from bench.actors.stage import Size, Stage
from bench.gauges.machine import Machine
from bench.gauges.samples import Turn, percentile
from bench.report.table import aligned, number
from bench.runs.programs import filming, skew
from bench.runs.rows import PICTURE_DEADLINE
from tests.harness.browsers import Browser, Chromium
from tests.harness.browsers.oldchrome import OLD
from tests.harness.peers import peer

from . import command

SIZE = Size(640, 480)

FILMING = 3.0
"""Seconds of filming before the viewer comes."""

WARM_UP = 2.0
"""Seconds with pictures that do not count."""

SECONDS = 10.0
"""Seconds that do."""

DEAF = "self.ears = { take: () => [] };"
"""In place of `pages/ears.js`: the sound stays off."""


@dataclass
class Seen:
    """What one browser showed in all its turns.

    Attributes:
        browser: Its name.
        engine: What it decoded with.
        first: ms from the player's socket to the first picture.
        delays: ms from painting to showing.
        pictures: New ones per second, of each turn.
    """

    browser: str
    engine: str = ""
    first: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)

    def line(self) -> list[str]:
        cells = [
            self.browser,
            self.engine,
            number(median(self.first)),
            number(median(self.pictures), 1),
        ]
        return [*cells, *(number(percentile(self.delays, share)) for share in (0.5, 0.95))]


async def watch(browser: Browser, seen: Seen) -> None:
    """One turn.

    Raises:
        PageError: No picture came.
    """
    async with Stage(browser) as stage:
        name = stage.fresh_name()
        with filming(stage, name, SIZE):
            # Without it the camera would sleep until the browser comes. It plays what all of them
            # play, so all get the same.
            async with peer(stage.relay, f"/player/{name}?plays=vp8,opus") as other:
                await other.message("track", codec="vp8")
                await asyncio.sleep(FILMING)
                viewer = await stage.player_page(camera=name)
                await viewer.wait_for("bench.arrival().seen !== null", PICTURE_DEADLINE)
                first = await viewer.evaluate("bench.arrival()")
                await asyncio.sleep(WARM_UP)
                ahead = await skew(viewer)
                await viewer.evaluate("bench.take(), null")
                await asyncio.sleep(SECONDS)
                turn = Turn.of(await viewer.evaluate("bench.take()"), ahead)
                seen.engine = await viewer.evaluate(
                    "document.querySelector('.tile').dataset.engine"
                )
    seen.first.append(first["seen"] - first["opened"])
    seen.delays += turn.delays
    seen.pictures.append(len(turn.delays) / turn.seconds)


def browsers() -> list[Browser]:
    """All that watch, oldest first."""
    scripts = [together("clock.js"), DEAF, together("viewer.js")]
    return [*(kind(init_scripts=scripts) for kind in OLD.values()), BenchChromium()]


async def run(chosen: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    all_seen: list[Seen] = []
    async with Chromium(camera=False) as today:
        machine = Machine.look(today.version)
    print(f"{machine}\n", flush=True)
    for turn in range(chosen.rounds):
        for place, browser in enumerate(browsers()):
            if turn == 0:
                all_seen.append(Seen(browser.name))
            await watch(browser, all_seen[place])
            print(
                f"round {turn + 1} of {chosen.rounds}: {browser.name}", file=sys.stderr, flush=True
            )
    head = ["viewer", "engine", "first ms", "pictures/s", "p50 ms", "p95 ms"]
    print(aligned(head, [seen.line() for seen in all_seen]))
    command.write(chosen, machine, [asdict(seen) for seen in all_seen])
    return 0


def main(arguments: Sequence[str]) -> int:
    """The program; returns its exit status."""
    return command.status(
        run(command.rounds("old.py", "Measure how old browsers watch.", arguments))
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
