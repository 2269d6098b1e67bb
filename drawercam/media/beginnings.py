"""How a document begins, WebM or MP4: to find the next one where the one before was cut off amid an element."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .work import Work

MAX_KEPT = 2**16
"""Bytes of an element that are kept until what follows it is known: another document may have begun in it. Most pictures have less; of a
larger one it is seen only if what follows has come together with its end."""

MOST_KEPT = 8
"""Elements that are only passed over, one behind the other, and are kept with it: as many do not look right by chance."""

LONGEST = 90
"""Bytes by which a beginning is known, at most."""

# Bytes that are searched for a unit of work, and units for each place that may be a beginning.
_SEARCHED = 2**10
_LOOK = 2

MAYBE = -1
"""A place that is not known yet."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """
    Attributes:
        whole: Matches it.
        may_be: Finds, at the end of some bytes, what may become one.
        mark, at: Bytes that stand in it, and where.
    """

    whole: re.Pattern[bytes]
    may_be: re.Pattern[bytes]
    mark: bytes
    at: int

    def find(self, data: bytes | bytearray, work: Work, known: int = -1, most: int = -1) -> int | None:
        """Find the first one.

        Args:
            data: The bytes.
            work: Pays for it.
            known: The place of one that is known, and does not count.
            most: Before this place, one may have begun whose end has not come.

        Returns:
            Its place; MAYBE if that is so; None if there is none.
        """
        work.spend(len(data) // _SEARCHED)
        place = data.find(self.mark, self.at)
        while place >= 0:
            work.spend(_LOOK)
            if place - self.at != known and self.whole.match(data, place - self.at):
                return place - self.at
            place = data.find(self.mark, place + 1)
        maybe = self.may_be.search(data, max(0, len(data) - LONGEST)) if len(data) - most < LONGEST else None
        return MAYBE if maybe is not None and maybe.start() < most and maybe.start() != known else None

    def tail(self, data: bytes | bytearray) -> bytes:
        """As many of the last bytes as may belong to one that has begun in them."""
        return bytes(data[-LONGEST:])


# An EBML header with its DocType (RFC 8794 11.2); an ftyp with its brand (ISO/IEC 14496-12 4.3).
WEBM = Beginning(
    re.compile(rb"\x1a\x45\xdf\xa3.{1,64}?\x42\x82[\x80-\x9f](?:webm|matroska)", re.DOTALL),
    re.compile(rb"\x1a(?:\x45(?:\xdf(?:\xa3.{0,79})?)?)?\Z", re.DOTALL),
    b"\x1a\x45\xdf\xa3",
    0,
)
MP4 = Beginning(
    re.compile(rb"\0\0\0[\x10-\x80]ftyp[ -~]{4}"),
    re.compile(rb"\0(?:\0(?:\0(?:[\x10-\x80](?:f(?:t(?:y(?:p[ -~]{0,3})?)?)?)?)?)?)?\Z"),
    b"ftyp",
    4,
)
