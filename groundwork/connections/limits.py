"""How much one peer may take: connections, messages, guesses. No sockets: addresses and times in, a
decision out.

An address here is a whole household when its router translates, so the limits for one are far above
what a family with a wall of screens needs (a wall takes one connection for each camera), and no
limit is a punishment: who stays below it again is served again. Of whatever there is for all, one
address has a share.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Protocol

from groundwork.addresses import own_networks

MAX_SOCKETS = 2000
"""WebSockets at once: a hall that watches its stage.

Each takes 0.1 MB over TLS. Where the system gives fewer files, see `Capacity`.
"""

MAX_SOCKETS_OF_ONE = 600
"""WebSockets at once from one address: whatever one computer does, most stay free for the
others.
"""

MAX_PAGES = 700
"""Connections that are no sockets: in their TLS handshake, with a first request that is not
complete, or for pages. There may be more of them as long as there are fewer sockets.
"""

MAX_PAGES_OF_ONE = MAX_PAGES * 3 // 4
"""The same of one address. Eight people whose walls of thirty cameras begin anew have 248
handshakes at once, and six connections each for pages. One in its handshake takes 60 KB.
"""

MAX_TURNED_AWAY = 64
"""Connections beyond those, of whom there are none that could make room: they are told that there
is none.
"""

MAX_CONNECTIONS = MAX_SOCKETS + MAX_PAGES
"""Connections of any kind at once, but for those that are turned away and those of the trust
page.
"""

MAX_TRUST = 64
"""Connections to the trust page at once. A browser opens six."""

MAX_DECODERS = 16
"""Workers that make pictures, at once: 60 MB and a part of a core each."""

STANDING_FILES = 40
"""File descriptors for all else: listeners, loop, log, multicast DNS, a registry's database and an
announcement to one, certificates, the file of keys and what is in reserve for it, the lock of the
list of cameras that are gone, pages that are just being read. A relay that has nothing to do has
23.
"""

FILES_OF_A_DECODER = 3
"""File descriptors of a worker: two pipes, and what tells of its end."""

MAX_CAMERAS = 250
"""Cameras on the air at once: as many as share the memory for late viewers (hub.MAX_MEMORY_IN_ALL)
with 2 s each.
"""

TLS_DEADLINE = 10.0
"""Seconds until a connection says something, and then for its TLS handshake.

A phone at the far end of the garden takes one.
"""

MESSAGES_AT_ONCE, MESSAGES_PER_SECOND = 300, 50
"""Control messages of one socket.

A camera sends three a second and a player one; a page that wakes up sends some at once.
"""

CAMERA_FRAMES_AT_ONCE, CAMERA_FRAMES_PER_SECOND = 40_000, 4_000
"""WebSocket frames of one camera, whatever is in them. Two recorders that write 60 pictures and 50
packets of sound a second, each in up to three pieces, send 333 with their pings. These limits are
ten times that, and ten times the 10 s of it that come at once after a stall.
"""

CAMERA_BYTES_AT_ONCE, CAMERA_BYTES_PER_SECOND = 640 * 2**20, 64 * 2**20
"""Bytes of one camera: ten times 50 Mbit/s, and ten times 10 s of it at once."""

FRAMES_AT_ONCE, FRAMES_PER_SECOND = 600, 100
"""The same of a player or a wall, which sends a few short messages a second.

Each control message may come in two pieces.
"""

BYTES_AT_ONCE, BYTES_PER_SECOND = 128 * 2**10, 16 * 2**10
"""Eight of the longest messages, then one a second: a player's usual message has 50 bytes."""

GUESSES_AT_ONCE, SECONDS_PER_GUESS = 10, 3
"""Wrong keys from one address.

A person who mistypes does not meet this; a program that guesses gets 20 a minute, and a key has 80
bits.
"""

GUESSES_KNOWN = 8
"""Different wrong keys of one address that are known again. A program whose key was revoked shows
it several times a second; if each time were a guess, it would keep out whoever else has this
address.
"""

MAX_ADDRESSES = 4096
"""Addresses remembered for wrong keys: 3 MB."""

MAX_SHOWN, MAX_SHOWN_FROM = 200, 100
"""Right keys that are remembered, as many as there may be (keys.MAX_KEYS), and addresses of each: 3
MB. So the holder of one key, from many addresses, has at most that one forgotten.
"""

