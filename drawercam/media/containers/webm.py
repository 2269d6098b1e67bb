"""WebM and Matroska (RFC 9559): bytes to packets."""

from __future__ import annotations

import struct

from drawercam.media.codecs.unpack import audio_duration
from drawercam.media.packets import (
    MAX_PASSED_OVER,
    Codec,
    MediaError,
    MediaLimitError,
    Packet,
    Track,
)
from drawercam.media.work import FRAME, LONG, READ

from . import ebml
from .beginnings import MAX_KEPT, WEBM, DocumentReader, Doubt, DoubtError
from .matroska import DEFAULT_SCALE, Id
from .webm_tracks import MAX_TRACKS, Tracks

# The largest element inside a Cluster that is read, in bytes. A 4K keyframe at the best quality
# stays below 2 MiB.
MAX_ELEMENT = 8 * 2**20

# The largest header element (EBML, Info, Tracks), in bytes. Real ones have some hundred. What is
# only passed over, such as attachments, is never held.
MAX_HEADER = 2**20

_HEADERS = frozenset((Id.EBML, Id.INFO, Id.TRACKS))
_MEDIA = frozenset((Id.CLUSTER, Id.TIMESTAMP, Id.SIMPLE_BLOCK, Id.BLOCK_GROUP))
_MASTERS = frozenset((Id.SEGMENT, Id.CLUSTER))  # what is in them is read as it comes

# First bytes of what stands in a BlockGroup, RFC 9559 section 5.1.3.5.
_IN_GROUP = frozenset(
    (
        Id.BLOCK,
        Id.BLOCK_DURATION,
        Id.REFERENCE_BLOCK,
        0xFA,
        0xFD,
        0xA4,
        0x75,
        0x8E,
        0xC8,
        0xA2,
        0xEC,
        0xBF,
    )
)

# What is only passed over, but known. Where anything else follows an element, that may have been
# cut off, and another document have begun in it. IDs of one byte stand there by chance, too: the
# element before them stays the one that may have been cut off.
_KNOWN = frozenset((*_MEDIA, Id.SEEK_HEAD, Id.CUES, Id.TAGS, Id.CHAPTERS, Id.ATTACHMENTS))
_SHORT = {Id.VOID: MAX_KEPT, Id.CRC_32: 4, Id.PREV_SIZE: 8, Id.POSITION: 8}  # bytes in it at most

# Units of work that are paid for together: less of the time goes into counting.
_AT_ONCE = 64


