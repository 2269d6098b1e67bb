"""A page that asks the registry where its relay is (web/shared/relay/moved-relay.js), and a
redirect that keeps the key.

Real browsers, real registry.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from ip_registry.messages import Announcement, authorization, path_of
from ip_registry.registry import Registry
from ip_registry.service import application
from tests.harness.browsers import Browser, Page
from tests.harness.pages import PATIENCE

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

LOOK = """async (answers, wait) => {
  const { Finder } = await import("/web/shared/relay/moved-relay.js");
  const asked = [];
  const ask = async (url, options) => {
    asked.push([url, options.credentials, options.redirect]);
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    if (answer === "away") throw new TypeError("Failed to fetch");
    if (answer === "silent") return new Promise((_, no) => options.signal.addEventListener("abort", () => no(new Error("aborted"))));
    return new Response(answer.body === undefined ? JSON.stringify(answer) : answer.body, { status: answer.status || 200 });
  };
  const finder = new Finder({ registry: "https://10.0.0.1:8099/", relay: "porch" }, ask);
  const found = [];
  for (const answer of answers) {
    const both = await Promise.all([finder.look(), finder.look()]);
    found.push(...both.slice(0, 1));
    if (wait && found.length < answers.length) await new Promise((done) => setTimeout(done, wait));
  }
  return { found, asked };
}"""


def there(*urls: object) -> dict[str, Any]:
    return {"name": "porch", "alive": True, "urls": list(urls)}


async def look(page: Page, *answers: object, wait: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = await page.evaluate(LOOK, list(answers), wait)
    return found


async def test_it_asks_once_for_all_and_without_cookies(page: Page) -> None:
    told = await look(page, there("https://10.0.0.2:8443", "https://[fd00::2]:8443"), "away")
    assert told["found"] == [["https://10.0.0.2:8443", "https://[fd00::2]:8443"]] * 2, (
        "what is fresh is not asked again"
    )
    assert told["asked"] == [["https://10.0.0.1:8099/api/relays/porch", "omit", "error"]]


async def test_it_asks_again_after_a_while(page: Page) -> None:
    told = await look(
        page, there("https://10.0.0.2:8443"), there("https://10.0.0.3:8443"), wait=2500
    )
    assert told["found"] == [["https://10.0.0.2:8443"], ["https://10.0.0.3:8443"]]


NOTHING = [
    "away",
    "silent",
    {"status": 404, "body": '{"error": "unknown-relay"}'},
    {"body": "<html>a router's page</html>"},
    {"body": "null"},
    {"body": '{"alive": true, "urls": ["https://10.0.0.2:8443"]}' + " " * 9000},
    {"name": "porch", "alive": False, "urls": ["https://10.0.0.2:8443"]},
    {"name": "porch", "alive": True},
    {"name": "porch", "alive": True, "urls": "https://10.0.0.2:8443"},
    there(),
    there(
        7,
        None,
        {},
        [],
        "",
        "x",
        "javascript:alert(1)",
        "//10.0.0.2",
        "https://",
        "http://10.0.0.2:8443",
        "ws://10.0.0.2:8443",
    ),
    there(
        "https://10.0.0.2:8443/x",
        "https://10.0.0.2:8443?x",
        "https://10.0.0.2:8443#x",
        "https://user@10.0.0.2:8443",
    ),
]


@pytest.mark.parametrize("answer", NOTHING)
async def test_who_does_not_know_or_says_nonsense_leads_nowhere(page: Page, answer: object) -> None:
    assert (await look(page, answer))["found"] == [[]]


async def test_there_are_so_many_addresses_at_most_and_the_usual_port_may_be_named(
    page: Page,
) -> None:
    told = await look(
        page,
        there("https://10.0.0.1:443", *(f"https://10.0.1.{number}:8443" for number in range(50))),
    )
    assert told["found"][0][0] == "https://10.0.0.1:443" and len(told["found"][0]) == 16


async def test_a_link_learns_other_places_with_its_ticket(page: Page) -> None:
    places = await page.evaluate("""async () => {
      const { elsewhere } = await import("/web/shared/relay/moved-relay.js");
      const ask = async () => new Response(JSON.stringify({ alive: true, urls: ["https://10.0.0.2:8443"] }));
      const session = { registry: "https://10.0.0.1:8099", relay: "porch", ticket: "abc" };
      const none = [null, {}, { ...session, registry: "" }, { ...session, ticket: null }, { ...session, relay: "" }];
      let known = null;
      const places = elsewhere(() => known, ask);
      const found = [];
      for (known of [...none, session]) found.push(await places());
      return found;
    }""")
    assert places == [[]] * 5 + [[{"base": "https://10.0.0.2:8443", "ticket": "abc"}]]


# --- the redirect, and the page for people ---


class Site:
    """A registry on 127.0.0.3, and something that a relay could be on 127.0.0.2."""

    def __init__(self, registry: Registry, origin: str, relay: str) -> None:
        self.registry = registry
        self.origin = origin
        self.relay = relay

    async def announce(self, name: str, *urls: str) -> None:
        body = Announcement(name, urls or (self.relay,)).body()
        async with aiohttp.ClientSession(self.origin) as client:
            async with client.post(path_of(name), data=body) as answer:
                nonce = (await answer.json())["nonce"]
            headers = {"Authorization": authorization("x" * 40, "POST", path_of(name), nonce, body)}
            async with client.post(path_of(name), data=body, headers=headers) as answer:
                assert answer.status == 200


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async def landing(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<!doctype html><title>here</title>", content_type="text/html")

    landing_app = web.Application()
    landing_app.router.add_get("/{tail:.*}", landing)
    registry = Registry(tmp_path, "x" * 40)
    runners = [web.AppRunner(application(registry, None)), web.AppRunner(landing_app)]
    urls = []
    for runner, host in zip(runners, ("127.0.0.3", "127.0.0.2"), strict=True):
        await runner.setup()
        await web.TCPSite(runner, host, 0).start()
        urls.append(f"http://{host}:{runner.addresses[0][1]}")
    yield Site(registry, *urls)
    for runner in runners:
        await runner.cleanup()


async def test_the_key_behind_the_hash_survives_the_redirect(browser: Browser, site: Site) -> None:
    await site.announce("porch")
    page = await browser.page(f"{site.origin}/go/porch/camera.html?name=a%20b#key=abcd-efgh")
    await page.wait_for("document.title === 'here'", PATIENCE)
    assert (
        await page.evaluate("location.href") == f"{site.relay}/camera.html?name=a%20b#key=abcd-efgh"
    )
    await page.close()


async def test_people_see_who_is_there_without_reloading_and_on_a_small_screen(
    chromium: Browser, site: Site
) -> None:
    page = await chromium.page(site.origin)
    await page.resize(320, 640)
    assert "No relay is known here" in await page.evaluate("document.body.innerText")
    await site.announce(
        "porch", "https://[fd00:1111:2222:3333:4444:5555:6666:7777]:8443", "https://10.0.0.2:8443"
    )
    await page.wait_for("document.body.innerText.includes('There since')", PATIENCE)
    assert await page.evaluate(
        "[...document.querySelectorAll('a')].map((a) => a.innerText).slice(0, 2)"
    ) == ["Watch", "Film"]
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "nothing sticks out"
    )
    assert await page.evaluate(
        "[...document.querySelectorAll('a')].every((a) => a.getBoundingClientRect().height >= 34)"
    )
    site.registry.relays()[0].heard -= 60
    await page.wait_for("document.body.innerText.includes('last seen')", PATIENCE)
    assert page.errors == []
    await page.close()


async def test_who_comes_too_early_is_taken_along_when_the_relay_is_back(
    chromium: Browser, site: Site
) -> None:
    page = await chromium.page(f"{site.origin}/go/porch/player.html#key=abcd")
    assert "no relay of this name" in await page.evaluate("document.body.innerText")
    await site.announce("porch")
    await page.wait_for("document.title === 'here'", PATIENCE)
    assert await page.evaluate("location.href") == f"{site.relay}/player.html#key=abcd"
    await page.close()


async def test_the_page_says_when_the_registry_is_away(chromium: Browser, tmp_path: Path) -> None:
    runner = web.AppRunner(application(Registry(tmp_path, "x" * 40), None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.3", 0).start()
    page = await chromium.page(f"http://127.0.0.3:{runner.addresses[0][1]}")
    assert "may be old" not in await page.evaluate("document.body.innerText")
    await asyncio.sleep(0)
    await runner.cleanup()
    await page.wait_for("document.body.innerText.includes('may be old')", PATIENCE)
    await page.close()
