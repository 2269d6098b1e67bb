"""The parts of the wall's page, each without the page: keys in words, kept sound, the
invitation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")

PAGE = """
  globalThis.addEventListener = globalThis.setInterval = () => undefined;
  const stored = { getItem: () => null, setItem() {}, removeItem() {} };
  const location = new URL("https://relay.invalid/player.html");
  const document = { visibilityState: "visible", addEventListener() {} };
  const history = { replaceState() {} };
  const page = { location, document, history, localStorage: stored, sessionStorage: stored };
  Object.assign(globalThis, page);
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modules(tmp_path_factory.mktemp("scripts"))


def test_a_key_says_what_it_opens(scripts: Path) -> None:
    told = run(
        scripts,
        PAGE
        + """const { guestWords, mayWatch, otherWay, otherWords } = await load("player/wall/key-words.js");
        const watches = (...watch) => ({ keys: true, viewer: true, camera: false, watch });
        const films = { keys: true, viewer: false, camera: true, watch: [] };
        const five = watches("a", "b", "c", "d", "e"), names = [watches("a"), watches("a", "b"), five];
        return [
          [...names, films, { ...films, link: true }, { ...films, camera: false }].map(otherWords),
          [watches("a"), five, films, null].map(otherWay),
          [mayWatch(five, null), mayWatch(five, "c"), mayWatch(five, "x"), mayWatch(films, null)],
          mayWatch({ ...films, keys: false }, "x"),
          [null, films, watches("a"), five].map(guestWords),
        ];""",
    )
    assert told[0][:3] == [
        "Your key is for a only.",
        "Your key is for a and b only.",
        "Your key is for a, b, c and 2 more only.",
    ]
    assert told[0][3] == "This browser has a “Film” key."
    assert told[0][4].startswith("This link is for filming.") and told[0][5] == ""
    assert told[1] == [
        {"href": "/player.html?camera=a", "text": "Watch a"},
        {"href": "/player.html", "text": "Watch those"},
        {"href": "/camera.html", "text": "Film with this device"},
        None,
    ]
    assert told[2:4] == [[True, True, False, False], True]
    guest = (
        "Your key is for a, b, c and 2 more only. Each of them will be here as soon as it films."
    )
    alone = "Your key is for a only. a will be here as soon as it films."
    assert told[4] == ["", "", alone, guest]


def test_sound_is_kept_as_the_history_has_it(scripts: Path) -> None:
    told = run(
        scripts,
        """const { KeptSound } = await load("player/wall/kept-sound.js"), found = [];
        for (const state of [null, { large: "a" }, { sound: "a", loudness: { a: 7 } }]) {
          const kept = new KeptSound(state, () => undefined);
          found.push([kept.isOn("a"), kept.loudnessOf("a"), kept.kept]);
        }
        let changes = 0;
        const kept = new KeptSound({ sound: ["a", "b"], loudness: { b: 0.5 } }, () => (changes += 1));
        kept.turn("a", false), kept.turn("c", true), kept.setLoudness("c", 0.25);
        return [found, kept.kept, kept.loudnessOf("b"), changes];""",
    )
    none: dict[str, Any] = {"sound": [], "loudness": {}}
    assert told[0] == [
        [False, 1, none],
        [False, 1, none],
        [False, 1, {"sound": [], "loudness": {"a": 7}}],
    ]
    assert told[1:] == [{"sound": ["b", "c"], "loudness": {"b": 0.5, "c": 0.25}}, 0.5, 3]


def test_an_invitation_keeps_the_key_only_while_it_is_shown(scripts: Path) -> None:
    told = run(
        scripts,
        PAGE
        + """const asked = [];
        let withKey = false, works = true;
        const url = "https://relay.invalid/camera.html", key = "#key=secret";
        globalThis.fetch = async (path, { method = "GET" }) => {
          asked.push(`${method} ${path}`);
          if (method === "POST") withKey = works;
          const told = { url: url + (withKey ? key : ""), others: [url + key], withKey, reach: "" };
          const error = { error: "limit", text: "Too many keys." };
          const ok = works || method === "GET";
          return { ok, json: async () => (ok ? told : error), text: async () => "<svg/>" };
        };
        const { Invitation, isLocal } = await load("player/wall/invitation.js"), one = new Invitation();
        await one.load();
        const found = [one.bare, isLocal("http://127.0.0.1:8000/"), isLocal(url)];
        works = false;
        found.push(await one.reveal().catch(({ refusal }) => refusal.text), one.shown);
        works = true;
        await one.reveal(), found.push(one.shown.url, one.bare.url, one.bare.code), one.cover();
        found.push(one.shown), await one.load(), found.push(one.bare.code, asked);
        return found;""",
    )
    address = "https://relay.invalid/camera.html"
    code = "data:image/svg+xml,%3Csvg%2F%3E"
    bare = {"url": address, "others": [address], "withKey": False, "reach": "", "code": code}
    assert told[:3] == [bare, True, False]
    assert told[3:5] == ["Too many keys.", None]
    assert told[5:8] == [address + "#key=secret", address, ""]
    assert told[8:10] == [None, ""]
    invite, picture, made = "GET /api/invite", "GET /api/invite.svg", "POST /api/keys"
    assert told[10] == [invite, picture, invite, made, invite, made, invite, picture, invite]
