"""A relay that does not come back, or does not let a page in: both pages say so, since when, and
what to do. Real Chromium, real relay.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from playwright.async_api import Route

from tests.harness.browsers import Chromium, Page
from tests.harness.browsers.chromium import ChromiumPage
from tests.harness.pages import PATIENCE, kept, moving
from tests.harness.proxies import HOST
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

HOUR = 3600

# --- since when, by a given clock ---

# Looks every second, once a minute where the page is hidden, and never while the device sleeps;
# seconds since the beginning.
SIMULATED = """async (steps) => {
  const { Absence } = await import("/web/shared/relay/absence.js");
  const began = Date.UTC(2026, 0, 1);
  let now = began, shown = "visible";
  Object.defineProperty(document, "visibilityState", { get: () => shown, configurable: true });
  try {
    const relay = new Absence(() => now);
    const pass = (seconds, each) => {
      for (const end = now + seconds * 1000; now < end;) {
        now = Math.min(end, now + each * 1000);
        relay.look();
      }
    };
    const act = {
      wait: (seconds) => pass(seconds, 1),
      pongs: (seconds) => { for (; seconds > 0; seconds -= 2) { pass(2, 1); relay.heard(); } },
      throttled: (seconds) => pass(seconds, 60),
      sleep: (seconds) => { now += seconds * 1000; },
      hide: () => { shown = "hidden"; },
      seen: () => { shown = "visible"; },
      heard: () => relay.heard(), farewell: () => relay.farewell(), woke: () => relay.woke(), begin: () => relay.begin(),
      open: () => {}, // so the link says, which has lost nothing
      moved: () => relay.linked("waiting", null, true),
      refused: () => relay.linked("waiting", { id: "too-many", text: "There are too many." }, null),
      opened: () => relay.linked("open", null, null),
    };
    for (const [what, seconds] of steps) act[what](seconds);
    const away = steps[steps.length - 1][0] === "open" ? relay.silent && relay.away() : relay.away();
    return away ? [(away.at - began) / 1000, away.stopped, away.moved] : relay.restarting ? "restarting" : "moment";
  } finally {
    delete document.visibilityState;
  }
}"""


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([["pongs", 60], ["wait", 9]], "moment"),
        ([["pongs", 60], ["wait", 10]], [60, False, False]),
        ([["pongs", 60], ["farewell"], ["wait", 9]], "restarting"),
        ([["pongs", 60], ["farewell"], ["wait", 10]], [60, True, False]),
        ([["farewell"], ["wait", HOUR]], [0, True, False]),
        ([["farewell"], ["wait", 30], ["opened"], ["wait", 9]], "moment"),
        ([["farewell"], ["wait", 30], ["refused"], ["wait", 9]], "moment"),
        ([["farewell"], ["wait", 30], ["opened"], ["pongs", 10], ["wait", 30]], [40, False, False]),
        ([["farewell"], ["moved"], ["wait", 11]], [0, True, True]),
        ([["moved"], ["heard"], ["wait", 11]], [0, False, False]),
        # This device sleeps, and the relay goes meanwhile: with a good-bye that waits for it, or
        # that comes as it wakes, or without.
        ([["pongs", 60], ["sleep", HOUR], ["farewell"], ["wait", 9]], "moment"),
        ([["pongs", 60], ["sleep", HOUR], ["farewell"], ["wait", 10]], [60 + HOUR, False, False]),
        (
            [["pongs", 60], ["sleep", HOUR], ["wait", 2], ["farewell"], ["farewell"], ["wait", 10]],
            [62 + HOUR, False, False],
        ),
        (
            [["pongs", 60], ["sleep", HOUR], ["heard"], ["farewell"], ["wait", 10]],
            [60 + HOUR, False, False],
        ),
        ([["pongs", 60], ["sleep", HOUR], ["wait", 9]], "moment"),
        ([["pongs", 60], ["sleep", HOUR], ["wait", 12]], [61 + HOUR, False, False]),
        ([["pongs", 60], ["wait", 15], ["sleep", HOUR], ["wait", 12]], [76 + HOUR, False, False]),
        ([["pongs", 60], ["woke"], ["farewell"], ["wait", 10]], [60, False, False]),
        # It wakes, the relay is there, and is stopped later.
        ([["sleep", HOUR], ["pongs", 60], ["farewell"], ["wait", 10]], [60 + HOUR, True, False]),
        # It has seen the relay stop before it slept.
        ([["farewell"], ["wait", 60], ["sleep", 6 * HOUR], ["wait", 5]], "moment"),
        ([["farewell"], ["wait", 60], ["sleep", 6 * HOUR], ["wait", 15]], [0, True, False]),
        # A hidden page is awake, however seldom it looks.
        (
            [
                ["pongs", 60],
                ["hide"],
                ["throttled", 600],
                ["farewell"],
                ["throttled", HOUR],
                ["seen"],
                ["wait", 1],
            ],
            [660, True, False],
        ),
        ([["pongs", 60], ["hide"], ["throttled", 600], ["seen"], ["wait", 1]], [60, False, False]),
        (
            [["pongs", 60], ["hide"], ["sleep", HOUR], ["farewell"], ["seen"], ["wait", 10]],
            [60 + HOUR, False, False],
        ),
        ([["pongs", 60], ["hide"], ["throttled", 120], ["open"]], "moment"),
        ([["pongs", 60], ["hide"], ["throttled", 600], ["open"]], [60, False, False]),
        # Its clock is set back: no absence lasts till that time has come again.
        ([["pongs", 60], ["farewell"], ["sleep", -HOUR], ["wait", 12]], [61 - HOUR, False, False]),
        ([["pongs", 60], ["sleep", -1], ["wait", 11]], [60, False, False]),
        # A page that asks nothing for an hour misses nothing.
        ([["wait", HOUR], ["begin"], ["wait", 9]], "moment"),
        ([["wait", HOUR], ["begin"], ["wait", 10]], [HOUR, False, False]),
    ],
)
async def test_it_is_told_since_when_the_relay_is_away(
    page: Page, steps: list[list[Any]], told: object
) -> None:
    assert await page.evaluate(SIMULATED, steps) == told


async def test_times_have_their_day_where_it_is_not_today(page: Page) -> None:
    said = await page.evaluate(
        """async () => {
          const { awayWords } = await import("/web/shared/relay/absence.js");
          const at = (days) => awayWords({ at: Date.now() - days * 86400000, stopped: days !== 1, moved: days === 3 });
          return [0, 1, 2, 3].map(at);
        }"""
    )
    assert re.fullmatch(r"The relay stopped at \d\d:\d\d(\s[AP]M)?", said[0])
    assert re.fullmatch(r"The relay has not answered since \d\d:\d\d(\s[AP]M)? yesterday", said[1])
    assert re.fullmatch(r"The relay stopped at \d\d:\d\d(\s[AP]M)? on .*day.*", said[2])
    assert said[3] == "The relay has moved to another address"


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ({"id": "too-many", "text": "There are too many."}, "There are too many."),
        (
            {"id": "unknown-host", "text": "Unknown.", "add": "--allow-host cam"},
            "Unknown. What to add: --allow-host cam",
        ),
        (
            {"id": "foreign-origin", "text": "Foreign.", "add": "a b;"},
            "Foreign. What to add to nginx’ location: a b;",
        ),
        ({"id": "foreign-origin", "text": "Foreign."}, "Foreign."),
    ],
)
async def test_a_refusal_is_told_with_the_line_to_add(
    page: Page, refusal: dict[str, str], words: str
) -> None:
    assert (
        await page.evaluate(
            (
                "async (refusal) => (await "
                "import('/web/shared/relay/absence.js')).refusalWords(refusal)"
            ),
            refusal,
        )
        == words
    )


@pytest.mark.parametrize(
    ("places", "moved"),
    [([], False), (["https://10.0.0.2:8443"], True), (["https://10.0.0.2:8443", "HOME"], False)],
)
async def test_a_relay_that_is_known_elsewhere_only_has_moved(
    page: Page, places: list[str], moved: bool
) -> None:
    found = await page.evaluate(
        """async (places) => {
          const { Link } = await import("/web/shared/relay/relay-link.js");
          const link = new Link("/wall", {});
          await link._look(async () => places.map((place) => ({ base: place === "HOME" ? location.origin : place, ticket: "" })));
          return [link.moved, link.places.map(({ base }) => base).includes(location.origin)];
        }""",
        places,
    )
    assert found == [moved, False]


# --- both pages, and a relay that stays away ---

# Whatever waits for a time of day waits for so long no more: as if so much had passed since the
# last look.
LATER = "(seconds) => { const now = Date.now; Date.now = () => now() + seconds * 1000; }"

STOPPED = r"The relay stopped at \d\d:\d\d"
SILENT = r"The relay has not answered since \d\d:\d\d"

# Enough for what is away to be away for good, and not so much that it looks like sleep.
FOR_GOOD = 11


async def reads(page: Page, what: str, pattern: str) -> None:
    """Wait until this (JavaScript) is a text that matches."""
    try:
        await page.wait_for(f"RegExp({json.dumps(pattern)}).test({what})", PATIENCE)
    except Exception:
        raise AssertionError(
            f"never {pattern!r}, but {await page.evaluate(what)!r}; {await kept(page)}"
        ) from None


def text(css: str) -> str:
    return f"(document.querySelector('{css}:not([hidden])') || {{}}).innerText"


# Whether the banner ends where the wall begins, and how high it is.
_COVERED = """() => {
  const [banner, wall] = ["banner", "wall"].map((id) => document.getElementById(id).getBoundingClientRect());
  return [banner.bottom <= wall.top, banner.height < 80];
}"""


class Both:
    """A wall with one camera, and the camera's page."""

    def __init__(self, camera: Page, wall: Page) -> None:
        self.camera, self.wall = camera, wall

    async def later(self, seconds: int) -> None:
        for page in (self.camera, self.wall):
            await page.evaluate(LATER, seconds)

    async def say(self, pattern: str) -> None:
        """Wait until all that speaks of the relay says this."""
        await reads(self.wall, text("#banner"), f"^{pattern}")
        await reads(self.wall, text("[data-camera] .notice"), f"^{pattern}")
        await reads(self.camera, text("#status"), f"^{pattern}")

    async def titled(self, pattern: str) -> None:
        for page in (self.camera, self.wall):
            await reads(page, "document.title", f"^{pattern}$")

    async def narrow(self) -> None:
        """On a phone, tile and banner share what is to be said, and neither covers the other; what
        to do is said in the likely order.
        """
        await self.wall.resize(360, 740)
        await reads(self.wall, text("[data-camera] .notice"), r"^This picture is from \d\d:\d\d")
        covered = await self.wall.evaluate(_COVERED)
        assert covered == [True, True], (
            "the banner lies beside the wall, and is no higher than three lines"
        )
        await self.wall.click("#banner button")
        await reads(self.wall, text("#banner div"), "^Is the relay’s computer on")
        await self.wall.resize(1280, 720)

    async def are_well(self) -> None:
        await self.camera.wait_for(
            "document.querySelector('#status').dataset.state === 'live'", PATIENCE
        )
        await moving(self.wall)
        await self.wall.wait_for("document.querySelector('#banner').hidden", PATIENCE)
        assert await self.camera.evaluate("document.title") == "Camera"
        assert await self.wall.evaluate("document.title") == "drawercam: the wall"


