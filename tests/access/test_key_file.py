"""The file of the keys by itself: what it holds after it was begun, changed, and damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from drawercam.access.key import ALL, NOTHING, Key, KeysError, new_secret
from drawercam.access.key_file import KeyFile


def test_it_is_begun_once_and_holds_what_was_changed(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    assert file.begin(lambda: 5.0) and not KeyFile(tmp_path).begin(lambda: 6.0)
    before = file.stamp()
    added = Key("guest", new_secret(), NOTHING, ALL, 7)
    with file.changing() as keys:
        assert [key.made for key in keys] == [5, 5]
        keys.append(added)
    assert KeyFile(tmp_path).read().keys[-1] == added
    assert file.stamp() != before and file.has_reserve


def test_nothing_is_written_when_a_change_fails(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    file.begin(lambda: 5.0)
    before = file.path.read_bytes()
    with pytest.raises(ZeroDivisionError), file.changing() as keys:
        keys.clear()
        raise ZeroDivisionError
    assert file.path.read_bytes() == before


def test_a_damaged_one_is_told_apart_from_one_that_cannot_be_read(tmp_path: Path) -> None:
    file = KeyFile(tmp_path)
    with pytest.raises(FileNotFoundError):
        file.read()
    file.path.write_text("{}")
    with pytest.raises(KeysError):
        file.read()
    with pytest.raises(OSError, match="not in the form"), file.changing():
        pass
