"""`PUT /cameras/<name>/publish`: a camera that is a program: one WebM or MP4 stream, in the body of
one request that does not end.

It feeds a channel as a camera's socket does. HTTP goes one way only, so such a camera cannot be
told to pause, nor to make a keyframe: it films all the time, whoever watches.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import aiohttp
from aiohttp import web

from drawercam.live.channel import Channel
from drawercam.live.hub import Hub
from drawercam.live.ingest import Source
from drawercam.protocol import messages
from drawercam.protocol.close_reasons import Closing, Reason, Refused
from drawercam.server.admission import routes
from drawercam.server.http.bodies import Bodies, more
from drawercam.server.sockets.liveness import SILENCE_DEADLINE
from groundwork.connections.aiohttp_insides import send_continue
from groundwork.connections.scheduler import Share
from groundwork.deadlines import Deadline
from groundwork.denied import Denied
from groundwork.names import told_label

# The statuses of what ends a stream.
_STATUSES = {
    Reason.BAD_MEDIA: 400,
    Reason.MEDIA_LIMIT: 400,
    Reason.TAKEN_OVER: 409,
    Reason.RESTARTING: 503,
}

# The one stream that there is (messages.Stream).
_STREAM = 1

# Bytes that are taken at once: of pictures of a byte, they cost half of what they may
# (media/work.py).
_PIECE = 4 * 2**10

log = logging.getLogger(__name__)


class Publisher:
    """A request that publishes; see channel.Camera."""

    def __init__(
        self, hub: Hub, name: str, who: str, share: Share | None = None, label: str | None = None
    ) -> None:
        """
        Args:
            hub: The cameras.
            name: Of this one.
            who: Its address.
            share: What this address has of each turn; all that it wants if None.
            label: What people call the camera.
        """
        self._hub = hub
        self._name = name
        self._who = who
        self._label = label
        self._share = share
        self._piece = b""  # waits for the next turn
        self._fed: asyncio.Future[None]
        self._channel: Channel | None = None
        self._source: Source | None = None
        self._closing: Closing | None = None  # why it has to end
        self._deadline: Deadline | None = None

    async def read(self, content: aiohttp.StreamReader) -> None:
        """Take the stream up to its end.

        Args:
            content: The body.

        Raises:
            Denied: 400, it is no media, or broken off; 408, nothing came for SILENCE_DEADLINE; 503,
                there are too many cameras; or as `end` said.
        """
        reason = "lost"
        try:
            async with Deadline(SILENCE_DEADLINE) as self._deadline:
                while data := await more(content):
                    for begin in range(0, len(data), _PIECE):
                        await self._take(data[begin : begin + _PIECE])
            if self._closing is not None:
                raise self._denied(self._closing)
            if self._channel is None:
                raise Denied(
                    400,
                    Reason.BAD_MEDIA.id,
                    "The request has no body; it should be a WebM or MP4 stream.",
                )
            reason = "left"
        except TimeoutError:
            raise (
                self._denied(self._closing)
                if self._closing
                else Denied(408, "too-slow", "The stream does not go on.")
            ) from None
        except Refused as refused:
            reason = "media"
            raise self._denied(refused.closing) from None
        except (ConnectionError, web.RequestPayloadError):
            raise Denied(400, "broken-off", "The stream ended in the middle.") from None
        finally:
            self._deadline = None
            if self._channel is not None:
                self._channel.leave(self, reason)
            if self._source is not None:
                self._source.close()

    async def _take(self, data: bytes) -> None:
        """Take a piece when it is this address' turn, and wait until the next one costs no more
        than it may: a program sends as fast as it is read.
        """
        if self._share is None or self._share.is_free:
            self._feed(data)
        else:
            self._piece, self._fed = data, asyncio.get_running_loop().create_future()
            self._share.wait(self)
            await self._fed
        if self._source is not None:
            await asyncio.sleep(self._source.rest)

    def go_on(self) -> None:
        """See scheduler.Worker."""
        if self._fed.done():
            return  # it has gone
        try:
            self._feed(self._piece)
        except Exception as error:
            self._fed.set_exception(error)
        else:
            self._fed.set_result(None)

    def _feed(self, data: bytes) -> None:
        if self._closing is not None or self._deadline is None:
            return  # bytes that were on their way when the name was taken over
        began = time.monotonic()
        try:
            if self._source is None:
                self._source = self._begin()
            self._source.feed(bytes((_STREAM,)) + data)
            self._source.settle()
        finally:
            if self._share is not None:
                self._share.spend(time.monotonic() - began)
        self._deadline.restart()

    def _begin(self) -> Source:
        """Take the name.

        Not before there is something to show for it: an empty request should send no camera away.
        """
        self._channel = self._hub.channel(self._name)
        log.info("< %s publishes as %s", self._who, self._name)
        self._channel.take(self, self._who)
        self._channel.camera_is_called(self._label)
        source = Source(
            self._channel, self._hub.clock, self._hub.ledger.account(self._who), whole=True
        )
        source.begin(_STREAM)
        return source

    def tell(self, message: messages.Message) -> None:
        """See channel.Camera. There is no way back to it."""

    def end(self, closing: Closing) -> None:
        """See channel.Camera."""
        self._closing = closing
        if self._deadline is not None:
            self._deadline.end()

    @staticmethod
    def _denied(closing: Closing) -> Denied:
        return Denied(_STATUSES[closing.reason], closing.reason.id, closing.sentence)


def add_routes(
    app: web.Application, hub: Hub, bodies: Bodies, share: Callable[[str], Share]
) -> None:
    """Let programs publish; the rights for it stand in admission/routes.py.

    Args:
        app: The HTTP side.
        hub: The cameras.
        bodies: Those that are on their way.
        share: What an address has of each turn of the event loop.
    """

    async def publish(request: web.Request) -> web.StreamResponse:
        with bodies.place(request):
            await send_continue(request)
            who = request.remote or ""
            label = told_label(request.query.get("label", ""))
            await Publisher(hub, request.match_info["name"], who, share(who), label).read(
                request.content
            )
        return web.Response(status=204)

    for route in (routes.PUBLISH, routes.PUBLISH_BY_POST):
        app.router.add_route(route.method, route.path, publish, expect_handler=_not_yet)


async def _not_yet(request: web.Request) -> None:
    """Answer a program that asks whether to send a body when its key was seen: where it is refused,
    it shows its key and asks again.
    """
