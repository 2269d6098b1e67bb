"""Control messages as a session hears them."""

from __future__ import annotations

from drawercam.protocol import messages as control
from drawercam.protocol.close_reasons import Reason, Refused

# Bytes of one message from anybody else, who may only send control messages.
MAX_OTHER_MESSAGE = control.MAX_TEXT


def heard(text: str, vocabulary: control.Vocabulary) -> control.Message:
    """What a text message says.

    Args:
        vocabulary: What may be said.

    Raises:
        Refused: It is no control message, or not one that may be said.
    """
    try:
        if len(text) > control.MAX_TEXT:
            raise control.ControlError(f"a text message may be {control.MAX_TEXT} characters long")
        return control.parse(text, vocabulary)
    except control.ControlError as error:
        raise Refused(Reason.BAD_MESSAGE, f"{str(error).capitalize()}.") from None
