"""What all rows share: the relay, the browser, the bench's pages, and the size of the picture."""

from __future__ import annotations

import asyncio
import itertools
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode

from tests.harness.browsers import Browser, Page
from tests.harness.relays import Relay

from .pageserver import PageServer


@dataclass(frozen=True)
class Size:
    """Pixels of the filmed picture."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @classmethod
    def parse(cls, text: str) -> Size:
        """From `640x480`.

        Raises:
            ValueError: It is no such text.
        """
        width, _, height = text.partition("x")
        return cls(int(width), int(height))


class Stage:
    """Everything up and running: `async with Stage(browser) as stage`.

    Attributes:
        camera_origin, viewer_origin: Where the relay's pages are opened; None for the relay itself.
    """

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.relay = Relay("--no-qr")
        self.camera_origin: str | None = None
        self.viewer_origin: str | None = None
        self.pages = PageServer()
        self._numbers = itertools.count(1)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.pages)
            await asyncio.to_thread(self.relay.__enter__)
            stack.push(self.relay.__exit__)
            await stack.enter_async_context(self.browser)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._stack.aclose()

    def fresh_name(self) -> str:
        """A camera's or a room's name that was not used before."""
        return f"bench-{next(self._numbers)}"

    async def own_page(self, page: str, **query: object) -> Page:
        """Opens one of the bench's own pages."""
        return await self.browser.page(f"{self.pages.origin}/pages/{page}?{urlencode(query)}")

    async def camera_page(self, **query: object) -> Page:
        """Opens the relay's camera page."""
        return await self.browser.page(
            f"{self.camera_origin or self.relay.origin}/camera.html?{urlencode(query)}"
        )

    async def player_page(self, **query: object) -> Page:
        """Opens the relay's player page."""
        return await self.browser.page(
            f"{self.viewer_origin or self.relay.origin}/player.html?{urlencode(query)}"
        )

    @property
    def own_process(self) -> int:
        """The process that serves the bench's own pages and rooms."""
        return os.getpid()
