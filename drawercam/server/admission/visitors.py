"""The visits: each has a right by which it came, and ends when that right does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol, cast

from drawercam.access.grants import Access, Grant, Right
from drawercam.protocol.close_reasons import Reason
from groundwork.connections.limits import (
    MAX_CAMERAS,
    MAX_SOCKETS,
    MAX_SOCKETS_OF_ONE,
    Places,
    Room,
)
from groundwork.denied import Denied


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
        """Whether it would be given again, to the same extent: a visitor must not go on to see
        cameras of a key that is gone.
        """
        left = access.still(self.grant)
        return left.allows(self.right, self.name) and (
            self.right is not Right.WATCH_SOME or left.watch == self.grant.watch
        )


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


class Book:
    """The visitors' book.

    Attributes:
        messages: Control messages that have come so far, from all who are or were in.
        sockets: The places that there are for those who count (see Visit).
        cameras: Those for names that are filmed; one that is taken over counts for the address that
            came last.
        closed: The relay stops: nobody is let in any more, also not by connections that are still
            open.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.sockets = Places(MAX_SOCKETS, MAX_SOCKETS_OF_ONE)
        self.closed = False
        self._visits: set[Visit] = set()
        self.cameras = Places(MAX_CAMERAS)
        self._filming: dict[
            str, list[str]
        ] = {}  # by name: for which address it counts, once for each; two while one takes it over

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
                there = (
                    f"{self.cameras.in_all} cameras"
                    if room is Room.NONE
                    else f"{self.cameras.of_one} cameras from this address"
                )
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
        why = (
            Reason.KEYS_UNREAD if access.ring is not None and access.ring.closed else Reason.REVOKED
        )
        for visit in over:
            visit.dismiss(why)
        return len(over)


class RequestVisit:
    """A request over HTTP while it is being answered, which may take hours.

    One that names a camera counts as a socket does.
    """

    def __init__(self, admission: Admission, transport: asyncio.BaseTransport | None) -> None:
        self.admission = admission
        self.counts = bool(admission.name)
        self._transport = cast("asyncio.Transport | None", transport)

    def dismiss(self, why: Reason) -> None:
        if self._transport is not None:
            self._transport.abort()
