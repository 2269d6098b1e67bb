"""From a container's frames to packets' frames: the same for WebM and MP4.

A container says little that can be trusted about a live stream: sizes go stale when a phone is
turned, keyframe flags are missing or wrong, H.264 comes in two forms. So the frame itself is asked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from drawercam.media.color import ColorSpace, merged
from drawercam.media.geometry import Geometry
from drawercam.media.packets import Codec, Track
from drawercam.media.work import KEY, SEQUENCE, Work

from . import aac, av1, opus, vpx
from .h264 import AccessUnits

Unpacked = tuple[Track | None, bytes, bool]


class Unpacker(Protocol):
    """One track's frames, from the container's form into the packets' form."""

    def unpack(self, frame: bytes, key: bool, work: Work | None = None) -> Unpacked | None:
        """Take one frame and the container's keyframe flag.

        Args:
            frame: The frame.
            key: The flag.
            work: What it may cost beyond a frame's usual price; as much as a message if None.

        Returns:
            The track when this frame begins or changes it, the frame, and whether decoding can
            start here; None while nothing can be shown yet.

        Raises:
            MediaError: The frame is broken.
            MediaLimitError: It is too much work.
        """


class _Fixed:
    """A track that is fully described by its container: audio."""

    def __init__(self, track: Track) -> None:
        self._track: Track | None = track

    def unpack(self, frame: bytes, key: bool, work: Work | None = None) -> Unpacked | None:
        track, self._track = self._track, None
        return track, frame, True


class _Vpx:
    """VP8 and VP9: keyframes carry size and profile."""

    def __init__(self, codec: Codec, color: ColorSpace | None) -> None:
        self._codec = codec
        self._color = color
        self._read_key = vpx.vp8_key if codec is Codec.VP8 else vpx.vp9_key
        self._last: vpx.KeyFrame | None = None

    def unpack(self, frame: bytes, key: bool, work: Work | None = None) -> Unpacked | None:
        head = self._read_key(frame)
        if head is not None and work is not None:
            work.spend(KEY)
        track = None
        if head is not None and head != self._last:
            self._last = head
            color = merged(self._color, head.color)
            track = Track(
                self._codec, head.codec_string, width=head.width, height=head.height, color=color
            )
            track = Geometry(pixel_aspect=head.pixel_aspect).applied(track)
        return (track, frame, head is not None) if self._last else None


class _Av1:
    """AV1: a frame to start from carries the sequence header."""

    def __init__(self, color: ColorSpace | None) -> None:
        self._color = color
        self._last: av1.SequenceHeader | None = None
        self._obu = b""  # it was read from
        self._aspect = 1.0

    def unpack(self, frame: bytes, key: bool, work: Work | None = None) -> Unpacked | None:
        # Encoders may repeat the sequence header anywhere, so the container's flag counts too.
        obu = av1.find_sequence_header(frame, work) if key else None
        if obu is None:
            return (None, frame, False) if self._last else None
        head = self._last
        if head is None or obu != self._obu:
            if work is not None:
                work.spend(SEQUENCE)
            head = av1.sequence_header(obu) or head
            self._obu = obu
        if head is None:
            return None
        aspect = av1.pixel_aspect(frame, head.frames, work)
        track = None
        if head != self._last or aspect != self._aspect:
            self._last, self._aspect = head, aspect
            color = merged(self._color, head.color)
            track = Track(
                Codec.AV1, head.codec_string, head.config, head.width, head.height, color=color
            )
            track = Geometry(pixel_aspect=aspect).applied(track)
        return track, frame, True


class _H264:
    """H.264: parameter sets move into the configuration."""

    def __init__(self, config: bytes, work: Work | None, color: ColorSpace | None) -> None:
        self._color = color
        self._units = AccessUnits(config, work)

    def unpack(self, frame: bytes, key: bool, work: Work | None = None) -> Unpacked | None:
        unpacked = self._units.unpack(frame, work)
        if unpacked is None or (track := unpacked[0]) is None or self._color is None:
            return unpacked
        return replace(track, color=merged(self._color, track.color)), *unpacked[1:]


def unpacker(
    codec: Codec,
    config: bytes,
    sample_rate: int = 0,
    channels: int = 0,
    work: Work | None = None,
    color: ColorSpace | None = None,
) -> Unpacker:
    """The unpacker for a track.

    Args:
        codec: What the container says the track holds.
        config: Its decoder configuration, as in ``Track.config``; may be empty.
        sample_rate, channels: Of audio, as the container has them.
        work: What the configuration may cost.
        color: What the container says of the colours; it counts more than what the frames say.

    Raises:
        MediaError: The configuration is broken.
        MediaLimitError: It is too much work.
    """
    match codec:
        case Codec.VP8 | Codec.VP9:
            return _Vpx(codec, color)
        case Codec.AV1:
            return _Av1(color)
        case Codec.H264:
            return _H264(config, work, color)
        case Codec.OPUS:
            config = config or opus.head(channels or 2, sample_rate or 48000)
            return _Fixed(
                Track(codec, "opus", config, sample_rate=48000, channels=opus.channels(config))
            )
        case Codec.AAC:
            _, rate, count = aac.parse_config(config)
            return _Fixed(
                Track(codec, aac.codec_string(config), config, sample_rate=rate, channels=count)
            )


def audio_duration(track: Track, frame: bytes) -> int:
    """Duration of one audio packet in nanoseconds, from its codec alone; 0 when that does not
    tell.
    """
    if track.codec is Codec.OPUS:
        return opus.packet_duration(frame) * 1000
    return aac.frame_duration(track.config) if track.codec is Codec.AAC else 0
