"""Encoders for what no player takes as it is: no picture waits in one, none is reordered, and any
can be a keyframe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from drawercam.film.relay.clock import now
from drawercam.media.color import UNSPECIFIED, ColorSpace, completed, from_codes
from drawercam.media.packets import Codec

from .frame import Form, Frame
from .loudness import Loudness

# Bits per second as a phone has them (web/camera/encode/media-recorder.js): 1.2 Mbit/s at 640x480,
# and more for more pixels, but not as much more.
VGA_BITRATE = 1_200_000
_VGA_AREA = 640 * 480
_AREA_EXPONENT = 2 / 3
_LEAST_BITRATE = 30_000

# Sound: bits per second, Hz, samples in a packet of 20 ms.
_SOUND_BITRATE = 40_000
SOUND_RATE = 48_000
SOUND_PACKET = 960

# Microseconds between two keyframes at most, and at least when they are asked for: each costs about
# ten ordinary pictures.
KEYFRAME_INTERVAL = 2_000_000
KEYFRAME_PAUSE = 150_000

# Pictures between the keyframes that an encoder makes of its own accord: never, this program asks
# for them by the clock.
_NEVER = 2**15

# H.264's level (ISO/IEC 14496-10 table A-1). Left alone, the encoder chooses it by the bit rate,
# too, and a stream whose level changes is another one to its readers, whose files would end. Up to
# this size, in macroblocks, and macroblocks per second it is this one, which every phone has.
_LEVEL, _LEVEL_SIZE, _LEVEL_RATE = "3.1", 3600, 108_000

# Pictures per second that an encoder reckons with where the source does not say.
_USUAL_RATE = 30

_MICROSECONDS = Fraction(1, 1_000_000)

# What libswscale calls the matrices that are kept. Others become the one that is usual for the
# size.
_MATRICES = {
    "bt709": Colorspace.ITU709,
    "smpte170m": Colorspace.ITU601,
    "bt470bg": Colorspace.ITU601,
    "bt2020-ncl": Colorspace.BT2020,
}

# And the code points of all matrices that it knows.
_CONVERTED = frozenset((1, 4, 5, 6, 7, 9))

# Pixel formats with full range, whatever else is said of them: those of JPEG, and grey without
# colours, as JPEG and cameras have it.
_FULL_RANGE = ("yuvj", "gray")


def color_of(picture: VideoFrame) -> ColorSpace:
    """What the numbers of a picture mean, as its decoder says, and as is usual where that says
    nothing.
    """
    full_range = {ColorRange.MPEG: False, ColorRange.JPEG: True}.get(
        ColorRange(picture.color_range)
    )
    if picture.format.name.startswith(_FULL_RANGE):
        full_range = True
    matrix = (
        picture.colorspace or UNSPECIFIED
    )  # RGB has none that matters; where YUV says that it is RGB, that is no knowledge
    known = from_codes(picture.color_primaries, picture.color_trc, matrix, full_range)
    return completed(known, picture.width, picture.height)


def _encoded(source: ColorSpace, codec: Codec, width: int, height: int) -> ColorSpace:
    """The colour space in which a picture is encoded: with limited range, which every player knows,
    and with its own matrix, so that nothing is rounded; VP8 has that of BT.601 only (RFC 6386
    section 9.2).
    """
    matrix = source.matrix if source.matrix in _MATRICES else completed(None, width, height).matrix
    return replace(source, matrix="smpte170m" if codec is Codec.VP8 else matrix, full_range=False)


@dataclass(frozen=True, slots=True)
class Recipe:
    """An encoder of FFmpeg's, and what makes it one for real time."""

    codec: Codec
    encoder: str
    options: Mapping[str, str] = field(default_factory=dict)


