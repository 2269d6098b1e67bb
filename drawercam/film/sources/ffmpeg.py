"""Sources that FFmpeg's libraries open, by PyAV: devices, streams of the network, files."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import InputContainer
from av.packet import Packet as AvPacket
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from drawercam.film.encode.frame import Form, Frame
from drawercam.film.relay.clock import now
from drawercam.media.codecs.h264 import AccessUnits, split_annexb
from drawercam.media.codecs.h264_sets import picture_size
from drawercam.media.codecs.unpack import Unpacked, Unpacker, unpacker
from drawercam.media.color import UNSPECIFIED, ColorSpace, from_codes
from drawercam.media.containers import mp4_tracks
from drawercam.media.geometry import Geometry
from drawercam.media.packets import Codec, MediaError
from drawercam.media.timeline import Timeline
from drawercam.media.upright import Upright, turn_of

from . import urls
from .documents import Documents
from .hanging_up import HangingUp
from .opening import Opening
from .pieces import SILENCE, Pieces, Whole, comes_in_pieces
from .source import TOO_LATE, Keyless, Sink, SourceError

# Seconds that a stream of the network may take to open.
_OPEN_LIMIT = 10.0

READ_LIMIT = 5.0
"""Seconds that a stream of the network may take from one piece to the next; of a slow one that is tried again, twice as many each time."""

_LONGEST_READ = 60.0

# Pictures after which a stream that breaks off was no slow one.
_FEW = 3

# Microseconds by which timestamps may go back, because pictures are reordered, and forward, because a picture stands. What goes further is
# a cut: of files laid one behind the other, of a camera whose clock was set. It goes on there as if there were none.
_BACK = 1_000_000
_FORWARD = 60_000_000

# Seconds from the beginning of one document to that of the next one in the same answer: a recorder that is restarted takes longer.
_SHORTEST_DOCUMENT = 0.5

# Bytes that FFmpeg looks at in any case: less is no container.
_LEAST_PROBE = 2048

# Microseconds that one round of a file lasts at least: a file of one picture would be opened thousands of times a second.
_SHORTEST_ROUND = 100_000

# Containers that know no times: what they say is counted, so the arrival is the better time of capture.
_UNTIMED = {"mpjpeg", "mjpeg", "mjpeg_2000", "image2pipe", "h264", "hevc"}

# Streams of the network that come in files of some seconds, each as fast as it is read.
_IN_PIECES = {"hls", "dash"}

BODY_OPTIONS = {"protocol_whitelist": "none"}
"""For FFmpeg, of bytes that are read here: they may be a list of files, and none of this computer gets onto the wall because a camera
names it."""

MAX_PIXELS = 2**26
"""Pixels of a picture at most: 8192x8192, half a gigabyte for an encoder. FFmpeg's own limit is four times as much, and a few kilobytes of
PNG have as many."""

_CODECS = {"h264": Codec.H264, "vp8": Codec.VP8, "vp9": Codec.VP9, "av1": Codec.AV1, "opus": Codec.OPUS, "aac": Codec.AAC}

# Codecs whose keyframes say in which size they are shown (the scales of RFC 6386 9.1, the render size of VP9 and AV1), which FFmpeg's
# decoders do not tell.
_WITH_SIZES = (Codec.VP8, Codec.VP9, Codec.AV1)

# Codecs whose pictures have square pixels, whatever they say: what JPEGs have for it is a printer's resolution, which browsers ignore.
_SQUARE = {"mjpeg"}

# Pixel formats of pictures that every player decodes: 8 bits, 4:2:0.
_PLAYABLE = {None, "yuv420p", "yuvj420p"}

# What FFmpeg is told for streams of the network: half a second to find out what is in there. (Not `nobuffer`, which throws away what was
# read for that: the first keyframe, up to the next one.)
_LIVE_OPTIONS = {"analyzeduration": "500000"}

# Containers of which FFmpeg knows that a picture is whole when the next one begins.
_HELD = {"mpegts", "mpeg", "h264", "hevc", "mpegvideo", "m4v"}

# RTSP says beforehand what is in there, so the first packet is enough (32 bytes are the least that FFmpeg takes); half a second would be
# many seconds of a slow camera. `noparse`: see pieces.py. TCP loses nothing; some cameras have only UDP.
_RTSP_OPTIONS = {"probesize": "32", "fflags": "noparse", "rtsp_transport": "tcp"}
_RTSP_ATTEMPTS = (_RTSP_OPTIONS, {**_RTSP_OPTIONS, "rtsp_transport": "udp"})

REFUSED_PAUSE = 60.0
"""Seconds for which a camera that wants another password is left alone: many lock out a visitor who shows a wrong one a few times."""

# What a device says to a size or a format that it does not have.
_DECLINED = (errno.EINVAL, errno.EIO, errno.ENOTTY)

# What a camera of the network says that does not want RTSP over TCP, besides what the protocol has for it (461, which becomes the first):
# other statuses of 400 and more, another way than the one that was asked for, and an end.
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
                only = ", over UDP, because it takes no TCP" if attempt and self.format is None else ""
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
                if not opening.is_early or any(stream.codec_context.width for stream in container.streams.video if stream.codec_context):
                    opening.opened(bool(_HELD & set(container.format.name.split(","))))
                    return container, attempt
                container.close()
            opening.again()

    def _try(self, opening: Opening | None) -> tuple[InputContainer, int]:
        for number, options in enumerate(self.attempts):
            began = now()
            try:
                # For the container alone: a decoder would take video_size for the size of its pictures when the device gives another.
                # Titles are of no interest, and need not be UTF-8.
                limits = (_OPEN_LIMIT, self._read_limit) if opening is None else None  # what reads the bytes knows how long they may take
                what: Any = opening or self.url
                if opening is not None:
                    options = {**options, **BODY_OPTIONS}
                    if opening.is_slow:
                        # Two pictures are enough, and how many there are in a second is not found out by waiting for them.
                        options |= {"fpsprobesize": "0", "probesize": str(max(opening.size, _LEAST_PROBE))}
                return av.open(what, format=self.format, container_options=options, metadata_errors="replace", timeout=limits), number
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
        if isinstance(error, FileNotFoundError | av.error.HTTPNotFoundError) or number in (errno.ENODEV, errno.ENXIO):
            return SourceError(f"There is no {self.title.removeprefix('the ')}.{self.advice}{again}", final=self.looped)
        if number == errno.EBUSY:
            return SourceError(f"{self.title} is busy: another program films with it, or it hangs; then plug it in anew.{again}")
        if self.format and number in (*_DECLINED, errno.EISDIR):
            return SourceError(f"{self.title} gives no picture that can be filmed; v4l2-ctl --list-devices shows what is there.{again}")
        if isinstance(error, PermissionError):
            text = f"This user may not open {self.title} (with a device, this helps: sudo usermod -aG video $USER).{again}"
            return SourceError(text, final=self.looped)
        if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
            return SourceError(f"{self.title} {urls.refused(self.url)} It is tried again once a minute.", patience=REFUSED_PAUSE)
        if isinstance(error, av.error.ProtocolNotFoundError):
            return SourceError(f"FFmpeg's libraries know no way to open {self.title}: there is no such protocol here.", final=True)
        if isinstance(error, av.error.InvalidDataError):
            return SourceError(f"{self.title} gives nothing that FFmpeg's libraries can read.{again}", final=self.looped)
        if isinstance(error, av.error.ExitError | TimeoutError):
            return SourceError(f"{self.title} does not answer in time.{again}")
        hint = f" {urls.HINT}" if urls.is_doubtful(self.url) else ""
        return SourceError(f"{self.title} cannot be opened: {_why(error)}.{hint}{again}", final=self.looped)

    def _broken(self, error: Exception, pictures: int) -> SourceError:
        """What to say when it ends by an error after so many pictures."""
        if isinstance(error, av.error.ExitError | TimeoutError):
            # One that has hardly begun may be slow.
            self._read_limit = min(2 * self._read_limit, _LONGEST_READ) if pictures < _FEW else READ_LIMIT
            return SourceError(f"{self.title} gives nothing any more. It is opened again.")
        return SourceError(f"{self.title} has broken off: {_why(error)}. It is opened again.")


class _Track:
    """One stream of an open container.

    Attributes:
        form: How its packets are passed on, None where they have to be encoded.
        is_video: It has pictures.
        is_decoding: Its packets are not passed on now.
        step: How long one of its packets lasts (µs), as well as that is known.
    """

    def __init__(self, stream: VideoStream | AudioStream, form: Form | None, contained: Geometry | None = None) -> None:
        """
        Args:
            contained: How its container shows its pictures, where that is known better than FFmpeg's libraries do.
        """
        self.stream = stream
        self._contained = contained
        self._said: float | None = None  # what keyframes say of their pixels (width by height) that decoders do not tell
        self._keys: Unpacker | None = None
        codec = _CODECS.get(stream.codec_context.codec.canonical_name)
        if codec in _WITH_SIZES:
            with contextlib.suppress(MediaError):
                self._keys = unpacker(codec, bytes(stream.codec_context.extradata or b""))
        if isinstance(stream, VideoStream):
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        self.form = form
        self.is_video = isinstance(stream, VideoStream)
        self.step = round(1_000_000 / _rate(stream)) if isinstance(stream, VideoStream) and _rate(stream) else 0
        self.is_decoding = self.form is None
        self._unseen = self.is_video and form is not None
        self._tried = False
        self._reordered = False  # packets do not come in the order of their pictures, though the container said so
        self._passed: int | None = None
        self._misdated = False  # the container has not reckoned with the pictures' order
        self._shown: int | None = None
        self._next: int | None = None  # where its line goes on (µs)
        self._shift = 0  # what the cuts have added to its timestamps (µs)

    def is_passed(self, packet: AvPacket[Any], sink: Sink) -> bool:
        """Whether this packet goes as it is. What changes, changes with a keyframe."""
        at = _microseconds(packet.pts, packet.time_base)
        if self.is_video and at is not None:
            self._reordered = self._reordered or _goes_back(self._passed, at)
            self._passed = at
        if self._unseen and packet.is_keyframe:
            self._look_at(packet)
        if self.form is not None and packet.is_keyframe:
            if sink.keyless and self._is_beginning(packet):
                sink.key_found()
            passes = sink.passes(self.form.codec) and not self._reordered and not (sink.keyless and self.is_decoding)
            if not passes and not self.is_decoding:
                self.stream.codec_context.flush_buffers()  # of what it may have decoded long ago
            self.is_decoding = not passes
        return not self.is_decoding

    def is_tried(self, sink: Sink) -> bool:
        """Whether what is passed on is decoded, too, because players do not find where to begin."""
        tried = sink.keyless > Keyless.NO and self.form is not None and self.form.codec is Codec.H264
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
        """Whether players can begin at a picture. FFmpeg says so of all with a recovery point (ITU-T H.264 D.2.8), too."""
        if self.form is None or self.form.codec is not Codec.H264:
            return True
        unpacked = _unpacked(self.form, packet)
        return unpacked is not None and unpacked[2]

    def _look_at(self, packet: AvPacket[Any]) -> None:
        """Decode the first keyframe: only a decoder is told how its pictures are turned, and sometimes what pictures they are."""
        assert isinstance(self.stream, VideoStream)
        self._unseen = False
        context = self.stream.codec_context
        pictures: list[VideoFrame] = []
        with contextlib.suppress(av.error.FFmpegError):
            pictures = [*context.decode(packet), *context.decode(None)]
        context.flush_buffers()
        self.form = _form(self.stream)
        if self.form is not None and pictures:
            shown = self._geometry(pictures[0])
            unpacked = _unpacked(self.form, packet) if self.form.codec is Codec.H264 else None
            if unpacked and (track := unpacked[0]) and (track.rotation or track.flip):
                shown = replace(shown, rotation=0, flip=False)  # the stream says it by itself, and may say another turn later
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
                across, down = track.display_width * track.height, track.display_height * track.width
                self._said = across / down if down else None

    def _geometry(self, picture: VideoFrame) -> Geometry:
        """How a picture is shown. What it says itself of its pixels counts more than its container."""
        assert isinstance(self.stream, VideoStream)
        turn = turn_of(picture)
        context = self.stream.codec_context
        if context.codec.canonical_name in _SQUARE:
            return turn
        said = self._said or float(context.sample_aspect_ratio or 1)
        if said == 1 and self._contained is not None:
            return replace(turn, pixel_aspect=self._contained.pixel_aspect)
        return replace(turn, pixel_aspect=turn.pixel_aspect * (said if said != 1 else float(self.stream.sample_aspect_ratio or 1)))

    def time_of(self, frame: VideoFrame | AudioFrame) -> int | None:
        """Of a decoded frame, in its own units. Decoders give pictures in their order; where the container's times do not rise with
        them, as in AVI, those of decoding do."""
        at = _microseconds(frame.pts, frame.time_base)
        if self.is_video and at is not None:
            self._misdated = self._misdated or _goes_back(self._shown, at)
            self._shown = at
        return frame.dts if self._misdated else frame.pts

    def place(self, timestamp: int | None, base: Fraction | None, begin: int | None) -> int:
        """Where something lies on this track's line, which goes on over cuts, and counts where no time is said (µs).

        Args:
            begin: Where the line begins if the timestamp lies nowhere near; None for the timestamp itself.
        """
        due = self._next if self._next is not None else begin
        at = _microseconds(timestamp, base)
        if at is None:
            at = due or 0
        elif due is not None and not due - _BACK <= at + self._shift <= due + _FORWARD:
            self._shift, at = due - at, due
        else:
            at += self._shift
        self._next = at + self.step
        return at


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
        pictures = [stream for stream in container.streams.video if stream.codec_context is not None]
        if not pictures:
            raise SourceError(f"{source.title} has no picture.", final=source.looped)
        self._source, self._container, self._sink, self._connections = source, container, sink, connections
        self._opening = opening
        self._is_early = opening is not None and opening.is_early
        format_names = set(container.format.name.split(","))
        # What knows how long it is comes as fast as it is read: a file, also one behind a URL. What has been silent does not.
        knows_end = container.duration is not None and not (opening is not None and opening.is_slow)
        self._paced = source.looped or knows_end or bool(_IN_PIECES & format_names)
        self._upright = Upright()
        contained = _contained(source.url).get(pictures[0].id) if source.looped and "mp4" in format_names else None
        video = _Track(pictures[0], _form(pictures[0]), contained)
        sounds = [stream for stream in container.streams.audio if stream.codec_context is not None][:1]
        self._tracks = {track.stream.index: track for track in (video, *(_Track(one, _form(one)) for one in sounds))}
        context = pictures[0].codec_context
        is_rtsp = "rtsp" in format_names
        self._pieces = {video.stream.index: Pieces(context)} if is_rtsp and comes_in_pieces(context) else {}
        self._giving = threading.Lock()
        # A guess by the first packet alone is none.
        self.rate = float(pictures[0].average_rate or 0) if is_rtsp else _rate(pictures[0])
        self.sound = bool(sounds)
        self.pictures = 0
        heard = f", {sounds[0].codec_context.codec.canonical_name}" if sounds else ""
        width, height = (context.width, context.height) if context.width else _announced_size(context)
        size = f"{width}x{height} " if width else ""
        self.what = f"{size}{context.codec.canonical_name}{heard}"
        self._timed = self._paced or not _UNTIMED & format_names
        # A device of the kernel dates its pictures by the clock of this computer: what it says is believed where it can be true.
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
                        if not all(self._give(whole, arrived) for whole, arrived in self._whole(packet)):
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
                # A device's packets lie in its own memory, and so do the raw pictures in them. Whoever reads that after the device was
                # closed, as an encoder that is at work just then, or only lets go of it, crashes the program.
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
        if packet.size or self._paced or self._is_early:  # not the end, where a decoder would be emptied
            yield packet, now()

    @contextlib.contextmanager
    def _looked_after(self) -> Iterator[list[Exception]]:
        """Meanwhile, a thread gives pictures behind which there is silence, and hangs up when the sink wants an end, because this one waits
        for the next piece. The list is for what fails there."""
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
        track.step = _microseconds(packet.duration or None, packet.time_base) or track.step
        timestamp = packet.pts if packet.pts is not None else packet.dts
        if not self._paced:
            self._learn(track, timestamp, packet.time_base, arrived)
            if not self._sink.wanted:
                self._skipping.add(packet.stream_index)
                return True
        if packet.stream_index in self._skipping:
            # A decoder needs a keyframe, as far as there are any. What is passed on is looked at where it is sent (stream_writer.py).
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

    def _show(self, track: _Track, frame: VideoFrame | AudioFrame, arrived: int) -> bool:
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

    def _is_repeated(self, track: _Track, data: bytes) -> bool:
        """Whether what is to be given was given when the same bytes were opened before."""
        return self._opening is not None and self._opening.repeated[track.is_video].is_repeated(data, self._is_early)

    def _learn(self, track: _Track, timestamp: int | None, base: Fraction | None, arrived: int) -> None:
        """Where a live stream's timestamps lie on this computer's clock. Sound is there when it is over."""
        if self._timed and timestamp is not None:
            at = self._reached = track.place(timestamp, base, self._reached)
            self._offset = self._timeline.place(at if track.is_video else at + track.step, arrived)

    def _moment(self, track: _Track, timestamp: int | None, base: Fraction | None, arrived: int) -> int:
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
    copy: AvPacket[Any] = AvPacket(packet.size)  # with the room behind it that decoders need, which AvPacket(bytes) has not
    copy.update(bytes(packet))
    copy.stream = packet.stream
    copy.time_base, copy.pts, copy.dts, copy.duration = packet.time_base, packet.pts, packet.dts, packet.duration
    copy.is_keyframe, copy.is_corrupt = packet.is_keyframe, packet.is_corrupt
    return copy


def _unpacked(form: Form, packet: AvPacket[Any]) -> Unpacked | None:
    """A picture of H.264 by itself; None if it is broken."""
    try:
        return AccessUnits(form.config).unpack(bytes(packet))
    except MediaError:
        return None


def _announced_size(context: VideoCodecContext) -> tuple[int, int]:
    """The size of H.264 pictures of which only the parameter sets are known."""
    with contextlib.suppress(MediaError):
        for unit in split_annexb(bytes(context.extradata or b"")):
            if unit[0] & 0x1F == 7:
                return picture_size(unit)
    return 0, 0


def _rate(stream: VideoStream) -> float:
    return float(stream.average_rate or stream.guessed_rate or 0)


def _contained(url: str) -> dict[int, Geometry]:
    """How an MP4 file shows the pictures of its tracks: FFmpeg's libraries do not reckon with what it crops."""
    try:
        with Path(url.removeprefix("file:")).open("rb") as file:
            return mp4_tracks.geometries(file)
    except OSError:
        return {}


