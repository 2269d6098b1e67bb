"""What the relay reads of VP8 and VP9: is it a keyframe, how large is the picture and in which
shape, which profile, which colours.
"""

from __future__ import annotations

from dataclasses import dataclass

from drawercam.media.bits import Bits
from drawercam.media.color import ColorSpace

# VP9 levels by luma picture size in samples (VP9 bitstream specification, Annex A); the frame rate
# is not in the stream.
_VP9_LEVELS = (
    (36864, 10),
    (73728, 11),
    (122880, 20),
    (245760, 21),
    (552960, 30),
    (983040, 31),
    (2228224, 40),
    (8912896, 50),
)


# RFC 6386 section 9.2: the only color_space there is, "similar to" that of BT.601, whose range is
# the one of studios.
_VP8_COLOR = ColorSpace(matrix="smpte170m", full_range=False)

# VP9 bitstream specification 7.2.2, color_space: the matrices for which there are words. 7 is RGB.
_VP9_MATRICES = {1: "bt470bg", 2: "bt709", 3: "smpte170m", 5: "bt2020-ncl", 7: "rgb"}
_VP9_RGB = 7

# Bytes of an uncompressed header up to render_size are fewer than these.
_VP9_HEAD = 16

# RFC 6386 section 9.1: by how much the picture of VP8 is to be stretched, to either side; that of
# VP9 says the size to which it is.
_VP8_SCALES = (1.0, 5 / 4, 5 / 3, 2.0)


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """The head of a VP8 or VP9 keyframe.

    Attributes:
        codec_string: RFC 6381.
        width, height: Picture size in pixels.
        color: What it says of its colours.
        pixel_aspect: Width of a pixel by its height; 1.0 also where nothing says it.
    """

    codec_string: str
    width: int
    height: int
    color: ColorSpace
    pixel_aspect: float = 1.0


def vp8_key(frame: bytes) -> KeyFrame | None:
    """Read the head of a VP8 keyframe (RFC 6386 section 9.1); None for any other frame."""
    if len(frame) < 10 or frame[0] & 1 or frame[3:6] != b"\x9d\x01\x2a":
        return None
    width = int.from_bytes(frame[6:8], "little") & 0x3FFF
    height = int.from_bytes(frame[8:10], "little") & 0x3FFF
    return KeyFrame(
        "vp8", width, height, _VP8_COLOR, _VP8_SCALES[frame[7] >> 6] / _VP8_SCALES[frame[9] >> 6]
    )


def vp9_key(frame: bytes) -> KeyFrame | None:
    """Read the uncompressed header of a VP9 keyframe (VP9 bitstream specification 6.2); None for
    any other frame.
    """
    if len(frame) < 10 or frame[0] >> 6 != 2 or (frame[0] & 0x30 != 0x30 and frame[0] & 0x0C):
        return None  # most frames are none, which the first byte tells
    bits = Bits(frame[:_VP9_HEAD].ljust(_VP9_HEAD, b"\0"), "a VP9 header")
    bits(2)  # frame_marker
    profile = bits(1) | bits(1) << 1
    if profile == 3:
        bits(1)
    if bits(1):  # show_existing_frame
        return None
    if bits(1):  # frame_type: 1 is not a keyframe
        return None
    bits(2)  # show_frame, error_resilient_mode
    if bits(24) != 0x498342:
        return None
    depth = 8 if profile < 2 else (12 if bits(1) else 10)
    color_space = bits(3)
    full_range = True
    if color_space != _VP9_RGB:
        full_range = bool(bits(1))  # color_range
        if profile in (1, 3):
            bits(3)
    elif profile in (1, 3):
        bits(1)
    width = bits(16) + 1
    height = bits(16) + 1
    aspect = 1.0
    if bits(1):  # render_and_frame_size_different
        aspect = (bits(16) + 1) / width / ((bits(16) + 1) / height)
    level = next((level for samples, level in _VP9_LEVELS if width * height <= samples), 60)
    color = ColorSpace(matrix=_VP9_MATRICES.get(color_space), full_range=full_range)
    return KeyFrame(f"vp09.{profile:02}.{level:02}.{depth:02}", width, height, color, aspect)
