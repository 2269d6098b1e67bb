"""What --allow-host and --proxy mean for keys, names and links."""

from __future__ import annotations

import pytest

from drawercam.commands.serve import options
from drawercam.outer_address import Outside
from drawercam.server.admission.reverse_proxies import network
from groundwork.hosts import Host

HOSTS = (
    "cam.example.org",
    "lan.example:9443",
    "http://plain.example",
    "https://far.example:8443",
    "192.168.1.5",
    "[2001:db8::1]:9443",
)


def outside(*hosts: str, proxies: tuple[str, ...] = ()) -> Outside:
    return Outside(tuple(map(Host.parse, hosts)), tuple(map(network, proxies)))


def test_without_a_proxy_what_is_not_said_is_the_relays_own_and_a_name_alone_leads_nowhere() -> (
    None
):
    assert outside(*HOSTS).origins("https", 8443) == {
        "https://lan.example:9443": "lan.example",
        "http://plain.example": "plain.example",
        "https://far.example:8443": "far.example",
        "https://192.168.1.5:8443": "192.168.1.5",
        "https://[2001:db8::1]:9443": "2001:db8::1",
    }
    assert outside(*HOSTS).sites() == ["http://plain.example", "https://far.example:8443"]


def test_behind_a_proxy_what_is_not_said_is_https() -> None:
    behind = outside(*HOSTS, proxies=("127.0.0.1",))
    there = [
        "https://cam.example.org",
        "https://lan.example:9443",
        "http://plain.example",
        "https://far.example:8443",
        "https://192.168.1.5",
    ]
    assert (
        behind.sites()
        == [*there, "https://[2001:db8::1]:9443"]
        == list(behind.origins("http", 8080))
    )


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        ([], False),
        (["--tls"], True),
        (["--allow-host", "cam.example.org"], True),
        (["--proxy", "127.0.0.1"], True),
        (["--no-key", "--allow-host", "cam.example.org"], False),
        (["--no-key", "--proxy", "127.0.0.1", "--host", "0.0.0.0"], False),
    ],
)
def test_who_expects_others_gets_keys(arguments: list[str], keys: bool) -> None:
    assert options(arguments).keys is keys


def test_localhost_is_both_of_its_addresses() -> None:
    assert list(
        map(str, options(["--proxy", "localhost", "--proxy", "127.0.0.1"]).outside.proxies)
    ) == ["127.0.0.1/32", "::1/128"]


@pytest.mark.parametrize(
    ("arguments", "sentences"),
    [
        ([], []),
        (["--tls", "--allow-host", "cam.example.org"], []),
        (["--proxy", "127.0.0.1", "--allow-host", "cam.example.org"], []),
        (["--proxy", "127.0.0.1"], ["--allow-host https://cam.example.org"]),
        (["--tls", "--proxy", "10.0.0.2"], ["--allow-host https://cam.example.org"]),
        (["--proxy", "10.0.0.2"], ["--allow-host https://cam.example.org", "--host 0.0.0.0"]),
        (["--proxy", "10.0.0.2", "--proxy", "::1", "--allow-host", "x"], []),
        (["--proxy", "10.0.0.2", "--host", "0.0.0.0", "--allow-host", "x"], []),
        (["--allow-host", "cam.example.org"], ["--proxy 127.0.0.1"]),
        (["--allow-host", "cam.example.org", "--no-key"], ["--proxy 127.0.0.1"]),
    ],
)
def test_the_start_says_what_is_missing(arguments: list[str], sentences: list[str]) -> None:
    chosen = options(arguments)
    said = list(chosen.outside.missing(chosen.tls, chosen.hosts, chosen.typed))
    assert [
        command.endswith(wanted) for wanted, (_, command) in zip(sentences, said, strict=True)
    ] == [True] * len(sentences), said
    for (_, command), wanted in zip(said, sentences, strict=True):
        assert options(command.partition("relay.py ")[2].split()).typed == [
            *arguments,
            *wanted.split(),
        ], "and it works as it is printed"
