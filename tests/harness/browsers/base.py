"""What all browsers can do, and what is the same in all of them."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.harness.browsers.processes import Family

START_DEADLINE = 60.0
"""Seconds in which a browser must have started; the first start after an installation fills
caches.
"""

PAGE_DEADLINE = 30.0
"""Seconds in which a page must have loaded."""

SCRIPT_DEADLINE = 60.0
"""Seconds that one evaluated script may take."""

ELEMENT_DEADLINE = 30.0
"""Seconds in which an element must appear before it can be clicked or filled."""

QUIT_GRACE = 5.0
"""Seconds that a browser may take to quit before it is killed."""

POLL = 0.05
"""Seconds between two looks at a condition, at first.

Each look costs all processes together some milliseconds.
"""

MOST_POLL = 0.1
"""Seconds between two looks at a condition that takes its time."""


class BrowserMissing(Exception):
    """A browser is not installed.

    The text is a sentence that says how to get it, by default from a package of Debian.
    """

    def __init__(self, name: str, package: str, remedy: str = "") -> None:
        super().__init__(
            f"{name} is not installed; {remedy or f'on Debian: apt install {package}'}"
        )
        self.package = package


class PageError(Exception):
    """A script threw, an element was not there, or a page did not load."""


class WaitTimeout(PageError):
    """A condition did not become true in time."""


class Page(ABC):
    """One window or tab.

    Attributes:
        console: What the page has logged, as `level: text`, oldest first.
        errors: Uncaught exceptions, unhandled rejections and `console.error` calls among it.
    """

    def __init__(self) -> None:
        self.console: list[str] = []
        self.errors: list[str] = []

    @abstractmethod
    async def _run(self, expression: str) -> str:
        """Evaluates an expression whose value is a promise of a string."""

    @abstractmethod
    async def _click(self, css: str) -> None:
        """Clicks the middle of an element that exists, as a person would."""

    @abstractmethod
    async def _screenshot(self) -> bytes:
        """The visible part of the page as PNG."""

    @abstractmethod
    async def resize(self, width: int, height: int) -> None:
        """Gives the page a visible area of this many CSS pixels."""

    @abstractmethod
    async def close(self) -> None:
        """Closes the page; closing it again does nothing."""

    @abstractmethod
    async def refresh_console(self) -> None:
        """Brings `console` and `errors` up to date where the browser does not report by itself."""

    async def evaluate(self, script: str, *arguments: object) -> Any:
        """Runs JavaScript in the page, also under a Content-Security-Policy without `unsafe-eval`.

        Args:
            script: An expression, which may use `await`; if its value is a function, that is called
                with the arguments and awaited.
            arguments: JSON values.

        Returns:
            The JSON value of the result; None for undefined.

        Raises:
            PageError: The script threw; the text has the page's own error and stack.
        """
        answer = json.loads(await self._run(_wrap(script, arguments)))
        if "thrown" in answer:
            raise PageError(answer["thrown"])
        return answer.get("value")

    async def click(self, css: str) -> None:
        """Clicks the first element that matches, once it is there and visible, with real input
        events.

        Raises:
            PageError: There is none within `ELEMENT_DEADLINE`.
        """
        await self.wait_for(
            f"Array.from(document.querySelectorAll({json.dumps(css)}), {_VISIBLE})[0]",
            ELEMENT_DEADLINE,
        )
        await self._click(css)

    async def fill(self, css: str, text: str) -> None:
        """Gives an input, text area or select this value, with the events that typing it would
        cause.
        """
        await self.wait_for(f"document.querySelector({json.dumps(css)}) !== null", ELEMENT_DEADLINE)
        await self.evaluate(_FILL, css, text)

    async def screenshot(self, path: str | Path | None = None) -> bytes:
        """Takes a picture of the visible part of the page.

        Args:
            path: Where to keep it.

        Returns:
            The PNG file's bytes.
        """
        png = await self._screenshot()
        if path is not None:
            await asyncio.to_thread(Path(path).write_bytes, png)
        return png

    async def wait_for(self, condition: str, timeout: float = 10.0) -> Any:  # noqa: ASYNC109 - it polls, and says what it saw last
        """Waits until an expression is truthy.

        Args:
            condition: As `evaluate` takes it.
            timeout: Seconds.

        Returns:
            The value of the expression.

        Raises:
            WaitTimeout: It was not; the text tells the last value and what the page has logged.
        """
        deadline, pause = time.monotonic() + timeout, POLL
        while True:
            last: object
            try:
                last = value = await self.evaluate(condition)
            except PageError as error:
                last, value = error, None
            if value:
                return value
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(pause)
            pause = min(MOST_POLL, pause * 1.1)
        raise WaitTimeout(await self._failure(condition, timeout, last))

    async def _failure(self, condition: str, timeout: float, last: object) -> str:  # noqa: ASYNC109 - a number to report
        await self.refresh_console()
        try:
            where = await self.evaluate("`${location.href} (${document.readyState})`")
        except PageError as error:
            where = f"a page that does not answer: {error}"
        lines = [
            f"not true within {timeout:g} s: {condition}",
            f"  last value: {last!r}",
            f"  at {where}",
        ]
        lines += [f"  error: {text}" for text in self.errors]
        lines += [f"  console: {text}" for text in self.console[-20:]]
        return "\n".join(lines)


class Browser(ABC):
    """A browser that is started by `async with` and gone afterwards.

    Args:
        camera: Whether pages may use the fake camera and microphone; otherwise getUserMedia is
            refused.
        init_scripts: JavaScript that runs in every page before its own scripts.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    """What to install on Debian."""

    def __init__(self, *, camera: bool = True, init_scripts: Sequence[str] = ()) -> None:
        self.camera = camera
        self.init_scripts = tuple(init_scripts)
        self.version = ""
        self._family: Family | None = None
        self._opened: list[Page] = []

    @classmethod
    @abstractmethod
    def executable(cls) -> str:
        """The program's path.

        Raises:
            BrowserMissing: It is not installed.
        """

    @classmethod
    def missing(cls) -> str | None:
        """The sentence with which to skip a test, or None if the browser is there."""
        try:
            cls.executable()
        except BrowserMissing as error:
            return str(error)
        return None

    @classmethod
    def _find(cls, *names: str) -> str:
        for name in names:
            if path := shutil.which(name):
                return path
        raise BrowserMissing(cls.name, cls.package)

    @abstractmethod
    async def _start(self, family: Family) -> None:
        """Starts the program and learns its version."""

    @abstractmethod
    async def _quit(self) -> None:
        """Asks the program to quit; may fail in any way, the family is ended afterwards."""

    @abstractmethod
    async def page(self, url: str = "about:blank") -> Page:
        """Opens a page and waits for its load event.

        Raises:
            PageError: It did not load.
        """

    async def close_pages(self) -> None:
        """Closes what `page` has opened: the browser is as good as new for a test that has no
        secrets.
        """
        opened, self._opened = self._opened, []
        for page in opened:
            await page.close()

    @property
    def family(self) -> Family:
        """The browser's processes."""
        if self._family is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._family

    async def start(self) -> None:
        """Starts the browser; `async with` does it.

        Raises:
            BrowserMissing: It is not installed.
            TimeoutError: It did not start within `START_DEADLINE`.
        """
        self.executable()
        self._family = Family()
        try:
            async with asyncio.timeout(START_DEADLINE):
                await self._start(self._family)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Ends the browser with all its processes; ending it again does nothing."""
        family, self._family = self._family, None
        if family is None:
            return
        family.alive()  # remembers those that are about to lose their parents
        try:
            async with asyncio.timeout(QUIT_GRACE):
                await self._quit()
        except Exception:
            # A browser that has crashed cannot be asked any more; killing is what the next line is
            # for.
            await family.end(0)
        else:
            await family.end(QUIT_GRACE)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()


def _wrap(script: str, arguments: Sequence[object]) -> str:
    """An expression whose value is a promise of a JSON text, the same for every browser's own way
    of evaluating, in ES2018.
    """
    return (
        "(async () => { try {"
        f" let value = (\n{script}\n);"
        f" if (typeof value === 'function') value = await value(...{json.dumps(list(arguments))});"
        " return JSON.stringify({ value: await value });"
        " } catch (error) { return JSON.stringify({ thrown: `${error}\\n${error && "
        "error.stack || ''}` }); } })()"
    )


_VISIBLE = "(element) => element.getClientRects().length > 0"

_FILL = """(css, text) => {
    const element = document.querySelector(css);
    element.focus();
    // The prototype's own setter, because a page may have put one of its own on the element.
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(element), "value").set.call(element, text);
    element.dispatchEvent(new InputEvent("input", { bubbles: true, data: text, inputType: "insertText" }));
    element.dispatchEvent(new Event("change", { bubbles: true }));
}"""
