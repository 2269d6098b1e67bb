"""One run of a source: its thread, and the encoder's. What comes out is handed to the event loop.

A source's thread must not wait for an encoder, or what it reads grows old in the kernel. So a picture is laid into a place for one, where
the next one replaces it; the encoder's thread takes it from there. A picture that is left out has cost nothing.
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

from ..media.packets import Kind
from .encoding import PictureEncoder, Recipe, SoundEncoder
from .moments import now
from .sources import Source, SourceError
from .streams import Emit, Frame

# Seconds that a device may take to let go. Then its thread is left to itself: nobody can end a read that the kernel does not.
_CLOSE_LIMIT = 8.0

# Seconds without anything, while somebody wants it, after which a source counts as one that gives no picture.
SILENCE_LIMIT = 15.0

# Seconds between two looks at that.
_LOOK = 0.5

log = logging.getLogger(__name__)


class Gate:
    """What the source's and the encoder's threads need to know; set by the event loop.

    Attributes:
        wanted: Somebody wants pictures and sound now.
        encode: Nothing is to be passed on as it is.
        recipe: The encoder for pictures, None if there is none.
        share: Of the full bit rate.
        has_room: Given the bit rate, whether a picture would be sent in time.
        hears: Whether sound would be.
    """

    def __init__(self, recipe: Recipe | None, encode: bool, has_room: Callable[[int], bool], hears: Callable[[], bool]) -> None:
        self.wanted = False
        self.encode = encode
        self.recipe = recipe
        self.share = 1.0
        self.has_room = has_room
        self.hears = hears
        self._key = threading.Event()

    def want_key(self) -> None:
        """The next picture that is encoded is to be a keyframe."""
        self._key.set()

    def takes_key(self) -> bool:
        """Whether one is wanted."""
        return self._key.is_set()

    def has_key(self) -> None:
        """One has been made."""
        self._key.clear()


class Take:
    """
    Attributes:
        encoded: Pictures that an encoder has worked on.
        dropped: Pictures that were left out before the encoder.
    """

    def __init__(self, source: Source, gate: Gate, emit: Emit, opened: Callable[[str], None]) -> None:
        """
        Args:
            emit: Called in the event loop with what is to be sent.
            opened: Called in the event loop when the source is open.
        """
        self.encoded = self.dropped = 0
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
        threads = [threading.Thread(target=work, name=f"film-{work.__name__}", daemon=True) for work in (self._film, self._encode)]
        for thread in threads:
            thread.start()
        try:
            while not self._ended.done() and not self._stopping.is_set():
                await asyncio.wait([self._ended], timeout=_LOOK)
                if not self._gate.wanted:
                    self._heard = now()
                elif now() - self._heard > SILENCE_LIMIT * 1e6:
                    raise SourceError(f"{self._source.title} gives no picture. It is opened again.")
            if self._ended.done():
                self._ended.result()
        finally:
            self.stop()
            await self._close()

    async def _close(self) -> None:
        """Wait until the device is let go, however this is cancelled."""
        closing = asyncio.shield(asyncio.wait([self._ended], timeout=_CLOSE_LIMIT))
        with contextlib.suppress(asyncio.CancelledError):
            await closing
        if not self._ended.done():
            log.warning("%s does not let go.", self._source.title)
        elif not self._ended.cancelled():
            self._ended.exception()

    def stop(self) -> None:
        """End soon. May be called again."""
        self._stopping.set()
        with self._filled:
            self._filled.notify()

    # --- Sink, in the source's thread ---

    @property
    def encode(self) -> bool:
        """See sources.Sink."""
        return self._gate.encode

    @property
    def wanted(self) -> bool:
        """See sources.Sink."""
        return self._gate.wanted

    def opened(self, what: str) -> None:
        """See sources.Sink."""
        self._later(self._opened, what)

    def pause(self, seconds: float) -> bool:
        """See sources.Sink."""
        return not (self._stopping.wait(seconds) if seconds > 0 else self._stopping.is_set())

    def picture(self, picture: VideoFrame, captured: int) -> None:
        """See sources.Sink."""
        self._heard = now()
        with self._filled:
            self.dropped += len(self._place)
            self._place.append((picture, captured))
            self._filled.notify()

    def sound(self, sound: AudioFrame, captured: int) -> None:
        """See sources.Sink."""
        if self._gate.wanted and self._gate.hears():
            for frame in self._sounds.encode(sound, captured):
                self._later(self._emit, frame)

    def passed(self, frame: Frame) -> None:
        """See sources.Sink."""
        if frame.form.codec.kind is Kind.VIDEO:
            self._heard = now()
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
        except Exception as error:
            log.debug("the encoder has failed", exc_info=True)
            sentence = f"The pictures of {self._source.title} cannot be encoded: {error}. It is opened again."
            self._later(self._finish, SourceError(sentence))
            self.stop()

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
            if not gate.wanted or not gate.has_room(encoder.bitrate):
                self.dropped += 1
                continue
            frame = encoder.encode(picture, captured, gate.takes_key(), gate.share)
            self.encoded += 1
            if frame is not None:
                if frame.key:
                    gate.has_key()
                self._later(self._emit, frame)
