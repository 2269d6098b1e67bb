"""Where the fields of frame messages lie (docs/protocol.md, "Tracks to a player").

Both writers fill the same fields in the same order each time, so each field has its place, and what
reads or changes one need not parse the rest.
"""

from __future__ import annotations

import struct

# WebM: Cluster and its size, Timestamp, SimpleBlock and its size, track number, 0, flags.
WEBM_HEAD = struct.Struct(">4sI2sQ1sIBhB")
CLUSTER = b"\x1f\x43\xb6\x75"
_WEBM_TIME = struct.Struct(">Q")  # milliseconds
_WEBM_TIME_AT = 10

# MP4: moof, mfhd, traf, tfhd, tfdt, trun, and the header of the mdat.
MP4_HEAD = struct.Struct(">I4s I4sII I4s I4sIII I4sIQ I4sIIiIIi I4s")
_MP4_SEQUENCE = struct.Struct(">I")
_MP4_SEQUENCE_AT = 20
_MP4_TIME = struct.Struct(">Q")  # microseconds, of decoding
_MP4_TIME_AT = 64
_MP4_DURATION = struct.Struct(">I")  # microseconds
_MP4_DURATION_AT = 92
_MP4_OFFSET = struct.Struct(">i")  # microseconds from decoding to presentation
_MP4_OFFSET_AT = 100

LONGEST_DURATION = 2**32 - 1
"""Microseconds that a message in MP4 can say that its frame lasts."""


def is_webm(message: bytes) -> bool:
    """Whether a frame message is WebM; otherwise it is MP4."""
    return message.startswith(CLUSTER)


def time_of(message: bytes) -> int:
    """When a frame message is to be decoded, in microseconds."""
    if message.startswith(CLUSTER):
        return int(_WEBM_TIME.unpack_from(message, _WEBM_TIME_AT)[0]) * 1000
    return int(_MP4_TIME.unpack_from(message, _MP4_TIME_AT)[0])


def unwrap(message: bytes) -> tuple[int, memoryview]:
    """The frame in a frame message.

    Returns:
        Its presentation time in µs, and its bytes.
    """
    if message.startswith(CLUSTER):
        return time_of(message), memoryview(message)[WEBM_HEAD.size :]
    offset = int(_MP4_OFFSET.unpack_from(message, _MP4_OFFSET_AT)[0])
    return time_of(message) + offset, memoryview(message)[MP4_HEAD.size :]


def move_webm(message: bytearray, time: int) -> None:
    """Give a message in WebM another time, in microseconds."""
    _WEBM_TIME.pack_into(message, _WEBM_TIME_AT, time // 1000)


def move_mp4(message: bytearray, time: int, sequence: int) -> None:
    """Give a message in MP4 another time of decoding, in microseconds, and another number."""
    _MP4_SEQUENCE.pack_into(message, _MP4_SEQUENCE_AT, sequence)
    _MP4_TIME.pack_into(message, _MP4_TIME_AT, time)


def set_mp4_duration(message: bytearray, duration: int) -> None:
    """Let a message in MP4 say how long its frame lasts, in microseconds."""
    _MP4_DURATION.pack_into(message, _MP4_DURATION_AT, min(duration, LONGEST_DURATION))
