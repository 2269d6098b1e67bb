"""A client's first message of TLS, byte by byte, with what Python's own client does not offer (RFC
8446 4.1.2, RFC 5246 7.4.1.2).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence

P256, P384, X25519 = 0x0017, 0x0018, 0x001D
FFDHE = {0x0100: 2048, 0x0101: 3072, 0x0102: 4096, 0x0103: 6144, 0x0104: 8192}
"""Groups (RFC 8446 section 4.2.7); the finite-field ones with their bits (RFC 7919)."""

DHE = (0x009E, 0x009F, 0xCCAA, 0x0033, 0x0039, 0x0067, 0x006B)
ECDHE = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA8, 0xCCA9)
"""Cipher suites of TLS 1.2, by how keys are exchanged."""

_TLS13 = (0x1301, 0x1302, 0x1303)

_SIGNATURES = (0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601)

_HELLO_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def client_hello(
    groups: Sequence[int], shares: Sequence[tuple[int, bytes]] | None, suites: Sequence[int] = ()
) -> bytes:
    """One record with a ClientHello.

    Args:
        groups: What it says it knows, the best first.
        shares: Public keys, by their group; None for TLS 1.2.
        suites: For TLS 1.2, besides those of 1.3.
    """
    extensions = _extension(0x0000, _sized(b"\0" + _sized(b"localhost", 2), 2))
    extensions += _extension(0x000A, _sized(_numbers(groups), 2)) + _extension(
        0x000D, _sized(_numbers(_SIGNATURES), 2)
    )
    extensions += _extension(0x000B, b"\x01\x00")
    if shares is not None:
        extensions += _extension(0x002B, b"\x02\x03\x04")
        extensions += _extension(
            0x0033,
            _sized(b"".join(struct.pack(">H", group) + _sized(key, 2) for group, key in shares), 2),
        )
    offered = (*(_TLS13 if shares is not None else ()), *suites)
    body = (
        b"\x03\x03"
        + os.urandom(32)
        + _sized(os.urandom(32), 1)
        + _sized(_numbers(offered), 2)
        + b"\x01\x00"
        + _sized(extensions, 2)
    )
    return b"\x16\x03\x01" + _sized(b"\x01" + _sized(body, 3), 2)


def public_key(bits: int) -> bytes:
    """What a server takes for the other side's key in a finite-field group: 4 is a square, so it is
    in the group and is computed with.
    """
    return (4).to_bytes(bits // 8, "big")


def is_retry(answer: bytes) -> bool:
    """Whether a server asks for a share of another group (HelloRetryRequest)."""
    return answer[5:6] == b"\x02" and answer[11:43] == _HELLO_RETRY


def _numbers(values: Sequence[int]) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def _sized(data: bytes, size: int) -> bytes:
    return len(data).to_bytes(size, "big") + data


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">H", kind) + _sized(data, 2)
