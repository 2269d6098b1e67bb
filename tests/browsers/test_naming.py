"""What a person types as the name of a camera: it stays as it is typed, also from keyboards that
compose.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.browsers.chromium import Chromium, ChromiumPage
from tests.harness.pages import PATIENCE
from tests.harness.peers import peer
from tests.harness.relays import Relay

FIELD = "document.querySelector('#name').value"
MADE = "document.querySelector('#name-made').textContent"

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def open_page(relay: Relay, chromium: Chromium) -> AsyncIterator[ChromiumPage]:
    page = await chromium.page(f"{relay.origin}/camera.html?sound=0")
    yield page
    await page.close()


@pytest_asyncio.fixture(loop_scope="session")
async def phone(open_page: ChromiumPage) -> ChromiumPage:
    """The camera's page; what is typed now takes the place of what is in its field."""
    await open_page.evaluate(
        "document.querySelector('#name').focus(), document.querySelector('#name').select()"
    )
    return open_page


@pytest.mark.parametrize(
    ("composed", "name"),
    [
        (["b", "ba", "bab", "baby"], "baby"),
        (["x", "x" * 30, "x" * 44], "x" * 32),
        (["n", "に", "にh", "にほn", "日本"], "camera-8721"),
        (["Д", "Дв", "Дверь"], "camera-5944"),
    ],
)
async def test_a_keyboard_that_composes_is_left_alone(
    phone: ChromiumPage, composed: list[str], name: str
) -> None:
    keyboard = await phone.raw.context.new_cdp_session(phone.raw)
    for text in composed:
        await keyboard.send(
            "Input.imeSetComposition",
            {"text": text, "selectionStart": len(text), "selectionEnd": len(text)},
        )
        assert await phone.evaluate(FIELD) == text
    await keyboard.send("Input.insertText", {"text": composed[-1]})
    assert await phone.evaluate(FIELD) == composed[-1][:40]
    assert await phone.evaluate(MADE) == f"In links and files: {name}"


@pytest.mark.parametrize(
    "text",
    [
        "Baby Room",
        "Дверь",
        "😀",
        "👨\u200d👩\u200d👧 غرفة النوم",
        "  two  blanks ",
        "😀" * 40,
        "e\u0301" * 40,
    ],
)
async def test_what_is_typed_stays_as_it_is_typed(phone: ChromiumPage, text: str) -> None:
    await phone.raw.keyboard.insert_text(text)
    assert await phone.evaluate(FIELD) == text


async def test_what_is_too_long_ends_and_the_caret_stays(phone: ChromiumPage) -> None:
    await phone.raw.keyboard.insert_text("😀" * 40)
    await phone.evaluate("document.querySelector('#name').setSelectionRange(2, 2)")
    await phone.raw.keyboard.insert_text("ü")
    assert await phone.evaluate(FIELD) == "😀ü" + "😀" * 38
    assert await phone.evaluate("document.querySelector('#name').selectionEnd") == 3


async def test_without_a_name_nothing_is_filmed_and_the_page_says_so(phone: ChromiumPage) -> None:
    await phone.raw.keyboard.insert_text("\u202e ---")
    assert await phone.evaluate(MADE) == ""
    await phone.wait_for("!document.querySelector('#start').disabled", 30)
    await phone.click("#start")
    assert "Give this camera a name" in await phone.evaluate(
        "document.querySelector('#name-hint').textContent"
    )
    assert await phone.evaluate("document.querySelector('#onair').hidden")


@pytest.mark.parametrize(
    ("remembered", "given", "shown"),
    [
        ("Baby Room", "baby-room", "Baby Room"),  # a link has the name only
        ("Baby Room", "porch", "porch"),
        ("Дверь", "camera-5944", "Дверь"),
        ("Baby Room", "", "Baby Room"),
        ("", "Haustür", "Haustür"),
    ],
)
async def test_a_link_keeps_what_this_phone_is_called(
    phone: ChromiumPage, remembered: str, given: str, shown: str
) -> None:
    said = await phone.evaluate(
        """async ([remembered, given]) => {
          const { SetupForm } = await import("/web/camera/page/setup-form.js");
          localStorage.setItem("drawercam.name", remembered);
          const make = (tag) => document.createElement(tag);
          const parts = { form: make("form"), name: make("input"), made: make("p"), hint: make("p"), rest: make("input") };
          parts.start = make("button");
          new SetupForm(parts, new URLSearchParams({ name: given }), () => undefined);
          return parts.name.value;
        }""",
        [remembered, given],
    )
    assert said == shown


