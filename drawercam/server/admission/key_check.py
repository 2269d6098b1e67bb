"""Keys that people type and programs show: which one it is, and how often an address may be
wrong.
"""

from __future__ import annotations

import base64
import logging

from drawercam.access.grants import Grant, keys_unread
from drawercam.access.key import Key, letters
from drawercam.access.keys import Keyring
from groundwork.connections.limits import WrongKeys
from groundwork.denied import Denied

# Characters of a key in a request; the relay's have 19.
_LONGEST_KEY = 200

log = logging.getLogger(__name__)


class KeyCheck:
    """Looks keys up, and slows down an address that guesses."""

    def __init__(self, ring: Keyring, wrong_keys: WrongKeys) -> None:
        self._ring = ring
        self._wrong_keys = wrong_keys

    def key(self, given: object, address: str) -> Key:
        """The key that was given; not looked at while its address has to wait, but for one that was
        right there before.

        Raises:
            Denied: 401, there is no such key; 429, there were too many wrong ones; 503, the keys
                cannot be read now.
        """
        ring, wrong_keys = self._ring, self._wrong_keys
        if ring.closed:
            raise keys_unread()
        spelt = letters(str(given))
        if wait := wrong_keys.wait(address, spelt):
            raise Denied(
                429,
                "too-many-keys",
                f"Too many wrong keys came from this address. Try again in {wait} s.",
                wait,
            )
        key = (
            ring.with_secret(given)
            if isinstance(given, str) and len(given) < _LONGEST_KEY
            else None
        )
        if key is None:
            if wrong_keys.add(address, spelt):
                log.warning("x %s gave a wrong key (the %d. in all)", address, wrong_keys.count)
            if isinstance(given, str) and ring.has_ended(given):
                raise Denied(401, "ended-key", "The time of this key is over.")
            raise Denied(401, "wrong-key", "The relay does not know this key.")
        wrong_keys.right(address, spelt)
        return key

    def with_shown(self, held: Grant, authorization: str, address: str) -> Grant:
        """What a program may do that shows its key with a request, besides what its cookies allow.

        Raises:
            Denied: See `key`.
        """
        given = shown_key(authorization)
        if given is None:
            return held
        return Grant.of(dict.fromkeys((*held.keys, self.key(given, address))))


def shown_key(authorization: str) -> str | None:
    """The key in an Authorization header: a Bearer token (RFC 6750 section 2.1), or the password of
    whatever user (RFC 7617 section 2).

    Returns:
        None where no key is shown in one of these ways; "" where one of them holds none.
    """
    scheme, _, given = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return given.strip()
        case "basic":
            try:
                return base64.b64decode(given, validate=True).decode().partition(":")[2]
            except ValueError:
                return ""
    return None
