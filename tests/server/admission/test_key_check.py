"""Keys that are typed and shown, looked up without a request."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from drawercam.access.grants import NO_GRANT
from drawercam.access.key import ALL, NOTHING
from drawercam.access.keys import Keyring
from drawercam.server.admission.key_check import KeyCheck, shown_key
from groundwork.connections.limits import GUESSES_AT_ONCE, SECONDS_PER_GUESS, WrongKeys
from groundwork.denied import Denied


class House:
    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.ring = Keyring.open(folder)
        self.key = self.ring.add(NOTHING, ALL)
        self.ring.refresh()
        self.wrong_keys = WrongKeys(lambda: self.now)
        self.check = KeyCheck(self.ring, self.wrong_keys)

    def refused(self, given: object, address: str = "192.0.2.1") -> tuple[int, str]:
        with pytest.raises(Denied) as error:
            self.check.key(given, address)
        return error.value.status, error.value.id


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_key_is_found_and_all_else_is_wrong(house: House) -> None:
    assert house.check.key(house.key.secret, "192.0.2.1") == house.key
    for given in ("", "abcd-efgh", 7, None, {"key": house.key.secret}, house.key.secret * 40):
        assert house.refused(given) == (401, "wrong-key"), given
    assert house.wrong_keys.count > 0


def test_an_address_that_guesses_waits_and_no_other_does(house: House) -> None:
    answers = {house.refused(f"guess-{number}") for number in range(GUESSES_AT_ONCE)}
    assert answers == {(401, "wrong-key")}
    assert house.refused("one-more") == (429, "too-many-keys")
    assert house.refused("one-more", "192.0.2.2") == (401, "wrong-key")
    house.now += SECONDS_PER_GUESS
    assert house.refused("one-more") == (401, "wrong-key")


def test_what_a_program_shows_adds_to_what_its_cookies_allow(house: House) -> None:
    by_key = house.check.with_shown(NO_GRANT, f"Bearer {house.key.secret}", "192.0.2.1")
    assert by_key.keys == (house.key,)
    assert house.check.with_shown(by_key, f"bearer {house.key.secret}", "192.0.2.1") == by_key
    assert house.check.with_shown(NO_GRANT, "Digest a=b", "192.0.2.1") is NO_GRANT


def test_a_key_is_a_token_or_a_password() -> None:
    basic = base64.b64encode(b"anybody:k:ey").decode()
    assert [
        shown_key(one) for one in ("Bearer  k ", f"BASIC {basic}", "Basic !", "Basic", "", "key k")
    ] == [
        "k",
        "k:ey",
        "",
        "",
        None,
        None,
    ]
