"""The command line: what a person gets who mistypes, and what is printed who does not."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from certs import Authority
from drawercam.access.keys import Keyring
from drawercam.commands.serve import options
from groundwork.addresses import host_names, short_name
from tests.certs.test_authority import make_as_before
from tests.harness.relays import ROOT, Relay


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A relay that is expected to end by itself."""
    command = [sys.executable, "relay.py", "--no-install", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--host", "192.168.1.5"), "listens on this computer only; add --tls"),
        (("--port", "99999"), "a port is a number from 0 to 65535"),
        (("--log-level", "loud"), "--log-level must be debug, info, warning or error"),
        (("--pause-policy", "some"), "--pause-policy must be all, any or never"),
        (
            ("--always-on", "nursery", "Front Door"),
            "'Front Door' is no name: a name has 1 to 32 characters",
        ),
        (("--nonsense",), "there is no option --nonsense"),
        (("--tls", "--cert", "relay.py"), "--cert and --key belong together"),
        (("--cert", "relay.py", "--key", "relay.py"), "--cert is for https: add --tls"),
        (("--tls", "--cert", "relay.py", "--key", "nothing.pem"), "there is no file nothing.pem"),
        (("--trust-port", "70000"), "--trust-port: a port is a number from 0 to 65535"),
        (("--registry", "192.168.1.2:8700"), "is no address of a registry: it must look like"),
        (("--tls", "--registry", "ftp://host/"), "is no address of a registry: it must look like"),
        (
            ("--allow-host", "https://home.example/cams"),
            "--allow-host: 'https://home.example/cams' has a path, and drawercam does not",
        ),
        (
            ("--allow-host", "cam.example.org:port"),
            "--allow-host: 'cam.example.org:port' is no host: it must be a name or an address",
        ),
        (
            ("--proxy", "nginx"),
            "--proxy: 'nginx' names no address of a proxy: it must be one, such as 127.0.0.1",
        ),
        (("--proxy", "0.0.0.0/0"), "--proxy: '0.0.0.0/0' would let anybody say who he is"),
        (
            ("--relay-name", "Front Door"),
            "--relay-name: 'Front Door' is no name: a name has 1 to 32 characters",
        ),
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
    assert (
        "already in use" in done.stderr
        and "--port" in done.stderr
        and "Traceback" not in done.stderr
    )


def test_a_state_folder_that_cannot_be_used_is_explained() -> None:
    done = run("--tls", "--host", "127.0.0.1", "--state", "/dev/null/state")
    assert done.returncode == 1
    assert "--state" in done.stderr and "Traceback" not in done.stderr


def test_without_tls_it_says_why_no_phone_can_film() -> None:
    with Relay() as relay:
        pass
    assert "this computer only" in relay.output
    (again,) = [shlex.split(line) for line in relay.output.splitlines() if "relay.py --tls" in line]
    assert again[:3] == [sys.executable, "relay.py", "--tls"] and again[
        again.index("--state") + 1
    ] == str(relay.state)
    assert "#key=" not in relay.output


def test_with_tls_it_prints_both_pages_with_their_keys_and_the_fingerprint() -> None:
    with Relay("--tls", "--host", "127.0.0.1") as relay:
        stored = {
            key["secret"] for key in json.loads((relay.state / "keys.json").read_text())["keys"]
        }
    assert relay.output.count("/camera.html#key=") == relay.output.count("/player.html#key=") == 1
    assert "/ca.crt" in relay.output and "SHA-256" in relay.output
    said = " ".join(relay.output.split())
    assert (
        "no phone gets there" in said
        and "because of --host" in said
        and "--host 127.0.0.1" not in said
    )
    keys = {part.split()[0] for part in relay.output.split("#key=")[1:]}
    assert len(keys) == 2
    (own,) = [shlex.split(line) for line in relay.output.splitlines() if "relay.py keys" in line]
    assert (
        own[:5] == [sys.executable, "relay.py", "keys", "add", "--own"]
        and "only on a terminal" in said
    )
    assert stored == keys, "no key is there that nobody was shown"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such terminals")
def test_on_a_terminal_the_first_start_prints_the_owners_link_and_no_later_one_does(
    tmp_path: Path,
) -> None:
    import pty

    def started() -> str:
        ours, its = pty.openpty()
        options = [
            "--tls",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-trust-page",
            "--no-mdns",
            "--no-qr",
            "--state",
            str(tmp_path),
        ]
        process = subprocess.Popen(
            [sys.executable, "relay.py", *options, "--no-install"], cwd=ROOT, stdout=its, stderr=its
        )
        os.close(its)
        said = b""
        try:
            while b"Ctrl-C" not in said:
                said += os.read(ours, 4096)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
            os.close(ours)
        return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).split())

    first, second = started(), started()
    secret = re.findall(r"Own:? (https://\S+/player.html#key=\S+)", first)[0].partition("#key=")[2]
    stored = {
        key["secret"]: key for key in json.loads((tmp_path / "keys.json").read_text())["keys"]
    }
    assert (stored[secret]["publish"], stored[secret]["watch"]) == ("all", "all") and first.count(
        secret
    ) == 1
    assert secret not in second and "own phone" not in second and "#key=" in second


