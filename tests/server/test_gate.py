"""Many who come at the same moment."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from drawercam import limits
from tests.peers import PATIENCE, Raw
from tests.relays import Relay
from tests.server.test_live import House
from tests.server.test_promises import eventually


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


async def test_who_goes_away_amid_a_handshake_is_no_news(tls_relay: Relay) -> None:
    """Phones that do not trust the certificate, checks whether the port is open, and programs that speak no TLS."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    said = tls_relay.output
    for begin in (b"", hello[:100], hello, b"GET / HTTP/1.0\r\n\r\n"):
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", tls_relay.port)
            writer.write(begin)
            writer.write_eof()
            await reader.read()  # up to its end: the relay has noticed
            writer.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("localhost", tls_relay.port, ssl=ssl.create_default_context())
    async with await Raw.open(tls_relay) as raw:
        assert await raw.request(tls_relay, "/nothing") == 404
    await eventually(lambda: "nothing at this address" in tls_relay.output, "it says what it has to say")
    # The last line feed of its first words may come late.
    news = [line for line in tls_relay.output.removeprefix(said).splitlines() if line]
    assert len(news) == 1, news


async def test_a_crowd_is_served_or_sent_away_and_nobody_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_DOORS", 4)
    async with House() as house, asyncio.timeout(PATIENCE):
        for _ in range(3):
            answers = await asyncio.gather(*(asks(house.port) for _ in range(100)))
            assert any(answer.endswith(b"ok\n") for answer in answers)
            assert not all(answers), "there is no room for all at once"
        assert (await asks(house.port)).endswith(b"ok\n")
        assert not house.server._doors
