"""The registry: which relays may say where they are, and what is remembered.

No sockets, and time stands still until a test moves it.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from ip_registry.messages import MIN_SECRET, Announcement, authorization, is_origin, path_of
from ip_registry.registry import (
    BURST,
    MAX_COUNTED,
    MAX_RELAYS,
    MAX_RELAYS_OF_ONE,
    RATE,
    REMEMBERED,
    Refused,
    Registry,
    described,
    nearest,
)
from ip_registry.secret import SecretError, load, load_or_create
from ip_registry.store import FILE

SECRET = "a secret that only relays and the registry know"
ONE = "AB:" * 31 + "01"
OTHER = "AB:" * 31 + "02"


class Clock:
    def __init__(self) -> None:
        self.monotonic = 1000.0
        self.date = 2e9

    def wait(self, seconds: float) -> None:
        self.monotonic += seconds
        self.date += seconds


class House:
    """A registry, and a relay's way to sign."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder = folder
        self.clock = clock or Clock()
        self.registry = Registry(
            folder, SECRET, clock=lambda: self.clock.monotonic, now=lambda: self.clock.date
        )

    def nonce(self, name: str) -> str:
        with pytest.raises(Refused) as refused:
            self.registry.announce(name, b"", None)
        assert (refused.value.status, refused.value.id) == (401, "not-signed")
        return refused.value.nonce

    def announce(self, name: str, *urls: str, fingerprint: str = "", nonce: str = "") -> str:
        body = Announcement(name, urls or ("https://192.168.1.20:8443",), fingerprint).body()
        return self.registry.announce(name, body, self.signed(name, body, nonce=nonce))

    def leave(self, name: str) -> str:
        return self.registry.leave(name, self.signed(name, b"", method="DELETE"))

    def signed(
        self, name: str, body: bytes, nonce: str = "", method: str = "POST", secret: str = SECRET
    ) -> str:
        return authorization(secret, method, path_of(name), nonce or self.nonce(name), body)

    def there(self) -> dict[str, bool]:
        return {entry.name: entry.alive for entry in self.registry.relays()}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def refusal(status: int) -> pytest.RaisesExc[Refused]:
    return pytest.RaisesExc(
        Refused, check=lambda refused: refused.status == status and str(refused).endswith(".")
    )


def test_a_relay_that_knows_the_secret_is_listed(house: House) -> None:
    house.announce("porch", "https://10.0.0.2:8443", fingerprint=ONE)
    entry = house.registry.relay("porch")
    assert entry is not None
    assert described(entry, None) == {
        "name": "porch",
        "alive": True,
        "urls": ["https://10.0.0.2:8443"],
        "fingerprint": ONE,
        "since": "2033-05-18T03:33:20Z",
        "seen": "2033-05-18T03:33:20Z",
    }
    assert SECRET not in json.dumps(described(entry, None)) and entry.nonce not in json.dumps(
        described(entry, None)
    )


def test_who_does_not_know_the_secret_changes_nothing(house: House) -> None:
    house.announce("porch")
    evil = Announcement("porch", ("https://6.6.6.6:666",)).body()
    headers = [
        None,
        "",
        "Basic Zm9vOmJhcg==",
        "drawercam",
        f"drawercam {house.nonce('porch')} {'0' * 64}",
        f"drawercam {house.nonce('porch')} é",
        house.signed("porch", evil, secret=SECRET + "!"),
        house.signed("porch", evil, method="DELETE"),  # signed for something else
        house.signed("garden", evil),
        house.signed("porch", evil + b" "),
    ]
    for header in headers:
        with pytest.RaisesExc(Refused, check=lambda refused: refused.status in (401, 403)):
            house.registry.announce("porch", evil, header)
        with pytest.RaisesExc(Refused, check=lambda refused: refused.status in (401, 403)):
            house.registry.leave("porch", header if header and "DELETE" not in header else None)
    entry = house.registry.relay("porch")
    assert (
        entry is not None
        and entry.alive
        and entry.announcement.urls == ("https://192.168.1.20:8443",)
    )


