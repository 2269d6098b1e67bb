"""WebKitGTK's MiniBrowser through its own WebDriver (https://www.w3.org/TR/webdriver2/): the
nearest relative of Safari that Linux has.

WebKitWebDriver knows no scripts that run before the page's own and no log, so `console` and
`errors` begin with the load event.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import aiohttp

from tests.harness.browsers import gstreamer
from tests.harness.browsers.base import (
    PAGE_DEADLINE,
    SCRIPT_DEADLINE,
    Browser,
    BrowserMissing,
    Page,
    PageError,
)
from tests.harness.browsers.processes import Family

SCREEN = "1920x1200x24"
"""Width, height and bits per pixel of the virtual screen: large enough for a desktop window and a
tall phone.
"""

MINI_BROWSERS = ("webkit2gtk-4.1", "webkitgtk-6.0", "webkit2gtk-4.0")
"""Where Debian and Ubuntu keep MiniBrowser, below a directory of the architecture."""

ELEMENT_KEY = "element-6066-11e4-a52e-4f735466cecf"
"""The web element identifier (WebDriver section 12)."""

POLL = 0.05
"""Seconds between two tries to reach the driver while it starts."""


class _Driver:
    """One WebDriver session.

    Commands go to the current window, therefore they wait for one another.
    """

    def __init__(self, http: aiohttp.ClientSession, address: str) -> None:
        self._http = http
        self._address = address
        self._lock = asyncio.Lock()
        self._session = ""
        self._window = self._anchor = ""

    async def begin(self, capabilities: Mapping[str, Any]) -> dict[str, Any]:
        """Opens the session and returns the browser's capabilities."""
        answer = await self._request(
            "POST", "/session", {"capabilities": {"alwaysMatch": capabilities}}
        )
        self._session = f"/session/{answer['sessionId']}"
        self._anchor = str(await self.look("window"))
        return cast(dict[str, Any], answer["capabilities"])

    async def window(self) -> str:
        """Opens a window and returns its handle.

        The browser's first window stays empty: without one, no other can be opened.
        """
        async with self.on(self._anchor):
            return str((await self.command("window/new", type="window"))["handle"])

    @contextlib.asynccontextmanager
    async def on(self, window: str) -> AsyncIterator[None]:
        """Makes a window the current one for as long as the block runs."""
        async with self._lock:
            if window != self._window:
                await self.command("window", handle=window)
                self._window = window
            yield

    async def command(self, path: str, **parameters: Any) -> Any:
        return await self._request("POST", f"{self._session}/{path}", parameters)

    async def look(self, path: str) -> Any:
        return await self._request("GET", f"{self._session}/{path}")

    async def delete(self, path: str = "") -> None:
        """Closes the current window (`window`) or the session."""
        await self._request("DELETE", f"{self._session}/{path}".rstrip("/"))
        self._window = ""

    async def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            async with self._http.request(method, self._address + path, json=body) as response:
                value = (await response.json(content_type=None))["value"]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise PageError(f"{method} {path}: {type(error).__name__} {error}") from None
        if response.status != 200:
            raise PageError(f"{value['error']}: {value['message']}")
        return value


class WebKitPage(Page):
    """A window of MiniBrowser."""

    def __init__(self, driver: _Driver, window: str) -> None:
        super().__init__()
        self._driver = driver
        self._window = window
        self._closed = False

    async def _run(self, expression: str) -> str:
        script = f"const done = arguments[0]; {expression}.then(done);"
        async with self._driver.on(self._window):
            return str(await self._driver.command("execute/async", script=script, args=[]))

    async def _load(self, url: str) -> None:
        async with self._driver.on(self._window):
            await self._driver.command("url", url=url)
        # MiniBrowser says nothing of a failure, it just stays where it was.
        if url != "about:blank" and await self.evaluate("location.href") == "about:blank":
            raise PageError(f"{url} did not load")
        await self.refresh_console()

    async def refresh_console(self) -> None:
        """Fetches what the page has logged since the last time; the first time only begins to
        listen.
        """
        with contextlib.suppress(PageError):
            for level, text in await self.evaluate(_LISTEN):
                self.console.append(f"{level}: {text}")
                if level == "error":
                    self.errors.append(text)

    async def _click(self, css: str) -> None:
        async with self._driver.on(self._window):
            element = await self._driver.command("element", using="css selector", value=css)
            await self._driver.command(f"element/{element[ELEMENT_KEY]}/click")

    async def _screenshot(self) -> bytes:
        async with self._driver.on(self._window):
            return base64.b64decode(await self._driver.look("screenshot"))

    async def resize(self, width: int, height: int) -> None:
        async with self._driver.on(self._window):
            rect = await self._driver.look("window/rect")
        inner = await self.evaluate("[innerWidth, innerHeight]")
        # The window has a frame and a tool bar around the page.
        outer = {
            "width": width + rect["width"] - inner[0],
            "height": height + rect["height"] - inner[1],
        }
        async with self._driver.on(self._window):
            await self._driver.command("window/rect", **outer)
        await self.wait_for(f"innerWidth === {width} && innerHeight === {height}")

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(PageError):
            async with self._driver.on(self._window):
                await self._driver.delete("window")


