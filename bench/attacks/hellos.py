"""First messages of a TLS client (RFC 8446 section 4.1.2), as bytes: an attacker that never goes on
needs no TLS of its own.

They are built here, because Python cannot tell OpenSSL which groups to offer before
`SSLContext.set_groups`.
"""

from __future__ import annotations

import os
import struct

from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SECP256R1, SECP521R1, X25519, X448 = 0x0017, 0x0019, 0x001D, 0x001E
FFDHE2048, FFDHE3072, FFDHE4096, FFDHE6144, FFDHE8192 = range(0x0100, 0x0105)
"""Named groups (RFC 8446 section 4.2.7); those of finite fields (RFC 7919) are the costly ones."""

_FIELD_BYTES = {FFDHE2048: 256, FFDHE3072: 384, FFDHE4096: 512, FFDHE6144: 768, FFDHE8192: 1024}
_CURVES: dict[int, ec.EllipticCurve] = {SECP256R1: ec.SECP256R1(), SECP521R1: ec.SECP521R1()}

_SUITES = b"\x13\x01\x13\x02\x13\x03"
"""The three of TLS 1.3 that everybody has."""

_SIGNATURES = b"\x04\x03\x05\x03\x08\x04\x08\x05\x08\x06\x04\x01\x05\x01"
"""ECDSA, RSA-PSS and RSA: whatever key the relay's certificate has."""

_SERVER_NAME, _SUPPORTED_GROUPS, _SIGNATURE_ALGORITHMS, _SUPPORTED_VERSIONS, _KEY_SHARE = (
    0,
    10,
    13,
    43,
    51,
)


def client_hello(group: int) -> bytes:
    """A record with a ClientHello of TLS 1.3 that offers one group, and a share of it.

    The random bytes and the share may be the same each time: the server answers each with fresh
    ones of its own, which is its work.
    """
    share = _share(group)
    name = b"localhost"
    extensions = b"".join(
        (
            _extension(_SERVER_NAME, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name),
            _extension(_SUPPORTED_VERSIONS, b"\x02\x03\x04"),
            _extension(_SUPPORTED_GROUPS, struct.pack(">HH", 2, group)),
            _extension(_SIGNATURE_ALGORITHMS, struct.pack(">H", len(_SIGNATURES)) + _SIGNATURES),
            _extension(_KEY_SHARE, struct.pack(">HHH", len(share) + 4, group, len(share)) + share),
        )
    )
    body = b"\x03\x03" + os.urandom(32) + b"\x20" + os.urandom(32)
    body += (
        struct.pack(">H", len(_SUITES))
        + _SUITES
        + b"\x01\x00"
        + struct.pack(">H", len(extensions))
        + extensions
    )
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">HH", kind, len(data)) + data


def _share(group: int) -> bytes:
    """A public key of this group."""
    if group in _FIELD_BYTES:
        # A square, so it is of the large subgroup and passes every check (RFC 7919 section 5.1). To
        # compute with it is as much work as with any other number, because that takes the same time
        # for all.
        return (4).to_bytes(_FIELD_BYTES[group], "big")
    if group in _CURVES:
        point = ec.generate_private_key(_CURVES[group]).public_key()
        return point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    key = x25519.X25519PrivateKey.generate() if group == X25519 else x448.X448PrivateKey.generate()
    return key.public_key().public_bytes_raw()


def rubbish() -> bytes:
    """A record that says that it is a handshake and is none: as long as a ClientHello, of random
    bytes after a type that no message has.
    """
    body = b"\xff" + os.urandom(511)
    return b"\x16\x03\x01" + struct.pack(">H", len(body)) + body
