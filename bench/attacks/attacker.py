"""One attack, in the process of its own that `bench.actors.remote` gives it."""

from __future__ import annotations

import asyncio
import os
import resource
from typing import Self

from .catalogue import ATTACKS
from .force import SOURCE, Assault, Force
from .peers import Site, log_in

FILES = 8192
"""File descriptors that are asked for."""

NICE = 5
"""By how much an attacker steps back behind the others: on two processors it must not take the good
ones' turn. Where it cannot reach its rate because of that, its row counts as not measured.
"""


class Attacker:
    """`async with Attacker("hello-20", site) as attacker`: prepared, and to be told when to begin.

    Args:
        name: Of the attack.
    """

    def __init__(self, name: str, site: Site) -> None:
        self._attack = ATTACKS[name]
        self._force = Force(site, self._attack.rate, self._attack.step)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(
            resource.RLIMIT_NOFILE,
            (FILES if hard == resource.RLIM_INFINITY else min(hard, FILES), hard),
        )
        os.nice(NICE)
        force, site = self._force, self._force.site
        if self._attack.guest:
            force.watching = await asyncio.to_thread(log_in, site, site.watching, SOURCE)
            force.filming = await asyncio.to_thread(log_in, site, site.filming, SOURCE)
        self._task = asyncio.create_task(self._attack.run(force))
        ready = asyncio.create_task(force.ready.wait())
        await asyncio.wait((self._task, ready), return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            ready.cancel()
            self._task.result()
        return self

    def begin(self) -> None:
        """From now on it attacks."""
        self._force.go()

    async def end(self) -> Assault:
        """It leaves; what it has done.

        Raises:
            Exception: The attack itself failed.
        """
        assert self._task is not None
        assault = self._force.report()
        if self._task.done():
            self._task.result()
        await self._leave()
        return assault

    async def _leave(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._force.end()

    async def __aexit__(self, *_exception: object) -> None:
        await self._leave()
