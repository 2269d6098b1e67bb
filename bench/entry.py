"""How long does it take to get in, and to be put out? `python -m bench.entry`

From the command to the printed addresses, at a relay's first start and at its next one; a TLS
handshake alone, and a whole socket up to the relay's `welcome`, without TLS and with it; and from
the end of `relay.py keys revoke` to the end of the socket that the key had opened. The starts
include a new Python interpreter. The client is Python, too, so a part of each handshake is the
client's work.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

if not __package__:
    # Started as a file: the repository, and not this folder, is where modules are looked for.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    __package__ = "bench"

from bench.gauges.machine import Machine
from bench.gauges.samples import percentile
from bench.report.table import aligned
from bench.report.targets import Target, listed
from drawercam.access.grants import Access
from drawercam.access.key import ALL, NOTHING, Key
from drawercam.access.keys import COOKIE, Keyring
from tests.harness.peers import peer
from tests.harness.relays import ROOT, Relay

from . import command

START_LIMIT = 2.0
"""Seconds from the command to the printed codes."""

REVOKED_LIMIT = 1.0
"""Seconds from the revoked key to the end of what it opened."""

WARM = 10
"""Handshakes before those that count: the first ones load code."""

HANDSHAKES = 20
"""Of each kind in a round."""

NOTICED = 1.0
"""Seconds after which the relay knows a key that was made."""

OPTIONS = ("--tls", "--host", "127.0.0.1")


@dataclass
class Waits:
    """All measurements of one kind, in seconds.

    Attributes:
        name: For people.
        limit: What is claimed, if something is.
    """

    name: str
    limit: float | None = None
    seconds: list[float] = field(default_factory=list)

    def line(self) -> list[str]:
        values = [median(self.seconds), percentile(self.seconds, 0.95), max(self.seconds)]
        return [self.name, str(len(self.seconds)), *(f"{value * 1000:.1f}" for value in values)]

    def target(self) -> Target:
        worst = max(self.seconds)
        claim = f"{self.name}: under {self.limit:g} s"
        return Target(
            claim,
            f"worst of {len(self.seconds)}: {worst:.2f} s",
            self.limit is not None and worst < self.limit,
        )


def start(first: Waits, again: Waits) -> None:
    """One relay's first start, with an authority and keys to make, and its next one."""
    with tempfile.TemporaryDirectory() as folder:
        for waits in (first, again):
            begin = time.perf_counter()
            with Relay(*OPTIONS, state=Path(folder)):
                waits.seconds.append(time.perf_counter() - begin)


async def timed(waits: Waits, rounds: int, once: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """How long something takes, again and again."""
    for turn in range(WARM + rounds):
        begin = time.perf_counter()
        await once()
        if turn >= WARM:
            waits.seconds.append(time.perf_counter() - begin)


async def connect(relay: Relay) -> None:
    """TCP and TLS, without a session to resume."""
    _, writer = await asyncio.open_connection("127.0.0.1", relay.port, ssl=relay.context)
    writer.transport.abort()


async def watch(relay: Relay, cookie: str) -> None:
    """All that a player's socket needs, up to the first message."""
    async with peer(relay, "/player/porch", additional_headers={"Cookie": cookie}) as viewer:
        await viewer.message("welcome")
        viewer.connection.transport.abort()


async def revoke(relay: Relay, ring: Keyring, waits: Waits, rounds: int) -> None:
    """Keys are made, let somebody in, and are revoked by the command."""
    for _ in range(rounds):
        key = ring.add(NOTHING, ALL)
        ring.refresh()
        await asyncio.sleep(NOTICED)
        async with peer(
            relay, "/player/porch", additional_headers={"Cookie": cookie_of(ring, key)}
        ) as viewer:
            await viewer.message("welcome")
            words = (
                sys.executable,
                "relay.py",
                "keys",
                "revoke",
                key.id,
                "--state",
                str(relay.state),
            )
            done = await asyncio.create_subprocess_exec(
                *words, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
            )
            if await done.wait() != 0:
                raise RuntimeError("relay.py keys revoke has failed")
            begin = time.perf_counter()
            await viewer.closed()
            waits.seconds.append(time.perf_counter() - begin)


def cookie_of(ring: Keyring, key: Key) -> str:
    """The cookie that a browser gets for a key."""
    return f"{Access(ring).cookie_name(key)}={ring.token(key, COOKIE)}"


async def run(chosen: argparse.Namespace) -> int:
    """Measure and print; returns the exit status."""
    machine = Machine.look("no browser")
    print(f"{machine}\n", flush=True)
    first, again = (
        Waits("the first start, up to the codes", START_LIMIT),
        Waits("each later start, up to the codes", START_LIMIT),
    )
    for _ in range(chosen.rounds):
        await asyncio.to_thread(start, first, again)
    tls, plain, secure = (
        Waits("TCP and TLS handshake"),
        Waits("a viewer's socket, without TLS"),
        Waits("a viewer's socket, with TLS and key"),
    )
    revoked = Waits("a revoked key's socket is closed", REVOKED_LIMIT)
    with Relay() as one, Relay(*OPTIONS) as other:
        ring = Keyring.open(other.state)
        _, key = ring.for_links()
        if key is None:
            raise RuntimeError("a new relay has no key to watch")
        for _ in range(chosen.rounds):
            await timed(tls, HANDSHAKES, lambda: connect(other))
            await timed(plain, HANDSHAKES, lambda: watch(one, ""))
            await timed(secure, HANDSHAKES, lambda: watch(other, cookie_of(ring, key)))
        await revoke(other, ring, revoked, chosen.rounds)
    kinds = [first, again, tls, plain, secure, revoked]
    print(aligned(["ms", "times", "p50", "p95", "worst"], [waits.line() for waits in kinds]))
    print(f"\n{listed(waits.target() for waits in kinds if waits.limit is not None)}")
    command.write(chosen, machine, [asdict(waits) for waits in kinds])
    return 0


def main(arguments: Sequence[str]) -> int:
    """The program; returns its exit status."""
    return command.status(
        run(
            command.rounds(
                "entry.py", "Measure how long it takes to get in, and to be put out.", arguments
            )
        )
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
