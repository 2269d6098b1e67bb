"""Cameras behind web servers, each with its own idea of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image

from drawercam.film.source_run import Gate, Take
from drawercam.film.sources import ffmpeg as libav
from drawercam.film.sources import network, web_camera, web_reading
from drawercam.film.sources.source import SourceError
from tests.harness.http_server import PARTS, part, server
from tests.harness.makers import (
    HEIGHT,
    RATE,
    WIDTH,
    Collector,
    access_units,
    file,
    jpegs,
    painted,
    pictures,
)

JPEGS = jpegs(4)
PAINTED = [painted(picture) for picture in pictures(4)]


HABITS: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    "as the standard has it": (PARTS % b"f", lambda one: b"--f\r\n" + part(one) + b"\r\n"),
    "the boundary behind": (PARTS % b"f", lambda one: part(one) + b"\r\n--f\r\n"),
    "the boundary behind, without an end of line": (
        PARTS % b"f",
        lambda one: part(one) + b"--f\r\n",
    ),
    "a length that is too large": (PARTS % b"f", lambda one: b"--f\r\n" + part(one, 100) + b"\r\n"),
    "a length that is too small": (PARTS % b"f", lambda one: b"--f\r\n" + part(one, -50) + b"\r\n"),
    "no length": (
        PARTS % b"f",
        lambda one: b"--f\r\nContent-Type: image/jpeg\r\n\r\n" + one + b"\r\n",
    ),
    "no headers": (PARTS % b"f", lambda one: b"--f\r\n\r\n" + one + b"\r\n"),
    "ends of lines without CR": (
        PARTS % b"f",
        lambda one: b"--f\nContent-Type: image/jpeg\n\n" + one + b"\n",
    ),
    "a quoted boundary": (PARTS % b'"my f"', lambda one: b"--my f\r\n" + part(one) + b"\r\n"),
    "dashes in both": (PARTS % b"--f", lambda one: b"--f\r\n" + part(one) + b"\r\n"),
    "no dashes": (PARTS % b"f", lambda one: b"f\r\n" + part(one) + b"\r\n"),
    "another boundary": (PARTS % b"f", lambda one: b"--g\r\n" + part(one) + b"\r\n"),
    "another type": (
        b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n",
        lambda one: b"\r\n--f\r\n" + part(one) + b"\r\n",
    ),
    "no type and nothing between": (b"HTTP/1.0 200 OK\r\n\r\n", lambda one: one),
    "lines without CR in the head": (
        b"HTTP/1.1 200 OK\nContent-Type: multipart/x-mixed-replace\n\n",
        lambda one: b"--f\n\n" + one,
    ),
}


@pytest.mark.parametrize("habit", HABITS)
async def test_pictures_behind_one_another_are_read_however_they_are_parted(habit: str) -> None:
    head, wrapped = HABITS[habit]

    def answer(request: bytes) -> Iterator[bytes | float]:
        yield head
        for number in itertools.count():
            yield wrapped(JPEGS[number % 4])
            yield 0.01

    sink = Collector(4)
    async with server(answer) as (url, requests):
        await asyncio.to_thread(network.camera(url).run, sink)
    assert [painted(picture) for picture, _ in sink.pictures[:4]] == PAINTED
    assert sink.what == [f"{WIDTH}x{HEIGHT}, pictures"] and len(requests) == 1


async def test_a_picture_is_shown_before_the_next_one_begins_and_its_camera_may_be_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Slower than what is waited for of a camera that was faster."""
    monkeypatch.setattr(web_camera, "READ_LIMIT", 0.05)
    shown = threading.Event()

    def answer(request: bytes) -> Iterator[bytes | float]:
        yield PARTS % b"f"
        yield b"--f\r\n" + part(JPEGS[0])
        while not shown.is_set():
            yield 0.02
        yield 0.3
        yield b"\r\n--f\r\n" + part(JPEGS[1])

    sink = Collector(2)
    sink.picture = lambda picture, captured: (  # type: ignore[assignment, method-assign]
        sink.pictures.append((picture, captured)),  # type: ignore[func-returns-value]
        shown.set(),  # type: ignore[func-returns-value]
    )
    async with server(answer) as (url, _):
        await asyncio.to_thread(network.camera(url).run, sink)
    assert [painted(picture) for picture, _ in sink.pictures] == PAINTED[:2]


async def test_a_camera_that_was_fast_and_is_silent_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_camera, "READ_LIMIT", 0.2)

    def answer(request: bytes) -> Iterator[bytes | float]:
        yield PARTS % b"f"
        for picture in JPEGS:
            yield b"--f\r\n" + part(picture) + b"\r\n"
            yield 0.02
        yield 60.0

    async with server(answer) as (url, _):
        with pytest.raises(SourceError, match="gives nothing any more"):
            await asyncio.to_thread(network.camera(url).run, sink := Collector(9))
    assert len(sink.pictures) == 4


