"""What the camera's page says, as functions of what is: no camera, no relay's answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.browsers import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

LIVE: dict[str, Any] = {
    "state": "live",
    "reason": "",
    "pause": None,
    "restarting": False,
    "away": None,
    "refusal": None,
    "viewers": 2,
    "slow": False,
    "held": False,
    "failure": "",
    "mute": False,
    "fps": 29.7,
    "bitsPerSecond": 1_240_000,
}
_STATUS_WORDS = (
    "async (status, facts) => (await "
    "import('/web/camera/page/status-words.js')).statusWords(status, facts)"
)

FACTS = {"news": "", "width": 640, "height": 480, "byRequests": False}


@pytest.mark.parametrize(
    ("changes", "news", "words"),
    [
        ({}, "", ["live", "Live", "30 pictures/s · 1.2 Mbit/s"]),
        ({"fps": 1.2}, "", ["live", "Live", "1 picture/s · "]),
        ({"fps": 0.45}, "", ["live", "Live", "1 picture in 2 s · "]),
        (
            {"fps": 0.1, "slow": True},
            "",
            ["live", "Live", "Slow network: 640 × 480, 1 picture in 10 s, "],
        ),
        ({"fps": 0}, "", ["live", "Live", "0 pictures/s · "]),
        (
            {"fps": None, "bitsPerSecond": 994_000, "mute": True},
            "",
            ["live", "Live", "994 kbit/s · this browser cannot record sound"],
        ),
        ({}, "The camera stood still.", ["live", "Live", "The camera stood still."]),
        (
            {"slow": True, "fps": 9.6, "bitsPerSecond": 80_400},
            "",
            ["live", "Live", "Slow network: 640 × 480, 10 pictures/s, 80 kbit/s"],
        ),
        (
            {"slow": True, "held": True},
            "",
            ["live", "Live", "Slow network: waiting until it has caught up"],
        ),
        ({"state": "starting"}, "", ["connecting", "Starting", ""]),
        ({"state": "connecting"}, "", ["connecting", "Connecting", ""]),
        ({"state": "gone"}, "", ["gone", "The relay does not answer", "This page goes on trying."]),
        (
            {"state": "gone", "restarting": True},
            "",
            ["connecting", "The relay is restarting", "It will be back in a moment"],
        ),
        (
            {"state": "gone", "away": {"at": 0, "stopped": False, "moved": True}},
            "",
            ["gone", "The relay has moved to another address", "This page goes on trying"],
        ),
        (
            {"state": "gone", "refusal": {"id": "too-many", "text": "There are too many cameras."}},
            "",
            ["gone", "The relay refuses this page", "There are too many cameras."],
        ),
        ({"failure": "It broke."}, "", ["gone", "The recorder does not work", "It broke."]),
        (
            {"state": "paused", "reason": "unwatched"},
            "",
            [
                "paused",
                "Asleep, nobody is watching",
                "It wakes up as soon as somebody watches. If the screen is dark, a touch",
            ],
        ),
        (
            {"state": "paused", "reason": "background"},
            "",
            ["paused", "Paused, page is hidden", "Come back"],
        ),
        (
            {"state": "paused", "reason": "interrupted"},
            "",
            ["paused", "Paused, no picture", "A call or another app"],
        ),
        (
            {"state": "paused", "reason": "interrupted"},
            "Taken again.",
            ["paused", "Paused, no picture", "Taken again."],
        ),
        (
            {
                "state": "paused",
                "reason": "viewers",
                "pause": {"by": ["192.168.1.7"], "votes": 1, "watching": 1},
            },
            "",
            ["paused", "Paused by the viewers", "192.168.1.7 cannot keep up. Filming goes on"],
        ),
        (
            {
                "state": "paused",
                "reason": "viewers",
                "pause": {"by": [], "votes": 2, "watching": 3},
            },
            "",
            ["paused", "Paused by the viewers", "2 of 3 viewers cannot keep up."],
        ),
    ],
)
async def test_each_state_has_its_words(
    page: Page, changes: dict[str, Any], news: str, words: list[str]
) -> None:
    said = await page.evaluate(_STATUS_WORDS, LIVE | changes, FACTS | {"news": news})
    assert said[:2] == words[:2]
    assert said[2].startswith(words[2])
    assert words[2] or not said[2]


async def test_what_goes_by_requests_says_so(page: Page) -> None:
    said = await page.evaluate(_STATUS_WORDS, LIVE, FACTS | {"byRequests": True})
    assert said == ["live", "Live", "30 pictures/s · 1.2 Mbit/s · slower connection: no WebSocket"]


async def test_only_a_relay_knows_who_watches(page: Page) -> None:
    said = await page.evaluate(
        """async (live) => {
          const { viewerWords } = await import("/web/camera/page/status-words.js");
          return [live, { ...live, viewers: 1 }, { ...live, state: "gone" }, { ...live, state: "connecting" }].map(viewerWords);
        }""",
        LIVE,
    )
    assert said == ["2 viewers", "1 viewer", "", ""]


async def test_the_encoder_in_words(page: Page) -> None:
    facts = {
        "encoder": "codecs",
        "codec": "vp09.00.10.08",
        "delay": 4.23,
        "dropped": {"network": 0, "encoder": 0},
        "remark": "",
        "begun": 0,
    }
    bad = {
        "encoder": "recorder",
        "delay": 31.4,
        "dropped": {"network": 3, "encoder": 1},
        "remark": "Alas.",
        "begun": 2,
    }
    said = await page.evaluate(
        (
            "async (...all) => { const { encoderWords } = await "
            "import('/web/camera/page/status-words.js'); return all.map(encoderWords); }"
        ),
        facts,
        facts | bad,
        facts | {"codec": "avc1.42E01F", "delay": None, "begun": 1},
        facts | {"encoder": ""},
    )
    assert said == [
        "Films with WebCodecs, VP9 · 4.2 ms to encode a picture",
        "Alas. Films with the browser’s recorder · 31 ms to encode a picture · network too "
        "slow for 3 pictures · "
        "phone too busy for 1 picture · "
        "begun afresh 2 times",
        "Films with WebCodecs, H.264 · begun afresh once",
        "",
    ]


async def test_what_was_left_out_is_told_for_ten_seconds(page: Page) -> None:
    said = await page.evaluate(
        """async () => {
          const { Drops } = await import("/web/camera/publish/recent-drops.js");
          const drops = new Drops();
          const at = (seconds, network, encoder) => drops.lately({ network, encoder }, seconds * 1000);
          return [at(0, 5, 1), at(1, 5, 1), at(2, 9, 1), at(10.5, 9, 1), at(12.5, 9, 1), at(13, 0, 0), at(14, 1, 0)];
        }"""
    )
    counts = [(one["network"], one["encoder"]) for one in said]
    assert counts == [(0, 0), (0, 0), (4, 0), (4, 0), (0, 0), (0, 0), (1, 0)]


async def test_times_and_names(page: Page) -> None:
    said = await page.evaluate(
        """async () => {
          const { duration } = await import("/web/camera/page/status-words.js");
          const { cutToLabel, freshName, isName, nameOf } = await import("/web/shared/page/camera-name.js");
          return [[0, 65000, 3845000].map(duration), ["Front Door", "-Émile's_Cam.2-", "x".repeat(40), "日本"].map(nameOf),
            ["porch", "", "-a", "a b", "x".repeat(33), freshName()].map(isName), ["e\u0301".repeat(40), "😀".repeat(41)].map(cutToLabel)];
        }"""
    )
    assert said[0] == ["0:00", "1:05", "1:04:05"]
    assert said[1] == ["front-door", "emiles-cam-2", "x" * 32, "camera-8721"]
    assert said[2] == [True, False, False, False, False, True]
    assert said[3] == ["e\u0301" * 40, "😀" * 40]
