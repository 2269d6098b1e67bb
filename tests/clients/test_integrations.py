"""docs/integrations.md, walked: every address in it is one of the relay's, and its scripts are
Python.
"""

from __future__ import annotations

import ast
import re
from urllib.parse import urlsplit

import pytest

from drawercam.server.admission.routes import REQUESTS
from tests.harness.relays import ROOT

DOCUMENT = (ROOT / "docs" / "integrations.md").read_text()

ADDRESS = re.compile(r"https?://(?:any:KEY@)?192\.168\.1\.2:8443[^\s`'\"<>]*")

PUBLISHING = re.compile(r"(-method PUT |-T \S+ )(.*? )?https://\S+/publish$")
"""How a line ends that sends a film."""


def paths() -> list[str]:
    # In a shell's line `#` begins a fragment for the program, and so it does for a browser.
    found = {urlsplit(one).path.rstrip(".,") for one in ADDRESS.findall(DOCUMENT)}
    return sorted(found - {"/"})  # what stands for any


@pytest.mark.parametrize("path", paths())
def test_every_address_has_a_route(path: str) -> None:
    methods = {"GET", "PUT"} & {
        route.method
        for route in REQUESTS
        if re.fullmatch(re.sub(r"\{\w+\}", "[a-z]+", route.canonical), path)
    }
    assert methods == ({"PUT"} if path.endswith("/publish") else {"GET"})


def test_there_is_every_kind_of_address() -> None:
    endings = {path.rpartition("/")[2] for path in paths()}
    assert endings == {
        "live",
        "live.webm",
        "live.mp4",
        "live.mjpg",
        "latest.jpg",
        "publish",
        "player.html",
    }


def test_only_who_sends_is_told_to_publish() -> None:
    lines = [
        line.strip()
        for line in DOCUMENT.splitlines()
        if line.startswith("    ") and "/publish" in line
    ]
    assert len(lines) == 4
    for line in lines:
        assert PUBLISHING.search(line), line


def test_scripts_are_python() -> None:
    scripts = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(scripts) == 2
    for script in scripts:
        ast.parse(script)


def test_what_is_not_tried_says_so() -> None:
    sections = re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)[1:]
    for section in sections:
        title = section.partition("\n")[0]
        assert title in ("The key", "The certificate") or re.search(
            r"^(Tried|Not tried)\b", section, re.MULTILINE
        ), title
