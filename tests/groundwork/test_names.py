"""One table of what people type and the name that comes of it, for the page and for the
commands.
"""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundwork.names import LONGEST_LABEL, NAME, label_of, name_of
from tests import packages
from tests.harness.relays import ROOT
from tests.javascript.check import missing, run

TABLE: list[tuple[str, str]] = [
    (typed, name)
    for typed, name in json.loads((ROOT / "tests" / "names.json").read_text(encoding="utf-8"))
]

# What Unicode did not know yet when this Python was made, node may know, and normalize.
KNOWN = st.characters(exclude_categories=["Cn"])

# What texts are made of that are hard: joiners, directions, marks of several kinds, what Unicode
# composes, and what is no character.
HARD = st.sampled_from(
    [
        *(
            "aZ9 "
            "-_.$\u00a0\u3000\t\u2028\ufeff\u200b\u200c\u200d\u202e\u2066\u0301\u0307\u0308\ufe0f\u20e3\u093c\u093f\u094d\u1037\u0e47"
        ),
        *"éßøİ\u212a\u1100\u1161カ日Дनक👩🔥🏻\u0007\ud800\udc00",
    ]
)

LABELS = [
    ("Baby Room", "Baby Room"),
    ("  Baby Room\n", "Baby Room"),
    ("Ku\u0308che", "Küche"),
    ("Дверь", "Дверь"),
    ("😀", "😀"),
    ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
    ("❤\ufe0f\u200d🔥", "❤\ufe0f\u200d🔥"),
    ("می\u200cخواهم", "می\u200cخواهم"),
    ("ന്\u200d", "ന്"),  # nothing follows that it could be joined with
    ("അവന്\u200d വീട്", "അവന്\u200d വീട്"),
    ("ba\u200dby", "baby"),
    ("\u200d\u200c", ""),
    ("abc\u202edef\u2066\u200f", "abcdef"),
    ("a\u2028b\u2029c\u0000\u009f\u00ad\ufeff", "abc"),
    ("a\ud800b\udfff", "ab"),
    ("a" + "\u0301" * 9 + "b", "á\u0301\u0301b"),
    ("ज़िंदगी", "ज़िंदगी"),
    ("မြို့", "မြို့"),
    ("ก" + "็" * 9, "ก็็"),
    ("क" + "ि" * 9, "क" + "ि" * 4),
    ("x" * 41, "x" * 40),
    ("😀" * 50, "😀" * 40),
    ("e\u0301" * 40, "é" * 40),
    ("x" * 39 + " y", "x" * 39),
    (" \u3000\u202e\u2007", ""),
]

SCRIPT = """
import { readFileSync } from "node:fs";
const module = "data:text/javascript," + encodeURIComponent(readFileSync("web/shared/page/camera-name.js", "utf8"));
const { labelOf, nameOf } = await import(module);
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map((text) => [nameOf(text), labelOf(text)])));
"""

needs_node = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def made_by_the_page(texts: list[str]) -> list[tuple[str, str]]:
    """The name and the label of each."""
    node = packages.node()
    assert node is not None
    done = run(node, ["--input-type=module", "-e", SCRIPT], json.dumps(texts))
    assert done.returncode == 0, done.stderr
    return [(name, label) for name, label in json.loads(done.stdout)]


@pytest.mark.parametrize(("typed", "name"), TABLE)
def test_the_commands_make_this_name(typed: str, name: str) -> None:
    assert name_of(typed) == name


@pytest.mark.parametrize(("typed", "label"), LABELS)
def test_this_is_what_is_shown_of_it(typed: str, label: str) -> None:
    assert label_of(typed) == label


@needs_node
def test_the_page_makes_the_same() -> None:
    texts = [typed for typed, _ in (*TABLE, *LABELS)]
    assert list(zip(texts, made_by_the_page(texts), strict=True)) == [
        (one, (name_of(one), label_of(one))) for one in texts
    ]


@needs_node
@settings(max_examples=5, deadline=None)  # each starts node, and has hundreds of texts
@given(st.lists(st.one_of(st.text(KNOWN), st.text(HARD, max_size=12)), min_size=200, max_size=400))
def test_the_page_makes_the_same_of_any_text(texts: list[str]) -> None:
    # Two halves of a character side by side are that character, in JavaScript and on the wire.
    texts = [
        text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        for text in texts
    ]
    assert list(zip(texts, made_by_the_page(texts), strict=True)) == [
        (one, (name_of(one), label_of(one))) for one in texts
    ]


@pytest.mark.parametrize("typed", ["Дверь", "日本", "😀", "Straße", "5 €", "Łódź"])
def test_what_is_lost_is_told_by_four_digits_of_its_hash(typed: str) -> None:
    value = 2166136261
    for byte in unicodedata.normalize("NFC", typed).encode("utf-8"):
        value = ((value ^ byte) * 16777619) % 2**32
    assert name_of(typed).endswith(f"-{value % 10000:04}")


@given(st.one_of(st.text(), st.text(HARD)))
def test_whatever_is_typed_gives_a_name_or_nothing_and_the_name_stays(typed: str) -> None:
    name = name_of(typed)
    assert (name == "" or NAME.fullmatch(name)) and name_of(name) == name


@given(st.one_of(st.text(), st.text(HARD)))
def test_a_label_is_one_line_that_harms_nothing_beside_it(typed: str) -> None:
    label = label_of(typed)
    assert len(label) <= LONGEST_LABEL and label == label.strip() and label_of(label) == label
    kinds = {unicodedata.category(one) for one in label if one not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.one_of(st.text(KNOWN), st.text(HARD, max_size=30)))
def test_the_name_is_made_from_what_is_shown(typed: str) -> None:
    """What separates words and cannot be seen is the exception; it separates them in the name."""
    typed = re.sub("[\t\n\v\f\r\u2028\u2029\ufeff]", "", typed)[:LONGEST_LABEL]
    assert name_of(label_of(typed)) == name_of(typed)
