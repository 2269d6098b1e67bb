"""The file of the keys, in the state folder and readable by its owner only, and the room on the
disk that is kept for it.

    {"salt": "...", "keys": [ {"id": "viewer", "secret": "...", "publish": [], "watch": "all",
        "label": "", "made": 1763740000, "expires": null}]}

Several processes may work on it at once: `relay.py keys` beside a running relay. Beside it lies
`keys.reserve`, whose room on the disk is given up when a key is to be revoked and the disk is full.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundwork import state_files

from .key import ALL, ID, MAX_LABEL, NOTHING, Key, KeysError, Scope, letters, new_secret

# Characters of a key in the file below which it is damaged: an empty one would let everybody in.
_SHORTEST_KEY = 10

# Bytes of the salt from which tokens are made. Nobody has to type a token, so it is too long to be
# guessed at any speed.
_SALT_BYTES = 32

_KEY_FILE = "keys.json"
_RESERVE_FILE = "keys.reserve"

# Bytes of the file that are looked at: 200 keys with as much text in them as they take have 1 MB.
_LARGEST_FILE = 4 * 2**20

MAX_KEYS = 200
"""Keys at once: more than a person can oversee, and few enough to read all of them at each
change.
"""

FIRST_LABEL = "made at the first start"
"""The label of keys that nobody has asked for."""

Stamp = tuple[int, int, int]
"""By which a change of the file is noticed."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Content:
    """What the file holds; without a salt it is of the first form, which had none."""

    salt: bytes
    keys: tuple[Key, ...]


class KeyFile:
    """The file of one state folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / _KEY_FILE
        self._folder = folder
        self._lock = folder / state_files.STATE_LOCK
        self._reserve = folder / _RESERVE_FILE
        self._has_reserve = True

    @property
    def has_reserve(self) -> bool:
        """Whether a key can be revoked on a full disk."""
        return self._has_reserve

    def begin(self, now: Callable[[], float]) -> bool:
        """Make the file where it is missing or damaged, which is then put aside with a warning;
        whether its keys are new.

        Where nothing can be written, good keys are left as they are.

        Args:
            now: Seconds since 1970.

        Raises:
            OSError: The folder cannot be used.
        """
        with state_files.exclusive_or_reading(self._folder, state_files.STATE_LOCK) as hindrance:
            try:
                content = self.read()
                if hindrance and not content.salt:
                    raise hindrance
            except FileNotFoundError:
                if hindrance:
                    raise hindrance from None
            except KeysError:
                if hindrance:
                    raise hindrance from None
                aside = self.path.with_suffix(".damaged")
                self.path.replace(aside)
                log.warning(
                    "%s was damaged and is now called %s; new keys have been made",
                    self.path,
                    aside.name,
                )
            else:
                state_files.keep_private(self.path)
                if not content.salt:
                    self._write(content)
                if not hindrance:
                    self._keep_reserve(content)
                return False
            self._write(Content(b"", _first_keys(int(now()))))
            return True

    def stamp(self) -> Stamp:
        """
        Raises:
            OSError: There is no such file, or it cannot be looked at.
        """
        status = self.path.stat()
        return (status.st_mtime_ns, status.st_ino, status.st_size)

    def read(self) -> Content:
        """
        Raises:
            OSError: It cannot be read.
            KeysError: It makes no sense.
        """
        data, status = state_files.read(self.path, _LARGEST_FILE)
        return _decoded(data, int(status.st_mtime))

    @contextlib.contextmanager
    def changing(self, urgent: bool = False) -> Iterator[list[Key]]:
        """The keys in the file, to be changed. No other process changes them meanwhile.

        Args:
            urgent: Give the reserve up if there is no room otherwise.

        Raises:
            OSError: It cannot be read, also where it makes no sense, or not be written.
        """
        with state_files.locked(self._lock):
            content = self._known()
            keys = list(content.keys)
            yield keys
            self._write(Content(content.salt, tuple(keys)), urgent)

    def make_reserve(self) -> None:
        """Make the reserve anew.

        Raises:
            OSError: The file cannot be read, also where it makes no sense.
        """
        with state_files.locked(self._lock):
            self._keep_reserve(self._known())

    def _known(self) -> Content:
        try:
            return self.read()
        except KeysError as error:
            raise OSError(errno.EIO, str(error), str(self.path)) from None

    def _write(self, content: Content, urgent: bool = False) -> None:
        content = Content(content.salt or secrets.token_bytes(_SALT_BYTES), content.keys)
        data = _encoded(content)
        if urgent:
            state_files.write(self.path, data, reserve=self._reserve)
            self._keep_reserve(content)
        else:
            state_files.keep_reserve(
                self._reserve, len(data)
            )  # first: each key that there is must be one that can be revoked
            state_files.write(self.path, data)

    def _keep_reserve(self, content: Content) -> None:
        try:
            state_files.keep_reserve(self._reserve, len(_encoded(content)))
        except OSError as error:
            if self._has_reserve:
                why = error.strerror or error
                log.warning(
                    "%s cannot be made, so on a full disk a key may not be revoked: %s",
                    self._reserve,
                    why,
                )
            self._has_reserve = False
        else:
            self._has_reserve = True


def _encoded(content: Content) -> bytes:
    stored = [key.as_json() | {"secret": key.secret} for key in content.keys]
    return json.dumps({"salt": content.salt.hex(), "keys": stored}, indent=1).encode()


def _decoded(data: bytes, changed: int) -> Content:
    """Salt and keys of a file; without a salt it is of the first form, `{"camera": "...", "viewer":
    "..."}`, changed at that time.

    Raises:
        KeysError: It is neither.
    """
    try:
        stored = json.loads(data)
        if stored.keys() == {"camera", "viewer"}:
            pairs = (("camera", ALL, NOTHING), ("viewer", NOTHING, ALL))
            return Content(
                b"",
                tuple(
                    Key(id_, _secret(stored[id_]), publish, watch, changed)
                    for id_, publish, watch in pairs
                ),
            )
        salt = bytes.fromhex(stored["salt"])
        keys = tuple(map(_key, stored["keys"]))
        if (
            len(salt) < _SALT_BYTES
            or len({key.id for key in keys}) < len(keys)
            or len(keys) > MAX_KEYS
        ):
            raise KeysError("Its salt is too short, or its keys are too many or have the same id.")
    except KeysError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise KeysError("It is not in the form that the relay writes.") from None
    return Content(salt, keys)


def _key(stored: Any) -> Key:
    made, expires = stored["made"], stored["expires"]
    if (
        not ID.fullmatch(stored["id"])
        or type(made) is not int
        or not (expires is None or type(expires) is int)
    ):
        raise KeysError("A key in it has a wrong id or a wrong date.")
    publish, watch = Scope.from_json(stored["publish"]), Scope.from_json(stored["watch"])
    return Key(
        stored["id"],
        _secret(stored["secret"]),
        publish,
        watch,
        made,
        expires,
        str(stored["label"])[:MAX_LABEL],
    )


def _secret(stored: object) -> str:
    if not isinstance(stored, str) or len(letters(stored)) < _SHORTEST_KEY:
        raise KeysError("A key in it is too short.")
    return stored


def _first_keys(now: int) -> tuple[Key, ...]:
    scopes = {"camera": (ALL, NOTHING), "viewer": (NOTHING, ALL)}
    return tuple(
        Key(id_, new_secret(), publish, watch, now, label=FIRST_LABEL)
        for id_, (publish, watch) in scopes.items()
    )
