"""The certificate of a running relay: made anew, with nobody cut off.

Connections are real ones, addresses and dates made up.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from certs import Authority, AuthorityError, OwnCertificate, Served
from certs.renewal import Renewal
from drawercam.access.grants import Access
from drawercam.live.hub import Hub
from drawercam.live.relay_clock import RelayClock
from drawercam.server.admission.entrance import Entrance
from drawercam.server.http.site import Site
from drawercam.server.server import Server
from groundwork import state_files as files
from groundwork.addresses import IPAddress
from tests.groundwork.test_state_files import Hindered
from tests.harness.relays import ROOT, SUBPROTOCOL, Relay

PATIENCE = 20.0
DAY = timedelta(days=1)
HOME, OFFICE = ip_address("192.168.1.20"), ip_address("10.9.8.7")
NAMES = ["drawer.lan", "drawer.local", "localhost"]


class World:
    """What a renewal sees: addresses and the date."""

    def __init__(self, *addresses: IPAddress) -> None:
        self.addresses: list[IPAddress] = [*addresses]
        self.date = datetime.now(UTC)
        self.asked_for: Sequence[str] | None = None

    def present(self, hosts: Sequence[str] | None) -> list[IPAddress]:
        self.asked_for = hosts
        return [*self.addresses]

    def now(self) -> datetime:
        return self.date


@pytest.fixture
def world() -> World:
    return World(HOME)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certs")


@pytest.fixture
def renewal(authority: Authority, world: World) -> Renewal:
    return watching(authority, world)


def watching(
    source: Authority | OwnCertificate,
    world: World,
    interval: float = 0.01,
    hosts: Sequence[str] | None = None,
) -> Renewal:
    return Renewal(source, hosts, NAMES, present=world.present, now=world.now, interval=interval)


def trusting(served: Served) -> ssl.SSLContext:
    """A phone that has installed this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=served.ca_pem.decode())
    return context


class Line:
    """A TLS connection to a server that says everything back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @property
    def certificate(self) -> x509.Certificate:
        tls: ssl.SSLObject = self._writer.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der)

    async def echo(self, text: bytes) -> bytes:
        self._writer.write(text)
        return await asyncio.wait_for(self._reader.readexactly(len(text)), PATIENCE)

    async def ask(self, path: str) -> bytes:
        """What a relay at the other end answers to a request of HTTP."""
        self._writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        )
        return await asyncio.wait_for(self._reader.read(), PATIENCE)

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def echoing(renewal: Renewal) -> AsyncIterator[int]:
    """A server whose handshakes begin with its context; its port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ssl.SSLError):  # some phones refuse the certificate
            await writer.start_tls(renewal.context)
            while data := await reader.read(100):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def line(port: int, phone: ssl.SSLContext, name: str) -> Line:
    return Line(*await asyncio.open_connection("127.0.0.1", port, ssl=phone, server_hostname=name))


async def test_a_live_connection_stays_and_a_new_one_gets_the_new_certificate(
    renewal: Renewal, world: World
) -> None:
    phone = trusting(renewal.served)
    before = renewal.served
    async with echoing(renewal) as port:
        old = await line(port, phone, str(HOME))
        assert await old.echo(b"one") == b"one"
        with pytest.raises(ssl.SSLCertVerificationError):
            await line(port, phone, str(OFFICE))
        world.addresses = [OFFICE]
        assert await renewal.look()
        assert renewal.addresses == [OFFICE]
        new = await line(port, phone, str(OFFICE))
        assert await old.echo(b"two") == b"two"
        assert await new.echo(b"three") == b"three"
        assert old.certificate != new.certificate
        assert old.certificate.issuer == new.certificate.issuer
        assert renewal.served.fingerprint == before.fingerprint
        for one in (old, new):
            one.close()


async def test_a_certificate_that_nears_its_end_is_made_anew(
    renewal: Renewal, world: World
) -> None:
    phone = trusting(renewal.served)
    first = renewal.served
    world.date = first.expires - 31 * DAY
    assert not await renewal.look()
    async with echoing(renewal) as port:
        old = await line(port, phone, "drawer.local")
        world.date = first.expires - 29 * DAY
        assert await renewal.look()
        assert renewal.served.expires > first.expires
        assert renewal.served.fingerprint == first.fingerprint
        assert await old.echo(b"still here") == b"still here"
        # This computer's clock has not moved: that a newcomer finds the certificate to be of the
        # future shows that it is the new one.
        with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
            await line(port, phone, "drawer.local")
        old.close()
    assert not await renewal.look()


