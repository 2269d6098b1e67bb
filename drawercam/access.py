"""Who may do what: keys, roles, Host and Origin. No sockets: headers in, a decision out."""

from __future__ import annotations

import base64
import contextlib
import hmac
import ipaddress
import json
import secrets
from collections.abc import Collection, Mapping
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

from . import files

# 80 random bits are far beyond guessing over a network, and 16 characters can still be typed on a phone.
_KEY_BYTES = 10
_KEY_GROUP = 4

_KEY_FILE = "keys.json"

# Seconds that a browser keeps its key: a phone on a wall should not have to scan again.
COOKIE_AGE = 400 * 24 * 3600  # browsers cap it at 400 days (RFC 6265bis 5.5)


class Role(StrEnum):
    """What a key allows: to publish as a camera, or to watch."""

    CAMERA = "camera"
    VIEWER = "viewer"


class Denied(Exception):
    """A request that is refused. ``status`` is the HTTP status, ``id`` a stable word, the message a sentence."""

    def __init__(self, status: int, id: str, sentence: str) -> None:  # noqa: A002 - the wire's word
        self.status = status
        self.id = id
        super().__init__(sentence)


class Keys:
    """One secret per role, made once and kept in the state folder, readable by its owner only."""

    def __init__(self, keys: Mapping[Role, str]) -> None:
        self._keys = dict(keys)

    @classmethod
    def load_or_create(cls, folder: Path) -> Keys:
        """Read the keys, or make them. A file that cannot be read as keys is replaced.

        Raises:
            OSError: The folder cannot be written.
        """
        path = folder / _KEY_FILE
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            stored = json.loads(path.read_text())
            keys = {role: _normal(stored[role.value]) for role in Role}
            if min(map(len, keys.values())) >= _KEY_BYTES:  # an empty key would let everybody in
                return cls(keys)
        keys = {role: _new_key() for role in Role}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.write(path, json.dumps({role.value: key for role, key in keys.items()}).encode())
        return cls(keys)

    def key(self, role: Role) -> str:
        return self._keys[role]

    def role_of(self, key: str) -> Role | None:
        """The role that a key opens, or None."""
        given = _normal(key).encode()
        matches = [role for role, known in self._keys.items() if hmac.compare_digest(given, known.encode())]
        return matches[0] if matches else None


def _new_key() -> str:
    text = base64.b32encode(secrets.token_bytes(_KEY_BYTES)).decode().lower()
    return "-".join(text[i : i + _KEY_GROUP] for i in range(0, len(text), _KEY_GROUP))


def _normal(key: str) -> str:
    if not isinstance(key, str):
        raise TypeError("a key is a string")
    return key.strip().lower()


def cookie_name(role: Role) -> str:
    """The cookie that holds this role's key."""
    return f"drawercam-{role}"


class Access:
    """The decisions, from a request's headers alone. Closed by default: what is not known to be allowed is denied."""

    def __init__(self, keys: Keys | None, hosts: Collection[str]) -> None:
        """
        Args:
            keys: None when keys are off: then everybody has every role.
            hosts: Host names (lower case, no port) under which the relay may be reached, besides any IP address.
        """
        self.keys = keys
        self._hosts = frozenset(hosts)

    def check_host(self, host: str | None) -> None:
        """A page of another site whose name is made to point here (DNS rebinding) sends its own name as Host.

        Raises:
            Denied: 421, the Host is neither an IP address nor one of the relay's names.
        """
        name = _host_name(host)
        if name is not None and name in self._hosts:
            return
        try:
            ipaddress.ip_address(name or "")
        except ValueError:
            sentence = "The relay is not known by this name; use one of the addresses it prints, or --allow-host."
            raise Denied(421, "unknown-host", sentence) from None

    def check_origin(self, origin: str | None, host: str | None) -> None:
        """A browser says from which site a socket or a change comes; other programs send nothing and cannot be tricked.

        Raises:
            Denied: 403, the origin is another site.
        """
        if origin is None:
            return
        if host is None or urlsplit(origin).netloc.lower() != host.lower():
            raise Denied(403, "foreign-origin", "Pages of other sites may not use this relay.")

    def roles(self, cookie: str | None) -> frozenset[Role]:
        """The roles that a Cookie header proves."""
        if self.keys is None:
            return frozenset(Role)
        try:
            jar = SimpleCookie(cookie or "")
        except CookieError:
            return frozenset()
        held = {self.keys.role_of(jar[cookie_name(role)].value) for role in Role if cookie_name(role) in jar}
        return frozenset(role for role in held if role is not None)

    def require(self, role: Role, cookie: str | None) -> None:
        """
        Raises:
            Denied: 401, the cookie does not prove the role.
        """
        if role not in self.roles(cookie):
            raise Denied(401, "no-key", f"The relay asks for its {role} key: scan the code in its terminal.")


def _host_name(host: str | None) -> str | None:
    """The name or address in a Host header, without port and brackets."""
    if not host:
        return None
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
