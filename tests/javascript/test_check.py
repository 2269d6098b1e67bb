"""What the oldest browser does not know is refused, a line of each kind; and the pages name that
browser as these checks do.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import packages
from tests.javascript.check import HERE, PLACES, ROOT, eslint, missing, run, tsc

needed = pytest.mark.skipif(missing() is not None, reason=str(missing()))

OLDEST: dict[str, Any] = json.loads((HERE / "oldest.json").read_text())

# With each line the rule that refuses it.
LINES = {
    "export const everything = globalThis;": "es-x/no-global-this",
    "export const one = {}?.two;": "es-x/no-optional-chaining",
    "export const two = null ?? 2;": "es-x/no-nullish-coalescing-operators",
    "export class Three { four = 4; }": "es-x/no-class-instance-fields",
    "export class Four { #five() {} }": "es-x/no-class-private-methods",
    "try { eval(''); } catch {}": "es-x/no-optional-catch-binding",
    "export const many = 1_000_000;": "es-x/no-numeric-separators",
    "await null;": "es-x/no-top-level-await",
    "export const weak = new WeakRef({});": "es-x/no-weakrefs",
    "export const pairs = Object.fromEntries([]);": "es-x/no-object-fromentries",
    "export const stop = new AbortController();": "no-restricted-globals",
    "export const copy = structuredClone({});": "no-restricted-globals",
    "export const decoder = new VideoDecoder({});": "no-restricted-globals",
    "export const shown = document.querySelector('video').getVideoPlaybackQuality();": "no-restricted-properties",
    "document.body.replaceChildren();": "no-restricted-properties",
    "export const { wakeLock } = navigator;": "no-restricted-properties",
    "export const scope = window.queueMicrotask;": "no-restricted-properties",
}


def rules(file: str, lines: list[str]) -> list[set[str]]:
    """The rules that refuse each of these lines in this file."""
    node = packages.node()
    assert node is not None
    done = run(
        node, eslint("--format", "json", "--stdin", "--stdin-filename", file), "\n".join(lines)
    )
    [result] = json.loads(done.stdout)
    found: list[set[str]] = [set() for _ in lines]
    for message in result["messages"]:
        assert message["ruleId"] is not None, message["message"]
        found[message["line"] - 1].add(message["ruleId"])
    return found


@needed
def test_a_line_of_each_kind_is_refused() -> None:
    found = rules("web/player/tile/tile.js", list(LINES))
    assert [rule in them for rule, them in zip(LINES.values(), found, strict=True)] == [True] * len(
        LINES
    ), found


@needed
def test_a_name_that_is_asked_for_first_is_taken_in_that_file_only() -> None:
    lines = [
        "export const one = (video) => video.getVideoPlaybackQuality;",
        "export const two = (video) => video.requestVideoFrameCallback;",
    ]
    assert rules("web/shared/page/silent-video.js", lines) == [set(), {"no-restricted-properties"}]


@needed
def test_types_end_with_the_oldest_browsers_language_and_with_the_place(tmp_path: Path) -> None:
    wrong = {
        "tsconfig.json": [
            "[1].flat();",
            "''.matchAll(/x/g);",
            "Promise.allSettled([]);",
            "/** @type {number} */ export const text = '';",
        ],
        "tsconfig.worker.json": ["document.body;", "localStorage.clear();"],
        "tsconfig.worklet.json": ["self.name;", "fetch('/');", "setTimeout(() => {}, 1);"],
    }
    assert tuple(wrong) == PLACES
    node = packages.node()
    assert node is not None
    for place, lines in wrong.items():
        script = tmp_path / f"{place}.js"
        script.write_text("\n".join(lines))
        (tmp_path / place).write_text(
            json.dumps({"extends": str(HERE / place), "include": [], "files": [str(script)]})
        )
    with ThreadPoolExecutor() as pool:
        outputs = list(pool.map(lambda place: run(node, tsc(tmp_path / place)).stdout, wrong))
    for (place, lines), told in zip(wrong.items(), outputs, strict=True):
        assert [f"{place}.js({number}," in told for number in range(1, len(lines) + 1)] == [
            True
        ] * len(lines), told


def test_the_oldest_browser_is_the_same_everywhere() -> None:
    words = (
        f"Chrome {OLDEST['chrome']}, Firefox {OLDEST['firefox']} or Safari {OLDEST['safari']} "
        f"(iOS {OLDEST['ios']}) will do"
    )
    for page in ("camera.html", "player.html"):
        assert words in " ".join((ROOT / page).read_text().split())
    for place in PLACES:
        options = json.loads((HERE / place).read_text())["compilerOptions"]
        assert options["lib"][0] == f"ES{OLDEST['ecmascript']}"
        assert options.get("target", "ES2018") == "ES2018"


def test_every_page_says_that_it_has_not_started_and_takes_that_away_first() -> None:
    scripts = {
        "camera.html": "camera/page/camera-page.js",
        "player.html": "player/wall/wall-page.js",
        "web/trust/trust.html": "trust/trust.js",
    }
    for page, script in scripts.items():
        assert (ROOT / page).read_text().count('id="boot"') == 1
        lines = [
            line
            for line in (ROOT / "web" / script).read_text().splitlines()
            if line and not line.startswith("//")
        ]
        assert lines[0] == f'import "{"../" * script.count("/")}guard.js";', script
    assert "import" not in [
        line.split(" ")[0] for line in (ROOT / "web" / "guard.js").read_text().splitlines()
    ], "it needs no other file"
