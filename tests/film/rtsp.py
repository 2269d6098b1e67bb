"""A camera of the network for tests: RTSP 1.0 (RFC 2326), one H.264 stream (RFC 6184), RTP inside its connection (10.12) or over UDP."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence

from drawercam.media.h264 import split_annexb

# RFC 6184 section 8.2.1: the clock of H.264.
_CLOCK = 90_000
_PAYLOAD = 96


@contextlib.asynccontextmanager
async def camera(
    pictures: Sequence[bytes], rate: float, refusal: str = "", sent: Callable[[int], None] | None = None
) -> AsyncIterator[str]:
    """Plays the pictures (Annex B, no NAL unit over 64 KiB) over and over to each visitor.

    Args:
        refusal: What it answers when RTP is to come inside the connection, such as ``461 Unsupported Transport``; then it wants UDP.
        sent: Called when a picture goes out, with its number.

    Yields:
        Its URL.
    """

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        playing: asyncio.Task[None] | None = None
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

        def inside(packet: bytes) -> None:
            writer.write(b"$\0" + struct.pack(">H", len(packet)) + packet)

        send: Callable[[bytes], object] = inside
        try:
            while request := (await reader.readuntil(b"\r\n\r\n")).decode():
                method = request.split(" ", 1)[0]
                number = next(line for line in request.split("\r\n") if line.lower().startswith("cseq:"))
                status, body, extra = "200 OK", "", ""
                if method == "DESCRIBE":
                    body, extra = _description(pictures[0]), "Content-Type: application/sdp\r\n"
                elif method == "SETUP" and refusal:
                    if port := re.search(r"client_port=(\d+)", request):
                        datagrams.bind(("127.0.0.1", 0))
                        datagrams.connect(("127.0.0.1", int(port[1])))
                        send = datagrams.send
                        mine = datagrams.getsockname()[1]
                        extra = f"Transport: RTP/AVP;unicast;client_port={port[1]};server_port={mine}-{mine + 1}\r\n"
                    else:
                        status = refusal
                elif method == "SETUP":
                    extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
                session = "Session: 1\r\n" if method != "OPTIONS" else "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
                writer.write(f"RTSP/1.0 {status}\r\n{number}\r\n{session}{extra}Content-Length: {len(body)}\r\n\r\n{body}".encode())
                if method == "PLAY":
                    playing = asyncio.create_task(_play(send, pictures, rate, sent))
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


def _description(first: bytes) -> str:
    sets = [unit for unit in split_annexb(first) if unit[0] & 0x1F in (7, 8)]
    sprop = ",".join(base64.b64encode(unit).decode() for unit in sets)
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=test", "c=IN IP4 0.0.0.0", "t=0 0", f"m=video 0 RTP/AVP {_PAYLOAD}"]
    lines += [f"a=rtpmap:{_PAYLOAD} H264/{_CLOCK}", f"a=fmtp:{_PAYLOAD} packetization-mode=1;sprop-parameter-sets={sprop}"]
    return "\r\n".join([*lines, "a=control:track1", ""])


async def _play(send: Callable[[bytes], object], pictures: Sequence[bytes], rate: float, sent: Callable[[int], None] | None) -> None:
    sequence = 0
    for number, picture in enumerate(itertools.cycle(pictures)):
        units = split_annexb(picture)
        if sent is not None:
            sent(number)
        for unit in units:
            # RFC 3550 section 5.1: version 2; the marker stands on the last packet of a picture.
            marker = 0x80 if unit is units[-1] else 0
            packet = struct.pack(">BBHII", 0x80, marker | _PAYLOAD, sequence & 0xFFFF, round(number * _CLOCK / rate), 1) + unit
            send(packet)
            sequence += 1
        await asyncio.sleep(1 / rate)
