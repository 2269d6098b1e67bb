"""A relay behind a reverse proxy: who asks, by which scheme and for which host, in requests and
sockets alike. The proxy is 127.0.0.2.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from drawercam.access.grants import Access
from drawercam.server.admission.entrance import Entrance
from drawercam.server.admission.reverse_proxies import Client, Proxies, network
from drawercam.server.server import Server
from groundwork.connections.limits import GUESSES_AT_ONCE
from tests.harness.peers import PATIENCE, Raw, handshake
from tests.harness.relays import Relay
from tests.server.http.cameras.test_live_file import House
from tests.server.test_promises import eventually
from tests.server.test_security import site

pytestmark = pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")

PROXY, OTHER, GUEST, NEIGHBOUR = "127.0.0.2", "127.0.0.3", "203.0.113.7", "203.0.113.8"
OUTER = "https://cam.example.org"
HOST = "cam.example.org"


@pytest.fixture(scope="module")
def proxied() -> Iterator[Relay]:
    """A relay without TLS that was told of its proxy."""
    with Relay("--proxy", PROXY, "--allow-host", OUTER) as one:
        yield one
        assert one.alive and "Traceback" not in one.output, one.output


class Answer:
    """Attributes:
    status, head, body: As they came; names in the head are in lower case.
    """

    def __init__(self, head: bytes, body: bytes) -> None:
        self.status = int(head.split(b" ", 2)[1])
        self.head = [
            (name.lower(), value.strip())
            for name, _, value in (line.partition(":") for line in head.decode().split("\r\n")[1:])
        ]
        self.body = body

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def __getitem__(self, name: str) -> str:
        return "; ".join(value for one, value in self.head if one == name)


@asynccontextmanager
async def connected(port: int, source: str) -> AsyncIterator[Raw]:
    async with Raw(
        *await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    ) as raw:
        yield raw


async def ask(
    port: int, source: str, path: str, *lines: str, method: str = "GET", body: object = None
) -> Answer:
    """One request on a connection of its own."""
    async with connected(port, source) as raw, asyncio.timeout(PATIENCE):
        sent = b"" if body is None else json.dumps(body).encode()
        head = [
            f"{method} {path} HTTP/1.1",
            *lines,
            f"Content-Length: {len(sent)}",
            "Connection: close",
            "",
            "",
        ]
        await raw.write("\r\n".join(head).encode() + sent)
        return Answer(await raw.reader.readuntil(b"\r\n\r\n"), await raw.reader.read())


async def shake(
    port: int, source: str, path: str, *lines: str, host: str = HOST
) -> tuple[int, str]:
    """A handshake: status, and id of the error."""
    async with connected(port, source) as raw, asyncio.timeout(PATIENCE):
        await raw.write(handshake(path, host, *lines))
        status = await raw.status()
        return status, "" if status == 101 else str((await raw.body())["error"])


def asks_for(client: str, *more: str, scheme: str = "https", host: str = HOST) -> list[str]:
    """What a proxy says of a client."""
    return [
        f"X-Forwarded-For: {client}",
        f"X-Forwarded-Proto: {scheme}",
        f"X-Forwarded-Host: {host}",
        "Host: 127.0.0.1:8080",
        *more,
    ]


async def guess(relay: Relay, source: str, *lines: str) -> int:
    """Try another wrong key; returns the status."""
    guess.count += 1  # type: ignore[attr-defined]
    body = {"key": f"aaaa-bbbb-cccc-{guess.count:04}"}  # type: ignore[attr-defined]
    return (await ask(relay.port, source, "/api/session", *lines, method="POST", body=body)).status


guess.count = 0  # type: ignore[attr-defined]


def key(relay: Relay, page: str) -> str:
    found = re.search(rf"{re.escape(OUTER)}/{page}\.html#key=(\S+)", relay.output)
    assert found is not None, relay.output
    return found[1]


async def cookie(relay: Relay, page: str, *lines: str) -> Answer:
    answer = await ask(
        relay.port, PROXY, "/api/session", *lines, method="POST", body={"key": key(relay, page)}
    )
    assert answer.status == 200, answer.body
    return answer


async def test_keys_are_on_and_what_is_printed_leads_to_the_proxy(proxied: Relay) -> None:
    said = " ".join(proxied.output.split())
    assert (
        f"{OUTER}/camera.html#key=" in said
        and f"{OUTER}/player.html#key=" in said
        and "localhost" not in said
    )
    assert (
        f"serves its proxy ({PROXY}) and its own computer" in said
        and "Warning" not in said
        and "--tls" not in said
    )
    for source in (PROXY, OTHER):
        session = (await ask(proxied.port, source, "/api/session", *asks_for(GUEST))).json
        assert session["keys"] and not session["camera"] and not session["viewer"]
        assert (await shake(proxied.port, source, "/wall", *asks_for(GUEST)[:3], host="localhost"))[
            0
        ] == 401


async def test_each_client_is_an_address_of_its_own_and_only_the_proxy_can_say_which(
    proxied: Relay,
) -> None:
    for _ in range(GUESSES_AT_ONCE):
        assert await guess(proxied, PROXY, *asks_for(GUEST)) == 401
    assert await guess(proxied, PROXY, *asks_for(GUEST)) == 429, "too many of this client"
    assert await guess(proxied, PROXY, *asks_for(f"{NEIGHBOUR}, {GUEST}")) == 429, (
        "whatever it has written itself"
    )
    assert await guess(proxied, PROXY, *asks_for(f"{GUEST}, {NEIGHBOUR}, {PROXY}:80")) == 401, (
        "another one may try"
    )
    statuses = [
        await guess(proxied, "127.0.0.4", *asks_for(f"198.51.100.{number}"))
        for number in range(GUESSES_AT_ONCE + 1)
    ]
    assert statuses == [401] * GUESSES_AT_ONCE + [429], "who is no proxy is always the same one"
    await eventually(
        lambda: f"{GUEST} gave a wrong key" in proxied.output, "the log names the client"
    )
    assert "198.51.100" not in proxied.output


@pytest.mark.parametrize(("scheme", "secure"), [("https", True), ("http", False)])
async def test_cookies_are_secure_where_the_client_speaks_https(
    proxied: Relay, scheme: str, secure: bool
) -> None:
    answer = await cookie(proxied, "player", *asks_for(NEIGHBOUR, scheme=scheme))
    assert ("Secure" in answer["set-cookie"]) is secure and "HttpOnly" in answer["set-cookie"]
    assert (
        f"connect-src 'self' {'wss' if secure else 'ws'}://{HOST};"
        in answer["content-security-policy"]
    )
    token = answer["set-cookie"].partition(";")[0]
    page = [f"Cookie: {token}", f"Origin: {scheme}://{HOST}"]
    assert await shake(
        proxied.port, PROXY, "/wall", *asks_for(NEIGHBOUR, scheme=scheme)[:3], *page, host="backend"
    ) == (101, ""), "it opens a socket"


ORIGINS = [
    (
        [
            "Host: backend:1",
            f"X-Forwarded-Host: {HOST}:444",
            "X-Forwarded-Proto: https",
            f"Origin: https://{HOST}:444",
        ],
        401,
    ),
    (
        [
            "Host: backend:1",
            f"X-Forwarded-Host: {HOST}:444",
            "X-Forwarded-Proto: https",
            f"Origin: http://{HOST}:444",
        ],
        403,
    ),
    (
        [
            "Host: backend:1",
            f"X-Forwarded-Host: {HOST}:444",
            "X-Forwarded-Proto: http",
            f"Origin: http://{HOST}:444",
        ],
        401,
    ),
    (["Host: backend:1", f"X-Forwarded-Host: {HOST}", f"Origin: https://{HOST}.evil.example"], 403),
    (["Host: backend:1", "X-Forwarded-Host: evil.example", "Origin: https://evil.example"], 421),
    (["Host: evil.example", "X-Forwarded-Proto: https", "Origin: https://evil.example"], 421),
    # What its owner has named is the relay's own, also where the proxy says nothing of the host.
    (["Host: 127.0.0.1:8080", f"Origin: {OUTER}"], 401),
    (["Host: 127.0.0.1:8080", f"Origin: {OUTER}:444"], 403),
]


@pytest.mark.parametrize(("lines", "status"), ORIGINS)
async def test_host_and_origin_are_those_of_the_client(
    proxied: Relay, lines: list[str], status: int
) -> None:
    wrong = {"key": "aaaa-bbbb-cccc-dddd"}
    asked = [f"X-Forwarded-For: 192.0.2.{ORIGINS.index((lines, status))}", *lines]
    answer = await ask(proxied.port, PROXY, "/api/session", *asked, method="POST", body=wrong)
    assert answer.status == status
    host, *rest = (
        asked[1].removeprefix("Host: "),
        *(line for line in asked if not line.startswith("Host")),
    )
    assert (await shake(proxied.port, PROXY, "/wall", *rest, host=host))[0] == status
    answer = await ask(
        proxied.port,
        PROXY,
        "/over-http/wall",
        *asked,
        "Drawercam-Protocol: drawercam.1",
        method="POST",
    )
    assert answer.status == status


async def test_of_others_no_word_is_believed(proxied: Relay) -> None:
    answer = await ask(
        proxied.port, OTHER, "/healthz", "Host: evil.example", f"X-Forwarded-Host: {HOST}"
    )
    assert (answer.status, answer.json["error"]) == (421, "unknown-host")
    answer = await ask(
        proxied.port,
        OTHER,
        "/api/session",
        "X-Forwarded-Proto: https",
        f"Host: {HOST}",
        method="POST",
        body={"key": key(proxied, "player")},
    )
    assert answer.status == 200 and "Secure" not in answer["set-cookie"]


async def test_what_is_refused_says_which_line_to_add(proxied: Relay) -> None:
    answer = await ask(proxied.port, PROXY, "/player.html", "Host: other.example:8443")
    assert (answer.status, answer.json["add"]) == (421, "--allow-host other.example")
    assert HOST not in answer.body.decode() and str(proxied.port) not in answer.body.decode(), (
        "it says nothing of the relay"
    )
    answer = await ask(
        proxied.port,
        PROXY,
        "/api/session",
        f"Host: {HOST}",
        f"Origin: {OUTER}:8443",
        method="POST",
        body={},
    )
    assert (answer.status, answer.json["error"], answer.json["add"]) == (
        403,
        "foreign-origin",
        "proxy_set_header Host $http_host;",
    )
    assert (
        f"{OUTER}:8443" in answer.json["text"] and f"request is for {HOST}." in answer.json["text"]
    )


@pytest.mark.parametrize(
    "lines",
    [
        ["X-Forwarded-For: unknown"],
        ["X-Forwarded-For: "],
        ["X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: x"],
        ["X-Forwarded-Proto: h2"],
    ],
)
async def test_what_a_proxy_says_brokenly_is_400_in_every_way_in(
    proxied: Relay, lines: list[str]
) -> None:
    answer = await ask(proxied.port, PROXY, "/healthz", f"Host: {HOST}", *lines)
    assert (answer.status, answer.json["error"]) == (400, "bad-forwarding")
    assert await shake(proxied.port, PROXY, "/wall", *lines) == (400, "bad-forwarding")
    answer = await ask(proxied.port, OTHER, "/healthz", f"Host: {HOST}", *lines)
    assert answer.status == 200, "of others it is not even read"


async def test_an_invitation_leads_to_the_proxy_whatever_a_request_says(proxied: Relay) -> None:
    tokens = "; ".join(
        [
            (await cookie(proxied, page, *asks_for(NEIGHBOUR)))["set-cookie"].partition(";")[0]
            for page in ("camera", "player")
        ]
    )
    for lines in (asks_for(NEIGHBOUR, host=f"{HOST}:9"), [f"Host: localhost:{proxied.port}"]):
        answer = await ask(proxied.port, PROXY, "/api/invite", *lines, f"Cookie: {tokens}")
        assert (
            answer.json["url"] == f"{OUTER}/camera.html#key={key(proxied, 'camera')}"
            and answer.json["others"] == []
        )


async def test_a_proxy_keeps_no_connection_on_which_a_socket_could_be_asked_for(
    proxied: Relay,
) -> None:
    for lines, kept in ((["Host: localhost"], True), (asks_for(GUEST), False)):
        async with connected(proxied.port, PROXY) as raw, asyncio.timeout(PATIENCE):
            await raw.write("\r\n".join(["GET /healthz HTTP/1.1", *lines, "", ""]).encode())
            head = await raw.reader.readuntil(b"\r\n\r\n")
            assert (b"connection: close" not in head.lower()) is kept


@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-For: 203.0.113.7",
        "Forwarded: for=203.0.113.7",
        "X-Real-IP: 203.0.113.7",
        "X-Forwarded-Proto: https",
    ],
)
async def test_a_relay_without_keys_refuses_what_a_proxy_hands_on_and_names_the_option(
    relay: Relay, line: str
) -> None:
    answer = await ask(relay.port, OTHER, "/player.html", f"Host: localhost:{relay.port}", line)
    assert (answer.status, answer.json["error"], answer.json["add"]) == (
        403,
        "behind-proxy",
        f"--proxy {OTHER}",
    )
    assert await shake(relay.port, OTHER, "/camera/porch", line, host="localhost") == (
        403,
        "behind-proxy",
    )
    answer = await ask(
        relay.port, OTHER, "/", f"Host: localhost:{relay.port}", line, "Accept: text/html,*/*;q=0.8"
    )
    assert (answer.status, answer["content-type"], answer["vary"]) == (
        403,
        "text/html; charset=utf-8",
        "Accept",
    )
    assert f"<code>--proxy {OTHER}</code>" in answer.body.decode()
    assert (
        await ask(relay.port, OTHER, "/player.html", f"Host: localhost:{relay.port}")
    ).status == 200


async def test_with_no_key_it_is_as_its_owner_has_said() -> None:
    with Relay("--no-key", "--allow-host", HOST) as one:
        assert (
            await ask(one.port, OTHER, "/api/session", f"Host: {HOST}", f"X-Forwarded-For: {GUEST}")
        ).json["camera"]
        assert "keys are off" not in one.output or "--no-key" in one.output


class Behind(House):
    """A house that was told of its proxy."""

    def __init__(self, *, alone: bool = False) -> None:
        super().__init__()
        self.site = site(Access(None, [HOST]))
        self.site.entrance.proxies = Proxies([network(PROXY)], alone=alone)
        self.server = Server(self.site)


async def test_one_client_cannot_take_the_places_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the system gives 64 files: 6 places for sockets, 4 of them of one address."""
    monkeypatch.setattr("groundwork.connections.limits.make_room", lambda wanted: 63)
    async with Behind() as house, asyncio.timeout(PATIENCE):
        open_ones = []

        async def come(client: str, path: str) -> int:
            raw = Raw(
                *await asyncio.open_connection("127.0.0.1", house.port, local_addr=(PROXY, 0))
            )
            open_ones.append(raw)
            await raw.write(handshake(path, HOST, f"X-Forwarded-For: {client}"))
            return await raw.status()

        assert [await come(GUEST, f"/player/a{number}") for number in range(5)] == [101] * 4 + [503]
        assert [await come(NEIGHBOUR, f"/player/b{number}") for number in range(3)] == [101] * 2 + [
            503
        ], "there are no more at all"
        for raw in open_ones:
            raw.cut()


