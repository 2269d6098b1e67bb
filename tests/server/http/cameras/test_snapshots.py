"""`latest.jpg` and `live.mjpg` of a real relay: who gets which pictures, from how many processes,
and what else may happen.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from drawercam.access.key import NOTHING, Scope
from drawercam.access.keys import Keyring
from drawercam.server.http.cameras import snapshots as pictures
from drawercam.server.http.headers import TIME_HEADER
from drawercam.server.server import GOODBYE_BUDGET
from drawercam.snapshots import requests as desk
from tests.harness import films
from tests.harness.peers import PATIENCE, Raw, peer
from tests.harness.relays import Relay
from tests.server.http.cameras.test_live_file import House
from tests.server.test_freeze import timestamps
from tests.server.test_media import VP8, film
from tests.server.test_promises import TRACK, eventually, report, written
from tests.server.test_security import asking, browser, cookie, made
from tests.snapshots.test_worker import huge


def workers(relay: Relay) -> set[int]:
    """The processes that a relay has started (Linux).

    Those of an earlier test may still be waiting for somebody.
    """
    return {
        int(child)
        for thread in Path(f"/proc/{relay.pid}/task").iterdir()
        for child in (thread / "children").read_text().split()
    }


def there(process: int) -> bool:
    """Whether it runs; one that has ended and of which nobody has heard yet does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


async def picture(
    client: aiohttp.ClientSession, name: str, query: str = ""
) -> tuple[int, Image.Image]:
    """When it was captured, and the picture."""
    async with asking(client, f"/cameras/{name}/latest.jpg{query}") as answer:
        assert answer.status == 200, await answer.text()
        assert (answer.content_type, answer.headers["Cache-Control"]) == ("image/jpeg", "no-store")
        return int(answer.headers[TIME_HEADER]), Image.open(io.BytesIO(await answer.read()))


