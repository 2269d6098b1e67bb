"""Firefox through WebDriver BiDi (https://w3c.github.io/webdriver-bidi/), which it speaks itself:
no geckodriver.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from tests.harness.browsers.base import SCRIPT_DEADLINE, Browser, Page, PageError
from tests.harness.browsers.processes import Family
from tests.harness.browsers.remote import AIM, Remote, announced, drain, end

ANNOUNCEMENT = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
"""What Firefox prints once it can be controlled."""

PREFERENCES: dict[str, bool | int | str] = {
    # A fake camera and microphone, without a question and without a click.
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    # Without a sound card an AudioContext would stay suspended for ever; this plays into the void,
    # in time.
    "media.cubeb.force_mock_context": True,
    # Quiet: nothing is fetched that the test did not ask for.
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutHomeSnippets.updateUrl": "",
    "browser.newtabpage.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.search.update": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.push.connection.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "services.settings.server": "data:,",
    "toolkit.telemetry.server": "",
    # A page in the background must go on: a test has a camera and a player open at the same time.
    "dom.min_background_timeout_value": 4,
    "dom.min_background_timeout_value_without_budget_throttling": 4,
    "dom.timeout.enable_budget_timer_throttling": False,
}

REFUSED: dict[str, bool | int | str] = {
    "media.navigator.permission.disabled": False,
    "permissions.default.camera": 2,
    "permissions.default.microphone": 2,
}
"""The preferences of a browser without a camera: 2 is "block"."""


class FirefoxPage(Page):
    """A page of Firefox, named by the id of its browsing context."""

    def __init__(self, bidi: Remote, context: str) -> None:
        super().__init__()
        self._bidi = bidi
        self._context = context

    def _on_log(self, entry: Mapping[str, Any]) -> None:
        text = entry.get("text") or ""
        self.console.append(f"{entry.get('method', entry['level'])}: {text}")
        if entry["level"] == "error":
            self.errors.append(text)

    async def _run(self, expression: str) -> str:
        result = await self._bidi.command(
            "script.evaluate",
            SCRIPT_DEADLINE,
            expression=expression,
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        if result["type"] == "exception":
            raise PageError(result["exceptionDetails"]["text"])
        return str(result["result"]["value"])

    async def _click(self, css: str) -> None:
        where = await self.evaluate(AIM, css)
        pointer = [
            {"type": "pointerMove", **where},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        actions = [
            {
                "type": "pointer",
                "id": "mouse",
                "parameters": {"pointerType": "mouse"},
                "actions": pointer,
            }
        ]
        await self._bidi.command("input.performActions", context=self._context, actions=actions)

    async def _screenshot(self) -> bytes:
        result = await self._bidi.command(
            "browsingContext.captureScreenshot", context=self._context
        )
        return base64.b64decode(result["data"])

    async def resize(self, width: int, height: int) -> None:
        await self._bidi.command(
            "browsingContext.setViewport",
            context=self._context,
            viewport={"width": width, "height": height},
        )

    async def refresh_console(self) -> None:
        pass  # events do it

    async def close(self) -> None:
        with contextlib.suppress(PageError):
            await self._bidi.command("browsingContext.close", context=self._context)


class Firefox(Browser):
    """Firefox, headless.

    Args:
        camera: See `Browser`; without it, getUserMedia fails with NotAllowedError.
        init_scripts: See `Browser`.
        preferences: More preferences, as in `about:config`.
    """

    name = "Firefox"
    package = "firefox-esr"

    def __init__(
        self,
        *,
        camera: bool = True,
        init_scripts: Sequence[str] = (),
        preferences: Mapping[str, bool | int | str] | None = None,
    ) -> None:
        super().__init__(camera=camera, init_scripts=init_scripts)
        self.preferences = {**PREFERENCES, **({} if camera else REFUSED), **(preferences or {})}
        self._process: Process | None = None
        self._drain: asyncio.Task[None] | None = None
        self._bidi: Remote | None = None
        self._pages: dict[str, FirefoxPage] = {}

    @classmethod
    def executable(cls) -> str:
        return cls._find("firefox-esr", "firefox")

    async def _start(self, family: Family) -> None:
        profile = family.home / "profile"
        profile.mkdir()
        _write_preferences(profile, self.preferences)
        # A home of its own: as root, Firefox refuses to run in somebody else's.
        environment = family.environment(HOME=str(family.home), MOZ_CRASHREPORTER_DISABLE="1")
        command = [
            self.executable(),
            "--headless",
            "--no-remote",
            "--profile",
            str(profile),
            "--remote-debugging-port",
            "0",
        ]
        self._process = await asyncio.create_subprocess_exec(
            *command, "about:blank", env=environment, stdout=DEVNULL, stderr=PIPE
        )
        assert self._process.stderr
        address = await announced(self.name, self._process.stderr, ANNOUNCEMENT)
        self._drain = asyncio.create_task(drain(self._process.stderr))
        # Without pings: nothing answers them while tests of another event loop run.
        self._bidi = Remote(
            self.name,
            await connect(f"{address}/session", max_size=None, proxy=None, ping_interval=None),
            self._on_event,
        )
        session = await self._bidi.command(
            "session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}}
        )
        self.version = f"{self.name} {session['capabilities']['browserVersion']}"
        await self._bidi.command("session.subscribe", events=["log.entryAdded"])
        for script in self.init_scripts:
            await self._bidi.command(
                "script.addPreloadScript", functionDeclaration=f"() => {{\n{script}\n}}"
            )

    def _on_event(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "log.entryAdded" and (
            page := self._pages.get(parameters["source"].get("context"))
        ):
            page._on_log(parameters)

    async def _quit(self) -> None:
        try:
            await end(self._bidi, "browser.close", self._process, self._drain)
        finally:
            self._process = self._drain = self._bidi = None
            self._pages.clear()

    async def page(self, url: str = "about:blank") -> FirefoxPage:
        if self._bidi is None:
            raise RuntimeError("Firefox is not running")
        # A tab would put the others into the background, where pictures are no longer drawn.
        created = await self._bidi.command(
            "browsingContext.create", type="window", background=False
        )
        page = self._pages[created["context"]] = FirefoxPage(self._bidi, created["context"])
        self._opened.append(page)
        try:
            await self._bidi.command(
                "browsingContext.navigate", context=created["context"], url=url, wait="complete"
            )
        except PageError:
            await page.close()
            raise
        return page


def _write_preferences(profile: Path, preferences: Mapping[str, bool | int | str]) -> None:
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
        for name, value in preferences.items()
    ]
    (profile / "user.js").write_text("".join(lines))
