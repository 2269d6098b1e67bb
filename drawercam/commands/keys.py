"""`relay.py keys`: list, make and revoke keys, also while a relay runs."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

from drawercam import banner
from drawercam.access.key import ALL, DURATION_RULE, Key, KeysError, Scope, link, seconds
from drawercam.access.keys import Keyring
from drawercam.film.relay.address import own_trust
from drawercam.live import gone, gone_file
from groundwork import addresses, running_relay, state_files
from groundwork.command_lines import Parser, called, command, port
from groundwork.names import name_of
from groundwork.running_relay import Running

COMMANDS = ("list", "add", "revoke")

PATIENCE = 3.0
"""Seconds that the relay on this computer may take to say which cameras there are; it answers in
milliseconds.
"""

MAX_ANSWER = 2**20
"""Bytes of its answers: 250 cameras have 100 KB."""


def main(arguments: list[str], state: Path, port: int) -> int:
    """The command; returns its exit status.

    Args:
        arguments: What follows `keys`.
        state: The default state folder.
        port: The default port of the links.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a label or a name that this terminal cannot show is no reason to stop
    chosen = _options(arguments, state, port)
    where = chosen.state.resolve()
    try:
        if chosen.command == "add":
            _add(chosen)
        elif (chosen.state / "keys.json").exists():
            (_revoke if chosen.command == "revoke" else _list)(chosen)
        elif chosen.command == "revoke":
            raise KeysError(
                f"There are no keys in {where}. A relay that was started with --state has "
                "them there: keys needs the same."
            )
        else:
            print(
                f"There are no keys yet in {where}: they are made when the relay is "
                "started with --tls for the first time."
            )
    except KeysError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        why = f"{error.strerror or error}. {state_files.advice(error, chosen.state)}"
        print(f"The keys in {chosen.state} cannot be used: {why}.", file=sys.stderr)
        return 1
    return 0


def _options(arguments: list[str], state: Path, usual_port: int) -> argparse.Namespace:
    common = Parser(add_help=False)
    common.add_argument(
        "--state", type=Path, default=state, metavar="DIR", help="the relay's state folder"
    )
    parser = Parser(
        prog=called("keys"),
        commands=COMMANDS,
        description="Keys to film and to watch. A running relay notices at once.",
    )
    parser.set_defaults(command="list", state=state)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser(
        "list", parents=[common], help="list the keys (the default); the secrets are not shown"
    )
    add = commands.add_parser(
        "add", parents=[common], example="--watch all", help="make a key, and print its link"
    )
    names = "NAMES"
    add.add_argument(
        "--watch",
        metavar=names,
        help="let its holder watch these cameras: names with commas between them, or all",
    )
    add.add_argument(
        "--publish",
        metavar=names,
        help="let its holder film as one of these cameras: names with commas, or all",
    )
    own = "let its holder do everything, also give keys to others: for your own phone or computer"
    add.add_argument("--own", action="store_true", help=own)
    add.add_argument("--expires", metavar="TIME", help=f"end by itself: {DURATION_RULE}")
    add.add_argument(
        "--label", default="", metavar="TEXT", help="for whom it is, so that you know later"
    )
    ports = (
        f"the relay's port, for the links (default: that of the one that runs, else {usual_port})"
    )
    add.add_argument("--port", type=port(1), metavar="PORT", help=ports)
    add.add_argument("--no-qr", action="store_true", help="print no QR code")
    revoke = commands.add_parser(
        "revoke", parents=[common], example="k3f7a", help="make a key and its link useless"
    )
    revoke.add_argument("id", metavar="ID", help=f"the ID of a key, as {command('keys')} shows it")
    revoke.add_argument("--yes", action="store_true", help="do not ask, whichever key it is")
    ordered = _in_order(arguments)
    if ordered[0] not in (*COMMANDS, "-h", "--help"):
        parser.error(parser.unknown(ordered[:1]))
    chosen = parser.parse_args(ordered)
    chosen.default_state = state
    if chosen.command == "add":
        if chosen.own and (chosen.watch is not None or chosen.publish is not None):
            add.error("a key made with --own may do everything: leave out --watch and --publish")
        if not chosen.own and chosen.watch is None and chosen.publish is None:
            add.error(
                "say what the key is for: --watch porch,garden or --publish porch, or all "
                "in place of the names; or --own"
            )
        chosen.usual_port = usual_port
    return chosen


def _in_order(arguments: list[str]) -> list[str]:
    """The command first, also where `--state` stands before it; `list` where there is none."""
    ahead = 0
    if arguments[:1] == ["--state"]:
        ahead = 2
    elif arguments and arguments[0].startswith("--state="):
        ahead = 1
    if arguments[ahead:] and not arguments[ahead].startswith("-"):
        return [*arguments[ahead:], *arguments[:ahead]]
    return arguments if {"-h", "--help"} & {*arguments[:1]} else ["list", *arguments]


def _again(chosen: argparse.Namespace, *words: str) -> str:
    """A command that works on the same keys."""
    same = chosen.state.resolve() == chosen.default_state.resolve()
    return command("keys", *words, state=None if same else chosen.state)


