"""What sessions become in the relay: visits, which have a right, stand in the book, and keep the
pace of their messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from websockets.frames import Close

from drawercam.access.key import Scope
from drawercam.live.hub import Hub
from drawercam.protocol import messages
from drawercam.protocol.close_reasons import Closing, Reason, Refused
from drawercam.server.admission.visitors import Admission, Book
from groundwork.connections.limits import MESSAGES_AT_ONCE, MESSAGES_PER_SECOND, Bucket

from .camera import CameraSession
from .player import PlayerSession
from .sender import text_frame
from .wall import WallSession
from .websocket import Session, Socket


class Lists:
    """The list of cameras as walls are told it: made once for all that may see the same of it."""

    def __init__(self) -> None:
        self._of: messages.Cameras | None = None
        self._frames: dict[Scope, bytes] = {}

    def frame(self, cameras: messages.Cameras, watch: Scope) -> bytes:
        """As `websocket.text_frame` makes it.

        Args:
            cameras: All there are.
            watch: Which of them a wall may see.
        """
        if cameras is not self._of:
            self._of, self._frames = cameras, {}
        found = self._frames.get(watch)
        if found is None:
            seen = tuple(camera for camera in cameras.cameras if camera["name"] in watch)
            found = self._frames[watch] = text_frame(messages.Cameras(seen))
        return found


class SocketVisit:
    """What a session becomes in the relay: it stands in the book while its socket is open, and
    keeps the pace of its control messages.

    To be inherited from beside a session (below): so no message of media takes a detour.
    """

    admission: Admission
    counts = True
    _book: Book
    _clock: Callable[[], float]
    _pace: Bucket
    _visiting: Socket | None = None

    def admit(self, admission: Admission, book: Book, clock: Callable[[], float]) -> None:
        """To be called once, before the socket opens. The clock is one of monotonic seconds."""
        self.admission, self._book, self._clock = admission, book, clock
        self._pace = Bucket(MESSAGES_AT_ONCE, 1 / MESSAGES_PER_SECOND, clock())

    def opened(self, socket: Socket) -> None:
        """See websocket.Session."""
        self._visiting = socket
        self._book.enter(self)
        cast(Session, super()).opened(socket)

    def text(self, message: str) -> None:
        """See websocket.Session."""
        self._book.messages += 1
        if not self._pace.take(self._clock()):
            raise Refused(Reason.TOO_MANY_MESSAGES)
        cast(Session, super()).text(message)

    def closed(self, goodbye: Close | None) -> None:
        """See websocket.Session."""
        self._book.leave(self)
        cast(Session, super()).closed(goodbye)

    def dismiss(self, why: Reason) -> None:
        """See Visit.

        What waits for a peer that does not take it is thrown away: it is not for it any more.
        """
        if self._visiting is not None:
            if self._visiting.behind:
                self._visiting.abort()
            else:
                self._visiting.end(Closing(why))


class CameraVisit(SocketVisit, CameraSession):
    """Somebody who films."""


class PlayerVisit(SocketVisit, PlayerSession):
    """Somebody who watches one camera."""


class WallVisit(SocketVisit, WallSession):
    """Somebody who sees the list of cameras: of those that the grant allows to watch."""

    def __init__(self, hub: Hub, lists: Lists, version: str | None = None) -> None:
        super().__init__(hub, version)
        self._lists = lists

    def show(self, cameras: messages.Cameras) -> None:
        """See WallSession."""
        if self._socket is not None:
            self._socket.tell_framed(self._lists.frame(cameras, self.admission.grant.watch))
