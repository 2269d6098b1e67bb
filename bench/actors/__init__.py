"""The parties of a bench: cameras, viewers, servers of others, browsers."""
