"""What waits in all connections together, without connections."""

from __future__ import annotations

from typing import cast

import pytest

from drawercam.server import lines
from drawercam.server.http.cameras.live_file import Reader
from drawercam.server.lines import Lines
from drawercam.server.sockets.websocket import Socket


class Line:
    """A connection in which so many bytes wait."""

    peer = "192.0.2.1:50000"

    def __init__(self, held: int, written: int = 0) -> None:
        self.held = held
        self.written = written
        self.aborted = False
        self.swept: list[float] = []

    def abort(self) -> None:
        self.aborted = True

    def sweep(self, now: float) -> None:
        self.swept.append(now)


def filled(*held: int) -> tuple[Lines, list[Line]]:
    """The first is a reader, the others are sockets."""
    there, found = Lines(lambda: 0.0, lambda: 0.0), [Line(one, written=10) for one in held]
    there.reader_begins(cast(Reader, found[0]))
    for line in found[1:]:
        there.socket_begins(cast(Socket, line))
    return there, found


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_WAITING_IN_ALL", 100)


def test_bursts_have_room_until_so_much_waits_in_all() -> None:
    there, found = filled(0, 0)
    assert there.has_room(60) and there.has_room(40) and there.waiting == 100
    found[1].held = 100
    assert not there.has_room(1)
    found[1].held = 30
    assert there.has_room(70), "it looks again where there seems to be none"


def test_those_for_which_most_waits_are_cut_off_first() -> None:
    there, found = filled(20, 90, 40, 10)
    assert there.look() == 4 and there.waiting == 160
    assert [line.aborted for line in found] == [False, True, False, False]


def test_what_was_written_is_counted_beyond_the_end() -> None:
    there, found = filled(0, 0, 0)
    assert (there.written, there.begun) == (30, 2)
    there.reader_ends(cast(Reader, found[0]))
    for line in found[1:]:
        assert not there.empty.is_set()
        there.socket_ends(cast(Socket, line))
    assert (there.written, there.begun, there.all()) == (30, 2, []) and there.empty.is_set()


def test_each_has_its_deadlines_kept() -> None:
    there, found = filled(0, 0)
    there.sweep(7.0)
    assert [line.swept for line in found] == [[7.0], [7.0]]
