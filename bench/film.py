"""How soon and how late is what `relay.py film` shows? `python -m bench.film`

Cameras of the network, made here, each filmed by a `relay.py film` of its own that is asleep. A
viewer comes: how long does its first picture take, and how old is each picture then, from the
camera's sending it to the viewer's having it? The pictures have a painted clock, by which they are
known again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import itertools
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

if not __package__:
    # Started as a file: the repository, and not this folder, is where modules are looked for.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "bench"

import av

from bench.gauges.machine import Machine
from bench.gauges.samples import percentile
from bench.report.table import aligned, number
from bench.report.targets import Target, listed
from drawercam.media.containers.detect import StreamReader
from drawercam.media.packets import Packet
from tests.harness import rtsp
from tests.harness.http_server import PARTS, part, server
from tests.harness.makers import (
    HEIGHT,
    RATE,
    WIDTH,
    hevc_units,
    jpegs,
    painted,
    pictures,
    refreshed,
)
from tests.harness.peers import peer
from tests.harness.relays import ROOT, Relay

from . import command

FIRST_LIMIT = 1.0
"""Seconds from the viewer's socket to its first picture that are claimed."""

COUNT = 8 * RATE
"""Pictures, one keyframe among them: the next one would come after 8 s."""

SLOW = 8.0
"""Seconds from one picture to the next of a slow camera."""

ASLEEP = 40.0
"""Seconds after which a camera that nobody watches must be asleep; the relay waits for 10."""

_NO_TCP = "461 Unsupported Transport"

PATIENCE = 15.0
"""Seconds in which a first picture must come."""

Opened = contextlib.AbstractAsyncContextManager[str]
Sent = Callable[[int], None]


@dataclass
class Source:
    """A camera, and what was measured with it.

    Attributes:
        name: For people.
        open: Makes the camera; it calls what it is given with the number of each picture that it
            sends. Gives its URL.
        claimed: Its first picture is to come within FIRST_LIMIT.
        first: Seconds.
        delays: Milliseconds.
    """

    name: str
    open: Callable[[Sent], Opened]
    claimed: bool = True
    first: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    sent: dict[int, deque[float]] = field(default_factory=dict)

    def note(self, number: int) -> None:
        """A picture is sent now."""
        self.sent.setdefault(number % COUNT, deque(maxlen=100)).append(time.monotonic())

    def line(self) -> list[str]:
        delays = [
            number(percentile(self.delays, share), 0) if self.delays else "-"
            for share in (0.5, 0.95)
        ]
        firsts = (
            [number(median(self.first), 2), number(max(self.first), 2)]
            if self.first
            else ["-", "-"]
        )
        return [self.name, str(len(self.first)), *firsts, str(len(self.delays)), *delays]

    def target(self) -> Target:
        worst = max(self.first, default=None)
        found = "none came" if worst is None else f"worst of {len(self.first)}: {worst:.2f} s"
        return Target(
            f"{self.name}: the first picture within {FIRST_LIMIT:g} s",
            found,
            worst is not None and worst <= FIRST_LIMIT,
        )


# --- cameras ---


