"""What every program of the bench does around its measuring: the exit status, and the results as
JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.gauges.machine import Machine
from tests.harness.browsers import BrowserMissing, PageError

MISSING, FAILED, INTERRUPTED = 2, 1, 130
"""Exit statuses: there is no browser, a page or a relay failed, Ctrl-C."""


def status(measuring: Coroutine[Any, Any, int]) -> int:
    """Measures; returns the exit status. What kept it from measuring is said in a sentence."""
    try:
        return asyncio.run(measuring)
    except BrowserMissing as error:
        print(error, file=sys.stderr)
        return MISSING
    except (PageError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def rounds(name: str, does: str, arguments: Sequence[str]) -> argparse.Namespace:
    """The options of a bench that does everything some times: ``rounds`` and ``json``. Exits with a
    sentence when they are wrong.

    Args:
        name: Of its file.
        does: What it does, for `--help`.
        arguments: The command line.
    """
    parser = argparse.ArgumentParser(prog=f"bench/{name}", description=does)
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        metavar="N",
        help="how often everything has its turn (default: 5)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every measurement to this file"
    )
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 1:
        parser.error("at least one round")
    return chosen


def write(
    chosen: argparse.Namespace, machine: Machine, results: Sequence[Mapping[str, Any]]
) -> None:
    """Writes the whole run to the file of `--json`, if there is one."""
    if chosen.json:
        document = {"machine": asdict(machine), "options": vars(chosen), "results": list(results)}
        chosen.json.write_text(json.dumps(document, indent=1, default=str) + "\n", encoding="utf-8")
