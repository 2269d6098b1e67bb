"""All cameras by name."""

from __future__ import annotations

from typing import Any

import pytest

from drawercam.live.gone import KEPT, MAX_GONE, Departure, Departures
from drawercam.live.hub import MAX_AWAITED, MAX_CHANNELS, Hub, HubFull
from drawercam.media.packets import Packet
from drawercam.protocol import messages as control
from groundwork.connections.limits import share_of
from tests.live.test_channel import KEY_FRAME, PICTURE, Clock, FakeCamera, FakeViewer
from tests.live.test_gathering import Timer
from tests.live.test_gone import Date


class FakeWall:
    def __init__(self) -> None:
        self.told: list[control.Message] = []

    def tell(self, message: control.Message) -> None:
        self.told.append(message)

    @property
    def entries(self) -> list[dict[str, Any]]:
        last = self.told[-1]
        assert isinstance(last, control.Cameras)
        return list(last.cameras)

    @property
    def shown(self) -> list[tuple[str, str]]:
        return [(camera["name"], camera["state"]) for camera in self.entries]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def date() -> Date:
    return Date()


@pytest.fixture
def hub(clock: Clock, date: Date) -> Hub:
    return Hub(clock, departures=Departures(date, date.elapsed))


def on_air(hub: Hub, name: str, address: str = "a") -> FakeCamera:
    """A camera that has sent a picture."""
    camera, channel = FakeCamera(), hub.channel(name)
    channel.take(camera, address)
    channel.set_track(PICTURE)
    channel.publish(Packet(PICTURE, hub.clock(), True, KEY_FRAME), hub.clock())
    return camera


def test_a_name_has_one_channel(hub: Hub) -> None:
    assert hub.channel("porch") is hub.channel("porch")
    assert hub.channel("a" * 32).name == "a" * 32


@pytest.mark.parametrize("name", ["", "-a", "Porch", "a_b", "a/b", "..", "a" * 33, "porch\n", "é"])
def test_what_is_no_name(hub: Hub, name: str) -> None:
    with pytest.raises(ValueError, match="1 to 32"):
        hub.channel(name)


def test_the_wall_sees_cameras_come_and_go(hub: Hub, date: Date) -> None:
    wall = FakeWall()
    hub.watch(wall)
    assert wall.shown == []
    hub.channel("porch").join(FakeViewer())
    assert wall.shown == [], "a viewer that waits is no camera"
    camera = on_air(hub, "porch")
    hub.channel("attic").take(FakeCamera())
    assert wall.shown == [("attic", "waiting"), ("porch", "live")]
    date.pass_by(5_000)
    hub.channel("porch").leave(camera, "lost")
    assert wall.entries == [
        {"name": "attic", "state": "waiting", "kinds": []},
        {"name": "porch", "state": "gone", "kinds": [], "reason": "lost", "since": date.utc},
    ]
    date.pass_by(KEPT - 1)
    hub.sweep()
    assert wall.shown == [("attic", "waiting"), ("porch", "gone")]
    date.pass_by(1)
    hub.sweep()
    assert wall.shown == [("attic", "waiting")]
    hub.unwatch(wall)
    count = len(wall.told)
    hub.channel("porch").take(camera)
    assert len(wall.told) == count


def test_a_camera_that_comes_back_leaves_the_list_and_is_in_it_again_when_it_goes(
    hub: Hub, date: Date
) -> None:
    wall, viewer = FakeWall(), FakeViewer()
    hub.watch(wall)
    hub.awaited("porch", "a").join(viewer)
    hub.channel("porch").leave(on_air(hub, "porch"), "closed")
    again = FakeCamera()
    hub.channel("porch").take(again)
    assert wall.entries == [{"name": "porch", "state": "waiting", "kinds": []}]
    date.pass_by(60_000)
    hub.channel("porch").leave(again, "left")
    assert wall.entries == [
        {"name": "porch", "state": "gone", "kinds": [], "reason": "left", "since": date.utc}
    ]
    told = [(one.state, one.since) for one in viewer.told if isinstance(one, control.ChannelState)]
    assert told == [
        ("waiting", None),
        ("live", None),
        ("gone", date.utc - 60_000),
        ("waiting", None),
        ("gone", date.utc),
    ]


def test_what_a_camera_is_called_is_told_to_all_and_outlives_it(hub: Hub, date: Date) -> None:
    wall, viewer, porch = FakeWall(), FakeViewer(), hub.channel("porch")
    hub.watch(wall)
    porch.join(viewer)
    camera = on_air(hub, "porch")
    assert (
        wall.entries == [{"name": "porch", "state": "live", "kinds": ["video"]}]
        and "label" not in porch.report()
    )
    porch.camera_is_called("Дверь")
    porch.camera_is_called(None)  # its sound, which need not say it again
    assert wall.entries[0]["label"] == porch.report()["label"] == "Дверь"
    assert viewer.told[-1] == control.ChannelState("live", label="Дверь")
    porch.camera_is_called("Door")
    porch.leave(camera, "lost")
    gone = {
        "name": "porch",
        "state": "gone",
        "kinds": [],
        "label": "Door",
        "reason": "lost",
        "since": date.utc,
    }
    assert wall.entries == [gone]
    porch.take(FakeCamera())
    assert wall.entries[0]["label"] == "Door", "it is the same until it says what it is called"
    porch.camera_is_called(None)
    assert wall.entries == [{"name": "porch", "state": "waiting", "kinds": []}]