class WebKit(Browser):
    """WebKitGTK in MiniBrowser, on a virtual screen where there is no other.

    Args:
        camera: See `Browser`; without it, there is no device, and getUserMedia fails.
        recorder: Whether MediaRecorder must be able to record video, for which an older GStreamer
            needs help (`gstreamer`).
        environment: More environment variables, such as `GST_DEBUG`.
        log: A file for what the browser prints.
    """

    name = "WebKitGTK"
    package = "webkit2gtk-driver xvfb"

    def __init__(
        self,
        *,
        camera: bool = True,
        recorder: bool = False,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__(camera=camera)
        self.recorder = recorder
        self.environment = dict(environment or {})
        self.log = log
        self._screen: Process | None = None
        self._process: Process | None = None
        self._http: aiohttp.ClientSession | None = None
        self._driver: _Driver | None = None

    @classmethod
    def executable(cls) -> str:
        if not os.environ.get("DISPLAY"):
            cls._find("Xvfb")
        cls._mini_browser()
        return cls._find("WebKitWebDriver")

    @classmethod
    def _mini_browser(cls) -> Path:
        for directory in (Path("/usr/lib"), Path("/usr/libexec")):
            for name in MINI_BROWSERS:
                for path in (
                    directory / name / "MiniBrowser",
                    *directory.glob(f"*/{name}/MiniBrowser"),
                ):
                    if path.exists():
                        return path
        raise BrowserMissing(cls.name, cls.package)

    async def _start(self, family: Family) -> None:
        display = os.environ.get("DISPLAY") or await self._start_screen(family)
        helped = (
            await asyncio.to_thread(gstreamer.recorder_environment, family.home)
            if self.recorder
            else {}
        )
        environment = family.environment(
            DISPLAY=display, GDK_BACKEND="x11", NO_AT_BRIDGE="1", **helped, **self.environment
        )
        port = _free_port()
        with self.log.open("ab") if self.log else contextlib.nullcontext() as log:
            output = log if log else DEVNULL
            command = [self.executable(), f"--port={port}"]
            self._process = await asyncio.create_subprocess_exec(
                *command, env=environment, stdout=output, stderr=output
            )
        await self._reachable(port)
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=SCRIPT_DEADLINE + PAGE_DEADLINE)
        )
        self._driver = _Driver(self._http, f"http://127.0.0.1:{port}")
        arguments = ["--automation", "--autoplay-policy=allow", "--enable-media-stream=true"]
        arguments += [f"--enable-mock-capture-devices={'true' if self.camera else 'false'}"]
        capabilities = await self._driver.begin(
            {
                "acceptInsecureCerts": True,
                "webkitgtk:browserOptions": {
                    "binary": str(self._mini_browser()),
                    "args": arguments,
                },
                "timeouts": {
                    "script": int(SCRIPT_DEADLINE * 1000),
                    "pageLoad": int(PAGE_DEADLINE * 1000),
                },
            }
        )
        self.version = f"{self.name} {capabilities['browserVersion']}"

    async def _start_screen(self, family: Family) -> str:
        """Starts Xvfb on a display that it chooses itself, and returns its name."""
        ours, its = os.pipe()
        try:
            command = [
                self._find("Xvfb"),
                "-displayfd",
                str(its),
                "-screen",
                "0",
                SCREEN,
                "-nolisten",
                "tcp",
            ]
            self._screen = await asyncio.create_subprocess_exec(
                *command, pass_fds=[its], env=family.environment(), stdout=DEVNULL, stderr=DEVNULL
            )
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(its)
        number = await asyncio.to_thread(_read_line, ours)
        if not number:
            raise RuntimeError("Xvfb did not start")
        return f":{number}"

    async def _reachable(self, port: int) -> None:
        assert self._process
        while True:
            if self._process.returncode is not None:
                raise RuntimeError(
                    f"WebKitWebDriver ended with status {self._process.returncode} while it started"
                )
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(POLL)
            else:
                writer.close()
                await writer.wait_closed()
                return

    async def _quit(self) -> None:
        try:
            if self._driver:
                with contextlib.suppress(PageError):
                    await self._driver.delete()
        finally:
            if self._http:
                await self._http.close()
            for process in (self._process, self._screen):
                if process and process.returncode is None:
                    process.terminate()
                    await process.wait()
            self._process = self._screen = self._http = self._driver = None

    async def page(self, url: str = "about:blank") -> WebKitPage:
        if self._driver is None:
            raise RuntimeError("WebKitGTK is not running")
        try:
            window = await self._driver.window()
        except PageError:
            # It has died, in a test that failed by that. The next one gets one that runs.
            await self.close()
            await self.start()
            window = await self._driver.window()
        page = WebKitPage(self._driver, window)
        self._opened.append(page)
        try:
            await page._load(url)
        except PageError:
            await page.close()
            raise
        return page


def _free_port() -> int:
    """A port that was free a moment ago; WebKitWebDriver cannot choose one itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _read_line(descriptor: int) -> str:
    with os.fdopen(descriptor) as file:
        return file.readline().strip()


_LISTEN = """() => {
    const entries = window.__driverConsole ??= (() => {
        const entries = [];
        const show = (value) => {
            if (value instanceof Error) return `${value}`;
            if (typeof value !== "object") return String(value);
            try { return JSON.stringify(value); } catch { return String(value); }
        };
        for (const level of ["debug", "info", "log", "warn", "error"]) {
            const original = console[level];
            console[level] = (...values) => { entries.push([level, values.map(show).join(" ")]); original.apply(console, values); };
        }
        addEventListener("error", (event) => { if (event.message) entries.push(["error", event.message]); });
        addEventListener("unhandledrejection", (event) => entries.push(["error", `unhandled rejection: ${show(event.reason)}`]));
        return entries;
    })();
    return entries.splice(0);
}"""
