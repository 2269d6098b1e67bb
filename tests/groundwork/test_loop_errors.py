"""What the relay keeps from the terminal, and what not."""

from __future__ import annotations

import asyncio
import logging
import ssl

import pytest

from groundwork import loop_errors as faults

CLOSED = (
    "unable to perform operation on <TCPTransport closed=True reading=False 0x556fd4c32c90>; "
    "the handler is closed"
)


@pytest.mark.parametrize(
    ("message", "exception", "said"),
    [
        ("SSL handshake failed", ConnectionResetError, ""),
        ("Fatal error on SSL protocol", RuntimeError(CLOSED), ""),
        ("Fatal error on SSL protocol", ssl.SSLError(1, "internal error"), "internal error"),
        ("Exception in callback", RuntimeError("a mistake of ours"), "a mistake of ours"),
        ("Task was destroyed but it is pending!", None, "was destroyed"),
    ],
)
async def test_known_faults_are_kept_and_no_others(
    caplog: pytest.LogCaptureFixture, message: str, exception: object, said: str
) -> None:
    caplog.set_level(logging.DEBUG, "asyncio")
    caplog.clear()
    faults.unhandled(asyncio.get_running_loop(), {"message": message, "exception": exception})
    assert bool(caplog.text) == bool(said) and said in caplog.text


async def test_our_own_mistakes_in_callbacks_are_told(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(faults.unhandled)
    loop.call_soon(lambda: [][0])
    await asyncio.sleep(0.01)
    loop.set_exception_handler(None)
    assert "IndexError" in caplog.text
