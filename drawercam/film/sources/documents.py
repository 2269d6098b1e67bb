"""WebM or MP4 in which a second document begins, because its recorder was restarted.

FFmpeg's demuxers would go on with the tracks of the first one.
"""

from __future__ import annotations

import re

from .opening import Readable

# Bytes of a header, up to its first media, for which the rest of an answer is kept waiting. Real
# ones have some hundred.
_MAX_HEADER = 2**16

# The longest beginning that `may_begin` finds.
_LONGEST = 90

# For each container: how a document begins, how its end may look like such a beginning, and with
# what its media begins. An EBML header with its DocType (RFC 8794 11.2), a Cluster; an ftyp with
# its brand (ISO/IEC 14496-12 4.3), a moof.
_WEBM = (
    re.compile(rb"\x1a\x45\xdf\xa3.{1,64}?\x42\x82[\x80-\x9f](?:webm|matroska)", re.DOTALL),
    re.compile(rb"\x1a(?:\x45(?:\xdf(?:\xa3.{0,79})?)?)?\Z", re.DOTALL),
    b"\x1f\x43\xb6\x75",
)
_MP4 = (
    re.compile(rb"\0\0\0[\x10-\x80]ftyp[ -~]{4}"),
    re.compile(rb"\0(?:\0(?:\0(?:[\x10-\x80](?:f(?:t(?:y(?:p[ -~]{0,3})?)?)?)?)?)?)?\Z"),
    b"moof",
)


class Documents:
    """The same bytes, with an end before each document whose header is another than that of the one
    before.
    """

    def __init__(self, body: Readable) -> None:
        self._body = body
        self._left = b""  # is given on
        self._held = b""  # is not looked at yet, or may be where a document begins
        self._header: bytes | None = None  # of the present document; None before it is known
        self._form: tuple[re.Pattern[bytes], re.Pattern[bytes], bytes] | None = None
        self._ended = self._begins = False

    def next(self) -> bool:
        """Go on with the next document, if its beginning has ended the one before."""
        ended, self._ended = self._ended, False
        if ended:
            self._header, self._begins = None, True
        return ended

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end of a document.

        Raises:
            Silent: As what is read here.
        """
        while not self._left and not self._ended:
            if not self._begins:
                piece = self._body.read(size)
                if not piece:
                    self._left, self._held = self._held, b""
                    break
                self._held += piece
            self._begins = False
            self._look()
        given, self._left = self._left[:size], self._left[size:]
        return given

    def _look(self) -> None:
        """Find out how much of what has come belongs to the present document."""
        data, place = self._held, 0
        if self._header is None:
            self._form, place = (
                next((form for form in (_WEBM, _MP4) if form[0].match(data)), None),
                1,
            )
            end = data.find(self._form[2]) if self._form is not None else 0
            if end < 0 and len(data) < _MAX_HEADER:
                return  # a demuxer can do nothing with less
            self._header = data[: max(end, 0)]
        if self._form is None:
            self._left, self._held = data, b""
            return
        begins, may_begin, media = self._form
        while (found := begins.search(data, place)) is not None:
            start, place = found.span()
            end = data.find(media, place)
            if end < 0 and len(data) - start < _MAX_HEADER:
                self._left, self._held = data[:start], data[start:]
                return
            if data[start:end] != self._header:
                self._left, self._held, self._ended = data[:start], data[start:], True
                return
        tail = may_begin.search(data, max(place, len(data) - _LONGEST))
        cut = tail.start() if tail is not None else len(data)
        self._left, self._held = data[:cut], data[cut:]
