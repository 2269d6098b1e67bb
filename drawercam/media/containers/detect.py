"""Which container: told from the first bytes when reading, from the codec when writing."""

from __future__ import annotations

from typing import Protocol

from drawercam.media.packets import Kind, LeftOut, MediaError, Packet, Track
from drawercam.media.work import Work

from .mp4 import BEGINNINGS, Mp4Reader
from .mp4_writer import Mp4Writer
from .webm import WebmReader
from .webm_writer import WebmWriter

_EBML_MAGIC = b"\x1a\x45\xdf\xa3"

# Bytes that tell: the EBML magic number, or an MP4 box's size and type.
_TELLING = 8


class Reader(Protocol):
    """Push bytes, get tracks and packets; MediaError for anything else."""

    @property
    def held(self) -> int:
        """Bytes of memory for what is not complete yet."""

    @property
    def kept(self) -> int:
        """Bytes of what was read last: it may have been cut off."""

    @property
    def kinds(self) -> set[Kind] | None:
        """Kinds of the tracks of the present document; None before they are known."""

    def feed(self, data: bytes, work: Work | None = None) -> list[Track | Packet]: ...

    def left_out(self) -> list[LeftOut]:
        """What was left out since the last call."""


class Writer(Protocol):
    """Give packets of one track, get bytes: an init segment, then one fragment per packet."""

    @property
    def mime(self) -> str: ...

    def init(self, oriented: bool = False) -> bytes: ...

    def fragment(self, packet: Packet) -> bytes: ...


class StreamReader:
    """A reader that finds out by itself whether it is fed WebM or MP4."""

    def __init__(self) -> None:
        self._reader: Reader | None = None
        self._head = b""

    @property
    def held(self) -> int:
        """Bytes of memory for what is not complete yet."""
        return self._reader.held if self._reader is not None else len(self._head)

    @property
    def kept(self) -> int:
        """Bytes of what was read last: it may have been cut off."""
        return self._reader.kept if self._reader is not None else 0

    @property
    def kinds(self) -> set[Kind] | None:
        """Kinds of the tracks of the present document; None before they are known."""
        return None if self._reader is None else self._reader.kinds

    def left_out(self) -> list[LeftOut]:
        """What was left out since the last call."""
        return [] if self._reader is None else self._reader.left_out()

    def feed(self, data: bytes, work: Work | None = None) -> list[Track | Packet]:
        """Take the next bytes of the stream, cut anywhere; see WebmReader.feed and Mp4Reader.feed.

        Raises:
            MediaError: The bytes are neither WebM nor MP4, or broken.
            MediaLimitError: See there.
        """
        if self._reader is None:
            self._head += data
            if self._head[: len(_EBML_MAGIC)] == _EBML_MAGIC:
                self._reader = WebmReader()
            elif len(self._head) >= _TELLING:
                if self._head[4:_TELLING] not in BEGINNINGS:
                    self._head = self._head[:_TELLING]
                    raise MediaError("the bytes are neither WebM nor MP4")
                self._reader = Mp4Reader()
            else:
                return []
            data, self._head = self._head, b""
        return self._reader.feed(data, work)


def writer(track: Track, number: int, date_utc: int) -> Writer:
    """The writer of a track's canonical form (docs/protocol.md): WebM where browsers take it, MP4
    for H.264 and AAC.

    Args:
        track: What will be written.
        number: Track number.
        date_utc: When the timeline was 0, in nanoseconds since 2001-01-01T00:00 UTC.
    """
    if track.codec in WebmWriter.CODECS:
        return WebmWriter(track, number, date_utc)
    return Mp4Writer(track, number)
