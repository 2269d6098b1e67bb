"""Whether a peer still takes what is sent and answers: the deadlines of one socket."""

from __future__ import annotations

# Seconds: a peer that takes nothing for so long while something waits for it, here or on its way,
# is cut off.
WRITE_DEADLINE = 10.0

# Seconds of silence after which a peer is cut off: three Pings that it has not answered.
SILENCE_DEADLINE = 15.0

# Seconds that a peer has for its half of the closing handshake.
CLOSE_DEADLINE = 2.0


class Liveness:
    """Looks at a peer about once a second.

    Attributes:
        spoke: It has sent something since the last look.
    """

    __slots__ = ("_answered", "_heard", "_progress", "_waiting", "spoke")

    def __init__(self, now: float, answered: float) -> None:
        """
        Args:
            now: Monotonic seconds for deadlines; see deadlines.ServedTime.
            answered: As for `look`.
        """
        self.spoke = False
        self._heard = self._progress = now
        self._waiting = 0  # bytes in the transport at the last look
        self._answered = answered

    def look(self, now: float, waiting: int, answerless: bool, answered: float) -> None:
        """See what has become of it.

        Args:
            now: As above.
            waiting: Bytes in the transport.
            answerless: Something that was sent has not been answered.
            answered: When something was answered last (`Window.answered`).
        """
        nothing_left = waiting == 0 and not answerless
        if waiting < self._waiting or nothing_left or answered > self._answered:
            self._progress = now
        if self.spoke:
            self._heard, self.spoke = now, False
        self._waiting, self._answered = waiting, answered

    def is_overdue(self, now: float, closing: float | None) -> bool:
        """Whether it is to be cut off.

        Args:
            closing: Since when the socket closes; None while it does not.
        """
        if closing is not None:
            return now - closing > CLOSE_DEADLINE
        return now - self._progress > WRITE_DEADLINE or now - self._heard > SILENCE_DEADLINE
