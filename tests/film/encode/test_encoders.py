"""The encoders: one frame for each picture, in order, and a keyframe when it is wanted."""

from __future__ import annotations

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter

from drawercam.film.encode.encoders import (
    KEYFRAME_INTERVAL,
    PictureEncoder,
    Recipe,
    SoundEncoder,
    bitrate,
    color_of,
    recipes,
)
from drawercam.film.encode.frame import Frame
from drawercam.film.sources.synthetic_picture import sound
from drawercam.media.codecs import h264, opus
from drawercam.media.color import ColorSpace
from drawercam.media.packets import Codec
from tests.harness.makers import RATE, jpegs, painted, pictures

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
    frames = [
        encoder.encode(picture, number * 500_000) for number, picture in enumerate(pictures(9))
    ]
    assert [frame.key for frame in frames if frame] == [
        number * 500_000 % KEYFRAME_INTERVAL == 0 for number in range(9)
    ]


def test_decoded_jpegs_do_not_all_become_keyframes() -> None:
    decoder = av.CodecContext.create("mjpeg", "r")
    encoder = PictureEncoder(recipes()[0], RATE)
    decoded = [picture for jpeg in jpegs(5) for picture in decoder.decode(av.Packet(jpeg))]
    frames = [encoder.encode(picture, number * STEP) for number, picture in enumerate(decoded)]
    assert [frame.key for frame in frames if frame] == [True, False, False, False, False]


def test_at_another_rate_it_is_still_the_same_stream() -> None:
    """A program that reads it as a file would have to begin afresh."""
    encoder = PictureEncoder(recipes()[0], RATE)
    sets = set()
    for number, (picture, share) in enumerate(
        zip(pictures(4), (1.0, 0.65, 0.3, 0.05), strict=True)
    ):
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
    frames = [
        frame
        for number, moment in enumerate(captured)
        for frame in encoder.encode(sound(number), moment)
    ]
    assert [opus.packet_duration(frame.data) for frame in frames] == [20_000] * len(frames)
    assert [frame.captured for frame in frames] == captured[: len(frames)]
    assert len(frames) >= 19
    assert opus.channels(frames[0].form.config) == 1


def test_sound_of_another_rate_stays_in_time() -> None:
    """44100 Hz have no whole number of samples at 48 kHz in a piece: what is rounded must not add
    up.
    """
    encoder = SoundEncoder()
    size, rate = 1024, 44_100
    frames = []
    for number in range(30 * rate // size):
        piece = AudioFrame(format="s16", layout="5.1", samples=size)
        piece.sample_rate = rate
        piece.planes[0].update(bytes(piece.planes[0].buffer_size))
        frames += encoder.encode(piece, number * size * 1_000_000 // rate)
    assert [frame.captured for frame in frames] == pytest.approx(
        [number * 20_000 for number in range(len(frames))], abs=1000
    )
    assert opus.channels(frames[0].form.config) == 2


# Fields whose colours no mistake with matrices or ranges leaves as they are, and by how much two
# codings may change them, of 255.
FIELDS = [(200, 0, 0), (0, 200, 0), (30, 40, 210), (250, 250, 250), (8, 8, 8), (120, 120, 120)]
NOISE = 12


def fields(pixels: str, matrix: int, spread: int, width: int = 192) -> VideoFrame:
    """The fields in a row, as a decoder gives them: with this matrix and range (as FFmpeg counts
    them), said or not.
    """
    rgb = np.repeat(np.array([FIELDS], np.uint8), 64, 0).repeat(width // len(FIELDS), 1)
    picture = VideoFrame.from_ndarray(rgb, format="rgb24")
    if pixels == "rgb24":
        return picture
    return picture.reformat(width, 64, pixels, dst_colorspace=matrix, dst_color_range=spread)


def seen(frame: Frame) -> tuple[VideoFrame, list[list[int]]]:
    """A frame as FFmpeg decodes it, and the colours of the fields in it."""
    decoder = av.CodecContext.create("h264" if frame.form.codec is Codec.H264 else "vp8", "r")
    assert isinstance(decoder, VideoCodecContext)
    picture = (decoder.decode(av.Packet(frame.data)) + decoder.decode(None))[0]
    if frame.form.codec is Codec.VP8:
        assert frame.form.color is not None
        picture.colorspace, picture.color_range = (
            frame.form.color.codes()[2],
            ColorRange.MPEG,
        )  # which its container says
    rgb = (
        VideoReformatter()
        .reformat(picture, format="rgb24", dst_color_range=ColorRange.JPEG)
        .to_ndarray()
    )
    step = picture.width // len(FIELDS)
    return picture, [rgb[32, number * step + step // 2].tolist() for number in range(len(FIELDS))]


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.encoder)
@pytest.mark.parametrize(
    ("pixels", "matrix", "spread"),
    [
        ("yuvj420p", 5, 2),  # JPEG
        ("yuvj422p", 5, 2),
        ("yuv420p", 1, 2),
        ("yuv420p", 1, 1),
        ("yuv420p", 6, 1),
        ("yuv420p10le", 9, 2),
        ("yuv444p", 7, 1),  # SMPTE 240M, for which WebCodecs has no word
        ("rgb24", 2, 0),
    ],
)
def test_colours_are_those_of_the_source(
    recipe: Recipe, pixels: str, matrix: int, spread: int
) -> None:
    frame = PictureEncoder(recipe, RATE).encode(fields(pixels, matrix, spread), 0)
    assert frame is not None and frame.form.color is not None
    picture, colours = seen(frame)
    assert all(
        abs(a - b) <= NOISE
        for one, other in zip(colours, FIELDS, strict=True)
        for a, b in zip(one, other, strict=True)
    ), colours
    assert frame.form.color.full_range is False
    if recipe.codec is Codec.H264:
        said = (picture.color_primaries, picture.color_trc, picture.colorspace, picture.color_range)
        assert said == (*frame.form.color.codes(), 1), "the stream says it too"
        assert matrix not in (1, 9) or picture.colorspace == matrix, (
            "nothing is rounded that need not be"
        )


def test_what_does_not_say_its_colours_is_as_usual_for_its_size() -> None:
    small, large = (fields("yuv420p", 5, 1, width) for width in (192, 192))
    large = large.reformat(1280, 720)
    for picture, matrix in ((small, "smpte170m"), (large, "bt709")):
        picture.colorspace, picture.color_range = 2, 0
        frame = PictureEncoder(recipes()[0], RATE).encode(picture, 0)
        assert (
            frame is not None and frame.form.color is not None and frame.form.color.matrix == matrix
        )


def test_other_colours_begin_a_stream() -> None:
    encoder = PictureEncoder(recipes()[0], RATE)
    forms = []
    for number, matrix in enumerate((5, 5, 1)):
        frame = encoder.encode(fields("yuv420p", matrix, 2), number * STEP)
        assert frame is not None
        forms.append((frame.form, frame.key))
    assert [key for _, key in forms] == [True, False, True]
    assert forms[0][0] == forms[1][0] != forms[2][0]


def test_the_test_picture_says_its_colours() -> None:
    assert color_of(pictures(1)[0]) == ColorSpace("bt709", "bt709", "smpte170m", False)
