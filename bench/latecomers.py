"""Viewers that come to a camera that has been filming for a while."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from .rows import PICTURE_DEADLINE, Shipped
from .samples import FirstPicture
from .stage import Size, Stage

FILMING = 2.0
"""Seconds of filming before the first viewer comes."""

PAUSE = 0.35
"""Seconds between two viewers, besides what opening and closing takes: no whole number of keyframe intervals, so that they come at
different places between two keyframes."""


async def first_pictures(row: Shipped, stage: Stage, size: Size, tries: int) -> list[FirstPicture]:
    """Opens player.html again and again.

    Raises:
        PageError: No picture came.
    """
    found: list[FirstPicture] = []
    name = stage.fresh_name()
    async with AsyncExitStack() as stack:
        camera = await row.open_camera(stage, name, size)
        stack.push_async_callback(camera.close)
        await asyncio.sleep(FILMING)
        for _ in range(tries):
            viewer = await row.open_viewer(stage, name, size)
            try:
                await viewer.wait_for("bench.first.seen !== null", PICTURE_DEADLINE)
                first = await viewer.evaluate("bench.first")
            finally:
                await viewer.close()
            found.append(FirstPicture(first["seen"] - first["opened"], first["delay"]))
            await asyncio.sleep(PAUSE)
    return found
