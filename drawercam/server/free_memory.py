"""Memory: what is looked through for what nobody needs any more, and what goes back to the
system.
"""

from __future__ import annotations

import ctypes
import functools
import gc
from collections.abc import Callable

# As many collections of what is younger as never come.
_NEVER = 10**9


def settle() -> None:
    """What there is now stays: the collector need not look through modules and classes again. It
    takes 40 ms for that, in which no picture moves, and crowds that come and go call it often.
    Those themselves are the same again, so from now on `collect` looks through what is old, and
    nobody else.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], _NEVER)


def collect() -> None:
    """Free what is in circles that nobody needs. Takes 15 ms for each thousand connections."""
    gc.collect()


def trim() -> None:
    """Give back what the C library keeps for later (malloc_trim(3)); nothing where it has no such
    call. Takes about 1 ms for 50 MB.

    It keeps free memory that lies below something that is in use. A handshake needs a hundred times
    what stays of it, so when many come at once, what stays of each lies above what all the others
    have let go.
    """
    if (call := _malloc_trim()) is not None:
        call(0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (
        AttributeError,
        OSError,
        TypeError,
    ):  # another C library; Windows, where None names none
        return None
