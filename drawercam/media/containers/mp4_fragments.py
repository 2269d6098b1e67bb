"""The samples that a fragmented MP4 announces (ISO/IEC 14496-12 8.8): where, and of what time."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter, itemgetter

from drawercam.media.packets import MediaError, MediaLimitError
from drawercam.media.work import FRAGMENT, RUN, SAMPLE, Work

from . import boxes
from .header import Header
from .mp4_tracks import Defaults, Movie, Stream
from .sample_tables import count_samples, read_samples

# The largest sample, in bytes. A 4K keyframe at the best quality stays below 2 MiB.
MAX_BOX = 8 * 2**20

# Samples in one fragment: a minute of pictures, a minute and a half of AAC. Without a limit a few
# bytes could promise 2**32 of them.
MAX_SAMPLES = 2**12

# 8.8.3.1: the bits of sample flags that matter to a live stream.
NON_SYNC = 0x00010000

# 8.8.8.1: the flags of a trun that has something to say of each sample.
_EACH = 0xF00

_OTHER_DESCRIPTION = (
    "an MP4 track changes to another sample description; only the first can be passed on"
)


@dataclass(slots=True)
class Sample:
    """One sample of a fragment that is passed on: where it lies in the byte stream, and its times
    in ticks."""

    begin: int
    size: int
    stream: Stream
    decode: int
    composition: int
    duration: int
    sync: bool


def listed(
    tables: list[tuple[Stream, memoryview]], header: Header, origin: int, position: int, work: Work
) -> list[Sample]:
    """The samples that a moov lists beside its fragments, if they come behind it.

    Args:
        tables: As `Movie.read` gives them.
        header: Is told what is left out.
        origin: Position in the stream of the document's first byte.
        position: The same of the first byte behind the moov.
        work: What it may cost.

    Raises:
        MediaLimitError: It is too much work.
    """
    planned: list[Sample] = []
    late = 0
    for stream, stbl in tables:
        try:
            if not count_samples(stbl, work):
                continue
            samples = read_samples(stbl, MAX_SAMPLES - len(planned), work)
        except MediaError as error:
            if work.left < 0:
                raise
            header.leave_out(f"what this MP4 has before its first fragment is left out: {error}")
            continue
        for one in samples:
            begin = origin + one.position
            if one.size and one.size <= MAX_BOX and one.description == 1 and begin >= position:
                planned.append(
                    Sample(
                        begin, one.size, stream, one.decode, one.composition, one.duration, one.sync
                    )
                )
            else:
                late += one.size > 0
            stream.next_decode = one.decode + one.duration
    if late:
        header.leave_out(
            f"what this MP4 has before its moov is left out, pictures and packets of sound: {late}"
        )
    return planned


def in_order(samples: list[Sample], end: int) -> list[Sample]:
    """Samples as they follow one another in the stream.

    Args:
        samples: In any order.
        end: All lie behind this position.

    Raises:
        MediaError: Some overlap, or lie before.
    """
    samples.sort(key=attrgetter("begin"))
    for sample in samples:
        if sample.begin < end:
            raise MediaError("the samples of an MP4 fragment overlap")
        end = sample.begin + sample.size
    return samples


class Fragment:
    """A moof (8.8.4): it announces samples."""

    def __init__(self, movie: Movie, origin: int, begin: int) -> None:
        """
        Args:
            movie: The tracks.
            origin: Position in the stream of the document's first byte.
            begin: The same of the moof's.
        """
        self._movie = movie
        self._origin = origin
        self._begin = begin
        self._data_end = begin  # position behind the data of the track fragment before
        self._counted = 0
        self._planned: list[Sample] = []

    def read(self, moof: memoryview, work: Work) -> list[Sample]:
        """The samples that are passed on, in the order of their tracks.

        Args:
            moof: The payload.
            work: What it may cost.

        Raises:
            MediaError: Boxes do not fit into each other, or it is for other tracks.
            MediaLimitError: A sample of more than MAX_BOX bytes, more than MAX_SAMPLES of them, or
                too much work.
        """
        for kind, traf in boxes.children(moof, work):
            if kind == b"traf":
                self._read_traf(traf, work)
        return self._planned

    def _read_traf(self, traf: memoryview, work: Work) -> None:
        """Plan the samples of one track fragment (8.8.6)."""
        work.spend(FRAGMENT)
        inner = list(boxes.children(traf, work))
        heads = dict(inner)
        if b"tfhd" not in heads:
            raise MediaError("an MP4 track fragment has no tfhd")
        tfhd = boxes.Fields(heads[b"tfhd"])
        flags, number = tfhd.words(2)
        if number not in self._movie.defaults:
            raise MediaError(f"an MP4 fragment is for track {number}, which moov does not have")
        stream = self._movie.streams.get(number)
        defaults = self._movie.defaults[number]
        base = self._begin if flags & 0x20000 else self._data_end
        if flags & 0x01:
            base = self._origin + tfhd.uint(8)
        if flags & 0x3A:
            record, picked = _OVERRIDES[flags >> 1 & 1 | flags >> 2 & 14]
            defaults = Defaults._make(picked(record.unpack(tfhd.take(record.size)) + defaults))
        if stream and defaults.description != 1:
            stream.frames.breaks(MediaError(_OTHER_DESCRIPTION), work)
            stream = None
        decode = stream.next_decode if stream else 0
        if b"tfdt" in heads:
            fields = boxes.Fields(heads[b"tfdt"])
            decode = fields.uint(8 if fields.uint(4) >> 24 == 1 else 4)
        position = base
        for kind, trun in inner:
            if kind != b"trun":
                continue
            work.spend(RUN)
            fields = boxes.Fields(trun)
            flags, count = fields.words(2)
            self._counted += count
            if self._counted > MAX_SAMPLES:
                raise MediaLimitError(
                    f"an MP4 fragment has {self._counted} samples; the limit is {MAX_SAMPLES}"
                )
            if flags & 0x01:
                position = base + fields.sint(4)
            if not flags & _EACH and (stream is None or not defaults.size):
                # Nothing to plan, and a few bytes can announce many of them.
                position += count * defaults.size
                decode += count * defaults.duration
                continue
            work.spend(SAMPLE * count)
            first_flags = fields.uint(4) if flags & 0x04 else None
            for duration, size, sample_flags, composition in _run(fields, flags, count, defaults):
                if size > MAX_BOX:
                    raise MediaLimitError(
                        f"an MP4 sample claims {size} bytes; the limit is {MAX_BOX}"
                    )
                if first_flags is not None:
                    sample_flags, first_flags = first_flags, None
                if stream and size:
                    sync = not sample_flags & NON_SYNC
                    self._planned.append(
                        Sample(position, size, stream, decode, composition, duration, sync)
                    )
                position += size
                decode += duration
        if stream:
            stream.next_decode = decode
        self._data_end = position


_Four = tuple[int, int, int, int]


def _fields(forms: str, present: int) -> tuple[struct.Struct, Callable[[tuple[int, ...]], _Four]]:
    """Four optional fields.

    Args:
        forms: The form of each, for `struct`.
        present: The bits of those that are there, from the lowest.

    Returns:
        How those that are there are read; and what picks all four out of them with the usual four
        behind them.
    """
    there = [bool(present >> field & 1) for field in range(4)]
    places = [sum(there[:field]) if there[field] else sum(there) + field for field in range(4)]
    return struct.Struct(
        ">" + "".join(form for form, is_there in zip(forms, there, strict=True) if is_there)
    ), itemgetter(*places)


# 8.8.7.1: of a tfhd, the fields that override a trex. 8.8.8.1: of a trun, what it has of each
# sample.
_OVERRIDES = [_fields("IIII", present) for present in range(16)]
_ROWS = [_fields("IIIi", present) for present in range(16)]


def _run(fields: boxes.Fields, flags: int, count: int, defaults: Defaults) -> Iterable[_Four]:
    """The samples of a trun (8.8.8): duration, size, flags and composition offset of each.

    Composition offsets are read as signed in version 0 too: some writers take that liberty, and
    none means a delay of 2**31 ticks.
    """
    usual = (defaults.duration, defaults.size, defaults.flags, 0)
    record, picked = _ROWS[flags >> 8 & 15]
    if not record.size:
        return repeat(usual, count)
    return [picked(row + usual) for row in record.iter_unpack(fields.take(record.size * count))]
