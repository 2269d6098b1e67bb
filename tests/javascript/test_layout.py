"""Where the tiles of a wall stand, where many of its cameras are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")

# Walls of a phone, held upright and not, a tablet and a computer.
WALLS = [(344, 660), (692, 280), (804, 1028), (1424, 828)]


def test_those_that_are_gone_stand_below_those_that_film(tmp_path: Path) -> None:
    shapes = [4 / 3, 16 / 9, 9 / 16, 4 / 3]
    told = run(
        modules(tmp_path),
        """const { placeTiles } = await load("player/wall/layout.js"), [walls, shapes] = values, found = [];
        for (const [width, height] of walls) {
          for (const here of [1, 2, 4]) {
            for (const gone of [1, 5, 100]) {
              const some = Array.from({ length: here + gone }, (_, index) => shapes[index % shapes.length]);
              found.push([width, height, here, placeTiles(some, width, height, 1, gone), placeTiles(some.slice(0, here), width, height)]);
            }
          }
        }
        return found;""",
        WALLS,
        shapes,
    )
    for width, height, here, places, alone in told:
        films, gone = places[:here], places[here:]
        bottom = max(one["top"] + one["height"] for one in films)
        first = min(one["top"] for one in gone)
        assert first > bottom
        assert max(one["left"] + one["width"] for one in places) <= width + 0.01
        assert min(one["left"] for one in places) >= -0.01
        assert all(one["width"] >= 139.9 and one["height"] >= 111.9 for one in gone)
        if max(one["top"] + one["height"] for one in alone) <= height + 0.01:
            assert films[0]["top"] < height / 2, "what films is in sight"
        if bottom <= height / 2:
            assert first <= height
