"""The servers that are compared, each in a process of its own on one processor: the relay, the
floor, and Node's `ws`.

::

    async with RelayServer(case, core, state) as server:
        address, process = server.address, server.pid
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from certs import Authority
from drawercam.server.sockets.in_flight import NEWCOMER, PROBE_SELDOM
from tests.harness.relays import Relay

from .feeds import FloorFilm, NodeFilm
from .floor import Floor
from .remote import Address, Remote
from .scripted_camera import Film

NAME = "film"
"""The camera's."""

HEAD = 27
"""Bytes before the picture in a media message: a Cluster with one SimpleBlock
(docs/protocol.md).
"""

INSTALL_DEADLINE = 120.0
"""Seconds for npm."""

NODE_FOLDER = Path(__file__).resolve().parent.parent / "node"

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Case:
    """What is asked of a server.

    Attributes:
        viewers: How many there are.
        size: Bytes of each message to them, without its WebSocket head.
        tls: Whether it is over TLS.
    """

    viewers: int
    size: int
    tls: bool

    def __str__(self) -> str:
        return f"{self.viewers} x {self.size / 1000:g} KB {'TLS' if self.tls else 'plain'}"

    @property
    def picture(self) -> tuple[int, int]:
        """The sizes for the camera, of which all pictures are keyframes or as large."""
        return self.size - HEAD, self.size - HEAD

    @property
    def framed(self) -> int:
        """Bytes of a message with its WebSocket head (RFC 6455 section 5.2)."""
        return self.size + (2 if self.size < 126 else 4 if self.size < 2**16 else 10)


@contextmanager
def on(core: int) -> Iterator[None]:
    """Whatever this thread starts meanwhile runs on one processor only (sched_setaffinity(2):
    children inherit it).
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def resident(process: int) -> int:
    """Bytes of memory that it holds (proc(5), VmRSS)."""
    return (
        int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())[0]) * 1024
    )


class Server:
    """One contestant: `async with`.

    Attributes:
        name: For tables.
        settling: Seconds from the last viewer's coming to the span that counts.
        film: The camera that speaks its language.
        address: Where it listens.
        pid: Its process.
    """

    name: str
    settling = 1.5
    film: type[Film]
    address: Address
    pid: int

    def __init__(self, case: Case, core: int, state: Path) -> None:
        """
        Args:
            core: Its processor.
            state: A folder as the relay's state folder, where certificates are or will be.
        """
        self.case = case
        self._core = core
        self._state = state

    def _certificate(self) -> tuple[str, str] | None:
        """The files that the relay would serve."""
        if not self.case.tls:
            return None
        served = Authority(self._state / "certs").ensure([], [])
        return str(served.cert_file), str(served.key_file)

    def _address_at(self, port: int) -> Address:
        return Address(port, str(self._state / "certs" / "ca.crt") if self.case.tls else None)

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(self, *exception: object) -> None:
        raise NotImplementedError


class RelayServer(Server):
    """The real one."""

    name, film = "relay", Film
    settling = NEWCOMER + 3 * PROBE_SELDOM
    """It watches newcomers closely."""

    async def __aenter__(self) -> Self:
        options = ["--tls", "--no-key", "--host", "127.0.0.1"] if self.case.tls else []
        self._relay = Relay(
            "--no-qr", "--log-level", "warning", "--always-on", NAME, *options, state=self._state
        )
        await asyncio.to_thread(_with, on(self._core), self._relay.start)
        self.address, self.pid = Address.of(self._relay), self._relay.pid
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await asyncio.to_thread(self._relay.kill)


class FloorServer(Server):
    """See floor.py."""

    name, film = "floor", FloorFilm

    async def __aenter__(self) -> Self:
        self._floor = Remote(Floor, self.case.framed, self._certificate(), core=self._core)
        await self._floor.__aenter__()
        self.address, self.pid = self._address_at(await self._floor.ask("port")), self._floor.pid
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._floor.__aexit__(*exception)


class NodeServer(Server):
    """See node/fanout.js."""

    name, film = "node", NodeFilm

    async def __aenter__(self) -> Self:
        command = ["node", str(NODE_FOLDER / "fanout.js"), *(self._certificate() or ())]
        self._process = await asyncio.to_thread(
            _with,
            on(self._core),
            lambda: subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            ),
        )
        assert self._process.stdout is not None
        line = await asyncio.to_thread(self._process.stdout.readline)
        if not line.strip().isdigit():
            await self.__aexit__()
            raise RuntimeError("Node did not start its server")
        self.address, self.pid = self._address_at(int(line)), self._process.pid
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def missing_node() -> str:
    """Why there is no Node with `ws` to compare with, in a sentence; "" if there is.

    Installs `ws` the first time.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "Node or npm is missing, so there is no comparison with ws (apt install nodejs npm)."
    if not (NODE_FOLDER / "node_modules" / "ws").is_dir():
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        try:
            done = subprocess.run(
                command, cwd=NODE_FOLDER, capture_output=True, text=True, timeout=INSTALL_DEADLINE
            )
        except subprocess.TimeoutExpired:
            return (
                f"npm did not install ws within {INSTALL_DEADLINE:.0f} s, so there is no "
                "comparison with it."
            )
        if done.returncode:
            return (
                "npm could not install ws, so there is no comparison with it: "
                f"{done.stderr.strip().splitlines()[-1]}"
            )
    return ""


def _with(context: AbstractContextManager[None], work: Callable[[], _Result]) -> _Result:
    with context:
        return work()
