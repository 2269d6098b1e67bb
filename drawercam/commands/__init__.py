"""What a person can type: `relay.py`, `relay.py keys`, `relay.py film`, `relay.py find`."""
