"""Pages come through, WebSockets do not: the same goes over plain HTTP, in every browser, and the
pages say that it is slower.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.frames import Close
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from drawercam.server.admission.reverse_proxies import Client
from drawercam.server.http.socket_over_http import add_routes
from drawercam.server.sockets.camera import CameraSession
from drawercam.server.sockets.sender import frame
from drawercam.server.sockets.websocket import Session, Socket
from groundwork.connections.scheduler import Scheduler
from tests.harness.browsers import Browser, Chromium, Page
from tests.harness.films import film
from tests.harness.pages import IN_CHROMIUM, PATIENCE, facts, kept, moving, state
from tests.harness.peers import peer, voting
from tests.harness.proxies import FORBIDDEN, HOST, Proxy
from tests.harness.relays import ROOT, SUBPROTOCOL, Relay
from tests.server.test_media import frames
from tests.server.test_promises import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

SLOWER = "slower connection: no WebSocket"

# Firefox takes the same way as the others. WebKit, which is Safari's, is the one that people meet
# here.
EACH = ["chromium", pytest.param("firefox", marks=pytest.mark.long), "webkit"]


@pytest_asyncio.fixture(loop_scope="session")
async def network(relay: Relay) -> AsyncIterator[Proxy]:
    """The way to the relay for browsers."""
    async with Proxy(relay.port) as proxy:
        proxy.refuse_websockets()
        yield proxy


async def filming(browser: Browser, network: Proxy, name: str) -> Page:
    return await browser.page(
        f"{network.origin}/camera.html?name={name}&start=1&width=320&height=240"
    )


async def says(page: Page, text: str) -> None:
    """Wait until a person can read this there."""
    try:
        await page.wait_for(f"document.body.innerText.includes({text!r})", PATIENCE)
    except Exception:
        raise AssertionError(
            f"it never says {text!r}; {await kept(page)}; "
            f"{await page.evaluate('document.body.innerText')}"
        ) from None


def complaints(page: Page) -> list[str]:
    """Errors that are not the browser's own words on what the network refused."""
    return [
        error
        for error in page.errors
        if not any(word in error for word in ("WebSocket", "ws://", "Failed to load resource"))
    ]


@pytest.mark.parametrize("browser", EACH, indirect=True)
async def test_every_browser_films_over_http(
    relay: Relay, network: Proxy, browser: Browser
) -> None:
    name = f"films-{browser.name.lower()}"
    async with peer(relay, f"/player/{name}") as player:
        page = await filming(browser, network, name)
        await player.until(lambda one: len(frames(one)) > 20, "for pictures")
        await says(page, SLOWER)
        async with voting(player):
            await says(page, "Paused by the viewers")
            await player.message("state", state="paused", reason="viewers")
        known = len(frames(player))
        await player.send(type="resume")
        await player.until(
            lambda one: len(frames(one)) > known + 10, "for pictures after the pause"
        )
        await page.click("#stop")
        await player.message("state", state="gone", reason="left")
        await page.close()
    await page.refresh_console()
    assert complaints(page) == []


@IN_CHROMIUM
async def test_every_browser_watches_over_http(
    relay: Relay, network: Proxy, viewer: Browser
) -> None:
    name = f"seen-{viewer.name.lower()}"
    async with film(relay, name) as camera:
        page = await viewer.page(f"{network.origin}/player.html?camera={name}")
        await moving(page)
        await state(page, "live")
        assert (await facts(page))["transport"] == "http"
        await page.evaluate(
            "document.querySelector('[data-camera]').tile.feed.send({ type: 'pause', "
            "reason: 'overflow' })"
        )
        await camera.phone.message("pause", reason="viewers")
        await page.evaluate(
            "document.querySelector('[data-camera]').tile.feed.send({ type: 'resume' })"
        )
        await camera.phone.message("resume")
        await moving(page)
        assert complaints(page) == []
        await page.close()


