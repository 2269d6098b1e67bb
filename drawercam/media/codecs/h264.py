"""H.264 (ITU-T H.264, ISO/IEC 14496-10) and its configuration record (ISO/IEC 14496-15), as far as a relay needs them.

Containers hold H.264 in two forms: NAL units behind start codes (Annex B) or behind their lengths, with the parameter sets (SPS, PPS) in
the stream or in a record of the container (``avcC``). ``AccessUnits`` turns all of them into one: 4-byte lengths, parameter sets in
``avcC``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from drawercam.media.bits import Bits
from drawercam.media.color import UNSPECIFIED, ColorSpace, from_codes
from drawercam.media.geometry import Geometry, of_angles
from drawercam.media.packets import Codec, MediaError, MediaLimitError, Track
from drawercam.media.work import KEY, PARAMETER_SET, SPS_BYTE, Work

# NAL units in one frame. A picture of level 6.2 with a slice for every row of macroblocks has about 500.
MAX_UNITS = 4096

# Bytes of all parameter sets of one track together. Real ones have less than 100, those with all scaling lists some hundred each.
MAX_PARAMETER_SETS = 2**14

# ITU-T H.264 A.3.1 and table A-1: a side of at most sqrt(8 * MaxFS) macroblocks, 1055 at level 6.2; in pixels.
MAX_SIDE = 1055 * 16

START_CODE = b"\0\0\1"

# 7.3.2.1.1: the profiles whose SPS has chroma format, bit depths and scaling lists.
_HIGH_PROFILES = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))

_BASELINE = 66

# Table E-1: aspect_ratio_idc, width and height of a pixel; and the one behind which they are written out.
_PIXEL_ASPECTS = (
    *((0, 0), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11)),
    *((80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1)),
)
_EXTENDED_SAR = 255

# The first fields of a slice header, up to the id of its PPS, have at most 60 bits, those of a PPS less; the rest is room for emulation
# prevention.
_HEAD = 16


class _Nal(IntEnum):
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


# What stays: neither parameter sets, which move into the avcC, nor what a decoder with one does not miss: delimiters only repeat where the
# container cuts, filler is filler, and the extension of an SPS (7.3.2.1.2) describes auxiliary pictures, which are not shown.
_SETS = frozenset((int(_Nal.SPS), int(_Nal.PPS)))
_DROPPED = frozenset((int(_Nal.DELIMITER), int(_Nal.FILLER), int(_Nal.SPS_EXTENSION)))
_PICTURES = frozenset((int(_Nal.SLICE), int(_Nal.PARTITION_A), int(_Nal.IDR)))
_IDR = int(_Nal.IDR)

_FORBIDDEN_BIT = 0x80

# D.1.1: the payloadType of a display orientation; 7.3.2.3.1: type and size of a message, each with 255 for each byte that goes on.
_DISPLAY_ORIENTATION = 47
_SEI_HEAD = re.compile(rb"(\xff*)([^\xff])(\xff*)([^\xff])", re.DOTALL)

# Bytes of a unit of SEI that are looked at. Encoders write who they are into it, in some hundred.
_MAX_SEI = 4096

# Units of work for such a unit, beside the one for each of its messages.
_SEI_WORK = 8

_ZEROS = bytes(2**12)


def _bits(unit: bytes) -> Bits:
    """The fields of a NAL unit, without its emulation prevention bytes."""
    return Bits(unit.replace(b"\0\0\3", b"\0\0"), "an H.264 parameter set")


# In place of a reader that is needed no more: the bits of an SPS are eight times as long as itself.
_USED_UP = _bits(b"")


@dataclass(frozen=True, slots=True)
class AvcConfig:
    """An ``AVCDecoderConfigurationRecord`` (ISO/IEC 14496-15 5.3.3.1).

    Attributes:
        profile, compatibility, level: ``profile_idc``, the constraint flags and ``level_idc``, as in the SPS.
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
class _Sps:
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
    """Read an ``avcC`` payload. The fields that High profiles append are not needed and not looked at.

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
        MediaError: There is no SPS, it is broken, or there are more or longer parameter sets than the record can hold.
    """
    if not sps:
        raise MediaError("an avcC needs an H.264 SPS")
    return _avcc(_read_sps(sps[0]), sps, pps)


