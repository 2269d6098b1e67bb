"""What a player does when its browser, its network, its camera or its relay does not keep up, and
what it does while nobody looks.

The decision when to ask for a pause is simulated; everything else is done by a real relay, real
browsers and networks that misbehave.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed

from tests.harness.browsers import Browser, Page
from tests.harness.films import Film, film
from tests.harness.pages import (
    PATIENCE,
    facts,
    fresh_page,
    go,
    listening,
    moving,
    pixels,
    state,
    veil,
    watching,
)
from tests.harness.peers import ATTEMPTS
from tests.harness.proxies import Proxy
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

TILE = "document.querySelector('[data-camera]')"

page = pytest_asyncio.fixture(loop_scope="session")(fresh_page)


async def says(page: Page, pattern: str) -> None:
    """Wait until the words over the first tile's picture match."""
    await page.wait_for(
        f"/{pattern}/.test({TILE}.querySelector('.notice:not([hidden])')?.innerText)", PATIENCE
    )


# --- when to ask for a pause, in simulated time ---

SIMULATION = """async ({ seconds, replay }) => {
  // A browser with a queue: what comes and what it takes are bytes a second; looked at four times a second, as live-source.js does.
  const { Overflow, GIVE_UP, RENEWAL } = await import("/web/player/engines/overflow.js");
  const overflow = new Overflow(), world = (t, voting) => (LOAD), rate = 250000;
  const told = { measures: [], reasons: [], longest: 0, voted: 0, worstRenewal: 0, begun: [], limits: { GIVE_UP, RENEWAL } };
  let queued = replay * rate, begunAt = -1, votedAt = 0;
  for (let now = 0; now < seconds * 1000; now += 250) {
    const { takes = rate, ahead = 0, refused = 0, mayVote = true } = world(now / 1000, overflow.voting);
    queued = Math.max(0, queued + ((overflow.voting ? 0 : rate) - takes) / 4);
    const measure = overflow.look({ bytes: queued, seconds: queued / rate, ahead, refused, mayVote }, now);
    if (measure) told.measures.push([now / 1000, measure]);
    if (measure === "trim" || measure === "restart") queued = 0;
    if (measure === "pause") {
      if (begunAt < 0) {
        begunAt = now;
        told.begun.push(now / 1000);
        told.reasons.push(overflow.reason);
        queued = 0;
      } else told.worstRenewal = Math.max(told.worstRenewal, now - votedAt);
      votedAt = now;
    }
    if (overflow.voting) told.voted += 0.25;
    if (!overflow.voting && begunAt >= 0) {
      told.longest = Math.max(told.longest, now - begunAt);
      if (measure !== "resume" && measure !== "restart") throw new Error(`a vote ended at ${now} without a word`);
      begunAt = -1;
    }
  }
  return told;
}"""


async def simulated(
    page: Page, load: str, *, seconds: float = 120, replay: float = 0
) -> dict[str, Any]:
    """Simulate a browser.

    Args:
        load: JavaScript of `t` (seconds) and `voting`: takes (bytes a second of the 250 000 that
            come), ahead, refused, mayVote.
        replay: Seconds of media that come at once at the beginning.

    Returns:
        measures: when (s) what was done; begun: when votes began, and reasons: why; voted: seconds
            in all; longest: ms of one vote;
        worstRenewal: ms between two votes of one pause.
    """
    told: dict[str, Any] = await page.evaluate(
        SIMULATION.replace("LOAD", load), {"seconds": seconds, "replay": replay}
    )
    return told


def done(told: dict[str, Any], measure: str) -> list[float]:
    return [at for at, one in told["measures"] if one == measure]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plain(chromium: Browser, relay: Relay) -> Page:
    """A page that watches nobody: modules are imported from where the relay serves them."""
    return await chromium.page(f"{relay.origin}/camera.html")


async def test_who_keeps_up_does_nothing(plain: Page) -> None:
    assert (await simulated(plain, "({})", seconds=600))["measures"] == []
    assert (await simulated(plain, "{ takes: 2.5e6 }", replay=8))["measures"] == [], (
        "a replay is no overflow"
    )
    assert (await simulated(plain, "{ takes: t % 20 < 0.7 ? 0 : 2.5e6 }", replay=8))[
        "measures"
    ] == [], "nor is a moment of rest"


async def test_a_hiccup_is_trimmed_and_nobody_is_bothered(plain: Page) -> None:
    told = await simulated(plain, "{ takes: t > 20 && t < 24 ? 0 : 250000 }")
    assert len(done(told, "trim")) == 1
    assert told["begun"] == []


