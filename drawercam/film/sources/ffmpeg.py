"""Sources that FFmpeg's libraries open, by PyAV: devices, streams of the network, files."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet as AvPacket
from av.video.frame import VideoFrame

from drawercam.film.encode.frame import Frame
from drawercam.film.relay.clock import now
from drawercam.media.timeline import Timeline
from drawercam.media.upright import Upright

from . import urls
from .documents import Documents
from .hanging_up import HangingUp
from .opening import Opening
from .pieces import SILENCE, Pieces, Whole, comes_in_pieces
from .source import TOO_LATE, Keyless, Sink, SourceError
from .track import Track, announced_size, contained, form_of, microseconds, rate_of

# Seconds that a stream of the network may take to open.
_OPEN_LIMIT = 10.0

READ_LIMIT = 5.0
"""Seconds that a stream of the network may take from one piece to the next; of a slow one that is
tried again, twice as many each time.
"""

_LONGEST_READ = 60.0

# Pictures after which a stream that breaks off was no slow one.
_FEW = 3

# Seconds from the beginning of one document to that of the next one in the same answer: a recorder
# that is restarted takes longer.
_SHORTEST_DOCUMENT = 0.5

# Bytes that FFmpeg looks at in any case: less is no container.
_LEAST_PROBE = 2048

# Microseconds that one round of a file lasts at least: a file of one picture would be opened
# thousands of times a second.
_SHORTEST_ROUND = 100_000

# Containers that know no times: what they say is counted, so the arrival is the better time of
# capture.
_UNTIMED = {"mpjpeg", "mjpeg", "mjpeg_2000", "image2pipe", "h264", "hevc"}

# Streams of the network that come in files of some seconds, each as fast as it is read.
_IN_PIECES = {"hls", "dash"}

BODY_OPTIONS = {"protocol_whitelist": "none"}
"""For FFmpeg, of bytes that are read here: they may be a list of files, and none of this computer
gets onto the wall because a camera names it.
"""

# Containers of which FFmpeg knows that a picture is whole when the next one begins.
_HELD = {"mpegts", "mpeg", "h264", "hevc", "mpegvideo", "m4v"}

REFUSED_PAUSE = 60.0
"""Seconds for which a camera that wants another password is left alone: many lock out a visitor who
shows a wrong one a few times.
"""

# What a device says to a size or a format that it does not have.
_DECLINED = (errno.EINVAL, errno.EIO, errno.ENOTTY)

# What a camera of the network says that does not want RTSP over TCP, besides what the protocol has
# for it (461, which becomes the first): other statuses of 400 and more, another way than the one
# that was asked for, and an end.
_NO_TCP = (errno.EPROTONOSUPPORT, errno.ECONNRESET, errno.EPIPE)
_NO_TCP_ERRORS = (
    av.error.InvalidDataError,
    av.error.EOFError,
    av.error.HTTPBadRequestError,
    av.error.HTTPOtherClientError,
    av.error.HTTPServerError,
)


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
    _read_limit: float = field(default=READ_LIMIT, init=False)

    def run(self, sink: Sink, body: Documents | None = None) -> None:
        """See Source.

        Args:
            body: Read this instead of the URL.
        """
        begin: int | None = None
        said: tuple[str, bool] | None = None
        opening = Opening(body) if body is not None else None
        while True:
            opened = now()
            connections = HangingUp(self.url)
            container, attempt = self._open(opening)
            with contextlib.closing(connections), container:
                connections.look()
                play = _Play(self, container, sink, begin, connections, opening)
                self.rate = play.rate
                only = (
                    ", over UDP, because it takes no TCP" if attempt and self.format is None else ""
                )
                if said != (what := (f"{play.what}{only}", play.sound)):
                    said = what
                    sink.opened(*what)
                failure: Exception | None = None
                try:
                    if not play.run():
                        return
                except (av.error.FFmpegError, OSError) as error:
                    failure = error
            if opening is not None and opening.again():
                continue
            said = None
            if body is not None and opening is not None and body.next():
                # Its recorder has begun again, and may have been cut off.
                opening.begin()
                if not sink.pause(_SHORTEST_DOCUMENT - (now() - opened) / 1e6):
                    return
                continue
            if failure is not None:
                raise self._broken(failure, play.pictures) from None
            if not self.looped:
                raise SourceError(f"{self.title} has ended. It is opened again.")
            begin = play.end

    def _open(self, opening: Opening | None) -> tuple[InputContainer, int]:
        """The container, and the number of the attempt that has opened it."""
        if opening is None:
            return self._try(None)
        while True:
            try:
                container, attempt = self._try(opening)
            except SourceError:
                if not opening.is_early:
                    raise
            else:
                # One that has ended early may not have come to its first picture.
                if not opening.is_early or any(
                    stream.codec_context.width
                    for stream in container.streams.video
                    if stream.codec_context
                ):
                    opening.opened(bool(_HELD & set(container.format.name.split(","))))
                    return container, attempt
                container.close()
            opening.again()

    def _try(self, opening: Opening | None) -> tuple[InputContainer, int]:
        for number, options in enumerate(self.attempts):
            began = now()
            try:
                # For the container alone: a decoder would take video_size for the size of its
                # pictures when the device gives another. Titles are of no interest, and need not be
                # UTF-8.
                limits = (
                    (_OPEN_LIMIT, self._read_limit) if opening is None else None
                )  # what reads the bytes knows how long they may take
                what: Any = opening or self.url
                if opening is not None:
                    options = {**options, **BODY_OPTIONS}
                    if opening.is_slow:
                        # Two pictures are enough, and how many there are in a second is not found
                        # out by waiting for them.
                        options |= {
                            "fpsprobesize": "0",
                            "probesize": str(max(opening.size, _LEAST_PROBE)),
                        }
                return av.open(
                    what,
                    format=self.format,
                    container_options=options,
                    metadata_errors="replace",
                    timeout=limits,
                ), number
            except (av.error.FFmpegError, OSError, ValueError) as error:
                late = now() - began >= _OPEN_LIMIT * 1e6  # which FFmpeg's RTSP calls invalid data
                if late or number == len(self.attempts) - 1 or not self._declines(error):
                    raise self._problem(TimeoutError() if late else error) from None
        raise AssertionError

    def _declines(self, error: Exception) -> bool:
        """Whether the next attempt may be to its liking."""
        number = getattr(error, "errno", 0)
        if self.format:
            return isinstance(error, av.error.InvalidDataError) or number in _DECLINED
        return isinstance(error, _NO_TCP_ERRORS) or number in _NO_TCP

    def _problem(self, error: Exception) -> SourceError:
        again = " It is tried again until it is there." if not self.looped else ""
        number = getattr(error, "errno", 0) or 0
        if isinstance(error, FileNotFoundError | av.error.HTTPNotFoundError) or number in (
            errno.ENODEV,
            errno.ENXIO,
        ):
            return SourceError(
                f"There is no {self.title.removeprefix('the ')}.{self.advice}{again}",
                final=self.looped,
            )
        if number == errno.EBUSY:
            return SourceError(
                f"{self.title} is busy: another program films with it, or it hangs; then "
                f"plug it in anew.{again}"
            )
        if self.format and number in (*_DECLINED, errno.EISDIR):
            return SourceError(
                f"{self.title} gives no picture that can be filmed; v4l2-ctl "
                f"--list-devices shows what is there.{again}"
            )
        if isinstance(error, PermissionError):
            text = (
                f"This user may not open {self.title} (with a device, this helps: sudo usermod "
                f"-aG video $USER).{again}"
            )
            return SourceError(text, final=self.looped)
        if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
            return SourceError(
                f"{self.title} {urls.refused(self.url)} It is tried again once a minute.",
                patience=REFUSED_PAUSE,
            )
        if isinstance(error, av.error.ProtocolNotFoundError):
            return SourceError(
                (
                    f"FFmpeg's libraries know no way to open {self.title}: there is no such "
                    "protocol here."
                ),
                final=True,
            )
        if isinstance(error, av.error.InvalidDataError):
            return SourceError(
                f"{self.title} gives nothing that FFmpeg's libraries can read.{again}",
                final=self.looped,
            )
        if isinstance(error, av.error.ExitError | TimeoutError):
            return SourceError(f"{self.title} does not answer in time.{again}")
        hint = f" {urls.HINT}" if urls.is_doubtful(self.url) else ""
        return SourceError(
            f"{self.title} cannot be opened: {_why(error)}.{hint}{again}", final=self.looped
        )

    def _broken(self, error: Exception, pictures: int) -> SourceError:
        """What to say when it ends by an error after so many pictures."""
        if isinstance(error, av.error.ExitError | TimeoutError):
            # One that has hardly begun may be slow.
            self._read_limit = (
                min(2 * self._read_limit, _LONGEST_READ) if pictures < _FEW else READ_LIMIT
            )
            return SourceError(f"{self.title} gives nothing any more. It is opened again.")
        return SourceError(f"{self.title} has broken off: {_why(error)}. It is opened again.")


class _Play:
    """One time through an open container.

    Attributes:
        what: It gives, in words.
        rate: Pictures per second as the container says, 0 if it does not.
        sound: It has sound.
        pictures: How many it has given.
        end: For what is played in real time: when what follows it begins (µs).
    """

    def __init__(
        self,
        source: Stream,
        container: InputContainer,
        sink: Sink,
        begin: int | None,
        connections: HangingUp,
        opening: Opening | None,
    ) -> None:
        pictures = [
            stream for stream in container.streams.video if stream.codec_context is not None
        ]
        if not pictures:
            raise SourceError(f"{source.title} has no picture.", final=source.looped)
        self._source, self._container, self._sink, self._connections = (
            source,
            container,
            sink,
            connections,
        )
        self._opening = opening
        self._is_early = opening is not None and opening.is_early
        format_names = set(container.format.name.split(","))
        # What knows how long it is comes as fast as it is read: a file, also one behind a URL. What
        # has been silent does not.
        knows_end = container.duration is not None and not (opening is not None and opening.is_slow)
        self._paced = source.looped or knows_end or bool(_IN_PIECES & format_names)
        self._upright = Upright()
        shown = (
            contained(source.url).get(pictures[0].id)
            if source.looped and "mp4" in format_names
            else None
        )
        video = Track(pictures[0], form_of(pictures[0]), shown)
        sounds = [stream for stream in container.streams.audio if stream.codec_context is not None][
            :1
        ]
        self._tracks = {
            track.stream.index: track
            for track in (video, *(Track(one, form_of(one)) for one in sounds))
        }
        context = pictures[0].codec_context
        is_rtsp = "rtsp" in format_names
        self._pieces = (
            {video.stream.index: Pieces(context)} if is_rtsp and comes_in_pieces(context) else {}
        )
        self._giving = threading.Lock()
        # A guess by the first packet alone is none.
        self.rate = float(pictures[0].average_rate or 0) if is_rtsp else rate_of(pictures[0])
        self.sound = bool(sounds)
        self.pictures = 0
        heard = f", {sounds[0].codec_context.codec.canonical_name}" if sounds else ""
        width, height = (
            (context.width, context.height) if context.width else announced_size(context)
        )
        size = f"{width}x{height} " if width else ""
        self.what = f"{size}{context.codec.canonical_name}{heard}"
        self._timed = self._paced or not _UNTIMED & format_names
        # A device of the kernel dates its pictures by the clock of this computer: what it says is
        # believed where it can be true.
        self._timeline = Timeline(0 if source.format else None)
        self._begin = begin if begin is not None else now()
        self._zero: int | None = None  # where the tracks' lines begin
        self._reached: int | None = None  # and how far they have come
        self._offset = 0  # what to add to a live stream's timestamps
        self.end = self._begin
        self._skipping: set[int] = set()  # tracks that have to wait for a keyframe

    def run(self) -> bool:
        """Returns False when the sink wants it to end, True when the container is at its end.

        Raises:
            FFmpegError, OSError: It has broken off.
        """
        sink = self._sink
        try:
            with self._looked_after() as failures:
                for packet in self._packets():
                    if not sink.pause(0):
                        return False
                    if failures:
                        raise failures[0]
                    with self._giving:
                        if not all(
                            self._give(whole, arrived) for whole, arrived in self._whole(packet)
                        ):
                            return False
        except av.error.EOFError:
            pass
        except (av.error.FFmpegError, OSError):
            if sink.pause(0):
                raise
            return False  # it has broken off because it was to end
        self.end = max(self.end, self._begin + _SHORTEST_ROUND)
        return sink.pause((self.end - now()) / 1e6)

    def _packets(self) -> Iterator[AvPacket[Any]]:
        while True:
            for packet in self._container.demux([track.stream for track in self._tracks.values()]):
                # A device's packets lie in its own memory, and so do the raw pictures in them.
                # Whoever reads that after the device was closed, as an encoder that is at work just
                # then, or only lets go of it, crashes the program.
                kept = _copied(packet) if self._source.format and packet.size else packet
                del packet  # or the traceback of a device that breaks off would keep it
                yield kept
            if self._opening is None or not self._opening.go_on():
                return

    def _whole(self, packet: AvPacket[Any]) -> Iterator[Whole]:
        """The packet, or the pictures that are whole with it; and when they arrived."""
        pieces = self._pieces.get(packet.stream_index)
        if packet.size and pieces is not None:
            yield from pieces.feed(packet, now())
            return
        if pieces is not None:
            yield from pieces.rest()
        if (
            packet.size or self._paced or self._is_early
        ):  # not the end, where a decoder would be emptied
            yield packet, now()

    @contextlib.contextmanager
    def _looked_after(self) -> Iterator[list[Exception]]:
        """Meanwhile, a thread gives pictures behind which there is silence, and hangs up when the
        sink wants an end, because this one waits for the next piece. The list is for what fails
        there.
        """
        ended = threading.Event()
        failures: list[Exception] = []

        def look() -> None:
            while not ended.wait(SILENCE / 2):
                if not self._sink.pause(0):
                    self._connections.hang_up()
                    return
                with self._giving:
                    if ended.is_set():
                        return
                    try:
                        for pieces in self._pieces.values():
                            for whole, arrived in pieces.rest(now()):
                                self._give(whole, arrived)
                    except Exception as error:
                        failures.append(error)
                        return

        looker = threading.Thread(target=look, name="film-look", daemon=True)
        if self._pieces:
            looker.start()
        try:
            yield failures
        finally:
            ended.set()
            if self._pieces:
                looker.join()

    def _give(self, packet: AvPacket[Any], arrived: int) -> bool:
        track = self._tracks[packet.stream_index]
        self.pictures += track.is_video
        track.step = microseconds(packet.duration or None, packet.time_base) or track.step
        timestamp = packet.pts if packet.pts is not None else packet.dts
        if not self._paced:
            self._learn(track, timestamp, packet.time_base, arrived)
            if not self._sink.wanted:
                self._skipping.add(packet.stream_index)
                return True
        if packet.stream_index in self._skipping:
            # A decoder needs a keyframe, as far as there are any. What is passed on is looked at
            # where it is sent (stream_writer.py).
            if track.is_decoding and not packet.is_keyframe and not self._sink.keyless:
                return True
            self._skipping.discard(packet.stream_index)
            track.stream.codec_context.flush_buffers()
        if packet.size and track.is_passed(packet, self._sink):
            assert track.form is not None
            tried = list(self._decoded(packet)) if track.is_tried(self._sink) else []
            if tried and self._sink.keyless >= Keyless.ENCODE:
                track.decode_on()
                return all(self._show(track, frame, arrived) for frame in tried)
            data = bytes(packet)
            if self._is_repeated(track, data):
                return True
            moment = self._moment(track, timestamp, packet.time_base, arrived)
            if not self._wait(moment):
                return False
            self._sink.passed(Frame(track.form, data, moment, packet.is_keyframe))
            return True
        return all(self._show(track, frame, arrived) for frame in self._decoded(packet))

    def _decoded(self, packet: AvPacket[Any]) -> Iterator[VideoFrame | AudioFrame]:
        self._tracks[packet.stream_index].ask(packet)
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            return  # a picture that the network has damaged; the next ones may be whole

    def _show(self, track: Track, frame: VideoFrame | AudioFrame, arrived: int) -> bool:
        at = track.time_of(frame)
        if self._sink.wanted and self._is_repeated(track, b""):
            return True
        moment = self._moment(track, at, frame.time_base, arrived)
        if not self._wait(moment):
            return False
        if not self._sink.wanted:
            return True
        if isinstance(frame, VideoFrame):
            self._sink.picture(track.seen(frame, self._upright), moment)
        else:
            self._sink.sound(frame, moment)
        return True

    def _is_repeated(self, track: Track, data: bytes) -> bool:
        """Whether what is to be given was given when the same bytes were opened before."""
        return self._opening is not None and self._opening.repeated[track.is_video].is_repeated(
            data, self._is_early
        )

    def _learn(
        self, track: Track, timestamp: int | None, base: Fraction | None, arrived: int
    ) -> None:
        """Where a live stream's timestamps lie on this computer's clock.

        Sound is there when it is over.
        """
        if self._timed and timestamp is not None:
            at = self._reached = track.place(timestamp, base, self._reached)
            self._offset = self._timeline.place(at if track.is_video else at + track.step, arrived)

    def _moment(
        self, track: Track, timestamp: int | None, base: Fraction | None, arrived: int
    ) -> int:
        """When something was captured: for what is played in real time, when it is to be shown."""
        if self._paced:
            at = self._reached = track.place(timestamp, base, self._reached)
            self._zero = at if self._zero is None else self._zero
            moment = self._begin + at - self._zero
            if arrived - moment > TOO_LATE:
                self._begin += arrived - moment
                moment = arrived
            self.end = max(self.end, moment + track.step)
            return moment
        if timestamp is None or not self._timed:
            return arrived
        return min(track.place(timestamp, base, self._reached) + self._offset, arrived)

    def _wait(self, moment: int) -> bool:
        return not self._paced or self._sink.pause((moment - now()) / 1e6)


def _copied(packet: AvPacket[Any]) -> AvPacket[Any]:
    copy: AvPacket[Any] = AvPacket(
        packet.size
    )  # with the room behind it that decoders need, which AvPacket(bytes) has not
    copy.update(bytes(packet))
    copy.stream = packet.stream
    copy.time_base, copy.pts, copy.dts, copy.duration = (
        packet.time_base,
        packet.pts,
        packet.dts,
        packet.duration,
    )
    copy.is_keyframe, copy.is_corrupt = packet.is_keyframe, packet.is_corrupt
    return copy


def _why(error: Exception) -> str:
    """The reason in words, without the name of what was opened, in which a password may stand."""
    return getattr(error, "strerror", None) or type(error).__name__


def device(path: str, width: int, height: int, rate: float) -> Stream:
    """A V4L2 device.

    Webcams give large pictures at full speed only as JPEG, so that is asked for first; then
    whatever there is.
    """
    wanted = {"video_size": f"{width}x{height}", "framerate": f"{rate:g}"}
    attempts: tuple[dict[str, str], ...] = (
        {**wanted, "input_format": "mjpeg"},
        wanted,
        {"video_size": wanted["video_size"]},
        {},
    )
    return Stream(
        path,
        path,
        "v4l2",
        attempts,
        advice=" Is the camera plugged in? v4l2-ctl --list-devices shows what is there.",
    )


def file(path: Path) -> Stream:
    """A file, looped."""
    return Stream(f"file:{path.resolve()}", f"the file {path}", looped=True)
