"""Cameras and viewers that are no video pages: how late are their pictures? `python -m bench.others`

The camera is `relay.py film test`, whose painted clock is that of `pages/clock.js`, by this computer's clock; the browser's is compared
with it. It is watched by the player's engine of video frames, by its engine of single pictures, and read as a file by FFmpeg's libraries,
where the wait for the first picture counts. A file in WebM needs a camera that films VP8: that one is a camera page.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

if not __package__:
    # Started as a file: the repository, and not this folder, is where modules are looked for.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "bench"

import av

from tests.browsers.drivers import Page
from tests.relays import ROOT

from . import command
from .browser import BenchChromium
from .machine import Machine
from .samples import Record, Turn
from .stage import Size, Stage
from .table import aligned, number
from .targets import Target, listed

SIZE = Size(640, 480)

RATE = 30
"""Pictures a second that are filmed."""

NAME = "test"
"""The camera that is a program."""

SECONDS, WARM_UP = 6.0, 2.0
"""Of each turn: those that count, and those before them."""

FIRST = 20.0
"""Seconds in which a picture must come."""

FRAMES_LIMIT = 60.0
"""Milliseconds from painting to the screen that are claimed for video frames, in the median."""

PICTURES_LIMIT, PICTURES_RATE = 250.0, 10.0
"""The same for single pictures, and how many of them a second."""

FILE_LIMIT = 1.0
"""Seconds from asking for a file to its first decoded picture that are claimed, in the median."""

ASKED = 40
"""Questions by which the browser's clock is compared with this computer's: the one that was answered fastest counts."""

PAUSE = 0.2
"""Seconds between two readers of a file: the relay has forgotten the one before."""


@dataclass
class File:
    """All readings of one file.

    Attributes:
        ending: Of its address.
        guesses: The reader guesses the rate of the pictures before it begins, if the file does not tell it, as FFmpeg does if it is not told
            otherwise.
        seconds: From asking to the first decoded picture.
    """

    ending: str
    guesses: bool
    seconds: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return f"live.{self.ending}" + ("" if self.guesses else ", fpsprobesize=0")

    def read(self, stage: Stage, name: str) -> None:
        """One more reader."""
        begin = time.monotonic()
        options = {} if self.guesses else {"fpsprobesize": "0"}
        with av.open(f"{stage.relay.origin}/cameras/{name}/live.{self.ending}", options=options, timeout=FIRST) as container:
            next(container.decode(video=0))
            self.seconds.append(time.monotonic() - begin)

    def target(self) -> Target:
        p50 = median(self.seconds)
        claim = f"{self}: the first picture within {FILE_LIMIT:g} s (p50)"
        return Target(claim, f"{p50:.2f} s, worst {max(self.seconds):.2f} s", p50 < FILE_LIMIT)

    def line(self) -> list[str]:
        return [str(self), str(len(self.seconds)), number(median(self.seconds), 2), number(max(self.seconds), 2)]


@contextmanager
def filming(stage: Stage) -> Iterator[None]:
    """`relay.py film test`, until the end of the block."""
    where = ["--relay", stage.relay.origin, "--name", NAME, "--size", str(SIZE), "--fps", str(RATE), "--log-level", "warning"]
    film = subprocess.Popen([sys.executable, "relay.py", "--no-install", "film", "test", *where], cwd=ROOT)
    try:
        yield
    finally:
        film.terminate()
        film.wait()


@asynccontextmanager
async def watching(stage: Stage, engine: str) -> AsyncIterator[Page]:
    """A player with pictures on its screen."""
    page = await stage.player_page(camera=NAME, engine=engine)
    try:
        await page.wait_for("bench.arrival().seen !== null", FIRST)
        yield page
    finally:
        await page.close()


async def skew(page: Page) -> float:
    """Milliseconds by which this computer's clock is ahead of the page's."""
    best = (float("inf"), 0.0)
    for _ in range(ASKED):
        asked = time.time() * 1000
        told = float(await page.evaluate("PaintedClock.now()"))
        answered = time.time() * 1000
        best = min(best, (answered - asked, (asked + answered) / 2 - told))
    return best[1]


async def take(stage: Stage, record: Record) -> None:
    """One turn of an engine."""
    async with watching(stage, record.name) as page:
        await asyncio.sleep(WARM_UP)
        ahead = await skew(page)
        await page.evaluate("bench.take(), null")
        await asyncio.sleep(SECONDS)
        record.turns.append(Turn.of(await page.evaluate("bench.take()"), ahead))


async def read_files(stage: Stage, files: Sequence[File], rounds: int) -> None:
    """All files, in turn, while their cameras film anyhow."""
    name = stage.fresh_name()
    page = await stage.camera_page(name=name, start=1, width=SIZE.width, height=SIZE.height, fps=RATE, encoder="vp8")
    viewer = await stage.player_page(camera=name)
    try:
        await viewer.wait_for("bench.arrival().seen !== null", FIRST)
        async with watching(stage, "frames"):
            for _ in range(rounds):
                for file in files:
                    await asyncio.to_thread(file.read, stage, NAME if file.ending == "mp4" else name)
                    await asyncio.sleep(PAUSE)
    finally:
        for one in (viewer, page):
            await one.close()


def targets(frames: Record, pictures: Record, files: Sequence[File]) -> list[Target]:
    """What is claimed of a run."""
    p50 = frames.delay(0.5)
    late, rate = pictures.delay(0.5), pictures.pictures / pictures.seconds
    return [
        Target(f"film test to the engine of frames: p50 at most {FRAMES_LIMIT:.0f} ms", f"{p50:.1f} ms", p50 <= FRAMES_LIMIT),
        Target(
            f"film test to the engine of single pictures: {PICTURES_RATE:g} a second, p50 under {PICTURES_LIMIT:.0f} ms",
            f"{rate:.1f} a second, {late:.1f} ms",
            rate >= PICTURES_RATE and late < PICTURES_LIMIT,
        ),
        *(file.target() for file in files),
    ]


async def run(chosen: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    frames, pictures = records = Record("frames"), Record("jpeg")
    files = [File(ending, guesses) for ending in ("mp4", "webm") for guesses in (True, False)]
    async with Stage(BenchChromium()) as stage:
        machine = Machine.look(stage.browser.version)
        print(f"{machine}\n", flush=True)
        with filming(stage):
            for turn in range(chosen.rounds):
                for record in records if turn % 2 == 0 else records[::-1]:
                    await take(stage, record)
                    last = record.turns[-1]
                    told = f"{len(last.delays) / last.seconds:.1f} pictures a second"
                    print(f"round {turn + 1} of {chosen.rounds}: {record.name}, {told}", file=sys.stderr, flush=True)
            await read_files(stage, files, chosen.rounds)
    head = ["engine", "pictures", "per s", "p50 ms", "p95 ms", "longest gap ms", "unreadable", "clocks apart ms"]
    lines = []
    for one in records:
        delays = [number(one.delay(share), 1) if one.pictures else "-" for share in (0.5, 0.95)]
        lines.append([one.name, str(one.pictures), number(one.pictures / one.seconds, 1), *delays])
        lines[-1] += [number(one.longest_gap), str(one.unreadable), number(one.skew, 2)]
    print(f"{SIZE} at {RATE} pictures a second\n\n{aligned(head, lines)}\n")
    print(aligned(["file", "readers", "p50 s", "worst s"], [file.line() for file in files]))
    if not all(one.pictures for one in records):
        print("\nAn engine showed no picture with a clock, so nothing is claimed.")
        return 1
    print(f"\n{listed(targets(frames, pictures, files))}")
    command.write(chosen, machine, [*map(asdict, records), *map(asdict, files)])
    return 0


def main(arguments: Sequence[str]) -> int:
    """The program; returns its exit status."""
    with contextlib.suppress(av.error.FFmpegError):
        return command.status(run(command.rounds("others.py", "Measure cameras and viewers that are no video pages.", arguments)))
    print("A file could not be read.", file=sys.stderr)
    return command.FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
