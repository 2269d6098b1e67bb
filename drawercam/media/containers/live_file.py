"""Sound and picture in one file, for programs: the canonical messages of a camera's tracks
(docs/protocol.md), put together.

The relay has every frame in its canonical form already. Messages of one track, one behind the
other, are a file; those of two tracks are one, too, if one header names both. So no frame is
written again: a copy of its message gets another time, at a place that is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from drawercam.media.codecs import opus
from drawercam.media.frame_layout import (
    is_webm,
    move_mp4,
    move_webm,
    set_mp4_duration,
    time_of,
    unwrap,
)
from drawercam.media.packets import Codec, Packet, Track

from . import boxes, ebml
from .matroska import Id
from .mp4_writer import Mp4Writer, with_turn
from .webm_writer import projection

VIDEO, AUDIO = 1, 2
"""Track numbers in canonical messages, and in the file."""

LONGEST_GAP = 2_000_000
"""Microseconds without a frame after which the camera, or this reader, was away. Then the file goes
on as if it had not been: a player whose picture stands still does not count on meanwhile, and would
wait for as long once more.
"""

STEP = 100_000
"""Microseconds between the last frame before such a gap and the first one behind it."""

_EBML = Id.EBML.to_bytes(4, "big")


class Container(StrEnum):
    """The two canonical forms; the value is the end of a file's name."""

    WEBM = "webm"
    MP4 = "mp4"

    @property
    def content_type(self) -> str:
        return f"video/{self}"


def container_of(init: bytes) -> Container:
    """The form of a canonical init segment."""
    return Container.WEBM if init.startswith(_EBML) else Container.MP4


def container_for(codec_string: str) -> Container:
    """The form in which pictures of a codec (RFC 6381) come: see `detect.writer`."""
    return Container.MP4 if codec_string.startswith("avc") else Container.WEBM


class Muxed:
    """One file of one camera's picture and, maybe, sound. It begins at 0, with a picture.

    Attributes:
        container: The form of its picture, and so of the file.
        numbers: The tracks in it. Opus goes with any picture; AAC, which WebM does not have, goes
            with H.264 only.
    """

    def __init__(
        self,
        video: bytes,
        audio: bytes | None = None,
        interval: int | None = None,
        rotation: int = 0,
        flip: bool = False,
    ) -> None:
        """
        Args:
            video, audio: The canonical init segments of tracks 1 and 2.
            interval: Microseconds from one picture to the next, usually, if that is known. WebM
                says so in its header: without it, FFmpeg looks at the times of forty pictures
                before it shows the first one.
            rotation, flip: As in `packets.Track`. The init segments do not say it; the file does.
        """
        self.container = container_of(video)
        self._inits = [video]
        self._interval = interval
        self._turn = rotation, flip
        # For Opus in MP4, the one that has to be written anew.
        self._opus: tuple[Mp4Writer, Track] | None = None
        if audio is not None and container_of(audio) is self.container:
            self._inits.append(audio)
        elif audio is not None and self.container is Container.MP4:
            track = _opus_track(audio)
            self._opus = Mp4Writer(track, AUDIO), track
            self._inits.append(self._opus[0].init())
        self.numbers = frozenset((VIDEO, AUDIO)[: len(self._inits)])
        self._began = False
        self._offset = 0  # from the file's times to those of the messages
        self._latest = 0  # time in the file of the latest frame
        self._last: dict[int, int] = {}  # the same, of each track
        self._sequence = 0

    def add(self, number: int, message: bytes) -> bytes | bytearray:
        """The next frame, as it stands in the file; before the first one stands the file's header.

        Args:
            number: Its track, one of `numbers`.
            message: The frame message. The first one is a picture, and a keyframe.

        Returns:
            Empty, if the frame has no place: it is of before the first picture, or not later than
                the last one of its track.
        """
        time = time_of(message)
        head = b""
        if not self._began:
            self._began, self._offset = True, time
            head = self._init(time)
        placed = time - self._offset
        if placed - self._latest > LONGEST_GAP:
            self._offset += placed - self._latest - STEP
            placed = self._latest + STEP
        before = self._last.get(number, -1)
        if placed <= before:
            return b""
        self._last[number] = placed
        self._latest = max(self._latest, placed)
        moved = self._moved(message, placed)
        if self.container is Container.MP4 and number == VIDEO and before >= 0:
            # As long as the one before lasted: VLC believes what is told here, and stands still
            # when the clock of its sound disagrees.
            set_mp4_duration(moved, placed - before)
        return head + moved if head else moved

    def _moved(self, message: bytes, time: int) -> bytearray:
        if self._opus is not None and is_webm(message):
            writer, track = self._opus
            message = writer.fragment(Packet(track, time, True, bytes(unwrap(message)[1])))
        moved = bytearray(message)
        if self.container is Container.WEBM:
            move_webm(moved, time)
        else:
            self._sequence = self._sequence + 1 & 0xFFFFFFFF
            move_mp4(moved, time, self._sequence)
        return moved

    def _init(self, time: int) -> bytes:
        """The header of all tracks.

        The file's zero lies so many microseconds behind that of the messages.
        """
        if self.container is Container.WEBM:
            return _webm_init(self._inits, time, self._interval, projection(*self._turn))
        return _mp4_init(self._inits, *self._turn)


