"""Words of others in our sentences: bounded in length, and on one line.

A peer is told, and the log has, what was wrong, not all of it.
"""

from __future__ import annotations

MAX_SENTENCE = 300
"""Characters of a sentence to a peer. Ours are below 200; what they quote may be a megabyte."""


def cut(text: str, most: int = MAX_SENTENCE) -> str:
    """As much of a text as there is room for; dots say that more was there."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def one_line(text: str, most: int) -> str:
    """A text without what could begin another line in a log, or steer a terminal, and in ASCII; at
    most so many characters.
    """
    text = cut(text, most)
    if not text.isascii() or not text.isprintable():
        text = "".join(one if " " <= one <= "~" else ascii(one)[1:-1] for one in text)
    return cut(text, most)