# Measured on two cores, ms a picture at 640x480 and 1280x720: libx264 1.2 and 3.1, libvpx 2.7 and
# 6.4. And every phone decodes H.264 by hardware, so it comes first. `superfast`: `ultrafast` leaves
# out the deblocking and is not faster. Baseline has no reordered pictures, which tells a decoder
# that it need not wait for any.
_RECIPES = (
    Recipe(
        Codec.H264,
        "libx264",
        {
            "preset": "superfast",
            "tune": "zerolatency",
            "profile": "baseline",
            "forced-idr": "1",
            "x264-params": "scenecut=0",
        },
    ),
    Recipe(
        Codec.H264, "libopenh264", {"profile": "constrained_baseline", "allow_skip_frames": "0"}
    ),
    Recipe(
        Codec.VP8,
        "libvpx",
        {
            "deadline": "realtime",
            "cpu-used": "8",
            "lag-in-frames": "0",
            "error-resilient": "0",
            "threads": "2",
        },
    ),
)


def recipes() -> list[Recipe]:
    """What this computer can encode with, the best first, one for each codec."""
    found: dict[Codec, Recipe] = {}
    for recipe in _RECIPES:
        if recipe.encoder in av.codecs_available:
            found.setdefault(recipe.codec, recipe)
    return list(found.values())


def bitrate(width: int, height: int, share: float = 1.0) -> int:
    """Bits per second for pictures of this size."""
    area: float = (width * height / _VGA_AREA) ** _AREA_EXPONENT
    return max(_LEAST_BITRATE, round(VGA_BITRATE * area * share))


