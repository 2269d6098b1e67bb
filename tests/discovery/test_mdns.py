"""A relay that says by mDNS where it is, and `relay.py find`, which hears it.

On loopback addresses only: nothing leaves this computer.
"""

from __future__ import annotations

import asyncio
import builtins
import gc
import logging
import sys
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from drawercam.commands import find
from drawercam.commands.find import Found, NoMulticast, described, look_around, merged
from drawercam.discovery import mdns
from drawercam.discovery.mdns import SERVICE, Beacon, interfaces
from drawercam.discovery.registry_client import Address, RegistryClient
from ip_registry.messages import Announcement
from tests.harness.registries import RegistryProcess

HERE = ip_address("127.0.0.1")
THERE = ip_address("127.0.0.2")
FINGERPRINT = "AB:" * 31 + "CD"

# How often to look, for so many seconds each: once or twice is enough, except on a machine that is
# busy with browsers.
LOOKS = 160
LOOK = 0.25

# Seconds after which what has not been heard is not there.
SILENCE = 1.0


# zeroconf leaves a socket that it cannot use to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    yield
    gc.collect()  # here, where that is ignored


async def heard(
    condition: Callable[[dict[str, Found]], bool], seconds: float = LOOK
) -> dict[str, Found]:
    """Look around, for so many seconds each time, until this is so."""
    found: dict[str, Found] = {}
    for _ in range(LOOKS):
        found = {one.name: one for one in await look_around(seconds, [HERE])}
        if condition(found):
            return found
    raise AssertionError(f"never heard; the last were {found}")


async def test_a_relay_is_found_with_its_addresses_as_they_come_and_go_until_it_stops() -> None:
    beacon = Beacon("porch-of-a-test", 8443, tls=True, fingerprint=FINGERPRINT)
    beacon.start([HERE])
    try:
        found = await heard(lambda found: "porch-of-a-test" in found)
        assert found["porch-of-a-test"] == Found(
            "porch-of-a-test", ("https://127.0.0.1:8443",), FINGERPRINT
        )
        beacon.update([HERE, THERE])
        both = {"https://127.0.0.1:8443", "https://127.0.0.2:8443"}
        await heard(
            lambda found: "porch-of-a-test" in found and set(found["porch-of-a-test"].urls) == both
        )
        beacon.update([])
        await heard(lambda found: "porch-of-a-test" not in found, SILENCE)
        beacon.update([HERE])
        await heard(lambda found: "porch-of-a-test" in found)
    finally:
        await beacon.stop()
    await heard(lambda found: "porch-of-a-test" not in found, SILENCE)
    await beacon.stop()


async def test_two_relays_of_one_name_are_both_found() -> None:
    first, second = (
        Beacon("twin-of-a-test", port, tls=True, fingerprint=f"0{port}:" + "AB:" * 30 + "AB")
        for port in (1, 2)
    )
    first.start([HERE])
    second.start([HERE])
    found: set[tuple[str, ...]] = set()
    try:
        for _ in range(LOOKS):
            found = {
                one.urls for one in await look_around(LOOK, [HERE]) if one.name == "twin-of-a-test"
            }
            if len(found) == 2:
                break
        assert found == {("https://127.0.0.1:1",), ("https://127.0.0.1:2",)}
    finally:
        await asyncio.gather(first.stop(), second.stop())


