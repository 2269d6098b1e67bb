"""ffmpeg, ffprobe, curl, OpenCV and VLC read two cameras, one that is a program and one that is a
page, and publish some of their own.

They come as the owner of a key for these cameras does, over TLS, and those that can check the
certificate do so by the relay's authority.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import io
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from drawercam.access.key import Scope
from drawercam.access.keys import Keyring
from tests.clients.programs import (
    FEWEST,
    LOUD,
    Seen,
    folder_of_nobody,
    look,
    needed,
    of_size,
    rising,
)
from tests.harness.browsers import Chromium
from tests.harness.pages import PATIENCE
from tests.harness.programs import finished, running
from tests.harness.relays import ROOT, Relay
from tests.server.http.cameras.test_publish import MP4, SCENE, WEBM

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]

FILM, PAGE = "film", "page"
"""Cameras: the test picture by `relay.py film`, in H.264; and Chromium's camera page, in VP8."""

ENDINGS = {FILM: "mp4", PAGE: "webm"}

CAMERAS = [FILM, PAGE]

PUBLISHED = [f"by-{way}-{seconds}" for way in ("webm", "mp4", "curl") for seconds in (2, 60)]
"""Cameras that are published, and for how many seconds somebody reads."""

QUIET = ("-hide_banner", "-nostdin", "-v", "error")

LOSSLESS = shlex.split("-fps_mode passthrough -enc_time_base 1:1000 -c:v ffv1 -c:a pcm_s16le")
"""How ffmpeg keeps what it has decoded: every picture once, with its own time."""

briefly_and_long = pytest.mark.parametrize("seconds", [2, pytest.param(60, marks=pytest.mark.long)])
"""How long each program reads."""


@dataclass(frozen=True)
class House:
    """A relay, a key to watch its cameras, and one to publish.

    Attributes:
        ca: Its authority.
    """

    relay: Relay
    watch: str
    publish: str

    @property
    def ca(self) -> Path:
        return self.relay.state / "certs" / "ca.crt"

    def address(self, path: str, key: str = "") -> str:
        """With the key as the password of anybody."""
        return f"https://anybody:{key or self.watch}@{self.relay.authority}/cameras/{path}"

    @property
    def trusting(self) -> tuple[str, ...]:
        """Options of ffmpeg and ffprobe."""
        return "-tls_verify", "1", "-ca_file", str(self.ca)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with Relay("--tls", "--host", "127.0.0.1") as relay:
        ring = Keyring.open(relay.state)
        watch = ring.add(Scope(), Scope(names=frozenset([*CAMERAS, *PUBLISHED])))
        publish = ring.add(Scope(names=frozenset([*CAMERAS, *PUBLISHED])), Scope())
        yield House(relay, watch.secret, publish.secret)
        assert relay.alive, f"the relay has died:\n{relay.output}"
        assert "Traceback" not in relay.output, relay.output


async def films(house: House, name: str) -> None:
    """Wait until somebody could read a camera.

    The relay's log tells such things seldom when they happen often.
    """
    shown = {"Authorization": f"Bearer {house.watch}"}
    async with aiohttp.ClientSession(headers=shown) as client, asyncio.timeout(PATIENCE):
        while True:
            async with client.get(
                f"{house.relay.origin}/cameras/{name}/live", ssl=house.relay.context or True
            ) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def film(house: House) -> AsyncIterator[str]:
    """A camera that is a program."""
    command = [
        sys.executable,
        "relay.py",
        "--no-install",
        "film",
        "test",
        "--name",
        FILM,
        "--size",
        "320x240",
        "--fps",
        "15",
    ]
    where = ["--relay", f"wss://{house.relay.authority}", "--ca", str(house.ca)]
    async with running(
        *command,
        *where,
        cwd=ROOT,
        env=os.environ | {"DRAWERCAM_KEY": house.publish},
        stderr=asyncio.subprocess.DEVNULL,
    ):
        await films(house, FILM)
        yield FILM


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def page(house: House) -> AsyncIterator[str]:
    """A camera that is a page in a browser."""
    if missing := Chromium.missing():
        pytest.skip(missing)
    async with Chromium() as browser:
        query = f"name={PAGE}&start=1&width=320&height=240&fps=15&encoder=vp8"
        filming = await browser.page(
            f"{house.relay.origin}/camera.html?{query}#key={house.publish}"
        )
        await films(house, PAGE)
        yield PAGE
        assert filming.errors == []


