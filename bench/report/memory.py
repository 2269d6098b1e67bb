"""Memory of a page and of the processes that take part: what a run of hours must not let grow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import linear_regression
from typing import Any, Self

from playwright.async_api import CDPSession
from playwright.async_api import Error as PlaywrightError

from bench.gauges.cpu import kind_of
from tests.harness.browsers import ChromiumPage, PageError
from tests.harness.browsers.processes import Family

from .targets import Target

MEGABYTE = 1e6

SETTLING = 10
"""Minutes after which memory must not grow any more."""

LEAST_SLOPE_MINUTES = 10
"""Minutes after that below which a slope says nothing."""

GROWTH_LIMIT = 1.0
"""MB an hour: the most that a heap, or the relay, may grow."""

COLLECT_DEADLINE = 30.0
"""Seconds that a collection of garbage may take on a busy machine."""

_COLLECT = "HeapProfiler.collectGarbage"
_USAGE = "Runtime.getHeapUsage"


class Heap:
    """The JavaScript heaps of one page and of its workers, through the Chrome DevTools Protocol.

    `async with Heap(page) as heap: await heap.used()`. A worker has a heap of its own, and most of
    the player lives in one.
    """

    def __init__(self, page: ChromiumPage) -> None:
        self._page = page
        self._session: CDPSession | None = None
        self._workers: set[str] = set()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0

    async def used(self) -> dict[str, float]:
        """MB in use after a collection of garbage: `page`, and `workers` together.

        Raises:
            PageError: The page did not answer.
        """
        assert self._session is not None
        workers = 0.0
        try:
            async with asyncio.timeout(COLLECT_DEADLINE):
                await self._session.send(_COLLECT)
                page = (await self._session.send(_USAGE))["usedSize"]
                for worker in sorted(self._workers):
                    await self._ask(worker, _COLLECT)
                    workers += (await self._ask(worker, _USAGE))["usedSize"]
        except TimeoutError:
            raise PageError(
                f"a page did not tell its memory within {COLLECT_DEADLINE:.0f} s"
            ) from None
        except PlaywrightError as error:
            raise PageError(error.message) from None
        return {"page": page / MEGABYTE, "workers": workers / MEGABYTE}

    async def _ask(self, worker: str, method: str) -> dict[str, Any]:
        assert self._session is not None
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        message = json.dumps({"id": self._number, "method": method})
        await self._session.send(
            "Target.sendMessageToTarget", {"sessionId": worker, "message": message}
        )
        found: dict[str, Any] = await answer
        return found

    def _on_message(self, event: dict[str, Any]) -> None:
        message = json.loads(event["message"])
        answer = self._answers.pop(message.get("id"), None)
        if answer is not None and not answer.done():
            answer.set_result(message.get("result", {"usedSize": 0}))

    def _on_attached(self, event: dict[str, Any]) -> None:
        if event["targetInfo"]["type"] == "worker":
            self._workers.add(event["sessionId"])

    def _on_detached(self, event: dict[str, Any]) -> None:
        self._workers.discard(event["sessionId"])

    async def __aenter__(self) -> Self:
        session = self._session = await self._page.raw.context.new_cdp_session(self._page.raw)
        session.on("Target.attachedToTarget", self._on_attached)
        session.on("Target.detachedFromTarget", self._on_detached)
        session.on("Target.receivedMessageFromTarget", self._on_message)
        await session.send(
            "Target.setAutoAttach",
            {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": False},
        )
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if self._session is not None:
            with contextlib.suppress(PlaywrightError):  # the page has gone before
                await self._session.detach()


def renderers(family: Family) -> float:
    """MB that all of the browser's renderer processes hold (proc(5), VmRSS); pages that they share
    count in each.
    """
    total = 0
    for process in family.alive():
        with contextlib.suppress(OSError):  # it has ended
            if kind_of(process.pid) == "renderer":
                total += int(
                    re.findall(
                        r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text()
                    )[0]
                )
    return total * 1024 / MEGABYTE


def growth(sizes: Sequence[float | None]) -> float | None:
    """MB an hour, on a straight line through the minutes after the settling; None if the run was
    too short to tell.

    Args:
        sizes: MB of each minute, None where it could not be measured.
    """
    settled = [
        (minute / 60, size)
        for minute, size in enumerate(sizes)
        if minute >= SETTLING and size is not None
    ]
    if len(settled) < LEAST_SLOPE_MINUTES:
        return None
    return linear_regression([hour for hour, _ in settled], [size for _, size in settled]).slope


def small(what: str, sizes: Sequence[float | None]) -> Target:
    """The claim that something does not grow; its sizes as `growth` takes them."""
    slope = growth(sizes)
    claim = f"{what} grows by less than {GROWTH_LIMIT:.0f} MB an hour"
    if slope is None:
        return Target(claim, f"needs {SETTLING + LEAST_SLOPE_MINUTES} minutes", None)
    return Target(claim, f"{slope:+.2f} MB an hour", slope < GROWTH_LIMIT)
