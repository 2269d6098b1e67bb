"""The two pages as a person uses them, in any browser: film, watch, listen.

Everything is judged by pixels and by sound.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.harness.browsers import Browser, Page, WaitTimeout
from tests.harness.relays import ROOT, Relay

# For tests that watch the same in each browser, and take long in some: those are watched in the
# long run.
IN_CHROMIUM = pytest.mark.parametrize(
    "viewer",
    [
        "chromium",
        pytest.param("firefox", marks=pytest.mark.long),
        pytest.param("webkit", marks=pytest.mark.long),
    ],
    indirect=True,
)

# Seconds for something that needs two browsers, a relay and an encoder on a busy machine with two
# cores.
PATIENCE = 45.0

# CSS pixels of a page that films while other things are tested: to show a preview costs the more,
# the larger it is.
PREVIEW = (640, 360)

# By how much a colour may differ in two codings of one picture.
NOISE = 12

# A surface with no colour brighter than this is no picture.
BLACK = 40

# Where pictures of failures go.
OUT = ROOT / "tests" / "out"

# Colours of a coarse grid of the picture that is on the screen now, from the tile's canvas, video
# or image.
_PIXELS = """() => {
  const tile = document.querySelector("[data-camera]");
  const picture = tile && tile.querySelector("canvas, video, img");
  if (!picture) return null;
  const width = picture.videoWidth || picture.width, height = picture.videoHeight || picture.height;
  if (!width || !height) return null;
  const small = document.createElement("canvas");
  small.width = 16; small.height = 12;
  const pen = small.getContext("2d", { willReadFrequently: true });
  pen.drawImage(picture, 0, 0, 16, 12);
  const data = pen.getImageData(0, 0, 16, 12).data;
  return { width, height, colours: [...data].filter((_, i) => i % 4 < 3) };
}"""

_FACTS = """() => {
  const tile = document.querySelector("[data-camera]");
  return tile ? { ...tile.tile.stats(), ...tile.dataset } : null;
}"""


async def fresh_page(chromium: Browser) -> AsyncIterator[Page]:
    """To be made a fixture: a page of a test's own, still empty."""
    page = await chromium.page()
    yield page
    await page.close()


async def go(page: Page, address: str) -> None:
    """Open a player's page, and wait for its first tile."""
    await page.evaluate("(address) => void setTimeout(() => location.assign(address))", address)
    await page.wait_for(
        (
            f"location.href === {json.dumps(address)} && "
            "document.querySelector('[data-camera]') !== null"
        ),
        PATIENCE,
    )


async def pixels(page: Page) -> dict[str, Any] | None:
    """Width, height and the colours (R, G, B, R, ...) of a 16x12 grid of the picture in the first
    tile; None before there is one.
    """
    found: dict[str, Any] | None = await page.evaluate(_PIXELS)
    return found


async def facts(page: Page) -> dict[str, Any]:
    """What the first tile says of itself."""
    found: dict[str, Any] | None = await page.evaluate(_FACTS)
    return found or {}


def differs(one: list[int], other: list[int]) -> bool:
    """Whether two grids are two pictures and not one with coding noise."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) > NOISE


async def moving(page: Page, changes: int = 3) -> dict[str, Any]:
    """Wait until there were some pictures, each unlike the one before, and none of them black.

    Returns:
        The last picture, see `pixels`.

    Raises:
        AssertionError: It stood still; a screenshot is kept.
    """
    seen = 0
    last: dict[str, Any] | None = None
    try:
        while seen < changes:
            before = json.dumps(last["colours"]) if last else "null"
            await page.wait_for(f"{_changed(before)}", PATIENCE)
            now = await pixels(page)
            if now is None or max(now["colours"]) < BLACK:
                # An engine that begins afresh has nothing to show for a moment; only pictures
                # count.
                continue
            if last is not None and differs(last["colours"], now["colours"]):
                seen += 1
            last = now
    except WaitTimeout as error:
        raise AssertionError(
            f"the picture stands still after {seen} changes; {await kept(page)}; "
            f"{await facts(page)}\n{error}"
        ) from None
    assert last is not None
    return last


def _changed(before: str) -> str:
    """JavaScript: there is a picture, and it is another one than before.

    A black surface is none.
    """
    return f"""(() => {{
      const now = ({_PIXELS})(), before = {before};
      if (!now || now.colours.every((colour) => colour < {BLACK})) return false;
      return (!before || before.some((colour, i) => Math.abs(colour - now.colours[i]) > {NOISE}));
    }})()"""


async def listening(page: Page) -> None:
    """Switch the sound on as a person does, and wait until it is heard."""
    await page.click("[data-camera] button[aria-pressed]")
    try:
        await page.wait_for(
            "document.querySelector('[data-camera]').tile.stats().sound.level > 0.005", PATIENCE
        )
    except WaitTimeout as error:
        raise AssertionError(
            f"no sound; {await kept(page)}; {await facts(page)}\n{error}"
        ) from None


async def state(page: Page, wanted: str) -> None:
    """Wait until the first tile is in this state."""
    try:
        await page.wait_for(
            (
                "(document.querySelector('[data-camera]') || document.body).dataset.state === "
                f"{json.dumps(wanted)}"
            ),
            PATIENCE,
        )
    except WaitTimeout as error:
        raise AssertionError(
            f"never {wanted}; {await kept(page)}; {await facts(page)}\n{error}"
        ) from None


async def players(relay: Relay, name: str) -> list[dict[str, Any]]:
    """What the relay says of a camera's players."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{relay.origin}/api/cameras") as answer,
    ):
        cameras: list[dict[str, Any]] = await answer.json()
    return next((camera["players"] for camera in cameras if camera["name"] == name), [])


async def watching(relay: Relay, name: str, wanted: list[bool]) -> None:
    """Wait until these, in any order, are the camera's players: whether each one takes frames."""
    deadline = time.monotonic() + PATIENCE
    found: list[bool] = []
    while time.monotonic() < deadline:
        found = sorted(player["watching"] for player in await players(relay, name))
        if found == sorted(wanted):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"the players of {name} watch: {found}, and not {wanted}")


async def veil(page: Page, shown: str) -> None:
    """Headless Chromium has no tabs that cover one another, so the page is told what it would be
    told then: `hidden` or `visible`.
    """
    await page.evaluate(
        """(shown) => {
          Object.defineProperty(document, "visibilityState", { get: () => shown, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        shown,
    )


async def kept(page: Page) -> str:
    """Keep a screenshot, and say where."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"failure-{len(list(OUT.iterdir()))}.png"
    await page.screenshot(path)
    return f"see {Path(path).relative_to(ROOT)}"
