"""What the relay serves over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drawercam.live.hub import Hub
from drawercam.server.admission.entrance import Entrance
from ip_registry.registry import Registry

from .bodies import Bodies


@dataclass(frozen=True)
class Site:
    """What the HTTP side needs to know.

    Attributes:
        hub: The cameras.
        entrance: Says who is let in.
        root: The folder with the pages and ``web/``.
        authority: Gives the certificate authority in PEM; empty where there is none to trust.
        camera_urls, player_urls: Give the addresses of the pages that a phone on the LAN can reach,
            the likeliest first; without key.
        trust_url: Gives the address of the page on which phones learn to trust the authority, or
            "".
        reach: Says from where it can be reached (`banner.Reach`), so that a page does not advise
            what would not help.
        registry: Where pages ask for this relay when they have lost it; "" for nowhere.
        served_registry: The registry that this relay is itself, if it is one.
        relay: What this relay is called there.
        bodies: What is on its way to it.
        version: That of the pages (static_files.version_of), "" where they are to know none.
    """

    hub: Hub
    entrance: Entrance
    root: Path
    authority: Callable[[], bytes]
    camera_urls: Callable[[], Sequence[str]]
    player_urls: Callable[[], Sequence[str]]
    trust_url: Callable[[], str] = lambda: ""
    reach: Callable[[], str] = lambda: "network"
    registry: str = ""
    served_registry: Registry | None = None
    relay: str = ""
    bodies: Bodies = field(default_factory=Bodies)
    version: str = ""
