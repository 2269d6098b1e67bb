"""How much one message may make the relay do: counted, because a clock would decide anew each
time.
"""

from __future__ import annotations

from .packets import MediaLimitError

# Units that what comes at once may cost, in all its frames and however they are nested: about 40 ms
# of a desktop's processor.
MOST = 2**16

# Units that a piece of it may cost, together with what it completes: about 10 ms, for which all
# others wait. A header has some hundred, a fragment of 10 s of two recorders 7,000.
MOST_AT_ONCE = 2**14

# Units, as they were measured, beyond the one for a part that is found.
LONG = 3  # an element with more than two bytes before its data, instead of one
BOX = 2  # a box that is not in another, likewise
READ = 2  # an element or box that is read
LOOK = 8  # for another document, where one was cut off
DESCRIPTOR = 4  # of MPEG-4 systems, in an esds
FRAGMENT = 10  # of one track, in a moof
RUN = 6  # of samples, in such a fragment
SAMPLE = 1  # in such a run
FRAME = 4  # whatever its container
KEY = 8  # a frame with which decoding can begin
TRACK = 64  # of a container's header
SEQUENCE = 128  # a sequence header of AV1 that is not the last one again
PARAMETER_SET = 20  # of H.264, that is not in force already; and a track made of such sets
SPS_BYTE = 10  # of an SPS; each may hold eight numbers


class Work:
    """What may still be done, in units: the least part (an element, a NAL unit, an OBU) costs one.

    Attributes:
        left: So many units.
    """

    __slots__ = ("left",)

    def __init__(self, left: float = MOST) -> None:
        self.left = left

    def spend(self, units: int) -> None:
        """Something is going to be done.

        Raises:
            MediaLimitError: It is too much.
        """
        self.left -= units
        if self.left < 0:
            raise MediaLimitError(
                "there are more small parts in what came at once than recorders make"
            )
