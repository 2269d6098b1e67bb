"""CPU time of the processes that take part, from `/proc` (proc(5))."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tests.harness.browsers.processes import Family

TICKS = os.sysconf("SC_CLK_TCK")
"""Clock ticks per second, the unit of `/proc/<pid>/stat`."""

RELAY = "relay"
"""The kind of the process that passes the media on."""

OTHERS = "others"
"""The kind of all processes that take no part."""


class CpuMeter:
    """Seconds of CPU by kind of process, since the meter was made.

    Kinds: `relay`; for the browser's processes what Chromium calls their type (`renderer`,
    `gpu-process`, `utility`), or `browser`; and `others`: all else on this machine, whose share
    tells how far the delays can be trusted.

    Args:
        relay: Number of the process that passes the media on, or None where there is none.
        family: The browser's processes; None where no browser takes part.
    """

    def __init__(self, relay: int | None, family: Family | None) -> None:
        self._relay = relay
        self._family = family
        self._before = self._now()
        self._busy_before = _busy()

    def seconds(self) -> dict[str, float]:
        """By kind, rounded to a clock tick. A process that ended meanwhile counts for nothing."""
        spent: defaultdict[str, float] = defaultdict(float)
        for number, (kind, seconds) in self._now().items():
            spent[kind] += seconds - self._before.get(number, (kind, 0.0))[1]
        spent[OTHERS] = max(0.0, _busy() - self._busy_before - sum(spent.values()))
        return dict(spent)

    def _now(self) -> Mapping[int, tuple[str, float]]:
        found: dict[int, tuple[str, float]] = {}
        members = [process.pid for process in self._family.alive()] if self._family else []
        for number in members if self._relay is None else [*members, self._relay]:
            try:
                kind = RELAY if number == self._relay else kind_of(number)
                found[number] = kind, _seconds(number)
            except OSError:
                continue  # it has ended
        return found


def _busy() -> float:
    """Seconds that all processors have worked, from the first line of `/proc/stat`."""
    with Path("/proc/stat").open() as file:
        user, nice, system, _idle, _waiting, irq, softirq, *_ = (
            int(field) for field in file.readline().split()[1:]
        )
    return (user + nice + system + irq + softirq) / TICKS


def kind_of(number: int) -> str:
    """What Chromium calls the type of one of its processes; `browser` for the first of them.

    Raises:
        OSError: It has ended.
    """
    for argument in Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").split():
        if argument.startswith(b"--type="):
            return argument[len(b"--type=") :].decode()
    return "browser"


def _seconds(number: int) -> float:
    # The second field is the name in brackets and may itself contain blanks and brackets; fields 14
    # and 15 are user and system time.
    fields = Path(f"/proc/{number}/stat").read_text(errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
