"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.harness.relays import Relay

# The machines that run this are shared: how long an example takes says nothing. Benches measure,
# tests do not. The examples are always the same ones, for some bounds are of experience. Others are
# tried by `tests/run --long`.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("searching", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def ordinary_priority() -> Iterator[None]:
    """Take back what SVT-AV1 does to a process that encodes with it as root: it makes it a realtime
    one. So would be every browser that the process starts later, and such browsers bring a computer
    to a standstill.
    """
    yield
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    """A relay without TLS, on loopback."""
    with Relay() as one:
        yield one
        assert one.alive, f"the relay has died:\n{one.output}"
        assert "Traceback" not in one.output, one.output