def test_what_was_overheard_cannot_be_said_again(house: House) -> None:
    body = Announcement("porch", ("https://192.168.1.20:8443",)).body()
    overheard = house.signed("porch", body)
    house.registry.announce("porch", body, overheard)
    goodbye = house.signed("porch", b"", method="DELETE")
    house.registry.leave("porch", goodbye)
    for _ in range(2):
        with refusal(401):
            house.registry.announce("porch", body, overheard)
        house.announce("porch", "https://192.168.1.21:8443")
        with refusal(401):
            house.registry.leave("porch", goodbye)
        with refusal(401):
            house.registry.announce("porch", body, overheard)
        assert house.registry.relay("porch") and house.there() == {"porch": True}
        house.clock.wait(REMEMBERED + 100)
        house.registry.sweep()
        house.registry.sweep()
        house.clock.wait(REMEMBERED + 100)
        house.registry.sweep()
        assert house.there() == {}, "it was forgotten, and still nothing can be repeated"


def test_each_answer_has_what_the_next_request_is_signed_with(house: House) -> None:
    nonce = house.announce("porch")
    for _ in range(3):
        nonce = house.announce("porch", nonce=nonce)


def test_a_relay_vanishes_when_its_heartbeat_stops_whatever_the_date_says(house: House) -> None:
    house.announce("porch")
    house.clock.date += 1e6
    house.registry.sweep()
    assert house.there() == {"porch": True}
    house.clock.date -= 2e6
    for _ in range(5):
        house.clock.wait(10)
        house.announce("porch")
        house.registry.sweep()
    assert house.there() == {"porch": True}
    house.clock.wait(31)
    house.registry.sweep()
    assert house.there() == {"porch": False}
    house.announce("porch")
    assert house.there() == {"porch": True}


def test_a_relay_that_says_goodbye_is_gone_at_once(house: House) -> None:
    house.announce("porch")
    house.leave("porch")
    assert house.there() == {"porch": False}
    house.leave("porch")
    with refusal(404):
        house.leave("garden")


def test_since_is_when_it_came_and_seen_when_it_was_heard(house: House) -> None:
    house.announce("porch")
    house.clock.wait(20)
    house.announce("porch", "https://192.168.1.99:8443")
    entry = house.registry.relay("porch")
    assert entry and (entry.since, entry.seen) == (2e9, 2e9 + 20)
    house.leave("porch")
    house.clock.wait(20)
    house.announce("porch")
    entry = house.registry.relay("porch")
    assert entry and (entry.since, entry.seen) == (2e9 + 40, 2e9 + 40)


def test_two_relays_of_one_name_do_not_take_turns(house: House) -> None:
    house.announce("porch", fingerprint=ONE)
    with pytest.raises(Refused, match="--relay-name") as refused:
        house.announce("porch", fingerprint=OTHER)
    assert refused.value.status == 409 and house.there() == {"porch": True}
    for _ in range(3):
        with refusal(409):
            house.announce(
                "porch", "https://6.6.6.6"
            )  # nor does one without an authority take its place
        house.clock.wait(10)
        house.announce("porch", fingerprint=ONE)
    house.leave("porch")
    house.announce("porch", fingerprint=OTHER)
    house.leave("porch")
    house.announce("porch")
    house.announce("porch", fingerprint=ONE)  # it has got one
    with refusal(409):
        house.announce("porch")


