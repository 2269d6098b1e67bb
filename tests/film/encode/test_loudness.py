"""How loud a source's sound is, by a given clock."""

from __future__ import annotations

from array import array

import pytest
from av.audio.frame import AudioFrame

from drawercam.film.encode import encoders as encoding
from drawercam.film.encode.encoders import SoundEncoder
from drawercam.film.encode.loudness import Loudness

PIECE = 20_000  # µs
SECOND = 1_000_000


def piece(*values: float) -> memoryview[float]:
    return memoryview(array("f", values or (0.0,) * 960)).cast("B").cast("f")


def heard(loudness: Loudness, begin: int, end: int, samples: memoryview[float]) -> None:
    for moment in range(begin, end, PIECE):
        loudness.hear(samples, moment)


def test_silence_is_ten_seconds_of_zeros_and_nothing_else() -> None:
    loudness = Loudness()
    assert loudness.level(0) is None and not loudness.silent(0), (
        "nothing is known before the first piece"
    )
    heard(loudness, 0, 10 * SECOND, piece())
    assert loudness.level(10 * SECOND) == 0 and not loudness.silent(10 * SECOND - PIECE)
    loudness.hear(piece(), 10 * SECOND)
    assert loudness.silent(10 * SECOND)
    quiet = piece(*[0.0] * 959, 2**-24)  # the least that 24 bits can say, once
    loudness.hear(quiet, 10 * SECOND + PIECE)
    assert not loudness.silent(10 * SECOND + PIECE)
    for second in range(11, 40):  # a quiet room: something in each second
        heard(loudness, second * SECOND, (second + 1) * SECOND, piece())
        loudness.hear(quiet, (second + 1) * SECOND - PIECE)
        assert not loudness.silent((second + 1) * SECOND)


def test_zeros_before_a_break_do_not_count() -> None:
    loudness = Loudness()
    heard(loudness, 0, 9 * SECOND, piece())
    heard(loudness, 60 * SECOND, 69 * SECOND, piece())
    assert not loudness.silent(69 * SECOND)
    assert loudness.level(80 * SECOND) is None and not loudness.silent(80 * SECOND), (
        "a source that is closed is not silent"
    )


def test_the_loudest_moment_is_kept_for_a_while_and_then_forgotten() -> None:
    loudness = Loudness()
    heard(loudness, 0, SECOND, piece(0.5, -0.5))
    heard(loudness, SECOND, 2 * SECOND, piece(0.01, -0.01))
    assert loudness.level(2 * SECOND) == 0.5
    heard(loudness, 2 * SECOND, 4 * SECOND, piece(0.01, -0.01))
    assert loudness.level(4 * SECOND) == 0.01
    heard(loudness, 4 * SECOND, 7 * SECOND, piece(3.0, -3.0))
    assert loudness.level(7 * SECOND) == 1, "what is clipped is as loud as can be"


@pytest.mark.parametrize(("layout", "planes"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_an_encoder_hears_what_goes_in_whatever_its_form(
    monkeypatch: pytest.MonkeyPatch, layout: str, planes: int
) -> None:
    time = 0
    monkeypatch.setattr(encoding, "now", lambda: time)
    encoder = SoundEncoder()

    def sends(value: int, seconds: float) -> None:
        nonlocal time
        for _ in range(round(seconds * 50)):
            frame = AudioFrame(format="s16p", layout=layout, samples=882)
            frame.sample_rate = 44_100
            for plane in frame.planes:
                plane.update(
                    (array("h", [value, -value]) * 441).tobytes().ljust(plane.buffer_size, b"\0")
                )
            assert len(frame.planes) == planes
            time += PIECE
            encoder.encode(frame, time)

    sends(0, 12)
    assert encoder.loudness.silent(time)
    sends(1, 3)  # one of 32768 steps is the quietest room there is
    level = encoder.loudness.level(time)
    assert not encoder.loudness.silent(time) and level is not None and 0 < level < 1e-4
