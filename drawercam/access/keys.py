"""The key ring: which keys there are and what each one allows.

A key is a secret that stands in a link (`#key=...`). It says which cameras its holder may be
(publish) and which ones its holder may see (watch): all, some by name, or none. A browser shows its
key once and gets a token for it, which is what its cookie holds.

Several processes may work on the file at once: `relay.py keys` beside a running relay, which looks
at it with `Keyring.refresh`.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from groundwork import state_files

from .key import (
    ALL,
    DURATION_RULE,
    MAX_LABEL,
    MAX_LIFE,
    NOTHING,
    Key,
    KeysError,
    Scope,
    digest,
    letters,
    new_id,
    new_secret,
)
from .key_file import MAX_KEYS, KeyFile, Stamp

UNREAD_PATIENCE = 60.0
"""Seconds for which the keys stay good as they were read last when their file cannot be read: a
network share comes back, an editor is closed. A key may have been revoked meanwhile, so after that
none is good until it can be read again.
"""

SETTLE_INTERVAL = 10.0
"""Seconds between two tries to write down what has been revoked in memory only."""

KEPT_AFTER_ITS_END = 7 * 86400
"""Seconds for which a key that is over is still listed, so that its owner sees why somebody was
sent away.
"""

COOKIE, TICKET = "cookie", "ticket"
"""What tokens are for. One is never good for the other's purpose."""

log = logging.getLogger(__name__)


