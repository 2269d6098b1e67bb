"""`python -m tests.fuzz TARGET [--minutes N]`: fuzz one target; see README.md beside this file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz import engine

OUT = Path(__file__).resolve().parent.parent / "out" / "fuzz"


def main() -> None:
    try:
        import atheris
    except ImportError:
        sys.exit(
            "Atheris is missing: pip install atheris. It runs on Linux (x86-64) with "
            "CPython 3.11 to 3.13."
        )
    with atheris.instrument_imports(include=["drawercam", "groundwork"]):
        from tests.fuzz import seeds, targets
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description="Fuzz one target, guided by what its inputs reach."
    )
    parser.add_argument("target", choices=targets.TARGETS)
    parser.add_argument(
        "--minutes", type=float, default=3.0, metavar="N", help="how long (default: 3)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=OUT,
        metavar="DIR",
        help="where inputs and findings are kept (default: tests/out/fuzz)",
    )
    chosen = parser.parse_args()
    name = chosen.target
    print(
        (
            f"A finding is a file in {chosen.out / name}; copy it to "
            f"tests/fuzz/regressions/{name}/ when it is repaired."
        ),
        flush=True,
    )
    engine.run(
        targets.TARGETS[name],
        chosen.out / name,
        max(1, round(chosen.minutes * 60)),
        seeds.seeds(name),
        seeds.words(name),
    )


main()
