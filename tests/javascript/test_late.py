"""When a picture is late, by the camera's own measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")

# Seconds without a picture, without anything from the relay, and from one picture to the next; and
# what that is.
CASES = [
    *[((without, 1, 1 / 30), "") for without in (0.03, 1, 3)],
    ((3.1, 1, 1 / 30), "late"),
    *[
        ((without, 2, pace), "")
        for pace in (4, 8, 20, 60)
        for without in (3.1, pace, 1.2 * pace, 3 * pace)
    ],
    *[((3 * pace + 0.1, 2, pace), "late") for pace in (1.1, 4, 8, 20, 60)],
    ((181, 2, 3600), "late"),
    ((3, 3.1, 20), ""),
    ((3.1, 3.1, 20), "late"),
    *[((without, 2, None), "waiting") for without in (3.1, 20, 30)],
    ((2.9, 2, None), ""),
    ((3.1, 3.1, None), "late"),
    ((30.1, 2, None), "late"),
]


def test_a_lens_is_late_by_its_own_measure_and_a_network_by_the_clock(tmp_path: Path) -> None:
    told = run(
        modules(tmp_path),
        """const { lateness } = await load("player/tile/late.js"), ms = (seconds) => seconds === null ? null : seconds * 1000;
        return values[0].map((case_) => lateness(...case_.map(ms)));""",
        [facts for facts, _ in CASES],
    )
    assert [(facts, one) for (facts, _), one in zip(CASES, told, strict=True)] == CASES
