"""What is typed wrong is answered in a line or two, and what is printed works as it is typed: each
printed command is run here.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from drawercam.commands import film, find, serve
from drawercam.commands import keys as keycommand
from groundwork import bootstrap
from groundwork import command_lines as commandline
from ip_registry import service
from tests.harness.relays import ROOT

posix = pytest.mark.skipif(os.name == "nt", reason="these shells are POSIX ones")


def film_main(words: list[str]) -> int:
    return film.main(words, ROOT / "state", 8443, 8080)


def keys_main(words: list[str]) -> int:
    return keycommand.main(words, ROOT / "state", 8443)


@pytest.mark.parametrize(
    ("main", "typed", "near"),
    [
        (serve.options, "--prot 9000", "--port"),
        (serve.options, "--tsl", "--tls"),
        (serve.options, "--tls --alow-host=cam.example", "--allow-host"),
        (serve.options, "-tls", "--tls"),
        (serve.options, "tls", "--tls"),
        (serve.options, "\u2013tls", "--tls"),
        (serve.options, "--No_Key", "--no-key"),
        (serve.options, "kyes", "keys"),
        (keys_main, "add --wach nursery", "--watch"),
        (keys_main, "add --watch nursery --expire\u0301s 7d", "--expires"),
        (keys_main, "ad --watch nursery", "add"),
        (keys_main, "revok k3f7a", "revoke"),
        (keys_main, "--sate /tmp", "--state"),
        (find.main, "--regsitry http://x", "--registry"),
        (film_main, "test --nmae nest", "--name"),
        (film_main, "test -name nest", "--name"),
        (film_main, "test --name nest --key-flie=x", "--key-file"),
        (service.options, "--secretfile x", "--secret-file"),
    ],
)
def test_what_is_mistyped_is_answered_with_the_near_word(
    main: Callable[[list[str]], object], typed: str, near: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(typed.split())
    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert f"Did you mean {near}?" in said and len(said.splitlines()) <= 3 and "usage" not in said


def test_what_is_like_nothing_is_told_and_values_are_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (["--frobnicate=Sesame42"], ["--frobnicate", "Sesame42"]):
        with pytest.raises(SystemExit):
            serve.options(words)
        said = capsys.readouterr().err
        assert (
            "there is no option --frobnicate\n" in said
            and "Did you mean" not in said
            and "Sesame" not in said
        )
        assert said.splitlines()[-1].endswith("relay.py --help")


@pytest.mark.parametrize(
    ("main", "typed", "sentence", "example"),
    [
        (
            serve.options,
            "--port abc",
            "--port: a port is a number from 0 to 65535",
            "--tls --port 9000",
        ),
        (
            serve.options,
            "--trust-port -1",
            "--trust-port: a port is a number from 0",
            "--tls --trust-port 9000",
        ),
        (
            serve.options,
            "--port",
            "a value is missing behind --port: port to listen on",
            "--tls --port 9000",
        ),
        (
            serve.options,
            "--always-on",
            "a value is missing behind --always-on: cameras that film",
            "--tls --always-on porch",
        ),
        (
            serve.options,
            "--log-level loud",
            "--log-level must be debug, info, warning or error",
            "--tls --log-level debug",
        ),
        (serve.options, "--tls=yes", "--tls takes no value", "--tls"),
        (
            serve.options,
            "--no",
            "--no may be the beginning of --no-trust-page or of --no-mdns",
            "--tls --no-trust-page",
        ),
        (keys_main, "revoke", "ID is missing: the ID of a key, as", "keys revoke k3f7a"),
        (
            keys_main,
            "add --port 0 --watch all",
            "--port: a port is a number from 1 to 65535",
            "keys add --watch all --port 9000",
        ),
        (
            keys_main,
            "add --watch",
            "a value is missing behind --watch: let its holder watch",
            "keys add --watch all",
        ),
        (
            find.main,
            "--registry",
            "a value is missing behind --registry",
            "find --registry https://192.168.1.5:8443",
        ),
        (
            film_main,
            "",
            "SOURCE is missing: a device such as /dev/video0, rpicam, a URL",
            "film test --name test",
        ),
        (
            film_main,
            "test --size big",
            "--size: a size is such as 640x480",
            "film test --name test --size 640x480",
        ),
        (
            film_main,
            "test --fps 0",
            "--fps: pictures per second are a number",
            "film test --name test --fps 15",
        ),
        (
            film_main,
            "--state",
            "a value is missing behind --state",
            "film test --name test --state /srv/drawercam",
        ),
        (service.options, "--port x", "--port: a port is a number from 0 to 65535", "--port 9000"),
    ],
)
def test_what_argparse_finds_wrong_is_told_in_plain_words_with_an_example(
    main: Callable[[list[str]], object],
    typed: str,
    sentence: str,
    example: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(typed.split())
    said = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2 and len(said) == 3
    assert sentence in said[0] and "argument" not in said[0]
    assert said[1] == f"For example: {commandline.command()} {example}"
    assert said[2].startswith("All that there is: ") and said[2].endswith(" --help")


@pytest.mark.parametrize("main", [serve.options, find.main, film_main, service.options])
def test_each_option_with_a_value_has_an_example(
    main: Callable[[list[str]], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(parser: commandline.Parser, *_: object) -> None:
        valued = [
            one
            for one in parser._actions
            if one.option_strings and one.nargs != 0 and not one.choices
        ]
        assert (
            valued
            and [one.option_strings for one in valued if one.metavar not in commandline.EXAMPLES]
            == []
        )
        sys.exit(7)

    monkeypatch.setattr(commandline.Parser, "parse_known_args", stop)
    with pytest.raises(SystemExit) as stopped:
        main(["test"])
    assert stopped.value.code == 7


def test_the_state_folder_may_stand_before_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for where in (["--state", str(tmp_path)], [f"--state={tmp_path}"]):
        assert keys_main([*where, "add", "--watch", "all"]) == 0
        assert keys_main([*where, "list"]) == keys_main(where) == 0
        assert "watch every camera" in capsys.readouterr().out


# --- what is printed ---


@pytest.mark.parametrize(
    ("original", "arguments", "typed"),
    [
        (["python3", "relay.py", "--tls"], 1, ["python3", "relay.py"]),
        (
            ["python3", "-X", "dev", "/opt/dr awer/relay.py"],
            0,
            ["python3", "-X", "dev", "/opt/dr awer/relay.py"],
        ),
        (
            [".venv/bin/python", "relay.py", "keys", "add", "--watch", "relay.py"],
            4,
            [".venv/bin/python", "relay.py"],
        ),
        (["python3", "-m", "ip_registry", "--tls"], 1, ["python3", "-m", "ip_registry"]),
        (["python3", "-m", "pytest", "-q"], 1, [bootstrap.PYTHON, "relay.py"]),
        (["python3"], 0, [bootstrap.PYTHON, "relay.py"]),
        ([], 0, [bootstrap.PYTHON, "relay.py"]),
    ],
)
@posix
def test_commands_begin_as_the_one_that_was_typed(
    original: list[str], arguments: int, typed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", original)
    monkeypatch.setattr(sys, "argv", ["program", *original[len(original) - arguments :]])
    assert bootstrap.typed() == typed


@posix
def test_a_wrapper_that_starts_the_interpreter_by_its_path_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pyenv does: the folder of the interpreter is the first of PATH then."""
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sys, "orig_argv", [str(python), "relay.py", "--tls"])
    monkeypatch.setattr(sys, "argv", ["relay.py", "--tls"])
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert bootstrap.typed() == ["python3", "relay.py"]
    monkeypatch.setattr(
        sys, "prefix", str(tmp_path)
    )  # a virtual environment is started by nothing else
    assert bootstrap.typed() == [str(python), "relay.py"]
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    assert bootstrap.typed() == [str(python), "relay.py"]


