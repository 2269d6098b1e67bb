"""Turning a camera through a real relay: by socket and by HTTP, by several at once, too far,
without the right, without a camera.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import pytest

from drawercam.access.key import Scope
from drawercam.access.keys import Keyring
from drawercam.live.hub import Hub
from drawercam.protocol import messages as control
from drawercam.protocol.messages import Orient
from drawercam.server.sockets.camera import CameraSession
from drawercam.server.sockets.websocket import Socket
from tests.harness.peers import Peer, peer
from tests.harness.relays import Relay
from tests.live.test_channel import Clock
from tests.server.sockets.test_sessions import FakeSocket
from tests.server.test_promises import eventually
from tests.server.test_security import browser, cookie, known, made

MOUNT = {
    "pan": {"min": -90, "max": 90, "step": 1, "now": 0},
    "zoom": {"min": 1, "max": 4, "now": 1},
}


@asynccontextmanager
async def turning(relay: Relay, name: str) -> AsyncIterator[Peer]:
    """A camera that turns, but does not film."""
    async with peer(relay, f"/camera/{name}") as camera:
        await camera.send(type="turns", **MOUNT)
        await camera.settled()
        yield camera


@asynccontextmanager
async def page(relay: Relay) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(relay.origin, headers={"Origin": relay.origin}) as one:
        yield one


async def post(one: aiohttp.ClientSession, name: str, body: Any) -> tuple[int, dict[str, Any]]:
    data = {"data": body} if isinstance(body, str) else {"json": body}
    async with one.post(f"/api/cameras/{name}/orient", **data) as answer:
        return answer.status, await answer.json()


async def test_a_player_turns_a_camera_and_everybody_hears_where_it_stands(
    relay: Relay, name: str
) -> None:
    async with (
        peer(relay, f"/player/{name}") as early,
        turning(relay, name) as camera,
        peer(relay, f"/player/{name}?rest=1") as late,
    ):
        assert (
            (await early.message("turns"))["pan"]
            == (await late.message("turns"))["pan"]
            == MOUNT["pan"]
        )
        await early.send(type="orient", pan=-30.5, zoom=2)
        assert await camera.message("orient") == {"type": "orient", "pan": -30.5, "zoom": 2}
        moved = {"pan": MOUNT["pan"] | {"now": -30.5}, "zoom": MOUNT["zoom"] | {"now": 2}}
        await camera.send(type="turns", **moved)
        for viewer in (early, late):
            await viewer.message("turns", **moved)
        async with page(relay) as one, one.get("/api/cameras") as answer:
            assert (
                next(camera["turns"] for camera in await answer.json() if camera["name"] == name)
                == moved
            )


async def test_of_two_viewers_who_turn_at_once_the_last_wish_counts(
    relay: Relay, name: str
) -> None:
    async with (
        turning(relay, name) as camera,
        peer(relay, f"/player/{name}") as one,
        peer(relay, f"/player/{name}") as other,
    ):
        for angle in range(20):
            await asyncio.gather(
                one.send(type="orient", pan=angle),
                other.send(type="orient", pan=-angle, zoom=1 + angle / 10),
            )
        await asyncio.gather(one.settled(), other.settled())
        await other.send(type="orient", pan=77)
        await camera.message("orient", pan=77)
        await camera.settled()
        assert camera.told("orient")[-1]["pan"] == 77
        assert [wish["zoom"] for wish in camera.told("orient") if "zoom" in wish][-1] == 2.9, (
            "axes that a newer wish does not name stay"
        )
        assert not one.told("refused") + other.told("refused")


async def test_what_is_beyond_the_range_moves_nothing(relay: Relay, name: str) -> None:
    async with (
        turning(relay, name) as camera,
        peer(relay, f"/player/{name}") as viewer,
        page(relay) as one,
    ):
        await viewer.send(type="orient", pan=91, zoom=2)
        sentence = f"The camera {name} pans from -90 to 90 degrees; 91 is beyond that."
        await viewer.message("refused", id="out-of-range", text=sentence)
        await viewer.send(type="orient", tilt=0)
        await viewer.message("refused", id="cannot-turn", text=f"The camera {name} does not tilt.")
        assert await post(one, name, {"pan": 91}) == (
            400,
            {"error": "out-of-range", "text": sentence},
        )
        assert await post(one, name, {"pan": 1, "tilt": 1}) == (
            409,
            {"error": "cannot-turn", "text": f"The camera {name} does not tilt."},
        )
        await viewer.settled()  # its socket is open still
        await camera.settled()
        assert not camera.told("orient")
        # What can be is obeyed all the same.
        assert await post(one, name, {"zoom": 4}) == (200, {"pan": 0, "zoom": 4})
        assert await camera.message("orient") == {"type": "orient", "zoom": 4}


async def test_what_is_no_wish_is_refused(relay: Relay, name: str) -> None:
    async with turning(relay, name) as camera, page(relay) as one:
        for body in (
            "",
            "[]",
            '{"pan": NaN}',
            '{"pan": 1e999}',
            '{"pan": true}',
            '{"pan": "5"}',
            "{}",
            '{"roll": 5}',
        ):
            status, said = await post(one, name, body)
            assert (status, said["error"]) == (400, "bad-request"), body
        assert (await post(one, "No%20Name", {"pan": 5}))[0] == 400
        async with peer(relay, f"/player/{name}") as viewer:
            await viewer.send(type="orient", pan=True)
            assert await viewer.closed() == 4000
        await camera.settled()
        assert not camera.told("orient")


async def test_without_a_camera_there_is_nothing_to_turn(relay: Relay, name: str) -> None:
    async with page(relay) as one:
        assert (await post(one, name, {"pan": 5}))[0] == 404
        async with peer(relay, f"/player/{name}") as viewer:
            await viewer.send(type="orient", pan=5)
            await viewer.message(
                "refused", id="unknown-camera", text=f"There is no camera {name} now."
            )
            async with peer(relay, f"/camera/{name}") as still:
                await still.settled()
                assert (await post(one, name, {"pan": 5}))[1]["error"] == "cannot-turn"
            async with turning(relay, name):
                await viewer.message("turns", **MOUNT)
            await viewer.until(
                lambda viewer: viewer.told("turns")[-1] == {"type": "turns"},
                "for the end of turning",
            )
            status, said = await post(one, name, {"pan": 5})
            assert (status, said["error"]) == (404, "unknown-camera")


async def test_a_camera_is_told_the_newest_wish_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("drawercam.server.sockets.camera.ORIENT_INTERVAL", 0.01)
    told: list[control.Message] = []

    async def is_told(wish: Orient) -> None:
        async def look() -> bool:
            return told[-1] == wish

        await eventually(look, f"the camera is told {wish}")

    socket = FakeSocket()
    monkeypatch.setattr(socket, "tell", told.append)
    session = CameraSession(Hub(Clock()), "porch")
    session.opened(cast(Socket, socket))
    told.clear()
    for angle in range(50):
        session.tell(Orient(angle, None, 2 if angle == 10 else None))
    assert told == [Orient(0)]
    await is_told(Orient(49, None, 2))
    assert told[:-1] == [Orient(0)]
    session.tell(Orient(tilt=5))
    session.tell(Orient(tilt=6))
    await is_told(Orient(tilt=6))
    session.tell(Orient(1))
    session.tell(Orient(2))
    session.closed(None)
    await asyncio.sleep(0.05)
    assert Orient(2) not in told, "nothing is said to a socket that has closed"


# --- rights ---


@pytest.fixture(scope="module")
def house() -> Iterator[Relay]:
    with Relay("--tls", "--host", "127.0.0.1") as one:
        yield one
        assert one.alive and "Traceback" not in one.output, one.output


async def test_who_may_not_watch_may_not_turn(house: Relay) -> None:
    ring = Keyring.open(house.state)
    film, watch = (cookie(ring, key) for key in ring.keys[:2])
    porch, attic = (
        cookie(ring, made(ring, watch=Scope(names=frozenset({name}))))
        for name in ("porch", "attic")
    )
    await known(house, attic)
    async with peer(house, "/camera/porch", additional_headers={"Cookie": film}) as camera:
        await camera.send(type="turns", **MOUNT)
        await camera.settled()
        for held, status, error in (
            ("", 401, "no-key"),
            (film, 401, "no-key"),
            (attic, 403, "not-allowed"),
        ):
            async with browser(house, held) as one:
                answer = await post(one, "porch", {"pan": 5})
                assert (answer[0], answer[1]["error"]) == (status, error), held
        async with browser(house, attic) as one:
            assert (await post(one, "cellar", {"pan": 5}))[0] == 403, (
                "it is not told whether there is such a camera"
            )
        async with browser(house, watch, Origin="https://evil.example") as one:
            assert (await post(one, "porch", {"pan": 5}))[1]["error"] == "foreign-origin"
        await camera.settled()
        assert not camera.told("orient")
        for held in (porch, watch):
            async with browser(house, held) as one:
                assert (await post(one, "porch", {"pan": 5}))[0] == 200
        await camera.message("orient", pan=5)
        async with browser(house, "", Authorization=f"Bearer {ring.keys[1].secret}") as program:
            assert (await post(program, "porch", {"pan": 6}))[0] == 200
        await camera.message("orient", pan=6)
