"""The pages of the manual: their links lead somewhere, and the first of them is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.harness.relays import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "certs" / "README.md", ROOT / "bench" / "README.md"]

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
    assert [page.name for page in PAGES if page.parent == ROOT / "docs" and f"](docs/{page.name})" not in text] == []
