"""Ends what keys have let in that are revoked, here or by another process, or are over."""

from __future__ import annotations

import asyncio
import contextlib

from drawercam.access import keys
from drawercam.access.grants import Access
from drawercam.access.keys import Keyring
from groundwork import tasks

from .visitors import Book

# Seconds between two looks at the keys: a visit whose key is revoked is out within a second.
KEYS_INTERVAL = 0.25


class KeyWatch:
    """Looks at the keys again and again."""

    def __init__(self, access: Access, book: Book) -> None:
        self._access = access
        self._book = book
        self._ended = access.ring.ended if access.ring is not None else 0  # see Keyring.ended
        self._timer: asyncio.TimerHandle | None = None
        self._settling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look now, and from now on. Without keys there is nothing to look at."""
        ring = self._access.ring
        if ring is not None:
            self._look(ring)

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await tasks.end(self._settling)

    def _look(self, ring: Keyring) -> None:
        ring.refresh()
        if (self._settling is None or self._settling.done()) and ring.owes():
            self._settling = asyncio.create_task(self._settle(ring), name="keys")
        before, self._ended = self._ended, ring.ended
        if before != self._ended and (gone := self._book.dismiss(self._access)):
            keys.log.info("- connections that have ended, because their keys have: %d", gone)
        self._timer = asyncio.get_running_loop().call_later(KEYS_INTERVAL, self._look, ring)

    async def _settle(self, ring: Keyring) -> None:
        """Try again to write down what has been revoked; why it cannot be was said at the first
        time.
        """
        waiting = ring.unwritten
        with contextlib.suppress(OSError):
            await asyncio.to_thread(ring.settle)
            if waiting:
                keys.log.info(
                    "- what was revoked and could not be written down is written down now"
                )
