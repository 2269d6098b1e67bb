"""Headers of every answer over HTTP, whatever program gives it: what browsers may not do with
it.
"""

from __future__ import annotations

ALWAYS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
"""No answer is of another type than it says (WHATWG Fetch section 3.6), and none stands in a frame
of a page (RFC 7034).
"""

NOT_KEPT = {"Cache-Control": "no-store", **ALWAYS}
"""The same of an answer that no cache may keep."""

_NOTHING_ELSE = (
    "default-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)


def content_policy(**sources: str) -> str:
    """A Content-Security-Policy (W3C CSP 3): a page may load what is named and nothing else, send
    no form, and stand in no frame.

    Args:
        sources: From where a page may load each kind: `img="'self' data:"` is `img-src 'self'
            data:`.
    """
    named = (f"{kind}-src {source}" for kind, source in sources.items())
    return "; ".join((*_NOTHING_ELSE, *named))
