"""An empty page on the loopback interface: cameras and codecs need a secure context, which a
`data:` address is not.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from aiohttp import web

PAGE = (
    "<!doctype html><meta charset=utf-8><link rel=icon "
    "href='data:,'><title>stage</title><video id=video muted playsinline></video>"
)


@contextlib.asynccontextmanager
async def stage(directories: Mapping[str, Path] | None = None) -> AsyncIterator[str]:
    """Serves the page and, below the given paths, files.

    Yields:
        The page's address.
    """

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", answer)
    for path, directory in (directories or {}).items():
        app.router.add_static(path, directory)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/"
    finally:
        await runner.cleanup()
