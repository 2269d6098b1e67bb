"""A page that does not start, or whose script fails later, says so and what to do; one that is well
shows none of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Route

from tests.harness.browsers import Chromium
from tests.harness.browsers.chromium import ChromiumPage
from tests.harness.pages import PATIENCE
from tests.harness.relays import ROOT, Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

PAGES = ["camera", "player"]

# Whether the sentence can be seen: by a person who came just now, and by one who has waited.
SEEN = """() => {
  const boot = document.getElementById("boot");
  if (!boot) return null;
  const seen = () => getComputedStyle(boot).visibility === "visible";
  const at = (time) => {
    for (const animation of boot.getAnimations()) animation.currentTime = time;
    return seen();
  };
  return [at(0), at(4900), at(5100)];
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def empty(chromium: Chromium) -> AsyncIterator[ChromiumPage]:
    page = await chromium.page()
    yield page
    await page.close()


async def failure(page: ChromiumPage) -> str:
    """Wait until the page says that it has failed; all its words."""
    await page.wait_for("document.getElementById('failure') !== null", PATIENCE)
    return str(await page.evaluate("document.getElementById('failure').innerText"))


async def _missing(route: Route) -> None:
    await route.fulfill(status=404, body="There is nothing at this address.")


async def _unreadable(route: Route) -> None:
    await route.fulfill(content_type="text/javascript", body="class Newer { #what?.ever; }")


async def _forbidden(route: Route) -> None:
    answer = await route.fetch()
    await route.fulfill(
        response=answer, headers={**answer.headers, "content-security-policy": "script-src 'none'"}
    )


async def _without_modules(route: Route) -> None:
    answer = await route.fetch()
    text = (await answer.text()).replace('type="module"', 'type="modules-are-unknown-here"')
    await route.fulfill(response=answer, body=text)


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_that_is_well_takes_the_sentence_away_before_anybody_has_seen_it(
    relay: Relay, empty: ChromiumPage, name: str
) -> None:
    await empty.raw.emulate_media(
        reduced_motion="reduce"
    )  # for which the style sheet stops all other animations
    await empty.raw.route("**/web/guard.js", _missing)
    await empty.raw.goto(f"{relay.origin}/{name}.html")
    assert await empty.evaluate(SEEN) == [False, False, True]
    await empty.raw.unroute("**/web/guard.js")
    await empty.raw.goto(f"{relay.origin}/{name}.html")
    assert await empty.evaluate(SEEN) is None
    assert await empty.evaluate("document.getElementById('failure') === null")


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_that_does_not_start_says_so(
    relay: Relay, empty: ChromiumPage, name: str
) -> None:
    troubles = {
        f"**/web/{name}/*/*-page.js": [_missing, _unreadable],
        "**/web/shared/relay/relay-link.js": [_missing, _unreadable],  # one of those that it needs
        f"**/{name}.html": [_forbidden, _without_modules],
    }
    for pattern, handlers in troubles.items():
        for handler in handlers:
            await empty.raw.route(pattern, handler)
            await empty.raw.goto(f"{relay.origin}/{name}.html")
            assert await empty.evaluate(SEEN) == [False, False, True], (pattern, handler)
            await empty.raw.unroute(pattern)
    said = await empty.evaluate("document.getElementById('boot').innerText")
    assert "reload it" in said
    assert "update the browser" in said


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_whose_script_fails_later_says_so(
    relay: Relay, empty: ChromiumPage, name: str
) -> None:
    address = f"{relay.origin}/{name}.html"
    for breakage in (
        "throw new TypeError('out of order')",
        "Promise.reject(new TypeError('out of order'))",
    ):
        await empty.raw.goto(address)
        await empty.evaluate(f"void setTimeout(() => {{ {breakage} }})")
        said = await failure(empty)
        assert "Reload it" in said
        assert "out of order" in said
    # What was read and closed does not come back; another fault does.
    await empty.click("#failure button:not(.primary)")
    again = "Promise.reject(new TypeError('out of order'))"
    await empty.evaluate(
        f"async () => {{ {again}; await new Promise((done) => setTimeout(done, 50)); }}"
    )
    assert await empty.evaluate("document.getElementById('failure') === null")
    await empty.evaluate("void setTimeout(() => { throw new Error('worse') })")
    assert "worse" in await failure(empty)
    await empty.evaluate("void (window.old = true)")
    await empty.click("#failure .primary")
    await empty.wait_for("!window.old && document.readyState === 'complete'", PATIENCE)
    assert await empty.evaluate("document.getElementById('failure') === null")


async def test_a_module_that_throws_while_it_starts_is_a_page_that_has_failed(
    relay: Relay, empty: ChromiumPage
) -> None:
    source = (ROOT / "web" / "shared" / "page" / "camera-name.js").read_text()

    async def throwing(route: Route) -> None:
        await route.fulfill(
            content_type="text/javascript", body=f"{source}\nthrow new Error('too early');"
        )

    await empty.raw.route("**/web/shared/page/camera-name.js", throwing)
    await empty.raw.goto(f"{relay.origin}/camera.html")
    assert "too early" in await failure(empty)


async def test_faults_that_are_not_the_pages_are_none(relay: Relay, empty: ChromiumPage) -> None:
    await empty.raw.goto(f"{relay.origin}/player.html")
    await empty.evaluate(
        """() => {
          const error = new Error("wallet");
          const filename = "chrome-extension://abcdef/inpage.js";
          dispatchEvent(new ErrorEvent("error", { error, message: "wallet", filename }));
          dispatchEvent(new ErrorEvent("error", { message: "ResizeObserver loop completed with undelivered notifications." }));
          dispatchEvent(new ErrorEvent("error", { message: "Script error." }));
          error.stack = `Error: wallet\\n  at ${filename}:1:1`;
          dispatchEvent(new PromiseRejectionEvent("unhandledrejection", { promise: Promise.resolve(), reason: error }));
        }"""
    )
    assert await empty.evaluate("document.getElementById('failure') === null")


async def test_a_worker_that_fails_later_is_a_page_that_has_failed(
    relay: Relay, empty: ChromiumPage
) -> None:
    for breakage in (
        "setTimeout(() => { throw new Error('deep inside'); })",
        "Promise.reject(new Error('deep inside'))",
    ):
        await empty.raw.goto(f"{relay.origin}/player.html?camera=nobody")
        await empty.wait_for(
            "document.querySelector('[data-camera]')?.dataset.state === 'waiting'", PATIENCE
        )
        [worker] = empty.raw.workers
        await worker.evaluate(f"void {breakage}")
        assert "deep inside" in await failure(empty)
