"""Makes ``python3 relay.py`` enough: finds or installs the libraries before anything imports them.

This module, ``relay.py`` and ``ip_registry/__main__.py`` keep to the syntax of Python 3.6 and,
until the libraries are there, to the standard library: an old Python has to get as far as saying
what it lacks.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
"""The folder with the pages: of the checkout, or of the package where the program was installed."""

IS_INSTALLED = __name__ != "groundwork.bootstrap"
"""Whether this is the installed package, in which all rooms stand under ``drawercam``
(install/wheel.py).
"""

COMMANDS = ("drawercam", "drawercam-registry")
"""What an installed program is called."""

OLDEST_PYTHON = (3, 11)

REQUIRED = ("websockets", "aiohttp", "OpenSSL", "cryptography", "segno", "ifaddr")
"""Import names of what ``requirements.txt`` lists, except those that it can do without."""

OPTIONAL_DISTRIBUTIONS = ("uvloop", "aiofastnet", "zeroconf", "prometheus-client", "av")
"""Installed where that works.

They have to be compiled on some computers, and a missing compiler must not keep the relay from
starting.
"""

PYTHON = "py" if os.name == "nt" else "python3"
"""What people type to start Python: Debian has no ``python``, and Windows no ``python3`` that can
be relied upon.
"""

NO_INSTALL = "--no-install"

RESTARTED = "DRAWERCAM_RESTARTED"
"""Environment variable: this process was started from the virtual environment by another one, which
must not repeat itself. It says how that one was called (`typed`), in JSON.
"""

VENV_ENTRIES = {
    "bin",
    "include",
    "lib",
    "lib64",
    "share",
    "Scripts",
    "Include",
    "Lib",
    "pyvenv.cfg",
    ".gitignore",
}
"""What `venv` puts into a folder.

A folder with anything else in it is somebody's own, and is not touched.
"""

PIP_LINES = 8
"""Lines of pip's complaint to show: the reason is in the last ones."""

READY, INCOMPLETE, UNUSABLE = 0, 3, 4

PROBE = """\
import importlib.util, sys
if sys.version_info < {oldest!r}:
    sys.exit({unusable})
if all(importlib.util.find_spec(name) for name in {required!r}):
    sys.exit({ready})
sys.exit({incomplete} if importlib.util.find_spec("pip") else {unusable})
"""


_typed = []  # type: list[str]


def state_folder() -> Path:
    """Where keys and certificates are kept if nothing else was typed: beside the program; an
    installed one has them among a person's data.
    """
    if not IS_INSTALLED:
        return ROOT / "state"
    import platformdirs

    return Path(platformdirs.user_data_path("drawercam"))


def typed() -> "list[str]":
    """How this program was called, as a person typed it, without its arguments: such as
    ``["python3", "relay.py"]``.

    Where that is not known (a test, for instance), it is as the manual has it. On Windows the
    interpreter is always `PYTHON`, because its launcher puts another name in its place.
    """
    if _typed:
        return list(_typed)
    if IS_INSTALLED:
        return _typed_installed()
    words = list(getattr(sys, "orig_argv", []))
    words = words[: len(words) - len(sys.argv) + 1]
    if len(words) < 2 or not (
        Path(words[-1]).name == "relay.py" or words[-2:] == ["-m", "ip_registry"]
    ):
        return [PYTHON, "relay.py"]
    if os.name == "nt":
        return [PYTHON, *words[1:]]
    if sys.prefix == sys.base_prefix and shutil.which(Path(words[0]).name) == words[0]:
        words[0] = Path(
            words[0]
        ).name  # pyenv and its like start the interpreter by its path, whatever was typed
    return words


