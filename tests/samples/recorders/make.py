"""Makes the recordings of this folder afresh, with the recorders of real browsers: `python -m
tests.samples.recorders.make [name ...]`.

Names are browsers or files; without any, everything is made. A browser that is not installed is
left out, its files stay as they are.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.browsers import BROWSERS, Browser, BrowserMissing, Page, PageError, WebKit
from tests.samples.recorders import safari_like
from tests.samples.recorders.stage import stage

HERE = Path(__file__).parent
INDEX = HERE / "index.json"

SECONDS = 2.0
"""How long a recording is. Two keyframes, and small enough to be kept in the repository."""

SLOW_SECONDS = 3.5
"""For recorders that give nothing more often than once a second."""


@dataclass(frozen=True)
class Recipe:
    """How one recording is made.

    Attributes:
        file: Its name.
        browser: Key of `BROWSERS`.
        mime: What MediaRecorder is asked for.
        video, audio: Which tracks; `video` is `camera`, nothing, or a canvas: `alpha`, which is
            half transparent, or `turn`, which changes from landscape to portrait halfway, as a
            phone does.
        seconds: How long.
        ending: Whether to keep what `stop()` still delivers. A connection that breaks does not.
        options: More options for MediaRecorder.
    """

    file: str
    browser: str
    mime: str
    video: str = "camera"
    audio: bool = False
    seconds: float = SECONDS
    ending: bool = True
    options: dict[str, Any] = field(default_factory=dict)


SECOND_KEYFRAMES = {"videoKeyFrameIntervalDuration": 1000}
"""A keyframe each second (MediaRecorder, Chromium only)."""

RECIPES = (
    *(
        Recipe(
            f"chromium-{codec}.webm",
            "chromium",
            f"video/webm;codecs={codec}",
            options=SECOND_KEYFRAMES,
        )
        for codec in ("vp8", "vp9", "h264", "av1")
    ),
    Recipe("chromium-opus.webm", "chromium", "audio/webm;codecs=opus", video="", audio=True),
    Recipe(
        "chromium-av.webm",
        "chromium",
        "video/webm;codecs=vp8,opus",
        audio=True,
        options=SECOND_KEYFRAMES,
    ),
    Recipe(
        "chromium-alpha.webm",
        "chromium",
        "video/webm;codecs=vp8",
        video="alpha",
        options=SECOND_KEYFRAMES,
    ),
    Recipe(
        "chromium-turn-vp8.webm",
        "chromium",
        "video/webm;codecs=vp8",
        video="turn",
        options=SECOND_KEYFRAMES,
    ),
    Recipe(
        "chromium-turn-h264.webm",
        "chromium",
        "video/webm;codecs=h264",
        video="turn",
        options=SECOND_KEYFRAMES,
    ),
    Recipe(
        "chromium-mp4.mp4",
        "chromium",
        "video/mp4;codecs=avc1.42E01E,opus",
        audio=True,
        seconds=SLOW_SECONDS,
        options=SECOND_KEYFRAMES,
    ),
    Recipe(
        "chromium-vp9.mp4",
        "chromium",
        "video/mp4;codecs=vp9",
        seconds=SLOW_SECONDS,
        options=SECOND_KEYFRAMES,
    ),
    Recipe("firefox-video.webm", "firefox", "video/webm;codecs=vp8"),
    Recipe("firefox-opus.webm", "firefox", "audio/webm;codecs=opus", video="", audio=True),
    Recipe("firefox-av.webm", "firefox", "video/webm;codecs=vp8,opus", audio=True),
    # WebKitGTK's recorder garbles its last fragment when it is stopped: what stop() delivers is
    # left out.
    Recipe(
        "webkit-video.mp4",
        "webkit",
        "video/mp4;codecs=avc1.42E01E",
        seconds=SLOW_SECONDS,
        ending=False,
    ),
    Recipe(
        "webkit-audio.mp4",
        "webkit",
        "audio/mp4;codecs=mp4a.40.2",
        video="",
        audio=True,
        seconds=SLOW_SECONDS,
        ending=False,
    ),
    Recipe(
        "webkit-av.mp4",
        "webkit",
        "video/mp4;codecs=avc1.42E01E,mp4a.40.2",
        audio=True,
        seconds=SLOW_SECONDS,
        ending=False,
    ),
)


def browser_for(name: str) -> Browser:
    """A browser whose recorder is complete."""
    return WebKit(recorder=True) if name == "webkit" else BROWSERS[name]()


async def record(page: Page, recipe: Recipe) -> tuple[bytes, dict[str, Any]]:
    """Records once.

    Returns:
        The bytes, and what `index.json` says about them: `mime` (the recorder's own), `blobs` (the
        sizes in which the bytes came, in order) and `arrivals` (milliseconds after `start()` at
        which they came).
    """
    wish = {
        "mime": recipe.mime,
        "video": recipe.video,
        "audio": recipe.audio,
        "milliseconds": recipe.seconds * 1000,
    }
    result = await page.evaluate(
        _RECORD, {**wish, "ending": recipe.ending, "options": recipe.options}
    )
    parts = [base64.b64decode(part) for part in result.pop("parts")]
    return b"".join(parts), {
        "mime": result["mime"],
        "blobs": [len(part) for part in parts],
        "arrivals": result["arrivals"],
    }


async def make(recipes: Sequence[Recipe], index: dict[str, Any]) -> None:
    """Makes the recordings of one browser and notes them in the index."""
    name = recipes[0].browser
    try:
        async with stage() as url, browser_for(name) as browser:
            for recipe in recipes:
                page = await browser.page(url)
                try:
                    data, entry = await record(page, recipe)
                except PageError as error:
                    print(f"{recipe.file} is left out: {error}")
                    continue
                finally:
                    await page.close()
                (HERE / recipe.file).write_bytes(data)
                index[recipe.file] = {"browser": browser.version, "asked": recipe.mime, **entry}
                print(
                    f"{recipe.file}: {len(data)} bytes in {len(entry['blobs'])} blobs, "
                    f"{entry['mime']}"
                )
    except BrowserMissing as missing:
        print(f"{name} is left out: {missing}")


async def main(names: Sequence[str]) -> None:
    index: dict[str, Any] = json.loads(INDEX.read_text()) if INDEX.exists() else {}
    for browser in BROWSERS:
        wanted = [
            r
            for r in RECIPES
            if r.browser == browser and (not names or r.file in names or browser in names)
        ]
        if wanted:
            await make(wanted, index)
    if not names or safari_like.FILE in names:
        index[safari_like.FILE] = safari_like.make(HERE / safari_like.FILE)
    INDEX.write_text(_dump(index))


def _dump(index: dict[str, Any]) -> str:
    """JSON with one line per field: short enough to read, long enough to compare."""
    files = []
    for file, entry in sorted(index.items()):
        fields = ",\n".join(
            f"    {json.dumps(key)}: {json.dumps(value)}" for key, value in entry.items()
        )
        files.append(f"  {json.dumps(file)}: {{\n{fields}\n  }}")
    return "{\n" + ",\n".join(files) + "\n}\n"


_RECORD = """async ({ mime, video, audio, milliseconds, ending, options }) => {
    const tracks = [];
    let drawing = 0;
    if (video === "alpha" || video === "turn") {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [160, 120];
        const context = canvas.getContext("2d", { alpha: video === "alpha" });
        const turning = performance.now() + milliseconds / 2;
        drawing = setInterval(() => {
            const now = performance.now();
            if (video === "turn" && now > turning && canvas.width === 160) [canvas.width, canvas.height] = [120, 160];
            context.clearRect(0, 0, canvas.width, canvas.height);
            context.fillStyle = "rgba(255, 80, 0, 0.5)";
            context.fillRect((now / 10) % (canvas.width - 40), 40, 40, 40);
        }, 33);
        tracks.push(...canvas.captureStream(30).getTracks());
    } else if (video) {
        const wanted = { width: { ideal: 320 }, height: { ideal: 240 } };
        tracks.push(...(await navigator.mediaDevices.getUserMedia({ video: wanted })).getTracks());
    }
    if (audio) tracks.push(...(await navigator.mediaDevices.getUserMedia({ audio: true })).getTracks());

    const bits = { videoBitsPerSecond: 150_000, audioBitsPerSecond: 32_000 };
    const recorder = new MediaRecorder(new MediaStream(tracks), { mimeType: mime, ...bits, ...options });
    const blobs = [], arrivals = [];
    const begun = performance.now();
    const keep = (blob) => { if (blob.size) { blobs.push(blob); arrivals.push(Math.round(performance.now() - begun)); } };
    recorder.ondataavailable = (event) => {
        keep(event.data);
        // The rest of the frame whose first bytes have just come; an empty blob asks for no more.
        if (event.data.size && recorder.state === "recording") recorder.requestData();
    };
    const failed = new Promise((resolve, reject) => { recorder.onerror = (event) => reject(event.error); });
    recorder.start(1);
    await Promise.race([failed, new Promise((resolve) => setTimeout(resolve, milliseconds))]);
    const actual = recorder.mimeType;
    const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
    if (!ending) recorder.ondataavailable = null;
    recorder.stop();
    await stopped;
    clearInterval(drawing);
    for (const track of tracks) track.stop();
    if (!blobs.length) throw new Error(`${mime}: the recorder gave nothing`);
    const base64 = async (blob) => {
        const bytes = new Uint8Array(await blob.arrayBuffer());
        return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    };
    return { mime: actual, parts: await Promise.all(blobs.map(base64)), arrivals };
}"""


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
