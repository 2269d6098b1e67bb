"""`relay.py film`: a camera that is a program. Options, sentences, run."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import logging
import os
import re
import signal
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from drawercam.film.relay import address
from drawercam.film.relay.address import Address
from drawercam.film.relay.login import Entry
from drawercam.film.sources.urls import HINT
from groundwork import console
from groundwork.command_lines import Parser, called, command, quoted
from groundwork.names import NAME, NAME_RULE, name_of, told_label

if TYPE_CHECKING:
    from drawercam.film.pan_tilt import Turner
    from drawercam.film.sources.source import Source

KEY_VARIABLE = "DRAWERCAM_KEY"
"""Environment variable with the key: a service's file need not be readable for everybody, a command
line is.
"""

# Exit statuses: the relay or the source will have none of it; another camera has taken the name.
_FAILED, _TAKEN = 1, 3

# What is filmed where nothing else is said: (width, height), pictures per second.
_SIZES = {"test": (640, 480), "rpicam": (1280, 720), "device": (1280, 720)}
_RATE = 30.0

# What may be shown of a command line that is wrong, up to an equals sign.
_OPTION = re.compile(r"--[a-z-]+(=|$)")

_EXAMPLES = (
    ("test --name test", "a moving picture with a clock, and sound"),
    ("/dev/video0 --name desk", "a webcam"),
    ("rpicam --name nest", "a Raspberry Pi's camera"),
    ("rtsp://10.0.0.7/1 --name gate", "a camera of the network"),
    ("holiday.mp4 --name cinema", "a file, again and again"),
)


def main(arguments: list[str], state: Path, tls_port: int, plain_port: int) -> int:
    """The command; returns its exit status.

    Args:
        arguments: What follows `film`.
        state: The default state folder of a relay on this computer.
        tls_port, plain_port: A relay's default ports.
    """
    parser = _parser(state)
    chosen = _parsed(parser, arguments)
    try:
        importlib.import_module("av")
    except ImportError as error:
        install = quoted([sys.executable, "-m", "pip", "install", "av"])
        print(
            (
                f"Filming without a browser needs the library PyAV ({error}). To install it, "
                f"type: {install}"
            ),
            file=sys.stderr,
        )
        return _FAILED
    logging.basicConfig(
        format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=chosen.log_level.upper()
    )
    logging.getLogger("websockets").setLevel(logging.WARNING)
    logging.getLogger("libav").setLevel(
        logging.CRITICAL
    )  # what matters comes as an error, and becomes a sentence
    try:
        where = (
            Address.parse(chosen.relay)
            if chosen.relay
            else address.own(chosen.state, tls_port, plain_port)
        )
    except ValueError as error:
        parser.error(f"--relay: {error}")
    if not chosen.relay and not address.is_known(chosen.state):
        print(
            f"No relay is seen to run with {chosen.state.resolve()}, so {where.origin} is "
            "tried. --state or --relay gives another one."
        )
    name = chosen.name or name_of(chosen.label) or where.name
    if not NAME.fullmatch(name):
        parser.error(
            f"--name: {name!r} is no name: {NAME_RULE}"
            if name
            else "--name is missing; or give a --label"
        )
    try:
        key, context = _credentials(chosen, where)
    except ssl.SSLError:
        print(f"{chosen.ca} is no certificate in PEM form.", file=sys.stderr)
        return _FAILED
    except OSError as error:
        print(f"{error.filename} cannot be read: {error.strerror}.", file=sys.stderr)
        return _FAILED
    if chosen.insecure and where.tls:
        print(
            "With --insecure, a program between here and the relay can see all pictures "
            "and take the key. Better: --ca ca.crt"
        )

    def look() -> tuple[Address, str, ssl.SSLContext | None]:
        now = address.own(chosen.state, tls_port, plain_port)
        return now, *_credentials(chosen, now)

    return _run(
        parser, chosen, Entry(where, name, key, context, None if chosen.relay else look), name
    )


def _parser(state: Path) -> Parser:
    parser = Parser(
        prog=called("film"),
        example="test --name test",
        description=(
            "Films without a browser: a webcam, a Raspberry Pi's camera, a camera of the "
            "network, a file, or a test picture."
        ),
        epilog=_examples(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="a device such as /dev/video0, rpicam, a URL, a file, or test",
    )
    label = (
        "what people call it, such as 'Baby Room': shown on the wall; without --name, the name "
        "is made from it (baby-room)"
    )
    parser.add_argument("--label", default="", metavar="TEXT", help=label)
    parser.add_argument(
        "--name",
        default="",
        metavar="NAME",
        help=(
            "the camera's name in links and keys; needed unless the link has one, or there is "
            "a label"
        ),
    )
    relay = (
        "the relay: the link for filming that it prints, or wss://host:port (default: the one "
        "on this computer)"
    )
    parser.add_argument("--relay", metavar="URL", help=relay)
    key = (
        f"the relay's key for filming (default: from the link, from {KEY_VARIABLE}, or this "
        "computer's own)"
    )
    parser.add_argument("--key", metavar="KEY", help=key)
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="a file with the key: others can read a command line",
    )
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="another relay's authority, its ca.crt (PEM)"
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="believe any certificate: then anybody on the way can see and pose",
    )
    parser.add_argument(
        "--size",
        type=_size,
        metavar="WxH",
        help="what a device, rpicam or test gives (default: 1280x720, test 640x480)",
    )
    parser.add_argument(
        "--fps",
        type=_rate,
        default=_RATE,
        metavar="N",
        help=f"their pictures per second (default: {_RATE:g})",
    )
    parser.add_argument(
        "--encode", action="store_true", help="encode also what players would take as it is"
    )
    turns = ["auto", "none", "simulator", "pantilthat"]
    turn = "what turns the camera (default: auto, which is nothing, and a simulator for test)"
    parser.add_argument("--turn", choices=turns, default="auto", help=turn)
    parser.add_argument(
        "--state",
        type=Path,
        default=state,
        metavar="DIR",
        help="state folder of the relay on this computer",
    )
    levels = ["debug", "info", "warning", "error"]
    parser.add_argument(
        "--log-level", choices=levels, default="info", help="how much to say (default: info)"
    )
    return parser


def _examples() -> str:
    commands = [command("film", *words.split()) for words, _ in _EXAMPLES]
    width = max(map(len, commands))
    lines = (
        f"  {line:<{width}}  {what}" for line, (_, what) in zip(commands, _EXAMPLES, strict=True)
    )
    return "\n".join(["examples:", *lines])


def _parsed(parser: Parser, arguments: list[str]) -> argparse.Namespace:
    """The command line.

    What is too much is not shown: a shell may have cut it off an address, password and all.
    """
    chosen, more = parser.parse_known_args(arguments)
    if options := [
        word for word in more if _OPTION.match(word) or (word.startswith("-") and parser.near(word))
    ]:
        parser.error(parser.unknown(options))
    if more:
        parser.error(
            "only one SOURCE can be filmed; put it in quotes if it has blanks or other "
            f"special characters. {HINT}"
        )
    return chosen


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError("a size is such as 640x480")
    size = int(width), int(height)
    if not all(64 <= side <= 8192 and side % 2 == 0 for side in size):
        raise argparse.ArgumentTypeError("width and height are even numbers from 64 to 8192")
    return size


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 1 <= rate <= 240:
        raise argparse.ArgumentTypeError("pictures per second are a number from 1 to 240")
    return rate


def _credentials(chosen: argparse.Namespace, where: Address) -> tuple[str, ssl.SSLContext | None]:
    """The key to show, empty if there is none; and whom to believe, None without https.

    Raises:
        OSError: The key file or a certificate cannot be read.
    """
    key, own = _given_key(chosen, where), not chosen.relay
    if not where.tls:
        if own and address.is_keyed(chosen.state):
            return key or address.own_key(chosen.state), None
        return (
            "" if own else key,
            None,
        )  # this computer's relay asks for none then, and another program shall not get one
    if not key and (own or where.here):
        key = address.own_key(chosen.state)
        own = bool(key)
    return key, (address.own_trust if own else address.trust)(
        chosen.state, chosen.ca, chosen.insecure
    )


def _given_key(chosen: argparse.Namespace, where: Address) -> str:
    if chosen.key:
        return str(chosen.key)
    if chosen.key_file:
        return str(chosen.key_file.read_text(encoding="ascii", errors="replace").strip())
    return where.key or os.environ.get(KEY_VARIABLE, "")


def _run(
    parser: argparse.ArgumentParser, chosen: argparse.Namespace, entry: Entry, name: str
) -> int:
    # From here on PyAV is there.
    from drawercam.film.pan_tilt import TurningError
    from drawercam.film.relay.connection import TakenOver
    from drawercam.film.relay.login import Refused
    from drawercam.film.sources.source import SourceError

    try:
        turner = _turner(chosen)
        source = _source(parser, chosen, turner)
        with console.unhurried():
            asyncio.run(_film(entry, source, chosen.encode, turner, told_label(chosen.label)))
    except KeyboardInterrupt:
        pass
    except TakenOver:
        print(
            (
                f"Another camera is called {name} now, so this one ends. Give one of them "
                "another --name."
            ),
            file=sys.stderr,
        )
        return _TAKEN
    except (Refused, SourceError, TurningError) as error:
        print(error, file=sys.stderr)
        return _FAILED
    return 0


async def _film(
    entry: Entry, source: Source, encode: bool, turner: Turner | None, label: str | None
) -> None:
    from drawercam.film.camera import Camera
    from drawercam.film.encode.encoders import recipes

    film = asyncio.create_task(
        Camera(entry, source, recipes(), encode=encode, turner=turner, label=label).run()
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(
            NotImplementedError
        ):  # Windows: Ctrl-C arrives as KeyboardInterrupt
            asyncio.get_running_loop().add_signal_handler(number, film.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await film


def _turner(chosen: argparse.Namespace) -> Turner | None:
    from drawercam.film.pan_tilt import PanTiltHat, Simulator

    if chosen.turn == "pantilthat":
        return PanTiltHat()
    if chosen.turn == "simulator" or (chosen.turn == "auto" and chosen.source == "test"):
        return Simulator()
    return None


def _source(
    parser: argparse.ArgumentParser, chosen: argparse.Namespace, turner: Turner | None
) -> Source:
    from drawercam.film.pan_tilt import Simulator
    from drawercam.film.sources import ffmpeg, network
    from drawercam.film.sources.source import TestPicture

    text: str = chosen.source
    if text == "test":
        width, height = chosen.size or _SIZES["test"]
        return TestPicture(
            width, height, chosen.fps, turner.view if isinstance(turner, Simulator) else None
        )
    if text == "rpicam":
        from drawercam.film.sources import rpicam  # it is for Linux only

        width, height = chosen.size or _SIZES["rpicam"]
        return rpicam.RpiCamera(width, height, chosen.fps)
    if text.startswith("/dev/"):
        width, height = chosen.size or _SIZES["device"]
        return ffmpeg.device(text, width, height, chosen.fps)
    if "://" in text:
        try:
            return network.camera(text)
        except ValueError as error:
            parser.error(str(error))
    if not _is_file(text):
        # What is meant for a URL may have a password in it.
        missing = f"file {text}" if not set(text) & set(":@") else "such file"
        parser.error(
            f"there is no {missing}; a source is a device such as /dev/video0, rpicam, a "
            "URL, a file, or test"
        )
    return ffmpeg.file(Path(text))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long a name, or one that no file can have
        return False
