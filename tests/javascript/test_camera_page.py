"""The parts of the camera's page, each without the page: what its panel says, and its sound
button.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")

PAGE = """
  globalThis.addEventListener = globalThis.setInterval = () => undefined;
  const stored = { getItem: () => null, setItem() {}, removeItem() {} };
  const location = new URL("https://relay.invalid/camera.html");
  const document = { visibilityState: "visible", addEventListener() {} };
  const history = { replaceState() {} };
  const page = { location, document, history, localStorage: stored, sessionStorage: stored };
  Object.assign(globalThis, page);
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modules(tmp_path_factory.mktemp("scripts"))


def test_each_end_says_what_has_happened_and_what_to_do(scripts: Path) -> None:
    told = run(
        scripts,
        PAGE
        + """const { endedPanel, keyPanel } = await load("camera/page/panel-words.js");
        const named = (panel) => panel && [panel.title, panel.actions.map(({ label }) => label)];
        const acts = { again() {}, rename() {} };
        const facts = { label: "Porch", session: { publish: ["attic", "cot"] }, there: "" };
        const ends = ["taken-over", "not-allowed", "revoked", "no-key", "other"];
        const check = { label: "Check", act() {} };
        const watches = { viewer: true, watch: ["cot"] };
        return [
          ends.map((reason) => named(endedPanel(reason, facts, acts))),
          named(endedPanel("revoked", { ...facts, there: "https://new.invalid" }, acts)),
          endedPanel("not-allowed", facts, acts).steps[0].split(".")[0],
          named(keyPanel(null, false, check)), named(keyPanel(null, true, check)),
          keyPanel(watches, false, check).actions[0].href,
        ];""",
    )
    assert told[0] == [
        ["Another phone or page is “Porch” now", ["Take it back", "Use another name"]],
        ["This phone’s key is not for “Porch”", ["Use another name"]],
        None,
        None,
        ["The relay has said good-bye", ["Start again"]],
    ]
    assert told[1] == ["The relay takes this phone’s key no more", ["Look for it"]]
    assert told[2] == "Your key is for attic or cot only"
    assert told[3] == ["This relay asks for a “Film” key", ["Check"]]
    assert told[4] == ["The relay takes this phone’s key no more", ["Check"]]
    assert told[5] == "/player.html?camera=cot"


def test_a_microphone_that_gives_only_zeros_is_silent(scripts: Path) -> None:
    told = run(
        scripts,
        PAGE
        + """const { SoundButton } = await load("camera/page/sound-button.js"), taps = [], found = [];
        const element = () => ({
          textContent: "", hidden: false, attributes: {}, style: {}, classList: { add() {}, toggle() {} },
          setAttribute(name, value) { this.attributes[name] = value; }, append() {},
          addEventListener(_, listener) { this.listener = listener; },
        });
        globalThis.matchMedia = () => ({ matches: false });
        const made = document.createElement = element;
        const names = ["button", "icon", "label", "hint", "level"];
        const parts = Object.assign({}, ...names.map((name) => ({ [name]: made() })));
        const meter = { look() {}, level: 0, dead: false };
        let state = "on", heard = 0;
        const handlers = { sound: () => state, onheard: () => (heard += 1), ontap: (on) => taps.push(on) };
        const sound = new SoundButton(parts, meter, handlers);
        const look = () => {
          sound.look(1000, false), sound.show();
          found.push([sound.hearing, sound.trouble, parts.hint.hidden, parts.icon.attributes.href, heard]);
          parts.button.listener();
        };
        look(), meter.dead = true, look(), look(), state = "off", look(), state = "refused", look();
        return [found, taps];""",
    )
    on, off = "#icon-microphone", "#icon-microphone-off"
    assert [one[:1] + one[3:] for one in told[0]] == [
        ["on", on, 0],
        ["silent", off, 1],
        ["silent", off, 1],
        ["off", off, 1],
        ["refused", off, 1],
    ]
    assert [one[1] for one in told[0]] == ["", "no sound", "no sound", "", "no sound"]
    assert told[1] == [False, False, False, True, True]
