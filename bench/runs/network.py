"""A network that jitters, and one that stands still for two seconds, at the viewer and at the
camera (`--network`).

Both pages reach the relay through a proxy of their own from the beginning, so that base and trouble
differ by the trouble alone. The pages then are of two origins and cannot compare their clocks; that
does not matter, because only differences within one turn are told.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from bench.actors.stage import Size, Stage
from bench.gauges.samples import STALL, Turn
from bench.report.table import aligned, number
from bench.report.targets import Target
from tests.harness.browsers import Page, PageError
from tests.harness.proxies import Proxy

from .rows import PageRow

JITTER = (0.0, 40.0)
"""Milliseconds for which each chunk is held back."""

FREEZE = 2.0
"""Seconds for which nothing passes."""

SETTLING = 3.0
"""Seconds after a change that do not count."""

PHASE = 15.0
"""Seconds of each phase that count."""

WATCHED = 10.0
"""Seconds after a freeze in which the delay is watched."""

BACK = 10.0
"""Milliseconds above the median before, within which the delay counts as being back."""

BACK_LIMIT = 2.0
"""Seconds after a freeze in which it must be back."""

ROLLING = 300.0
"""Milliseconds of pictures whose median tells whether it is back: one lucky picture does not."""

LEAST_PICTURES = 3
"""Pictures in these milliseconds below which their median says nothing."""


@dataclass(frozen=True)
class Phase:
    """A time with one kind of network.

    Attributes:
        name: Whose network does what.
        turn: What was seen.
    """

    name: str
    turn: Turn


@dataclass(frozen=True)
class Thaw:
    """What came after a freeze.

    Attributes:
        name: Whose network was frozen.
        before: ms, the median delay before.
        back: Seconds from the freeze's end until the delay was back; None if it was not.
        worst: ms, the longest delay after it; None if no picture came.
        stalls: Gaps of more than `STALL` from the freeze's end on, the wait for the first picture
            included.
    """

    name: str
    before: float
    back: float | None
    worst: float | None
    stalls: int


def seconds_until_back(
    samples: Sequence[Sequence[float]], end: float, before: float
) -> float | None:
    """When the rolling median of the delays is first within `BACK` of what it was.

    Args:
        samples: Moment (ms) and delay (ms) of each new picture, in order.
        end: The moment (ms) at which the freeze was over.
        before: ms.
    """
    after = [(moment, delay) for moment, delay, *_ in samples if moment >= end]
    moments = [moment for moment, _ in after]
    for index, moment in enumerate(moments):
        window = [delay for _, delay in after[bisect_left(moments, moment - ROLLING) : index + 1]]
        if len(window) >= LEAST_PICTURES and median(window) <= before + BACK:
            return (moment - end) / 1000
    return None


@dataclass
class NetworkRun:
    """One row's phases and freezes."""

    name: str
    phases: list[Phase]
    thaws: list[Thaw]
    trouble: str = ""

    @property
    def base(self) -> float | None:
        """ms: the median delay on a quiet network."""
        return (
            median(self.phases[0].turn.delays)
            if self.phases and self.phases[0].turn.delays
            else None
        )

    def lines(self) -> list[list[str]]:
        """For the table of phases."""
        found = []
        for phase in self.phases:
            delays = phase.turn.delays
            middle = median(delays) if delays else None
            more = None if middle is None or self.base is None else middle - self.base
            gaps = phase.turn.gaps
            line = [
                f"{self.name}: {phase.name}",
                str(len(delays)),
                number(middle, 1),
                f"{more:+.1f}" if more is not None else "-",
            ]
            found.append([*line, str(sum(gap > STALL for gap in gaps)), number(max(gaps))])
        return found

    def targets(self) -> list[Target]:
        found = []
        for thaw in self.thaws:
            claim = (
                f"{self.name}: {thaw.name}: delay back within {BACK:.0f} ms of before in "
                f"{BACK_LIMIT:.0f} s"
            )
            back = f"not back in {WATCHED:.0f} s" if thaw.back is None else f"{thaw.back:.2f} s"
            text = (
                f"{back} (p50 before {thaw.before:.1f} ms, longest delay after "
                f"{number(thaw.worst)} ms, {thaw.stalls} stalls)"
            )
            found.append(Target(claim, text, thaw.back is not None and thaw.back <= BACK_LIMIT))
        return found

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        targets = [asdict(target) for target in self.targets()]
        phases = [asdict(phase) for phase in self.phases]
        return {
            "row": self.name,
            "phases": phases,
            "thaws": [asdict(thaw) for thaw in self.thaws],
            "targets": targets,
            "trouble": self.trouble,
        }


