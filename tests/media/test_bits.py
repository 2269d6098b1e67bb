"""drawercam.media.bits: fields of any width, exp-Golomb numbers, ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.media.bits import Bits
from drawercam.media.packets import MediaError

# As (width, value).
FIELD = st.integers(0, 64).flatmap(
    lambda width: st.tuples(st.just(width), st.integers(0, 2**width - 1))
)


def packed(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[begin : begin + 8], 2) for begin in range(0, len(bits), 8))


def exp_golomb(value: int) -> str:
    """Table 9-2: as many zeros as there are bits behind the first 1 of the number plus 1."""
    code = bin(value + 1)[2:]
    return "0" * (len(code) - 1) + code


@given(st.lists(FIELD))
def test_fields_come_back_as_they_were_written(fields: list[tuple[int, int]]) -> None:
    written = "".join(f"{value:0{width}b}" for width, value in fields if width)
    bits = Bits(packed(written), "a header")
    assert [bits(width) for width, _ in fields] == [value for _, value in fields]
    assert bits.position == sum(width for width, _ in fields)


@given(st.lists(st.integers(0, 2**32 - 2)))
def test_unsigned_numbers(values: list[int]) -> None:
    bits = Bits(packed("".join(map(exp_golomb, values))), "a header")
    assert [bits.ue() for _ in values] == values


def test_signed_numbers_alternate() -> None:
    bits = Bits(packed("".join(map(exp_golomb, range(6)))), "a header")
    assert [bits.se() for _ in range(6)] == [0, 1, -1, 2, -2, 3]  # table 9-3


@given(st.binary(max_size=8), st.integers(1, 64))
def test_what_is_cut_off_is_said_and_nothing_is_used_up(header: bytes, beyond: int) -> None:
    bits = Bits(header, "an SPS")
    with pytest.raises(MediaError, match=r"^an SPS is cut off$"):
        bits(len(header) * 8 + beyond)
    assert bits.position == 0
    assert bits(len(header) * 8) == int.from_bytes(header, "big")
    with pytest.raises(MediaError):
        bits(1)


def test_a_number_ends_within_32_zeros_and_its_limit() -> None:
    with pytest.raises(MediaError, match="does not end"):
        Bits(bytes(4) + b"\x40", "an SPS").ue()  # 33 zeros
    with pytest.raises(MediaError, match="has 8 where 7 is the limit"):
        Bits(packed(exp_golomb(8)), "an SPS").ue(7)
    assert Bits(packed(exp_golomb(7)), "an SPS").ue(7) == 7


def test_a_reader_can_go_back() -> None:
    bits = Bits(b"\xa5", "a header")
    assert (bits(4), bits.until_here()) == (0xA, "1010")
    bits.back_to(2)
    assert bits(6) == 0x25
    bits.back_to(0)
    assert bits(8) == 0xA5


@given(st.integers(0, 700), st.integers(1, 64))
def test_a_long_header_is_read_from_anywhere(begin: int, count: int) -> None:
    header = bytes(index * 37 % 251 for index in range(800))
    written = "".join(f"{byte:08b}" for byte in header)
    bits = Bits(header, "a header")
    for _ in range(begin):
        bits(8)
    bits(3)
    before = bits.position
    assert bits(count) == int(written[before : before + count], 2)
    assert bits.until_here() == written[: before + count]
    bits.back_to(begin)
    assert bits(count) == int(written[begin : begin + count], 2)
