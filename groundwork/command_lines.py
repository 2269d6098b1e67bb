"""Command lines: those that a person types wrong, and those that are printed for a person to
type.
"""

from __future__ import annotations

import argparse
import difflib
import getpass
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import bootstrap

ALIKE = 0.6
"""How much of a word must be right for another one to be offered in its place (see `difflib`): two
letters in four may be swapped.
"""

PATHS = ("--state", "--cert", "--key", "--registry-secret-file")
"""Options of the relay whose value is a path."""


def quoted(words: Iterable[str]) -> str:
    """A command in one line, for this system's shell."""
    return subprocess.list2cmdline(list(words)) if os.name == "nt" else shlex.join(words)


def command(*words: str, state: Path | None = None) -> str:
    """A command of this program that works as it is typed: it begins as this one was begun, and
    repeats what it needs.

    Args:
        words: What follows ``relay.py``.
        state: The state folder, where it is not the default one.
    """
    return quoted(
        [
            *_sudo(),
            *bootstrap.typed(),
            *words,
            *(["--state", str(state.resolve())] if state is not None else []),
        ]
    )


def called(*words: str) -> str:
    """What this program, or one of its commands, is called in its own help: such as ``relay.py
    keys``.
    """
    *before, name = bootstrap.typed()
    module = [Path(before[0]).name, "-m"] if before[-1:] == ["-m"] else []
    return " ".join([*module, Path(name).name, *words])


def with_tls(arguments: Sequence[str]) -> str:
    """The command that starts this relay again so that phones can film: as it was typed, on all
    addresses, with https.

    Args:
        arguments: What was typed behind ``relay.py``.
    """
    return command("--tls", *(word for word in _kept(arguments, host=False) if word != "--tls"))


def again(arguments: Sequence[str], option: str, value: str) -> str:
    """The command that starts this relay again as it was typed, and with one option more.

    Args:
        arguments: What was typed behind ``relay.py``.
    """
    return command(*_kept(arguments, host=option != "--host"), option, value)


def _kept(arguments: Sequence[str], host: bool) -> Iterator[str]:
    """What was typed, with whole paths; with `--host` or without it."""
    given = iter(arguments)
    for word in given:
        option, equals, value = word.partition("=")
        if (
            not host and option.startswith("--ho") and "--host".startswith(option)
        ):  # argparse takes the beginning for the whole
            if not equals:
                next(given, None)
        elif option in PATHS:
            yield from (option, str(Path(value if equals else next(given, "")).resolve()))
        else:
            yield word


def _sudo() -> list[str]:
    """`sudo` as it stood before this program, if it did: what is in a folder of another user is for
    that user alone.
    """
    if sys.platform == "win32" or Path(bootstrap.typed()[-1]).name not in os.environ.get(
        "SUDO_COMMAND", ""
    ):
        return []
    return ["sudo"] if os.geteuid() == 0 else ["sudo", "-u", getpass.getuser()]


EXAMPLES = {
    "ADDRESS": "192.168.1.5",
    "DIR": "/srv/drawercam",
    "FILE": "/srv/file.pem",
    "HOST": "cam.example.org",
    "KEY": "Zk3v9QxT1mB7aLr0YpWc2A",
    "N": "15",
    "NAME": "porch",
    "NAMES": "porch,garden",
    "PORT": "9000",
    "TEXT": "'Baby Room'",
    "TIME": "7d",
    "URL": "https://192.168.1.5:8443",
    "WxH": "640x480",
}
"""What may stand behind an option, by the word that its help has for it: shown where a value is
missing or wrong.
"""


