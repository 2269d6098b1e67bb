"""Builds the wheel: everything under one package, whose imports between rooms say so.

In a checkout `groundwork`, `certs` and `ip_registry` stand beside `drawercam`, which nobody's
site-packages should have to hold. So they move into it, with the pages, and `relay.py` becomes what
`python3 -m drawercam` starts.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PACKAGE = "drawercam"

MOVED = ("groundwork", "certs", "ip_registry")
"""Packages that move into the one."""

STATE = "platformdirs>=4.3,<5"
"""What only an installed program needs: it says where a person's data lies, and a checkout keeps
`state/`.
"""

PAGES = ("camera.html", "player.html")

_ROOMS = "|".join(MOVED)
_FROM = re.compile(rf"^(\s*from )({_ROOMS})(?=[.\s])", re.MULTILINE)
_IMPORT_AS = re.compile(rf"^(\s*import )((?:{_ROOMS})(?:\.\w+)* as )", re.MULTILINE)
_IMPORT = re.compile(rf"^(\s*)import (({_ROOMS})(?:\.\w+)*)$", re.MULTILINE)

# What a program does not need.
_LEFT_OUT = {"__pycache__"}


def moved(source: str) -> str:
    """A module of the checkout as it stands in the wheel."""
    source = _FROM.sub(rf"\g<1>{PACKAGE}.\g<2>", source)
    source = _IMPORT_AS.sub(rf"\g<1>{PACKAGE}.\g<2>", source)
    return _IMPORT.sub(rf"\g<1>import {PACKAGE}.\g<2>; from {PACKAGE} import \g<3>", source)


class Wheel(BuildHookInterface[Any]):
    """Gives hatchling each file with its place in the wheel."""

    _folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See BuildHookInterface."""
        root = Path(self.root)
        self._folder = tempfile.TemporaryDirectory()
        places: dict[str, str] = build_data["force_include"]
        for path, place in _files(root):
            if path.suffix == ".py":
                copy = Path(self._folder.name) / place
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(moved(path.read_text("utf-8")), "utf-8")
                path = copy
            places[str(path)] = place

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """See BuildHookInterface."""
        if self._folder is not None:
            self._folder.cleanup()


class Dependencies(MetadataHookInterface):
    """Reads them from `requirements.txt`, as a checkout does at its first start."""

    def update(self, metadata: dict[str, Any]) -> None:
        """See MetadataHookInterface."""
        lines = (Path(self.root) / "requirements.txt").read_text("utf-8").splitlines()
        metadata["dependencies"] = [
            *(line for line in map(str.strip, lines) if line and not line.startswith("#")),
            STATE,
        ]


def _files(root: Path) -> list[tuple[Path, str]]:
    """What is in the wheel, and where."""
    found = [
        (root / "relay.py", f"{PACKAGE}/__main__.py"),
        *((root / page, f"{PACKAGE}/{page}") for page in PAGES),
    ]
    for name in (PACKAGE, *MOVED, "web"):
        for path in sorted((root / name).rglob("*")):
            if path.is_file() and not _LEFT_OUT & set(path.parts):
                place = path.relative_to(root).as_posix()
                found.append((path, place if name == PACKAGE else f"{PACKAGE}/{place}"))
    return found
