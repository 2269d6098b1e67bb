"""How tasks wait."""

from __future__ import annotations

import asyncio

import pytest

from groundwork.tasks import happens


async def test_an_event_ends_the_wait_and_so_does_the_time() -> None:
    event = asyncio.Event()
    await happens(event, 0.01)
    assert not event.is_set()
    event.set()
    for seconds in (None, 60.0, 0.0):
        await happens(event, seconds)


async def test_a_wait_that_is_cancelled_says_so() -> None:
    waiting = asyncio.create_task(happens(asyncio.Event(), None))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