def network_table(runs: Sequence[NetworkRun]) -> str:
    """All phases of all rows."""
    head = [
        "network",
        "pictures",
        "p50 ms",
        "more than base",
        f"stalls > {STALL:.0f} ms",
        "longest gap ms",
    ]
    return aligned(head, [line for run in runs for line in run.lines()])


async def on_network(
    row: PageRow, stage: Stage, size: Size, seed: int, say: Callable[[str], None]
) -> NetworkRun:
    """One row through all phases.

    What was measured before something in a page went wrong is kept, and `trouble` says what it was.
    """
    run = NetworkRun(row.name, [], [])
    async with AsyncExitStack() as stack:
        at_camera = await stack.enter_async_context(Proxy(stage.relay.port, seed=seed))
        at_viewer = await stack.enter_async_context(Proxy(stage.relay.port, seed=seed + 1))
        stage.camera_origin, stage.viewer_origin = at_camera.origin, at_viewer.origin
        try:
            camera, viewer = await stack.enter_async_context(row.on_air(stage, size))
            await _phases(run, viewer, at_camera, at_viewer, say)
            for name, proxy in (
                ("viewer's network frozen", at_viewer),
                ("camera's network frozen", at_camera),
            ):
                say(f"{row.name}: {name} for {FREEZE:g} s")
                run.thaws.append(await _thaw(name, viewer, proxy))
            run.trouble = await row.check(camera, viewer)
        except PageError as error:
            run.trouble = str(error)
        finally:
            stage.camera_origin = stage.viewer_origin = None
    return run


async def _phases(
    run: NetworkRun, viewer: Page, at_camera: Proxy, at_viewer: Proxy, say: Callable[[str], None]
) -> None:
    least, most = JITTER
    jittering = f"behind jitter of {least:g} to {most:g} ms"
    plan: list[tuple[str, Proxy | None]] = [
        ("base", None),
        (f"viewer {jittering}", at_viewer),
        (f"camera {jittering}", at_camera),
    ]
    for name, proxy in plan:
        say(f"{run.name}: {name}")
        if proxy is not None:
            proxy.jitter(least, most)
        await asyncio.sleep(SETTLING)
        run.phases.append(Phase(name, Turn.of(await _seen(viewer, PHASE))))
        if proxy is not None:
            proxy.jitter(0, 0)


async def _thaw(name: str, viewer: Page, proxy: Proxy) -> Thaw:
    await asyncio.sleep(SETTLING)
    quiet = Turn.of(await _seen(viewer, SETTLING))
    if not quiet.delays:
        raise PageError(f"no picture in the {SETTLING:g} s before the {name}")
    before = median(quiet.delays)
    await proxy.freeze(FREEZE)
    thawed = time.monotonic()
    asked = time.monotonic()
    now = await viewer.evaluate("performance.now()")
    # The page's clock was read somewhere between asking and answering: in the middle, within a few
    # milliseconds.
    end = now - ((asked + time.monotonic()) / 2 - thawed) * 1000
    report = await _seen(viewer, WATCHED, keep=True)
    after = [(moment, delay) for moment, delay, *_ in report["samples"] if moment >= end]
    moments = [end, *(moment for moment, _ in after), report["ended"]]
    stalls = sum(later - earlier > STALL for earlier, later in pairwise(moments))
    worst = max((delay for _, delay in after), default=None)
    return Thaw(name, before, seconds_until_back(report["samples"], end, before), worst, stalls)


async def _seen(viewer: Page, seconds: float, *, keep: bool = False) -> Mapping[str, Any]:
    """The report of so many seconds from now on; with `keep`, also of what was seen since the
    report before.
    """
    if not keep:
        await viewer.evaluate("bench.take(), null")
    await asyncio.sleep(seconds)
    report: Mapping[str, Any] = await viewer.evaluate("bench.take()")
    return report
