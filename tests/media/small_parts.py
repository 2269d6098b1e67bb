"""Streams that consist of very many small parts: every kind of part that the readers know, as dense
as it can be written.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice

from drawercam.media.codecs import h264, h264_sets
from drawercam.media.containers import ebml
from drawercam.media.containers.matroska import Id
from drawercam.media.containers.mp4_fragments import MAX_SAMPLES
from drawercam.media.containers.mp4_writer import Mp4Writer
from drawercam.media.packets import Packet, Track
from tests.media.containers.test_mp4 import OPUS_ENTRY, box, full, handmade_init, movie, trak, u32
from tests.media.containers.test_webm import VP8_KEY, cluster, entry, head, simple
from tests.media.samples import RECORDINGS, read


@dataclass(frozen=True)
class SmallParts:
    """A stream.

    Attributes:
        name: What there are many of.
        begin: Its beginning, which is honest.
        parts: So many bytes of it, or a little less.
    """

    name: str
    begin: bytes
    parts: Callable[[int], bytes]

    def __str__(self) -> str:
        return self.name


def again(*parts: bytes) -> Callable[[int], bytes]:
    """The parts, in turn, again and again."""
    length = sum(map(len, parts)) / len(parts)
    return lambda size: b"".join(islice(cycle(parts), int(size / length)))


def bits(text: str) -> bytes:
    text += "1"
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def ue(value: int) -> str:
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def sps(number: int, width: int) -> bytes:
    fields = ue(number) + ue(0) + ue(2) + ue(1) + "0" + ue(width) + ue(5) + "1100"
    return b"\x67\x42\0\x1e" + bits(fields)


def slow_sps(width: int) -> bytes:
    """One with all the numbers that there can be, each of one bit."""
    lists = "".join("1" + ue(0) * (16 if index < 6 else 64) for index in range(12))
    fields = (
        ue(0)
        + ue(3)
        + "0"
        + ue(0) * 2
        + "01"
        + lists
        + ue(0)
        + ue(1)
        + "0"
        + ue(0) * 2
        + ue(255)
        + ue(0) * 255
        + ue(1)
        + "0"
    )
    return b"\x67" + bits(f"{100:08b}" + "0" * 16 + fields + ue(width) + ue(5) + "1100")


def pps(number: int, tail: int = 0) -> bytes:
    return b"\x68" + bits(ue(number) + ue(0) + ue(tail))


def slow_av1(width: int) -> bytes:
    """A sequence header with all operating points."""
    points = ("0" * 12 + "01000" + "0" + "1000" + "10000") * 32
    model = "1" + "0" * 31 + "1" + "0" * 31 + "11" + "1" + "00000" + "0" * 42
    payload = bits(
        "000"
        + "00"
        + model
        + "1"
        + "11111"
        + points
        + "1111" * 2
        + f"{width:016b}"
        + f"{200:016b}"
        + "0" * 40
    )
    return b"\x0a" + bytes((0x80 | len(payload) & 0x7F, len(payload) >> 7)) + payload


def units(*parts: bytes) -> bytes:
    return h264.join_lengths(parts)


def moof(count: int, size: int = 1, flags: int = 0, rows: bytes = b"", track: int = 1) -> bytes:
    """One with a run of samples of that size in the mdat behind it."""
    tfhd = full(b"tfhd", u32(track, size), flags=0x020010)
    return box(
        b"moof",
        box(b"traf", tfhd, full(b"trun", u32(count, 64 + len(rows)), rows, flags=1 | flags)),
    )


def group(*children: bytes) -> bytes:
    return ebml.element(Id.BLOCK_GROUP, b"".join(children))


VOID = b"\xec\x80"
FREE = box(b"free")
VP8 = head(entry(1, 1, b"V_VP8"))
VP9 = head(entry(1, 1, b"V_VP9"))
AV1 = head(entry(1, 1, b"V_AV1"))
OPUS = head(entry(1, 2, b"A_OPUS"))
AAC = head(entry(1, 2, b"A_AAC", ebml.element(Id.CODEC_PRIVATE, b"\x12\x10")))


def avc(config: bytes) -> bytes:
    return head(entry(1, 1, b"V_MPEG4/ISO/AVC", ebml.element(Id.CODEC_PRIVATE, config)))


_H264 = [
    event
    for event in read([(RECORDINGS / "chromium-h264.webm").read_bytes()])
    if isinstance(event, Packet)
]
TRACK = _H264[0].track
_SETS = h264_sets.parse_avcc(TRACK.config)
_SLICE = next(unit for unit in h264.split_lengths(_H264[0].data, 4) if unit[0] & 0x1F == 5)[:40]
H264 = avc(TRACK.config)
_OBU = next(
    event
    for event in read([(RECORDINGS / "chromium-av1.webm").read_bytes()])
    if isinstance(event, Track)
).config[4:]
_MP4 = Mp4Writer(TRACK, 1)


def _blocks(*blocks: bytes) -> Callable[[int], bytes]:
    return lambda size: cluster(0) + again(*blocks)(size)


def _frames(*frames: bytes) -> Callable[[int], bytes]:
    return _blocks(*map(simple, frames))


def _key(width: int) -> bytes:
    return VP8_KEY[:6] + struct.pack("<HH", width, 64)


def _descriptors(size: int) -> bytes:
    esds = full(b"esds", b"\x09\0" * min(size // 2, 2**19 - 2**10))
    mp4a = box(
        b"mp4a", bytes(6), b"\0\1", bytes(8), struct.pack(">HH4xI", 2, 16, 48000 << 16), esds
    )
    return movie(trak(1, entry=mp4a))


def _backwards(size: int) -> bytes:
    """Samples in the order that costs the most to sort."""
    places = range(2**20, 2**20 - min(size // 48, 4000), -1)
    return box(
        b"moof",
        *(
            box(
                b"traf",
                full(b"tfhd", u32(1, 1), flags=0x020010),
                full(b"trun", u32(1, at), flags=1),
            )
            for at in places
        ),
    )


_KEPT = units(*_SETS.sps, *_SETS.pps, _SLICE)

SMALL_PARTS = [
    SmallParts("elements of nothing", VP8, again(VOID)),
    SmallParts("elements with long heads", VP8, again(b"\x10\0\0\1\x01" + bytes(7))),
    SmallParts("clusters", VP8, again(cluster(0)[:4] + b"\xff", cluster(0))),
    SmallParts("timestamps", VP8, again(ebml.element(Id.TIMESTAMP, b"\1"))),
    SmallParts("infos", VP8, again(ebml.element(Id.INFO, b""))),
    SmallParts("infos of nothing", VP8, again(ebml.element(Id.INFO, VOID * 2000))),
    SmallParts(
        "EBML headers", VP8, again(ebml.element(Id.EBML, b""), ebml.element(Id.EBML, VOID * 2000))
    ),
    SmallParts("documents", VP8, again(VP8 + cluster(0, simple(VP8_KEY)))),
    SmallParts("documents with sound", OPUS, again(OPUS + cluster(0, simple(b"\0")))),
    SmallParts("documents of H.264", VP8, again(H264 + cluster(0, simple(units(_SLICE))))),
    SmallParts(
        "documents with many PPS",
        VP8,
        again(avc(h264_sets.build_avcc(_SETS.sps, [pps(number) for number in range(255)]))),
    ),
    SmallParts(
        "documents with many SPS",
        VP8,
        again(avc(h264_sets.build_avcc([sps(number, 5) for number in range(31)], []))),
    ),
    SmallParts("documents with empty NAL units", VP8, again(avc(h264.START_CODE * 4000))),
    SmallParts(
        "tracks of nothing",
        VP8,
        again(ebml.element(Id.TRACKS, entry(1, 1, b"V_VP8", VOID * 4000) * 10)),
    ),
    SmallParts(
        "tracks of other codecs",
        VP8,
        again(ebml.element(Id.TRACKS, (entry(1, 1, b"V_VP8") + entry(2, 1, b"V_X") * 4000))),
    ),
    SmallParts("blocks of no track", VP8, _blocks(simple(b"", track=5))),
    SmallParts("pictures before a keyframe", VP8, _frames(b"\1")),
    SmallParts("pictures", VP8 + cluster(0, simple(VP8_KEY)), again(simple(b"\1", flags=0))),
    SmallParts("keyframes", VP8, _frames(VP8_KEY[:10])),
    SmallParts("keyframes of two sizes", VP8, _frames(_key(64), _key(65))),
    SmallParts(
        "keyframes of VP9",
        VP9,
        _frames(b"\x82\x49\x83\x42\0\0\xf0\0\xf0\0\0\0", b"\x86" + bytes(10)),
    ),
    SmallParts("packets of Opus", OPUS, _frames(b"\0")),
    SmallParts("packets of AAC", AAC, _frames(b"\0")),
    SmallParts(
        "block groups", VP8, _blocks(group(ebml.element(Id.BLOCK, b"\x81\0\0\0" + VP8_KEY)))
    ),
    SmallParts("block groups of nothing", VP8, _blocks(group(VOID * 4096))),
    SmallParts(
        "block groups of durations",
        VP8,
        _blocks(group(ebml.element(Id.BLOCK_DURATION, b"\1") * 4000)),
    ),
    SmallParts("laced packets, Xiph", OPUS, _blocks(simple(b"\xff" + bytes(255), flags=0x82))),
    SmallParts("laced packets, fixed", OPUS, _blocks(simple(b"\xff" + bytes(256), flags=0x84))),
    SmallParts(
        "laced packets, EBML",
        OPUS,
        _blocks(simple(b"\xff\x81" + b"\xbf" * 254 + bytes(256), flags=0x86)),
    ),
    SmallParts(
        "laced sizes",
        OPUS,
        lambda size: cluster(0) + simple(b"\xff" + b"\xff" * (size - 100), flags=0x82),
    ),
    SmallParts(
        "laced NAL units",
        H264 + cluster(0, simple(_KEPT)),
        again(simple(b"\xff" + units(b"\x41") * 256, flags=0x84)),
    ),
    SmallParts(
        "PPS that change",
        H264,
        _frames(*(units(*(pps(number, tail) for number in range(255))) for tail in (0, 1))),
    ),
    SmallParts(
        "SPS that change",
        H264,
        _frames(*(units(*(sps(number, width) for number in range(32))) for width in (5, 6))),
    ),
    SmallParts(
        "SPS with very many numbers", H264, _frames(units(*(slow_sps(width) for width in (4, 5))))
    ),
    SmallParts(
        "long PPS that change",
        H264,
        _frames(*(units(pps(0, tail) + bytes(12_000) + b"\1") for tail in (0, 1))),
    ),
    SmallParts("the same SPS", H264, _frames(units(*_SETS.sps * 4000))),
    SmallParts(
        "keyframes with another PPS",
        H264,
        _frames(*(units(*_SETS.sps, pps(0, tail), _SLICE) for tail in (0, 1))),
    ),
    SmallParts(
        "keyframes with another SPS",
        H264,
        _frames(*(units(sps(0, width), pps(0), _SLICE) for width in (4, 5))),
    ),
    SmallParts("keyframes of H.264", H264, _frames(units(_SLICE))),
    SmallParts("pictures of H.264", H264, _frames(_KEPT, *[units(b"\x41\x9a")] * 1000)),
    SmallParts("slices", H264, _frames(_KEPT, *[units(*[b"\x41"] * 4000)] * 100)),
    SmallParts("delimiters", H264, _frames(b"\0\0\0\1\x09" * 4000)),
    SmallParts("empty NAL units", H264, _frames(bytes(4 * 4000))),
    SmallParts("empty NAL units, start codes", H264, _frames(h264.START_CODE * 4000)),
    SmallParts(
        "NAL units in two forms",
        H264,
        _frames(b"\0\0\0\1\x09" + bytes(4 * 4000) + b"\xff" * 4, units(b"\x09\x10")),
    ),
    SmallParts("OBUs", AV1, _frames(b"\x12\0" * 4000)),
    SmallParts(
        "OBUs with long sizes",
        AV1,
        _frames(b"\x12" + b"\x80" * 7 + b"\0", b"\x12" + b"\x80" * 7 + b"\0" + b"\x12\0" * 1000),
    ),
    SmallParts("keyframes of AV1", AV1, _frames(b"\x12\0" + _OBU + b"\x32\1\0")),
    SmallParts("keyframes of AV1 with another header", AV1, _frames(slow_av1(200), slow_av1(201))),
    SmallParts("boxes of nothing", handmade_init(), again(FREE)),
    SmallParts(
        "boxes with long sizes", handmade_init(), again(struct.pack(">I4sQ", 1, b"uuid", 16))
    ),
    SmallParts("events", handmade_init(), again(box(b"emsg", b"a"))),
    SmallParts("empty mdats", handmade_init(), again(box(b"mdat"))),
    SmallParts("moovs", handmade_init(), again(handmade_init())),
    SmallParts("moovs of H.264", handmade_init(), again(_MP4.init() + _MP4.fragment(_H264[0]))),
    SmallParts(
        "moovs of nothing", handmade_init(), again(movie(trak(1, entry=OPUS_ENTRY), FREE * 4000))
    ),
    SmallParts(
        "tracks of nothing in moovs",
        handmade_init(),
        again(movie(trak(1, entry=OPUS_ENTRY), *[trak(2, edits=FREE * 4000)] * 5)),
    ),
    SmallParts("descriptors", b"", _descriptors),
    SmallParts("moofs", handmade_init(), again(box(b"moof"))),
    SmallParts("moofs of nothing", handmade_init(), again(box(b"moof", FREE * 4000))),
    SmallParts(
        "trafs", handmade_init(), again(box(b"moof", box(b"traf", full(b"tfhd", u32(1))) * 4000))
    ),
    SmallParts(
        "truns",
        handmade_init(),
        again(box(b"moof", box(b"traf", full(b"tfhd", u32(1)), full(b"trun", u32(0)) * 4000))),
    ),
    SmallParts("promises of nothing", handmade_init(), again(moof(MAX_SAMPLES, size=0))),
    SmallParts(
        "promises", handmade_init(), again(moof(MAX_SAMPLES) + box(b"mdat", bytes(MAX_SAMPLES)))
    ),
    SmallParts("samples one by one", handmade_init(), again(moof(1) + box(b"mdat", b"\0"))),
    SmallParts(
        "samples without a size",
        handmade_init(),
        again(moof(MAX_SAMPLES, flags=0x200, rows=bytes(4 * MAX_SAMPLES))),
    ),
    SmallParts(
        "samples of another track",
        movie(trak(1, entry=OPUS_ENTRY), trak(2)),
        again(
            moof(
                MAX_SAMPLES,
                flags=0xF00,
                rows=struct.pack(">IIIi", 1, 1, 0, 0) * MAX_SAMPLES,
                track=2,
            )
        ),
    ),
    SmallParts("samples in the wrong order", handmade_init(), _backwards),
    SmallParts("fragments of one picture", _MP4.init(), again(*map(_MP4.fragment, _H264))),
]
