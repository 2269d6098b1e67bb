"""drawercam.media.codecs.h264, against streams that libx264 makes and libavcodec decodes."""

from __future__ import annotations

import contextlib
import functools
import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawercam.media.codecs import h264, h264_sets
from drawercam.media.codecs.h264 import AccessUnits, join_lengths, split_annexb, split_lengths
from drawercam.media.codecs.h264_sets import (
    build_avcc,
    codec_string,
    parse_avcc,
    picture_size,
    with_reorder_bound,
)
from drawercam.media.packets import Codec, MediaError, MediaLimitError, Track

SPS, PPS, IDR = 7, 8, 5


@functools.cache
def encode(
    width: int,
    height: int,
    profile: str = "baseline",
    pixels: str = "yuv420p",
    params: str = "",
    frames: int = 6,
) -> tuple[bytes, ...]:
    """Access units of Annex B, a keyframe every four, each with its parameter sets in band."""
    codec: Any = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt = width, height, pixels
    codec.time_base = Fraction(1, 30)
    codec.options = {
        "profile": profile,
        "preset": "veryfast",
        "x264-params": f"keyint=4:scenecut=0:threads=1{params and ':' + params}",
    }
    packets = []
    for index in range(frames):
        picture = np.full((height, width, 3), index * 20, np.uint8)
        picture[:, : width * (index + 1) // (frames + 1), 0] = 200
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
        frame.pts = index
        packets += codec.encode(frame)
    return tuple(bytes(packet) for packet in (*packets, *codec.encode(None)))


def decode(frames: list[bytes], config: bytes = b"") -> list[bytes]:
    """Pictures as raw bytes, by libavcodec."""
    codec: Any = av.CodecContext.create("h264", "r")
    codec.thread_count = 1
    if config:
        codec.extradata = config
    pictures = []
    for data in frames:
        pictures += codec.decode(av.Packet(data))
    pictures += codec.decode(None)
    return [picture.to_ndarray().tobytes() for picture in pictures]


@pytest.mark.parametrize("params", ["open-gop=1:bframes=2:b-adapt=0", "intra-refresh=1:bframes=0"])
def test_only_at_idr_pictures_players_can_begin(params: str) -> None:
    """libavformat calls a picture with a recovery point (ITU-T H.264 D.2.8) a keyframe, too;
    browsers' decoders do not begin there.
    """
    frames = encode(64, 48, "main", params=params, frames=12)
    recoveries = [any(unit[:2] == b"\x06\x06" for unit in split_annexb(frame)) for frame in frames]
    assert any(recoveries[1:])
    _, _, keys = unpack_all(AccessUnits(b""), list(frames))
    assert keys == [True] + [False] * 11


def parameter_set(frames: tuple[bytes, ...], kind: int) -> bytes:
    return next(unit for unit in split_annexb(frames[0]) if unit[0] & 31 == kind)


def unpack_all(
    units: AccessUnits, frames: list[bytes]
) -> tuple[list[Track], list[bytes], list[bool]]:
    tracks, data, keys = [], [], []
    for frame in frames:
        unpacked = units.unpack(frame)
        if unpacked:
            if unpacked[0]:
                tracks.append(unpacked[0])
            data.append(unpacked[1])
            keys.append(unpacked[2])
    return tracks, data, keys


def slices(frame: bytes) -> list[bytes]:
    """The NAL units of an Annex B frame without parameter sets."""
    return [unit for unit in split_annexb(frame) if unit[0] & 31 not in (SPS, PPS)]


def kinds(frame: bytes) -> set[int]:
    return {unit[0] & 31 for unit in split_lengths(frame, 4)}


# Picture size


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
@pytest.mark.parametrize(
    "size", [(640, 360), (1920, 1080), (202, 154), (16, 16), (320, 240), (362, 642)]
)
def test_picture_size(size: tuple[int, int], profile: str) -> None:
    assert picture_size(parameter_set(encode(*size, profile, frames=1), SPS)) == size


@pytest.mark.parametrize(
    ("size", "profile", "pixels", "params"),
    [
        ((202, 154), "high422", "yuv422p", ""),
        ((203, 155), "high444", "yuv444p", ""),
        ((202, 155), "high422", "yuv422p", ""),
        ((202, 154), "high10", "yuv420p10le", ""),
        ((202, 154), "high", "gray", ""),
        ((1920, 1080), "high", "yuv420p", "interlaced=1"),
        ((202, 156), "main", "yuv420p", "interlaced=1"),
        ((202, 154), "high", "yuv420p", "cqm=jvt"),
        ((202, 154), "high444", "yuv444p", "cqm=jvt"),
    ],
)
def test_picture_size_of_rare_formats(
    size: tuple[int, int], profile: str, pixels: str, params: str
) -> None:
    assert (
        picture_size(parameter_set(encode(*size, profile, pixels, params, frames=1), SPS)) == size
    )


def test_picture_order_count_type_1() -> None:
    bits = f"{0x67:08b}{66:08b}{0:08b}{30:08b}"
    bits += ue(0) + ue(0) + ue(1) + "0" + se(-3) + se(2) + ue(3) + se(1) + se(-1) + se(5)
    bits += ue(1) + "0" + ue(19) + ue(14) + "1" + "1" + "0" + "0" + "1"
    assert picture_size(pack(bits)) == (320, 240)


def ue(value: int) -> str:
    return "0" * ((value + 1).bit_length() - 1) + f"{value + 1:b}"


def se(value: int) -> str:
    return ue(2 * value - 1 if value > 0 else -2 * value)


def pack(bits: str) -> bytes:
    """Bits to a NAL unit, with emulation prevention byte by byte as in 7.4.1."""
    bits += "0" * (-len(bits) % 8)
    unit, zeros = bytearray(), 0
    for byte in int(bits, 2).to_bytes(len(bits) // 8, "big"):
        if zeros >= 2 and byte <= 3:
            unit.append(3)
            zeros = 0
        unit.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(unit)


@pytest.mark.parametrize("profile", ["baseline", "high"])
def test_a_truncated_sps_is_an_error_or_lacks_only_its_vui(profile: str) -> None:
    sps = parameter_set(encode(202, 154, profile, frames=1), SPS)
    for length in range(len(sps)):
        try:
            assert picture_size(sps[:length]) == (202, 154)
        except MediaError:
            assert length < 16


@pytest.mark.parametrize(
    "sps", [b"", b"\x67", b"\x68" + bytes(20), b"\x67\x42\x00\x1e" + bytes(40)]
)
def test_what_is_no_sps(sps: bytes) -> None:
    with pytest.raises(MediaError):
        picture_size(sps)


def test_cropping_may_not_eat_the_picture() -> None:
    bits = (
        f"{0x67:08b}{66:08b}{0:08b}{30:08b}"
        + ue(0) * 2
        + ue(2)
        + ue(1)
        + "0"
        + ue(0)
        + ue(0)
        + "1"
        + "1"
    )
    assert picture_size(pack(bits + "1" + ue(3) + ue(0) * 3 + "0" + "1")) == (10, 16)
    with pytest.raises(MediaError, match="picture size"):
        picture_size(pack(bits + "1" + ue(8) + ue(0) * 3 + "0" + "1"))


# avcC


@functools.cache
def avcc_of_muxer(profile: str, pixels: str) -> bytes:
    """The avcC that libavformat builds for an MP4."""
    frames = encode(202, 154, profile, pixels, frames=2)
    source: Any = av.open(io.BytesIO(b"".join(frames)), format="h264")
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for index, packet in enumerate(source.demux()):
            if packet.size:
                packet.stream, packet.pts, packet.dts = stream, index, index
                container.mux(packet)
    target.seek(0)
    with av.open(target) as container:
        return bytes(container.streams.video[0].codec_context.extradata or b"")


@pytest.mark.parametrize(
    ("profile", "pixels"),
    [
        ("baseline", "yuv420p"),
        ("main", "yuv420p"),
        ("high", "yuv420p"),
        ("high10", "yuv420p10le"),
        ("high422", "yuv422p"),
    ],
)
def test_avcc_is_what_another_muxer_builds(profile: str, pixels: str) -> None:
    theirs = avcc_of_muxer(profile, pixels)
    parsed = parse_avcc(theirs)
    assert parsed.length_size == 4
    assert (parsed.profile, parsed.compatibility, parsed.level) == tuple(parsed.sps[0][1:4])
    assert build_avcc(parsed.sps, parsed.pps) == theirs
    assert (
        codec_string(theirs)
        == f"avc1.{parsed.profile:02X}{parsed.compatibility:02X}{parsed.level:02X}"
    )


def test_codec_string() -> None:
    assert codec_string(b"\x01\x42\xe0\x1e\xff") == "avc1.42E01E"
    with pytest.raises(MediaError):
        codec_string(b"\x01\x42")


def test_every_truncation_of_avcc() -> None:
    config = avcc_of_muxer("baseline", "yuv420p")
    for length in range(len(config)):
        with pytest.raises(MediaError):
            parse_avcc(config[:length])


def test_avcc_of_another_kind() -> None:
    config = avcc_of_muxer("baseline", "yuv420p")
    with pytest.raises(MediaError, match="version"):
        parse_avcc(b"\x02" + config[1:])
    with pytest.raises(MediaError, match="3 bytes"):
        parse_avcc(config[:4] + b"\xfe" + config[5:])
    with pytest.raises(MediaError):
        build_avcc([], [])
    with pytest.raises(MediaError):
        build_avcc(parse_avcc(config).sps, [b"\x68"] * 256)


# Reorder bound


def without_vui(sps: bytes) -> str:
    """The bits of an SPS before vui_parameters_present_flag."""
    return h264_sets.read_sps(sps).reader.until_here()


RESTRICTED = "1" + "1" + ue(2) + ue(1) + ue(15) + ue(15) + ue(0)
TIMING = "1" + f"{1:032b}{60:032b}1"
HRD = "1" + ue(1) + f"{0x11:08b}" + (ue(1000) + ue(2000) + "0") * 2 + f"{0:020b}"
ASPECT = "1" + f"{255:08b}{1:016b}{1:016b}"
COLOURS = "1" + "1010" + "1" + "00000001" * 3

# A VUI up to and without bitstream_restriction_flag. The first number of TIMING needs emulation
# prevention.
VUIS = {
    "bare": "1" + "00000000",
    "timing": "1" + "0000" + TIMING + "000",
    "everything": "1" + ASPECT + "11" + COLOURS + "1" + ue(0) + ue(0) + TIMING + HRD * 2 + "01",
}


@pytest.mark.parametrize("vui", ["none", *VUIS])
@pytest.mark.parametrize("size", [(640, 360), (202, 154)])
def test_reorder_bound(size: tuple[int, int], vui: str) -> None:
    frames = encode(*size, params="ref=3")
    head = without_vui(parameter_set(frames, SPS))
    after = VUIS[vui if vui != "none" else "bare"]
    sps = pack(head + (after + "0" if vui != "none" else "0") + "1")
    references = h264_sets.read_sps(sps).reference_frames
    bounded = with_reorder_bound(sps)
    assert bounded == pack(head + after + RESTRICTED + ue(references) + "1")
    assert picture_size(bounded) == size
    assert with_reorder_bound(bounded) == bounded

    pps = parameter_set(frames, PPS)
    _, data, _ = unpack_all(AccessUnits(b""), list(frames))
    assert decode(data, build_avcc([bounded], [pps])) == decode(list(frames))


@pytest.mark.parametrize(("profile", "params"), [("baseline", ""), ("high", "bframes=0:ref=1")])
def test_with_the_reorder_bound_a_strict_decoder_shows_each_picture_at_once(
    profile: str, params: str
) -> None:
    frames = encode(320, 240, profile, params=params)
    bare = pack(without_vui(parameter_set(frames, SPS)) + "0" + "1")
    shown = []
    for sps in (bare, with_reorder_bound(bare)):
        codec: Any = av.CodecContext.create("h264", "r")
        codec.thread_count = 1
        codec.options = {"strict": "strict"}
        codec.extradata = build_avcc([sps], [parameter_set(frames, PPS)])
        shown.append(
            [len(codec.decode(av.Packet(join_lengths(slices(frame))))) for frame in frames]
        )
    assert shown == [[0] * 6, [1] * 6]


def test_streams_that_reorder_are_left_alone() -> None:
    sps = parameter_set(encode(320, 240, "main", params="bframes=2"), SPS)
    bare = pack(without_vui(sps) + "0" + "1")
    assert with_reorder_bound(bare) == bare


def test_a_vui_that_is_cut_off_is_left_alone() -> None:
    head = without_vui(parameter_set(encode(320, 240), SPS))
    broken = pack(head + "1" + "00001" + "1")
    assert with_reorder_bound(broken) == broken


# NAL units


def test_split_annexb() -> None:
    assert split_annexb(b"") == []
    assert split_annexb(b"\0\0\0\1\x67a\0\0\1\x68b\0\0\0\0\1\x65c\0\0") == [
        b"\x67a",
        b"\x68b",
        b"\x65c",
    ]
    with pytest.raises(MediaError):
        split_annexb(b"x\0\0\1\x65")
    with pytest.raises(MediaLimitError):
        split_annexb(b"\0\0\1\x65" * (h264.MAX_UNITS + 1))


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=10), st.sampled_from([2, 4]))
def test_lengths_there_and_back(units: list[bytes], size: int) -> None:
    data = b"".join(len(unit).to_bytes(size, "big") + unit for unit in units)
    assert split_lengths(data, size) == units
    if size == 4:
        assert join_lengths(units) == data
    for length in range(len(data)):
        with contextlib.suppress(MediaError):
            whole = split_lengths(data[:length], size)
            assert whole == units[: len(whole)]