def _scope(text: str | None) -> Scope:
    """What an option names, as the camera page would call it; what is no name in any way is refused
    as it was typed.
    """
    typed = [name.strip() for name in (text or "").split(",") if name.strip()]
    names = [name_of(name) or name for name in typed]
    for name, given in zip(names, typed, strict=True):
        if name != given:
            print(f"{given!r} is called {name} by a camera.")
    return Scope.from_json("all" if names == ["all"] else names)


def _add(chosen: argparse.Namespace) -> None:
    publish, watch = (ALL, ALL) if chosen.own else (_scope(chosen.publish), _scope(chosen.watch))
    lasts = seconds(chosen.expires) if chosen.expires is not None else None
    own = publish.everything and watch.everything
    if own and not sys.stdout.isatty():
        raise KeysError(
            "No key is made: one that may do everything is shown only on a terminal, "
            "because it should stand in no file and in no log. "
            f"On a terminal, type:\n  {_again(chosen, 'add', '--own')}"
        )
    ring = Keyring.open(chosen.state)
    try:
        key = ring.add(publish, watch, lasts, chosen.label)
    except OSError as error:
        why = f"{error.strerror or error}. {state_files.advice(error, chosen.state)}"
        raise KeysError(
            f"No key is made, because it cannot be written down in {chosen.state}: {why}."
        ) from None
    relay = next((one for one in running_relay.relays(chosen.state) if one.keys), None)
    where, doubts = _where(chosen, relay)
    print(f"The holder of this link can {allows(key)}, {until(key)}.\n")
    pages = [("Film", "/camera.html", "name", publish), ("Watch", "/player.html", "camera", watch)]
    if own:
        pages = [("Own", "/player.html", "camera", watch)]
        print(f"{banner.FOR_OWNER} It is shown this once.\n")
    urls = {
        label: link(where(page), key, name, scope) for label, page, name, scope in pages if scope
    }
    trust = {"Trust": relay.trust} if relay is not None and relay.trust else {}
    shown = (
        trust if own else urls | trust
    )  # a code of Own could be scanned by whoever stands behind
    if not chosen.no_qr and shown and (codes := banner.codes_for(shown, sys.stdout)):
        print(codes)
    for label, url in urls.items():
        print(f"  {label:<7} {url}")
    if trust:
        print(
            "\nA phone that warns of the certificate opens this, once, and does what it "
            f"shows:\n  {'Trust':<7} {trust['Trust']}"
        )
    if doubts:
        print(f"\n{doubts}")
    for name in _unseen(chosen.state, key, relay):
        print(
            f"\nMind that no camera {name} was seen lately. The key is for that name all the same."
        )
    print("\nThe link is the key, and its holder can pass it on. To take it back, type:")
    print(f"  {_again(chosen, 'revoke', key.id)}")


def _where(chosen: argparse.Namespace, relay: Running | None) -> tuple[Callable[[str], str], str]:
    """Where a page of the relay is, by its path; and what makes that doubtful, if anything does."""
    if relay is not None and chosen.port is None:
        return (lambda page: relay.urls(page)[0]), ""
    if relay is not None:
        return (
            lambda page: addresses.url(
                relay.scheme, relay.hosts[0], chosen.port or relay.port, page
            )
        ), ""
    host, port = (
        next((str(address) for address in addresses.lan_addresses()), "localhost"),
        chosen.port or chosen.usual_port,
    )
    if running_relay.relays(chosen.state):
        doubts = (
            "The relay that runs now asks for no keys, because it was started without --tls or "
            "with --no-key."
        )
    else:
        doubts = f"No relay is seen to run with {chosen.state.resolve()}."
    if chosen.port is None:
        doubts += f" So the link has the usual port {port}; --port gives another one."
    return (lambda page: addresses.url("https", host, port, page)), doubts


def _unseen(state: Path, key: Key, relay: Running | None) -> list[str]:
    """Which of the cameras that a new key may watch are neither on the air nor among those that are
    gone; none where that is not known.
    """
    if not key.watch.names:
        return []
    seen: set[str] = set()
    known = False
    with contextlib.suppress(OSError, ValueError):
        seen |= _remembered(state)
        known = True
    if relay is not None:
        with contextlib.suppress(OSError, HTTPException, ValueError, TypeError, KeyError):
            seen |= _cameras(state, key, relay)
            known = True
    return sorted(key.watch.names - seen) if known else []


