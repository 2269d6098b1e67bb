"""A relay behind nginx itself: as docs/proxy.md says, and with the usual wrong settings.

Skipped where there is no nginx.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from groundwork.connections.limits import GUESSES_AT_ONCE
from tests.harness.peers import PATIENCE
from tests.harness.relays import ROOT, SUBPROTOCOL, Relay
from tests.media.samples import RECORDINGS
from tests.server.test_promises import eventually

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(
    NGINX is None, reason="nginx is not installed: sudo apt-get install nginx"
)

HOST = "cam.example.org"

# Where nginx listens: no other test does so there, and no connection leaves from there, so a port
# that is free stays free.
HERE = "127.9.9.9"

# The block that docs/proxy.md gives, and those that people write instead.
MANUAL = (ROOT / "docs" / "proxy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```nginx\n(.*?)```", MANUAL, re.DOTALL)
RIGHT = re.findall(r"( {4}location / \{.*?\n {4}\})", BLOCKS[0], re.DOTALL)[0]
UPGRADE = (
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header "
    'Connection "upgrade";'
)
BARE = "location / { proxy_pass http://127.0.0.1:8080; }"
NO_PORT = (
    f"location / {{ proxy_pass http://127.0.0.1:8080; {UPGRADE} proxy_set_header Host $host; }}"
)
NO_UPGRADE = "location / { proxy_pass http://127.0.0.1:8080; proxy_set_header Host $http_host; }"
KEPT = f"""location / {{ proxy_pass http://kept; {UPGRADE} proxy_set_header Connection $kept; proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr; }}"""


class Nginx:
    """nginx with some servers on ports of this computer.

    Attributes:
        port: Of each server, by its name.
    """

    def __init__(self, relay: Relay, **locations: str) -> None:
        """
        Args:
            relay: Where they lead; in a location it is 127.0.0.1:8080, or 192.168.1.5:8443 with
                https.
            locations: The block of each server. One whose name begins with `tls` speaks https, with
                the certificate of `secured`.
        """
        self._relay = relay
        self._locations = locations
        self._folder = tempfile.TemporaryDirectory(prefix="drawercam-nginx-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = {name: _free_port() for name in locations}

    def start(self, secured: Path | None = None) -> Nginx:
        folder = Path(self._folder.name)
        keep = " ".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        servers = []
        for name, location in self._locations.items():
            tls = name.startswith("tls")
            certificate = (
                f"ssl_certificate {secured}; ssl_certificate_key {secured};" if tls else ""
            )
            block = location.replace("127.0.0.1:8080", f"127.0.0.1:{self._relay.port}").replace(
                "192.168.1.5:8443", f"127.0.0.1:{self._relay.port}"
            )
            servers.append(
                f"server {{ listen {HERE}:{self.port[name]}{' ssl' if tls else ''}; "
                f"{certificate}\n{block}\n}}"
            )
        configuration = f"""daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
            events {{ worker_connections 256; }} http {{ access_log off; {keep} map $http_upgrade $kept {{ default upgrade; '' ''; }}
            upstream kept {{ server 127.0.0.1:{self._relay.port}; keepalive 4; }}
            {" ".join(servers)} }}"""
        (folder / "nginx.conf").write_text(configuration)
        assert NGINX is not None
        self._process = subprocess.Popen(
            [NGINX, "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"],
            stderr=subprocess.PIPE,
        )
        for port in self.port.values():
            self._wait(port)
        return self

    def _wait(self, port: int) -> None:
        assert self._process is not None and self._process.stderr is not None
        for _ in range(int(PATIENCE / 0.05)):
            with contextlib.suppress(OSError), socket.create_connection((HERE, port), PATIENCE):
                return
            if self._process.poll() is not None:
                raise RuntimeError(self._process.stderr.read().decode())
            time.sleep(0.05)
        raise RuntimeError("nginx does not listen")

    def stop(self) -> None:
        if self._process is not None and self._process.stderr is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process.stderr.close()
        self._folder.cleanup()


def _free_port() -> int:
    with socket.create_server((HERE, 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


class Stage:
    """A relay that was told of its proxy, and nginx before it."""

    def __init__(self, relay: Relay, nginx: Nginx, context: ssl.SSLContext | None = None) -> None:
        self.relay = relay
        self.nginx = nginx
        self._context = context

    def origin(self, server: str) -> str:
        """As the browser has it, for whom the name leads to nginx."""
        return (
            f"{'https' if server.startswith('tls') else 'http'}://{HOST}:{self.nginx.port[server]}"
        )

    @asynccontextmanager
    async def browser(
        self, server: str, source: str = "127.0.0.1", page: str = ""
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """Somebody with the key in the printed link to this page, if any."""
        connector = aiohttp.TCPConnector(
            ssl=self._context or True, resolver=Resolver(), local_addr=(source, 0)
        )
        async with aiohttp.ClientSession(
            self.origin(server), connector=connector, headers={"Origin": self.origin(server)}
        ) as one:
            if page:
                async with one.post("/api/session", json={"key": self.key(page)}) as answer:
                    assert answer.status == 200, await answer.text()
            yield one

    def key(self, page: str) -> str:
        return self.relay.output.split(f"/{page}.html#key=", 1)[1].split()[0]

    async def wall(self, server: str, client: aiohttp.ClientSession) -> int:
        """Open a socket as this browser: the status of its handshake."""
        cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in client.cookie_jar)
        secure = server.startswith("tls")
        url = f"{'wss' if secure else 'ws'}://{HOST}:{self.nginx.port[server]}/wall"
        options: dict[str, Any] = {"ssl": self._context, "server_hostname": HOST} if secure else {}
        try:
            async with connect(
                url,
                host=HERE,
                port=self.nginx.port[server],
                origin=Origin(self.origin(server)),
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers={"Cookie": cookies},
                compression=None,
                proxy=None,
                **options,
            ) as socket_:
                assert '"welcome"' in str(await asyncio.wait_for(socket_.recv(), PATIENCE))
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code


class Resolver(aiohttp.abc.AbstractResolver):
    """Every name leads to this computer."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        return [
            {
                "hostname": host,
                "host": HERE,
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
        ]

    async def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def plain() -> Iterator[Stage]:
    """Plain http behind the proxy, which speaks https or not."""
    with Relay("--proxy", "127.0.0.1", "--allow-host", f"https://{HOST}") as relay:
        with Relay(
            "--tls", "--host", "127.0.0.1", "--allow-host", HOST
        ) as made:  # for its certificate
            secured, context = (made.state / "certs" / "served.pem").read_bytes(), made.context
        certificate = relay.state / "nginx.pem"
        certificate.write_bytes(secured)
        nginx = Nginx(
            relay,
            right=RIGHT,
            tls=RIGHT,
            bare=BARE,
            no_port=NO_PORT,
            no_upgrade=NO_UPGRADE,
            kept=KEPT,
        )
        try:
            yield Stage(relay, nginx.start(certificate), context)
        finally:
            nginx.stop()
        assert relay.alive and "Traceback" not in relay.output, relay.output


@pytest.mark.parametrize("server", ["right", "tls"])
async def test_as_the_manual_says_pages_sockets_and_cookies_work(plain: Stage, server: str) -> None:
    async with plain.browser(server, page="player") as client:
        (cookie,) = client.cookie_jar
        assert bool(cookie["secure"]) is (server == "tls")
        assert await plain.wall(server, client) == 101
        async with client.get("/api/session") as answer:
            assert (await answer.json())["viewer"]
        async with client.get("/api/invite") as answer:
            assert (await answer.json())["url"].startswith(f"https://{HOST}/camera.html")


async def test_each_client_of_nginx_is_one_of_its_own(plain: Stage) -> None:
    async with (
        plain.browser("right", "127.0.0.7") as guest,
        plain.browser("right", "127.0.0.8") as neighbour,
    ):
        statuses = list[int]()
        for client in [guest] * (GUESSES_AT_ONCE + 1) + [neighbour]:
            lie = {"X-Forwarded-For": f"198.51.100.{len(statuses)}"}
            async with client.post(
                "/api/session", json={"key": f"aaaa-bbbb-cccc-{len(statuses):04}"}, headers=lie
            ) as answer:
                statuses.append(answer.status)
    assert statuses == [401] * GUESSES_AT_ONCE + [429, 401]


async def test_a_camera_by_put_is_seen_while_it_films(plain: Stage) -> None:
    film = (RECORDINGS / "chromium-av.webm").read_bytes()
    done = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield film
        await asyncio.wait_for(done.wait(), PATIENCE)

    async with plain.browser("right") as program, plain.browser("right", page="player") as viewer:
        headers = {"Authorization": f"Bearer {plain.key('camera')}"}
        filming = asyncio.create_task(
            program.put("/cameras/porch/publish", data=body(), headers=headers).__aenter__()
        )

        async def there() -> bool:
            async with viewer.get("/api/cameras") as answer:
                return any(one["name"] == "porch" and one["tracks"] for one in await answer.json())

        await eventually(there, "the camera is on the air before its request has ended")
        done.set()
        assert (await asyncio.wait_for(filming, PATIENCE)).status == 204


async def test_without_upgrade_a_socket_over_http_is_not_collected(plain: Stage) -> None:
    """nginx' defaults: HTTP/1.0 to the relay, and answers that are collected if they do not forbid
    it.
    """
    async with plain.browser("no_upgrade", page="player") as client:
        assert await plain.wall("no_upgrade", client) == 404
        async with client.post(
            "/over-http/wall", headers={"Drawercam-Protocol": SUBPROTOCOL}
        ) as answer:
            assert answer.status == 200
            said = b""
            while b'"cameras"' not in said:
                said += await asyncio.wait_for(answer.content.readany(), PATIENCE)


async def test_what_nginx_keeps_open_never_keeps_a_socket_away(plain: Stage) -> None:
    async with plain.browser("kept", page="player") as client:
        for _ in range(3):
            async with client.get("/healthz") as answer:
                assert answer.status == 200
            assert await plain.wall("kept", client) == 101


@pytest.mark.parametrize(("server", "host"), [("no_port", HOST), ("bare", "127.0.0.1:{port}")])
async def test_where_the_host_is_changed_the_answer_says_so_and_what_to_add(
    plain: Stage, server: str, host: str
) -> None:
    async with plain.browser(server) as client:
        async with client.get("/player.html") as answer:
            assert answer.status == 200
        async with client.post("/api/session", json={}) as answer:
            refused = await answer.json()
        assert (answer.status, refused["error"], refused["add"]) == (
            403,
            "foreign-origin",
            "proxy_set_header Host $http_host;",
        )
        assert (
            plain.origin(server) in refused["text"]
            and host.format(port=plain.relay.port) in refused["text"]
        )
        headers = {"Origin": f"https://{HOST}"}
        async with client.post(
            "/api/session", json={"key": plain.key("player")}, headers=headers
        ) as answer:
            assert answer.status == 200, (
                "the address that --allow-host names is right, whatever nginx makes of it"
            )


async def test_https_behind_the_proxy_as_the_manual_says() -> None:
    """With the name that older versions of nginx need."""
    with Relay(
        "--tls", "--host", "127.0.0.1", "--proxy", "127.0.0.1", "--allow-host", HOST
    ) as relay:
        mine = (
            BLOCKS[1]
            .replace("/etc/nginx/drawercam-ca.crt", str(relay.state / "certs" / "ca.crt"))
            .replace("_name 192.168.1.5", "_name localhost")
        )
        nginx = Nginx(relay, tls=re.sub(r" *proxy_pass .*\n", mine, RIGHT))
        try:
            stage = Stage(relay, nginx.start(relay.state / "certs" / "served.pem"), relay.context)
            async with stage.browser("tls", page="player") as client:
                assert await stage.wall("tls", client) == 101
        finally:
            nginx.stop()
        assert f"https://{HOST}/camera.html#key=" in relay.output
