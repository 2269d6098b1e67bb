"""At which of this computer's addresses a connection was made."""

from __future__ import annotations

import asyncio
import socket


def own_address(connection: asyncio.BaseTransport | socket.socket | None) -> str | None:
    """The IP address of this end of a connection; None where it has none, or has gone."""
    if connection is None:
        return None
    if isinstance(connection, socket.socket):
        return _address(connection.getsockname())
    return _address(connection.get_extra_info("sockname"))


def _address(name: object) -> str | None:
    return str(name[0]) if isinstance(name, tuple) else None
