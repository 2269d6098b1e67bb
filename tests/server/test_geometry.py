"""A camera says how its pictures lie: what a player, a file and a single picture have of it, over
real sockets.
"""

from __future__ import annotations

import io

import aiohttp
import numpy as np
from PIL import Image

from drawercam.media.packets import Codec
from tests.harness.peers import PATIENCE, peer
from tests.harness.relays import Relay
from tests.media.test_geometry import (
    EIGHT,
    FIELDS,
    HEIGHT,
    WIDTH,
    decoded,
    moved,
    read,
    recorded,
    shown,
    side_data,
)


async def beginning(client: aiohttp.ClientSession, path: str) -> bytes:
    """A file up to its first picture."""
    data = b""
    async with client.get(path, timeout=aiohttp.ClientTimeout(PATIENCE)) as answer:
        assert answer.status == 200, await answer.text()
        while True:
            data += await answer.content.readany()
            try:
                read(data)[1][0]
            except (IndexError, ValueError):
                continue
            return data


def nearest(value: int) -> int:
    return int(min(FIELDS.flat, key=lambda one: abs(int(one) - value)))


async def test_each_turn_that_a_camera_states_is_turned_once_by_everybody(
    relay: Relay, name: str
) -> None:
    """All eight, one after the other, as when a phone is turned in the hand; the stream itself says
    none of them.
    """
    data = recorded(Codec.VP8, "matroska")
    async with (
        aiohttp.ClientSession(relay.origin) as client,
        peer(relay, f"/camera/{name}") as camera,
        peer(relay, f"/player/{name}") as player,
    ):
        for count, (rotation, flip) in enumerate(EIGHT, 1):
            await camera.send(
                type="stream",
                stream=1,
                mime="video/webm",
                rotation=rotation,
                flip=flip,
                sound=False,
            )
            await camera.send_media(1, [data])
            tracks = await player.until(
                lambda one, count=count: [m for m in one.messages if m["type"] == "track"][  # type: ignore[misc]
                    count - 1 :
                ]
            )
            assert [(one.get("rotation", 0), one.get("flip", False)) for one in tracks] == [
                (rotation, flip)
            ]
            file = await beginning(client, f"/cameras/{name}/live")
            matrix = side_data(decoded(file)[0])
            assert (FIELDS.tolist() if matrix is None else moved(matrix)) == shown(
                FIELDS, rotation, flip
            )
            async with client.get(f"/cameras/{name}/latest.jpg") as answer:
                assert answer.status == 200, await answer.text()
                image = Image.open(io.BytesIO(await answer.read())).convert("L")
            assert image.size == ((HEIGHT, WIDTH) if rotation % 180 else (WIDTH, HEIGHT))
            seen = np.asarray(image.resize((2, 2), Image.Resampling.BOX)).tolist()
            assert [[nearest(value) for value in row] for row in seen] == shown(
                FIELDS, rotation, flip
            )
        # What the player got says nothing of it, because it turns by itself.
        inits = [one for one in player.media if one.startswith(b"\x1a\x45\xdf\xa3")]
        assert len(inits) == len(EIGHT) and not any(b"\x76\x70" in init for init in inits), (
            "no Projection"
        )


async def test_a_turn_that_is_none_is_refused_with_a_sentence(relay: Relay, name: str) -> None:
    for field in ({"rotation": 45}, {"flip": "yes"}):
        async with peer(relay, f"/camera/{name}") as camera:
            await camera.send(type="stream", stream=1, mime="video/webm", **field)
            error = await camera.message("error")
            assert error["id"] == "bad-message" and next(iter(field)) in error["text"]
