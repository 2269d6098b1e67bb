"""Addresses: which are shown, in what order, and as what URLs.

The adapters are made up, as other systems report theirs.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import ifaddr
import pytest

from groundwork.addresses import (
    arrange,
    default_address,
    host_names,
    lan_addresses,
    listening,
    names_of,
    short_name,
    url,
)


def adapter(name: str, *ips: str, nice_name: str = "", connection: str = "") -> ifaddr.Adapter:
    """An adapter as `ifaddr` describes it. On Windows all three names differ."""
    described = [
        ifaddr.IP((ip, 0, 0) if ":" in ip else ip, 64 if ":" in ip else 24, connection or name)
        for ip in ips
    ]
    return ifaddr.Adapter(name, nice_name or name, described)


LOOPBACK = adapter("lo", "127.0.0.1", "::1")
DOCKER = adapter("docker0", "172.17.0.1")


def shown(*adapters: ifaddr.Adapter, default: str | None = None) -> list[str]:
    return [str(address) for address in arrange(adapters, ip_address(default) if default else None)]


def test_the_likeliest_address_comes_first() -> None:
    adapters = [
        LOOPBACK,
        adapter(
            "wlan0", "2001:db8::5", "fd00::5", "fe80::5", "169.254.3.4", "198.51.100.4", "10.0.0.5"
        ),
        adapter("eth0", "192.168.1.5"),
    ]
    assert shown(*adapters) == [
        "10.0.0.5",
        "192.168.1.5",
        "198.51.100.4",
        "169.254.3.4",
        "fd00::5",
        "2001:db8::5",
    ]
    assert shown(*adapters, default="192.168.1.5")[:2] == ["192.168.1.5", "10.0.0.5"]


def test_a_public_default_address_comes_before_private_ones() -> None:
    assert (
        shown(
            adapter("eth0", "198.51.100.4"), adapter("wlan0", "192.168.1.5"), default="198.51.100.4"
        )[0]
        == "198.51.100.4"
    )


def test_among_equals_the_order_of_the_system_stays() -> None:
    assert shown(adapter("b", "192.168.2.2", "192.168.1.1"), adapter("a", "10.0.0.1")) == [
        "192.168.2.2",
        "192.168.1.1",
        "10.0.0.1",
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("docker0", "br-0123456789ab", "veth12ab", "cni0", "podman0", "lxcbr0", "lxdbr0"),
        *("virbr0", "vnet3", "vmnet8", "vboxnet0", "bridge100", "ifb0"),
    ],
)
def test_virtual_interfaces_are_left_out(name: str) -> None:
    assert shown(adapter(name, "172.20.0.1"), adapter("eth0", "192.168.1.5")) == ["192.168.1.5"]


@pytest.mark.parametrize(
    "name",
    ["eth0", "enp3s0", "wlan0", "en0", "br0", "br-lan", "tailscale0", "wg0", "bond0", "usb0"],
)
def test_real_interfaces_stay(name: str) -> None:
    assert shown(adapter(name, "10.1.1.1"), adapter("x", "192.168.1.5")) == [
        "10.1.1.1",
        "192.168.1.5",
    ]


def test_windows_names_its_virtual_interfaces_in_two_ways() -> None:
    wsl = adapter(
        "{5A}",
        "172.30.0.1",
        nice_name="Hyper-V Virtual Ethernet Adapter",
        connection="vEthernet (WSL)",
    )
    box = adapter(
        "{5B}",
        "192.168.56.1",
        nice_name="VirtualBox Host-Only Ethernet Adapter",
        connection="Ethernet 3",
    )
    wifi = adapter("{5C}", "192.168.1.5", nice_name="Intel Wi-Fi 6", connection="WLAN")
    assert shown(wsl, box, wifi) == ["192.168.1.5"]
    assert arrange([wifi], None)[0].interface == "WLAN"


def test_virtual_interfaces_are_better_than_nothing() -> None:
    assert shown(LOOPBACK, DOCKER) == ["172.17.0.1"]


def test_the_way_to_the_world_is_never_virtual() -> None:
    bridged = adapter(
        "{5A}",
        "192.168.1.5",
        nice_name="Hyper-V Virtual Ethernet Adapter",
        connection="vEthernet (External)",
    )
    assert shown(DOCKER, bridged, default="192.168.1.5") == ["192.168.1.5"]


def test_nothing_but_loopback_is_nothing() -> None:
    assert shown(LOOPBACK, adapter("eth0", "fe80::1")) == []
    assert shown() == []


def test_scopes_and_repetitions_are_taken_away() -> None:
    found = arrange(
        [adapter("en0", "fd00::5%en0", "192.168.1.5"), adapter("en0:1", "192.168.1.5")], None
    )
    assert [(str(address), address.interface) for address in found] == [
        ("192.168.1.5", "en0"),
        ("fd00::5", "en0"),
    ]


def test_every_look_tells_what_there_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [LOOPBACK, adapter("eth0", "192.168.1.5"), DOCKER]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: there)
    assert listening(None) == [ip_address("192.168.1.5")]
    there.append(adapter("wlan0", "192.168.1.6"))
    assert set(listening(None)) == {ip_address("192.168.1.5"), ip_address("192.168.1.6")}
    del there[1]
    there.append(adapter("veth1a2b", "172.18.0.1"))
    assert listening(None) == [ip_address("192.168.1.6")]
    there.pop(-2)
    assert set(listening(None)) == {ip_address("172.17.0.1"), ip_address("172.18.0.1")}, (
        "a container's network is better than none"
    )


def test_this_computer_has_usable_addresses() -> None:
    found = lan_addresses()
    assert len({address.ip for address in found}) == len(found)
    for address in found:
        assert not address.ip.is_loopback
        assert not (address.ip.version == 6 and address.ip.is_link_local)
    if (default := default_address()) is not None:
        assert found[0].ip == default


def test_offline_there_is_no_default_address(monkeypatch: pytest.MonkeyPatch) -> None:
    class Offline(socket.socket):
        def connect(self, address: object) -> None:
            raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket, "socket", Offline)
    assert default_address() is None
    assert isinstance(lan_addresses(), list)


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("drawer", ["drawer.local", "localhost"]),
        ("drawer.", ["drawer.local", "localhost"]),
        ("Drawer-Pi.local", ["drawer-pi.local", "localhost"]),
        ("pc.Home.example.", ["pc.home.example", "pc.local", "localhost"]),
        ("localhost", ["localhost"]),
        ("localhost.localdomain", ["localhost"]),
        ("my_pc", ["localhost"]),
        ("-pc", ["localhost"]),
        ("büro", ["localhost"]),
        ("20301", ["20301.local", "localhost"]),
        ("x" * 64, ["localhost"]),
        ("", ["localhost"]),
    ],
)
def test_names(host: str, names: list[str]) -> None:
    assert names_of(host) == names


@pytest.mark.parametrize(
    ("host", "short"),
    [
        ("Garden", "garden"),
        ("pc.home.example", "pc"),
        ("garden.", "garden"),
        ("20301", ""),
        ("my_pc", ""),
        ("büro", ""),
        ("", ""),
    ],
)
def test_the_short_name_is_known_apart(host: str, short: str) -> None:
    assert short_name(host) == short and short not in names_of(host)


def test_this_computer_has_names() -> None:
    assert host_names()[-1] == "localhost"
    assert host_names() == names_of(socket.gethostname())


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            ("https", "192.168.1.5", 8443, "/camera.html#key=a"),
            "https://192.168.1.5:8443/camera.html#key=a",
        ),
        (("https", "drawer.local", 443, "/"), "https://drawer.local/"),
        (("http", "drawer.local", 443, "x"), "http://drawer.local:443/x"),
        (("http", "localhost", 80, "player.html"), "http://localhost/player.html"),
        (("https", "fd00::5", 8443, "/ca.crt"), "https://[fd00::5]:8443/ca.crt"),
        (("wss", "fd00::5", 443, "/wall"), "wss://[fd00::5]/wall"),
    ],
)
def test_urls(parts: tuple[str, str, int, str], expected: str) -> None:
    scheme, host, port, path = parts
    assert url(scheme, host, port, path) == expected
    if host[0] in "1f":
        assert url(scheme, ip_address(host), port, path) == expected


def test_a_relay_on_one_address_is_reached_there_only() -> None:
    assert listening(["127.0.0.1", "::1"]) == [IPv4Address("127.0.0.1"), IPv6Address("::1")]
    assert listening(["192.168.7.7"]) == [IPv4Address("192.168.7.7")]
    assert listening(["kitchen.local"]) == []
    assert {ip.version for ip in listening(["::"])} <= {6}
    everywhere = [address.ip for address in lan_addresses()]
    assert listening(None) == listening(["0.0.0.0"]) == listening(["0.0.0.0", "::"]) == everywhere
