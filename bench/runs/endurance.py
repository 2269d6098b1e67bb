"""Hours instead of seconds: does the delay stay, and does the memory (`--minutes`)?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

from bench.actors.stage import Size, Stage
from bench.gauges.samples import Record, Turn
from bench.report.memory import MEGABYTE, Heap, growth, renderers, small
from bench.report.table import number
from bench.report.targets import Target
from tests.harness.browsers import ChromiumPage, Page, PageError

from .rows import PageRow

FETCH_INTERVAL = 5.0
"""Seconds between two fetches of what a page has noted, so that the bench does not make the page
grow.
"""

ENDS = 5
"""Minutes at the beginning and at the end that are compared."""

DRIFT_LIMIT = 5.0
"""Milliseconds: the most by which the median delay of the last minutes may differ from that of the
first.
"""


@dataclass(frozen=True)
class Minute:
    """One minute of one row.

    Attributes:
        turn: What was seen and heard.
        told: ms, the median of what the tile showed, if it did.
        underflows: How often the sound has run dry so far, if the tile tells.
        heaps: MB after a collection of garbage: of the two pages, and of their workers.
        renderers: MB of all renderer processes (of all rows).
        relay: MB of the relay.
    """

    turn: Turn
    told: float | None
    underflows: int | None
    heaps: Mapping[str, float]
    renderers: float
    relay: float


@dataclass
class Endurance:
    """All minutes of one row."""

    name: str
    minutes: list[Minute] = field(default_factory=list)

    def line(self) -> str:
        """The last minute, for people who wait."""
        minute = self.minutes[-1]
        record = Record(self.name, [minute.turn])
        shares = [
            number(record.delay(share) if record.pictures else None, 1) for share in (0.5, 0.95)
        ]
        heaps = ", ".join(f"{name} {size:.1f}" for name, size in minute.heaps.items())
        return (
            f"{self.name}, minute {len(self.minutes)}: p50 {shares[0]}, p95 {shares[1]}, "
            f"{record.stalls} stalls, "
            f"longest gap {number(record.longest_gap)}, on the tile {number(minute.told, 1)} ms; "
            f"sound: {len(minute.turn.sync.beeps)} beeps, "
            f"{'-' if minute.underflows is None else minute.underflows} underflows so far; "
            f"heap MB: {heaps}; RSS MB: renderers {minute.renderers:.0f}, relay {minute.relay:.1f}"
        )

    def drift(self) -> float | None:
        """ms by which the median of the last minutes is above that of the first; None if the run
        was too short.
        """
        if len(self.minutes) < 2 * ENDS:
            return None
        first, last = (
            [delay for minute in part for delay in minute.turn.delays]
            for part in (self.minutes[:ENDS], self.minutes[-ENDS:])
        )
        return median(last) - median(first) if first and last else None

    def slopes(self) -> dict[str, float]:
        """MB an hour after the settling, by what grows; empty if the run was too short."""
        grown = {name: self._heap(name) for name in self._heaps}
        grown |= {
            "RSS of the renderers": [minute.renderers for minute in self.minutes],
            "RSS of the relay": [minute.relay for minute in self.minutes],
        }
        slopes = {name: growth(values) for name, values in grown.items()}
        return {name: slope for name, slope in slopes.items() if slope is not None}

    @property
    def _heaps(self) -> list[str]:
        return list(self.minutes[0].heaps) if self.minutes else []

    def _heap(self, name: str) -> list[float]:
        return [minute.heaps[name] for minute in self.minutes]

    def targets(self) -> list[Target]:
        drift = self.drift()
        claim = (
            f"{self.name}: p50 of the last {ENDS} minutes within {DRIFT_LIMIT:.0f} ms of the "
            f"first {ENDS}'s"
        )
        if drift is None:
            found = [Target(claim, f"needs {2 * ENDS} minutes with pictures", None)]
        else:
            found = [Target(claim, f"{drift:+.1f} ms", abs(drift) <= DRIFT_LIMIT)]
        found += [small(f"{self.name}: heap of {name}", self._heap(name)) for name in self._heaps]
        return found

    def summary(self) -> str:
        """Drift, and the growth that is printed only."""
        record = Record(self.name, [minute.turn for minute in self.minutes])
        parts = [
            (
                f"{self.name}: {len(self.minutes)} minutes, {record.pictures} pictures, "
                f"{record.stalls} stalls"
            )
        ]
        parts += [
            f"{name} {slope:+.2f} MB an hour"
            for name, slope in self.slopes().items()
            if name.startswith("RSS")
        ]
        return ", ".join(parts)

    def plain(self) -> dict[str, Any]:
        """For JSON: numbers of each minute; the single pictures of hours would be a hundred
        megabytes.
        """
        minutes = []
        for minute in self.minutes:
            record = Record(self.name, [minute.turn])
            shares = (
                {f"p{share * 100:.0f}": record.delay(share) for share in (0.5, 0.95, 0.99)}
                if record.pictures
                else {}
            )
            counts = {
                "pictures": record.pictures,
                "stalls": record.stalls,
                "longest_gap": record.longest_gap,
            }
            sound = {
                "beeps": minute.turn.sync.beeps,
                "apart": minute.turn.sync.apart,
                "underflows": minute.underflows,
            }
            sizes = {
                "heaps": dict(minute.heaps),
                "renderers": minute.renderers,
                "relay": minute.relay,
            }
            minutes.append({**shares, **counts, "told": minute.told, **sound, **sizes})
        targets = [asdict(target) for target in self.targets()]
        return {
            "row": self.name,
            "minutes": minutes,
            "drift": self.drift(),
            "slopes": self.slopes(),
            "targets": targets,
        }


def joined(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One report of `pages/viewer.js` from several that follow each other without a gap."""
    lists = {
        name: [item for report in reports for item in report[name]]
        for name in ("samples", "heard", "facts")
    }
    counts = {name: sum(report[name] for report in reports) for name in ("unreadable", "reads")}
    return {**reports[-1], "begun": reports[0]["begun"], **lists, **counts}


