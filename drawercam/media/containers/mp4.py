"""Fragmented MP4 (ISO/IEC 14496-12): bytes to packets."""

from __future__ import annotations

import struct
import sys
from collections import deque

from drawercam.media.codecs.unpack import audio_duration
from drawercam.media.packets import MAX_PASSED_OVER, MediaError, MediaLimitError, Packet, Track
from drawercam.media.work import BOX, FRAME, READ

from . import boxes
from .beginnings import MAX_KEPT, MP4, DocumentReader, Doubt, DoubtError
from .mp4_fragments import MAX_BOX, MAX_SAMPLES, Fragment, Sample, in_order, listed
from .mp4_tracks import NOT_FRAGMENTED, Movie

# The largest moof, and what is held of a moov, in bytes. Real ones have some hundred bytes, and 4
# to 16 for each sample.
MAX_HEADER = 2**20

# Bytes of memory for a sample that is expected.
_SAMPLE_SIZE = 256

# Times in a stream, in microseconds: what JavaScript still counts exactly, 285 years.
MAX_TIME = 2**53

# How long before a stream's zero its edit list may put a sample, in microseconds: what a decoder
# needs to warm up, and some.
MAX_LEAD = 10_000_000

# How far, in microseconds, a picture may be shown before or after its decode time. Encoders reorder
# by a few frames.
MAX_REORDERING = 10_000_000

# A frame that claims to last longer, in microseconds, tells of a recorder's pause and not of its
# own length.
MAX_DURATION = 10_000_000

# The type of the first box. Anything else is no MP4 at all, and said to be so at once. Section 4.3
# asks for ftyp; but streams that are joined begin with what stands between fragments, some writers
# pad first, and QuickTime's old files begin with their media.
BEGINNINGS = frozenset(
    (
        b"ftyp",
        b"styp",
        b"moov",
        b"free",
        b"skip",
        b"wide",
        b"uuid",
        b"sidx",
        b"ssix",
        b"emsg",
        b"prft",
        b"pdin",
        b"meta",
        b"mdat",
        b"moof",
    )
)

# Of a moov, what is read.
_IN_MOOV = frozenset((b"mvhd", b"trak", b"mvex"))

# What may follow a box. Where another type does, the box may have been cut off, and another
# document have begun in it.
_KNOWN = BEGINNINGS | {b"mfra", b"udta", *_IN_MOOV}

# Bytes before a sample that are kept with it: as much as a document has before its mvhd ends.
_TAIL = 2**8

# Bytes at the end of what cannot be read in which no other document is looked for. Many a moov ends
# with zeros, with which documents begin, too; that it cannot be read is to be said at once. Where
# so few bytes are wrong, it can.
_ZEROS = 7

# 8.2.2.2: what stands in each mvhd, ten reserved bytes and a matrix that turns nothing.
_MOVIE = bytes(10) + struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