def _avcc(first: _Sps, sps: Sequence[bytes], pps: Sequence[bytes]) -> bytes:
    if len(sps) > 31 or len(pps) > 255 or any(len(unit) >= 2**16 for unit in (*sps, *pps)):
        raise MediaError("the H.264 parameter sets do not fit an avcC")
    parts = [b"\x01", sps[0][1:4], b"\xff", bytes((0xE0 | len(sps),))]
    parts += (len(unit).to_bytes(2, "big") + unit for unit in sps)
    parts.append(bytes((len(pps),)))
    parts += (len(unit).to_bytes(2, "big") + unit for unit in pps)
    if first.profile in _HIGH_PROFILES:
        parts.append(bytes((0xFC | first.chroma_format, 0xF8 | first.luma_depth - 8, 0xF8 | first.chroma_depth - 8, 0)))
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
    """Width and height in pixels of the pictures that a decoder shows: cropped (7.4.2.1.1), pixels taken as square.

    Raises:
        MediaError: The SPS is broken.
    """
    parsed = _read_sps(sps)
    return parsed.width, parsed.height


def _read_sps(unit: bytes) -> _Sps:
    if len(unit) < 4 or unit[0] & 0x1F != _Nal.SPS:
        raise MediaError("an H.264 SPS is too short or something else")
    reader = _bits(unit)
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
    return _Sps(unit, number, profile, chroma_format, *depths, order_count_type, reference_frames, width, height, aspect, color, reader)


def _pixel_aspect(reader: Bits) -> float:
    """sample_aspect_ratio (E.2.1), of a reader that stands before vui_parameters_present_flag, and stays there."""
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
    """What the VUI says of the colours; None where there is none or it cannot be read. The reader stays where it is."""
    before = reader.position
    try:
        return _read_vui_head(reader, chroma_format) if reader(1) else None  # vui_parameters_present_flag
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
    """State in an SPS that its pictures come in display order, where they do and it does not say so.

    Without ``bitstream_restriction`` (E.1.1) a hardware decoder has to expect as many reordered pictures as the level allows, and may
    hold back up to 16 before it shows the first. Baseline streams and those with ``pic_order_cnt_type`` 2 (8.2.1.3) reorder nothing.

    Returns:
        The SPS with ``max_num_reorder_frames`` 0 and ``max_dec_frame_buffering`` as large as ``max_num_ref_frames``; or the SPS as it
        is when pictures may be reordered, when it has a bound already, or when its VUI cannot be read.

    Raises:
        MediaError: The SPS is broken before its VUI.
    """
    return _bounded(_read_sps(sps))


def _bounded(sps: _Sps) -> bytes:
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
            # vui_parameters_present_flag, then eight flags up to pic_struct_present_flag: all that is optional is absent.
            bits = before_vui + "1" + "00000000"
    except MediaError:
        return sps.unit
    # motion_vectors_over_pic_boundaries_flag and the four limits after it have the values that E.2.1 infers when they are absent.
    bits += "1" + "1" + "".join(_ue_bits(value) for value in (2, 1, 15, 15, 0, sps.reference_frames))
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
        matrix = UNSPECIFIED  # E.2.1: RGB is 4:4:4; some cameras fill what they do not know with zeros
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


def split_annexb(data: bytes, work: Work | None = None) -> list[bytes]:
    """Split a byte stream of Annex B into NAL units, without start codes and trailing zero bytes.

    Args:
        data: The byte stream.
        work: Pays for each unit, an empty one too.

    Raises:
        MediaError: It does not begin with a start code.
        MediaLimitError: More than MAX_UNITS units, or too much work.
    """
    before, *units = data.split(START_CODE, MAX_UNITS + 1)
    if work is not None:
        work.spend(len(units))
    if _without_zeros(before):
        raise MediaError("an H.264 byte stream does not begin with a start code")
    if len(units) > MAX_UNITS:
        raise MediaLimitError(f"an H.264 frame has more than {MAX_UNITS} NAL units")
    # 7.4.1: no NAL unit ends with a zero byte, so those belong to the next start code or to trailing_zero_8bits.
    return [unit for unit in map(_without_zeros, units) if unit]


def _without_zeros(unit: bytes) -> bytes:
    """Without the zero bytes at its end, however many: to look at each of them would take longer than all the rest."""
    if unit[-1:] != b"\0":
        return unit
    end = len(unit)
    while unit.endswith(_ZEROS, 0, end):
        end -= len(_ZEROS)
    return unit[:end].rstrip(b"\0")


