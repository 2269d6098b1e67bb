"""Chromium through Playwright, which is only the remote control here: the browser is the system's
own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from typing import cast

from playwright.async_api import BrowserContext, ConsoleMessage, Playwright, async_playwright
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page as PlaywrightPage

from tests.harness.browsers.base import PAGE_DEADLINE, START_DEADLINE, Browser, Page, PageError
from tests.harness.browsers.processes import Family

QUIET = (
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    # A page in the background must go on: a test has a camera and a player open at the same time.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)


class ChromiumPage(Page):
    """A page of Chromium.

    Attributes:
        raw: Playwright's page, for what only it can do.
    """

    def __init__(self, raw: PlaywrightPage) -> None:
        super().__init__()
        self.raw = raw
        raw.on("console", self._on_console)
        raw.on("pageerror", lambda error: self.errors.append(str(error)))

    def _on_console(self, message: ConsoleMessage) -> None:
        text = message.text
        if text.startswith("Failed to load resource"):  # which one is not in the text
            text += f" {message.location['url']}"
        self.console.append(f"{message.type}: {text}")
        if message.type == "error":
            self.errors.append(text)

    async def _run(self, expression: str) -> str:
        try:
            return cast(str, await self.raw.evaluate(expression))
        except PlaywrightError as error:
            raise PageError(error.message) from None

    async def _click(self, css: str) -> None:
        try:
            await self.raw.click(css)
        except PlaywrightError as error:
            raise PageError(error.message) from None

    async def _screenshot(self) -> bytes:
        return await self.raw.screenshot()

    async def resize(self, width: int, height: int) -> None:
        await self.raw.set_viewport_size({"width": width, "height": height})

    async def refresh_console(self) -> None:
        pass  # events do it

    async def close(self) -> None:
        with contextlib.suppress(PlaywrightError):
            await self.raw.close()


class Chromium(Browser):
    """Chromium, headless.

    Args:
        camera: See `Browser`; without it, getUserMedia fails with NotAllowedError.
        init_scripts: See `Browser`.
        arguments: More options for the command line.
    """

    name = "Chromium"
    package = "chromium"

    def __init__(
        self,
        *,
        camera: bool = True,
        init_scripts: Sequence[str] = (),
        arguments: Sequence[str] = (),
    ) -> None:
        super().__init__(camera=camera, init_scripts=init_scripts)
        self.arguments = tuple(arguments)
        self._playwright: Playwright | None = None
        self._context: BrowserContext | None = None

    @classmethod
    def executable(cls) -> str:
        return cls._find("chromium", "chromium-browser", "google-chrome")

    @property
    def context(self) -> BrowserContext:
        """Playwright's browser context, in which all pages live."""
        if self._context is None:
            raise RuntimeError("Chromium is not running")
        return self._context

    @contextlib.asynccontextmanager
    async def profile(self, *init_scripts: str) -> AsyncIterator[Chromium]:
        """Another profile of this browser, as if it were a browser of its own: that would take
        seconds to start.

        Args:
            init_scripts: See `Browser`.
        """
        assert self.context.browser is not None
        one = Chromium(camera=self.camera, init_scripts=init_scripts)
        one.version = self.version
        one._context = await self.context.browser.new_context(ignore_https_errors=True)
        try:
            await one._prepare()
            yield one
        finally:
            with contextlib.suppress(PlaywrightError):  # the browser may have died
                await one._context.close()

    async def _prepare(self) -> None:
        for script in self.init_scripts:
            await self.context.add_init_script(script)

    async def _start(self, family: Family) -> None:
        permission = "--use-fake-ui-for-media-stream" + ("" if self.camera else "=deny")
        arguments = [
            *QUIET,
            "--use-fake-device-for-media-stream",
            permission,
            "--autoplay-policy=no-user-gesture-required",
        ]
        self._playwright = await async_playwright().start()
        # A persistent context, because only its profile can be put where it is certain to be
        # removed.
        self._context = await self._playwright.chromium.launch_persistent_context(
            family.home / "profile",
            executable_path=self.executable(),
            args=[*arguments, *self.arguments],
            chromium_sandbox=os.geteuid() != 0,
            env={**family.environment(HOME=str(family.home))},
            timeout=START_DEADLINE * 1000,
            ignore_https_errors=True,
        )
        if self._context.browser:
            self.version = f"{self.name} {self._context.browser.version}"
        await self._prepare()

    async def _quit(self) -> None:
        try:
            if self._context:
                await self._context.close()
        finally:
            if self._playwright:
                await self._playwright.stop()
            self._playwright = self._context = None

    async def page(self, url: str = "about:blank") -> ChromiumPage:
        page = ChromiumPage(await self.context.new_page())
        self._opened.append(page)
        try:
            await page.raw.goto(url, timeout=PAGE_DEADLINE * 1000)
        except PlaywrightError as error:
            await page.close()
            raise PageError(error.message) from None
        return page
