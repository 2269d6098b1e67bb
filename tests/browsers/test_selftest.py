"""The camera page's self-test: everything well, and every failure forced in a real Chromium, named
in words that say what to do next.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import pytest

from tests.browsers.conftest import Browsers
from tests.browsers.test_camera_flow import in_state, shows
from tests.harness.browsers import Chromium, Page
from tests.harness.pages import PATIENCE
from tests.harness.peers import ATTEMPTS, peer
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

# Headless Chromium grants no wake lock in most cases, so a stand-in does.
SCREEN = """
  if (window.isSecureContext) navigator.wakeLock.request = async () => {
    const lock = new EventTarget();
    lock.release = async () => lock.dispatchEvent(new Event("release"));
    return lock;
  };
"""

# Every track that was given to the page.
TRACKS = """
  window.tracks = [];
  const given = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (...values) {
    const stream = await given.apply(this, values);
    window.tracks.push(...stream.getTracks());
    return stream;
  };
"""

# A browser that loads pages and opens no WebSocket, as an iPhone does with a certificate that it
# was only clicked through.
NO_SOCKETS = """
  window.WebSocket = class extends EventTarget {
    static OPEN = 1;
    constructor(url) {
      super();
      window.tried = [...(window.tried || []), url];
      this.readyState = 0;
      setTimeout(() => { this.readyState = 3; if (this.onclose) this.onclose({ code: 1006 }); }, 10);
    }
    close() {}
  };
"""

# Nothing stands in for a WebSocket either.
NO_REQUESTS = """
  const real = window.fetch;
  window.fetch = (url, ...more) => (String(url).includes("over-http") ? Promise.reject(new TypeError("no")) : real(url, ...more));
