"""The HTTP side of a relay, put together: which handler answers at which route."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

import ip_registry.routes
from drawercam.server.admission import routes
from groundwork.connections.scheduler import Share

from .api import Api
from .guard import guard, header_writer
from .refusals import Refusals
from .site import Site
from .static_files import Modules, page_handler

# Bytes of a POST body: a key with MAX_NAMES names has 2 KiB.
_MAX_BODY = 4096


def application(site: Site, refusals: Refusals, share: Callable[[str], Share]) -> web.Application:
    """The HTTP side of a relay. Whatever is added to it needs a row in admission/routes.py, or it
    answers 404.

    Args:
        site: What it serves.
        refusals: Makes answers for those that are not let in.
        share: What an address has of each turn of the event loop.
    """
    app = web.Application(
        middlewares=[guard(site.entrance, refusals, share)], client_max_size=_MAX_BODY
    )
    app.on_response_prepare.append(header_writer(site.entrance, refusals.headers))
    api = Api(site)
    handlers: Mapping[routes.Route, Handler] = {
        routes.HOME: api.home,
        routes.CAMERA_PAGE: page_handler(site.root / "camera.html", site.version),
        routes.PLAYER_PAGE: page_handler(site.root / "player.html", site.version),
        routes.KEYS_PAGE: page_handler(site.root / "web" / "keys" / "keys.html", site.version),
        routes.MODULES: Modules(site.root / "web").get,
        routes.HEALTH: api.healthz,
        routes.AUTHORITY: api.certificate,
        routes.SESSION: api.session,
        routes.USE_KEY: api.use_key,
        routes.CAMERAS: api.cameras,
        routes.ORIENT: api.orient,
        routes.ON_AIR: api.on_air,
        routes.INVITE: api.invite,
        routes.INVITE_CODE: api.invite_code,
        routes.KEYS: api.keys,
        routes.ADD_KEY: api.add_key,
        routes.REVOKE_KEY: api.revoke_key,
        routes.TICKET_WELCOME: api.welcome_ticket,
    }
    for route, handler in handlers.items():
        if route.method == "GET":
            app.router.add_get(route.path, handler)  # and HEAD
        else:
            app.router.add_route(route.method, route.path, handler)
    if site.served_registry is not None:
        ip_registry.routes.add_routes(app, site.served_registry)
    return app