@contextlib.asynccontextmanager
async def both(chromium: Chromium, origin: str, more: str = "") -> AsyncIterator[Both]:
    camera = await chromium.page(
        f"{origin}/camera.html?name=porch&start=1&sound=0&width=320&height=240{more}"
    )
    wall = await chromium.page(f"{origin}/player.html")
    try:
        yield Both(camera, wall)
    finally:
        await camera.close()
        await wall.close()


async def test_a_relay_that_was_stopped_for_good_is_told_everywhere(chromium: Chromium) -> None:
    with Relay() as relay:
        async with both(chromium, relay.origin) as pages:
            await pages.are_well()
            await pages.camera.click("#dim")
            await asyncio.to_thread(relay.stop)
            await pages.say("The relay is restarting")
            await pages.later(FOR_GOOD)
            await pages.say(STOPPED)
            await pages.titled(STOPPED + ".*")
            await reads(
                pages.wall,
                text("[data-camera] .notice"),
                rf"{STOPPED}.*\. This picture is from \d\d:\d\d",
            )
            await reads(pages.wall, text("[data-camera] .status"), "Offline")
            await reads(
                pages.camera, text("#dark-text"), "porch · the relay stopped at .* · touch to wake"
            )
            assert "moment" not in await pages.camera.evaluate(text("#detail"))
            assert (
                await pages.wall.evaluate("document.querySelector('[data-camera]').dataset.state")
                == "connecting"
            )
            await pages.wall.evaluate(
                "document.querySelector('[data-camera]').classList.add('small')"
            )
            await reads(pages.wall, text("[data-camera] .notice"), r"^Picture from \d\d:\d\d")
            await pages.narrow()
            await asyncio.to_thread(relay.start)
            await pages.are_well()


