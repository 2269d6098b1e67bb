"""What WebKitGTK's MediaRecorder lacks on systems with a GStreamer before 1.24: see
`autovideoflip.c`.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

from tests.harness.browsers.base import BrowserMissing

FIRST_COMPLETE = (1, 24)
"""The first GStreamer with an `autovideoflip` element of its own."""

SOURCE = Path(__file__).with_name("autovideoflip.c")
PACKAGES = "gcc pkg-config libgstreamer1.0-dev"
BUILD_DEADLINE = 60
"""Seconds that the compiler may take; it needs one."""


def version() -> tuple[int, int]:
    """The version of the GStreamer library that WebKit loads.

    Raises:
        BrowserMissing: There is none.
    """
    numbers = [ctypes.c_uint() for _ in range(4)]
    try:
        ctypes.CDLL("libgstreamer-1.0.so.0").gst_version(*map(ctypes.byref, numbers))
    except OSError:
        raise BrowserMissing("GStreamer", "libgstreamer1.0-0") from None
    return numbers[0].value, numbers[1].value


def recorder_missing() -> str | None:
    """The sentence with which to skip a test that records video with WebKitGTK, or None if it
    can.
    """
    try:
        _compiler()
    except BrowserMissing as error:
        return str(error)
    return None


def recorder_environment(directory: Path) -> dict[str, str]:
    """Builds the missing element where one is missing.

    Args:
        directory: Where the plugin and GStreamer's register of plugins may be written.

    Returns:
        The environment variables by which WebKit finds it; none are needed with a newer GStreamer.

    Raises:
        BrowserMissing: It is needed, and the compiler or GStreamer's headers are not installed.
    """
    command = _compiler()
    if not command:
        return {}
    plugins = directory / "gstreamer"
    plugins.mkdir()
    output = plugins / "libgstautovideoflip.so"
    subprocess.run(
        [*command[:-1], "-o", str(output), str(SOURCE), *command[-1].split()],
        check=True,
        timeout=BUILD_DEADLINE,
    )
    return {"GST_PLUGIN_PATH": str(plugins), "GST_REGISTRY": str(directory / "gstreamer-registry")}


def _compiler() -> list[str]:
    """The command that compiles a plugin, its last item the flags of pkg-config; empty if none is
    needed.
    """
    if version() >= FIRST_COMPLETE:
        return []
    compiler, pkg_config = shutil.which("cc"), shutil.which("pkg-config")
    if compiler and pkg_config:
        flags = subprocess.run(
            [pkg_config, "--cflags", "--libs", "gstreamer-1.0"],
            capture_output=True,
            text=True,
            check=False,
        )
        if flags.returncode == 0:
            return [compiler, "-shared", "-fPIC", "-w", flags.stdout]
    raise BrowserMissing("what WebKitGTK needs to record video", PACKAGES)
