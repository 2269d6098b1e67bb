"""What the project claims, and whether a run has shown it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One claim.

    Attributes:
        claim: What is claimed, for which row.
        found: What was measured, or why it was not.
        reached: None when this run cannot tell.
    """

    claim: str
    found: str
    reached: bool | None

    def __str__(self) -> str:
        verdict = {True: "reached", False: "not reached", None: "not measured"}[self.reached]
        return f"{verdict:<12}  {self.claim}: {self.found}"


def listed(targets: Iterable[Target]) -> str:
    """One line for each."""
    return "\n".join(map(str, targets))
