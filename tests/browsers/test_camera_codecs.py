"""Cameras that film with WebCodecs: what they send, what they leave out, and how they choose."""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import random
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import av
import pytest
import pytest_asyncio
from av.video.frame import VideoFrame

from drawercam.media.containers.webm import WebmReader
from drawercam.media.packets import Codec, Packet, Track
from tests.browsers.conftest import Browsers
from tests.harness.browsers import Browser, Chromium, Page
from tests.harness.pages import PATIENCE, PREVIEW, listening, moving, state
from tests.harness.peers import Peer, peer
from tests.harness.relays import Relay

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

# An engine's surroundings in a page: a link that never fails, and what the engine gives.
FAKE_LINK = """
  const link = { buffered: 0, at: (moment) => moment * 1000 + 5e6 };
  const sent = [];
  const told = [];
  const output = {
    onstart: (mime, facts) => told.push({ mime, ...facts }),
    onbytes: (bytes) => sent.push(bytes),
    onfailure: (text) => told.push({ failure: text }),
  };
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const until = async (condition) => { while (!condition()) await sleep(5); };
  const text = (bytes) => {
    let all = "";
    for (const byte of new Uint8Array(bytes)) all += String.fromCharCode(byte);
    return btoa(all);
  };
  const track = () => document.getElementById("picture").srcObject.getVideoTracks()[0];
"""


@pytest_asyncio.fixture(loop_scope="session")
async def idle(chromium: Browser, relay: Relay) -> AsyncIterator[Page]:
    """A camera's page that shows its picture and does not film."""
    page = await chromium.page(f"{relay.origin}/camera.html?name=idle")
    await page.wait_for("document.getElementById('camera').dataset.encoder", PATIENCE)
    yield page
    assert page.errors == []
    await page.close()


def read(messages: list[str]) -> list[Track | Packet]:
    """What the relay makes of a stream's messages; every one belongs to stream 1."""
    reader = WebmReader()
    events: list[Track | Packet] = []
    for message in map(base64.b64decode, messages):
        assert message[0] == 1
        events += reader.feed(message[1:])
    return events


def decoded(data: bytes) -> list[VideoFrame]:
    """All pictures of a WebM file; raises where one cannot be decoded."""
    with av.open(io.BytesIO(data), "r") as container:
        container.streams.video[0].codec_context.options = {"err_detect": "explode"}
        return list(container.decode(video=0))


