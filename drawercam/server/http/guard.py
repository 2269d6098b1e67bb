"""The place that every request over HTTP passes: its client, its turn, its right; what goes wrong
becomes an answer.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from drawercam.access.grants import Right
from drawercam.server.admission import routes
from drawercam.server.admission.entrance import Asked, Entrance
from drawercam.server.admission.reverse_proxies import Client
from drawercam.server.admission.routes import Route
from groundwork.connections.scheduler import Share
from groundwork.denied import SENTENCES, Denied

from .bodies import sent
from .headers import FOR_ITS_PAGE
from .refusals import Refusals

# In every request.
_ASKED = web.RequestKey("asked", Asked)

_ROWS = {(route.method, route.canonical): route for route in routes.REQUESTS}

log = logging.getLogger(__name__)


def asked_of(request: web.Request) -> Asked:
    """What a request that has passed here asks."""
    return request[_ASKED]


def client_of(request: web.Request) -> Client:
    """The client that asks."""
    return request[_ASKED].client


def guard(entrance: Entrance, refusals: Refusals, share: Callable[[str], Share]) -> Middleware:
    """The middleware.

    Args:
        entrance: Says who is let in.
        refusals: Makes answers for the others.
        share: What an address has of each turn of the event loop.
    """

    def refuse(request: web.Request, denied: Denied) -> web.Response:
        return refusals.of_request(denied, request.headers.getall("Accept", ()))

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = request.headers
        asked = entrance.ask(
            request.transport, headers.items(), lambda name: headers.getall(name, ())
        )
        request[_ASKED] = asked
        if asked.client.address != request.remote:
            request = request.clone(remote=asked.client.address)
        await share(request.remote or "").turn()
        response = await answer(request, handler)
        # A proxy would ask for the next socket on a connection that it has kept, and a socket needs
        # one of its own.
        if (
            asked.denied is not None
            or asked.client.handed_on
            or not entrance.hall.come_back(request.transport)
        ):
            response.force_close()
        if not response.prepared:
            await sent(request, response)
        return response

    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Errors become JSON."""
        asked = asked_of(request)
        try:
            admission = entrance.request(asked, request.method, lambda: _row(request))
            if request.headers.get("Upgrade", "").lower() == "websocket":
                raise Denied(426, "new-connection", "A WebSocket needs a connection of its own.")
            request["grant"] = admission.grant
            if admission.grant.keys:
                entrance.hall.show(request.transport)
            if admission.right is Right.AS_SOCKET:
                return await handler(request)  # its socket stands in the book by itself
            with entrance.answering(admission, request.transport):
                return await handler(request)
        except Denied as denied:
            log.debug(f"x %s is refused ({denied.id}): %s", asked.client.peer, denied)
            return refuse(request, denied)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            sentence = SENTENCES.get(error.status, f"{error.reason}.")
            return refuse(
                request, Denied(error.status, error.reason.lower().replace(" ", "-"), sentence)
            )
        except ConnectionError:
            raise  # the peer has gone
        except Exception:
            log.exception("x %s: a fault in the relay", request.remote)
            return refuse(
                request, Denied(500, "internal", "The relay has a fault; its log says more.")
            )

    return guarded


def _row(request: web.Request) -> tuple[Route, Mapping[str, str]]:
    """See `entrance.Find`.

    Raises:
        Denied: There is no such row.
        web.HTTPException: As aiohttp's router says, for a path or a method that it does not know.
    """
    found = request.match_info
    if found.http_exception is not None:
        raise found.http_exception
    resource = found.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    row = _ROWS.get((method, resource.canonical if resource else ""))
    if row is None:
        raise Denied(404, "unknown-path", SENTENCES[404])
    return row, found


def header_writer(
    entrance: Entrance, headers: Callable[[Client], Mapping[str, str]]
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """What adds the headers of every answer to a response that is about to be sent.

    Args:
        entrance: Says which client has a connection.
        headers: Gives those of every answer to a client.
    """

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        kept = response.headers.get("Cache-Control")  # a handler may forbid more than the others do
        asked = request.get(_ASKED)
        client = asked.client if asked is not None else entrance.connected(request.transport)
        response.headers.update(headers(client))
        if kept is not None:
            response.headers["Cache-Control"] = kept
        response.headers.pop("Server", None)
        if asked is not None and asked.by_ticket:
            response.headers.update(FOR_ITS_PAGE)

    return add_headers
