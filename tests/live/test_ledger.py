"""What cameras have begun and not ended: bounds, and that everything is given back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.live import ledger as module
from drawercam.live.ledger import (
    LEAST_WORK,
    MAX_ADDRESSES,
    MAX_OF_ADDRESS,
    MAX_OF_CAMERA,
    OWN,
    WORK_PER_SECOND,
    Account,
    Budget,
    Ledger,
)
from drawercam.media.work import MOST
from drawercam.protocol.close_reasons import Reason, Refused
from tests.live.test_channel import Clock

MIB = 2**20
HERE, THERE = "192.0.2.1", "192.0.2.2"

# Of one network: as a foreign one counts as a whole.
NETWORK = ("2001:db8::1", "2001:db8::2")


class Book:
    """A ledger with its budget."""

    def __init__(self, limit: int = 256 * MIB) -> None:
        self.clock = Clock()
        self.budget = Budget(limit)
        self.ledger = Ledger(self.budget, self.clock)

    def accounts(self, count: int, address: str = HERE) -> list[Account]:
        return [self.ledger.account(address) for _ in range(count)]


def refused(account: Account, size: int, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence) as refusal:
        account.hold(size)
    assert refusal.value.closing.reason is Reason.MEDIA_LIMIT


def test_a_camera_has_a_bound() -> None:
    book = Book()
    (one,) = book.accounts(1)
    one.hold(MAX_OF_CAMERA)
    refused(one, MAX_OF_CAMERA + 1, "The camera has begun more than 16 MiB")
    assert book.ledger.held(HERE) == MAX_OF_CAMERA, "a refusal changes nothing"
    one.close()
    assert book.ledger.held(HERE) == book.budget.used == 0


@pytest.mark.parametrize("addresses", [(HERE, HERE), NETWORK], ids=["address", "network"])
def test_an_address_has_a_bound_and_others_have_theirs(addresses: tuple[str, str]) -> None:
    book = Book()
    for one in book.accounts(MAX_OF_ADDRESS // MAX_OF_CAMERA, addresses[0]):
        one.hold(MAX_OF_CAMERA)
    (more,), (other,) = book.accounts(1, addresses[1]), book.accounts(1, THERE)
    refused(more, 1, "Cameras of this address have begun more than 32 MiB")
    other.hold(MAX_OF_CAMERA)
    one.hold(MAX_OF_CAMERA - MIB)
    more.hold(MIB)


def test_all_have_one_bound_with_the_channels_and_who_asks_is_refused() -> None:
    book = Book(limit=3 * MIB)
    assert book.budget.take(MIB), "a channel remembers something"
    (one,), (other,) = book.accounts(1), book.accounts(1, THERE)
    one.hold(2 * MIB + OWN)
    assert book.budget.used == 3 * MIB and book.ledger.shared == 2 * MIB
    refused(other, OWN + 1, "All cameras together")
    other.hold(OWN)  # a usual picture always comes through
    one.close()
    assert book.budget.used == MIB and book.ledger.shared == 0
    other.hold(2 * MIB)


ADDRESSES = (HERE, f"::ffff:{HERE}", THERE, *NETWORK, "fe80::1%eth0", "a peer")


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(ADDRESSES) - 1),
            st.integers(0, 12),
            st.none() | st.integers(0, 2 * 2**20),
        ),
        max_size=80,
    )
)
def test_whatever_happens_the_bounds_hold_and_all_is_given_back(
    steps: list[tuple[int, int, int | None]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_OF_CAMERA", MIB)
        patch.setattr(module, "MAX_OF_ADDRESS", 2 * MIB)
        book = Book(limit=3 * MIB)
        held: dict[tuple[int, int], tuple[Account, int]] = {}
        for address, camera, size in steps:
            account, before = (
                held.pop((address, camera))
                if (address, camera) in held
                else (book.ledger.account(ADDRESSES[address]), 0)
            )
            if size is None:
                account.close()
                continue
            try:
                account.hold(size)
                before = size
            except Refused:
                pass
            held[address, camera] = account, before
            assert 0 <= book.budget.used == book.ledger.shared <= 3 * MIB
            for name in ADDRESSES:
                assert 0 <= book.ledger.held(name) <= 2 * MIB
            for (number, _), (_, least) in held.items():
                assert book.ledger.held(ADDRESSES[number]) >= least
        for account, _ in held.values():
            account.close()
        assert book.budget.used == book.ledger.shared == 0
        assert not book.ledger._held, "nothing is kept of those that have gone"


@pytest.mark.parametrize("addresses", [(HERE, HERE), NETWORK], ids=["address", "network"])
def test_an_address_that_was_refused_for_its_work_begins_with_little(
    addresses: tuple[str, str],
) -> None:
    book = Book()
    book.clock.time += 10_000_000
    (one,), (again,), (other,) = (book.accounts(1, address) for address in (*addresses, THERE))
    assert again.work == MOST
    one.overworked()
    assert again.work == LEAST_WORK and other.work == MOST
    book.clock.time += 1_000_000
    assert again.work == LEAST_WORK + WORK_PER_SECOND
    book.clock.time += 2_000_000
    assert again.work == MOST


def test_the_memory_for_refused_work_is_bounded() -> None:
    book = Book()
    for number in range(MAX_ADDRESSES + 1):
        book.ledger.account(f"198.18.{number >> 8}.{number & 255}").overworked()
    assert len(book.ledger._refused) == MAX_ADDRESSES
    assert book.ledger.account("198.18.0.0").work == MOST, "the first was forgotten"
    assert book.ledger.account("198.18.0.1").work == LEAST_WORK