@cache
def units() -> list[bytes]:
    """Pictures as H.264, one keyframe among them."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt, context.time_base = (
        WIDTH,
        HEIGHT,
        "yuv420p",
        Fraction(1, RATE),
    )
    context.framerate, context.gop_size = Fraction(RATE), COUNT
    context.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "scenecut=0"}
    found = []
    for place, picture in enumerate(pictures(COUNT)):
        picture.pts, picture.time_base = place, Fraction(1, RATE)
        found += [bytes(packet) for packet in context.encode(picture)]
    return found


@cache
def images() -> list[bytes]:
    return jpegs(COUNT)


def over_rtsp(
    rate: float = RATE, refusal: str = "", hevc: bool = False
) -> Callable[[Sent], Opened]:
    return lambda sent: rtsp.camera(
        hevc_units(RATE) if hevc else units(), rate, refusal, sent, hevc
    )


def over_http(
    wrapped: Callable[[bytes], bytes], interval: float = 1 / RATE
) -> Callable[[Sent], Opened]:
    """JPEGs behind one another."""

    @contextlib.asynccontextmanager
    async def opened(sent: Sent) -> AsyncIterator[str]:
        def answer(request: bytes) -> Iterator[bytes | float]:
            yield PARTS % b"f"
            for place, image in enumerate(itertools.cycle(images())):
                sent(place)
                yield wrapped(image)
                yield interval

        async with server(answer) as (url, _):
            yield url

    return opened


def in_bytes(
    kind: bytes, interval: float, wrapped: Callable[[int], bytes]
) -> Callable[[Sent], Opened]:
    """One answer without an end.

    Args:
        kind: Its media type.
        wrapped: The bytes of each picture.
    """

    @contextlib.asynccontextmanager
    async def opened(sent: Sent) -> AsyncIterator[str]:
        def answer(request: bytes) -> Iterator[bytes | float]:
            yield b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n" % kind
            for place in range(COUNT):
                sent(place)
                yield wrapped(place)
                yield interval

        async with server(answer) as (url, _):
            yield url

    return opened


@cache
def muxed(form: str, interval: float) -> list[bytes]:
    """The bytes of each picture in a container that writes each as it comes."""
    parts: list[bytes] = []

    class Written(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any, /) -> int:
            parts[-1] += bytes(data)
            return len(data)

    with av.open(Written(), "w", format=form, options={"flush_packets": "1"}) as container:
        stream = container.add_stream("h264", rate=RATE)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = (
            WIDTH,
            HEIGHT,
            "yuv420p",
            Fraction(1, 1000),
        )
        for place, unit in enumerate(units()):
            parts.append(b"")
            packet: av.Packet[Any] = av.Packet(unit)
            packet.pts = packet.dts = round(place * interval * 1000)
            packet.time_base, packet.stream, packet.is_keyframe = (
                Fraction(1, 1000),
                stream,
                not place,
            )
            container.mux(packet)
        parts.append(b"")
    return parts


@contextlib.asynccontextmanager
async def still(sent: Sent) -> AsyncIterator[str]:
    places = itertools.count()

    def answer(request: bytes) -> Iterator[bytes | float]:
        place = next(places)
        image = images()[place % COUNT]
        sent(place)
        yield (
            (
                b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: "
                b"%d\r\nConnection: close\r\n\r\n"
            )
            % len(image)
            + image
        )

    async with server(answer) as (url, _):
        yield url


@contextlib.asynccontextmanager
async def without_idr(sent: Sent) -> AsyncIterator[str]:
    made = refreshed(COUNT - 5, period=RATE)
    async with rtsp.camera(made, RATE) as url:
        yield url


def sources() -> list[Source]:
    return [
        Source("RTSP, a keyframe in 8 s", over_rtsp()),
        Source("RTSP, 5 pictures a second", over_rtsp(5)),
        Source("RTSP, refuses TCP", over_rtsp(refusal=_NO_TCP)),
        Source("RTSP, one in 8 s", over_rtsp(1 / SLOW)),
        Source("RTSP, H.265, one in 8 s", over_rtsp(1 / SLOW, hevc=True)),
        Source("RTSP, UDP, one in 8 s", over_rtsp(1 / SLOW, _NO_TCP)),
        Source("RTSP, H.264 without IDR", without_idr, claimed=False),
        Source("JPEGs", over_http(lambda image: b"--f\r\n" + part(image) + b"\r\n")),
        Source("JPEGs, boundary behind", over_http(lambda image: part(image) + b"\r\n--f\r\n")),
        Source(
            "JPEGs, one in 8 s", over_http(lambda image: b"--f\r\n" + part(image) + b"\r\n", SLOW)
        ),
        Source("stills", still),
        Source(
            "MPEG-TS, one in 8 s",
            in_bytes(b"video/mp2t", SLOW, lambda place: muxed("mpegts", SLOW)[place]),
        ),
        Source(
            "FLV, one in 8 s",
            in_bytes(b"video/x-flv", SLOW, lambda place: muxed("flv", SLOW)[place]),
        ),
        Source("H.264, one in 8 s", in_bytes(b"video/h264", SLOW, lambda place: units()[place])),
        Source(
            "H.265, one in 8 s",
            in_bytes(b"video/h265", SLOW, lambda place: hevc_units(RATE)[place % RATE]),
        ),
    ]


# --- measuring ---


class Film:
    """`relay.py film` of one source."""

    def __init__(self, relay: Relay, source: Source, name: str, url: str) -> None:
        self.name = name
        self.source = source
        self._words = [
            sys.executable,
            "relay.py",
            "--no-install",
            "film",
            url,
            "--name",
            name,
            "--relay",
            relay.origin,
        ]
        self._asleep = asyncio.Event()
        self._said: list[str] = []

    async def __aenter__(self) -> Film:
        self._process = await asyncio.create_subprocess_exec(
            *self._words,
            cwd=ROOT,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()
        await self._task

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._said.append(line.decode(errors="replace").strip())
            if b"No viewer watches" in line:
                self._asleep.set()

    async def asleep(self) -> None:
        """Wait until it is."""
        try:
            await asyncio.wait_for(self._asleep.wait(), ASLEEP)
        except TimeoutError:
            raise RuntimeError(
                f"the camera {self.name} does not fall asleep: {self._said[-3:]}"
            ) from None
        self._asleep.clear()

    async def watch(self, relay: Relay, seconds: float) -> None:
        """One viewer: wait for its first picture, and then for so long."""
        begin = time.monotonic()
        arrived: list[tuple[float, bytes]] = []
        async with peer(relay, f"/player/{self.name}") as viewer:
            until, seen = begin + PATIENCE, False
            while time.monotonic() < until:
                before = len(arrived)
                moment = time.monotonic()
                arrived += [(moment, message) for message in viewer.media[before:]]
                if not seen and any(message[4:8] == b"moof" for _, message in arrived[before:]):
                    seen = True
                    self.source.first.append(moment - begin)
                    until = moment + seconds
                await asyncio.sleep(0.001)  # that exact
        self.source.delays += _delays(arrived, self.source.sent)


def _delays(arrived: list[tuple[float, bytes]], sent: dict[int, deque[float]]) -> list[float]:
    """Milliseconds from the sending of each picture to its arrival."""
    found: list[float] = []
    reader, decoder = StreamReader(), av.CodecContext.create("h264", "r")
    for moment, message in arrived:
        if message[4:8] == b"ftyp":
            reader, decoder = StreamReader(), av.CodecContext.create("h264", "r")
        elif message[4:8] != b"moof":
            continue
        for event in reader.feed(message):
            if isinstance(event, Packet):
                if decoder.extradata is None:
                    decoder.extradata = event.track.config
                for picture in decoder.decode(av.Packet(event.data)):
                    with contextlib.suppress(
                        AssertionError
                    ):  # a damaged picture, whose clock cannot be read
                        place = round((painted(picture) - _BEGIN) * RATE) % COUNT
                        past = [one for one in sent.get(place, ()) if one <= moment]
                        found += [(moment - past[-1]) * 1000] if past else []
    return found


_BEGIN = painted(pictures(1)[0])
"""What the clock of the first picture shows."""


async def run(chosen: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    machine = Machine.look("no browser")
    print(f"{machine}\n", flush=True)
    rows = [
        one
        for one in sources()
        if not chosen.rows or any(word in one.name for word in chosen.rows.split(","))
    ]
    units(), images()  # before anything is measured
    async with contextlib.AsyncExitStack() as stack:
        relay = stack.enter_context(Relay("--no-key"))
        films = []
        for place, source in enumerate(rows):
            url = await stack.enter_async_context(source.open(source.note))
            films.append(
                await stack.enter_async_context(Film(relay, source, f"source-{place}", url))
            )
        for turn in range(chosen.rounds):
            for film in films:
                await film.asleep()
                await film.watch(relay, chosen.seconds)
                first = film.source.first[-1] if len(film.source.first) > turn else float("nan")
                print(
                    f"round {turn + 1} of {chosen.rounds}: {film.source.name} {first:.2f} s",
                    file=sys.stderr,
                    flush=True,
                )
    head = ["source", "times", "first p50 s", "worst s", "pictures", "delay p50 ms", "p95 ms"]
    print(aligned(head, [source.line() for source in rows]))
    print(f"\n{listed(source.target() for source in rows if source.claimed)}")
    command.write(
        chosen,
        machine,
        [{"name": source.name, "first": source.first, "delays": source.delays} for source in rows],
    )
    return 0


def main(arguments: Sequence[str]) -> int:
    """The program; returns its exit status."""
    return command.status(run(options(arguments)))


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; exits with a sentence when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="bench/film.py",
        description="Measure how soon and how late cameras of the network are seen.",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        metavar="N",
        help="how often each source has its turn (default: 3)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=6.0,
        metavar="S",
        help="seconds after the first picture (default: 6)",
    )
    parser.add_argument(
        "--rows",
        default="",
        metavar="WORD,...",
        help="only sources with one of these in their names",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every measurement to this file"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
