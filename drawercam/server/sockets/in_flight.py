"""What is on its way to one peer: how long it waits, how fast it gets less. No sockets, no asyncio,
no clock of its own.

What has left the transport may still lie in the kernel, in a router or in a proxy. So small
WebSocket Pings go between the frames. A peer answers them in order (RFC 6455 section 5.5.2), and a
Pong says that everything before its Ping has arrived.

Times are monotonic seconds, as given by the caller.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

# Seconds between two Pings to a peer that keeps up. To read a Pong costs the relay more than to
# write a picture.
PROBE_SELDOM = 1.0

# Seconds between two Pings at least where there is doubt.
PROBE_OFTEN = 0.05

# Seconds for which a Ping must be unanswered, or something wait in the transport, to raise doubt:
# Wi-Fi jitters by less.
DOUBT = 0.1

# Seconds of doubt about a peer that has come, or come back, or been left something out for.
NEWCOMER = 1.0
STRAIN = 10.0

# How many times as much as it was sent a newcomer's network must have carried to be trusted at
# once, although something was left out for it while nothing was known. Ten seconds of doubt for
# each of a thousand newcomers would cost the relay more than their pictures.
AMPLE = 8

# Pings that are unanswered at once. The newest ones are the least interesting.
MAX_PROBES = 64

# Bytes of one piece after which there is a Ping where the rate matters, and in a burst.
LARGE_PIECE = 8 * 2**10
BURST_PIECE = 256 * 2**10

# Bytes that show a rate, and seconds for which they count: a network changes.
PROOF = 8 * 2**10
PROOF_SPAN = 2.0

# Seconds that what follows them is taken to wait, until they have arrived for the first time: too
# many for a live picture where a keyframe is cheap. So a newcomer behind a narrow network gets its
# first keyframe alone, and a good one has answered before the next picture.
UNPROVEN_WAIT = 0.5

# Seconds between two looks that are surely in two turns of the event loop.
TURN = 0.02

# Seconds: no measurement is better than this.
_MOMENT = 1e-4

_NUMBER_BYTES = 8


@dataclass(slots=True)
class _Piece:
    """What was written from one Ping to the next, which ends it.

    Attributes:
        number: The Ping's.
        size: Bytes.
        begun: When the first of them was written.
        sent: When the Ping was.
        burst: It is part of a burst.
    """

    number: int
    size: int
    begun: float
    sent: float
    burst: bool


class Window:
    """What one peer was sent and has answered.

    Attributes:
        answered: When something was answered last; at first, the beginning.
        bursting: The latest burst has not arrived yet.
    """

    # See Socket.
    __slots__ = (
        "_arrived",
        "_before",
        "_begun",
        "_calm_until",
        "_came",
        "_failed",
        "_gone_by",
        "_looked",
        "_new_until",
        "_number",
        "_pieces",
        "_probed",
        "_proofs",
        "_rate",
        "_seen",
        "_strained_until",
        "_tail",
        "_trip",
        "_unanswered",
        "_unproven_busy",
        "_unproven_size",
        "answered",
        "bursting",
    )

    def __init__(self, now: float) -> None:
        self.answered = now
        self.bursting = False
        self._pieces: deque[_Piece] = deque()  # unanswered
        self._unanswered = 0  # bytes in them
        self._gone_by: float | None = (
            # When the network will have taken them, at the rate; None when that is to be reckoned
            # afresh.
            None
        )
        self._before = 0  # bytes up to the last Ping
        self._tail = 0  # bytes since the last Ping
        self._begun = now  # when the first of them was written
        self._number = 0
        self._probed = -math.inf
        self._trip: float | None = None  # the shortest round trip
        self._proofs: deque[tuple[float, float]] = deque()  # when answered, bytes per second
        self._unproven_size = 0  # bytes that were answered, and are too few to show a rate
        self._unproven_busy = 0.0  # seconds for which they kept the network busy
        self._rate: float | None = None  # bytes per second
        self._came, self._new_until = now, now + NEWCOMER
        self._arrived = 0  # bytes since then that were answered
        self._failed = False  # something was left out since then that was no newcomer's
        self._strained_until = -math.inf
        self._calm_until = -math.inf  # up to then nothing is in doubt, and no Ping due
        # The last look, and the last one in an earlier turn of the event loop.
        self._looked = self._seen = now

    # --- writing ---

    def wrote(self, size: int, now: float) -> None:
        """So many bytes were written."""
        if not self._tail:
            self._begun = now
        self._tail += size

    def calm(self, size: int, now: float) -> bool:
        """Whether nothing is in doubt, and no Ping due. Then what is to be written waits for
        nothing, and counts as written.

        This is the short way for almost every picture: `wait` is 0, `wrote` is done, nothing is
        `due`.
        """
        if now >= self._calm_until:
            return False
        if not self._tail:
            self._begun = now
        self._tail += size
        return True

    def due(self, now: float, stuck: bool) -> bool:
        """Whether a Ping should follow what was written.

        Args:
            now: The time.
            stuck: Something has waited in the transport for longer than DOUBT.
        """
        if now < self._calm_until and not stuck:
            return False
        since = now - self._probed
        if since >= PROBE_SELDOM:
            doubt = True
        elif since < PROBE_OFTEN:
            doubt = self._tail >= LARGE_PIECE and self._forecasts(now)
        else:
            late = bool(self._pieces) and now - self._pieces[0].sent - (self._trip or 0.0) > DOUBT
            doubt = stuck or late or now < self._new_until or self._forecasts(now)
        return doubt and len(self._pieces) < MAX_PROBES

    def probe(self, now: float, burst: bool = False) -> bytes:
        """A Ping follows what was written.

        Returns:
            Its payload.
        """
        self._number += 1
        # What was written long before was on its way long before: it says nothing about the rate.
        begun = max(self._begun, now - PROBE_OFTEN) if self._tail else now
        self._pieces.append(_Piece(self._number, self._tail, begun, now, burst))
        self._unanswered += self._tail
        if self._gone_by is not None and self._rate is not None:
            self._gone_by = max(self._gone_by, begun) + self._tail / self._rate
        self._before += self._tail
        self._tail, self._probed, self._calm_until = 0, now, -math.inf
        self.bursting |= burst
        return self._number.to_bytes(_NUMBER_BYTES, "big")

    def burst_piece(self) -> bool:
        """Whether a Ping should follow within a burst: a long one takes its time, and its peer is
        to be heard of meanwhile.
        """
        return self._tail >= BURST_PIECE and len(self._pieces) < MAX_PROBES - 1

    def newcomer(self, now: float) -> None:
        """The peer comes back."""
        self._came, self._new_until, self._calm_until = now, now + NEWCOMER, -math.inf
        self._arrived, self._failed = 0, False

    def left_out(self, now: float) -> None:
        """Something was left out for the peer.

        What its network has carried before is no longer believed.
        """
        if now >= self._strained_until:
            self._proofs.clear()
            self._rate = self._gone_by = None
        self._failed = self._failed or now >= self._new_until
        self._strained_until, self._calm_until = now + STRAIN, -math.inf

    # --- answers ---

    def answer(self, payload: bytes, now: float) -> bool:
        """A Pong has come. A Pong may answer for all Pings before it (RFC 6455 section 5.5.3).

        Returns:
            False, and nothing has happened, if it is the answer to no Ping that is unanswered.
        """
        pieces = self._pieces
        number = int.from_bytes(payload, "big")
        if (
            len(payload) != _NUMBER_BYTES
            or not pieces
            or not pieces[0].number <= number <= pieces[-1].number
        ):
            return False
        begun, size = pieces[0].begun, 0
        while pieces and pieces[0].number <= number:
            piece = pieces.popleft()
            size += piece.size
        self._unanswered -= size
        self._arrived += size
        self._gone_by = None
        trip = max(now - piece.sent, 0.0)
        self._trip = trip if self._trip is None else min(trip, self._trip)
        # The network was busy with these bytes from their beginning, or from the end of those
        # before them, until they were there.
        self._prove(size, now - self._trip - max(begun, self.answered - self._trip), now)
        self.answered = now
        self.bursting = self.bursting and any(one.burst for one in pieces)
        if now >= self._new_until:
            if (
                not self._failed
                and self._rate is not None
                and self._rate * (now - self._came) >= AMPLE * self._arrived
            ):
                self._strained_until = -math.inf
            if not pieces and not self._forecasts(now):
                self._calm_until = self._probed + PROBE_SELDOM
        return True

    def _prove(self, size: int, busy: float, now: float) -> None:
        self._unproven_size += size
        self._unproven_busy += max(busy, 0.0)
        if self._unproven_size < PROOF:
            return
        proofs = self._proofs
        proofs.append((now, self._unproven_size / max(self._unproven_busy, _MOMENT)))
        self._unproven_size, self._unproven_busy = 0, 0.0
        while len(proofs) > 1 and proofs[0][0] < now - PROOF_SPAN:
            proofs.popleft()
        # The fastest one: a network that stood still for a while is not slow for that.
        self._rate = max(rate for _, rate in proofs)

    # --- waiting ---

    @property
    def written(self) -> int:
        """Bytes written so far, without the Pings among them."""
        return self._before + self._tail

    @property
    def answerless(self) -> bool:
        """A Ping is unanswered."""
        return bool(self._pieces)

    def wait(self, now: float, stuck_since: float | None = None) -> float:
        """For how many seconds, beyond the shortest round trip, what is on its way has been waiting
        or will be.

        Args:
            now: The time.
            stuck_since: Since when something has been waiting in the transport; None if nothing
                does.
        """
        if now < self._calm_until and stuck_since is None:
            return 0.0
        if now - self._looked >= TURN:
            self._seen, self._looked = self._looked, now
        oldest = self._pieces[0].sent if self._pieces else now
        if stuck_since is not None and stuck_since < oldest:
            oldest = stuck_since
        # Up to the last look, not up to now: if the relay itself has stood still since, answers are
        # there that it has not read yet.
        age = self._seen - oldest - (self._trip or 0.0)
        if self._rate is None:
            if self._unanswered + self._tail >= PROOF:
                age = max(age, UNPROVEN_WAIT)
        elif self._forecasts(now):
            age = max(age, self._gone(self._rate) - now)
        return max(age, 0.0)

    def _forecasts(self, now: float) -> bool:
        """Whether the rate matters.

        For a peer that keeps up it would be only that at which the camera films.
        """
        return self._rate is None or now < self._strained_until

    def _gone(self, rate: float) -> float:
        """When the network will have taken all that is on its way, if it takes so many bytes per
        second.
        """
        gone = self._gone_by
        if gone is None:
            gone = self.answered - (self._trip or 0.0)
            for piece in self._pieces:
                gone = max(gone, piece.begun) + piece.size / rate
            self._gone_by = gone
        return max(gone, self._begun) + self._tail / rate if self._tail else gone
