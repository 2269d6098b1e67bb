"""`python3 -m ip_registry`: finds or installs the libraries as `relay.py` does, and starts the service."""

import sys

from drawercam import console
from drawercam.bootstrap import ensure_libraries

REQUIRED = ("aiohttp", "ifaddr", "cryptography", "OpenSSL")
"""Import names. Where these are, the registry runs without what only a relay needs."""

if __name__ == "__main__":
    console.settle()
    ensure_libraries(sys.argv[1:], required=REQUIRED, module="ip_registry")
    from ip_registry.service import main

    sys.exit(main(sys.argv[1:]))
