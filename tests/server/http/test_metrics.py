"""`/metrics` of a real relay: what it tells, and whom."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from drawercam.access.grants import Access
from drawercam.access.key import ALL, NOTHING, Scope
from drawercam.access.keys import COOKIE, TICKET, Keyring
from drawercam.media.packets import Kind
from drawercam.server.admission.routes import METRICS
from drawercam.server.server import Server
from groundwork.connections import limits
from tests.harness.peers import peer
from tests.harness.relays import Relay
from tests.server.test_media import OPUS, VP8, film, frames, packets
from tests.server.test_promises import eventually
from tests.server.test_security import asking, browser, cookie, made, site, status

pytest.importorskip("prometheus_client", reason="without prometheus-client there are no metrics")

from prometheus_client.parser import text_string_to_metric_families

PORCH = Scope(names=frozenset({"porch"}))

Samples = dict[tuple[str, str], float]


def read(text: str) -> Samples:
    """Each sample by its name and the values of its labels."""
    families = text_string_to_metric_families(text)
    return {
        (one.name, " ".join(one.labels.values())): one.value
        for family in families
        for one in family.samples
    }


async def scrape(client: aiohttp.ClientSession, **headers: str) -> Samples:
    async with client.get("/metrics", headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return read(await answer.text())


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest_asyncio.fixture
async def client(relay: Relay) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(relay.origin) as session:
        yield session


async def test_what_passes_through_is_counted(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    before = await scrape(client)
    pictures, sounds = packets(VP8), packets(OPUS)

    def grown(now: Samples, sample: str, label: str = "") -> float:
        return now[f"drawercam_{sample}", label] - before.get((f"drawercam_{sample}", label), 0)

    async with (
        peer(relay, f"/player/{name}") as one,
        peer(relay, f"/player/{name}") as other,
        peer(relay, "/wall") as wall,
    ):
        await wall.message("cameras")
        async with peer(relay, f"/camera/{name}") as camera:
            await film(camera, VP8)
            await camera.send(type="stream", stream=2, mime="audio/webm")
            await camera.send_media(2, [OPUS])
            for viewer in (one, other):
                await viewer.until(
                    lambda viewer: (
                        len(frames(viewer)) + len(frames(viewer, 2)) == len(pictures) + len(sounds)
                    )
                )
                await viewer.settled()
            await camera.settled()
            now = await scrape(client)
            count = len(pictures) + len(sounds)
            assert grown(now, "frames_received_total", "video") == len(pictures)
            assert grown(now, "frames_received_total", "audio") == len(sounds)
            assert grown(now, "keyframes_received_total") == sum(packet.key for packet in pictures)
            assert grown(now, "received_bytes_total") == sum(
                len(packet.data) for packet in (*pictures, *sounds)
            )
            assert grown(now, "frames_sent_total") == 2 * count
            assert grown(now, "frames_dropped_total") == 0
            media = sum(len(message) for viewer in (one, other) for message in viewer.media)
            assert media < grown(now, "sent_bytes_total") < media * 1.1 + 10_000, (
                "frames' headers and messages come on top"
            )
            assert grown(now, "control_messages_total") >= 5  # two streams, three pings
            assert grown(now, "joins_total") == 2 and grown(now, "sockets_begun_total") == 4
            assert (
                grown(now, "uplink_delay_seconds_count")
                == grown(now, "relay_delay_seconds_count")
                == len(pictures)
            )
            assert (
                now["drawercam_camera_frames_received_total", name] == count
                and now["drawercam_camera_frames_sent_total", name] == 2 * count
            )
            assert (
                now["drawercam_camera_viewers", name] == 2
                and now["drawercam_camera_live", name] == 1
            )
            assert (
                now["drawercam_cameras", "live"] == 1
                and now["drawercam_viewers", "watching"] == 2
                and now["drawercam_walls", ""] == 1
            )
            assert (
                now["drawercam_sockets", "websocket"] == now["drawercam_connections", "socket"] == 4
            )
            assert now["drawercam_connections", "http"] == 1, "this one"
            assert {packet.track.kind for packet in sounds} == {Kind.AUDIO}
        await one.message("state", state="gone")
        gone = await scrape(client)
        assert not [sample for sample in gone if sample[1] == name], "its series have gone with it"
        assert all(
            gone[sample] >= value
            for sample, value in now.items()
            if sample[0].endswith("_total") and sample[1] != name
        )
    ended = await scrape(client)
    assert all(
        ended[sample] >= value for sample, value in gone.items() if sample[0].endswith("_total")
    )


async def test_files_and_single_pictures_are_counted_and_nobody_decodes_for_nobody(
    client: aiohttp.ClientSession, relay: Relay, name: str
) -> None:
    pytest.importorskip("av", reason="without PyAV there are no single pictures")
    before = await scrape(client)
    async with peer(relay, f"/camera/{name}") as camera:
        await film(camera, VP8)
        await camera.settled()
        async with client.get(f"/cameras/{name}/live.webm") as file:
            await file.content.readany()
            now = await scrape(client)
            assert now["drawercam_file_readers", ""] == 1
            assert now["drawercam_decoders", ""] == 0
            assert (
                now["drawercam_pictures_decoded_total", ""]
                == before["drawercam_pictures_decoded_total", ""]
            )
        async with asking(client, f"/cameras/{name}/latest.jpg") as picture:
            assert picture.status == 200
        asked = await scrape(client)
        assert asked["drawercam_decoders", ""] == 1
        decoded = asked["drawercam_pictures_decoded_total", ""]
        assert 0 < decoded - before["drawercam_pictures_decoded_total", ""] <= len(packets(VP8))

        async def over() -> bool:
            now = await scrape(client)
            return (now["drawercam_decoders", ""], now["drawercam_file_readers", ""]) == (0, 0)

        await eventually(over, "nobody asks any more")
        await film(camera, VP8)
        await camera.settled()
        assert (await scrape(client))["drawercam_pictures_decoded_total", ""] == decoded


async def test_what_a_viewer_does_not_get_is_counted_as_left_out(
    relay: Relay, client: aiohttp.ClientSession, name: str
) -> None:
    """A viewer that reads nothing for a while: every frame was sent to it or left out, and none is
    counted twice.
    """
    async with peer(relay, f"/player/{name}") as viewer, peer(relay, f"/camera/{name}") as camera:
        await film(camera, VP8)
        await viewer.until(lambda one: len(frames(one)) == len(packets(VP8)))
        before = await scrape(client)
        viewer.connection.transport.pause_reading()

        async def left_out() -> bool:
            await film(camera, VP8)
            return (await scrape(client))["drawercam_camera_frames_dropped_total", name] > 0

        await eventually(left_out, "something is left out for who reads nothing")
        viewer.connection.transport.resume_reading()
        await camera.settled()
        await viewer.settled()
        now = await scrape(client)
        received, sent, dropped = (
            now[f"drawercam_camera_frames_{what}_total", name]
            for what in ("received", "sent", "dropped")
        )
        assert sent == len(frames(viewer)) < received == sent + dropped
        assert (
            now["drawercam_frames_dropped_total", ""] - before["drawercam_frames_dropped_total", ""]
            == dropped
        )
    gone = await scrape(client)
    assert (
        gone["drawercam_frames_dropped_total", ""] == now["drawercam_frames_dropped_total", ""]
    ), "also when the viewer has gone"


async def test_the_loop_and_the_process_are_measured(client: aiohttp.ClientSession) -> None:
    async def looked() -> bool:
        return (await scrape(client))["drawercam_loop_lag_seconds_count", ""] >= 2

    await eventually(looked, "the event loop's lag is looked at")
    found = await scrape(client)
    (build,) = (labels for (name, labels), _ in found.items() if name == "drawercam_build_info")
    assert build.split()[-1] and ("uvloop" in build or "asyncio" in build)
    assert (
        found["drawercam_limit", "cameras"] == limits.MAX_CAMERAS
        and found["drawercam_limit", "connections"] > 0
    )
    assert (
        found["drawercam_http_requests_total", ""] >= 3
        and found["drawercam_connections_accepted_total", ""] >= 1
    )
    if sys.platform == "linux":
        assert (
            found["process_resident_memory_bytes", ""] > 10**7
            and found["process_cpu_seconds_total", ""] > 0
        )
        assert found["process_open_fds", ""] > 3


async def test_a_sweep_that_comes_late_shows_how_long_the_loop_was_busy() -> None:
    server = Server(site(Access(None)))
    await server.start(["127.0.0.1"], 0, None)
    try:
        assert server._sweeper is not None
        server._sweeper.cancel()
        server._sweep_due -= 3.0
        server._sweep()
        lag = server._traffic().loop_lag
        assert sum(lag.counts) == 1 and lag.total > 1_000_000
    finally:
        await server.stop()


async def test_refusals_are_counted_by_their_id(
    relay: Relay, client: aiohttp.ClientSession
) -> None:
    async def refused(kind: str) -> float:
        return (await scrape(client)).get(("drawercam_refusals_total", kind), 0)

    paths, hosts = await refused("not-found"), await refused("unknown-host")
    async with client.get("/nothing") as answer:
        assert answer.status == 404
    async with client.get("/metrics", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 421
    assert await refused("not-found") == paths + 1 and await refused("unknown-host") == hosts + 1
    sockets = await refused("unknown-path")
    assert await status(relay, "/nothing", "") == (404, "unknown-path")
    assert await refused("unknown-path") == sockets + 1


async def test_metrics_are_for_who_may_watch_everything(tls_relay: Relay) -> None:
    ring = Keyring.open(tls_relay.state)
    camera, viewer = ring.keys[:2]
    porch = made(ring, watch=PORCH)
    own = made(ring, watch=ALL)
    async with browser(tls_relay) as one:

        async def told(key: str) -> tuple[int, str]:
            async with one.get("/metrics", headers=bearer(key)) as answer:
                return answer.status, "" if answer.status == 200 else (await answer.json())["error"]

        async def works() -> bool:
            return await told(own.secret) == (200, "")

        async with one.get("/metrics") as answer:
            assert (answer.status, (await answer.json())["error"]) == (401, "no-key")
        assert await told(viewer.secret) == (200, "")
        assert await told(camera.secret) == (401, "no-key"), "it films and does not watch"
        await eventually(works, "a key is good as soon as the relay has read it")
        assert await told(porch.secret) == (403, "not-allowed"), (
            "cameras that it may not watch would be named"
        )
        for scheme in ("bearer", "BEARER"):
            async with one.get(
                "/metrics", headers={"Authorization": f"{scheme} {viewer.secret}"}
            ) as answer:
                assert answer.status == 200
        for header in (f"Basic {viewer.secret}", viewer.secret, "Bearer"):
            async with one.get("/metrics", headers={"Authorization": header}) as answer:
                assert answer.status == 401
        for path in ("/api/cameras", "/api/invite", "/api/keys"):
            async with one.get(path, headers=bearer(viewer.secret)) as answer:
                assert (answer.status, (await answer.json())["error"]) == (401, "no-key"), (
                    "elsewhere no key is taken so"
                )
        async with one.head("/metrics", headers=bearer(viewer.secret)) as answer:
            assert answer.status == 200 and not await answer.read()
        ring.revoke(own.id)

        async def ended() -> bool:
            return await told(own.secret) == (401, "wrong-key")

        await eventually(ended, "a revoked key is none")
    async with browser(tls_relay, cookie(ring, viewer)) as member:
        await scrape(member)
    async with browser(tls_relay, cookie(ring, porch)) as guest, guest.get("/metrics") as answer:
        assert answer.status == 403


async def test_metrics_tell_no_secret_and_nobodys_address(tls_relay: Relay, name: str) -> None:
    ring = Keyring.open(tls_relay.state)
    camera, viewer = ring.keys[:2]
    everything = cookie(ring, camera, viewer)
    head = {"additional_headers": {"Cookie": everything}}
    async with (
        browser(tls_relay) as one,
        peer(tls_relay, f"/camera/{name}", **head) as filming,
        peer(tls_relay, f"/player/{name}", **head) as watching,
    ):
        await film(filming, VP8)
        await watching.until(frames)
        async with one.get("/metrics", headers=bearer(viewer.secret)) as answer:
            text = await answer.text()
    assert name in text
    tokens = [ring.token(key, purpose) for key in ring.keys for purpose in (COOKIE, TICKET)]
    assert not [
        secret for secret in (*tokens, *(key.secret for key in ring.keys)) if secret in text
    ]
    assert "127.0.0.1" not in text and "localhost" not in text


async def test_who_guesses_keys_at_metrics_is_slowed_down_as_everywhere() -> None:
    """A relay of its own, because it is this address that has to wait."""
    with Relay("--tls", "--host", "127.0.0.1") as relay:
        viewer = Keyring.open(relay.state).keys[1]
        ring = Keyring.open(relay.state)
        async with browser(relay) as guesser, browser(relay, cookie(ring, viewer)) as member:
            answers: list[tuple[int, str]] = []
            for number in range(limits.GUESSES_AT_ONCE * 2):
                async with guesser.get(
                    "/metrics", headers=bearer(f"aaaa-bbbb-cccc-{number:04}")
                ) as answer:
                    answers.append((answer.status, answer.headers.get("Retry-After", "")))
            assert {status for status, _ in answers[: limits.GUESSES_AT_ONCE]} == {401}
            waits = [int(wait) for status, wait in answers if status == 429]
            assert waits and all(1 <= wait <= limits.SECONDS_PER_GUESS for wait in waits)
            found = await scrape(member)
            wrong = sum(status == 401 for status, _ in answers)
            assert (
                found["drawercam_wrong_keys_total", ""]
                == found["drawercam_refusals_total", "wrong-key"]
                == wrong
            )
            assert found["drawercam_refusals_total", "too-many-keys"] == len(waits)

            async def right() -> bool:
                async with guesser.get("/metrics", headers=bearer(viewer.secret)) as answer:
                    return answer.status == 200

            await eventually(right, "the right key is taken again after a while")
        assert "gave a wrong key" in relay.output and "aaaa-bbbb" not in relay.output


async def test_without_the_library_the_relay_runs_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('it is not installed')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Relay() as relay:
        async with aiohttp.ClientSession(relay.origin) as client:
            async with client.get("/metrics") as answer:
                assert answer.status == 501
                said = await answer.json()
            assert said["error"] == "no-metrics" and "prometheus-client" in said["text"]
            async with client.get("/healthz") as answer:
                assert answer.status == 200
        assert "Traceback" not in relay.output


def test_the_right_of_metrics_is_that_of_watching_everything() -> None:
    """The row names no camera, and no key for some cameras allows to watch the one without a
    name.
    """
    assert METRICS.method == "GET" and "{" not in METRICS.path
    everything, some, nothing = (Scope(everything=True), PORCH, NOTHING)
    assert ("" in everything, "" in some, "" in nothing) == (True, False, False)
