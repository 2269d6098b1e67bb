"""Does it run for months? Cameras and viewers in a real browser, and trouble all the time: `python
-m bench.soak --minutes 60`

What happens, and what is claimed, is told in `README.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

if not __package__:
    # Started as a file: the repository, and not this folder, is where modules are looked for.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "bench"

from playwright.async_api import Error as PlaywrightError

from bench.actors.browser import BenchChromium
from bench.actors.remote import Address
from bench.actors.viewers import Viewer
from bench.gauges.machine import Machine
from bench.gauges.waits import Presence, Span, length, longest
from bench.report.memory import MEGABYTE, Heap, small
from bench.report.table import aligned, number
from bench.report.targets import Target, listed
from tests.harness.browsers import ChromiumPage, PageError
from tests.harness.pages import facts
from tests.harness.proxies import Proxy
from tests.harness.relays import Relay

from . import command

SIZE = (320, 240)
"""Pixels of the filmed pictures: small, because three encoders and three decoders share one
computer.
"""

WAIT_LIMIT = 3.0
"""Seconds: the longest that a viewer may be without a picture after its camera is back."""

FETCH_INTERVAL = 5.0
"""Seconds between two fetches of what a page has noted, so that the bench does not make the page
grow.
"""

LOOK_INTERVAL = 0.1
"""Seconds between two looks at the cameras as the relays see them: by so much the wait is told too
short at most.
"""

LOOK_DEADLINE = 5.0
"""Seconds that a relay may take to answer."""

START_DEADLINE = 60.0
"""Seconds in which all pages must show a picture at the beginning."""

PAUSE = (2.0, 6.0)
"""Seconds between two troubles."""

NETWORK_TROUBLE = (1.0, 8.0)
"""Seconds for which a network is bad."""

JITTER = (0.0, 80.0)
"""Milliseconds for which a jittering network holds each chunk back."""

NARROW = 20_000
"""Bytes a second that pass a narrow network: about a quarter of what the pictures need."""

AWAY = (12.0, 18.0)
"""Seconds for which a viewer's page is closed: the camera that only this one watches falls asleep
after 10 s.
"""

STAY = (2.0, 20.0)
"""Seconds for which a viewer without a browser watches."""

PASSERS = 6
"""The most of them at a time."""

STALLS = 0.25
"""The share of them that reads nothing."""

DOWN = (0.2, 2.0)
"""Seconds from a relay's end to its new start."""

ERRORS_SHOWN = 5
"""The most different errors of a page that are told at the end."""

NETWORK_ERRORS = ("WebSocket connection", "Failed to load resource", "Fetch API cannot load")
"""How the browser itself notes in the console that a network or a relay is not there."""

Happening = Callable[[], Coroutine[Any, Any, tuple[str, str]]]
"""A trouble: returns what happened and to whom, once it is over."""

NOTHING = ("", "")
"""What happened when it would have been one trouble too many."""


@dataclass
class Opened:
    """A page that is opened through a network of its own.

    Attributes:
        name: For people.
        camera: The name of the camera that it is, or watches.
        url: Where it is.
        proxy: Its network.
        page: None while it is closed.
        heap: None unless the page lives as long as the soak.
        troubled: The network is being bad.
    """

    name: str
    camera: str
    url: str
    proxy: Proxy
    page: ChromiumPage | None = None
    heap: Heap | None = None
    troubled: bool = False
    _excused: list[Span] = field(default_factory=list)
    _excusing: list[float] = field(default_factory=list)

    @contextlib.contextmanager
    def excused(self) -> Iterator[None]:
        """Until this is left, no picture can be expected of it, or through its network."""
        begin = time.time()
        self._excusing.append(begin)
        try:
            yield
        finally:
            self._excusing.remove(begin)
            self._excused.append((begin, time.time()))

    def excuses(self, now: float) -> list[Span]:
        """Those so far, and the present ones, which end now."""
        return self._excused + [(begin, now) for begin in self._excusing]

    def forget(self, before: float) -> None:
        """Drops the excuses that were over then."""
        self._excused = [span for span in self._excused if span[1] >= before]


