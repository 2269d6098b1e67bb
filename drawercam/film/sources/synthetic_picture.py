"""The test picture: a coloured room with a ball in it, a clock for people and one for programs, and
a beep each second.

The room is painted in degrees: who turns or zooms sees another part of it. The clocks lie on top of
it and do not move.

The painted clock (the one of bench/pages/clock.js): two rows of 16 black or white cells over the
full width, each 1/12 of the height; bits from left to right, highest first: 24 bits of time in
tenths of a millisecond since 1970, then 8 check bits. In the bottom right corner is the flash, a
fifth of width and height: white in the first 100 ms of each second, as the beep.
"""

from __future__ import annotations

import math
import time
from array import array

from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from drawercam.film.encode.encoders import SOUND_PACKET, SOUND_RATE
from drawercam.media.color import ColorSpace

# What is seen from side to side without zoom, degrees: a phone's lens.
_FIELD = 60.0

# A side of one coloured field of the room, degrees.
_CELL = 15.0

# Limited range (ITU-R BT.601): black, white, and neutral chroma. The primaries are those of a
# computer's screen.
_COLOR = ColorSpace("bt709", "bt709", "smpte170m", False)
_BLACK, _WHITE, _GREY = 16, 235, 128

# Of the painted clock; see above.
_COLUMNS, _TIME_BITS, _CHECK_BITS = 16, 24, 8
_ROWS_PER_HEIGHT = 12
_FLASH_SIDE = 5

# Seconds for which flash and beep last, Hz of the beep, and its loudness of 32767.
_FLASH = 0.1
_BEEP = 1000
_LOUDNESS = 6000

# 5x7 dots, a row in five bits.
_FONT = {
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14),
    "4": (2, 6, 10, 18, 31, 2, 2),
    "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14),
    "7": (31, 1, 2, 4, 8, 8, 8),
    "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12),
    ":": (0, 4, 4, 0, 4, 4, 0),
    ".": (0, 0, 0, 0, 0, 12, 12),
    "+": (0, 4, 4, 31, 4, 4, 0),
    "-": (0, 0, 0, 31, 0, 0, 0),
    "x": (0, 0, 17, 10, 4, 10, 17),
    " ": (0, 0, 0, 0, 0, 0, 0),
}
_DOTS_WIDE, _DOTS_HIGH = 6, 7


def check(value: int) -> int:
    """CRC-8 (polynomial x^8 + x^2 + x + 1, begun with 255) of 24 bits: the check bits of the
    painted clock.
    """
    crc = 255
    for byte in value.to_bytes(3, "big"):
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 7 if crc & 128 else crc << 1) & 255
    return crc


class _Plane:
    """One of the three planes of a picture, as rows of bytes."""

    def __init__(self, width: int, height: int, shift: int) -> None:
        self.width, self.height = width >> shift, height >> shift
        self.shift = shift
        self.data = bytearray()

    def box(self, left: int, top: int, right: int, bottom: int, value: int) -> None:
        """Fill a rectangle, in pixels of the picture."""
        shift, width = self.shift, self.width
        left, right = max(0, left >> shift), min(width, right >> shift)
        if left >= right:
            return
        row = bytes((value,)) * (right - left)
        for y in range(max(0, top >> shift), min(self.height, bottom >> shift)):
            self.data[y * width + left : y * width + right] = row


