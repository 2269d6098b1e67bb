"""The parameter sets of H.264 (ITU-T H.264 7.3.2.1) and the record that holds them, ``avcC``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from drawercam.media.bits import Bits
from drawercam.media.color import UNSPECIFIED, ColorSpace, from_codes
from drawercam.media.packets import MediaError

# ITU-T H.264 A.3.1 and table A-1: a side of at most sqrt(8 * MaxFS) macroblocks, 1055 at level 6.2;
# in pixels.
MAX_SIDE = 1055 * 16

# 7.3.2.1.1: the profiles whose SPS has chroma format, bit depths and scaling lists.
_HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))

_BASELINE = 66

# Table E-1: aspect_ratio_idc, width and height of a pixel; and the one behind which they are
# written out.
_PIXEL_ASPECTS = (
    *((0, 0), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11)),
    *((80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1)),
)
_EXTENDED_SAR = 255


class Nal(IntEnum):
    """``nal_unit_type``, ITU-T H.264 table 7-1."""

    SLICE = 1
    PARTITION_A = 2
    IDR = 5
    SEI = 6
    SPS = 7
    PPS = 8
    DELIMITER = 9
    FILLER = 12
    SPS_EXTENSION = 13


def nal_bits(unit: bytes) -> Bits:
    """The fields of a NAL unit, without its emulation prevention bytes."""
    return Bits(unit.replace(b"\0\0\3", b"\0\0"), "an H.264 parameter set")


@dataclass(frozen=True, slots=True)
class AvcConfig:
    """An ``AVCDecoderConfigurationRecord`` (ISO/IEC 14496-15 5.3.3.1).

    Attributes:
        profile, compatibility, level: ``profile_idc``, the constraint flags and ``level_idc``, as
            in the SPS.
        length_size: Bytes of the length before each NAL unit: 1, 2 or 4.
        sps, pps: The parameter sets, NAL units with their header.
    """

    profile: int
    compatibility: int
    level: int
    length_size: int
    sps: list[bytes]
    pps: list[bytes]


@dataclass(frozen=True, slots=True)
class Sps:
    """What is read of a sequence parameter set (7.3.2.1.1)."""

    unit: bytes
    number: int
    profile: int
    chroma_format: int
    luma_depth: int
    chroma_depth: int
    order_count_type: int
    reference_frames: int
    width: int
    height: int
    pixel_aspect: float  # width of a pixel by its height; 1.0 also where nothing says it
    color: ColorSpace | None
    reader: Bits  # stands before vui_parameters_present_flag


def parse_avcc(config: bytes) -> AvcConfig:
    """Read an ``avcC`` payload. The fields that High profiles append are not needed and not looked
    at.

    Raises:
        MediaError: It is cut off, of another version, or has lengths of 3 bytes.
    """
    if len(config) < 6 or config[0] != 1:
        raise MediaError("an avcC is too short or not of version 1")
    length_size = (config[4] & 3) + 1
    if length_size == 3:
        raise MediaError("an avcC has lengths of 3 bytes")
    position = 5

    def units(mask: int) -> list[bytes]:
        nonlocal position
        if position >= len(config):
            raise MediaError("an avcC is cut off")
        count = config[position] & mask
        position += 1
        found = []
        for _ in range(count):
            begin = position + 2
            position = begin + int.from_bytes(config[position:begin], "big")
            if begin > len(config) or position > len(config):
                raise MediaError("an avcC is cut off")
            found.append(config[begin:position])
        return found

    sps = units(0x1F)
    pps = units(0xFF)
    return AvcConfig(config[1], config[2], config[3], length_size, sps, pps)


def build_avcc(sps: Sequence[bytes], pps: Sequence[bytes]) -> bytes:
    """Write an ``avcC`` payload with 4-byte lengths; the first SPS gives profile and level.

    Raises:
        MediaError: There is no SPS, it is broken, or there are more or longer parameter sets than
            the record can hold.
    """
    if not sps:
        raise MediaError("an avcC needs an H.264 SPS")
    return avcc(read_sps(sps[0]), sps, pps)


def avcc(first: Sps, sps: Sequence[bytes], pps: Sequence[bytes]) -> bytes:
    if len(sps) > 31 or len(pps) > 255 or any(len(unit) >= 2**16 for unit in (*sps, *pps)):
        raise MediaError("the H.264 parameter sets do not fit an avcC")
    parts = [b"\x01", sps[0][1:4], b"\xff", bytes((0xE0 | len(sps),))]
    parts += (len(unit).to_bytes(2, "big") + unit for unit in sps)
    parts.append(bytes((len(pps),)))
    parts += (len(unit).to_bytes(2, "big") + unit for unit in pps)
    if first.profile in _HIGH_PROFILES:
        parts.append(
            bytes(
                (
                    0xFC | first.chroma_format,
                    0xF8 | first.luma_depth - 8,
                    0xF8 | first.chroma_depth - 8,
                    0,
                )
            )
        )
    return b"".join(parts)


def codec_string(config: bytes) -> str:
    """The ``codecs`` parameter (RFC 6381 section 3.3) of an ``avcC``, such as ``avc1.42E01E``.

    Raises:
        MediaError: The record is too short.
    """
    if len(config) < 4:
        raise MediaError("an avcC is too short")
    return f"avc1.{config[1:4].hex().upper()}"


def picture_size(sps: bytes) -> tuple[int, int]:
    """Width and height in pixels of the pictures that a decoder shows: cropped (7.4.2.1.1), pixels
    taken as square.

    Raises:
        MediaError: The SPS is broken.
    """
    parsed = read_sps(sps)
    return parsed.width, parsed.height


def read_sps(unit: bytes) -> Sps:
    if len(unit) < 4 or unit[0] & 0x1F != Nal.SPS:
        raise MediaError("an H.264 SPS is too short or something else")
    reader = nal_bits(unit)
    reader(8)
    profile = reader(8)
    reader(16)  # constraint flags, level_idc
    number = reader.ue(31)
    chroma_format, separate_planes, luma_depth, chroma_depth = 1, 0, 8, 8
    if profile in _HIGH_PROFILES:
        chroma_format = reader.ue(3)
        if chroma_format == 3:
            separate_planes = reader(1)
        luma_depth = 8 + reader.ue(6)
        chroma_depth = 8 + reader.ue(6)
        reader(1)  # qpprime_y_zero_transform_bypass_flag
        if reader(1):  # seq_scaling_matrix_present_flag
            for index in range(8 if chroma_format != 3 else 12):
                if reader(1):
                    _skip_scaling_list(reader, 16 if index < 6 else 64)
    reader.ue(12)  # log2_max_frame_num_minus4
    order_count_type = reader.ue(2)
    if order_count_type == 0:
        reader.ue(12)  # log2_max_pic_order_cnt_lsb_minus4
    elif order_count_type == 1:
        reader(1)
        reader.se()
        reader.se()
        for _ in range(reader.ue(255)):
            reader.se()
    reference_frames = reader.ue(16)
    reader(1)  # gaps_in_frame_num_value_allowed_flag
    width = (reader.ue(MAX_SIDE) + 1) * 16
    map_height = (reader.ue(MAX_SIDE) + 1) * 16
    frames_only = reader(1)
    if not frames_only:
        reader(1)  # mb_adaptive_frame_field_flag
    height = map_height * (2 - frames_only)
    reader(1)  # direct_8x8_inference_flag
    if reader(1):  # frame_cropping_flag
        subsampled = not separate_planes
        unit_x = 2 if subsampled and chroma_format in (1, 2) else 1
        unit_y = (2 if subsampled and chroma_format == 1 else 1) * (2 - frames_only)
        width -= (reader.ue() + reader.ue()) * unit_x
        height -= (reader.ue() + reader.ue()) * unit_y
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise MediaError("an H.264 SPS has an impossible picture size")
    depths = luma_depth, chroma_depth
    aspect, color = _pixel_aspect(reader), _color(reader, chroma_format)
    return Sps(
        unit,
        number,
        profile,
        chroma_format,
        *depths,
        order_count_type,
        reference_frames,
        width,
        height,
        aspect,
        color,
        reader,
    )


def _pixel_aspect(reader: Bits) -> float:
    """sample_aspect_ratio (E.2.1), of a reader that stands before vui_parameters_present_flag, and
    stays there."""
    before = reader.position
    width = height = 0
    try:
        if reader(1) and reader(1):  # vui_parameters_present_flag, aspect_ratio_info_present_flag
            number = reader(8)
            if number == _EXTENDED_SAR:
                width, height = reader(16), reader(16)
            elif number < len(_PIXEL_ASPECTS):
                width, height = _PIXEL_ASPECTS[number]
    except MediaError:
        width = height = 0  # a VUI that cannot be read says nothing
    reader.back_to(before)
    return width / height if width and height else 1.0


def _color(reader: Bits, chroma_format: int) -> ColorSpace | None:
    """What the VUI says of the colours; None where there is none or it cannot be read. The reader
    stays where it is."""
    before = reader.position
    try:
        return (
            _read_vui_head(reader, chroma_format) if reader(1) else None
        )  # vui_parameters_present_flag
    except MediaError:
        return None
    finally:
        reader.back_to(before)


def _skip_scaling_list(reader: Bits, size: int) -> None:
    """7.3.2.1.1.1: deltas, until the next scale is 0."""
    last = 8
    for _ in range(size):
        following = (last + reader.se()) % 256
        if not following:
            return
        last = following


def with_reorder_bound(sps: bytes) -> bytes:
    """State in an SPS that its pictures come in display order, where they do and it does not say
    so.

    Without ``bitstream_restriction`` (E.1.1) a hardware decoder has to expect as many reordered
    pictures as the level allows, and may hold back up to 16 before it shows the first. Baseline
    streams and those with ``pic_order_cnt_type`` 2 (8.2.1.3) reorder nothing.

    Returns:
        The SPS with ``max_num_reorder_frames`` 0 and ``max_dec_frame_buffering`` as large as
        ``max_num_ref_frames``; or the SPS as it is when pictures may be reordered, when it has a
        bound already, or when its VUI cannot be read.

    Raises:
        MediaError: The SPS is broken before its VUI.
    """
    return bounded(read_sps(sps))


def bounded(sps: Sps) -> bytes:
    """The same of one that is read already; uses up its reader."""
    reader = sps.reader
    if sps.profile != _BASELINE and sps.order_count_type != 2:
        return sps.unit
    before_vui = reader.until_here()
    try:
        if reader(1):  # vui_parameters_present_flag
            _skip_to_restriction(reader)
            bits = reader.until_here()
            if reader(1):  # bitstream_restriction_flag
                return sps.unit
        else:
            # vui_parameters_present_flag, then eight flags up to pic_struct_present_flag: all that
            # is optional is absent.
            bits = before_vui + "1" + "00000000"
    except MediaError:
        return sps.unit
    # motion_vectors_over_pic_boundaries_flag and the four limits after it have the values that
    # E.2.1 infers when they are absent.
    bits += (
        "1" + "1" + "".join(_ue_bits(value) for value in (2, 1, 15, 15, 0, sps.reference_frames))
    )
    bits += "1"  # rbsp_stop_one_bit
    bits += "0" * (-len(bits) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)


def _read_vui_head(reader: Bits, chroma_format: int = 0) -> ColorSpace | None:
    """The first VUI parameters (E.1.1), up to those of the colours, which are returned."""
    if reader(1) and reader(8) == _EXTENDED_SAR:  # aspect_ratio_info_present_flag, aspect_ratio_idc
        reader(32)
    if reader(1):  # overscan_info_present_flag
        reader(1)
    if not reader(1):  # video_signal_type_present_flag
        return None
    reader(3)  # video_format
    full_range = bool(reader(1))
    primaries = transfer = matrix = UNSPECIFIED
    if reader(1):  # colour_description_present_flag
        primaries, transfer, matrix = reader(8), reader(8), reader(8)
    if matrix == 0 and chroma_format != 3:
        # E.2.1: RGB is 4:4:4; some cameras fill what they do not know with zeros.
        matrix = UNSPECIFIED
    return from_codes(primaries, transfer, matrix, full_range)


def _skip_to_restriction(reader: Bits) -> None:
    """Pass over VUI parameters (E.1.1) up to bitstream_restriction_flag."""
    _read_vui_head(reader)
    if reader(1):  # chroma_loc_info_present_flag
        reader.ue()
        reader.ue()
    if reader(1):  # timing_info_present_flag
        reader(65)
    reference_decoders = 0
    for _ in ("nal", "vcl"):
        if reader(1):
            reference_decoders += 1
            count = reader.ue(31) + 1
            reader(8)
            for _ in range(count):
                reader.ue()
                reader.ue()
                reader(1)
            reader(20)
    if reference_decoders:
        reader(1)  # low_delay_hrd_flag
    reader(1)  # pic_struct_present_flag


def _ue_bits(value: int) -> str:
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code
