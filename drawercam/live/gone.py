"""Cameras that are gone: which, why and since when. The last ones are remembered for a day,
because a person who comes to the wall in the morning should see that a camera was there in the
night. No sockets, no disk; what is kept over a restart is in gone_file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from groundwork.connections.limits import counted_once, share_of

from .relay_clock import elapsed_ms, utc_ms

REASONS = ("left", "closed", "lost", "media")
"""Why a camera is gone (docs/protocol.md, "States")."""

MAX_GONE = 100
"""Cameras that are remembered: several times what a house has.

One address has three quarters of them, as of all that there is for all.
"""

KEPT = 24 * 3600 * 1000
"""Milliseconds for which one is remembered: a night, and the day after it."""

_STEP = 2_000
"""Milliseconds by which the computer's clock must move against the time that passes, from one look
to the next a second later, to count as set by somebody. Programs that keep it right a little at a
time move it by half a millisecond.
"""


@dataclass(frozen=True, slots=True)
class Departure:
    """A camera that is gone.

    Attributes:
        name: Its name.
        address: From where it filmed last, "" if that is not known.
        reason: One of REASONS.
        since: When it went, in milliseconds of UTC since 1970.
        label: What people call it, "" if it has not said.
    """

    name: str
    address: str
    reason: str
    since: int
    label: str = ""


@dataclass(slots=True)
class _Entry:
    """Attributes: entered: When it came into the list, in milliseconds of the time that passes.
    ours: `since` was read from this computer's clock while this relay ran, and is corrected with
    it.
    """

    departure: Departure
    entered: int
    ours: bool


class Departures:
    """The cameras that are gone, and those that would be if the relay ended now. Only those count
    that have been live.

    Attributes:
        changed: Called at each change of what should outlive the relay. To be set by whoever keeps
            it.
    """

    def __init__(
        self, utc: Callable[[], int] = utc_ms, elapsed: Callable[[], int] = elapsed_ms
    ) -> None:
        """
        Args:
            utc: The computer's clock: milliseconds since 1970, which somebody may set.
            elapsed: Milliseconds that have passed since some moment, also while the computer slept.
        """
        self.changed: Callable[[], None] = lambda: None
        self._utc, self._elapsed = utc, elapsed
        self._offset = utc() - elapsed()  # at the last look
        self._on_air: dict[str, str] = {}  # names, and from where they film
        self._labels: dict[str, str] = {}  # of those that have one
        self._gone: dict[str, _Entry] = {}  # the one that went first comes first
        self._is_news = False  # what `look` is to tell

    def __iter__(self) -> Iterator[Departure]:
        return (entry.departure for entry in self._gone.values())

    def __contains__(self, name: str) -> bool:
        return name in self._gone

    @property
    def on_air(self) -> dict[str, str]:
        """Names that have been live and are not gone, each with its address."""
        return dict(self._on_air)

    @property
    def labels(self) -> dict[str, str]:
        """What people call those that are on the air, by name; only those that have said so."""
        return dict(self._labels)

    def now(self) -> int:
        """Milliseconds since 1970 by the computer's clock.

        Where that was set since the last look, what it has timed is corrected.
        """
        utc = self._utc()
        offset = utc - self._elapsed()
        step, self._offset = offset - self._offset, offset
        if abs(step) > _STEP:
            for entry in self._gone.values():
                if entry.ours:
                    entry.departure = replace(
                        entry.departure, since=max(0, entry.departure.since + step)
                    )
            self._news()
        return utc

    def films(self, name: str, address: str, label: str = "") -> None:
        """A camera of this name is live."""
        if name in self._gone or (self._on_air.get(name), self._labels.get(name, "")) != (
            address,
            label,
        ):
            self._gone.pop(name, None)
            self._on_air[name] = address
            self._labels.pop(name, None)
            if label:
                self._labels[name] = label
            self.changed()

    def returns(self, name: str, address: str, label: str = "") -> None:
        """A camera of this name has come.

        If it was remembered it is so again when it goes, whatever it has shown meanwhile.
        """
        if name in self._gone:
            self.films(name, address, label)

    def goes(self, name: str, reason: str, since: int) -> None:
        """The camera of this name has gone. One that was never live is not remembered."""
        address, label = self._on_air.pop(name, None), self._labels.pop(name, "")
        if address is not None:
            self._remember(Departure(name, address, reason, since, label), ours=True)
            self.changed()

    def recall(self, departures: Iterable[Departure]) -> None:
        """Remember what a relay before this one knew, the longest gone first."""
        for departure in departures:
            if departure.name not in self._on_air and departure.name not in self._gone:
                self._remember(departure, ours=False)
        self._news()

    def look(self) -> bool:
        """Forget what is older than a day. To be called about once a second.

        Returns:
            Whether cameras or times in the list are others than at the last look, for another
            reason than that one came or went.
        """
        now, elapsed = self.now(), self._elapsed()
        over = [
            name
            for name, entry in self._gone.items()
            # The second is for what was written down while the clock was ahead.
            if now - entry.departure.since >= KEPT or elapsed - entry.entered >= KEPT
        ]
        for name in over:
            del self._gone[name]
        if over:
            self._news()
        news, self._is_news = self._is_news, False
        return news

    def _news(self) -> None:
        self._is_news = True
        self.changed()

    def _remember(self, departure: Departure, ours: bool) -> None:
        self._make_room(departure.address)
        self._gone[departure.name] = _Entry(departure, self._elapsed(), ours)

    def _make_room(self, address: str) -> None:
        """Forget the longest gone of an address that has its share, or where there is no room of
        the address that has the most.
        """
        of, counted = (
            {name: counted_once(entry.departure.address) for name, entry in self._gone.items()},
            counted_once(address),
        )
        held = Counter(of.values())
        if held[counted] >= share_of(MAX_GONE):
            most = {counted}
        elif len(self._gone) >= MAX_GONE:
            most = {one for one, count in held.items() if count == max(held.values())}
        else:
            return
        del self._gone[next(name for name, one in of.items() if one in most)]
