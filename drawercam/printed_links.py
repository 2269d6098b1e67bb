"""The links that a start prints: which keys stand in them, and what to say where a key is
missing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from drawercam.access.key import ALL
from drawercam.access.key_file import FIRST_LABEL
from drawercam.access.keys import Keyring
from groundwork import command_lines

from .whereabouts import Whereabouts


class PrintedLinks:
    """The links of one relay.

    Args:
        ring: Its keys; None where it asks for none.
        where: Where it is.
        state: The state folder, if a command has to name it.
    """

    def __init__(self, ring: Keyring | None, where: Whereabouts, state: Path | None) -> None:
        self._ring = ring
        self._where = where
        self._state = state
        self._film, self._watch = ring.for_links() if ring else (None, None)

    def film(self) -> list[str]:
        """Where the camera page can be opened, likeliest first."""
        return self._where.urls("/camera.html", self._film)

    def watch(self) -> list[str]:
        """Where the player can be opened, likeliest first."""
        return self._where.urls("/player.html", self._watch)

    def own(self, terminal: bool) -> tuple[str, str]:
        """On a terminal, the first start makes a key for its owner: its link.

        Else, where there is none, the command that makes one.
        """
        if self._ring is None:
            return "", ""
        if self._ring.is_new and terminal:
            with contextlib.suppress(OSError):  # the disk is full now
                return self._where.urls(
                    "/player.html", self._ring.add(ALL, ALL, label=FIRST_LABEL)
                )[0], ""
        there = any(key.manages for key in self._ring.live)
        return "", "" if there else command_lines.command("keys", "add", "--own", state=self._state)

    def elsewhere(self) -> str:
        """Where else a link is to be had. The log gets no key: others may read it."""
        if self._ring is None:
            return f"Watch at {self.watch()[0]}, film at {self.film()[0]}"
        command = command_lines.command("keys", "add", "--watch", "all", state=self._state)
        return f"To have one, type: {command} (or --publish)"

    def missing(self) -> Iterator[tuple[str, str]]:
        """What to say when the keys that belong into the printed links have been revoked, each with
        the command that makes one.
        """
        if self._ring is None:
            return
        for key, link, option in (
            (self._film, "Film", "--publish"),
            (self._watch, "Watch", "--watch"),
        ):
            if key is None:
                command = command_lines.command("keys", "add", option, "all", state=self._state)
                yield (
                    (
                        f"Warning: The link to {link} has no key, because that was revoked. To "
                        "make one, type:"
                    ),
                    command,
                )
