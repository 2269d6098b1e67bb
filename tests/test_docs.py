"""The pages of the manual: their links lead somewhere, and the first of them is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import words
from tests.harness.relays import ROOT

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "certs" / "README.md",
    ROOT / "bench" / "README.md",
]

LONGEST_README = 150
"""Lines: what is needed for the first picture, and where the rest is."""

_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")


def anchors(page: Path) -> set[str]:
    """What links within a page may name: its headings, as GitHub writes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = ["".join(found) for found in _LINK.findall(_CODE.sub("", page.read_text("utf-8")))]
    lost = []
    for link in links:
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        there = page.parent / path if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            lost.append(link)
    assert lost == []


def test_the_readme_is_short_and_names_every_page() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST_README
    assert [
        page.name
        for page in PAGES
        if page.parent == ROOT / "docs" and f"](docs/{page.name})" not in text
    ] == []


def test_no_rule_has_a_subject_that_is_nobody_in_particular() -> None:
    """In the manual, in what is printed, and on the pages.

    `python -m tests.words` shows what else there is.
    """
    assert words.found(words.manual()) == []
    assert words.found(words.printed(*words.PROGRAMS)) == []
    assert words.found(words.pages()) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Who is slow misses pictures.",
        "A camera sleeps; whoever comes wakes it.",
        "It is for who asks.",
        "The links contain keys: who has one can film.",
        "Nobody else notices.",
        "Without a key nobody films.",
        "One has to wait, and one may not know why.",
        "The picture stands, and who waits sees it.",
    ],
)
def test_such_subjects_are_found(sentence: str) -> None:
    assert words.wrong(f"A viewer waits. {sentence} It goes on.") == [sentence]


@pytest.mark.parametrize(
    "sentence",
    [
        "People who watch see it.",
        "Who is there?",
        "A camera sleeps while nobody watches.",
        "It disturbs nobody and is believed by nobody.",
        "The older one may go, and this one can stay.",
        "Ask whoever sent you the link.",
        "The log says who came.",
    ],
)
def test_what_has_a_subject_is_not(sentence: str) -> None:
    assert words.wrong(f"A viewer waits. {sentence} It goes on.") == []
