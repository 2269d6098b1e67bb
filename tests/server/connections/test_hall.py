"""Many who come at the same moment, or stay: who makes room for whom.

Real relays and real connections.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from pathlib import Path

import pytest

from drawercam.access.grants import Access
from drawercam.access.keys import Keyring
from drawercam.server.server import Server
from groundwork.connections import limits
from tests.harness.peers import PATIENCE, Raw, handshake
from tests.harness.relays import Relay
from tests.server.http.cameras.test_live_file import House
from tests.server.test_promises import eventually
from tests.server.test_security import cookie, site

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")


async def asks(port: int) -> bytes:
    """What somebody gets who comes and asks at once; nothing if there is no room."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return b""
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_who_goes_away_amid_a_handshake_is_no_news(tls_relay: Relay) -> None:
    """Phones that do not trust the certificate, checks whether the port is open, and programs that
    speak no TLS.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    said = tls_relay.output
    for begin in (b"", hello[:100], hello, b"GET / HTTP/1.0\r\n\r\n"):
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", tls_relay.port)
            writer.write(begin)
            writer.write_eof()
            await reader.read()  # up to its end: the relay has noticed
            writer.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("localhost", tls_relay.port, ssl=ssl.create_default_context())
    async with await Raw.open(tls_relay) as raw:
        assert await raw.request(tls_relay, "/nothing") == 404
    await eventually(
        lambda: "nothing at this address" in tls_relay.output, "it says what it has to say"
    )
    # The last line feed of its first words may come late.
    news = [line for line in tls_relay.output.removeprefix(said).splitlines() if line]
    assert len(news) == 1, news


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the system gives 64 files: 8 places for pages, 6 of one address; 6 for sockets; and
    two for those that are turned away.
    """
    monkeypatch.setattr(limits, "make_room", lambda wanted: 63)


class Keyed(House):
    """A house with keys."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.ring = Keyring.open(folder)
        self.server = Server(site(Access(self.ring)))
        self.channel = self.server._hub.channel("porch")

    async def __aenter__(self) -> Keyed:
        await super().__aenter__()
        return self


class Browser:
    """One connection for pages."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def come(cls, house: House, source: str = "127.0.0.2") -> Browser:
        return cls(*await asyncio.open_connection("127.0.0.1", house.port, local_addr=(source, 0)))

    async def ask(self, path: str = "/healthz", cookie: str = "") -> tuple[int, bytes]:
        """The status and the body; 0 where it is cut off."""
        more = f"Cookie: {cookie}\r\n" if cookie else ""
        try:
            async with asyncio.timeout(PATIENCE):
                self._writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode())
                head = await self._reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"Content-Length: (\d+)", head)
                return int(head.split(b" ", 2)[1]), await self._reader.readexactly(
                    int(size[1])
                ) if size else b""
        except (ConnectionError, asyncio.IncompleteReadError):
            return 0, b""

    def leave(self) -> None:
        self._writer.transport.abort()


@pytest.mark.usefixtures("few")
async def test_a_crowd_is_served_or_displaced_and_nobody_is_forgotten() -> None:
    async with House() as house, asyncio.timeout(PATIENCE):
        for _ in range(3):
            answers = await asyncio.gather(*(asks(house.port) for _ in range(100)))
            assert any(answer.endswith(b"ok\n") for answer in answers)
            assert not all(answers), "there is no room for all at once"
        assert (await asks(house.port)).endswith(b"ok\n")
        await eventually(lambda: not house.server.hall.lobby.total, "all have gone")
        assert not house.server._doors and not house.server.hall._seats


@pytest.mark.usefixtures("few")
async def test_pages_without_a_right_make_room_and_one_that_has_shown_its_key_stays(
    tmp_path: Path,
) -> None:
    async with Keyed(tmp_path) as house:
        mine = cookie(house.ring, house.ring.keys[1])
        friend = await Browser.come(house)
        assert (await friend.ask("/api/session", mine))[0] == 200
        strangers = []
        for number in range(6):
            strangers.append(await Browser.come(house))
            assert (await strangers[-1].ask())[0] == 200, number
        assert (await strangers[0].ask(), await friend.ask()) == ((0, b""), (200, b"ok\n")), (
            "the oldest that has shown nothing went"
        )
        other = await Browser.come(house, "127.0.0.3")
        assert (await other.ask())[0] == (await strangers[1].ask())[0] == 200, (
            "it takes nobody's place"
        )
        for one in (friend, other, *strangers):
            one.leave()


