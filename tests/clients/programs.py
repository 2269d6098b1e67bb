"""Programs of others, run with a deadline, and a look at what they made of a camera."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.harness.makers import HEIGHT, WIDTH, painted

NOBODY = 65534
"""The user and group of that name: VLC does not run as root."""

FEWEST = 8
"""Different pictures after which a film moves, however busy the machine was."""

LOUD = 300
"""Of 32767: murmur is below it, a beep above."""


def needed(*names: str) -> None:
    """Skip the test where one of these programs is missing."""
    for name in names:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed, so nobody knows whether it can read a camera.")


@contextmanager
def folder_of_nobody() -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder for a program that does not run as root, and how to start it (see
    `tests.harness.programs.running`).
    """
    with tempfile.TemporaryDirectory(prefix="drawercam-client-") as name:
        started: dict[str, Any] = {"env": os.environ | {"HOME": name}, "cwd": name}
        if os.geteuid() == 0:
            os.chown(name, NOBODY, NOBODY)
            started |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        yield Path(name), started


@dataclass
class Seen:
    """What a program wrote of a camera.

    Attributes:
        size: Pixels.
        different: Pictures unlike those before.
        times: Seconds, of all pictures.
        clocks: What the painted clock of the test picture shows in each of them.
        loudest: Of 32767.
    """

    size: tuple[int, int] = (0, 0)
    different: int = 0
    times: list[float] = field(default_factory=list)
    clocks: list[float] = field(default_factory=list)
    loudest: int = 0

    def check(self, sound: bool = True) -> None:
        """It moves, times and clocks do not go back, and there is sound."""
        assert of_size(*self.size)
        assert self.different >= FEWEST, f"{self.different} pictures of {len(self.times)} differ"
        assert rising(self.times)
        # Clocks count up to some minutes.
        assert all(
            before <= after or before - after > 1000 for before, after in pairwise(self.clocks)
        )
        assert not sound or self.loudest > LOUD


def of_size(width: int, height: int) -> bool:
    """Whether pictures are of the size that is filmed.

    A page on a machine that is busy makes them smaller.
    """
    return 0 < width <= WIDTH and abs(width * HEIGHT - height * WIDTH) <= 2 * WIDTH


def rising(values: list[float]) -> bool:
    return all(before < after for before, after in pairwise(values))


def look(*paths: Path, clocks: bool) -> Seen:
    """Look at pictures and sound of files that a program has made.

    Args:
        clocks: The test picture was filmed: each picture has a clock, and every one can be read.
    """
    seen, before = Seen(), b""
    for path in paths:
        with av.open(str(path)) as container:
            for frame in container.decode(
                *container.streams.video[:1], *container.streams.audio[:1]
            ):
                if isinstance(frame, av.AudioFrame):
                    seen.loudest = max(
                        seen.loudest, int(np.abs(frame.to_ndarray().astype(np.int32)).max())
                    )
                elif isinstance(frame, av.VideoFrame):
                    seen.size = frame.width, frame.height
                    assert frame.time is not None
                    seen.times.append(frame.time)
                    picture = frame.to_ndarray(format="gray").tobytes()
                    seen.different += picture != before
                    before = picture
                    if clocks:
                        seen.clocks.append(painted(frame))
    return seen
