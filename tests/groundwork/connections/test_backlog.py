"""Bytes that wait for the turn of their address, without a connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from groundwork.connections.backlog import Backlog
from groundwork.connections.scheduler import Scheduler


class Taker:
    """Takes what has waited when it is its turn."""

    def __init__(self) -> None:
        self.due: deque[Callable[[], None]] = deque()
        self.share = Scheduler(self.due.append).share("192.0.2.1")
        self.backlog = Backlog(self.share)
        self.taken: list[bytes] = []

    def go_on(self) -> None:
        self.taken.append(self.backlog.take())

    def turn(self) -> None:
        self.due.popleft()()


def test_bytes_are_looked_at_while_the_share_is_free() -> None:
    taker = Taker()
    assert taker.backlog.may_take(b"one", taker) and taker.backlog.may_take(b"two", taker)
    assert not taker.backlog.rest and not taker.due


def test_bytes_wait_for_the_next_turn_in_their_order() -> None:
    taker = Taker()
    taker.share.spend(1.0)
    for data in (b"one ", b"two ", b"three"):
        assert not taker.backlog.may_take(data, taker)
    assert taker.backlog.waits and taker.taken == []
    taker.turn()
    assert taker.taken == [b"one two three"] and not taker.backlog.waits and not taker.backlog.rest
    assert taker.backlog.may_take(b"four", taker)


def test_bytes_that_nobody_wants_yet_are_followed_by_what_comes() -> None:
    taker = Taker()
    taker.backlog.rest = b"kept "
    assert not taker.backlog.may_take(b"behind", taker)
    assert not taker.backlog.waits and not taker.due
    taker.backlog.wait(taker.backlog.rest, taker)
    taker.turn()
    assert taker.taken == [b"kept behind"]
