"""Whether anybody would hear the child: what phone and wall say of a microphone that gives nothing,
how loud one is that does, and that sound which was switched on stays on.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.browsers.conftest import Browsers
from tests.harness.browsers import Chromium, Page
from tests.harness.browsers.chromium import ChromiumPage
from tests.harness.films import film
from tests.harness.pages import PATIENCE, go, kept, listening
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

# The phone's microphone can be muted as a system does it, withdrawn as a person does it in the
# browser's settings, and dead.
MICROPHONE = """
  window.microphones = [];
  window.allowed = true;
  const ask = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (wishes) {
    if (wishes.audio && !window.allowed) throw new DOMException("for a test", "NotAllowedError");
    const stream = await ask.call(this, wishes);
    for (const track of stream.getAudioTracks()) {
      window.microphones.push(track);
      if (!window.dead) continue;
      const context = new AudioContext(); // a tone times 0: only zeros come out
      const tone = context.createOscillator(), nothing = context.createGain(), silence = context.createMediaStreamDestination();
      nothing.gain.value = 0;
      tone.connect(nothing).connect(silence);
      tone.start();
      stream.removeTrack(track);
      stream.addTrack(silence.stream.getAudioTracks()[0]);
    }
    return stream;
  };
  window.mute = (muted) => {
    const track = window.microphones[window.microphones.length - 1];
    Object.defineProperty(track, "muted", { value: muted, configurable: true });
    track.dispatchEvent(new Event(muted ? "mute" : "unmute"));
  };
  window.withdraw = () => {
    window.allowed = false;
    for (const track of window.microphones) {
      track.stop();
      track.dispatchEvent(new Event("ended"));
    }
  };
"""

# A browser in which nothing sounds before a person touches the page. Playwright's remote control
# counts as a touch, so the real rule cannot be tried.
UNTOUCHED = """
  let touched = false;
  addEventListener("pointerdown", () => (touched = true), true);
  window.AudioContext = class extends AudioContext {
    constructor(options) {
      super(options);
      if (!touched) super.suspend();
    }
    resume() {
      return touched ? super.resume() : new Promise(() => undefined);
    }
  };
"""

TILE = "document.querySelector('[data-camera]')"


async def says(page: Page, pattern: str) -> None:
    """Wait until this stands over the caption of the first tile; "^$": nothing does."""
    words = f"({TILE}.querySelector('.sound-words:not([hidden])') || {{ innerText: '' }}).innerText"
    await page.wait_for(f"/{pattern}/.test({words})", PATIENCE)


async def hints(phone: Page, pattern: str) -> None:
    """Wait until this stands below the phone's buttons; "^$": nothing does."""
    await phone.wait_for(
        f"/{pattern}/.test(document.getElementById('sound-hint').innerText)", PATIENCE
    )


async def heard(page: Page) -> None:
    """Wait until the first tile plays something."""
    await page.wait_for(
        f"{TILE} && {TILE}.dataset.sound === 'on' && {TILE}.tile.stats().sound.level > 0.005",
        PATIENCE,
    )


async def prepared(chromium: Chromium, script: str, address: str) -> ChromiumPage:
    """A page at this address that runs a script before its own."""
    page = await chromium.page()
    await page.raw.add_init_script(script)
    await page.raw.goto(address)
    return page


@asynccontextmanager
async def two_pages(
    chromium: Chromium, relay: Relay, name: str, script: str
) -> AsyncIterator[tuple[Page, Page]]:
    """A phone that films, with a script of its own, and a wall that shows it alone; both end
    without an error.
    """
    phone = await prepared(
        chromium, script, f"{relay.origin}/camera.html?name={name}&start=1&width=320&height=240"
    )
    wall = await chromium.page(f"{relay.origin}/player.html?camera={name}")
    try:
        await wall.wait_for(f"{TILE} && {TILE}.dataset.state === 'live'", PATIENCE)
        yield phone, wall
        await phone.refresh_console()
        await wall.refresh_console()
        assert phone.errors == wall.errors == []
    except AssertionError:
        await kept(phone)
        await kept(wall)
        raise
    finally:
        await phone.close()
        await wall.close()


# --- the parts ---


