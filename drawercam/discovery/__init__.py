"""How a relay is found: mDNS, and the registry that it is announced to."""
