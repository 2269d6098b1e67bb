"""The relay's clock, and the computer's."""

from __future__ import annotations

import sys
import time


class RelayClock:
    """Monotonic microseconds since the relay's start; what every timestamp on the wire refers
    to.
    """

    def __init__(self) -> None:
        self._zero = time.monotonic_ns()

    def __call__(self) -> int:
        return (time.monotonic_ns() - self._zero) // 1000


def utc_ms() -> int:
    """Milliseconds since 1970 by the computer's clock, which somebody may set."""
    return time.time_ns() // 10**6


def elapsed_ms() -> int:
    """Milliseconds that have passed since some moment. Unlike `time.monotonic`, which stands still
    on Linux and macOS while the computer sleeps, so that a computer which wakes up is not taken for
    one whose clock was set.
    """
    if sys.platform == "linux":
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10**6
    if sys.platform == "darwin":
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 10**6
    return time.monotonic_ns() // 10**6
