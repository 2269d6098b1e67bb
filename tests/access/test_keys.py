"""The key ring and its command: what is kept, what is noticed, what a person reads."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

import pytest

from certs import Authority, Served
from drawercam.access import key_file
from drawercam.access import keys as module
from drawercam.access.key import (
    ALL,
    MAX_LABEL,
    MAX_LIFE,
    MAX_NAMES,
    NOTHING,
    Key,
    KeysError,
    Scope,
    seconds,
)
from drawercam.access.key_file import MAX_KEYS, Content
from drawercam.access.keys import (
    COOKIE,
    KEPT_AFTER_ITS_END,
    SETTLE_INTERVAL,
    TICKET,
    UNREAD_PATIENCE,
    Keyring,
)
from drawercam.banner import BLOCKS
from drawercam.commands import keys as keycommand
from drawercam.live.gone import KEPT, Departure
from drawercam.live.gone_file import written
from groundwork.running_relay import Notice, Running
from tests.groundwork.test_state_files import Disk, Hindered
from tests.harness.relays import ROOT

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
def moments() -> Clock:
    """Seconds that pass evenly."""
    return Clock()


@pytest.fixture
def ring(tmp_path: Path, clock: Clock, moments: Clock) -> Keyring:
    return Keyring.open(tmp_path, clock, moments)


def test_the_first_keys_are_made_once_and_kept_to_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    first, again = Keyring.open(folder), Keyring.open(folder)
    assert first.keys == again.keys
    assert [(key.id, key.publish, key.watch, key.expires) for key in first.keys] == [
        ("camera", ALL, NOTHING, None),
        ("viewer", NOTHING, ALL, None),
    ]
    assert (
        re.fullmatch(r"([a-z2-7]{4}-){3}[a-z2-7]{4}", first.keys[0].secret)
        and first.keys[0].secret != first.keys[1].secret
    )
    assert stat.S_IMODE((folder / "keys.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()
    } == dict.fromkeys(["keys.json", "keys.lock", "keys.reserve"], 0o600)


def test_no_printed_link_is_made_from_a_key_that_may_do_everything(tmp_path: Path) -> None:
    first, again = Keyring.open(tmp_path), Keyring.open(tmp_path)
    assert first.is_new and not again.is_new and again.keys == first.keys
    assert not any(key.manages for key in first.keys), "no key is there that nobody was shown"
    own = first.add(ALL, ALL)
    first.refresh()
    assert (
        own.manages
        and own in first.keys
        and own not in first.for_links()
        and None not in first.for_links()
    )


def test_the_file_stays_its_owners_after_every_change_and_a_copy_becomes_so(
    tmp_path: Path, ring: Keyring
) -> None:
    file = tmp_path / "keys.json"
    ring.revoke(ring.add(ALL, NOTHING).id)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    Keyring.open(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_file_of_the_first_versions_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(
        '{"camera": "aaaa-bbbb-cccc-dddd", "viewer": "eeee-ffff-gggg-hhhh"}'
    )
    ring = Keyring.open(tmp_path)
    film, watch = ring.for_links()
    assert film is not None and (film.secret, film.publish, film.watch) == (
        "aaaa-bbbb-cccc-dddd",
        ALL,
        NOTHING,
    )
    assert watch is not None and (watch.secret, watch.publish, watch.watch) == (
        "eeee-ffff-gggg-hhhh",
        NOTHING,
        ALL,
    )
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
    (
        '{"salt": "%s", "keys": [{"id": "a", "secret": "", "publish": "all", "watch": "all", '
        '"made": 0, "expires": null, "label": ""}]}'
    )
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
        for typed in (
            key.secret,
            f"  {key.secret.upper()}\n",
            key.secret.replace("-", ""),
            key.secret.replace("-", " "),
        ):
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
    assert ring.with_secret(key.secret) is None and not ring.is_good(key), (
        "to the second, without a look at the file"
    )
    ring.refresh()
    assert key not in ring.live and key in ring.keys
    clock.time += KEPT_AFTER_ITS_END + 1
    ring.add(ALL, NOTHING)
    ring.refresh()
    assert key not in ring.keys


def test_a_key_whose_time_is_over_is_told_from_a_wrong_one(ring: Keyring, clock: Clock) -> None:
    key = ring.add(NOTHING, PORCH, lasts=3600)
    ring.refresh()
    assert not ring.has_ended(key.secret)
    clock.time += 3600
    assert ring.has_ended(f" {key.secret.upper()} ") and ring.with_secret(key.secret) is None
    assert not ring.has_ended("aaaa-bbbb-cccc-dddd") and not ring.has_ended("")


def test_the_last_key_that_manages_is_known(ring: Keyring, clock: Clock) -> None:
    def last(key: Key) -> bool:
        ring.refresh()
        return ring.is_last_that_manages(key.id)

    ring.add(ALL, PORCH)
    one = ring.add(ALL, ALL)
    assert last(one) and not last(ring.keys[0])
    two = ring.add(ALL, ALL, lasts=3600)
    assert not last(one) and not last(two)
    clock.time += 3600
    assert last(one), "one whose time is over does not count"


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


def test_a_file_that_vanishes_closes(tmp_path: Path, ring: Keyring) -> None:
    file, keys = tmp_path / "keys.json", ring.keys
    content = file.read_bytes()
    file.unlink()
    ring.refresh()
    assert ring.keys == () and ring.with_secret(keys[0].secret) is None and ring.ended == 1
    file.write_bytes(content)
    ring.refresh()
    assert ring.keys == keys


def spoil(file: Path, patch: pytest.MonkeyPatch) -> None:
    file.write_text("half a fi")


def make_larger_than_any(file: Path, patch: pytest.MonkeyPatch) -> None:
    file.write_bytes(b" " * (key_file._LARGEST_FILE + 1) + file.read_bytes())


def put_a_folder_there(file: Path, patch: pytest.MonkeyPatch) -> None:
    file.unlink()
    file.mkdir()


def break_the_disk(file: Path, patch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    file.write_bytes(file.read_bytes() + b" ")
    patch.setattr(os, "read", fail)


def take_the_right_to_look(file: Path, patch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    patch.setattr(Path, "stat", fail)


def take_all_descriptors(file: Path, patch: pytest.MonkeyPatch) -> None:
    """Also the spare ones."""

    def fail(*_: object) -> NoReturn:
        raise OSError(errno.EMFILE, "Too many open files")

    file.write_bytes(file.read_bytes() + b" ")
    patch.setattr(os, "open", fail)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (spoil, "not in the form that the relay writes"),
        (make_larger_than_any, "not in the form that the relay writes"),
        (put_a_folder_there, "Is a directory"),
        (break_the_disk, "Input/output error"),
        (take_the_right_to_look, "Permission denied"),
        (take_all_descriptors, "Too many open files"),
    ],
)
def test_a_file_that_cannot_be_read_changes_nothing_for_a_minute_and_then_closes_until_it_can_be(
    tmp_path: Path,
    ring: Keyring,
    moments: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Path, pytest.MonkeyPatch], None],
    why: str,
) -> None:
    file, keys = tmp_path / "keys.json", ring.keys
    aside = tmp_path / "aside.json"
    aside.write_bytes(file.read_bytes())
    with monkeypatch.context() as patch:
        harm(file, patch)
        for seconds in (0.0, 0.25, UNREAD_PATIENCE - 0.5):
            moments.time += seconds
            ring.refresh()
            assert (
                ring.live == set(keys)
                and not ring.closed
                and ring.with_secret(keys[0].secret) == keys[0]
            )
        assert len(caplog.records) == 1 and why in caplog.text, "said once"
        for _ in range(3):
            moments.time += 0.25
            ring.refresh()
        assert (
            ring.closed
            and not ring.live
            and ring.with_secret(keys[0].secret) is None
            and ring.ended == 1
        )
        assert ring.with_token(ring.token(keys[0], COOKIE), COOKIE) is None and not ring.is_good(
            keys[0]
        )
        (line,) = caplog.messages[1:]
        assert why in line and "no key is good" in line
    if file.is_dir():
        file.rmdir()
    aside.replace(file)
    ring.refresh()
    assert (
        ring.live == set(keys) and not ring.closed and ring.with_secret(keys[0].secret) == keys[0]
    )
    moments.time += UNREAD_PATIENCE
    file.write_text("half a fi")
    ring.refresh()
    assert not ring.closed, "the next time is another one"


def test_a_clock_that_is_set_closes_nothing(tmp_path: Path, ring: Keyring, clock: Clock) -> None:
    (tmp_path / "keys.json").write_text("half a fi")
    ring.refresh()
    clock.time += 10 * UNREAD_PATIENCE
    ring.refresh()
    assert not ring.closed


def test_a_key_that_comes_and_goes_between_two_looks_of_the_relay_is_noticed(
    tmp_path: Path, ring: Keyring
) -> None:
    """Somebody may have come in by it meanwhile."""
    before, other = ring.ended, Keyring.open(tmp_path)
    key = other.add(NOTHING, PORCH)
    assert ring.with_secret(key.secret) == key
    other.revoke(key.id)
    ring.refresh()
    assert ring.ended == before + 1


# --- a disk that is full ---


def largest(ring: Keyring) -> Keyring:
    """As many keys as there may be, each with as much text as it takes."""
    names = frozenset(f"{number:02}".ljust(32, "x") for number in range(MAX_NAMES))
    scope = Scope(names=names)
    while len(ring.keys) < MAX_KEYS:
        made = [
            Key(
                f"{number:016}",
                f"aaaa-bbbb-cccc-{number:04}",
                scope,
                scope,
                2**40,
                2**41,
                "\N{GRINNING FACE}" * MAX_LABEL,
            )
            for number in range(MAX_KEYS - len(ring.keys))
        ]
        ring._file._write(Content(ring._salt, (*ring.keys, *made)))
        ring.refresh()
    return ring


def test_the_largest_file_that_there_can_be_is_read_and_has_its_reserve(
    tmp_path: Path, ring: Keyring
) -> None:
    largest(ring)
    size = (tmp_path / "keys.json").stat().st_size
    assert size < key_file._LARGEST_FILE / 2 and (tmp_path / "keys.reserve").stat().st_size >= size


@pytest.mark.parametrize("crowd", [False, True])
@pytest.mark.parametrize("copies", [False, True])
def test_keys_are_revoked_on_a_full_disk_and_none_is_made(
    tmp_path: Path, ring: Keyring, monkeypatch: pytest.MonkeyPatch, copies: bool, crowd: bool
) -> None:
    if crowd:
        largest(ring)
    ids = [key.id for key in ring.keys]
    with monkeypatch.context() as patch:
        Disk(tmp_path, patch, copies=copies)
        if not crowd:
            with pytest.raises(OSError, match="No space left"):
                ring.add(ALL, NOTHING)
        ring.revoke(ids[0])
        again = Keyring(tmp_path, ring._clock)
        again.refresh()
        assert [key.id for key in again.keys] == ids[1:]
    assert not list(tmp_path.glob(".new-*"))


@pytest.mark.parametrize("copies", [False, True])
def test_one_key_after_the_other_is_revoked_on_a_disk_that_stays_full(
    tmp_path: Path, ring: Keyring, monkeypatch: pytest.MonkeyPatch, copies: bool
) -> None:
    """What a file leaves free is enough for the next one."""
    made = [ring.add(NOTHING, PORCH) for _ in range(20)]
    Disk(tmp_path, monkeypatch, copies=copies)
    for key in made:
        ring.revoke(key.id)
    ring.refresh()
    assert not ring.unwritten and len(ring.keys) == 2


def test_the_reserve_is_made_again_as_soon_as_there_is_room(
    tmp_path: Path,
    ring: Keyring,
    moments: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        disk = Disk(tmp_path, patch)
        disk.blocks -= 1  # somebody else takes what comes free
        ring.revoke("camera")
        ring.refresh()
        assert (
            not (tmp_path / "keys.reserve").exists()
            and "keys.reserve cannot be made" in caplog.text
        )
        moments.time += SETTLE_INTERVAL
        assert ring.owes() and not ring.owes()
        ring.settle()
        assert not (tmp_path / "keys.reserve").exists() and len(caplog.records) == 1, "said once"
    moments.time += SETTLE_INTERVAL
    assert ring.owes()
    ring.settle()
    assert (tmp_path / "keys.reserve").exists() and not ring.owes()


def test_what_is_revoked_in_memory_only_stays_so_until_it_is_written_down(
    tmp_path: Path, ring: Keyring, moments: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = tmp_path / "keys.json", Keyring.open(tmp_path)
    gone, kept = ring.keys
    (tmp_path / "keys.reserve").unlink()
    with monkeypatch.context() as patch:
        Disk(tmp_path, patch)
        with pytest.raises(OSError, match="No space left"):
            ring.revoke(gone.id)
        assert ring.live == {kept} and ring.unwritten and not ring.owes(), "it was tried just now"
        with pytest.raises(OSError, match="No space left"):
            ring.revoke(gone.id)
        moments.time += SETTLE_INTERVAL
        assert ring.owes() and not ring.owes(), "once in a while"
        with pytest.raises(OSError, match="No space left"):
            ring.settle()
    added = other.add(NOTHING, PORCH)
    ring.refresh()
    assert ring.live == {kept, added} and gone.id in file.read_text(), (
        "other processes change it, and it still holds the key"
    )
    content = file.read_bytes()
    file.unlink()
    ring.refresh()
    file.write_bytes(content)
    ring.refresh()
    assert ring.live == {kept, added} and ring.with_secret(gone.secret) is None
    assert ring.with_token(other.token(gone, COOKIE), COOKIE) is None
    moments.time += SETTLE_INTERVAL
    assert ring.owes()
    ring.settle()
    ring.refresh()
    assert (
        not ring.unwritten
        and not ring.owes()
        and gone.id not in file.read_text()
        and ring.live == {kept, added}
    )


def test_a_file_that_is_spoiled_keeps_no_key_from_being_revoked(
    tmp_path: Path, ring: Keyring
) -> None:
    (tmp_path / "keys.json").write_text("half a fi")
    ring.refresh()
    with pytest.raises(OSError, match="not in the form"):
        ring.revoke("camera")
    assert [key.id for key in ring.live] == ["viewer"]


def test_the_command_says_that_a_full_disk_has_kept_it_from_its_work(
    tmp_path: Path,
    ring: Keyring,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        status = keycommand.main([*arguments, "--state", str(tmp_path)], tmp_path, 8443)
        return status, capsys.readouterr().err

    with monkeypatch.context() as patch:
        disk = Disk(tmp_path, patch)
        status, said = run("add", "--watch", "all")
        assert status == 1 and said.startswith("No key is made") and "No space left" in said
        assert run("revoke", "viewer") == (0, "")
        (tmp_path / "keys.reserve").unlink()
        disk.blocks = disk.taken()
        status, said = run("revoke", "camera")
        assert (
            status == 1
            and "The key camera is not revoked" in said
            and "No space left" in said
            and "Traceback" not in said
        )
    ring.refresh()
    assert [key.id for key in ring.keys] == ["camera"]


def test_many_who_change_it_at_once_lose_nothing(tmp_path: Path) -> None:
    rings = [Keyring.open(tmp_path) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda ring=ring: [ring.add(ALL, NOTHING) for _ in range(5)])
        for ring in rings
    ]
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
    "value",
    [
        None,
        True,
        "porch",
        "",
        {},
        5,
        ["Porch"],
        ["../x"],
        ["a/b"],
        ["%2e%2e"],
        ["\0"],
        ["a\n"],
        [5],
        ["a"] * 51,
        [["porch"]],
    ],
)
def test_what_is_no_scope(value: object) -> None:
    with pytest.raises(KeysError):
        Scope.from_json(value)


def test_scopes() -> None:
    both = PORCH | Scope.from_json(["garden"])
    assert (
        "porch" in both
        and "garden" in both
        and "attic" not in both
        and both.as_json() == ["garden", "porch"]
    )
    assert "anything" in (PORCH | ALL) and not NOTHING and ALL.as_json() == "all"


def test_durations() -> None:
    assert [seconds(text) for text in ("30m", "12h", " 7D ", "2w")] == [
        1800,
        43200,
        604800,
        1209600,
    ]
    for wrong in (
        "",
        "7",
        "d",
        "0d",
        "-1d",
        "1.5h",
        "7 days",
        "521w1d",
        f"{MAX_LIFE // 86400 + 1}d",
        "9" * 30 + "w",
    ):
        with pytest.raises(KeysError, match="no duration"):
            seconds(wrong)


def test_secrets_are_not_in_what_is_printed_by_accident(
    ring: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
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
    added = command(
        tmp_path, "add", "--watch", "porch,garden", "--expires", "7d", "--label", "Anna"
    )
    assert added.returncode == 0, added.stderr
    assert (
        "can watch garden and porch, until " in added.stdout and "/player.html#key=" in added.stdout
    )
    assert "/camera.html" not in added.stdout
    (identifier,) = re.findall(r"keys revoke (\w+)", added.stdout)
    secret = added.stdout.split("#key=")[1].split()[0]
    listed = command(tmp_path).stdout
    assert "Anna" in listed and "film under any name" in listed and identifier in listed
    for key in json.loads((tmp_path / "keys.json").read_text())["keys"]:
        assert key["secret"] not in listed
    revoked = command(tmp_path, "revoke", identifier)
    assert (
        revoked.returncode == 0
        and secret not in revoked.stdout
        and "cut off within a second" in revoked.stdout
    )
    assert secret not in (tmp_path / "keys.json").read_text()


def test_the_command_leads_to_the_one_camera_of_a_key(tmp_path: Path) -> None:
    added = command(tmp_path, "add", "--watch", "porch", "--publish", "porch", "--port", "9000")
    assert (
        ":9000/camera.html?name=porch#key=" in added.stdout
        and ":9000/player.html?camera=porch#key=" in added.stdout
    )
    assert "film as porch and watch porch, until you revoke it" in added.stdout


def test_a_camera_may_be_called_as_people_call_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def add(*words: str) -> str:
        assert keycommand.main(["add", *words, "--state", str(tmp_path)], tmp_path, 8443) == 0
        return capsys.readouterr().out

    said = add("--watch", "Baby Room, porch", "--publish", "Küche")
    assert (
        "'Baby Room' is called baby-room by a camera." in said
        and "'Küche' is called kuche" in said
        and "'porch'" not in said
    )
    assert "film as kuche and watch baby-room and porch" in said and "?name=kuche#key=" in said
    assert "watch every camera" in add("--watch", "All")


def test_a_camera_that_was_not_seen_lately_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A relay of the state folder, one with another certificate, one that answers nonsense, and
    none.
    """
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        cameras = b'[{"name": "porch", "state": "live"}, {"name": "gate", "state": "gone"}]'

        def answer(self, body: bytes, **headers: str) -> None:
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            shown.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["key"])
            self.answer(b"{}", Set_Cookie="drawercam-x=token; Path=/; Secure")

        def do_GET(self) -> None:
            self.answer(self.cameras if self.headers["Cookie"] == "drawercam-x=token" else b"{}")

        def log_message(self, *_: object) -> None:
            pass

    def add(served: Served | None) -> str:
        if served is None:
            assert (
                keycommand.main(
                    ["add", "--watch", "porch,gate,nursery", "--state", str(tmp_path)],
                    tmp_path,
                    8443,
                )
                == 0
            )
            return capsys.readouterr().out
        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.socket = served.server_context().wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            notice = Notice(tmp_path)
            notice.put_up(
                Running(
                    "https",
                    server.server_port,
                    ("127.0.0.1",),
                    "127.0.0.1",
                    "attic",
                    keys=True,
                    authority=True,
                )
            )
            try:
                assert (
                    keycommand.main(
                        ["add", "--watch", "porch,gate,nursery", "--state", str(tmp_path)],
                        tmp_path,
                        8443,
                    )
                    == 0
                )
            finally:
                notice.take_down()
                server.shutdown()
        return capsys.readouterr().out

    mine, other = (Authority(tmp_path / name).ensure([], []) for name in ("certs", "other"))
    said = add(mine)
    assert "no camera nursery was seen lately" in said and said.count("seen lately") == 1
    assert shown == [re.findall(r"#key=(\S+)", said)[0]]
    now = int(time.time() * 1000)
    known = [
        Departure("gate", "10.0.0.7", "left", now - 3_600_000),
        Departure("porch", "10.0.0.7", "lost", now - KEPT - 1),
    ]
    kept = tmp_path / "gone.json"
    kept.write_bytes(written(known, {"nursery": "10.0.0.8"}))
    said = add(mine)
    assert "seen lately" not in said, "one that was there a moment ago counts, too"
    Handler.cameras = b"[5]"
    for one in (mine, other, None):
        said = add(one)
        assert "no camera porch was seen lately" in said and said.count("seen lately") == 1, (
            "the list of those that are gone is enough"
        )
    assert len(shown) == 3, "and no key is shown to a stranger"
    kept.write_bytes(b"[]")
    assert "seen lately" not in add(None), "it is not known"
    kept.unlink()
    assert add(None).count("seen lately") == 3


