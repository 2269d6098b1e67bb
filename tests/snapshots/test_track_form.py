"""drawercam.snapshots.track_form: what one end writes, the other one reads."""

from __future__ import annotations

import struct

import pytest

from drawercam.snapshots.track_form import TrackForm


@pytest.mark.parametrize(
    "form",
    [TrackForm(b"vp8 "), TrackForm(b"h264", b"\x01config", 270, True, 16 / 15, 1, True)],
)
def test_a_form_comes_back_as_it_was_sent(form: TrackForm) -> None:
    assert TrackForm.of(memoryview(form.packed())) == form


def test_a_form_that_is_cut_off_is_an_error() -> None:
    with pytest.raises(struct.error):
        TrackForm.of(memoryview(TrackForm(b"vp8 ").packed()[:-1]))
