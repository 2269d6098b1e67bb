"""What a running relay leaves in its state folder: believed while that relay lives, and not a
moment longer.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certs import Authority
from drawercam.access.keys import Keyring
from drawercam.commands import film as command
from drawercam.commands import find
from drawercam.commands import keys as keycommand
from drawercam.film.relay import address
from groundwork import addresses
from groundwork import running_relay as running
from groundwork import state_files as files
from groundwork.running_relay import MAX_RELAYS, Notice, Running, relays
from tests.harness.relays import ROOT

HTTPS = Running(
    "https",
    9443,
    ("192.168.7.7", "fd00::7", "attic.local"),
    "127.0.0.1",
    "attic",
    keys=True,
    authority=True,
    fingerprint="AB:CD",
    trust="",
)
BEHIND = Running(
    "http",
    9080,
    ("localhost",),
    "127.0.0.1",
    "attic",
    keys=True,
    authority=False,
    origins=("https://cam.example.org",),
)
HTTP = Running("http", 9080, ("localhost",), "127.0.0.1", "attic", keys=False, authority=False)


@contextmanager
def up(state: Path, *those: Running) -> Iterator[list[Notice]]:
    notices = [Notice(state) for _ in those]
    for notice, one in zip(notices, those, strict=True):
        notice.put_up(one)
    try:
        yield notices
    finally:
        for notice in notices:
            notice.take_down()


def test_it_is_there_while_the_relay_runs_for_its_owner_alone_and_says_no_key(
    tmp_path: Path,
) -> None:
    state = tmp_path / "deep" / "state"
    assert relays(state) == [] and not state.exists(), "looking makes nothing"
    with up(state, HTTPS) as (notice,):
        assert relays(state) == relays(state) == [HTTPS]
        (file,) = state.glob("*.json")
        if os.name == "posix":
            assert file.stat().st_mode & 0o777 == 0o600
        notice.put_up(HTTP)
        assert relays(state) == [HTTP] and len(list(state.glob("*.json"))) == 1
    assert relays(state) == [] and not list(state.glob("*.json"))


def test_what_a_dead_relay_has_left_is_not_believed_and_its_place_is_taken(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from groundwork.running_relay import "
        "Notice, Running\n"
        "Notice(Path(sys.argv[1])).put_up(Running('https', 9443, ('192.168.7.7',), "
        "'localhost', 'attic', True, True))\n"
        "print('up', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as relay:
        assert relay.stdout is not None
        relay.stdout.readline()
        assert [one.port for one in relays(tmp_path)] == [9443]
        relay.kill()
    assert list(tmp_path.glob("running*.json")) and relays(tmp_path) == []
    with up(tmp_path, HTTP):
        assert relays(tmp_path) == [HTTP] and len(list(tmp_path.glob("running*.json"))) == 1


def test_several_relays_may_share_a_folder(tmp_path: Path) -> None:
    with up(tmp_path, HTTP, HTTPS) as (first, _):
        assert relays(tmp_path) == [HTTP, HTTPS]
        assert address.own(tmp_path, 1, 2).origin == "https://127.0.0.1:9443", (
            "a camera films to the one with https"
        )
        first.take_down()
        assert relays(tmp_path) == [HTTPS]
    with (
        up(tmp_path, *[HTTP] * MAX_RELAYS),
        pytest.raises(OSError, match="relays use this folder already"),
    ):
        Notice(tmp_path).put_up(HTTPS)


@pytest.mark.parametrize(
    "spoilt",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 50_000,
        b"{}",
        b'{"hosts": []}',
        b'{"port": 9443, "hosts": ["a"]}',
    ],
)
def test_what_makes_no_sense_is_not_believed(tmp_path: Path, spoilt: bytes) -> None:
    file = tmp_path / "running.json"
    file.write_bytes(spoilt)
    held = files.hold(file)
    assert held is not None
    try:
        assert relays(tmp_path) == []
    finally:
        os.close(held)


@given(
    st.dictionaries(
        st.sampled_from(["scheme", "port", "hosts", "here", "name", "fingerprint"]),
        st.none() | st.integers() | st.text(),
    )
)
def test_a_field_of_another_kind_is_not_believed(wrong: dict[str, object]) -> None:
    good = json.loads(
        json.dumps(
            {
                "scheme": "https",
                "port": 1,
                "hosts": ["a"],
                "here": "a",
                "name": "a",
                "keys": True,
                "authority": True,
            }
        )
    )
    found = running._decoded(json.dumps(good | wrong | {"later": 1}).encode())
    if not wrong:
        assert found is not None and found.origin == "https://a:1"
    if found is not None:
        assert all(isinstance(url, str) for url in found.urls()) and found.origin.startswith(
            found.scheme
        )


# --- who reads it ---


def test_links_of_new_keys_carry_its_port_and_an_address_on_which_it_listens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def add(*more: str) -> str:
        assert (
            keycommand.main(
                ["add", "--watch", "all", "--state", str(tmp_path), *more], ROOT / "state", 8443
            )
            == 0
        )
        return capsys.readouterr().out

    with up(tmp_path, HTTP, HTTPS):
        said = add()
        assert (
            "https://192.168.7.7:9443/player.html#key=" in said and "No relay is seen" not in said
        )
        assert (
            "https://192.168.7.7:443/" not in said
            and "https://192.168.7.7/player.html#key=" in add("--port", "443")
        )
    said = add()
    assert (
        f"No relay is seen to run with {tmp_path}" in said
        and ":8443/player.html#key=" in said
        and "usual port 8443" in said
    )
    assert "usual port" not in add("--port", "9000")
    with up(tmp_path, HTTP):
        assert "asks for no keys" in add()
    with up(tmp_path, BEHIND):
        assert "https://cam.example.org/player.html#key=" in add(), "behind a proxy they lead there"


def test_a_camera_finds_it_and_shows_its_key_to_no_other(tmp_path: Path) -> None:
    ring = Keyring.open(tmp_path)
    assert address.own(
        tmp_path, 8443, 8080
    ).origin == "http://127.0.0.1:8080" and not address.is_known(tmp_path)
    with up(tmp_path, HTTPS):
        assert address.own(
            tmp_path, 8443, 8080
        ).origin == "https://127.0.0.1:9443" and address.is_known(tmp_path)
    with up(tmp_path, HTTP):
        assert address.own(tmp_path, 8443, 8080).origin == "http://127.0.0.1:9080"
    film, _ = ring.for_links()
    assert film is not None and address.own_key(tmp_path) == film.secret


def test_a_camera_shows_the_key_without_https_to_the_relay_that_runs_here_and_asks_for_it(
    tmp_path: Path,
) -> None:
    film, _ = Keyring.open(tmp_path).for_links()
    assert film is not None

    def shown(*given: str) -> str:
        return command._credentials(
            command._parser(tmp_path).parse_args(["test", *given]),
            address.own(tmp_path, 8443, 8080),
        )[0]

    assert shown() == shown("--key", "x") == "", "somebody else may listen there"
    with up(tmp_path, HTTP):
        assert shown() == shown("--key", "x") == "", "it asks for none"
    with up(tmp_path, BEHIND):
        assert (shown(), shown("--key", "x")) == (film.secret, "x")


def test_before_its_own_key_is_shown_only_the_authority_of_the_state_folder_is_believed(
    tmp_path: Path,
) -> None:
    ca = Authority(tmp_path / "certs").ensure([], []).ca_file
    other = Authority(tmp_path / "other").ensure([], []).ca_file

    def believed(**options: Any) -> set[str]:
        context = address.own_trust(tmp_path, options.get("ca"), options.get("insecure", False))
        assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
        return {ssl.DER_cert_to_PEM_cert(der) for der in context.get_ca_certs(binary_form=True)}

    def pem(*those: Path | None) -> set[str]:
        return {
            ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(one.read_text()))
            for one in those
            if one
        }

    assert believed() == believed(insecure=True) == pem(ca)
    assert believed(ca=other) == pem(ca, other)
    with up(tmp_path, replace(HTTPS, authority=False)):
        assert believed() >= pem(ca), "with --cert, it is the system that knows whom to believe"
        assert address.own_trust(tmp_path, None, True).verify_mode is ssl.CERT_NONE, (
            "and a person may say that anybody will do"
        )


@pytest.mark.parametrize(
    ("hosts", "here"),
    [(None, "127.0.0.1"), (["0.0.0.0"], "127.0.0.1"), (["::"], "::1"), (["10.0.0.7"], "10.0.0.7")],
)
def test_a_program_on_this_computer_goes_to_where_it_listens(
    hosts: list[str] | None, here: str
) -> None:
    assert addresses.from_here(hosts) == here
    assert (
        addresses.from_here([here]) == here
        and addresses.from_here(["kitchen.local", here]) == "kitchen.local"
    )


def test_find_knows_the_relays_of_this_computer(tmp_path: Path) -> None:
    with up(tmp_path, HTTPS):
        (found,) = find.of_this_computer(tmp_path)
    assert found.name == "attic" and found.fingerprint == "AB:CD"
    assert found.urls == (
        "https://192.168.7.7:9443",
        "https://[fd00::7]:9443",
        "https://attic.local:9443",
    )
