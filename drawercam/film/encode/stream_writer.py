"""From a codec's frames to the messages of one stream (docs/protocol.md, "Streams from a
camera").
"""

from __future__ import annotations

import logging

from drawercam.film.relay.connection import MAX_MESSAGE, Link
from drawercam.media.codecs.unpack import Unpacker, unpacker
from drawercam.media.containers.detect import Writer, writer
from drawercam.media.packets import Kind, MediaError, Packet, Track
from drawercam.protocol.messages import End, Stream

from .frame import Form, Frame

# Bytes that a container puts round a frame, at most.
_WRAPPING = 1024

# Broken frames in a row after which a source counts as one that gives no media.
_MOST_BROKEN = 100

log = logging.getLogger(__name__)


class Outlet:
    """One stream: the stream's time 0 is the relay's, so a frame's timestamp is the relay's time of
    its capture.

    Attributes:
        interval: Microseconds from one picture to the next, as far as the source knows it.
        sound: Whether there is sound with these pictures, if that is known.
        needs_key: Nothing is sent before the next keyframe.
        keys: How many keyframes were sent.
    """

    def __init__(self, number: int, link: Link, label: str | None = None) -> None:
        """
        Args:
            number: Of the stream.
            link: Where it goes.
            label: What people call the camera.
        """
        self.interval: int | None = None
        self.sound: bool | None = None
        self._number = number
        self._link = link
        self._label = label
        self._form: Form | None = None
        self._unpacker: Unpacker | None = None
        self._track: Track | None = None
        self._writer: Writer | None = None
        self._last = -1
        self.needs_key = True
        self.keys = 0
        self._broken = 0

    def restart(self) -> None:
        """The relay knows nothing of this stream any more, or another picture begins: the next
        frame begins it afresh, with a keyframe.
        """
        self._writer = None
        self.needs_key = True

    def end(self) -> None:
        """The source has no such track any more. If the relay has the stream, it is told."""
        if self._writer is not None:
            self._link.send(End(self._number))
        self.restart()

    def skip(self, frame: Frame) -> None:
        """Leave a frame out, and so all up to the next keyframe.

        Parameter sets in it are learnt all the same.
        """
        self._unpack(frame)
        self.needs_key = True

    def send(self, frame: Frame) -> bool:
        """Send a frame, if the relay's clock is known and a decoder can go on with it.

        Returns:
            Whether it was sent.

        Raises:
            MediaError: These are no frames of this codec.
        """
        unpacked = self._unpack(frame)
        moment = self._link.clock.at(frame.captured)
        if unpacked is None or moment is None or self._track is None:
            return False
        data, key = unpacked
        if (self.needs_key and not key) or len(data) + _WRAPPING > MAX_MESSAGE:
            self.needs_key = True
            return False
        self.needs_key = False
        if self._writer is None:
            self._begin(self._track, frame.form.keyframes)
        assert self._writer is not None
        self.keys += key
        self._last = max(self._last + 1, moment)
        self._message(self._writer.fragment(Packet(self._track, self._last, key, data)))
        return True

    def _unpack(self, frame: Frame) -> tuple[bytes, bool] | None:
        form = frame.form
        try:
            if self._unpacker is None or form != self._form:
                self._form = form
                self._unpacker = unpacker(
                    form.codec, form.config, form.sample_rate, form.channels, color=form.color
                )
                self._track = None
                self.restart()
            unpacked = self._unpacker.unpack(frame.data, frame.key)
        except MediaError as error:
            # One frame that a network has damaged does not end a camera; the pictures up to the
            # next keyframe refer to it.
            self._broken += 1
            self.needs_key = True
            if self._broken > _MOST_BROKEN:
                raise
            log.debug("a broken frame: %s", error)
            return None
        self._broken = 0
        if unpacked is None:
            return None
        track, data, key = unpacked
        if track is not None:
            track = form.geometry.applied(track)
            if track != self._track:
                self.restart()
            self._track = track
        return data, key

    def _begin(self, track: Track, keyframes: bool) -> None:
        self._writer = writer(track, 1, 0)
        self._last = -1
        keyframes = keyframes and track.kind is Kind.VIDEO
        mime, interval, sound = self._writer.mime, self.interval, self.sound
        self._link.send(
            Stream(
                self._number,
                mime,
                at=0,
                keyframes=keyframes,
                interval=interval,
                sound=sound,
                label=self._label,
            )
        )
        self._message(self._writer.init(oriented=True))

    def _message(self, data: bytes) -> None:
        self._link.send_media(bytes((self._number,)) + data)