"""

READ = """() => Object.fromEntries([...document.querySelectorAll("[data-test]")].map((line) => [line.dataset.test,
  { sign: line.dataset.sign, text: line.innerText, link: line.querySelector("a") ? line.querySelector("a").href : "" }]))"""


class Phones(Protocol):
    def __call__(
        self, *scripts: str, camera: bool = True
    ) -> AbstractAsyncContextManager[Chromium]: ...


@pytest.fixture(scope="module")
def phone(browsers: Browsers) -> Phones:
    """Makes a phone whose pages run these scripts first."""
    return partial(browsers.chromium, SCREEN)


async def opened(browser: Chromium, relay: Relay, name: str = "tested", more: str = "") -> Page:
    page = await browser.page(f"{relay.origin}/camera.html?name={name}&width=320&height=240{more}")
    await page.wait_for("document.getElementById('boot') === null", PATIENCE)
    return page


async def checked(page: Page, button: str = "#check") -> dict[str, dict[str, str]]:
    """Run the self-test as a person does; the lines by what they are about: sign, all words, the
    link's address.
    """
    await page.click(button)
    return await finished(page)


async def finished(page: Page) -> dict[str, dict[str, str]]:
    await page.wait_for("!document.getElementById('selftest-copy').disabled", 2 * PATIENCE)
    found: dict[str, dict[str, str]] = await page.evaluate(READ)
    assert list(found) == ["page", "relay", "socket", "camera", "microphone", "screen", "encoder"]
    return found


def signs(lines: dict[str, dict[str, str]], but: Sequence[str] = ()) -> dict[str, str]:
    return {name: line["sign"] for name, line in lines.items() if name not in but}


async def summary(page: Page) -> str:
    text: str = await page.evaluate("document.getElementById('selftest-summary').innerText")
    return text


async def has_picture(page: Page) -> None:
    await page.wait_for("document.getElementById('camera').dataset.encoder", PATIENCE)


# --- all is well ---


async def test_everything_works(relay: Relay, phone: Phones) -> None:
    async with phone() as browser:
        page = await opened(browser, relay)
        await has_picture(page)
        lines = await checked(page)
        for _ in range(
            ATTEMPTS - 1
        ):  # a browser that is too busy to be measured is rightly said to have limits
            if set(signs(lines).values()) == {"fine"}:
                break
            lines = await checked(page, "#selftest-again")
        assert set(signs(lines).values()) == {"fine"}, lines
        assert await summary(page) == "Everything works."
        assert "pictures in a second" in lines["camera"]["text"]
        assert "ms to encode a picture" in lines["encoder"]["text"]
        assert "recorder, video/webm" in lines["encoder"]["text"]
        await page.click("#selftest-close")
        assert (
            await page.evaluate(
                "document.getElementById('selftest').hidden && document.activeElement.id"
            )
            == "check"
        )
        assert (
            await page.evaluate(
                "document.getElementById('picture').srcObject.getVideoTracks()[0].readyState"
            )
            == "live"
        ), "the page's own camera stays"
        await page.click("#start")
        await in_state(page, "live")
        assert page.errors == []


@pytest.mark.long
async def test_the_result_is_copied_and_has_no_secrets(phone: Phones) -> None:
    async with phone(
        "navigator.clipboard.writeText = async (text) => { window.copied = text; };"
    ) as browser:
        with Relay("--tls") as relay:
            link = next(
                line.split()[-1] for line in relay.output.splitlines() if "/camera.html#" in line
            )
            page = await browser.page(link.replace("camera.html#", "camera.html?name=secret-name#"))
            await has_picture(page)
            lines = await checked(page)
            assert signs(lines)["relay"] == signs(lines)["socket"] == "fine", lines
            assert "“Film” key" in lines["relay"]["text"]
            assert "https" in lines["page"]["text"]
            await page.click("#selftest-copy")
            text = await page.wait_for("window.copied", PATIENCE)
            assert "[fine] Camera: " in text
            assert "Chrome on a computer" in text
            assert link.split("#key=")[1] not in text
            assert "secret-name" not in text
            # A browser without a clipboard for pages: the text is there to be copied by hand.
            await page.evaluate(
                "void (navigator.clipboard.writeText = async () => { throw new Error('no'); })"
            )
            await page.click("#selftest-copy")
            await page.wait_for(
                "document.getElementById('selftest-text').value.includes('[fine] Camera: ')",
                PATIENCE,
            )
            assert (
                await page.evaluate(
                    "document.getElementById('selftest-text').getClientRects().length"
                )
                > 0
            )


@pytest.mark.long
async def test_a_camera_that_may_not_watch_tests_its_socket_under_no_others_name(
    phone: Phones,
) -> None:
    async with phone() as browser:
        with Relay("--tls") as relay:
            link = next(
                line.split()[-1] for line in relay.output.splitlines() if "/camera.html#" in line
            )
            page = await browser.page(link.replace("camera.html#", "camera.html?name=porch#"))
            await has_picture(page)
            assert (
                await page.evaluate("fetch('/api/cameras').then((answer) => answer.status)") == 401
            )
            await page.evaluate(
                """() => {
                  const Real = window.WebSocket;
                  window.urls = [];
                  window.WebSocket = class extends Real { constructor(url, ...more) { super(url, ...more); window.urls.push(url); } };
                }"""
            )
            lines = await checked(page)
            assert lines["socket"]["sign"] == "fine"
            assert "wss" in lines["socket"]["text"]
            (url,) = await page.evaluate("window.urls")
            assert "/camera/self-test-" in url


@pytest.mark.long
async def test_while_it_films_it_reports_and_disturbs_nothing(relay: Relay, phone: Phones) -> None:
    async with phone(TRACKS) as browser:
        page = await opened(browser, relay, "busy", "&start=1")
        await in_state(page, "live")
        async with peer(relay, "/player/busy") as player:
            await player.until(lambda one: len(one.media) > 5)
            known = await page.evaluate("window.tracks.length")
            await page.click("#check")
            lines = await finished(page)
            assert set(signs(lines).values()) == {"fine"}, lines
            assert "the camera on this page uses it now" in lines["socket"]["text"]
            assert "It films with" in lines["encoder"]["text"]
            assert await page.evaluate("window.tracks.length") == known
            await page.click("#selftest-close")
            assert await page.evaluate(
                "window.tracks.every((track) => track.readyState === 'live')"
            )
            media = len(player.media)
            await player.until(lambda one: len(one.media) > media + 5)
            assert not any(
                one["type"] == "state" and one["state"] != "live" for one in player.messages[1:]
            )


@pytest.mark.long
async def test_while_it_films_nothing_is_asked_for(relay: Relay, phone: Phones) -> None:
    async with phone(
        REFUSING
        % ("(window.questions = (window.questions || 0) + 1, wishes.audio)", "NotAllowedError")
    ) as browser:
        page = await opened(browser, relay, "quiet", "&start=1")
        await in_state(page, "live")
        known = await page.evaluate("window.questions")
        await page.evaluate("document.getElementById('check').click()")
        lines = await finished(page)
        assert signs(lines, ["microphone"]) == dict.fromkeys(
            ["page", "relay", "socket", "camera", "screen", "encoder"], "fine"
        ), lines
        assert lines["microphone"]["sign"] == "failed"
        assert "not allowed" in lines["microphone"]["text"]
        assert await page.evaluate("window.questions") == known


# --- what can fail ---

REFUSING = """
  const answer = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = function (wishes) {
    return %s ? Promise.reject(new DOMException("no", "%s")) : answer.call(this, wishes);
  };
