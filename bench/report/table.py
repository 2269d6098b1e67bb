"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """The first column to the left, all others to the right, two blanks between columns.

    Args:
        lines: Each as long as the head.
    """
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]

    def row(line: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join([row(head), row(["-" * width for width in widths]), *map(row, lines)])


def number(value: float | None, digits: int = 0) -> str:
    """A dash where there is no value."""
    return "-" if value is None else f"{value:.{digits}f}"
