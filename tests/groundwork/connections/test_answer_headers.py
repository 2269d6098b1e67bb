"""Headers that no answer is without."""

from __future__ import annotations

from groundwork.connections.answer_headers import content_policy


def test_a_policy_allows_what_is_named_and_nothing_else() -> None:
    parts = content_policy(script="'self'", img="'self' data:").split("; ")
    nothing = {
        "default-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    }
    assert set(parts) == nothing | {"script-src 'self'", "img-src 'self' data:"} and len(parts) == 6
