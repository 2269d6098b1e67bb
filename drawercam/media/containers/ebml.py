"""EBML (RFC 8794): variable-size integers, elements, and nothing about Matroska."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from drawercam.media.packets import MAX_CHILDREN, MediaError, MediaLimitError
from drawercam.media.work import Work

Buffer = bytes | bytearray | memoryview

# RFC 8794 section 17.1: with the default EBMLMaxIDLength of 4 and EBMLMaxSizeLength of 8.
MAX_ID_LENGTH = 4
MAX_SIZE_LENGTH = 8

# Characters of a string that are read. Names of codecs and kinds of documents have less than 20.
MAX_TEXT = 32


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
        The size in bytes (None for the unknown size, all data bits 1) and the position behind it,
        or None when the data ends too early.

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


def read_head(data: Buffer, position: int) -> tuple[int, int | None, int] | None:
    """Read what stands before an element's data: both of the above.

    Returns:
        The ID, the size (None when it is unknown) and the position of the data; or None when the
        bytes end too early.

    Raises:
        MediaError: As both.
    """
    end = len(data)
    if position < end and data[position] & 0x80:  # most IDs in a live stream have one byte
        identifier = data[position]
        position += 1
    else:
        long = read_id(data, position)
        if long is None:
            return None
        identifier, position = long
    if position < end and 0x80 <= data[position] < 0xFF:
        return identifier, data[position] & 0x7F, position + 1
    size = read_size(data, position)
    return None if size is None else (identifier, *size)


def children(data: Buffer, work: Work | None = None) -> Iterator[tuple[int, Buffer]]:
    """Iterate over the child elements of a complete master element.

    Args:
        data: The data of the master element.
        work: Pays for each of them, at the end.

    Yields:
        ID and payload of each child.

    Raises:
        MediaError: A child is cut off, or its size is unknown.
        MediaLimitError: There are more than MAX_CHILDREN, or they are too much work.
    """
    position = count = 0
    end = len(data)
    size: int | None
    while position < end:
        count += 1
        if count > MAX_CHILDREN:
            raise MediaLimitError(f"an EBML element has more than {MAX_CHILDREN} others in it")
        if (
            position + 1 < end and data[position] & 0x80 and 0x80 <= data[position + 1] < 0xFF
        ):  # most have one byte of each
            identifier, size, begin = data[position], data[position + 1] & 0x7F, position + 2
        else:
            identifier, size, begin = read_head(data, position) or (0, None, 0)
        if size is None or begin + size > end:
            raise MediaError("an EBML element does not fit into its parent")
        position = begin + size
        yield identifier, data[begin:position]
    if work is not None:
        work.spend(count)


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
    """Read a String Element (RFC 8794 section 7.4), ended early by a zero byte; of one that is
    longer than MAX_TEXT, its beginning.
    """
    return bytes(payload[:MAX_TEXT]).split(b"\0", 1)[0].decode("ascii", "replace")


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
    return (
        identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
        + size_vint(len(payload))
        + payload
    )