async def test_a_browser_that_takes_nothing_asks_for_a_pause_gives_up_and_begins_afresh(
    plain: Page,
) -> None:
    told = await simulated(plain, "{ takes: 0, refused: voting ? 9 : 0 }", seconds=50)
    assert [measure for _, measure in told["measures"][:2]] == ["trim", "pause"]
    assert told["reasons"][0] == "overflow"
    assert done(told, "restart")[0] - told["begun"][0] == told["limits"]["GIVE_UP"] / 1000
    assert told["worstRenewal"] <= told["limits"]["RENEWAL"]
    assert done(told, "resume") == []


async def test_one_that_catches_up_takes_its_vote_back_once(plain: Page) -> None:
    told = await simulated(
        plain,
        "{ takes: t > 20 && t < 40 ? 0 : 1e6, refused: voting && t < 40 ? 9 : 0 }",
        seconds=300,
    )
    assert len(told["begun"]) == 1
    [back] = done(told, "resume")
    assert 40 <= back <= 42


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        ("{ refused: t > 20 && t < 40 ? 5 : 0 }", "quota"),
        ("{ ahead: t < 20 || t > 40 ? 0 : 9 }", "ahead"),
    ],
)
async def test_the_other_reasons(plain: Page, load: str, reason: str) -> None:
    told = await simulated(plain, load)
    assert told["reasons"] == [reason]
    assert len(done(told, "resume")) == 1


async def test_it_does_not_flap(plain: Page) -> None:
    """A browser that keeps up with half of what comes for an hour: it loses its own pictures, and
    the others are left in peace.
    """
    told = await simulated(plain, "{ takes: 125000 }", seconds=3600)
    gaps = [
        later - earlier for earlier, later in zip(told["begun"], told["begun"][1:], strict=False)
    ]
    assert min(gaps) >= 10
    assert gaps[-1] > 100
    assert told["voted"] < 3600 * 0.05
    assert told["begun"]


@pytest.mark.parametrize("seed", range(20))
async def test_no_vote_hangs_whatever_happens(plain: Page, seed: int) -> None:
    load = f"""(() => {{
      const dice = (n) => Math.abs(Math.sin((Math.floor(t / 7) + n * 977) * 12.9898 + {seed}) * 43758.5453) % 1;
      return {{ takes: dice(1) < 0.5 ? dice(2) * 400000 : 0, ahead: dice(3) < 0.3 ? dice(4) * 20 : 0,
               refused: dice(5) < 0.3 ? 5 : 0, mayVote: dice(6) < 0.8 }};
    }})()"""
    told = await simulated(plain, load, seconds=1200)
    assert told["longest"] <= told["limits"]["GIVE_UP"]
    assert told["worstRenewal"] <= told["limits"]["RENEWAL"]


async def test_who_may_not_vote_does_not_and_takes_back_what_was_said(plain: Page) -> None:
    told = await simulated(plain, "{ takes: 0, mayVote: false }", seconds=300)
    assert told["begun"] == []
    assert done(told, "trim")
    told = await simulated(plain, "{ takes: 0, refused: voting ? 9 : 0, mayVote: t < 20 }")
    assert len(told["begun"]) == 1
    [back] = done(told, "resume")
    assert back == 20


# --- the same with a real MediaSource ---

# From now on this page's browser takes its time for every append, or has no room.
_TROUBLE = """(trouble) => {
  globalThis.trouble = trouble;
  if (globalThis.append) return;
  const append = (globalThis.append = SourceBuffer.prototype.appendBuffer);
  SourceBuffer.prototype.appendBuffer = function (data) {
    if (globalThis.trouble === "quota") throw new DOMException("no room", "QuotaExceededError");
    if (globalThis.trouble !== "slow") return append.call(this, data);
    Object.defineProperty(this, "updating", { value: true, configurable: true });
    setTimeout(() => {
      delete this.updating;
      append.call(this, data);
    }, 3000);
  };
}"""


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [pytest.param("slow", "overflow", marks=pytest.mark.long), ("quota", "quota")],
)
async def test_a_browser_that_does_not_keep_up_pauses_the_camera_and_goes_on_live(
    relay: Relay, page: Page, trouble: str, reason: str
) -> None:
    async with film(relay, trouble) as camera:
        await go(page, f"{relay.origin}/player.html?camera={trouble}&engine=mse")
        await moving(page)
        await page.evaluate(
            f"""() => {{
              const {{ feed }} = {TILE}.tile, {{ send }} = feed;
              globalThis.votes = [];
              feed.send = (message) => {{ if (message.type === "pause") votes.push(message.reason); send.call(feed, message); }};
            }}"""
        )
        await page.evaluate(_TROUBLE, trouble)
        pause = await camera.phone.message("pause", reason="viewers", votes=1, watching=1)
        assert [
            ipaddress.ip_address(address.strip("[]")).is_loopback for address in pause["by"]
        ] == [True]
        await page.evaluate(_TROUBLE, "")
        await camera.phone.until(lambda one: camera.told("resume"), "for the vote to be taken back")
        await state(page, "live")
        await moving(page)
        assert set(await page.evaluate("votes")) == {reason}
        assert (await facts(page))["engine"] == "mse", "the engine itself is well"