def test_when_a_printed_key_was_revoked_it_says_so_and_how_to_make_another(tmp_path: Path) -> None:
    for _ in range(2):
        with Relay("--tls", "--host", "127.0.0.1", state=tmp_path) as relay:
            pass
        run("keys", "revoke", "camera", "--state", str(tmp_path))
    assert "/player.html#key=" in relay.output and "/camera.html#key=" not in relay.output
    again = [shlex.split(line) for line in relay.output.splitlines() if "relay.py keys" in line]
    own, film = (
        ("keys", "add", *what, "--state", str(tmp_path))
        for what in (("--own",), ("--publish", "all"))
    )
    assert again == [[sys.executable, "relay.py", *words] for words in (own, film)]


def test_the_other_commands_are_there() -> None:
    for command in ("keys", "find"):
        done = run(command, "--help")
        assert done.returncode == 0 and f"usage: python3 relay.py {command}" in done.stdout.replace(
            "usage: relay.py", "usage: python3 relay.py"
        )


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Kitchen.lan", "kitchen"),
        ("pi_4", "pi-4"),
        ("-x-", "x"),
        ("küche", "k-che"),
        ("日本", "drawercam"),
        ("a" * 60, "a" * 32),
    ],
)
def test_a_relay_is_called_like_its_computer(
    monkeypatch: pytest.MonkeyPatch, host: str, name: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert options([]).relay_name == name


def test_names_of_one_label_are_said_at_the_start_and_are_in_no_link(tmp_path: Path) -> None:
    make_as_before(Authority(tmp_path / "certs"), "garden")
    with Relay(
        "--tls",
        "--host",
        "127.0.0.1",
        "--allow-host",
        "garden",
        "--allow-host",
        "bench",
        state=tmp_path,
    ) as relay:
        served = x509.load_pem_x509_certificate((tmp_path / "certs" / "served.pem").read_bytes())
        answers = {}
        for name in filter(None, ("garden", "bench", short_name(), "other")):
            connection = http.client.HTTPSConnection(
                "localhost", relay.port, context=relay.context, timeout=20
            )
            connection.request("GET", "/healthz", headers={"Host": f"{name}:{relay.port}"})
            answers[name] = connection.getresponse().status
            connection.close()
    said = " ".join(relay.output.split())
    assert (
        "may vouch for every name that ends in .garden" in said
        and "Browsers will warn at bench:" in said
    )
    names = served.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    ).value.get_values_for_type(x509.DNSName)
    assert {name for name in names if "." not in name} == {"localhost", "garden"}
    assert answers.pop("other") == 421 and set(answers.values()) == {200}, (
        "as Host they are known all the same"
    )
    assert "//garden" not in said and "//bench" not in said


def test_an_address_that_is_allowed_is_one_in_the_certificate_and_in_the_links(
    tmp_path: Path,
) -> None:
    """In a container no address of the relay's own leads to it."""
    hosts = (
        "--allow-host",
        "192.168.77.5",
        "--allow-host",
        "[fd00:77::5]:9443",
        "--allow-host",
        "https://cam.home.example:444",
    )
    with Relay("--tls", "--host", "127.0.0.1", *hosts, state=tmp_path) as relay:
        served = x509.load_pem_x509_certificate((tmp_path / "certs" / "served.pem").read_bytes())
        connection = http.client.HTTPSConnection(
            "localhost", relay.port, context=relay.context, timeout=20
        )
        connection.request("GET", "/healthz", headers={"Host": "192.168.77.5:9443"})
        assert connection.getresponse().status == 200
        connection.close()
    found = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"192.168.77.5", "fd00:77::5"} <= set(
        map(str, found.get_values_for_type(x509.IPAddress))
    )
    assert "cam.home.example" in found.get_values_for_type(x509.DNSName)
    links = re.findall(r"(https://\S+)/camera\.html#key=", relay.output)
    assert links == [
        f"https://192.168.77.5:{relay.port}",
        "https://[fd00:77::5]:9443",
        "https://cam.home.example:444",
    ]
    assert "Warning" not in relay.output and "no phone gets there" not in relay.output


def test_without_keys_it_warns() -> None:
    with Relay("--tls", "--no-key", "--host", "127.0.0.1") as relay:
        pass
    assert "--no-key" in relay.output and "#key=" not in relay.output


def test_a_relay_starts_with_what_is_in_a_folder_that_takes_nothing_new(tmp_path: Path) -> None:
    state = tmp_path / "state"
    keys = Keyring.open(state).keys
    Authority(state / "certs").ensure([], host_names())
    program = """
import sys, pytest, relay
from pathlib import Path
from tests.groundwork.test_state_files import Hindered
Hindered(Path(sys.argv[-1]), pytest.MonkeyPatch())
sys.exit(relay.main(sys.argv[1:]))
"""
    command = [
        sys.executable,
        "-c",
        program,
        "--no-install",
        "--tls",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-trust-page",
        "--no-mdns",
    ]
    command += ["--state", str(state)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None and started.stderr is not None
        try:
            printed = list(iter(started.stdout.readline, "Press Ctrl-C to stop.\n"))
            started.send_signal(signal.SIGINT)
            assert started.wait(20) == 0
            log = started.stderr.read()
        finally:
            started.kill()
    assert all(any(key.secret in line for line in printed) for key in keys)
    assert (
        log.count("Nothing can be written into") == 1
        and "Read-only file system" in log
        and "Its disk is read-only." in log
    )
    assert "Which cameras are gone cannot be kept" in log
