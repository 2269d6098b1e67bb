"""Find sentences without an actor: `python -m tests.words` counts them and shows each.

A rule says who does what. So "who ...", "whoever", "one" and "nobody" are no subjects of a rule:
"who is slow misses pictures" is "a slow viewer misses pictures". As parts of a sentence that has a
subject ("people who watch", "while nobody watches") they stay.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from tests.harness.relays import ROOT

PROGRAMS = ("relay.py", "drawercam", "groundwork", "certs", "ip_registry")
"""What is installed and prints."""


def _behind(sign: str, words: str) -> str:
    """A part of a pattern: what stands before is (`<=`) one of these words, or none (`<!`)."""
    parts = [rf"(?{sign}\b{word} )" for word in words.split()]
    return "|".join(parts) if sign == "<=" else "".join(parts)


# A sentence begins here, or a clause of its own.
_SENTENCE = r"^|(?<=[.;:!?(|*–] )|(?<=, )"
_CLAUSE = (
    f"(?:{_SENTENCE}|{_behind('<=', 'and but so or yet of by for that than from with because')})"
)

# What makes of a clause one that another one has, so that its subject is no subject of a rule; or
# of a word no subject.
_UNDER = _behind(
    "<!",
    (
        "that which what while when whenever where if until as although because whom for to of "
        "from with"
    ),
)

# What follows a word that is no subject.
_NO_VERB = r"(?:and|or|but|nor|that|who|whom|which|in|on|at|to|by|of|from|for|with|about|any|so|as|than|then|there|here|more|out)\b"

_CAN = r"(?:can|cannot|may|must|should|would|might|could|has|needs?|wants?|sees|knows|does)\b"

_FORBIDDEN = re.compile(
    rf"{_CLAUSE}who(?:ever)?\b"
    rf"|(?:{_SENTENCE}|{_behind('<=', 'if that what')})one {_CAN}"
    rf"|{_UNDER}\bnobody (?:else )?(?!else\b|{_NO_VERB})[a-z]",
    re.IGNORECASE,
)

_CODE = re.compile(r"```.*?```|^    .*?$|`[^`\n]*`|\]\([^)]*\)", re.DOTALL | re.MULTILINE)


def wrong(text: str) -> list[str]:
    """The sentences of a text that have such a subject.

    Questions may ask who, and so may headings.
    """
    plain = " ".join(text.split())
    if plain.startswith("#") or " " not in plain:
        return []
    sentences = re.split(r"(?<=[.?!])\)? (?=[A-Z*\[(\"“|])| \| | (?=\* )", plain)
    sentences = [one for one in sentences if " " in one.strip(" |*")]
    return [
        one
        for one in sentences
        if _FORBIDDEN.search(one.lstrip("*|> #([").strip()) and not one.rstrip(' *)"').endswith("?")
    ]


def manual() -> Iterator[tuple[Path, str]]:
    """Each page of the manual, paragraph by paragraph, without code."""
    for path in (
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted(ROOT.glob("*/README.md")),
    ):
        for paragraph in re.split(
            r"\n\s*\n|\n(?=[*|#] ?)", _CODE.sub("CODE", path.read_text("utf-8"))
        ):
            yield path, paragraph


def python_files(*rooms: str) -> Iterator[Path]:
    for room in rooms:
        yield from [ROOT / room] if room.endswith(".py") else sorted((ROOT / room).rglob("*.py"))


def _docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Strings that stand as statements: of modules, classes and functions, and behind constants."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.value


def first_lines(*rooms: str) -> Iterator[tuple[Path, str]]:
    """The first line of each docstring."""
    for path in python_files(*rooms):
        for node in _docstrings(ast.parse(path.read_text("utf-8"))):
            yield path, str(node.value).strip().partition("\n")[0]


def printed(*rooms: str) -> Iterator[tuple[Path, str]]:
    """Each string of the programs that may be a sentence; an expression in it is `X`."""
    for path in python_files(*rooms):
        tree = ast.parse(path.read_text("utf-8"))
        skipped = set(map(id, _docstrings(tree)))
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                skipped.update(map(id, node.values))
                yield (
                    path,
                    "".join(
                        str(part.value) if isinstance(part, ast.Constant) else "X"
                        for part in node.values
                    ),
                )
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and " " in node.value
                and id(node) not in skipped
            ):
                yield path, node.value


class _Text(HTMLParser):
    """What a page shows before its scripts run."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = [""]
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style")
        if tag in (
            "p",
            "li",
            "h1",
            "h2",
            "h3",
            "button",
            "label",
            "div",
            "summary",
            "section",
            "dt",
            "dd",
        ):
            self.parts.append("# " if tag in ("h1", "h2", "h3") else "")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts[-1] += data


_STRING = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|`((?:[^`\\]|\\.)*)`")


def pages() -> Iterator[tuple[Path, str]]:
    """What the pages say: in their HTML and in the strings of their scripts."""
    for path in (*sorted(ROOT.glob("*.html")), *sorted((ROOT / "web").rglob("*.html"))):
        text = _Text()
        text.feed(path.read_text("utf-8"))
        yield from ((path, part) for part in text.parts)
    for path in sorted((ROOT / "web").rglob("*.js")):
        code = re.sub(
            r"^\s*(?://|\*|/\*).*$|/\*.*?\*/| // .*$",
            "",
            path.read_text("utf-8"),
            flags=re.MULTILINE | re.DOTALL,
        )
        for quoted, template in _STRING.findall(code):
            if " " in (said := quoted or template):
                yield path, said


def found(texts: Iterator[tuple[Path, str]]) -> list[str]:
    """Each such sentence, with its file."""
    return [
        f"{path.relative_to(ROOT)}: {sentence}" for path, text in texts for sentence in wrong(text)
    ]


def main() -> int:
    """Show all; the exit status says whether there is one in the manual, in what is printed or on a
    page.
    """
    shown = {
        "manual": found(manual()),
        "printed": found(printed(*PROGRAMS)),
        "pages": found(pages()),
        "docstrings of the programs": found(first_lines(*PROGRAMS)),
        "docstrings of tests and benches": found(first_lines("tests", "bench")),
    }
    for kind, lines in shown.items():
        print(*lines, f"== {kind}: {len(lines)}", sep="\n")
    return int(any(shown[kind] for kind in ("manual", "printed", "pages")))


if __name__ == "__main__":
    sys.exit(main())
