"""All cameras by name, also those that are gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Protocol

from drawercam.protocol import messages
from groundwork.connections.limits import Places, Room
from groundwork.names import NAME, NAME_RULE

from .channel import Channel, State
from .counters import Tally
from .gathering import Gathered, Later
from .gone import Departures
from .ledger import Budget, Ledger
from .pausing import Policy

# Channels that have, or had, a camera, above which those are forgotten early whose camera is gone
# and not remembered (gone.MAX_GONE), and for which no viewer waits.
MAX_CHANNELS = 500

# Names without a camera for which viewers may wait: a wall of as many tiles that comes back before
# its cameras do. An address has three quarters of them. A name that has, or had, a camera is none
# of these.
MAX_AWAITED = 250

# Bytes that all channels together remember for late viewers, and that their cameras have begun: 250
# cameras with 2 s at 4 Mbit/s.
MAX_MEMORY_IN_ALL = 256 * 2**20

# Seconds from 1970-01-01 to 2001-01-01, where DateUTC counts from (RFC 8794 section 7.6).
_EPOCH_2001 = 978_307_200


class HubFull(Exception):
    """Viewers wait for too many cameras already. The message is a sentence."""


class Watcher(Protocol):
    """Somebody who shows the list of cameras."""

    def tell(self, message: messages.Message) -> None:
        """Take a control message, all the same one. Never waits, never raises."""


class Hub:
    """The cameras of this relay.

    Attributes:
        clock: The relay's clock: monotonic microseconds since its start.
        ledger: What cameras have begun to send.
    """

    def __init__(
        self,
        clock: Callable[[], int],
        policy: Policy | None = None,
        later: Later | None = None,
        departures: Departures | None = None,
    ) -> None:
        """
        Args:
            clock: The relay's clock: monotonic microseconds since its start.
            policy: When cameras need not film.
            later: A timer; see gathering. Without one, all is said at once.
            departures: The cameras that are gone, which are told of all that come and go.
        """
        self.clock, self.later = clock, later
        self._departures = departures or Departures()
        self._policy = policy or Policy()
        self._budget = Budget(MAX_MEMORY_IN_ALL)
        self.ledger = Ledger(self._budget, clock)
        self._date_utc = time.time_ns() - clock() * 1000 - _EPOCH_2001 * 10**9
        self._channels: dict[str, Channel] = {}
        self._awaited: dict[
            str, str
            # Names for which viewers wait that never had a camera, and the address for which each
            # counts.
        ] = {}
        self._awaiting = Places(MAX_AWAITED)
        self._watchers: set[Watcher] = set()
        self._forgotten = Tally()  # what had passed through channels that are gone
        self._announce = Gathered(later, self._tell_watchers)
        self._look_at_departures()

    def channel(self, name: str) -> Channel:
        """The channel of that name for a camera, made if there is none. Viewers who wait take no
        room of cameras.

        Raises:
            ValueError: It is not a name.
        """
        channel = self._channels.get(name)
        if channel is None:
            if len(self._channels) - len(self._awaited) >= MAX_CHANNELS:
                self._forget_the_longest_gone()
            channel = self._make(name)
        self._no_longer_awaited(name)
        return channel

    def awaited(self, name: str, address: str) -> Channel:
        """The channel of that name for a viewer, made if there is none.

        Args:
            address: From where the viewer comes. The name counts for it until there is a camera.

        Raises:
            ValueError: It is not a name.
            HubFull: Viewers, or those of this address, wait for too many cameras already.
        """
        channel = self._channels.get(name)
        if channel is not None:
            return channel
        match self._awaiting.room(address):
            case Room.NONE:
                raise HubFull("Viewers wait for too many cameras already.")
            case Room.NONE_FOR_THIS_ADDRESS:
                raise HubFull("Viewers of this address wait for too many cameras already.")
        channel = self._make(name)
        self._awaiting.enter(address)
        self._awaited[name] = address
        return channel

    def find(self, name: str) -> Channel | None:
        """The channel of that name, if there is one."""
        return self._channels.get(name)

    def watch(self, watcher: Watcher) -> None:
        """Tell this one the list now and at every change."""
        self._watchers.add(watcher)
        watcher.tell(self.listing())

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    def cameras(self) -> list[Channel]:
        """Channels that have a camera, and those whose camera is gone and remembered, by name."""
        return sorted(
            (one for one in self._channels.values() if self._shown(one)), key=lambda one: one.name
        )

    @property
    def channels(self) -> Collection[Channel]:
        """All of them, also those for whose camera somebody waits."""
        return self._channels.values()

    @property
    def walls(self) -> int:
        """How many are shown the list of cameras."""
        return len(self._watchers)

    @property
    def remembered(self) -> int:
        """Bytes that all channels together hold for late viewers."""
        return self._budget.used - self.ledger.shared

    def tally(self) -> Tally:
        """What has passed through all channels there have ever been.

        No number of it is ever smaller than the last time.
        """
        total = Tally()
        total.include(self._forgotten)
        for channel in self._channels.values():
            total.include(channel.tally)
            total.drops += channel.drops
        return total

    def sweep(self) -> None:
        """Let channels see to what time changes, and forget those that nobody needs.

        To be called about once a second.
        """
        for channel in self._channels.values():
            channel.sweep()
        self._look_at_departures()
        for name in [
            name for name, one in self._channels.items() if one.deserted and not self._shown(one)
        ]:
            self._forget(name)

    def _make(self, name: str) -> Channel:
        if not NAME.fullmatch(name):
            raise ValueError(NAME_RULE)
        changed, utc = partial(self._changed, name), self._departures.now
        channel = Channel(
            name, self.clock, self._date_utc, changed, self._policy, self._budget, self.later, utc
        )
        self._channels[name] = channel
        return channel

    def _changed(self, name: str) -> None:
        """Something has changed of what the wall shows of this channel."""
        channel = self._channels.get(name)
        if channel is not None:
            if channel.gone_since is not None and channel.reason is not None:
                self._departures.goes(name, channel.reason, channel.gone_since)
            elif channel.state is State.LIVE:
                self._departures.films(name, channel.address, channel.label)
            else:
                self._departures.returns(name, channel.address, channel.label)
        self._announce()

    def _look_at_departures(self) -> None:
        """Where the list of cameras that are gone is another one, say so to all; each of them has a
        channel.
        """
        if self._departures.look():
            for departure in list(self._departures):
                channel = self.channel(departure.name)
                if channel.camera is None:
                    channel.recall(departure.reason, departure.since, departure.label)
                else:  # it came before the list was found
                    self._departures.returns(departure.name, channel.address, channel.label)
            self._announce()

    def _forget(self, name: str) -> None:
        self._no_longer_awaited(name)
        self._forgotten.include(self._channels.pop(name).tally)

    def _no_longer_awaited(self, name: str) -> None:
        address = self._awaited.pop(name, None)
        if address is not None:
            self._awaiting.leave(address)

    def _forget_the_longest_gone(self) -> None:
        gone = [
            one
            for one in self._channels.values()
            if one.deserted and one.state is State.GONE and not self._shown(one)
        ]
        if gone:
            self._forget(min(gone, key=lambda one: one.since).name)
            self._announce()

    def _shown(self, channel: Channel) -> bool:
        return channel.camera is not None or channel.name in self._departures

    def listing(self) -> messages.Cameras:
        """The list as watchers are told it."""
        return messages.Cameras(tuple(map(_entry, self.cameras())))

    def _tell_watchers(self) -> None:
        listing = self.listing()
        for watcher in self._watchers:
            watcher.tell(listing)


def _entry(channel: Channel) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": channel.name, "state": channel.state, "kinds": channel.kinds}
    if channel.label:
        entry["label"] = channel.label
    return (
        entry
        if channel.gone_since is None
        else entry | {"reason": channel.reason, "since": channel.gone_since}
    )
