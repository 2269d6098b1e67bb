"""What the relay tells a worker of a track, and how that is written; both ends import this."""

from __future__ import annotations

import struct
from typing import NamedTuple

BT601 = 6
"""The matrix of BT.601, as a code point of ISO/IEC 23091-2."""

HEAD = struct.Struct(">4sHBdBB")
"""All but the configuration, which follows."""


class TrackForm(NamedTuple):
    """A track whose pictures are decoded.

    Attributes:
        codec: Its four letters, filled up with spaces (worker_process.py).
        config: `avcC` for H.264 (ISO/IEC 14496-15 5.3.3.1), nothing for the others: their keyframes
            have all that is needed.
        rotation, flip: As in `media.packets.Track`.
        pixel_aspect: Width of a pixel by its height.
        matrix: Of its colours, a code point of ISO/IEC 23091-2; what the frames themselves say of
            it counts less.
        full_range: Black is 0 and white 255, not 16 and 235; likewise.
    """

    codec: bytes
    config: bytes = b""
    rotation: int = 0
    flip: bool = False
    pixel_aspect: float = 1.0
    matrix: int = BT601
    full_range: bool = False

    def packed(self) -> bytes:
        """The form as it is sent."""
        codec, config, *rest = self
        return HEAD.pack(codec, *rest) + config

    @classmethod
    def of(cls, sent: memoryview) -> TrackForm:
        """The form that was sent.

        Raises:
            struct.error: It is cut off.
        """
        codec, rotation, flip, pixel_aspect, matrix, full_range = HEAD.unpack_from(sent)
        config = bytes(sent[HEAD.size :])
        return cls(codec, config, rotation, bool(flip), pixel_aspect, matrix, bool(full_range))
