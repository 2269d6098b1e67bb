"""Whom a request is from: what proxies say is believed from them alone, and nothing that a client
writes changes who it is.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.server.admission.reverse_proxies import MAX_HOPS, Client, Proxies, network
from groundwork.denied import Denied

PROXY, SECOND, STRANGER = "127.0.0.1", "172.18.0.2", "198.51.100.4"
PROXIES = Proxies(
    [network(PROXY), network("172.16.0.0/12"), network("::1"), network("fd00:1::/64")]
)

Header = tuple[str, str]


def asked(
    *headers: Header,
    by: str = PROXY,
    at: str = PROXY,
    proxies: Proxies = PROXIES,
    tls: bool = False,
) -> Client:
    return proxies.client(Client.connected((by, 5000), tls), at, headers)


def refused(
    *headers: Header, by: str = PROXY, at: str = PROXY, proxies: Proxies = PROXIES
) -> tuple[int, str, str]:
    with pytest.raises(Denied) as denied:
        asked(*headers, by=by, at=at, proxies=proxies)
    return denied.value.status, denied.value.id, denied.value.add


# --- what the parser takes ---

CLIENTS = [
    ("203.0.113.7", "203.0.113.7"),
    (" 203.0.113.7\t", "203.0.113.7"),
    ("203.0.113.7:5123", "203.0.113.7"),
    ("2001:db8::7", "2001:db8::7"),
    ("2001:DB8:0:0:0:0:0:7", "2001:db8::7"),
    ("[2001:db8::7]", "2001:db8::7"),
    ("[2001:db8::7]:5123", "2001:db8::7"),
    ("::ffff:203.0.113.7", "203.0.113.7"),
    ("[::ffff:203.0.113.7]:1", "203.0.113.7"),
    ("fe80::7%eth0", "fe80::7"),
    ("evil, 203.0.113.7", "203.0.113.7"),
    (", ,,203.0.113.7", "203.0.113.7"),
    ("10.9.9.9, 203.0.113.7, 172.18.0.2", "203.0.113.7"),
    ("203.0.113.7, 172.18.0.2:80, [::1], ::ffff:172.18.0.9", "203.0.113.7"),
    ("172.18.0.2, 127.0.0.1", "172.18.0.2"),  # all are proxies: the first one asks for itself
    ("127.0.0.1", "127.0.0.1"),
]


@pytest.mark.parametrize(("said", "client"), CLIENTS)
def test_the_last_address_that_is_no_proxy_is_the_client(said: str, client: str) -> None:
    assert asked(("X-Forwarded-For", said)).address == client


BROKEN = [
    "",
    " ",
    "unknown",
    "_hidden",
    "203.0.113.7,",
    "203.0.113.7, ",
    "203.0.113.7, unknown",
    "203.0.113.7, unknown, 127.0.0.1",
    "203.0.113",
    "203.0.113.7.1",
    "203.0.113.07",
    "203.0.113.256",
    "203.0.113.7:",
    "203.0.113.7:x",
    "203.0.113.7:65536",
    "203.0.113.7:-1",
    "203.0.113.7:٤",
    "203.0.113.7:1:2",
    "203.0.113.7%eth0",
    "203.0.113.7 203.0.113.8",
    "203.0.113.7;203.0.113.8",
    "[203.0.113.7]",
    "[2001:db8::7",
    "2001:db8::7]",
    "[2001:db8::7]x",
    "[2001:db8::7]:",
    "[2001:db8::7]:٤",
    "[]",
    "2001:db8::7::1",
    "２０３.0.113.7",
    "203.0.113.7\x00",
    "203.0.113.0/24",
    '"203.0.113.7"',
    "for=203.0.113.7",
    "unix:",
    "localhost",
]


@pytest.mark.parametrize("said", BROKEN)
def test_a_broken_entry_that_counts_is_400(said: str) -> None:
    assert refused(("X-Forwarded-For", said))[:2] == (400, "bad-forwarding")


def test_several_lines_are_one_list_in_their_order() -> None:
    lines = [
        ("X-Forwarded-For", "203.0.113.7"),
        ("x-forwarded-for", "203.0.113.8"),
        ("X-FORWARDED-FOR", "172.18.0.2"),
    ]
    assert asked(*lines).address == "203.0.113.8"
    assert refused(("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-For", ""))[0] == 400


def test_a_chain_is_followed_so_far_and_no_farther() -> None:
    proxies = [SECOND] * (MAX_HOPS - 1)
    assert asked(("X-Forwarded-For", ", ".join(["203.0.113.7", *proxies]))).address == "203.0.113.7"
    assert (
        asked(("X-Forwarded-For", ", ".join(["junk"] * 500 + ["203.0.113.7", *proxies]))).address
        == "203.0.113.7"
    )
    assert refused(("X-Forwarded-For", ", ".join(["203.0.113.7", SECOND, *proxies])))[0] == 400


WRITTEN = st.one_of(
    st.text(max_size=40),
    st.ip_addresses().map(str),
    st.text(alphabet=" ,;:[]%.0123456789abcdef\t", max_size=60),
    st.lists(st.ip_addresses().map(str), max_size=100).map(", ".join),
    st.sampled_from([said for said, _ in CLIENTS] + BROKEN),
)
ADDRESSES = st.one_of(
    st.ip_addresses(), st.sampled_from([ip_address("192.168.1.9"), ip_address("2001:db8::1")])
).filter(lambda ip: ip not in PROXIES and getattr(ip, "ipv4_mapped", None) is None)


def written(ip: IPv4Address | IPv6Address, port: int | None, brackets: bool) -> str:
    if port is None:
        return f"[{ip}]" if ip.version == 6 and brackets else str(ip)
    return f"[{ip}]:{port}" if ip.version == 6 else f"{ip}:{port}"


@given(
    st.lists(WRITTEN, max_size=5),
    ADDRESSES,
    st.none() | st.integers(0, 65535),
    st.booleans(),
    st.booleans(),
)
def test_nothing_that_a_client_writes_before_the_proxy_changes_who_it_is(
    before: list[str],
    client: IPv4Address | IPv6Address,
    port: int | None,
    brackets: bool,
    appends: bool,
) -> None:
    """Proxies append to what came, behind a comma or in a line of its own."""
    own = written(client, port, brackets)
    lines = [*before[:-1], f"{before[-1]}, {own}"] if appends and before else [*before, own]
    assert asked(*(("X-Forwarded-For", line) for line in lines)).address == str(client)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Host", "Forwarded"]
            ),
            WRITTEN,
        ),
        max_size=8,
    )
)
def test_whatever_a_proxy_says_it_is_understood_or_400(headers: list[Header]) -> None:
    try:
        client = asked(*headers)
    except Denied as denied:
        assert denied.status == 400 and denied.id in ("bad-forwarding", "bad-request")
    else:
        assert str(ip_address(client.address)) == client.address and type(client.https) is bool
        assert client.host or "X-Forwarded-Host" not in dict(headers)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP"]
            ),
            WRITTEN,
        ),
        max_size=8,
    )
)
def test_of_anybody_else_nothing_is_believed(headers: list[Header]) -> None:
    for proxies, tls in product((PROXIES, Proxies()), (False, True)):
        client = asked(("Host", "cam.example.org"), *headers, by=STRANGER, proxies=proxies, tls=tls)
        assert (client.address, client.peer, client.host, client.https) == (
            STRANGER,
            f"{STRANGER}:5000",
            "cam.example.org",
            tls,
        )
        assert client.handed_on is bool(headers)


# --- scheme and host ---


@pytest.mark.parametrize(
    ("said", "https"),
    [
        ("https", True),
        ("HTTPS ", True),
        ("wss", True),
        ("http", False),
        ("ws", False),
        ("http, https", True),
        ("https,http", False),
    ],
)
def test_the_nearest_proxy_says_the_scheme(said: str, https: bool) -> None:
    for tls in (False, True):
        assert asked(("X-Forwarded-Proto", said), tls=tls).https is https
        assert (
            asked(("X-Forwarded-Proto", "ftp"), ("X-Forwarded-Proto", said), tls=tls).https is https
        )


@pytest.mark.parametrize("said", ["", "ftp", "https,", "h2", "on", "https http"])
def test_a_scheme_that_is_none_is_400(said: str) -> None:
    assert refused(("X-Forwarded-Proto", said))[:2] == (400, "bad-forwarding")


def test_without_a_word_of_the_proxy_it_is_as_the_connection_says() -> None:
    for tls in (False, True):
        assert asked(("Host", "backend:8080"), tls=tls) == Client(
            PROXY, f"{PROXY}:5000", "backend:8080", tls
        )


def test_the_nearest_proxy_says_the_host() -> None:
    assert (
        asked(("Host", "backend:8080"), ("X-Forwarded-Host", "cam.example.org:8443")).host
        == "cam.example.org:8443"
    )
    assert (
        asked(("Host", "backend"), ("X-Forwarded-Host", "evil.example, cam.example.org")).host
        == "cam.example.org"
    )
    assert (
        asked(
            ("Host", "backend"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Host", "cam.example.org"),
        ).host
        == "cam.example.org"
    )
    assert refused(("Host", "backend"), ("X-Forwarded-Host", " "))[:2] == (400, "bad-forwarding")


def test_two_hosts_are_400_whoever_asks() -> None:
    for by in (PROXY, STRANGER):
        assert refused(("Host", "a.example"), ("host", "b.example"), by=by)[:2] == (
            400,
            "bad-request",
        )


def test_the_log_has_the_client_and_its_proxy() -> None:
    assert asked(("X-Forwarded-For", "203.0.113.7")).peer == "203.0.113.7 by 127.0.0.1:5000"


# --- who may ask at all ---


@pytest.mark.parametrize("by", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "192.168.1.5"])
def test_beside_its_proxies_a_relay_without_encryption_serves_its_own_computer(by: str) -> None:
    alone = Proxies([network(SECOND)], alone=True)
    assert asked(("Host", "x"), by=by, at="192.168.1.5", proxies=alone).address == by
    assert (
        asked(
            ("X-Forwarded-For", "203.0.113.7"), by=SECOND, at="192.168.1.5", proxies=alone
        ).address
        == "203.0.113.7"
    )


@pytest.mark.parametrize(
    ("by", "add"),
    [
        ("192.168.1.6", "--proxy 192.168.1.6"),
        ("172.18.0.3", "--proxy 172.18.0.3"),
        ("fe80::1%eth0", "--proxy fe80::1"),
        ("", "--proxy ADDRESS"),
    ],
)
def test_nobody_else_and_is_told_what_to_add_if_it_is_the_proxy(by: str, add: str) -> None:
    alone = Proxies([network(SECOND)], alone=True)
    assert refused(("Host", "x"), by=by, at="192.168.1.5", proxies=alone) == (
        403,
        "not-the-proxy",
        add,
    )


@pytest.mark.parametrize(
    "name",
    [
        "X-Forwarded-For",
        "x-forwarded-proto",
        "X-Forwarded-Server",
        "X-Forwarded-Port",
        "Forwarded",
        "X-Real-IP",
    ],
)
def test_a_relay_without_keys_does_not_take_what_a_proxy_hands_on(name: str) -> None:
    keyless = Proxies(no_proxy=True)
    assert refused((name, "x"), proxies=keyless) == (403, "behind-proxy", "--proxy 127.0.0.1")
    assert asked(("Host", "localhost"), ("X-Requested-With", "x"), proxies=keyless).address == PROXY
    assert asked((name, "x"), proxies=Proxies()).handed_on


def test_a_proxy_on_this_computer_that_was_not_named_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """nginx with `proxy_pass http://localhost:8080` comes by both addresses, of which one was
    named.
    """
    proxies = Proxies([network("127.0.0.1")])
    for by in (STRANGER, PROXY, "::1", "::1", "127.0.0.9"):
        asked(("Host", "x"), ("X-Forwarded-For", "203.0.113.7"), by=by, proxies=proxies)
    asked(("Host", "x"), by="::1", proxies=proxies)
    (said,) = caplog.messages
    assert said.startswith("Requests come through a proxy at ::1,") and said.endswith(
        "add --proxy ::1"
    )


# --- the option ---


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("127.0.0.1", "127.0.0.1/32"),
        (" 172.18.0.1/16 ", "172.18.0.0/16"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("[::1]", "::1/128"),
        ("fd00:1::5/64", "fd00:1::/64"),
        ("::ffff:172.18.0.2", "172.18.0.2/32"),
        ("::ffff:172.16.0.0/108", "172.16.0.0/12"),
    ],
)
def test_proxies_are_addresses_and_networks(given: str, found: str) -> None:
    assert str(network(given)) == found


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("nginx", "names no address of a proxy"),
        ("127.0.0.1:8080", "neither a name nor a port"),
        ("http://127.0.0.1", "names no address of a proxy"),
        ("", "names no address of a proxy"),
        ("127.0.0.1,127.0.0.2", "names no address of a proxy"),
        ("172.16.0.0/33", "names no address of a proxy"),
        ("0.0.0.0", "would let anybody say who he is"),
        ("::", "would let anybody say who he is"),
        ("0.0.0.0/0", "would let anybody say who he is"),
        ("::/0", "would let anybody say who he is"),
        ("128.0.0.0/1", "would let anybody say who he is"),
        ("::ffff:0.0.0.0/96", "would let anybody say who he is"),
    ],
)
def test_what_is_no_proxy_is_refused_with_a_sentence(given: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        network(given)