class Mp4Reader(DocumentReader):
    """Push bytes, get tracks and packets.

    The bytes may be cut anywhere. Timestamps are in microseconds from the stream's own zero. A
    sample leaves as soon as its last byte has come. A second moov in the stream replaces the first,
    as recorders that are restarted in mid-stream write it; also one within a box that was cut off.
    That it was cut off shows in what follows it; where what follows is right, so was the box,
    whatever is in it.
    """

    def __init__(self) -> None:
        super().__init__(MP4, needed=8)
        self._position = 0  # in the stream, of the next byte to be looked at
        self._unit = 0  # the same of the box or sample that was begun last
        self._trusted = -1  # position before which nothing was cut off, as far as can be told
        self._origin = 0  # position in the stream of the present document's first byte
        self._endless: bytes | None = None  # type of a box of size 0, which is the last one
        self._moov_end: int | None = None  # inside a moov: where it ends
        self._moov = bytearray()  # what is read of it
        self._moov_ended = False  # it is complete, and what it says is being read
        self._media_end: int | None = None  # inside an mdat: where it ends
        self._samples: deque[Sample] = deque()  # that have been announced, in file order
        self._planned = 0  # how many of them there were so far
        self._movie = Movie(self._header)

    @property
    def held(self) -> int:
        """Bytes of memory for what is not complete yet, and for what is expected."""
        return super().held + sys.getsizeof(self._moov) + _SAMPLE_SIZE * len(self._samples)

    def _read(self, found: list[Track | Packet]) -> None:
        buffer = self._buffer
        while self._doubt is None or (len(buffer) >= self._needed and self._judge(self._doubt)):
            begin, available = 0, len(buffer)  # of what is not used up yet
            before = self._position
            try:
                with memoryview(buffer) as view:
                    while available - begin >= self._needed:
                        before = self._position
                        if self._media_end is None:
                            self._read_box(view, begin)
                        else:
                            self._read_media(view, begin, self._media_end, found)
                        begin += self._position - before
                        if begin > available:
                            self._skip = begin - available
                            begin = available
            except MediaError as error:
                if not self._began or self._work.left < 0:
                    raise
                del buffer[: begin + self._unit - before]
                used_up, self._position = self._position - self._unit, self._unit
                if isinstance(error, DoubtError):
                    self._doubt = Doubt(None, error.reach, error.trusted)
                else:
                    self._doubt = Doubt(type(error)(*error.args), self._reach(used_up))
                self._needed = 0
                continue
            del buffer[:begin]
            break

    def _reach(self, used_up: int) -> int:
        """In how many of the buffer's first bytes another document may begin, where something is
        wrong with them.

        Args:
            used_up: So many were found to be wrong; 0 for the header of a box, or if it shows in
                what lies before.
        """
        if used_up or self._moov_ended:
            return used_up - _ZEROS
        return 0 if self._media_end is not None else 8

    def _forget(self, moved: int) -> None:
        self._position += moved
        self._moov_end = self._media_end = self._endless = None
        self._moov, self._moov_ended = bytearray(), False
        self._samples.clear()

    def _trust(self, doubt: Doubt) -> None:
        self._trusted = doubt.trusted

    def _least(self) -> int:
        return 8 if self._media_end is None else 0

    def _read_box(self, view: memoryview, begin: int) -> None:
        """Look at the box that begins there; use it up, or say how many bytes it needs."""
        self._work.spend(BOX)
        self._unit = self._position
        if self._endless is not None:
            raise MediaLimitError(
                f"an MP4 box {boxes.quoted(self._endless)} without an end is too long"
            )
        size, kind = boxes.HEADER.unpack_from(view, begin)
        if not self._began and kind not in BEGINNINGS:
            raise MediaError("the stream does not begin with an MP4 box")
        self._began = True
        header = 8
        if size == 1:
            header = 16
            if len(view) - begin < header:
                self._needed = header
                return
            (size,) = struct.unpack_from(">Q", view, begin + 8)
        elif size == 0 and self._moov_end is not None:
            size = self._moov_end - self._position  # 4.2: to the end of its parent
        elif size == 0 and kind not in (b"moov", b"moof"):
            # 4.2: to the end of the file. Of a live stream, nobody knows where that is.
            self._endless = kind
            size = header + boxes.MAX_ENDLESS
        if size < header or not (
            kind in _KNOWN or (kind.isascii() and kind.decode("ascii").isprintable())
        ):
            raise MediaError(f"an MP4 box {boxes.quoted(kind)} has an impossible type or size")
        if kind not in _KNOWN and self._moov_end is None and self._position != self._trusted:
            raise DoubtError(0, self._position)
        if kind == b"mdat" and not self._header_read and size > header:
            raise MediaError(NOT_FRAGMENTED)
        limit = MAX_HEADER if kind == b"moof" else MAX_PASSED_OVER
        if size - header > limit:
            raise MediaLimitError(
                f"an MP4 box {boxes.quoted(kind)} claims {size} bytes; the limit is {limit}"
            )
        self._needed = 8
        if self._moov_end is not None:
            self._read_in_moov(view, begin, kind, header, size)
            return
        if kind == b"moof":
            if len(view) - begin < size:
                self._needed = size
                return
            self._work.spend(READ)
            kept: bytes | bytearray = bytes(view[begin : begin + size])
            self._position += size
            self._read_moof(memoryview(kept)[header:], self._unit, self._position)
        elif kind == b"moov":
            self._moov_end = self._position + size
            kept = bytearray(view[begin : begin + header])
            self._position += header
            if size == header:
                self._last = kept
                self._end_moov()
        elif kind == b"mdat":
            self._media_end = self._position + size
            self._needed = 0
            kept = b""
            self._position += header
        else:
            if kind == b"ftyp":
                self._origin = self._position
            if size <= MAX_KEPT and len(view) - begin < size:
                self._needed = size
                return
            kept = bytes(view[begin : begin + size]) if size <= MAX_KEPT else b""
            self._position += size
        self._last = kept

    def _read_in_moov(
        self, view: memoryview, begin: int, kind: bytes, header: int, size: int
    ) -> None:
        """Keep a box of a moov, pass over it, or say how many bytes it needs."""
        assert self._moov_end is not None
        if self._position + size > self._moov_end:
            raise MediaError(f"an MP4 box {boxes.quoted(kind)} does not fit into its parent")
        if kind in _IN_MOOV and len(self._moov) + size > MAX_HEADER:
            # Only where all samples are listed it can be so long.
            sentence = f"an MP4 moov is longer than {MAX_HEADER} bytes; {NOT_FRAGMENTED}"
            raise MediaLimitError(sentence)
        if (kind in _IN_MOOV or size <= MAX_KEPT) and len(view) - begin < size:
            self._needed = size
            return
        if kind in _IN_MOOV:
            self._work.spend(READ)
            # With its size written anew: 0 would mean up to the end of the parent, which is shorter
            # now.
            self._moov += (
                boxes.HEADER.pack(8 + size - header, kind) + view[begin + header : begin + size]
            )
        self._position += size
        if len(self._last) + size <= MAX_KEPT:
            self._last += view[begin : begin + size]
        else:
            self._last = bytearray()
        if self._position == self._moov_end:
            self._end_moov()

    def _end_moov(self) -> None:
        moov, self._moov, self._moov_end = self._moov, bytearray(), None
        self._unit, self._moov_ended = self._position, True
        self._read_moov(memoryview(bytes(moov)))
        self._moov_ended = False

    def _read_media(
        self, view: memoryview, place: int, end: int, found: list[Track | Packet]
    ) -> None:
        """Take the samples that have come of an mdat, and pass over it when it has no more.

        Args:
            view: What has come.
            place: Where in it the next byte lies that was not looked at.
            end: Where the mdat ends in the stream.
            found: Packets are added here.
        """
        shift = place - self._position  # from a position in the stream to one in the view
        self._needed = 8
        while self._samples and self._samples[0].begin < end:
            sample = self._samples[0]
            self._unit = self._position
            behind = sample.begin + sample.size
            if sample.begin < self._position or behind > end:
                raise MediaError("a sample of an MP4 fragment does not lie in its mdat")
            if sample.begin - self._position > MAX_KEPT:
                self._position = self._unit = sample.begin
                self._last = b""
            if behind + shift > len(view):
                self._needed = behind - self._position
                return
            self._work.spend(FRAME)
            raw = data = bytes(view[self._position + shift : behind + shift])
            if sample.begin > self._position:
                data = raw[sample.begin - self._position :]
            if behind < end and self._trusted != end and _has_movie(self._last, raw):
                # Those behind it would be wrong, too. If so, shows only behind them all.
                rest = end - self._position
                if rest <= MAX_BOX:
                    if len(view) - shift < end + 8:
                        self._needed = rest + 8
                        return
                    if bytes(view[end + shift + 4 : end + shift + 8]) not in _KNOWN:
                        raise DoubtError(rest, end)
                self._trusted = end
            self._samples.popleft()
            self._position = behind
            self._unpack(sample, data, found)
            self._last = self._last[-_TAIL:] + raw
        self._unit = self._position
        rest = end - self._position
        if 0 < rest <= MAX_KEPT:
            if len(view) - shift < end:
                self._needed = rest
                return
            self._last += view[self._position + shift : end + shift]
        elif rest:
            self._last = b""
        self._position = end
        self._media_end = None

    def _unpack(self, sample: Sample, data: bytes, found: list[Track | Packet]) -> None:
        stream = sample.stream
        decode = sample.decode + stream.shift
        shown = decode + sample.composition
        timestamp = stream.microseconds(shown)
        duration = stream.microseconds(shown + sample.duration) - timestamp
        decode_offset = timestamp - stream.microseconds(decode)
        if not -MAX_LEAD <= timestamp <= MAX_TIME or abs(decode_offset) > MAX_REORDERING:
            stream.frames.breaks(
                MediaError("a sample of an MP4 fragment has an impossible time"), self._work
            )
            return
        unpacked = stream.frames.unpack(data, sample.sync, self._work)
        if unpacked is None:
            return
        track, frame, key = unpacked
        if track is not None:
            found.append(track)
        track = stream.frames.track
        assert track is not None
        if not 0 < duration <= MAX_DURATION:
            duration = audio_duration(track, frame) // 1000
        found.append(Packet(track, timestamp, key, frame, duration, decode_offset, self._document))

    def _read_moov(self, moov: memoryview) -> None:
        work = self._work
        mvex = boxes.find(moov, b"mvex", work=work)
        if mvex is None:
            raise MediaError(NOT_FRAGMENTED)
        mvhd = boxes.need(moov, b"mvhd", work=work)
        header = self._next_header()
        self._samples.clear()
        self._movie = Movie(header)
        tables = self._movie.read(mvhd, mvex, moov, work)
        self._document += 1
        self._plan(listed(tables, header, self._origin, self._position, work), self._position)

    def _read_moof(self, moof: memoryview, begin: int, end: int) -> None:
        """Plan the samples of a fragment.

        Args:
            moof: Its payload.
            begin, end: Positions in the stream of the box's first byte and behind its last.
        """
        if not self._header_read:
            raise MediaError("an MP4 stream has a fragment before its moov")
        if self._samples:
            raise MediaError("an MP4 fragment's samples lie in no mdat")
        self._plan(Fragment(self._movie, self._origin, begin).read(moof, self._work), end)

    def _plan(self, samples: list[Sample], end: int) -> None:
        """Expect samples that lie behind this position of the stream."""
        self._samples.extend(in_order(samples, end))
        # Each has a byte at least, so those of all fragments before have come, unless a new moov
        # has taken them back again and again.
        self._planned += len(samples)
        if self._planned > self._position + MAX_SAMPLES:
            raise MediaLimitError("an MP4 stream announces more samples than it has bytes")


def _has_movie(before: bytes | bytearray, raw: bytes) -> bool:
    """Whether an mvhd goes on behind this place, or stands behind it."""
    return _MOVIE in raw or _MOVIE in before[1 - len(_MOVIE) :] + raw[: len(_MOVIE) - 1]
