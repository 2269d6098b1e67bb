"""What is filmed: devices, streams of the network and files through PyAV, and the test picture. Each runs in a thread of its own.

A source opens its device when it runs, gives what it has to a `Sink`, and lets the device go before it returns. What players take as it is
goes unencoded; the rest is decoded here and encoded elsewhere (take.py).
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet as AvPacket
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ..media.packets import Codec
from ..timeline import Timeline
from .moments import now
from .pattern import PACKETS_PER_SECOND, Pattern, sound
from .streams import Form, Frame

# Seconds that a stream of the network may take to open, and from one piece to the next.
_OPEN_LIMIT = 10.0
_READ_LIMIT = 5.0

# Microseconds of a file's lateness from which on its clock is set anew: this computer is too slow for it, or slept.
_TOO_LATE = 1_000_000

# Microseconds that one round of a file lasts at least: a file of one picture would be opened thousands of times a second.
_SHORTEST_ROUND = 100_000

# Containers that know no times: what they say is counted, so the arrival is the better time of capture.
_UNTIMED = {"mpjpeg", "mjpeg", "mjpeg_2000", "image2pipe", "h264", "hevc"}

_CODECS = {"h264": Codec.H264, "vp8": Codec.VP8, "vp9": Codec.VP9, "av1": Codec.AV1, "opus": Codec.OPUS, "aac": Codec.AAC}

# Pixel formats of pictures that every player decodes: 8 bits, 4:2:0.
_PLAYABLE = {None, "yuv420p", "yuvj420p"}

# What FFmpeg is told for streams of the network: no buffer that is filled before the first picture, UDP's losses avoided, and half a
# second to find out what is in there.
_LIVE_OPTIONS = {"fflags": "nobuffer", "analyzeduration": "500000"}
_RTSP_OPTIONS = {"rtsp_transport": "tcp"}

# What a device says to a size or a format that it does not have.
_DECLINED = (errno.EINVAL, errno.EIO, errno.ENOTTY)


class SourceError(Exception):
    """A source cannot be used. The text is a sentence.

    Attributes:
        final: Nobody need try again: it will not come back by itself.
    """

    def __init__(self, sentence: str, final: bool = False) -> None:
        super().__init__(f"The {sentence[4:]}" if sentence.startswith("the ") else sentence)
        self.final = final


class Sink(Protocol):
    """Where a source's thread gives what it has. Nothing here waits for the network."""

    @property
    def encode(self) -> bool:
        """Nothing is to be passed on as it is."""

    @property
    def wanted(self) -> bool:
        """Somebody wants pictures and sound just now; otherwise decoding would be in vain."""

    def opened(self, what: str) -> None:
        """The source is open; ``what`` it gives, in words."""

    def picture(self, picture: VideoFrame, captured: int) -> None:
        """A picture to be encoded; captured: µs."""

    def sound(self, sound: AudioFrame, captured: int) -> None:
        """Sound to be encoded; captured: µs, of its first sample."""

    def passed(self, frame: Frame) -> None:
        """A frame that players take as it is."""

    def pause(self, seconds: float) -> bool:
        """Wait, unless the source is to end; whether it is to go on."""


class Source(Protocol):
    """
    Attributes:
        title: What it is called in sentences.
        rate: Pictures per second if they are known before, else 0.
        lasting: It ends only when it breaks, so it is opened again.
    """

    title: str
    rate: float

    def run(self, sink: Sink) -> None:
        """Open, give until it ends or `Sink.pause` says that it is to end, close.

        Raises:
            SourceError: It cannot be opened, has no picture, or has ended.
        """


class TestPicture:
    """The moving picture of pattern.py, with its sound."""

    title = "the test picture"

    def __init__(self, width: int, height: int, rate: float, view: Callable[[], tuple[float, float, float]] | None = None) -> None:
        """
        Args:
            view: Where the camera looks: pan, tilt, zoom.
        """
        self.rate = rate
        self._pattern = Pattern(width, height)
        self._size = (width, height)
        self._view = view or (lambda: (0.0, 0.0, 1.0))

    def run(self, sink: Sink) -> None:
        """See Source."""
        sink.opened(f"{self._size[0]}x{self._size[1]}, {self.rate:g} pictures a second, and sound")
        ahead = time.time_ns() // 1000 - now()  # the wall clock minus this computer's: pictures show the one and are dated by the other
        piece = 1_000_000 // PACKETS_PER_SECOND
        step = 1_000_000 / self.rate
        picture_due = float(now())
        number = (now() + ahead) // piece
        while True:
            sound_due = (number + 1) * piece - ahead  # a piece is there when it is over
            if not sink.pause((min(picture_due, sound_due) - now()) / 1e6):
                return
            moment = now()
            if moment >= picture_due:
                if sink.wanted:
                    sink.picture(self._pattern.picture((moment + ahead) / 1e6, self._view()), moment)
                picture_due = max(picture_due + step, moment - step)
            if moment >= sound_due:
                if moment - sound_due > _TOO_LATE:
                    number = (moment + ahead) // piece
                elif sink.wanted:
                    sink.sound(sound(number), number * piece - ahead)
                    number += 1
                else:
                    number += 1