async def endure(
    rows: Sequence[PageRow], stage: Stage, size: Size, minutes: int, say: Callable[[str], None]
) -> list[Endurance]:
    """Films and watches for so long, all rows side by side. What was measured before something in a
    page went wrong is kept.

    Args:
        say: Is given a line for each minute of each row, and a sentence when something went wrong.

    Raises:
        PageError: It went wrong before the first minute began.
    """
    runs = [Endurance(row.name) for row in rows]
    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(row.on_air(stage, size)) for row in rows]
        heaps = [
            [await stack.enter_async_context(Heap(_chromium(page))) for page in pair]
            for pair in pages
        ]
        for row, (camera, viewer) in zip(rows, pages, strict=True):
            if remark := await row.check(camera, viewer):
                say(f"{row.name}: {remark}")
            await viewer.evaluate("bench.take(), null")
        end = time.monotonic()
        try:
            for _ in range(minutes):
                end += 60
                await _minute(runs, pages, heaps, stage, end)
                for run in runs:
                    say(run.line())
        except PageError as error:
            say(f"ended early: {error}")
    return runs


async def _minute(
    runs: Sequence[Endurance],
    pages: Sequence[tuple[Page, Page]],
    heaps: Sequence[Sequence[Heap]],
    stage: Stage,
    end: float,
) -> None:
    """Fetches what is noted until `end` (time.monotonic()), and adds a minute to every run."""
    reports: list[list[Mapping[str, Any]]] = [[] for _ in runs]
    begun: list[list[tuple[int, float]]] = [[] for _ in runs]
    while not reports[0] or time.monotonic() < end:
        await asyncio.sleep(min(FETCH_INTERVAL, max(0.0, end - time.monotonic())))
        for (camera, viewer), fetched, beeps in zip(pages, reports, begun, strict=True):
            fetched.append(await viewer.evaluate("bench.take()"))
            beeps.extend(await camera.evaluate("scene.beeps()"))
    held = renderers(stage.browser.family)
    relay = stage.relay.resident / MEGABYTE
    for run, fetched, beeps, pair in zip(runs, reports, begun, heaps, strict=True):
        used = {}
        for name, heap in zip(("camera", "viewer"), pair, strict=True):
            sizes = await heap.used()
            used[f"the {name} page"] = sizes["page"]
            used[f"the {name}'s workers"] = sizes["workers"]
        turn = Turn.of(joined(fetched), begun=beeps)
        told = Record(run.name, [turn]).told
        sound = turn.facts[-1].get("sound") if turn.facts else None
        underflows = sound.get("underflows") if sound else None
        slim = replace(turn, facts=[])  # of hours, they would be a gigabyte
        run.minutes.append(
            Minute(slim, median(told) if told else None, underflows, used, held, relay)
        )


def _chromium(page: Page) -> ChromiumPage:
    assert isinstance(page, ChromiumPage)
    return page
