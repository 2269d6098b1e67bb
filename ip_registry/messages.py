"""What a relay and a registry say to each other, and how a relay proves that it knows the secret.

Announcing is `POST /api/relays/<name>` with this JSON, and leaving is `DELETE /api/relays/<name>`
with an empty body:

    {"urls": ["https://192.168.1.20:8443", ...], "fingerprint": "AB:CD:...", "ttl": 30}

Both carry `Authorization: drawercam <nonce> <signature>`. The signature is HMAC-SHA256 (RFC 2104)
with the shared secret over method, path, nonce and the body's SHA-256, so it is worth nothing for
any other request. The nonce comes from the registry: every answer has the next one, and it is good
for one request. So nothing can be said twice, without clocks that agree and without anything to
remember across restarts. The first request, which cannot know the nonce, is answered with 401 and
the one to use.

The secret never travels, so plain http is enough for announcing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from groundwork.addresses import DNS_LABEL
from groundwork.names import NAME, NAME_RULE

# Bytes of an announcement's body: sixteen URLs of the longest kind are half of it.
MAX_BODY = 4096

# URLs of one relay: more networks than a computer is in.
MAX_URLS = 16

# Characters of a URL: a DNS name has 253 at most, and around it are scheme and port.
_MAX_URL = 280

# Seconds between two announcements, and for which one counts: three may be lost before a relay is
# taken for gone.
HEARTBEAT = 10
TTL = 3 * HEARTBEAT

# Seconds that a relay may ask for: below, one late packet takes it off the list; above, phones are
# sent to where nobody is for too long.
TTL_RANGE = (2, 300)

# Characters of the secret: fewer could be guessed from one overheard announcement.
MIN_SECRET = 20

SCHEME = "drawercam"

_FINGERPRINT = re.compile(r"([0-9A-F]{2}:){31}[0-9A-F]{2}")
_NONCE = re.compile(r"[0-9a-f]{32}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Announcement:
    """Where a relay is.

    Attributes:
        name: As in `drawercam.live.hub.NAME`.
        urls: Its origins, such as ``https://192.168.1.20:8443``, likeliest first; 1 to MAX_URLS.
        fingerprint: SHA-256 of its certificate authority, upper-case hexadecimal bytes with colons;
            empty when it has none of its own. Two relays of one name are told apart by it.
        ttl: Seconds for which this counts, from its arrival on.

    Raises:
        ValueError: One of them is not as it should be; the text is a sentence.
    """

    name: str
    urls: tuple[str, ...]
    fingerprint: str = ""
    ttl: int = TTL

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name for a relay: {NAME_RULE}.")
        if not 1 <= len(self.urls) <= MAX_URLS:
            raise ValueError(f"A relay announces 1 to {MAX_URLS} URLs.")
        for url in self.urls:
            if not is_origin(url):
                raise ValueError(
                    f"{url[:80]!r} is no address of a relay: it must look like "
                    "https://192.168.1.20:8443."
                )
        if self.fingerprint and not _FINGERPRINT.fullmatch(self.fingerprint):
            raise ValueError(
                "The fingerprint must be 32 hexadecimal bytes in upper case with colons, or empty."
            )
        if not TTL_RANGE[0] <= self.ttl <= TTL_RANGE[1]:
            raise ValueError(f"The ttl must be {TTL_RANGE[0]} to {TTL_RANGE[1]} seconds.")

    def body(self) -> bytes:
        """As it is sent; the name is in the path."""
        fields = asdict(self)
        del fields["name"]
        return json.dumps(fields).encode()

    @classmethod
    def parse(cls, name: str, body: bytes) -> Announcement:
        """
        Raises:
            ValueError: It is none; the text is a sentence.
        """
        try:
            fields: Any = json.loads(body)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raise ValueError("The body must be a JSON object.")
        urls, fingerprint, ttl = (
            fields.get("urls"),
            fields.get("fingerprint", ""),
            fields.get("ttl", TTL),
        )
        if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
            raise ValueError('"urls" must be a list of strings.')
        if not isinstance(fingerprint, str):
            raise ValueError('"fingerprint" must be a string.')
        if not isinstance(ttl, int) or isinstance(ttl, bool):
            raise ValueError('"ttl" must be a whole number of seconds.')
        return cls(name, tuple(urls), fingerprint, ttl)


def is_origin(url: str) -> bool:
    """Whether this is scheme, host and port of a relay and nothing else, so that a path can be
    appended to it.
    """
    if len(url) > _MAX_URL or not url.isascii():
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        bracketed = parts.netloc.startswith("[")
        if bracketed or host.replace(".", "").isdigit():
            ip = ip_address(host)
            host = f"[{ip}]" if ip.version == 6 else str(ip)
        elif not all(map(DNS_LABEL.fullmatch, host.split("."))):
            return False
    except ValueError:
        return False
    # Put together again it must be the same: no path, no user, nothing that one reader understands
    # differently from another.
    return (
        parts.scheme in ("http", "https")
        and port != 0
        and url == f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")
    )


def path_of(name: str) -> str:
    """Where a relay announces itself."""
    return f"/api/relays/{name}"


def sign(secret: str, method: str, path: str, nonce: str, body: bytes) -> str:
    """The signature of a request, 64 hexadecimal characters."""
    signed = "\n".join(
        ("drawercam-registry-1", method, path, nonce, hashlib.sha256(body).hexdigest())
    )
    return hmac.digest(secret.encode(), signed.encode(), "sha256").hex()


def authorization(secret: str, method: str, path: str, nonce: str, body: bytes) -> str:
    """The header `Authorization` of a request."""
    return f"{SCHEME} {nonce} {sign(secret, method, path, nonce, body)}"


def nonce_and_signature(header: str | None) -> tuple[str, str] | None:
    """What a header `Authorization` holds; None when it is none of ours."""
    words = (header or "").split(" ")
    if (
        len(words) != 3
        or words[0] != SCHEME
        or not _NONCE.fullmatch(words[1])
        or not _SIGNATURE.fullmatch(words[2])
    ):
        return None
    return words[1], words[2]