def test_too_many_lengths() -> None:
    with pytest.raises(MediaLimitError):
        split_lengths(bytes(4 * (h264.MAX_UNITS + 1)), 4)


# Access units


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
def test_start_codes_without_configuration(profile: str) -> None:
    frames = list(encode(202, 154, profile))
    tracks, data, keys = unpack_all(AccessUnits(b""), frames)
    assert len(tracks) == 1
    track = tracks[0]
    assert (track.codec, track.width, track.height) == (Codec.H264, 202, 154)
    assert track.codec_string == codec_string(track.config)
    assert parse_avcc(track.config).pps == [parameter_set(tuple(frames), PPS)]
    assert keys == [True, False, False, False, True, False]
    assert all(not kinds(frame) & {SPS, PPS, 9} for frame in data)
    assert decode(data, track.config) == decode(frames)


@pytest.mark.parametrize("size", [2, 4])
def test_lengths_with_avcc(size: int) -> None:
    frames = encode(202, 154)
    config = bytearray(build_avcc([parameter_set(frames, SPS)], [parameter_set(frames, PPS)]))
    config[4] = 0xFC | size - 1
    muxed = [
        b"".join(len(unit).to_bytes(size, "big") + unit for unit in slices(frame))
        for frame in frames
    ]
    units = AccessUnits(bytes(config))
    tracks, data, keys = unpack_all(units, muxed)
    assert tracks == [units.track]
    assert keys.count(True) == 2
    assert decode(data, tracks[0].config) == decode(list(frames))
    if size == 4:
        assert all(ours is theirs for ours, theirs in zip(data, muxed, strict=True))


