"""Sources without a relay: what is passed on, what is decoded, when, and what is said when there is
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import itertools
import os
import socket
import stat
import struct
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.video.stream import VideoStream

from drawercam.film.sources import ffmpeg as libav
from drawercam.film.sources import network, web_reading
from drawercam.film.sources.rpicam import RpiCamera, Splitter
from drawercam.film.sources.source import Keyless, Source
from drawercam.film.sources.synthetic_picture import sound
from drawercam.media.codecs.h264 import split_annexb
from drawercam.media.containers import mp4_tracks
from drawercam.media.geometry import Geometry
from drawercam.media.packets import Codec, Kind
from tests.harness import rtsp
from tests.harness.makers import (
    HEIGHT,
    RATE,
    WIDTH,
    Collector,
    SourceError,
    access_units,
    eventually,
    file,
    hevc_units,
    luma,
    painted,
    pictures,
    refreshed,
)
from tests.harness.peers import PATIENCE
from tests.media.test_geometry import cropped, with_render_size

pytestmark = pytest.mark.skipif(os.name == "nt", reason="devices and pipes are POSIX ones")


def test_a_file_without_reordering_is_passed_on_and_looped(tmp_path: Path) -> None:
    path = file(tmp_path / "plain.mp4", "libx264", 10, sound=True, bf="0", g="5")
    sink = Collector(25 + 2 * 17)
    libav.file(path).run(sink)
    assert not sink.pictures and not sink.sounds
    shown = [frame for frame in sink.frames if frame.form.codec is Codec.H264]
    heard = [frame for frame in sink.frames if frame.form.codec is Codec.AAC]
    assert [frame.key for frame in shown[:11]] == [True, *[False] * 4] * 2 + [True]
    assert heard and all(frame.form.codec.kind is Kind.AUDIO for frame in heard)
    with av.open(str(path)) as container:
        assert [frame.data for frame in shown[:10]] == [
            bytes(packet) for packet in container.demux(video=0) if packet.size
        ]
    assert [frame.data for frame in shown[10:20]] == [frame.data for frame in shown[:10]]
    steps = [later.captured - one.captured for one, later in itertools.pairwise(shown)]
    assert min(steps) > 20_000  # also from the end to the beginning
    assert [sink.what[0].split(", ")[0], len(sink.what) > 1] == ["320x240 h264", True]
    assert all(sink.heard)


def test_a_title_need_not_be_utf_8(tmp_path: Path) -> None:
    path = file(tmp_path / "cafe.avi", "mpeg4")
    written = path.read_bytes()
    # A chunk of text (RIFF "LIST" of "INFO", "ISFT" is the program's name): as an old program wrote
    # it, in Latin-1.
    assert b"ISFT" in written and b"Lavf" in written
    path.write_bytes(written.replace(b"Lavf", b"Caf\xe9"))
    libav.file(path).run(sink := Collector(5))
    assert len(sink.pictures) == 5


def test_a_file_with_reordered_pictures_is_decoded_in_their_order(tmp_path: Path) -> None:
    path = file(tmp_path / "reordered.mp4", "libx264", 12, bf="2", g="12")
    sink = Collector(12)
    libav.file(path).run(sink)
    assert not sink.frames
    times = [captured for _, captured in sink.pictures]
    assert times == sorted(times) and len(set(times)) == 12
    assert [painted(picture) for picture, _ in sink.pictures] == [
        painted(picture) for picture in pictures(12)
    ]


def test_what_is_to_be_encoded_is_decoded_from_a_keyframe_on(tmp_path: Path) -> None:
    path = file(tmp_path / "vp8.webm", "libvpx", 24, g="6")
    sink = Collector(24)
    moments: list[int] = []

    def count(kept: list[Any], one: Any) -> None:
        kept.append(one)
        moments.append(len(moments))
        sink.encode = 3 <= len(moments) < 15  # in the middle of groups of pictures

    sink.passed = lambda frame: count(sink.frames, frame)  # type: ignore[method-assign]
    sink.picture = lambda picture, captured: count(sink.pictures, (picture, captured))  # type: ignore[method-assign]
    libav.file(path).run(sink)
    assert [painted(picture) for picture, _ in sink.pictures] == [
        painted(picture) for picture in pictures(18)[6:]
    ]
    assert len(sink.frames) == 12 and sink.frames[6].key, "and passed on again from one on"


def test_pictures_without_idr_are_encoded_from_where_a_decoder_can_begin_up_to_the_next_idr(
    tmp_path: Path,
) -> None:
    path = tmp_path / "refreshed.h264"
    units = refreshed(40, period=6, idr=30)
    path.write_bytes(b"".join(units))
    sink = Collector(34)
    sink.keyless = Keyless.ENCODE
    libav.file(path).run(sink)
    shown = [painted(picture) for picture, _ in sink.pictures]
    # A recovery point comes within a period, and a whole picture a period after it.
    assert 30 - 2 * 6 - 1 <= len(shown) < 30 and shown == [
        painted(picture) for picture in pictures(35)[35 - len(shown) :]
    ]
    assert [split_annexb(frame.data) for frame in sink.frames[30 - len(shown) :]] == [
        split_annexb(unit) for unit in units[30:34]
    ]
    assert sink.keyless is Keyless.NO


@pytest.mark.parametrize("keyless", Keyless)
def test_pictures_without_any_sign_of_where_to_begin_are_shown_as_they_are_in_the_end(
    tmp_path: Path, keyless: Keyless
) -> None:
    """As a camera makes them that refreshes its pictures and does not say so: no recovery
    points.
    """
    path = tmp_path / "refreshed.h264"
    stripped = [
        [unit for unit in split_annexb(one) if unit[0] & 0x1F != 6]
        for one in refreshed(20, period=6)
    ]
    path.write_bytes(b"".join(b"\0\0\0\1" + unit for one in stripped for unit in one))
    sink = Collector(19)
    sink.keyless = keyless
    libav.file(path).run(sink)
    assert bool(sink.pictures) == (keyless is Keyless.ANYHOW)
    if sink.pictures:
        assert painted(sink.pictures[-1][0]) in [painted(picture) for picture in pictures(25)]


@pytest.mark.parametrize("times", ["none", "hours back", "hours on", "of decoding"])
def test_a_file_plays_evenly_whatever_it_says_of_its_times(tmp_path: Path, times: str) -> None:
    path = tmp_path / "film"
    if times == "none":
        path.write_bytes(b"".join(access_units(16)))
    elif times == "of decoding":
        path.write_bytes(file(tmp_path / "film.avi", "libx264", 16, bf="2").read_bytes())
    else:
        begins = (0, 7200) if times == "hours on" else (7200, 0)
        path.write_bytes(
            b"".join(
                file(tmp_path / f"{one}.ts", "libx264", 8, begin=one, bf="0").read_bytes()
                for one in begins
            )
        )
    sink = Collector(16)
    begin = time.monotonic()
    libav.file(path).run(sink)
    assert time.monotonic() - begin > 0.4, "in real time"
    captured = [frame.captured for frame in sink.frames] + [moment for _, moment in sink.pictures]
    steps = [later - one for one, later in itertools.pairwise(captured)]
    assert min(steps) > 20_000 and max(steps) < 80_000, steps
    assert bool(sink.pictures) == (times == "of decoding")


def test_what_comes_in_pieces_is_given_in_real_time(tmp_path: Path) -> None:
    """A live playlist of HLS (RFC 8216): its pieces are there at once."""
    for number in range(2):
        file(tmp_path / f"{number}.ts", "libx264", RATE, begin=number, bf="0", g="5")
    path = tmp_path / "live.m3u8"
    path.write_text(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n0.ts\n#EXTINF:1,\n1.ts\n"
    )
    sink = Collector(15)
    begin = time.monotonic()
    network.stream_of(path.as_uri()).run(sink)
    assert time.monotonic() - begin > 0.4


@pytest.mark.parametrize("flip", [False, True])
def test_a_film_of_a_phone_that_was_held_upright_stands_upright(tmp_path: Path, flip: bool) -> None:
    """What is passed on says so; what is encoded is turned before."""
    path = file(tmp_path / "film.mp4", "libx264", 4, bf="0")
    # ISO/IEC 14496-12 8.3.2.3: the matrix of a track, here a quarter turn clockwise, or that and
    # mirrored.
    head, box, rest = path.read_bytes().partition(b"tkhd")
    unity, quarter = (
        struct.pack(">9i", *numbers) for numbers in (_UNITY, _MIRRORED if flip else _QUARTER)
    )
    assert unity in rest
    path.write_bytes(head + box + rest.replace(unity, quarter, 1))
    passing = Collector(4)
    libav.file(path).run(passing)
    assert [frame.form.geometry for frame in passing.frames] == [
        Geometry(90, flip)
    ] * 4 and not passing.pictures
    sink = Collector(4)
    sink.encode = True
    libav.file(path).run(sink)
    shown = [luma(picture) for picture, _ in sink.pictures]
    for lying, upright in zip((luma(picture) for picture in pictures(4)), shown, strict=True):
        assert (len(upright), len(upright[0])) == (WIDTH, HEIGHT)
        # The left edge is on top, from right to left.
        row = upright[5][::-1] if flip else upright[5]
        assert all(abs(lying[y][5] - row[HEIGHT - 1 - y]) < 40 for y in range(0, HEIGHT, 30))


@pytest.mark.parametrize(
    ("aspect", "size"),
    [("2:1", (2 * WIDTH, HEIGHT)), ("8:9", (WIDTH, HEIGHT * 9 // 8)), ("1:1", (WIDTH, HEIGHT))],
)
def test_pixels_that_are_not_square_become_square_or_are_told_of(
    tmp_path: Path, aspect: str, size: tuple[int, int]
) -> None:
    path = file(tmp_path / "film.mkv", "libx264", 2, bf="0", aspect=aspect)
    passing, sink = Collector(2), Collector(2)
    libav.file(path).run(passing)
    across, down = map(int, aspect.split(":"))
    assert [frame.form.geometry.pixel_aspect for frame in passing.frames] == [
        pytest.approx(across / down)
    ] * 2
    sink.encode = True
    libav.file(path).run(sink)
    assert [(picture.width, picture.height) for picture, _ in sink.pictures] == [size] * 2


_ONE, _LAST = 1 << 16, 1 << 30  # fixed point: 16.16 and 2.30
_UNITY = (_ONE, 0, 0, 0, _ONE, 0, 0, 0, _LAST)
_QUARTER = (0, _ONE, 0, -_ONE, 0, 0, 0, 0, _LAST)
_MIRRORED = (0, _ONE, 0, _ONE, 0, 0, 0, 0, _LAST)


@pytest.mark.parametrize(
    ("shown", "clap", "size"),
    [
        ((240, 240), (240, 1, 240, 1), (WIDTH, HEIGHT)),  # cropped, not squeezed
        ((160, 180), (320, 2, 180, 1), (WIDTH, HEIGHT)),
        ((480, 240), (240, 1, 240, 1), (2 * WIDTH, HEIGHT)),  # both
        ((160, 240), (), (WIDTH, 2 * HEIGHT)),
        ((WIDTH, HEIGHT), (), (WIDTH, HEIGHT)),
    ],
)
def test_a_file_that_is_cropped_is_shown_whole_and_not_squeezed(
    tmp_path: Path, shown: tuple[int, int], clap: tuple[int, ...], size: tuple[int, int]
) -> None:
    path = file(tmp_path / "film.mp4", "libx264", 2, bf="0")
    with av.open(str(path)) as container:
        whole = [luma(picture) for picture in container.decode(video=0)]
    data = path.read_bytes()
    if clap:
        data = cropped(data, struct.pack(">4I", *clap) + struct.pack(">4I", 0, 1, 0, 1))
    at = data.index(b"tkhd") - 4
    at += int.from_bytes(
        data[at : at + 4], "big"
    )  # ISO/IEC 14496-12 8.3.2: width and height stand at its end, in 16.16
    path.write_bytes(
        data[: at - 8] + struct.pack(">2I", shown[0] << 16, shown[1] << 16) + data[at:]
    )
    with path.open("rb") as opened:
        [found] = mp4_tracks.geometries(opened).values()
    sink, passing = Collector(2), Collector(2)
    sink.encode = True
    libav.file(path).run(sink)
    assert [(picture.width, picture.height) for picture, _ in sink.pictures] == [size] * 2
    if size == (WIDTH, HEIGHT):
        assert [luma(picture) for picture, _ in sink.pictures] == whole
    libav.file(path).run(passing)
    assert {frame.form.geometry.pixel_aspect for frame in passing.frames} == {found.pixel_aspect}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\x10",
        b"\0\0\0\x09moov",
        b"\0\0\0\0moov",
        b"\0\0\0\0mdat" + bytes(99),
        b"\0\0\0\1ftyp" + bytes(8),
        b"\x1a\x45\xdf\xa3" + bytes(99),
    ],
)
def test_what_is_no_mp4_says_nothing_of_pictures(data: bytes) -> None:
    assert mp4_tracks.geometries(io.BytesIO(data)) == {}


@pytest.mark.parametrize(
    ("render", "size"),
    [
        ((2 * WIDTH, HEIGHT), (2 * WIDTH, HEIGHT)),
        ((WIDTH, 2 * HEIGHT), (WIDTH, 2 * HEIGHT)),
        (None, (WIDTH, HEIGHT)),
    ],
)
def test_the_render_size_of_vp9_stays_when_it_is_encoded(
    tmp_path: Path, render: tuple[int, int] | None, size: tuple[int, int]
) -> None:
    path = tmp_path / "film.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libvpx-vp9", rate=RATE, options={"deadline": "realtime", "lag-in-frames": "0"}
        )
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, picture in enumerate(pictures(3)):
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            for packet in stream.encode(picture):
                # VP9 6.2: of a keyframe of profile 0 render_and_frame_size_different is bit 68.
                changed = (
                    bytes(packet)
                    if number or render is None
                    else with_render_size(bytes(packet), 68, *render)
                )
                given: Any = av.Packet(changed)
                given.stream, given.pts, given.time_base, given.is_keyframe = (
                    stream,
                    packet.pts,
                    packet.time_base,
                    packet.is_keyframe,
                )
                container.mux(given)
    sink = Collector(3)
    sink.encode = True
    libav.file(path).run(sink)
    assert [(picture.width, picture.height) for picture, _ in sink.pictures] == [size] * 3


@pytest.mark.parametrize(
    ("source", "words", "final"),
    [
        (
            libav.device("/dev/video-of-nobody", 640, 480, 30),
            "There is no /dev/video-of-nobody",
            False,
        ),
        (
            network.camera("http://127.0.0.1:9"),
            "http://127.0.0.1:9 cannot be opened: Connection refused. It is tried again",
            False,
        ),
        (
            network.camera("rtsp://user:secret@127.0.0.1:9/1"),
            "rtsp://...@127.0.0.1:9/... cannot be opened: ",
            False,
        ),
        (
            network.camera("http://127.0.0.1:9/video.cgi?user=admin&pwd=secret"),
            "http://127.0.0.1:9/... cannot be opened: ",
            False,
        ),
        (network.camera("http://user:secret@"), "http://... cannot be opened: ", False),
        (network.camera("http://user:secret@a..b/1"), "cannot be opened: ", False),
        (
            network.camera("rtsp://user:sec@127.0.0.1:9/secret@x"),
            "rtsp://... cannot be opened: Connection refused. If a / ? #",
            False,
        ),
        (network.stream_of("pigeon://127.0.0.1/1"), "there is no such protocol here", True),
        (libav.file(Path(__file__)), "gives nothing that FFmpeg's libraries can read", True),
    ],
)
def test_what_cannot_be_filmed_is_a_sentence(source: Source, words: str, final: bool) -> None:
    with pytest.raises(SourceError) as caught:
        source.run(Collector(1))
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.final is final


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_camera_of_the_network_that_says_nothing_is_not_waited_for(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libav, "_OPEN_LIMIT", 0.3)
    monkeypatch.setattr(web_reading, "_ANSWER_LIMIT", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(SourceError, match="does not answer in time"),
    ):
        network.camera(f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/1").run(Collector(1))


async def test_the_first_keyframe_of_a_camera_is_its_first_picture() -> None:
    """Though its next one would come in 8 s, and FFmpeg wants to see more before it says what is in
    there.
    """
    units = access_units(8 * RATE)
    sink = Collector(3)
    async with rtsp.camera(units, RATE) as url:
        await asyncio.to_thread(network.camera(url).run, sink)
    assert [split_annexb(frame.data) for frame in sink.frames] == [
        split_annexb(unit) for unit in units[:3]
    ]
    assert sink.frames[0].key and sink.what == ["320x240 h264"]


@pytest.mark.parametrize(
    "refusal", ["461 Unsupported Transport", "400 Bad Request", "500 Internal Server Error"]
)
async def test_a_camera_that_takes_no_tcp_is_filmed_over_udp(refusal: str) -> None:
    units = access_units(4)
    sink = Collector(3)
    async with rtsp.camera(units, RATE, refusal) as url:
        await asyncio.to_thread(network.camera(url).run, sink)
    assert split_annexb(sink.frames[0].data) == split_annexb(units[0])
    assert sink.what == ["320x240 h264, over UDP, because it takes no TCP"]


@pytest.mark.parametrize("hevc", [False, True], ids=["h264", "hevc"])
@pytest.mark.parametrize("refusal", ["", "461 Unsupported Transport"], ids=["tcp", "udp"])
async def test_a_picture_is_shown_before_the_next_one_is_there(hevc: bool, refusal: str) -> None:
    """Of a camera of one picture in half a minute."""
    sink, sent = Collector(9), list[int]()
    units = hevc_units(2) if hevc else access_units(2)
    async with rtsp.camera(units, 1 / 30, refusal, sent.append, hevc) as url:
        running = asyncio.create_task(asyncio.to_thread(network.camera(url).run, sink))
        await eventually(lambda: sink.pictures or sink.frames or running.done())
        assert sent == [0] and not running.done()
        # And it is let go before the next one, too: who comes back soon does not wait for that.
        sink.enough = 0
        async with asyncio.timeout(PATIENCE):
            await running
        assert sent == [0]
    if hevc:
        assert painted(sink.pictures[0][0]) == painted(pictures(1)[0])
    else:
        assert split_annexb(sink.frames[0].data) == split_annexb(units[0]) and sink.frames[0].key


async def test_a_camera_that_hangs_up_has_ended_for_its_film_and_its_last_picture_is_shown() -> (
    None
):
    units, sink = access_units(1), Collector(9)
    async with rtsp.camera(units, 1 / 30) as url:
        running = asyncio.create_task(asyncio.to_thread(network.camera(url).run, sink))
        await eventually(lambda: sink.what)
    with pytest.raises(SourceError, match="It is opened again"):
        await running
    assert len(sink.frames) == 1


async def test_a_slow_camera_is_waited_for_longer_when_it_is_opened_again() -> None:
    sink = Collector(4)
    async with rtsp.camera(access_units(6), 4) as url:
        source = network.stream_of(url)
        source._read_limit = 0.1
        with pytest.raises(SourceError, match="gives nothing any more"):
            await asyncio.to_thread(source.run, sink)
        for _ in range(3):
            with contextlib.suppress(SourceError):
                await asyncio.to_thread(source.run, sink)
    assert len(sink.frames) >= 4


def test_a_device_that_gives_another_size_than_it_was_asked_for_is_filmed(tmp_path: Path) -> None:
    """A file of raw pictures stands for it, whose own size counts as the device's does."""
    path = tmp_path / "raw.y4m"
    given = [bytes([grey]) * (160 * 120 * 3 // 2) for grey in (50, 100, 150, 200)]
    path.write_bytes(
        b"YUV4MPEG2 W160 H120 F50:1 Ip C420jpeg\n" + b"".join(b"FRAME\n" + one for one in given)
    )
    sink = Collector(3)
    libav.Stream(str(path), "/dev/video9", "yuv4mpegpipe", ({"video_size": "320x240"},)).run(sink)
    assert sink.what == ["160x120 rawvideo"] and sink.heard == [False]
    assert [(one.width, one.height, one.to_ndarray().tobytes()) for one, _ in sink.pictures] == [
        (160, 120, one) for one in given[:3]
    ]


def test_a_device_is_asked_for_less_and_less_and_says_why_it_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, str]] = []
    answer: list[OSError] = []

    def refuse(url: str, format: str, container_options: dict[str, str], **_: object) -> None:  # noqa: A002 - PyAV's word
        assert (url, format) == ("/dev/video0", "v4l2")
        asked.append(container_options)
        raise answer[0]

    monkeypatch.setattr(av, "open", refuse)
    device = libav.device("/dev/video0", 1280, 720, 30)
    for error, tries, words in (
        (OSError(errno.EINVAL, "Invalid argument"), 4, "gives no picture that can be filmed"),
        (OSError(errno.EBUSY, "busy"), 1, "is busy: another program films with it"),
        (PermissionError(errno.EACCES, "denied"), 1, "This user may not open /dev/video0"),
    ):
        asked.clear()
        answer[:] = [error]
        with pytest.raises(SourceError, match=words):
            device.run(Collector(1))
        assert len(asked) == tries
        assert asked[0] == {"video_size": "1280x720", "framerate": "30", "input_format": "mjpeg"}
    assert device.advice


