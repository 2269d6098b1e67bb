"""Limits: how much one peer may take, with a clock that only pretends."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundwork.connections import limits
from groundwork.connections.limits import (
    GUESSES_AT_ONCE,
    GUESSES_KNOWN,
    MAX_ADDRESSES,
    MAX_SHOWN,
    MAX_SHOWN_FROM,
    SECONDS_PER_GUESS,
    SHARED,
    Bucket,
    Buckets,
    Capacity,
    Lobby,
    Places,
    Room,
    WrongKeys,
    counted_as,
    share_of,
)


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class Connection:
    def __init__(self, address: str) -> None:
        self.address = address
        self.displaced = False

    def displace(self) -> None:
        assert not self.displaced, "once"
        self.displaced = True


def test_a_bucket_gives_some_at_once_and_then_one_by_one() -> None:
    bucket = Bucket(3, 0.5, 10.0)
    assert [bucket.take(10.0) for _ in range(5)] == [True, True, True, False, False]
    assert bucket.wait(10.0) == 0.5
    assert [bucket.take(now) for now in (10.4, 10.5, 10.6, 11.0)] == [False, True, False, True]
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False], (
        "it does not grow beyond its size"
    )


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """This computer is in one IPv6 network."""
    monkeypatch.setattr(
        limits,
        "own_networks",
        lambda: frozenset({IPv6Network("2001:db8:1::/64"), IPv6Network("fe80::/10")}),
    )


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("192.168.1.7", ("192.168.1.7",)),
        ("::ffff:192.168.1.7", ("192.168.1.7",)),
        ("2001:db8:1::7", ("2001:db8:1::7",)),
        ("fe80::7%eth0", ("fe80::7",)),
        ("2001:db8:2::7", ("2001:db8:2::7", "2001:db8:2::/64")),
        ("a peer", ("a peer",)),
    ],
)
def test_a_foreign_network_of_ipv6_is_counted_as_a_whole_too(
    address: str, names: tuple[str, ...]
) -> None:
    assert counted_as(address) == names


@pytest.mark.usefixtures("own")
def test_places_are_for_all_and_a_share_of_them_for_each_address() -> None:
    places = Places(8)
    assert [places.take("a") for _ in range(7)] == [True] * 6 + [False]
    assert places.room("a") is Room.NONE_FOR_THIS_ADDRESS and places.room("b") is Room.FREE
    assert [places.take("b") for _ in range(3)] == [True, True, False]
    assert places.room("a") is Room.NONE and (places.total, places.held("a"), places.held("b")) == (
        8,
        6,
        2,
    )
    for _ in range(6):
        places.leave("a")
    assert (places.total, places.held("a")) == (2, 0) and places.take("c")


@pytest.mark.usefixtures("own")
def test_what_is_looked_through_has_the_same_shares() -> None:
    assert [share_of(most) for most in (1, 2, 4, 200)] == [1, 1, 3, 150]
    foreign = [f"2001:db8:2::{number}" for number in range(3)]
    for held, address, room in (
        ([], "a", Room.FREE),
        (["a", "a"], "a", Room.FREE),
        (["a", "a", "a"], "a", Room.NONE_FOR_THIS_ADDRESS),
        (["a", "a", "a"], "b", Room.FREE),
        (["a", "a", "a", "b"], "b", Room.NONE),
        (["a", "a", "a", "b"], "a", Room.NONE_FOR_THIS_ADDRESS),
        (foreign, "2001:db8:2::9", Room.NONE_FOR_THIS_ADDRESS),
        (foreign, "2001:db8:3::9", Room.FREE),
        ([None] * 3, None, Room.FREE),
        ([None] * 4, None, Room.NONE),
    ):
        assert limits.room_among(held, address, 4) is room


@pytest.mark.usefixtures("own")
def test_many_addresses_of_one_foreign_network_have_one_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = Places(100, 10)
    assert sum(places.take(f"2001:db8:2::{number:x}") for number in range(20)) == 10
    assert sum(places.take(f"2001:db8:1::{number:x}") for number in range(20)) == 20
    monkeypatch.setattr(
        limits, "own_networks", frozenset
    )  # it has left its network; who is counted is counted as before
    for number in range(20):
        places.leave(f"2001:db8:1::{number:x}")
    assert places.total == 10


def test_wrong_keys_are_slowed_down_for_their_address_only() -> None:
    clock = Clock()
    wrong = WrongKeys(clock)
    for _ in range(GUESSES_AT_ONCE):
        assert wrong.wait("a", "?") == 0
        assert wrong.add("a", str(wrong.count))
    assert wrong.wait("a", "?") == SECONDS_PER_GUESS and wrong.wait("b", "?") == 0
    clock.time += SECONDS_PER_GUESS
    assert wrong.wait("a", "?") == 0
    assert wrong.add("a", "one more")
    assert wrong.wait("a", "?") == SECONDS_PER_GUESS and wrong.count == GUESSES_AT_ONCE + 1
    clock.time += SECONDS_PER_GUESS * GUESSES_AT_ONCE
    assert wrong.wait("a", "?") == 0


def test_nobody_can_have_a_bucket_forgotten_that_counts() -> None:
    clock = Clock()
    buckets = Buckets(3, 1.0, clock, 5)
    assert [buckets.take("first") for _ in range(4)] == [True, True, True, False]
    assert all(buckets.take(f"many {number}") for number in range(4))
    assert [buckets.take(f"more {number}") for number in range(3 * SHARED + 2)] == [
        True
    ] * 3 * SHARED + [False] * 2, "together"
    assert (
        len(buckets) == 5
        and buckets.wait("first") == 1.0
        and buckets.wait("one more") == pytest.approx(1 / SHARED)
    )
    assert not buckets.wait("many 0"), "who is known is served as before"
    clock.time += 2.9
    assert [buckets.take("first") for _ in range(3)] == [True, True, False]
    assert (
        buckets.take("new")
        and buckets.take("new")
        and buckets.take("new")
        and not buckets.take("new")
    ), "for one that is full again"
    assert len(buckets) == 5 and buckets.wait("first") == pytest.approx(0.1)


def test_what_is_not_given_costs_nothing() -> None:
    """A peer that asks at twice the rate gets half of what it asks for."""
    clock = Clock()
    buckets = Buckets(10, 1.0, clock, 5)
    given = []
    for _ in range(200):
        given.append(buckets.take("a"))
        clock.time += 0.5
    assert given[-100:].count(True) == 50


@pytest.mark.usefixtures("own")
def test_all_addresses_of_a_foreign_network_are_one_guesser() -> None:
    wrong = WrongKeys(Clock())
    for number in range(GUESSES_AT_ONCE):
        assert wrong.wait(f"2001:db8:2::{number:x}", "?") == 0
        wrong.add(f"2001:db8:2::{number:x}", str(number))
    assert wrong.wait("2001:db8:2::ffff", "?") == SECONDS_PER_GUESS
    assert wrong.wait("2001:db8:3::1", "?") == wrong.wait("2001:db8:1::1", "?") == 0
    wrong.right("2001:db8:2::1", "right")
    assert wrong.wait("2001:db8:2::2", "right") == 0, "it has another address each day"


def test_a_key_that_was_right_there_before_passes_a_slow_down_and_no_other_does() -> None:
    clock = Clock()
    wrong = WrongKeys(clock)
    wrong.right("proxy", "of anna")
    wrong.right("elsewhere", "of bert")
    for number in range(GUESSES_AT_ONCE):
        wrong.add("proxy", str(number))
    assert wrong.wait("proxy", "of anna") == 0
    assert {wrong.wait("proxy", key) for key in ("of bert", "a guess", "", str(0))} == {
        SECONDS_PER_GUESS
    }
    wrong.right("proxy", "of bert")
    assert wrong.wait("proxy", "of bert") == 0
    wrong.add("proxy", "of anna")  # it was revoked meanwhile
    assert wrong.wait("proxy", "of anna") > 0


def test_the_memory_for_keys_is_bounded_and_one_key_pushes_out_no_other() -> None:
    wrong = WrongKeys(Clock())
    wrong.right("proxy", "of anna")
    for number in range(2 * MAX_SHOWN_FROM):
        wrong.right(f"address {number}", "of bert")
    for number in range(GUESSES_AT_ONCE):
        wrong.add("proxy", str(number))
    assert wrong.wait("proxy", "of anna") == 0 < wrong.wait("proxy", "of bert")
    for number in range(2 * MAX_SHOWN):
        wrong.right("proxy", str(number))
    assert len(wrong._right) == MAX_SHOWN and {len(by) for by in wrong._right.values()} == {1}
    for number in range(MAX_ADDRESSES + 9):
        wrong.add(f"address {number}", "wrong")
    assert (
        len(wrong._wrong) == len(wrong._guesses) == MAX_ADDRESSES and wrong.wait("proxy", "?") > 0
    )


def test_a_program_that_shows_its_revoked_key_again_and_again_keeps_nobody_out() -> None:
    wrong = WrongKeys(Clock())
    old = [f"revoked {number}" for number in range(GUESSES_KNOWN)]
    assert (
        [wrong.add("a", key) for _ in range(100) for key in old].count(True)
        == wrong.count
        == GUESSES_KNOWN
    )
    assert wrong.wait("a", "?") == 0
    for number in range(GUESSES_AT_ONCE - GUESSES_KNOWN):
        assert wrong.add("a", f"guess {number}")
    assert wrong.wait("a", "?") == SECONDS_PER_GUESS, "guesses count as before"
    assert not wrong.add("a", f"guess {number}"), "and are known again"
    assert wrong.add("a", old[0]), "so are only the last ones"


def crowd(lobby: Lobby, address: str, count: int) -> list[Connection]:
    """So many who come from there one after the other."""
    came = [Connection(address) for _ in range(count)]
    assert all(map(lobby.enter, came))
    return came


def displaced(*those: list[Connection]) -> list[list[int]]:
    """The numbers of those that had to go."""
    return [[number for number, one in enumerate(some) if one.displaced] for some in those]


@pytest.mark.usefixtures("own")
def test_where_an_address_has_its_share_its_own_oldest_goes() -> None:
    lobby = Lobby(in_all=10, of_one=3)
    others = crowd(lobby, "b", 3)
    theirs = crowd(lobby, "a", 5)
    assert displaced(theirs, others) == [[0, 1], []] and lobby.total == 6
    lobby.leave(theirs[3])
    lobby.leave(theirs[3])
    assert displaced(crowd(lobby, "a", 1), theirs) == [[], [0, 1]], "there was room again"


@pytest.mark.usefixtures("own")
def test_where_all_places_are_taken_the_oldest_goes_of_the_address_that_has_the_most() -> None:
    lobby = Lobby(in_all=9, of_one=6)
    few, many, newcomers = crowd(lobby, "b", 3), crowd(lobby, "a", 6), crowd(lobby, "c", 2)
    assert displaced(few, many, newcomers) == [[], [0, 1], []]
    net = [Connection(f"2001:db8:2::{number:x}") for number in range(20)]
    assert all(map(lobby.enter, net))
    assert sum(not one.displaced for one in net) <= 6 and lobby.total == 9, (
        "a foreign network has the share of one address"
    )


@pytest.mark.usefixtures("own")
def test_a_network_of_many_addresses_is_the_one_that_has_the_most() -> None:
    lobby = Lobby(in_all=8, of_one=5)
    honest, net = (
        crowd(lobby, "b", 4),
        [Connection(f"2001:db8:2::{number:x}") for number in range(4)],
    )
    assert all(map(lobby.enter, net))
    lobby.leave(honest[0])
    assert displaced(crowd(lobby, "c", 2), honest, net) == [[], [], [0]]


@pytest.mark.usefixtures("own")
def test_one_that_has_shown_a_right_stays() -> None:
    lobby = Lobby(in_all=5, of_one=3)
    theirs = crowd(lobby, "a", 3)
    lobby.show(theirs[0])
    lobby.show(theirs[2])
    newcomers = crowd(lobby, "a", 2)
    assert displaced(theirs, newcomers) == [[1], [0]]
    lobby.show(newcomers[1])
    assert not lobby.enter(Connection("a")), "its whole share has shown a right"
    others = crowd(lobby, "b", 3)
    assert displaced(others, theirs) == [[0], [1]], "there are two places for it"
    for one in others[1:]:
        lobby.show(one)
    assert not lobby.enter(Connection("c")) and lobby.total == 5
    lobby.leave(theirs[0])
    assert lobby.enter(Connection("c"))


@pytest.mark.usefixtures("own")
def test_what_was_let_in_counts_in_all_alone() -> None:
    lobby = Lobby(in_all=6, of_one=2)
    inside = []
    for _ in range(3):
        inside += crowd(lobby, "a", 1)
        lobby.let_in(inside[-1])
        lobby.let_in(inside[-1])
    pages = crowd(lobby, "a", 2)
    assert displaced(inside, pages) == [[], []] and lobby.total == 5
    crowd(lobby, "b", 1)
    assert displaced(crowd(lobby, "c", 1), pages) == [[], [0]], (
        "all places are taken, and those that were let in stay"
    )
    assert lobby.come_back(inside[0]) and not pages[1].displaced and lobby.total == 6
    assert lobby.come_back(inside[1]) and pages[1].displaced, "it has shown a right"
    assert not lobby.come_back(inside[2]) and lobby.total == 4, "so have all of its address now"
    stranger = Connection("d")
    lobby.leave(stranger)
    lobby.show(stranger)
    lobby.let_in(stranger)
    assert lobby.come_back(stranger) and lobby.total == 4, "one that never came in changes nothing"


@pytest.mark.usefixtures("own")
def test_what_comes_by_a_proxy_counts_for_its_client_once_that_is_known() -> None:
    lobby = Lobby(in_all=8, of_one=3, proxies=("proxy",))
    by_proxy = crowd(lobby, "proxy", 8)
    assert displaced(by_proxy) == [[]], (
        "before a request says whose they are, a proxy's connections may take all places"
    )
    assert displaced(crowd(lobby, "proxy", 1), by_proxy) == [[], [0]]
    for one in by_proxy[1:4]:
        assert lobby.move(one, "a")
    lobby.show(by_proxy[1])
    assert lobby.move(by_proxy[4], "a") and displaced(by_proxy) == [[0, 2]], (
        "one client has the share of one address"
    )
    lobby.show(by_proxy[3])
    lobby.show(by_proxy[4])
    assert not lobby.move(by_proxy[5], "a") and lobby.total == 6, (
        "all of its share have shown a right, so it has to go"
    )
    assert lobby.move(by_proxy[1], "b") and lobby.move(by_proxy[6], "a"), (
        "a right is its client's, not the connection's"
    )
    lobby.leave(by_proxy[5])
    for one in by_proxy:
        lobby.leave(one)
    assert lobby.total == 1


def test_a_family_behind_one_router_has_room() -> None:
    """Eight people, each with a wall of thirty cameras and a browser's six connections for pages,
    and thirty phones that film.
    """
    sockets = 8 * (30 + 1) + 30
    assert sockets < limits.MAX_SOCKETS_OF_ONE < limits.MAX_SOCKETS
    assert sockets + 6 * (8 + 30) < limits.MAX_PAGES_OF_ONE < limits.MAX_PAGES, (
        "also when all of it begins at once"
    )


@given(st.integers(min_value=0, max_value=5000))
def test_where_there_are_few_files_there_is_less_of_everything_and_some_for_each(
    files: int,
) -> None:
    some, full = Capacity.within(files), Capacity()
    assert some.files <= max(files, 64), "64 are needed, and that is as little as systems give"
    if files >= full.files:
        assert some == full
    for name in ("sockets", "pages", "turned_away", "trust", "decoders"):
        assert 1 <= getattr(some, name) <= getattr(full, name)
    assert some.sockets_of_one == min(limits.MAX_SOCKETS_OF_ONE, some.sockets * 3 // 4) > 2
    assert some.pages_of_one == some.pages * 3 // 4 >= 6, "what a browser opens"


def test_an_honest_camera_never_meets_the_limit_of_messages() -> None:
    """Two pings a second, a state and streams now and then; and a page that was asleep sends all
    that it had at once.
    """
    clock = Clock()
    bucket = Bucket(limits.MESSAGES_AT_ONCE, 1 / limits.MESSAGES_PER_SECOND, clock())
    assert all(bucket.take(clock()) for _ in range(100))
    for _ in range(1000):
        clock.time += 0.1
        assert bucket.take(clock())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_it_asks_for_as_many_files_as_it_needs_and_makes_do_with_less() -> None:
    program = (
        "import resource; from groundwork.connections import limits\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))\n"
        "print(limits.make_room(1000), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    for hard, files in ((4096, 1000), (300, 300)):
        done = subprocess.run(
            [sys.executable, "-c", program.format(hard=hard)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.split() == [str(files), str(files)]
