"""The bootstrap, with real virtual environments and a real pip, in a project whose one library lies
beside it: nothing is downloaded.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from groundwork import bootstrap
from groundwork.bootstrap import REQUIRED, RESTARTED, ROOT, ensure_libraries

RELAY = """\
import sys
from groundwork.bootstrap import ensure_libraries
ensure_libraries(sys.argv[1:], required=("toy_lens",))
import os
import toy_lens
print("running", toy_lens.FOCAL_LENGTH, sys.argv[1:], os.environ.get("DRAWERCAM_RESTARTED"), sys.prefix)
sys.exit(7)
"""

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="the expected exit codes and paths are POSIX ones"
)


def wheel(folder: Path, name: str, content: str) -> str:
    """Put a wheel into the folder, and say how requirements.txt calls it."""
    file = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return f"./{file.name}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"  # with a space, as in "My Documents"
    (folder / "groundwork").mkdir(parents=True)
    shutil.copy(ROOT / "groundwork" / "bootstrap.py", folder / "groundwork")
    (folder / "groundwork" / "__init__.py").write_text("")
    (folder / "relay.py").write_text(RELAY)
    (folder / "requirements.txt").write_text(wheel(folder, "toy_lens", "FOCAL_LENGTH = 50\n"))
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment without libraries.

    To make one takes longer than all that is done with it.
    """
    folder = tmp_path_factory.mktemp("environment") / ".venv"
    subprocess.run(
        [sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, timeout=100
    )
    return folder


@pytest.fixture
def begun(project: Path, environment: Path) -> Path:
    """The project with such an environment: as after a first start that was interrupted before
    anything was installed.
    """
    shutil.copytree(environment, project / ".venv", symlinks=True)
    return project


def start(
    project: Path, *arguments: str, python: str = sys.executable, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PIP_NO_INDEX": "1", **variables}
    return subprocess.run(
        [python, str(project / "relay.py"), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=project.parent,
        timeout=100,
    )


def running(project: Path, *arguments: str) -> str:
    return f"running 50 {list(arguments)!r} None {project / '.venv'}\n"


def test_the_first_start_installs_and_the_second_does_not(project: Path) -> None:
    first = start(project, "--tls", "--port", "8443")
    assert (first.returncode, first.stderr) == (7, "")
    announcement, rest = first.stdout.split("\n", 1)
    assert announcement.startswith(f"Installing drawercam's libraries into {project / '.venv'}")
    assert rest == running(project, "--tls", "--port", "8443")

    second = start(project, "a b", "--no-install")
    assert (second.returncode, second.stdout, second.stderr) == (
        7,
        running(project, "a b", "--no-install"),
        "",
    )


def test_a_module_is_started_again_as_one(begun: Path) -> None:
    (begun / "toy_registry").mkdir()
    program = RELAY.replace(
        'required=("toy_lens",)', 'required=("toy_lens",), module="toy_registry"'
    )
    assert program != RELAY
    (begun / "toy_registry" / "__main__.py").write_text(program)
    (begun / "relay.py").unlink()
    command = [sys.executable, "-m", "toy_registry", "--tls"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_NO_INDEX": "1"},
        cwd=begun,
        timeout=100,
    )
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout.endswith(running(begun, "--tls"))


def test_nothing_happens_where_the_libraries_are(project: Path) -> None:
    with zipfile.ZipFile(next(project.glob("*.whl"))) as archive:
        archive.extractall(project)
    done = start(project)
    assert (done.returncode, done.stdout) == (7, f"running 50 [] None {sys.prefix}\n")
    assert not (project / ".venv").exists()


def test_the_check_imports_nothing() -> None:
    """What it looks for must be imported later, where it is needed: a start should not wait for it
    twice.
    """
    program = (
        "import sys; from groundwork.bootstrap import *; ensure_libraries([]); "
        f"sys.exit(any(name in sys.modules for name in {(*REQUIRED, 'uvloop')!r}))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60).returncode == 0


def test_what_is_required_is_what_the_requirements_say() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    distributions = {line.split(">")[0] for line in lines if line}
    assert distributions == {
        *bootstrap.OPTIONAL_DISTRIBUTIONS,
        *(name.lower() for name in REQUIRED if name != "OpenSSL"),
        "pyopenssl",
    }


def test_no_install_says_what_to_type_and_that_works(project: Path) -> None:
    done = start(project, "--no-install")
    assert (done.returncode, done.stdout) == (2, "")
    sentence, _, command = done.stderr.strip().partition("type: ")
    assert "toy_lens" in sentence
    assert "\n" not in command
    assert not (project / ".venv").exists()
    if sys.prefix != sys.base_prefix:
        assert command.startswith(
            sys.executable
        )  # that would install into the environment of these tests
        done = start(project, "--no-install", python=str(Path(sys.base_prefix) / "bin" / "python3"))
        command = done.stderr.strip().partition("type: ")[2]
    typed = subprocess.run(
        ["sh", "-c", command],
        cwd=project,
        env={**os.environ, "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
    )
    assert typed.returncode == 0, typed.stderr
    assert start(project, "--no-install").stdout == running(project, "--no-install")


@pytest.mark.long
def test_a_half_made_environment_is_repaired(project: Path) -> None:
    assert start(project).returncode == 7
    python = project / ".venv" / "bin" / "python"
    packages = next((project / ".venv").glob("lib/python*/site-packages"))

    (packages / "toy_lens.py").unlink()  # pip was interrupted
    shutil.rmtree(packages / "toy_lens-1.0.dist-info")
    assert start(project).stdout.endswith(running(project))

    (packages / "toy_lens.py").unlink()  # venv was interrupted before it had installed pip
    shutil.rmtree(packages / "pip")
    assert start(project).stdout.endswith(running(project))

    python.unlink()  # the Python that it links to has been replaced by a newer one
    python.symlink_to(project / "python3.0")
    assert start(project).stdout.endswith(running(project))

    shutil.rmtree(project / ".venv")  # interrupted at once
    (project / ".venv" / "include").mkdir(parents=True)
    assert start(project).stdout.endswith(running(project))


def test_a_folder_of_somebody_else_is_not_touched(project: Path) -> None:
    treasure = project / ".venv" / "letters.txt"
    treasure.parent.mkdir()
    treasure.write_text("dear")
    done = start(project)
    assert done.returncode == 2
    assert "is in the way" in done.stderr
    assert treasure.read_text() == "dear"


def test_a_failed_installation_shows_what_pip_says(begun: Path) -> None:
    (begun / "requirements.txt").write_text("toy-lens-that-nobody-has-made==1.0\n")
    done = start(begun)
    assert done.returncode == 1
    assert done.stderr.startswith("The libraries cannot be installed.")
    assert "toy-lens-that-nobody-has-made==1.0" in done.stderr
    assert len(done.stderr.splitlines()) <= bootstrap.PIP_LINES + 1
    assert "Traceback" not in done.stderr


def test_the_relay_starts_where_uvloop_and_pyav_cannot_be_installed(begun: Path) -> None:
    requirements = begun / "requirements.txt"
    optional = "uvloop==0.0.1; python_version > '3'  # faster\nav>=0.0.1,<0.0.2\n"
    requirements.write_text(f"# what it needs\n{requirements.read_text()}{optional}")
    done = start(begun)
    assert done.stdout.endswith(running(begun)), done.stderr


@pytest.mark.parametrize("restarted", [False, True])
def test_installing_in_vain_does_not_go_round_in_circles(begun: Path, restarted: bool) -> None:
    (begun / "requirements.txt").write_text(wheel(begun, "toy_tripod", "LEGS = 3\n"))
    done = start(begun, **({RESTARTED: "1"} if restarted else {}))
    assert done.returncode == 1
    assert "still missing" in done.stderr
    assert bool(list(begun.glob(".venv/lib/python*/site-packages/toy_tripod.py"))) != restarted


def test_without_ensurepip_it_says_which_package_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find_spec(name)
    )
    with pytest.raises(SystemExit) as stopped:
        ensure_libraries([], tmp_path, ("toy_lens",))
    assert stopped.value.code == 2
    assert f"sudo apt install python3.{sys.version_info.minor}-venv" in capsys.readouterr().err
    assert not (tmp_path / ".venv").exists()


def test_an_interruption_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, "_prepare", interrupt)
    with pytest.raises(SystemExit) as stopped:
        ensure_libraries([], tmp_path, ("toy_lens",))
    assert stopped.value.code == 130
    assert "goes on from here" in capsys.readouterr().err


def test_an_old_python_is_told_which_one_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit) as stopped:
        ensure_libraries([])
    assert stopped.value.code == 2
    sentence = capsys.readouterr().err
    assert "needs Python 3.11 or newer" in sentence
    assert sentence.count("\n") == 1


@pytest.mark.parametrize(
    "file",
    [
        "relay.py",
        "groundwork/bootstrap.py",
        "groundwork/console.py",
        "groundwork/__init__.py",
        "drawercam/__init__.py",
        "ip_registry/__init__.py",
        "ip_registry/__main__.py",
    ],
)
def test_an_old_python_can_read_the_file(file: str) -> None:
    ast.parse((ROOT / file).read_text(encoding="utf-8"), feature_version=(3, 6))