async def test_the_relay_itself_keeps_its_sockets(authority: Authority, world: World) -> None:
    renewal = watching(authority, world)
    access = Access(None, NAMES)
    urls = [f"https://{HOME}/"]
    site = Site(
        hub=Hub(RelayClock()),
        entrance=Entrance(access, tls=True),
        root=ROOT,
        authority=lambda: renewal.served.ca_pem,
        camera_urls=lambda: urls,
        player_urls=lambda: urls,
    )
    server = Server(site)
    port = await server.start(["127.0.0.1"], 0, lambda: renewal.context)
    told: list[list[IPAddress]] = []
    heard = asyncio.Event()

    def on_change() -> None:
        access.set_hosts(NAMES, renewal.addresses)
        told.append(renewal.addresses)
        heard.set()

    phone = trusting(renewal.served)
    try:
        renewal.start(on_change)
        wire = [Subprotocol(SUBPROTOCOL)]
        address = f"wss://127.0.0.1:{port}/wall"
        async with connect(
            address, ssl=phone, server_hostname="127.0.0.1", subprotocols=wire
        ) as old:
            world.addresses = [OFFICE, HOME]
            await asyncio.wait_for(heard.wait(), PATIENCE)
            async with connect(
                address, ssl=phone, server_hostname=str(OFFICE), subprotocols=wire
            ) as new:
                for socket in (old, new):
                    await asyncio.wait_for(await socket.ping(), PATIENCE)
        assert told == [[OFFICE, HOME]]
    finally:
        await renewal.stop()
        await server.stop()


async def test_it_looks_by_itself_tells_once_and_stops(renewal: Renewal, world: World) -> None:
    told = asyncio.Event()
    calls = 0

    def on_change() -> None:
        nonlocal calls
        calls += 1
        told.set()

    renewal.start(on_change)
    await asyncio.sleep(0.1)
    assert calls == 0
    world.addresses = [HOME, OFFICE]
    await asyncio.wait_for(told.wait(), PATIENCE)
    await asyncio.sleep(0.1)
    await renewal.stop()
    await renewal.stop()
    world.addresses = []
    await asyncio.sleep(0.1)
    assert calls == 1
    assert renewal.addresses == [HOME, OFFICE]


