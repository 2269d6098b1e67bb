"""The command line: what a person gets who mistypes, and what is printed who does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.relays import ROOT, Relay


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A relay that is expected to end by itself."""
    command = [sys.executable, "relay.py", "--no-install", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--host", "192.168.1.5"), "listens on this computer only; add --tls"),
        (("--port", "99999"), "a port is a number from 0 to 65535"),
        (("--log-level", "loud"), "invalid choice"),
        (("--pause-policy", "some"), "invalid choice"),
        (("--always-on", "nursery", "Front Door"), "'Front Door' is no name: a name has 1 to 32 characters"),
        (("--nonsense",), "unrecognized arguments"),
    ],
)
def test_a_wrong_command_line_is_explained(arguments: tuple[str, ...], sentence: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr and "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_explained() -> None:
    with Relay() as relay:
        done = run("--port", str(relay.port))
    assert done.returncode == 1
    assert "already in use" in done.stderr and "--port" in done.stderr and "Traceback" not in done.stderr


def test_a_state_folder_that_cannot_be_used_is_explained() -> None:
    done = run("--tls", "--host", "127.0.0.1", "--state", "/dev/null/state")
    assert done.returncode == 1
    assert "--state" in done.stderr and "Traceback" not in done.stderr


def test_without_tls_it_says_why_no_phone_can_film() -> None:
    with Relay() as relay:
        pass
    assert "this computer only" in relay.output and "python relay.py --tls" in relay.output
    assert "#key=" not in relay.output


def test_with_tls_it_prints_both_pages_with_their_keys_and_the_fingerprint() -> None:
    with Relay("--tls", "--host", "127.0.0.1") as relay:
        pass
    assert relay.output.count("/camera.html#key=") == relay.output.count("/player.html#key=") == 1
    assert "/ca.crt" in relay.output and "SHA-256" in relay.output
    keys = {part.split()[0] for part in relay.output.split("#key=")[1:]}
    assert len(keys) == 2


def test_without_keys_it_warns() -> None:
    with Relay("--tls", "--no-key", "--host", "127.0.0.1") as relay:
        pass
    assert "--no-key" in relay.output and "#key=" not in relay.output
