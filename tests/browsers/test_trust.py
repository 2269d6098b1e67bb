"""A browser that obeys certificates: without the authority it is refused, the trust page tells how
and whether, and with it all is one tap.

Chromium on Linux takes authorities from the NSS database in its home (chromium/src
docs/linux/cert_management.md), where `certutil` puts them; that is what a person does by the steps
of the trust page.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from playwright.async_api import async_playwright

from certs import Authority
from tests.certs.test_authority import forge
from tests.harness.browsers import Chromium, PageError
from tests.harness.browsers.chromium import QUIET
from tests.harness.browsers.processes import Family
from tests.harness.pages import PATIENCE, moving
from tests.harness.relays import Relay

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
    pytest.mark.skipif(Chromium.missing() is not None, reason=str(Chromium.missing())),
    pytest.mark.skipif(
        shutil.which("certutil") is None,
        reason="certutil is not installed; on Debian: apt install libnss3-tools",
    ),
]

FAKE_CAMERA = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


class Strict(Chromium):
    """Chromium as people have it: it refuses what it does not trust.

    Args:
        authorities: What somebody has installed.
        arguments: More options for the command line.
    """

    def __init__(self, authorities: Sequence[Path] = (), arguments: Sequence[str] = ()) -> None:
        super().__init__(arguments=arguments)
        self.authorities = authorities

    async def _start(self, family: Family) -> None:
        database = family.home / ".pki" / "nssdb"
        database.mkdir(parents=True)
        await _certutil("-N", "-d", f"sql:{database}", "--empty-password")
        for authority in self.authorities:
            await _certutil(
                "-A", "-d", f"sql:{database}", "-t", "C,,", "-n", "drawercam", "-i", str(authority)
            )
        self._playwright = await async_playwright().start()
        self._context = await self._playwright.chromium.launch_persistent_context(
            family.home / "profile",
            executable_path=self.executable(),
            args=[*QUIET, *FAKE_CAMERA, *self.arguments],
            chromium_sandbox=os.geteuid() != 0,
            env={**family.environment(HOME=str(family.home))},
        )


async def _certutil(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec("certutil", *arguments)
    assert await process.wait() == 0


@pytest.fixture(scope="module")
def home() -> Iterator[Relay]:
    with Relay("--tls", "--host", "127.0.0.1", "--trust-port", "0") as relay:
        yield relay
        assert "Traceback" not in relay.output, relay.output


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stranger() -> AsyncIterator[Strict]:
    """Somebody who has installed nothing."""
    async with Strict() as browser:
        yield browser


def printed(relay: Relay, label: str) -> str:
    """An address as a person finds it in the terminal."""
    found = re.search(rf"^ *{label} +(\S+)$", relay.output, re.MULTILINE)
    assert found is not None, relay.output
    return found[1]


async def test_without_the_authority_it_is_refused(home: Relay, stranger: Strict) -> None:
    with pytest.raises(PageError, match="ERR_CERT_AUTHORITY_INVALID"):
        await stranger.page(printed(home, "Film"))


async def test_from_the_printed_link_to_a_live_picture_it_is_one_tap(home: Relay) -> None:
    async with Strict([home.state / "certs" / "ca.crt"]) as browser:
        camera = await browser.page(printed(home, "Film"))
        assert await camera.evaluate("isSecureContext && location.protocol") == "https:"
        await camera.wait_for("!document.querySelector('#start').disabled", PATIENCE)
        await camera.click("#start")
        player = await browser.page(printed(home, "Watch"))
        await moving(player)
        assert [*camera.errors, *player.errors] == []


async def test_the_trust_page_leads_there(home: Relay, stranger: Strict, tmp_path: Path) -> None:
    page = await stranger.page(printed(home, "Trust"))
    assert await page.evaluate("document.querySelector('details[open]').dataset.system") == "linux"
    shown = await page.evaluate("document.querySelector('#fingerprint').innerText")
    rows = shown.split()
    assert len(rows) == 4
    assert all(row in home.output for row in rows)
    await page.click("#check-button")
    await page.wait_for(
        "document.querySelector('#check-result').dataset.outcome === 'refused'", PATIENCE
    )
    async with page.raw.expect_download() as coming:
        await page.click("details[open] a[href='/ca.crt']")
    got = tmp_path / "drawercam-ca.crt"
    download = await coming.value
    await download.save_as(got)
    assert download.suggested_filename == got.name
    await page.close()
    # A certificate is installed for the next start of the browser, as the page says.
    async with Strict([got]) as friend:
        page = await friend.page(printed(home, "Trust"))
        await page.click("#check-button")
        await page.wait_for(
            "document.querySelector('#check-result').dataset.outcome === 'trusted'", PATIENCE
        )
        assert page.errors == []
        await page.click("#ways a[href='/camera.html']")
        await page.wait_for(
            (
                "location.protocol === 'https:' && location.pathname === '/camera.html' && "
                "isSecureContext"
            ),
            PATIENCE,
        )


AGENTS = {
    "android": (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/156.0.0.0 Mobile Safari/537.36"
    ),
    "firefox-android": "Mozilla/5.0 (Android 14; Mobile; rv:153.0) Gecko/153.0 Firefox/153.0",
    "ios": (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, "
        "like Gecko) Version/26.0 Safari/604.1"
    ),
    "ios ipad": (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like "
        "Gecko) Version/26.0 Safari/605.1.15"
    ),
    "macos": (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like "
        "Gecko) Version/26.0 Safari/605.1.15"
    ),
    "windows": (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/156.0.0.0 Safari/537.36"
    ),
    "firefox": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:153.0) Gecko/20100101 Firefox/153.0",
    "linux": (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/156.0.0.0 Safari/537.36"
    ),
}


async def test_every_system_finds_its_own_steps_and_the_others_are_a_tap_away(
    home: Relay, stranger: Strict
) -> None:
    page = await stranger.page(printed(home, "Trust"))
    for system, agent in AGENTS.items():
        touches = 5 if system == "ios ipad" else 0
        system_of = (
            "async (agent, touches) => (await import('/web/trust/trust.js')).systemOf(agent, "
            "touches)"
        )
        found = await page.evaluate(system_of, agent, touches)
        assert found == system.split()[0]
    for system in await page.evaluate(
        "[...document.querySelectorAll('details:not([open])')].map((one) => one.dataset.system)"
    ):
        await page.click(f"details[data-system={system}] summary")
        await page.wait_for(
            f"document.querySelector('details[data-system={system}] "
            "svg').getClientRects().length > 0"
        )
    for width, height in ((390, 844), (320, 640), (1280, 900)):
        await page.resize(width, height)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            f"it is wider than {width}"
        )
    assert page.errors == []
    await page.close()


@asynccontextmanager
async def serving(pem: Path) -> AsyncIterator[int]:
    """An https server with this certificate; its port."""

    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("host", "accepted"), [("porch.local", True), ("bank.example", False)])
async def test_the_browser_enforces_the_limits_of_the_authority(
    tmp_path: Path, host: str, accepted: bool
) -> None:
    """Why a stolen key is no disaster: what it signs for a name outside is refused, although the
    authority is installed.
    """
    authority = Authority(tmp_path / "certs")
    served = authority.ensure([], [])
    forged = tmp_path / "forged.pem"
    forged.write_bytes(forge(authority, x509.SubjectAlternativeName([x509.DNSName(host)])))
    async with (
        serving(forged) as port,
        Strict([authority.ca_file], [f"--host-resolver-rules=MAP {host} 127.0.0.1"]) as browser,
    ):
        assert served.ca_file == authority.ca_file
        if accepted:
            page = await browser.page(f"https://{host}:{port}/")
            assert await page.evaluate("document.body.innerText") == "hello"
        else:
            with pytest.raises(PageError, match="ERR_CERT"):
                await browser.page(f"https://{host}:{port}/")
