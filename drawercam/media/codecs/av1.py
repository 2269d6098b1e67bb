"""What the relay reads of AV1: the sequence header (AV1 bitstream specification 5.5), keyframes
that carry one, the shape of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from drawercam.media.bits import Bits
from drawercam.media.color import UNSPECIFIED, ColorSpace, from_codes
from drawercam.media.packets import MediaError, MediaLimitError
from drawercam.media.work import Work

# OBUs of one frame that are looked at; a picture has at most 4096 tiles.
MAX_UNITS = 2**12

# Bytes of a sequence header. Real ones have about a dozen, the longest that can be written has less
# than 400.
MAX_SEQUENCE_HEADER = 512

# obu_type, AV1 specification 6.2.2. The first one of a picture begins with its frame header.
_SEQUENCE_HEADER = 1
_FRAME_HEADERS = frozenset((3, 6))

# Bytes of a frame header up to render_size that are looked at: at most 1 + 8 of flags, 32 for the
# points of operation, 32 for the order of references, and 12 for sizes.
_MAX_FRAME_HEADER = 96

# seq_force_screen_content_tools and seq_force_integer_mv, when each frame says it for itself.
_SELECT = 2

# Units of work for the header of a frame.
_FRAME_HEADER_WORK = 16

# refresh_frame_flags of a keyframe that replaces all references; NUM_REF_FRAMES.
_ALL_FRAMES = 0xFF
_REFERENCES = 8

_WHAT = "an AV1 header"

# Section 5.5.2: primaries, transfer and matrix that mean RGB, with 4:4:4 and full range.
_SRGB = (1, 13, 0)


class FrameFields(NamedTuple):
    """What a sequence header says of the fields of its frames' headers (5.9.2), up to their size.

    Attributes:
        reduced: reduced_still_picture_header.
        time_bits: Of frame_presentation_time, 0 where there is none.
        removal_bits: Of buffer_removal_time, 0 where there is none.
        points: operating_point_idc of the points with a decoder model.
        screen_content, integer_mv: 0, 1, or _SELECT.
        id_bits: Of current_frame_id, 0 where there is none.
        order_bits: Of order_hint, 0 where there is none.
        size_bits: Of width and height.
        size: Width and height, where the frame does not say them.
        superres: A picture may have been coded narrower.
    """

    reduced: bool
    time_bits: int
    removal_bits: int
    points: tuple[int, ...]
    screen_content: int
    integer_mv: int
    id_bits: int
    order_bits: int
    size_bits: tuple[int, int]
    size: tuple[int, int]
    superres: bool


@dataclass(frozen=True, slots=True)
class SequenceHeader:
    """
    Attributes:
        codec_string: RFC 6381, ``av01.0.04M.08``.
        width, height: Largest picture size in pixels.
        config: ``av1C``.
        frames: What is needed to read the headers of its frames.
        color: What it says of its colours.
    """

    codec_string: str
    width: int
    height: int
    config: bytes
    frames: FrameFields
    color: ColorSpace | None = None


def sequence_header(frame: bytes) -> SequenceHeader | None:
    """Find and read the sequence header of a temporal unit; None when it has none (then it is no
    keyframe to start from).

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
        MediaLimitError: More than MAX_UNITS of them, a sequence header of more than
            MAX_SEQUENCE_HEADER bytes, or too much work.
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
        size, position = _read_size(frame, position)
        if position - begin > 2 + (header >> 2 & 1):  # a long one
            count += 3
        position += size
        if header >> 3 == _SEQUENCE_HEADER:
            if position - begin > MAX_SEQUENCE_HEADER:
                raise MediaLimitError(
                    f"an AV1 sequence header has {position - begin} bytes; the limit is "
                    f"{MAX_SEQUENCE_HEADER}"
                )
            found = frame[begin:position]
    if work is not None:
        work.spend(count)
    return found


def _read_size(frame: bytes, position: int) -> tuple[int, int]:
    """Of the OBU that begins there: the bytes of its payload, and where that begins.

    Raises:
        MediaError: It does not fit the frame.
    """
    header, end = frame[position], len(frame)
    position += 1 + (header >> 2 & 1)  # obu_extension_flag
    size = end - position
    if header & 2:  # obu_has_size_field
        if size > 0 and frame[position] < 0x80:
            size = frame[position]
            position += 1
        else:
            size, position = _leb128(frame, position)
    if header & 0x80 or size < 0 or position + size > end:
        raise MediaError("an AV1 frame is not a sequence of OBUs")
    return size, position


