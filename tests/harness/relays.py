"""A real relay in a process of its own, for tests and benches."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
SUBPROTOCOL = "drawercam.1"

# Seconds that a relay may take to say that it listens, on a machine that is busy with browsers.
START_LIMIT = 60.0

_LISTENING = re.compile(r"running on port (\d+)")

# Gives the relay's constants other values, and goes on as `python3 relay.py` does.
_GIVEN = """
import importlib, json, runpy, sys
for place, value in json.loads(sys.argv.pop(1)).items():
    module, _, name = place.rpartition(".")
    getattr(importlib.import_module(module), name)
    setattr(importlib.import_module(module), name, value)
runpy.run_path("relay.py", run_name="__main__")
"""


class Relay:
    """`python3 relay.py ...`, started and stopped.

    Attributes:
        port: Where it listens.
        output: Everything it has printed so far.
    """

    def __init__(
        self,
        *options: str,
        port: int = 0,
        state: Path | None = None,
        given: Mapping[str, float] | None = None,
    ) -> None:
        """
        Args:
            options: Command-line options, such as ``--tls``.
            port: 0 for any.
            state: Its state folder; a temporary one by default.
            given: Other values of constants, such as ``drawercam.live.pausing.SLEEP_AFTER``, for a
                test that would wait long otherwise.
        """
        self._temporary = (
            tempfile.TemporaryDirectory(prefix="drawercam-") if state is None else None
        )
        self.state = state or Path(self._temporary.name if self._temporary else "")
        self.tls = "--tls" in options
        self.options = options
        self.port = port
        self.given = dict(given or {})
        self.output = ""
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._listening = threading.Event()

    def start(self) -> Relay:
        """Start it and wait until it listens.

        After `stop` it may be started again, on the same port.
        """
        program = ["-c", _GIVEN, json.dumps(self.given)] if self.given else ["relay.py"]
        command = [
            sys.executable,
            *program,
            "--no-install",
            "--no-mdns",
            "--port",
            str(self.port),
            "--state",
            str(self.state),
        ]
        command += self.options
        if "--trust-port" not in self.options:
            command.append("--no-trust-page")  # its port would be the same for all
        self._listening.clear()
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        if not self._listening.wait(START_LIMIT) or self._process.poll() is not None:
            self.kill()
            raise RuntimeError(f"the relay did not start:\n{self.output}")
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.output += line
            if found := _LISTENING.search(line):
                self.port = int(found[1])
            if "Ctrl-C" in line:  # the end of what it says at first
                self._listening.set()
        self._listening.set()  # it has ended

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Ask it to stop, as Ctrl-C does.

        Returns:
            Exit status and the seconds it took.
        """
        assert self._process is not None
        begin = time.monotonic()
        self._process.send_signal(number)
        try:
            status = self._process.wait(20)
        finally:
            self.kill()
        return status, time.monotonic() - begin

    def kill(self) -> None:
        """End it without asking."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._reader is not None:
                self._reader.join(5)
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def resident(self) -> int:
        """Bytes of memory that it holds (Linux); 0 when it is just ending."""
        assert self._process is not None
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return sum(int(size) * 1024 for size in re.findall(r"VmRSS:\s+(\d+) kB", text))

    @property
    def open_files(self) -> int:
        """Files and sockets that it holds open (Linux)."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def authority(self) -> str:
        return f"localhost:{self.port}"

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}"

    def socket_url(self, path: str) -> str:
        return f"{'wss' if self.tls else 'ws'}://{self.authority}{path}"

    @property
    def context(self) -> ssl.SSLContext | None:
        """For clients: trusts the relay's own authority."""
        return (
            ssl.create_default_context(cafile=str(self.state / "certs" / "ca.crt"))
            if self.tls
            else None
        )

    def __enter__(self) -> Relay:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        if self._temporary is not None:
            self._temporary.cleanup()
