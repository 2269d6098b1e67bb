"""Programs that nobody looks at: without standard streams, with a full disk or an ended reader
behind them, or one that reads no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

from groundwork import console
from groundwork import running_relay as running
from groundwork.console import LAST_WORDS, Tolerant
from tests.harness import programs
from tests.harness.peers import PATIENCE, peer
from tests.harness.relays import ROOT, START_LIMIT, Relay
from tests.server.test_media import VP8, film, has_frames

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="the streams are closed by a POSIX shell"
)


class Disk(io.RawIOBase):
    """A file that takes so many bytes.

    Attributes:
        room: Bytes for which there is room.
        written: What it holds.
    """

    def __init__(self, code: int = errno.ENOSPC) -> None:
        self.room, self.written, self._code = 0, b"", code

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        taken = bytes(data)[: self.room]
        if not taken:
            raise OSError(self._code, os.strerror(self._code))
        self.room -= len(taken)
        self.written += taken
        return len(taken)


def log_on(disk: Disk) -> Tolerant:
    return Tolerant(io.BufferedWriter(disk), encoding="utf-8", line_buffering=True)


def shell(program: str, redirections: str, *arguments: str) -> list[str]:
    """A Python program with other streams."""
    return ["sh", "-c", f'exec "$0" {program} "$@" {redirections}', sys.executable, *arguments]


# --- streams ---


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EPIPE, errno.EIO])
def test_what_cannot_be_written_stops_nothing_and_is_written_when_there_is_room(code: int) -> None:
    disk = Disk(code)
    log = log_on(disk)
    for number in range(5000):  # more than waits anywhere
        print("line", number, file=log)
    assert log.lost is not None and log.lost.errno == code
    assert console.unseen(log) == os.strerror(code)
    disk.room = 10**6
    print("the last line", file=log)
    assert console.unseen(log) == ""
    lines = disk.written.decode().splitlines()
    assert lines[0] == "line 0" and lines[-1] == "the last line" and len(lines) < 2000
    log.close()


def test_every_missing_stream_is_one_that_leads_nowhere(tmp_path: Path) -> None:
    told = tmp_path / "told"
    for closed in product(*(("", f"{number}{sign}&-") for number, sign in enumerate("<>>"))):
        program = f"""-c "
import sys, os, json
from groundwork import console
console.settle()
with open({str(told)!r}, 'w') as file:
    number = file.fileno()
    print(1); print(2, file=sys.stderr); sys.stdin.read(0)
    seen = [console.unseen(stream) for stream in (sys.stdout, sys.stderr)]
    json.dump([number, seen, [os.get_inheritable(one) for one in range(3)]], file)
