"""What a web server is shown that asks for user and password (RFC 9110 section 11): Digest (RFC
7616) where it offers that, else Basic.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable

# RFC 9110 section 11.2: parameters, whose values are tokens or quoted. A long word that is none is
# looked at once, not from each letter on.
_PARAMETER = re.compile(r'(?<![\w-])([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')

# RFC 7616 section 6.1; SHA-512-256 is used by no camera. The better ones first.
_HASHES = {"sha-256": hashlib.sha256, "md5": hashlib.md5}


def authorization(challenges: Iterable[str], user: str, password: str, target: str) -> str | None:
    """The value of the header Authorization for a GET.

    Args:
        challenges: The values of the header WWW-Authenticate.
        user, password: As they are, without escapes.
        target: What is asked for, path and query, as it stands in the request.

    Returns:
        None where nothing is asked for that is known here.
    """
    schemes = [
        (scheme.lower(), rest)
        for scheme, _, rest in (text.strip().partition(" ") for text in challenges)
    ]
    digests = [
        found
        for scheme, rest in schemes
        if scheme == "digest"
        for found in [_parameters(rest)]
        if _hash_of(found)
    ]
    if digests:
        return _digest(
            min(digests, key=lambda one: list(_HASHES).index(_hash_of(one))), user, password, target
        )
    if any(scheme == "basic" for scheme, _ in schemes):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return None


def _parameters(text: str) -> dict[str, str]:
    return {
        name.lower(): re.sub(r"\\(.)", r"\1", quoted) or token
        for name, quoted, token in _PARAMETER.findall(text)
    }


def _hash_of(challenge: dict[str, str]) -> str:
    """The name of its hash, empty if it is not known here."""
    name = challenge.get("algorithm", "md5").lower().removesuffix("-sess")
    return name if name in _HASHES else ""


def _digest(challenge: dict[str, str], user: str, password: str, target: str) -> str:
    """RFC 7616 section 3.4. Without ``qop`` as RFC 2069 had it, which old cameras speak."""

    def digest(*parts: str) -> str:
        return _HASHES[_hash_of(challenge)](":".join(parts).encode()).hexdigest()

    realm, nonce, mine = (
        challenge.get("realm", ""),
        challenge.get("nonce", ""),
        secrets.token_hex(8),
    )
    secret = digest(user, realm, password)
    if challenge.get("algorithm", "").lower().endswith("-sess"):
        secret = digest(secret, nonce, mine)
    request = digest("GET", target)
    fields = {
        "username": _quoted(user),
        "realm": _quoted(realm),
        "nonce": _quoted(nonce),
        "uri": _quoted(target),
    }
    if "auth" in re.split(r"[\s,]+", challenge.get("qop", "").lower()):
        fields |= {"qop": "auth", "nc": "00000001", "cnonce": _quoted(mine)}
        fields["response"] = _quoted(digest(secret, nonce, "00000001", mine, "auth", request))
    else:
        fields["response"] = _quoted(digest(secret, nonce, request))
    if "algorithm" in challenge:
        fields["algorithm"] = challenge["algorithm"]
    if "opaque" in challenge:
        fields["opaque"] = _quoted(challenge["opaque"])
    return "Digest " + ", ".join(f"{name}={value}" for name, value in fields.items())


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