@dataclass
class Stream:
    """Whatever FFmpeg's libraries open: a device, a URL, a file.

    Attributes:
        url: As FFmpeg takes it.
        title: What it is called in sentences; without a password.
        format: A device's format, such as ``v4l2``; None for all others.
        attempts: Options for opening it, tried one after the other while the device refuses them.
        looped: It is a file, played in real time and from the beginning again.
        advice: What a person may look at when it is missing.
    """

    url: str
    title: str
    format: str | None = None
    attempts: tuple[dict[str, str], ...] = ({},)
    looped: bool = False
    advice: str = ""
    rate: float = field(default=0.0, init=False)

    def run(self, sink: Sink) -> None:
        """See Source."""
        begin: int | None = None
        while True:
            with self._open() as container:
                play = _Play(self, container, sink, begin)
                sink.opened(play.what)
                self.rate = play.rate
                if not play.run():
                    return
            if not self.looped:
                raise SourceError(f"{self.title} has ended. It is opened again.")
            begin = play.end

    def _open(self) -> InputContainer:
        for number, options in enumerate(self.attempts):
            try:
                return av.open(self.url, format=self.format, options=options, timeout=(_OPEN_LIMIT, _READ_LIMIT))
            except (av.error.FFmpegError, OSError, ValueError) as error:
                declined = isinstance(error, av.error.InvalidDataError) or getattr(error, "errno", 0) in _DECLINED
                if not declined or number == len(self.attempts) - 1:
                    raise self._problem(error) from None
        raise AssertionError

    def _problem(self, error: Exception) -> SourceError:
        again = " It is tried again until it is there." if not self.looped else ""
        number = getattr(error, "errno", 0) or 0
        if isinstance(error, FileNotFoundError | av.error.HTTPNotFoundError) or number in (errno.ENODEV, errno.ENXIO):
            return SourceError(f"There is no {self.title.removeprefix('the ')}.{self.advice}{again}", final=self.looped)
        if number == errno.EBUSY:
            return SourceError(f"{self.title} is busy: another program films with it.{again}")
        if isinstance(error, PermissionError):
            return SourceError(f"This user may not open {self.title}; with a device, this helps: sudo usermod -aG video $USER{again}")
        if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
            return SourceError(f"{self.title} asks for a user and a password: rtsp://user:password@...{again}")
        if isinstance(error, av.error.InvalidDataError):
            return SourceError(f"{self.title} gives nothing that FFmpeg's libraries can read.{again}", final=self.looped)
        if isinstance(error, av.error.ExitError | TimeoutError):
            return SourceError(f"{self.title} does not answer in time.{again}")
        return SourceError(f"{self.title} cannot be opened: {getattr(error, 'strerror', None) or error}.{again}", final=self.looped)

    def broken(self, error: Exception) -> SourceError:
        """What to say when it ends by an error."""
        if isinstance(error, av.error.ExitError | TimeoutError):
            return SourceError(f"{self.title} gives nothing any more. It is opened again.")
        return SourceError(f"{self.title} has broken off: {getattr(error, 'strerror', None) or error}. It is opened again.")


class _Track:
    """One stream of an open container.

    Attributes:
        form: How its packets are passed on, None where they have to be encoded.
    """

    def __init__(self, stream: VideoStream | AudioStream) -> None:
        self.stream = stream
        self.form = _form(stream)
        self._last = -1
        self._reordered = False
        self._decoding = self.form is None

    def is_passed(self, packet: AvPacket[Any], encode: bool) -> bool:
        """Whether this packet goes as it is. What changes, changes with a keyframe."""
        if packet.pts is not None and self.stream.type == "video":
            self._reordered = self._reordered or packet.pts < self._last  # though the container said otherwise
            self._last = packet.pts
        if (encode or self._reordered) and packet.is_keyframe:
            self._decoding = True
        return not self._decoding


