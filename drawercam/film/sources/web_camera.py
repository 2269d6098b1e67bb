"""Cameras behind http:// and https://: JPEGs behind one another, or a still at a time; all else is
left to FFmpeg's libraries.
"""

from __future__ import annotations

import io
import os
import socket
from typing import Any

import aiohttp
import av
import av.error
from av.packet import Packet as AvPacket
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from drawercam.film.relay.clock import now
from drawercam.media.upright import Upright, turn_of

from . import urls
from .documents import Documents
from .ffmpeg import BODY_OPTIONS, READ_LIMIT, REFUSED_PAUSE, Stream
from .jpegs import JpegSplitter
from .opening import QUIET, Silent
from .source import Sink, SourceError
from .track import MAX_PIXELS
from .web_reading import Stopped, WebReader

# Seconds from one question for a still to the next: few such cameras make more than a picture a
# second, and their processors are small.
_STILL_INTERVAL = 1.0

# Seconds between two looks whether somebody wants stills again.
_LOOK = 0.1

# Seconds up to the first picture, and up to the second, with which it becomes known how slow the
# camera is. After that, so many of its longest intervals, but READ_LIMIT at least.
_FIRST_LIMIT = 15.0
_SECOND_LIMIT = 60.0
_MOST_INTERVALS = 3

# Bytes of a still at most, where it is no JPEG.
_MAX_STILL = 32 * 2**20

# Bytes after which it is clear what an answer without a telling type is.
_ENOUGH = 64

# Media types of JPEG. Cameras give them to pictures behind one another, too.
_JPEG = frozenset(
    (
        "image/jpeg",
        "image/jpg",
        "image/pjpeg",
        "video/x-motion-jpeg",
        "video/x-mjpeg",
        "video/mjpeg",
    )
)

# How pictures behind one another begin, with and without a boundary before the first.
_JPEG_BEGINS = (b"\xff\xd8\xff", b"--", b"Content-", b"content-")

# How playlists begin (HLS, DASH and others): FFmpeg has to ask for what is in them.
_LIST_BEGINS = (b"#EXTM3U", b"<", b"\xef\xbb\xbf", b"[playlist]")


class WebCamera:
    """A camera whose web server is asked.

    Attributes:
        title, rate: See source.Source.
    """

    def __init__(self, url: str, rest: Stream) -> None:
        """
        Args:
            rest: The same for FFmpeg's libraries.
        """
        self.title = rest.title
        self.rate = 0.0
        self._url = url
        self._rest = rest
        self._one_part = False  # the last answer in parts had a single one

    def run(self, sink: Sink) -> None:
        """See source.Source."""

        def goes_on() -> bool:
            sink.stands()
            return sink.pause(0)

        try:
            reader = WebReader(self._url, goes_on)
        except ValueError:  # no host that can be asked for; FFmpeg says so
            self._rest.run(sink)
            return
        try:
            with reader:
                head = self._ask(reader)
                if head is not None and self._film(reader, head, sink):
                    return
        except Stopped:
            return
        self._rest.run(sink)

    def _ask(self, reader: WebReader) -> bytes | None:
        """The first bytes of the answer; None where there is none that HTTP knows: FFmpeg may
        understand it all the same.
        """
        again = "It is tried again until it is there."
        try:
            reader.get()
            if reader.status in (401, 403):
                text = f"{self.title} {urls.refused(self._url)} It is tried again once a minute."
                raise SourceError(text, patience=REFUSED_PAUSE)
            if reader.status in (404, 410):
                raise SourceError(f"There is nothing of this name at {self.title}. {again}")
            if reader.status >= 400:
                raise SourceError(
                    f"{self.title} gives no picture now (status {reader.status}). {again}"
                )
            head = b""
            if not _is_of_pictures(reader):
                while len(head) < _ENOUGH and (piece := reader.read(_FIRST_LIMIT)):
                    head += piece
            return head
        except TimeoutError:
            raise SourceError(f"{self.title} does not answer in time. {again}") from None
        except aiohttp.ClientConnectorError as error:
            raise SourceError(
                f"{self.title} cannot be opened: {_why(error.os_error)}. {again}"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError):
            return None

    def _film(self, reader: WebReader, head: bytes, sink: Sink) -> bool:
        """Film what is answered; returns False where FFmpeg has to ask by itself."""
        begin = head.lstrip()
        try:
            if _is_of_pictures(reader) or begin.startswith(_JPEG_BEGINS):
                self._show_all(reader, head, sink)
            elif reader.length is not None or begin.startswith(_LIST_BEGINS):
                return False  # a file, in which it goes to and fro, or a list of addresses
            else:
                self._rest.run(sink, Documents(_Body(reader, head)))
        except TimeoutError:
            raise SourceError(f"{self.title} gives nothing any more. It is opened again.") from None
        except (aiohttp.ClientError, OSError) as error:
            why = getattr(error, "strerror", None) or "the connection was closed"
            raise SourceError(f"{self.title} has broken off: {why}. It is opened again.") from None
        return True

    def _show_all(self, reader: WebReader, head: bytes, sink: Sink) -> None:
        """Film pictures; where an answer is a single one, ask for the next."""
        is_still = not reader.kind.startswith("multipart/") and reader.length is not None
        self.rate = 1 / _STILL_INTERVAL if is_still else 0.0
        screen = _Screen(self.title, sink)
        while True:
            asked = now()
            if reader.kind.startswith("image/") and reader.kind not in _JPEG:
                count = self._show_still(reader, screen)
            else:
                count = self._show_jpegs(reader, head, screen)
            single = count == 1 and (self._one_part or not reader.kind.startswith("multipart/"))
            self._one_part = count == 1  # twice is no accident
            if not (single or (count and is_still)):
                raise SourceError(f"{self.title} has ended. It is opened again.")
            wait = _STILL_INTERVAL - (now() - asked) / 1e6
            while wait > 0 or not sink.wanted:
                if not sink.pause(max(wait, _LOOK)):
                    return
                wait = 0
            head = self._ask(reader) or b""

    def _show_jpegs(self, reader: WebReader, head: bytes, screen: _Screen) -> int:
        """Show JPEGs to the end of the answer; returns how many there were."""
        splitter = JpegSplitter()
        count, begun = 0, now()
        while piece := head or reader.read(screen.patience.left()):
            head = b""
            arrived = now()
            before = begun if splitter.begun else arrived
            try:
                pictures = splitter.feed(piece)
            except ValueError as error:
                raise SourceError(
                    f"{self.title} gives no pictures that can be filmed: {error}. It is "
                    "opened again."
                ) from None
            for number, picture in enumerate(pictures):
                screen.show(picture, arrived if number else before)
            begun = arrived if pictures else before
            count += len(pictures)
        if rest := splitter.rest():
            screen.show(rest, begun)
            count += 1
        return count

    def _show_still(self, reader: WebReader, screen: _Screen) -> int:
        """Show a picture of another kind, such as PNG."""
        body, begun = bytearray(), now()
        while piece := reader.read(screen.patience.left()):
            body += piece
            if len(body) > _MAX_STILL:
                raise SourceError(
                    f"{self.title} gives a picture of more than {_MAX_STILL} bytes. It is "
                    "tried again until it is smaller."
                )
        screen.show_file(bytes(body), begun)
        return 1


