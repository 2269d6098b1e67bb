"""The colour space of pictures, in the words of WebCodecs
(https://w3c.github.io/webcodecs/#videocolorspace) and the numbers of ISO/IEC 23091-2 (ITU-T H.273),
which H.264, AV1, Matroska and MP4 have in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

UNSPECIFIED = 2
"""The code point with which a stream says nothing, of primaries, transfer and matrix alike."""

_PRIMARIES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020", 12: "smpte432"}
_TRANSFERS = {1: "bt709", 6: "smpte170m", 8: "linear", 13: "iec61966-2-1", 16: "pq", 18: "hlg"}
_MATRICES = {0: "rgb", 1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020-ncl"}

# Code points that H.273 calls functionally the same as another one, which has a word: primaries of
# SMPTE 240M; the curve of BT.2020.
_SAME_PRIMARIES = {7: "smpte170m"}
_SAME_TRANSFERS = {14: "bt709", 15: "bt709"}

# Of WebCodecs, in the order of ColorSpace.
_NAMES = ("primaries", "transfer", "matrix", "fullRange")

_PRIMARIES_CODES = {word: code for code, word in _PRIMARIES.items()}
_TRANSFER_CODES = {word: code for code, word in _TRANSFERS.items()}
_MATRIX_CODES = {word: code for code, word in _MATRICES.items()}

# Pixels of the shorter side from which on a picture that does not say its matrix is taken for one
# of BT.709, and below for one of BT.601: what Chromium and Firefox guess of files. Held upright or
# not, a phone's picture is the same.
_HIGH_DEFINITION = 720


@dataclass(frozen=True, slots=True)
class ColorSpace:
    """What the numbers of a picture mean. None where nothing says it.

    Attributes:
        primaries: ``VideoColorPrimaries``, such as ``bt709``.
        transfer: ``VideoTransferCharacteristics``, such as ``bt709``.
        matrix: ``VideoMatrixCoefficients``, such as ``smpte170m``.
        full_range: Black is 0 and white 255, not 16 and 235.
    """

    primaries: str | None = None
    transfer: str | None = None
    matrix: str | None = None
    full_range: bool | None = None

    def codes(self) -> tuple[int, int, int]:
        """Primaries, transfer and matrix as code points; UNSPECIFIED where they are not known."""
        return (
            _PRIMARIES_CODES.get(self.primaries or "", UNSPECIFIED),
            _TRANSFER_CODES.get(self.transfer or "", UNSPECIFIED),
            _MATRIX_CODES.get(self.matrix or "", UNSPECIFIED),
        )

    @classmethod
    def of(cls, known: Mapping[str, str | bool]) -> ColorSpace:
        """From what `as_json` gives."""
        return cls(*(known.get(name) for name in _NAMES))  # type: ignore[arg-type] # of these names, each has its type

    def as_json(self) -> dict[str, str | bool]:
        """As WebCodecs' ``VideoColorSpaceInit``, without what is not known."""
        known = zip(
            _NAMES, (self.primaries, self.transfer, self.matrix, self.full_range), strict=True
        )
        return {name: value for name, value in known if value is not None}


def from_codes(
    primaries: int, transfer: int, matrix: int, full_range: bool | None = None
) -> ColorSpace | None:
    """The colour space of three code points and a range; None if it says nothing. Code points for
    which WebCodecs has no word, and such as are reserved, count as not said.
    """
    return _said(
        ColorSpace(
            _PRIMARIES.get(primaries) or _SAME_PRIMARIES.get(primaries),
            _TRANSFERS.get(transfer) or _SAME_TRANSFERS.get(transfer),
            _MATRICES.get(matrix),
            full_range,
        )
    )


def merged(first: ColorSpace | None, second: ColorSpace | None) -> ColorSpace | None:
    """What the first one says, and the second one where the first says nothing: a container, whose
    word counts more (ISO/IEC 14496-12 12.1.5), and the stream in it.
    """
    if first is None or second is None:
        return first or second
    return ColorSpace(
        first.primaries or second.primaries,
        first.transfer or second.transfer,
        first.matrix or second.matrix,
        second.full_range if first.full_range is None else first.full_range,
    )


def completed(color: ColorSpace | None, width: int, height: int) -> ColorSpace:
    """The same with all that it does not say, so that it looks the same everywhere: else each
    player guesses for itself, and Chromium takes for unknown what is known in part.

    Args:
        color: What is known.
        width, height: Of the picture, in pixels.
    """
    known = color or ColorSpace()
    matrix = known.matrix or ("bt709" if min(width, height) >= _HIGH_DEFINITION else "smpte170m")
    # Phones and webcams have the primaries of BT.709 and sRGB whatever their matrix; those of
    # BT.2020 come with its matrix only.
    return ColorSpace(
        known.primaries or ("bt2020" if matrix == "bt2020-ncl" else "bt709"),
        known.transfer or ("iec61966-2-1" if matrix == "rgb" else "bt709"),
        matrix,
        matrix == "rgb" if known.full_range is None else known.full_range,
    )


def _said(color: ColorSpace) -> ColorSpace | None:
    return None if color == ColorSpace() else color