def test_the_relay_around_it_is_always_there_and_keeps_its_name(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.announce("hall")
    own: list[Announcement | None] = [Announcement("hall", ("https://10.1.1.1:8443",), ONE)]
    house.registry = Registry(
        tmp_path,
        SECRET,
        own=lambda: own[0],
        clock=lambda: house.clock.monotonic,
        now=lambda: house.clock.date,
    )
    house.announce("porch")
    assert house.there() == {"hall": True, "porch": True}
    with refusal(409):
        house.announce("hall")
    house.clock.wait(100)
    house.registry.sweep()
    assert house.there() == {"hall": True, "porch": False}
    own[0] = None  # in no network
    assert house.there() == {"porch": False}


def test_there_is_room_for_so_many_and_the_vanished_give_way(house: House) -> None:
    for number in range(MAX_RELAYS):
        house.announce(f"relay-{number}")
        house.clock.wait(0.01)
    with refusal(503):
        house.announce("one-more")
    house.leave("relay-7")
    house.leave("relay-3")
    house.announce("one-more")
    assert (
        len(house.there()) == MAX_RELAYS
        and "relay-3" not in house.there()
        and "relay-7" in house.there()
    )


async def test_a_restart_remembers_and_trusts_for_one_more_ttl(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.registry.start()
    house.announce("porch", "https://10.0.0.2:8443", fingerprint=ONE)
    house.announce("garden")
    house.clock.wait(5)
    house.leave("garden")
    overheard = house.signed("porch", b"", method="DELETE")
    await house.registry.stop()

    later = House(tmp_path, house.clock)
    later.clock.monotonic = 3.0  # another boot has another monotonic clock
    later.clock.date += 3600
    await later.registry.start()
    assert later.there() == {"porch": True, "garden": False}
    entry = later.registry.relay("porch")
    assert (
        entry
        and entry.announcement == Announcement("porch", ("https://10.0.0.2:8443",), ONE)
        and entry.since == 2e9
    )
    with refusal(401):
        later.registry.leave("porch", overheard)
    later.clock.wait(31)
    later.registry.sweep()
    assert later.there() == {"porch": False, "garden": False}
    entry = later.registry.relay("porch")
    assert entry and entry.seen == 2e9, "the date of the restart is not when it was heard"
    await later.registry.stop()


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"\0" * 4096])
async def test_a_damaged_list_is_moved_aside(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    house = House(tmp_path)
    await house.registry.start()
    house.announce("porch")
    await house.registry.stop()
    assert (tmp_path / "registry.damaged.sqlite").read_bytes() == damage
    again = House(tmp_path)
    await again.registry.start()
    assert again.there() == {"porch": True}
    await again.registry.stop()


async def test_a_list_with_nonsense_in_it_is_moved_aside(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.registry.start()
    house.announce("porch")
    await house.registry.stop()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("UPDATE relays SET urls = '[\"javascript:alert(1)\"]'")
    db.close()
    again = House(tmp_path)
    await again.registry.start()
    assert again.there() == {}
    await again.registry.stop()


async def test_a_folder_that_cannot_be_used_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(OSError, match="cannot be kept"):
        await House(tmp_path).registry.start()


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://192.168.1.20:8443", True),
        ("http://192.168.1.20", True),
        ("https://[fd00::20]:8443", True),
        ("https://drawer.local:8443", True),
        ("https://192.168.1.20:8443/", False),
        ("https://192.168.1.20:8443/x", False),
        ("https://user@192.168.1.20:8443", False),
        ("https://192.168.1.20:8443#key", False),
        ("https://192.168.1.20:8443?x", False),
        ("https://192.168.1.20:99999", False),
        ("https://192.168.1.20:0", False),
        ("https://192.168.1.20:", False),
        ("https://192.168.1:80", False),
        ("https://192.168.1.020", False),
        ("https://[fd00::0020]", False),
        ("https://fd00::20", False),
        ("https://Ä.local", False),
        ("https://a\r\nb", False),
        ("https:///x", False),
        ("https://", False),
        ("javascript:alert(1)", False),
        ("ftp://192.168.1.20", False),
        ("", False),
        ("https://" + "a" * 300, False),
    ],
)
def test_only_scheme_host_and_port_are_an_address(url: str, good: bool) -> None:
    assert is_origin(url) is good


BODIES = [
    b"",
    b"\xff",
    b"[]",
    b"null",
    b"[" * 4000,
    b"{}",
    b'{"urls": []}',
    b'{"urls": "https://10.0.0.1"}',
    b'{"urls": [1]}',
    b'{"urls": ["https://10.0.0.1/x"]}',
    json.dumps({"urls": ["https://10.0.0.1"] * 17}).encode(),
    b'{"urls": ["https://10.0.0.1"], "ttl": 0}',
    b'{"urls": ["https://10.0.0.1"], "ttl": 1e9}',
    b'{"urls": ["https://10.0.0.1"], "ttl": 301}',
    b'{"urls": ["https://10.0.0.1"], "ttl": true}',
    b'{"urls": ["https://10.0.0.1"], "fingerprint": 7}',
    b'{"urls": ["https://10.0.0.1"], "fingerprint": "<b>"}',
]