def test_every_form_gives_the_same() -> None:
    frames = encode(202, 154)
    sps, pps = parameter_set(frames, SPS), parameter_set(frames, PPS)
    config = build_avcc([sps], [pps])
    annexb = unpack_all(AccessUnits(b""), list(frames))
    with_lengths = [join_lengths([b"\x09\xf0", *split_annexb(frame)]) for frame in frames]
    assert unpack_all(AccessUnits(config), with_lengths) == annexb
    assert unpack_all(AccessUnits(b""), with_lengths) == annexb
    assert unpack_all(AccessUnits(config), list(frames)) == annexb
    assert unpack_all(AccessUnits(b"\0\0\0\1" + sps + b"\0\0\0\1" + pps), list(frames)) == annexb
    bare = [b"".join(b"\0\0\1" + unit for unit in slices(frame)) for frame in frames]
    assert unpack_all(AccessUnits(b"\0\0\0\1" + sps + b"\0\0\0\1" + pps), bare) == annexb


def test_a_turned_phone() -> None:
    upright, lying = encode(144, 256), encode(256, 144)
    units = AccessUnits(build_avcc([parameter_set(upright, SPS)], [parameter_set(upright, PPS)]))
    tracks, data, _ = unpack_all(units, [*upright, *lying, *lying])
    assert [(track.width, track.height) for track in tracks] == [(144, 256), (256, 144)]
    assert tracks[1] == units.track
    assert decode(data[:6], tracks[0].config) == decode(list(upright))
    assert decode(data[6:12], tracks[1].config) == decode(list(lying))


