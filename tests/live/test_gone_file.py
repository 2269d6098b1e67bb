"""The list of cameras that are gone, on the disk: what the next relay finds, also where the file is
broken or cannot be written.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawercam.live import gone_file
from drawercam.live.gone import KEPT, MAX_GONE, REASONS, Departure, Departures
from drawercam.live.gone_file import FILE, MAX_ADDRESS, MAX_FILE, GoneFile, parse, written
from groundwork import state_files as files
from groundwork.connections.limits import MAX_CAMERAS
from groundwork.names import NAME

PATIENCE = 20.0

NAMES = st.text("a09-", min_size=1, max_size=32).filter(NAME.fullmatch)
ADDRESSES = st.text('0:%"\\\n\x00\ud800\U0001f600', max_size=MAX_ADDRESS)
DEPARTURES = st.builds(
    Departure, NAMES, ADDRESSES, st.sampled_from(REASONS), st.integers(0, 2**53 - 1)
)


async def eventually(holds: Callable[[], object]) -> None:
    for _ in range(round(PATIENCE / 0.002)):
        if holds():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("that never comes")


class Life:
    """One relay's list in a folder, from its start to its stop."""

    def __init__(self, folder: Path) -> None:
        self.list = Departures()
        self.file = GoneFile(folder, self.list)

    async def __aenter__(self) -> Life:
        await self.file.start()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self.file.stop()

    @property
    def known(self) -> dict[str, str]:
        return {one.name: one.reason for one in self.list}


def content(folder: Path) -> dict[str, Any]:
    """The cameras in the file, by name; none where there is no such file."""
    try:
        return {one.pop("name"): one for one in json.loads((folder / FILE).read_bytes())["cameras"]}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


@settings(max_examples=30)
@given(st.lists(DEPARTURES, max_size=5), st.dictionaries(NAMES, ADDRESSES, max_size=5))
def test_what_is_written_is_read_again(departures: list[Departure], on_air: dict[str, str]) -> None:
    lost = [Departure(name, address, "lost", 77) for name, address in on_air.items()]
    assert parse(written(departures, on_air), 77) == departures + lost


def test_the_longest_list_can_be_read() -> None:
    many = [
        Departure(
            f"{number:032}", "\U0001f600" * MAX_ADDRESS, "closed", 2**53 - 1, "\U0001f600" * 40
        )
        for number in range(MAX_GONE)
    ]
    on_air = {f"x{number:031}": "f" * 2 * MAX_ADDRESS for number in range(MAX_CAMERAS)}
    data = written(many, on_air, dict.fromkeys(on_air, "\U0001f600" * 40))
    assert len(data) <= MAX_FILE and len(parse(data, 0)) == MAX_GONE + MAX_CAMERAS


def test_labels_are_kept_and_a_file_without_them_is_read() -> None:
    old = (
        b'{"version": 1, "cameras": [{"name": "porch", "address": "a", "reason": "left", '
        b'"since": 5}, {"name": "attic", "address": "b"}]}'
    )
    assert parse(old, 7) == [Departure("porch", "a", "left", 5), Departure("attic", "b", "lost", 7)]
    labelled = [
        Departure("porch", "a", "left", 5, "Дверь"),
        Departure("attic", "b", "lost", 7, "😀"),
    ]
    assert parse(written(labelled[:1], {"attic": "b"}, {"attic": "😀"}), 7) == labelled
    assert (
        parse(written([Departure("porch", "a", "left", 5, "a\u202eb\ud800")], {}), 7)[0].label
        == "ab"
    ), "somebody wrote it"


GOOD = {"name": "porch", "address": "192.0.2.1", "reason": "left", "since": 5}

