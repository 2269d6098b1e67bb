"""A camera of the network for tests: RTSP 1.0 (RFC 2326) with RTP inside its connection (10.12), one H.264 stream (RFC 6184)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import struct
from collections.abc import AsyncIterator, Sequence

from drawercam.media.h264 import split_annexb

# RFC 6184 section 8.2.1: the clock of H.264.
_CLOCK = 90_000
_PAYLOAD = 96


@contextlib.asynccontextmanager
async def camera(pictures: Sequence[bytes], rate: int) -> AsyncIterator[str]:
    """Plays the pictures (Annex B, no NAL unit over 64 KiB) over and over to each who comes.

    Yields:
        Its URL.
    """

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        playing: asyncio.Task[None] | None = None
        try:
            while request := (await reader.readuntil(b"\r\n\r\n")).decode():
                method = request.split(" ", 1)[0]
                number = next(line for line in request.split("\r\n") if line.lower().startswith("cseq:"))
                body, extra = "", ""
                if method == "DESCRIBE":
                    body, extra = _description(pictures[0]), "Content-Type: application/sdp\r\n"
                elif method == "SETUP":
                    extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
                session = "Session: 1\r\n" if method != "OPTIONS" else "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
                writer.write(f"RTSP/1.0 200 OK\r\n{number}\r\n{session}{extra}Content-Length: {len(body)}\r\n\r\n{body}".encode())
                if method == "PLAY":
                    playing = asyncio.create_task(_play(writer, pictures, rate))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if playing is not None:
                playing.cancel()
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


async def _play(writer: asyncio.StreamWriter, pictures: Sequence[bytes], rate: int) -> None:
    sequence = 0
    for number, picture in enumerate(itertools.cycle(pictures)):
        units = split_annexb(picture)
        for unit in units:
            # RFC 3550 section 5.1: version 2; the marker stands on the last packet of a picture.
            marker = 0x80 if unit is units[-1] else 0
            packet = struct.pack(">BBHII", 0x80, marker | _PAYLOAD, sequence & 0xFFFF, number * _CLOCK // rate, 1) + unit
            writer.write(b"$\0" + struct.pack(">H", len(packet)) + packet)
            sequence += 1
        await asyncio.sleep(1 / rate)
