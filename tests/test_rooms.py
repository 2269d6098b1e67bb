"""The rooms of the house, and which of them may know which: rooms.toml against the imports of
Python and JavaScript.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath

import pytest

ROOT = Path(__file__).resolve().parent.parent

PLAN = tomllib.loads((ROOT / "tests" / "rooms.toml").read_text("utf-8"))

HOUSE = ("groundwork", "certs", "ip_registry", "drawercam")
"""The packages of Python."""

MOST_FILES = 15
"""Of one folder, its `__init__.py` aside."""

FEWER = {"web": 3, "drawercam": 6}
"""Of folders that should hold rooms rather than files."""

# What one script takes from another: imports, types in JSDoc, workers, worklets.
_TAKEN = re.compile(
    r"""\b(?:from\s+|import\s+|import\(\s*|URL\(\s*|Worker\(\s*|addModule\(\s*)["'](/web/[^"']+|\.{1,2}/[^"']+)["']"""
)

# What a page loads by itself.
_LOADED = re.compile(r"""<(?:script|link)\b[^>]*\b(?:src|href)="/web/([^"]+\.js)\"""")


def python_files() -> list[Path]:
    return sorted(path for room in HOUSE for path in (ROOT / room).rglob("*.py"))


def scripts() -> list[Path]:
    return sorted((ROOT / "web").rglob("*.js"))


def room_of(path: Path) -> str:
    """The folder of a file, as the plan writes it."""
    return path.relative_to(ROOT).parent.as_posix()


def python_imports(path: Path) -> Iterator[Path]:
    """The files of the house that a module imports, anywhere in it."""
    package = path.parent.relative_to(ROOT).parts
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            named = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            named = [(*base, alias.name) for alias in node.names]
        else:
            continue
        for parts in named:
            if parts[0] in HOUSE:
                yield _file_of(parts)


def _file_of(parts: tuple[str, ...]) -> Path:
    """The file of a module, or of the module that has this name in it."""
    for taken in (parts, parts[:-1]):
        for file in (
            ROOT.joinpath(*taken).with_suffix(".py"),
            ROOT.joinpath(*taken, "__init__.py"),
        ):
            if file.is_file():
                return file
    raise AssertionError(f"{'.'.join(parts)} is imported and is not there")


def script_imports(path: Path) -> Iterator[Path]:
    """The scripts that a script takes anything from, be it only a type."""
    here = path.relative_to(ROOT).as_posix()
    for taken in _TAKEN.findall(path.read_text("utf-8")):
        if taken.endswith(".js"):
            yield ROOT / (
                taken[1:] if taken.startswith("/") else normpath(join(dirname(here), taken))
            )


def arrows(files: list[Path]) -> dict[tuple[str, str], list[str]]:
    """From which room to which other one, and by which files."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in files:
        for taken in python_imports(path) if path.suffix == ".py" else script_imports(path):
            assert taken.is_file(), f"{path} takes {taken}, which is not there"
            if room_of(path) != room_of(taken):
                found.setdefault((room_of(path), room_of(taken)), []).append(
                    f"{path.relative_to(ROOT)} -> {taken.relative_to(ROOT)}"
                )
    return found


@pytest.fixture(scope="module", params=["python", "javascript"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def found(language: str) -> dict[tuple[str, str], list[str]]:
    files = python_files() if language == "python" else scripts()
    assert len(files) > 50
    return arrows(files)


def test_no_room_knows_one_that_it_must_not_know(
    language: str, found: dict[tuple[str, str], list[str]]
) -> None:
    plan: dict[str, list[str]] = PLAN[language]
    wrong = [files for (room, other), files in found.items() if other not in plan[room]]
    assert wrong == []


def test_every_arrow_of_the_plan_is_needed(
    language: str, found: dict[tuple[str, str], list[str]]
) -> None:
    planned = {(room, other) for room, others in PLAN[language].items() for other in others}
    assert planned == set(found)


def test_every_room_has_its_row(language: str) -> None:
    files = python_files() if language == "python" else scripts()
    assert set(PLAN[language]) == {
        room_of(path) for path in files if path.name != "__init__.py" or path.parent.parent == ROOT
    }


def test_no_arrow_leads_back(language: str) -> None:
    """Rooms can be put in an order in which each knows only those before it: take away those that
    know no other, until none is left.
    """
    left = {room: set(others) for room, others in PLAN[language].items()}
    while left:
        ground = {room for room, others in left.items() if not others & set(left)}
        assert ground, f"a circle among {sorted(left)}"
        left = {room: others for room, others in left.items() if room not in ground}


def test_pages_load_what_is_there_and_their_own() -> None:
    pages = [*ROOT.glob("*.html"), *(ROOT / "web").rglob("*.html")]
    loaded = {page.name: set(_LOADED.findall(page.read_text("utf-8"))) for page in pages}
    assert {page: {name.partition("/")[0] for name in names} for page, names in loaded.items()} == {
        "camera.html": {"camera"},
        "player.html": {"player"},
        "keys.html": {"keys"},
        "trust.html": {"trust"},
    }
    assert all((ROOT / "web" / name).is_file() for names in loaded.values() for name in names)


def test_no_folder_is_a_heap() -> None:
    counts = Counter(
        room_of(path) for path in (*python_files(), *scripts()) if path.name != "__init__.py"
    )
    assert {
        room: count for room, count in counts.items() if count > FEWER.get(room, MOST_FILES)
    } == {}


def test_imports_of_every_kind_are_seen(tmp_path: Path) -> None:
    text = """
        import "./a.js"; import { b } from "../b.js"; /** @type {import("./c.js").C} */ new Worker("/web/d.js");
        context.audioWorklet.addModule("/web/e.js"); new URL("./f.js", import.meta.url); const g = await import("./g.js");
    """
    assert _TAKEN.findall(text) == [
        "./a.js",
        "../b.js",
        "./c.js",
        "/web/d.js",
        "/web/e.js",
        "./f.js",
        "./g.js",
    ]
    assert _LOADED.findall(
        '<link rel="modulepreload" href="/web/h.js"><script type="module" src="/web/i/j.js">'
    ) == ["h.js", "i/j.js"]
