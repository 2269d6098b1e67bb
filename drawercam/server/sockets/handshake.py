"""The answer to a WebSocket's handshake (RFC 6455 section 4.2)."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

S = TypeVar("S")


def answer(
    protocol: ServerProtocol,
    head: bytes,
    route: Callable[[Request], S | Response],
    unfit: Callable[[int], Response],
) -> tuple[S | None, bytes]:
    """Answer a handshake. What is to be sent is in the protocol, or else returned.

    Args:
        protocol: In its initial state.
        head: The whole head of the request, and nothing else.
        route: Says what a request is for, or refuses it.
        unfit: Makes the answer to what is no handshake, and for which this is the status.

    Returns:
        What it is for, if it was accepted; what is to be sent where the protocol has given up,
        after which the connection ends.
    """
    protocol.receive_data(head)
    requests = [event for event in protocol.events_received() if isinstance(event, Request)]
    if not requests:
        said = b"".join(
            protocol.data_to_send()
        )  # what is too large, or nothing where it is no HTTP
        status = int(said.split(b" ", 2)[1]) if said else HTTPStatus.BAD_REQUEST
        return None, unfit(status).serialize()
    found = route(requests[0])
    if isinstance(found, Response):
        protocol.send_response(found)
        return None, b""
    response = protocol.accept(requests[0])
    if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        response = unfit(response.status_code)
    protocol.send_response(response)
    return (found if protocol.state is State.OPEN else None), b""