class Pattern:
    """Makes the pictures of one size."""

    def __init__(self, width: int, height: int) -> None:
        """
        Args:
            width, height: Pixels; even, 64 at least.
        """
        if width % 2 or height % 2 or min(width, height) < 64:
            raise ValueError(
                f"the test picture cannot have {width}x{height} pixels: both have to be "
                "even, and 64 at least"
            )
        self._width, self._height = width, height

    def picture(
        self, moment: float, view: tuple[float, float, float] = (0.0, 0.0, 1.0)
    ) -> VideoFrame:
        """
        Args:
            moment: Seconds since 1970: what the clocks show and where the ball is.
            view: Where the camera looks: pan (to the right) and tilt (up) in degrees, and zoom as a
                factor.

        Returns:
            A frame in yuv420p.
        """
        width, height = self._width, self._height
        pan, tilt, zoom = view
        dots = width * zoom / _FIELD  # per degree
        planes = [_Plane(width, height, shift) for shift in (0, 1, 1)]
        self._room(planes, pan, tilt, dots)
        self._ball(planes, moment, pan, tilt, dots)
        self._digits(planes, moment, view)
        self._cells(planes, moment)
        flash = _WHITE if moment % 1 < _FLASH else _BLACK
        left, top = width - width // _FLASH_SIDE, height - height // _FLASH_SIDE
        for plane, value in zip(planes, (flash, _GREY, _GREY), strict=True):
            plane.box(left, top, width, height, value)
        frame = VideoFrame(width, height, "yuv420p")
        frame.color_primaries, frame.color_trc, frame.colorspace = _COLOR.codes()
        frame.color_range = ColorRange.MPEG
        for target, source in zip(frame.planes, planes, strict=True):
            target.update(_padded(source, target.line_size, target.buffer_size))
        return frame

    def _room(self, planes: list[_Plane], pan: float, tilt: float, dots: float) -> None:
        """Fields of many colours: one row of bytes for each row of fields, repeated."""
        columns = _edges(self._width, pan, dots)
        rows = _edges(self._height, -tilt, dots)
        for number, plane in enumerate(planes):
            parts = []
            for row, top, bottom in rows:
                line = bytearray()
                for column, _left, right in columns:
                    value = _colour(number, column, -row)
                    line += bytes((value,)) * ((right >> plane.shift) - len(line))
                parts.append(bytes(line) * ((bottom >> plane.shift) - (top >> plane.shift)))
            plane.data += b"".join(parts)

    def _ball(
        self, planes: list[_Plane], moment: float, pan: float, tilt: float, dots: float
    ) -> None:
        x = self._width / 2 + (22 * math.sin(moment) - pan) * dots
        y = self._height / 2 - (7 * math.cos(1.7 * moment) - 3 - tilt) * dots
        radius = 3 * dots
        for plane, value in zip(planes, (200, 60, 210), strict=True):
            step = 1 << plane.shift
            for top in range(
                max(0, int(y - radius)) & ~1, min(self._height, int(y + radius)), step
            ):
                half = math.sqrt(max(0.0, radius**2 - (top - y) ** 2))
                plane.box(int(x - half), top, int(x + half), top + step, value)

    def _digits(
        self, planes: list[_Plane], moment: float, view: tuple[float, float, float]
    ) -> None:
        milliseconds = math.floor(moment * 1000)
        clock = (
            time.strftime("%H:%M:%S", time.localtime(milliseconds // 1000))
            + f".{milliseconds % 1000:03d}"
        )
        size = max(1, self._width // 128)
        self._text(planes, clock, self._height * 3 // 10, size)
        pan, tilt, zoom = view
        self._text(
            planes, f"{pan:+.0f} {tilt:+.0f} x{zoom:.1f}", self._height * 9 // 10, max(1, size // 2)
        )

    def _text(self, planes: list[_Plane], text: str, top: int, size: int) -> None:
        """White on black, centred at this height."""
        wide, high = (len(text) * _DOTS_WIDE + 1) * size & ~1, (_DOTS_HIGH + 2) * size & ~1
        left = (self._width - wide) // 2 & ~1
        top &= ~1
        for plane, value in zip(planes, (_BLACK, _GREY, _GREY), strict=True):
            plane.box(left, top, left + wide, top + high, value)
        luma = planes[0]
        white, black = bytes((_WHITE,)) * size, bytes((_BLACK,)) * size
        for dot_row in range(_DOTS_HIGH):
            bits = "".join(f"0{_FONT[letter][dot_row]:05b}" for letter in text)
            line = b"".join(white if bit == "1" else black for bit in bits)[: self._width - left]
            for y in range(
                top + (dot_row + 1) * size, min(self._height, top + (dot_row + 2) * size)
            ):
                luma.data[y * self._width + left : y * self._width + left + len(line)] = line

    def _cells(self, planes: list[_Plane], moment: float) -> None:
        time_ = int(moment * 10_000) % 2**_TIME_BITS
        bits = f"{time_:0{_TIME_BITS}b}{check(time_):0{_CHECK_BITS}b}"
        edges = [round(column * self._width / _COLUMNS) for column in range(_COLUMNS + 1)]
        rows = [bits[:_COLUMNS], bits[_COLUMNS:]]
        for plane in planes:
            data = bytearray()
            for number, row in enumerate(rows):
                top, bottom = (
                    round(edge * self._height / _ROWS_PER_HEIGHT) >> plane.shift
                    for edge in (number, number + 1)
                )
                line = bytearray()
                for bit, right in zip(row, edges[1:], strict=True):
                    value = _GREY if plane.shift else _WHITE if bit == "1" else _BLACK
                    line += bytes((value,)) * ((right >> plane.shift) - len(line))
                data += line * (bottom - top)
            plane.data[: len(data)] = data


def _edges(length: int, centre: float, dots: float) -> list[tuple[int, int, int]]:
    """The fields that are seen in one direction: number, and from which pixel to which."""
    first = math.floor((centre - length / 2 / dots) / _CELL)
    found = []
    begin, number = 0, first
    while begin < length:
        end = min(length, max(begin, round(length / 2 + ((number + 1) * _CELL - centre) * dots)))
        if end > begin:
            found.append((number, begin, end))
        begin, number = end, number + 1
    return found


def _colour(plane: int, column: int, row: int) -> int:
    """Of a field: neighbours differ in brightness, and no two in sight are the same."""
    if plane == 0:
        return 70 + (column * 2 + row * 3) % 5 * 26
    return 128 + ((column * 5 + row * (3 if plane == 1 else 4)) % 7 - 3) * 18


def _padded(plane: _Plane, line_size: int, size: int) -> bytes:
    """As FFmpeg wants it: rows may be longer than the picture is wide."""
    data, width = plane.data, plane.width
    if line_size != width:
        padding = bytes(line_size - width)
        data = bytearray(
            b"".join(
                bytes(data[y * width : (y + 1) * width]) + padding for y in range(plane.height)
            )
        )
    return bytes(data).ljust(size, b"\0")


def _second() -> bytes:
    """A second of sound: 16 bits, one channel, a beep that begins with it and nothing after
    that.
    """
    samples = array("h", bytes(2 * SOUND_RATE))
    for index in range(int(SOUND_RATE * _FLASH)):
        samples[index] = round(_LOUDNESS * math.sin(2 * math.pi * _BEEP * index / SOUND_RATE))
    return samples.tobytes()


_SECOND = _second()

PACKETS_PER_SECOND = SOUND_RATE // SOUND_PACKET
"""Pieces of `sound` in a second."""


def sound(number: int) -> AudioFrame:
    """The piece of 20 ms of sound that begins ``number / PACKETS_PER_SECOND`` seconds after the
    beginning of 1970.
    """
    begin = number % PACKETS_PER_SECOND * SOUND_PACKET * 2
    frame = AudioFrame(format="s16", layout="mono", samples=SOUND_PACKET)
    frame.sample_rate = SOUND_RATE
    frame.planes[0].update(
        _SECOND[begin : begin + SOUND_PACKET * 2].ljust(frame.planes[0].buffer_size, b"\0")
    )
    return frame