class WebmReader(DocumentReader):
    """Push bytes, get tracks and packets.

    The bytes may be cut anywhere. Timestamps are in microseconds from the stream's own zero. A
    second EBML header in the stream begins a new document, as recorders that are restarted in
    mid-stream write it; also one within an element that was cut off.

    Sizes of Segments and Clusters are not used: an element of a higher level ends them, known size
    or not, and a recorder that dies leaves wrong ones.
    """

    def __init__(self) -> None:
        super().__init__(WEBM, needed=1)
        # Nothing was cut off before the buffer, for all that its first element tells.
        self._trusted = False
        self._scale = DEFAULT_SCALE
        self._cluster: int | None = None  # its Timestamp in ticks; None outside or before it
        self._in_cluster = False
        self._tracks = Tracks()

    def _read(self, found: list[Track | Packet]) -> None:
        while len(self._buffer) >= self._needed and (
            self._read_on(found) if self._doubt is None else self._judge(self._doubt)
        ):
            pass

    def _read_on(self, found: list[Track | Packet]) -> bool:
        """Read what has come, and add what it completes; returns whether more can be read."""
        buffer, work = self._buffer, self._work
        available = len(buffer)
        position = count = 0
        before = -1  # where what may have been cut off begins; in self._last if negative
        raw, ended = b"", 0  # the last element that was taken out, and where it ends
        try:
            while True:
                if count >= _AT_ONCE:
                    work.spend(count)
                    count = 0
                head = ebml.read_head(buffer, position)
                if head is None:
                    self._needed = available - position + 1
                    break
                identifier, length, begin = head
                count += 1 if begin - position == 2 else LONG
                if not self._began:
                    if identifier != Id.EBML:
                        raise MediaError("the stream does not begin with an EBML header")
                    self._began = True
                if not self._header_read and identifier in _MEDIA:
                    raise MediaError("a WebM stream has a block before its Tracks")
                if identifier in _MASTERS:
                    self._cluster, self._in_cluster = None, identifier == Id.CLUSTER
                    before, position = position, begin
                    continue
                if length is None:
                    raise MediaError(f"element 0x{identifier:X} has an unknown size")
                end = begin + length
                wanted = (identifier in _MEDIA and self._in_cluster) or identifier in _HEADERS
                limit = (
                    MAX_HEADER
                    if identifier in _HEADERS
                    else MAX_ELEMENT
                    if wanted
                    else MAX_PASSED_OVER
                )
                if length > limit:
                    raise MediaLimitError(
                        f"element 0x{identifier:X} claims {length} bytes; the limit is {limit}"
                    )
                if not wanted:
                    short = length <= _SHORT.get(identifier, -1)
                    if (
                        not short
                        and (identifier not in _KNOWN or length > MAX_KEPT)
                        and (position or not self._trusted)
                    ):
                        if identifier in _KNOWN:
                            # What lies before it is right, but its own head may have been cut off.
                            before = position
                        raise DoubtError(begin - position)
                    if length > MAX_KEPT:
                        before = position = end
                        if end > available:
                            self._skip = end - available
                            self._needed = 1
                            break
                        continue
                    if end > available:
                        self._needed = end - position
                        break
                    if (
                        not short
                        or end - before + (len(self._last) if before < 0 else 0) > MAX_KEPT
                    ):
                        before = position
                    position = end
                    continue
                if end > available:
                    # Or a few bytes could make it wait for 8 MiB.
                    checked = self._check_head(identifier, position, begin)
                    self._needed = end - position if checked else available - position + 1
                    break
                count += READ
                raw = bytes(memoryview(buffer)[position:end])
                ended = end
                if identifier == Id.SIMPLE_BLOCK:
                    self._read_block(raw, begin - position, None, 0, found)
                elif identifier == Id.TIMESTAMP:
                    self._cluster = ebml.read_uint(raw[begin - position :])
                else:
                    if length:
                        self._check_head(identifier, position, begin)
                    self._element(identifier, memoryview(raw)[begin - position :], found)
                before, position = position, end
        except MediaError as error:
            if not self._began or work.left < 0:
                raise
            work.spend(count)
            self._use_up(before, position)
            if isinstance(error, DoubtError):
                return self._judge(Doubt(None, error.reach))
            return self._judge(
                Doubt(
                    type(error)(*error.args),
                    ended - position if ended > position else _looked(buffer),
                )
            )
        work.spend(count)
        if before >= 0 and before + len(raw) == ended == position:
            self._last, self._trusted = raw, False
            del buffer[:position]
        else:
            self._use_up(before, position)
        return False

    def _check_head(self, identifier: int, position: int, begin: int) -> bool:
        """Doubt an element by its first bytes, if it is a block or a group; returns whether enough
        of them have come.
        """
        buffer = self._buffer
        if identifier not in (Id.SIMPLE_BLOCK, Id.BLOCK_GROUP):
            return True
        if begin == len(buffer):
            return False
        if identifier == Id.BLOCK_GROUP:
            if buffer[begin] not in _IN_GROUP and (position or not self._trusted):
                raise DoubtError(begin - position)
        elif buffer[begin]:
            number = ebml.read_size(buffer, begin)
            if number is None:
                return False
            self._check(number[0], begin - position)
        return True

    def _check(self, number: int | None, reach: int) -> None:
        """Doubt a block of a track that the header does not have, for the first time."""
        numbers = self._tracks.numbers
        if number is not None and number not in numbers:
            if len(numbers) >= 2 * MAX_TRACKS:
                numbers.clear()
            numbers.add(number)
            raise DoubtError(reach)

    def _use_up(self, before: int, position: int) -> None:
        """Take bytes out of the buffer, of which some may belong to what has been cut off.

        Args:
            before: Where that begins; in what was kept if negative.
            position: What is used up ends here.
        """
        last = self._buffer[max(before, 0) : position]
        self._last = bytes(last) if before >= 0 else self._last + last
        if position:
            self._trusted = False
        del self._buffer[:position]

    def _forget(self, moved: int) -> None:
        self._enter(Id.EBML)

    def _trust(self, doubt: Doubt) -> None:
        self._trusted = True

    def _least(self) -> int:
        return 1

    def _enter(self, identifier: int) -> None:
        self._cluster = None
        self._in_cluster = identifier == Id.CLUSTER

    def _element(self, identifier: int, payload: ebml.Buffer, found: list[Track | Packet]) -> None:
        match identifier:
            case Id.BLOCK_GROUP:
                self._read_group(payload, found)
            case Id.EBML:
                self._begin_document(payload)
            case Id.INFO:
                self._enter(identifier)
                for child, value in ebml.children(payload, self._work):
                    if child == Id.TIMESTAMP_SCALE:
                        self._scale = ebml.read_uint(value)
                if not 0 < self._scale <= 10**9:
                    raise MediaError("the TimestampScale is out of range")
            case Id.TRACKS:
                self._enter(identifier)
                self._tracks = Tracks()
                self._tracks.read(payload, self._next_header(), self._work)
                self._document += 1

    def _begin_document(self, payload: ebml.Buffer) -> None:
        doc_type = "matroska"
        for child, value in ebml.children(payload, self._work):
            if child == Id.DOC_TYPE:
                doc_type = ebml.read_text(value)
        if doc_type not in ("webm", "matroska"):
            raise MediaError(
                f"an EBML document of type {doc_type[:40]!r} is neither WebM nor Matroska"
            )
        self._enter(Id.EBML)
        self._scale = DEFAULT_SCALE
        self._header_read = False

    def _read_group(self, payload: ebml.Buffer, found: list[Track | Packet]) -> None:
        block: bytes | None = None
        duration, key = 0, True
        for child, value in ebml.children(payload, self._work):
            if child == Id.BLOCK:
                block = bytes(value)
            elif child == Id.BLOCK_DURATION:
                duration = ebml.read_uint(value) * self._scale // 1000
            elif child == Id.REFERENCE_BLOCK:
                key = False
        if block is not None:
            self._read_block(block, 0, key, duration, found)

    def _read_block(
        self,
        payload: bytes,
        begin: int,
        key: bool | None,
        duration: int,
        found: list[Track | Packet],
    ) -> None:
        """Read a SimpleBlock (``key`` None: its own flag counts) or a Block, RFC 9559 section 10,
        that begins there.
        """
        number, body = ebml.read_size(payload, begin) or (None, 0)
        if number is None or len(payload) < body + 3:
            raise MediaError("a block is too short")
        if self._cluster is None:
            raise MediaError("a block stands before its Cluster's Timestamp")
        entry = self._tracks.entries.get(number)
        if entry is None:
            self._check(number, begin)
            return
        relative, flags = _BLOCK_HEAD.unpack_from(payload, body)
        body += 3
        timestamp = (self._cluster + relative) * self._scale // 1000
        lacing = flags & 0x06
        try:
            frames = _unlace(payload, body, lacing) if lacing else [payload[body:]]
        except MediaError as error:
            entry.frames.breaks(error, self._work)
            return
        if key is None:
            key = bool(flags & 0x80)
        self._work.spend(FRAME * len(frames))
        share, passed = duration // len(frames), 0
        for frame in frames:
            unpacked = entry.frames.unpack(frame, key, self._work)
            if unpacked is None:
                continue
            track, frame, frame_key = unpacked
            if track is not None:
                found.append(track)
            track = entry.frames.track
            assert track is not None
            length = share * 1000 or _duration(track, frame, entry.default_duration)  # nanoseconds
            found.append(
                Packet(
                    track,
                    timestamp + passed // 1000,
                    frame_key,
                    frame,
                    (length + 500) // 1000,
                    document=self._document,
                )
            )
            passed += length


