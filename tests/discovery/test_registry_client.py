"""The relay's heartbeat, against real registries that come, go, lie and hang."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from drawercam.discovery import registry_client as announce
from drawercam.discovery.registry_client import Address, Announcer, RegistryClient, Unanswered
from ip_registry.messages import Announcement
from ip_registry.registry import Registry
from ip_registry.routes import add_routes
from tests.harness.registries import RegistryProcess

SECRET = "a secret that only relays and the registry know"
FINGERPRINT = "AB:" * 31 + "AB"

# Seconds for what takes milliseconds, on a machine that is busy with browsers.
PATIENCE = 30.0


class Host:
    """A port on which a registry, or anything else, may be or not be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.registry: Registry
        self._runner: web.AppRunner | None = None

    async def start(
        self,
        secret: str = SECRET,
        handler: Handler | None = None,
        middlewares: Sequence[Middleware] = (),
    ) -> None:
        app = web.Application(middlewares=middlewares)
        if handler is None:
            self.registry = Registry(self.folder, secret)
            add_routes(app, self.registry)
        else:
            app.router.add_route("*", "/{tail:.*}", handler)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def address(self) -> Address:
        return Address.parse(f"http://127.0.0.1:{self.port}")

    def there(self) -> dict[str, tuple[str, ...]]:
        return {
            entry.name: entry.announcement.urls for entry in self.registry.relays() if entry.alive
        }


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    one = Host(tmp_path)
    yield one
    await one.stop()


@pytest.fixture(autouse=True)
def log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "drawercam.discovery.registry_client")
    monkeypatch.setattr(announce, "FIRST_DELAY", 0.02)
    monkeypatch.setattr(announce, "LONGEST_DELAY", 0.1)
    monkeypatch.setattr(announce, "GOODBYE_BUDGET", PATIENCE)
    return caplog


def said(log: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in log.records
        if record.name == "drawercam.discovery.registry_client"
    ]


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def at(*urls: str, name: str = "porch") -> Announcement:
    return Announcement(name, urls or ("https://192.168.1.20:8443",), FINGERPRINT)


async def test_a_relay_is_known_as_long_as_it_runs(
    host: Host, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "HEARTBEAT", 0.05)
    await host.start()
    announcer = Announcer(
        host.address, SECRET, lambda: Announcement("porch", ("https://10.0.0.1:1",), ttl=2)
    )
    announcer.start()
    await until(lambda: host.there() == {"porch": ("https://10.0.0.1:1",)})
    began = host.registry.relays()[0].heard
    await until(lambda: host.registry.relays()[0].heard > began)
    await announcer.stop()
    assert host.there() == {}
    assert said(log) == [f"The registry at {host.address.origin} knows where this relay is."]


async def test_new_addresses_are_announced_at_once(host: Host) -> None:
    await host.start()
    urls = ["https://10.0.0.1:8443"]
    announcer = Announcer(host.address, SECRET, lambda: at(*urls))
    announcer.start()
    await until(lambda: host.there() == {"porch": ("https://10.0.0.1:8443",)})
    urls[0] = "https://10.0.0.2:8443"
    announcer.changed()
    await until(lambda: host.there() == {"porch": ("https://10.0.0.2:8443",)})
    await announcer.stop()


async def test_a_registry_that_goes_and_comes_back_is_mentioned_once_each(
    host: Host, log: pytest.LogCaptureFixture
) -> None:
    await host.start()
    await host.stop()
    announcer = Announcer(host.address, SECRET, at)
    announcer.start()
    await until(lambda: said(log))
    await asyncio.sleep(0.5)
    assert (
        len(said(log)) == 1
        and "There is no registry at" in said(log)[0]
        and "tries again" in said(log)[0]
    )
    await host.start()
    await until(lambda: host.there() and len(said(log)) == 2)
    # Restarted, with a nonce that the relay cannot know.
    await host.stop()
    await host.start()
    restored = host.registry.relays()[0].heard
    announcer.changed()
    await until(lambda: host.registry.relays()[0].heard > restored)
    await announcer.stop()
    assert "knows where this relay is" in said(log)[1]
    assert host.there() == {}


async def test_a_wrong_secret_is_said_once_in_the_registrys_words(
    host: Host, log: pytest.LogCaptureFixture
) -> None:
    await host.start(secret="another secret, at least as long as the first")
    announcer = Announcer(host.address, SECRET, at)
    announcer.start()
    await until(lambda: said(log))
    await asyncio.sleep(0.3)
    assert len(said(log)) == 1 and "copy the file registry-secret" in said(log)[0]
    await announcer.stop()
    assert host.there() == {}


async def test_the_secret_is_never_sent(host: Host) -> None:
    heard: list[bytes] = []

    async def listen(request: web.Request) -> web.StreamResponse:
        heard.append(
            repr((request.raw_path, list(request.headers.items()))).encode() + await request.read()
        )
        return web.json_response(
            {"error": "stale-nonce", "text": "Again.", "nonce": "ab" * 16}, status=401
        )

    await host.start(handler=listen)
    async with RegistryClient(host.address, SECRET) as client:
        with pytest.raises(Unanswered, match="refuses: Again"):
            await client.announce(at())
    assert 1 < len(heard) < 10, "who always wants another signature does not get them for ever"
    assert not any(SECRET.encode() in one for one in heard)