def _why(error: OSError) -> str:
    """The system's word for it, without the address that asyncio adds."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or "there is no way to it"
    return os.strerror(error.errno)


def _is_of_pictures(reader: WebReader) -> bool:
    """Whether the type of an answer says that pictures are in it."""
    return reader.kind.startswith(("multipart/", "image/")) or reader.kind in _JPEG


class _Patience:
    """For how long a camera may give nothing."""

    def __init__(self) -> None:
        self._seen = now()  # when something was counted last
        self._count = 0
        self._longest = 0  # µs between two

    def elapsed(self) -> float:
        """Seconds since something was counted last."""
        return (now() - self._seen) / 1e6

    def left(self) -> float:
        """Seconds that the next thing may take."""
        limit = (
            _FIRST_LIMIT
            if not self._count
            else _SECOND_LIMIT
            if self._count == 1
            else self._longest * _MOST_INTERVALS / 1e6
        )
        return max(limit, READ_LIMIT) - self.elapsed()

    def count(self) -> None:
        """A picture has come, or bytes after some time without."""
        moment = now()
        if self._count:
            self._longest = max(self._longest, moment - self._seen)
        self._seen = moment
        self._count += 1


class _Screen:
    """Decodes pictures and gives them on, each by itself."""

    def __init__(self, title: str, sink: Sink) -> None:
        self._title = title
        self._sink = sink
        self._decoder: VideoCodecContext = av.CodecContext.create("mjpeg", "r")
        self._decoder.thread_count = 1  # more of them would keep pictures back
        self._decoder.options = {"max_pixels": str(MAX_PIXELS)}
        self._upright = Upright()
        self._opened = False
        self.patience = _Patience()

    def show(self, jpeg: bytes, captured: int) -> None:
        """A JPEG; captured: µs. One that is damaged is left out."""
        if not self._sink.wanted:
            self.patience.count()
            return
        packet: AvPacket[Any] = AvPacket(
            len(jpeg)
        )  # with the room behind it that decoders need, which AvPacket(bytes) has not
        packet.update(jpeg)
        try:
            pictures = self._decoder.decode(packet)
        except av.error.FFmpegError:
            return
        for picture in pictures:
            self._give(picture, captured)

    def show_file(self, body: bytes, captured: int) -> None:
        """
        Raises:
            SourceError: It is no picture.
        """
        try:
            with av.open(
                io.BytesIO(body), "r", container_options=BODY_OPTIONS, metadata_errors="replace"
            ) as container:
                container.streams.video[0].codec_context.options = {"max_pixels": str(MAX_PIXELS)}
                picture = next(container.decode(video=0))
        except (av.error.FFmpegError, IndexError, StopIteration, ValueError):
            text = (
                f"{self._title} gives nothing that FFmpeg's libraries can read. It is tried "
                "again until it does."
            )
            raise SourceError(text) from None
        if self._sink.wanted:
            self._give(picture, captured)

    def _give(self, picture: VideoFrame, captured: int) -> None:
        self.patience.count()
        if not self._opened:
            self._opened = True
            self._sink.opened(f"{picture.width}x{picture.height}, pictures", sound=False)
        self._sink.picture(self._upright.seen(picture, turn_of(picture)), captured)


class _Body:
    """What is left of an answer, as FFmpeg reads it."""

    def __init__(self, reader: WebReader, head: bytes) -> None:
        self._reader = reader
        self._left = head
        self._patience = _Patience()
        self._patience.count()

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end.

        Raises:
            Silent: None have come for a while.
            TimeoutError, aiohttp.ClientError, OSError: As `WebReader.read`.
        """
        piece = self._left or self._next()
        self._left = piece[size:]
        return piece[:size]

    def _next(self) -> bytes:
        try:
            piece = self._reader.read(min(QUIET, self._patience.left()))
        except Stopped:
            return b""
        except TimeoutError:
            if self._patience.left() <= 0:
                raise
            raise Silent from None
        if self._patience.elapsed() >= QUIET:
            self._patience.count()
        return piece
