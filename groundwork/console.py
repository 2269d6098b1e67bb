"""The standard streams where nobody may be looking: pythonw and service managers start programs
without them, a log may lie on a full disk, and the program that reads it may have ended, or may
read no more (a full pipe, a terminal that is held by Ctrl-S). Such a program runs all the same, and
its end is no failure.

As `bootstrap` this keeps to the syntax of Python 3.6 and to the standard library.
"""

import collections
import contextlib
import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LAST_WORDS = "last-words.txt"
"""The file in the state folder that says why the program has not started, where it can be said
nowhere else.
"""

MAX_UNREAD = 256 * 1024
"""Bytes that wait for a reader which has stalled: all that is printed at the start, and a thousand
lines of the log.
"""

STALLED = 0.5
"""Seconds in which a reader takes nothing until it counts as stalled, so that nothing waits for it
any more.
"""

SETTLE_BUDGET = 2.0
"""Seconds that the end of the program waits for a reader which takes a little now and then."""

_FULL_PAUSE = 0.05
"""Seconds between two tries to write into a stream that another program has made one that does not
block.
"""


class Tolerant(io.TextIOWrapper):
    """A stream that raises nothing when what is written cannot get there.

    Attributes:
        missing: The program was started without this stream.
        lost: Why something could not be written, the last time.
        writer: Writes in its place, so that this waits for no reader.
        begun: For the writer: a line whose end has not come yet.
    """

    missing = False
    lost = None  # type: OSError | None
    writer = None  # type: Writer | None
    begun = ""

    def write(self, text: str) -> int:
        """See io.TextIOWrapper."""
        if self.writer is not None:
            self.writer.put(self, text, False)
            return len(text)
        try:
            return super().write(text)
        except OSError as error:
            self.lost = error
            return len(text)

    def flush(self) -> None:
        """See io.TextIOWrapper."""
        if self.writer is not None:
            self.writer.put(self, "", True)
            return
        try:
            super().flush()
        except OSError as error:
            self.lost = error

    def write_out(self, data: bytes) -> None:
        """Write this now, however long it takes.

        Past the buffer, whose lock would make the interpreter's end wait, or abort.
        """
        raw = getattr(self.buffer, "raw", self.buffer)  # type: Any
        rest = memoryview(data)
        try:
            while rest:
                taken = raw.write(rest)
                if taken is None:
                    time.sleep(_FULL_PAUSE)
                rest = rest[taken or 0 :]
        except (OSError, ValueError) as error:  # ValueError: it has been closed
            self.lost = error if isinstance(error, OSError) else None


class Writer:
    """Writes to streams in a thread of its own, in the order in which it was asked, so that only
    this thread waits for a reader.

    What comes while `MAX_UNREAD` bytes wait is left out, and so is all that follows until the last
    of them is read; then a line says how many were left out. The thread ends with the program.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = collections.deque()  # type: collections.deque[tuple[Tolerant, bytes]]
        self._size = 0
        self._left_out = {}  # type: dict[Tolerant, int]
        self._steps = 0
        threading.Thread(target=self._run, name="console", daemon=True).start()

    def put(self, stream: Tolerant, text: str, all_of_it: bool) -> None:
        """Have something written.

        Args:
            all_of_it: Not its whole lines only. Lines of several streams would mix otherwise.
        """
        with self._changed:
            text, stream.begun = stream.begun + text, ""
            if not all_of_it:
                text, feed, stream.begun = text.rpartition("\n")
                text += feed
            if not text:
                return
            data = text.encode(stream.encoding, stream.errors or "strict")
            if self._left_out or (self._waiting and self._size + len(data) > MAX_UNREAD):
                self._left_out[stream] = self._left_out.get(stream, 0) + data.count(b"\n")
            else:
                self._add(stream, data)

    def settle(self) -> bool:
        """Wait until all is written, or the reader has stalled; returns whether all is."""
        end = time.monotonic() + SETTLE_BUDGET
        with self._changed:
            while self._waiting and time.monotonic() < end:
                steps = self._steps
                if not self._changed.wait_for(lambda: self._steps != steps, STALLED):  # noqa: B023 - called in this round only
                    break
            return not self._waiting

    def _add(self, stream: Tolerant, data: bytes) -> None:
        self._waiting.append((stream, data))
        self._size += len(data)
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                stream, data = self._waiting[0]
            stream.write_out(data)
            with self._changed:
                self._waiting.popleft()
                self._size -= len(data)
                self._steps += 1
                if not self._waiting:
                    self._tell()
                self._changed.notify_all()

    def _tell(self) -> None:
        left_out, self._left_out = self._left_out, {}
        for stream, lines in left_out.items():
            what = "1 line is" if lines == 1 else f"{lines} lines are"
            text = (
                f"{time.strftime('%H:%M:%S')} {what} missing here, because nothing was read "
                "from this output.\n"
            )
            self._add(stream, text.encode(stream.encoding, "replace"))


@contextlib.contextmanager
def unhurried() -> "Iterator[None]":
    """Within this block, nothing that is printed or logged waits for its reader. At its end the log
    is closed, and the reader may take what it has not taken yet. Where it has stalled, what is
    printed afterwards does not wait either, and is lost with the program.
    """
    streams = [one for one in (sys.stdout, sys.stderr) if isinstance(one, Tolerant)]
    if not streams:
        yield  # a test has put its own in their places
        return
    writer = Writer()
    for stream in streams:
        stream.flush()
        stream.writer = writer
    try:
        yield
    finally:
        logging.shutdown()  # which says what `log_limit` has left out
        with contextlib.suppress(KeyboardInterrupt):  # somebody is in a hurry
            for stream in streams:
                stream.flush()
            if writer.settle():
                for stream in streams:
                    stream.writer = None


def settle() -> None:
    """Have three standard streams that do no harm. To be called once, before anything else opens a
    file.

    Where one is missing, the next file or connection would get its number, and with it all that
    libraries write there; libuv even ends the program when it is closed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(
                descriptor, True
            )  # for the program in the virtual environment, and for helpers
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None or type(stream) is io.TextIOWrapper:
            tolerant = _tolerant(stream, descriptor)
            setattr(sys, name, tolerant)
            setattr(sys, f"__{name}__", tolerant)  # by which the width of the terminal is found


