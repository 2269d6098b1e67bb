"""The drivers do what the other browser tests take for granted."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image

from tests.harness.browsers import (
    BROWSERS,
    Browser,
    BrowserMissing,
    Chromium,
    Firefox,
    PageError,
    WaitTimeout,
    WebKit,
    gstreamer,
)

# What does not work here works in none of the other browser tests either.
pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

FORM = """<!doctype html>
<meta charset=utf-8>
<link rel=icon href="data:,">
<title>form</title>
<style>body { background: #00f }</style>
<button id=button>press</button>
<input id=name>
<script src="/form.js"></script>
"""

FORM_SCRIPT = """
window.clicks = [];
window.inputs = [];
document.querySelector("#button").addEventListener("click", (event) => window.clicks.push(event.isTrusted));
document.querySelector("#name").addEventListener("input", (event) => window.inputs.push(event.target.value));
"""

STRICT = {"Content-Security-Policy": "default-src 'self'; style-src 'unsafe-inline'; img-src data:"}
"""Nothing may be evaluated: the policy of the project's own pages, and more."""


def certificate(directory: Path) -> ssl.SSLContext:
    """A server context with a certificate that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=2)
    )
    signed = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
    ).sign(key, hashes.SHA256())
    file = directory / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The form, its script, and a WebSocket at `/socket` that says one word."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=FORM, content_type="text/html", headers=STRICT)

    async def script(_request: web.Request) -> web.Response:
        return web.Response(text=FORM_SCRIPT, content_type="text/javascript")

    async def word(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        await answer.send_str("word")
        await answer.close()
        return answer

    app = web.Application()
    app.add_routes([web.get("/", page), web.get("/form.js", script), web.get("/socket", word)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"{'https' if tls else 'http'}://localhost:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def form_url() -> AsyncIterator[str]:
    async with serving() as url:
        yield url


@pytest.fixture(params=list(BROWSERS))
def kind(request: pytest.FixtureRequest) -> type[Browser]:
    """Each browser's class, for tests that start one of their own."""
    kind = BROWSERS[request.param]
    if sentence := kind.missing():
        pytest.skip(sentence)
    return kind


async def test_evaluate_returns_json(browser: Browser, form_url: str) -> None:
    page = await browser.page(form_url)
    assert await page.evaluate("document.title") == "form"
    assert await page.evaluate("undefined") is None
    assert await page.evaluate("Promise.resolve({ a: [1, null, 'ä'] })") == {"a": [1, None, "ä"]}
    assert await page.evaluate("async (a, b) => { await 0; return a.x + b; }", {"x": 1}, 2) == 3
    assert (
        await page.evaluate("await new Promise((resolve) => setTimeout(resolve, 10, 'late'))")
        == "late"
    )
    await page.close()
    await page.close()


async def test_evaluate_raises_what_the_page_throws(browser: Browser, form_url: str) -> None:
    page = await browser.page(form_url)
    with pytest.raises(PageError, match="TypeError: wrong"):
        await page.evaluate("() => { throw new TypeError('wrong'); }")
    with pytest.raises(PageError, match="no luck"):
        await page.evaluate("Promise.reject(new Error('no luck'))")
    with pytest.raises(PageError):
        await page.evaluate("1 +")
    assert await page.evaluate("1 + 1") == 2
    await page.close()


async def test_click_and_fill_reach_the_page(browser: Browser, form_url: str) -> None:
    page = await browser.page(form_url)
    await page.click("#button")
    assert await page.evaluate("window.clicks") == [True]
    await page.fill("#name", "porch ü")
    assert await page.evaluate("[document.querySelector('#name').value, window.inputs]") == [
        "porch ü",
        ["porch ü"],
    ]
    await page.close()


async def test_screenshot_shows_the_page(browser: Browser, form_url: str, tmp_path: Path) -> None:
    page = await browser.page(form_url)
    await page.resize(640, 480)
    assert await page.evaluate("[innerWidth, innerHeight]") == [640, 480]
    png = await page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes() == png
    image = Image.open(io.BytesIO(png)).convert("RGB")
    assert image.size == (640, 480)
    assert image.getpixel((600, 440)) == (0, 0, 255)
    await page.close()


async def test_wait_for_tells_what_the_page_said(browser: Browser, form_url: str) -> None:
    page = await browser.page(form_url)
    await page.evaluate("() => { setTimeout(() => { window.ready = 'now'; }, 200); }")
    assert await page.wait_for("window.ready") == "now"
    await page.evaluate(
        "() => { console.error('the lens is dirty'); setTimeout(() => { throw new "
        "Error('and broken'); }); }"
    )
    await asyncio.sleep(0.2)
    with pytest.raises(WaitTimeout) as caught:
        await page.wait_for("window.never", timeout=0.3)
    text = str(caught.value)
    assert "window.never" in text
    assert form_url in text
    assert "the lens is dirty" in text
    assert "and broken" in text
    assert any("and broken" in error for error in page.errors)
    assert not any("the lens" in line for line in page.console if not line.startswith("error"))
    await page.close()


async def test_a_page_that_is_not_there(browser: Browser) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PageError):
        await browser.page(f"http://127.0.0.1:{port}/")
    page = await browser.page("about:blank")
    assert await page.evaluate("1") == 1
    await page.close()


