"""A camera's tracks on their way out."""

from __future__ import annotations

import base64
from typing import Any

from drawercam.media.containers.detect import writer
from drawercam.media.packets import Codec, Kind, Packet, Track
from drawercam.protocol import messages

# Track numbers on the wire.
NUMBERS = {Kind.VIDEO: 1, Kind.AUDIO: 2}
VIDEO = NUMBERS[Kind.VIDEO]

# Microseconds: timestamps of one track differ at least by the wire's resolution, so that no frame
# replaces another.
_LEAST_STEP = 1000


class TrackOutput:
    """One track on its way out.

    Attributes:
        number: On the wire.
        track: As it comes.
        writer: Puts its frames into their canonical form.
        init: The canonical init segment.
        wished: The camera was asked for one of these codecs instead.
    """

    def __init__(self, number: int, track: Track, date_utc: int) -> None:
        """
        Args:
            number, track: See above.
            date_utc: When the relay's clock was 0, in nanoseconds since 2001-01-01T00:00 UTC.
        """
        self.number = number
        self.track = track
        self.writer = writer(track, number, date_utc)
        self.init = self.writer.init()
        self.wished: frozenset[Codec] | None = None

    def begins(self) -> messages.TrackBegins:
        """What viewers are told of it."""
        track = self.track
        # WebCodecs takes a description only where the stream itself does not carry the
        # configuration (its codec registry).
        described = track.codec in (Codec.H264, Codec.AAC, Codec.OPUS)
        return messages.TrackBegins(
            number=self.number,
            kind=track.kind,
            codec=track.codec_string,
            mime=self.writer.mime,
            config=base64.b64encode(track.config).decode() if described and track.config else None,
            width=track.width or None,
            height=track.height or None,
            rotation=track.rotation or None,
            flip=track.flip or None,
            displayWidth=track.display_width or None,
            displayHeight=track.display_height or None,
            colorSpace=track.color.as_json() if track.color is not None else None,
            sampleRate=track.sample_rate or None,
            channels=track.channels or None,
        )

    def describe(self) -> dict[str, Any]:
        """The track as `/api/cameras` shows it."""
        track = self.track
        described: dict[str, Any] = {
            "number": self.number,
            "kind": track.kind,
            "codec": track.codec_string,
        }
        if track.kind is Kind.AUDIO:
            return described | {"sampleRate": track.sample_rate, "channels": track.channels}
        shown = {
            "rotation": track.rotation,
            "flip": track.flip,
            "displayWidth": track.display_width,
            "displayHeight": track.display_height,
        }
        size = {"width": track.width, "height": track.height}
        return described | size | {name: value for name, value in shown.items() if value}


class DecodingOrder:
    """Lets the frames of each track follow one another in time, also those of different cameras."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}  # decode time in µs, by the track's number

    def placed(self, number: int, packet: Packet) -> Packet:
        """The packet, moved later if it would not follow the last one of its track."""
        decode_time = packet.timestamp - packet.decode_offset
        last = self._last.get(number)
        if decode_time < 0 or (last is not None and decode_time < last + _LEAST_STEP):
            decode_time = 0 if last is None else last + _LEAST_STEP
            time = decode_time + packet.decode_offset
            packet = Packet(
                packet.track, time, packet.key, packet.data, packet.duration, packet.decode_offset
            )
        self._last[number] = decode_time
        return packet