async def test_only_zeros_for_ten_seconds_are_a_dead_microphone(page: Page) -> None:
    """By a given clock.

    One that was taken anew is dead until something comes out; where the browser stops listening,
    nothing is known.
    """
    told = await page.evaluate("""async () => {
      const { LevelMeter } = await import("/web/camera/lens/level-meter.js");
      const meter = new LevelMeter();
      const zeros = new Float32Array(8192), quiet = new Float32Array(8192);
      quiet[4000] = 2 ** -20; // less than 16 bits can say, once in a sixth of a second
      const told = { before: [meter.level, meter.loudest, meter.dead] };
      for (let now = 0; now < 10000; now += 150) meter._take(zeros, now);
      told.nearly = meter.dead;
      meter._take(zeros, 10000);
      told.zeros = [meter.level, meter.loudest, meter.dead];
      meter._stop();
      meter._take(zeros, 10200);
      told.anew = meter.dead;
      meter._take(quiet, 10350);
      told.quiet = [meter.level > 0, meter.level < 1e-6, meter.dead];
      for (let now = 10500; now <= 15000; now += 150) meter._take(now === 13050 ? new Float32Array(8192).fill(-0.5) : zeros, now);
      told.kept = [meter.level, meter.loudest];
      meter._take(zeros, 15150);
      told.forgotten = meter.loudest;
      for (let now = 15300; now <= 30000; now += 150) meter._take(zeros, now);
      meter.context = { state: "suspended", currentTime: 5, close: async () => undefined };
      meter.analyser = {};
      meter.renderedAt = 30000;
      told.stopped = [30150, 39900, 40150].map((now) => (meter.look(now), [meter.level, meter.dead]));
      meter.listen(null);
      return told;
    }""")
    assert told["before"] == [None, None, False]
    assert not told["nearly"] and told["zeros"] == [0, 0, True] and told["anew"]
    assert told["quiet"] == [True, True, False]
    assert told["kept"] == [0, 0.5] and told["forgotten"] == 0
    assert told["stopped"] == [[None, True], [None, True], [None, False]]


async def test_the_bar_shows_a_quiet_room_and_nothing_of_silence(page: Page) -> None:
    told = await page.evaluate("""async () => {
      const { LevelBar, shareOf } = await import("/web/shared/page/level-bar.js");
      const bar = new LevelBar();
      const width = () => Number(/scaleX\\((.*)\\)/.exec(bar.filling.style.transform)[1]);
      const told = { shares: [0, 1e-9, 0.00003, 0.0003, 0.03, 0.25, 1].map(shareOf), hidden: [bar.element.hidden] };
      const widths = [[0.25, 0], [0, 100], [0, 200], [0, 5000]].map(([level, now]) => (bar.show(level, now), width()));
      for (let now = 5100; now < 8000; now += 100) bar.show(0, now);
      widths.push(width());
      told.hidden.push(bar.element.hidden);
      bar.show(null, 9000);
      told.hidden.push(bar.element.hidden);
      // Somebody who wants little motion sees the loudest of two seconds, once.
      const calm = new LevelBar();
      calm.calm = { matches: true };
      const steps = [];
      for (let now = 0; now < 6000; now += 100) {
        calm.show(now === 1500 ? 1 : 0.0003, now);
        if (calm.filling.style.transform !== steps[steps.length - 1]) steps.push(calm.filling.style.transform);
      }
      return { ...told, widths, steps };
    }""")
    silence, least, *_ = shares = told["shares"]
    assert silence == 0 and least > 0 and shares == sorted(shares) and shares[-1] == 1
    assert shares[3] - shares[2] > 0.2, "two quiet rooms differ"
    assert told["hidden"] == [True, False, True]
    first, *falling = told["widths"]
    assert (
        first > 0.9
        and falling == sorted(falling, reverse=True)
        and falling[0] > 0.7
        and falling[-1] == 0
    ), "it falls slowly, and to nothing"
    assert len(told["steps"]) == 3, told["steps"]


async def test_what_is_played_says_when_nothing_comes_or_only_zeros(page: Page) -> None:
    """By the clock of the page, which is set forward between two lines."""
    told = await page.evaluate("""async () => {
      const { Sound } = await import("/web/player/sound/sound.js");
      const real = performance.now;
      let time = 1e6;
      performance.now = () => time;
      try {
        const sound = new Sound({ onchange() {}, send() {}, decode() {}, page() {} });
        const told = [sound.trouble];
        sound.wanted = true;
        sound.player = { running: true, close() {} };
        sound.startedAt = time;
        const after = (seconds, heard, level) => {
          for (let tenth = 0; tenth < 10 * seconds; tenth += 1) {
            time += 100;
            if (heard !== null) sound.onheard(heard, level);
          }
          told.push(sound.trouble);
        };
        after(4.9, null, 0);
        after(0.2, null, 0);      // nothing
        after(1, true, 0.01);     // it comes
        after(9.9, true, 1e-9);   // what a decoder makes of zeros
        after(0.2, true, 0);      // zeros
        after(0.1, true, 0.00003); // a quiet room
        after(30, true, 0.00003);
        after(5.1, false, 0);     // nothing
        sound.player.running = false;
        after(60, null, 0);       // the browser does not play: that is said elsewhere
        sound.look();
        sound.player.running = true;
        after(1, null, 0);
        const levels = [sound.takeLevel()];
        sound.onheard(true, 0.2);
        sound.onheard(true, 0.1);
        levels.push(sound.takeLevel(), sound.takeLevel());
        sound.turnOff();
        return { told, levels };
      } finally {
        performance.now = real;
      }
    }""")
    assert told["told"] == ["", "", "nothing", "", "", "zeros", "", "", "nothing", "", ""]
    assert told["levels"][1:] == [0.2, 0.1], "the newest counts until there is another"


