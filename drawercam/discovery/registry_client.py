"""Tells a registry where this relay is, again and again, and never disturbs the relay."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import random
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from groundwork import tasks
from ip_registry.messages import (
    HEARTBEAT,
    MAX_BODY,
    Announcement,
    authorization,
    is_origin,
    path_of,
)

log = logging.getLogger(__name__)

# Seconds that one request may take; a registry in the same house answers in milliseconds.
REQUEST_DEADLINE = 5.0

# Seconds for the good-bye: the whole relay stops within two.
GOODBYE_BUDGET = 1.0

# Seconds before the first new try, and at most before any: less than a heartbeat, so that a
# registry that was restarted knows soon.
FIRST_DELAY = 1.0
LONGEST_DELAY = 8.0

# Times that one announcement is signed: with the nonce that we have, and with the ones that the
# registry then says. More than two are needed only when several new relays come in the same moment.
_MOST_SIGNATURES = 4

# Bytes of a certificate authority, and of a list of a hundred relays.
_MAX_CERTIFICATE = 64 * 2**10
_MAX_LIST = 512 * 2**10

_PIN = re.compile(r"sha256=((?:[0-9A-F]{2}:?){31}[0-9A-F]{2})", re.IGNORECASE)


class Unanswered(Exception):
    """The registry gave no answer of use. The text is a sentence."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a registry is.

    Attributes:
        origin: Such as ``https://192.168.1.2:8099``.
        pin: SHA-256 of its certificate authority, 64 hexadecimal characters in lower case; empty to
            trust whom the system trusts.
    """

    origin: str
    pin: str = ""

    @classmethod
    def parse(cls, url: str) -> Address:
        """
        Args:
            url: ``http://host:8099``, ``https://host:8099``, or the latter with
                ``#sha256=AB:CD:...``.

        Raises:
            ValueError: It is none of them; the text is a sentence.
        """
        address, _, fragment = url.strip().partition("#")
        parts = urlsplit(address.rstrip("/"))
        origin = f"{parts.scheme}://{parts.netloc.lower()}"
        if address.rstrip("/").lower() != origin or not is_origin(origin):
            raise ValueError(
                f"{url!r} is no address of a registry: it must look like http://192.168.1.2:8099."
            )
        if not fragment:
            return cls(origin)
        found = _PIN.fullmatch(fragment)
        if found is None or parts.scheme != "https":
            raise ValueError(
                f"{url!r}: behind the # of an https address belongs sha256= and the "
                "fingerprint that the registry prints."
            )
        return cls(origin, found[1].replace(":", "").lower())


class RegistryClient:
    """A registry somewhere in the network. Use it with `async with`."""

    def __init__(self, address: Address, secret: str = "") -> None:
        """
        Args:
            secret: Needed to announce, not to ask.
        """
        self.address = address
        self._secret = secret
        timeout = aiohttp.ClientTimeout(total=REQUEST_DEADLINE)
        self._session = aiohttp.ClientSession(timeout=timeout)
        # Made from the pinned authority, once it was fetched.
        self._context: ssl.SSLContext | None = None
        self._nonce = "0" * 32  # the registry says another one

    async def __aenter__(self) -> RegistryClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def announce(self, announcement: Announcement) -> None:
        """
        Raises:
            Unanswered: It was not understood or not believed, or nobody is there.
        """
        await self._signed("POST", announcement.name, announcement.body())

    async def leave(self, name: str) -> None:
        """As `announce`."""
        await self._signed("DELETE", name, b"")

    async def relays(self) -> list[dict[str, Any]]:
        """The relays that are there, as the registry describes them: ``name``, ``urls``,
        ``fingerprint``.

        Raises:
            Unanswered: See `announce`.
        """
        status, answer = await self._request("GET", "/api/relays", limit=_MAX_LIST)
        found = answer.get("relays")
        if status != 200 or not isinstance(found, list):
            raise Unanswered(f"What answers at {self.address.origin} is no registry.")
        return [one for one in found if isinstance(one, dict) and one.get("alive") is True]

    async def _signed(self, method: str, name: str, body: bytes) -> None:
        path = path_of(name)
        status = 0
        answer: dict[str, Any] = {}
        for _ in range(_MOST_SIGNATURES):
            header = authorization(self._secret, method, path, self._nonce, body)
            status, answer = await self._request(
                method, path, body, {"Authorization": header, "Content-Type": "application/json"}
            )
            nonce = answer.get("nonce")
            if isinstance(nonce, str) and re.fullmatch("[0-9a-f]{32}", nonce):
                self._nonce = nonce
            if answer.get("error") != "stale-nonce":
                break
        if status == 200 or (
            status == 404 and method == "DELETE" and answer.get("error") == "unknown-relay"
        ):
            return
        text = answer.get("text")
        if not isinstance(text, str) or not text.isprintable():
            raise Unanswered(
                f"What answers at {self.address.origin} is no registry (status {status})."
            )
        raise Unanswered(f"The registry at {self.address.origin} refuses: {text[:200]}")

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        limit: int = MAX_BODY,
    ) -> tuple[int, dict[str, Any]]:
        try:
            context = await self._trusted()
            async with self._session.request(
                method,
                self.address.origin + path,
                data=body or None,
                headers=headers,
                ssl=context or True,
                allow_redirects=False,
            ) as response:
                answer = json.loads(await _read(response, limit))
                return response.status, answer if isinstance(answer, dict) else {}
        except aiohttp.ClientConnectorCertificateError as error:
            self._context = None  # it may have another authority now; the pin decides
            raise Unanswered(
                f"The registry's certificate at {self.address.origin} is not trusted "
                f"({_reason(error.certificate_error)}). Start this "
                "relay with the address that the registry prints, with the fingerprint "
                "behind its #."
            ) from None
        except aiohttp.ClientError as error:
            raise Unanswered(
                f"There is no registry at {self.address.origin} ({_reason(error)})."
            ) from None
        except TimeoutError:
            raise Unanswered(f"The registry at {self.address.origin} does not answer.") from None
        except (OSError, ValueError, RecursionError):
            raise Unanswered(f"What answers at {self.address.origin} is no registry.") from None

    async def _trusted(self) -> ssl.SSLContext | None:
        """Trust for https: in what was signed by the authority with the pinned fingerprint. None:
        whom the system trusts.

        The authority's certificate is fetched over a connection that proves nothing. That is all
        right, because its fingerprint does.
        """
        if not self.address.pin or self._context is not None:
            return self._context
        async with self._session.get(
            f"{self.address.origin}/ca.crt", ssl=False, allow_redirects=False
        ) as response:
            pem = await _read(response, _MAX_CERTIFICATE)
        try:
            der = ssl.PEM_cert_to_DER_cert(pem.decode().strip())
        except ValueError:
            der = b""
        if hashlib.sha256(der).hexdigest() != self.address.pin:
            raise Unanswered(
                f"The registry at {self.address.origin} has another certificate authority "
                "than the one whose fingerprint was given."
            )
        self._context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(der))
        return self._context


class Announcer:
    """The relay's heartbeat."""

    def __init__(
        self, address: Address, secret: str, facts: Callable[[], Announcement | None]
    ) -> None:
        """
        Args:
            address: Where the registry is.
            secret: Shared with it.
            facts: Where this relay is now; None when it is in no network. Asked before every
                announcement.
        """
        self._address = address
        self._secret = secret
        self._facts = facts
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._complaint: str | None = (
            # What was said last about the registry; "" before anything was, None when all is well.
            ""
        )
        self._name = ""  # under which it knows us
        self._ending = False

    def start(self) -> None:
        """Begin; returns at once."""
        self._task = asyncio.create_task(self._run(), name="announcer")

    def changed(self) -> None:
        """The facts have changed: announce them now."""
        self._look.set()

    async def stop(self) -> None:
        """Say good-bye, within GOODBYE_BUDGET seconds; what is being said now is said to its end,
        or it would be unknown what was heard.
        """
        self._ending = True
        self._look.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=GOODBYE_BUDGET)
        await tasks.end(self._task)
        self._task = None

    async def _run(self) -> None:
        async with RegistryClient(self._address, self._secret) as registry:
            failures = 0
            while not self._ending:
                self._look.clear()
                failures = 0 if await self._announce(registry) else failures + 1
                pause = (
                    HEARTBEAT
                    if failures == 0
                    else min(LONGEST_DELAY, FIRST_DELAY * 2 ** (failures - 1))
                )
                await tasks.happens(self._look, pause * random.uniform(0.75, 1))
            if self._name and self._complaint is None:
                with contextlib.suppress(Unanswered):
                    await registry.leave(self._name)

    async def _announce(self, registry: RegistryClient) -> bool:
        try:
            facts = self._facts()
            if facts is None:
                return True  # in no network: there is nobody to tell, and nothing to tell
            await registry.announce(facts)
            self._name = facts.name
        except Unanswered as problem:
            self._says(str(problem))
            return False
        except Exception:
            # A fault here may cost the registry, and never the relay.
            log.exception("The relay cannot announce itself.")
            return False
        self._says(None)
        return True

    def _says(self, complaint: str | None) -> None:
        """Once when it goes wrong, once when it goes another way, once when all is well."""
        if complaint == self._complaint:
            return
        self._complaint = complaint
        if complaint is None:
            log.info("The registry at %s knows where this relay is.", self._address.origin)
        else:
            log.warning("%s The relay works on, and tries again.", complaint)


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """A body of so many bytes at most; what answers may not be what we take it for.

    Raises:
        ValueError: It is longer.
    """
    body = b""
    async for piece in response.content.iter_chunked(limit):
        body += piece
        if len(body) > limit:
            raise ValueError("the answer is too long")
    return body


def _reason(error: BaseException) -> str:
    """In a few words, for a log."""
    cause = getattr(error, "os_error", None) or error
    return (
        getattr(cause, "verify_message", None)
        or getattr(cause, "strerror", None)
        or str(cause)
        or type(cause).__name__
    )