def _goes_back(before: int | None, at: int) -> bool:
    """Whether pictures come in another order than they are shown in; a cut is something else."""
    return before is not None and 0 < before - at < _BACK


def _microseconds(value: int | None, base: Fraction | None) -> int | None:
    return None if value is None or base is None else value * base.numerator * 1_000_000 // base.denominator


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
    return Form(codec, config, color=_color(stream.codec_context))


def _color(context: VideoCodecContext) -> ColorSpace | None:
    """What the container or the stream says of the colours of a track that is passed on."""
    full_range = {1: False, 2: True}.get(context.color_range)  # AVColorRange
    matrix = context.colorspace or UNSPECIFIED  # what is passed on has 4:2:0, so it is no RGB
    return from_codes(context.color_primaries, context.color_trc, matrix, full_range)


def _why(error: Exception) -> str:
    """The reason in words, without the name of what was opened, in which a password may stand."""
    return getattr(error, "strerror", None) or type(error).__name__


def device(path: str, width: int, height: int, rate: float) -> Stream:
    """A V4L2 device. Webcams give large pictures at full speed only as JPEG, so that is asked for first; then whatever there is."""
    wanted = {"video_size": f"{width}x{height}", "framerate": f"{rate:g}"}
    attempts: tuple[dict[str, str], ...] = ({**wanted, "input_format": "mjpeg"}, wanted, {"video_size": wanted["video_size"]}, {})
    return Stream(path, path, "v4l2", attempts, advice=" Is the camera plugged in? v4l2-ctl --list-devices shows what is there.")


def file(path: Path) -> Stream:
    """A file, looped."""
    return Stream(f"file:{path.resolve()}", f"the file {path}", looped=True)


def network(url: str) -> Stream:
    """A URL that FFmpeg opens.

    Raises:
        ValueError: It is none (urls.check).
    """
    urls.check(url)
    attempts = _RTSP_ATTEMPTS if url.startswith("rtsp:") else (_RTSP_OPTIONS,) if url.startswith("rtsps:") else (_LIVE_OPTIONS,)
    return Stream(url, urls.shown(url), attempts=attempts)