def _duration(track: Track, frame: bytes, default: int) -> int:
    """Nanoseconds of a frame of which its block does not say how long it lasts.

    Args:
        default: What the track says of all its frames, 0 if nothing.
    """
    if track.codec is Codec.OPUS:  # whose frames say it exactly, and differ
        return audio_duration(track, frame) or default
    return default or audio_duration(track, frame)


def _unlace(payload: bytes, position: int, lacing: int) -> list[bytes]:
    """Split a laced block (RFC 9559 section 10.3): 0x02 Xiph, 0x04 fixed size, 0x06 EBML."""
    if position >= len(payload):
        raise MediaError("a laced block is too short")
    count = payload[position] + 1
    position += 1
    sizes: list[int] = []
    if lacing == 0x04:
        sizes = [(len(payload) - position) // count] * (count - 1)
    elif lacing == 0x02:
        total = 0
        for _ in range(count - 1):
            before = total
            while True:
                if position >= len(payload) or total > len(
                    payload
                ):  # or a block could consist of sizes alone
                    raise MediaError("a laced block is cut off")
                byte = payload[position]
                position += 1
                total += byte
                if byte != 255:
                    break
            sizes.append(total - before)
    else:
        size = 0
        for index in range(count - 1):
            read = ebml.read_size(payload, position)
            if read is None or read[0] is None:
                raise MediaError("a laced block is cut off")
            # Every size but the first is a difference, stored with an offset of half the range (RFC
            # 9559 section 10.3.3).
            length = read[1] - position
            size = read[0] if index == 0 else size + read[0] - ((1 << (7 * length - 1)) - 1)
            position = read[1]
            sizes.append(size)
    rest = len(payload) - position - sum(sizes)
    uneven = lacing == 0x04 and (not rest or (len(payload) - position) % count)
    if rest < 0 or any(size < 0 for size in sizes) or uneven:
        raise MediaError("a laced block is smaller than its frames")
    frames: list[bytes] = []
    for size in (*sizes, rest):
        frames.append(payload[position : position + size])
        position += size
    return frames


_BLOCK_HEAD = struct.Struct(">hB")  # time and flags, behind the track's number


def _looked(buffer: bytearray) -> int:
    """So many of the first bytes show that they begin no element, or one that is too long."""
    try:
        head = ebml.read_head(buffer, 0)
    except MediaError:
        length = 9 - buffer[0].bit_length()
        return 1 if length > ebml.MAX_ID_LENGTH else length + 1
    assert head is not None
    return head[2]
