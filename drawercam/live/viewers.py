"""The viewers of a camera: what they are given, and what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from drawercam.protocol import messages

# Microseconds after which a vote for a pause has lapsed, unless it is cast again: a player that
# hangs cannot stop a camera for long.
VOTE_LIFETIME = 5_000_000


class Fragment:
    """One frame in its canonical form.

    Attributes:
        number: Track number on the wire.
        key: Decoding can start here.
        data: The media message (docs/protocol.md).
        framed: Room for ``data`` as one WebSocket message, filled in by whoever sends it first and
            used by all others.
    """

    __slots__ = ("data", "framed", "key", "number")

    def __init__(self, number: int, key: bool, data: bytes) -> None:
        self.number = number
        self.key = key
        self.data = data
        self.framed: bytes | None = None


class Run:
    """Frames that came together, and go on together.

    Attributes:
        fragments: At least two, in order.
        framed: Room for all of them as WebSocket messages, filled in by whoever sends them first
            and used by all others.
    """

    __slots__ = ("fragments", "framed")

    def __init__(self, fragments: Sequence[Fragment]) -> None:
        self.fragments = fragments
        self.framed: bytes | None = None

    def one_by_one(self, viewer: Viewer) -> bool:
        """Offer each of them; see Viewer.offer."""
        answers = [viewer.offer(fragment) for fragment in self.fragments]
        return any(answers)


class Viewer(Protocol):
    """The channel's side of what takes frames: a socket, later a recorder or another relay.

    Attributes:
        who: Its address, for people.
        drops: Frames left out for it so far.
    """

    who: str
    drops: int

    def tell(self, message: messages.Message) -> None:
        """Take a control message. Never waits, never raises."""

    def begin(self, number: int, init: bytes) -> None:
        """Take the init segment of a track; follows its TrackBegins message."""

    def catch_up(self, fragments: Sequence[Fragment]) -> None:
        """Take everything since the last keyframe, which comes first. Never waits, never raises."""

    def offer(self, fragment: Fragment) -> bool:
        """Take a frame or leave it. Never waits, never raises.

        Returns:
            True when only a keyframe will help this viewer on and none is in sight.
        """

    def offer_all(self, run: Run) -> bool:
        """Take or leave frames that came together, as `offer` does for each."""


class Follower:
    """What a viewer knows of itself that leaves pictures out: after one that was, it goes on with a
    keyframe.

    Attributes:
        drops: See Viewer.
        needs_key: The next picture must be a keyframe.
        asked: Somebody was asked for that keyframe; the channel does it for who joins.
    """

    __slots__ = ("asked", "drops", "needs_key")

    def __init__(self) -> None:
        self.drops = 0
        self.needs_key = self.asked = True

    def begin_anew(self) -> None:
        """It joins, or what it had is over."""
        self.needs_key = self.asked = True

    def leave_out(self, video: bool, key: bool) -> None:
        """A frame would have been late."""
        self.drops += 1
        if video and (key or not self.needs_key):
            self.needs_key, self.asked = (
                True,
                False,
            )  # also when it is the keyframe that was asked for

    def wait_for_key(self) -> bool:
        """A picture that is no keyframe came while one is needed; see Viewer.offer for the
        answer."""
        self.drops += 1
        asked, self.asked = self.asked, True
        return not asked


class Viewers:
    """The viewers of one camera.

    Attributes:
        present: All that are there.
        watching: Those that take frames, and when they voted for a pause (µs), if they did.
    """

    def __init__(self) -> None:
        self.present: set[Viewer] = set()
        self.watching: dict[Viewer, int | None] = {}

    @property
    def drops(self) -> int:
        """Frames left out for those who are there."""
        return sum(viewer.drops for viewer in self.present)

    def tell(self, message: messages.Message) -> None:
        """Tell all."""
        for viewer in self.present:
            viewer.tell(message)

    def watch(self, viewer: Viewer) -> bool:
        """Let a viewer take frames; returns whether that is new."""
        new = viewer not in self.watching
        self.watching.setdefault(viewer)
        return new

    def look_away(self, viewer: Viewer) -> bool:
        """Let a viewer take no more frames; returns whether it did."""
        if viewer not in self.watching:
            return False
        del self.watching[viewer]
        return True

    def voters(self, now: int) -> list[str]:
        """The addresses of those whose votes for a pause count."""
        # At each join and part over all viewers: where thousands come at once, a call for each
        # would be felt.
        return sorted(
            viewer.who
            for viewer, voted in self.watching.items()
            if voted is not None and now - voted < VOTE_LIFETIME
        )

    def report(self, now: int) -> list[dict[str, Any]]:
        """All of them as `/api/cameras` shows them."""
        return [
            {
                "watching": one in self.watching,
                "votes": (voted := self.watching.get(one)) is not None
                and now - voted < VOTE_LIFETIME,
                "drops": one.drops,
            }
            for one in sorted(self.present, key=lambda viewer: viewer.who)
        ]
