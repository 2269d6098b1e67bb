"""What each browser can really do, found out by doing it: `python -m
tests.samples.recorders.abilities [browser ...]` prints a table.

`isTypeSupported` and `isConfigSupported` are not asked, because they promise more than is kept: a
recorder must have given bytes, a decoder pictures, a media element must have played.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drawercam.media.containers.detect import StreamReader, writer
from drawercam.media.packets import Kind, Packet, Track
from tests.harness.browsers import BROWSERS, Browser, BrowserMissing, Page, PageError
from tests.samples.recorders.make import browser_for
from tests.samples.recorders.stage import stage

HERE = Path(__file__).parent
MAX_PACKETS = 30
"""How many packets are decoded: a second of video."""

VIDEOS = (
    "chromium-vp8.webm",
    "chromium-vp9.webm",
    "chromium-av1.webm",
    "chromium-h264.webm",
    "ffmpeg-safari-like.mp4",
)
SOUNDS = ("chromium-opus.webm", "ffmpeg-safari-like.mp4")
"""One recording for each codec that passes through the relay; H.264 comes from two encoders."""


@dataclass(frozen=True)
class Probe:
    """One row of the table: a script that returns a short text, or throws."""

    title: str
    script: str
    arguments: tuple[Any, ...] = ()


def _recorder(mime: str, *tracks: str) -> Probe:
    return Probe(f"MediaRecorder `{mime}`", _RECORDER, (mime, list(tracks)))


def _video_encoder(codec: str) -> Probe:
    return Probe(f"VideoEncoder `{codec}`, frames of a `<video>`", _VIDEO_ENCODER, (codec,))


def _decoder(kind: Kind, file: str) -> Probe:
    track, packets = _media(file, kind)
    config: dict[str, Any] = {"codec": track.codec_string}
    if track.config:
        config["description"] = base64.b64encode(track.config).decode()
    if kind is Kind.AUDIO:
        config |= {"sampleRate": track.sample_rate, "numberOfChannels": track.channels}
    chunks = [
        {
            "type": "key" if p.key else "delta",
            "timestamp": p.timestamp,
            "data": base64.b64encode(p.data).decode(),
        }
        for p in packets
    ]
    return Probe(
        f"{kind.title()}Decoder `{track.codec_string}`",
        _DECODER,
        (kind.title(), config, chunks[:MAX_PACKETS]),
    )


def _media_source(kind: Kind, file: str, source: str = "MediaSource") -> Probe:
    """As the relay sends it: a header, then one message per frame."""
    track, packets = _media(file, kind)
    sender = writer(track, 1, 0)
    messages = [sender.init(), *(sender.fragment(packet) for packet in packets)]
    return Probe(
        f"{source} `{sender.mime}`",
        _MEDIA_SOURCE,
        (source, sender.mime, [base64.b64encode(m).decode() for m in messages]),
    )


def _media(file: str, kind: Kind) -> tuple[Track, list[Packet]]:
    found = StreamReader().feed((HERE / file).read_bytes())
    packets = [item for item in found if isinstance(item, Packet) and item.track.kind is kind]
    return packets[0].track, packets


def probes() -> list[Probe]:
    """All rows, in the order of the way of a frame."""
    return [
        _recorder("video/webm;codecs=vp8", "video"),
        _recorder("video/webm;codecs=vp9", "video"),
        _recorder("video/webm;codecs=h264", "video"),
        _recorder("video/webm;codecs=av1", "video"),
        _recorder("video/webm;codecs=vp8,opus", "video", "audio"),
        _recorder("audio/webm;codecs=opus", "audio"),
        _recorder("video/mp4;codecs=avc1.42E01E", "video"),
        _recorder("video/mp4;codecs=avc1.42E01E,mp4a.40.2", "video", "audio"),
        _recorder("video/mp4;codecs=avc1.42E01E,opus", "video", "audio"),
        _recorder("audio/mp4;codecs=mp4a.40.2", "audio"),
        _recorder("audio/mp4;codecs=opus", "audio"),
        Probe("requestVideoFrameCallback", _FRAME_CALLBACK),
        Probe("MediaStreamTrackProcessor, in the window", _TRACK_PROCESSOR),
        Probe(
            "MediaStreamTrackProcessor, in a worker",
            _WORKER,
            ("postMessage(typeof MediaStreamTrackProcessor)",),
        ),
        *(
            _video_encoder(codec)
            for codec in ("vp8", "avc1.42E01E", "vp09.00.10.08", "av01.0.01M.08")
        ),
        Probe("AudioEncoder `opus`", _AUDIO_ENCODER, ({"codec": "opus"},)),
        Probe("AudioEncoder `mp4a.40.2`", _AUDIO_ENCODER, ({"codec": "mp4a.40.2"},)),
        Probe("canvas.toBlob `image/jpeg`", _JPEG),
        *(_decoder(Kind.VIDEO, file) for file in VIDEOS),
        *(_decoder(Kind.AUDIO, file) for file in SOUNDS),
        Probe("VideoDecoder in a worker", _WORKER, ("postMessage(typeof VideoDecoder)",)),
        Probe("OffscreenCanvas of a `<canvas>`, drawn in a worker", _OFFSCREEN),
        Probe("AudioWorklet", _WORKLET),
        *(_media_source(Kind.VIDEO, file) for file in VIDEOS),
        *(_media_source(Kind.AUDIO, file) for file in SOUNDS),
        *(_media_source(Kind.VIDEO, file, "ManagedMediaSource") for file in VIDEOS),
    ]


async def probe_all(name: str, rows: Sequence[Probe]) -> list[str]:
    """One column of the table: a heading and a cell for each probe."""
    async with stage({"/recordings": HERE}) as url:
        browser = browser_for(name)
        await browser.start()
        try:
            cells = [browser.version]
            for row in rows:
                page = await browser.page(url)
                cells.append(await _cell(page, row))
                if cells[-1].startswith("**crash"):
                    await browser.close()
                    await browser.start()
                else:
                    await page.close()
            return cells
        finally:
            await browser.close()


async def _cell(page: Page, probe: Probe) -> str:
    try:
        return str(
            await page.evaluate(
                f"async (...values) => {{ {_TOOLS} return await ({probe.script})(...values); }}",
                *probe.arguments,
            )
        )
    except PageError as error:
        first = str(error).splitlines()[0]
        if "no such window" in first or "script result" in first or "crash" in first.lower():
            return "**crashes the page**"
        return f"no: {first}"


async def main(names: Sequence[str]) -> None:
    rows = probes()
    columns = [["", *(row.title for row in rows)]]
    for name in names or list(BROWSERS):
        browser: type[Browser] = BROWSERS[name]
        try:
            columns.append(await probe_all(name, rows))
        except BrowserMissing as missing:
            print(f"{browser.name} is left out: {missing}", file=sys.stderr)
    lines = [[cell.replace("|", "\\|") for cell in line] for line in zip(*columns, strict=True)]
    for number, line in enumerate(lines):
        print(f"| {' | '.join(line)} |")
        if number == 0:
            print("|" + "---|" * len(line))


_TOOLS = """
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const within = (ms, promise) => Promise.race([promise, sleep(ms).then(() => { throw new Error(`nothing within ${ms} ms`); })]);
    const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const median = (values) => values.length ? values.toSorted((a, b) => a - b)[values.length >> 1] : NaN;
    const film = (what) => navigator.mediaDevices.getUserMedia(what);
    const lens = { width: { ideal: 320 }, height: { ideal: 240 } };
    const show = async () => {
        const video = document.querySelector("video");
        video.srcObject = await film({ video: lens });
        await within(5000, video.play());
        return video;
    };
