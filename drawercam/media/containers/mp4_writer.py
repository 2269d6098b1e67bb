"""Packets to fragmented MP4, in the canonical form of docs/protocol.md."""

from __future__ import annotations

import math
import struct

from drawercam.media import geometry
from drawercam.media.codecs.unpack import audio_duration
from drawercam.media.color import ColorSpace
from drawercam.media.frame_layout import LONGEST_DURATION, MP4_HEAD
from drawercam.media.packets import Codec, Kind, MediaError, MediaLimitError, Packet, Track

from . import boxes
from .mp4_fragments import NON_SYNC
from .mp4_tracks import COLR, DECODER_CONFIG, DECODER_SPECIFIC, ENTRIES, ES_DESCRIPTOR

# In microseconds, for video frames of which nobody knows how long they last: 30 pictures a second.
DEFAULT_DURATION = 33_333

# Ticks a second of everything that is written: the relay counts in microseconds.
TIMESCALE = 1_000_000

# 8.8.3.1: the flags of a sample.
_SYNC_FLAGS = 0x02000000  # sample_depends_on 2: on no other
_NON_SYNC_FLAGS = 0x01000000 | NON_SYNC  # sample_depends_on 1

_MOOF_SIZE = MP4_HEAD.size - 8

# 8.8.7.1: default-base-is-moof, default-sample-flags-present. 8.8.8.1: data-offset, sample
# duration, size and composition offset present, version 1.
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
    """Packets of one track to the canonical fragmented MP4 of docs/protocol.md: an init segment,
    then one moof and mdat per frame.

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
        # "VP Codec ISO Media File Format Binding": in MP4, VP8 has the long form too; its profile
        # and level say nothing.
        codec = "vp08.00.10.08" if self._track.codec is Codec.VP8 else self._track.codec_string
        return f'{self._track.kind}/mp4; codecs="{codec}"'

    def init(self, oriented: bool = False) -> bytes:
        """The init segment: ftyp, and a moov without samples.

        Args:
            oriented: It says how its pictures are turned. For players it does not: they turn them,
                as their `track` message says.

        Raises:
            MediaError: The track's configuration does not fit its sample entry.
        """
        video = self._track.kind is Kind.VIDEO
        track = self._track
        width, height = min(track.width, 0xFFFF), min(track.height, 0xFFFF)
        shown = (
            min(track.display_width or width, 0xFFFF) << 16,
            min(track.display_height or height, 0xFFFF) << 16,
        )
        next_track = (self._number + 1 & 0xFFFFFFFF).to_bytes(4, "big")
        mvhd = (
            struct.pack(">4IIH10x", 0, 0, TIMESCALE, 0, 0x10000, 0x100)
            + _UNITY
            + bytes(24)
            + next_track
        )
        turn = _matrix(track.rotation, track.flip, *shown) if oriented else _UNITY
        tkhd = (
            struct.pack(">5I8xHHH2x", 0, 0, self._number, 0, 0, 0, 0, 0 if video else 0x100)
            + turn
            + _SIZE.pack(*shown)
        )
        mdhd = struct.pack(">4IHH", 0, 0, TIMESCALE, 0, _UNDETERMINED, 0)
        hdlr = struct.pack(">I4s12x", 0, b"vide" if video else b"soun") + b"drawercam\0"
        media_header = (
            boxes.full_box(b"vmhd", bytes(8), flags=1)
            if video
            else boxes.full_box(b"smhd", bytes(4))
        )
        stsd = boxes.full_box(b"stsd", struct.pack(">I", 1) + self._entry(width, height))
        empty_tables = ((b"stts", 4), (b"stsc", 4), (b"stsz", 8), (b"stco", 4))
        stbl = boxes.box(
            b"stbl",
            stsd + b"".join(boxes.full_box(table, bytes(size)) for table, size in empty_tables),
        )
        here = boxes.full_box(b"url ", b"", flags=1)  # 8.7.2: in this file
        dinf = boxes.box(b"dinf", boxes.full_box(b"dref", struct.pack(">I", 1) + here))
        mdia = (
            boxes.full_box(b"mdhd", mdhd)
            + boxes.full_box(b"hdlr", hdlr)
            + boxes.box(b"minf", media_header + dinf + stbl)
        )
        trak = boxes.full_box(b"tkhd", tkhd, flags=3) + boxes.box(
            b"mdia", mdia
        )  # track_enabled, track_in_movie
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
        # A decode time cannot be negative; where it would be, the composition offset takes up the
        # difference.
        decode = max(0, packet.timestamp - packet.decode_offset)
        head = MP4_HEAD.pack(
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
            MP4_HEAD.size,
            min(packet.duration, LONGEST_DURATION)
            or audio_duration(self._track, packet.data) // 1000
            or DEFAULT_DURATION,
            size,
            packet.timestamp - decode,
            8 + size,
            b"mdat",
        )
        return head + packet.data

    def _entry(self, width: int, height: int) -> bytes:
        """The sample entry of the track (8.5.2, 12.1.3, 12.2.3)."""
        track = self._track
        kind = next(kind for kind, codec in ENTRIES.items() if codec is track.codec)
        if track.kind is Kind.VIDEO:
            # 72 dots an inch, one frame a sample, no compressor's name, 24 bits of depth.
            head = struct.pack(
                ">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 24, -1
            )
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
    """The payload of a canonical tkhd (8.3.2) with another matrix: it turns the picture, and moves
    it back to where it was.

    Args:
        tkhd: As `Mp4Writer.init` writes it.
        rotation, flip: As in `packets.Track`.
    """
    behind = _MATRIX_AT + _MATRIX.size
    return (
        tkhd[:_MATRIX_AT]
        + _matrix(rotation, flip, *_SIZE.unpack_from(tkhd, behind))
        + tkhd[behind:]
    )


def _matrix(rotation: int, flip: bool, width: int, height: int) -> bytes:
    """A matrix (6.2.2) that turns a picture of this size (16.16), and moves it back to where it
    was."""
    a, b, c, d = geometry.matrix(rotation, flip)
    x, y = (-min(0, one * width) - min(0, other * height) for one, other in ((a, c), (b, d)))
    # More than half of what a size can be is beyond what this can say; players look at the turn.
    return _MATRIX.pack(
        a << 16, b << 16, 0, c << 16, d << 16, 0, min(x, _MOST), min(y, _MOST), 0x40000000
    )


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
    return boxes.box(
        b"colr", COLR.pack(b"nclx", *color.codes()) + (b"\x80" if color.full_range else b"\0")
    )


def _vpcc(codec_string: str, color: ColorSpace | None) -> bytes:
    """A vpcC ("VP Codec ISO Media File Format Binding") for 4:2:0."""
    parts = [int(part) for part in codec_string.split(".")[1:4] if part.isdigit()]
    profile, level, depth = parts if len(parts) == 3 else (0, 10, 8)
    color = color or ColorSpace()
    fields = (profile, level, depth << 4 | 1 << 1 | bool(color.full_range), *color.codes(), 0)
    return boxes.full_box(b"vpcC", struct.pack(">6BH", *fields), version=1)


def _esds(config: bytes) -> bytes:
    """An esds (ISO/IEC 14496-14 5.6): ES_Descriptor with DecoderConfigDescriptor,
    DecoderSpecificInfo and SLConfigDescriptor."""

    def descriptor(tag: int, payload: bytes) -> bytes:
        if len(payload) > 0x7F:
            raise MediaError("an AAC configuration is too long")
        return bytes((tag, len(payload))) + payload

    # objectTypeIndication MPEG-4 audio; streamType audio; buffer size and bit rates unknown.
    decoder = descriptor(
        DECODER_CONFIG, b"\x40\x15" + bytes(11) + descriptor(DECODER_SPECIFIC, config)
    )
    return boxes.full_box(b"esds", descriptor(ES_DESCRIPTOR, bytes(3) + decoder + b"\x06\x01\x02"))


def _dops(head: bytes) -> bytes:
    """A dOps from an OpusHead: the other way round as ``_opus_head``."""
    if len(head) < 19:
        raise MediaError("an OpusHead is too short")
    channels, pre_skip, sample_rate, gain, family = struct.unpack_from("<BHIhB", head, 9)
    return boxes.box(
        b"dOps",
        struct.pack(">BBHIhB", 0, channels, pre_skip, sample_rate, gain, family) + head[19:],
    )
