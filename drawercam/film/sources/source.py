"""What is filmed, and how it is given on. Each source runs in a thread of its own.

A source opens its device when it runs, gives what it has to a `Sink`, and lets the device go before
it returns. What players take as it is goes unencoded; the rest is decoded by the source and encoded
elsewhere (source_run.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from drawercam.film.encode.frame import Frame
from drawercam.film.relay.clock import now
from drawercam.media.packets import Codec

from .synthetic_picture import PACKETS_PER_SECOND, Pattern, sound

TOO_LATE = 1_000_000
"""Microseconds of lateness from which on the clock of what is played is set anew: this computer is
too slow for it, or slept.
"""


def sentence(text: str) -> str:
    """A text as a sentence begins: a title stands in the middle of one, too."""
    return f"The {text[4:]}" if text.startswith("the ") else text


class SourceError(Exception):
    """A source cannot be used. The text is a sentence.

    Attributes:
        final: Nobody need try again: it will not come back by itself.
        patience: Seconds for which it is to be left alone at least.
    """

    def __init__(self, text: str, final: bool = False, patience: float = 0.0) -> None:
        super().__init__(sentence(text))
        self.final = final
        self.patience = patience


class Keyless(IntEnum):
    """For how long a picture has been missing at which players can begin, and what helps where a
    decoder can begin without it.
    """

    NO = 0
    TRY = 1  # decode what is passed on
    ENCODE = 2  # encode it as soon as the decoder gives pictures
    ANYHOW = 3  # also damaged ones, because nothing at all can be shown


class Sink(Protocol):
    """Where a source's thread gives what it has. Nothing here waits for the network."""

    def passes(self, codec: Codec) -> bool:
        """Whether frames of this codec are to be passed on as they are; otherwise they have to be
        encoded anew.
        """

    @property
    def keyless(self) -> Keyless:
        """What to do where pictures are passed on in vain."""

    def key_found(self) -> None:
        """A picture at which players can begin has come."""

    @property
    def wanted(self) -> bool:
        """Somebody wants pictures and sound just now; otherwise decoding would be in vain."""

    def opened(self, what: str, sound: bool) -> None:
        """The source is open; ``what`` it gives, in words, and whether there is sound among it."""

    def picture(self, picture: VideoFrame, captured: int) -> None:
        """A picture to be encoded; captured: µs."""

    def sound(self, sound: AudioFrame, captured: int) -> None:
        """Sound to be encoded; captured: µs, of its first sample."""

    def passed(self, frame: Frame) -> None:
        """A frame that players take as it is."""

    def stands(self) -> None:
        """The source gives nothing, and watches by itself for how long that may be."""

    def pause(self, seconds: float) -> bool:
        """Wait, unless the source is to end; whether it is to go on."""


class Source(Protocol):
    """
    Attributes:
        title: What it is called in sentences.
        rate: Pictures per second as far as they are known, else 0.
    """

    title: str
    rate: float

    def run(self, sink: Sink) -> None:
        """Open, give until it ends or `Sink.pause` says that it is to end, close.

        Raises:
            SourceError: It cannot be opened, has no picture, or has ended.
        """


class TestPicture:
    """The moving picture of synthetic_picture.py, with its sound."""

    title = "the test picture"

    def __init__(
        self,
        width: int,
        height: int,
        rate: float,
        view: Callable[[], tuple[float, float, float]] | None = None,
    ) -> None:
        """
        Args:
            view: Where the camera looks: pan, tilt, zoom.
        """
        self.rate = rate
        self._pattern = Pattern(width, height)
        self._size = (width, height)
        self._view = view or (lambda: (0.0, 0.0, 1.0))

    def run(self, sink: Sink) -> None:
        """See Source."""
        sink.opened(
            (
                f"{self._size[0]}x{self._size[1]}, {self.rate:g} "
                f"{'picture' if self.rate == 1 else 'pictures'} a second, and sound"
            ),
            sound=True,
        )
        ahead = (
            time.time_ns() // 1000 - now()
        )  # the wall clock minus this computer's: pictures show the one and are dated by the other
        piece = 1_000_000 // PACKETS_PER_SECOND
        step = 1_000_000 / self.rate
        picture_due = float(now())
        number = (now() + ahead) // piece
        while True:
            sound_due = (number + 1) * piece - ahead  # a piece is there when it is over
            if not sink.pause((min(picture_due, sound_due) - now()) / 1e6):
                return
            moment = now()
            if moment >= picture_due:
                if sink.wanted:
                    sink.picture(
                        self._pattern.picture((moment + ahead) / 1e6, self._view()), moment
                    )
                picture_due = max(picture_due + step, moment - step)
            if moment >= sound_due:
                if moment - sound_due > TOO_LATE:
                    number = (moment + ahead) // piece
                elif sink.wanted:
                    sink.sound(sound(number), number * piece - ahead)
                    number += 1
                else:
                    number += 1
