"""What a source gives to its stream: encoded frames, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass

from drawercam.media.color import ColorSpace
from drawercam.media.geometry import Geometry
from drawercam.media.packets import Codec


@dataclass(frozen=True, slots=True)
class Form:
    """How a track's frames are written.

    Attributes:
        codec: What they hold.
        config: The decoder's configuration as a container has it; may be empty
            (media.frames.unpacker).
        sample_rate, channels: Of sound.
        keyframes: Any picture can be made a keyframe.
        geometry: How its pictures are shown, as their source says it.
        color: What its maker says of the colours; the frames may say it, too.
    """

    codec: Codec
    config: bytes = b""
    sample_rate: int = 0
    channels: int = 0
    keyframes: bool = False
    geometry: Geometry = Geometry()  # noqa: RUF009 - it is frozen
    color: ColorSpace | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One encoded frame on its way out.

    Attributes:
        form: How it is written.
        data: The frame, in the container's or the encoder's form.
        captured: When its picture, or its first sample, was captured (µs, `clock.now`).
        key: What its maker says of it; pictures are asked themselves (media.frames).
    """

    form: Form
    data: bytes
    captured: int
    key: bool = True
