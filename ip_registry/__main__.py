"""`python3 -m ip_registry`: finds or installs the libraries as `relay.py` does, and starts the
service.
"""

import sys

from groundwork import console
from groundwork.bootstrap import ensure_libraries

REQUIRED = ("aiohttp", "ifaddr", "cryptography", "OpenSSL")
"""Import names. Where these are, the registry runs without what only a relay needs."""


def run() -> int:
    """The program as it was typed; returns its exit status."""
    console.settle()
    ensure_libraries(sys.argv[1:], required=REQUIRED, module="ip_registry")
    from .service import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
