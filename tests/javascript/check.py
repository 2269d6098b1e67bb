"""The pages' scripts, checked with the oldest browser as their target: `tsc` with the types in
their JSDoc, and `eslint`.

`tests/run` calls it: `python -m tests.javascript.check`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests import packages

HERE = Path(__file__).resolve().parent

ROOT = HERE.parents[1]

SCRIPTS = ("web", "ip_registry")
"""Folders."""

PLACES = ("tsconfig.json", "tsconfig.worker.json", "tsconfig.worklet.json")
"""Where scripts run: each place has other names."""


def tsc(settings: str | Path) -> list[str]:
    """The arguments of Node for a check of the types."""
    modules = packages.modules()
    return [
        str(modules / "typescript" / "bin" / "tsc"),
        "--project",
        str(HERE / settings),
        "--typeRoots",
        str(modules / "@types"),
    ]


def eslint(*arguments: str) -> list[str]:
    """The arguments of Node for a check of words and names."""
    return [
        str(packages.modules() / "eslint" / "bin" / "eslint.js"),
        "--config",
        str(HERE / "eslint.config.cjs"),
        *arguments,
    ]


def run(
    node: Sequence[str], arguments: Sequence[str], text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it in the repository's folder, where its plugins are found; `text` is what it reads."""
    environment = {**os.environ, "NODE_PATH": str(packages.modules())}
    return subprocess.run(
        [*node, *arguments],
        cwd=ROOT,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def missing() -> str | None:
    """The sentence why nothing can be checked, or None."""
    if packages.node() is None or not packages.modules().is_dir():
        return (
            "tests/run could not fetch Node or what the scripts are checked with "
            "(tests/packages.py)"
        )
    return None


def main() -> int:
    """Check all.

    Returns:
        Exit status: 0 also where nothing can be checked, unless `CI=true`.
    """
    node = packages.node()
    if (sentence := missing()) or node is None:
        print(f"{sentence}. The pages' scripts are not checked.", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    checks = [*map(tsc, PLACES), eslint(*SCRIPTS)]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda arguments: run(node, arguments), checks))
    for one in done:
        print(one.stdout + one.stderr, end="")
    return max(abs(one.returncode) for one in done)


if __name__ == "__main__":
    sys.exit(main())
