"""`python3 -m ip_registry`: finds or installs the libraries as `relay.py` does, and starts the service."""

import sys

from groundwork import console
from groundwork.bootstrap import ensure_libraries

REQUIRED = ("aiohttp", "ifaddr", "cryptography", "OpenSSL")
"""Import names. Where these are, the registry runs without what only a relay needs."""

if __name__ == "__main__":
    console.settle()
    ensure_libraries(sys.argv[1:], required=REQUIRED, module="ip_registry")
    from .service import main

    sys.exit(main(sys.argv[1:]))