"""


@pytest.mark.long
async def test_an_insecure_page(relay: Relay, phone: Phones) -> None:
    async with phone(
        "Object.defineProperty(window, 'isSecureContext', { value: false });"
    ) as browser:
        page = await opened(browser, relay)
        lines = await checked(page, "#panel-actions button")
        assert lines["page"]["sign"] == "failed"
        assert "--tls" in lines["page"]["text"]
        assert lines["camera"]["sign"] == lines["encoder"]["sign"] == "skipped"
        assert await summary(page) == "This phone cannot film yet. Begin with “Secure page”."


@pytest.mark.long
async def test_a_camera_that_is_refused(relay: Relay, phone: Phones) -> None:
    async with phone(camera=False) as browser:
        page = await opened(browser, relay)
        await shows(page, "panel", "The camera is not allowed")
        await shows(page, "panel-actions", "Check this phone")
        lines = await checked(page, "#panel-actions button:last-child")
        assert signs(lines, ["screen"]) == {
            "page": "fine",
            "relay": "fine",
            "socket": "fine",
            "camera": "failed",
            "microphone": "failed",
            "encoder": "skipped",
        }
        assert "The camera is not allowed" in lines["camera"]["text"]
        assert "Click the icon left of the address and switch Camera on." in lines["camera"]["text"]
        assert "switch Microphone on" in lines["microphone"]["text"]
        assert await summary(page) == "This phone cannot film yet. Begin with “Camera”."


@pytest.mark.long
async def test_a_sound_that_is_switched_off_is_not_asked_for(relay: Relay, phone: Phones) -> None:
    async with phone(
        REFUSING % ("(window.heard = window.heard || Boolean(wishes.audio), false)", "")
    ) as browser:
        page = await opened(browser, relay, more="&sound=0")
        await has_picture(page)
        lines = await checked(page)
        assert lines["microphone"]["sign"] == "fine"
        assert not await page.evaluate("window.heard")


@pytest.mark.long
async def test_a_camera_that_is_free_again_is_taken_by_the_page_afterwards(
    relay: Relay, phone: Phones
) -> None:
    """And what the test itself has asked for is let go."""
    busy = "window.busy"
    async with phone(
        TRACKS, REFUSING % (busy, "NotAllowedError"), "window.busy = true;"
    ) as browser:
        page = await opened(browser, relay)
        await shows(page, "panel", "The camera is not allowed")
        await page.evaluate("void (window.busy = false)")
        lines = await checked(page, "#panel-actions button:last-child")
        assert (
            lines["camera"]["sign"]
            == lines["microphone"]["sign"]
            == lines["encoder"]["sign"]
            == "fine"
        ), lines
        own = await page.evaluate("window.tracks.map((track) => track.readyState)")
        assert own == ["ended", "ended"]
        await page.click("#selftest-close")
        await page.wait_for(
            "!document.getElementById('start').disabled && document.getElementById('panel').hidden",
            PATIENCE,
        )
        assert await page.evaluate("document.querySelector('.source-video') === null")


@pytest.mark.long
async def test_closing_it_lets_everything_go(relay: Relay, phone: Phones) -> None:
    async with phone(
        TRACKS, REFUSING % ("window.busy", "NotAllowedError"), "window.busy = true;"
    ) as browser:
        page = await opened(browser, relay)
        await shows(page, "panel", "The camera is not allowed")
        await page.evaluate("void (window.busy = false)")
        await page.click("#panel-actions button:last-child")
        await page.wait_for("window.tracks.length === 1", PATIENCE)
        await page.evaluate("void (window.busy = true)")
        await page.click("#selftest-close")
        assert await page.evaluate("window.tracks[0].readyState") == "ended"
        assert await page.evaluate("document.getElementById('selftest').hidden")


@pytest.mark.long
async def test_a_lens_that_gives_no_picture(relay: Relay, phone: Phones) -> None:
    async with phone() as browser:
        page = await opened(browser, relay)
        await has_picture(page)
        await page.evaluate("void document.getElementById('picture').pause()")
        lines = await checked(page)
        assert lines["camera"]["sign"] == "failed"
        assert "stands still" in lines["camera"]["text"]


NO_LOCK = "navigator.wakeLock.request = async () => { throw new Error('no'); };"
NO_VIDEO = "delete HTMLCanvasElement.prototype.captureStream;"
NO_WEBCODECS = (
    "VideoEncoder.prototype.encode = function () { throw new DOMException('no', "
    "'EncodingError'); };"
)
NO_RECORDER = (
    "MediaRecorder.prototype.start = function () { throw new DOMException('no', "
    "'NotSupportedError'); };"
)


@dataclass(frozen=True)
class Lack:
    """What a phone has not, and what has to be found: of each line its sign and some words."""

    scripts: Sequence[str]
    found: Mapping[str, tuple[str, str]]
    summary: str


@pytest.mark.parametrize(
    "lack",
    [
        Lack(
            [REFUSING % ("wishes.audio", "NotFoundError"), NO_LOCK, NO_WEBCODECS],
            {
                "microphone": ("failed", "There is no microphone"),
                "screen": ("limits", "hidden video"),
                "encoder": ("limits", "Without WebCodecs"),
            },
            "This phone can film. Not working: microphone.",
        ),
        Lack(
            [REFUSING % ("wishes.audio", "NotAllowedError"), NO_LOCK + NO_VIDEO, NO_RECORDER],
            {
                "microphone": ("failed", "not allowed"),
                "screen": ("failed", "Nothing keeps it on"),
                "encoder": ("fine", "WebCodecs VP8"),
            },
            "This phone can film. Not working: microphone, screen stays on.",
        ),
        Lack(
            [REFUSING % ("wishes.audio", "NotReadableError"), NO_WEBCODECS, NO_RECORDER],
            {
                "microphone": ("failed", "another app may have it"),
                "screen": ("fine", ""),
                "encoder": ("failed", "No encoder of this browser gives anything"),
            },
            "This phone cannot film yet. Begin with “Encoder”.",
        ),
    ],
    ids=["half", "all but WebCodecs", "every encoder"],
)
@pytest.mark.long
async def test_what_a_phone_lacks_is_named(relay: Relay, lack: Lack, phone: Phones) -> None:
    async with phone(*lack.scripts) as browser:
        page = await opened(browser, relay)
        await has_picture(page)
        lines = await checked(page)
        assert signs(lines, list(lack.found)) == dict.fromkeys(
            ["page", "relay", "socket", "camera"], "fine"
        ), lines
        for name, (sign, words) in lack.found.items():
            assert lines[name]["sign"] == sign and words in lines[name]["text"], lines[name]
            assert sign == "fine" or len(lines[name]["text"].splitlines()) > 3, "and what to do"
        assert await summary(page) == lack.summary
        assert await page.evaluate("document.querySelector('.wake-video') === null"), "it is let go"


@pytest.mark.parametrize(
    ("scripts", "sign"),
    [
        ([NO_SOCKETS], "limits"),
        pytest.param([NO_SOCKETS, NO_REQUESTS], "failed", marks=pytest.mark.long),
    ],
)
async def test_a_browser_that_refuses_wss(scripts: list[str], sign: str, phone: Phones) -> None:
    async with phone(*scripts) as browser:
        with Relay("--tls") as relay:
            link = next(
                line.split()[-1] for line in relay.output.splitlines() if "/camera.html#" in line
            )
            page = await browser.page(link)
            await has_picture(page)
            lines = await checked(page)
            assert signs(lines)["relay"] == "fine"
            assert lines["socket"]["sign"] == sign
            assert (
                "refuses WebSockets (wss), although it reaches the relay by https://"
                in lines["socket"]["text"]
            )
            assert "install the relay’s certificate" in lines["socket"]["text"]
            assert ("Ordinary requests carry the pictures instead" in lines["socket"]["text"]) == (
                sign == "limits"
            )
            assert await page.evaluate("window.tried[0].startsWith('wss://')")
            assert (await summary(page)).startswith(
                "This phone can film"
                if sign == "limits"
                else "This phone cannot film yet. Begin with"
            )


@pytest.mark.long
async def test_the_way_to_the_certificate_is_a_link_where_the_relay_knows_it(
    relay: Relay, phone: Phones
) -> None:
    script = """
      const ask = window.fetch;
      window.fetch = async (url, ...more) => {
        const answer = await ask(url, ...more);
        if (url !== "/api/session") return answer;
        return new Response(JSON.stringify({ ...(await answer.json()), trust: "http://192.0.2.1:8088/" }));
      };
    """
    async with phone(script) as browser:
        page = await opened(browser, relay)
        # As on a page that came by https: only the words depend on it.
        found = await page.evaluate(
            """async () => {
              const { SelfTest } = await import("/web/camera/page/self-test.js");
              const test = new SelfTest({}, { family: "safari", system: "ios", name: "Safari" });
              test.session = { viewer: true, camera: true, trust: "http://192.0.2.1:8088/" };
              test._goesByRequests = async () => false;
              return test._refused("wss://localhost/wall", "/wall", "wss", "refused");
            }"""
        )
        assert found["link"] == "http://192.0.2.1:8088/"
        assert "the link below" in found["steps"][0]
        assert "Certificate Trust Settings" in found["steps"][1]


@pytest.mark.long
async def test_a_wrong_key(phone: Phones) -> None:
    async with phone() as browser:
        with Relay("--tls") as relay:
            page = await browser.page(
                f"{relay.origin}/camera.html?name=porch#key=aaaa-bbbb-cccc-dddd"
            )
            await shows(page, "panel", "This link does not open this page")
            lines = await checked(page, "#panel-actions button:last-child")
            assert lines["relay"]["sign"] == "failed"
            assert "does not know a key of this browser" in lines["relay"]["text"]
            assert "Scan the code “Film”" in lines["relay"]["text"]
            assert lines["socket"]["sign"] == "skipped"
            assert lines["camera"]["sign"] == "fine"
            assert await summary(page) == "This phone cannot film yet. Begin with “Relay and key”."


@pytest.mark.long
async def test_a_relay_that_is_away_is_offered_to_be_looked_into(phone: Phones) -> None:
    async with phone() as browser:
        with Relay() as relay:
            page = await opened(browser, relay, "lonely", "&start=1")
            await in_state(page, "live")
            relay.kill()
            await in_state(page, "gone")
            lines = await checked(page)
            assert lines["relay"]["sign"] == "failed"
            assert "The relay does not answer" in lines["relay"]["text"]
            assert "does drawercam run there?" in lines["relay"]["text"]
            assert lines["socket"]["sign"] == "skipped"
            assert lines["camera"]["sign"] == "fine"
            relay.start()
            await in_state(page, "live")
            assert (await checked(page, "#selftest-again"))["relay"]["sign"] == "fine"


# --- words ---

ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) "
)
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"
MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.4 Safari/605.1.15"
)


@pytest.mark.parametrize(
    ("agent", "touches", "name", "step"),
    [
        (
            ANDROID + "Chrome/126.0.0.0 Mobile Safari/537.36",
            5,
            "Chrome on Android",
            "then Permissions, then Camera",
        ),
        (
            ANDROID + "SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
            5,
            "Samsung Internet on Android",
            "Samsung Internet, Perm",
        ),
        (
            "Mozilla/5.0 (Android 13; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0",
            5,
            "Firefox on Android",
            "Touch the lock",
        ),
        (
            IPHONE + "Version/17.4 Mobile/15E148 Safari/604.1",
            5,
            "Safari on iPhone or iPad",
            "Website Settings",
        ),
        (
            IPHONE + "CriOS/126.0.6478.35 Mobile/15E148 Safari/604.1",
            5,
            "Chrome on iPhone or iPad",
            "open Chrome (from iOS 18 on: Apps",
        ),
        (MAC, 5, "Safari on iPhone or iPad", "Website Settings"),
        (MAC, 0, "Safari on a computer", "In the menu Safari"),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            0,
            "Firefox on a computer",
            "crossed-out camera",
        ),
        (
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 "
                "Safari/537.36"
            ),
            0,
            "Chrome on a computer",
            "Click the icon",
        ),
        ("Lynx/2.8", 0, "the browser on a computer", "allow Camera"),
    ],
)
async def test_menus_are_named_as_the_browser_names_them(
    page: Page, agent: str, touches: int, name: str, step: str
) -> None:
    found = await page.evaluate(
        """async (userAgent, maxTouchPoints) => {
          const menus = await import("/web/shared/page/browser-menus.js");
          const browser = menus.browserOf({ userAgent, maxTouchPoints });
          const others = [menus.stepsToTrust(browser, true), menus.stepsToTrust(browser, false), menus.stepsToStayOn(browser),
            menus.stepsToUpdate(browser), menus.stepsToReach(browser, true), menus.stepsToAllow(browser, "Microphone")];
          return [menus.browserWords(browser), menus.stepsToAllow(browser, "Camera").join(" "), others];
        }""",
        agent,
        touches,
    )
    assert found[0] == name
    assert step in found[1]
    assert all(text for steps in found[2] for text in steps)
    text = json.dumps(found)
    assert "undefined" not in text
    assert "terminal" not in text, "a guest has none"
    assert ("Certificate Trust Settings" in text) == ("iPhone" in name)


async def test_one_sentence_for_all(page: Page) -> None:
    async def sentence(**signs: str) -> Any:
        return await page.evaluate(
            """async (signs) => {
              const { TESTS, summaryOf } = await import("/web/camera/page/self-test.js");
              return summaryOf(TESTS.map(([id, label]) => ({ id, label, sign: signs[id] || "fine" })));
            }""",
            signs,
        )

    assert await sentence() == "Everything works."
    assert await sentence(screen="limits") == "This phone can film, with limits."
    assert (
        await sentence(screen="failed", microphone="failed")
        == "This phone can film. Not working: microphone, screen stays on."
    )
    assert (
        await sentence(screen="failed", camera="failed", encoder="skipped")
        == "This phone cannot film yet. Begin with “Camera”."
    )
    assert await sentence(encoder="skipped") == "What could be tried works. Not everything could."


_VP8 = "WebCodecs VP8, 4.0 ms to encode a picture"


@pytest.mark.parametrize(
    ("choice", "recorder", "sign", "found", "steps"),
    [
        # What gave nothing in the test's time is slow, and not missing: no update would mend that.
        (
            {"delays": {"vp8": "failed"}, "spare": ["vp8"]},
            "video/webm",
            "limits",
            "too busy or too slow",
            "Close other",
        ),
        (
            {"delays": {}, "codecs": ["vp8"]},
            "video/webm",
            "limits",
            "too busy or too slow",
            "Close other",
        ),
        (
            {"delays": {"vp8": None}, "codecs": ["vp8"]},
            "video/mp4",
            "limits",
            "too busy or too slow",
            "Close other",
        ),
        (
            {"delays": {"vp8": "failed"}, "codecs": ["vp8"]},
            None,
            "failed",
            "too busy or too slow",
            "Close other",
        ),
        ({"delays": {"recorder": "failed"}}, None, "failed", "too busy or too slow", "Close other"),
        # What is missing, or breaks, is.
        ({"delays": {"recorder": None}}, "video/mp4", "limits", "writes in pieces", "Update"),
        ({"delays": {"vp8": "refused"}}, "video/webm", "limits", "Without WebCodecs", "Update"),
        ({"delays": {"vp8": "refused"}}, "", "failed", "No encoder of this browser", "Update"),
        (
            {"delays": {"vp8": "failed"}, "codecs": ["vp8"], "sound": False},
            "video/webm",
            "limits",
            "Sound cannot",
            "Close other|Update",
        ),
        (
            {"delays": {"vp8": {"least": 3, "median": 4}}, "codecs": ["vp8"]},
            "video/webm",
            "fine",
            _VP8,
            "",
        ),
        ({"delays": {"vp8": {"least": 3, "median": 4}}, "codecs": ["vp8"]}, None, "fine", _VP8, ""),
    ],
)
async def test_slow_is_not_missing(
    page: Page, choice: dict[str, Any], recorder: str | None, sign: str, found: str, steps: str
) -> None:
    """`recorder` is the type of which bytes came, None where none came in time, and "" where it
    broke.
    """
    whole = {"codecs": [], "spare": [], "sound": True, "drawn": False, "remark": ""} | choice
    said = await page.evaluate(
        """async (choice, recorder) => {
          const { encoderFinding } = await import("/web/camera/page/self-test.js");
          return encoderFinding(choice, recorder, { family: "chrome", system: "android", name: "Chrome" });
        }""",
        whole,
        {"mime": recorder or "", "silent": recorder is None, "sound": whole["sound"]},
    )
    assert said["sign"] == sign and found in said["found"]
    named = [
        step
        for step in ("Close other", "Update")
        if any(one.startswith(step) for one in said["steps"])
    ]
    assert "|".join(named) == steps