async def test_a_player_that_leaves_while_it_votes_lets_the_camera_go_on(
    relay: Relay, page: Page, chromium: Browser
) -> None:
    async with film(relay, "leaver") as camera:
        await go(page, f"{relay.origin}/player.html?camera=leaver&engine=mse")
        await moving(page)
        await page.evaluate(_TROUBLE, "quota")
        await camera.phone.message("pause", reason="viewers")
        await page.evaluate(f"() => {TILE}.tile.runner.use('frames')")
        await camera.phone.until(lambda one: camera.told("resume"), "for the vote to be taken back")


@pytest.mark.long
async def test_a_browser_that_wants_a_tap_never_asks_for_a_pause(relay: Relay, page: Page) -> None:
    async with film(relay, "tap") as camera:
        await page.evaluate("() => 0")
        await go(page, f"{relay.origin}/player.html?camera=tap&engine=mse")
        await moving(page)
        await page.evaluate(
            f"""() => {{
              const {{ live }} = {TILE}.tile.runner.engine;
              HTMLMediaElement.prototype.play = () => Promise.reject(new DOMException("a tap, please", "NotAllowedError"));
              live.element.pause();
              live.autoplay.play();
            }}"""
        )
        await says(page, "Tap the picture")
        await asyncio.sleep(15)  # longer than a browser may be behind
        assert camera.told("pause") == []


# --- rest ---


@pytest.fixture
def sleepy() -> Iterator[Relay]:
    """A relay that lets a camera sleep when nobody has watched it for a second."""
    with Relay(given={"drawercam.live.pausing.SLEEP_AFTER": 1_000_000}) as one:
        yield one


async def test_a_camera_that_nobody_looks_at_sleeps_and_wakes_up(sleepy: Relay, page: Page) -> None:
    relay, name = sleepy, "sleeper"
    async with film(relay, name) as camera:
        await go(page, f"{relay.origin}/player.html?camera={name}")
        await moving(page)
        # As the relay says it of a camera that sends no keyframe.
        said = (
            f"{{ {TILE}.tile.onstate('waiting', '', true); return "
            f"{TILE}.querySelector('.notice').textContent; }}"
        )
        assert "no keyframe" in await page.evaluate(f"() => {said}")
        await page.evaluate(f"() => {TILE}.tile.onstate('live', '', false)")
        await state(page, "live")
        slept, woke = (
            len(camera.told("pause")),
            len(camera.told("resume")),
        )  # also before this page was there
        await veil(page, "hidden")
        await watching(relay, name, [False])
        await camera.phone.until(
            lambda one: len(camera.told("pause")) > slept, "to be put to sleep"
        )
        assert camera.told("pause")[-1]["reason"] == "unwatched"
        await page.wait_for(f"{TILE}.dataset.state === 'paused'", PATIENCE)
        await says(page, "Waking up")
        await veil(page, "visible")
        await camera.phone.until(lambda one: len(camera.told("resume")) > woke, "to be woken up")
        await state(page, "live")
        await moving(page)
        await watching(relay, name, [True])
        assert page.errors == []


async def test_a_flicker_costs_nothing(relay: Relay, page: Page) -> None:
    async with film(relay, "flicker") as camera:
        await go(page, f"{relay.origin}/player.html?camera=flicker")
        await moving(page)
        # When the computer is so busy that pictures are left out for this page, it rightly gets a
        # keyframe meanwhile.
        costs: list[tuple[int, int]] = []
        while len(costs) < ATTEMPTS and (not costs or any(costs[-1])):
            keyframes, viewers = await calm(camera)
            for _ in range(5):
                await veil(page, "hidden")
                await asyncio.sleep(0.2)
                await veil(page, "visible")
                await asyncio.sleep(0.2)
            await moving(page)
            costs.append(
                (len(camera.told("keyframe")) - keyframes, len(camera.told("viewers")) - viewers)
            )
        assert not any(costs[-1]), f"keyframes and viewers, each time: {costs}"


