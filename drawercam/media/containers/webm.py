"""WebM and Matroska (RFC 9559): bytes to packets, packets to bytes."""

from __future__ import annotations

import struct
import sys
from dataclasses import dataclass, replace
from functools import partial

from drawercam.media.codecs.unpack import Unpacker, audio_duration, unpacker
from drawercam.media.color import UNSPECIFIED, ColorSpace, from_codes
from drawercam.media.geometry import Geometry, angles, of_angles
from drawercam.media.packets import MAX_PASSED_OVER, Codec, Kind, LeftOut, MediaError, MediaLimitError, Packet, Track
from drawercam.media.work import FRAME, LONG, READ, TRACK, Work

from . import ebml
from .beginnings import CUT_OFF, MAX_KEPT, WEBM
from .header import Header, TrackReader

# The largest element inside a Cluster that is read, in bytes. A 4K keyframe at the best quality stays below 2 MiB.
MAX_ELEMENT = 8 * 2**20

# The largest header element (EBML, Info, Tracks), in bytes. Real ones have some hundred. What is only passed over, such as attachments, is
# never held.
MAX_HEADER = 2**20

# Tracks of one header. Recorders have two, films with all their languages some dozens.
MAX_TRACKS = 64


class Id:
    """Element IDs, RFC 9559 section 5.1 and RFC 8794 section 11.2."""

    EBML = 0x1A45DFA3
    DOC_TYPE = 0x4282
    SEGMENT = 0x18538067
    INFO = 0x1549A966
    TIMESTAMP_SCALE = 0x2AD7B1
    DATE_UTC = 0x4461
    MUXING_APP = 0x4D80
    WRITING_APP = 0x5741
    TRACKS = 0x1654AE6B
    TRACK_ENTRY = 0xAE
    TRACK_NUMBER = 0xD7
    TRACK_UID = 0x73C5
    TRACK_TYPE = 0x83
    FLAG_LACING = 0x9C
    CODEC_ID = 0x86
    CODEC_PRIVATE = 0x63A2
    CODEC_DELAY = 0x56AA
    SEEK_PRE_ROLL = 0x56BB
    DEFAULT_DURATION = 0x23E383
    CONTENT_ENCODINGS = 0x6D80
    VIDEO = 0xE0
    PIXEL_WIDTH = 0xB0
    PIXEL_HEIGHT = 0xBA
    PIXEL_CROP_BOTTOM = 0x54AA
    PIXEL_CROP_TOP = 0x54BB
    PIXEL_CROP_LEFT = 0x54CC
    PIXEL_CROP_RIGHT = 0x54DD
    DISPLAY_WIDTH = 0x54B0
    DISPLAY_HEIGHT = 0x54BA
    DISPLAY_UNIT = 0x54B2
    PROJECTION = 0x7670
    PROJECTION_TYPE = 0x7671
    PROJECTION_POSE_YAW = 0x7673
    PROJECTION_POSE_PITCH = 0x7674
    PROJECTION_POSE_ROLL = 0x7675
    COLOUR = 0x55B0
    MATRIX_COEFFICIENTS = 0x55B1
    RANGE = 0x55B9
    TRANSFER_CHARACTERISTICS = 0x55BA
    PRIMARIES = 0x55BB
    AUDIO = 0xE1
    SAMPLING_FREQUENCY = 0xB5
    CHANNELS = 0x9F
    CLUSTER = 0x1F43B675
    TIMESTAMP = 0xE7
    SIMPLE_BLOCK = 0xA3
    BLOCK_GROUP = 0xA0
    BLOCK = 0xA1
    BLOCK_DURATION = 0x9B
    REFERENCE_BLOCK = 0xFB
    PREV_SIZE = 0xAB
    POSITION = 0xA7
    SEEK_HEAD = 0x114D9B74
    CUES = 0x1C53BB6B
    TAGS = 0x1254C367
    CHAPTERS = 0x1043A770
    ATTACHMENTS = 0x1941A469
    VOID = 0xEC
    CRC_32 = 0xBF


