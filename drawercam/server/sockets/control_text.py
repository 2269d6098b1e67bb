"""Control messages as a session hears them."""

from __future__ import annotations

from drawercam.protocol import messages
from drawercam.protocol.close_reasons import Reason, Refused

# Bytes of one message from anybody else, who may only send control messages.
MAX_OTHER_MESSAGE = messages.MAX_TEXT


def heard(text: str, vocabulary: messages.Vocabulary) -> messages.Message:
    """What a text message says.

    Args:
        vocabulary: What may be said.

    Raises:
        Refused: It is no control message, or not one that may be said.
    """
    try:
        if len(text) > messages.MAX_TEXT:
            raise messages.ControlError(
                f"a text message may be {messages.MAX_TEXT} characters long"
            )
        return messages.parse(text, vocabulary)
    except messages.ControlError as error:
        raise Refused(Reason.BAD_MESSAGE, f"{str(error).capitalize()}.") from None
