"""The encoders: one frame for each picture, in order, and a keyframe when it is wanted."""

from __future__ import annotations

import av
import pytest
from av.audio.frame import AudioFrame

from drawercam.film.encoding import KEYFRAME_INTERVAL, PictureEncoder, Recipe, SoundEncoder, bitrate, recipes
from drawercam.film.pattern import sound
from drawercam.media import h264, opus
from drawercam.media.packets import Codec

from .makers import RATE, jpegs, painted, pictures

STEP = 1_000_000 // RATE


def test_there_is_an_encoder_that_every_player_decodes() -> None:
    assert [recipe.codec for recipe in recipes()] == [Codec.H264, Codec.VP8]


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.encoder)
def test_each_picture_comes_out_at_once_and_in_order(recipe: Recipe) -> None:
    encoder = PictureEncoder(recipe, RATE)
    decoder = av.CodecContext.create("h264" if recipe.codec is Codec.H264 else "vp8", "r")
    decoder.options = {"flags": "low_delay"}
    keys, times = [], []
    shown = pictures(40)
    for number, picture in enumerate(shown):
        frame = encoder.encode(picture, number * STEP, key=number in (2, 20))
        assert frame is not None and frame.captured == number * STEP and frame.form.keyframes
        if frame.key:
            keys.append(number)
        decoded = decoder.decode(av.Packet(frame.data))
        times += [painted(one) for one in decoded]
    assert keys == [0, 20]  # 2 is too early after 0; who still wants one asks again
    assert times == [painted(picture) for picture in shown]


def test_keyframes_come_by_the_clock_and_not_by_the_pictures() -> None:
    encoder = PictureEncoder(recipes()[0], RATE)
    frames = [encoder.encode(picture, number * 500_000) for number, picture in enumerate(pictures(9))]
    assert [frame.key for frame in frames if frame] == [number * 500_000 % KEYFRAME_INTERVAL == 0 for number in range(9)]


def test_decoded_jpegs_do_not_all_become_keyframes() -> None:
    decoder = av.CodecContext.create("mjpeg", "r")
    encoder = PictureEncoder(recipes()[0], RATE)
    decoded = [picture for jpeg in jpegs(5) for picture in decoder.decode(av.Packet(jpeg))]
    frames = [encoder.encode(picture, number * STEP) for number, picture in enumerate(decoded)]
    assert [frame.key for frame in frames if frame] == [True, False, False, False, False]


def test_at_another_rate_it_is_still_the_same_stream() -> None:
    """Who reads it as a file would have to begin afresh."""
    encoder = PictureEncoder(recipes()[0], RATE)
    sets = set()
    for number, (picture, share) in enumerate(zip(pictures(4), (1.0, 0.65, 0.3, 0.05), strict=True)):
        frame = encoder.encode(picture, number * STEP, share=share)
        assert frame is not None and frame.key
        sets.add(tuple(unit for unit in h264.split_annexb(frame.data) if unit[0] & 31 in (7, 8)))
    assert len(sets) == 1 and len(sets.pop()) == 2


def test_a_picture_of_the_same_time_is_left_out_and_another_rate_begins_afresh() -> None:
    encoder = PictureEncoder(recipes()[0], RATE)
    first, second, third = pictures(3)
    assert encoder.encode(first, STEP) is not None
    assert encoder.encode(second, STEP) is None
    full = encoder.bitrate
    frame = encoder.encode(third, 2 * STEP, share=0.5)
    assert frame is not None and frame.key
    assert encoder.bitrate == pytest.approx(full / 2, rel=0.01)
    assert bitrate(640, 480) == 1_200_000


def test_sound_comes_in_packets_of_20_ms_and_a_gap_stays_one() -> None:
    encoder = SoundEncoder()
    captured = [1000 + number * 20_000 + (500_000 if number >= 10 else 0) for number in range(20)]
    frames = [frame for number, moment in enumerate(captured) for frame in encoder.encode(sound(number), moment)]
    assert [opus.packet_duration(frame.data) for frame in frames] == [20_000] * len(frames)
    assert [frame.captured for frame in frames] == captured[: len(frames)]
    assert len(frames) >= 19
    assert opus.channels(frames[0].form.config) == 1


def test_sound_of_another_rate_stays_in_time() -> None:
    """44100 Hz have no whole number of samples at 48 kHz in a piece: what is rounded must not add up."""
    encoder = SoundEncoder()
    size, rate = 1024, 44_100
    frames = []
    for number in range(30 * rate // size):
        piece = AudioFrame(format="s16", layout="5.1", samples=size)
        piece.sample_rate = rate
        piece.planes[0].update(bytes(piece.planes[0].buffer_size))
        frames += encoder.encode(piece, number * size * 1_000_000 // rate)
    assert [frame.captured for frame in frames] == pytest.approx([number * 20_000 for number in range(len(frames))], abs=1000)
    assert opus.channels(frames[0].form.config) == 2