_HEADERS = frozenset((Id.EBML, Id.INFO, Id.TRACKS))
_MEDIA = frozenset((Id.CLUSTER, Id.TIMESTAMP, Id.SIMPLE_BLOCK, Id.BLOCK_GROUP))
_MASTERS = frozenset((Id.SEGMENT, Id.CLUSTER))  # what is in them is read as it comes

# First bytes of what stands in a BlockGroup, RFC 9559 section 5.1.3.5.
_IN_GROUP = frozenset((Id.BLOCK, Id.BLOCK_DURATION, Id.REFERENCE_BLOCK, 0xFA, 0xFD, 0xA4, 0x75, 0x8E, 0xC8, 0xA2, 0xEC, 0xBF))

# What is only passed over, but known. Where anything else follows an element, that may have been cut off, and another document have begun
# in it. IDs of one byte stand there by chance, too: the element before them stays the one that may have been cut off.
_KNOWN = frozenset((*_MEDIA, Id.SEEK_HEAD, Id.CUES, Id.TAGS, Id.CHAPTERS, Id.ATTACHMENTS))
_SHORT = {Id.VOID: MAX_KEPT, Id.CRC_32: 4, Id.PREV_SIZE: 8, Id.POSITION: 8}  # bytes in it at most

# What says the shape of a picture. Units of its display size: pixels, centimetres, inches, an aspect ratio; the other one is "unknown".
_CROPS = (Id.PIXEL_CROP_BOTTOM, Id.PIXEL_CROP_TOP, Id.PIXEL_CROP_LEFT, Id.PIXEL_CROP_RIGHT)
_SIZES = frozenset((Id.PIXEL_WIDTH, Id.PIXEL_HEIGHT, *_CROPS, Id.DISPLAY_WIDTH, Id.DISPLAY_HEIGHT, Id.DISPLAY_UNIT))
_DISPLAY_UNITS = range(4)

# Units of work that are paid for together: less of the time goes into counting.
_AT_ONCE = 64

# Codec IDs of RFC 9559's companion, draft-ietf-cellar-codec.
_CODECS = {
    "V_VP8": Codec.VP8,
    "V_VP9": Codec.VP9,
    "V_AV1": Codec.AV1,
    "V_MPEG4/ISO/AVC": Codec.H264,
    "A_OPUS": Codec.OPUS,
    "A_AAC": Codec.AAC,
}
_CODEC_IDS = {codec: identifier for identifier, codec in _CODECS.items()}

# RFC 9559 section 5.1.4.1.3.
_TRACK_TYPES = {Kind.VIDEO: 1, Kind.AUDIO: 2}
_KINDS = {number: kind for kind, number in _TRACK_TYPES.items()}

# What is read of a Colour element; the first three are code points of H.273.
_COLOURS = (Id.PRIMARIES, Id.TRANSFER_CHARACTERISTICS, Id.MATRIX_COEFFICIENTS, Id.RANGE)

# RFC 9559 section 5.1.4.1.28.25: 1 is "broadcast range"; of the others one is unspecified, and one leaves it to transfer and matrix.
_RANGES = {1: False, 2: True}
_RANGE_CODES = {value: code for code, value in _RANGES.items()}

# RFC 9559 section 5.1.2.10 with the default TimestampScale: one tick is a millisecond.
_DEFAULT_SCALE = 1_000_000


class _DoubtError(MediaError):
    """An element is unknown, or its track is: what lies before it may have been cut off, or its head. No caller sees it.

    Attributes:
        reach: Bytes of its head.
    """

    def __init__(self, reach: int) -> None:
        super().__init__()
        self.reach = reach


@dataclass(slots=True)
class _Entry:
    """One TrackEntry that is passed on."""

    frames: TrackReader
    default_duration: int  # nanoseconds, 0 when unknown


