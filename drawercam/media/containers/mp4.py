"""Fragmented MP4 (ISO/IEC 14496-12): bytes to packets, packets to bytes."""

from __future__ import annotations

import contextlib
import math
import os
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from operator import attrgetter, itemgetter
from typing import BinaryIO, NamedTuple

from drawercam.media import geometry
from drawercam.media.codecs.unpack import Unpacker, audio_duration, unpacker
from drawercam.media.color import ColorSpace, from_codes, merged
from drawercam.media.geometry import Geometry
from drawercam.media.packets import MAX_PASSED_OVER, Codec, Kind, LeftOut, MediaError, MediaLimitError, Packet, Track
from drawercam.media.work import BOX, DESCRIPTOR, FRAGMENT, FRAME, READ, RUN, SAMPLE, TRACK, Work

from . import boxes
from .beginnings import CUT_OFF, MAX_KEPT, MP4
from .header import Header, TrackReader
from .sample_tables import count_samples, read_samples

# The largest sample, in bytes. A 4K keyframe at the best quality stays below 2 MiB.
MAX_BOX = 8 * 2**20

# The largest moof, and what is held of a moov, in bytes. Real ones have some hundred bytes, and 4 to 16 for each sample.
MAX_HEADER = 2**20

# The largest box that does not say where it ends, in bytes: a fragment of a live stream lasts a few seconds.
MAX_ENDLESS = 64 * 2**20

# Samples in one fragment: a minute of pictures, a minute and a half of AAC. Without a limit a few bytes could promise 2**32 of them.
MAX_SAMPLES = 2**12

# Tracks in one moov. Recorders have two, files with several languages a dozen.
MAX_TRACKS = 64

# Bytes of memory for a sample that is expected.
_SAMPLE_SIZE = 256

# Times in a stream, in microseconds: what JavaScript still counts exactly, 285 years.
MAX_TIME = 2**53

# How long before a stream's zero its edit list may put a sample, in microseconds: what a decoder needs to warm up, and some.
MAX_LEAD = 10_000_000

# How far, in microseconds, a picture may be shown before or after its decode time. Encoders reorder by a few frames.
MAX_REORDERING = 10_000_000

# A frame that claims to last longer, in microseconds, tells of a recorder's pause and not of its own length.
MAX_DURATION = 10_000_000

# In microseconds, for video frames of which nobody knows how long they last: 30 pictures a second.
DEFAULT_DURATION = 33_333

# Ticks a second of everything that is written: the relay counts in microseconds.
TIMESCALE = 1_000_000

# 8.8.3.1: the bits of sample flags that matter to a live stream.
_NON_SYNC = 0x00010000
_SYNC_FLAGS = 0x02000000  # sample_depends_on 2: on no other
_NON_SYNC_FLAGS = 0x01000000 | _NON_SYNC  # sample_depends_on 1

# 8.8.8.1: the flags of a trun that has something to say of each sample.
_EACH = 0xF00

# The type of the first box. Anything else is no MP4 at all, and said to be so at once. Section 4.3 asks for ftyp; but streams that are
# joined begin with what stands between fragments, some writers pad first, and QuickTime's old files begin with their media.
BEGINNINGS = frozenset(
    (b"ftyp", b"styp", b"moov", b"free", b"skip", b"wide", b"uuid", b"sidx", b"ssix", b"emsg", b"prft", b"pdin", b"meta", b"mdat", b"moof")
)

# Of a moov, what is read.
_IN_MOOV = frozenset((b"mvhd", b"trak", b"mvex"))

# What may follow a box. Where another type does, the box may have been cut off, and another document have begun in it.
_KNOWN = BEGINNINGS | {b"mfra", b"udta", *_IN_MOOV}

# Bytes before a sample that are kept with it: as much as a document has before its mvhd ends.
_TAIL = 2**8

# Bytes at the end of what cannot be read in which no other document is looked for. Many a moov ends with zeros, with which documents begin,
# too; that it cannot be read is to be said at once. Where so few bytes are wrong, it can.
_ZEROS = 7

_NOT_FRAGMENTED = (
    "this MP4 is not fragmented, so it can be read only when it is complete: "
    "write it in fragments (ffmpeg: -movflags frag_keyframe+empty_moov+default_base_moof)"
)

# Sample entries, by what they hold. hev1 and others are not passed on.
_ENTRIES = {
    b"avc1": Codec.H264,
    b"avc3": Codec.H264,
    b"vp08": Codec.VP8,
    b"vp09": Codec.VP9,
    b"av01": Codec.AV1,
    b"mp4a": Codec.AAC,
    b"Opus": Codec.OPUS,
}
_HANDLERS = {b"vide": Kind.VIDEO, b"soun": Kind.AUDIO}

# Bytes of a sample entry before its boxes, 12.1.3 and 12.2.3.
_VISUAL_ENTRY = 78
_AUDIO_ENTRY = 28

# Bytes of QuickTime's sound descriptions of versions 1 and 2 in addition ("QuickTime File Format", Sound Sample Descriptions), behind which
# an esds stands in a box "wave". In ISO/IEC 14496-12 12.2.3 a version other than 0 has no more fields, and stands in an stsd of version 1.
_QUICKTIME_FIELDS = {1: 16, 2: 36}
# 12.1.5: a colr with code points; QuickTime's form has no range, the others are profiles of the ICC.
_COLOUR_TYPES = frozenset((b"nclx", b"nclc"))
_COLR = struct.Struct(">4s3H")

# ISO/IEC 14496-1 7.2.2.1 and table 5: descriptor tags, and the objectTypeIndications of AAC (MPEG-4, and MPEG-2 Main, LC, SSR).
_ES_DESCRIPTOR = 3
_DECODER_CONFIG = 4
_DECODER_SPECIFIC = 5
_AAC_OBJECTS = frozenset((0x40, 0x66, 0x67, 0x68))