def test_the_track_follows_the_sps_that_the_slice_uses() -> None:
    """Two SPS with different ids are both known; each IDR picture picks one."""
    small, large = encode(160, 96, params="sps-id=0"), encode(320, 240, params="sps-id=1")
    config = build_avcc(
        [parameter_set(small, SPS), parameter_set(large, SPS)],
        [parameter_set(small, PPS), parameter_set(large, PPS)],
    )
    bare = [join_lengths(slices(frames[0])) for frames in (large, small, large)]
    tracks, data, _ = unpack_all(AccessUnits(config), bare)
    assert [(track.width, track.height) for track in tracks] == [(320, 240), (160, 96), (320, 240)]
    assert [len(parse_avcc(track.config).sps) for track in tracks] == [1, 1, 1]
    for track, frame, frames in zip(tracks, data, (large, small, large), strict=True):
        assert decode([frame], track.config) == decode([frames[0]])


def test_parameter_sets_may_come_in_a_frame_of_their_own() -> None:
    frames = encode(202, 154)
    sps, pps = parameter_set(frames, SPS), parameter_set(frames, PPS)
    bare = [b"".join(b"\0\0\1" + unit for unit in slices(frame)) for frame in frames]
    units = AccessUnits(b"")
    assert units.unpack(b"") is None
    assert units.unpack(bare[0]) is None
    assert units.unpack(b"\0\0\0\1" + sps) is None
    assert units.unpack(bare[0]) is None
    assert units.unpack(b"\0\0\0\1" + pps) is None
    first = units.unpack(bare[0])
    assert first is not None and first[0] is units.track and first[2]
    second = units.unpack(bare[1])
    assert second is not None and second[0] is None and not second[2]