@pytest.mark.long
async def test_a_relay_that_is_gone_without_a_word_has_not_answered_since(
    chromium: Chromium,
) -> None:
    with Relay() as relay:
        async with both(chromium, relay.origin) as pages:
            await pages.are_well()
            await asyncio.to_thread(relay.kill)
            await pages.say("(No connection|The relay does not answer)")
            await pages.later(FOR_GOOD)
            await pages.say(SILENT)
            await pages.titled(SILENT + ".*")
            await asyncio.to_thread(relay.start)
            await pages.are_well()


@pytest.mark.long
async def test_a_relay_whose_computer_sleeps_has_not_answered_since(chromium: Chromium) -> None:
    with Relay() as relay:
        async with both(chromium, relay.origin) as pages:
            await pages.are_well()
            os.kill(relay.pid, signal.SIGSTOP)
            try:
                await pages.say(SILENT)
                await pages.titled(SILENT + ".*")
            finally:
                os.kill(relay.pid, signal.SIGCONT)
            await pages.are_well()


@pytest.mark.long
async def test_a_page_whose_device_slept_makes_no_claim_about_that_time(chromium: Chromium) -> None:
    with Relay() as relay:
        async with both(chromium, relay.origin) as pages:
            await pages.are_well()
            await pages.later(6 * HOUR)
            await asyncio.to_thread(relay.stop)
            await pages.say("(No connection|The relay does not answer)")
            await pages.later(FOR_GOOD)
            await pages.say(SILENT)
            hour = (
                await pages.wall.evaluate(
                    "new Date(Date.now()).toLocaleTimeString([], { hour: '2-digit' })"
                )
            ).split()[0]
            await pages.say(f"The relay has not answered since {hour}:")


