"""What every other room talks about: tracks, and the packets on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from .color import ColorSpace

# Elements or boxes that stand in one parent. Real ones have a few dozen.
MAX_CHILDREN = 2**12

# The largest element or box that is only passed over, in bytes: the fonts and pictures that are
# attached to a film have some hundred MiB. It is never held, but where broken bytes claim more, it
# is to be said that they are broken.
MAX_PASSED_OVER = 2**30


class Kind(StrEnum):
    """What a track carries."""

    VIDEO = "video"
    AUDIO = "audio"


class Codec(Enum):
    """The codecs that pass through the relay."""

    VP8 = "vp8"
    VP9 = "vp9"
    AV1 = "av1"
    H264 = "h264"
    OPUS = "opus"
    AAC = "aac"

    kind: Kind

    def __init__(self, name: str) -> None:
        self.kind = Kind.AUDIO if name in ("opus", "aac") else Kind.VIDEO


@dataclass(frozen=True, slots=True)
class Track:
    """One elementary stream, as its container describes it.

    Two tracks that compare equal can follow one another without a new init segment; the picture
    size does not count, because VP8, VP9 and AV1 change it in the stream (a turned phone) and H.264
    has it in its configuration.

    Attributes:
        codec: What the packets hold.
        codec_string: The ``codecs`` parameter of RFC 6381, such as ``vp8`` or ``avc1.42E01E``.
        config: Decoder configuration: ``avcC`` (ISO/IEC 14496-15 5.3.3.1), ``av1C``, ``OpusHead``
            (RFC 7845 5.1) or ``AudioSpecificConfig`` (ISO/IEC 14496-3 1.6.2.1); empty for VP8 and
            VP9.
        width, height: Picture size in pixels at the start of the track; 0 for audio.
        rotation: Degrees clockwise by which a picture is to be turned: 0, 90, 180 or 270.
        flip: It is to be mirrored, left for right, after that. Both as in WebCodecs.
        display_width, display_height: Its size in square pixels, before it is turned; 0 for as
            coded.
        color: What the numbers in it mean; None where only the stream itself may say it.
        sample_rate: Hz; 0 for video.
        channels: 0 for video.
    """

    codec: Codec
    codec_string: str
    config: bytes = b""
    width: int = field(default=0, compare=False)
    height: int = field(default=0, compare=False)
    sample_rate: int = 0
    channels: int = 0
    rotation: int = 0
    flip: bool = False
    display_width: int = 0
    display_height: int = 0
    color: ColorSpace | None = None

    @property
    def kind(self) -> Kind:
        return self.codec.kind


@dataclass(slots=True)
class Packet:
    """One frame of one track. It is made twice on its way and changed never; to be frozen would
    make that three times as long.

    Attributes:
        track: The track it belongs to.
        timestamp: Presentation time in microseconds, on the clock of whoever made the packet.
        key: Decoding can start here. Always true for audio.
        data: The frame. H.264 is a sequence of NAL units with 4-byte lengths, whatever the
            container held.
        duration: Microseconds, or 0 when the container does not tell.
        decode_offset: Presentation time minus decode time in microseconds; not 0 only where
            pictures are reordered.
        document: How many documents its stream had begun before its own; each may count its times
            anew.
    """

    track: Track
    timestamp: int
    key: bool
    data: bytes
    duration: int = 0
    decode_offset: int = 0
    document: int = 0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something of a stream that a reader leaves out, while it goes on with the rest.

    Attributes:
        sentence: Says what and why; without a full stop.
        kind: The stream has no track of this kind any more, though it should; None if there is
            another, or if that is not known.
        over: It is past, and nothing of what comes now is left out.
    """

    sentence: str
    kind: Kind | None = None
    over: bool = False


class MediaError(Exception):
    """Bytes that are not the media they claim to be. The one error that readers raise."""


class MediaLimitError(MediaError):
    """An element, a box or a header claims more than the relay is willing to hold."""
