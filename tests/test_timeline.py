"""Where recorders' clocks lie on the relay's clock, and how fast frames come."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from drawercam.meter import Meter
from drawercam.timeline import Timeline

SECOND = 1_000_000


def placed(arrivals: Iterable[tuple[int, int]], claimed: int | None = None) -> list[int]:
    timeline = Timeline(claimed)
    return [end + timeline.place(end, now) for end, now in arrivals]


def test_a_slow_start_is_forgotten_at_once() -> None:
    """The first frames wait for the encoder to warm up; the ones after them show how far the clocks really are apart."""
    captured = [n * 33_000 for n in range(12)]
    delays = [200_000, 170_000, 140_000, 110_000, 80_000, 50_000] + [20_000] * 6
    moments = placed((time, time + 1000 * SECOND + delay) for time, delay in zip(captured, delays, strict=True))
    assert moments[0] == 1000 * SECOND + 200_000
    assert [moment - 1000 * SECOND - time for moment, time in zip(moments[6:], captured[6:], strict=True)] == [20_000] * 6


@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 500_000)), min_size=1, max_size=200))
def test_nothing_is_placed_after_its_arrival_and_the_order_stays(steps: list[tuple[int, int]]) -> None:
    end, now, arrivals = 0, 0, []
    for step, delay in steps:
        end += step
        now = max(now, end + delay)
        arrivals.append((end, now))
    moments = placed(arrivals)
    assert all(moment <= now for moment, (_, now) in zip(moments, arrivals, strict=True))
    assert moments == sorted(moments)


def test_jitter_does_not_move_the_picture() -> None:
    arrivals = [(n * 33_000, n * 33_000 + 50_000 + (n * 7919) % 40_000) for n in range(600)]
    moments = placed(arrivals)
    steps = [after - before for before, after in itertools.pairwise(moments[60:])]
    assert all(abs(step - 33_000) <= 12_000 for step in steps)
    assert sum(1 for step in steps if step != 33_000) <= 6, "only the slow rise at the end of a window moves it"


def test_drifting_clocks_are_followed() -> None:
    """A phone whose clock runs 100 ppm slow loses 0.36 s an hour; the delay shown must not grow with it."""
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
    assert placed([(0, 5 * SECOND), (33_000, 5 * SECOND + 80_000)], claimed=4_980_000) == [4_980_000, 5_013_000]
    assert placed([(0, 500 * SECOND)], claimed=0) == [500 * SECOND]


def test_a_meter_counts_the_last_seconds() -> None:
    meter = Meter()
    assert meter.rates(0) == (0.0, 0.0)
    for n in range(300):
        meter.add(n * 33_333, 1000)
    frames, size = meter.rates(300 * 33_333)
    assert 28 < frames < 32
    assert 28_000 < size < 32_000
    assert meter.rates(300 * 33_333 + 10 * SECOND) == (0.0, 0.0)
