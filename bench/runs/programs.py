"""Cameras and viewers that are no pages: the camera is `relay.py film test`, the viewer a program
that reads a camera as a file.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import ClassVar

import av

from bench.actors.stage import Size, Stage
from bench.gauges.cpu import CpuMeter
from bench.gauges.samples import Turn
from tests.harness.browsers import Page, PageError
from tests.harness.relays import ROOT

from .latecomers import FILMING, PAUSE
from .rows import PICTURE_DEADLINE, Row

RATE = 30
"""Pictures a second that are filmed."""

ASKED = 40
"""Questions by which the browser's clock is compared with this computer's: the one that was
answered fastest counts.
"""


@contextmanager
def filming(stage: Stage, name: str, size: Size) -> Iterator[None]:
    """`relay.py film test`, until the end of the block.

    Its painted clock is that of `pages/clock.js`, by this computer's clock.
    """
    where = [
        "--relay",
        stage.relay.origin,
        "--name",
        name,
        "--size",
        str(size),
        "--fps",
        str(RATE),
        "--log-level",
        "warning",
    ]
    film = subprocess.Popen(
        [sys.executable, "relay.py", "--no-install", "film", "test", *where], cwd=ROOT
    )
    try:
        yield
    finally:
        film.terminate()
        film.wait()


@asynccontextmanager
async def watching(stage: Stage, name: str, engine: str) -> AsyncIterator[Page]:
    """A player with pictures on its screen."""
    page = await stage.player_page(camera=name, engine=engine)
    try:
        await page.wait_for("bench.arrival().seen !== null", PICTURE_DEADLINE)
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


class Film(Row):
    """`relay.py film test`, relay.py and player.html, with one of the player's engines.

    The sound stays off: its beeps are not the scene's.
    """

    engine: ClassVar[str]

    async def take(self, stage: Stage, size: Size, warm_up: float, seconds: float) -> Turn:
        """See Row."""
        name = stage.fresh_name()
        with filming(stage, name, size):
            async with watching(stage, name, self.engine) as viewer:
                await asyncio.sleep(warm_up)
                ahead = await skew(viewer)
                meter = CpuMeter(stage.relay.pid, stage.browser.family)
                await viewer.evaluate("bench.take(), null")
                await asyncio.sleep(seconds)
                report = await viewer.evaluate("bench.take()")
                cpu = meter.seconds()
                stats = await viewer.evaluate("document.querySelector('.tile').tile.stats()")
                if stats["engine"] != self.engine:
                    raise PageError(
                        f"the player page was asked for engine={self.engine} and shows "
                        f"with {stats['engine'] or 'none'}"
                    )
                return Turn.of(report, ahead, cpu, stats)


class FilmFrames(Film):
    name = "film-frames"
    engine = "frames"
    sentence = "relay.py film test, relay.py, player.html with WebCodecs"


class FilmJpeg(Film):
    name = "film-jpeg"
    engine = "jpeg"
    sentence = "relay.py film test, relay.py, player.html with single pictures"


FILES = ("live.mp4", "live.webm")
"""What a camera is read as: H.264 of `film test`, and VP8 of a camera page."""


def _read(address: str) -> float:
    """Seconds from asking for a file to its first decoded picture.

    Raises:
        PageError: It has none.
    """
    begin = time.monotonic()
    try:
        with av.open(address, timeout=PICTURE_DEADLINE) as container:
            next(container.decode(video=0))
            return time.monotonic() - begin
    except (av.error.FFmpegError, StopIteration) as error:
        raise PageError(f"FFmpeg's libraries do not read {address}: {error}") from error


async def first_decoded(stage: Stage, size: Size, file: str, tries: int) -> list[float]:
    """Reads a camera as a file again and again, while it films anyhow.

    Returns:
        Seconds from asking to the first decoded picture.

    Raises:
        PageError: There was none.
    """
    name = stage.fresh_name()
    address = f"{stage.relay.origin}/cameras/{name}/{file}"
    async with _filmed(stage, name, size, file), watching(stage, name, "frames"):
        await asyncio.sleep(FILMING)
        found = []
        for _ in range(tries):
            found.append(await asyncio.to_thread(_read, address))
            await asyncio.sleep(PAUSE)
        return found


@asynccontextmanager
async def _filmed(stage: Stage, name: str, size: Size, file: str) -> AsyncIterator[None]:
    """A camera whose pictures fit into a file."""
    if file == "live.mp4":
        with filming(stage, name, size):
            yield
        return
    page = await stage.camera_page(
        name=name, start=1, width=size.width, height=size.height, fps=RATE, encoder="vp8"
    )
    try:
        yield
    finally:
        await page.close()
