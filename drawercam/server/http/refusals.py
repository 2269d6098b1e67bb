"""What is said to those that are refused: JSON, or a page where somebody has opened the address in
a browser.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from aiohttp import web
from websockets.datastructures import Headers
from websockets.http11 import Response

from drawercam.server.admission.reverse_proxies import Client
from groundwork.denied import Denied

from . import error_page

# What goes with a refusal of a handshake.
_WITH_STATUS = {405: {"Allow": "GET"}, 426: {"Upgrade": "websocket"}}


class Refusals:
    """Makes these answers, and counts them.

    Attributes:
        counted: How often something was refused, by the id in the answer.
        headers: Gives the headers of every answer to a client.
    """

    def __init__(self, headers: Callable[[Client], Mapping[str, str]]) -> None:
        self.counted: Counter[str] = Counter()
        self.headers = headers

    def of_request(self, denied: Denied, accept: Sequence[str]) -> web.Response:
        """The answer to a request; the application adds the headers of every answer.

        Args:
            denied: Why.
            accept: What the client accepts (RFC 9110 section 12.5.1).
        """
        self.counted[denied.id] += 1
        kind, body = _content(denied, accept)
        headers = _vary(denied) | denied.headers
        if denied.retry_after is not None:
            headers["Retry-After"] = str(denied.retry_after)
        return web.Response(
            body=body, status=denied.status, content_type=kind, charset="utf-8", headers=headers
        )

    def of_handshake(self, denied: Denied, client: Client, accept: Sequence[str] = ()) -> Response:
        """The answer to a handshake, or to a request before it is anybody's: a whole one, which
        ends the connection.
        """
        self.counted[denied.id] += 1
        kind, body = _content(denied, accept)
        headers = Headers(
            {
                "Content-Type": kind if kind == "application/json" else f"{kind}; charset=utf-8",
                "Content-Length": str(len(body)),
                "Connection": "close",
            }
        )
        headers.update(_vary(denied))
        headers.update(_WITH_STATUS.get(denied.status, {}))
        headers.update(self.headers(client))
        return Response(denied.status, HTTPStatus(denied.status).phrase, headers, body)


def _content(denied: Denied, accept: Sequence[str]) -> tuple[str, bytes]:
    """Type and bytes of the body."""
    if error_page.is_wanted(denied, accept):
        return "text/html", error_page.page(denied)
    return "application/json", json.dumps(denied.as_json()).encode()


def _vary(denied: Denied) -> dict[str, str]:
    return {"Vary": "Accept"} if error_page.exists(denied) else {}