@posix
def test_they_begin_so_also_behind_the_restart_in_the_virtual_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bootstrap, "_typed", [])
    monkeypatch.setenv(bootstrap.RESTARTED, '["python3.12", "/opt/relay.py"]')
    bootstrap.ensure_libraries([], required=("os",))
    assert (
        bootstrap.typed() == ["python3.12", "/opt/relay.py"]
        and bootstrap.RESTARTED not in os.environ
    )
    for spoilt in ("1", "[]", "[1]", "{", '{"a": 1}'):
        monkeypatch.setenv(bootstrap.RESTARTED, spoilt)
        bootstrap.ensure_libraries([], required=("os",))
        assert bootstrap.typed() == ["python3.12", "/opt/relay.py"]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        (["python3", "/opt/relay.py"], "relay.py keys"),
        (["/usr/bin/python3", "-m", "ip_registry"], "python3 -m ip_registry keys"),
    ],
)
def test_help_calls_a_command_by_the_programs_name(
    typed: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "_typed", typed)
    assert commandline.called("keys") == name


@posix
def test_they_begin_with_sudo_where_that_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_COMMAND", "/usr/bin/python3 relay.py keys")
    monkeypatch.setattr(getpass, "getuser", lambda: "drawercam-relay")
    for user, begin in ((990, ["sudo", "-u", "drawercam-relay"]), (0, ["sudo"])):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        assert shlex.split(commandline.command("keys")) == [
            *begin,
            bootstrap.PYTHON,
            "relay.py",
            "keys",
        ]
    monkeypatch.setenv("SUDO_COMMAND", "/bin/bash")
    assert shlex.split(commandline.command("keys")) == [bootstrap.PYTHON, "relay.py", "keys"]


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        ("", "--tls"),
        ("--port 9000", "--tls --port 9000"),
        ("--tls --host 127.0.0.1 --port 9000", "--tls --port 9000"),
        ("--host=::1 --no-qr", "--tls --no-qr"),
        ("--hos localhost", "--tls"),
        ("--host", "--tls"),
        ("--state=/a --always-on porch gate", "--tls --state /a --always-on porch gate"),
    ],
)
@posix
def test_the_start_for_phones_repeats_the_rest(typed: str, again: str) -> None:
    assert commandline.with_tls(typed.split()) == f"{bootstrap.PYTHON} relay.py {again}"