async def cameras(relay: Relay) -> dict[str, dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.get(f"{relay.origin}/api/cameras") as answer:
        return {camera["name"]: camera for camera in await answer.json()}


async def film(browser: Browser, relay: Relay, name: str, more: str = "&encoder=codecs") -> Page:
    size = (
        "" if "width=" in more else "&width=320&height=240"
    )  # a small picture leaves time for the rest
    page = await browser.page(f"{relay.origin}/camera.html?name={name}&start=1{size}{more}")
    if isinstance(browser, Chromium):
        await page.resize(*PREVIEW)
    await page.wait_for("document.querySelector('#status').dataset.state === 'live'", PATIENCE)
    return page


class Sent(NamedTuple):
    """What a frame message says of itself (docs/protocol.md, "Tracks to a player")."""

    number: int
    key: bool
    when: int  # milliseconds of the relay's clock at which it was captured

    @classmethod
    def of(cls, message: bytes) -> Sent | None:
        """None for an init segment."""
        if message[:4] == b"\x1fC\xb6u":
            return cls(
                message[23] & 0x7F, bool(message[26] & 0x80), int.from_bytes(message[10:18], "big")
            )
        if message[4:8] == b"moof":
            return cls(
                int.from_bytes(message[44:48], "big"),
                message[48] == 2,
                int.from_bytes(message[64:72], "big") // 1000,
            )
        return None


def frames(player: Peer, number: int = 1, key: bool = False) -> list[Sent]:
    """The frames of a track that a player was sent, all or only keyframes."""
    found = [sent for one in player.media if (sent := Sent.of(one)) and sent.number == number]
    return [sent for sent in found if sent.key] if key else found


@pytest.mark.parametrize(
    "browser",
    ["chromium", pytest.param("firefox", marks=pytest.mark.long), "webkit"],
    indirect=True,
)
async def test_every_browser_films_with_webcodecs_and_chromium_watches(
    relay: Relay, chromium: Browser, browser: Browser
) -> None:
    name = f"codecs-{browser.name.lower()}"
    page = await film(browser, relay, name)
    assert await page.evaluate("document.getElementById('camera').dataset.encoder") == "codecs"
    async with peer(relay, f"/player/{name}") as player:
        await player.message("track", number=1)
        await player.message("track", number=2, codec="opus")
        await player.until(
            lambda one: len(frames(one)) > 30 and len(one.media) > 60, "for pictures and sound"
        )

        def together(one: Peer) -> bool:
            sound = frames(one, 2)
            return bool(sound) and abs(sound[-1].when - frames(one)[-1].when) < 1000

        await player.until(together, "for sound and picture to lie on one timeline")
        times = [one.when for one in frames(player)]
        assert times == sorted(set(times)), "captures follow one another"
    camera = (await cameras(relay))[name]
    assert camera["framesPerSecond"] > 0
    watcher = await chromium.page(f"{relay.origin}/player.html?camera={name}")
    await moving(watcher)
    await state(watcher, "live")
    await listening(watcher)
    await watcher.close()
    assert await page.evaluate("document.getElementById('camera').dataset.encoder") == "codecs", (
        "it did not give way"
    )
    await page.refresh_console()
    assert page.errors == []
    await page.close()


async def test_a_player_gets_a_keyframe_when_it_asks(relay: Relay, chromium: Browser) -> None:
    page = await film(chromium, relay, "keys")
    async with peer(relay, "/player/keys") as player:
        # By themselves keyframes are two seconds apart; the relay passes on a wish at most a few
        # times a second.
        for _ in range(4):
            known = len(frames(player, key=True))
            await player.send(type="keyframe")
            await player.until(
                lambda one, known=known: len(frames(one, key=True)) > known,  # type: ignore[misc]
                "for a keyframe",
            )
            await asyncio.sleep(0.2)
    times = [one.when for one in frames(player, key=True)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert sorted(gaps)[1] < 1900, gaps
    await page.close()


async def test_a_picture_that_changes_its_size_goes_on(relay: Relay, chromium: Browser) -> None:
    page = await film(chromium, relay, "turned", "&encoder=codecs&width=640&height=480")
    async with peer(relay, "/player/turned") as player:
        await player.message("track", number=1, width=640, height=480)
        await player.until(lambda one: len(frames(one)) > 10)
        track = "document.getElementById('picture').srcObject.getVideoTracks()[0]"
        await page.evaluate(f"{track}.applyConstraints({{ width: 320, height: 240 }})")
        async with asyncio.timeout(PATIENCE):
            while (await cameras(relay))["turned"]["tracks"][0]["width"] != 320:  # noqa: ASYNC110 - the API has no events
                await asyncio.sleep(0.1)
        known = len(frames(player))
        await player.until(lambda one: len(frames(one)) > known + 20)
        # A decoder that began before the change goes on through it, or the relay has begun another
        # track.
        begin = max(
            i
            for i, one in enumerate(player.media)
            if Sent.of(one) is None and b"OpusHead" not in one
        )
        pictures = [
            one for one in player.media[begin + 1 :] if (sent := Sent.of(one)) and sent.number == 1
        ]
        shown = decoded(b"".join([player.media[begin], *pictures]))
        assert len(shown) == len(pictures) > 10
        assert {(picture.width, picture.height) for picture in shown[-10:]} == {(320, 240)}
    await page.wait_for("document.querySelector('#status').dataset.state === 'live'", PATIENCE)
    await page.close()


CODECS = {"vp8": Codec.VP8, "avc1.42E01F": Codec.H264, "vp09.00.10.08": Codec.VP9}


@pytest.mark.parametrize("codec", CODECS)
async def test_a_stuck_network_leaves_pictures_out_before_the_encoder(
    idle: Page, codec: str
) -> None:
    """What comes out before and after can be decoded as one stream, and nothing was sent while it
    was stuck.
    """
    asked = (
        "async (codec) => (await VideoEncoder.isConfigSupported({ codec, width: 640, height: "
        "480 })).supported"
    )
    if not await idle.evaluate(asked, codec):
        pytest.skip(f"this Chromium does not encode {codec}")
    found: dict[str, Any] = await idle.evaluate(
        f"""async (codec) => {{
          {FAKE_LINK}
          const {{ CodecsEngine }} = await import("/web/camera/encode/webcodecs.js");
          const engine = new CodecsEngine(1, output, {{ link, codec, drawn: false }});
          engine.start(track());
          await until(() => sent.length > 8);
          link.buffered = 1e9;
          await until(() => engine.inside.length === 0);
          const before = sent.length, dropped = engine.stats.dropped.network;
          await until(() => engine.stats.dropped.network > dropped + 5);
          const during = sent.length;
          link.buffered = 0;
          engine.quality = 0.5;
          await until(() => sent.length > during + 10);
          engine.stop();
          const after = sent.length;
          await sleep(200);
          return {{ told, before, during, dropped: engine.stats.dropped, late: sent.length - after, messages: sent.map(text) }};
        }}""",
        codec,
    )
    assert found["during"] == found["before"]
    assert found["dropped"]["network"] > 5
    assert found["late"] == 0, "nothing comes after stop()"
    assert [(one["mime"], one["keyframes"]) for one in found["told"]] == [
        (f"video/webm;codecs={codec}", True)
    ]
    packets = [event for event in read(found["messages"]) if isinstance(event, Packet)]
    assert len(packets) == len(found["messages"]) - 1
    assert packets[0].key
    assert packets[0].timestamp == 0
    assert all(
        earlier.timestamp < later.timestamp for earlier, later in itertools.pairwise(packets)
    )
    assert {packet.track.codec for packet in packets} == {CODECS[codec]}
    if (
        codec != "avc1.42E01F"
    ):  # Annex B without a configuration is for the relay, not for FFmpeg's demuxer
        assert len(
            decoded(b"".join(base64.b64decode(one)[1:] for one in found["messages"]))
        ) == len(packets)


async def test_a_slow_encoder_gets_no_queue(chromium: Browser, idle: Page) -> None:
    found: dict[str, Any] = await idle.evaluate(
        f"""async () => {{
          {FAKE_LINK}
          // An encoder whose pictures come out a quarter of a second later, one after the other.
          const {{ CodecsEngine }} = await import("/web/camera/encode/webcodecs.js");
          const Real = VideoEncoder;
          let given = 0, taken = 0, most = 0, gate = Promise.resolve();
          window.VideoEncoder = class {{
            constructor(init) {{
              this.real = new Real({{ error: init.error, output: (chunk, facts) => {{
                gate = gate.then(() => sleep(250)).then(() => {{ taken += 1; init.output(chunk, facts); }});
              }} }});
            }}
            get state() {{ return this.real.state; }}
            get encodeQueueSize() {{ return this.real.encodeQueueSize; }}
            configure(config) {{ this.real.configure(config); }}
            encode(frame, options) {{ given += 1; most = Math.max(most, given - taken); this.real.encode(frame, options); }}
            close() {{ this.real.close(); }}
          }};
          try {{
            const engine = new CodecsEngine(1, output, {{ link, codec: "vp8", drawn: false }});
            engine.start(track());
            await until(() => sent.length > 6 && engine.stats.dropped.encoder > 5);
            engine.stop();
            return {{ most, dropped: engine.stats.dropped, messages: sent.map(text) }};
          }} finally {{
            window.VideoEncoder = Real;
          }}
        }}"""
    )
    assert found["most"] <= 2
    assert found["dropped"]["encoder"] > 5
    assert found["dropped"]["network"] == 0
    assert (
        len(decoded(b"".join(base64.b64decode(one)[1:] for one in found["messages"])))
        == len(found["messages"]) - 1
    )


async def test_the_relay_reads_what_the_writer_writes(idle: Page) -> None:
    chance = random.Random(7)
    frames = []
    timestamp = 0
    for index in range(200):
        key = index == 0 or chance.random() < 0.2
        size = chance.choice([0, 1, 90, 127, 128, 16_383, 16_384, 70_000])
        # RFC 6386 section 9.1: the tag, and for a keyframe its start code and size.
        head = (
            b"\x10\0\0\x9d\x01\x2a" + (640).to_bytes(2, "little") + (480).to_bytes(2, "little")
            if key
            else b"\x11\0\0"
        )
        frames.append((timestamp, key, head + chance.randbytes(size)))
        timestamp += chance.choice([1, 999, 33_333, 10**6, 2**32, 10**12])
    messages: list[str] = await idle.evaluate(
        f"""async (frames) => {{
          {FAKE_LINK}
          const {{ webmFrame, webmHeader }} = await import("/web/camera/encode/webm-writer.js");
          sent.push(webmHeader(1, {{ codec: "V_VP8", width: 640, height: 480 }}));
          for (const [timestamp, key, data] of frames) {{
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            sent.push(webmFrame(1, timestamp, key, {{ byteLength: bytes.length, copyTo: (target) => target.set(bytes) }}));
          }}
          return sent.map(text);
        }}""",
        [(timestamp, key, base64.b64encode(data).decode()) for timestamp, key, data in frames],
    )
    track, *packets = read(messages)
    assert isinstance(track, Track)
    assert (track.codec, track.width, track.height) == (Codec.VP8, 640, 480)
    assert [
        (packet.timestamp, packet.key, packet.data)
        for packet in packets
        if isinstance(packet, Packet)
    ] == frames


async def test_the_relay_reads_the_header_of_sound(idle: Page) -> None:
    head = b"OpusHead\x01\x02\x78\x00\x80\xbb\x00\x00\x00\x00\x00"
    messages: list[str] = await idle.evaluate(
        f"""async (head) => {{
          {FAKE_LINK}
          const {{ webmFrame, webmHeader }} = await import("/web/camera/encode/webm-writer.js");
          sent.push(webmHeader(1, {{ codec: "A_OPUS", sampleRate: 48000, channels: 2, config: Uint8Array.from(head) }}));
          sent.push(webmFrame(1, 20000, true, {{ byteLength: 3, copyTo: (target) => target.set([0xf8, 1, 2]) }}));
          return sent.map(text);
        }}""",
        list(head),
    )
    track, packet = read(messages)
    assert isinstance(track, Track)
    assert isinstance(packet, Packet)
    assert (track.codec, track.config, track.sample_rate, track.channels) == (
        Codec.OPUS,
        head,
        48000,
        2,
    )
    assert (packet.timestamp, packet.duration, packet.data) == (20_000, 20_000, b"\xf8\1\2")


@pytest.mark.parametrize(
    ("delays", "codecs"),
    [
        ({"vp8": {"least": 3, "median": 4}, "recorder": {"least": 3, "median": 4}}, ["vp8"]),
        ({"vp8": {"least": 3, "median": 4}, "recorder": "failed"}, ["vp8"]),
        ({"vp8": {"least": 9, "median": 10}, "recorder": {"least": 6, "median": 8}}, ["vp8"]),
        ({"vp8": {"least": 24, "median": 30}, "recorder": {"least": 6, "median": 8}}, []),
        ({"vp8": {"least": 40, "median": 50}, "recorder": {"least": 40, "median": 60}}, []),
        (
            {"vp8": {"least": 20, "median": 25}, "avc1.42E01F": {"least": 4, "median": 6}},
            ["avc1.42E01F", "vp8"],
        ),
        (
            {"vp8": {"least": 20, "median": 25}, "avc1.42E01F": {"least": 18, "median": 22}},
            ["vp8", "avc1.42E01F"],
        ),
        (
            {"vp8": {"least": 3, "median": 12}, "avc1.42E01F": {"least": 2, "median": 30}},
            ["avc1.42E01F", "vp8"],
        ),
        (
            {
                "vp8": {"least": 3, "median": 4},
                "avc1.42E01F": {"least": 1.5, "median": 2},
                "vp09.00.10.08": {"least": 2, "median": 3},
            },
            ["avc1.42E01F", "vp09.00.10.08", "vp8"],
        ),
        (
            {"vp8": "failed", "avc1.42E01F": {"least": 4, "median": 20}, "recorder": None},
            ["avc1.42E01F"],
        ),
        ({"vp8": "failed", "recorder": {"least": 4, "median": 20}}, []),
        ({}, []),
    ],
)
async def test_the_rule_of_the_choice(
    idle: Page, delays: dict[str, Any], codecs: list[str]
) -> None:
    decide = (
        "async (delays) => (await "
        "import('/web/camera/encode/encoder-trial.js')).decide(delays, 1000 / 30)"
    )
    chosen = await idle.evaluate(decide, delays)
    assert chosen == codecs


async def test_a_camera_films_what_all_viewers_play_or_stays(idle: Page) -> None:
    """Each step: what happens, and what films after that."""
    ways = await idle.evaluate(
        """async () => {
          const { Filming } = await import("/web/camera/publish/filming.js");
          const ways = {};
          const handlers = { onstatus() {}, onend() {}, onfit() {}, onorient() {} };
          for (const [name, codecs, spare] of [["codecs", ["avc1.42E01F", "vp8"], []], ["recorder", [], ["avc1.42E01F"]]]) {
            const filming = new Filming("porch", handlers, { choice: new Promise(() => {}) });
            filming.ticker = 1; // it goes on, although nothing ticks
            filming._equip({ codecs, spare, delays: {}, drawn: false, sound: false, remark: "" });
            const now = () => filming.way.codec || filming.way.types[0];
            const asked = (codec, ...plays) => (filming._told({ type: "unplayable", codec, plays }), now());
            ways[name] = [now(), asked("avc1.42E01F", "vp8", "opus"), asked("vp8", "h264"), asked("vp8", "vp9", "aac")];
            ways[name].push((filming._giveWay(1, "it does not work"), now()), asked("vp8", "vp9"), asked("opus", "h264", "aac"));
            ways[name].push(asked("avc1.42E01F", "av1", "hevc"), asked("avc1.42E01F", "vp8"));
            filming.link.state = "open";
            filming.watchedAt = performance.now() - 10001;
            filming.viewers = 1;
            ways[name].push((filming._tick(), now()));
            filming.viewers = 0;
            ways[name].push((filming._tick(), now()));
            filming.watchedAt = performance.now() - 10001;
            ways[name].push((filming._tick(), now()));
            filming.stop();
          }
          return ways;
        }"""
    )
    recorded = [f"video/webm;codecs={codec}" for codec in ("vp8", "h264", "vp9")]
    vp8, h264, vp9 = recorded
    own = "avc1.42E01F"
    assert ways["codecs"] == [own, "vp8", own, vp9, own, own, own, own, "vp8", "vp8", "vp8", own]
    assert ways["recorder"] == [vp8, vp8, h264, vp9, vp8, vp8, vp8, vp8, vp8, vp8, vp8, vp8]


async def test_a_codec_that_a_viewer_cannot_play_is_given_up(
    relay: Relay, chromium: Browser
) -> None:
    page = await film(chromium, relay, "other-codec", "&encoder=avc1")
    async with peer(relay, "/player/other-codec") as player:
        first = await player.message("track", number=1)
        assert first["codec"].startswith("avc1")
        await player.send(type="join", plays=["vp8", "vp9", "h264", "opus"])
        await player.send(type="unplayable", codec=first["codec"])
        await page.wait_for(
            "document.getElementById('camera').dataset.encoder === 'recorder'", PATIENCE
        )
        await player.until(
            lambda one: [
                text
                for text in one.messages
                if text.get("kind") == "video" and text["codec"] != first["codec"]
            ]
        )
    await page.close()


@pytest.mark.long
async def test_no_picture_is_lost_unclosed_when_the_source_is_stopped(relay: Relay) -> None:
    """Chrome lends a camera's pictures: those that are not closed are missing in the next
    stream.
    """
    if missing := Chromium.missing():
        pytest.skip(missing)
    async with Chromium(arguments=["--js-flags=--expose-gc"]) as browser:
        page = await browser.page(f"{relay.origin}/camera.html?name=thrifty")
        await page.wait_for("document.getElementById('camera').dataset.encoder", PATIENCE)
        seen = await page.evaluate(
            f"""async () => {{
              {FAKE_LINK}
              const {{ Pictures }} = await import("/web/camera/encode/video-frames.js");
              let seen = 0;
              for (let turn = 0; turn < 60; turn += 1) {{
                const pictures = new Pictures({{ onpicture: (frame) => (seen += 1, frame.close()), onfailure() {{}} }}, {{ drawn: false }});
                pictures.start(track());
                await sleep(30 + Math.random() * 100);
                for (const end = performance.now() + (turn % 3) * 40; performance.now() < end;);
                pictures.stop();
                if (turn % 10 === 9) await sleep(50).then(gc);
              }}
              await sleep(100).then(gc);
              return seen;
            }}"""
        )
        assert seen > 30
        assert page.errors == []


@pytest.mark.parametrize(
    "browser",
    ["chromium", pytest.param("firefox", marks=pytest.mark.long), "webkit"],
    indirect=True,
)
async def test_the_choice_was_measured(relay: Relay, browser: Browser) -> None:
    page = await browser.page(f"{relay.origin}/camera.html?name=measured")
    await page.wait_for("document.getElementById('camera').dataset.encoder", PATIENCE)
    choice: dict[str, Any] = await page.evaluate(
        """async () => {
          const { chooseEncoder } = await import("/web/camera/encode/encoder-trial.js");
          const preview = document.getElementById("picture");
          return await chooseEncoder(preview.srcObject.getVideoTracks()[0], preview, "");
        }"""
    )
    assert choice["encoder"] in ("codecs", "recorder")
    assert choice["delays"], "something was tried"
    for found in choice["delays"].values():
        assert found in (None, "failed", "refused") or 0 <= found["least"] <= found["median"] < 1500
    assert choice["sound"]
    await page.close()


async def test_the_address_forces_the_recorder(relay: Relay, chromium: Browser) -> None:
    page = await film(chromium, relay, "forced", "&encoder=recorder")
    assert await page.evaluate("document.getElementById('camera').dataset.encoder") == "recorder"
    async with peer(relay, "/player/forced") as player:
        await player.until(lambda one: len(frames(one)) > 10)
    await page.close()


# Keeps what a camera says of its streams.
ANNOUNCED = """
  window.announced = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    if (typeof data === "string" && JSON.parse(data).type === "stream") window.announced.push(JSON.parse(data));
    return send.call(this, data);
  };"""


async def tells_of_its_pictures(page: Page) -> None:
    """Their rate, and that there is sound with them; of sound itself, nothing."""
    rate = await page.evaluate(
        "document.getElementById('picture').srcObject.getVideoTracks()[0].getSettings().frameRate"
    )
    announced = await page.evaluate("window.announced")
    told = {one["stream"]: (one.get("interval"), one.get("sound")) for one in announced}
    assert told == {1: (round(1e6 / rate), True), 2: (None, None)}


async def test_a_browser_without_webcodecs_says_so_and_films(
    relay: Relay, browsers: Browsers
) -> None:
    """Also what an old phone does: none of the newer interfaces is there."""
    names = [
        "VideoEncoder",
        "AudioEncoder",
        "VideoFrame",
        "AudioData",
        "MediaStreamTrackProcessor",
        "AudioWorkletNode",
    ]
    script = (
        f"for (const name of {names}) delete window[name]; delete "
        "HTMLVideoElement.prototype.requestVideoFrameCallback;"
    )
    async with browsers.chromium(script, ANNOUNCED) as phone:
        page = await film(phone, relay, "old")
        assert (
            await page.evaluate("document.getElementById('camera').dataset.encoder") == "recorder"
        )
        assert "cannot film with WebCodecs" in await page.evaluate(
            "document.getElementById('encoder').textContent"
        )
        async with peer(relay, "/player/old") as player:
            await player.until(lambda one: len(frames(one)) > 10)
        await tells_of_its_pictures(page)
        assert page.errors == []


async def test_without_a_track_processor_the_pictures_and_samples_come_another_way(
    relay: Relay, browsers: Browsers
) -> None:
    async with browsers.chromium("delete window.MediaStreamTrackProcessor", ANNOUNCED) as phone:
        page = await film(phone, relay, "other-way")
        assert await page.evaluate("document.getElementById('camera').dataset.encoder") == "codecs"
        async with peer(relay, "/player/other-way") as player:
            await player.message("track", number=2)
            await player.until(lambda one: len(frames(one)) > 10)
        await tells_of_its_pictures(page)
        assert page.errors == []


async def test_a_webcodecs_encoder_that_breaks_gives_way_to_the_recorder(
    relay: Relay, browsers: Browsers
) -> None:
    script = """
      const encode = VideoEncoder.prototype.encode;
      VideoEncoder.prototype.encode = function (...values) {
        if (window.broken) throw new DOMException("broken", "OperationError");
        return encode.apply(this, values);
      };"""
    async with browsers.chromium(script) as phone:
        page = await film(phone, relay, "breaking")
        async with peer(relay, "/player/breaking") as player:
            await player.until(lambda one: len(frames(one)) > 10)
            await page.evaluate("window.broken = true")
            await page.wait_for(
                "document.getElementById('camera').dataset.encoder === 'recorder'", PATIENCE
            )
            assert "WebCodecs has failed" in await page.evaluate(
                "document.getElementById('encoder').textContent"
            )
            known = len(player.media)
            await player.until(lambda one: len(one.media) > known + 10 and len(frames(one)) > 20)
        assert page.errors == []
