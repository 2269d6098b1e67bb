"""Viewers by the thousand, as cheap as Python has them: one thread, one epoll, no more of a message
looked at than its head.

They answer Pings at once, as browsers do, and try again where they are refused, as pages do. What
they cost is on a processor of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import select
import socket
import ssl
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Self

from websockets.frames import Opcode

from tests.harness.peers import handshake

from .remote import Address
from .scripted_camera import Mark
from .viewers import READ_SIZE, Reader, picture

JOIN_DEADLINE = 30.0
"""Seconds in which those that join together must have a picture each."""

RETRY = 0.25
"""Seconds after which a viewer that was refused tries again."""

SAME_ADDRESS = 250
"""Viewers with one address of their own (127.0.0.2 and on): a relay takes some hundreds from
one.
"""

FILES = 16_384
"""File descriptors that are asked for."""

LOOK = 0.05
"""Seconds between two looks at who has to try again, and at what was asked from outside."""

_FRAME = 27
"""Where in a media message the picture begins (`picture` has seen to it that it is WebM)."""


class Joined(NamedTuple):
    """How a number of viewers came in that joined at once. Seconds are counted from the first of
    them on.

    Attributes:
        opened: Seconds until the last handshake was over; None when some never were.
        pictured: Seconds until the last had a picture; None when some got none within
            JOIN_DEADLINE.
        refused: How often one was turned away.
        without: How many have no picture.
    """

    opened: float | None
    pictured: float | None
    refused: int
    without: int


class Seen(NamedTuple):
    """All pictures that have come: one entry of each array for each, in order of arrival.

    Attributes:
        numbers: Of the pictures.
        captured, arrived: time.monotonic().
        gap: Seconds: the longest that a viewer was without a new one.
        gone: Viewers whose connection has ended by itself.
        cipher: That of TLS, or "".
    """

    numbers: array[int]
    captured: array[float]
    arrived: array[float]
    gap: float
    gone: int
    cipher: str


class Sinks:
    """Viewers of one path: `async with Sinks(address, "/player/film")`; all its methods are called
    from the event loop.

    Args:
        nice: By how much this process steps back behind others.
    """

    def __init__(self, address: Address, path: str, nice: int = 0) -> None:
        os.nice(nice)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(
            resource.RLIMIT_NOFILE,
            (FILES if hard == resource.RLIM_INFINITY else min(hard, FILES), hard),
        )
        self.address = address
        self.path = path
        self.context: ssl.SSLContext | None = None
        if address.authority is not None:
            # Nobody else is on this computer's loopback interface, and checking certificates is not
            # what is measured.
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.context.minimum_version = ssl.TLSVersion.TLSv1_3
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE
        self.poll = select.epoll()
        self.room = memoryview(
            bytearray(READ_SIZE)
        )  # one for all: what is read is looked at before the next read
        self.again: deque[tuple[float, _Sink]] = deque()  # when who tries again, the soonest first
        self.sinks: dict[int, _Sink] = {}  # by file descriptor
        self.refused = self.gone = 0
        # First pictures that are still to come, after which something is to be done.
        self.awaited = 0
        self.complete: Callable[[], object] = lambda: None
        self._orders: deque[Callable[[], None]] = deque()  # for the thread
        self._count = 0
        self._ending = False
        self._clear()

    async def __aenter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._ending = True
        await asyncio.to_thread(self._thread.join)
        for sink in self.sinks.values():
            sink.socket.close()

    async def join(self, count: int) -> Joined:
        """So many more come at once."""
        sinks = [
            _Sink(self, f"127.0.0.{2 + (self._count + index) // SAME_ADDRESS}")
            for index in range(count)
        ]
        self._count += count
        loop, everybody = asyncio.get_running_loop(), asyncio.Event()
        self.awaited, self.complete = count, lambda: loop.call_soon_threadsafe(everybody.set)
        refused, begin = self.refused, time.monotonic()
        self._orders.extend(sink.begin for sink in sinks)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(everybody.wait(), JOIN_DEADLINE)
        opened, pictured = [sink.opened for sink in sinks], [sink.first for sink in sinks]
        return Joined(
            max(opened) - begin if all(opened) else None,
            max(pictured) - begin if all(pictured) else None,
            self.refused - refused,
            pictured.count(0),
        )

    async def take(self) -> Seen:
        """What has come since the last call."""
        taken: asyncio.Future[Seen] = (loop := asyncio.get_running_loop()).create_future()

        def take() -> None:
            now = time.monotonic()
            gap = max(
                (max(sink.gap, now - sink.last) for sink in self.sinks.values() if sink.last),
                default=0.0,
            )
            for sink in self.sinks.values():
                sink.gap = 0.0
                sink.last = sink.last and now
            cipher = next((sink.cipher for sink in self.sinks.values()), "")
            seen = Seen(self.numbers, self.captured, self.arrived, gap, self.gone, cipher)
            self._clear()
            loop.call_soon_threadsafe(taken.set_result, seen)

        self._orders.append(take)
        return await taken

    def cpu(self) -> float:
        """Seconds that this process has worked."""
        return time.process_time()

    def _clear(self) -> None:
        self.numbers: array[int] = array("Q")
        self.captured: array[float] = array("d")
        self.arrived: array[float] = array("d")

    def _run(self) -> None:
        due = 0.0
        while not self._ending:
            for number, _ in self.poll.poll(LOOK):
                sink = self.sinks.get(number)
                if sink is not None:
                    sink.ready()
            if (now := time.monotonic()) < due:
                continue
            due = now + LOOK
            while self._orders:
                self._orders.popleft()()
            while self.again and self.again[0][0] <= now:
                self.again.popleft()[1].begin()


class _Sink:
    """One viewer.

    Attributes:
        ready: What to do when there is something to read, or to write while it connects.
        opened, first, last: When the handshake was over, and when the first and the last picture
            came; 0 before.
        gap: Seconds, the longest so far without a new picture.
    """

    ready: Callable[[], None]
    socket: socket.socket

    def __init__(self, all_: Sinks, source: str) -> None:
        self.opened = self.first = self.last = self.gap = 0.0
        self._all = all_
        self._source = source

    def begin(self) -> None:
        """Connects."""
        raw = socket.socket()
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
        raw.bind((self._source, 0))
        self.socket, self.ready = raw, self._connected
        self._number = raw.fileno()
        self._all.sinks[self._number] = self
        if raw.connect_ex(("127.0.0.1", self._all.address.port)) not in (0, errno.EINPROGRESS):
            self._end()
            return
        self._all.poll.register(self._number, select.EPOLLOUT)

    @property
    def cipher(self) -> str:
        cipher = self.socket.cipher() if isinstance(self.socket, ssl.SSLSocket) else None
        return cipher[0] if cipher else ""

    def _end(self) -> None:
        """It was refused, or was cut off."""
        with contextlib.suppress(OSError):
            self._all.poll.unregister(self._number)
        del self._all.sinks[self._number]
        self.socket.close()
        if self.opened:
            self._all.gone += 1
        else:
            self._all.refused += 1
            self._all.again.append((time.monotonic() + RETRY, self))

    def _connected(self) -> None:
        if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._end()
            return
        if self._all.context is None:
            self._ask()
            return
        self.socket = self._all.context.wrap_socket(self.socket, do_handshake_on_connect=False)
        self.ready = self._shake_hands
        self._shake_hands()

    def _shake_hands(self) -> None:
        assert isinstance(self.socket, ssl.SSLSocket)
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self._all.poll.modify(self._number, select.EPOLLIN)
        except ssl.SSLWantWriteError:
            self._all.poll.modify(self._number, select.EPOLLOUT)
        except OSError:
            self._end()
        else:
            self._ask()

    def _ask(self) -> None:
        address = self._all.address
        self._answer = b""
        self.ready = self._answered
        self._all.poll.modify(self._number, select.EPOLLIN)
        self._write(handshake(self._all.path, address.host, f"Origin: {address.origin}"))

    def _answered(self) -> None:
        size = self._read()
        if size <= 0:
            return
        self._answer += self._all.room[:size]
        head, end, rest = self._answer.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101 "):
            self._end()
            return
        self.opened = time.monotonic()
        self._reader = Reader(self._take)
        self.ready = self._stream
        self._reader.feed(memoryview(rest))

    def _stream(self) -> None:
        # What TLS has deciphered and not handed out, epoll does not know of. All else it tells
        # again.
        while (size := self._read()) > 0:
            self._reader.feed(self._all.room[:size])
            if not isinstance(self.socket, ssl.SSLSocket) or not self.socket.pending():
                return

    def _read(self) -> int:
        """Bytes that are in the room now; 0 when it has ended, less when there are none yet."""
        try:
            size = self.socket.recv_into(self._all.room)
        except (BlockingIOError, ssl.SSLWantReadError):
            return -1
        except OSError:
            size = 0
        if not size:
            self._end()
        return size

    def _write(self, data: bytes) -> None:
        # So little that it always fits; where the peer is gone, epoll tells.
        with contextlib.suppress(OSError):
            self.socket.send(data)

    def _take(self, opcode: int, body: bytes) -> None:
        if opcode == Opcode.BINARY and picture(body):
            now, everything = time.monotonic(), self._all
            mark = Mark.read(memoryview(body)[_FRAME:])
            everything.numbers.append(mark.number)
            everything.captured.append(mark.captured)
            everything.arrived.append(now)
            if not self.last:
                self.first = now
                everything.awaited -= 1
                if not everything.awaited:
                    everything.complete()
            elif now - self.last > self.gap:
                self.gap = now - self.last
            self.last = now
        elif opcode == Opcode.PING:
            # At once and in order: by this answer the relay knows what has arrived. A mask of zeros
            # is one (RFC 6455 section 5.3).
            self._write(bytes([0x80 | Opcode.PONG, 0x80 | len(body), 0, 0, 0, 0]) + body)
