"""The machine a number was measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """What a reader needs to know to compare.

    Attributes:
        cores: Processors this process may use.
        processor: Its name, as far as the system tells.
        system: Kernel and release.
        load: Load averages over 1, 5 and 15 minutes.
        browser: Name and version.
        python: Version.
    """

    cores: int
    processor: str
    system: str
    load: tuple[float, float, float]
    browser: str
    python: str

    @classmethod
    def look(cls, browser: str) -> Machine:
        """Describe this machine now."""
        return cls(
            cores=len(os.sched_getaffinity(0)),
            processor=_processor(),
            system=f"{platform.system()} {platform.release()}",
            load=os.getloadavg(),
            browser=browser,
            python=platform.python_version(),
        )

    def __str__(self) -> str:
        load = " ".join(f"{value:.2f}" for value in self.load)
        return (
            f"{self.browser}, Python {self.python}, {self.system}, {self.cores} cores "
            f"({self.processor}), load average {load}"
        )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
