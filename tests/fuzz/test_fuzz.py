"""Every fuzz target for a moment, what was found before, and that the fuzzer finds anything at
all.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS
from tests.harness.relays import ROOT

REGRESSIONS = Path(__file__).resolve().parent / "regressions"

# Minutes for each target: long enough to try a thousand inputs.
MOMENT = 0.017

# Targets that run side by side.
AT_ONCE = 2

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="Atheris is not installed: it has no wheel for this Python or system.",
)


def fuzz(name: str, folder: Path) -> str:
    """Fuzz one target for a moment in a process of its own; returns what is wrong, or nothing."""
    command = [
        sys.executable,
        "-m",
        "tests.fuzz",
        name,
        "--minutes",
        str(MOMENT),
        "--out",
        str(folder),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=550,
        check=False,
    )
    end = re.search(r"DONE +cov: (\d+)", done.stderr)
    if done.returncode or end is None:
        return f"{name}:\n{done.stderr[-3000:]}"
    return (
        ""
        if int(end[1]) > 1
        else f"{name}: the fuzzer does not see what its inputs reach\n{done.stderr}"
    )


@needs_atheris
@pytest.mark.timeout(600)
def test_any_input_is_understood_or_refused(tmp_path: Path) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = [text for text in pool.map(lambda name: fuzz(name, tmp_path), TARGETS) if text]
    assert not wrong, "\n\n".join(wrong)


@needs_atheris
def test_the_fuzzer_finds_what_only_a_few_inputs_reach(tmp_path: Path) -> None:
    (tmp_path / "prey.py").write_text(
        "def target(data):\n    if data[:1] == b'd' and data[1:2] == b'c':\n        raise "
        "ValueError\n"
    )
    hunt = f"""
import sys
from pathlib import Path
import atheris
from tests.fuzz import engine
sys.path.append({str(tmp_path)!r})
with atheris.instrument_imports(include=["prey"]):
    import prey
engine.run(prey.target, Path({str(tmp_path)!r}), 60, [b"seed"], [])
"""
    done = subprocess.run(
        [sys.executable, "-c", hunt],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=110,
        check=False,
    )
    assert done.returncode, done.stderr[-3000:]
    (found,) = tmp_path.glob("crash-*")
    assert found.read_bytes().startswith(b"dc")


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_fuzzers_begin_with(name: str) -> None:
    inputs = [*seeds(name)]
    assert inputs
    for data in inputs:
        TARGETS[name](data)


@pytest.mark.parametrize(
    "path",
    sorted(path for path in REGRESSIONS.glob("*/*")),
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
def test_what_was_found_stays_repaired(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())
