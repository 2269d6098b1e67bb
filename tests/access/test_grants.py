"""Grants, Host and Origin."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path

import pytest

from drawercam.access.grants import EVERYTHING, MAX_HELD, MAX_STALE, NO_GRANT, Access, Grant, Right
from drawercam.access.key import ALL, NOTHING, Key, Scope
from drawercam.access.keys import Keyring
from drawercam.protocol.close_reasons import Closing, Reason, Refused
from groundwork.brief import MAX_SENTENCE
from groundwork.denied import Denied
from ip_registry import registry

PORCH, GARDEN = (Scope(names=frozenset({name})) for name in ("porch", "garden"))


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    return Keyring.open(tmp_path)


@pytest.fixture
def access(ring: Keyring) -> Access:
    return Access(ring, tls=True, tickets=True)


def cookie(access: Access, *keys: Key) -> str:
    assert access.ring is not None
    return "; ".join(
        f"{access.cookie_name(key)}={access.ring.token(key, 'cookie')}" for key in keys
    )


def made(ring: Keyring, publish: Scope, watch: Scope) -> Key:
    key = ring.add(publish, watch)
    ring.refresh()
    return key


def refused(grant: Grant, right: Right, name: str = "") -> tuple[int, str]:
    with pytest.raises(Denied) as denied:
        grant.require(right, name)
    return denied.value.status, denied.value.id


# --- what keys allow ---


def test_a_key_opens_its_own_door_only(access: Access, ring: Keyring) -> None:
    camera, viewer = ring.keys
    films, watches = access.grant(cookie(access, camera)), access.grant(cookie(access, viewer))
    films.require(Right.PUBLISH, "porch")
    watches.require(Right.WATCH, "porch")
    watches.require(Right.WATCH_SOME)
    assert (
        refused(films, Right.WATCH, "porch") == refused(films, Right.WATCH_SOME) == (401, "no-key")
    )
    assert refused(watches, Right.PUBLISH, "porch") == (401, "no-key")
    assert refused(films, Right.MANAGE) == refused(watches, Right.MANAGE) == (403, "not-allowed")
    access.grant(cookie(access, camera, viewer)).require(Right.MANAGE)


def test_a_key_for_some_cameras_is_for_no_other(access: Access, ring: Keyring) -> None:
    porch, garden = made(ring, NOTHING, PORCH), made(ring, GARDEN, GARDEN)
    one = access.grant(cookie(access, porch))
    assert one.may_watch("porch") and not one.may_watch("garden") and not one.may_publish("porch")
    assert (
        refused(one, Right.WATCH, "garden")
        == refused(one, Right.WATCH, "nowhere")
        == (403, "not-allowed")
    )
    both = access.grant(cookie(access, porch, garden))
    assert (
        both.may_watch("porch")
        and both.may_watch("garden")
        and both.may_publish("garden")
        and not both.may_publish("porch")
    )
    assert not both.may_manage


def test_managing_takes_both_in_full(access: Access, ring: Keyring) -> None:
    camera, viewer = ring.keys
    assert access.grant(cookie(access, made(ring, ALL, ALL))).may_manage
    assert access.grant(cookie(access, camera, viewer)).may_manage
    assert not access.grant(cookie(access, camera, made(ring, NOTHING, PORCH))).may_manage


@pytest.mark.parametrize("right", [Right.PUBLISH, Right.WATCH])
def test_a_guest_is_told_what_her_key_is_for_and_of_no_terminal(right: Right) -> None:
    def said(names: str) -> str:
        scope = Scope(names=frozenset(names.split()))
        with pytest.raises(Denied) as denied:
            Grant((), scope, scope).require(right, "attic")
        return str(denied.value)

    what = "for filming as {} or {}" if right is Right.PUBLISH else "for {} and {}"
    assert "baby-room only." in said("baby-room")
    assert said("porch gate") == f"Your key is {what.format('gate', 'porch')} only."
    assert said("a b c d e") == f"Your key is {what.format('a, b, c', '2 more')} only."
    with pytest.raises(Denied) as denied:
        NO_GRANT.require(right, "attic")
    assert "that you were given" in str(denied.value) and "terminal" not in str(denied.value)


@pytest.mark.parametrize("right", list(Right))
def test_nothing_is_allowed_without_a_key_but_what_anybody_may(
    access: Access, right: Right
) -> None:
    grant = access.grant(None)
    if right is Right.ANYBODY:
        grant.require(right)
    else:
        assert refused(grant, right, "porch") == (401, "no-key")


def test_cookies_that_prove_nothing(access: Access, ring: Keyring) -> None:
    camera, _ = ring.keys
    name, token = access.cookie_name(camera), ring.token(camera, "cookie")
    for wrong in (
        None,
        "",
        "=",
        ";;;",
        f"{name}=",
        f"{name}={camera.secret}",
        f"{name}={ring.token(camera, 'ticket')}",
        f"{name}={token}x",
        f"x={token}",
        f"drawercam-000000-camera={token}",
        "\0;;=",
    ):
        assert access.grant(wrong).keys == ()
    assert access.grant(f"a=b; \0odd; {name}={token}; c").keys == (camera,), (
        "odd cookies of others do not matter"
    )


def test_no_junk_hides_a_good_cookie_or_ticket(access: Access, ring: Keyring) -> None:
    camera, _ = ring.keys
    name, token = access.cookie_name(camera), ring.token(camera, "cookie")
    junk = [f"{name}{number}=junk" for number in range(400)]
    for header in (
        "; ".join([*junk, f"{name}={token}"]),
        "; ".join([f"{name}=junk", *junk[:100], f"{name}={token}", *junk[100:]]),
    ):
        assert len(header) < MAX_HELD and access.grant(header).keys == (camera,)
        stale = access.stale_cookies(header)
        assert len(set(stale)) == MAX_STALE and name not in stale
    assert access.grant("; ".join([*junk * 3, f"{name}={token}"])).keys == (), (
        "no request is that large"
    )
    good = access.ticket(Grant.of((camera,)))
    granted = access.grant_of_ticket(f"{'junk.' * 400}{good}")
    assert granted is not None and granted.keys == (camera,)


def test_what_cannot_be_taken_back_is_left_alone(access: Access, ring: Keyring) -> None:
    name = access.cookie_name(ring.keys[0])
    odd = [f"{name}{one}" for one in (" x", ",", "\xff", '"', "/", "\t", "(", "")]
    assert access.stale_cookies("; ".join(f"{one}=x" for one in odd)) == [name]


@pytest.mark.parametrize("sites", [(), ("same-origin",), ("none",), ("same-origin", "same-origin")])
def test_own_pages_people_and_programs_may_ask(sites: tuple[str, ...]) -> None:
    Access.check_site(sites)


@pytest.mark.parametrize(
    "sites",
    [
        *(
            ("cross-site",),
            ("same-site",),
            ("",),
            ("Same-Origin",),
            ("NONE",),
            ("same-origin, cross-site",),
            ("same-origin;x",),
            ("x",),
        ),
        *(("same-origin", "cross-site"), ("cross-site", "none"), ("none", "")),
    ],
)
def test_pages_of_other_sites_may_not(sites: tuple[str, ...]) -> None:
    with pytest.raises(Denied) as denied:
        Access.check_site(sites)
    assert (denied.value.status, denied.value.id) == (403, "foreign-origin")


def test_a_revoked_key_is_worth_nothing_at_once(access: Access, ring: Keyring) -> None:
    key = made(ring, PORCH, PORCH)
    header = cookie(access, key)
    grant = access.grant(header)
    ring.revoke(key.id)
    ring.refresh()
    assert access.grant(header).keys == () == access.still(grant).keys
    assert access.stale_cookies(header) == [access.cookie_name(key)]


def test_tickets(access: Access, ring: Keyring) -> None:
    porch, garden = made(ring, NOTHING, PORCH), made(ring, GARDEN, NOTHING)
    ticket = access.ticket(Grant.of((porch, garden)))
    assert ticket is not None and re.fullmatch(r"[!#$%&'*+.^_`|~\w-]+", ticket), (
        "a token of RFC 9110"
    )
    grant = access.grant_of_ticket(ticket)
    assert grant is not None and (grant.publish, grant.watch) == (GARDEN, PORCH)
    assert access.ticket(access.grant(None)) is None
    for wrong in ("", ".", ticket[1:-1], ring.token(porch, "cookie"), porch.secret):
        assert access.grant_of_ticket(wrong) is None
    ring.revoke(porch.id)
    ring.refresh()
    left = access.grant_of_ticket(ticket)
    assert left is not None and left.keys == (garden,)
    closed = Access(ring)
    assert closed.ticket(grant) is None and closed.grant_of_ticket(ticket) is None, (
        "where there is no registry there are none"
    )


def test_without_keys_everybody_may_do_everything() -> None:
    access = Access(None, tickets=True)
    assert access.grant(None) is EVERYTHING is access.still(EVERYTHING)
    access.grant("x=y").require(Right.PUBLISH, "porch")
    assert access.ticket(EVERYTHING) is None and access.grant_of_ticket("x") is None


# --- Host ---

ADDRESSES = [ip_address("192.168.1.5"), ip_address("fd00::5")]


@pytest.mark.parametrize(
    "host",
    [
        "192.168.1.5:8443",
        "192.168.1.5",
        "[fd00::5]:8443",
        "127.0.0.1",
        "[::1]:1",
        "localhost:8080",
        "Kitchen.local:8443",
        "kitchen.local.",
    ],
)
def test_known_hosts(host: str) -> None:
    Access(None, ("localhost", "kitchen.local"), ADDRESSES).check_host(host)


FOREIGN = [
    None,
    "",
    "evil.example",
    "localhost.evil.example",
    "192.168.1.5.evil.example",
    "[::1",
    "a:b:c",
    "kitchen",
    "192.168.1.6",
    "8.8.8.8",
]


@pytest.mark.parametrize("host", FOREIGN)
def test_unknown_hosts(host: str | None) -> None:
    with pytest.raises(Denied) as denied:
        Access(None, ("localhost", "kitchen.local"), ADDRESSES).check_host(host)
    assert denied.value.status == 421


@pytest.mark.parametrize("arrived_at", ["10.0.0.7", "::ffff:10.0.0.7"])
def test_the_address_of_the_connection_itself_is_right_and_no_other(arrived_at: str) -> None:
    access = Access(None)
    access.check_host("10.0.0.7:8443", arrived_at)
    access.check_host("[fe80::1]", "fe80::1%eth0")
    for host in ("10.0.0.8", "evil.example"):
        with pytest.raises(Denied):
            access.check_host(host, arrived_at)


def test_hosts_may_change_while_it_runs() -> None:
    access = Access(None, ["old.local"], [ip_address("192.168.1.5")])
    access.set_hosts(["New.local", "203.0.113.9", "[2001:db8::1]"], [ip_address("192.168.1.6")])
    for host in ("new.local", "192.168.1.6", "203.0.113.9", "[2001:db8::1]:8443"):
        access.check_host(host)
    for host in ("old.local", "192.168.1.5"):
        with pytest.raises(Denied):
            access.check_host(host)


# --- Origin ---


def test_origins() -> None:
    access = Access(None, tls=True)
    access.check_origin(None, "192.168.1.5:8443")
    access.check_origin("https://192.168.1.5:8443", "192.168.1.5:8443")
    access.check_origin("https://Kitchen.local:8443", "kitchen.LOCAL:8443")
    foreign = [
        "https://192.168.1.5",
        "https://evil.example",
        "null",
        "https://192.168.1.5:8443.evil.example",
        "",
        "https://[",
        "http://192.168.1.5:8443",
    ]
    for origin in foreign:
        with pytest.raises(Denied) as denied:
            access.check_origin(origin, "192.168.1.5:8443")
        assert denied.value.status == 403
    Access(None).check_origin("http://localhost:8080", "localhost:8080")
    with pytest.raises(Denied):
        access.check_origin("https://x", None)


def test_what_is_said_of_a_refusal_is_bounded() -> None:
    long = "x" * 10**6
    for refused in (
        Denied(400, "bad-request", long),
        Refused(Reason.BAD_MEDIA, long),
        registry.Refused(400, "bad-announcement", long),
    ):
        assert len(str(refused)) <= MAX_SENTENCE
    assert len(Closing(Reason.BAD_MEDIA, long).sentence) <= MAX_SENTENCE