def _tolerant(stream: "io.TextIOWrapper | None", descriptor: int) -> Tolerant:
    if stream is None:
        bytes_ = open(descriptor, "wb", closefd=False)  # noqa: SIM115
        tolerant = Tolerant(bytes_, encoding="utf-8", errors="backslashreplace", newline="\n")
        tolerant.missing = True
        return tolerant
    how = {
        "encoding": stream.encoding,
        "errors": stream.errors,
        "newline": "\n",
        "line_buffering": stream.line_buffering,
    }  # type: Any
    how["write_through"] = getattr(stream, "write_through", False)
    return Tolerant(stream.detach(), **how)


def ends() -> "list[signal.Signals]":
    """The signals that stop a service.

    A closed terminal is one, unless somebody has said that it is to be none (`nohup`).
    """
    hang_up = [getattr(signal, "SIGHUP")] if hasattr(signal, "SIGHUP") else []  # noqa: B009 - Windows has none
    return [
        signal.SIGINT,
        signal.SIGTERM,
        *(one for one in hang_up if signal.getsignal(one) != signal.SIG_IGN),
    ]


def unseen(stream: Any) -> str:
    """Why what was written to this stream since the last look is not seen, as far as that is known;
    "" where it is seen. May wait for its reader, until that has stalled.
    """
    stream.flush()
    if getattr(stream, "writer", None) is not None:
        stream.writer.settle()
    lost = getattr(stream, "lost", None)
    if lost is not None:
        stream.lost = None  # the next time there may be room
        return lost.strerror or str(lost)
    return (
        "the output leads nowhere" if getattr(stream, "missing", False) or _is_null(stream) else ""
    )


def _is_null(stream: Any) -> bool:
    if os.name != "posix":
        return False  # there, all devices look alike
    try:
        return os.path.samestat(os.fstat(stream.fileno()), Path(os.devnull).stat())
    except (OSError, ValueError, AttributeError):
        return False


def complain(sentence: Any, folder: Path) -> None:
    """Say why the program ends, in a place that is left.

    Args:
        folder: The state folder, for a program without streams.
    """
    for stream in (sys.stderr, sys.stdout):
        print(sentence, file=stream)
        if not unseen(stream):
            return
    with contextlib.suppress(OSError):  # then the exit status is all that there is
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(
            os.open(str(folder / LAST_WORDS), flags, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n")


def forget(folder: Path) -> None:
    """Remove what `complain` has written: the program runs."""
    with contextlib.suppress(OSError):
        (folder / LAST_WORDS).unlink()


def finish(status: int) -> int:
    """The exit status of a command whose work is to print something: 1 if that has not got
    anywhere.
    """
    sys.stdout.flush()
    lost = getattr(sys.stdout, "lost", None)
    if (
        status or lost is None or isinstance(lost, BrokenPipeError)
    ):  # who has read enough needs no more
        return status
    print(f"Not all of it could be printed: {lost.strerror or lost}.", file=sys.stderr)
    return 1
