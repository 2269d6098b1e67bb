"""How much one peer may take: connections, messages, guesses. No sockets: addresses and times in, a decision out.

An address here is a whole household when its router translates, so the limits for one are far above what a family with a wall of
screens needs (a wall takes one connection for each camera), and no limit is a punishment: who stays below it again is served again.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from enum import Enum
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Protocol

from .addresses import own_networks

MAX_SOCKETS = 2000
"""WebSockets at once: a hall that watches its stage. Each takes 0.1 MB over TLS. Where the system gives fewer files, see `sockets_in`."""

MAX_SOCKETS_OF_ONE = 600
"""WebSockets at once from one address: whatever one computer does, most stay free for the others."""

MAX_DOORS = 500
"""Connections whose first request is not complete yet. When a thousand viewers join at once, so many wait at the same time."""

MAX_CONNECTIONS = MAX_SOCKETS + MAX_DOORS + 400
"""Connections of any kind at once, those in their TLS handshake and those for pages among them. A browser keeps six for pages."""

MAX_CONNECTIONS_OF_ONE = MAX_SOCKETS_OF_ONE + MAX_DOORS + 50
"""The same from one address: as many more than its sockets as there are doors, so that its sockets are refused with a sentence."""

SPARE_FILES = 60
"""File descriptors for listeners, databases, certificates and pages on their way."""

MAX_CAMERAS = 250
"""Cameras on the air at once: as many as share the memory for late viewers (hub.MAX_MEMORY_IN_ALL) with 2 s each."""

TLS_DEADLINE = 10.0
"""Seconds for a TLS handshake. A phone at the far end of the garden takes one."""

MESSAGES_AT_ONCE, MESSAGES_PER_SECOND = 300, 50
"""Control messages of one socket. A camera sends three a second and a player one; a page that wakes up sends some at once."""

CAMERA_FRAMES_AT_ONCE, CAMERA_FRAMES_PER_SECOND = 40_000, 4_000
"""WebSocket frames of one camera, whatever is in them. Two recorders that write 60 pictures and 50 packets of sound a second, each in up to
three pieces, send 333 with their pings. These limits are ten times that, and ten times the 10 s of it that come at once after a stall."""

CAMERA_BYTES_AT_ONCE, CAMERA_BYTES_PER_SECOND = 640 * 2**20, 64 * 2**20
"""Bytes of one camera: ten times 50 Mbit/s, and ten times 10 s of it at once."""

FRAMES_AT_ONCE, FRAMES_PER_SECOND = 600, 100
"""The same of a player or a wall, which sends a few short messages a second. Each control message may come in two pieces."""

BYTES_AT_ONCE, BYTES_PER_SECOND = 128 * 2**10, 16 * 2**10
"""Eight of the longest messages, then one a second: a player's usual message has 50 bytes."""

GUESSES_AT_ONCE, SECONDS_PER_GUESS = 10, 3
"""Wrong keys from one address. A person who mistypes does not meet this; a program that guesses gets 20 a minute, and a key has 80 bits."""

GUESSES_KNOWN = 8
"""Different wrong keys of one address that are known again. A program whose key was revoked shows it several times a second; if each time
were a guess, it would keep out whoever else has this address."""

MAX_ADDRESSES = 4096
"""Addresses remembered for wrong keys: 3 MB."""

MAX_SHOWN, MAX_SHOWN_FROM = 200, 100
"""Right keys that are remembered, as many as there may be (keys.MAX_KEYS), and addresses of each: 3 MB. So who holds one key, and has many
addresses, has at most that one forgotten."""

SHARED = 25
"""How many times as much as one address the addresses have together that there is no memory for (see `Buckets`)."""


