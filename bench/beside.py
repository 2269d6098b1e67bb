"""Those that must not notice an attack: a good camera with its viewer, and newcomers.

Each lives in a process of its own (`remote.py`).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode
from websockets.typing import Origin, Subprotocol

from bench.actors.contestants import HEAD
from bench.actors.remote import Address
from bench.actors.scripted_camera import RATE, Film, Mark
from bench.actors.viewers import Arrival, Viewer
from bench.attacks.attack import Wish
from bench.attacks.peers import (
    HOST,
    Site,
    TurnedAway,
    WebSocketPeer,
    log_in,
    request,
    session_request,
    tls_context,
)
from tests.harness.relays import SUBPROTOCOL

NAME = "film"
"""The good camera's."""

CAMERA, VIEWER, NEWCOMER = "127.0.0.9", "127.0.0.10", "127.0.0.50"
"""Their addresses."""

PACE = 4.0
"""Newcomers a second: a family that comes home."""

IN_TIME = 2.0
"""Seconds after which a person thinks that it does not work."""

STALL = 0.15
"""Seconds without a picture after which a camera counts as kept from filming; less is how its own
process was woken.
"""


class Watched(NamedTuple):
    """What the good viewer saw.

    Attributes:
        delays: See `delays`.
        missed: Pictures that never came.
        told: How often the relay told the camera what, by type.
        cut: Which of the two was cut off, and why; "" if none was.
    """

    delays: list[float]
    missed: int
    told: dict[str, int]
    cut: str


def delays(
    captured: Sequence[float], arrivals: Sequence[Arrival], begin: float, end: float, now: float
) -> tuple[list[float], int]:
    """How late each picture was that was due in [begin, end). One that never came is as late as the
    next one that did. Where the camera could film none, because the relay took nothing, those count
    that it should have filmed.

    Args:
        captured: When each picture was captured, in order.
        arrivals: What came.
        now: When this is asked: what has not come by then is at least so late.

    Returns:
        ms, and how many never came.
    """
    came = {one.captured for one in arrivals}
    due = [moment for moment in captured if begin <= moment < end]
    missed = sum(moment not in came for moment in due)
    for earlier, later in pairwise([begin, *due, end]):
        if later - earlier > STALL:
            due += [earlier + step / RATE for step in range(1, int((later - earlier) * RATE))]
    news = sorted((one.captured, one.arrived) for one in arrivals)
    found, soonest = [], now
    for moment in sorted(due, reverse=True):
        while news and news[-1][0] >= moment:
            soonest = min(soonest, news.pop()[1])
        found.append((soonest - moment) * 1000)
    return found, missed


class GoodFilm(Film):
    """A camera with a cookie, of which everything is noted.

    Attributes:
        captured: When each picture was.
        told: How often it was told what.
        ended: How its socket was closed; "" while it is not.
    """

    def __init__(self, address: Address, cookie: str) -> None:
        super().__init__(address, NAME)
        self.captured: list[float] = []
        self.told: Counter[str] = Counter()
        self.ended = ""
        self._cookie = cookie

    async def _connect(self) -> ClientConnection:
        return await connect(
            self._address.url(self._path),
            host=HOST,
            local_addr=(CAMERA, 0),
            origin=Origin(self._address.origin),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers={"Cookie": self._cookie},
            ssl=tls_context(),
            compression=None,
            proxy=None,
            ping_interval=None,
        )

    async def _send(self, message: bytes) -> None:
        self.captured.append(Mark.read(memoryview(message)[HEAD:]).captured)
        await super()._send(message)

    async def _listen(self) -> None:
        assert self._socket is not None
        try:
            async for message in self._socket:
                kind = json.loads(message)["type"]
                self.told[kind] += 1
                if kind == "keyframe":
                    self._key_wished = True
        except ConnectionClosed:
            pass
        self.ended = f"closed with {self._socket.close_code} {self._socket.close_reason}".rstrip()


