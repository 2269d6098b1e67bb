"""Pictures from pieces: whole ones as they were, with their own times, also the last one, and one
behind which the network stood still.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, cast

import av
import pytest
from av.packet import Packet as AvPacket
from av.video.codeccontext import VideoCodecContext

from drawercam.film.sources.pieces import SILENCE, Pieces, Whole, comes_in_pieces
from drawercam.media.codecs.h264 import START_CODE, split_annexb
from tests.harness.makers import access_units, hevc_units

SECOND = 1_000_000
QUIET = round(SILENCE * SECOND)

CODECS = pytest.mark.parametrize(("codec", "made"), [("h264", access_units), ("hevc", hevc_units)])


def pieces_of(picture: bytes, size: int, pts: int) -> list[AvPacket[Any]]:
    """As FFmpeg's reader gives the packets that hold so many bytes: a start code where a unit
    begins.
    """
    found = []
    for unit in split_annexb(picture):
        whole = b"\0" + START_CODE + unit
        for at in range(0, len(whole), size):
            piece: AvPacket[Any] = AvPacket(whole[at : at + size])
            piece.pts, piece.time_base = pts, Fraction(1, 90_000)
            found.append(piece)
    return found


def decoder(codec: str) -> VideoCodecContext:
    return cast(VideoCodecContext, av.CodecContext.create(codec, "r"))


def told(wholes: list[Whole]) -> list[tuple[list[bytes], int | None, int]]:
    """Of each picture its units, its time stamp and its arrival."""
    return [(split_annexb(bytes(whole)), whole.pts, arrived) for whole, arrived in wholes]


@CODECS
@pytest.mark.parametrize("size", [50, 333, 1400])
def test_pictures_come_out_whole_with_their_own_times(
    codec: str, made: Callable[[int], list[bytes]], size: int
) -> None:
    pictures = made(6)
    pieces = Pieces(decoder(codec))
    wholes: list[Whole] = []
    for number, picture in enumerate(pictures):
        for piece in pieces_of(picture, size, 3000 * number):
            wholes += pieces.feed(piece, SECOND * number)
        assert len(wholes) == number  # nothing says yet that this one is whole
    wholes += pieces.rest()
    assert told(wholes) == [
        (split_annexb(picture), 3000 * number, SECOND * number)
        for number, picture in enumerate(pictures)
    ]
    assert [whole.is_keyframe for whole, _ in wholes] == [True, *[False] * 5]
    assert not list(pieces.rest())


@CODECS
def test_a_picture_behind_which_there_is_silence_is_whole(
    codec: str, made: Callable[[int], list[bytes]]
) -> None:
    pieces = Pieces(decoder(codec))
    for number, picture in enumerate(made(3)):
        moment = 8 * SECOND * number
        for piece in pieces_of(picture, 1400, 720_000 * number):
            assert not list(pieces.feed(piece, moment))
        assert not list(pieces.rest(moment + QUIET - 1))
        assert told(list(pieces.rest(moment + QUIET))) == [
            (split_annexb(picture), 720_000 * number, moment)
        ]
        assert not list(pieces.rest(moment + 2 * QUIET))


def test_where_the_next_picture_is_due_soon_it_is_waited_for() -> None:
    """A network that stands still for a moment makes no broken pictures."""
    pieces = Pieces(decoder("h264"))
    first, second, third = access_units(3)
    for number, picture in enumerate((first, second)):
        for piece in pieces_of(picture, 1400, 3000 * number):
            list(pieces.feed(piece, 33_333 * number))
    half, *more = pieces_of(third, 100, 6000)
    assert told(list(pieces.feed(half, 66_666)))[0][0] == split_annexb(second)
    assert not list(pieces.rest(SECOND))
    for piece in more:
        assert not list(pieces.feed(piece, SECOND))
    assert told(list(pieces.rest())) == [(split_annexb(third), 6000, SECOND)]


@CODECS
def test_a_picture_amid_which_the_network_stood_still_comes_whole_in_the_end(
    codec: str, made: Callable[[int], list[bytes]]
) -> None:
    first, second = made(2)
    pieces = Pieces(decoder(codec))
    cut = pieces_of(first, 500, 0)
    for piece in cut[:-1]:
        assert not list(pieces.feed(piece, 0))
    [(part, _)] = pieces.rest(SECOND)
    assert bytes(part) == b"".join(map(bytes, cut[:-1])) and part.pts == 0
    assert not list(pieces.feed(cut[-1], 2 * SECOND))
    assert told(list(pieces.rest(3 * SECOND))) == [(split_annexb(first), 0, 2 * SECOND)]
    wholes = [
        whole for piece in pieces_of(second, 500, 3000) for whole in pieces.feed(piece, 4 * SECOND)
    ]
    assert told([*wholes, *pieces.rest(5 * SECOND)]) == [(split_annexb(second), 3000, 4 * SECOND)]


def test_the_next_picture_with_the_same_time_repeats_nothing() -> None:
    """FFmpeg counts from the first time stamp that is not 0, so the second picture may have the
    first one's.
    """
    pieces = Pieces(decoder("h264"))
    wholes: list[Whole] = []
    pictures = access_units(2)
    for number, picture in enumerate(pictures):
        for piece in pieces_of(picture, 1400, 0):
            wholes += pieces.feed(piece, SECOND * number)
        wholes += pieces.rest(SECOND * number + QUIET)
    assert [units for units, _, _ in told(wholes)] == list(map(split_annexb, pictures))


def test_a_codec_whose_packets_are_pictures_is_not_waited_for() -> None:
    encoder: VideoCodecContext = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = (
        64,
        64,
        "yuv420p",
        Fraction(1, 30),
    )
    encoder.options = {"lag-in-frames": "0", "deadline": "realtime"}
    pieces = Pieces(decoder("vp8"))
    for number in range(3):
        picture = av.VideoFrame(64, 64, "yuv420p")
        picture.pts, picture.time_base = number, Fraction(1, 30)
        [packet] = encoder.encode(picture)
        [(whole, arrived)] = pieces.feed(packet, SECOND * number)
        assert (bytes(whole), whole.pts, whole.is_keyframe, arrived) == (
            bytes(packet),
            number,
            number == 0,
            SECOND * number,
        )
        assert not list(pieces.rest(SECOND * (number + 1)))
    assert not comes_in_pieces(decoder("mjpeg")) and comes_in_pieces(decoder("vp8"))
