"""What many are told: the first at once, then the newest."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from drawercam.live.gathering import GATHERED, Gathered


class Timer:
    """An event loop's timer, whose time a test lets pass.

    Attributes:
        time: Seconds.
    """

    def __init__(self) -> None:
        self.time = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.time + seconds, self._count, work))

    def run(self, seconds: float) -> None:
        end = self.time + seconds
        while self._due and self._due[0][0] <= end:
            self.time, _, work = heapq.heappop(self._due)
            work()
        self.time = end


class Scene:
    """Attributes: value: How things are; said: what was said of it, and when."""

    def __init__(self, timed: bool = True) -> None:
        self.timer = Timer()
        self.value = 0
        self.said: list[tuple[float, int]] = []
        self.gathered = Gathered(
            self.timer.later if timed else None,
            lambda: self.said.append((self.timer.time, self.value)),
        )

    def change(self) -> None:
        self.value += 1
        self.gathered()


def test_the_first_is_said_at_once_and_the_newest_after_a_while() -> None:
    scene = Scene()
    for _ in range(5):
        scene.change()
    assert scene.said == [(0.0, 1)]
    scene.timer.run(GATHERED)
    assert scene.said == [(0.0, 1), (GATHERED, 5)]
    scene.timer.run(10)
    assert len(scene.said) == 2, "there is no news"
    scene.change()
    assert len(scene.said) == 3, "at once again"


@given(st.lists(st.floats(0, 3 * GATHERED), max_size=40))
def test_the_last_is_always_said_and_never_more_than_ten_a_second(pauses: list[float]) -> None:
    scene = Scene()
    for pause in pauses:
        scene.timer.run(pause)
        scene.change()
    scene.timer.run(2 * GATHERED)
    assert len(scene.said) <= scene.timer.time / GATHERED + 1
    if pauses:
        assert scene.said[-1][1] == scene.value


def test_what_must_not_come_later_is_said_before() -> None:
    scene = Scene()
    scene.change()
    scene.gathered.flush()
    assert len(scene.said) == 1, "there is no news"
    scene.change()
    scene.gathered.flush()
    scene.change()
    scene.gathered.at_once()
    assert [value for _, value in scene.said] == [1, 2, 3]
    scene.timer.run(10)
    assert len(scene.said) == 3


def test_without_a_timer_all_is_said_at_once() -> None:
    scene = Scene(timed=False)
    for _ in range(5):
        scene.change()
    assert [value for _, value in scene.said] == [1, 2, 3, 4, 5]