def test_a_file_without_a_picture_says_so(tmp_path: Path) -> None:
    path = tmp_path / "voice.mp4"
    with av.open(str(path), "w") as container:
        voice = container.add_stream("aac", rate=48000, layout="mono")
        container.mux(voice.encode(sound(0)))
        container.mux(voice.encode(None))
    with pytest.raises(SourceError, match="has no picture"):
        libav.file(path).run(Collector(1))


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_a_byte_stream_is_cut_into_pictures_wherever_the_pipe_has_cut_it(size: int) -> None:
    units = access_units(5)
    stream = b"".join(units)
    splitter = Splitter()
    found = [
        unit for at in range(0, len(stream), size) for unit in splitter.feed(stream[at : at + size])
    ]
    assert splitter.pending
    assert [*found, splitter.rest()] == units
    assert splitter.rest() is None and not splitter.pending


def test_the_raspberry_pis_camera_is_passed_on_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a program that behaves like the real one: no Raspberry Pi is needed."""
    units = access_units(4)
    for number, unit in enumerate(units):
        (tmp_path / f"{number}.h264").write_bytes(unit)
    program = tmp_path / "rpicam-vid"
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys, time\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "(folder / 'options').write_text(' '.join(sys.argv[1:]))\n"
        "for number in range(4):\n"
        "    sys.stdout.buffer.write((folder / f'{number}.h264').read_bytes())\n"
        "    sys.stdout.buffer.flush()\n"
        "    time.sleep(0.05)\n"
        "print('ERROR: the lens has fallen off', file=sys.stderr, flush=True)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    sink = Collector(100)
    with pytest.raises(SourceError, match=r"the lens has fallen off\. It is started again"):
        RpiCamera(1280, 720, 30).run(sink)
    assert [frame.data for frame in sink.frames] == units
    times = [frame.captured for frame in sink.frames]
    assert times == sorted(times)
    said = (tmp_path / "options").read_text()
    assert (
        "--width 1280 --height 720 --framerate 30" in said
        and "--inline" in said
        and said.endswith("--output -")
    )

    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match="no program rpicam-vid") as caught:
        RpiCamera(1280, 720, 30).run(sink)
    assert caught.value.final


def test_the_program_of_the_camera_ends_with_the_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0.h264").write_bytes(access_units(1)[0])
    program = tmp_path / "rpicam-vid"
    program.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pid\ncat {tmp_path}/0.h264\nexec sleep 60\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    sink = Collector(1)
    thread = threading.Thread(target=RpiCamera(640, 480, 30).run, args=(sink,))
    thread.start()
    thread.join(20)
    assert not thread.is_alive() and len(sink.frames) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
