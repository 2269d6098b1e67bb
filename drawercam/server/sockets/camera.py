"""A camera that films: its socket feeds a channel."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from websockets.frames import Close, CloseCode

from drawercam.live.channel import State
from drawercam.live.hub import Hub
from drawercam.live.ingest import PIECE, Source
from drawercam.protocol import messages
from drawercam.protocol.close_reasons import Closing, Refused

from .control_text import heard
from .websocket import Socket

# Bytes of one message from a camera: a stalled phone may send several seconds at once.
MAX_CAMERA_MESSAGE = 8 * 2**20

# Seconds between two wishes where to look that are passed on to a camera: motors and lenses take no
# more, and a person sees no difference.
ORIENT_INTERVAL = 0.1

log = logging.getLogger(__name__)


def _reason(goodbye: Close | None) -> str:
    """Why a camera is gone (docs/protocol.md, "States"): only one that says so was switched off."""
    if goodbye is None:
        return "lost"
    return (
        "left"
        if goodbye.code == CloseCode.NORMAL_CLOSURE and goodbye.reason == messages.STOPPED
        else "closed"
    )


class CameraSession:
    """`/camera/<name>`: feeds a channel."""

    films = True

    def __init__(self, hub: Hub, name: str, version: str | None = None) -> None:
        """
        Args:
            hub: The cameras.
            name: That of this one.
            version: That of the relay's pages.
        """
        self._hub, self._version = hub, version
        self._channel = hub.channel(name)
        self._source: Source
        self._socket: Socket | None = None
        # Where to look next; waits until the camera may be told again.
        self._wish: messages.Orient | None = None
        self._orienting: asyncio.TimerHandle | None = None  # the camera was told a moment ago

    def opened(self, socket: Socket) -> None:
        log.info("< %s films as %s", socket.peer, self._channel.name)
        self._socket = socket
        self._source = Source(
            self._channel, self._hub.clock, self._hub.ledger.account(socket.address)
        )
        socket.tell(messages.Welcome(self._channel.name, self._hub.clock(), self._version))
        self._channel.take(self, socket.address)

    def text(self, message: str) -> None:
        match heard(message, messages.FROM_CAMERA):
            case messages.CameraPing(t, encode, level):
                self.tell(messages.Pong(t, self._hub.clock()))
                if self._current:
                    self._channel.camera_encodes(encode)
                    self._channel.camera_hears(level)
            case messages.Stream(
                stream, _, at, delay, keyframes, interval, sound, label, rotation, flip
            ) if self._current:
                self._channel.camera_is_called(label)
                self._source.begin(stream, at, delay, keyframes, interval, sound, rotation, flip)
            case messages.End(stream) if self._current:
                self._source.end(stream)
            case messages.CameraState(state, reason, sound) if self._current:
                self._channel.camera_says(State(state), reason, sound)
            case messages.Turns() as turns if self._current:
                self._channel.camera_turns(turns)

    def binary(self, message: bytes) -> Iterator[None] | None:
        if len(message) > PIECE:
            return self._in_pieces(message)
        if self._current:  # if not, these bytes were on their way when the name was taken over
            try:
                self._source.feed(message, hold=True)
            except Refused:
                self._refused()
                raise
        return None

    def _in_pieces(self, message: bytes) -> Iterator[None]:
        pieces = self._source.take(message)
        while self._current and self._socket is not None:
            try:
                if next(pieces, self) is self:
                    return
                self._source.settle(self._socket.unfinished)
            except Refused:
                self._refused()
                raise
            yield

    def drained(self) -> None:
        pass

    def settled(self) -> None:
        if self._current and self._socket is not None:
            self._channel.flush()
            try:
                self._source.settle(self._socket.unfinished)
            except Refused:
                self._refused()
                raise

    def _refused(self) -> None:
        self._channel.leave(self, "media")
        self._source.close()

    def closed(self, goodbye: Close | None) -> None:
        if self._orienting is not None:
            self._orienting.cancel()
        self._channel.leave(self, _reason(goodbye))
        self._source.close()

    def tell(self, message: messages.Message) -> None:
        """See channel.Camera."""
        if isinstance(message, messages.Orient):
            self._wish = message if self._wish is None else self._wish.then(message)
            if self._orienting is None:
                self._orient()
        elif self._socket is not None:
            self._socket.tell(message)

    def _orient(self) -> None:
        """Pass on where to look, and nothing more of that for a while: many viewers may turn at
        once, and the newest wish counts.
        """
        wish, self._wish, self._orienting = self._wish, None, None
        if wish is not None and self._socket is not None and self._current:
            self._socket.tell(wish)
            self._orienting = asyncio.get_running_loop().call_later(ORIENT_INTERVAL, self._orient)

    def end(self, closing: Closing) -> None:
        """See channel.Camera."""
        if self._socket is not None:
            self._source.close()
            self._socket.end(closing)

    @property
    def _current(self) -> bool:
        return self._channel.camera is self
