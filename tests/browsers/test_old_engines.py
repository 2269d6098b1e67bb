"""Chrome of 2018 to 2022 films and watches by the best way that each release has, and the table of
docs/browsers.md says which.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.browsers.conftest import Browsers
from tests.harness.browsers import Browser, Page, WaitTimeout
from tests.harness.browsers.oldchrome import OLD
from tests.harness.pages import PATIENCE, facts, kept, listening, moving, state
from tests.harness.programs import running
from tests.harness.proxies import Proxy
from tests.harness.relays import ROOT, Relay


@dataclass(frozen=True)
class Ways:
    """How a release does things.

    Attributes:
        films: `data-encoder` of the camera page.
        shows: `data-engine` of the player's tile.
        sounds: How the player plays sound: see `Way` in web/player/sound/sound.js.
        receives: Where its Receiver is.
    """

    films: str
    shows: str
    sounds: str
    receives: str


WAYS = {
    64: Ways(films="recorder", shows="mse", sounds="element", receives="page"),
    79: Ways(films="recorder", shows="mse", sounds="element", receives="page"),
    92: Ways(films="recorder", shows="mse", sounds="element", receives="worker"),
    106: Ways(films="codecs", shows="frames", sounds="worker", receives="worker"),
}

# The rows of that table: what it is called there, and who does it. What comes later in WAYS does
# all that came before.
THINGS: dict[str, Callable[[Ways], bool]] = {
    "films by MediaRecorder": lambda _: True,
    "watches by MediaSource, with sound": lambda _: True,
    "films and watches over HTTP where WebSockets are refused": lambda _: True,
    "receives beside the page, which may be busy": lambda ways: ways.receives == "worker",
    "films by WebCodecs": lambda ways: ways.films == "codecs",
    "watches by WebCodecs": lambda ways: ways.shows == "frames",
    "plays sound by WebCodecs and AudioWorklet": lambda ways: ways.sounds == "worker",
}

# Which of a tile's ways are taken. A Receiver that is in the page looks four times a second.
_TAKEN = """async () => {
  const { tile } = document.querySelector("[data-camera]");
  const { Receiver } = await import("/web/player/receive/receiver.js");
  const { look } = Receiver.prototype;
  const receives = await new Promise((resolve) => {
    Receiver.prototype.look = function () {
      resolve("page");
      look.call(this);
    };
    setTimeout(resolve, 1000, "worker");
  });
  return { sounds: tile.sound.current.ways[0], receives };
}"""

# Why other engines than the present one do not show it.
_FAILURES = "Array.from(document.querySelector('[data-camera]').tile.runner.engines.failures)"

# The loudest sample since it was asked first; an <audio> element does not tell, so Web Audio
# listens to it.
_HEARD = """() => {
  const { player } = document.querySelector("[data-camera]").tile.sound;
  if (!player || !player.audio) return 0;
  const { audio } = player;
  if (!audio.ear) {
    const context = new AudioContext();
    audio.ear = context.createAnalyser();
    context.createMediaElementSource(audio).connect(audio.ear);
    audio.ear.connect(context.destination);
    audio.loudest = 0;
  }
  const samples = new Float32Array(audio.ear.fftSize);
  audio.ear.getFloatTimeDomainData(samples);
  audio.loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), audio.loudest);
  return audio.loudest > 0.01;
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def drawer(relay: Relay) -> AsyncIterator[None]:
    """`film`, which films as `drawer`."""
    where = ["--relay", relay.origin, "--name", "drawer", "--size", "320x240", "--fps", "15"]
    async with running(
        sys.executable,
        "relay.py",
        "--no-install",
        "film",
        "test",
        *where,
        cwd=ROOT,
        stdout=None,
        stderr=None,
    ):
        yield


