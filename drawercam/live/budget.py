"""One bound for what many hold together."""

from __future__ import annotations


class Budget:
    """Bytes that may be held in all.

    Attributes:
        used: How many are.
    """

    def __init__(self, limit: int) -> None:
        self.used = 0
        self._limit = limit

    def take(self, size: int) -> bool:
        """Whether there was room for so many more; then they are held from now on."""
        if self.used + size > self._limit:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """So many are held no more."""
        self.used -= size
