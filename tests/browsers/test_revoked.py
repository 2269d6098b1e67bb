"""A key that is revoked while pages are open: they stop asking with it, say so, and go on with
another one. Real Chromium, real relay.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from drawercam.access.grants import Access
from drawercam.access.key import NOTHING, Key, Scope
from drawercam.access.keys import Keyring
from tests.browsers.conftest import Browsers
from tests.harness import films
from tests.harness.browsers import Chromium, Page
from tests.harness.pages import PATIENCE, moving
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

# How often a page asks the relay for a connection.
COUNTS = """
  window.asked = 0;
  const plain = [WebSocket, fetch];
  window.WebSocket = class extends plain[0] { constructor(...all) { super(...all); window.asked += 1; } };
  for (const name of ["CONNECTING", "OPEN", "CLOSING", "CLOSED"]) window.WebSocket[name] = plain[0][name];
  window.fetch = (...all) => { window.asked += 1; return plain[1].apply(window, all); };
  delete window.Worker;
"""

# Seconds in which a page that goes on trying would have tried again: it does at least every 2.5 s
# (relay-link.js).
ANOTHER_TRY = 3.5

PORCH = Scope(names=frozenset({"porch"}))


@pytest.fixture(scope="module")
def house() -> Iterator[Relay]:
    with Relay("--tls", "--host", "127.0.0.1") as one:
        yield one
        assert one.alive and "Traceback" not in one.output, one.output


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def counting(browsers: Browsers) -> AsyncIterator[Chromium]:
    async with browsers.chromium(COUNTS) as one:
        yield one


def made(house: Relay, publish: Scope = NOTHING, watch: Scope = NOTHING) -> Key:
    return Keyring.open(house.state).add(publish, watch)


async def stays_quiet(page: Page) -> None:
    before = await page.evaluate("window.asked")
    await asyncio.sleep(ANOTHER_TRY)
    assert await page.evaluate("window.asked") == before, "it asks no more"


async def shows(page: Page, css: str, *words: str) -> None:
    for word in words:
        await page.wait_for(
            (
                f"(({{ hidden, innerText }}) => !hidden && "
                f"innerText.includes({word!r}))(document.querySelector('{css}'))"
            ),
            PATIENCE,
        )


async def test_a_player_whose_key_is_revoked_asks_for_another_one(
    house: Relay, counting: Chromium
) -> None:
    ring = Keyring.open(house.state)
    camera = {
        "Cookie": f"{Access(ring).cookie_name(ring.keys[0])}={ring.token(ring.keys[0], 'cookie')}"
    }
    first, other, second = (
        made(house, watch=watch) for watch in (PORCH, Scope(names=frozenset({"attic"})), PORCH)
    )
    async with films.film(house, "porch", additional_headers=camera):
        player = await counting.page(f"{house.origin}/player.html?camera=porch#key={first.secret}")
        await moving(player)
        Keyring.open(house.state).revoke(first.id)
        await shows(player, "#key", "has ended or was revoked", "Scan the code Watch")
        await stays_quiet(player)
        await player.evaluate(f"void (location.hash = 'key={other.secret}')")
        await player.wait_for("location.hash === ''", PATIENCE)
        await shows(player, "#key", "Scan the code Watch")
        await stays_quiet(player)  # it is for another camera
        elsewhere = await counting.page(f"{house.origin}/player.html#key={second.secret}")
        await moving(elsewhere)
        await moving(player)  # the browser has a key again, and nobody has touched this page
        assert await player.evaluate("document.querySelector('#key').hidden")
        for page in (player, elsewhere):
            await page.close()


@pytest.mark.long
async def test_a_camera_whose_key_is_revoked_asks_for_another_one(
    house: Relay, counting: Chromium
) -> None:
    first, other = made(house, publish=PORCH), made(house, publish=PORCH)
    page = await counting.page(
        f"{house.origin}/camera.html?name=porch&start=1&width=320&height=240#key={first.secret}"
    )
    live = "document.querySelector('#status').dataset.state === 'live'"
    await page.wait_for(live, PATIENCE)
    Keyring.open(house.state).revoke(first.id)
    await shows(page, "#panel", "takes this phone’s key no more", "Scan the new code")
    await stays_quiet(page)
    await page.evaluate(f"void (location.hash = 'key={other.secret}')")
    await page.wait_for(f"document.querySelector('#panel').hidden && {live}", PATIENCE)
    await page.close()
    bare = await counting.page(
        f"{house.origin}/camera.html?name=attic&start=1&width=320&height=240"
    )
    await shows(bare, "#panel", "is not for “attic”", "use another name")
    await stays_quiet(bare)
    await bare.close()