def png(jpeg: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    "kind", ["JPEG", "JPEG without a length", "JPEG without a type", "JPEG in one part", "PNG"]
)
async def test_a_still_is_asked_for_again_and_again(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_camera, "_STILL_INTERVAL", 0.02)
    number = itertools.count()

    def answer(request: bytes) -> Iterator[bytes | float]:
        jpeg = JPEGS[next(number) % 4]
        body = png(jpeg) if kind == "PNG" else jpeg
        if kind == "JPEG in one part":
            yield (
                (PARTS % b"f").replace(b"1.1", b"1.0") + b"--f\r\n" + part(body) + b"\r\n--f--\r\n"
            )
            return
        yield b"HTTP/1.0 200 OK\r\n"
        if "without a type" not in kind:
            yield b"Content-Type: image/%s\r\n" % (b"png" if kind == "PNG" else b"jpeg")
        if "without a length" not in kind:
            yield b"Content-Length: %d\r\n" % len(body)
        yield b"\r\n" + body

    sink = Collector(4)
    async with server(answer) as (url, _):
        camera = network.camera(url)
        if kind == "JPEG in one part":
            with pytest.raises(SourceError, match="has ended"):  # it may have been an accident
                await asyncio.to_thread(camera.run, sink)
        await asyncio.to_thread(camera.run, sink)
    assert [painted(picture) for picture, _ in sink.pictures] == PAINTED
    times = [captured for _, captured in sink.pictures]
    assert times == sorted(set(times)) and len(sink.what) <= 2


async def test_a_still_that_nobody_wants_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_camera, "_STILL_INTERVAL", 0.01)
    monkeypatch.setattr(web_camera, "_LOOK", 0.01)

    def answer(request: bytes) -> Iterator[bytes | float]:
        yield (
            b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
            % len(JPEGS[0])
            + JPEGS[0]
        )

    sink, looks = Collector(3), itertools.count()
    pause = sink.pause

    def counted(seconds: float) -> bool:
        sink.wanted = sink.wanted if sink.pictures and next(looks) < 20 else True
        return pause(seconds)

    sink.pause = counted  # type: ignore[method-assign]
    sink.picture = lambda picture, captured: (  # type: ignore[assignment, method-assign]
        sink.pictures.append((picture, captured)),  # type: ignore[func-returns-value]
        setattr(sink, "wanted", False),  # type: ignore[func-returns-value]
    )
    async with server(answer) as (url, requests):
        await asyncio.to_thread(network.camera(url).run, sink)
    assert len(requests) == len(sink.pictures) == 3 and next(looks) > 20


async def test_one_connection_is_enough_for_what_ffmpeg_reads(tmp_path: Path) -> None:
    """Many cameras take one visitor at a time, and a stream that has begun does not begin again."""
    film = file(tmp_path / "film.ts", "libx264", 2 * RATE, bf="0", g="100").read_bytes()
    free = [True]

    def answer(request: bytes) -> Iterator[bytes | float]:
        assert free.pop(), "a second visitor"
        yield b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"
        for begin in range(0, len(film), 188 * 20):
            yield film[begin : begin + 188 * 20]
            yield 0.01

    sink = Collector(10)
    async with server(answer) as (url, _):
        await asyncio.to_thread(network.camera(url).run, sink)
    assert sink.frames[0].key and sink.what == [f"{WIDTH}x{HEIGHT} h264"]


async def test_files_and_lists_are_asked_for_by_ffmpeg(tmp_path: Path) -> None:
    """A file in which its beginning stands at its end, and a playlist (RFC 8216) with the names of
    other files in it.
    """
    file(tmp_path / "film.mp4", "libx264", 12, bf="0")
    file(tmp_path / "0.ts", "libx264", RATE, bf="0", g="5")
    (tmp_path / "live.m3u8").write_text(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n0.ts\n#EXT-X-ENDLIST\n"
    )
    app = web.Application()
    app.router.add_static("/", tmp_path)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        for name in ("film.mp4", "live.m3u8"):
            sink = Collector(8)
            await asyncio.to_thread(
                network.camera(f"http://127.0.0.1:{runner.addresses[0][1]}/{name}").run, sink
            )
            assert len(sink.frames) == 8 and sink.frames[0].key
    finally:
        await runner.cleanup()


async def test_what_is_no_http_is_left_to_ffmpeg() -> None:
    """Such as the answer of an old streaming server (ICY)."""

    def answer(request: bytes) -> Iterator[bytes | float]:
        yield b"ICY 200 OK\r\nContent-Type: video/h264\r\n\r\n"
        for unit in itertools.cycle(access_units(30)):
            yield unit
            yield 0.01

    sink = Collector(5)
    async with server(answer) as (url, requests):
        await asyncio.to_thread(network.camera(url).run, sink)
    assert len(requests) == 2 and sink.frames[0].key