class Parser(argparse.ArgumentParser):
    """A parser that answers what is mistyped in a sentence, with the near word or an example, and
    not with all that there is.
    """

    def __init__(
        self, *arguments: Any, commands: Sequence[str] = (), example: str = "", **options: Any
    ) -> None:
        """
        Args:
            arguments, options: See argparse.
            commands: Words that may stand in the first place instead of options.
            example: What works behind the name of this command.
        """
        super().__init__(*arguments, **options)
        self._commands = tuple(commands)
        self._example = example

    def parse_args(self, args: Any = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        """See argparse."""
        chosen: argparse.Namespace
        chosen, more = self.parse_known_args(args, namespace)
        if more:
            self.error(self.unknown(more))
        return chosen

    def unknown(self, words: Sequence[str]) -> str:
        """What to say of words that there are no options for.

        Of a value nothing is shown: it may be a password.
        """
        options = [word.partition("=")[0] for word in words if _is_option(word)]
        shown = options or list(words[:1])
        near = [found for word in shown for found in self.near(word)]
        more = [f"Did you mean {' and '.join(dict.fromkeys(near))}?"] if near else []
        kinds = "option" if options or not self._commands else "option or command"
        return "\n".join([f"there is no {kinds} {' or '.join(dict.fromkeys(shown))}", *more])

    def near(self, word: str) -> list[str]:
        """The word that was meant, if there is one that is alike."""
        there = {_plain(one): one for one in self._words()}
        return [there[found] for found in difflib.get_close_matches(_plain(word), there, 1, ALIKE)]

    def error(self, message: str) -> NoReturn:
        """See argparse, whose own sentences are for programmers."""
        sentence, option = self._in_words(message)
        words = self.prog.removeprefix(called()).split() if self.prog.startswith(called()) else []
        lines = [f"{self.prog}: {sentence}"]
        if sentence != message:
            lines.append(f"For example: {command(*words)} {self._shown(option)}".rstrip())
        lines.append(f"All that there is: {command(*words, '--help')}")
        self.exit(2, "\n".join(lines) + "\n")

    def _in_words(self, message: str) -> tuple[str, str]:
        """One of argparse's sentences in plain words, and the option that it is about; what is none
        of them stays as it is.
        """
        if found := re.fullmatch(r"the following arguments are required: (.*)", message):
            named = [
                one for one in self._actions if (one.metavar or one.dest) in found[1].split(", ")
            ]
            return "; ".join(
                f"{one.metavar} is missing: {one.help}" for one in named
            ) or f"{found[1]} is missing", ""
        if found := re.fullmatch(r"ambiguous option: (\S+) could match (.*)", message):
            return (
                (
                    f"{found[1]} may be the beginning of "
                    f"{' or of '.join(found[2].split(', '))}; type all of it"
                ),
                found[2].split(", ")[0],
            )
        found = re.fullmatch(r"argument (.*?): (.*)", message, re.DOTALL)
        action = next(
            (
                one
                for one in self._actions
                if found and found[1] in (one.metavar, "/".join(one.option_strings))
            ),
            None,
        )
        if found is None or action is None:
            return message, ""
        option, why = found[1], found[2]
        if why.startswith("expected "):
            return f"a value is missing behind {option}: {action.help}", option
        if why.startswith("ignored explicit argument"):
            return f"{option} takes no value", option
        if action.choices is not None and why.startswith("invalid choice"):
            *most, last = map(str, action.choices)
            return f"what stands behind {option} must be {', '.join(most)} or {last}", option
        if why.startswith("invalid "):
            return f"what stands behind {option} is not what belongs there: {action.help}", option
        return f"{option}: {why}", option

    def _shown(self, option: str) -> str:
        """What to type in place of what was wrong."""
        action = self._option_string_actions.get(option)
        if action is None or option in self._example.split():
            return self._example
        if action.nargs == 0:
            return f"{self._example} {option}"
        value = (
            str(next(iter(action.choices)))
            if action.choices
            else EXAMPLES.get(str(action.metavar), str(action.metavar))
        )
        return f"{self._example} {option} {value}".lstrip()

    def _words(self) -> Iterator[str]:
        yield from self._commands
        for action in self._actions:
            yield from (one for one in action.option_strings if one.startswith("--"))
            if isinstance(action, argparse._SubParsersAction):
                yield from action.choices
                for parser in action.choices.values():
                    yield from parser._words() if isinstance(parser, Parser) else ()


def port(least: int = 0) -> Callable[[str], int]:
    """The type of an option that is a port, from this number on.

    Raises:
        argparse.ArgumentTypeError: What was typed is none (by what is returned).
    """

    def parsed(text: str) -> int:
        if not (
            text.isascii() and text.isdecimal() and len(text) < 6 and least <= int(text) < 65536
        ):
            raise argparse.ArgumentTypeError(f"a port is a number from {least} to 65535")
        return int(text)

    return parsed


def _is_option(word: str) -> bool:
    return word[:1] in "-\u2013\u2014" and len(word) > 1  # a word processor makes one dash of two


def _plain(word: str) -> str:
    """A word as people remember it: without dashes at its beginning."""
    return word.lower().lstrip("-\u2013\u2014").replace("_", "-")
