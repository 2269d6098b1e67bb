"""The relay's end of one worker (worker_process.py): starts it, feeds it, asks it, and ends it when
it does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import struct
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from groundwork.deadlines import Deadline

from .track_form import TrackForm

# The program, for which nothing of the relay's environment matters.
COMMAND = (sys.executable, "-m", "drawercam.snapshots.worker_process")
_ROOT = Path(__file__).resolve().parent.parent.parent

# Seconds for an answer. It may have to start, and to decode all since the last keyframe, on a
# computer that has much to do.
ANSWER_DEADLINE = 10.0

# Seconds in which a worker that was ended must be gone.
END_DEADLINE = 1.0

# Bytes of an answer: a picture of 4096x2304 at the best quality has 6 MiB.
MAX_ANSWER = 8 * 2**20

# The formats of worker_process.py, which is not imported here: it has all decoders with it.
_LENGTH = struct.Struct(">I")
_FRAME = struct.Struct(">IcqB")
_WISH = struct.Struct(">IcHq")
_JPEG = struct.Struct(">IqHH")
_NONE = struct.Struct(">IB")


def available() -> bool:
    """Whether the library is installed with which workers decode."""
    return importlib.util.find_spec("av") is not None


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a camera.

    Attributes:
        time: When it was captured, µs of the relay's clock.
        width, height: In pixels.
        jpeg: The picture.
    """

    time: int
    width: int
    height: int
    jpeg: bytes


class DecoderError(Exception):
    """A worker does not answer, or not as it should. It is of no use any more."""


class Decoder:
    """One worker.

    Attributes:
        decoded: Frames that it had decoded at its last answer.
        ready: It has answered once.
        lost: At its last answer it could go on at a keyframe only.
        asked_at: When the question was asked that is not answered yet (seconds of the event loop),
            or None.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self.decoded = 0
        self.ready = self.lost = False
        self.asked_at: float | None = None
        self._command = command
        self._process: Process | None = None

    async def start(self) -> None:
        """
        Raises:
            DecoderError: The system has no room for one more process.
        """
        # Keys and other secrets that stand in the relay's environment are none of its business.
        environment = {
            name: os.environ[name]
            for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
            if name in os.environ
        }
        try:
            # In a session of its own, Ctrl-C in the relay's terminal is not meant for it.
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                cwd=_ROOT,
                env=environment,
                start_new_session=True,
            )  # what decoders say of frames has no bound
        except OSError as error:
            raise DecoderError(f"it cannot be started: {error.strerror or error}") from None

    @property
    def waiting(self) -> int:
        """Bytes that it has not taken yet."""
        stdin = self._process.stdin if self._process is not None else None
        return stdin.transport.get_write_buffer_size() if stdin is not None else 0

    def track(self, form: TrackForm) -> None:
        """A track begins. Never waits, never raises."""
        packed = form.packed()
        self._write(_LENGTH.pack(1 + len(packed)) + b"T" + packed)

    def frame(self, timestamp: int, key: bool, data: memoryview) -> None:
        """A frame follows. Never waits, never raises."""
        self._write(
            _FRAME.pack(_FRAME.size - _LENGTH.size + len(data), b"F", timestamp, key) + data
        )

    async def ask(self, width: int, after: int) -> Picture | None:
        """The newest picture. One question at a time.

        Args:
            width: In pixels; 0 for its own.
            after: It must be of a later time, in µs.

        Returns:
            None when there is no such picture.

        Raises:
            DecoderError: See there.
        """
        self.asked_at = asyncio.get_running_loop().time()
        self._write(_WISH.pack(_WISH.size - _LENGTH.size, b"P", width, after))
        try:
            async with Deadline(ANSWER_DEADLINE):
                return self._understood(await self._answer())
        except TimeoutError:
            raise DecoderError(f"it has not answered for {ANSWER_DEADLINE:.0f} s") from None
        except asyncio.IncompleteReadError:
            raise DecoderError("it has ended") from None
        except (ConnectionError, struct.error):
            raise DecoderError("its answer is none") from None
        finally:
            self.asked_at = None

    async def end(self) -> None:
        """End it, whatever it is doing."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_DEADLINE):
                await process.wait()

    def _write(self, message: bytes) -> None:
        stdin = self._process.stdin if self._process is not None else None
        if stdin is not None and not stdin.transport.is_closing():
            stdin.write(message)

    async def _answer(self) -> bytes:
        stdout = self._process.stdout if self._process is not None else None
        if stdout is None:
            raise DecoderError("it was never started")
        size: int = _LENGTH.unpack(await stdout.readexactly(_LENGTH.size))[0]
        if size > MAX_ANSWER:
            raise DecoderError("its answer is too large")
        return await stdout.readexactly(size)

    def _understood(self, answer: bytes) -> Picture | None:
        self.ready = True
        if answer[:1] == b"J":
            self.decoded, timestamp, width, height = _JPEG.unpack_from(answer, 1)
            self.lost = False
            return Picture(timestamp, width, height, answer[1 + _JPEG.size :])
        if answer[:1] != b"N":
            raise DecoderError("its answer is none")
        self.decoded, lost = _NONE.unpack(answer[1:])
        self.lost = bool(lost)
        return None
