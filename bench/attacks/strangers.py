"""Attacks by peers that have no key."""

from __future__ import annotations

import asyncio
import errno
import itertools
import random
import secrets
import socket
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Self

from websockets.frames import Opcode

from tests.harness.peers import handshake

from . import hellos
from .attack import HELD, PER_SECOND, SCATTERED, SHARED, THREE, Attack, Wish
from .force import SOURCE, Force, Lane, in_turn
from .peers import HOST, Asker, Peer, frame, request, session_request

_LARGE_FILE = "/web/player/wall/wall-page.js"
"""Of those that are served to everybody."""

KEPT_OPEN = 200
"""Half handshakes that stay open; the oldest goes when another one comes."""

ANSWER_DEADLINE = 3.0
"""Seconds that a knock waits for the relay's answer."""

BEHIND = 65_536
"""Bytes that are sent right behind a handshake: as many as one read takes."""


class Throwers:
    """Connections that send some bytes and never more: plain sockets, because nothing is read.

    `with Throwers(force) as throwers`.
    """

    def __init__(self, force: Force) -> None:
        self._force = force
        self._open: deque[socket.socket] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for raw in self._open:
            raw.close()

    def throw(self, data: bytes, source: str = SOURCE) -> bool:
        """One more; whether it has come."""
        while len(self._open) >= KEPT_OPEN:
            self._open.popleft().close()
        raw = socket.socket()
        self._open.append(raw)
        raw.setblocking(False)
        raw.bind((source, 0))
        if raw.connect_ex((HOST, self._force.site.port)) not in (0, errno.EINPROGRESS):
            return False
        try:
            raw.send(data)  # on loopback it is connected by now, unless too many wait
        except OSError:
            return False
        self._force.landed += 1
        return True


async def half(force: Force, groups: Sequence[int]) -> None:
    """A ClientHello, and never more; by turns for each of these groups."""
    thrown = itertools.cycle([hellos.client_hello(group) for group in groups])
    with Throwers(force) as throwers:
        await force.begin()
        await force.pace(lambda: throwers.throw(next(thrown)))


async def thrown(force: Force, data: bytes) -> None:
    """What is no ClientHello."""
    with Throwers(force) as throwers:
        await force.begin()
        await force.pace(lambda: throwers.throw(data))


class Knock(Peer):
    """Sends its bytes, and goes with the first bytes of the answer."""

    def received(self, data: memoryview) -> None:
        self._why = (
            bytes(data[9:12]).decode(errors="replace")
            if bytes(data[:5]) == b"HTTP/"
            else "answered"
        )
        self.leave()


async def knocks(
    force: Force, data: Callable[[Force], bytes] | None = None, *, trust: bool = False
) -> None:
    """Whole handshakes of TLS, each with the same bytes behind it; without any, it goes at once.

    Args:
        trust: At the trust page, without TLS.
    """
    sent = data(force) if data is not None else b""
    port = force.site.trust_port if trust else force.site.port
    await force.begin()

    async def once() -> None:
        peer = Knock()
        try:
            await peer.open(port, SOURCE, tls=not trust)
            force.landed += 1
            if sent:
                peer.send(sent)
                async with asyncio.timeout(ANSWER_DEADLINE):
                    force.answers[await peer.ended] += 1
        finally:
            peer.leave()

    await force.each(once)


def refused(force: Force) -> bytes:
    """A WebSocket's handshake without a key."""
    return handshake("/player/film", force.site.authority)


def trust_page(force: Force) -> bytes:
    """A request for the trust page."""
    return request(force.site, "GET", "/trust", port=force.site.trust_port)