def _timescale(header: memoryview) -> int:
    """The ticks a second of an mvhd (8.2.2) or mdhd (8.4.2)."""
    fields = boxes.Fields(header)
    fields.take(16 if fields.uint(4) >> 24 == 1 else 8)  # creation_time, modification_time
    scale = fields.uint(4)
    if not scale:
        raise MediaError("an MP4 track has a timescale of 0")
    return scale


def _transform(fields: boxes.Fields) -> tuple[float, ...]:
    """The turn in a matrix (6.2.2): a, b, c and d. What it moves, and how it looks from aslant, does not matter here."""
    a, b, _, c, d, _ = (fields.sint(4) / 0x10000 for _ in range(6))
    fields.take(12)
    return a, b, c, d


def _geometry(mvhd: memoryview, tkhd: memoryview, stsd: memoryview, work: Work) -> Geometry:
    """How the pictures of a track are shown: its matrix and the movie's (8.2.2, 8.3.2), and the shape of its pixels (12.1.4, or the size
    in the tkhd, to which pictures are cropped and scaled before they are turned)."""
    fields = boxes.Fields(mvhd)
    fields.take((32 if fields.uint(4) >> 24 == 1 else 20) - 4 + 16)
    ma, mb, mc, md = _transform(fields)
    fields = boxes.Fields(tkhd)
    fields.take((36 if fields.uint(4) >> 24 == 1 else 24) - 4 + 16)
    ta, tb, tc, td = _transform(fields)
    shown_width, shown_height = fields.uint(4), fields.uint(4)
    found = geometry.of_matrix(ta * ma + tb * mc, ta * mb + tb * md, tc * ma + td * mc, tc * mb + td * md)
    entry = boxes.Fields(next(boxes.children(stsd[8:]))[1])
    entry.take(24)
    width, height = entry.uint(2), entry.uint(2)
    entry.take(_VISUAL_ENTRY - 28)
    pasp = boxes.find(entry.rest(), b"pasp", work=work)
    if pasp is not None:
        fields = boxes.Fields(pasp)
        aspect = _ratio(fields.uint(4), fields.uint(4))
    else:
        cropped_width, cropped_height = _clean_aperture(entry.rest(), width, height, work)
        aspect = _ratio(shown_width * cropped_height, shown_height * cropped_width)
        if found.rotation % 180 and abs(_ratio(shown_width * cropped_width, shown_height * cropped_height) - 1) < geometry.LEAST_STRETCH:
            aspect = 1.0  # some writers put the size of the picture there that has been turned
    return replace(found, pixel_aspect=found.pixel_aspect * aspect)


def geometries(file: BinaryIO) -> dict[int, Geometry]:
    """Read how the pictures of a whole file are shown, fragmented or not.

    Returns:
        Of each track by its number (8.3.2); nothing where it is no such file, and not those tracks that are no video or are broken.
    """
    moov = _whole_box(file, b"moov")
    if moov is None:
        return {}
    found = {}
    with contextlib.suppress(MediaError):
        mvhd = boxes.need(moov, b"mvhd")
        for trak in (trak for kind, trak in boxes.children(moov) if kind == b"trak"):
            with contextlib.suppress(MediaError, StopIteration):
                tkhd = boxes.need(trak, b"tkhd")
                if _HANDLERS.get(bytes(boxes.need(trak, b"mdia", b"hdlr")[8:12])) is Kind.VIDEO:
                    stsd = boxes.need(trak, b"mdia", b"minf", b"stbl", b"stsd")
                    found[_track_number(tkhd)] = _geometry(mvhd, tkhd, stsd, Work())
    return found


def _whole_box(file: BinaryIO, wanted: bytes) -> memoryview | None:
    """The first box of a kind at the top of a file (4.2), without its header."""
    while len(head := file.read(8)) == 8:
        size, kind = boxes.HEADER.unpack(head)
        if not kind.isalnum():
            return None
        if size == 1:
            size = int.from_bytes(file.read(8), "big") - 8
        left = size - 8 if size else MAX_ENDLESS
        if kind == wanted:
            data = file.read(min(left, MAX_ENDLESS)) if left >= 0 else b""
            return memoryview(data)
        if size == 0 or left < 0:
            return None
        file.seek(left, os.SEEK_CUR)
    return None


def _track_number(tkhd: memoryview) -> int:
    fields = boxes.Fields(tkhd)
    fields.take(16 if fields.uint(4) >> 24 == 1 else 8)
    return fields.uint(4)


def _clean_aperture(entry: memoryview, width: int, height: int, work: Work) -> tuple[float, float]:
    """The size to which the pictures of a visual sample entry are cropped (12.1.4.1); the one that they have where nothing says it."""
    clap = boxes.find(entry, b"clap", work=work)
    if clap is None or len(clap) < 16:
        return width, height
    across, per_across, down, per_down = boxes.Fields(clap).words(4)
    if not per_across * width >= across >= per_across > 0 or not per_down * height >= down >= per_down > 0:
        return width, height
    return across / per_across, down / per_down


def _ratio(width: float, height: float) -> float:
    """Width by height; 1 where one of them is not known."""
    return width / height if width and height else 1.0


def _edit_shift(trak: memoryview, movie_scale: int, scale: int, work: Work) -> int:
    """Ticks to add to media times for presentation times (8.6.6): of one edit, maybe with an empty one before it; of others, 0."""
    elst = boxes.find(trak, b"edts", b"elst", work=work)
    if elst is None:
        return 0
    fields = boxes.Fields(elst)
    size = 8 if fields.uint(4) >> 24 == 1 else 4
    count = fields.uint(4)
    if count not in (1, 2):
        return 0
    shift = 0
    for index in range(count):
        duration, begin = fields.uint(size), fields.sint(size)
        fields.take(4)  # media_rate
        if index == count - 1:
            return shift - begin if begin >= 0 else 0
        if begin != -1:
            return 0
        shift = duration * scale // movie_scale
    return 0


