"""Cameras of the network, by their addresses."""

from __future__ import annotations

from . import urls
from .ffmpeg import Stream
from .source import Source
from .web_camera import WebCamera

# What FFmpeg is told for streams of the network: half a second to find out what is in there. (Not
# `nobuffer`, which throws away what was read for that: the first keyframe, up to the next one.)
_LIVE_OPTIONS = {"analyzeduration": "500000"}

# RTSP says beforehand what is in there, so the first packet is enough (32 bytes are the least that
# FFmpeg takes); half a second would be many seconds of a slow camera. `noparse`: see pieces.py. TCP
# loses nothing; some cameras have only UDP.
_RTSP_OPTIONS = {"probesize": "32", "fflags": "noparse", "rtsp_transport": "tcp"}
_RTSP_ATTEMPTS = (_RTSP_OPTIONS, {**_RTSP_OPTIONS, "rtsp_transport": "udp"})


def camera(url: str) -> Source:
    """What films a URL.

    Raises:
        ValueError: It is none (urls.check).
    """
    stream = stream_of(url)
    return WebCamera(url, stream) if url.lower().startswith(("http://", "https://")) else stream


def stream_of(url: str) -> Stream:
    """A URL that FFmpeg opens.

    Raises:
        ValueError: It is none (urls.check).
    """
    urls.check(url)
    attempts = (
        _RTSP_ATTEMPTS
        if url.startswith("rtsp:")
        else (_RTSP_OPTIONS,)
        if url.startswith("rtsps:")
        else (_LIVE_OPTIONS,)
    )
    return Stream(url, urls.shown(url), attempts=attempts)
