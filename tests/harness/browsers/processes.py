"""The processes of one browser: told apart by a mark in their environment, and ended without
exception.

A browser is a tree that does not stay one: crash handlers and helpers detach, so neither the
process group nor the parent tells who belongs to it. The environment is inherited by all of them.
Some processes write their title over it (Chromium's renderers), therefore the descendants of marked
processes count too, and whoever was seen once is remembered.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import shutil
import signal
import tempfile
import time
import uuid
import weakref
from dataclasses import dataclass
from pathlib import Path

MARK = "DRAWERCAM_TEST_BROWSER"
"""The environment variable that holds a family's identity."""

KILL_DEADLINE = 30.0
"""Seconds that a killed process may take to disappear; the kernel needs milliseconds, a machine
under load more.
"""

POLL = 0.05
"""Seconds between two looks at `/proc`."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process, not to be mistaken for a later one with the same number.

    Attributes:
        pid: Its number.
        started: Clock ticks since boot, field 22 of `/proc/<pid>/stat` (proc(5)).
    """

    pid: int
    started: int


def _snapshot() -> dict[Process, int]:
    """All processes that are not zombies, and the number of the parent of each."""
    found: dict[Process, int] = {}
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            text = (directory / "stat").read_text(errors="replace")
        except OSError:
            continue  # it ended while we looked
        # The second field is the name in brackets and may itself contain blanks and brackets.
        state, parent, *rest = text.rpartition(")")[2].split()
        if state not in "ZX":
            found[Process(int(directory.name), int(rest[17]))] = int(parent)
    return found


def _carries(process: Process, entry: bytes) -> bool:
    try:
        return entry in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


class Family:
    """All processes of one browser, and the directory that they may write to.

    Attributes:
        home: A temporary directory, removed by `end`.
    """

    def __init__(self) -> None:
        self._mark = uuid.uuid4().hex
        self._known: set[Process] = set()
        self.home = Path(tempfile.mkdtemp(prefix="drawercam-browser-"))
        _families.add(self)

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment in which every process of the family has to be started."""
        return {**os.environ, **extra, MARK: self._mark}

    def alive(self) -> set[Process]:
        """The members that run now."""
        processes = _snapshot()
        entry = f"{MARK}={self._mark}".encode()
        members = {
            process for process in processes if process in self._known or _carries(process, entry)
        }
        numbers = {process.pid for process in members}
        growing = True
        while growing:
            children = {
                process for process, parent in processes.items() if parent in numbers
            } - members
            members |= children
            numbers |= {process.pid for process in children}
            growing = bool(children)
        self._known |= members
        return members

    async def end(self, grace: float) -> None:
        """Waits for the members to end by themselves, then kills the rest and removes the
        directory.

        Args:
            grace: Seconds to wait; the browser has been asked to quit before.

        Raises:
            RuntimeError: A process survived SIGKILL.
        """
        deadline = time.monotonic() + grace
        while self.alive() and time.monotonic() < deadline:  # noqa: ASYNC110 - other processes set no asyncio.Event
            await asyncio.sleep(POLL)
        self.kill()
        deadline = time.monotonic() + KILL_DEADLINE
        while left := self.alive():
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"processes {sorted(process.pid for process in left)} survived SIGKILL"
                )
            self.kill()  # one may have been born meanwhile
            await asyncio.sleep(POLL)
        self._forget()

    def kill(self) -> None:
        """Kills all members at once."""
        for process in self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def _forget(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        _families.discard(self)


_families: weakref.WeakSet[Family] = weakref.WeakSet()


@atexit.register
def _kill_all() -> None:
    """A test run that is interrupted leaves nothing behind either."""
    for family in list(_families):
        family.kill()
        family._forget()
