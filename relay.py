"""drawercam's relay: `python3 relay.py --tls`, then open the printed addresses on a phone and on
anything else.

`python3 relay.py keys` lists, makes and revokes keys; `python3 relay.py find` looks for relays in
the network; `python3 relay.py film` is a camera without a browser.

Makes sure of the libraries, which may be missing at the first start; `drawercam/commands/` has all
else.
"""

import sys

from groundwork import console
from groundwork.bootstrap import ensure_libraries


def main(arguments: "list[str]") -> int:
    """The program; returns its exit status."""
    ensure_libraries(arguments)
    from drawercam.commands import program

    return program.main(arguments)


def run() -> int:
    """The program as it was typed; returns its exit status."""
    console.settle()
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