async def calm(camera: Film) -> tuple[int, int]:
    """Wait until a camera has been told nothing for a moment; how often it has been asked for
    keyframes, and told of viewers.
    """
    told, since = (0, 0), time.monotonic()
    deadline = since + PATIENCE
    while time.monotonic() - since < 0.5:
        assert time.monotonic() < deadline, "it is asked for keyframes on and on"
        await asyncio.sleep(0.05)
        now = (len(camera.told("keyframe")), len(camera.told("viewers")))
        if now != told:
            told, since = now, time.monotonic()
    return told


async def test_a_tile_out_of_sight_rests_and_the_one_in_sight_does_not(
    relay: Relay, page: Page
) -> None:
    async with film(relay, "seen"), film(relay, "unseen"):
        await go(page, f"{relay.origin}/player.html")
        for name in ("seen", "unseen"):
            await page.wait_for(
                f"document.querySelector('[data-camera={name}]')?.dataset.state === 'live'",
                PATIENCE,
            )
        await page.click("[data-camera=seen] .view")
        await watching(relay, "unseen", [False])
        await watching(relay, "seen", [True])
        await page.evaluate("history.back()")
        await watching(relay, "unseen", [True])
        await page.wait_for(
            "document.querySelector('[data-camera=unseen]').dataset.state === 'live'", PATIENCE
        )


async def test_who_comes_back_hidden_rests(relay: Relay, page: Page) -> None:
    async with film(relay, "again"), Proxy(relay.port) as proxy:
        await go(page, f"{proxy.origin}/player.html?camera=again")
        await moving(page)
        await veil(page, "hidden")
        await watching(relay, "again", [False])
        opened = (await facts(page))["opened"]
        proxy.cut()
        await page.wait_for(f"{TILE}.tile.stats().opened > {opened}", PATIENCE)
        await watching(relay, "again", [False])
        await veil(page, "visible")
        await watching(relay, "again", [True])
        await moving(page)


@pytest.mark.usefixtures("porch")
@pytest.mark.parametrize("way", ["worker", "page"])
@pytest.mark.long
async def test_who_listens_does_not_rest(relay: Relay, page: Page, way: str) -> None:
    await go(page, f"{relay.origin}/player.html?camera=porch")
    await moving(page)
    await listening(page)
    if way == "page":
        await page.evaluate(f"() => {TILE}.tile.sound.decodeFailed('for a test')")
        await listening_still(page)
    await veil(page, "hidden")
    await page.wait_for(
        f"""(async () => {{
          const {{ fed }} = {TILE}.tile.stats();
          await new Promise((resolve) => setTimeout(resolve, 600));
          return {TILE}.tile.stats().fed === fed;
        }})()""",
        PATIENCE,
    )
    await asyncio.sleep(1)
    await watching(relay, "porch", [True])
    await listening_still(page)
    await page.evaluate(f"() => {TILE}.tile.sound.turnOff()")
    await watching(relay, "porch", [False])
    await page.evaluate(f"() => {TILE}.tile.sound.turnOn()")
    await watching(relay, "porch", [True])
    await listening_still(page)


async def listening_still(page: Page) -> None:
    await page.wait_for(f"{TILE}.tile.stats().sound.level > 0.005", PATIENCE)


# --- the relay restarts ---


@pytest.mark.long
async def test_the_tiles_stay_while_the_relay_restarts_and_say_so(page: Page) -> None:
    with Relay() as relay:
        with contextlib.suppress(ConnectionClosed):
            async with film(relay, "one"), film(relay, "two"):
                await go(page, f"{relay.origin}/player.html?engine=mse")
                for name in ("one", "two"):
                    await page.wait_for(
                        f"document.querySelector('[data-camera={name}]')?.dataset.state === 'live'",
                        PATIENCE,
                    )
                await moving(page)
                relay.stop()
        await says(page, "The relay is restarting")
        await page.wait_for(
            "document.querySelector('#banner').innerText.includes('The relay is restarting')",
            PATIENCE,
        )
        picture = await pixels(page)
        assert picture is not None
        assert max(picture["colours"]) > 40, "the last picture stands"
        # The relay is back, and no camera yet.
        relay.start()
        await says(page, "Connection lost at")
        assert await page.evaluate(
            "[...document.querySelectorAll('[data-camera]')].map((tile) => tile.dataset.camera)"
        ) == ["one", "two"]
        async with film(relay, "one"):
            await moving(page)
            # The other one does not come, and stays on the wall.
            await page.wait_for(
                "document.querySelector('[data-camera=two]').dataset.state === 'gone'", PATIENCE
            )
            await state(page, "live")


# --- who holds the picture back? ---


