"""A camera that ends leaves the wall only by a person's wish: real pages film, go in every way
there is, and come back.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed

from tests.harness.browsers import Browser, Page
from tests.harness.films import Film, film
from tests.harness.pages import IN_CHROMIUM, PATIENCE, PREVIEW
from tests.harness.peers import ATTEMPTS
from tests.harness.relays import Relay

# Milliseconds after which a camera that is gone is missed (web/player/wall/alarms.js), less some
# for this page to be told.
FORBEARANCE = 9000

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300), IN_CHROMIUM]

# What the page's title and its screen reader say from now on of cameras that are gone, in order;
# and how each tile changed, and when (ms).
_NOTES = """() => {
  globalThis.usual = document.title;
  globalThis.titles = [];
  globalThis.said = [];
  globalThis.changes = [];
  new MutationObserver((records) => {
    for (const { target: { dataset } } of records) changes.push([dataset.camera, dataset.state, dataset.reason, performance.now()]);
  }).observe(document.querySelector("#wall"), { attributes: true, attributeFilter: ["data-state"], subtree: true });
  new MutationObserver(() => titles.push(document.title)).observe(document.querySelector("title"), { childList: true });
  const announcer = document.querySelector("#announcer");
  new MutationObserver((changes) => {
    const sentences = changes.flatMap(({ addedNodes }) => [...addedNodes].map(({ textContent }) => textContent.trim()));
    said.push(...sentences.filter((one) => /: (Switched off|Page closed|Connection lost)/.test(one)));
  }).observe(announcer, { childList: true });
}"""

# Whether a tile still has a picture, and nobody takes it for one of now.
_GREYED = """(name) => {
  const picture = document.querySelector(`[data-camera=${name}] .picture`), shown = picture.querySelector("canvas, video");
  const small = document.createElement("canvas");
  small.width = 16; small.height = 12;
  const pen = small.getContext("2d");
  pen.drawImage(shown, 0, 0, 16, 12);
  const { filter, opacity } = getComputedStyle(picture);
  return pen.getImageData(0, 0, 16, 12).data.some((colour, i) => i % 4 < 3 && colour > 40) && filter.includes("grayscale");
}"""


@dataclass
class House:
    """Attributes:
    phones: Pages that film, by the camera's name.
    attic: A camera without a page.
    wall: A page that has seen them all.
    """

    relay: Relay
    phones: dict[str, Page]
    attic: Film
    wall: Page


# What title and screen reader said, but of the camera alone that was stopped before: of that it is
# said 10 s later.
_ALARMS = "titles.concat(said).filter((words) => !words.includes('cot'))"
_FORGET_ALARMS = """void (titles.length = changes.length = 0,
  said.splice(0, said.length, ...said.filter((words) => words.includes("cot"))))"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(chromium: Browser, viewer: Browser) -> AsyncIterator[House]:
    """Two phones, a third camera, and a wall. Each test goes on where the one before has ended."""
    with Relay() as relay:
        with contextlib.suppress(ConnectionClosed):  # the attic's, cut by its test
            async with film(relay, "attic") as attic:
                wall = await viewer.page(f"{relay.origin}/player.html")
                phones = {
                    name: await chromium.page(filming(relay, name)) for name in ("cot", "porch")
                }
                for phone in phones.values():
                    await phone.resize(*PREVIEW)
                for name in ("attic", "cot", "porch"):
                    await live(wall, name)
                await wall.evaluate(_NOTES)
                yield House(relay, phones, attic, wall)
                for page in (*phones.values(), wall):
                    await page.close()
        assert relay.alive and "Traceback" not in relay.output, relay.output


def filming(relay: Relay, name: str) -> str:
    """The address of a page that films, and does not try first what films best.

    Only the cot is listened to.
    """
    return f"{relay.origin}/camera.html?name={name}&start=1&encoder=vp8&sound={int(name == 'cot')}&width=320&height=240"


def tile(name: str) -> str:
    """JavaScript."""
    return f"document.querySelector('[data-camera={name}]')"


async def live(page: Page, name: str) -> None:
    await page.wait_for(f"{tile(name)}?.dataset.state === 'live'", PATIENCE)


