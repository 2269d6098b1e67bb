"""The Tracks of a WebM header (RFC 9559 section 5.1.4): which of them are read, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from drawercam.media.codecs.unpack import unpacker
from drawercam.media.color import UNSPECIFIED, ColorSpace, from_codes
from drawercam.media.geometry import Geometry, of_angles
from drawercam.media.packets import MediaError, MediaLimitError
from drawercam.media.work import TRACK, Work

from . import ebml
from .header import Header, TrackReader
from .matroska import CODECS, COLOURS, KINDS, RANGES, Id

# Tracks of one header. Recorders have two, films with all their languages some dozens.
MAX_TRACKS = 64

# What says the shape of a picture. Units of its display size: pixels, centimetres, inches, an
# aspect ratio; the other one is "unknown".
_CROPS = (Id.PIXEL_CROP_BOTTOM, Id.PIXEL_CROP_TOP, Id.PIXEL_CROP_LEFT, Id.PIXEL_CROP_RIGHT)
_SIZES = frozenset(
    (Id.PIXEL_WIDTH, Id.PIXEL_HEIGHT, *_CROPS, Id.DISPLAY_WIDTH, Id.DISPLAY_HEIGHT, Id.DISPLAY_UNIT)
)
_DISPLAY_UNITS = range(4)


@dataclass(slots=True)
class Entry:
    """One TrackEntry that is passed on."""

    frames: TrackReader
    default_duration: int  # nanoseconds, 0 when unknown


class Tracks:
    """The tracks of one header.

    Attributes:
        entries: Those that are passed on, by their number.
        numbers: Of all tracks, also of those that are not read.
    """

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.numbers: set[int] = set()

    def read(self, payload: ebml.Buffer, header: Header, work: Work) -> None:
        """Read a Tracks element.

        Args:
            payload: Its data.
            header: Learns which tracks are read, and which are not.
            work: What it may cost.

        Raises:
            MediaError: None of them can be read.
            MediaLimitError: More than MAX_TRACKS, or too much work.
        """
        count = 0
        for child, value in ebml.children(payload, work):
            if child != Id.TRACK_ENTRY:
                continue
            count += 1
            if count > MAX_TRACKS:
                raise MediaLimitError(f"a WebM stream has more than {MAX_TRACKS} tracks")
            try:
                self._read_entry(value, header, work)
            except MediaError as error:
                if work.left < 0:
                    raise
                header.cannot_read("a track", None, error)
        header.close()

    def _read_entry(self, payload: ebml.Buffer, header: Header, work: Work) -> None:
        """Take a track, if it is one that is read.

        Raises:
            MediaError: What it is cannot be told.
        """
        number, kind, codec_id, config, duration, encoded = 0, None, "", b"", 0, False
        sound: ebml.Buffer = b""
        pictures: ebml.Buffer = b""
        for child, value in ebml.children(payload, work):
            match child:
                case Id.TRACK_NUMBER:
                    number = ebml.read_uint(value)
                    self.numbers.add(number)
                case Id.TRACK_TYPE:
                    kind = KINDS.get(ebml.read_uint(value))
                case Id.CODEC_ID:
                    codec_id = ebml.read_text(value)
                case Id.CODEC_PRIVATE:
                    config = bytes(value)
                case Id.DEFAULT_DURATION:
                    duration = ebml.read_uint(value)
                case Id.CONTENT_ENCODINGS:
                    encoded = True
                case Id.VIDEO:
                    pictures = value
                case Id.AUDIO:
                    sound = value
        codec = next(
            (
                codec
                for prefix, codec in CODECS.items()
                if codec_id == prefix or codec_id.startswith(prefix + "/")
            ),
            None,
        )
        if codec is not None:
            kind = codec.kind  # some recorders leave the type out
        if kind is None or kind in header.kinds:
            return
        name = f"track {number}"
        try:
            if codec is None:
                raise MediaError(f"the relay does not pass on the codec {codec_id!r}")
            if encoded:
                raise MediaError("the track is compressed or encrypted, which cannot be passed on")
            work.spend(TRACK)
            rate, channels = _read_sound(sound, work)
            begin = partial(
                unpacker, codec, config, rate, channels, color=_read_color(pictures, work)
            )
            shown = _geometry(pictures, work)
            entry = Entry(TrackReader(header, name, kind, begin, work, shown), duration)
        except MediaError as error:
            if work.left < 0:
                raise
            header.cannot_read(name, kind, error)
            return
        header.takes(kind)
        self.entries[number] = entry


def _read_sound(audio: ebml.Buffer, work: Work) -> tuple[int, int]:
    """Sample rate in Hz and channels, of the settings of sound."""
    rate, channels = 8000.0, 1
    for child, value in ebml.children(audio, work):
        if child == Id.SAMPLING_FREQUENCY:
            rate = ebml.read_float(value)
        elif child == Id.CHANNELS:
            channels = ebml.read_uint(value)
    if not (0 < rate < 10**6 and 0 < channels < 256):
        raise MediaError("an audio track has an impossible sample rate or channel count")
    return int(rate), channels


def _geometry(video: ebml.Buffer, work: Work) -> Geometry:
    """How the pictures of a track are shown (RFC 9559, Video): whatever the unit of the display
    size, it says their shape."""
    known: dict[int, int] = {}
    angle = {
        Id.PROJECTION_POSE_YAW: 0.0,
        Id.PROJECTION_POSE_PITCH: 0.0,
        Id.PROJECTION_POSE_ROLL: 0.0,
    }
    rectangular = True
    for child, value in ebml.children(video, work):
        if child in _SIZES:
            known[child] = ebml.read_uint(value)
        elif child == Id.PROJECTION:
            for inner, payload in ebml.children(value, work):
                if inner in angle:
                    angle[inner] = ebml.read_float(payload)
                elif inner == Id.PROJECTION_TYPE:
                    rectangular = ebml.read_uint(payload) == 0
    shape = of_angles(*angle.values()) if rectangular else Geometry()
    width = (
        known.get(Id.PIXEL_WIDTH, 0)
        - known.get(Id.PIXEL_CROP_LEFT, 0)
        - known.get(Id.PIXEL_CROP_RIGHT, 0)
    )
    height = (
        known.get(Id.PIXEL_HEIGHT, 0)
        - known.get(Id.PIXEL_CROP_TOP, 0)
        - known.get(Id.PIXEL_CROP_BOTTOM, 0)
    )
    if width <= 0 or height <= 0 or known.get(Id.DISPLAY_UNIT, 0) not in _DISPLAY_UNITS:
        return shape
    # A side that is not said is as it was.
    shown_width, shown_height = (
        known.get(Id.DISPLAY_WIDTH) or width,
        known.get(Id.DISPLAY_HEIGHT) or height,
    )
    return replace(shape, pixel_aspect=shown_width / width / (shown_height / height))


def _read_color(video: ebml.Buffer, work: Work) -> ColorSpace | None:
    """What its Colour element (RFC 9559 section 5.1.4.1.28.16) says."""
    colour = next((payload for child, payload in ebml.children(video) if child == Id.COLOUR), b"")
    found = {
        identifier: ebml.read_uint(value)
        for identifier, value in ebml.children(colour, work)
        if identifier in COLOURS
    }
    primaries, transfer, matrix = (found.get(identifier, UNSPECIFIED) for identifier in COLOURS[:3])
    return from_codes(primaries, transfer, matrix, RANGES.get(found.get(Id.RANGE, 0)))