# --- real pages ---


async def test_a_microphone_that_is_taken_or_withdrawn_is_said_on_both_sides(
    relay: Relay, chromium: Chromium
) -> None:
    async with two_pages(chromium, relay, "taken", MICROPHONE) as (phone, wall):
        # How loud it is, with the sound off: on the phone, and from there on the wall.
        filled = "/scaleX\\((0\\.[0-9]*[1-9]|1)\\)/.test"
        await phone.wait_for(
            f"{filled}(document.querySelector('#level:not([hidden]) span').style.transform)",
            PATIENCE,
        )
        await wall.wait_for(
            f"{filled}({TILE}.querySelector('.tool .level:not([hidden]) span').style.transform)",
            PATIENCE,
        )
        assert await wall.evaluate(f"{TILE}.dataset.sound") == "off"
        await phone.evaluate("void window.mute(true)")
        await says(wall, "a call or the system has taken its microphone")
        await hints(phone, "A call or the system has taken the microphone")
        assert await wall.evaluate(f"{TILE}.dataset.silence") == "muted"
        await wall.wait_for(
            "/taken: No sound: a call/.test(document.getElementById('announcer').textContent)",
            PATIENCE,
        )
        await phone.evaluate("void window.mute(false)")
        await says(wall, "^$")
        await hints(phone, "^$")
        await phone.evaluate("void window.withdraw()")
        await says(wall, "it may not use its microphone")
        await hints(phone, "not allowed")
        await wall.wait_for(
            f"{TILE}.querySelector('.no-sound:not([hidden])')?.innerText === 'No sound'", PATIENCE
        )
        assert await wall.evaluate(f"{TILE}.querySelector('.tools [aria-label^=\"Sound\"]').hidden")
        assert await phone.evaluate("document.getElementById('level').hidden"), (
            "there is nothing to be loud"
        )
        # A person switches it on again, and then off.
        await phone.evaluate("void (window.allowed = true)")
        await phone.click("#sound")
        await says(wall, "^$")
        await wall.wait_for(
            f"!{TILE}.querySelector('.tools [aria-label^=\"Sound\"]').hidden", PATIENCE
        )
        await phone.click("#sound")
        await wall.wait_for(
            (
                f"{TILE}.dataset.silence === 'off' && "
                f"{TILE}.querySelector('.no-sound:not([hidden])') !== null"
            ),
            PATIENCE,
        )
        await says(wall, "^$")
        await phone.evaluate("void localStorage.clear()")  # or the next phone begins without sound


@pytest.mark.long
async def test_a_dead_microphone_is_said_on_both_sides_and_one_that_lives_again(
    relay: Relay, chromium: Chromium
) -> None:
    async with two_pages(chromium, relay, "dead", f"window.dead = true; {MICROPHONE}") as (
        phone,
        wall,
    ):
        await hints(phone, "gives only silence")
        await says(wall, "its microphone gives only silence")
        assert await wall.evaluate(
            f"{TILE}.querySelector('.tool .level span').style.transform"
        ) in ("", "scaleX(0)")
        await listen(wall)
        await wall.wait_for(
            f"{TILE}.tile.sound.trouble === 'zeros'", PATIENCE
        )  # as a player finds out of a camera that says nothing
        await phone.evaluate("void (window.dead = false)")
        await phone.click("#sound")
        await phone.click("#sound")
        await says(wall, "^$")
        await heard(wall)


async def listen(page: Page) -> None:
    await page.click("[data-camera] button[aria-pressed]")


async def test_sound_stays_on_when_the_phone_or_the_wall_is_reloaded(
    relay: Relay, chromium: Chromium
) -> None:
    phone = await chromium.page(
        f"{relay.origin}/camera.html?name=cradle&start=1&width=320&height=240"
    )
    wall = await chromium.page()
    await go(wall, f"{relay.origin}/player.html")
    await listening(wall)
    await phone.evaluate("void location.reload()")
    await wall.wait_for(
        "document.querySelector('[data-camera][data-state=live]') === null", PATIENCE
    )
    await heard(wall)
    await wall.click("[data-camera] .view")
    await wall.evaluate("void location.reload()")
    await wall.wait_for(f"{TILE}?.classList.contains('large')", PATIENCE)
    await heard(wall)
    # What was switched in the large view holds for the whole wall.
    await listen(wall)
    await wall.evaluate("history.back()")
    await wall.wait_for(f"!{TILE}.classList.contains('large')", PATIENCE)
    assert await wall.evaluate("history.state.sound") == []
    assert phone.errors == wall.errors == []
    await phone.close()
    await wall.close()


