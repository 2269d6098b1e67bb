"""The secret that a registry shares with its relays, in a file that only its owner may read."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from groundwork import state_files

from .messages import MIN_SECRET

FILE = "registry-secret"
"""Its name in the state folder, of a registry and of a relay."""

_MAX_FILE = 1024
"""Bytes: somebody may have named the wrong file, and it may be large."""


class SecretError(Exception):
    """The secret cannot be had. The text is a sentence that says what to do."""


def load(path: Path) -> str:
    """The secret in this file.

    Raises:
        SecretError: There is none.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE + 1)
        state_files.keep_private(path)
    except FileNotFoundError:
        raise SecretError(
            f"There is no {path}: copy the file {FILE} there from the state folder of the registry."
        ) from None
    except OSError as error:
        raise SecretError(
            f"The registry's secret cannot be read: {error.strerror or error} ({path})."
        ) from None
    secret = text.decode(errors="replace").strip()
    if (
        not MIN_SECRET <= len(secret) <= _MAX_FILE
        or not secret.isascii()
        or not secret.isprintable()
    ):
        raise SecretError(
            f"{path} holds no secret: it must be one line of {MIN_SECRET} or more "
            "printable characters."
        )
    return secret


def load_or_create(path: Path) -> tuple[str, bool]:
    """The secret, made if there is none.

    Returns:
        It, and whether it is new.

    Raises:
        SecretError: The file can neither be read nor written, or holds something else, which is
            then left alone.
    """
    if path.exists():
        return load(path), False
    secret = secrets.token_urlsafe(32)
    lock = path.with_name(state_files.STATE_LOCK)
    try:
        state_files.make_folder(path.parent)
        # Only in a state folder another program may remove what it takes for a remnant; elsewhere
        # there is no lock.
        with state_files.locked(lock) if lock.exists() else contextlib.nullcontext():
            if path.exists():
                return load(path), False
            state_files.write(path, f"{secret}\n".encode())
    except OSError as error:
        raise SecretError(
            f"The registry's secret cannot be kept: {error.strerror or error} ({path})."
        ) from None
    return secret, True
