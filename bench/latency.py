"""Delay from lens to screen and ear, and the wait for a first picture, beside WebRTC's and the
plain way's: `python -m bench.latency`.

Options, rounds, output; what is measured and how is in `rows.py` and `pages/`, and told in
`README.md`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

if not __package__:
    # Started as a file: the repository, and not this folder, is where modules are looked for.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "bench"

from bench.actors.browser import BenchChromium
from bench.actors.stage import Size, Stage
from bench.gauges.machine import Machine
from bench.gauges.samples import Record
from bench.report.results import Results
from bench.report.targets import listed
from bench.runs.endurance import endure
from bench.runs.latecomers import first_pictures
from bench.runs.network import network_table, on_network
from bench.runs.programs import FILES, FilmFrames, FilmJpeg, first_decoded
from bench.runs.rows import Append, FramesCodecs, FramesRecorder, Mse, PageRow, Row, Shipped, WebRtc
from tests.harness.browsers import PageError

from . import command

ROWS: dict[str, type[Row]] = {
    row.name: row
    for row in (WebRtc, Append, Mse, FramesRecorder, FramesCodecs, FilmFrames, FilmJpeg)
}
"""Those that take turns."""

NAMES = [*ROWS, *FILES]
"""All that `--rows` knows."""

ENDURING = ["frames-codecs"]
"""The rows of `--minutes` when none are chosen."""

NETWORKED = ["mse", "frames-codecs"]
"""The rows of `--network` when none are chosen."""

SEED = 1
"""Of the jitter: each row and each run has the same."""

WARM_UP = 3.0
"""Seconds before each measurement: encoders and WebRTC's bandwidth estimate find their pace."""


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; exits with a sentence when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="bench/latency.py",
        description="Measure the delay from lens to screen in a real browser.",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=10,
        metavar="N",
        help="how often each row has its turn (default: 10)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=6.0,
        metavar="S",
        help="seconds of each turn that count (default: 6)",
    )
    parser.add_argument(
        "--size", type=_sizes, metavar="WxH,...", help="picture sizes (default: 640x480,1280x720)"
    )
    parser.add_argument(
        "--rows", type=_rows, metavar="ROW,...", help=f"which rows (default: {','.join(NAMES)})"
    )
    parser.add_argument(
        "--late",
        type=int,
        default=5,
        metavar="N",
        help="late viewers of each kind of player (default: 5)",
    )
    parser.add_argument(
        "--steps", action="store_true", help="show where the time goes, which itself costs some"
    )
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--minutes",
        type=int,
        metavar="N",
        help=f"instead, film and watch for so long (default row: {','.join(ENDURING)})",
    )
    other.add_argument(
        "--network",
        action="store_true",
        help=f"instead, disturb the network (default rows: {','.join(NETWORKED)})",
    )
    parser.add_argument("--headed", action="store_true", help="with a window, on a display")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every measurement to this file"
    )
    chosen = parser.parse_args(arguments)
    other_way = bool(chosen.minutes) or chosen.network
    chosen.size = chosen.size or [Size(640, 480)] + [Size(1280, 720)] * (not other_way)
    chosen.rows = chosen.rows or (
        ENDURING if chosen.minutes else NETWORKED if chosen.network else NAMES
    )
    if other_way and chosen.steps:
        parser.error("--steps is for the turns of the table only")
    if chosen.minutes is not None and chosen.minutes < 1:
        parser.error("--minutes needs at least one")
    kind = Shipped if chosen.network else PageRow
    if other_way and (
        strangers := [
            name for name in chosen.rows if name not in ROWS or not issubclass(ROWS[name], kind)
        ]
    ):
        wanted = (
            "--network is for rows of pages with a relay in between"
            if chosen.network
            else "--minutes is for rows of pages"
        )
        parser.error(f"{wanted}, and {strangers[0]} is none")
    return chosen


