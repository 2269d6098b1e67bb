"""How a document begins, to find the next one where the one before was cut off amid an element or a box.

What is found follows from the bytes of the stream alone, never from how they were cut: a place is looked for only in what was read last
and in what is wrong behind it, and the first place that may be a beginning is waited for until it is one or cannot become one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from drawercam.media.work import LOOK, Work

MAX_KEPT = 2**16
"""Bytes of an element that is only passed over, up to which it is kept until what follows is known. Live streams have shorter ones."""

LONGEST = 4 + 64 + 3 + 8
"""Bytes by which a beginning is known, at most."""

CUT_OFF = "a document was cut off, and another one begins where it broke off"

_SEARCHED = 2**10
"""Bytes that are searched for a unit of work."""

_MARK = 4
"""Bytes of a mark."""


class Found(NamedTuple):
    """Whether another document begins.

    Attributes:
        place: Where, in bytes, in what was kept and what came behind it; None if it does not, or if that is not known.
        needed: In the latter case, how many bytes of what came behind must have come to know more; otherwise 0.
    """

    place: int | None
    needed: int


_NONE = Found(None, 0)


@dataclass(frozen=True, slots=True)
class Beginning:
    """How the documents of a container begin.

    Attributes:
        whole: Matches a beginning.
        part: Matches what may become one with more bytes, up to the end.
        mark: Matches four bytes that stand in each beginning.
        at: Where, in bytes from the beginning.
    """

    whole: re.Pattern[bytes]
    part: re.Pattern[bytes]
    mark: re.Pattern[bytes]
    at: int

    def find(self, kept: bytes | bytearray, came: bytes | bytearray, reach: int, work: Work) -> Found:
        """Find where another document begins.

        Args:
            kept: What was read last. Its first byte begins no other document.
            came: What has come behind it; nor does its first byte.
            reach: It begins before this place in ``came``.
            work: Pays for it.
        """
        stop = len(kept) + reach
        work.spend(LOOK + stop // _SEARCHED)
        data = bytes(kept) + came[: reach + LONGEST]
        place = 0
        while (place := self._next(data, place + 1, stop)) < stop:
            work.spend(LOOK)
            if place == len(kept):
                continue
            if self.whole.match(data, place):
                return Found(place, 0)
            if self.part.match(data, place):
                return Found(None, len(data) - len(kept) + 1)
        return _NONE

    def _next(self, data: bytes, begin: int, stop: int) -> int:
        """The first place from ``begin`` and before ``stop`` with a mark, or without room for one; ``stop`` if there is none."""
        # One search for whichever mark comes first: one for each would read all of the data again for each of the other.
        hit = self.mark.search(data, begin + self.at, max(0, stop + self.at + _MARK - 1))
        short = max(begin, len(data) - self.at - _MARK + 1)
        return min(hit.start() - self.at if hit else stop, short, stop)


def _nested(*parts: bytes) -> bytes:
    """A pattern of the first one or more of the parts in a row, up to the end of the data."""
    pattern = rb"\Z"
    for part in reversed(parts[1:]):
        pattern = rb"(?:\Z|" + part + pattern + rb")"
    return parts[0] + pattern


# RFC 8794 11.2: an EBML header with its DocType.
WEBM = Beginning(
    re.compile(rb"\x1a\x45\xdf\xa3.{1,64}?\x42\x82[\x80-\x9f](?:webm|matroska)", re.DOTALL),
    re.compile(_nested(rb"\x1a", rb"\x45", rb"\xdf", rb"\xa3", rb".{1,74}"), re.DOTALL),
    re.compile(rb"\x1a\x45\xdf\xa3"),
    0,
)

_FTYP = (rb"\0", rb"\0", rb"\0", rb"[\x10-\x80]", b"f", b"t", b"y", b"p", *[b"[ -~]"] * 4)
_MOOV = (rb"\0", rb"[\0-\x0f]", b".", b".", b"m", b"o", b"o", b"v", rb"\0", rb"\0", rb"\0", rb"[\x6c\x78]", b"m", b"v", b"h", b"d")

# ISO/IEC 14496-12 4.3: an ftyp with its brand; or 8.2.1, where there is none: a moov that begins with an mvhd of version 0 or 1.
MP4 = Beginning(
    re.compile(b"".join(_FTYP) + b"|" + b"".join(_MOOV), re.DOTALL),
    re.compile(_nested(*_FTYP) + b"|" + _nested(*_MOOV), re.DOTALL),
    re.compile(b"ftyp|moov"),
    4,
)
