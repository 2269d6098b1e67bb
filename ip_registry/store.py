"""What the registry remembers across a restart: one small table in SQLite.

It is written as a whole, because it has a hundred rows at most; and in a thread, because a flash
card may take a second for what a disk does in a millisecond, and inside a relay nobody's pictures
may wait for that.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from groundwork import state_files

from .messages import Announcement

log = logging.getLogger(__name__)

FILE = "registry.sqlite"

_LOCK_PATIENCE = 5.0
"""Seconds to wait for another program that reads the file."""

_TABLE = """
CREATE TABLE IF NOT EXISTS relays (
    name TEXT PRIMARY KEY, urls TEXT NOT NULL, fingerprint TEXT NOT NULL, ttl INTEGER NOT NULL,
    alive INTEGER NOT NULL, since REAL NOT NULL, seen REAL NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A relay as it is kept: what it said last, whether it was there, when it came and when it was
    last heard (seconds since 1970).
    """

    announcement: Announcement
    alive: bool
    since: float
    seen: float


class Store:
    """The file. Its methods block, and may be called from one thread after another."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[Row]:
        """All rows; a file that is none of ours is moved aside, because relays announce themselves
        anew within seconds.

        Raises:
            OSError: The folder cannot be used.
        """
        state_files.private_folder(self._path.parent)
        try:
            with self._open() as db:
                columns = "name, urls, fingerprint, ttl, alive, since, seen"
                found = db.execute(f"SELECT {columns} FROM relays").fetchall()
            return [
                Row(
                    Announcement(name, tuple(json.loads(urls)), fingerprint, ttl),
                    bool(alive),
                    float(since),
                    float(seen),
                )
                for name, urls, fingerprint, ttl, alive, since, seen in found
            ]
        except sqlite3.OperationalError as error:
            raise OSError(
                None, f"the registry's list cannot be kept: {error}", str(self._path)
            ) from None
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            aside = self._path.with_suffix(".damaged.sqlite")
            log.warning(
                (
                    "The list of relays cannot be read (%s). It was moved to %s, and a new one "
                    "is made."
                ),
                error,
                aside,
            )
            for end in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self._path}{end}").replace(f"{aside}{end}")
            return []

    def save(self, rows: Iterable[Row]) -> None:
        """Replace all rows.

        Raises:
            OSError: They cannot be written; the old ones stay.
        """
        values = [
            (
                said.name,
                json.dumps(said.urls),
                said.fingerprint,
                said.ttl,
                row.alive,
                row.since,
                row.seen,
            )
            for row in rows
            for said in (row.announcement,)
        ]
        try:
            with self._open() as db, db:
                db.execute("DELETE FROM relays")
                db.executemany("INSERT INTO relays VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        except sqlite3.Error as error:
            raise OSError(
                None, f"the registry's list cannot be kept: {error}", str(self._path)
            ) from None

    def _open(self) -> closing[sqlite3.Connection]:
        """Opened for each use: it is seldom, and an open connection would belong to one thread."""
        db = sqlite3.connect(self._path, timeout=_LOCK_PATIENCE)
        try:
            db.execute(_TABLE)
        except BaseException:
            db.close()
            raise
        return closing(db)
