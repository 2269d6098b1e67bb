"""A camera of the network for tests: RTSP 1.0 (RFC 2326), one stream of H.264 (RFC 6184) or H.265
(RFC 7798), RTP inside its connection (10.12) or over UDP.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence

from drawercam.media.codecs.h264 import split_annexb

# RFC 6184 section 8.2.1: the clock of H.264. RFC 3550 section 5.1: it begins anywhere.
_CLOCK = 90_000
_BEGIN = 1_234_567
_PAYLOAD = 96

# Bytes of a packet. A unit that is longer comes in fragments (RFC 6184 section 5.8, RFC 7798
# section 4.4.3).
_MTU = 1400


@contextlib.asynccontextmanager
async def camera(
    pictures: Sequence[bytes],
    rate: float,
    refusal: str = "",
    sent: Callable[[int], None] | None = None,
    hevc: bool = False,
) -> AsyncIterator[str]:
    """Plays the pictures (Annex B) over and over to each visitor, and hangs up in the end.

    Args:
        hevc: They are H.265.
        refusal: What it answers when RTP is to come inside the connection, such as ``461
            Unsupported Transport``; then it wants UDP.
        sent: Called when a picture goes out, with its number.

    Yields:
        Its URL.
    """

    visitors: set[asyncio.StreamWriter] = set()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitors.add(writer)
        playing: asyncio.Task[None] | None = None
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

        def inside(packet: bytes) -> None:
            writer.write(b"$\0" + struct.pack(">H", len(packet)) + packet)

        send: Callable[[bytes], object] = inside
        try:
            while request := (await reader.readuntil(b"\r\n\r\n")).decode():
                method = request.split(" ", 1)[0]
                number = next(
                    line for line in request.split("\r\n") if line.lower().startswith("cseq:")
                )
                status, body, extra = "200 OK", "", ""
                if method == "DESCRIBE":
                    body, extra = (
                        _description(pictures[0], hevc),
                        "Content-Type: application/sdp\r\n",
                    )
                elif method == "SETUP" and refusal:
                    if port := re.search(r"client_port=(\d+)", request):
                        datagrams.bind(("127.0.0.1", 0))
                        datagrams.connect(("127.0.0.1", int(port[1])))
                        send = datagrams.send
                        mine = datagrams.getsockname()[1]
                        extra = (
                            "Transport: "
                            f"RTP/AVP;unicast;client_port={port[1]};server_port={mine}-{mine + 1}\r\n"
                        )
                    else:
                        status = refusal
                elif method == "SETUP":
                    extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
                session = (
                    "Session: 1\r\n"
                    if method != "OPTIONS"
                    else "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
                )
                writer.write(
                    (
                        f"RTSP/1.0 {status}\r\n{number}\r\n{session}{extra}Content-Length: "
                        f"{len(body)}\r\n\r\n{body}"
                    ).encode()
                )
                if method == "PLAY":
                    playing = asyncio.create_task(_play(send, pictures, rate, sent, hevc))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if playing is not None:
                playing.cancel()
            datagrams.close()
            writer.close()

    server = await asyncio.start_server(visit, "127.0.0.1", 0)
    try:
        yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/1"
    finally:
        server.close()
        for writer in visitors:
            writer.close()


def _description(first: bytes, hevc: bool) -> str:
    units = [
        (unit[0] >> 1 & 0x3F if hevc else unit[0] & 0x1F, base64.b64encode(unit).decode())
        for unit in split_annexb(first)
    ]
    if hevc:
        names = {32: "vps", 33: "sps", 34: "pps"}
        sprop = ";".join(f"sprop-{names[kind]}={unit}" for kind, unit in units if kind in names)
    else:
        sprop = "packetization-mode=1;sprop-parameter-sets=" + ",".join(
            unit for kind, unit in units if kind in (7, 8)
        )
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=test",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        f"m=video 0 RTP/AVP {_PAYLOAD}",
    ]
    lines += [
        f"a=rtpmap:{_PAYLOAD} {'H265' if hevc else 'H264'}/{_CLOCK}",
        f"a=fmtp:{_PAYLOAD} {sprop}",
    ]
    return "\r\n".join([*lines, "a=control:track1", ""])


def payloads(unit: bytes, hevc: bool) -> list[bytes]:
    """A NAL unit as it lies in packets."""
    if len(unit) <= _MTU:
        return [unit]
    if hevc:
        head, kind, body = bytes((unit[0] & 0x81 | 49 << 1, unit[1])), unit[0] >> 1 & 0x3F, unit[2:]
    else:
        head, kind, body = bytes((unit[0] & 0xE0 | 28,)), unit[0] & 0x1F, unit[1:]
    parts = [body[at : at + _MTU] for at in range(0, len(body), _MTU)]
    marks = [0x80, *[0] * (len(parts) - 2), 0x40]  # the first, the last
    return [head + bytes((mark | kind,)) + part for mark, part in zip(marks, parts, strict=True)]


async def _play(
    send: Callable[[bytes], object],
    pictures: Sequence[bytes],
    rate: float,
    sent: Callable[[int], None] | None,
    hevc: bool,
) -> None:
    sequence = 0
    for number, picture in enumerate(itertools.cycle(pictures)):
        if sent is not None:
            sent(number)
        payload = [part for unit in split_annexb(picture) for part in payloads(unit, hevc)]
        for place, part in enumerate(payload, 1):
            # RFC 3550 section 5.1: version 2; the marker stands on the last packet of a picture.
            marker = 0x80 if place == len(payload) else 0
            moment = (_BEGIN + round(number * _CLOCK / rate)) & 0xFFFFFFFF
            send(
                struct.pack(">BBHII", 0x80, marker | _PAYLOAD, sequence & 0xFFFF, moment, 1) + part
            )
            sequence += 1
        await asyncio.sleep(1 / rate)
