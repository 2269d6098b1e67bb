"""All cameras by name."""

from __future__ import annotations

import pytest

from drawercam import control
from drawercam.hub import LOST_LINGER, MAX_AWAITED, MAX_CHANNELS, Hub, HubFull
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


def test_viewers_who_wait_take_no_room_of_cameras_and_not_all_of_theirs(hub: Hub) -> None:
    viewers = [FakeViewer() for _ in range(MAX_AWAITED)]
    names = iter(f"x{number}" for number in range(1000))
    for viewer in viewers[: MAX_AWAITED * 3 // 4]:
        hub.awaited(next(names), "hostile").join(viewer)
    with pytest.raises(HubFull, match="this address"):
        hub.awaited("porch", "hostile")
    assert hub.awaited("x0", "hostile") is hub.find("x0"), "for a name that is waited for already there is room"
    for viewer in viewers[MAX_AWAITED * 3 // 4 :]:
        hub.awaited(next(names), "another").join(viewer)
    with pytest.raises(HubFull):
        hub.awaited("porch", "a third one")
    for number in range(MAX_CHANNELS):
        hub.channel(f"cam-{number}").take(FakeCamera())
    hub.channel("x0").take(FakeCamera())
    assert viewers[0].states[-1] == ("waiting", None)
    hub.awaited("porch", "a third one")  # in the place of that name, which has a camera now
    assert len(hub.channels) == MAX_AWAITED + MAX_CHANNELS + 1


def test_a_name_that_had_a_camera_is_waited_for_without_a_place(hub: Hub) -> None:
    camera, viewer = FakeCamera(), FakeViewer()
    channel = hub.awaited("porch", "a")
    channel.join(viewer)
    for _ in range(3):
        hub.channel("porch").take(camera)
        channel.leave(camera, "left")
        hub.sweep()
    for number in range(MAX_AWAITED * 3 // 4):
        hub.awaited(f"x{number}", "a").join(FakeViewer())
    assert hub.awaited("porch", "b") is channel
    channel.part(viewer)
    hub.sweep()
    assert hub.find("porch") is None
    with pytest.raises(HubFull):
        hub.awaited("porch", "a")


def test_places_to_wait_are_given_back(hub: Hub) -> None:
    for _ in range(2):
        viewers = [FakeViewer() for _ in range(MAX_AWAITED * 3 // 4)]
        channels = [hub.awaited(f"x{number}", "a") for number in range(len(viewers))]
        for channel, viewer in zip(channels, viewers, strict=True):
            channel.join(viewer)
        with pytest.raises(HubFull):
            hub.awaited("porch", "a")
        for channel, viewer in zip(channels, viewers, strict=True):
            channel.part(viewer)
        hub.sweep()
        assert not hub.channels


def test_cameras_that_are_lost_one_after_the_other_are_forgotten_early(hub: Hub, clock: Clock) -> None:
    wall, camera = FakeWall(), FakeCamera()
    hub.watch(wall)
    for number in range(MAX_CHANNELS + 3):
        clock.time += 1
        hub.channel(f"cam-{number}").take(camera)
        hub.channel(f"cam-{number}").leave(camera, "lost")
    assert len(hub.channels) == MAX_CHANNELS and hub.find("cam-2") is None and hub.find("cam-3") is not None
    assert ("cam-2", "gone") not in wall.shown and ("cam-3", "gone") in wall.shown


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
