"""The program that decodes one camera's pictures: `python -m drawercam.snapshots.worker_process`,
started by worker.py.

What a camera sends may be made to break a decoder. So nothing is decoded in the relay but here, in
a process that holds no secret, opens no file and no connection, and has limits that the system
keeps: memory, and computing time for each message. If it breaks, one camera's pictures are late.

It reads messages from its standard input and writes answers to its standard output. Each one is a
length (4 bytes, big-endian, of what follows), a letter, and what belongs to it, all numbers
big-endian:

    T  codec (4 letters, filled up with spaces), rotation (2), flip (1), width of a pixel by its
       height (8, a float), matrix (1, as in ISO/IEC 23091-2), full range (1), configuration
                                                                  a track begins; its next frame is
                                                                  a keyframe. What was before is
                                                                  forgotten
    F  timestamp (8, signed), key (1), frame                      a frame of it, in decoding order
    P  width (2, 0: as it is), after (8, signed)                  asks for the newest picture, if
                                                                  it is one after this time

To each P there is one answer, in order:

    J  frames decoded so far (4), timestamp (8, signed), width (2), height (2), JPEG
    N  frames decoded so far (4), lost (1)                        there is none; lost: not before
                                                                  the next keyframe

It ends with its input.
"""

from __future__ import annotations

import contextlib
import math
import os
import struct
import sys
import time
from fractions import Fraction
from typing import BinaryIO, cast

import av
from av.codec.context import Flags
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from drawercam.media.geometry import stretched, turned
from drawercam.media.upright import Upright

from .track_form import BT601, TrackForm

try:
    import resource
except ImportError:  # Windows has no such limits; the deadlines of worker.py hold there too
    resource = None  # type: ignore[assignment]

LENGTH = struct.Struct(">I")
FRAME = struct.Struct(">qB")
WISH = struct.Struct(">Hq")
JPEG = struct.Struct(">IqHH")
NONE = struct.Struct(">IB")

# Pixels of the largest picture: 4096x2304. The memory below is enough for as many of them as a
# codec refers to, and a few more.
MAX_PIXELS = 4096 * 2304

# And of its longer side: a picture is stretched until its pixels are square. A JPEG has 65535 at
# most (ISO/IEC 10918-1 B.2.2).
MAX_SIDE = 2**15

# Bytes of address space: 150 MB are the program and its libraries, 24 pictures of MAX_PIXELS with 8
# bits are 340 MB, with 10 bits twice that.
MAX_MEMORY = 2**30

# Seconds of computing for one message. The largest picture takes a quarter of a second on a
# computer of ten years ago.
MAX_COMPUTING = 5

# The encoder's quantizer, 1 to 31: as a phone's camera does it for what is sent, half a bit to a
# pixel.
QUANTIZER = 5

# What libavcodec calls its decoders, by the protocol's name of the codec.
_DECODERS = {b"vp8 ": "vp8", b"vp9 ": "vp9", b"av1 ": "libdav1d", b"h264": "h264"}

# The matrices that libswscale converts, as code points of ISO/IEC 23091-2; others are taken for the
# one of BT.601.
_MATRICES = frozenset((1, 4, 5, BT601, 7, 9))

# Sizes for which encoders are kept: a wall of tiles and a program or two.
_MAX_ENCODERS = 8

# How much the others on this computer come first (nice): the relay's own work is more urgent.
_NICE = 5

_MICROSECONDS = Fraction(1, 1_000_000)


