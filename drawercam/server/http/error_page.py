"""What a person sees in a browser at an address that leads nowhere: a small page, where programs
get JSON.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from groundwork.denied import Denied

_PAGES = (404, 421)
"""Statuses that have a page.

Others are answers to our own pages and to programs, but for those that say what a proxy needs.
"""

_HTML = re.compile(r"\s*text/html\s*(?:;(?!\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)).*)?", re.IGNORECASE)


def exists(denied: Denied) -> bool:
    """Whether there is a page for it."""
    return denied.status in _PAGES or bool(denied.add)


def is_wanted(denied: Denied, accept: Iterable[str]) -> bool:
    """Whether to answer with a page: somebody who accepts HTML by name has opened the address in a
    browser (RFC 9110 section 12.5.1).
    """
    return exists(denied) and any(
        _HTML.fullmatch(one) for value in accept for one in value.split(",")
    )


def page(denied: Denied) -> bytes:
    """The page.

    Nothing is inline in it, and nothing of it is loaded from where the browser is refused.
    """
    if denied.status == 421:
        return _document("This address is not known here", *_unknown_host(denied.add), style=False)
    if denied.status != 404:
        what = f"<code>{html.escape(denied.add)}</code>"
        return _document(
            "A proxy stands in between",
            html.escape(str(denied)),
            f"What to add: {what}",
            style=False,
        )
    watch, film = (
        '<a href="/player.html">Watch the cameras</a>',
        '<a href="/camera.html">Film with this device</a>',
    )
    return _document("Not found", html.escape(str(denied)), watch, film, style=True)


def _unknown_host(add: str) -> Iterable[str]:
    yield "Something answers here, but not under the name in the address line."
    if add:
        yield (
            "If it is your own relay, stop it, and start it again with this added to what you type:"
        )
        yield f"<code>{html.escape(add)}</code>"
    yield "Or open one of the addresses that it prints where it was started."


def _document(title: str, *paragraphs: str, style: bool) -> bytes:
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        *(
            [
                '<link rel="icon" href="/web/icon.svg">',
                '<link rel="stylesheet" href="/web/shared/style.css">',
            ]
            if style
            else []
        ),
        '<main class="notice panel">',
        f"<h1>{title}</h1>",
        *(f"<p>{text}</p>" for text in paragraphs),
        "</main>",
        "</html>",
        "",
    ]
    return "\n".join(lines).encode()
