"""The floor of a fan-out: the least that any server must do. One thread, one epoll, one `send` of
the same bytes to each viewer.

It takes the handshakes one after the other, while nothing else happens, and believes every peer: it
is no server to use.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
from typing import Self

from websockets.utils import accept_key

BACKLOG = 4096
"""Connections that wait for their handshake."""

HANDSHAKE_DEADLINE = 10.0
"""Seconds for a peer's part of it."""

_KEY = b"sec-websocket-key:"


class Floor:
    """Passes messages of one size on: `async with Floor(size, certificate)`.

    Args:
        size: Bytes of a message with its WebSocket head, as the camera (`feeds.FloorFilm`) sends
            it.
        certificate: PEM files of a certificate and its key, for TLS.

    Attributes:
        port: Where it listens.
        dropped: Messages that a viewer was not sent, because it had not yet taken the one before.
    """

    def __init__(self, size: int, certificate: tuple[str, str] | None) -> None:
        self.dropped = 0
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.minimum_version = ssl.TLSVersion.TLSv1_3
            self._context.load_cert_chain(*certificate)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.port: int = self._listener.getsockname()[1]
        self._end, self._ends = socket.socketpair()
        self._poll = select.epoll()
        self._camera: socket.socket | None = None
        self._message = memoryview(bytearray(size))
        self._filled = 0
        self._viewers: dict[int, socket.socket] = {}
        self._late: dict[
            socket.socket, bytes
        ] = {}  # what a viewer has not taken of the last message

    async def __aenter__(self) -> Self:
        self._running = asyncio.get_running_loop().run_in_executor(None, self._run)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._end.close()
        await self._running

    def _run(self) -> None:
        for one in (self._listener, self._ends):
            self._poll.register(one, select.EPOLLIN)
        while True:
            for number, _ in self._poll.poll():
                if self._camera is not None and number == self._camera.fileno():
                    self._receive(self._camera)
                elif number == self._listener.fileno():
                    self._accept()
                elif number in self._viewers:
                    self._leave(self._viewers[number])
                else:
                    return

    def _accept(self) -> None:
        raw, _ = self._listener.accept()
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.settimeout(HANDSHAKE_DEADLINE)
        try:
            peer = (
                raw if self._context is None else self._context.wrap_socket(raw, server_side=True)
            )
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (data := peer.recv(4096)):
                    raise ConnectionResetError
                head += data
            key = next(
                line[len(_KEY) :].strip()
                for line in head.split(b"\r\n")
                if line.lower().startswith(_KEY)
            )
            lines = [
                "HTTP/1.1 101 Switching Protocols",
                "Upgrade: websocket",
                "Connection: Upgrade",
            ]
            lines += [f"Sec-WebSocket-Accept: {accept_key(key.decode())}", "", ""]
            peer.sendall("\r\n".join(lines).encode())
        except OSError:
            raw.close()
            return
        peer.setblocking(False)
        if head.startswith(b"GET /camera"):
            self._camera, self._filled = peer, 0
            self._poll.register(peer, select.EPOLLIN)
        else:
            self._viewers[peer.fileno()] = peer
            self._poll.register(peer, select.EPOLLRDHUP)

    def _leave(self, peer: socket.socket) -> None:
        self._poll.unregister(peer)
        self._viewers.pop(peer.fileno(), None)
        self._late.pop(peer, None)
        peer.close()

    def _receive(self, camera: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
            while True:
                try:
                    count = camera.recv_into(self._message[self._filled :])
                except (ConnectionError, ssl.SSLEOFError):
                    count = 0
                if not count:
                    self._poll.unregister(camera)
                    camera.close()
                    self._camera = None
                    return
                self._filled += count
                if self._filled == len(self._message):
                    self._filled = 0
                    self._pass_on(bytes(self._message))

    def _pass_on(self, message: bytes) -> None:
        """The whole of it."""
        length, late = len(message), self._late
        for viewer in list(self._viewers.values()):
            if late and viewer in late:
                self._rest(viewer, late[viewer])
                if viewer in late:
                    self.dropped += 1
                    continue
            try:
                sent = viewer.send(message)
            except (BlockingIOError, ssl.SSLWantWriteError):
                sent = 0
            except OSError:
                continue  # it is told by epoll, too
            if sent != length:
                self._rest(viewer, message[sent:])

    def _rest(self, viewer: socket.socket, rest: bytes) -> None:
        """TLS takes a record (16 KiB) at a time; and a buffer may be full."""
        try:
            while rest:
                rest = rest[viewer.send(rest) :]
        except (BlockingIOError, ssl.SSLWantWriteError):
            self._late[viewer] = rest
        except OSError:
            return
        else:
            self._late.pop(viewer, None)
