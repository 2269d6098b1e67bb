"""All attacks by name, in the order of the table."""

from __future__ import annotations

from . import guests, strangers, streams
from .attack import Attack

ATTACKS: dict[str, Attack] = {
    attack.name: attack for attack in (*strangers.ATTACKS, *guests.ATTACKS, *streams.ATTACKS)
}
