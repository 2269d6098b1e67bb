"""Boxes of ISO/IEC 14496-12 section 4.2, and nothing about movies."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from drawercam.media.packets import MAX_CHILDREN, MediaError, MediaLimitError
from drawercam.media.work import Work

# The largest box that does not say where it ends, in bytes: a fragment of a live stream lasts a few
# seconds.
MAX_ENDLESS = 64 * 2**20

_WORDS = [struct.Struct(f">{count}I") for count in range(9)]


class Fields:
    """The big-endian fields of a box, one after the other.

    Every method raises MediaError when the box ends too early.
    """

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    def uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def sint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big", signed=True)

    def words(self, count: int) -> tuple[int, ...]:
        """So many unsigned numbers of 4 bytes, 8 at most: faster than one after the other."""
        begin = self._position
        self._position += 4 * count
        if self._position > len(self._data):
            raise MediaError("an MP4 box is too short for its fields")
        return _WORDS[count].unpack_from(self._data, begin)

    def take(self, size: int) -> memoryview:
        self._position += size
        if self._position > len(self._data):
            raise MediaError("an MP4 box is too short for its fields")
        return self._data[self._position - size : self._position]

    def rest(self) -> memoryview:
        return self._data[self._position :]


HEADER = struct.Struct(">I4s")
"""Size and type."""


def children(data: memoryview, work: Work | None = None) -> Iterator[tuple[bytes, memoryview]]:
    """The boxes (4.2) in a complete container box, MAX_CHILDREN at most: type and payload of each.

    ``work`` pays for each, at the end.
    """
    position, end, count = 0, len(data), 0
    while position < end:
        count += 1
        if count > MAX_CHILDREN:
            raise MediaLimitError(f"an MP4 box has more than {MAX_CHILDREN} others in it")
        if end - position < 8:
            if not any(data[position:]):
                break  # QuickTime's sample entries may end with four zero bytes
            raise MediaError("an MP4 box is too short for its header")
        size, kind = HEADER.unpack_from(data, position)
        header = 8
        if size == 1:
            size = Fields(data[position + 8 :]).uint(8)
            header = 16
        elif size == 0:
            size = end - position
        if size < header or size > end - position:
            raise MediaError(f"an MP4 box {quoted(kind)} does not fit into its parent")
        yield kind, data[position + header : position + size]
        position += size
    if work is not None:
        work.spend(count)


def find(data: memoryview, *path: bytes, work: Work | None = None) -> memoryview | None:
    """The first box at the end of a path of types. ``work`` pays for each that was looked at."""
    for wanted in path:
        found, count = None, 0
        for kind, payload in children(data):
            count += 1
            if kind == wanted:
                found = payload
                break
        if work is not None:
            work.spend(count)
        if found is None:
            return None
        data = found
    return data


def need(data: memoryview, *path: bytes, work: Work | None = None) -> memoryview:
    """The first box at the end of a path of types; MediaError when there is none."""
    found = find(data, *path, work=work)
    if found is None:
        raise MediaError(f"an MP4 header has no {'/'.join(map(quoted, path))}")
    return found


def quoted(kind: bytes) -> str:
    """A box type for a sentence."""
    return repr(kind.decode("latin-1"))


def box(kind: bytes, payload: bytes) -> bytes:
    """Write a box."""
    return HEADER.pack(8 + len(payload), kind) + payload


def full_box(kind: bytes, payload: bytes, version: int = 0, flags: int = 0) -> bytes:
    """Write a full box: one with version and flags."""
    return struct.pack(">I4sI", 12 + len(payload), kind, version << 24 | flags) + payload
