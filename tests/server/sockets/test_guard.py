"""Handshakes led to their sessions, without sockets."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from drawercam.access.grants import Access
from drawercam.live.hub import Hub
from drawercam.server.admission.entrance import Entrance
from drawercam.server.admission.reverse_proxies import Client
from drawercam.server.sockets.guard import SocketGuard
from drawercam.server.sockets.visits import CameraVisit, PlayerVisit, WallVisit
from groundwork.denied import Denied
from tests.live.test_channel import Clock


class House:
    """A guard of a relay without keys, and what it has refused."""

    def __init__(self) -> None:
        self.entrance = Entrance(Access(None, ["drawer.local"]))
        self.refused: list[Denied] = []
        self.guard = SocketGuard(self.entrance, Hub(Clock()), self.refuse, lambda: 0.0)

    def refuse(self, denied: Denied, client: Client) -> Response:
        self.refused.append(denied)
        return Response(denied.status, "", Headers(), b"")

    def asked(self, path: str, **headers: str) -> object:
        return self.guard.route(Request(path, Headers({"Host": "drawer.local", **headers})))[1]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/camera/porch", CameraVisit),
        ("/player/porch?rest=1&plays=", PlayerVisit),
        ("/player/porch", PlayerVisit),
        ("/wall", WallVisit),
    ],
)
def test_each_path_has_its_session(path: str, kind: type) -> None:
    house = House()
    session = house.asked(path)
    assert isinstance(session, kind) and house.refused == []
    assert getattr(session, "films") is (kind is CameraVisit)  # noqa: B009 - each kind has it


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/nothing", 404, "unknown-path"),
        ("/player/-", 400, "bad-name"),
        ("//[", 400, "bad-request"),
    ],
)
def test_other_paths_are_refused(path: str, status: int, reason: str) -> None:
    house = House()
    answer = house.asked(path)
    assert isinstance(answer, Response) and answer.status_code == status
    assert [denied.id for denied in house.refused] == [reason]


def test_a_fault_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()

    def broken(*_: object) -> None:
        raise LookupError

    monkeypatch.setattr(house.entrance, "handshake", broken)
    answer = house.asked("/wall")
    assert isinstance(answer, Response) and answer.status_code == 500
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_what_is_no_handshake_is_told_what_is_missing() -> None:
    house = House()
    for status in (400, 405, 426, 431):
        assert house.guard.unfit(status, Client("", "a peer")).status_code == status
    assert all(str(denied).endswith(".") for denied in house.refused)
    assert [denied.id for denied in house.refused][1:3] == [
        "method-not-allowed",
        "upgrade-required",
    ]
