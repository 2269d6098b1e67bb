"""Bytes that end early while FFmpeg opens them, so that a slow camera is seen at once.

Before FFmpeg says what is in a stream it reads several pictures, which come within half a minute
where there is one in 8 s. So while it opens, a silence counts as the end: FFmpeg makes do with what
has come, and gives that. When more comes, it opens the same bytes anew from their beginning, as if
nothing had been, and what it gives again is left out. A stream without such silences is opened
once.
"""

from __future__ import annotations

from typing import Protocol

from drawercam.film.relay.clock import now

QUIET = 0.3
"""Seconds without bytes after which a picture counts as whole: a network that has lost a packet
brings it after 0.2 s.
"""

# Seconds for which bytes may come without a silence until FFmpeg knows what they are.
_LIMIT = 10.0

# Seconds for which the bytes of a slow camera's picture come at most.
_LONGEST_BURST = 2.0

# Bytes that are kept for opening them anew. FFmpeg itself reads 5 MB at most before it gives up.
_MOST = 8 * 2**20


class Silent(Exception):
    """No bytes have come for QUIET; the next read waits on."""


class Readable(Protocol):
    """Bytes, one after the other."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end.

        Raises:
            Silent: None have come for a while, and it is not the end.
        """


class Opening:
    """
    Attributes:
        is_early: The bytes have ended because of a silence, and go on after `again` or `go_on`.
        is_slow: They have done so before.
        size: Bytes that had come when they did so last.
    """

    def __init__(self, body: Readable) -> None:
        self._body = body
        self.begin()

    def begin(self) -> None:
        """Something else begins in the same bytes, and is opened."""
        self._kept: bytearray | None = (
            bytearray()
        )  # all that has come so far; None where it is not needed
        self._place = self.size = 0  # so many of those bytes were read since it was begun anew
        # When the first bytes since the last silence came (µs); None if none have.
        self._burst: int | None = None
        self._since = now()
        self._is_open = self._is_held = self._is_over = False
        self.is_early = self.is_slow = False
        self.repeated = {True: Repeated(), False: Repeated()}

    def again(self) -> bool:
        """Begin anew if they have ended early while they were opened; returns whether they have."""
        early, self.is_early = self.is_early and not self._is_open, False
        if early:
            self._place = 0
            for one in self.repeated.values():
                one.again()
        return early

    def opened(self, is_held: bool) -> None:
        """FFmpeg has seen enough.

        Args:
            is_held: It keeps a picture back until the next one comes, so of slow ones a silence is
                an end from now on, too.
        """
        self._is_open, self._is_held = not self.is_early, is_held

    def go_on(self) -> bool:
        """Go on behind an early end after the opening; returns whether there is more.

        FFmpeg may see an end twice.
        """
        if self._is_open:
            self.is_early = False
        return self._is_open and not self._is_over

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end.

        Raises:
            TimeoutError: They come, and FFmpeg does not find out what they are.
        """
        if self._kept is not None and self._place < len(self._kept):
            given = bytes(self._kept[self._place : self._place + size])
            self._place += len(given)
            return given
        if self._is_open:
            self._kept = None
        while not self.is_early:
            try:
                piece = self._body.read(size)
            except Silent:
                self._end_early()
                continue
            self._is_over = not piece
            moment = now()
            self._burst = self._burst or moment
            if not self._is_open and moment - self._since > _LIMIT * 1e6:
                raise TimeoutError
            if self._kept is not None:
                self._kept += piece
                self._place = len(self._kept)
                if self._place > _MOST:
                    self._kept = None
            return piece
        return b""

    def _end_early(self) -> None:
        moment = now()
        if self._burst is not None:
            # Of bytes that have come for long the network stands still.
            is_picture = (
                self.is_slow and self._is_held and moment - self._burst < _LONGEST_BURST * 1e6
            )
            self.is_early = is_picture if self._is_open else self._kept is not None
            self.is_slow |= self.is_early
        if self._kept is not None:
            self.size = len(self._kept)
        self._burst, self._since = None, moment


class Repeated:
    """What a track has given, of bytes that are read from their beginning again and again."""

    def __init__(self) -> None:
        self._given: list[bytes] = []
        self._place = 0

    def again(self) -> None:
        """The bytes begin anew."""
        self._place = 0

    def is_repeated(self, data: bytes, is_kept: bool) -> bool:
        """Whether something was given before. The first thing that differs, a picture that was cut
        off, is given with all behind it.

        Args:
            data: It; of decoded things, which have no bytes, the same for all: they are counted.
            is_kept: The bytes may begin anew after this.
        """
        if self._place < len(self._given) and self._given[self._place] == data:
            self._place += 1
            return True
        del self._given[self._place :]
        if is_kept:
            self._given.append(data)
            self._place += 1
        return False
