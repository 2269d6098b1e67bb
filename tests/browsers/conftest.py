"""One running browser of each kind per test module, and a page for it to open.

Tests that use these share the module's event loop: `pytestmark = pytest.mark.asyncio(loop_scope="module")`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio

from tests.browsers.drivers import BROWSERS, Browser, Chromium, Firefox, Page, WebKit
from tests.browsers.pages import PATIENCE
from tests.recordings.stage import stage
from tests.relays import Relay


async def _running(name: str, camera: bool = True) -> AsyncIterator[Browser]:
    if sentence := BROWSERS[name].missing():
        pytest.skip(sentence)
    async with BROWSERS[name](camera=camera) as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Chromium]:
    async for browser in _running("chromium"):
        yield cast(Chromium, browser)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def firefox() -> AsyncIterator[Firefox]:
    async for browser in _running("firefox"):
        yield cast(Firefox, browser)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def webkit() -> AsyncIterator[WebKit]:
    async for browser in _running("webkit"):
        yield cast(WebKit, browser)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(BROWSERS))
async def browser(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """Each browser in turn."""
    async for browser in _running(request.param):
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(BROWSERS))
async def viewer(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """Each browser in turn, on a computer without a camera."""
    async for browser in _running(request.param, camera=False):
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(chromium: Chromium, relay: Relay) -> Page:
    """Any page of the relay in Chromium: modules are imported from where it serves them."""
    return await chromium.page(f"{relay.origin}/player.html")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def porch(chromium: Chromium, relay: Relay) -> AsyncIterator[None]:
    """A phone that films as `porch` as long as this module runs."""
    filming = await chromium.page(f"{relay.origin}/camera.html?name=porch&start=1&width=320&height=240")
    await filming.wait_for("document.body.innerText.includes('Stop')", PATIENCE)
    yield
    assert filming.errors == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage_url() -> AsyncIterator[str]:
    """The address of an empty page in a secure context."""
    async with stage() as url:
        yield url
