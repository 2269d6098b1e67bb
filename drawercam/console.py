"""The standard streams where nobody may be looking: pythonw and service managers start programs without them, a log may lie on a full disk,
and the program that reads it may have ended. Such a program runs all the same, and its end is no failure.

As `bootstrap` this keeps to the syntax of Python 3.6 and to the standard library.
"""

import contextlib
import io
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

LAST_WORDS = "last-words.txt"
"""The file in the state folder that says why the program has not started, where it can be said nowhere else."""


class Tolerant(io.TextIOWrapper):
    """A stream that raises nothing when what is written cannot get there.

    Attributes:
        missing: The program was started without this stream.
        lost: Why something could not be written, the last time.
    """

    missing = False
    lost = None  # type: OSError | None

    def write(self, text: str) -> int:
        """See io.TextIOWrapper."""
        try:
            return super().write(text)
        except OSError as error:
            self.lost = error
            return len(text)

    def flush(self) -> None:
        """See io.TextIOWrapper."""
        try:
            super().flush()
        except OSError as error:
            self.lost = error


def settle() -> None:
    """Have three standard streams that do no harm. To be called once, before anything else opens a file.

    Where one is missing, the next file or connection would get its number, and with it all that libraries write there; libuv even ends the
    program when it is closed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
            os.set_inheritable(descriptor, True)  # for the program in the virtual environment, and for helpers
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
    how = {"encoding": stream.encoding, "errors": stream.errors, "newline": "\n", "line_buffering": stream.line_buffering}  # type: Any
    how["write_through"] = getattr(stream, "write_through", False)
    return Tolerant(stream.detach(), **how)


def ends() -> "list[signal.Signals]":
    """The signals that stop a service. A closed terminal is one, unless somebody has said that it is to be none (`nohup`)."""
    hang_up = [getattr(signal, "SIGHUP")] if hasattr(signal, "SIGHUP") else []  # noqa: B009 - Windows has none
    return [signal.SIGINT, signal.SIGTERM, *(one for one in hang_up if signal.getsignal(one) != signal.SIG_IGN)]


def unseen(stream: Any) -> str:
    """Why nobody sees what was written to this stream since the last look, as far as that is known; "" where it is seen."""
    stream.flush()
    lost = getattr(stream, "lost", None)
    if lost is not None:
        stream.lost = None  # the next time there may be room
        return lost.strerror or str(lost)
    return "the output leads nowhere" if getattr(stream, "missing", False) or _is_null(stream) else ""


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
        with os.fdopen(os.open(str(folder / LAST_WORDS), flags, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {sentence}\n")


def forget(folder: Path) -> None:
    """Remove what `complain` has written: the program runs."""
    with contextlib.suppress(OSError):
        (folder / LAST_WORDS).unlink()


def finish(status: int) -> int:
    """The exit status of a command whose work is to print something: 1 if that has not got anywhere."""
    sys.stdout.flush()
    lost = getattr(sys.stdout, "lost", None)
    if status or lost is None or isinstance(lost, BrokenPipeError):  # who has read enough needs no more
        return status
    print(f"Not all of it could be printed: {lost.strerror or lost}.", file=sys.stderr)
    return 1
