"""Delay from lens to screen, and the wait for a first picture, beside WebRTC's and the plain way's: `python -m bench.latency`.

Options, rounds, tables; what is measured and how is in `rows.py` and `pages/`, and told in `README.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

if not __package__:
    # Started as a file: the repository, and not this folder, is where modules are looked for.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "bench"

from tests.browsers.drivers import BrowserMissing, PageError

from .browser import BenchChromium
from .latecomers import first_pictures
from .machine import Machine
from .results import Results, document
from .rows import ROWS, Row, Shipped
from .samples import Record
from .stage import Size, Stage

WARM_UP = 3.0
"""Seconds before each measurement: encoders and WebRTC's bandwidth estimate find their pace."""


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; exits with a sentence when it is wrong."""
    parser = argparse.ArgumentParser(prog="bench/latency.py", description="Measure the delay from lens to screen in a real browser.")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each row has its turn (default: 3)")
    parser.add_argument("--seconds", type=float, default=6.0, metavar="S", help="seconds of each turn that count (default: 6)")
    parser.add_argument("--size", type=_sizes, default=[Size(640, 480)], metavar="WxH,...", help="picture sizes (default: 640x480)")
    parser.add_argument("--rows", type=_rows, default=list(ROWS), metavar="ROW,...", help=f"which rows (default: {','.join(ROWS)})")
    parser.add_argument("--late", type=int, default=5, metavar="N", help="late viewers of each kind of player (default: 5)")
    parser.add_argument("--steps", action="store_true", help="show where the time goes, which itself costs some")
    parser.add_argument("--headed", action="store_true", help="with a window, on a display")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to this file")
    return parser.parse_args(arguments)


def _sizes(text: str) -> list[Size]:
    return [Size.parse(part) for part in text.split(",")]


def _rows(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in ROWS]:
        raise argparse.ArgumentTypeError(f"there is no row {unknown[0]}; there are {', '.join(ROWS)}")
    return names


def say(text: str) -> None:
    """Progress, for whoever waits; the results alone are on the standard output."""
    print(text, file=sys.stderr, flush=True)


async def measure(stage: Stage, size: Size, chosen: argparse.Namespace) -> Results:
    """All rounds and late viewers of one size."""
    rows: list[Row] = [ROWS[name]() for name in chosen.rows]
    results = Results(size, {row.name: Record(row.name) for row in rows})
    for turn in range(chosen.rounds):
        shift = turn % len(rows)
        for row in rows[shift:] + rows[:shift]:  # no row is always the one after the same other
            say(f"{size}, round {turn + 1} of {chosen.rounds}: {row.name}")
            record = results.records[row.name]
            try:
                record.turns.append(await row.take(stage, size, WARM_UP, chosen.seconds))
                if not record.turns[-1].delays:
                    record.troubles.append(f"round {turn + 1}: a picture before, but no new one in all {chosen.seconds:g} s that count")
            except PageError as error:
                record.troubles.append(f"round {turn + 1}: {error}")
                say(f"  {error}")
    for row in rows:
        if isinstance(row, Shipped) and chosen.late:
            say(f"{size}, late viewers: {row.name}")
            try:
                results.firsts[row.name] = await first_pictures(row, stage, size, chosen.late)
            except PageError as error:
                results.records[row.name].troubles.append(f"late viewers: {error}")
                say(f"  {error}")
    return results


async def run(chosen: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    async with Stage(BenchChromium(headed=chosen.headed, steps=chosen.steps)) as stage:
        machine = Machine.look(stage.browser.version)
        print(machine, flush=True)
        all_results = []
        for size in chosen.size:
            results = await measure(stage, size, chosen)
            all_results.append(results)
            print(f"\n{size} at 30 pictures a second, {chosen.rounds} rounds of {chosen.seconds:g} s, with sound\n\n{results}", flush=True)
        after = Machine.look(stage.browser.version)
        print(f"\nload average at the end: {' '.join(f'{value:.2f}' for value in after.load)}")
    if chosen.json:
        asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(chosen).items()}
        asked["size"] = [str(size) for size in chosen.size]
        chosen.json.write_text(json.dumps(document(machine, asked, all_results), indent=1) + "\n", encoding="utf-8")
    unmeasured = [record.name for results in all_results for record in results.records.values() if not record.pictures]
    return 1 if unmeasured else 0


def main(arguments: list[str]) -> int:
    """The program; returns its exit status: 0 when every row was measured, whatever the numbers are."""
    chosen = options(arguments)
    try:
        return asyncio.run(run(chosen))
    except BrowserMissing as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