class Pair:
    """The good camera and its viewer.

    Args:
        filming, watching: Their keys.
    """

    def __init__(self, site: Site, filming: str, watching: str) -> None:
        self._site = site
        self._keys = filming, watching

    async def __aenter__(self) -> Self:
        address = Address(self._site.port, "")
        filming, watching = self._keys
        self._film = GoodFilm(address, await asyncio.to_thread(log_in, self._site, filming, CAMERA))
        await self._film.__aenter__()
        cookie = await asyncio.to_thread(log_in, self._site, watching, VIEWER)
        self._viewer = Viewer()
        await self._viewer.watch(
            address, f"/player/{NAME}", f"Cookie: {cookie}", source=VIEWER, context=tls_context()
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._viewer.leave()
        await self._film.__aexit__(*exception)

    def begin(self) -> int:
        """What the camera was told so far does not count; how many pictures have come."""
        self._film.told.clear()
        return len(self._viewer.arrivals)

    def seen(self, begin: float, end: float) -> Watched:
        """What was seen of the pictures that were captured in this span (time.monotonic())."""
        found, missed = delays(
            self._film.captured, self._viewer.arrivals, begin, end, time.monotonic()
        )
        cut = ""
        if why := self._film.ended or self._film.fault():
            cut = f"camera {why}"
        elif self._viewer.gone.is_set():
            cut = "viewer"
        return Watched(found, missed, dict(self._film.told), cut)


class Try(NamedTuple):
    """One newcomer: when it came, and how many seconds it took to get what it wants; None if it did
    not, or not in time.
    """

    begun: float
    took: float | None


class Newcomers:
    """They come at a steady pace, whatever becomes of those before.

    Args:
        wish: What they want.
        key: What they have for it.
        source: The address from which they come.
    """

    def __init__(self, site: Site, wish: Wish, key: str, source: str = NEWCOMER) -> None:
        self._site = site
        self._wish = wish
        self._key = key
        self._source = source
        self._context = tls_context()
        self._cookie = ""
        self._count = 0
        self._tries: list[Try] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        if self._wish in (Wish.CAMERA, Wish.PLAYER):
            self._cookie = await asyncio.to_thread(log_in, self._site, self._key, self._source)
        self._start(self._come())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tries(self, begin: float, end: float) -> list[Try]:
        """Of those that came in this span; to be asked `IN_TIME` after its end."""
        return [one for one in self._tries if begin <= one.begun < end]

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _come(self) -> None:
        due = time.monotonic()
        while True:
            self._start(self._try())
            due += 1 / PACE
            await asyncio.sleep(due - time.monotonic())

    async def _try(self) -> None:
        begun, took = time.monotonic(), None
        try:
            async with asyncio.timeout(IN_TIME):
                await self._once()
                took = time.monotonic() - begun
        except (OSError, EOFError):
            pass  # refused, or not in time
        self._tries.append(Try(begun, took))

    async def _once(self) -> None:
        match self._wish:
            case Wish.LOGIN:
                await self._ask(self._site.port, session_request(self._site, self._key))
            case Wish.TRUST:
                await self._ask(
                    self._site.trust_port,
                    request(self._site, "GET", "/trust", port=self._site.trust_port),
                )
            case Wish.CAMERA:
                self._count += 1
                await self._enter(f"/camera/new-{self._count}", Opcode.TEXT)
            case Wish.PLAYER:
                await self._enter(f"/player/{NAME}", Opcode.BINARY)

    async def _ask(self, port: int, data: bytes) -> None:
        """Raises OSError when the answer is not 200."""
        tls = self._context if port == self._site.port else None
        name = "localhost" if tls else None
        reader, writer = await asyncio.open_connection(
            HOST, port, ssl=tls, server_hostname=name, local_addr=(self._source, 0)
        )
        try:
            writer.write(data)
            status = (await reader.readline())[9:12]
            if status != b"200":
                raise TurnedAway(status.decode(errors="replace"))
        finally:
            writer.transport.abort()

    async def _enter(self, path: str, until: Opcode) -> None:
        """Raises OSError when the WebSocket is refused, or closed before such a message."""
        peer = WebSocketPeer()
        try:
            await peer.enter(self._site, self._source, path, self._cookie)
            await peer.first(until)
        finally:
            peer.leave()
