"""Many who come at the same moment."""

from __future__ import annotations

import asyncio

import pytest

from drawercam import limits
from tests.peers import PATIENCE
from tests.server.test_live import House


async def asks(port: int) -> bytes:
    """What somebody gets who comes and asks at once; nothing if there is no room."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return b""
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_crowd_is_served_or_sent_away_and_nobody_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_DOORS", 4)
    async with House() as house, asyncio.timeout(PATIENCE):
        for _ in range(3):
            answers = await asyncio.gather(*(asks(house.port) for _ in range(100)))
            assert any(answer.endswith(b"ok\n") for answer in answers)
            assert not all(answers), "there is no room for all at once"
        assert (await asks(house.port)).endswith(b"ok\n")
        assert not house.server._doors
