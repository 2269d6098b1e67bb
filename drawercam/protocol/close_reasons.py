"""Why the relay ends a socket: one close code and one stable id each (docs/protocol.md, "Errors and
close codes").
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from groundwork.brief import cut


class Reason(Enum):
    """Close code and default sentence; the id is the name in lower case with dashes."""

    RESTARTING = 1001, "The relay is stopping or restarting."
    NOT_TEXT = 1007, "A text message was not UTF-8."
    INTERNAL = 1011, "The relay has a fault; its log says more."
    BAD_MESSAGE = 4000, "The relay did not understand a message."
    BAD_MEDIA = 4001, "The camera sent bytes that are neither WebM nor MP4."
    MEDIA_LIMIT = 4002, "The camera sent a piece of media that is too large."
    TAKEN_OVER = 4003, "Another camera has taken this name."
    UNKNOWN_STREAM = 4004, "The camera sent bytes of a stream that it had not announced."
    UNEXPECTED_BINARY = 4005, "Only cameras may send binary messages."
    REVOKED = 4006, "The key of this connection has ended or was revoked."
    TOO_MANY_MESSAGES = 4007, "Too many messages came at once."
    KEYS_UNREAD = (
        4008,
        "The relay cannot read its keys now, so it lets nobody in by one. Its log says why.",
    )

    @property
    def code(self) -> int:
        return self.value[0]

    @property
    def sentence(self) -> str:
        return self.value[1]

    @property
    def id(self) -> str:
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Closing:
    """A reason, and the sentence that goes with it this time."""

    reason: Reason
    text: str = ""

    @property
    def sentence(self) -> str:
        return cut(self.text or self.reason.sentence)


class Refused(Exception):
    """A peer broke the protocol; its socket is to be closed with this reason."""

    def __init__(self, reason: Reason, text: str = "") -> None:
        self.closing = Closing(reason, text)
        super().__init__(self.closing.sentence)
