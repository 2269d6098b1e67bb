"""The gate: listens, counts every connection from its first moment, and lets one after the other
through TLS.

A connection costs next to nothing until it says something. Then it waits for its turn (see turns),
and so does each step of its handshake: what strangers make the relay compute comes in small
portions, one address after the other, and never stops the pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Container, Coroutine, Sequence

from . import paced_tls, plain_http
from .limits import TLS_DEADLINE, Lobby
from .own_address import own_address
from .paced_tls import STEP, PacedAsker
from .turns import Turns

# Connections that the system takes while the relay is busy. Those beyond it try again after one
# second, three, seven.
_BACKLOG = 2048

# Connections taken before the others have their turn: as they come in, those before them say what
# they want.
_AT_ONCE = 32

# How every TLS connection begins (RFC 8446 section 5.1, ContentType.handshake).
_HANDSHAKE = b"\x16"

# Seconds and bytes for which what is still sent behind a plain request is thrown away, so that its
# sender can read the answer.
_LINGERING = 1.0
_MAX_LINGERING = 64 * 1024

# Seconds between two looks at a connection where the loop cannot tell that it says something: at
# first, and at most.
_FIRST_LOOK, _LAST_LOOK = 0.005, 0.25

# Seconds to wait when the system has no file descriptor left: others end meanwhile.
_NO_FILES_PAUSE = 0.5

log = logging.getLogger(__name__)


Plain = Callable[[bytes, str, str], bytes]
"""Makes an answer of a request head, the address from which it came, and that of this computer at
which it did. Raises nothing.
"""


class Gate:
    """Listens on some addresses, on one port.

    Attributes:
        arrived: Connections that have come so far.
        plain: See there.
    """

    def __init__(
        self,
        lobby: Lobby,
        context: Callable[[], ssl.SSLContext] | None,
        door: Callable[[Seat], asyncio.Protocol],
        spare: Lobby | None = None,
        proxies: Container[str] = (),
        plain: Plain | None = None,
    ) -> None:
        """
        Args:
            lobby: Who is in.
            context: Gives that for TLS, as it is now; None without TLS.
            door: Makes the protocol for a connection that is through.
            plain: Answers plain HTTP where TLS is expected. Without it, such connections are
                closed.
            spare: Places for those for whom `lobby` has none, so that they can be told
                (`Seat.turned_away`). Without it, they are closed.
            proxies: See `Turns`.
        """
        self._lobby = lobby
        self._spare = spare
        self.plain = plain if context is not None else None
        self._context = context
        self._door = door
        self._turns = Turns(proxies=proxies)
        self._pump: asyncio.Handle | None = None
        self._pumping = False  # and not only at some later time
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._seats: set[Seat] = set()  # of connections that are not through
        self.arrived = 0

    async def open(self, hosts: Sequence[str] | None, port: int) -> int:
        """Listen.

        Args:
            hosts: Addresses to listen on; None for all.
            port: 0 to let the system choose one, the same for all addresses.

        Returns:
            The port.

        Raises:
            OSError: An address cannot be had. Where others can, ``::1`` and ``::`` need not be:
                there are computers without IPv6.
        """
        loop = asyncio.get_running_loop()
        for host in hosts or ("0.0.0.0", "::"):
            found = await loop.getaddrinfo(
                host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, address in dict.fromkeys(
                (family, str(address[0])) for family, _, _, _, address in found
            ):
                try:
                    listener = socket.create_server(
                        (address, port), family=family, backlog=_BACKLOG
                    )
                except OSError as error:
                    if (
                        self._listeners
                        and host in ("::1", "::")
                        and error.errno != errno.EADDRINUSE
                    ):
                        continue
                    self.close()
                    raise
                listener.setblocking(False)
                self._listeners.append(listener)
                port = port or listener.getsockname()[1]
        for listener in self._listeners:
            self.begin(self._accept(listener))
        return port

    def close(self) -> None:
        """Take nobody any more, and give up those that are not through."""
        for task in self._tasks:
            task.cancel()
        for seat in list(self._seats):
            seat.displace()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        if self._pump is not None:
            self._pump.cancel()

    async def _accept(self, listener: socket.socket) -> None:
        loop, family = asyncio.get_running_loop(), listener.family
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as error:
                # A peer that has gone again is nobody's fault; without descriptors everybody has to
                # wait.
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    log.warning("x no more connections can be taken: %s", error.strerror)
                    await asyncio.sleep(_NO_FILES_PAUSE)
                continue
            self._enter(connection, family, address[0])
            with contextlib.suppress(OSError):  # there are no more, or what is wrong is seen above
                for _ in range(_AT_ONCE - 1):
                    connection, address = listener.accept()
                    self._enter(connection, family, address[0])

    def _enter(self, accepted: socket.socket, family: int, address: str) -> None:
        self.arrived += 1
        seat = Seat(self, accepted, family, address)
        if not self._lobby.enter(seat):
            seat.turned_away = True
            if self._spare is None or not self._spare.enter(seat):
                seat.displace()
                return
        seat.lobby = self._spare if seat.turned_away else self._lobby
        self._seats.add(seat)
        seat.wait()

    # --- what seats need ---

    @property
    def tls(self) -> bool:
        """Whether connections come through TLS."""
        return self._context is not None

    def begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a task, and hold it: the loop does so only weakly."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def ask(self, asker: PacedAsker) -> None:
        """Let it have its turn, soon."""
        self._turns.ask(asker.address, asker)
        if not self._pumping:
            if self._pump is not None:
                self._pump.cancel()
            self._pumping = True
            self._pump = asyncio.get_running_loop().call_soon(self._run)

    def forget(self, asker: PacedAsker) -> None:
        """It waits for no turn any more."""
        self._turns.forget(asker)

    def is_through(self, seat: Seat) -> None:
        """It has a transport, or has ended."""
        self._seats.discard(seat)

    def _run(self) -> None:
        wait = self._turns.run()
        self._pumping, self._pump = wait == 0, None
        if wait is not None:
            self._pump = asyncio.get_running_loop().call_later(wait, self._run)

    async def let_through(self, seat: Seat, connection: socket.socket) -> asyncio.Transport:
        """Let it through TLS, if there is any, and to its door.

        Raises:
            OSError, ssl.SSLError: It did not get through.
        """

        def door() -> asyncio.Protocol:
            return self._door(seat)

        with contextlib.suppress(
            OSError
        ):  # on some systems, a peer that has gone again cannot be set anything
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is None:
            return await paced_tls.without_tls(connection, door)
        return await paced_tls.start_tls(self, seat.address, connection, door, self._context())


class Seat:
    """A connection until its end, and its place in a lobby. See limits.Guest and turns.Asker.

    Attributes:
        address: From where it comes.
        lobby: In which its place is.
        turned_away: There is no room for it: it is to be told so, and closed.
        ended: What else is to be called when it has ended.
    """

    def __init__(self, gate: Gate, accepted: socket.socket, family: int, address: str) -> None:
        self.address = address
        self.lobby: Lobby | None = None
        self.turned_away = False
        self.ended: Callable[[], None] | None = None
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._socket = _Socket(accepted, family, self._closed)
        self._silence: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._head: bytearray | None = None  # of a request without TLS
        self._left = _MAX_LINGERING
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def wait(self) -> None:
        """Go on when it says something."""
        self._listen(self._speaks, TLS_DEADLINE)

    def _listen(self, heard: Callable[[], None], seconds: float) -> None:
        """Call this when there are bytes, or an end; after so many seconds it is displaced."""
        try:
            self._loop.add_reader(self._socket.fileno(), heard)
        except NotImplementedError:  # on Windows
            if self._gate.plain is None:
                self._gate.ask(self)
                return
            self._look_later(heard, _FIRST_LOOK)
        self._silence = self._loop.call_later(seconds, self.displace)

    def _look_later(self, heard: Callable[[], None], pause: float) -> None:
        def look() -> None:
            self._look_later(
                heard, min(2 * pause, _LAST_LOOK)
            )  # which is cancelled when nothing more is to be heard
            heard()

        self._look = self._loop.call_later(pause, look)

    def displace(self) -> None:
        """End it at once. See limits.Guest."""
        if self._transport is not None:
            self._transport.abort()
        elif self._task is not None:
            self._task.cancel()
        else:
            self._listen_no_more()
            self._socket.close()

    def turn(self) -> bool:
        """See turns.Asker."""
        if self._head is not None:
            self._answer(bytes(self._head))
            return True
        self._task = self._gate.begin(self._come_through())
        self._task.add_done_callback(self._tidy)
        return False

    def _speaks(self) -> None:
        """There are bytes, or an end.

        What is neither TLS nor a request is not begun with: scanners try anything.
        """
        if self._head is not None:
            self._asks()
            return
        try:
            first = self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        if first.isalpha() and self._gate.plain is not None:
            self._head = bytearray()
            self._asks()
            return
        if not first or (self._gate.tls and first != _HANDSHAKE):
            with contextlib.suppress(OSError):
                self._socket.recv(
                    STEP
                )  # what is left unread when it is closed would make the end look like a fault
            self.displace()
            return
        self._listen_no_more()
        self._gate.ask(self)

    def _asks(self) -> None:
        """A request without TLS goes on.

        Its answer waits for its turn as a step of a handshake does.
        """
        assert self._head is not None
        try:
            data = self._socket.recv(plain_http.MAX_HEAD - len(self._head))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        seen = len(self._head)
        self._head += data
        if not data or not plain_http.is_begun(self._head):
            self.displace()
        elif plain_http.is_whole(self._head, seen):
            self._listen_no_more()
            self._gate.ask(self)

    def _answer(self, head: bytes) -> None:
        assert self._gate.plain is not None
        try:
            answer = self._gate.plain(head, self.address, own_address(self._socket) or "")
            self._socket.send(answer)  # there is room for it: nothing was sent before
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.displace()
        else:
            self._listen(self._outlast, _LINGERING)

    def _outlast(self) -> None:
        """It goes on although it was answered, or ends.

        What is left unread when it is closed could take the answer with it.
        """
        try:
            data = self._socket.recv(STEP)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        self._left -= len(data)
        if not data or self._left <= 0:
            self.displace()

    def _listen_no_more(self) -> None:
        if self._silence is None:
            return
        self._silence.cancel()
        self._silence = None
        if self._look is None:
            self._loop.remove_reader(self._socket.fileno())
        else:
            self._look.cancel()
            self._look = None

    async def _come_through(self) -> None:
        try:
            self._transport = await self._gate.let_through(self, self._socket)
        except (
            OSError,
            ssl.SSLError,
        ) as error:  # it was too slow, or is gone, or its TLS is of another kind
            log.debug("x a connection does not get through TLS: %s", error)
            # It holds the transport, which holds the error: until the collector comes, which takes
            # its time.
            error.__traceback__ = None

    def _tidy(self, task: asyncio.Task[None]) -> None:
        # With its exception, whose traceback holds this seat, it would be held until the collector
        # comes.
        self._task = None
        self._gate.is_through(self)
        if self._transport is None:
            self._socket.close()  # if it was given up before there was anything else that would

    def _closed(self) -> None:
        self._gate.forget(self)
        self._gate.is_through(self)
        if self.lobby is not None:
            self.lobby.leave(self)
        if self.ended is not None:
            self.ended()


class _Socket(socket.socket):
    """A socket that tells when it is closed, wherever that happens."""

    def __init__(self, accepted: socket.socket, family: int, closed: Callable[[], None]) -> None:
        super().__init__(family, socket.SOCK_STREAM, 0, fileno=accepted.detach())
        self.setblocking(False)
        self._when_closed: Callable[[], None] | None = closed

    def close(self) -> None:
        super().close()
        self._tell()

    def detach(self) -> int:
        """So does uvloop with a socket that it has closed itself."""
        number = super().detach()
        self._tell()
        return number

    def _tell(self) -> None:
        tell = self._when_closed
        if tell is not None and self.fileno() < 0:
            self._when_closed = None
            tell()
