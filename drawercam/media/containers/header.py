"""What both containers do with the tracks of a header: of those that can be read, the first of each
kind counts.

A track that cannot be read is no reason to refuse the others, and one that breaks later ends alone:
it goes on with its next good keyframe.
"""

from __future__ import annotations

from collections.abc import Callable

from drawercam.media.codecs.unpack import Unpacked, Unpacker
from drawercam.media.geometry import Geometry
from drawercam.media.packets import Kind, LeftOut, MediaError, Track
from drawercam.media.work import Work

# Tracks of which the sentence of a refusal tells why they cannot be read.
_MOST_TOLD = 8

# What is kept for whoever feeds the reader; beyond that, nothing new is said.
_MOST_KEPT = 64

_WORDS = {Kind.VIDEO: "pictures", Kind.AUDIO: "sound"}


_PLAIN = Geometry()


class Header:
    """Tracks that are read and tracks that are not, of one header.

    Attributes:
        left_out: The latter, as far as they should have been read, and those that broke later; to
            be taken by whoever feeds the reader.
    """

    def __init__(self) -> None:
        self.left_out: list[LeftOut] = []
        self._read: set[Kind] = set()
        self._broken: dict[Kind, str] = {}
        self._unread: list[tuple[Kind | None, str]] = []

    @property
    def kinds(self) -> set[Kind]:
        """Kinds of which a track is read, or was before it broke."""
        return self._read

    def takes(self, kind: Kind) -> bool:
        """Remember that a track of this kind is read; False if there is another one before it."""
        if kind in self._read:
            return False
        self._read.add(kind)
        return True

    def cannot_read(self, name: str, kind: Kind | None, why: object) -> None:
        """A track cannot be read.

        Args:
            name: Such as "track 2".
            kind: None if it cannot be told.
            why: A sentence without a full stop.
        """
        self._unread.append((kind, f"{_named(name, kind)}: {why}"))

    def close(self) -> None:
        """All tracks are known.

        Raises:
            MediaError: None of them can be read.
        """
        if not self._read:
            self._refuse()
        for kind, sentence in self._unread:
            self.leave_out(
                f"one track is left out, {sentence}", None if kind in self._read else kind
            )

    def leave_out(self, sentence: str, kind: Kind | None = None, over: bool = False) -> None:
        """Say that something is left out; see LeftOut."""
        if len(self.left_out) < _MOST_KEPT:
            self.left_out.append(LeftOut(sentence, kind, over))

    def breaks(self, name: str, kind: Kind, error: MediaError) -> None:
        """A frame of a track cannot be read.

        Raises:
            MediaError: It was the last track.
        """
        if kind in self._broken:
            return
        self._broken[kind] = f"{_named(name, kind)}: {error}"
        if len(self._broken) == len(self._read):
            if len(self._broken) + len(self._unread) == 1:
                raise error
            self._refuse()
        self.leave_out(f"one track broke, {self._broken[kind]}", kind)

    def heals(self, kind: Kind) -> None:
        """A track that was broken goes on."""
        self._broken.pop(kind, None)

    def _refuse(self) -> None:
        sentences = [*self._broken.values(), *(sentence for _, sentence in self._unread)]
        if not sentences:
            raise MediaError("no track of this stream has a codec that the relay passes on")
        raise MediaError(
            f"no track of this stream can be read; {'; '.join(sentences[:_MOST_TOLD])}"
        )


class TrackReader:
    """One track of a header that is read.

    Attributes:
        track: As its frames say; None before the first.
    """

    __slots__ = ("_begin", "_broken", "_geometry", "_header", "_name", "_unpacker", "kind", "track")

    def __init__(
        self,
        header: Header,
        name: str,
        kind: Kind,
        begin: Callable[[Work], Unpacker],
        work: Work,
        geometry: Geometry = _PLAIN,
    ) -> None:
        """
        Args:
            header: To which it belongs.
            name: Such as "track 2".
            kind: What it carries.
            begin: Makes its unpacker.
            work: What that may cost.
            geometry: How its pictures are shown.

        Raises:
            MediaError: Its configuration is broken.
        """
        self.kind = kind
        self.track: Track | None = None
        self._header = header
        self._name = name
        self._begin = begin
        self._unpacker = begin(work)
        self._geometry = geometry
        self._broken = False

    def unpack(self, frame: bytes, key: bool, work: Work) -> Unpacked | None:
        """Take one frame; see unpack.Unpacker. None also while the track is broken.

        Raises:
            MediaError: The frame is broken, and so is every other track; or it is too much work.
        """
        try:
            unpacked = self._unpacker.unpack(frame, key, work)
        except MediaError as error:
            self.breaks(error, work)
            return None
        if unpacked is None:
            return None
        track, data, key = unpacked
        if track is not None:
            self.track = track = self._geometry.applied(track)
        if not self._broken:
            return track, data, key
        if not key:
            return None
        self._broken = False
        self._header.heals(self.kind)
        return self.track, data, key

    def breaks(self, error: MediaError, work: Work) -> None:
        """Something of this track cannot be read; it goes on with its next good keyframe.

        Raises:
            MediaError: Every other track is broken, or it was too much work.
        """
        if work.left < 0:
            raise error
        self._header.breaks(self._name, self.kind, error)
        if not self._broken:
            self._broken = True
            self._unpacker = self._begin(work)


def _named(name: str, kind: Kind | None) -> str:
    return f"{name} ({_WORDS[kind]})" if kind else name
