"""Turns: who computes next, for how long, and what that is charged; clocks that only pretend."""

from __future__ import annotations

from ipaddress import IPv6Network

import pytest

from groundwork.connections import limits, turns
from groundwork.connections.turns import (
    AT_ONCE,
    AT_ONCE_OF_ONE,
    IN_ALL,
    OF_ONE,
    OVERHEAD,
    TURN,
    Budget,
    Turns,
)

# Seconds that a step takes.
STEP = 0.001


class World:
    """Attributes:
    now, spent: What the two clocks say.
    done: Who has had a turn, in order.
    """

    def __init__(self) -> None:
        self.now, self.spent = 1000.0, 0.0
        self.done: list[str] = []
        self.turns = Turns(lambda: self.now, lambda: self.spent)

    def ask(self, address: str, name: str = "", takes: float = STEP, whole: bool = True) -> Asker:
        asker = Asker(self, name or address, takes, whole)
        self.turns.ask(address, asker)
        return asker

    def run(self) -> float | None:
        self.done.clear()
        return self.turns.run()

    def run_out(self) -> float | None:
        """Run until nobody waits, or all have to; returns what the last run said."""
        self.done.clear()
        while (wait := self.turns.run()) == 0:
            pass
        return wait


class Asker:
    def __init__(self, world: World, name: str, takes: float, whole: bool) -> None:
        self._world = world
        self._name = name
        self._takes = takes
        self._whole = whole

    def turn(self) -> bool:
        self._world.spent += self._takes
        self._world.done.append(self._name)
        return self._whole


@pytest.fixture
def world() -> World:
    return World()


def test_addresses_have_their_turns_one_after_the_other(world: World) -> None:
    for number in range(4):
        world.ask("a", f"a{number}", 0.0)
    for name in ("b", "c"):
        world.ask(name, takes=0.0)
    assert world.run_out() is None
    assert world.done == ["a0", "b", "c", "a1", "a2", "a3"]


def test_after_a_while_all_else_has_its_turn(world: World) -> None:
    for name in "abcdef":
        world.ask(name)
    assert world.run() == 0
    assert len(world.done) == 3 and 2 * STEP < TURN <= 3 * (STEP + OVERHEAD)
    assert world.run() is None and world.done == ["d", "e", "f"]


def test_what_is_not_measured_counts_too(world: World) -> None:
    for number in range(1000):
        world.ask(str(number), takes=0.0)
    assert world.run() == 0
    assert len(world.done) == pytest.approx(TURN / OVERHEAD, abs=1)


def test_a_step_that_goes_on_later_ends_the_turn(world: World) -> None:
    for name in "abc":
        world.ask(name, takes=0.0, whole=name == "b")
    assert world.run() == 0 and world.done == ["a"]
    assert world.run() is None and world.done == ["b", "c"]


def test_an_address_computes_for_so_long_at_once_and_then_has_its_share(world: World) -> None:
    """Whatever a step costs: a key of RSA with 4096 bits five times as much."""
    for number in range(2000):
        world.ask("a", takes=STEP * (1 + 4 * (number % 2)))
    wait = world.run_out()
    spent = world.spent + len(world.done) * OVERHEAD
    assert (
        spent == pytest.approx(AT_ONCE_OF_ONE, abs=5 * STEP + OVERHEAD)
        and wait
        and wait <= (5 * STEP + OVERHEAD) / OF_ONE
    )
    begun = world.spent
    for _ in range(4000):
        world.now += 0.001
        world.turns.run()
    assert (world.spent - begun) / 4 == pytest.approx(OF_ONE, rel=0.1)
    world.ask("b")
    assert world.run() and world.done == ["b"], "the others do not wait for it"


def test_a_proxy_may_have_the_share_of_all(world: World) -> None:
    world.turns = Turns(lambda: world.now, lambda: world.spent, proxies=("2001:db8::1",))
    for _ in range(2000):
        world.ask("2001:db8::1")
    world.run_out()
    assert world.spent + len(world.done) * OVERHEAD == pytest.approx(AT_ONCE, abs=STEP + OVERHEAD)


def test_all_together_have_their_share_too_and_take_turns_in_it(world: World) -> None:
    for name in "abcde":
        for _ in range(1000):
            world.ask(name)
    world.run_out()
    assert world.spent + len(world.done) * OVERHEAD == pytest.approx(AT_ONCE, abs=STEP + OVERHEAD)
    assert max(map(world.done.count, "abcde")) - min(map(world.done.count, "abcde")) <= 1
    world.ask("newcomer")
    rounds = 0
    while "newcomer" not in world.done:
        world.now += (STEP + OVERHEAD) / IN_ALL
        world.turns.run()
        rounds += 1
    assert rounds <= 6, "it waits for one turn of each, however many wait there"


def test_one_that_has_gone_costs_nothing(world: World) -> None:
    askers = [world.ask("a", str(number)) for number in range(3)]
    world.turns.forget(askers[1])
    world.turns.forget(askers[1])
    world.ask("b")
    assert world.run_out() is None and world.done == ["0", "b", "2"]
    assert world.turns.run() is None


def test_a_foreign_network_is_one_address(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "own_networks", lambda: frozenset({IPv6Network("2001:db8:1::/64")}))
    for number in range(3):
        world.ask(f"2001:db8:2::{number:x}", "foreign", 0.0)
    world.ask("2001:db8:1::1", "own", 0.0)
    world.ask("2001:db8:1::2", "own", 0.0)
    assert world.run_out() is None and world.done == ["foreign", "own", "own", "foreign", "foreign"]


def test_the_memory_for_addresses_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_ADDRESSES", 10)
    for number in range(100):
        world.ask(str(number), takes=0.0)
    assert world.run_out() is None and len(world.done) == 100
    assert len(world.turns._budgets) == 10


def test_a_budget_grows_up_to_its_size() -> None:
    budget = Budget(0.5, 2.0, 10.0)
    budget.spend(3.0)
    assert budget.wait(10.0) == 2.0 and budget.wait(11.0) == 1.0 and budget.wait(12.0) == 0.0
    budget.wait(1000.0)
    budget.spend(2.5)
    assert budget.wait(1000.0) == 1.0
