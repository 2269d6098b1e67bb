"""Classes and files of the product that are longer than they should be: `python -m tests.sizes`
lists them.

Lines of code count: without blank lines, comments and docstrings. A longer one says why in a
sentence of its docstring, or of the comment at the top of a script, that begins with "Long,
because".
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PRODUCT = ("relay.py", "groundwork", "certs", "ip_registry", "drawercam", "web")

MOST_OF_A_CLASS = 250

MOST_OF_A_FILE = 450

_SILENT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}

_REASON = re.compile(r"Long, because\b[^.]*\.")

# A class of a script, or a function that is as much as one, from its first line to the brace that
# ends it.
_BEGINS = re.compile(r"(?:export )?(?:default )?(?:class|(?:async )?function\*?) (\w+)")


@dataclass(frozen=True)
class Part:
    """A file or a class.

    Attributes:
        name: The file's path, with the name of the class behind a colon.
        lines: Lines of code.
        most: As many as there should be.
        reason: The sentence that says why there are more, or an empty string.
    """

    name: str
    lines: int
    most: int
    reason: str


def parts(path: Path, text: str) -> Iterator[Part]:
    """The file and the classes in it."""
    yield from (_python if path.suffix == ".py" else _javascript)(path.as_posix(), text)


def _python(name: str, text: str) -> Iterator[Part]:
    tree = ast.parse(text)
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _SILENT:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            code.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    yield Part(name, len(code), MOST_OF_A_FILE, _reason(ast.get_docstring(tree)))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            lines = sum(node.lineno <= line <= (node.end_lineno or node.lineno) for line in code)
            yield Part(
                f"{name}:{node.name}", lines, MOST_OF_A_CLASS, _reason(ast.get_docstring(node))
            )


def _javascript(name: str, text: str) -> Iterator[Part]:
    lines = text.splitlines()
    silent = _comments(lines)
    code = {place for place, line in enumerate(lines) if line.strip() and place not in silent}
    top = next((place for place in range(len(lines)) if place not in silent), len(lines))
    yield Part(name, len(code), MOST_OF_A_FILE, _reason("\n".join(lines[:top])))
    begin, called = 0, ""
    for place, line in enumerate(lines):
        if found := _BEGINS.match(line):
            begin, called = place, found[1]
        if called and line.startswith("}"):
            above = begin
            while above - 1 in silent:
                above -= 1
            count = sum(begin <= one <= place for one in code)
            yield Part(
                f"{name}:{called}", count, MOST_OF_A_CLASS, _reason("\n".join(lines[above:begin]))
            )
            called = ""


def _comments(lines: list[str]) -> set[int]:
    """The lines that hold nothing but a comment."""
    found: set[int] = set()
    within = False
    for place, line in enumerate(lines):
        bare = line.strip()
        if within or bare.startswith(("//", "/*")):
            found.add(place)
        if bare.startswith("/*"):
            within = True
        if within and "*/" in bare:
            within = False
    return found


def _reason(comment: str | None) -> str:
    words = " ".join(
        re.sub(r"^\s*(?:/\*\*?|\*/|\*|//)", "", line).strip()
        for line in (comment or "").splitlines()
    )
    found = _REASON.search(words)
    return found[0] if found else ""


def product() -> Iterator[Path]:
    """All Python and JavaScript that is delivered."""
    for name in PRODUCT:
        path = ROOT / name
        yield from (
            [path]
            if path.is_file()
            else sorted(file for file in path.rglob("*") if file.suffix in {".py", ".js"})
        )


def long_parts() -> list[Part]:
    """Those that are longer than they should be, the longest first."""
    found = (
        part
        for path in product()
        for part in parts(path.relative_to(ROOT), path.read_text("utf-8"))
    )
    return sorted((part for part in found if part.lines > part.most), key=lambda part: -part.lines)


def main() -> int:
    """Prints them; returns 1 when one of them does not say why."""
    found = long_parts()
    for part in found:
        print(f"{part.lines:5} of {part.most}  {part.name}  {part.reason or 'does not say why'}")
    return int(any(not part.reason for part in found))


if __name__ == "__main__":
    sys.exit(main())
