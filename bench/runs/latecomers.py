"""Viewers that come to a camera that has been filming for a while."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack

from bench.actors.stage import Size, Stage
from bench.gauges.samples import FirstPicture
from tests.harness.browsers import PageError, WaitTimeout

from .rows import PICTURE_DEADLINE, Shipped

FILMING = 4.0
"""Seconds of filming before the first viewer comes."""

PAUSE = 0.35
"""Seconds between two viewers, besides what opening and closing takes: no whole number of keyframe
intervals, so that they come at different places between two keyframes.
"""


async def first_pictures(row: Shipped, stage: Stage, size: Size, tries: int) -> list[FirstPicture]:
    """Opens player.html again and again.

    Raises:
        PageError: No picture came, or nobody tells when the player's socket was opened.
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
                await viewer.wait_for("bench.arrival().seen !== null", PICTURE_DEADLINE)
                with contextlib.suppress(WaitTimeout):  # the result says that there was none
                    await viewer.wait_for("bench.arrival().live !== null", PICTURE_DEADLINE)
                first = await viewer.evaluate("bench.arrival()")
            finally:
                await viewer.close()
            if first["opened"] is None:
                raise PageError(
                    "nobody tells when the player's socket was opened: not the page's "
                    "WebSocket, nor the tile's stats().opened"
                )
            live = None if first["live"] is None else first["live"] - first["opened"]
            found.append(FirstPicture(first["seen"] - first["opened"], first["delay"], live))
            await asyncio.sleep(PAUSE)
    return found
