"""What counts as a line of code, and that each class and file of the product is short or says why
it is not.
"""

from __future__ import annotations

from pathlib import Path

from tests import sizes
from tests.sizes import parts

PYTHON = '''"""A file.

Long, because it has
to be. It is short.
"""

# A comment.
TABLE = """
a string
"""


class Cut:
    """A class."""

    field: int
    """A field."""

    def say(self) -> str:
        """Says it."""
        return (
            "this"
        )  # and why
'''

JAVASCRIPT = """// A script. Long, because the browser
// wants it so.

import { a } from "./a.js"; // from there

/**
 * Draws.
 */
export class Draws {
  /** @type {number} */
  #a = 1;

  /* One
     more. */
  draw() {
    return this.#a;
  }
}

// Long, because it does all of it.
function all() {
  return 1;
}
"""


def test_lines_of_python_are_counted_without_comments_and_docstrings() -> None:
    found = {part.name: (part.lines, part.reason) for part in parts(Path("a.py"), PYTHON)}
    assert found == {"a.py": (9, "Long, because it has to be."), "a.py:Cut": (6, "")}


def test_lines_of_scripts_are_counted_without_comments() -> None:
    found = {part.name: (part.lines, part.reason) for part in parts(Path("a.js"), JAVASCRIPT)}
    assert found == {
        "a.js": (10, "Long, because the browser wants it so."),
        "a.js:Draws": (6, ""),
        "a.js:all": (3, "Long, because it does all of it."),
    }


def test_what_is_long_says_why() -> None:
    assert len(list(sizes.product())) > 150
    assert [part for part in sizes.long_parts() if not part.reason] == []