@pytest.fixture
def cameras(film: str, page: str) -> list[str]:
    """Both."""
    return [film, page]


async def each(cameras: list[str], work: Callable[[str], Awaitable[None]]) -> None:
    """For all cameras at once: what a program does most of the time is to wait for pictures."""
    async with asyncio.TaskGroup() as group:
        for camera in cameras:
            group.create_task(_named(camera, work))


async def _named(camera: str, work: Callable[[str], Awaitable[None]]) -> None:
    try:
        await work(camera)
    except AssertionError as error:
        error.add_note(f"reading {camera}")
        raise


# --- reading ---


@briefly_and_long
async def test_ffmpeg_reads(house: House, cameras: list[str], tmp_path: Path, seconds: int) -> None:
    needed("ffmpeg")

    async def read(camera: str) -> None:
        copy = tmp_path / f"{camera}.mkv"
        source = (
            *house.trusting,
            "-t",
            str(seconds),
            "-i",
            house.address(f"{camera}/live.{ENDINGS[camera]}"),
        )
        _, errors = await finished(seconds, "ffmpeg", *QUIET, *source, *LOSSLESS, str(copy))
        assert errors == ""
        seen = await asyncio.to_thread(look, copy, clocks=camera == FILM)
        seen.check()
        assert seen.times[-1] > seconds - 1
        copy.unlink()

    await each(cameras, read)


@briefly_and_long
async def test_ffmpeg_reads_single_pictures(
    house: House, cameras: list[str], tmp_path: Path, seconds: int
) -> None:
    needed("ffmpeg")

    async def read(camera: str) -> None:
        copy = tmp_path / f"{camera}.mkv"
        source = (
            *house.trusting,
            "-f",
            "mpjpeg",
            "-r",
            "5",
            "-i",
            house.address(f"{camera}/live.mjpg"),
        )
        _, errors = await finished(
            seconds,
            "ffmpeg",
            *QUIET,
            *source,
            "-frames:v",
            str(5 * seconds),
            "-c:v",
            "copy",
            str(copy),
        )
        assert errors == ""
        seen = await asyncio.to_thread(look, copy, clocks=camera == FILM)
        seen.check(sound=False)
        assert seen.different == 5 * seconds, "no picture comes twice"
        copy.unlink()

    await each(cameras, read)


@briefly_and_long
async def test_ffprobe_reads(house: House, cameras: list[str], seconds: int) -> None:
    needed("ffprobe")

    async def read(camera: str) -> None:
        wanted = shlex.split(
            "-of json -show_entries stream=codec_name,width,height:packet=codec_type,dts_time"
        )
        asked = (*wanted, "-read_intervals", f"%+{seconds}", house.address(f"{camera}/live"))
        out, errors = await finished(seconds, "ffprobe", "-v", "error", *house.trusting, *asked)
        assert errors == ""
        told = json.loads(out)
        assert {stream["codec_name"] for stream in told["streams"]} == {
            "h264" if camera == FILM else "vp8",
            "opus",
        }
        assert all(
            of_size(one["width"], one["height"]) for one in told["streams"] if "width" in one
        )
        for kind in ("video", "audio"):
            times = [
                float(packet["dts_time"])
                for packet in told["packets"]
                if packet["codec_type"] == kind
            ]
            assert len(times) > FEWEST and rising(times)

    await each(cameras, read)


@briefly_and_long
@pytest.mark.parametrize("ending", ["", ".mjpg"], ids=["film", "pictures"])
async def test_opencv_reads(house: House, cameras: list[str], ending: str, seconds: int) -> None:
    if importlib.util.find_spec("cv2") is None:
        pytest.skip(
            "OpenCV is not installed (opencv-python-headless), so nobody knows whether it "
            "can read a camera."
        )

    async def read(camera: str) -> None:
        command = (
            sys.executable,
            "-m",
            "tests.clients.opencv",
            house.address(f"{camera}/live{ending}"),
            str(seconds),
            str(FEWEST),
        )
        out, _ = await finished(seconds, *command, cwd=ROOT)
        told = json.loads(out)
        assert of_size(*told["size"])
        assert told["different"] >= FEWEST and rising(told["times"])
        assert told["seconds"] >= seconds, "it went on until it was to end"

    await each(cameras, read)


