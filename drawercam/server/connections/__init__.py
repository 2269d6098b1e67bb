"""From a connection to its first request."""
