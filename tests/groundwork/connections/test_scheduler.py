"""What one address may do in one turn of the event loop; turns and work only pretend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from groundwork.connections.scheduler import LEAST, TURN, Scheduler, Share


class Loop:
    """Attributes: soon: what is to be called in the next turn."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.scheduler = Scheduler(self.soon.append)

    def turn(self) -> None:
        soon, self.soon[:] = list(self.soon), []
        for one in soon:
            one()


class Worker:
    """Has so many pieces of work, each of so many seconds.

    Attributes:
        log: Where each piece is written down, with the name.
    """

    def __init__(
        self, name: str, share: Share, pieces: int, log: list[str], seconds: float = 0.001
    ) -> None:
        self.pieces = pieces
        self._name = name
        self._share = share
        self._log = log
        self._seconds = seconds

    def begin(self) -> None:
        if self._share.is_free:
            self.go_on()
        else:
            self._share.wait(self)

    def go_on(self) -> None:
        while True:
            self.pieces -= 1
            self._log.append(self._name)
            self._share.spend(self._seconds)
            if not self.pieces:
                return
            if not self._share.is_free:
                self._share.wait(self)
                return


def test_one_address_has_its_share_of_each_turn_and_does_all_in_the_end() -> None:
    loop, log = Loop(), list[str]()
    share = loop.scheduler.share("192.0.2.1")
    workers = [Worker(name, share, 10, log) for name in "abc"]
    for worker in workers:
        worker.begin()
    each = round(TURN / 0.001)
    assert log == ["a"] * each
    while loop.soon:
        before = len(log)
        loop.turn()
        assert len(log) - before <= each
    assert sorted(log) == sorted("abc" * 10)
    assert "".join(log[each : each + 9]) == "abcabcabc", "one after the other"


def test_work_of_one_address_takes_nothing_from_another() -> None:
    loop, log = Loop(), list[str]()
    busy, other = loop.scheduler.share("192.0.2.1"), loop.scheduler.share("192.0.2.2")
    Worker("busy", busy, 100, log).begin()
    assert not busy.is_free and other.is_free
    Worker("other", other, 1, log).begin()
    assert log[-1] == "other"


def test_many_addresses_share_one_turn() -> None:
    loop, log = Loop(), list[str]()
    for number in range(8):
        share = loop.scheduler.share(f"192.0.2.{number}")
        Worker(str(number), share, 1000, log, LEAST / 2).begin()
    loop.turn()
    before = len(log)
    loop.turn()
    assert (len(log) - before) * LEAST / 2 <= TURN + 8 * LEAST
    assert set(log[before:]) == set("01234567")


def test_a_little_work_waits_for_no_turn() -> None:
    loop = Loop()
    share = loop.scheduler.share("192.0.2.1")
    share.spend(0.0001)
    assert not loop.soon
    share.spend(0.0009)
    loop.turn()
    assert share.spent == 0 and not loop.soon


def test_an_address_is_one_and_so_is_a_foreign_network() -> None:
    scheduler = Loop().scheduler
    assert scheduler.share("192.0.2.1") is scheduler.share("::ffff:192.0.2.1")
    one = scheduler.share("2001:db8::1")
    assert one is scheduler.share("2001:db8::2")
    assert one is not scheduler.share("2001:db8:1::1")


async def test_requests_of_one_address_are_some_in_each_turn() -> None:
    """However many have come at once; one whose connection has gone takes no time of the others."""
    loop, done = Loop(), list[str]()

    async def request(address: str) -> None:
        await loop.scheduler.share(address).turn()
        done.append(address)

    async def answered() -> list[str]:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        answers = done[:]
        done.clear()
        return answers

    many = [asyncio.create_task(request("a")) for _ in range(10)]
    assert await answered() == ["a"] * 4
    many[5].cancel()
    another = asyncio.create_task(request("b"))
    assert await answered() == ["b"]
    loop.turn()
    assert await answered() == ["a"] * 4
    loop.turn()
    assert await answered() == ["a"]
    await asyncio.gather(another, *many[:5], *many[6:])
