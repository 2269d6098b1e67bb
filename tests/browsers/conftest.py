"""One running browser of each kind for all tests of a process, and pages for it to open.

A browser is started when it is first asked for: that takes more of a busy machine than most tests.
What a module has opened is closed after it. Tests that use these share one event loop: `pytestmark
= pytest.mark.asyncio(loop_scope="session")`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
import pytest_asyncio

from tests.harness.browsers import BROWSERS, Browser, Chromium, Firefox, Page, PageError, WebKit
from tests.harness.pages import PATIENCE, PREVIEW
from tests.harness.relays import Relay
from tests.samples.recorders.stage import stage


class Browsers:
    """Those that run, by name and by whether they have a camera."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, bool], Browser] = {}

    async def get(self, name: str, camera: bool) -> Browser:
        """A browser that runs. Skips the test where it is not installed."""
        if sentence := BROWSERS[name].missing():
            pytest.skip(sentence)
        one = self._running.get((name, camera))
        if one is None:
            one = BROWSERS[name](camera=camera)
            await one.start()
            self._running[name, camera] = one
        return one

    @asynccontextmanager
    async def chromium(self, *init_scripts: str, camera: bool = True) -> AsyncIterator[Chromium]:
        """A Chromium that knows nobody, whose pages run these scripts before their own."""
        async with cast(Chromium, await self.get("chromium", camera)).profile(*init_scripts) as one:
            yield one

    async def close_pages(self) -> None:
        """Ends what a module has left open.

        A browser that has fallen ill is started afresh for the next one.
        """
        for kind, one in list(self._running.items()):
            try:
                async with asyncio.timeout(PATIENCE):
                    await one.close_pages()
            except (PageError, TimeoutError):
                del self._running[kind]
                await one.close()

    async def close(self) -> None:
        """Ends them all."""
        for one in self._running.values():
            await one.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def all_browsers() -> AsyncIterator[Browsers]:
    browsers = Browsers()
    yield browsers
    await browsers.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browsers(all_browsers: Browsers) -> AsyncIterator[Browsers]:
    """All browsers, for one module."""
    yield all_browsers
    await all_browsers.close_pages()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chromium(browsers: Browsers) -> Chromium:
    return cast(Chromium, await browsers.get("chromium", True))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def firefox(browsers: Browsers) -> Firefox:
    return cast(Firefox, await browsers.get("firefox", True))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def webkit(browsers: Browsers) -> WebKit:
    return cast(WebKit, await browsers.get("webkit", True))


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=list(BROWSERS))
async def browser(request: pytest.FixtureRequest, browsers: Browsers) -> Browser:
    """Each browser in turn."""
    return await browsers.get(request.param, True)


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=list(BROWSERS))
async def viewer(request: pytest.FixtureRequest, browsers: Browsers) -> Browser:
    """Each browser in turn, on a computer without a camera."""
    return await browsers.get(request.param, False)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(chromium: Chromium, relay: Relay) -> Page:
    """Any page of the relay in Chromium: modules are imported from where it serves them."""
    return await chromium.page(f"{relay.origin}/player.html")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def porch(chromium: Chromium, relay: Relay) -> AsyncIterator[None]:
    """A phone that films as `porch` as long as this module runs."""
    filming = await chromium.page(
        f"{relay.origin}/camera.html?name=porch&start=1&width=320&height=240"
    )
    await filming.resize(*PREVIEW)
    await filming.wait_for("document.body.innerText.includes('Stop')", PATIENCE)
    yield
    assert filming.errors == []


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage_url() -> AsyncIterator[str]:
    """The address of an empty page in a secure context."""
    async with stage() as url:
        yield url
