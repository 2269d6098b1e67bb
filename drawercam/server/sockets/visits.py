"""Who is in: every visit has a right by which it came, and ends when that right does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from websockets.frames import Close

from drawercam.access.grants import Access, Grant, Right
from drawercam.access.keys import Scope
from drawercam.protocol import messages as control
from drawercam.protocol.close_reasons import Closing, Reason, Refused
from groundwork.connections.limits import (
    MAX_CAMERAS,
    MAX_SOCKETS,
    MAX_SOCKETS_OF_ONE,
    MESSAGES_AT_ONCE,
    MESSAGES_PER_SECOND,
    Bucket,
    Places,
    Room,
)
from groundwork.denied import Denied

from .sessions import CameraSession, PlayerSession, WallSession
from .websocket import Session, Socket, text_frame


@dataclass(frozen=True, slots=True)
class Admission:
    """By which right somebody is in.

    Attributes:
        grant: What was proved at the door.
        right: What the route asked for.
        name: The camera that the path names, or "".
        address: From where.
    """

    grant: Grant
    right: Right
    name: str = ""
    address: str = ""

    def stands(self, access: Access) -> bool:
        """Whether it would be given again, to the same extent: who sees some cameras must not go on to see those of a key that is gone."""
        left = access.still(self.grant)
        return left.allows(self.right, self.name) and (self.right is not Right.WATCH_SOME or left.watch == self.grant.watch)


class Visit(Protocol):
    """A socket that is open, or a request that is being answered.

    Attributes:
        admission: By which right.
        counts: It takes one of the places that there are for sockets.
    """

    admission: Admission
    counts: bool

    def dismiss(self, why: Reason) -> None:
        """End it, because its right has ended."""


class Lists:
    """The list of cameras as walls are told it: made once for all that may see the same of it."""

    def __init__(self) -> None:
        self._of: control.Cameras | None = None
        self._frames: dict[Scope, bytes] = {}

    def frame(self, cameras: control.Cameras, watch: Scope) -> bytes:
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
            found = self._frames[watch] = text_frame(control.Cameras(seen))
        return found


class Book:
    """The visitors' book.

    Attributes:
        messages: Control messages that have come so far, from all who are or were in.
        lists: The list of cameras, for walls.
        sockets: The places that there are for those who count (see Visit).
        cameras: Those for names that are filmed; one that is taken over counts for the address that came last.
        closed: The relay stops: nobody is let in any more, also not by connections that are still open.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.lists = Lists()
        self.sockets = Places(MAX_SOCKETS, MAX_SOCKETS_OF_ONE)
        self.closed = False
        self._visits: set[Visit] = set()
        self.cameras = Places(MAX_CAMERAS)
        self._filming: dict[str, list[str]] = {}  # by name: for which address it counts, once for each; two while one takes it over

    def enter(self, visit: Visit) -> None:
        self._visits.add(visit)
        if visit.counts:
            self.sockets.enter(visit.admission.address)
            if visit.admission.right is Right.PUBLISH:
                self._films(visit.admission)

    def leave(self, visit: Visit) -> None:
        if visit not in self._visits:
            return
        self._visits.remove(visit)
        if visit.counts:
            self.sockets.leave(visit.admission.address)
            if visit.admission.right is Right.PUBLISH:
                self._films_no_more(visit.admission)

    def check_room(self, admission: Admission) -> None:
        """
        Raises:
            Denied: 503, there is no room for one more such socket or request.
        """
        self.check_open()
        room = self.sockets.room(admission.address)
        if room is not Room.FREE:
            whose = " from this address" if room is Room.NONE_FOR_THIS_ADDRESS else ""
            raise Denied(503, "too-many", f"There are too many connections{whose}.")
        if admission.right is Right.PUBLISH and admission.name not in self._filming:
            room = self.cameras.room(admission.address)
            if room is not Room.FREE:
                there = f"{self.cameras.in_all} cameras" if room is Room.NONE else f"{self.cameras.of_one} cameras from this address"
                raise Denied(503, "too-many", f"There are {there} already.")

    def _films(self, admission: Admission) -> None:
        """A name takes one place, for the address that came last."""
        filming = self._filming.setdefault(admission.name, [])
        if filming:
            self.cameras.leave(filming[-1])
        filming.append(admission.address)
        self.cameras.enter(admission.address)

    def _films_no_more(self, admission: Admission) -> None:
        filming = self._filming[admission.name]
        self.cameras.leave(filming[-1])
        filming.remove(admission.address)
        if filming:
            self.cameras.enter(filming[-1])
        else:
            del self._filming[admission.name]

    def check_open(self) -> None:
        """
        Raises:
            Denied: 503, the relay stops.
        """
        if self.closed:
            raise Denied(503, Reason.RESTARTING.id, Reason.RESTARTING.sentence)

    def dismiss(self, access: Access) -> int:
        """End every visit whose right has ended; returns how many."""
        over = [visit for visit in self._visits if not visit.admission.stands(access)]
        why = Reason.KEYS_UNREAD if access.ring is not None and access.ring.closed else Reason.REVOKED
        for visit in over:
            visit.dismiss(why)
        return len(over)


class RequestVisit:
    """A request over HTTP while it is being answered, which may take hours. One that names a camera counts as a socket does."""

    def __init__(self, admission: Admission, transport: asyncio.BaseTransport | None) -> None:
        self.admission = admission
        self.counts = bool(admission.name)
        self._transport = cast("asyncio.Transport | None", transport)

    def dismiss(self, why: Reason) -> None:
        if self._transport is not None:
            self._transport.abort()


class SocketVisit:
    """What a session becomes in the relay: it stands in the book while its socket is open, and keeps the pace of its control messages.

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
        """See Visit. What waits for a peer that does not take it is thrown away: it is not for it any more."""
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

    def show(self, cameras: control.Cameras) -> None:
        """See WallSession."""
        if self._socket is not None:
            self._socket.tell_framed(self._book.lists.frame(cameras, self.admission.grant.watch))