" """
        done = subprocess.run(
            shell(program, " ".join(closed)),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (
            0,
            b"" if closed[1] else b"1\n",
            b"" if closed[2] else b"2\n",
        )
        number, seen, inheritable = json.loads(told.read_text())
        assert number > 2 and all(inheritable)
        assert seen == ["the output leads nowhere" if one else "" for one in closed[1:]]


def test_a_command_whose_output_gets_nowhere_has_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for code, status in (
        (errno.ENOSPC, 1),
        (errno.EPIPE, 0),
    ):  # who has ended the reader has read enough
        monkeypatch.setattr(sys, "stdout", log_on(Disk(code)))
        print("a link")
        assert console.finish(0) == status
        assert console.finish(3) == 3
        assert ("No space left" in capsys.readouterr().err) == bool(status)


# --- a reader that stalls ---


class Pipe(io.RawIOBase):
    """A pipe.

    Attributes:
        reads: Its reader does.
        written: What has come through.
    """

    def __init__(self, written: list[bytes]) -> None:
        self.reads, self.written = threading.Event(), written

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        assert self.reads.wait(PATIENCE)
        self.written.append(bytes(data)[:1000])
        return len(self.written[-1])


def pipes(monkeypatch: pytest.MonkeyPatch) -> tuple[Pipe, Pipe, list[bytes]]:
    """Those of the standard streams, with one reader."""
    written: list[bytes] = []
    output, log = Pipe(written), Pipe(written)
    output.reads = log.reads
    for name, pipe in (("stdout", output), ("stderr", log)):
        monkeypatch.setattr(
            sys, name, Tolerant(io.BufferedWriter(pipe), encoding="utf-8", line_buffering=True)
        )
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    return output, log, written


def test_nothing_waits_for_a_reader_and_it_learns_what_it_has_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(console, "STALLED", 0.01)
    output, _, written = pipes(monkeypatch)
    with console.unhurried():
        print("a", "banner", end=" ")
        print("and a warning", file=sys.stderr)
        print("of two\nlines")
        for number in range(30_000):
            print(f"number {number}", file=sys.stderr)
        assert console.unseen(sys.stdout) == "" and written == []
    assert written == []  # the end of the block has not waited for it, either
    print("said later")
    print("and", "later", file=sys.stderr)
    output.reads.set()
    monkeypatch.setattr(console, "STALLED", PATIENCE)
    assert (
        isinstance(sys.stdout, Tolerant)
        and sys.stdout.writer is not None
        and sys.stdout.writer.settle()
    )
    lines = b"".join(written).decode().splitlines()
    *kept, missed_log, missed_output = lines
    assert kept[:4] == ["and a warning", "a banner of two", "lines", "number 0"], (
        "in the order in which they became whole"
    )
    assert kept[3:] == [f"number {number}" for number in range(len(kept) - 3)]
    assert 1000 < len(kept) < 30_000 and sum(len(line) + 1 for line in kept) <= console.MAX_UNREAD
    assert f" {30_000 - len(kept) + 3 + 1} lines are missing here, because" in missed_log
    assert " 1 line is missing here, because" in missed_output
    print("the next one", flush=True)
    assert sys.stdout.writer.settle() and written[-1] == b"the next one\n"


def test_what_is_printed_after_the_block_is_written_at_once_where_all_was_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output, _, written = pipes(monkeypatch)
    output.reads.set()
    with console.unhurried():
        print("half a line", end="")
    assert written == [b"half a line"]
    assert isinstance(sys.stderr, Tolerant) and sys.stderr.writer is None
    print("a traceback", file=sys.stderr)
    assert written == [b"half a line", b"a traceback\n"]


def test_a_full_disk_is_noticed_by_the_thread_that_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    monkeypatch.setattr(sys, "stdout", log_on(disk))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    with console.unhurried():
        print("a link")
        assert console.unseen(sys.stdout) == os.strerror(errno.ENOSPC)
        disk.room = 100
        print("a link")
        assert console.unseen(sys.stdout) == ""
    assert disk.written == b"a link\n"


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="a pipe is opened a second time by /proc"
)
async def test_a_relay_goes_on_while_its_log_is_not_read_and_stops_then(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    filler = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY | os.O_NONBLOCK)

    def fill() -> int:
        return sum(iter(partial(_taken, filler), 0))

    full = fill()
    command = [
        sys.executable,
        "relay.py",
        "--no-install",
        "--no-mdns",
        "--no-key",
        "--port",
        "0",
        "--state",
        str(tmp_path),
    ]
    relay = Relay("--no-key", state=tmp_path)
    async with programs.running(*command, cwd=ROOT, stdout=writer, stderr=writer) as process:
        try:
            os.close(writer)
            async with asyncio.timeout(START_LIMIT):
                while not (there := running.relays(tmp_path)):
                    assert process.returncode is None
                    await asyncio.sleep(0.02)
            relay.port = there[0].port
            async with (
                peer(relay, "/camera/porch") as camera,
                peer(relay, "/player/porch") as viewer,
            ):
                await film(camera, VP8)
                await viewer.until(has_frames(10), "for pictures")
                said = await asyncio.to_thread(_read, reader, full, b" films as porch")
                assert said.count(b"Press Ctrl-C to stop.") == 1
                fill()
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0
        finally:
            os.close(filler)
            os.close(reader)