BROKEN: list[Any] = [
    {"version": 1, "cameras": [GOOD | {"label": 5}]},
    b"",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b"[]",
    b"{}",
    b'{"version": 2, "cameras": []}',
    b'{"version": 1, "cameras": {}}',
    b'{"version": 1, "cameras": [["porch"]]}',
    b" " * (MAX_FILE + 1),
    *(
        GOOD | wrong
        for wrong in (
            {"name": "../keys"},
            {"name": "Porch"},
            {"name": None},
            {"name": "porch\n"},
            {"address": 5},
            {"address": "x" * (MAX_ADDRESS + 1)},
            {"reason": "taken-over"},
            {"reason": None},
            {"reason": ["lost"]},
            {"since": -1},
            {"since": 2**53},
            {"since": 1.5},
            {"since": True},
            {"since": "5"},
        )
    ),
]


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_file_is_a_sentence_and_an_empty_list(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: Any
) -> None:
    data = (
        broken
        if isinstance(broken, bytes)
        else json.dumps({"version": 1, "cameras": [GOOD, broken]}).encode()
    )
    with pytest.raises(ValueError, match=r"^(it|an entry) (is|has) "):
        parse(data, 0)
    (tmp_path / FILE).write_bytes(data)
    async with Life(tmp_path) as life:
        assert life.known == {}
        [line] = caplog.messages
        assert FILE in line and "begins anew" in line and "\n" not in line
        life.list.films("attic", "a")
        await eventually(lambda: content(tmp_path).keys() == {"attic"})


@given(st.binary(max_size=300))
def test_whatever_the_bytes_there_is_a_list_or_a_sentence(data: bytes) -> None:
    try:
        parse(data, 0)
    except ValueError as error:
        assert len(str(error)) < 100


async def test_what_is_no_file_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).mkdir()
    async with Life(tmp_path) as life:
        assert life.known == {} and "is no file" in caplog.text
        life.list.films("porch", "a")
        await eventually(lambda: "cannot be kept" in caplog.text)
    assert (tmp_path / FILE).is_dir()


async def test_what_was_on_the_air_is_lost_after_a_power_cut_and_after_a_stop(
    tmp_path: Path,
) -> None:
    folder, copy = tmp_path / "made" / "anew", tmp_path / "copy"
    async with Life(folder) as life:
        life.list.films("porch", "192.0.2.1")
        life.list.films("attic", "192.0.2.2")
        life.list.goes("attic", "left", life.list.now() - 5_000)
        await eventually(lambda: content(folder).keys() == {"porch", "attic"})
        assert content(folder)["porch"] == {"address": "192.0.2.1"}
        assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600 or os.name != "posix"
        shutil.copytree(folder, copy)  # as the disk is in this moment
        [attic] = life.list
    ended = attic.since - 3_600_000
    os.utime(copy / FILE, ns=(ended * 10**6, ended * 10**6))
    async with Life(copy) as later:
        assert list(later.list) == [attic, Departure("porch", "192.0.2.1", "lost", ended)]
        await eventually(
            lambda: content(copy)["porch"].get("since") == ended
        )  # the next cut does not make it later
        later.list.films("porch", "192.0.2.1")
        later.list.films("cellar", "192.0.2.3")
        later.list.goes("cellar", "closed", later.list.now())
    async with Life(copy) as last:
        assert last.known == {"attic": "left", "cellar": "closed", "porch": "lost"}
        [porch] = [one for one in last.list if one.name == "porch"]
        assert abs(porch.since - last.list.now()) < 1000 * PATIENCE, (
            "it was on the air up to the stop"
        )


async def test_the_time_of_the_file_is_set_while_a_camera_is_on_the_air(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gone_file, "TOUCH_INTERVAL", 0.01)
    monkeypatch.setattr(gone_file, "WRITE_PAUSE", 1e-9)
    path = tmp_path / FILE

    def written_now() -> bool:
        return path.exists() and path.stat().st_mtime > 10

    async with Life(tmp_path) as life:
        life.list.films("porch", "a")
        await eventually(written_now)
        before = path.stat()
        os.utime(path, (5, 5))
        await eventually(written_now)
        assert path.stat().st_ino == before.st_ino or os.name != "posix", "that is no write"
        path.unlink()
        await eventually(written_now)
        life.list.goes("porch", "lost", 1)
        await eventually(lambda: content(tmp_path)["porch"].get("since") == 1)
        os.utime(path, (5, 5))
        await asyncio.sleep(0.05)
        assert path.stat().st_mtime == 5, "nothing is on the air"


