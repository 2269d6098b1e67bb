"""Visits that end with their keys, without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from drawercam.access.grants import Access, Grant, Right
from drawercam.access.key import ALL, NOTHING
from drawercam.access.keys import Keyring
from drawercam.protocol.close_reasons import Reason
from drawercam.server.admission import key_watch
from drawercam.server.admission.key_watch import KeyWatch
from drawercam.server.admission.visitors import Admission, Book


class Visit:
    """Somebody who is in by a key."""

    counts = True

    def __init__(self, book: Book, grant: Grant) -> None:
        self.admission = Admission(grant, Right.WATCH, "porch", "192.0.2.1")
        self.ended: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()
        self._book = book

    def dismiss(self, why: Reason) -> None:
        self._book.leave(self)
        self.ended.set_result(why)


async def test_a_visit_ends_when_its_key_is_revoked_by_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_watch, "KEYS_INTERVAL", 0.01)
    ring, other = Keyring.open(tmp_path), Keyring.open(tmp_path)
    good, bad = ring.add(NOTHING, ALL), ring.add(NOTHING, ALL)
    ring.refresh()
    book = Book()
    visits = [Visit(book, Grant.of([key])) for key in (good, bad)]
    for visit in visits:
        book.enter(visit)
    watch = KeyWatch(Access(ring), book)
    watch.start()
    try:
        other.refresh()
        other.revoke(bad.id)
        async with asyncio.timeout(20):
            assert await visits[1].ended is Reason.REVOKED
        assert not visits[0].ended.done() and book.sockets.total == 1
    finally:
        await watch.stop()


async def test_without_keys_nothing_is_looked_at() -> None:
    watch = KeyWatch(Access(None), Book())
    watch.start()
    await watch.stop()
    assert watch._timer is None
