"""What all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.relays import Relay

# The machines that run this are shared: how long an example takes says nothing. Benches measure, tests do not.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    """A relay without TLS, on loopback."""
    with Relay() as one:
        yield one
        assert one.alive, f"the relay has died:\n{one.output}"
        assert "Traceback" not in one.output, one.output