@dataclass
class Watched:
    """What one viewer's page has shown in this minute, since when it has been waiting, and which
    wait was looked into.
    """

    since: float
    shown: list[float] = field(default_factory=list)
    looked_into: float = 0.0


@dataclass(frozen=True)
class Minute:
    """One minute of the soak.

    Attributes:
        relay: MB of the relay that is never restarted.
        restarted: MB of the other one.
        pictures: Seen, by viewer.
        waits: The longest, by viewer; in seconds from the soak's begin.
        heaps: MB after a collection of garbage, of each page that lives as long as the soak, with
            its workers.
        troubles: How often what happened.
        asleep: How often a camera fell asleep.
        lag: s, the most by which the bench itself was late: what a busy computer costs everybody.
    """

    relay: float
    restarted: float
    pictures: Mapping[str, int]
    waits: Mapping[str, Span]
    heaps: Mapping[str, float]
    troubles: Mapping[str, int]
    asleep: int
    lag: float


@dataclass
class Result:
    """All minutes, and what went wrong in the pages."""

    minutes: list[Minute] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    ended: str = ""

    def line(self) -> str:
        """The last minute, for people who wait."""
        minute = self.minutes[-1]
        heaps = ", ".join(f"{name} {number(size, 1)}" for name, size in minute.heaps.items())
        waits = ", ".join(
            f"{name} {minute.pictures[name]} ({length(wait):.2f})"
            for name, wait in minute.waits.items()
        )
        return (
            f"minute {len(self.minutes)}: RSS MB: relay {minute.relay:.1f}, restarted "
            f"relay {minute.restarted:.1f}; "
            f"{sum(minute.troubles.values())} troubles, {minute.asleep} times asleep; the "
            f"bench was late by {minute.lag:.2f} s\n"
            f"  pictures (longest wait in s): {waits}\n"
            f"  heap MB: {heaps}"
        )

    def table(self) -> str:
        """The whole run, by viewer."""
        head = ["viewer", "pictures", "longest wait s", "from s", "to s"]
        lines = []
        for name, wait in self._waits().items():
            pictures = sum(minute.pictures[name] for minute in self.minutes)
            lines.append(
                [name, str(pictures), f"{length(wait):.2f}", *(f"{moment:.1f}" for moment in wait)]
            )
        return aligned(head, lines)

    def __str__(self) -> str:
        troubles = sum((Counter(minute.troubles) for minute in self.minutes), Counter[str]())
        told = "\n".join(f"  {count} x {name}" for name, count in troubles.most_common())
        parts = [
            self.table(),
            f"troubles:\n{told}",
            f"times a camera fell asleep: {sum(minute.asleep for minute in self.minutes)}",
        ]
        if self.errors:
            errors = "\n".join(
                f"  {count} x {text}" for text, count in self.errors.most_common(ERRORS_SHOWN)
            )
            parts.append(f"errors in the pages:\n{errors}")
        if self.ended:
            parts.append(f"ended early: {self.ended}")
        return "\n\n".join([*parts, listed(self.targets())])

    def _waits(self) -> dict[str, Span]:
        """The longest of the whole run, by viewer."""
        names = self.minutes[0].waits if self.minutes else ()
        return {
            name: max((minute.waits[name] for minute in self.minutes), key=length) for name in names
        }

    def targets(self) -> list[Target]:
        found = [small("RSS of the relay", [minute.relay for minute in self.minutes])]
        for name in self.minutes[0].heaps if self.minutes else ():
            found.append(small(f"heap of {name}", [minute.heaps[name] for minute in self.minutes]))
        worst, whose = max(
            ((length(wait), name) for name, wait in self._waits().items()), default=(0.0, "")
        )
        claim = (
            f"no viewer is without a picture for more than {WAIT_LIMIT:g} s after its camera "
            "is back"
        )
        found.append(
            Target(claim, f"{worst:.2f} s ({whose})", worst <= WAIT_LIMIT if whose else None)
        )
        return found

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "targets": [asdict(target) for target in self.targets()]}


