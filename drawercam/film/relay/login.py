"""Getting in: a key is exchanged for a cookie, as the pages do it, and a socket is opened with
that.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import Callable

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from drawercam.protocol.messages import SUBPROTOCOL

from .address import Address

# Seconds for a request, and for a handshake.
_DEADLINE = 5.0

# Bytes of an answer that are read: a relay's has some hundred.
_MAX_ANSWER = 64 * 2**10

# Bytes of one message from the relay; its texts are small (docs/protocol.md).
_MAX_MESSAGE = 64 * 2**10

# Bytes that the kernel takes without having sent them: it would hide seconds of a slow network.
_UNSENT = 64 * 2**10

# Seconds that a good-bye may take.
_CLOSE_DEADLINE = 1.0

# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH (x509_vfy.h): the certificate is a
# good one, but not for this.
_OF_ANOTHER = (62, 64)

log = logging.getLogger(__name__)


class Unreachable(Exception):
    """The relay is not there now. It may come back. The text is a sentence."""


class Refused(Exception):
    """The relay does not let this camera in, and will not as long as nobody changes something.

    The text is a sentence.
    """


Look = Callable[[], tuple[Address, str, ssl.SSLContext | None]]
"""Where the relay is, the key to show, and whom to believe. May raise OSError."""


class Entry:
    """The door of one relay for one camera."""

    def __init__(
        self,
        address: Address,
        name: str,
        key: str,
        context: ssl.SSLContext | None,
        look: Look | None = None,
    ) -> None:
        """
        Args:
            address: Where the relay is.
            name: The camera's.
            key: The key to show; empty without one.
            context: Whom to believe over https; None where the relay speaks http.
            look: Gives address, key and context anew before each try, because the relay of this
                computer may be elsewhere by then.
        """
        self._address = address
        self._name = name
        self._key = key
        self._context = context
        self._look = look
        self._cookie = ""
        self._been_in = False

    async def open(self) -> ClientConnection:
        """Open a socket.

        Raises:
            Unreachable, Refused: See there.
        """
        try:
            if self._look is not None:
                before = self._address
                self._address, self._key, self._context = await asyncio.to_thread(self._look)
                if self._address != before:
                    self._cookie = ""  # what was given by https must not be shown by http
            if not self._cookie and self._key:
                self._cookie = await self._exchange(self._key)
            connection = await self._dial()
        except (ssl.SSLCertVerificationError, aiohttp.ClientConnectorCertificateError) as error:
            cause = (
                error.certificate_error
                if isinstance(error, aiohttp.ClientConnectorCertificateError)
                else error
            )
            sentence = self._distrust(cause)
            # One that was trusted before is being renewed.
            raise (Unreachable(sentence) if self._been_in else Refused(sentence)) from None
        except (OSError, WebSocketException, aiohttp.ClientError, EOFError) as error:
            raise Unreachable(
                f"The relay at {self._address.origin} does not answer{_why(error)}. It is "
                "tried again until it does."
            ) from None
        self._been_in = True
        return connection

    async def _dial(self) -> ClientConnection:
        try:
            # The relay sends its own pings; a proxy for the Web is none for the house.
            connection = await connect(
                f"{self._address.socket}/camera/{self._name}",
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers={"Cookie": self._cookie} if self._cookie else None,
                ssl=self._context if self._address.tls else None,
                compression=None,
                proxy=None,
                open_timeout=_DEADLINE,
                close_timeout=_CLOSE_DEADLINE,
                ping_interval=None,
                max_size=_MAX_MESSAGE,
                # So that a message counts as waiting until the kernel has it (connection.py); TLS
                # of asyncio hangs with 0.
                write_limit=1,
            )
        except InvalidStatus as error:
            self._sort_out(error.response.status_code, bytes(error.response.body or b""))
            raise
        plain = connection.transport.get_extra_info("socket")
        if plain is not None and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        return connection

    def _sort_out(self, status: int, body: bytes) -> None:
        """Make a sentence of a refusal."""
        text = _text_of(body)
        match status:
            case 401 if self._cookie:
                # The key was revoked, or the relay has others now: showing it again will tell.
                self._cookie = ""
                raise Unreachable(
                    "The relay does not know this camera any more. Its key is shown again."
                )
            case 401:
                raise Refused(
                    f"The relay at {self._address.origin} asks for a key: give --relay the "
                    "whole link for filming that it prints, or --key."
                )
            case 403:
                raise Refused(f"The key does not allow to film as {self._name}. {text}")
            case 421:
                raise Refused(f"The relay does not answer to the name {self._address.host}. {text}")
            case 400 | 404 | 405 | 426 | 501:
                raise Refused(
                    f"What answers at {self._address.origin} is no such relay, or another "
                    f"version of it (status {status}). {text}"
                )
            case _:
                raise Unreachable(
                    f"The relay does not let this camera in just now (status {status}). {text}"
                )

    async def _exchange(self, key: str) -> str:
        """Show the key; returns the cookie, as a header's value.

        Without keys the relay gives none.
        """
        tls = self._context if self._address.tls else None
        limit = aiohttp.ClientTimeout(total=_DEADLINE)
        async with (
            aiohttp.ClientSession(
                timeout=limit, connector=aiohttp.TCPConnector(ssl=tls or True)
            ) as session,
            session.post(
                f"{self._address.origin}/api/session",
                json={"key": key.strip().lower()},
                allow_redirects=False,
            ) as answer,
        ):
            if answer.status == 401:
                raise Refused(
                    f"The relay at {self._address.origin} does not know this key. Was it "
                    "revoked, or is it another relay's?"
                )
            if answer.status != 200:
                self._sort_out(answer.status, await answer.content.read(_MAX_ANSWER))
            return "; ".join(
                f"{morsel.key}={morsel.value}" for morsel in answer.cookies.values() if morsel.value
            )

    def _distrust(self, error: BaseException) -> str:
        origin = self._address.origin
        why = getattr(error, "verify_message", "") or str(error)
        if getattr(error, "verify_code", 0) in _OF_ANOTHER:
            return (
                f"{why.rstrip('.')}. Give an address that the relay prints, or its computer's "
                "name with .local at the end."
            )
        return (
            f"The certificate of {origin} is not trusted ({why}). Copy certs/ca.crt from "
            "the state folder of the relay's computer, "
            f"or save {origin}/ca.crt and compare its SHA-256 with what the relay prints; "
            "then add --ca ca.crt."
        )


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return " in time"
    inner = getattr(error, "os_error", error)
    reason = getattr(inner, "strerror", None) or str(inner)
    return f" ({reason})" if reason else ""


def _text_of(body: bytes) -> str:
    """The sentence in a relay's refusal (docs/protocol.md, "HTTP")."""
    try:
        text = json.loads(body)["text"]
    except (ValueError, KeyError, TypeError):
        return ""
    return text if isinstance(text, str) and text.isprintable() else ""