class Keyring:
    """The keys of one state folder, as the file had them at the last `refresh`. `open` reads or
    makes it.

    Attributes:
        is_new: `open` has made its first keys just now.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            folder: The state folder; not yet read.
            clock: Seconds since 1970; keys expire by it.
            monotonic: Seconds that pass evenly; patience and tries go by them.
        """
        self._file = KeyFile(folder)
        self._clock = clock
        self._monotonic = monotonic
        self._stamp: Stamp | None = None  # of the file as it was read last
        # Of the file in which no keys were found, and why.
        self._spoiled: tuple[Stamp, str] | None = None
        self._unread_since: float | None = None
        self._closed = False
        self._salt = b""
        self._keys: tuple[Key, ...] = ()
        self._live: frozenset[Key] = frozenset()
        self._ended = 0
        self._revoked: Mapping[
            bytes, Key
        ] = {}  # in memory only, by digest: the file still holds them
        self._settle_at = 0.0
        self.is_new = False
        # By digests and tokens, so that neither takes a time that depends on how much of a guess is
        # right.
        self._by_secret: Mapping[bytes, Key] = {}
        self._by_token: Mapping[str, Key] = {}

    @classmethod
    def open(
        cls,
        folder: Path,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Keyring:
        """Read the keys. Where there are none, a Film key and a Watch key are made; a file that is
        damaged is put aside, with a warning.

        Where nothing can be written, good keys are read all the same.

        Raises:
            OSError: The folder cannot be used.
        """
        ring = cls(folder, clock, monotonic)
        ring.is_new = ring._file.begin(clock)
        ring.refresh()
        return ring

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
        """How many times keys have ended so far, also those that came after the last look of the
        caller, which compares this number.
        """
        return self._ended

    @property
    def unwritten(self) -> bool:
        """Whether a key is revoked in memory only."""
        return bool(self._revoked)

    @property
    def closed(self) -> bool:
        """No key is good for now, because the file could not be read for `UNREAD_PATIENCE`
        seconds.
        """
        return self._closed

    def with_secret(self, secret: str) -> Key | None:
        """The key of a link that is still good, however it was typed.

        A key that another process has just made can be used at once.
        """
        by = digest(secret)
        if by not in self._by_secret:
            self.refresh()
        return self._good(self._by_secret.get(by))

    def has_ended(self, secret: str) -> bool:
        """Whether this is a key whose time is over, and that is still listed."""
        key = self._by_secret.get(digest(secret))
        return key is not None and key.is_over(self._clock())

    def is_last_that_manages(self, identifier: str) -> bool:
        """Whether keys could be given to others only on this computer if this key were revoked."""
        return [key.id for key in self._live if key.manages] == [identifier]

    def with_token(self, token: str, purpose: str) -> Key | None:
        """The key that this token was made from, if it is still good."""
        return self._good(self._by_token.get(f"{purpose} {token}"))

    def token(self, key: Key, purpose: str) -> str:
        """What stands for a key, for `COOKIE` or `TICKET`: 43 characters of base64url, from which
        there is no way back to the key.
        """
        return _token(self._salt, key, purpose)

    @property
    def tag(self) -> str:
        """Six characters that tell this ring's cookies from other relays': browsers give a host's
        cookies to all of its ports.
        """
        return hmac.digest(self._salt, b"tag", "sha256").hex()[:6]

    def is_good(self, key: Key) -> bool:
        """Whether this key is still there as it was, and not over."""
        return self._good(key) is not None

    def for_links(self) -> tuple[Key | None, Key | None]:
        """The keys for the printed links: the oldest that allows to be any camera and nothing else,
        and the oldest to watch all of them.
        """

        def oldest(publish: Scope, watch: Scope) -> Key | None:
            found = (
                key
                for key in self._keys
                if (key.publish, key.watch, key.expires) == (publish, watch, None)
            )
            return next(found, None)

        return oldest(ALL, NOTHING), oldest(NOTHING, ALL)

    def _good(self, key: Key | None) -> Key | None:
        return (
            key
            if key is not None and key in self._live and not key.is_over(self._clock())
            else None
        )

    # --- changes ---

    def refresh(self) -> None:
        """Look whether the file has changed or a key is over.

        Costs one `stat`; to be called some times a second.
        """
        state_files.spares.fill()
        try:
            self._look()
        except FileNotFoundError:
            if self._keys:
                log.warning(
                    "%s is gone: no key is good any more until the relay is started again",
                    self._file.path,
                )
            self._show(b"", ())
            self._stamp, self._unread_since, self._closed = None, None, False
        except OSError as error:
            self._stamp = None
            self._wait(error.strerror or str(error))
        except KeysError as error:
            self._wait(str(error))
        else:
            if self._closed:
                log.warning("%s can be read again: its keys are good again", self._file.path)
            self._unread_since, self._closed = None, False
        now = self._clock()
        self._let_live(
            frozenset()
            if self._closed
            else frozenset(key for key in self._keys if not key.is_over(now))
        )

    def _let_live(self, keys: frozenset[Key]) -> None:
        self._ended += not self._live <= keys
        self._live = keys

    def _look(self) -> None:
        stamp = self._file.stamp()
        if stamp == self._stamp:
            return
        if self._spoiled is not None and self._spoiled[0] == stamp:
            raise KeysError(self._spoiled[1])
        try:
            content = self._file.read()
        except KeysError as error:
            self._stamp, self._spoiled = None, (stamp, str(error))
            raise
        self._stamp, self._spoiled = stamp, None
        found = {digest(key.secret) for key in content.keys}
        self._revoked = {by: key for by, key in self._revoked.items() if by in found}
        self._show(content.salt, content.keys)

    def _wait(self, why: str) -> None:
        """The file cannot be read.

        A lack of descriptors counts, too, if not even the spare ones helped: it may not hide a
        revocation.
        """
        now = self._monotonic()
        if self._unread_since is None:
            self._unread_since = now
            log.warning(
                "%s cannot be read, so the keys stay as they were, for %.0f s at most: %s",
                self._file.path,
                UNREAD_PATIENCE,
                why,
            )
        elif not self._closed and now - self._unread_since >= UNREAD_PATIENCE:
            self._closed = True
            log.error(
                "%s cannot be read for %.0f s, so no key is good until it can be read again: %s",
                self._file.path,
                UNREAD_PATIENCE,
                why,
            )

    def add(self, publish: Scope, watch: Scope, lasts: int | None = None, label: str = "") -> Key:
        """Make a key and write it down; it is good at once, and among `keys` from the next
        `refresh` on.

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
            raise KeysError(
                f"A label has at most {MAX_LABEL} characters, and none that cannot be seen."
            )
        now = int(self._clock())
        with self._changing() as keys:
            if len(keys) >= MAX_KEYS:
                raise KeysError(f"There are {MAX_KEYS} keys already; revoke one that nobody needs.")
            taken = {key.id for key in keys}
            free = next(one for one in iter(new_id, "") if one not in taken)
            key = Key(
                free,
                new_secret(),
                publish,
                watch,
                now,
                None if lasts is None else now + lasts,
                label,
            )
            keys.append(key)
        return key

    def revoke(self, identifier: str) -> Key:
        """Take a key away and write it down; `refresh` then knows it, also in another process. As
        `forget` and `settle`.

        Raises:
            KeysError: There is no such key.
            OSError: It cannot be written down.
        """
        key = self.forget(identifier)
        self.settle()
        return key

    def forget(self, identifier: str) -> Key:
        """Take a key away at once, but in this process only: `settle` writes it down. Not to be
        called by two threads at once.

        Raises:
            KeysError: There is no such key.
        """
        found = self._with_id(identifier)
        if found is None:
            self.refresh()  # it may have been made by another process just now
            found = self._with_id(identifier)
        if found is None:
            raise KeysError(f"There is no key with the id {identifier[:40]!r}.")
        self._revoked = {**self._revoked, digest(found.secret): found}
        self._settle_at = self._monotonic() + SETTLE_INTERVAL
        self._show(self._salt, self._keys)
        self._let_live(self._live - {found})
        return found

    def _with_id(self, identifier: str) -> Key | None:
        return next(
            (key for key in (*self._keys, *self._revoked.values()) if key.id == identifier), None
        )

    def settle(self) -> None:
        """Write down what `forget` has taken away, with the room of the reserve if the disk is
        full; and make that anew. Blocks.

        Raises:
            OSError: It cannot be written down. Those keys are gone in this process only, and back
                with the next one.
        """
        revoked = self._revoked
        if revoked:
            with self._changing(urgent=True) as keys:
                keys[:] = [key for key in keys if digest(key.secret) not in revoked]
        elif not self._file.has_reserve:
            self._file.make_reserve()

    def owes(self) -> bool:
        """Whether `settle` is to be called, because something could not be written down before;
        true once in `SETTLE_INTERVAL` seconds.
        """
        now = self._monotonic()
        if now < self._settle_at or (not self._revoked and self._file.has_reserve):
            return False
        self._settle_at = now + SETTLE_INTERVAL
        return True

    @contextlib.contextmanager
    def _changing(self, urgent: bool = False) -> Iterator[list[Key]]:
        """See KeyFile.changing; keys that are over for long are left out."""
        with self._file.changing(urgent) as keys:
            long_ago = self._clock() - KEPT_AFTER_ITS_END
            keys[:] = [key for key in keys if not key.is_over(long_ago)]
            yield keys

    def _show(self, salt: bytes, keys: tuple[Key, ...]) -> None:
        """Go by these keys of the file, but for those that were revoked."""
        keys = tuple(key for key in keys if digest(key.secret) not in self._revoked)
        self._salt, self._keys = salt, keys
        self._by_secret = {digest(key.secret): key for key in keys}
        self._by_token = {
            f"{purpose} {_token(salt, key, purpose)}": key
            for key in keys
            for purpose in (COOKIE, TICKET)
        }


def _token(salt: bytes, key: Key, purpose: str) -> str:
    made = hmac.digest(salt, f"{purpose} {key.id} {letters(key.secret)}".encode(), "sha256")
    return base64.urlsafe_b64encode(made).decode().rstrip("=")
