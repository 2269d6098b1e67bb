"""What an attack is: one row of the siege."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .force import Force

PER_SECOND, BYTES, HELD = "/s", "B/s", "held"
"""Units: events or bytes a second, and connections at a time."""

GROWTH = 64.0
"""MB by which a relay may grow under an attack."""

SHARED = 256 * 2**20 / 1e6 + GROWTH
"""MB where many addresses take up what there is for all: what all channels or all sockets may hold
together comes on top.
"""

SCATTERED = tuple(f"127.0.1.{number}" for number in range(1, 51))
"""The addresses of an attacker that has many: a room full of cheap lamps that were taken over."""

THREE = ("127.0.0.66", "127.0.0.67", "127.0.0.68")
"""Those of one that has three."""


class Wish(Enum):
    """What a newcomer wants who comes meanwhile."""

    LOGIN = "to be let in"
    CAMERA = "to film"
    PLAYER = "to see a picture"
    TRUST = "the trust page"


@dataclass(frozen=True)
class Attack:
    """One row.

    Attributes:
        name: For the command line and the table.
        does: What happens, in a few words.
        run: The attack itself.
        rate, unit: How much of it.
        why: The reason of the rate: that at which it succeeded, or more than there is of what it
            takes.
        step: How much is offered at once.
        guest: It has keys of its own.
        files: How many file descriptors the relay's system gives, at first and at most; None for as
            many as there are.
        wish: What newcomers want.
        same_address: The newcomers have the attacker's own address, from which they have shown
            their key before.
        rsa: The relay has a certificate of its owner's own, with a key of RSA.
        growth: MB by which the relay may grow.
        changes: It is about what the good camera is asked to change.
    """

    name: str
    does: str
    run: Callable[[Force], Coroutine[Any, Any, None]]
    rate: float
    unit: str
    why: str
    step: float = 1
    guest: bool = False
    files: tuple[int, int] | None = None
    wish: Wish = Wish.LOGIN
    same_address: bool = False
    rsa: bool = False
    growth: float = GROWTH
    changes: bool = False
