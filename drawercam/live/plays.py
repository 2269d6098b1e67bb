"""What the viewers of one camera can play: what each of them has said, and what is left for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache

from drawercam.media.packets import Codec, Kind
from drawercam.protocol import messages

from .track_output import TrackOutput

# Microseconds between two wishes for another codec that are passed on to the camera: each one
# begins everybody's picture afresh.
CODEC_INTERVAL = 30_000_000

_FAMILIES = {codec.value: codec for codec in Codec}

_NOTHING: frozenset[Codec] = frozenset()


@dataclass(frozen=True, slots=True)
class Plays:
    """What one viewer can play of each kind. None: what the camera sends now, whatever that is, and
    nothing else. An empty set: nothing, and then it has no say about this kind, because no codec
    would help it.
    """

    video: frozenset[Codec] | None = None
    audio: frozenset[Codec] | None = None

    @classmethod
    def of(cls, names: Iterable[str]) -> Plays:
        """By the families' names (docs/protocol.md, "What players play").

        Those that are not known are ignored.
        """
        return _plays(frozenset(_FAMILIES[name] for name in names if name in _FAMILIES))

    def of_kind(self, kind: Kind) -> frozenset[Codec] | None:
        return self.video if kind is Kind.VIDEO else self.audio

    def without(self, codec: Codec) -> Plays:
        """It does not play this codec after all.

        If it has not said what it plays, that is all there was of this kind.
        """
        left = (self.of_kind(codec.kind) or _NOTHING) - {codec}
        return replace(self, video=left) if codec.kind is Kind.VIDEO else replace(self, audio=left)

    def sound_only(self) -> Plays:
        """The same of a viewer that takes no pictures."""
        return replace(self, video=_NOTHING)


@cache  # of at most 64 sets: the viewers who say the same share it
def _plays(codecs: frozenset[Codec]) -> Plays:
    video = frozenset(codec for codec in codecs if codec.kind is Kind.VIDEO)
    return Plays(video, codecs - video)


class Audience:
    """What all who watch one camera can play.

    A viewer that comes, goes or says something else costs the same however many there are.
    """

    def __init__(self) -> None:
        self._said: dict[object, Plays] = {}
        self._counts: Counter[Plays] = Counter()
        self._asked: int | None = None  # when the camera was asked for another codec last

    def says(self, viewer: object, plays: Plays) -> None:
        """A viewer watches, or has something else to say."""
        self.goes(viewer)
        self._said[viewer] = plays
        self._counts[plays] += 1

    def goes(self, viewer: object) -> None:
        """A viewer watches no more, if it did."""
        plays = self._said.pop(viewer, None)
        if plays is not None:
            self._counts[plays] -= 1
            if not self._counts[plays]:
                del self._counts[plays]

    def common(self, kind: Kind, now: Codec | None) -> frozenset[Codec]:
        """What all can play of one kind.

        Args:
            kind: Pictures or sound.
            now: What the camera sends of it.

        Returns:
            Nothing where no codec is left, or no viewer has a say.
        """
        sent = _NOTHING if now is None else frozenset({now})
        said = [plays.of_kind(kind) for plays in self._counts]
        sets = [sent if codecs is None else codecs for codecs in said if codecs != _NOTHING]
        return frozenset.intersection(*sets) if sets else _NOTHING

    def begin_anew(self) -> None:
        """Another camera comes, which may be asked at once."""
        self._asked = None

    def wishes(self, outputs: Collection[TrackOutput], now: int) -> list[messages.CameraUnplayable]:
        """What the camera is to be asked for: where a viewer cannot play a track, and all can play
        another codec, that. Nothing where it was asked lately.

        Args:
            outputs: The camera's tracks; each remembers what was asked for.
            now: Microseconds.
        """
        if self._asked is not None and now - self._asked < CODEC_INTERVAL:
            return []
        tracks = {output.track.kind: output.track.codec for output in outputs}
        common = {kind: self.common(kind, tracks.get(kind)) for kind in Kind}
        plays = tuple(codec.value for codec in Codec if codec in common[codec.kind])
        asked = []
        for output in outputs:
            codecs = common[output.track.kind]
            if codecs and output.track.codec not in codecs and codecs != output.wished:
                output.wished, self._asked = codecs, now
                asked.append(messages.CameraUnplayable(output.track.codec_string, plays))
        return asked
