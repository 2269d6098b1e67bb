"""What docs/security.md promises, with a real relay and somebody who tries."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.typing import Origin, Subprotocol
from yarl import URL

from drawercam.access.grants import MAX_STALE, Access, Grant, Right
from drawercam.access.key import ALL, NOTHING, Key, Scope
from drawercam.access.keys import Keyring
from drawercam.live.hub import Hub
from drawercam.server.admission.entrance import Entrance
from drawercam.server.admission.routes import REQUESTS, SOCKETS, Route
from drawercam.server.admission.visitors import Admission, Book, RequestVisit
from drawercam.server.http.api import _code
from drawercam.server.http.application import application
from drawercam.server.http.headers import HEADERS
from drawercam.server.http.refusals import Refusals
from drawercam.server.http.site import Site
from drawercam.server.server import Server
from drawercam.server.sockets.visits import SocketVisit
from groundwork.connections import limits
from groundwork.connections.limits import GUESSES_AT_ONCE
from groundwork.connections.scheduler import Scheduler
from groundwork.denied import Denied
from ip_registry import secret
from ip_registry.registry import Registry
from ip_registry.routes import ROUTES
from tests.harness.peers import ATTEMPTS, PATIENCE, Raw, handshake, peer
from tests.harness.relays import ROOT, SUBPROTOCOL, Relay
from tests.live.test_channel import Clock
from tests.server.test_media import VP8, film, frames
from tests.server.test_promises import _NAMED, _tests_in, eventually

PORCH = Scope(names=frozenset({"porch"}))
REGISTRY = "http://127.0.0.1:9"  # nobody is there
FOREIGN = "https://evil.example"

# The page of a relay that has moved: another site, as the browser sees it.
FORMER = "https://127.0.0.9:8443"


@pytest.fixture(scope="module")
def house() -> Iterator[Relay]:
    """A relay with keys, and with a registry, so that there are tickets.

    It says all that it ever says.
    """
    with tempfile.TemporaryDirectory() as folder:
        secret.load_or_create(Path(folder) / secret.FILE)
        with Relay(
            "--tls",
            "--host",
            "127.0.0.1",
            "--registry",
            REGISTRY,
            "--log-level",
            "debug",
            state=Path(folder),
        ) as one:
            yield one
            assert one.alive and "Traceback" not in one.output, one.output


@pytest.fixture
def ring(house: Relay) -> Keyring:
    """The relay's keys, from another process."""
    return Keyring.open(house.state)


def cookie(ring: Keyring, *keys: Key) -> str:
    ring.refresh()
    access = Access(ring)
    return "; ".join(f"{access.cookie_name(key)}={ring.token(key, 'cookie')}" for key in keys)


def made(
    ring: Keyring, publish: Scope = NOTHING, watch: Scope = NOTHING, lasts: int | None = None
) -> Key:
    key = ring.add(publish, watch, lasts)
    ring.refresh()
    return key


@asynccontextmanager
async def browser(
    relay: Relay, cookie: str = "", **headers: str
) -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody with these cookies, on the relay's own pages."""
    own = {"Cookie": cookie} if cookie else {}
    connector = aiohttp.TCPConnector(ssl=relay.context or True)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(
        relay.origin,
        connector=connector,
        headers={"Origin": relay.origin} | own | headers,
        cookie_jar=jar,
    ) as one:
        yield one


async def status(
    relay: Relay, path: str, cookie: str, *extra: str, host: str = ""
) -> tuple[int, str]:
    """What a handshake is answered: status, and id of the error."""
    async with await Raw.open(relay) as raw:
        code = await raw.request(relay, path, f"Cookie: {cookie}", *extra, host=host)
        return code, "" if code == 101 else str((await raw.body())["error"])


