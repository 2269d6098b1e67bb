"""Messages that come in several frames (RFC 6455 section 5.4)."""

from __future__ import annotations

import sys

from websockets.frames import Frame, Opcode


class MessageParts:
    """Puts one peer's messages together; the protocol bounds their size, and sees that their frames
    are in order.

    Attributes:
        is_text: The last message is text, and not binary.
    """

    __slots__ = ("_begun", "is_text")

    def __init__(self) -> None:
        self._begun = bytearray()
        self.is_text = False

    def add(self, frame: Frame) -> bytes | None:
        """The message that ends with this frame of data; None where more of it is to come.

        It takes the frame's data.
        """
        if frame.opcode is not Opcode.CONT:
            self.is_text = frame.opcode is Opcode.TEXT
        part, frame.data = (
            bytes(frame.data),
            b"",
        )  # the parser keeps its last frame until the next one comes
        if frame.fin and not self._begun:
            return part
        self._begun += part
        if not frame.fin:
            return None
        message = bytes(self._begun)
        self._begun.clear()
        return message

    def forget(self) -> None:
        """Forget what has begun to come."""
        self._begun.clear()

    @property
    def size(self) -> int:
        """Bytes of memory that it takes."""
        return sys.getsizeof(self._begun)