class Soak:
    """Two relays, three cameras, four viewers' pages, and those that pass by. All moments are
    time.time(), which the pages have, too.

    One relay is never restarted: memory needs an age to be compared. Its camera `door` and both
    pages that watch it live as long as the soak; its camera `loft` is loaded afresh now and then,
    and falls asleep when its only viewer is away. The other relay is restarted, and the pages of
    its camera `shed` and of that one's viewer live through it.
    """

    def __init__(self, seed: int, say: Callable[[str], None], tell: Callable[[str], None]) -> None:
        """
        Args:
            seed: Of the troubles.
            say: Is given some lines for each minute.
            tell: Is given a line for each trouble.
        """
        self.result = Result()
        self._random = random.Random(seed)
        self._say = say
        self._tell = tell
        self._steady, self._restarted = Relay("--no-qr"), Relay("--no-qr")
        self._relays = {"door": self._steady, "loft": self._steady, "shed": self._restarted}
        self.browser = BenchChromium()
        self._cameras: dict[str, Opened] = {}
        self._viewers: list[Opened] = []
        self._watched: dict[str, Watched] = {}
        self._presence: dict[str, Presence] = {}
        self._passing = 0  # viewers without a browser that are here
        self._passed: list[
            tuple[int, Span]
        ] = []  # pictures and longest wait of those that have gone
        self._running: set[asyncio.Task[None]] = set()  # troubles that last
        self._restarting = asyncio.Lock()
        self._reloading = asyncio.Lock()
        self._troubles: Counter[str] = Counter()
        self._asleep = 0
        self._lag = 0.0  # s
        self._told: dict[str, Any] = {}  # what the relay said last of each camera
        self._begun = time.time()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Soak:
        async with AsyncExitStack() as stack:
            for relay in (self._steady, self._restarted):
                await asyncio.to_thread(relay.__enter__)
                stack.push(relay.__exit__)
            await stack.enter_async_context(self.browser)
            width, height = SIZE
            for name in self._relays:
                query = f"camera.html?name={name}&start=1&width={width}&height={height}&fps=30"
                self._cameras[name] = await self._opened(
                    stack, f"camera {name}", name, query, lives=name != "loft"
                )
            for camera, engine in (
                ("door", "frames"),
                ("door", "mse"),
                ("shed", "frames"),
                ("loft", "mse"),
            ):
                query = f"player.html?camera={camera}&engine={engine}"
                self._viewers.append(
                    await self._opened(
                        stack, f"{camera} by {engine}", camera, query, lives=camera != "loft"
                    )
                )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        async with self._restarting:  # or a relay would be left behind
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
        await self._stack.aclose()

    async def _opened(
        self, stack: AsyncExitStack, name: str, camera: str, query: str, *, lives: bool
    ) -> Opened:
        proxy = await stack.enter_async_context(Proxy(self._relays[camera].port))
        one = Opened(name, camera, f"{proxy.origin}/{query}", proxy)
        one.page = await self.browser.page(one.url)
        if lives:
            one.heap = await stack.enter_async_context(Heap(one.page))
        return one

    async def run(self, minutes: int) -> None:
        """Soaks for so long; what was measured is in `result`, also when this is cancelled or
        fails.

        Raises:
            PageError: A page does not answer.
        """
        for viewer in self._viewers:
            assert viewer.page is not None
            await viewer.page.wait_for("bench.arrival().seen !== null", START_DEADLINE)
            await viewer.page.evaluate("bench.take(), null")
        now = self._begun = time.time()
        self._presence = {name: Presence(now) for name in self._relays}
        self._watched = {viewer.name: Watched(now) for viewer in self._viewers}
        jobs = (
            self._count(minutes),
            self._look(self._steady),
            self._look(self._restarted),
            self._trouble(),
        )
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # --- what is seen ---

    async def _count(self, minutes: int) -> None:
        end = time.monotonic()
        for _ in range(minutes):
            end += 60
            while (left := end - time.monotonic()) > 0:
                await asyncio.sleep(min(FETCH_INTERVAL, left))
                for viewer in self._viewers:
                    await self._fetch(viewer)
            await self._minute()
            self._say(self.result.line())

    async def _fetch(self, viewer: Opened) -> None:
        """Takes what a viewer's page has noted."""
        page = viewer.page
        if page is None:
            return
        try:
            report = await page.evaluate("bench.take()")
        except PageError:
            if viewer.page is page:
                raise
            return  # it was closed in between
        watched, now = self._watched[viewer.name], time.time()
        moments = [*(moment for moment, *_ in report["samples"]), *report["smudged"]]
        watched.shown += [(report["origin"] + moment) / 1000 for moment in moments]
        _, since = longest(watched.shown, self._excuses(viewer, now), watched.since, now)
        if now - since > WAIT_LIMIT and since != watched.looked_into:
            watched.looked_into = since
            with contextlib.suppress(PageError):  # closed, or being loaded
                await self._look_into(viewer, page, now - since)

    def _excuses(self, viewer: Opened, now: float) -> list[Span]:
        return (
            self._cameras[viewer.camera].excuses(now)
            + viewer.excuses(now)
            + self._presence[viewer.camera].outages(now)
        )

    async def _look_into(self, viewer: Opened, page: ChromiumPage, seconds: float) -> None:
        """Tells what all three say of themselves while a viewer waits for too long."""
        filming = self._cameras[viewer.camera].page
        assert filming is not None
        said = {
            "tile": await facts(page),
            "relay": self._told.get(viewer.camera),
            "camera": await filming.evaluate("document.querySelector('#status').innerText"),
        }
        at = time.time() - self._begun
        self._tell(
            f"  {at:.1f} s: {viewer.name} has been waiting for {seconds:.1f} s: "
            f"{json.dumps(said, ensure_ascii=False)}"
        )

    async def _minute(self) -> None:
        waits, pictures = {}, {}
        now = time.time()
        for viewer in self._viewers:
            await self._fetch(viewer)
            watched = self._watched[viewer.name]
            pictures[viewer.name] = sum(moment < now for moment in watched.shown)
            wait, watched.since = longest(
                watched.shown, self._excuses(viewer, now), watched.since, now
            )
            waits[viewer.name] = self._since_begin(wait)
            watched.shown = [moment for moment in watched.shown if moment >= now]
            viewer.forget(watched.since)
        for name, presence in self._presence.items():
            before = min(
                now - max(STAY),
                *(
                    self._watched[viewer.name].since
                    for viewer in self._viewers
                    if viewer.camera == name
                ),
            )
            presence.forget(before)
            self._cameras[name].forget(before)
        pictures["those passing by"] = sum(count for count, _ in self._passed)
        waits["those passing by"] = self._since_begin(
            max((wait for _, wait in self._passed), key=length, default=(now, now))
        )
        self._passed.clear()
        heaps = {}
        for one in (*self._cameras.values(), *self._viewers):
            if one.heap is not None:
                heaps[one.name] = sum((await one.heap.used()).values())
            self._note_errors(one)
        restarted = self._restarted.resident if self._restarted.alive else 0
        relay, again = self._steady.resident / MEGABYTE, restarted / MEGABYTE
        found = Minute(
            relay, again, pictures, waits, heaps, dict(self._troubles), self._asleep, self._lag
        )
        self._troubles.clear()
        self._asleep, self._lag = 0, 0.0
        self.result.minutes.append(found)

    def _since_begin(self, span: Span) -> Span:
        return span[0] - self._begun, span[1] - self._begun

    def _note_errors(self, one: Opened) -> None:
        """Moves a page's errors into the result, but for those that only say that there was no
        network.
        """
        if one.page is not None:
            self.result.errors.update(
                f"{one.name}: {text}"
                for text in one.page.errors
                if not text.startswith(NETWORK_ERRORS)
            )
            one.page.errors.clear()
            one.page.console.clear()

    async def _look(self, relay: Relay) -> None:
        """Looks again and again when the last frames of a relay's cameras came."""
        asleep: set[str] = set()
        timeout = aiohttp.ClientTimeout(total=LOOK_DEADLINE)
        async with aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    asked = time.time()
                    async with session.get(f"{relay.origin}/api/cameras") as answer:
                        cameras = await answer.json()
                    for camera in cameras:
                        self._told[camera["name"]] = camera
                        frame = (
                            None
                            if camera["age"] is None
                            else (asked + time.time()) / 2 - camera["age"]
                        )
                        self._presence[camera["name"]].look(
                            frame if camera["state"] == "live" else None
                        )
                    now_asleep = {
                        camera["name"] for camera in cameras if camera["reason"] == "unwatched"
                    }
                    self._asleep += len(now_asleep - asleep)
                    asleep = now_asleep
                begun = time.monotonic()
                await asyncio.sleep(LOOK_INTERVAL)
                self._lag = max(self._lag, time.monotonic() - begun - LOOK_INTERVAL)

    # --- what happens ---

    async def _trouble(self) -> None:
        """One trouble after the other; those that last go on meanwhile."""
        kinds: list[tuple[Happening, int]] = [
            (self._pass_by, 6),
            (self._bad_network, 6),
            (self._turn, 2),
            (self._reload, 1),
            (self._go, 1),
            (self._restart, 1),
        ]
        while True:
            await asyncio.sleep(self._random.uniform(*PAUSE))
            (happen,) = self._random.choices(
                [kind for kind, _ in kinds], [weight for _, weight in kinds]
            )
            self._running.add(asyncio.create_task(self._happens(happen)))
            for task in [task for task in self._running if task.done()]:
                self._running.discard(task)
                task.result()

    async def _happens(self, happen: Happening) -> None:
        begun = time.time()
        what, whose = await happen()
        if what:
            self._troubles[what] += 1
            since, until = self._since_begin((begun, time.time()))
            self._tell(f"  {since:.1f} to {until:.1f} s: {what} ({whose})")

    async def _pass_by(self) -> tuple[str, str]:
        """A viewer without a browser comes, stays and goes."""
        camera = self._random.choice(["door", "shed"])
        stays, stalls = self._random.uniform(*STAY), self._random.random() < STALLS
        if self._passing == PASSERS:
            return NOTHING
        self._passing += 1
        viewer = Viewer(marked=False, stalls=stalls)
        skew = time.time() - time.monotonic()
        try:
            await viewer.watch(Address.of(self._relays[camera]), f"/player/{camera}")
            came = time.time()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    viewer.gone.wait(), stays
                )  # it goes, or the relay is restarted
            if not stalls:
                now = time.time()
                shown = [one.arrived + skew for one in viewer.take()]
                excused = self._cameras[camera].excuses(now) + self._presence[camera].outages(now)
                self._passed.append((len(shown), longest(shown, excused, came, now)[0]))
        except OSError:
            return "a viewer without a browser finds no relay", camera
        finally:
            viewer.leave()
            self._passing -= 1
        return "a viewer without a browser" + (" that reads nothing" if stalls else ""), camera

    async def _bad_network(self) -> tuple[str, str]:
        """Somebody's network is cut, frozen, narrow or late for a while."""
        one = self._random.choice([*self._cameras.values(), *self._viewers])
        kind, seconds = (
            self._random.choice(["cut", "frozen", "narrow", "late"]),
            self._random.uniform(*NETWORK_TROUBLE),
        )
        if one.troubled:
            return NOTHING
        one.troubled = True
        try:
            if kind == "late":
                one.proxy.jitter(*JITTER)
                await asyncio.sleep(seconds)
            else:
                with one.excused():
                    if kind == "cut":
                        one.proxy.cut()
                    elif kind == "frozen":
                        await one.proxy.freeze(seconds)
                    else:
                        one.proxy.throttle(NARROW)
                        await asyncio.sleep(seconds)
        finally:
            one.proxy.throttle(None)
            one.proxy.jitter(0, 0)
            one.troubled = False
        return f"a network is {kind}", one.name

    async def _turn(self) -> tuple[str, str]:
        """A phone is turned by a quarter."""
        camera = self._random.choice(list(self._cameras.values()))
        assert camera.page is not None
        try:
            await camera.page.evaluate("scene.turn()")
        except PageError:
            if camera.heap is not None:
                raise
            return NOTHING  # its page is being loaded
        return "a phone is turned", camera.name

    async def _reload(self) -> tuple[str, str]:
        """A camera's page is loaded afresh."""
        page = self._cameras["loft"].page
        assert page is not None
        if self._reloading.locked():
            return NOTHING
        async with self._reloading:
            try:
                await page.raw.reload()
            except PlaywrightError as error:
                raise PageError(error.message) from None
        return "a camera's page is loaded afresh", "loft"

    async def _go(self) -> tuple[str, str]:
        """The page of the only viewer of a camera is closed for a while."""
        viewer = self._viewers[-1]
        page, seconds = viewer.page, self._random.uniform(*AWAY)
        if page is None:
            return NOTHING
        with viewer.excused():
            await self._fetch(
                viewer
            )  # or what it has shown since the last time would count as never shown
            self._note_errors(viewer)
            viewer.page = None
            await page.close()
            await asyncio.sleep(seconds)
            viewer.page = await self.browser.page(viewer.url)
        return "a viewer's page is closed for a while", viewer.name

    async def _restart(self) -> tuple[str, str]:
        """A relay is restarted."""
        seconds = self._random.uniform(*DOWN)
        if self._restarting.locked():
            return NOTHING
        async with self._restarting:
            await asyncio.to_thread(self._restarted.stop)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(self._restarted.start)
        return "a relay is restarted", "shed"


