"""What the relay reads of frames, held against FFmpeg's encoders."""

from __future__ import annotations

import contextlib
import fractions
import io
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.media.codecs import av1, opus, vpx
from drawercam.media.color import ColorSpace
from drawercam.media.packets import MediaError

SIZES = [(64, 64), (160, 120), (202, 154), (640, 480), (1280, 720)]


def encoded(
    codec: str,
    width: int,
    height: int,
    count: int = 3,
    pixel_format: str = "yuv420p",
    **options: str,
) -> list[av.Packet[Any]]:
    """Frames of noise, encoded; the first is a keyframe and the others are not."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, pixel_format
    context.time_base = fractions.Fraction(1, 30)
    context.options = options
    packets: list[av.Packet[Any]] = []
    for index in range(count):
        picture = np.full((height, width, 3), 40 * index, dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format)
        frame.pts = index
        packets += context.encode(frame)
    packets += context.encode(None)
    return packets


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_vp8_keyframes_tell_their_size(width: int, height: int) -> None:
    first, *others = [
        bytes(packet) for packet in encoded("libvpx", width, height, deadline="realtime")
    ]
    assert vpx.vp8_key(first) == vpx.KeyFrame(
        "vp8", width, height, ColorSpace(matrix="smpte170m", full_range=False)
    )
    assert [vpx.vp8_key(frame) for frame in others] == [None] * len(others)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_vp9_keyframes_tell_size_and_profile(width: int, height: int) -> None:
    packets = encoded(
        "libvpx-vp9", width, height, 3, "yuv420p", deadline="realtime", **{"lag-in-frames": "0"}
    )
    first, *others = map(bytes, packets)
    key = vpx.vp9_key(first)
    assert key is not None
    assert (key.width, key.height) == (width, height)
    assert key.codec_string.startswith("vp09.00.") and key.codec_string.endswith(".08")
    assert [vpx.vp9_key(frame) for frame in others] == [None] * len(others)


def test_vp9_profile_one() -> None:
    key = vpx.vp9_key(bytes(encoded("libvpx-vp9", 160, 120, 1, "yuv444p")[0]))
    assert key is not None
    assert (key.width, key.height) == (160, 120)
    assert key.codec_string.startswith("vp09.01.") and key.codec_string.endswith(".08")


@pytest.mark.parametrize(("twelve", "depth"), [("0", "10"), ("1", "12")])
def test_vp9_profile_two(twelve: str, depth: str) -> None:
    """The uncompressed header written out bit by bit (VP9 specification 6.2), since few builds of
    the encoder make it.
    """
    marker, profile, flags, sync = "10", "01", "0010", f"{0x498342:024b}"
    color = f"{twelve}{1:03b}0"
    header = f"{marker}{profile}{flags}{sync}{color}{640 - 1:016b}{480 - 1:016b}".ljust(128, "0")
    key = vpx.vp9_key(int(header, 2).to_bytes(16, "big"))
    assert key == vpx.KeyFrame(
        f"vp09.02.30.{depth}", 640, 480, ColorSpace(matrix="bt470bg", full_range=False)
    )


@pytest.mark.parametrize(("width", "height"), [(160, 120), (640, 480), (1280, 720)])
def test_av1_keyframes_carry_the_sequence_header(width: int, height: int) -> None:
    packets = encoded(
        "libsvtav1", width, height, 4, preset="12", **{"svtav1-params": "pred-struct=1"}
    )
    frames = [bytes(packet) for packet in packets]
    head = av1.sequence_header(frames[0])
    assert head is not None
    assert (head.width, head.height) == (width, height)
    assert head.codec_string.startswith("av01.0.") and head.codec_string.endswith("M.08")
    assert head.config[0] == 0x81
    assert av1.sequence_header(frames[1]) is None


@given(st.binary(max_size=200))
def test_garbage_is_no_keyframe_or_a_typed_error(data: bytes) -> None:
    vpx.vp8_key(data)
    vpx.vp9_key(data)
    with contextlib.suppress(MediaError):
        av1.sequence_header(data)


@given(st.binary(max_size=60))
def test_a_broken_av1_sequence_header_is_a_typed_error(data: bytes) -> None:
    with contextlib.suppress(MediaError):
        av1.sequence_header(bytes([0x0A, len(data)]) + data)


@pytest.mark.parametrize("milliseconds", ["2.5", "5", "10", "20", "40", "60"])
def test_opus_packets_tell_their_duration(milliseconds: str) -> None:
    packets = sound(frame_duration=milliseconds, application="lowdelay")
    assert {opus.packet_duration(packet) for packet in packets} == {int(float(milliseconds) * 1000)}


def test_opus_durations_by_configuration() -> None:
    """RFC 6716 table 2, one packet of one frame each."""
    silk, hybrid, celt = [10000, 20000, 40000, 60000], [10000, 20000], [2500, 5000, 10000, 20000]
    expected = silk * 3 + hybrid * 2 + celt * 4
    assert [opus.packet_duration(bytes([number << 3])) for number in range(32)] == expected
    assert opus.packet_duration(bytes([3 << 3 | 1])) == 120_000
    assert opus.packet_duration(bytes([3 << 3 | 3, 3])) == 0, (
        "180 ms is longer than any packet may be"
    )
    assert opus.packet_duration(b"") == 0
    assert opus.packet_duration(b"\x03") == 0


def test_a_made_up_opus_head_is_accepted_by_a_decoder() -> None:
    decoder = av.CodecContext.create("opus", "r")
    decoder.extradata = opus.head(2, 48000)
    decoded = [frame for packet in sound() for frame in decoder.decode(av.Packet(packet))]
    assert sum(frame.samples for frame in decoded) > 10000


def sound(**options: str) -> list[bytes]:
    """A quarter of a second of a tone in Opus packets."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("libopus", rate=48000, options=options)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "stereo"
        wave = (8000 * np.sin(np.arange(12000) * 440 * 2 * np.pi / 48000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(
            np.repeat(wave, 2).reshape(1, -1), format="s16", layout="stereo"
        )
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    out.seek(0)
    with av.open(out, "r") as container:
        packets = [bytes(packet) for packet in container.demux() if packet.size]
    return packets[:-1]  # the last one is padded or trimmed
