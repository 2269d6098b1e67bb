"""`/metrics`: what a Prometheus reads.

Without its library the relay runs all the same, and says there what is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from drawercam.live.counters import Traffic
from drawercam.live.hub import Hub
from drawercam.server.admission import routes
from groundwork.denied import Denied

_MISSING = (
    "The relay has no metrics, because the library prometheus-client is not installed. It "
    "stands in requirements.txt."
)


def add_routes(
    app: web.Application, hub: Hub, traffic: Callable[[], Traffic], waiting_limit: int
) -> None:
    """Let metrics be read; the rights for it stand in admission/routes.py.

    Args:
        app: The HTTP side.
        hub, traffic, waiting_limit: See `prometheus.Metrics`.
    """
    try:
        from . import prometheus
    except ImportError:
        app.router.add_get(routes.METRICS.path, _missing)
        return
    known = prometheus.Metrics(hub, traffic, waiting_limit)

    async def scrape(request: web.Request) -> web.StreamResponse:
        # Of 250 cameras, writing takes 10 ms, in which no frame should wait.
        text = await asyncio.to_thread(known.write, known.look())
        return web.Response(body=text, headers={"Content-Type": prometheus.CONTENT_TYPE})

    app.router.add_get(routes.METRICS.path, scrape)


async def _missing(request: web.Request) -> web.StreamResponse:
    raise Denied(501, "no-metrics", _MISSING)
