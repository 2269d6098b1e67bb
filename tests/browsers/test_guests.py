"""Keys without a terminal: guests come and go, and a link that opens nothing says why.

Real Chromium, real relay.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from http.client import HTTPSConnection
from typing import Any

import pytest
import pytest_asyncio

from drawercam.access.key import ALL, NOTHING, Key, Scope
from drawercam.access.keys import Keyring
from tests.browsers.conftest import Browsers
from tests.harness.browsers import Chromium, Page
from tests.harness.pages import PATIENCE
from tests.harness.relays import Relay
from tests.server.test_promises import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

BABY = Scope(names=frozenset({"baby-room"}))

OUTER = "https://cam.example.org"

# A minute passes when the test says so.
MINUTE = """
  window.minutes = [];
  const plain = window.setTimeout;
  window.setTimeout = (act, wait, ...more) => (wait === 60000 ? window.minutes.push(act) : plain(act, wait, ...more));
  window.passMinute = () => window.minutes.splice(0).forEach((act) => act());
"""

HIDE = """(hidden) => {
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => (hidden ? "hidden" : "visible") });
  document.dispatchEvent(new Event("visibilitychange"));
}"""

SEEN_KEYS = """() => [document.body.innerText, ...[...document.querySelectorAll("a")].map(({ href }) => href)]
  .join(" ").match(/#key=[a-z2-7-]+/g)"""


@pytest.fixture(scope="module")
def house() -> Iterator[Relay]:
    """A relay that phones can reach, as it believes."""
    with Relay("--tls", "--host", "127.0.0.1", "--allow-host", OUTER) as one:
        yield one
        assert one.alive and "Traceback" not in one.output, one.output


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chromium(browsers: Browsers) -> AsyncIterator[Chromium]:
    """One that holds no keys yet, and lets no minute pass."""
    async with browsers.chromium(MINUTE, camera=False) as one:
        yield one


def made(house: Relay, publish: Scope = NOTHING, watch: Scope = NOTHING, **more: Any) -> Key:
    return Keyring.open(house.state).add(publish, watch, **more)


async def shows(page: Page, css: str, *words: str) -> None:
    for word in words:
        found = (
            f"(({{ hidden, innerText }}) => !hidden && "
            f"innerText.includes({json.dumps(word)}))(document.querySelector('{css}'))"
        )
        await page.wait_for(found, PATIENCE)


def opens(house: Relay, key: str) -> tuple[int, Any]:
    """What the relay answers to whoever shows this key."""
    context = ssl.create_default_context(cafile=str(house.state / "certs" / "ca.crt"))
    connection = HTTPSConnection("localhost", house.port, context=context, timeout=PATIENCE)
    connection.request(
        "POST", "/api/session", json.dumps({"key": key}), {"Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told


async def test_what_holds_a_key_is_seen_for_a_minute_and_while_the_page_is(
    chromium: Chromium, house: Relay
) -> None:
    page = await chromium.page(f"{house.origin}/keys.html")
    told = await page.evaluate(
        """async () => {
          const { Glimpse } = await import("/web/shared/page/glimpse.js");
          const hide = HIDE;
          const seen = [];
          const glimpse = new Glimpse((now) => seen.push(now));
          glimpse.end();
          glimpse.begin();
          passMinute();
          glimpse.begin();
          hide(true);
          glimpse.begin();
          hide(false);
          return { seen, after: glimpse.seen };
        }""".replace("HIDE", HIDE)
    )
    assert told == {"seen": [True, False, True, False], "after": False}
    await page.close()


async def test_a_wall_that_holds_own_adds_cameras_and_guests_and_a_tap_shows_a_key_for_a_minute(
    chromium: Chromium, house: Relay
) -> None:
    ring = Keyring.open(house.state)
    film, _ = ring.for_links()
    own = made(house, ALL, ALL, label="my phone")
    assert film is not None
    page = await chromium.page(f"{house.origin}/player.html#key={own.secret}")
    await shows(page, "#invite", "No camera yet", "films and does nothing else")
    assert await page.evaluate(SEEN_KEYS) is None and await page.evaluate(
        "document.querySelector('#invite-code').hidden"
    )

    async def shown(key: str) -> None:
        await page.click("#invite-show")
        await page.wait_for("document.querySelector('#invite-code').naturalWidth > 0", PATIENCE)
        assert set(await page.evaluate(SEEN_KEYS)) == {f"#key={key}"}
        assert (
            await page.evaluate("document.querySelector('#invite-address').href")
            == f"{OUTER}/camera.html#key={key}"
        )

    await shown(film.secret)
    await page.evaluate("void passMinute()")
    assert await page.evaluate(SEEN_KEYS) is None and await page.evaluate(
        "document.querySelector('#invite-code').hidden"
    )
    await shown(film.secret)
    await page.evaluate(HIDE, True)
    assert await page.evaluate(SEEN_KEYS) is None and not await page.evaluate(
        "document.querySelector('#invite-code').getAttribute('src')"
    )
    await page.evaluate(HIDE, False)
    Keyring.open(house.state).revoke(film.id)
    await eventually(lambda: opens(house, film.secret)[0] == 401, "the relay has heard of it")
    await page.click("#invite-show")  # the relay makes another one
    await page.wait_for("document.querySelector('#invite-code').naturalWidth > 0", PATIENCE)
    ring = Keyring.open(house.state)
    ((secret,),) = [
        await page.evaluate("[...new Set(document.body.innerText.match(/#key=[a-z2-7-]+/g))]")
    ]
    made_now = ring.with_secret(secret.removeprefix("#key="))
    assert made_now is not None and (made_now.publish, made_now.watch) == (ALL, NOTHING)

    await page.click("#guests")
    await page.wait_for("location.pathname === '/keys.html'", PATIENCE)
    await shows(page, "#list", "my phone", "on this device", "watch every camera")
    await page.click("#make")
    await shows(page, "#wrong", "for whom")
    assert await page.evaluate(
        "document.activeElement.id === 'whom' && "
        "document.activeElement.getAttribute('aria-invalid') === 'true'"
    )
    await page.fill("#whom", "Anna")
    await page.click("#make")
    await shows(page, "#wrong", "Choose a camera")
    await page.fill("#others", "Baby Room")
    await page.click("#make")
    await shows(page, "#made", "Invitation for Anna", "watch baby-room, until ")
    await page.wait_for("document.querySelector('#code').naturalWidth > 0", PATIENCE)
    link = await page.evaluate("document.querySelector('#link').textContent")
    address, _, guest = link.partition("#key=")
    assert address == f"{OUTER}/player.html?camera=baby-room"
    status, session = opens(house, guest)
    assert status == 200 and session["watch"] == ["baby-room"] and session["publish"] == []
    await page.evaluate("void passMinute()")
    assert await page.evaluate(SEEN_KEYS) is None

    anna = next(key.id for key in Keyring.open(house.state).keys if key.label == "Anna")
    await page.click(f"#list button[data-key='{anna}']")
    await shows(page, "#ask", "Revoke the key of Anna?", "can no longer watch baby-room")
    await page.click("#keep")
    assert opens(house, guest)[0] == 200
    await page.click(f"#list button[data-key='{anna}']")
    await page.click("#sure")
    await shows(page, "#news", "The key of Anna is revoked.")
    await shows(page, "#form", "Invite somebody")  # and no link that opens nothing any more
    assert await page.evaluate(
        "document.querySelector('#made').hidden && !document.body.textContent.includes('#key=')"
    )
    assert opens(house, guest)[0] == 401 and await page.evaluate(
        f"document.querySelector('[data-id=\"{anna}\"]') === null"
    )

    await page.click(f"#list button[data-key='{own.id}']")
    await shows(page, "#ask", "This device uses it", "last key that may invite")
    await page.click("#sure")
    await shows(page, "#shut", "for the relay’s owner")
    assert (
        await page.evaluate("document.querySelector('#open').hidden")
        and opens(house, own.secret)[0] == 401
    )
    # The key may end before the request that has revoked it is answered, and Chromium sends that
    # one again.
    assert [error for error in page.errors if not error.endswith(f"/api/keys/{own.id}")] == []
    await page.close()


async def test_a_link_that_opens_nothing_says_why_and_names_no_terminal(
    chromium: Chromium, house: Relay
) -> None:
    ended = Keyring.open(house.state, clock=lambda: time.time() - 100).add(NOTHING, BABY, lasts=50)
    revoked = made(house, watch=BABY)
    Keyring.open(house.state).revoke(revoked.id)
    films, guest = made(house, BABY), made(house, watch=BABY)
    page = await chromium.page(f"{house.origin}/player.html")
    await shows(page, "#key", "Scan the code Watch")
    cases = [
        (
            revoked,
            "",
            ("does not know the key of this link", "Ask whoever sent you the link for a new one"),
        ),
        (ended, "", ("time of this link is over", "Ask whoever sent you the link for a new one")),
        (films, "", ("This link is for filming", "Film with this device")),
        (guest, "?camera=porch", ("Your key is for baby-room only.", "Watch baby-room")),
    ]
    for key, query, words in cases:
        await page.close()
        page = await chromium.page(f"{house.origin}/player.html{query}#key={key.secret}")
        await shows(page, "#key", "This link does not open this page", *words)
        assert "terminal" not in await page.evaluate("document.body.innerText")
    await page.fill("#key-field", ended.secret)
    await page.click("#key-use")
    await shows(page, "#key-wrong", "The time of this key is over.")
    await page.click("#key-other-way")
    await page.wait_for(
        (
            "location.search === '?camera=baby-room' && "
            "document.querySelector('[data-camera]') !== null"
        ),
        PATIENCE,
    )
    await page.close()


async def test_a_link_for_the_camera_page_says_so_too(chromium: Chromium, house: Relay) -> None:
    """With the keys that the test before has left."""
    for key in Keyring.open(house.state).keys:
        if key.publish:
            Keyring.open(house.state).revoke(key.id)
    watches, revoked = made(house, watch=ALL), made(house, ALL)
    Keyring.open(house.state).revoke(revoked.id)
    for one, words in (
        (revoked, "does not know the key of this link"),
        (watches, "This link is for watching."),
    ):
        page = await chromium.page(f"{house.origin}/camera.html#key={one.secret}")
        await shows(
            page,
            "#panel",
            words,
            "Ask whoever sent you the link",
            "This link does not open this page",
        )
        leads = await page.evaluate(
            "[...document.querySelectorAll('#panel a')].map(({ href }) => href)"
        )
        assert (f"{house.origin}/player.html" in leads) == (one is watches)
        assert "terminal" not in await page.evaluate("document.body.innerText")
        await page.close()


# A WebSocket that opens only when it is told to.
HELD = """
  const Real = window.WebSocket;
  window.WebSocket = function (...given) {
    if (window.letOpen) return new Real(...given);
    return { readyState: 0, close() {}, send() {} };
  };
  window.WebSocket.OPEN = 1;
"""


async def test_a_guests_wall_without_a_camera_says_so(browsers: Browsers, house: Relay) -> None:
    """Whether the relay has not told of cameras yet, or of none that this key shows."""
    one, two = (
        made(house, watch=BABY),
        made(house, watch=Scope(names=frozenset({"attic", "baby-room"}))),
    )
    async with browsers.chromium(HELD, camera=False) as guests:
        page = await guests.page(f"{house.origin}/player.html?camera=baby-room#key={one.secret}")
        await shows(page, ".notice", "Connecting")
        assert await page.evaluate("document.querySelector('#all').hidden"), (
            "there is nothing else to see"
        )
        await page.evaluate("void location.assign('/player.html')")
        await shows(page, "#banner", "Connecting")
        assert await page.evaluate("document.querySelector('#invite').hidden"), (
            "nobody knows yet that there is none"
        )
        await page.evaluate("window.letOpen = true")
        await shows(
            page,
            "#invite",
            "No camera is filming",
            "Your key is for baby-room only. baby-room will be here as soon as it films.",
        )
        assert await page.evaluate("document.querySelector('#banner').hidden")
        assert (
            await page.evaluate("document.querySelector('#invite-how').getClientRects().length")
            == 0
        ), "a guest adds no camera"
        await page.evaluate(f"void location.assign('/player.html?camera=attic#key={two.secret}')")
        await shows(page, "#bar", "All cameras")
        await page.close()
