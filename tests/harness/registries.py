"""A real registry in a process of its own, for tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

from tests.harness.relays import ROOT, START_LIMIT

_ADDRESS = re.compile(r"The registry is at (https?://\S+:(\d+))")


class RegistryProcess:
    """`python3 -m ip_registry ...`, started and stopped.

    Attributes:
        origin: Where it is; output: what it has printed so far.
    """

    def __init__(self, state: Path, *options: str, host: str = "127.0.0.1", port: int = 0) -> None:
        self.state = state
        self.port = port
        self.origin = ""
        self.output = ""
        self._command = ["--state", str(state), "--host", host, *options]
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._listening = threading.Event()

    @property
    def secret(self) -> str:
        return (self.state / "registry-secret").read_text().strip()

    def start(self) -> RegistryProcess:
        """Start it and wait until it listens.

        After `stop` it may be started again, on the same port.
        """
        command = [sys.executable, "-m", "ip_registry", "--port", str(self.port), *self._command]
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
            raise RuntimeError(f"the registry did not start:\n{self.output}")
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.output += line
            if found := _ADDRESS.search(line):
                self.origin, self.port = found[1], int(found[2])
            if "Ctrl-C" in line:
                self._listening.set()
        self._listening.set()  # it has ended

    def stop(self) -> int:
        """Ask it to stop, as Ctrl-C does; returns its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(20)
        finally:
            self.kill()

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

    def __enter__(self) -> RegistryProcess:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
