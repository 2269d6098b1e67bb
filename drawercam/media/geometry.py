"""How a picture is turned and stretched before people see it: what containers say of it, and what a
track says.

A track says it as WebCodecs does (docs/protocol.md, "How a picture is shown"): its pixels may not
be square; the picture is turned clockwise by quarters; then it may be mirrored, left for right.
Containers say the same by a matrix (ISO/IEC 14496-12 6.2.2, and in FFmpeg's libraries) or by three
angles (RFC 9559, Projection).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from .packets import Kind, Track

# How many times as wide as high a pixel may be, or as high as wide. Anamorphic video has up to 3;
# what says more is broken.
MAX_STRETCH = 8

# A pixel that differs from a square by less is one: sizes are rounded and cropped. The least
# anamorphic ones differ by 6 %.
LEAST_STRETCH = 0.02

# What a turn clockwise does to a point: x' = a x + c y, y' = b x + d y, where y points down.
_ROTATIONS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}

# Filters of FFmpeg's libraries, with their argument, that turn a picture.
_FILTERS = {
    (0, True): (("hflip", ""),),
    (90, False): (("transpose", "clock"),),
    (90, True): (("transpose", "cclock_flip"),),
    (180, False): (("hflip", ""), ("vflip", "")),
    (180, True): (("vflip", ""),),
    (270, False): (("transpose", "cclock"),),
    (270, True): (("transpose", "clock_flip"),),
}


@dataclass(frozen=True, slots=True)
class Geometry:
    """
    Attributes:
        rotation, flip: As in `packets.Track`.
        pixel_aspect: Width of a pixel divided by its height; 1.0 also where nothing says it.
    """

    rotation: int = 0
    flip: bool = False
    pixel_aspect: float = 1.0

    def applied(self, track: Track) -> Track:
        """The track with what its container says. What the stream itself says of its turn and of
        its pixels counts more: containers go stale.
        """
        if track.kind is not Kind.VIDEO or self == _PLAIN:
            return track
        if not track.rotation and not track.flip:
            track = replace(track, rotation=self.rotation, flip=self.flip)
        if track.display_width:
            return track
        width, height = stretched(track.width, track.height, self.pixel_aspect)
        return replace(track, display_width=width, display_height=height)


_PLAIN = Geometry()


def stretched(width: int, height: int, pixel_aspect: float) -> tuple[int, int]:
    """The size in square pixels of a picture with other ones: one side is as it was, the other has
    grown.

    Returns:
        Width and height; 0 and 0 where its pixels are square, or are said to be so long that it
        cannot be.
    """
    if (
        not width
        or not height
        or abs(pixel_aspect - 1) < LEAST_STRETCH
        or not 1 / MAX_STRETCH <= pixel_aspect <= MAX_STRETCH
    ):
        return 0, 0
    return (
        (round(width * pixel_aspect), height)
        if pixel_aspect > 1
        else (width, round(height / pixel_aspect))
    )


def turned(width: int, height: int, rotation: int) -> tuple[int, int]:
    """The size of a picture when it has been turned."""
    return (height, width) if rotation % 180 else (width, height)


def matrix(rotation: int, flip: bool) -> tuple[int, int, int, int]:
    """The turn as a, b, c, d of a matrix."""
    a, b, c, d = _ROTATIONS[rotation]
    return (-a, b, -c, d) if flip else (a, b, c, d)


def of_matrix(a: float, b: float, c: float, d: float) -> Geometry:
    """What a matrix says, of any scale.

    Turns that are no quarters are rounded to one, and one that shows nothing is ignored.
    """
    determinant = a * d - b * c
    if not determinant:
        return _PLAIN
    flip = determinant < 0
    if flip:
        a, c = -a, -c
    rotation = _quarter(math.degrees(math.atan2(b - c, a + d)))
    return Geometry(rotation, flip, math.hypot(a, b) / math.hypot(c, d))


def of_angles(yaw: float, pitch: float, roll: float) -> Geometry:
    """What the pose of a rectangular projection says (RFC 9559, ProjectionPoseYaw,
    ProjectionPosePitch, ProjectionPoseRoll), in degrees: half a turn about the upright or the level
    axis mirrors the picture, then it rolls counter-clockwise. A display orientation of H.264 says
    the same (ITU-T H.264 D.2.27).
    """
    if not all(map(math.isfinite, (yaw, pitch, roll))):
        return _PLAIN
    from_behind, head_down = _quarter(yaw) == 180, _quarter(pitch) == 180
    flip = from_behind != head_down
    clockwise = _quarter(-roll) + (180 if head_down else 0)
    # Mirrored first and turned then is turned the other way first.
    return Geometry((-clockwise if flip else clockwise) % 360, flip)


def angles(rotation: int, flip: bool) -> tuple[float, float]:
    """The turn as yaw and roll of a projection; the pitch is 0."""
    roll = rotation if flip else -rotation
    return (180.0 if flip else 0.0), float((roll + 180) % 360 - 180)


def filters(rotation: int, flip: bool) -> tuple[tuple[str, str], ...]:
    """What turns a picture with FFmpeg's libraries: names of filters with their arguments."""
    return _FILTERS.get((rotation, flip), ())


def _quarter(degrees: float) -> int:
    return round(degrees / 90) * 90 % 360
