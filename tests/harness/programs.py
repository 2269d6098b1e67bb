"""Other people's programs, run beside a test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.harness.peers import PATIENCE


@asynccontextmanager
async def running(*command: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program that runs meanwhile, and what it says.

    Args:
        options: As `subprocess.Popen` takes them.
    """
    pipe = asyncio.subprocess.PIPE
    usual: dict[str, Any] = {"stdin": asyncio.subprocess.DEVNULL, "stdout": pipe, "stderr": pipe}
    process = await asyncio.create_subprocess_exec(*command, **usual | options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def finished(seconds: float, *command: str, **options: Any) -> tuple[str, str]:
    """Standard output and error of a program that takes about so many seconds, and ends well."""
    async with running(*command, **options) as process:
        try:
            out, errors = await asyncio.wait_for(process.communicate(), seconds + 3 * PATIENCE)
        except TimeoutError:
            raise AssertionError(f"{command[0]} does not end") from None
        assert process.returncode == 0, (
            f"{command[0]} ends with "
            f"{process.returncode}:\n{errors.decode(errors='replace')[-3000:]}"
        )
        return out.decode(errors="replace"), errors.decode(errors="replace")