@asynccontextmanager
async def asking(
    client: aiohttp.ClientSession, path: str, headers: dict[str, str] | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Ask for a picture.

    A page that is told that there is none yet asks again when it may: a busy computer needs long
    for one.
    """
    for _ in range(ATTEMPTS):
        async with client.get(path, headers=headers or {}) as answer:
            if answer.status == 503 and (await answer.json())["error"] == "no-picture":
                await asyncio.sleep(int(answer.headers["Retry-After"]))
                continue
            yield answer
            return
    raise AssertionError("there was no picture, each time")


async def knows(house: Relay, cookie: str) -> bool:
    """Whether the relay has noticed the keys of this cookie."""
    async with browser(house, cookie) as one, one.get("/api/session") as answer:
        session = await answer.json()
        return bool(session["camera"] or session["viewer"])


async def known(house: Relay, cookie: str) -> None:
    """Wait until it has."""
    await eventually(partial(knows, house, cookie), "the relay knows a new key")


def filled(route: Route, name: str = "porch") -> str:
    """A path that fits a route."""
    parts = {
        "name": name,
        "file": "guard.js",
        "id": "nothing",
        "path": "wall",
        "page": "camera.html",
    }
    return re.sub(r"\{(\w+)[^}]*\}", lambda part: parts[part[1]], route.path)


# --- one dispatcher, closed by default ---


def site(access: Access, registry: Registry | None = None) -> Site:
    return Site(
        Hub(Clock()),
        Entrance(access, tls=True),
        ROOT,
        authority=lambda: b"",
        camera_urls=lambda: ["https://localhost/camera.html"],
        player_urls=lambda: ["https://localhost/player.html"],
        served_registry=registry,
    )


def test_every_handler_has_a_row_and_every_row_a_handler(tmp_path: Path) -> None:
    app = Server(site(Access(None), Registry(tmp_path, "s" * 32)))._runner.app
    assert app is not None
    registered = {
        (one.method, one.resource.canonical)
        for one in app.router.routes()
        if one.resource and one.method != "HEAD"
    }
    assert registered == {(row.method, row.canonical) for row in REQUESTS}


async def test_a_handler_without_a_row_cannot_be_reached() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(text="a secret")

    app = application(
        site(Access(None, ["localhost"])),
        Refusals(lambda client: {}),
        Scheduler(asyncio.get_running_loop().call_soon).share,
    )
    app.router.add_get("/forgotten", handler)
    app.router.add_post("/api/cameras", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with aiohttp.ClientSession(f"http://localhost:{port}") as client:
            for method, path in (
                ("GET", "/forgotten"),
                ("POST", "/api/cameras"),
                ("HEAD", "/forgotten"),
            ):
                async with client.request(method, path) as answer:
                    assert answer.status == 404 and b"a secret" not in await answer.read()
    finally:
        await runner.cleanup()


async def test_without_a_key_every_route_but_the_open_ones_is_401(house: Relay) -> None:
    pages = {"/", "/camera.html", "/player.html", "/keys.html", "/web/{file:.+}"}
    open_ones = {*pages, "/healthz", "/ca.crt", "/api/session", "/over-http/{id}"}
    assert {
        row.path for row in REQUESTS if row.right is Right.ANYBODY and row.method != "OPTIONS"
    } == open_ones | {path for _, path in ROUTES}
    async with browser(house) as nobody:
        for row in REQUESTS:
            if row.right is not Right.ANYBODY:
                async with nobody.request(row.method, filled(row)) as answer:
                    assert (answer.status, (await answer.json())["error"]) == (401, "no-key"), row
    for row in SOCKETS:
        assert await status(house, filled(row), "") == (401, "no-key"), row


async def test_nothing_changes_state_by_get(house: Relay, ring: Keyring) -> None:
    everything = cookie(ring, *ring.keys[:2])
    file = house.state / "keys.json"
    before = file.read_bytes()
    async with browser(house, everything) as one:
        for row in REQUESTS:
            for method in ("GET", "HEAD"):
                async with one.request(method, filled(row), allow_redirects=False) as answer:
                    assert answer.status in (200, 302, 404, 405), row
                    assert "Set-Cookie" not in answer.headers, row
        async with one.get("/api/cameras") as answer:
            assert await answer.json() == []
    assert file.read_bytes() == before


# --- names and paths ---

TRICKS = [
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "%2Fetc%2Fpasswd",
    "/etc/passwd",
    "a%00",
    "%00",
    "a%0d%0aX:y",
    "a/../b",
    "%252e%252e",
    "a;b",
    "a\\..",
    "é",
]


@pytest.mark.parametrize("trick", TRICKS)
async def test_tricks_with_paths_reach_nothing(house: Relay, ring: Keyring, trick: str) -> None:
    everything = cookie(ring, *ring.keys[:2])
    for path in ("/camera/", "/player/"):
        assert await status(house, path + trick.encode("ascii", "ignore").decode(), everything) in [
            (400, "bad-name"),
            (404, "unknown-path"),
        ]
    async with browser(house, everything) as one:
        for path in ("/web/", "/over-http/camera/", "/api/keys/"):
            method = {"/over-http/camera/": "POST", "/api/keys/": "DELETE"}.get(path, "GET")
            async with one.request(
                method, URL(path + trick, encoded=True), allow_redirects=False
            ) as answer:
                assert answer.status in (302, 400, 403, 404, 405), (
                    path
                )  # 302: aiohttp's client takes /web/.. for /
                assert b"root:" not in await answer.read()
        async with one.post("/api/keys", json={"watch": [trick]}) as answer:
            assert answer.status == 400


# --- other sites ---


async def test_a_page_of_another_site_opens_no_socket_and_changes_nothing(
    house: Relay, ring: Keyring
) -> None:
    everything = cookie(ring, *ring.keys[:2])
    before = (house.state / "keys.json").read_bytes()
    for origin in (
        FOREIGN,
        "null",
        house.origin.replace("https", "http"),
        f"{house.origin}.evil.example",
        f"https://localhost:{house.port + 1}",
    ):
        for row in SOCKETS:
            assert await status(house, filled(row), everything, f"Origin: {origin}") == (
                403,
                "foreign-origin",
            )
        async with browser(house, everything, Origin=origin) as one:
            for row in REQUESTS:
                if row.method != "GET":
                    async with one.request(
                        row.method, filled(row), json={"watch": "all"}
                    ) as answer:
                        assert (answer.status, (await answer.json())["error"]) == (
                            403,
                            "foreign-origin",
                        ), row
            async with one.get("/api/session") as answer:
                assert "Access-Control-Allow-Origin" not in answer.headers
    assert (house.state / "keys.json").read_bytes() == before


async def test_a_name_or_an_address_that_is_not_the_relays_gets_nothing(
    house: Relay, ring: Keyring
) -> None:
    everything = cookie(ring, *ring.keys[:2])
    for host in ("evil.example", f"evil.example:{house.port}", f"203.0.113.7:{house.port}", ""):
        for row in SOCKETS:
            assert await status(house, filled(row), everything, host=host or " ") == (
                421,
                "unknown-host",
            )
        async with browser(house, everything, Host=host) as one:
            for row in REQUESTS:
                async with one.request(row.method, filled(row)) as answer:
                    assert answer.status == 421, row


async def test_what_a_browser_shows_by_itself_wakes_no_camera_for_another_site(
    house: Relay, ring: Keyring
) -> None:
    """A page of another site has an image of a camera, and the browser remembers a password, or
    sends a cookie to another port.
    """
    everything = cookie(ring, *ring.keys[:2])
    for_programs = [row for row in REQUESTS if row.programs and row.method == "GET"]
    assert len(for_programs) > 4
    right, wrong = (
        base64.b64encode(f"x:{key}".encode()).decode()
        for key in (ring.keys[1].secret, "aaaa-bbbb-cccc-dddd")
    )
    async with browser(house) as page, browser(house, everything) as manager:

        async def asked(row: Route, **headers: str) -> tuple[int, str]:
            async with (manager if "Cookie" in headers else page).get(
                filled(row, "asleep"), headers=headers
            ) as answer:
                return answer.status, "" if answer.status == 200 else (await answer.json())["error"]

        async with manager.get("/api/keys") as answer:
            guesses = (await answer.json())["wrongKeys"]
        for row in for_programs:
            there = (200, "") if row.path == "/metrics" else (404, "unknown-camera")
            for site in ("cross-site", "same-site", "Same-Origin", ""):
                foreign = {"Sec-Fetch-Site": site}
                bearer = {"Authorization": f"Bearer {ring.keys[1].secret}"}
                for shown in (
                    {"Authorization": f"Basic {right}"},
                    {"Authorization": f"basic {wrong}"},
                    {"Cookie": everything},
                    bearer,
                    {},
                ):
                    assert await asked(row, **foreign, **shown) == (403, "foreign-origin"), (
                        row,
                        site,
                    )
            for own in ({}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin"}):
                for shown in ({"Authorization": f"Basic {right}"}, {"Cookie": everything}):
                    assert await asked(row, **own, **shown) == there, (row, own)
        async with manager.get("/api/keys") as answer:
            assert (await answer.json())["wrongKeys"] == guesses, (
                "nor can it have an address slowed down"
            )


async def test_a_good_cookie_is_found_in_whatever_line_and_odd_ones_are_no_fault(
    house: Relay, ring: Keyring
) -> None:
    held = cookie(ring, ring.keys[1])
    name = held.partition("=")[0]
    lines = [f"{name}{number}=junk; {name}/{number}=odd" for number in range(30)]
    async with await Raw.open(house) as raw:
        head = [
            f"GET /api/cameras HTTP/1.1\r\nHost: {house.authority}",
            *(f"Cookie: {line}" for line in (*lines, held)),
            "\r\n",
        ]
        await raw.write("\r\n".join(head).encode())
        assert await raw.status() == 200
    async with (
        browser(house, "; ".join([*lines, held])) as one,
        one.post("/api/session", json={"key": ring.keys[0].secret}) as answer,
    ):
        assert answer.status == 200
        taken_back = [line for line in answer.headers.getall("Set-Cookie") if "Max-Age=0" in line]
        assert len(taken_back) == MAX_STALE and not any(
            line.startswith(f"{name}=") for line in taken_back
        )


# --- keys ---


async def test_bytes_of_a_camera_that_was_refused_reach_nobody(
    house: Relay, ring: Keyring, name: str
) -> None:
    """It does not wait for the answer: handshake and pictures come in one piece."""
    everything = cookie(ring, *ring.keys[:2])
    garden = made(ring, publish=Scope(names=frozenset({"garden"})))
    await known(house, cookie(ring, garden))
    pieces = [
        Frame(Opcode.TEXT, b'{"type": "stream", "stream": 1, "mime": ""}'),
        Frame(Opcode.BINARY, b"\x01" + VP8),
    ]
    sent = b"".join(piece.serialize(mask=True, extensions=[]) for piece in pieces)
    async with peer(house, f"/player/{name}", additional_headers={"Cookie": everything}) as viewer:
        for held, answer in (
            ("", 401),
            (cookie(ring, ring.keys[1]), 401),
            (cookie(ring, garden), 403),
        ):
            async with await Raw.open(house) as raw:
                await raw.write(
                    handshake(f"/camera/{name}", house.authority, f"Cookie: {held}") + sent
                )
                assert await raw.status() == answer
                await raw.ended()
        await viewer.settled()
        assert not viewer.media and {one["state"] for one in viewer.told("state")} == {"waiting"}
        async with peer(
            house, f"/camera/{name}", additional_headers={"Cookie": everything}
        ) as camera:
            await film(camera, VP8)
            await viewer.until(frames)


async def test_a_key_for_one_camera_shows_nothing_of_the_others(
    house: Relay, ring: Keyring
) -> None:
    everything, porch = cookie(ring, *ring.keys[:2]), made(ring, watch=PORCH)
    mine = cookie(ring, porch)
    await known(house, mine)
    head = {"additional_headers": {"Cookie": everything}}
    async with (
        peer(house, "/camera/porch", **head) as one,
        peer(house, "/camera/attic", **head) as other,
    ):
        await one.message("welcome")
        await other.message("welcome")
        async with (
            peer(house, "/wall", additional_headers={"Cookie": mine}) as wall,
            browser(house, mine) as client,
        ):
            listed = await wall.message("cameras")
            assert [camera["name"] for camera in listed["cameras"]] == ["porch"]
            async with client.get("/api/cameras") as answer:
                assert [camera["name"] for camera in await answer.json()] == ["porch"]
            async with client.get("/api/invite") as answer:
                assert (await answer.json())["withKey"] is False
            async with client.get("/api/session") as answer:
                session = await answer.json()
                assert (session["watch"], session["publish"], session["manage"]) == (
                    ["porch"],
                    [],
                    False,
                )
            await film(other, VP8)
            await film(one, VP8)
            await wall.until(
                lambda peer: any(
                    camera["state"] == "live"
                    for told in peer.told("cameras")
                    for camera in told["cameras"]
                )
            )
            assert all(
                camera["name"] == "porch"
                for told in wall.told("cameras")
                for camera in told["cameras"]
            )
        assert (
            await status(house, "/player/attic", mine)
            == await status(house, "/player/nowhere", mine)
            == (403, "not-allowed")
        )
        assert await status(house, "/camera/porch", mine) == (401, "no-key")
        async with peer(house, "/player/porch", additional_headers={"Cookie": mine}) as viewer:
            await viewer.until(frames)
        # The same over HTTP instead of a WebSocket.
        async with (
            browser(house, mine, **{"Drawercam-Protocol": SUBPROTOCOL}) as client,
            client.post("/over-http/player/attic") as answer,
        ):
            assert answer.status == 403


async def test_who_may_film_may_not_watch(house: Relay, ring: Keyring) -> None:
    mine = cookie(ring, ring.keys[0])
    assert (
        await status(house, "/player/porch", mine)
        == await status(house, "/wall", mine)
        == (401, "no-key")
    )
    async with browser(house, mine) as one:
        for path in ("/api/cameras", "/api/invite", "/api/invite.svg"):
            async with one.get(path) as answer:
                assert answer.status == 401


async def test_a_revoked_key_ends_its_connections_and_no_others(
    house: Relay, ring: Keyring
) -> None:
    key, kept = made(ring, PORCH, PORCH), cookie(ring, *ring.keys[:2])
    mine = cookie(ring, key)
    await known(house, mine)
    head = {"additional_headers": {"Cookie": mine}}
    async with (
        peer(house, "/player/porch", additional_headers={"Cookie": kept}) as other,
        peer(house, "/camera/porch", **head) as camera,
        peer(house, "/player/porch", **head) as player,
        peer(house, "/wall", **head) as wall,
        browser(house, mine, **{"Drawercam-Protocol": SUBPROTOCOL}) as client,
        client.post("/over-http/player/porch") as stream,
    ):
        assert stream.status == 200
        for one in (other, camera, player, wall):
            await one.message("welcome")
        ring.revoke(key.id)
        for one in (camera, player, wall):
            assert await one.closed() == 4006
            assert one.told("error")[-1]["id"] == "revoked"
        async with asyncio.timeout(PATIENCE):
            assert b"revoked" in await stream.content.read()
        await other.message("state", state="gone")
        await other.settled()
        assert other.code is None
        async with client.get("/api/cameras") as answer:
            assert answer.status == 401, "the cookie is looked at with every request"
    for path in ("/camera/porch", "/player/porch", "/wall"):
        assert await status(house, path, mine) == (401, "no-key")


async def test_a_key_that_ends_takes_its_connections_with_it(house: Relay, ring: Keyring) -> None:
    codes: list[int | None] = []
    for lasts in (
        4,
        8,
        12,
    ):  # on a busy computer it may be over before somebody has come in with it
        key = made(ring, watch=PORCH, lasts=lasts)
        assert key.expires is not None
        while time.time() < key.expires and not await knows(house, cookie(ring, key)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        with contextlib.suppress(InvalidStatus):
            async with peer(
                house, "/player/porch", additional_headers={"Cookie": cookie(ring, key)}
            ) as viewer:
                codes.append(await viewer.closed())
                assert time.time() >= key.expires
        if codes:
            break
    assert codes == [4006]


class Abortable:
    aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_a_request_that_is_being_answered_ends_with_its_key(tmp_path: Any) -> None:
    ring = Keyring.open(tmp_path)
    access, book, transports = Access(ring), Book(), [Abortable(), Abortable()]
    keys = [made(ring, watch=PORCH), made(ring, watch=PORCH)]
    for key, transport in zip(keys, transports, strict=True):
        book.enter(RequestVisit(Admission(Grant.of([key]), Right.WATCH, "porch"), transport))  # type: ignore[arg-type]
    ring.revoke(keys[0].id)
    ring.refresh()
    assert book.dismiss(access) == 1
    assert [transport.aborted for transport in transports] == [True, False]


def test_who_keeps_only_some_of_the_keys_does_not_go_on_with_the_list_of_all(tmp_path: Any) -> None:
    ring = Keyring.open(tmp_path)
    access = Access(ring)
    one, two = made(ring, watch=PORCH), made(ring, watch=Scope(names=frozenset({"garden"})))
    admitted = {
        right: Admission(Grant.of([one, two]), right, "porch")
        for right in (Right.WATCH, Right.WATCH_SOME)
    }
    ring.revoke(two.id)
    ring.refresh()
    assert admitted[Right.WATCH].stands(access) and not admitted[Right.WATCH_SOME].stands(access)


async def test_managing_is_for_who_may_do_everything_and_shows_no_secret(
    house: Relay, ring: Keyring
) -> None:
    camera, viewer = ring.keys[:2]
    for keys in ([camera], [viewer], [made(ring, PORCH, ALL)]):
        held = cookie(ring, *keys)
        await known(house, held)
        async with browser(house, held) as one:
            for method, path in (
                ("GET", "/api/keys"),
                ("POST", "/api/keys"),
                ("DELETE", "/api/keys/viewer"),
            ):
                async with one.request(method, path, json={"watch": "all"}) as answer:
                    assert (answer.status, (await answer.json())["error"]) == (403, "not-allowed")
    async with browser(house, cookie(ring, camera, viewer)) as manager:
        async with manager.post(
            "/api/keys", json={"watch": ["porch"], "expires": "7d", "label": "Anna"}
        ) as answer:
            assert answer.status == 201
            new = await answer.json()
        assert new["links"] == {
            "player": f"https://localhost:{house.port}/player.html?camera=porch#key={new['key']}"
        }
        async with manager.get("/api/keys") as answer:
            text = await answer.text()
        listed = {key["id"]: key for key in json.loads(text)["keys"]}
        assert (
            listed[new["id"]]["watch"] == ["porch"]
            and listed[new["id"]]["label"] == "Anna"
            and not listed[new["id"]]["over"]
        )
        ring.refresh()
        assert not any(key.secret in text or ring.token(key, "cookie") in text for key in ring.keys)
        async with (
            browser(house) as anna,
            anna.post("/api/session", json={"key": new["key"]}) as answer,
        ):
            assert (await answer.json())["watch"] == ["porch"]
        async with manager.delete(f"/api/keys/{new['id']}") as answer:
            assert answer.status == 200
        async with manager.delete(f"/api/keys/{new['id']}") as answer:
            assert answer.status == 404
        async with (
            browser(house) as anna,
            anna.post("/api/session", json={"key": new["key"]}) as answer,
        ):
            assert answer.status == 401
        bodies: list[Any] = [
            {},
            [],
            {"watch": "porch"},
            {"watch": []},
            {"watch": ["a"] * 60},
            {"watch": "all", "expires": "soon"},
        ]
        for body in (*bodies, {"watch": "all", "label": "x" * 99}):
            async with manager.post("/api/keys", json=body) as answer:
                assert answer.status == 400 and (await answer.json())["text"].endswith(".")


async def test_an_invitation_to_film_is_no_other_key_than_one_that_films(
    house: Relay, ring: Keyring
) -> None:
    film, _ = ring.for_links()
    assert film is not None

    async def invited(*keys: Key) -> str:
        held = cookie(ring, *keys)
        await known(house, held)
        async with browser(house, held) as client, client.get("/api/invite") as answer:
            told = await answer.json()
            assert told["withKey"] is ("#key=" in told["url"])
            return str(told["url"].partition("#key=")[2])

    own = made(ring, ALL, ALL)
    assert await invited(own) == await invited(own, made(ring, PORCH, NOTHING)) == film.secret
    assert await invited(made(ring, ALL, PORCH)) == await invited(made(ring, NOTHING, ALL)) == "", (
        "it is for who may make keys"
    )
    mine = made(ring, PORCH, NOTHING)
    assert await invited(mine, made(ring, NOTHING, ALL)) == mine.secret


async def test_a_new_key_comes_with_codes_where_they_are_asked_for_and_own_never(
    house: Relay, ring: Keyring
) -> None:
    own = made(ring, ALL, ALL)
    held = cookie(ring, own)
    await known(house, held)
    async with browser(house, held) as manager:
        async with manager.post(
            "/api/keys", json={"watch": ["porch"], "publish": ["porch"], "codes": True}
        ) as answer:
            new = await answer.json()
        assert (
            new["codes"] == {page: _code(link).decode() for page, link in new["links"].items()}
            and len(new["codes"]) == 2
        )
        async with manager.post(
            "/api/keys", json={"watch": "all", "publish": "all", "codes": True}
        ) as answer:
            another = await answer.json()
        assert (
            another["links"]
            == {"own": f"https://localhost:{house.port}/player.html#key={another['key']}"}
            and "codes" not in another
        )
        async with manager.get("/api/keys") as answer:
            listed = {key["id"]: key["held"] for key in (await answer.json())["keys"]}
        assert listed[own.id] is True and listed[new["id"]] is listed["viewer"] is False


async def test_a_key_whose_time_is_over_is_told_so(house: Relay, ring: Keyring) -> None:
    short = Keyring.open(house.state, clock=lambda: time.time() - 100).add(NOTHING, PORCH, lasts=50)
    async with (
        browser(house) as guest,
        guest.post("/api/session", json={"key": short.secret}) as answer,
    ):
        assert (answer.status, (await answer.json())["error"]) == (401, "ended-key")
        assert not answer.cookies


async def test_wrong_keys_are_slowed_down_and_right_cookies_are_not() -> None:
    """A relay of its own, because it is this address that has to wait."""
    with Relay("--tls", "--host", "127.0.0.1") as relay:
        own = Keyring.open(relay.state)
        other, secret, held = own.keys[0].secret, own.keys[1].secret, cookie(own, own.keys[1])
        async with browser(relay) as guesser, browser(relay, held) as member:

            async def guess(key: str) -> tuple[int, str]:
                async with guesser.post("/api/session", json={"key": key}) as answer:
                    return answer.status, answer.headers.get("Retry-After", "")

            async def shown(key: str) -> int:
                async with guesser.get(
                    "/metrics", headers={"Authorization": f"Bearer {key}"}
                ) as answer:
                    return answer.status

            assert await shown(secret) == 200
            answers = [
                await guess(f"aaaa-bbbb-cccc-{number:04}") for number in range(GUESSES_AT_ONCE * 2)
            ]
            assert [await shown(key) for key in (secret, secret.upper(), other)] == [
                200,
                200,
                429,
            ], "one that was right there before"
            assert {code for code, _ in answers[:GUESSES_AT_ONCE]} == {401}
            waits = [int(wait) for code, wait in answers if code == 429]
            assert waits and all(1 <= wait <= limits.SECONDS_PER_GUESS for wait in waits)
            async with member.get("/api/cameras") as answer:
                assert answer.status == 200, "somebody in the same house who holds a cookie"

            async def right() -> bool:
                return (await guess(other))[0] == 200

            await eventually(right, "the right key is taken again after a while")
        assert "gave a wrong key" in relay.output and "aaaa-bbbb" not in relay.output


async def test_a_ticket_lets_in_the_page_of_a_relay_that_has_moved(
    house: Relay, ring: Keyring
) -> None:
    porch = made(ring, watch=PORCH)
    held = cookie(ring, porch)
    await known(house, held)
    async with browser(house, held) as one, one.get("/api/session") as answer:
        session = await answer.json()
        assert session["registry"] == REGISTRY and session["relay"]
    ticket = session["ticket"]

    def offer(given: str) -> dict[str, Any]:
        return {
            "origin": Origin(FORMER),
            "subprotocols": [Subprotocol(SUBPROTOCOL), Subprotocol(f"drawercam-ticket.{given}")],
        }

    async with peer(house, "/player/porch", **offer(ticket)) as viewer:
        await viewer.message("welcome")
        assert viewer.connection.subprotocol == SUBPROTOCOL
        everything = {"additional_headers": {"Cookie": cookie(ring, *ring.keys[:2])}}
        refusals = [
            ("/player/porch", offer(ticket[::-1]), 403),
            ("/player/attic", offer(ticket), 403),
            (
                "/player/attic",
                offer(ticket) | everything,
                403,
            ),  # it lends no cookie to another site
            ("/camera/porch", offer(ticket), 401),
        ]
        for path, options, code in refusals:
            with pytest.raises(InvalidStatus) as refused:
                async with peer(house, path, **options):
                    pass
            assert refused.value.response.status_code == code
        ring.revoke(porch.id)
        assert await viewer.closed() == 4006
    async with (
        browser(house, cookie(ring, ring.keys[1]), Origin=FORMER) as one,
        one.post("/api/session", json={}) as answer,
    ):
        assert answer.status == 403, "a ticket changes nothing"


async def test_a_ticket_shows_pictures_to_the_page_of_a_relay_that_has_moved(
    house: Relay, ring: Keyring
) -> None:
    porch = made(ring, watch=PORCH)
    held, everything = cookie(ring, porch), cookie(ring, *ring.keys[:2])
    await known(house, held)
    async with browser(house, held) as one, one.get("/api/session") as answer:
        ticket = {"Drawercam-Ticket": (await answer.json())["ticket"]}
    path, elsewhere = "/cameras/porch/latest.jpg", "/cameras/attic/latest.jpg"
    async with (
        browser(house, Origin=FORMER) as page,
        browser(house, everything, Origin=FORMER) as tricked,
        peer(house, "/camera/porch", additional_headers={"Cookie": everything}) as camera,
    ):
        await film(camera, VP8)
        question = {
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "drawercam-ticket",
        }
        async with page.options(path, headers=question) as answer:
            assert (answer.status, await answer.read()) == (204, b"")
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Access-Control-Allow-Headers"] == "Drawercam-Ticket"
        for other in ("authorization", "drawercam-ticket,authorization", ""):
            async with page.options(
                path, headers=question | {"Access-Control-Request-Headers": other}
            ) as answer:
                assert (answer.status, (await answer.json())["error"]) == (403, "foreign-origin"), (
                    "no key is asked for across origins"
                )
                assert "Access-Control-Allow-Origin" not in answer.headers
        async with page.get(path, headers=ticket | {"Sec-Fetch-Site": "cross-site"}) as answer:
            assert answer.status == 200 and (await answer.read()).startswith(b"\xff\xd8")
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Access-Control-Expose-Headers"] == "Drawercam-Time"
            assert "Access-Control-Allow-Credentials" not in answer.headers
        for asks in (page, tricked):
            async with asks.get(elsewhere, headers=ticket) as answer:
                assert (answer.status, (await answer.json())["error"]) == (403, "not-allowed"), (
                    "it lends no cookie to another site"
                )
                assert answer.headers["Access-Control-Allow-Origin"] == "*", "and the page may know"
            wrong = {"Drawercam-Ticket": ticket["Drawercam-Ticket"][::-1]}
            async with asks.get(path, headers=wrong) as answer:
                assert answer.status == (401 if asks is page else 200)
                assert "Access-Control-Allow-Origin" not in answer.headers, (
                    "what a cookie opens is not for other sites"
                )
        for behind in (
            "/cameras/porch/live.mjpg",
            "/cameras/porch/live",
            "/api/cameras",
            "/api/invite",
            "/metrics",
        ):
            async with page.get(behind, headers=ticket) as answer:
                assert answer.status == 401, "it is for nothing else"
        ring.revoke(porch.id)

        async def over() -> bool:
            async with page.get(path, headers=ticket) as answer:
                return answer.status == 401

        await eventually(over, "and it ends with its key")


@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
async def test_where_there_are_no_tickets_nothing_is_for_other_sites() -> None:
    server = Server(site(Access(None, ["127.0.0.1"])))
    port = await server.start(["127.0.0.1"], 0, None)
    try:
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{port}", headers={"Origin": FOREIGN}
        ) as page:
            question = {
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "drawercam-ticket",
            }
            async with page.options("/cameras/porch/latest.jpg", headers=question) as answer:
                assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (
                    403,
                    False,
                )
            async with page.get(
                "/cameras/porch/latest.jpg", headers={"Drawercam-Ticket": "a.b"}
            ) as answer:
                assert (answer.status, "Access-Control-Allow-Origin" in answer.headers) == (
                    404,
                    False,
                )
    finally:
        await server.stop()


# --- headers ---


async def test_every_answer_has_the_headers(house: Relay, ring: Keyring) -> None:
    async with browser(house, cookie(ring, *ring.keys[:2])) as one:
        for method, path in [
            *((row.method, filled(row)) for row in REQUESTS),
            ("GET", "/nothing"),
            ("PUT", "/"),
            ("GET", "/web/nothing"),
        ]:
            async with one.request(method, path, allow_redirects=False) as answer:
                for name, value in HEADERS.items():
                    assert answer.headers[name] == value, (method, path)
                policy = answer.headers["Content-Security-Policy"]
                assert (
                    "default-src 'none'" in policy
                    and "frame-ancestors 'none'" in policy
                    and "unsafe" not in policy
                )
                assert "connect-src 'self' https: wss:;" in policy, "where there is a registry"
                assert "Strict-Transport-Security" not in answer.headers
    async with await Raw.open(house) as raw:
        await raw.write(handshake("/wall", house.authority))
        head = (await raw.reader.readuntil(b"\r\n\r\n")).decode()
        assert (
            all(f"{name}: {value}" in head for name, value in HEADERS.items())
            and "Content-Security-Policy: default-src 'none'" in head
        )


async def test_without_a_registry_pages_connect_to_their_own_relay_only(tls_relay: Relay) -> None:
    async with browser(tls_relay) as one:
        async with one.get("/player.html") as answer:
            assert (
                f"connect-src 'self' wss://{tls_relay.authority};"
                in answer.headers["Content-Security-Policy"]
            )
        async with one.get("/api/session") as answer:
            assert not {"registry", "relay", "ticket"} & (await answer.json()).keys()


# --- secrets ---


async def test_secrets_are_neither_in_logs_nor_in_answers(house: Relay, ring: Keyring) -> None:
    """After all that the other tests of this file did, at the level debug, and some more that goes
    wrong.
    """
    camera, viewer = ring.keys[:2]
    async with browser(house, cookie(ring, camera, viewer)) as one:
        for body in (
            f'{{"key": "{viewer.secret}"',
            json.dumps({"key": [viewer.secret]}),
            json.dumps({"key": viewer.secret + "x" * 300}),
        ):
            async with one.post("/api/session", data=body) as answer:
                assert answer.status in (400, 401) and viewer.secret not in await answer.text()
        async with one.post("/api/session", json={"key": viewer.secret}) as answer:
            assert viewer.secret not in await answer.text(), "only the cookie comes back"
    banner, log = house.output.split("Press Ctrl-C to stop.", 1)
    assert len(log.splitlines()) > 10
    secrets = [
        *(key.secret for key in ring.keys),
        *(ring.token(key, purpose) for key in ring.keys for purpose in ("cookie", "ticket")),
    ]
    assert not [secret for secret in secrets if secret in log]
    assert not [secret for secret in secrets[2:] if secret in banner]


# --- limits ---


async def test_a_peer_that_floods_with_messages_is_sent_away_alone(
    house: Relay, ring: Keyring
) -> None:
    head = {"additional_headers": {"Cookie": cookie(ring, *ring.keys[:2])}}
    async with peer(house, "/wall", **head) as other, peer(house, "/player/porch", **head) as one:
        text = json.dumps({"type": "ping", "t": 1})
        with contextlib.suppress(ConnectionClosed):
            for _ in range(limits.MESSAGES_AT_ONCE * 3):
                await one.connection.send(text)
        assert await one.closed() == 4007
        await other.settled()


def test_one_address_films_as_three_quarters_of_the_cameras() -> None:
    def camera(name: str, address: str) -> Admission:
        return Admission(Grant.of(()), Right.PUBLISH, name, address)

    book = Book()
    book.cameras = limits.Places(8)
    inside = [FakeVisit(camera(f"cam-{number}", "a")) for number in range(6)]
    for visit in inside:
        book.check_room(visit.admission)
        book.enter(visit)
    with pytest.raises(Denied, match="6 cameras from this address"):
        book.check_room(camera("porch", "a"))
    book.check_room(camera("cam-0", "a"))  # it comes back
    taker = FakeVisit(camera("cam-0", "b"))
    book.check_room(taker.admission)
    book.enter(taker)
    book.check_room(camera("porch", "a"))  # that name counts for another now
    book.leave(inside[0])
    assert (book.cameras.total, book.cameras.held("a"), book.cameras.held("b")) == (6, 5, 1)
    for visit in (taker, *inside[1:]):
        book.leave(visit)
    assert book.cameras.total == 0


class FakeVisit(SocketVisit):
    def __init__(self, admission: Admission) -> None:
        self.admission = admission


def test_one_address_leaves_room_for_the_others_and_one_camera_more_may_come_back() -> None:

    def camera(name: str, address: str) -> Admission:
        return Admission(Grant.of(()), Right.PUBLISH, name, address)

    def viewer(address: str) -> Admission:
        return Admission(Grant.of(()), Right.WATCH, "porch", address)

    book = Book()
    book.sockets = limits.Places(6, 3)
    book.cameras = limits.Places(2, 2)
    inside = [FakeVisit(one) for one in (camera("porch", "a"), camera("attic", "a"), viewer("a"))]
    for visit in inside:
        book.check_room(visit.admission)
        book.enter(visit)
    with pytest.raises(Denied, match="from this address"):
        book.check_room(viewer("a"))
    with pytest.raises(Denied, match="2 cameras already"):
        book.check_room(camera("garden", "b"))
    book.check_room(camera("porch", "b"))  # it takes over
    for _ in range(3):
        book.enter(FakeVisit(viewer("b")))
    with pytest.raises(Denied, match="too many connections"):
        book.check_room(viewer("c"))
    for visit in inside:
        book.leave(visit)
        book.leave(visit)
    book.check_room(camera("garden", "a"))


# --- the list ---


def test_every_promise_of_the_document_has_its_test() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    rows = [
        line
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith(("| promise", "|---"))
    ]
    promises = [line for line in rows if "`tests/" in line]
    assert len(promises) >= 20
    named = {pair for line in promises for pair in _NAMED.findall(line)}
    assert all(_NAMED.search(line) for line in promises)
    for path, test in named:
        assert test in _tests_in(path), f"{path} has no {test}"
    mine = {test for path, test in named if path == "tests/server/test_security.py"}
    assert _tests_in("tests/server/test_security.py") - mine == {
        "test_every_promise_of_the_document_has_its_test"
    }
