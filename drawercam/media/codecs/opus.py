"""What the relay reads of Opus: how long a packet is, and its header."""

from __future__ import annotations

import struct

from drawercam.media.packets import MediaError

# RFC 7845 section 5.1 without a channel mapping: magic signature, version, channels, pre-skip,
# input rate, gain, mapping family.
_HEAD = struct.Struct("<8sBBHIhB")
_MAGIC = b"OpusHead"

# RFC 6716 table 2: frame sizes in microseconds by configuration number, four to a row of SILK, two
# of hybrid, four of CELT.
_FRAME = [10000, 20000, 40000, 60000] * 3 + [10000, 20000] * 2 + [2500, 5000, 10000, 20000] * 4

# RFC 6716 section 3.2.5 (R5): a packet holds at most 120 ms.
MAX_PACKET_DURATION = 120_000


def packet_duration(packet: bytes) -> int:
    """Duration of an Opus packet in microseconds from its TOC byte (RFC 6716 section 3.1); 0 for a
    broken one.
    """
    if not packet:
        return 0
    frame = _FRAME[packet[0] >> 3]
    match packet[0] & 3:
        case 0:
            count = 1
        case 1 | 2:
            count = 2
        case _:
            count = packet[1] & 63 if len(packet) > 1 else 0
    duration = frame * count
    return duration if duration <= MAX_PACKET_DURATION else 0


def channels(head: bytes) -> int:
    """How many an ``OpusHead`` (RFC 7845 section 5.1) names.

    Raises:
        MediaError: It is too short, longer than with a channel mapping (5.1.1), something else, or
            names none.
    """
    if not (
        head.startswith(_MAGIC)
        and len(head) >= _HEAD.size
        and head[9] > 0
        and len(head) <= _HEAD.size + 2 + head[9]
    ):
        raise MediaError("an OpusHead is broken or has no channels")
    return head[9]


def head(channels: int, sample_rate: int) -> bytes:
    """Make an ``OpusHead`` (RFC 7845 section 5.1) for a stream that came without one: no pre-skip,
    no gain, mapping family 0.
    """
    return _HEAD.pack(_MAGIC, 1, channels, 0, sample_rate, 0, 0)
