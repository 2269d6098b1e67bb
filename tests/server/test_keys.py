"""Keys when something is short: descriptors, room on the disk, a file that can be read."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from drawercam.access import keys
from drawercam.access.grants import Access
from drawercam.access.key import ALL, NOTHING, Key
from drawercam.access.keys import Keyring
from drawercam.live.hub import Hub
from drawercam.live.relay_clock import RelayClock
from drawercam.server.admission.entrance import Entrance
from drawercam.server.http.site import Site
from drawercam.server.server import Server
from groundwork import state_files as files
from tests.harness.peers import PATIENCE, peer
from tests.harness.relays import ROOT, SUBPROTOCOL, Relay
from tests.server.test_promises import eventually
from tests.server.test_security import browser, cookie, known

# aiohttp would have other names for what the server notes in a request.
pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")


class House:
    """A server in this process, without TLS; its keys go by a clock that a test moves."""

    def __init__(self, folder: Path) -> None:
        self.seconds = 1000.0
        self.file = folder / "keys.json"
        self.lock = folder / files.STATE_LOCK
        self.ring = Keyring.open(folder, monotonic=lambda: self.seconds)
        self.access = Access(self.ring, ["localhost"])
        pages = ["http://localhost/"]
        self.site = Site(
            hub=Hub(RelayClock()),
            entrance=Entrance(self.access),
            root=ROOT,
            authority=lambda: b"",
            camera_urls=lambda: pages,
            player_urls=lambda: pages,
        )
        self.server = Server(self.site)
        self.port = 0

    def cookie(self, *held: Key) -> str:
        return "; ".join(
            f"{self.access.cookie_name(key)}={self.ring.token(key, keys.COOKIE)}" for key in held
        )

    async def waits(self) -> bool:
        return self.ring._unread_since is not None

    async def opens(self) -> bool:
        return not self.ring.closed

    async def settles(self) -> bool:
        return not self.ring.unwritten

    def client(self, **headers: str) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            f"http://localhost:{self.port}", headers=headers, cookie_jar=aiohttp.DummyCookieJar()
        )

    @asynccontextmanager
    async def wall(self, cookie: str) -> AsyncIterator[ClientConnection]:
        url = f"ws://localhost:{self.port}/wall"
        async with connect(
            url, subprotocols=[Subprotocol(SUBPROTOCOL)], additional_headers={"Cookie": cookie}
        ) as one:
            await asyncio.wait_for(one.recv(), PATIENCE)
            yield one


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    one = House(tmp_path)
    one.port = await one.server.start(["127.0.0.1"], 0, None)
    yield one
    await one.server.stop()


async def code_of(wall: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed):
        while True:
            await asyncio.wait_for(wall.recv(), PATIENCE)
    assert wall.close_code is not None
    return wall.close_code


async def error(answer: aiohttp.ClientResponse) -> tuple[int, str]:
    return answer.status, (await answer.json())["error"]


async def test_while_the_keys_cannot_be_read_nobody_gets_in_and_nobody_is_told_that_a_key_is_wrong(
    house: House,
) -> None:
    viewer = house.ring.keys[1]
    held, content = house.cookie(viewer), house.file.read_bytes()
    program = {"Authorization": f"Bearer {viewer.secret}"}
    async with (
        house.client(Cookie=held) as page,
        house.client() as nobody,
        house.wall(held) as wall,
    ):
        house.file.write_text("half a fi")
        await eventually(house.waits, "the relay has looked")
        async with page.get("/api/cameras") as answer:
            assert answer.status == 200, "for a minute the keys stay as they were"
        house.seconds += keys.UNREAD_PATIENCE
        assert await code_of(wall) == 4008
        for path in ("/api/cameras", "/api/session"):
            async with page.get(path) as answer:
                assert await error(answer) == (503, "keys-unread") and answer.headers["Retry-After"]
        async with nobody.get("/metrics", headers=program) as answer:
            assert await error(answer) == (503, "keys-unread")
        async with nobody.post("/api/session", json={"key": viewer.secret}) as answer:
            assert await error(answer) == (503, "keys-unread")
        with pytest.raises(InvalidStatus) as refused:
            async with house.wall(held):
                pass
        assert refused.value.response.status_code == 503
        async with page.get("/player.html") as answer:
            assert answer.status == 200
        house.file.write_bytes(content)
        await eventually(house.opens, "it is read again")
        async with nobody.get("/metrics", headers=program) as answer:
            assert answer.status == 200
        async with house.wall(held):
            pass
    assert house.site.entrance.wrong_keys.count == 0


async def test_what_cannot_be_written_down_is_revoked_all_the_same_and_the_answer_says_what_that_means(
    house: House,
) -> None:
    guest = house.ring.add(NOTHING, ALL)
    house.ring.refresh()
    manager, held = house.cookie(*house.ring.keys[:2]), house.cookie(guest)
    house.lock.rename(house.lock.with_suffix(".aside"))
    house.lock.mkdir()  # which nobody can open for writing, root neither
    async with (
        house.client(Cookie=manager) as one,
        house.client(Cookie=held) as other,
        house.wall(held) as wall,
    ):
        for _ in range(2):  # to ask again is to try again
            async with one.delete(f"/api/keys/{guest.id}") as answer:
                assert (
                    await error(answer) == (507, "not-written")
                    and "returns when it is restarted" in (await answer.json())["text"]
                )
        async with other.get("/api/cameras") as answer:
            assert answer.status == 401
        assert await code_of(wall) == 4006
        async with one.post("/api/keys", json={"watch": "all"}) as answer:
            assert await error(answer) == (507, "not-written")
        async with one.delete("/api/keys/nothing") as answer:
            assert await error(answer) == (404, "unknown-key")
        assert guest.id in house.file.read_text()
        house.lock.rmdir()
        house.seconds += keys.SETTLE_INTERVAL
        await eventually(house.settles, "it is written down")
        assert guest.id not in house.file.read_text()


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Relay]:
    """A relay with TLS whose descriptors a test takes away."""
    with Relay("--tls", "--host", "127.0.0.1", state=tmp_path) as relay:
        yield relay
        assert relay.alive and "Traceback" not in relay.output, relay.output


def open_in(relay: Relay) -> list[int]:
    return [int(path.name) for path in Path(f"/proc/{relay.pid}/fd").iterdir()]


@pytest.mark.skipif(
    not sys.platform.startswith("linux"),
    reason="the limit of another process can be set on Linux only",
)
async def test_a_revocation_reaches_a_relay_without_descriptors(crowded: Relay) -> None:
    relay, ring = crowded, Keyring.open(crowded.state)
    first, second = (ring.add(NOTHING, ALL) for _ in range(2))
    await known(relay, cookie(ring, second))
    one, other = ({"additional_headers": {"Cookie": cookie(ring, key)}} for key in (first, second))
    async with (
        browser(relay, cookie(ring, *ring.keys[:2])) as manager,
        peer(relay, "/wall", **one) as spy,
        peer(relay, "/wall", **other) as guest,
    ):
        async with manager.get("/api/keys") as answer:
            assert answer.status == 200
        # From now on it gets only what it closes itself; and whoever connects takes that.
        places = max(open_in(relay)) + 1
        resource.prlimit(relay.pid, resource.RLIMIT_NOFILE, (places, places))
        crowd = [socket.create_connection(("127.0.0.1", relay.port)) for _ in range(40)]
        try:

            async def full() -> bool:
                return relay.open_files == places

            await eventually(full, "there is no descriptor left")
            ring.revoke(first.id)
            assert await spy.closed() == 4006
            async with manager.delete(f"/api/keys/{second.id}") as answer:
                assert answer.status == 200
            assert await guest.closed() == 4006
            stored = json.loads((relay.state / "keys.json").read_text())["keys"]
            assert [key["id"] for key in stored] == ["camera", "viewer"]
        finally:
            for connection in crowd:
                connection.close()
