"""The list of cameras that are gone, in the state folder: so it outlives a stop, a kill and a power
cut.

    {"version": 1, "cameras": [ {"name": "porch", "label": "Porch", "address": "192.168.1.7",
      "reason": "left", "since": 1790000000000}, {"name": "attic", "address": "192.168.1.8"}
    ]}

The longest gone is the first; what has no reason was on the air when this was written. When the
relay is killed, nothing more is written. So the time of the file itself is set once a minute while
a camera is on the air, and the next relay takes that for the time at which those were lost. What
has no label has said none. Fields that are not known are ignored.

All of it happens in a thread, because a disk may take seconds. What goes wrong is said, and tried
again; live pictures go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from groundwork import state_files, tasks
from groundwork.connections.limits import Bucket
from groundwork.names import NAME, told_label

from .gone import REASONS, Departure, Departures

FILE, LOCK = "gone.json", "gone.lock"
"""Names in the state folder.

The lock is held as long as the relay runs: two relays in one folder would write over each other's
list.
"""

VERSION = 1

MAX_FILE = 512 * 2**10
"""Bytes that are read: 350 cameras (gone.MAX_GONE that are gone, limits.MAX_CAMERAS on the air) of
1400 bytes. One takes 650 at most, with a label of 40 emoji, each of which JSON writes in 12.
"""

MAX_ADDRESS = 64
"""Characters of an address: 39 of IPv6, and the name of a network device behind it."""

_LATEST = 2**53
"""Milliseconds since 1970: integers up to here survive JavaScript's numbers."""

TOUCH_INTERVAL = 60.0
"""Seconds between two moments at which the time of the file is set, and after which is tried again
what failed. To the minute is what a person wants to know, and a write in a minute wears no memory
card out.
"""

WRITES_AT_ONCE, WRITE_PAUSE = 20, 10.0
"""Writes that follow their changes at once, and seconds between two after that: where cameras come
and go without end, the file is a little behind.
"""

HANDOVER = 3.0
"""Seconds to wait at the start for the relay that ran before in this folder: it needs two to
stop.
"""

STOP_BUDGET = 0.4
"""Seconds that the relay waits for the last write when it stops.

A write that takes longer is finished before the program ends.
"""

log = logging.getLogger(__name__)


