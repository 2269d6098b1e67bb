"""`python -m ip_registry`: says what is missing, or starts the service."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    missing = [name for name in ("aiohttp", "ifaddr", "cryptography", "OpenSSL") if importlib.util.find_spec(name) is None]
    if missing:
        command = f"{sys.executable} -m pip install -r {ROOT / 'requirements.txt'}"
        sys.exit(f"Libraries are missing: {', '.join(missing)}. To install them, type: {command}")
    from ip_registry.service import main

    sys.exit(main(sys.argv[1:]))
