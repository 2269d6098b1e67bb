"""Every way into the relay, and what each one asks for. There is no other: what does not stand here
is not served.

The table is for requests and for sockets alike. A handler (http/) or a session (sockets/) is
reached only through its row, after Host, Origin and the right were checked; one that is added
without a row cannot be reached.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

import ip_registry.routes
from drawercam.access.grants import Right
from groundwork.denied import SENTENCES, Denied
from groundwork.names import NAME, NAME_RULE

SOCKET = "SOCKET"
"""The method of a WebSocket, which HTTP calls GET."""

_NAME_PART = "{name}"


@dataclass(frozen=True, slots=True)
class Route:
    """One way in.

    Attributes:
        method: GET (HEAD goes with it), POST, PUT, DELETE, OPTIONS, or `SOCKET`.
        path: As aiohttp writes it. ``{name}`` is a camera's.
        right: What it asks for.
        programs: It is for programs that are no pages: they may show a key with each request,
            because they keep no cookies.
        tickets: Pages from the relay's former address may ask as well, with a ticket, as they do
            for sockets.
    """

    method: str
    path: str
    right: Right
    programs: bool = False
    tickets: bool = False

    @property
    def names_camera(self) -> bool:
        """A part of the path is a camera's name."""
        return _NAME_PART in self.path

    @property
    def canonical(self) -> str:
        """The path without the patterns of its parts."""
        return re.sub(r"\{(\w+):[^{}]*\}", r"{\1}", self.path)


HOME = Route("GET", "/", Right.ANYBODY)
CAMERA_PAGE = Route("GET", "/camera.html", Right.ANYBODY)
PLAYER_PAGE = Route("GET", "/player.html", Right.ANYBODY)
# The page is for everybody, as all are: what it shows comes by the routes below that ask for the
# right to manage.
KEYS_PAGE = Route("GET", "/keys.html", Right.ANYBODY)
MODULES = Route("GET", "/web/{file:.+}", Right.ANYBODY)
HEALTH = Route("GET", "/healthz", Right.ANYBODY)
AUTHORITY = Route("GET", "/ca.crt", Right.ANYBODY)
SESSION = Route("GET", "/api/session", Right.ANYBODY)
USE_KEY = Route("POST", "/api/session", Right.ANYBODY)
CAMERAS = Route("GET", "/api/cameras", Right.WATCH_SOME)
# Who may watch a camera may turn it: there is nothing to see beyond what the camera's owner has let
# it turn to.
ORIENT = Route("POST", "/api/cameras/{name}/orient", Right.WATCH, programs=True)
# Who may film under a name may know whether that would send another camera away.
ON_AIR = Route("GET", "/api/cameras/{name}/on-air", Right.PUBLISH)
INVITE = Route("GET", "/api/invite", Right.WATCH_SOME)
INVITE_CODE = Route("GET", "/api/invite.svg", Right.WATCH_SOME)
KEYS = Route("GET", "/api/keys", Right.MANAGE)
ADD_KEY = Route("POST", "/api/keys", Right.MANAGE)
REVOKE_KEY = Route("DELETE", "/api/keys/{id}", Right.MANAGE)
# A relay's numbers name every camera: as no name is asked for, it takes a key to watch all of them.
METRICS = Route("GET", "/metrics", Right.WATCH, programs=True)
LIVE = Route("GET", "/cameras/{name}/live", Right.WATCH, programs=True)
LIVE_WEBM = Route("GET", "/cameras/{name}/live.webm", Right.WATCH, programs=True)
LIVE_MP4 = Route("GET", "/cameras/{name}/live.mp4", Right.WATCH, programs=True)
PUBLISH = Route("PUT", "/cameras/{name}/publish", Right.PUBLISH, programs=True)
PUBLISH_BY_POST = Route(
    "POST", "/cameras/{name}/publish", Right.PUBLISH, programs=True
)  # ffmpeg's method, unless it is told another one
LATEST_PICTURE = Route(
    "GET", "/cameras/{name}/latest.jpg", Right.WATCH, programs=True, tickets=True
)
# A browser asks so whether a page of another origin may ask with a ticket, and shows nothing yet.
TICKET_WELCOME = Route("OPTIONS", LATEST_PICTURE.path, Right.ANYBODY)
LIVE_PICTURES = Route("GET", "/cameras/{name}/live.mjpg", Right.WATCH, programs=True)
STREAM = Route("POST", "/over-http/{path:camera/.*|player/.*|wall}", Right.AS_SOCKET)
# The id is beyond guessing, and only who began the stream was told; the stream ends with the right
# by which it began.
STREAM_POST = Route("POST", "/over-http/{id}", Right.ANYBODY)

CAMERA = Route(SOCKET, "/camera/{name}", Right.PUBLISH)
PLAYER = Route(SOCKET, "/player/{name}", Right.WATCH)
WALL = Route(SOCKET, "/wall", Right.WATCH_SOME)

REQUESTS = (
    HOME,
    CAMERA_PAGE,
    PLAYER_PAGE,
    KEYS_PAGE,
    MODULES,
    HEALTH,
    AUTHORITY,
    SESSION,
    USE_KEY,
    CAMERAS,
    ORIENT,
    ON_AIR,
    INVITE,
    INVITE_CODE,
    KEYS,
    ADD_KEY,
    REVOKE_KEY,
    METRICS,
    LIVE,
    LIVE_WEBM,
    LIVE_MP4,
    PUBLISH,
    PUBLISH_BY_POST,
    LATEST_PICTURE,
    TICKET_WELCOME,
    LIVE_PICTURES,
    STREAM,
    STREAM_POST,
    # Relays sign what they say to a registry; what it tells is for everybody.
    *(Route(method, path, Right.ANYBODY) for method, path in ip_registry.routes.ROUTES),
)
SOCKETS = (CAMERA, PLAYER, WALL)

# One part of a path as it was sent; a name in it is judged by `camera_name`, so that a wrong one is
# told from a wrong path.
_PATTERNS = [
    (re.compile(re.escape(route.path).replace(re.escape(_NAME_PART), "(.*)"), re.DOTALL), route)
    for route in SOCKETS
]


def socket_route(path: str) -> tuple[Route, str]:
    """The socket at this path, and the camera that it names ("" if none).

    Args:
        path: As it was sent, without the query.

    Raises:
        Denied: 404, there is none; 400, the name is none.
    """
    decoded = unquote(path)
    for pattern, route in _PATTERNS:
        if found := pattern.fullmatch(decoded):
            return route, camera_name(found[1]) if route.names_camera else ""
    raise Denied(404, "unknown-path", SENTENCES[404])


def camera_name(text: str) -> str:
    """A camera's name from a path.

    Raises:
        Denied: 400, it is none.
    """
    if not NAME.fullmatch(text):
        raise Denied(400, "bad-name", f"This is no name for a camera: {NAME_RULE}.")
    return text
