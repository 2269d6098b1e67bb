"""The newcomer's journey: from the first start to a guest who is sent away.

All that is printed or shown is used as it stands.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.browsers.conftest import Browsers
from tests.harness.browsers import Page
from tests.harness.pages import PATIENCE, moving
from tests.harness.relays import ROOT, START_LIMIT

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.name != "posix", reason="a terminal is made by a POSIX system"),
]

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def first_start(state: Path) -> Iterator[str]:
    """A relay that is started in a terminal for the first time; what it prints."""
    master, slave = os.openpty()
    command = [
        sys.executable,
        "relay.py",
        "--tls",
        "--no-install",
        "--no-mdns",
        "--port",
        "0",
        "--trust-port",
        "0",
        "--state",
        str(state),
    ]
    relay = subprocess.Popen(
        command, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    printed, said = bytearray(), threading.Event()

    def read() -> None:
        with suppress(OSError):  # a terminal that nothing is behind any more
            while data := os.read(master, 65536):
                printed.extend(data)
                if b"Ctrl-C" in printed:
                    said.set()
        said.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        assert said.wait(START_LIMIT), printed.decode()
        yield COLOURS.sub("", printed.decode()).replace("\r", "")
        relay.send_signal(signal.SIGINT)
        assert relay.wait(20) == 0
    finally:
        relay.kill()
        relay.wait()
        reader.join(5)
        os.close(master)


async def shows(page: Page, css: str, *words: str) -> None:
    """Wait until a person can read this there."""
    for word in words:
        text = (
            f"(({{ hidden, innerText }}) => !hidden && "
            f"innerText.includes({json.dumps(word)}))(document.querySelector('{css}'))"
        )
        await page.wait_for(text, PATIENCE)


async def test_from_the_first_start_to_a_guest_who_is_sent_away(browsers: Browsers) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="drawercam-") as state,
        first_start(Path(state) / "state") as printed,
    ):
        links = {
            label: re.findall(rf"^ *{label}:?\s+(https://\S+)", printed, re.MULTILINE)[0]
            for label in ("Film", "Watch", "Own")
        }
        async with (
            browsers.chromium() as house,
            browsers.chromium() as owner,
            browsers.chromium() as guest,
        ):
            phone = await house.page(links["Film"])
            await phone.fill("#name", "Baby Room")
            await phone.click("#start")
            await phone.wait_for(
                "document.querySelector('#status').dataset.state === 'live'", PATIENCE
            )
            wall = await house.page(links["Watch"])
            await moving(wall)
            assert (
                await wall.evaluate("document.querySelector('[data-camera]').dataset.camera")
                == "baby-room"
            )

            own = await owner.page(links["Own"])
            await own.click("#guests")
            await own.wait_for("location.pathname === '/keys.html'", PATIENCE)
            await own.fill("#whom", "Anna")
            await own.click("#cameras input[value=baby-room]")
            await own.click("#make")
            await shows(own, "#made", "Invitation for Anna", "watch Baby Room")
            link = await own.evaluate("document.querySelector('#link').textContent")

            visitor = await guest.page(link)
            await moving(visitor)
            await own.click("#done")
            await own.click("#list button[aria-label='Revoke: Anna']")
            await own.click("#sure")
            await shows(own, "#news", "The key of Anna is revoked.")
            await shows(
                visitor,
                "#key",
                "has ended or was revoked",
                "Ask whoever sent you the link for a new one.",
            )
            assert "terminal" not in await visitor.evaluate("document.body.innerText")
            await visitor.wait_for(
                "document.querySelector('[data-camera]') === null", PATIENCE
            )  # and sees nothing more
            again = await guest.page(link)
            await shows(
                again,
                "#key",
                "does not know the key of this link",
                "Ask whoever sent you the link for a new one.",
            )
            await moving(wall)
            for page in (phone, wall, own, visitor):
                assert [error for error in page.errors if "401" not in error] == []
