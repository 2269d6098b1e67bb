"""Sockets over plain HTTP: what a WebSocket carries, in a response's body and in POSTs.

The relay is real, the clients are aiohttp's.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State
from yarl import URL

from drawercam.protocol.messages import MAX_TEXT
from drawercam.server.http.socket_over_http import (
    MAX_POST,
    MAX_POSTS,
    PREFIX,
    PROTOCOL_HEADER,
    STREAM_HEADER,
)
from drawercam.server.server import GOODBYE_BUDGET
from drawercam.server.sockets.liveness import SILENCE_DEADLINE
from tests.harness.peers import PATIENCE, Peer, Raw, peer
from tests.harness.proxies import HOST, Proxy
from tests.harness.relays import SUBPROTOCOL, Relay
from tests.media.samples import cut
from tests.server.test_freeze import PICTURE_SIZE, filming, timestamps
from tests.server.test_media import VP8, decoded, film, frames, packets
from tests.server.test_promises import eventually

HEADERS = {PROTOCOL_HEADER: SUBPROTOCOL}


class Line:
    """A socket over HTTP with the part of a WebSocket's interface that a Peer uses. Its masks are
    not 0, unlike our pages'.

    Attributes:
        at: Bytes of its half that have arrived.
    """

    def __init__(self, http: aiohttp.ClientSession, answer: aiohttp.ClientResponse) -> None:
        self.at = 0
        self._http = http
        self._answer = answer
        self._protocol = Protocol(Side.CLIENT, max_size=None)
        self._sending = asyncio.Lock()

    async def post(self, data: bytes, at: int) -> int:
        """Send a piece of the half that is ours; return the status of the answer."""
        url = f"{self._answer.url.origin()}{PREFIX}{self._answer.headers[STREAM_HEADER]}?at={at}"
        async with self._http.post(url, data=io.BytesIO(data)) as answer:
            if answer.status == 204:
                self.at = max(self.at, at + len(data))
            return answer.status

    async def _flush(self) -> None:
        async with self._sending:
            while data := b"".join(self._protocol.data_to_send()):
                if await self.post(data, self.at) != 204:
                    break

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        await self._flush()

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        try:
            async for data in self._answer.content.iter_any():
                self._protocol.receive_data(data)
                for event in self._protocol.events_received():
                    assert isinstance(event, Frame)
                    if event.opcode in (Opcode.TEXT, Opcode.BINARY):
                        yield (
                            bytes(event.data).decode()
                            if event.opcode is Opcode.TEXT
                            else bytes(event.data)
                        )
                await self._flush()  # Pongs
        except (aiohttp.ClientError, ConnectionError):
            pass
        self._protocol.receive_eof()

    @property
    def close_code(self) -> int | None:
        return self._protocol.close_code

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            await self._flush()

    def cut(self) -> None:
        """Vanish without a good-bye."""
        self._answer.close()


@asynccontextmanager
async def http(relay: Relay) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=relay.context or True, limit=0)
    async with aiohttp.ClientSession(relay.origin, connector=connector) as session:
        yield session


@asynccontextmanager
async def over_http(relay: Relay, path: str, origin: str = "") -> AsyncIterator[tuple[Peer, Line]]:
    """A peer at the same paths as `tests.harness.peers.peer`.

    Args:
        relay: Whom it talks to.
        path: Such as `/player/porch`.
        origin: Where it connects to, if not to the relay itself.
    """
    async with (
        http(relay) as session,
        session.post(f"{origin}{PREFIX[:-1]}{path}", headers=HEADERS) as answer,
    ):
        assert answer.status == 200, await answer.text()
        line = Line(session, answer)
        one = Peer(cast(ClientConnection, line))
        try:
            yield one, line
        finally:
            await one.close()


async def test_a_camera_and_a_viewer_over_http_are_like_any_others(relay: Relay, name: str) -> None:
    expected = packets(VP8)
    async with (
        over_http(relay, f"/player/{name}?rest=1") as (viewer, _),
        peer(relay, f"/player/{name}") as other,
        over_http(relay, f"/camera/{name}") as (camera, _),
    ):
        assert (await viewer.message("welcome"))["name"] == name
        await camera.message("viewers", count=1)  # the other one; this one rests
        await viewer.send(type="join")
        await camera.message("viewers", count=2)
        await film(camera, VP8)
        for one in (viewer, other):
            await one.until(lambda one: len(frames(one)) == len(expected), "for all frames")
            assert [packet.data for packet in decoded(one)] == [packet.data for packet in expected]
        await viewer.send(type="pause", reason="overflow")
        await other.send(type="pause", reason="overflow")
        pause = await camera.message("pause", reason="viewers")
        assert (pause["votes"], pause["watching"]) == (2, 2)
        await viewer.settled()
        await camera.settled()


async def test_a_wall_over_http_hears_of_cameras(relay: Relay, name: str) -> None:
    async with (
        over_http(relay, "/wall") as (wall, _),
        over_http(relay, f"/camera/{name}") as (camera, _),
    ):
        await film(camera, VP8)
        await wall.until(
            lambda one: any(
                camera["name"] == name for told in one.told("cameras") for camera in told["cameras"]
            )
        )


async def test_a_message_longer_than_a_post_comes_in_several(relay: Relay, name: str) -> None:
    async with (
        over_http(relay, f"/player/{name}") as (viewer, _),
        over_http(relay, f"/camera/{name}") as (_, line),
    ):
        half = Protocol(Side.CLIENT)
        half.send_text(json.dumps({"type": "stream", "stream": 1, "mime": ""}).encode())
        half.send_binary(
            b"\1" + VP8 + bytes([0xEC, 0x38, 0, 0]) + bytes(2**20 + 2**19)
        )  # EBML Void behind it
        data = b"".join(half.data_to_send())
        assert len(data) > MAX_POST
        for at in range(0, len(data), MAX_POST):
            assert await line.post(data[at : at + MAX_POST], at) == 204
        await viewer.until(lambda one: len(frames(one)) == len(packets(VP8)))


# --- POSTs that get lost ---


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_sent_again_is_taken_once(relay: Relay, name: str, seed: int) -> None:
    """Pieces cut anywhere; each may come again, alone or with what was before or comes after it, or
    be cut off on its way.
    """
    chance = random.Random(seed)
    half = Protocol(Side.CLIENT)
    half.send_text(json.dumps({"type": "stream", "stream": 1, "mime": ""}).encode())
    for piece in cut(VP8, range(0, len(VP8), 999)):
        half.send_binary(b"\1" + piece)
    data = b"".join(half.data_to_send())
    async with (
        over_http(relay, f"/player/{name}") as (viewer, _),
        over_http(relay, f"/camera/{name}") as (_, line),
    ):
        at = 0
        while at < len(data):
            end = min(len(data), at + chance.randrange(1, 8000))
            if chance.random() < 0.3:
                await cut_off(relay, line, data[at:end], at, chance.randrange(end - at))
            begin = max(0, at - chance.choice([0, 0, 1, 500, 20_000]))
            assert await line.post(data[begin:end], begin) == 204
            if chance.random() < 0.3:
                again = chance.randrange(end)
                assert await line.post(data[again:end], again) == 204
            at = end
        await viewer.until(lambda one: len(frames(one)) == len(packets(VP8)))
        assert [packet.data for packet in decoded(viewer)] == [
            packet.data for packet in packets(VP8)
        ]


async def cut_off(relay: Relay, line: Line, data: bytes, at: int, arrives: int) -> None:
    """A POST whose connection breaks after so many bytes of its body."""
    async with await Raw.open(relay) as raw:
        path = f"{PREFIX}{line._answer.headers[STREAM_HEADER]}?at={at}"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {relay.authority}\r\nContent-Length: "
            f"{len(data)}\r\n\r\n"
        )
        await raw.write(head.encode() + data[:arrives])


async def test_the_same_post_twice_at_once(relay: Relay, name: str) -> None:
    async with over_http(relay, "/wall") as (wall, line):
        half = Protocol(Side.CLIENT)
        for t in range(200):
            half.send_text(json.dumps({"type": "ping", "t": t}).encode())
        data = b"".join(half.data_to_send())
        assert set(await asyncio.gather(*(line.post(data, 0) for _ in range(MAX_POSTS)))) == {204}
        await wall.until(lambda one: len(one.told("pong")) >= 200)
        await wall.settled()
        assert [pong["t"] for pong in wall.told("pong")[:-1]] == list(range(200))


async def test_a_gap_is_refused_and_nothing_is_taken(relay: Relay) -> None:
    async with over_http(relay, "/wall") as (wall, line):
        half = Protocol(Side.CLIENT)
        half.send_text(json.dumps({"type": "ping", "t": 1}).encode())
        data = b"".join(half.data_to_send())
        assert await line.post(data[1:], 1) == 409
        assert await line.post(data, 0) == 204
        assert (await wall.message("pong"))["t"] == 1


# --- who is refused ---


def request(path: str, **headers: str) -> Any:
    return pytest.param(path, headers, id=path + "".join(headers.values()))


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        request("/player/porch", Origin="https://evil.example"),
        request("/camera/porch", Origin="null"),
        request("/camera/porch", Host="evil.example"),
        request("/camera/Porch!"),
        request("/camera/"),
        request("/player/..%2f..%2fkeys"),
        request("/camera/a/b"),
        request("/attic/porch"),
    ],
)
async def test_refusals_are_those_of_websockets(
    relay: Relay, path: str, headers: dict[str, str]
) -> None:
    async with http(relay) as session:
        url = URL(f"{relay.origin}{PREFIX[:-1]}{path}", encoded=True)
        async with session.post(url, headers=HEADERS | headers) as answer:
            refusal = await answer.json()
            assert answer.status >= 400 and refusal["error"] and refusal["text"]
    async with await Raw.open(relay) as raw:
        host = headers.get("Host", relay.authority)
        extra = [f"Origin: {origin}" for origin in [headers.get("Origin")] if origin]
        assert await raw.request(relay, path, *extra, host=host) == answer.status
        assert (await raw.body())["error"] == refusal["error"]


@pytest.mark.parametrize("path", ["/camera/porch", "/player/porch", "/wall"])
async def test_without_a_key_nobody_gets_in(tls_relay: Relay, path: str) -> None:
    async with (
        http(tls_relay) as session,
        session.post(f"{PREFIX[:-1]}{path}", headers=HEADERS) as answer,
    ):
        assert answer.status == 401
        assert STREAM_HEADER not in answer.headers
        refusal = await answer.json()
    with pytest.raises(InvalidStatus) as refused:
        async with peer(tls_relay, path):
            pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["error"] == refusal["error"]


async def test_each_key_lets_in_for_its_own(tls_relay: Relay, name: str) -> None:
    async with http(tls_relay) as session:
        key = tls_relay.output.split("/player.html#key=", 1)[1].split()[0]
        async with session.post("/api/session", json={"key": key}) as answer:
            assert answer.status == 200
        async with session.post(f"{PREFIX}player/{name}", headers=HEADERS) as answer:
            assert answer.status == 200
            viewer = Peer(cast(ClientConnection, Line(session, answer)))
            await viewer.message("welcome")
            await viewer.close()
        async with session.post(f"{PREFIX}camera/{name}", headers=HEADERS) as answer:
            assert answer.status == 401


async def test_nothing_begins_by_get_or_without_the_protocol(relay: Relay, name: str) -> None:
    async with http(relay) as session:
        async with session.get(f"{PREFIX}camera/{name}", headers=HEADERS) as answer:
            assert answer.status == 405
        # A page of another site may send a POST without asking first, but not with a header of its
        # own (Fetch standard, "CORS-safelisted").
        for headers in ({}, {PROTOCOL_HEADER: "drawercam.99"}):
            async with session.post(f"{PREFIX}camera/{name}", headers=headers) as answer:
                assert answer.status == 400
        async with session.get("/api/cameras") as answer:
            assert name not in [camera["name"] for camera in await answer.json()]


@pytest.mark.parametrize("place", ["", "-1", "x", "1.5", "9" * 16, "٣"])
async def test_a_place_must_be_a_number(relay: Relay, place: str) -> None:
    async with over_http(relay, "/wall") as (wall, line):
        path = f"{PREFIX}{line._answer.headers[STREAM_HEADER]}"
        async with (
            http(relay) as session,
            session.post(path, params={"at": place}, data=b"x") as answer,
        ):
            assert answer.status == 400
        await wall.settled()


async def test_only_who_knows_the_id_may_send(relay: Relay) -> None:
    async with over_http(relay, "/wall") as (wall, line):
        known = line._answer.headers[STREAM_HEADER]
        assert len(known) >= 22, "128 bits"
        async with http(relay) as session:
            for unknown in (known[:-1], known.swapcase(), "x"):
                async with session.post(f"{PREFIX}{unknown}?at=0", data=b"x") as answer:
                    assert (answer.status, (await answer.json())["error"]) == (
                        404,
                        "unknown-stream",
                    )
            async with session.post(
                f"{PREFIX}{known}?at=0", data=b"x", headers={"Origin": "https://evil.example"}
            ) as answer:
                assert answer.status == 403
        await wall.settled()


# --- bounds ---


async def test_a_post_is_bounded(relay: Relay) -> None:
    async with over_http(relay, "/camera/bounded") as (_, line):
        half = Protocol(Side.CLIENT)
        half.send_binary(bytes(MAX_POST), fin=False)
        assert await line.post(b"".join(half.data_to_send()), 0) == 413
        line.cut()


async def test_frames_of_any_kind_are_counted_as_those_of_a_websocket_are(
    relay: Relay, name: str
) -> None:
    half = Protocol(Side.CLIENT)
    half.send_pong(b"unasked")
    flood = b"".join(half.data_to_send()) * 10_000
    async with (
        over_http(relay, "/wall") as (wall, _),
        over_http(relay, f"/player/{name}") as (viewer, line),
    ):
        assert await line.post(flood, 0) == 404, "when it is gone"
        await viewer.message("error", id="too-many-messages")
        await wall.settled()


async def test_posts_at_once_are_bounded(relay: Relay) -> None:
    async with over_http(relay, "/wall") as (wall, line):
        stalled = [await Raw.open(relay) for _ in range(MAX_POSTS)]

        async def is_refused(wanted: bool) -> bool:
            return (await line.post(b"", 0) == 429) == wanted

        try:
            path = f"{PREFIX}{line._answer.headers[STREAM_HEADER]}?at=0"
            for raw in stalled:
                await raw.write(
                    (
                        f"POST {path} HTTP/1.1\r\nHost: {relay.authority}\r\nContent-Length: "
                        "9\r\n\r\n"
                    ).encode()
                )
            await eventually(partial(is_refused, True), "one is too many")
        finally:
            for raw in stalled:
                raw.cut()
        await eventually(partial(is_refused, False), "those that broke off are forgotten")
        await wall.settled()


async def test_messages_have_the_limits_of_websockets(relay: Relay, name: str) -> None:
    async with over_http(relay, f"/player/{name}") as (viewer, _):
        await viewer.connection.send(json.dumps({"type": "ping", "t": 1, "x": "x" * MAX_TEXT}))
        assert await viewer.closed() == 1009


async def test_a_slow_reader_misses_pictures_alone(relay: Relay, name: str) -> None:
    async with (
        filming(relay, name) as camera,
        peer(relay, f"/player/{name}") as other,
        Proxy(relay.port) as network,
        over_http(relay, f"/player/{name}", origin=f"http://{HOST}:{network.port}") as (slow, _),
    ):
        await slow.until(lambda one: len(timestamps(one)) > 3)
        network.throttle(PICTURE_SIZE * 3)

        def after_gaps(one: Peer) -> list[int]:
            """The pictures before which others are missing."""
            filmed = {moment: number for number, moment in enumerate(camera.sent)}
            shown = timestamps(one)
            return [
                after
                for before, after in itertools.pairwise(shown)
                if filmed[after] > filmed[before] + 1
            ]

        gaps = await slow.until(after_gaps, "for pictures to be left out")
        assert set(gaps) <= set(camera.keys), (
            "it goes on with a picture that can be decoded, made for it"
        )
        network.throttle(None)
        await slow.settled()
        assert slow.told("pong")[-1]["drops"] > 0
        seen = len(timestamps(other))
        await other.until(
            lambda one: len(timestamps(one)) > seen + 5, "while the other viewer goes on"
        )
        assert not camera.camera.told("pause"), "the camera has not noticed"


@pytest.mark.long
async def test_who_never_answers_is_cut_off(relay: Relay, name: str) -> None:
    async with (
        http(relay) as session,
        session.post(f"{PREFIX}player/{name}", headers=HEADERS) as answer,
    ):
        async with asyncio.timeout(SILENCE_DEADLINE + PATIENCE):
            try:
                while await answer.content.readany():
                    pass
            except (aiohttp.ClientError, ConnectionError):
                pass
        async with session.post(f"{PREFIX}{answer.headers[STREAM_HEADER]}?at=0", data=b"x") as late:
            assert late.status == 404


# --- ends ---


async def test_close_codes_and_words_pass(relay: Relay, name: str) -> None:
    async with (
        over_http(relay, f"/camera/{name}") as (camera, _),
        over_http(relay, f"/camera/{name}"),
    ):
        assert (await camera.message("error"))["id"] == "taken-over"
        assert await camera.closed() == 4003
    async with over_http(relay, f"/camera/{name}") as (camera, _):
        await camera.connection.send("nonsense")
        assert (await camera.message("error"))["id"] == "bad-message"
        assert await camera.closed() == 4000
    async with over_http(relay, f"/player/{name}") as (viewer, _):
        await viewer.connection.send(b"\1bytes")
        assert await viewer.closed() == 4005


GOOD_BYES = [
    (1000, "stop", "left"),
    (1000, "", "closed"),
    (1001, "stop", "closed"),
    (None, "", "lost"),
]


@pytest.mark.parametrize(("code", "word", "reason"), GOOD_BYES)
async def test_a_good_bye_is_told_from_a_broken_connection(
    relay: Relay, name: str, code: int | None, word: str, reason: str
) -> None:
    async with (
        over_http(relay, f"/player/{name}") as (viewer, _),
        over_http(relay, f"/camera/{name}") as (camera, line),
    ):
        await film(camera, VP8)
        await viewer.message("state", state="live")
        if code is None:
            line.cut()
        else:
            await line.close(code, word)
        await viewer.message("state", state="gone", reason=reason)
        assert await line.post(b"x", line.at) == 404


async def test_a_relay_that_stops_says_so_and_stops_in_time(name: str) -> None:
    with Relay() as relay:
        async with (
            over_http(relay, f"/camera/{name}") as (camera, line),
            await Raw.open(relay) as stalled,
        ):
            path = f"{PREFIX}{line._answer.headers[STREAM_HEADER]}?at=0"
            await stalled.write(
                (
                    f"POST {path} HTTP/1.1\r\nHost: {relay.authority}\r\nContent-Length: 9\r\n\r\n"
                ).encode()
            )
            await camera.settled()
            status, seconds = await asyncio.to_thread(relay.stop)
            assert (status, await camera.closed()) == (0, 1001)
            assert camera.told("error")[-1]["id"] == "restarting"
            assert seconds < GOODBYE_BUDGET + PATIENCE
        assert "Traceback" not in relay.output, relay.output


async def test_every_way_in_tells_the_version_that_pages_are_told(relay: Relay, name: str) -> None:
    versions = set()
    async with http(relay) as session:
        for page in ("camera", "player", "keys"):
            async with session.get(f"/{page}.html") as answer:
                text = await answer.text()
            versions.update(re.findall(r'<meta name="version" content="([0-9a-f]{16})">', text))
            async with session.get(
                f"/{page}.html", headers={"If-None-Match": answer.headers["ETag"]}
            ) as again:
                assert again.status == 304
    assert len(versions) == 1
    for path in (f"/camera/{name}", f"/player/{name}?rest=1", "/wall"):
        async with peer(relay, path) as one, over_http(relay, path) as (other, _):
            versions |= {(await each.message("welcome"))["version"] for each in (one, other)}
    assert len(versions) == 1
