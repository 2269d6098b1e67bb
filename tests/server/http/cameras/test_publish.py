"""Cameras that are programs: `PUT /cameras/<name>/publish`, by curl, ffmpeg and less well-behaved
ones.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shlex
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp.base_protocol import BaseProtocol

from drawercam.access.grants import EVERYTHING, Access, Right
from drawercam.access.keys import Keyring
from drawercam.live.hub import Hub
from drawercam.media.containers.webm import MAX_ELEMENT
from drawercam.server.admission.visitors import Admission, Book, RequestVisit
from drawercam.server.http.cameras import publish as publishing
from drawercam.server.server import Server
from groundwork.connections.limits import Places
from groundwork.connections.scheduler import TURN, Scheduler
from groundwork.denied import Denied
from tests.harness.peers import PATIENCE, Raw, peer
from tests.harness.programs import finished, running
from tests.harness.relays import ROOT, Relay
from tests.live.test_channel import Clock
from tests.media.containers.test_webm import VP8_KEY, cluster, simple
from tests.media.samples import RECORDINGS
from tests.media.small_parts import VP8 as HEAD
from tests.server.test_media import VP8, decoded, film, frames, has_frames, packets
from tests.server.test_promises import eventually
from tests.server.test_security import FOREIGN, PORCH, browser, cookie, known, made, site

# Pictures, sound and containers with which ffmpeg publishes; small, because the machine has other
# things to do.
pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")

SCENE = shlex.split(
    "-hide_banner -nostdin -v error -re -f lavfi -i testsrc=size=160x120:rate=15 -f lavfi "
    "-i sine=sample_rate=48000"
)
WEBM = shlex.split(
    "-c:v libvpx -deadline realtime -cpu-used 8 -g 15 -c:a libopus -cluster_time_limit 100 -f webm"
)
MP4 = shlex.split(
    "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -g 15 -c:a aac "
    "-f mp4 -movflags frag_every_frame+empty_moov+default_base_moof -flush_packets 1"
)


def address(relay: Relay, path: str, key: str = "") -> str:
    """For programs, with the key as the password of anybody."""
    scheme, _, rest = relay.origin.partition("://")
    return f"{scheme}://{f'anybody:{key}@' if key else ''}{rest}{path}"


def bearer(key: str) -> str:
    return f"Bearer {key}"


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def put(
    client: aiohttp.ClientSession, name: str, body: Any, method: str = "PUT", **headers: str
) -> tuple[int, str, str]:
    """Publish; the status, and id and sentence of what went wrong."""
    async with client.request(
        method, f"/cameras/{name}/publish", data=body, headers=headers
    ) as answer:
        told = await answer.json() if answer.content_type == "application/json" else {}
        return answer.status, told.get("error", ""), told.get("text", "")


class Hose:
    """A body that goes on as long as somebody gives."""

    def __init__(self, *first: bytes) -> None:
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.give(*first)

    def give(self, *pieces: bytes | None) -> None:
        """None ends it."""
        for piece in pieces:
            self._pieces.put_nowait(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece


@pytest.fixture
async def client(relay: Relay) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(relay.origin) as session:
        yield session


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_a_stream_by_request_is_a_camera_like_any_other(
    relay: Relay, client: aiohttp.ClientSession, name: str, method: str
) -> None:
    expected, hose = (
        packets(VP8),
        Hose(*(VP8[begin : begin + 1000] for begin in range(0, len(VP8), 1000))),
    )
    async with peer(relay, f"/player/{name}") as viewer:
        sending = asyncio.create_task(put(client, name, hose, method))
        await viewer.until(has_frames(len(expected)))
        assert [one.data for one in decoded(viewer)] == [one.data for one in expected]
        await viewer.message("state", state="live")
        hose.give(None)
        assert await sending == (204, "", "")
        await viewer.message("state", state="gone", reason="left")


async def test_what_is_wrong_with_a_stream_is_said(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    status, error, text = await put(client, name, b"# This is no film, but a text." * 10)
    assert (status, error) == (400, "bad-media") and "neither WebM nor MP4" in text
    # A header of 2 MiB.
    status, error, text = await put(client, name, b"\x1a\x45\xdf\xa3\x10\x20\x00\x00" + bytes(100))
    assert (status, error) == (400, "media-limit") and "limit" in text
    assert (await put(client, "No-Name", VP8))[:2] == (400, "bad-name")
    async with client.get(f"/cameras/{name}/publish") as answer:
        assert answer.status == 405


async def test_of_two_cameras_the_newer_one_films(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    """A request is taken over by a phone, and a phone by a request; but not by one that brings
    nothing.
    """
    hose = Hose(VP8)
    async with peer(relay, f"/player/{name}") as viewer:
        sending = asyncio.create_task(put(client, name, hose))
        await viewer.until(frames)
        async with peer(relay, f"/camera/{name}") as phone:
            await phone.message("welcome")
            assert (await asyncio.wait_for(sending, PATIENCE))[:2] == (409, "taken-over")
            await film(phone, VP8)
            before = await viewer.until(has_frames(len(packets(VP8)) + 1)) and len(frames(viewer))
            assert (await put(client, name, b""))[:2] == (400, "bad-media")
            await phone.settled()
            hose = Hose(VP8)
            sending = asyncio.create_task(put(client, name, hose))
            assert await phone.closed() == 4003
            await viewer.until(has_frames(before + 1))
            hose.give(None)
            assert (await sending)[0] == 204


async def test_a_publisher_that_vanishes_is_lost(relay: Relay, name: str) -> None:
    async with peer(relay, f"/player/{name}") as viewer, await Raw.open(relay) as raw:
        head = (
            f"PUT /cameras/{name}/publish HTTP/1.1\r\nHost: "
            f"{relay.authority}\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        await raw.write(head.encode() + f"{len(VP8):x}\r\n".encode() + VP8 + b"\r\n")
        await viewer.until(frames)
        raw.cut()
        await viewer.message("state", state="gone", reason="lost")


async def test_a_publisher_that_has_vanished_before_it_was_read_is_lost() -> None:
    """What had come of its stream is still taken; then there is nobody to wait for."""
    hub = Hub(Clock())
    body = aiohttp.StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16)
    body.feed_data(VP8)
    with pytest.raises(Denied) as denied:
        await publishing.Publisher(hub, "porch", "somebody").read(body)
    assert (denied.value.status, denied.value.id) == (400, "broken-off")
    assert [(channel.state, channel.reason) for channel in hub.cameras()] == [("gone", "lost")]


async def test_a_program_that_sends_fast_is_read_as_fast_as_its_work_allows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many pictures at once, in which a socket would be refused: a program can wait.

    All of them are passed on.
    """
    clock = Clock()
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.time += round(seconds * 1e6)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    hub = Hub(clock)
    pictures = simple(b"\1", flags=0) * 10_000
    body = aiohttp.StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16)
    body.feed_data(HEAD + cluster(0, simple(VP8_KEY)) + pictures)
    body.feed_eof()
    await publishing.Publisher(hub, "porch", "somebody").read(body)
    assert hub.tally().video == 10_001
    assert 2 < sum(slept) < 8 and max(slept) < 1
    assert hub.ledger.held("somebody") == 0