async def test_whatever_answers_the_relay_works_on(
    host: Host, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "REQUEST_DEADLINE", 0.3)
    answers: list[Callable[[], Awaitable[web.StreamResponse]]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        return await answers[0]()

    async def hang() -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    def fixed(**what: object) -> Callable[[], Awaitable[web.StreamResponse]]:
        async def response() -> web.StreamResponse:
            return web.Response(**what)  # type: ignore[arg-type]

        return response

    await host.start(handler=answer)
    nonsense = [
        fixed(text="<html>a router's page</html>", content_type="text/html"),
        fixed(text="[1]"),
        fixed(body=b"\xff" * 100),
        fixed(text="[" * 4000),
        fixed(text='"' + "x" * 200_000 + '"'),
        fixed(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        fixed(text='{"text": "\\u001b[2J", "nonce": 7}', status=500),
        hang,
    ]
    for one in nonsense:
        answers[:] = [one]
        async with RegistryClient(host.address, SECRET) as client:
            if one is not nonsense[1]:
                with pytest.raises(Unanswered) as problem:
                    await client.announce(at())
                assert str(problem.value).isprintable() and len(str(problem.value)) < 300
            with pytest.raises(Unanswered):
                await client.relays()
    # Neither does a fault of our own end it.
    await host.stop()
    await host.start()
    faults = [RuntimeError("a fault")]

    def facts() -> Announcement:
        if faults:
            raise faults.pop()
        return at()

    announcer = Announcer(host.address, SECRET, facts)
    announcer.start()
    await until(host.there)
    await announcer.stop()


async def test_a_relay_in_no_network_waits_for_one(
    host: Host, log: pytest.LogCaptureFixture
) -> None:
    await host.start()
    facts: list[Announcement | None] = [None]
    announcer = Announcer(host.address, SECRET, lambda: facts[0])
    announcer.start()
    await asyncio.sleep(0.2)
    assert said(log) == [] and host.there() == {}
    facts[0] = at()
    announcer.changed()
    await until(host.there)
    await announcer.stop()


async def test_it_stops_in_time_though_the_registry_hangs(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announce, "GOODBYE_BUDGET", 0.1)
    stuck = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "DELETE":
            stuck.set()
            await asyncio.sleep(600)
        return web.json_response({"nonce": "ab" * 16})

    await host.start(handler=answer)
    told = asyncio.Event()

    def facts() -> Announcement:
        told.set()
        return at()

    announcer = Announcer(host.address, SECRET, facts)
    announcer.start()
    await told.wait()
    await until(lambda: announcer._complaint is None)
    await asyncio.wait_for(announcer.stop(), PATIENCE)
    assert stuck.is_set()
    await announcer.stop()


@pytest.mark.parametrize(
    ("url", "origin", "pin"),
    [
        ("http://192.168.1.2:8099", "http://192.168.1.2:8099", ""),
        ("https://Registry.local:8099/", "https://registry.local:8099", ""),
        (f"https://192.168.1.2:8099#sha256={FINGERPRINT}", "https://192.168.1.2:8099", "ab" * 32),
        (f"https://192.168.1.2:8099/#sha256={'ab' * 32}", "https://192.168.1.2:8099", "ab" * 32),
    ],
)
def test_addresses_of_registries(url: str, origin: str, pin: str) -> None:
    assert Address.parse(url) == Address(origin, pin)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "192.168.1.2:8099",
        "ftp://192.168.1.2",
        "https://192.168.1.2:99999",
        "https://192.168.1.2/registry",
        "https://u:p@192.168.1.2",
        "https://192.168.1.2#sha256=AB",
        f"https://192.168.1.2#{FINGERPRINT}",
        f"http://192.168.1.2#sha256={FINGERPRINT}",
        "https://192.168.1.2?x",
    ],
)
def test_what_is_no_address_of_a_registry_is_said_in_words(url: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        Address.parse(url)


async def test_a_registry_by_https_is_trusted_by_its_fingerprint_and_not_without(
    tmp_path: Path,
) -> None:
    with RegistryProcess(tmp_path, "--tls") as registry:
        printed = registry.output.split("--registry '")[1].split("'")[0]
        async with RegistryClient(Address.parse(printed), registry.secret) as client:
            await client.announce(at())
            assert [relay["name"] for relay in await client.relays()] == ["porch"]
            await client.leave("porch")
            await client.leave("never-there")
        async with RegistryClient(Address(registry.origin), registry.secret) as client:
            with pytest.raises(Unanswered, match=r"is not trusted .*fingerprint"):
                await client.announce(at())
        async with RegistryClient(Address(registry.origin, "ab" * 32), registry.secret) as client:
            with pytest.raises(Unanswered, match="another certificate authority"):
                await client.announce(at())
        # A certificate of the right authority, for another address.
        elsewhere = Address(
            f"https://127.0.0.1:{registry.port}".replace("127.0.0.1", "127.1"),
            Address.parse(printed).pin,
        )
        async with RegistryClient(elsewhere, registry.secret) as client:
            with pytest.raises(Unanswered):
                await client.announce(at())


async def test_it_stops_also_in_the_moment_in_which_there_is_news(host: Host) -> None:
    await host.start()
    announcer = Announcer(host.address, SECRET, at)
    announcer.start()
    await until(host.there)
    announcer.changed()
    await asyncio.wait_for(announcer.stop(), PATIENCE)
    assert host.there() == {}


async def test_it_stops_amid_an_announcement_and_nobody_is_left_in_the_list(host: Host) -> None:
    heard, goes_on = asyncio.Event(), asyncio.Event()

    @web.middleware
    async def slow(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if answer.status == 200 and request.method == "POST":
            heard.set()
            await goes_on.wait()
        return answer

    await host.start(middlewares=[slow])
    announcer = Announcer(host.address, SECRET, at)
    announcer.start()
    await asyncio.wait_for(heard.wait(), PATIENCE)
    assert host.there(), "it is known before it knows that"
    stopping = asyncio.create_task(announcer.stop())
    await asyncio.sleep(0)
    goes_on.set()
    await asyncio.wait_for(stopping, PATIENCE)
    assert host.there() == {}