def split_lengths(data: bytes, size: int, work: Work | None = None) -> list[bytes]:
    """Split NAL units that stand behind lengths of ``size`` bytes; empty ones are left out.

    Args:
        data: The units.
        size: Of a length.
        work: Pays for each unit, an empty one too.

    Raises:
        MediaError: The lengths do not add up to the data.
        MediaLimitError: More than MAX_UNITS units, or too much work.
    """
    units = []
    position, end = 0, len(data)
    count = 0
    try:
        while position < end:
            begin = position + size
            position = begin + int.from_bytes(data[position:begin], "big")
            if position > end:
                raise MediaError("the NAL unit lengths of an H.264 frame do not add up")
            count += 1
            if count > MAX_UNITS:
                raise MediaLimitError(f"an H.264 frame has more than {MAX_UNITS} NAL units")
            if position > begin:
                units.append(data[begin:position])
    finally:
        if work is not None:
            work.spend(count)
    return units


def join_lengths(units: Iterable[bytes]) -> bytes:
    """Put NAL units behind 4-byte lengths."""
    parts: list[bytes] = []
    for unit in units:
        parts += (len(unit).to_bytes(4, "big"), unit)
    return b"".join(parts)


def _orientation(units: Sequence[bytes], work: Work) -> Geometry:
    """How the picture of an access unit is turned, as its display orientation (D.1.27) says; turned in no way where nothing does."""
    for unit in units:
        if unit[0] & 0x1F != _Nal.SEI:
            continue
        work.spend(_SEI_WORK)
        payload, position = unit[1:_MAX_SEI].replace(b"\0\0\3", b"\0\0"), 0
        while head := _SEI_HEAD.match(payload, position):
            work.spend(1)
            kind, size = (255 * len(head[more]) + head[more + 1][0] for more in (1, 3))
            position = head.end() + size
            if kind == _DISPLAY_ORIENTATION and size >= 3 and position <= len(payload):
                bits = int.from_bytes(payload[head.end() : head.end() + 3], "big")
                if bits >> 23:  # display_orientation_cancel_flag
                    continue
                mirrored, upside_down, anticlockwise = bits >> 22 & 1, bits >> 21 & 1, bits >> 5 & 0xFFFF
                return of_angles(180 * mirrored, 180 * upside_down, anticlockwise * 360 / 2**16)
    return Geometry()


