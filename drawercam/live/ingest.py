"""What one camera sends: streams of container bytes in, tracks and packets on the relay's clock
out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from drawercam.media.containers.detect import StreamReader
from drawercam.media.geometry import Geometry
from drawercam.media.packets import Kind, LeftOut, MediaError, MediaLimitError, Packet, Track
from drawercam.media.timeline import Timeline
from drawercam.media.work import MOST, MOST_AT_ONCE, Work
from drawercam.protocol.close_reasons import Reason, Refused
from drawercam.protocol.messages import MAX_STREAM

from .channel import Channel
from .ledger import MAX_OF_CAMERA, WORK_PER_SECOND, Account, Budget, Ledger

PUBLISHING = 8
"""Units of work for handing on a frame, beside reading it."""

ANNOUNCING = 64
"""Units of work for a track, also if only the size of its pictures changes."""

PIECE = 16 * 2**10
"""Bytes of a message that are read at once. Most pictures have less; of the smallest that codecs
make, of 40 bytes, as many cost half of what a piece may (media/work.py).
"""

MAX_UNCOUNTED = 2**19
"""Bytes of what its streams have read last that do not count as held: most pictures have less, and
the channel holds one anyway.
"""

# Microseconds by which a document must begin before the end of the one before it in its stream to
# count its times anew. One that repeats its header only goes on, and its tracks are interleaved
# more closely.
_ANEW = 250_000

# What is left out of one stream, or of all, and is remembered for people, in sentences.
_MOST_REMARKS = 8

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Stream:
    """One recorder's bytes.

    Attributes:
        delay, keyframes, interval, sound: See messages.Stream.
        turn: Likewise.
        document: Which of its documents came last.
        latest: The latest end of a packet, on its recorder's clock.
        kinds: The kinds of tracks of its last document.
        remarks: What is left out of that.
    """

    reader: StreamReader
    timeline: Timeline
    delay: int
    keyframes: bool
    interval: int | None
    sound: bool | None
    turn: Geometry
    document: int = 0
    latest: int = 0
    kinds: set[Kind] | None = None
    remarks: list[str] = field(default_factory=list)


class Source:
    """The streams of one camera connection, feeding one channel.

    The first stream that brings a video track is the camera's picture, the first with an audio
    track its sound; tracks of the same kind in other streams are ignored.
    """

    def __init__(
        self,
        channel: Channel,
        clock: Callable[[], int],
        account: Account | None = None,
        whole: bool = False,
    ) -> None:
        """
        Args:
            channel: Where tracks and packets go.
            clock: The relay's clock, microseconds.
            account: Where it counts what has begun to come; one by itself if None.
            whole: Each stream is the whole camera: one with pictures that cannot be read is
                refused, though its sound can.
        """
        if account is None:
            account = Ledger(Budget(MAX_OF_CAMERA), clock).account("")
        self._channel = channel
        self._clock = clock
        self._streams: dict[int, _Stream] = {}
        self._owners: dict[Kind, int] = {}
        self._account = account
        self._whole = whole
        self._work = Work(account.work)
        self._renewed = clock()  # when that was
        self._coming = 0  # bytes of a message that are not read yet

    @property
    def held(self) -> int:
        """Bytes of memory for what has begun to come and is not complete, and for what may have
        been cut off.
        """
        held, kept = self._coming, 0
        for stream in self._streams.values():
            held += stream.reader.held
            kept += stream.reader.kept
        return held + max(0, kept - MAX_UNCOUNTED)

    @property
    def rest(self) -> float:
        """Seconds for which the next bytes should wait, if they can, so that they never cost more
        than they may.
        """
        return max(0.0, (MOST / 2 - self._work.left) / WORK_PER_SECOND)

    def settle(self, more: int = 0) -> None:
        """Count what has begun to come. To be called when all that came together is taken.

        Args:
            more: Bytes that have not reached the source yet.

        Raises:
            Refused: It is too much.
        """
        self._account.hold(self.held + more)

    def close(self) -> None:
        """Nothing comes any more: forget what has begun to come."""
        self._streams.clear()
        self._coming = 0
        self._account.close()

    def begin(
        self,
        number: int,
        at: int | None = None,
        delay: int | None = None,
        keyframes: bool = False,
        interval: int | None = None,
        sound: bool | None = None,
        rotation: int = 0,
        flip: bool = False,
    ) -> None:
        """A stream begins, or begins afresh; see messages.Stream."""
        delay = delay or 0
        turn = Geometry(rotation, flip)
        self._streams[number] = _Stream(
            StreamReader(), Timeline(at, delay), delay, keyframes, interval, sound, turn
        )
        self._say_remarks()
        for kind in self._kinds_of(number):
            self._channel.stream_restarts(kind)

    def end(self, number: int) -> None:
        """A stream has ended.

        Raises:
            Refused: It was never announced.
        """
        self._stream(number)
        del self._streams[number]
        self._say_remarks()
        for kind in self._kinds_of(number):
            self._end_track(kind)

    def feed(self, message: bytes, hold: bool = False) -> None:
        """Take a binary message: the stream's number and bytes of it.

        Args:
            message: As in docs/protocol.md, "Streams from a camera".
            hold: More may have come together with it; the channel's `flush` follows.

        Raises:
            Refused: The stream is unknown, its bytes are not media, they are too much work, or its
                tracks change too often.
        """
        for _ in self.take(message):
            pass
        if not hold:
            self._channel.flush()

    def take(self, message: bytes) -> Iterator[None]:
        """Take a binary message in pieces, between which others may have their turn; see `feed`.

        The channel's `flush` follows.
        """
        arrived = self._clock()
        number = message[0] if message else 0
        stream = self._stream(number)
        work = self._work
        work.left = min(MOST, work.left + (arrived - self._renewed) * WORK_PER_SECOND / 1e6)
        self._renewed = arrived
        size = len(message)
        for begin in range(1, size, PIECE):
            end = min(begin + PIECE, size)
            self._coming = size - end
            self._read(number, stream, message[begin:end], arrived)
            yield

    def _read(self, number: int, stream: _Stream, piece: bytes, arrived: int) -> None:
        all_work = self._work
        work = Work(min(MOST_AT_ONCE, all_work.left))
        may = work.left
        try:
            events = stream.reader.feed(piece, work)
            work.spend(PUBLISHING * len(events))
            for event in events:
                if isinstance(event, Track):
                    work.spend(ANNOUNCING)
                    self._set_track(number, event, stream)
                else:
                    self._publish(number, stream, event, arrived)
            if stream.reader.kinds is not stream.kinds:
                self._has_header(number, stream)
            for left in stream.reader.left_out():
                self._leave_out(number, stream, left)
        except MediaLimitError as error:
            if work.left < 0:
                self._account.overworked()
            raise Refused(Reason.MEDIA_LIMIT, f"Stream {number}: {error}.") from error
        except MediaError as error:
            raise Refused(Reason.BAD_MEDIA, f"Stream {number}: {error}.") from error
        finally:
            all_work.left -= may - work.left

    def _stream(self, number: int) -> _Stream:
        stream = self._streams.get(number)
        if stream is None:
            raise Refused(
                Reason.UNKNOWN_STREAM,
                f"Stream {number} was not announced (streams are 1 to {MAX_STREAM}).",
            )
        return stream

    def _kinds_of(self, number: int) -> list[Kind]:
        return [kind for kind, owner in self._owners.items() if owner == number]

    def _has_header(self, number: int, stream: _Stream) -> None:
        """A document has begun: tracks that it does not have are over."""
        kinds = stream.reader.kinds
        if kinds is None:
            return  # its tracks are still to come
        stream.kinds = kinds
        stream.remarks.clear()
        self._say_remarks()
        for kind in self._kinds_of(number):
            if kind not in kinds:
                self._end_track(kind)

    def _leave_out(self, number: int, stream: _Stream, left: LeftOut) -> None:
        """Something of a stream cannot be passed on.

        Raises:
            MediaError: The whole stream cannot, therefore.
        """
        log.warning(f"x %s: of stream {number}, %s", self._channel.name, left.sentence)
        if left.over:
            return
        if left.sentence not in stream.remarks and len(stream.remarks) < _MOST_REMARKS:
            stream.remarks.append(left.sentence)
            self._say_remarks()
        if left.kind is None:
            return
        if self._owners.get(left.kind) == number:
            self._end_track(left.kind)
        elif self._whole and left.kind is Kind.VIDEO and Kind.VIDEO not in (stream.kinds or ()):
            raise MediaError(f"its pictures cannot be read; {left.sentence}")

    def _say_remarks(self) -> None:
        remarks = (sentence for one in self._streams.values() for sentence in one.remarks)
        self._channel.remarks = [
            f"{sentence[:1].upper()}{sentence[1:]}." for sentence in islice(remarks, _MOST_REMARKS)
        ]

    def _end_track(self, kind: Kind) -> None:
        del self._owners[kind]
        self._channel.end_track(kind)

    def _set_track(self, number: int, track: Track, stream: _Stream) -> None:
        kind = track.kind
        if self._owners.setdefault(kind, number) == number:
            self._channel.set_track(
                stream.turn.applied(track), stream.keyframes, stream.interval, stream.sound
            )
        else:
            log.info(
                "< %s: stream %d has a second %s track; it is ignored",
                self._channel.name,
                number,
                kind,
            )

    def _publish(self, number: int, stream: _Stream, packet: Packet, arrived: int) -> None:
        track = packet.track
        kind = track.codec.kind
        if self._owners.get(kind) != number:
            return
        timestamp, duration = packet.timestamp, packet.duration
        # A picture is whole at its timestamp, a packet of sound only at its end.
        end = timestamp + duration if kind is Kind.AUDIO else timestamp
        if packet.document != stream.document:
            self._begin_document(number, stream, packet.document, end)
        if end > stream.latest:
            stream.latest = end
        offset = stream.timeline.place(end, arrived)
        packet = Packet(
            track, timestamp + offset, packet.key, packet.data, duration, packet.decode_offset
        )
        self._channel.publish(packet, arrived, hold=True)

    def _begin_document(self, number: int, stream: _Stream, document: int, end: int) -> None:
        """The first packet of another document comes, which ends at ``end`` on its recorder's
        clock.
        """
        stream.document = document
        for kind in self._kinds_of(number):
            self._channel.begins_anew(kind)
        if end < stream.latest - _ANEW:
            # What the camera said of its time 0 was said of the first document's.
            stream.timeline, stream.latest = Timeline(None, stream.delay), end
