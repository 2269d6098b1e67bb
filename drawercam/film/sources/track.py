"""One stream of what FFmpeg's libraries have opened: what it is to players, how its pictures are
shown, and where they lie in time.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.packet import Packet as AvPacket
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from drawercam.film.encode.frame import Form
from drawercam.media.codecs.h264 import AccessUnits, split_annexb
from drawercam.media.codecs.h264_sets import picture_size
from drawercam.media.codecs.unpack import Unpacked, Unpacker, unpacker
from drawercam.media.color import UNSPECIFIED, ColorSpace, from_codes
from drawercam.media.containers import mp4_tracks
from drawercam.media.geometry import Geometry
from drawercam.media.packets import Codec, MediaError
from drawercam.media.upright import Upright, turn_of

from .source import Keyless, Sink

# Microseconds by which timestamps may go back, because pictures are reordered, and forward, because
# a picture stands. What goes further is a cut: of files laid one behind the other, of a camera
# whose clock was set. It goes on there as if there were none.
_BACK = 1_000_000
_FORWARD = 60_000_000

MAX_PIXELS = 2**26
"""Pixels of a picture at most: 8192x8192, half a gigabyte for an encoder. FFmpeg's own limit is
four times as much, and a few kilobytes of PNG have as many.
"""

_CODECS = {
    "h264": Codec.H264,
    "vp8": Codec.VP8,
    "vp9": Codec.VP9,
    "av1": Codec.AV1,
    "opus": Codec.OPUS,
    "aac": Codec.AAC,
}

# Codecs whose keyframes say in which size they are shown (the scales of RFC 6386 9.1, the render
# size of VP9 and AV1), which FFmpeg's decoders do not tell.
_WITH_SIZES = (Codec.VP8, Codec.VP9, Codec.AV1)

# Codecs whose pictures have square pixels, whatever they say: what JPEGs have for it is a printer's
# resolution, which browsers ignore.
_SQUARE = {"mjpeg"}

# Pixel formats of pictures that every player decodes: 8 bits, 4:2:0.
_PLAYABLE = {None, "yuv420p", "yuvj420p"}


class Track:
    """One stream of an open container.

    Attributes:
        form: How its packets are passed on, None where they have to be encoded.
        is_video: It has pictures.
        is_decoding: Its packets are not passed on now.
        step: How long one of its packets lasts (µs), as well as that is known.
    """

    def __init__(
        self,
        stream: VideoStream | AudioStream,
        form: Form | None,
        contained: Geometry | None = None,
    ) -> None:
        """
        Args:
            contained: How its container shows its pictures, where that is known better than
                FFmpeg's libraries do.
        """
        self.stream = stream
        self._contained = contained
        # What keyframes say of their pixels (width by height) that decoders do not tell.
        self._said: float | None = None
        self._keys: Unpacker | None = None
        codec = _CODECS.get(stream.codec_context.codec.canonical_name)
        if codec in _WITH_SIZES:
            with contextlib.suppress(MediaError):
                self._keys = unpacker(codec, bytes(stream.codec_context.extradata or b""))
        if isinstance(stream, VideoStream):
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        self.form = form
        self.is_video = isinstance(stream, VideoStream)
        self.step = (
            round(1_000_000 / rate_of(stream))
            if isinstance(stream, VideoStream) and rate_of(stream)
            else 0
        )
        self.is_decoding = self.form is None
        self._unseen = self.is_video and form is not None
        self._tried = False
        # Packets do not come in the order of their pictures, though the container said so.
        self._reordered = False
        self._passed: int | None = None
        self._misdated = False  # the container has not reckoned with the pictures' order
        self._shown: int | None = None
        self._next: int | None = None  # where its line goes on (µs)
        self._shift = 0  # what the cuts have added to its timestamps (µs)

    def is_passed(self, packet: AvPacket[Any], sink: Sink) -> bool:
        """Whether this packet goes as it is. What changes, changes with a keyframe."""
        at = microseconds(packet.pts, packet.time_base)
        if self.is_video and at is not None:
            self._reordered = self._reordered or _goes_back(self._passed, at)
            self._passed = at
        if self._unseen and packet.is_keyframe:
            self._look_at(packet)
        if self.form is not None and packet.is_keyframe:
            if sink.keyless and self._is_beginning(packet):
                sink.key_found()
            passes = (
                sink.passes(self.form.codec)
                and not self._reordered
                and not (sink.keyless and self.is_decoding)
            )
            if not passes and not self.is_decoding:
                self.stream.codec_context.flush_buffers()  # of what it may have decoded long ago
            self.is_decoding = not passes
        return not self.is_decoding

    def is_tried(self, sink: Sink) -> bool:
        """Whether what is passed on is decoded, too, because players do not find where to begin."""
        tried = (
            sink.keyless > Keyless.NO and self.form is not None and self.form.codec is Codec.H264
        )
        if tried != self._tried:
            self._tried = tried
            self.stream.codec_context.flush_buffers()
        if tried and sink.keyless is Keyless.ANYHOW:
            self.stream.codec_context.flags |= Flags.output_corrupt
        return tried

    def decode_on(self) -> None:
        """Pass nothing on any more before the next picture at which players can begin."""
        self.is_decoding = True

    def _is_beginning(self, packet: AvPacket[Any]) -> bool:
        """Whether players can begin at a picture.

        FFmpeg says so of all with a recovery point (ITU-T H.264 D.2.8), too.
        """
        if self.form is None or self.form.codec is not Codec.H264:
            return True
        unpacked = _unpacked(self.form, packet)
        return unpacked is not None and unpacked[2]

    def _look_at(self, packet: AvPacket[Any]) -> None:
        """Decode the first keyframe: only a decoder is told how its pictures are turned, and
        sometimes what pictures they are.
        """
        assert isinstance(self.stream, VideoStream)
        self._unseen = False
        context = self.stream.codec_context
        pictures: list[VideoFrame] = []
        with contextlib.suppress(av.error.FFmpegError):
            pictures = [*context.decode(packet), *context.decode(None)]
        context.flush_buffers()
        self.form = form_of(self.stream)
        if self.form is not None and pictures:
            shown = self._geometry(pictures[0])
            unpacked = _unpacked(self.form, packet) if self.form.codec is Codec.H264 else None
            if unpacked and (track := unpacked[0]) and (track.rotation or track.flip):
                shown = replace(
                    shown, rotation=0, flip=False
                )  # the stream says it by itself, and may say another turn later
            self.form = replace(self.form, geometry=shown)
        self.is_decoding = self.form is None

    def seen(self, picture: VideoFrame, upright: Upright) -> VideoFrame:
        """A decoded picture as it is to be seen."""
        assert isinstance(self.stream, VideoStream)
        return upright.seen(picture, self._geometry(picture))

    def ask(self, packet: AvPacket[Any]) -> None:
        """Learn from a keyframe that is decoded in which size its pictures are shown."""
        if self._keys is None or not packet.is_keyframe:
            return
        with contextlib.suppress(MediaError):
            unpacked = self._keys.unpack(bytes(packet), True)
            if unpacked is not None and (track := unpacked[0]) is not None:
                across, down = (
                    track.display_width * track.height,
                    track.display_height * track.width,
                )
                self._said = across / down if down else None

    def _geometry(self, picture: VideoFrame) -> Geometry:
        """How a picture is shown.

        What it says itself of its pixels counts more than its container.
        """
        assert isinstance(self.stream, VideoStream)
        turn = turn_of(picture)
        context = self.stream.codec_context
        if context.codec.canonical_name in _SQUARE:
            return turn
        said = self._said or float(context.sample_aspect_ratio or 1)
        if said == 1 and self._contained is not None:
            return replace(turn, pixel_aspect=self._contained.pixel_aspect)
        return replace(
            turn,
            pixel_aspect=turn.pixel_aspect
            * (said if said != 1 else float(self.stream.sample_aspect_ratio or 1)),
        )

    def time_of(self, frame: VideoFrame | AudioFrame) -> int | None:
        """Of a decoded frame, in its own units. Decoders give pictures in their order; where the
        container's times do not rise with them, as in AVI, those of decoding do.
        """
        at = microseconds(frame.pts, frame.time_base)
        if self.is_video and at is not None:
            self._misdated = self._misdated or _goes_back(self._shown, at)
            self._shown = at
        return frame.dts if self._misdated else frame.pts

    def place(self, timestamp: int | None, base: Fraction | None, begin: int | None) -> int:
        """Where something lies on this track's line, which goes on over cuts, and counts where no
        time is said (µs).

        Args:
            begin: Where the line begins if the timestamp lies nowhere near; None for the timestamp
                itself.
        """
        due = self._next if self._next is not None else begin
        at = microseconds(timestamp, base)
        if at is None:
            at = due or 0
        elif due is not None and not due - _BACK <= at + self._shift <= due + _FORWARD:
            self._shift, at = due - at, due
        else:
            at += self._shift
        self._next = at + self.step
        return at


def _unpacked(form: Form, packet: AvPacket[Any]) -> Unpacked | None:
    """A picture of H.264 by itself; None if it is broken."""
    try:
        return AccessUnits(form.config).unpack(bytes(packet))
    except MediaError:
        return None


def rate_of(stream: VideoStream) -> float:
    return float(stream.average_rate or stream.guessed_rate or 0)


def _goes_back(before: int | None, at: int) -> bool:
    """Whether pictures come in another order than they are shown in; a cut is something else."""
    return before is not None and 0 < before - at < _BACK


def microseconds(value: int | None, base: Fraction | None) -> int | None:
    return (
        None
        if value is None or base is None
        else value * base.numerator * 1_000_000 // base.denominator
    )


def form_of(stream: VideoStream | AudioStream) -> Form | None:
    """How a stream is passed on as it is; None if a player would not take it."""
    context = stream.codec_context
    codec = _CODECS.get(context.codec.canonical_name)
    if codec is None:
        return None
    config = bytes(context.extradata or b"")
    if isinstance(stream, AudioStream):
        if stream.codec_context.channels > 2 or (codec is Codec.AAC and not config):
            return None
        return Form(codec, config, stream.codec_context.sample_rate, stream.codec_context.channels)
    if stream.codec_context.pix_fmt not in _PLAYABLE:
        return None
    if codec is Codec.H264 and stream.codec_context.has_b_frames:
        return None
    return Form(codec, config, color=_color(stream.codec_context))


def _color(context: VideoCodecContext) -> ColorSpace | None:
    """What the container or the stream says of the colours of a track that is passed on."""
    full_range = {1: False, 2: True}.get(context.color_range)  # AVColorRange
    matrix = context.colorspace or UNSPECIFIED  # what is passed on has 4:2:0, so it is no RGB
    return from_codes(context.color_primaries, context.color_trc, matrix, full_range)


def announced_size(context: VideoCodecContext) -> tuple[int, int]:
    """The size of H.264 pictures of which only the parameter sets are known."""
    with contextlib.suppress(MediaError):
        for unit in split_annexb(bytes(context.extradata or b"")):
            if unit[0] & 0x1F == 7:
                return picture_size(unit)
    return 0, 0


def contained(url: str) -> dict[int, Geometry]:
    """How an MP4 file shows the pictures of its tracks: FFmpeg's libraries do not reckon with what
    it crops.
    """
    try:
        with Path(url.removeprefix("file:")).open("rb") as file:
            return mp4_tracks.geometries(file)
    except OSError:
        return {}
