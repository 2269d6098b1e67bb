"""The key ring and its command: what is kept, what is noticed, what a person reads."""

from __future__ import annotations

import json
import logging
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from drawercam import keys as module
from drawercam.keys import (
    ALL,
    COOKIE,
    KEPT_AFTER_ITS_END,
    MAX_KEYS,
    MAX_LIFE,
    NOTHING,
    TICKET,
    Keyring,
    KeysError,
    Scope,
    seconds,
)
from tests.relays import ROOT

PORCH = Scope(names=frozenset({"porch"}))


class Clock:
    def __init__(self) -> None:
        self.time = 1_750_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(tmp_path: Path, clock: Clock) -> Keyring:
    return Keyring.open(tmp_path, clock)


def test_the_first_keys_are_made_once_and_kept_to_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    first, again = Keyring.open(folder), Keyring.open(folder)
    assert first.keys == again.keys
    assert [(key.id, key.publish, key.watch, key.expires) for key in first.keys] == [
        ("camera", ALL, NOTHING, None),
        ("viewer", NOTHING, ALL, None),
    ]
    assert re.fullmatch(r"([a-z2-7]{4}-){3}[a-z2-7]{4}", first.keys[0].secret) and first.keys[0].secret != first.keys[1].secret
    assert stat.S_IMODE((folder / "keys.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["keys.json", "keys.lock"]


def test_the_file_stays_its_owners_after_every_change_and_a_copy_becomes_so(tmp_path: Path, ring: Keyring) -> None:
    file = tmp_path / "keys.json"
    ring.revoke(ring.add(ALL, NOTHING).id)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    Keyring.open(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_file_of_the_first_versions_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text('{"camera": "aaaa-bbbb-cccc-dddd", "viewer": "eeee-ffff-gggg-hhhh"}')
    ring = Keyring.open(tmp_path)
    film, watch = ring.for_links()
    assert film is not None and (film.secret, film.publish, film.watch) == ("aaaa-bbbb-cccc-dddd", ALL, NOTHING)
    assert watch is not None and (watch.secret, watch.publish, watch.watch) == ("eeee-ffff-gggg-hhhh", NOTHING, ALL)
    token = ring.token(film, COOKIE)
    again = Keyring.open(tmp_path)
    assert again.with_token(token, COOKIE) == film, "its salt was written down"


DAMAGED = [
    "",
    "{",
    "[]",
    "{}",
    '{"camera": "x"}',
    '{"camera": 1, "viewer": 2}',
    '{"camera": "", "viewer": ""}',
    '{"salt": "", "keys": []}',
    '{"salt": "%s", "keys": [{}]}' % ("00" * 32),
    '{"salt": "%s", "keys": [{"id": "a", "secret": "", "publish": "all", "watch": "all", "made": 0, "expires": null, "label": ""}]}'
    % ("00" * 32),
    "[" * 10_000,
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_put_aside_and_opens_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    ring = Keyring.open(tmp_path)
    assert [key.id for key in ring.keys] == ["camera", "viewer"]
    assert ring.with_secret("") is None
    assert (tmp_path / "keys.damaged").read_text() == content


def test_a_key_is_known_however_it_was_typed(ring: Keyring) -> None:
    for key in ring.keys:
        for typed in (key.secret, f"  {key.secret.upper()}\n", key.secret.replace("-", ""), key.secret.replace("-", " ")):
            assert ring.with_secret(typed) is key
    for wrong in ("", "aaaa-bbbb-cccc-dddd", "é", "\ud800", ring.keys[0].secret[:-1]):
        assert ring.with_secret(wrong) is None


def test_tokens_are_for_one_purpose_one_key_and_one_relay(tmp_path: Path, ring: Keyring) -> None:
    camera, viewer = ring.keys
    tokens = {ring.token(key, purpose) for key in (camera, viewer) for purpose in (COOKIE, TICKET)}
    assert len(tokens) == 4 and all(re.fullmatch(r"[\w-]{43}", token) for token in tokens)
    assert ring.with_token(ring.token(camera, COOKIE), COOKIE) is camera
    assert ring.with_token(ring.token(camera, COOKIE), TICKET) is None
    assert ring.with_token(camera.secret, COOKIE) is None
    (tmp_path / "other").mkdir()
    other = Keyring.open(tmp_path / "other")
    assert other.with_token(ring.token(camera, COOKIE), COOKIE) is None and other.tag != ring.tag


def test_a_key_ends_at_its_time_and_is_listed_for_a_while(ring: Keyring, clock: Clock) -> None:
    key = ring.add(NOTHING, PORCH, 3600)
    ring.refresh()
    assert key in ring.live and ring.with_secret(key.secret) == key
    clock.time += 3600
    assert ring.with_secret(key.secret) is None and not ring.is_good(key), "to the second, without a look at the file"
    ring.refresh()
    assert key not in ring.live and key in ring.keys
    clock.time += KEPT_AFTER_ITS_END + 1
    ring.add(ALL, NOTHING)
    ring.refresh()
    assert key not in ring.keys


def test_another_process_changes_the_ring_and_a_look_notices(tmp_path: Path, ring: Keyring) -> None:
    other = Keyring.open(tmp_path)
    key = other.add(NOTHING, PORCH)
    assert ring.with_secret(key.secret) == key, "a script uses the key that it has just made"
    listed = other.add(NOTHING, PORCH)
    assert listed not in ring.keys
    ring.refresh()
    assert listed in ring.keys
    other.revoke(key.id)
    other.revoke("camera")
    ring.refresh()
    assert ring.with_secret(key.secret) is None and ring.for_links()[0] is None


def test_a_file_that_vanishes_closes_and_one_that_is_spoiled_changes_nothing(
    tmp_path: Path, ring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    file, keys = tmp_path / "keys.json", ring.keys
    content = file.read_bytes()
    file.write_text("half a fi")
    for _ in range(3):
        ring.refresh()
    assert ring.keys == keys and len(caplog.records) == 1, "said once"
    file.unlink()
    ring.refresh()
    assert ring.keys == () and ring.with_secret(keys[0].secret) is None
    file.write_bytes(content)
    ring.refresh()
    assert ring.keys == keys


def test_a_file_that_cannot_be_opened_when_it_changes_is_read_at_the_next_look(
    tmp_path: Path, ring: Keyring, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """For want of file descriptors, for instance; a key that was revoked must not stay good for that."""
    key = ring.keys[0]
    Keyring.open(tmp_path, ring._clock).revoke(key.id)
    with monkeypatch.context() as patch:

        def fail(*_: object) -> NoReturn:
            raise OSError(24, "Too many open files")

        patch.setattr(Path, "open", fail)
        for _ in range(3):
            ring.refresh()
    assert key in ring.live and caplog.text.count("Too many open files") == 1
    ring.refresh()
    assert key not in ring.live
    Keyring.open(tmp_path, ring._clock).revoke(ring.keys[0].id)
    ring.refresh()
    assert not ring.live


def test_many_who_change_it_at_once_lose_nothing(tmp_path: Path) -> None:
    rings = [Keyring.open(tmp_path) for _ in range(4)]
    threads = [threading.Thread(target=lambda ring=ring: [ring.add(ALL, NOTHING) for _ in range(5)]) for ring in rings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rings[0].refresh()
    assert len(rings[0].keys) == 2 + 4 * 5 == len({key.id for key in rings[0].keys})


def test_what_cannot_be_is_refused_in_words(ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeysError, match="something"):
        ring.add(NOTHING, NOTHING)
    with pytest.raises(KeysError, match="60 characters"):
        ring.add(ALL, NOTHING, label="x" * 61)
    with pytest.raises(KeysError, match="no key with the id 'x'"):
        ring.revoke("x")
    monkeypatch.setattr(module, "MAX_KEYS", 3)
    ring.add(ALL, NOTHING)
    with pytest.raises(KeysError, match="3 keys already"):
        ring.add(ALL, NOTHING)
    assert MAX_KEYS > 50


@pytest.mark.parametrize(
    "value", [None, True, "porch", "", {}, 5, ["Porch"], ["../x"], ["a/b"], ["%2e%2e"], ["\0"], ["a\n"], [5], ["a"] * 51, [["porch"]]]
)
def test_what_is_no_scope(value: object) -> None:
    with pytest.raises(KeysError):
        Scope.from_json(value)


def test_scopes() -> None:
    both = PORCH | Scope.from_json(["garden"])
    assert "porch" in both and "garden" in both and "attic" not in both and both.as_json() == ["garden", "porch"]
    assert "anything" in (PORCH | ALL) and not NOTHING and ALL.as_json() == "all"


def test_durations() -> None:
    assert [seconds(text) for text in ("30m", "12h", " 7D ", "2w")] == [1800, 43200, 604800, 1209600]
    for wrong in ("", "7", "d", "0d", "-1d", "1.5h", "7 days", "521w1d", f"{MAX_LIFE // 86400 + 1}d", "9" * 30 + "w"):
        with pytest.raises(KeysError, match="no duration"):
            seconds(wrong)


def test_secrets_are_not_in_what_is_printed_by_accident(ring: Keyring, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        key = ring.add(PORCH, NOTHING, label="for a friend")
        ring.refresh()
    assert key.secret not in f"{key} {key!r} {ring.keys} {key.as_json()} {caplog.text}"


# --- the command ---


def command(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "relay.py", "keys", *arguments, "--state", str(state), "--no-install"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_adds_lists_and_revokes_in_words(tmp_path: Path) -> None:
    assert "no keys yet" in command(tmp_path).stdout
    added = command(tmp_path, "add", "--watch", "porch,garden", "--expires", "7d", "--label", "Anna")
    assert added.returncode == 0, added.stderr
    assert "can watch garden and porch, until " in added.stdout and "/player.html#key=" in added.stdout
    assert "/camera.html" not in added.stdout
    (identifier,) = re.findall(r"keys revoke (\w+)", added.stdout)
    secret = added.stdout.split("#key=")[1].split()[0]
    listed = command(tmp_path).stdout
    assert "Anna" in listed and "film under any name" in listed and identifier in listed
    for key in json.loads((tmp_path / "keys.json").read_text())["keys"]:
        assert key["secret"] not in listed
    revoked = command(tmp_path, "revoke", identifier)
    assert revoked.returncode == 0 and secret not in revoked.stdout and "cut off within a second" in revoked.stdout
    assert secret not in (tmp_path / "keys.json").read_text()


def test_the_command_leads_to_the_one_camera_of_a_key(tmp_path: Path) -> None:
    added = command(tmp_path, "add", "--watch", "porch", "--publish", "porch", "--port", "9000")
    assert ":9000/camera.html?name=porch#key=" in added.stdout and ":9000/player.html?camera=porch#key=" in added.stdout
    assert "film as porch and watch porch, until you revoke it" in added.stdout


def test_the_last_key_may_be_revoked_and_it_says_what_that_means(tmp_path: Path) -> None:
    command(tmp_path, "add", "--watch", "porch")
    done = command(tmp_path, "revoke", "camera")
    assert "No key is left that lets anybody film" in done.stdout and "--publish all" in done.stdout
    assert "printed ones no longer work" in done.stdout and "lets anybody watch" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("add",), 2, "say what the key is for"),
        (("add", "--watch", "Front Door"), 1, "'Front Door' is no name for a camera"),
        (("add", "--watch", ""), 1, "has to allow something"),
        (("add", "--watch", "all", "--expires", "soon"), 1, "'soon' is no duration"),
        (("revoke",), 2, "ID"),
        (("dance",), 2, "unrecognized arguments"),
    ],
)
def test_a_wrong_command_is_explained(tmp_path: Path, arguments: tuple[str, ...], status: int, sentence: str) -> None:
    done = command(tmp_path, *arguments)
    assert done.returncode == status and sentence in done.stderr and "Traceback" not in done.stderr


def test_an_unknown_id_and_a_folder_that_cannot_be_used_are_explained(tmp_path: Path) -> None:
    command(tmp_path, "add", "--watch", "all")
    done = command(tmp_path, "revoke", "nobody")
    assert done.returncode == 1 and "There is no key with the id 'nobody'." in done.stderr
    done = command(Path("/dev/null/state"), "add", "--watch", "all")
    assert done.returncode == 1 and "cannot be used" in done.stderr and "Traceback" not in done.stderr