async def gone(page: Page, name: str, reason: str, words: str) -> None:
    """Wait until the tile says so, with the time."""
    said = (
        f"/^{words} at "
        f"\\d\\d:\\d\\d/.test({tile(name)}?.querySelector('.notice:not([hidden])')?.textContent)"
    )
    await page.wait_for(
        (
            f"{said} && {tile(name)}.dataset.state === 'gone' && {tile(name)}.dataset.reason "
            f"=== '{reason}'"
        ),
        PATIENCE,
    )


async def leave(phone: Page) -> None:
    """As a person does who closes the page."""
    await phone.evaluate("void setTimeout(() => location.assign('about:blank'))")
    await phone.wait_for("location.href === 'about:blank'", PATIENCE)


async def go(page: Page, address: str) -> None:
    await page.evaluate("(address) => void setTimeout(() => location.assign(address))", address)
    await page.wait_for(
        f"location.href.startsWith({json.dumps(address)}) && document.readyState === 'complete'",
        PATIENCE,
    )


async def tiles(page: Page) -> dict[str, str]:
    """Name and state of each tile that is seen."""
    found: dict[str, str] = await page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll("[data-camera]:not([hidden])")].map(
             ({ dataset }) => [dataset.camera, dataset.state]))"""
    )
    return found


async def test_one_that_is_stopped_says_that_it_is_switched_off_also_large_with_its_sound_on(
    house: House,
) -> None:
    wall = house.wall
    await wall.click("[data-camera=cot] .view")
    await wall.click("[data-camera=cot] button[aria-label^=Sound]")
    await wall.evaluate(f"{tile('cot')}.querySelector('button[aria-label^=Sound]').focus()")
    await house.phones["cot"].click("#stop")
    await gone(wall, "cot", "left", "Switched off")
    assert await wall.evaluate(
        f"{tile('cot')}.classList.contains('large') && {tile('cot')}.dataset.sound === 'on'"
    )
    assert await wall.evaluate(
        "document.activeElement.getAttribute('aria-label').startsWith('Sound')"
    ), "the focus stays"
    assert await wall.evaluate(_GREYED, "cot")
    assert await wall.evaluate(
        "!document.querySelector('#announcer').textContent.includes('cot: Live')"
    )


async def test_it_comes_back_large_with_its_sound_and_the_focus(house: House) -> None:
    wall = house.wall
    await house.phones["cot"].click("#start")
    await live(wall, "cot")
    assert await wall.evaluate(
        f"{tile('cot')}.classList.contains('large') && {tile('cot')}.dataset.sound === 'on'"
    )
    assert await wall.evaluate(
        "document.activeElement.getAttribute('aria-label').startsWith('Sound')"
    )
    await house.phones["cot"].click("#stop")
    await gone(wall, "cot", "left", "Switched off")
    await wall.evaluate("history.back()")
    await wall.wait_for(
        "document.querySelectorAll('[data-camera]:not([hidden])').length === 3", PATIENCE
    )


async def test_one_whose_page_is_reloaded_alarms_nobody_and_one_whose_page_is_closed_says_so(
    house: House,
) -> None:
    wall, phone = house.wall, house.phones["porch"]
    away = [FORBEARANCE]
    while (
        away[-1] >= FORBEARANCE and len(away) <= ATTEMPTS
    ):  # it may really be away for longer on a busy computer
        await wall.evaluate(_FORGET_ALARMS)
        await phone.evaluate("void setTimeout(() => location.reload())")
        await wall.wait_for(
            "changes.some(([name, state, reason]) => name === 'porch' && reason === 'closed')",
            PATIENCE,
        )
        await live(wall, "porch")
        changes = [
            (state, at) for name, state, _, at in await wall.evaluate("changes") if name == "porch"
        ]
        del changes[
            : [state for state, _ in changes].index("gone")
        ]  # on a busy computer its picture may have stood still before
        away.append(next(at for state, at in changes if state == "live") - changes[0][1])
    assert away[-1] < FORBEARANCE, f"each time: {away}"
    assert await wall.evaluate(_ALARMS) == []
    await leave(phone)
    await gone(wall, "porch", "closed", "Page closed")
    assert await wall.evaluate(_GREYED, "porch")
    assert await wall.evaluate(_ALARMS) == []


async def test_one_whose_network_breaks_says_that_the_connection_is_lost(house: House) -> None:
    house.attic.phone.connection.transport.abort()
    await gone(house.wall, "attic", "lost", "Connection lost")
    assert await house.wall.evaluate(_GREYED, "attic")
    assert (await tiles(house.wall)) == {"attic": "gone", "cot": "gone", "porch": "gone"}


async def test_a_page_that_is_opened_later_shows_them_grey_and_needs_no_connection_for_them(
    house: House, viewer: Browser
) -> None:
    later = await viewer.page(f"{house.relay.origin}/player.html")
    await gone(later, "cot", "left", "Switched off")
    await gone(later, "porch", "closed", "Page closed")
    await gone(later, "attic", "lost", "Connection lost")
    assert await later.evaluate(
        "[...document.querySelectorAll('[data-camera]')].every(({ dataset }) => "
        "dataset.frames === '0')"
    )
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{house.relay.origin}/api/cameras") as answer,
    ):
        cameras: list[dict[str, Any]] = await answer.json()
    assert [(one["name"], one["state"], one["players"]) for one in cameras] == [
        (name, "gone", []) for name in ("attic", "cot", "porch")
    ]
    await later.close()


async def test_after_a_while_the_title_and_the_screen_reader_say_so_once(house: House) -> None:
    wall = house.wall
    await wall.wait_for("document.title === '! 2 cameras: page closed, connection lost'", PATIENCE)
    assert await wall.evaluate("titles") == [
        "! porch: page closed",
        "! 2 cameras: page closed, connection lost",
    ], "calm of the cot"
    await wall.click("[data-camera=porch] .view")
    assert (
        await wall.evaluate("document.querySelector('#missed:not([hidden])').textContent")
        == "attic: connection lost"
    ), "the other one"
    await wall.evaluate("history.back()")
    await wall.wait_for("document.querySelector('#missed').hidden", PATIENCE)
    await wall.wait_for("said.length === 3", PATIENCE)
    said = await wall.evaluate("said")
    for words in ("cot: Switched off at ", "porch: Page closed at ", "attic: Connection lost at "):
        assert [one for one in said if one.startswith(words)], said


async def test_what_is_put_away_stays_so_on_this_device_until_it_is_back_or_goes_again(
    house: House, viewer: Browser
) -> None:
    wall = house.wall
    other = await viewer.page(f"{house.relay.origin}/player.html")
    await gone(other, "cot", "left", "Switched off")
    await other.click("[data-camera=cot] .away")
    for page in (other, wall):  # it is one device
        await page.wait_for(f"{tile('cot')} === null", PATIENCE)
    await other.wait_for(
        "document.activeElement.className === 'view'", PATIENCE
    )  # the focus is somewhere
    await go(other, f"{house.relay.origin}/player.html?again")
    await gone(other, "attic", "lost", "Connection lost")
    assert await tiles(other) == {"attic": "gone", "porch": "gone"}
    await other.click("#away-all")
    for page in (other, wall):
        await page.wait_for(
            "document.querySelector('#back-again:not([hidden])')?.textContent === '3 put away'",
            PATIENCE,
        )
        assert await tiles(page) == {}
    await wall.wait_for("document.title === usual", PATIENCE)
    await go(house.phones["porch"], filming(house.relay, "porch"))
    for page in (other, wall):
        await live(page, "porch")
        assert await tiles(page) == {"porch": "live"}
    await leave(house.phones["porch"])
    for page in (other, wall):
        await gone(page, "porch", "closed", "Page closed")
    await other.click("#back-again")
    for page in (other, wall):
        await gone(page, "attic", "lost", "Connection lost")
        await gone(page, "cot", "left", "Switched off")
    assert other.errors == wall.errors == []
    await other.close()


async def test_a_camera_that_is_alone_on_its_page_is_treated_alike(
    house: House, viewer: Browser
) -> None:
    page = await viewer.page(f"{house.relay.origin}/player.html?camera=porch")
    await gone(page, "porch", "closed", "Page closed")
    await page.click("[data-camera=porch] .away")
    await page.wait_for(
        (
            "document.querySelector('#away-note:not([hidden])')?.textContent.startsWith('porch: "
            "Page closed at ')"
        ),
        PATIENCE,
    )
    assert await tiles(page) == {}
    async with film(house.relay, "porch"):
        await live(page, "porch")
        assert await tiles(page) == {"porch": "live"}
    await gone(page, "porch", "closed", "Page closed")
    assert await tiles(page) == {"porch": "gone"}
    assert page.errors == []
    await page.close()