@pytest.mark.parametrize("body", BODIES)
def test_what_makes_no_sense_is_refused_in_words_also_when_it_is_signed(
    house: House, body: bytes
) -> None:
    house.announce("porch")
    with refusal(400):
        house.registry.announce("porch", body, house.signed("porch", body))
    entry = house.registry.relay("porch")
    assert entry and entry.announcement.urls == ("https://192.168.1.20:8443",)


@pytest.mark.parametrize("name", ["", "-x", "Porch", "../x", "a" * 33, "a b", "ä", "<b>"])
def test_what_is_no_name_is_refused(house: House, name: str) -> None:
    with refusal(400):
        house.registry.announce(name, b"", None)
    with refusal(400):
        house.registry.leave(name, None)


def test_the_visitors_own_network_comes_first(house: House) -> None:
    urls = [
        "https://10.0.0.2:1",
        "https://192.168.1.20:1",
        "https://[fd00::1:0:0:0:20]:1",
        "https://relay.local:1",
    ]
    assert nearest(urls, "192.168.1.77")[0] == urls[1]
    assert nearest(urls, "::ffff:192.168.1.77")[0] == urls[1]
    assert nearest(urls, "fd00::1:9:9:9:9")[0] == urls[2]
    for stranger in (
        "192.168.2.77",
        "172.16.0.1",
        "fd00::2:9:9:9:9",
        "fe80::1%eth0",
        "",
        "x",
        None,
    ):
        assert nearest(urls, stranger) == urls
    # Of two in one network, the nearer one; and nothing gets lost.
    assert (
        nearest(["https://10.0.0.2:1", "https://10.0.0.130:1"], "10.0.0.131")[0]
        == "https://10.0.0.130:1"
    )
    assert sorted(nearest(urls, "10.0.0.9")) == sorted(urls)


def test_an_address_that_asks_too_much_waits_and_nobody_else_does(house: House) -> None:
    for _ in range(BURST):
        house.registry.admit("10.0.0.1")
    with refusal(429):
        house.registry.admit("10.0.0.1")
    house.registry.admit("10.0.0.2")
    house.clock.wait(1)
    house.registry.admit("10.0.0.1")
    for number in range(3 * MAX_COUNTED):
        house.registry.admit(f"fd00::{number}")
    assert len(house.registry._requests) == MAX_COUNTED


def test_an_address_that_asks_at_twice_the_rate_is_served_at_the_rate(house: House) -> None:
    served = 0
    for number in range(800):
        try:
            house.registry.admit("10.0.0.1")
            served += number >= 400
        except Refused:
            pass
        house.clock.wait(1 / (2 * RATE))
    assert served == 200


def test_one_address_does_not_take_all_the_names(house: House) -> None:
    def announce(name: str, address: str) -> None:
        body = Announcement(name, ("https://192.168.1.20:8443",)).body()
        house.registry.announce(name, body, house.signed(name, body), address)

    for number in range(MAX_RELAYS_OF_ONE):
        announce(f"relay-{number}", "10.0.0.1")
    with refusal(503):
        announce("one-more", "10.0.0.1")
    announce("relay-0", "10.0.0.1")  # who is there stays
    announce("porch", "10.0.0.2")
    house.leave("relay-0")
    announce("one-more", "10.0.0.1")
    with refusal(503):
        announce("relay-0", "10.0.0.1")


def test_the_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "registry-secret"
    secret, is_new = load_or_create(path)
    assert is_new and len(secret) >= MIN_SECRET and path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)  # as a copy may have it
    assert load_or_create(path) == (secret, False)
    assert load(path) == secret and path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"short",
        b"two\nlines of a secret file that is long enough",
        "sécret sécret sécret".encode(),
        b"x" * 5000,
    ],
)
def test_a_file_that_holds_no_secret_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "registry-secret"
    path.write_bytes(content)
    with pytest.raises(SecretError, match="holds no secret"):
        load_or_create(path)
    assert path.read_bytes() == content
    with pytest.raises(SecretError, match="copy the file"):
        load(tmp_path / "missing")
    with pytest.raises(SecretError, match="cannot be"):
        load_or_create(path / "below")