@pytest_asyncio.fixture(loop_scope="session")
async def old(request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """An old Chrome, by its number."""
    kind = OLD[request.param]
    if sentence := kind.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(sentence)  # or a green run had tested nothing
        pytest.skip(sentence)
    async with kind() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def origin(request: pytest.FixtureRequest, relay: Relay) -> AsyncIterator[str]:
    """Where the relay is for the old one: with WebSockets, or behind a network that refuses
    them.
    """
    if request.param == "socket":
        yield relay.origin
        return
    async with Proxy(relay.port) as network:
        network.refuse_websockets()
        yield network.origin


def long(*values: object) -> Any:
    return pytest.param(*values, marks=pytest.mark.long)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("porch", "drawer")
@pytest.mark.parametrize(
    ("old", "origin"),
    [
        (64, "socket"),
        (92, "socket"),
        *(long(release, "socket") for release in (79, 106)),
        *(long(release, "http") for release in OLD),
    ],
    indirect=True,
)
async def test_an_old_chrome_films_and_watches(
    relay: Relay, browsers: Browsers, old: Browser, origin: str, request: pytest.FixtureRequest
) -> None:
    release, transport = request.node.callspec.params["old"], request.node.callspec.params["origin"]
    ways = WAYS[release]
    assert old.version.startswith(f"{release}.")
    name = f"old-{release}-{transport}"
    film = await old.page(f"{origin}/camera.html?name={name}&start=1&width=320&height=240")
    # One after the other: where the computer is busy, each of them has enough to do by itself.
    await film.wait_for("document.getElementById('status').dataset.state === 'live'", 2 * PATIENCE)
    await watched(await browsers.get("chromium", camera=False), relay, name)
    await asyncio.gather(
        *(
            watches(old, f"{origin}/player.html?camera={camera}", ways, transport)
            for camera in ("porch", "drawer")
        )
    )
    assert await film.evaluate("document.querySelector('#camera').dataset.encoder") == ways.films
    # A relay without keys takes any, if it comes from a page of its own.
    assert (
        await film.evaluate(
            "async () => (await import('/web/shared/relay/login.js')).useKey('abcd')"
        )
        is not None
    )
    assert complaints(film, transport) == []


async def watched(desk: Browser, relay: Relay, name: str) -> None:
    """Today's Chromium sees and hears it."""
    page = await desk.page(f"{relay.origin}/player.html?camera={name}")
    await moving(page)
    await state(page, "live")
    await listening(page)
    assert page.errors == []
    await page.close()


async def watches(old: Browser, address: str, ways: Ways, transport: str) -> None:
    """The old one sees and hears a camera by its best ways, and goes on doing so.

    It may begin with single pictures: until the camera films what it plays, or while a busy
    computer shows too few.
    """
    page = await old.page(address)
    await moving(page)
    await state(page, "live")
    try:
        await page.wait_for(
            f"document.querySelector('[data-camera]').dataset.engine === {ways.shows!r}", PATIENCE
        )
    except WaitTimeout as error:
        raise AssertionError(
            f"it does not show by {ways.shows}: {await page.evaluate(_FAILURES)}; "
            f"{await kept(page)}\n{error}"
        ) from None
    if ways.sounds == "element":
        await page.click("[data-camera] button[aria-pressed]")
        try:
            await page.wait_for(_HEARD, PATIENCE)
        except WaitTimeout as error:
            raise AssertionError(
                f"no sound; {await kept(page)}; {await facts(page)}\n{error}"
            ) from None
    else:
        await listening(page)
    await moving(page, changes=1)
    taken = await page.evaluate(_TAKEN)
    assert {"films": ways.films, "shows": ways.shows, **taken} == asdict(ways)
    assert (await facts(page))["transport"] == transport
    assert complaints(page, transport) == []
    await page.close()


def test_readme_says_from_which_version_on() -> None:
    rows = [
        f"| {thing} | {min(release for release, ways in WAYS.items() if does(ways))} |"
        for thing, does in THINGS.items()
    ]
    assert "\n".join(["| Chrome, Edge | from |", "|---|---|", *rows, ""]) in (
        ROOT / "docs" / "browsers.md"
    ).read_text(encoding="utf-8")
    assert list(WAYS) == list(OLD)


def complaints(page: Page, transport: str) -> list[str]:
    """Errors that are not the browser's own words on what the network refused."""
    words = ("WebSocket", "Failed to load resource") if transport == "http" else ()
    return [error for error in page.errors if not any(word in error for word in words)]
