"""What the fuzzers begin with: small pieces of the real recordings, and the words of the formats.

Made anew for each run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from drawercam.media.codecs.h264_sets import parse_avcc
from drawercam.media.containers.detect import StreamReader, writer
from drawercam.media.containers.matroska import Id
from drawercam.media.packets import Codec, Packet, Track
from tests.fuzz.targets import VOCABULARIES
from tests.media.samples import recordings

# Bytes of one seed at most: short inputs are run often.
MAX_SEED = 2_000

# Frames of each track.
_FRAMES = 4


def seeds(target: str) -> Iterator[bytes]:
    """First inputs for a target of that name."""
    match target:
        case "webm" | "mp4" | "stream":
            for stream in _streams():
                if target == "stream" or (target == "webm") == stream.startswith(
                    b"\x1a\x45\xdf\xa3"
                ):
                    yield b"\x10" + stream
        case "h264-frames":
            for track, packets in _tracks():
                if track.codec is Codec.H264:
                    yield _pieces(track.config, *(packet.data for packet in packets))
                    yield _pieces(
                        b"",
                        b"\0\0\0\1"
                        + b"\0\0\1".join((*_parameter_sets(track.config), packets[0].data[4:])),
                    )
        case "h264-sets":
            for track, _ in _tracks():
                if track.codec is Codec.H264:
                    yield track.config
                    yield from _parameter_sets(track.config)
        case "pictures":
            for track, packets in _tracks():
                if track.codec in (Codec.VP8, Codec.VP9, Codec.AV1):
                    yield packets[0].data[:64]
        case "sound":
            yield from (
                track.config for track, _ in _tracks() if track.codec in (Codec.AAC, Codec.OPUS)
            )
        case "message":
            for number, vocabulary in enumerate(VOCABULARIES):
                yield from (
                    bytes([number])
                    + json.dumps({"type": kind, **_OF_ONE.get(kind, _FIELDS)}).encode()
                    for kind in vocabulary
                )
        case "request":
            for path, extra in (
                ("/player.html", ""),
                ("/camera/porch", "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
            ):
                yield f"\x07GET {path} HTTP/1.1\r\nHost: localhost\r\n{extra}\r\n".encode()
        case "camera":
            # Policy; a stream, a viewer, and then a film goes on.
            for film in range(len(recordings())):
                yield (
                    bytes((0, 0, 2, 0, 0, 0, 1, 4, 0, 0))
                    + bytes((0, 0, film, 255)) * 3
                    + bytes((6, 0, 0x10, 0, 0, 0, film, 50))
                )


# A value for every field of every message.
_FIELDS: dict[str, Any] = {
    "stream": 1,
    "mime": "video/webm",
    "at": 5,
    "delay": 7,
    "keyframes": True,
    "encode": 9,
} | {
    "state": "live",
    "reason": "viewers",
    "t": 1.5,
    "codec": "vp8",
}

# Two messages have fields of the same names and other types.
_TURNS: dict[str, Any] = {
    "pan": {"min": -90, "max": 90, "step": 1, "now": 5},
    "zoom": {"min": 1, "max": 4},
}
_OF_ONE: dict[str, dict[str, Any]] = {"turns": _TURNS, "orient": {"pan": 5, "zoom": 2}}


def words(target: str) -> list[bytes]:
    """Words that a mutation may put in."""
    match target:
        case "webm":
            return [
                value.to_bytes((value.bit_length() + 7) // 8, "big")
                for name, value in vars(Id).items()
                if name.isupper()
            ]
        case "mp4":
            return (
                b"ftyp moov moof mdat traf trun tfhd tfdt trak mvex trex stsd avc1 vp09 mp4a "
                b"Opus esds dOps edts elst sidx"
            ).split()
        case "stream":
            return words("webm") + words("mp4")
        case "message":
            names = {name for vocabulary in VOCABULARIES for name in vocabulary} | {
                *_FIELDS,
                *_TURNS,
                *_TURNS["pan"],
            }
            return [f'"{name}"'.encode() for name in sorted(names)] + [
                b"null",
                b"true",
                b"NaN",
                b"1e400",
                b"[",
                b"{",
                b'"\\ud800"',
            ]
        case "request":
            return [b"\r\n\r\n", b"\r\nUpgrade: websocket\r\n", b"upgrade", b"GET / HTTP/1.1"]
    return []


def _streams() -> Iterator[bytes]:
    """The beginnings of recordings, and all their tracks written as viewers get them."""
    for recording in recordings():
        yield recording.data[:MAX_SEED]
    for track, packets in _tracks():
        out = writer(track, 1, 0)
        yield out.init() + b"".join(map(out.fragment, packets))


def _tracks() -> Iterator[tuple[Track, list[Packet]]]:
    """Every track of every recording with its shortest frames after the first."""
    for recording in recordings():
        events = StreamReader().feed(recording.data)
        packets = [event for event in events if isinstance(event, Packet)]
        for track in dict.fromkeys(packet.track for packet in packets):
            first, *rest = [packet for packet in packets if packet.track == track]
            yield (
                track,
                [
                    first,
                    *sorted(
                        sorted(rest, key=lambda one: len(one.data))[: _FRAMES - 1],
                        key=lambda one: one.timestamp,
                    ),
                ],
            )


def _parameter_sets(avcc: bytes) -> list[bytes]:
    record = parse_avcc(avcc)
    return [*record.sps, *record.pps]


def _pieces(*pieces: bytes) -> bytes:
    """As targets.Choices.pieces takes them apart."""
    return b"".join(bytes([len(piece[:255])]) + piece[:255] for piece in pieces)
