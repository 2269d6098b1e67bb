"""Where WebSocket frames begin in what a peer sends (RFC 6455 section 5.2), without taking them
apart. No sockets.

To take a frame apart costs ten times as much as to find its end, and one read may hold 40,000 of
them. So they are counted first.
"""

from __future__ import annotations

# Bytes of the longest head without its mask.
_LONGEST = 10

_MASK_BYTES = 4


class Heads:
    """Follows one peer's frames through the pieces in which they come."""

    __slots__ = ("_begun", "_left")

    def __init__(self) -> None:
        self._begun = b""  # of a head that is not complete
        self._left = 0  # bytes of the frame that has begun, behind those that were passed

    def pass_over(self, data: bytes, at: int, most: int) -> tuple[int, int]:
        """Find the end of some frames.

        Args:
            data: The next piece.
            at: From where in it: 0, or the end that was given for this piece the last time.
            most: Heads to pass at most.

        Returns:
            The place behind these frames, or the piece's end; and how many heads lie before it.
        """
        size, heads = len(data), 0
        while True:
            at += self._left
            if at >= size:
                self._left = at - size
                return size, heads
            self._left = 0
            if heads == most:
                return at, heads
            length = (
                _length(self._begun + data[at : at + _LONGEST], 0)
                if self._begun
                else _length(data, at)
            )
            if not length:
                self._begun += data[at:]
                return size, heads
            heads += 1
            self._left = length - len(self._begun)
            self._begun = b""


def _length(data: bytes, at: int) -> int:
    """Bytes of the frame that begins there, with its head; 0 while too few of the head are
    there.
    """
    there = len(data) - at
    if there < 2:
        return 0
    second = data[at + 1]
    size, mask = second & 0x7F, second >> 5 & _MASK_BYTES
    if size < 126:
        return 2 + mask + size
    if size == 126:
        return 4 + mask + (data[at + 2] << 8 | data[at + 3]) if there >= 4 else 0
    return (
        _LONGEST + mask + int.from_bytes(data[at + 2 : at + _LONGEST], "big")
        if there >= _LONGEST
        else 0
    )