def _read_entry(stsd: memoryview, handler: Kind, work: Work) -> Callable[[Work], Unpacker]:
    """What makes the unpacker for the first sample entry of an stsd (8.5.2).

    Raises:
        MediaError: There is none, or the relay does not pass its codec on.
    """
    fields = boxes.Fields(stsd)
    version, count = fields.words(2)
    if not count:
        raise MediaError("it has no sample entry")
    kind, entry = next(boxes.children(fields.rest()), (b"", memoryview(b"")))
    codec = _ENTRIES.get(kind)
    if codec is None or codec.kind is not handler:
        raise MediaError(f"the relay does not pass on the codec {boxes.quoted(kind)}")
    fields = boxes.Fields(entry)
    if codec.kind is Kind.VIDEO:
        fields.take(_VISUAL_ENTRY)
        box = {Codec.H264: b"avcC", Codec.AV1: b"av1C"}.get(codec)
        config = boxes.find(fields.rest(), box, work=work) if box else None
        return partial(_begin, codec, bytes(config or b""), 0, 0, color=_read_color(fields.rest(), work))
    fields.take(8)
    entry_version = fields.uint(2)
    fields.take(6)
    channels = fields.uint(2)
    fields.take(6)
    sample_rate = fields.uint(4) >> 16
    if not version >> 24:
        fields.take(_QUICKTIME_FIELDS.get(entry_version, 0))
    if codec is Codec.OPUS:
        return partial(_begin, codec, _opus_head(boxes.need(fields.rest(), b"dOps", work=work)), sample_rate, channels)
    esds = boxes.find(fields.rest(), b"esds", work=work)
    if esds is None:
        esds = boxes.need(fields.rest(), b"wave", b"esds", work=work)
    return partial(_begin, codec, _audio_specific_config(esds, work), sample_rate, channels)


def _begin(codec: Codec, config: bytes, sample_rate: int, channels: int, work: Work, color: ColorSpace | None = None) -> Unpacker:
    return unpacker(codec, config, sample_rate, channels, work, color)


def _read_color(entry: memoryview, work: Work) -> ColorSpace | None:
    """What the boxes of a visual sample entry say of the colours: ``colr`` (12.1.5), of which there may be several, and after it ``vpcC``
    ("VP Codec ISO Media File Format Binding"), whose range is passed over: writers that do not know it cannot leave it out."""
    color = weaker = None
    for kind, payload in boxes.children(entry, work):
        if kind == b"colr" and len(payload) >= _COLR.size:
            form, primaries, transfer, matrix = _COLR.unpack_from(payload)
            full_range = bool(payload[_COLR.size] & 0x80) if form == b"nclx" and len(payload) > _COLR.size else None
            color = merged(color, from_codes(primaries, transfer, matrix, full_range) if form in _COLOUR_TYPES else None)
        elif kind == b"vpcC" and len(payload) >= 10:
            weaker = from_codes(payload[7], payload[8], payload[9])
    return merged(color, weaker)


def _opus_head(dops: memoryview) -> bytes:
    """An OpusHead (RFC 7845 5.1, little-endian) from a dOps ("Encapsulation of Opus in ISO BMFF" 4.3.2, big-endian)."""
    fields = boxes.Fields(dops)
    version, channels = fields.uint(1), fields.uint(1)
    pre_skip, sample_rate, gain = fields.uint(2), fields.uint(4), fields.sint(2)
    family = fields.uint(1)
    if version or not channels:
        raise MediaError("an MP4 dOps is of another version or has no channels")
    mapping = bytes(fields.take(2 + channels)) if family else b""
    return b"OpusHead" + struct.pack("<BBHIhB", 1, channels, pre_skip, sample_rate, gain, family) + mapping


def _audio_specific_config(esds: memoryview, work: Work) -> bytes:
    """The DecoderSpecificInfo of an esds (ISO/IEC 14496-14 5.6, 14496-1 7.2.6).

    Raises:
        MediaError: It has none, or does not hold AAC.
    """
    data = esds[4:]
    for wanted in (_ES_DESCRIPTOR, _DECODER_CONFIG, _DECODER_SPECIFIC):
        fields = boxes.Fields(_descriptor(data, wanted, work))
        match wanted:
            case 3:
                fields.take(2)
                flags = fields.uint(1)
                if flags & 0x80:  # streamDependenceFlag
                    fields.take(2)
                if flags & 0x40:  # URL_Flag
                    fields.take(fields.uint(1))
                if flags & 0x20:  # OCRstreamFlag
                    fields.take(2)
            case 4:
                if fields.uint(1) not in _AAC_OBJECTS:
                    raise MediaError("its sound is not AAC")
                fields.take(12)
        data = fields.rest()
    return bytes(data)


def _descriptor(data: memoryview, wanted: int, work: Work) -> memoryview:
    """The payload of the first descriptor with a tag; its size comes in 7-bit groups (ISO/IEC 14496-1 8.3.3)."""
    fields = boxes.Fields(data)
    while True:
        work.spend(DESCRIPTOR)
        tag = fields.uint(1)
        size = 0
        for _ in range(4):
            byte = fields.uint(1)
            size = size << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        payload = fields.take(size)
        if tag == wanted:
            return payload


class _Defaults(NamedTuple):
    """A trex (8.8.3), overridden by the fields of a tfhd."""

    description: int = 1
    duration: int = 0
    size: int = 0
    flags: int = 0