async def test_click_on_nothing(
    browser: Browser, form_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.harness.browsers.base.ELEMENT_DEADLINE", 0.2)
    page = await browser.page(form_url)
    with pytest.raises(PageError, match="#nothing"):
        await page.click("#nothing")
    await page.close()


async def test_two_pages_run_side_by_side(browser: Browser, form_url: str) -> None:
    first, second = await browser.page(form_url), await browser.page(form_url)
    await first.evaluate("() => { window.mine = 1; setInterval(() => window.mine++, 20); }")
    assert await second.evaluate("typeof window.mine") == "undefined"
    await first.evaluate(
        "() => { window.drawn = 0; const draw = () => { drawn++; "
        "requestAnimationFrame(draw); }; draw(); }"
    )
    await first.wait_for("window.mine > 20 && window.drawn > 20", timeout=5)
    await second.close()
    assert await first.evaluate("window.mine") > 20
    await first.close()


async def test_the_fake_camera_moves(browser: Browser, stage_url: str) -> None:
    page = await browser.page(stage_url)
    pictures = await page.evaluate(
        """async () => {
            const video = document.querySelector("video");
            const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 }, audio: true });
            video.srcObject = stream;
            await video.play();
            const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
            const pictures = [];
            for (let i = 0; i < 6; i++) {
                await new Promise((resolve) => setTimeout(resolve, 200));
                context.drawImage(video, 0, 0, 300, 150);
                pictures.push(context.getImageData(0, 0, 300, 150).data.join());
            }
            const kinds = stream.getTracks().map((track) => track.kind).toSorted();
            return { different: new Set(pictures).size, kinds };
        }"""
    )
    assert pictures["kinds"] == ["audio", "video"]
    assert pictures["different"] >= 3
    await page.close()


async def test_sound_has_a_clock(browser: Browser, stage_url: str) -> None:
    page = await browser.page(stage_url)
    await page.evaluate("() => { window.context = new AudioContext(); context.resume(); }")
    await page.wait_for("context.state === 'running' && context.currentTime > 0.2")
    await page.close()


async def test_a_self_signed_certificate_is_accepted(browser: Browser, tmp_path: Path) -> None:
    async with serving(certificate(tmp_path)) as url:
        page = await browser.page(url)
        assert await page.evaluate("isSecureContext")
        said = (
            "new Promise((resolve) => { const socket = new "
            "WebSocket(`wss://${location.host}/socket`);"
        )
        said += (
            " socket.onmessage = ({ data }) => resolve(data); socket.onclose = ({ code }) => "
            "resolve(code); })"
        )
        assert await page.evaluate(said) == "word"
        await page.close()


async def test_without_a_camera(kind: type[Browser], stage_url: str) -> None:
    async with kind(camera=False) as browser:
        page = await browser.page(stage_url)
        with pytest.raises(PageError, match=r"NotAllowedError|NotFoundError|OverconstrainedError"):
            await page.evaluate(
                "navigator.mediaDevices.getUserMedia({ video: true }).then(() => 'filmed')"
            )


@pytest.mark.parametrize("make", [Chromium, Firefox])
async def test_init_scripts_run_first(make: Callable[..., Browser], form_url: str) -> None:
    browser = make(init_scripts=["window.first = document.title || 'nothing yet';"])
    if sentence := browser.missing():
        pytest.skip(sentence)
    async with browser:
        page = await browser.page(form_url)
        assert await page.evaluate("window.first") == "nothing yet"


async def test_nothing_is_left_after_close(kind: type[Browser], form_url: str) -> None:
    browser = kind()
    await browser.start()
    await browser.page(form_url)
    family = browser.family
    assert len(family.alive()) >= 3
    await browser.close()
    await browser.close()
    assert family.alive() == set()
    assert not family.home.exists()
    with pytest.raises(RuntimeError, match="not running"):
        _ = browser.family


async def test_nothing_is_left_after_a_failure(kind: type[Browser], form_url: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with kind() as browser:
            await browser.page(form_url)
            family = browser.family
            raise ZeroDivisionError
    assert family.alive() == set()


async def test_a_browser_that_was_killed_can_be_closed(kind: type[Browser], form_url: str) -> None:
    async with kind() as browser:
        page = await browser.page(form_url)
        family = browser.family
        family.kill()
        with pytest.raises(PageError):
            await page.evaluate("1")
    assert family.alive() == set()
    assert not family.home.exists()


async def test_a_missing_browser_says_what_to_install(
    kind: type[Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BrowserMissing, match=f"apt install {kind.package}"):
        await kind().start()
    assert kind.package in (kind.missing() or "")


async def test_webkit_records_video(stage_url: str) -> None:
    if sentence := WebKit.missing() or gstreamer.recorder_missing():
        pytest.skip(sentence)
    async with WebKit(recorder=True) as browser:
        page = await browser.page(stage_url)
        head = await page.evaluate(
            """async () => {
                const stream = await navigator.mediaDevices.getUserMedia({ video: true });
                const recorder = new MediaRecorder(stream, { mimeType: "video/mp4;codecs=avc1.42E01E" });
                const blob = await new Promise((resolve) => {
                    recorder.ondataavailable = ({ data }) => { if (data.size) resolve(data); };
                    recorder.start(100);
                });
                return Array.from(new Uint8Array(await blob.arrayBuffer()).slice(4, 8), (byte) => String.fromCharCode(byte)).join("");
            }"""
        )
    assert head == "ftyp"