class WebmReader:
    """Push bytes, get tracks and packets.

    The bytes may be cut anywhere. Timestamps are in microseconds from the stream's own zero. A second EBML header in the stream
    begins a new document, as recorders that are restarted in mid-stream write it; also one within an element that was cut off. That it was
    cut off shows in what follows it, when it has been passed on; where what follows is right, so was the element, whatever is in it.

    Sizes of Segments and Clusters are not used: an element of a higher level ends them, known size or not, and a recorder that dies
    leaves wrong ones.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed = 1  # bytes that the buffer must hold before it is worth looking again
        self._skip = 0  # bytes still to pass over
        self._last = b""  # what lies before the buffer and may have been cut off
        self._trusted = False  # it was not, for all that the buffer's first element tells
        self._doubt: tuple[MediaError | None, int] | None = None  # it may have been; see _judge
        self._scale = _DEFAULT_SCALE
        self._cluster: int | None = None  # its Timestamp in ticks; None outside or before it
        self._in_cluster = False
        self._began = False
        self._entries: dict[int, _Entry] | None = None
        self._numbers: set[int] = set()  # of all tracks, also of those that are not read
        self._header = Header()
        self._document = -1  # how many there were before the present one
        self._error: MediaError | None = None
        self._work = Work()

    @property
    def held(self) -> int:
        """Bytes of memory for what is not complete yet."""
        return sys.getsizeof(self._buffer)

    @property
    def kept(self) -> int:
        """Bytes of what was read last: it may have been cut off."""
        return len(self._last)

    @property
    def kinds(self) -> set[Kind] | None:
        """Kinds of the tracks of the present document; None before they are known."""
        return None if self._entries is None else self._header.kinds

    def left_out(self) -> list[LeftOut]:
        """What was left out since the last call."""
        found, self._header.left_out = self._header.left_out, []
        return found

    def feed(self, data: bytes, work: Work | None = None) -> list[Track | Packet]:
        """Take the next bytes of the stream.

        Args:
            data: The bytes.
            work: What they may cost; as much as a message if None.

        Returns:
            What they complete, in order: a Track before its first packet and whenever it changes, and packets.

        Raises:
            MediaError: The bytes are not WebM, or broken, or none of its tracks can be read. The reader stays dead.
            MediaLimitError: An element that is read claims more than MAX_ELEMENT or MAX_HEADER bytes, or the bytes are too much work.
        """
        if self._error:
            raise self._error
        self._work = Work() if work is None else work
        try:
            return self._feed(data)
        except MediaError as error:
            self._error = type(error)(*error.args)  # without its frames, whose bytes would stay with it
            self._buffer.clear()
            self._last = b""
            raise

    def _feed(self, data: bytes) -> list[Track | Packet]:
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._buffer += data
        found: list[Track | Packet] = []
        while len(self._buffer) >= self._needed and (self._read(found) if self._doubt is None else self._judge(*self._doubt)):
            pass
        return found

    def _read(self, found: list[Track | Packet]) -> bool:
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
                if self._entries is None and identifier in _MEDIA:
                    raise MediaError("a WebM stream has a block before its Tracks")
                if identifier in _MASTERS:
                    self._cluster, self._in_cluster = None, identifier == Id.CLUSTER
                    before, position = position, begin
                    continue
                if length is None:
                    raise MediaError(f"element 0x{identifier:X} has an unknown size")
                end = begin + length
                wanted = (identifier in _MEDIA and self._in_cluster) or identifier in _HEADERS
                limit = MAX_HEADER if identifier in _HEADERS else MAX_ELEMENT if wanted else MAX_PASSED_OVER
                if length > limit:
                    raise MediaLimitError(f"element 0x{identifier:X} claims {length} bytes; the limit is {limit}")
                if not wanted:
                    short = length <= _SHORT.get(identifier, -1)
                    if not short and (identifier not in _KNOWN or length > MAX_KEPT) and (position or not self._trusted):
                        if identifier in _KNOWN:
                            before = position  # what lies before it is right, but its own head may have been cut off
                        raise _DoubtError(begin - position)
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
                    if not short or end - before + (len(self._last) if before < 0 else 0) > MAX_KEPT:
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
            if isinstance(error, _DoubtError):
                return self._judge(None, error.reach)
            return self._judge(type(error)(*error.args), ended - position if ended > position else _looked(buffer))
        work.spend(count)
        if before >= 0 and before + len(raw) == ended == position:
            self._last, self._trusted = raw, False
            del buffer[:position]
        else:
            self._use_up(before, position)
        return False

    def _check_head(self, identifier: int, position: int, begin: int) -> bool:
        """Doubt an element by its first bytes, if it is a block or a group; returns whether enough of them have come."""
        buffer = self._buffer
        if identifier not in (Id.SIMPLE_BLOCK, Id.BLOCK_GROUP):
            return True
        if begin == len(buffer):
            return False
        if identifier == Id.BLOCK_GROUP:
            if buffer[begin] not in _IN_GROUP and (position or not self._trusted):
                raise _DoubtError(begin - position)
        elif buffer[begin]:
            number = ebml.read_size(buffer, begin)
            if number is None:
                return False
            self._check(number[0], begin - position)
        return True

    def _check(self, number: int | None, reach: int) -> None:
        """Doubt a block of a track that the header does not have, for the first time."""
        if number is not None and number not in self._numbers:
            if len(self._numbers) >= 2 * MAX_TRACKS:
                self._numbers.clear()
            self._numbers.add(number)
            raise _DoubtError(reach)

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

    def _judge(self, error: MediaError | None, reach: int) -> bool:
        """Find out whether another document begins in what was kept, or in what is wrong behind it.

        Args:
            error: What is wrong with the buffer's first bytes; None if nothing is when no document begins.
            reach: So many of them.

        Returns:
            Whether more can be read; if not, it is not known yet.

        Raises:
            MediaError: The error: no other document begins.
        """
        place, needed = WEBM.find(self._last, self._buffer, reach, self._work)
        if needed:
            self._doubt, self._needed = (error, reach), needed
            return False
        self._doubt, self._needed = None, 1
        if place is not None:
            self._buffer[:] = (self._last + self._buffer)[place:]
            self._last = b""
            self._enter(Id.EBML)
            self._header.leave_out(CUT_OFF, over=True)
        elif error is not None:
            raise error
        else:
            self._trusted = True
        return True

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
                self._read_tracks(payload)

    def _begin_document(self, payload: ebml.Buffer) -> None:
        doc_type = "matroska"
        for child, value in ebml.children(payload, self._work):
            if child == Id.DOC_TYPE:
                doc_type = ebml.read_text(value)
        if doc_type not in ("webm", "matroska"):
            raise MediaError(f"an EBML document of type {doc_type[:40]!r} is neither WebM nor Matroska")
        self._enter(Id.EBML)
        self._scale = _DEFAULT_SCALE
        self._entries = None

    def _read_tracks(self, payload: ebml.Buffer) -> None:
        header = Header()
        header.left_out = self._header.left_out
        self._header = header
        entries: dict[int, _Entry] = {}
        self._entries = entries
        self._numbers.clear()
        count = 0
        for child, value in ebml.children(payload, self._work):
            if child != Id.TRACK_ENTRY:
                continue
            count += 1
            if count > MAX_TRACKS:
                raise MediaLimitError(f"a WebM stream has more than {MAX_TRACKS} tracks")
            try:
                self._read_entry(value, entries)
            except MediaError as error:
                if self._work.left < 0:
                    raise
                header.cannot_read("a track", None, error)
        header.close()
        self._document += 1

    def _read_entry(self, payload: ebml.Buffer, entries: dict[int, _Entry]) -> None:
        """Take a track, if it is one that is read.

        Raises:
            MediaError: What it is cannot be told.
        """
        number, kind, codec_id, config, duration, encoded = 0, None, "", b"", 0, False
        sound: ebml.Buffer = b""
        pictures: ebml.Buffer = b""
        for child, value in ebml.children(payload, self._work):
            match child:
                case Id.TRACK_NUMBER:
                    number = ebml.read_uint(value)
                    self._numbers.add(number)
                case Id.TRACK_TYPE:
                    kind = _KINDS.get(ebml.read_uint(value))
                case Id.CODEC_ID:
                    codec_id = ebml.read_text(value)
                case Id.CODEC_PRIVATE:
                    config = bytes(value)
                case Id.DEFAULT_DURATION:
                    duration = ebml.read_uint(value)
                case Id.CONTENT_ENCODINGS:
                    encoded = True
                case Id.VIDEO:
                    pictures = value
                case Id.AUDIO:
                    sound = value
        codec = next((codec for prefix, codec in _CODECS.items() if codec_id == prefix or codec_id.startswith(prefix + "/")), None)
        if codec is not None:
            kind = codec.kind  # some recorders leave the type out
        if kind is None or kind in self._header.kinds:
            return
        name = f"track {number}"
        try:
            if codec is None:
                raise MediaError(f"the relay does not pass on the codec {codec_id!r}")
            if encoded:
                raise MediaError("the track is compressed or encrypted, which cannot be passed on")
            self._work.spend(TRACK)
            rate, channels = self._read_sound(sound)
            begin = partial(_begin, codec, config, rate, channels, color=_read_color(pictures, self._work))
            shown = _geometry(pictures, self._work)
            entry = _Entry(TrackReader(self._header, name, kind, begin, self._work, shown), duration)
        except MediaError as error:
            if self._work.left < 0:
                raise
            self._header.cannot_read(name, kind, error)
            return
        self._header.takes(kind)
        entries[number] = entry

    def _read_sound(self, audio: ebml.Buffer) -> tuple[int, int]:
        """Sample rate in Hz and channels, of the settings of sound."""
        rate, channels = 8000.0, 1
        for child, value in ebml.children(audio, self._work):
            if child == Id.SAMPLING_FREQUENCY:
                rate = ebml.read_float(value)
            elif child == Id.CHANNELS:
                channels = ebml.read_uint(value)
        if not (0 < rate < 10**6 and 0 < channels < 256):
            raise MediaError("an audio track has an impossible sample rate or channel count")
        return int(rate), channels

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

    def _read_block(self, payload: bytes, begin: int, key: bool | None, duration: int, found: list[Track | Packet]) -> None:
        """Read a SimpleBlock (``key`` None: its own flag counts) or a Block, RFC 9559 section 10, that begins there."""
        number, body = ebml.read_size(payload, begin) or (None, 0)
        if number is None or len(payload) < body + 3:
            raise MediaError("a block is too short")
        if self._cluster is None:
            raise MediaError("a block stands before its Cluster's Timestamp")
        assert self._entries is not None
        entry = self._entries.get(number)
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
            found.append(Packet(track, timestamp + passed // 1000, frame_key, frame, (length + 500) // 1000, document=self._document))
            passed += length


def _begin(codec: Codec, config: bytes, sample_rate: int, channels: int, work: Work, color: ColorSpace | None = None) -> Unpacker:
    return unpacker(codec, config, sample_rate, channels, work, color)


def _duration(track: Track, frame: bytes, default: int) -> int:
    """Nanoseconds of a frame of which its block does not say how long it lasts.

    Args:
        default: What the track says of all its frames, 0 if nothing.
    """
    if track.codec is Codec.OPUS:  # whose frames say it exactly, and differ
        return audio_duration(track, frame) or default
    return default or audio_duration(track, frame)


def _geometry(video: ebml.Buffer, work: Work) -> Geometry:
    """How the pictures of a track are shown (RFC 9559, Video): whatever the unit of the display size, it says their shape."""
    known: dict[int, int] = {}
    angle = {Id.PROJECTION_POSE_YAW: 0.0, Id.PROJECTION_POSE_PITCH: 0.0, Id.PROJECTION_POSE_ROLL: 0.0}
    rectangular = True
    for child, value in ebml.children(video, work):
        if child in _SIZES:
            known[child] = ebml.read_uint(value)
        elif child == Id.PROJECTION:
            for inner, payload in ebml.children(value, work):
                if inner in angle:
                    angle[inner] = ebml.read_float(payload)
                elif inner == Id.PROJECTION_TYPE:
                    rectangular = ebml.read_uint(payload) == 0
    shape = of_angles(*angle.values()) if rectangular else Geometry()
    width = known.get(Id.PIXEL_WIDTH, 0) - known.get(Id.PIXEL_CROP_LEFT, 0) - known.get(Id.PIXEL_CROP_RIGHT, 0)
    height = known.get(Id.PIXEL_HEIGHT, 0) - known.get(Id.PIXEL_CROP_TOP, 0) - known.get(Id.PIXEL_CROP_BOTTOM, 0)
    if width <= 0 or height <= 0 or known.get(Id.DISPLAY_UNIT, 0) not in _DISPLAY_UNITS:
        return shape
    # A side that is not said is as it was.
    shown_width, shown_height = known.get(Id.DISPLAY_WIDTH) or width, known.get(Id.DISPLAY_HEIGHT) or height
    return replace(shape, pixel_aspect=shown_width / width / (shown_height / height))


def _read_color(video: ebml.Buffer, work: Work) -> ColorSpace | None:
    """What its Colour element (RFC 9559 section 5.1.4.1.28.16) says."""
    colour = next((payload for child, payload in ebml.children(video) if child == Id.COLOUR), b"")
    found = {identifier: ebml.read_uint(value) for identifier, value in ebml.children(colour, work) if identifier in _COLOURS}
    primaries, transfer, matrix = (found.get(identifier, UNSPECIFIED) for identifier in _COLOURS[:3])
    return from_codes(primaries, transfer, matrix, _RANGES.get(found.get(Id.RANGE, 0)))


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
                if position >= len(payload) or total > len(payload):  # or a block could consist of sizes alone
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
            # Every size but the first is a difference, stored with an offset of half the range (RFC 9559 section 10.3.3).
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


def _color(color: ColorSpace | None) -> bytes:
    """The Colour element, with what is known; nothing where nothing is."""
    if color is None:
        return b""
    codes = zip(_COLOURS, color.codes(), strict=False)
    known = [(identifier, code) for identifier, code in codes if code != UNSPECIFIED]
    if color.full_range is not None:
        known.append((Id.RANGE, _RANGE_CODES[color.full_range]))
    return ebml.element(Id.COLOUR, b"".join(ebml.element(identifier, ebml.uint(code)) for identifier, code in known))


_BLOCK_HEAD = struct.Struct(">hB")  # time and flags, behind the track's number

# The frame message of docs/protocol.md: Cluster and its size, Timestamp, SimpleBlock and its size, track number, 0, flags.
_FRAME = struct.Struct(">4sI2sQ1sIBhB")
_CLUSTER_ID = Id.CLUSTER.to_bytes(4, "big")
_AFTER_CLUSTER_SIZE = _FRAME.size - 8
_AFTER_BLOCK_SIZE = 4
_VINT4 = 0x10000000
_MAX_VINT4 = _VINT4 - 2


class WebmWriter:
    """Packets of one track to the canonical WebM of docs/protocol.md: an init segment, then one known-size Cluster per frame.

    A known-size Cluster makes Chrome show its frame at once instead of waiting for the next one to learn its duration; the unknown
    Segment size with a DateUTC and no Duration make it keep only one frame in reserve.
    """

    CODECS = frozenset((Codec.VP8, Codec.VP9, Codec.AV1, Codec.OPUS))

    def __init__(self, track: Track, number: int, date_utc: int) -> None:
        """
        Args:
            track: What will be written.
            number: Track number, 1 to 126.
            date_utc: When the timeline was 0, in nanoseconds since 2001-01-01T00:00 UTC (RFC 8794 section 7.6).
        """
        if not 0 < number < 127:
            raise ValueError(f"track number {number} does not fit one byte")
        self._track = track
        self._number = number
        self._date_utc = date_utc

    @property
    def mime(self) -> str:
        """The type for MediaSource."""
        return f'{self._track.kind}/webm; codecs="{self._track.codec_string}"'

    def init(self, oriented: bool = False) -> bytes:
        """The init segment: EBML header, Segment of unknown size, Info, Tracks.

        Args:
            oriented: It says how its pictures are turned. For players it does not: they turn them, as their `track` message says.
        """
        header = ebml.element(
            Id.EBML,
            ebml.element(0x4286, b"\x01")  # EBMLVersion
            + ebml.element(0x42F7, b"\x01")  # EBMLReadVersion
            + ebml.element(0x42F2, b"\x04")  # EBMLMaxIDLength
            + ebml.element(0x42F3, b"\x08")  # EBMLMaxSizeLength
            + ebml.element(Id.DOC_TYPE, b"webm")
            + ebml.element(0x4287, b"\x04")  # DocTypeVersion
            + ebml.element(0x4285, b"\x02"),  # DocTypeReadVersion
        )
        info = ebml.element(
            Id.INFO,
            ebml.element(Id.TIMESTAMP_SCALE, ebml.uint(_DEFAULT_SCALE))
            + ebml.element(Id.DATE_UTC, self._date_utc.to_bytes(8, "big", signed=True))
            + ebml.element(Id.MUXING_APP, b"drawercam")
            + ebml.element(Id.WRITING_APP, b"drawercam"),
        )
        segment = Id.SEGMENT.to_bytes(4, "big") + b"\x01" + b"\xff" * 7
        return header + segment + info + ebml.element(Id.TRACKS, ebml.element(Id.TRACK_ENTRY, self._entry(oriented)))

    def _entry(self, oriented: bool) -> bytes:
        track = self._track
        entry = (
            ebml.element(Id.TRACK_NUMBER, ebml.uint(self._number))
            + ebml.element(Id.TRACK_UID, ebml.uint(self._number))
            + ebml.element(Id.TRACK_TYPE, ebml.uint(_TRACK_TYPES[track.kind]))
            + ebml.element(Id.FLAG_LACING, b"\0")
            + ebml.element(Id.CODEC_ID, _CODEC_IDS[track.codec].encode())
        )
        if track.config:
            entry += ebml.element(Id.CODEC_PRIVATE, track.config)
        if track.kind is Kind.VIDEO:
            size = ebml.element(Id.PIXEL_WIDTH, ebml.uint(track.width)) + ebml.element(Id.PIXEL_HEIGHT, ebml.uint(track.height))
            if track.display_width:
                size += ebml.element(Id.DISPLAY_WIDTH, ebml.uint(track.display_width))
                size += ebml.element(Id.DISPLAY_HEIGHT, ebml.uint(track.display_height))
            size += _color(track.color)
            return entry + ebml.element(Id.VIDEO, size + (projection(track.rotation, track.flip) if oriented else b""))
        if track.codec is Codec.OPUS:
            # draft-ietf-cellar-codec: CodecDelay is the pre-skip, SeekPreRoll 80 ms; both in nanoseconds.
            pre_skip = int.from_bytes(track.config[10:12], "little") * 10**9 // 48000
            entry += ebml.element(Id.CODEC_DELAY, ebml.uint(pre_skip)) + ebml.element(Id.SEEK_PRE_ROLL, ebml.uint(80_000_000))
        rate = ebml.element(Id.SAMPLING_FREQUENCY, struct.pack(">d", track.sample_rate))
        sound = rate + ebml.element(Id.CHANNELS, ebml.uint(track.channels))
        return entry + ebml.element(Id.AUDIO, sound)

    def fragment(self, packet: Packet) -> bytes:
        """One frame message.

        Raises:
            MediaLimitError: The frame does not fit a 4-byte size.
        """
        size = len(packet.data)
        if size > _MAX_VINT4 - _AFTER_CLUSTER_SIZE:
            raise MediaLimitError("a frame does not fit a Cluster")
        return (
            _FRAME.pack(
                _CLUSTER_ID,
                _VINT4 | size + _AFTER_CLUSTER_SIZE,
                b"\xe7\x88",
                max(0, packet.timestamp + 500) // 1000,  # where pictures are reordered, the first may lie before the zero
                b"\xa3",
                _VINT4 | size + _AFTER_BLOCK_SIZE,
                0x80 | self._number,
                0,
                0x80 if packet.key else 0,
            )
            + packet.data
        )


def projection(rotation: int, flip: bool) -> bytes:
    """The Projection element that says a turn (RFC 9559): a rectangular one with its pose; empty where nothing is turned.

    Args:
        rotation, flip: As in `packets.Track`.
    """
    if not rotation and not flip:
        return b""
    yaw, roll = (struct.pack(">f", angle) for angle in angles(rotation, flip))
    pose = ebml.element(Id.PROJECTION_POSE_YAW, yaw) + ebml.element(Id.PROJECTION_POSE_ROLL, roll)
    return ebml.element(Id.PROJECTION, ebml.element(Id.PROJECTION_TYPE, b"\0") + pose)


def _looked(buffer: bytearray) -> int:
    """So many of the first bytes show that they begin no element, or one that is too long."""
    try:
        head = ebml.read_head(buffer, 0)
    except MediaError:
        length = 9 - buffer[0].bit_length()
        return 1 if length > ebml.MAX_ID_LENGTH else length + 1
    assert head is not None
    return head[2]
