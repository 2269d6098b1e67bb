"""Pictures for programs, and for browsers that play no video: one at a time (`latest.jpg`), or one
after the other (`live.mjpg`).

Each picture is the newest there is when the one before has been taken. So who is slow gets fewer,
and nothing piles up for anybody.
"""

from __future__ import annotations

import asyncio
import math

from aiohttp import web

from drawercam.server.admission import routes
from drawercam.server.http.bodies import taken
from drawercam.server.http.headers import TIME_HEADER
from drawercam.server.sockets.write_limit import keep_unsent
from drawercam.snapshots.requests import NO_KEYFRAME, NOT_YET, UNKNOWN, Desks, NoPicture
from drawercam.snapshots.worker import Picture, available
from groundwork.connections.aiohttp_insides import Endless
from groundwork.denied import Denied

# Seconds for which a request waits for a picture: a phone that is asleep needs one or two to wake
# up.
PATIENCE = 10.0

# Seconds between two looks whether who waits is still there: who has gone is to take nobody's
# place, and to keep no camera awake.
_GLANCE = 1.0

# Pictures a second of `live.mjpg`: what programs ask for, and what may be asked for.
USUAL_RATE, LEAST_RATE, MOST_RATE = 5.0, 0.1, 30.0

# The widest picture that may be asked for, in pixels; a camera's own is never made larger.
MOST_WIDTH = 4096

_BOUNDARY = "drawercam"
_MULTIPART = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"

_MISSING = (
    "The relay makes no pictures, because the library av is not installed. It stands in "
    "requirements.txt."
)


class _Pictures:
    """The handlers."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks

    async def latest(self, request: web.Request) -> web.StreamResponse:
        """The newest picture; with `after`, one of a later time, or 204 when none comes for a
        while.
        """
        width, after = _width(request), _after(request)
        try:
            with self._desks.asking(request.remote):
                picture = await self._picture(request, width, after, PATIENCE)
                headers = {"Cache-Control": "no-store", TIME_HEADER: str(picture.time)}
                response = web.Response(
                    body=picture.jpeg, content_type="image/jpeg", headers=headers
                )
                transport = _bare(request)
                await response.prepare(request)
                await taken(transport, response.write_eof())
                return response
        except NoPicture as none:
            if none.id == NOT_YET and after >= 0:
                return web.Response(status=204, headers={"Cache-Control": "no-store"})
            raise _denied(none) from None

    async def live(self, request: web.Request) -> web.StreamResponse:
        """One picture after the other, as multipart/x-mixed-replace (which Netscape introduced in
        1995, and browsers show as an image).
        """
        width, pause = _width(request), 1 / _rate(request)
        now = asyncio.get_running_loop().time
        response = None
        try:
            with self._desks.asking(request.remote):
                picture = await self._picture(request, width, -1, PATIENCE)
                transport = _bare(request)
                response = Endless(
                    headers={
                        "Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}",
                        "Cache-Control": "no-store",
                    }
                )
                response.force_close()
                await response.prepare(request)
                if request.method == "HEAD":
                    return response
                await response.write(f"--{_BOUNDARY}\r\n".encode())
                due = now()
                while True:
                    await taken(transport, response.write(_part(picture)))
                    due = max(due + pause, now())
                    await asyncio.sleep(due - now())
                    picture = await self._picture(request, width, picture.time, math.inf)
        except NoPicture as none:
            if response is None:
                raise _denied(none) from None
            return response  # it has begun: its end says that there are no more

    async def _picture(
        self, request: web.Request, width: int, after: int, patience: float
    ) -> Picture:
        """A picture, as long as somebody is there to take it.

        Raises:
            NoPicture: There is none within this time (s).
            ConnectionResetError: Nobody is there any more.
        """
        name, now = request.match_info["name"], asyncio.get_running_loop().time
        end = now() + patience
        while request.transport is not None and not request.transport.is_closing():
            try:
                return await self._desks.picture(
                    name, width, after, min(_GLANCE, max(0.0, end - now())), request.remote
                )
            except NoPicture as none:
                if none.id not in (NOT_YET, NO_KEYFRAME) or now() >= end:
                    raise
        raise ConnectionResetError


def _part(picture: Picture) -> bytes:
    # The next boundary comes with the picture: only then do browsers show it.
    head = (
        f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n{TIME_HEADER}: "
        f"{picture.time}\r\n\r\n"
    )
    return head.encode() + picture.jpeg + f"\r\n--{_BOUNDARY}\r\n".encode()


def _bare(request: web.Request) -> asyncio.Transport:
    """The connection, in which the system is to hide as little as it does for a socket."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError
    keep_unsent(transport)
    return transport


def _denied(none: NoPicture) -> Denied:
    return Denied(
        404 if none.id == UNKNOWN else 503,
        none.id,
        str(none),
        None if none.id == UNKNOWN else none.retry_after,
    )


def _width(request: web.Request) -> int:
    given = request.query.get("width")
    if given is None:
        return 0
    width = _whole(given)
    if width is None or not 0 < width <= MOST_WIDTH:
        raise Denied(
            400, "bad-request", f"width must be a number of pixels, from 1 to {MOST_WIDTH}."
        )
    return width


def _after(request: web.Request) -> int:
    given = request.query.get("after")
    if given is None:
        return -1
    after = _whole(given)
    if after is None:
        raise Denied(400, "bad-request", f"after must be a time, as {TIME_HEADER} has it.")
    return after


def _whole(text: str) -> int | None:
    # 16 digits are the largest times that JavaScript counts exactly.
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 16 else None


def _rate(request: web.Request) -> float:
    given = request.query.get("fps", str(USUAL_RATE))
    try:
        rate = float(given) if given.isascii() and "_" not in given else math.nan
    except ValueError:
        rate = math.nan
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise Denied(
            400,
            "bad-request",
            f"fps must be a number of pictures a second, from {LEAST_RATE:g} to {MOST_RATE:g}.",
        )
    return rate


def add_routes(app: web.Application, desks: Desks) -> None:
    """Let pictures be asked for; the rights for it stand in admission/routes.py. With the HTTP
    side, all that makes them ends.

    Args:
        app: The HTTP side.
        desks: Where pictures are made.
    """
    if not available():
        app.router.add_get(routes.LATEST_PICTURE.path, _missing)
        app.router.add_get(routes.LIVE_PICTURES.path, _missing)
        return
    pictures = _Pictures(desks)
    app.router.add_get(routes.LATEST_PICTURE.path, pictures.latest)
    app.router.add_get(routes.LIVE_PICTURES.path, pictures.live)

    async def stop(app: web.Application) -> None:
        await desks.stop()

    app.on_shutdown.append(stop)


async def _missing(request: web.Request) -> web.StreamResponse:
    raise Denied(501, "no-pictures", _MISSING)
