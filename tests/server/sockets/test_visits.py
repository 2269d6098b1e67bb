"""The list of cameras for walls, each of which sees what its key allows."""

from __future__ import annotations

import json

from drawercam.access.key import ALL, NOTHING, Scope
from drawercam.protocol import messages as control
from drawercam.server.sockets.visits import Lists


def names(framed: bytes) -> list[str]:
    return [camera["name"] for camera in json.loads(framed[framed.index(b"{") :])["cameras"]]


def test_walls_that_may_see_the_same_share_one_frame() -> None:
    lists = Lists()
    cameras = control.Cameras(
        tuple(
            {"name": name, "state": "live", "kinds": ["video"]}
            for name in ("attic", "porch", "shed")
        )
    )
    assert names(lists.frame(cameras, ALL)) == ["attic", "porch", "shed"]
    assert lists.frame(cameras, ALL) is lists.frame(cameras, Scope(everything=True))
    some = lists.frame(cameras, Scope(names=frozenset({"porch", "cellar"})))
    assert names(some) == ["porch"]
    assert lists.frame(cameras, Scope(names=frozenset({"cellar", "porch"}))) is some
    assert names(lists.frame(cameras, NOTHING)) == []
    fewer = control.Cameras(cameras.cameras[:1])
    assert names(lists.frame(fewer, ALL)) == ["attic"], "the list has changed"
    assert names(lists.frame(fewer, Scope(names=frozenset({"porch"})))) == []
