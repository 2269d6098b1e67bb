"""Memory that goes back to the system after a crowd has come."""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from drawercam.server import free_memory as heap
from drawercam.server import server as servers
from tests.harness.relays import ROOT
from tests.server.http.cameras.test_live_file import House
from tests.server.test_promises import eventually

# What a crowd of handshakes leaves behind: much that is free, each piece of it below a little that
# is not.
CROWD = """
from pathlib import Path
from drawercam.server import free_memory as heap
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
passing, staying = [], []
for _ in range(500):
    passing.append(bytearray(b"x") * 60_000)
    staying.append(bytearray(b"x") * 2_000)
passing.clear()
before = resident()
heap.trim()
print(before - resident())
"""


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists() or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="needs Linux and glibc",
)
def test_what_lies_free_goes_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CROWD], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 20_000_000, "of 30 MB"


def test_where_there_is_no_such_call_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    heap._malloc_trim.cache_clear()
    try:
        heap.trim()
    finally:
        heap._malloc_trim.cache_clear()


async def test_the_relay_does_so_once_after_many_have_come_and_once_after_they_have_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trims: list[int] = []
    monkeypatch.setattr(heap, "trim", lambda: trims.append(1))
    monkeypatch.setattr(servers, "SWEEP_INTERVAL", 3600.0)
    async with House() as house:
        server = house.server

        async def crowd(count: int) -> list[asyncio.StreamWriter]:
            came = server._arrived
            found = [
                (await asyncio.open_connection("127.0.0.1", house.port))[1] for _ in range(count)
            ]
            await eventually(lambda: server._arrived == came + count, "all are in")
            return found

        def sweeps(count: int) -> int:
            for _ in range(count):
                server._sweep()
            return len(trims)

        writers = await crowd(servers.TRIM_AFTER - 1)
        assert sweeps(3) == 0, "those were few"
        writers += await crowd(1)
        assert sweeps(1) == 0, "more may be coming"
        assert sweeps(3) == 1
        writers += await crowd(servers.TRIM_AFTER)
        assert sweeps(4) == 2
        for viewers, trimmed in ((100, 3), (90, 3), (80, 4), (70, 4), (0, 5)):
            server._give_back(viewers)
            assert len(trims) == trimmed, "who leaves leaves memory behind, too"
        for writer in writers:
            writer.close()


def test_a_relay_looks_through_what_is_old_by_itself() -> None:
    """The collector would do it at each quarter more; in a process of its own, because what it is
    told holds for the whole process.
    """
    script = """
import gc
from drawercam.server import free_memory as heap
heap.settle()
seen = []
gc.callbacks.append(lambda phase, info: seen.append(info["generation"]) if phase == "start" else None)
many = [[one] for one in range(200_000)]
print(max(seen) < 2, bool(seen))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "True"]


async def test_it_does_so_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[float] = []
    async with House() as house:
        server = house.server
        time = server.now()
        monkeypatch.setattr(server, "now", lambda: time)
        monkeypatch.setattr(heap, "collect", lambda: collected.append(time))
        begun = time
        while time < begun + 3 * servers.COLLECT_INTERVAL:
            time += 1.0
            server._sweep()
    assert len(collected) == 3
