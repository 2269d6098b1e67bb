"""Tasks that run as long as a part of the relay does: how they wait, and how they end."""

from __future__ import annotations

import asyncio
import contextlib


async def end(task: asyncio.Task[None] | None) -> None:
    """Cancel a task, if there is one, and wait for what it does last."""
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def happens(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for an event, for so many seconds at most; None for as long as it takes.

    `asyncio.wait_for` may swallow a cancellation.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
