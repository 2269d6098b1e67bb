"""One camera over HTTP: as a file that does not end, as single pictures, and as a stream that a
program sends.
"""
