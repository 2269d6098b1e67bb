"""H.264 (ITU-T H.264, ISO/IEC 14496-10) and its configuration record (ISO/IEC 14496-15), as far as
a relay needs them.

Containers hold H.264 in two forms: NAL units behind start codes (Annex B) or behind their lengths,
with the parameter sets (SPS, PPS) in the stream or in a record of the container (``avcC``).
``AccessUnits`` turns all of them into one: 4-byte lengths, parameter sets in ``avcC``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from drawercam.media.geometry import Geometry, of_angles
from drawercam.media.packets import Codec, MediaError, MediaLimitError, Track
from drawercam.media.work import KEY, PARAMETER_SET, SPS_BYTE, Work

from .h264_sets import Nal, Sps, avcc, bounded, codec_string, nal_bits, parse_avcc, read_sps

# NAL units in one frame. A picture of level 6.2 with a slice for every row of macroblocks has about
# 500.
MAX_UNITS = 4096

# Bytes of all parameter sets of one track together. Real ones have less than 100, those with all
# scaling lists some hundred each.
MAX_PARAMETER_SETS = 2**14

START_CODE = b"\0\0\1"

# The first fields of a slice header, up to the id of its PPS, have at most 60 bits, those of a PPS
# less; the rest is room for emulation prevention.
_HEAD = 16


# What stays: neither parameter sets, which move into the avcC, nor what a decoder with one does not
# miss: delimiters only repeat where the container cuts, filler is filler, and the extension of an
# SPS (7.3.2.1.2) describes auxiliary pictures, which are not shown.
_SETS = frozenset((int(Nal.SPS), int(Nal.PPS)))
_DROPPED = frozenset((int(Nal.DELIMITER), int(Nal.FILLER), int(Nal.SPS_EXTENSION)))
_PICTURES = frozenset((int(Nal.SLICE), int(Nal.PARTITION_A), int(Nal.IDR)))
_IDR = int(Nal.IDR)

_FORBIDDEN_BIT = 0x80

# D.1.1: the payloadType of a display orientation; 7.3.2.3.1: type and size of a message, each with
# 255 for each byte that goes on.
_DISPLAY_ORIENTATION = 47
_SEI_HEAD = re.compile(rb"(\xff*)([^\xff])(\xff*)([^\xff])", re.DOTALL)

# Bytes of a unit of SEI that are looked at. Encoders write who they are into it, in some hundred.
_MAX_SEI = 4096

# Units of work for such a unit, beside the one for each of its messages.
_SEI_WORK = 8

_ZEROS = bytes(2**12)


# In place of a reader that is needed no more: the bits of an SPS are eight times as long as itself.
_USED_UP = nal_bits(b"")


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
    # 7.4.1: no NAL unit ends with a zero byte, so those belong to the next start code or to
    # trailing_zero_8bits.
    return [unit for unit in map(_without_zeros, units) if unit]


def _without_zeros(unit: bytes) -> bytes:
    """Without the zero bytes at its end, however many: to look at each of them would take longer
    than all the rest.
    """
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
    """How the picture of an access unit is turned, as its display orientation (D.1.27) says; turned
    in no way where nothing does.
    """
    for unit in units:
        if unit[0] & 0x1F != Nal.SEI:
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
                mirrored, upside_down, anticlockwise = (
                    bits >> 22 & 1,
                    bits >> 21 & 1,
                    bits >> 5 & 0xFFFF,
                )
                return of_angles(180 * mirrored, 180 * upside_down, anticlockwise * 360 / 2**16)
    return Geometry()


class AccessUnits:
    """One H.264 track on its way from its container's form into 4-byte lengths with ``avcC``.

    A track is as long as one SPS and the PPS that refer to it stay the same. A phone that is turned
    sends new ones in the stream.
    """

    def __init__(self, config: bytes, work: Work | None = None) -> None:
        """
        Args:
            config: The container's ``avcC``; or its parameter sets with start codes, as some
                recorders write them; or nothing, when they are in the stream.
            work: What it may cost; as much as a message if None.

        Raises:
            MediaError: The configuration is broken.
            MediaLimitError: More or longer parameter sets than the limits, or too much work.
        """
        self.track: Track | None = None
        self._sps: dict[int, tuple[Sps, bytes]] = {}  # with a bound on reordering
        self._pps: dict[int, tuple[int, bytes]] = {}  # id -> id of its SPS, NAL unit
        self._tracks: dict[int, Track] = {}  # by id of the SPS, as long as no parameter set changes
        self._known: set[bytes] = (
            set()
        )  # the parameter sets in force: most that come are repetitions
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

    def unpack(
        self, frame: bytes, work: Work | None = None
    ) -> tuple[Track | None, bytes, bool] | None:
        """Take one access unit, as the container has it.

        Args:
            frame: The access unit.
            work: What it may cost; as much as a message if None.

        Returns:
            The track, when this frame is its first; the frame as slices and SEI with 4-byte
            lengths; and whether it is an IDR picture. None when there is nothing to show: no
            picture in it, or the parameter sets that it needs have not come.

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
                # So that the pictures that refer to this one are not shown either.
                self._tracks.clear()
                return None
            turn = _orientation(kept, work)
            if turn.rotation or turn.flip:
                current = replace(current, rotation=turn.rotation, flip=turn.flip)
            if current != self.track:
                track = self.track = current
        as_it_was = (
            not self._start_codes
            and self._length_size == 4
            and len(frame) == sum(map(len, kept)) + 4 * len(kept)
        )
        return track, frame if as_it_was else join_lengths(kept), key

    def _split(self, frame: bytes, work: Work) -> list[bytes]:
        """Tell the two forms apart: 00 00 01 may begin a unit of 256 to 511 bytes as well as be a
        start code, so the last form counts.
        """
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
            raise MediaLimitError(
                f"an H.264 parameter set has more than {MAX_PARAMETER_SETS} bytes"
            )
        replaced = b""
        if kind == Nal.SPS:
            work.spend(SPS_BYTE * size)
            sps = read_sps(unit)
            if sps.number in self._sps:
                replaced = self._sps[sps.number][0].unit
            self._sps[sps.number] = replace(sps, reader=_USED_UP), bounded(sps)
        else:
            reader = nal_bits(unit[:_HEAD])
            reader(8)
            number = reader.ue(255)
            if number in self._pps:
                replaced = self._pps[number][1]
            self._pps[number] = (reader.ue(31), unit)
        self._known.discard(replaced)
        self._known.add(unit)
        self._known_size += size - len(replaced)
        if self._known_size > MAX_PARAMETER_SETS:
            raise MediaLimitError(
                f"the H.264 parameter sets have more than {MAX_PARAMETER_SETS} bytes"
            )
        self._tracks.clear()

    def _active_track(self, picture: bytes, work: Work) -> Track | None:
        """The track to which a slice belongs by its PPS (7.3.3); None while its parameter sets are
        unknown.
        """
        reader = nal_bits(picture[:_HEAD])
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
            config = avcc(sps, [bounded], units)
            track = Track(
                Codec.H264, codec_string(config), config, sps.width, sps.height, color=sps.color
            )
            self._tracks[sps.number] = Geometry(pixel_aspect=sps.pixel_aspect).applied(track)
        return self._tracks[sps.number]


def _begins_with_start_code(data: bytes) -> bool:
    return data.startswith((START_CODE, b"\0" + START_CODE))
