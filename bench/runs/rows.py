"""The ways of bringing a picture to a page that are compared; those whose camera is a program are
in `programs.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, ClassVar

from bench.actors.stage import Size, Stage
from bench.gauges.cpu import CpuMeter
from bench.gauges.samples import Turn
from tests.harness.browsers import Page, PageError, WaitTimeout

from .steps import steps_table

PICTURE_DEADLINE = 20.0
"""Seconds in which the first picture must be there, on a machine that is busy."""

FULL_SIZE_DEADLINE = 25.0
"""Seconds that WebRTC gets to reach the size that is filmed."""

_ELEMENT = """() => {
    const video = document.querySelector("video");
    const { currentTime, readyState, paused, buffered } = video;
    const range = (_, index) => [buffered.start(index), buffered.end(index)];
    const ranges = Array.from({ length: buffered.length }, range);
    const error = video.error ? video.error.message : null;
    return { currentTime, readyState, paused, ranges, error };
}"""
"""What a `<video>` says about itself."""


class Row(ABC):
    """One way.

    Attributes:
        name: In the table and on the command line.
        sentence: What it is, for people.
    """

    name: ClassVar[str]
    sentence: ClassVar[str]

    @abstractmethod
    async def take(self, stage: Stage, size: Size, warm_up: float, seconds: float) -> Turn:
        """One turn.

        Args:
            warm_up: Seconds with pictures and sound that do not count.
            seconds: Seconds that do.

        Raises:
            PageError: Something in a page went wrong, or no picture came.
        """


class PageRow(Row):
    """From page to page.

    A row opens a camera and a viewer; all else (warming up, measuring, closing) is the same for
    all.
    """

    @abstractmethod
    async def open_viewer(self, stage: Stage, name: str, size: Size) -> Page:
        """Opens the page that watches."""

    @abstractmethod
    async def open_camera(self, stage: Stage, name: str, size: Size) -> Page:
        """Opens the page that films."""

    @abstractmethod
    def carrier(self, stage: Stage) -> int | None:
        """The number of the process that passes the media on, if there is one."""

    async def settle(self, viewer: Page, size: Size) -> None:
        """What a person does before watching, such as switching the sound on; with most rows
        nothing.
        """
        return

    async def detail(self, viewer: Page) -> Any:
        """What the viewer's page says about itself."""
        return None

    async def check(self, camera: Page, viewer: Page) -> str:
        """A sentence on what is not as the row says, although it can be measured; "" when all
        is.
        """
        return ""

    async def steps(self, camera: Page, viewer: Page, report: Mapping[str, Any]) -> str:
        """Where the time went since the report before, as a table, if the pages have taken notes;
        "" if not.
        """
        return ""

    @asynccontextmanager
    async def on_air(self, stage: Stage, size: Size) -> AsyncIterator[tuple[Page, Page]]:
        """The camera and the viewer, with pictures on the screen; both pages are closed
        afterwards.
        """
        name = stage.fresh_name()
        async with AsyncExitStack() as stack:
            viewer = await self.open_viewer(stage, name, size)
            stack.push_async_callback(viewer.close)
            camera = await self.open_camera(stage, name, size)
            stack.push_async_callback(camera.close)
            await viewer.wait_for("bench.arrival().seen !== null", PICTURE_DEADLINE)
            await self.settle(viewer, size)
            yield camera, viewer

    async def take(self, stage: Stage, size: Size, warm_up: float, seconds: float) -> Turn:
        """See Row."""
        async with self.on_air(stage, size) as (camera, viewer):
            await asyncio.sleep(warm_up)
            skew = (await viewer.evaluate("bench.skew()"))["skew"]
            meter = CpuMeter(self.carrier(stage), stage.browser.family)
            for page in (camera, viewer):
                await page.evaluate("globalThis.steps && steps.take(), null")
            await viewer.evaluate("bench.take(), null")
            await asyncio.sleep(seconds)
            report = await viewer.evaluate("bench.take()")
            cpu = meter.seconds()
            steps = await self.steps(camera, viewer, report)
            remark = await self.check(camera, viewer)
            return Turn.of(
                report,
                skew,
                cpu,
                await self.detail(viewer),
                steps,
                remark,
                await camera.evaluate("scene.beeps()"),
            )


