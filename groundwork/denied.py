"""A request that is refused: a status, a stable word and a sentence."""

from __future__ import annotations

from .brief import cut

SENTENCES = {
    400: "The request is not understood.",
    403: "There is nothing to see here.",
    404: "There is nothing at this address.",
    405: "This address does not take such a request.",
    413: "The request is too large.",
}
"""What is said with a status where there is nothing more to say."""


class Denied(Exception):
    """A request that is refused.

    Attributes:
        status: The HTTP status.
        id: A stable word. The message is a sentence.
        add: What is to be written where, so that the next such request is not refused; "" where
            nothing helps, or a person need not know.
        retry_after: Seconds after which it may be tried again, where that helps.
        headers: Others that belong to the answer.
    """

    def __init__(
        self,
        status: int,
        id: str,  # noqa: A002 - the wire's word
        sentence: str,
        retry_after: int | None = None,
        add: str = "",
    ) -> None:
        self.status = status
        self.id = id
        self.retry_after = retry_after
        self.add = add
        self.headers: dict[str, str] = {}
        super().__init__(cut(sentence))

    def as_json(self) -> dict[str, str]:
        """The body of the answer."""
        return {"error": self.id, "text": str(self)} | ({"add": self.add} if self.add else {})