@dataclass(slots=True)
class _Stream:
    """One trak that is passed on. Times in ticks of its timescale."""

    frames: TrackReader
    timescale: int
    shift: int  # from media time to presentation time
    next_decode: int = 0  # where a fragment without tfdt goes on

    def microseconds(self, ticks: int) -> int:
        return (ticks * 1_000_000 + self.timescale // 2) // self.timescale


# 8.2.2.2: what stands in each mvhd, ten reserved bytes and a matrix that turns nothing.
_MOVIE = bytes(10) + struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


class _DoubtError(MediaError):
    """What comes before a place may have been cut off. No caller sees it.

    Attributes:
        trusted: That place, a position in the stream.
        reach: So many bytes lie between the bytes in question and it.
    """

    def __init__(self, trusted: int, reach: int) -> None:
        super().__init__()
        self.trusted, self.reach = trusted, reach


@dataclass(slots=True)
class _Sample:
    """One sample of a fragment that is passed on: where it lies in the byte stream, and its times in ticks."""

    begin: int
    size: int
    stream: _Stream
    decode: int
    composition: int
    duration: int
    sync: bool


class Mp4Reader:
    """Push bytes, get tracks and packets.

    The bytes may be cut anywhere. Timestamps are in microseconds from the stream's own zero. A sample leaves as soon as its last byte has
    come. A second moov in the stream replaces the first, as recorders that are restarted in mid-stream write it; also one within a box that
    was cut off. That it was cut off shows in what follows it; where what follows is right, so was the box, whatever is in it.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = 8  # bytes that the buffer must hold before it is worth looking again
        self._skip = 0  # bytes still to pass over; the buffer is empty meanwhile
        self._position = 0  # in the stream, of the next byte to be looked at
        self._unit = 0  # the same of the box or sample that was begun last
        self._last: bytes | bytearray = b""  # what lies before it and may have been cut off
        self._trusted = -1  # position before which nothing was, as far as can be told
        self._doubt: tuple[MediaError | None, int, int] | None = None  # something may have been; see _judge
        self._began = False
        self._origin = 0  # position in the stream of the present document's first byte
        self._document = -1  # how many there were before it
        self._endless: bytes | None = None  # type of a box of size 0, which is the last one
        self._moov_end: int | None = None  # inside a moov: where it ends
        self._moov = bytearray()  # what is read of it
        self._moov_ended = False  # it is complete, and what it says is being read
        self._media_end: int | None = None  # inside an mdat: where it ends
        self._samples: deque[_Sample] = deque()  # that moof has announced, in file order
        self._planned = 0  # how many of them there were so far
        self._streams: dict[int, _Stream] | None = None  # by track_ID
        self._defaults: dict[int, _Defaults] = {}  # by track_ID, of all tracks
        self._header = Header()
        self._error: MediaError | None = None
        self._work = Work()

    @property
    def held(self) -> int:
        """Bytes of memory for what is not complete yet, and for what is expected."""
        return (
            sys.getsizeof(self._buffer)
            + sys.getsizeof(self._moov)
            + _SAMPLE_SIZE * len(self._samples)
        )

    @property
    def kept(self) -> int:
        """Bytes of what was read last: it may have been cut off."""
        return len(self._last)

    @property
    def kinds(self) -> set[Kind] | None:
        """Kinds of the tracks of the present document; None before they are known."""
        return None if self._streams is None else self._header.kinds

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
            What they complete, in file order: a Track before its first packet and whenever it changes, and packets.

        Raises:
            MediaError: The bytes are not fragmented MP4, or broken, or none of its tracks can be read. The reader stays dead.
            MediaLimitError: A sample claims more than MAX_BOX bytes, a header more than MAX_HEADER, a fragment more than MAX_SAMPLES
                samples, a moov more than MAX_TRACKS tracks, or the bytes are too much work.
        """
        if self._error:
            raise self._error
        self._work = Work() if work is None else work
        try:
            return self._feed(data)
        except MediaError as error:
            self._error = type(error)(*error.args)  # without its frames, whose bytes would stay with it
            self._buffer, self._moov, self._last = bytearray(), bytearray(), b""
            self._samples.clear()
            raise

    def _feed(self, data: bytes) -> list[Track | Packet]:
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        buffer = self._buffer
        buffer += data
        found: list[Track | Packet] = []
        while self._doubt is None or (len(buffer) >= self._needed and self._judge(*self._doubt)):
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
                if isinstance(error, _DoubtError):
                    self._doubt = None, error.reach, error.trusted
                else:
                    self._doubt = type(error)(*error.args), self._reach(used_up), -1
                self._needed = 0
                continue
            del buffer[:begin]
            break
        return found

    def _reach(self, used_up: int) -> int:
        """In how many of the buffer's first bytes another document may begin, where something is wrong with them.

        Args:
            used_up: So many were found to be wrong; 0 for the header of a box, or if it shows in what lies before.
        """
        if used_up or self._moov_ended:
            return used_up - _ZEROS
        return 0 if self._media_end is not None else 8

    def _judge(self, error: MediaError | None, reach: int, trusted: int) -> bool:
        """Find out whether another document begins in what was kept, or in what is wrong behind it.

        Args:
            error: What is wrong with the buffer's first bytes; None if nothing is when no document begins.
            reach: So many of them.
            trusted: If so, nothing before this position was cut off.

        Returns:
            Whether more can be read; if not, it is not known yet.

        Raises:
            MediaError: The error: no other document begins.
        """
        place, self._needed = MP4.find(self._last, self._buffer, reach, self._work)
        if self._needed:
            return False
        self._doubt = None
        if place is not None:
            self._position += place - len(self._last)
            self._buffer[:] = (self._last + self._buffer)[place:]
            self._last = b""
            self._moov_end = self._media_end = self._endless = None
            self._moov, self._moov_ended = bytearray(), False
            self._samples.clear()
            self._header.leave_out(CUT_OFF, over=True)
        elif error is not None:
            raise error
        else:
            self._trusted = trusted
        self._needed = 8 if self._media_end is None else 0
        return True

    def _read_box(self, view: memoryview, begin: int) -> None:
        """Look at the box that begins there; use it up, or say how many bytes it needs."""
        self._work.spend(BOX)
        self._unit = self._position
        if self._endless is not None:
            raise MediaLimitError(f"an MP4 box {boxes.quoted(self._endless)} without an end is too long")
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
            size = header + MAX_ENDLESS
        if size < header or not (kind in _KNOWN or (kind.isascii() and kind.decode("ascii").isprintable())):
            raise MediaError(f"an MP4 box {boxes.quoted(kind)} has an impossible type or size")
        if kind not in _KNOWN and self._moov_end is None and self._position != self._trusted:
            raise _DoubtError(self._position, 0)
        if kind == b"mdat" and self._streams is None and size > header:
            raise MediaError(_NOT_FRAGMENTED)
        limit = MAX_HEADER if kind == b"moof" else MAX_PASSED_OVER
        if size - header > limit:
            raise MediaLimitError(f"an MP4 box {boxes.quoted(kind)} claims {size} bytes; the limit is {limit}")
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

    def _read_in_moov(self, view: memoryview, begin: int, kind: bytes, header: int, size: int) -> None:
        """Keep a box of a moov, pass over it, or say how many bytes it needs."""
        assert self._moov_end is not None
        if self._position + size > self._moov_end:
            raise MediaError(f"an MP4 box {boxes.quoted(kind)} does not fit into its parent")
        if kind in _IN_MOOV and len(self._moov) + size > MAX_HEADER:
            # Only where all samples are listed it can be so long.
            raise MediaLimitError(f"an MP4 moov is longer than {MAX_HEADER} bytes; {_NOT_FRAGMENTED}")
        if (kind in _IN_MOOV or size <= MAX_KEPT) and len(view) - begin < size:
            self._needed = size
            return
        if kind in _IN_MOOV:
            self._work.spend(READ)
            # With its size written anew: 0 would mean up to the end of the parent, which is shorter now.
            self._moov += boxes.HEADER.pack(8 + size - header, kind) + view[begin + header : begin + size]
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

    def _read_media(self, view: memoryview, place: int, end: int, found: list[Track | Packet]) -> None:
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
            if behind < end and self._trusted != end and self._has_movie(raw):
                # Those behind it would be wrong, too. If so, shows only behind them all.
                rest = end - self._position
                if rest <= MAX_BOX:
                    if len(view) - shift < end + 8:
                        self._needed = rest + 8
                        return
                    if bytes(view[end + shift + 4 : end + shift + 8]) not in _KNOWN:
                        raise _DoubtError(end, rest)
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

    def _has_movie(self, raw: bytes) -> bool:
        """Whether this goes on with an mvhd, or has one in it."""
        return _MOVIE in raw or _MOVIE in self._last[1 - len(_MOVIE) :] + raw[: len(_MOVIE) - 1]

    def _unpack(self, sample: _Sample, data: bytes, found: list[Track | Packet]) -> None:
        stream = sample.stream
        decode = sample.decode + stream.shift
        shown = decode + sample.composition
        timestamp = stream.microseconds(shown)
        duration = stream.microseconds(shown + sample.duration) - timestamp
        decode_offset = timestamp - stream.microseconds(decode)
        if not -MAX_LEAD <= timestamp <= MAX_TIME or abs(decode_offset) > MAX_REORDERING:
            stream.frames.breaks(MediaError("a sample of an MP4 fragment has an impossible time"), self._work)
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
            raise MediaError(_NOT_FRAGMENTED)
        mvhd = boxes.need(moov, b"mvhd", work=work)
        header = Header()
        header.left_out = self._header.left_out
        self._header = header
        self._samples.clear()
        self._streams, self._defaults = {}, {}
        tables: list[tuple[_Stream, memoryview]] = []
        for box, trak in boxes.children(moov, work):
            if box == b"trak":
                try:
                    found = self._read_trak(trak, mvhd)
                except MediaError as error:
                    if work.left < 0 or len(self._defaults) > MAX_TRACKS:
                        raise
                    header.cannot_read("a track", None, error)
                    continue
                if found is not None:
                    tables.append(found)
        for box, trex in boxes.children(mvex, work):
            if box == b"trex":
                work.spend(READ)
                fields = boxes.Fields(trex)
                fields.take(4)
                number = fields.uint(4)
                self._defaults[number] = _Defaults(*(fields.uint(4) for _ in range(4)))
        if len(self._defaults) > MAX_TRACKS:
            raise MediaLimitError(f"an MP4 moov has more than {MAX_TRACKS} tracks")
        header.close()
        self._document += 1
        self._read_tables(tables)

    def _read_trak(self, trak: memoryview, mvhd: memoryview) -> tuple[_Stream, memoryview] | None:
        """Take a track, if it is one that is read: it, and its sample tables.

        Raises:
            MediaError: What it is cannot be told.
        """
        assert self._streams is not None
        work = self._work
        tkhd = boxes.need(trak, b"tkhd", work=work)
        number = _track_number(tkhd)
        self._defaults[number] = _Defaults()
        mdia = boxes.need(trak, b"mdia", work=work)
        kind = _HANDLERS.get(bytes(boxes.need(mdia, b"hdlr", work=work)[8:12]))
        if kind is None or kind in self._header.kinds:
            return None
        name = f"track {number}"
        try:
            stbl = boxes.need(mdia, b"minf", b"stbl", work=work)
            stsd = boxes.need(stbl, b"stsd", work=work)
            begin = _read_entry(stsd, kind, work)
            work.spend(TRACK)
            scale = _timescale(boxes.need(mdia, b"mdhd", work=work))
            shown = _geometry(mvhd, tkhd, stsd, work) if kind is Kind.VIDEO else Geometry()
            frames = TrackReader(self._header, name, kind, begin, work, shown)
            stream = _Stream(frames, scale, _edit_shift(trak, _timescale(mvhd), scale, work))
        except MediaError as error:
            if work.left < 0:
                raise
            self._header.cannot_read(name, kind, error)
            return None
        self._header.takes(kind)
        self._streams[number] = stream
        return stream, stbl

    def _read_tables(self, tables: list[tuple[_Stream, memoryview]]) -> None:
        """Plan the samples that a moov lists beside its fragments, if they come behind it."""
        planned: list[_Sample] = []
        late = 0
        for stream, stbl in tables:
            try:
                if not count_samples(stbl, self._work):
                    continue
                samples = read_samples(stbl, MAX_SAMPLES - len(planned), self._work)
            except MediaError as error:
                if self._work.left < 0:
                    raise
                self._header.leave_out(f"what this MP4 has before its first fragment is left out: {error}")
                continue
            for one in samples:
                begin = self._origin + one.position
                if one.size and one.size <= MAX_BOX and one.description == 1 and begin >= self._position:
                    planned.append(_Sample(begin, one.size, stream, one.decode, one.composition, one.duration, one.sync))
                else:
                    late += one.size > 0
                stream.next_decode = one.decode + one.duration
        if late:
            self._header.leave_out(f"what this MP4 has before its moov is left out, pictures and packets of sound: {late}")
        self._plan(planned, self._position)

    def _read_moof(self, moof: memoryview, begin: int, end: int) -> None:
        """Plan the samples of a fragment.

        Args:
            moof: Its payload.
            begin, end: Positions in the stream of the box's first byte and behind its last.
        """
        if self._streams is None:
            raise MediaError("an MP4 stream has a fragment before its moov")
        if self._samples:
            raise MediaError("an MP4 fragment's samples lie in no mdat")
        planned: list[_Sample] = []
        counted = 0
        data_end = begin  # of the track fragment before
        for kind, traf in boxes.children(moof, self._work):
            if kind == b"traf":
                data_end, counted = self._read_traf(traf, begin, data_end, planned, counted)
        self._plan(planned, end)

    def _plan(self, planned: list[_Sample], end: int) -> None:
        """Expect samples that lie behind this position of the stream."""
        planned.sort(key=attrgetter("begin"))
        for sample in planned:
            if sample.begin < end:
                raise MediaError("the samples of an MP4 fragment overlap")
            end = sample.begin + sample.size
        # Each has a byte at least, so those of all fragments before have come, unless a new moov has taken them back again and again.
        self._planned += len(planned)
        if self._planned > self._position + MAX_SAMPLES:
            raise MediaLimitError("an MP4 stream announces more samples than it has bytes")
        self._samples.extend(planned)

    def _read_traf(self, traf: memoryview, moof: int, data_end: int, planned: list[_Sample], counted: int) -> tuple[int, int]:
        """Plan the samples of one track fragment (8.8.6).

        Args:
            moof: Position of the moof's first byte in the stream.
            data_end: Position behind the data of the track fragment before, or ``moof``.
            planned: Samples that are passed on are added here.
            counted: Samples in this moof so far.

        Returns:
            ``data_end`` and ``counted`` for the next one.
        """
        assert self._streams is not None
        self._work.spend(FRAGMENT)
        inner = list(boxes.children(traf, self._work))
        heads = dict(inner)
        if b"tfhd" not in heads:
            raise MediaError("an MP4 track fragment has no tfhd")
        tfhd = boxes.Fields(heads[b"tfhd"])
        flags, number = tfhd.words(2)
        if number not in self._defaults:
            raise MediaError(f"an MP4 fragment is for track {number}, which moov does not have")
        stream = self._streams.get(number)
        defaults = self._defaults[number]
        base = self._origin + tfhd.uint(8) if flags & 0x01 else moof if flags & 0x20000 else data_end
        if flags & 0x3A:
            record, picked = _OVERRIDES[flags >> 1 & 1 | flags >> 2 & 14]
            defaults = _Defaults._make(picked(record.unpack(tfhd.take(record.size)) + defaults))
        if stream and defaults.description != 1:
            error = MediaError("an MP4 track changes to another sample description; only the first can be passed on")
            stream.frames.breaks(error, self._work)
            stream = None
        decode = stream.next_decode if stream else 0
        if b"tfdt" in heads:
            fields = boxes.Fields(heads[b"tfdt"])
            decode = fields.uint(8 if fields.uint(4) >> 24 == 1 else 4)
        position = base
        for kind, trun in inner:
            if kind != b"trun":
                continue
            self._work.spend(RUN)
            fields = boxes.Fields(trun)
            flags, count = fields.words(2)
            counted += count
            if counted > MAX_SAMPLES:
                raise MediaLimitError(f"an MP4 fragment has {counted} samples; the limit is {MAX_SAMPLES}")
            if flags & 0x01:
                position = base + fields.sint(4)
            if not flags & _EACH and (stream is None or not defaults.size):
                # Nothing to plan, and a few bytes can announce many of them.
                position += count * defaults.size
                decode += count * defaults.duration
                continue
            self._work.spend(SAMPLE * count)
            first_flags = fields.uint(4) if flags & 0x04 else None
            for duration, size, sample_flags, composition in _run(fields, flags, count, defaults):
                if size > MAX_BOX:
                    raise MediaLimitError(f"an MP4 sample claims {size} bytes; the limit is {MAX_BOX}")
                if first_flags is not None:
                    sample_flags, first_flags = first_flags, None
                if stream and size:
                    sync = not sample_flags & _NON_SYNC
                    planned.append(_Sample(position, size, stream, decode, composition, duration, sync))
                position += size
                decode += duration
        if stream:
            stream.next_decode = decode
        return position, counted


_Four = tuple[int, int, int, int]


def _fields(forms: str, present: int) -> tuple[struct.Struct, Callable[[tuple[int, ...]], _Four]]:
    """Four optional fields.

    Args:
        forms: The form of each, for `struct`.
        present: The bits of those that are there, from the lowest.

    Returns:
        How those that are there are read; and what picks all four out of them with the usual four behind them.
    """
    there = [bool(present >> field & 1) for field in range(4)]
    places = [sum(there[:field]) if there[field] else sum(there) + field for field in range(4)]
    return struct.Struct(">" + "".join(form for form, is_there in zip(forms, there, strict=True) if is_there)), itemgetter(*places)


# 8.8.7.1: of a tfhd, the fields that override a trex. 8.8.8.1: of a trun, what it has of each sample.
_OVERRIDES = [_fields("IIII", present) for present in range(16)]
_ROWS = [_fields("IIIi", present) for present in range(16)]


def _run(fields: boxes.Fields, flags: int, count: int, defaults: _Defaults) -> Iterable[_Four]:
    """The samples of a trun (8.8.8): duration, size, flags and composition offset of each.

    Composition offsets are read as signed in version 0 too: some writers take that liberty, and none means a delay of 2**31 ticks.
    """
    usual = (defaults.duration, defaults.size, defaults.flags, 0)
    record, picked = _ROWS[flags >> 8 & 15]
    if not record.size:
        return repeat(usual, count)
    return [picked(row + usual) for row in record.iter_unpack(fields.take(record.size * count))]


# The frame message of docs/protocol.md up to the frame itself: moof, mfhd, traf, tfhd, tfdt, trun, mdat header.
_FRAGMENT = struct.Struct(">I4s I4sII I4s I4sIII I4sIQ I4sIIiIIi I4s")
_MOOF_SIZE = _FRAGMENT.size - 8

# 8.8.7.1: default-base-is-moof, default-sample-flags-present. 8.8.8.1: data-offset, sample duration, size and composition offset present,
# version 1.
_TFHD_FLAGS = 0x020020
_TRUN_FLAGS = 0x01000B01

_MATRIX = struct.Struct(">9i")
_UNITY = _MATRIX.pack(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)  # 6.2.2

# Where a tkhd of version 0 has its matrix, and behind it the size in 16.16 (8.3.2).
_MATRIX_AT = 40
_SIZE = struct.Struct(">II")
_MOST = 0x7FFFFFFF

_UNDETERMINED = 0x55C4  # 8.4.2.3: the language "und"


class Mp4Writer:
    """Packets of one track to the canonical fragmented MP4 of docs/protocol.md: an init segment, then one moof and mdat per frame.

    Durations of 0 in the init segment are the mark by which browsers know a live stream.
    """

    CODECS = frozenset(Codec)

    def __init__(self, track: Track, number: int) -> None:
        """
        Args:
            track: What will be written.
            number: The track_ID, 1 or more.
        """
        if not 0 < number < 2**32:
            raise ValueError(f"{number} is no track_ID")
        self._track = track
        self._number = number
        self._sequence = 0

    @property
    def mime(self) -> str:
        """The type for MediaSource."""
        # "VP Codec ISO Media File Format Binding": in MP4, VP8 has the long form too; its profile and level say nothing.
        codec = "vp08.00.10.08" if self._track.codec is Codec.VP8 else self._track.codec_string
        return f'{self._track.kind}/mp4; codecs="{codec}"'

    def init(self, oriented: bool = False) -> bytes:
        """The init segment: ftyp, and a moov without samples.

        Args:
            oriented: It says how its pictures are turned. For players it does not: they turn them, as their `track` message says.

        Raises:
            MediaError: The track's configuration does not fit its sample entry.
        """
        video = self._track.kind is Kind.VIDEO
        track = self._track
        width, height = min(track.width, 0xFFFF), min(track.height, 0xFFFF)
        shown = min(track.display_width or width, 0xFFFF) << 16, min(track.display_height or height, 0xFFFF) << 16
        next_track = (self._number + 1 & 0xFFFFFFFF).to_bytes(4, "big")
        mvhd = struct.pack(">4IIH10x", 0, 0, TIMESCALE, 0, 0x10000, 0x100) + _UNITY + bytes(24) + next_track
        turn = _matrix(track.rotation, track.flip, *shown) if oriented else _UNITY
        tkhd = struct.pack(">5I8xHHH2x", 0, 0, self._number, 0, 0, 0, 0, 0 if video else 0x100) + turn + _SIZE.pack(*shown)
        mdhd = struct.pack(">4IHH", 0, 0, TIMESCALE, 0, _UNDETERMINED, 0)
        hdlr = struct.pack(">I4s12x", 0, b"vide" if video else b"soun") + b"drawercam\0"
        media_header = boxes.full_box(b"vmhd", bytes(8), flags=1) if video else boxes.full_box(b"smhd", bytes(4))
        stsd = boxes.full_box(b"stsd", struct.pack(">I", 1) + self._entry(width, height))
        empty_tables = ((b"stts", 4), (b"stsc", 4), (b"stsz", 8), (b"stco", 4))
        stbl = boxes.box(b"stbl", stsd + b"".join(boxes.full_box(table, bytes(size)) for table, size in empty_tables))
        here = boxes.full_box(b"url ", b"", flags=1)  # 8.7.2: in this file
        dinf = boxes.box(b"dinf", boxes.full_box(b"dref", struct.pack(">I", 1) + here))
        mdia = boxes.full_box(b"mdhd", mdhd) + boxes.full_box(b"hdlr", hdlr) + boxes.box(b"minf", media_header + dinf + stbl)
        trak = boxes.full_box(b"tkhd", tkhd, flags=3) + boxes.box(b"mdia", mdia)  # track_enabled, track_in_movie
        mvex = boxes.full_box(b"trex", struct.pack(">5I", self._number, 1, 0, 0, 0))
        moov = boxes.full_box(b"mvhd", mvhd) + boxes.box(b"trak", trak) + boxes.box(b"mvex", mvex)
        # iso6: tfdt, default-base-is-moof and signed composition offsets.
        return boxes.box(b"ftyp", b"iso6\0\0\0\0iso6mp41") + boxes.box(b"moov", moov)

    def fragment(self, packet: Packet) -> bytes:
        """One frame message.

        Raises:
            MediaLimitError: The frame does not fit an mdat with a 32-bit size.
        """
        size = len(packet.data)
        if size >= 2**32 - 8:
            raise MediaLimitError("a frame does not fit an mdat")
        self._sequence = self._sequence + 1 & 0xFFFFFFFF
        # A decode time cannot be negative; where it would be, the composition offset takes up the difference.
        decode = max(0, packet.timestamp - packet.decode_offset)
        head = _FRAGMENT.pack(
            _MOOF_SIZE,
            b"moof",
            16,
            b"mfhd",
            0,
            self._sequence,
            80,
            b"traf",
            20,
            b"tfhd",
            _TFHD_FLAGS,
            self._number,
            _SYNC_FLAGS if packet.key else _NON_SYNC_FLAGS,
            20,
            b"tfdt",
            0x01000000,
            decode,
            32,
            b"trun",
            _TRUN_FLAGS,
            1,
            _FRAGMENT.size,
            min(packet.duration, 0xFFFFFFFF) or audio_duration(self._track, packet.data) // 1000 or DEFAULT_DURATION,
            size,
            packet.timestamp - decode,
            8 + size,
            b"mdat",
        )
        return head + packet.data

    def _entry(self, width: int, height: int) -> bytes:
        """The sample entry of the track (8.5.2, 12.1.3, 12.2.3)."""
        track = self._track
        kind = next(kind for kind, codec in _ENTRIES.items() if codec is track.codec)
        if track.kind is Kind.VIDEO:
            # 72 dots an inch, one frame a sample, no compressor's name, 24 bits of depth.
            head = struct.pack(">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 24, -1)
        else:
            rate = track.sample_rate if track.sample_rate < 2**16 else 0
            head = struct.pack(">6xH8xHH4xI", 1, track.channels, 16, rate << 16)
        match track.codec:
            case Codec.H264:
                config = boxes.box(b"avcC", track.config)
            case Codec.AV1:
                config = boxes.box(b"av1C", track.config)
            case Codec.VP8 | Codec.VP9:
                config = _vpcc(track.codec_string, track.color)
            case Codec.AAC:
                config = _esds(track.config)
            case Codec.OPUS:
                config = _dops(track.config)
        return boxes.box(kind, head + config + _pasp(track) + _colr(track.color))


def with_turn(tkhd: bytes, rotation: int, flip: bool) -> bytes:
    """The payload of a canonical tkhd (8.3.2) with another matrix: it turns the picture, and moves it back to where it was.

    Args:
        tkhd: As `Mp4Writer.init` writes it.
        rotation, flip: As in `packets.Track`.
    """
    behind = _MATRIX_AT + _MATRIX.size
    return tkhd[:_MATRIX_AT] + _matrix(rotation, flip, *_SIZE.unpack_from(tkhd, behind)) + tkhd[behind:]


def _matrix(rotation: int, flip: bool, width: int, height: int) -> bytes:
    """A matrix (6.2.2) that turns a picture of this size (16.16), and moves it back to where it was."""
    a, b, c, d = geometry.matrix(rotation, flip)
    x, y = (-min(0, one * width) - min(0, other * height) for one, other in ((a, c), (b, d)))
    # More than half of what a size can be is beyond what this can say; players look at the turn.
    return _MATRIX.pack(a << 16, b << 16, 0, c << 16, d << 16, 0, min(x, _MOST), min(y, _MOST), 0x40000000)


def _pasp(track: Track) -> bytes:
    """A pasp (12.1.4), where pixels are not square."""
    if not track.display_width:
        return b""
    across, down = track.display_width * track.height, track.display_height * track.width
    common = math.gcd(across, down)
    return boxes.box(b"pasp", struct.pack(">II", across // common, down // common))


def _colr(color: ColorSpace | None) -> bytes:
    """A colr (12.1.5), where something is known."""
    if color is None:
        return b""
    return boxes.box(b"colr", _COLR.pack(b"nclx", *color.codes()) + (b"\x80" if color.full_range else b"\0"))


def _vpcc(codec_string: str, color: ColorSpace | None) -> bytes:
    """A vpcC ("VP Codec ISO Media File Format Binding") for 4:2:0."""
    parts = [int(part) for part in codec_string.split(".")[1:4] if part.isdigit()]
    profile, level, depth = parts if len(parts) == 3 else (0, 10, 8)
    color = color or ColorSpace()
    fields = (profile, level, depth << 4 | 1 << 1 | bool(color.full_range), *color.codes(), 0)
    return boxes.full_box(b"vpcC", struct.pack(">6BH", *fields), version=1)


def _esds(config: bytes) -> bytes:
    """An esds (ISO/IEC 14496-14 5.6): ES_Descriptor with DecoderConfigDescriptor, DecoderSpecificInfo and SLConfigDescriptor."""

    def descriptor(tag: int, payload: bytes) -> bytes:
        if len(payload) > 0x7F:
            raise MediaError("an AAC configuration is too long")
        return bytes((tag, len(payload))) + payload

    # objectTypeIndication MPEG-4 audio; streamType audio; buffer size and bit rates unknown.
    decoder = descriptor(_DECODER_CONFIG, b"\x40\x15" + bytes(11) + descriptor(_DECODER_SPECIFIC, config))
    return boxes.full_box(b"esds", descriptor(_ES_DESCRIPTOR, bytes(3) + decoder + b"\x06\x01\x02"))


def _dops(head: bytes) -> bytes:
    """A dOps from an OpusHead: the other way round as ``_opus_head``."""
    if len(head) < 19:
        raise MediaError("an OpusHead is too short")
    channels, pre_skip, sample_rate, gain, family = struct.unpack_from("<BHIhB", head, 9)
    return boxes.box(b"dOps", struct.pack(">BBHIhB", 0, channels, pre_skip, sample_rate, gain, family) + head[19:])
