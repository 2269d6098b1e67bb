"""What a web server sends, read by a thread that can be told to end at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from drawercam.film.relay.clock import now

from .authentication import authorization

# Seconds that a server may take to answer.
_ANSWER_LIMIT = 10.0

# Seconds between two looks whether the thread is to end.
_LOOK = 0.25

# Bytes of an answer that may wait here: more than a large JPEG, whose parts would stop and start
# the connection otherwise.
_BUFFER = 2**20

# Seconds of silence, seconds between two questions, and questions without an answer, after which
# the kernel takes a connection for dead: a camera that gives a picture a minute may be silent, one
# whose plug was pulled says so by not answering.
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}

# Cameras send what they like to whom they like; some want to be told who asks.
_HEADERS = {"User-Agent": "drawercam", "Accept": "*/*"}


class Stopped(Exception):
    """The thread is to end."""


class _Loop(asyncio.SelectorEventLoop):
    """Asks for addresses itself, because its thread has nothing else to do. In a thread pool a
    question that is not answered would keep the whole program from ending.
    """

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        return socket.getaddrinfo(host, port, **options)


class WebReader:
    """Asks one server, and reads one answer after the other.

    Attributes:
        status: Of the answer (RFC 9110 section 15).
        kind: Its media type, in small letters, without parameters; empty if it has none.
        length: Of its body as it was announced, None if it was not.
    """

    def __init__(self, url: str, goes_on: Callable[[], bool]) -> None:
        """
        Args:
            url: With user and password, if need be.
            goes_on: Whether the thread is to go on; asked again and again while something is waited
                for.
        """
        self.status = 0
        self.kind = ""
        self.length: int | None = None
        self._goes_on = goes_on
        whole = URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)
        self._url = whole.with_user(None).with_fragment(None)
        self._login = (
            (whole.user or "", whole.password or "") if whole.user or whole.password else None
        )
        self._loop = _Loop()
        self._session: aiohttp.ClientSession | None = None
        self._answer: aiohttp.ClientResponse | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._loop.run_until_complete(self._close())
        finally:
            self._loop.close()

    def get(self) -> None:
        """Ask, with user and password if the server wants them; the answer before is let go.

        Raises:
            Stopped: The thread is to end.
            TimeoutError: There is no answer in time.
            aiohttp.ClientError, OSError: There is none, or it cannot be understood.
        """
        self._loop.run_until_complete(self._watched(self._get(), _ANSWER_LIMIT))

    def read(self, patience: float) -> bytes:
        """The next bytes of the body; none when it is over.

        Args:
            patience: Seconds that they may take.

        Raises:
            As `get`.
        """
        assert self._answer is not None
        return self._loop.run_until_complete(self._read(self._answer.content, patience))

    async def _get(self) -> None:
        if self._session is None:
            # As FFmpeg does: any certificate is believed, because cameras make their own; proxies
            # are those of the environment.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=False),
                timeout=aiohttp.ClientTimeout(total=None),
                headers=_HEADERS,
                cookie_jar=aiohttp.DummyCookieJar(),  # the other one has no bound
                trust_env=True,
                read_bufsize=_BUFFER,
            )
        if self._answer is not None:
            self._answer.release()
        answer = await self._session.get(self._url)
        if (
            answer.status == 401
            and self._login is not None
            and answer.url.origin() == self._url.origin()
        ):
            shown = authorization(
                answer.headers.getall("WWW-Authenticate", []), *self._login, answer.url.raw_path_qs
            )
            if shown is not None:
                answer.release()
                answer = await self._session.get(
                    answer.url, headers={"Authorization": shown}, allow_redirects=False
                )
        self._answer = answer
        self.status = answer.status
        self.kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self.length = answer.content_length
        _watch_peer(answer)

    async def _read(self, content: aiohttp.StreamReader, limit: float) -> bytes:
        until = now() + round(limit * 1e6)
        while self._goes_on():
            with contextlib.suppress(TimeoutError):
                # No task for it, because there are hundreds of pieces a second.
                async with asyncio.timeout(min(_LOOK, max(0.0, (until - now()) / 1e6))):
                    return await content.readany()
            if now() >= until:
                raise TimeoutError
        raise Stopped

    async def _watched(self, work: Coroutine[object, object, None], limit: float) -> None:
        task = asyncio.create_task(work)
        until = now() + round(limit * 1e6)
        try:
            while self._goes_on():
                if (await asyncio.wait([task], timeout=_LOOK))[0]:
                    return task.result()
                if now() > until:
                    raise TimeoutError
            raise Stopped
        finally:
            task.cancel()
            with contextlib.suppress(BaseException):
                await task

    async def _close(self) -> None:
        if self._answer is not None:
            self._answer.close()
        if self._session is not None:
            await self._session.close()


def _watch_peer(answer: aiohttp.ClientResponse) -> None:
    """Let the kernel ask whether the server is still there, where it can."""
    connection = answer.connection
    plain = (
        connection.transport.get_extra_info("socket")
        if connection is not None and connection.transport is not None
        else None
    )
    if plain is None:
        return
    with contextlib.suppress(OSError):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                plain.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