def options(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; exits with a sentence when it is wrong."""
    parser = argparse.ArgumentParser(
        prog="bench/soak.py", description="Film and watch for long, with trouble all the time."
    )
    parser.add_argument(
        "--minutes",
        type=int,
        default=60,
        metavar="N",
        help="how long (default: 60); Ctrl-C ends it earlier",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        metavar="N",
        help="of the troubles: which, when and to whom (default: 1)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every measurement to this file"
    )
    chosen = parser.parse_args(arguments)
    if chosen.minutes < 1:
        parser.error("--minutes needs at least one")
    return chosen


async def run(chosen: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    soak = Soak(
        chosen.seed,
        lambda text: print(text, flush=True),
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    machine = None
    try:
        async with soak:
            machine = Machine.look(soak.browser.version)
            print(f"{machine}\n", flush=True)
            await soak.run(chosen.minutes)
    except asyncio.CancelledError:  # Ctrl-C
        soak.result.ended = "it was interrupted"
    except (PageError, RuntimeError, OSError) as error:
        soak.result.ended = str(error)
    result = soak.result
    if machine is None or not result.minutes:
        print(result.ended or "no minute was measured", file=sys.stderr)
        return 1
    print(f"\n{result}")
    command.write(chosen, machine, [result.plain()])
    return 0 if len(result.minutes) == chosen.minutes else 1


def main(arguments: list[str]) -> int:
    """The program; returns its exit status: 0 when every minute was measured, whatever the numbers
    are.
    """
    return command.status(run(options(arguments)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
