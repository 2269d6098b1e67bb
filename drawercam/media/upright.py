"""Decoded pictures as people are to see them: upright, and with square pixels.

The one module of this room that needs PyAV.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from fractions import Fraction
from typing import cast

from av.buffer import Buffer
from av.filter import Graph
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from .geometry import Geometry, filters, of_matrix, stretched

_MATRIX = struct.Struct(
    "=9i"
)  # in the order of ISO/IEC 14496-12 6.2.2, and of this computer's bytes


# Kinds of side data for which PyAV has no name, as the one of Exif, follow those for which it has
# one. It refuses to show any of a picture that has such.
_NAMELESS = range(len(Type), len(Type) + 16)


def turn_of(picture: VideoFrame) -> Geometry:
    """How a picture is turned, as its file or its stream says it (AV_FRAME_DATA_DISPLAYMATRIX)."""
    try:
        found = _display_matrix(picture)
    except ValueError:
        found = _display_matrix(_without_nameless(picture))
    if found is None:
        return Geometry()
    a, b, _, c, d, *_ = _MATRIX.unpack(bytes(found))
    return of_matrix(a, b, c, d)


def _display_matrix(picture: VideoFrame) -> Buffer | None:
    """
    Raises:
        ValueError: The picture has side data of which PyAV knows no name.
    """
    return cast("Mapping[Type, Buffer]", picture.side_data).get(Type.DISPLAYMATRIX)


def _without_nameless(picture: VideoFrame) -> VideoFrame:
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=picture.width,
        height=picture.height,
        format=picture.format,
        time_base=Fraction(1, 1_000_000),
    )
    graph.link_nodes(
        source,
        *(graph.add("sidedata", f"mode=delete:type={kind}") for kind in _NAMELESS),
        graph.add("buffersink"),
    )
    graph.configure()
    graph.vpush(picture)
    return graph.vpull()


class Upright:
    """Turns pictures by filters of FFmpeg's libraries."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._form: tuple[object, ...] = ()

    def seen(self, picture: VideoFrame, geometry: Geometry) -> VideoFrame:
        """The picture, or another one, upright and with square pixels."""
        width, height = stretched(picture.width, picture.height, geometry.pixel_aspect)
        return self.turned(
            picture.reformat(width, height) if width else picture, geometry.rotation, geometry.flip
        )

    def turned(self, picture: VideoFrame, rotation: int, flip: bool) -> VideoFrame:
        """The picture, or another one that lies as it is to be seen.

        Args:
            picture: Any size and pixel format.
            rotation, flip: As in `packets.Track`.
        """
        wanted = filters(rotation, flip)
        if not wanted:
            return picture
        form = (picture.width, picture.height, picture.format.name, wanted)
        if self._graph is None or form != self._form:
            self._form, self._graph = form, Graph()
            self._graph.threads = 1
            time_base = Fraction(1, 1_000_000)
            source = self._graph.add_buffer(
                width=picture.width,
                height=picture.height,
                format=picture.format,
                time_base=time_base,
            )
            turns = [self._graph.add(name, argument) for name, argument in wanted]
            self._graph.link_nodes(source, *turns, self._graph.add("buffersink")).configure()
        self._graph.vpush(picture)
        return self._graph.vpull()
