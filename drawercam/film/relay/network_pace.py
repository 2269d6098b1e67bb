"""How much a network takes: whether to send now, and at which bit rate. Times in µs of one clock,
all given.

The witness is the ping, as in web/camera/publish/network-pace.js: it goes the way of the pictures,
through the same queues, and on while none is sent. Only its way there counts, and what is normal is
the shortest one lately.
"""

from __future__ import annotations

from collections import deque

# Above the normal way: from here on nothing is sent, and below the second one it goes on.
HOLD = 600_000
RELEASE = 120_000

# Above the normal way, more than the jitter of a good Wi-Fi: the bit rate is too high if that goes
# on for the second time without a break of the third.
LATE = 200_000
GOES_ON = 1_000_000
BREAK = 600_000

# Between two steps down: what was sent before has to get through first. Without trouble, before a
# step up.
SETTLES = 2_000_000
QUIET = 10_000_000

# Each step has about two thirds of the bytes of the one before; the last one has a twentieth of the
# first.
STEP = 0.65
LEAST = 0.05

# Ways remembered to know the shortest: with two pings a second, a minute.
_WAYS = 120


class Pace:
    """
    Attributes:
        held: Nothing is to be sent now.
        share: Of the full bit rate.
    """

    def __init__(self) -> None:
        self.held = False
        self.share = 1.0
        self._stepped = 0
        self.restart()

    def restart(self) -> None:
        """Another connection; what the network carries is what it was."""
        self.held = False
        self._asked: deque[int] = deque(maxlen=_WAYS)
        self._ways: deque[int] = deque(maxlen=_WAYS)
        self._late_since: int | None = None
        self._late_at = 0

    def asked(self, moment: int) -> None:
        """A ping is sent."""
        self.look(moment)
        self._asked.append(moment)

    def answered(self, asked: int, way: int, moment: int) -> None:
        """A ping was answered; see connection.Handler."""
        while self._asked and self._asked[0] <= asked:
            self._asked.popleft()
        self._ways.append(way)
        self.look(moment)

    def behind(self, moment: int) -> int:
        """How far the network is behind."""
        excess = self._ways[-1] - min(self._ways) if self._ways else 0
        # A ping without an answer has been under way for so long; some of that is the way back.
        out = moment - self._asked[0] - LATE if self._asked else 0
        return max(excess, out, 0)

    def look(self, moment: int) -> None:
        """Decide afresh."""
        behind = self.behind(moment)
        if self.held:
            self.held = behind > RELEASE
            self._stepped = self._late_at = moment  # what was sent before has to get through first
            self._late_since = None
        elif behind > HOLD:
            self.held = True
            self._step(STEP**2, moment)
        else:
            self._judge(behind > LATE, moment)

    def _judge(self, late: bool, moment: int) -> None:
        if late:
            self._late_at = moment
            self._late_since = moment if self._late_since is None else self._late_since
        elif moment - self._late_at > BREAK:
            self._late_since = None
        goes_on = self._late_since is not None and moment - self._late_since >= GOES_ON
        if goes_on and moment - self._stepped >= SETTLES:
            self._step(STEP, moment)
        elif self.share < 1 and moment - max(self._stepped, self._late_at) > QUIET:
            self._step(1 / STEP, moment)

    def _step(self, factor: float, moment: int) -> None:
        self.share = min(1.0, max(LEAST, self.share * factor))
        self._stepped = moment