@pytest.mark.parametrize("answer", [b"", FORBIDDEN], ids=["cut", "403"])
@pytest.mark.long
async def test_both_pages_recover_when_the_relay_restarts(
    answer: bytes, chromium: Chromium
) -> None:
    with Relay() as relay:
        async with Proxy(relay.port) as network:
            network.refuse_websockets(answer)
            phone = await filming(chromium, network, "porch")
            desk = await chromium.page(f"{network.origin}/player.html?camera=porch")
            await moving(desk)
            await asyncio.to_thread(relay.stop)
            await says(phone, "The relay is restarting")
            await asyncio.to_thread(relay.start)
            await moving(desk)
            await state(desk, "live")
            await says(phone, SLOWER)
            # What is allowed again is used from the next connection on.
            network.refuse_websockets(None)
            network.cut()
            await desk.wait_for(
                "document.querySelector('[data-camera]').tile.stats().transport === 'socket'",
                PATIENCE,
            )
            await phone.wait_for(f"!document.body.innerText.includes({SLOWER!r})", PATIENCE)
            await moving(desk)
            assert complaints(phone) == complaints(desk) == []
            await phone.close()
            await desk.close()


async def test_a_relay_that_is_away_is_no_refusal(relay: Relay, chromium: Chromium) -> None:
    """No page goes over HTTP for as long as nothing answers, however often WebSockets fail."""
    async with Proxy(relay.port) as network, film(relay, "back-soon"):
        page = await chromium.page(f"{network.origin}/player.html?camera=back-soon")
        await moving(page)
        network.target_port, port = 1, network.target_port
        network.cut()
        await says(page, "Trying again")
        # After two that fail while the relay is there it would go over HTTP. Each is followed by a
        # request that asks whether it is.
        await eventually(lambda: network.lost >= 2 * 3, "it tries three times")
        network.target_port = port
        await moving(page)
        assert (await facts(page))["transport"] == "socket"
        await page.close()


class Echo(CameraSession):
    """Keeps what comes and sends it back.

    Attributes:
        heard: Messages, in order.
        goodbye: How it ended, once it has.
    """

    def __init__(self) -> None:
        self.heard: list[str | bytes] = []
        self.goodbye: Close | None = None

    def opened(self, socket: Socket) -> None:
        self._peer = socket

    def text(self, message: str) -> None:
        self.heard.append(message)

    def binary(self, message: bytes) -> None:
        self.heard.append(message)
        self._peer.write(frame(message))

    def settled(self) -> None:
        pass

    def closed(self, goodbye: Close | None) -> None:
        self.goodbye = goodbye


class Host:
    """Owns one socket, for an Echo."""

    now = served = staticmethod(time.monotonic)

    def __init__(self, echo: Echo) -> None:
        self.echo = echo
        self.share = Scheduler(asyncio.get_running_loop().call_soon).share
        self.client = Client.connected(None)

    def route(self, request: Request) -> Session | Response:
        return self.echo

    def has_room(self, size: int) -> bool:
        return True

    def unfit(self, status: int) -> Response:
        return Response(status, "unfit", Headers())

    def socket_begins(self, socket: Socket) -> None:
        pass

    def socket_ends(self, socket: Socket) -> None:
        pass


@asynccontextmanager
async def echoing(losses: float) -> AsyncIterator[tuple[str, Echo]]:
    """An origin whose sockets over HTTP echo.

    This share of the POSTs breaks off, half of those after they have arrived.
    """
    chance, echo = random.Random(1), Echo()

    @web.middleware
    async def lossy(request: web.Request, handler: Any) -> web.StreamResponse:
        lost = request.query_string.startswith("at=") and chance.random() < losses
        if not lost or chance.random() < 0.5:
            answer: web.StreamResponse = await handler(request)
        if lost and request.transport is not None:
            request.transport.abort()
            raise ConnectionResetError
        return answer

    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>echo</title>", content_type="text/html")

    app = web.Application(middlewares=[lossy])
    app.router.add_get("/", page)
    app.router.add_static("/web", ROOT / "web")
    add_routes(app, lambda transport: Host(echo))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://localhost:{runner.addresses[0][1]}", echo
    finally:
        await runner.cleanup()


SEND = """async (sizes) => {
  const { HttpSocket } = await import("/web/shared/relay/http-socket.js");
  const socket = new HttpSocket(`ws://${location.host}/camera/echo`, "drawercam.1");
  const back = [];
  const ended = new Promise((resolve) => { socket.onclose = resolve; });
  await new Promise((resolve) => { socket.onopen = resolve; });
  const bytes = (number, size) => new Uint8Array(size).fill(number);
  const echoed = new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      const all = new Uint8Array(data);
      back.push(all.every((byte) => byte === back.length + 1) ? all.length : "wrong");
      if (back.length === sizes.length) resolve();
    };
  });
  socket.send("begins");
  sizes.forEach((size, index) => {
    const data = bytes(index + 1, size), part = bytes(index + 1, size + 10).subarray(5, size + 5);
    const kinds = [new Blob([data]), data.buffer, part, new Blob([new Blob([data.slice(0, 3)]), data.slice(3)])];
    socket.send(kinds[index % 4]);
    data.fill(0);
    part.fill(0);
  });
  const waited = socket.bufferedAmount;
  await Promise.race([echoed, ended]);
  while (socket.readyState === 1 && socket.bufferedAmount > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  socket.send("ends");
  socket.close(1000, "stop");
  return { back, waited, code: (await ended).code };
}"""

