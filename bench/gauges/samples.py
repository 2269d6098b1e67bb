"""What a viewer saw, and the numbers that describe it. Nothing is clipped, smoothed or left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from .sound import Sync

STALL = 250.0
"""Milliseconds between two new pictures from which on a person sees a standstill."""

SKEW_TOLERANCE = 1.0
"""Milliseconds by which two pages' clocks may differ before the delays are corrected: less is
within the comparison's own error.
"""


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share (0 to 1) of all values does not exceed (nearest
    rank).

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("no values have no percentile")
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 1)
    return ordered[max(0, min(len(ordered) - 1, int(rank) - 1))]


@dataclass(frozen=True)
class Turn:
    """One row's one turn.

    Attributes:
        delays: ms from painting to showing, one for each new picture.
        gaps: ms between one new picture and the next, from the turn's begin to its end.
        unreadable: Reads that gave no time.
        reads: All reads of the screen.
        skew: ms by which the camera page's clock was ahead of the viewer's.
        size: Width and height of the picture shown.
        seconds: How long the turn was.
        cpu: Seconds of CPU by kind of process.
        detail: What the page says about itself, for a closer look.
        steps: Where the time went, as a table, if that was asked for.
        remark: What was not as it should be, although it could be measured.
        sync: Sound and picture.
        facts: What the tile said of itself, about four times a second.
    """

    delays: list[float]
    gaps: list[float]
    unreadable: int
    reads: int
    skew: float
    size: tuple[int, int]
    seconds: float
    cpu: Mapping[str, float] = field(default_factory=dict)
    detail: Any = None
    steps: str = ""
    remark: str = ""
    sync: Sync = field(default_factory=lambda: Sync([], []))
    facts: list[Mapping[str, Any]] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        report: Mapping[str, Any],
        skew: float = 0.0,
        cpu: Mapping[str, float] | None = None,
        detail: Any = None,
        steps: str = "",
        remark: str = "",
        begun: Iterable[tuple[int, float]] = (),
    ) -> Turn:
        """From the report of `pages/viewer.js`.

        Args:
            begun: The beeps that have begun, see `Sync.of`.
        """
        correction = skew if abs(skew) > SKEW_TOLERANCE else 0.0
        moments = [report["begun"], *(at for at, *_ in report["samples"]), report["ended"]]
        return cls(
            delays=[delay + correction for _, delay, *_ in report["samples"]],
            gaps=[later - earlier for earlier, later in pairwise(moments)],
            unreadable=report["unreadable"],
            reads=report["reads"],
            skew=skew,
            size=(report["width"], report["height"]),
            seconds=(report["ended"] - report["begun"]) / 1000,
            cpu=cpu or {},
            detail=detail,
            steps=steps,
            remark=remark,
            sync=Sync.of(report, begun, correction),
            facts=report["facts"],
        )


@dataclass
class Record:
    """All turns of one row."""

    name: str
    turns: list[Turn] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def delays(self) -> list[float]:
        return [delay for turn in self.turns for delay in turn.delays]

    @property
    def pictures(self) -> int:
        return len(self.delays)

    @property
    def seconds(self) -> float:
        return sum(turn.seconds for turn in self.turns)

    @property
    def stalls(self) -> int:
        """Gaps longer than `STALL`."""
        return sum(gap > STALL for turn in self.turns for gap in turn.gaps)

    @property
    def longest_gap(self) -> float:
        """ms."""
        return max(gap for turn in self.turns for gap in turn.gaps)

    @property
    def sizes(self) -> list[str]:
        """Sizes of the pictures that were shown at the end of the turns: WebRTC makes them smaller
        to save bits.
        """
        return sorted(
            {
                f"{width}x{height}"
                for width, height in (turn.size for turn in self.turns if turn.delays)
            }
        )

    @property
    def unreadable(self) -> int:
        return sum(turn.unreadable for turn in self.turns)

    @property
    def skew(self) -> float:
        """ms: the largest that was found, with its sign."""
        return max((turn.skew for turn in self.turns), key=abs)

    def delay(self, share: float) -> float:
        """A percentile of the delays in ms."""
        return percentile(self.delays, share)

    @property
    def told(self) -> list[float]:
        """ms: the delays that the tile showed on itself."""
        return [
            fact["delay"]
            for turn in self.turns
            for fact in turn.facts
            if fact.get("delay") is not None
        ]

    @property
    def beeps(self) -> list[float]:
        """ms: how old the beeps were when they were heard."""
        return [delay for turn in self.turns for delay in turn.sync.beeps]

    @property
    def apart(self) -> list[float]:
        """ms by which sound was later than picture."""
        return [delay for turn in self.turns for delay in turn.sync.apart]

    @property
    def remarks(self) -> list[str]:
        return sorted({turn.remark for turn in self.turns if turn.remark})

    def last_facts(self) -> list[Mapping[str, Any]]:
        """What the tile said at the end of each turn."""
        return [turn.facts[-1] for turn in self.turns if turn.facts]

    def load(self, kind: str) -> float:
        """CPU seconds per second of one kind of process."""
        return sum(turn.cpu.get(kind, 0.0) for turn in self.turns) / self.seconds

    @property
    def kinds(self) -> list[str]:
        return sorted({kind for turn in self.turns for kind in turn.cpu})


@dataclass(frozen=True)
class FirstPicture:
    """One late viewer.

    Attributes:
        wait: ms from the open WebSocket to the first picture on the screen.
        delay: ms by which that first picture was old.
        live: ms from the open WebSocket to the first picture that was less than 300 ms old
            (`pages/viewer.js`); None if none came.
    """

    wait: float
    delay: float
    live: float | None