async def test_without_zeroconf_the_relay_says_one_sentence_and_works_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "zeroconf"]:
        monkeypatch.delitem(sys.modules, name)
    original = builtins.__import__

    def refuse(name: str, *more: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "zeroconf":
            raise ImportError(name)
        return original(name, *more, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    caplog.set_level(logging.INFO, "drawercam.discovery.mdns")
    beacon = Beacon("porch", 8443, tls=True)
    beacon.start([HERE])
    beacon.update([THERE])
    await beacon.stop()
    assert [
        record.getMessage()
        for record in caplog.records
        if record.name == "drawercam.discovery.mdns"
    ] == [
        "The relay cannot be found by name in the network, because the library zeroconf is missing."
    ]
    with pytest.raises(NoMulticast, match="pip install zeroconf"):
        await look_around(addresses=[HERE])


async def test_where_multicast_is_impossible_the_relay_says_one_sentence_and_tries_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mdns, "RETRY_AFTER", 0.05)
    caplog.set_level(logging.INFO, "drawercam.discovery.mdns")
    beacon = Beacon("late-in-a-test", 8443, tls=True)
    foreign = ip_address("203.0.113.7")  # an address that this computer does not have
    beacon.start([foreign])
    await asyncio.sleep(0.5)
    said = [
        record.getMessage()
        for record in caplog.records
        if record.name == "drawercam.discovery.mdns"
    ]
    assert len(said) == 1 and "multicast does not work here" in said[0]
    with pytest.raises(NoMulticast, match="does not work here"):
        await look_around(addresses=[foreign])
    try:
        beacon.update([HERE])
        found = await heard(lambda found: "late-in-a-test" in found)
        assert found["late-in-a-test"].fingerprint == ""
    finally:
        await beacon.stop()


async def test_it_stops_also_in_the_moment_in_which_there_is_news() -> None:
    beacon = Beacon("hasty-in-a-test", 8443, tls=True)
    beacon.start([HERE])
    await asyncio.sleep(0)
    beacon.update([THERE])
    await asyncio.wait_for(beacon.stop(), 30)


@pytest.mark.parametrize(
    ("name", "addresses", "port", "properties"),
    [
        ("", ["10.0.0.1"], 1, {"tls": "1"}),
        ("\x1b\x07", ["10.0.0.1"], 1, {"tls": "1"}),
        ("porch", [], 1, {"tls": "1"}),
        ("porch", ["fe80::1%2", "fe80::1"], 1, {"tls": "1"}),
        ("porch", ["10.0.0.1"], 0, {"tls": "1"}),
        ("porch", ["10.0.0.1"], None, {}),
    ],
)
def test_what_makes_no_sense_is_not_shown(
    name: str, addresses: list[str], port: int | None, properties: dict[str, str | None]
) -> None:
    assert described(f"{name}.{SERVICE}", addresses, port, properties) is None


def test_whatever_somebody_says_is_printed_as_text() -> None:
    found = described(
        f"po\x1b[2Jrch.{SERVICE}", ["10.0.0.1", "fd00::1"], 80, {"tls": None, "id": "\x1b[2J"}
    )
    assert found == Found("po[2Jrch", ("http://10.0.0.1", "http://[fd00::1]"), "")
    assert described(f"porch.{SERVICE}", ["10.0.0.1"], 443, {"tls": "1", "id": "ab" * 31}) == Found(
        "porch", ("https://10.0.0.1",), ""
    )


def test_ipv6_interfaces_are_used_only_where_there_is_nothing_else() -> None:
    assert interfaces([ip_address("10.0.0.1"), ip_address("fd00::1")]) == ["10.0.0.1"]
    assert interfaces([ip_address("fd00::1")]) == ["fd00::1"]


def test_one_relay_that_was_found_twice_is_shown_once() -> None:
    one = Found("porch", ("https://10.0.0.1:1", "https://10.0.0.2:1"), FINGERPRINT)
    again = Found("porch", ("https://10.0.0.2:1", "https://10.0.0.3:1"), FINGERPRINT)
    other = Found("porch", ("https://10.0.0.9:1",), "")
    urls = ("https://10.0.0.1:1", "https://10.0.0.2:1", "https://10.0.0.3:1")
    assert merged([one, other, again]) == [Found("porch", urls, FINGERPRINT), other]


def test_find_lists_what_the_network_and_the_registry_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(find, "PATIENCE", 0.2)
    monkeypatch.setattr(find, "lan_addresses", list)
    assert find.main([]) == 1
    said = capsys.readouterr().out
    assert "in no network" in said and "No relay was found" in said
    with RegistryProcess(tmp_path) as registry:

        async def announce() -> None:
            async with RegistryClient(Address(registry.origin), registry.secret) as client:
                await client.announce(
                    Announcement("porch", ("https://10.0.0.1:8443",), FINGERPRINT)
                )
                await client.announce(Announcement("garden", ("https://10.0.0.2:8443",)))
                await client.leave("garden")

        asyncio.run(announce())
        assert find.main(["--registry", registry.origin]) == 0
        said = capsys.readouterr().out
        assert "porch\n  https://10.0.0.1:8443\n  SHA-256 AB:" in said and "garden" not in said
    assert find.main(["--registry", registry.origin]) == 1
    assert "There is no registry at" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        find.main(["--registry", "nonsense"])
    assert "must look like http://" in capsys.readouterr().err