async def test_files_and_pictures_know_for_whom_they_are_asked(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Behind() as house, asyncio.timeout(PATIENCE):
        with caplog.at_level("DEBUG", "drawercam"):
            for path in ("/cameras/none/live", "/cameras/none/latest.jpg"):
                assert (await ask(house.port, PROXY, path, *asks_for(GUEST))).status == 404
        assert sum(f"{GUEST} by {PROXY}:" in line for line in caplog.messages) == 2


async def test_without_encryption_others_than_the_proxies_and_this_computer_get_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = Behind(alone=True)
    async with house, asyncio.timeout(PATIENCE):
        assert (await ask(house.port, OTHER, "/healthz", f"Host: {HOST}")).status == 200, (
            "this computer"
        )
        monkeypatch.setattr(
            "drawercam.server.admission.entrance.own_address", lambda transport: "192.168.1.5"
        )
        connect = Entrance.connected
        monkeypatch.setattr(
            Entrance, "connected", lambda self, transport: _far(connect(self, transport))
        )
        answer = await ask(house.port, OTHER, "/healthz", f"Host: {HOST}")
        assert (answer.status, answer.json["error"], answer.json["add"]) == (
            403,
            "not-the-proxy",
            "--proxy 192.168.1.6",
        )
        assert (await ask(house.port, PROXY, "/healthz", *asks_for(GUEST))).status == 200


def _far(client: Client) -> Client:
    """As if it came from another computer, if it is not the proxy."""
    return (
        client
        if client.address == PROXY
        else replace(client, address="192.168.1.6", peer="192.168.1.6:1")
    )


def test_a_proxy_that_speaks_http_to_the_port_for_https_is_told_so() -> None:
    """Its clients would come back for ever: they speak https with it already."""
    server = Behind().server
    head = f"GET / HTTP/1.1\r\nHost: {HOST}:8443\r\n\r\n".encode()
    for source, begin in ((PROXY, b"HTTP/1.1 400 "), (OTHER, b"HTTP/1.1 307 ")):
        assert server._to_https.answer(head, source, "192.168.1.5").startswith(begin)