class Bucket:
    """A token bucket: ``size`` at once, then one each ``interval`` seconds."""

    __slots__ = ("_interval", "_size", "_spent", "_then")

    def __init__(self, size: int, interval: float, now: float) -> None:
        self._size = size
        self._interval = interval
        self._spent = 0.0
        self._then = now

    def take(self, now: float) -> bool:
        """Take one; False when there is none."""
        if self.wait(now) > 0:
            return False
        self._spent += 1
        return True

    def wait(self, now: float) -> float:
        """Seconds until there is one; 0 when there is."""
        self._spent = max(0.0, self._spent - (now - self._then) / self._interval)
        self._then = now
        return max(0.0, (self._spent + 1 - self._size) * self._interval)

    def is_full(self, now: float) -> bool:
        """Nothing is missing: it is as good as a new one."""
        return self._spent <= (now - self._then) / self._interval


class Buckets:
    """A bucket for each address. Those of one foreign network of IPv6 have one together (see `counted_as`).

    The memory is bounded, and nobody can have it forget what counts: a bucket is forgotten only once it is full again, which is as good as
    new. While there is none such, addresses that are not known have one bucket together, `SHARED` times as large.
    """

    def __init__(self, size: int, interval: float, clock: Callable[[], float], most: int) -> None:
        """
        Args:
            size, interval: As for `Bucket`.
            clock: Monotonic seconds.
            most: Addresses that are known at once.
        """
        self._size, self._interval = size, interval
        self._clock = clock
        self._most = most
        self._known: OrderedDict[str, Bucket] = OrderedDict()  # that from which nothing was taken for longest first
        self._shared = Bucket(size * SHARED, interval / SHARED, clock())

    def __len__(self) -> int:
        return len(self._known)

    def wait(self, address: str) -> float:
        """Seconds until there is one for this address; 0 when there is."""
        now = self._clock()
        bucket = self._known.get(counted_once(address))
        if bucket is None and self._has_room(now):
            return 0.0
        return (bucket or self._shared).wait(now)

    def take(self, address: str) -> bool:
        """Take one for this address; False when there is none, and then it costs nothing."""
        now, name = self._clock(), counted_once(address)
        bucket = self._known.get(name)
        if bucket is None and self._has_room(now):
            if len(self._known) >= self._most:
                self._known.popitem(last=False)
            bucket = self._known[name] = Bucket(self._size, self._interval, now)
        if bucket is None:
            return self._shared.take(now)
        self._known.move_to_end(name)
        return bucket.take(now)

    def _has_room(self, now: float) -> bool:
        return len(self._known) < self._most or next(iter(self._known.values())).is_full(now)


class Pace:
    """How much one socket may send: two token buckets, one of WebSocket's frames and one of their bytes. It is asked at each read."""

    __slots__ = ("_at_once", "_bytes", "_bytes_at_once", "_bytes_per_second", "_frames", "_per_second", "_then")

    def __init__(self, films: bool, now: float) -> None:
        """
        Args:
            films: It is a camera's.
            now: The time.
        """
        if films:
            self._at_once, self._per_second = CAMERA_FRAMES_AT_ONCE, CAMERA_FRAMES_PER_SECOND
            self._bytes_at_once, self._bytes_per_second = CAMERA_BYTES_AT_ONCE, CAMERA_BYTES_PER_SECOND
        else:
            self._at_once, self._per_second = FRAMES_AT_ONCE, FRAMES_PER_SECOND
            self._bytes_at_once, self._bytes_per_second = BYTES_AT_ONCE, BYTES_PER_SECOND
        self._frames = self._bytes = 0.0  # spent
        self._then = now

    def spend(self, frames: int, size: int, now: float) -> bool:
        """It has sent so many frames and bytes; False when that is too much."""
        passed, self._then = now - self._then, now
        self._frames = max(0.0, self._frames - passed * self._per_second) + frames
        self._bytes = max(0.0, self._bytes - passed * self._bytes_per_second) + size
        return self._frames <= self._at_once and self._bytes <= self._bytes_at_once

    def give_back(self, frames: int, size: int) -> None:
        """Of these, some were asked for and are free."""
        self._frames -= frames
        self._bytes -= size


