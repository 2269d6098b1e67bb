"""How loud the sound of a source is, and whether anything but zeros comes out of it
(docs/protocol.md, "Sound").
"""

from __future__ import annotations

import math

# Microseconds of nothing but zeros after which a source gives only silence: a quiet room does not,
# its microphone has noise.
_SILENT_AFTER = 10_000_000

# Microseconds over which the loudest moment is kept: one to two of these are remembered.
_KEPT = 1_000_000

# Of so many pieces of sound, how loud one is is worked out: in Python that takes 60 µs. For zeros
# all of them are looked through.
_MEASURED = 4


class Loudness:
    """Written by the thread of a source and read by the event loop, so all that it remembers are
    single numbers.
    """

    def __init__(self) -> None:
        self._pieces = 0
        self._heard: int | None = None  # when the last piece came
        self._zeros_since: int | None = None
        self._begun = 0  # when the present span of time began
        self._now = self._before = 0.0  # the loudest of this span and of the one before

    def hear(self, samples: memoryview[float], moment: int) -> None:
        """Take a piece of sound.

        Args:
            samples: Floats in -1..1, of all channels.
            moment: When it came (µs).
        """
        broke_off = self._heard is None or moment - self._heard > _KEPT
        self._heard = moment
        if any(samples):
            self._zeros_since = None
        elif self._zeros_since is None or broke_off:
            self._zeros_since = moment
        if moment - self._begun > _KEPT:
            self._before, self._now, self._begun = 0.0 if broke_off else self._now, 0.0, moment
        self._pieces += 1
        if self._zeros_since is None and self._pieces % _MEASURED == 0:
            mean = sum(sample * sample for sample in samples) / len(samples)
            self._now = max(self._now, min(1.0, math.sqrt(mean)))

    def level(self, moment: int) -> float | None:
        """Root mean square, 0 to 1, of the loudest moment lately; None where nothing has come
        lately.
        """
        if self._heard is None or moment - self._heard > _KEPT:
            return None
        return float(f"{max(self._now, self._before):.3g}")

    def silent(self, moment: int) -> bool:
        """Whether it has been only zeros for long."""
        return (
            self._zeros_since is not None
            and self.level(moment) is not None
            and moment - self._zeros_since >= _SILENT_AFTER
        )


__all__ = ["Loudness"]