@pytest.mark.long
async def test_a_browser_that_stops_playing_goes_on(
    relay: Relay, chromium: Chromium, porch: None
) -> None:
    page = await chromium.page(f"{relay.origin}/player.html?camera=porch")
    await listening(page)
    # It was stopped, as by a call.
    context = f"{TILE}.tile.sound.player.context"
    await page.evaluate(f"(() => {{ window.first = {context}; void window.first.suspend(); }})()")
    await page.wait_for("window.first.state === 'suspended'", PATIENCE)
    await page.wait_for("window.first.state === 'running'", PATIENCE)
    # It was ended.
    await page.evaluate("void window.first.close()")
    await page.wait_for(f"{context} !== window.first && {context}.state === 'running'", PATIENCE)
    await heard(page)
    # It says that it runs, and does not.
    await page.evaluate(
        f"(() => {{ window.second = {context}; "
        f"{TILE}.tile.sound.player.node.port.onmessage = null; }})()"
    )
    await page.wait_for(f"{context} !== window.second", PATIENCE)
    await heard(page)
    assert page.errors == []
    await page.close()


@pytest.mark.long
async def test_sound_stays_on_over_a_restart_of_the_relay(browsers: Browsers) -> None:
    with Relay() as relay:
        async with browsers.chromium() as browser:
            await browser.page(
                f"{relay.origin}/camera.html?name=cradle&start=1&width=320&height=240"
            )
            wall = await browser.page()
            await go(wall, f"{relay.origin}/player.html")
            await listening(wall)
            await wall.evaluate(f"void (window.tile = {TILE}.tile)")
            relay.stop()
            await wall.wait_for(f"{TILE}.dataset.state !== 'live'", PATIENCE)
            relay.start()
            await wall.wait_for(f"{TILE}?.dataset.state === 'live'", PATIENCE)
            await heard(wall)


@pytest.mark.parametrize(
    "place", [".tools [aria-label^='Sound']", pytest.param(".view", marks=pytest.mark.long)]
)
async def test_where_the_browser_wants_a_tap_the_tile_says_so(
    relay: Relay, chromium: Chromium, porch: None, place: str
) -> None:
    """A page that was reloaded may not sound before it is touched; any tap will do, and one on the
    button does not switch it off.
    """
    page = await prepared(chromium, UNTOUCHED, f"{relay.origin}/player.html?camera=porch")
    await listening(page)
    await page.evaluate("void setTimeout(() => location.reload())")
    await page.wait_for(f"{TILE}?.dataset.sound === 'blocked'", PATIENCE)
    await says(page, "Tap for the sound")
    assert "tap for it" in await page.evaluate(
        f"{TILE}.querySelector('.tools [aria-label^=\"Sound\"]').getAttribute('aria-label')"
    )
    await page.click(f"[data-camera] {place}")
    await heard(page)
    await says(page, "^$")
    assert page.errors == []
    await page.close()


async def test_a_camera_without_sound_says_so_where_a_person_looks_for_it(
    page: Page, relay: Relay
) -> None:
    """First one that says nothing, then what it says; and where its sound was on before."""
    async with film(relay, "mime") as camera:
        await go(page, f"{relay.origin}/player.html?camera=mime")
        await page.wait_for(f"{TILE}.querySelector('.no-sound:not([hidden])') !== null", PATIENCE)
        assert await page.evaluate(
            f"[...{TILE}.querySelectorAll('.level')].every((bar) => bar.hidden)"
        )
        await says(page, "^$")
        words = {
            "muted": "taken its microphone",
            "slow": "its network is too slow",
            "missing": "^$",
            "on": "^$",
            "busy": "another app",
        }
        for sound, pattern in words.items():
            await camera.phone.send(type="state", state="live", sound=sound)
            await page.wait_for(f"{TILE}.tile.camera.microphone === {json.dumps(sound)}", PATIENCE)
            await says(page, pattern)
        await camera.phone.send(type="state", state="live", sound="missing")
        await page.evaluate(f"void {TILE}.tile.sound.turnOn()")
        await says(page, "it has no microphone")
    await page.wait_for(f"{TILE}.dataset.state !== 'live'", PATIENCE)
    await says(page, "^$")
    assert page.errors == []