class WrongKeys:
    """Slows down who tries keys, address by address.

    Tokens in cookies are not slowed down: they have 256 bits, and somebody in the same household who holds a good one must get in. Nor is a
    key that this address has shown rightly before: behind a proxy, one that guesses would keep out everybody. A key is spelt in one way
    (`keys.letters`), and remembered as a digest.

    Attributes:
        count: Guesses so far, of all addresses.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """
        Args:
            clock: Monotonic seconds.
        """
        self.count = 0
        self._guesses = Buckets(GUESSES_AT_ONCE, SECONDS_PER_GUESS, clock, MAX_ADDRESSES)
        self._wrong: OrderedDict[str, deque[bytes]] = OrderedDict()  # the last ones of each address, that of the last guess last
        self._right: OrderedDict[bytes, OrderedDict[str, None]] = OrderedDict()  # who has shown it, the last one last

    def wait(self, address: str, key: str) -> int:
        """Whole seconds until this address may try this key; 0 for now. What is no right key of this address changes nothing."""
        # Both are looked at each time, so that what this takes tells nothing.
        known, wait = counted_once(address) in self._right.get(_digest(key), ()), self._guesses.wait(address)
        return 0 if known else math.ceil(wait)

    def right(self, address: str, key: str) -> None:
        """It has shown a right one."""
        name, digest = counted_once(address), _digest(key)
        shown_by = self._right.setdefault(digest, OrderedDict())
        shown_by[name] = None
        shown_by.move_to_end(name)
        self._right.move_to_end(digest)
        if len(shown_by) > MAX_SHOWN_FROM:
            shown_by.popitem(last=False)
        if len(self._right) > MAX_SHOWN:
            self._right.popitem(last=False)

    def add(self, address: str, key: str) -> bool:
        """It tried a wrong one; whether that was a guess, and not one of its last keys again."""
        name, digest = counted_once(address), _digest(key)
        self._right.pop(digest, None)  # it was revoked
        known = self._wrong.setdefault(name, deque(maxlen=GUESSES_KNOWN))
        self._wrong.move_to_end(name)
        if len(self._wrong) > MAX_ADDRESSES:
            self._wrong.popitem(last=False)
        if digest in known:
            return False
        known.append(digest)
        self._guesses.take(address)
        self.count += 1
        return True


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def counted_once(address: str) -> str:
    """The widest name by which an address is counted (see `counted_as`), for what one name of all may have."""
    return counted_as(address)[-1]


def counted_as(address: str) -> tuple[str, ...]:
    """By which names what an address takes is counted: its own, and that of its /64 where it is IPv6 and comes from outside this computer's
    own networks. There one subscriber has 2^64 addresses (RFC 6177); inside, each address is another device.

    Args:
        address: As sockets give it, perhaps with a scope (``%eth0``). IPv4 within IPv6 counts as IPv4; what is no address, as it is.
    """
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return (address,)
    if isinstance(found, IPv4Address):
        return (str(found),)
    if found.ipv4_mapped is not None:
        return (str(found.ipv4_mapped),)
    if any(found in network for network in own_networks()):
        return (str(found),)
    return (str(found), str(IPv6Network((found, 64), strict=False)))


class Room(Enum):
    """Whether there is a place."""

    FREE = "free"
    NONE_FOR_THIS_ADDRESS = "none for this address"
    NONE = "none"


class Places:
    """Places of one kind: for all, and of these a share for each address (see `counted_as`).

    Attributes:
        in_all, of_one: How many there are, and how many one address may have.
    """

    def __init__(self, in_all: int, of_one: int | None = None) -> None:
        """
        Args:
            of_one: See `share_of` if None.
        """
        self.in_all = in_all
        self.of_one = share_of(in_all) if of_one is None else of_one
        self._total = 0
        self._held: Counter[str] = Counter()  # by the names of `counted_as`
        self._addresses: Counter[str] = Counter()
        self._names: dict[str, tuple[str, ...]] = {}  # of each address that holds one, as they were when it came

    @property
    def total(self) -> int:
        """Places that are taken."""
        return self._total

    def held(self, address: str) -> int:
        """How many this address has, or its network, if that has more."""
        return max(self._held[name] for name in self._names.get(address) or counted_as(address))

    def room(self, address: str) -> Room:
        if self._total >= self.in_all:
            return Room.NONE
        return Room.FREE if self.held(address) < self.of_one else Room.NONE_FOR_THIS_ADDRESS

    def take(self, address: str) -> bool:
        """Take a place if there is one; see `enter` for one that was looked for before."""
        if self.room(address) is not Room.FREE:
            return False
        self.enter(address)
        return True

    def enter(self, address: str) -> None:
        self._total += 1
        self._addresses[address] += 1
        self._held.update(self._names.setdefault(address, counted_as(address)))

    def leave(self, address: str) -> None:
        """Give a place back that was taken or entered."""
        self._total -= 1
        for name in self._names[address]:
            less(self._held, name)
        less(self._addresses, address)
        if address not in self._addresses:
            del self._names[address]


def room_among(held: Iterable[str | None], address: str | None, in_all: int) -> Room:
    """As `Places` with their usual share, where so few are held that they can be looked through, and how many there are may change.

    Args:
        held: By whom; None where that is not known.
        address: Who asks for one more. If it is not known, it has no share.
        in_all: How many there are.
    """
    taken = list(held)
    if address is not None:
        others = [counted_as(one) for one in taken if one is not None]
        if any(sum(name in names for names in others) >= share_of(in_all) for name in counted_as(address)):
            return Room.NONE_FOR_THIS_ADDRESS
    return Room.FREE if len(taken) < in_all else Room.NONE


def share_of(in_all: int) -> int:
    """How many of all one address may have: three quarters, which is what an honest house behind one router needs; the others always find
    the rest."""
    return max(1, in_all * 3 // 4)


def less(counter: Counter[str], key: str) -> None:
    """Count one down, and forget what is at nothing."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


