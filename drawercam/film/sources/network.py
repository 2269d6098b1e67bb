"""Cameras of the network, by their addresses."""

from __future__ import annotations

from . import ffmpeg as libav
from .source import Source
from .web_camera import WebCamera


def camera(url: str) -> Source:
    """What films a URL.

    Raises:
        ValueError: It is none (urls.check).
    """
    stream = libav.network(url)
    return WebCamera(url, stream) if url.lower().startswith(("http://", "https://")) else stream
