"""Pages that the relay has another version of: by a given clock, and real pages with a relay that
was upgraded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from typing import Any

import pytest
from playwright.async_api import Route

from tests.browsers.test_absence import LATER
from tests.harness import films
from tests.harness.browsers import Chromium, Page
from tests.harness.browsers.chromium import ChromiumPage
from tests.harness.pages import PATIENCE, moving
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

# A page of version "a", and what happens to it; seconds pass one by one. Answers how often it was
# loaded anew, and when it says that there is a newer one.
SIMULATED = """async ({ own, served, may, tried }, steps) => {
  const { PageVersion } = await import("/web/shared/page/version.js");
  let now = 1e6, reloads = 0;
  const said = [];
  const tools = {
    own, served: async () => { if (served === null) throw new Error("away"); return served; }, tried: () => tried,
    remember: (version) => { tried = version; }, reload: () => { reloads += 1; }, clock: () => now,
  };
  const page = new PageVersion(tools);
  page.follow({ mayReload: async () => may, onstuck: () => said.push(page.stuck) });
  for (const [what, value] of steps) {
    if (what === "hear") page.hear(value);
    if (what === "doubt") await page.doubt();
    if (what === "touch") page.touch();
    if (what === "may") may = value;
    if (what === "serves") served = value;
    if (what === "wait") for (let second = 0; second < value; second += 1) { now += 1000; await page.look(); }
  }
  return [reloads, said];
}"""

A: dict[str, Any] = {"own": "a", "served": "b", "may": True, "tried": ""}


@pytest.mark.parametrize(
    ("case", "steps", "told"),
    [
        (A, [["hear", "b"], ["wait", 59]], [0, []]),
        (
            A,
            [["hear", "b"], ["wait", 3600]],
            [1, [True]],
        ),  # the page that would not go is there only in this test
        (A, [["wait", 3600], ["hear", "b"], ["wait", 1]], [1, []]),
        (A, [["wait", 3600], ["hear", "a"], ["wait", 1]], [0, []]),
        (A, [["hear", "b"], ["wait", 59], ["touch", 0], ["wait", 59]], [0, []]),
        (A, [["hear", "b"], ["wait", 59], ["touch", 0], ["wait", 60]], [1, []]),
        (A, [["hear", "b"], ["hear", "a"], ["wait", 3600]], [0, []]),
        # Where neither side tells a version, nothing is said.
        (A | {"own": ""}, [["hear", "b"], ["wait", 3600]], [0, []]),
        (A, [["hear", None], ["wait", 3600]], [0, []]),
        # It would disturb somebody.
        (A | {"may": False}, [["hear", "b"], ["wait", 3600]], [0, [True]]),
        (
            A | {"may": False},
            [["hear", "b"], ["wait", 61], ["may", True], ["wait", 1]],
            [1, [True, False]],
        ),
        (
            A | {"may": False},
            [["hear", "b"], ["wait", 1], ["hear", "a"], ["wait", 1]],
            [0, [True, False]],
        ),
        # It was loaded anew for this version, and is not it; another version is another try.
        (A | {"tried": "b"}, [["hear", "b"], ["wait", 3600]], [0, [True]]),
        (A | {"tried": "b", "served": "c"}, [["hear", "c"], ["wait", 60]], [1, []]),
        # What would come is no newer page, or none at all: it is asked for again, but not all the
        # time.
        (A | {"served": "a"}, [["hear", "b"], ["wait", 3600]], [0, [True]]),
        (
            A | {"served": None},
            [["hear", "b"], ["wait", 90], ["serves", "b"], ["wait", 60]],
            [1, [True]],
        ),
        (A | {"served": ""}, [["hear", "b"], ["wait", 3600]], [0, [True]]),
        # A part of it could not be loaded: because the relay has others now, or for another reason.
        (A, [["doubt", 0], ["wait", 60]], [1, []]),
        (A | {"served": "a"}, [["doubt", 0], ["wait", 3600]], [0, []]),
        (A | {"served": None}, [["doubt", 0], ["wait", 3600]], [0, []]),
        (A | {"own": ""}, [["doubt", 0], ["wait", 3600]], [0, []]),
    ],
)
async def test_a_page_loads_itself_anew_once_a_version(
    page: Page, case: dict[str, Any], steps: list[list[Any]], told: list[Any]
) -> None:
    assert await page.evaluate(SIMULATED, case, steps) == told


UPGRADED: dict[str, float] = {"drawercam.server.http.static_files._VERSION": 12}
"""As many digits has the version of another relay's pages: so it is another one."""