class GoneFile:
    """Keeps a list on the disk."""

    def __init__(self, folder: Path, departures: Departures) -> None:
        """
        Args:
            folder: The state folder.
            departures: The list.
        """
        self._folder, self._path = folder, folder / FILE
        self._departures = departures
        self._news, self._ending = asyncio.Event(), asyncio.Event()
        self._lock, self._holds = contextlib.ExitStack(), False
        self._stored = b""  # what the file holds
        self._said = ""  # why the list is not kept, if it is not
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Add to the list what the relay before this one has left, and keep it from now on."""
        try:
            self._departures.recall(await asyncio.to_thread(self._take_hold, 0.0))
        except TimeoutError:
            pass  # the one before may be just stopping
        except OSError as error:
            self._complain(error)
            self._departures.recall(await asyncio.to_thread(self._read))
        self._departures.changed = self._news.set
        self._news.set()
        self._task = asyncio.create_task(self._keep(), name="gone")

    async def stop(self) -> None:
        """Write down how it is now, within STOP_BUDGET."""
        self._ending.set()
        self._news.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._task, STOP_BUDGET)
        self._lock.close()

    # --- in the event loop ---

    async def _keep(self) -> None:
        pace = Bucket(WRITES_AT_ONCE, WRITE_PAUSE, time.monotonic())
        if not self._holds:
            with contextlib.suppress(OSError):
                self._departures.recall(await asyncio.to_thread(self._take_hold, HANDOVER))
        ends = False
        while not ends:
            await tasks.happens(self._news, TOUCH_INTERVAL)
            await tasks.happens(self._ending, pace.wait(time.monotonic()))
            pace.take(time.monotonic())
            ends = (
                self._ending.is_set()
            )  # what comes now is the last time, and has all that came before
            self._news.clear()
            await self._save()

    async def _save(self) -> None:
        try:
            if not self._holds:
                self._departures.recall(await asyncio.to_thread(self._take_hold, 0.0))
            await asyncio.to_thread(
                self._store,
                list(self._departures),
                self._departures.on_air,
                self._departures.labels,
            )
        except OSError as error:
            self._complain(error)
        else:
            if self._said:
                log.info("Which cameras are gone is kept in %s again.", self._folder)
            self._said = ""

    def _complain(self, error: OSError) -> None:
        """Not of the same twice."""
        why = error.strerror or str(error)
        if why != self._said:
            self._said = why
            log.warning(
                "Which cameras are gone cannot be kept in %s for the next start of the relay: %s.",
                self._folder,
                why,
            )

    # --- in a thread ---

    def _take_hold(self, patience: float) -> list[Departure]:
        """Lock the file for this relay.

        Returns:
            What is in it.

        Raises:
            TimeoutError: Another relay has it.
            OSError: The folder cannot be used.
        """
        state_files.make_folder(self._folder)
        self._lock.enter_context(state_files.locked(self._folder / LOCK, patience))
        self._holds = True
        return self._read()

    def _read(self) -> list[Departure]:
        """What is in the file; nothing where it is none of ours."""
        try:
            if not self._path.exists():
                return []
            if not self._path.is_file():
                raise ValueError("it is no file")
            data, found = state_files.read(self._path, MAX_FILE + 1)
            departures = parse(data, found.st_mtime_ns // 10**6)
        except (OSError, ValueError) as error:
            log.warning(
                "The list of cameras that are gone cannot be read, and begins anew (%s: %s).",
                self._path,
                error,
            )
            return []
        self._stored = data
        return departures

    def _store(
        self, departures: list[Departure], on_air: dict[str, str], labels: dict[str, str]
    ) -> None:
        data, is_there = written(departures, on_air, labels), self._path.is_file()
        if data == self._stored and is_there:
            if on_air:
                os.utime(self._path)
        elif is_there or departures or on_air:  # no file is as good as an empty list
            # Another program that had the lock would remove what is half written.
            with state_files.exclusive(self._folder, state_files.STATE_LOCK):
                state_files.write(self._path, data)
            self._stored = data


def written(
    departures: list[Departure], on_air: dict[str, str], labels: dict[str, str] | None = None
) -> bytes:
    """The file.

    Args:
        departures: Cameras that are gone, the longest gone first.
        on_air: Names of those that are not, and from where they film.
        labels: What people call those, by name, if they have said.
    """
    gone = [
        _entry(one.name, one.label, one.address) | {"reason": one.reason, "since": one.since}
        for one in departures
    ]
    there = [
        _entry(name, (labels or {}).get(name, ""), address) for name, address in on_air.items()
    ]
    lines = ",\n".join(json.dumps(entry) for entry in (*gone, *there))
    return f'{{"version": {VERSION}, "cameras": [\n{lines}\n]}}\n'.encode()


def _entry(name: str, label: str, address: str) -> dict[str, Any]:
    return {"name": name} | ({"label": label} if label else {}) | {"address": address[:MAX_ADDRESS]}


def parse(data: bytes, ended: int) -> list[Departure]:
    """Read the file.

    Args:
        data: What is in it.
        ended: When the relay that wrote it ended, in milliseconds since 1970: what was on the air
            went then.

    Raises:
        ValueError: It is none of ours, or broken. The message goes into a sentence.
    """
    if len(data) > MAX_FILE:
        raise ValueError("it is too large")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if (
        not isinstance(value, dict)
        or value.get("version") != VERSION
        or not isinstance(value.get("cameras"), list)
    ):
        raise ValueError(f"it is no such list of version {VERSION}")
    return [_departure(entry, ended) for entry in value["cameras"]]


def _departure(entry: Any, ended: int) -> Departure:
    if not isinstance(entry, dict):
        raise ValueError("an entry is no camera")
    name, address, label = entry.get("name"), entry.get("address"), entry.get("label", "")
    reason, since = entry.get("reason", "lost"), entry.get("since", ended)
    fits = (
        isinstance(name, str)
        and NAME.fullmatch(name)
        and isinstance(address, str)
        and len(address) <= MAX_ADDRESS
        and isinstance(label, str)
        and reason in REASONS
        and type(since) is int
        and 0 <= since < _LATEST
    )
    if not fits:
        raise ValueError("an entry has an impossible value")
    return Departure(str(name), str(address), str(reason), since, told_label(label) or "")
