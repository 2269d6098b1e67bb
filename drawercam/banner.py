"""What the relay prints when it starts: where to film, where to watch, and codes for phones to
scan.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import TextIO

import segno

from groundwork.bootstrap import PYTHON

QUIET_ZONES = (4, 2)
"""Light modules around a code, best first: ISO/IEC 18004 asks for 4; phones also read 2, and two
such codes fit into 80 columns.
"""

LOW = 28
"""Lines.

In a terminal with fewer, a code with a wide quiet zone and what stands below it would not be seen
whole.
"""

QR_GAP = 4
"""Columns between two codes."""

BLOCKS = "▀▄█"
"""The characters of which `segno` builds a code, beside the space."""

TOO_NARROW = (
    "This window is too narrow for QR codes: widen it and start again, or type the address "
    "into the phone."
)

FOR_OWNER = "This link is for your own phone or computer, not for a wall."
"""What is said where a key that may do everything is shown."""

INDENT = "  "

LONGEST_LINE = 100
"""Columns of a sentence: on a wide screen, longer ones are hard to read."""

NARROWEST = 20
"""Columns.

A terminal that says it has fewer is mistaken (0 is common), and no sentence would be readable in
it.
"""

BOLD = "\x1b[1m"
YELLOW = "\x1b[33m"
WHITE_ON_BLACK = "\x1b[38;5;231;48;5;16m"
"""Colours by number (xterm's cube), because the named ones follow the theme, and scanners do not
read every theme.
"""
PLAIN = "\x1b[0m"


class Reach(StrEnum):
    """From where a relay with https can be reached."""

    NETWORK = "network"
    HOST = "host"
    """From this computer only, because of `--host`."""
    OFFLINE = "offline"
    """From this computer only, because it is in no network now."""
    PLAIN = "plain"
    """From this computer only, because it runs without `--tls`."""
    BEHIND = "behind"
    """Through a proxy of which the address is not known."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to say.

    Attributes:
        tls: The pages are https, and open to the network. Without, they are http and on this
            computer only.
        port: TCP port.
        camera_url, player_url: The pages at the likeliest address, with their keys if there are
            any.
        other_camera_urls, other_player_urls: The same at the other addresses.
        trust_url: The page on which a phone learns to trust this computer; empty without it.
        ca_url: Where the certificate authority can be downloaded; empty when the relay serves
            somebody else's certificate.
        fingerprint: Of the authority: SHA-256, hexadecimal bytes with colons; empty like
            ``ca_url``.
        keys: Keys are on, and the links contain them.
        own_url: The wall with the key that may do everything, which is shown this once; else empty.
        own_command: What makes such a key, where none is shown and none was shown before; else
            empty.
        proxies: Addresses of the proxies that hand requests on to it.
        warnings: Sentences about what is wrong with the certificate, or soon will be.
        reach: Whom the pages can reach.
        command: What starts this relay again so that phones can film.
        advice: Other sentences about what is missing, each with the command that mends it.
    """

    tls: bool
    port: int
    camera_url: str
    player_url: str
    other_camera_urls: tuple[str, ...] = ()
    other_player_urls: tuple[str, ...] = ()
    trust_url: str = ""
    ca_url: str = ""
    fingerprint: str = ""
    keys: bool = True
    own_url: str = ""
    own_command: str = ""
    proxies: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reach: Reach = Reach.NETWORK
    command: str = f"{PYTHON} relay.py --tls"
    advice: tuple[tuple[str, str], ...] = ()


def banner(facts: Facts, width: int, colour: bool, qr: bool, height: int = 0) -> str:
    """The text, with a line feed at its end. What is needed first stands last, because the rest
    scrolls out of sight.

    Args:
        width: Columns of the terminal. Sentences wrap there. An address is never broken, because it
            is there to be copied: one that is longer has a line of its own.
        colour: Use ANSI escape sequences.
        qr: Print codes. False also says how to do without. The text is pure ASCII then.
        height: Lines of the terminal; 0 where all can be seen at once.
    """
    page = _Page(max(width, NARROWEST), colour)
    page.sentence(f"drawercam is running on port {facts.port}.", BOLD)
    page.gap()
    page.link("Film", facts.camera_url)
    page.link("Watch", facts.player_url)
    page.gap()
    if facts.proxies and not facts.tls:
        page.sentence(
            f"It serves its proxy ({', '.join(facts.proxies)}) and its own computer, and "
            "nobody else."
        )
        page.gap()
    if facts.tls or facts.proxies:
        _for_phones(page, facts, qr, height)
    else:
        page.sentence(
            "It listens on this computer only. A phone cannot film this way: browsers give "
            "the camera only to https pages."
        )
        if facts.keys:
            _say_keys(page, facts)
        page.gap()
        _advise(page, facts)
        page.sentence("For phones, stop it and type:")
        page.verbatim(facts.command, BOLD)
        page.gap()
    page.sentence("Press Ctrl-C to stop.")
    return page.text()


def banner_for(facts: Facts, stream: TextIO, codes: bool = True) -> str:
    """The text as this stream can show it: codes and colours only on a terminal, and only if its
    encoding and its user allow them.
    """
    columns, lines = shutil.get_terminal_size()
    qr = codes and stream.isatty() and can_show_codes(stream)
    return banner(facts, columns, _has_colour(stream), qr, lines if qr else 0)


def codes_for(urls: dict[str, str], stream: TextIO) -> str:
    """Codes for some addresses by their captions, as this stream can show them, with a line feed at
    the end; nothing but on a terminal.
    """
    if not (stream.isatty() and can_show_codes(stream)):
        return ""
    page = _Page(max(shutil.get_terminal_size().columns, NARROWEST), _has_colour(stream))
    drawn = _side_by_side(urls, page.width) or _below_each_other(urls, page.width)
    if drawn is None:
        page.sentence(TOO_NARROW)
    else:
        page.codes(drawn)
    return page.text()


def _has_colour(stream: TextIO) -> bool:
    windows_console = (
        sys.platform == "win32" and not {"WT_SESSION", "TERM", "ANSICON"} & os.environ.keys()
    )
    return (
        stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
        and not windows_console
    )


def can_show_codes(stream: TextIO) -> bool:
    """Whether the stream's encoding has block characters.

    That of Windows consoles (cp1252) often has not.
    """
    try:
        BLOCKS.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _for_phones(page: _Page, facts: Facts, qr: bool, height: int) -> None:
    qr = qr and facts.reach is Reach.NETWORK
    urls = {"Film": facts.camera_url, "Watch": facts.player_url}
    trust = {"Trust": facts.trust_url} if facts.trust_url else {}
    zones = QUIET_ZONES[-1:] if 0 < height < LOW else QUIET_ZONES
    beside = _side_by_side(urls | trust, page.width, zones) if qr and trust else None
    codes = beside or (_side_by_side(urls, page.width, zones) if qr else None)
    if qr and codes is None:
        codes = _below_each_other(urls, page.width, zones)
        if codes and 0 < height <= len(
            codes
        ):  # the lower one is seen, and a camera comes before its viewer
            codes = _below_each_other(dict(reversed(urls.items())), page.width, zones)
    if facts.reach is Reach.HOST:
        page.sentence(
            "It listens on this computer only, because of --host, so no phone gets there. "
            "For phones, stop it and type:"
        )
        page.verbatim(facts.command, BOLD)
    elif facts.reach is Reach.OFFLINE:
        page.sentence(
            "This computer is in no network now, so no phone gets there. When it is in "
            "one, its address is printed here."
        )
    elif codes is not None or facts.reach is Reach.BEHIND:
        pass  # codes stand at the end, and what a proxy needs is said below
    elif qr:
        page.sentence(TOO_NARROW)
    else:
        page.sentence("No QR codes are shown here: type the address into the phone.")
    page.gap()
    if facts.keys:
        _say_keys(page, facts)
    else:
        where = "whom the proxy lets through" if facts.proxies else "in this network"
        page.sentence(
            f"Warning: keys are off (--no-key). Everybody {where} can film and watch.", YELLOW
        )
    page.gap()
    if facts.other_camera_urls or facts.other_player_urls:
        page.sentence("If a phone does not get there, try these:")
        for camera_url, player_url in zip_longest(facts.other_camera_urls, facts.other_player_urls):
            page.link("Film", camera_url)
            page.link("Watch", player_url)
        page.gap()
    for warning in facts.warnings:
        page.sentence(f"Warning: {warning}", YELLOW)
        page.gap()
    _advise(page, facts)
    if facts.ca_url:
        _say_trust(page, facts, codes is not None, beside is not None)
    if codes is not None:
        page.codes(codes)
        low = 0 < height <= page.height  # the links have scrolled out of sight
        if low:
            page.link("Watch", facts.player_url)
        if beside:
            page.link("Trust", facts.trust_url)
        if not low:
            page.gap()


def _say_trust(page: _Page, facts: Facts, codes: bool, beside: bool) -> None:
    """How a phone is rid of its warning.

    Args:
        codes: There are codes,
        beside: and the one of the trust page stands beside them, with its address below.
    """
    who, some = (
        ("phone", " (some iPhones film only then)")
        if facts.reach is Reach.NETWORK
        else ("browser", "")
    )
    what = (
        "open this on it, once, and do what it shows:"
        if facts.trust_url
        else "install this on it, once; certs/README.md says how:"
    )
    if beside:
        what = "scan the third code with it, once, and do what it shows."
    page.sentence(
        f"A {who} does not know this computer yet, so it warns. In a hurry: choose "
        "Advanced, then Proceed."
    )
    page.sentence(f"What the {who} is to trust has this fingerprint:")
    page.fingerprint(facts.fingerprint)
    page.sentence(f"To be rid of the warning for good{some}, {what}")
    if not beside:
        page.link("Trust", facts.trust_url or facts.ca_url)
    if (
        codes
        and facts.trust_url
        and not beside
        and (code := _side_by_side({"Trust": facts.trust_url}, page.width))
    ):
        page.codes(
            code
        )  # here, because with three, one below the other, a terminal shows none whole
    page.gap()


def _advise(page: _Page, facts: Facts) -> None:
    for sentence, command in facts.advice:
        page.sentence(sentence, YELLOW)
        page.verbatim(command, BOLD)
        page.gap()


def _say_keys(page: _Page, facts: Facts) -> None:
    page.sentence(
        "The links contain the keys: Film lets its holder film, Watch lets its holder watch."
    )
    if facts.own_url:
        page.gap()
        page.sentence(
            f"{FOR_OWNER} It may do everything, also invite guests and send them away. It "
            "is shown this once."
        )
        page.link("Own", facts.own_url)
    elif facts.own_command:
        page.gap()
        page.sentence(
            "A link for your own phone or computer, which may do everything, also invite "
            "guests, is shown once, and only on a terminal. "
            "To make one, type:"
        )
        page.verbatim(facts.own_command)


def _side_by_side(
    urls: dict[str, str], width: int, zones: Sequence[int] = QUIET_ZONES
) -> list[str] | None:
    """Lines of codes with captions, with the widest quiet zones that fit the width; None when not
    even the narrowest do.
    """
    for border in zones:
        codes = [_code(caption, url, border) for caption, url in urls.items()]
        if sum(len(code[0]) for code in codes) + QR_GAP * (len(codes) - 1) <= width:
            return _joined(codes)
    return None


def _below_each_other(
    urls: dict[str, str], width: int, zones: Sequence[int] = QUIET_ZONES
) -> list[str] | None:
    """The same, one below the other."""
    for border in zones:
        codes = [_code(caption, url, border) for caption, url in urls.items()]
        if max(len(code[0]) for code in codes) <= width:
            return [line for code in codes for line in (*code, "")][:-1]
    return None


def _code(caption: str, url: str, border: int) -> list[str]:
    """A caption and below it the code, two modules a character high; all lines equally long."""
    drawn = io.StringIO()
    # Level L: a screen gets no scratches, and a smaller code has bigger modules.
    segno.make(url, error="l", micro=False).terminal(drawn, border=border, compact=True)
    rows = drawn.getvalue().splitlines()
    return [caption.center(len(rows[0])), *rows]


def _joined(codes: list[list[str]]) -> list[str]:
    height = max(map(len, codes))
    padded = [lines + [" " * len(lines[0])] * (height - len(lines)) for lines in codes]
    # The gap repeats the edge of the quiet zone: one light panel around all codes is found sooner
    # than some with dark bars between.
    return [
        "".join(part + part[-1] * QR_GAP for part in parts[:-1]) + parts[-1]
        for parts in zip(*padded, strict=True)
    ]


class _Page:
    """Lines of text that fit a width."""

    def __init__(self, width: int, colour: bool) -> None:
        self.width = width
        self._colour = colour
        self._lines: list[str] = []

    @property
    def height(self) -> int:
        """Lines so far."""
        return len(self._lines)

    def sentence(self, text: str, style: str = "") -> None:
        for line in textwrap.wrap(text, min(self.width, LONGEST_LINE), break_on_hyphens=False):
            self._add(line, style)

    def gap(self) -> None:
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def verbatim(self, text: str, style: str = "") -> None:
        """A line to copy: indented where that leaves it whole."""
        self._add(text, style, INDENT if len(INDENT) + len(text) <= self.width else "")

    def link(self, label: str, url: str | None) -> None:
        if not url:
            return
        start = f"{INDENT}{label:<7} "
        if len(start) + len(url) <= self.width:
            self._add(url, BOLD, start)
        else:
            self._add(f"{label}:")
            self.verbatim(url, BOLD)

    def codes(self, lines: list[str]) -> None:
        self.gap()
        for line in lines:
            self._add(line, WHITE_ON_BLACK if line else "")

    def fingerprint(self, fingerprint: str) -> None:
        """In rows of 8 bytes, as the trust page has them, so that a person can compare row by row;
        of 4 where that is too wide.
        """
        self._add(f"{INDENT}SHA-256"[: self.width])
        octets = fingerprint.split(":")
        per_row = 8 if len(2 * INDENT) + 3 * 8 <= self.width else 4
        for start in range(0, len(octets), per_row):
            row = ":".join(octets[start : start + per_row])
            self._add(row, "", 2 * INDENT)

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"

    def _add(self, text: str, style: str = "", before: str = "") -> None:
        self._lines.append(
            f"{before}{style}{text}{PLAIN}" if style and self._colour else before + text
        )