@pytest.mark.usefixtures("few")
async def test_where_a_whole_share_has_shown_a_right_a_newcomer_is_told(tmp_path: Path) -> None:
    async with Keyed(tmp_path) as house:
        mine = cookie(house.ring, house.ring.keys[1])
        friends = [await Browser.come(house) for _ in range(6)]
        for one in friends:
            assert (await one.ask("/api/cameras", mine))[0] == 200
        for _ in range(3):
            late = await Browser.come(house)
            status, body = await late.ask("/api/session", mine)
            assert status == 503 and json.loads(body) == {
                "error": "too-many",
                "text": "There are too many connections.",
            }
            assert (await late.ask())[0] == 0
            late.leave()
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", house.port, local_addr=("127.0.0.2", 0)
        )
        writer.write(handshake("/wall", f"127.0.0.1:{house.port}", f"Cookie: {mine}"))
        assert (await asyncio.wait_for(reader.read(), PATIENCE)).startswith(b"HTTP/1.1 503 ")
        writer.close()
        elsewhere = await Browser.come(house, "127.0.0.3")
        assert (await elsewhere.ask("/api/cameras", mine))[0] == 200
        assert {(await one.ask("/api/cameras", mine))[0] for one in friends} == {200}, (
            "none of them has noticed"
        )
        assert house.server.refusals.counted["too-many"] == 4
        for one in (*friends, elsewhere):
            one.leave()


@pytest.mark.usefixtures("few")
async def test_sockets_and_files_of_a_camera_take_no_places_of_pages() -> None:
    """Without keys, no visitor shows a right; what is let in stays all the same."""
    async with House() as house:
        house.picture(True)
        walls = []
        for _ in range(2):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", house.port, local_addr=("127.0.0.2", 0)
            )
            writer.write(handshake("/wall", f"127.0.0.1:{house.port}"))
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).startswith(
                b"HTTP/1.1 101 "
            )
            walls.append((reader, writer))
        reading = await Browser.come(house)
        reading._writer.write(b"GET /cameras/porch/live.webm HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await eventually(lambda: house.server._entrance.book.sockets.total == 3, "it is read")
        assert house.server.hall.lobby.total == 3
        pages = []
        for number in range(7):
            pages.append(await Browser.come(house))
            assert (await pages[-1].ask())[0] == 200, number
        assert [(await one.ask())[0] for one in pages] == [0, *[200] * 6]
        refused = await Browser.come(house)
        assert (await refused.ask("/cameras/nobody/latest.jpg"))[0] == 404
        assert house.server.hall.lobby.total == 9 and house.server._entrance.book.sockets.total == 3
        assert not any(reader.at_eof() for reader, _ in walls) and not reading._reader.at_eof()
        for one in (*pages, refused, reading):
            one.leave()
        for _, writer in walls:
            writer.transport.abort()
        await eventually(lambda: not house.server.hall.lobby.total, "all have gone")


@pytest.mark.usefixtures("few")
async def test_a_request_that_was_a_cameras_goes_when_there_is_no_place_for_its_connection(
    tmp_path: Path,
) -> None:
    async with Keyed(tmp_path) as house:
        mine = cookie(house.ring, house.ring.keys[1])
        asking = await Browser.come(house)
        answer = asyncio.create_task(asking.ask("/cameras/porch/latest.jpg", mine))
        await eventually(
            lambda: house.server._entrance.book.sockets.total == 1, "it waits for a picture"
        )
        friends = [await Browser.come(house) for _ in range(6)]
        for one in friends:
            assert (await one.ask("/api/cameras", mine))[0] == 200
        house.channel.leave(house.camera, "left")
        assert (await answer)[0] in (404, 503)
        assert (await asking.ask())[0] == 0, "its place was given to another"
        assert {(await one.ask("/api/cameras", mine))[0] for one in friends} == {200}
        for one in (*friends, asking):
            one.leave()
