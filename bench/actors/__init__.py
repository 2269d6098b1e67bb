"""Who takes part in a bench: cameras, viewers, servers of others, browsers."""
