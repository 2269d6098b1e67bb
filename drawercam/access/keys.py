"""The key ring: which keys there are and what each one allows, kept in the state folder, readable by its owner only.

A key is a secret that stands in a link (`#key=...`). It says which cameras its holder may be (publish) and which ones its holder may see
(watch): all, some by name, or none. A browser shows its key once and gets a token for it, which is what its cookie holds.

    {"salt": "...", "keys": [
        {"id": "viewer", "secret": "...", "publish": [], "watch": "all", "label": "", "made": 1763740000, "expires": null}]}

Several processes may work on the file at once: `relay.py keys` beside a running relay, which looks at it with `Keyring.refresh`. Beside it
lies `keys.reserve`, whose room on the disk is given up when a key is to be revoked and the disk is full.
"""

from __future__ import annotations

import base64
import contextlib
import errno
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

from groundwork import state_files as files
from groundwork.names import NAME, NAME_RULE

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
_RESERVE_FILE = "keys.reserve"

# Bytes of the file that are looked at: 200 keys with as much text in them as they take have 1 MB.
_LARGEST_FILE = 4 * 2**20

UNREAD_PATIENCE = 60.0
"""Seconds for which the keys stay good as they were read last when their file cannot be read: a network share comes back, an editor is
closed. A key may have been revoked meanwhile, so after that none is good until it can be read again."""

SETTLE_INTERVAL = 10.0
"""Seconds between two tries to write down what has been revoked in memory only."""

MAX_KEYS = 200
"""Keys at once: more than a person can oversee, and few enough to read all of them at each change."""

MAX_NAMES = 50
"""Cameras that one key names."""

MAX_LABEL = 60
"""Characters of a label: it stays on one line of a terminal."""

FIRST_LABEL = "made at the first start"
"""The label of keys that nobody has asked for."""

MAX_LIFE = 10 * 365 * 86400
"""Seconds that a key lasts at most, if it does not last until it is revoked: ten years."""

KEPT_AFTER_ITS_END = 7 * 86400
"""Seconds for which a key that is over is still listed, so that its owner sees why somebody was sent away."""

DURATION_RULE = "a number and m, h, d or w for minutes, hours, days or weeks, such as 7d; ten years at most"
_DURATION = re.compile(r"([1-9][0-9]{0,8})([mhdw])")
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

_Stamp = tuple[int, int, int]

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

    @property
    def manages(self) -> bool:
        """Its holder may do everything, and so give keys to others: the key *Own*, which is for its owner's own devices."""
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