SHARED = 25
"""How many times as much as one address the addresses have together that there is no memory for
(see `Buckets`).
"""


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
    """A bucket for each address. Those of one foreign network of IPv6 have one together (see
    `counted_as`).

    The memory is bounded, and no crowd of addresses has it forget what counts: a bucket is
    forgotten only once it is full again, which is as good as new. While there is none such,
    addresses that are not known have one bucket together, `SHARED` times as large.
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
        self._known: OrderedDict[str, Bucket] = (
            OrderedDict()
        )  # that from which nothing was taken for longest first
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
    """How much one socket may send: two token buckets, one of WebSocket's frames and one of their
    bytes. It is asked at each read.
    """

    __slots__ = (
        "_at_once",
        "_bytes",
        "_bytes_at_once",
        "_bytes_per_second",
        "_frames",
        "_per_second",
        "_then",
    )

    def __init__(self, films: bool, now: float) -> None:
        """
        Args:
            films: It is a camera's.
            now: The time.
        """
        if films:
            self._at_once, self._per_second = CAMERA_FRAMES_AT_ONCE, CAMERA_FRAMES_PER_SECOND
            self._bytes_at_once, self._bytes_per_second = (
                CAMERA_BYTES_AT_ONCE,
                CAMERA_BYTES_PER_SECOND,
            )
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

    Tokens in cookies are not slowed down: they have 256 bits, and somebody in the same household
    who holds a good one must get in. Nor is a key that this address has shown rightly before:
    behind a proxy, one that guesses would keep out everybody. A key is spelt in one way
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
        self._wrong: OrderedDict[str, deque[bytes]] = (
            OrderedDict()
        )  # the last ones of each address, that of the last guess last
        self._right: OrderedDict[bytes, OrderedDict[str, None]] = (
            OrderedDict()
        )  # by which addresses it was shown, the last one last

    def wait(self, address: str, key: str = "") -> int:
        """Whole seconds until this address may try this key; 0 for now.

        What is no right key of this address changes nothing.
        """
        # Both are looked at each time, so that what this takes tells nothing.
        known, wait = (
            counted_once(address) in self._right.get(_digest(key), ()),
            self._guesses.wait(address),
        )
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
    """The widest name by which an address is counted (see `counted_as`), for what one name of all
    may have.
    """
    return counted_as(address)[-1]


def counted_as(address: str) -> tuple[str, ...]:
    """By which names what an address takes is counted: its own, and that of its /64 where it is
    IPv6 and comes from outside this computer's own networks. There one subscriber has 2^64
    addresses (RFC 6177); inside, each address is another device.

    Args:
        address: As sockets give it, perhaps with a scope (``%eth0``). IPv4 within IPv6 counts as
            IPv4; what is no address, as it is.
    """
    return _counted_as(address, own_networks() if ":" in address else frozenset())


@lru_cache(MAX_ADDRESSES)
def _counted_as(address: str, own: frozenset[IPv6Network]) -> tuple[str, ...]:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return (address,)
    if isinstance(found, IPv4Address):
        return (str(found),)
    if found.ipv4_mapped is not None:
        return (str(found.ipv4_mapped),)
    if any(found in network for network in own):
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
        self._names: dict[
            str, tuple[str, ...]
        ] = {}  # of each address that holds one, as they were when it came

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
    """As `Places` with their usual share, where so few are held that they can be looked through,
    and how many there are may change.

    Args:
        held: By whom; None where that is not known.
        address: Who asks for one more. If it is not known, it has no share.
        in_all: How many there are.
    """
    taken = list(held)
    if address is not None:
        others = [counted_as(one) for one in taken if one is not None]
        if any(
            sum(name in names for names in others) >= share_of(in_all)
            for name in counted_as(address)
        ):
            return Room.NONE_FOR_THIS_ADDRESS
    return Room.FREE if len(taken) < in_all else Room.NONE


def share_of(in_all: int) -> int:
    """How many of all one address may have: three quarters, which is what an honest house behind
    one router needs; the others always find the rest.
    """
    return max(1, in_all * 3 // 4)


def less(counter: Counter[str], key: str) -> None:
    """Count one down, and forget what is at nothing."""
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]


class Guest(Protocol):
    """A connection, as far as a `Lobby` is concerned.

    Attributes:
        address: From where.
    """

    address: str

    def displace(self) -> None:
        """End it: its place is another's now."""


