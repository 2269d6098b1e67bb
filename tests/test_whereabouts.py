"""Where a relay without certificates says that it is, by what it was told of the outside."""

from __future__ import annotations

import pytest

from drawercam.banner import Reach
from drawercam.outer_address import Outside
from drawercam.server.admission.reverse_proxies import network
from drawercam.whereabouts import Whereabouts
from groundwork.addresses import parsed
from groundwork.hosts import Host

PROXY = (network("127.0.0.1"),)


def at(*hosts: str, proxied: bool = False, tls: bool = False) -> Whereabouts:
    outside = Outside(tuple(map(Host.parse, hosts)), PROXY if proxied else ())
    where = Whereabouts(tls, ["127.0.0.1"], outside, None)
    where.port = 8080
    return where


def test_links_lead_to_this_computer_and_hold_the_key_only_where_there_is_one() -> None:
    assert at().urls("/player.html") == ["http://localhost:8080/player.html"]
    assert at().trust_url() == ""


@pytest.mark.parametrize(
    ("where", "origins", "reach"),
    [
        (at(), ["http://localhost:8080"], Reach.PLAIN),
        (at("10.1.2.3"), ["http://localhost:8080", "http://10.1.2.3:8080"], Reach.PLAIN),
        (at(proxied=True), ["http://localhost:8080"], Reach.BEHIND),
        (at("cam.example.org", proxied=True), ["https://cam.example.org"], Reach.NETWORK),
        (
            at("https://cam.example.org", tls=True),
            ["https://cam.example.org", "https://localhost:8080"],
            Reach.NETWORK,
        ),
        (at(tls=True), ["https://localhost:8080"], Reach.HOST),
    ],
)
def test_it_says_where_and_from_where(where: Whereabouts, origins: list[str], reach: Reach) -> None:
    assert (where.origins(), where.reach()) == (origins, reach)


def test_a_registry_hears_of_addresses_that_others_can_reach() -> None:
    here, named = at().announcement("desk"), at("10.1.2.3").announcement("desk")
    assert here is not None and named is not None
    assert here.urls == ("http://127.0.0.1:8080",)
    assert named.urls == ("http://10.1.2.3:8080",)
    assert at("10.1.2.3").present[0] == parsed("10.1.2.3")
