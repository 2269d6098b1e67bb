"""The colour space of pictures, in the words of WebCodecs (https://w3c.github.io/webcodecs/#videocolorspace)."""

from __future__ import annotations

from dataclasses import dataclass


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