def _sizes(text: str) -> list[Size]:
    try:
        return [Size.parse(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no size such as 640x480") from None


def _rows(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in NAMES]:
        raise argparse.ArgumentTypeError(
            f"there is no row {unknown[0]}; there are {', '.join(NAMES)}"
        )
    return names


def say(text: str) -> None:
    """Progress, for people who wait; the results alone are on the standard output."""
    print(text, file=sys.stderr, flush=True)


async def measure(stage: Stage, size: Size, chosen: argparse.Namespace) -> Results:
    """All rounds and late viewers of one size."""
    rows: list[Row] = [ROWS[name]() for name in chosen.rows if name in ROWS]
    results = Results(size, {row.name: Record(row.name) for row in rows})
    for turn in range(chosen.rounds):
        shift = turn % max(1, len(rows))  # where only files are read, nobody takes turns
        for row in rows[shift:] + rows[:shift]:  # no row is always the one after the same other
            say(f"{size}, round {turn + 1} of {chosen.rounds}: {row.name}")
            record = results.records[row.name]
            try:
                record.turns.append(await row.take(stage, size, WARM_UP, chosen.seconds))
                if not record.turns[-1].delays:
                    record.troubles.append(
                        f"round {turn + 1}: a picture before, but no new one in all "
                        f"{chosen.seconds:g} s that count"
                    )
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
    for file in [name for name in chosen.rows if name in FILES and chosen.late]:
        say(f"{size}, readers: {file}")
        try:
            results.readers[file] = await first_decoded(stage, size, file, chosen.late)
        except PageError as error:
            results.readers[file] = []
            say(f"  {error}")
    return results


async def compare(stage: Stage, chosen: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    """The tables of all sizes.

    Returns:
        What goes into the JSON file, and whether every row was measured.
    """
    every = []
    for size in chosen.size:
        results = await measure(stage, size, chosen)
        every.append(results)
        print(
            (
                f"\n{size} at 30 pictures a second, {chosen.rounds} rounds of "
                f"{chosen.seconds:g} s, with sound\n\n{results}"
            ),
            flush=True,
        )
    measured = all(record.pictures for results in every for record in results.records.values())
    measured = measured and all(
        seconds for results in every for seconds in results.readers.values()
    )
    return [results.plain() for results in every], measured


async def last(stage: Stage, chosen: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    """`--minutes`; returns as `compare` does."""
    size = chosen.size[0]
    print(
        f"\n{size} at 30 pictures a second for {chosen.minutes} minutes, with sound\n", flush=True
    )
    runs = await endure(
        [row() for row in _of_pages(chosen)],
        stage,
        size,
        chosen.minutes,
        lambda text: print(text, flush=True),
    )
    print("\n" + "\n".join(run.summary() for run in runs))
    print("\n" + listed(target for run in runs for target in run.targets()))
    return [run.plain() for run in runs], all(len(run.minutes) == chosen.minutes for run in runs)


async def disturb(stage: Stage, chosen: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    """`--network`; returns as `compare` does."""
    size = chosen.size[0]
    runs = [await on_network(row(), stage, size, SEED, say) for row in _of_pages(chosen)]
    print(
        f"\n{size} at 30 pictures a second, with sound, both pages behind a "
        f"proxy\n\n{network_table(runs)}\n"
    )
    print(listed(target for run in runs for target in run.targets()))
    print("\n".join(f"\n{run.name}: {run.trouble}" for run in runs if run.trouble))
    return [run.plain() for run in runs], all(run.thaws for run in runs)


def _of_pages(chosen: argparse.Namespace) -> list[type[PageRow]]:
    """The chosen rows; `options` has seen to it that all are of pages."""
    return [row for row in (ROWS[name] for name in chosen.rows) if issubclass(row, PageRow)]


async def run(chosen: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    async with Stage(BenchChromium(headed=chosen.headed, steps=chosen.steps)) as stage:
        machine = Machine.look(stage.browser.version)
        print(machine, flush=True)
        way = last if chosen.minutes else disturb if chosen.network else compare
        results, measured = await way(stage, chosen)
        after = Machine.look(stage.browser.version)
        print(f"\nload average at the end: {' '.join(f'{value:.2f}' for value in after.load)}")
    command.write(chosen, machine, results)
    return 0 if measured else 1


def main(arguments: list[str]) -> int:
    """The program; returns its exit status: 0 when every row was measured, whatever the numbers
    are.
    """
    return command.status(run(options(arguments)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
