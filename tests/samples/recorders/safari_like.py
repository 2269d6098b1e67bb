"""A fragmented MP4 in the shape that Safari's MediaRecorder gives before iOS 18.4: segments of one
second, groups of pictures of two.

It stands in for a recording of an iPhone, which no Linux machine can make.
"""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

FILE = "ffmpeg-safari-like.mp4"

WIDTH, HEIGHT, FRAME_RATE = 320, 240, 30
SECONDS = 4
GROUP_SECONDS = 2
SEGMENT_SECONDS = 1
AUDIO_RATE = 48_000
AAC_FRAME = 1024
"""Samples in one AAC frame (ISO/IEC 14496-3)."""
TONE = 440.0
"""Hz."""


def make(path: Path) -> dict[str, Any]:
    """Writes the file.

    Returns:
        Its entry for `index.json`; each blob is one segment, the first has the header.
    """
    file = io.BytesIO()
    options = {
        "movflags": "empty_moov+default_base_moof+delay_moov+skip_trailer",
        "frag_duration": str(SEGMENT_SECONDS * 1_000_000),
    }
    with av.open(file, "w", format="mp4", options=options) as output:
        video = output.add_stream("libx264", rate=FRAME_RATE)
        video.width, video.height, video.pix_fmt, video.bit_rate = WIDTH, HEIGHT, "yuv420p", 120_000
        video.codec_context.gop_size = GROUP_SECONDS * FRAME_RATE
        video.options = {
            "profile": "baseline",
            "tune": "zerolatency",
            "sc_threshold": "0",
            "preset": "veryfast",
        }
        audio = output.add_stream("aac", rate=AUDIO_RATE, layout="mono")
        audio.bit_rate = 32_000
        samples = 0
        for number in range(SECONDS * FRAME_RATE):
            output.mux(video.encode(_picture(number)))
            while samples * FRAME_RATE < (number + 1) * AUDIO_RATE:
                output.mux(audio.encode(_sound(samples)))
                samples += AAC_FRAME
        output.mux(video.encode())
        output.mux(audio.encode())
    data = file.getvalue()
    path.write_bytes(data)
    starts = [*_fragments(data), len(data)]
    mime = "video/mp4;codecs=avc1.42C00D,mp4a.40.2"
    return {
        "browser": f"none, PyAV {av.__version__}",
        "asked": mime,
        "mime": mime,
        "blobs": _differences([0, *starts[1:]]),
    }


def _fragments(data: bytes) -> list[int]:
    """Where the `moof` boxes begin (ISO/IEC 14496-12 clause 4.2: size, then type)."""
    found, position = [], 0
    while position < len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"moof":
            found.append(position)
        position += size
    return found


def _differences(numbers: list[int]) -> list[int]:
    return [later - earlier for earlier, later in pairwise(numbers)]


def _picture(number: int) -> av.VideoFrame:
    """A bright square that wanders over a gradient."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[..., 2] = np.linspace(0, 255, WIDTH, dtype=np.uint8)
    left, top = number * 2 % (WIDTH - 40), number % (HEIGHT - 40)
    picture[top : top + 40, left : left + 40] = (255, 200, 0)
    frame = av.VideoFrame.from_ndarray(picture, "rgb24")
    frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
    return frame


def _sound(first: int) -> av.AudioFrame:
    """One AAC frame of a tone, from this sample on."""
    wave = (
        np.sin(2 * np.pi * TONE * np.arange(first, first + AAC_FRAME) / AUDIO_RATE).astype(
            np.float32
        )
        / 4
    )
    frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, first, Fraction(1, AUDIO_RATE)
    return frame
