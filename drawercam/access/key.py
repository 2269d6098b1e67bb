"""A key: for what it was made, for which cameras, and how long it lasts."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from groundwork.names import NAME, NAME_RULE

# 80 random bits are far beyond guessing over a network, and 16 characters can still be typed on a
# phone.
_KEY_BYTES = 10
_KEY_GROUP = 4

# Characters of a public id: 24 bits tell `MAX_KEYS` apart without a doubt, and can be typed.
_ID_LENGTH = 5
ID = re.compile(r"[a-z0-9]{1,16}")

MAX_NAMES = 50
"""Cameras that one key names."""

MAX_LABEL = 60
"""Characters of a label: it stays on one line of a terminal."""

MAX_LIFE = 10 * 365 * 86400
"""Seconds that a key lasts at most, if it does not last until it is revoked: ten years."""

DURATION_RULE = (
    "a number and m, h, d or w for minutes, hours, days or weeks, such as 7d; ten years at most"
)
_DURATION = re.compile(r"([1-9][0-9]{0,8})([mhdw])")
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class KeysError(ValueError):
    """What was asked of the ring cannot be done.

    The text is a sentence for a person, without any secret.
    """


@dataclass(frozen=True, slots=True)
class Scope:
    """Which cameras: all of them, some by name, or none."""

    everything: bool = False
    names: frozenset[str] = frozenset()

    def __contains__(self, name: str) -> bool:
        return self.everything or name in self.names

    def __bool__(self) -> bool:
        return self.everything or bool(self.names)

    def __or__(self, other: Scope) -> Scope:
        return ALL if self.everything or other.everything else Scope(names=self.names | other.names)

    def as_json(self) -> str | list[str]:
        """``"all"`` or a list of names."""
        return "all" if self.everything else sorted(self.names)

    @classmethod
    def from_json(cls, value: object) -> Scope:
        """
        Raises:
            KeysError: It is neither ``"all"`` nor a list of names.
        """
        if value == "all":
            return ALL
        if not isinstance(value, list) or len(value) > MAX_NAMES:
            raise KeysError(f'Say "all", or at most {MAX_NAMES} names of cameras.')
        wrong = [name for name in value if not isinstance(name, str) or not NAME.fullmatch(name)]
        if wrong:
            raise KeysError(f"{str(wrong[0])[:40]!r} is no name for a camera: {NAME_RULE}.")
        return cls(names=frozenset(value))


ALL = Scope(everything=True)
NOTHING = Scope()


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        id: Short and public: to list and to revoke it by.
        secret: What stands in the link. Never in a log, nor in this object's repr.
        publish, watch: What its holder may do.
        made, expires: Seconds since 1970; a key without ``expires`` lasts until it is revoked.
        label: For whom or what it is, in its owner's words.
    """

    id: str
    secret: str = field(repr=False)
    publish: Scope
    watch: Scope
    made: int
    expires: int | None = None
    label: str = field(default="", compare=False)

    def is_over(self, now: float) -> bool:
        return self.expires is not None and now >= self.expires

    @property
    def manages(self) -> bool:
        """Its holder may do everything, and so give keys to others: the key *Own*, which is for its
        owner's own devices.
        """
        return self.publish.everything and self.watch.everything

    def as_json(self) -> dict[str, Any]:
        """Everything but the secret."""
        return {
            "id": self.id,
            "label": self.label,
            "publish": self.publish.as_json(),
            "watch": self.watch.as_json(),
            "made": self.made,
            "expires": self.expires,
        }


def seconds(duration: str) -> int:
    """``7d`` in seconds.

    Raises:
        KeysError: It is something else, or longer than `MAX_LIFE`.
    """
    found = _DURATION.fullmatch(duration.strip().lower())
    length = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < length <= MAX_LIFE:
        raise KeysError(f"{duration[:40]!r} is no duration: {DURATION_RULE}.")
    return length


def link(url: str, key: Key, field_name: str, scope: Scope) -> str:
    """A page's address with the key, and with the camera where the key is for a single one.

    Args:
        url: The page without query and fragment.
        field_name: What the page calls the camera's name in its query.
        scope: What the key allows on this page.
    """
    query = (
        f"?{field_name}={next(iter(scope.names))}"
        if len(scope.names) == 1 and not scope.everything
        else ""
    )
    return f"{url}{query}#key={key.secret}"


def new_secret() -> str:
    """What stands in the link of a new key."""
    text = base64.b32encode(secrets.token_bytes(_KEY_BYTES)).decode().lower()
    return "-".join(text[i : i + _KEY_GROUP] for i in range(0, len(text), _KEY_GROUP))


def new_id() -> str:
    """A public id for a new key; another one may have it already."""
    return base64.b32encode(secrets.token_bytes(_ID_LENGTH)).decode().lower()[:_ID_LENGTH]


def letters(secret: str) -> str:
    """A key without what people leave out or add when they type it."""
    return "".join(secret.lower().replace("-", "").split())


def digest(secret: str) -> bytes:
    """SHA-256 of a key, however it was typed: a look-up by it takes a time that does not tell how
    much of a guess is right.
    """
    return sha256(letters(secret).encode("utf-8", "replace")).digest()
