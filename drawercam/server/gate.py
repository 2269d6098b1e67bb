"""The gate: listens, counts every connection from its first moment, and lets it through TLS.

The event loop would do all of this but the counting; and a TLS handshake that never ends is a connection that nobody would know of.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket as sockets
import ssl
from collections.abc import Callable, Coroutine, Sequence

from ..limits import TLS_DEADLINE, Lobby

try:
    import aiofastnet
except ImportError:
    aiofastnet = None  # type: ignore[assignment]

# Connections that the system takes while the relay is busy. Those beyond it try again after one second, three, seven.
_BACKLOG = 2048

# Connections taken before the others have their turn: as they come in, those before them say what they want.
_AT_ONCE = 32

# Bytes of each connection's own memory for ciphertext: one record of TLS on its way in, and what one call sends. With less, large pictures
# need more calls; without being told, aiofastnet takes 257 KiB for each of the two, and what a connection has once filled stays filled.
_RECORD = 16 * 1024 + 64
_TLS_BUFFERS = {"ssl_incoming_bio_size": _RECORD, "ssl_outgoing_bio_size": 2 * _RECORD}

# Seconds to wait when the system has no file descriptor left: others end meanwhile.
_NO_FILES_PAUSE = 0.5

log = logging.getLogger(__name__)


class Gate:
    """Listens on some addresses, on one port."""

    def __init__(self, lobby: Lobby, context: ssl.SSLContext | None, door: Callable[[], asyncio.Protocol]) -> None:
        """
        Args:
            lobby: Who is in.
            context: For TLS, or None.
            door: Makes the protocol for a connection that is through.
        """
        self._lobby = lobby
        self._context = context
        self._door = door
        self._listeners: list[sockets.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, hosts: Sequence[str] | None, port: int) -> int:
        """Listen.

        Args:
            hosts: Addresses to listen on; None for all.
            port: 0 to let the system choose one, the same for all addresses.

        Returns:
            The port.

        Raises:
            OSError: An address cannot be had. Where others can, ``::1`` and ``::`` need not be: there are computers without IPv6.
        """
        loop = asyncio.get_running_loop()
        for host in hosts or ("0.0.0.0", "::"):
            found = await loop.getaddrinfo(host, None, type=sockets.SOCK_STREAM, flags=sockets.AI_PASSIVE)
            for family, address in dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found):
                try:
                    listener = sockets.create_server((address, port), family=family, backlog=_BACKLOG)
                except OSError as error:
                    if self._listeners and host in ("::1", "::") and error.errno != errno.EADDRINUSE:
                        continue
                    self.close()
                    raise
                listener.setblocking(False)
                self._listeners.append(listener)
                port = port or listener.getsockname()[1]
        for listener in self._listeners:
            self._begin(self._accept(listener))
        return port

    def close(self) -> None:
        """Take nobody any more, and give up handshakes."""
        for task in self._tasks:
            task.cancel()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop holds tasks only weakly
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: sockets.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as error:
                # A peer that has gone again is nobody's fault; without descriptors everybody has to wait.
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    log.warning("x no more connections can be taken: %s", error.strerror)
                    await asyncio.sleep(_NO_FILES_PAUSE)
                continue
            self._enter(connection, str(address[0]))
            with contextlib.suppress(OSError):  # there are no more, or what is wrong is seen above
                for _ in range(_AT_ONCE - 1):
                    connection, address = listener.accept()
                    connection.setblocking(False)
                    self._enter(connection, str(address[0]))

    def _enter(self, connection: sockets.socket, address: str) -> None:
        if self._lobby.enter(address, connection):
            self._begin(self._let_in(connection))
        else:
            connection.close()

    async def _let_in(self, connection: sockets.socket) -> None:
        loop, context = asyncio.get_running_loop(), self._context
        deadline = TLS_DEADLINE if context is not None else None
        try:
            if aiofastnet is None:
                await loop.connect_accepted_socket(self._door, connection, ssl=context, ssl_handshake_timeout=deadline)
            else:
                # Its transports cost less than the loop's, above all with TLS (docs/performance.md). They leave Nagle's algorithm on.
                with contextlib.suppress(OSError):  # on some systems, a peer that has gone again cannot be set anything
                    connection.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
                await aiofastnet.connect_accepted_socket(
                    loop, self._door, connection, ssl=context, ssl_handshake_timeout=deadline, **(_TLS_BUFFERS if context else {})
                )
        except (OSError, ssl.SSLError) as error:  # too slow, gone, or it speaks no TLS: phones try http, scanners try anything
            log.debug("x a connection does not get through TLS: %s", error)
