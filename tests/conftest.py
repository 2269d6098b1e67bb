"""What all tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The machines that run this are shared: how long an example takes says nothing. Benches measure, tests do not.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