@pytest.mark.long
async def test_a_camera_whose_lens_rests_says_it_too(chromium: Chromium) -> None:
    with Relay() as relay:
        async with both(chromium, relay.origin, "&rest=lens") as pages:
            await pages.wall.close()
            await reads(pages.camera, text("#note"), "The lens is off")
            await asyncio.to_thread(relay.stop)
            await pages.camera.evaluate(LATER, FOR_GOOD)
            await reads(pages.camera, text("#status"), f"^{STOPPED}")
            await reads(pages.camera, text("#note"), "wakes up when the relay is back")
            await asyncio.to_thread(relay.start)
            await reads(pages.camera, text("#status"), "Asleep")


async def test_the_step_for_another_certificate_is_named(page: Page) -> None:
    """Only pages by https can meet one."""
    status = {"state": "gone", "away": {"at": 0, "stopped": True, "moved": False}}
    said = await page.evaluate(
        """async (status) => {
          const { stepsToReach } = await import("/web/shared/page/browser-menus.js");
          const { statusWords } = await import("/web/camera/page/status-words.js");
          const browser = { family: "chrome", system: "android", name: "Chrome" };
          return [statusWords(status, {})[2], stepsToReach(browser, true).join(" "), stepsToReach(browser, false).join(" ")];
        }""",
        status,
    )
    assert ["certificate" in one for one in said] == [False, True, False]
    assert (
        said[0]
        == "This page goes on trying. Is the relay running, and is this device in its network?"
    )
    assert "reload this page" in said[1]


# --- a relay that refuses a page ---


