"""Keys, roles, Host and Origin."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from drawercam.access import Access, Denied, Keys, Role


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys.load_or_create(tmp_path)


def test_keys_are_made_once_and_kept_to_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    first = Keys.load_or_create(folder)
    again = Keys.load_or_create(folder)
    assert [first.key(role) for role in Role] == [again.key(role) for role in Role]
    assert first.key(Role.CAMERA) != first.key(Role.VIEWER)
    assert stat.S_IMODE((folder / "keys.json").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["keys.json"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"camera": "x"}', '{"camera": 1, "viewer": 2}', '{"camera": "", "viewer": ""}'])
def test_a_damaged_key_file_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    keys = Keys.load_or_create(tmp_path)
    assert len(keys.key(Role.CAMERA)) == 19
    assert keys.role_of("") is None


def test_a_key_opens_its_role_however_it_was_typed(keys: Keys) -> None:
    for role in Role:
        assert keys.role_of(keys.key(role)) is role
        assert keys.role_of(f"  {keys.key(role).upper()}\n") is role
    assert keys.role_of("") is None
    assert keys.role_of("aaaa-bbbb-cccc-dddd") is None
    assert keys.role_of("é") is None


def test_cookies_prove_roles(keys: Keys) -> None:
    access = Access(keys, ())
    camera, viewer = (f"drawercam-{role}={keys.key(role)}" for role in Role)
    assert access.roles(None) == frozenset()
    assert access.roles(camera) == {Role.CAMERA}
    assert access.roles(f"x=y; {camera}; {viewer}") == set(Role)
    assert access.roles("drawercam-camera=wrong") == frozenset()
    assert access.roles("drawercam-camera=; \x00;;=") == frozenset()
    access.require(Role.CAMERA, camera)
    with pytest.raises(Denied) as denied:
        access.require(Role.VIEWER, camera)
    assert (denied.value.status, denied.value.id) == (401, "no-key")


def test_without_keys_everybody_may_do_everything() -> None:
    Access(None, ()).require(Role.CAMERA, None)


@pytest.mark.parametrize("host", ["192.168.1.5:8443", "192.168.1.5", "[fd00::5]:8443", "localhost:8080", "Kitchen.local:8443"])
def test_known_hosts(host: str) -> None:
    Access(None, ("localhost", "kitchen.local")).check_host(host)


FOREIGN = [None, "", "evil.example", "localhost.evil.example", "192.168.1.5.evil.example", "[::1", "a:b:c", "kitchen"]


@pytest.mark.parametrize("host", FOREIGN)
def test_unknown_hosts(host: str | None) -> None:
    with pytest.raises(Denied) as denied:
        Access(None, ("localhost", "kitchen.local")).check_host(host)
    assert denied.value.status == 421


def test_origins() -> None:
    access = Access(None, ())
    access.check_origin(None, "192.168.1.5:8443")
    access.check_origin("https://192.168.1.5:8443", "192.168.1.5:8443")
    access.check_origin("https://Kitchen.local:8443", "kitchen.LOCAL:8443")
    for origin in ("https://192.168.1.5", "https://evil.example", "null", "https://192.168.1.5:8443.evil.example", ""):
        with pytest.raises(Denied) as denied:
            access.check_origin(origin, "192.168.1.5:8443")
        assert denied.value.status == 403