class Pictures:
    """One track's pictures: frames in, the newest one out.

    Attributes:
        decoded: Frames that have been decoded so far.
        lost: Nothing can be decoded before the next keyframe.
    """

    def __init__(self) -> None:
        self.decoded = 0
        self.lost = True
        self._decoder: VideoCodecContext | None = None
        self._form = TrackForm(b"")
        self._upright = Upright()
        self._matrix, self._range = BT601, ColorRange.MPEG
        self._newest: tuple[int, VideoFrame] | None = None
        self._reformatter = VideoReformatter()
        self._encoders: dict[tuple[int, int], VideoCodecContext] = {}

    def track(self, form: TrackForm) -> None:
        """A track begins."""
        self._form = form
        self._matrix = form.matrix if form.matrix in _MATRICES else BT601
        self._range = ColorRange.JPEG if form.full_range else ColorRange.MPEG
        self._newest = None
        self._open()

    def frame(self, timestamp: int, key: bool, data: bytes) -> None:
        """Decode a frame. One that is broken is left out, with all up to the next keyframe; one
        that is empty shows what was before.

        Args:
            timestamp: Of its presentation, in µs.
            key: Decoding can start here.
            data: As in `media.packets.Packet`.
        """
        if self._decoder is None or (self.lost and not key) or not data:
            return  # a decoder would take nothing for the end
        self.lost = False
        packet = av.Packet(data)
        packet.pts, packet.time_base = timestamp, _MICROSECONDS
        self.decoded += 1
        try:
            for picture in self._decoder.decode(packet):
                if picture.pts is not None:
                    self._newest = picture.pts, picture
        except (FFmpegError, ValueError, MemoryError):
            self._open()

    def jpeg(self, width: int, after: int) -> tuple[int, int, int, bytes] | None:
        """The newest picture, upright and with square pixels.

        Args:
            width: In pixels, 0 for its own; it is never made larger than it is.
            after: None is wanted that is not after this time.

        Returns:
            Timestamp, width, height, and the JPEG; None if there is no such picture.
        """
        if self._newest is None or self._newest[0] <= after:
            return None
        timestamp, newest = self._newest
        width, height = self._size(newest, width)
        try:
            if not newest.format.is_rgb:
                newest.colorspace, newest.color_range = self._matrix, self._range
            # JPEG means full range and the matrix of BT.601 (JFIF 1.02).
            form = {"dst_colorspace": Colorspace.ITU601, "dst_color_range": ColorRange.JPEG}
            ready = self._reformatter.reformat(
                newest, *turned(width, height, self._form.rotation), "yuvj420p", **form
            )
            ready = self._upright.turned(ready, self._form.rotation, self._form.flip)
            ready.pts = None  # where nothing had to be changed it is the newest one itself
            jpeg = b"".join(bytes(packet) for packet in self._encoder(width, height).encode(ready))
        except (FFmpegError, ValueError, MemoryError):
            self._newest = None
            return None
        return timestamp, width, height, jpeg

    def _size(self, picture: VideoFrame, width: int) -> tuple[int, int]:
        """Width and height of a picture as it is shown, where it may be so wide, and have so many
        pixels.
        """
        shown = stretched(picture.width, picture.height, self._form.pixel_aspect)
        if not shown[0]:
            shown = picture.width, picture.height
        own, height = turned(*shown, self._form.rotation)
        scale = min(math.sqrt(MAX_PIXELS / (own * height)), MAX_SIDE / own, MAX_SIDE / height)
        most = own if scale >= 1 else max(1, int(own * scale))
        width = min(width or most, most)
        return (own, height) if width == own else (width, max(1, round(height * width / own)))

    def _open(self) -> None:
        self.lost = True
        context = cast(VideoCodecContext, av.CodecContext.create(_DECODERS[self._form.codec], "r"))
        # With more of them, a picture comes out when later ones have gone in.
        context.thread_count = 1
        context.flags |= Flags.low_delay
        context.options = {"max_pixels": str(MAX_PIXELS)}
        if self._form.config:
            context.extradata = self._form.config
        self._decoder = context

    def _encoder(self, width: int, height: int) -> VideoCodecContext:
        encoder = self._encoders.get((width, height))
        if encoder is None:
            if len(self._encoders) >= _MAX_ENCODERS:
                del self._encoders[next(iter(self._encoders))]
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
            encoder.time_base, encoder.thread_count = _MICROSECONDS, 1
            encoder.qmin = encoder.qmax = QUANTIZER
            self._encoders[width, height] = encoder
        return encoder


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Read messages and answer them, until the input ends.

    Args:
        source, sink: Without buffers of their own.
    """
    pictures = Pictures()
    while (head := _read(source, LENGTH.size)) is not None:
        message = _read(source, LENGTH.unpack(head)[0])
        if not message:
            return
        _allow_computing()
        kind, rest = message[:1], memoryview(message)[1:]
        if kind == b"T":
            pictures.track(TrackForm.of(rest))
        elif kind == b"F":
            timestamp, key = FRAME.unpack_from(rest)
            pictures.frame(timestamp, bool(key), bytes(rest[FRAME.size :]))
        elif kind == b"P":
            _write(sink, _answer(pictures, *WISH.unpack(rest)))


def _answer(pictures: Pictures, width: int, after: int) -> bytes:
    found = pictures.jpeg(width, after)
    decoded = pictures.decoded & 0xFFFFFFFF
    if found is None:
        return b"N" + NONE.pack(decoded, pictures.lost)
    timestamp, width, height, jpeg = found
    return b"J" + JPEG.pack(decoded, timestamp, width, height) + jpeg


def _read(source: BinaryIO, size: int) -> bytes | None:
    """Exactly so many bytes; None if the input ends before."""
    pieces = []
    while size:
        piece = source.read(size)
        if not piece:
            return None
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _write(sink: BinaryIO, answer: bytes) -> None:
    left = memoryview(LENGTH.pack(len(answer)) + answer)
    while left:
        left = left[sink.write(left) :]


def _allow_computing() -> None:
    """Let the system end this process when the next message takes too long."""
    if resource is not None:
        spent = int(time.process_time())
        resource.setrlimit(
            resource.RLIMIT_CPU,
            (spent + 1 + MAX_COMPUTING, resource.getrlimit(resource.RLIMIT_CPU)[1]),
        )


def _confine() -> None:
    """Give up whatever decoding does not need. All modules and libraries are there by now."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICE)
    if resource is None:
        return
    limits = {
        resource.RLIMIT_AS: MAX_MEMORY,
        resource.RLIMIT_NOFILE: 0,  # what is open stays open: the two pipes
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for which, limit in limits.items():
        with contextlib.suppress(
            OSError, ValueError
        ):  # macOS keeps no limit of address space, and says so
            resource.setrlimit(which, (limit, limit))


def main() -> None:
    with (
        open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as source,
        open(sys.stdout.fileno(), "wb", buffering=0, closefd=False) as sink,
    ):
        _confine()
        with contextlib.suppress(BrokenPipeError):  # the relay has gone
            serve(cast(BinaryIO, source), cast(BinaryIO, sink))


if __name__ == "__main__":
    main()