async def test_programs_of_one_address_take_their_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one of them brings waits where the address had its share of this turn; an error comes to
    its own request.
    """
    later: list[Callable[[], None]] = []
    share = Scheduler(later.append).share("somebody")
    share.spend(TURN)
    hub = Hub(Clock())

    async def publish(name: str, data: bytes) -> str:
        body = aiohttp.StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16)
        body.feed_data(data)
        body.feed_eof()
        try:
            await publishing.Publisher(hub, name, "somebody", share).read(body)
        except Denied as denied:
            return denied.id
        return "done"

    requests = [
        asyncio.create_task(publish(f"porch-{number}", data))
        for number, data in enumerate((VP8, b"no film" * 9))
    ]
    await asyncio.sleep(0)
    assert not hub.cameras()
    while not all(request.done() for request in requests):
        while later:
            later.pop(0)()
        await asyncio.sleep(0)
    assert [request.result() for request in requests] == ["done", "bad-media"]


async def test_what_programs_begin_and_do_not_end_is_bounded(
    client: aiohttp.ClientSession, name: str
) -> None:
    """For their address together. The others go on, and what has ended makes room."""
    picture = HEAD + cluster(0) + simple(bytes(MAX_ELEMENT - 100))
    hoses = [Hose(picture[: 7 * 2**20]) for _ in range(5)]
    requests = [
        asyncio.create_task(put(client, f"{name}-{number}", hose))
        for number, hose in enumerate(hoses)
    ]
    done, _ = await asyncio.wait(requests, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    (refused,) = (request.result() for request in done)
    assert refused[:2] == (400, "media-limit") and "32 MiB" in refused[2]
    for hose in hoses:
        hose.give(None)
    assert [(await request)[0] for request in requests if request not in done] == [204] * 4
    assert (await put(client, name, VP8))[0] == 204


async def test_a_publisher_is_always_on(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    """It cannot be told to pause, so votes change nothing."""
    hose = Hose(VP8)
    sending = asyncio.create_task(put(client, name, hose))
    async with peer(relay, f"/player/{name}") as viewer:
        await viewer.until(frames)
        await viewer.send(type="pause", reason="overflow")
        await viewer.settled()
        count = len(frames(viewer))
        # The same film once more, as a recorder that was restarted sends it.
        hose.give(VP8, None)
        await viewer.until(has_frames(count + 1))
        assert {one["state"] for one in viewer.told("state")} <= {"waiting", "live", "gone"}
    assert (await sending)[0] == 204


async def test_a_publisher_that_falls_silent_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "SILENCE_DEADLINE", 0.2)
    server = Server(site(Access(None)))
    port = await server.start(["127.0.0.1"], 0, None)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            assert (await put(client, "porch", Hose(VP8[:5000])))[:2] == (408, "too-slow")
            assert [channel.reason for channel in server._hub.channels] == ["lost"]
            monkeypatch.setattr(publishing, "SILENCE_DEADLINE", PATIENCE)
            hose = Hose(VP8)
            sending = asyncio.create_task(put(client, "porch", hose))
            await eventually(
                lambda: [one.state for one in server._hub.cameras()] == ["live"], "it films again"
            )
            stopping = asyncio.create_task(server.stop())
            assert (await asyncio.wait_for(sending, PATIENCE))[:2] == (503, "restarting")
            await stopping
    finally:
        await server.stop()


async def test_a_relay_that_stops_while_somebody_publishes_ends_in_silence(name: str) -> None:
    with Relay("--tls", "--no-key", "--host", "127.0.0.1") as relay:
        async with await Raw.open(relay) as raw:
            head = (
                f"PUT /cameras/{name}/publish HTTP/1.1\r\nHost: "
                f"{relay.authority}\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            await raw.write(head.encode() + f"{len(VP8):x}\r\n".encode() + VP8 + b"\r\n")
            await eventually(lambda: "is live" in relay.output, "it films")
            said = relay.output
            status, _ = await asyncio.to_thread(relay.stop)
        assert status == 0 and re.fullmatch(
            r"\S+ = \S+ is gone \(lost\)\n", relay.output.removeprefix(said)
        )


# --- who may ---


async def test_programs_show_their_key_with_the_request(tls_relay: Relay, name: str) -> None:
    camera, viewer = Keyring.open(tls_relay.state).keys[:2]
    async with aiohttp.ClientSession(
        tls_relay.origin, connector=aiohttp.TCPConnector(ssl=tls_relay.context or True)
    ) as client:

        async def told(auth: str, **headers: str) -> tuple[int, str, str | None]:
            async with client.put(
                f"/cameras/{name}/publish", data=VP8, headers={"Authorization": auth} | headers
            ) as answer:
                text = await answer.text()
                return (
                    answer.status,
                    json.loads(text)["error"] if text else "",
                    answer.headers.get("WWW-Authenticate"),
                )

        challenge = 'Basic realm="drawercam"'
        assert (await told(""))[1:] == ("no-key", challenge)
        for auth in (bearer(camera.secret), basic("", camera.secret), basic("x", camera.secret)):
            assert await told(auth) == (204, "", None), (
                "no Origin and no cookie: nobody was tricked"
            )
            assert await told(auth, Origin=tls_relay.origin) == (204, "", None)
            # A browser shows a password that somebody typed to this relay also to whoever sends a
            # form here.
            assert await told(auth, Origin=FOREIGN) == (403, "foreign-origin", None)
            assert await told(auth, Origin="null") == (403, "foreign-origin", None)
        assert await told(bearer(viewer.secret)) == (401, "no-key", challenge), (
            "it watches and does not film"
        )
        for auth in ("Basic !", "Basic eA==", basic(camera.secret, "x")):
            assert await told(auth) == (401, "wrong-key", challenge)


async def test_no_body_is_asked_for_before_the_key_was_seen(tls_relay: Relay, name: str) -> None:
    """ffmpeg, which has a key and does not show it, takes 100 for the leave to send everything."""
    camera = Keyring.open(tls_relay.state).keys[0]
    head = (
        f"PUT /cameras/{name}/publish HTTP/1.1\r\nHost: "
        f"{tls_relay.authority}\r\nContent-Length: {len(VP8)}\r\nExpect: 100-continue\r\n"
    )
    for auth, answer in (("", 401), (f"Authorization: {basic('x', camera.secret)}\r\n", 100)):
        async with await Raw.open(tls_relay) as raw:
            await raw.write(f"{head}{auth}\r\n".encode())
            assert await raw.status() == answer


async def test_a_revoked_key_ends_what_a_program_publishes(tls_relay: Relay) -> None:
    ring = Keyring.open(tls_relay.state)
    key, watching = made(ring, publish=PORCH), ring.keys[1]
    hose = Hose(VP8)
    async with browser(tls_relay) as client:
        await known(tls_relay, cookie(ring, key))
        assert (await put(client, "attic", VP8, Authorization=bearer(key.secret)))[:2] == (
            403,
            "not-allowed",
        )
        sending = asyncio.create_task(put(client, "porch", hose, Authorization=bearer(key.secret)))
        reading = bearer(watching.secret)

        async def live() -> bool:
            async with client.head(
                "/cameras/porch/live.webm", headers={"Authorization": reading}
            ) as answer:
                return answer.status == 200

        await eventually(live, "it films")
        ring.revoke(key.id)
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(sending, PATIENCE)


def test_a_request_for_a_camera_takes_a_place_as_a_socket_does() -> None:
    porch, attic, watching = (
        Admission(EVERYTHING, right, name, "192.0.2.1")
        for right, name in (
            (Right.PUBLISH, "porch"),
            (Right.PUBLISH, "attic"),
            (Right.WATCH, "porch"),
        )
    )
    book = Book()
    book.sockets, book.cameras = Places(10, 2), Places(1)
    filming = RequestVisit(porch, None)
    book.enter(filming)
    book.enter(RequestVisit(Admission(EVERYTHING, Right.WATCH_SOME, "", "192.0.2.1"), None))
    with pytest.raises(Denied, match="1 cameras already"):
        book.check_room(attic)
    book.check_room(watching)
    book.enter(RequestVisit(watching, None))
    with pytest.raises(Denied, match="from this address"):
        book.check_room(watching)
    book.leave(filming)
    book.check_room(attic)


# --- real programs ---


@pytest.mark.parametrize(
    ("form", "codecs"), [(WEBM, {"vp8", "opus"}), (MP4, {"avc1", "mp4a"})], ids=["webm", "mp4"]
)
async def test_ffmpeg_publishes(
    tls_relay: Relay, form: list[str], codecs: set[str], name: str
) -> None:
    """It shows its key only when it is asked for one, and sends no body before."""
    ring = Keyring.open(tls_relay.state)
    camera, viewer = ring.keys[:2]
    path = f"/cameras/{name}/publish"
    async with (
        peer(
            tls_relay, f"/player/{name}", additional_headers={"Cookie": cookie(ring, viewer)}
        ) as watching,
        running("ffmpeg", *SCENE, *form, "-method", "PUT", address(tls_relay, path, camera.secret)),
    ):
        await watching.until(lambda one: len(frames(one)) > 20 and len(frames(one, 2)) > 20)
        assert {one["codec"].partition(".")[0] for one in watching.told("track")} == codecs


async def test_curl_publishes(tls_relay: Relay, name: str) -> None:
    camera = Keyring.open(tls_relay.state).keys[0]
    url = address(tls_relay, f"/cameras/{name}/publish", camera.secret)
    film = str(RECORDINGS / "chromium-h264.webm")
    trust = ("--cacert", str(tls_relay.state / "certs" / "ca.crt"))

    async def asks(*more: str) -> str:
        return (await finished(0, "curl", "-s", "-w", "%{http_code}", *trust, *more, url))[0]

    assert await asks("-T", film) == await asks("-X", "POST", "--data-binary", f"@{film}") == "204"
    assert (
        await asks("-T", film, "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue")
        == "204"
    )
    said_so = await asks("-T", str(ROOT / "README.md"))
    assert "neither WebM nor MP4" in said_so and said_so.endswith("400")
