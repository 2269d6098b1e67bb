"""Files of the state folder: whose they are, what a crash leaves, and what happens without room and
without descriptors.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from certs import Authority
from drawercam.access.keys import Keyring
from groundwork import state_files as files
from ip_registry.secret import load_or_create
from ip_registry.store import Store
from tests.harness.relays import ROOT


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


class Disk:
    """A disk that is full: from now on, what lies in a folder may take no more blocks than it
    does.
    """

    def __init__(
        self,
        folder: Path,
        patch: pytest.MonkeyPatch,
        code: int = errno.ENOSPC,
        copies: bool = False,
    ) -> None:
        """
        Args:
            code: What it says.
            copies: It copies what is written over, as btrfs does.
        """
        self.folder = folder
        self.blocks = self.taken()
        write = os.write

        def written(descriptor: int, data: bytes) -> int:
            had, end = (
                os.fstat(descriptor).st_size,
                os.lseek(descriptor, 0, os.SEEK_CUR) + len(data),
            )
            more = blocks(max(had, end)) - blocks(had) + (blocks(min(had, end)) if copies else 0)
            if more > max(0, self.blocks - self.taken()):
                raise OSError(code, os.strerror(code))
            return write(descriptor, data)

        patch.setattr(os, "write", written)

    def taken(self) -> int:
        return sum(blocks(path.stat().st_size) for path in self.folder.iterdir())


def blocks(size: int) -> int:
    return -(-size // files.BLOCK)


class Hindered:
    """From now on, nothing that lies in a folder can be opened for writing, until it is `over`."""

    def __init__(
        self,
        folder: Path,
        patch: pytest.MonkeyPatch,
        code: int = errno.EROFS,
        new_ones: bool = False,
    ) -> None:
        """
        Args:
            code: What the system says.
            new_ones: Files that are there can be, as on a full disk.
        """
        self.over, open_ = False, os.open

        def opened(path: str | Path, flags: int, *more: int, **options: int) -> int:
            writes = (
                flags & os.O_EXCL if new_ones else flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            )
            if writes and not self.over and Path(path).is_relative_to(folder):
                raise OSError(code, os.strerror(code), str(path))
            return open_(path, flags, *more, **options)

        patch.setattr(os, "open", opened)


# --- whose they are ---


@pytest.mark.parametrize("mask", [0, 0o002, 0o022])
@pytest.mark.parametrize("creator", ["keys", "certificates", "secret", "list", "start"])
def test_the_state_folder_is_its_owners_from_its_first_moment(
    tmp_path: Path, creator: str, mask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever makes it first, and also the folders above it that were missing."""
    state = tmp_path / "above" / "state"
    made: list[int] = []
    mkdir = Path.mkdir

    def watched(path: Path, *arguments: object, **options: object) -> None:
        mkdir(path, *arguments, **options)  # type: ignore[arg-type]
        made.append(mode(path))

    monkeypatch.setattr(Path, "mkdir", watched)
    with umask(mask):
        creators: dict[str, Callable[[], object]] = {
            "keys": lambda: Keyring.open(state),
            "certificates": lambda: Authority(state / "certs").ensure([], []),
            "secret": lambda: load_or_create(state / "registry-secret"),
            "list": lambda: Store(state / "registry.sqlite").load(),
            "start": lambda: files.take_over(state),
        }
        creators[creator]()
    assert len(made) >= 2 and set(made) == {0o700} and mode(state) == 0o700
    for lock in (state / files.STATE_LOCK, state / "certs" / "lock"):
        assert not lock.exists() or mode(lock) == 0o600


def test_a_folder_of_the_version_before_is_corrected_at_the_next_start(tmp_path: Path) -> None:
    state = tmp_path / "state"
    Keyring.open(state)
    Authority(state / "certs").ensure([], [])
    remnants = [state / ".new-k9x2_abc", state / ".new-q", state / "certs" / ".new-zz"]
    for remnant in remnants:
        remnant.write_text("half a key")
    for path, was in (
        (state, 0o755),
        (state / "keys.lock", 0o644),
        (state / "certs", 0o755),
        (state / "certs" / "lock", 0o644),
    ):
        path.chmod(was)
    files.take_over(state)
    Authority(state / "certs").ensure([], [])
    assert [
        mode(path)
        for path in (state, state / "keys.lock", state / "certs", state / "certs" / "lock")
    ] == [0o700, 0o600, 0o700, 0o600]
    assert not any(remnant.exists() for remnant in remnants)


