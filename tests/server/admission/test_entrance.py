"""Who is let in, asked with headers alone: requests and handshakes by one table of cases, where
both are judged alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from drawercam.access.grants import Access, Right
from drawercam.access.key import ALL, NOTHING, Key, Scope
from drawercam.access.keys import COOKIE, Keyring
from drawercam.server.admission import routes
from drawercam.server.admission.entrance import CHALLENGE, TICKET_HEADER, Asked, Entrance
from drawercam.server.admission.routes import Route
from drawercam.server.admission.visitors import Admission
from groundwork.connections.limits import Places
from groundwork.denied import Denied

HOST = "drawer.local:8443"
OWN = f"https://{HOST}"


class Transport(asyncio.BaseTransport):
    """A connection as far as it is looked at."""

    def get_extra_info(self, name: str, default: object = None) -> object:
        ends = {"peername": ("192.0.2.7", 50_000), "sockname": ("192.0.2.1", 8443)}
        return ends.get(name, default)


class House:
    """An entrance, and a key for each of two cameras."""

    def __init__(self, folder: Path) -> None:
        self.ring = Keyring.open(folder)
        scope = Scope(names=frozenset({"porch"}))
        self.viewer = self.ring.add(NOTHING, scope)
        self.camera = self.ring.add(scope, NOTHING)
        self.ring.refresh()
        self.access = Access(self.ring, ["drawer.local"], tls=True, tickets=True)
        self.entrance = Entrance(self.access, tls=True)

    def cookie(self, key: Key) -> str:
        return f"{self.access.cookie_name(key)}={self.ring.token(key, COOKIE)}"

    def ticket(self, key: Key) -> str:
        ticket = self.access.ticket(self.access.grant(self.cookie(key)))
        assert ticket is not None
        return ticket

    def asked(self, *headers: tuple[str, str], host: str = HOST) -> Asked:
        pairs = [("Host", host), *headers]

        def values(name: str) -> list[str]:
            return [value for given, value in pairs if given.lower() == name.lower()]

        return self.entrance.ask(Transport(), pairs, values)

    def request(
        self, route: Route, *headers: tuple[str, str], host: str = HOST, **parts: str
    ) -> Admission:
        asked, found = self.asked(*headers, host=host), (route, parts or {"name": "porch"})
        return self.entrance.request(asked, route.method, lambda: found)

    def handshake(
        self, *headers: tuple[str, str], host: str = HOST, path: str = "/player/porch"
    ) -> Admission:
        return self.entrance.handshake(self.asked(*headers, host=host), path)[1]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def refused(error: pytest.ExceptionInfo[Denied]) -> tuple[int, str]:
    return error.value.status, error.value.id


CASES: Mapping[str, tuple[int, str]] = {
    "a foreign host": (421, "unknown-host"),
    "a foreign origin": (403, "foreign-origin"),
    "a path without camera": (400, "bad-name"),
    "no key": (401, "no-key"),
    "a key for the other thing": (401, "no-key"),
    "the relay stops": (503, "restarting"),
    "no room": (503, "too-many"),
}


@pytest.mark.parametrize("case", CASES)
def test_requests_and_handshakes_are_refused_alike(house: House, case: str) -> None:
    headers, host, name = [("Origin", OWN), ("Cookie", house.cookie(house.viewer))], HOST, "porch"
    match case:
        case "a foreign host":
            host = "attacker.example:8443"
        case "a foreign origin":
            headers[0] = ("Origin", "https://attacker.example")
        case "a path without camera":
            name = "-"
        case "no key":
            headers.pop()
        case "a key for the other thing":
            headers[1] = ("Cookie", house.cookie(house.camera))
        case "the relay stops":
            house.entrance.book.closed = True
        case "no room":
            house.entrance.book.sockets = Places(0)
    with pytest.raises(Denied) as by_request:
        admission = house.request(routes.ORIENT, *headers, host=host, name=name)
        with house.entrance.answering(admission, None):
            pass
    with pytest.raises(Denied) as by_handshake:
        house.handshake(*headers, host=host, path=f"/player/{name}")
    assert refused(by_request) == refused(by_handshake) == CASES[case]


def test_requests_and_handshakes_are_let_in_alike(house: House) -> None:
    headers = ("Origin", OWN), ("Cookie", house.cookie(house.viewer))
    one, other = house.request(routes.ORIENT, *headers), house.handshake(*headers)
    assert one == other
    assert (other.grant.keys, other.right, other.name, other.address) == (
        (house.viewer,),
        Right.WATCH,
        "porch",
        "192.0.2.7",
    )


def test_what_changes_nothing_may_come_from_anywhere(house: House) -> None:
    foreign = ("Origin", "https://attacker.example")
    cookie = ("Cookie", house.cookie(house.viewer))
    assert house.request(routes.CAMERAS, foreign, cookie).grant.keys == (house.viewer,)


def test_a_ticket_stands_for_a_page_of_another_origin(house: House) -> None:
    foreign, ticket = ("Origin", "https://192.0.2.99:8443"), house.ticket(house.viewer)
    offered = ("Sec-WebSocket-Protocol", f"drawercam.1, drawercam-ticket.{ticket}")
    assert house.handshake(foreign, offered).grant.keys == (house.viewer,)
    with pytest.raises(Denied) as error:
        house.handshake(foreign, offered, path="/camera/porch")
    assert refused(error) == (401, "no-key")


def test_a_refusal_too_is_read_by_the_page_that_showed_a_ticket(house: House) -> None:
    asked = house.asked((TICKET_HEADER, house.ticket(house.viewer)))
    with pytest.raises(Denied):
        house.entrance.request(asked, "GET", lambda: (routes.LATEST_PICTURE, {"name": "attic"}))
    assert asked.by_ticket
    plain = house.asked((TICKET_HEADER, "no ticket"))
    with pytest.raises(Denied):
        house.entrance.request(plain, "GET", lambda: (routes.LATEST_PICTURE, {"name": "porch"}))
    assert not plain.by_ticket


def test_programs_show_their_key_and_are_asked_for_it(house: House) -> None:
    shown = ("Authorization", f"Bearer {house.camera.secret}")
    assert house.request(routes.PUBLISH, shown).grant.keys == (house.camera,)
    for headers in ([], [("Authorization", "Bearer wrong")]):
        with pytest.raises(Denied) as error:
            house.request(routes.PUBLISH, *headers)
        assert error.value.headers == {"WWW-Authenticate": CHALLENGE}
    with pytest.raises(Denied) as error:
        house.request(routes.PUBLISH, shown, ("Sec-Fetch-Site", "cross-site"))
    assert refused(error) == (403, "foreign-origin")


def test_a_row_is_asked_for_when_host_and_origin_are_right(house: House) -> None:
    def find() -> tuple[Route, dict[str, str]]:
        raise Denied(404, "unknown-path", "There is nothing at this address.")

    for host, status in (("attacker.example", 421), (HOST, 404)):
        with pytest.raises(Denied) as error:
            house.entrance.request(house.asked(host=host), "GET", find)
        assert error.value.status == status


def test_who_asks_is_known_also_where_it_may_not(house: House) -> None:
    asked = house.asked(("Host", "another.example"))
    assert asked.client.address == "192.0.2.7" and asked.arrived_at == "192.0.2.1"
    for ask in (
        lambda: house.entrance.request(asked, "GET", lambda: (routes.HOME, {})),
        lambda: house.entrance.handshake(asked, "/wall"),
    ):
        with pytest.raises(Denied) as error:
            ask()
        assert error.value is asked.denied


def test_a_handshake_has_one_origin_and_an_address(house: House) -> None:
    cookie = ("Cookie", house.cookie(house.viewer))
    with pytest.raises(Denied) as error:
        house.handshake(("Origin", OWN), ("Origin", OWN), cookie)
    assert refused(error) == (400, "bad-request")
    for path, status in (("/nothing", 404), ("//[", 400)):
        with pytest.raises(Denied) as error:
            house.handshake(cookie, path=path)
        assert error.value.status == status


def test_a_request_stands_in_the_book_while_it_is_answered(house: House) -> None:
    entrance = house.entrance
    admission = house.request(routes.LIVE, ("Cookie", house.cookie(house.viewer)))
    with entrance.answering(admission, None):
        assert entrance.book.sockets.total == 1
    assert entrance.book.sockets.total == 0
    with entrance.answering(house.request(routes.HEALTH), None):
        assert entrance.book.sockets.total == 0


def test_without_keys_everything_is_allowed() -> None:
    entrance = Entrance(Access(None, ["drawer.local"]))
    asked = entrance.ask(None, [("Host", "drawer.local")], lambda name: [])
    admission = entrance.request(asked, "GET", lambda: (routes.METRICS, {}))
    assert admission.grant.watch == ALL and entrance.keys is None