async def test_a_fault_of_who_is_told_does_not_end_the_looking(
    renewal: Renewal, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    told: asyncio.Queue[int] = asyncio.Queue()

    def on_change() -> None:
        told.put_nowait(len(renewal.addresses))
        raise RuntimeError("the registry has a fault")

    renewal.start(on_change)
    for count in (2, 1):
        world.addresses = [HOME, OFFICE][:count]
        assert await asyncio.wait_for(told.get(), PATIENCE) == count
    await renewal.stop()
    assert "the registry has a fault" in caplog.text


async def test_an_address_that_has_gone_is_told_and_makes_no_new_certificate(
    authority: Authority,
) -> None:
    world = World(HOME, OFFICE)
    renewal = watching(authority, world)
    before = renewal.served
    world.addresses = [OFFICE]
    assert await renewal.look()
    assert renewal.addresses == [OFFICE]
    assert renewal.served == before
    assert not await renewal.look()


async def test_what_fails_is_said_once_and_tried_again(
    renewal: Renewal,
    authority: Authority,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    phone, before = trusting(renewal.served), renewal.served

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "served.pem")

    world.addresses = [OFFICE]
    with monkeypatch.context() as patched, caplog.at_level(logging.INFO):
        patched.setattr(files, "write", full)
        assert await renewal.look(), "addresses have changed, whatever the certificate does"
        assert renewal.addresses == [OFFICE]
        for _ in range(4):
            assert not await renewal.look()
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 1
    assert "No space left on device" in said[0]
    now = renewal.served
    assert (
        now.makeshift
        and now.warnings[0] in said[0]
        and replace(now, makeshift=False, warnings=()) == before
    )
    async with echoing(renewal) as port:
        (await line(port, phone, str(HOME))).close()
        assert await renewal.look()
        (await line(port, phone, str(OFFICE))).close()


def own_files(folder: Path, source: Served) -> OwnCertificate:
    """Files as a person brings them along."""
    files.write(folder / "own.key", source.key_file.read_bytes())
    files.write(folder / "own.pem", source.cert_file.read_bytes())
    return OwnCertificate(folder / "own.pem", folder / "own.key")


async def test_own_files_that_are_replaced_are_served_at_once(
    tmp_path: Path, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    maker = Authority(tmp_path / "somebody")
    first = maker.ensure([HOME], ["cams.local"])
    renewal = watching(own_files(tmp_path, first), world)
    phone = trusting(first)
    async with echoing(renewal) as port:
        old = await line(port, phone, "cams.local")
        second = maker.issue([HOME], ["moved.local"])
        files.write(tmp_path / "own.pem", second.cert_file.read_bytes())
        caplog.clear()
        assert not await renewal.look()
        assert caplog.records == [], "the key may be on its way"
        (await line(port, phone, "cams.local")).close()
        files.write(tmp_path / "own.key", second.key_file.read_bytes())
        assert await renewal.look()
        (await line(port, phone, "moved.local")).close()
        assert await old.echo(b"still here") == b"still here"
        old.close()
    assert not await renewal.look()


async def test_own_files_that_stay_wrong_are_said_and_not_served(
    tmp_path: Path, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    maker = Authority(tmp_path / "somebody")
    renewal = watching(own_files(tmp_path, maker.ensure([HOME], ["cams.local"])), world)
    before = renewal.served
    (tmp_path / "own.pem").write_text("half")
    caplog.clear()
    for _ in range(4):
        assert not await renewal.look()
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "served on as it is" in warning and "own.pem is not a certificate in PEM form" in warning
    assert renewal.served == before


async def test_the_program_serves_own_files_and_takes_newer_ones(tmp_path: Path) -> None:
    maker = Authority(tmp_path / "somebody")
    first = maker.ensure([], ["cams.local"])
    own = own_files(tmp_path, first)
    phone = trusting(first)
    options = (
        "--tls",
        "--host",
        "127.0.0.1",
        "--cert",
        str(own.cert_file),
        "--key",
        str(own.key_file),
        "--trust-port",
        "0",
    )
    with Relay(*options, state=tmp_path / "state") as relay:
        old = await line(relay.port, phone, "cams.local")
        second = maker.issue([], ["cams.local"])
        files.write(own.cert_file, second.cert_file.read_bytes())
        files.write(own.key_file, second.key_file.read_bytes())
        deadline = time.monotonic() + PATIENCE
        while True:
            new = await line(relay.port, phone, "cams.local")
            new.close()
            if new.certificate != old.certificate:
                break
            assert time.monotonic() < deadline, relay.output
            await asyncio.sleep(0.2)
        assert (await old.ask("/healthz")).startswith(b"HTTP/1.1 200")
        old.close()
    assert f"https://cams.local:{relay.port}/camera.html" in relay.output
    assert "SHA-256" not in relay.output and "Trust" not in relay.output, (
        "it is not for the relay to say whom to trust"
    )
    assert not (tmp_path / "state" / "certs").exists()


@pytest.mark.parametrize("fault", ["key", "certificate"])
def test_the_program_does_not_start_with_files_that_tls_cannot_serve(
    tmp_path: Path, fault: str
) -> None:
    own = own_files(tmp_path, Authority(tmp_path / "somebody").ensure([], ["cams.local"]))
    (own.key_file if fault == "key" else own.cert_file).write_text("half")
    command = [
        sys.executable,
        "relay.py",
        "--no-install",
        "--tls",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--state",
        str(tmp_path / "state"),
    ]
    command += ["--cert", str(own.cert_file), "--key", str(own.key_file)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert (
        "in PEM form, or is damaged" in done.stderr
        and "--cert and --key" in done.stderr
        and "Traceback" not in done.stderr
    )


def test_without_a_certificate_it_does_not_begin(tmp_path: Path, world: World) -> None:
    with pytest.raises(AuthorityError, match="cannot be read"):
        watching(OwnCertificate(tmp_path / "no.pem", tmp_path / "no.key"), world)


def test_where_pages_can_be_opened(tmp_path: Path, authority: Authority) -> None:
    public, loopback = ip_address("198.51.100.7"), ip_address("127.0.0.1")
    world = World(HOME, OFFICE, loopback)
    renewal = watching(authority, world)
    assert renewal.hosts() == [str(HOME), str(OFFICE)]
    assert world.asked_for is None
    world.addresses = [public, HOME]
    assert watching(authority, world).hosts() == [str(HOME), str(public)], (
        "what browsers refuse comes last"
    )
    world.addresses = []
    assert watching(authority, world).hosts() == ["localhost"]
    for host in ("drawer.local", "drawer"):
        assert watching(authority, world, hosts=[host]).hosts() == ["drawer.local"], (
            "a short name is never printed"
        )
    assert watching(authority, world, hosts=["elsewhere"]).hosts() == ["elsewhere"]


def test_where_pages_can_be_opened_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    maker = Authority(tmp_path / "somebody")
    world = World(OFFICE, HOME)
    named = own_files(tmp_path, maker.ensure([HOME], ["cams.local", "drawer.local"]))
    assert watching(named, world).hosts() == ["drawer.local", "cams.local", str(HOME)]
    useless = own_files(tmp_path, maker.issue([], []))
    assert watching(useless, world).hosts() == [str(OFFICE), str(HOME)], (
        "to be opened after a warning"
    )


async def test_while_nothing_can_be_written_the_old_one_is_served_which_is_said_once(
    authority: Authority,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    renewal = watching(authority, world)
    before, hindered = renewal.served, Hindered(tmp_path, monkeypatch)
    world.addresses = [OFFICE]
    assert await renewal.look()
    assert renewal.served.chain == before.chain and renewal.hosts() == [str(OFFICE)]
    assert not await renewal.look()
    assert [
        message
        for message in caplog.messages
        if "A new certificate cannot be kept" in message and str(OFFICE) in message
    ] == (caplog.messages[-1:])
    hindered.over = True
    assert await renewal.look(), "it has tried again"
    assert renewal.served.covers(OFFICE)
