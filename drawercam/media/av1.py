"""What the relay reads of AV1: the sequence header (AV1 bitstream specification 5.5), and keyframes that carry one."""

from __future__ import annotations

from dataclasses import dataclass

from .color import UNSPECIFIED, ColorSpace, from_codes
from .packets import MediaError, MediaLimitError
from .work import Work

# OBUs of one frame that are looked at; a picture has at most 4096 tiles.
MAX_UNITS = 2**12

# Bytes of a sequence header. Real ones have about a dozen, the longest that can be written has less than 400.
MAX_SEQUENCE_HEADER = 512

_SEQUENCE_HEADER = 1  # obu_type, AV1 specification 6.2.2

# Section 5.5.2: primaries, transfer and matrix that mean RGB, with 4:4:4 and full range.
_SRGB = (1, 13, 0)


@dataclass(frozen=True, slots=True)
class SequenceHeader:
    """
    Attributes:
        codec_string: RFC 6381, ``av01.0.04M.08``.
        width, height: Largest picture size in pixels.
        config: ``av1C``.
        color: What it says of its colours.
    """

    codec_string: str
    width: int
    height: int
    config: bytes
    color: ColorSpace | None = None


def sequence_header(frame: bytes) -> SequenceHeader | None:
    """Find and read the sequence header of a temporal unit; None when it has none (then it is no keyframe to start from).

    Raises:
        MediaError: The OBUs do not fit the frame, or the header is broken.
        MediaLimitError: As `find_sequence_header`.
    """
    obu = find_sequence_header(frame)
    if obu is None:
        return None
    position = 1 + (obu[0] >> 2 & 1)
    if obu[0] >> 1 & 1:
        _, position = _leb128(obu, position)
    return _parse(obu[position:], obu)


def find_sequence_header(frame: bytes, work: Work | None = None) -> bytes | None:
    """Find the sequence header of a temporal unit.

    Args:
        frame: The temporal unit.
        work: Pays for each OBU that is looked at.

    Returns:
        The OBU with its header; None when there is none.

    Raises:
        MediaError: The OBUs do not fit the frame.
        MediaLimitError: More than MAX_UNITS of them, a sequence header of more than MAX_SEQUENCE_HEADER bytes, or too much work.
    """
    position, end = 0, len(frame)
    count = 0
    found = None
    while position < end and found is None:
        count += 1
        if count > MAX_UNITS:
            raise MediaLimitError(f"an AV1 frame has more than {MAX_UNITS} OBUs")
        begin = position
        header = frame[position]
        position += 1 + (header >> 2 & 1)  # obu_extension_flag
        size = end - position
        if header & 2:  # obu_has_size_field
            if size > 0 and frame[position] < 0x80:
                size = frame[position]
                position += 1
            else:
                size, position = _leb128(frame, position)
                count += 3
        if header & 0x80 or size < 0 or position + size > end:
            raise MediaError("an AV1 frame is not a sequence of OBUs")
        position += size
        if header >> 3 == _SEQUENCE_HEADER:
            if position - begin > MAX_SEQUENCE_HEADER:
                raise MediaLimitError(f"an AV1 sequence header has {position - begin} bytes; the limit is {MAX_SEQUENCE_HEADER}")
            found = frame[begin:position]
    if work is not None:
        work.spend(count)
    return found


def _leb128(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, position
    raise MediaError("an AV1 size is cut off")


def _parse(payload: bytes, obu: bytes) -> SequenceHeader:
    total = len(payload) * 8
    whole = int.from_bytes(payload, "big")
    position = 0

    def bits(count: int) -> int:
        nonlocal position
        position += count
        if position > total:
            raise MediaError("an AV1 sequence header is cut off")
        return (whole >> (total - position)) & ((1 << count) - 1)

    def uvlc() -> None:
        zeros = 0
        while not bits(1):
            zeros += 1
            if zeros > 32:
                raise MediaError("an AV1 sequence header has a number that does not end")
        if zeros < 32:
            bits(zeros)

    profile = bits(3)
    bits(1)  # still_picture
    reduced = bits(1)
    level, tier = 0, 0
    if reduced:
        level = bits(5)
    else:
        delay_length = 0
        decoder_model = 0
        if bits(1):  # timing_info_present_flag
            bits(32)
            bits(32)
            if bits(1):  # equal_picture_interval
                uvlc()
            decoder_model = bits(1)
            if decoder_model:
                delay_length = bits(5) + 1
                bits(32)
                bits(10)
        initial_delay = bits(1)
        for index in range(bits(5) + 1):
            bits(12)  # operating_point_idc
            point_level = bits(5)
            point_tier = bits(1) if point_level > 7 else 0
            if index == 0:
                level, tier = point_level, point_tier
            if decoder_model and bits(1):
                bits(delay_length)
                bits(delay_length)
                bits(1)
            if initial_delay and bits(1):
                bits(4)
    width_bits = bits(4) + 1
    height_bits = bits(4) + 1
    width = bits(width_bits) + 1
    height = bits(height_bits) + 1
    if not reduced and bits(1):  # frame_id_numbers_present_flag
        bits(7)
    bits(3)  # use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
    if not reduced:
        bits(4)  # interintra, masked, warped motion, dual filter
        order_hint = bits(1)
        if order_hint:
            bits(2)
        screen_content = 2 if bits(1) else bits(1)
        if screen_content and not bits(1):  # seq_choose_integer_mv
            bits(1)
        if order_hint:
            bits(3)
    bits(3)  # superres, cdef, restoration
    high = bits(1)
    twelve = bits(1) if profile == 2 and high else 0
    depth = 12 if twelve else 10 if high else 8
    monochrome = 0 if profile == 1 else bits(1)
    primaries = transfer = matrix = UNSPECIFIED
    if bits(1):  # color_description_present_flag
        primaries, transfer, matrix = bits(8), bits(8), bits(8)
    subsampling_x, subsampling_y = 1, 1
    full_range = True
    if monochrome:
        full_range = bool(bits(1))  # color_range
    elif (primaries, transfer, matrix) != _SRGB:
        full_range = bool(bits(1))
        if profile == 1 or (profile == 2 and depth != 12):
            subsampling_x, subsampling_y = (0, 0) if profile == 1 else (1, 0)
        elif profile == 2:
            subsampling_x = bits(1)
            subsampling_y = bits(1) if subsampling_x else 0
    else:
        subsampling_x, subsampling_y = 0, 0
    # AV1CodecConfigurationRecord, "AV1 Codec ISO Media File Format Binding" 2.3.
    config = bytes(
        (
            0x81,
            profile << 5 | level,
            tier << 7 | high << 6 | twelve << 5 | monochrome << 4 | subsampling_x << 3 | subsampling_y << 2,
            0,
        )
    )
    codec = f"av01.{profile}.{level:02}{'H' if tier else 'M'}.{depth:02}"
    color = from_codes(primaries, transfer, matrix, full_range)
    return SequenceHeader(codec, width, height, config + obu, color)
