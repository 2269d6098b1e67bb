"""When a device counts as too busy, by a given clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")

# What the module wants of a page.
PAGE = 'globalThis.document = { visibilityState: "visible" }; globalThis.setInterval = () => 0;'

# What the page does, in ms from one look to the next, whether it is seen then; and whether it is
# busy after all of it.
CASES = [
    ([(250, True)] * 40, False),
    ([(270, True)] * 40, False),
    ([(350, True)] * 40, False),
    ([(450, True)] * 40, True),
    ([(250, True), (2300, True)], True),
    ([(250, True), (2200, True)], False),
    ([(250, True), (2300, True), *[(250, True)] * 20], False),
    ([(1000, True)] * 3, True),
    ([(1000, False)] * 40, False),
    ([(1000, False)] * 40 + [(60_000, True)], False),
    ([(250, True), (3_600_000, True)], False),
]


def test_a_page_whose_timers_come_late_is_busy(tmp_path: Path) -> None:
    found = run(
        modules(tmp_path),
        PAGE
        + """const { Load } = await load("player/tile/load.js");
        return values[0].map((looks) => {
          let now = 0;
          const device = new Load(() => now);
          for (const [pass, seen] of looks) {
            now += pass;
            device.look(seen);
          }
          return device.isBusy;
        });""",
        [looks for looks, _ in CASES],
    )
    assert found == [busy for _, busy in CASES]


def test_what_asks_before_the_late_look_is_told_too(tmp_path: Path) -> None:
    found = run(
        modules(tmp_path),
        PAGE
        + """const { Load, device } = await load("player/tile/load.js");
        const idle = device.isBusy;
        let now = 0;
        const stood = new Load(() => now);
        const after = [1000, 2300, 30000].map((moment) => ((now = moment), stood.isBusy));
        return [idle, ...after];""",
    )
    assert found == [False, False, True, False]