def test_what_is_being_written_is_no_remnant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that starts meanwhile waits for the lock before it removes anything."""
    Keyring.open(tmp_path)
    cleaner = threading.Thread(target=files.take_over, args=(tmp_path,))
    with files.locked(tmp_path / files.STATE_LOCK):
        (tmp_path / ".new-now").write_text("on its way")
        cleaner.start()
        time.sleep(3 * files.LOCK_POLL)
        assert (tmp_path / ".new-now").exists()
        (tmp_path / ".new-now").rename(tmp_path / "there")
    cleaner.join()
    assert (tmp_path / "there").exists()


def test_a_folder_for_everything_is_let_be_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shared, home = tmp_path / "tmp", tmp_path / "home"
    for folder, was in ((shared, 0o1777), (home, 0o755)):
        folder.mkdir()
        folder.chmod(was)
    monkeypatch.setattr(Path, "home", lambda: home)
    for folder, was in ((shared, 0o1777), (home, 0o755)):
        caplog.clear()
        files.take_over(folder)
        assert (
            mode(folder) == was
            and "Other users" in caplog.text
            and mode(folder / files.STATE_LOCK) == 0o600
        )


def test_a_folder_that_everybody_could_change_is_closed_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    files.take_over(state)
    assert mode(state) == 0o700 and "every user of this computer could change" in caplog.text


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    state = tmp_path / "state"
    state.mkdir()
    (state / files.STATE_LOCK).symlink_to(elsewhere)
    with pytest.raises(OSError, match="--state"):
        files.take_over(state)
    assert not elsewhere.exists()


def test_a_lock_that_others_could_open_blocks_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the version before, whose lock everybody could open for reading, and so keep."""
    monkeypatch.setattr(files, "OPEN_LOCK_PATIENCE", 0.05)
    lock = tmp_path / "keys.lock"
    lock.touch()
    lock.chmod(0o644)
    with lock.open() as stranger:
        fcntl.flock(stranger, fcntl.LOCK_EX)
        with files.locked(lock):
            assert mode(lock) == 0o600
            with pytest.raises(BlockingIOError), lock.open() as other:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert "is replaced" in caplog.text


def test_a_lock_that_its_owner_alone_can_open_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "OPEN_LOCK_PATIENCE", 0.0)
    monkeypatch.setattr(files, "LOCK_PATIENCE", 0.05)
    with (
        files.locked(tmp_path / "lock"),
        pytest.raises(TimeoutError),
        files.locked(tmp_path / "lock"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_writes_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    """`sudo relay.py keys revoke` must not leave keys that the relay cannot read."""
    os.chown(tmp_path, 12345, 12345)
    Keyring.open(tmp_path)
    assert {path.stat().st_uid for path in tmp_path.iterdir()} == {12345} and (
        tmp_path / "keys.reserve"
    ).exists()


# --- without room ---


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_reserve_makes_room_for_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, copies: bool
) -> None:
    file, reserve = tmp_path / "file", tmp_path / "reserve"
    file.write_text("old")
    files.keep_reserve(reserve, 10)
    assert (
        mode(reserve) == 0o600
        and reserve.stat().st_size == files.BLOCK <= reserve.stat().st_blocks * 512
    )
    with monkeypatch.context() as patch:
        disk = Disk(tmp_path, patch, code, copies)
        with pytest.raises(OSError, match=os.strerror(code)):
            files.write(file, b"new")
        assert file.read_text() == "old"
        files.write(file, b"new", reserve=reserve)
        assert file.read_text() == "new" and not reserve.exists() and mode(file) == 0o600
        disk.blocks = disk.taken()
        with pytest.raises(OSError, match=os.strerror(code)):
            files.write(file, b"newer", reserve=reserve)
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is left behind"
    assert file.read_text() == "new"


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
def test_whatever_fails_the_old_content_stays_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    file = tmp_path / "file"
    file.write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path if step == "replace" else os, step, fail)
        with pytest.raises(OSError, match="Input/output"):
            files.write(file, b"new")
    assert file.read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["file"]


# --- without descriptors ---

EXHAUSTED = """
import errno, json, os, resource, sys, threading
from pathlib import Path
from groundwork import state_files as files
from drawercam.access.keys import Keyring

state = Path(sys.argv[1])
ring = Keyring.open(state)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
files.spares.keep()
taken, stop = [], threading.Event()

def take():
    while True:
        try:
            taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            assert error.errno == errno.EMFILE
            return

def snatch():  # what other threads of a relay do: they open files, close them, and take nothing for good
    while not stop.is_set():
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass

take()
thieves = [threading.Thread(target=snatch) for _ in range(2)]
for thief in thieves:
    thief.start()
print("exhausted", flush=True)
told = []
for line in sys.stdin:
    word, *rest = line.split()
    if word == "look":
        for _ in range(20):  # five seconds of looks
            ring.refresh()
            if rest[0] not in [key.id for key in ring.live]:
                break
    elif word == "revoke":
        ring.revoke(rest[0])
    take()  # connections that come take whatever is left
    print(json.dumps([sorted(key.id for key in ring.live), files.spares.held]), flush=True)
stop.set()
"""