class AccessUnits:
    """One H.264 track on its way from its container's form into 4-byte lengths with ``avcC``.

    A track is as long as one SPS and the PPS that refer to it stay the same. A phone that is turned sends new ones in the stream.
    """

    def __init__(self, config: bytes, work: Work | None = None) -> None:
        """
        Args:
            config: The container's ``avcC``; or its parameter sets with start codes, as some recorders write them; or nothing, when they
                are in the stream.
            work: What it may cost; as much as a message if None.

        Raises:
            MediaError: The configuration is broken.
            MediaLimitError: More or longer parameter sets than the limits, or too much work.
        """
        self.track: Track | None = None
        self._sps: dict[int, tuple[_Sps, bytes]] = {}  # with a bound on reordering
        self._pps: dict[int, tuple[int, bytes]] = {}  # id -> id of its SPS, NAL unit
        self._tracks: dict[int, Track] = {}  # by id of the SPS, as long as no parameter set changes
        self._known: set[bytes] = set()  # the parameter sets in force: most that come are repetitions
        self._known_size = 0  # their bytes
        self._length_size = 4
        self._start_codes = True
        work = Work() if work is None else work
        units: list[bytes] = []
        if _begins_with_start_code(config):
            units = split_annexb(config, work)
        elif config:
            record = parse_avcc(config)
            self._length_size = record.length_size
            self._start_codes = False
            units = [unit for unit in (*record.sps, *record.pps) if unit]
        for unit in units:
            kind = unit[0] & 0x1F
            if kind in _SETS:
                self._learn(kind, unit, work)

    def unpack(self, frame: bytes, work: Work | None = None) -> tuple[Track | None, bytes, bool] | None:
        """Take one access unit, as the container has it.

        Args:
            frame: The access unit.
            work: What it may cost; as much as a message if None.

        Returns:
            The track, when this frame is its first; the frame as slices and SEI with 4-byte lengths; and whether it is an IDR picture.
            None when there is nothing to show: no picture in it, or the parameter sets that it needs have not come.

        Raises:
            MediaError: The frame or a parameter set is broken.
            MediaLimitError: More NAL units or parameter sets than the limits, or too much work.
        """
        work = Work() if work is None else work
        units = self._split(frame, work)
        kept: list[bytes] = []
        picture: bytes | None = None
        key = False
        for unit in units:
            header = unit[0]
            if header & _FORBIDDEN_BIT:
                raise MediaError("an H.264 NAL unit has its forbidden bit set")
            kind = header & 0x1F
            if kind in _SETS:
                if unit not in self._known:
                    self._learn(kind, unit, work)
                continue
            if kind in _DROPPED:
                continue
            if kind == _IDR:
                key = True
            if picture is None and kind in _PICTURES:
                picture = unit
            kept.append(unit)
        if picture is None:
            return None
        track = None
        if key or not self._tracks:
            work.spend(KEY)
            current = self._active_track(picture, work)
            if current is None:
                self._tracks.clear()  # so that the pictures that refer to this one are not shown either
                return None
            turn = _orientation(kept, work)
            if turn.rotation or turn.flip:
                current = replace(current, rotation=turn.rotation, flip=turn.flip)
            if current != self.track:
                track = self.track = current
        as_it_was = not self._start_codes and self._length_size == 4 and len(frame) == sum(map(len, kept)) + 4 * len(kept)
        return track, frame if as_it_was else join_lengths(kept), key

    def _split(self, frame: bytes, work: Work) -> list[bytes]:
        """Tell the two forms apart: 00 00 01 may begin a unit of 256 to 511 bytes as well as be a start code, so the last form counts."""
        if self._start_codes:
            if not frame or _begins_with_start_code(frame):
                return split_annexb(frame, work)
            units = split_lengths(frame, self._length_size, work)
            self._start_codes = False
            return units
        try:
            return split_lengths(frame, self._length_size, work)
        except MediaError:
            if not _begins_with_start_code(frame):
                raise
            self._start_codes = True
            return split_annexb(frame, work)

    def _learn(self, kind: int, unit: bytes, work: Work) -> None:
        """Take a new parameter set; it replaces the one with the same id (7.4.1.2.1)."""
        work.spend(PARAMETER_SET)
        size = len(unit)
        if size > MAX_PARAMETER_SETS:
            raise MediaLimitError(f"an H.264 parameter set has more than {MAX_PARAMETER_SETS} bytes")
        replaced = b""
        if kind == _Nal.SPS:
            work.spend(SPS_BYTE * size)
            sps = _read_sps(unit)
            if sps.number in self._sps:
                replaced = self._sps[sps.number][0].unit
            self._sps[sps.number] = replace(sps, reader=_USED_UP), _bounded(sps)
        else:
            reader = _bits(unit[:_HEAD])
            reader(8)
            number = reader.ue(255)
            if number in self._pps:
                replaced = self._pps[number][1]
            self._pps[number] = (reader.ue(31), unit)
        self._known.discard(replaced)
        self._known.add(unit)
        self._known_size += size - len(replaced)
        if self._known_size > MAX_PARAMETER_SETS:
            raise MediaLimitError(f"the H.264 parameter sets have more than {MAX_PARAMETER_SETS} bytes")
        self._tracks.clear()

    def _active_track(self, picture: bytes, work: Work) -> Track | None:
        """The track to which a slice belongs by its PPS (7.3.3); None while its parameter sets are unknown."""
        reader = _bits(picture[:_HEAD])
        reader(8)
        reader.ue()  # first_mb_in_slice
        reader.ue()  # slice_type
        pps = self._pps.get(reader.ue(255))
        found = self._sps.get(pps[0]) if pps else None
        if found is None:
            return None
        sps, bounded = found
        if sps.number not in self._tracks:
            work.spend(PARAMETER_SET + len(self._pps))
            units = [unit for _, (owner, unit) in sorted(self._pps.items()) if owner == sps.number]
            config = _avcc(sps, [bounded], units)
            track = Track(Codec.H264, codec_string(config), config, sps.width, sps.height, color=sps.color)
            self._tracks[sps.number] = Geometry(pixel_aspect=sps.pixel_aspect).applied(track)
        return self._tracks[sps.number]


def _begins_with_start_code(data: bytes) -> bool:
    return data.startswith((START_CODE, b"\0" + START_CODE))
