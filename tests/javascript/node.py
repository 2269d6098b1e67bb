"""The pages' modules that need no browser, run by Node as they are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests import packages
from tests.javascript.check import ROOT

DEADLINE = 60.0
"""Seconds for one script on a busy computer."""


def modules(folder: Path) -> Path:
    """Copy the pages' scripts to where Node takes them for modules: they have no `package.json`
    that says so.

    Returns:
        The folder of the scripts.
    """
    (folder / "package.json").write_text('{"type": "module"}')
    return shutil.copytree(
        ROOT / "web", folder / "web", ignore=shutil.ignore_patterns("*.html", "*.css", "*.svg")
    )


def run(scripts: Path, script: str, *arguments: object, zone: str = "UTC") -> Any:
    """Run a script.

    Args:
        scripts: See `modules`.
        script: The body of an asynchronous function that returns a JSON value; `load(name)` imports
            a module, `values` are the arguments.
        arguments: JSON values.
        zone: The computer's time zone.
    """
    node = packages.node()
    assert node is not None
    values = json.dumps(arguments)
    whole = f"""
      const load = (name) => import({json.dumps(scripts.as_uri())} + "/" + name), values = {values};
      console.log(JSON.stringify(await (async () => {{ {script} }})()));
    """
    done = subprocess.run(
        [*node, "--input-type=module"],
        input=whole,
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
