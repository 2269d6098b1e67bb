"""A relay that is attacked: of this project or of another checkout of it, with keys, TLS and its
trust page, and its log in a file.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.actors.contestants import resident
from bench.attacks.attack import Attack
from bench.attacks.peers import HOST, Site
from tests.harness.relays import START_LIMIT

from .beside import NAME

LOOK = 0.02
"""Seconds between two looks whether the relay listens."""

END_DEADLINE = 10.0
"""Seconds that a relay may take to stop before it is killed."""

RSA_BITS = 4096
"""Of a key of the owner's own, as careful people make them."""

OWN = {"watching": "--watch", "filming": "--publish"}
"""Labels of the attacker's keys, and what they are for."""

_LISTENING = re.compile(rb"running on port (\d+)")
_STARTED = b"Ctrl-C"

_LIMITED = (
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, "
    "(int(sys.argv[1]), int(sys.argv[2])));"
    "os.execv(sys.executable, [sys.executable, *sys.argv[3:]])"
)
"""A program that starts another one with fewer file descriptors."""


class Ground:
    """One checkout of the project, and a state folder with keys for it, of which each relay gets a
    copy: `with Ground(root) as ground`.

    Attributes:
        name: For tables.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.name = self.root.name
        self._folder = tempfile.TemporaryDirectory(prefix="drawercam-siege-")
        self._rsa: list[str] = []

    def __enter__(self) -> Self:
        """
        Raises:
            RuntimeError: This checkout does not start.
        """
        try:
            with Besieged(self, [], self.state):
                pass  # its first start makes an authority, and the keys of the good ones
            for label, scope in OWN.items():
                arguments = [
                    "relay.py",
                    "--no-install",
                    "keys",
                    "add",
                    scope,
                    "all",
                    "--label",
                    label,
                    "--state",
                    str(self.state),
                ]
                done = subprocess.run(
                    [sys.executable, *arguments], cwd=self.root, capture_output=True, text=True
                )
                if done.returncode:
                    raise RuntimeError(f"{self.root} makes no keys:\n{done.stdout}{done.stderr}")
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self._folder.cleanup()

    @property
    def state(self) -> Path:
        """What all relays begin with."""
        return Path(self._folder.name) / "state"

    def keys(self) -> dict[str, str]:
        """The secrets: `camera` and `viewer` of the good ones, `watching` and `filming` of the
        attacker.
        """
        stored = json.loads((self.state / "keys.json").read_text(encoding="utf-8"))
        return {
            one["label"] if one["label"] in OWN else one["id"]: one["secret"]
            for one in stored["keys"]
        }

    def relay(self, attack: Attack | None) -> Besieged:
        """One that is to be attacked so; None for one that is left in peace."""
        options = ["--always-on", NAME]
        if attack is not None and attack.rsa:
            options += self._own_certificate()
        state = Path(tempfile.mkdtemp(dir=self._folder.name)) / "state"
        shutil.copytree(self.state, state)
        return Besieged(self, options, state, attack.files if attack is not None else None)

    def _own_certificate(self) -> list[str]:
        """The options for a certificate of the owner's own."""
        if not self._rsa:
            key = rsa.generate_private_key(65_537, RSA_BITS)
            name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
            names = x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ip_address(HOST))]
            )
            now = datetime.now(UTC)
            built = x509.CertificateBuilder(
                name,
                name,
                key.public_key(),
                x509.random_serial_number(),
                now,
                now + timedelta(days=90),
            )
            certificate = built.add_extension(names, critical=False).sign(key, hashes.SHA256())
            files = [Path(self._folder.name) / name for name in ("own.crt", "own.key")]
            files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
            forms = (
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            files[1].write_bytes(key.private_bytes(*forms))
            self._rsa = ["--cert", str(files[0]), "--key", str(files[1])]
        return self._rsa


class Besieged:
    """`relay.py --tls`, as people start it, but on loopback.

    Args:
        state: Its state folder; its log is beside it.
        files: How many file descriptors it gets, at first and at most; None for as many as this
            process may have.
    """

    def __init__(
        self, ground: Ground, options: list[str], state: Path, files: tuple[int, int] | None = None
    ) -> None:
        self._ground = ground
        self._trust_port = _free_port()
        self._command = [
            "relay.py",
            "--tls",
            "--host",
            HOST,
            "--port",
            "0",
            "--trust-port",
            str(self._trust_port),
            "--state",
            str(state),
        ]
        self._command += ["--no-install", "--no-mdns", "--no-qr", *options]
        if files is not None:
            self._command = ["-c", _LIMITED, *map(str, files), *self._command]
        self._log = state.parent / "relay.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.site = Site(0, self._trust_port)

    def __enter__(self) -> Self:
        """Starts it, and waits until it listens.

        Raises:
            RuntimeError: It does not.
        """
        with self._log.open("wb") as log:
            environment = os.environ | {"PYTHONUNBUFFERED": "1"}
            command = [sys.executable, *self._command]
            self._process = subprocess.Popen(
                command,
                cwd=self._ground.root,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        until = time.monotonic() + START_LIMIT
        while _STARTED not in (text := self._log.read_bytes()):
            if self._process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                raise RuntimeError(
                    f"the relay of {self._ground.root} did not "
                    f"start:\n{text.decode(errors='replace')}"
                )
            time.sleep(LOOK)
        found = _LISTENING.search(text)
        assert found is not None
        keys = self._ground.keys()
        self.site = Site(
            int(found[1]), self._trust_port, keys.get("watching", ""), keys.get("filming", "")
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_DEADLINE)
            self._process.kill()
            self._process.wait()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def resident(self) -> int:
        """Bytes of memory that it holds; 0 when it has ended."""
        try:
            return resident(self.pid)
        except (OSError, IndexError):
            return 0

    @property
    def logged(self) -> int:
        """Bytes of its log so far."""
        return self._log.stat().st_size

    def log(self) -> str:
        """Its log so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as one:
        return int(one.getsockname()[1])


async def entered(besieged: Besieged) -> Besieged:
    """Starts it beside a running loop."""
    return await asyncio.to_thread(besieged.__enter__)