async def refused(
    client: aiohttp.ClientSession, path: str, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """Status and id of the answer."""
    async with client.get(path, headers=headers or {}) as answer:
        return answer.status, (await answer.json())[
            "error"
        ] if answer.content_type == "application/json" else ""


async def part(body: aiohttp.StreamReader) -> tuple[int, bytes]:
    """The next part of a multipart/x-mixed-replace, from behind its boundary up to behind the next
    one: time and picture.
    """
    head: dict[str, str] = {}
    while line := (await body.readline()).strip().decode():
        key, _, value = line.partition(": ")
        head[key] = value
    assert head["Content-Type"] == "image/jpeg"
    data = await body.readexactly(int(head["Content-Length"]))
    assert await body.readline() == b"\r\n" and await body.readline() == b"--drawercam\r\n"
    return int(head[TIME_HEADER]), data


@pytest_asyncio.fixture
async def client(relay: Relay) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(relay.origin) as session:
        yield session


async def test_ten_who_ask_have_one_worker_and_nobody_who_asks_none(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    async with films.film(relay, name) as camera:
        await camera.phone.message("viewers", count=0)
        await eventually(lambda: report(relay, name)["state"] == "live", "it films")
        assert workers(relay) == set(), "it films for nobody, and nobody decodes"
        answers = await asyncio.gather(*(picture(client, name) for _ in range(10)))
        assert {image.size for _, image in answers} == {(films.WIDTH, films.HEIGHT)}
        assert len(workers(relay)) == 1
        assert report(relay, name)["viewers"] == 1
        first = max(moment for moment, _ in answers)
        later, small = await picture(client, name, f"?after={first}&width=160")
        assert later > first and small.size == (160, 120)
        async with client.head(f"/cameras/{name}/latest.jpg") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        await eventually(lambda: not workers(relay), "its worker has ended")
        assert report(relay, name)["viewers"] == 0


async def test_live_pictures_come_whole_and_later_each_time(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    async with films.film(relay, name):
        await eventually(lambda: report(relay, name)["state"] == "live", "it films")
        async with client.get(f"/cameras/{name}/live.mjpg?fps=20&width=200") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "multipart/x-mixed-replace; boundary=drawercam"
            assert "Transfer-Encoding" not in answer.headers
            assert await answer.content.readline() == b"--drawercam\r\n"
            parts = [await part(answer.content) for _ in range(6)]
        moments = [moment for moment, _ in parts]
        assert moments == sorted(set(moments))
        assert {Image.open(io.BytesIO(data)).size for _, data in parts} == {(200, 150)}
        async with client.head(f"/cameras/{name}/live.mjpg") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
    assert await refused(client, f"/cameras/{name}/live.mjpg") == (404, "unknown-camera")


async def test_who_reads_slowly_gets_fewer_pictures_and_then_those_of_now(
    relay: Relay, name: str
) -> None:
    async with films.film(relay, name) as camera, peer(relay, f"/player/{name}") as viewer:
        await viewer.until(lambda one: one.media, "for the film")
        async with await Raw.open(relay, receive_buffer=4096) as slow:
            request = (
                f"GET /cameras/{name}/live.mjpg?fps=30 HTTP/1.1\r\nHost: {relay.authority}\r\n\r\n"
            )
            await slow.write(request.encode())
            assert await slow.status() == 200
            before = len(viewer.media)
            await viewer.until(
                lambda one: len(one.media) > before + 3 * films.RATE, "for three seconds"
            )
            now = timestamps(viewer)[-1] * 1000
            seen: list[int] = []
            while not seen or seen[-1] < now:
                line = (await slow.reader.readline()).decode(errors="replace")
                if line.startswith(TIME_HEADER):
                    seen.append(int(line.partition(": ")[2]))
            missed = sum(seen[0] <= moment * 1000 <= now for moment in timestamps(viewer)) - len(
                seen
            )
            assert missed > films.RATE, f"{len(seen)} pictures of three seconds have waited for it"
        assert camera.phone.told("pause") == []


async def test_a_worker_that_is_killed_is_replaced(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    async with films.film(relay, name):
        await eventually(lambda: report(relay, name)["state"] == "live", "it films")
        others = workers(relay)
        await picture(client, name)
        (first,) = workers(relay) - others
        os.kill(first, signal.SIGKILL)
        await picture(client, name)
        (second,) = workers(relay) - others
        assert second != first


async def test_a_camera_that_promises_huge_pictures_harms_nobody(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    stream = [written([moment])[1][:27] + huge(16383, 16383) for moment in range(100, 110)]
    # The lengths in front of a frame are those of its Cluster (docs/protocol.md, "Tracks to a
    # player").
    stream = [
        one[:4]
        + (len(one) - 8 | 1 << 28).to_bytes(4, "big")
        + one[8:19]
        + (len(one) - 23 | 1 << 28).to_bytes(4, "big")
        + one[23:]
        for one in stream
    ]
    async with films.film(relay, name), peer(relay, f"/camera/{name}-bomb") as bomb:
        await bomb.send(type="stream", stream=1, mime="video/webm")
        await bomb.send_media(1, [written([0])[0], *stream])
        await eventually(
            lambda: report(relay, f"{name}-bomb")["state"] == "live", "its pictures are passed on"
        )
        asking = asyncio.create_task(picture(client, f"{name}-bomb"))
        await bomb.message("keyframe")  # what came was no picture, so another one is asked for
        _, image = await picture(client, name)
        assert image.size == (films.WIDTH, films.HEIGHT)
        assert not asking.done()
        asking.cancel()
        await film(bomb, VP8)
        assert (await picture(client, f"{name}-bomb"))[1].size == (320, 240), (
            "and when it sends a picture, it is shown"
        )


async def test_what_is_refused(relay: Relay, client: aiohttp.ClientSession, name: str) -> None:
    others = workers(relay)
    for query in (
        "width=0",
        "width=-1",
        "width=99999",
        "width=x",
        "after=-1",
        "after=now",
        "after=1e3",
    ):
        assert await refused(client, f"/cameras/{name}/latest.jpg?{query}") == (
            400,
            "bad-request",
        ), query
    for query in (
        "fps=0",
        "fps=0.09",
        "fps=31",
        "fps=nan",
        "fps=inf",
        "fps=",
        "fps=1_0",
        "fps=1e-9",
        "fps=1e999",
        "width=0",
    ):
        assert await refused(client, f"/cameras/{name}/live.mjpg?{query}") == (
            400,
            "bad-request",
        ), query
    for end in ("latest.jpg", "live.mjpg"):
        assert await refused(client, f"/cameras/UPPER/{end}") == (400, "bad-name")
        assert await refused(client, f"/cameras/{name}/{end}") == (404, "unknown-camera")
        async with peer(relay, f"/player/{name}"):
            assert await refused(client, f"/cameras/{name}/{end}") == (404, "unknown-camera"), (
                "to wait for one makes none"
            )
    async with peer(relay, f"/camera/{name}") as camera:
        await film(camera, VP8)
        await camera.send(type="state", state="paused", reason="background")
        await eventually(lambda: report(relay, name)["state"] == "paused", "its page is hidden")
        async with client.get(f"/cameras/{name}/latest.jpg") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            assert "background" in (await answer.json())["text"]
        camera.connection.transport.abort()
        await eventually(lambda: report(relay, name)["state"] == "gone", "it is gone")
        assert await refused(client, f"/cameras/{name}/live.mjpg") == (404, "unknown-camera")
    assert workers(relay) <= others, "for none of these a worker is started"


async def test_pictures_are_for_who_may_watch_this_camera(tls_relay: Relay, name: str) -> None:
    ring = Keyring.open(tls_relay.state)
    camera, viewer = ring.keys[:2]
    guest = made(ring, watch=Scope(names=frozenset({name})))
    stranger = made(ring, watch=Scope(names=frozenset({"porch"})))
    assert camera.watch == NOTHING
    path = f"/cameras/{name}/latest.jpg"
    async with (
        browser(tls_relay) as program,
        browser(tls_relay, cookie(ring, guest)) as page,
        peer(
            tls_relay, f"/camera/{name}", additional_headers={"Cookie": cookie(ring, camera)}
        ) as filming,
    ):
        await film(filming, VP8)

        async def shown() -> bool:
            async with page.get(path) as answer:
                return answer.status == 200

        await eventually(shown, "the relay knows of the new key")
        assert await refused(program, path) == (401, "no-key")
        assert await refused(program, path, {"Authorization": f"Bearer {camera.secret}"}) == (
            401,
            "no-key",
        )
        assert await refused(program, path, {"Authorization": f"Bearer {stranger.secret}"}) == (
            403,
            "not-allowed",
        )
        assert await refused(program, "/cameras/nobody/latest.jpg") == (401, "no-key"), (
            "it is not told which cameras there are"
        )
        for header in (
            f"Bearer {viewer.secret}",
            "Basic " + base64.b64encode(f"any:{guest.secret}".encode()).decode(),
        ):
            async with asking(program, path, {"Authorization": header}) as answer:
                assert answer.status == 200
        async with program.get(
            f"/cameras/{name}/live.mjpg?fps=30", headers={"Authorization": f"Bearer {guest.secret}"}
        ) as live:
            assert await live.content.readline() == b"--drawercam\r\n"
            await part(live.content)
            ring.revoke(guest.id)
            with pytest.raises(aiohttp.ClientError):
                async with asyncio.timeout(PATIENCE):
                    while await live.content.readany():
                        pass
                raise aiohttp.ClientPayloadError  # an end is an end, whether it was said or not
        assert await refused(page, path) == (401, "no-key")


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "PATIENCE", 0.5)
    async with House() as house, aiohttp.ClientSession(house.origin) as client:
        house.channel.set_track(TRACK)
        async with client.get("/cameras/porch/latest.jpg") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert (await answer.json())["error"] == "no-picture"
        async with client.get("/cameras/porch/latest.jpg?after=5") as answer:
            assert (answer.status, await answer.read(), answer.headers["Cache-Control"]) == (
                204,
                b"",
                "no-store",
            )
        assert await refused(client, "/cameras/porch/live.mjpg") == (503, "no-picture")


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
async def test_who_has_gone_takes_nobodys_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "PATIENCE", 10 * PATIENCE)
    monkeypatch.setattr(desk, "MAX_ASKERS", 1)
    async with House() as house, aiohttp.ClientSession(house.origin) as client:
        house.channel.set_track(TRACK)
        waiting = asyncio.create_task(client.get("/cameras/porch/latest.jpg"))
        await eventually(lambda: house.channel.watching == 1, "somebody waits")
        assert await refused(client, "/cameras/porch/latest.jpg") == (503, "too-many")
        waiting.cancel()

        async def room() -> bool:
            with contextlib.suppress(TimeoutError):  # it waits: so it is let in
                async with asyncio.timeout(0.2):
                    return (await refused(client, "/cameras/porch/latest.jpg"))[1] != "too-many"
            return True

        await eventually(room, "there is room")
        await eventually(
            lambda: house.channel.watching == 0, "nobody is there, and its camera may sleep"
        )


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
async def test_without_the_library_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "available", lambda: False)
    async with House() as house, aiohttp.ClientSession(house.origin) as client:
        for end in ("latest.jpg", "live.mjpg"):
            async with client.get(f"/cameras/porch/{end}") as answer:
                told = await answer.json()
                assert (answer.status, told["error"]) == (501, "no-pictures")
                assert "library av" in told["text"] and "requirements.txt" in told["text"]


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_workers_end_with_the_relay(how: str) -> None:
    with Relay() as relay:
        async with (
            aiohttp.ClientSession(relay.origin) as client,
            peer(relay, "/camera/porch") as camera,
        ):
            await film(camera, VP8)
            await eventually(lambda: report(relay, "porch")["state"] == "live", "it films")
            live = await client.get("/cameras/porch/live.mjpg")
            waiting = asyncio.create_task(
                refused(client, "/cameras/porch/latest.jpg?after=9999999999999")
            )
            await live.content.readline()
            (worker,) = workers(relay)
            if how == "stopped":
                status, seconds = await asyncio.to_thread(relay.stop)
                assert status == 0 and seconds < GOODBYE_BUDGET + PATIENCE
                assert "Traceback" not in relay.output
            else:
                relay.kill()
            await eventually(lambda: not there(worker), "the worker has ended")
            live.close()
            await asyncio.gather(waiting, return_exceptions=True)
