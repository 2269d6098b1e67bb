"""Where recorders' clocks lie on the relay's clock, and how fast frames come."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawercam.live.timing import Meter
from drawercam.media.timeline import Timeline

SECOND = 1_000_000

# What a phone's clock may be wrong by, in parts per million: a poor quartz has 100.
DRIFTS = st.integers(-200, 200)

SEEDS = st.integers(0, 2**32)

STEPS = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(0, 500_000)), min_size=1, max_size=200
)


def placed(
    arrivals: Iterable[tuple[int, int]], claimed: int | None = None, delay: int = 0
) -> list[int]:
    timeline = Timeline(claimed, delay)
    return [end + timeline.place(end, now) for end, now in arrivals]


def arriving(steps: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ends and arrivals, in order as on one socket, from the distances of the packets and their
    delays.
    """
    end, now, arrivals = 0, 0, []
    for step, delay in steps:
        end += step
        now = max(now, end + delay)
        arrivals.append((end, now))
    return arrivals


def test_a_slow_start_is_forgotten_at_once() -> None:
    """The first frames wait for the encoder to warm up; the ones after them show how far the clocks
    really are apart.
    """
    captured = [n * 33_000 for n in range(12)]
    delays = [200_000, 170_000, 140_000, 110_000, 80_000, 50_000] + [20_000] * 6
    moments = placed(
        (time, time + 1000 * SECOND + delay) for time, delay in zip(captured, delays, strict=True)
    )
    assert moments[0] == 1000 * SECOND + 200_000
    assert [
        moment - 1000 * SECOND - time
        for moment, time in zip(moments[6:], captured[6:], strict=True)
    ] == [20_000] * 6


@given(STEPS)
def test_nothing_is_placed_after_its_arrival_and_the_order_stays(
    steps: list[tuple[int, int]],
) -> None:
    arrivals = arriving(steps)
    moments = placed(arrivals)
    assert all(moment <= now for moment, (_, now) in zip(moments, arrivals, strict=True))
    assert moments == sorted(moments)


def test_jitter_does_not_move_the_picture() -> None:
    arrivals = [(n * 33_000, n * 33_000 + 50_000 + (n * 7919) % 40_000) for n in range(600)]
    moments = placed(arrivals)
    steps = [after - before for before, after in itertools.pairwise(moments[60:])]
    assert all(abs(step - 33_000) <= 12_000 for step in steps)
    assert sum(1 for step in steps if step != 33_000) <= 6, (
        "only the slow rise at the end of a window moves it"
    )


def test_drifting_clocks_are_followed() -> None:
    """A phone whose clock runs 100 ppm slow loses 0.36 s an hour; the delay shown must not grow
    with it.
    """
    arrivals = [(n * 33_333, int(n * 33_333 * 1.0001) + 20_000) for n in range(30 * 3600)]
    moments = placed(arrivals)
    assert arrivals[-1][1] - arrivals[-1][0] > 300_000
    assert 0 <= arrivals[-1][1] - moments[-1] < 2_000


def test_a_recorder_that_stood_still_is_placed_anew() -> None:
    """MediaRecorder.pause() stops the recorder's clock while the relay's goes on."""
    before = [(n * 33_000, n * 33_000) for n in range(30)]
    pause = 60 * SECOND
    after = [(n * 33_000, n * 33_000 + pause) for n in range(30, 400)]
    moments = placed(before + after)
    assert after[-1][1] - moments[-1] < 50_000


def test_a_claim_is_believed_if_it_can_be_true() -> None:
    assert placed([(0, 5 * SECOND), (33_000, 5 * SECOND + 80_000)], claimed=4_980_000) == [
        4_980_000,
        5_013_000,
    ]
    assert placed([(0, 500 * SECOND)], claimed=0) == [500 * SECOND]
    assert placed([(0, 500 * SECOND)], claimed=0, delay=20_000) == [500 * SECOND - 20_000], (
        "then the other thing it said counts"
    )


@pytest.mark.parametrize(
    ("wrong_by", "moment"), [(0, 1000), (4_000, 5000), (6_000, 1000), (-SECOND, 1000 - SECOND)]
)
def test_a_packet_captured_after_its_arrival_shows_a_wrong_clock(
    wrong_by: int, moment: int
) -> None:
    assert placed([(0, 1000)], claimed=1000 + wrong_by) == [moment]


@given(
    STEPS,
    st.integers(-(2**53), 2**53) | st.integers(-11 * SECOND, 11 * SECOND),
    st.integers(0, 10 * SECOND),
)
def test_no_claim_puts_a_picture_where_it_cannot_be(
    steps: list[tuple[int, int]], claimed: int, delay: int
) -> None:
    arrivals = arriving(steps)
    for moment, estimate, (_, now) in zip(
        placed(arrivals, claimed, delay), placed(arrivals), arrivals, strict=True
    ):
        assert estimate - 10 * SECOND <= moment <= now + 5_000


@given(st.integers(1, 400), st.integers(0, 60 * SECOND), st.integers(-(10**12), 10**12), SEEDS)
def test_an_honest_claim_outlives_a_network_that_stands_still(
    where: int, stall: int, zero: int, seed: int
) -> None:
    chance = random.Random(seed)
    captured = [n * 33_000 for n in range(900)]
    again = captured[where] + stall
    times = [
        max(time + chance.randrange(300_000), again if time >= captured[where] else 0)
        for time in captured
    ]
    arrivals = [
        (time, zero + now)
        for time, now in zip(captured, itertools.accumulate(times, max), strict=True)
    ]
    assert placed(arrivals, claimed=zero) == [time + zero for time in captured]


def test_a_promise_that_is_broken_no_longer_counts() -> None:
    """The camera said that its timestamps keep pace, and then they stood still for a minute."""
    before = [(n * 33_000, n * 33_000 + 20_000) for n in range(30)]
    after = [(n * 33_000, n * 33_000 + 60 * SECOND + 20_000) for n in range(30, 400)]
    moments = placed(before + after, claimed=0)
    assert moments[:30] == [n * 33_000 for n in range(30)]
    assert 0 <= after[-1][1] - moments[-1] < 50_000


@settings(max_examples=10)
@given(DRIFTS, st.integers(0, 300_000), st.integers(0, 80_000), SEEDS)
def test_a_delay_that_the_camera_knows_stays_true_for_hours(
    drift: int, delay: int, jitter: int, seed: int
) -> None:
    chance = random.Random(seed)
    timeline = Timeline(delay=delay)
    for n in range(2 * 3600 * 10):
        captured = n * 100_000
        waited = 0 if n % 10 == 0 else chance.randint(0, jitter)
        end = captured + captured * drift // 10**6
        moment = end + timeline.place(end, captured + delay + waited)
        if n > 0:
            # What drifts away in two windows, and what the estimate may rise by before the next
            # window corrects it.
            assert -3_000 <= moment - captured <= 3_000, n


def test_a_meter_counts_the_last_seconds() -> None:
    meter = Meter()
    assert meter.rates(0) == (0.0, 0.0)
    for n in range(300):
        meter.add(n * 33_333, 1000)
    frames, size = meter.rates(300 * 33_333)
    assert 28 < frames < 32
    assert 28_000 < size < 32_000
    assert meter.rates(300 * 33_333 + 10 * SECOND) == (0.0, 0.0)
