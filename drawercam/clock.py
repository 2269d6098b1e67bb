"""The relay's clock."""

from __future__ import annotations

import time


class RelayClock:
    """Monotonic microseconds since the relay's start; what every timestamp on the wire refers to."""

    def __init__(self) -> None:
        self._zero = time.monotonic_ns()

    def __call__(self) -> int:
        return (time.monotonic_ns() - self._zero) // 1000
