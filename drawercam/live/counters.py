"""What has passed through the relay since it began: plain numbers, counted once for each frame,
however many watch.

What can be worked out when somebody asks is not counted: of a frame that is offered to 200 viewers,
one addition of 200 is kept. No clock, no sockets.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from operator import add

BOUNDS = (
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
)
"""Microseconds up to which the classes of a `Histogram` reach: from the relay's own work to a
network that stands still.
"""


class Histogram:
    """How many delays there were of which length.

    Attributes:
        counts: Of each class, the delays above the last bound and up to its own (`BOUNDS`); of the
            last class, those above all bounds.
        total: The sum of all delays in microseconds.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0

    def add(self, delay: int) -> None:
        """Count one, in microseconds.

        One below 0, which a clock that is set can cause, counts as 0: a sum must not fall.
        """
        if delay < 0:
            delay = 0
        self.counts[bisect_left(BOUNDS, delay)] += 1
        self.total += delay

    def include(self, other: Histogram) -> None:
        """Count what the other one has counted."""
        self.counts = list(map(add, self.counts, other.counts))
        self.total += other.total

    def copy(self) -> Histogram:
        """The same counts, which go on no more."""
        copied = Histogram()
        copied.include(self)
        return copied


class Tally:
    """What one channel has seen, or several together.

    Attributes:
        video, audio: Frames that came from a camera and could be passed on.
        keyframes: Of the video, those with which decoding can start.
        unusable: Frames that came before the first keyframe of their track, and were of no use.
        bytes: Of the frames that could be passed on, without their containers.
        offered: Frames times the viewers that they were offered to.
        drops: Frames left out for viewers that have gone; those who are still there know theirs
            (`viewers.Viewer`).
        joins: How often somebody began to watch.
        keyframe_requests: How often the camera was asked for a keyframe.
        uplink: From the capture of a picture to its arrival, as far as the relay knows when it was
            captured.
        stay: From the arrival of a picture until it was offered to all viewers.
    """

    __slots__ = (
        "audio",
        "bytes",
        "drops",
        "joins",
        "keyframe_requests",
        "keyframes",
        "offered",
        "stay",
        "unusable",
        "uplink",
        "video",
    )

    def __init__(self) -> None:
        self.video = self.audio = self.keyframes = self.unusable = self.bytes = 0
        self.offered = self.drops = self.joins = self.keyframe_requests = 0
        self.uplink = Histogram()
        self.stay = Histogram()

    def picture(self, key: bool, size: int, viewers: int) -> None:
        """A frame of the picture, of so many bytes, is offered to so many viewers."""
        self.video += 1
        self.keyframes += key
        self.bytes += size
        self.offered += viewers

    def sound(self, size: int, viewers: int) -> None:
        """A frame of the sound, likewise."""
        self.audio += 1
        self.bytes += size
        self.offered += viewers

    def include(self, other: Tally) -> None:
        """Count what the other one has counted."""
        self.video += other.video
        self.audio += other.audio
        self.keyframes += other.keyframes
        self.unusable += other.unusable
        self.bytes += other.bytes
        self.offered += other.offered
        self.drops += other.drops
        self.joins += other.joins
        self.keyframe_requests += other.keyframe_requests
        self.uplink.include(other.uplink)
        self.stay.include(other.stay)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the server knows when it is asked.

    Attributes:
        loop: What its event loop is of: ``asyncio`` or ``uvloop``.
        doors: Connections whose first request is not complete.
        http: Connections that are HTTP, those among them that carry a socket included.
        websockets, streams: Sockets, by the way on which they came: as WebSockets, or over HTTP
            (`server.streams`).
        readers: Programs that read a camera as a file.
        decoders: Processes that decode for who asks for single pictures.
        decoded: Pictures that were decoded so far.
        connections: How many have come so far, and were through their TLS handshake.
        sockets: How many have begun so far.
        requests: Requests over HTTP so far.
        messages: Control messages so far.
        written: Bytes sent through sockets so far.
        waiting: Bytes that wait in sockets, at the last sweep.
        refusals: How often something was refused so far, by the id that the answer gave
            (`denied.Denied`).
        wrong_keys: How many were tried so far.
        room: How many connections there may be; fewer than `limits.MAX_CONNECTIONS` where the
            system gives fewer files.
        loop_lag: How late the event loop came to its sweeps.
    """

    loop: str
    doors: int
    http: int
    websockets: int
    streams: int
    readers: int
    decoders: int
    decoded: int
    connections: int
    sockets: int
    requests: int
    messages: int
    written: int
    waiting: int
    refusals: Mapping[str, int]
    wrong_keys: int
    room: int
    loop_lag: Histogram
