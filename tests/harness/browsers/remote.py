"""Remote control of a browser over a WebSocket: what WebDriver BiDi and the DevTools protocol have
in common.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from asyncio.subprocess import Process
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.harness.browsers.base import PAGE_DEADLINE, PageError


class Remote:
    """Commands with numbered answers, and events.

    Args:
        name: The browser's, for what is said when it has gone.
        on_event: Called with the method and the parameters of each event.
    """

    def __init__(
        self, name: str, socket: ClientConnection, on_event: Callable[[str, dict[str, Any]], None]
    ) -> None:
        self._name = name
        self._socket = socket
        self._on_event = on_event
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last = 0
        self._reader = asyncio.create_task(self._read())

    async def command(
        self, method: str, deadline: float = PAGE_DEADLINE, **parameters: Any
    ) -> dict[str, Any]:
        """Sends one command and returns its result.

        Raises:
            PageError: The browser refused it, has gone, or did not answer within `deadline`
                seconds.
        """
        self._last += 1
        number = self._last
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            if self._reader.done():
                raise PageError(f"{self._name} has closed the connection")
            async with asyncio.timeout(deadline):
                await self._socket.send(
                    json.dumps({"id": number, "method": method, "params": parameters})
                )
                result: dict[str, Any] = await answer
                return result
        except (TimeoutError, ConnectionClosed) as error:
            raise PageError(f"{method}: {type(error).__name__} {error}") from None
        finally:
            del self._waiting[number]

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self._socket:
                message = json.loads(text)
                waiting = self._waiting.get(message.get("id"))
                if "method" in message:
                    self._on_event(message["method"], message["params"])
                elif waiting is None or waiting.done():
                    pass  # the command has given up
                elif "result" in message:
                    waiting.set_result(message["result"])
                else:
                    waiting.set_exception(PageError(_refusal(message)))
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(PageError(f"{self._name} has closed the connection"))

    async def close(self) -> None:
        """Closes the socket; the browser runs on."""
        await self._socket.close()
        await self._reader


def _refusal(message: dict[str, Any]) -> str:
    """The words of a command's error: BiDi has a code and a text side by side, DevTools an
    object.
    """
    error = message["error"]
    return str(error["message"]) if isinstance(error, dict) else f"{error}: {message['message']}"


async def announced(name: str, stream: asyncio.StreamReader, announcement: re.Pattern[str]) -> str:
    """What a starting browser prints of where it can be controlled: the first group of the pattern.

    Raises:
        RuntimeError: It ended first.
    """
    said: list[str] = []
    while line := (await stream.readline()).decode(errors="replace"):
        if match := announcement.search(line):
            return match[1]
        said.append(line)
    raise RuntimeError(
        f"{name} ended while it started, saying: {''.join(said).strip() or 'nothing'}"
    )


async def drain(stream: asyncio.StreamReader) -> None:
    """Reads on, so that a talkative browser does not block on a full pipe."""
    while await stream.read(65536):
        pass


AIM = """(css) => {
    const element = document.querySelector(css);
    element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    const box = element.getBoundingClientRect();
    return { x: Math.round(box.x + box.width / 2), y: Math.round(box.y + box.height / 2) };
}"""
"""Brings an element into view; where its middle is, in CSS pixels."""


async def end(
    remote: Remote | None,
    goodbye: str,
    process: Process | None,
    draining: asyncio.Task[None] | None,
) -> None:
    """Asks a browser to close, by the command that it knows for it, and waits until its process has
    gone; kills it if it does not go.
    """
    try:
        if remote:
            with contextlib.suppress(PageError):
                await remote.command(goodbye)
            await remote.close()
        if process:
            await process.wait()
    finally:
        if process and process.returncode is None:
            process.kill()
            await process.wait()
        if draining:
            await draining
