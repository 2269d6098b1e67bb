"""The tracks of a fragmented MP4 (ISO/IEC 14496-12 8.2 to 8.5): what its moov says of them."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, NamedTuple

from drawercam.media import geometry
from drawercam.media.codecs.unpack import Unpacker, unpacker
from drawercam.media.color import ColorSpace, from_codes, merged
from drawercam.media.geometry import Geometry
from drawercam.media.packets import Codec, Kind, MediaError, MediaLimitError
from drawercam.media.work import DESCRIPTOR, READ, TRACK, Work

from . import boxes
from .header import Header, TrackReader

# Tracks in one moov. Recorders have two, files with several languages a dozen.
MAX_TRACKS = 64

NOT_FRAGMENTED = (
    "this MP4 is not fragmented, so it can be read only when it is complete: "
    "write it in fragments (ffmpeg: -movflags frag_keyframe+empty_moov+default_base_moof)"
)

# Sample entries, by what they hold. hev1 and others are not passed on.
ENTRIES = {
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

# Bytes of QuickTime's sound descriptions of versions 1 and 2 in addition ("QuickTime File Format",
# Sound Sample Descriptions), behind which an esds stands in a box "wave". In ISO/IEC 14496-12
# 12.2.3 a version other than 0 has no more fields, and stands in an stsd of version 1.
_QUICKTIME_FIELDS = {1: 16, 2: 36}
# 12.1.5: a colr with code points; QuickTime's form has no range, the others are profiles of the
# ICC.
_COLOUR_TYPES = frozenset((b"nclx", b"nclc"))
COLR = struct.Struct(">4s3H")

# ISO/IEC 14496-1 7.2.2.1 and table 5: descriptor tags, and the objectTypeIndications of AAC
# (MPEG-4, and MPEG-2 Main, LC, SSR).
ES_DESCRIPTOR = 3
DECODER_CONFIG = 4
DECODER_SPECIFIC = 5
_AAC_OBJECTS = frozenset((0x40, 0x66, 0x67, 0x68))


class Defaults(NamedTuple):
    """A trex (8.8.3), overridden by the fields of a tfhd."""

    description: int = 1
    duration: int = 0
    size: int = 0
    flags: int = 0


@dataclass(slots=True)
class Stream:
    """One trak that is passed on. Times in ticks of its timescale."""

    frames: TrackReader
    timescale: int
    shift: int  # from media time to presentation time
    next_decode: int = 0  # where a fragment without tfdt goes on

    def microseconds(self, ticks: int) -> int:
        return (ticks * 1_000_000 + self.timescale // 2) // self.timescale


class Movie:
    """What a moov says (8.2).

    Attributes:
        streams: The tracks that are passed on, by track_ID.
        defaults: Of the samples of all tracks, by track_ID.
    """

    def __init__(self, header: Header) -> None:
        """
        Args:
            header: Learns which tracks are read, and which are not.
        """
        self.streams: dict[int, Stream] = {}
        self.defaults: dict[int, Defaults] = {}
        self._header = header

    def read(
        self, mvhd: memoryview, mvex: memoryview, moov: memoryview, work: Work
    ) -> list[tuple[Stream, memoryview]]:
        """Read the tracks.

        Args:
            mvhd, mvex: Two boxes of the moov, without their headers.
            moov: All of them.
            work: What it may cost.

        Returns:
            Those that are passed on, with the tables of samples that come before fragments.

        Raises:
            MediaError: None of them can be read, or boxes do not fit into each other.
            MediaLimitError: More than MAX_TRACKS, or too much work.
        """
        header = self._header
        tables: list[tuple[Stream, memoryview]] = []
        for box, trak in boxes.children(moov, work):
            if box == b"trak":
                try:
                    found = self._read_trak(trak, mvhd, work)
                except MediaError as error:
                    if work.left < 0 or len(self.defaults) > MAX_TRACKS:
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
                self.defaults[number] = Defaults(*(fields.uint(4) for _ in range(4)))
        if len(self.defaults) > MAX_TRACKS:
            raise MediaLimitError(f"an MP4 moov has more than {MAX_TRACKS} tracks")
        header.close()
        return tables

    def _read_trak(
        self, trak: memoryview, mvhd: memoryview, work: Work
    ) -> tuple[Stream, memoryview] | None:
        """Take a track, if it is one that is read: it, and its sample tables.

        Raises:
            MediaError: What it is cannot be told.
        """
        tkhd = boxes.need(trak, b"tkhd", work=work)
        number = _track_number(tkhd)
        self.defaults[number] = Defaults()
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
            stream = Stream(frames, scale, _edit_shift(trak, _timescale(mvhd), scale, work))
        except MediaError as error:
            if work.left < 0:
                raise
            self._header.cannot_read(name, kind, error)
            return None
        self._header.takes(kind)
        self.streams[number] = stream
        return stream, stbl


def _timescale(header: memoryview) -> int:
    """The ticks a second of an mvhd (8.2.2) or mdhd (8.4.2)."""
    fields = boxes.Fields(header)
    fields.take(16 if fields.uint(4) >> 24 == 1 else 8)  # creation_time, modification_time
    scale = fields.uint(4)
    if not scale:
        raise MediaError("an MP4 track has a timescale of 0")
    return scale


def _transform(fields: boxes.Fields) -> tuple[float, ...]:
    """The turn in a matrix (6.2.2): a, b, c and d. What it moves, and how it looks from aslant,
    does not matter here."""
    a, b, _, c, d, _ = (fields.sint(4) / 0x10000 for _ in range(6))
    fields.take(12)
    return a, b, c, d


def _geometry(mvhd: memoryview, tkhd: memoryview, stsd: memoryview, work: Work) -> Geometry:
    """How the pictures of a track are shown: its matrix and the movie's (8.2.2, 8.3.2), and the
    shape of its pixels (12.1.4, or the size in the tkhd, to which pictures are cropped and scaled
    before they are turned)."""
    fields = boxes.Fields(mvhd)
    fields.take((32 if fields.uint(4) >> 24 == 1 else 20) - 4 + 16)
    ma, mb, mc, md = _transform(fields)
    fields = boxes.Fields(tkhd)
    fields.take((36 if fields.uint(4) >> 24 == 1 else 24) - 4 + 16)
    ta, tb, tc, td = _transform(fields)
    shown_width, shown_height = fields.uint(4), fields.uint(4)
    found = geometry.of_matrix(
        ta * ma + tb * mc, ta * mb + tb * md, tc * ma + td * mc, tc * mb + td * md
    )
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
        if (
            found.rotation % 180
            and abs(_ratio(shown_width * cropped_width, shown_height * cropped_height) - 1)
            < geometry.LEAST_STRETCH
        ):
            aspect = 1.0  # some writers put the size of the picture there that has been turned
    return replace(found, pixel_aspect=found.pixel_aspect * aspect)


def geometries(file: BinaryIO) -> dict[int, Geometry]:
    """Read how the pictures of a whole file are shown, fragmented or not.

    Returns:
        Of each track by its number (8.3.2); nothing where it is no such file, and not those tracks
        that are no video or are broken.
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
        left = size - 8 if size else boxes.MAX_ENDLESS
        if kind == wanted:
            data = file.read(min(left, boxes.MAX_ENDLESS)) if left >= 0 else b""
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
    """The size to which the pictures of a visual sample entry are cropped (12.1.4.1); the one that
    they have where nothing says it."""
    clap = boxes.find(entry, b"clap", work=work)
    if clap is None or len(clap) < 16:
        return width, height
    across, per_across, down, per_down = boxes.Fields(clap).words(4)
    if (
        not per_across * width >= across >= per_across > 0
        or not per_down * height >= down >= per_down > 0
    ):
        return width, height
    return across / per_across, down / per_down


