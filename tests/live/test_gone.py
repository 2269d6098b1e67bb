"""Cameras that are gone: who is remembered, for how long, and what a clock that is set does to
it.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.live.gone import KEPT, MAX_GONE, REASONS, Departure, Departures
from groundwork.connections.limits import share_of


class Date:
    """The computer's clock, and the time that passes; a test lets both pass, or sets the clock."""

    def __init__(self) -> None:
        self.utc, self.passed = 1_790_000_000_000, 5_000

    def __call__(self) -> int:
        return self.utc

    def elapsed(self) -> int:
        return self.passed

    def pass_by(self, milliseconds: int) -> None:
        self.utc += milliseconds
        self.passed += milliseconds


class Scene:
    """A list, and how often it has said that it changed."""

    def __init__(self) -> None:
        self.date, self.changes = Date(), 0
        self.list = Departures(self.date, self.date.elapsed)
        self.list.changed = self._changed

    def _changed(self) -> None:
        self.changes += 1

    def visit(self, name: str, address: str = "192.0.2.1", reason: str = "lost") -> None:
        """A camera films and goes."""
        self.list.films(name, address)
        self.list.goes(name, reason, self.list.now())

    @property
    def names(self) -> list[str]:
        return [one.name for one in self.list]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_who_was_live_is_remembered_and_who_comes_back_is_not(scene: Scene) -> None:
    scene.list.goes("porch", "lost", 1)
    scene.list.returns("porch", "192.0.2.1")
    assert (scene.changes, scene.names, scene.list.on_air) == (0, [], {}), "it was never live"
    for _ in range(2):
        scene.list.films("porch", "192.0.2.1")
    assert (scene.changes, scene.list.on_air) == (1, {"porch": "192.0.2.1"})
    scene.list.goes("porch", "left", 7)
    scene.list.goes("porch", "lost", 8)
    assert (scene.changes, list(scene.list)) == (
        2,
        [Departure("porch", "192.0.2.1", "left", 7)],
    ) and "porch" in scene.list
    scene.list.returns("porch", "192.0.2.9")
    assert (scene.changes, scene.names) == (3, []) and "porch" not in scene.list
    scene.list.goes("porch", "closed", 9)
    assert list(scene.list) == [Departure("porch", "192.0.2.9", "closed", 9)]


def test_each_is_remembered_for_a_day(scene: Scene) -> None:
    scene.visit("porch")
    scene.date.pass_by(1000)
    scene.visit("attic")
    scene.date.pass_by(KEPT - 1001)
    assert not scene.list.look() and scene.names == ["porch", "attic"]
    scene.date.pass_by(1)
    changes = scene.changes
    assert scene.list.look() and scene.names == ["attic"] and scene.changes == changes + 1
    assert not scene.list.look(), "that was told"


def test_a_day_that_a_wrong_clock_made_long_ends_too(scene: Scene) -> None:
    """Written down when the clock was years ahead; or read before the clock knows what time it
    is.
    """
    scene.list.recall([Departure("porch", "a", "lost", scene.date.utc + 400 * KEPT)])
    assert scene.list.look() and scene.names == ["porch"]
    scene.date.pass_by(KEPT - 1)
    assert not scene.list.look()
    scene.date.pass_by(1)
    assert scene.list.look() and not scene.names


@pytest.mark.parametrize("step", [-400 * KEPT, -3_600_000, 2_001, 3_600_000, 400 * KEPT])
def test_a_clock_that_is_set_moves_what_it_has_timed_and_nothing_else(
    scene: Scene, step: int
) -> None:
    before = Departure(
        "attic", "a", "left", scene.date.utc + max(0, step) - 60_000
    )  # the clock was right when this was written
    scene.list.recall([before])
    scene.visit("porch")
    assert scene.list.look()
    scene.date.pass_by(30_000)
    scene.date.utc += step
    scene.visit("cellar")  # before anything has looked at the clock
    assert scene.list.look()
    now = scene.date.utc
    assert {one.name: one.since for one in scene.list} == {
        "attic": before.since,
        "porch": now - 30_000,
        "cellar": now,
    }


def test_a_clock_that_is_set_to_its_beginning_makes_no_time_before_that(scene: Scene) -> None:
    scene.visit("porch")
    scene.date.pass_by(30_000)
    scene.date.utc = 5_000
    assert scene.list.look() and [one.since for one in scene.list] == [0]


def test_a_clock_that_is_kept_right_little_by_little_moves_nothing(scene: Scene) -> None:
    scene.visit("porch")
    [before] = scene.list
    for _ in range(100):
        scene.date.pass_by(1000)
        scene.date.utc += 400
        assert not scene.list.look()
    assert list(scene.list) == [before]


def test_one_address_has_its_share_and_forgets_its_own(scene: Scene) -> None:
    share = share_of(MAX_GONE)
    scene.visit("porch", "192.0.2.1")
    for number in range(share + 10):
        scene.visit(f"x{number}", f"2001:db8:0:1::{number:x}")
    assert scene.names == ["porch", *(f"x{number}" for number in range(10, share + 10))], (
        "a network of IPv6 is one"
    )
    for number in range(MAX_GONE):
        scene.visit(f"y{number}", "198.51.100.7")
    held = [sum(name.startswith(letter) for name in scene.names) for letter in "pxy"]
    assert held == [1, MAX_GONE // 2 - 1, MAX_GONE // 2], "the address that has the most gives way"


def test_the_last_ones_are_kept_where_nobody_has_more_than_the_others(scene: Scene) -> None:
    for number in range(MAX_GONE + 5):
        scene.visit(f"cam-{number}", f"192.0.2.{number}")
    assert scene.names == [f"cam-{number}" for number in range(5, MAX_GONE + 5)]


def test_what_a_relay_before_knew_is_no_news_of_who_is_here(scene: Scene) -> None:
    scene.list.films("porch", "a")
    scene.visit("attic", "a", "left")
    mine = list(scene.list)
    scene.list.recall([Departure(name, "b", "lost", 1) for name in ("porch", "attic", "cellar")])
    assert [*mine, Departure("cellar", "b", "lost", 1)] == list(
        scene.list
    ) and scene.list.on_air == {"porch": "a"}


NAMES = st.sampled_from([f"cam-{number}" for number in range(2 * MAX_GONE)])
ADDRESSES = st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", ""])
EVENTS = st.tuples(
    st.sampled_from(["films", "returns", "goes", "look"]),
    NAMES,
    ADDRESSES,
    st.sampled_from(REASONS),
)


@given(st.lists(EVENTS, max_size=600))
def test_nobody_is_both_here_and_gone_and_all_bounds_hold(
    events: list[tuple[str, str, str, str]],
) -> None:
    scene = Scene()
    for what, name, address, reason in events:
        scene.date.pass_by(1000)
        if what == "goes":
            scene.list.goes(name, reason, scene.list.now())
        elif what == "look":
            scene.list.look()
        else:
            getattr(scene.list, what)(name, address)
        assert not scene.list.on_air.keys() & set(scene.names)
        assert len(scene.names) <= MAX_GONE and sorted(one.since for one in scene.list) == [
            one.since for one in scene.list
        ]
