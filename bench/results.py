"""One run's results: as a table, as targets reached or not, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .cpu import OTHERS, RELAY
from .machine import Machine
from .samples import SKEW_TOLERANCE, STALL, FirstPicture, Record, percentile
from .stage import Size
from .table import aligned, number

YARDSTICK = "webrtc"
"""The row that the others are compared with."""

MEDIAN_LIMITS = {"frames": 1.0, "mse": 2.0}
"""The most that a row's median delay may be, as a multiple of the yardstick's in the same run."""

FIRST_PICTURE_LIMIT = 300.0
"""Milliseconds: the most that the median wait of a late viewer may be."""


@dataclass
class Results:
    """Of one picture size.

    Attributes:
        records: By row name, in the order of the table.
        firsts: Late viewers by row name.
    """

    size: Size
    records: dict[str, Record] = field(default_factory=dict)
    firsts: dict[str, list[FirstPicture]] = field(default_factory=dict)

    def median(self, name: str) -> float | None:
        """A row's median delay in ms, if it was measured."""
        record = self.records.get(name)
        return record.delay(0.5) if record and record.pictures else None

    def ratio(self, name: str) -> float | None:
        """A row's median delay as a multiple of the yardstick's."""
        median, yardstick = self.median(name), self.median(YARDSTICK)
        return median / yardstick if median is not None and yardstick else None

    def wait(self, name: str, share: float) -> float | None:
        """A percentile of the late viewers' waits in ms."""
        firsts = self.firsts.get(name)
        return percentile([first.wait for first in firsts], share) if firsts else None

    def table(self) -> str:
        """Delays, stalls and first pictures."""
        head = ["row", "pictures", "per s", "p50 ms", "p95 ms", "p99 ms", f"x {YARDSTICK}"]
        head += [f"stalls > {STALL:.0f} ms", "longest gap ms", "first picture ms", "unreadable", "shown"]
        lines = []
        for name, record in self.records.items():
            if not record.pictures:
                lines.append([name, "0", *["-"] * (len(head) - 2)])
                continue
            line = [name, str(record.pictures), number(record.pictures / record.seconds, 1)]
            line += [number(record.delay(share), 1) for share in (0.5, 0.95, 0.99)]
            line += [number(self.ratio(name), 2), str(record.stalls), number(record.longest_gap)]
            lines.append([*line, number(self.wait(name, 0.5)), str(record.unreadable), "/".join(record.sizes)])
        return aligned(head, lines)

    def cpu_table(self) -> str:
        """CPU seconds per second by kind of process."""
        measured = [record for record in self.records.values() if record.pictures]
        kinds = sorted({kind for record in measured for kind in record.kinds}, key=lambda kind: (kind != RELAY, kind == OTHERS, kind))
        lines = []
        for record in measured:
            loads = [record.load(kind) if kind in record.kinds else None for kind in kinds]
            lines.append([record.name, *(number(load, 3) for load in loads), number(sum(load or 0 for load in loads), 3)])
        return aligned(["CPU s per s", *kinds, "whole machine"], lines)

    def clocks(self) -> str:
        """The largest difference between a camera page's and its viewer's clock."""
        skews = [record.skew for record in self.records.values() if record.turns]
        widest = max(skews, key=abs, default=0.0)
        done = "corrected" if abs(widest) > SKEW_TOLERANCE else "within the comparison's error, not corrected"
        return f"largest difference between the clocks of camera page and viewer page: {widest:.2f} ms ({done})"

    def steps(self) -> str:
        """Each row's steps in its last turn, if they were noted."""
        tables = [(record.name, record.turns[-1].steps) for record in self.records.values() if record.turns]
        return "\n\n".join(f"{name}, last turn\n{steps}" for name, steps in tables if steps)

    def targets(self) -> list[tuple[str, bool]]:
        """Sentences, and whether what they claim was reached; only of what was measured."""
        found = []
        for name, limit in MEDIAN_LIMITS.items():
            if (ratio := self.ratio(name)) is not None:
                found.append((f"{name}: p50 at most {limit:.1f} x {YARDSTICK}'s: {ratio:.2f} x", ratio <= limit))
        for name in self.firsts:
            middle, worst = self.wait(name, 0.5), self.wait(name, 1.0)
            if middle is not None and worst is not None:
                claim = f"{name}: first picture of a late viewer within {FIRST_PICTURE_LIMIT:.0f} ms"
                age = percentile([first.delay for first in self.firsts[name]], 0.5)
                text = f"{claim}: p50 {middle:.0f} ms, worst {worst:.0f} ms (that picture's own age: p50 {age:.0f} ms)"
                found.append((text, middle <= FIRST_PICTURE_LIMIT))
        return found

    def __str__(self) -> str:
        parts = [self.table(), self.cpu_table(), self.steps(), self.clocks()]
        parts.append("\n".join(f"{'reached' if reached else 'not reached':<11}  {text}" for text, reached in self.targets()))
        troubles = [f"{record.name}: {trouble}" for record in self.records.values() for trouble in record.troubles]
        return "\n\n".join(part for part in [*parts, "\n".join(troubles)] if part)

    def plain(self) -> dict[str, Any]:
        """For JSON: every single measurement, and the numbers of the table."""
        rows = {}
        for name, record in self.records.items():
            row: dict[str, Any] = asdict(record)
            if record.pictures:
                row |= {"p50": record.delay(0.5), "p95": record.delay(0.95), "p99": record.delay(0.99), "ratio": self.ratio(name)}
                row |= {"stalls": record.stalls, "longest_gap": record.longest_gap}
                row["cpu"] = {kind: record.load(kind) for kind in record.kinds}
            row["first_pictures"] = [asdict(first) for first in self.firsts.get(name, [])]
            rows[name] = row
        targets = [{"target": text, "reached": reached} for text, reached in self.targets()]
        return {"size": str(self.size), "rows": rows, "targets": targets}


def document(machine: Machine, options: Mapping[str, Any], results: list[Results]) -> dict[str, Any]:
    """The whole run for JSON."""
    return {"machine": asdict(machine), "options": dict(options), "results": [result.plain() for result in results]}