class _Play:
    """One time through an open container.

    Attributes:
        what: It gives, in words.
        rate: Pictures per second as the container says, 0 if it does not.
        end: For what is played in real time: when what follows it begins (µs).
    """

    def __init__(self, source: Stream, container: InputContainer, sink: Sink, begin: int | None) -> None:
        pictures = [stream for stream in container.streams.video if stream.codec_context is not None]
        if not pictures:
            raise SourceError(f"{source.title} has no picture.", final=source.looped)
        self._source, self._container, self._sink = source, container, sink
        # What knows how long it is comes as fast as it is read: a file, also one behind a URL.
        self._paced = source.looped or container.duration is not None
        video = _Track(pictures[0])
        sounds = [stream for stream in container.streams.audio if stream.codec_context is not None][:1]
        self._tracks = {track.stream.index: track for track in (video, *map(_Track, sounds))}
        context = pictures[0].codec_context
        rate = pictures[0].average_rate or pictures[0].guessed_rate
        self.rate = float(rate) if rate else 0.0
        heard = f", {sounds[0].codec_context.codec.canonical_name}" if sounds else ""
        self.what = f"{context.width}x{context.height} {context.codec.canonical_name}{heard}"
        self._timed = self._paced or not _UNTIMED & set(container.format.name.split(","))
        # A device of the kernel dates its pictures by the clock of this computer: what it says is believed where it can be true.
        self._timeline = Timeline(0 if source.format else None)
        self._begin = begin if begin is not None else now()
        self._zero: int | None = None
        self._offset = 0  # what to add to a live stream's timestamps
        self.end = self._begin
        self._skipping: set[int] = set()  # tracks that have to wait for a keyframe

    def run(self) -> bool:
        """Returns False when the sink wants it to end, True when the container is at its end."""
        container, sink = self._container, self._sink
        try:
            for packet in container.demux([track.stream for track in self._tracks.values()]):
                if not sink.pause(0):
                    return False
                if packet.size == 0 and not self._paced:
                    continue  # the end, where a decoder would be emptied
                if not self._give(packet):
                    return False
        except av.error.EOFError:
            pass
        except (av.error.FFmpegError, OSError) as error:
            raise self._source.broken(error) from None
        self.end = max(self.end, self._begin + _SHORTEST_ROUND)
        return sink.pause((self.end - now()) / 1e6)

    def _give(self, packet: AvPacket[Any]) -> bool:
        track = self._tracks[packet.stream_index]
        video = track.stream.type == "video"
        arrived = now()
        timestamp = packet.pts if packet.pts is not None else packet.dts
        moment = self._place(timestamp, packet.duration or 0, packet.time_base, arrived, video) if packet.size else arrived
        if not self._paced and not self._sink.wanted:
            self._skipping.add(packet.stream_index)
            return True
        if packet.stream_index in self._skipping:
            if not packet.is_keyframe:
                return True
            self._skipping.discard(packet.stream_index)
            track.stream.codec_context.flush_buffers()
        if packet.size and track.is_passed(packet, self._sink.encode):
            assert track.form is not None
            if not self._wait(moment):
                return False
            self._sink.passed(Frame(track.form, bytes(packet), moment, packet.is_keyframe))
            return True
        return all(self._show(frame, video, arrived) for frame in self._decoded(packet))

    def _decoded(self, packet: AvPacket[Any]) -> Iterator[VideoFrame | AudioFrame]:
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            return  # a picture that the network has damaged; the next ones may be whole

    def _show(self, frame: VideoFrame | AudioFrame, video: bool, arrived: int) -> bool:
        moment = self._moment(frame.pts, frame.time_base, arrived)
        if not self._wait(moment):
            return False
        if not self._sink.wanted:
            return True
        if isinstance(frame, VideoFrame):
            self._sink.picture(frame, moment)
        else:
            self._sink.sound(frame, moment)
        return True

    def _place(self, timestamp: int | None, duration: int, base: Fraction | None, arrived: int, video: bool) -> int:
        """Learn from a packet, and say when it was captured."""
        if timestamp is None or base is None:
            return arrived
        at, length = _microseconds(timestamp, base), _microseconds(duration, base)
        if self._paced:
            if self._zero is None:
                self._zero = at
            late = arrived - (self._begin + at - self._zero)
            if late > _TOO_LATE:
                self._begin += late
            self.end = max(self.end, self._begin + at + length - self._zero)
        elif self._timed:
            self._offset = self._timeline.place(at if video else at + length, arrived)
        return self._moment(timestamp, base, arrived)

    def _moment(self, timestamp: int | None, base: Fraction | None, arrived: int) -> int:
        """When something was captured: for a file, when it is to be shown."""
        if timestamp is None or base is None or not self._timed:
            return arrived
        at = _microseconds(timestamp, base)
        if self._paced:
            return self._begin + at - (self._zero if self._zero is not None else at)
        return min(at + self._offset, arrived)

    def _wait(self, moment: int) -> bool:
        return not self._paced or self._sink.pause((moment - now()) / 1e6)


def _microseconds(value: int, base: Fraction) -> int:
    return value * base.numerator * 1_000_000 // base.denominator


def _form(stream: VideoStream | AudioStream) -> Form | None:
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
    return Form(codec, config)


def without_password(url: str) -> str:
    """A URL as it may stand in a log."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="...@" + parts.netloc.rpartition("@")[2]))


def device(path: str, width: int, height: int, rate: float) -> Stream:
    """A V4L2 device. Webcams give large pictures at full speed only as JPEG, so that is asked for first; then whatever there is."""
    wanted = {"video_size": f"{width}x{height}", "framerate": f"{rate:g}"}
    attempts: tuple[dict[str, str], ...] = ({**wanted, "input_format": "mjpeg"}, wanted, {"video_size": wanted["video_size"]}, {})
    return Stream(path, path, "v4l2", attempts, advice=" Is the camera plugged in? v4l2-ctl --list-devices shows what is there.")


def file(path: Path) -> Stream:
    """A file, looped."""
    return Stream(f"file:{path.resolve()}", f"the file {path}", looped=True)


def network(url: str) -> Stream:
    """A URL."""
    options = _LIVE_OPTIONS | (_RTSP_OPTIONS if url.startswith("rtsp") else {})
    return Stream(url, without_password(url), attempts=(options,))