async def test_it_is_written_beside_the_event_loop_and_not_at_each_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    write = files.write

    def watched(path: Path, data: bytes) -> None:
        threads.append(threading.get_ident())
        time.sleep(0.001)
        write(path, data)

    monkeypatch.setattr(files, "write", watched)
    monkeypatch.setattr(gone_file, "WRITE_PAUSE", 3600.0)
    async with Life(tmp_path) as life:
        for number in range(300):
            life.list.films(f"cam-{number}", "a")
            life.list.goes(f"cam-{number}", "lost", number)
            await asyncio.sleep(0.001)
        assert threads and threading.get_ident() not in threads
        assert len(threads) <= gone_file.WRITES_AT_ONCE + 1
        last = life.known
    assert content(tmp_path).keys() == last.keys(), "the newest is written at the stop"


async def test_a_full_disk_is_said_once_and_written_when_it_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(gone_file, "TOUCH_INTERVAL", 0.005)
    monkeypatch.setattr(gone_file, "WRITE_PAUSE", 1e-9)
    full, tries, write = True, 0, files.write

    def maybe(path: Path, data: bytes) -> None:
        nonlocal tries
        tries += 1
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, data)

    monkeypatch.setattr(files, "write", maybe)
    async with Life(tmp_path) as life:
        life.list.films("porch", "a")
        await eventually(lambda: tries > 3)
        assert [
            line for line in caplog.messages if "cannot be kept" in line and "No space left" in line
        ] == caplog.messages
        assert len(caplog.messages) == 1
        full = False
        await eventually(lambda: "porch" in content(tmp_path))
        await eventually(lambda: len(caplog.messages) == 2)
        assert "again" in caplog.messages[1]


async def test_a_folder_that_cannot_be_written_is_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(
        written([Departure("porch", "a", "left", int(time.time() * 1000))], {})
    )
    before = (tmp_path / FILE).read_bytes()

    def refuse(*arguments: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("locked", "write"):
        monkeypatch.setattr(files, name, refuse)
    async with Life(tmp_path) as life:
        assert life.known == {"porch": "left"}
        life.list.films("attic", "a")
        await eventually(lambda: not life.file._news.is_set())
    assert (tmp_path / FILE).read_bytes() == before and caplog.text.count("Read-only") == 1


async def test_two_relays_in_one_folder_do_not_write_over_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gone_file, "TOUCH_INTERVAL", 0.01)
    monkeypatch.setattr(gone_file, "WRITE_PAUSE", 1e-9)
    monkeypatch.setattr(gone_file, "HANDOVER", 0.01)
    async with Life(tmp_path) as one, Life(tmp_path) as other:
        one.list.films("porch", "a")
        other.list.films("attic", "a")
        await eventually(lambda: "cannot be kept" in caplog.text)
        await eventually(lambda: content(tmp_path).keys() == {"porch"})
        await one.file.stop()  # from here on the folder is the other one's
        await eventually(lambda: content(tmp_path).keys() == {"porch", "attic"})
        assert other.known == {"porch": "lost"}


async def test_who_waits_for_the_relay_before_has_its_list(tmp_path: Path) -> None:
    before = Life(tmp_path)
    await before.file.start()
    before.list.films("porch", "a")
    async with Life(tmp_path) as after:
        assert after.known == {}
        before.list.goes("porch", "left", before.list.now())
        await before.file.stop()
        await eventually(lambda: after.known == {"porch": "left"})


async def test_what_is_older_than_a_day_is_written_no_more(tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    (tmp_path / FILE).write_bytes(
        written([Departure("old", "a", "left", now - KEPT), Departure("new", "a", "left", now)], {})
    )
    async with Life(tmp_path) as life:
        assert life.list.look() and life.known == {"new": "left"}
        await eventually(lambda: content(tmp_path).keys() == {"new"})