VERSION = "document.querySelector('meta[name=version]').content"

# The browser would give the lens without a question, or not.
PERMISSION = """(state) => { navigator.permissions.query = async () => ({ state }); }"""


async def says(page: Page, text: str) -> None:
    await page.wait_for(f"document.body.innerText.includes({json.dumps(text)})", PATIENCE)


async def upgrade(relay: Relay) -> None:
    await asyncio.to_thread(relay.stop)
    relay.given = UPGRADED
    await asyncio.to_thread(relay.start)


@pytest.mark.long
async def test_open_pages_of_a_relay_that_was_upgraded(chromium: Chromium) -> None:
    """A player that nobody touches is loaded anew, with all that moves; a camera that films goes
    on, and is loaded anew when it rests.
    """
    async with contextlib.AsyncExitStack() as house:
        relay = house.enter_context(Relay())
        camera = await chromium.page(
            f"{relay.origin}/camera.html?name=porch&start=1&sound=0&width=320&height=240"
        )
        wall = await chromium.page(f"{relay.origin}/player.html")
        await moving(wall)
        assert isinstance(wall, ChromiumPage)
        old = await wall.evaluate(VERSION)
        await upgrade(relay)
        for page in (camera, wall):
            await page.evaluate("window.old = true")
        await camera.evaluate(PERMISSION, "granted")
        await moving(wall)
        await wall.evaluate(LATER, 61)
        await wall.wait_for(f"window.old === undefined && {VERSION} !== '{old}'", PATIENCE)
        await moving(wall)
        assert await wall.evaluate("document.querySelector('#banner').hidden")
        await camera.evaluate(LATER, 61)
        await says(camera, "there is a newer version of this page: reload it after filming")
        assert await camera.evaluate("window.old")
        await camera.click("#stop")
        await camera.evaluate(LATER, 61)
        await camera.wait_for("window.old === undefined", PATIENCE)
        assert await camera.evaluate(VERSION) == await wall.evaluate(VERSION)
        # Where the browser would ask for the lens, or a person listens, the page stays and says so.
        await asyncio.to_thread(relay.stop)
        relay.given = {}
        async with films.film(await asyncio.to_thread(relay.start), "attic"):
            await wall.wait_for("document.querySelector('[data-camera=attic]') !== null", PATIENCE)
            await wall.evaluate("document.querySelector('[data-camera=attic]').tile.sound.turnOn()")
            await says(wall, "There is a newer version of this page: reload it when it suits you.")
        await camera.close()
        await wall.close()


async def test_a_module_that_has_moved_is_fetched_with_its_page_and_no_page_goes_in_circles(
    relay: Relay, chromium: Chromium
) -> None:
    """Something on the way keeps an old page, of which the relay has no longer all modules."""
    page = await chromium.page()
    assert isinstance(page, ChromiumPage)
    pages = []

    async def kept(route: Route) -> None:
        answer = await route.fetch()
        text = await answer.text()
        if route.request.resource_type == "document":
            pages.append(route.request.url)
            text = re.sub(r'(name="version" content=)"\w+"', r'\1"0123456789abcdef"', text)
        await route.fulfill(response=answer, body=text)

    await page.raw.route("**/player.html", kept)
    await page.raw.route(
        re.compile(r"/receiver(-worker)?\.js"), lambda route: route.fulfill(status=404)
    )
    await page.raw.goto(f"{relay.origin}/player.html")
    await page.evaluate("window.old = true")
    await page.wait_for("document.querySelector('#failure') !== null", PATIENCE)
    await page.evaluate(LATER, 61)
    await page.wait_for("window.old === undefined", PATIENCE)
    await says(page, "There is a newer version of this page")
    await page.evaluate(LATER, 3600)
    await page.evaluate("async () => (await import('/web/shared/page/version.js')).version.look()")
    assert len(pages) == 2, "a second time would change nothing"
    await page.close()