def _ratio(width: float, height: float) -> float:
    """Width by height; 1 where one of them is not known."""
    return width / height if width and height else 1.0


def _edit_shift(trak: memoryview, movie_scale: int, scale: int, work: Work) -> int:
    """Ticks to add to media times for presentation times (8.6.6): of one edit, maybe with an empty
    one before it; of others, 0."""
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
    codec = ENTRIES.get(kind)
    if codec is None or codec.kind is not handler:
        raise MediaError(f"the relay does not pass on the codec {boxes.quoted(kind)}")
    fields = boxes.Fields(entry)
    if codec.kind is Kind.VIDEO:
        fields.take(_VISUAL_ENTRY)
        box = {Codec.H264: b"avcC", Codec.AV1: b"av1C"}.get(codec)
        config = boxes.find(fields.rest(), box, work=work) if box else None
        return partial(
            unpacker, codec, bytes(config or b""), 0, 0, color=_read_color(fields.rest(), work)
        )
    fields.take(8)
    entry_version = fields.uint(2)
    fields.take(6)
    channels = fields.uint(2)
    fields.take(6)
    sample_rate = fields.uint(4) >> 16
    if not version >> 24:
        fields.take(_QUICKTIME_FIELDS.get(entry_version, 0))
    if codec is Codec.OPUS:
        return partial(
            unpacker,
            codec,
            _opus_head(boxes.need(fields.rest(), b"dOps", work=work)),
            sample_rate,
            channels,
        )
    esds = boxes.find(fields.rest(), b"esds", work=work)
    if esds is None:
        esds = boxes.need(fields.rest(), b"wave", b"esds", work=work)
    return partial(unpacker, codec, _audio_specific_config(esds, work), sample_rate, channels)


