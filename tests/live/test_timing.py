"""How long pictures take, as medians of the last ones."""

from __future__ import annotations

import statistics

from hypothesis import given
from hypothesis import strategies as st

from drawercam.live.timing import Parts, Timing

MOMENTS = st.lists(
    st.tuples(st.integers(0, 10**12), st.integers(0, 10**6), st.integers(0, 10**5)),
    min_size=1,
    max_size=200,
)


def test_nothing_is_known_at_first() -> None:
    timing = Timing()
    assert timing.parts() == Parts(None, None, None)
    timing.encode = 8_000
    assert timing.parts() == Parts(8_000, None, None)


@given(MOMENTS, st.none() | st.integers(0, 10**6))
def test_the_parts_are_medians_of_the_last_pictures(
    moments: list[tuple[int, int, int]], encode: int | None
) -> None:
    timing = Timing()
    timing.encode = encode
    for captured, age, stay in moments:
        timing.picture(captured, captured + age, captured + age + stay)
    last = moments[-64:]
    age, stay = (statistics.median_high(one[index] for one in last) for index in (1, 2))
    assert timing.parts() == Parts(encode, max(0, age - (encode or 0)), stay)


def test_one_slow_picture_does_not_count() -> None:
    timing = Timing()
    for n in range(20):
        timing.picture(0, 3_000_000 if n == 10 else 12_000, 3_000_500 if n == 10 else 12_200)
    assert timing.parts() == Parts(None, 12_000, 200)


@given(
    st.integers(4_000, 10**6),
    st.lists(st.integers(-3, 3), min_size=8, max_size=60),
    st.integers(0, 50),
)
def test_the_time_between_pictures_is_known_from_eight_on(
    interval: int, moved: list[int], pause_at: int
) -> None:
    """B frames come out of order, and a pause does not count."""
    timing = Timing()
    places = sorted(range(len(moved)), key=lambda place: place + moved[place])
    for seen, place in enumerate(places):
        assert (timing.interval() is None) == (seen < 8)
        timing.picture(place * interval + (10**9 if place > pause_at else 0), 0, 0)
    assert timing.interval() == interval


def test_before_that_it_is_what_the_camera_says() -> None:
    timing = Timing()
    for told, believed in ((33_333, 33_333), (0, None), (None, None), (50_000, 50_000)):
        timing.told = told
        assert timing.interval() == believed
    for n in range(8):
        timing.picture(n * 40_000, 0, 0)
    assert timing.interval() == 40_000


@given(st.integers(0, 60_000_000), st.integers(2, 40), st.data())
def test_the_pace_is_known_from_the_second_picture_on_and_one_pause_is_none(
    interval: int, count: int, data: st.DataObject
) -> None:
    """Two pictures with a pause between them and nothing else are all that is known."""
    timing = Timing()
    timing.told = 33_333
    pause_at = data.draw(st.integers(2, count))
    for n in range(count):
        assert (timing.pace() is None) == (n < 2)
        timing.picture(n * interval + (10**9 if n >= pause_at else 0), 0, 0)
    assert timing.pace() == interval


@given(st.lists(st.integers(0, 3), min_size=10, max_size=40))
def test_pictures_that_come_out_of_order_have_a_pace(moved: list[int]) -> None:
    timing = Timing()
    for place in sorted(range(len(moved)), key=lambda place: place + moved[place]):
        timing.picture(place * 40_000, 0, 0)
    assert timing.pace() == 40_000


def test_a_pace_that_has_changed_is_known_after_five_pictures() -> None:
    timing = Timing()
    moment = 0
    for interval, known in ((40_000, 40_000), (8_000_000, 8_000_000), (40_000, 40_000)):
        for n in range(100):
            timing.picture(moment, 0, 0)
            moment += interval
            if n > 5:
                assert timing.pace() == known


def test_what_was_not_filmed_just_now_has_no_rate() -> None:
    timing = Timing()
    for n in range(20):
        timing.picture(n * 1000, 0, 0)
    assert timing.interval() is None


def test_a_camera_whose_clock_is_a_little_fast_has_no_negative_way() -> None:
    timing = Timing()
    timing.picture(5_000, 4_000, 4_100)
    assert timing.parts() == Parts(None, 0, 100)
