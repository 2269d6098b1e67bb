"""Turning a camera: what it may say that it turns, whose wish is passed on, and who hears of it; no
sockets anywhere.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.live.channel import NotTurned
from drawercam.protocol import messages as control
from drawercam.protocol.messages import Axis, Orient, Turns
from tests.live.test_channel import FakeCamera, FakeViewer, Stage

MOUNT = Turns(Axis(-90, 90, 1, 0), Axis(-30, 45), Axis(1, 4, now=1.5))
ZOOM_ONLY = Turns(zoom=Axis(1, 8, 0.1, 1))


def turning(turns: Turns = MOUNT) -> Stage:
    stage = Stage()
    stage.start()
    stage.channel.camera_turns(turns)
    return stage


def heard(viewer: FakeViewer) -> list[Turns]:
    return [message for message in viewer.told if isinstance(message, Turns)]


# --- messages ---


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({}, Turns()),
        ({"pan": None}, Turns()),
        ({"pan": {"min": -90, "max": 90}}, Turns(Axis(-90, 90))),
        (
            {"zoom": {"min": 1, "max": 8.5, "step": 0.1, "now": 2, "more": "ignored"}},
            Turns(zoom=Axis(1, 8.5, 0.1, 2)),
        ),
        (
            {"tilt": {"min": -360, "max": 360, "step": None, "now": None}},
            Turns(tilt=Axis(-360, 360)),
        ),
    ],
)
def test_what_a_camera_says_that_it_turns(said: dict[str, Any], meant: Turns) -> None:
    assert control.parse(json.dumps({"type": "turns", **said}), control.FROM_CAMERA) == meant


@pytest.mark.parametrize(
    "said",
    [
        '{"pan": 5}',
        '{"pan": [0, 1]}',
        '{"pan": {}}',
        '{"pan": {"min": 0}}',
        '{"pan": {"min": 0, "max": 0}}',
        '{"pan": {"min": 1, "max": 0}}',
        '{"pan": {"min": false, "max": true}}',
        '{"pan": {"min": "0", "max": 1}}',
        '{"pan": {"min": 0, "max": NaN}}',
        '{"pan": {"min": -Infinity, "max": 0}}',
        '{"pan": {"min": 0, "max": 361}}',
        '{"pan": {"min": 0, "max": 9, "now": 1e400}}',
        '{"pan": {"min": 0, "max": 9, "now": true}}',
        '{"tilt": {"min": 0, "max": 9, "step": 0}}',
        '{"tilt": {"min": 0, "max": 9, "step": 10}}',
        '{"zoom": {"min": 0, "max": 9}}',
        '{"zoom": {"min": 1, "max": 1001}}',
    ],
)
def test_what_no_camera_can_turn(said: str) -> None:
    with pytest.raises(control.ControlError, match="impossible value"):
        control.parse('{"type": "turns", ' + said[1:], control.FROM_CAMERA)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "true", '"5"', "[5]", "1e400"])
@pytest.mark.parametrize("axis", ["pan", "tilt", "zoom"])
def test_a_wish_is_a_number(axis: str, value: str) -> None:
    with pytest.raises(control.ControlError, match=f"'{axis}' of the message 'orient'"):
        control.parse(f'{{"type": "orient", "{axis}": {value}}}', control.FROM_PLAYER)


def test_an_empty_wish_is_none() -> None:
    for text in ('{"type": "orient"}', '{"type": "orient", "pan": null, "roll": 3}'):
        with pytest.raises(control.ControlError, match="at least one"):
            control.parse(text, control.FROM_PLAYER)


NUMBERS = st.one_of(st.integers(-400, 400), st.floats(-400, 400))


@given(least=NUMBERS, most=NUMBERS, step=st.none() | NUMBERS, now=st.none() | NUMBERS)
def test_a_range_is_read_as_it_was_written_or_refused(
    least: float, most: float, step: float | None, now: float | None
) -> None:
    possible = (
        all(abs(one) <= control.MAX_ANGLE for one in (least, most, now or 0)) and least < most
    )
    possible = possible and (step is None or 0 < step <= most - least)
    text = control.encode(Turns(Axis(least, most, step, now)))
    try:
        read = control.parse(text, control.FROM_CAMERA)
    except control.ControlError:
        assert not possible
    else:
        assert possible and read == Turns(Axis(least, most, step, now))


# --- the channel ---


@given(least=st.floats(-360, 0), most=st.floats(1, 360), value=st.floats(-1000, 1000))
def test_a_wish_is_passed_on_exactly_if_it_lies_in_the_range(
    least: float, most: float, value: float
) -> None:
    stage = turning(Turns(Axis(least, most)))
    before = list(stage.camera.told)
    if least <= value <= most:
        assert stage.channel.orient(Orient(value)) == {"pan": value}
        assert stage.camera.told == [*before, Orient(value)]
    else:
        with pytest.raises(NotTurned, match=r"porch pans from .* to .* degrees"):
            stage.channel.orient(Orient(value))
        assert stage.camera.told == before


def test_the_answer_says_where_it_will_stand_as_far_as_that_is_known() -> None:
    stage = turning()
    assert stage.channel.orient(Orient(zoom=2)) == {"pan": 0, "zoom": 2}
    assert stage.channel.orient(Orient(tilt=45, pan=-90)) == {"pan": -90, "tilt": 45, "zoom": 1.5}


@pytest.mark.parametrize(
    ("turns", "wish", "id", "text"),
    [
        (
            MOUNT,
            Orient(90.5),
            "out-of-range",
            "The camera porch pans from -90 to 90 degrees; 90.5 is beyond that.",
        ),
        (
            MOUNT,
            Orient(5, -31),
            "out-of-range",
            "The camera porch tilts from -30 to 45 degrees; -31 is beyond that.",
        ),
        (
            MOUNT,
            Orient(zoom=0.5),
            "out-of-range",
            "The camera porch zooms from 1 to 4 times; 0.5 is beyond that.",
        ),
        (ZOOM_ONLY, Orient(zoom=2, tilt=1), "cannot-turn", "The camera porch does not tilt."),
        (Turns(), Orient(0), "cannot-turn", "The camera porch does not pan."),
    ],
)
def test_what_cannot_be_moves_nothing(turns: Turns, wish: Orient, id: str, text: str) -> None:  # noqa: A002 - the wire's word
    stage = turning(turns)
    before = list(stage.camera.told)
    with pytest.raises(NotTurned) as error:
        stage.channel.orient(wish)
    assert (error.value.id, str(error.value)) == (id, text)
    assert stage.camera.told == before


def test_viewers_hear_what_it_turns_as_they_come_and_when_that_changes() -> None:
    stage = turning()
    early, resting = stage.watch(), FakeViewer()
    stage.channel.rest(resting)
    assert heard(early) == heard(resting) == [MOUNT]
    stage.channel.camera_turns(MOUNT)
    assert heard(early) == [MOUNT], "it is no news"
    stage.channel.camera_turns(ZOOM_ONLY)
    assert heard(early) == heard(resting) == [MOUNT, ZOOM_ONLY]
    assert heard(stage.watch()) == [ZOOM_ONLY]
    assert stage.channel.report()["turns"] == {"zoom": {"min": 1, "max": 8, "step": 0.1, "now": 1}}


def test_nothing_is_said_of_a_camera_that_does_not_turn() -> None:
    stage = Stage()
    stage.start()
    assert heard(stage.watch()) == []
    assert stage.channel.report()["turns"] == {}


@pytest.mark.parametrize("how", ["leaves", "takes it back", "is taken over"])
def test_what_a_camera_turned_is_forgotten_with_it(how: str) -> None:
    stage = turning()
    viewer = stage.watch()
    if how == "leaves":
        stage.channel.leave(stage.camera, "lost")
    elif how == "takes it back":
        stage.channel.camera_turns(Turns())
    else:
        stage.channel.take(FakeCamera())
    assert heard(viewer) == [MOUNT, Turns()]
    assert stage.channel.report()["turns"] == {}
    with pytest.raises(NotTurned) as error:
        stage.channel.orient(Orient(0))
    assert error.value.id == ("unknown-camera" if how == "leaves" else "cannot-turn")


def test_of_two_wishes_the_newer_one_counts_and_other_axes_stay() -> None:
    assert Orient(1, 2).then(Orient(tilt=3, zoom=4)) == Orient(1, 3, 4)
    assert Orient(5).then(Orient(0)) == Orient(0)
