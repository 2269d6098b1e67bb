"""All cameras by name."""

from __future__ import annotations

import pytest

from drawercam import control
from drawercam.hub import LOST_LINGER, MAX_CHANNELS, Hub, HubFull
from tests.test_channel import Clock, FakeCamera, FakeViewer
from tests.test_gathering import Timer


class FakeWall:
    def __init__(self) -> None:
        self.told: list[control.Message] = []

    def tell(self, message: control.Message) -> None:
        self.told.append(message)

    @property
    def shown(self) -> list[tuple[str, str]]:
        last = self.told[-1]
        assert isinstance(last, control.Cameras)
        return [(camera["name"], camera["state"]) for camera in last.cameras]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> Hub:
    return Hub(clock)


def test_a_name_has_one_channel(hub: Hub) -> None:
    assert hub.channel("porch") is hub.channel("porch")
    assert hub.channel("a" * 32).name == "a" * 32


@pytest.mark.parametrize("name", ["", "-a", "Porch", "a_b", "a/b", "..", "a" * 33, "porch\n", "é"])
def test_what_is_no_name(hub: Hub, name: str) -> None:
    with pytest.raises(ValueError, match="1 to 32"):
        hub.channel(name)


def test_the_wall_sees_cameras_come_and_go(hub: Hub, clock: Clock) -> None:
    wall, camera = FakeWall(), FakeCamera()
    hub.watch(wall)
    assert wall.shown == []
    hub.channel("porch").join(FakeViewer())
    assert wall.shown == [], "a viewer that waits is no camera"
    hub.channel("porch").take(camera)
    hub.channel("attic").take(FakeCamera())
    assert wall.shown == [("attic", "waiting"), ("porch", "waiting")]
    hub.channel("porch").leave(camera, "lost")
    assert wall.shown == [("attic", "waiting"), ("porch", "gone")]
    clock.time += LOST_LINGER + 1
    hub.sweep()
    assert wall.shown == [("attic", "waiting")]
    hub.unwatch(wall)
    count = len(wall.told)
    hub.channel("porch").take(camera)
    assert len(wall.told) == count


def test_a_camera_that_said_goodbye_goes_at_once(hub: Hub) -> None:
    wall, camera = FakeWall(), FakeCamera()
    hub.watch(wall)
    hub.channel("porch").take(camera)
    hub.channel("porch").leave(camera, "left")
    assert wall.shown == []


def test_deserted_channels_are_forgotten(hub: Hub) -> None:
    viewer = FakeViewer()
    channel = hub.channel("porch")
    channel.join(viewer)
    hub.sweep()
    assert hub.channel("porch") is channel
    channel.part(viewer)
    hub.sweep()
    assert hub.channel("porch") is not channel


def test_there_is_an_end_to_names(hub: Hub) -> None:
    for n in range(MAX_CHANNELS):
        hub.channel(f"cam-{n}")
    with pytest.raises(HubFull):
        hub.channel("one-more")
    assert hub.channel("cam-0")


def test_however_often_cameras_change_walls_are_told_ten_times_a_second(clock: Clock) -> None:
    timer = Timer()
    hub = Hub(clock, later=timer.later)
    walls = [FakeWall(), FakeWall()]
    for wall in walls:
        hub.watch(wall)
    camera = FakeCamera()
    for number in range(1000):
        hub.channel(f"cam-{number % 5}").take(camera)
        if number % 2:
            hub.channel(f"cam-{number % 5}").leave(camera, "left")
        timer.run(0.001)
    hub.channel("last").take(camera)
    timer.run(0.2)
    for wall in walls:
        assert len(wall.told) <= 14 and ("last", "waiting") in wall.shown
    assert walls[0].told[-1] is walls[1].told[-1], "it is made once for all"
