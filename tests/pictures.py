"""Make the pictures of the README: `python -m tests.pictures`.

The real pages in Chromium, at a relay of their own: a wall of four cameras that are programs, and a
phone that films. Needs what the tests of browsers need; takes half a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from tests.harness.browsers import Chromium
from tests.harness.pages import PATIENCE
from tests.harness.relays import ROOT, Relay

FOLDER = ROOT / "docs" / "pictures"

LABELS = ("Baby Room", "Front Door", "Garden", "Workshop")

WALL, PHONE = (960, 640), (360, 640)
"""Width and height of the pictures: the README shows the wall beside the phone, equally high."""

MAX_BYTES = 150_000
"""Of one picture, because everybody who reads the README loads them."""


@contextlib.asynccontextmanager
async def cameras(relay: Relay) -> AsyncIterator[None]:
    """Programs that film the synthetic picture, under these labels, at this relay."""
    words = [
        sys.executable,
        "relay.py",
        "--no-install",
        "film",
        "test",
        "--fps",
        "10",
        "--relay",
        relay.origin,
    ]
    films = [
        await asyncio.create_subprocess_exec(*words, "--label", label, cwd=ROOT) for label in LABELS
    ]
    try:
        yield
    finally:
        for film in films:
            film.terminate()
            await film.wait()


async def main() -> None:
    """Make both.

    Raises:
        SystemExit: One is too large.
    """
    FOLDER.mkdir(exist_ok=True)
    with Relay() as relay:
        async with Chromium() as chromium, cameras(relay):
            wall = await chromium.page(f"{relay.origin}/player.html")
            await wall.resize(*WALL)
            live = "document.querySelectorAll('[data-camera][data-state=live]').length"
            await wall.wait_for(f"{live} === {len(LABELS)}", PATIENCE)
            await asyncio.sleep(5)  # the tiles' delays have settled
            await wall.screenshot(FOLDER / "wall.png")
            await wall.close()
        async with Chromium() as chromium:
            phone = await chromium.page(f"{relay.origin}/camera.html?name=baby-room&start=1")
            await phone.resize(*PHONE)
            watched = await chromium.page(f"{relay.origin}/player.html?camera=baby-room")
            await watched.resize(*PHONE)
            await phone.wait_for(
                "document.querySelector('#status').dataset.state === 'live'", PATIENCE
            )
            await asyncio.sleep(3)  # what it films with is said by then
            await phone.screenshot(FOLDER / "camera.png")
    for path in sorted(FOLDER.glob("*.png")):
        size = path.stat().st_size
        print(f"{path.relative_to(ROOT)}: {size} bytes")
        if size > MAX_BYTES:
            sys.exit(f"{path.name} is larger than {MAX_BYTES} bytes.")


if __name__ == "__main__":
    asyncio.run(main())
