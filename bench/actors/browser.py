"""The browser of the bench: Chromium, every page in a window of its own and with the scene, the
reader of painted clocks and the ears.
"""

from __future__ import annotations

import os

from playwright.async_api import Browser as PlaywrightBrowser
from playwright.async_api import BrowserContext, Playwright, async_playwright
from playwright.async_api import Error as PlaywrightError

from tests.harness.browsers import Browser, Chromium, ChromiumPage, PageError
from tests.harness.browsers.base import PAGE_DEADLINE, START_DEADLINE
from tests.harness.browsers.chromium import QUIET
from tests.harness.browsers.processes import Family

from .pageserver import PAGES

SCRIPTS = ("clock.js", "scene.js", "ears.js", "viewer.js")
"""What runs in every page before its own scripts, in this order.

They are classic scripts: modules could not run first.
"""

STEPS_SCRIPT = "steps.js"
"""What runs after them when the steps are to be measured, too."""


def together(*names: str) -> str:
    """The text of these files of `pages/`, one after the other."""
    return "\n".join((PAGES / name).read_text(encoding="utf-8") for name in names)


class BenchChromium(Browser):
    """Chromium with windows.

    Two tabs of one window both count as visible in headless mode, but only the one in front is
    drawn: the other's animation frames come once a second as soon as it paints anything. A viewer
    and a camera are on two screens, so each page has its own window.

    Args:
        headed: Whether the windows are shown; needs a display.
        steps: Whether the pages note when a picture passes from step to step.
    """

    name = Chromium.name
    package = Chromium.package

    def __init__(self, *, headed: bool = False, steps: bool = False) -> None:
        super().__init__(init_scripts=[together(*SCRIPTS, *([STEPS_SCRIPT] if steps else []))])
        self.headed = headed
        self._playwright: Playwright | None = None
        self._context: BrowserContext | None = None

    @classmethod
    def executable(cls) -> str:
        return Chromium.executable()

    @property
    def _running(self) -> tuple[BrowserContext, PlaywrightBrowser]:
        if self._context is None or self._context.browser is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._context, self._context.browser

    async def _start(self, family: Family) -> None:
        self._playwright = await async_playwright().start()
        self._context = await self._playwright.chromium.launch_persistent_context(
            family.home / "profile",
            executable_path=self.executable(),
            headless=not self.headed,
            args=[*QUIET, "--autoplay-policy=no-user-gesture-required"],
            chromium_sandbox=os.geteuid() != 0,
            env={**family.environment(HOME=str(family.home))},
            bypass_csp=True,  # the listener of ears.js comes from a blob
            timeout=START_DEADLINE * 1000,
        )
        context, browser = self._running
        self.version = f"{self.name} {browser.version}"
        for script in self.init_scripts:
            await context.add_init_script(script)

    async def _quit(self) -> None:
        try:
            if self._context:
                await self._context.close()
        finally:
            if self._playwright:
                await self._playwright.stop()
            self._playwright = self._context = None

    async def page(self, url: str = "about:blank") -> ChromiumPage:
        """Opens a page in a new window and waits for its load event.

        Raises:
            PageError: It did not load.
        """
        context, browser = self._running
        devtools = await browser.new_browser_cdp_session()
        try:
            async with context.expect_page() as opened:
                await devtools.send(
                    "Target.createTarget", {"url": "about:blank", "newWindow": True}
                )
            page = ChromiumPage(await opened.value)
        finally:
            await devtools.detach()
        try:
            await page.raw.goto(url, timeout=PAGE_DEADLINE * 1000)
        except PlaywrightError as error:
            await page.close()
            raise PageError(error.message) from None
        return page