async def frozen(page: Page, why: str) -> None:
    try:
        await page.wait_for(
            f"{TILE}.dataset.state === 'frozen' && {TILE}.dataset.why === '{why}'", PATIENCE
        )
    except Exception as error:
        raise AssertionError(
            f"never frozen because of {why}: {await facts(page)}\n{error}"
        ) from None


@contextlib.asynccontextmanager
async def frozen_network(proxy: Proxy) -> AsyncIterator[None]:
    """It stands still until the context ends."""
    task = asyncio.create_task(proxy.freeze(PATIENCE))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("engine", ["frames", pytest.param("mse", marks=pytest.mark.long)])
async def test_a_frozen_network_is_told_from_a_frozen_camera(
    relay: Relay, page: Page, engine: str
) -> None:
    name = f"frozen-{engine}"
    async with film(relay, name) as camera, Proxy(relay.port) as proxy:
        await go(page, f"{proxy.origin}/player.html?camera={name}&engine={engine}")
        await moving(page)
        await page.evaluate(_NOTES)
        async with frozen_network(proxy):
            await page.wait_for("notes.some(([why]) => why === 'network')", PATIENCE)
        await state(page, "live")
        await moving(page)
        camera.sends = False
        await frozen(page, "camera")
        await says(page, r"The camera has sent nothing for \d+ s")
        camera.sends = True
        await state(page, "live")
        await moving(page)
        notes = await page.evaluate("notes")
        # The browser itself may really be behind on a busy computer.
        assert {why for why, _ in notes} <= {"unknown", "network", "camera", "browser"}, (
            "nobody else was blamed, not for a moment"
        )
        assert any(re.search(r"No answer from the relay for \d+ s", text) for _, text in notes)


# Notes what the tile says of a picture that stands still, whenever it changes.
_NOTES = f"""() => {{
  globalThis.notes = [];
  const tile = {TILE};
  new MutationObserver(() => {{
    if (tile.dataset.state === "frozen") notes.push([tile.dataset.why, tile.querySelector(".notice").textContent]);
  }}).observe(tile, {{ attributes: true, attributeFilter: ["data-why", "data-state"] }});
}}"""


@pytest.mark.long
async def test_a_slow_network_is_told_in_the_caption(relay: Relay, page: Page) -> None:
    async with film(relay, "slow"), Proxy(relay.port) as proxy:
        await go(page, f"{proxy.origin}/player.html?camera=slow")
        await moving(page)
        assert await page.evaluate(f"{TILE}.dataset.slow") == "false"
        proxy.throttle(80_000)
        await page.wait_for(
            f"{TILE}.dataset.slow === 'true' && {TILE}.innerText.includes('slow network')", PATIENCE
        )
        assert (await facts(page))["drops"] > 0
        proxy.throttle(None)
        await page.wait_for(
            f"{TILE}.dataset.slow === 'false' && {TILE}.dataset.state === 'live'", PATIENCE
        )
        await moving(page)


async def test_pictures_that_are_left_out_are_the_networks_fault(relay: Relay, page: Page) -> None:
    """The camera films, the relay answers, and no picture comes."""
    async with film(relay, "starved"):
        await go(page, f"{relay.origin}/player.html?camera=starved")
        await moving(page)
        # A network that is so slow that only the small messages come through, as the worker would
        # tell of it.
        await page.evaluate(
            f"""() => {{
              const {{ tile }} = {TILE}, {{ handlers }} = tile.feed, {{ clock }} = handlers;
              let drops = 0;
              tile.feed.tell("engine", {{ choice: -1, name: "none" }});
              handlers.stats = () => {{}};
              handlers.clock = (told) => clock(told.way ? {{ ...told, way: {{ ...told.way, drops: (drops += 60) }} }} : told);
            }}"""
        )
        await frozen(page, "slow")
        await says(page, "This network is too slow")
        # A page that does not get to its work takes what comes too late, and whose fault that is
        # the relay cannot know.
        await page.evaluate(
            """async () => {
              const { device } = await import("/web/player/tile/load.js");
              Object.defineProperty(device, "isBusy", { get: () => true });
            }"""
        )
        await frozen(page, "browser")
        await says(page, r"This device is too busy: no picture for \d+ s")


async def test_a_browser_that_shows_nothing_blames_itself(relay: Relay, page: Page) -> None:
    async with film(relay, "blind"):
        await go(page, f"{relay.origin}/player.html?camera=blind&engine=frames")
        await moving(page)
        await page.evaluate(
            f"() => {TILE}.tile.feed.tell('engine', {{ choice: {TILE}.tile.runner.choice, "
            f"name: 'none' }})"
        )
        await frozen(page, "browser")
        await says(page, r"This browser has shown nothing for \d+ s")
