"""Recordings and ways to cut them, for the tests of the readers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from drawercam.media.containers.detect import StreamReader
from drawercam.media.packets import Packet, Track

RECORDINGS = Path(__file__).resolve().parent.parent / "samples" / "recorders"


@dataclass(frozen=True)
class Recording:
    """A real recording, made by a browser or by FFmpeg's libraries."""

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name


def recordings() -> list[Recording]:
    """All recordings in the repository; there are always some."""
    found = [
        Recording(path.name, path.read_bytes())
        for path in sorted(RECORDINGS.iterdir())
        if path.suffix in (".webm", ".mp4")
    ]
    assert found, f"no recordings in {RECORDINGS}"
    return found


def read(pieces: Iterable[bytes]) -> list[Track | Packet]:
    """Everything that one reader makes of these pieces."""
    reader = StreamReader()
    return [event for piece in pieces for event in reader.feed(piece)]


def cut(data: bytes, positions: Sequence[int]) -> list[bytes]:
    """The data in pieces, cut at these positions (any order, any values)."""
    edges = [0, *sorted(position % (len(data) + 1) for position in positions), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges)]
