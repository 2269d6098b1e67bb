"""One run of a source: its thread, and the encoder's. What comes out is handed to the event loop.

A source's thread must not wait for an encoder, or what it reads grows old in the kernel. So a
picture is laid into a place for one, where the next one replaces it; the encoder's thread takes it
from there, if the network has room. A picture that is left out has cost nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable

from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from drawercam.film.encode.encoders import PictureEncoder, Recipe, SoundEncoder
from drawercam.film.encode.frame import Frame
from drawercam.film.encode.loudness import Loudness
from drawercam.film.relay.clock import now
from drawercam.film.sources.source import Keyless, Source, SourceError, sentence
from drawercam.media.packets import Codec, Kind

# Seconds that a device may take to let go. Then its thread is left to itself: nobody can end a read
# that the kernel does not.
_CLOSE_LIMIT = 8.0

# And when this program ends: the system closes what it has open; what it has started has to be
# ended before (rpicam.py).
_LAST_LIMIT = 4.0

# Seconds without anything, while somebody wants it, after which a source counts as one that gives
# no picture.
SILENCE_LIMIT = 15.0

# Seconds between two looks at that.
_LOOK = 0.5

# Seconds between two looks whether there is room in the network for a picture that waits.
_ROOM_LOOK = 0.02

log = logging.getLogger(__name__)


class Gate:
    """What the source's and the encoder's threads need to know; set by the event loop.

    Attributes:
        wanted: Somebody wants pictures and sound now.
        encode: Nothing is to be passed on as it is.
        unplayable: Frames of these codecs are not, either.
        keyless: See source.Sink.
        recipe: The encoder for pictures, None if there is none.
        share: Of the full bit rate.
        has_room: Given the bit rate, whether a picture would be sent in time.
        hears: Whether sound would be.
    """

    def __init__(
        self,
        recipe: Recipe | None,
        encode: bool,
        has_room: Callable[[int], bool],
        hears: Callable[[], bool],
    ) -> None:
        self.wanted = False
        self.encode = encode
        self.unplayable: frozenset[Codec] = frozenset()
        self.keyless = Keyless.NO
        self.recipe = recipe
        self.share = 1.0
        self.has_room = has_room
        self.hears = hears
        self._key = threading.Event()

    def want_key(self) -> None:
        """The next picture that is encoded is to be a keyframe."""
        self._key.set()

    def wants_key(self) -> bool:
        """Whether one is wanted, and was not made yet."""
        return self._key.is_set()

    def made_key(self) -> None:
        """One was made, or has come."""
        self._key.clear()


class Take:
    """
    Attributes:
        passed_on: Pictures that came encoded, and were not decoded.
        decoded: Pictures that the source has decoded, or painted.
        encoded: Those of them that an encoder has worked on.
        dropped: Those that were left out before the encoder.
    """

    def __init__(
        self,
        source: Source,
        gate: Gate,
        emit: Callable[[Frame], None],
        opened: Callable[[str, bool], None],
    ) -> None:
        """
        Args:
            emit: Called in the event loop with what is to be sent.
            opened: Called in the event loop when the source is open: with what it gives, and
                whether there is sound.
        """
        self.passed_on = self.decoded = self.encoded = self.dropped = 0
        self._source = source
        self._gate = gate
        self._emit = emit
        self._opened = opened
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._place: deque[tuple[VideoFrame, int]] = deque(maxlen=1)
        self._filled = threading.Condition()
        self._sounds = SoundEncoder()
        self._heard = now()  # when the source gave something last
        self._ended: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        """Film until `stop`, or until the source ends.

        Raises:
            SourceError: It has ended, or cannot be used.
        """
        threads = [
            threading.Thread(target=work, name=f"film-{work.__name__}", daemon=True)
            for work in (self._film, self._encode)
        ]
        for thread in threads:
            thread.start()
        limit = _CLOSE_LIMIT
        try:
            while not self._ended.done() and not self._stopping.is_set():
                await asyncio.wait([self._ended], timeout=_LOOK)
                if not self._gate.wanted:
                    self._heard = now()
                elif now() - self._heard > SILENCE_LIMIT * 1e6:
                    raise SourceError(f"{self._source.title} gives no picture. It is opened again.")
            if self._ended.done():
                self._ended.result()
        except asyncio.CancelledError:
            limit = _LAST_LIMIT
            raise
        finally:
            self.stop()
            await self._close(limit)

    async def _close(self, limit: float) -> None:
        """Wait until the device is let go; to cancel this again is to wait no longer."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([self._ended], timeout=limit)
        if not self._ended.done():
            log.warning("%s does not let go.", sentence(self._source.title))
            self._ended.cancel()  # what it says later is of no interest
            return
        self._ended.exception()  # who was to hear of it has heard
        if self.passed_on or self.decoded:
            counts = (
                f"{self.passed_on} passed on, {self.decoded} decoded, {self.encoded} encoded, "
                f"{self.dropped} left out"
            )
            log.info("%s is closed. Pictures: %s.", sentence(self._source.title), counts)

    @property
    def loudness(self) -> Loudness:
        """Of the sound that is encoded; of sound that is passed on nothing is known."""
        return self._sounds.loudness

    def stop(self) -> None:
        """End soon. May be called again."""
        self._stopping.set()
        with self._filled:
            self._filled.notify()

    # --- Sink, in the source's thread ---

    def passes(self, codec: Codec) -> bool:
        """See source.Sink."""
        return not self._gate.encode and codec not in self._gate.unplayable

    @property
    def keyless(self) -> Keyless:
        """See source.Sink."""
        return self._gate.keyless

    def key_found(self) -> None:
        """See source.Sink."""
        self._gate.keyless = Keyless.NO

    @property
    def wanted(self) -> bool:
        """See source.Sink."""
        return self._gate.wanted

    def opened(self, what: str, sound: bool) -> None:
        """See source.Sink."""
        if not self._stopping.is_set():  # or it comes so late that nobody waits for it
            self._later(self._opened, what, sound)

    def stands(self) -> None:
        """See source.Sink."""
        self._heard = max(self._heard, now())

    def pause(self, seconds: float) -> bool:
        """See source.Sink."""
        if seconds <= 0:
            return not self._stopping.is_set()
        self._heard = max(
            self._heard, now() + round(seconds * 1e6)
        )  # who knows when it goes on is not stuck
        return not self._stopping.wait(seconds)

    def picture(self, picture: VideoFrame, captured: int) -> None:
        """See source.Sink."""
        self._heard = now()
        self.decoded += 1
        with self._filled:
            self.dropped += len(self._place)
            self._place.append((picture, captured))
            self._filled.notify()

    def sound(self, sound: AudioFrame, captured: int) -> None:
        """See source.Sink."""
        if self._gate.wanted and self._gate.hears():
            for frame in self._sounds.encode(sound, captured):
                self._later(self._emit, frame)

    def passed(self, frame: Frame) -> None:
        """See source.Sink."""
        if frame.form.codec.kind is Kind.VIDEO:
            self._heard = now()
            self.passed_on += 1
        self._later(self._emit, frame)

    # --- threads ---

    def _later(self, call: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the program ends
            self._loop.call_soon_threadsafe(call, *arguments)

    def _film(self) -> None:
        failure: BaseException | None = None
        try:
            self._source.run(self)
        except Exception as error:
            failure = error
        self._later(self._finish, failure)

    def _finish(self, failure: BaseException | None) -> None:
        if self._ended.done():
            return
        if failure is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(failure)

    def _encode(self) -> None:
        try:
            self._encode_on()
        except SourceError as error:
            self._later(self._finish, error)
        except Exception as error:
            log.debug("the encoder has failed", exc_info=True)
            text = (
                f"The pictures of {self._source.title} cannot be encoded: {error}. It is "
                "opened again."
            )
            self._later(self._finish, SourceError(text))

    def _put_back(self, picture: VideoFrame, captured: int) -> None:
        """Keep a picture for which there is no room now until there is, or a newer one: a slow
        camera has no other for a long time.
        """
        with self._filled:
            if self._place:
                self.dropped += 1
            else:
                self._place.append((picture, captured))
                self._filled.wait_for(
                    lambda: self._place[0][1] != captured or self._stopping.is_set(), _ROOM_LOOK
                )

    def _encode_on(self) -> None:
        encoder: PictureEncoder | None = None
        gate = self._gate
        while True:
            with self._filled:
                while not self._place and not self._stopping.is_set():
                    self._filled.wait()
                if self._stopping.is_set():
                    return
                picture, captured = self._place.popleft()
            if gate.recipe is None:
                raise SourceError("PyAV has no encoder for H.264 or VP8 here.", final=True)
            if encoder is None or encoder.recipe is not gate.recipe:
                encoder = PictureEncoder(gate.recipe, self._source.rate)
            if not gate.wanted:
                self.dropped += 1
                continue
            if not gate.has_room(encoder.bitrate):
                self._put_back(picture, captured)
                continue
            frame = encoder.encode(picture, captured, gate.wants_key(), gate.share)
            self.encoded += 1
            if frame is not None:
                if frame.key:
                    gate.made_key()
                self._later(self._emit, frame)
