"""Pictures of a phone that was held upright: they lie on their side, and only their file says by how much. Players do not hear of that."""

from __future__ import annotations

from fractions import Fraction

import av.error
from av.container import InputContainer
from av.filter import Graph
from av.video.frame import VideoFrame


class Upright:
    """
    Attributes:
        turns: Something is to be done.
    """

    def __init__(self, degrees: int) -> None:
        """
        Args:
            degrees: Counter-clockwise, a multiple of 90.
        """
        self._filters = {90: ("cclock",), 270: ("clock",), 180: ("cclock", "cclock")}.get(degrees % 360, ())
        self.turns = bool(self._filters)
        self._graph: Graph | None = None
        self._form: tuple[int, int, str] | None = None

    def turned(self, picture: VideoFrame) -> VideoFrame:
        """A picture as it is to be seen."""
        if not self.turns:
            return picture
        form = (picture.width, picture.height, picture.format.name)
        if self._graph is None or form != self._form:
            self._form, self._graph = form, Graph()
            source = self._graph.add_buffer(width=form[0], height=form[1], format=picture.format, time_base=Fraction(1, 1_000_000))
            turns = [self._graph.add("transpose", direction) for direction in self._filters]
            self._graph.link_nodes(source, *turns, self._graph.add("buffersink")).configure()
        self._graph.vpush(picture)
        return self._graph.vpull()


def rotation(container: InputContainer) -> int:
    """By how many degrees the first picture is to be turned counter-clockwise; the container is at its beginning again.

    ISO/IEC 14496-12 8.3.2.3: the matrix of a track. Other turns than quarters are rounded to one.
    """
    try:
        degrees = next((picture.rotation for picture in container.decode(video=0)), 0)
        container.seek(0)
    except (av.error.FFmpegError, OSError):
        return 0  # whoever reads it on meets the same, and says so
    return round(degrees / 90) * 90
