"""What came by one connection and waits, because its address had its share of the turn."""

from __future__ import annotations

from .scheduler import Share, Worker


class Backlog:
    """The bytes of one connection that were not looked at yet.

    Attributes:
        share: What the address of the connection has of each turn.
        rest: The bytes.
        waits: Its worker waits for the next turn.
    """

    __slots__ = ("rest", "share", "waits")

    def __init__(self, share: Share) -> None:
        self.share = share
        self.rest = b""
        self.waits = False

    def may_take(self, data: bytes, worker: Worker) -> bool:
        """Whether bytes that have come may be looked at now.

        If not, they are kept behind those before them: nothing more is to be read.
        """
        if self.rest or self.waits:
            self.rest += data
            return False
        if not self.share.is_free:
            self.wait(data, worker)
            return False
        return True

    def wait(self, data: bytes, worker: Worker) -> None:
        """Keep these bytes up to the next turn; then the worker goes on, and is to `take` them."""
        self.rest, self.waits = data, True
        self.share.wait(worker)

    def take(self) -> bytes:
        """What has waited."""
        data, self.rest, self.waits = self.rest, b"", False
        return data