def pixel_aspect(frame: bytes, fields: FrameFields, work: Work | None = None) -> float:
    """Width of a pixel by its height: what the render size of a keyframe says (5.9.6), against the
    size of the picture.

    Args:
        frame: The temporal unit.
        fields: Of its sequence header.
        work: Pays for each OBU that is looked at, and for the header.

    Returns:
        1.0 also where it cannot be told.
    """
    position, end = 0, len(frame)
    count = _FRAME_HEADER_WORK
    found: tuple[bytes, int] | None = None
    while position < end and found is None:
        count += 1
        begin = position
        size, position = _read_size(frame, position)
        if frame[begin] >> 3 & 15 in _FRAME_HEADERS:
            extension = frame[begin + 1] if frame[begin] & 4 else 0
            found = frame[position : position + min(size, _MAX_FRAME_HEADER)], extension
        position += size
    if work is not None:
        work.spend(count)
    if found is None:
        return 1.0
    try:
        return _render_aspect(
            Bits(found[0], _WHAT), fields, temporal=found[1] >> 5, spatial=found[1] >> 3 & 3
        )
    except MediaError:
        return 1.0


def _render_aspect(bits: Bits, fields: FrameFields, temporal: int, spatial: int) -> float:
    """uncompressed_header (5.9.2) of a keyframe, up to render_size.

    Raises:
        MediaError: It is cut off.
    """
    override = 0
    if not fields.reduced:
        if bits(1) or bits(2):  # show_existing_frame, frame_type: 0 is a keyframe
            return 1.0
        shown = bits(1)
        if shown:
            bits(fields.time_bits)
        else:
            bits(1)  # showable_frame
        resilient = shown or bits(1)
    bits(1)  # disable_cdf_update
    screen_content = bits(1) if fields.screen_content == _SELECT else fields.screen_content
    if screen_content and fields.integer_mv == _SELECT:
        bits(1)
    if not fields.reduced:
        bits(fields.id_bits)
        override = bits(1)
        bits(fields.order_bits)
        if fields.removal_bits and bits(1):  # buffer_removal_time_present_flag
            for point in fields.points:
                if not point or (point >> temporal & 1 and point >> (spatial + 8) & 1):
                    bits(fields.removal_bits)
        if not shown and bits(8) != _ALL_FRAMES and resilient:
            bits(_REFERENCES * fields.order_bits)
    width, height = fields.size
    if override:
        width, height = bits(fields.size_bits[0]) + 1, bits(fields.size_bits[1]) + 1
    if fields.superres and bits(1):
        bits(3)
    if not bits(1):  # render_and_frame_size_different
        return 1.0
    return (bits(16) + 1) / width / ((bits(16) + 1) / height)


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
    bits = Bits(payload, _WHAT)

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
    time_bits = removal_bits = id_bits = order_bits = 0
    points = []
    screen_content = integer_mv = _SELECT
    if reduced:
        level = bits(5)
    else:
        delay_length = 0
        decoder_model = 0
        if bits(1):  # timing_info_present_flag
            bits(32)
            bits(32)
            equal_interval = bits(1)
            if equal_interval:
                uvlc()
            decoder_model = bits(1)
            if decoder_model:
                delay_length = bits(5) + 1
                bits(32)
                removal_bits = bits(5) + 1
                time_bits = bits(5) + 1
                if equal_interval:
                    time_bits = 0
        initial_delay = bits(1)
        for index in range(bits(5) + 1):
            point = bits(12)  # operating_point_idc
            point_level = bits(5)
            point_tier = bits(1) if point_level > 7 else 0
            if index == 0:
                level, tier = point_level, point_tier
            if decoder_model and bits(1):
                points.append(point)
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
        id_bits = bits(4) + bits(3) + 3
    bits(3)  # use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
    if not reduced:
        bits(4)  # interintra, masked, warped motion, dual filter
        order_hint = bits(1)
        if order_hint:
            bits(2)
        screen_content = _SELECT if bits(1) else bits(1)
        if screen_content and not bits(1):  # seq_choose_integer_mv
            integer_mv = bits(1)
        if order_hint:
            order_bits = bits(3) + 1
    superres = bool(bits(1))
    bits(2)  # cdef, restoration
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
            tier << 7
            | high << 6
            | twelve << 5
            | monochrome << 4
            | subsampling_x << 3
            | subsampling_y << 2,
            0,
        )
    )
    codec = f"av01.{profile}.{level:02}{'H' if tier else 'M'}.{depth:02}"
    color = from_codes(primaries, transfer, matrix, full_range)
    sizes = (width_bits, height_bits), (width, height)
    fields = FrameFields(
        bool(reduced),
        time_bits,
        removal_bits,
        tuple(points),
        screen_content,
        integer_mv,
        id_bits,
        order_bits,
        *sizes,
        superres,
    )
    return SequenceHeader(codec, width, height, config + obu, fields, color)
