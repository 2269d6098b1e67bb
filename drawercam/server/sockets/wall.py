"""A wall: its socket is told of the list of cameras."""

from __future__ import annotations

from websockets.frames import Close

from drawercam.live.hub import Hub
from drawercam.protocol import messages
from drawercam.protocol.close_reasons import Reason, Refused

from .control_text import heard
from .websocket import Socket


class WallSession:
    """`/wall`: the list of cameras, now and at every change."""

    films = False

    def __init__(self, hub: Hub, version: str | None = None) -> None:
        self._hub, self._version = hub, version
        self._socket: Socket | None = None
        self._missed = False  # it has not been told of the last change

    def opened(self, socket: Socket) -> None:
        self._socket = socket
        socket.tell(messages.Welcome("", self._hub.clock(), self._version))
        self._hub.watch(self)

    def text(self, message: str) -> None:
        match heard(message, messages.FROM_WALL):
            case messages.Ping(t):
                self.tell(messages.Pong(t, self._hub.clock()))

    def binary(self, message: bytes) -> None:
        raise Refused(Reason.UNEXPECTED_BINARY)

    def drained(self) -> None:
        if self._missed:
            self._missed = False
            self.show(self._hub.listing())

    def settled(self) -> None:
        pass

    def closed(self, goodbye: Close | None) -> None:
        self._hub.unwatch(self)

    def tell(self, message: messages.Message) -> None:
        """See hub.Watcher.

        A wall that does not take the last lists gets the newest one when it has.
        """
        if self._socket is None:
            return
        if not isinstance(message, messages.Cameras):
            self._socket.tell(message)
        elif self._socket.behind:
            self._missed = True
        else:
            self.show(message)

    def show(self, cameras: messages.Cameras) -> None:
        """Send the list."""
        if self._socket is not None:
            self._socket.tell(cameras)