def _typed_installed() -> "list[str]":
    path = Path(sys.argv[0])
    if path.stem in COMMANDS:
        found = shutil.which(path.stem)
        is_first = found is not None and Path(found).with_suffix("") == path.with_suffix("")
        return [path.stem if is_first else str(path)]
    if path.name == "__main__.py":
        return [
            PYTHON,
            "-m",
            "drawercam" if path.parent.name == "drawercam" else "drawercam.ip_registry",
        ]
    return ["drawercam"]


def _learn_typed(handed: str) -> None:
    try:
        words = json.loads(handed)
    except ValueError:
        return
    if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
        _typed[:] = words


def ensure_libraries(
    arguments: "list[str]",
    root: Path = ROOT,
    required: "tuple[str, ...]" = REQUIRED,
    module: str = "",
) -> None:
    """Return when every library is there; otherwise end this process, after starting the program
    again where they are.

    Where the libraries are there already (any interpreter, any virtual environment), nothing
    happens. Otherwise they are installed into ``.venv`` beside ``relay.py``, once, and the program
    runs from there.

    Args:
        arguments: What the program was called with, without its own name. `NO_INSTALL` among them
            forbids to install.
        root: The folder of ``relay.py`` and ``requirements.txt``.
        required: Import names.
        module: The program, as ``python3 -m`` calls it; empty for ``relay.py``.

    Raises:
        SystemExit: 2 when a person has to do something first, 1 when installing failed, 130 when it
            was interrupted, and on Windows the exit code of the program that ran in the virtual
            environment.
    """
    if sys.version_info < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        _stop(
            2,
            (
                f"drawercam needs Python {oldest} or newer, and this is "
                f"{sys.version.split()[0]} ({sys.executable})."
            ),
        )
    restarted = os.environ.pop(RESTARTED, None)
    _learn_typed(restarted or "")
    missing = [name for name in required if importlib.util.find_spec(name) is None]
    if not missing:
        return
    if IS_INSTALLED:
        names = ["pyopenssl" if name == "OpenSSL" else name for name in missing]
        command = [sys.executable, "-m", "pip", "install", *names]
        line = (
            subprocess.list2cmdline(command)
            if os.name == "nt"
            else " ".join(map(shlex.quote, command))
        )
        _stop(2, f"Libraries are missing: {', '.join(missing)}. To install them, type: {line}")
    folder = root / ".venv"
    if restarted:
        _stop(
            1,
            (
                f"Libraries are still missing after installing: {', '.join(missing)}. Delete "
                f"{folder} and start again."
            ),
        )
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    state = _probe(python, required)
    if state != READY:
        if NO_INSTALL in arguments:
            _stop(
                2,
                (
                    f"Libraries are missing: {', '.join(missing)}. To install them, type: "
                    f"{_install_command(root)}"
                ),
            )
        try:
            _prepare(folder, python, state, root / "requirements.txt")
        except KeyboardInterrupt:
            _stop(130, "Interrupted. The next start goes on from here.")
        if _probe(python, required) != READY:
            _stop(
                1,
                (
                    "Libraries are still missing after installing "
                    f"{root / 'requirements.txt'}. Delete {folder} and start again."
                ),
            )
    _restart([str(python), *(["-m", module] if module else [str(root / "relay.py")]), *arguments])