def _remembered(state: Path) -> set[str]:
    """The cameras that a relay has written down in the last day: those that are gone, and those
    that were on the air then.

    Raises:
        OSError, ValueError: That cannot be read.
    """
    try:
        data, found = state_files.read(state / gone_file.FILE, gone_file.MAX_FILE + 1)
    except FileNotFoundError:
        return set()  # no camera has come yet
    begin = time.time() * 1000 - gone.KEPT
    return {
        one.name for one in gone_file.parse(data, found.st_mtime_ns // 10**6) if one.since > begin
    }


def _cameras(state: Path, key: Key, relay: Running) -> set[str]:
    """What the relay shows to the holder of this key, asked as a page does.

    Raises:
        OSError, HTTPException, ValueError, TypeError, KeyError: It does not answer, or not as a
            relay does.
    """
    context = own_trust(state, None, False)
    with contextlib.closing(
        HTTPSConnection(relay.here, relay.port, timeout=PATIENCE, context=context)
    ) as connection:
        connection.request(
            "POST",
            "/api/session",
            json.dumps({"key": key.secret}),
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        answer.read(MAX_ANSWER)
        cookie = (answer.headers["Set-Cookie"] or "").partition(";")[
            0
        ]  # without it, the next answer is a refusal
        connection.request("GET", "/api/cameras", headers={"Cookie": cookie})
        return {
            str(camera["name"]) for camera in json.loads(connection.getresponse().read(MAX_ANSWER))
        }


def _list(chosen: argparse.Namespace) -> None:
    ring = Keyring.open(chosen.state)
    rows = [("KEY", "ID", "ITS HOLDER CAN", "UNTIL", "LABEL")]
    for key in ring.keys:
        ends = "over" if key.is_over(time.time()) else _moment(key.expires) or "you revoke it"
        rows.append((kind(key), key.id, allows(key), ends, key.label))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print(
            "  ".join(
                [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]
            ).rstrip()
        )
    for sentence in _missing(chosen, ring):
        print(f"\n{sentence}")


def _revoke(chosen: argparse.Namespace) -> None:
    ring = Keyring.open(chosen.state)
    printed = ring.for_links()
    if ring.is_last_that_manages(chosen.id) and not chosen.yes:
        _ask(chosen)
    try:
        key = ring.revoke(chosen.id)
    except OSError as error:
        raise KeysError(
            f"The key {chosen.id} is not revoked, because that cannot be written down in "
            f"{chosen.state}: {error.strerror or error}. "
            "Mend that and type it again. A relay that runs revokes it in memory by DELETE "
            "/api/keys/ID (docs/protocol.md)."
        ) from None
    ring.refresh()
    print(
        f"The key {key.id} is revoked: its holder can no longer {allows(key)}. What is "
        "connected by it is cut off within a second."
    )
    if key in printed:
        print(
            f"It was the key of the link and code {kind(key)} that the relay prints at its "
            "start. The printed ones no longer work."
        )
    for sentence in _missing(chosen, ring):
        print(sentence)


def _ask(chosen: argparse.Namespace) -> None:
    """Whether the last key that manages is to go.

    Raises:
        KeysError: No, or nobody is there to answer.
    """
    print(
        f"The key {chosen.id} is the last one that may give keys to others. Without it, "
        "that can be done only by this command."
    )
    if not sys.stdin.isatty():
        raise KeysError(
            "It is not revoked. To revoke it all the same, type:\n  "
            f"{_again(chosen, 'revoke', chosen.id, '--yes')}"
        )
    try:
        answer = input("Revoke it? Type yes: ")
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise KeysError("It is not revoked.")


def _missing(chosen: argparse.Namespace, ring: Keyring) -> list[str]:
    """What nobody can do any more, and how to change that."""
    sentences = []
    if not any(key.publish for key in ring.live):
        sentences.append(
            "No key is left that lets anybody film. To make one, type:\n  "
            f"{_again(chosen, 'add', '--publish', 'all')}"
        )
    if not any(key.watch for key in ring.live):
        sentences.append(
            "No key is left that lets anybody watch. To make one, type:\n  "
            f"{_again(chosen, 'add', '--watch', 'all')}"
        )
    if not any(key.manages for key in ring.live):
        sentences.append(
            "No key may give keys to others, so only this command can. To make one for "
            "your own phone or computer, type:\n"
            f"  {_again(chosen, 'add', '--own')}"
        )
    return sentences


def kind(key: Key) -> str:
    """What its links and codes are called, here and at the relay's start."""
    if key.manages:
        return "Own"
    return ", ".join(name for name, scope in (("Film", key.publish), ("Watch", key.watch)) if scope)


def allows(key: Key) -> str:
    """What follows "can": such as "film as porch and watch every camera"."""
    parts = []
    if key.publish:
        parts.append(
            "film under any name"
            if key.publish.everything
            else f"film as {_names(key.publish, 'or')}"
        )
    if key.watch:
        parts.append(
            "watch every camera" if key.watch.everything else f"watch {_names(key.watch, 'and')}"
        )
    if key.publish.everything and key.watch.everything:
        parts.append("give keys to others")
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def until(key: Key) -> str:
    """Such as "until 28 November 2025, 16:05"."""
    return f"until {_moment(key.expires) or 'you revoke it'}"


def _names(scope: Scope, between: str) -> str:
    *most, last = sorted(scope.names)
    return f"{', '.join(most)} {between} {last}" if most else last


def _moment(time_: int | None) -> str:
    """Local time; no locale, because terminals that cannot show it exist."""
    if time_ is None:
        return ""
    local = datetime.fromtimestamp(time_).astimezone()
    return f"{local.day} {local:%B %Y, %H:%M}"
