"""The painted clock of the benches can be read from the player's tile, whatever else that tile
holds.
"""

from __future__ import annotations

import pytest

from bench.actors.browser import BenchChromium
from bench.actors.stage import Size, Stage
from bench.runs.programs import filming, watching


@pytest.mark.skipif(BenchChromium.missing() is not None, reason="no Chromium")
async def test_the_bench_reads_the_clock_that_a_tile_shows() -> None:
    async with Stage(BenchChromium()) as stage:
        name = stage.fresh_name()
        with filming(stage, name, Size(320, 240)):
            async with watching(stage, name, "frames") as viewer:
                assert (await viewer.evaluate("bench.take()"))["samples"]
