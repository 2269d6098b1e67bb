"""Headers of every answer: what pages may load, and what browsers may do with what they get."""

from __future__ import annotations

from drawercam.server.admission.reverse_proxies import Client
from groundwork.connections.answer_headers import ALWAYS, content_policy

HEADERS = {
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would collect a stream before it hands it on
    **ALWAYS,
    # With "no-referrer" Chrome 64 (79 does not) says `Origin: null` in POSTs of our own pages.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(self), microphone=(self), fullscreen=(self), screen-wake-lock=(self), "
        "autoplay=(self), "
        "display-capture=(), geolocation=(), payment=(), usb=(), serial=(), bluetooth=(), "
        "hid=(), midi=()"
    ),
}
"""Of every answer, also those that refuse.

Not among them is Strict-Transport-Security: see docs/security.md.
"""

TIME_HEADER = "Drawercam-Time"
"""In a response with a picture, and in the head of each part: when it was captured, in µs of the
relay's clock.
"""

# What lets the page of another origin read the answer to its ticket, also a refusal (WHATWG Fetch
# section 3.2). Of whatever origin, as with sockets: who shows a good ticket was given it by this
# relay. Where cookies go with a request, a browser does not take "*" for an answer.
FOR_ITS_PAGE = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": TIME_HEADER}


def answer_headers(registry: str, client: Client) -> dict[str, str]:
    """`HEADERS`, and the Content-Security-Policy (W3C CSP 3) for a page, from the host for which
    this client asks.

    Args:
        registry: Where pages ask for a relay that has moved; "" for nowhere.
        client: Who asks.
    """
    if registry:
        # A relay that has moved may be anywhere in the network.
        sources = "'self' https: wss:"
    else:
        # 'self' does not cover WebSockets in Safari before 15.4, so they are named. A foreign Host
        # is refused, and its page is an error.
        host = client.host or ""
        named = host if host.isascii() and not set(host) & set(" ;,'\"") else ""
        sources = f"'self' {'wss' if client.https else 'ws'}://{named}" if named else "'self'"
    policy = content_policy(
        script="'self'",
        style="'self'",
        img="'self' data: blob:",
        media="'self' blob:",
        connect=sources,
        worker="'self'",
        manifest="'self'",
    )
    return HEADERS | {"Content-Security-Policy": policy}
