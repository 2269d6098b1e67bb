"""The key ring: which keys there are and what each one allows, kept in the state folder, readable by its owner only.

A key is a secret that stands in a link (`#key=...`). It says which cameras its holder may be (publish) and which ones its holder may see
(watch): all, some by name, or none. A browser shows its key once and gets a token for it, which is what its cookie holds.

    {"salt": "...", "keys": [
        {"id": "viewer", "secret": "...", "publish": [], "watch": "all", "label": "", "made": 1763740000, "expires": null}]}

Several processes may work on the file at once: `relay.py keys` beside a running relay, which looks at it with `Keyring.refresh`.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from . import files
from .hub import NAME, NAME_RULE

# 80 random bits are far beyond guessing over a network, and 16 characters can still be typed on a phone.
_KEY_BYTES = 10
_KEY_GROUP = 4

# Characters of a key in the file below which it is damaged: an empty one would let everybody in.
_SHORTEST_KEY = 10

# Bytes of the salt from which tokens are made. Nobody has to type a token, so it is too long to be guessed at any speed.
_SALT_BYTES = 32

# Characters of a public id: 24 bits tell `MAX_KEYS` apart without a doubt, and can be typed.
_ID_LENGTH = 5
_ID = re.compile(r"[a-z0-9]{1,16}")

_KEY_FILE = "keys.json"
_LOCK_FILE = "keys.lock"

MAX_KEYS = 200
"""Keys at once: more than a person can oversee, and few enough to read all of them at each change."""

MAX_NAMES = 50
"""Cameras that one key names."""

MAX_LABEL = 60
"""Characters of a label: it stays on one line of a terminal."""

MAX_LIFE = 10 * 365 * 86400
"""Seconds that a key lasts at most, if it does not last until it is revoked: ten years."""

KEPT_AFTER_ITS_END = 7 * 86400
"""Seconds for which a key that is over is still listed, so that its owner sees why somebody was sent away."""

DURATION_RULE = "a number and m, h, d or w for minutes, hours, days or weeks, such as 7d; ten years at most"
_DURATION = re.compile(r"([1-9][0-9]{0,8})([mhdw])")
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

COOKIE, TICKET = "cookie", "ticket"
"""What tokens are for. One is never good for the other's purpose."""

log = logging.getLogger(__name__)


class KeysError(ValueError):
    """What was asked of the ring cannot be done. The text is a sentence for a person, without any secret."""


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