class WebRtc(PageRow):
    name = "webrtc"
    sentence = "WebRTC from tab to tab, no server, asked to keep the size of the picture"

    async def settle(self, viewer: Page, size: Size) -> None:
        """WebRTC begins with a quarter of the picture until it knows the network; a quarter of the
        work is no comparison.
        """
        with contextlib.suppress(WaitTimeout):  # if it stays small, the column `shown` says so
            await viewer.wait_for(
                f"document.querySelector('video').videoWidth === {size.width}", FULL_SIZE_DEADLINE
            )

    async def open_viewer(self, stage: Stage, name: str, size: Size) -> Page:
        page = await stage.own_page("webrtc.html", role="viewer", room=name)
        await page.wait_for("document.body.dataset.ready === '1'")
        return page

    async def open_camera(self, stage: Stage, name: str, size: Size) -> Page:
        return await stage.own_page(
            "webrtc.html", role="camera", room=name, width=size.width, height=size.height
        )

    def carrier(self, stage: Stage) -> int | None:
        return None


class Append(PageRow):
    name = "append"
    sentence = "one recorder, timeslice 64 ms, MediaSource that appends everything"

    async def open_viewer(self, stage: Stage, name: str, size: Size) -> Page:
        page = await stage.own_page("append.html", role="viewer", room=name)
        await page.wait_for("document.body.dataset.ready === '1'")
        return page

    async def open_camera(self, stage: Stage, name: str, size: Size) -> Page:
        return await stage.own_page(
            "append.html", role="camera", room=name, width=size.width, height=size.height
        )

    def carrier(self, stage: Stage) -> int | None:
        return stage.own_process

    async def detail(self, viewer: Page) -> Any:
        return await viewer.evaluate(_ELEMENT)


class Shipped(PageRow):
    """camera.html, relay.py and player.html as they are, with one of the camera's encoders and one
    of the player's engines.
    """

    engine: ClassVar[str]
    encoder: ClassVar[str]

    async def open_viewer(self, stage: Stage, name: str, size: Size) -> Page:
        return await stage.player_page(camera=name, engine=self.engine)

    async def open_camera(self, stage: Stage, name: str, size: Size) -> Page:
        return await stage.camera_page(
            name=name, start=1, width=size.width, height=size.height, fps=30, encoder=self.encoder
        )

    def carrier(self, stage: Stage) -> int | None:
        return stage.relay.pid

    async def settle(self, viewer: Page, size: Size) -> None:
        await viewer.click('.tile button[aria-label^="Sound"]')
        await viewer.wait_for("document.querySelector('.tile').dataset.sound === 'on'")

    async def detail(self, viewer: Page) -> Any:
        return await viewer.evaluate("document.querySelector('.tile').tile.stats()")

    async def check(self, camera: Page, viewer: Page) -> str:
        """
        Raises:
            PageError: Another encoder or another engine was at work.
        """
        encoder = await camera.evaluate(
            "document.getElementById('camera')?.dataset.encoder ?? null"
        )
        engine = await viewer.evaluate("document.querySelector('.tile').tile.stats().engine")
        if encoder not in (None, self.encoder):
            raise PageError(
                f"the camera page was asked for encoder={self.encoder} and films with {encoder}"
            )
        if engine != self.engine:
            raise PageError(
                f"the player page was asked for engine={self.engine} and shows with "
                f"{engine or 'none'}"
            )
        return (
            ""
            if encoder
            else f"the camera page does not say (data-encoder) whether it films with {self.encoder}"
        )

    async def steps(self, camera: Page, viewer: Page, report: Mapping[str, Any]) -> str:
        filmed, watched = [
            await page.evaluate("globalThis.steps ? steps.take() : null")
            for page in (camera, viewer)
        ]
        return steps_table(filmed, watched, report) if filmed and watched else ""


class Mse(Shipped):
    name = engine = "mse"
    encoder = "codecs"
    sentence = "camera.html?encoder=codecs, relay.py, player.html with MediaSource"


class FramesRecorder(Shipped):
    name = "frames-recorder"
    engine = "frames"
    encoder = "recorder"
    sentence = "camera.html?encoder=recorder, relay.py, player.html with WebCodecs"


class FramesCodecs(Shipped):
    name = "frames-codecs"
    engine = "frames"
    encoder = "codecs"
    sentence = "camera.html?encoder=codecs, relay.py, player.html with WebCodecs"