class Connection(Protocol):
    """As much of a socket as a `Lobby` needs."""

    def fileno(self) -> int:
        """Negative when it is closed."""


class Lobby:
    """Counts connections from their first moment, in all and by address.

    Nobody tells it of ends: which connections are closed is looked up before anybody is refused.
    """

    def __init__(self, in_all: int = MAX_CONNECTIONS, of_one: int = MAX_CONNECTIONS_OF_ONE) -> None:
        self._in_all = in_all
        self._of_one = of_one
        self._by_address: dict[str, list[Connection]] = {}
        self._count = 0

    def enter(self, address: str, connection: Connection) -> bool:
        """Count a connection; False, and it is not counted, when there is no room for it."""
        if self._count >= self._in_all or len(self._by_address.get(address, ())) >= self._of_one:
            self.tidy()
        theirs = self._by_address.get(address, [])
        if self._count >= self._in_all or len(theirs) >= self._of_one:
            return False
        self._by_address.setdefault(address, theirs).append(connection)
        self._count += 1
        return True

    def tidy(self) -> None:
        """Forget those that have closed."""
        for address, theirs in list(self._by_address.items()):
            theirs[:] = [one for one in theirs if one.fileno() >= 0]
            if not theirs:
                del self._by_address[address]
        self._count = sum(map(len, self._by_address.values()))


def make_room(wanted: int = MAX_CONNECTIONS) -> int:
    """Ask the system for as many open files as the connections need (many systems start with 1024, or 256).

    Returns:
        How many connections there may be.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit for sockets
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + SPARE_FILES:
        more = wanted + SPARE_FILES if hard == resource.RLIM_INFINITY else min(hard, wanted + SPARE_FILES)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft - SPARE_FILES))


def sockets_in(room: int) -> int:
    """How many of so many connections may be WebSockets: pages have to get in beside them.

    Args:
        room: As `make_room` says.
    """
    return max(1, min(MAX_SOCKETS, room * MAX_SOCKETS // MAX_CONNECTIONS))