def test_pictures_with_unknown_parameter_sets_are_left_out() -> None:
    known, unknown = encode(202, 154, params="sps-id=0"), encode(202, 154, params="sps-id=1")
    units = AccessUnits(build_avcc([parameter_set(known, SPS)], [parameter_set(known, PPS)]))
    stream = [join_lengths(slices(frame)) for frame in (*known, *unknown, *known)]
    assert [units.unpack(frame) is not None for frame in stream] == [True] * 6 + [False] * 6 + [
        True
    ] * 6


def test_a_length_that_looks_like_a_start_code() -> None:
    frames = encode(202, 154)
    config = build_avcc([parameter_set(frames, SPS)], [parameter_set(frames, PPS)])
    units = AccessUnits(config)
    idr = next(unit for unit in split_annexb(frames[0]) if unit[0] & 31 == IDR)
    for length in (1 + 0x100, 0x167, 0x1FF):
        unit = idr[:100].ljust(length, b"\x55")
        frame = join_lengths([unit])
        assert frame.startswith(b"\0\0\1")
        unpacked = units.unpack(frame)
        assert unpacked is not None and unpacked[1] is frame


def test_filler_and_empty_units_go() -> None:
    frames = encode(202, 154)
    config = build_avcc([parameter_set(frames, SPS)], [parameter_set(frames, PPS)])
    unpacked = AccessUnits(config).unpack(
        bytes(4) + join_lengths([*slices(frames[1]), b"\x0c\xff\xff\x80"])
    )
    assert unpacked is not None and unpacked[1] == join_lengths(slices(frames[1]))


