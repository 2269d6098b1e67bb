"""State on disk: written in one step, readable by its owner only, locked between processes."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LOCK_PATIENCE = 20.0
"""Seconds to wait for another relay that works in the same folder; its work takes milliseconds, so longer means it hangs."""

LOCK_POLL = 0.02
"""Seconds between two attempts to get the lock."""

TEMPORARY_PREFIX = ".new-"
"""Of files that are being written. What a crash leaves behind may be removed by whoever holds the folder's lock."""


def write(path: Path, data: bytes, private: bool = True) -> None:
    """Replace a file in one step that survives a power cut: the old content or the new one, never half of it."""
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)  # mode 0600 from its first byte on
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if not private:
        Path(temporary).chmod(0o644)
    Path(temporary).replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself
        finally:
            os.close(folder)


def holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except FileNotFoundError:
        return False


def keep_private(path: Path) -> None:
    """Take away what group and others may do; a copy or a backup loses such modes. File systems without modes are let be."""
    if os.name != "posix":
        return
    mode = path.stat().st_mode
    if mode & 0o077:
        with contextlib.suppress(OSError):
            path.chmod(mode & 0o700)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between threads and processes; the system gives it back when its holder dies.

    Raises:
        TimeoutError: Another holder has kept it for `LOCK_PATIENCE`.
    """
    with path.open("ab") as file:
        deadline = time.monotonic() + LOCK_PATIENCE
        while not _try_lock(file.fileno()):
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another relay keeps it locked", str(path))
            time.sleep(LOCK_POLL)
        yield  # closing the file unlocks it


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system that knows no locks, such as some network shares: go on without
        return True