def test_the_last_key_may_be_revoked_and_it_says_what_that_means(tmp_path: Path) -> None:
    command(tmp_path, "add", "--watch", "porch")
    done = command(tmp_path, "revoke", "camera")
    assert "No key is left that lets anybody film" in done.stdout and "--publish all" in done.stdout
    assert "printed ones no longer work" in done.stdout and "lets anybody watch" not in done.stdout


class Terminal(io.StringIO):
    """A terminal as a person sees it and types into it."""

    def isatty(self) -> bool:
        return True


def typed(
    monkeypatch: pytest.MonkeyPatch, state: Path, *arguments: str, answer: str = ""
) -> tuple[int, str]:
    """What the command does and says on a terminal, where a person answers so."""
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    return keycommand.main(
        [*arguments, "--state", str(state)], ROOT / "state", 8443
    ), out.getvalue()


@pytest.mark.parametrize(
    "wish", [("--own",), ("--publish", "all", "--watch", "all", "--label", "attic")]
)
def test_a_key_that_may_do_everything_is_shown_on_a_terminal_only_and_never_as_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: tuple[str, ...]
) -> None:
    elsewhere = command(tmp_path, "add", *wish)
    assert (
        elsewhere.returncode == 1
        and elsewhere.stdout == ""
        and not (tmp_path / "keys.json").exists()
    )
    assert (
        "only on a terminal" in elsewhere.stderr
        and f"keys add --own --state {tmp_path}" in elsewhere.stderr
    )
    status, said = typed(monkeypatch, tmp_path, "add", *wish)
    assert status == 0 and said.count("#key=") == 1
    assert "for your own phone or computer, not for a wall" in said and not set(said) & set(BLOCKS)
    ring = Keyring.open(tmp_path)
    key = ring.with_secret(re.findall(r"  Own +https://\S+/player.html#key=(\S+)\n", said)[0])
    assert key is not None and key.manages and key not in ring.for_links()


