"""The list of relays for people. Everything that comes from outside passes `escape`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from html import escape

from .registry import Entry, nearest

_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
  <meta name="referrer" content="no-referrer">
  <title>drawercam: the relays</title>
  <link rel="stylesheet" href="/relays.css">
  <script type="module" src="/relays.js"></script>
</head>
<body>
<h1>{title}</h1>
<p class="warning" id="away" role="status" hidden>
  The registry does not answer. This list may be old.
</p>
<main id="relays">
{content}</main>
<p class="warning boot" id="boot">
  This list does not change by itself in this browser. Reload the page to see what is there now.
</p>
</body>
</html>
"""

_RELAY = """<article class="{state}">
  <h2>{name}</h2>
  <p>{words}</p>
{body}</article>
"""

_DOORS = """  <p class="doors">
    <a href="/go/{name}/player.html">Watch</a> <a href="/go/{name}/camera.html">Film</a>
  </p>
"""

_LINKS = """  <ul>
{items}  </ul>
"""

_LINK = """    <li><a href="{url}/player.html">{url}</a></li>
"""

_FINGERPRINT = """  <details>
    <summary>Fingerprint of its certificate authority</summary>
    <p class="fingerprint">{fingerprint}</p>
  </details>
"""


def listing(entries: Sequence[Entry], visitor: str | None) -> str:
    """The page with all relays, as HTML.

    Args:
        entries: In the order in which they are shown.
        visitor: The address of who asks; a relay's address in the same network comes first.
    """
    if not entries:
        content = (
            "<p>No relay is known here. One that is started with <code>--registry</code> and "
            "the secret of this registry appears.</p>\n"
        )
    else:
        content = "".join(_relay(entry, visitor) for entry in entries)
    return _PAGE.format(title="Relays in this network", content=content)


def not_there(entry: Entry | None) -> str:
    """The page for people who want to go to a relay that is not there: one that has vanished, or is
    unknown.
    """
    if entry is None:
        content = '<p>There is no relay of this name. <a href="/relays">These are known.</a></p>\n'
    else:
        content = _relay(entry, None) + (
            '<p>When it is back, this address leads there again. <a href="/relays">Other '
            "relays</a></p>\n"
        )
    return _PAGE.format(title="Not there", content=content)


def _relay(entry: Entry, visitor: str | None) -> str:
    said = entry.announcement
    links = "".join(_LINK.format(url=escape(url)) for url in nearest(said.urls, visitor))
    if entry.alive:
        words = f"There since {_moment(entry.since)}."
        body = _DOORS.format(name=escape(said.name)) + _LINKS.format(items=links)
        if said.fingerprint:
            body += _FINGERPRINT.format(fingerprint=escape(said.fingerprint))
    else:
        words = f"Not there. It was last seen on {_moment(entry.seen)}, at:"
        body = _LINKS.format(items=links)
    return _RELAY.format(
        state="alive" if entry.alive else "gone", name=escape(said.name), words=words, body=body
    )


def _moment(seconds: float) -> str:
    """A date as this computer's clock shows it, and how long ago that was."""
    there = datetime.fromtimestamp(seconds).astimezone()
    return (
        f'<time datetime="{there.isoformat(timespec="seconds")}">{there:%Y-%m-%d %H:%M}</time> '
        f"({_ago(time.time() - seconds)})"
    )


def _ago(seconds: float) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
