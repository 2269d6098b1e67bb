"""EBML: variable-size integers and elements, both ways."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.media.containers import ebml
from drawercam.media.packets import MediaError


@given(st.integers(0, 2**56 - 2))
def test_a_size_is_read_as_it_was_written(size: int) -> None:
    written = ebml.size_vint(size)
    assert ebml.read_size(written, 0) == (size, len(written))


@given(st.integers(0, 126), st.integers(1, 8))
def test_a_size_may_take_more_bytes_than_it_needs(size: int, length: int) -> None:
    written = ebml.size_vint(size, length)
    assert len(written) == length
    assert ebml.read_size(written, 0) == (size, length)


@pytest.mark.parametrize("length", range(1, 9))
def test_all_ones_are_the_unknown_size_in_every_length(length: int) -> None:
    written = ((1 << (7 * length + 1)) - 1).to_bytes(length, "big")
    assert ebml.read_size(written, 0) == (None, length)


@given(st.integers(0, 2**56 - 2), st.integers(0, 7))
def test_a_cut_off_size_is_not_there_yet(size: int, keep: int) -> None:
    written = ebml.size_vint(size)
    if keep < len(written):
        assert ebml.read_size(written[:keep], 0) is None


@pytest.mark.parametrize("identifier", [0xA3, 0x4286, 0x2AD7B1, 0x1A45DFA3])
def test_ids_of_every_length(identifier: int) -> None:
    written = ebml.element(identifier, b"abc")
    assert ebml.read_id(written, 0) == (identifier, len(written) - 4)
    assert list(ebml.children(written)) == [(identifier, b"abc")]


@pytest.mark.parametrize("first", [0x00, 0x01, 0x0F])
def test_a_byte_that_begins_no_id(first: int) -> None:
    with pytest.raises(MediaError, match="does not begin"):
        ebml.read_id(bytes([first, 0, 0, 0]), 0)


def test_a_size_of_nine_bytes_is_refused() -> None:
    with pytest.raises(MediaError):
        ebml.read_size(b"\0" * 9, 0)


@pytest.mark.parametrize("broken", [b"\xa3", b"\xa3\x82\x00", b"\xa3\xff\x00", b"\xa3\x80\x1a"])
def test_children_must_fit_their_parent(broken: bytes) -> None:
    with pytest.raises(MediaError, match="does not fit"):
        list(ebml.children(broken))


def test_numbers_and_text() -> None:
    assert ebml.read_uint(b"") == 0
    assert ebml.read_uint(ebml.uint(123456789)) == 123456789
    assert ebml.read_float(b"") == 0.0
    assert ebml.read_float(struct.pack(">f", 48000)) == 48000
    assert ebml.read_float(struct.pack(">d", 44100)) == 44100
    assert ebml.read_text(b"webm\0\0padding") == "webm"
    with pytest.raises(MediaError):
        ebml.read_uint(b"\0" * 9)
    with pytest.raises(MediaError):
        ebml.read_float(b"\0" * 3)
