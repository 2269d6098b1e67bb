"""What people call their cameras, and the names that are made from it.

The camera page does the same (web/shared/page/camera-name.js).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# The one place where a name from outside is judged. Nothing else may become a name, and a name
# never becomes a path.
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
NAME_RULE = "a name has 1 to 32 characters: a-z, 0-9 and -, and does not begin with -"

LONGEST_NAME = 32
"""Characters of a `NAME`."""

LONGEST_LABEL = 40
"""Code points of a label in NFC: what stands in one line on a phone.

One that is longer is cut there.
"""

FEW_MARKS, MANY_MARKS = 2, 4
"""Combining marks behind a letter: accents, of which more would cover the lines around it; and
those of scripts that write vowels and parts of letters so, as in ज़िंदगी and မြို့.
"""

_LONGEST_TOLD = 256
"""Characters of what a camera says that are looked at: a label may have marks and joiners, and
looking costs time.
"""

DIGITS = 10_000
"""Names that differ in nothing but what no name can contain."""

# What JavaScript's `\s` stands for (ECMA-262, WhiteSpace and LineTerminator), which is not quite
# what Python's does; and two more.
_BETWEEN = re.compile(
    "[\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff_.]+"
)

# Devanagari to Sinhala, Tibetan and Myanmar, Khmer.
_MANY = re.compile("[\u0900-\u0dff\u0f00-\u109f\u1780-\u17ff]")

_JOINERS = "\u200c\u200d"

# Latin, Greek, Cyrillic and Armenian letters are never joined: a joiner between them would only
# make two labels of what looks the same.
_JOINED_FROM = "\u0590"

# The prime and the offset basis of Fowler, Noll and Vo for 32 bits.
_FNV_PRIME, _FNV_BASIS = 0x01000193, 0x811C9DC5


def name_of(text: str) -> str:
    """The name that a person means: "Front Door" is front-door. What is no name in any way gives
    "".

    Where more is lost than accents, spaces and punctuation, four digits tell it from other such
    names: 日本 is camera-8721.
    """
    plain = unicodedata.normalize("NFD", text)  # é is e and an accent, which goes
    name = re.sub("[^a-z0-9-]", "", _BETWEEN.sub("-", plain).lower()).lstrip("-")
    if not any(_is_lost(one) for one in plain):
        return name[:LONGEST_NAME].rstrip("-")
    digits = f"-{_fnv(label_of(text).encode()) % DIGITS:04}"
    return (name[: LONGEST_NAME - len(digits)].rstrip("-") or "camera") + digits


def label_of(text: str) -> str:
    """What is shown of a text: without what cannot be seen, or would disturb what stands beside it.
    It may be empty.

    Control, format and direction characters, line separators and lone surrogates go; joiners stay
    between what they join.
    """
    seen = [
        one
        for one in unicodedata.normalize("NFC", text)
        if one in _JOINERS or unicodedata.category(one) not in _UNSEEN
    ]
    joined = (one for at, one in enumerate(seen) if one not in _JOINERS or _joins(seen, at))
    kept = "".join(_few_marks(unicodedata.normalize("NFC", "".join(joined))))
    return kept.strip(_SPACES)[:LONGEST_LABEL].rstrip(_SPACES + _JOINERS)


def told_label(text: str) -> str | None:
    """What a camera says that it is called; None where that leaves nothing to show."""
    return label_of(text[:_LONGEST_TOLD]) or None


_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")

_SPACES = "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))


def _is_lost(one: str) -> bool:
    """A letter, digit or symbol that no name contains.

    What Unicode did not know yet is one, so older tables agree on newer emoji.
    """
    return (
        one > "\x7f"
        and (category := unicodedata.category(one))[0] not in "MPZ"
        and category not in _UNSEEN
    ) or one in "$+<=>^`|~"


def _joins(seen: list[str], at: int) -> bool:
    """A joiner stands between two characters that can be joined, or ends a letter, as in older
    texts in Malayalam.
    """
    before = seen[at - 1] if at else ""
    behind = seen[at + 1] if at + 1 < len(seen) else ""
    return _is_joined(before) and (_is_joined(behind) or _is_mark(before))


def _is_joined(one: str) -> bool:
    return one >= _JOINED_FROM and one not in _JOINERS and one not in _SPACES


def _is_mark(one: str) -> bool:
    return unicodedata.category(one)[0] == "M"


def _few_marks(text: str) -> Iterator[str]:
    """The text without the marks that are too many for one letter."""
    first, marks = "", 0
    for one in text:
        if not _is_mark(one):
            marks = 0
        else:
            first, marks = first if marks else one, marks + 1
            if marks > (MANY_MARKS if _MANY.match(first) else FEW_MARKS):
                continue
        yield one


def _fnv(data: bytes) -> int:
    """FNV-1a with 32 bits: no cryptography, because browsers have none on pages that came by plain
    http.
    """
    value = _FNV_BASIS
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return value