def test_the_list_from_before_has_labels(clock: Clock, date: Date) -> None:
    departures = Departures(date, date.elapsed)
    departures.recall([Departure("porch", "a", "left", date.utc - 5, "Дверь")])
    hub, wall = Hub(clock, departures=departures), FakeWall()
    hub.watch(wall)
    assert wall.entries[0]["label"] == "Дверь"
    camera = FakeCamera()
    hub.channel("porch").take(camera)
    hub.channel("porch").leave(camera, "closed")
    assert [one.label for one in departures] == ["Дверь"]


def test_a_camera_that_never_showed_anything_is_forgotten(hub: Hub) -> None:
    wall, camera, viewer = FakeWall(), FakeCamera(), FakeViewer()
    hub.watch(wall)
    for name in ("porch", "attic"):
        hub.channel(name).take(camera)
        hub.channel(name).join(viewer)
        hub.channel(name).leave(camera, "lost")
    assert wall.shown == [] and viewer.states[-1] == ("gone", "lost"), (
        "but who waits for it is told"
    )


def test_a_name_that_was_taken_over_is_not_gone_before_the_last_camera_is(hub: Hub) -> None:
    wall = FakeWall()
    hub.watch(wall)
    first, second = on_air(hub, "porch"), FakeCamera()
    hub.channel("porch").take(second, "b")
    hub.channel("porch").leave(first, "lost")
    assert wall.shown == [("porch", "waiting")]
    hub.channel("porch").leave(second, "lost")
    assert wall.shown == [("porch", "gone")], (
        "it was on this wall, though its last camera showed nothing"
    )


def test_what_was_gone_before_this_relay_is_listed_and_told_to_who_watches(
    clock: Clock, date: Date
) -> None:
    departures = Departures(date, date.elapsed)
    departures.recall(
        [
            Departure("porch", "a", "left", date.utc - 5),
            Departure("attic", "a", "lost", date.utc - KEPT),
        ]
    )
    hub, wall = Hub(clock, departures=departures), FakeWall()
    hub.watch(wall)
    porch = {"name": "porch", "state": "gone", "kinds": [], "reason": "left", "since": date.utc - 5}
    assert wall.entries == [porch]
    viewer = FakeViewer()
    hub.awaited("porch", "a").join(viewer)
    assert viewer.told == [control.ChannelState("gone", "left", since=date.utc - 5)]
    [report] = [one.report() for one in hub.cameras()]
    assert (report["name"], report["state"], report["reason"], report["since"]) == (
        "porch",
        "gone",
        "left",
        date.utc - 5,
    )
    assert (report["tracks"], report["viewers"], report["age"]) == ([], 1, None)
    # Another list is found later, when viewers wait already.
    waits = FakeViewer()
    hub.awaited("cellar", "a").join(waits)
    departures.recall(
        [
            Departure("cellar", "a", "closed", date.utc - 7),
            Departure("porch", "a", "lost", date.utc - 8),
        ]
    )
    hub.sweep()
    assert wall.shown == [("cellar", "gone"), ("porch", "gone")] and wall.entries[1] == porch
    assert waits.told[-1] == control.ChannelState("gone", "closed", since=date.utc - 7)


def test_a_camera_that_is_back_before_the_list_is_found_is_not_gone_and_remembered_when_it_goes(
    clock: Clock, date: Date
) -> None:
    departures = Departures(date, date.elapsed)
    hub, wall, camera = Hub(clock, departures=departures), FakeWall(), FakeCamera()
    hub.watch(wall)
    hub.channel("porch").take(camera, "b")
    departures.recall([Departure("porch", "a", "lost", date.utc - 5_000)])
    hub.sweep()
    assert wall.shown == [("porch", "waiting")] and departures.on_air == {"porch": "b"}
    hub.channel("porch").leave(camera, "left")
    assert list(departures) == [Departure("porch", "b", "left", date.utc)] and wall.shown == [
        ("porch", "gone")
    ]


def test_when_the_clock_is_set_all_are_told_the_right_time(hub: Hub, date: Date) -> None:
    wall, viewer = FakeWall(), FakeViewer()
    hub.watch(wall)
    hub.awaited("porch", "a").join(viewer)
    hub.channel("porch").leave(on_air(hub, "porch"), "lost")
    date.pass_by(90_000)
    date.utc += 1_700_000_000_000  # it has learnt from the network what time it is
    hub.sweep()
    assert wall.entries[0]["since"] == date.utc - 90_000
    assert viewer.told[-1] == control.ChannelState("gone", "lost", since=date.utc - 90_000)
    told = len(viewer.told), len(wall.told)
    hub.sweep()
    assert (len(viewer.told), len(wall.told)) == told, "that is no news"


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
    assert hub.awaited("x0", "hostile") is hub.find("x0"), (
        "for a name that is waited for already there is room"
    )
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


def test_a_stranger_of_many_names_has_the_others_remembered_and_the_relay_small(
    hub: Hub, clock: Clock
) -> None:
    wall = FakeWall()
    hub.watch(wall)
    for name in ("porch", "attic"):
        hub.channel(name).leave(on_air(hub, name, "192.0.2.1"), "lost")
    for number in range(3 * MAX_CHANNELS):
        clock.time += 1
        hub.channel(f"x{number}").leave(
            on_air(hub, f"x{number}", "2001:db8::" + f"{number:x}"), "left"
        )
        assert len(hub.channels) <= MAX_CHANNELS
    hub.sweep()
    kept = [
        f"x{number}" for number in range(3 * MAX_CHANNELS - share_of(MAX_GONE), 3 * MAX_CHANNELS)
    ]
    assert wall.shown == [(name, "gone") for name in sorted(["porch", "attic", *kept])]
    assert len(hub.channels) == len(wall.shown)


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
