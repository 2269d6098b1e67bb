"""State on disk: written in one step, readable by its owner only, locked between processes, and
within reach when the system runs short of file descriptors or of room.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import shlex
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

LOCK_PATIENCE = 20.0
"""Seconds to wait for another relay that works in the same folder; its work takes milliseconds, so
longer means it hangs.
"""

OPEN_LOCK_PATIENCE = 2.0
"""The same where other users could open the lock, as earlier versions let them: so a start could be
blocked, and it is replaced.
"""

LOCK_POLL = 0.02
"""Seconds between two attempts to get the lock."""

HELD_BYTE = 2**30
"""The byte of a file by which a program holds it: beyond what is in it, because on Windows a byte
that is locked cannot be read.
"""

HOLD_PATIENCE = 1.0
"""Seconds to wait for those who look whether a file is held: each of them has it for
microseconds.
"""

STATE_LOCK = "keys.lock"
"""The lock of a state folder.

It was the keys' alone and has kept its name, because earlier versions know it by that.
"""

TEMPORARY_PREFIX = ".new-"
"""Of files that are being written.

What a crash leaves behind is removed by the next process that holds the folder's lock.
"""

SPARES = 8
"""File descriptors kept in reserve. A change of the keys needs 2 at once and a look at them 1; the
rest is for what other threads of the relay snatch in the microseconds between the end of a spare
one and the opening of the file.
"""

BLOCK = 4096
"""Bytes in which a reserve of room is measured: the block of most file systems."""

_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NOT_OURS = (errno.EACCES, errno.EPERM)

HINDRANCES = (errno.EROFS, errno.EIO, *_NOT_OURS, *_NO_ROOM)
"""Why a folder may be as it should be and yet take nothing new: a worn memory card goes read-only,
a disk fills up.
"""

# Bytes that are read at once: the system call makes room for as many as it is asked for.
_PIECE = 64 * 2**10

_NEVER_A_LINK = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)

log = logging.getLogger(__name__)


class Spares:
    """Descriptors that are open for nothing, so that a file can be opened when the system gives no
    more.

    A spare one is closed just before a file is opened in its place. When the file is closed, its
    own becomes spare in the same moment, so that no connection can take it meanwhile. Safe to use
    from several threads.
    """

    def __init__(self) -> None:
        self._wanted = 0
        self._held: list[int] = []
        self._lock = threading.Lock()

    def keep(self, count: int = SPARES) -> None:
        """Hold so many from now on; 0 gives them back.

        A process that does not ask for it keeps none.
        """
        with self._lock:
            self._wanted = count
            while len(self._held) > count:
                os.close(self._held.pop())
        self.fill()

    def fill(self) -> None:
        """Replace those that were lost, as far as the system gives any.

        Costs nothing where none is missing.
        """
        if len(self._held) >= self._wanted:
            return
        with self._lock, contextlib.suppress(OSError):
            while len(self._held) < self._wanted:
                self._held.append(os.open(os.devnull, os.O_RDONLY))

    @property
    def held(self) -> int:
        return len(self._held)

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        """As `os.open`, in place of a spare one if need be. Give it back with `close`."""
        while True:
            try:
                return os.open(path, flags | _BINARY, mode)
            except OSError as error:
                if error.errno not in _NO_DESCRIPTOR or not self._give_one():
                    raise

    def close(self, descriptor: int) -> None:
        """Close it; where a spare one is missing, it becomes that."""
        with self._lock:
            if self._held and len(self._held) < self._wanted:
                with contextlib.suppress(OSError):
                    os.dup2(
                        self._held[0], descriptor, inheritable=False
                    )  # closes the file and takes its place in one step
                    self._held.append(descriptor)
                    return
        os.close(descriptor)
        self.fill()

    @contextlib.contextmanager
    def lent(self, count: int) -> Iterator[None]:
        """Leave so many to libraries that open files by themselves, for what is done rarely: others
        may take them meanwhile.
        """
        for _ in range(count):
            self._give_one()
        try:
            yield
        finally:
            self.fill()

    def _give_one(self) -> bool:
        with self._lock:
            if not self._held:
                return False
            os.close(self._held.pop())
            return True


spares = Spares()
"""Those of this process."""


# --- reading and writing ---


def read(path: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """What a file holds, and what the system says of it; also where there are only spare
    descriptors.

    Args:
        limit: Bytes that are read at most.
    """
    descriptor = spares.open(path, os.O_RDONLY)
    try:
        parts: list[bytes] = []
        while limit > 0 and (part := os.read(descriptor, min(limit, _PIECE))):
            parts.append(part)
            limit -= len(part)
        return b"".join(parts), os.fstat(descriptor)
    finally:
        spares.close(descriptor)


def write(path: Path, data: bytes, private: bool = True, reserve: Path | None = None) -> None:
    """Replace a file in one step that survives a power cut: the old content or the new one, never
    half of it.

    Args:
        reserve: A file of `keep_reserve` that is given up for it where there is no room otherwise.

    Raises:
        OSError: It cannot be written. The old content stays, and nothing is left behind.
    """
    try:
        _replace(path, data, private)
    except OSError as error:
        if reserve is None or error.errno not in _NO_ROOM or not reserve.exists():
            raise
        _replace_with_reserve(path, data, private, reserve)


def keep_reserve(path: Path, size: int) -> None:
    """Have a file whose bytes really take room on the disk, at least so many.

    Raises:
        OSError: There is no room for it, for instance.
    """
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_size >= size:
            return
    write(path, os.urandom(-(-size // BLOCK) * BLOCK))  # what compresses to nothing would take none


def _replace(path: Path, data: bytes, private: bool) -> None:
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    try:
        _store(temporary, data, os.O_CREAT | os.O_EXCL)
        _bring(temporary, path, private)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _replace_with_reserve(path: Path, data: bytes, private: bool, reserve: Path) -> None:
    """Write over the bytes that the reserve has, where nobody else can take them meanwhile, and let
    it become the file.
    """
    try:
        _store(reserve, data, 0)
        _bring(reserve, path, private)
    except OSError:
        # A file system that copies what it writes over needs new room for it. So what the reserve
        # has goes back to the system.
        reserve.unlink(missing_ok=True)
        _replace(path, data, private)


def _store(path: Path, data: bytes, flags: int) -> None:
    descriptor = spares.open(
        path, os.O_WRONLY | flags | _NEVER_A_LINK
    )  # of mode 0600 from its first byte on
    try:
        _give_to_owner(descriptor, path.parent)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)
    finally:
        spares.close(descriptor)


def _bring(temporary: Path, path: Path, private: bool) -> None:
    if not private:
        temporary.chmod(0o644)
    temporary.replace(path)
    if os.name == "posix":
        folder = spares.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself
        finally:
            spares.close(folder)


def _give_to_owner(descriptor: int, folder: Path) -> None:
    """Let what root makes belong to the owner of its folder: a relay must be able to read what
    `sudo relay.py keys` has written.
    """
    if sys.platform != "win32" and os.geteuid() == 0:
        owner = folder.stat()
        if owner.st_uid != 0:
            with contextlib.suppress(OSError):
                os.fchown(descriptor, owner.st_uid, owner.st_gid)


def holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except FileNotFoundError:
        return False


# --- who else may ---


def keep_private(path: Path) -> None:
    """Take away what group and others may do; a copy or a backup loses such modes.

    File systems without modes are let be.
    """
    if os.name != "posix":
        return
    mode = path.stat().st_mode
    if mode & 0o077:
        with contextlib.suppress(OSError):
            path.chmod(mode & 0o700)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for their owner alone. One that is there
    stays as it is.

    Raises:
        OSError: It cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)
        )  # its mode is none of our business
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        missing.mkdir(
            mode=0o700, exist_ok=True
        )  # mkdir(parents=True) would make those above it for everybody


def private_folder(folder: Path) -> bool:
    """Make a folder as `make_folder` does, and take away what group and others may do in one that
    is there.

    Returns:
        Whether others are kept out. They are not where the file system knows no modes, where the
        folder is another user's, and where it is one for everything (a home, the root of a disk,
        one with the sticky bit), which is let be.

    Raises:
        OSError: It cannot be made.
    """
    make_folder(folder)
    if os.name != "posix":
        return True
    before = folder.stat().st_mode
    if before & 0o077:
        if before & stat.S_ISVTX or any(folder.samefile(one) for one in _for_everything(folder)):
            return False
        keep_private(folder)
    now = folder.stat()
    if before & stat.S_IWOTH and not now.st_mode & 0o077:
        log.warning(
            (
                "Until now, every user of this computer could change what is in %s. If that "
                "may have happened, delete it."
            ),
            folder,
        )
    return not now.st_mode & 0o077 and os.geteuid() in (0, now.st_uid)


def _for_everything(folder: Path) -> Iterator[Path]:
    yield Path(folder.absolute().anchor)
    with contextlib.suppress(RuntimeError):  # this user has none
        if (home := Path.home()).exists():
            yield home


@contextlib.contextmanager
def exclusive(folder: Path, lock: str) -> Iterator[None]:
    """Work in a folder that is private and that no other process works in; nothing of a crash is
    left in it.

    Args:
        lock: The name of its lock.

    Raises:
        TimeoutError: See `locked`.
        OSError: The folder cannot be used.
    """
    private_folder(folder)
    with locked(folder / lock):
        for remnant in folder.glob(f"{TEMPORARY_PREFIX}*"):
            with contextlib.suppress(OSError):  # it is no file, and none of ours
                remnant.unlink()
        yield


@contextlib.contextmanager
def exclusive_or_reading(folder: Path, lock: str) -> Iterator[OSError | None]:
    """As `exclusive`; where nothing can be written into the folder, its files may at least be read,
    since each is replaced in one step.

    Yields:
        None; or why nothing may be written.

    Raises:
        TimeoutError, OSError: See `exclusive`.
    """
    with contextlib.ExitStack() as held:
        hindrance = None
        try:
            held.enter_context(exclusive(folder, lock))
        except OSError as error:
            if error.errno not in HINDRANCES or not folder.is_dir():
                raise
            hindrance = error
        yield hindrance


def advice(error: OSError, folder: Path) -> str:
    """What a person can do where a folder cannot be used, or not be written: one sentence without
    its full stop, for this cause.
    """
    other = "choose another folder with --state"
    if error.errno == errno.EROFS:
        return f"Its disk is read-only. Make it writable, or {other}"
    if error.errno in _NO_ROOM:
        return f"Its disk is full. Make room on it, or {other}"
    if error.errno == errno.EIO:
        return f"Its disk has a fault, or the network to it has. Look after that, or {other}"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"A file is where a folder should be. Take it away, or {other}"
    if error.errno in _NOT_OURS and sys.platform != "win32":
        return f"{_whose(folder)}, or {other}"
    if error.errno in _NOT_OURS:
        return f"Allow this user to write there, or {other}"
    return other[0].upper() + other[1:]


if sys.platform != "win32":
    import pwd

    def _whose(folder: Path) -> str:
        """Why this user may not write into a folder, or make it, and how to change that."""
        there = folder.absolute()
        with contextlib.suppress(OSError):
            while not os.path.lexists(there):
                there = there.parent
            owner = there.stat().st_uid
            if owner != os.geteuid():
                name = shlex.quote(_user(owner))
                return f"{there} belongs to {name}. Start this as that user (sudo -u {name} ...)"
            if there.stat().st_mode & 0o700 != 0o700:
                return f"Its mode forbids it. Type: chmod u+rwx {shlex.quote(str(there))}"
        return "This user may not write there. Allow it"

    def _user(number: int) -> str:
        try:
            return pwd.getpwuid(number).pw_name
        except KeyError:
            return f"#{number}"


def unusable(error: OSError, folder: Path, what: str) -> OSError:
    """An error whose text says what to do.

    Args:
        what: That cannot be kept.
    """
    text = f"{what} cannot be kept, {error.strerror or error}. {advice(error, folder)}"
    return OSError(error.errno, text, str(error.filename or folder))


def unwritable(error: OSError, folder: Path) -> str:
    """What a program says that goes on although nothing can be written into its state folder."""
    return (
        f"Nothing can be written into {folder}: {error.strerror or error}. {advice(error, folder)}."
    )


def take_over(state: Path) -> OSError | None:
    """What a program does first with its state folder: make it private, and remove what a crash has
    left; warn where others get in.

    Returns:
        Why nothing can be written into it, although it is there.

    Raises:
        OSError: It cannot be used. The text says what to do.
    """
    try:
        with exclusive_or_reading(state, STATE_LOCK) as hindrance:
            private = private_folder(state)
    except OSError as error:
        raise unusable(error, state, "keys and certificates") from None
    if not private:
        log.warning(
            (
                "Other users of this computer can get at %s, where keys and certificates are. "
                "--state chooses another folder."
            ),
            state,
        )
    return hindrance


@contextlib.contextmanager
def locked(path: Path, patience: float | None = None) -> Iterator[None]:
    """Hold a lock between threads and processes; the system gives it back when its holder dies.

    Args:
        patience: Seconds to wait for another holder; LOCK_PATIENCE if not given.

    Raises:
        TimeoutError: Another holder has kept it for so long.
    """
    begin, patience = time.monotonic(), LOCK_PATIENCE if patience is None else patience
    while True:
        descriptor = spares.open(path, os.O_RDWR | os.O_CREAT | _NEVER_A_LINK)
        try:
            if _get_lock(descriptor, path, begin, patience) and _is_at(path, descriptor):
                _give_to_owner(descriptor, path.parent)
                keep_private(path)
                yield
                return
        finally:
            spares.close(descriptor)  # which unlocks it


def hold(path: Path) -> int | None:
    """Hold a file, which others may read meanwhile, until this process ends or closes it
    (`spares.close`).

    Returns:
        Its descriptor; None where another program holds it.

    Raises:
        OSError: It is not there, or cannot be opened for writing.
    """
    begin = time.monotonic()
    descriptor = spares.open(path, os.O_RDWR | _NEVER_A_LINK)
    os.lseek(descriptor, HELD_BYTE, os.SEEK_SET)
    while not _try_lock(descriptor):
        if time.monotonic() - begin > HOLD_PATIENCE:
            spares.close(descriptor)
            return None
        time.sleep(LOCK_POLL)
    return descriptor


def read_held(path: Path, limit: int) -> bytes | None:
    """What a file holds that another program holds at this moment; None where none does, so that
    nothing in it is to be believed.

    Args:
        limit: Bytes that are read at most.

    Raises:
        OSError: It is not there, or cannot be read.
    """
    descriptor = spares.open(path, os.O_RDONLY | _NEVER_A_LINK)
    try:
        data = os.read(descriptor, limit)
        os.lseek(descriptor, HELD_BYTE, os.SEEK_SET)
        return data if _is_held(descriptor) else None
    finally:
        spares.close(descriptor)


def _get_lock(descriptor: int, path: Path, begin: float, patience: float) -> bool:
    """Wait for it; False when the file is another one now, because other users of this computer
    could open it and one may have kept it.
    """
    exposed = _is_exposed(descriptor)
    while not _try_lock(descriptor):
        waited = time.monotonic() - begin
        if exposed and waited > OPEN_LOCK_PATIENCE:
            if not _is_at(path, descriptor):
                return False
            keep_private(path)
            if not _is_exposed(descriptor):
                log.warning(
                    (
                        "%s could be opened by every user of this computer, and was kept "
                        "locked. It is replaced."
                    ),
                    path,
                )
                path.unlink(missing_ok=True)
                return False
            exposed = False  # the file system knows no modes, so they say nothing
        if waited > patience:
            raise TimeoutError(errno.ETIMEDOUT, "another relay keeps it locked", str(path))
        time.sleep(LOCK_POLL)
    return True


def _is_exposed(descriptor: int) -> bool:
    """Whether other users of this computer could open the file."""
    return os.name == "posix" and bool(os.fstat(descriptor).st_mode & 0o077)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the file that was opened is still the one at this path: another process may have
    replaced it meanwhile.
    """
    if os.name != "posix":
        return True  # there, a file that is open cannot be replaced
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _is_held(descriptor: int) -> bool:
        return not _try_lock(descriptor)  # which ends when it is closed

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # A file system that knows no locks, such as some network shares: go on without.
            return True
        return True

    def _is_held(descriptor: int) -> bool:
        try:
            fcntl.flock(
                descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB
            )  # shared, so that those who look do not take each other for the holder
        except BlockingIOError:
            return True
        except OSError:
            return False  # it knows no locks, so nothing is known
        return False
