"""What the readers of both containers have in common: documents, one behind the other."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass

from drawercam.media.packets import Kind, LeftOut, MediaError, Packet, Track
from drawercam.media.work import Work

from .beginnings import CUT_OFF, Beginning
from .header import Header


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