"""

_RECORDER = """async (mime, tracks) => {
    const stream = await film({ video: tracks.includes("video") && lens, audio: tracks.includes("audio") });
    const recorder = new MediaRecorder(stream, { mimeType: mime, videoBitsPerSecond: 300_000 });
    let size = 0;
    const arrivals = [];
    recorder.ondataavailable = ({ data }) => {
        if (!data.size) return;
        size += data.size;
        arrivals.push(performance.now());
        if (recorder.state === "recording") recorder.requestData();
    };
    const begun = performance.now();
    recorder.start(1);
    await sleep(4000);
    recorder.ondataavailable = null;
    if (recorder.state === "recording") recorder.stop();
    if (!size) throw new Error("no bytes");
    // Blobs that come within 5 ms belong to one frame.
    const gaps = arrivals.slice(1).map((time, i) => time - arrivals[i]).filter((gap) => gap > 5);
    const [first, middle, longest] = [arrivals[0] - begun, median(gaps), Math.max(...gaps)].map(Math.round);
    const cadence = gaps.length ? `then every ${middle} ms (at most ${longest})` : "then none for 4 s";
    return `yes: first bytes after ${first} ms, ${cadence}`;
}"""

_FRAME_CALLBACK = """async () => {
    const video = await show();
    let count = 0;
    const next = () => { count++; video.requestVideoFrameCallback(next); };
    video.requestVideoFrameCallback(next);
    await sleep(2000);
    if (!count) throw new Error("never called");
    return `yes: ${Math.round(count / 2)} a second`;
}"""

_TRACK_PROCESSOR = """async () => {
    const [track] = (await film({ video: lens })).getVideoTracks();
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    const { value } = await within(3000, reader.read());
    const format = value.format;
    value.close();
    return `yes: ${format}`;
}"""

_WORKER = """async (code) => {
    const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    const answer = await within(3000, new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); }));
    if (answer === "undefined") throw new Error("not there");
    return "yes";
}"""

_VIDEO_ENCODER = """async (codec) => {
    const video = await show();
    await sleep(300);
    const sent = new Map(), delays = [];
    let failure, description = 0, keys = 0;
    const encoder = new VideoEncoder({
        output: (chunk, metadata) => {
            delays.push(performance.now() - sent.get(chunk.timestamp));
            if (chunk.type === "key") keys++;
            description = metadata?.decoderConfig?.description?.byteLength ?? description;
        },
        error: (error) => { failure = error; },
    });
    const format = codec.startsWith("avc1") ? { avc: { format: "avc" } } : {};
    encoder.configure({ codec, width: 320, height: 240, bitrate: 300_000, framerate: 30, latencyMode: "realtime", ...format });
    for (let i = 0; i < 20; i++) {
        const frame = new VideoFrame(video, { timestamp: i * 33_333 });
        sent.set(frame.timestamp, performance.now());
        encoder.encode(frame, { keyFrame: i === 0 || i === 10 });
        frame.close();
        await sleep(33);
    }
    const early = delays.length;
    if (!failure) await within(4000, encoder.flush()).catch((error) => { failure ??= error; });
    if (failure && !early) throw failure;
    const delay = median(delays).toFixed(0);
    return `yes: ${early} of 20 frames before flush(), ${keys} keyframes for 2 wanted, ${delay} ms each, description ${description} bytes`;
}"""

_AUDIO_ENCODER = """async (codec) => {
    let failure, description = 0, count = 0, duration = 0;
    const encoder = new AudioEncoder({
        output: (chunk, metadata) => {
            count++;
            duration = chunk.duration;
            description = metadata?.decoderConfig?.description?.byteLength ?? description;
        },
        error: (error) => { failure = error; },
    });
    encoder.configure({ ...codec, sampleRate: 48_000, numberOfChannels: 1, bitrate: 64_000 });
    for (let i = 0; i < 50; i++) {
        const data = new Float32Array(960).map((_, j) => Math.sin((i * 960 + j) / 20) / 4);
        encoder.encode(new AudioData({
            format: "f32", sampleRate: 48_000, numberOfFrames: 960, numberOfChannels: 1, timestamp: i * 20_000, data,
        }));
        await sleep(5);
    }
    const early = count;
    if (!failure) await within(4000, encoder.flush()).catch((error) => { failure ??= error; });
    if (!count) throw failure ?? new Error("no chunks");
    return `yes: ${early} chunks before flush(), ${count} in all, ${Math.round(duration / 1000)} ms each, description ${description} bytes`;
}"""

_JPEG = """async () => {
    const video = await show();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [320, 240];
    canvas.getContext("2d").drawImage(video, 0, 0, 320, 240);
    const blob = await within(3000, new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.6)));
    if (blob.type !== "image/jpeg") throw new Error(blob.type);
    return `yes: ${blob.size} bytes`;
}"""

_DECODER = """async (kind, config, packets) => {
    const sent = new Map(), delays = [];
    let failure, last;
    const Decoder = kind === "Video" ? VideoDecoder : AudioDecoder;
    const Chunk = kind === "Video" ? EncodedVideoChunk : EncodedAudioChunk;
    const decoder = new Decoder({
        output: (data) => {
            delays.push(performance.now() - (sent.get(data.timestamp) ?? NaN));
            last = kind === "Video" ? `${data.displayWidth}x${data.displayHeight} ${data.format}`
                : `${data.sampleRate} Hz ${data.format} ${data.numberOfFrames} samples`;
            data.close();
        },
        error: (error) => { failure = error; },
    });
    if (config.description) config.description = bytes(config.description); else delete config.description;
    decoder.configure(kind === "Video" ? { ...config, optimizeForLatency: true } : config);
    for (const packet of packets) {
        sent.set(packet.timestamp, performance.now());
        decoder.decode(new Chunk({ ...packet, data: bytes(packet.data) }));
        await sleep(20);
        if (failure) throw failure;
    }
    const early = delays.length;
    await within(4000, decoder.flush()).catch((error) => { if (!early) throw failure ?? error; });
    if (!delays.length) throw new Error("no output");
    const delay = median(delays.filter((time) => time >= 0)).toFixed(0);
    return `yes: ${early} of ${packets.length} before flush(), ${delays.length} in all, ${delay} ms each, ${last}`;
}"""

_OFFSCREEN = """async () => {
    const canvas = document.body.appendChild(document.createElement("canvas"));
    const offscreen = canvas.transferControlToOffscreen();
    const code = `onmessage = ({ data }) => {
        const context = data.getContext("2d");
        context.fillStyle = "#f00";
        context.fillRect(0, 0, 300, 150);
        requestAnimationFrame(() => requestAnimationFrame(() => postMessage("drawn")));
    }`;
    const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    const drawn = new Promise((resolve) => { worker.onmessage = resolve; });
    worker.postMessage(offscreen, [offscreen]);
    await within(3000, drawn);
    const copy = document.createElement("canvas").getContext("2d");
    copy.drawImage(canvas, 0, 0);
    if (copy.getImageData(10, 10, 1, 1).data[0] !== 255) throw new Error("nothing to be seen");
    return "yes";
}"""

_WORKLET = """async () => {
    const context = new AudioContext({ latencyHint: "interactive", sampleRate: 48_000 });
    const code = `registerProcessor("count", class extends AudioWorkletProcessor {
        process() { this.port.postMessage(currentTime); return true; }
    })`;
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    const node = new AudioWorkletNode(context, "count");
    let calls = 0;
    node.port.onmessage = () => { calls++; };
    node.connect(context.destination);
    await within(3000, context.resume());
    await sleep(500);
    const [before, time] = [calls, performance.now()];
    await sleep(2000);
    const rate = (calls - before) * 128 * 1000 / (performance.now() - time);
    if (calls === before) throw new Error(`process() is never called, the context is ${context.state}`);
    return `yes: ${Math.round(rate / 1000)} of ${context.sampleRate / 1000} kHz, baseLatency ${Math.round(context.baseLatency * 1000)} ms`;
}"""

_MEDIA_SOURCE = """async (kind, mime, messages) => {
    const video = document.querySelector("video");
    const source = new globalThis[kind]();
    const open = new Promise((resolve) => source.addEventListener("sourceopen", resolve, { once: true }));
    video.disableRemotePlayback = true;  // without it, a ManagedMediaSource never opens
    if (kind === "MediaSource") video.src = URL.createObjectURL(source); else video.srcObject = source;
    await within(3000, open);
    const buffer = source.addSourceBuffer(mime);
    for (const message of messages) {
        const appended = new Promise((resolve, reject) => {
            buffer.onupdateend = resolve;
            buffer.onerror = () => reject(new Error(`append failed: ${video.error?.message}`));
        });
        buffer.appendBuffer(bytes(message));
        await within(4000, appended);
    }
    if (!buffer.buffered.length) throw new Error(video.error?.message || "appended, but nothing is buffered");
    // A camera that pauses between two frames leaves a hole that a player has to jump over; here the longest piece will do.
    const pieces = Array.from({ length: buffer.buffered.length }, (_, i) => [buffer.buffered.start(i), buffer.buffered.end(i)]);
    const [start, end] = pieces.toSorted((a, b) => (b[1] - b[0]) - (a[1] - a[0]))[0];
    video.currentTime = start;
    await within(4000, video.play());
    await sleep(1000);
    const played = video.currentTime - start;
    if (played < 0.3) throw new Error(`stands still at ${played.toFixed(2)} s of ${(end - start).toFixed(2)}`);
    const spans = pieces.length === 1 ? "" : `, in ${pieces.length} pieces`;
    if (mime.startsWith("audio")) return `yes: played ${played.toFixed(2)} s${spans}`;
    const shown = video.getVideoPlaybackQuality().totalVideoFrames;
    if (!video.videoWidth) throw new Error("plays, but has no picture");
    return `yes: played ${played.toFixed(2)} s${spans}, ${shown} frames`;
}"""


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
