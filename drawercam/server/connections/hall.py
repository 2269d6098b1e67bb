"""The hall: the connections that have come through the gate, and which of them have shown a
right.
"""

from __future__ import annotations

import asyncio

from groundwork.connections.limits import MAX_CONNECTIONS, MAX_PAGES_OF_ONE, Lobby
from groundwork.connections.listener import Seat


class Hall:
    """Finds the place of a connection by its transport, which is all that a request over HTTP knows
    of it.

    Attributes:
        lobby: Where the places are.
    """

    def __init__(self) -> None:
        self.lobby = Lobby(MAX_CONNECTIONS, MAX_PAGES_OF_ONE)
        self._seats: dict[asyncio.BaseTransport, Seat] = {}

    def sit(self, transport: asyncio.BaseTransport, seat: Seat) -> None:
        """This is whose connection it is, until it ends."""
        self._seats[transport] = seat
        seat.ended = lambda: self._gone(transport)

    def belongs(self, transport: asyncio.BaseTransport | None, address: str) -> bool:
        """It counts for this address from now on: a proxy asks for others.

        False if it must be closed, because that has no room.
        """
        seat = self._seat(transport)
        return seat is None or seat.address == address or self.lobby.move(seat, address)

    def show(self, transport: asyncio.BaseTransport | None) -> None:
        """It has shown a right, so it stays."""
        if (seat := self._seat(transport)) is not None:
            self.lobby.show(seat)

    def let_in(self, transport: asyncio.BaseTransport | None) -> None:
        """It takes one of the places that there are for sockets, instead of one for pages."""
        if (seat := self._seat(transport)) is not None:
            self.lobby.let_in(seat)

    def come_back(self, transport: asyncio.BaseTransport | None) -> bool:
        """It does not any more. False if it must be closed, because there is no place for pages."""
        seat = self._seat(transport)
        return seat is None or self.lobby.come_back(seat)

    def _gone(self, transport: asyncio.BaseTransport) -> None:
        self._seats.pop(transport, None)

    def _seat(self, transport: asyncio.BaseTransport | None) -> Seat | None:
        return self._seats.get(transport) if transport is not None else None
