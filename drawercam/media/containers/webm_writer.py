"""Packets to WebM, in the canonical form of docs/protocol.md."""

from __future__ import annotations

import struct

from drawercam.media.color import UNSPECIFIED, ColorSpace
from drawercam.media.frame_layout import CLUSTER, WEBM_HEAD
from drawercam.media.geometry import angles
from drawercam.media.packets import Codec, Kind, MediaLimitError, Packet, Track

from . import ebml
from .matroska import CODEC_IDS, COLOURS, DEFAULT_SCALE, RANGE_CODES, TRACK_TYPES, Id

_AFTER_CLUSTER_SIZE = WEBM_HEAD.size - 8
_AFTER_BLOCK_SIZE = 4
_VINT4 = 0x10000000
_MAX_VINT4 = _VINT4 - 2


class WebmWriter:
    """Packets of one track to the canonical WebM of docs/protocol.md: an init segment, then one
    known-size Cluster per frame.

    A known-size Cluster makes Chrome show its frame at once instead of waiting for the next one to
    learn its duration; the unknown Segment size with a DateUTC and no Duration make it keep only
    one frame in reserve.
    """

    CODECS = frozenset((Codec.VP8, Codec.VP9, Codec.AV1, Codec.OPUS))

    def __init__(self, track: Track, number: int, date_utc: int) -> None:
        """
        Args:
            track: What will be written.
            number: Track number, 1 to 126.
            date_utc: When the timeline was 0, in nanoseconds since 2001-01-01T00:00 UTC (RFC 8794
                section 7.6).
        """
        if not 0 < number < 127:
            raise ValueError(f"track number {number} does not fit one byte")
        self._track = track
        self._number = number
        self._date_utc = date_utc

    @property
    def mime(self) -> str:
        """The type for MediaSource."""
        return f'{self._track.kind}/webm; codecs="{self._track.codec_string}"'

    def init(self, oriented: bool = False) -> bytes:
        """The init segment: EBML header, Segment of unknown size, Info, Tracks.

        Args:
            oriented: It says how its pictures are turned. For players it does not: they turn them,
                as their `track` message says.
        """
        header = ebml.element(
            Id.EBML,
            ebml.element(0x4286, b"\x01")  # EBMLVersion
            + ebml.element(0x42F7, b"\x01")  # EBMLReadVersion
            + ebml.element(0x42F2, b"\x04")  # EBMLMaxIDLength
            + ebml.element(0x42F3, b"\x08")  # EBMLMaxSizeLength
            + ebml.element(Id.DOC_TYPE, b"webm")
            + ebml.element(0x4287, b"\x04")  # DocTypeVersion
            + ebml.element(0x4285, b"\x02"),  # DocTypeReadVersion
        )
        info = ebml.element(
            Id.INFO,
            ebml.element(Id.TIMESTAMP_SCALE, ebml.uint(DEFAULT_SCALE))
            + ebml.element(Id.DATE_UTC, self._date_utc.to_bytes(8, "big", signed=True))
            + ebml.element(Id.MUXING_APP, b"drawercam")
            + ebml.element(Id.WRITING_APP, b"drawercam"),
        )
        segment = Id.SEGMENT.to_bytes(4, "big") + b"\x01" + b"\xff" * 7
        return (
            header
            + segment
            + info
            + ebml.element(Id.TRACKS, ebml.element(Id.TRACK_ENTRY, self._entry(oriented)))
        )

    def _entry(self, oriented: bool) -> bytes:
        track = self._track
        entry = (
            ebml.element(Id.TRACK_NUMBER, ebml.uint(self._number))
            + ebml.element(Id.TRACK_UID, ebml.uint(self._number))
            + ebml.element(Id.TRACK_TYPE, ebml.uint(TRACK_TYPES[track.kind]))
            + ebml.element(Id.FLAG_LACING, b"\0")
            + ebml.element(Id.CODEC_ID, CODEC_IDS[track.codec].encode())
        )
        if track.config:
            entry += ebml.element(Id.CODEC_PRIVATE, track.config)
        if track.kind is Kind.VIDEO:
            size = ebml.element(Id.PIXEL_WIDTH, ebml.uint(track.width)) + ebml.element(
                Id.PIXEL_HEIGHT, ebml.uint(track.height)
            )
            if track.display_width:
                size += ebml.element(Id.DISPLAY_WIDTH, ebml.uint(track.display_width))
                size += ebml.element(Id.DISPLAY_HEIGHT, ebml.uint(track.display_height))
            size += _color(track.color)
            return entry + ebml.element(
                Id.VIDEO, size + (projection(track.rotation, track.flip) if oriented else b"")
            )
        if track.codec is Codec.OPUS:
            # draft-ietf-cellar-codec: CodecDelay is the pre-skip, SeekPreRoll 80 ms; both in
            # nanoseconds.
            pre_skip = int.from_bytes(track.config[10:12], "little") * 10**9 // 48000
            entry += ebml.element(Id.CODEC_DELAY, ebml.uint(pre_skip)) + ebml.element(
                Id.SEEK_PRE_ROLL, ebml.uint(80_000_000)
            )
        rate = ebml.element(Id.SAMPLING_FREQUENCY, struct.pack(">d", track.sample_rate))
        sound = rate + ebml.element(Id.CHANNELS, ebml.uint(track.channels))
        return entry + ebml.element(Id.AUDIO, sound)

    def fragment(self, packet: Packet) -> bytes:
        """One frame message.

        Raises:
            MediaLimitError: The frame does not fit a 4-byte size.
        """
        size = len(packet.data)
        if size > _MAX_VINT4 - _AFTER_CLUSTER_SIZE:
            raise MediaLimitError("a frame does not fit a Cluster")
        return (
            WEBM_HEAD.pack(
                CLUSTER,
                _VINT4 | size + _AFTER_CLUSTER_SIZE,
                b"\xe7\x88",
                max(0, packet.timestamp + 500)
                // 1000,  # where pictures are reordered, the first may lie before the zero
                b"\xa3",
                _VINT4 | size + _AFTER_BLOCK_SIZE,
                0x80 | self._number,
                0,
                0x80 if packet.key else 0,
            )
            + packet.data
        )


def projection(rotation: int, flip: bool) -> bytes:
    """The Projection element that says a turn (RFC 9559): a rectangular one with its pose; empty
    where nothing is turned.

    Args:
        rotation, flip: As in `packets.Track`.
    """
    if not rotation and not flip:
        return b""
    yaw, roll = (struct.pack(">f", angle) for angle in angles(rotation, flip))
    pose = ebml.element(Id.PROJECTION_POSE_YAW, yaw) + ebml.element(Id.PROJECTION_POSE_ROLL, roll)
    return ebml.element(Id.PROJECTION, ebml.element(Id.PROJECTION_TYPE, b"\0") + pose)


def _color(color: ColorSpace | None) -> bytes:
    """The Colour element, with what is known; nothing where nothing is."""
    if color is None:
        return b""
    codes = zip(COLOURS, color.codes(), strict=False)
    known = [(identifier, code) for identifier, code in codes if code != UNSPECIFIED]
    if color.full_range is not None:
        known.append((Id.RANGE, RANGE_CODES[color.full_range]))
    return ebml.element(
        Id.COLOUR, b"".join(ebml.element(identifier, ebml.uint(code)) for identifier, code in known)
    )
