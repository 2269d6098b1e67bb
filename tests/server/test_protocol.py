"""docs/protocol.md, walked: every message, every close code, every status stands in the code as it
stands on paper.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import fields
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode
from websockets.typing import Origin

from drawercam.live.channel import TRACK_PAUSE, TRACKS_AT_ONCE, State
from drawercam.live.gathering import GATHERED
from drawercam.live.keyframes import (
    FEW_PICTURES,
    KEYFRAME_INTERVAL,
    KEYFRAME_PAUSE,
    KEYFRAMES_AT_ONCE,
    KEYFRAMES_OF_ALL_AT_ONCE,
    MAX_REPLAY,
)
from drawercam.live.pausing import SLEEP_AFTER
from drawercam.live.plays import CODEC_INTERVAL
from drawercam.live.viewers import VOTE_LIFETIME
from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Codec, Packet, Track
from drawercam.protocol import messages as control
from drawercam.protocol.close_reasons import Reason
from drawercam.server.sockets.camera import MAX_CAMERA_MESSAGE, ORIENT_INTERVAL
from drawercam.server.sockets.in_flight import PROBE_SELDOM
from drawercam.server.sockets.liveness import SILENCE_DEADLINE, WRITE_DEADLINE
from drawercam.server.sockets.patience import MAX_PATIENCE, MAX_WAIT
from drawercam.server.sockets.player import JOIN_PAUSE, JOINS_AT_ONCE, VOTE_PAUSE, VOTES_AT_ONCE
from drawercam.server.sockets.websocket import PING_INTERVAL, SUBPROTOCOL
from drawercam.server.sockets.write_limit import HIGH_WATER
from groundwork.connections import limits
from groundwork.names import NAME
from tests.harness.peers import Raw, handshake, peer
from tests.harness.relays import ROOT, Relay

ALWAYS = [control.Welcome, control.Error]
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text()


def section(title: str) -> str:
    """The text under a heading, up to the next one."""
    return re.split(r"^#+ ", DOCUMENT.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(title: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- the tables ---


@pytest.mark.parametrize(
    ("title", "vocabulary"),
    [("Camera to relay", control.FROM_CAMERA), ("Player to relay", control.FROM_PLAYER)],
)
def test_what_peers_may_say(title: str, vocabulary: control.Vocabulary) -> None:
    documented = {words(row[0])[0]: words(row[1]) for row in rows(title)}
    assert documented.keys() == vocabulary.keys()
    for name, kind in vocabulary.items():
        for item in fields(kind):  # type: ignore[arg-type]
            assert item.name in documented[name], f"{name}.{item.name} is not documented"


@pytest.mark.parametrize(
    ("title", "kinds"),
    [
        (
            "Relay to camera",
            [
                *ALWAYS,
                control.Pong,
                control.Viewers,
                control.CameraPause,
                control.Resume,
                control.Keyframe,
                control.CameraUnplayable,
                control.Orient,
            ],
        ),
        (
            "Relay to player",
            [
                *ALWAYS,
                control.PlayerPong,
                control.ChannelState,
                control.TrackBegins,
                control.TrackEnds,
                control.Turns,
                control.Declined,
            ],
        ),
        ("Relay to wall", [*ALWAYS, control.Pong, control.Cameras]),
    ],
)
def test_what_the_relay_says(title: str, kinds: list[type[control.Message]]) -> None:
    documented = {name: " ".join(row[1:]) for row in rows(title) for name in words(row[0])}
    assert set(documented) == {kind.type for kind in kinds}
    for kind in kinds:
        for item in fields(kind):  # type: ignore[arg-type]
            cell = documented[kind.type]
            assert f"`{item.name}`" in cell or "as above" in cell, f"{kind.type}.{item.name}"


def test_states_and_reasons() -> None:
    documented = {words(row[0])[0]: words(row[1]) for row in rows("States")}
    assert list(documented) == [state.value for state in State]
    for reason in documented["paused"]:
        control.parse(
            f'{{"type": "state", "state": "paused", "reason": "{reason}"}}', control.FROM_CAMERA
        )


def test_what_a_microphone_does() -> None:
    assert sorted(word for row in rows("Sound") for word in words(row[0])) == sorted(
        control.SOUND_STATES
    )


def test_close_codes() -> None:
    documented = {int(row[0]): words(row[1]) for row in rows("Errors and close codes")}
    for reason in Reason:
        assert documented.pop(reason.code) in ([reason.id], []), reason
    assert set(documented) == {1000, 1002, 1009}, "these come from RFC 6455's own machinery"


def test_numbers_in_the_text() -> None:
    assert f"`{SUBPROTOCOL}`" in DOCUMENT
    assert f"`{NAME.pattern}`" in DOCUMENT
    assert f"Ping every {PING_INTERVAL:.0f} s" in DOCUMENT
    assert f"for {SILENCE_DEADLINE:.0f} s is dropped" in DOCUMENT
    assert f"may be {MAX_CAMERA_MESSAGE // 2**20} MiB long" in DOCUMENT
    assert f"messages may be {control.MAX_TEXT // 2**10} KiB long" in DOCUMENT
    assert f"(1 to {control.MAX_STREAM})" in DOCUMENT
    assert f"as the camera knows it, at most {control.MAX_DELAY // 10**6} s" in DOCUMENT
    assert f"more than {FEW_PICTURES + 1} pictures" in DOCUMENT
    assert f"every {KEYFRAME_INTERVAL // 1000} ms at most" in DOCUMENT
    assert f"within {CODEC_INTERVAL // 10**6} s after it was asked last" in DOCUMENT
    assert (
        f"for one viewer {KEYFRAMES_AT_ONCE} times at once, then every {KEYFRAME_PAUSE} s"
        in DOCUMENT
    )
    assert (
        f"all together {KEYFRAMES_OF_ALL_AT_ONCE}\ntimes at once, then every {KEYFRAME_PAUSE} s"
        in DOCUMENT
    )
    assert f"within {GATHERED * 1000:.0f} ms after that" in DOCUMENT
    assert (
        JOIN_PAUSE == VOTE_PAUSE == 1
        and f"{VOTES_AT_ONCE} count at once, then one a second" in DOCUMENT
    )
    assert f"{JOINS_AT_ONCE} are fulfilled at once, then one a second" in DOCUMENT
    assert (
        f"more than {TRACKS_AT_ONCE} times at once, or more than {1 / TRACK_PAUSE:.0f} "
        "times a second"
    ) in DOCUMENT
    assert f"one `orient` in {ORIENT_INTERVAL * 1000:.0f} ms" in DOCUMENT
    assert f"{control.MAX_ANGLE} degrees to either side" in DOCUMENT
    assert f"factors from {control.MIN_ZOOM} to {control.MAX_ZOOM}" in DOCUMENT
    assert f"more than {MAX_REPLAY // 2**10} KiB, the player gets" in DOCUMENT
    assert f"less than {HIGH_WATER // 2**10} KiB wait" in DOCUMENT
    assert f"on its way for\n{MAX_WAIT} s longer" in DOCUMENT
    assert f"for sound, it is {MAX_PATIENCE:.0f} s" in DOCUMENT
    assert PROBE_SELDOM == 1 and "one a second or" in DOCUMENT
    assert f"leaves them unanswered\nfor {WRITE_DEADLINE:.0f} s" in DOCUMENT
    assert (
        f"| control messages | {limits.MESSAGES_AT_ONCE} | {limits.MESSAGES_PER_SECOND} |"
        in DOCUMENT
    )
    assert (
        f"frames of a camera | {limits.CAMERA_FRAMES_AT_ONCE} | {limits.CAMERA_FRAMES_PER_SECOND} |"
        in DOCUMENT
    )
    assert (
        f"frames of a player or a wall | {limits.FRAMES_AT_ONCE} | {limits.FRAMES_PER_SECOND} |"
        in DOCUMENT
    )
    assert (
        f"of a camera | {limits.CAMERA_BYTES_AT_ONCE // 2**20} MiB | "
        f"{limits.CAMERA_BYTES_PER_SECOND // 2**20} MiB |"
    ) in DOCUMENT
    assert (
        f"a player or a wall | {limits.BYTES_AT_ONCE // 2**10} KiB | "
        f"{limits.BYTES_PER_SECOND // 2**10} KiB |"
    ) in DOCUMENT
    assert f"lapses after {VOTE_LIFETIME // 10**6} s" in DOCUMENT
    assert f"nobody has watched for {SLEEP_AFTER // 10**6} s" in DOCUMENT


def test_the_bytes_of_a_webm_frame_message() -> None:
    track = Track(Codec.VP8, "vp8")
    message = WebmWriter(track, 1, 0).fragment(Packet(track, 7_000, False, b"data"))
    documented = dict(
        re.findall(r"^\| ([\d, -]+) \| (.*) \|$", section("Tracks to a player"), re.MULTILINE)[:7]
    )
    assert list(documented) == ["0-3", "4-7", "8-9, 10-17", "18, 19-22", "23", "24-25", "26"]
    for where in ("0-3", "8-9, 10-17", "18, 19-22", "23"):
        start, constant = (
            int(re.split("[-,]", where)[0]),
            bytes.fromhex(words(documented[where])[0]),
        )
        assert message[start : start + len(constant)] == constant, where
    assert int.from_bytes(message[10:18], "big") == 7
    assert message[24:26] == b"\0\0" and message[26] == 0
    assert message[27:] == b"data"
    assert int.from_bytes(message[4:8], "big") & ~0x10000000 == len(message) - 8
    assert int.from_bytes(message[19:23], "big") & ~0x10000000 == len(message) - 23


# --- every close code, provoked ---


async def test_ping_is_answered_everywhere(relay: Relay, name: str) -> None:
    for path in (f"/camera/{name}", f"/player/{name}", "/wall"):
        async with peer(relay, path) as one:
            welcome = await one.message("welcome")
            await one.send(type="ping", t=1.25)
            pong = await one.message("pong", t=1.25)
            assert pong["time"] >= welcome["time"] >= 0


BAD_MESSAGES = [
    "",
    "hello",
    "[]",
    '{"type": "dance"}',
    '{"type": "ping"}',
    '{"type": "stream", "stream": 99, "mime": "x"}',
]


@pytest.mark.parametrize("text", BAD_MESSAGES)
@pytest.mark.parametrize("path", ["/camera/{}", "/player/{}", "/wall"])
async def test_4000_bad_message(relay: Relay, name: str, path: str, text: str) -> None:
    async with peer(relay, path.format(name)) as one:
        await one.connection.send(text)
        error = await one.message("error", id="bad-message")
        assert error["text"].endswith(".") and len(error["text"]) > 20
        assert await one.closed() == 4000
        assert one.connection.close_reason == "bad-message"


async def camera_sends(
    relay: Relay, name: str, *messages: Any
) -> tuple[int | None, dict[str, Any] | None]:
    """A viewer is watching while a camera sends this; returns close code and error, if any."""
    async with peer(relay, f"/player/{name}") as viewer, peer(relay, f"/camera/{name}") as camera:
        for message in messages:
            await camera.connection.send(message)
        code = await camera.closed()
        error = next((one for one in camera.messages if one["type"] == "error"), None)
        if code in (4001, 4002):
            await viewer.message("state", state="gone", reason="media")
        await viewer.send(type="ping", t=1)
        await viewer.message("pong")
        return code, error


STREAM = '{"type": "stream", "stream": 1, "mime": "video/webm"}'


NO_MEDIA = [
    b"\x01GIF89a-is-not-a-video",
    b"\x01\x00\x00\x00\x10evil----",
    b"\x01\x1a\x45\xdf\xa3\x84\x42\x82\x81x\x00",
]


@pytest.mark.parametrize("data", NO_MEDIA)
async def test_4001_bad_media(relay: Relay, name: str, data: bytes) -> None:
    code, error = await camera_sends(relay, name, STREAM, data)
    assert code == 4001 and error is not None and error["id"] == "bad-media"


async def test_4002_media_limit(relay: Relay, name: str) -> None:
    huge = b"\x01\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff\x16\x54\xae\x6b\x08\xff\xff\xff\xff"
    code, error = await camera_sends(relay, name, STREAM, huge)
    assert code == 4002 and error is not None and error["id"] == "media-limit"


@pytest.mark.parametrize("data", [b"", b"\x02abc", b"\x00abc", b"\xffabc"])
async def test_4004_unknown_stream(relay: Relay, name: str, data: bytes) -> None:
    code, error = await camera_sends(relay, name, STREAM, data)
    assert code == 4004 and error is not None and error["id"] == "unknown-stream"
    code, _ = await camera_sends(relay, name, '{"type": "end", "stream": 3}')
    assert code == 4004


@pytest.mark.parametrize("path", ["/player/{}", "/wall"])
async def test_4005_unexpected_binary(relay: Relay, name: str, path: str) -> None:
    async with peer(relay, path.format(name)) as one:
        await one.connection.send(b"\x01")
        await one.message("error", id="unexpected-binary")
        assert await one.closed() == 4005


async def test_1007_text_that_is_no_text(relay: Relay, name: str) -> None:
    async with await Raw.open(relay) as raw:
        assert await raw.request(relay, f"/player/{name}") == 101
        await raw.frame(Opcode.TEXT, b"\xff\xfe")
        assert (1007).to_bytes(2, "big") in await raw.reader.read()


async def test_1009_a_message_over_the_limit(relay: Relay, name: str) -> None:
    async with peer(relay, f"/camera/{name}") as camera:
        with contextlib.suppress(
            ConnectionClosed
        ):  # the relay closes before it has taken all of it
            await camera.connection.send(b"\x01" + bytes(MAX_CAMERA_MESSAGE))
        assert await camera.closed() == 1009
    async with peer(relay, f"/player/{name}") as viewer:
        await viewer.connection.send(" " * (control.MAX_TEXT + 1))
        assert await viewer.closed() == 1009


async def test_1002_what_is_no_websocket_frame(relay: Relay, name: str) -> None:
    async with await Raw.open(relay) as raw:
        assert await raw.request(relay, f"/player/{name}") == 101
        await raw.write(b"\x8f\x80\0\0\0\0")
        assert (1002).to_bytes(2, "big") in await raw.reader.read()


# --- every status before the upgrade ---

HANDSHAKES: list[tuple[str, dict[str, Any], int, str]] = [
    ("/camera/Porch", {}, 400, "bad-name"),
    ("/camera/", {}, 400, "bad-name"),
    ("/camera/" + "a" * 33, {}, 400, "bad-name"),
    ("/camera/-a", {}, 400, "bad-name"),
    ("/camera/..%2f..%2fetc", {}, 400, "bad-name"),
    ("/camera/a/b", {}, 400, "bad-name"),
    ("/camera/a%0a", {}, 400, "bad-name"),
    ("/player/%c3%a9", {}, 400, "bad-name"),
    ("/nothing", {}, 404, "unknown-path"),
    ("/", {}, 404, "unknown-path"),
    ("/wall/x", {}, 404, "unknown-path"),
    ("/api/cameras", {}, 404, "unknown-path"),
]


@pytest.mark.parametrize(("path", "options", "status", "identifier"), HANDSHAKES)
async def test_refused_handshakes(
    relay: Relay, path: str, options: dict[str, Any], status: int, identifier: str
) -> None:
    async with await Raw.open(relay) as raw:
        assert await raw.request(relay, path, **options) == status
        body = await raw.body()
        assert body["error"] == identifier and body["text"].endswith(".")


@pytest.mark.parametrize("subprotocol", [None, "drawercam.2", "chat"])
async def test_a_wrong_subprotocol_is_400(relay: Relay, name: str, subprotocol: str | None) -> None:
    async with await Raw.open(relay) as raw:
        assert await raw.request(relay, f"/player/{name}", subprotocol=subprotocol) == 400


async def test_a_foreign_origin_is_403(relay: Relay, name: str) -> None:
    async with await Raw.open(relay) as raw:
        assert await raw.request(relay, f"/player/{name}", "Origin: https://evil.example") == 403
        assert (await raw.body())["error"] == "foreign-origin"
    async with peer(relay, f"/player/{name}", origin=Origin(relay.origin)) as viewer:
        await viewer.message("welcome")


async def test_a_foreign_host_is_421(relay: Relay, name: str) -> None:
    for host in ("evil.example", f"evil.example:{relay.port}", "", "]["):
        async with await Raw.open(relay) as raw:
            await raw.write(handshake(f"/player/{name}", host))
            assert await raw.status() == 421


async def test_two_origins_are_400(relay: Relay, name: str) -> None:
    async with await Raw.open(relay) as raw:
        assert (
            await raw.request(
                relay, f"/player/{name}", f"Origin: {relay.origin}", f"Origin: {relay.origin}"
            )
            == 400
        )


@pytest.mark.parametrize(
    "path",
    ["/camera/porch", "/player/porch", "/wall", "/api/cameras", "/api/invite", "/api/invite.svg"],
)
async def test_without_a_key_it_is_401_where_keys_are_on(tls_relay: Relay, path: str) -> None:
    async with await Raw.open(tls_relay) as raw:
        if path.startswith("/api"):
            await raw.write(
                (
                    f"GET {path} HTTP/1.1\r\nHost: {tls_relay.authority}\r\nConnection: "
                    "close\r\n\r\n"
                ).encode()
            )
            assert await raw.status() == 401
        else:
            assert await raw.request(tls_relay, path) == 401
        assert (await raw.body())["error"] == "no-key"


async def test_other_methods_and_requests_without_upgrade(relay: Relay) -> None:
    for request, status in (
        (b"POST /camera/porch HTTP/1.1\r\nUpgrade: websocket\r\n", 405),
        (b"GET /camera/porch HTTP/1.1\r\n", 404),
        (b"PUT /player.html HTTP/1.1\r\n", 405),
    ):
        async with await Raw.open(relay) as raw:
            await raw.write(request + f"Host: {relay.authority}\r\n\r\n".encode())
            assert await raw.status() == status, request


async def test_an_upgrade_on_a_used_http_connection_is_426(relay: Relay) -> None:
    async with await Raw.open(relay) as raw:
        await raw.write(f"GET /healthz HTTP/1.1\r\nHost: {relay.authority}\r\n\r\n".encode())
        assert await raw.status() == 200
        await raw.reader.readexactly(3)
        await raw.write(handshake("/healthz", relay.authority))
        assert await raw.status() == 426


async def test_a_head_that_never_ends_is_431(relay: Relay) -> None:
    async with await Raw.open(relay) as raw:
        await raw.write(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 4000)
        assert await raw.status() == 431