@posix
def test_paths_are_absolute_and_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = str(tmp_path / "it's mine")
    assert shlex.split(commandline.with_tls(["--state", "it's mine"]))[3:] == ["--state", odd]
    line = commandline.command("keys", state=Path("it's mine"))
    assert shlex.split(line)[-2:] == ["--state", odd] and "\n" not in line


def test_on_windows_they_are_for_its_shells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "name", "nt")
    assert (
        commandline.quoted(["py", "relay.py", "--state", "C:\\My Files"])
        == 'py relay.py --state "C:\\My Files"'
    )


@posix
def test_each_command_that_keys_prints_works_as_it_is_typed(tmp_path: Path) -> None:
    """From the first key to the last, by nothing but what is printed."""
    state = tmp_path / "an odd 'state'"

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )

    def printed(text: str) -> list[list[str]]:
        lines = re.findall(r"^  (.*relay\.py.*)$", text, re.MULTILINE)
        return [shlex.split(line) for line in lines]

    begin = [sys.executable, "relay.py", "keys"]
    where = ["--state", os.path.relpath(state, ROOT)]
    done = run(*begin, "revoke", "viewer", *where)
    assert (
        done.returncode == 1
        and f"There are no keys in {state}" in done.stderr
        and not state.exists()
    )
    (revoke,) = printed(run(*begin, "add", "--publish", "all", *where).stdout)
    assert revoke[:4] == [*begin, "revoke"] and revoke[5:] == ["--state", str(state)]
    assert run(*revoke).returncode == 0
    again = run(*revoke)
    assert again.returncode == 1 and "There is no key with the id" in again.stderr
    film, own = printed(run(*begin, "revoke", "camera", *where).stdout)
    assert film == [*begin, "add", "--publish", "all", "--state", str(state)]
    assert own == [*begin, "add", "--own", "--state", str(state)]
    (revoke,) = printed(run(*film).stdout)
    assert (
        printed(run(*revoke).stdout) == printed(run(*begin, "list", *where).stdout) == [film, own]
    )


def test_a_name_that_the_terminal_cannot_show_is_no_reason_to_stop(tmp_path: Path) -> None:
    words = [
        sys.executable,
        "relay.py",
        "keys",
        "add",
        "--watch",
        "Küche",
        "--label",
        "für Дарья",
        "--state",
        str(tmp_path),
    ]
    done = subprocess.run(
        words,
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0 and b"is called kuche" in done.stdout, done