CALLED = """() => Object.fromEntries([...document.querySelectorAll("[data-camera]")].map((tile) => {
  const [label, beside] = ["bdi", ".beside"].map((css) => tile.querySelector(`.name ${css}`).textContent);
  const view = tile.querySelector(".view").getAttribute("aria-label");
  return [tile.dataset.camera, { label, beside, tile: tile.getAttribute("aria-label"), view }];
}))"""


async def test_the_wall_shows_labels_and_the_name_where_a_label_alone_would_mislead(
    chromium: Chromium,
) -> None:
    cameras = {
        "baby-room": "Baby Room",
        "cot": "Baby Room",  # two are called so
        "camera-5944": "Дверь",
        "hall": "غرفة (2",  # another name than the one made from it
        "porch": "",
    }
    async with AsyncExitStack() as stack:
        relay = stack.enter_context(Relay())
        wall = await chromium.page(f"{relay.origin}/player.html")
        stack.push_async_callback(wall.close)
        for name, label in cameras.items():
            camera = await stack.enter_async_context(peer(relay, f"/camera/{name}"))
            await camera.send(
                type="stream", stream=1, mime="video/webm", **({"label": label} if label else {})
            )
            await camera.send(type="state", state="paused", reason="camera")
        await wall.wait_for(
            (
                "[...document.querySelectorAll('.name bdi')].filter((one) => one.textContent "
                "=== 'Baby Room').length === 2"
            ),
            PATIENCE,
        )
        await wall.wait_for("document.querySelectorAll('[data-camera]').length === 5", PATIENCE)
        await wall.wait_for(
            "document.querySelector('[data-camera=hall] .beside').textContent === 'hall'", PATIENCE
        )
        await wall.wait_for(
            "document.querySelector('[data-camera=baby-room] .beside').textContent !== ''", PATIENCE
        )
        told: dict[str, Any] = await wall.evaluate(CALLED)
        assert {name: (one["label"], one["beside"]) for name, one in told.items()} == {
            "baby-room": ("Baby Room", "baby-room"),
            "cot": ("Baby Room", "cot"),
            "camera-5944": ("Дверь", ""),
            "hall": ("غرفة (2", "hall"),
            "porch": ("porch", ""),
        }
        assert told["hall"]["tile"] == "Camera \u2068غرفة (2\u2069 (hall)"
        assert told["porch"]["view"] == "porch: show large"
        assert wall.errors == []


async def test_a_tap_asks_first_where_another_camera_has_the_name_and_nothing_else_asks(
    relay: Relay, phone: ChromiumPage
) -> None:
    title = "document.querySelector('#panel:not([hidden]) #panel-title')?.textContent"
    async with peer(relay, "/camera/baby-room") as first:
        await first.message("welcome")
        await phone.raw.keyboard.insert_text("Baby Room")
        await phone.wait_for("!document.querySelector('#start').disabled", PATIENCE)
        await phone.click("#start")
        await phone.wait_for(f"{title} === '“Baby Room” is on the air already'", PATIENCE)
        assert not first.told("error") and await phone.evaluate(
            "document.querySelector('#onair').hidden"
        )
        await phone.click("#panel-actions button:last-child")
        assert await first.closed() == 4003
    await phone.wait_for("document.querySelector('#camera').dataset.state === 'live'", PATIENCE)
    async with peer(relay, "/camera/baby-room") as second:
        await second.message("welcome")
        await phone.wait_for(f"{title} === 'Another phone or page is “Baby Room” now'", PATIENCE)
        await phone.evaluate(
            "void setTimeout(() => "
            "location.assign('/camera.html?name=Baby%20Room&start=1&sound=0'))"
        )
        assert await second.closed() == 4003
