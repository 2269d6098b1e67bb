"""A relay that gets another address: both pages follow it by themselves.

Real Chromium, relay and registry on three loopback addresses.
"""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawercam.access.keys import Keyring
from tests.harness.browsers import Browser, Page
from tests.harness.pages import PATIENCE, PREVIEW, facts, moving, state
from tests.harness.registries import RegistryProcess
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]

HERE, THERE, STEADY = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryProcess]:
    with RegistryProcess(tmp_path / "registry", "--tls", host=STEADY) as one:
        yield one
        assert "Traceback" not in one.output, one.output


@pytest.fixture
def attic(registry: RegistryProcess, tmp_path: Path) -> Iterator[Relay]:
    """A relay that is at home HERE, and announces itself."""
    printed = registry.output.split("--registry '")[1].split("'")[0]
    secret = registry.state / "registry-secret"
    options = (
        "--tls",
        "--trust-port",
        "0",
        "--registry",
        printed,
        "--registry-secret-file",
        str(secret),
        "--relay-name",
        "attic",
    )
    with Relay(*options, "--host", HERE, state=tmp_path / "relay") as one:
        yield one
        assert one.alive and "Traceback" not in one.output, one.output


def link(relay: Relay, page: str) -> str:
    """The address that the relay printed, with its key, at the address where it is HERE."""
    return (
        f"https://{HERE}:{relay.port}/{page}.html#key="
        + relay.output.split(f"/{page}.html#key=", 1)[1].split()[0]
    )


def move(relay: Relay) -> None:
    """Stop it, and start it THERE with everything that it has."""
    relay.stop()
    relay.options = tuple(THERE if option == HERE else option for option in relay.options)
    relay.start()


def places(registry: RegistryProcess) -> list[str]:
    """Where the registry says that the relay is."""
    context = ssl.create_default_context(cafile=str(registry.state / "certs" / "ca.crt"))
    with urllib.request.urlopen(
        f"{registry.origin}/api/relays/attic", context=context, timeout=PATIENCE
    ) as answer:
        told = json.load(answer)
    assert told["alive"] is True
    return list(told["urls"])


async def test_both_pages_follow_a_relay_to_its_new_address(
    chromium: Browser, registry: RegistryProcess, attic: Relay
) -> None:
    camera, player = await pages(chromium, attic)
    single = await chromium.page(
        f"https://{HERE}:{attic.port}/player.html?camera=porch&engine=jpeg"
    )
    await moving(single)
    assert places(registry) == [f"https://{HERE}:{attic.port}"]
    certificate = (attic.state / "certs" / "ca.crt").read_bytes()
    move(attic)
    assert (attic.state / "certs" / "ca.crt").read_bytes() == certificate, (
        "phones need not install anything"
    )
    await state(player, "live")
    await camera.wait_for("document.querySelector('#status').dataset.state === 'live'", PATIENCE)
    await moving(player)
    await moving(single)
    await state(single, "live")
    assert (await facts(single))["engine"] == "jpeg"
    assert places(registry) == [f"https://{THERE}:{attic.port}"]
    await player.click("#add")
    await player.wait_for(
        (
            "document.querySelector('#invite-address').href === "
            f"'https://{THERE}:{attic.port}/camera.html'"
        ),
        PATIENCE,
    )
    for page in (camera, player, single):
        assert (await page.evaluate("location.host")) == f"{HERE}:{attic.port}", (
            "it is the same page, which nobody has reloaded"
        )
    ring = Keyring.open(attic.state)
    for key in ring.keys:
        ring.revoke(key.id)
    for page, name, query in (
        (player, "player", ""),
        (single, "player", "?camera=porch&engine=jpeg"),
    ):
        await page.wait_for(
            "document.querySelector('#banner').innerText.includes('has ended or was revoked')",
            PATIENCE,
        )
        assert (
            await page.evaluate("document.querySelector('#banner a').href")
            == f"{registry.origin}/go/attic/{name}.html{query}"
        )
    await camera.wait_for(
        "document.querySelector('#panel').innerText.includes('takes this phone’s key no more')",
        PATIENCE,
    )
    assert (await camera.evaluate("document.querySelector('#panel a').href")).startswith(
        f"{registry.origin}/go/attic/camera.html?name=porch"
    )
    for page in (camera, player, single):
        await page.close()


async def test_the_link_of_the_registry_leads_to_where_the_relay_is_now(
    chromium: Browser, registry: RegistryProcess, attic: Relay
) -> None:
    key = link(attic, "player").partition("#")[2]
    move(attic)
    page = await chromium.page(f"{registry.origin}/go/attic/player.html#{key}")
    await page.wait_for("document.body.innerText.includes('No camera yet')", PATIENCE)
    assert await page.evaluate("location.host") == f"{THERE}:{attic.port}"
    assert await page.evaluate("location.hash") == "", "the key was used"
    await page.close()


@pytest.mark.long
async def test_a_relay_that_is_nowhere_leaves_a_link_to_look_for_it(
    chromium: Browser, registry: RegistryProcess, attic: Relay
) -> None:
    camera, player = await pages(chromium, attic)
    attic.kill()
    for page, place, name in (
        (player, "#banner a", "player"),
        (camera, "#signpost:not([hidden])", "camera"),
    ):
        query = await page.evaluate("location.search")
        await page.wait_for(
            (
                f"document.querySelector('{place}')?.href === "
                f"'{registry.origin}/go/attic/{name}.html{query}'"
            ),
            PATIENCE,
        )
    attic.start()
    await moving(player)
    await player.wait_for("document.querySelector('#banner').hidden", PATIENCE)
    await camera.wait_for("document.querySelector('#signpost').hidden", PATIENCE)
    for page in (camera, player):
        await page.close()


async def pages(browser: Browser, relay: Relay) -> tuple[Page, Page]:
    """A camera that films and a player that shows it."""
    address, _, key = link(relay, "camera").partition("#")
    camera = await browser.page(f"{address}?name=porch&start=1&sound=0&width=320&height=240#{key}")
    await camera.resize(*PREVIEW)
    await camera.wait_for("document.querySelector('#status').dataset.state === 'live'", PATIENCE)
    player = await browser.page(link(relay, "player"))
    await moving(player)
    return camera, player
