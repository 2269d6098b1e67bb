"""JPEG pictures out of a byte stream, whatever stands between them.

Cameras that send JPEGs behind one another (``multipart/x-mixed-replace``) often get the parts
wrong: the boundary comes behind the picture, is quoted, or has two dashes too many or too few; a
Content-Length is too large; headers are missing. What a picture is, it says itself. So nothing but
the pictures is read here, and each is whole as soon as its last byte has come, not when the next
part begins.
"""

from __future__ import annotations

import re
from enum import IntEnum

# Bytes of one picture at most: a photograph of 50 megapixels has about 20 MiB.
MAX_PICTURE = 32 * 2**20

# ISO/IEC 10918-1 B.1.1.3: a picture begins with SOI, and another marker follows.
_BEGIN = b"\xff\xd8\xff"


class _Marker(IntEnum):
    """ISO/IEC 10918-1 table B.1."""

    TEM = 0x01
    RST0 = 0xD0
    RST7 = 0xD7
    SOI = 0xD8
    EOI = 0xD9
    SOS = 0xDA


_END = bytes((0xFF, _Marker.EOI))

# B.1.1.5: in coded data FF is followed by 00, by a restart marker, or by the marker that ends it,
# before which FF may stand as a filler.
_AFTER_CODED_DATA = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

# A marker stands where a segment has ended.
_FILLED_MARKER = re.compile(rb"\xff+([^\xff])")

# Segments in which another picture may lie, as a thumbnail.
_APPLICATION = range(0xE0, 0xF0)

_ALONE = frozenset((_Marker.TEM, *range(_Marker.RST0, _Marker.RST7 + 1)))


class JpegSplitter:
    """Cuts a byte stream into JPEGs.

    Attributes:
        begun: The beginning of a picture is there, and its end is not.
    """

    def __init__(self) -> None:
        self.begun = False
        self._buffer = bytearray()
        self._at = 0  # up to here the picture has been looked at
        self._segment = 0  # where the last segment of its header begins
        self._in_data = False  # and what stands there is coded data

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes; returns the pictures that they have completed.

        Raises:
            ValueError: A picture has more than MAX_PICTURE bytes.
        """
        self._buffer += data
        found = []
        while (picture := self._next()) is not None:
            found.append(picture)
        if len(self._buffer) > MAX_PICTURE:
            raise ValueError(f"a picture has more than {MAX_PICTURE} bytes")
        return found

    def rest(self) -> bytes | None:
        """Return the picture whose end is missing when the stream has ended, as far as it has come;
        None without coded data.
        """
        return bytes(self._buffer) + _END if self.begun and self._in_data else None

    def _next(self) -> bytes | None:
        """The next picture, if it is whole. What cannot be one is passed over."""
        while self.begun or self._find_begin():
            end = self._find_end()
            if end is None:
                return None
            if end:
                picture = bytes(self._buffer[:end])
                self._drop(end)
                return picture if picture.endswith(_END) else picture + _END
            # Something that only began like a picture, or broke off: the next one may lie in its
            # last segment.
            self._drop(max(len(_BEGIN) - 1, self._segment))
        return None

    def _find_begin(self) -> bool:
        at = self._buffer.find(_BEGIN)
        if at < 0:
            del self._buffer[: max(0, len(self._buffer) - len(_BEGIN) + 1)]
            return False
        del self._buffer[:at]
        self.begun, self._at, self._segment, self._in_data = True, 2, 0, False
        return True

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self.begun = False

    def _find_end(self) -> int | None:
        """Where the picture ends: None if that has not come, 0 if it is none."""
        buffer = self._buffer
        while True:
            if self._in_data:
                found = _AFTER_CODED_DATA.search(buffer, self._at)
                if found is None:
                    self._at = max(
                        self._at, len(buffer) - 1
                    )  # the last byte may be the first of a marker
                    return None
                marker = buffer[found.end() - 1]
            else:
                found = _FILLED_MARKER.match(buffer, self._at)
                if found is None:
                    if buffer[self._at :].strip(b"\xff"):
                        return 0
                    self._at = max(
                        self._at, len(buffer) - 1
                    )  # of a filler, only the last byte matters
                    return None
                marker = found[1][0]
            if marker == _Marker.EOI:
                return found.end() if self._in_data else 0
            if marker == _Marker.SOI:
                # The next picture, though the end of this one has not come.
                return found.start() if self._in_data else 0
            if marker in _ALONE or (self._in_data and marker < 0xC0):
                self._at = found.end()
                continue
            if marker < 0xC0:
                return 0  # table B.1: none is there, nor will one be
            head = found.end()
            if len(buffer) < head + 2:
                return None
            length = int.from_bytes(buffer[head : head + 2], "big")
            if length < 2:
                if not self._in_data:
                    return 0
                self._at = head
                continue
            behind = head + length + 2  # as much there is always behind a segment
            if len(buffer) < behind:
                return None
            if marker not in _APPLICATION and buffer.find(_BEGIN, head, behind) >= 0:
                return 0  # it had broken off, and what follows is the next picture
            self._segment, self._at = found.start(), head + length
            self._in_data = marker == _Marker.SOS
