"""Names of cameras, made from what people type: the same that the camera page makes (web/names.js)."""

from __future__ import annotations

import re
import unicodedata

LONGEST_NAME = 32
"""Characters (`hub.NAME`)."""

# What JavaScript's `\s` stands for (ECMA-262, WhiteSpace and LineTerminator), which is not quite what Python's does; and two more.
_BETWEEN = re.compile("[\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff_.]+")


def name_of(text: str) -> str:
    """The name that a person means: "Front Door" is front-door. What is no name in any way gives ""."""
    plain = unicodedata.normalize("NFD", text).lower()  # é is e and an accent, which goes
    dashed = _BETWEEN.sub("-", plain)
    return re.sub("[^a-z0-9-]", "", dashed).lstrip("-")[:LONGEST_NAME].rstrip("-")
