"""Plain HTTP at the port for https: leads to the same address by https, or says why not."""

from __future__ import annotations

from drawercam.server.admission.entrance import Entrance
from drawercam.server.admission.reverse_proxies import Client
from groundwork.connections import plain_http
from groundwork.denied import Denied

from .refusals import Refusals

_BY_PROXY = "The proxy speaks http to a port of the relay that is for https: see docs/proxy.md."


class ToHttps:
    """Answers requests that came without TLS."""

    def __init__(self, entrance: Entrance, refusals: Refusals) -> None:
        """
        Args:
            entrance: Says which hosts are the relay's own.
            refusals: Makes answers where there is no way.
        """
        self._entrance = entrance
        self._refusals = refusals

    def answer(self, head: bytes, address: str, arrived_at: str) -> bytes:
        """See listener.Plain."""
        check_host = self._entrance.access.check_host
        host = next(iter(plain_http.header(head, "host")), None)
        client = Client("", "", host=host, https=True)
        try:
            where = plain_http.location(head, lambda host: check_host(host, arrived_at))
            if address in self._entrance.proxies:
                # Its own clients speak https with it already, and would come back for ever.
                raise Denied(400, "needs-https", _BY_PROXY)
        except Denied as denied:
            accept = plain_http.header(head, "accept")
            refusal = self._refusals.of_handshake(denied, client, accept)
            if head.startswith(b"HEAD "):
                refusal.body = b""
            return refusal.serialize()
        return plain_http.redirect(where, self._refusals.headers(client))
