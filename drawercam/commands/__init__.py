"""What a person can type: the relay itself, and its commands `keys`, `film` and `find`."""
