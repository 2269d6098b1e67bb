"""The program: which of its commands was typed."""

from __future__ import annotations

from groundwork import console
from groundwork.addresses import PLAIN_PORT, TLS_PORT
from groundwork.bootstrap import NO_INSTALL, state_folder


def main(arguments: list[str]) -> int:
    """Run the command that was typed; returns its exit status. The libraries must be there.

    Args:
        arguments: What was typed behind the name of the program.
    """
    command, *rest = [word for word in arguments if word != NO_INSTALL] or [""]
    # A command is imported when it is wanted: the relay's takes most of a second, and `keys` none
    # of it.
    if command == "keys":
        from . import keys

        return console.finish(keys.main(rest, state_folder(), TLS_PORT))
    if command == "find":
        from . import find

        return console.finish(find.main(rest))
    if command == "film":
        from . import film

        return film.main(rest, state_folder(), TLS_PORT, PLAIN_PORT)
    from . import serve

    return serve.main(arguments)