def refused_then_frames(force: Force) -> bytes:
    """The same, and frames behind it."""
    pongs = frame(Opcode.PONG)
    return refused(force) + pongs * (BEHIND // len(pongs))


def refused_then_garbage(force: Force) -> bytes:
    """The same, and what is no frame."""
    return refused(force) + b"GET "


async def held(
    force: Force, data: bytes, sources: Sequence[str] = (SOURCE,), *, trust: bool = False
) -> None:
    """Connections that send these bytes and wait.

    Args:
        sources: The addresses from which they come by turns.
        trust: At the trust page.
    """
    port = force.site.trust_port if trust else force.site.port

    async def connect(number: int) -> Peer:
        peer = await Peer().open(port, sources[number % len(sources)], tls=not trust)
        peer.send(data)
        return peer

    await force.hold(connect)


async def idle(force: Force, sources: Sequence[str] = (SOURCE,)) -> None:
    """Connections that have had an answer and are kept, as a browser keeps those for pages."""
    asked = request(force.site, "GET", "/healthz")

    async def connect(number: int) -> Peer:
        peer = await Asker(force.answers).open(force.site.port, sources[number % len(sources)])
        peer.ask(asked)
        return peer

    await force.hold(connect)


async def slow_reader(force: Force, path: str) -> None:
    """Connections that ask for a file many times and take nothing of it."""
    asked = request(force.site, "GET", path) * 32

    async def connect(number: int) -> Peer:
        peer = await Deaf().open(force.site.port, SOURCE, small=True)
        peer.send(asked)
        return peer

    await force.hold(connect)


class Deaf(Peer):
    """Takes nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._transport is not None:
            self._transport.pause_reading()


async def asks(
    force: Force, make: Callable[[Force], Callable[[], bytes]], connections: int = 8
) -> None:
    """Requests over some connections that are kept.

    Args:
        make: Gives what gives each request.
    """
    each = make(force)

    async def connect() -> Asker:
        return await Asker(force.answers).open(force.site.port, SOURCE)

    await force.begin()
    following = in_turn([Lane(force, connect) for _ in range(connections)])

    def offer() -> bool:
        line = following().line
        return line is not None and line.ask(each())

    await force.pace(offer)


def one_request(method: str, path: str, *headers: str) -> Callable[[Force], Callable[[], bytes]]:
    """The same request each time."""

    def make(force: Force) -> Callable[[], bytes]:
        data = request(force.site, method, path, *headers)
        return lambda: data

    return make


def guesses(force: Force) -> Callable[[], bytes]:
    """Another wrong key each time."""
    return lambda: session_request(force.site, secrets.token_hex(8))


async def scattered_guesses(force: Force) -> None:
    """Wrong keys, each from another address."""
    await force.begin()
    numbers = random.Random(1)

    async def once() -> None:
        source = (
            f"127.{numbers.randrange(1, 255)}.{numbers.randrange(256)}.{numbers.randrange(1, 255)}"
        )
        peer = Knock()
        try:
            await peer.open(force.site.port, source)
            force.landed += 1
            peer.send(session_request(force.site, secrets.token_hex(8)))
            async with asyncio.timeout(ANSWER_DEADLINE):
                force.answers[await peer.ended] += 1
        finally:
            peer.leave()

    await force.each(once)


_FIELD = partial(half, groups=(hellos.FFDHE8192,))
_OTHER_GROUPS = (
    hellos.FFDHE2048,
    hellos.FFDHE3072,
    hellos.FFDHE4096,
    hellos.FFDHE6144,
    hellos.SECP521R1,
    hellos.X448,
)
_ORDINARY = partial(half, groups=(hellos.SECP256R1,))
_PLAIN = b"GET /player.html HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: b"
_HALF_BODY = (
    b"POST /api/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
    b"application/json\r\nContent-Length: 4000\r\n\r\n{"
)


def _flow(
    name: str,
    does: str,
    run: Callable[..., Coroutine[Any, Any, None]],
    rate: float,
    why: str,
    **more: Any,
) -> Attack:
    return Attack(name, does, run, rate, PER_SECOND, why, **more)


def _hold(
    name: str,
    does: str,
    run: Callable[..., Coroutine[Any, Any, None]],
    count: int,
    why: str,
    **more: Any,
) -> Attack:
    return Attack(name, does, run, count, HELD, why, **more)


def _get(path: str) -> Callable[[Force], Coroutine[Any, Any, None]]:
    return partial(asks, make=one_request("GET", path))


ATTACKS = [
    _flow(
        "hello-6",
        "a ClientHello for ffdhe8192, no answer awaited",
        _FIELD,
        6,
        "150 ms each: nine tenths of a core",
    ),
    _flow("hello-20", "the same, more often", _FIELD, 20, "three times what a core can do"),
    _flow(
        "hello-groups",
        "the same for other costly groups by turns",
        partial(half, groups=_OTHER_GROUPS),
        60,
        "20 ms each: a core",
    ),
    _flow(
        "half-handshakes",
        "an ordinary ClientHello, never finished",
        _ORDINARY,
        1000,
        "0.5 ms each: half a core",
    ),
    _flow(
        "half-rsa",
        "the same, at a relay with a key of RSA 4096",
        _ORDINARY,
        150,
        "6 ms each: a core",
        rsa=True,
    ),
    _flow(
        "handshakes",
        "whole handshakes, one after the other",
        knocks,
        400,
        "as many as one Python process makes",
    ),
    _flow(
        "garbage",
        "random bytes instead of a ClientHello",
        partial(thrown, data=hellos.rubbish()),
        1500,
        "as many as one process makes",
    ),
    _flow(
        "plain",
        "requests by http, which are sent to https",
        partial(thrown, data=_PLAIN),
        1500,
        "as many as one Python process makes",
    ),
    _flow(
        "plain-half",
        "the same, never finished",
        partial(thrown, data=_PLAIN[:-1]),
        1000,
        "as many as half handshakes",
    ),
    _hold(
        "doors",
        "requests that are begun and held",
        partial(held, data=_HALF),
        560,
        "more than one address may have",
    ),
    _hold(
        "doors-scattered",
        "the same from 50 addresses",
        partial(held, data=_HALF, sources=SCATTERED),
        560,
        "as many as from one address",
        growth=SHARED,
    ),
    _hold(
        "empty-line",
        "the same behind an empty line, from three addresses",
        partial(held, data=b"\r\n\r\n" + _HALF, sources=THREE),
        2950,
        "more than there are places, and no deadline met them",
        growth=SHARED,
    ),
    _hold(
        "bodies",
        "bodies that are begun and held",
        partial(held, data=_HALF_BODY),
        560,
        "as many as doors",
    ),
    _hold(
        "idle",
        "connections of pages that are kept",
        idle,
        2950,
        "more than there are places, whatever one address may have",
    ),
    _hold(
        "idle-three",
        "the same from three addresses",
        partial(idle, sources=THREE),
        2950,
        "more than there are places",
        growth=SHARED,
    ),
    _hold(
        "files-512",
        "the same where the system gives few files",
        idle,
        560,
        "more than there are",
        files=(512, 512),
    ),
    _hold(
        "files-1024",
        "from three addresses, where it gives 1024 at first",
        partial(idle, sources=THREE),
        2950,
        "all connections that the relay makes room for",
        files=(1024, 20_000),
        growth=SHARED,
    ),
    _hold(
        "slow-readers",
        "files that are not taken",
        partial(slow_reader, path=_LARGE_FILE),
        500,
        "as slowhttptest does",
    ),
    _flow(
        "refused",
        "WebSockets without a key",
        partial(knocks, data=refused),
        150,
        "a line of the log each",
    ),
    _flow(
        "behind-frames",
        "64 KB of frames behind such a handshake",
        partial(knocks, data=refused_then_frames),
        60,
        "16 ms each: a core",
    ),
    _flow(
        "behind-garbage",
        "what is no frame behind it",
        partial(knocks, data=refused_then_garbage),
        150,
        "2 kB of the log each",
    ),
    _flow("guesses", "wrong keys", partial(asks, make=guesses), 500, "a third of a core"),
    _flow(
        "guesses-beside",
        "wrong keys from an honest address",
        partial(asks, make=guesses),
        20,
        "one locks it out",
        same_address=True,
    ),
    _flow(
        "guesses-scattered",
        "wrong keys, each from another address",
        scattered_guesses,
        100,
        "as many as one Python process makes",
    ),
    _flow(
        "missing",
        "modules that do not exist",
        _get("/web/no-such-file"),
        800,
        "a folder was walked for each",
    ),
    _flow("healthz", "the shortest answer there is", _get("/healthz"), 2000, "half a core"),
    _flow("no-key", "requests that are refused", _get("/metrics"), 1500, "half a core"),
    _hold(
        "trust-held",
        "requests at the trust page, begun and held",
        partial(held, data=b"GET /trust HTTP/1.1\r\nHo", trust=True),
        100,
        "it has 64 places",
        wish=Wish.TRUST,
    ),
    _flow(
        "trust-flood",
        "requests at the trust page",
        partial(knocks, data=trust_page, trust=True),
        300,
        "half a core",
        wish=Wish.TRUST,
    ),
]
