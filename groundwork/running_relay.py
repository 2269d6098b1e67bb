"""What a relay that runs leaves in its state folder for the commands beside it: where it listens,
and what leads there.

    {"scheme": "https", "port": 8443, "hosts": ["192.168.1.5"], "here": "localhost", "name":
     "attic", "keys": true, "authority": true, "fingerprint": "AB:CD:...", "trust":
     "http://192.168.1.5:8088/trust", "origins": ["https://192.168.1.5:8443"]}

No key is in it. It is believed only while the relay holds it (`state_files.hold`): the system lets
go of it when the relay dies, however it dies. Several relays may share a folder, so each has a file
of its own.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from . import addresses, state_files

MAX_RELAYS = 8
"""Relays with one state folder: one with https, one without, and some that somebody tries out."""

_LARGEST = 64 * 2**10
"""Bytes of a file that are looked at: a computer with a hundred addresses has 4 KB."""

_TRIES, _PAUSE = 3, 0.02
"""Looks at a file that no relay holds, and seconds between them: a relay that writes it anew lets
go of it for a moment.
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A relay that runs.

    Attributes:
        scheme: ``https`` or ``http``.
        port: Where it listens.
        hosts: Addresses and names at which it can be reached, likeliest first, as its printed links
            have them.
        here: The address or name at which a program on this computer reaches it.
        name: What it is called in the network.
        keys: It asks for keys.
        authority: Its certificate is made by the authority in its state folder.
        fingerprint: Of that authority: SHA-256, hexadecimal bytes with colons; empty without it.
        trust: The address of the page on which phones learn to trust it; empty without it.
        origins: Where its pages are opened, likeliest first, as its printed links have them, also
            from outside.
    """

    scheme: str
    port: int
    hosts: tuple[str, ...]
    here: str
    name: str
    keys: bool
    authority: bool
    fingerprint: str = ""
    trust: str = ""
    origins: tuple[str, ...] = ()

    def urls(self, path: str = "/") -> list[str]:
        """A page of it, at each of `origins`, or `hosts` where there is none."""
        return [origin + path for origin in self.origins] or [
            addresses.url(self.scheme, host, self.port, path) for host in self.hosts
        ]

    @property
    def origin(self) -> str:
        """For programs on this computer, such as ``https://localhost:8443``."""
        return addresses.url(self.scheme, self.here, self.port).rstrip("/")


class Notice:
    """The file of one relay, from its start to its end.

    Its methods block for some milliseconds of file work.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._path: Path | None = None
        self._held: int | None = None

    def put_up(self, running: Running) -> None:
        """Write it, or write it anew.

        Raises:
            OSError: It cannot be written. The commands then go by their defaults, and say so.
        """
        data = json.dumps(asdict(running), indent=1).encode()
        with state_files.exclusive(self._state, state_files.STATE_LOCK):
            path = self._path or _free(self._state)
            self._let_go()  # on Windows, a file that is open cannot be replaced
            state_files.write(path, data)
            self._path, self._held = path, state_files.hold(path)

    def take_down(self) -> None:
        """Remove it: nothing listens any more."""
        if self._path is not None:
            with contextlib.suppress(
                OSError
            ):  # on Windows, a file that is open stays; it is not believed from now on
                self._path.unlink(missing_ok=True)  # first, so that it is never another relay's
            self._let_go()
            self._path = None

    def _let_go(self) -> None:
        if self._held is not None:
            state_files.spares.close(self._held)
            self._held = None


def relays(state: Path) -> list[Running]:
    """The relays that run with this state folder, as far as it can be read."""
    found = (_look(path) for path in _paths(state))
    return [one for one in found if one is not None]


def _paths(state: Path) -> list[Path]:
    return [state / f"running{number or ''}.json" for number in (0, *range(2, MAX_RELAYS + 1))]


def _free(state: Path) -> Path:
    """The first file that no relay holds."""
    for path in _paths(state):
        try:
            if state_files.read_held(path, 0) is None:
                return path
        except FileNotFoundError:
            return path
    raise OSError(f"{MAX_RELAYS} relays use this folder already")


def _look(path: Path) -> Running | None:
    for _ in range(_TRIES):
        try:
            data = state_files.read_held(path, _LARGEST)
        except OSError:  # there is none, or it is another user's
            return None
        if data is not None:
            return _decoded(data)
        time.sleep(_PAUSE)
    return None


def _decoded(data: bytes) -> Running | None:
    """What is in a file; None for what is not in this version's form."""
    try:
        stored: dict[str, Any] = json.loads(data)
        known = {
            field.name: stored[field.name] for field in fields(Running) if field.name in stored
        }  # a later version may say more
        one = Running(
            **{
                **known,
                "hosts": tuple(stored["hosts"]),
                "origins": tuple(stored.get("origins", ())),
            }
        )
        texts = (one.here, one.name, one.fingerprint, one.trust, *one.hosts, *one.origins)
        good = (
            one.scheme in ("https", "http")
            and type(one.port) is int
            and 0 < one.port < 65536
            and bool(one.hosts and one.here)
        )
        return one if good and all(isinstance(text, str) for text in texts) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
