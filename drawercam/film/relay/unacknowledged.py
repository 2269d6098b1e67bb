"""How old what is on its way is, by what the other end's system has acknowledged. Each packet tells
it, pings only twice a second.

Only Linux tells (tcp(7), TCP_INFO). Elsewhere, and where a proxy acknowledges what a network behind
it has not carried yet, the pings have to do (network_pace.py).
"""

from __future__ import annotations

import array
import contextlib
import struct
import sys
import threading
from asyncio import WriteTransport
from collections import deque

from .clock import now

if sys.platform == "linux":
    import fcntl
    import socket
    import termios

# In `struct tcp_info` (linux/tcp.h): tcpi_bytes_acked, 64 bits, and tcpi_min_rtt, 32 bits of
# microseconds. Linux 4.6 has both.
_ACKED_AT, _ROUND_TRIP_AT, _INFO_SIZE = 120, 148, 152


class Flight:
    """What one connection has sent. `age` may be called in any thread."""

    def __init__(self, transport: WriteTransport | None = None) -> None:
        """
        Args:
            transport: The connection's; without one nothing is ever on its way.
        """
        self._socket = (
            transport.get_extra_info("socket")
            if transport is not None and sys.platform == "linux"
            else None
        )
        self._sent: deque[tuple[int, int]] = deque()  # up to which byte, since when
        self._lock = threading.Lock()

    def sent(self, since: int) -> None:
        """The system has taken what this program had for it since then (`clock.now`)."""
        if (told := self._ask()) is not None:
            acked, waiting, _ = told
            with self._lock:
                self._forget(acked)
                self._sent.append((acked + waiting, since))

    def age(self) -> int:
        """Microseconds for which the oldest of what was not acknowledged yet has been under way,
        beyond the shortest round trip.
        """
        if (told := self._ask()) is None:
            return 0
        acked, _, round_trip = told
        with self._lock:
            self._forget(acked)
            return max(0, now() - self._sent[0][1] - round_trip) if self._sent else 0

    def _forget(self, acked: int) -> None:
        while self._sent and self._sent[0][0] <= acked:
            self._sent.popleft()

    def _ask(self) -> tuple[int, int, int] | None:
        """Bytes that were acknowledged, bytes that were not yet, and the shortest round trip (µs);
        None where nobody knows.
        """
        if sys.platform == "linux" and self._socket is not None:
            with contextlib.suppress(
                OSError, ValueError
            ):  # it is closed, perhaps just now, by another thread
                info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
                if len(info) == _INFO_SIZE:
                    waiting = array.array("i", [0])
                    fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, waiting)
                    (acked,), (round_trip,) = (
                        struct.unpack_from("=Q", info, _ACKED_AT),
                        struct.unpack_from("=I", info, _ROUND_TRIP_AT),
                    )
                    return acked, waiting[0], round_trip
        return None


__all__ = ["Flight"]