class Lobby:
    """Connections from their first moment, in all and by address.

    Those that have shown no right yet make room for newcomers: the oldest goes, of the address that
    has its share, or where all places are taken of the address (or its /64, see `counted_as`) that
    has the most such connections. One that has shown a right stays.
    """

    def __init__(
        self, in_all: int, of_one: int | None = None, proxies: Container[str] = ()
    ) -> None:
        """
        Args:
            of_one: See `Places`.
            proxies: Addresses that may have all places, because many come by each; see `move`.
        """
        self._places = Places(in_all, of_one)
        self._proxies = proxies
        self._strangers: OrderedDict[str, OrderedDict[Guest, None]] = (
            OrderedDict()
        )  # by how they are counted; the oldest first
        self._counted: dict[Guest, str] = {}  # how each stranger is
        self._shown: set[Guest] = set()
        self._let_in: set[Guest] = set()

    @property
    def total(self) -> int:
        """How many are in, those that were let in among them."""
        return self._places.total + len(self._let_in)

    def enter(self, guest: Guest) -> bool:
        """Take a newcomer in, in place of another if need be; False if all who are in have shown a
        right.
        """
        if not self._make_room(guest.address):
            return False
        self._places.enter(guest.address)
        counted = self._counted[guest] = counted_as(guest.address)[-1]
        self._strangers.setdefault(counted, OrderedDict())[guest] = None
        return True

    def move(self, guest: Guest, address: str) -> bool:
        """It turns out to be of another address, of which no right is known.

        False if it must go, because that has no room.
        """
        self.leave(guest)
        guest.address = address
        return self.enter(guest)

    def show(self, guest: Guest) -> None:
        """It has shown a right: from now on it stays."""
        if guest in self._counted:
            self._forget_stranger(guest)
            self._shown.add(guest)

    def let_in(self, guest: Guest) -> None:
        """It has a place elsewhere (see `visits.Book`), where it is counted for its address; here
        it counts in all, and stays.
        """
        if guest in self._let_in:
            return
        if self._give_up(guest):
            self._let_in.add(guest)
            self._places.in_all -= 1

    def come_back(self, guest: Guest) -> bool:
        """It was let in and has no place elsewhere any more. It counts for its address again, and
        stays; False if it must go because that has no room.
        """
        if guest not in self._let_in:
            return True
        self._out(guest)
        if not self._make_room(guest.address):
            return False
        self._places.enter(guest.address)
        self._shown.add(guest)
        return True

    def leave(self, guest: Guest) -> None:
        """It has ended; also to be called of one that was displaced, or never came in."""
        if guest in self._let_in:
            self._out(guest)
        else:
            self._give_up(guest)

    def _make_room(self, address: str) -> bool:
        places = self._places
        if places.held(address) >= places.of_one and address not in self._proxies:
            oldest = self._oldest(counted_as(address)[-1])
        elif places.total >= places.in_all:
            most = max(self._strangers, key=lambda name: len(self._strangers[name]), default="")
            oldest = self._oldest(most)
        else:
            return True
        if oldest is None:
            return False
        self._give_up(oldest)
        oldest.displace()
        return True

    def _oldest(self, counted: str) -> Guest | None:
        return next(iter(self._strangers.get(counted, ())), None)

    def _give_up(self, guest: Guest) -> bool:
        """Whether it had a place here."""
        if guest in self._shown:
            self._shown.remove(guest)
        elif guest in self._counted:
            self._forget_stranger(guest)
        else:
            return False
        self._places.leave(guest.address)
        return True

    def _forget_stranger(self, guest: Guest) -> None:
        counted = self._counted.pop(guest)
        del self._strangers[counted][guest]
        if not self._strangers[counted]:
            del self._strangers[counted]

    def _out(self, guest: Guest) -> None:
        self._let_in.remove(guest)
        self._places.in_all += 1


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many connections of each kind, and how many workers, there may be where the system gives
    so many files.

    Attributes:
        sockets, sockets_of_one: WebSockets, and of one address.
        pages, pages_of_one: Connections that are no sockets; the first beside as many sockets as
            there may be.
        turned_away: Connections that are told that there is no room.
        trust: Connections to the trust page.
        decoders: Workers that make pictures.
    """

    sockets: int = MAX_SOCKETS
    sockets_of_one: int = MAX_SOCKETS_OF_ONE
    pages: int = MAX_PAGES
    pages_of_one: int = MAX_PAGES_OF_ONE
    turned_away: int = MAX_TURNED_AWAY
    trust: int = MAX_TRUST
    decoders: int = MAX_DECODERS

    @property
    def connections(self) -> int:
        """Sockets and pages."""
        return self.sockets + self.pages

    @property
    def files(self) -> int:
        """How many file descriptors all of it needs."""
        return (
            STANDING_FILES
            + self.connections
            + self.turned_away
            + self.trust
            + self.decoders * FILES_OF_A_DECODER
        )

    @classmethod
    def within(cls, files: int) -> Capacity:
        """What there can be with so many file descriptors: the same part of everything, but enough
        of each for one phone and one viewer.
        """
        full = cls()
        part = max(0.0, min(1.0, (files - _LEAST.files) / (full.files - _LEAST.files)))

        def some(least: int, most: int) -> int:
            return least + int((most - least) * part)

        sockets, pages = some(_LEAST.sockets, full.sockets), some(_LEAST.pages, full.pages)
        return cls(
            sockets=sockets,
            sockets_of_one=min(MAX_SOCKETS_OF_ONE, sockets * 3 // 4),
            pages=pages,
            pages_of_one=pages * 3 // 4,
            turned_away=some(_LEAST.turned_away, full.turned_away),
            trust=some(_LEAST.trust, full.trust),
            decoders=some(_LEAST.decoders, full.decoders),
        )


_LEAST = Capacity(
    sockets=6, sockets_of_one=4, pages=8, pages_of_one=6, turned_away=2, trust=4, decoders=1
)
"""For 63 file descriptors."""


def make_room(wanted: int) -> int:
    """Ask the system for as many open files as are needed (many systems start with 1024, or 256).

    Returns:
        How many there may be, at most what was wanted.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit for sockets
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        more = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft)