def _elements(init: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """What stands in a WebM init segment: ID, all of it, and its payload.

    Of the Segment, whose size is unknown, only the beginning.
    """
    position = 0
    while (head := ebml.read_id(init, position)) and (size := ebml.read_size(init, head[1])):
        end = size[1] + (size[0] or 0)
        yield head[0], init[position:end], init[size[1] : end]
        position = end


def _webm_init(inits: list[bytes], time: int, interval: int | None, turn: bytes) -> bytes:
    """RFC 9559 section 5.1: as the first one, with the TrackEntries of all, of which the first
    tells how long a picture usually lasts (DefaultDuration) and how it is turned (Projection);
    DateUTC, if there is one, is that of the file's zero.
    """
    tracks = [
        payload
        for init in inits
        for identifier, _, payload in _elements(init)
        if identifier == Id.TRACKS
    ]
    entry = next(payload for _, payload in ebml.children(tracks[0]))
    more = ebml.element(Id.DEFAULT_DURATION, ebml.uint(interval * 1000)) if interval else b""
    written = b"".join(
        ebml.element(child, bytes(value) + (turn if child == Id.VIDEO else b""))
        for child, value in ebml.children(entry)
    )
    tracks[0] = ebml.element(Id.TRACK_ENTRY, written + more)
    entries = b"".join(tracks)
    written = b""
    for identifier, whole, payload in _elements(inits[0]):
        if identifier == Id.INFO:
            whole = ebml.element(
                Id.INFO,
                b"".join(ebml.element(*_dated(*child, time)) for child in ebml.children(payload)),
            )
        elif identifier == Id.TRACKS:
            whole = ebml.element(Id.TRACKS, entries)
        written += whole
    return written


def _dated(identifier: int, payload: ebml.Buffer, time: int) -> tuple[int, bytes]:
    if identifier != Id.DATE_UTC:
        return identifier, bytes(payload)
    return identifier, (int.from_bytes(payload, "big", signed=True) + time * 1000).to_bytes(
        8, "big", signed=True
    )


def _mp4_init(inits: list[bytes], rotation: int, flip: bool) -> bytes:
    """ISO/IEC 14496-12 8.2.1: as the first one, with the trak of each, of which the first is
    turned, and the trex of each in one mvex.
    """
    first = memoryview(inits[0])
    moovs = [boxes.need(memoryview(init), b"moov") for init in inits]
    picture, *sounds = (bytes(boxes.need(moov, b"trak")) for moov in moovs)
    tkhd = bytes(boxes.need(memoryview(picture), b"tkhd"))
    if rotation or flip:
        picture = picture.replace(tkhd, with_turn(tkhd, rotation, flip), 1)
    traks = b"".join(boxes.box(b"trak", trak) for trak in (picture, *sounds))
    extends = b"".join(
        boxes.box(b"trex", bytes(boxes.need(moov, b"mvex", b"trex"))) for moov in moovs
    )
    header = bytes(boxes.need(moovs[0], b"mvhd")[:-4]) + (len(inits) + 1).to_bytes(
        4, "big"
    )  # next_track_ID
    moov = boxes.box(b"mvhd", header) + traks + boxes.box(b"mvex", extends)
    return boxes.box(b"ftyp", bytes(boxes.need(first, b"ftyp"))) + boxes.box(b"moov", moov)


def _opus_track(init: bytes) -> Track:
    """The track of a canonical init segment of Opus."""
    tracks = next(payload for identifier, _, payload in _elements(init) if identifier == Id.TRACKS)
    entry = next(
        payload for identifier, payload in ebml.children(tracks) if identifier == Id.TRACK_ENTRY
    )
    config = next(
        bytes(payload)
        for identifier, payload in ebml.children(entry)
        if identifier == Id.CODEC_PRIVATE
    )
    return Track(Codec.OPUS, "opus", config, sample_rate=48000, channels=opus.channels(config))