# Around the limits of a frame's three kinds of length, and of a POST.
SIZES = [0, 1, 125, 126, 127, 1000, 65535, 65536, 65537, 200_000, 3, 1_000_000, 5, 17, 18, 19]


@IN_CHROMIUM
@pytest.mark.parametrize("losses", [0, 0.4])
async def test_what_is_sent_comes_in_order_and_once(viewer: Browser, losses: float) -> None:
    async with echoing(losses) as (origin, echo):
        page = await viewer.page(origin)
        told = await page.evaluate(SEND, SIZES)
        assert told["back"] == SIZES
        assert told["waited"] > sum(SIZES)
        assert echo.heard[0] == "begins"
        assert echo.heard[1 : len(SIZES) + 1] == [
            bytes([index + 1]) * size for index, size in enumerate(SIZES)
        ]
        await eventually(lambda: echo.goodbye is not None, "the socket ends")
        if not losses:  # the last POST is not sent again: the page may be gone
            assert echo.heard[-1] == "ends"
            assert (told["code"], echo.goodbye) == (1000, Close(1000, "stop"))
        await page.close()


@pytest.mark.long
async def test_more_cameras_than_connections_are_refused_with_a_sentence(viewer: Browser) -> None:
    async with echoing(0) as (origin, _):
        page = await viewer.page(origin)
        told = await page.evaluate("""async () => {
          const { HttpSocket } = await import("/web/shared/relay/http-socket.js");
          const open = () => new Promise((resolve) => {
            const socket = new HttpSocket(`ws://${location.host}/wall`, "drawercam.1");
            socket.onopen = () => resolve(socket);
            socket.onclose = () => resolve(socket);
          });
          const all = await Promise.all([open(), open(), open(), open(), open()]);
          all[0].close();
          await new Promise((resolve) => { all[0].onclose = resolve; });
          all.push(await open());
          return all.map((socket) => socket.refusal ? socket.refusal.id : socket.readyState);
        }""")
        assert told == [3, 1, 1, 1, "too-many-streams", 1]
        await page.close()


async def test_a_relay_that_moved_is_followed_and_stayed_with(chromium: Chromium) -> None:
    """Its page is gone; somebody knows two places, and it is at the second one."""
    offers: list[tuple[str, str]] = []

    async def greet(connection: ServerConnection) -> None:
        assert connection.request is not None
        offers.append(
            (connection.request.path, connection.request.headers["Sec-WebSocket-Protocol"])
        )
        await connection.send('{"type": "welcome", "name": "porch", "time": 0}')
        if len(offers) == 1:
            await connection.close(1001)
        await connection.wait_closed()

    async with serve(greet, HOST, 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as there:
        base = f"http://{HOST}:{there.sockets[0].getsockname()[1]}"
        async with echoing(0) as (origin, _):
            page = await chromium.page(origin)
            await page.evaluate(
                """async (base) => {
              const { Link } = await import("/web/shared/relay/relay-link.js");
              window.asked = 0;
              const elsewhere = async () => {
                window.asked += 1;
                return [{ base: "http://127.0.0.1:1", ticket: "abc" }, { base: "nonsense", ticket: "" }, { base, ticket: "abc" }];
              };
              window.link = new Link("/player/porch", { elsewhere });
            }""",
                base,
            )
        await page.evaluate("void window.link.open()")
        await eventually(lambda: len(offers) > 1, "it comes, and comes back")
        await page.wait_for("window.link.state === 'open'", PATIENCE)
        assert offers == [("/player/porch", f"{SUBPROTOCOL}, drawercam-ticket.abc")] * 2
        assert await page.evaluate("window.asked") == 1, (
            "it has tried at home first, and later where it was"
        )
        await page.evaluate("void window.link.close()")
        await page.close()
