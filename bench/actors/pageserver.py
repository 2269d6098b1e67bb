"""Serves the bench's own pages, and rooms: a message of one socket goes to all others of the room
at once, and nothing is kept.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Self

from aiohttp import WSMsgType, web

PAGES = Path(__file__).resolve().parent.parent / "pages"

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of one message: a recorder's blob, or a session description."""


class PageServer:
    """One port on this computer, in this process.

    Attributes:
        origin: Where it is, such as `http://localhost:40001`.
    """

    def __init__(self) -> None:
        self.origin = ""
        self._rooms: defaultdict[str, set[web.WebSocketResponse]] = defaultdict(set)
        self._runner: web.AppRunner | None = None

    async def _enter(self, request: web.Request) -> web.WebSocketResponse:
        room = self._rooms[request.match_info["name"]]
        socket = web.WebSocketResponse(compress=False, max_msg_size=MESSAGE_LIMIT)
        await socket.prepare(request)
        room.add(socket)
        try:
            async for message in socket:
                others = room - {socket}
                if message.type is WSMsgType.BINARY:
                    await asyncio.gather(*(other.send_bytes(message.data) for other in others))
                elif message.type is WSMsgType.TEXT:
                    await asyncio.gather(*(other.send_str(message.data) for other in others))
        except ConnectionError:
            pass  # a page that was closed
        finally:
            room.discard(socket)
        return socket

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_get("/room/{name}", self._enter)
        application.router.add_static("/pages/", PAGES)
        self._runner = web.AppRunner(application, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "localhost", 0).start()
        self.origin = f"http://localhost:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
