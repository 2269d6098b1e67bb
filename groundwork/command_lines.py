"""Command lines: those that a person types wrong, and those that are printed for a person to type."""

from __future__ import annotations

import argparse
import difflib
import getpass
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import bootstrap

ALIKE = 0.6
"""How much of a word must be right for another one to be offered in its place (see `difflib`): two letters in four may be swapped."""

PATHS = ("--state", "--cert", "--key", "--registry-secret-file")
"""Options of the relay whose value is a path."""


def quoted(words: Iterable[str]) -> str:
    """A command in one line, for this system's shell."""
    return subprocess.list2cmdline(list(words)) if os.name == "nt" else shlex.join(words)


def command(*words: str, state: Path | None = None) -> str:
    """A command of this program that works as it is typed: it begins as this one was begun, and repeats what it needs.

    Args:
        words: What follows ``relay.py``.
        state: The state folder, where it is not the default one.
    """
    return quoted([*_sudo(), *bootstrap.typed(), *words, *(["--state", str(state.resolve())] if state is not None else [])])


def called(*words: str) -> str:
    """What this program, or one of its commands, is called in its own help: such as ``relay.py keys``."""
    *before, name = bootstrap.typed()
    module = [Path(before[0]).name, "-m"] if before[-1:] == ["-m"] else []
    return " ".join([*module, Path(name).name, *words])


def with_tls(arguments: Sequence[str]) -> str:
    """The command that starts this relay again so that phones can film: as it was typed, on all addresses, with https.

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
        if not host and option.startswith("--ho") and "--host".startswith(option):  # argparse takes the beginning for the whole
            if not equals:
                next(given, None)
        elif option in PATHS:
            yield from (option, str(Path(value if equals else next(given, "")).resolve()))
        else:
            yield word


def _sudo() -> list[str]:
    """`sudo` as it stood before this program, if it did: what is in a folder of another user is for that user alone."""
    if sys.platform == "win32" or Path(bootstrap.typed()[-1]).name not in os.environ.get("SUDO_COMMAND", ""):
        return []
    return ["sudo"] if os.geteuid() == 0 else ["sudo", "-u", getpass.getuser()]


class Parser(argparse.ArgumentParser):
    """A parser that answers what is mistyped with the near word, and not with all the words that there are."""

    def __init__(self, *arguments: Any, commands: Sequence[str] = (), **options: Any) -> None:
        """
        Args:
            arguments, options: See argparse.
            commands: Words that may stand in the first place instead of options.
        """
        super().__init__(*arguments, **options)
        self._commands = tuple(commands)

    def parse_args(self, args: Any = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        """See argparse."""
        chosen: argparse.Namespace
        chosen, more = self.parse_known_args(args, namespace)
        if more:
            self.error(self.unknown(more))
        return chosen

    def unknown(self, words: Sequence[str]) -> str:
        """What to say of words that there are no options for. Of a value nothing is shown: it may be a password."""
        options = [word.partition("=")[0] for word in words if _is_option(word)]
        shown = options or list(words[:1])
        near = [found for word in shown for found in self.near(word)]
        more = [f"Did you mean {' and '.join(dict.fromkeys(near))}?"] if near else []
        return "\n".join([f"unrecognized arguments: {' '.join(shown)}", *more])

    def near(self, word: str) -> list[str]:
        """The word that was meant, if there is one that is alike."""
        there = {_plain(one): one for one in self._words()}
        return [there[found] for found in difflib.get_close_matches(_plain(word), there, 1, ALIKE)]

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        words = self.prog.removeprefix(called()).split()
        self.exit(2, f"{self.prog}: {message}\nAll that there is: {command(*words, '--help')}\n")

    def _words(self) -> Iterator[str]:
        yield from self._commands
        for action in self._actions:
            yield from (one for one in action.option_strings if one.startswith("--"))
            if isinstance(action, argparse._SubParsersAction):
                yield from action.choices
                for parser in action.choices.values():
                    yield from parser._words() if isinstance(parser, Parser) else ()


def _is_option(word: str) -> bool:
    return word[:1] in "-\u2013\u2014" and len(word) > 1  # a word processor makes one dash of two


def _plain(word: str) -> str:
    """A word as people remember it: without dashes at its beginning."""
    return word.lower().lstrip("-\u2013\u2014").replace("_", "-")
