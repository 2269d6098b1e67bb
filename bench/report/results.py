"""One run's results: as tables, as targets reached or not, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from bench.actors.stage import Size
from bench.gauges.cpu import OTHERS, RELAY
from bench.gauges.samples import SKEW_TOLERANCE, STALL, FirstPicture, Record, percentile

from .table import aligned, number
from .targets import Target, listed

YARDSTICK = "webrtc"
"""The row that the others are compared with."""

RATIO_SIZE = Size(640, 480)
"""The size at which the claims beside the yardstick are made."""

RATIO_LIMITS = {
    "frames-recorder": {0.5: 0.6, 0.95: 1.0},
    "frames-codecs": {0.5: 0.6, 0.95: 1.0},
    "mse": {0.5: 1.6},
}
"""The most that a percentile of a row's delay may be, as a multiple of the yardstick's in the same
run.
"""

STEADY = "mse"
"""The row of which it is claimed that it does not stall at all."""

STEADY_SECONDS = 60.0
"""Seconds without a stall in all turns together that show it."""

FIRST_PICTURE_LIMIT = 150.0
"""Milliseconds: the most that the median wait of a late viewer may be."""

PROGRAM_LIMITS = {"film-frames": (60.0, 0.0), "film-jpeg": (250.0, 10.0)}
"""Of the rows whose camera is a program: the most that the median delay may be, ms, and the fewest
pictures a second.
"""

READER_LIMIT = 1.0
"""Seconds from asking for a camera as a file to the first decoded picture: the most that the median
may be.
"""

TOLD_LIMIT = 10.0
"""Milliseconds: the most by which the median delay shown on the tile may differ from the
pixels'.
"""

APART_LIMIT = 80.0
"""Milliseconds: the most by which sound and picture may be apart, in 19 of 20 flashes."""

APART_SHARE = 0.95


@dataclass
class Results:
    """Of one picture size.

    Attributes:
        records: By row name, in the order of the table.
        firsts: Late viewers by row name.
        readers: By the file's name, how many seconds each of its readers waited for a picture.
    """

    size: Size
    records: dict[str, Record] = field(default_factory=dict)
    firsts: dict[str, list[FirstPicture]] = field(default_factory=dict)
    readers: dict[str, list[float]] = field(default_factory=dict)

    def delay(self, name: str, share: float) -> float | None:
        """A percentile of a row's delays in ms, if it was measured."""
        record = self.records.get(name)
        return record.delay(share) if record and record.pictures else None

    def ratio(self, name: str, share: float) -> float | None:
        """The same as a multiple of the yardstick's."""
        own, yardstick = self.delay(name, share), self.delay(YARDSTICK, share)
        return own / yardstick if own is not None and yardstick else None

    @property
    def _measured(self) -> list[Record]:
        return [record for record in self.records.values() if record.pictures]

    def table(self) -> str:
        """Delays and stalls."""
        head = [
            "row",
            "pictures",
            "per s",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            f"p50 x {YARDSTICK}",
            f"p95 x {YARDSTICK}",
        ]
        head += [f"stalls > {STALL:.0f} ms", "longest gap ms", "unreadable", "shown"]
        lines = []
        for name, record in self.records.items():
            if not record.pictures:
                lines.append([name, "0", *["-"] * (len(head) - 2)])
                continue
            line = [name, str(record.pictures), number(record.pictures / record.seconds, 1)]
            line += [number(record.delay(share), 1) for share in (0.5, 0.95, 0.99)]
            line += [number(self.ratio(name, share), 2) for share in (0.5, 0.95)]
            lines.append(
                [
                    *line,
                    str(record.stalls),
                    number(record.longest_gap),
                    str(record.unreadable),
                    "/".join(record.sizes),
                ]
            )
        return aligned(head, lines)

    def late_table(self) -> str:
        """Late viewers; "" if there were none."""
        head = [
            "late viewer (ms)",
            "viewers",
            "first picture p50",
            "worst",
            "its age p50",
            "first live picture p50",
            "worst",
        ]
        lines = []
        for name, firsts in self.firsts.items():
            waits, ages = [first.wait for first in firsts], [first.delay for first in firsts]
            lives = [float("inf") if first.live is None else first.live for first in firsts]
            values = [
                percentile(waits, 0.5),
                max(waits),
                percentile(ages, 0.5),
                percentile(lives, 0.5),
                max(lives),
            ]
            lines.append(
                [
                    name,
                    str(len(firsts)),
                    *(number(value).replace("inf", "never") for value in values),
                ]
            )
        return aligned(head, lines) if lines else ""

    def reader_table(self) -> str:
        """Readers of files; "" if there were none."""
        lines = [
            [
                name,
                str(len(waits)),
                *(number(value, 2) for value in (percentile(waits, 0.5), max(waits))),
            ]
            for name, waits in self.readers.items()
            if waits
        ]
        return (
            aligned(["file (s)", "readers", "first decoded picture p50", "worst"], lines)
            if lines
            else ""
        )

    def sound_table(self) -> str:
        """What was heard, and how far it was from what was seen."""
        head = [
            "sound (ms)",
            "beeps",
            "its delay p50",
            "p95",
            "later than picture p50",
            "p95 apart",
            "worst",
            "tile's delay of sound",
            "underflows",
        ]
        lines = []
        for record in self._measured:
            beeps, apart = record.beeps, record.apart
            line = [record.name, str(len(beeps))]
            line += [number(percentile(beeps, share) if beeps else None) for share in (0.5, 0.95)]
            line.append(number(median(apart) if apart else None))
            line += [
                number(percentile([abs(ms) for ms in apart], share) if apart else None)
                for share in (APART_SHARE, 1.0)
            ]
            sounds = [fact.get("sound") or {} for fact in record.last_facts()]
            delays = [sound["delayMs"] for sound in sounds if sound.get("delayMs") is not None]
            line.append(number(median(delays) if delays else None))
            lines.append(
                [
                    *line,
                    str(sum(sound.get("underflows") or 0 for sound in sounds)) if sounds else "-",
                ]
            )
        return aligned(head, lines)

    def told_table(self) -> str:
        """The delay that the tile shows, beside the pixels'; "" if no row has a tile."""
        head = ["delay shown on the tile (ms)", "samples", "p50", "pixels p50", "difference"]
        lines = []
        for record in self._measured:
            if not record.last_facts():
                continue
            told = median(record.told) if record.told else None
            pixels = record.delay(0.5)
            difference = None if told is None else told - pixels
            lines.append(
                [
                    record.name,
                    str(len(record.told)),
                    number(told, 1),
                    number(pixels, 1),
                    number(difference, 1),
                ]
            )
        return aligned(head, lines) if lines else ""

    def cpu_table(self) -> str:
        """CPU seconds per second by kind of process."""
        measured = self._measured
        kinds = sorted(
            {kind for record in measured for kind in record.kinds},
            key=lambda kind: (kind != RELAY, kind == OTHERS, kind),
        )
        lines = []
        for record in measured:
            loads = [record.load(kind) if kind in record.kinds else None for kind in kinds]
            lines.append(
                [
                    record.name,
                    *(number(load, 3) for load in loads),
                    number(sum(load or 0 for load in loads), 3),
                ]
            )
        return aligned(["CPU s per s", *kinds, "whole machine"], lines)

    def clocks(self) -> str:
        """The largest difference between a camera page's and its viewer's clock."""
        skews = [record.skew for record in self.records.values() if record.turns]
        widest = max(skews, key=abs, default=0.0)
        done = (
            "corrected"
            if abs(widest) > SKEW_TOLERANCE
            else "within the comparison's error, not corrected"
        )
        return (
            "largest difference between the clocks of camera page and viewer page: "
            f"{widest:.2f} ms ({done})"
        )

    def steps(self) -> str:
        """Each row's steps in its last turn, if they were noted."""
        tables = [
            (record.name, record.turns[-1].steps)
            for record in self.records.values()
            if record.turns
        ]
        return "\n\n".join(f"{name}, last turn\n{steps}" for name, steps in tables if steps)

    def targets(self) -> list[Target]:
        """The claims on the rows that were asked for."""
        return [
            *self._speed(),
            *self._steadiness(),
            *self._firsts(),
            *self._programs(),
            *self._told(),
            *self._apart(),
        ]

    def _speed(self) -> Iterator[Target]:
        if self.size != RATIO_SIZE:
            return
        for name, limits in RATIO_LIMITS.items():
            for share, limit in limits.items() if name in self.records else ():
                claim = f"{name}: p{share * 100:.0f} at most {limit:.1f} x {YARDSTICK}'s"
                ratio = self.ratio(name, share)
                if ratio is None:
                    yield Target(claim, f"both rows are needed, {name} and {YARDSTICK}", None)
                else:
                    yield Target(claim, f"{ratio:.2f} x", ratio <= limit)

    def _steadiness(self) -> Iterator[Target]:
        record = self.records.get(STEADY)
        if self.size != RATIO_SIZE or record is None or not record.turns:
            return
        claim = f"{STEADY}: no stall in {STEADY_SECONDS:.0f} s"
        found = f"{record.stalls} in {record.seconds:.0f} s"
        enough = record.stalls > 0 or record.seconds >= STEADY_SECONDS
        yield Target(claim, found, record.stalls == 0 if enough else None)

    def _firsts(self) -> Iterator[Target]:
        for name, firsts in self.firsts.items():
            waits = [first.wait for first in firsts]
            middle = percentile(waits, 0.5)
            claim = f"{name}: first picture of a late viewer within {FIRST_PICTURE_LIMIT:.0f} ms"
            age = percentile([first.delay for first in firsts], 0.5)
            found = (
                f"p50 {middle:.0f} ms, worst {max(waits):.0f} ms (that picture's own age: p50 "
                f"{age:.0f} ms)"
            )
            yield Target(claim, found, middle <= FIRST_PICTURE_LIMIT)

    def _programs(self) -> Iterator[Target]:
        if self.size != RATIO_SIZE:
            return
        for name, (limit, least) in PROGRAM_LIMITS.items():
            record = self.records.get(name)
            if record is None or not record.pictures:
                continue
            delay, rate = record.delay(0.5), record.pictures / record.seconds
            claim = f"{name}: p50 at most {limit:.0f} ms" + (
                f", at least {least:.0f} pictures a second" if least else ""
            )
            yield Target(
                claim, f"{delay:.1f} ms, {rate:.1f} a second", delay <= limit and rate >= least
            )
        for name, waits in self.readers.items():
            claim = f"{name}: first decoded picture within {READER_LIMIT:g} s"
            if not waits:
                yield Target(claim, "there was none", None)
                continue
            middle = percentile(waits, 0.5)
            yield Target(
                claim, f"p50 {middle:.2f} s, worst {max(waits):.2f} s", middle <= READER_LIMIT
            )

    def _told(self) -> Iterator[Target]:
        for record in self._measured:
            if not record.last_facts():
                continue
            claim = (
                f"{record.name}: delay shown on the tile within {TOLD_LIMIT:.0f} ms of the pixels'"
            )
            if not record.told:
                yield Target(claim, "the tile shows none", None)
                continue
            difference = median(record.told) - record.delay(0.5)
            yield Target(claim, f"{difference:+.1f} ms", abs(difference) <= TOLD_LIMIT)

    def _apart(self) -> Iterator[Target]:
        for record in self._measured:
            if not record.last_facts() or record.name in PROGRAM_LIMITS:
                continue  # the claim is on our own player, and those have their sound off
            claim = (
                f"{record.name}: sound and picture within {APART_LIMIT:.0f} ms in 19 of 20 flashes"
            )
            if not record.apart:
                yield Target(claim, "no flash with its beep", None)
                continue
            wide = percentile([abs(ms) for ms in record.apart], APART_SHARE)
            found = (
                f"{wide:.0f} ms (median {median(record.apart):+.0f} ms, {len(record.apart)} "
                "flashes)"
            )
            yield Target(claim, found, wide <= APART_LIMIT)

    def __str__(self) -> str:
        turns = [
            self.table(),
            self.late_table(),
            self.told_table(),
            self.sound_table(),
            self.cpu_table(),
            self.steps(),
            self.clocks(),
        ]
        parts = [*(turns if self.records else []), self.reader_table()]
        parts.append(listed(self.targets()))
        records = self.records.values()
        parts.append(
            "\n".join(
                f"{record.name}: {text}"
                for record in records
                for text in [*record.troubles, *record.remarks]
            )
        )
        return "\n\n".join(part for part in parts if part)

    def plain(self) -> dict[str, Any]:
        """For JSON: every single measurement, and the numbers of the table."""
        rows = {}
        for name, record in self.records.items():
            row: dict[str, Any] = asdict(record)
            if record.pictures:
                row |= {f"p{share * 100:.0f}": record.delay(share) for share in (0.5, 0.95, 0.99)}
                row |= {
                    f"p{share * 100:.0f}_ratio": self.ratio(name, share) for share in (0.5, 0.95)
                }
                row |= {"stalls": record.stalls, "longest_gap": record.longest_gap}
                row["cpu"] = {kind: record.load(kind) for kind in record.kinds}
            row["first_pictures"] = [asdict(first) for first in self.firsts.get(name, [])]
            rows[name] = row
        return {
            "size": str(self.size),
            "rows": rows,
            "readers": self.readers,
            "targets": [asdict(target) for target in self.targets()],
        }