def test_the_list_calls_keys_as_their_codes_are_called(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ring = Keyring.open(tmp_path)
    both, own = ring.add(Scope.from_json(["porch"]), ALL, label="Anna"), ring.add(ALL, ALL)
    assert keycommand.main(["--state", str(tmp_path)], tmp_path, 8443) == 0
    rows = [re.split(r"  +", line)[:2] for line in capsys.readouterr().out.splitlines()[:5]]
    assert rows == [
        ["KEY", "ID"],
        ["Film", "camera"],
        ["Watch", "viewer"],
        ["Film, Watch", both.id],
        ["Own", own.id],
    ]


def test_before_the_last_key_that_manages_goes_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Keyring.open(tmp_path).add(ALL, ALL)
    refused = command(tmp_path, "revoke", own.id)
    assert refused.returncode == 1 and "last one that may give keys to others" in refused.stdout
    assert f"keys revoke {own.id} --yes --state {tmp_path}" in refused.stderr
    for answer in ("", "\n", "no\n", "yesterday\n"):
        status, said = typed(monkeypatch, tmp_path, "revoke", own.id, answer=answer)
        assert status == 1 and "is revoked:" not in said
    assert Keyring.open(tmp_path).is_good(own)
    status, said = typed(monkeypatch, tmp_path, "revoke", own.id, answer="yes\n")
    assert status == 0 and f"The key {own.id} is revoked" in said and "add --own" in said
    more = Keyring.open(tmp_path).add(ALL, ALL)
    assert command(tmp_path, "revoke", more.id, "--yes").returncode == 0
    assert command(tmp_path, "revoke", "viewer").returncode == 0, "others go without a question"


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("add",), 2, "say what the key is for"),
        (("add", "--own", "--watch", "porch"), 2, "leave out --watch and --publish"),
        (("add", "--watch", "..."), 1, "'...' is no name for a camera"),
        (("add", "--watch", ""), 1, "has to allow something"),
        (("add", "--watch", "all", "--expires", "soon"), 1, "'soon' is no duration"),
        (("revoke",), 2, "ID"),
        (("dance",), 2, "there is no option or command dance"),
    ],
)
def test_a_wrong_command_is_explained(
    tmp_path: Path, arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    done = command(tmp_path, *arguments)
    assert done.returncode == status and sentence in done.stderr and "Traceback" not in done.stderr


def test_an_unknown_id_and_a_folder_that_cannot_be_used_are_explained(tmp_path: Path) -> None:
    command(tmp_path, "add", "--watch", "all")
    done = command(tmp_path, "revoke", "nobody")
    assert done.returncode == 1 and "There is no key with the id 'nobody'." in done.stderr
    done = command(Path("/dev/null/state"), "add", "--watch", "all")
    assert (
        done.returncode == 1 and "cannot be used" in done.stderr and "Traceback" not in done.stderr
    )


# --- where nothing can be written ---


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_good_keys_are_read_where_nothing_can_be_written(
    tmp_path: Path,
    ring: Keyring,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: int,
) -> None:
    hindered = Hindered(tmp_path, monkeypatch, code)
    again = Keyring.open(tmp_path)
    assert again.keys == ring.keys and again.token(again.keys[0], COOKIE) == ring.token(
        ring.keys[0], COOKIE
    )
    assert keycommand.main(["list", "--state", str(tmp_path)], tmp_path, 8443) == 0
    assert "camera  film under any name" in capsys.readouterr().out
    assert keycommand.main(["add", "--watch", "all", "--state", str(tmp_path)], tmp_path, 8443) == 1
    said = capsys.readouterr().err
    assert os.strerror(code) in said and said.endswith("or choose another folder with --state.\n")
    for content in (
        b"{",
        b'{"camera": "aaaa-bbbb-cccc", "viewer": "dddd-eeee-ffff"}',
    ):  # damaged; of the first versions, to be rewritten
        (tmp_path / "keys.json").write_bytes(content)
        with pytest.raises(OSError, match=os.strerror(code)):
            Keyring.open(tmp_path)
        assert (tmp_path / "keys.json").read_bytes() == content
    (tmp_path / "keys.json").unlink()
    with pytest.raises(OSError, match=os.strerror(code)):
        Keyring.open(tmp_path)
    hindered.over = True
    assert len(Keyring.open(tmp_path).keys) == 2
