"""What turns a camera: a simulated mount on a clock that the test sets, and the HAT's driver on a
package that only writes down.
"""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.film.pan_tilt import (
    HAT_REACH,
    SPEED,
    ZOOM_SPEED,
    PanTiltHat,
    Simulator,
    TurningError,
)
from drawercam.protocol import messages as control
from drawercam.protocol.messages import Axis, Orient, Turns


class Seconds:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


# --- the simulator ---


def test_it_begins_straight_ahead_and_says_what_it_turns() -> None:
    mount = Simulator()
    assert mount.view() == (0, 0, 1)
    assert mount.ranges() == Turns(Axis(-90, 90, now=0), Axis(-45, 45, now=0), Axis(1, 4, now=1))
    assert control.parse(control.encode(mount.ranges()), control.FROM_CAMERA) == mount.ranges()


def test_it_takes_its_time_and_says_at_once_where_it_goes() -> None:
    clock = Seconds()
    mount = Simulator(clock=clock)
    turned = mount.turn(Orient(90, -45, 3))
    assert [axis.now for axis in turned.axes().values()] == [90, -45, 3]
    assert mount.view() == (0, 0, 1)
    clock.time += 0.25
    assert mount.view() == pytest.approx((SPEED / 4, -SPEED / 4, 1 + ZOOM_SPEED / 4))
    clock.time += 60
    assert mount.view() == (90, -45, 3)


def test_a_new_wish_on_the_way_begins_where_it_is() -> None:
    clock = Seconds()
    mount = Simulator(clock=clock)
    mount.turn(Orient(90))
    clock.time += 0.5
    mount.turn(Orient(-90))
    assert mount.view()[0] == pytest.approx(SPEED / 2)
    clock.time += 0.1
    assert mount.view()[0] == pytest.approx(SPEED / 2 - SPEED / 10)


def test_what_it_does_not_have_it_does_not_turn() -> None:
    clock = Seconds()
    mount = Simulator(zoom=Axis(2, 5, now=4), clock=clock)
    assert mount.turn(Orient(10, 10, 5)) == Turns(zoom=Axis(2, 5, now=5))
    clock.time += 60
    assert mount.view() == (0, 0, 5)
    mount.rest()
    assert mount.ranges() == Turns(zoom=Axis(2, 5, now=5))


@given(wishes=st.lists(st.tuples(st.floats(-1000, 1000), st.floats(0, 5)), max_size=8))
def test_it_never_leaves_its_range_nor_goes_too_fast(wishes: list[tuple[float, float]]) -> None:
    clock = Seconds()
    mount = Simulator(pan=Axis(-90, 90), clock=clock)
    place = 0.0
    for wish, seconds in wishes:
        mount.turn(Orient(wish))
        assert mount.view()[0] == pytest.approx(place)
        clock.time += seconds
        then = mount.view()[0]
        assert -90 <= then <= 90 and abs(then - place) <= SPEED * seconds + 1e-6
        place = then


# --- the HAT ---


class Hat(ModuleType):
    """As much of `pantilthat` as a driver uses: writes down what it is told, or fails as a bus
    without a HAT does.
    """

    def __init__(self) -> None:
        super().__init__("pantilthat")
        self.done: list[tuple[object, ...]] = []
        self.broken = False

    def _do(self, *what: object) -> None:
        if self.broken:
            raise OSError("Failed to write byte")
        self.done.append(what)

    def idle_timeout(self, value: float) -> None:
        self._do("idle", value)

    def servo_enable(self, index: int, state: bool) -> None:
        self._do("enable", index, state)

    def pan(self, angle: int) -> None:
        assert type(angle) is int and -90 <= angle <= 90
        self._do("pan", angle)

    def tilt(self, angle: int) -> None:
        assert type(angle) is int and -90 <= angle <= 90
        self._do("tilt", angle)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Hat:
    hat = Hat()
    monkeypatch.setitem(sys.modules, "pantilthat", hat)
    return hat


def test_the_hat_begins_at_rest_and_does_not_know_where_it_stands(package: Hat) -> None:
    hat = PanTiltHat(idle=1.5)
    assert package.done == [("idle", 1.5), ("enable", 1, False), ("enable", 2, False)]
    assert hat.ranges() == Turns(Axis(-HAT_REACH, HAT_REACH, 1), Axis(-HAT_REACH, HAT_REACH, 1))
    assert control.parse(control.encode(hat.ranges()), control.FROM_CAMERA) == hat.ranges()


@pytest.mark.parametrize(("upside_down", "sign"), [(False, -1), (True, 1)])
def test_the_hat_counts_the_other_way_unless_it_hangs(
    package: Hat, upside_down: bool, sign: int
) -> None:
    hat = PanTiltHat(upside_down=upside_down)
    package.done.clear()
    assert hat.turn(Orient(30.4)) == Turns(Axis(-90, 90, 1, 30), Axis(-90, 90, 1))
    assert hat.turn(Orient(tilt=-10, zoom=2)) == Turns(Axis(-90, 90, 1, 30), Axis(-90, 90, 1, -10))
    assert hat.turn(Orient(500)).pan == Axis(-90, 90, 1, 90)
    assert package.done == [("pan", sign * 30), ("tilt", sign * -10), ("pan", sign * 90)]


def test_the_hat_rests_when_it_is_told_to(package: Hat) -> None:
    hat = PanTiltHat()
    hat.turn(Orient(1))
    package.done.clear()
    hat.rest()
    assert package.done == [("enable", 1, False), ("enable", 2, False)]


def test_a_hat_that_does_not_answer_is_told_of_in_words(package: Hat) -> None:
    hat = PanTiltHat()
    package.broken = True
    with pytest.raises(TurningError, match="does not turn"):
        hat.turn(Orient(5))
    pan = hat.ranges().pan
    assert pan is not None and pan.now is None, "it has not moved"
    hat.rest()
    with pytest.raises(TurningError, match="does not answer"):
        PanTiltHat()


def test_without_its_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks_smbus(index: int, state: bool) -> None:
        raise ImportError(
            "This library requires python3-smbus\nInstall with: sudo apt-get install python3-smbus"
        )

    hat = Hat()
    hat.servo_enable = lacks_smbus  # type: ignore[method-assign]
    for package in (None, hat):
        monkeypatch.setitem(sys.modules, "pantilthat", package)
        with pytest.raises(TurningError, match=r"-m pip install pantilthat smbus$") as told:
            PanTiltHat()
        assert "\n" not in str(told.value)
