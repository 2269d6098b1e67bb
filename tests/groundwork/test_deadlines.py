"""Time in which the relay itself stood still counts for nobody."""

from __future__ import annotations

import asyncio
import time

import pytest

from groundwork import deadlines
from groundwork.deadlines import MOST_LATE, STEP, Deadline, ServedTime


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def test_it_is_the_clock_while_looks_are_in_time() -> None:
    clock = Clock()
    served = ServedTime(clock)
    for late in (0.0, MOST_LATE / 2, MOST_LATE):
        clock.time += STEP + late
        assert served() == clock.time
        assert served.look()
        assert served() == clock.time


def test_a_loop_that_stood_still_takes_nobodys_time() -> None:
    clock = Clock()
    served = ServedTime(clock)
    before = served()
    clock.time += 3600
    assert served() == before + STEP + MOST_LATE, "also before the look"
    assert not served.look(), "what has come is to be read first"
    assert served() == before + STEP + MOST_LATE
    clock.time += STEP
    assert served.look()
    assert served() == before + 2 * STEP + MOST_LATE


def test_it_never_goes_back() -> None:
    clock = Clock()
    served, last = ServedTime(clock), 0.0
    for wait in (0.3, 1.0, 5.0, 0.0, 0.7, 2.0, 2.0, 0.1, 1.4):
        clock.time += wait
        assert served() >= last
        served.look()
        assert served() >= last
        last = served()


def test_a_relay_that_is_always_late_judges_all_the_same() -> None:
    clock = Clock()
    served = ServedTime(clock)
    judged = []
    for _ in range(4):
        clock.time += 10 * STEP
        judged.append(served.look())
    assert judged == [False, True, True, True]


async def test_a_deadline_ends_what_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "STEP", 0.01)
    with pytest.raises(TimeoutError):
        async with Deadline(0.03):
            await asyncio.Event().wait()
    async with Deadline(0.0001) as deadline:
        deadline.restart()
    with pytest.raises(TimeoutError):
        async with Deadline(60) as deadline:
            deadline.end()
            deadline.end()
            await asyncio.Event().wait()


async def test_while_the_loop_stands_still_no_deadline_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadlines, "STEP", 0.02)
    monkeypatch.setattr(deadlines, "MOST_LATE", 0.05)
    loop, came = asyncio.get_running_loop(), asyncio.Event()

    def stand_still() -> None:
        time.sleep(0.2)
        loop.call_later(0.01, came.set)  # it was there in time, and is read only now

    loop.call_later(0.001, stand_still)
    async with Deadline(0.02):
        await came.wait()
