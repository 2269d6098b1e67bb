"""The test picture: its clock, its view and its beep."""

from __future__ import annotations

import pytest

from drawercam.film.sources.synthetic_picture import PACKETS_PER_SECOND, Pattern, sound
from tests.harness.makers import luma, painted


def test_each_picture_shows_its_time_to_people_and_programs() -> None:
    maker = Pattern(320, 240)
    begin = 1_763_740_000.25
    first, second = maker.picture(begin), maker.picture(begin + 0.0333)
    assert painted(first) == pytest.approx(begin % (2**24 / 10_000), abs=2e-4)
    assert painted(second) - painted(first) == pytest.approx(0.0333, abs=2e-4)
    digits = slice(240 * 3 // 10, 240 * 3 // 10 + 18)
    assert luma(first)[digits] != luma(second)[digits]
    assert (
        luma(first)[digits] == luma(maker.picture(begin + 0.0001))[digits]
    )  # the same millisecond


def test_who_turns_sees_another_part_of_the_same_room() -> None:
    maker = Pattern(640, 480)
    middle = 260  # a row with neither clock nor digits, at a time when the ball is elsewhere
    ahead = luma(maker.picture(2.0))[middle]
    right = luma(maker.picture(2.0, (15.0, 0.0, 1.0)))[middle]
    assert (
        right[:300] == ahead[160:460]
    )  # 60 degrees from side to side: 15 are a quarter of 640 pixels
    assert right != ahead
    near = luma(maker.picture(2.0, (0.0, 0.0, 2.0)))[middle]
    assert len(set(near)) < len(set(ahead))  # fewer fields are in sight
    above = [row[20] for row in luma(maker.picture(2.0, (0.0, 10.0, 1.0)))]
    assert above[214:400] == [row[20] for row in luma(maker.picture(2.0))][107:293]


@pytest.mark.parametrize("size", [(641, 480), (32, 32)])
def test_a_size_that_cannot_be_painted_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot have"):
        Pattern(*size)


def test_a_beep_begins_with_the_second_and_ends_with_the_flash() -> None:
    loud = [
        any(bytes(sound(number).planes[0]))
        for number in range(7 * PACKETS_PER_SECOND, 8 * PACKETS_PER_SECOND)
    ]
    assert loud == [True] * 5 + [False] * 45
    flash = [
        luma(Pattern(320, 240).picture(7 + tenth / 10 + 0.01))[-1][-1] > 128 for tenth in range(10)
    ]
    assert flash == [True] + [False] * 9