@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
async def test_a_password_is_shown_to_the_camera_as_it_is_and_to_nobody_else(scheme: str) -> None:
    challenge = (
        b'Basic realm="camera"'
        if scheme == "Basic"
        else b'Digest realm="camera", nonce="n", qop="auth"'
    )

    def answer(request: bytes) -> Iterator[bytes | float]:
        if b"uthorization: " + scheme.encode() not in request:
            yield (
                (
                    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: %s\r\nContent-Length: "
                    b"0\r\nConnection: close\r\n\r\n"
                )
                % challenge
            )
        elif scheme == "Basic" and b"YWRtaW46U2VzYW1lIzQyLz8l" not in request:  # admin:Sesame#42/?%
            yield b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        else:
            yield PARTS % b"f"
            for picture in itertools.cycle(JPEGS):
                yield b"--f\r\n" + part(picture) + b"\r\n"
                yield 0.01

    async with server(answer) as (url, requests):
        here = url.removeprefix("http://")
        await asyncio.to_thread(
            network.camera(f"http://admin:Sesame%2342%2F%3F%25@{here}").run, sink := Collector(2)
        )
        assert len(sink.pictures) == 2 and b"uthorization" not in requests[0]
        for wrong in ("", "admin:Sesame@") if scheme == "Basic" else ("",):
            with pytest.raises(
                SourceError, match="right user and password: http://user:password@"
            ) as caught:
                await asyncio.to_thread(network.camera(f"http://{wrong}{here}").run, Collector(1))
            assert (
                "Sesame" not in str(caught.value) and caught.value.patience == libav.REFUSED_PAUSE
            )


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "There is nothing of this name at http://127.0.0.1",
        ),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", r"gives no picture now \(status 503\)"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 4\r\n\r\nnone",
            "gives nothing that FFmpeg's libraries can read",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 4\r\n\r\nnone",
            "has ended",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\nnone",
            "has broken off: the connection was closed",
        ),
        (PARTS % b"f" + b"--f\r\n" + part(JPEGS[0]) + part(JPEGS[1]), "has ended"),
        (b"", "gives nothing that FFmpeg's libraries can read|cannot be opened"),
    ],
)
async def test_what_is_wrong_is_a_sentence(answered: bytes, words: str) -> None:
    async with server(lambda request: iter((answered,))) as (url, _):
        with pytest.raises(SourceError, match=words) as caught:
            await asyncio.to_thread(network.camera(url).run, Collector(9))
        assert not caught.value.final


async def test_a_damaged_picture_is_left_out() -> None:
    damaged = JPEGS[0][:2] + b"\xff\xdb\0\3x" + JPEGS[0][-2:]

    def answer(request: bytes) -> Iterator[bytes | float]:
        yield PARTS % b"f"
        for picture in itertools.cycle((damaged, b"\xff\xd8\xff\xda\0\2\0\xff\xd9", JPEGS[1])):
            yield b"--f\r\n" + part(picture) + b"\r\n"
            yield 0.01

    async with server(answer) as (url, _):
        await asyncio.to_thread(network.camera(url).run, sink := Collector(2))
    assert [painted(picture) for picture, _ in sink.pictures] == [PAINTED[1]] * 2


@pytest.mark.parametrize("silent", [True, False])
async def test_it_lets_go_at_once_and_is_not_stuck_while_its_picture_stands(
    silent: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("drawercam.film.source_run.SILENCE_LIMIT", 1.0)
    monkeypatch.setattr("drawercam.film.source_run._LOOK", 0.05)
    monkeypatch.setattr(web_reading, "_LOOK", 0.05)

    def answer(request: bytes) -> Iterator[bytes | float]:
        yield PARTS % b"f"
        for picture in itertools.cycle(JPEGS):
            yield b"--f\r\n" + part(picture) + b"\r\n"
            yield 60.0 if silent else 0.0

    gate = Gate(None, True, lambda bitrate: True, lambda: True)
    gate.wanted = True
    async with server(answer) as (url, _):
        take = Take(network.camera(url), gate, lambda frame: None, lambda *opened: None)
        take.picture = lambda picture, captured: shown.set()  # type: ignore[method-assign]
        shown = threading.Event()
        running = asyncio.create_task(take.run())
        await asyncio.to_thread(shown.wait, 20)
        await asyncio.sleep(1.6)
        assert not running.done()
        take.stop()
        await running
        assert "does not let go" not in caplog.text


def _png(side: int) -> bytes:
    """Black, square, and all of it in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head, rows = (
        struct.pack(">2I5B", side, side, 1, 0, 0, 0, 0),
        zlib.compress(bytes(1 + side // 8) * side),
    )
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def test_a_still_is_a_picture_and_not_too_large_a_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "private.png").write_bytes(_png(64))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(web_camera, "MAX_PIXELS", 512 * 512)

    async def shown(still: bytes) -> list[tuple[int, int]]:
        answered = (
            b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(still)
            + still
        )
        sink = Collector(1)
        async with server(lambda request: iter((answered,))) as (url, _):
            with contextlib.suppress(SourceError):
                await asyncio.to_thread(network.camera(url).run, sink)
        return [(picture.width, picture.height) for picture, _ in sink.pictures]

    assert await shown(_png(256)) == [(256, 256)]
    assert await shown(_png(1024)) == []
    assert await shown(b"ffconcat version 1.0\nfile private.png\n") == [], (
        "no file of this computer, because a camera names it"
    )
