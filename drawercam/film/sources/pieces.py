"""Pictures put together from the pieces in which RTP brings them (RFC 6184 section 5, RFC 7798
section 4).

FFmpeg's reader of RTSP knows that a picture is whole when the next one begins: with one picture in
8 s the first is seen after 8 s, and each is 8 s late. So it is told to pass on what each packet
holds (``fflags=noparse``), and its parser is asked here, where the silence behind a picture counts,
too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
from av.codec.context import CodecContext
from av.packet import Packet as AvPacket
from av.video.codeccontext import VideoCodecContext

SILENCE = 0.2
"""Seconds without another piece after which a picture counts as whole: the pieces of one leave a
camera at once, and a packet that a network has lost comes again a little later.
"""

# Codecs of which RTP brings whole pictures (RFC 2435), but whose parser would wait for the next
# one.
_WHOLE = {"mjpeg"}

Whole = tuple["AvPacket[Any]", int]
"""A picture, and when its last piece arrived (µs)."""


def comes_in_pieces(context: VideoCodecContext) -> bool:
    """Whether the pictures of a stream of RTP with this decoder have to be put together."""
    return context.codec.canonical_name not in _WHOLE


class Pieces:
    """The pieces of one stream."""

    def __init__(self, context: VideoCodecContext) -> None:
        """
        Args:
            context: The stream's decoder, which is not used.
        """
        self._parser: CodecContext = av.CodecContext.create(context.codec.name, "r")
        self._parser.extradata = context.extradata
        self._first: AvPacket[Any] | None = None  # piece of the picture that is not whole yet
        self._size = 0  # bytes of that picture
        self._began = self._arrived = 0  # when the first and the last piece came (µs)
        # From the beginning of one picture to that of the next (µs).
        self._interval: int | None = None
        self._early: AvPacket[Any] | None = None  # what counted as whole because of the silence

    def feed(self, piece: AvPacket[Any], arrived: int) -> Iterator[Whole]:
        """Take the next piece; gives the pictures that are whole now.

        Args:
            piece: With its time stamp, which all pieces of a picture share.
            arrived: µs.
        """
        early, self._early = self._early, None
        if early is not None and early.pts == piece.pts:
            # It was not whole, because the network stood still: it is given again, with what was
            # missing.
            self._add(early)
            self._first = early
        else:
            early = None
        wholes = self._add(piece)
        for whole in wholes:
            if early is None or bytes(whole) != bytes(early):
                yield (
                    self._dated(whole, self._first or piece),
                    self._arrived if self._first is not None else arrived,
                )
            self._first = None
        if self._size and self._first is None:
            self._first = piece
            self._interval = arrived - self._began if self._began else None
            self._began = arrived
        self._arrived = arrived

    def rest(self, moment: int | None = None) -> Iterator[Whole]:
        """Give what has come as a whole picture if nothing follows.

        Args:
            moment: The present time (µs): not before there is silence, and not where the next
                picture is due so soon that it shows what is whole. None at the end.
        """
        if self._first is None:
            return
        if moment is not None:
            is_fast = self._interval is not None and self._interval < SILENCE * 1e6
            if is_fast or moment - self._arrived < SILENCE * 1e6:
                return
        first, self._first, self._size = self._first, None, 0
        for whole in self._parser.parse(None):
            self._early = self._dated(whole, first)
            yield self._early, self._arrived

    def _add(self, piece: AvPacket[Any]) -> list[AvPacket[Any]]:
        wholes: list[AvPacket[Any]] = self._parser.parse(bytes(piece))
        self._size += piece.size - sum(whole.size for whole in wholes)
        return wholes

    @staticmethod
    def _dated(whole: AvPacket[Any], piece: AvPacket[Any]) -> AvPacket[Any]:
        """The picture with what its first piece says of it."""
        if piece.stream is not None:
            whole.stream = piece.stream
        whole.time_base = piece.time_base
        whole.pts = piece.pts
        whole.is_corrupt = piece.is_corrupt
        return whole
