"""What a person does with a tile besides watching: saves its picture, floats it above other
windows, and puts it elsewhere on the wall.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image
from PIL.ExifTags import IFD

from tests.harness.browsers import Page
from tests.harness.browsers.chromium import Chromium, ChromiumPage
from tests.harness.films import Film, film
from tests.harness.pages import PATIENCE, fresh_page, go, listening, moving, state, veil, watching
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

TILE = "document.querySelector('[data-camera]')"

FILE = re.compile(r"cot_(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)\.jpg")

DATE_TIME_ORIGINAL = 0x9003

page = pytest_asyncio.fixture(loop_scope="session")(fresh_page)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(relay: Relay) -> AsyncIterator[dict[str, Film]]:
    """Three cameras."""
    async with contextlib.AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(film(relay, name))
            for name in ("attic", "cot", "yard")
        }


async def open_more(page: Page, name: str) -> None:
    await page.click(f"[data-camera={name}] .more")
    await page.wait_for(
        f"document.querySelector('[data-camera={name}] .more-panel:not([hidden])') !== null",
        PATIENCE,
    )


async def choose(page: Page, name: str, words: str) -> None:
    """Tap what has these words in the panel that is open."""
    css = await page.evaluate(
        """(name, words) => {
          const rows = [...document.querySelectorAll(`[data-camera=${name}] .more-panel button`)];
          return `[data-camera=${name}] .more-panel button#${(rows.find(({ textContent }) => textContent === words).id = "chosen")}`;
        }""",
        name,
        words,
    )
    await page.click(css)
    await page.evaluate("document.querySelector('#chosen').removeAttribute('id')")


async def saved(page: Page, folder: Path) -> tuple[datetime, str]:
    """Save the cot's picture.

    Returns:
        The time in the file's name, which its Exif data have, too; and what the tile said.
    """
    assert isinstance(page, ChromiumPage)
    async with page.raw.expect_download() as download:
        await choose(page, "cot", "Save the picture")
    file = await download.value
    name = FILE.fullmatch(file.suggested_filename)
    assert name is not None, file.suggested_filename
    await file.save_as(folder / "picture.jpg")
    with Image.open(io.BytesIO((folder / "picture.jpg").read_bytes())) as picture:
        assert picture.size == (320, 240)
        colours = picture.convert("L").getextrema()
        when = datetime.strptime(name[1], "%Y-%m-%d_%H-%M-%S")
        assert (
            picture.getexif().get_ifd(IFD.Exif)[DATE_TIME_ORIGINAL] == f"{when:%Y:%m:%d %H:%M:%S}"
        )
    assert colours != (0, 0)
    words = "document.querySelector('[data-camera=cot] .more-words').textContent"
    await page.wait_for(f"{words} !== ''", PATIENCE)
    return when, await page.evaluate(words)


async def test_a_saved_picture_has_the_time_of_the_picture_also_when_it_is_old(
    relay: Relay, chromium: Chromium, house: dict[str, Film], tmp_path: Path
) -> None:
    page = await chromium.page(f"{relay.origin}/player.html?camera=cot")
    await moving(page)
    await open_more(page, "cot")
    when, words = await saved(page, tmp_path)
    assert abs((datetime.now() - when).total_seconds()) < 10
    assert words.startswith("Saved the picture of ")
    house["cot"].sends = False
    try:
        await state(page, "frozen")
        before = datetime.now()
        await asyncio.sleep(1.1)
        old, words = await saved(page, tmp_path)
        assert when <= old < before
        assert words.startswith("Saved the last picture, which is of ")
    finally:
        house["cot"].sends = True
    assert page.errors == []
    await page.close()


async def floats(page: Page, yes: bool) -> None:
    await page.wait_for(f"{TILE}.dataset.floating === '{str(yes).lower()}'", PATIENCE)
    await page.wait_for(
        f"(document.pictureInPictureElement !== null) === {str(yes).lower()}", PATIENCE
    )


@pytest.mark.parametrize(
    "way",
    [
        "engine=frames",
        *(
            pytest.param(way, marks=pytest.mark.long)
            for way in ("engine=mse", "surface=canvas", "engine=jpeg")
        ),
    ],
)
async def test_picture_in_picture_goes_on_while_the_page_is_hidden_and_says_when_it_is_old(
    relay: Relay, page: Page, house: dict[str, Film], way: str
) -> None:
    await go(page, f"{relay.origin}/player.html?camera=cot&{way}")
    await moving(page)
    if not await page.evaluate("document.pictureInPictureEnabled"):
        pytest.skip("this Chromium has no windows for it")
    await open_more(page, "cot")
    await choose(page, "cot", "Picture in picture")
    await floats(page, True)
    await veil(page, "hidden")
    await asyncio.sleep(3)  # longer than a page that nobody watches goes on
    assert await page.evaluate(f"{TILE}.tile.watched && {TILE}.dataset.state") == "live"
    # Single pictures are decoded by the relay, which counts as a viewer of its own.
    await watching(relay, "cot", [False, True] if way == "engine=jpeg" else [True])
    await page.wait_for(CHANGES, PATIENCE)
    house["cot"].sends = False
    try:
        await state(page, "frozen")
        await page.wait_for(
            "document.pictureInPictureElement?.className === 'floating-picture'", PATIENCE
        )
    finally:
        house["cot"].sends = True
    await state(page, "live")
    await page.wait_for(CHANGES, PATIENCE)
    await page.evaluate("document.exitPictureInPicture()")
    await floats(page, False)
    await watching(relay, "cot", [False])
    assert page.errors == []


# Whether what floats changes within a second.
CHANGES = """(async () => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true }), seen = new Set();
  for (let look = 0; look < 10; look += 1) {
    if (!document.pictureInPictureElement) return false;
    pen.drawImage(document.pictureInPictureElement, 0, 0, 16, 12);
    seen.add(pen.getImageData(0, 0, 16, 12).data.join());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return seen.size > 1;
})()"""


async def test_the_browsers_own_picture_in_picture_counts_as_well(
    relay: Relay, page: Page, house: dict[str, Film]
) -> None:
    await go(page, f"{relay.origin}/player.html?camera=cot&engine=mse")
    await moving(page)
    if not await page.evaluate("document.pictureInPictureEnabled"):
        pytest.skip("this Chromium has no windows for it")
    await page.evaluate(
        "() => document.addEventListener('keydown', () => "
        f"{TILE}.querySelector('video').requestPictureInPicture(), {{ once: true }})"
    )
    assert isinstance(page, ChromiumPage)
    await page.raw.keyboard.press("x")
    await floats(page, True)
    await veil(page, "hidden")
    await asyncio.sleep(3)
    await watching(relay, "cot", [True])
    await page.evaluate("document.exitPictureInPicture()")
    await floats(page, False)
    await watching(relay, "cot", [False])
    assert page.errors == []


async def names(page: Page) -> str:
    """Of the tiles, in the order of the page and of what is seen: they must be one."""
    told: list[str] = await page.evaluate(
        """() => {
          const tiles = [...document.querySelectorAll("[data-camera]")];
          const order = (all) => all.map(({ dataset }) => dataset.camera).join(" ");
          const places = new Map(tiles.map((tile) => [tile, tile.getBoundingClientRect()]));
          const seen = [...tiles].sort((a, b) => places.get(a).top - places.get(b).top || places.get(a).left - places.get(b).left);
          return [order(tiles), order(seen)];
        }"""
    )
    assert told[0] == told[1]
    return told[0]


async def middle(page: Page, name: str, across: float = 0.5) -> tuple[float, float]:
    x, y = await page.evaluate(
        """(name, across) => {
          const { left, top, width, height } = document.querySelector(`[data-camera=${name}]`).getBoundingClientRect();
          return [left + width * across, top + height / 3];
        }""",
        name,
        across,
    )
    return x, y


async def test_tiles_are_put_in_order_by_mouse_keys_and_buttons_and_stay_so(
    relay: Relay, chromium: Chromium, house: dict[str, Film]
) -> None:
    page = await chromium.page(f"{relay.origin}/player.html")
    await page.resize(1000, 700)
    await page.wait_for(
        "document.querySelectorAll('[data-camera][data-state=live]').length === 3", PATIENCE
    )
    assert await names(page) == "attic cot yard"
    mouse = page.raw.mouse
    await mouse.move(*await middle(page, "attic"))
    await mouse.down()
    await mouse.move(*await middle(page, "yard", 0.3), steps=5)
    await mouse.move(*await middle(page, "yard", 0.7), steps=5)
    await mouse.up()
    assert await names(page) == "cot yard attic"
    assert await page.evaluate("document.querySelector('.large') === null"), "letting go is no tap"
    await page.evaluate("document.querySelector('[data-camera=yard] .view').focus()")
    await page.raw.keyboard.press("Alt+ArrowLeft")
    assert await names(page) == "yard cot attic"
    assert await page.evaluate(
        "document.activeElement === document.querySelector('[data-camera=yard] .view')"
    )
    await page.wait_for(
        "document.querySelector('#announcer').textContent.includes('yard: Now 1 of 3.')", PATIENCE
    )
    await page.raw.keyboard.press("Alt+ArrowLeft")
    await open_more(page, "cot")
    await choose(page, "cot", "Later")
    assert await names(page) == "yard attic cot"
    await page.raw.keyboard.press("Escape")
    assert await page.evaluate("document.activeElement.classList.contains('more')")
    async with film(relay, "bath"):
        await page.wait_for(
            "document.querySelector('[data-camera=bath][data-state=live]') !== null", PATIENCE
        )
        assert await names(page) == "yard attic cot bath"
        again = await chromium.page(f"{relay.origin}/player.html")
        await again.wait_for("document.querySelectorAll('[data-camera]').length === 4", PATIENCE)
        assert await names(again) == "yard attic cot bath"
        await again.close()
    assert page.errors == []
    await page.evaluate("localStorage.removeItem('drawercam-order')")
    await page.close()


async def test_a_finger_that_rests_moves_a_tile_and_one_that_does_not_scrolls(
    relay: Relay, chromium: Chromium, house: dict[str, Film]
) -> None:
    page = await chromium.page(f"{relay.origin}/player.html")
    await page.resize(360, 640)
    await page.wait_for(
        "document.querySelectorAll('[data-camera][data-state=live]').length >= 3", PATIENCE
    )
    before = (await names(page)).split()
    touch = await page.raw.context.new_cdp_session(page.raw)

    async def finger(kind: str, *points: tuple[float, float]) -> None:
        await touch.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]},
        )

    start, end = await middle(page, before[0]), await middle(page, before[1])
    for rests in (False, True):
        await finger("touchStart", start)
        if rests:
            await page.wait_for("document.querySelector('.lifted') !== null", PATIENCE)
        for part in (0.25, 0.5, 0.75, 1.0):
            await finger(
                "touchMove",
                (start[0] + (end[0] - start[0]) * part, start[1] + (end[1] + 60 - start[1]) * part),
            )
        await finger("touchEnd")
        moved = [before[1], before[0], *before[2:]] if rests else before
        await page.wait_for(
            "[...document.querySelectorAll('[data-camera]')].map((one) => "
            f"one.dataset.camera).join() === '{','.join(moved)}'"
        )
    assert await page.evaluate("document.querySelector('.large') === null")
    assert page.errors == []
    await page.evaluate("localStorage.removeItem('drawercam-order')")
    await page.close()


@pytest.mark.usefixtures("porch")
async def test_loudness_is_set_and_stays_over_a_reload(relay: Relay, page: Page) -> None:
    await go(page, f"{relay.origin}/player.html?camera=porch")
    await moving(page)
    await listening(page)
    await open_more(page, "porch")
    await page.fill("[data-camera=porch] .loudness", "50")
    gain = f"{TILE}.tile.sound.player.gain.gain.value"
    await page.wait_for(f"Math.abs({gain} - 0.25) < 0.01", PATIENCE)
    await page.evaluate("void setTimeout(() => location.reload(), (globalThis.before = 0))")
    await page.wait_for(
        f"!('before' in globalThis) && {TILE}?.tile.sound.player && Math.abs({gain} - 0.25) < 0.01",
        PATIENCE,
    )
    assert page.errors == []