class PictureEncoder:
    """Pictures in, frames out, one for each. For one thread."""

    def __init__(self, recipe: Recipe, rate: float = 0.0) -> None:
        """
        Args:
            rate: Pictures per second, if they are known.
        """
        self.recipe = recipe
        self.bitrate = VGA_BITRATE
        self._rate = Fraction(round(rate) if 0 < rate <= 240 else _USUAL_RATE)
        self._form = Form(recipe.codec, keyframes=True)
        self._reformatter = VideoReformatter()
        self._context: VideoCodecContext | None = None
        self._share = 1.0
        self._last = -1
        self._last_key: int | None = None

    def encode(
        self, picture: VideoFrame, captured: int, key: bool = False, share: float = 1.0
    ) -> Frame | None:
        """
        Args:
            picture: Any size, pixel format and colour space; where it does not say its matrix or
                its range, it is told what they are.
            captured: µs; what does not come after the one before is left out.
            key: A keyframe is wanted.
            share: Of the full bit rate; another one begins the encoder afresh.

        Returns:
            The frame, or None where the encoder gave nothing for it.
        """
        if captured <= self._last:
            return None
        width, height = picture.width & ~1, picture.height & ~1  # 4:2:0 has even sizes only
        source = color_of(picture)
        color = _encoded(source, self.recipe.codec, width, height)
        context = self._context
        if context is None or (width, height, share, color) != (
            context.width,
            context.height,
            self._share,
            self._form.color,
        ):
            context = self._context = self._open(width, height, share, color)
            self._last_key = None
        picture = self._converted(picture, source, color, width, height)
        age = KEYFRAME_INTERVAL if self._last_key is None else captured - self._last_key
        is_key = age >= KEYFRAME_INTERVAL or (key and age >= KEYFRAME_PAUSE)
        # A decoder leaves its own kind of picture in here, which would make each one of an MJPEG
        # stream a keyframe.
        picture.pict_type = PictureType.I if is_key else PictureType.NONE
        picture.pts, picture.time_base = captured, _MICROSECONDS
        self._last = captured
        packets = context.encode(picture)
        if is_key and packets:
            self._last_key = captured
        return (
            Frame(self._form, b"".join(map(bytes, packets)), captured, packets[0].is_keyframe)
            if packets
            else None
        )

    def _converted(
        self, picture: VideoFrame, source: ColorSpace, color: ColorSpace, width: int, height: int
    ) -> VideoFrame:
        """As the encoder takes it; itself where nothing is to be done.

        Primaries and transfer stay what they are.
        """
        if not picture.format.is_rgb:
            if picture.colorspace not in _CONVERTED:
                picture.colorspace = source.codes()[2]
            picture.color_range = ColorRange.JPEG if source.full_range else ColorRange.MPEG
        form = {"dst_colorspace": _MATRICES[color.matrix or ""], "dst_color_range": ColorRange.MPEG}
        return self._reformatter.reformat(picture, width, height, "yuv420p", **form)

    def _open(self, width: int, height: int, share: float, color: ColorSpace) -> VideoCodecContext:
        context = cast(VideoCodecContext, av.CodecContext.create(self.recipe.encoder, "w"))
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = _MICROSECONDS, self._rate
        self.bitrate = context.bit_rate = bitrate(width, height, share)
        context.gop_size, context.max_b_frames = _NEVER, 0
        # Written into the VUI of H.264 (E.1.1). VP8 has no place for it, so the container says it,
        # too.
        context.color_primaries, context.color_trc, context.colorspace = color.codes()
        context.color_range = ColorRange.MPEG
        self._form = replace(self._form, color=color)
        context.options = dict(self.recipe.options)
        blocks = -(-width // 16) * -(-height // 16)
        if (
            self.recipe.encoder == "libx264"
            and blocks <= _LEVEL_SIZE
            and blocks * self._rate <= _LEVEL_RATE
        ):
            context.options = {**context.options, "level": _LEVEL}
        context.open()
        self._share = share
        return context


class SoundEncoder:
    """Sound of any kind in, Opus in packets of 20 ms out. For one thread.

    Attributes:
        loudness: Of what went in.
    """

    def __init__(self) -> None:
        self.loudness = Loudness()
        self._context: AudioCodecContext | None = None
        self._resampler: AudioResampler | None = None
        self._source: tuple[object, ...] = ()
        self._form = Form(Codec.OPUS)
        # Samples that went in, at the source's rate, and came out, at 48 kHz.
        self._fed = self._out = 0
        self._marks: deque[tuple[int, int]] = deque(
            maxlen=64
        )  # position in samples, when that was captured

    def encode(self, sound: AudioFrame, captured: int) -> list[Frame]:
        """
        Args:
            sound: Any format, layout and rate.
            captured: µs, of its first sample.
        """
        source = (sound.format.name, sound.layout.name, sound.sample_rate)
        if self._context is None or source != self._source:
            self._source = source
            self._open(len(sound.layout.channels))
        assert self._context is not None and self._resampler is not None
        self._marks.append((self._fed * SOUND_RATE // sound.sample_rate, captured))
        self._fed += sound.samples
        # Samples are counted: what a source leaves out is seen by its time of capture.
        sound.pts = None
        frames = []
        for piece in self._resampler.resample(sound):
            piece.pts = None
            samples = (
                memoryview(piece.planes[0])
                .cast("B")[: 4 * piece.samples * len(piece.layout.channels)]
                .cast("f")
            )
            self.loudness.hear(samples, now())
            for packet in self._context.encode(piece):
                frames.append(Frame(self._form, bytes(packet), self._captured()))
                self._out += SOUND_PACKET
        return frames

    def _captured(self) -> int:
        """Of the first sample of the packet that comes out now."""
        while len(self._marks) > 1 and self._marks[1][0] <= self._out:
            self._marks.popleft()
        position, captured = self._marks[0]
        return captured + (self._out - position) * 1_000_000 // SOUND_RATE

    def _open(self, channels: int) -> None:
        layout = "stereo" if channels > 1 else "mono"
        context = av.CodecContext.create("libopus", "w")
        context.sample_rate, context.layout, context.format = SOUND_RATE, layout, "flt"
        context.bit_rate = _SOUND_BITRATE
        # 2.5 ms of looking ahead instead of 6.5 (RFC 6716 section 2.1.6, restricted low delay).
        context.options = {"application": "lowdelay", "frame_duration": "20"}
        context.open()
        self._context = context
        self._resampler = AudioResampler("flt", layout, SOUND_RATE, SOUND_PACKET)
        self._form = Form(
            Codec.OPUS, bytes(context.extradata or b""), SOUND_RATE, 2 if channels > 1 else 1
        )
        self._fed = self._out = 0
        self._marks.clear()