def _taken(pipe: int) -> int:
    """Bytes that a pipe takes without its reader, to its last byte, so that no line of the log
    finds room.
    """
    with contextlib.suppress(BlockingIOError):
        return os.write(pipe, b"x" * 4096)
    with contextlib.suppress(BlockingIOError):
        return os.write(pipe, b"x")
    return 0


def _read(pipe: int, skip: int, wanted: bytes) -> bytes:
    """What comes after so many bytes, until something is in it."""
    said = b""
    while wanted not in said[skip:]:
        said += os.read(pipe, 65536)
    return said[skip:]


# --- last words ---


def test_why_it_ends_is_said_in_the_place_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, output, log = tmp_path / "new" / "state", Disk(), Disk()
    monkeypatch.setattr(sys, "stdout", log_on(output))
    monkeypatch.setattr(sys, "stderr", log_on(log))
    log.room = output.room = 100
    console.complain("It rains.", state)
    assert (log.written, output.written, state.exists()) == (b"It rains.\n", b"", False)
    log.room = 0
    console.complain("It snows.", state)
    assert (output.written, state.exists()) == (b"It snows.\n", False)
    output.room = 0
    console.complain("It hails, " * 9, state)
    console.complain("It blows.", state)
    words = state / LAST_WORDS
    assert (
        words.read_text().endswith(" It blows.\n")
        and words.stat().st_mode & 0o077 == 0
        and len(words.read_text().splitlines()) == 1
    )
    console.forget(state)
    console.forget(state)
    assert not words.exists()
    words.mkdir()
    console.complain("It is over.", state)  # and nothing more can be done


def test_a_terminal_that_is_closed_ends_it_but_for_those_who_want_it_to_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)
    assert console.ends() == [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_IGN)
    assert console.ends() == [signal.SIGINT, signal.SIGTERM]


# --- a real relay ---


@pytest.mark.parametrize(
    ("redirections", "end"), [("<&- >&- 2>&-", signal.SIGTERM), (">/dev/full", signal.SIGHUP)]
)
def test_a_relay_runs_without_a_console_and_stops_well(
    tmp_path: Path, redirections: str, end: signal.Signals
) -> None:
    if "full" in redirections and not Path("/dev/full").exists():
        pytest.skip("no disk is always full here")
    program = f"relay.py --no-install --no-mdns --no-key --port 0 --state {tmp_path}"
    # Tests that were started by nohup do not hear of a closed terminal, nor would what they start.
    hears = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)
    command, pipe = shell(program, redirections), subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, preexec_fn=hears
    ) as relay:
        try:
            limit = time.monotonic() + START_LIMIT
            while (
                not (there := running.relays(tmp_path))
                and time.monotonic() < limit
                and relay.poll() is None
            ):
                time.sleep(0.02)
            assert there
            with urllib.request.urlopen(
                f"http://127.0.0.1:{there[0].port}/healthz", timeout=10
            ) as answer:
                assert answer.status == 200
            relay.send_signal(end)
            _, errors = relay.communicate(timeout=20)
        finally:
            relay.kill()
    assert relay.returncode == 0 and not running.relays(tmp_path)
    assert errors.count("\n") == ("2>" not in redirections)  # one line: where it is
    assert (
        "2>" in redirections
        or f"(No space left on device). Watch at http://localhost:{there[0].port}/player.html"
        in errors
    )


def test_a_relay_that_cannot_start_without_a_console_leaves_word(tmp_path: Path) -> None:
    program = f"relay.py --no-install --no-key --tls --host no.such.host.invalid --state {tmp_path}"
    done = subprocess.run(
        shell(program, "<&- >&- 2>&-"), cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert " The relay cannot start: " in (tmp_path / LAST_WORDS).read_text()
