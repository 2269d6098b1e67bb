"""EBML (RFC 8794): variable-size integers, elements, and nothing about Matroska."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .packets import MAX_CHILDREN, MediaError, MediaLimitError

Buffer = bytes | bytearray | memoryview

# RFC 8794 section 17.1: with the default EBMLMaxIDLength of 4 and EBMLMaxSizeLength of 8.
MAX_ID_LENGTH = 4
MAX_SIZE_LENGTH = 8


def read_id(data: Buffer, position: int) -> tuple[int, int] | None:
    """Read an element ID, marker bits kept (RFC 8794 section 5).

    Returns:
        The ID and the position behind it, or None when the data ends too early.

    Raises:
        MediaError: The first byte begins no ID of at most 4 bytes.
    """
    if position >= len(data):
        return None
    length = 9 - data[position].bit_length()
    if length > MAX_ID_LENGTH:
        raise MediaError(f"0x{data[position]:02X} does not begin an EBML element")
    end = position + length
    if end > len(data):
        return None
    return int.from_bytes(data[position:end], "big"), end


def read_size(data: Buffer, position: int) -> tuple[int | None, int] | None:
    """Read an element data size (RFC 8794 section 6).

    Returns:
        The size in bytes (None for the unknown size, all data bits 1) and the position behind it, or None when the data ends
        too early.

    Raises:
        MediaError: The first byte begins no size of at most 8 bytes.
    """
    if position >= len(data):
        return None
    length = 9 - data[position].bit_length()
    if length > MAX_SIZE_LENGTH:
        raise MediaError("an EBML element has a size of more than 8 bytes")
    end = position + length
    if end > len(data):
        return None
    value_bits = (1 << (7 * length)) - 1
    value = int.from_bytes(data[position:end], "big") & value_bits
    return (None if value == value_bits else value), end


def children(data: Buffer) -> Iterator[tuple[int, Buffer]]:
    """Iterate over the child elements of a complete master element.

    Yields:
        ID and payload of each child.

    Raises:
        MediaError: A child is cut off, or its size is unknown.
        MediaLimitError: There are more than MAX_CHILDREN.
    """
    position = count = 0
    while position < len(data):
        count += 1
        if count > MAX_CHILDREN:
            raise MediaLimitError(f"an EBML element has more than {MAX_CHILDREN} others in it")
        head = read_id(data, position)
        size = read_size(data, head[1]) if head else None
        if head is None or size is None or size[0] is None or size[1] + size[0] > len(data):
            raise MediaError("an EBML element does not fit into its parent")
        position = size[1] + size[0]
        yield head[0], data[size[1] : position]


def read_uint(payload: Buffer) -> int:
    """Read an Unsigned Integer Element (RFC 8794 section 7.2): 0 to 8 bytes."""
    if len(payload) > 8:
        raise MediaError("an EBML integer is longer than 8 bytes")
    return int.from_bytes(payload, "big")


def read_float(payload: Buffer) -> float:
    """Read a Float Element (RFC 8794 section 7.3): 0, 4 or 8 bytes."""
    match len(payload):
        case 0:
            return 0.0
        case 4:
            return float(struct.unpack(">f", payload)[0])
        case 8:
            return float(struct.unpack(">d", payload)[0])
    raise MediaError("an EBML float is neither 4 nor 8 bytes long")


def read_text(payload: Buffer) -> str:
    """Read a String Element (RFC 8794 section 7.4), ended early by a zero byte."""
    return bytes(payload).split(b"\0", 1)[0].decode("ascii", "replace")


def size_vint(size: int, length: int = 0) -> bytes:
    """Write a size, in the fewest bytes or in exactly ``length``."""
    if not length:
        length = 1
        while size >= (1 << (7 * length)) - 1:
            length += 1
    return (size | 1 << (7 * length)).to_bytes(length, "big")


def uint(value: int) -> bytes:
    """Write the payload of an Unsigned Integer Element in the fewest bytes, one at least."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def element(identifier: int, payload: bytes) -> bytes:
    """Write an element of known size."""
    return identifier.to_bytes((identifier.bit_length() + 7) // 8, "big") + size_vint(len(payload)) + payload
