"""A relay with TLS, and names.

Tests of one file share their relays and keep apart by their cameras' names.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.relays import Relay


@pytest.fixture(scope="module")
def tls_relay() -> Iterator[Relay]:
    """A relay as people run it: TLS, keys."""
    with Relay("--tls", "--host", "127.0.0.1") as one:
        yield one
        assert one.alive, f"the relay has died:\n{one.output}"
        assert "Traceback" not in one.output, one.output


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A camera's name that no other test uses."""
    return f"cam-{abs(hash(request.node.nodeid)) % 10**10}"
