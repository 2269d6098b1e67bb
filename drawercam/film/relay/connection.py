"""One socket to the relay that looks after itself: it reconnects for ever, and knows the relay's
clock and what waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections import deque
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from drawercam.protocol.messages import CameraPing, Message, encode

from .clock import RelayTime, now
from .login import Entry, Refused, Unreachable
from .unacknowledged import Flight

# Seconds between two pings. They go the way of the pictures, so the relay knows how old those are
# and this camera how far behind its network is (docs/protocol.md).
PING_INTERVAL = 0.5

# Pings without any answer after which the network counts as gone: 6 s.
_MOST_UNANSWERED = 12

# Seconds before the first, and at most before any, new try, less up to a quarter. A relay that is
# back is found within 2 s.
_FIRST_DELAY = 0.25
_LONGEST_DELAY = 2.0

# A connection that held this long (µs) starts the back-off anew: one that is thrown out after its
# welcome does not hold so long.
_STEADY = 2_000_000

# Bytes of one message at most (docs/protocol.md).
MAX_MESSAGE = 8 * 2**20

# Bytes that may wait in this program whatever happens. Whoever sends leaves out long before; this
# is the end of what a fault may take.
_MAX_WAITING = 4 * MAX_MESSAGE

# Seconds for the good-bye.
_GOOD_BYE_LIMIT = 1.5

# Close codes after which trying again would be wrong: good-bye, and "taken over".
_GOOD_BYE, _TAKEN_OVER = 1000, 4003

log = logging.getLogger(__name__)


class Handler(Protocol):
    """The caller, which films. All of these are called by the event loop and never wait."""

    def opened(self) -> None:
        """The relay has said welcome."""

    def told(self, message: dict[str, Any]) -> None:
        """Take a control message other than welcome, pong and error."""

    def lost(self) -> None:
        """The connection has ended."""

    def asked(self, moment: int) -> CameraPing:
        """Returns the ping that is sent now, with what has been measured lately."""

    def answered(self, asked: int, way: int, moment: int) -> None:
        """A pong came at a time of `now`.

        ``way``: µs from here to the relay by the relay's clock, give or take a constant.
        """


class TakenOver(Exception):
    """Another camera has this name now."""


class Link:
    """
    Attributes:
        waiting: Bytes that the kernel has not taken yet. May be read in any thread.
        clock: The relay's clock. Its `at` may be called in any thread.
        flight: What the kernel has taken. Its `age` may be called in any thread.
        farewell: With which reason the relay is told good-bye when `run` is cancelled; without one
            it is told nothing.
    """

    def __init__(self, entry: Entry, handler: Handler) -> None:
        self.waiting = 0
        self.clock = RelayTime()
        self.flight = Flight()
        self.farewell = ""
        self._entry = entry
        self._handler = handler
        self._connection: ClientConnection | None = None
        self._outgoing: deque[tuple[str | bytes, int]] = (
            deque()
        )  # with the time since which it waits
        self._news = asyncio.Event()
        self._asked: deque[int] = deque(maxlen=_MOST_UNANSWERED)
        self._said = ""

    def send(self, message: Message) -> None:
        """Say something if the link is open, else forget it."""
        self._put(encode(message))

    def send_media(self, data: bytes) -> None:
        """As `send`."""
        self._put(data)

    def _put(self, data: str | bytes) -> None:
        if self._connection is None:
            return
        if self.waiting + len(data) > _MAX_WAITING:
            log.warning(
                "More waits for the network than this camera holds. The connection is begun afresh."
            )
            self._connection.transport.abort()
            return
        self.waiting += len(data)
        self._outgoing.append((data, now()))
        self._news.set()

    async def run(self) -> None:
        """Be connected, for ever.

        Raises:
            Refused: The relay does not let this camera in.
            TakenOver: See there.
        """
        failures = 0
        while True:
            try:
                connection = await self._entry.open()
            except Unreachable as error:
                self._say(str(error))
            else:
                began = now()
                await self._serve(connection)
                if now() - began > _STEADY:
                    failures = 0
            await asyncio.sleep(
                min(_LONGEST_DELAY, _FIRST_DELAY * 2**failures) * random.uniform(0.75, 1)
            )
            failures = min(failures + 1, 8)

    def _say(self, sentence: str) -> None:
        """Not the same twice."""
        if sentence != self._said:
            self._said = sentence
            log.info("%s", sentence)

    async def _serve(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._outgoing.clear()
        self._asked.clear()
        self.clock.forget()
        self.flight = Flight(connection.transport)
        self.waiting = 0
        tasks = [
            asyncio.create_task(work)
            for work in (self._send_all(connection), self._ping_on(connection))
        ]
        try:
            with contextlib.suppress(ConnectionClosed):
                async for text in connection:
                    if isinstance(text, str):
                        self._take(_message(text))
        except asyncio.CancelledError:
            if not self.farewell:
                connection.transport.abort()
            raise
        finally:
            self._connection = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.clock.forget()
            self._handler.lost()
            # A good-bye, where it was this program that wanted the end. `close` alone can hang on a
            # peer that does not read.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOOD_BYE_LIMIT):
                    await connection.close(reason=self.farewell)
            connection.transport.abort()
        if connection.close_code == _TAKEN_OVER:
            raise TakenOver
        if connection.close_code != _GOOD_BYE:
            self._say("The connection to the relay is lost. It is tried again until it is back.")

    async def _send_all(self, connection: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                while self._outgoing:
                    data, since = self._outgoing.popleft()
                    await connection.send(data)
                    self.waiting -= len(data)
                    self.flight.sent(since)
                self._news.clear()
                await self._news.wait()

    async def _ping_on(self, connection: ClientConnection) -> None:
        while True:
            if len(self._asked) == _MOST_UNANSWERED:
                connection.transport.abort()
                return
            moment = now()
            self._asked.append(moment)
            self.send(self._handler.asked(moment))
            await asyncio.sleep(PING_INTERVAL)

    def _take(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "pong":
                if type(message.get("t")) is not int or type(message.get("time")) is not int:
                    return
                asked, relay, moment = message["t"], message["time"], now()
                while self._asked and self._asked[0] <= asked:
                    self._asked.popleft()
                self.clock.learn(asked, moment, relay)
                self._handler.answered(asked, relay - asked, moment)
            case "welcome":
                self._said = ""
                self._handler.opened()
            case "error":
                log.info("The relay says: %s", message.get("text"))
            case _:
                self._handler.told(message)


def _message(text: str) -> dict[str, Any]:
    """A control message; an empty one for what is none, such as another server's."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


__all__ = ["MAX_MESSAGE", "Handler", "Link", "Refused", "TakenOver"]