class Keyring:
    """The keys of one state folder, as the file had them at the last `refresh`. `open` reads or makes it.

    Attributes:
        is_new: `open` has made its first keys just now.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            folder: The state folder; not yet read.
            clock: Seconds since 1970; keys expire by it.
            monotonic: Seconds that pass evenly; patience and tries go by them.
        """
        self._path = folder / _KEY_FILE
        self._lock = folder / files.STATE_LOCK
        self._reserve = folder / _RESERVE_FILE
        self._clock = clock
        self._monotonic = monotonic
        self._stamp: _Stamp | None = None  # of the file as it was read last
        self._spoiled: tuple[_Stamp, str] | None = None  # of the file in which no keys were found, and why
        self._unread_since: float | None = None
        self._closed = False
        self._salt = b""
        self._keys: tuple[Key, ...] = ()
        self._live: frozenset[Key] = frozenset()
        self._ended = 0
        self._revoked: Mapping[bytes, Key] = {}  # in memory only, by digest: the file still holds them
        self._has_reserve = True
        self._settle_at = 0.0
        self.is_new = False
        # By digests and tokens, so that neither takes a time that depends on how much of a guess is right.
        self._by_secret: Mapping[bytes, Key] = {}
        self._by_token: Mapping[str, Key] = {}

    @classmethod
    def open(
        cls,
        folder: Path,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Keyring:
        """Read the keys. Where there are none, a camera key and a viewer key are made; a file that is damaged is put aside, with a warning.

        Where nothing can be written, good keys are read all the same.

        Raises:
            OSError: The folder cannot be used.
        """
        ring = cls(folder, clock, monotonic)
        with files.exclusive_or_reading(folder, files.STATE_LOCK) as hindrance:
            try:
                salt, keys = ring._read()
                if hindrance and not salt:
                    raise hindrance
            except FileNotFoundError:
                if hindrance:
                    raise hindrance from None
                ring._begin()
            except KeysError:
                if hindrance:
                    raise hindrance from None
                aside = ring._path.with_suffix(".damaged")
                ring._path.replace(aside)
                log.warning("%s was damaged and is now called %s; new keys have been made", ring._path, aside.name)
                ring._begin()
            else:
                files.keep_private(ring._path)
                if not salt:
                    ring._write(salt, keys)
                if not hindrance:
                    ring._keep_reserve(salt, keys)
        ring.refresh()
        return ring

    def _begin(self) -> None:
        self._write(b"", _first_keys(int(self._clock())))
        self.is_new = True

    # --- what is known ---

    @property
    def keys(self) -> tuple[Key, ...]:
        """All keys, oldest first, those that are over among them."""
        return self._keys

    @property
    def live(self) -> frozenset[Key]:
        """The keys that were good at the last look."""
        return self._live

    @property
    def ended(self) -> int:
        """How many times keys have ended so far, also those that came after the last look of whoever compares this number."""
        return self._ended

    @property
    def unwritten(self) -> bool:
        """Whether a key is revoked in memory only."""
        return bool(self._revoked)

    @property
    def closed(self) -> bool:
        """No key is good for now, because the file could not be read for `UNREAD_PATIENCE` seconds."""
        return self._closed

    def with_secret(self, secret: str) -> Key | None:
        """The key of a link that is still good, however it was typed. Who has just made one, by another process, may use it at once."""
        digest = _digest(secret)
        if digest not in self._by_secret:
            self.refresh()
        return self._good(self._by_secret.get(digest))

    def has_ended(self, secret: str) -> bool:
        """Whether this is a key whose time is over, and that is still listed."""
        key = self._by_secret.get(_digest(secret))
        return key is not None and key.is_over(self._clock())

    def is_last_that_manages(self, identifier: str) -> bool:
        """Whether nobody could give keys to others any more, but on this computer, if this key were revoked."""
        return [key.id for key in self._live if key.manages] == [identifier]

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
        files.spares.fill()
        try:
            self._look()
        except FileNotFoundError:
            if self._keys:
                log.warning("%s is gone: no key is good any more until the relay is started again", self._path)
            self._show(b"", ())
            self._stamp, self._unread_since, self._closed = None, None, False
        except OSError as error:
            self._stamp = None
            self._wait(error.strerror or str(error))
        except KeysError as error:
            self._wait(str(error))
        else:
            if self._closed:
                log.warning("%s can be read again: its keys are good again", self._path)
            self._unread_since, self._closed = None, False
        now = self._clock()
        self._let_live(frozenset() if self._closed else frozenset(key for key in self._keys if not key.is_over(now)))

    def _let_live(self, keys: frozenset[Key]) -> None:
        self._ended += not self._live <= keys
        self._live = keys

    def _look(self) -> None:
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp == self._stamp:
            return
        if self._spoiled is not None and self._spoiled[0] == stamp:
            raise KeysError(self._spoiled[1])
        try:
            salt, keys = self._read()
        except KeysError as error:
            self._stamp, self._spoiled = None, (stamp, str(error))
            raise
        self._stamp, self._spoiled = stamp, None
        found = {_digest(key.secret) for key in keys}
        self._revoked = {digest: key for digest, key in self._revoked.items() if digest in found}
        self._show(salt, keys)

    def _wait(self, why: str) -> None:
        """The file cannot be read. A lack of descriptors counts, too, if not even the spare ones helped: it may not hide a revocation."""
        now = self._monotonic()
        if self._unread_since is None:
            self._unread_since = now
            log.warning("%s cannot be read, so the keys stay as they were, for %.0f s at most: %s", self._path, UNREAD_PATIENCE, why)
        elif not self._closed and now - self._unread_since >= UNREAD_PATIENCE:
            self._closed = True
            log.error("%s cannot be read for %.0f s, so no key is good until it can be read again: %s", self._path, UNREAD_PATIENCE, why)

    def add(self, publish: Scope, watch: Scope, lasts: int | None = None, label: str = "") -> Key:
        """Make a key and write it down; it is good at once, and among `keys` from the next `refresh` on.

        Args:
            lasts: Seconds from now, at most `MAX_LIFE`; None until it is revoked.

        Raises:
            KeysError: It would allow nothing, or there are too many.
            OSError: It cannot be written down, and so is not made.
        """
        if not publish and not watch:
            raise KeysError("A key has to allow something: to watch, to publish, or both.")
        if lasts is not None and not 0 < lasts <= MAX_LIFE:
            raise KeysError(f"How long a key lasts is {DURATION_RULE}.")
        label = " ".join(label.split())
        if len(label) > MAX_LABEL or not label.isprintable():
            raise KeysError(f"A label has at most {MAX_LABEL} characters, and none that cannot be seen.")
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
        """Take a key away and write it down; `refresh` then knows it, also in another process. As `forget` and `settle`.

        Raises:
            KeysError: There is no such key.
            OSError: It cannot be written down.
        """
        key = self.forget(identifier)
        self.settle()
        return key

    def forget(self, identifier: str) -> Key:
        """Take a key away at once, but in this process only: `settle` writes it down. Not to be called by two threads at once.

        Raises:
            KeysError: There is no such key.
        """
        found = self._with_id(identifier)
        if found is None:
            self.refresh()  # it may have been made by another process just now
            found = self._with_id(identifier)
        if found is None:
            raise KeysError(f"There is no key with the id {identifier[:40]!r}.")
        self._revoked = {**self._revoked, _digest(found.secret): found}
        self._settle_at = self._monotonic() + SETTLE_INTERVAL
        self._show(self._salt, self._keys)
        self._let_live(self._live - {found})
        return found

    def _with_id(self, identifier: str) -> Key | None:
        return next((key for key in (*self._keys, *self._revoked.values()) if key.id == identifier), None)

    def settle(self) -> None:
        """Write down what `forget` has taken away, with the room of the reserve if the disk is full; and make that anew. Blocks.

        Raises:
            OSError: It cannot be written down. Those keys are gone in this process only, and back with the next one.
        """
        revoked = self._revoked
        if revoked:
            with self._changing(urgent=True) as keys:
                keys[:] = [key for key in keys if _digest(key.secret) not in revoked]
        elif not self._has_reserve:
            with files.locked(self._lock):
                self._keep_reserve(*self._known())

    def owes(self) -> bool:
        """Whether `settle` is to be called, because something could not be written down before; true once in `SETTLE_INTERVAL` seconds."""
        now = self._monotonic()
        if now < self._settle_at or (not self._revoked and self._has_reserve):
            return False
        self._settle_at = now + SETTLE_INTERVAL
        return True

    @contextlib.contextmanager
    def _changing(self, urgent: bool = False) -> Iterator[list[Key]]:
        """The keys in the file, to be changed. No other process changes them meanwhile.

        Args:
            urgent: Give the reserve up if there is no room otherwise.
        """
        with files.locked(self._lock):
            salt, known = self._known()
            long_ago = self._clock() - KEPT_AFTER_ITS_END
            keys = [key for key in known if not key.is_over(long_ago)]
            yield keys
            self._write(salt, tuple(keys), urgent)

    def _known(self) -> tuple[bytes, tuple[Key, ...]]:
        """What the file holds, to be changed; OSError also where that makes no sense."""
        try:
            return self._read()
        except KeysError as error:
            raise OSError(errno.EIO, str(error), str(self._path)) from None

    def _read(self) -> tuple[bytes, tuple[Key, ...]]:
        data, status = files.read(self._path, _LARGEST_FILE)
        return _decoded(data, int(status.st_mtime))

    def _write(self, salt: bytes, keys: tuple[Key, ...], urgent: bool = False) -> None:
        data = _encoded(salt or secrets.token_bytes(_SALT_BYTES), keys)
        if urgent:
            files.write(self._path, data, reserve=self._reserve)
            self._keep_reserve(salt, keys)
        else:
            files.keep_reserve(self._reserve, len(data))  # first: each key that there is must be one that can be revoked
            files.write(self._path, data)

    def _keep_reserve(self, salt: bytes, keys: tuple[Key, ...]) -> None:
        try:
            files.keep_reserve(self._reserve, len(_encoded(salt, keys)))
        except OSError as error:
            if self._has_reserve:
                log.warning("%s cannot be made, so on a full disk a key may not be revoked: %s", self._reserve, error.strerror or error)
            self._has_reserve = False
        else:
            self._has_reserve = True

    def _show(self, salt: bytes, keys: tuple[Key, ...]) -> None:
        """Go by these keys of the file, but for those that were revoked."""
        keys = tuple(key for key in keys if _digest(key.secret) not in self._revoked)
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


def _encoded(salt: bytes, keys: tuple[Key, ...]) -> bytes:
    stored = [key.as_json() | {"secret": key.secret} for key in keys]
    return json.dumps({"salt": salt.hex(), "keys": stored}, indent=1).encode()


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
    if not isinstance(stored, str) or len(letters(stored)) < _SHORTEST_KEY:
        raise KeysError("A key in it is too short.")
    return stored


def _first_keys(now: int) -> tuple[Key, ...]:
    scopes = {"camera": (ALL, NOTHING), "viewer": (NOTHING, ALL)}
    return tuple(Key(id_, _new_secret(), publish, watch, now, label=FIRST_LABEL) for id_, (publish, watch) in scopes.items())


def _new_secret() -> str:
    text = base64.b32encode(secrets.token_bytes(_KEY_BYTES)).decode().lower()
    return "-".join(text[i : i + _KEY_GROUP] for i in range(0, len(text), _KEY_GROUP))


def _new_id() -> str:
    return base64.b32encode(secrets.token_bytes(_ID_LENGTH)).decode().lower()[:_ID_LENGTH]


def letters(secret: str) -> str:
    """A key without what people leave out or add when they type it."""
    return "".join(secret.lower().replace("-", "").split())


def _digest(secret: str) -> bytes:
    return sha256(letters(secret).encode("utf-8", "replace")).digest()


def _token(salt: bytes, key: Key, purpose: str) -> str:
    made = hmac.digest(salt, f"{purpose} {key.id} {letters(key.secret)}".encode(), "sha256")
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