def test_a_lack_of_descriptors_hides_no_revocation(tmp_path: Path) -> None:
    """Other threads open files all the time, and connections take every descriptor that comes
    free.
    """
    other = Keyring.open(tmp_path)
    made = [other.add(*(other.keys[0].publish,) * 2).id for _ in range(6)]
    command = [sys.executable, "-c", EXHAUSTED, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as program:
        assert program.stdin is not None and program.stdout is not None
        assert program.stdout.readline() == "exhausted\n"
        for number, identifier in enumerate(made):
            if number % 2 == 0:
                other.revoke(identifier)
            program.stdin.write(f"{'revoke' if number % 2 else 'look'} {identifier}\n")
            program.stdin.flush()
            live, held = json.loads(program.stdout.readline())
            other.refresh()
            assert identifier not in live and held > 0
            assert identifier not in [key.id for key in other.keys], "and it is written down"


def test_spare_descriptors_come_back_and_are_no_more_than_wanted(tmp_path: Path) -> None:
    spares = files.Spares()
    assert spares.held == 0, "a process that does not ask for it keeps none"
    spares.keep(3)
    try:
        file = tmp_path / "file"
        file.write_text("x")
        with spares.lent(2):
            assert spares.held == 1
            first, second = spares.open(file, os.O_RDONLY), spares.open(file, os.O_RDONLY)
            spares.close(first)
            assert spares.held == 2 and not os.get_inheritable(first)
            assert os.path.samestat(os.fstat(first), Path(os.devnull).stat()), (
                "it holds no file, so no disk is kept busy by it"
            )
        assert spares.held == 3
        spares.close(second)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(second)
        assert spares.held == 3
    finally:
        spares.keep(0)
    assert spares.held == 0


# --- where nothing can be written ---


@pytest.mark.parametrize("code", files.HINDRANCES)
def test_a_folder_that_takes_nothing_is_taken_over_and_one_that_is_missing_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    state = tmp_path / "state"
    assert files.take_over(state) is None
    Hindered(tmp_path, monkeypatch, code)
    hindrance = files.take_over(state)
    assert hindrance is not None and hindrance.errno == code
    said = files.unwritable(hindrance, state)
    assert said.startswith(f"Nothing can be written into {state}: {os.strerror(code)}. ")
    assert said.endswith(" or choose another folder with --state.")

    def refuse(path: Path, *more: object, **options: object) -> None:
        assert path.is_relative_to(tmp_path)
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(
        OSError,
        match=r"keys and certificates cannot be kept, .* or choose another folder with --state: ",
    ) as failed:
        files.take_over(tmp_path / "new" / "state")
    assert failed.value.filename == str(tmp_path / "new")


def test_what_is_no_folder_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch(mode=0o644)
    with pytest.raises(OSError, match="A file is where a folder should be"):
        files.take_over(file)
    assert mode(file) == 0o644


def test_a_lock_that_is_kept_is_no_reason_to_go_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LOCK_PATIENCE", 0.05)
    with (
        files.locked(tmp_path / "lock"),
        pytest.raises(TimeoutError),
        files.exclusive_or_reading(tmp_path, "lock"),
    ):
        raise AssertionError("it is another's")


def test_advice_fits_the_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def of(code: int, folder: Path = tmp_path) -> str:
        return files.advice(OSError(code, os.strerror(code)), folder)

    assert of(errno.EROFS).startswith("Its disk is read-only.")
    assert of(errno.ENOSPC).startswith("Its disk is full.") and of(errno.EDQUOT) == of(errno.ENOSPC)
    assert of(errno.EIO).startswith("Its disk has a fault")
    assert of(errno.ENOTDIR).startswith("A file is where a folder should be.")
    assert of(errno.ENAMETOOLONG) == "Choose another folder with --state"
    mine = tmp_path / "my state"
    mine.mkdir(mode=0o500)
    assert (
        of(errno.EACCES, mine / "new")
        == f"Its mode forbids it. Type: chmod u+rwx '{mine}', or choose another folder with --state"
    )
    mine.chmod(0o700)
    assert of(errno.EPERM, mine).startswith("This user may not write there.")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    owner = files._user(mine.stat().st_uid)
    assert of(errno.EACCES, mine) == (
        f"{mine} belongs to {owner}. Start this as that user (sudo -u {owner} ...), or "
        "choose another folder with --state"
    )
    assert files._user(987654) == "#987654"
