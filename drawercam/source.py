"""What one camera sends: streams of container bytes in, tracks and packets on the relay's clock out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from .channel import Channel
from .closing import Reason, Refused
from .control import MAX_STREAM
from .media.containers import StreamReader
from .media.packets import Kind, MediaError, MediaLimitError, Packet, Track
from .timeline import Timeline

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Stream:
    """One recorder's bytes. The last three: see control.Stream."""

    reader: StreamReader
    timeline: Timeline
    keyframes: bool
    interval: int | None
    sound: bool | None


class Source:
    """The streams of one camera connection, feeding one channel.

    The first stream that brings a video track is the camera's picture, the first with an audio track its sound; tracks of the same
    kind in other streams are ignored.
    """

    def __init__(self, channel: Channel, clock: Callable[[], int]) -> None:
        """
        Args:
            channel: Where tracks and packets go.
            clock: The relay's clock, microseconds.
        """
        self._channel = channel
        self._clock = clock
        self._streams: dict[int, _Stream] = {}
        self._owners: dict[Kind, int] = {}

    def begin(
        self,
        number: int,
        at: int | None = None,
        delay: int | None = None,
        keyframes: bool = False,
        interval: int | None = None,
        sound: bool | None = None,
    ) -> None:
        """A stream begins, or begins afresh; see control.Stream."""
        self._streams[number] = _Stream(StreamReader(), Timeline(at, delay or 0), keyframes, interval, sound)
        for kind in self._kinds_of(number):
            self._channel.stream_restarts(kind)

    def end(self, number: int) -> None:
        """A stream has ended.

        Raises:
            Refused: It was never announced.
        """
        self._stream(number)
        del self._streams[number]
        for kind in self._kinds_of(number):
            del self._owners[kind]
            self._channel.end_track(kind)

    def feed(self, message: bytes, hold: bool = False) -> None:
        """Take a binary message: the stream's number and bytes of it.

        Args:
            message: As in docs/protocol.md, "Streams from a camera".
            hold: More may have come together with it; the channel's `flush` follows.

        Raises:
            Refused: The stream is unknown, or its bytes are not media.
        """
        arrived = self._clock()
        number = message[0] if message else 0
        stream = self._stream(number)
        try:
            events = stream.reader.feed(message[1:])
        except MediaLimitError as error:
            raise Refused(Reason.MEDIA_LIMIT, f"Stream {number}: {error}.") from error
        except MediaError as error:
            raise Refused(Reason.BAD_MEDIA, f"Stream {number}: {error}.") from error
        for event in events:
            if isinstance(event, Track):
                self._set_track(number, event, stream)
            else:
                self._publish(number, stream, event, arrived)
        if not hold:
            self._channel.flush()

    def _stream(self, number: int) -> _Stream:
        stream = self._streams.get(number)
        if stream is None:
            raise Refused(Reason.UNKNOWN_STREAM, f"Stream {number} was not announced (streams are 1 to {MAX_STREAM}).")
        return stream

    def _kinds_of(self, number: int) -> list[Kind]:
        return [kind for kind, owner in self._owners.items() if owner == number]

    def _set_track(self, number: int, track: Track, stream: _Stream) -> None:
        owner = self._owners.setdefault(track.kind, number)
        if owner == number:
            self._channel.set_track(track, stream.keyframes, stream.interval, stream.sound)
        else:
            log.info("< %s: stream %d has a second %s track; it is ignored", self._channel.name, number, track.kind)

    def _publish(self, number: int, stream: _Stream, packet: Packet, arrived: int) -> None:
        if self._owners.get(packet.track.kind) != number:
            return
        # A picture is whole at its timestamp, a packet of sound only at its end.
        end = packet.timestamp + (packet.duration if packet.track.kind is Kind.AUDIO else 0)
        offset = stream.timeline.place(end, arrived)
        self._channel.publish(replace(packet, timestamp=packet.timestamp + offset), arrived, hold=True)