def test_the_reorder_bound_is_in_the_configuration() -> None:
    frames = encode(202, 154)
    bare = pack(without_vui(parameter_set(frames, SPS)) + "0" + "1")
    units = AccessUnits(build_avcc([bare], [parameter_set(frames, PPS)]))
    tracks, _, _ = unpack_all(units, [join_lengths(split_annexb(frames[1])[-1:])])
    assert parse_avcc(tracks[0].config).sps == [with_reorder_bound(bare)]


def test_broken_frames() -> None:
    frames = encode(202, 154)
    config = build_avcc([parameter_set(frames, SPS)], [parameter_set(frames, PPS)])
    with pytest.raises(MediaError, match="forbidden"):
        AccessUnits(config).unpack(join_lengths([b"\xe5abc"]))
    with pytest.raises(MediaError, match="add up"):
        AccessUnits(config).unpack(b"\0\0\0\x09\x65abc")
    with pytest.raises(MediaError):
        AccessUnits(b"").unpack(b"\0\0\0\1\x67\x42")
    with pytest.raises(MediaError):
        AccessUnits(b"\x01\x42")


def test_parameter_sets_are_bounded() -> None:
    units = AccessUnits(b"")
    with pytest.raises(MediaLimitError):
        for number in range(200):
            units.unpack(b"\0\0\1" + pack(f"{0x68:08b}" + ue(number) + ue(0) + "1" * 8000))
    again = AccessUnits(b"")
    for index in range(200):  # the same id: replaced, not added
        again.unpack(
            b"\0\0\1" + pack(f"{0x68:08b}" + ue(0) + ue(0) + "1" * 8000 + f"{index:08b}" + "1")
        )


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutations_are_frames_or_media_errors(data: st.DataObject) -> None:
    frames = encode(202, 154)
    config = build_avcc([parameter_set(frames, SPS)], [parameter_set(frames, PPS)])
    lengths = data.draw(st.booleans())
    stream = [
        bytearray(join_lengths(split_annexb(frame)) if lengths else frame) for frame in frames[:4]
    ]
    for _ in range(data.draw(st.integers(1, 8))):
        frame = data.draw(st.sampled_from(stream))
        frame[data.draw(st.integers(0, min(60, len(frame) - 1)))] = data.draw(st.integers(0, 255))
    try:
        units = AccessUnits(config if lengths else b"")
        for frame in stream:
            unpacked = units.unpack(bytes(frame))
            if unpacked:
                assert join_lengths(split_lengths(unpacked[1], 4)) == unpacked[1]
                assert not kinds(unpacked[1]) & {SPS, PPS}
    except MediaError:
        pass


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes(config: bytes, frame: bytes) -> None:
    try:
        units = AccessUnits(config)
        units.unpack(frame)
        units.unpack(b"\0\0\1" + frame)
    except MediaError:
        pass
