"""drawercam.media.codecs.h264_sets: parameter sets alone, without frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.media.codecs.h264_sets import build_avcc, codec_string, parse_avcc, picture_size
from drawercam.media.packets import MediaError

# Constrained baseline of level 3.0, 320x240, and a PPS that refers to it.
SPS = bytes.fromhex("6742c01eda0507e4")
PPS = bytes.fromhex("68ce3c80")


def test_a_record_comes_back_as_it_was_written() -> None:
    record = build_avcc([SPS], [PPS, PPS])
    config = parse_avcc(record)
    assert (config.sps, config.pps, config.length_size) == ([SPS], [PPS, PPS], 4)
    assert (config.profile, config.compatibility, config.level) == (0x42, 0xC0, 30)
    assert codec_string(record) == "avc1.42C01E"
    assert picture_size(SPS) == (320, 240)


@pytest.mark.parametrize("end", range(len(build_avcc([SPS], [PPS]))))
def test_a_record_that_is_cut_off_is_an_error(end: int) -> None:
    with pytest.raises(MediaError):
        parse_avcc(build_avcc([SPS], [PPS])[:end])


@given(st.binary(max_size=40))
def test_whatever_an_sps_is_only_media_errors_come_of_it(unit: bytes) -> None:
    try:
        width, height = picture_size(b"\x67" + unit)
    except MediaError:
        return
    assert width > 0 and height > 0