def _read_color(entry: memoryview, work: Work) -> ColorSpace | None:
    """What the boxes of a visual sample entry say of the colours: ``colr`` (12.1.5), of which there
    may be several, and after it ``vpcC`` ("VP Codec ISO Media File Format Binding"), whose range is
    passed over: writers that do not know it cannot leave it out."""
    color = weaker = None
    for kind, payload in boxes.children(entry, work):
        if kind == b"colr" and len(payload) >= COLR.size:
            form, primaries, transfer, matrix = COLR.unpack_from(payload)
            full_range = (
                bool(payload[COLR.size] & 0x80)
                if form == b"nclx" and len(payload) > COLR.size
                else None
            )
            color = merged(
                color,
                from_codes(primaries, transfer, matrix, full_range)
                if form in _COLOUR_TYPES
                else None,
            )
        elif kind == b"vpcC" and len(payload) >= 10:
            weaker = from_codes(payload[7], payload[8], payload[9])
    return merged(color, weaker)


def _opus_head(dops: memoryview) -> bytes:
    """An OpusHead (RFC 7845 5.1, little-endian) from a dOps ("Encapsulation of Opus in ISO BMFF"
    4.3.2, big-endian)."""
    fields = boxes.Fields(dops)
    version, channels = fields.uint(1), fields.uint(1)
    pre_skip, sample_rate, gain = fields.uint(2), fields.uint(4), fields.sint(2)
    family = fields.uint(1)
    if version or not channels:
        raise MediaError("an MP4 dOps is of another version or has no channels")
    mapping = bytes(fields.take(2 + channels)) if family else b""
    return (
        b"OpusHead"
        + struct.pack("<BBHIhB", 1, channels, pre_skip, sample_rate, gain, family)
        + mapping
    )


def _audio_specific_config(esds: memoryview, work: Work) -> bytes:
    """The DecoderSpecificInfo of an esds (ISO/IEC 14496-14 5.6, 14496-1 7.2.6).

    Raises:
        MediaError: It has none, or does not hold AAC.
    """
    data = esds[4:]
    for wanted in (ES_DESCRIPTOR, DECODER_CONFIG, DECODER_SPECIFIC):
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
    """The payload of the first descriptor with a tag; its size comes in 7-bit groups (ISO/IEC
    14496-1 8.3.3)."""
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