def _probe(python: Path, required: "tuple[str, ...]") -> int:
    code = PROBE.format(
        oldest=OLDEST_PYTHON,
        required=tuple(required),
        ready=READY,
        incomplete=INCOMPLETE,
        unusable=UNUSABLE,
    )
    try:
        # -I: what lies in the current folder or in PYTHONPATH says nothing about the environment.
        done = subprocess.run(
            [str(python), "-I", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError:
        return UNUSABLE  # no Python in it, or the one that it links to was uninstalled
    return done.returncode if done.returncode in (READY, INCOMPLETE) else UNUSABLE


def _prepare(folder: Path, python: Path, state: int, requirements: Path) -> None:
    print(
        (
            f"Installing drawercam's libraries into {folder} (once; it needs the Internet and "
            "takes a minute) ..."
        ),
        flush=True,
    )
    if state == UNUSABLE:
        _make(folder)
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    complaint = _complaint([*pip, "-r", str(requirements)], requirements.parent)
    left_out = set()  # type: set[str]
    while complaint:
        # Only what pip complains of is left out: where there is no PyAV, the network is told of the
        # relay all the same.
        named = {
            name
            for name in OPTIONAL_DISTRIBUTIONS
            if re.search(r"(?<![\w-])" + name + r"(?![\w-])", complaint)
        }
        if named <= left_out:
            break
        left_out |= named
        complaint = _complaint([*pip, *_without(left_out, requirements)], requirements.parent)
    if complaint:
        _stop(
            1,
            (
                "The libraries cannot be installed. Is this computer connected to the "
                f"Internet? pip says:\n{complaint}"
            ),
        )


def _make(folder: Path) -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        version = "{}.{}".format(*sys.version_info)
        _stop(
            2,
            "This Python cannot make virtual environments, its venv module is incomplete. "
            "On Debian, Ubuntu and Raspberry Pi OS type: "
            f"sudo apt install python{version}-venv",
        )
    if folder.exists() and not (
        folder.is_dir() and VENV_ENTRIES.issuperset(entry.name for entry in folder.iterdir())
    ):
        _stop(
            2,
            (
                f"{folder} is in the way, because it is not a virtual environment made by "
                "Python. Move it elsewhere and start again."
            ),
        )
    # --clear, because venv would keep a dangling link to a Python that was uninstalled.
    complaint = _complaint([sys.executable, "-m", "venv", "--clear", str(folder)], folder.parent)
    if complaint:
        _stop(1, f"The virtual environment {folder} cannot be made:\n{complaint}")


def _complaint(command: "list[str]", folder: Path) -> str:
    """The last lines of what a command that failed has said, indented; empty when it succeeded."""
    # A person's pip may be told to install for the user by default, which it would then refuse to
    # do inside a virtual environment.
    environment = dict(os.environ, PIP_USER="0")
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=str(folder),
    )
    if done.returncode == 0:
        return ""
    lines = done.stdout.decode(errors="replace").split("\n")
    said = [line.rstrip() for line in lines if line.strip()] or [f"exit code {done.returncode}"]
    return "\n".join("    " + line for line in said[-PIP_LINES:])


def _without(left_out: "set[str]", requirements: Path) -> "list[str]":
    """The requirements as arguments for pip.

    Only plain lines: names with versions and markers, no options.
    """
    lines = [
        line.partition("#")[0].strip()
        for line in requirements.read_text(encoding="utf-8").splitlines()
    ]
    return [line for line in lines if line and re.split(r"[^\w.-]", line)[0] not in left_out]


def _install_command(root: Path) -> str:
    requirements = str(root / "requirements.txt")
    if os.name == "nt":
        return subprocess.list2cmdline([sys.executable, "-m", "pip", "install", "-r", requirements])
    python, first = sys.executable, ""
    if sys.prefix == sys.base_prefix:
        # Outside of a virtual environment many systems forbid pip (PEP 668), so the command makes
        # the one in which the next start looks.
        python = str(root / ".venv" / "bin" / "python")
        first = f"{shlex.quote(sys.executable)} -m venv {shlex.quote(str(root / '.venv'))} && "
    return f"{first}{shlex.quote(python)} -m pip install -r {shlex.quote(requirements)}"


def _restart(command: "list[str]") -> NoReturn:
    os.environ[RESTARTED] = json.dumps(typed())
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    # On Windows execv hands the window back to the shell at once, and its prompt would mix with
    # what is printed.
    process = subprocess.Popen(command)
    while True:
        try:
            sys.exit(process.wait())
        except KeyboardInterrupt:
            continue  # Ctrl-C has reached the program as well: wait for it to end


def _stop(code: int, sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr, flush=True)
    sys.exit(code)
