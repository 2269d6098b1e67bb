"""Flashes that were seen and beeps that were heard, paired: how far sound and picture are apart.

The scene flashes and beeps at the beginning of each second of the painted clock (`pages/clock.js`,
`pages/scene.js`), so the moment of hearing tells how old a beep is, up to a second. The audio
thread of a busy camera page sometimes stops, and then a beep begins late; the page knows by how
much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PERIOD = 1000.0
"""Milliseconds from one flash to the next, and from one beep to the next (`pages/clock.js`)."""


@dataclass(frozen=True)
class Sync:
    """Of one turn.

    Attributes:
        beeps: ms from a beep's begin to its being heard, one for each beep.
        apart: ms by which a beep came later after its begin than the picture that shows the flash
            after its painting; negative: sooner.
    """

    beeps: list[float]
    apart: list[float]

    @classmethod
    def of(
        cls, report: Mapping[str, Any], begun: Iterable[tuple[int, float]], correction: float
    ) -> Sync:
        """From the report of `pages/viewer.js`.

        Args:
            begun: Each beep's second, and the ms by which it began late; a beep that is not among
                them does not count.
            correction: ms to add to this page's clock to get the camera page's.
        """
        late = dict(begun)
        heard: dict[int, float] = {}
        for moment in report["heard"]:
            second, delay = divmod(report["origin"] + moment + correction, PERIOD)
            if int(second) in late:
                heard.setdefault(int(second), delay - late[int(second)])
        flashes: dict[int, float] = {}
        before = 1  # a flash that was on when the turn began has begun before
        for at, delay, _, flash in report["samples"]:
            if flash and not before:
                painted = report["origin"] + at - delay
                flashes.setdefault(int(painted // PERIOD), delay + correction)
            before = flash
        apart = [heard[second] - delay for second, delay in flashes.items() if second in heard]
        return cls(list(heard.values()), apart)
