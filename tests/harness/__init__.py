"""What tests and benches stand on: relays, browsers, proxies, peers, programs."""