@contextlib.asynccontextmanager
async def renaming(relay: Relay, name: bytes) -> AsyncIterator[str]:
    """The origin of a proxy that tells the relay another Host than the browser says, as many do by
    themselves.
    """
    said = b""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, there: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data.replace(said, b"Host: " + name + b"\r\n") if there else data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, on = await asyncio.open_connection(HOST, relay.port)
        await asyncio.gather(pump(reader, on, True), pump(back, writer, False))

    server = await asyncio.start_server(serve, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    said = f"Host: localhost:{port}\r\n".encode()
    async with server:
        yield f"http://localhost:{port}"


async def test_a_proxy_that_changes_the_name_is_told_with_the_line_to_add(
    relay: Relay, chromium: Chromium
) -> None:
    async with renaming(relay, b"localhost") as origin, both(chromium, origin) as pages:
        await reads(
            pages.wall,
            text("#banner"),
            r"its request is for localhost.*proxy_set_header Host \$http_host;",
        )
        await reads(
            pages.camera,
            f"{text('#status')} + {text('#detail')}",
            r"^The relay refuses this page.*proxy_set_header Host",
        )
        await pages.titled("The relay refuses this page")
        await pages.later(
            FOR_GOOD
        )  # it answers each try, so it is not away however long that goes on
        await reads(pages.wall, text("#banner"), "proxy_set_header")
        await reads(
            pages.camera,
            f"{text('#status')} + {text('#detail')}",
            r"^The relay refuses this page.*proxy_set_header Host",
        )
        tile = await chromium.page(f"{origin}/player.html?camera=porch")
        await reads(tile, text("#banner"), "proxy_set_header")
        await reads(tile, text(".notice"), "^The relay refuses this page")
        await tile.close()


@pytest.mark.long
async def test_a_name_that_the_relay_knows_no_more_is_told_with_the_line_to_add(
    chromium: Chromium,
) -> None:
    name = "cams.localhost"
    with Relay("--no-key", "--allow-host", name) as relay:
        async with both(chromium, f"http://{name}:{relay.port}") as pages:
            await pages.are_well()
            await asyncio.to_thread(relay.stop)
            relay.options = ("--no-key",)
            await asyncio.to_thread(relay.start)
            line = f"--allow-host {re.escape(name)}"
            await reads(pages.wall, text("#banner"), line)
            await reads(pages.wall, text(".notice"), "^The relay refuses this page")
            await reads(pages.camera, text("#detail"), line)
            await pages.titled("The relay refuses this page")


# --- a browser that keeps no cookie ---


@pytest.fixture(scope="module")
def house() -> Iterator[Relay]:
    with Relay("--tls", "--host", HOST) as one:
        yield one
        assert one.alive and "Traceback" not in one.output, one.output


def link(house: Relay, page: str, more: str = "") -> str:
    found = re.search(rf"/{page}\.html#(key=\S+)", house.output)
    assert found is not None
    return f"{house.origin}/{page}.html{more}#{found[1]}"


@contextlib.asynccontextmanager
async def forgetful(chromium: Chromium, address: str) -> AsyncIterator[ChromiumPage]:
    """A page whose browser keeps no cookie for it."""
    page = await chromium.page()

    async def forget(route: Route) -> None:
        answer = await route.fetch()
        await page.raw.context.clear_cookies()
        await route.fulfill(
            response=answer,
            headers={name: value for name, value in answer.headers.items() if name != "set-cookie"},
        )

    await page.raw.route("**/api/session", forget)
    await page.raw.goto(address)
    yield page
    await page.close()


@pytest.mark.parametrize(
    "cookies",
    [
        "{ get: () => '', set() {} }",
        "{ get() { throw new DOMException('no', 'SecurityError'); }, set() {} }",
    ],
)
async def test_where_cookies_are_blocked_no_key_is_asked_for(page: Page, cookies: str) -> None:
    """Also after a reload, when it is not known any more whether there was a right key."""
    said = await page.evaluate(
        f"""async () => {{
          const {{ keepsNoKey, stepsToKeep }} = await import("/web/shared/relay/login.js");
          const sessions = [null, {{ keys: false }}, {{ keys: true }}, {{ keys: true, unkept: true }}];
          const before = sessions.map(keepsNoKey);
          Object.defineProperty(document, "cookie", {{ ...({cookies}), configurable: true }});
          try {{
            return [before, sessions.map(keepsNoKey), stepsToKeep(sessions[2])[0]];
          }} finally {{
            delete document.cookie;
          }}
        }}"""
    )
    assert said[:2] == [[False, False, False, True], [False, False, True, True]]
    assert said[2].startswith("A key stays in a cookie, and cookies are blocked for localhost")


async def test_a_right_key_that_does_not_stay_is_told_as_that(
    house: Relay, chromium: Chromium
) -> None:
    async with forgetful(chromium, link(house, "player")) as wall:
        await reads(
            wall,
            text("#key"),
            r"This browser does not keep the key[^]*The key is right[^]*cookies are blocked for ",
        )
        await wall.click("#key-use")
        await reads(wall, text("#key-wrong"), "Cookies are still blocked.")
        assert "Scan" not in await wall.evaluate(text("#key"))
        await wall.raw.unroute("**/api/session")
        await wall.click("#key-use")
        await reads(wall, text("#invite"), "No camera yet")
    async with forgetful(chromium, link(house, "camera", "?name=porch&start=1&sound=0")) as camera:
        await reads(
            camera,
            text("#panel"),
            r"This browser does not keep the key[^]*The key is right[^]*cookies are blocked for ",
        )
        assert "revoked" not in await camera.evaluate("document.body.innerText")
        assert await camera.evaluate("document.querySelector('#key-form').hidden")
        await camera.raw.unroute("**/api/session")
        await camera.click("#panel-actions .primary")
        await camera.wait_for(
            "document.querySelector('#status').dataset.state === 'live'", PATIENCE
        )
