"""Chrome as it was in 2018 to 2022, headless, through the DevTools protocol of its time
(https://chromedevtools.github.io/devtools-protocol/).

The programs come from npm (`tests/package.json`), where they were published for servers: one file
compressed by Brotli (RFC 7932), and from Chrome 79 on an archive with the libraries that a server
lacks.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from websockets.asyncio.client import ClientConnection, connect

from tests.harness.browsers.base import (
    PAGE_DEADLINE,
    SCRIPT_DEADLINE,
    Browser,
    BrowserMissing,
    Page,
    PageError,
)
from tests.harness.browsers.chromium import QUIET
from tests.harness.browsers.processes import Family
from tests.harness.browsers.remote import AIM, Remote, announced, drain, end
from tests.packages import LOCK, Unavailable, cache, node

ANNOUNCEMENT = re.compile(r"DevTools listening on (ws://\S+)")
"""What Chrome prints once it can be controlled."""

WIDTH, HEIGHT = 1280, 720
"""CSS pixels of a page."""

# Node has what Python's library lacks.
_INFLATE = """
const { createReadStream, createWriteStream } = require("fs"), { createBrotliDecompress } = require("zlib");
require("stream").pipeline(createReadStream(process.argv[1]), createBrotliDecompress(), createWriteStream(process.argv[2]), (error) => {
  if (error) throw error;
});
"""


class OldChromePage(Page):
    """A page, with a socket of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._remote: Remote | None = None
        self._loaded = asyncio.Event()

    @property
    def remote(self) -> Remote:
        """The page's own socket."""
        if self._remote is None:
            raise PageError("the page is closed")
        return self._remote

    async def attach(self, name: str, address: str, init_scripts: Sequence[str]) -> None:
        """Takes control of the page at this address, before it has loaded anything."""
        self._remote = Remote(name, await _connect(address), self._on_event)
        for domain in ("Page", "Runtime", "Log"):
            await self._remote.command(f"{domain}.enable")
        for script in init_scripts:
            await self._remote.command("Page.addScriptToEvaluateOnNewDocument", source=script)
        await self.resize(WIDTH, HEIGHT)

    async def go(self, url: str) -> None:
        """Opens an address, and waits for the load event."""
        self._loaded.clear()
        answer = await self.remote.command("Page.navigate", url=url)
        if answer.get("errorText"):
            raise PageError(f"{url}: {answer['errorText']}")
        try:
            async with asyncio.timeout(PAGE_DEADLINE):
                await self._loaded.wait()
        except TimeoutError:
            raise PageError(f"{url} has not loaded within {PAGE_DEADLINE:g} s") from None

    def _on_event(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self._say(
                "error", str(details.get("exception", {}).get("description") or details["text"])
            )
        elif method == "Runtime.consoleAPICalled":
            said = " ".join(
                str(one.get("value", one.get("description", ""))) for one in parameters["args"]
            )
            self._say(parameters["type"], said)
        elif method == "Log.entryAdded":
            entry = parameters["entry"]
            self._say(entry["level"], f"{entry['text']} {entry.get('url', '')}".strip())

    def _say(self, level: str, text: str) -> None:
        self.console.append(f"{level}: {text}")
        if level == "error":
            self.errors.append(text)

    async def _run(self, expression: str) -> str:
        result = await self.remote.command(
            "Runtime.evaluate",
            SCRIPT_DEADLINE,
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if details := result.get("exceptionDetails"):
            raise PageError(str(details.get("exception", {}).get("description") or details["text"]))
        return str(result["result"]["value"])

    async def _click(self, css: str) -> None:
        where = await self.evaluate(AIM, css)
        for kind in ("mousePressed", "mouseReleased"):
            await self.remote.command(
                "Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where
            )

    async def _screenshot(self) -> bytes:
        return base64.b64decode((await self.remote.command("Page.captureScreenshot"))["data"])

    async def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        await self.remote.command("Emulation.setDeviceMetricsOverride", **metrics)

    async def refresh_console(self) -> None:
        pass  # events do it

    async def close(self) -> None:
        remote, self._remote = self._remote, None
        if remote is None:
            return
        with contextlib.suppress(PageError):
            await remote.command("Page.close")  # its answer may come after its end
        await remote.close()


class OldChrome(Browser):
    """One release of Chrome; see `OLD`."""

    release: ClassVar[int]
    package = "tests/package.json"

    def __init__(self, *, camera: bool = True, init_scripts: Sequence[str] = ()) -> None:
        super().__init__(camera=camera, init_scripts=init_scripts)
        self._process: Process | None = None
        self._drain: asyncio.Task[None] | None = None
        self._remote: Remote | None = None
        self._authority = ""

    @classmethod
    def _key(cls) -> str:
        return f"chrome-{cls.release}"

    @classmethod
    def _folder(cls) -> Path:
        """Where the program is unpacked: another one for another file."""
        pinned = json.loads(LOCK.read_text())["packages"][f"node_modules/{cls._key()}"]["integrity"]
        return cache() / f"{cls._key()}-{base64.b64decode(pinned.partition('-')[2]).hex()[:16]}"

    @classmethod
    def executable(cls) -> str:
        path = cls._folder() / "chromium"
        if not path.is_file():
            raise BrowserMissing(cls.name, cls.package, "tests/run fetches it")
        return str(path)

    @classmethod
    def unpack(cls, modules: Path) -> None:
        """Makes the program ready to be started, once.

        Args:
            modules: Where npm has put its package.

        Raises:
            Unavailable: It does not run here, or there is no Node.
        """
        folder = cls._folder()
        if folder.is_dir():
            return
        if sys.platform != "linux" or platform.machine() != "x86_64":
            raise Unavailable(f"{cls.name} runs on Linux on x86-64 only")
        command = node()
        if command is None:
            raise Unavailable(f"{cls.name} cannot be unpacked without Node")
        with tempfile.TemporaryDirectory(dir=cache(), prefix="unpacking-") as name:
            whole = Path(name) / "whole"
            whole.mkdir()
            packed = modules / cls._key() / "bin"
            _inflate(command, packed / "chromium.br", whole / "chromium")
            (whole / "chromium").chmod(0o755)
            if (libraries := packed / "aws.tar.br").exists():
                _inflate(command, libraries, Path(name) / "libraries.tar")
                (whole / "lib").mkdir()
                with tarfile.open(Path(name) / "libraries.tar") as archive:
                    for one in archive:
                        if one.name.startswith("lib/") and (file := archive.extractfile(one)):
                            (whole / "lib" / Path(one.name).name).write_bytes(file.read())
            shutil.rmtree(folder, ignore_errors=True)
            whole.rename(
                folder
            )  # all or nothing, also for another run that does the same meanwhile

    async def _start(self, family: Family) -> None:
        program = Path(self.executable())
        permission = "--use-fake-ui-for-media-stream" + ("" if self.camera else "=deny")
        options = [
            "--headless",
            "--no-sandbox",
            "--remote-debugging-port=0",
            f"--user-data-dir={family.home / 'profile'}",
            *QUIET,
        ]
        options += [
            "--use-fake-device-for-media-stream",
            permission,
            "--autoplay-policy=no-user-gesture-required",
        ]
        options += ["--ignore-certificate-errors", "--disable-dev-shm-usage"]
        environment = family.environment(
            HOME=str(family.home), LD_LIBRARY_PATH=str(program.parent / "lib")
        )
        self._process = await asyncio.create_subprocess_exec(
            str(program), *options, "about:blank", env=environment, stdout=DEVNULL, stderr=PIPE
        )
        assert self._process.stderr
        address = await announced(self.name, self._process.stderr, ANNOUNCEMENT)
        self._drain = asyncio.create_task(drain(self._process.stderr))
        self._authority = urllib.parse.urlsplit(address).netloc
        self._remote = Remote(self.name, await _connect(address), lambda *_: None)
        self.version = (await self._remote.command("Browser.getVersion"))["product"].rpartition(
            "/"
        )[2]

    async def _quit(self) -> None:
        try:
            await end(self._remote, "Browser.close", self._process, self._drain)
        finally:
            self._process = self._drain = self._remote = None

    async def page(self, url: str = "about:blank") -> OldChromePage:
        if self._remote is None:
            raise RuntimeError(f"{self.name} is not running")
        target = (await self._remote.command("Target.createTarget", url="about:blank"))["targetId"]
        page = OldChromePage()
        self._opened.append(page)
        try:
            await page.attach(
                self.name, f"ws://{self._authority}/devtools/page/{target}", self.init_scripts
            )
            if url != "about:blank":
                await page.go(url)
        except PageError:
            await page.close()
            raise
        return page


async def _connect(address: str) -> ClientConnection:
    """A socket to DevTools, which ends a connection where a ping comes."""
    return await connect(address, max_size=None, proxy=None, compression=None, ping_interval=None)


def _inflate(command: Sequence[str], packed: Path, plain: Path) -> None:
    done = subprocess.run(
        [*command, "-e", _INFLATE, str(packed), str(plain)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable(f"{packed} cannot be unpacked: {done.stderr.strip()[-200:]}")


def _release(number: int) -> type[OldChrome]:
    return type(
        f"Chrome{number}",
        (OldChrome,),
        {"name": f"Chrome {number}", "release": number, "__module__": __name__},
    )


OLD: dict[int, type[OldChrome]] = {number: _release(number) for number in (64, 79, 92, 106)}
"""The old releases that there are, by their number."""
