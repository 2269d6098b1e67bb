"""Cameras that are gone, as walls, players and programs are told of them, also after the relay was
stopped or killed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection

from drawercam.access.key import ALL, Scope
from drawercam.access.keys import Keyring
from drawercam.live.gone_file import FILE
from tests.harness.peers import Peer, peer
from tests.harness.relays import Relay
from tests.server.test_media import VP8, api, film
from tests.server.test_promises import eventually, report
from tests.server.test_security import browser, cookie, known, made

# Of a long film; a camera that has sent this is live.
SHORT = VP8[: len(VP8) // 4]


def entries(wall: Peer) -> dict[str, dict[str, Any]]:
    """The list that a wall has now, by name."""
    return (
        {one["name"]: one for one in wall.told("cameras")[-1]["cameras"]}
        if wall.told("cameras")
        else {}
    )


async def live(camera: Peer) -> None:
    await film(camera, SHORT)
    await camera.settled()


async def goes(camera: Peer, how: str) -> None:
    """Let a camera go so that this is the reason."""
    line: ClientConnection = camera.connection
    if how == "left":
        await line.close(1000, "stop")
    elif how == "closed":
        await line.close(1001)
    elif how == "media":
        await camera.send_media(1, [b"\x1a\x45\xdf\xa3\xff" + bytes(100)])
        await camera.closed()
    else:
        line.transport.abort()


@pytest.mark.parametrize("how", ["left", "closed", "lost", "media"])
async def test_a_camera_that_goes_stays_on_the_wall_and_says_why_and_since_when(
    relay: Relay, name: str, how: str
) -> None:
    async with (
        peer(relay, "/wall") as wall,
        peer(relay, f"/player/{name}") as player,
        peer(relay, f"/camera/{name}") as camera,
    ):
        await live(camera)
        await wall.until(
            lambda one: (
                entries(one).get(name) == {"name": name, "state": "live", "kinds": ["video"]}
            )
        )
        begin = time.time() * 1000
        await goes(camera, how)
        told = await player.message("state", state="gone", reason=how)
        entry = await wall.until(
            lambda one: entries(one)[name]["state"] == "gone" and entries(one)[name]
        )
        assert entry == {
            "name": name,
            "state": "gone",
            "kinds": [],
            "reason": how,
            "since": told["since"],
        }
        assert type(told["since"]) is int and begin - 50 <= told["since"] <= time.time() * 1000
    found = report(relay, name)
    assert {key: found[key] for key in entry if key != "kinds"} == {
        key: entry[key] for key in entry if key != "kinds"
    }
    assert found["tracks"] == [] and found["viewers"] == 0
    async with aiohttp.ClientSession(relay.origin) as client:
        for end in ("latest.jpg", "live.mjpg", "live", "live.webm", "live.mp4"):
            async with client.get(f"/cameras/{name}/{end}") as answer:
                assert (answer.status, (await answer.json())["error"]) == (404, "unknown-camera"), (
                    end
                )
        async with client.post(f"/api/cameras/{name}/orient", json={"pan": 0}) as answer:
            assert answer.status == 404
    async with (
        peer(relay, f"/player/{name}") as late,
        peer(relay, f"/camera/{name}") as camera,
        peer(relay, "/wall") as wall,
    ):
        assert (await late.message("state"))["since"] == told["since"]
        await camera.message("welcome")
        await wall.until(
            lambda one: entries(one).get(name) == {"name": name, "state": "waiting", "kinds": []},
            "it is back",
        )
        assert "since" not in (await late.message("state", state="waiting"))


async def test_a_label_is_told_on_every_way_and_stays_when_the_camera_goes(
    relay: Relay, name: str
) -> None:
    async with peer(relay, "/wall") as wall, peer(relay, f"/player/{name}") as player:
        async with peer(relay, f"/camera/{name}") as camera:
            await camera.send(
                type="stream", stream=1, mime="video/webm", label="Дверь\u202e\ud800 😀"
            )
            await camera.send_media(1, [SHORT])
            await player.message("state", state="live", label="Дверь 😀")
        await player.message("state", state="gone", label="Дверь 😀")
        await wall.until(lambda one: entries(one).get(name, {}).get("state") == "gone")
        assert entries(wall)[name]["label"] == report(relay, name)["label"] == "Дверь 😀"
        there, label = f"/cameras/{name}/publish", {"label": "Baby Room"}
        async with (
            aiohttp.ClientSession(relay.origin) as client,
            client.put(there, params=label, data=SHORT) as answer,
        ):
            assert answer.status == 204, await answer.text()
        assert report(relay, name)["label"] == "Baby Room"


async def test_who_may_film_as_a_camera_is_told_whether_it_is_on_the_air(
    relay: Relay, name: str
) -> None:
    async with aiohttp.ClientSession(relay.origin) as client:

        async def on_air() -> Any:
            async with client.get(f"/api/cameras/{name}/on-air") as answer:
                return await answer.json()

        assert await on_air() == {"onAir": False}
        async with (
            peer(relay, f"/player/{name}") as player,
            peer(relay, f"/camera/{name}") as camera,
        ):
            await camera.message("welcome")
            assert await on_air() == {"onAir": True}
            await live(camera)
            await goes(camera, "left")
            await player.message("state", state="gone")
            assert await on_air() == {"onAir": False}


async def test_who_has_shown_nothing_and_who_was_taken_over_are_not_gone(
    relay: Relay, name: str
) -> None:
    async with peer(relay, "/wall") as wall, peer(relay, f"/camera/{name}") as first:
        async with peer(relay, f"/camera/{name}-x") as silent:
            await silent.settled()
        await live(first)
        async with peer(relay, f"/camera/{name}") as second:
            assert await first.closed() == 4003
            await live(second)
            await wall.until(lambda one: entries(one).get(name, {}).get("state") == "live")
            await wall.settled()
            told = [
                one
                for each in wall.told("cameras")
                for one in each["cameras"]
                if one["name"] in (name, f"{name}-x")
            ]
            assert "gone" not in {one["state"] for one in told}
            assert f"{name}-x" not in entries(wall)


def gone(relay: Relay, name: str) -> bool:
    return bool(report(relay, name)["state"] == "gone")


def reasons(wall: Peer) -> dict[str, Any]:
    """Of all cameras in the list of a wall, None of those that are not gone."""
    return {name: entry.get("reason") for name, entry in entries(wall).items()}


@asynccontextmanager
async def night(relay: Relay) -> AsyncIterator[None]:
    """Three cameras have gone, and two are on the air."""
    async with peer(relay, "/camera/hall") as hall, peer(relay, "/camera/crib") as crib:
        for name, how in (("shed", "left"), ("yard", "closed"), ("gate", "lost")):
            async with peer(relay, f"/camera/{name}") as camera:
                await live(camera)
                await goes(camera, how)
                await eventually(partial(gone, relay, name), "it is gone")
        await live(hall)
        await live(crib)
        yield


async def kept(relay: Relay) -> dict[str, Any]:
    """What is in the file."""
    try:
        return {
            one["name"]: one.get("reason")
            for one in json.loads((relay.state / FILE).read_bytes())["cameras"]
        }
    except FileNotFoundError:
        return {}


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_a_relay_that_is_started_again_knows_who_was_there(how: str, tmp_path: Path) -> None:
    with Relay(state=tmp_path) as relay:
        begin = time.time() * 1000

        async def all_kept() -> bool:
            return await kept(relay) == {
                "shed": "left",
                "yard": "closed",
                "gate": "lost",
                "hall": None,
                "crib": None,
            }

        async with night(relay):
            before = {
                one["name"]: one for one in api(relay, "/api/cameras") if one["state"] == "gone"
            }
            await eventually(all_kept, "it is written")
            if how == "kill":
                relay.kill()
            else:
                assert (await asyncio.to_thread(relay.stop, signal.SIGTERM))[0] == 0
        relay.start()
        async with peer(relay, "/wall") as wall, peer(relay, "/player/crib") as player:
            expected = {
                "shed": "left",
                "yard": "closed",
                "gate": "lost",
                "hall": "lost",
                "crib": "lost",
            }
            await wall.until(lambda one: reasons(one) == expected)
            found = entries(wall)
            assert {name: found[name]["since"] for name in before} == {
                name: one["since"] for name, one in before.items()
            }
            assert all(
                begin - 50 <= found[name]["since"] <= time.time() * 1000
                for name in ("hall", "crib")
            )
            assert (await player.message("state", state="gone"))["since"] == found["crib"]["since"]
            async with peer(relay, "/camera/crib") as camera:
                await live(camera)
                await player.message("state", state="live")
                await wall.until(
                    lambda one: (
                        entries(one)["crib"]["state"] == "live"
                        and "since" not in entries(one)["crib"]
                    )
                )
        assert "Traceback" not in relay.output and "cannot be" not in relay.output


async def test_a_guest_hears_of_her_camera_only_and_a_key_that_is_revoked_is_a_lost_connection(
    tmp_path: Path,
) -> None:
    porch = Scope(names=frozenset({"porch"}))
    with Relay("--tls", "--host", "127.0.0.1", state=tmp_path) as relay:
        ring = Keyring.open(relay.state)
        guest, owner, films = made(ring, watch=porch), made(ring, ALL, ALL), made(ring, publish=ALL)
        hers, all_of_it = {"Cookie": cookie(ring, guest)}, {"Cookie": cookie(ring, owner)}
        await known(relay, cookie(ring, films))
        async with (
            peer(relay, "/wall", additional_headers=hers) as wall,
            peer(relay, "/wall", additional_headers=all_of_it) as other,
            peer(relay, "/camera/porch", additional_headers=all_of_it) as camera,
            peer(
                relay, "/camera/attic", additional_headers={"Cookie": cookie(ring, films)}
            ) as attic,
        ):
            await live(camera)
            await live(attic)
            ring.revoke(films.id)
            assert await attic.closed() == 4006
            await goes(camera, "left")
            await other.until(lambda one: reasons(one) == {"porch": "left", "attic": "lost"})
            await wall.until(lambda one: reasons(one) == {"porch": "left"})
            assert {
                name
                for each in wall.told("cameras")
                for name in (one["name"] for one in each["cameras"])
            } == {"porch"}
        async with browser(relay, hers["Cookie"]) as client, client.get("/api/cameras") as answer:
            assert [one["name"] for one in await answer.json()] == ["porch"]
        relay.kill()
        relay.start()
        async with peer(relay, "/wall", additional_headers=hers) as wall:
            await wall.until(lambda one: reasons(one) == {"porch": "left"})
