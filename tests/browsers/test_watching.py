"""Chromium films with its fake camera and its real MediaRecorder; every browser watches with every engine it has."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.browsers.drivers import BROWSERS, Browser, Chromium
from tests.browsers.pages import PATIENCE, facts, listening, moving, state
from tests.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def camera(relay: Relay) -> AsyncIterator[None]:
    """A phone that films as `porch` as long as this module runs."""
    if missing := Chromium.missing():
        pytest.skip(missing)
    async with Chromium() as browser:
        page = await browser.page(f"{relay.origin}/camera.html?name=porch&start=1")
        await page.wait_for("document.body.innerText.includes('Stop')", PATIENCE)
        yield
        assert page.errors == []


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(BROWSERS))
async def viewer(request: pytest.FixtureRequest, camera: None) -> AsyncIterator[Browser]:
    kind = BROWSERS[request.param]
    if missing := kind.missing():
        pytest.skip(missing)
    async with kind(camera=False) as browser:
        yield browser


@pytest.mark.parametrize("surface", ["generator", "offscreen", "canvas"])
async def test_every_browser_watches_on_every_surface(relay: Relay, viewer: Browser, surface: str) -> None:
    page = await viewer.page(f"{relay.origin}/player.html?camera=porch&surface={surface}")
    if surface == "generator" and not await page.evaluate("'MediaStreamTrackGenerator' in globalThis"):
        await state(page, "live")  # a surface that is not there is no picture lost: the other engine shows it
        assert (await facts(page))["engine"] == "mse"
    else:
        await moving(page)
        assert (await facts(page))["surface"] == surface
    assert page.errors == []
    await page.close()


@pytest.mark.parametrize("engine", ["frames", "mse"])
async def test_every_browser_watches_with_every_engine(relay: Relay, viewer: Browser, engine: str) -> None:
    page = await viewer.page(f"{relay.origin}/player.html?camera=porch&engine={engine}")
    picture = await moving(page)
    assert picture["width"] / picture["height"] == pytest.approx(4 / 3, rel=0.35) or picture["width"] > picture["height"]
    await state(page, "live")
    assert (await facts(page))["engine"] == engine
    await listening(page)
    await moving(page)
    assert page.errors == []
    await page.close()


async def test_the_best_engine_is_chosen_without_being_asked(relay: Relay, viewer: Browser) -> None:
    page = await viewer.page(f"{relay.origin}/player.html")
    await moving(page)
    assert (await facts(page))["engine"] == "frames"
    assert page.errors == []
    await page.close()
