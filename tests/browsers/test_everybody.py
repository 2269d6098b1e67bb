"""The pages for everybody: axe-core finds nothing on any of them in any state, at a phone's width
and at a computer's. Nothing is cut off, also at 400 % zoom, with large letters and read from the
right. The keyboard reaches what is seen, and nothing else.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from drawercam.access.key import ALL, NOTHING, Scope
from drawercam.access.keys import Keyring
from tests import packages
from tests.harness.browsers import Page
from tests.harness.browsers.chromium import Chromium, ChromiumPage
from tests.harness.films import film
from tests.harness.pages import PATIENCE
from tests.harness.peers import peer
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

AXE = packages.modules() / "axe-core" / "axe.min.js"

# How each state is looked at. 320 pixels are left of a computer's window of 1280 at 400 % zoom. A
# phone comes last: it is what is clicked.
LOOKS = ((1280, 800, "axe"), (320, 256, ""), (360, 740, "axe again, large letters, right to left"))

# What stands out at the side, or makes something scroll by a pixel or two.
_OVERFLOW = """() => {
  const root = document.scrollingElement, found = [];
  if (root.scrollWidth > innerWidth) found.push(`the page is ${root.scrollWidth} wide in ${innerWidth}`);
  for (const element of document.querySelectorAll("*")) {
    const { overflowX, overflowY, display } = getComputedStyle(element);
    if (display === "inline" || element.closest(".unseen, .sprite") || element.getClientRects().length === 0) continue;
    if (element.clientWidth <= 1) continue; // only a screen reader tells it
    const name = element.tagName + "." + element.getAttribute("class") + "#" + element.id;
    const wide = element.scrollWidth - element.clientWidth, high = element.scrollHeight - element.clientHeight;
    const scrolls = (overflow) => overflow === "auto" || overflow === "scroll";
    if (scrolls(overflowX) && wide > 0) found.push(`${name} scrolls sideways by ${wide}`);
    if ((scrolls(overflowY) || element === root) && high > 0 && high < 4) found.push(`${name} scrolls by ${high}`);
    if (element.matches(".name, button, .status, label, h1, h2") && wide > 1 && overflowX !== "visible") found.push(`${name} is cut`);
    const box = element.getBoundingClientRect();
    const seen = element.matches("button, a, input, summary") && box.width > 1 && !element.closest("[inert], .tile");
    if (seen && (box.left < -1 || box.right > innerWidth + 1)) found.push(`${name} ends outside`);
  }
  return found;
}"""


# axe tries to tell what a picture has behind its words, and cannot; that is measured below. What it
# would load beforehand is there. Where the same is shown at another width, only rules about places
# and colours can find something else.
_LOOK = """async (ways) => {
  const root = document.documentElement, found = [];
  const settled = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const note = async (how) => {
    await settled();
    found.push(...(OVERFLOW)().map((one) => `${how}${one}`));
  };
  await note("");
  if (ways.includes("axe")) {
    const shown = [...document.querySelectorAll("*")].map((one) => one.getClientRects().length > 0).join();
    const same = shown + root.outerHTML.replace(/[0-9.]+/g, "");
    const options = { resultTypes: ["violations"], preload: false };
    const values = ["color-contrast", "link-in-text-block", "scrollable-region-focusable"];
    if (ways.includes("again") && window.sameAsThen === same) options.runOnly = { type: "rule", values };
    window.sameAsThen = same;
    const { violations } = await axe.run(document, options);
    for (const { id, nodes } of violations) found.push(`${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  }
  if (ways.includes("large letters")) {
    root.style.fontSize = "200%";
    await note("with large letters, ");
    root.style.fontSize = "";
  }
  if (ways.includes("right to left")) {
    root.dir = "rtl";
    await note("read from the right, ");
    root.removeAttribute("dir");
  }
  return found;
}""".replace("OVERFLOW", _OVERFLOW)


@dataclass
class Look:
    """Looks at states of pages, and collects what is wrong."""

    problems: list[str] = field(default_factory=list)

    async def at(self, page: Page, what: str) -> None:
        assert isinstance(page, ChromiumPage)
        if not await page.evaluate("'axe' in window"):
            await page.raw.evaluate(AXE.read_text())
        for width, height, ways in LOOKS:
            await page.resize(width, height)
            self.problems += [
                f"{what}, {width}x{height}: {one}" for one in await page.evaluate(_LOOK, ways)
            ]


@pytest_asyncio.fixture(loop_scope="session")
async def look() -> AsyncIterator[Look]:
    if not AXE.is_file():
        pytest.skip("tests/run could not fetch axe-core (tests/packages.py)")
    one = Look()
    yield one
    assert one.problems == []


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    """One whose cameras fall asleep at once."""
    with Relay(given={"drawercam.live.pausing.SLEEP_AFTER": 500_000}) as one:
        yield one
        assert one.alive and "Traceback" not in one.output, one.output


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def phone(chromium: Chromium, relay: Relay) -> Page:
    """A camera's page that does not film yet, without sound.

    No wall is open: its tests come before those that have one.
    """
    page = await chromium.page(
        f"{relay.origin}/camera.html?encoder=vp8&width=320&height=240&sound=0"
    )
    await page.wait_for(
        (
            "!document.querySelector('#start').disabled && "
            "document.querySelector('#encoder').textContent !== ''"
        ),
        PATIENCE,
    )
    return page


async def says(page: Page, text: str) -> None:
    await page.wait_for(f"document.body.innerText.includes({json.dumps(text)})", PATIENCE)


async def go(page: Page, address: str) -> None:
    assert isinstance(page, ChromiumPage)
    await page.raw.goto("about:blank")
    await page.raw.goto(address)


# All ways to show a camera's pictures have failed.
_CANNOT = """(name) => {
  const { tile } = document.querySelector(`[data-camera=${name}]`);
  const { engines } = tile.runner;
  engines.failures = new Map([["webcodecs", "no decoder for vp8"], ["mse", "no video/webm;codecs=vp8"]]);
  Object.defineProperty(engines, "best", { value: null });
}"""


async def test_the_wall_has_nothing_to_find(relay: Relay, chromium: Chromium, look: Look) -> None:
    page = await chromium.page(f"{relay.origin}/player.html")
    await says(page, "No camera yet")
    await look.at(page, "a wall without a camera")
    async with contextlib.AsyncExitStack() as house:
        await house.enter_async_context(film(relay, "baby-room"))
        for name in ("attic-window", "porch", "garden"):
            raw = await house.enter_async_context(peer(relay, f"/camera/{name}"))
            await raw.send(type="state", state="paused", reason="background")
        await page.wait_for(
            "document.querySelectorAll('.tile[data-state=paused]').length === 3", PATIENCE
        )
        await page.wait_for(
            "document.querySelector('[data-camera=baby-room] .delay:not([hidden])') !== null",
            PATIENCE,
        )
        await look.at(page, "a wall")
        await page.click("#add")
        await look.at(page, "an invitation")
        await page.click("#invite-close")
        await page.click("[data-camera=baby-room] .view")
        await page.click("[data-camera=baby-room] .delay")
        await says(page, "Lens to screen")
        await page.click("[data-camera=baby-room] .details summary")
        await look.at(page, "a large picture with its details")
        await page.click("[data-camera=baby-room] .more")
        await look.at(page, "a large picture with what else there is to do")
        await page.evaluate("history.back()")
        await page.evaluate(_CANNOT, "baby-room")
        await says(page, "Cannot show")
        await look.at(page, "a wall with a picture that this browser cannot show")
    await page.wait_for("document.querySelector('[data-state=gone]') !== null", PATIENCE)
    await look.at(page, "a wall whose cameras are gone")
    await page.click("[data-state=gone] .away")
    await says(page, "1 put away")
    await look.at(page, "a wall with a camera put away")
    await page.close()


async def test_a_toggle_changes_its_words_or_its_state_and_not_both(phone: Page) -> None:
    await says(phone, "Microphone: off")
    assert (
        await phone.evaluate("document.querySelector('#sound').hasAttribute('aria-pressed')")
        is False
    )
    await phone.click("#sound")
    await says(phone, "Microphone: on")
    await phone.click("#sound")


async def test_what_comes_late_moves_nothing_that_is_touched(phone: Page) -> None:
    places = """() => [...document.querySelectorAll("#start, #sound, #check, #stop, #dim, .more summary")].map((one) => {
      const { left, top } = one.getBoundingClientRect();
      return [one.id, Math.round(left), Math.round(top)];
    })"""
    for width, height in ((360, 740), (740, 360)):
        await phone.resize(width, height)
        before = await phone.evaluate(places)
        encoder = await phone.evaluate(
            """() => {
              for (const id of ["sound-hint", "signpost", "lens"]) document.getElementById(id).hidden = false;
              document.getElementById("sound-hint").textContent = "The microphone is not allowed, so this camera films without sound.";
              const encoder = document.getElementById("encoder").textContent;
              document.getElementById("encoder").textContent = "";
              return encoder;
            }"""
        )
        assert encoder and await phone.evaluate(places) == before, (width, height)
        await phone.evaluate(
            """(encoder) => {
              for (const id of ["sound-hint", "signpost", "lens"]) document.getElementById(id).hidden = true;
              document.getElementById("encoder").textContent = encoder;
            }""",
            encoder,
        )


async def reaches_nothing_under(page: Page) -> None:
    """Press keys while the screen is dark, and afterwards."""
    assert isinstance(page, ChromiumPage)
    for key in ("Tab", "Tab", "Shift+Tab", "Shift+Tab"):
        await page.raw.keyboard.press(key)
        assert await page.evaluate(
            "!document.querySelector('#camera').contains(document.activeElement)"
        )
    await page.raw.keyboard.press("Escape")
    assert await page.evaluate("document.activeElement.id") == "dim"
    await page.raw.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.id") == "stop"


async def test_the_cameras_page_has_nothing_to_find_and_dark_none_to_reach(
    relay: Relay, chromium: Chromium, phone: Page, look: Look
) -> None:
    page = phone
    await look.at(page, "before filming")
    await page.fill("#name", "")
    await page.click("#start")
    await look.at(page, "without a name")
    await page.fill("#name", "sleeper")
    async with peer(relay, "/player/sleeper"):
        await page.click("#start")
        await says(page, "Live")
        await page.click(".more summary")
        await look.at(page, "while filming")
        await page.click("#check")
        await look.at(page, "a self-test")
        await page.click("#selftest-close")
    await says(page, "Asleep")
    await look.at(page, "asleep")
    await page.click("#dim")
    await look.at(page, "a dark screen")
    await reaches_nothing_under(page)
    await page.evaluate(
        "void import('/web/guard.js').then(({ fail }) => fail('Error: broken on purpose'))"
    )
    await says(page, "This page has failed")
    await look.at(page, "a page that has failed")
    await page.close()
    refused = await chromium.page()
    assert isinstance(refused, ChromiumPage)
    await refused.raw.add_init_script(
        "MediaDevices.prototype.getUserMedia = () => Promise.reject(new DOMException('', "
        "'NotAllowedError'))"
    )
    await go(refused, f"{relay.origin}/camera.html")
    await refused.wait_for("!document.querySelector('#panel').hidden", PATIENCE)
    await look.at(refused, "a camera that is not allowed")
    await refused.close()


async def test_what_keeps_people_out_has_nothing_to_find(chromium: Chromium, look: Look) -> None:
    with Relay("--tls", "--host", "127.0.0.1", "--trust-port", "0") as relay:
        trust = next(
            word
            for line in relay.output.splitlines()
            for word in line.split()
            if word.startswith("http://")
        )
        page = await chromium.page(trust)
        await page.wait_for("!document.querySelector('#check-button').disabled", PATIENCE)
        await look.at(page, "the trust page")
        await go(page, f"{relay.origin}/nowhere")
        await says(page, "Not found")
        await look.at(page, "an address that leads nowhere")
        await go(page, f"{relay.origin}/player.html")
        await page.wait_for("!document.querySelector('#key').hidden", PATIENCE)
        await look.at(page, "a wall that wants a key")
        await page.fill("#key-field", "wrong-key")
        await page.click("#key-use")
        await says(page, "does not know this key")
        assert await page.evaluate(_MISTAKE, "#key-field", "#key-wrong") == [True, True, True]
        await look.at(page, "a wrong key")
        await go(page, f"{relay.origin}/camera.html")
        await says(page, "This relay asks for a “Film” key")
        await page.click("#key-form button")
        assert await page.evaluate(_MISTAKE, "#key", "#key-hint") == [True, True, True]
        await look.at(page, "a camera that wants a key")
        assert isinstance(page, ChromiumPage)
        word = {
            "error": "foreign-origin",
            "text": "A proxy changes the name of this page.",
            "add": "proxy_set_header Host $host;",
        }
        await page.raw.route("**/api/session", lambda route: route.fulfill(status=403, json=word))
        await go(page, f"{relay.origin}/player.html")
        await says(page, "proxy_set_header")
        await look.at(page, "a page that is refused")
        await page.raw.unroute("**/api/session")
        await page.raw.goto(f"{relay.origin}/keys.html")
        await says(page, "for the relay’s owner")
        await look.at(page, "guests, for others")
        ring = Keyring.open(relay.state)
        ring.add(
            NOTHING,
            Scope(names=frozenset({"baby-room", "front-door"})),
            lasts=3600,
            label="Anna, who looks after the baby on Mondays",
        )
        own = ring.add(ALL, ALL, label="my phone")
        await page.evaluate(f"void location.assign('#key={own.secret}')")
        await says(page, "Who has a key")
        await page.click("#make")
        await says(page, "for whom")
        await look.at(page, "guests, without a name")
        await page.fill("#whom", "Bob")
        await page.fill("#others", "Baby Room")
        await page.click("#make")
        await says(page, "Invitation for Bob")
        await page.wait_for("document.querySelector('#code').naturalWidth > 0", PATIENCE)
        await look.at(page, "an invitation for a guest")
        await page.click("#done")
        await page.click(f"#list button[data-key='{own.id}']")
        await says(page, "This device uses it")
        await look.at(page, "before a key is revoked")
        await page.close()


# Of a field and what is said of it: it is marked, has the focus, and the words are in the colour of
# errors.
_MISTAKE = """(field, hint) => {
  const input = document.querySelector(field), words = document.querySelector(hint);
  const red = document.createElement("p");
  red.className = "wrong";
  document.body.append(red);
  const colour = getComputedStyle(red).color;
  red.remove();
  const told = words.innerText !== "" && getComputedStyle(words).color === colour;
  return [input.getAttribute("aria-invalid") === "true", document.activeElement === input, told];
}"""


# --- names and words of the tiles ---


async def test_names_are_not_cut_and_the_wall_is_filled(relay: Relay, page: Page) -> None:
    names = ["baby-room", "front-door", "kitchen-window", "grandmothers-living-room-window"]
    await page.resize(360, 640)
    async with contextlib.AsyncExitStack() as house:
        for name in names:
            raw = await house.enter_async_context(peer(relay, f"/camera/{name}"))
            await raw.send(type="state", state="paused", reason="background")
        await page.wait_for(
            "document.querySelectorAll('.tile[data-state=paused]').length === 4", PATIENCE
        )
        found = await page.evaluate(
            """() => {
              const wall = document.getElementById("wall"), tiles = [...wall.children];
              const bottom = Math.max(...tiles.map((tile) => tile.offsetTop + tile.offsetHeight));
              const cut = tiles.filter((tile) => {
                const name = tile.querySelector(".name"), plate = tile.querySelector(".plate"), box = name.getBoundingClientRect();
                const whole = tile.getBoundingClientRect(), words = document.createRange();
                words.selectNodeContents(name);
                const text = words.getBoundingClientRect();
                const outside = text.right > whole.right || text.top < whole.top;
                return outside || text.width > box.width + 1 || plate.scrollWidth > plate.clientWidth;
              });
              return { filled: bottom / wall.clientHeight, cut: cut.length, scrolls: wall.scrollHeight > wall.clientHeight };
            }"""
        )
    assert found["cut"] == 0
    assert found["filled"] > 0.9
    assert found["scrolls"]


async def test_rows_end_where_the_wall_does(page: Page) -> None:
    """Or it would scroll by the pixel that rounding adds."""
    wrong = await page.evaluate(
        """async () => {
          const { placeTiles } = await import("/web/player/wall/layout.js"), wrong = [];
          for (let count = 1; count < 13; count += 1) {
            for (const [width, height] of [[344, 567], [563, 343], [803, 1101], [1425, 829]]) {
              for (const aspect of [4 / 3, 16 / 9, 0.7]) {
                const places = placeTiles(Array(count).fill(aspect), width, height);
                const bottoms = places.map(({ top, height }) => Math.round(top) + (Math.round(top + height) - Math.round(top)));
                const [bottom, small] = [Math.max(...bottoms), Math.min(...places.map((place) => place.width))];
                if (bottom > height && bottom < height + 8) wrong.push([count, width, height, aspect, bottom]);
                if (small < 139.9) wrong.push([count, width, height, aspect, small]);
              }
            }
          }
          return wrong;
        }"""
    )
    assert wrong == []


async def test_those_that_are_gone_push_none_that_films_out_of_sight(
    chromium: Chromium, tmp_path: Path
) -> None:
    hour_ago = int(time.time() * 1000) - 3_600_000
    gone = [
        {
            "name": f"a-{number:03}",
            "address": f"192.0.2.{number}",
            "reason": "lost",
            "since": hour_ago + number * 1000,
        }
        for number in range(100)
    ]
    (tmp_path / "gone.json").write_text(json.dumps({"version": 1, "cameras": gone}))
    names = ["baby-room", "garden", "porch", "yard"]
    with Relay(state=tmp_path) as relay:
        page = await chromium.page(f"{relay.origin}/player.html")
        await page.resize(1440, 900)
        async with contextlib.AsyncExitStack() as house:
            for name in names:
                raw = await house.enter_async_context(peer(relay, f"/camera/{name}"))
                await raw.send(type="state", state="paused", reason="background")
            await page.wait_for(
                "document.querySelectorAll('.tile[data-state=paused]').length === 4", PATIENCE
            )
            await page.wait_for("document.querySelectorAll('.tile').length === 104", PATIENCE)
            seen = await page.evaluate(
                """() => [...document.querySelectorAll(".tile")].map((tile) => {
                  const { bottom, width } = tile.getBoundingClientRect();
                  return [tile.dataset.camera, bottom <= innerHeight, width];
                })"""
            )
            assert [name for name, *_ in seen] == [
                *names,
                *(f"a-{number:03}" for number in reversed(range(100))),
            ], "the latest is the next"
            assert all(inside for _, inside, _ in seen[:5])
            assert min(width for _, _, width in seen[:4]) > 1.5 * max(
                width for _, _, width in seen[4:]
            )
        await page.close()


def luminance(colour: tuple[int, ...]) -> float:
    """WCAG 2.2, "relative luminance"."""
    red, green, blue = (
        (value / 255 / 12.92) if value <= 10 else (((value / 255 + 0.055) / 1.055) ** 2.4)
        for value in colour[:3]
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


_BOX = """(css) => {
  const { left, top, right, bottom } = document.querySelector(css).getBoundingClientRect();
  return [left, top, right, bottom];
}"""

# As bright as if it were live.
_PAINT = """(name, colour) => {
  const picture = document.querySelector(`[data-camera=${name}] .picture`);
  picture.style.cssText = `opacity: 1; background: ${colour}`;
}"""


async def shot(page: Page, css: str) -> Image.Image:
    box = await page.evaluate(_BOX, css)
    return (
        Image.open(io.BytesIO(await page.screenshot()))
        .convert("RGB")
        .crop(tuple(round(side) for side in box))
    )


def extremes(image: Image.Image) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The darkest and the lightest of its pixels."""
    pixels: list[Any] = [
        image.getpixel((x, y)) for x in range(image.width) for y in range(image.height)
    ]
    return min(pixels, key=luminance), max(pixels, key=luminance)


@pytest.mark.parametrize(
    "colour",
    [
        "white",
        *(pytest.param(one, marks=pytest.mark.long) for one in ("black", "rgb(128,128,128)")),
    ],
)
async def test_words_and_dots_are_seen_on_every_picture(
    relay: Relay, page: Page, colour: str
) -> None:
    await page.resize(820, 600)
    async with peer(relay, "/camera/bright") as raw:
        await raw.send(type="state", state="paused", reason="background")
        await page.wait_for(
            "document.querySelector('[data-camera=bright][data-state=paused]') !== null", PATIENCE
        )
        await page.evaluate(_PAINT, "bright", colour)
        for state in ("live", "paused", "frozen", "gone"):
            await page.evaluate(
                (
                    "(state) => void (document.querySelector('[data-camera=bright] "
                    ".status').dataset.state = state)"
                ),
                state,
            )
            words = await shot(page, "[data-camera=bright] .status")
            dot, rest = (
                words.crop((0, 0, 10, words.height)),
                words.crop((18, 0, words.width, words.height)),
            )
            assert contrast(*extremes(rest)) >= 4.5, (colour, state)
            assert contrast(*extremes(dot)) >= 3, (colour, state)
        assert contrast(*extremes(await shot(page, "[data-camera=bright] .name bdi"))) >= 4.5


async def test_the_ring_of_the_keyboard_is_seen_on_the_large_picture(
    relay: Relay, page: Page
) -> None:
    await page.resize(820, 600)
    async with peer(relay, "/camera/ringed") as raw:
        await raw.send(type="state", state="paused", reason="background")
        await page.wait_for(
            "document.querySelector('[data-camera=ringed][data-state=paused]') !== null", PATIENCE
        )
        await page.click("[data-camera=ringed] .view")
        await page.wait_for(
            "document.querySelector('[data-camera=ringed].large') !== null", PATIENCE
        )
        await page.evaluate(_PAINT, "ringed", "white")
        assert isinstance(page, ChromiumPage)
        await page.raw.keyboard.press("Shift+Tab")
        await page.evaluate("document.querySelector('[data-camera=ringed] .view').focus()")
        edge = (await shot(page, "[data-camera=ringed]")).crop((100, 0, 200, 6))
        assert contrast(*extremes(edge)) >= 3
        await page.evaluate("history.back()")


async def test_details_cover_no_button_on_a_phone_that_lies_on_its_side(
    relay: Relay, page: Page
) -> None:
    await page.resize(740, 360)
    async with film(relay, "sideways"):
        await page.wait_for(
            "document.querySelector('[data-camera=sideways]')?.dataset.state === 'live'", PATIENCE
        )
        await page.click("[data-camera=sideways] .view")  # among many, it has no room for its delay
        await page.wait_for(
            "document.querySelector('[data-camera=sideways] .delay:not([hidden])') !== null",
            PATIENCE,
        )
        await page.click("[data-camera=sideways] .delay")
        await page.click("[data-camera=sideways] .details summary")
        covered = await page.evaluate(
            """() => {
              const tile = document.querySelector("[data-camera=sideways]"), panel = tile.querySelector(".details");
              const buttons = [...tile.querySelectorAll(".back, .caption button")].filter((one) => one.getClientRects().length > 0);
              return buttons.filter((button) => {
                const { left, top, width, height } = button.getBoundingClientRect();
                return panel.contains(document.elementFromPoint(left + width / 2, top + height / 2));
              }).map(({ className }) => className);
            }"""
        )
        heights = await page.evaluate(
            """() => [...document.querySelectorAll("[data-camera=sideways] .caption button")]
              .filter((one) => one.getClientRects().length > 0).map((one) => one.getBoundingClientRect().height)"""
        )
        names = await page.evaluate(
            "document.querySelector('[data-camera=sideways] .delay').innerText"
        )
        await page.evaluate("history.back()")
    assert covered == []
    assert min(heights) >= 48, "the delay's, too"
    assert "sideways" in names


# Which buttons of a tile lie over the middle third of its picture, in walls of many sizes, with
# pictures of many shapes: of a camera that films and can do everything, and of one that is gone.
_IN_THE_MIDDLE = """async (name, widths, heights) => {
  const wall = document.getElementById("wall"), tile = document.querySelector(`[data-camera=${name}]`), found = [];
  const { more, departure, pad, soundControl, view, details } = tile.tile, { fullscreen, slow } = view;
  const always = [more.button, soundControl.button];
  const states = [[departure.button, ...always], [pad.button, slow, details.button, ...always]];
  if (tile.classList.contains("large")) for (const state of states) state.push(fullscreen, tile.tile.back);
  const all = [...new Set(states.reduce((one, other) => [...one, ...other])), soundControl.none], were = all.map(({ hidden }) => hidden);
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const inside = (from, to, start, length) => from < start + (length * 2) / 3 && to > start + length / 3;
  wall.style.flex = "none";
  for (const aspect of [9 / 16, 4 / 3, 16 / 9]) {
    for (const width of widths) {
      for (const height of heights) {
        Object.assign(wall.style, { width: `${width}px`, height: `${height}px` });
        tile.tile.aspect = aspect;
        for (let frames = 0; frames < 2; frames += 1) await frame();
        const whole = tile.getBoundingClientRect();
        for (const [index, state] of states.entries()) {
          for (const button of all) button.hidden = !state.includes(button);
          tile.dataset.state = index ? "live" : "gone";
          const boxes = state.filter((one) => one !== slow).map((button) => [button, button.getBoundingClientRect()]);
          for (const [button, { left, top, right, bottom, width }] of boxes) {
            if (!inside(left, right, whole.left, whole.width) || !inside(top, bottom, whole.top, whole.height) || !width) continue;
            found.push(`${button.className} ${button.title} in a tile of ${whole.width}x${whole.height}`);
          }
        }
        all.forEach((button, index) => (button.hidden = were[index]));
        tile.dataset.state = tile.tile.state;
      }
    }
  }
  for (const property of ["flex", "width", "height"]) wall.style[property] = "";
  return found;
}"""


async def test_a_tap_in_the_middle_of_a_tile_is_for_its_picture(relay: Relay, page: Page) -> None:
    await page.resize(820, 640)
    async with film(relay, "tapped"):
        await page.wait_for(
            "document.querySelector('[data-camera=tapped] .delay:not([hidden])') !== null", PATIENCE
        )
        assert (
            await page.evaluate(
                _IN_THE_MIDDLE,
                "tapped",
                [160, 200, 224, 245, 280, 344, 379, 381, 600],
                [181, 240, 600],
            )
            == []
        )
        await page.click("[data-camera=tapped] .view")
        await page.wait_for(
            "document.querySelector('[data-camera=tapped].large') !== null", PATIENCE
        )
        assert await page.evaluate(_IN_THE_MIDDLE, "tapped", [320, 380, 600], [256, 600]) == []
        await page.evaluate("history.back()")


async def test_buttons_without_words_have_a_tooltip(relay: Relay, page: Page) -> None:
    async with peer(relay, "/camera/mute"):
        await page.wait_for("document.querySelector('[data-camera=mute]') !== null", PATIENCE)
        without = await page.evaluate(
            """() => [...document.querySelectorAll("button")].filter((button) => button.querySelector("svg"))
              .filter((button) => !button.title).map((button) => button.outerHTML.slice(0, 120))"""
        )
    assert without == []


# --- the camera's page ---


@pytest.mark.long
async def test_without_inert_the_keyboard_reaches_nothing_under_a_dark_screen_either(
    relay: Relay, chromium: Chromium
) -> None:
    page = await chromium.page()
    assert isinstance(page, ChromiumPage)
    await page.raw.add_init_script("delete HTMLElement.prototype.inert")
    await go(page, f"{relay.origin}/camera.html?name=dark&start=1&encoder=vp8&width=320&height=240")
    await page.click("#dim")
    await reaches_nothing_under(page)
    await page.click("#stop")
    await page.close()


async def test_a_lens_is_called_by_where_it_looks(page: Page) -> None:
    said = await page.evaluate(
        """async () => {
          const { lensName } = await import("/web/camera/page/lens-words.js");
          const android = ["camera2 1, facing front", "camera2 0, facing back", "camera2 2, facing back"];
          const others = ["Back Ultra Wide Camera", "HD Webcam (046d:0825)", ""];
          return [...android.map((_, at) => lensName(android, at)), ...others.map((_, at) => lensName(others, at))];
        }"""
    )
    assert said == [
        "the front lens",
        "the back lens 1",
        "the back lens 2",
        "“Back Ultra Wide Camera”",
        "“HD Webcam”",
        "lens 3 of 3",
    ]


async def test_blocked_storage_is_named(relay: Relay, chromium: Chromium) -> None:
    page = await chromium.page()
    assert isinstance(page, ChromiumPage)
    blocked = "get() { throw new DOMException('', 'SecurityError'); }"
    await page.raw.add_init_script(
        f"Object.defineProperty(window, 'localStorage', {{ {blocked} }})"
    )
    await go(page, f"{relay.origin}/camera.html?encoder=vp8")
    await says(page, f"This name will be forgotten: storage is blocked for localhost:{relay.port}")
    async with peer(relay, "/camera/fleeting") as raw:
        await raw.send(type="state", state="paused", reason="background")
    async with film(relay, "fleeting"):
        await go(page, f"{relay.origin}/player.html")
        await page.wait_for(
            "document.querySelector('[data-camera=fleeting][data-state=live]') !== null", PATIENCE
        )
    await page.click("[data-camera=fleeting] .away")
    await says(page, "What is put away will be forgotten: storage is blocked")
    assert page.errors == []
    await page.close()


async def test_states_have_shapes_of_their_own(page: Page) -> None:
    """A disc, two bars, squares and a ring: told apart where a browser forces its own colours."""
    shapes = await page.evaluate(
        """() => ["live", "paused", "gone", "connecting"].map((state) => {
          const status = document.createElement("p");
          status.className = "status";
          status.dataset.state = state;
          document.body.append(status);
          const { borderTopWidth, borderLeftWidth, borderTopLeftRadius, animationName } = getComputedStyle(status, "::before");
          status.remove();
          return [borderTopWidth, borderLeftWidth, borderTopLeftRadius].join(" ");
        })"""
    )
    assert len(set(shapes)) == 4
