"""A web server that writes what a test or a bench tells it, for cameras that have their own idea of
HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

PARTS = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=%s\r\n\r\n"
"""The head of an answer with pictures behind one another; it lacks the boundary."""


def part(picture: bytes, more: int = 0) -> bytes:
    """A JPEG in such an answer, without the boundary.

    Args:
        more: Bytes by which its length is wrong.
    """
    return (
        b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (len(picture) + more) + picture
    )


@contextlib.asynccontextmanager
async def server(
    answer: Callable[[bytes], Iterator[bytes | float]],
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Gives each request to `answer` and writes what that yields, with pauses where it is a number
    of seconds.

    Yields:
        Its URL, and the requests that have come.
    """
    requests: list[bytes] = []
    visits: set[asyncio.Task[None]] = set()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                requests.append(await reader.readuntil(b"\r\n\r\n"))
                for piece in answer(requests[-1]):
                    if isinstance(piece, float):
                        await asyncio.sleep(piece)
                    else:
                        writer.write(piece)
                        await writer.drain()
        finally:
            writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.add(asyncio.create_task(visit(reader, writer)))

    one = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{one.sockets[0].getsockname()[1]}/video", requests
    finally:
        one.close()
        for task in visits:
            task.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
