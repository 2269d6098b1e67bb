"""The end of a connection that FFmpeg reads: a read of its libraries cannot be broken off by
others, but it ends with its connection.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from urllib.parse import urlsplit

# The ports of RTSP without and with TLS (RFC 2326 section 3.2, RFC 7826 section 22.14).
_PORTS = {"rtsp": 554, "rtsps": 322}

# Where the system shows a program its descriptors: Linux, macOS, BSD.
_DESCRIPTORS = Path("/dev/fd")


class HangingUp:
    """The connections to a URL of RTSP that are opened from now on.

    Where the system does not tell them, nothing is known of any.
    """

    def __init__(self, url: str) -> None:
        scheme = url.partition(":")[0]
        self._port = (urlsplit(url).port or _PORTS[scheme]) if scheme in _PORTS else 0
        self._before = set(self._connected())
        self._found: list[socket.socket] = []

    def look(self) -> None:
        """Keep those that there are now: a descriptor alone may soon be that of something else."""
        self._found += [_copy(number) for number in self._connected() if number not in self._before]

    def hang_up(self) -> None:
        """End them, for all who read from them."""
        for connection in self._found:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Keep them no longer."""
        for connection in self._found:
            connection.close()
        self._found.clear()

    def _connected(self) -> list[int]:
        numbers = []
        with contextlib.suppress(OSError):
            numbers = [int(path.name) for path in _DESCRIPTORS.iterdir()] if self._port else []
        return [number for number in numbers if _port(number) == self._port]


def _copy(number: int) -> socket.socket:
    return socket.socket(fileno=os.dup(number))


def _port(number: int) -> int:
    """Of the other end, where a descriptor is a connection of the Internet's; else 0."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            with _copy(number) as connection:
                if connection.family in (socket.AF_INET, socket.AF_INET6):
                    return int(connection.getpeername()[1])
    return 0
