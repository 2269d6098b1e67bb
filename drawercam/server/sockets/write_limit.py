"""How much may wait in one connection's transport before it counts as behind, and that a burst does
not count.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

# Bytes in the transport above which a socket counts as behind, and below which it no longer does.
# Above: 1 s at 4 Mbit/s.
HIGH_WATER = 512 * 2**10
LOW_WATER = 64 * 2**10

# Bytes that the kernel may hold unsent (TCP_NOTSENT_LOWAT). Without it Linux hides 4 MB for a
# stalled viewer: 16 s of stale video. With less the network would run dry while the kernel asks for
# more.
NOT_SENT = 32 * 2**10


class WriteLimit:
    """The limit of one transport.

    Attributes:
        bursting: It is raised for a burst that has not drained.
    """

    __slots__ = ("_transport", "bursting")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.bursting = False

    def begin(self) -> None:
        """From now on it holds."""
        self._transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        keep_unsent(self._transport)

    def burst(self, size: int) -> None:
        """So many bytes are about to be written at once, for a viewer that catches up."""
        limit = HIGH_WATER + self._transport.get_write_buffer_size() + size
        self._transport.set_write_buffer_limits(limit, LOW_WATER)
        self.bursting = True

    def look(self, held: int) -> None:
        """So many bytes wait now: where they are few, the burst is over."""
        if self.bursting and held <= LOW_WATER:
            self.drained()

    def drained(self) -> None:
        """The transport has room again."""
        if self.bursting:
            self.bursting = False
            self._transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)


def keep_unsent(transport: asyncio.Transport) -> None:
    """Have the system take only NOT_SENT bytes more than it can send now, where it knows how.

    The rest waits here, and may be left out.
    """
    raw = transport.get_extra_info("socket")
    if raw is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(
            OSError
        ):  # on some systems, a peer that has gone cannot be set anything
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT)
