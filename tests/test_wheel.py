"""The wheel: everything under one package, beside foreign packages that are called as its rooms are
in a checkout.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

ROOMS = ("certs", "groundwork", "ip_registry")

# Modules that are a program: imported, it would be the wrong one.
_IMPORT_ALL = """
import importlib, os, pkgutil, sys
import drawercam
if os.name == "nt":
    sys.modules["resource"] = type(sys)("resource")
seen = [importlib.import_module(found.name).__name__ for found in pkgutil.walk_packages(drawercam.__path__, "drawercam.")]
print(*seen)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs, and foreign packages whose import is an error."""
    folder = tmp_path_factory.mktemp("wheel")
    words = [
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-build-isolation",
        "--no-deps",
        "--disable-pip-version-check",
        "-w",
    ]
    subprocess.run(
        [sys.executable, *words, str(folder), str(ROOT)], check=True, capture_output=True
    )
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    for name in ROOMS:
        (folder / "site" / name).mkdir()
        (folder / "site" / name / "__init__.py").write_text(
            "raise AssertionError('somebody else is imported')"
        )
    return folder / "site"


def run(site: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    places = {name: str(home) for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_DATA_HOME")}
    environment = {**os.environ, **places, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, *words],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
    )


def test_imports_of_every_kind_are_rewritten() -> None:
    moved = runpy.run_path(str(ROOT / "install" / "wheel.py"))["moved"]
    source = (
        "import os\nimport certs.own\n    from groundwork import names\nimport ip_registry as "
        "r\nimport certs_of_others\n"
    )
    assert moved(source).splitlines() == [
        "import os",
        "import drawercam.certs.own; from drawercam import certs",
        "    from drawercam.groundwork import names",
        "import drawercam.ip_registry as r",
        "import certs_of_others",
    ]


def test_it_holds_one_package_with_its_pages_and_commands(site: Path) -> None:
    assert sorted(path.name.partition("-")[0] for path in site.iterdir()) == sorted(
        ["drawercam", "drawercam", *ROOMS]
    )
    for page in ("camera.html", "player.html", "web/keys/keys.html", "ip_registry/page.css"):
        assert (site / "drawercam" / page).read_bytes() == (ROOT / page).read_bytes()
    [described] = site.glob("*.dist-info")
    commands = (described / "entry_points.txt").read_text()
    assert "drawercam = drawercam.__main__:run" in commands
    assert "drawercam-registry = drawercam.ip_registry.__main__:run" in commands
    needed = [
        line
        for line in (described / "METADATA").read_text().splitlines()
        if line.startswith("Requires-Dist: ")
    ]
    listed = (ROOT / "requirements.txt").read_text().split("\n")
    assert len(needed) == len([line for line in listed if line]) + 1 > 5, (
        "and what says where a person's data lies"
    )


def test_every_module_is_its_own(site: Path, tmp_path: Path) -> None:
    done = run(site, tmp_path, "-c", _IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    seen = done.stdout.split()
    assert {
        "drawercam.snapshots.worker_process",
        "drawercam.certs.authority",
        "drawercam.ip_registry.service",
    } <= {*seen}
    modules = [path for path in (site / "drawercam").rglob("*.py") if path.name != "__init__.py"]
    assert len(seen) > len(modules) > 100


def test_what_is_printed_is_the_command_that_was_typed_and_state_lies_among_a_persons_data(
    site: Path, tmp_path: Path
) -> None:
    script = tmp_path / "bin" / "drawercam"
    script.parent.mkdir()
    script.write_text("import sys\nfrom drawercam.__main__ import run\nsys.exit(run())\n")
    done = run(site, tmp_path, str(script), "keys", "add", "--publish", "garden")
    assert done.returncode == 0, done.stderr
    assert "relay.py" not in done.stdout + done.stderr and f"{script} " in done.stdout
    assert len([*tmp_path.rglob("keys.json")]) == 1
    assert not (site / "drawercam" / "state").exists()
    wrong = run(site, tmp_path, str(script), "kyes")
    assert wrong.returncode == 2 and f"{script} --help" in wrong.stderr
    asked = run(site, tmp_path, "-m", "drawercam.ip_registry", "--help")
    assert asked.returncode == 0 and "-m drawercam.ip_registry" in asked.stdout
