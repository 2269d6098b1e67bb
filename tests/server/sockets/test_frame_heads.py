"""Frames are counted as the WebSocket library finds them, however they come."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from drawercam.server.sockets.frame_heads import Heads

# Sizes on both sides of where the head gets longer.
SIZES = st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 65535, 65536]))


def frames(sizes: list[int], opcode: Opcode = Opcode.BINARY) -> bytes:
    return b"".join(
        Frame(opcode, bytes(size)).serialize(mask=True, extensions=[]) for size in sizes
    )


@given(st.lists(SIZES, max_size=8), st.lists(st.integers(0, 2000), max_size=6), st.integers(1, 4))
def test_however_it_is_cut_each_frame_is_counted_once(
    sizes: list[int], cuts: list[int], most: int
) -> None:
    data, heads, counted = frames(sizes), Heads(), 0
    protocol = Protocol(Side.SERVER, max_size=None)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for begin, end in itertools.pairwise(places):
        piece, at = data[begin:end], 0
        while at < len(piece):
            before, (at, found) = at, heads.pass_over(piece, at, most)
            assert found <= most and at > before
            counted += found
            protocol.receive_data(piece[before:at])
            assert len(protocol.events_received()) <= most + 1, (
                "these, and one whose head had come before"
            )
    assert counted == len(sizes)


def test_a_flood_is_passed_piece_by_piece() -> None:
    data, heads = frames([0] * 100, Opcode.PING), Heads()
    assert heads.pass_over(data, 0, 30) == (180, 30)
    assert heads.pass_over(data, 180, 1000) == (600, 70)
    assert heads.pass_over(data[:7], 0, 1000) == (7, 1), "of the second head, a byte"
    assert heads.pass_over(data[7:12], 0, 1000) == (5, 1)


def test_what_lies_within_a_frame_is_no_head() -> None:
    data, heads = frames([10_000]), Heads()
    assert heads.pass_over(data, 0, 1) == (len(data), 1)
    assert heads.pass_over(data[:5000], 0, 1) == (5000, 1)
    assert heads.pass_over(data[5000:], 0, 1) == (len(data) - 5000, 0)
