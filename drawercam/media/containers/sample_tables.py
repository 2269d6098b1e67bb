"""The sample tables of an MP4's moov (ISO/IEC 14496-12 8.5 to 8.7): what a recorder wrote before
its first fragment, if anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from drawercam.media.packets import MediaError, MediaLimitError
from drawercam.media.work import SAMPLE, Work

from . import boxes


@dataclass(frozen=True, slots=True)
class TableSample:
    """One sample: where it lies in the file, and its times in ticks of its track.

    Attributes:
        description: Which sample entry describes it, from 1.
    """

    position: int
    size: int
    decode: int
    composition: int
    duration: int
    sync: bool
    description: int


def count_samples(stbl: memoryview, work: Work) -> int:
    """How many samples the tables have."""
    sizes = boxes.find(stbl, b"stsz", work=work) or boxes.find(stbl, b"stz2", work=work)
    return 0 if sizes is None else boxes.Fields(sizes).words(3)[2]


def read_samples(stbl: memoryview, most: int, work: Work) -> list[TableSample]:
    """All samples, in decoding order.

    Args:
        stbl: The tables.
        most: So many there may be.
        work: Pays for each.

    Raises:
        MediaError: A table is missing, or they contradict each other.
        MediaLimitError: There are more, or it is too much work.
    """
    count = count_samples(stbl, work)
    if count > most:
        raise MediaLimitError(f"an MP4 moov has {count} samples; the limit is {most}")
    work.spend(SAMPLE * count)
    sizes = _sizes(stbl, count, work)
    durations = _runs(boxes.need(stbl, b"stts", work=work), count)
    ctts = boxes.find(stbl, b"ctts", work=work)
    # Signed in version 0 too, as in a trun.
    compositions = (
        [0] * count
        if ctts is None
        else [value - (value >> 31 << 32) for value in _runs(ctts, count)]
    )
    stss = boxes.find(stbl, b"stss", work=work)
    keys = None if stss is None else set(_table(stss, 1, count))
    places = _places(stbl, sizes, work)
    samples: list[TableSample] = []
    decode = 0
    for index, (position, description) in enumerate(places):
        sync = keys is None or index + 1 in keys
        samples.append(
            TableSample(
                position,
                sizes[index],
                decode,
                compositions[index],
                durations[index],
                sync,
                description,
            )
        )
        decode += durations[index]
    return samples


def _sizes(stbl: memoryview, count: int, work: Work) -> list[int]:
    """8.7.3: stsz, or stz2 with fields of 4, 8 or 16 bits."""
    stsz = boxes.find(stbl, b"stsz", work=work)
    if stsz is not None:
        fields = boxes.Fields(stsz)
        _, size, _ = fields.words(3)
        return [size] * count if size else [fields.uint(4) for _ in range(count)]
    fields = boxes.Fields(boxes.need(stbl, b"stz2", work=work))
    _, bits, _ = fields.words(3)
    if bits & 0xFF == 4:
        halves = [half for byte in fields.take((count + 1) // 2) for half in (byte >> 4, byte & 15)]
        return halves[:count]
    return [fields.uint(2 if bits & 0xFF == 16 else 1) for _ in range(count)]


def _table(box: memoryview, columns: int, most: int) -> list[int]:
    """The numbers of a table that begins with the number of its rows; only the first rows if there
    are more than could be of use.
    """
    fields = boxes.Fields(box)
    _, rows = fields.words(2)
    return [fields.uint(4) for _ in range(min(rows, most) * columns)]


def _runs(box: memoryview, count: int) -> list[int]:
    """8.6.1.2, 8.6.1.3: how many samples have which value, for each sample."""
    table = _table(box, 2, count)
    values: list[int] = []
    for length, value in zip(table[::2], table[1::2], strict=True):
        values += [value] * min(length, count - len(values))
    if len(values) < count:
        raise MediaError("the times of an MP4 moov are for fewer samples than it has")
    return values


def _places(stbl: memoryview, sizes: list[int], work: Work) -> list[tuple[int, int]]:
    """8.7.4, 8.7.5: where each sample lies, and its description.

    Chunks of many samples, whose first ones' places are told.
    """
    count = len(sizes)
    co64 = boxes.find(stbl, b"co64", work=work)
    fields = boxes.Fields(co64 if co64 is not None else boxes.need(stbl, b"stco", work=work))
    _, chunks = fields.words(2)
    rows = _table(boxes.need(stbl, b"stsc", work=work), 3, count)
    places: list[tuple[int, int]] = []
    row = -3
    for chunk in range(1, chunks + 1):
        if len(places) == count:
            break
        while row + 3 < len(rows) and rows[row + 3] <= chunk:
            row += 3
        if row < 0 or not rows[row + 1]:
            raise MediaError("a chunk of an MP4 moov has no samples")
        position = fields.uint(4 if co64 is None else 8)
        for _ in range(min(rows[row + 1], count - len(places))):
            places.append((position, rows[row + 2]))
            position += sizes[len(places) - 1]
    if len(places) < count:
        raise MediaError("the chunks of an MP4 moov have fewer samples than it has")
    return places
