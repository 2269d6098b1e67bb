"""Fields of bits, as the headers of codecs have them."""

from __future__ import annotations

from .packets import MediaError

# Bytes that are one number at a time: all of a usual header. To take a field out of a number takes
# as long as the number is, and the longest headers have 16 KiB.
_WINDOW = 256

# Zeros before the first 1 of an exp-Golomb number at most, and the bits of such a number.
_ZEROS = 32
_LONGEST = 2 * _ZEROS + 1


class Bits:
    """The bits of a header, one field after the other, the most significant of a byte first."""

    __slots__ = ("_end", "_header", "_position", "_what", "_window")

    def __init__(self, header: bytes, what: str) -> None:
        """
        Args:
            header: The bytes.
            what: What they are, with an article, for sentences.
        """
        self._header = header
        self._what = what
        self._position = 0
        self._window = int.from_bytes(header[:_WINDOW], "big")
        self._end = min(len(header), _WINDOW) * 8  # of the window, in bits

    @property
    def position(self) -> int:
        """How many bits have been read."""
        return self._position

    def __call__(self, count: int) -> int:
        """Read an unsigned integer of ``count`` bits, 64 at most; it is 0 where that is 0.

        Raises:
            MediaError: There are not so many any more.
        """
        end = self._position + count
        if end > self._end:
            self._move()
            if end > self._end:
                raise MediaError(f"{self._what} is cut off")
        self._position = end
        return self._window >> self._end - end & (1 << count) - 1

    def ue(self, limit: int = 2**32 - 2) -> int:
        """Read an unsigned exp-Golomb number (ITU-T H.264 9.1) up to ``limit``.

        Raises:
            MediaError: It is larger, or does not end.
        """
        left = self._end - self._position
        if left < _LONGEST:
            self._move()
            left = self._end - self._position
        zeros = left - (self._window & (1 << left) - 1).bit_length()
        if zeros > _ZEROS or zeros == left:
            raise MediaError(f"{self._what} has a number that does not end")
        self._position += zeros
        value = self(zeros + 1) - 1
        if value > limit:
            raise MediaError(f"{self._what} has {value} where {limit} is the limit")
        return value

    def se(self) -> int:
        """Read a signed exp-Golomb number (ITU-T H.264 9.1.1).

        Raises:
            MediaError: See `ue`.
        """
        value = self.ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)

    def back_to(self, position: int) -> None:
        """Stand where it stood before.

        Args:
            position: As it was then.
        """
        self._position = position
        self._move()

    def until_here(self) -> str:
        """All bits read so far, as characters 0 and 1."""
        position = self._position
        read = int.from_bytes(self._header[: (position + 7) // 8], "big") >> -position % 8
        return f"{read:0{position}b}" if position else ""

    def _move(self) -> None:
        """Let the window begin where the next field does."""
        begin = self._position // 8
        header = self._header[begin : begin + _WINDOW]
        self._window = int.from_bytes(header, "big")
        self._end = (begin + len(header)) * 8
