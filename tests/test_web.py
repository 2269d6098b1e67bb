"""The pages' scripts as text: whether browsers as old as the phones in a drawer can read them."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.harness.relays import ROOT

SCRIPTS = sorted((ROOT / "web").rglob("*.js"))
SHEETS = sorted((ROOT / "web").rglob("*.css"))
assert SCRIPTS and SHEETS

# A browser that does not know one word of a module runs none of them, and the page cannot even say
# so. With each: the first Chrome and the first Safari that know it.
NEWER = {
    "optional chaining (80, 13.1)": re.compile(r"[\w\])]\?\.[A-Za-z_$\[(]"),
    "nullish coalescing (80, 13.1)": re.compile(r"\?\?"),
    "logical assignment (85, 14)": re.compile(r"(&&|\|\|)="),
    "private members (84, 15)": re.compile(r"(this\.|^ *(static |async |get |set )*)#\w+"),
    "static blocks (94, 16.4)": re.compile(r"^ *static \{"),
    "top-level await (89, 15)": re.compile(r"^((const|let) .* = )?await "),
}
CLASS_FIELD = re.compile(r"^ {2}(static )?\w+( = .*)?;$")
"""Public class fields (72, 14.1), in a class."""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.name))
def test_old_browsers_can_read_it(script: Path) -> None:
    found, in_class = [], False
    for line in script.read_text().splitlines():
        if re.match("(export )?class ", line):
            in_class = True
        elif line.startswith("}"):
            in_class = False
        if not line.lstrip().startswith(("//", "*", "/*")):
            found += [f"{name}: {line}" for name, newer in NEWER.items() if newer.search(line)]
            found += [f"class field: {line}"] if in_class and CLASS_FIELD.match(line) else []
    assert not found


def without_lines(sheet: str) -> str:
    """The style sheet on one line, without its comments."""
    return " ".join(re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL).split())


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: str(sheet.name))
def test_a_browser_without_env_finds_the_same_without_it(sheet: Path) -> None:
    """Chrome before 69; where a value is an env() and nothing else, 0 is what it would be."""
    parts = [part.strip() for part in re.split("[;{}]", without_lines(sheet.read_text()))]
    declared = [
        (before, part) for before, part in pairwise(parts) if "calc(" in part and "env(" in part
    ]
    alone = [
        part
        for before, part in declared
        if "env(" in before or before.partition(":")[0] != part.partition(":")[0]
    ]
    assert alone == []


PAGES = ["camera.html", "player.html", "web/keys/keys.html"]


def guard_block(page: str) -> str:
    """What a page has in itself for the case that nothing else comes."""
    return (
        (ROOT / page).read_text("utf-8").split('<section id="boot"', 1)[1].split("</section>", 1)[0]
    )


@pytest.mark.parametrize("page", PAGES)
def test_a_page_below_a_path_says_that_it_does_not_work_there(page: str) -> None:
    """Its style sheet and scripts are asked for at the top of the host, so what tells of that needs
    neither, and the sheet hides it.
    """
    boot, style = guard_block(page), (ROOT / "web" / "shared" / "style.css").read_text("utf-8")
    assert (
        '<p class="bare">It came without its parts. If its address has a path before '
        f"“{Path(page).name}”"
    ) in boot and "hidden" not in boot
    assert ".boot .bare { display: none; }" in without_lines(style)


def test_all_pages_say_the_same_where_they_do_not_start() -> None:
    """It can be in no file of its own, and is mended in all of them or in none."""
    first, *others = [guard_block(page).replace(Path(page).name, "this page") for page in PAGES]
    assert "JavaScript is switched off" in first
    assert all(other == first for other in others)
