"""How a document begins, to find the next one where the one before was cut off amid an element or a
box.

What is found follows from the bytes of the stream alone, never from how they were cut: a place is
looked for only in what was read last and in what is wrong behind it, and the first place that may
be a beginning is waited for until it is one or cannot become one.

`DocumentReader` is what the readers of both containers have in common.
"""

from __future__ import annotations

import re
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from drawercam.media.packets import Kind, LeftOut, MediaError, Packet, Track
from drawercam.media.work import LOOK, Work

from .header import Header

MAX_KEPT = 2**16
"""Bytes of an element that is only passed over, up to which it is kept until what follows is known.

Live streams have shorter ones.
"""

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
        place: Where, in bytes, in what was kept and what came behind it; None if it does not, or if
            that is not known.
        needed: In the latter case, how many bytes of what came behind must have come to know more;
            otherwise 0.
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

    def find(
        self, kept: bytes | bytearray, came: bytes | bytearray, reach: int, work: Work
    ) -> Found:
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
        """The first place from ``begin`` and before ``stop`` with a mark, or without room for one;
        ``stop`` if there is none.
        """
        # One search for whichever mark comes first: one for each would read all of the data again
        # for each of the other.
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
_MOOV = (
    rb"\0",
    rb"[\0-\x0f]",
    b".",
    b".",
    b"m",
    b"o",
    b"o",
    b"v",
    rb"\0",
    rb"\0",
    rb"\0",
    rb"[\x6c\x78]",
    b"m",
    b"v",
    b"h",
    b"d",
)

# ISO/IEC 14496-12 4.3: an ftyp with its brand; or 8.2.1, where there is none: a moov that begins
# with an mvhd of version 0 or 1.
MP4 = Beginning(
    re.compile(b"".join(_FTYP) + b"|" + b"".join(_MOOV), re.DOTALL),
    re.compile(_nested(*_FTYP) + b"|" + _nested(*_MOOV), re.DOTALL),
    re.compile(b"ftyp|moov"),
    4,
)


@dataclass(frozen=True, slots=True)
class Doubt:
    """What was kept may have been cut off, or bytes behind it are wrong: maybe because another
    document begins in them.

    Attributes:
        error: What is wrong with the buffer's first bytes; None if nothing is when no document
            begins.
        reach: So many of them.
        trusted: If so, nothing before this position of the stream was cut off, for readers that
            count positions.
    """

    error: MediaError | None
    reach: int
    trusted: int = -1


class DoubtError(MediaError):
    """What comes before a place may have been cut off, though nothing is wrong with it. No caller
    sees it.

    Attributes:
        reach, trusted: As in `Doubt`.
    """

    def __init__(self, reach: int, trusted: int = -1) -> None:
        super().__init__()
        self.reach, self.trusted = reach, trusted


class DocumentReader(ABC):
    """Push bytes, get tracks and packets.

    The bytes may be cut anywhere. A document may begin behind another one, or within a part of it
    that was cut off. That it was cut off shows in what follows it; where what follows is right, so
    was that part, whatever is in it.
    """

    def __init__(self, beginning: Beginning, needed: int) -> None:
        """
        Args:
            beginning: How documents begin.
            needed: Bytes with which reading begins.
        """
        self._beginning = beginning
        self._buffer = bytearray()
        self._needed = needed  # bytes that the buffer must hold before it is worth looking again
        self._skip = 0  # bytes still to pass over
        self._last: bytes | bytearray = b""  # what lies before the buffer and may have been cut off
        self._doubt: Doubt | None = None  # it may have been; see _judge
        self._began = False
        self._header = Header()
        self._header_read = False  # it is that of the present document
        self._document = -1  # how many there were before the present one
        self._error: MediaError | None = None
        self._work = Work()

    @property
    def held(self) -> int:
        """Bytes of memory for what is not complete yet, and for what is expected."""
        return sys.getsizeof(self._buffer)

    @property
    def kept(self) -> int:
        """Bytes of what was read last: it may have been cut off."""
        return len(self._last)

    @property
    def kinds(self) -> set[Kind] | None:
        """Kinds of the tracks of the present document; None before they are known."""
        return self._header.kinds if self._header_read else None

    def left_out(self) -> list[LeftOut]:
        """What was left out since the last call."""
        found, self._header.left_out = self._header.left_out, []
        return found

    def feed(self, data: bytes, work: Work | None = None) -> list[Track | Packet]:
        """Take the next bytes of the stream.

        Args:
            data: The bytes.
            work: What they may cost; as much as a message if None.

        Returns:
            What they complete, in order: a Track before its first packet and whenever it changes,
                and packets.

        Raises:
            MediaError: The bytes are not of this container, or broken, or none of its tracks can be
                read. The reader stays dead.
            MediaLimitError: A part claims more bytes than the reader holds, or has more parts than
                it reads, or the bytes are too much work.
        """
        if self._error:
            raise self._error
        self._work = Work() if work is None else work
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._buffer += data
        found: list[Track | Packet] = []
        try:
            self._read(found)
        except MediaError as error:
            self._error = type(error)(
                *error.args
            )  # without its frames, whose bytes would stay with it
            self._buffer, self._last = bytearray(), b""
            self._forget(0)
            raise
        return found

    def _judge(self, doubt: Doubt) -> bool:
        """Find out whether another document begins in what was kept, or in what is wrong behind it.

        Returns:
            Whether more can be read; if not, it is not known yet.

        Raises:
            MediaError: The error that was doubted: no other document begins.
        """
        place, needed = self._beginning.find(self._last, self._buffer, doubt.reach, self._work)
        if needed:
            self._doubt, self._needed = doubt, needed
            return False
        self._doubt = None
        if place is not None:
            before = len(self._last)
            self._buffer[:] = (self._last + self._buffer)[place:]
            self._last = b""
            self._forget(place - before)
            self._header.leave_out(CUT_OFF, over=True)
        elif doubt.error is not None:
            raise doubt.error
        else:
            self._trust(doubt)
        self._needed = self._least()
        return True

    def _next_header(self) -> Header:
        """The header of a document, which has come."""
        header = Header()
        header.left_out = self._header.left_out
        self._header, self._header_read = header, True
        return header

    @abstractmethod
    def _read(self, found: list[Track | Packet]) -> None:
        """Read what has come, and add what it completes."""

    @abstractmethod
    def _forget(self, moved: int) -> None:
        """Nothing of what was begun goes on.

        Args:
            moved: The buffer begins so many bytes behind where it did, or before that if negative.
        """

    @abstractmethod
    def _trust(self, doubt: Doubt) -> None:
        """What was doubted was not cut off."""

    @abstractmethod
    def _least(self) -> int:
        """Bytes that the buffer must hold to go on."""
