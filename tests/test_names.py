"""One table of what people type and the name that comes of it, for the page and for the commands."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.hub import NAME
from drawercam.names import name_of
from tests import packages
from tests.javascript.check import missing, run
from tests.relays import ROOT

TABLE: list[tuple[str, str]] = [(typed, name) for typed, name in json.loads((ROOT / "tests" / "names.json").read_text(encoding="utf-8"))]

SCRIPT = """
import { readFileSync } from "node:fs";
const module = "data:text/javascript," + encodeURIComponent(readFileSync("web/names.js", "utf8"));
const { nameOf } = await import(module);
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(nameOf)));
"""


@pytest.mark.parametrize(("typed", "name"), TABLE)
def test_the_commands_make_this_name(typed: str, name: str) -> None:
    assert name_of(typed) == name


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_the_page_makes_the_same_names() -> None:
    node = packages.node()
    assert node is not None
    done = run(node, ["--input-type=module", "-e", SCRIPT], json.dumps([typed for typed, _ in TABLE]))
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert list(zip((typed for typed, _ in TABLE), made, strict=True)) == TABLE


@given(st.text())
def test_whatever_is_typed_gives_a_name_or_nothing_and_the_name_stays(typed: str) -> None:
    name = name_of(typed)
    assert (name == "" or NAME.fullmatch(name)) and name_of(name) == name
