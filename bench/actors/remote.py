"""Parts of a bench in processes of their own, so that they do not disturb each other's clocks.

::

    async with Remote(Proxy, 8080) as proxy:
        port = await proxy.ask("port")
        await proxy.ask("throttle", 50_000)
"""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
import os
import signal
import ssl
import traceback
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Self

from tests.harness.relays import Relay

END_DEADLINE = 10.0
"""Seconds that a process may take to end before it is killed."""

HOST = "localhost"
"""All processes of a bench are on this computer: what time.monotonic() says is the same in all of
them.
"""


class RemoteError(RuntimeError):
    """The other process has failed; the text is its traceback."""


class Remote:
    """What an asynchronous context manager gives, in a process of its own; it lives there as long
    as this one is entered.

    Args:
        make: Gives the context manager; a class or function of a module.
        arguments: For it; they must survive pickling, as must all that is asked and answered.
        core: The only processor on which it runs (see sched_setaffinity(2)); None for all.
    """

    def __init__(
        self,
        make: Callable[..., AbstractAsyncContextManager[Any]],
        *arguments: object,
        core: int | None = None,
    ) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a program with threads may hang
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_live, args=(theirs, make, arguments, core), daemon=True
        )
        self._theirs = theirs
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    async def ask(self, name: str, *arguments: object) -> Any:
        """The value of an attribute, or what the method of this name returns.

        Raises:
            RemoteError: It raised, or the process has ended.
        """
        async with self._turn:
            try:
                self._pipe.send((name, arguments))
            except OSError:
                raise RemoteError("the process has ended") from None
            return await self._answer()

    async def _answer(self) -> Any:
        try:
            failed, value = await asyncio.to_thread(self._pipe.recv)
        except (EOFError, OSError):
            raise RemoteError("the process has ended") from None
        if failed:
            raise RemoteError(value)
        return value

    async def __aenter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        await self._answer()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._pipe.close()
        await asyncio.to_thread(self._process.join, END_DEADLINE)
        if self._process.is_alive():
            self._process.kill()
            await asyncio.to_thread(self._process.join)


def _live(
    pipe: Connection,
    make: Callable[..., AbstractAsyncContextManager[Any]],
    arguments: tuple[object, ...],
    core: int | None,
) -> None:
    """The other process."""
    if core is not None:
        os.sched_setaffinity(0, {core})  # before there are threads, which inherit it
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the bench, which then closes the pipe
    try:
        asyncio.run(_serve(pipe, make, arguments))
    except Exception:
        pipe.send((True, traceback.format_exc()))


async def _serve(
    pipe: Connection,
    make: Callable[..., AbstractAsyncContextManager[Any]],
    arguments: tuple[object, ...],
) -> None:
    async with make(*arguments) as thing:
        pipe.send((False, None))
        while True:
            try:
                name, asked = await asyncio.to_thread(pipe.recv)
            except EOFError:
                return
            value = getattr(thing, name)
            try:
                if callable(value):
                    value = value(*asked)
                if inspect.isawaitable(value):
                    value = await value
                pipe.send((False, value))
            except Exception:
                pipe.send((True, traceback.format_exc()))


@dataclass(frozen=True)
class Address:
    """Where a relay is reached, for another process.

    Attributes:
        port: Its own, or that of a proxy before it.
        authority: File with its certificate authority; None without TLS.
    """

    port: int
    authority: str | None = None

    @classmethod
    def of(cls, relay: Relay) -> Address:
        return cls(relay.port, str(relay.state / "certs" / "ca.crt") if relay.tls else None)

    @property
    def host(self) -> str:
        """For the Host header."""
        return f"{HOST}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{'http' if self.authority is None else 'https'}://{self.host}"

    def url(self, path: str) -> str:
        return f"{'ws' if self.authority is None else 'wss'}://{self.host}{path}"

    def context(self) -> ssl.SSLContext | None:
        return None if self.authority is None else ssl.create_default_context(cafile=self.authority)
