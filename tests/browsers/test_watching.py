"""Chromium films with its fake camera and its real MediaRecorder; every browser watches with every
engine it has.
"""

from __future__ import annotations

import pytest

from tests.harness.browsers import Browser
from tests.harness.pages import IN_CHROMIUM, facts, listening, moving, state
from tests.harness.relays import Relay

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("porch"),
]


@IN_CHROMIUM
# The first two are what browsers take by themselves, so the other tests have them.
@pytest.mark.parametrize(
    "surface",
    [
        pytest.param("generator", marks=pytest.mark.long),
        pytest.param("offscreen", marks=pytest.mark.long),
        "canvas",
    ],
)
async def test_every_browser_watches_on_every_surface(
    relay: Relay, viewer: Browser, surface: str
) -> None:
    page = await viewer.page(f"{relay.origin}/player.html?camera=porch&surface={surface}")
    if surface == "generator" and not await page.evaluate(
        "'MediaStreamTrackGenerator' in globalThis"
    ):
        await state(
            page, "live"
        )  # a surface that is not there is no picture lost: the other engine shows it
        assert (await facts(page))["engine"] == "mse"
    else:
        await moving(page)
        assert (await facts(page))["surface"] == surface
    assert page.errors == []
    await page.close()


@pytest.mark.parametrize("engine", ["frames", pytest.param("mse", marks=pytest.mark.long)])
async def test_every_browser_watches_with_every_engine(
    relay: Relay, viewer: Browser, engine: str
) -> None:
    page = await viewer.page(f"{relay.origin}/player.html?camera=porch&engine={engine}")
    picture = await moving(page)
    assert (
        picture["width"] / picture["height"] == pytest.approx(4 / 3, rel=0.35)
        or picture["width"] > picture["height"]
    )
    await state(page, "live")
    assert (await facts(page))["engine"] == engine
    await listening(page)
    await moving(page)
    assert page.errors == []
    await page.close()


@IN_CHROMIUM
async def test_the_best_engine_is_chosen_without_being_asked(relay: Relay, viewer: Browser) -> None:
    page = await viewer.page(f"{relay.origin}/player.html")
    await moving(page)
    assert (await facts(page))["engine"] == "frames"
    assert page.errors == []
    await page.close()