@briefly_and_long
async def test_vlc_plays(house: House, cameras: list[str], seconds: int) -> None:
    """What it would show on a screen goes into one file, what it would play into another."""
    needed("cvlc")

    async def play(camera: str, run_time: int) -> Seen:
        with folder_of_nobody() as (folder, started):
            trusted = folder / "trusted"
            trusted.mkdir()
            (trusted / "ca.pem").write_bytes(house.ca.read_bytes())
            picture, sound = folder / "picture.y4m", folder / "sound.wav"
            outputs = (
                f"--vout=yuv --yuv-file={picture} --yuv-yuv4mpeg2 --aout=afile "
                f"--audiofile-file={sound}"
            )
            run = f"--run-time={run_time} --gnutls-dir-trust={trusted}"
            command = (
                "cvlc",
                "--no-color",
                *shlex.split(outputs),
                *shlex.split(run),
                house.address(f"{camera}/live"),
                "vlc://quit",
            )
            await finished(
                run_time, *command, **started
            )  # it complains of a screen and hardware that are not there
            return await asyncio.to_thread(look, picture, sound, clocks=camera == FILM)

    async def plays(camera: str) -> None:
        seen = await play(camera, seconds + 3)  # it collects for a second and a half first
        if (
            seen.different < FEWEST or seen.loudest <= LOUD
        ):  # a machine that is busy with browsers needs longer
            seen = await play(camera, seconds + 20)
        seen.check()

    await each(cameras, plays)


async def test_curl_gets_pictures(house: House, cameras: list[str]) -> None:
    needed("curl")

    async def get(camera: str) -> None:
        after, pictures = 0, set()
        for _ in range(5):
            path = f"https://{house.relay.authority}/cameras/{camera}/latest.jpg?after={after}"
            written = ("-w", "%{stderr}%{http_code} %{content_type} %header{drawercam-time}")
            again = ("--fail", "--retry", "3")  # as the relay says when there is no picture yet
            command = (
                "curl",
                "-sS",
                *again,
                "--cacert",
                str(house.ca),
                "-u",
                f"anybody:{house.watch}",
                *written,
                path,
            )
            async with running(*command) as process:
                out, told = await asyncio.wait_for(process.communicate(), 3 * PATIENCE)
            status, kind, moment = told.decode().splitlines()[-1].split()
            assert (status, kind) == ("200", "image/jpeg")
            assert int(moment) > after
            after = int(moment)
            with Image.open(io.BytesIO(out)) as image:
                assert of_size(*image.size)
                pictures.add(image.tobytes())
        assert len(pictures) == 5

    await each(cameras, get)


# --- publishing ---


@contextlib.asynccontextmanager
async def publishing(house: House, name: str) -> AsyncIterator[None]:
    """One of the three ways."""
    address = house.address(f"{name}/publish", house.publish)
    if "curl" not in name:
        form = WEBM if "webm" in name else MP4
        async with running("ffmpeg", *SCENE, *form, *house.trusting, "-method", "PUT", address):
            yield
        return
    reading, writing = os.pipe()
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(running("ffmpeg", *SCENE, *WEBM, "-", stdout=writing))
            await stack.enter_async_context(
                running("curl", "-sS", "--cacert", str(house.ca), "-T", "-", address, stdin=reading)
            )
        finally:
            os.close(reading)
            os.close(writing)
        yield


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] * name.endswith("60")) for name in PUBLISHED],
)
async def test_what_a_program_publishes_another_one_reads(
    house: House, tmp_path: Path, name: str
) -> None:
    needed("ffmpeg", "curl")
    seconds = int(name.rpartition("-")[2])
    async with publishing(house, name):
        await films(house, name)
        copy = tmp_path / "copy.mkv"
        source = (*house.trusting, "-t", str(seconds), "-i", house.address(f"{name}/live"))
        _, errors = await finished(seconds, "ffmpeg", *QUIET, *source, *LOSSLESS, str(copy))
        assert errors == ""
    seen = await asyncio.to_thread(look, copy, clocks=False)
    assert (
        seen.size == (160, 120)
        and seen.different >= FEWEST
        and rising(seen.times)
        and seen.loudest > 1000
    )
    copy.unlink()
