"""drawercam.media.codecs.aac, against configurations of a real encoder and hand-made ones."""

from __future__ import annotations

import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.media.codecs.aac import codec_string, frame_duration, parse_config
from drawercam.media.packets import MediaError


def config_of_encoder(rate: int, layout: str) -> bytes:
    with av.open(io.BytesIO(), "w", format="mp4", options={"movflags": "empty_moov"}) as container:
        stream = container.add_stream("aac", rate=rate)
        stream.layout = layout
        stream.codec_context.open()
        return bytes(stream.codec_context.extradata or b"")


def from_bits(*fields: tuple[int, int]) -> bytes:
    """Fields of (bits, value), padded with zero bits."""
    text = "".join(f"{value:0{bits}b}" for bits, value in fields)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_what_an_encoder_writes(rate: int, layout: str, channels: int) -> None:
    config = config_of_encoder(rate, layout)
    assert parse_config(config) == (2, rate, channels)
    assert codec_string(config) == "mp4a.40.2"


def test_explicit_sbr_counts_as_what_it_puts_out() -> None:
    assert parse_config(bytes.fromhex("2b920800")) == (5, 44100, 2)
    assert codec_string(bytes.fromhex("2b920800")) == "mp4a.40.5"


def test_parametric_stereo_makes_two_channels_of_one() -> None:
    assert parse_config(from_bits((5, 29), (4, 6), (4, 1), (4, 3), (5, 2), (3, 0))) == (
        29,
        48000,
        2,
    )


def test_escaped_object_type_and_explicit_rate() -> None:
    config = from_bits((5, 31), (6, 42 - 32), (4, 15), (24, 12345), (4, 2))
    assert parse_config(config) == (42, 12345, 2)
    assert codec_string(config) == "mp4a.40.42"


def test_program_config_element() -> None:
    three_two_and_one = from_bits(
        *((5, 2), (4, 3), (4, 0)),  # AAC LC, 48 kHz, channels as follows
        *((1, 0), (1, 1), (14, 9), (1, 0)),  # GASpecificConfig with a core coder delay
        *(
            (4, 0),
            (2, 1),
            (4, 3),
            (4, 2),
            (4, 0),
            (4, 1),
            (2, 1),
            (3, 0),
            (4, 0),
        ),  # 2 front, 1 back, 1 low-frequency element
        *((1, 1), (4, 0), (1, 0), (1, 1), (3, 0)),  # a mono and a matrix mixdown
        *((1, 0), (4, 0), (1, 1), (4, 0), (1, 1), (4, 1)),  # centre, left and right, surrounds
    )
    assert parse_config(three_two_and_one) == (2, 48000, 6)


@pytest.mark.parametrize(
    "config",
    [
        from_bits((5, 2), (4, 13), (4, 2)),  # reserved rate
        from_bits((5, 2), (4, 15), (24, 0), (4, 2)),  # 0 Hz
        from_bits((5, 2), (4, 3), (4, 9)),  # reserved channels
        from_bits((5, 0), (4, 3), (4, 2)),  # no object
        from_bits((5, 5), (4, 3), (4, 2), (4, 3), (5, 0)),  # no object below SBR
    ],
)
def test_reserved_values(config: bytes) -> None:
    with pytest.raises(MediaError):
        parse_config(config)


@pytest.mark.parametrize("config", [b"\x11\x90", bytes.fromhex("2b9208")])
def test_every_truncation(config: bytes) -> None:
    parse_config(config)
    for length in range(len(config)):
        with pytest.raises(MediaError):
            parse_config(config[:length])


@given(st.binary(max_size=64))
def test_any_bytes(config: bytes) -> None:
    try:
        kind, rate, channels = parse_config(config)
    except MediaError:
        return
    assert kind > 0 and rate > 0 and channels > 0
    assert codec_string(config) == f"mp4a.40.{kind}"


@pytest.mark.parametrize(
    ("config", "samples", "rate"),
    [
        (bytes.fromhex("1210"), 1024, 44100),
        (
            bytes.fromhex("1308"),
            1024,
            24000,
        ),  # SBR that is not signalled puts out twice as many at twice the rate
        (bytes.fromhex("130856e598"), 1024, 24000),  # signalled behind the configuration
        (bytes.fromhex("2b098800"), 1024, 24000),  # signalled: 2048 at 48 kHz
        (
            from_bits((5, 5), (4, 3), (4, 2), (4, 3), (5, 2), (3, 0)),
            1024,
            48000,
        ),  # SBR at the core's own rate
        (
            from_bits((5, 29), (4, 6), (4, 1), (4, 3), (5, 2), (3, 0)),
            1024,
            24000,
        ),  # parametric stereo
        (from_bits((5, 2), (4, 3), (4, 2), (1, 1), (2, 0)), 960, 48000),  # as in digital radio
        (from_bits((5, 23), (4, 3), (4, 2), (1, 0), (2, 0)), 512, 48000),
        (from_bits((5, 31), (6, 39 - 32), (4, 4), (4, 1), (1, 1)), 480, 44100),
        (from_bits((5, 31), (6, 42 - 32), (4, 3), (4, 2), (5, 6), (3, 1)), 1024, 24000),
        (from_bits((5, 31), (6, 42 - 32), (4, 3), (4, 2), (5, 0x12), (3, 3)), 2048, 38400),
        (
            from_bits((5, 31), (6, 42 - 32), (4, 3), (4, 2), (5, 31), (24, 12345), (3, 4)),
            4096,
            12345,
        ),
    ],
)
def test_how_long_a_frame_lasts(config: bytes, samples: int, rate: int) -> None:
    assert abs(frame_duration(config) - samples * 10**9 / rate) < 1


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"\x17",
        from_bits((5, 2), (4, 13), (4, 2)),
        from_bits((5, 31), (6, 10), (4, 3), (4, 2), (5, 14)),
    ],
)
def test_a_broken_configuration_says_no_duration(config: bytes) -> None:
    assert frame_duration(config) == 0
