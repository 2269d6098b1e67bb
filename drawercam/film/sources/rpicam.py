"""The camera of a Raspberry Pi: its own program gives H.264 from the hardware, which goes on as it
is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import subprocess

from drawercam.film.encode.encoders import bitrate
from drawercam.film.encode.frame import Form, Frame
from drawercam.film.relay.clock import now
from drawercam.media.codecs.h264 import START_CODE
from drawercam.media.packets import Codec

from .source import Sink, SourceError

# Names of the program: since 2024, and before.
_PROGRAMS = ("rpicam-vid", "libcamera-vid")

# Seconds of silence after which what has come is a whole picture: the program writes each at once,
# into a pipe that is large enough.
_SILENCE = 0.002
_PIPE = 2**20  # bytes: the largest an ordinary user may ask for

# Seconds without a picture after which the camera counts as stuck.
_STUCK = 10.0

# Seconds that the program may take to end.
_END = 3.0

# Bytes of one picture, and of what the program says when it fails.
_MAX_PICTURE = 8 * 2**20
_MAX_WORDS = 2000

# `nal_unit_type`, ITU-T H.264 table 7-1: what may begin a picture, and slices.
_BEGINNINGS = {6, 7, 9}
_SLICES = {1, 5}


class Splitter:
    """Cuts a byte stream of H.264 (Annex B) into pictures (access units, ITU-T H.264 7.4.1.2.3)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._looked = 0  # up to here there is no beginning of another picture
        self._has_slice = False

    @property
    def pending(self) -> bool:
        """The beginning of a picture is there."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; returns the pictures that another one has followed."""
        buffer = self._buffer
        buffer += data
        found = []
        while (at := buffer.find(START_CODE, self._looked)) >= 0 and at + 5 <= len(buffer):
            kind = buffer[at + 3] & 0x1F
            # first_mb_in_slice is 0, which is a single bit 1, only in the first slice of a picture.
            first = kind in _SLICES and buffer[at + 4] & 0x80 != 0
            if self._has_slice and (first or kind in _BEGINNINGS):
                begin = at - 1 if at and buffer[at - 1] == 0 else at
                found.append(bytes(buffer[:begin]))
                del buffer[:begin]
                at -= begin
                self._has_slice = False
            self._has_slice = self._has_slice or kind in _SLICES
            self._looked = at + 3
        if at < 0:
            self._looked = max(self._looked, len(buffer) - 4)
        if len(buffer) > _MAX_PICTURE:
            raise SourceError(
                "The Raspberry Pi's camera program gives no H.264. It is started again."
            )
        return found

    def rest(self) -> bytes | None:
        """What has come is whole: the picture, or None while there is none."""
        if not self._has_slice:
            return None
        picture = bytes(self._buffer)
        self._buffer.clear()
        self._looked, self._has_slice = 0, False
        return picture


class RpiCamera:
    """`rpicam-vid`, whose pictures come through a pipe."""

    title = "the Raspberry Pi's camera"

    def __init__(self, width: int, height: int, rate: float) -> None:
        self.rate = rate
        self._width, self._height = width, height

    def run(self, sink: Sink) -> None:
        """See source.Source."""
        program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
        if program is None:
            raise SourceError(
                (
                    "There is no program rpicam-vid here: sudo apt install rpicam-apps-lite "
                    "(Raspberry Pi OS)."
                ),
                final=True,
            )
        process = subprocess.Popen(
            [program, *self._options()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            self._read(process, sink)
        finally:
            process.terminate()
            try:
                process.wait(_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    def _options(self) -> list[str]:
        size = [
            "--width",
            str(self._width),
            "--height",
            str(self._height),
            "--framerate",
            f"{self.rate:g}",
        ]
        # Baseline has no reordered pictures; a keyframe each second, with its parameter sets,
        # because none can be asked for.
        coded = [
            "--codec",
            "h264",
            "--profile",
            "baseline",
            "--inline",
            "--intra",
            f"{round(self.rate)}",
        ]
        rate = ["--bitrate", str(bitrate(self._width, self._height))]
        return ["--timeout", "0", "--nopreview", *size, *coded, *rate, "--flush", "--output", "-"]

    def _read(self, process: subprocess.Popen[bytes], sink: Sink) -> None:
        assert process.stdout is not None and process.stderr is not None
        pipe, words = process.stdout.fileno(), process.stderr.fileno()
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
        said = b""
        splitter = Splitter()
        form = Form(Codec.H264)
        silent_since = arrived = now()
        opened = False
        while sink.pause(0):
            ready, _, _ = select.select(
                [pipe, words], [], [], _SILENCE if splitter.pending else 0.2
            )
            if words in ready:
                said = (said + os.read(words, 4096))[-_MAX_WORDS:]
            if pipe in ready:
                data = os.read(pipe, _PIPE)
                if not data:
                    if rest := splitter.rest():
                        sink.passed(Frame(form, rest, arrived, False))
                    raise SourceError(f"{_last_line(said)} It is started again.")
                if not splitter.pending:
                    arrived = now()
                pictures = splitter.feed(data)
                silent_since = now()
            elif ready:
                continue
            else:
                rest = splitter.rest()
                pictures = [] if rest is None else [rest]
            for picture in pictures:
                if not opened:
                    opened = True
                    sink.opened(f"{self._width}x{self._height} h264", sound=False)
                sink.passed(Frame(form, picture, arrived, False))
                arrived = now()
            if now() - silent_since > _STUCK * 1e6:
                raise SourceError(
                    "The Raspberry Pi's camera gives no picture. It is started again."
                )


def _last_line(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    if any("no cameras available" in line.lower() for line in lines):
        return "No camera is connected to this Raspberry Pi."
    if any("busy" in line.lower() or "in use" in line.lower() for line in lines):
        return "The Raspberry Pi's camera is busy: another program films with it."
    return f"The Raspberry Pi's camera program has ended{': ' + lines[-1][:200] if lines else ''}."