class Keyring:
    """The keys of one state folder, as the file had them at the last `refresh`. `open` reads or makes it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """
        Args:
            folder: The state folder; not yet read.
            clock: Seconds since 1970; keys expire by it.
        """
        self._path = folder / _KEY_FILE
        self._lock = folder / _LOCK_FILE
        self._clock = clock
        self._stamp: tuple[int, ...] | None = None  # of the file as it was read last
        self._unread = False  # it could not be opened at the last look
        self._salt = b""
        self._keys: tuple[Key, ...] = ()
        self._live: frozenset[Key] = frozenset()
        # By digests and tokens, so that neither takes a time that depends on how much of a guess is right.
        self._by_secret: Mapping[bytes, Key] = {}
        self._by_token: Mapping[str, Key] = {}

    @classmethod
    def open(cls, folder: Path, clock: Callable[[], float] = time.time) -> Keyring:
        """Read the keys. Where there are none, a camera key and a viewer key are made; a file that is damaged is put aside, with a warning.

        Raises:
            OSError: The folder cannot be used.
        """
        ring = cls(folder, clock)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with files.locked(ring._lock):
            try:
                salt, keys = ring._read()
            except FileNotFoundError:
                ring._write(b"", _first_keys(int(clock())))
            except KeysError:
                aside = ring._path.with_suffix(".damaged")
                ring._path.replace(aside)
                log.warning("%s was damaged and is now called %s; new keys have been made", ring._path, aside.name)
                ring._write(b"", _first_keys(int(clock())))
            else:
                files.keep_private(ring._path)
                if not salt:
                    ring._write(salt, keys)
        ring.refresh()
        return ring

    # --- what is known ---

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, oldest first, those that are over among them."""
        return self._keys

    @property
    def live(self) -> frozenset[Key]:
        """The keys that were good at the last `refresh`. Who compares two of these sees whose keys are gone."""
        return self._live

    def with_secret(self, secret: str) -> Key | None:
        """The key of a link that is still good, however it was typed. Who has just made one, by another process, may use it at once."""
        digest = _digest(secret)
        if digest not in self._by_secret:
            self.refresh()
        return self._good(self._by_secret.get(digest))

    def with_token(self, token: str, purpose: str) -> Key | None:
        """The key that this token was made from, if it is still good."""
        return self._good(self._by_token.get(f"{purpose} {token}"))

    def token(self, key: Key, purpose: str) -> str:
        """What stands for a key, for `COOKIE` or `TICKET`: 43 characters of base64url, from which there is no way back to the key."""
        return _token(self._salt, key, purpose)

    @property
    def tag(self) -> str:
        """Six characters that tell this ring's cookies from other relays': browsers give a host's cookies to all of its ports."""
        return hmac.digest(self._salt, b"tag", "sha256").hex()[:6]

    def is_good(self, key: Key) -> bool:
        """Whether this key is still there as it was, and not over."""
        return self._good(key) is not None

    def for_links(self) -> tuple[Key | None, Key | None]:
        """The keys for the printed links: the oldest that allows to be any camera and nothing else, and the oldest to watch all of them."""

        def oldest(publish: Scope, watch: Scope) -> Key | None:
            found = (key for key in self._keys if (key.publish, key.watch, key.expires) == (publish, watch, None))
            return next(found, None)

        return oldest(ALL, NOTHING), oldest(NOTHING, ALL)

    def _good(self, key: Key | None) -> Key | None:
        return key if key is not None and key in self._live and not key.is_over(self._clock()) else None

    # --- changes ---

    def refresh(self) -> None:
        """Look whether the file has changed or a key is over. Costs one `stat`; to be called some times a second."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            if self._keys:
                log.warning("%s is gone: no key is good any more until the relay is started again", self._path)
            self._take(b"", ())
        except OSError as error:
            log.warning("%s cannot be looked at, so the keys stay as they were: %s", self._path, error.strerror)
        else:
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._take(*self._read())
                except KeysError as error:
                    log.warning("%s cannot be read, so the keys stay as they were: %s", self._path, error)
                except OSError as error:  # it passes, and perhaps a key was revoked: the next look is at the file, too
                    self._stamp = None
                    if not self._unread:
                        log.warning("%s cannot be read just now, so the keys stay as they were: %s", self._path, error.strerror)
                self._unread = self._stamp is None
        now = self._clock()
        self._live = frozenset(key for key in self._keys if not key.is_over(now))

    def add(self, publish: Scope, watch: Scope, lasts: int | None = None, label: str = "") -> Key:
        """Make a key and write it down; it is good at once, and among `keys` from the next `refresh` on.

        Args:
            lasts: Seconds from now, at most `MAX_LIFE`; None until it is revoked.

        Raises:
            KeysError: It would allow nothing, or there are too many.
            OSError: The folder cannot be written.
        """
        if not publish and not watch:
            raise KeysError("A key has to allow something: to watch, to publish, or both.")
        if lasts is not None and not 0 < lasts <= MAX_LIFE:
            raise KeysError(f"How long a key lasts is {DURATION_RULE}.")
        label = " ".join(label.split())
        if len(label) > MAX_LABEL or not label.isprintable():
            raise KeysError(f"A label has at most {MAX_LABEL} characters.")
        now = int(self._clock())
        with self._changing() as keys:
            if len(keys) >= MAX_KEYS:
                raise KeysError(f"There are {MAX_KEYS} keys already; revoke one that nobody needs.")
            taken = {key.id for key in keys}
            free = next(one for one in iter(_new_id, "") if one not in taken)
            key = Key(free, _new_secret(), publish, watch, now, None if lasts is None else now + lasts, label)
            keys.append(key)
        return key

    def revoke(self, identifier: str) -> Key:
        """Take a key away and write it down; `refresh` then knows it, also in another process.

        Raises:
            KeysError: There is no such key.
            OSError: The folder cannot be written.
        """
        with self._changing() as keys:
            found = next((key for key in keys if key.id == identifier), None)
            if found is None:
                raise KeysError(f"There is no key with the id {identifier[:40]!r}.")
            keys.remove(found)
        return found

    @contextlib.contextmanager
    def _changing(self) -> Iterator[list[Key]]:
        """The keys in the file, to be changed. No other process changes them meanwhile."""
        with files.locked(self._lock):
            salt, known = self._read()
            long_ago = self._clock() - KEPT_AFTER_ITS_END
            keys = [key for key in known if not key.is_over(long_ago)]
            yield keys
            self._write(salt, tuple(keys))

    def _read(self) -> tuple[bytes, tuple[Key, ...]]:
        with self._path.open("rb") as file:
            return _decoded(file.read(), int(self._path.stat().st_mtime))

    def _write(self, salt: bytes, keys: tuple[Key, ...]) -> None:
        stored = [key.as_json() | {"secret": key.secret} for key in keys]
        salt = salt or secrets.token_bytes(_SALT_BYTES)
        files.write(self._path, json.dumps({"salt": salt.hex(), "keys": stored}, indent=1).encode())

    def _take(self, salt: bytes, keys: tuple[Key, ...]) -> None:
        self._salt, self._keys = salt, keys
        self._by_secret = {_digest(key.secret): key for key in keys}
        self._by_token = {f"{purpose} {_token(salt, key, purpose)}": key for key in keys for purpose in (COOKIE, TICKET)}


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
    query = f"?{field_name}={next(iter(scope.names))}" if len(scope.names) == 1 and not scope.everything else ""
    return f"{url}{query}#key={key.secret}"


def _decoded(data: bytes, changed: int) -> tuple[bytes, tuple[Key, ...]]:
    """Salt and keys of a file; without a salt it is of the first form, `{"camera": "...", "viewer": "..."}`, changed at that time.

    Raises:
        KeysError: It is neither.
    """
    try:
        stored = json.loads(data)
        if stored.keys() == {"camera", "viewer"}:
            pairs = (("camera", ALL, NOTHING), ("viewer", NOTHING, ALL))
            return b"", tuple(Key(id_, _secret(stored[id_]), publish, watch, changed) for id_, publish, watch in pairs)
        salt = bytes.fromhex(stored["salt"])
        keys = tuple(map(_key, stored["keys"]))
        if len(salt) < _SALT_BYTES or len({key.id for key in keys}) < len(keys) or len(keys) > MAX_KEYS:
            raise KeysError("Its salt is too short, or its keys are too many or have the same id.")
    except KeysError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise KeysError("It is not in the form that the relay writes.") from None
    return salt, keys


def _key(stored: Any) -> Key:
    made, expires = stored["made"], stored["expires"]
    if not _ID.fullmatch(stored["id"]) or type(made) is not int or not (expires is None or type(expires) is int):
        raise KeysError("A key in it has a wrong id or a wrong date.")
    publish, watch = Scope.from_json(stored["publish"]), Scope.from_json(stored["watch"])
    return Key(stored["id"], _secret(stored["secret"]), publish, watch, made, expires, str(stored["label"])[:MAX_LABEL])


def _secret(stored: object) -> str:
    if not isinstance(stored, str) or len(_letters(stored)) < _SHORTEST_KEY:
        raise KeysError("A key in it is too short.")
    return stored


def _first_keys(now: int) -> tuple[Key, Key]:
    label = "made at the first start"
    return (
        Key("camera", _new_secret(), ALL, NOTHING, now, label=label),
        Key("viewer", _new_secret(), NOTHING, ALL, now, label=label),
    )


def _new_secret() -> str:
    text = base64.b32encode(secrets.token_bytes(_KEY_BYTES)).decode().lower()
    return "-".join(text[i : i + _KEY_GROUP] for i in range(0, len(text), _KEY_GROUP))


def _new_id() -> str:
    return base64.b32encode(secrets.token_bytes(_ID_LENGTH)).decode().lower()[:_ID_LENGTH]


def _letters(secret: str) -> str:
    """A key without what people leave out or add when they type it."""
    return "".join(secret.lower().replace("-", "").split())


def _digest(secret: str) -> bytes:
    return sha256(_letters(secret).encode("utf-8", "replace")).digest()


def _token(salt: bytes, key: Key, purpose: str) -> str:
    made = hmac.digest(salt, f"{purpose} {key.id} {_letters(key.secret)}".encode(), "sha256")
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
